#include "cli/output_list.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/file_conflict.h"
#include "cli/plugin_list.h"

static enum tumble_code refuse(struct tumble_error *err, const char *format, const char *name) {
    err->code = TUMBLE_EUSAGE;
    snprintf(err->text, sizeof err->text, format, name);
    return TUMBLE_EUSAGE;
}

static enum tumble_code read_one(const struct tumble_output_registry *registry, const struct tumble_spec *spec,
                                 struct tumble_output_uri *out, struct tumble_bytes uri, enum tumble_row_kind kind,
                                 const char *format, struct tumble_error *err) {
    enum tumble_code code = tumble_output_uri_parse(registry, out, uri, kind, format, err);
    return code == TUMBLE_OK ? tumble_output_uri_check(out, spec, err) : code;
}

enum tumble_code tw_output_list_read(const struct tumble_spec *spec, const struct tw_list *plugins, const char *format,
                                     bool named_by_flags, struct tw_output_list *out, struct tumble_error *err) {
    size_t named = tumble_spec_output_count(spec);
    if (named > TW_OUTPUT_LIST_MAX) {
        return refuse(err, "%s are too many: at most 16 are allowed", "the outputs");
    }
    struct tumble_output_registry *registry;
    enum tumble_code code = tw_outputs_load(plugins, &registry, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    out->count = named ? named : 1;
    for (size_t i = 0; i < out->count; i++) {
        struct tumble_bytes uri = named ? tumble_spec_output(spec, i) : tumble_bytes_of("-");
        /* A stream has no end at which a table's widths were known. */
        code = read_one(registry, spec, &out->uris[i], uri, TUMBLE_ROW_WINDOW, format ? format : "ndjson", err);
        if (code != TUMBLE_OK) {
            if (!named_by_flags) {
                tumble_output_uri_name_key(err, "outputs", (int)i);
            }
            return code;
        }
        if (out->uris[i].is_table) {
            return refuse(err, "output \"%.200s\": a table cannot be resumed exactly: use ndjson or csv",
                          out->uris[i].uri);
        }
        out->list[i] = out->uris[i].output;
        out->shares_line = out->shares_line || (out->uris[i].is_stdout && isatty(STDOUT_FILENO));
    }
    struct tumble_bytes failures = tumble_spec_failures(spec);
    out->has_failures = failures.length > 0;
    return out->has_failures ? read_one(registry, spec, &out->failures, failures, TUMBLE_ROW_FAILURE, "ndjson", err)
                             : TUMBLE_OK;
}

enum tumble_code tw_output_list_check_files(const struct tw_output_list *outputs, const char *state,
                                            const struct tw_written_file *others, const struct tw_read_files *read,
                                            struct tumble_error *err) {
    static const char *const state_files[] = {"data.mdb", "lock.mdb", "tumble.lock"};
    static char state_paths[3][4096];
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
    for (size_t i = 0; i < 3 && state; i++) {
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
