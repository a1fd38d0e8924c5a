#include "engine/codec/compressor.h"

#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "engine/base/fail.h"

/* Both libraries are fed whole blocks of this size whatever the caller's calls were, so that the cuts can never show.
 */
enum { BLOCK_BYTES = 64 * 1024, GZIP_LEVEL = 6, ZSTD_LEVEL = 3 };

struct tw_compressor {
    enum tw_compression kind;
    struct tumble_alloc alloc;
    z_stream gzip;
    gz_header header;
    bool gzip_made;
    ZSTD_CStream *zstd;
    size_t filled;
    char block[BLOCK_BYTES];
};

static void *gzip_alloc(void *ctx, unsigned count, unsigned size) {
    return tw_alloc_array((const struct tumble_alloc *)ctx, count, size);
}

static void gzip_free(void *ctx, void *pointer) { tw_free((const struct tumble_alloc *)ctx, pointer); }

static bool name_header(struct tw_compressor *c) {
    memset(&c->header, 0, sizeof c->header);
    c->header.os = 255; /* unknown: the same bytes on every system */
    return deflateSetHeader(&c->gzip, &c->header) == Z_OK;
}

enum tumble_code tw_compressor_new(enum tw_compression kind, struct tumble_alloc alloc, struct tw_compressor **out,
                                   struct tumble_error *err) {
    *out = NULL;
    alloc = tw_alloc_or_default(alloc);
    struct tw_compressor *c = tw_alloc_zero(&alloc, sizeof *c);
    if (!c) {
        return tw_no_memory(err);
    }
    c->kind = kind;
    c->alloc = alloc;
    bool made = true;
    if (kind == TW_COMPRESSION_GZIP) {
        c->gzip.zalloc = gzip_alloc;
        c->gzip.zfree = gzip_free;
        c->gzip.opaque = &c->alloc;
        c->gzip_made = deflateInit2(&c->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
        made = c->gzip_made && name_header(c);
    } else if (kind == TW_COMPRESSION_ZSTD) {
        c->zstd = ZSTD_createCStream();
        made = c->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1));
    }
    if (!made) {
        tw_compressor_destroy(c);
        return tw_no_memory(err);
    }
    *out = c;
    return TUMBLE_OK;
}

void tw_compressor_destroy(struct tw_compressor *c) {
    if (!c) {
        return;
    }
    if (c->gzip_made) {
        deflateEnd(&c->gzip);
    }
    ZSTD_freeCStream(c->zstd);
    struct tumble_alloc alloc = c->alloc;
    tw_free(&alloc, c);
}

static enum tumble_code reserve(struct tw_buf *out, struct tumble_error *err) {
    enum tumble_code code =
        out->capacity - out->length >= BLOCK_BYTES / 4 ? TUMBLE_OK : tw_buf_reserve(out, BLOCK_BYTES);
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

static enum tumble_code push_gzip(struct tw_compressor *c, bool end, struct tw_buf *out, struct tumble_error *err) {
    c->gzip.next_in = (Bytef *)c->block;
    c->gzip.avail_in = (uInt)c->filled;
    for (;;) {
        TW_TRY(reserve(out, err));
        size_t room = out->capacity - out->length;
        uInt give = room < BLOCK_BYTES ? (uInt)room : BLOCK_BYTES;
        c->gzip.next_out = (Bytef *)out->data + out->length;
        c->gzip.avail_out = give;
        int result = deflate(&c->gzip, end ? Z_FINISH : Z_NO_FLUSH);
        out->length += give - c->gzip.avail_out;
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
            return tw_fail(err, TUMBLE_EINTERNAL, "zlib refuses to compress: %s", c->gzip.msg ? c->gzip.msg : "?");
        }
        if (end ? result == Z_STREAM_END : c->gzip.avail_out > 0) {
            return TUMBLE_OK;
        }
    }
}

static enum tumble_code push_zstd(struct tw_compressor *c, bool end, struct tw_buf *out, struct tumble_error *err) {
    ZSTD_inBuffer from = {c->block, c->filled, 0};
    /* The end is asked for on its own, after the bytes: given together the library may take another way through. */
    for (int closing = 0; closing <= (end ? 1 : 0); closing++) {
        size_t left = 1;
        while (closing ? left > 0 : from.pos < from.size) {
            TW_TRY(reserve(out, err));
            ZSTD_outBuffer to = {out->data + out->length, out->capacity - out->length, 0};
            left = ZSTD_compressStream2(c->zstd, &to, &from, closing ? ZSTD_e_end : ZSTD_e_continue);
            if (ZSTD_isError(left)) {
                return tw_fail(err, TUMBLE_EINTERNAL, "libzstd refuses to compress: %s", ZSTD_getErrorName(left));
            }
            out->length += to.pos;
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code push(struct tw_compressor *c, bool end, struct tw_buf *out, struct tumble_error *err) {
    enum tumble_code code = c->kind == TW_COMPRESSION_GZIP   ? push_gzip(c, end, out, err)
                            : c->kind == TW_COMPRESSION_ZSTD ? push_zstd(c, end, out, err)
                                                             : tw_buf_append(out, c->block, c->filled);
    c->filled = 0;
    return code;
}

enum tumble_code tw_compress(struct tw_compressor *c, struct tumble_bytes bytes, struct tw_buf *out,
                             struct tumble_error *err) {
    while (bytes.length > 0) {
        size_t part = BLOCK_BYTES - c->filled < bytes.length ? BLOCK_BYTES - c->filled : bytes.length;
        memcpy(c->block + c->filled, bytes.data, part);
        c->filled += part;
        bytes.data += part;
        bytes.length -= part;
        if (c->filled == BLOCK_BYTES) {
            TW_TRY(push(c, false, out, err));
        }
    }
    return TUMBLE_OK;
}

void tw_compress_begin(struct tw_compressor *c) {
    c->filled = 0;
    if (c->kind == TW_COMPRESSION_GZIP) {
        deflateReset(&c->gzip);
        name_header(c);
    } else if (c->kind == TW_COMPRESSION_ZSTD) {
        ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
    }
}

enum tumble_code tw_compress_end(struct tw_compressor *c, struct tw_buf *out, struct tumble_error *err) {
    TW_TRY(push(c, true, out, err));
    tw_compress_begin(c);
    return TUMBLE_OK;
}
