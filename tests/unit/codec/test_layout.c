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
#include "engine/codec/layout.h"

static const char *const paths[] = {"a", "b.c", "b", "/l/0", "/l/1", "l.0", "d", "a", "/b/c", "missing", "e.f.g"};
enum { COUNT = sizeof paths / sizeof *paths };

static struct tumble_projection *projection_of_paths(void) {
    struct tumble_bytes views[COUNT];
    struct tumble_projection *projection = NULL;
    for (size_t i = 0; i < COUNT; i++) {
        views[i] = tumble_bytes_of(paths[i]);
    }
    assert_int_equal(tw_projection_new(views, COUNT, tw_alloc_default(), &projection, NULL), TUMBLE_OK);
    return projection;
}

/* The same bytes both ways; false when the texts are read differently. */
static bool agree(const struct tumble_projection *projection, struct tumble_layout *layout, const char *text,
                  size_t length, int end_of_input, bool consume) {
    struct outcome general = {.consumed = 77, .err.byte = -1};
    struct outcome like = {.consumed = 77, .err.byte = -1};
    char *copy = exact_copy(text, length);
    struct tumble_bytes json = {copy, length};
    general.code = tumble_project(projection, json, end_of_input, general.values, consume ? &general.consumed : NULL,
                                  &general.err);
    like.code = tumble_project_like(projection, layout, json, end_of_input, like.values,
                                    consume ? &like.consumed : NULL, &like.err);
    bool same = same_outcome(&general, &like, COUNT);
    free(copy);
    return same;
}

static void assert_agree(const struct tumble_projection *projection, struct tumble_layout *layout, const char *text) {
    for (int mode = 0; mode < 4; mode++) {
        if (!agree(projection, layout, text, strlen(text), mode & 1, mode & 2)) {
            fail_msg("read differently: %s", text);
        }
    }
}

static struct tumble_layout learned_from(const struct tumble_projection *projection, const char *text) {
    struct tumble_layout layout = {0};
    assert_true(agree(projection, &layout, text, strlen(text), 1, true));
    assert_false(tw_layout_fitted(&layout));
    assert_true(agree(projection, &layout, text, strlen(text), 1, true));
    assert_true(tw_layout_fitted(&layout));
    return layout;
}

/* The same, and so often that what does not vary is compared as one. */
static struct tumble_layout settled_from(const struct tumble_projection *projection, const char *text) {
    struct tumble_layout layout = learned_from(projection, text);
    for (int i = 0; i < 300; i++) {
        assert_true(agree(projection, &layout, text, strlen(text), i & 1, i & 2));
        assert_true(tw_layout_fitted(&layout));
    }
    return layout;
}

static const char all_kinds[] =
    " {\"a\":1,\"b\":{\"c\":\"x\\n\",\"y\":[1,2]},\n \"l\" : [ true , {\"z\":null} ],\"other\":{\"q\":-1.5e3},"
    "\"d\":\"\xc3\xa9\",\"e\":{\"f\":{\"g\":\"0123456789abcdef0123456789\"}}} ";

static void values_may_change_with_their_types(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = learned_from(projection, "{\"a\":1,\"b\":{\"c\":\"x\"},\"d\":null,\"u\":[7,8]}");
    static const char *const texts[] = {
        "{\"a\":-2.5e7,\"b\":{\"c\":\"longer text\"},\"d\":true,\"u\":[0,\"\"]}",
        " \n{\"a\":\"\\u00e9\\\"\",\"b\":{\"c\":false},\"d\":\"\xf0\x9f\x98\x80\",\"u\":[null,1]}",
        "{\"a\":null,\"b\":{\"c\":null},\"d\":0,\"u\":[-0,0.0]}\t",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_agree(projection, &layout, texts[i]);
        assert_true(tw_layout_fitted(&layout));
    }
    tw_projection_destroy(projection);
}

static void containers_and_repeated_paths_are_found(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = learned_from(projection, all_kinds);
    assert_int_equal(tw_layout_newlines(&layout), 1);
    assert_agree(projection, &layout, all_kinds);
    assert_true(tw_layout_fitted(&layout));
    tw_projection_destroy(projection);
}

static void other_shapes_are_read_the_usual_way(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"a\":1}",
        "{\"a\":[1]}",
        "{\"a\":{\"b\":1}}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1 }",
        "{\"A\":1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":\"\x01\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":nul}",
        "{\"a\":}",
        "{\"a\":1}x",
        "{\"a\":1",
        "[1]",
        "1",
        "\"a\"",
        "",
        " ",
        "{",
    };
    struct tumble_projection *projection = projection_of_paths();
    enum { TEXTS = sizeof texts / sizeof *texts };
    for (size_t i = 0; i < TEXTS; i++) {
        for (size_t j = 0; j < TEXTS; j++) {
            struct tumble_layout layout = {0};
            agree(projection, &layout, texts[i], strlen(texts[i]), 1, true);
            assert_agree(projection, &layout, texts[j]);
        }
    }
    tw_projection_destroy(projection);
}

static void every_cut_of_a_known_layout_is_seen(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    const struct tumble_layout learned = learned_from(projection, all_kinds);
    for (size_t length = 0; length < sizeof all_kinds; length++) {
        for (int mode = 0; mode < 4; mode++) {
            struct tumble_layout layout = learned;
            if (!agree(projection, &layout, all_kinds, length, mode & 1, mode & 2)) {
                fail_msg("cut to %zu bytes", length);
            }
        }
    }
    tw_projection_destroy(projection);
}

static void every_changed_byte_of_a_known_layout_is_seen(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    const struct tumble_layout learned = learned_from(projection, all_kinds);
    char text[sizeof all_kinds];
    memcpy(text, all_kinds, sizeof text);
    size_t fitted = 0;
    for (size_t at = 0; at + 1 < sizeof text; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct tumble_layout layout = learned;
            text[at] = (char)byte;
            if (!agree(projection, &layout, text, sizeof text - 1, byte & 1, true)) {
                fail_msg("byte %zu changed to 0x%02x", at, (unsigned)byte);
            }
            fitted += tw_layout_fitted(&layout);
        }
        text[at] = all_kinds[at];
    }
    assert_true(fitted > sizeof text); /* in values, most changes leave the layout as it is */
    tw_projection_destroy(projection);
}

/* --- values of the same lengths for long --- */

static const char settled[] =
    "{\"d\":\"shardId-000000000006:49590338271490256608559692538361571095921575989136588898\",\"a\":-12.50,\"u\":\"\","
    "\"q\":{\"c\":\"a value that is longer than thirty-two "
    "bytes\",\"y\":0},\"e\":{\"f\":{\"g\":1545084650.987}},\"z\":true,"
    "\"more\":[\"0123456789\",12345678901234567890,\"fin\"]}";

/* Every byte of text is changed to every other, and the text cut at every place. */
static size_t change_all(const struct tumble_projection *projection, const struct tumble_layout *first,
                         const char *text_of) {
    char text[sizeof settled];
    memcpy(text, text_of, sizeof text);
    size_t fitted = 0;
    for (size_t at = 0; at + 1 < sizeof text; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct tumble_layout layout = *first;
            text[at] = (char)byte;
            if (!agree(projection, &layout, text, sizeof text - 1, byte & 1, true)) {
                fail_msg("byte %zu changed to 0x%02x", at, (unsigned)byte);
            }
            fitted += tw_layout_fitted(&layout);
        }
        text[at] = text_of[at];
        for (int mode = 0; mode < 4; mode++) {
            struct tumble_layout layout = *first;
            assert_true(agree(projection, &layout, text_of, at, mode & 1, mode & 2));
        }
    }
    return fitted;
}

static void values_of_settled_lengths_are_seen_to_change(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    const struct tumble_layout first = settled_from(projection, settled);
    assert_true(first.run_count > 0);
    assert_true(change_all(projection, &first, settled) > 100 * 100);
    tw_projection_destroy(projection);
}

/* What was guessed of a value's bytes is taken back where another value has others, and nothing else is. */
static void values_of_settled_lengths_may_be_of_other_bytes(void **state) {
    (void)state;
    static const char other[] = "{\"d\":\"SHARDiD_zzz!zzzzzzzz:"
                                "a9590338271490256608559692538361571095921575989136588898\",\"a\":123.50,\"u\":\"\","
                                "\"q\":{\"c\":\"A VALUE THAT IS LONGER THAN THIRTY-TWO "
                                "bytes\",\"y\":7},\"e\":{\"f\":{\"g\":15450846509.87}},\"z\":true,"
                                "\"more\":[\"0f23~5 7!9\",12345678901234567890,\"FIN\"]}";
    _Static_assert(sizeof other == sizeof settled, "of the same lengths");
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = settled_from(projection, settled);
    for (int i = 0; i < 3; i++) {
        assert_agree(projection, &layout, i % 2 ? settled : other);
        assert_true(tw_layout_fitted(&layout));
    }
    for (int i = 0; i < TUMBLE_LAYOUT_RUNS; i++) { /* nothing was missed for it */
        assert_int_equal(layout.runs[i].misses, 0);
    }
    assert_true(change_all(projection, &layout, other) > 100 * 100);
    assert_true(change_all(projection, &layout, settled) > 100 * 100);
    tw_projection_destroy(projection);
}

static void settled_lengths_may_change_for_good_and_back(void **state) {
    (void)state;
    static const char *const forms[] = {
        "{\"a\":\"%0*d and some text of some length\",\"q\":{\"c\":1},\"d\":\"0123456789\"}",
        "{\"a\":%d%0*d,\"b\":{\"c\":\"x\"},\"d\":\"another text\",\"e\":null}",
    };
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = {0};
    uint64_t random = 3;
    for (int i = 0; i < 20000; i++) {
        char text[160];
        int width = (2 + i / 2500 + (random_below(&random, 50) == 0)) % 20;
        if (i % 5000 < 4000) {
            snprintf(text, sizeof text, forms[0], width, (int)random_below(&random, 100));
        } else {
            snprintf(text, sizeof text, forms[1], 1, width, (int)random_below(&random, 100));
        }
        assert_true(agree(projection, &layout, text, strlen(text), i & 1, i & 2));
    }
    tw_projection_destroy(projection);
}

/* --- random texts --- */

struct writer {
    uint64_t *random;
    char *out;
};

static void put(struct writer *w, const char *text) { w->out += sprintf(w->out, "%s", text); }

static void put_scalar(struct writer *w) {
    static const char *const scalars[] = {"1",
                                          "-0.25",
                                          "12345678901234567890",
                                          "\"\"",
                                          "\"text\"",
                                          "\"\\\"\\u0041\"",
                                          "\"\xc3\xa9 and more than sixteen bytes\"",
                                          "null",
                                          "true",
                                          "false",
                                          "7e-3",
                                          "\"}\"",
                                          "\",\""};
    put(w, scalars[random_below(w->random, sizeof scalars / sizeof *scalars)]);
}

/* An object whose shape depends on shape only, whose values on the writer. */
static void put_object(struct writer *w, uint64_t *shape, int depth) {
    static const char *const keys[] = {"a", "b", "c", "l", "d", "e", "f", "g", "other", "\\u0061"};
    size_t members = random_below(shape, 6);
    put(w, "{");
    for (size_t i = 0; i < members; i++) {
        w->out += sprintf(w->out, "%s\"%s\":%s", i ? "," : "", keys[random_below(shape, sizeof keys / sizeof *keys)],
                          random_below(shape, 4) ? "" : " ");
        size_t kind = random_below(shape, 6);
        if (kind == 0 && depth < 3) {
            put_object(w, shape, depth + 1);
        } else if (kind == 1) {
            put(w, "[");
            for (size_t n = random_below(shape, 3); n > 0; n--) {
                put_scalar(w);
                put(w, n > 1 ? "," : "");
            }
            put(w, "]");
        } else {
            put_scalar(w);
        }
    }
    put(w, "}");
}

static void random_streams_are_read_as_by_the_general_parser(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    uint64_t random = 7;
    uint64_t fitted = 0;
    for (int stream = 0; stream < 300; stream++) {
        struct tumble_layout layout = {0};
        uint64_t shapes[2] = {next_random(&random), next_random(&random)};
        for (int i = 0; i < 60; i++) {
            static char text[65536];
            uint64_t shape = shapes[random_below(&random, 20) == 0];
            struct writer w = {&random, text};
            put_object(&w, &shape, 0);
            size_t length = (size_t)(w.out - text);
            if (random_below(&random, 8) == 0) {
                text[random_below(&random, length)] = "\"\\,:{}[]01e. \n\x80"[random_below(&random, 15)];
            }
            if (!agree(projection, &layout, text, length, random_below(&random, 2) == 0, random_below(&random, 2))) {
                fail_msg("stream %d, text %d: %.*s", stream, i, (int)length, text);
            }
            fitted += tw_layout_fitted(&layout);
        }
    }
    assert_true(fitted > 300 * 60 / 2);
    tw_projection_destroy(projection);
}

/* --- lines --- */

enum { LINES = 40 };

/* What was read as lines is read as texts of known ends, too, as far as those are right. */
static void read_as_texts(struct tumble_layout *layout, const char *end, const struct tw_layout_line *read,
                          size_t count, const struct tumble_value *expected, uint64_t *random) {
    struct tumble_value values[LINES * COUNT];
    struct tw_layout_line lines[LINES];
    memcpy(lines, read, count * sizeof *lines);
    const size_t wrong = random_below(random, 4) ? count : random_below(random, count + 1);
    if (wrong < count) {
        lines[wrong].end--;
    }
    assert_int_equal(tw_layout_match_texts(layout, end, values, COUNT, lines, count), wrong);
    for (size_t i = 0; i < wrong; i++) {
        struct outcome one = {0}, other = {0};
        memcpy(one.values, values + i * COUNT, sizeof(struct tumble_value) * COUNT);
        memcpy(other.values, expected + i * COUNT, sizeof(struct tumble_value) * COUNT);
        assert_true(same_outcome(&one, &other, COUNT));
        assert_ptr_equal(lines[i].end, read[i].end);
    }
}

/* Lines that end with the memory, most of them laid out as the first. */
static void lines_are_read_as_each_alone(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct guarded memory = guarded_new();
    uint64_t random = 9;
    size_t read = 0;
    for (int stream = 0; stream < 200; stream++) {
        struct tumble_layout layout = {0};
        uint64_t shape = next_random(&random);
        for (int block = 0; block < 40; block++) {
            static char text[1 << 20];
            struct tumble_value values[LINES * COUNT];
            struct tw_layout_line lines[LINES];
            struct writer w = {&random, text};
            size_t length = 0, count = 1 + random_below(&random, LINES);
            for (size_t i = 0; i < count; i++) {
                uint64_t odd = next_random(&random), same = shape;
                char *begin = w.out;
                put_object(&w, random_below(&random, 60) ? &same : &odd, 0);
                put(&w, random_below(&random, 10) ? "\n" : "\r\n");
                if (w.out - text > 4000) {
                    w.out = begin;
                    break;
                }
                length = (size_t)(w.out - text);
            }
            const char *at = at_its_end(&memory, text, length), *end = at + length, *expected = at;
            struct tumble_layout before = layout;
            size_t got = tw_layout_match_lines(&layout, at, end, values, COUNT, lines, count);
            read_as_texts(&before, end, lines, got, values, &random);
            assert_true(got <= count);
            for (size_t i = 0; i < got; i++) {
                struct outcome general = {0}, like = {0};
                expected += i > 0 && *expected == '\r';
                assert_ptr_equal(lines[i].begin, expected + (i > 0));
                assert_int_equal(tumble_project(projection,
                                                (struct tumble_bytes){lines[i].begin, (size_t)(end - lines[i].begin)},
                                                1, general.values, &general.consumed, NULL),
                                 TUMBLE_OK);
                like.consumed = (size_t)(lines[i].end - lines[i].begin);
                memcpy(like.values, values + i * COUNT, sizeof(struct tumble_value) * COUNT);
                assert_true(same_outcome(&general, &like, COUNT));
                expected = lines[i].end;
            }
            read += got;
            if (length > 0) {
                agree(projection, &layout, at, (size_t)((const char *)memchr(at, '\n', length) - at), 1, true);
            }
        }
    }
    assert_true(read > 200 * 40);
    guarded_free(&memory);
    tw_projection_destroy(projection);
}

/* --- when it learns --- */

static void one_odd_text_does_not_cost_the_layout(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = {0};
    for (int i = 0; i < 20; i++) {
        assert_agree(projection, &layout, "{\"a\":1}");
    }
    assert_true(agree(projection, &layout, "{\"b\":1}", 7, 1, true));
    assert_false(tw_layout_fitted(&layout));
    assert_true(agree(projection, &layout, "{\"a\":2}", 7, 1, true));
    assert_true(tw_layout_fitted(&layout));
    tw_projection_destroy(projection);
}

static void a_new_layout_is_learned_at_its_second_text(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = {0};
    for (int i = 0; i < 20; i++) {
        assert_agree(projection, &layout, "{\"a\":1}");
    }
    for (int i = 0; i < 3; i++) {
        assert_true(agree(projection, &layout, "{\"b\":1}", 7, 1, true));
        assert_int_equal(tw_layout_fitted(&layout), i == 2);
    }
    tw_projection_destroy(projection);
}

static void learning_pauses_where_it_does_not_pay(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    struct tumble_layout layout = {0};
    uint32_t longest = 0;
    int learned = 0;
    for (int i = 0; i < 4000; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"a%d\":%d}", i, i);
        uint32_t parts = layout.part_count;
        assert_true(agree(projection, &layout, text, strlen(text), 1, true));
        assert_false(tw_layout_fitted(&layout));
        learned += parts == 0 && layout.part_count > 0;
        longest = layout.rest > longest ? layout.rest : longest;
    }
    assert_true(longest >= 256);
    assert_in_range(learned, 2, 40);
    for (int i = 0; i < 1200; i++) { /* it comes back */
        assert_agree(projection, &layout, "{\"a\":1}");
    }
    assert_true(tw_layout_fitted(&layout));
    tw_projection_destroy(projection);
}

static void what_is_too_large_is_not_learned(void **state) {
    (void)state;
    struct tumble_projection *projection = projection_of_paths();
    static char long_key[4096];
    static char many[4096] = "{\"l\":[0";
    snprintf(long_key, sizeof long_key, "{\"%0*d\":1}", TUMBLE_LAYOUT_BYTES, 0);
    for (int i = 0; i < TUMBLE_LAYOUT_PARTS; i++) {
        strcat(many, ",1");
    }
    strcat(many, "],\"a\":1}");
    const char *const texts[] = {long_key, many};
    for (size_t i = 0; i < 2; i++) {
        struct tumble_layout layout = {0};
        assert_agree(projection, &layout, texts[i]);
        assert_int_equal(layout.part_count, 0);
        assert_true(layout.rest > 0);
    }
    /* One byte less, and it is. */
    snprintf(long_key, sizeof long_key, "{\"%0*d\":1}", TUMBLE_LAYOUT_BYTES - 5, 0);
    struct tumble_layout layout = learned_from(projection, long_key);
    assert_agree(projection, &layout, long_key);
    tw_projection_destroy(projection);
}

/* A string as long as the one before is tried first: whatever stands in it or at its end, it is read as ever. */
static void strings_of_the_usual_length_are_read_as_any_other(void **state) {
    (void)state;
    static const char odd[] = "\"\\\x1f\x80\xc3\x20]}!#[";
    struct tumble_projection *projection = projection_of_paths();
    for (size_t length = 0; length <= 140; length += length < 70 ? 1 : 7) {
        char text[200];
        snprintf(
            text, sizeof text, "{\"a\":\"%.*s\",\"d\":12.5}", (int)length,
            "The quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog, and over it, "
            "and over it again, for ever and ever.");
        const struct tumble_layout learned = learned_from(projection, text);
        for (size_t at = 5; at < 8 + length; at++) {
            for (size_t i = 0; i < sizeof odd - 1; i++) {
                struct tumble_layout layout = learned;
                char changed[200];
                strcpy(changed, text);
                changed[at] = odd[i];
                if (!agree(projection, &layout, changed, strlen(changed), 1, true)) {
                    fail_msg("read differently: %s", changed);
                }
            }
        }
    }
    tw_projection_destroy(projection);
}

static void numbers_are_read_as_any_other_wherever_they_end(void **state) {
    (void)state;
    static const char *const numbers[] = {
        "0",
        "-0",
        "7",
        "-7",
        "00",
        "01",
        "-01",
        "1.",
        "1.5",
        "-1.25",
        "0.0",
        "00.5",
        ".5",
        "-",
        "-.5",
        "1..5",
        "1.5.2",
        "1e5",
        "1.5E+3",
        "1.5e",
        "123456789012345",
        "1234567890123456",
        "12345678901234567",
        "1234567.8901234",
        "12345678.9012345",
        "12345678.90123456",
        "123456789012345.",
        "123456789012345.6",
        "1a",
        "1:",
        "1;",
        "1/",
        "+1",
    };
    static const char *const behind[] = {"", "}", ",\"d\":1}", ",\"d\":123456789}", ",\"d\":12345678901234567890}"};
    struct tumble_projection *projection = projection_of_paths();
    for (size_t b = 0; b < sizeof behind / sizeof *behind; b++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            char text[100];
            snprintf(text, sizeof text, "{\"a\":1%s", behind[b]);
            struct tumble_layout layout = {0};
            agree(projection, &layout, text, strlen(text), 1, true);
            snprintf(text, sizeof text, "{\"a\":%s%s", numbers[i], behind[b]);
            assert_agree(projection, &layout, text);
        }
    }
    tw_projection_destroy(projection);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_may_change_with_their_types),
        cmocka_unit_test(containers_and_repeated_paths_are_found),
        cmocka_unit_test(other_shapes_are_read_the_usual_way),
        cmocka_unit_test(every_cut_of_a_known_layout_is_seen),
        cmocka_unit_test(every_changed_byte_of_a_known_layout_is_seen),
        cmocka_unit_test(values_of_settled_lengths_are_seen_to_change),
        cmocka_unit_test(values_of_settled_lengths_may_be_of_other_bytes),
        cmocka_unit_test(settled_lengths_may_change_for_good_and_back),
        cmocka_unit_test(random_streams_are_read_as_by_the_general_parser),
        cmocka_unit_test(lines_are_read_as_each_alone),
        cmocka_unit_test(strings_of_the_usual_length_are_read_as_any_other),
        cmocka_unit_test(numbers_are_read_as_any_other_wherever_they_end),
        cmocka_unit_test(one_odd_text_does_not_cost_the_layout),
        cmocka_unit_test(a_new_layout_is_learned_at_its_second_text),
        cmocka_unit_test(learning_pauses_where_it_does_not_pay),
        cmocka_unit_test(what_is_too_large_is_not_learned),
    };
    return cmocka_run_group_tests_name("layout", tests, NULL, NULL);
}
