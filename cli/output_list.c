#include "cli/output_list.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/file_conflict.h"
#include "cli/plugin_list.h"
#include "cli/screen_table.h"

static enum tumble_code read_one(const struct tumble_output_registry *registry, const struct tumble_spec *spec,
                                 struct tumble_output_uri *out, struct tumble_bytes uri, enum tumble_row_kind kind,
                                 const char *format, struct tumble_error *err) {
    enum tumble_code code = tumble_output_uri_parse(registry, out, uri, kind, format, err);
    return code == TUMBLE_OK ? tumble_output_uri_check(out, spec, err) : code;
}

/* A run that goes on later cannot tell what of a table was written. */
static enum tumble_code check_table(const struct tw_output_wishes *wishes, const struct tumble_output_uri *uri,
                                    struct tumble_error *err) {
    bool is_resumed = wishes->is_endless || (wishes->state && !uri->is_stdout);
    if (!uri->is_table || !is_resumed) {
        return TUMBLE_OK;
    }
    err->code = TUMBLE_EUSAGE;
    snprintf(err->text, sizeof err->text, "output \"%.200s\": a table cannot be resumed exactly: %s", uri->uri,
             wishes->is_endless ? "use ndjson or csv" : "with --state use --format ndjson or csv");
    return TUMBLE_EUSAGE;
}

/* A table that somebody reads while nothing is kept is laid out by the rows that were seen; one of them. */
static void show(const struct tw_output_wishes *wishes, const struct tumble_output_uri *uri, bool *has_table,
                 struct tw_output_list *out, struct tumble_replay_output *output) {
    *output = uri->output;
    if (uri->is_table && uri->is_stdout && !wishes->state && !*has_table) {
        output->api = &tw_screen_table;
        *has_table = true;
    } else if (uri->is_stdout && isatty(STDOUT_FILENO)) {
        out->shares_line = true;
    }
}

enum tumble_code tw_output_list_read(const struct tw_output_wishes *wishes, struct tw_output_list *out,
                                     struct tumble_error *err) {
    const struct tumble_spec *spec = wishes->spec;
    const char *format = wishes->format || !wishes->is_endless ? wishes->format : "ndjson";
    size_t named = tumble_spec_output_count(spec);
    bool has_table = false;
    if (named > TW_OUTPUT_LIST_MAX) {
        err->code = TUMBLE_EUSAGE;
        snprintf(err->text, sizeof err->text, "%zu outputs: at most %d are allowed", named, TW_OUTPUT_LIST_MAX);
        return TUMBLE_EUSAGE;
    }
    struct tumble_output_registry *registry;
    enum tumble_code code = tw_outputs_load(wishes->plugins, &registry, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    out->count = named ? named : 1;
    for (size_t i = 0; i < out->count; i++) {
        struct tumble_bytes uri = named ? tumble_spec_output(spec, i) : tumble_bytes_of("-");
        code = read_one(registry, spec, &out->uris[i], uri, TUMBLE_ROW_WINDOW, format, err);
        if (code != TUMBLE_OK && !wishes->outputs_by_flags) {
            tumble_output_uri_name_key(err, "outputs", (int)i);
        }
        code = code == TUMBLE_OK ? check_table(wishes, &out->uris[i], err) : code;
        if (code != TUMBLE_OK) {
            return code;
        }
        show(wishes, &out->uris[i], &has_table, out, &out->list[i]);
    }
    struct tumble_bytes failures = tumble_spec_failures(spec);
    out->has_failures = failures.length > 0;
    if (out->has_failures) {
        code = read_one(registry, spec, &out->failures, failures, TUMBLE_ROW_FAILURE, "ndjson", err);
    }
    if (code != TUMBLE_OK && !wishes->failures_by_flag) {
        tumble_output_uri_name_key(err, "failures", -1);
    }
    return code;
}

enum tumble_code tw_output_list_check_files(const struct tw_output_list *outputs, const char *state,
                                            const struct tw_written_file *others, const struct tw_read_files *read,
                                            struct tumble_error *err) {
    static const char *const state_files[] = {"data.mdb", "lock.mdb", "tumble.lock", "redo.log"};
    static char state_paths[4][4096];
    static struct tw_file_uses written;
    for (size_t i = 0; i < outputs->count; i++) {
        const struct tumble_output_uri *uri = &outputs->uris[i];
        if (uri->is_file) {
            tw_file_uses_add(&written, "output", uri->uri, uri->output.target, uri->is_stdout);
        }
    }
    if (outputs->has_failures && outputs->failures.is_file) {
        const struct tumble_output_uri *uri = &outputs->failures;
        tw_file_uses_add(&written, "failures", uri->uri, uri->output.target, uri->is_stdout);
    }
    for (; others->role; others++) {
        if (others->name && strcmp(others->name, "-") != 0) {
            tw_file_uses_add(&written, others->role, others->name, others->name, false);
        }
    }
    for (size_t i = 0; i < 4 && state; i++) {
        snprintf(state_paths[i], sizeof state_paths[i], "%s/%s", state, state_files[i]);
        tw_file_uses_add(&written, "state file", state_paths[i], state_paths[i], false);
    }
    enum tumble_code code = tw_file_uses_check(&written, err);
    for (int i = 0; i < read->input_count && code == TUMBLE_OK; i++) {
        code = tw_file_uses_check_read(&written, "input", read->inputs[i], err);
    }
    code = code == TUMBLE_OK && read->spec ? tw_file_uses_check_read(&written, "spec", read->spec, err) : code;
    return code == TUMBLE_OK && read->mapping ? tw_file_uses_check_read(&written, "mapping", read->mapping, err) : code;
}
