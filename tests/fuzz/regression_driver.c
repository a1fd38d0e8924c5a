#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz_target.h"

/* Stands in for libFuzzer where there is none: runs every file named on the command line, and every file of every
 * directory, through the target once. A property that fails aborts; a file that cannot be read is a failure too. */

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    uint8_t *data = NULL;
    size_t size = 0;
    size_t capacity = 0;
    for (;;) {
        if (size == capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            uint8_t *more = realloc(data, capacity);
            if (!more) {
                abort();
            }
            data = more;
        }
        size_t got = fread(data + size, 1, capacity - size, file);
        if (got == 0) {
            break;
        }
        size += got;
    }
    int failed = ferror(file);
    fclose(file);
    if (!failed) {
        /* A copy of exactly this size, so that the sanitizer sees a read past the end. */
        uint8_t *exact = malloc(size ? size : 1);
        if (!exact) {
            abort();
        }
        memcpy(exact, data, size);
        printf("%s: %zu bytes\n", path, size);
        fflush(stdout);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    } else {
        fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(data);
    return failed ? -1 : 1;
}

static int run_directory(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(directory));) {
        char file[PATH_MAX];
        if (entry->d_name[0] == '.') {
            continue;
        }
        int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        count = length > 0 && (size_t)length < sizeof file && run_file(file) == 1 ? count + 1 : -1;
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    int total = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        int count = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode) ? run_directory(argv[i]) : run_file(argv[i]);
        if (count < 0) {
            return 1;
        }
        total += count;
    }
    if (total == 0) {
        fprintf(stderr, "usage: %s FILE-OR-DIRECTORY…: no file was run\n", argv[0]);
        return 1;
    }
    printf("%d inputs replayed\n", total);
    return 0;
}
