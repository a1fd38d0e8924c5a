#ifndef TW_CODEC_COMPRESS_H
#define TW_CODEC_COMPRESS_H

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

/* zlib and libzstd live here. A streaming decompressor: sans I/O, concatenated members or frames accepted, a truncated
 * or damaged stream is ECOMPRESS with the compressed offset. */
enum tw_compression { TW_COMPRESSION_NONE, TW_COMPRESSION_GZIP, TW_COMPRESSION_ZSTD };

enum tw_compression tw_compression_of(struct tumble_bytes first_bytes); /* by magic number */

struct tw_decompressor;
enum tumble_code tw_decompressor_new(enum tw_compression kind, struct tumble_alloc alloc, struct tw_decompressor **out,
                                     struct tumble_error *err);
void tw_decompressor_destroy(struct tw_decompressor *d);

/* Feeds in (advanced past what was read) and writes up to out_capacity bytes. end_of_input tells that in holds the last
 * bytes there are: a stream that is not complete then is an error. *written may be 0 when more input is needed.
 * With end_of_input call until in is empty and *written is 0. *written bytes are good also beside an error; a stream
 * that failed fails for ever. A zstd window over 128 MiB is refused. */
enum tumble_code tw_decompress(struct tw_decompressor *d, struct tumble_bytes *in, int end_of_input, char *out,
                               size_t out_capacity, size_t *written, struct tumble_error *err);

/* Whole blocks of bytes as one zstd frame each, contexts kept from one to the next. The same bytes give the same frame
 * with the same libzstd. One thread at a time. */
struct tw_zstd;
struct tw_zstd *tw_zstd_new(struct tumble_alloc alloc); /* NULL: no memory */
void tw_zstd_destroy(struct tw_zstd *zstd);             /* NULL allowed */
/* Appends. Errors: ENOMEM, ELIMIT (past out's cap). */
enum tumble_code tw_zstd_pack(struct tw_zstd *zstd, struct tumble_bytes bytes, struct tw_buf *out);
/* Appends what a frame of tw_zstd_pack holds. Errors: ECOMPRESS (no such frame, or damaged), ELIMIT (it says that it
 * holds more than limit bytes), ENOMEM. */
enum tumble_code tw_zstd_unpack(struct tw_zstd *zstd, struct tumble_bytes frame, size_t limit, struct tw_buf *out,
                                struct tumble_error *err);

#endif
