# A file as a constant of the program: NAME[] (a zero follows) and NAME_length, in a source file of the build directory.
function(tumble_embed target name file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file}) # made again when the file changes
  file(READ ${file} bytes HEX)
  string(LENGTH "${bytes}" length)
  math(EXPR length "${length} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  set(source ${PROJECT_BINARY_DIR}/embedded/${name}.c)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include <stddef.h>
extern const unsigned char ${name}[];
extern const size_t ${name}_length;
const unsigned char ${name}[] = {\n${bytes}0};
const size_t ${name}_length = ${length};
" @ONLY)
  target_sources(${target} PRIVATE ${source})
endfunction()
