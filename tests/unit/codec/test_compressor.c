#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counting_alloc.h"
#include "engine/codec/compressor.h"

enum { PLAIN = 400000 };
static char plain[PLAIN]; /* half compresses well, half not at all */
static char back[PLAIN + 1];
static const struct tumble_alloc libc;

static int make_plain(void **state) {
    (void)state;
    uint64_t random = 1;
    for (size_t i = 0; i < PLAIN; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        plain[i] = i < PLAIN / 2 ? (char)('a' + i % 7) : (char)(random >> 56);
    }
    return 0;
}

static struct tw_buf packed_by(enum tw_compression kind, size_t length, size_t step) {
    struct tw_compressor *c;
    struct tw_buf out;
    tw_buf_init(&out, tw_alloc_default(), SIZE_MAX / 4);
    assert_int_equal(tw_compressor_new(kind, libc, &c, NULL), TUMBLE_OK);
    for (size_t at = 0; at < length; at += step) {
        struct tumble_bytes part = {plain + at, length - at < step ? length - at : step};
        assert_int_equal(tw_compress(c, part, &out, NULL), TUMBLE_OK);
    }
    assert_int_equal(tw_compress_end(c, &out, NULL), TUMBLE_OK);
    tw_compressor_destroy(c);
    return out;
}

static void unpack(enum tw_compression kind, struct tumble_bytes in, size_t wanted) {
    struct tw_decompressor *d;
    size_t total = 0, written = 1;
    assert_int_equal(tw_decompressor_new(kind, libc, &d, NULL), TUMBLE_OK);
    while (in.length > 0 || written > 0) {
        assert_int_equal(tw_decompress(d, &in, 1, back + total, sizeof back - total, &written, NULL), TUMBLE_OK);
        total += written;
    }
    tw_decompressor_destroy(d);
    assert_int_equal(total, wanted);
    assert_memory_equal(back, plain, wanted);
}

static const enum tw_compression kinds[] = {TW_COMPRESSION_NONE, TW_COMPRESSION_GZIP, TW_COMPRESSION_ZSTD};

static void what_was_compressed_comes_back(void **state) {
    (void)state;
    static const size_t lengths[] = {0, 1, 1000, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, PLAIN};
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct tw_buf out = packed_by(kinds[k], lengths[i], 10000);
            if (lengths[i] > 0) {
                assert_true(kinds[k] == TW_COMPRESSION_NONE || tw_compression_of(tw_buf_view(&out)) == kinds[k]);
                unpack(kinds[k], tw_buf_view(&out), lengths[i]);
            }
            tw_buf_clean_up(&out);
        }
    }
}

static void bytes_do_not_depend_on_the_cuts(void **state) {
    (void)state;
    static const size_t steps[] = {7, 4096, 65536, 70001};
    for (size_t k = 0; k < 3; k++) {
        struct tw_buf whole = packed_by(kinds[k], PLAIN, PLAIN);
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct tw_buf cut = packed_by(kinds[k], PLAIN, steps[i]);
            assert_int_equal(cut.length, whole.length);
            assert_memory_equal(cut.data, whole.data, whole.length);
            tw_buf_clean_up(&cut);
        }
        tw_buf_clean_up(&whole);
    }
}

static void a_gzip_header_has_no_time_and_no_system(void **state) {
    (void)state;
    struct tw_buf out = packed_by(TW_COMPRESSION_GZIP, 100, 100);
    assert_memory_equal(out.data, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    tw_buf_clean_up(&out);
}

static void a_compressor_begins_anew_after_its_end_and_on_demand(void **state) {
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct tw_buf once = packed_by(kinds[k], 90000, 90000);
        struct tw_compressor *c;
        struct tw_buf out;
        tw_buf_init(&out, tw_alloc_default(), SIZE_MAX / 4);
        assert_int_equal(tw_compressor_new(kinds[k], libc, &c, NULL), TUMBLE_OK);
        for (int round = 0; round < 3; round++) {
            struct tumble_bytes part = {plain, 90000};
            tw_buf_clear(&out);
            assert_int_equal(tw_compress(c, part, &out, NULL), TUMBLE_OK);
            if (round == 0) { /* given up half way */
                tw_compress_begin(c);
                continue;
            }
            assert_int_equal(tw_compress_end(c, &out, NULL), TUMBLE_OK);
            assert_int_equal(out.length, once.length);
            assert_memory_equal(out.data, once.data, once.length);
        }
        tw_compressor_destroy(c);
        tw_buf_clean_up(&out);
        tw_buf_clean_up(&once);
    }
}

static void no_memory_and_no_room_are_errors(void **state) {
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        struct counting_alloc count = {.fail_at = 1};
        struct tw_compressor *c;
        struct tumble_error err;
        assert_int_equal(tw_compressor_new(kinds[k], counting_alloc_of(&count), &c, &err), TUMBLE_ENOMEM);
        assert_null(c);
        assert_int_equal(count.live, 0);
        struct tw_buf out;
        struct tumble_bytes all = {plain, PLAIN};
        tw_buf_init(&out, tw_alloc_default(), 1000);
        assert_int_equal(tw_compressor_new(kinds[k], libc, &c, &err), TUMBLE_OK);
        assert_int_equal(tw_compress(c, all, &out, &err), TUMBLE_ELIMIT);
        tw_compressor_destroy(c);
        tw_buf_clean_up(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_compressed_comes_back),
        cmocka_unit_test(bytes_do_not_depend_on_the_cuts),
        cmocka_unit_test(a_gzip_header_has_no_time_and_no_system),
        cmocka_unit_test(a_compressor_begins_anew_after_its_end_and_on_demand),
        cmocka_unit_test(no_memory_and_no_room_are_errors),
    };
    return cmocka_run_group_tests(tests, make_plain, NULL);
}
