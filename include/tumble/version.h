#ifndef TUMBLE_VERSION_H
#define TUMBLE_VERSION_H

/* The one place that holds the version: CMake, pkg-config and the man pages read it from here. */
#define TUMBLE_VERSION_MAJOR  0
#define TUMBLE_VERSION_MINOR  1
#define TUMBLE_VERSION_PATCH  0
#define TUMBLE_VERSION_STRING "0.1.0"

/* A public function is exported; everything else in the shared library is hidden. */
#define TUMBLE_EXPORT __attribute__((visibility("default")))

#endif
