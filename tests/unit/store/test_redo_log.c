#define _GNU_SOURCE

#include "engine/store/redo_log.h"
#include "store/state_files.h"

/* The log by itself, cut and flipped at every byte. */

enum { ENTRIES = 5, BASE = 7 };

static struct tw_state_directory directory_here(void) {
    struct tw_state_directory directory = {.path = fixture_path, .fd = -1, .lock_fd = -1};
    directory.fd = open(fixture_directory(), O_RDONLY | O_DIRECTORY);
    assert_true(directory.fd >= 0);
    return directory;
}

/* Of several lengths: less than a block, one, two. */
static void append(struct tw_redo_log *log, int number) {
    struct tw_buf entry;
    char bytes[6000];
    size_t length = number == 1 ? TW_REDO_BLOCK - TW_REDO_HEAD_BYTES - 8 : number == 3 ? 5000 : (size_t)(90 + number);
    memset(bytes, 'a' + number, length);
    tw_buf_init(&entry, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(tw_redo_entry_begin(&entry), TUMBLE_OK);
    assert_int_equal(tw_buf_append(&entry, bytes, length), TUMBLE_OK);
    assert_true(tw_redo_log_has_room(log, &entry));
    assert_int_equal(tw_redo_log_append(log, &entry, NULL), TUMBLE_OK);
    tw_buf_clean_up(&entry);
}

struct seen {
    int first; /* the number of the first entry that is to come */
    int count;
    bool same;
};

static enum tumble_code see(void *ctx, struct tumble_bytes operations, uint64_t at, struct tumble_error *err) {
    struct seen *seen = ctx;
    (void)err;
    int number = seen->first + seen->count++;
    seen->same = seen->same && operations.length > 0 && at % TW_REDO_BLOCK == TW_REDO_HEAD_BYTES;
    for (size_t i = 0; i < operations.length; i++) {
        seen->same = seen->same && operations.data[i] == 'a' + number;
    }
    return TUMBLE_OK;
}

static enum tumble_code replay(const struct tw_state_directory *directory, uint64_t base, struct seen *seen,
                               struct tumble_error *err) {
    struct tw_redo_log log;
    bool present;
    int first = seen->first;
    *seen = (struct seen){.first = first, .same = true};
    enum tumble_code code = tw_redo_log_open(&log, directory, tw_alloc_default(), &present, err);
    if (code == TUMBLE_OK) {
        assert_true(present);
        code = tw_redo_log_replay(&log, base, see, seen, err);
        tw_redo_log_close(&log);
    }
    return code;
}

static void make_log(const struct tw_state_directory *directory) {
    struct tw_redo_log log;
    assert_int_equal(tw_redo_log_make(&log, directory, tw_alloc_default(), 10 * TW_REDO_BLOCK, NULL), TUMBLE_OK);
    tw_redo_log_restart(&log, BASE - 1);
    for (int i = 0; i < ENTRIES; i++) { /* of another base, with more entries: what lies behind the new ones is stale */
        append(&log, 20 - i);
    }
    append(&log, 4);
    tw_redo_log_restart(&log, BASE);
    for (int i = 0; i < ENTRIES; i++) {
        append(&log, i);
    }
    tw_redo_log_close(&log);
}

static void entries_come_back_in_order_and_stale_ones_do_not(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    assert_int_equal(replay(&directory, BASE, &seen, NULL), TUMBLE_OK);
    assert_int_equal(seen.count, ENTRIES);
    assert_true(seen.same);
    assert_int_equal(replay(&directory, BASE + 1, &seen, NULL), TUMBLE_OK); /* LMDB has them */
    assert_int_equal(seen.count, 0);
    struct tumble_error err;
    assert_int_equal(replay(&directory, BASE - 1, &seen, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "data.mdb is older than redo.log"));
    close(directory.fd);
}

static void a_log_cut_anywhere_gives_its_first_entries_or_is_refused(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    assert_int_equal(length, 10 * TW_REDO_BLOCK);
    for (size_t cut = 0; cut < length; cut++) { /* cut short, and with the rest not written */
        assert_int_equal(truncate(in_state("redo.log"), (off_t)(length - 1 - cut)), 0);
        assert_int_equal(replay(&directory, BASE, &seen, NULL), TUMBLE_ECORRUPT);
    }
    int counts[ENTRIES + 1] = {0}, refused = 0;
    char *copy = calloc(1, length);
    write_file("redo.log", image, length);
    int fd = open(in_state("redo.log"), O_WRONLY);
    for (size_t cut = length; cut-- > 0;) {
        assert_int_equal(pwrite(fd, copy, 1, (off_t)cut), 1);
        struct tumble_error err;
        enum tumble_code code = replay(&directory, BASE, &seen, &err);
        assert_true(seen.same);
        if (code == TUMBLE_OK) {
            counts[seen.count]++;
        } else {
            assert_int_equal(code, TUMBLE_ECORRUPT);
            assert_non_null(strstr(err.text, "restore it or remove it and run again"));
            refused++;
            assert_int_equal(seen.count, 0);
        }
    }
    for (int i = 0; i <= ENTRIES; i++) {
        assert_true(counts[i] > 0);
    }
    assert_true(refused > 0 && refused <= 32); /* without its first block it is none */
    close(fd);
    free(copy);
    free(image);
    close(directory.fd);
}

static void a_flipped_byte_is_damage_unless_nothing_follows_it(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct seen seen = {0};
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    int fd = open(in_state("redo.log"), O_WRONLY);
    size_t last_entry = 6 * TW_REDO_BLOCK; /* 1 first block, entries of 1, 1, 1, 2 and 1 */
    int whole = 0, refused = 0, shorter = 0;
    for (size_t at = 0; at < length; at++) {
        char flipped = (char)(image[at] ^ (1 << at % 8));
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        enum tumble_code code = replay(&directory, BASE, &seen, NULL);
        assert_true(seen.same);
        if (code == TUMBLE_OK && seen.count == ENTRIES) {
            whole++; /* between entries and behind them */
        } else if (code == TUMBLE_OK) {
            assert_int_equal(seen.count, ENTRIES - 1);
            assert_true(at >= last_entry && at < last_entry + TW_REDO_BLOCK);
            shorter++;
        } else {
            assert_true(code == TUMBLE_ECORRUPT || code == TUMBLE_EVERSION);
            assert_true(at < last_entry);
            refused++;
        }
        assert_int_equal(pwrite(fd, &image[at], 1, (off_t)at), 1);
    }
    assert_int_equal(shorter, TW_REDO_HEAD_BYTES + 94 + 8);
    assert_int_equal(refused, 32 + 4 * (TW_REDO_HEAD_BYTES + 8) + 90 + (TW_REDO_BLOCK - 32) + 92 + 5000);
    assert_int_equal(whole + refused + shorter, length);
    close(fd);
    free(image);
    close(directory.fd);
}

static void a_log_of_a_newer_version_is_eversion(void **state) {
    (void)state;
    struct tw_state_directory directory = directory_here();
    struct tumble_error err;
    bool present;
    struct tw_redo_log log;
    assert_int_equal(tw_redo_log_open(&log, &directory, tw_alloc_default(), &present, &err), TUMBLE_OK);
    assert_false(present);
    make_log(&directory);
    size_t length;
    char *image = read_file("redo.log", &length);
    image[4] = 2;
    image[30] ^= 1;
    write_file("redo.log", image, length);
    assert_int_equal(tw_redo_log_open(&log, &directory, tw_alloc_default(), &present, &err), TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "newer tumble"));
    free(image);
    close(directory.fd);
}

int main(void) {
#define TEST(test) cmocka_unit_test_teardown(test, remove_all)
    const struct CMUnitTest tests[] = {
        TEST(entries_come_back_in_order_and_stale_ones_do_not),
        TEST(a_log_cut_anywhere_gives_its_first_entries_or_is_refused),
        TEST(a_flipped_byte_is_damage_unless_nothing_follows_it),
        TEST(a_log_of_a_newer_version_is_eversion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
