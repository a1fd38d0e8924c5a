#ifndef TUMBLE_CAPTURE_FILE_H
#define TUMBLE_CAPTURE_FILE_H

#include "adapters/inputs/kinesis/kinesis_stream.h"

/* Writes records as a capture: Lambda events of one record each, one a line (docs/captures.md, format `lambda`). A file
 * appears under its name when it is whole, and until then grows under that name with ".partial". One thread. */

enum tumble_capture_compression {
    TUMBLE_CAPTURE_BY_NAME = 0, /* ".gz", ".zst"; anything else: plain */
    TUMBLE_CAPTURE_PLAIN,
    TUMBLE_CAPTURE_GZIP,
    TUMBLE_CAPTURE_ZSTD
};

struct tumble_capture_file_options {
    const char *path; /* "-": standard output. Copied, as the others are */
    enum tumble_capture_compression compression;
    int replace; /* a file that is there; else that is an error */
    const char *stream_arn;
    const char *region;
    struct tumble_alloc alloc;
};

struct tumble_capture_file;

/* Errors: EUSAGE (there is a file of that name, or another process writes it), EOUTPUT (cannot be made), ENOMEM. */
enum tumble_code tumble_capture_file_open(const struct tumble_capture_file_options *options,
                                          struct tumble_capture_file **out, struct tumble_error *err);
/* Errors: EOUTPUT, ENOMEM. */
enum tumble_code tumble_capture_file_write(struct tumble_capture_file *file, const char *shard_id,
                                           const struct tumble_kinesis_read *record, struct tumble_error *err);
/* Whole lines go out, so that a reader of a pipe, or of the partial file if it is plain, sees them. */
enum tumble_code tumble_capture_file_flush(struct tumble_capture_file *file, struct tumble_error *err);
/* Makes it whole and gives it its name. Errors: EOUTPUT, ENOMEM. */
enum tumble_code tumble_capture_file_finish(struct tumble_capture_file *file, struct tumble_error *err);
uint64_t tumble_capture_file_bytes(const struct tumble_capture_file *file); /* written, compressed */
/* One that was not finished is removed. NULL allowed. */
void tumble_capture_file_close(struct tumble_capture_file *file);

#endif
