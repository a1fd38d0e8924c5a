#include <tumble/kpl.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/hash_key.h"
#include "engine/codec/md5.h"
#include "engine/codec/protobuf_wire.h"

/* The format (aggregation-format.md of amazon-kinesis-producer):
 *
 *     F3 89 9A C2 | AggregatedRecord | MD5 of it
 *     AggregatedRecord  1: partition keys, strings · 2: explicit hash keys, strings · 3: records, messages
 *     Record            1: index of its partition key · 2: index of its explicit hash key, optional · 3: data · 4: tags
 *     Tag               1: key · 2: value, optional
 *
 * Amazon's consumer library (AggregatorUtil of amazon-kinesis-client) is what "as it is elsewhere" means: what it
 * passes through passes through here. */

enum { MAGIC_BYTES = 4, DIGEST_BYTES = 16 };

/* The strings of a table: where the field of each begins in the message. */
struct table {
    uint32_t *fields;
    uint32_t count;
    uint32_t capacity;
};

struct tumble_kpl {
    struct tumble_alloc alloc;
    struct table partition_keys;
    struct table explicit_hash_keys;
    struct tumble_bytes data; /* the aggregate */
    struct tumble_bytes message;
    struct tw_protobuf reader; /* behind the record given out last */
    uint64_t given;
    uint64_t count;
    const char *bad; /* of the last one of count */
};

/* A Record as it stands in the message. */
struct entry {
    struct tumble_bytes data;
    uint64_t partition_key;
    uint64_t explicit_hash_key;
    bool has_data;
    bool has_partition_key;
    bool has_explicit_hash_key;
};

enum tumble_code tumble_kpl_new(struct tumble_alloc alloc, struct tumble_kpl **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = tw_alloc_zero(&alloc, sizeof **out);
    if (!*out) {
        return tw_no_memory(err);
    }
    (*out)->alloc = alloc;
    return TUMBLE_OK;
}

void tumble_kpl_destroy(struct tumble_kpl *kpl) {
    if (kpl) {
        struct tumble_alloc alloc = kpl->alloc;
        tw_free(&alloc, kpl->partition_keys.fields);
        tw_free(&alloc, kpl->explicit_hash_keys.fields);
        tw_free(&alloc, kpl);
    }
}

enum tumble_code tumble_hash_key_parse(struct tumble_bytes digits, uint8_t out[16], struct tumble_error *err) {
    tw_uint128 value;
    TW_TRY(tw_hash_key_parse(digits, &value, err));
    for (size_t i = 16; i > 0; i--, value >>= 8) {
        out[i - 1] = (uint8_t)value;
    }
    return TUMBLE_OK;
}

/* ---- the whole aggregate, before anything is given out ---- */

static enum tumble_code add(struct tumble_kpl *kpl, struct table *table, size_t offset, struct tumble_error *err) {
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? (size_t)table->capacity * 2 : 64;
        uint32_t *fields =
            tw_resize(&kpl->alloc, table->fields, table->capacity * sizeof *fields, capacity * sizeof *fields);
        if (!fields) {
            return tw_no_memory(err);
        }
        table->fields = fields;
        table->capacity = (uint32_t)capacity; /* a field takes two bytes: less than a message of 4 GiB has */
    }
    table->fields[table->count++] = (uint32_t)offset;
    return TUMBLE_OK;
}

/* Takes the next field where one of a known number has another wire type than it should for malformed too: to read it
 * in another way than the next reader does would be worse than to leave the record as it is. */
static enum tw_protobuf_next next_known(struct tw_protobuf *reader, const enum tw_protobuf_wire *wires, uint32_t known,
                                        struct tw_protobuf_field *field) {
    enum tw_protobuf_next next = tw_protobuf_next(reader, field);
    bool odd = next == TW_PROTOBUF_FIELD && field->number <= known && field->wire != wires[field->number - 1];
    return odd ? TW_PROTOBUF_MALFORMED : next;
}

static bool is_tag(struct tumble_bytes message) {
    static const enum tw_protobuf_wire wires[] = {TW_PROTOBUF_LENGTH, TW_PROTOBUF_LENGTH};
    struct tw_protobuf reader = tw_protobuf_of(message);
    struct tw_protobuf_field field;
    enum tw_protobuf_next next;
    bool has_key = false;
    while ((next = next_known(&reader, wires, 2, &field)) == TW_PROTOBUF_FIELD) {
        has_key |= field.number == 1;
    }
    return next == TW_PROTOBUF_END && has_key;
}

static bool read_entry(struct tumble_bytes message, struct entry *out) {
    static const enum tw_protobuf_wire wires[] = {TW_PROTOBUF_VARINT, TW_PROTOBUF_VARINT, TW_PROTOBUF_LENGTH,
                                                  TW_PROTOBUF_LENGTH};
    struct tw_protobuf reader = tw_protobuf_of(message);
    struct tw_protobuf_field field;
    enum tw_protobuf_next next;
    memset(out, 0, sizeof *out);
    while ((next = next_known(&reader, wires, 4, &field)) == TW_PROTOBUF_FIELD) {
        switch (field.number) {
        case 1:
            out->partition_key = field.value;
            out->has_partition_key = true;
            break;
        case 2:
            out->explicit_hash_key = field.value;
            out->has_explicit_hash_key = true;
            break;
        case 3:
            out->data = field.bytes;
            out->has_data = true;
            break;
        case 4:
            if (!is_tag(field.bytes)) {
                return false;
            }
            break;
        default: break;
        }
    }
    return next == TW_PROTOBUF_END && out->has_partition_key && out->has_data;
}

/* Is it an AggregatedRecord? Fills the tables and counts the records on the way. */
static enum tumble_code read_message(struct tumble_kpl *kpl, bool *is_one, struct tumble_error *err) {
    static const enum tw_protobuf_wire wires[] = {TW_PROTOBUF_LENGTH, TW_PROTOBUF_LENGTH, TW_PROTOBUF_LENGTH};
    struct tw_protobuf reader = tw_protobuf_of(kpl->message);
    struct tw_protobuf_field field;
    struct entry entry;
    *is_one = false;
    for (;;) {
        size_t offset = (size_t)(reader.at - kpl->message.data);
        switch (next_known(&reader, wires, 3, &field)) {
        case TW_PROTOBUF_END: *is_one = true; return TUMBLE_OK;
        case TW_PROTOBUF_MALFORMED: return TUMBLE_OK;
        case TW_PROTOBUF_FIELD: break;
        }
        if (field.number <= 2) {
            if (!tw_utf8_valid(field.bytes)) {
                return TUMBLE_OK;
            }
            TW_TRY(add(kpl, field.number == 1 ? &kpl->partition_keys : &kpl->explicit_hash_keys, offset, err));
        } else if (field.number == 3) {
            if (!read_entry(field.bytes, &entry)) {
                return TUMBLE_OK;
            }
            kpl->count++;
        }
    }
}

/* ---- its records ---- */

static bool next_entry(struct tw_protobuf *reader, struct entry *out) {
    struct tw_protobuf_field field;
    while (tw_protobuf_next(reader, &field) == TW_PROTOBUF_FIELD) {
        if (field.number == 3) {
            return read_entry(field.bytes, out);
        }
    }
    return false;
}

static bool look_up(const struct tumble_kpl *kpl, const struct table *table, uint64_t index, struct tumble_bytes *out) {
    struct tw_protobuf_field field;
    if (index >= table->count) {
        return false;
    }
    struct tw_protobuf reader = tw_protobuf_of(kpl->message);
    reader.at += table->fields[index];
    tw_protobuf_next(&reader, &field);
    *out = field.bytes;
    return true;
}

/* NULL, or why the entry cannot become a record. *hash_key: its explicit one, when it has one. */
static const char *resolve(const struct tumble_kpl *kpl, const struct entry *entry, struct tumble_kpl_record *out,
                           tw_uint128 *hash_key) {
    if (!look_up(kpl, &kpl->partition_keys, entry->partition_key, &out->partition_key)) {
        return "aggregated record: the index of its partition key is beyond the table";
    }
    if (!entry->has_explicit_hash_key) {
        return NULL;
    }
    if (!look_up(kpl, &kpl->explicit_hash_keys, entry->explicit_hash_key, &out->explicit_hash_key)) {
        return "aggregated record: the index of its explicit hash key is beyond the table";
    }
    if (out->explicit_hash_key.length && tw_hash_key_parse(out->explicit_hash_key, hash_key, NULL) != TUMBLE_OK) {
        return "aggregated record: its explicit hash key is not a number from 0 to 2^128-1";
    }
    return NULL;
}

static tw_uint128 number_of(const uint8_t big_endian[16]) {
    tw_uint128 value = 0;
    for (size_t i = 0; i < 16; i++) {
        value = value << 8 | big_endian[i];
    }
    return value;
}

/* Goes through the records in their order, as the consumer library does: whatever comes first decides. */
static enum tumble_kpl_kind judge(struct tumble_kpl *kpl, const struct tumble_hash_range *range) {
    struct tw_protobuf reader = tw_protobuf_of(kpl->message);
    struct entry entry;
    for (uint64_t i = 0; next_entry(&reader, &entry); i++) {
        struct tumble_kpl_record record = {.sub_sequence_number = i};
        tw_uint128 hash_key = 0;
        kpl->bad = resolve(kpl, &entry, &record, &hash_key);
        if (kpl->bad) {
            kpl->count = i + 1;
            return TUMBLE_KPL_AGGREGATE;
        }
        if (range) {
            if (!record.explicit_hash_key.length) {
                hash_key = tw_hash_key_of(record.partition_key);
            }
            if (hash_key < number_of(range->first) || hash_key > number_of(range->last)) {
                return TUMBLE_KPL_FOREIGN;
            }
        }
    }
    return TUMBLE_KPL_AGGREGATE;
}

enum tumble_code tumble_kpl_open(struct tumble_kpl *kpl, struct tumble_bytes data,
                                 const struct tumble_hash_range *range, enum tumble_kpl_kind *kind, uint64_t *count,
                                 struct tumble_error *err) {
    uint8_t digest[DIGEST_BYTES];
    bool is_one;
    *kind = TUMBLE_KPL_PLAIN;
    *count = 0;
    kpl->given = 0;
    kpl->count = 0;
    kpl->bad = NULL;
    kpl->partition_keys.count = 0;
    kpl->explicit_hash_keys.count = 0;
    if (!tumble_kpl_suspect(data) || data.length > UINT32_MAX) {
        return TUMBLE_OK;
    }
    kpl->data = data;
    kpl->message.data = data.data + MAGIC_BYTES;
    kpl->message.length = data.length - MAGIC_BYTES - DIGEST_BYTES;
    tw_md5(kpl->message.data, kpl->message.length, digest);
    if (memcmp(digest, kpl->message.data + kpl->message.length, DIGEST_BYTES) != 0) {
        return TUMBLE_OK;
    }
    enum tumble_code code = read_message(kpl, &is_one, err);
    if (code != TUMBLE_OK || !is_one) {
        kpl->count = 0;
        return code;
    }
    *kind = judge(kpl, range);
    *count = kpl->count;
    kpl->reader = tw_protobuf_of(kpl->message);
    if (*kind == TUMBLE_KPL_FOREIGN) {
        kpl->count = 0;
    }
    return TUMBLE_OK;
}

int tumble_kpl_next(struct tumble_kpl *kpl, struct tumble_kpl_record *out) {
    struct entry entry;
    tw_uint128 hash_key;
    if (kpl->given == kpl->count || !next_entry(&kpl->reader, &entry)) {
        return 0;
    }
    memset(out, 0, sizeof *out);
    out->sub_sequence_number = kpl->given++;
    if (kpl->given == kpl->count && kpl->bad) {
        out->bad = kpl->bad;
        out->data = kpl->data;
        return 1;
    }
    out->bad = resolve(kpl, &entry, out, &hash_key);
    out->data = entry.data;
    return 1;
}
