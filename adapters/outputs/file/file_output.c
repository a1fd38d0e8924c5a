#include "adapters/outputs/file/file_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "adapters/outputs/file/file_format.h"
#include "adapters/outputs/file/file_options.h"
#include "adapters/outputs/file/file_room.h"
#include "engine/base/fail.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"

enum {
    BUFFER_BYTES = 256 * 1024,
    LINES_BYTES = 64 * 1024,      /* so many lie well where they are */
    HELD_BYTES = 4 * 1024 * 1024, /* rows a table holds back for its widths, at most */
    GUARD_BYTES = 1024            /* bytes before the committed length that the checkpoint vouches for */
};

struct file_output {
    struct tumble_alloc alloc;
    char *path; /* for messages: "standard output" or the path */
    int fd;
    bool owns_fd;
    bool keeps_place; /* a regular file that was named: written at known offsets, checked against the checkpoint */
    bool can_cut;     /* a regular file: what a failed write left behind can be taken away */
    bool has_room;    /* there can be blocks ahead of the bytes */
    struct tw_file_room room;
    bool durable;
    enum tw_file_format format;
    const struct tumble_spec *spec; /* borrowed: lives as long as the engine that owns this output */
    int64_t flushed;                /* length that holds whole, flushed rows */
    int64_t position;               /* where the next byte goes */
    int64_t opened_at;              /* where the first one went */
    int64_t tail_end; /* bytes from position up to here were there at open and must equal what is written */
    uint64_t guard;   /* hash of the GUARD_BYTES before flushed */
    bool header_due;  /* nothing was written to an empty file yet */
    struct tw_buf buffer;
    struct tw_table table;
    bool widths_known;
    struct tw_buf held; /* values of the rows the table holds back: u32 length and text of each */
    size_t held_rows;
    struct tumble_bytes *values; /* csv and table: one row's, views into its text or into held */
    size_t value_count;
    struct tumble_error failure; /* sticky: after it nothing is written any more */
};

/* ---- bytes to the file ---- */

static enum tumble_code fail_errno(struct file_output *self, struct tumble_error *err, const char *doing, int error) {
    return tw_fail(err, TUMBLE_EOUTPUT, "%s: cannot %s: %s", self->path, doing, strerror(error));
}

/* A write failed: the file goes back to whole flushed rows, so that no partial line stays. What was cut is in the
 * outbox. */
static void take_back(struct file_output *self) {
    if (self->can_cut && self->position >= self->tail_end) {
        int ignored = ftruncate(self->fd, self->flushed); /* the write's error is the one to report */
        (void)ignored;
        if (!self->keeps_place) {
            lseek(self->fd, self->flushed, SEEK_SET);
        }
    }
}

static ssize_t write_some(const struct file_output *self, struct tumble_bytes first, struct tumble_bytes second) {
    const struct iovec parts[2] = {{(void *)(uintptr_t)first.data, first.length},
                                   {(void *)(uintptr_t)second.data, second.length}};
    return self->keeps_place ? pwritev(self->fd, parts, 2, self->position) : writev(self->fd, parts, 2);
}

/* Bytes that lie in two places, as if they lay in one. */
static enum tumble_code write_all(struct file_output *self, struct tumble_bytes first, struct tumble_bytes second,
                                  struct tumble_error *err) {
    while (first.length + second.length > 0) {
        ssize_t n = write_some(self, first, second);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) { /* somebody made the pipe non-blocking */
            struct pollfd ready = {.fd = self->fd, .events = POLLOUT};
            poll(&ready, 1, -1);
            continue;
        }
        if (n <= 0) {
            enum tumble_code code = fail_errno(self, err, "write", n < 0 ? errno : EIO);
            take_back(self);
            return code;
        }
        const size_t of_first = (size_t)n < first.length ? (size_t)n : first.length;
        first.data = of_first ? first.data + of_first : first.data; /* there may be none */
        first.length -= of_first;
        second.data += (size_t)n - of_first;
        second.length -= (size_t)n - of_first;
        self->position += n;
    }
    return TUMBLE_OK;
}

static enum tumble_code foreign_tail(struct file_output *self, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EMISMATCH,
                   "%s: the %" PRId64 " bytes after the %" PRId64 " committed are not rows that wait to be written: "
                   "another program appended to it; move them away (truncate -s %" PRId64 " FILE) and run again",
                   self->path, self->tail_end - self->flushed, self->flushed, self->flushed);
}

/* Whether what is there differs from data in zeros only: a power cut leaves them where bytes behind it had reached the
 * disk earlier. No row has one where another has none. */
static bool has_holes(const char *there, const char *data, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (there[i] != data[i] && there[i] != '\0') {
            return false;
        }
    }
    return true;
}

/* Compares as much of data as the tail reaches; *same is the number of bytes that are there now. */
static enum tumble_code compare_tail(struct file_output *self, const char *data, size_t length, size_t *same,
                                     struct tumble_error *err) {
    char there[4096];
    *same = 0;
    while (*same < length && self->position < self->tail_end) {
        size_t want = length - *same < sizeof there ? length - *same : sizeof there;
        if ((int64_t)want > self->tail_end - self->position) {
            want = (size_t)(self->tail_end - self->position);
        }
        ssize_t n = pread(self->fd, there, want, self->position);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? fail_errno(self, err, "read", errno)
                         : tw_fail(err, TUMBLE_EOUTPUT, "%s: was cut by another program meanwhile", self->path);
        }
        if (memcmp(there, data + *same, (size_t)n) != 0) {
            if (!has_holes(there, data + *same, (size_t)n)) {
                return foreign_tail(self, err);
            }
            n = pwrite(self->fd, data + *same, (size_t)n, self->position);
            if (n < 0) {
                return fail_errno(self, err, "write", errno);
            }
        }
        *same += (size_t)n;
        self->position += n;
    }
    return TUMBLE_OK;
}

static enum tumble_code put_bytes(struct file_output *self, const char *data, size_t length, struct tumble_error *err) {
    size_t same = 0;
    if (self->keeps_place) {
        TW_TRY(compare_tail(self, data, length, &same, err));
    }
    return write_all(self, (struct tumble_bytes){data + same, length - same}, (struct tumble_bytes){"", 0}, err);
}

static enum tumble_code drain_buffer(struct file_output *self, struct tumble_error *err) {
    if (self->buffer.length == 0) {
        return TUMBLE_OK;
    }
    TW_TRY(put_bytes(self, self->buffer.data, self->buffer.length, err));
    tw_buf_clear(&self->buffer);
    return TUMBLE_OK;
}

/* Hash of the bytes that stand before length, as far as the checkpoint vouches for them. */
static enum tumble_code guard_of(struct file_output *self, int64_t length, uint64_t *guard, struct tumble_error *err) {
    char bytes[GUARD_BYTES];
    size_t want = length < GUARD_BYTES ? (size_t)length : GUARD_BYTES;
    size_t got = 0;
    while (got < want) {
        ssize_t n = pread(self->fd, bytes + got, want - got, length - (int64_t)want + (int64_t)got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? fail_errno(self, err, "read", errno)
                         : tw_fail(err, TUMBLE_EOUTPUT, "%s: was cut by another program meanwhile", self->path);
        }
        got += (size_t)n;
    }
    *guard = tw_hash64(bytes, got);
    return TUMBLE_OK;
}

/* ---- rows to bytes ---- */

static enum tumble_code no_room(struct file_output *self, enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                 : tw_fail(err, code, "%s: a row is too long or has no values", self->path);
}

static enum tumble_code hold_row(struct file_output *self, const struct tumble_row *row) {
    TW_TRY(tw_table_measure(&self->table, row));
    size_t before = self->held.length;
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < self->value_count && code == TUMBLE_OK; i++) {
        struct tumble_bytes value = i < row->value_count ? row->values[i] : (struct tumble_bytes){NULL, 0};
        code = tw_buf_append_u32(&self->held, (uint32_t)value.length);
        if (code == TUMBLE_OK) {
            code = tw_buf_append(&self->held, value.data, value.length);
        }
    }
    if (code != TUMBLE_OK) {
        self->held.length = before;
        return code;
    }
    self->held_rows++;
    return TUMBLE_OK;
}

/* The widths are known now: header and rows held back go to the buffer. */
static enum tumble_code release_held(struct file_output *self) {
    if (self->held_rows == 0) {
        return TUMBLE_OK;
    }
    self->widths_known = true;
    if (self->header_due) {
        TW_TRY(tw_table_header(&self->table, &self->buffer));
        self->header_due = false;
    }
    struct tw_cursor cursor = tw_cursor_of(tw_buf_view(&self->held));
    struct tumble_row row = {.values = self->values, .value_count = self->value_count};
    while (self->held_rows > 0) {
        for (size_t i = 0; i < self->value_count; i++) {
            uint32_t length = 0;
            if (!tw_take_u32(&cursor, &length) || !tw_take_bytes(&cursor, length, &self->values[i])) {
                return TUMBLE_EINTERNAL;
            }
        }
        TW_TRY(tw_table_row(&self->table, &self->buffer, &row));
        self->held_rows--;
    }
    tw_buf_clean_up(&self->held);
    return TUMBLE_OK;
}

static enum tumble_code format_row(struct file_output *self, const struct tumble_row *given) {
    if (self->format == TW_FILE_NDJSON) {
        return tw_format_ndjson_row(&self->buffer, given);
    }
    struct tumble_row split = *given, *row = &split;
    if (!row->values) {
        if (!tw_json_split(row->json, self->values, self->value_count)) {
            return TUMBLE_EINVAL;
        }
        row->values = self->values;
        row->value_count = self->value_count;
    }
    if (self->format == TW_FILE_CSV) {
        if (self->header_due) {
            TW_TRY(tw_format_csv_header(&self->buffer, self->spec));
            self->header_due = false;
        }
        return tw_format_csv_row(&self->buffer, row);
    }
    if (self->widths_known) {
        return tw_table_row(&self->table, &self->buffer, row);
    }
    TW_TRY(hold_row(self, row));
    bool enough = self->held_rows >= TW_TABLE_MEASURED_ROWS || self->held.length >= HELD_BYTES;
    return enough ? release_held(self) : TUMBLE_OK;
}

/* ---- open ---- */

/* A new file is only safe once its directory says so too. */
static enum tumble_code sync_directory(struct file_output *self, struct tumble_error *err) {
    const char *slash = strrchr(self->path, '/');
    size_t length = slash == self->path ? 1 : slash ? (size_t)(slash - self->path) : 1;
    char *directory = tw_copy_text(&self->alloc, slash ? self->path : ".", length);
    if (!directory) {
        return tw_no_memory(err);
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    tw_free(&self->alloc, directory);
    if (fd < 0) {
        return TUMBLE_OK; /* a directory that may be written but not read: nothing can be done */
    }
    int status = fsync(fd);
    int error = errno;
    close(fd);
    return status == 0 || error == EINVAL ? TUMBLE_OK : fail_errno(self, err, "sync its directory", error);
}

/* Checkpoint: 'F' '1', the committed length and the guard, little-endian. */
enum { CHECKPOINT_BYTES = 18 };

static enum tumble_code parse_checkpoint(struct file_output *self, struct tumble_bytes checkpoint, uint64_t *committed,
                                         uint64_t *guard, struct tumble_error *err) {
    struct tw_cursor cursor = tw_cursor_of(checkpoint);
    struct tumble_bytes magic;
    if (!tw_take_bytes(&cursor, 2, &magic) || memcmp(magic.data, "F1", 2) != 0 || !tw_take_u64(&cursor, committed) ||
        !tw_take_u64(&cursor, guard) || *committed > INT64_MAX) {
        return tw_fail(err, TUMBLE_EVERSION,
                       "%s: the state's checkpoint of this output is not one this version writes: "
                       "run the version that wrote the state, or begin with a new --state directory",
                       self->path);
    }
    return TUMBLE_OK;
}

/* Before the file is opened: a resume that cannot go on must not leave an empty file where rows have been. */
static enum tumble_code check_still_there(struct file_output *self, struct tumble_bytes checkpoint,
                                          struct tumble_error *err) {
    uint64_t committed = 0, guard = 0;
    if (checkpoint.length > 0) {
        TW_TRY(parse_checkpoint(self, checkpoint, &committed, &guard, err));
    }
    return committed == 0 ? TUMBLE_OK
                          : tw_fail(err, TUMBLE_EMISMATCH,
                                    "%s: the file is gone, with the %" PRIu64 " bytes committed to it: "
                                    "put it back as it was, or begin anew with a new --state directory",
                                    self->path, committed);
}

static enum tumble_code open_named(struct file_output *self, struct tumble_bytes checkpoint, struct tumble_error *err) {
    struct stat info;
    bool exists = stat(self->path, &info) == 0;
    if (!exists && errno == ENOENT) {
        TW_TRY(check_still_there(self, checkpoint, err));
    }
    if (exists && S_ISDIR(info.st_mode)) {
        return tw_fail(err, TUMBLE_EOUTPUT, "%s: is a directory: give the name of a file in it", self->path);
    }
    bool only_written = exists && !S_ISREG(info.st_mode);
    self->fd = open(self->path, only_written ? O_WRONLY | O_CLOEXEC : O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (self->fd < 0) {
        return fail_errno(self, err, exists ? "open" : "make the file", errno);
    }
    self->owns_fd = true;
    if (fstat(self->fd, &info) != 0) {
        return fail_errno(self, err, "look at it", errno);
    }
    self->keeps_place = S_ISREG(info.st_mode);
    self->can_cut = self->keeps_place;
    if (!self->keeps_place) {
        return TUMBLE_OK;
    }
    if (flock(self->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? tw_fail(err, TUMBLE_EOUTPUT,
                                              "%s: another run writes to it (or two outputs of this one name it): "
                                              "wait, or name another file",
                                              self->path)
                                    : fail_errno(self, err, "lock it", errno);
    }
    if (fstat(self->fd, &info) != 0) { /* again: the size before the lock says nothing */
        return fail_errno(self, err, "look at it", errno);
    }
    self->tail_end = info.st_size;
    self->has_room = true;
    return !exists && self->durable ? sync_directory(self, err) : TUMBLE_OK;
}

static void open_stdout(struct file_output *self) {
    self->fd = STDOUT_FILENO;
    struct stat info;
    if (fstat(self->fd, &info) == 0 && S_ISREG(info.st_mode)) {
        int flags = fcntl(self->fd, F_GETFL);
        int64_t at = flags >= 0 && (flags & O_APPEND) ? info.st_size : lseek(self->fd, 0, SEEK_CUR);
        self->can_cut = at >= 0 && at == info.st_size; /* never cut off what stands behind our place */
        self->has_room = self->can_cut && !(flags & O_APPEND);
        self->flushed = self->position = at > 0 ? at : 0;
    }
}

/* A row must not be glued to what another program left half written. */
static enum tumble_code check_last_line(struct file_output *self, struct tumble_error *err) {
    char last = '\n';
    if (self->position > 0 && pread(self->fd, &last, 1, self->position - 1) < 0) {
        return fail_errno(self, err, "read", errno);
    }
    return last == '\n'
               ? TUMBLE_OK
               : tw_fail(err, TUMBLE_EOUTPUT,
                         "%s: its last line has no end: finish or remove that line, or name another file", self->path);
}

/* Rows of other columns, or lines that are no CSV, must not go under one header. */
static enum tumble_code check_header(struct file_output *self, struct tumble_error *err) {
    char there[4096];
    ssize_t got = pread(self->fd, there, sizeof there, 0);
    if (got < 0) {
        return fail_errno(self, err, "read", errno);
    }
    enum tumble_code code = tw_format_csv_header(&self->buffer, self->spec);
    if (code != TUMBLE_OK) {
        return no_room(self, code, err);
    }
    size_t length = (size_t)got, line = 0;
    size_t compared = self->buffer.length < sizeof there ? self->buffer.length : sizeof there;
    bool same = length >= compared && memcmp(there, self->buffer.data, compared) == 0;
    tw_buf_clear(&self->buffer);
    while (line < length && line < 100 && there[line] != '\n' && there[line] != '\r') {
        line++;
    }
    return same ? TUMBLE_OK
                : tw_fail(err, TUMBLE_EOUTPUT,
                          "%s: is not a CSV file of these columns: its first line is \"%.*s\"; name another file",
                          self->path, (int)line, there);
}

static enum tumble_code read_checkpoint(struct file_output *self, struct tumble_bytes checkpoint, bool may_cut,
                                        struct tumble_error *err) {
    int64_t size = self->tail_end;
    if (checkpoint.length == 0) { /* the first time: what is there stays, and rows go behind it */
        self->flushed = self->position = size;
        if (size > 0 && self->format == TW_FILE_CSV) {
            TW_TRY(check_header(self, err));
        }
        TW_TRY(check_last_line(self, err));
        return guard_of(self, size, &self->guard, err);
    }
    uint64_t committed = 0, guard = 0;
    TW_TRY(parse_checkpoint(self, checkpoint, &committed, &guard, err));
    if ((uint64_t)size < committed) {
        return tw_fail(err, TUMBLE_EMISMATCH,
                       "%s: the file is shorter than the %" PRIu64 " bytes committed: it has %" PRId64
                       "; put the file back as it was, or begin anew with a new --state directory",
                       self->path, committed, size);
    }
    self->flushed = self->position = (int64_t)committed;
    TW_TRY(guard_of(self, self->flushed, &self->guard, err));
    if (self->guard != guard) {
        return tw_fail(err, TUMBLE_EMISMATCH,
                       "%s: the bytes before offset %" PRIu64 " are not those that were committed there: "
                       "put the file back as it was, or begin anew with a new --state directory",
                       self->path, committed);
    }
    if (may_cut && size > self->flushed) {
        self->tail_end = self->flushed;
        return ftruncate(self->fd, self->flushed) == 0 ? TUMBLE_OK : fail_errno(self, err, "cut", errno);
    }
    if (self->format == TW_FILE_TABLE && size > self->flushed) {
        return tw_fail(err, TUMBLE_EMISMATCH,
                       "%s: %" PRId64 " bytes stand after the %" PRIu64 " committed, and a table cannot be "
                       "told from them: cut them off (truncate -s %" PRIu64 " FILE) and run again",
                       self->path, size - self->flushed, committed, committed);
    }
    return TUMBLE_OK;
}

static enum tumble_code prepare_columns(struct file_output *self, uint32_t width, struct tumble_error *err) {
    self->value_count = tumble_spec_column_count(self->spec);
    self->values = tw_alloc_array(&self->alloc, self->value_count, sizeof *self->values);
    if (!self->values ||
        (self->format == TW_FILE_TABLE && tw_table_init(&self->table, self->spec, width, self->alloc) != TUMBLE_OK)) {
        return tw_no_memory(err);
    }
    return TUMBLE_OK;
}

static void file_close(void *ptr) {
    struct file_output *self = ptr;
    if (!self) {
        return;
    }
    if (self->has_room && self->position > self->opened_at) {
        tw_file_room_give_back(&self->room, self->fd, self->position);
    }
    if (self->owns_fd) {
        close(self->fd);
    }
    tw_table_clean_up(&self->table);
    tw_buf_clean_up(&self->held);
    tw_buf_clean_up(&self->buffer);
    tw_free(&self->alloc, self->values);
    tw_free(&self->alloc, self->path);
    struct tumble_alloc alloc = self->alloc;
    tw_free(&alloc, self);
}

static bool may_vanish(const struct tumble_output_open *how) {
    return how->struct_size >= offsetof(struct tumble_output_open, rows_may_vanish) + sizeof how->rows_may_vanish &&
           how->rows_may_vanish;
}

static enum tumble_code file_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_default();
    struct file_output *self = tw_alloc_zero(&alloc, sizeof *self);
    if (!self) {
        return tw_no_memory(err);
    }
    bool to_stdout = strcmp(how->target, "-") == 0;
    const char *path = to_stdout ? "standard output" : how->target;
    self->alloc = alloc;
    self->fd = -1;
    self->durable = how->durable != 0;
    self->spec = how->spec;
    tw_buf_init(&self->buffer, alloc, (size_t)1 << 30);
    tw_buf_init(&self->held, alloc, (size_t)1 << 30);
    self->path = tw_copy_text(&alloc, path, strlen(path));
    if (!self->path) {
        file_close(self);
        return tw_no_memory(err);
    }
    struct tw_file_options options = {TW_FILE_NDJSON, 0};
    enum tumble_code code = tw_file_options_read(how->options, how->option_count, self->path, &options, err);
    self->format = how->kind == TUMBLE_ROW_WINDOW ? options.format : TW_FILE_NDJSON; /* failures have no columns */
    if (code == TUMBLE_OK && self->path[0] == '\0') {
        code = tw_fail(err, TUMBLE_EUSAGE, "file: needs a path behind it, as in file:rows.ndjson");
    }
    if (code == TUMBLE_OK && self->format != TW_FILE_NDJSON) {
        code = prepare_columns(self, options.width, err);
    }
    if (code == TUMBLE_OK && to_stdout) {
        open_stdout(self);
    } else if (code == TUMBLE_OK) {
        code = open_named(self, how->checkpoint, err);
    }
    if (code == TUMBLE_OK && self->keeps_place) {
        code = read_checkpoint(self, how->checkpoint, may_vanish(how), err);
    }
    if (code != TUMBLE_OK) {
        file_close(self);
        return code;
    }
    /* Standard output has no checkpoint: what this run writes there is an output of its own, whatever stands before. */
    self->header_due = to_stdout || self->position == 0;
    self->opened_at = self->position;
    if (self->has_room) {
        tw_file_room_begin(&self->room, self->fd);
    }
    *out = self;
    return TUMBLE_OK;
}

/* ---- write, flush, checkpoint ---- */

/* After a failure rows that were called delivered may be lost to this process: only a new open can tell which. */
static enum tumble_code keep_failure(struct file_output *self, enum tumble_code code,
                                     const struct tumble_error *failure, struct tumble_error *err) {
    self->failure = *failure;
    self->failure.code = code;
    if (err) {
        *err = self->failure;
    }
    return code;
}

/* Rows that lie as lines, many of them as they are; in one write with those before them, and never in the middle of a
 * line: who is killed between two writes leaves whole rows, which all can go on from that have no checkpoint. */
static enum tumble_code put_lines(struct file_output *self, const char *lines, size_t length,
                                  struct tumble_error *err) {
    if (length >= LINES_BYTES && self->has_room && self->position >= self->tail_end) {
        const struct tumble_bytes before = tw_buf_view(&self->buffer);
        tw_file_room_ask(&self->room, self->fd, self->position, self->position + (int64_t)(before.length + length));
        TW_TRY(write_all(self, before, (struct tumble_bytes){lines, length}, err));
        tw_buf_clear(&self->buffer);
        return TUMBLE_OK;
    }
    if (length >= LINES_BYTES) {
        TW_TRY(drain_buffer(self, err));
        return put_bytes(self, lines, length, err);
    }
    enum tumble_code code = tw_buf_append(&self->buffer, lines, length);
    if (code != TUMBLE_OK) {
        return no_room(self, code, err);
    }
    return self->buffer.length >= BUFFER_BYTES ? drain_buffer(self, err) : TUMBLE_OK;
}

static enum tumble_code file_write(void *ptr, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                   struct tumble_error *err) {
    struct file_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    if (self->failure.code != TUMBLE_OK) {
        failure = self->failure;
        return keep_failure(self, failure.code, &failure, err);
    }
    const bool lines = count && rows[0].line_bytes && self->format == TW_FILE_NDJSON;
    if (lines) {
        enum tumble_code code = put_lines(self, rows[0].json.data, rows[0].line_bytes, &failure);
        if (code != TUMBLE_OK) {
            return keep_failure(self, code, &failure, err);
        }
    }
    for (size_t i = 0; i < count; i++) {
        enum tumble_code code = lines ? TUMBLE_OK : format_row(self, &rows[i]);
        if (code != TUMBLE_OK) {
            code = no_room(self, code, &failure);
        } else if (self->buffer.length >= BUFFER_BYTES) {
            code = drain_buffer(self, &failure);
        }
        if (code != TUMBLE_OK) {
            return keep_failure(self, code, &failure, err);
        }
        out[i].outcome = TUMBLE_DELIVERED;
        out[i].retry_after_ms = 0;
        out[i].reason = NULL;
    }
    return TUMBLE_OK;
}

static enum tumble_code flush_rows(struct file_output *self, int pending_done, struct tumble_error *err) {
    enum tumble_code code = release_held(self);
    if (code != TUMBLE_OK) {
        return no_room(self, code, err);
    }
    TW_TRY(drain_buffer(self, err));
    if (pending_done && self->keeps_place && self->position < self->tail_end) {
        return foreign_tail(self, err);
    }
    struct stat status;
    if (self->can_cut && self->position != self->flushed && fstat(self->fd, &status) == 0 && status.st_nlink == 0) {
        return tw_fail(err, TUMBLE_EOUTPUT,
                       "%s: was removed while it was written to: the rows since have nowhere to go", self->path);
    }
    if (self->position == self->flushed) {
        return TUMBLE_OK;
    }
    if (self->durable && self->can_cut && fdatasync(self->fd) != 0) {
        code = fail_errno(self, err, "sync", errno);
        take_back(self);
        return code;
    }
    if (self->keeps_place) {
        TW_TRY(guard_of(self, self->position, &self->guard, err));
    }
    self->flushed = self->position;
    return TUMBLE_OK;
}

static enum tumble_code file_flush(void *ptr, int pending_done, struct tumble_error *err) {
    struct file_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    enum tumble_code code = self->failure.code;
    if (code != TUMBLE_OK) {
        failure = self->failure;
    } else {
        code = flush_rows(self, pending_done, &failure);
    }
    return code == TUMBLE_OK ? TUMBLE_OK : keep_failure(self, code, &failure, err);
}

static size_t file_checkpoint(void *ptr, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]) {
    const struct file_output *self = ptr;
    if (!self->keeps_place) {
        return 0;
    }
    out[0] = 'F';
    out[1] = '1';
    for (int i = 0; i < 8; i++) {
        out[2 + i] = (char)((uint64_t)self->flushed >> (8 * i));
        out[10 + i] = (char)(self->guard >> (8 * i));
    }
    return CHECKPOINT_BYTES;
}

const struct tumble_output_api tumble_file_output = {
    .struct_size = sizeof tumble_file_output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "file",
    .flags = TUMBLE_OUTPUT_NO_RETRY | TUMBLE_OUTPUT_NO_KEYS,
    .target = "PATH",
    .summary = "lines appended to a file, atomically per commit; - is standard output",
    .options = tw_file_option_table,
    .option_count = TW_FILE_OPTIONS,
    .open = file_open,
    .write = file_write,
    .flush = file_flush,
    .checkpoint = file_checkpoint,
    .close = file_close,
};
