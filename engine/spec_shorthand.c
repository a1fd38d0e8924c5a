#include "engine/spec_draft.h"

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json.h"

/* Overrides: parts of a spec as they stand on a command line.
 *
 *     group_by    [NAME=]PATH       a PATH that begins with '/' is taken whole
 *     aggregates  [NAME=]FUNCTION([FIELD][, KEY=VALUE]…[, TYPE])
 *
 * NAME is by default FUNCTION, or FUNCTION_FIELD: "count()" is count, "sum(amount)" is sum_amount. KEY is what an
 * aggregate of the spec may hold: an option, the second field, type or where; one given several times is a list:
 * "p=quantile(latency_ms, q=0.5, q=0.99)". FIELD ends at the first comma with a KEY= or a type behind it, so that it
 * may hold others; commas inside the braces, brackets and strings of a where divide nothing. */

enum { ARGUMENTS_BYTES = 16 * 1024 };

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

/* A type that some function has. */
static bool is_type(struct tumble_bytes text) {
    bool found = tumble_bytes_equal(text, tumble_bytes_of("number"));
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all && !found; all++) {
        found = (*all)->type_name && tumble_bytes_equal(text, tumble_bytes_of((*all)->type_name));
    }
    return found;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/* The '=' behind the KEY at the beginning of text, or NULL. */
static const char *key_end(struct tumble_bytes text) {
    size_t i = 0;
    while (i < text.length && is_letter(text.data[i])) {
        i++;
    }
    size_t letters = i;
    while (i < text.length && (text.data[i] == ' ' || text.data[i] == '\t')) {
        i++;
    }
    return letters && i < text.length && text.data[i] == '=' ? text.data + i : NULL;
}

/* The comma that ends the first argument of text, or its end: of one outside of JSON's brackets and strings. */
static const char *argument_end(struct tumble_bytes text) {
    const char *end = text.data + text.length;
    bool quoted = false;
    size_t depth = 0;
    const char *at = text.data;
    for (; at < end && (quoted || depth || *at != ','); at++) {
        if (quoted) {
            if (*at == '\\' && at + 1 < end) {
                at++;
            } else {
                quoted = *at != '"';
            }
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && depth) {
            depth--;
        }
    }
    return at;
}

static bool begins_argument(struct tumble_bytes text) {
    text = trim(text);
    return text.length && (key_end(text) || is_type(part(text.data, argument_end(text))));
}

/* Where the field of the arguments ends. */
static const char *field_end(struct tumble_bytes text) {
    const char *end = text.data + text.length;
    if (key_end(text)) {
        return text.data;
    }
    for (const char *at = text.data; at < end; at++) {
        if (*at == ',' && begins_argument(part(at + 1, end))) {
            return at;
        }
    }
    return end;
}

static enum tumble_code keep(struct tw_draft *draft, struct tumble_bytes text, struct tumble_bytes *out) {
    out->length = text.length;
    out->data = tw_draft_print(draft, "%.*s", (int)text.length, text.data);
    return out->data ? TUMBLE_OK : tw_no_memory(draft->err);
}

static enum tumble_code group(struct tw_draft *draft, const char *text, struct tw_draft_group *out) {
    struct tumble_bytes whole = trim(tumble_bytes_of(text));
    struct tumble_bytes name = {NULL, 0};
    if (whole.length > TW_LIMIT_PATH_BYTES) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "a group-by field has more than %d bytes", TW_LIMIT_PATH_BYTES);
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

static enum tumble_code twice(struct tw_draft *draft, const struct tw_draft_aggregate *out, const char *key) {
    return tw_fail(draft->err, TUMBLE_ESPEC, "%s.%s is given twice: keep one of them", out->place, key);
}

static enum tumble_code argument(struct tw_draft *draft, struct tumble_bytes text, struct tw_draft_aggregate *out) {
    const char *equals = key_end(text);
    if (!equals && !is_type(text)) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "%s: expected KEY=VALUE behind the field, such as q=0.5, not \"%.*s\"",
                       out->place, tw_shown(text), text.length ? text.data : "");
    }
    struct tumble_bytes key = equals ? part(text.data, equals) : tumble_bytes_of("type");
    struct tumble_bytes value = equals ? part(equals + 1, text.data + text.length) : text;
    if (value.length == 0) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "%s.%.*s is empty: leave the key out or give it a value", out->place,
                       tw_shown(key), key.data);
    }
    if (tumble_bytes_equal(key, tumble_bytes_of("type"))) {
        return out->type.length ? twice(draft, out, "type") : keep(draft, value, &out->type);
    }
    if (tumble_bytes_equal(key, tumble_bytes_of("field"))) {
        return out->field.length ? twice(draft, out, "field") : keep(draft, value, &out->field);
    }
    if (tumble_bytes_equal(key, tumble_bytes_of("where"))) {
        if (out->where.given) {
            return twice(draft, out, "where");
        }
        out->where.given = true;
        out->where.byte = -1;
        return keep(draft, value, &out->where.text);
    }
    struct tw_draft_member *member = &out->members[out->member_count++];
    member->byte = -1;
    TW_TRY(keep(draft, key, &member->name));
    return keep(draft, value, &member->text);
}

/* What stands behind the field: every comma begins an argument. */
static enum tumble_code arguments(struct tw_draft *draft, struct tumble_bytes text, struct tw_draft_aggregate *out) {
    size_t most = 1;
    for (size_t i = 0; i < text.length; i++) {
        most += text.data[i] == ',';
    }
    out->members = tw_draft_take(draft, most, sizeof *out->members);
    if (!out->members) {
        return tw_no_memory(draft->err);
    }
    const char *end = text.data + text.length;
    const char *at = text.data;
    while (at < end) {
        const char *comma = argument_end((struct tumble_bytes){at, (size_t)(end - at)});
        TW_TRY(argument(draft, part(at, comma), out));
        at = comma < end ? comma + 1 : end;
    }
    return TUMBLE_OK;
}

static enum tumble_code aggregate(struct tw_draft *draft, const char *text, struct tw_draft_aggregate *out) {
    struct tumble_bytes whole = trim(tumble_bytes_of(text));
    if (whole.length > ARGUMENTS_BYTES) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "an aggregate has more than %d bytes: write it in the spec",
                       ARGUMENTS_BYTES);
    }
    out->byte = -1;
    out->place = tw_draft_print(draft, "aggregate \"%.60s\"", text);
    if (!out->place) {
        return tw_no_memory(draft->err);
    }
    const char *open = whole.length ? memchr(whole.data, '(', whole.length) : NULL;
    const char *end = whole.data + whole.length;
    struct tumble_bytes head = open ? part(whole.data, open) : whole;
    const char *equals = last_of(head, '='); /* a name may hold some */
    struct tumble_bytes name = equals ? part(head.data, equals) : part(head.data, head.data);
    struct tumble_bytes function = equals ? part(equals + 1, head.data + head.length) : head;
    if (!open || end[-1] != ')' || function.length == 0 || (equals && name.length == 0)) {
        return tw_fail(draft->err, TUMBLE_ESPEC,
                       "%s: expected FUNCTION(FIELD) or NAME=FUNCTION(FIELD), such as revenue=sum(amount)", out->place);
    }
    struct tumble_bytes inside = part(open + 1, end - 1);
    const char *behind = field_end(inside);
    struct tumble_bytes field = part(inside.data, behind);
    end = inside.data + inside.length;
    TW_TRY(keep(draft, function, &out->function));
    if (field.length) {
        TW_TRY(keep(draft, field, &out->field));
    }
    behind += behind < end && *behind == ',';
    TW_TRY(arguments(draft, part(behind, end), out));
    field = out->field;
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
    if (overrides->partials) {
        draft->partials = overrides->partials > 0 ? TW_PARTIALS_ON : TW_PARTIALS_OFF;
    }
    return lay_lists(draft, overrides);
}
