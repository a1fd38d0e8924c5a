#ifndef TW_CLI_OUTPUT_URI_H
#define TW_CLI_OUTPUT_URI_H

#include <stdbool.h>

#include "runner/replay.h"

enum { TW_URI_BYTES = 4096, TW_URI_OPTIONS = 8 };

/* An output as the command line or the spec names it: "-", "file:PATH", "file:PATH?format=csv", or a path with a slash
 * or a dot in it, which is taken as file:PATH; file:/dev/stdout is "-". Everything that output
 * points to lies in here, so it must outlive the run and must not be moved. */
struct tw_output_uri {
    char uri[TW_URI_BYTES];  /* as given, with its scheme: identifies the output in the state */
    char text[TW_URI_BYTES]; /* the same, cut into pieces */
    char width[16];
    struct tumble_option_value options[TW_URI_OPTIONS];
    struct tumble_replay_output output;
    bool is_stdout;
    bool is_table;
};

/* format NULL: a table when the output is standard output and a terminal, what the file's name ends in (.csv, .ndjson,
 * .jsonl), else ndjson; an option in the URI wins over all of them. Errors: EUSAGE, with what is known. */
enum tumble_code tw_output_uri_parse(struct tw_output_uri *out, struct tumble_bytes uri, const char *format,
                                     struct tumble_error *err);

/* Puts "outputs[1]: " in front of an error's text, where the URI came from that key of the spec; index -1: "failures:
 * ". */
void tw_output_uri_name_key(struct tumble_error *err, const char *key, int index);

#endif
