#define _GNU_SOURCE /* pipe2, environ */

#include "adapters/aws/aws_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/fail.h"

static const char *real_variable(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static int64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t real_now_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t real_steady_ms(void *ctx) {
    (void)ctx;
    return clock_ms(CLOCK_MONOTONIC);
}

static void real_sleep_ms(void *ctx, int64_t how_long) {
    (void)ctx;
    if (how_long > 0) {
        struct timespec time = {(time_t)(how_long / 1000), (long)(how_long % 1000) * 1000000};
        nanosleep(&time, NULL);
    }
}

static uint64_t real_random(void *ctx) {
    (void)ctx;
    uint64_t value;
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        value = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u;
    }
    return value;
}

/* Appends what fd gives up to its end. */
static enum tumble_code read_all(int fd, const char *path, struct tw_buf *out, struct tumble_error *err) {
    for (;;) {
        enum tumble_code code = tw_buf_reserve(out, 1);
        if (code == TUMBLE_ELIMIT) {
            char more;
            ssize_t got = read(fd, &more, 1);
            if (got == 0) {
                return TUMBLE_OK; /* just fits */
            }
            return tw_fail(err, TUMBLE_ELIMIT, "%s: more than %zu bytes", path, out->cap);
        }
        if (code != TUMBLE_OK) {
            return tw_no_memory(err);
        }
        ssize_t got = read(fd, out->data + out->length, out->capacity - out->length);
        if (got < 0 && errno != EINTR) {
            return tw_fail(err, TUMBLE_EINPUT, "%s: %s", path, strerror(errno));
        }
        if (got == 0) {
            return TUMBLE_OK;
        }
        if (got > 0) {
            out->length += (size_t)got;
        }
    }
}

static enum tumble_code real_read_file(void *ctx, const char *path, struct tw_buf *out, bool *found,
                                       struct tumble_error *err) {
    (void)ctx;
    *found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) {
            return TUMBLE_OK;
        }
        return tw_fail(err, TUMBLE_EINPUT, "%s: %s", path, strerror(errno));
    }
    enum tumble_code code = read_all(fd, path, out, err);
    *found = code == TUMBLE_OK;
    close(fd);
    return code;
}

/* Reads the child's stdout until it closes it or time is over. */
static enum tumble_code collect(int fd, const char *name, int64_t until, struct tw_buf *out, struct tumble_error *err) {
    for (;;) {
        int64_t left = until - clock_ms(CLOCK_MONOTONIC);
        struct pollfd ready = {fd, POLLIN, 0};
        int count = left > 0 ? poll(&ready, 1, left > 60000 ? 60000 : (int)left) : 0;
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (left <= 0) {
            return tw_fail(err, TUMBLE_EINPUT, "%s did not end in time", name);
        }
        if (count <= 0) {
            continue;
        }
        enum tumble_code code = tw_buf_reserve(out, 1);
        if (code != TUMBLE_OK) {
            return code == TUMBLE_ELIMIT ? tw_fail(err, code, "%s wrote more than %zu bytes", name, out->cap)
                                         : tw_no_memory(err);
        }
        ssize_t got = read(fd, out->data + out->length, out->capacity - out->length);
        if (got < 0 && errno != EINTR) {
            return tw_fail(err, TUMBLE_EINPUT, "reading from %s: %s", name, strerror(errno));
        }
        if (got == 0) {
            return TUMBLE_OK;
        }
        if (got > 0) {
            out->length += (size_t)got;
        }
    }
}

/* Waits for the child, which is killed when time is over. Returns its status, -1 when it had to be killed. */
static int reap(pid_t child, int64_t until) {
    int status = 0;
    for (;;) {
        pid_t done = waitpid(child, &status, WNOHANG);
        if (done == child) {
            return status;
        }
        if (done < 0 && errno != EINTR) {
            return 0; /* somebody ignores SIGCHLD: how it ended is not to be known */
        }
        if (clock_ms(CLOCK_MONOTONIC) >= until) {
            kill(child, SIGKILL);
            while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
            }
            return -1;
        }
        real_sleep_ms(NULL, 2);
    }
}

static enum tumble_code real_run(void *ctx, char *const *argv, int64_t timeout_ms, struct tw_buf *out,
                                 struct tumble_error *err) {
    (void)ctx;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return tw_fail(err, TUMBLE_EINPUT, "starting %s: %s", argv[0], strerror(errno));
    }
    int64_t until = clock_ms(CLOCK_MONOTONIC) + timeout_ms;
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed == 0) {
        failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        failed = failed ? failed : posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (failed) {
        close(ends[0]);
        return tw_fail(err, TUMBLE_EINPUT, "starting %s: %s", argv[0], strerror(failed));
    }
    enum tumble_code code = collect(ends[0], argv[0], until, out, err);
    close(ends[0]);
    int status = reap(child, code == TUMBLE_OK ? until : 0);
    if (code != TUMBLE_OK) {
        return code;
    }
    if (status == -1) {
        return tw_fail(err, TUMBLE_EINPUT, "%s did not end in time", argv[0]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return TUMBLE_OK;
    }
    return tw_fail(err, TUMBLE_EINPUT, "%s ended with %s %d", argv[0], WIFSIGNALED(status) ? "signal" : "exit status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

const struct tw_aws_host tw_aws_host_real = {NULL,          real_variable, real_now_ms,    real_steady_ms,
                                             real_sleep_ms, real_random,   real_read_file, real_run};

const char *tw_aws_variable(const struct tw_aws_host *host, const char *name) {
    const char *value = host->variable(host->ctx, name);
    return value && *value ? value : NULL;
}

bool tw_aws_variable_true(const struct tw_aws_host *host, const char *name) {
    const char *value = tw_aws_variable(host, name);
    return value && strcasecmp(value, "true") == 0;
}
