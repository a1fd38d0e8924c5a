#ifndef TW_CAPTURE_BYTE_SOURCE_H
#define TW_CAPTURE_BYTE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "engine/codec/compress.h"

/* The bytes of one input, decompressed: a file, a FIFO, a device, standard input ("-"), or an object ("s3://…"). */
struct tw_object_source;
struct tw_byte_source {
    struct tumble_alloc alloc;
    const char *path; /* borrowed */
    int fd;           /* -1: closed, or an object */
    struct tw_object_source *object;
    enum tw_compression compression;
    struct tw_decompressor *decompressor;
    char *raw; /* bytes as they lie on disk: the first ones of every input, all of a compressed one */
    size_t raw_begin;
    size_t raw_end;
    bool raw_at_end;
    int (*stopping)(void *ctx); /* asked when a signal interrupts a read; NULL: read on */
    void *stopping_ctx;
    uint64_t raw_bytes; /* read so far */
    uint64_t bytes;     /* given out so far */
};

/* Size of a regular file or an object, -1 for whatever else can be read. Errors: EINPUT (missing, unreadable, a
 * directory). */
enum tumble_code tw_byte_source_check(const char *path, int64_t *size, struct tumble_error *err);

/* Zeroed with fd -1 is closed and may be closed again. stopping and its ctx stay as the caller set them. Errors name
 * the path: EINPUT, ECOMPRESS, ENOMEM; EINTERRUPTED when stopping said so. */
enum tumble_code tw_byte_source_open(struct tw_byte_source *source, const char *path, struct tumble_alloc alloc,
                                     struct tumble_error *err);
void tw_byte_source_close(struct tw_byte_source *source);
/* Reads some bytes, at most capacity (> 0); *got 0 at the end. */
enum tumble_code tw_byte_source_read(struct tw_byte_source *source, char *out, size_t capacity, size_t *got,
                                     struct tumble_error *err);

#endif
