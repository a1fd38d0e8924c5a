#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "codec/guarded.h"
#include "engine/codec/layout_read.h"

/* Each set of readers that this machine can run against loops over single bytes, between pages that nobody may touch:
 * texts that end, and that begin, with the memory, so that every alignment and every distance from either end occur. */

enum { LONGEST = 200 };

static const struct tw_layout_read *sets[3];
static size_t set_count;
static struct guarded memory, other;

static int choose_sets(void **state) {
    (void)state;
    sets[set_count++] = &tw_read_portable;
#if defined(TW_HAVE_AVX)
    if (tw_cpu_has_avx2()) {
        sets[set_count++] = &tw_read_avx2;
    }
    if (tw_cpu() == TW_CPU_AVX512) {
        sets[set_count++] = &tw_read_avx512;
    }
#elif defined(TW_HAVE_NEON)
    if (tw_cpu() == TW_CPU_NEON) {
        sets[set_count++] = &tw_read_neon;
    }
#endif
    memory = guarded_new();
    other = guarded_new();
    return 0;
}

static int clean_up(void **state) {
    (void)state;
    guarded_free(&memory);
    guarded_free(&other);
    return 0;
}

/* Where text of this length stands: at the end of the memory, at its begin, or anywhere. */
static char *place(const struct guarded *in, size_t length, uint64_t *random) {
    const size_t room = (size_t)(in->end - in->begin) - length;
    switch (random_below(random, 4)) {
    case 0: return in->begin;
    case 1: return in->begin + random_below(random, room + 1);
    default: return in->end - length;
    }
}

static void literals_are_compared_as_by_memcmp(void **state) {
    (void)state;
    uint64_t random = 21;
    for (int round = 0; round < 30000; round++) {
        const size_t left = random_below(&random, LONGEST), length = random_below(&random, LONGEST) % (left + 4);
        char *at = place(&memory, left, &random);
        char *literal = place(&other, length + TW_LAYOUT_PAD, &random);
        for (size_t i = 0; i < left; i++) {
            at[i] = (char)next_random(&random);
        }
        memset(literal, '?', length + TW_LAYOUT_PAD);
        memcpy(literal, at, length < left ? length : left);
        size_t differs = random_below(&random, 2 * length + 2); /* behind its end as often: that is no difference */
        if (differs < length + TW_LAYOUT_PAD) {
            literal[differs] = (char)(literal[differs] ^ (1 << random_below(&random, 8)));
        }
        const bool same = length <= left && memcmp(at, literal, length) == 0;
        for (size_t s = 0; s < set_count; s++) {
            assert_int_equal(sets[s]->same(at, left, literal, length), same);
        }
    }
}

static void a_difference_in_any_byte_of_a_literal_is_seen(void **state) {
    (void)state;
    for (size_t length = 1; length <= 100; length++) {
        for (size_t behind = 0; behind <= 33; behind++) { /* what is left behind it */
            char *at = memory.end - behind - length, *literal = other.end - TW_LAYOUT_PAD - length;
            memset(at, 'a', length + behind);
            memset(literal, 'a', length);
            memset(literal + length, 'b', TW_LAYOUT_PAD);
            for (size_t s = 0; s < set_count; s++) {
                assert_true(sets[s]->same(at, length + behind, literal, length));
                assert_false(sets[s]->same(at, length - 1, literal, length));
                for (size_t i = 0; i < length; i++) {
                    at[i] = 'A';
                    assert_false(sets[s]->same(at, length + behind, literal, length));
                    at[i] = 'a';
                }
            }
        }
    }
}

static void put_string_text(char *at, size_t length, size_t specials, uint64_t *random) {
    static const char special[] = "\"\"\\\x1f\x00\x7f !#[]\x80\xff\xc3";
    for (size_t i = 0; i < length; i++) {
        at[i] = (char)(0x20 + random_below(random, 0x60));
        if (at[i] == '"' || at[i] == '\\') {
            at[i] = 'x';
        }
    }
    for (size_t i = 0; length && i < specials; i++) {
        at[random_below(random, length)] = special[random_below(random, sizeof special - 1)];
    }
}

static const char *first_special(const char *at, const char *end) {
    while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80) {
        at++;
    }
    return at;
}

static void strings_end_where_their_first_special_byte_is(void **state) {
    (void)state;
    uint64_t random = 22;
    for (int round = 0; round < 60000; round++) {
        const size_t view = random_below(&random, LONGEST), from = random_below(&random, view + 1);
        char *begin = place(&memory, view, &random);
        put_string_text(begin, view, random_below(&random, 4), &random);
        const char *end = begin + view, *wanted = first_special(begin + from, end);
        for (size_t s = 0; s < set_count; s++) {
            assert_ptr_equal(sets[s]->scan_string(begin, begin + from, end), wanted);
        }
        assert_ptr_equal(tw_scan_string_simd(begin + from, end), wanted);
        assert_ptr_equal(tw_scan_string_portable(begin + from, end), wanted);
    }
}

static void every_byte_in_every_place_of_a_string_is_told_apart(void **state) {
    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        for (size_t length = 1; length <= 130; length += length < 66 ? 13 : 32) {
            char *at = memory.end - length;
            memset(at, 'a', length);
            for (size_t i = 0; i < length; i++) {
                at[i] = (char)byte;
                const char *wanted = first_special(at, memory.end);
                for (size_t s = 0; s < set_count; s++) {
                    assert_ptr_equal(sets[s]->scan_string(at, at, memory.end), wanted);
                }
                at[i] = 'a';
            }
        }
    }
}

/* Never said of what does not end there, and always of what does and is far from the end of the text. */
static void a_string_of_a_known_length_ends_there_or_does_not(void **state) {
    (void)state;
    uint64_t random = 23;
    size_t ended = 0;
    for (int round = 0; round < 60000; round++) {
        const size_t length = 1 + random_below(&random, LONGEST / 2);
        const size_t left = random_below(&random, 2) ? length + random_below(&random, 36) : length + 40;
        char *at = place(&memory, left, &random);
        put_string_text(at, left, random_below(&random, 3), &random);
        if (left > 0) {
            at[0] = '"';
        }
        if (left > length && random_below(&random, 8)) {
            at[length] = '"';
        }
        const bool ends = left > length && at[length] == '"' && first_special(at + 1, at + length) == at + length;
        for (size_t s = 0; s < set_count; s++) {
            const bool said = sets[s]->ends_at(at, left, length);
            assert_true(ends || !said);
            assert_true(said || !ends || left < length + 33);
        }
        ended += ends;
    }
    assert_true(ended > 10000);
}

static size_t digits_at(const char *at, const char *end) {
    const char *stop = at;
    while (stop < end && *stop >= '0' && *stop <= '9') {
        stop++;
    }
    return (size_t)(stop - at);
}

/* What tw_scan_number_in promises, by single bytes. */
static const char *ordinary_number(const char *begin, const char *at, const char *end) {
    at += *at == '-';
    size_t length = digits_at(at, end);
    if (end - begin < 16 || length == 0 || (*at == '0' && length > 1) || length >= 16 || at + length == end) {
        return NULL;
    }
    if (at[length] == '.') {
        size_t more = digits_at(at + length + 1, end);
        length += 1 + more;
        if (more == 0 || length >= 16 || at + length == end) {
            return NULL;
        }
    }
    return at[length] == 'e' || at[length] == 'E' ? NULL : at + length;
}

static void numbers_end_where_their_last_digit_is(void **state) {
    (void)state;
    uint64_t random = 24;
    size_t ordinary = 0;
    for (int round = 0; round < 200000; round++) {
        static const char any[] = "00123456789..-+eE ,}\"x\x80\n/:";
        const size_t view = 1 + random_below(&random, 48), from = random_below(&random, view);
        const size_t plain = random_below(&random, 20);
        char *begin = place(&memory, view, &random);
        for (size_t i = 0; i < view; i++) { /* longer and shorter rows of digits */
            bool digit = random_below(&random, 20) < plain;
            begin[i] = any[random_below(&random, digit ? 11 : sizeof any - 1)];
        }
        if (!memchr("-0123456789", begin[from], 11)) {
            continue;
        }
        const char *wanted = ordinary_number(begin, begin + from, begin + view);
        for (size_t s = 0; s < set_count; s++) {
#ifdef TW_SCAN_IN
            assert_ptr_equal(sets[s]->scan_number(begin, begin + from, begin + view), wanted);
#else
            assert_null(sets[s]->scan_number(begin, begin + from, begin + view));
#endif
        }
        ordinary += wanted != NULL;
    }
    assert_true(ordinary > 10000);
}

/* What a byte of a run may be: of a literal itself, of a value what is plain, of which a range is guessed or none. */
static void put_range(unsigned char *least, unsigned char *span, char byte, bool inside, uint64_t *random) {
    *least = (unsigned char)byte;
    *span = 0;
    if (inside && byte >= '0' && byte <= '9' && random_below(random, 2)) {
        *least = '0';
        *span = 9;
    } else if (inside && byte > '\\' && random_below(random, 2)) {
        *least = '\\' + 1;
        *span = 0x7f - '\\' - 1;
    } else if (inside) {
        *least = TW_LAYOUT_LOOSE_LEAST;
        *span = TW_LAYOUT_LOOSE;
    }
}

static void a_run_looks_as_its_ranges_say_or_does_not(void **state) {
    (void)state;
    struct guarded spans = guarded_new();
    uint64_t random = 25;
    size_t alike = 0, runs = 0;
    for (int round = 0; round < 60000; round++) {
        const size_t length = 32 + random_below(&random, LONGEST - 32);
        char text[LONGEST], inside[LONGEST];
        put_string_text(text, length, random_below(&random, 8), &random);
        for (size_t i = 0, value = 0, run = 0; i < length; i++, run--) {
            if (run == 0) {
                run = 1 + random_below(&random, 24);
                value = !value;
            }
            inside[i] = (char)(value ? -1 : 0);
        }
        unsigned char *least = (unsigned char *)(void *)(other.end - length);
        unsigned char *span = (unsigned char *)(void *)(spans.end - length);
        struct tw_layout_ranges ranges = {least, span, length, 0};
        for (size_t i = 0; i < length; i++) {
            put_range(&least[i], &span[i], text[i], inside[i], &random);
            ranges.loose |= (uint32_t)(span[i] == TW_LAYOUT_LOOSE) << i / 32;
        }
        char *at = memcpy(place(&memory, length, &random), text, length);
        for (size_t i = 0; i < length; i++) {
            if (span[i] && random_below(&random, 4)) { /* a value may be another */
                at[i] = (char)(least[i] + random_below(&random, span[i] + (size_t)1));
                at[i] = (char)(at[i] == '"' || at[i] == '\\' ? 'a' : at[i]);
            }
        }
        if (random_below(&random, 2)) {
            put_string_text(at + random_below(&random, length), 1, random_below(&random, 2), &random);
        }
        bool like = true;
        for (size_t i = 0; i < length; i++) {
            const unsigned char byte = (unsigned char)at[i];
            like = like && byte >= least[i] && byte <= least[i] + span[i] &&
                   (span[i] != TW_LAYOUT_LOOSE || first_special(at + i, at + i + 1) == at + i + 1);
        }
        alike += like;
        for (size_t s = 0; s < set_count; s++) {
            if (sets[s]->looks_like) {
                assert_int_equal(sets[s]->looks_like(at, &ranges), like);
                runs++;
            }
        }
    }
    guarded_free(&spans);
    assert_in_range(alike, 10000, 50000);
    assert_true(runs > 0 || tw_cpu() == TW_CPU_PORTABLE);
}

static void every_byte_in_every_place_of_a_run_is_told_apart(void **state) {
    (void)state;
    static const struct {
        unsigned char least, span;
    } kinds[] = {{'x', 0}, {'0', 9}, {'1', 8}, {'#', '[' - '#'}, {']', 0x7f - ']'}, {0x20, 0x5f}};
    for (size_t length = 32; length < LONGEST; length += 31) {
        unsigned char *least = (unsigned char *)(void *)(other.end - 2 * LONGEST), *span = least + LONGEST;
        char *at = memory.end - length;
        for (size_t place = 0; place < length; place++) {
            for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
                memset(least, 'x', length);
                memset(span, 0, length);
                memset(at, 'x', length);
                least[place] = kinds[kind].least;
                span[place] = kinds[kind].span;
                const bool loose = kinds[kind].span == TW_LAYOUT_LOOSE;
                const struct tw_layout_ranges ranges = {least, span, length, (uint32_t)loose << place / 32};
                for (int byte = 0; byte < 256; byte++) {
                    at[place] = (char)byte;
                    const bool like = byte >= least[place] && byte <= least[place] + span[place] &&
                                      (!loose || (byte != '"' && byte != '\\'));
                    for (size_t s = 0; s < set_count; s++) {
                        if (sets[s]->looks_like) {
                            assert_int_equal(sets[s]->looks_like(at, &ranges), like);
                        }
                    }
                }
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_compared_as_by_memcmp),
        cmocka_unit_test(a_difference_in_any_byte_of_a_literal_is_seen),
        cmocka_unit_test(strings_end_where_their_first_special_byte_is),
        cmocka_unit_test(every_byte_in_every_place_of_a_string_is_told_apart),
        cmocka_unit_test(a_string_of_a_known_length_ends_there_or_does_not),
        cmocka_unit_test(numbers_end_where_their_last_digit_is),
        cmocka_unit_test(a_run_looks_as_its_ranges_say_or_does_not),
        cmocka_unit_test(every_byte_in_every_place_of_a_run_is_told_apart),
    };
    return cmocka_run_group_tests_name("layout_read", tests, choose_sets, clean_up);
}
