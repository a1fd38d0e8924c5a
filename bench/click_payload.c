#include "bench/click_payload.h"

#include <string.h>
#include <time.h>

/* SplitMix64's finaliser (Steele, Lea, Flood 2014) over a counter: any record can be made without those before it. */
uint64_t click_random(uint64_t seed, uint64_t index, uint64_t use) {
    uint64_t z = (seed + index * 32 + use + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

enum {
    USE_UUID_HIGH,
    USE_UUID_LOW,
    USE_USER,
    USE_TYPE,
    USE_AMOUNT,
    USE_TIME,
    USE_NULL,
    USE_ESCAPE,
    USE_ORDER,
    USE_SHAPE,
    USE_CITY
};

/* Uniform in [0, n), n < 2^32. */
static uint64_t below(uint64_t random, uint64_t n) { return ((random >> 32) * n) >> 32; }

/* In [0, n), small numbers more often: the square of a uniform number. */
static uint64_t skewed_below(uint64_t random, uint64_t n) {
    uint64_t u = random >> 32;
    return (((u * u) >> 32) * n) >> 32;
}

static int happens(uint64_t random, double rate) { return rate > 0 && (double)(random >> 11) * 0x1p-53 < rate; }

char *click_digits(char *at, uint64_t value, int width) {
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (; width > count; width--) {
        *at++ = '0';
    }
    while (count) {
        *at++ = digits[--count];
    }
    return at;
}

static char *text(char *at, const char *literal) {
    size_t length = strlen(literal);
    memcpy(at, literal, length);
    return at + length;
}

static char *put_uuid(char *at, uint64_t high, uint64_t low) {
    static const char hex[] = "0123456789abcdef";
    high = (high & ~UINT64_C(0xf000)) | UINT64_C(0x4000); /* version 4, variant 1 */
    low = (low & ~(UINT64_C(3) << 62)) | (UINT64_C(2) << 62);
    for (int i = 0; i < 32; i++) {
        uint64_t half = i < 16 ? high : low;
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            *at++ = '-';
        }
        *at++ = hex[(half >> (60 - 4 * (i & 15))) & 15];
    }
    return at;
}

static const char *const event_types[] = {"page_view", "click",    "search",   "add_to_cart", "purchase", "scroll",
                                          "login",     "wishlist", "checkout", "logout",      "refund",   "share"};

static char *put_type(char *at, uint64_t type, int escaped) {
    if (type >= sizeof event_types / sizeof *event_types) {
        at = text(at, escaped ? "\\u0074ype-" : "type-");
        return click_digits(at, type, 6);
    }
    const char *name = event_types[type];
    if (escaped) { /* the same string in other bytes */
        static const char hex[] = "0123456789abcdef";
        at = text(at, "\\u00");
        *at++ = hex[(unsigned char)name[0] >> 4];
        *at++ = hex[name[0] & 15];
        name++;
    }
    return text(at, name);
}

static char *put_time(char *at, int64_t ms, enum click_time form) {
    if (form == CLICK_TIME_MS) {
        return click_digits(at, (uint64_t)ms, 0);
    }
    if (form == CLICK_TIME_S) {
        at = click_digits(at, (uint64_t)ms / 1000, 0);
        *at++ = '.';
        return click_digits(at, (uint64_t)ms % 1000, 3);
    }
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    *at++ = '"';
    at = click_digits(at, (uint64_t)utc.tm_year + 1900, 4);
    *at++ = '-';
    at = click_digits(at, (uint64_t)utc.tm_mon + 1, 2);
    *at++ = '-';
    at = click_digits(at, (uint64_t)utc.tm_mday, 2);
    *at++ = 'T';
    at = click_digits(at, (uint64_t)utc.tm_hour, 2);
    *at++ = ':';
    at = click_digits(at, (uint64_t)utc.tm_min, 2);
    *at++ = ':';
    at = click_digits(at, (uint64_t)utc.tm_sec, 2);
    *at++ = '.';
    at = click_digits(at, (uint64_t)ms % 1000, 3);
    return text(at, "Z\"");
}

enum { MEMBER_EVENT_ID, MEMBER_USER, MEMBER_TYPE, MEMBER_TIME, MEMBER_AMOUNT, MEMBERS };

void click_make(const struct click_options *options, uint64_t index, struct click *out) {
    uint64_t seed = options->seed;
    int escaped = happens(click_random(seed, index, USE_ESCAPE), options->escape_rate);
    uint64_t user =
        options->users_in_turn ? index % options->users : below(click_random(seed, index, USE_USER), options->users);
    out->user_length = (size_t)(click_digits(text(out->user, "user-"), user, 6) - out->user);
    out->arrival_ms = options->start_ms + (int64_t)((double)index * 1000.0 / options->rate);
    int64_t time_ms = out->arrival_ms;
    if (options->out_of_order_ms) {
        time_ms -= (int64_t)below(click_random(seed, index, USE_TIME), options->out_of_order_ms + 1);
    }
    time_ms = time_ms < 0 ? 0 : time_ms;

    unsigned char order[MEMBERS] = {MEMBER_EVENT_ID, MEMBER_USER, MEMBER_TYPE, MEMBER_TIME, MEMBER_AMOUNT};
    if (options->shuffle_keys) {
        uint64_t random = click_random(seed, index, USE_ORDER);
        for (unsigned i = MEMBERS - 1; i > 0; i--) {
            unsigned j = (unsigned)(random % (i + 1));
            random /= i + 1;
            unsigned char swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
    }

    char *at = out->payload;
    *at++ = '{';
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (i) {
            *at++ = ',';
        }
        switch (order[i]) {
        case MEMBER_EVENT_ID:
            at = text(at, "\"eventId\":\"");
            at = put_uuid(at, click_random(seed, index, USE_UUID_HIGH), click_random(seed, index, USE_UUID_LOW));
            *at++ = '"';
            break;
        case MEMBER_USER:
            at = text(at, "\"userId\":\"");
            memcpy(at, out->user, out->user_length);
            at += out->user_length;
            *at++ = '"';
            break;
        case MEMBER_TYPE:
            at = text(at, "\"eventType\":\"");
            at = put_type(at, skewed_below(click_random(seed, index, USE_TYPE), options->groups), escaped);
            *at++ = '"';
            break;
        case MEMBER_TIME:
            at = text(at, "\"timestamp\":");
            at = put_time(at, time_ms, options->time);
            break;
        default:
            at = text(at, "\"amount\":");
            if (happens(click_random(seed, index, USE_NULL), options->null_rate)) {
                at = text(at, "null");
                break;
            }
            uint64_t cents = 1 + skewed_below(click_random(seed, index, USE_AMOUNT), 3000);
            at = click_digits(at, cents / 100, 0);
            *at++ = '.';
            at = click_digits(at, cents % 100, 2);
            break;
        }
    }
    if (escaped) {
        at = text(at, ",\"note\":\"\\\"caf\\u00e9\\\" \\ud83d\\ude00\\n\"");
    }
    static const char *const cities[] = {"Zürich", "東京", "Αθήνα", "São Paulo", "Київ 🌻"};
    if (happens(click_random(seed, index, USE_CITY), options->non_ascii_rate)) {
        at = text(text(text(at, ",\"city\":\""), cities[index % 5]), "\"");
    }
    uint64_t shape = click_random(seed, index, USE_SHAPE);
    if (happens(shape, options->mixed_rate)) { /* one of seven other sets of members */
        unsigned members = 1 + (unsigned)(shape >> 8) % 7;
        at = members & 1 ? text(at, ",\"referrer\":\"https://example.org/a/b?c=d\"") : at;
        at = members & 2 ? text(at, ",\"geo\":{\"lat\":47.3769,\"lon\":8.5417,\"tags\":[\"a\",\"b\"]}") : at;
        at = members & 4 ? text(at, ",\"session\":1234567,\"first\":true,\"campaign\":null") : at;
    }
    static const char pad[] = ",\"padding\":\"";
    size_t used = (size_t)(at - out->payload) + 1;
    if (used < options->payload_bytes) {
        at = text(at, pad);
        used += sizeof pad; /* its closing quote counts for the NUL */
        if (used < options->payload_bytes) {
            memset(at, 'x', options->payload_bytes - used);
            at += options->payload_bytes - used;
        }
        *at++ = '"';
    }
    *at++ = '}';
    out->length = (size_t)(at - out->payload);
}
