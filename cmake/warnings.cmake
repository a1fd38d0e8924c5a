add_library(tumble_warnings INTERFACE)
target_compile_options(tumble_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-format-nonliteral)
if(TUMBLE_WERROR)
  target_compile_options(tumble_warnings INTERFACE -Werror)
endif()
if(TUMBLE_SANITIZE)
  add_compile_options(-fsanitize=${TUMBLE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TUMBLE_SANITIZE})
endif()
