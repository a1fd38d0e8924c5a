#ifndef TW_ENGINE_RECORD_SLICES_H
#define TW_ENGINE_RECORD_SLICES_H

#include <tumble/event.h>
#include <tumble/kpl.h>

#include "engine/base/buf.h"
#include "engine/codec/arrival.h"
#include "engine/codec/members.h"
#include "engine/event/event_walk.h"

/* Records of an event into windows, a slice at a time: a slice is read, decoded and applied while it lies in the
 * nearest cache. Decoded bytes stand one behind the other in a buffer that moves only between slices. */

enum {
    TW_EVENT_SLICE = 384, /* records: what known groups come to goes to their accumulators once in so many */
    TW_EVENT_FIRST_ROOM = 65536
};

/* What lies between the bytes of a piece and the groups: nothing of it outlives a piece, so shards share what the
 * engine has, one for each thread, and the next shard finds it in the cache. */
struct tw_event_desk {
    struct tw_event_desk *next; /* of those that nobody uses */
    struct tw_buf payloads;
    struct tumble_record slice[TW_EVENT_SLICE];
    uint32_t origin[TW_EVENT_SLICE]; /* index in the event */
    struct tumble_value *values;     /* of a slice's records, projected; NULL: they would be too many */
};

struct tw_event_scratch {
    struct tumble_shard *shard;
    struct tw_event_desk *desk;  /* while a piece is read */
    struct tumble_layout layout; /* of the event's records */
    struct tw_members members;   /* of payloads that have no layout */
    struct tw_arrival arrival;
    struct tumble_kpl *kpl;
    /* of the event that is being read */
    bool within; /* one was begun, and is not over */
    struct tw_event_walk walk;
    const char *fetched; /* into the cache, or on the way there */
    size_t records;      /* read */
    size_t count;        /* in the slice */
    int64_t start_ms;    /* of the window that the slice belongs to */
    uint64_t window_ms;
    bool has_records;
    struct tw_buf tail;
    struct tw_event_skip skip; /* over the tail */
    bool is_skipped;           /* over what is to be the tail */
    size_t last_length;        /* of a record's text */
    uint32_t unframed;         /* records that are still to be taken without a frame */
    uint32_t pause;            /* how many the next time that a frame does not pay */
    struct tumble_event_result result;
    struct tumble_error error;
};

/* Reads records from where the walk stands, which is at one, to the array's end. EMORE: the bytes end before. What is
 * not applied yet is in the slice. */
enum tumble_code tw_event_records(struct tw_event_scratch *scratch);
/* Applies the slice, which then is empty. */
enum tumble_code tw_event_apply_slice(struct tw_event_scratch *scratch);
/* Says in front of err which record it is of. */
enum tumble_code tw_event_of_record(struct tumble_error *err, enum tumble_code code, size_t record);

#endif
