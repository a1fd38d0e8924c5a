#include "engine/codec/protobuf_wire.h"

#include <stdbool.h>

enum { GROUP_DEPTH = 100, END_GROUP = 4 };

static bool take_varint(struct tw_protobuf *reader, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
        uint64_t byte = (unsigned char)*reader->at++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct tw_protobuf *reader, uint64_t length, struct tumble_bytes *out) {
    if (length > (uint64_t)(reader->end - reader->at)) {
        return false;
    }
    out->data = reader->at;
    out->length = (size_t)length;
    reader->at += length;
    return true;
}

/* A tag, and what stands behind it, unless that is a group. */
static bool take_field(struct tw_protobuf *reader, struct tw_protobuf_field *field, unsigned *wire) {
    uint64_t tag, length = 0;
    if (!take_varint(reader, &tag) || tag > UINT32_MAX || tag >> 3 == 0) {
        return false;
    }
    field->number = (uint32_t)(tag >> 3);
    field->value = 0;
    field->bytes.data = NULL;
    field->bytes.length = 0;
    *wire = (unsigned)(tag & 7);
    switch (*wire) {
    case TW_PROTOBUF_VARINT: return take_varint(reader, &field->value);
    case TW_PROTOBUF_FIXED64: return take_bytes(reader, 8, &field->bytes);
    case TW_PROTOBUF_LENGTH: return take_varint(reader, &length) && take_bytes(reader, length, &field->bytes);
    case TW_PROTOBUF_FIXED32: return take_bytes(reader, 4, &field->bytes);
    case TW_PROTOBUF_GROUP:
    case END_GROUP: return true;
    default: return false;
    }
}

/* Goes behind the end of the group that was just begun. */
static bool take_group(struct tw_protobuf *reader, uint32_t number, struct tumble_bytes *out) {
    uint32_t open[GROUP_DEPTH] = {number};
    size_t depth = 1;
    out->data = reader->at;
    while (depth) {
        struct tw_protobuf_field inner;
        unsigned wire;
        out->length = (size_t)(reader->at - out->data);
        if (!take_field(reader, &inner, &wire)) {
            return false;
        }
        if (wire == TW_PROTOBUF_GROUP) {
            if (depth == GROUP_DEPTH) {
                return false;
            }
            open[depth++] = inner.number;
        } else if (wire == END_GROUP && inner.number != open[--depth]) {
            return false;
        }
    }
    return true;
}

enum tw_protobuf_next tw_protobuf_next(struct tw_protobuf *reader, struct tw_protobuf_field *field) {
    unsigned wire;
    if (reader->at == reader->end) {
        return TW_PROTOBUF_END;
    }
    if (!take_field(reader, field, &wire) || wire == END_GROUP ||
        (wire == TW_PROTOBUF_GROUP && !take_group(reader, field->number, &field->bytes))) {
        return TW_PROTOBUF_MALFORMED;
    }
    field->wire = (enum tw_protobuf_wire)wire;
    return TW_PROTOBUF_FIELD;
}
