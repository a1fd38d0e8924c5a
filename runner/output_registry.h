#ifndef TUMBLE_RUNNER_OUTPUT_REGISTRY_H
#define TUMBLE_RUNNER_OUTPUT_REGISTRY_H

#include <tumble/output.h>
#include <tumble/spec.h>

#include "runner/replay.h"

/* Which outputs there are, and what a URI asks of one: "-", "file:PATH?format=csv", "s3://BUCKET/PREFIX", or what a
 * plug-in brings. One thread at a time. */

/* Those built in, NULL at the end: output_builtin.c. A program that wants others defines the table itself. */
extern const struct tumble_output_api *const tumble_builtin_outputs[];

struct tumble_output_registry;

enum tumble_code tumble_output_registry_new(struct tumble_output_registry **out, struct tumble_error *err);
/* Unloads plug-ins: after every output of theirs was closed. NULL allowed. */
void tumble_output_registry_destroy(struct tumble_output_registry *registry);

/* Loads a shared object by its absolute path. Errors: EUSAGE, ENOMEM; texts begin with the path. */
enum tumble_code tumble_output_registry_load(struct tumble_output_registry *registry, const char *path,
                                             struct tumble_error *err);

struct tumble_registered_output {
    const struct tumble_output_api *api;
    const char *plugin; /* path; NULL: built in */
};
/* Number index, from 0, built-in ones first. Returns 0 when there is none. */
int tumble_output_registry_at(const struct tumble_output_registry *registry, size_t index,
                              struct tumble_registered_output *out);

enum { TUMBLE_URI_BYTES = 4096, TUMBLE_URI_OPTIONS = 64 };

/* An output as the command line or the spec names it: "-", "NAME:TARGET?option=value&…" (values percent-encoded where
 * they hold & or %), or a path with a slash or a dot in it, which is taken as file:PATH; file:/dev/stdout is "-".
 * Everything that output points to lies in here, so it must outlive the run and must not be moved. */
struct tumble_output_uri {
    char uri[TUMBLE_URI_BYTES];  /* as given, with its scheme: identifies the output in the state */
    char text[TUMBLE_URI_BYTES]; /* the same, cut into pieces */
    char width[16];
    struct tumble_option_value options[TUMBLE_URI_OPTIONS];
    struct tumble_replay_output output;
    enum tumble_row_kind kind;
    int is_stdout;
    int is_file;
    int is_table;
};

/* format NULL: a table when the output is standard output and a terminal, what the file's name ends in (.csv, .ndjson,
 * .jsonl), else ndjson; an option in the URI wins over all of them. Opens nothing. Errors: EUSAGE, with what is known.
 */
enum tumble_code tumble_output_uri_parse(const struct tumble_output_registry *registry, struct tumble_output_uri *out,
                                         struct tumble_bytes uri, enum tumble_row_kind kind, const char *format,
                                         struct tumble_error *err);

/* The same for an output that is in no registry; the URI begins with its name and a colon. Errors: EUSAGE. */
enum tumble_code tumble_output_uri_parse_as(const struct tumble_output_api *api, struct tumble_output_uri *out,
                                            struct tumble_bytes uri, enum tumble_row_kind kind,
                                            struct tumble_error *err);

/* Asks the output itself whether it could take this URI for rows of that spec; touches nothing outside. Errors: EUSAGE.
 */
enum tumble_code tumble_output_uri_check(const struct tumble_output_uri *uri, const struct tumble_spec *spec,
                                         struct tumble_error *err);

/* Puts "outputs[1]: " in front of an error's text, where the URI came from that key of the spec; index -1: "failures:
 * ". */
void tumble_output_uri_name_key(struct tumble_error *err, const char *key, int index);

#endif
