#ifndef TW_CLI_FUNCTION_SETUP_H
#define TW_CLI_FUNCTION_SETUP_H

#include <stdbool.h>

#include <tumble/invoke.h>
#include <tumble/spec.h>

#include "cli/spec_file.h"

/* Everything that one invocation after another needs: what the bootstrap makes of its environment and `tumble invoke`
 * of its command line. */

/* All borrowed as long as what is opened with it; NULL and 0 say nothing. */
struct tw_function_settings {
    const char *spec;           /* the path of a file */
    const char *spec_text;      /* JSON, instead of spec */
    const char *const *outputs; /* instead of the spec's */
    size_t output_count;
    const char *failures;
    const char *const *plugins; /* absolute paths */
    size_t plugin_count;
    const char *state_directory; /* made when missing */
    const char *spill;           /* "file:DIRECTORY", "s3://BUCKET/PREFIX" */
    const char *source;
    size_t inline_state_limit;
    size_t memory_limit_bytes;
    bool report_batch_item_failures;
    bool warm; /* connect now rather than in the first invocation */
    struct tumble_host host;
    void (*say)(void *ctx, const char *line); /* what outputs have to tell people, with host's ctx; may be NULL */
};

struct tw_function {
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct tw_spec_place place; /* where in the spec it is wrong, after a failure */
    size_t output_count;        /* attached for rows */
    bool to_stdout;             /* standard output, for want of another */
    struct tumble_output_registry *registry;
    struct tw_file_spill *file_spill;
    struct tw_s3_spill *s3_spill;
};

/* Errors: as of tw_spec_read, tumble_engine_open_carried and tumble_engine_attach; EUSAGE. out is to be closed in any
 * case. One at a time in a process. */
enum tumble_code tw_function_open(const struct tw_function_settings *settings, struct tw_function *out,
                                  struct tumble_error *err);
void tw_function_close(struct tw_function *function);

#endif
