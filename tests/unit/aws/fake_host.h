#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include <stdlib.h>
#include <string.h>

#include "adapters/aws/aws_host.h"
#include "engine/base/fail.h"

/* An environment, a disk, a clock and a process that a test writes down as tables. */

struct fake_pair {
    const char *name;
    const char *value;
};

enum { FAKE_PAIRS = 16 };

struct fake_host {
    struct fake_pair variables[FAKE_PAIRS]; /* ends at a NULL name */
    struct fake_pair files[FAKE_PAIRS];
    int64_t now_ms;
    int64_t steady_ms;
    int64_t slept_ms;
    int sleeps;
    uint64_t random;
    const char *output; /* of run; NULL: the command fails */
    int runs;
    char ran[512]; /* argv of the last run, joined by | */
};

static const char *fake_find(const struct fake_pair *pairs, const char *name) {
    for (size_t i = 0; i < FAKE_PAIRS && pairs[i].name; i++) {
        if (strcmp(pairs[i].name, name) == 0) {
            return pairs[i].value;
        }
    }
    return NULL;
}

static const char *fake_variable(void *ctx, const char *name) {
    return fake_find(((struct fake_host *)ctx)->variables, name);
}

static int64_t fake_now_ms(void *ctx) { return ((struct fake_host *)ctx)->now_ms; }

static int64_t fake_steady_ms(void *ctx) { return ((struct fake_host *)ctx)->steady_ms; }

static void fake_sleep_ms(void *ctx, int64_t how_long) {
    struct fake_host *fake = ctx;
    fake->slept_ms += how_long;
    fake->steady_ms += how_long;
    fake->now_ms += how_long;
    fake->sleeps++;
}

static uint64_t fake_random(void *ctx) { return ((struct fake_host *)ctx)->random; }

static enum tumble_code fake_read_file(void *ctx, const char *path, struct tw_buf *out, bool *found,
                                       struct tumble_error *err) {
    const char *text = fake_find(((struct fake_host *)ctx)->files, path);
    *found = text != NULL;
    return text && tw_buf_append_text(out, text) != TUMBLE_OK ? tw_no_memory(err) : TUMBLE_OK;
}

static enum tumble_code fake_run(void *ctx, char *const *argv, int64_t timeout_ms, struct tw_buf *out,
                                 struct tumble_error *err) {
    struct fake_host *fake = ctx;
    (void)timeout_ms;
    fake->runs++;
    fake->ran[0] = '\0';
    for (size_t i = 0; argv[i]; i++) {
        strncat(fake->ran, argv[i], sizeof fake->ran - strlen(fake->ran) - 1);
        strncat(fake->ran, argv[i + 1] ? "|" : "", sizeof fake->ran - strlen(fake->ran) - 1);
    }
    if (!fake->output) {
        return tw_fail(err, TUMBLE_EINPUT, "%s ended with exit status 1", argv[0]);
    }
    return tw_buf_append_text(out, fake->output) == TUMBLE_OK ? TUMBLE_OK : tw_no_memory(err);
}

static inline struct tw_aws_host fake_host_of(struct fake_host *fake) {
    struct tw_aws_host host = {fake,          fake_variable, fake_now_ms,    fake_steady_ms,
                               fake_sleep_ms, fake_random,   fake_read_file, fake_run};
    return host;
}

#endif
