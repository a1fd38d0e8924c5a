#ifndef TW_CLI_SPEC_FILE_H
#define TW_CLI_SPEC_FILE_H

#include <tumble/spec.h>

/* Reads a spec from a file ("-": standard input; NULL: overrides alone make it) and parses it. Errors:
 * ESPEC, with the file's name, line and column in front, as of tumble_spec_parse when there is no file; EUSAGE when the
 * file cannot be read; ENOMEM. */
enum tumble_code tw_spec_read(const char *path, const struct tumble_spec_overrides *overrides, struct tumble_spec **out,
                              struct tumble_error *err);

#endif
