#include "capture/capture_fixture.h"

enum { POSITION = 8192 };

/* What must be the same in a run that was broken off and gone on with. */
struct seen {
    char data[64];
    uint32_t input;
    uint64_t number;
    uint64_t line;
    uint64_t offset;
};

static void note(struct seen *seen, const struct tumble_captured *record) {
    memset(seen, 0, sizeof *seen);
    assert_true(record->data.length < sizeof seen->data);
    memcpy(seen->data, record->data.data, record->data.length);
    seen->input = record->input;
    seen->number = record->number;
    seen->line = record->line;
    seen->offset = record->offset;
}

static size_t position_of(const struct tumble_capture *capture, char text[POSITION]) {
    size_t length = tumble_capture_position(capture, text, POSITION);
    assert_true(length < POSITION);
    return length;
}

static void assert_seek(struct tumble_capture *capture, const char *position, size_t length) {
    struct tumble_bytes view = {position, length};
    struct tumble_error err;
    memset(&err, 0, sizeof err);
    enum tumble_code code = tumble_capture_seek(capture, view, &err);
    if (code != TUMBLE_OK) {
        print_error("%s: %s\n", tumble_code_name(code), err.text);
    }
    assert_int_equal(code, TUMBLE_OK);
}

/* Breaks off after every number of records, and checks that the rest is as it was. */
static void expect_resumable(char *const *paths, size_t path_count, size_t count) {
    static const size_t block_sizes[] = {64, 500, 256 * 1024};
    struct seen *all = calloc(count, sizeof *all);
    assert_non_null(all);
    struct tumble_capture_options options = options_of(paths, path_count);
    options.digest = 1;
    struct tumble_captured record;
    struct tumble_capture *whole = open_capture(&options, 4096);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(next_of(whole, &record), 1);
        note(&all[i], &record);
    }
    assert_int_equal(next_of(whole, &record), 0);
    tumble_capture_close(whole);
    for (size_t s = 0; s < sizeof block_sizes / sizeof *block_sizes; s++) {
        struct tumble_capture *running = open_capture(&options, block_sizes[s]);
        for (size_t broken = 0; broken <= count + 1; broken++) {
            char position[POSITION];
            size_t length = position_of(running, position);
            struct tumble_capture *rest = open_capture(&options, block_sizes[s]);
            assert_seek(rest, position, length);
            char again[POSITION];
            assert_int_equal(position_of(rest, again), length);
            assert_memory_equal(again, position, length);
            for (size_t i = broken; i < count; i++) {
                struct seen seen;
                assert_int_equal(next_of(rest, &record), 1);
                note(&seen, &record);
                assert_memory_equal(&seen, &all[i], sizeof seen);
            }
            assert_int_equal(next_of(rest, &record), 0);
            tumble_capture_close(rest);
            next_of(running, &record);
            tumble_capture_release(running);
        }
        tumble_capture_close(running);
    }
    free(all);
}

static void payload_inputs_resume_after_every_record(void **state) {
    (void)state;
    char *paths[4];
    paths[0] = fixture_text("\n\n{\"n\":1}\n{\"n\":2}\n\n{\"n\":3}");
    paths[1] = fixture_text("");
    paths[2] = fixture_bytes(ZSTD, "[{\"n\":4},\n{\"n\":5}]", 18);
    paths[3] = fixture_bytes(GZIP, "{\"n\":6}{\"n\":7}\n\n", 16);
    expect_resumable(paths, 4, 7);
    for (int i = 0; i < 4; i++) {
        free(paths[i]);
    }
}

static char *lambda_file(enum packing packing, const char *shard, int first, int step, int count) {
    struct text text = {NULL, 0, 0};
    for (int i = 0; i < count; i++) {
        add(&text, i % 3 == 0 ? "{\"Records\":[" : ",\n");
        add_lambda_record(&text, shard, first + i * step, ARRIVAL + first + i * step);
        add(&text, i % 3 == 2 || i == count - 1 ? "],\"state\":{\"n\":[1,2,3]}}\n{\"Records\":[]}\n\n" : "");
    }
    char *path = fixture_bytes(packing, text.data, text.length);
    free(text.data);
    return path;
}

static void one_lambda_input_resumes_after_every_record(void **state) {
    (void)state;
    char *path = lambda_file(PLAIN, "shardId-000000000000", 0, 1, 11);
    expect_resumable(&path, 1, 11);
    free(path);
}

/* Each input is read one record ahead of what was given out: the position must not be. */
static void merged_inputs_resume_after_every_record(void **state) {
    (void)state;
    char *paths[4];
    paths[0] = lambda_file(PLAIN, "shardId-000000000000", 0, 3, 7);
    paths[1] = lambda_file(GZIP, "shardId-000000000001", 1, 3, 7);
    paths[2] = fixture_text(" ");
    paths[3] = lambda_file(ZSTD, "shardId-000000000000", 2, 9, 4);
    expect_resumable(paths, 4, 18);
    for (int i = 0; i < 4; i++) {
        free(paths[i]);
    }
}

static void position_tells_the_length_it_needs(void **state) {
    (void)state;
    char *path = fixture_text("{\"n\":1}");
    struct tumble_capture_options options = options_of(&path, 1);
    options.digest = 1;
    struct tumble_capture *capture = open_capture(&options, 4096);
    char whole[POSITION];
    char part[20];
    memset(part, '#', sizeof part);
    size_t length = position_of(capture, whole);
    assert_int_equal(tumble_capture_position(capture, NULL, 0), length);
    assert_int_equal(tumble_capture_position(capture, part, 10), length);
    assert_memory_equal(part, whole, 10);
    assert_int_equal(part[10], '#');
    tumble_capture_close(capture);
    free(path);
}

static enum tumble_code seek_other(char *const *paths, size_t count, const char *position, size_t length,
                                   struct tumble_error *err) {
    struct tumble_capture_options options = options_of(paths, count);
    options.digest = 1;
    struct tumble_capture *capture = open_capture(&options, 64);
    struct tumble_bytes view = {position, length};
    memset(err, 0, sizeof *err);
    enum tumble_code code = tumble_capture_seek(capture, view, err);
    tumble_capture_close(capture);
    return code;
}

static void overwrite(const char *path, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void seek_refuses_other_inputs_and_names_the_first_difference(void **state) {
    (void)state;
    char *paths[3];
    paths[0] = fixture_text("{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    paths[1] = fixture_text("{\"n\":4}\n");
    paths[2] = fixture_text("{\"n\":4}\n");
    struct tumble_capture_options options = options_of(paths, 2);
    options.digest = 1;
    struct tumble_capture *capture = open_capture(&options, 64);
    struct tumble_captured record;
    next_of(capture, &record);
    next_of(capture, &record);
    char position[POSITION];
    size_t length = position_of(capture, position);
    tumble_capture_close(capture);
    struct tumble_error err;
    assert_int_equal(seek_other(paths, 2, position, length, &err), TUMBLE_OK);
    assert_int_equal(seek_other(paths, 1, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "more inputs"));
    assert_int_equal(seek_other(paths, 3, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "without this input"));
    char *swapped[] = {paths[0], paths[2]};
    assert_int_equal(seek_other(swapped, 2, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "input 2 is"));
    overwrite(paths[0], "{\"n\":1}\n{\"n\":7}\n{\"n\":3}\n"); /* before the position */
    assert_int_equal(seek_other(paths, 2, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "does not begin with the bytes this state was made from"));
    assert_non_null(strstr(err.text, paths[0]));
    overwrite(paths[0], "{\"n\":1}\n{\"n\":2}\n{\"n\":9}\n"); /* behind it: not read yet */
    assert_int_equal(seek_other(paths, 2, position, length, &err), TUMBLE_OK);
    overwrite(paths[0], "{\"n\":1}\n{\"n\":2}\n");
    assert_int_equal(seek_other(paths, 2, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "16 bytes"));
    overwrite(paths[0], "[{\"n\":1},{\"n\":2},{\"n\":3}]"); /* another format comes first */
    assert_int_equal(seek_other(paths, 2, position, length, &err), TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "array"));
    for (int i = 0; i < 3; i++) {
        free(paths[i]);
    }
}

/* Whatever is done to the recorded text: an error, or a place that the bytes confirm, never a crash. */
static void seek_survives_damaged_positions(void **state) {
    (void)state;
    char *path = fixture_text("{\"n\":1}\n{\"n\":2}\n");
    struct tumble_capture_options options = options_of(&path, 1);
    options.digest = 1;
    struct tumble_capture *capture = open_capture(&options, 64);
    struct tumble_captured record;
    next_of(capture, &record);
    char position[POSITION];
    size_t length = position_of(capture, position);
    tumble_capture_close(capture);
    struct tumble_error err;
    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(seek_other(&path, 1, position, cut, &err), TUMBLE_ECORRUPT);
    }
    for (size_t at = 0; at < length; at++) {
        static const char replacements[] = "\"9{]x";
        for (size_t r = 0; replacements[r]; r++) {
            char damaged[POSITION];
            memcpy(damaged, position, length);
            damaged[at] = replacements[r];
            enum tumble_code code = seek_other(&path, 1, damaged, length, &err);
            assert_true(code == TUMBLE_OK || code == TUMBLE_ECORRUPT || code == TUMBLE_EMISMATCH);
        }
    }
    free(path);
}

static void seek_wants_digests_and_comes_first(void **state) {
    (void)state;
    char *path = fixture_text("{\"n\":1}\n{\"n\":2}\n");
    struct tumble_capture_options options = options_of(&path, 1);
    struct tumble_capture *capture = open_capture(&options, 64);
    assert_int_equal(tumble_capture_seek(capture, tumble_bytes_of("{}"), NULL), TUMBLE_EINVAL);
    tumble_capture_close(capture);
    options.digest = 1;
    capture = open_capture(&options, 64);
    struct tumble_captured record;
    next_of(capture, &record);
    assert_int_equal(tumble_capture_seek(capture, tumble_bytes_of("{}"), NULL), TUMBLE_EINVAL);
    tumble_capture_close(capture);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_inputs_resume_after_every_record),
        cmocka_unit_test(one_lambda_input_resumes_after_every_record),
        cmocka_unit_test(merged_inputs_resume_after_every_record),
        cmocka_unit_test(position_tells_the_length_it_needs),
        cmocka_unit_test(seek_refuses_other_inputs_and_names_the_first_difference),
        cmocka_unit_test(seek_survives_damaged_positions),
        cmocka_unit_test(seek_wants_digests_and_comes_first),
    };
    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
