#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tumble/engine.h>

#include "runner/seen.h"

/* The memory of sequence numbers: what was shown lately is known, also after the state was opened again. */

static struct tumble_bytes sequence_of(uint64_t n, char text[64]) {
    snprintf(text, 64, "49590338271490256608559692%030llu", (unsigned long long)n);
    return tumble_bytes_of(text);
}

static struct tumble_engine *memory_engine(struct tumble_spec **spec) {
    static const char json[] = "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}";
    struct tumble_engine *engine;
    assert_int_equal(tumble_spec_parse(tumble_bytes_of(json), NULL, (struct tumble_alloc){0}, spec, NULL), TUMBLE_OK);
    struct tumble_engine_options options = {.spec = *spec, .source = tumble_bytes_of("t")};
    assert_int_equal(tumble_engine_open(&options, &engine, NULL), TUMBLE_OK);
    return engine;
}

static void what_was_shown_is_known_per_shard(void **state) {
    (void)state;
    char text[64];
    struct tumble_seen *seen = tumble_seen_new();
    for (uint64_t n = 0; n < 5000; n++) {
        assert_int_equal(tumble_seen_add(seen, 1, sequence_of(2 * n, text)), TUMBLE_OK);
    }
    for (uint64_t n = 0; n < 5000; n += 37) {
        assert_true(tumble_seen_has(seen, 1, sequence_of(2 * n, text)));
        assert_false(tumble_seen_has(seen, 1, sequence_of(2 * n + 1, text)));
        assert_false(tumble_seen_has(seen, 2, sequence_of(2 * n, text)));
    }
    tumble_seen_destroy(seen);
}

static void the_oldest_are_forgotten(void **state) {
    (void)state;
    char text[64];
    struct tumble_seen *seen = tumble_seen_new();
    for (uint64_t n = 0; n < TUMBLE_SEEN_RECORDS + 100; n++) {
        assert_int_equal(tumble_seen_add(seen, 0, sequence_of(n, text)), TUMBLE_OK);
    }
    assert_false(tumble_seen_has(seen, 0, sequence_of(99, text)));
    assert_true(tumble_seen_has(seen, 0, sequence_of(100, text)));
    assert_true(tumble_seen_has(seen, 0, sequence_of(TUMBLE_SEEN_RECORDS + 99, text)));
    tumble_seen_destroy(seen);
}

static void a_state_keeps_what_was_seen(void **state) {
    (void)state;
    char text[64];
    struct tumble_spec *spec;
    struct tumble_engine *engine = memory_engine(&spec);
    struct tumble_seen *seen = tumble_seen_new();
    uint64_t n = 0;
    for (int life = 0; life < 12; life++) { /* more than a ring of records over a dozen lives */
        for (uint64_t i = 0; i < 30011; i++, n++) {
            assert_int_equal(tumble_seen_add(seen, 0, sequence_of(n, text)), TUMBLE_OK);
            if (i % 10007 == 0) {
                assert_int_equal(tumble_seen_save(seen, engine, NULL), TUMBLE_OK);
            }
        }
        assert_int_equal(tumble_seen_save(seen, engine, NULL), TUMBLE_OK);
        tumble_seen_destroy(seen);
        seen = tumble_seen_new();
        assert_int_equal(tumble_seen_load(seen, engine, NULL), TUMBLE_OK);
        uint64_t from = n > 200000 ? n - 200000 : 0;
        for (uint64_t known = from; known < n; known += 7919) {
            assert_true(tumble_seen_has(seen, 0, sequence_of(known, text)));
        }
        assert_true(tumble_seen_has(seen, 0, sequence_of(n - 1, text)));
        assert_false(tumble_seen_has(seen, 0, sequence_of(n, text)));
    }
    tumble_seen_destroy(seen);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_shown_is_known_per_shard),
        cmocka_unit_test(the_oldest_are_forgotten),
        cmocka_unit_test(a_state_keeps_what_was_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
