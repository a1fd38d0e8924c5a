#ifndef TW_EVENT_EVENT_WALK_H
#define TW_EVENT_EVENT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/codec/json_lex.h"

/* The JSON around the records of a Lambda event, its members in any order, in one go or in pieces:
 *
 *     struct tw_event_walk walk = {.element_max = …, .no_event = "…", .err = err};
 *     tw_event_walk_see(&walk, bytes, is_last);
 *     while (tw_event_walk(&walk, &found) == TUMBLE_OK && found != TW_EVENT_OVER) {
 *         if (found == TW_EVENT_RECORD) { read one at walk.at and set walk.at behind it; tw_event_walk_taken(&walk); }
 *     }
 *
 * EMORE: what stands at walk.at (white space apart, and perhaps nothing) does not end within the bytes at hand. It can
 * be gone on with bytes that begin there; nothing of it has been found yet. What is found, and what is wrong at which
 * byte of the event, does not depend on where it was cut. */

enum tw_event_found {
    TW_EVENT_MEMBER,  /* key and value: any but an array of records */
    TW_EVENT_RECORDS, /* the member Records begins; its value is at at */
    TW_EVENT_RECORD,  /* one begins at at */
    TW_EVENT_OVER     /* the event was whole */
};

struct tw_event_walk {
    const char *begin; /* of the bytes at hand */
    const char *at;    /* read as far as here */
    const char *end;
    int64_t before;                 /* bytes of the event in front of begin */
    size_t element_max;             /* bytes of a record, or of another member; more is ELIMIT */
    const char *no_event;           /* begins the text of an event that is JSON but no such event */
    bool is_last;                   /* nothing comes behind end */
    bool in_a_row;                  /* what stands behind the event is not looked at */
    uint8_t stage;                  /* its own */
    struct tumble_value key, value; /* MEMBER: views into the bytes at hand */
    struct tumble_error *err;       /* may be NULL */
};

/* Bytes that begin at walk->at of those before. */
void tw_event_walk_see(struct tw_event_walk *walk, struct tumble_bytes bytes, bool is_last);

/* Errors: EMORE; EJSON, EUTF8, EDEPTH, EEVENT, ELIMIT, byte relative to the event. */
enum tumble_code tw_event_walk(struct tw_event_walk *walk, enum tw_event_found *found);

enum { TW_EVENT_AT_RECORD = 5, TW_EVENT_BEHIND_RECORD };

/* The record at at was read. */
static inline void tw_event_walk_taken(struct tw_event_walk *walk) { walk->stage = TW_EVENT_BEHIND_RECORD; }

/* The same, and the next record begins at at. False: tw_event_walk tells what does. */
static inline bool tw_event_walk_next_record(struct tw_event_walk *walk) {
    const char *const end = walk->end;
    const char *at = tw_lex_space(walk->at, end);
    if (TW_OFTEN(at < end && *at == ',')) {
        walk->at = tw_lex_space(at + 1, end);
        return TW_OFTEN(walk->at < end); /* a record stands there, at hand or not */
    }
    walk->stage = TW_EVENT_BEHIND_RECORD;
    return false;
}

/* What a record may be read from. */
static inline struct tumble_bytes tw_event_walk_rest(const struct tw_event_walk *walk, int *end_of_input) {
    struct tumble_bytes rest = {walk->at, (size_t)(walk->end - walk->at)};
    *end_of_input = walk->is_last;
    if (TW_RARELY(rest.length > walk->element_max)) {
        rest.length = walk->element_max;
        *end_of_input = 0;
    }
    return rest;
}

/* A record could not be read from there: errors count from the event's first byte, and EMORE may be ELIMIT. */
enum tumble_code tw_event_walk_failed(struct tw_event_walk *walk, enum tumble_code code) __attribute__((cold));

/* An error at at: what stands there is not expected, or the event ends there. */
enum tumble_code tw_event_walk_not_json(struct tw_event_walk *walk, const char *expected) __attribute__((cold));

/* What has been cut off at a piece's end, looked at byte by byte until it may be whole, so that it is parsed no more
 * than a few times however small pieces are. All zero is the beginning of an element. */
struct tw_event_skip {
    uint32_t depth;
    bool in_string;
    bool escaped; /* behind a backslash */
};

/* How many of the bytes to take: up to where the element may end, or all of them (*may_end false). */
size_t tw_event_skip(struct tw_event_skip *skip, struct tumble_bytes bytes, bool *may_end);

#endif
