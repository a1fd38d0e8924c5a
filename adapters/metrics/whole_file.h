#ifndef TUMBLE_WHOLE_FILE_H
#define TUMBLE_WHOLE_FILE_H

/* A file that is there whole or not at all: written beside its name, renamed when it is done. What is no regular file
 * (/dev/null, a pipe) is written to as it is. role ("summary") stands in front of the path in errors. */

#include <stdio.h>

#include <tumble/error.h>

/* Whether path can be written so at a run's end. Errors: EOUTPUT. */
enum tumble_code tw_whole_file_probe(const char *role, const char *path, struct tumble_error *err);

/* print is called once. Errors: EOUTPUT. */
enum tumble_code tw_whole_file_write(const char *role, const char *path, void (*print)(FILE *to, const void *what),
                                     const void *what, struct tumble_error *err);

#endif
