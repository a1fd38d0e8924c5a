#ifndef TW_CLI_OUTPUT_LIST_H
#define TW_CLI_OUTPUT_LIST_H

#include <stdbool.h>

#include "cli/option_table.h"
#include "runner/output_registry.h"

/* The outputs of a run that goes on for long, as the spec and the command line name them, checked against each other.
 */

enum { TW_OUTPUT_LIST_MAX = 16 };

struct tw_output_list {
    struct tumble_output_uri uris[TW_OUTPUT_LIST_MAX];
    struct tumble_output_uri failures;
    struct tumble_replay_output list[TW_OUTPUT_LIST_MAX];
    size_t count;
    bool has_failures;
    bool shares_line; /* rows go straight to a terminal, where a progress line would stand among them */
};

/* format NULL: each output's own. out is not to be moved. Errors: EUSAGE, ENOMEM. */
enum tumble_code tw_output_list_read(const struct tumble_spec *spec, const struct tw_list *plugins, const char *format,
                                     bool named_by_flags, struct tw_output_list *out, struct tumble_error *err);

/* Files that the run writes beside them, ended by a role of NULL; a name of NULL or "-" is none. */
struct tw_written_file {
    const char *role; /* "summary" */
    const char *name;
};
enum tumble_code tw_output_list_check_files(const struct tw_output_list *outputs, const char *state,
                                            const struct tw_written_file *others, const char *spec_path,
                                            const char *mapping_path, struct tumble_error *err);

#endif
