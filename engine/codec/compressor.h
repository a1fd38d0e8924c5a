#ifndef TW_CODEC_COMPRESSOR_H
#define TW_CODEC_COMPRESSOR_H

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/buf.h"
#include "engine/codec/compress.h"

/* A streaming compressor. The bytes it gives depend on the bytes it was given and on the version of zlib or libzstd,
 * never on how they were cut into calls; a gzip header bears no time and no system. One thread per object. */
struct tw_compressor;

/* Errors: ENOMEM. */
enum tumble_code tw_compressor_new(enum tw_compression kind, struct tumble_alloc alloc, struct tw_compressor **out,
                                   struct tumble_error *err);
void tw_compressor_destroy(struct tw_compressor *c); /* NULL allowed */

/* Takes bytes and appends what is ready to out. Errors: ENOMEM, ELIMIT (out's cap); after one only begin helps. */
enum tumble_code tw_compress(struct tw_compressor *c, struct tumble_bytes bytes, struct tw_buf *out,
                             struct tumble_error *err);
/* Ends the member or frame; the next tw_compress begins another. */
enum tumble_code tw_compress_end(struct tw_compressor *c, struct tw_buf *out, struct tumble_error *err);
/* Forgets what was begun. */
void tw_compress_begin(struct tw_compressor *c);

#endif
