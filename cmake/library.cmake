# libtumble, shared and static, from the objects of the layers that make the engine; what `cmake --install` puts where; and
# the example, which is linked with the shared library as a user's program is.
include(CMakePackageConfigHelpers)

set(tumble_objects)
foreach(layer base codec event aggregate store window engine)
  get_target_property(type tumble_${layer} TYPE)
  if(NOT type STREQUAL "INTERFACE_LIBRARY")
    list(APPEND tumble_objects $<TARGET_OBJECTS:tumble_${layer}>)
  endif()
endforeach()

if(tumble_objects)
  # SOVERSION is the major version; below 1.0 every minor version may change the ABI and is a SOVERSION of its own.
  set(tumble_soversion ${PROJECT_VERSION_MAJOR})
  if(PROJECT_VERSION_MAJOR EQUAL 0)
    set(tumble_soversion 0.${PROJECT_VERSION_MINOR})
  endif()

  add_library(tumble_shared SHARED ${tumble_objects})
  set_target_properties(tumble_shared PROPERTIES
    OUTPUT_NAME tumble EXPORT_NAME tumble LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION ${tumble_soversion}
    LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/libtumble.map)
  target_link_options(tumble_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/libtumble.map)
  if(NOT TUMBLE_SANITIZE)
    target_link_options(tumble_shared PRIVATE -Wl,--no-undefined) # a sanitizer's runtime comes with the program
  endif()
  target_link_libraries(tumble_shared PRIVATE xxHash::xxHash ZLIB::ZLIB zstd::zstd LMDB::LMDB m)

  add_library(tumble_static STATIC ${tumble_objects})
  set_target_properties(tumble_static PROPERTIES OUTPUT_NAME tumble LINKER_LANGUAGE C)
  # Plain names: whoever links statically needs the libraries, not the way we found them.
  target_link_libraries(tumble_static INTERFACE lmdb zstd xxhash z m)

  foreach(target tumble_shared tumble_static)
    target_include_directories(${target} INTERFACE
      $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  endforeach()

  install(TARGETS tumble_shared tumble_static EXPORT tumbleTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY include/tumble DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

  set(tumble_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tumble)
  install(EXPORT tumbleTargets NAMESPACE tumble:: DESTINATION ${tumble_package_dir})
  configure_package_config_file(cmake/tumbleConfig.cmake.in ${PROJECT_BINARY_DIR}/tumbleConfig.cmake
    INSTALL_DESTINATION ${tumble_package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/tumbleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/tumbleConfig.cmake ${PROJECT_BINARY_DIR}/tumbleConfigVersion.cmake
    DESTINATION ${tumble_package_dir})

  # The prefix is found from where tumble.pc lies, so that an installed tree can be moved.
  file(RELATIVE_PATH pc_up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
  configure_file(cmake/tumble.pc.in ${PROJECT_BINARY_DIR}/tumble.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/tumble.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

  foreach(example hello_engine hello_events aggregate_custom)
    add_executable(${example} examples/${example}.c)
    target_link_libraries(${example} PRIVATE tumble_warnings tumble_shared)
  endforeach()
  add_executable(embed_handler examples/embed-c/embed_handler.c)
  target_link_libraries(embed_handler PRIVATE tumble_warnings tumble_shared)
endif()

# Man pages, where scdoc is at hand.
find_program(SCDOC scdoc)
if(SCDOC)
  file(GLOB man_sources CONFIGURE_DEPENDS docs/man/*.scd)
  set(man_pages)
  foreach(source IN LISTS man_sources)
    get_filename_component(page ${source} NAME_WLE)
    set(output ${PROJECT_BINARY_DIR}/man/${page})
    add_custom_command(OUTPUT ${output} DEPENDS ${source} VERBATIM
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/man
      COMMAND sh -c "exec \"$1\" < \"$2\" > \"$3\"" scdoc ${SCDOC} ${source} ${output})
    list(APPEND man_pages ${output})
  endforeach()
  add_custom_target(man ALL DEPENDS ${man_pages})
  install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
endif()
