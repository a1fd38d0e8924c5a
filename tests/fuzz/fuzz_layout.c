#include "fuzz_target.h"

#include <string.h>

#include <tumble/lambda.h>

#include "engine/codec/json_scan.h"

/* Texts separated by NUL bytes, read one after the other with one layout: whatever was learned from the earlier ones,
 * each is read as the general parser reads it. Then the same for changed copies of the last. */

static const char *const paths[] = {"a", "a.b", "a", "/a/0", "b", "data", "kinesis.data"};
enum { PATHS = sizeof paths / sizeof *paths, MEMBERS = 7, CHANGES = 64 };
_Static_assert(sizeof(struct tumble_kinesis_record) == MEMBERS * sizeof(struct tumble_value), "values only");

struct outcome {
    enum tumble_code code;
    size_t consumed;
    struct tumble_error err;
    struct tumble_value values[MEMBERS > PATHS ? MEMBERS : PATHS];
};

static void same(const struct outcome *a, const struct outcome *b, size_t count) {
    FUZZ_CHECK(a->code == b->code && a->consumed == b->consumed);
    if (a->code != TUMBLE_OK) {
        FUZZ_CHECK(a->err.byte == b->err.byte && strcmp(a->err.text, b->err.text) == 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct tumble_value *one = &a->values[i];
        const struct tumble_value *other = &b->values[i];
        FUZZ_CHECK(one->type == other->type && one->flags == other->flags && one->length == other->length);
        FUZZ_CHECK(one->type == TUMBLE_TYPE_MISSING || one->text == other->text);
    }
}

static void read_both_ways(const struct tumble_projection *projection, struct tumble_layout layouts[2],
                           struct tumble_bytes text) {
    for (int mode = 0; mode < 4; mode++) {
        struct outcome general = {.err.byte = -1};
        struct outcome like = {.err.byte = -1};
        struct tumble_kinesis_record record;
        int end = mode & 1;
        bool consume = mode & 2;
        general.code =
            tumble_project(projection, text, end, general.values, consume ? &general.consumed : NULL, &general.err);
        like.code = tumble_project_like(projection, &layouts[0], text, end, like.values,
                                        consume ? &like.consumed : NULL, &like.err);
        same(&general, &like, PATHS);
        general.consumed = like.consumed = 0;
        general.code =
            tumble_kinesis_record_parse(text, end, &record, consume ? &general.consumed : NULL, &general.err);
        memcpy(general.values, &record, sizeof record);
        like.code = tumble_kinesis_record_parse_like(&layouts[1], text, end, &record, consume ? &like.consumed : NULL,
                                                     &like.err);
        memcpy(like.values, &record, sizeof record);
        same(&general, &like, MEMBERS);
    }
}

/* Up to CHANGES copies of text that differ in a byte, and as many cut ones, each after text itself. */
static void read_changed(const struct tumble_projection *projection, const struct tumble_layout learned[2],
                         struct tumble_bytes text) {
    static const char bytes[] = "\"\\0,}:x\n\x80";
    size_t step = text.length / CHANGES + 1;
    for (size_t at = 0; at < text.length; at += step) {
        char *copy = malloc(text.length);
        if (!copy) {
            abort();
        }
        memcpy(copy, text.data, text.length);
        copy[at] = bytes[at % (sizeof bytes - 1)];
        struct tumble_layout layouts[2] = {learned[0], learned[1]};
        read_both_ways(projection, layouts, (struct tumble_bytes){copy, text.length});
        free(copy);
        copy = malloc(at ? at : 1);
        if (!copy) {
            abort();
        }
        memcpy(copy, text.data, at);
        layouts[0] = learned[0];
        layouts[1] = learned[1];
        read_both_ways(projection, layouts, (struct tumble_bytes){copy, at});
        free(copy);
    }
}

/* Reads text so often that its values count as settled. False: neither reader can be settled by it. */
static bool settle(const struct tumble_projection *projection, struct tumble_layout layouts[2],
                   struct tumble_bytes text) {
    struct tumble_value values[PATHS];
    struct tumble_kinesis_record record;
    bool fits[2] = {true, true};
    for (int i = 0; i < 300 && (fits[0] || fits[1]); i++) {
        fits[0] =
            fits[0] && (tumble_project_like(projection, &layouts[0], text, 1, values, NULL, NULL), layouts[0].fitted);
        fits[1] =
            fits[1] && (tumble_kinesis_record_parse_like(&layouts[1], text, 1, &record, NULL, NULL), layouts[1].fitted);
    }
    return layouts[0].run_count > 0 || layouts[1].run_count > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tumble_projection *projection;
    if (!projection) {
        struct tumble_bytes views[PATHS];
        for (size_t i = 0; i < PATHS; i++) {
            views[i] = tumble_bytes_of(paths[i]);
        }
        FUZZ_CHECK(tw_projection_new(views, PATHS, tw_alloc_default(), &projection, NULL) == TUMBLE_OK);
    }
    struct tumble_layout layouts[2] = {{0}};
    const char *at = (const char *)data;
    const char *end = at + size;
    for (;;) {
        const char *stop = size ? memchr(at, '\0', (size_t)(end - at)) : NULL;
        struct tumble_bytes text = {at, (size_t)((stop ? stop : end) - at)};
        read_both_ways(projection, layouts, text);
        if (!stop) {
            read_changed(projection, layouts, text);
            if (settle(projection, layouts, text)) {
                read_changed(projection, layouts, text);
            }
            return 0;
        }
        at = stop + 1;
    }
}
