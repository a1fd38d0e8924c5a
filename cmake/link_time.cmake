# A record passes every layer, so the command gains a tenth by being optimised as a whole when it is linked. Objects hold
# machine code beside what the optimiser needs: libtumble.a is as good to whoever links without it, and so do all other
# programs here.
set(tumble_link_time_default OFF)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo)$" AND NOT TUMBLE_SANITIZE)
  set(tumble_link_time_default ON)
endif()
option(TUMBLE_LINK_TIME "Optimise the command when it is linked" ${tumble_link_time_default})
if(TUMBLE_LINK_TIME)
  add_compile_options(-flto=auto -ffat-lto-objects)
  add_link_options($<IF:$<BOOL:$<TARGET_PROPERTY:TUMBLE_AS_A_WHOLE>>,-flto=auto,-fno-lto>)
endif()
function(tumble_optimise_when_linked target)
  set_target_properties(${target} PROPERTIES TUMBLE_AS_A_WHOLE ON)
endfunction()

# What runs for every record is worth -O3. Its guesses about what may be uninitialised are no errors.
function(tumble_optimise_for_records)
  if(TUMBLE_LINK_TIME)
    foreach(layer IN LISTS ARGN)
      target_compile_options(tumble_${layer} PRIVATE
        -O3 -Wno-error=maybe-uninitialized -Wno-error=array-bounds -Wno-error=stringop-overflow)
    endforeach()
  endif()
endfunction()
