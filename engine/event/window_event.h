#ifndef TW_EVENT_WINDOW_EVENT_H
#define TW_EVENT_WINDOW_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/engine.h>
#include <tumble/error.h>
#include <tumble/lambda.h>
#include <tumble/projection.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

/* A Lambda event with a time window (lambda-semantics 1.8 to 1.14), read in one pass: keys in any order, unknown ones
 * checked and ignored, of duplicate keys the last wins. */

struct tw_window_event {
    struct tumble_alloc alloc;
    /* What the last parse found; views live as long as the event's bytes and until the next parse. */
    struct tumble_kinesis_record *records; /* a Kinesis event's */
    struct tumble_bytes *elements;         /* the text of each record, of either kind */
    const struct tumble_record *given;     /* not NULL: the records, and nothing was parsed */
    size_t record_count;
    bool is_dynamodb;
    struct tumble_bytes shard_id;
    struct tumble_bytes event_source_arn; /* as it stands, a consumer's suffix included */
    bool has_window;
    int64_t start_ms;
    int64_t end_ms;
    struct tumble_value state; /* OBJECT; MISSING where it is missing or null */
    bool is_final;
    bool is_terminated_early;
    /* its own */
    size_t record_capacity;
    struct tw_buf text; /* of what had escapes */
    struct tumble_layout layout;
};

void tw_window_event_init(struct tw_window_event *event, struct tumble_alloc alloc);
void tw_window_event_clean_up(struct tw_window_event *event);

/* Reads json, the whole event. Memory for the records is kept from one event to the next. Errors: EEVENT (not the
 * shape: the text names the key; err->record where a record is meant), EJSON, EUTF8, EDEPTH, ETIMESTAMP, ENOMEM; byte
 * is relative to json. */
enum tumble_code tw_window_event_parse(struct tw_window_event *event, struct tumble_bytes json,
                                       struct tumble_error *err);

/* Takes an event that is structs already; what batch points to stays borrowed. Errors: EEVENT, and for the state's JSON
 * EJSON, EUTF8, EDEPTH. */
struct tumble_window_batch;
enum tumble_code tw_window_event_give(struct tw_window_event *event, const struct tumble_window_batch *batch,
                                      struct tumble_error *err);

#endif
