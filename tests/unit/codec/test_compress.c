#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "engine/codec/compress.h"

enum { PLAIN = 300000, ROOM = 1 << 20 };

static char plain[PLAIN]; /* half compresses well, half not at all */
static char packed[ROOM];
static char out[ROOM];

static int make_plain(void **state) {
    (void)state;
    uint64_t random = 1;
    for (size_t i = 0; i < PLAIN; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        plain[i] = i < PLAIN / 2 ? (char)('a' + i % 7) : (char)(random >> 56);
    }
    return 0;
}

static size_t pack_gzip(const char *data, size_t length, char *to) {
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)length;
    z.next_out = (Bytef *)to;
    z.avail_out = ROOM / 2;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t size = z.total_out;
    deflateEnd(&z);
    return size;
}

static size_t pack_zstd(const char *data, size_t length, char *to) {
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    size_t size = ZSTD_compress2(z, to, ROOM / 2, data, length);
    ZSTD_freeCCtx(z);
    assert_false(ZSTD_isError(size));
    return size;
}

static size_t pack(enum tw_compression kind, const char *data, size_t length, char *to) {
    return kind == TW_COMPRESSION_GZIP ? pack_gzip(data, length, to) : pack_zstd(data, length, to);
}

/* Unpacks all, giving in_step bytes at a time (each from a block of its own: the sanitizer sees a read past it) into
 * out_step bytes of room. */
static enum tumble_code unpack(enum tw_compression kind, const char *data, size_t length, size_t in_step,
                               size_t out_step, size_t *total, struct tumble_error *err) {
    struct tw_decompressor *d = NULL;
    struct tumble_alloc none = {0};
    *total = 0;
    assert_int_equal(tw_decompressor_new(kind, none, &d, err), TUMBLE_OK);
    enum tumble_code code = TUMBLE_OK;
    size_t at = 0;
    for (;;) {
        size_t give = length - at < in_step ? length - at : in_step, written;
        char *exact = malloc(give ? give : 1);
        memcpy(exact, data + at, give);
        struct tumble_bytes in = {exact, give};
        size_t room = ROOM - *total < out_step ? ROOM - *total : out_step;
        code = tw_decompress(d, &in, at + give == length, out + *total, room, &written, err);
        assert_true(written <= room && in.length <= give);
        at += give - in.length;
        *total += written;
        free(exact);
        if (code != TUMBLE_OK) {
            struct tumble_error again = {0};
            struct tumble_bytes rest = {data + at, length - at};
            assert_int_equal(tw_decompress(d, &rest, 1, out, 1, &written, &again), code); /* broken stays broken */
            assert_int_equal(written, 0);
            break;
        }
        if (at == length && written == 0) {
            break;
        }
        assert_true(written > 0 || in.length < give);
    }
    tw_decompressor_destroy(d);
    return code;
}

static void expect_plain(size_t total, size_t copies) {
    assert_int_equal(total, copies * PLAIN);
    for (size_t i = 0; i < copies; i++) {
        assert_memory_equal(out + i * PLAIN, plain, PLAIN);
    }
}

static enum tw_compression kind_of(void **state) { return *(const enum tw_compression *)*state; }

static void any_steps_give_the_same_bytes(void **state) {
    size_t length = pack(kind_of(state), plain, PLAIN, packed), total;
    static const size_t steps[][2] = {{ROOM, ROOM}, {1000, 1000}, {7, ROOM}, {ROOM, 999}, {1, 65536}, {4096, 3}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct tumble_error err = {0};
        assert_int_equal(unpack(kind_of(state), packed, length, steps[i][0], steps[i][1], &total, &err), TUMBLE_OK);
        expect_plain(total, 1);
    }
}

static void members_and_frames_in_a_row_are_one_stream(void **state) {
    size_t first = pack(kind_of(state), plain, PLAIN, packed), total;
    size_t empty = pack(kind_of(state), "", 0, packed + first);
    size_t last = pack(kind_of(state), plain, PLAIN, packed + first + empty);
    struct tumble_error err = {0};
    static const size_t steps[] = {1, 100, ROOM};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(unpack(kind_of(state), packed, first + empty + last, steps[i], ROOM, &total, &err), TUMBLE_OK);
        expect_plain(total, 2);
    }
}

static void an_empty_member_is_no_bytes(void **state) {
    struct tumble_error err = {0};
    size_t length = pack(kind_of(state), "", 0, packed), total;
    assert_int_equal(unpack(kind_of(state), packed, length, ROOM, ROOM, &total, &err), TUMBLE_OK);
    assert_int_equal(total, 0);
}

static void every_cut_is_an_error_with_its_offset(void **state) {
    size_t length = pack(kind_of(state), plain, 2000, packed), total;
    for (size_t cut = 0; cut < length; cut++) {
        struct tumble_error err = {0};
        assert_int_equal(unpack(kind_of(state), packed, cut, 64, ROOM, &total, &err), TUMBLE_ECOMPRESS);
        assert_int_equal(err.byte, cut);
        assert_non_null(strstr(err.text, "truncated"));
        assert_true(total <= 2000);
    }
}

static void bytes_after_the_end_are_an_error_with_their_offset(void **state) {
    size_t length = pack(kind_of(state), plain, 2000, packed), total;
    static const char *const after[] = {"garbage", "\n", "\x1f\x8c", "\x28\xb5\x2f\xfe rest", "{\"a\":1}"};
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        struct tumble_error err = {0};
        memcpy(packed + length, after[i], strlen(after[i]));
        assert_int_equal(unpack(kind_of(state), packed, length + strlen(after[i]), ROOM, ROOM, &total, &err),
                         TUMBLE_ECOMPRESS);
        assert_in_range(err.byte, length, length + strlen(after[i]));
        assert_int_equal(total, 2000);
    }
}

/* Both formats end in a checksum of the content: no flipped bit may pass with other bytes. */
static void no_flipped_bit_gives_other_bytes(void **state) {
    size_t length = pack(kind_of(state), plain, 500, packed), total;
    int refused = 0;
    for (size_t bit = 0; bit < length * 8; bit++) {
        struct tumble_error err = {0};
        packed[bit / 8] = (char)(packed[bit / 8] ^ (1 << bit % 8));
        enum tumble_code code = unpack(kind_of(state), packed, length, ROOM, ROOM, &total, &err);
        packed[bit / 8] = (char)(packed[bit / 8] ^ (1 << bit % 8));
        if (code == TUMBLE_OK) { /* the header's time, system and flags, or a skippable frame */
            assert_true(total == 0 || (total == 500 && memcmp(out, plain, 500) == 0));
        } else {
            assert_int_equal(code, TUMBLE_ECOMPRESS);
            assert_true(err.byte >= 0 && (size_t)err.byte <= length);
            refused++;
        }
    }
    assert_true(refused > (int)(length * 6));
}

static void skippable_frames_are_skipped(void **state) {
    (void)state;
    static const char skippable[] = "\x53\x2a\x4d\x18\x05\x00\x00\x00hello";
    size_t total, at = sizeof skippable - 1;
    struct tumble_error err = {0};
    memcpy(packed, skippable, at);
    at += pack_zstd(plain, PLAIN, packed + at);
    memcpy(packed + at, skippable, sizeof skippable - 1);
    at += sizeof skippable - 1;
    struct tumble_bytes head = {packed, 8};
    assert_int_equal(tw_compression_of(head), TW_COMPRESSION_ZSTD);
    for (size_t step = 1; step < ROOM; step *= 64) {
        assert_int_equal(unpack(TW_COMPRESSION_ZSTD, packed, at, step, ROOM, &total, &err), TUMBLE_OK);
        expect_plain(total, 1);
    }
}

/* A header that asks for a window of 2^41 bytes: refused before anything is allocated for it. */
static void a_hostile_window_is_refused(void **state) {
    (void)state;
    static const char frame[] = "\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00";
    static const char over[] = "\x28\xb5\x2f\xfd\x00\x90\x01\x00\x00"; /* 2^28: just over the cap */
    size_t total;
    struct tumble_error err = {0};
    assert_int_equal(unpack(TW_COMPRESSION_ZSTD, frame, sizeof frame - 1, ROOM, ROOM, &total, &err), TUMBLE_ECOMPRESS);
    assert_int_equal(unpack(TW_COMPRESSION_ZSTD, over, sizeof over - 1, ROOM, ROOM, &total, &err), TUMBLE_ECOMPRESS);
    assert_non_null(strstr(err.text, "128 MiB"));
}

static void magic_numbers_tell_the_compression(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        enum tw_compression kind;
    } cases[] = {{"\x1f\x8b\x08", TW_COMPRESSION_GZIP},
                 {"\x1f\x8b", TW_COMPRESSION_GZIP},
                 {"\x1f", TW_COMPRESSION_NONE},
                 {"\x28\xb5\x2f\xfd", TW_COMPRESSION_ZSTD},
                 {"\x28\xb5\x2f", TW_COMPRESSION_NONE},
                 {"\x5f\x2a\x4d\x18", TW_COMPRESSION_ZSTD},
                 {"\x60\x2a\x4d\x18", TW_COMPRESSION_NONE},
                 {"{\"a\":1}", TW_COMPRESSION_NONE},
                 {"", TW_COMPRESSION_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tw_compression_of(tumble_bytes_of(cases[i].bytes)), cases[i].kind);
    }
}

static void no_compression_copies(void **state) {
    (void)state;
    size_t total;
    struct tumble_error err = {0};
    assert_int_equal(unpack(TW_COMPRESSION_NONE, plain, PLAIN, 1000, 77, &total, &err), TUMBLE_OK);
    expect_plain(total, 1);
}

struct failing {
    int calls;
    int fail_at;
    int alive;
};

static void *failing_alloc(void *ctx, size_t size) {
    struct failing *failing = ctx;
    if (++failing->calls == failing->fail_at) {
        return NULL;
    }
    failing->alive++;
    return malloc(size);
}

static void *failing_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)old_size;
    return realloc(pointer, new_size);
}

static void failing_release(void *ctx, void *pointer) {
    ((struct failing *)ctx)->alive--;
    free(pointer);
}

static void any_failed_allocation_is_enomem(void **state) {
    size_t length = pack(kind_of(state), plain, PLAIN, packed);
    for (int fail_at = 1;; fail_at++) {
        struct failing failing = {.fail_at = fail_at};
        struct tumble_alloc alloc = {failing_alloc, failing_resize, failing_release, &failing};
        struct tw_decompressor *d = NULL;
        struct tumble_error err = {0};
        struct tumble_bytes in = {packed, length};
        size_t written;
        enum tumble_code code = tw_decompressor_new(kind_of(state), alloc, &d, &err);
        for (int part = 0; part < 4 && code == TUMBLE_OK; part++) {
            code = tw_decompress(d, &in, 1, out, PLAIN / 3, &written, &err);
        }
        tw_decompressor_destroy(d);
        assert_int_equal(failing.alive, 0);
        if (failing.calls < fail_at) {
            assert_int_equal(code, TUMBLE_OK);
            break;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
    }
    tw_decompressor_destroy(NULL);
}

int main(void) {
    static const enum tw_compression gzip = TW_COMPRESSION_GZIP, zstd = TW_COMPRESSION_ZSTD;
#define BOTH(test)                                                                                                     \
    {"gzip: " #test, test, NULL, NULL, (void *)(uintptr_t)&gzip}, {                                                    \
        "zstd: " #test, test, NULL, NULL, (void *)(uintptr_t)&zstd                                                     \
    }
    const struct CMUnitTest tests[] = {
        BOTH(any_steps_give_the_same_bytes),
        BOTH(members_and_frames_in_a_row_are_one_stream),
        BOTH(an_empty_member_is_no_bytes),
        BOTH(every_cut_is_an_error_with_its_offset),
        BOTH(bytes_after_the_end_are_an_error_with_their_offset),
        BOTH(no_flipped_bit_gives_other_bytes),
        BOTH(any_failed_allocation_is_enomem),
        cmocka_unit_test(skippable_frames_are_skipped),
        cmocka_unit_test(a_hostile_window_is_refused),
        cmocka_unit_test(magic_numbers_tell_the_compression),
        cmocka_unit_test(no_compression_copies),
    };
    return cmocka_run_group_tests(tests, make_plain, NULL);
}
