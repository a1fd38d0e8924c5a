#include <stdio.h>
#include <string.h>

#include "engine/apply_chunk.h"
#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/string_scan.h"
#include "engine/window/group_key.h"

/* ---- a record's values ---- */

static enum tumble_code unescape(struct tumble_shard *shard, const struct tumble_value *from, struct tumble_bytes *out,
                                 struct tumble_error *err) {
    /* Undoing escapes never makes a string longer: a buffer of that size over arena memory cannot have to grow. */
    char *memory = tw_arena_take(&shard->text, from->length);
    if (!memory) {
        return tw_no_memory(err);
    }
    struct tw_buf text = {.alloc = shard->engine->alloc, .data = memory, .capacity = from->length, .cap = from->length};
    enum tumble_code code = tw_json_unescape(from, &text);
    *out = tw_buf_view(&text);
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static void arrival_value(struct tw_value *out, int64_t arrival_ms) {
    char text[24];
    int length = snprintf(text, sizeof text, "%lld", (long long)arrival_ms);
    out->type = TUMBLE_TYPE_NUMBER;
    tw_decimal_parse(&out->number, text, (size_t)length, NULL);
}

static const char *type_name(uint8_t type) {
    static const char *const names[] = {"nothing",  "null",     "false",    "true",
                                        "a number", "a string", "an array", "an object"};
    return type < sizeof names / sizeof *names ? names[type] : "something unknown";
}

/* Decodes one field of a record. Errors: ETYPE, ENUMBER (the record is bad), ENOMEM. */
static __attribute__((noinline)) enum tumble_code
decode_field(struct tumble_shard *shard, const struct tw_spec_field *field, const struct tumble_record *record,
             struct tumble_bytes sequence, const struct tumble_value *projected, struct tw_value *out,
             struct tumble_error *err) {
    if (field->source == TW_FIELD_PAYLOAD) {
        const struct tumble_value *value = &projected[shard->engine->first_spec_field + field->projected];
        out->type = value->type;
        switch (value->type) {
        case TUMBLE_TYPE_NUMBER: {
            enum tumble_code code = tw_decimal_parse(&out->number, value->text, value->length, err);
            if (code != TUMBLE_OK) {
                tw_error_prefix(err, "field %.*s", (int)field->path.length, field->path.data);
                if (err) {
                    err->byte = record->data.data ? value->text - record->data.data : -1;
                }
            }
            return code;
        }
        case TUMBLE_TYPE_STRING:
            if (value->flags & TUMBLE_VALUE_ESCAPED) {
                return unescape(shard, value, &out->text, err);
            }
            out->text.data = value->text;
            out->text.length = value->length;
            return TUMBLE_OK;
        case TUMBLE_TYPE_ARRAY:
        case TUMBLE_TYPE_OBJECT:
            return tw_fail_at(err, TUMBLE_ETYPE, record->data.data ? value->text - record->data.data : -1,
                              "field %.*s is %s: a group or an aggregate takes a number, a string or a boolean",
                              (int)field->path.length, field->path.data, type_name(value->type));
        default: return TUMBLE_OK;
        }
    }
    switch (field->source) {
    case TW_FIELD_PARTITION_KEY: out->text = record->partition_key; break;
    case TW_FIELD_SHARD_ID: out->text = tumble_shard_id(shard); break;
    case TW_FIELD_SEQUENCE: out->text = sequence; break;
    default: arrival_value(out, record->arrival_ms); return TUMBLE_OK;
    }
    out->type = TUMBLE_TYPE_STRING;
    return TUMBLE_OK;
}

/* Where a field's value stands in the record; -1: not in its data. */
static int64_t byte_of(const struct tumble_shard *shard, const struct tumble_record *record,
                       const struct tumble_value *projected, const struct tw_spec_field *field) {
    const char *text = field->source == TW_FIELD_PAYLOAD && record->data.data
                           ? projected[shard->engine->first_spec_field + field->projected].text
                           : NULL;
    return text ? text - record->data.data : -1;
}

static inline bool is_too_long(const struct tw_aggregate *function, const struct tw_value *value) {
    return value->type == TUMBLE_TYPE_STRING && value->text.length > TW_LIMIT_STRING_VALUE_BYTES && function->growth &&
           !function->any_length;
}

/* Refuses a value that its aggregate does not take. */
static __attribute__((cold, noinline)) enum tumble_code
refuse_value(const struct tumble_shard *shard, const struct tumble_record *record, const struct tumble_value *projected,
             const struct tw_spec_aggregate *aggregate, int32_t field_index, const struct tw_value *value,
             struct tumble_error *err) {
    const struct tw_spec_field *field = &shard->engine->spec->fields[field_index];
    int64_t byte = byte_of(shard, record, projected, field);
    if (is_too_long(aggregate->function, value)) {
        return tw_fail_at(err, TUMBLE_ELIMIT, byte,
                          "field %.*s has %zu bytes: aggregate %s keeps strings of at most %d", (int)field->path.length,
                          field->path.data, value->text.length, aggregate->function->name, TW_LIMIT_STRING_VALUE_BYTES);
    }
    return tw_fail_at(err, TUMBLE_ETYPE, byte, "field %.*s is %s: aggregate %s(%.*s) does not take it",
                      (int)field->path.length, field->path.data, type_name(value->type), aggregate->function->name,
                      (int)field->path.length, field->path.data);
}
/* Which aggregates take this record, and is every value one they take? (R15: checked for all before any steps.) */
static __attribute__((noinline)) enum tumble_code
choose_steps(const struct tumble_shard *shard, const struct tumble_record *record, const struct tumble_value *projected,
             const struct tw_value *values, struct tw_pending *pending, uint64_t *skipped, struct tumble_error *err) {
    const struct tumble_engine *engine = shard->engine;
    const struct tumble_spec *spec = engine->spec;
    const struct tw_spec_aggregate *const aggregates = spec->aggregates;
    const size_t count = spec->aggregate_count;
    memset(pending->steps, 0, sizeof pending->steps);
    for (size_t i = 0; i < count; i++) {
        const struct tw_spec_aggregate *aggregate = &aggregates[i];
        const struct tw_aggregate *function = aggregate->function;
        if (aggregate->where && !tw_filter_pattern_match(aggregate->where, projected + engine->aggregate_where[i])) {
            continue;
        }
        const struct tw_value *value = aggregate->field >= 0 ? &values[aggregate->field] : NULL;
        const struct tw_value *second = aggregate->second_field >= 0 ? &values[aggregate->second_field] : NULL;
        if ((value && value->type <= TUMBLE_TYPE_NULL) || (second && second->type <= TUMBLE_TYPE_NULL)) {
            (*skipped)++;
            continue;
        }
        if (value && (!(function->takes >> value->type & 1) || is_too_long(function, value))) {
            return refuse_value(shard, record, projected, aggregate, aggregate->field, value, err);
        }
        if (second && (!(function->second_takes >> second->type & 1) || is_too_long(function, second))) {
            return refuse_value(shard, record, projected, aggregate, aggregate->second_field, second, err);
        }
        if (function->check) {
            struct tw_input input = tw_pending_input(pending);
            tw_input_values(&input, aggregate, values);
            enum tumble_code code = function->check(&aggregate->params, &input, err);
            if (code != TUMBLE_OK) {
                tw_error_prefix(err, "aggregate %s", aggregate->name);
                int32_t field = aggregate->second_field >= 0 ? aggregate->second_field : aggregate->field;
                if (err && field >= 0) {
                    err->byte = byte_of(shard, record, projected, &spec->fields[field]);
                }
                return code;
            }
        }
        pending->steps[i / 64] |= UINT64_C(1) << i % 64;
    }
    return TUMBLE_OK;
}

enum { TYPE_BITS = 3 };
_Static_assert(TW_USUAL_FIELDS == 64 / TYPE_BITS, "types of as many fields fit a word");
_Static_assert(TUMBLE_TYPE_OBJECT < 1 << TYPE_BITS, "a type's bits");

struct types {
    uint64_t bits;  /* of every field, one behind the other; of use only where types decide */
    size_t longest; /* string */
};

/* decode_field, for nearly every field there is; values of the payload begin at own and lie behind begin. */
static inline __attribute__((always_inline)) enum tumble_code
decode_usual(struct tumble_shard *shard, const struct tw_spec_field *field, const struct tumble_record *record,
             struct tumble_bytes sequence, const struct tumble_value *projected, const struct tumble_value *own,
             const char *begin, struct tw_value *out, struct tumble_error *err) {
    const struct tumble_value *value = &own[field->projected];
    if (field->source == TW_FIELD_PAYLOAD && value->type == TUMBLE_TYPE_STRING &&
        !(value->flags & TUMBLE_VALUE_ESCAPED)) {
        out->type = TUMBLE_TYPE_STRING;
        out->text.data = value->text;
        out->text.length = value->length;
        return TUMBLE_OK;
    }
    if (field->source == TW_FIELD_PAYLOAD && value->type == TUMBLE_TYPE_NUMBER && begin &&
        tw_decimal_parse_in(&out->number, begin, value->text, value->length, NULL) == TUMBLE_OK) {
        out->type = TUMBLE_TYPE_NUMBER;
        return TUMBLE_OK;
    }
    return decode_field(shard, field, record, sequence, projected, out, err);
}

/* The types of this record's fields are remembered: what gather_usual needs to know of them. */
static void remember_usual(struct tumble_shard *shard, const struct tw_value *values) {
    const struct tumble_engine *engine = shard->engine;
    const struct tumble_spec *spec = engine->spec;
    shard->usual = !spec->where;
    for (size_t i = 0; i < spec->field_count; i++) {
        shard->usual_fields[i].projected = (uint32_t)engine->first_spec_field + spec->fields[i].projected;
        shard->usual_fields[i].type = values[i].type;
        shard->usual = shard->usual && spec->fields[i].source == TW_FIELD_PAYLOAD;
    }
}

/* choose_steps, remembered: nearly every record has values of the types that the one before it had. */
static inline enum tumble_code choose_steps_again(struct tumble_shard *shard, const struct tumble_record *record,
                                                  const struct tumble_value *projected, const struct tw_value *values,
                                                  const struct types *types, struct tw_pending *pending,
                                                  uint64_t *skipped, bool *alike, struct tumble_error *err) {
    const bool usable = shard->types_decide && types->longest <= TW_LIMIT_STRING_VALUE_BYTES;
    if (usable && shard->types_known && shard->types == types->bits) {
        memcpy(pending->steps, shard->types_steps, sizeof pending->steps);
        *skipped += shard->types_skipped;
        return TUMBLE_OK;
    }
    uint64_t skips = 0;
    *alike = false;
    TW_TRY(choose_steps(shard, record, projected, values, pending, &skips, err));
    if (usable) {
        shard->types_known = true;
        remember_usual(shard, values);
        shard->types = types->bits;
        shard->types_skipped = skips;
        memcpy(shard->types_steps, pending->steps, sizeof pending->steps);
    }
    *skipped += skips;
    return TUMBLE_OK;
}

/* Appends the record's group key to shard->keys. */
static enum tumble_code put_key(struct tumble_shard *shard, const struct tw_value *values, struct tw_pending *pending,
                                struct tumble_error *err) {
    const struct tumble_spec *spec = shard->engine->spec;
    size_t bound = 0;
    for (size_t i = 0; i < spec->group_count; i++) {
        bound += tw_group_key_bound(&values[spec->groups[i].field]);
    }
    if (shard->keys.capacity - shard->keys.length <= bound) { /* there is a place even for a key of no values */
        enum tumble_code code = tw_buf_reserve(&shard->keys, bound + 1);
        if (code != TUMBLE_OK) {
            return tw_no_memory(err);
        }
    }
    char *start = shard->keys.data + shard->keys.length;
    char *at = start;
    for (size_t i = 0; i < spec->group_count; i++) {
        at += tw_group_key_put(&values[spec->groups[i].field], at);
    }
    size_t length = (size_t)(at - start);
    if (length > TW_LIMIT_GROUP_KEY_BYTES) {
        return tw_fail(err, TUMBLE_ELIMIT, "the group's values have %zu bytes: at most %d", length,
                       TW_LIMIT_GROUP_KEY_BYTES);
    }
    pending->key_offset = (uint32_t)shard->keys.length;
    pending->key_length = (uint32_t)length;
    shard->keys.length += length;
    return TUMBLE_OK;
}

static inline bool recall(const struct tumble_spec *spec, const struct tw_window *window, const struct tw_value *values,
                          struct tumble_bytes within, struct tw_pending *pending) {
    struct tw_memo_text text;
    return tw_values_memo_text(spec, values, within, &text) &&
           tw_memo_find(&window->groups, &text, &pending->reference);
}

/* As tw_engine_key_hash has it. */
static inline uint32_t key_hash(const struct tumble_shard *shard, const struct tw_value *values,
                                const struct tw_pending *pending) {
    if (TW_OFTEN(shard->takes_memo)) {
        const struct tw_value *const value = &values[shard->engine->spec->groups[0].field];
        const size_t length = value->text.length;
        if (TW_OFTEN(value->type == TUMBLE_TYPE_STRING && length >= TW_KEY_WORDS_LEAST && length <= TW_KEY_WORDS_MOST &&
                     pending->key_length == length + TW_KEY_AROUND)) {
            return (uint32_t)tw_group_text_hash(value->text.data, length, shard->engine->hash_seed);
        }
    }
    struct tumble_bytes key = {shard->keys.data + pending->key_offset, pending->key_length};
    return tw_engine_key_hash(shard->engine, key);
}

enum {
    MANY_SLOTS = 4096, /* their entries are not in a cache of the first level */
    SLOTS_AHEAD = 16   /* records between a slot's fetch and that of the entry it names */
};

static inline void fetch_entry(const struct tw_window *window, const struct tw_pending *pending) {
    if (!pending->recalled) {
        tw_group_prefetch_entry(&window->groups, pending->hash);
    }
}

/* Recalls the record's group, or makes its key and fetches the place where it will be looked for. Values mostly lie
 * within the record's data. */
static inline enum tumble_code find_group(struct tumble_shard *shard, const struct tw_window *window,
                                          const struct tw_value *values, struct tumble_bytes within,
                                          struct tw_pending *pending, struct tumble_error *err) {
    pending->recalled =
        window->groups.memo && shard->takes_memo && recall(shard->engine->spec, window, values, within, pending);
    if (!pending->recalled) {
        TW_TRY(put_key(shard, values, pending, err));
        pending->hash = key_hash(shard, values, pending);
        tw_group_prefetch(&window->groups, pending->hash);
        if (window->groups.slot_count >= MANY_SLOTS && pending - shard->pending >= SLOTS_AHEAD) {
            fetch_entry(window, pending - SLOTS_AHEAD);
        }
    }
    return TUMBLE_OK;
}

/* The values of a record whose fields are of the types that are remembered, without escapes and not too long. False:
 * look again. */
static inline __attribute__((always_inline)) bool decode_all_usual(const struct tumble_shard *shard,
                                                                   const struct tumble_value *projected,
                                                                   struct tumble_bytes text, struct tw_value *values) {
    const size_t count = shard->engine->spec->field_count;
    const char *const data = text.data;
    for (size_t i = 0; i < count; i++) {
        const struct tumble_value *value = &projected[shard->usual_fields[i].projected];
        if (value->type != shard->usual_fields[i].type) {
            return false;
        }
        if (value->type == TUMBLE_TYPE_STRING) {
            if ((value->flags & TUMBLE_VALUE_ESCAPED) || value->length > TW_LIMIT_STRING_VALUE_BYTES) {
                return false;
            }
            values[i].text.data = value->text;
            values[i].text.length = value->length;
        } else if (value->type == TUMBLE_TYPE_NUMBER) {
            /* What the caller projected may lie anywhere; in data the bytes before it can be read, too. */
            const bool inside = data && (uintptr_t)value->text - (uintptr_t)data < text.length;
            if (tw_decimal_parse_in(&values[i].number, inside ? data : value->text, value->text, value->length, NULL) !=
                TUMBLE_OK) {
                return false;
            }
        }
        values[i].type = value->type;
    }
    return true;
}

/* gather for nearly every record: it follows the one before it, and its values are as usual. */
static inline __attribute__((always_inline)) bool gather_usual(struct tumble_shard *shard,
                                                               const struct tumble_record *record,
                                                               struct tw_pending *pending, struct tw_value *values,
                                                               const struct tw_chunk *chunk) {
    const struct tumble_value *projected = record->values;
    if (record->bad || (uint64_t)record->arrival_ms > (uint64_t)TUMBLE_TIMESTAMP_MAX_MS ||
        !tw_sequence_follows(record->sequence_number, chunk->last_sequence) ||
        (!projected && tumble_project_like(shard->engine->projection, &shard->layout, record->data, 1, shard->projected,
                                           NULL, NULL) != TUMBLE_OK)) {
        return false;
    }
    if (!decode_all_usual(shard, projected ? projected : shard->projected, record->data, values)) {
        return false;
    }
    pending->record = record;
    pending->sequence = record->sequence_number;
    memcpy(pending->steps, shard->types_steps, sizeof pending->steps);
    return true;
}

/* The same for a short one, where nothing else is looked at. */
static inline __attribute__((always_inline)) bool gather_short(const struct tumble_shard *shard,
                                                               const struct tumble_short_record *record,
                                                               const struct tw_feed *feed, struct tw_pending *pending,
                                                               struct tw_value *values) {
    if (!feed->above || record->number <= feed->number ||
        (uint64_t)record->arrival_ms > (uint64_t)TUMBLE_TIMESTAMP_MAX_MS ||
        !decode_all_usual(shard, record->values, record->data, values)) {
        return false;
    }
    pending->record = NULL;
    memcpy(pending->steps, shard->types_steps, sizeof pending->steps);
    return true;
}

/* Decides a record's fate and, when it will be applied, fills pending and its values. A code other than OK, ENOMEM and
 * EINTERNAL says why the record is bad. */
static enum tumble_code gather(struct tumble_shard *shard, const struct tw_window *window,
                               const struct tumble_record *record, struct tumble_bytes sequence,
                               struct tw_pending *pending, struct tw_value *values, bool *filtered,
                               struct tw_chunk *chunk, struct tumble_error *err) {
    const struct tumble_engine *engine = shard->engine;
    const struct tumble_spec *spec = engine->spec;
    const struct tumble_value *projected = record->values;
    if (record->bad) {
        return tw_fail(err, TUMBLE_ETYPE, "%s", record->bad);
    }
    if (record->arrival_ms < 0 || record->arrival_ms > TUMBLE_TIMESTAMP_MAX_MS) {
        return tw_fail(err, TUMBLE_ETIMESTAMP, "its arrival time, %lld ms, is not within 1970 to 9999",
                       (long long)record->arrival_ms);
    }
    if (!projected) {
        TW_TRY(tumble_project_like(engine->projection, &shard->layout, record->data, 1, shard->projected, NULL, err));
        projected = shard->projected;
    }
    if (spec->where && !tw_filter_pattern_match(spec->where, projected + engine->first_where_field)) {
        *filtered = true;
        return TUMBLE_OK;
    }
    const char *const begin =
        record->values ? NULL : record->data.data; /* what the caller projected may lie anywhere */
    const struct tumble_value *const own = projected + engine->first_spec_field;
    const size_t count = spec->field_count;
    uint64_t *const found = shard->found;
    struct types types = {0, 0};
    for (size_t i = 0; i < count; i++) {
        struct tw_value *value = &values[i];
        TW_TRY(decode_usual(shard, &spec->fields[i], record, sequence, projected, own, begin, value, err));
        found[i] += value->type != TUMBLE_TYPE_MISSING;
        types.bits = types.bits << TYPE_BITS | value->type;
        if (value->type == TUMBLE_TYPE_STRING && value->text.length > types.longest) {
            types.longest = value->text.length;
        }
    }
    uint64_t skips = 0;
    pending->record = record;
    pending->sequence = sequence;
    TW_TRY(choose_steps_again(shard, record, projected, values, &types, pending, &skips, &chunk->alike, err));
    TW_TRY(find_group(shard, window, values, record->data, pending, err));
    chunk->skipped += skips;
    return TUMBLE_OK;
}

/* ---- a chunk of records ---- */

static bool is_duplicate(const struct tw_chunk *chunk, struct tumble_bytes sequence, uint64_t sub_sequence) {
    int order = tw_sequence_compare(sequence, chunk->last_sequence);
    return order < 0 || (order == 0 && sub_sequence <= chunk->last_sub_sequence);
}

void tw_chunk_count_usual(struct tumble_shard *shard, struct tw_chunk *chunk) {
    chunk->fates[TUMBLE_FATE_APPLIED] += chunk->usual;
    chunk->skipped += chunk->usual * shard->types_skipped;
    for (size_t i = 0; i < shard->engine->spec->field_count && chunk->usual; i++) {
        shard->found[i] += shard->usual_fields[i].type == TUMBLE_TYPE_MISSING ? 0 : chunk->usual;
    }
    chunk->usual = 0;
}

static const struct tumble_record *lengthened(struct tumble_shard *shard, const struct tw_feed *feed,
                                              const struct tumble_short_record *record, size_t place) {
    struct tw_lengthened *one = &shard->lengthened[place];
    memset(&one->record, 0, sizeof one->record);
    feed->lengthen(feed->ctx, record, one->text, &one->record);
    return &one->record;
}

enum tumble_code tw_chunk_gather(struct tumble_shard *shard, const struct tw_window *window, struct tw_feed *feed,
                                 size_t at, size_t count, struct tw_chunk *chunk, enum tumble_code *bad,
                                 struct tumble_error *err) {
    const struct tumble_record *const records = feed->records ? feed->records + at : NULL;
    const struct tumble_short_record *const shorts = feed->shorts ? feed->shorts + at : NULL;
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t stride = spec->field_count;
    struct tw_value *values = shard->values;
    memset(chunk, 0, sizeof *chunk);
    chunk->alike = shard->types_decide;
    chunk->last_sequence = tw_window_last(window);
    chunk->last_sub_sequence = window->last_sub_sequence;
    tw_buf_clear(&shard->keys);
    tw_arena_reset(&shard->text);
    enum tumble_code code = TUMBLE_OK;
    for (; chunk->records < count && chunk->pending < TW_CHUNK_RECORDS; chunk->records++) {
        struct tw_pending *const pending = &shard->pending[chunk->pending];
        const struct tumble_record *record = NULL;
        if (shorts) {
            const struct tumble_short_record *const one = &shorts[chunk->records];
            if (TW_OFTEN(shard->usual && shard->types_decide && shard->steps_alone) &&
                TW_OFTEN(gather_short(shard, one, feed, pending, values)) &&
                TW_OFTEN(find_group(shard, window, values, one->data, pending, err) == TUMBLE_OK)) {
                chunk->first_short = chunk->first_short ? chunk->first_short : one;
                chunk->last_short = one;
                feed->number = one->number;
                chunk->usual++;
                chunk->pending++;
                values += stride;
                continue;
            }
            record = lengthened(shard, feed, one, chunk->pending);
        } else if (record = &records[chunk->records],
                   TW_OFTEN(shard->usual && shard->types_decide) &&
                       TW_OFTEN(gather_usual(shard, record, pending, values, chunk)) &&
                       TW_OFTEN(find_group(shard, window, values, record->data, pending, err) == TUMBLE_OK)) {
            if (chunk->usual++ == 0 && !chunk->first_sequence.length) {
                chunk->first_sequence = record->sequence_number;
            }
            chunk->pending++;
            values += stride;
            chunk->last_sequence = record->sequence_number;
            chunk->last_sub_sequence = record->sub_sequence_number;
            continue;
        }
        tw_chunk_count_usual(shard, chunk); /* this one may change what is usual */
        struct tumble_bytes sequence = {0};
        /* A short one whose number is above that of one behind the mark is behind it, too. */
        const bool follows = shorts ? feed->above && shorts[chunk->records].number > feed->number
                                    : tw_sequence_follows(record->sequence_number, chunk->last_sequence);
        if (follows && !shorts) {
            sequence = record->sequence_number;
            code = TUMBLE_OK;
        } else {
            code = tw_sequence_check(record->sequence_number, &sequence, err);
        }
        bool filtered = false;
        if (code == TUMBLE_OK) {
            if (!follows && (feed->above || is_duplicate(chunk, sequence, record->sub_sequence_number))) {
                chunk->fates[TUMBLE_FATE_DUPLICATE]++;
                continue;
            }
            code = gather(shard, window, record, sequence, pending, values, &filtered, chunk, err);
        }
        if (code == TUMBLE_ENOMEM) {
            break;
        }
        if (code != TUMBLE_OK) {
            if (code == TUMBLE_EJSON || code == TUMBLE_EUTF8 || code == TUMBLE_EDEPTH) {
                tw_error_prefix(err, "its data is not JSON");
            }
            if (!spec->divert_bad_records) {
                *bad = code;
                code = TUMBLE_OK;
                break;
            }
            code = tw_failure_record(shard, record, TUMBLE_FATE_BAD, err ? err->text : NULL, err);
            if (code != TUMBLE_OK) {
                break;
            }
            chunk->fates[TUMBLE_FATE_BAD]++;
        } else if (filtered) {
            chunk->fates[TUMBLE_FATE_FILTERED]++;
        } else {
            chunk->fates[TUMBLE_FATE_APPLIED]++;
            chunk->pending++;
            values += stride;
        }
        if (shorts && sequence.length) {
            chunk->first_short = chunk->first_short ? chunk->first_short : &shorts[chunk->records];
            chunk->last_short = &shorts[chunk->records];
            feed->number = shorts[chunk->records].number;
            feed->above = true;
        } else if (sequence.length) { /* a diverted record without a proper sequence number moves no mark */
            if (!chunk->first_sequence.length) {
                chunk->first_sequence = sequence;
            }
            chunk->last_sequence = sequence;
            chunk->last_sub_sequence = record->sub_sequence_number;
        }
    }
    if (code == TUMBLE_OK && window->groups.slot_count >= MANY_SLOTS) {
        const size_t pending = chunk->pending;
        for (size_t i = pending > SLOTS_AHEAD ? pending - SLOTS_AHEAD : 0; i < pending; i++) {
            fetch_entry(window, &shard->pending[i]);
        }
    }
    return code;
}
