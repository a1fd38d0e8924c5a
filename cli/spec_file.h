#ifndef TW_CLI_SPEC_FILE_H
#define TW_CLI_SPEC_FILE_H

#include <stdint.h>

#include <tumble/spec.h>

/* Where in a file a spec is wrong. */
struct tw_spec_place {
    char text[512]; /* "orders.json: line 3, column 7: ", to be put in front of the error's text; empty: no file */
    uint64_t line;  /* from 1; 0: not known */
    uint64_t column;
};

/* Reads a spec from a file ("-": standard input; NULL: overrides alone make it) and parses it. *place is filled always.
 * Errors: ESPEC, for malformed JSON too; EUSAGE when the file cannot be read; ENOMEM; as of tumble_spec_parse when
 * there is no file. */
enum tumble_code tw_spec_read(const char *path, const struct tumble_spec_overrides *overrides, struct tumble_spec **out,
                              struct tw_spec_place *place, struct tumble_error *err);

/* What is probably wrong with the spec's filter, though it is a valid one: a text for people, or NULL. */
const char *tw_spec_filter_note(const struct tumble_spec *spec);

#endif
