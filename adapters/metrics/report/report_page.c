#include "adapters/metrics/report/report_page.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"

enum { TEMPORARY_BYTES = 4096 };

#define DATA_MARK "{{data}}"

extern const unsigned char tw_report_page[]; /* length 0: built without */
extern const size_t tw_report_page_length;

int tw_report_page_is_there(void) { return tw_report_page_length > 0; }

static enum tumble_code refuse(const char *path, int error, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EOUTPUT, "report %.200s: cannot write: %s", path, strerror(error));
}

static bool is_device(const char *path) { /* /dev/null must not be renamed over */
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

static FILE *open_to_write(const char *path, bool device, char temporary[TEMPORARY_BYTES], struct tumble_error *err) {
    int length = snprintf(temporary, TEMPORARY_BYTES, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || length >= TEMPORARY_BYTES) {
        refuse(path, ENAMETOOLONG, err);
        return NULL;
    }
    FILE *file = fopen(device ? path : temporary, "wb");
    if (!file) {
        refuse(path, errno, err);
    }
    return file;
}

enum tumble_code tw_report_page_probe(const char *path, struct tumble_error *err) {
    char temporary[TEMPORARY_BYTES];
    struct stat info;
    if (!tw_report_page_is_there()) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "this tumble was built without its report page: build it with ./dev build, or with "
                       "cmake -DTUMBLE_REPORT_DIR=DIR where DIR/node_modules/uplot is (docs/report.md)");
    }
    if (is_device(path)) {
        bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
        return directory ? refuse(path, EISDIR, err) : access(path, W_OK) != 0 ? refuse(path, errno, err) : TUMBLE_OK;
    }
    FILE *file = open_to_write(path, false, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    fclose(file);
    unlink(temporary);
    return TUMBLE_OK;
}

static void print(FILE *file, struct tumble_bytes data) {
    const char *page = (const char *)tw_report_page, *mark = strstr(page, DATA_MARK); /* a zero ends it */
    size_t before = mark ? (size_t)(mark - page) : tw_report_page_length;
    fwrite(page, 1, before, file);
    if (mark) {
        size_t behind = before + strlen(DATA_MARK);
        fwrite(data.data, 1, data.length, file);
        fwrite(page + behind, 1, tw_report_page_length - behind, file);
    }
}

enum tumble_code tw_report_page_write(const char *path, struct tumble_bytes data, struct tumble_error *err) {
    char temporary[TEMPORARY_BYTES];
    bool device = is_device(path);
    FILE *file = open_to_write(path, device, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    print(file, data);
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
    return error ? refuse(path, error, err) : TUMBLE_OK;
}
