#ifndef TW_CLI_OUTPUT_LIST_H
#define TW_CLI_OUTPUT_LIST_H

#include <stdbool.h>

#include "cli/option_table.h"
#include "runner/output_registry.h"

/* The outputs of a run, as the spec and the command line name them. */

enum { TW_OUTPUT_LIST_MAX = 16 };

struct tw_output_list {
    struct tumble_output_uri uris[TW_OUTPUT_LIST_MAX];
    struct tumble_output_uri failures;
    struct tumble_replay_output list[TW_OUTPUT_LIST_MAX];
    size_t count;
    bool has_failures;
    bool shares_line; /* rows go straight to a terminal, where a progress line would stand among them */
};

struct tw_output_wishes {
    const struct tumble_spec *spec;
    const struct tw_list *plugins;
    const char *format;                      /* NULL: each output's own */
    const char *state;                       /* NULL: none */
    bool outputs_by_flags, failures_by_flag; /* not by the spec, whose keys errors name */
    bool is_endless; /* a table's widths will never be known: rows are NDJSON where nothing is said */
};

/* out is not to be moved. Errors: EUSAGE, ENOMEM. */
enum tumble_code tw_output_list_read(const struct tw_output_wishes *wishes, struct tw_output_list *out,
                                     struct tumble_error *err);

/* Files that the run writes beside them, ended by a role of NULL; a name of NULL or "-" is none. */
struct tw_written_file {
    const char *role; /* "summary" */
    const char *name;
};
struct tw_read_files { /* names of NULL are none */
    const char *const *inputs;
    int input_count;
    const char *spec;
    const char *mapping;
};
/* Before anything is opened or made: no file is written that is read, or that is written under another name too.
 * state: its directory, or NULL. Errors: EUSAGE. */
enum tumble_code tw_output_list_check_files(const struct tw_output_list *outputs, const char *state,
                                            const struct tw_written_file *others, const struct tw_read_files *read,
                                            struct tumble_error *err);

#endif
