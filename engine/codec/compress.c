#include "engine/codec/compress.h"

#include <limits.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "engine/base/fail.h"

/* The most a zstd frame may ask us to keep (2^27 bytes = 128 MiB): what the zstd command itself accepts without --long.
 * A hostile header could name terabytes. */
enum { ZSTD_WINDOW_LOG_MAX = 27 };

struct tw_decompressor {
    enum tw_compression kind;
    struct tumble_alloc alloc;
    z_stream gzip;
    bool gzip_made;
    ZSTD_DStream *zstd;
    bool at_boundary;           /* the last member or frame is complete: the input may end here */
    bool drained;               /* the last call left room in its output: nothing is waiting inside */
    uint64_t consumed;          /* compressed bytes so far */
    struct tumble_error failed; /* code != OK: the stream is broken, every later call repeats this */
};

enum tw_compression tw_compression_of(struct tumble_bytes first_bytes) {
    const unsigned char *at = (const unsigned char *)first_bytes.data;
    if (first_bytes.length >= 2 && at[0] == 0x1f && at[1] == 0x8b) {
        return TW_COMPRESSION_GZIP;
    }
    if (first_bytes.length >= 4) {
        bool frame = at[0] == 0x28 && at[1] == 0xb5 && at[2] == 0x2f && at[3] == 0xfd;
        bool skippable = (at[0] & 0xf0) == 0x50 && at[1] == 0x2a && at[2] == 0x4d && at[3] == 0x18;
        if (frame || skippable) {
            return TW_COMPRESSION_ZSTD;
        }
    }
    return TW_COMPRESSION_NONE;
}

static void *gzip_alloc(void *ctx, unsigned count, unsigned size) {
    return tw_alloc_array((const struct tumble_alloc *)ctx, count, size);
}

static void gzip_free(void *ctx, void *pointer) { tw_free((const struct tumble_alloc *)ctx, pointer); }

enum tumble_code tw_decompressor_new(enum tw_compression kind, struct tumble_alloc alloc, struct tw_decompressor **out,
                                     struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    struct tw_decompressor *d = tw_alloc_zero(&alloc, sizeof *d);
    if (!d) {
        return tw_no_memory(err);
    }
    d->kind = kind;
    d->alloc = alloc;
    d->drained = true;
    bool made = true;
    if (kind == TW_COMPRESSION_GZIP) {
        d->gzip.zalloc = gzip_alloc;
        d->gzip.zfree = gzip_free;
        d->gzip.opaque = &d->alloc;
        made = inflateInit2(&d->gzip, 15 + 16) == Z_OK; /* 16: gzip wrapping only */
        d->gzip_made = made;
    } else if (kind == TW_COMPRESSION_ZSTD) {
        d->zstd = ZSTD_createDStream();
        made = d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX));
    }
    if (!made) {
        tw_decompressor_destroy(d);
        return tw_no_memory(err);
    }
    *out = d;
    return TUMBLE_OK;
}

void tw_decompressor_destroy(struct tw_decompressor *d) {
    if (!d) {
        return;
    }
    if (d->gzip_made) {
        inflateEnd(&d->gzip);
    }
    ZSTD_freeDStream(d->zstd);
    struct tumble_alloc alloc = d->alloc;
    tw_free(&alloc, d);
}

static enum tumble_code broken(struct tw_decompressor *d, enum tumble_code code, const char *why) {
    const char *name = d->kind == TW_COMPRESSION_GZIP ? "gzip" : "zstd";
    return tw_fail_at(&d->failed, code, (int64_t)d->consumed, "%s data, compressed byte %llu: %s", name,
                      (unsigned long long)d->consumed, why);
}

/* One call of zlib or libzstd: moves in, adds to *written. */
static enum tumble_code step_gzip(struct tw_decompressor *d, struct tumble_bytes *in, char *out, size_t room,
                                  size_t *written) {
    if (d->at_boundary) {
        if ((unsigned char)in->data[0] != 0x1f) {
            return broken(d, TUMBLE_ECOMPRESS, "bytes after the end of the gzip member that are not another member");
        }
        inflateReset(&d->gzip);
        d->at_boundary = false;
    }
    unsigned give = in->length < UINT_MAX ? (unsigned)in->length : UINT_MAX;
    unsigned space = room < UINT_MAX ? (unsigned)room : UINT_MAX;
    d->gzip.next_in =
        (z_const Bytef *)(uintptr_t)in->data; /* zlib does not write there, its type is older than const */
    d->gzip.avail_in = give;
    d->gzip.next_out = (Bytef *)out;
    d->gzip.avail_out = space;
    int result = inflate(&d->gzip, Z_NO_FLUSH);
    size_t taken = give - d->gzip.avail_in;
    if (taken) {
        in->data += taken;
        in->length -= taken;
    }
    d->consumed += taken;
    *written += space - d->gzip.avail_out;
    d->drained = d->gzip.avail_out > 0;
    switch (result) {
    case Z_STREAM_END: d->at_boundary = true; return TUMBLE_OK;
    case Z_OK:
    case Z_BUF_ERROR: return TUMBLE_OK;
    case Z_MEM_ERROR: return broken(d, TUMBLE_ENOMEM, "out of memory");
    case Z_NEED_DICT: return broken(d, TUMBLE_ECOMPRESS, "needs a preset dictionary, which gzip does not have");
    default: return broken(d, TUMBLE_ECOMPRESS, d->gzip.msg ? d->gzip.msg : "damaged");
    }
}

static enum tumble_code step_zstd(struct tw_decompressor *d, struct tumble_bytes *in, char *out, size_t room,
                                  size_t *written) {
    ZSTD_inBuffer from = {in->data, in->length, 0};
    ZSTD_outBuffer to = {out, room, 0};
    size_t result = ZSTD_decompressStream(d->zstd, &to, &from);
    if (from.pos) {
        in->data += from.pos;
        in->length -= from.pos;
        d->at_boundary = false;
    }
    d->consumed += from.pos;
    *written += to.pos;
    d->drained = to.pos < room;
    if (!ZSTD_isError(result)) {
        if (result == 0) {
            d->at_boundary = true;
        }
        return TUMBLE_OK;
    }
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation: return broken(d, TUMBLE_ENOMEM, "out of memory");
    case ZSTD_error_frameParameter_windowTooLarge:
        return broken(d, TUMBLE_ECOMPRESS, "a window over 128 MiB: compress it again without --long");
    case ZSTD_error_prefix_unknown: return broken(d, TUMBLE_ECOMPRESS, "bytes that are no zstd frame");
    default: return broken(d, TUMBLE_ECOMPRESS, ZSTD_getErrorName(result));
    }
}

static enum tumble_code copy(struct tw_decompressor *d, struct tumble_bytes *in, char *out, size_t room,
                             size_t *written) {
    *written = in->length < room ? in->length : room;
    if (*written) {
        memcpy(out, in->data, *written);
        in->data += *written;
        in->length -= *written;
    }
    d->consumed += *written;
    return TUMBLE_OK;
}

enum tumble_code tw_decompress(struct tw_decompressor *d, struct tumble_bytes *in, int end_of_input, char *out,
                               size_t out_capacity, size_t *written, struct tumble_error *err) {
    *written = 0;
    if (d->kind == TW_COMPRESSION_NONE) {
        return copy(d, in, out, out_capacity, written);
    }
    enum tumble_code code = d->failed.code;
    while (code == TUMBLE_OK && *written < out_capacity && (in->length > 0 || !d->drained)) {
        size_t before = *written, left = in->length;
        bool boundary = d->at_boundary;
        if (boundary && left == 0) {
            break;
        }
        size_t room = out_capacity - *written;
        code = d->kind == TW_COMPRESSION_GZIP ? step_gzip(d, in, out + *written, room, written)
                                              : step_zstd(d, in, out + *written, room, written);
        if (code == TUMBLE_OK && *written == before && in->length == left && d->at_boundary == boundary) {
            break; /* no progress: it needs more than it was given */
        }
    }
    if (code == TUMBLE_OK && end_of_input && in->length == 0 && d->drained && !d->at_boundary) {
        code = broken(d, TUMBLE_ECOMPRESS, "the data ends here in the middle: it is truncated");
    }
    if (code != TUMBLE_OK && err) {
        *err = d->failed;
    }
    return code;
}

/* ---- whole blocks ---- */

/* Level 1: states are packed on the way to every response. */
enum { ZSTD_PACK_LEVEL = 1 };

struct tw_zstd {
    struct tumble_alloc alloc;
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

struct tw_zstd *tw_zstd_new(struct tumble_alloc alloc) {
    struct tw_zstd *zstd = tw_alloc_zero(&alloc, sizeof *zstd);
    if (!zstd) {
        return NULL;
    }
    zstd->alloc = alloc;
    zstd->pack = ZSTD_createCCtx();
    zstd->unpack = ZSTD_createDCtx();
    if (!zstd->pack || !zstd->unpack) {
        tw_zstd_destroy(zstd);
        return NULL;
    }
    return zstd;
}

void tw_zstd_destroy(struct tw_zstd *zstd) {
    if (zstd) {
        struct tumble_alloc alloc = zstd->alloc;
        ZSTD_freeCCtx(zstd->pack);
        ZSTD_freeDCtx(zstd->unpack);
        tw_free(&alloc, zstd);
    }
}

enum tumble_code tw_zstd_pack(struct tw_zstd *zstd, struct tumble_bytes bytes, struct tw_buf *out) {
    size_t bound = ZSTD_compressBound(bytes.length);
    TW_TRY(tw_buf_reserve(out, bound));
    size_t written =
        ZSTD_compressCCtx(zstd->pack, out->data + out->length, bound, bytes.data, bytes.length, ZSTD_PACK_LEVEL);
    if (ZSTD_isError(written)) {
        return TUMBLE_ENOMEM; /* nothing else is left that could go wrong */
    }
    out->length += written;
    return TUMBLE_OK;
}

enum tumble_code tw_zstd_unpack(struct tw_zstd *zstd, struct tumble_bytes frame, size_t limit, struct tw_buf *out,
                                struct tumble_error *err) {
    unsigned long long size = ZSTD_getFrameContentSize(frame.data, frame.length);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
        return tw_fail(err, TUMBLE_ECOMPRESS, "the bytes are no zstd frame of a known size");
    }
    if (size > limit) {
        return tw_fail(err, TUMBLE_ELIMIT, "a zstd frame says that it holds %llu bytes: at most %zu", size, limit);
    }
    enum tumble_code code = tw_buf_reserve(out, (size_t)size + 1);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    size_t written = ZSTD_decompressDCtx(zstd->unpack, out->data + out->length, (size_t)size, frame.data, frame.length);
    if (ZSTD_isError(written) || written != size) {
        return tw_fail(err, TUMBLE_ECOMPRESS, "a damaged zstd frame: %s",
                       ZSTD_isError(written) ? ZSTD_getErrorName(written) : "it is shorter than it says");
    }
    out->length += written;
    return TUMBLE_OK;
}
