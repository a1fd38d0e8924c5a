#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command_line.h"
#include "bench/timing.h"
#include "engine/aggregate/total.h"

/* What exactness costs: texts of numbers as a click stream has them, read and added up, by the engine's own functions
 * and in doubles. A double is made twice, by strtod and as a quick parser makes it: digits into an integer, then one
 * division by a power of ten, which is right for 15 digits (Clinger, "How to read floating point numbers accurately",
 * 1990). Rounds are interleaved; the table shows medians.
 *
 *     build/release/bin/tumble-sums [ROUNDS] */

static const char program[] = "tumble-sums";
static const char usage[] =
    "Usage: tumble-sums [ROUNDS]\n"
    "Nanoseconds to read a number's text and add it to one of 16 sums, exactly and in doubles: median,\n"
    "least and most of ROUNDS (21; 1 to 1000) of 131,072 numbers each.\n";

enum { VALUES = 1 << 17, GROUPS = 16, TURNS = 1, WAYS = 3, ROUNDS_MOST = 1000 };

static char text[VALUES * 8]; /* "12.34", one behind the other, each with a comma */
static size_t begins[VALUES + 1];

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-sums: %s\n", what);
        exit(1);
    }
}

/* Amounts of 0.01 to 99.99 as JSON has them: without zeros at their end. */
static void make_texts(void) {
    size_t at = 8; /* the eight bytes before a number may be read */
    memset(text, ',', sizeof text);
    for (size_t i = 0; i < VALUES; i++) {
        begins[i] = at;
        at += (size_t)snprintf(text + at, 8, "%.15g,", (double)(1 + draw(9999)) / 100);
        must(at + 8 < sizeof text, "the texts take more room than there is");
    }
    begins[VALUES] = at;
}

static size_t group_of(size_t value) { return (value * 2654435761u >> 7) % GROUPS; }

static double exact(void) {
    struct tw_total totals[GROUPS];
    struct tw_heap heap;
    tw_heap_init(&heap, tw_alloc_default());
    memset(totals, 0, sizeof totals);
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < VALUES; i++) {
            struct tw_decimal number;
            must(tw_decimal_parse_in(&number, text, text + begins[i], begins[i + 1] - begins[i] - 1, NULL) == TUMBLE_OK,
                 "a number cannot be read");
            tw_total_add(&totals[group_of(i)], &number, &heap);
        }
    }
    tw_int128 all = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        tw_int128 low = (tw_int128)(((tw_uint128)(uint64_t)totals[g].high << 64) | totals[g].low);
        all += low * (tw_int128)tw_power_of_ten[totals[g].exponent + 2];
    }
    tw_heap_clean_up(&heap);
    return (double)all / 100;
}

static double by_strtod(void) {
    double totals[GROUPS] = {0}, all = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < VALUES; i++) {
            totals[group_of(i)] += strtod(text + begins[i], NULL);
        }
    }
    for (size_t g = 0; g < GROUPS; g++) {
        all += totals[g];
    }
    return all;
}

static double by_division(void) {
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    double totals[GROUPS] = {0}, all = 0;
    for (size_t turn = 0; turn < TURNS; turn++) {
        for (size_t i = 0; i < VALUES; i++) {
            const char *at = text + begins[i], *const end = text + begins[i + 1] - 1, *point = end - 1;
            const double sign = *at == '-' ? -1 : 1;
            uint64_t digits = 0;
            for (at += *at == '-'; at < end; at++) {
                if (*at == '.') {
                    point = at;
                } else {
                    digits = digits * 10 + (uint64_t)(*at - '0');
                }
            }
            totals[group_of(i)] += sign * (double)digits / powers[end - 1 - point];
        }
    }
    for (size_t g = 0; g < GROUPS; g++) {
        all += totals[g];
    }
    return all;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        double (*sum)(void);
    } ways[WAYS] = {{"exact decimals", exact}, {"doubles, one division", by_division}, {"doubles, strtod", by_strtod}};
    static double ns[WAYS][ROUNDS_MOST];
    command_words(program, argc, argv, 1, usage);
    long rounds = argc > 1 ? (long)command_whole(program, "ROUNDS", argv[1], 1, ROUNDS_MOST) : 21;
    make_texts();
    double sums[WAYS];
    for (long round = 0; round < rounds; round++) {
        for (int way = 0; way < WAYS; way++) {
            double began = now_ns();
            sums[way] = ways[way].sum();
            ns[way][round] = (now_ns() - began) / (TURNS * VALUES);
        }
    }
    printf("%-24s %10s %10s %10s   ns a number, from its text into a sum; %ld rounds\n", "sums", "median", "min", "max",
           rounds);
    for (int way = 0; way < WAYS; way++) {
        double difference = sums[way] - sums[0];
        must(difference < 1e-6 * sums[0] && difference > -1e-6 * sums[0], "the sums differ");
        qsort(ns[way], (size_t)rounds, sizeof(double), ascending);
        printf("%-24s %10.1f %10.1f %10.1f\n", ways[way].name, ns[way][rounds / 2], ns[way][0], ns[way][rounds - 1]);
    }
    return command_end(program);
}
