#include "engine/spec_draft.h"

#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json.h"

/* The aggregates of a spec: which function, of which fields, with which options, and what its columns are called. */

enum { FUNCTIONS_MAX = 64, LIST_BYTES = 128, SUFFIX_BYTES = 2 * TW_DECIMAL_TEXT };

/* ---- functions ---- */

/* What other systems call our functions. */
static const char *synonym(struct tumble_bytes word) {
    static const struct {
        const char *word;
        const char *function;
    } synonyms[] = {
        {"avg", "mean"},
        {"average", "mean"},
        {"count_distinct", "distinct"},
        {"distinct_count", "distinct"},
        {"approx_distinct", "distinct"},
        {"cardinality", "distinct"},
        {"uniq", "distinct"},
        {"unique", "distinct"},
        {"nunique", "distinct"},
        {"hll", "distinct"},
        {"percentile", "quantile"},
        {"percentiles", "quantile"},
        {"median", "quantile"},
        {"p50", "quantile"},
        {"p90", "quantile"},
        {"p95", "quantile"},
        {"p99", "quantile"},
        {"std", "stddev"},
        {"stdev", "stddev"},
        {"stddev_pop", "stddev"},
        {"var", "variance"},
        {"var_pop", "variance"},
        {"mode", "top"},
        {"topk", "top"},
        {"top_k", "top"},
        {"list", "collect"},
        {"array_agg", "collect"},
        {"total", "sum"},
        {"minimum", "min"},
        {"maximum", "max"},
        {"size", "count"},
        {"n", "count"},
        {"argmin", "arg_min"},
        {"min_by", "arg_min"},
        {"argmax", "arg_max"},
        {"max_by", "arg_max"},
        {"any_value", "first"},
        {"buckets", "histogram"},
    };
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (tumble_bytes_equal(word, tumble_bytes_of(synonyms[i].word))) {
            return synonyms[i].function;
        }
    }
    return NULL;
}

/* Each function once, as many as fit: an error's text must not be cut. */
static void list_functions(const char *const *names, size_t count, char list[LIST_BYTES]) {
    size_t length = 0;
    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const char *comma = i ? ", " : "";
        if (length + strlen(comma) + strlen(names[i]) + sizeof ", …" > LIST_BYTES) {
            snprintf(list + length, LIST_BYTES - length, ", …");
            return;
        }
        length += (size_t)snprintf(list + length, LIST_BYTES - length, "%s%s", comma, names[i]);
    }
}

static enum tumble_code no_such_function(struct tw_draft *draft, const struct tw_draft_aggregate *from) {
    const char *names[FUNCTIONS_MAX];
    size_t count = 0;
    char list[LIST_BYTES];
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all && count < FUNCTIONS_MAX; all++) {
        if (tw_name_find(tumble_bytes_of((*all)->name), names, count) < 0) {
            names[count++] = (*all)->name;
        }
    }
    const char *nearest = synonym(from->function);
    if (!nearest || tw_name_find(tumble_bytes_of(nearest), names, count) < 0) {
        nearest = tw_name_nearest(from->function, names, count);
    }
    if (nearest) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte,
                          "%s.function: unknown function \"%.*s\": did you mean \"%s\"?", from->place,
                          tw_shown(from->function), from->function.data, nearest);
    }
    list_functions(names, count, list);
    return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.function: unknown function \"%.*s\" (there are %s)",
                      from->place, tw_shown(from->function), from->function.data, list);
}

static enum tumble_code no_such_type(struct tw_draft *draft, const struct tw_draft_aggregate *from, const char *name) {
    char list[LIST_BYTES] = "";
    size_t length = 0;
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        const char *type = (*all)->type_name;
        if (type && tumble_bytes_equal(from->function, tumble_bytes_of((*all)->name)) &&
            length + strlen(type) + sizeof " or \"\"" <= sizeof list) {
            length += (size_t)snprintf(list + length, sizeof list - length, "%s\"%s\"", length ? " or " : "", type);
        }
    }
    return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.type: %s has no type \"%.*s\": %s%s%s", from->place,
                      name, tw_shown(from->type), from->type.data, length ? "write " : "", list,
                      length ? " or leave the key out" : "leave the key out");
}

/* The same function under a type's name: stddev is stddev of type sample. */
static bool is_same(const struct tw_aggregate *a, const struct tw_aggregate *b) {
    return a->takes == b->takes && a->options == b->options && a->second == b->second && a->prepare == b->prepare &&
           a->column == b->column && a->init == b->init && a->step == b->step && a->merge == b->merge &&
           a->value == b->value && a->encode == b->encode && a->decode == b->decode;
}

/* The embedder's aggregate of this name; *found false: there is none. */
static enum tumble_code find_custom(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                    struct tw_spec_aggregate *out, bool *found) {
    *found = false;
    for (size_t i = 0; i < draft->custom_count; i++) {
        const struct tumble_aggregate *custom = draft->custom[i];
        if (!custom->name || !tumble_bytes_equal(from->function, tumble_bytes_of(custom->name))) {
            continue;
        }
        struct tw_aggregate *table = tw_draft_take(draft, 1, sizeof *table);
        if (!table) {
            return tw_no_memory(draft->err);
        }
        TW_TRY(tw_aggregate_custom(custom, table, draft->err));
        if (from->type.length) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.type: %s has no types", from->place,
                              custom->name);
        }
        out->function = table;
        out->params.custom = custom;
        *found = true;
        return TUMBLE_OK;
    }
    return TUMBLE_OK;
}

static enum tumble_code find_function(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                      const struct tw_aggregate **out) {
    struct tumble_bytes plain = {NULL, 0};
    const struct tw_aggregate *number = tw_aggregate_find(from->function, plain);
    *out = from->type.length ? tw_aggregate_find(from->function, from->type) : number;
    if (!*out && number && number->takes == TW_TAKES_NUMBER &&
        tumble_bytes_equal(from->type, tumble_bytes_of("number"))) {
        *out = number; /* what it is anyway */
    }
    if (*out && number && is_same(*out, number)) {
        *out = number;
    }
    if (*out) {
        return TUMBLE_OK;
    }
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all; all++) {
        if (tumble_bytes_equal(from->function, tumble_bytes_of((*all)->name))) {
            return no_such_type(draft, from, (*all)->name);
        }
    }
    return no_such_function(draft, from);
}

/* ---- fields ---- */

static enum tumble_code resolve(struct tw_draft *draft, const struct tw_draft_aggregate *from, struct tumble_bytes path,
                                const char *key, uint32_t takes, int64_t byte, uint32_t *projected, int32_t *out) {
    size_t field;
    char dotted[80];
    snprintf(dotted, sizeof dotted, ".%s", key);
    TW_TRY(tw_draft_field(draft, path, from->place, dotted, byte, projected, &field));
    *out = (int32_t)field;
    enum tw_field_source source = draft->spec->fields[field].source;
    uint32_t type = source == TW_FIELD_ARRIVAL ? TW_TAKES_NUMBER : TW_TAKES_STRING;
    if (source != TW_FIELD_PAYLOAD && !(takes & type)) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s%s: %.*s is a %s, which %.*s does not take", from->place,
                          dotted, tw_shown(path), path.data, source == TW_FIELD_ARRIVAL ? "number" : "string",
                          tw_shown(from->function), from->function.data);
    }
    return TUMBLE_OK;
}

static enum tumble_code resolve_first(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                      uint32_t *projected, struct tw_spec_aggregate *out) {
    out->field = -1;
    if (from->field.length) {
        return resolve(draft, from, from->field, "field", out->function->takes, from->byte, projected, &out->field);
    }
    if (!out->function->field_optional) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.field is missing: %s of what?", from->place,
                          out->function->name);
    }
    return TUMBLE_OK;
}

static enum tumble_code resolve_second(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                       uint32_t *projected, struct tw_spec_aggregate *out) {
    const struct tw_aggregate *function = out->function;
    out->second_field = -1;
    if (!function->second) {
        return TUMBLE_OK;
    }
    const struct tw_draft_member *member = NULL;
    for (size_t i = 0; i < from->member_count; i++) {
        if (tumble_bytes_equal(from->members[i].name, tumble_bytes_of(function->second))) {
            if (member) { /* on a command line */
                return tw_fail(draft->err, TUMBLE_ESPEC, "%s.%s is given twice: keep one of them", from->place,
                               function->second);
            }
            member = &from->members[i];
        }
    }
    if (!member) {
        return function->second_optional
                   ? TUMBLE_OK
                   : tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.%s is missing: the field that %s goes by",
                                from->place, function->second, function->name);
    }
    struct tumble_bytes path = member->text;
    if (!path.data) {
        if (member->value.type != TUMBLE_TYPE_STRING) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, member->byte, "%s.%s must be a field, not %s", from->place,
                              function->second, tw_json_type_name(member->value.type));
        }
        if (!tw_json_string_take(&member->value, draft->arena, &path)) {
            return tw_no_memory(draft->err);
        }
    }
    if (path.length == 0) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, member->byte, "%s.%s is empty: leave the key out or name something",
                          from->place, function->second);
    }
    return resolve(draft, from, path, function->second, function->second_takes, member->byte, projected,
                   &out->second_field);
}

/* ---- columns ---- */

static enum tumble_code name_columns(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                     struct tw_spec_aggregate *out, struct tw_buf *text, uint32_t *ends) {
    const struct tw_aggregate *function = out->function;
    uint32_t count = 0;
    size_t before = 0;
    for (size_t i = 0; i < draft->spec->aggregate_count; i++) {
        before += draft->spec->aggregates[i].column_count;
    }
    for (bool more = true; more && before + count < TW_COLUMNS_MOST;) {
        /* room beforehand, so that no lack of memory looks like the last column */
        TW_TRY(tw_buf_reserve(text, SUFFIX_BYTES) == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(draft->err));
        more = function->column ? function->column(&out->params, count, text) : count == 0;
        if (more) {
            TW_TRY(tw_buf_append_byte(text, '\0') == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(draft->err));
            ends[count++] = (uint32_t)text->length;
        }
    }
    if (before + count == TW_COLUMNS_MOST) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s: a row may have at most %d columns", from->place,
                          TW_COLUMNS_MOST - 1);
    }
    out->columns = tw_draft_take(draft, count, sizeof *out->columns);
    if (!out->columns) {
        return tw_no_memory(draft->err);
    }
    out->column_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *suffix = text->data + (i ? ends[i - 1] : 0);
        const char *name = tw_draft_print(draft, "%s%s", from->name.data, suffix);
        if (!name) {
            return tw_no_memory(draft->err);
        }
        TW_TRY(tw_draft_check_name(draft, tumble_bytes_of(name), from->place, "name it otherwise", from->byte));
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(out->columns[j], name) == 0) {
                return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s: the column \"%.48s\" would stand twice",
                                  from->place, name);
            }
        }
        out->columns[i] = name;
    }
    out->column_count = count;
    return TUMBLE_OK;
}

static enum tumble_code make_columns(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                     struct tw_spec_aggregate *out) {
    struct tumble_spec *spec = draft->spec;
    struct tw_buf text;
    for (size_t i = 0; i < spec->aggregate_count; i++) { /* the name is that of the partials too */
        if (tumble_bytes_equal(from->name, tumble_bytes_of(spec->aggregates[i].name))) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte,
                              "%s: the name \"%.*s\" is used twice: name it otherwise", from->place,
                              tw_shown(from->name), from->name.data);
        }
    }
    uint32_t *ends = tw_alloc_array(&spec->alloc, TW_COLUMNS_MOST, sizeof *ends);
    if (!ends) {
        return tw_no_memory(draft->err);
    }
    tw_buf_init(&text, spec->alloc, TW_LIMIT_SPEC_BYTES);
    enum tumble_code code = name_columns(draft, from, out, &text, ends);
    tw_buf_clean_up(&text);
    tw_free(&spec->alloc, ends);
    return code;
}

/* ---- aggregates ---- */

static enum tumble_code make_where(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                   struct tw_spec_aggregate *out) {
    if (!from->where.given) {
        return TUMBLE_OK;
    }
    enum tumble_code code = tw_draft_pattern(draft, &from->where, &out->where);
    if (code != TUMBLE_OK && code != TUMBLE_ENOMEM && draft->err) {
        tw_error_prefix(draft->err, "%s.where", from->place);
    }
    return code;
}

static enum tumble_code make_aggregate(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                       uint32_t *projected, struct tw_spec_aggregate *out) {
    struct tumble_spec *spec = draft->spec;
    bool is_custom;
    TW_TRY(find_custom(draft, from, out, &is_custom));
    if (!is_custom) {
        TW_TRY(find_function(draft, from, &out->function));
    }
    TW_TRY(tw_spec_make_options(draft, from, out));
    TW_TRY(resolve_first(draft, from, projected, out));
    TW_TRY(resolve_second(draft, from, projected, out));
    TW_TRY(make_columns(draft, from, out));
    out->name = from->name.data;
    out->state_offset = spec->accumulator_bytes;
    spec->accumulator_bytes += (out->function->state_size + 7) & ~7u;
    if (out->function->growth && ((out->function->takes | out->function->second_takes) & TW_TAKES_STRING)) {
        spec->has_string_values = 1;
    }
    return make_where(draft, from, out);
}

enum tumble_code tw_spec_make_aggregates(struct tw_draft *draft, uint32_t *projected) {
    struct tumble_spec *spec = draft->spec;
    if (draft->aggregate_count == 0) {
        return tw_fail(draft->err, TUMBLE_ESPEC,
                       "aggregates is missing or empty: say what to compute, such as "
                       "\"aggregates\": [{\"name\": \"orders\", \"function\": \"count\"}]");
    }
    spec->aggregates = tw_draft_take(draft, draft->aggregate_count, sizeof *spec->aggregates);
    if (!spec->aggregates) {
        return tw_no_memory(draft->err);
    }
    for (size_t i = 0; i < draft->aggregate_count; i++) {
        enum tumble_code code = make_aggregate(draft, &draft->aggregates[i], projected, &spec->aggregates[i]);
        if (code != TUMBLE_OK) {
            tw_filter_pattern_destroy(spec->aggregates[i].where);
            return code;
        }
        spec->aggregate_count = i + 1;
    }
    return TUMBLE_OK;
}
