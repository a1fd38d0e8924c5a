#include "engine/codec/layout_frame.h"

#include <string.h>

#include "engine/codec/layout.h"

enum {
    LINE = 64,
    LOOK_AGAIN = 256 /* texts, of which tw_layout_match wants to see one */
};

/* ---- making one ---- */

static size_t lines_of(size_t length) { return (length + LINE - 1) / LINE * LINE; }

/* Puts a run at from. */
static bool put_run(const struct tumble_layout *layout, const struct tumble_layout_run *run,
                    struct tw_layout_frame *frame, size_t from, bool behind, struct tw_layout_ranges *ranges) {
    const size_t length = lines_of(run->length);
    *ranges = (struct tw_layout_ranges){frame->least + from, frame->span + from, length, run->loose};
    memcpy(frame->least + from, layout->least + run->from, run->length);
    memcpy(frame->span + from, layout->span + run->from, run->length);
    memset(frame->least + from + run->length, 0, length - run->length);
    memset(frame->span + from + run->length, UINT8_MAX, length - run->length);
    for (size_t i = 0; i < run->places; i++) {
        const struct tumble_layout_place *place = &layout->places[run->place + i];
        if (place->looked_at || (place->target != TW_LAYOUT_NOBODY && place->value.length > UINT16_MAX)) {
            return false;
        }
        if (place->target != TW_LAYOUT_NOBODY) {
            frame->values[place->target] = (struct tw_frame_value){.type = place->value.type,
                                                                   .behind = behind,
                                                                   .offset = place->offset,
                                                                   .length = (uint16_t)place->value.length};
        }
    }
    return true;
}

bool tw_layout_frame(const struct tumble_layout *layout, size_t count, size_t string, struct tw_layout_frame *frame) {
    if (layout->run_count < 2 || layout->span_count || count > TW_FRAME_VALUES || !layout->parts[0].run ||
        !tw_layout_reads_runs()) {
        return false;
    }
    const struct tumble_layout_run *const front = &layout->runs[layout->parts[0].run - 1];
    const struct tumble_layout_part *const slot = &layout->parts[front->parts];
    if (front->parts + 2u > layout->part_count || slot->target != string || !slot[1].run) {
        return false;
    }
    const struct tumble_layout_run *const back = &layout->runs[slot[1].run - 1];
    if (front->parts + 2u + back->parts != layout->part_count) {
        return false;
    }
    memset(frame->values, 0, sizeof frame->values);
    frame->front_length = front->length;
    frame->back_length = back->length;
    return put_run(layout, front, frame, 0, false, &frame->front) &&
           put_run(layout, back, frame, lines_of(front->length), true, &frame->back);
}

static size_t place_of(const struct tw_layout_frame *frame, const struct tw_frame_value *value) {
    return (value->behind ? frame->front.length : 0) + value->offset;
}

static bool allows(const struct tw_layout_frame *frame, size_t at, unsigned char byte) {
    return byte != '"' && byte != '\\' && (unsigned char)(byte - frame->least[at]) <= frame->span[at];
}

bool tw_frame_begins(struct tw_layout_frame *frame, const struct tw_frame_value *value, struct tumble_bytes text) {
    const size_t from = place_of(frame, value);
    if (text.length > value->length) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (!allows(frame, from + i, byte)) {
            return false;
        }
        frame->least[from + i] = byte;
        frame->span[from + i] = 0;
    }
    return true;
}

/* ---- reading ---- */

static inline __attribute__((always_inline)) size_t read_any(const struct tw_layout_frame *frame,
                                                             struct tw_frame_read *read, struct tw_framed *texts,
                                                             size_t most, const struct tw_layout_read *how) {
    const struct tw_layout_ranges front = frame->front, back = frame->back;
    const size_t front_length = frame->front_length, back_length = frame->back_length;
    const char *at = read->at;
    const char *const end = read->end;
    char *out = read->out;
    size_t n = 0, room = read->room;
    while (n < most) {
        size_t length;
        tw_fetch_ahead(&read->fetched, at, end);
        if (TW_RARELY((size_t)(end - at) <= front.length || room < 2) || TW_RARELY(!how->looks_like(at, &front)) ||
            TW_RARELY(at[front_length] != '"')) {
            break;
        }
        const char *const string = at + front_length + 1;
        const size_t taken = how->decode_quoted(string, (size_t)(end - string), out + 1, room - 2, &length);
        if (TW_RARELY(taken == TW_BASE64_UNQUOTED)) {
            break;
        }
        const char *const behind = string + taken + 1;
        if (TW_RARELY((size_t)(end - behind) <= back.length) || TW_RARELY(!how->looks_like(behind, &back))) {
            break;
        }
        const char *const stop = behind + back_length;
        if (TW_RARELY((size_t)(stop - at) > read->longest)) {
            break;
        }
        out[0] = '\n';
        texts[n++] = (struct tw_framed){at, behind, out + 1, length};
        out += length + 1;
        room -= length + 1;
        read->at = stop;
        at = stop + 1;
        if (TW_RARELY(*stop != ',')) {
            break;
        }
    }
    read->out = out;
    read->room = room;
    return n;
}

#if defined(TW_HAVE_AVX)
static TW_AVX2 __attribute__((noinline)) size_t
read_avx2(const struct tw_layout_frame *frame, struct tw_frame_read *read, struct tw_framed *texts, size_t most) {
    return read_any(frame, read, texts, most, &tw_read_avx2);
}

static TW_AVX512 __attribute__((noinline)) size_t
read_avx512(const struct tw_layout_frame *frame, struct tw_frame_read *read, struct tw_framed *texts, size_t most) {
    return read_any(frame, read, texts, most, &tw_read_avx512);
}

static inline size_t read_best(const struct tw_layout_frame *frame, struct tw_frame_read *read, struct tw_framed *texts,
                               size_t most) {
    return tw_cpu() == TW_CPU_AVX512 ? read_avx512(frame, read, texts, most) : read_avx2(frame, read, texts, most);
}
#elif defined(TW_HAVE_NEON)
static inline size_t read_best(const struct tw_layout_frame *frame, struct tw_frame_read *read, struct tw_framed *texts,
                               size_t most) {
    return read_any(frame, read, texts, most, &tw_read_neon);
}
#else
static inline size_t read_best(const struct tw_layout_frame *frame, struct tw_frame_read *read, struct tw_framed *texts,
                               size_t most) {
    (void)frame;
    (void)read;
    (void)texts;
    (void)most;
    return 0;
}
#endif

size_t tw_layout_frame_read(struct tumble_layout *layout, const struct tw_layout_frame *frame,
                            struct tw_frame_read *read, struct tw_framed *texts, size_t most) {
    const size_t until = LOOK_AGAIN - 1 - layout->fits % LOOK_AGAIN;
    const size_t count = read_best(frame, read, texts, most < until ? most : until);
    if (count) {
        layout->fits += (uint32_t)count;
        layout->fitted = 1;
        layout->missed = 0;
    }
    return count;
}
