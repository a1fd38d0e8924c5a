#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "engine/codec/base64.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_encode_and_decode),
        cmocka_unit_test(random_bytes_come_back_also_in_place),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
        cmocka_unit_test(every_byte_outside_the_alphabet_is_refused_at_every_place),
        cmocka_unit_test(all_decoders_give_the_same_result_and_error),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
