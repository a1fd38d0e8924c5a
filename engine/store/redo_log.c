#include "engine/store/redo_log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/fail.h"
#include "engine/codec/hash.h"

enum { VERSION = 1, SUM_BYTES = 8, MODE = 0666, ZEROS_AT_ONCE = 64 << 10 };

static const char name[] = "redo.log";

struct head {
    uint64_t base;
    uint64_t sequence;
    uint64_t length;
};

static uint64_t in_blocks(uint64_t bytes) { return (bytes + TW_REDO_BLOCK - 1) / TW_REDO_BLOCK * TW_REDO_BLOCK; }

static void put_u64(char *at, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        at[i] = (char)(value >> (8 * i));
    }
}

static uint64_t get_u64(const char *at) {
    struct tumble_bytes bytes = {at, 8};
    struct tw_cursor in = tw_cursor_of(bytes);
    uint64_t value = 0;
    tw_take_u64(&in, &value);
    return value;
}

/* Returns 0 or errno. */
static int write_all(int fd, const char *bytes, size_t length, uint64_t at) {
    while (length) {
        ssize_t done = pwrite(fd, bytes, length, (off_t)at);
        if (done < 0 && errno != EINTR) {
            return errno;
        }
        if (done == 0) {
            return ENOSPC;
        }
        if (done > 0) {
            bytes += done;
            at += (uint64_t)done;
            length -= (size_t)done;
        }
    }
    return 0;
}

/* Returns how many bytes were there, or -1 with errno set. */
static ssize_t read_all(int fd, char *bytes, size_t length, uint64_t at) {
    size_t got = 0;
    while (got < length) {
        ssize_t done = pread(fd, bytes + got, length - got, (off_t)(at + got));
        if (done == 0) {
            break;
        }
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        got += done > 0 ? (size_t)done : 0;
    }
    return (ssize_t)got;
}

static enum tumble_code unreadable(const struct tw_redo_log *log, struct tumble_error *err) {
    return tw_state_trouble(log->directory, errno, "reading redo.log", err);
}

/* ---- the file ---- */

static int fill(struct tw_redo_log *log, uint64_t bytes) {
    static const char zeros[ZEROS_AT_ONCE];
    while (log->bytes < bytes) {
        uint64_t some = bytes - log->bytes < ZEROS_AT_ONCE ? bytes - log->bytes : ZEROS_AT_ONCE;
        int failed = write_all(log->fd, zeros, some, log->bytes);
        if (failed) {
            return failed;
        }
        log->bytes += some;
    }
    return 0;
}

/* The first block: "TMBR", version (4), the file's first size (8), seed (8), XXH3-64 of these. */
static int write_first_block(struct tw_redo_log *log) {
    char block[32] = "TMBR";
    block[4] = VERSION;
    put_u64(block + 8, log->bytes);
    put_u64(block + 16, log->seed);
    put_u64(block + 24, tw_hash64(block, 24));
    return write_all(log->fd, block, sizeof block, 0);
}

enum tumble_code tw_redo_log_make(struct tw_redo_log *log, const struct tw_state_directory *directory,
                                  struct tumble_alloc alloc, size_t bytes, struct tumble_error *err) {
    *log = (struct tw_redo_log){.directory = directory, .alloc = alloc, .end = TW_REDO_BLOCK};
    log->seed = tw_hash_process_seed();
    log->fd = openat(directory->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_TRUNC, MODE);
    int failed = log->fd < 0 ? errno : 0;
    failed = failed ? failed : fill(log, in_blocks(bytes < 2 * TW_REDO_BLOCK ? 2 * TW_REDO_BLOCK : bytes));
    failed = failed ? failed : write_first_block(log);
    failed = failed ? failed : fsync(log->fd) != 0 ? errno : 0;
    if (failed == 0 && fsync(directory->fd) != 0 && errno != EINVAL) {
        failed = errno;
    }
    if (failed) {
        if (log->fd >= 0) {
            unlinkat(directory->fd, name, 0);
        }
        tw_redo_log_close(log);
        return tw_state_trouble(directory, failed, "making redo.log", err);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_first_block(struct tw_redo_log *log, struct tumble_error *err) {
    struct stat status;
    char block[32];
    ssize_t got = read_all(log->fd, block, sizeof block, 0);
    if (got < 0 || fstat(log->fd, &status) != 0) {
        return unreadable(log, err);
    }
    bool is_log = got == (ssize_t)sizeof block && memcmp(block, "TMBR", 4) == 0;
    if (is_log && (uint8_t)block[4] > VERSION) { /* first: what a newer one puts after it is not ours to check */
        return tw_fail(err, TUMBLE_EVERSION,
                       "state directory %s: redo.log was written by a newer tumble: use that version or a fresh "
                       "--state",
                       log->directory->path);
    }
    if (!is_log || get_u64(block + 24) != tw_hash64(block, 24)) {
        return tw_state_damaged(log->directory, "redo.log does not begin as it should", err);
    }
    log->bytes = (uint64_t)status.st_size;
    log->seed = get_u64(block + 16);
    return log->bytes < get_u64(block + 8) ? tw_state_damaged(log->directory, "redo.log is cut short", err) : TUMBLE_OK;
}

enum tumble_code tw_redo_log_open(struct tw_redo_log *log, const struct tw_state_directory *directory,
                                  struct tumble_alloc alloc, bool *present, struct tumble_error *err) {
    *log = (struct tw_redo_log){.directory = directory, .alloc = alloc, .end = TW_REDO_BLOCK};
    log->fd = openat(directory->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *present = log->fd >= 0;
    if (!*present) {
        return errno == ENOENT ? TUMBLE_OK : tw_state_trouble(directory, errno, "opening redo.log", err);
    }
    enum tumble_code code = read_first_block(log, err);
    if (code != TUMBLE_OK) {
        tw_redo_log_close(log);
    }
    return code;
}

void tw_redo_log_close(struct tw_redo_log *log) {
    if (log->fd >= 0) {
        close(log->fd);
    }
    log->fd = -1;
}

/* ---- reading ---- */

static enum tumble_code read_head(const struct tw_redo_log *log, uint64_t at, bool *found, struct head *head,
                                  struct tumble_error *err) {
    char bytes[TW_REDO_HEAD_BYTES];
    ssize_t got = read_all(log->fd, bytes, sizeof bytes, at);
    if (got < 0) {
        return unreadable(log, err);
    }
    *found = got == (ssize_t)sizeof bytes;
    if (*found) {
        *head = (struct head){get_u64(bytes), get_u64(bytes + 8), get_u64(bytes + 16)};
        *found = head->length <= TW_REDO_ENTRY_MAX;
    }
    return TUMBLE_OK;
}

/* The whole entry whose head was read; *found false when it does not match its checksum. */
static enum tumble_code read_entry(const struct tw_redo_log *log, uint64_t at, const struct head *head, bool *found,
                                   struct tw_buf *entry, struct tumble_error *err) {
    size_t length = TW_REDO_HEAD_BYTES + (size_t)head->length;
    tw_buf_clear(entry);
    *found = false;
    if (tw_buf_reserve(entry, length + SUM_BYTES) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    ssize_t got = read_all(log->fd, entry->data, length + SUM_BYTES, at);
    if (got < 0) {
        return unreadable(log, err);
    }
    entry->length = length;
    *found = (size_t)got == length + SUM_BYTES &&
             get_u64(entry->data + length) == tw_hash_seeded(entry->data, length, log->seed);
    return TUMBLE_OK;
}

/* Nothing is wrong with an end; but an entry that is whole was written after the one before it had been acknowledged.
 */
static enum tumble_code check_end(const struct tw_redo_log *log, struct tw_buf *entry, struct tumble_error *err) {
    for (uint64_t at = log->end; at < log->bytes; at += TW_REDO_BLOCK) {
        struct head head = {0};
        bool found = false;
        TW_TRY(read_head(log, at, &found, &head, err));
        if (found && ((head.base == log->base && head.sequence >= log->sequence) || head.base > log->base)) {
            TW_TRY(read_entry(log, at, &head, &found, entry, err));
            if (found) {
                return tw_state_damaged(log->directory,
                                        head.base > log->base ? "data.mdb is older than redo.log"
                                                              : "an entry in the middle of redo.log is damaged",
                                        err);
            }
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_redo_log_replay(struct tw_redo_log *log, uint64_t base, tw_redo_visit_fn *visit, void *ctx,
                                    struct tumble_error *err) {
    struct tw_buf entry;
    tw_buf_init(&entry, log->alloc, SIZE_MAX / 4);
    tw_redo_log_restart(log, base);
    enum tumble_code code = TUMBLE_OK;
    for (bool found = true; found && code == TUMBLE_OK;) {
        struct head head = {0};
        code = read_head(log, log->end, &found, &head, err);
        found = found && code == TUMBLE_OK && head.base == base && head.sequence == log->sequence;
        if (found) {
            code = read_entry(log, log->end, &head, &found, &entry, err);
        }
        if (found && code == TUMBLE_OK) {
            struct tumble_bytes operations = {entry.data + TW_REDO_HEAD_BYTES, entry.length - TW_REDO_HEAD_BYTES};
            code = visit(ctx, operations, log->end + TW_REDO_HEAD_BYTES, err);
            log->end += in_blocks(entry.length + SUM_BYTES);
            log->sequence++;
        }
    }
    code = code == TUMBLE_OK ? check_end(log, &entry, err) : code;
    tw_buf_clean_up(&entry);
    return code;
}

enum tumble_code tw_redo_log_read(const struct tw_redo_log *log, uint64_t at, size_t length, struct tw_buf *out,
                                  struct tumble_error *err) {
    tw_buf_clear(out);
    if (tw_buf_reserve(out, length) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    ssize_t got = read_all(log->fd, out->data, length, at);
    if (got < 0) {
        return unreadable(log, err);
    }
    out->length = (size_t)got;
    return out->length == length ? TUMBLE_OK : tw_state_damaged(log->directory, "redo.log is cut short", err);
}

/* ---- writing ---- */

void tw_redo_log_restart(struct tw_redo_log *log, uint64_t base) {
    log->base = base;
    log->sequence = 0;
    log->end = TW_REDO_BLOCK;
}

enum tumble_code tw_redo_entry_begin(struct tw_buf *entry) {
    static const char head[TW_REDO_HEAD_BYTES];
    tw_buf_clear(entry);
    return tw_buf_append(entry, head, sizeof head);
}

bool tw_redo_log_has_room(const struct tw_redo_log *log, const struct tw_buf *entry) {
    return log->end + in_blocks(entry->length + SUM_BYTES) <= log->bytes;
}

/* Not synced: the next entry's sync is for these blocks, too. */
enum tumble_code tw_redo_log_grow(struct tw_redo_log *log, uint64_t bytes, struct tumble_error *err) {
    uint64_t before = log->bytes;
    int failed = fill(log, in_blocks(bytes));
    if (failed) {
        log->bytes = ftruncate(log->fd, (off_t)before) == 0 ? before : log->bytes / TW_REDO_BLOCK * TW_REDO_BLOCK;
        return tw_state_trouble(log->directory, failed, "growing redo.log", err);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_redo_log_append(struct tw_redo_log *log, struct tw_buf *entry, struct tumble_error *err) {
    size_t length = entry->length, padded = (size_t)in_blocks(length + SUM_BYTES);
    if (tw_buf_reserve(entry, padded - length) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    put_u64(entry->data, log->base);
    put_u64(entry->data + 8, log->sequence);
    put_u64(entry->data + 16, length - TW_REDO_HEAD_BYTES);
    put_u64(entry->data + length, tw_hash_seeded(entry->data, length, log->seed));
    memset(entry->data + length + SUM_BYTES, 0, padded - length - SUM_BYTES);
    int failed = write_all(log->fd, entry->data, padded, log->end);
    failed = failed ? failed : fdatasync(log->fd) != 0 ? errno : 0;
    if (failed) {
        return tw_state_trouble(log->directory, failed, "writing a commit to redo.log", err);
    }
    log->sequence++;
    log->end += padded;
    return TUMBLE_OK;
}
