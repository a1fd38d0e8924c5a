#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/codec/hash_key.h"

static tw_uint128 parsed(const char *digits) {
    tw_uint128 value = 0;
    assert_int_equal(tw_hash_key_parse(tumble_bytes_of(digits), &value, NULL), TUMBLE_OK);
    return value;
}

static void assert_refused(const char *digits, int64_t byte) {
    tw_uint128 value = 7;
    struct tumble_error err;
    assert_int_equal(tw_hash_key_parse(tumble_bytes_of(digits), &value, &err), TUMBLE_EINVAL);
    assert_int_equal(err.byte, byte);
    assert_true(value == 7);
}

static void every_number_of_128_bits_is_a_hash_key(void **state) {
    (void)state;
    assert_true(parsed("0") == 0);
    assert_true(parsed("0012") == 12);
    assert_true(parsed("340282366920938463463374607431768211455") == TW_HASH_KEY_MAX);
    assert_true(parsed("170141183460469231731687303715884105728") == (tw_uint128)1 << 127);
}

static void what_is_no_such_number_is_refused_at_its_byte(void **state) {
    (void)state;
    assert_refused("", 0);
    assert_refused("-1", 0);
    assert_refused("+1", 0);
    assert_refused("12 ", 2);
    assert_refused("0x10", 1);
    assert_refused("340282366920938463463374607431768211456", 38);
    assert_refused("3402823669209384634633746074317682114550", 39);
}

/* Point 44: the MD5 as an unsigned big-endian number. */
static void a_partition_key_hashes_to_its_md5(void **state) {
    (void)state;
    /* MD5 of "" is d41d8cd98f00b204e9800998ecf8427e, of "a" 0cc175b9c0f1b6a831c399e269772661 */
    assert_true(tw_hash_key_of(tumble_bytes_of("")) ==
                ((tw_uint128)UINT64_C(0xd41d8cd98f00b204) << 64 | UINT64_C(0xe9800998ecf8427e)));
    assert_true(tw_hash_key_of(tumble_bytes_of("a")) ==
                ((tw_uint128)UINT64_C(0x0cc175b9c0f1b6a8) << 64 | UINT64_C(0x31c399e269772661)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_128_bits_is_a_hash_key),
        cmocka_unit_test(what_is_no_such_number_is_refused_at_its_byte),
        cmocka_unit_test(a_partition_key_hashes_to_its_md5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
