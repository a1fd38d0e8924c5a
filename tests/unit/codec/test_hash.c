#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/codec/hash.h"

/* Recorded values: they are in stored frames and in merged sketches, so they may never change. Byte i of the input is
 * i * 131 + 7. The lengths are those at which XXH3 changes its way. */
struct recorded {
    size_t length;
    uint64_t plain;
    uint64_t seeded; /* with 42 */
    const char *wide;
};

static char *pattern(size_t length) {
    char *bytes = malloc(length ? length : 1);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (char)(i * 131 + 7);
    }
    return bytes;
}

static void hashes_are_the_recorded_ones(void **state) {
    (void)state;
    static const struct recorded recorded[] = {
        {0, 0x2d06800538d394c2u, 0xb029411ff43d84d2u, "99aa06d3014798d86001c324468d497f"},
        {1, 0x4c5cca45d0f4811fu, 0xc72384329881f542u, "495b62073ef70ca44c5cca45d0f4811f"},
        {3, 0x6e3e2670e61106acu, 0x06be808a0f1e13d6u, "390cdc5b4a895dd76e3e2670e61106ac"},
        {4, 0x5c4c63133443d03fu, 0xcca1c5c31699ed91u, "aa6e2f274640a3f43d668af6f2a44d77"},
        {8, 0xf9fd4dd0b04d78f5u, 0x859ee438a590e13du, "6a86a3bda6af4e3d61ddbe7f31a6100d"},
        {9, 0x7c20df9712c26edfu, 0x18d8d7990efdce09u, "664c7ca18afd62558c7b67fd458a936b"},
        {16, 0x86abf6baccea0858u, 0x3dfb7c5ae85844feu, "7f9a218b0425449ae2ce54a7c19c730d"},
        {17, 0xb58bf5dc5022d071u, 0x75bb843c3df21312u, "66fc23f6439dbd778d96ef110fcdebb4"},
        {128, 0x10d17f72c0ccba41u, 0xa80975a8e9c98d88u, "aec730751478556cff361dec1385710a"},
        {129, 0x1648bdc3db49d1a2u, 0xb5978592da15b4c3u, "98cd36ccbb5579264545b3a09738e31a"},
        {240, 0xb6cfaf343fab81e6u, 0xd865d0b2178586a4u, "5293e17bf553903d3f2c53e72293711f"},
        {241, 0x956cae592c67279eu, 0xf10c69779cba8524u, "b53840fe3fedf161956cae592c67279e"},
        {1024, 0x70bd377d9574f4bbu, 0x0052d93f0342f851u, "f69630613f24324d70bd377d9574f4bb"},
        {1025, 0x66c4487c41e127a7u, 0x8c0470d62fc408f6u, "621af7b8277effa466c4487c41e127a7"},
        {100000, 0x14ce8d6fc2c4868bu, 0xa74009bd480f9bfbu, "e9e46da59b77e42314ce8d6fc2c4868b"},
    };
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        char *bytes = pattern(recorded[i].length), text[33];
        uint8_t wide[16];
        assert_true(tw_hash64(bytes, recorded[i].length) == recorded[i].plain);
        assert_true(tw_hash_seeded(bytes, recorded[i].length, 42) == recorded[i].seeded);
        assert_true(tw_hash_seeded(bytes, recorded[i].length, 0) == recorded[i].plain);
        tw_hash128(bytes, recorded[i].length, wide);
        for (int k = 0; k < 16; k++) {
            snprintf(text + 2 * k, 3, "%02x", wide[k]);
        }
        assert_string_equal(text, recorded[i].wide);
        free(bytes);
    }
}

static void a_digest_equals_the_hash_however_it_is_fed(void **state) {
    (void)state;
    char *bytes = pattern(5000);
    struct tw_digest *digest = tw_digest_new();
    assert_non_null(digest);
    for (size_t step = 1; step < 600; step += 37) {
        tw_digest_reset(digest);
        for (size_t at = 0; at < 5000; at += step) {
            assert_true(tw_digest_value(digest) == tw_hash64(bytes, at)); /* looking does not disturb */
            tw_digest_update(digest, bytes + at, at + step <= 5000 ? step : 5000 - at);
            tw_digest_update(digest, NULL, 0);
        }
        assert_true(tw_digest_value(digest) == tw_hash64(bytes, 5000));
    }
    tw_digest_destroy(digest);
    tw_digest_destroy(NULL);
    free(bytes);
}

/* The seed is chosen once a process, so each case runs in a child. */
static uint64_t seed_of_a_child(const char *pin) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (pin) {
            setenv("TUMBLE_HASH_SEED", pin, 1);
        } else {
            unsetenv("TUMBLE_HASH_SEED");
        }
        uint64_t seed = tw_hash_process_seed();
        _exit(write(ends[1], &seed, sizeof seed) == (ssize_t)sizeof seed && tw_hash_process_seed() == seed ? 0 : 1);
    }
    uint64_t seed = 0;
    int status;
    assert_int_equal(read(ends[0], &seed, sizeof seed), sizeof seed);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
    return seed;
}

static void the_environment_pins_the_process_seed(void **state) {
    (void)state;
    assert_true(seed_of_a_child("42") == 42);
    assert_true(seed_of_a_child("0") == 0);
    assert_true(seed_of_a_child("010") == 10);
    assert_true(seed_of_a_child("0xDeadBeef") == 0xdeadbeefu);
    assert_true(seed_of_a_child("18446744073709551615") == UINT64_MAX);
}

static void without_a_pin_the_process_seed_is_random(void **state) {
    (void)state;
    const char *const none[] = {NULL, "", "seven", "-1", "7x", "0x", "18446744073709551616"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_true(seed_of_a_child(none[i]) != seed_of_a_child(none[i]));
    }
}

static void *seed_in_thread(void *out) {
    *(uint64_t *)out = tw_hash_process_seed();
    return NULL;
}

static void all_threads_see_one_process_seed(void **state) {
    (void)state;
    pthread_t threads[8];
    uint64_t seeds[8];
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, seed_in_thread, &seeds[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_true(seeds[i] == seeds[0] || i == 0);
    }
    assert_true(seeds[7] == tw_hash_process_seed());
}

static void a_chain_is_the_hash_of_itself_and_of_what_comes(void **state) {
    (void)state;
    char text[400];
    uint8_t chain[16] = {0}, both[32] = {0};
    memset(text, 'x', sizeof text);
    for (size_t length = 0; length < sizeof text; length += 7) { /* xxHash goes other ways by length */
        text[length] = (char)length;
        tw_hash128_chain(chain, text, length);
        tw_hash128(text, length, both + 16);
        tw_hash128(both, sizeof both, both);
        assert_memory_equal(chain, both, sizeof chain);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_the_hash_of_itself_and_of_what_comes),
        cmocka_unit_test(hashes_are_the_recorded_ones),
        cmocka_unit_test(a_digest_equals_the_hash_however_it_is_fed),
        cmocka_unit_test(the_environment_pins_the_process_seed),
        cmocka_unit_test(without_a_pin_the_process_seed_is_random),
        cmocka_unit_test(all_threads_see_one_process_seed), /* last: it fixes the seed of this process */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
