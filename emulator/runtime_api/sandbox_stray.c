#include "emulator/runtime_api/sandbox_stray.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 20, ENVIRONMENT_BYTES = 256 * 1024 };

void tw_sandbox_mark(char out[TW_SANDBOX_MARK]) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(out, TW_SANDBOX_MARK, "_LAMBDA_SANDBOX_OF=%ld.%" PRId64 ".%09ld", (long)getpid(), (int64_t)now.tv_sec,
             now.tv_nsec);
}

/* Texts side by side, each with its NUL. */
static bool holds(const char *texts, size_t length, const char *mark) {
    size_t wanted = strlen(mark) + 1;
    const char *end = texts + length;
    while (texts < end) {
        const char *next = memchr(texts, '\0', (size_t)(end - texts));
        size_t size = next ? (size_t)(next - texts) + 1 : (size_t)(end - texts);
        if (size == wanted && memcmp(texts, mark, size) == 0) {
            return true;
        }
        texts += size;
    }
    return false;
}

static bool is_stray(const char *process, const char *mark) {
    static char environment[ENVIRONMENT_BYTES];
    char path[64];
    size_t length = 0;
    ssize_t got = 1;
    snprintf(path, sizeof path, "/proc/%.20s/environ", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && got > 0 && length < sizeof environment) {
        got = read(fd, environment + length, sizeof environment - length);
        length += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    return holds(environment, length, mark);
}

static bool kill_some(const char *mark) {
    DIR *processes = opendir("/proc");
    bool found = false;
    const struct dirent *entry;
    while (processes && (entry = readdir(processes))) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && number > 1 && number != (long)getpid() && is_stray(entry->d_name, mark)) {
            found |= kill((pid_t)number, SIGKILL) == 0;
        }
    }
    if (processes) {
        closedir(processes);
    }
    return found;
}

void tw_sandbox_kill_strays(const char *mark) {
    static const struct timespec nap = {0, 2000000}; /* what was killed has an environment until it is gone */
    for (int i = 0; i < ROUNDS && kill_some(mark); i++) {
        nanosleep(&nap, NULL);
    }
}
