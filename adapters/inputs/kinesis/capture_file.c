#include "adapters/inputs/kinesis/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/compressor.h"

enum { LINES_BYTES = 256 * 1024, LINES_MOST = 64 * 1024 * 1024 };

struct tumble_capture_file {
    struct tumble_alloc alloc;
    char *path; /* NULL: standard output */
    char *partial;
    char *tail; /* of a record: the same in all of them */
    int fd;
    bool replace;
    bool finished;
    struct tw_compressor *compressor; /* NULL: plain */
    struct tw_buf lines;
    struct tw_buf packed;
    uint64_t bytes;
};

static const char *name_of(const struct tumble_capture_file *file) {
    return file->path ? file->path : "standard output";
}

static enum tumble_code cannot(const struct tumble_capture_file *file, const char *what, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EOUTPUT, "%s: cannot %s: %s", name_of(file), what, strerror(errno));
}

/* ---- opening ---- */

static enum tumble_code is_there(const struct tumble_capture_file *file, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EUSAGE, "%s is there already: --force replaces it", file->path);
}

static enum tumble_code open_partial(struct tumble_capture_file *file, struct tumble_error *err) {
    struct stat info;
    struct stat named;
    if (stat(file->path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s is a directory: name a file", file->path);
        }
        if (S_ISREG(info.st_mode) && !file->replace) {
            return is_there(file, err);
        }
        if (!S_ISREG(info.st_mode)) { /* a FIFO or a device: only written */
            tw_free(&file->alloc, file->partial);
            file->partial = NULL;
            file->fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
            return file->fd >= 0 ? TUMBLE_OK : cannot(file, "open it", err);
        }
    }
    file->fd = open(file->partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file->fd < 0) {
        return cannot(file, "make it", err);
    }
    bool locked = flock(file->fd, LOCK_EX | LOCK_NB) == 0;
    if (!locked || fstat(file->fd, &info) != 0 || stat(file->partial, &named) != 0 || info.st_ino != named.st_ino) {
        close(file->fd);
        file->fd = -1;
        return tw_fail(err, TUMBLE_EUSAGE, "%s: another process is writing it", file->partial);
    }
    return ftruncate(file->fd, 0) == 0 ? TUMBLE_OK : cannot(file, "empty what was left of it", err);
}

static enum tw_compression kind_of(const struct tumble_capture_file_options *options) {
    size_t length = strlen(options->path);
    switch (options->compression) {
    case TUMBLE_CAPTURE_PLAIN: return TW_COMPRESSION_NONE;
    case TUMBLE_CAPTURE_GZIP: return TW_COMPRESSION_GZIP;
    case TUMBLE_CAPTURE_ZSTD: return TW_COMPRESSION_ZSTD;
    default: break;
    }
    if (length > 3 && strcmp(options->path + length - 3, ".gz") == 0) {
        return TW_COMPRESSION_GZIP;
    }
    return length > 4 && strcmp(options->path + length - 4, ".zst") == 0 ? TW_COMPRESSION_ZSTD : TW_COMPRESSION_NONE;
}

/* What stands behind the eventID; ARN and region are of letters that JSON does not escape, or are cut there. */
static bool make_texts(struct tumble_capture_file *file, const struct tumble_capture_file_options *options) {
    char tail[4096];
    snprintf(tail, sizeof tail,
             "\",\"eventName\":\"aws:kinesis:record\",\"awsRegion\":\"%.*s\",\"eventSourceARN\":\"%.*s\"}]}\n",
             (int)strcspn(options->region, "\"\\"), options->region, (int)strcspn(options->stream_arn, "\"\\"),
             options->stream_arn);
    file->tail = tw_copy_text(&file->alloc, tail, strlen(tail));
    if (strcmp(options->path, "-") == 0) {
        return file->tail != NULL;
    }
    size_t length = strlen(options->path);
    file->path = tw_copy_text(&file->alloc, options->path, length);
    file->partial = tw_alloc(&file->alloc, length + sizeof ".partial");
    if (!file->path || !file->partial) {
        return false;
    }
    memcpy(file->partial, file->path, length);
    memcpy(file->partial + length, ".partial", sizeof ".partial");
    return file->tail != NULL;
}

static enum tumble_code set_up(struct tumble_capture_file *file, const struct tumble_capture_file_options *options,
                               struct tumble_error *err) {
    enum tw_compression kind = kind_of(options);
    if (!make_texts(file, options)) {
        return tw_no_memory(err);
    }
    if (kind != TW_COMPRESSION_NONE) {
        TW_TRY(tw_compressor_new(kind, file->alloc, &file->compressor, err));
    }
    if (!file->path) {
        file->fd = STDOUT_FILENO;
        return TUMBLE_OK;
    }
    return open_partial(file, err);
}

enum tumble_code tumble_capture_file_open(const struct tumble_capture_file_options *options,
                                          struct tumble_capture_file **out, struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tumble_capture_file *file = tw_alloc_zero(&alloc, sizeof *file);
    *out = NULL;
    if (!file) {
        return tw_no_memory(err);
    }
    file->alloc = alloc;
    file->fd = -1;
    file->replace = options->replace != 0;
    tw_buf_init(&file->lines, alloc, LINES_MOST);
    tw_buf_init(&file->packed, alloc, LINES_MOST);
    enum tumble_code code = set_up(file, options, err);
    if (code != TUMBLE_OK) {
        file->finished = file->fd < 0; /* what another process writes is not ours to remove */
        tumble_capture_file_close(file);
        return code;
    }
    *out = file;
    return TUMBLE_OK;
}

/* ---- writing ---- */

static enum tumble_code append_base64(struct tw_buf *out, struct tumble_bytes data) {
    size_t length = tw_base64_encoded_length(data.length);
    TW_TRY(tw_buf_reserve(out, length));
    tw_base64_encode(data, out->data + out->length);
    out->length += length;
    return TUMBLE_OK;
}

static enum tumble_code append_data(struct tw_buf *out, const struct tumble_kinesis_read *record) {
    if (record->bad) { /* as it came, quotes and all */
        return tw_buf_append_json_string(out, record->data);
    }
    TW_TRY(tw_buf_append_byte(out, '"'));
    TW_TRY(append_base64(out, record->data));
    return tw_buf_append_byte(out, '"');
}

static enum tumble_code append_line(struct tumble_capture_file *file, const char *shard_id,
                                    const struct tumble_kinesis_read *record) {
    struct tw_buf *out = &file->lines;
    char arrival[40];
    snprintf(arrival, sizeof arrival, "%" PRId64 ".%03d", record->arrival_ms / 1000, (int)(record->arrival_ms % 1000));
    TW_TRY(tw_buf_append_text(out, "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":"));
    TW_TRY(tw_buf_append_json_string(out, record->partition_key));
    TW_TRY(tw_buf_append_text(out, ",\"sequenceNumber\":\""));
    TW_TRY(tw_buf_append(out, record->sequence_number.data, record->sequence_number.length));
    TW_TRY(tw_buf_append_text(out, "\",\"data\":"));
    TW_TRY(append_data(out, record));
    TW_TRY(tw_buf_append_text(out, ",\"approximateArrivalTimestamp\":"));
    TW_TRY(tw_buf_append_text(out, arrival));
    if (record->kms) {
        TW_TRY(tw_buf_append_text(out, ",\"encryptionType\":\"KMS\""));
    }
    TW_TRY(tw_buf_append_text(out, "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\""));
    TW_TRY(tw_buf_append_text(out, shard_id));
    TW_TRY(tw_buf_append_byte(out, ':'));
    TW_TRY(tw_buf_append(out, record->sequence_number.data, record->sequence_number.length));
    return tw_buf_append_text(out, file->tail);
}

static enum tumble_code write_all(struct tumble_capture_file *file, struct tumble_bytes bytes,
                                  struct tumble_error *err) {
    while (bytes.length) {
        ssize_t wrote = write(file->fd, bytes.data, bytes.length);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return cannot(file, "write", err);
        }
        bytes.data += wrote;
        bytes.length -= (size_t)wrote;
        file->bytes += (uint64_t)wrote;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_capture_file_flush(struct tumble_capture_file *file, struct tumble_error *err) {
    struct tumble_bytes lines = tw_buf_view(&file->lines);
    if (file->compressor) {
        tw_buf_clear(&file->packed);
        TW_TRY(tw_compress(file->compressor, lines, &file->packed, err));
        lines = tw_buf_view(&file->packed);
    }
    TW_TRY(write_all(file, lines, err));
    tw_buf_clear(&file->lines);
    return TUMBLE_OK;
}

enum tumble_code tumble_capture_file_write(struct tumble_capture_file *file, const char *shard_id,
                                           const struct tumble_kinesis_read *record, struct tumble_error *err) {
    size_t before = file->lines.length;
    if (append_line(file, shard_id, record) != TUMBLE_OK) {
        file->lines.length = before; /* no half line */
        return tw_no_memory(err);
    }
    return file->lines.length < LINES_BYTES ? TUMBLE_OK : tumble_capture_file_flush(file, err);
}

enum tumble_code tumble_capture_file_finish(struct tumble_capture_file *file, struct tumble_error *err) {
    TW_TRY(tumble_capture_file_flush(file, err));
    if (file->compressor) {
        tw_buf_clear(&file->packed);
        TW_TRY(tw_compress_end(file->compressor, &file->packed, err));
        TW_TRY(write_all(file, tw_buf_view(&file->packed), err));
    }
    if (file->partial) {
        if (fsync(file->fd) != 0) {
            return cannot(file, "write", err);
        }
        /* link refuses a name that was taken meanwhile, where rename would replace it; not every file system has it */
        if (!file->replace && link(file->partial, file->path) == 0) {
            unlink(file->partial);
        } else if (!file->replace && errno == EEXIST) {
            return is_there(file, err);
        } else if (rename(file->partial, file->path) != 0) {
            return cannot(file, "give it its name", err);
        }
    }
    file->finished = true;
    return TUMBLE_OK;
}

uint64_t tumble_capture_file_bytes(const struct tumble_capture_file *file) { return file->bytes; }

void tumble_capture_file_close(struct tumble_capture_file *file) {
    if (!file) {
        return;
    }
    struct tumble_alloc alloc = file->alloc;
    if (!file->finished && file->partial) {
        unlink(file->partial);
    }
    if (file->fd >= 0 && file->path) {
        close(file->fd);
    }
    tw_compressor_destroy(file->compressor);
    tw_buf_clean_up(&file->lines);
    tw_buf_clean_up(&file->packed);
    tw_free(&alloc, file->path);
    tw_free(&alloc, file->partial);
    tw_free(&alloc, file->tail);
    tw_free(&alloc, file);
}
