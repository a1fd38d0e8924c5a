#ifndef TW_CODEC_PROTOBUF_WIRE_H
#define TW_CODEC_PROTOBUF_WIRE_H

#include <stdint.h>

#include <tumble/bytes.h>

/* The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), read field by field from borrowed
 * bytes: what a field means is the reader's business. Nothing is copied or allocated. */

enum tw_protobuf_wire {
    TW_PROTOBUF_VARINT = 0,
    TW_PROTOBUF_FIXED64 = 1,
    TW_PROTOBUF_LENGTH = 2, /* string, bytes, message, packed */
    TW_PROTOBUF_GROUP = 3,
    TW_PROTOBUF_FIXED32 = 5
};

struct tw_protobuf_field {
    uint32_t number; /* >= 1 */
    enum tw_protobuf_wire wire;
    uint64_t value;            /* VARINT */
    struct tumble_bytes bytes; /* the others: what they hold; of a group the fields without its end */
};

struct tw_protobuf {
    const char *at;
    const char *end;
};

static inline struct tw_protobuf tw_protobuf_of(struct tumble_bytes message) {
    struct tw_protobuf reader = {message.data, message.data ? message.data + message.length : message.data};
    return reader;
}

enum tw_protobuf_next { TW_PROTOBUF_END, TW_PROTOBUF_FIELD, TW_PROTOBUF_MALFORMED };

/* The next field of the message. MALFORMED: a varint that does not end within ten bytes or has more than 64 bits, a tag
 * of more than 32 bits, field number 0, a wire type that does not exist, a length beyond the end, a group that does not
 * close or nests deeper than 100. Varints longer than they need be are well-formed, as they are to every other reader.
 */
enum tw_protobuf_next tw_protobuf_next(struct tw_protobuf *reader, struct tw_protobuf_field *field);

#endif
