#include "fuzz_target.h"

#include <string.h>

#include <tumble/lambda.h>

#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/layout_frame.h"

/* Texts separated by NUL bytes, read one after the other with one layout: whatever was learned from the earlier ones,
 * each is read as the general parser reads it. Then the same for changed copies of the last, also through a frame. */

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

/* A text that a frame fits is a record, and what the frame says of it is so. */
static void read_framed(struct tumble_layout *layout, const struct tw_layout_frame *frame, struct tumble_bytes text) {
    struct tumble_kinesis_record record;
    const struct tumble_value *const values = &record.data;
    struct tw_framed framed;
    size_t room = text.length + 64, consumed = 0, length = 0;
    char *out = malloc(room), *wanted = malloc(room);
    if (!out || !wanted) {
        abort();
    }
    struct tw_frame_read read = {text.data, text.data + text.length, text.data, out, room, text.length};
    if (tw_layout_frame_read(layout, frame, &read, &framed, 1)) {
        FUZZ_CHECK(tumble_kinesis_record_parse(text, 0, &record, &consumed, NULL) == TUMBLE_OK);
        FUZZ_CHECK(framed.begin == text.data && read.at == text.data + consumed);
        const struct tumble_bytes data = {record.data.text, record.data.length};
        FUZZ_CHECK(record.data.type == TUMBLE_TYPE_STRING && record.data.flags == 0 &&
                   tw_base64_decode(data, wanted, &length, NULL) == TUMBLE_OK && length == framed.length &&
                   memcmp(framed.data, wanted, length) == 0);
        for (size_t i = 1; i < MEMBERS; i++) {
            const struct tumble_bytes value = tw_framed_text(&framed, &frame->values[i]);
            FUZZ_CHECK(frame->values[i].type == values[i].type);
            FUZZ_CHECK(values[i].type == TUMBLE_TYPE_MISSING ||
                       (value.data == values[i].text && value.length == values[i].length && values[i].flags == 0));
        }
    }
    free(out);
    free(wanted);
}

/* Has it what a record must have, of the right types? A layout's texts need not. */
static bool is_record(const struct tw_layout_frame *frame) {
    unsigned others = 0;
    for (size_t i = 1; i < MEMBERS - 1; i++) {
        others |= 1u << frame->values[i].type;
    }
    return frame->values[2].type == TUMBLE_TYPE_STRING && frame->values[MEMBERS - 1].type == TUMBLE_TYPE_NUMBER &&
           (others & ~(1u << TUMBLE_TYPE_STRING | 1u << TUMBLE_TYPE_MISSING)) == 0;
}

static void read_frames(struct tumble_bytes text) {
    static const char bytes[] = "\"\\0,}:x\n\x80";
    struct tumble_layout layout = {0};
    struct tw_layout_frame frame;
    struct tumble_kinesis_record record;
    char *const out = malloc(text.length + 64), *const twice = malloc(2 * text.length + 1);
    if (!out || !twice) {
        abort();
    }
    size_t length = 0, consumed = 0;
    for (int i = 0; i < 300 && (i < 2 || layout.fitted); i++) {
        tumble_kinesis_record_decode_like(&layout, text, 1, &record, &consumed, out, text.length + 64, &length, NULL);
    }
    free(out);
    if (tw_layout_frame(&layout, MEMBERS, 0, &frame) && is_record(&frame)) {
        memcpy(twice, text.data, text.length);
        twice[text.length] = ',';
        memcpy(twice + text.length + 1, text.data, text.length);
        const struct tumble_bytes both = {twice, 2 * text.length + 1};
        read_framed(&layout, &frame, both);
        for (size_t at = 0; at < text.length; at += text.length / CHANGES + 1) {
            const char was = twice[at];
            twice[at] = bytes[at % (sizeof bytes - 1)];
            read_framed(&layout, &frame, both);
            twice[at] = was;
        }
    }
    free(twice);
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
            read_frames(text);
            return 0;
        }
        at = stop + 1;
    }
}
