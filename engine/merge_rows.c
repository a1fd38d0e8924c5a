#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/merge_internal.h"
#include "engine/partial.h"
#include "engine/window/group_key.h"

/* A row is a flat object: five columns that say whose it is, the group's, the aggregates', _partials and records. Which
 * columns are whose is worked out from the first row: an aggregate's are those that its partial state stands for. */

enum { ROW_MEMBERS = 16 + TW_LIMIT_GROUP_FIELDS + 8 * TW_LIMIT_AGGREGATES };

struct row_member {
    struct tumble_bytes name;
    struct tumble_value value;
};

struct row {
    struct row_member members[ROW_MEMBERS];
    size_t count;
    const struct tumble_value *start, *end, *shard, *first, *last, *records, *partials;
    int merged;
};

static enum tumble_code bad_row(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECAPTURE, "not a row that can be merged: %s", what);
}

/* ---- reading ---- */

/* The characters of a string; escapes are undone into the arena. */
static enum tumble_code plain(struct tumble_merge *merge, const struct tumble_value *value, struct tumble_bytes *out,
                              struct tumble_error *err) {
    out->data = value->text;
    out->length = value->length;
    if (value->flags & TUMBLE_VALUE_ESCAPED) {
        char *text = tw_arena_take(&merge->arena, value->length);
        if (!text) {
            return tw_no_memory(err);
        }
        out->data = text;
        out->length = tumble_value_text(value, text, value->length);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_members(struct tumble_merge *merge, struct tumble_bytes json, struct row *row,
                                     struct tumble_error *err) {
    struct tumble_value object;
    TW_TRY(tw_json_value(json, 1, &object, NULL, err));
    if (object.type != TUMBLE_TYPE_OBJECT) {
        return bad_row(err, "it is not a JSON object");
    }
    const struct {
        const char *name;
        const struct tumble_value **place;
        enum tumble_type type;
    } fixed[] = {{"window_start", &row->start, TUMBLE_TYPE_STRING}, {"window_end", &row->end, TUMBLE_TYPE_STRING},
                 {"shard_id", &row->shard, TUMBLE_TYPE_STRING},     {"fragment", &row->first, TUMBLE_TYPE_STRING},
                 {"last_sequence", &row->last, TUMBLE_TYPE_STRING}, {"records", &row->records, TUMBLE_TYPE_NUMBER},
                 {"_partials", &row->partials, TUMBLE_TYPE_OBJECT}};
    struct tw_json_walk walk;
    struct tumble_value key;
    row->count = 0;
    row->start = row->end = row->shard = row->first = row->last = row->records = row->partials = NULL;
    row->merged = 0;
    tw_json_walk_begin(&walk, &object);
    for (;;) {
        struct row_member *member = &row->members[row->count];
        if (!tw_json_walk_next(&walk, &key, &member->value)) {
            break;
        }
        TW_TRY(plain(merge, &key, &member->name, err));
        row->merged |= tumble_bytes_equal(member->name, tumble_bytes_of("fragments"));
        size_t i = 0;
        while (i < sizeof fixed / sizeof *fixed && !tumble_bytes_equal(member->name, tumble_bytes_of(fixed[i].name))) {
            i++;
        }
        if (i < sizeof fixed / sizeof *fixed) {
            if (member->value.type != fixed[i].type) {
                return tw_fail(err, TUMBLE_ECAPTURE, "not a row that can be merged: its %s has a wrong type",
                               fixed[i].name);
            }
            *fixed[i].place = &member->value;
        }
        if (++row->count == ROW_MEMBERS) {
            return bad_row(err, "it has too many columns");
        }
    }
    if (row->merged) {
        return bad_row(err, "it is merged already; merge the rows it was made from");
    }
    if (!row->start || !row->end || !row->shard || !row->first || !row->last || !row->records) {
        return bad_row(err, "window_start, window_end, shard_id, fragment, last_sequence and records are expected");
    }
    return row->partials
               ? TUMBLE_OK
               : bad_row(err, "it has no _partials; write rows with --partials, or \"partials\": true in the spec");
}

static int is_fixed(const struct row *row, const struct tumble_value *value) {
    return value == row->start || value == row->end || value == row->shard || value == row->first ||
           value == row->last || value == row->records || value == row->partials;
}

/* ---- the columns of the first row ---- */

static enum tumble_code append(struct tw_buf *buf, const char *text, struct tumble_error *err) {
    enum tumble_code code = tw_buf_append_text(buf, text);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static enum tumble_code append_string(struct tw_buf *buf, struct tumble_bytes text, struct tumble_error *err) {
    enum tumble_code code = tw_buf_append_json_string(buf, text);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static int is_custom(const struct tumble_merge *merge, struct tumble_bytes name) {
    for (size_t i = 0; i < merge->overrides.custom_count; i++) {
        if (tumble_bytes_equal(name, tumble_bytes_of(merge->overrides.custom[i]->name))) {
            return 1;
        }
    }
    return 0;
}

/* {"name":…,"function":…,"field":"/x",…} of one partial. Field paths play no part in merging. */
static enum tumble_code put_aggregate(const struct tumble_merge *merge, struct tw_buf *out, struct tumble_bytes name,
                                      const struct tw_partial *partial, struct tumble_error *err) {
    const struct tw_aggregate *function = tw_aggregate_find(partial->function, partial->type);
    if (!function && !is_custom(merge, partial->function)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "a partial state is of the unknown function \"%.*s\"",
                       (int)(partial->function.length < 60 ? partial->function.length : 60), partial->function.data);
    }
    TW_TRY(append(out, "{\"name\":", err));
    TW_TRY(append_string(out, name, err));
    TW_TRY(append(out, ",\"function\":", err));
    TW_TRY(append_string(out, partial->function, err));
    if (partial->type.length) {
        TW_TRY(append(out, ",\"type\":", err));
        TW_TRY(append_string(out, partial->type, err));
    }
    TW_TRY(append(out, ",\"field\":\"/value\"", err));
    if (function && function->second && !function->second_optional) {
        TW_TRY(append(out, ",", err));
        TW_TRY(append_string(out, tumble_bytes_of(function->second), err));
        TW_TRY(append(out, ":\"/second\"", err));
    }
    if (partial->options.length > 2) { /* its members, without the braces */
        TW_TRY(append(out, ",", err));
        enum tumble_code code = tw_buf_append(out, partial->options.data + 1, partial->options.length - 2);
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s", tumble_code_text(code));
        }
    }
    return append(out, "}", err);
}

static enum tumble_code put_aggregates(struct tumble_merge *merge, const struct row *row, struct tw_buf *out,
                                       struct tumble_error *err) {
    struct tw_json_walk walk;
    struct tumble_value key, value;
    size_t count = 0;
    TW_TRY(append(out, "\"aggregates\":[", err));
    tw_json_walk_begin(&walk, row->partials);
    while (tw_json_walk_next(&walk, &key, &value)) {
        struct tumble_bytes name, text;
        struct tw_partial partial;
        if (value.type != TUMBLE_TYPE_STRING) {
            return tw_fail(err, TUMBLE_ECORRUPT, "a partial state is not a string");
        }
        TW_TRY(plain(merge, &key, &name, err));
        TW_TRY(plain(merge, &value, &text, err));
        TW_TRY(tw_partial_parse(text, &partial, err));
        if (count == TW_LIMIT_AGGREGATES) {
            return tw_fail(err, TUMBLE_ECORRUPT, "a row has more than %d partial states", TW_LIMIT_AGGREGATES);
        }
        merge->digests[count] = partial.digest;
        TW_TRY(append(out, count++ ? "," : "", err));
        TW_TRY(put_aggregate(merge, out, name, &partial, err));
    }
    return append(out, "]", err);
}

static enum tumble_code parse_spec(struct tumble_merge *merge, struct tw_buf *json, struct tumble_spec **out,
                                   struct tumble_error *err) {
    enum tumble_code code = tumble_spec_parse(tw_buf_view(json), &merge->overrides, merge->alloc, out, err);
    if (code != TUMBLE_OK && code != TUMBLE_ENOMEM) {
        tw_error_prefix(err, "the row's partial states cannot be read");
        if (err) {
            err->code = TUMBLE_ECORRUPT;
        }
        return TUMBLE_ECORRUPT;
    }
    return code;
}

static int is_aggregate_column(const struct tumble_spec *spec, struct tumble_bytes name) {
    for (size_t i = 0; i < spec->column_count; i++) {
        if (spec->columns[i].kind == TUMBLE_COLUMN_AGGREGATE &&
            tumble_bytes_equal(name, tumble_bytes_of(spec->columns[i].name))) {
            return 1;
        }
    }
    return 0;
}

static enum tumble_code put_groups(const struct tumble_spec *spec, const struct row *row, struct tw_buf *out,
                                   struct tumble_error *err) {
    size_t count = 0;
    TW_TRY(append(out, "{\"window\":{\"seconds\":1},\"group_by\":[", err));
    for (size_t i = 0; i < row->count; i++) {
        if (!is_fixed(row, &row->members[i].value) && !is_aggregate_column(spec, row->members[i].name)) {
            TW_TRY(append(out, count++ ? ",{\"field\":\"/group\",\"as\":" : "{\"field\":\"/group\",\"as\":", err));
            TW_TRY(append_string(out, row->members[i].name, err));
            TW_TRY(append(out, "}", err));
        }
    }
    return append(out, "],", err);
}

static enum tumble_code learn(struct tumble_merge *merge, const struct row *row, struct tumble_error *err) {
    struct tw_buf *json = &merge->text;
    struct tumble_spec *aggregates;
    tw_buf_clear(json);
    TW_TRY(append(json, "{\"window\":{\"seconds\":1},", err));
    TW_TRY(put_aggregates(merge, row, json, err));
    TW_TRY(append(json, "}", err));
    TW_TRY(parse_spec(merge, json, &aggregates, err));
    tw_buf_clear(json);
    enum tumble_code code = put_groups(aggregates, row, json, err);
    tumble_spec_destroy(aggregates);
    if (code == TUMBLE_OK) {
        code = put_aggregates(merge, row, json, err);
    }
    if (code == TUMBLE_OK) {
        code = append(json, "}", err);
    }
    return code == TUMBLE_OK ? parse_spec(merge, json, &merge->spec, err) : code;
}

/* ---- one row's key and states ---- */

static enum tumble_code put_group_value(struct tumble_merge *merge, const struct tumble_value *value,
                                        struct tumble_error *err) {
    struct tw_value group = {.type = value->type};
    if (value->type == TUMBLE_TYPE_NUMBER) {
        if (tw_decimal_parse(&group.number, value->text, value->length, NULL) != TUMBLE_OK) {
            return bad_row(err, "a group column is a number beyond what tumble writes");
        }
    } else if (value->type == TUMBLE_TYPE_STRING) {
        TW_TRY(plain(merge, value, &group.text, err));
    } else if (value->type >= TUMBLE_TYPE_ARRAY) {
        return bad_row(err, "a group column is an array or an object");
    }
    enum tumble_code code = tw_buf_reserve(&merge->key, tw_group_key_bound(&group));
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    merge->key.length += tw_group_key_put(&group, merge->key.data + merge->key.length);
    return TUMBLE_OK;
}

/* The columns of a row must be those of the first, in the same order. */
static enum tumble_code read_groups(struct tumble_merge *merge, const struct row *row, struct tumble_error *err) {
    const struct tumble_spec *spec = merge->spec;
    size_t group = 0;
    tw_buf_clear(&merge->key);
    for (size_t i = 0; i < row->count; i++) {
        const struct row_member *member = &row->members[i];
        if (is_fixed(row, &member->value) || is_aggregate_column(spec, member->name)) {
            continue;
        }
        if (group == spec->group_count ||
            !tumble_bytes_equal(member->name, tumble_bytes_of(spec->groups[group].name))) {
            return tw_fail(err, TUMBLE_EMISMATCH,
                           "the row has the group column \"%.*s\", which the rows before it do not have there",
                           (int)(member->name.length < 100 ? member->name.length : 100), member->name.data);
        }
        TW_TRY(put_group_value(merge, &member->value, err));
        group++;
    }
    return group == spec->group_count
               ? TUMBLE_OK
               : tw_fail(err, TUMBLE_EMISMATCH, "the row lacks the group column \"%s\"", spec->groups[group].name);
}

static int first_of(size_t length) { return (int)(length < 80 ? length : 80); }

static enum tumble_code read_state(struct tumble_merge *merge, const struct tw_spec_aggregate *aggregate,
                                   struct tumble_bytes text, struct tumble_error *err) {
    struct tw_partial partial;
    TW_TRY(tw_partial_parse(text, &partial, err));
    tw_buf_clear(&merge->scratch);
    enum tumble_code code = tw_partial_prefix(aggregate, partial.digest, &merge->scratch);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    struct tumble_bytes prefix = {text.data, (size_t)(partial.state.data - text.data)};
    if (!tumble_bytes_equal(prefix, tw_buf_view(&merge->scratch))) {
        size_t digest = sizeof "#12345678:" - 1;
        return tw_fail(err, TUMBLE_EMISMATCH, "the row's %.80s is of %.*s, the rows before it have %.*s",
                       aggregate->name, first_of(prefix.length - digest), prefix.data,
                       first_of(merge->scratch.length - digest), merge->scratch.data);
    }
    if (partial.digest != merge->digests[aggregate - merge->spec->aggregates]) {
        return tw_fail(
            err, TUMBLE_EMISMATCH,
            "the row's %.80s aggregates something else than that of the rows before it: its field, by, weight "
            "or where, or the spec's where or group_by, is another",
            aggregate->name);
    }
    size_t length;
    code = tw_buf_reserve(&merge->states, partial.state.length);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    code = tw_base64_decode(partial.state, merge->states.data + merge->states.length, &length, err);
    if (code != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_ECORRUPT, "the partial state of %s is not base64", aggregate->name);
    }
    merge->states.length += length;
    return TUMBLE_OK;
}

static enum tumble_code read_states(struct tumble_merge *merge, const struct row *row, struct tumble_error *err) {
    const struct tumble_spec *spec = merge->spec;
    struct tw_json_walk walk;
    struct tumble_value key, value;
    size_t count = 0;
    tw_buf_clear(&merge->states);
    tw_json_walk_begin(&walk, row->partials);
    while (tw_json_walk_next(&walk, &key, &value)) {
        struct tumble_bytes name, text;
        TW_TRY(plain(merge, &key, &name, err));
        if (count == spec->aggregate_count || value.type != TUMBLE_TYPE_STRING ||
            !tumble_bytes_equal(name, tumble_bytes_of(spec->aggregates[count].name))) {
            return tw_fail(err, TUMBLE_EMISMATCH,
                           "the row has the aggregate \"%.*s\", which the rows before it do not have there",
                           first_of(name.length), name.data);
        }
        TW_TRY(plain(merge, &value, &text, err));
        TW_TRY(read_state(merge, &spec->aggregates[count++], text, err));
    }
    return count == spec->aggregate_count
               ? TUMBLE_OK
               : tw_fail(err, TUMBLE_EMISMATCH, "the row lacks the aggregate \"%.80s\", which the rows before it have",
                         spec->aggregates[count].name);
}

static enum tumble_code keep(struct tumble_merge *merge, struct tumble_bytes from, struct tumble_bytes *out,
                             struct tumble_error *err) {
    char *copy = tw_arena_take(&merge->arena, from.length);
    if (!copy) {
        return tw_no_memory(err);
    }
    if (from.length) {
        memcpy(copy, from.data, from.length);
    }
    out->data = copy;
    out->length = from.length;
    return TUMBLE_OK;
}

static enum tumble_code read_time(const struct tumble_value *value, int64_t *out, struct tumble_error *err) {
    static const struct tumble_timestamp_format iso = {.kind = TUMBLE_TIMESTAMP_ISO8601};
    /* The last window of all ends where five-digit years begin. */
    if (value->length == 21 && memcmp(value->text, "10000-01-01T00:00:00Z", 21) == 0) {
        *out = TUMBLE_TIMESTAMP_MAX_MS + 1;
        return TUMBLE_OK;
    }
    return tumble_timestamp_ms(&iso, value, out, err);
}

static enum tumble_code take_row(struct tumble_merge *merge, const struct row *row, struct tw_merge_row *out,
                                 struct tumble_error *err) {
    struct tumble_bytes text, digits;
    struct tw_decimal records;
    TW_TRY(read_time(row->start, &out->start_ms, err));
    TW_TRY(read_time(row->end, &out->end_ms, err));
    if (out->end_ms <= out->start_ms) {
        return bad_row(err, "its window ends before it begins");
    }
    int64_t length_ms = out->end_ms - out->start_ms;
    if (length_ms % 1000 != 0 || out->start_ms % length_ms != 0) {
        return bad_row(err, "its window is not one that tumble makes");
    }
    if (merge->row_ms && merge->row_ms != length_ms) {
        return tw_fail(
            err, TUMBLE_EMISMATCH,
            "a window of %lld seconds among windows of %lld: they may hold the same records, so merge them apart",
            (long long)length_ms / 1000, (long long)merge->row_ms / 1000);
    }
    merge->row_ms = length_ms;
    if (merge->window_ms &&
        (merge->window_ms < out->end_ms - out->start_ms || merge->window_ms % (out->end_ms - out->start_ms) != 0)) {
        return tw_fail(err, TUMBLE_EMISMATCH,
                       "windows of %lld seconds cannot be merged into windows of %lld: it must be a multiple",
                       (long long)(out->end_ms - out->start_ms) / 1000, (long long)merge->window_ms / 1000);
    }
    TW_TRY(plain(merge, row->shard, &text, err));
    TW_TRY(keep(merge, text, &out->shard_id, err));
    TW_TRY(plain(merge, row->first, &text, err));
    TW_TRY(tw_sequence_check(text, &digits, err));
    TW_TRY(keep(merge, digits, &out->first, err));
    TW_TRY(plain(merge, row->last, &text, err));
    TW_TRY(tw_sequence_check(text, &digits, err));
    TW_TRY(keep(merge, digits, &out->last, err));
    if (tw_sequence_compare(out->last, out->first) < 0) {
        return bad_row(err, "its last_sequence comes before its fragment");
    }
    TW_TRY(tw_decimal_parse(&records, row->records->text, row->records->length, err));
    if (records.high != 0 || records.exponent < 0 || records.exponent > 18 || records.low > INT64_MAX) {
        return bad_row(err, "records is not a count");
    }
    out->records = records.low;
    for (int32_t i = 0; i < records.exponent; i++) {
        if (out->records > INT64_MAX / 10) {
            return bad_row(err, "records is not a count");
        }
        out->records *= 10;
    }
    TW_TRY(keep(merge, tw_buf_view(&merge->key), &out->key, err));
    return keep(merge, tw_buf_view(&merge->states), &out->states, err);
}

enum tumble_code tumble_merge_add(struct tumble_merge *merge, struct tumble_bytes json, struct tumble_error *err) {
    struct row *row = tw_alloc(&merge->alloc, sizeof *row);
    if (!row) {
        return tw_no_memory(err);
    }
    enum tumble_code code = read_members(merge, json, row, err);
    if (code == TUMBLE_OK && !merge->spec) {
        code = learn(merge, row, err);
    }
    if (code == TUMBLE_OK) {
        code = read_states(merge, row, err);
    }
    if (code == TUMBLE_OK) {
        code = read_groups(merge, row, err);
    }
    if (code == TUMBLE_OK && merge->row_count == merge->row_capacity) {
        size_t capacity = merge->row_capacity ? merge->row_capacity * 2 : 64;
        struct tw_merge_row *rows =
            tw_resize(&merge->alloc, merge->rows, merge->row_capacity * sizeof *rows, capacity * sizeof *rows);
        if (rows) {
            merge->rows = rows;
            merge->row_capacity = capacity;
        } else {
            code = tw_no_memory(err);
        }
    }
    if (code == TUMBLE_OK) {
        code = take_row(merge, row, &merge->rows[merge->row_count], err);
    }
    if (code == TUMBLE_OK) {
        merge->row_count++;
    }
    tw_free(&merge->alloc, row);
    return code;
}

enum tumble_code tumble_merge_new(const struct tumble_merge_options *options, struct tumble_merge **out,
                                  struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    if (options->window_seconds < 0 || options->window_seconds > TUMBLE_TIMESTAMP_MAX_MS / 1000) {
        return tw_fail(err, TUMBLE_EINVAL, "a merged window has 1 second at least");
    }
    struct tumble_merge *merge = tw_alloc_zero(&alloc, sizeof *merge);
    if (!merge) {
        return tw_no_memory(err);
    }
    merge->alloc = alloc;
    merge->window_ms = options->window_seconds * 1000;
    merge->overrides.custom = options->custom;
    merge->overrides.custom_count = options->custom_count;
    tw_arena_init(&merge->arena, alloc);
    struct tw_buf *bufs[] = {&merge->scratch, &merge->states, &merge->key, &merge->text};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
        tw_buf_init(bufs[i], alloc, SIZE_MAX / 4);
    }
    *out = merge;
    return TUMBLE_OK;
}

void tumble_merge_destroy(struct tumble_merge *merge) {
    if (!merge) {
        return;
    }
    struct tumble_alloc alloc = merge->alloc;
    tw_arena_clean_up(&merge->arena);
    tumble_spec_destroy(merge->spec);
    tw_free(&alloc, merge->rows);
    tw_buf_clean_up(&merge->scratch);
    tw_buf_clean_up(&merge->states);
    tw_buf_clean_up(&merge->key);
    tw_buf_clean_up(&merge->text);
    tw_free(&alloc, merge);
}
