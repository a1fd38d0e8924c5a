#include "engine/store/state_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/fail.h"

/* tumble.lock is one line of fixed length, so that a single write replaces it whole: never a moment when it is half. */
#define LOCK_FORMAT "tumble state %-4d pid %-20lld made %d\n"
enum { STATE_FORMAT = 1, LOGGED_FORMAT = 2, LOCK_BYTES = 128, LMDB_LOCK_BYTES = 8192, SMALLEST_DATA_BYTES = 8192 };

struct lock_text {
    int format; /* 0: the file says nothing */
    long long pid;
    int made;
};

static struct lock_text read_lock(int fd) {
    struct lock_text text = {0, 0, 0};
    char bytes[LOCK_BYTES + 1];
    ssize_t length = pread(fd, bytes, LOCK_BYTES, 0);
    if (length > 0) {
        bytes[length] = '\0';
        /* NOLINTNEXTLINE(cert-err34-c): widths bound both numbers */
        if (sscanf(bytes, "tumble state %9d pid %18lld made %1d", &text.format, &text.pid, &text.made) < 1) {
            memset(&text, 0, sizeof text);
        }
    }
    return text;
}

/* Who removed tumble.lock has not removed the commits in redo.log. */
static bool says_logged(const struct tw_state_directory *directory, struct lock_text text) {
    return text.format == LOGGED_FORMAT || (text.format == 0 && faccessat(directory->fd, "redo.log", F_OK, 0) == 0);
}

static int write_lock(const struct tw_state_directory *directory) {
    char bytes[LOCK_BYTES];
    int length = snprintf(bytes, sizeof bytes, LOCK_FORMAT, directory->logged ? LOGGED_FORMAT : STATE_FORMAT,
                          (long long)getpid(), directory->made ? 1 : 0);
    ssize_t written = pwrite(directory->lock_fd, bytes, (size_t)length, 0);
    return written == length ? 0 : written < 0 ? errno : ENOSPC;
}

/* mkdir -p. Returns 0 or errno. */
static int make_directories(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at == '/') {
            *at = '\0';
            int failed = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
            *at = '/';
            /* A parent on a file system we may not write can still exist: what counts is whether the next step works.
             */
            if (failed && failed != EROFS && failed != EACCES) {
                return failed;
            }
        }
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
}

static int open_directory(const struct tw_state_directory *directory, bool read_only, int *fd) {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    *fd = open(directory->path, flags);
    if (*fd < 0 && errno == ENOENT && !read_only) {
        int failed = make_directories(directory->path);
        if (failed) {
            return failed;
        }
        *fd = open(directory->path, flags);
    }
    return *fd < 0 ? errno : 0;
}

static enum tumble_code newer_format(const struct tw_state_directory *directory, int format, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EVERSION,
                   "state directory %s was written by a newer tumble (format %d, this one reads %d): use that version "
                   "or a fresh --state",
                   directory->path, format, LOGGED_FORMAT);
}

/* A killed process keeps its lock until the kernel has torn it down, and so does the child that was verifying for it:
 * when the holder named in the file is dead, its lock is about to go, and a moment's patience saves a false alarm. */
static int take_lock(int fd, long long *holder) {
    for (int tries = 0;; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return 0;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno != EWOULDBLOCK) {
            return errno;
        }
        *holder = read_lock(fd).pid;
        bool dead = *holder > 0 && kill((pid_t)*holder, 0) != 0 && errno == ESRCH;
        if (!dead || tries >= 200) {
            return EWOULDBLOCK;
        }
        struct timespec pause = {0, 10 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

static enum tumble_code lock(struct tw_state_directory *directory, bool *leftover, struct tumble_error *err) {
    int fd = openat(directory->fd, "tumble.lock", O_RDWR | O_CLOEXEC | O_NONBLOCK | O_CREAT, 0666);
    if (fd < 0) {
        int number = errno == EISDIR || errno == ENXIO ? EEXIST : errno;
        return tw_state_trouble(directory, number, "opening tumble.lock", err);
    }
    directory->lock_fd = fd;
    long long holder = 0;
    int failed = take_lock(fd, &holder);
    if (failed == EWOULDBLOCK) {
        return holder > 0 ? tw_fail(err, TUMBLE_EBUSY,
                                    "state directory %s is in use by process %lld: wait for it or name another --state",
                                    directory->path, holder)
                          : tw_fail(err, TUMBLE_EBUSY,
                                    "state directory %s is in use by another process: wait for it or name another "
                                    "--state",
                                    directory->path);
    }
    if (failed) {
        return tw_state_trouble(directory, failed, "locking tumble.lock", err);
    }
    struct lock_text text = read_lock(fd);
    if (text.format > LOGGED_FORMAT) {
        return newer_format(directory, text.format, err);
    }
    directory->made = text.made == 1;
    *leftover = text.format != 0 && !directory->made;
    directory->logged = says_logged(directory, text);
    failed = write_lock(directory);
    /* Before there are other files that a power cut might leave half made: what is complete is told by this one. Who
     * wrote it last may have been killed before it was synced. */
    if (failed == 0 && fsync(fd) != 0 && errno != EINVAL) {
        failed = errno;
    }
    return failed ? tw_state_trouble(directory, failed, "writing tumble.lock", err) : TUMBLE_OK;
}

/* data.mdb as it should be for what tumble.lock says. LMDB takes an empty file for a new one, which would turn a lost
 * state into a fresh start without a word. */
static enum tumble_code check_data(struct tw_state_directory *directory, bool read_only, bool leftover,
                                   struct tumble_error *err) {
    struct stat data;
    bool present = fstatat(directory->fd, "data.mdb", &data, 0) == 0;
    if (!present && errno != ENOENT) {
        return tw_state_trouble(directory, errno, "looking at data.mdb", err);
    }
    if (present && !S_ISREG(data.st_mode)) {
        return tw_fail(err, TUMBLE_ESTORE,
                       "state directory %s: data.mdb is not a regular file: remove it or name another --state",
                       directory->path);
    }
    if (directory->made && (!present || data.st_size == 0)) {
        return tw_state_damaged(directory, present ? "data.mdb is empty" : "data.mdb is missing", err);
    }
    directory->has_data = present && data.st_size > 0;
    if (read_only) {
        return present && data.st_size > 0 ? TUMBLE_OK
                                           : tw_state_trouble(directory, ENOENT, "data.mdb is missing", err);
    }
    if (present && leftover && data.st_size <= SMALLEST_DATA_BYTES) { /* no more than LMDB makes it with */
        directory->has_data = false;
        if (unlinkat(directory->fd, "data.mdb", 0) != 0) {
            return tw_state_trouble(directory, errno, "clearing an unfinished data.mdb", err);
        }
    }
    return TUMBLE_OK;
}

/* LMDB makes lock.mdb a hole and writes to it through memory: on a full disk that is a SIGBUS. So it gets its blocks
 * here, where their lack is an error. Must come before LMDB opens the file: closing any descriptor of it drops the
 * locks this process holds on it. */
static enum tumble_code reserve_lmdb_lock(struct tw_state_directory *directory, struct tumble_error *err) {
    int fd = openat(directory->fd, "lock.mdb", O_RDWR | O_CLOEXEC | O_NONBLOCK | O_CREAT, 0666);
    if (fd < 0) {
        return tw_state_trouble(directory, errno == EISDIR || errno == ENXIO ? EEXIST : errno, "opening lock.mdb", err);
    }
    int failed = posix_fallocate(fd, 0, LMDB_LOCK_BYTES);
    close(fd);
    return failed ? tw_state_trouble(directory, failed, "making lock.mdb", err) : TUMBLE_OK;
}

/* A reader of LMDB writes to lock.mdb, so that the writer beside it leaves its pages alone. */
static bool may_announce(const struct tw_state_directory *directory) {
    int fd = openat(directory->fd, "lock.mdb", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        close(fd);
        return true;
    }
    return errno != EACCES && (errno != ENOENT || faccessat(directory->fd, ".", W_OK, AT_EACCESS) == 0);
}

/* Without permission to write there it is safe to read as long as nobody writes: fd is of tumble.lock, whose lock every
 * writer needs for itself alone. */
static enum tumble_code keep_writers_out(struct tw_state_directory *directory, int fd, struct tumble_error *err) {
    if (flock(fd, LOCK_SH | LOCK_NB) != 0) {
        return errno != EWOULDBLOCK
                   ? tw_state_trouble(directory, errno, "locking tumble.lock", err)
                   : tw_fail(err, TUMBLE_EBUSY,
                             "state directory %s is in use by process %lld, and to read beside it takes permission to "
                             "write lock.mdb: wait for it, or read as its user",
                             directory->path, read_lock(fd).pid);
    }
    directory->lock_fd = fd;
    directory->lockless = true;
    return TUMBLE_OK;
}

static enum tumble_code open_to_read(struct tw_state_directory *directory, struct tumble_error *err) {
    int fd = openat(directory->fd, "tumble.lock", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        struct lock_text text = read_lock(fd);
        enum tumble_code code = text.format > LOGGED_FORMAT ? newer_format(directory, text.format, err)
                                : may_announce(directory)   ? TUMBLE_OK
                                                            : keep_writers_out(directory, fd, err);
        if (directory->lock_fd < 0) {
            close(fd);
        }
        TW_TRY(code);
        directory->made = text.made == 1;
    }
    return check_data(directory, true, false, err);
}

static enum tumble_code open_to_write(struct tw_state_directory *directory, struct tumble_error *err) {
    bool leftover = false;
    TW_TRY(lock(directory, &leftover, err));
    TW_TRY(check_data(directory, false, leftover, err));
    return reserve_lmdb_lock(directory, err);
}

enum tumble_code tw_state_directory_open(struct tw_state_directory *directory, const char *path, bool read_only,
                                         struct tumble_alloc alloc, struct tumble_error *err) {
    memset(directory, 0, sizeof *directory);
    directory->alloc = alloc;
    directory->fd = directory->lock_fd = -1;
    if (path[0] == '\0') {
        return tw_fail(err, TUMBLE_ESTORE, "the name of the state directory is empty: name a directory");
    }
    directory->path = tw_copy_text(&alloc, path, strlen(path));
    if (!directory->path) {
        return tw_no_memory(err);
    }
    int failed = open_directory(directory, read_only, &directory->fd);
    enum tumble_code code =
        failed == ENOENT && !read_only
            ? tw_fail(err, TUMBLE_ESTORE, "state directory %s cannot be made there: name another --state",
                      directory->path)
        : failed    ? tw_state_trouble(directory, failed, "opening it", err)
        : read_only ? open_to_read(directory, err)
                    : open_to_write(directory, err);
    if (code != TUMBLE_OK) {
        tw_state_directory_close(directory);
    }
    return code;
}

enum tumble_code tw_state_directory_set_made(struct tw_state_directory *directory, struct tumble_error *err) {
    if (directory->made) {
        return TUMBLE_OK;
    }
    if (fsync(directory->fd) != 0 && errno != EINVAL && errno != EROFS) { /* EINVAL: not every file system can */
        return tw_state_trouble(directory, errno, "syncing it", err);
    }
    directory->made = true;
    int failed = write_lock(directory);
    if (failed) {
        directory->made = false;
        return tw_state_trouble(directory, failed, "writing tumble.lock", err);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_state_directory_set_logged(struct tw_state_directory *directory, bool logged,
                                               struct tumble_error *err) {
    bool before = directory->logged;
    directory->logged = logged;
    int failed = write_lock(directory);
    if (failed == 0 && fdatasync(directory->lock_fd) != 0) {
        failed = errno;
    }
    if (failed) {
        directory->logged = before || logged;
        return tw_state_trouble(directory, failed, "writing tumble.lock", err);
    }
    return TUMBLE_OK;
}

bool tw_state_directory_is_logged_now(const struct tw_state_directory *directory) {
    int fd = openat(directory->fd, "tumble.lock", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct lock_text text = {0, 0, 0};
    if (fd >= 0) {
        text = read_lock(fd);
        close(fd);
    }
    return says_logged(directory, text);
}

void tw_state_directory_close(struct tw_state_directory *directory) {
    if (directory->lock_fd >= 0) {
        close(directory->lock_fd);
    }
    if (directory->fd >= 0) {
        close(directory->fd);
    }
    directory->fd = directory->lock_fd = -1;
    if (directory->path) {
        tw_free(&directory->alloc, directory->path);
        directory->path = NULL;
    }
}
