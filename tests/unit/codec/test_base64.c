#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "codec/guarded.h"
#include "engine/codec/base64.h"
#include "engine/codec/cpu.h"

static void the_vectors_of_rfc_4648_encode_and_decode(void **state) {
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"},
                                             {"\xfb\xff\xbf", "+/+/"},
                                             {"Hello, this is a test.", "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg=="}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct tumble_bytes bytes = tumble_bytes_of(vectors[i][0]);
        struct tumble_bytes text = tumble_bytes_of(vectors[i][1]);
        char out[64];
        size_t length = 99;
        assert_int_equal(tw_base64_encoded_length(bytes.length), text.length);
        tw_base64_encode(bytes, out);
        assert_true(tumble_bytes_equal((struct tumble_bytes){out, text.length}, text));
        assert_int_equal(tw_base64_decode(text, out, &length, NULL), TUMBLE_OK);
        assert_true(tumble_bytes_equal((struct tumble_bytes){out, length}, bytes));
    }
}

static void random_bytes_come_back_also_in_place(void **state) {
    (void)state;
    uint64_t random = 3;
    for (size_t length = 0; length < 400; length++) {
        char bytes[400];
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (char)next_random(&random);
        }
        size_t encoded = tw_base64_encoded_length(length);
        char *text = malloc(encoded + 1);
        char *out = malloc(encoded / 4 * 3 + 1); /* of exactly the size that decoding may write, and one */
        size_t got = 0;
        assert_non_null(text);
        assert_non_null(out);
        tw_base64_encode((struct tumble_bytes){bytes, length}, text);
        out[encoded / 4 * 3] = 'z';
        assert_int_equal(tw_base64_decode((struct tumble_bytes){text, encoded}, out, &got, NULL), TUMBLE_OK);
        assert_true(tumble_bytes_equal((struct tumble_bytes){out, got}, (struct tumble_bytes){bytes, length}));
        assert_int_equal(out[encoded / 4 * 3], 'z');
        assert_int_equal(tw_base64_decode((struct tumble_bytes){text, encoded}, text, &got, NULL), TUMBLE_OK);
        assert_true(tumble_bytes_equal((struct tumble_bytes){text, got}, (struct tumble_bytes){bytes, length}));
        free(out);
        free(text);
    }
}

static void malformed_text_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int byte;
        const char *why;
    } cases[] = {
        {"Z", 1, "not a multiple of 4"},
        {"Zg", 2, "not a multiple of 4"},
        {"Zg=", 2, "padding '=' where it does not belong"},
        {"Zm9vY", 5, "not a multiple of 4"},
        {"Zm9vY!", 5, "'!' is not of the alphabet"},
        {"====", 0, "padding"},
        {"Z===", 1, "padding"},
        {"Zg==Zg==", 2, "padding"},
        {"Z=g=", 1, "padding"},
        {"=Zg=", 0, "padding"},
        {"Zg=g", 2, "padding"},
        {"Zh==", 1, "unused bits of 'h'"},
        {"Zm9=", 2, "unused bits of '9'"},
        {"Zm9v Zm9", 4, "byte 0x20 is not of the alphabet"},
        {"Zm9v\nZm9vZm8", 4, "byte 0x0a is not of the alphabet"},
        {"Zm-v", 2, "URL-safe alphabet"},
        {"Zm_v", 2, "URL-safe alphabet"},
        {"Zm9vZm9vZm9vZm9vZm9vZm9\x80", 23, "byte 0x80 is not of the alphabet"},
        {"Zm9vZm9vZm9v*m9vZm9vZm9v", 12, "'*' is not of the alphabet"},
        {"Zm9vZm9vZm9v\\/9vZm9vZm9v", 12, "'\\' is not of the alphabet"},
        {"Zm9vZm9vZm9vZm9=Zm9vZm9v", 15, "padding"},
        {"!g==", 0, "'!'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_error err = {.byte = -1};
        char out[32];
        size_t length = 0;
        enum tumble_code code = tw_base64_decode(tumble_bytes_of(cases[i].text), out, &length, &err);
        if (code != TUMBLE_EBASE64 || err.byte != cases[i].byte || !strstr(err.text, cases[i].why)) {
            fail_msg("%s: %s at %d: %s", cases[i].text, tumble_code_name(code), (int)err.byte, err.text);
        }
    }
}

static void every_byte_outside_the_alphabet_is_refused_at_every_place(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 40; place++) {
            char text[40];
            char out[30];
            size_t length = 0;
            struct tumble_error err = {.byte = -1};
            memset(text, 'A', sizeof text);
            text[place] = (char)byte;
            bool good = byte != 0 && strchr(alphabet, byte);
            bool padding = byte == '=' && place == 39;
            enum tumble_code code = tw_base64_decode((struct tumble_bytes){text, sizeof text}, out, &length, &err);
            if (good || padding) {
                assert_int_equal(code, TUMBLE_OK);
                assert_int_equal(length, padding ? 29 : 30);
            } else {
                assert_int_equal(code, TUMBLE_EBASE64);
                assert_int_equal(err.byte, place);
            }
        }
    }
}

/* The first is what this machine chooses. */
static void all_decoders_give_the_same_result_and_error(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t random = 11;
    size_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        char text[208];
        size_t length = random_below(&random, sizeof text + 1);
        for (size_t i = 0; i < length; i++) {
            text[i] = alphabet[random_below(&random, 64)];
        }
        for (size_t faults = random_below(&random, 4); faults > 1 && length > 0; faults--) {
            text[random_below(&random, length)] = (char)random_below(&random, 256);
        }
        for (size_t padding = random_below(&random, 4); padding > 1 && length >= padding; padding--) {
            text[length + 1 - padding] = '=';
        }
        char *in[2] = {exact_copy(text, length), exact_copy(text, length)};
        char *out = exact_copy(text, length / 4 * 3);
        size_t written[3] = {0, 0, 0};
        struct tumble_error err[3] = {{.byte = -1}, {.byte = -1}, {.byte = -1}};
        struct tumble_bytes view = {text, length};
        enum tumble_code code = tw_base64_decode((struct tumble_bytes){in[0], length}, out, &written[0], &err[0]);
        assert_int_equal(tw_base64_decode((struct tumble_bytes){in[0], length}, in[0], &written[1], &err[1]), code);
        char portable[sizeof text];
        assert_int_equal(tw_base64_decode_portable(view, portable, &written[2], &err[2]), code);
        if (code == TUMBLE_OK) {
            assert_int_equal(written[0], written[2]);
            assert_int_equal(written[1], written[2]);
            assert_memory_equal(out, portable, written[2]);
            assert_memory_equal(in[0], portable, written[2]);
            assert_int_equal(tw_base64_decode_portable((struct tumble_bytes){in[1], length}, in[1], &written[1], NULL),
                             TUMBLE_OK);
            assert_memory_equal(in[1], portable, written[2]);
        } else {
            refused++;
            for (size_t i = 0; i < 2; i++) {
                assert_int_equal(err[i].byte, err[2].byte);
                assert_string_equal(err[i].text, err[2].text);
            }
        }
        free(in[0]);
        free(in[1]);
        free(out);
    }
    assert_in_range(refused, 2000, 19000);
}

/* Text of exactly length + behind bytes of memory, the characters first, a quote behind them, then what never matters;
 * room bytes of output. What is decoded is held against the portable decoder; false: nothing was. */
static bool decodes_quoted(const char *characters, size_t length, size_t behind, size_t room) {
    char *text = malloc(length + behind ? length + behind : 1);
    char *out = malloc(room ? room : 1);
    char wanted[512];
    size_t got = 12345, wanted_length = 0;
    assert_non_null(text);
    assert_non_null(out);
    memcpy(text, characters, length);
    memset(text + length, 'A', behind);
    if (behind) {
        text[length] = '"';
    }
    size_t stop = tw_base64_decode_quoted(text, length + behind, out, room, &got);
    const bool decoded = stop != TW_BASE64_UNQUOTED;
    if (decoded) {
        const char *quote = memchr(text, '"', length + behind);
        assert_ptr_equal(text + stop, quote);
        assert_int_equal(tw_base64_decode_portable((struct tumble_bytes){text, stop}, wanted, &wanted_length, NULL),
                         TUMBLE_OK);
        assert_int_equal(got, wanted_length);
        assert_true(got <= room);
        assert_memory_equal(out, wanted, got);
    }
    free(text);
    free(out);
    return decoded;
}

/* Behind the quote this many bytes are left and in front of the end of room, and nothing is out of the ordinary: then
 * a machine with vectors has to take it, or the pass was not saved. */
enum { ENOUGH = 64 };

static void random_text(char *text, size_t length, uint64_t *random) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i++) {
        text[i] = alphabet[random_below(random, 64)];
    }
}

static void a_quoted_text_is_decoded_as_one_whose_end_is_known(void **state) {
    (void)state;
    const bool vectors = tw_cpu() != TW_CPU_PORTABLE;
    uint64_t random = 5;
    for (size_t length = 0; length <= 300; length++) {
        char bytes[300], text[404];
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (char)next_random(&random);
        }
        const size_t encoded = tw_base64_encoded_length(length);
        tw_base64_encode((struct tumble_bytes){bytes, length}, text);
        assert_int_equal(decodes_quoted(text, encoded, ENOUGH, encoded / 4 * 3 + ENOUGH), vectors);
        for (size_t behind = 0; behind <= ENOUGH; behind++) { /* the memory ends soon after the text, or before */
            bool decoded = decodes_quoted(text, encoded, behind, encoded / 4 * 3 + ENOUGH);
            assert_true(behind || !decoded);
        }
        for (size_t room = 0; room < encoded / 4 * 3 + ENOUGH; room += 1 + room / 40) {
            bool decoded = decodes_quoted(text, encoded, ENOUGH, room);
            assert_true(room >= length || !decoded);
        }
        assert_false(decodes_quoted(text, length % 3 ? encoded - 1 : 0, 0, 300)); /* no quote at all */
    }
}

/* Any number of characters, also one that no encoder makes, with and without padding that does not belong. */
static void a_quoted_text_of_a_wrong_length_is_left_alone(void **state) {
    (void)state;
    uint64_t random = 6;
    for (size_t length = 0; length <= 300; length++) {
        char text[304];
        random_text(text, length, &random);
        for (size_t padding = 0; padding <= 3; padding++) {
            memset(text + length, '=', padding);
            bool decoded = decodes_quoted(text, length + padding, ENOUGH, 400);
            if ((length + padding) % 4 != 0 || padding == 3) {
                assert_false(decoded);
            }
        }
    }
}

static void a_quoted_text_with_a_wrong_character_anywhere_is_left_alone(void **state) {
    (void)state;
    static const char wrong[] = "-_=\\ \n,:{\x01\x7f\x80\xff@[`.*!";
    static const size_t lengths[] = {4, 28, 32, 36, 60, 64, 68, 100, 128, 132, 256, 300};
    uint64_t random = 7;
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        char text[300];
        const size_t length = lengths[l];
        random_text(text, length, &random);
        for (size_t place = 0; place < length; place++) {
            const char right = text[place];
            for (size_t i = 0; i < sizeof wrong; i++) { /* with the NUL at its end */
                text[place] = wrong[i];
                if (wrong[i] != '=' || place + 1 != length) {
                    assert_false(decodes_quoted(text, length, ENOUGH, 400));
                } else {
                    decodes_quoted(text, length, ENOUGH, 400);
                }
            }
            text[place] = '"'; /* ends there */
            assert_int_equal(decodes_quoted(text, length, ENOUGH, 400), place % 4 == 0 && tw_cpu() != TW_CPU_PORTABLE);
            text[place] = right;
        }
    }
}

static void every_byte_is_told_apart_in_a_quoted_text(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < 64; place++) {
            char text[72];
            memset(text, 'A', sizeof text);
            text[place] = (char)byte;
            bool good = byte != 0 && strchr(alphabet, byte);
            if (byte != '"') {
                assert_int_equal(decodes_quoted(text, sizeof text, ENOUGH, 200), good && tw_cpu() != TW_CPU_PORTABLE);
            }
        }
    }
}

/* The unused bits in front of padding have to be zero here too. */
static void padding_of_a_quoted_text_is_strict(void **state) {
    (void)state;
    for (size_t plain = 0; plain <= 128; plain += 4) {
        static const char *const good[] = {"QQ==", "QUI=", "////"}, *const bad[] = {"QR==", "QUJ=", "Q===", "=QQ=",
                                                                                    "QQ=Q", "====", "QQ= ", "Q=I="};
        char text[160];
        memset(text, 'x', plain);
        for (size_t i = 0; i < 3; i++) {
            memcpy(text + plain, good[i], 4);
            assert_int_equal(decodes_quoted(text, plain + 4, ENOUGH, 300), tw_cpu() != TW_CPU_PORTABLE);
        }
        for (size_t i = 0; i < 8; i++) {
            memcpy(text + plain, bad[i], 4);
            assert_false(decodes_quoted(text, plain + 4, ENOUGH, 300));
        }
    }
}

/* --- between pages that nobody may touch --- */

/* Text, also with faults, whose last character is the last byte of its memory, to bytes that end with theirs, and in
 * place from the first byte on: at every length, so at every alignment, held against the portable decoder. */
static void no_decoder_leaves_its_text_or_its_output(void **state) {
    (void)state;
    struct guarded in = guarded_new(), out = guarded_new();
    uint64_t random = 12;
    for (size_t length = 0; length <= 600; length++) {
        for (int faulty = 0; faulty < 3; faulty++) {
            char text[600], portable[600];
            size_t wanted = 0, got = 0;
            struct tumble_error why = {.byte = -1}, err = {.byte = -1};
            random_text(text, length, &random);
            if (faulty && length > 0) {
                text[random_below(&random, length)] = faulty == 1 ? '=' : (char)next_random(&random);
            }
            struct tumble_bytes view = {at_its_end(&in, text, length), length};
            char *bytes = out.end - length / 4 * 3;
            enum tumble_code code = tw_base64_decode_portable(view, portable, &wanted, &why);
            assert_int_equal(tw_base64_decode(view, bytes, &got, &err), code);
            char *place = at_its_begin(&out, text, length);
            struct tumble_error again = {.byte = -1};
            size_t in_place = 0;
            assert_int_equal(tw_base64_decode((struct tumble_bytes){place, length}, place, &in_place, &again), code);
            if (code == TUMBLE_OK) {
                assert_int_equal(got, wanted);
                assert_int_equal(in_place, wanted);
                assert_memory_equal(place, portable, wanted);
                assert_int_equal(tw_base64_decode(view, out.end - wanted, &got, NULL), TUMBLE_OK);
                assert_memory_equal(out.end - wanted, portable, wanted);
            } else {
                assert_int_equal(err.byte, why.byte);
                assert_int_equal(again.byte, why.byte);
            }
        }
    }
    guarded_free(&in);
    guarded_free(&out);
}

static void the_encoder_leaves_neither_its_bytes_nor_its_output(void **state) {
    (void)state;
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct guarded in = guarded_new(), out = guarded_new();
    uint64_t random = 13;
    for (size_t length = 0; length <= 600; length++) {
        char bytes[600];
        for (size_t i = 0; i < length; i++) {
            bytes[i] = (char)next_random(&random);
        }
        const size_t encoded = tw_base64_encoded_length(length);
        char *text = out.end - encoded;
        tw_base64_encode((struct tumble_bytes){at_its_end(&in, bytes, length), length}, text);
        for (size_t i = 0; i < encoded; i++) { /* bit by bit */
            unsigned six = 0;
            for (size_t bit = 6 * i; bit < 6 * i + 6; bit++) {
                six =
                    six << 1 | (bit < 8 * length ? (unsigned)(unsigned char)bytes[bit / 8] >> (7 - bit % 8) & 1u : 0u);
            }
            assert_int_equal(text[i], 6 * i < 8 * length ? alphabet[six] : '=');
        }
    }
    guarded_free(&in);
    guarded_free(&out);
}

/* The memory ends so many bytes behind the text's quote, and the output so many behind what it needs. */
static void a_quoted_text_is_not_left_nor_its_output(void **state) {
    (void)state;
    struct guarded in = guarded_new(), out = guarded_new();
    uint64_t random = 14;
    size_t decoded = 0;
    for (int round = 0; round < 40000; round++) {
        char text[400], wanted[400];
        const size_t length = random_below(&random, 300), left = random_below(&random, length + ENOUGH + 8);
        const size_t room = random_below(&random, length / 4 * 3 + ENOUGH);
        random_text(text, sizeof text, &random);
        text[length] = '"';
        if (random_below(&random, 3) == 0) {
            text[random_below(&random, length + 1)] = "=\"\\-\x80\x00 A"[random_below(&random, 7)];
        }
        const char *at = at_its_end(&in, text, left);
        size_t got = 0, wanted_length = 0;
        size_t stop = tw_base64_decode_quoted(at, left, out.end - room, room, &got);
        if (stop != TW_BASE64_UNQUOTED) {
            assert_true(stop < left && at[stop] == '"' && !memchr(at, '"', stop));
            assert_int_equal(tw_base64_decode_portable((struct tumble_bytes){at, stop}, wanted, &wanted_length, NULL),
                             TUMBLE_OK);
            assert_int_equal(got, wanted_length);
            assert_true(got <= room);
            assert_memory_equal(out.end - room, wanted, got);
            decoded++;
        }
    }
    assert_true(tw_cpu() == TW_CPU_PORTABLE ? decoded == 0 : decoded > 500);
    guarded_free(&in);
    guarded_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_encode_and_decode),
        cmocka_unit_test(random_bytes_come_back_also_in_place),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
        cmocka_unit_test(every_byte_outside_the_alphabet_is_refused_at_every_place),
        cmocka_unit_test(all_decoders_give_the_same_result_and_error),
        cmocka_unit_test(a_quoted_text_is_decoded_as_one_whose_end_is_known),
        cmocka_unit_test(a_quoted_text_of_a_wrong_length_is_left_alone),
        cmocka_unit_test(a_quoted_text_with_a_wrong_character_anywhere_is_left_alone),
        cmocka_unit_test(every_byte_is_told_apart_in_a_quoted_text),
        cmocka_unit_test(padding_of_a_quoted_text_is_strict),
        cmocka_unit_test(no_decoder_leaves_its_text_or_its_output),
        cmocka_unit_test(the_encoder_leaves_neither_its_bytes_nor_its_output),
        cmocka_unit_test(a_quoted_text_is_not_left_nor_its_output),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
