#include "engine/spec_draft.h"

#include <stdlib.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/field_path.h"

/* The canonical text of what decides accumulators and columns: keys sorted, one spelling for paths, numbers and
 * patterns, defaults left out. It is itself a spec. */

enum { MEMBERS_MOST = 8 + TW_OPTIONS_MOST };

/* A member of an aggregate. */
enum kind { A_TEXT, A_FIELD, AN_OPTION, A_PATTERN };
struct member {
    const char *key;
    enum kind kind;
    const char *text;
    size_t index; /* of the field or the option */
};

static enum tumble_code append_member(struct tw_buf *out, const char *before, const char *text) {
    TW_TRY(tw_buf_append_text(out, before));
    return tw_buf_append_json_string(out, tumble_bytes_of(text));
}

static enum tumble_code append_path(struct tw_buf *out, const struct tumble_spec *spec, size_t field) {
    struct tw_buf path;
    tw_buf_init(&path, spec->alloc, 2 * TW_LIMIT_PATH_BYTES);
    enum tumble_code code = tw_field_path_canonical(spec->fields[field].path, &path);
    code = code == TUMBLE_OK ? tw_buf_append_json_string(out, tw_buf_view(&path)) : code;
    tw_buf_clean_up(&path);
    return code;
}

static enum tumble_code append_numbers(struct tw_buf *out, const struct tw_param *param) {
    if (param->count != 1) {
        TW_TRY(tw_buf_append_byte(out, '['));
    }
    for (uint32_t i = 0; i < param->count; i++) {
        char text[TW_DECIMAL_TEXT];
        size_t length = tw_decimal_format(&param->numbers[i], text);
        TW_TRY(i ? tw_buf_append_byte(out, ',') : TUMBLE_OK);
        TW_TRY(tw_buf_append(out, text, length));
    }
    return param->count != 1 ? tw_buf_append_byte(out, ']') : TUMBLE_OK;
}

static bool same_numbers(const struct tw_param *a, const struct tw_param *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->numbers, b->numbers, a->count * sizeof *a->numbers) == 0);
}

/* The options that are not what they would be anyway. */
static enum tumble_code collect_options(const struct tumble_spec *spec, const struct tw_spec_aggregate *aggregate,
                                        struct member *members, size_t *count) {
    const struct tw_option *options = aggregate->function->options;
    struct tw_arena arena;
    enum tumble_code code = TUMBLE_OK;
    tw_arena_init(&arena, spec->alloc);
    for (size_t i = 0; code == TUMBLE_OK && options && options[i].name && i < TW_OPTIONS_MOST; i++) {
        struct tw_param fallback = {NULL, 0};
        if (options[i].fallback && !tw_spec_fallback(&arena, &options[i], &fallback)) {
            code = TUMBLE_ENOMEM;
        } else if (!options[i].fallback || !same_numbers(&fallback, &aggregate->params.options[i])) {
            members[(*count)++] = (struct member){options[i].name, AN_OPTION, NULL, i};
        }
    }
    tw_arena_clean_up(&arena);
    return code;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

static enum tumble_code append_aggregate(struct tw_buf *out, const struct tumble_spec *spec,
                                         const struct tw_spec_aggregate *aggregate, bool named) {
    const struct tw_aggregate *function = aggregate->function;
    struct member members[MEMBERS_MOST];
    size_t count = 0;
    members[count++] = (struct member){"function", A_TEXT, function->name, 0};
    if (named) {
        members[count++] = (struct member){"name", A_TEXT, aggregate->name, 0};
    }
    if (aggregate->field >= 0) {
        members[count++] = (struct member){"field", A_FIELD, NULL, (size_t)aggregate->field};
    }
    if (aggregate->second_field >= 0) {
        members[count++] = (struct member){function->second, A_FIELD, NULL, (size_t)aggregate->second_field};
    }
    if (function->type_name) {
        members[count++] = (struct member){"type", A_TEXT, function->type_name, 0};
    }
    if (aggregate->where) {
        members[count++] = (struct member){"where", A_PATTERN, NULL, 0};
    }
    TW_TRY(collect_options(spec, aggregate, members, &count));
    qsort(members, count, sizeof *members, by_key);
    for (size_t i = 0; i < count; i++) {
        TW_TRY(append_member(out, i ? "," : "{", members[i].key));
        TW_TRY(tw_buf_append_byte(out, ':'));
        switch (members[i].kind) {
        case A_TEXT: TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(members[i].text))); break;
        case A_FIELD: TW_TRY(append_path(out, spec, members[i].index)); break;
        case AN_OPTION: TW_TRY(append_numbers(out, &aggregate->params.options[members[i].index])); break;
        case A_PATTERN: TW_TRY(tw_filter_pattern_canonical(aggregate->where, out)); break;
        }
    }
    return tw_buf_append_byte(out, '}');
}

bool tw_spec_needs_partials(const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        if (!spec->aggregates[i].function->additive) {
            return true;
        }
    }
    return false;
}

static enum tumble_code append_groups(struct tw_buf *out, const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->group_count; i++) {
        TW_TRY(append_member(out, i ? ",{\"as\":" : ",\"group_by\":[{\"as\":", spec->groups[i].name));
        TW_TRY(tw_buf_append_text(out, ",\"field\":"));
        TW_TRY(append_path(out, spec, spec->groups[i].field));
        TW_TRY(tw_buf_append_text(out, i + 1 == spec->group_count ? "}]" : "}"));
    }
    return TUMBLE_OK;
}

static enum tumble_code append_where(struct tw_buf *out, const struct tumble_spec *spec) {
    if (spec->where_text) {
        TW_TRY(tw_buf_append_text(out, ",\"where\":"));
        TW_TRY(tw_buf_append_text(out, spec->where_text));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_spec_append_origin(struct tw_buf *out, const struct tumble_spec *spec,
                                       const struct tw_spec_aggregate *aggregate) {
    TW_TRY(append_aggregate(out, spec, aggregate, false));
    TW_TRY(append_groups(out, spec));
    return append_where(out, spec);
}

enum tumble_code tw_spec_append_canonical(struct tw_buf *out, const struct tumble_spec *spec) {
    TW_TRY(tw_buf_append_text(out, "{\"aggregates\":["));
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        TW_TRY(i ? tw_buf_append_byte(out, ',') : TUMBLE_OK);
        TW_TRY(append_aggregate(out, spec, &spec->aggregates[i], true));
    }
    TW_TRY(tw_buf_append_byte(out, ']'));
    TW_TRY(append_groups(out, spec));
    if (spec->partials) {
        TW_TRY(tw_buf_append_text(out, ",\"partials\":true"));
    } else if (spec->partials_given == TW_PARTIALS_OFF && tw_spec_needs_partials(spec)) {
        TW_TRY(tw_buf_append_text(out, ",\"partials\":false")); /* left out, it would be open */
    }
    TW_TRY(append_where(out, spec));
    return tw_buf_append_byte(out, '}');
}
