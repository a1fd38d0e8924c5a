#ifndef TW_CODEC_LAYOUT_FRAME_H
#define TW_CODEC_LAYOUT_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include <tumble/bytes.h>
#include <tumble/projection.h>

#include "engine/codec/layout_read.h"

/* What a layout mostly is for a record of an event: one base64 string, whose length varies, between two runs that do
 * not. Then texts one behind the other are read many at once, without a value of theirs being put anywhere: each stands
 * so many bytes behind one of two places. What fits a frame fits its layout, with the same values; what does not goes
 * to tw_layout_match. A frame is of the layout as it is now: tw_layout_match and tw_layout_learn make it stale. */

enum { TW_FRAME_VALUES = 8, TW_FRAME_BYTES = TUMBLE_LAYOUT_RUN_BYTES + 2 * 64 };

struct tw_layout_frame {
    /* Of both runs, each filled up to whole lines with bytes that may be any. */
    unsigned char least[TW_FRAME_BYTES] __attribute__((aligned(64)));
    unsigned char span[TW_FRAME_BYTES] __attribute__((aligned(64)));
    struct tw_layout_ranges front, back;
    size_t front_length, back_length;
    struct tw_frame_value {
        uint8_t type; /* MISSING: no text has it, or it is the string */
        bool behind;  /* the string */
        uint16_t offset, length;
    } values[TW_FRAME_VALUES];
};

/* Such as it is read from one of the texts. */
struct tw_framed {
    const char *begin, *behind; /* of the text; what stands behind the string */
    const char *data;           /* what the string decodes to */
    size_t length;
};

static inline struct tumble_bytes tw_framed_text(const struct tw_framed *text, const struct tw_frame_value *value) {
    const char *const from = value->behind ? text->behind : text->begin;
    return (struct tumble_bytes){from + value->offset, value->length};
}

/* The frame of a layout for count values, of which string is the one in the middle. False: it has none, or this machine
 * reads no runs. */
bool tw_layout_frame(const struct tumble_layout *layout, size_t count, size_t string, struct tw_layout_frame *frame);

/* From now on fit only texts in which a value, a string, begins with a text. False: that cannot be told. */
bool tw_frame_begins(struct tw_layout_frame *frame, const struct tw_frame_value *value, struct tumble_bytes text);

/* Where texts are read from and their strings written to, each behind a newline. */
struct tw_frame_read {
    const char *at, *end;
    const char *fetched; /* into the cache, up to here; from end on nothing is */
    char *out;
    size_t room;
    size_t longest; /* text */
};

/* Texts lie in memory, not in a cache, and jumps from one to the next hide from the processor that they are read in
 * order: what stands some way behind at is fetched, as far as it was not. */
static inline void tw_fetch_ahead(const char **fetched, const char *at, const char *end) {
    enum { AHEAD = 8192, LINE = 64 };
    if (TW_OFTEN(end - at > AHEAD)) {
        for (const char *const until = at + AHEAD - 4 * LINE; *fetched < until; *fetched += 4 * LINE) {
            __builtin_prefetch(*fetched);
            __builtin_prefetch(*fetched + LINE);
            __builtin_prefetch(*fetched + 2 * LINE);
            __builtin_prefetch(*fetched + 3 * LINE);
        }
    }
}

/* Reads texts with a comma between them, at most so many. Moves read behind the last: at, out, and room. */
size_t tw_layout_frame_read(struct tumble_layout *layout, const struct tw_layout_frame *frame,
                            struct tw_frame_read *read, struct tw_framed *texts, size_t most);

#endif
