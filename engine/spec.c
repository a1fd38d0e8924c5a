#include "engine/spec_draft.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/field_path.h"
#include "engine/codec/hash.h"
#include "engine/codec/json.h"

/* From draft to spec: names and fields are checked and resolved, then the canonical text is written. */

enum { NAME_BYTES = 255, CANONICAL_BYTES = 4 * TW_LIMIT_SPEC_BYTES };

void *tw_draft_take(struct tw_draft *draft, size_t count, size_t size) {
    size_t total;
    void *block = tw_mul_ok(count, size, &total) ? tw_arena_take(draft->arena, total ? total : 1) : NULL;
    if (block) {
        memset(block, 0, total);
    }
    return block;
}

const char *tw_draft_print(struct tw_draft *draft, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : tw_arena_take(draft->arena, (size_t)length + 1);
    if (text) {
        va_start(args, format);
        vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    return text;
}

static bool has_control(struct tumble_bytes text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

/* ---- fields ---- */

static const struct {
    const char *name;
    enum tw_field_source source;
} attributes[] = {{"$partitionKey", TW_FIELD_PARTITION_KEY},
                  {"$shardId", TW_FIELD_SHARD_ID},
                  {"$sequenceNumber", TW_FIELD_SEQUENCE},
                  {"$arrival", TW_FIELD_ARRIVAL}};

/* Paths up to here stand whole in the codec's message; of longer ones a part must do, lest the message be cut. */
enum { PATH_SHOWN = 80 };

static enum tumble_code check_path(struct tw_draft *draft, struct tumble_bytes path, const char *place, const char *key,
                                   int64_t byte) {
    struct tumble_error why;
    enum tumble_code code = tw_field_path_check(path, &why);
    if (code == TUMBLE_OK) {
        return TUMBLE_OK;
    }
    if (path.length > PATH_SHOWN && path.length <= TW_LIMIT_PATH_BYTES) {
        return tw_fail_at(draft->err, code, byte, "%s%s: the path \"%.*s…\" is malformed at its byte %lld: %s", place,
                          key, tw_shown(path), path.data, (long long)why.byte,
                          path.data[0] == '/' ? "a ~ in a pointer must be written ~0, a / within a key ~1"
                                              : "a part is empty");
    }
    return tw_fail_at(draft->err, code, byte, "%s%s: %s", place, key, why.text);
}

static enum tumble_code no_such_attribute(struct tw_draft *draft, struct tumble_bytes path, const char *place,
                                          const char *key, int64_t byte) {
    const char *names[sizeof attributes / sizeof *attributes];
    char plain[PATH_SHOWN];
    size_t length = 0;
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        names[i] = attributes[i].name;
    }
    for (size_t i = 0; i < path.length && length < sizeof plain; i++) { /* $partition_key is near $partitionKey */
        if (path.data[i] != '_' && path.data[i] != '-') {
            plain[length++] = path.data[i];
        }
    }
    const char *nearest = tw_name_nearest((struct tumble_bytes){plain, length}, names, sizeof names / sizeof *names);
    if (nearest) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte,
                          "%s%s: a record has no attribute \"%.*s\": did you mean \"%s\"? (a key of the payload that "
                          "begins with $ is written \"/$…\")",
                          place, key, tw_shown(path), path.data, nearest);
    }
    return tw_fail_at(
        draft->err, TUMBLE_ESPEC, byte,
        "%s%s: a record has no attribute \"%.*s\": there are $partitionKey, $shardId, $sequenceNumber and "
        "$arrival (a key of the payload is written \"/$…\")",
        place, key, tw_shown(path), path.data);
}

static enum tumble_code resolve_source(struct tw_draft *draft, struct tumble_bytes path, const char *place,
                                       const char *key, int64_t byte, enum tw_field_source *source) {
    *source = TW_FIELD_PAYLOAD;
    if (path.data[0] != '$') {
        return check_path(draft, path, place, key, byte);
    }
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        if (tumble_bytes_equal(path, tumble_bytes_of(attributes[i].name))) {
            *source = attributes[i].source;
            return TUMBLE_OK;
        }
    }
    return no_such_attribute(draft, path, place, key, byte);
}

static enum tumble_code same_field(struct tw_draft *draft, const struct tw_spec_field *field,
                                   struct tumble_bytes canonical, bool *same) {
    struct tw_buf text;
    tw_buf_init(&text, draft->spec->alloc, 2 * TW_LIMIT_PATH_BYTES);
    enum tumble_code code = tw_field_path_canonical(field->path, &text);
    *same = code == TUMBLE_OK && tumble_bytes_equal(tw_buf_view(&text), canonical);
    tw_buf_clean_up(&text);
    return code == TUMBLE_OK ? code : tw_no_memory(draft->err);
}

static enum tumble_code find_field(struct tw_draft *draft, struct tumble_bytes canonical, size_t *index) {
    struct tumble_spec *spec = draft->spec;
    for (*index = 0; *index < spec->field_count; ++*index) {
        bool same;
        TW_TRY(same_field(draft, &spec->fields[*index], canonical, &same));
        if (same) {
            break;
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_draft_field(struct tw_draft *draft, struct tumble_bytes path, const char *place, const char *key,
                                int64_t byte, uint32_t *projected, size_t *index) {
    struct tumble_spec *spec = draft->spec;
    enum tw_field_source source;
    struct tw_buf canonical;
    TW_TRY(resolve_source(draft, path, place, key, byte, &source));
    tw_buf_init(&canonical, spec->alloc, 2 * TW_LIMIT_PATH_BYTES);
    enum tumble_code code = tw_field_path_canonical(path, &canonical);
    code = code == TUMBLE_OK ? find_field(draft, tw_buf_view(&canonical), index) : tw_no_memory(draft->err);
    tw_buf_clean_up(&canonical);
    if (code == TUMBLE_OK && *index == spec->field_count) {
        struct tw_spec_field *field = &spec->fields[spec->field_count++];
        field->source = source;
        field->path = path;
        field->projected = source == TW_FIELD_PAYLOAD ? (*projected)++ : 0;
    }
    return code;
}

/* ---- names ---- */

enum tumble_code tw_draft_check_name(struct tw_draft *draft, struct tumble_bytes name, const char *place,
                                     const char *remedy, int64_t byte) {
    static const char *const reserved[] = {"window_start", "window_end", "shard_id",  "fragment", "last_sequence",
                                           "records",      "shards",     "fragments", "_partials"};
    struct tumble_spec *spec = draft->spec;
    if (name.length == 0 || name.length > NAME_BYTES || has_control(name)) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte,
                          "%s: a column's name must have 1 to %d bytes and no control characters: %s", place,
                          NAME_BYTES, remedy);
    }
    if (tw_name_find(name, reserved, sizeof reserved / sizeof *reserved) >= 0) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s: \"%.*s\" is a column that every row has: %s", place,
                          tw_shown(name), name.data, remedy);
    }
    bool used = false;
    for (size_t i = 0; i < spec->group_count; i++) {
        used |= tumble_bytes_equal(name, tumble_bytes_of(spec->groups[i].name));
    }
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        for (uint32_t j = 0; j < aggregate->column_count && !used; j++) {
            used = tumble_bytes_equal(name, tumble_bytes_of(aggregate->columns[j]));
        }
    }
    if (used) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s: the name \"%.*s\" is used twice: %s", place,
                          tw_shown(name), name.data, remedy);
    }
    return TUMBLE_OK;
}

/* ---- groups ---- */

static enum tumble_code make_groups(struct tw_draft *draft, uint32_t *projected) {
    struct tumble_spec *spec = draft->spec;
    spec->groups = tw_draft_take(draft, draft->group_count, sizeof *spec->groups);
    if (!spec->groups) {
        return tw_no_memory(draft->err);
    }
    for (size_t i = 0; i < draft->group_count; i++) {
        const struct tw_draft_group *from = &draft->groups[i];
        struct tumble_bytes name = from->name.length ? from->name : from->path;
        size_t field;
        TW_TRY(tw_draft_field(draft, from->path, from->place, "", from->byte, projected, &field));
        TW_TRY(tw_draft_check_name(draft, name, from->place, "give the column another name with as", from->byte));
        spec->groups[i].name = name.data;
        spec->groups[i].field = (uint32_t)field;
        spec->group_count = i + 1;
    }
    return TUMBLE_OK;
}

static enum tumble_code make_fields(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    uint32_t projected = 0;
    spec->fields = tw_draft_take(draft, draft->group_count + 2 * draft->aggregate_count, sizeof *spec->fields);
    if (!spec->fields) {
        return tw_no_memory(draft->err);
    }
    TW_TRY(make_groups(draft, &projected));
    TW_TRY(tw_spec_make_aggregates(draft, &projected));
    if (projected > TW_LIMIT_FIELDS) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "%u different fields: at most %d are allowed", projected,
                       TW_LIMIT_FIELDS);
    }
    return TUMBLE_OK;
}

/* ---- window, time, where, outputs ---- */

static enum tumble_code make_time(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    const struct tw_draft_text *field = &draft->timestamp_field;
    const struct tw_draft_text *format = &draft->timestamp_format;
    if (draft->window_seconds > TUMBLE_TIMESTAMP_MAX_MS / 1000) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, draft->window_byte,
                          "a window of %lld seconds is longer than all of time", (long long)draft->window_seconds);
    }
    spec->window_seconds = draft->window_seconds;
    if (field->given) {
        enum tw_field_source source;
        if (field->text.length == 0) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, field->byte, "%s is empty", field->place);
        }
        TW_TRY(resolve_source(draft, field->text, field->place, "", field->byte, &source));
        if (source != TW_FIELD_PAYLOAD) {
            return tw_fail_at(
                draft->err, TUMBLE_ESPEC, field->byte,
                "%s: \"%.*s\" is no field of the payload; without timestamp a record's arrival time counts",
                field->place, tw_shown(field->text), field->text.data);
        }
        spec->timestamp_field = tw_arena_take(draft->arena, field->text.length + 1);
        if (!spec->timestamp_field) {
            return tw_no_memory(draft->err);
        }
        memcpy(spec->timestamp_field, field->text.data, field->text.length);
        spec->timestamp_field[field->text.length] = '\0';
    } else if (format->given) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, format->byte, "%s is given, but no timestamp field that has it",
                          format->place);
    }
    if (format->given) {
        enum tumble_code code = tumble_timestamp_format_parse(&spec->timestamp_format, format->text, draft->err);
        if (code != TUMBLE_OK && draft->err) {
            draft->err->byte = format->byte;
            tw_error_prefix(draft->err, "%s", format->place);
        }
        return code;
    }
    return TUMBLE_OK;
}

/* "a" must be an object or an array: shows the array it should have been. */
static void show_list(struct tumble_error *err, struct tumble_bytes pattern) {
    struct tumble_value value;
    size_t consumed;
    if (err->byte < 0 || (size_t)err->byte >= pattern.length || !strstr(err->text, "must be an object or an array")) {
        return;
    }
    size_t at = (size_t)err->byte;
    at -= at > 0 && pattern.data[at - 1] == '"';
    struct tumble_bytes rest = {pattern.data + at, pattern.length - at};
    size_t length = strlen(err->text);
    enum { IN_FRONT = 128 }; /* room for which aggregate's filter it is */
    if (tw_json_value(rest, 1, &value, &consumed, NULL) == TUMBLE_OK && consumed < 40 &&
        length + consumed + sizeof ": write []" + IN_FRONT < sizeof err->text) {
        struct tumble_error made = *err;
        tw_fail_at(err, made.code, made.byte, "%s: write [%.*s]", made.text, (int)consumed, rest.data);
    }
}

enum tumble_code tw_draft_pattern(struct tw_draft *draft, const struct tw_draft_text *where,
                                  struct tw_filter_pattern **out) {
    enum tumble_code code = tw_filter_pattern_new(where->text, draft->spec->alloc, out, draft->err);
    if (code != TUMBLE_OK) {
        *out = NULL;
        if (draft->err && draft->err->byte >= 0) { /* relative to the pattern */
            show_list(draft->err, where->text);
            draft->err->byte = where->byte < 0 ? -1 : where->byte + draft->err->byte;
        }
    }
    return code;
}

static enum tumble_code make_where(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    if (!draft->where.given) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_draft_pattern(draft, &draft->where, &spec->where));
    struct tw_buf text;
    tw_buf_init(&text, spec->alloc, TW_LIMIT_SPEC_BYTES);
    enum tumble_code code = tw_filter_pattern_canonical(spec->where, &text);
    if (code == TUMBLE_OK) {
        spec->where_text = tw_arena_take(draft->arena, text.length + 1);
    }
    if (spec->where_text) {
        memcpy(spec->where_text, text.data, text.length);
        spec->where_text[text.length] = '\0';
    }
    tw_buf_clean_up(&text);
    return spec->where_text ? TUMBLE_OK : tw_no_memory(draft->err);
}

static enum tumble_code take_destination(struct tw_draft *draft, const struct tw_draft_text *from, char **out) {
    if (from->text.length == 0 || has_control(from->text)) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s must name a destination such as file:rows.ndjson",
                          from->place);
    }
    char *copy = tw_arena_take(draft->arena, from->text.length + 1);
    if (!copy) {
        return tw_no_memory(draft->err);
    }
    memcpy(copy, from->text.data, from->text.length);
    copy[from->text.length] = '\0';
    *out = copy;
    return TUMBLE_OK;
}

static enum tumble_code make_destinations(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    spec->outputs = tw_draft_take(draft, draft->output_count, sizeof *spec->outputs);
    if (!spec->outputs) {
        return tw_no_memory(draft->err);
    }
    for (size_t i = 0; i < draft->output_count; i++) {
        TW_TRY(take_destination(draft, &draft->outputs[i], &spec->outputs[i]));
        for (size_t j = 0; j < i; j++) {
            if (strcmp(spec->outputs[i], spec->outputs[j]) == 0) {
                return tw_fail_at(draft->err, TUMBLE_ESPEC, draft->outputs[i].byte, "%s: \"%.48s\" is named twice",
                                  draft->outputs[i].place, spec->outputs[i]);
            }
        }
        spec->output_count = i + 1;
    }
    if (draft->failures.given) {
        TW_TRY(take_destination(draft, &draft->failures, &spec->failures));
    }
    if (draft->bad_records.given) {
        struct tumble_bytes text = draft->bad_records.text;
        spec->divert_bad_records = tumble_bytes_equal(text, tumble_bytes_of("divert"));
        if (!spec->divert_bad_records && !tumble_bytes_equal(text, tumble_bytes_of("fail"))) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, draft->bad_records.byte,
                              "%s must be \"fail\" or \"divert\", not \"%.*s\"", draft->bad_records.place,
                              tw_shown(text), text.length ? text.data : "");
        }
    }
    return TUMBLE_OK;
}

/* ---- canonical text ---- */

static enum tumble_code make_canonical(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    struct tw_buf text;
    tw_buf_init(&text, spec->alloc, CANONICAL_BYTES);
    enum tumble_code code = tw_spec_append_canonical(&text, spec);
    if (code == TUMBLE_OK) {
        spec->canonical = tw_arena_take(draft->arena, text.length + 1);
    }
    if (spec->canonical) {
        memcpy(spec->canonical, text.data, text.length);
        spec->canonical[text.length] = '\0';
        spec->canonical_length = text.length;
        spec->digest = tw_hash64(spec->canonical, spec->canonical_length);
    }
    tw_buf_clean_up(&text);
    return spec->canonical ? TUMBLE_OK : tw_no_memory(draft->err);
}

static enum tumble_code make_digests(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    struct tw_buf text;
    tw_buf_init(&text, spec->alloc, CANONICAL_BYTES);
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < spec->aggregate_count && code == TUMBLE_OK; i++) {
        tw_buf_clear(&text);
        code = tw_spec_append_origin(&text, spec, &spec->aggregates[i]);
        spec->aggregates[i].digest = (uint32_t)tw_hash64(text.data, text.length);
    }
    tw_buf_clean_up(&text);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(draft->err);
}

/* A second face of the spec, all but its columns and its canonical text shared: rows carry partials (design R16). */
static enum tumble_code make_fragmented(struct tw_draft *draft) {
    struct tumble_spec *spec = draft->spec;
    if (draft->partials != TW_PARTIALS_OPEN || !tw_spec_needs_partials(spec)) {
        return TUMBLE_OK;
    }
    struct tumble_spec *fragmented = tw_draft_take(draft, 1, sizeof *fragmented);
    if (!fragmented) {
        return tw_no_memory(draft->err);
    }
    *fragmented = *spec;
    fragmented->partials = true;
    fragmented->canonical = NULL;
    draft->spec = fragmented;
    enum tumble_code code = make_canonical(draft);
    code = code == TUMBLE_OK ? tw_spec_explain(draft) : code;
    draft->spec = spec;
    spec->fragmented = fragmented;
    return code;
}

/* ---- public ---- */

static enum tumble_code build(struct tw_draft *draft, const struct tumble_spec_overrides *overrides) {
    TW_TRY(tw_draft_read(draft));
    TW_TRY(tw_draft_override(draft, overrides));
    draft->custom = overrides ? overrides->custom : NULL;
    draft->custom_count = overrides ? overrides->custom_count : 0;
    draft->spec->partials_given = draft->partials;
    draft->spec->partials = draft->partials == TW_PARTIALS_ON;
    TW_TRY(make_time(draft));
    TW_TRY(make_where(draft));
    TW_TRY(make_fields(draft));
    TW_TRY(make_destinations(draft));
    TW_TRY(make_canonical(draft));
    TW_TRY(make_digests(draft));
    TW_TRY(tw_spec_explain(draft));
    return make_fragmented(draft);
}

enum tumble_code tumble_spec_parse(struct tumble_bytes json, const struct tumble_spec_overrides *overrides,
                                   struct tumble_alloc alloc, struct tumble_spec **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = NULL;
    struct tumble_spec *spec = tw_alloc_zero(&alloc, sizeof *spec);
    if (!spec) {
        return tw_no_memory(err);
    }
    spec->alloc = alloc;
    tw_arena_init(&spec->arena, alloc);
    struct tw_draft draft = {.spec = spec, .arena = &spec->arena, .json = json, .err = err, .window_byte = -1};
    enum tumble_code code = build(&draft, overrides);
    if (code != TUMBLE_OK) {
        tumble_spec_destroy(spec);
        return code;
    }
    *out = spec;
    return TUMBLE_OK;
}

void tumble_spec_destroy(struct tumble_spec *spec) {
    if (spec) {
        struct tumble_alloc alloc = spec->alloc;
        tw_filter_pattern_destroy(spec->where);
        for (size_t i = 0; i < spec->aggregate_count; i++) {
            tw_filter_pattern_destroy(spec->aggregates[i].where);
        }
        tw_arena_clean_up(&spec->arena);
        tw_free(&alloc, spec);
    }
}

int64_t tumble_spec_window_seconds(const struct tumble_spec *spec) { return spec->window_seconds; }

struct tumble_bytes tumble_spec_timestamp_field(const struct tumble_spec *spec) {
    return tumble_bytes_of(spec->timestamp_field);
}

const struct tumble_timestamp_format *tumble_spec_timestamp_format(const struct tumble_spec *spec) {
    return &spec->timestamp_format;
}

size_t tumble_spec_output_count(const struct tumble_spec *spec) { return spec->output_count; }

struct tumble_bytes tumble_spec_output(const struct tumble_spec *spec, size_t index) {
    return tumble_bytes_of(index < spec->output_count ? spec->outputs[index] : NULL);
}

struct tumble_bytes tumble_spec_failures(const struct tumble_spec *spec) {
    return tumble_bytes_of(spec->failures);
}

int tumble_spec_diverts_bad_records(const struct tumble_spec *spec) { return spec->divert_bad_records; }

int tumble_spec_has_partials(const struct tumble_spec *spec) { return spec->partials; }

const struct tumble_spec *tumble_spec_for_fragments(const struct tumble_spec *spec) {
    return spec->fragmented ? spec->fragmented : spec;
}

struct tumble_bytes tumble_spec_canonical(const struct tumble_spec *spec) {
    struct tumble_bytes text = {spec->canonical, spec->canonical_length};
    return text;
}

uint64_t tumble_spec_digest(const struct tumble_spec *spec) { return spec->digest; }

size_t tumble_spec_column_count(const struct tumble_spec *spec) { return spec->column_count; }

const struct tumble_column *tumble_spec_column(const struct tumble_spec *spec, size_t index) {
    return index < spec->column_count ? &spec->columns[index] : NULL;
}

struct tumble_bytes tumble_spec_where(const struct tumble_spec *spec) {
    return tumble_bytes_of(spec->where_text);
}
