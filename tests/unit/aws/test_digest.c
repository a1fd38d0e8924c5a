#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/digest.h"

static void digest_of_known_texts(void **state) {
    (void)state;
    char hex[TW_SHA256_HEX];
    assert_int_equal(tw_sha256_hex(tumble_bytes_of(""), hex), TUMBLE_OK);
    assert_string_equal(hex, tw_sha256_of_nothing);
    assert_int_equal(tw_sha256_hex(tumble_bytes_of(NULL), hex), TUMBLE_OK);
    assert_string_equal(hex, tw_sha256_of_nothing);
    assert_int_equal(tw_sha256_hex(tumble_bytes_of("abc"), hex), TUMBLE_OK); /* FIPS 180-4, example 1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
static void hmac_of_rfc_4231(void **state) {
    (void)state;
    uint8_t out[TW_SHA256_BYTES];
    char hex[TW_SHA256_HEX];
    char key[131];
    memset(key, 0x0b, 20);
    assert_int_equal(tw_hmac_sha256((struct tumble_bytes){key, 20}, tumble_bytes_of("Hi There"), out), TUMBLE_OK);
    tw_hex(out, sizeof out, hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(tw_hmac_sha256(tumble_bytes_of("Jefe"), tumble_bytes_of("what do ya want for nothing?"), out),
                     TUMBLE_OK);
    tw_hex(out, sizeof out, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_int_equal(tw_hmac_sha256((struct tumble_bytes){key, sizeof key},
                                    tumble_bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"), out),
                     TUMBLE_OK);
    tw_hex(out, sizeof out, hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void crc32_of_the_check_string(void **state) {
    (void)state;
    assert_int_equal(tw_crc32(tumble_bytes_of("123456789")), 0xcbf43926);
    assert_int_equal(tw_crc32(tumble_bytes_of("{}")), 2745614147u);
    assert_int_equal(tw_crc32(tumble_bytes_of(NULL)), 0);
}

static void wiped_memory_is_zero(void **state) {
    (void)state;
    char secret[] = "wJalrXUtnFEMI";
    const char zeros[sizeof secret] = {0};
    tw_wipe(secret, sizeof secret);
    assert_memory_equal(secret, zeros, sizeof secret);
    tw_wipe(NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_of_known_texts),
        cmocka_unit_test(hmac_of_rfc_4231),
        cmocka_unit_test(crc32_of_the_check_string),
        cmocka_unit_test(wiped_memory_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
