#include "adapters/inputs/capture/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/inputs/capture/object_source.h"
#include "engine/base/alloc.h"
#include "engine/base/fail.h"

enum { RAW_BYTES = 128 * 1024, MAGIC_BYTES = 4 };

static bool is_stdin(const char *path) { return strcmp(path, "-") == 0; }

static enum tumble_code describe(const char *path, const struct stat *status, int64_t *size, struct tumble_error *err) {
    if (S_ISDIR(status->st_mode)) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: is a directory; name files", path);
    }
    *size = S_ISREG(status->st_mode) ? (int64_t)status->st_size : -1;
    return TUMBLE_OK;
}

enum tumble_code tw_byte_source_check(const char *path, int64_t *size, struct tumble_error *err) {
    if (tw_object_source_takes(path)) {
        return tw_object_source_check(path, size, err);
    }
    struct stat status;
    bool standard = is_stdin(path);
    if ((standard ? fstat(STDIN_FILENO, &status) : stat(path, &status)) != 0) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    TW_TRY(describe(path, &status, size, err));
    if (!standard && access(path, R_OK) != 0) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: cannot be read: %s", path, strerror(errno));
    }
    if (standard) {
        *size = -1; /* it may be read from the middle, and grow */
    }
    return TUMBLE_OK;
}

/* Reads what the kernel has, into out. */
static enum tumble_code read_raw(struct tw_byte_source *source, char *out, size_t capacity, size_t *got,
                                 struct tumble_error *err) {
    if (source->object) {
        TW_TRY(tw_object_source_read(source->object, out, capacity, got, err));
        source->raw_at_end = *got == 0;
        source->raw_bytes += *got;
        return TUMBLE_OK;
    }
    ssize_t length;
    while ((length = read(source->fd, out, capacity)) < 0 && errno == EINTR) {
        if (source->stopping && source->stopping(source->stopping_ctx)) {
            return tw_fail(err, TUMBLE_EINTERRUPTED, "%s: stopped by a signal while waiting for more", source->path);
        }
    }
    if (length < 0) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: cannot be read at byte %llu: %s", source->path,
                       (unsigned long long)source->raw_bytes, strerror(errno));
    }
    *got = (size_t)length;
    source->raw_at_end = length == 0;
    source->raw_bytes += (uint64_t)length;
    return TUMBLE_OK;
}

static enum tumble_code open_file(struct tw_byte_source *source, const char *path, struct tumble_error *err) {
    source->fd = is_stdin(path) ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int64_t size;
    if (source->fd < 0 || fstat(source->fd, &status) != 0) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: cannot be opened: %s", path, strerror(errno));
    }
    return describe(path, &status, &size, err);
}

enum tumble_code tw_byte_source_open(struct tw_byte_source *source, const char *path, struct tumble_alloc alloc,
                                     struct tumble_error *err) {
    struct tw_byte_source fresh = {.stopping = source->stopping, .stopping_ctx = source->stopping_ctx};
    *source = fresh;
    source->alloc = alloc;
    source->path = path;
    source->fd = -1;
    TW_TRY(tw_object_source_takes(path)
               ? tw_object_source_open(path, alloc, source->stopping, source->stopping_ctx, &source->object, err)
               : open_file(source, path, err));
    source->raw = tw_alloc(&source->alloc, RAW_BYTES);
    if (!source->raw) {
        return tw_no_memory(err);
    }
    while (source->raw_end < MAGIC_BYTES && !source->raw_at_end) {
        size_t got = 0;
        TW_TRY(read_raw(source, source->raw + source->raw_end, RAW_BYTES - source->raw_end, &got, err));
        source->raw_end += got;
    }
    struct tumble_bytes first = {source->raw, source->raw_end};
    source->compression = tw_compression_of(first);
    if (source->compression == TW_COMPRESSION_NONE) {
        return TUMBLE_OK;
    }
    return tw_decompressor_new(source->compression, source->alloc, &source->decompressor, err);
}

void tw_byte_source_close(struct tw_byte_source *source) {
    if (source->fd > STDIN_FILENO || (source->fd == STDIN_FILENO && source->path && !is_stdin(source->path))) {
        close(source->fd);
    }
    source->fd = -1;
    tw_object_source_close(source->object);
    source->object = NULL;
    tw_decompressor_destroy(source->decompressor);
    source->decompressor = NULL;
    if (source->raw) {
        tw_free(&source->alloc, source->raw);
        source->raw = NULL;
    }
}

static enum tumble_code read_compressed(struct tw_byte_source *source, char *out, size_t capacity, size_t *got,
                                        struct tumble_error *err) {
    for (;;) {
        if (source->raw_begin == source->raw_end && !source->raw_at_end) {
            source->raw_begin = source->raw_end = 0;
            TW_TRY(read_raw(source, source->raw, RAW_BYTES, &source->raw_end, err));
        }
        size_t before = source->raw_end - source->raw_begin;
        struct tumble_bytes in = {source->raw + source->raw_begin, before};
        enum tumble_code code = tw_decompress(source->decompressor, &in, source->raw_at_end, out, capacity, got, err);
        if (code != TUMBLE_OK) {
            tw_error_prefix(err, "%s", source->path);
            return code;
        }
        source->raw_begin = source->raw_end - in.length;
        if (*got > 0 || (source->raw_at_end && in.length == 0)) {
            return TUMBLE_OK;
        }
        if (in.length == before && before > 0) {
            return tw_fail(err, TUMBLE_ECOMPRESS, "%s: cannot be decompressed any further", source->path);
        }
    }
}

enum tumble_code tw_byte_source_read(struct tw_byte_source *source, char *out, size_t capacity, size_t *got,
                                     struct tumble_error *err) {
    *got = 0;
    if (source->decompressor) {
        TW_TRY(read_compressed(source, out, capacity, got, err));
    } else if (source->raw_begin < source->raw_end) {
        size_t left = source->raw_end - source->raw_begin;
        *got = left < capacity ? left : capacity;
        memcpy(out, source->raw + source->raw_begin, *got);
        source->raw_begin += *got;
    } else if (!source->raw_at_end) {
        TW_TRY(read_raw(source, out, capacity, got, err));
    }
    source->bytes += *got;
    return TUMBLE_OK;
}
