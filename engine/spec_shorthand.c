#include "engine/spec_draft.h"

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json.h"

/* Overrides: parts of a spec as they stand on a command line.
 *
 *     group_by    [NAME=]PATH       a PATH that begins with '/' is taken whole
 *     aggregates  [NAME=]FUNCTION([FIELD][, TYPE])
 *
 * NAME is by default FUNCTION, or FUNCTION_FIELD: "count()" is count, "sum(amount)" is sum_amount. TYPE is told from a
 * field that holds a comma by being one of the types there are. */

static struct tumble_bytes trim(struct tumble_bytes text) {
    while (text.length && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.length--;
    }
    while (text.length && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

static struct tumble_bytes part(const char *begin, const char *end) {
    struct tumble_bytes text = {begin, (size_t)(end - begin)};
    return trim(text);
}

/* The last c in text, or NULL. */
static const char *last_of(struct tumble_bytes text, char c) {
    for (size_t i = text.length; i > 0; i--) {
        if (text.data[i - 1] == c) {
            return text.data + i - 1;
        }
    }
    return NULL;
}

static bool is_type(struct tumble_bytes text) {
    static const char *const names[] = {"number", "string"};
    return tw_name_find(text, names, sizeof names / sizeof *names) >= 0;
}

static enum tumble_code keep(struct tw_draft *draft, struct tumble_bytes text, struct tumble_bytes *out) {
    out->length = text.length;
    out->data = tw_draft_print(draft, "%.*s", (int)text.length, text.data);
    return out->data ? TUMBLE_OK : tw_no_memory(draft->err);
}

static enum tumble_code too_long(struct tw_draft *draft, const char *what) {
    return tw_fail(draft->err, TUMBLE_ESPEC, "%s has more than %d bytes", what, TW_LIMIT_PATH_BYTES);
}

static enum tumble_code group(struct tw_draft *draft, const char *text, struct tw_draft_group *out) {
    struct tumble_bytes whole = trim(tumble_bytes_of(text));
    struct tumble_bytes name = {NULL, 0};
    if (whole.length > TW_LIMIT_PATH_BYTES) {
        return too_long(draft, "a group-by field");
    }
    const char *equals = whole.length && whole.data[0] != '/' ? memchr(whole.data, '=', whole.length) : NULL;
    out->byte = -1;
    out->place = tw_draft_print(draft, "group-by \"%.60s\"", text);
    if (!out->place) {
        return tw_no_memory(draft->err);
    }
    if (equals) {
        name = part(whole.data, equals);
        whole = part(equals + 1, whole.data + whole.length);
    }
    if (whole.length == 0 || (equals && name.length == 0)) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "%s: expected FIELD or NAME=FIELD, such as country=geo.country",
                       out->place);
    }
    if (equals) {
        TW_TRY(keep(draft, name, &out->name));
    }
    return keep(draft, whole, &out->path);
}

static enum tumble_code aggregate(struct tw_draft *draft, const char *text, struct tw_draft_aggregate *out) {
    struct tumble_bytes whole = trim(tumble_bytes_of(text));
    if (whole.length > 2 * TW_LIMIT_PATH_BYTES) {
        return too_long(draft, "an aggregate");
    }
    out->byte = -1;
    out->place = tw_draft_print(draft, "aggregate \"%.60s\"", text);
    if (!out->place) {
        return tw_no_memory(draft->err);
    }
    const char *open = whole.length ? memchr(whole.data, '(', whole.length) : NULL;
    const char *end = whole.data + whole.length;
    struct tumble_bytes head = open ? part(whole.data, open) : whole;
    const char *equals = last_of(head, '=');
    struct tumble_bytes name = equals ? part(head.data, equals) : part(head.data, head.data);
    struct tumble_bytes function = equals ? part(equals + 1, head.data + head.length) : head;
    if (!open || end[-1] != ')' || function.length == 0 || (equals && name.length == 0)) {
        return tw_fail(draft->err, TUMBLE_ESPEC,
                       "%s: expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)", out->place);
    }
    struct tumble_bytes field = part(open + 1, end - 1);
    const char *comma = last_of(field, ',');
    if (comma && is_type(part(comma + 1, field.data + field.length))) {
        TW_TRY(keep(draft, part(comma + 1, field.data + field.length), &out->type));
        field = part(field.data, comma);
    }
    TW_TRY(keep(draft, function, &out->function));
    if (field.length) {
        TW_TRY(keep(draft, field, &out->field));
    }
    if (equals) {
        return keep(draft, name, &out->name);
    }
    out->name.data = tw_draft_print(draft, "%.*s%s%.*s", (int)function.length, function.data, field.length ? "_" : "",
                                    (int)field.length, field.data);
    out->name.length = function.length + (field.length ? 1 + field.length : 0);
    return out->name.data ? TUMBLE_OK : tw_no_memory(draft->err);
}

static void lay_text(struct tw_draft_text *text, const char *override, const char *place) {
    if (override) {
        text->text = tumble_bytes_of(override);
        text->place = place;
        text->byte = -1;
        text->given = true;
    }
}

static enum tumble_code too_many(struct tw_draft *draft, const char *what, size_t count, int most) {
    return tw_fail(draft->err, TUMBLE_ESPEC, "%zu %s: at most %d are allowed", count, what, most);
}

static enum tumble_code lay_lists(struct tw_draft *draft, const struct tumble_spec_overrides *overrides) {
    if (overrides->group_by_count) {
        if (overrides->group_by_count > TW_LIMIT_GROUP_FIELDS) {
            return too_many(draft, "group-by fields", overrides->group_by_count, TW_LIMIT_GROUP_FIELDS);
        }
        draft->group_count = overrides->group_by_count;
        draft->groups = tw_draft_take(draft, draft->group_count, sizeof *draft->groups);
        for (size_t i = 0; i < draft->group_count; i++) {
            TW_TRY(draft->groups ? group(draft, overrides->group_by[i], &draft->groups[i]) : tw_no_memory(draft->err));
        }
    }
    if (overrides->aggregate_count) {
        if (overrides->aggregate_count > TW_LIMIT_AGGREGATES) {
            return too_many(draft, "aggregates", overrides->aggregate_count, TW_LIMIT_AGGREGATES);
        }
        draft->aggregate_count = overrides->aggregate_count;
        draft->aggregates = tw_draft_take(draft, draft->aggregate_count, sizeof *draft->aggregates);
        for (size_t i = 0; i < draft->aggregate_count; i++) {
            TW_TRY(draft->aggregates ? aggregate(draft, overrides->aggregates[i], &draft->aggregates[i])
                                     : tw_no_memory(draft->err));
        }
    }
    if (overrides->output_count) {
        if (overrides->output_count > TW_LIMIT_OUTPUTS) {
            return too_many(draft, "outputs", overrides->output_count, TW_LIMIT_OUTPUTS);
        }
        draft->output_count = overrides->output_count;
        draft->outputs = tw_draft_take(draft, draft->output_count, sizeof *draft->outputs);
        if (!draft->outputs) {
            return tw_no_memory(draft->err);
        }
        for (size_t i = 0; i < draft->output_count; i++) {
            lay_text(&draft->outputs[i], overrides->outputs[i], "output");
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_draft_override(struct tw_draft *draft, const struct tumble_spec_overrides *overrides) {
    if (!overrides) {
        return TUMBLE_OK;
    }
    if (overrides->window_seconds) {
        if (overrides->window_seconds < 0) {
            return tw_fail(draft->err, TUMBLE_ESPEC, "the window must be a whole number of seconds from 1, not %lld",
                           (long long)overrides->window_seconds);
        }
        draft->window_seconds = overrides->window_seconds;
        draft->window_byte = -1;
    }
    lay_text(&draft->timestamp_field, overrides->timestamp_field, "timestamp field");
    lay_text(&draft->timestamp_format, overrides->timestamp_format, "timestamp format");
    lay_text(&draft->where, overrides->where, "where");
    lay_text(&draft->failures, overrides->failures, "failures");
    lay_text(&draft->bad_records, overrides->bad_records, "bad records");
    return lay_lists(draft, overrides);
}
