#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adapters/outputs/file/file_output.h"
#include "output_file/fake_spec.h"

static char directory[64];
static char path[128];
static struct tumble_error err;

static int set_up(void **state) {
    (void)state;
    strcpy(directory, "/tmp/tumble_file_XXXXXX");
    if (!mkdtemp(directory)) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/rows", directory);
    memset(&err, 0, sizeof err);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void put_file(const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void expect_file(const char *text) {
    char there[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(there, 1, sizeof there - 1, file);
    fclose(file);
    there[length] = '\0';
    assert_string_equal(there, text);
}

struct checkpoint {
    char bytes[TUMBLE_OUTPUT_CHECKPOINT_BYTES];
    size_t length;
};

static enum tumble_code open_as(const char *target, const char *format, const struct checkpoint *checkpoint,
                                void **out) {
    struct tumble_option_value options[] = {{.name = "format", .value = format}};
    struct tumble_output_open how = {.target = target,
                                     .options = options,
                                     .option_count = format ? 1 : 0,
                                     .kind = TUMBLE_ROW_WINDOW,
                                     .spec = &fake_spec,
                                     .durable = 1};
    if (checkpoint) {
        how.checkpoint.data = checkpoint->bytes;
        how.checkpoint.length = checkpoint->length;
    }
    return tumble_file_output.open(&how, out, &err);
}

static void *open_ok(const char *target, const char *format, const struct checkpoint *checkpoint) {
    void *self = NULL;
    enum tumble_code code = open_as(target, format, checkpoint, &self);
    if (code != TUMBLE_OK) {
        fail_msg("open: %s: %s", tumble_code_name(code), err.text);
    }
    return self;
}

static enum tumble_code write_json(void *self, const char *json) {
    struct tumble_bytes values[5] = {tumble_bytes_of("\"2024-01-01T00:00:00Z\""), tumble_bytes_of("\"49\""),
                                     tumble_bytes_of("\"a\""), tumble_bytes_of("1"), tumble_bytes_of("1")};
    struct tumble_row row = {.json = tumble_bytes_of(json), .values = values, .value_count = 5};
    struct tumble_delivery delivery = {TUMBLE_RETRY, 1, "not touched"};
    enum tumble_code code = tumble_file_output.write(self, &row, 1, &delivery, &err);
    if (code == TUMBLE_OK) {
        assert_int_equal(delivery.outcome, TUMBLE_DELIVERED);
    }
    return code;
}

static void flush_ok(void *self, int pending_done) {
    enum tumble_code code = tumble_file_output.flush(self, pending_done, &err);
    if (code != TUMBLE_OK) {
        fail_msg("flush: %s: %s", tumble_code_name(code), err.text);
    }
}

static struct checkpoint checkpoint_of(void *self) {
    struct checkpoint checkpoint;
    checkpoint.length = tumble_file_output.checkpoint(self, checkpoint.bytes);
    return checkpoint;
}

static void expect_text(const char *part) {
    if (!strstr(err.text, part)) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.text);
    }
}

enum { LINE_BYTES = 64, LINES_MOST = 4000 };

/* Rows i … i + count - 1, lying as lines, in one call. */
static void write_lines(void *self, const char *lines, size_t i, size_t count) {
    static struct tumble_row rows[LINES_MOST];
    static struct tumble_delivery deliveries[LINES_MOST];
    memset(rows, 0, sizeof rows);
    for (size_t row = 0; row < count; row++) {
        rows[row].json.data = lines + (i + row) * LINE_BYTES;
        rows[row].json.length = LINE_BYTES - 1;
        rows[row].line_bytes = (count - row) * LINE_BYTES;
        deliveries[row] = (struct tumble_delivery){TUMBLE_RETRY, 1, "not touched"};
    }
    assert_int_equal(tumble_file_output.write(self, rows, count, deliveries, &err), TUMBLE_OK);
    for (size_t row = 0; row < count; row++) {
        assert_int_equal(deliveries[row].outcome, TUMBLE_DELIVERED);
    }
}

static void rows_that_lie_as_lines_are_written_alike(void **state) {
    (void)state;
    static const size_t counts[] = {1, 3, 1100, 2, 1, 2500, 7}; /* 1,100 and 2,500: more than are copied */
    char *lines = malloc(LINES_MOST * LINE_BYTES + 1), *there = malloc(LINES_MOST * LINE_BYTES + 1);
    size_t total = 0;
    for (size_t i = 0; i < LINES_MOST; i++) {
        sprintf(lines + i * LINE_BYTES, "{\"i\":\"%-55zu\"}\n", i);
    }
    struct checkpoint begin = {.length = 0};
    for (int round = 0; round < 2; round++) { /* the second time all of it is there already, and compared */
        void *self = open_ok(path, NULL, round ? &begin : NULL);
        begin = round ? begin : checkpoint_of(self);
        total = 0;
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            write_lines(self, lines, total, counts[c]);
            total += counts[c];
        }
        flush_ok(self, 1);
        tumble_file_output.close(self);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        assert_int_equal(fread(there, 1, LINES_MOST * LINE_BYTES, file), total * LINE_BYTES);
        assert_memory_equal(there, lines, total * LINE_BYTES);
        fclose(file);
    }
    free(there);
    free(lines);
}

/* Who is killed between two calls leaves whole rows: without a checkpoint nobody could go on behind half of one. */
static void no_line_is_cut_between_two_writes(void **state) {
    (void)state;
    enum { ODD_BYTES = 61, COUNT = 3000 };
    static struct tumble_row rows[COUNT];
    static struct tumble_delivery deliveries[COUNT];
    char *lines = malloc(COUNT * ODD_BYTES + 1);
    for (size_t i = 0; i < COUNT; i++) {
        sprintf(lines + i * ODD_BYTES, "{\"i\":\"%-52zu\"}\n", i);
        rows[i].json.data = lines + i * ODD_BYTES;
        rows[i].json.length = ODD_BYTES - 1;
        rows[i].line_bytes = (COUNT - i) * ODD_BYTES;
    }
    void *self = open_ok(path, NULL, NULL);
    for (int call = 0; call < 3; call++) {
        struct stat info;
        assert_int_equal(tumble_file_output.write(self, rows, COUNT, deliveries, &err), TUMBLE_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_true(info.st_size > 0);
        assert_int_equal(info.st_size % ODD_BYTES, 0);
    }
    tumble_file_output.close(self);
    free(lines);
}

/* ---- blocks ahead of the bytes ---- */

enum { MANY_ROWS = 4 * LINES_MOST, LENGTH_OF_MANY = MANY_ROWS * LINE_BYTES };

/* A megabyte of rows in four calls, not flushed. */
static void write_many(void *self) {
    char *lines = malloc(LINES_MOST * LINE_BYTES + 1);
    for (size_t i = 0; i < LINES_MOST; i++) {
        sprintf(lines + i * LINE_BYTES, "{\"i\":\"%-55zu\"}\n", i);
    }
    for (size_t i = 0; i < MANY_ROWS; i += LINES_MOST) {
        write_lines(self, lines, 0, LINES_MOST);
    }
    free(lines);
}

static void expect_blocks_of_its_bytes_alone(off_t length) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, length);
    assert_in_range(info.st_blocks * 512, 0, length + 128 * 1024); /* those that describe it included */
}

static void blocks_asked_for_ahead_are_given_back(void **state) {
    (void)state;
    struct stat info;
    void *self = open_ok(path, NULL, NULL);
    write_many(self);
    flush_ok(self, 1);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, LENGTH_OF_MANY); /* nobody sees them */
    tumble_file_output.close(self);
    expect_blocks_of_its_bytes_alone(LENGTH_OF_MANY);
}

static void blocks_left_by_a_crash_are_given_back_by_the_next_run(void **state) {
    (void)state;
    struct checkpoint at;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        void *self = open_ok(path, NULL, NULL);
        write_many(self);
        tumble_file_output.flush(self, 1, &err);
        at = checkpoint_of(self);
        write_many(self); /* in part behind the checkpoint */
        _exit(write(ends[1], &at, sizeof at) == (ssize_t)sizeof at ? 0 : 1);
    }
    assert_int_equal(read(ends[0], &at, sizeof at), sizeof at);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    void *self = open_ok(path, NULL, &at);
    write_many(self);
    flush_ok(self, 1);
    tumble_file_output.close(self);
    expect_blocks_of_its_bytes_alone(2 * LENGTH_OF_MANY);
}

static void what_others_wrote_behind_the_rows_is_not_cut_off(void **state) {
    (void)state;
    struct stat info;
    void *self = open_ok(path, NULL, NULL);
    write_many(self);
    flush_ok(self, 1);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_int_equal(fputs("another's line\n", file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    tumble_file_output.close(self);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, LENGTH_OF_MANY + 15);
}

static void many_rows_that_do_not_fit_leave_nothing_behind(void **state) {
    (void)state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void *self = open_ok(path, NULL, NULL);
    write_many(self);
    flush_ok(self, 1);
    small = old;
    small.rlim_cur = LENGTH_OF_MANY + 100 * 1024; /* a write of the next rows is cut short */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char lines[LINES_MOST * LINE_BYTES];
    memset(lines, '\n', sizeof lines);
    struct tumble_row row = {.json = {lines, 1}, .line_bytes = sizeof lines};
    struct tumble_delivery delivery;
    enum tumble_code code = tumble_file_output.write(self, &row, 1, &delivery, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, TUMBLE_EOUTPUT);
    expect_text(strerror(EFBIG));
    tumble_file_output.close(self);
    expect_blocks_of_its_bytes_alone(LENGTH_OF_MANY);
}

static void rows_stand_in_the_file_after_flush(void **state) {
    (void)state;
    void *self = open_ok(path, NULL, NULL);
    assert_int_equal(write_json(self, "{\"a\":1}"), TUMBLE_OK);
    assert_int_equal(write_json(self, "{\"a\":2}"), TUMBLE_OK);
    expect_file("");
    flush_ok(self, 1);
    expect_file("{\"a\":1}\n{\"a\":2}\n");
    tumble_file_output.close(self);
}

static void first_run_appends_to_what_is_there(void **state) {
    (void)state;
    put_file("old\n");
    void *self = open_ok(path, NULL, NULL);
    struct checkpoint before = checkpoint_of(self);
    assert_int_equal(before.bytes[2], 4); /* the length it begins at, before anything is written */
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    flush_ok(self, 1);
    tumble_file_output.close(self);
    expect_file("old\n{}\n");
}

static void rows_are_not_glued_to_half_a_line(void **state) {
    (void)state;
    put_file("old\nhal");
    void *self;
    assert_int_equal(open_as(path, NULL, NULL, &self), TUMBLE_EOUTPUT);
    expect_text("its last line has no end");
    expect_file("old\nhal");
}

/* Writes two rows with a commit between them and gives both checkpoints. */
static void write_two(struct checkpoint *first, struct checkpoint *second) {
    void *self = open_ok(path, NULL, NULL);
    assert_int_equal(write_json(self, "{\"a\":1}"), TUMBLE_OK);
    flush_ok(self, 1);
    *first = checkpoint_of(self);
    assert_int_equal(write_json(self, "{\"a\":2}"), TUMBLE_OK);
    flush_ok(self, 0);
    *second = checkpoint_of(self);
    tumble_file_output.close(self);
}

static void pending_rows_already_there_are_not_written_twice(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    void *self = open_ok(path, NULL, &first);
    assert_int_equal(write_json(self, "{\"a\":2}"), TUMBLE_OK);
    flush_ok(self, 1);
    assert_int_equal(write_json(self, "{\"a\":3}"), TUMBLE_OK);
    flush_ok(self, 0);
    tumble_file_output.close(self);
    expect_file("{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n");
}

/* From the first checkpoint, whatever stands behind it, to the second. */
static void expect_completed(const struct checkpoint *first, const struct checkpoint *second) {
    void *self = open_ok(path, NULL, first);
    assert_int_equal(write_json(self, "{\"a\":2}"), TUMBLE_OK);
    flush_ok(self, 1);
    struct checkpoint again = checkpoint_of(self);
    assert_memory_equal(again.bytes, second->bytes, second->length);
    tumble_file_output.close(self);
    expect_file("{\"a\":1}\n{\"a\":2}\n");
}

static void every_torn_tail_is_completed(void **state) {
    (void)state;
    struct checkpoint first, second;
    for (long length = 8; length <= 16; length++) {
        unlink(path);
        write_two(&first, &second);
        assert_int_equal(truncate(path, length), 0);
        expect_completed(&first, &second);
    }
}

static void zeros_that_a_power_cut_left_in_the_tail_are_filled(void **state) {
    (void)state;
    struct checkpoint first, second;
    for (unsigned holes = 0; holes < 1u << 8; holes++) {
        unlink(path);
        write_two(&first, &second);
        char tail[9] = "{\"a\":2}\n";
        for (int i = 0; i < 8; i++) {
            tail[i] = holes >> i & 1u ? '\0' : tail[i];
        }
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 8, SEEK_SET), 0);
        assert_int_equal(fwrite(tail, 1, 8, file), 8);
        assert_int_equal(fclose(file), 0);
        expect_completed(&first, &second);
    }
}

static void a_tail_that_is_not_pending_rows_is_refused_and_kept(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    void *self = open_ok(path, NULL, &first);
    assert_int_equal(write_json(self, "{\"a\":9}"), TUMBLE_OK);
    assert_int_equal(tumble_file_output.flush(self, 1, &err), TUMBLE_EMISMATCH);
    expect_text("truncate -s 8");
    assert_int_equal(write_json(self, "{\"a\":9}"), TUMBLE_EMISMATCH); /* the failure stays */
    tumble_file_output.close(self);
    expect_file("{\"a\":1}\n{\"a\":2}\n");
}

static void a_tail_beyond_the_pending_rows_is_refused(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    void *self = open_ok(path, NULL, &first);
    flush_ok(self, 0); /* rows may still come */
    assert_int_equal(tumble_file_output.flush(self, 1, &err), TUMBLE_EMISMATCH);
    expect_text("the 8 bytes after the 8 committed");
    tumble_file_output.close(self);
}

static void a_file_shorter_than_committed_is_refused(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    assert_int_equal(truncate(path, 15), 0);
    void *self = &err;
    assert_int_equal(open_as(path, NULL, &second, &self), TUMBLE_EMISMATCH);
    assert_null(self);
    expect_text("shorter than the 16 bytes committed");
}

static void another_file_of_the_same_length_is_refused(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    put_file("{\"a\":1}\n{\"b\":2}\n");
    void *self;
    assert_int_equal(open_as(path, NULL, &second, &self), TUMBLE_EMISMATCH);
    expect_text("not those that were committed");
}

static void a_checkpoint_of_another_version_is_refused(void **state) {
    (void)state;
    struct checkpoint strange = {"F9-strange-bytes--", 18};
    void *self;
    assert_int_equal(open_as(path, NULL, &strange, &self), TUMBLE_EVERSION);
    struct checkpoint cut = {"F1", 2};
    assert_int_equal(open_as(path, NULL, &cut, &self), TUMBLE_EVERSION);
}

static void a_second_writer_is_refused(void **state) {
    (void)state;
    void *first = open_ok(path, NULL, NULL);
    void *second;
    assert_int_equal(open_as(path, NULL, NULL, &second), TUMBLE_EOUTPUT);
    expect_text("another run writes to it");
    tumble_file_output.close(first);
    second = open_ok(path, NULL, NULL);
    tumble_file_output.close(second);
}

static void csv_header_is_written_once_across_runs(void **state) {
    (void)state;
    void *self = open_ok(path, "csv", NULL);
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    flush_ok(self, 1);
    struct checkpoint checkpoint = checkpoint_of(self);
    tumble_file_output.close(self);
    self = open_ok(path, "csv", &checkpoint);
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    flush_ok(self, 1);
    tumble_file_output.close(self);
    expect_file("window_start,fragment,\"city, \"\"x\"\"\",n,records\r\n"
                "2024-01-01T00:00:00Z,49,a,1,1\r\n2024-01-01T00:00:00Z,49,a,1,1\r\n");
}

static void csv_goes_only_under_its_own_header(void **state) {
    (void)state;
    put_file("window_start,fragment,\"city, \"\"x\"\"\",n,records\r\nold\r\n");
    void *self = open_ok(path, "csv", NULL);
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    flush_ok(self, 1);
    tumble_file_output.close(self);
    expect_file("window_start,fragment,\"city, \"\"x\"\"\",n,records\r\nold\r\n2024-01-01T00:00:00Z,49,a,1,1\r\n");
    static const char *const others[] = {"window_start,n\r\n", "{\"n\":1}\n", "\n",
                                         "window_start,fragment,\"city, \"\"x\"\"\",n,records2\r\n"};
    for (size_t i = 0; i < 4; i++) {
        put_file(others[i]);
        assert_int_equal(open_as(path, "csv", NULL, &self), TUMBLE_EOUTPUT);
        expect_text("its first line is \"");
        expect_file(others[i]);
    }
}

static void a_file_that_is_gone_is_refused_and_not_made(void **state) {
    (void)state;
    struct checkpoint first, second;
    write_two(&first, &second);
    assert_int_equal(unlink(path), 0);
    void *self;
    assert_int_equal(open_as(path, NULL, &second, &self), TUMBLE_EMISMATCH);
    expect_text("the file is gone, with the 16 bytes committed");
    assert_int_equal(access(path, F_OK), -1);
}

static void a_file_that_is_gone_before_its_first_row_is_made_again(void **state) {
    (void)state;
    void *self = open_ok(path, NULL, NULL);
    struct checkpoint empty = checkpoint_of(self);
    tumble_file_output.close(self);
    assert_int_equal(unlink(path), 0);
    self = open_ok(path, NULL, &empty);
    tumble_file_output.close(self);
    expect_file("");
}

static void standard_output_begins_with_a_header_whatever_stands_before(void **state) {
    (void)state;
    put_file("notes\n");
    int old = dup(STDOUT_FILENO);
    int file = open(path, O_WRONLY | O_APPEND);
    assert_true(old >= 0 && file >= 0);
    fflush(stdout);
    assert_int_equal(dup2(file, STDOUT_FILENO), STDOUT_FILENO);
    void *self = NULL;
    enum tumble_code code = open_as("-", "csv", NULL, &self);
    if (code == TUMBLE_OK) {
        code = write_json(self, "{}");
    }
    if (code == TUMBLE_OK) {
        code = tumble_file_output.flush(self, 1, &err);
    }
    tumble_file_output.close(self);
    assert_int_equal(dup2(old, STDOUT_FILENO), STDOUT_FILENO);
    close(old);
    close(file);
    assert_int_equal(code, TUMBLE_OK);
    expect_file("notes\nwindow_start,fragment,\"city, \"\"x\"\"\",n,records\r\n2024-01-01T00:00:00Z,49,a,1,1\r\n");
}

static void table_takes_its_widths_from_the_first_thousand_rows(void **state) {
    (void)state;
    void *self = open_ok(path, "table", NULL);
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    }
    flush_ok(self, 1);
    tumble_file_output.close(self);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const char line[] = "2024-01-01T00:00:00Z  a          1        1\n";
    assert_int_equal(info.st_size, 1502 * (long)strlen(line));
}

static void a_full_disk_is_an_error_with_its_name(void **state) {
    (void)state;
    void *self = open_ok("/dev/full", NULL, NULL);
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    assert_int_equal(tumble_file_output.flush(self, 1, &err), TUMBLE_EOUTPUT);
    expect_text("/dev/full");
    expect_text(strerror(ENOSPC));
    assert_int_equal(tumble_file_output.flush(self, 1, &err), TUMBLE_EOUTPUT);
    tumble_file_output.close(self);
}

static void no_partial_line_stays_when_the_disk_is_full(void **state) {
    (void)state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void *self = open_ok(path, NULL, NULL);
    assert_int_equal(write_json(self, "{\"a\":1}"), TUMBLE_OK);
    flush_ok(self, 1);
    small = old;
    small.rlim_cur = 12; /* the next row fits in part */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(write_json(self, "{\"a\":2}"), TUMBLE_OK);
    enum tumble_code code = tumble_file_output.flush(self, 0, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(code, TUMBLE_EOUTPUT);
    expect_text(strerror(EFBIG));
    tumble_file_output.close(self);
    expect_file("{\"a\":1}\n");
}

static void a_broken_pipe_is_an_error(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    char target[32];
    snprintf(target, sizeof target, "/dev/fd/%d", ends[1]);
    void *self = open_ok(target, NULL, NULL);
    char unused[TUMBLE_OUTPUT_CHECKPOINT_BYTES];
    assert_int_equal(tumble_file_output.checkpoint(self, unused), 0); /* a pipe has no place to come back to */
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write_json(self, "{}"), TUMBLE_OK);
    assert_int_equal(tumble_file_output.flush(self, 1, &err), TUMBLE_EOUTPUT);
    expect_text(strerror(EPIPE));
    tumble_file_output.close(self);
    close(ends[1]);
}

static void a_directory_is_refused(void **state) {
    (void)state;
    void *self;
    assert_int_equal(open_as(directory, NULL, NULL, &self), TUMBLE_EOUTPUT);
    expect_text("is a directory");
}

static void a_missing_directory_is_refused(void **state) {
    (void)state;
    void *self;
    assert_int_equal(open_as("/nowhere/rows", NULL, NULL, &self), TUMBLE_EOUTPUT);
    expect_text(strerror(ENOENT));
}

static void unknown_options_and_formats_are_refused(void **state) {
    (void)state;
    void *self;
    assert_int_equal(open_as(path, "xml", NULL, &self), TUMBLE_EUSAGE);
    expect_text("ndjson, csv or table");
    assert_int_equal(open_as("", NULL, NULL, &self), TUMBLE_EUSAGE);
    struct tumble_option_value option = {.name = "colour", .value = "red"};
    struct tumble_output_open how = {.target = path, .options = &option, .option_count = 1, .spec = &fake_spec};
    assert_int_equal(tumble_file_output.open(&how, &self, &err), TUMBLE_EUSAGE);
    expect_text("\"colour\"");
}

static void close_takes_null(void **state) {
    (void)state;
    tumble_file_output.close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(rows_stand_in_the_file_after_flush),
        TEST(rows_that_lie_as_lines_are_written_alike),
        TEST(no_line_is_cut_between_two_writes),
        TEST(blocks_asked_for_ahead_are_given_back),
        TEST(blocks_left_by_a_crash_are_given_back_by_the_next_run),
        TEST(what_others_wrote_behind_the_rows_is_not_cut_off),
        TEST(many_rows_that_do_not_fit_leave_nothing_behind),
        TEST(first_run_appends_to_what_is_there),
        TEST(rows_are_not_glued_to_half_a_line),
        TEST(pending_rows_already_there_are_not_written_twice),
        TEST(every_torn_tail_is_completed),
        TEST(zeros_that_a_power_cut_left_in_the_tail_are_filled),
        TEST(a_tail_that_is_not_pending_rows_is_refused_and_kept),
        TEST(a_tail_beyond_the_pending_rows_is_refused),
        TEST(a_file_shorter_than_committed_is_refused),
        TEST(another_file_of_the_same_length_is_refused),
        TEST(a_checkpoint_of_another_version_is_refused),
        TEST(a_second_writer_is_refused),
        TEST(csv_header_is_written_once_across_runs),
        TEST(csv_goes_only_under_its_own_header),
        TEST(a_file_that_is_gone_is_refused_and_not_made),
        TEST(a_file_that_is_gone_before_its_first_row_is_made_again),
        TEST(standard_output_begins_with_a_header_whatever_stands_before),
        TEST(table_takes_its_widths_from_the_first_thousand_rows),
        TEST(a_full_disk_is_an_error_with_its_name),
        TEST(no_partial_line_stays_when_the_disk_is_full),
        TEST(a_broken_pipe_is_an_error),
        TEST(a_directory_is_refused),
        TEST(a_missing_directory_is_refused),
        TEST(unknown_options_and_formats_are_refused),
        TEST(close_takes_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
