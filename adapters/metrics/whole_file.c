#include "adapters/metrics/whole_file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"

enum { TEMPORARY_BYTES = 4096 };

static enum tumble_code refuse(const char *role, const char *path, int error, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EOUTPUT, "%s %.200s: cannot write: %s", role, path, strerror(error));
}

static bool is_device(const char *path) { /* /dev/null must not be renamed over */
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

/* Opens the file beside it, that takes its place when it is whole, or the device. */
static FILE *open_to_write(const char *role, const char *path, bool device, char temporary[TEMPORARY_BYTES],
                           struct tumble_error *err) {
    int length = snprintf(temporary, TEMPORARY_BYTES, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || length >= TEMPORARY_BYTES) {
        refuse(role, path, ENAMETOOLONG, err);
        return NULL;
    }
    FILE *file = fopen(device ? path : temporary, "wb");
    if (!file) {
        refuse(role, path, errno, err);
    }
    return file;
}

enum tumble_code tw_whole_file_probe(const char *role, const char *path, struct tumble_error *err) {
    char temporary[TEMPORARY_BYTES];
    if (is_device(path)) { /* opening one may wait for who reads it */
        struct stat info;
        bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
        return directory                 ? refuse(role, path, EISDIR, err)
               : access(path, W_OK) != 0 ? refuse(role, path, errno, err)
                                         : TUMBLE_OK;
    }
    FILE *file = open_to_write(role, path, false, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    fclose(file);
    unlink(temporary);
    return TUMBLE_OK;
}

enum tumble_code tw_whole_file_write(const char *role, const char *path, void (*print)(FILE *to, const void *what),
                                     const void *what, struct tumble_error *err) {
    char temporary[TEMPORARY_BYTES];
    bool device = is_device(path);
    FILE *file = open_to_write(role, path, device, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    print(file, what);
    int error = fflush(file) != 0 || ferror(file) ? errno : 0;
    if (fclose(file) != 0 && !error) {
        error = errno;
    }
    if (!error && !device && rename(temporary, path) != 0) {
        error = errno;
    }
    if (error && !device) {
        unlink(temporary);
    }
    return error ? refuse(role, path, error, err) : TUMBLE_OK;
}
