#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/store/store.h"
#include "store/state_fixture.h"

/* Damaged files, opened with verify: ECORRUPT (or EVERSION), or the same content as before; never a crash here, never
 * other content. After an open that succeeded a write must work or fail with an error too. */

enum { KEYS = 300, PAGE = 4096 };

static char *image; /* a sound data.mdb */
static size_t image_bytes;

static struct tumble_bytes key_of(int i, char name[16]) {
    snprintf(name, 16, "key/%04d", i);
    return tumble_bytes_of(name);
}

/* Values of 1 to 20,000 bytes: in leaves and on overflow pages. */
static size_t value_of(int i, char value[20000]) {
    size_t length = i % 50 == 0 ? 20000 : (size_t)(1 + i * 7 % 700);
    memset(value, 'A' + i % 26, length);
    return length;
}

static const char *data_path(void) {
    static char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", fixture_directory());
    return path;
}

static enum tumble_code open_verified(struct tw_store **store, struct tumble_error *err) {
    struct tw_store_options options = {.directory = fixture_directory(), .verify = true, .map_bytes = 1 << 26};
    return tw_store_open(&options, store, err);
}

static int make_image(void **state) {
    (void)state;
    struct tw_store *store;
    struct tumble_error err = {0};
    char name[16], value[20000];
    assert_int_equal(open_verified(&store, &err), TUMBLE_OK);
    for (int round = 0; round < 3; round++) { /* rewriting leaves pages in the free list */
        assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
        for (int i = 0; i < KEYS; i++) {
            struct tumble_bytes bytes = {value, value_of(i, value)};
            assert_int_equal(tw_store_put(store, key_of(i, name), bytes, &err), TUMBLE_OK);
        }
        assert_int_equal(tw_store_commit(store, &err), TUMBLE_OK);
    }
    tw_store_close(store);
    FILE *file = fopen(data_path(), "rb");
    fseek(file, 0, SEEK_END);
    image_bytes = (size_t)ftell(file);
    rewind(file);
    image = malloc(image_bytes);
    assert_int_equal(fread(image, 1, image_bytes, file), image_bytes);
    fclose(file);
    return 0;
}

static int drop_image(void **state) {
    (void)state;
    free(image);
    fixture_remove();
    return 0;
}

static void write_data(const char *bytes, size_t length) {
    int fd = open(data_path(), O_WRONLY | O_TRUNC | O_CREAT, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

struct content {
    int next;
    bool same;
};

static enum tumble_code compare_key(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                    struct tumble_error *err) {
    struct content *content = ctx;
    char name[16], expected[20000];
    (void)stop;
    (void)err;
    struct tumble_bytes bytes = {expected, value_of(content->next, expected)};
    content->same = content->same && content->next < KEYS && tumble_bytes_equal(key, key_of(content->next, name)) &&
                    tumble_bytes_equal(value, bytes);
    content->next++;
    return TUMBLE_OK;
}

static enum tumble_code write_more(void *ctx, struct tw_store *store, struct tumble_error *err) {
    char value[20000];
    (void)ctx;
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "more/%d", i);
        struct tumble_bytes bytes = {value, value_of(i, value)};
        enum tumble_code code = tw_store_put(store, tumble_bytes_of(name), bytes, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    return tw_store_delete_prefix(store, tumble_bytes_of("key/00"), err);
}

/* Opens what is in the directory now. Returns whether it opened. */
static bool judge(const char *what) {
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    enum tumble_code code = open_verified(&store, &err);
    if (code != TUMBLE_OK) {
        if ((code != TUMBLE_ECORRUPT && code != TUMBLE_EVERSION) || !strstr(err.text, fixture_directory())) {
            fail_msg("%s: %s %s", what, tumble_code_name(code), err.text);
        }
        if (code == TUMBLE_ECORRUPT && !strstr(err.text, "restore it or remove it and run again")) {
            fail_msg("%s: no remedy in \"%s\"", what, err.text);
        }
        return false;
    }
    struct content content = {.same = true};
    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
    code = tw_store_scan(store, tumble_bytes_of(""), tumble_bytes_of(""), compare_key, &content, &err);
    if (code != TUMBLE_OK || !content.same || content.next != KEYS) {
        fail_msg("%s: opened, but other content (%d keys; %s)", what, content.next, err.text);
    }
    tw_store_abort(store);
    code = tw_store_write(store, write_more, NULL, &err);
    if (code != TUMBLE_OK && code != TUMBLE_ECORRUPT) {
        fail_msg("%s: the write after it: %s %s", what, tumble_code_name(code), err.text);
    }
    tw_store_close(store);
    return true;
}

static void a_sound_file_opens(void **state) {
    (void)state;
    write_data(image, image_bytes);
    assert_true(judge("sound"));
}

static void an_empty_or_missing_file_is_not_a_fresh_start(void **state) {
    (void)state;
    write_data("", 0);
    assert_false(judge("empty"));
    unlink(data_path());
    assert_false(judge("missing"));
}

static void garbage_is_refused(void **state) {
    (void)state;
    static char garbage[100000];
    for (size_t i = 0; i < sizeof garbage; i++) {
        garbage[i] = (char)(i * 2654435761u >> 24);
    }
    write_data(garbage, sizeof garbage);
    assert_false(judge("garbage"));
    write_data(garbage, 10);
    assert_false(judge("ten bytes of garbage"));
    write_data("SQLite format 3", 16);
    assert_false(judge("another format"));
}

static void a_cut_file_is_refused(void **state) {
    (void)state;
    int refused = 0, tries = 0;
    for (size_t length = 1; length < image_bytes; length += image_bytes / 40, tries++) {
        write_data(image, length);
        refused += !judge("cut");
    }
    assert_true(refused > tries / 2); /* a cut may take only free pages */
}

static void a_zeroed_page_never_crashes_or_misleads(void **state) {
    (void)state;
    char *copy = malloc(image_bytes);
    int refused = 0;
    for (size_t page = 0; page * PAGE < image_bytes; page++) {
        memcpy(copy, image, image_bytes);
        memset(copy + page * PAGE, 0, PAGE);
        write_data(copy, image_bytes);
        char what[32];
        snprintf(what, sizeof what, "page %zu zeroed", page);
        refused += !judge(what);
    }
    assert_true(refused > 0);
    free(copy);
}

/* One byte in each page, in its head (where the structure is) or anywhere. */
static void flipped_bytes_never_crash_or_mislead(void **state) {
    (void)state;
    const char *asked = getenv("TUMBLE_TEST_ROUNDS");
    long rounds = asked ? strtol(asked, NULL, 10) : 2;
    char *copy = malloc(image_bytes);
    uint64_t random = 7;
    int refused = 0;
    for (long round = 0; round < rounds; round++) {
        for (size_t page = 0; page * PAGE < image_bytes; page++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t at = (size_t)(random >> 33) % (round % 2 ? PAGE : page < 2 ? 160 : 48);
            memcpy(copy, image, image_bytes);
            copy[page * PAGE + at] = (char)(copy[page * PAGE + at] ^ (char)(1 << (random >> 30) % 8));
            write_data(copy, image_bytes);
            char what[64];
            snprintf(what, sizeof what, "page %zu, byte %zu flipped, round %ld", page, at, round);
            refused += !judge(what);
        }
    }
    assert_true(refused > 0);
    free(copy);
}

static void many_flipped_bytes_are_refused(void **state) {
    (void)state;
    char *copy = malloc(image_bytes);
    uint64_t random = 99;
    for (int round = 0; round < 10; round++) {
        memcpy(copy, image, image_bytes);
        for (size_t page = 0; page * PAGE < image_bytes; page++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            copy[page * PAGE + (size_t)(random >> 33) % PAGE] ^= 0x55;
        }
        write_data(copy, image_bytes);
        assert_false(judge("a byte in every page"));
    }
    free(copy);
}

static void another_format_of_lmdb_is_eversion(void **state) {
    (void)state;
    char *copy = malloc(image_bytes);
    memcpy(copy, image, image_bytes);
    for (size_t page = 0; page < 2; page++) { /* page header of 16 bytes, magic 4, version 4 */
        copy[page * PAGE + 20] = 2;
    }
    write_data(copy, image_bytes);
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_verified(&store, &err), TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "another version of LMDB"));
    free(copy);
}

static void a_newer_state_format_is_eversion(void **state) {
    (void)state;
    write_data(image, image_bytes);
    char path[300];
    snprintf(path, sizeof path, "%s/tumble.lock", fixture_directory());
    FILE *file = fopen(path, "w");
    fprintf(file, "tumble state 3    pid 1 made 1\n");
    fclose(file);
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    assert_int_equal(open_verified(&store, &err), TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "newer tumble"));
    unlink(path);
    assert_true(judge("without tumble.lock"));
}

static void an_unfinished_creation_is_begun_anew(void **state) {
    (void)state;
    char path[300];
    fixture_remove();
    snprintf(path, sizeof path, "%s/tumble.lock", fixture_directory());
    FILE *file = fopen(path, "w");
    fprintf(file, "tumble state 1    pid 1                    made 0\n");
    fclose(file);
    for (size_t length = 0; length < 8192; length += 4096) {
        write_data(image, length);
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        if (open_verified(&store, &err) != TUMBLE_OK) {
            fail_msg("%s", err.text);
        }
        tw_store_close(store);
        file = fopen(path, "w");
        fprintf(file, "tumble state 1    pid 1                    made 0\n");
        fclose(file);
    }
}

static void verifying_is_silent_and_leaves_no_child(void **state) {
    (void)state;
    fixture_remove();
    fixture_directory();
    static char zeros[PAGE];
    write_data(image, image_bytes);
    FILE *file = fopen(data_path(), "r+");
    for (size_t page = 2; page * PAGE < image_bytes; page++) {
        fseek(file, (long)(page * PAGE), SEEK_SET);
        fwrite(zeros, 1, PAGE, file);
    }
    fclose(file);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    struct tw_store *store = NULL;
    struct tumble_error err = {0};
    enum tumble_code code = open_verified(&store, &err);
    dup2(kept, STDERR_FILENO);
    close(ends[1]);
    close(kept);
    char said[64];
    assert_int_equal(code, TUMBLE_ECORRUPT);
    assert_int_equal(read(ends[0], said, sizeof said), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    close(ends[0]);
}

/* A long life of every size of value, of deletes, aborts and reopenings: verifying never cries wolf. */
static void a_store_in_use_always_verifies(void **state) {
    (void)state;
    fixture_remove();
    char *value = calloc(1, 120000);
    uint64_t random = 5;
    for (int round = 0; round < 40; round++) {
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        if (open_verified(&store, &err) != TUMBLE_OK) {
            fail_msg("round %d: %s", round, err.text);
        }
        for (int commit = 0; commit < 5; commit++) {
            assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK);
            for (int i = 0; i < 30; i++) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                char name[32];
                snprintf(name, sizeof name, "%.*s%d", (int)(random >> 40) % 20, "key/of/some/length/",
                         (int)(random >> 50) % 200);
                size_t size =
                    (size_t)(random >> 20) % 4 == 0 ? (size_t)(random >> 33) % 120000 : (size_t)(random >> 33) % 3000;
                struct tumble_bytes bytes = {value, size};
                enum tumble_code code = (random >> 58) % 4 == 0
                                            ? tw_store_delete(store, tumble_bytes_of(name), &err)
                                            : tw_store_put(store, tumble_bytes_of(name), bytes, &err);
                if (code == TUMBLE_EFULL) {
                    assert_int_equal(tw_store_begin(store, &err), TUMBLE_OK); /* the map grew */
                    continue;
                }
                assert_int_equal(code, TUMBLE_OK);
            }
            if (commit == 3) {
                assert_int_equal(tw_store_delete_prefix(store, tumble_bytes_of("key/of"), &err), TUMBLE_OK);
            }
            if (commit == 2) {
                tw_store_abort(store);
            } else {
                assert_int_equal(tw_store_commit(store, &err), TUMBLE_OK);
            }
        }
        tw_store_close(store);
    }
    free(value);
}

/* A reader that verifies while the writer replaces the roots as fast as it can. */
static void verifying_beside_a_busy_writer_succeeds(void **state) {
    (void)state;
    fixture_remove();
    fixture_directory();
    int ready[2], stop[2];
    assert_int_equal(pipe(ready) | pipe2(stop, O_NONBLOCK), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct tw_store *store = NULL;
        struct tumble_error err = {0};
        char value[3000] = {0}, byte;
        struct tumble_bytes bytes = {value, sizeof value};
        enum tumble_code code = open_verified(&store, &err);
        for (int n = 0; code == TUMBLE_OK && read(stop[0], &byte, 1) != 1; n++) {
            char name[32];
            snprintf(name, sizeof name, "k%d", n % 500);
            code = tw_store_begin(store, &err);
            code = code ? code : tw_store_put(store, tumble_bytes_of(name), bytes, &err);
            code = code ? code : tw_store_commit(store, &err);
            code =
                code == TUMBLE_EFULL ? TUMBLE_OK : code; /* readers hold pages back: the map grows at the next begin */
            if (n == 0 && write(ready[1], "r", 1) != 1) {
                break;
            }
        }
        tw_store_close(store);
        _exit(code == TUMBLE_OK ? 0 : 1);
    }
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    for (int i = 0; i < 12; i++) {
        struct tw_store_options options = {.directory = fixture_directory(), .verify = true, .read_only = true};
        struct tw_store *reader = NULL;
        struct tumble_error err = {0};
        enum tumble_code code = tw_store_open(&options, &reader, &err);
        if (code != TUMBLE_OK) {
            assert_int_equal(write(stop[1], "s", 1), 1);
            fail_msg("%s", err.text);
        }
        tw_store_close(reader);
    }
    int status;
    assert_int_equal(write(stop[1], "s", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]), close(ready[1]), close(stop[0]), close(stop[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_file_opens),
        cmocka_unit_test(an_empty_or_missing_file_is_not_a_fresh_start),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_cut_file_is_refused),
        cmocka_unit_test(a_zeroed_page_never_crashes_or_misleads),
        cmocka_unit_test(flipped_bytes_never_crash_or_mislead),
        cmocka_unit_test(many_flipped_bytes_are_refused),
        cmocka_unit_test(another_format_of_lmdb_is_eversion),
        cmocka_unit_test(a_newer_state_format_is_eversion),
        cmocka_unit_test(an_unfinished_creation_is_begun_anew),
        cmocka_unit_test(a_store_in_use_always_verifies),
        cmocka_unit_test(verifying_beside_a_busy_writer_succeeds),
        cmocka_unit_test(verifying_is_silent_and_leaves_no_child),
    };
    return cmocka_run_group_tests(tests, make_image, drop_image);
}
