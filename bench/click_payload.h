#ifndef TUMBLE_BENCH_CLICK_PAYLOAD_H
#define TUMBLE_BENCH_CLICK_PAYLOAD_H

/* One record of the click stream: its payload depends on the seed and its index only, never on the format around it. */

#include <stddef.h>
#include <stdint.h>

enum click_time { CLICK_TIME_MS, CLICK_TIME_S, CLICK_TIME_ISO };

struct click_options {
    uint64_t seed;
    uint64_t groups; /* event types */
    uint64_t users;
    int users_in_turn; /* user = index mod users, instead of at random */
    double rate;       /* records a second of event time */
    int64_t start_ms;
    uint64_t out_of_order_ms; /* timestamps go back by up to this */
    double null_rate;         /* part of the records whose amount is null */
    double escape_rate;       /* part of the records with backslash escapes in strings */
    double non_ascii_rate;    /* part of the records with a member of UTF-8 beyond ASCII */
    double mixed_rate;        /* part of the records with other members beside the five */
    int shuffle_keys;
    size_t payload_bytes; /* pads to at least this many */
    enum click_time time;
};

struct click {
    char *payload; /* owned by the caller: CLICK_PAYLOAD_BYTES + payload_bytes */
    size_t length;
    char user[24];
    size_t user_length;
    int64_t arrival_ms;
};

#define CLICK_PAYLOAD_BYTES 768

void click_make(const struct click_options *options, uint64_t index, struct click *out);

/* A number for (seed, index, use): the only source of randomness here. */
uint64_t click_random(uint64_t seed, uint64_t index, uint64_t use);

/* Decimal digits of value, zero-padded to width (0: none); returns their end. */
char *click_digits(char *at, uint64_t value, int width);

#endif
