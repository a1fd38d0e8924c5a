#include "adapters/inputs/kinesis/get_records_body.h"

#include <string.h>

#include <tumble/timestamp.h>

#include "adapters/aws/aws_text.h"
#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/codec/base64.h"
#include "engine/codec/json.h"
#include "engine/codec/json_lex.h"

enum { FIRST_RECORDS = 512, TEXT_SPARE = 64 };

void tw_get_records_init(struct tw_get_records *answer, struct tumble_alloc alloc) {
    memset(answer, 0, sizeof *answer);
    answer->alloc = tw_alloc_or_default(alloc);
    tw_buf_init(&answer->text, answer->alloc, SIZE_MAX / 4);
}

void tw_get_records_clean_up(struct tw_get_records *answer) {
    tw_free(&answer->alloc, answer->records);
    answer->records = NULL;
    answer->count = answer->capacity = 0;
    tw_buf_clean_up(&answer->text);
}

bool tw_hash_key_read(struct tumble_bytes digits, struct tumble_kinesis_hash *out) {
    uint32_t limbs[4] = {0}; /* the lowest first */
    for (size_t i = 0; i < digits.length; i++) {
        uint64_t carry = (unsigned char)(digits.data[i] - '0');
        if (carry > 9) {
            return false;
        }
        for (size_t limb = 0; limb < 4; limb++) {
            carry += (uint64_t)limbs[limb] * 10;
            limbs[limb] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry) {
            return false;
        }
    }
    out->low = (uint64_t)limbs[1] << 32 | limbs[0];
    out->high = (uint64_t)limbs[3] << 32 | limbs[2];
    return digits.length > 0;
}

/* ---- objects ---- */

struct reader {
    struct tw_lex lex;
    struct tw_get_records *answer;
    struct tumble_error *err;
    enum tumble_code code; /* a failure that is in err already */
    bool has_records;
};

/* Reads the value of a member at at, and returns what stands behind it; NULL: refused. */
typedef const char *member_fn(struct reader *reader, void *ctx, const char *at, const char *text, uint32_t length);

/* The members of an object, one by one. Each caller's take is known to the compiler and becomes part of the loop. */
static inline const char *read_object(struct reader *reader, const char *at, const char *refusal, member_fn *take,
                                      void *ctx) {
    struct tw_lex *lex = &reader->lex;
    if (at == lex->end || *at != '{') {
        return tw_lex_refuse(lex, at, TUMBLE_EEVENT, refusal);
    }
    at = tw_lex_space(at + 1, lex->end);
    if (at < lex->end && *at == '}') {
        return at + 1;
    }
    for (;;) {
        const char *text;
        uint32_t length;
        uint8_t flags;
        at = tw_lex_key(lex, at, TW_LEX_KEY, &text, &length, &flags);
        at = at ? take(reader, ctx, at, text, length) : NULL;
        if (!at) {
            return NULL;
        }
        at = tw_lex_space(at, lex->end);
        if (at == lex->end || (*at != ',' && *at != '}')) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, TW_LEX_COMMA_OR_BRACE);
        }
        if (*at++ == '}') {
            return at;
        }
        at = tw_lex_space(at, lex->end);
    }
}

/* ---- a record ---- */

/* The strings and the number of a record, as they stand in the text. */
struct found {
    struct tumble_value sequence;
    struct tumble_value arrival;
    struct tumble_value data;
    struct tumble_value key;
    struct tumble_value encryption;
};

static bool is_name(const char *text, uint32_t length, const char *name, size_t name_length) {
    return length == name_length && memcmp(text, name, name_length) == 0;
}
#define IS(name) is_name(text, length, name, sizeof(name) - 1)

/* Where the member's value belongs; NULL: nobody asked for it. An escape in a name of Kinesis's is nothing it writes.
 */
static inline struct tumble_value *place_of(struct found *found, const char *text, uint32_t length) {
    switch (length) {
    case 4: return IS("Data") ? &found->data : NULL;
    case 12: return IS("PartitionKey") ? &found->key : NULL;
    case 14: return IS("SequenceNumber") ? &found->sequence : IS("EncryptionType") ? &found->encryption : NULL;
    case 27: return IS("ApproximateArrivalTimestamp") ? &found->arrival : NULL;
    default: return NULL;
    }
}

static inline const char *take_of_record(struct reader *reader, void *ctx, const char *at, const char *text,
                                         uint32_t length) {
    struct tumble_value other, *place = place_of(ctx, text, length);
    return tw_lex_value(&reader->lex, at, 3, place ? place : &other);
}

/* A string's characters; room for them in text was made when the body's length was known. */
static struct tumble_bytes plain(struct tw_get_records *answer, const struct tumble_value *value) {
    struct tumble_bytes view = {value->text, value->length};
    if (value->flags & TUMBLE_VALUE_ESCAPED) {
        char *out = answer->text.data + answer->text.length;
        view.length = tumble_value_text(value, out, value->length);
        view.data = out;
        answer->text.length += view.length;
    }
    return view;
}

/* "1762732800.042", "1762732800": what Kinesis writes but for its exponent form. */
static bool plain_seconds(const struct tumble_value *value, int64_t *out_ms) {
    const char *at = value->text;
    int64_t seconds = 0, ms = 0;
    if (value->length != 14 && value->length != 10) {
        return false;
    }
    for (int i = 0; i < 10; i++) {
        unsigned digit = (unsigned char)(at[i] - '0');
        if (digit > 9) {
            return false;
        }
        seconds = seconds * 10 + (int64_t)digit;
    }
    if (value->length == 14) {
        unsigned a = (unsigned char)(at[11] - '0'), b = (unsigned char)(at[12] - '0'),
                 c = (unsigned char)(at[13] - '0');
        if (at[10] != '.' || a > 9 || b > 9 || c > 9) {
            return false;
        }
        ms = a * 100 + b * 10 + c;
    }
    *out_ms = seconds * 1000 + ms;
    return true;
}

static enum tumble_code read_arrival(const struct tumble_value *value, int64_t *out_ms, struct tumble_error *err) {
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    static const struct tumble_timestamp_format text = {.kind = TUMBLE_TIMESTAMP_AUTO};
    if (value->type == TUMBLE_TYPE_NUMBER && plain_seconds(value, out_ms)) {
        return TUMBLE_OK;
    }
    if (value->type != TUMBLE_TYPE_NUMBER && value->type != TUMBLE_TYPE_STRING) {
        return tw_fail(err, TUMBLE_ETIMESTAMP, "a record without ApproximateArrivalTimestamp");
    }
    enum tumble_code code =
        tumble_timestamp_ms(value->type == TUMBLE_TYPE_NUMBER ? &seconds : &text, value, out_ms, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "ApproximateArrivalTimestamp");
    }
    return code;
}

static void read_data(struct tw_get_records *answer, const struct tumble_value *value,
                      struct tumble_kinesis_read *record) {
    size_t length = 0;
    if (value->type != TUMBLE_TYPE_STRING) {
        record->data = (struct tumble_bytes){NULL, 0};
        record->bad = "the record has no Data";
        return;
    }
    size_t begin = answer->text.length;
    struct tumble_bytes text = plain(answer, value);
    char *out = answer->text.data + begin; /* in place, if it had to be unescaped */
    if (tw_base64_decode(text, out, &length, NULL) == TUMBLE_OK) {
        record->data = (struct tumble_bytes){out, length};
        answer->text.length = begin + length;
        return;
    }
    if (value->flags & TUMBLE_VALUE_ESCAPED) { /* decoding overwrote it */
        answer->text.length = begin;
        text = plain(answer, value);
    }
    record->data = text;
    record->bad = "its Data is not base64";
}

static enum tumble_code take_record(struct tw_get_records *answer, const struct found *found,
                                    struct tumble_kinesis_read *record, struct tumble_bytes last,
                                    struct tumble_error *err) {
    struct tumble_bytes text = {NULL, 0};
    record->bad = NULL;
    if (found->sequence.type == TUMBLE_TYPE_STRING) {
        text = plain(answer, &found->sequence);
    }
    if (TW_OFTEN(tw_sequence_follows(text, last))) {
        record->sequence_number = text;
    } else {
        TW_TRY(tw_sequence_check(text, &record->sequence_number, err));
        if (tw_sequence_compare(record->sequence_number, last) <= 0) {
            int digits = record->sequence_number.length > 60 ? 60 : (int)record->sequence_number.length;
            return tw_fail(err, TUMBLE_EORDER, "record %.*s does not stand above the one before it", digits,
                           record->sequence_number.data);
        }
    }
    TW_TRY(read_arrival(&found->arrival, &record->arrival_ms, err));
    record->partition_key =
        found->key.type == TUMBLE_TYPE_STRING ? plain(answer, &found->key) : (struct tumble_bytes){NULL, 0};
    read_data(answer, &found->data, record);
    record->kms = found->encryption.type == TUMBLE_TYPE_STRING && found->encryption.length == 3 &&
                  memcmp(found->encryption.text, "KMS", 3) == 0;
    answer->bytes += record->data.length + record->partition_key.length;
    return TUMBLE_OK;
}

static enum tumble_code grow(struct tw_get_records *answer, struct tumble_error *err) {
    size_t capacity = answer->capacity ? answer->capacity * 2 : FIRST_RECORDS;
    if (answer->count == TUMBLE_KINESIS_RECORDS) {
        return tw_fail(err, TUMBLE_ELIMIT, "more than %d records in one answer", TUMBLE_KINESIS_RECORDS);
    }
    capacity = capacity > TUMBLE_KINESIS_RECORDS ? TUMBLE_KINESIS_RECORDS : capacity;
    void *records = tw_resize(&answer->alloc, answer->records, answer->capacity * sizeof *answer->records,
                              capacity * sizeof *answer->records);
    if (!records) {
        return tw_no_memory(err);
    }
    answer->records = records;
    answer->capacity = capacity;
    return TUMBLE_OK;
}

/* ---- the document ---- */

static const char *give_up(struct reader *reader, enum tumble_code code) {
    reader->code = code;
    return NULL;
}

static const char *read_records(struct reader *reader, const char *at) {
    struct tw_get_records *answer = reader->answer;
    struct tw_lex *lex = &reader->lex;
    struct tumble_bytes last = {NULL, 0};
    at = tw_lex_space(at + 1, lex->end);
    if (at < lex->end && *at == ']') {
        return at + 1;
    }
    for (;;) {
        struct found found = {0};
        const char *begin = at;
        at = read_object(reader, at, "a record of GetRecords has to be an object", take_of_record, &found);
        if (!at) {
            return NULL;
        }
        enum tumble_code code = answer->count < answer->capacity ? TUMBLE_OK : grow(answer, reader->err);
        if (code == TUMBLE_OK) {
            struct tumble_kinesis_read *record = &answer->records[answer->count];
            code = take_record(answer, &found, record, last, reader->err);
            last = record->sequence_number;
        }
        if (code != TUMBLE_OK) {
            if (reader->err) {
                reader->err->byte = begin - lex->begin;
                reader->err->record = (int64_t)answer->count;
            }
            return give_up(reader, code);
        }
        answer->count++;
        at = tw_lex_space(at, lex->end);
        if (at == lex->end || (*at != ',' && *at != ']')) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, TW_LEX_COMMA_OR_SQUARE);
        }
        if (*at++ == ']') {
            return at;
        }
        at = tw_lex_space(at, lex->end);
    }
}

static bool read_hash_member(const struct tumble_value *range, const char *name, struct tumble_kinesis_hash *out) {
    char digits[48];
    return tw_json_member_text(range, name, digits, sizeof digits) && tw_hash_key_read(tumble_bytes_of(digits), out);
}

/* Children are a service: one that cannot be read is left out, and the list of shards tells of it. */
static bool read_child(const struct tumble_value *value, struct tw_shard_child *child) {
    struct tumble_value parents, range, key, each;
    struct tw_json_walk walk;
    size_t count = 0;
    memset(child, 0, sizeof *child);
    if (value->type != TUMBLE_TYPE_OBJECT || !tw_json_member_text(value, "ShardId", child->id, sizeof child->id) ||
        !child->id[0] || !tw_json_member(value, "ParentShards", &parents) || parents.type != TUMBLE_TYPE_ARRAY ||
        !tw_json_member(value, "HashKeyRange", &range) || range.type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    tw_json_walk_begin(&walk, &parents);
    while (tw_json_walk_next(&walk, &key, &each)) {
        if (each.type != TUMBLE_TYPE_STRING || each.length >= TUMBLE_KINESIS_ID || count == 2) {
            return false;
        }
        size_t length = tumble_value_text(&each, child->parents[count], TUMBLE_KINESIS_ID - 1);
        child->parents[count++][length] = '\0';
    }
    return count > 0 && read_hash_member(&range, "StartingHashKey", &child->begin) &&
           read_hash_member(&range, "EndingHashKey", &child->end);
}

static void read_children(struct tw_get_records *answer, const struct tumble_value *value) {
    struct tumble_value key, each;
    struct tw_json_walk walk;
    answer->child_count = 0;
    if (value->type != TUMBLE_TYPE_ARRAY) {
        return;
    }
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &key, &each)) {
        if (answer->child_count == TW_SHARD_CHILDREN || !read_child(&each, &answer->children[answer->child_count])) {
            answer->child_count = 0; /* all or none: half of them would pass for all */
            return;
        }
        answer->child_count++;
    }
}

static inline const char *take_of_answer(struct reader *reader, void *ctx, const char *at, const char *text,
                                         uint32_t length) {
    struct tw_get_records *answer = reader->answer;
    struct tw_lex *lex = &reader->lex;
    struct tumble_value value;
    (void)ctx;
    if (IS("Records")) {
        if (reader->has_records || at == lex->end || *at != '[') {
            return tw_lex_refuse(lex, at, TUMBLE_EEVENT,
                                 reader->has_records ? "Records stands there twice" : "Records is no array");
        }
        reader->has_records = true;
        return read_records(reader, at);
    }
    at = tw_lex_value(lex, at, 1, &value);
    if (!at) {
        return NULL;
    }
    if (IS("NextShardIterator") && value.type == TUMBLE_TYPE_STRING) {
        answer->next_iterator = plain(answer, &value);
    } else if (IS("MillisBehindLatest") && value.type == TUMBLE_TYPE_NUMBER) {
        int64_t ms;
        answer->millis_behind_latest = tw_json_integer(&value, &ms) && ms >= 0 ? ms : -1;
    } else if (IS("ChildShards")) {
        read_children(answer, &value);
    }
    return at;
}

static void forget(struct tw_get_records *answer) {
    answer->count = 0;
    answer->child_count = 0;
    answer->bytes = 0;
    answer->next_iterator = (struct tumble_bytes){NULL, 0};
    answer->millis_behind_latest = -1;
    tw_buf_clear(&answer->text);
}

enum tumble_code tw_get_records_read(struct tw_get_records *answer, struct tumble_bytes body,
                                     struct tumble_error *err) {
    struct reader reader = {.answer = answer, .err = err};
    forget(answer);
    /* Nothing becomes longer by being decoded: with room for all of it the views into text stay where they are. */
    if (tw_buf_reserve(&answer->text, body.length + TEXT_SPARE) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    tw_lex_init(&reader.lex, body, 1);
    const char *at = tw_lex_space(body.data, reader.lex.end);
    at = read_object(&reader, at, "the answer is no JSON object", take_of_answer, NULL);
    enum tumble_code code = reader.code != TUMBLE_OK ? reader.code : tw_lex_finish(&reader.lex, at, NULL, err);
    if (code == TUMBLE_OK && !reader.has_records) {
        code = tw_fail(err, TUMBLE_EEVENT, "the answer has no Records");
    }
    if (code != TUMBLE_OK) {
        forget(answer);
    }
    return code;
}
