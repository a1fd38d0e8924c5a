#include "adapters/spill/file_spill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/spill/spill_name.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum { PATH_BYTES = PATH_MAX };

struct tw_file_spill {
    struct tumble_alloc alloc;
    struct tumble_spill_store store;
    struct tw_buf read;
    char directory[PATH_BYTES];
};

static enum tumble_code trouble(struct tumble_error *err, const char *what, const char *path, int error) {
    enum tumble_code code = error == ENOSPC || error == EDQUOT ? TUMBLE_EFULL : TUMBLE_ESTORE;
    return tw_fail(err, code, "spill store: cannot %s %.200s: %s", what, path, strerror(error));
}

/* mkdir -p of everything in front of the last slash at or behind from. */
static enum tumble_code make_parents(char *path, size_t from, struct tumble_error *err) {
    for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0777) != 0 && errno != EEXIST ? errno : 0;
        enum tumble_code code = failed ? trouble(err, "make", path, failed) : TUMBLE_OK;
        *slash = '/';
        TW_TRY(code);
    }
    return TUMBLE_OK;
}

static enum tumble_code path_of(const struct tw_file_spill *spill, const char *name, char out[PATH_BYTES],
                                struct tumble_error *err) {
    TW_TRY(tw_spill_name_check(name, err));
    int written = snprintf(out, PATH_BYTES, "%s/%s", spill->directory, name);
    return written < 0 || written >= PATH_BYTES ? trouble(err, "name", spill->directory, ENAMETOOLONG) : TUMBLE_OK;
}

static int sync_parent(const char *path) {
    char parent[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int failed = fsync(fd) != 0 && errno != EINVAL ? errno : 0; /* EINVAL: a file system without it */
    close(fd);
    return failed;
}

static int write_all(int fd, struct tumble_bytes bytes) {
    while (bytes.length > 0) {
        ssize_t n = write(fd, bytes.data, bytes.length);
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        if (n > 0) {
            bytes.data += n;
            bytes.length -= (size_t)n;
        }
    }
    return fsync(fd) != 0 && errno != EINVAL ? errno : 0;
}

static enum tumble_code put(void *ctx, const char *name, struct tumble_bytes bytes, struct tumble_error *err) {
    struct tw_file_spill *spill = ctx;
    char path[PATH_BYTES], temporary[PATH_BYTES];
    TW_TRY(path_of(spill, name, path, err));
    TW_TRY(make_parents(path, strlen(spill->directory) + 1, err));
    /* No engine's name holds a dot, so this one never meets an object. */
    int length = snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || length >= PATH_BYTES) {
        return trouble(err, "write", path, ENAMETOOLONG);
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return trouble(err, "write", temporary, errno);
    }
    int failed = write_all(fd, bytes);
    failed = close(fd) != 0 && !failed ? errno : failed;
    failed = !failed && rename(temporary, path) != 0 ? errno : failed;
    failed = failed ? failed : sync_parent(path);
    if (failed) {
        unlink(temporary);
        return trouble(err, "write", path, failed);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_whole(struct tw_file_spill *spill, int fd, size_t max_bytes, const char *path,
                                   struct tumble_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return trouble(err, "read", path, EINVAL);
    }
    if (info.st_size < 0 || (uint64_t)info.st_size > max_bytes) {
        return tw_fail(err, TUMBLE_ELIMIT, "spill store: %.200s has %lld bytes: at most %zu are taken", path,
                       (long long)info.st_size, max_bytes);
    }
    tw_buf_clear(&spill->read);
    enum tumble_code code = tw_buf_reserve(&spill->read, (size_t)info.st_size + 1);
    if (code != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    while (spill->read.length < (size_t)info.st_size) {
        ssize_t n = read(fd, spill->read.data + spill->read.length, (size_t)info.st_size - spill->read.length);
        if (n == 0) {
            break; /* cut meanwhile: the digest will tell */
        }
        if (n < 0 && errno != EINTR) {
            return trouble(err, "read", path, errno);
        }
        spill->read.length += n > 0 ? (size_t)n : 0;
    }
    return TUMBLE_OK;
}

static enum tumble_code get(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                            struct tumble_error *err) {
    struct tw_file_spill *spill = ctx;
    char path[PATH_BYTES];
    *out = (struct tumble_bytes){NULL, 0};
    TW_TRY(path_of(spill, name, path, err));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? TUMBLE_OK : trouble(err, "read", path, errno);
    }
    enum tumble_code code = read_whole(spill, fd, max_bytes, path, err);
    close(fd);
    if (code == TUMBLE_OK) {
        *out = tw_buf_view(&spill->read);
    }
    return code;
}

static enum tumble_code remove_object(void *ctx, const char *name, struct tumble_error *err) {
    char path[PATH_BYTES];
    TW_TRY(path_of(ctx, name, path, err));
    return unlink(path) == 0 || errno == ENOENT ? TUMBLE_OK : trouble(err, "remove", path, errno);
}

enum tumble_code tw_file_spill_open(const char *directory, struct tumble_alloc alloc, struct tw_file_spill **out,
                                    struct tumble_error *err) {
    *out = NULL;
    size_t length = directory ? strlen(directory) : 0;
    if (length == 0 || length >= PATH_BYTES - 2) {
        return tw_fail(err, TUMBLE_EINVAL, "spill store: file: needs the path of a directory behind it");
    }
    alloc = tw_alloc_or_default(alloc);
    struct tw_file_spill *spill = tw_alloc_zero(&alloc, sizeof *spill);
    if (!spill) {
        return tw_no_memory(err);
    }
    spill->alloc = alloc;
    tw_buf_init(&spill->read, alloc, SIZE_MAX);
    memcpy(spill->directory, directory, length + 1);
    spill->directory[length] = '/'; /* so that the directory itself is made too */
    spill->directory[length + 1] = '\0';
    enum tumble_code code = make_parents(spill->directory, 1, err);
    spill->directory[length] = '\0';
    if (code == TUMBLE_OK && access(spill->directory, R_OK | W_OK | X_OK) != 0) {
        code = trouble(err, "use", spill->directory, errno);
    }
    if (code != TUMBLE_OK) {
        tw_file_spill_close(spill);
        return code;
    }
    spill->store = (struct tumble_spill_store){spill, put, get, remove_object};
    *out = spill;
    return TUMBLE_OK;
}

const struct tumble_spill_store *tw_file_spill_store(const struct tw_file_spill *spill) { return &spill->store; }

void tw_file_spill_close(struct tw_file_spill *spill) {
    if (spill) {
        struct tumble_alloc alloc = spill->alloc;
        tw_buf_clean_up(&spill->read);
        tw_free(&alloc, spill);
    }
}
