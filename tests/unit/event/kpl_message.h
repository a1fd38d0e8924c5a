#ifndef TESTS_KPL_MESSAGE_H
#define TESTS_KPL_MESSAGE_H

#include <stdint.h>
#include <string.h>

#include <tumble/bytes.h>

#include "engine/codec/md5.h"

/* Writes aggregates, right and wrong ones. */
struct kpl_message {
    char bytes[4096];
    size_t length;
};

static inline void put_varint(struct kpl_message *message, uint64_t value) {
    for (; value > 0x7f; value >>= 7) {
        message->bytes[message->length++] = (char)(value | 0x80);
    }
    message->bytes[message->length++] = (char)value;
}

static inline void put_number(struct kpl_message *message, uint32_t field, uint64_t value) {
    put_varint(message, (uint64_t)field << 3);
    put_varint(message, value);
}

static inline void put_bytes(struct kpl_message *message, uint32_t field, struct tumble_bytes bytes) {
    put_varint(message, (uint64_t)field << 3 | 2);
    put_varint(message, bytes.length);
    memcpy(message->bytes + message->length, bytes.data, bytes.length);
    message->length += bytes.length;
}

static inline void put_text(struct kpl_message *message, uint32_t field, const char *text) {
    put_bytes(message, field, tumble_bytes_of(text));
}

static inline void put_inner(struct kpl_message *message, uint32_t field, const struct kpl_message *inner) {
    struct tumble_bytes bytes = {inner->bytes, inner->length};
    put_bytes(message, field, bytes);
}

/* hash_key < 0: the record has none. */
static inline void put_record(struct kpl_message *message, uint64_t partition_key, int64_t hash_key, const char *data) {
    struct kpl_message record = {.length = 0};
    put_number(&record, 1, partition_key);
    if (hash_key >= 0) {
        put_number(&record, 2, (uint64_t)hash_key);
    }
    put_text(&record, 3, data);
    put_inner(message, 3, &record);
}

/* The message as an aggregate: magic in front, digest behind. */
static inline struct kpl_message sealed(const struct kpl_message *message) {
    struct kpl_message out = {.length = message->length + 20};
    memcpy(out.bytes, "\xf3\x89\x9a\xc2", 4);
    memcpy(out.bytes + 4, message->bytes, message->length);
    tw_md5(message->bytes, message->length, (uint8_t *)out.bytes + 4 + message->length);
    return out;
}

#endif
