#define _GNU_SOURCE /* pipe2 */

#include "engine/store/lmdb_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/fail.h"
#include "engine/codec/hash.h"
#include "engine/store/lmdb_pages.h"
#include "engine/store/store_internal.h"

uint64_t tw_lmdb_sum(struct tumble_bytes key, struct tumble_bytes value) {
    return tw_hash_seeded(value.data, value.length, tw_hash64(key.data, key.length));
}

bool tw_lmdb_check_sum(struct tumble_bytes key, struct tumble_bytes *value) {
    if (value->length < TW_LMDB_SUM_BYTES) {
        return false;
    }
    value->length -= TW_LMDB_SUM_BYTES;
    struct tumble_bytes sum = {value->data + value->length, TW_LMDB_SUM_BYTES};
    struct tw_cursor cursor = tw_cursor_of(sum);
    uint64_t written = 0;
    return tw_take_u64(&cursor, &written) && written == tw_lmdb_sum(key, *value);
}

/* What the child has to say, in one byte through a pipe: it must work when SIGCHLD is ignored and exit codes are lost.
 */
enum verdict {
    SAID_NOTHING, /* it died first */
    WHOLE,
    NOT_LMDB,
    OTHER_VERSION,
    NO_MEMORY,
    NO_ACCESS,
    UNREADABLE,
    BAD_FLAGS,
    BAD_ORDER,
    BAD_SUM,
    BAD_COUNT
};

static const char *verdict_text(enum verdict verdict) {
    switch (verdict) {
    case NOT_LMDB: return "data.mdb is not a file of LMDB";
    case UNREADABLE: return "its pages do not fit together";
    case BAD_FLAGS: return "its table has flags that tumble does not set";
    case BAD_ORDER: return "its keys are not in order";
    case BAD_SUM: return "a value does not match its checksum";
    case BAD_COUNT: return "it holds another number of keys than it states";
    default: return "reading it crashed";
    }
}

static enum verdict verdict_of(int rc) {
    switch (rc) {
    case MDB_INVALID: return NOT_LMDB;
    case MDB_VERSION_MISMATCH: return OTHER_VERSION;
    case EACCES:
    case EPERM:
    case EROFS: return NO_ACCESS;
    case EAGAIN:
    case EMFILE:
    case ENFILE: return NO_MEMORY;
    default: return UNREADABLE;
    }
}

/* Keys must ascend strictly. That also ends a walk over pages that refer to each other in a circle. */
static enum verdict walk_values(MDB_txn *txn, MDB_dbi dbi) {
    MDB_cursor *cursor;
    MDB_stat stat;
    unsigned flags;
    if (mdb_dbi_flags(txn, dbi, &flags) != 0 || mdb_stat(txn, dbi, &stat) != 0) {
        return UNREADABLE;
    }
    if (flags != 0) {
        return BAD_FLAGS;
    }
    if (mdb_cursor_open(txn, dbi, &cursor) != 0) {
        return UNREADABLE;
    }
    MDB_val key, value;
    struct tumble_bytes last = {NULL, 0};
    size_t count = 0;
    int rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        struct tumble_bytes at = {key.mv_data, key.mv_size}, bytes = {value.mv_data, value.mv_size};
        if (at.length == 0 || at.length > TW_STORE_KEY_MAX || tw_store_compare(last, at) >= 0) {
            return BAD_ORDER;
        }
        if (!tw_lmdb_check_sum(at, &bytes)) {
            return BAD_SUM;
        }
        last = at;
        count++;
    }
    return rc != MDB_NOTFOUND ? UNREADABLE : count != stat.ms_entries ? BAD_COUNT : WHOLE;
}

/* The pages first, as of the transaction: a walk through LMDB of pages that do not fit could go anywhere. Beside a busy
 * writer the roots may be replaced before they are read; then a later transaction will do as well. */
static enum verdict begin_and_check_pages(MDB_env *env, MDB_txn **txn) {
    mdb_filehandle_t fd;
    enum tw_lmdb_pages pages = TW_PAGES_MOVED_ON;
    int rc = mdb_env_get_fd(env, &fd);
    for (int tries = 0; rc == 0 && pages == TW_PAGES_MOVED_ON && tries < 1000; tries++) {
        if (*txn) {
            mdb_txn_abort(*txn);
            *txn = NULL;
        }
        rc = mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
        if (rc == MDB_MAP_RESIZED) { /* the writer grew the file since we mapped it */
            *txn = NULL;
            rc = mdb_env_set_mapsize(env, 0);
        } else if (rc == 0) {
            pages = tw_lmdb_check_pages(fd, mdb_txn_id(*txn));
        }
    }
    if (rc != 0) {
        return verdict_of(rc);
    }
    return pages == TW_PAGES_SOUND ? WHOLE : pages == TW_PAGES_NO_MEMORY ? NO_MEMORY : UNREADABLE;
}

static enum verdict look(const struct tw_state_directory *directory) {
    MDB_env *env;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    if (mdb_env_create(&env) != 0) {
        return NO_MEMORY;
    }
    int rc = mdb_env_open(env, directory->path, MDB_RDONLY | MDB_NOTLS | (directory->lockless ? MDB_NOLOCK : 0), 0666);
    if (rc != 0) {
        return verdict_of(rc);
    }
    enum verdict verdict = begin_and_check_pages(env, &txn);
    if (verdict != WHOLE) {
        return verdict;
    }
    rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    return rc ? verdict_of(rc) : walk_values(txn, dbi);
}

/* Everything that could speak, dump core, outlive its parent or run for ever is switched off first. */
static void child(const struct tw_state_directory *directory, int to_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (directory->lock_fd >= 0) {
        close(directory->lock_fd); /* only the parent's copy may hold the lock */
    }
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        signal(fatal[i], SIG_DFL);
    }
    int nowhere = open("/dev/null", O_RDWR);
    if (nowhere >= 0) {
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
    }
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    struct stat data;
    if (fstatat(directory->fd, "data.mdb", &data, 0) == 0) {
        rlim_t seconds = 60 + (rlim_t)data.st_size / (10 * 1024 * 1024); /* tens of times what a sound file takes */
        struct rlimit cpu = {seconds, seconds};
        setrlimit(RLIMIT_CPU, &cpu);
    }
    char byte = (char)look(directory);
    ssize_t written = write(to_parent, &byte, 1);
    _exit(written == 1 ? 0 : 1);
}

static enum tumble_code judge(const struct tw_state_directory *directory, enum verdict verdict, int status,
                              struct tumble_error *err) {
    switch (verdict) {
    case WHOLE: return TUMBLE_OK;
    case OTHER_VERSION: return tw_state_trouble(directory, MDB_VERSION_MISMATCH, "opening it", err);
    case NO_MEMORY: return tw_state_trouble(directory, ENOMEM, "verifying it", err);
    case NO_ACCESS: return tw_state_trouble(directory, EACCES, "verifying it", err);
    case SAID_NOTHING:
        if (WIFSIGNALED(status)) {
            char why[64];
            snprintf(why, sizeof why, "reading it crashed with signal %d", WTERMSIG(status));
            return tw_state_damaged(directory, why, err);
        }
        break;
    default: break;
    }
    return tw_state_damaged(directory, verdict_text(verdict), err);
}

enum tumble_code tw_lmdb_verify(const struct tw_state_directory *directory, struct tumble_error *err) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return tw_state_trouble(directory, errno, "verifying it", err);
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        child(directory, ends[1]);
    }
    int fork_errno = errno;
    close(ends[1]);
    enum tumble_code code = TUMBLE_OK;
    if (pid < 0) {
        code = tw_state_trouble(directory, fork_errno == EAGAIN ? ENOMEM : fork_errno, "verifying it", err);
    } else {
        char byte = SAID_NOTHING;
        ssize_t length;
        while ((length = read(ends[0], &byte, 1)) < 0 && errno == EINTR) {
        }
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        code = judge(directory, length == 1 ? (enum verdict)byte : SAID_NOTHING, status, err);
    }
    close(ends[0]);
    return code;
}
