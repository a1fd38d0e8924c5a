#include "engine/base/arena.h"
#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

#include "emulator/mapping_internal.h"

/* FilterCriteria look at a record's decoded data only, under the key "data" (lambda-semantics 4.4). Each pattern has
 * its own projection: the pattern's paths without their first step. */

struct one_filter {
    struct tw_filter_pattern *pattern;
    struct tumble_projection *projection;
    size_t path_count;
    int whole; /* path index of "data" itself; -1: none */
};

struct tw_record_filter {
    struct tumble_alloc alloc;
    size_t count;
    struct one_filter filters[TUMBLE_FILTERS_MAX];
    struct tumble_value *values;
};

/* "data.a.b" or "/data/a/b" → "/a/b"; "" for data itself; false: another key. */
static bool below_data(struct tw_arena *arena, struct tumble_bytes path, struct tumble_bytes *out, bool *memory) {
    char separator = path.length && path.data[0] == '/' ? '/' : '.';
    size_t skip = separator == '/';
    *memory = true;
    if (path.length < skip + 4 || memcmp(path.data + skip, "data", 4) != 0) {
        return false;
    }
    if (path.length == skip + 4) {
        *out = tumble_bytes_of("");
        return true;
    }
    if (path.data[skip + 4] != separator) {
        return false;
    }
    out->length = path.length - skip - 4;
    char *text = tw_arena_take(arena, out->length);
    if (!text) {
        *memory = false;
        return true;
    }
    for (size_t i = 0; i < out->length; i++) {
        char c = path.data[skip + 4 + i];
        text[i] = c == separator ? '/' : c;
    }
    out->data = text;
    return true;
}

static enum tumble_code compile(struct tw_record_filter *filter, const char *pattern, struct tw_arena *arena,
                                struct tumble_error *err) {
    struct one_filter *one = &filter->filters[filter->count++];
    struct tumble_bytes paths[TW_LIMIT_FIELDS];
    one->whole = -1;
    TW_TRY(tw_filter_pattern_new(tumble_bytes_of(pattern), filter->alloc, &one->pattern, err));
    one->path_count = tw_filter_pattern_path_count(one->pattern);
    for (size_t i = 0; i < one->path_count; i++) {
        struct tumble_bytes path = tw_filter_pattern_path(one->pattern, i);
        bool memory;
        if (!below_data(arena, path, &paths[i], &memory)) {
            return tw_fail(err, TUMBLE_EPATTERN,
                           "Invalid filter pattern definition. Only the key 'data' of a Kinesis record can be "
                           "filtered, not '%.*s'",
                           (int)path.length, path.data);
        }
        if (!memory) {
            return tw_no_memory(err);
        }
        if (paths[i].length == 0) {
            one->whole = (int)i;
            paths[i] = tumble_bytes_of("/"); /* anything: its value is put there by hand */
        }
    }
    return tw_projection_new(paths, one->path_count, filter->alloc, &one->projection, err);
}

enum tumble_code tw_record_filter_new(const struct tumble_mapping_parameters *parameters, struct tumble_alloc alloc,
                                      struct tw_record_filter **out, struct tumble_error *err) {
    *out = NULL;
    if (parameters->filter_count == 0) {
        return TUMBLE_OK;
    }
    struct tw_record_filter *filter = tw_alloc_zero(&alloc, sizeof *filter);
    if (!filter) {
        return tw_no_memory(err);
    }
    filter->alloc = alloc;
    struct tw_arena arena;
    tw_arena_init(&arena, alloc);
    enum tumble_code code = TUMBLE_OK;
    filter->values = tw_alloc_array(&alloc, TW_LIMIT_FIELDS, sizeof *filter->values);
    if (!filter->values) {
        code = tw_no_memory(err);
    }
    for (size_t i = 0; i < parameters->filter_count && code == TUMBLE_OK; i++) {
        code = compile(filter, parameters->filters[i], &arena, err);
    }
    tw_arena_clean_up(&arena);
    if (code != TUMBLE_OK) {
        tw_record_filter_destroy(filter);
        return code;
    }
    *out = filter;
    return TUMBLE_OK;
}

void tw_record_filter_destroy(struct tw_record_filter *filter) {
    if (filter) {
        struct tumble_alloc alloc = filter->alloc;
        for (size_t i = 0; i < filter->count; i++) {
            tw_filter_pattern_destroy(filter->filters[i].pattern);
            tw_projection_destroy(filter->filters[i].projection);
        }
        tw_free(&alloc, filter->values);
        tw_free(&alloc, filter);
    }
}

/* Data that is no JSON object is a string to plain patterns, and nothing to patterns of objects. */
static bool passes(const struct one_filter *one, struct tumble_value *values, struct tumble_bytes data) {
    if (data.length > UINT32_MAX) {
        return false;
    }
    bool is_document = tumble_project(one->projection, data, 1, values, NULL, NULL) == TUMBLE_OK &&
                       *tw_json_space(data.data, data.data + data.length) == '{';
    if (!is_document) {
        memset(values, 0, one->path_count * sizeof *values);
    }
    if (one->whole >= 0) {
        struct tumble_value *whole = &values[one->whole];
        memset(whole, 0, sizeof *whole);
        whole->type = is_document ? TUMBLE_TYPE_OBJECT : TUMBLE_TYPE_STRING;
        whole->text = data.data;
        whole->length = (uint32_t)data.length;
    }
    return tw_filter_pattern_match(one->pattern, values);
}

bool tw_record_filter_passes(const struct tw_record_filter *filter, struct tumble_bytes data) {
    for (size_t i = 0; i < filter->count; i++) {
        if (passes(&filter->filters[i], filter->values, data)) {
            return true; /* filters are ORed */
        }
    }
    return false;
}
