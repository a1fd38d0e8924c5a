#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/store/store.h"

#define DIGEST 0x1122334455667788u

static void make(struct tw_buf *buf, enum tw_frame_kind kind, uint64_t digest, const char *payload) {
    size_t mark;
    assert_int_equal(tw_frame_begin(buf, kind, digest, &mark), TUMBLE_OK);
    assert_int_equal(tw_buf_append_text(buf, payload), TUMBLE_OK);
    assert_int_equal(tw_frame_seal(buf, mark), TUMBLE_OK);
}

static void a_frame_gives_its_payload_back(void **state) {
    (void)state;
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    tw_buf_append_text(&buf, "before ");
    make(&buf, TW_FRAME_DELTA, DIGEST, "the payload");
    struct tumble_bytes frame = {buf.data + 7, buf.length - 7}, payload;
    assert_int_equal(frame.length, 24 + 11 + 8);
    assert_int_equal(tw_frame_open(frame, TW_FRAME_DELTA, DIGEST, "x", &payload, NULL), TUMBLE_OK);
    assert_true(tumble_bytes_equal(payload, tumble_bytes_of("the payload")));
    assert_int_equal(tw_frame_open(frame, TW_FRAME_DELTA, 0, "x", &payload, NULL), TUMBLE_OK);
    tw_buf_clear(&buf);
    make(&buf, TW_FRAME_META, 0, "");
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_META, 0, "x", &payload, NULL), TUMBLE_OK);
    assert_int_equal(payload.length, 0);
    tw_buf_clean_up(&buf);
}

static void another_spec_and_another_kind_are_refused_by_name(void **state) {
    (void)state;
    struct tw_buf buf;
    struct tumble_bytes payload;
    struct tumble_error err = {0};
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    make(&buf, TW_FRAME_DELTA, DIGEST, "p");
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_DELTA, 5, "the delta of w", &payload, &err),
                     TUMBLE_EMISMATCH);
    assert_non_null(strstr(err.text, "the delta of w belongs to another spec"));
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_SNAPSHOT, DIGEST, "w", &payload, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "a delta frame (kind 2) where a snapshot frame belongs"));
    tw_buf_clean_up(&buf);
}

/* Not "damaged": the state is whole, and who made it can still deliver it. */
static void rows_of_early_versions_are_refused_by_name(void **state) {
    (void)state;
    struct tw_buf buf;
    struct tumble_bytes payload;
    struct tumble_error err = {0};
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    make(&buf, (enum tw_frame_kind)12, DIGEST, "p");
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_ROWS, DIGEST, "a chunk of rows", &payload, &err),
                     TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "a chunk of rows was written by an early development version"));
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_NOTE, DIGEST, "w", &payload, &err), TUMBLE_ECORRUPT);
    tw_buf_clear(&buf);
    make(&buf, TW_FRAME_NOTE, DIGEST, "p");
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_ROWS, DIGEST, "w", &payload, &err), TUMBLE_ECORRUPT);
    assert_non_null(strstr(err.text, "a note frame (kind 7) where a rows frame belongs"));
    tw_buf_clean_up(&buf);
}

static void a_newer_version_is_eversion_and_says_what_to_do(void **state) {
    (void)state;
    struct tw_buf buf;
    struct tumble_bytes payload;
    struct tumble_error err = {0};
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    make(&buf, TW_FRAME_DELTA, DIGEST, "p");
    buf.data[4] = 2;
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_DELTA, DIGEST, "w", &payload, &err), TUMBLE_EVERSION);
    assert_non_null(strstr(err.text, "written by a newer tumble"));
    assert_non_null(strstr(err.text, "use that version or a fresh --state"));
    buf.data[4] = 0;
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_DELTA, DIGEST, "w", &payload, &err), TUMBLE_ECORRUPT);
    tw_buf_clean_up(&buf);
}

static void every_cut_and_every_flipped_bit_is_refused(void **state) {
    (void)state;
    struct tw_buf buf;
    struct tumble_bytes payload;
    tw_buf_init(&buf, tw_alloc_default(), 1000);
    make(&buf, TW_FRAME_SNAPSHOT, DIGEST, "some payload of a frame");
    for (size_t length = 0; length < buf.length; length++) {
        char *exact = malloc(length + 1); /* the sanitizer sees a read past it */
        exact = realloc(exact, length ? length : 1);
        memcpy(exact, buf.data, length);
        struct tumble_bytes cut = {exact, length};
        assert_int_equal(tw_frame_open(cut, TW_FRAME_SNAPSHOT, DIGEST, "w", &payload, NULL), TUMBLE_ECORRUPT);
        free(exact);
    }
    for (size_t bit = 0; bit < buf.length * 8; bit++) {
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
        enum tumble_code code = tw_frame_open(tw_buf_view(&buf), TW_FRAME_SNAPSHOT, DIGEST, "w", &payload, NULL);
        assert_true(code == TUMBLE_ECORRUPT || (code == TUMBLE_EVERSION && bit / 8 >= 4 && bit / 8 < 6));
        buf.data[bit / 8] = (char)(buf.data[bit / 8] ^ (1 << bit % 8));
    }
    tw_buf_append_byte(&buf, 'x');
    assert_int_equal(tw_frame_open(tw_buf_view(&buf), TW_FRAME_SNAPSHOT, DIGEST, "w", &payload, NULL), TUMBLE_ECORRUPT);
    tw_buf_clean_up(&buf);
}

static void a_buffer_without_room_is_an_error(void **state) {
    (void)state;
    struct tw_buf buf;
    size_t mark;
    tw_buf_init(&buf, tw_alloc_default(), 20);
    assert_int_equal(tw_frame_begin(&buf, TW_FRAME_META, 0, &mark), TUMBLE_ELIMIT);
    tw_buf_clean_up(&buf);
    tw_buf_init(&buf, tw_alloc_default(), 26);
    assert_int_equal(tw_frame_begin(&buf, TW_FRAME_META, 0, &mark), TUMBLE_OK);
    assert_int_equal(tw_frame_seal(&buf, mark), TUMBLE_ELIMIT);
    assert_int_equal(tw_frame_seal(&buf, 25), TUMBLE_EINVAL);
    tw_buf_clean_up(&buf);
}

/* What release 1 wrote, byte for byte: one frame of each kind. It must be read for ever, and written the same. */
static void recorded_frames_of_version_1_are_read_and_written_the_same(void **state) {
    (void)state;
    static const char *const names[] = {"snapshot", "delta",  "window",  "outbox", "meta",  "counters",
                                        "note",     "cursor", "shard",   "state",  "spill", "rows",
                                        "fragment", "chunk",  "touched", "closed", "brief"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        char path[100], recorded[200], payload[64];
        snprintf(path, sizeof path, "golden/frames/v1_%s.bin", names[i]);
        snprintf(payload, sizeof payload, "payload of a %s frame", names[i]);
        FILE *file = fopen(path, "rb");
        if (!file) {
            fail_msg("%s is missing: run from tests/", path);
        }
        size_t length = fread(recorded, 1, sizeof recorded, file);
        fclose(file);
        struct tumble_bytes bytes = {recorded, length}, got;
        enum tw_frame_kind kind = (enum tw_frame_kind)(i + 1);
        assert_int_equal(tw_frame_open(bytes, kind, DIGEST, path, &got, NULL), TUMBLE_OK);
        assert_true(tumble_bytes_equal(got, tumble_bytes_of(payload)));
        struct tw_buf buf;
        tw_buf_init(&buf, tw_alloc_default(), 1000);
        make(&buf, kind, DIGEST, payload);
        assert_true(tumble_bytes_equal(bytes, tw_buf_view(&buf)));
        tw_buf_clean_up(&buf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_gives_its_payload_back),
        cmocka_unit_test(another_spec_and_another_kind_are_refused_by_name),
        cmocka_unit_test(rows_of_early_versions_are_refused_by_name),
        cmocka_unit_test(a_newer_version_is_eversion_and_says_what_to_do),
        cmocka_unit_test(every_cut_and_every_flipped_bit_is_refused),
        cmocka_unit_test(a_buffer_without_room_is_an_error),
        cmocka_unit_test(recorded_frames_of_version_1_are_read_and_written_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
