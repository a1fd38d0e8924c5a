#include <stdio.h>
#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/apply_tally.h"
#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/string_scan.h"
#include "engine/engine_internal.h"
#include "engine/window/group_key.h"
#include "engine/window/group_memo.h"

/* Records to accumulators, a chunk at a time: gather decides each record's fate and decodes what its group needs,
 * touch finds the groups (all memory is taken here, so this is the last thing that can fail), step changes them. The
 * index slots of a whole chunk are fetched while the chunk is gathered, which hides cache misses at high cardinality.
 */

/* Where a call's records are: in full, or in short. */
struct feed {
    const struct tumble_record *records; /* NULL: shorts */
    const struct tumble_short_record *shorts;
    tumble_lengthen_fn *lengthen;
    void *ctx;
    bool above;                              /* shorts: the number before is a record's behind the window's mark */
    uint64_t number;                         /* of the record before */
    const struct tumble_short_record *first; /* and the last, of those of the call that move the mark; NULL: none */
    const struct tumble_short_record *last;
};

struct chunk {
    size_t records; /* taken from the caller's array */
    size_t pending; /* of them on their way to a group */
    uint64_t fates[TUMBLE_FATE_COUNT];
    uint64_t skipped;
    uint64_t usual;                                /* of those pending: gathered by gather_usual and not counted yet */
    bool alike;                                    /* every pending record takes the steps that the shard remembers */
    size_t firsts;                                 /* of those pending: the first of a new group */
    uint8_t first[TW_CHUNK_RECORDS];               /* which they are, */
    uint8_t other[TW_CHUNK_RECORDS];               /* and which are not */
    const struct tumble_short_record *first_short; /* and the last: of those behind the mark; NULL: none */
    const struct tumble_short_record *last_short;
    struct tumble_bytes last_sequence; /* of the window, as far as gathered; of shorts, as of before the chunk */
    uint64_t last_sub_sequence;
};

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

static struct tw_input input_of(const struct tw_pending *pending) {
    static const struct tw_input nowhere; /* a short one: nobody looks */
    if (!pending->record) {
        return nowhere;
    }
    struct tw_input input = {
        .position = {pending->record->arrival_ms, pending->sequence, pending->record->sub_sequence_number}};
    return input;
}

static void set_values(struct tw_input *input, const struct tw_spec_aggregate *aggregate,
                       const struct tw_value *values) {
    input->value = aggregate->field >= 0 ? &values[aggregate->field] : NULL;
    input->second = aggregate->second_field >= 0 ? &values[aggregate->second_field] : NULL;
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
            struct tw_input input = input_of(pending);
            set_values(&input, aggregate, values);
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

enum { TYPE_BITS = 3, TYPED_FIELDS_MAX = TW_USUAL_FIELDS };
_Static_assert(TYPED_FIELDS_MAX == 64 / TYPE_BITS, "types of as many fields fit a word");
_Static_assert(TUMBLE_TYPE_OBJECT < 1 << TYPE_BITS, "a type's bits");

/* Without filters and checks of their own, which aggregates take a record follows from the types of its fields. */
static bool types_decide(const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        if (spec->aggregates[i].where || spec->aggregates[i].function->check) {
            return false;
        }
    }
    return spec->field_count <= TYPED_FIELDS_MAX;
}

/* Does no step, and nothing before it, ask where a record stands? */
static bool steps_alone(const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_aggregate *function = spec->aggregates[i].function;
        if (!function->step_all || (function->growth && !function->growth_fixed && !function->growth_all)) {
            return false;
        }
    }
    return true;
}

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

/* The text that tells the record's group, where there is such a thing. */
static inline bool memo_text(const struct tumble_spec *spec, const struct tw_value *values, struct tumble_bytes within,
                             struct tw_memo_text *out) {
    const struct tw_value *value = &values[spec->groups[0].field];
    return value->type == TUMBLE_TYPE_STRING && tw_memo_read(value->text, within, out);
}

static inline bool recall(const struct tumble_spec *spec, const struct tw_window *window, const struct tw_value *values,
                          struct tumble_bytes within, struct tw_pending *pending) {
    struct tw_memo_text text;
    return memo_text(spec, values, within, &text) && tw_memo_find(&window->groups, &text, &pending->reference);
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
                                                               const struct chunk *chunk) {
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
                                                               const struct feed *feed, struct tw_pending *pending,
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
                               struct tw_pending *pending, struct tw_value *values, bool *filtered, struct chunk *chunk,
                               struct tumble_error *err) {
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

static struct tw_value *values_of(struct tumble_shard *shard, size_t pending) {
    return shard->values + pending * shard->engine->spec->field_count;
}

static bool takes_step(const struct tw_pending *pending, size_t aggregate) {
    return pending->steps[aggregate / 64] >> aggregate % 64 & 1;
}

/* Everything a chunk needs from memory; states are those of each pending record's group. */
static enum tumble_code touch_groups(struct tumble_shard *shard, struct tw_window *window, struct chunk *chunk,
                                     char **states, struct tumble_error *err) {
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t count = chunk->pending;
    uint32_t growing[TW_LIMIT_AGGREGATES];
    size_t growing_count = 0, growth = 0;
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_aggregate *function = spec->aggregates[a].function;
        if (function->growth_fixed) {
            growth += count * function->growth(NULL, &spec->aggregates[a].params, NULL);
        } else if (function->growth && !(chunk->alike && function->growth_all)) {
            growing[growing_count++] = (uint32_t)a;
        }
    }
    if (window->groups.slot_count >= MANY_SLOTS) {
        for (size_t i = count > SLOTS_AHEAD ? count - SLOTS_AHEAD : 0; i < count; i++) {
            fetch_entry(window, &shard->pending[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct tw_pending *pending = &shard->pending[i];
        const uint32_t groups_before = window->groups.count;
        enum tumble_code code;
        if (pending->recalled) {
            code = tw_group_touch_known(&window->groups, pending->reference);
        } else {
            struct tumble_bytes key = {shard->keys.data + pending->key_offset, pending->key_length};
            struct tw_memo_text text;
            code = tw_group_touch(&window->groups, key, pending->hash, &pending->reference);
            if (code == TUMBLE_OK && window->groups.memo && shard->takes_memo &&
                memo_text(spec, values_of(shard, i), (struct tumble_bytes){NULL, 0}, &text)) {
                tw_memo_keep(&window->groups, &text, pending->reference);
            }
        }
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s: %u groups are open in this window", tumble_code_text(code),
                           window->groups.count);
        }
        const bool is_first = window->groups.count != groups_before;
        chunk->first[chunk->firsts] = (uint8_t)i;
        chunk->other[i - chunk->firsts] = (uint8_t)i;
        chunk->firsts += is_first;
        if (growing_count == 0) {
            continue;
        }
        struct tw_input input = input_of(pending);
        const struct tw_value *values = values_of(shard, i);
        const char *state = (const char *)tw_group_at(&window->groups, pending->reference)->state;
        for (size_t g = 0; g < growing_count; g++) {
            const struct tw_spec_aggregate *aggregate = &spec->aggregates[growing[g]];
            if (takes_step(pending, growing[g])) {
                set_values(&input, aggregate, values);
                growth += aggregate->function->growth(state + aggregate->state_offset, &aggregate->params, &input);
            }
        }
    }
    for (size_t i = 0; i < count; i++) { /* where they stay until the next group is added */
        states[i] = (char *)tw_group_at(&window->groups, shard->pending[i].reference)->state;
    }
    for (size_t a = 0; a < spec->aggregate_count && chunk->alike; a++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[a];
        if (aggregate->function->growth_all && tw_shard_takes(shard, a)) {
            growth += aggregate->function->growth_all(states, aggregate->state_offset, &aggregate->params, count);
        }
    }
    if (growth && !tw_heap_reserve(&window->heap, growth)) {
        return tw_no_memory(err);
    }
    return TUMBLE_OK;
}

/* The states and values of the records that are not the first of their groups. */
struct others {
    size_t count;
    int32_t field; /* whose values they are */
    char *states[TW_CHUNK_RECORDS];
    struct tw_value values[TW_CHUNK_RECORDS];
};

static void gather_values(const struct tumble_shard *shard, const struct chunk *chunk, int32_t field,
                          struct others *others) {
    const size_t stride = shard->engine->spec->field_count;
    for (size_t i = 0; i < others->count; i++) {
        others->values[i] = shard->values[chunk->other[i] * stride + (size_t)field];
    }
    others->field = field;
}

/* Some records are the first of their groups, others are not, and nobody can guess which: each kind by itself. What the
 * first of a group makes of it is known without a look at the group. */
static void step_apart(const struct tumble_shard *shard, struct tw_window *window, const struct chunk *chunk,
                       const struct tw_spec_aggregate *aggregate, char *const *states, struct others *others) {
    const enum tw_form form = aggregate->function->form;
    const uint32_t offset = aggregate->state_offset;
    const size_t stride = shard->engine->spec->field_count;
    const struct tw_value *const values = shard->values + (aggregate->field >= 0 ? aggregate->field : 0);
    for (size_t i = 0; i < chunk->firsts; i++) {
        const size_t at = chunk->first[i];
        tw_begin_in_place(form, states[at] + offset, &values[at * stride].number);
    }
    if (aggregate->field >= 0 && aggregate->field != others->field) {
        gather_values(shard, chunk, aggregate->field, others);
    }
    aggregate->function->step_all(others->states, offset, &aggregate->params, others->values, 1, others->count,
                                  &window->heap);
}

/* Aggregate by aggregate: what is the same for a whole chunk is looked up once, and a call through a pointer that was
 * just called costs little. A group's records are stepped in their order all the same. */
static void step_groups(struct tumble_shard *shard, struct tw_window *window, const struct chunk *chunk,
                        char *const *states) {
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t stride = spec->field_count, count = chunk->pending;
    struct tw_input inputs[TW_CHUNK_RECORDS];
    struct others others;
    bool have_inputs = false;
    others.count = count - chunk->firsts;
    others.field = -1;
    for (size_t i = 0; i < count; i++) {
        struct tw_group *const group = (struct tw_group *)(void *)(states[i] - offsetof(struct tw_group, state));
        group->records++;
    }
    for (size_t i = 0; i < others.count && chunk->firsts; i++) {
        others.states[i] = states[chunk->other[i]];
    }
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[a];
        const uint32_t offset = aggregate->state_offset;
        if (chunk->alike && aggregate->function->step_all) {
            if (!tw_shard_takes(shard, a)) {
                continue;
            }
            if (chunk->firsts && aggregate->function->form != TW_FORM_OTHER) {
                step_apart(shard, window, chunk, aggregate, states, &others);
            } else {
                aggregate->function->step_all(states, offset, &aggregate->params,
                                              aggregate->field >= 0 ? shard->values + aggregate->field : shard->values,
                                              stride, count, &window->heap);
            }
            continue;
        }
        if (!have_inputs) {
            have_inputs = true;
            for (size_t i = 0; i < count; i++) {
                inputs[i] = input_of(&shard->pending[i]);
            }
        }
        void (*const step)(void *, const struct tw_params *, const struct tw_input *, struct tw_heap *) =
            aggregate->function->step;
        const struct tw_params *const params = &aggregate->params;
        const struct tw_value *value = aggregate->field >= 0 ? shard->values + aggregate->field : NULL;
        const struct tw_value *second = aggregate->second_field >= 0 ? shard->values + aggregate->second_field : NULL;
        for (size_t i = 0; i < count; i++) {
            if (takes_step(&shard->pending[i], a)) {
                inputs[i].value = value;
                inputs[i].second = second;
                step(states[i] + offset, params, &inputs[i], &window->heap);
            }
            value = value ? value + stride : NULL;
            second = second ? second + stride : NULL;
        }
    }
}

static struct tumble_bytes sequence_of(const struct feed *feed, const struct tumble_short_record *record,
                                       struct tw_lengthened *out) {
    memset(&out->record, 0, sizeof out->record);
    feed->lengthen(feed->ctx, record, out->text, &out->record);
    struct tumble_bytes sequence = {0};
    return tw_sequence_check(out->record.sequence_number, &sequence, NULL) == TUMBLE_OK ? sequence
                                                                                        : out->record.sequence_number;
}

static void set_first(struct tw_window *window, struct tumble_bytes first) {
    if (window->first_length == 0 && first.length) {
        memcpy(window->first_sequence, first.data, first.length);
        window->first_length = (uint8_t)first.length;
    }
}

static void set_mark(struct tw_window *window, const struct chunk *chunk, struct tumble_bytes first) {
    set_first(window, first);
    if (chunk->last_sequence.data != window->last_sequence && chunk->last_sequence.length) {
        memcpy(window->last_sequence, chunk->last_sequence.data, chunk->last_sequence.length);
        window->last_length = (uint8_t)chunk->last_sequence.length;
    }
    window->last_sub_sequence = chunk->last_sub_sequence;
}

/* The same for all short records of a call at once: nobody looks at the mark before. */
static void set_mark_of_shorts(const struct feed *feed, struct tw_window *window) {
    struct tw_lengthened one;
    if (window->first_length == 0 && feed->first) {
        set_first(window, sequence_of(feed, feed->first, &one));
    }
    if (feed->last) {
        struct tumble_bytes last = sequence_of(feed, feed->last, &one);
        memcpy(window->last_sequence, last.data, last.length);
        window->last_length = (uint8_t)last.length;
        window->last_sub_sequence = one.record.sub_sequence_number;
    }
}

static bool is_duplicate(const struct chunk *chunk, struct tumble_bytes sequence, uint64_t sub_sequence) {
    int order = tw_sequence_compare(sequence, chunk->last_sequence);
    return order < 0 || (order == 0 && sub_sequence <= chunk->last_sub_sequence);
}

/* What gather counts record by record. */
static void count_usual(struct tumble_shard *shard, struct chunk *chunk) {
    chunk->fates[TUMBLE_FATE_APPLIED] += chunk->usual;
    chunk->skipped += chunk->usual * shard->types_skipped;
    for (size_t i = 0; i < shard->engine->spec->field_count && chunk->usual; i++) {
        shard->found[i] += shard->usual_fields[i].type == TUMBLE_TYPE_MISSING ? 0 : chunk->usual;
    }
    chunk->usual = 0;
}

static const struct tumble_record *lengthened(struct tumble_shard *shard, const struct feed *feed,
                                              const struct tumble_short_record *record, size_t place) {
    struct tw_lengthened *one = &shard->lengthened[place];
    memset(&one->record, 0, sizeof one->record);
    feed->lengthen(feed->ctx, record, one->text, &one->record);
    return &one->record;
}

/* Takes up to a chunk of records. *bad is set when the record behind those taken ends the call (bad_records "fail"). */
static enum tumble_code apply_chunk(struct tumble_shard *shard, struct tw_window *window, struct feed *feed, size_t at,
                                    size_t count, struct chunk *chunk, enum tumble_code *bad,
                                    struct tumble_error *err) {
    const struct tumble_record *const records = feed->records ? feed->records + at : NULL;
    const struct tumble_short_record *const shorts = feed->shorts ? feed->shorts + at : NULL;
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t stride = spec->field_count;
    struct tw_value *values = shard->values;
    struct tumble_bytes first = {0};
    char *states[TW_CHUNK_RECORDS];
    size_t failures_mark = shard->failures.length;
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
            if (chunk->usual++ == 0 && !first.length) {
                first = record->sequence_number;
            }
            chunk->pending++;
            values += stride;
            chunk->last_sequence = record->sequence_number;
            chunk->last_sub_sequence = record->sub_sequence_number;
            continue;
        }
        count_usual(shard, chunk); /* this one may change what is usual */
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
            if (!first.length) {
                first = sequence;
            }
            chunk->last_sequence = sequence;
            chunk->last_sub_sequence = record->sub_sequence_number;
        }
    }
    if (code == TUMBLE_OK) {
        code = touch_groups(shard, window, chunk, states, err);
    }
    if (code != TUMBLE_OK) { /* nothing of this chunk happened */
        shard->failures.length = failures_mark;
        *bad = TUMBLE_OK;
        chunk->records = 0;
        return code;
    }
    step_groups(shard, window, chunk, states);
    count_usual(shard, chunk);
    if (shorts) {
        feed->first = feed->first ? feed->first : chunk->first_short;
        feed->last = chunk->last_short ? chunk->last_short : feed->last;
    } else {
        set_mark(window, chunk, first);
    }
    return TUMBLE_OK;
}

enum {
    TALLY_LEAST = 64,   /* records: of fewer, groups are too many for what is saved */
    TALLY_WELL = 128,   /* so many at once were worth it, whatever ended them */
    TALLY_REST_MOST = 4 /* chunks that are taken one by one behind others, as a power of two */
};

/* Takes records whose groups are remembered, many at once. False: the next has to be looked at. */
static bool apply_tally(struct tumble_shard *shard, struct tw_window *window, struct feed *feed, size_t at,
                        size_t count, struct chunk *chunk) {
    if (count < TALLY_LEAST || !window->groups.memo || (feed->shorts && !feed->above)) {
        return false;
    }
    if (shard->tally_rest) {
        shard->tally_rest--;
        return false;
    }
    struct tw_tally_source source = {.records = feed->records ? feed->records + at : NULL,
                                     .shorts = feed->shorts ? feed->shorts + at : NULL,
                                     .count = count,
                                     .number = feed->number,
                                     .last = tw_window_last(window)};
    const size_t taken = tw_shard_tally(shard, window, &source);
    if (taken < count && taken < TALLY_WELL) {
        shard->tally_misses += shard->tally_misses < TALLY_REST_MOST;
        shard->tally_rest = 1u << shard->tally_misses;
    } else {
        shard->tally_misses = 0;
    }
    if (taken == 0) {
        return false;
    }
    memset(chunk, 0, sizeof *chunk);
    chunk->records = chunk->usual = taken;
    count_usual(shard, chunk);
    if (source.shorts) {
        feed->first = feed->first ? feed->first : &source.shorts[0];
        feed->last = &source.shorts[taken - 1];
        feed->number = feed->last->number;
    } else {
        chunk->last_sequence = source.records[taken - 1].sequence_number;
        chunk->last_sub_sequence = source.records[taken - 1].sub_sequence_number;
        set_mark(window, chunk, source.records[0].sequence_number);
    }
    return true;
}

static enum tumble_code apply_feed(struct tumble_shard *shard, int64_t window_start_ms, struct feed *feed, size_t count,
                                   struct tumble_apply_result *result, struct tumble_error *err);

static enum tumble_code check_window(const struct tumble_shard *shard, int64_t window_start_ms,
                                     struct tumble_error *err) {
    if (shard->engine->read_only) {
        return tw_fail(err, TUMBLE_EINVAL, "the engine was opened read-only");
    }
    if (window_start_ms < 0 || window_start_ms > TUMBLE_TIMESTAMP_MAX_MS ||
        window_start_ms % shard->engine->window_ms != 0) {
        return tw_fail(err, TUMBLE_EINVAL, "no window of %lld ms begins at %lld ms",
                       (long long)shard->engine->window_ms, (long long)window_start_ms);
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_apply(struct tumble_shard *shard, int64_t window_start_ms,
                                    const struct tumble_record *records, size_t count,
                                    struct tumble_apply_result *result, struct tumble_error *err) {
    if (result) {
        memset(result, 0, sizeof *result);
    }
    TW_TRY(check_window(shard, window_start_ms, err));
    return tw_shard_apply_at(shard, window_start_ms, records, count, result, err);
}

enum tumble_code tumble_shard_apply_short(struct tumble_shard *shard, int64_t window_start_ms,
                                          const struct tumble_short_record *records, size_t count,
                                          tumble_lengthen_fn *lengthen, void *ctx, struct tumble_apply_result *result,
                                          struct tumble_error *err) {
    struct feed feed = {.shorts = records, .lengthen = lengthen, .ctx = ctx};
    if (result) {
        memset(result, 0, sizeof *result);
    }
    TW_TRY(check_window(shard, window_start_ms, err));
    if (!shard->lengthened) {
        shard->lengthened = tw_alloc_array(&shard->engine->alloc, TW_CHUNK_RECORDS, sizeof *shard->lengthened);
        if (!shard->lengthened) {
            return tw_no_memory(err);
        }
        shard->steps_alone = steps_alone(shard->engine->spec);
    }
    return apply_feed(shard, window_start_ms, &feed, count, result, err);
}

enum tumble_code tw_shard_apply_at(struct tumble_shard *shard, int64_t window_start_ms,
                                   const struct tumble_record *records, size_t count,
                                   struct tumble_apply_result *result, struct tumble_error *err) {
    struct feed feed = {.records = records};
    return apply_feed(shard, window_start_ms, &feed, count, result, err);
}

static enum tumble_code apply_feed(struct tumble_shard *shard, int64_t window_start_ms, struct feed *feed, size_t count,
                                   struct tumble_apply_result *result, struct tumble_error *err) {
    struct tumble_apply_result none;
    if (!result) {
        result = &none;
    }
    memset(result, 0, sizeof *result);
    struct tumble_error own; /* reasons are needed for failures even when the caller wants no text */
    if (!err) {
        err = &own;
    }
    struct tw_window *window;
    TW_TRY(tw_shard_window(shard, window_start_ms, &window, err));
    shard->types_decide = types_decide(shard->engine->spec);
    shard->takes_memo = shard->engine->spec->group_count == 1;
    while (result->processed < count) {
        struct chunk chunk;
        enum tumble_code bad = TUMBLE_OK, code = TUMBLE_OK;
        if (shard->takes_memo) {
            tw_memo_consider(&window->groups, window->records);
        }
        if (!apply_tally(shard, window, feed, result->processed, count - result->processed, &chunk)) {
            code = apply_chunk(shard, window, feed, result->processed, count - result->processed, &chunk, &bad, err);
        }
        if (code != TUMBLE_OK || bad != TUMBLE_OK || result->processed + chunk.records >= count) {
            set_mark_of_shorts(feed, window);
        }
        if (code != TUMBLE_OK) {
            err->record = (int64_t)result->processed;
            return code;
        }
        if (chunk.records) {
            uint64_t processed = chunk.records - chunk.fates[TUMBLE_FATE_DUPLICATE];
            window->records += processed;
            window->changed = true;
            window->used_at = shard->engine->counters.commits;
            shard->records += chunk.records;
            shard->skipped += chunk.skipped;
            result->processed += chunk.records;
            for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
                shard->fates[fate] += chunk.fates[fate];
                result->fates[fate] += chunk.fates[fate];
            }
        }
        if (bad != TUMBLE_OK) {
            err->code = TUMBLE_ERECORD;
            err->record = (int64_t)result->processed;
            return TUMBLE_ERECORD;
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_reject(struct tumble_shard *shard, const struct tumble_record *record,
                                     enum tumble_fate fate, const char *reason, struct tumble_error *err) {
    if (fate != TUMBLE_FATE_LATE && fate != TUMBLE_FATE_DUPLICATE && fate != TUMBLE_FATE_BAD) {
        return tw_fail(err, TUMBLE_EINVAL, "a record can be rejected as late, duplicate or bad");
    }
    if (fate != TUMBLE_FATE_DUPLICATE) {
        TW_TRY(tw_failure_record(shard, record, fate, reason, err));
    }
    shard->records++;
    shard->fates[fate]++;
    return TUMBLE_OK;
}
