#include "engine/base/fail.h"
#include "engine/codec/hash.h"
#include "engine/store/store.h"

/* Layout in docs/format-frames.md. */
enum { FRAME_VERSION = 1, HEADER_BYTES = 24, CHECKSUM_BYTES = 8, LENGTH_AT = 16, EARLY_ROWS = 12 };

static enum tumble_code append_u16(struct tw_buf *buf, unsigned value) {
    char bytes[2] = {(char)(value & 0xff), (char)(value >> 8)};
    return tw_buf_append(buf, bytes, sizeof bytes);
}

enum tumble_code tw_frame_begin(struct tw_buf *buf, enum tw_frame_kind kind, uint64_t spec_digest, size_t *mark) {
    *mark = buf->length;
    enum tumble_code code = tw_buf_reserve(buf, HEADER_BYTES);
    if (code == TUMBLE_OK) {
        tw_buf_append(buf, "TMBL", 4); /* these cannot fail: there is room */
        append_u16(buf, FRAME_VERSION);
        append_u16(buf, (unsigned)kind);
        tw_buf_append_u64(buf, spec_digest);
        tw_buf_append_u64(buf, 0); /* the payload's length: seal knows it */
    }
    return code;
}

enum tumble_code tw_frame_seal(struct tw_buf *buf, size_t mark) {
    if (buf->length < mark || buf->length - mark < HEADER_BYTES) {
        return TUMBLE_EINVAL;
    }
    uint64_t payload = buf->length - mark - HEADER_BYTES;
    for (int i = 0; i < 8; i++) {
        buf->data[mark + LENGTH_AT + (size_t)i] = (char)(payload >> (8 * i));
    }
    return tw_buf_append_u64(buf, tw_hash64(buf->data + mark, buf->length - mark));
}

static enum tumble_code damaged(const char *what, const char *why, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "%s is damaged: %s; restore the state or begin with a fresh --state", what,
                   why);
}

static const char *kind_name(unsigned kind) {
    static const char *const names[] = {"none",       "snapshot", "delta",  "window",  "outbox", "meta",
                                        "counters",   "note",     "cursor", "shard",   "state",  "spill",
                                        "early rows", "fragment", "rows",   "touched", "closed", "brief"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

unsigned tw_frame_kind_of(struct tumble_bytes bytes) {
    return bytes.length < HEADER_BYTES ? 0 : (uint8_t)bytes.data[6] | (unsigned)(uint8_t)bytes.data[7] << 8;
}

enum tumble_code tw_frame_open(struct tumble_bytes bytes, enum tw_frame_kind kind, uint64_t spec_digest,
                               const char *what, struct tumble_bytes *payload, struct tumble_error *err) {
    struct tw_cursor cursor = tw_cursor_of(bytes);
    struct tumble_bytes magic = {NULL, 0}, body = magic, sum = magic;
    uint8_t head[4];
    uint64_t written_digest, length, checksum = 0;
    if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES) {
        return damaged(what, "it is too short for a frame", err);
    }
    tw_take_bytes(&cursor, 4, &magic);
    if (memcmp(magic.data, "TMBL", 4) != 0) {
        return damaged(what, "it does not begin as a frame does", err);
    }
    for (int i = 0; i < 4; i++) {
        tw_take_u8(&cursor, &head[i]);
    }
    /* The version first: what a newer one puts after it is not ours to check. */
    unsigned version = head[0] | (unsigned)head[1] << 8, written_kind = head[2] | (unsigned)head[3] << 8;
    if (version > FRAME_VERSION) {
        return tw_fail(err, TUMBLE_EVERSION,
                       "%s was written by a newer tumble (frame version %u, this one reads up to %d): use that version "
                       "or a fresh --state",
                       what, version, FRAME_VERSION);
    }
    if (version == 0) {
        return damaged(what, "its frame version is 0", err);
    }
    tw_take_u64(&cursor, &written_digest);
    tw_take_u64(&cursor, &length);
    if (length != bytes.length - HEADER_BYTES - CHECKSUM_BYTES) {
        return damaged(what, "its length is not the one it states", err);
    }
    tw_take_bytes(&cursor, (size_t)length, &body);
    sum.data = cursor.at;
    tw_take_u64(&cursor, &checksum);
    if (checksum != tw_hash64(bytes.data, (size_t)(sum.data - bytes.data))) {
        return damaged(what, "its checksum does not match", err);
    }
    if (written_kind == EARLY_ROWS && kind == TW_FRAME_ROWS) {
        return tw_fail(err, TUMBLE_EVERSION,
                       "%s was written by an early development version of tumble: `drain` the state with that one, or "
                       "begin with a fresh --state",
                       what);
    }
    if (written_kind != (unsigned)kind) {
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "%s is damaged: it holds a %s frame (kind %u) where a %s frame belongs; restore the state or "
                       "begin with a fresh --state",
                       what, kind_name(written_kind), written_kind, kind_name((unsigned)kind));
    }
    if (spec_digest != 0 && written_digest != spec_digest) {
        return tw_fail(err, TUMBLE_EMISMATCH,
                       "%s belongs to another spec (digest %016llx, this one's is %016llx): use that spec or a fresh "
                       "--state",
                       what, (unsigned long long)written_digest, (unsigned long long)spec_digest);
    }
    *payload = body;
    return TUMBLE_OK;
}
