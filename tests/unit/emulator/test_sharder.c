#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"

static const struct tumble_alloc libc_alloc;

static struct tumble_sharder *sharder_of(uint32_t count) {
    struct tumble_sharder *sharder;
    assert_int_equal(tumble_sharder_new(count, libc_alloc, &sharder, NULL), TUMBLE_OK);
    return sharder;
}

static uint32_t shard_of_hash(const struct tumble_sharder *sharder, const char *hash_key) {
    uint32_t shard = UINT32_MAX;
    struct tumble_error err;
    assert_int_equal(tumble_sharder_shard(sharder, tumble_bytes_of("unused"), tumble_bytes_of(hash_key), &shard, &err),
                     TUMBLE_OK);
    return shard;
}

static uint32_t shard_of_key(const struct tumble_sharder *sharder, const char *key) {
    uint32_t shard = UINT32_MAX;
    struct tumble_bytes none = {NULL, 0};
    assert_int_equal(tumble_sharder_shard(sharder, tumble_bytes_of(key), none, &shard, NULL), TUMBLE_OK);
    return shard;
}

static void sharder_divides_the_hash_keys_as_create_stream_does(void **state) {
    (void)state;
    struct tumble_sharder *two = sharder_of(2);
    assert_int_equal(shard_of_hash(two, "0"), 0);
    assert_int_equal(shard_of_hash(two, "170141183460469231731687303715884105727"), 0);
    assert_int_equal(shard_of_hash(two, "170141183460469231731687303715884105728"), 1);
    assert_int_equal(shard_of_hash(two, "340282366920938463463374607431768211455"), 1);
    tumble_sharder_destroy(two);
    struct tumble_sharder *three = sharder_of(3);
    assert_int_equal(shard_of_hash(three, "113427455640312821154458202477256070484"), 0);
    assert_int_equal(shard_of_hash(three, "113427455640312821154458202477256070485"), 1);
    assert_int_equal(shard_of_hash(three, "226854911280625642308916404954512140969"), 1);
    assert_int_equal(shard_of_hash(three, "226854911280625642308916404954512140970"), 2);
    assert_int_equal(shard_of_hash(three, "340282366920938463463374607431768211455"), 2); /* the rest of the division */
    tumble_sharder_destroy(three);
}

/* lambda-semantics point 44. MD5("") begins d4, MD5("a") 0c, MD5("1") c4, MD5("hello") 5d. */
static void sharder_hashes_a_partition_key_without_explicit_hash_key_by_md5(void **state) {
    (void)state;
    struct tumble_sharder *sharder = sharder_of(16);
    assert_int_equal(shard_of_key(sharder, ""), 0xd);
    assert_int_equal(shard_of_key(sharder, "a"), 0x0);
    assert_int_equal(shard_of_key(sharder, "1"), 0xc);
    assert_int_equal(shard_of_key(sharder, "hello"), 0x5);
    tumble_sharder_destroy(sharder);
}

static void sharder_prefers_the_explicit_hash_key(void **state) {
    (void)state;
    struct tumble_sharder *sharder = sharder_of(16);
    uint32_t shard;
    assert_int_equal(tumble_sharder_shard(sharder, tumble_bytes_of("1"), tumble_bytes_of("7"), &shard, NULL),
                     TUMBLE_OK);
    assert_int_equal(shard, 0);
    tumble_sharder_destroy(sharder);
}

/* Every boundary of every range, checked against decimal arithmetic done on text by hand: key = start, start - 1. */
static void decrement(char *digits) {
    for (size_t i = strlen(digits); i-- > 0;) {
        if (digits[i] != '0') {
            digits[i]--;
            return;
        }
        digits[i] = '9';
    }
}

static void multiply(const char *digits, uint32_t factor, char out[64]) {
    uint64_t carry = 0;
    memset(out, '0', 63);
    out[63] = '\0';
    size_t length = strlen(digits);
    for (size_t i = 0; i < 63; i++) {
        uint64_t digit = i < length ? (uint64_t)(digits[length - 1 - i] - '0') : 0;
        uint64_t sum = digit * factor + carry;
        out[62 - i] = (char)('0' + sum % 10);
        carry = sum / 10;
    }
}

static void sharder_finds_both_sides_of_every_boundary(void **state) {
    (void)state;
    static const struct {
        uint32_t count;
        const char *width; /* floor(2^128 / count) */
    } cases[] = {{7, "48611766702991209066196372490252601636"},
                 {1000, "340282366920938463463374607431768211"},
                 {10000, "34028236692093846346337460743176821"}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct tumble_sharder *sharder = sharder_of(cases[c].count);
        for (uint32_t shard = 1; shard < cases[c].count; shard++) {
            char text[64];
            multiply(cases[c].width, shard, text);
            assert_int_equal(shard_of_hash(sharder, text), shard);
            decrement(text);
            assert_int_equal(shard_of_hash(sharder, text), shard - 1);
        }
        tumble_sharder_destroy(sharder);
    }
}

static void ranges_lie_side_by_side_from_the_first_hash_key_to_the_last(void **state) {
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 7, 1000, 10000};
    static const uint8_t zero[16];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct tumble_sharder *sharder = sharder_of(counts[c]);
        uint8_t next[16] = {0};
        for (uint32_t shard = 0; shard < counts[c]; shard++) {
            struct tumble_hash_range range;
            tumble_sharder_range(sharder, shard, &range);
            assert_memory_equal(range.first, next, 16);
            assert_true(memcmp(range.first, range.last, 16) < 0);
            memcpy(next, range.last, 16);
            for (int i = 15; i >= 0 && ++next[i] == 0; i--) {
            }
        }
        assert_memory_equal(next, zero, 16); /* one more than the last there is */
        tumble_sharder_destroy(sharder);
    }
}

static void sharder_refuses_a_hash_key_that_is_not_one(void **state) {
    (void)state;
    static const char *const bad[] = {"-1",
                                      "1.0",
                                      "0x1",
                                      " 1",
                                      "340282366920938463463374607431768211456",
                                      "3402823669209384634633746074317682114550",
                                      "9999999999999999999999999999999999999999999"};
    for (uint32_t count = 1; count < 3; count++) {
        struct tumble_sharder *sharder = sharder_of(count);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            uint32_t shard;
            struct tumble_error err = {0};
            assert_int_equal(tumble_sharder_shard(sharder, tumble_bytes_of("k"), tumble_bytes_of(bad[i]), &shard, &err),
                             TUMBLE_EINVAL);
            assert_non_null(strstr(err.text, "explicit hash key"));
        }
        tumble_sharder_destroy(sharder);
    }
}

static void sharder_takes_1_to_10000_shards(void **state) {
    (void)state;
    struct tumble_sharder *sharder;
    struct tumble_error err = {0};
    assert_int_equal(tumble_sharder_new(0, libc_alloc, &sharder, &err), TUMBLE_ELIMIT);
    assert_int_equal(tumble_sharder_new(10001, libc_alloc, &sharder, &err), TUMBLE_ELIMIT);
    assert_non_null(strstr(err.text, "10000"));
    assert_null(sharder);
    tumble_sharder_destroy(NULL);
}

static void *no_alloc(void *ctx, size_t size) {
    (void)ctx;
    (void)size;
    return NULL;
}
static void *no_resize(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)pointer;
    (void)old_size;
    (void)new_size;
    return NULL;
}
static void no_release(void *ctx, void *pointer) {
    (void)ctx;
    (void)pointer;
}

static void sharder_tells_when_there_is_no_memory(void **state) {
    (void)state;
    struct tumble_alloc none = {no_alloc, no_resize, no_release, NULL};
    struct tumble_sharder *sharder;
    assert_int_equal(tumble_sharder_new(4, none, &sharder, NULL), TUMBLE_ENOMEM);
    assert_null(sharder);
}

static void shard_ids_read_as_kinesis_writes_them(void **state) {
    (void)state;
    char text[TUMBLE_SHARD_ID_TEXT];
    tumble_shard_id_text(7, text);
    assert_string_equal(text, "shardId-000000000007");
    tumble_shard_id_text(UINT32_MAX, text);
    assert_string_equal(text, "shardId-004294967295");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sharder_divides_the_hash_keys_as_create_stream_does),
        cmocka_unit_test(sharder_hashes_a_partition_key_without_explicit_hash_key_by_md5),
        cmocka_unit_test(sharder_prefers_the_explicit_hash_key),
        cmocka_unit_test(sharder_finds_both_sides_of_every_boundary),
        cmocka_unit_test(ranges_lie_side_by_side_from_the_first_hash_key_to_the_last),
        cmocka_unit_test(sharder_refuses_a_hash_key_that_is_not_one),
        cmocka_unit_test(sharder_takes_1_to_10000_shards),
        cmocka_unit_test(sharder_tells_when_there_is_no_memory),
        cmocka_unit_test(shard_ids_read_as_kinesis_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
