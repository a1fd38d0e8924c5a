#include "emulator/runtime_api/sandbox_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"

/* ---- the guard ---- */

enum { GUARDED_MAX = 16384 };

static void close_from(unsigned first, unsigned last, bool at_exec) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, at_exec ? 4u /* CLOSE_RANGE_CLOEXEC */ : 0u) == 0) {
        return;
    }
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    unsigned end = limit > 0 && limit < 65536 ? (unsigned)limit : 65536;
    for (unsigned fd = first; fd < end && fd <= last; fd++) {
        if (at_exec) {
            fcntl((int)fd, F_SETFD, FD_CLOEXEC);
        } else {
            close((int)fd);
        }
    }
}

/* Positive numbers are groups that began, negative ones groups that are gone. Runs in a forked process: no memory is
 * asked for. */
static void guard_groups(int pipe, const char *mark) {
    static int32_t groups[GUARDED_MAX];
    size_t count = 0;
    int32_t number;
    for (;;) {
        ssize_t got = read(pipe, &number, sizeof number);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != (ssize_t)sizeof number) {
            break;
        }
        if (number > 0 && count < GUARDED_MAX) {
            groups[count++] = number;
        }
        for (size_t i = 0; number < 0 && i < count; i++) {
            if (groups[i] == -number) {
                groups[i] = groups[--count];
                break;
            }
        }
    }
    while (count > 0) {
        kill(-groups[--count], SIGKILL);
    }
    tw_sandbox_kill_strays(mark);
}

static void tell_guard(const struct tw_sandbox_guard *guard, int32_t number) {
    while (guard->pid && write(guard->pipe, &number, sizeof number) < 0 && errno == EINTR) {
    }
}

enum tumble_code tw_sandbox_guard_open(struct tw_sandbox_guard *guard, struct tumble_error *err) {
    int ends[2];
    memset(guard, 0, sizeof *guard);
    if (pipe(ends) != 0) {
        return tw_fail(err, TUMBLE_EINTERNAL, "function: cannot make a pipe: %s", strerror(errno));
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    tw_sandbox_mark(guard->mark);
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return tw_fail(err, TUMBLE_EINTERNAL, "function: cannot make a process: %s", strerror(error));
    }
    if (pid == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL); /* whatever ends the other one, this one comes after it */
        setpgid(0, 0);
        prctl(PR_SET_NAME, "tumble-guard");
        dup2(ends[0], 0);
        close_from(1, UINT32_MAX, false); /* locks, and pipes that somebody waits for the end of */
        guard_groups(0, guard->mark);
        _exit(0);
    }
    close(ends[0]);
    guard->pid = pid;
    guard->pipe = ends[1];
    return TUMBLE_OK;
}

void tw_sandbox_guard_close(struct tw_sandbox_guard *guard) {
    if (guard->pid) {
        close(guard->pipe);
        while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        guard->pid = 0;
    }
}

/* ---- environment ---- */

/* Length of NAME= in front. */
static size_t name_length(const char *text) {
    const char *equals = strchr(text, '=');
    return equals ? (size_t)(equals - text) + 1 : strlen(text);
}

static bool is_named(const char *const *list, const char *text, size_t length) {
    for (; *list; list++) {
        if (strncmp(*list, text, length) == 0) {
            return true;
        }
    }
    return false;
}

static size_t count_of(const char *const *list) {
    size_t count = 0;
    while (list[count]) {
        count++;
    }
    return count;
}

extern char **environ;

char **tw_sandbox_environment(const struct tumble_alloc *alloc, const char *const *set, const char *const *defaults) {
    const char *const *own = (const char *const *)environ;
    size_t capacity = count_of(own) + count_of(set) + count_of(defaults) + 1;
    char **out = tw_alloc_array(alloc, capacity, sizeof *out);
    size_t count = 0;
    if (!out) {
        return NULL;
    }
    for (size_t i = 0; own[i]; i++) {
        if (!is_named(set, own[i], name_length(own[i]))) {
            out[count++] = environ[i];
        }
    }
    /* execve takes texts that it does not write to, as char *. */
    for (size_t i = 0; set[i]; i++) {
        memcpy(&out[count++], &set[i], sizeof *out);
    }
    for (size_t i = 0; defaults[i]; i++) {
        if (!is_named(own, defaults[i], name_length(defaults[i]))) {
            memcpy(&out[count++], &defaults[i], sizeof *out);
        }
    }
    out[count] = NULL;
    return out;
}

/* ---- the process ---- */

static void reset_signals(void) {
    static const int changed[] = {SIGINT, SIGTERM, SIGPIPE, SIGXFSZ, SIGHUP, SIGQUIT, SIGCHLD};
    sigset_t none;
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        signal(changed[i], SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the forked process: nothing but calls that are safe there. */
static void become(const char *command, char *const *environment, int log_fd, const struct tw_sandbox_guard *guard,
                   pid_t parent) {
    char shell[] = "/bin/sh", dash_c[] = "-c";
    char *argv[4] = {shell, dash_c, NULL, NULL};
    memcpy(&argv[2], &command, sizeof command);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* it ended before the line above */
        return;
    }
    tell_guard(guard, (int32_t)getpid());
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(log_fd, 1) < 0 || dup2(log_fd, 2) < 0) {
        return;
    }
    close_from(3, UINT32_MAX, true);
    reset_signals();
    execve(shell, argv, environment);
}

enum tumble_code tw_sandbox_process_start(struct tw_sandbox_process *process, const char *command,
                                          char *const *environment, int log_fd, const struct tw_sandbox_guard *guard,
                                          struct tumble_error *err) {
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        return tw_fail(err, TUMBLE_EINTERNAL, "function: cannot make a process: %s", strerror(errno));
    }
    if (pid == 0) {
        become(command, environment, log_fd, guard, parent);
        _exit(126);
    }
    setpgid(pid, pid); /* whoever comes first: a kill may follow at once */
    process->pid = pid;
    process->pidfd = -1;
#ifdef SYS_pidfd_open
    process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);
#endif
    return TUMBLE_OK;
}

bool tw_sandbox_process_ended(const struct tw_sandbox_process *process, int *status) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (!process->pid) {
        return false;
    }
    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
        return false;
    }
    *status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
    return true;
}

void tw_sandbox_process_ask_to_end(const struct tw_sandbox_process *process) {
    if (process->pid) {
        kill(-process->pid, SIGTERM);
    }
}

void tw_sandbox_process_kill(struct tw_sandbox_process *process, const struct tw_sandbox_guard *guard) {
    if (!process->pid) {
        return;
    }
    kill(-process->pid, SIGKILL); /* before the wait: until then the number is nobody else's */
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    tell_guard(guard, -(int32_t)process->pid);
    if (process->pidfd >= 0) {
        close(process->pidfd);
    }
    process->pid = 0;
    process->pidfd = -1;
}

void tw_sandbox_status_text(int status, char out[TW_SANDBOX_STATUS_TEXT]) {
    if (WIFEXITED(status)) {
        snprintf(out, TW_SANDBOX_STATUS_TEXT, "exit status %d", WEXITSTATUS(status));
    } else {
        snprintf(out, TW_SANDBOX_STATUS_TEXT, "signal: %s", strsignal(WTERMSIG(status)));
    }
}
