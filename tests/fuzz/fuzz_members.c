#include "fuzz_target.h"

#include <string.h>

#include "engine/codec/json_scan.h"
#include "engine/codec/members.h"

/* Texts separated by NUL bytes, read all at once, then again when their members have been learned, then changed copies
 * of the last: a text fits if and only if tumble_project accepts it, and means the same. */

static const char *const paths[] = {"a", "b.c", "a", "/b", "customerId", "customerName", "eventType", "amount", "/0"};
enum { PATHS = sizeof paths / sizeof *paths, TEXTS = 40, CHANGES = 64 };

static const struct tumble_projection *projection;

static void same(const struct tumble_bytes *text, const struct tumble_value *values, bool fits) {
    struct tumble_value wanted[PATHS];
    FUZZ_CHECK(fits == (tumble_project(projection, *text, 1, wanted, NULL, NULL) == TUMBLE_OK));
    for (size_t i = 0; fits && i < PATHS; i++) {
        FUZZ_CHECK(values[i].type == wanted[i].type && values[i].flags == wanted[i].flags);
        FUZZ_CHECK(values[i].length == wanted[i].length);
        FUZZ_CHECK(values[i].type == TUMBLE_TYPE_MISSING || values[i].text == wanted[i].text);
    }
}

static void read_all(struct tw_members *members, const struct tumble_bytes *texts, size_t count,
                     struct tumble_bytes around) {
    struct tumble_value values[TEXTS * PATHS];
    bool fits[TEXTS];
    members->apart = 0; /* every text is tried */
    size_t fit = tw_members_project(members, projection, texts, count, around, values, fits);
    for (size_t i = 0; i < count; i++) {
        same(&texts[i], values + i * PATHS, fits[i]);
        fit -= fits[i];
    }
    FUZZ_CHECK(fit == 0);
}

/* The text alone: in memory of just its size, and in front of bytes that look as if it went on. */
static void read_one(const struct tw_members *known, const char *data, size_t length, const char *more) {
    static const struct tumble_bytes nowhere;
    struct tw_members members = *known;
    char *copy = malloc(length ? length : 1), *padded = malloc(length + TW_MEMBERS_PAD);
    if (!copy || !padded) {
        abort();
    }
    if (length) {
        memcpy(copy, data, length);
        memcpy(padded, data, length);
    }
    memcpy(padded + length, more, TW_MEMBERS_PAD);
    const struct tumble_bytes text = {copy, length}, other = {padded, length};
    read_all(&members, &text, 1, nowhere);
    members = *known;
    read_all(&members, &other, 1, (struct tumble_bytes){padded, length + TW_MEMBERS_PAD});
    free(copy);
    free(padded);
}

/* Up to CHANGES copies of text that differ in a byte, and as many cut ones. */
static void read_changed(const struct tw_members *known, const char *data, size_t length) {
    static const char bytes[] = "\"\\0,}:x\n\x80-.";
    const size_t step = length / CHANGES + 1;
    char more[TW_MEMBERS_PAD];
    for (size_t i = 0; i < sizeof more; i++) {
        more[i] = length ? data[(i + length / 2) % length] : '}';
    }
    char *copy = malloc(length ? length : 1);
    if (!copy) {
        abort();
    }
    for (size_t at = 0; at < length; at += step) {
        memcpy(copy, data, length);
        copy[at] = bytes[(at / step) % (sizeof bytes - 1)];
        read_one(known, copy, length, more);
        read_one(known, data, at, more);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!projection) {
        struct tumble_bytes views[PATHS];
        struct tumble_projection *made;
        for (size_t i = 0; i < PATHS; i++) {
            views[i] = tumble_bytes_of(paths[i]);
        }
        FUZZ_CHECK(tw_projection_new(views, PATHS, tw_alloc_default(), &made, NULL) == TUMBLE_OK);
        projection = made;
    }
    struct tw_members members = {0};
    struct tumble_bytes texts[TEXTS];
    size_t count = 0;
    char *const copy = malloc(size + TW_MEMBERS_PAD);
    if (!copy) {
        abort();
    }
    if (size) {
        memcpy(copy, data, size);
    }
    memset(copy + size, '"', TW_MEMBERS_PAD);
    const char *at = copy;
    const char *const end = at + size;
    for (const char *stop = at; stop && count < TEXTS; at = stop ? stop + 1 : end) {
        stop = size ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        texts[count++] = (struct tumble_bytes){at, (size_t)((stop ? stop : end) - at)};
    }
    const struct tumble_bytes around = {copy, size + TW_MEMBERS_PAD};
    read_all(&members, texts, count, around);
    read_all(&members, texts, count, around);
    read_changed(&members, texts[count - 1].data, texts[count - 1].length);
    free(copy);
    return 0;
}
