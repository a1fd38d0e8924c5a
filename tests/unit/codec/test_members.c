#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "codec/guarded.h"
#include "codec/layout_compare.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/members.h"
#include "engine/codec/members_read.h"

static const char *const paths[] = {"eventType", "amount", "/amount", "customerId", "customerName", "id", "geo.lat"};
enum { COUNT = sizeof paths / sizeof *paths, MOST = 128 };

static struct tumble_projection *projection;

static int make_projection(void **state) {
    (void)state;
    struct tumble_bytes views[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        views[i] = tumble_bytes_of(paths[i]);
    }
    return tw_projection_new(views, COUNT, tw_alloc_default(), &projection, NULL) != TUMBLE_OK;
}

static int drop_projection(void **state) {
    (void)state;
    tw_projection_destroy(projection);
    return 0;
}

/* Is every text read as tumble_project reads it? Texts lie where they end with the memory they are in. */
static void assert_agree(struct tw_members *members, const char *const *texts, size_t count) {
    static const struct tumble_bytes nowhere;
    struct tumble_bytes copies[MOST];
    struct tumble_value values[MOST * COUNT], wanted[COUNT];
    bool fits[MOST];
    size_t fit = 0;
    assert_true(count <= MOST);
    for (size_t i = 0; i < count; i++) {
        copies[i].length = strlen(texts[i]);
        copies[i].data = exact_copy(texts[i], copies[i].length);
    }
    const size_t told = tw_members_project(members, projection, copies, count, nowhere, values, fits);
    for (size_t i = 0; i < count; i++) {
        bool same = fits[i] == (tumble_project(projection, copies[i], 1, wanted, NULL, NULL) == TUMBLE_OK);
        for (size_t v = 0; fits[i] && same && v < COUNT; v++) {
            same = same_value(&values[i * COUNT + v], &wanted[v]);
        }
        if (!same) {
            fail_msg("read differently: %s", texts[i]);
        }
        fit += fits[i];
        free((char *)(uintptr_t)copies[i].data);
    }
    assert_int_equal(told, fit);
}

static void assert_agree_one(struct tw_members *members, const char *text) { assert_agree(members, &text, 1); }

/* Was the last text read without tumble_project? */
static bool was_quick(struct tw_members *members, const char *text) {
    members->apart = 0;
    assert_agree_one(members, text);
    return members->apart == 0;
}

static struct tw_members learned_from(const char *text) {
    struct tw_members members = {0};
    assert_agree_one(&members, text);
    assert_true(was_quick(&members, text));
    return members;
}

#define ALL                                                                                                            \
    "{\"eventId\":\"ef31b4a4-dee1-42dc-bc7c-5e7e16a45f7f\",\"customerName\":\"A, B}\",\"eventType\":\"click\","        \
    "\"timestamp\":1762732800000,\"amount\":10.31,\"id\":7,\"customerId\":\"c\"}"

static void members_are_found_in_every_order(void **state) {
    (void)state;
    static const char *const all[] = {"\"eventId\":\"ef31b4a4-dee1-42dc-bc7c-5e7e16a45f7f\"", "\"eventType\":\"share\"",
                                      "\"timestamp\":1762732800000", "\"amount\":3.9", "\"customerName\":\"\""};
    struct tw_members members = learned_from(ALL);
    const uint8_t count = members.count;
    char texts[120][256];
    const char *views[120];
    for (unsigned order = 0; order < 120; order++) {
        unsigned left[5] = {0, 1, 2, 3, 4}, rest = order;
        char *at = texts[order];
        for (unsigned n = 5; n > 0; n--) {
            const unsigned which = rest % n;
            rest /= n;
            at += snprintf(at, 128, "%c%s", n == 5 ? '{' : ',', all[left[which]]);
            left[which] = left[n - 1];
        }
        memcpy(at, "}", 2);
        views[order] = texts[order];
        assert_true(was_quick(&members, texts[order]));
    }
    assert_agree(&members, views, 120);
    assert_int_equal(members.apart, 0);
    assert_int_equal(members.count, count);
}

static void members_may_be_missing_and_new_ones_are_learned(void **state) {
    (void)state;
    struct tw_members members = learned_from(ALL);
    assert_true(was_quick(&members, "{\"amount\":1}"));
    assert_true(was_quick(&members, "{\"id\":1,\"amount\":-0.5}"));
    assert_false(was_quick(&members, "{\"amount\":1,\"new\":\"x\"}"));
    assert_true(was_quick(&members, "{\"new\":\"y\",\"amount\":1}"));
    assert_false(was_quick(&members, "{\"amount\":\"1\"}")); /* a string now */
    assert_true(was_quick(&members, "{\"id\":2,\"amount\":\"10\"}"));
    assert_true(was_quick(&members, "{\"id\":2,\"amount\":10}"));
}

static void values_that_are_no_usual_numbers_are_known_by_the_lexer(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"amount\":true,\"id\":null}",  "{\"id\":false,\"amount\":1e5}",
                                        "{\"id\":12345678901234567890}",  "{\"amount\":-1.5E-7}",
                                        "{\"amount\":0,\"amount\":true}", "{\"amount\":true,\"amount\":0}"};
    static const char *const wrong[] = {
        "{\"amount\":tru}", "{\"amount\":01}",  "{\"amount\":1.}",    "{\"amount\":.5}",  "{\"amount\":-}",
        "{\"amount\":}",    "{\"amount\":1 2}", "{\"amount\":1.2.3}", "{\"amount\":--1}", "{\"amount\":1-}",
        "{\"amount\":+1}",  "{\"amount\":[]}",  "{\"amount\":1e}",    "{\"amount\":-01}", "{\"amount\":1\"2\"}",
        "{\"amount\":NaN}", "{\"amount\":\"a}", "{\"amount\":1,}",    "{\"amount\":1}}",  "{,\"amount\":1}"};
    struct tw_members members = learned_from(ALL);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(was_quick(&members, texts[i]));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(was_quick(&members, wrong[i]));
    }
}

static void keys_may_be_short_alike_or_many(void **state) {
    (void)state;
    struct tw_members members =
        learned_from("{\"id\":1,\"i\":2,\"\":\"x\",\"customerName\":\"n\",\"customerId\":\"c\"}");
    assert_true(was_quick(&members, "{\"customerId\":\"d\",\"\":\"\",\"customerName\":\"m\",\"i\":0,\"id\":5}"));
    char text[1024];
    for (int turn = 0; turn < 3; turn++) { /* more than can be learned */
        char *at = text;
        for (int i = 0; i < 20; i++) {
            at += snprintf(at, 32, "%c\"key-%d-%d\":%d", i ? ',' : '{', turn, i, i);
        }
        memcpy(at, "}", 2);
        assert_agree_one(&members, text);
        assert_agree_one(&members, text);
    }
    assert_int_equal(members.count, TW_MEMBERS_KNOWN);
    assert_true(was_quick(&members, "{\"i\":0,\"id\":5}"));
}

static void white_space_is_learned_with_the_keys(void **state) {
    (void)state;
    struct tw_members members = learned_from("{\"id\": 1, \"amount\": 2, \"eventType\": \"x\"}");
    assert_agree_one(&members, "{\"amount\": 2, \"id\": 1}");
    assert_true(was_quick(&members, "{\"amount\": 2, \"eventType\": \"y\", \"id\": 1}") ||
                was_quick(&members, "{\"amount\": 2, \"eventType\": \"y\", \"id\": 1}"));
}

static void values_may_be_of_any_length(void **state) {
    (void)state;
    struct tw_members members = learned_from("{\"id\":\"x\",\"customerId\":\"c\",\"amount\":1}");
    char text[TW_MEMBERS_BYTES + 200];
    for (size_t length = 0; length < TW_MEMBERS_BYTES + 100; length += length < 140 ? 1 : 37) {
        char *at = text + sprintf(text, "{\"amount\":5,\"customerId\":\"");
        memset(at, 'y', length);
        sprintf(at + length, "\",\"id\":\"z\"}");
        assert_true(was_quick(&members, text) == (strlen(text) <= TW_MEMBERS_BYTES));
    }
}

static void what_a_layout_of_members_cannot_be_is_not_learned(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"id\":1,\"id\":2}",
                                        "{\"geo\":{\"lat\":1}}",
                                        "{\"id\":[1]}",
                                        "[1]",
                                        "{}",
                                        "1",
                                        "{\"i\\u0064\":1}",
                                        " {\"id\":1}",
                                        ""};
    struct tw_members members = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_agree_one(&members, texts[i]);
        assert_int_equal(members.count, 0);
    }
    assert_agree_one(&members, "{\"geo\":1,\"id\":2}");
    assert_true(was_quick(&members, "{\"id\":2,\"geo\":\"x\"}") || was_quick(&members, "{\"id\":2,\"geo\":\"x\"}"));
}

static void every_changed_byte_is_seen(void **state) {
    (void)state;
    static const char bytes[] = "\"\\0,}:x \n\x80\x7f-.e";
    const struct tw_members known = learned_from(ALL);
    for (size_t at = 0; at < strlen(ALL); at++) {
        for (size_t b = 0; b < sizeof bytes - 1; b++) {
            char text[] = ALL;
            struct tw_members members = known;
            text[at] = bytes[b];
            assert_agree_one(&members, text);
        }
        char text[] = ALL;
        struct tw_members members = known;
        text[at] = '\0'; /* cut */
        assert_agree_one(&members, text);
    }
}

/* Whatever stands behind a text, that is not read as if it were of it. */
static void what_stands_behind_a_text_does_not_matter(void **state) {
    (void)state;
    struct tw_members members = learned_from(ALL);
    char buffer[sizeof ALL + TW_MEMBERS_PAD];
    struct tumble_value values[COUNT], wanted[COUNT];
    bool fits;
    for (size_t length = 0; length < sizeof ALL; length++) {
        memcpy(buffer, ALL, sizeof ALL);
        memset(buffer + sizeof ALL - 1, '"', TW_MEMBERS_PAD);
        const struct tumble_bytes text = {buffer, length}, around = {buffer, sizeof buffer};
        members.apart = 0;
        tw_members_project(&members, projection, &text, 1, around, values, &fits);
        assert_int_equal(fits, tumble_project(projection, text, 1, wanted, NULL, NULL) == TUMBLE_OK);
    }
    assert_true(fits);
}

static void hopeless_texts_are_hardly_tried(void **state) {
    (void)state;
    struct tw_members members = learned_from(ALL);
    const char *texts[64];
    size_t left = 0;
    for (size_t i = 0; i < 64; i++) {
        texts[i] = "{\"id\":{}}";
    }
    for (int turn = 0; turn < 10; turn++) {
        struct tumble_bytes views[64];
        struct tumble_value values[64 * COUNT];
        bool fits[64];
        for (size_t i = 0; i < 64; i++) {
            views[i] = tumble_bytes_of(texts[i]);
        }
        left += tw_members_project(&members, projection, views, 64, (struct tumble_bytes){NULL, 0}, values, fits) == 0;
    }
    assert_true(left >= 4);
    for (int turn = 0; turn < 200 && members.apart; turn++) { /* and others are tried again, in time */
        struct tumble_bytes view = tumble_bytes_of(ALL);
        struct tumble_value values[COUNT];
        bool fits;
        tw_members_project(&members, projection, &view, 1, (struct tumble_bytes){NULL, 0}, values, &fits);
    }
    assert_int_equal(members.apart, 0);
}

/* Each set of readers that this machine can run, against loops over single bytes, up to a page that nobody may touch.
 */
static void readers_see_what_single_bytes_say(void **state) {
    (void)state;
    static const char bytes[] = "\"\\,}0123456789azAZ{:\x01\x1f\x7f\x80\xff\0";
    const struct tw_members_read *sets[2] = {&tw_members_read_portable, &tw_members_read_portable};
#if defined(TW_HAVE_AVX)
    sets[1] = tw_cpu_has_avx2() ? &tw_members_read_avx2 : sets[1];
#elif defined(TW_HAVE_NEON)
    sets[1] = tw_cpu() == TW_CPU_NEON ? &tw_members_read_neon : sets[1];
#endif
    struct guarded memory = guarded_new();
    uint64_t random = 5;
    for (int round = 0; round < 40000; round++) {
        const size_t length = random_below(&random, 200), rare = 1 + random_below(&random, 100);
        char *const at = memory.end - 64 - length;
        for (size_t i = 0; i < length + 64; i++) {
            at[i] = (char)(random_below(&random, rare) ? 'a' + (char)random_below(&random, 3)
                                                       : bytes[random_below(&random, sizeof bytes - 1)]);
        }
        char literal[32];
        const unsigned same = (unsigned)random_below(&random, 33);
        memcpy(literal, at, 32);
        literal[random_below(&random, 32)] ^= (char)random_below(&random, 2);
        for (int set = 0; set < 2; set++) {
            const struct tw_members_read *read = sets[set];
            for (int kind = 0; kind < 2; kind++) {
                unsigned stop = 0;
                while (stop < 64 && at[stop] != tw_members_stops[kind][0] && at[stop] != tw_members_stops[kind][1]) {
                    stop++;
                }
                assert_int_equal(read->stop(at, (enum tw_members_kind)kind), stop);
            }
            bool plain = true;
            uint32_t digits = 0;
            for (size_t i = 0; i < length; i++) {
                plain = plain && (unsigned char)at[i] >= 0x20 && (unsigned char)at[i] < 0x80;
            }
            for (unsigned i = 0; i < 16; i++) {
                digits |= (uint32_t)(at[i] >= '0' && at[i] <= '9') << i;
            }
            assert_int_equal(read->is_plain(at, length), plain);
            assert_int_equal(read->digits(at), digits);
            assert_int_equal(read->differ(at, literal, same) != 0, memcmp(at, literal, same) != 0);
        }
    }
    guarded_free(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_in_every_order),
        cmocka_unit_test(members_may_be_missing_and_new_ones_are_learned),
        cmocka_unit_test(values_that_are_no_usual_numbers_are_known_by_the_lexer),
        cmocka_unit_test(keys_may_be_short_alike_or_many),
        cmocka_unit_test(white_space_is_learned_with_the_keys),
        cmocka_unit_test(values_may_be_of_any_length),
        cmocka_unit_test(what_a_layout_of_members_cannot_be_is_not_learned),
        cmocka_unit_test(every_changed_byte_is_seen),
        cmocka_unit_test(what_stands_behind_a_text_does_not_matter),
        cmocka_unit_test(hopeless_texts_are_hardly_tried),
        cmocka_unit_test(readers_see_what_single_bytes_say),
    };
    return cmocka_run_group_tests(tests, make_projection, drop_projection);
}
