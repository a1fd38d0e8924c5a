#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/codec/md5.h"

static void expect(const char *data, size_t length, const char *hex) {
    uint8_t sum[16];
    char text[33];
    tw_md5(data, length, sum);
    for (int i = 0; i < 16; i++) {
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    }
    assert_string_equal(text, hex);
}

static void md5_gives_the_vectors_of_rfc_1321(void **state) {
    (void)state;
    static const char *const vectors[][2] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", "0cc175b9c0f1b6a831c399e269772661"},
        {"abc", "900150983cd24fb0d6963f7d28e17f72"},
        {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
        {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "57edf4a22be3c955ac49da2e2107b67a"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        expect(vectors[i][0], strlen(vectors[i][0]), vectors[i][1]);
    }
    expect(NULL, 0, "d41d8cd98f00b204e9800998ecf8427e");
}

/* The MD5 of the MD5s of 'x' repeated 0 to 299 times: every length around the padding's edges. */
static void md5_pads_every_length_right(void **state) {
    (void)state;
    char *sums = malloc(300 * 16);
    for (size_t length = 0; length < 300; length++) {
        char *exact = malloc(length ? length : 1); /* the sanitizer sees a read past it */
        memset(exact, 'x', length);
        tw_md5(exact, length, (uint8_t *)sums + 16 * length);
        free(exact);
    }
    expect(sums, 300 * 16, "575f9da1c47ba6b2cba933c4e7ce5ecd");
    free(sums);
}

static void md5_takes_a_million_bytes(void **state) {
    (void)state;
    char *data = malloc(1000000);
    memset(data, 'a', 1000000);
    expect(data, 1000000, "7707d6ae4e027c70eea2a935c2296f21");
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(md5_gives_the_vectors_of_rfc_1321),
        cmocka_unit_test(md5_pads_every_length_right),
        cmocka_unit_test(md5_takes_a_million_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
