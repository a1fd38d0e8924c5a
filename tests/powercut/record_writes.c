/* Preloaded into a program: whatever it does to files below RECORD_ROOT goes into the file RECORD_LOG, in the order in
 * which it happens, with the bytes of writes, and when each write and sync had returned. run.py makes of that what a
 * disk may hold after a power cut at any moment. RECORD_KILL=N: the process is killed at the N-th record.
 *
 * A record: type (1), operation (4), two numbers (8 each), length of a path (2) and of data (4), path, data.
 *
 *     C made, M made (a directory), R renamed (data: to what), U removed
 *     W write begun (offset; 1: synced by itself), w ended (bytes; 1: it is not synced, the process is killed)
 *     T cut to a length, A made as long as that
 *     F sync begun (1: of a directory), f ended (0: well)
 *     m mapped to be written to, which nobody sees
 *
 * System calls are made directly: a wrapper of the C library would be one of these again. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILES_MAX = 1024, PATH_BYTES = 512, LOG_FD = 900, HEAD_BYTES = 27 };

struct file {
    char path[PATH_BYTES];
    int is_ours, is_synced, is_directory;
};

static struct file files[FILES_MAX];
static char root[PATH_BYTES];
static int log_fd = -1, is_open;
static uint32_t operations;
static long recorder, records_left = -1; /* RECORD_KILL: so many, then the process is killed */
static volatile int dies;                /* a write is done, but has not returned: the next process sees its bytes */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int records(void) {
    const char *log = getenv("RECORD_LOG"), *below = getenv("RECORD_ROOT");
    if (!is_open && log && below && strlen(below) < sizeof root) {
        is_open = 1;
        records_left = getenv("RECORD_KILL") ? strtol(getenv("RECORD_KILL"), NULL, 10) : -1;
        snprintf(root, sizeof root, "%s", below);
        long fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOG_FD);
        syscall(SYS_close, fd);
    }
    return log_fd >= 0;
}

static int is_ours(int fd) { return records() && fd >= 0 && fd < FILES_MAX && files[fd].is_ours; }

static void die(void) { syscall(SYS_kill, syscall(SYS_getpid), SIGKILL); }

static uint32_t record(char type, uint32_t operation, uint64_t a, uint64_t b, const char *path, const char *data,
                       size_t length) {
    pthread_mutex_lock(&mutex);
    if (!operation) {
        long pid = syscall(SYS_getpid); /* a child that was forked has numbers of its own */
        operations = recorder == pid ? operations : ((uint32_t)pid & 0xfff) << 20;
        recorder = pid;
        operation = ++operations;
    }
    uint16_t path_length = (uint16_t)strlen(path);
    uint32_t data_length = (uint32_t)length;
    size_t whole = HEAD_BYTES + path_length + length;
    char *bytes = malloc(whole), *at = bytes;
    if (!bytes) {
        abort();
    }
    *at++ = type;
    memcpy(at, &operation, 4);
    memcpy(at + 4, &a, 8);
    memcpy(at + 12, &b, 8);
    memcpy(at + 20, &path_length, 2);
    memcpy(at + 22, &data_length, 4);
    memcpy(at + 26, path, path_length);
    if (length) {
        memcpy(at + 26 + path_length, data, length);
    }
    if (syscall(SYS_write, log_fd, bytes, whole) != (long)whole) {
        abort();
    }
    free(bytes);
    if (records_left > 0 && --records_left == 0) {
        dies = 1;
        if (type != 'W') {
            die();
        }
    }
    pthread_mutex_unlock(&mutex);
    return operation;
}

/* Whether the file lies below the root, and its whole name. */
static int locate(int directory, const char *name, char path[PATH_BYTES]) {
    char base[PATH_BYTES] = "";
    if (!records()) {
        return 0;
    }
    if (name[0] != '/') {
        if (directory == AT_FDCWD) {
            if (syscall(SYS_getcwd, base, sizeof base) < 0) {
                return 0;
            }
        } else if (is_ours(directory)) {
            memcpy(base, files[directory].path, sizeof base);
        } else {
            return 0;
        }
        strncat(base, "/", sizeof base - strlen(base) - 1);
    }
    return snprintf(path, PATH_BYTES, "%s%s", base, name) < PATH_BYTES && strncmp(path, root, strlen(root)) == 0;
}

static int open_any(int directory, const char *name, int flags, mode_t mode) {
    char path[PATH_BYTES];
    struct stat status;
    int ours = locate(directory, name, path);
    int existed = ours && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
    int fd = (int)syscall(SYS_openat, directory, name, flags, mode);
    if (fd < 0 || fd >= FILES_MAX) {
        return fd;
    }
    files[fd].is_ours = ours;
    if (ours) {
        memcpy(files[fd].path, path, sizeof path);
        files[fd].is_synced = (flags & (O_SYNC | O_DSYNC)) != 0;
        files[fd].is_directory = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
        if (!existed) {
            record('C', 0, 0, 0, path, NULL, 0);
        } else if (flags & O_TRUNC) {
            record('T', 0, 0, 0, path, NULL, 0);
        }
    }
    return fd;
}

static ssize_t write_any(int fd, const char *data, size_t length, int64_t offset) {
    int has_place = offset >= 0;
    if (is_ours(fd) && !has_place) {
        struct stat status;
        int appends = fcntl(fd, F_GETFL) & O_APPEND && fstat(fd, &status) == 0;
        offset = appends ? status.st_size : syscall(SYS_lseek, fd, 0, SEEK_CUR);
    }
    uint32_t operation =
        is_ours(fd) ? record('W', 0, (uint64_t)offset, (uint64_t)files[fd].is_synced, files[fd].path, data, length) : 0;
    ssize_t done = has_place ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    if (operation) {
        int number = errno;
        record('w', operation, (uint64_t)(done < 0 ? 0 : done), (uint64_t)dies, files[fd].path, NULL, 0);
        errno = number;
    }
    if (dies) {
        die();
    }
    return done;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, int64_t offset) {
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        length += parts[i].iov_len;
    }
    char *whole = malloc(length + 1), *at = whole;
    if (!whole) {
        abort();
    }
    for (int i = 0; i < count; i++) {
        memcpy(at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    ssize_t done = write_any(fd, whole, length, offset);
    free(whole);
    return done;
}

static int sync_any(int fd, long call) {
    if (!is_ours(fd)) {
        return (int)syscall(call, fd);
    }
    uint32_t operation = record('F', 0, (uint64_t)files[fd].is_directory, 0, files[fd].path, NULL, 0);
    int failed = (int)syscall(call, fd);
    record('f', operation, failed ? 1 : 0, 0, files[fd].path, NULL, 0);
    return failed;
}

/* ---- what programs call ---- */

#define MODE_OF(flags, mode)                                                                                           \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(AT_FDCWD, name, flags, mode);
}

int openat(int directory, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(directory, name, flags, mode);
}

int openat64(int directory, const char *name, int flags, ...) {
    MODE_OF(flags, mode)
    return open_any(directory, name, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < FILES_MAX) {
        files[fd].is_ours = 0;
    }
    return (int)syscall(SYS_close, fd);
}

ssize_t write(int fd, const void *data, size_t length) { return write_any(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_any(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    return write_any(fd, data, length, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_parts(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return write_parts(fd, parts, count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return write_parts(fd, parts, count, offset);
}

int ftruncate(int fd, off_t length) {
    if (is_ours(fd)) {
        record('T', 0, (uint64_t)length, 0, files[fd].path, NULL, 0);
    }
    return (int)syscall(SYS_ftruncate, fd, length);
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
    if (is_ours(fd) && !(mode & FALLOC_FL_KEEP_SIZE)) {
        record('A', 0, (uint64_t)(offset + length), 0, files[fd].path, NULL, 0);
    }
    return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }
int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

int fsync(int fd) { return sync_any(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_any(fd, SYS_fdatasync); }

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    char before[PATH_BYTES], behind[PATH_BYTES];
    if (locate(from_directory, from, before) && locate(to_directory, to, behind)) {
        record('R', 0, 0, 0, before, behind, strlen(behind));
    }
    return (int)syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int unlinkat(int directory, const char *name, int flags) {
    char path[PATH_BYTES];
    if (locate(directory, name, path)) {
        record('U', 0, 0, 0, path, NULL, 0);
    }
    return (int)syscall(SYS_unlinkat, directory, name, flags);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int mkdir(const char *name, mode_t mode) {
    char path[PATH_BYTES];
    int failed = (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    if (!failed && locate(AT_FDCWD, name, path)) {
        record('M', 0, 0, 0, path, NULL, 0);
    }
    return failed;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
    if (is_ours(fd) && protection & PROT_WRITE && flags & MAP_SHARED) {
        record('m', 0, 0, 0, files[fd].path, NULL, 0);
    }
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): what the kernel answers is an address */
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mmap(address, length, protection, flags, fd, offset);
}
