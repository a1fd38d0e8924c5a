#ifndef STATE_FIXTURE_H
#define STATE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A directory of a test's own under $TMPDIR. fixture_directory makes it at first; fixture_remove takes all of it. */
static char fixture_path[256];

static inline const char *fixture_directory(void) {
    if (!fixture_path[0]) {
        const char *base = getenv("TMPDIR");
        snprintf(fixture_path, sizeof fixture_path, "%s/tumble-store-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(fixture_path)) {
            perror(fixture_path);
            abort();
        }
    }
    return fixture_path;
}

static inline int fixture_remove_one(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void fixture_remove(void) {
    if (fixture_path[0]) {
        nftw(fixture_path, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS);
        fixture_path[0] = '\0';
    }
}

#endif
