#ifndef TW_CODEC_RECORD_FRAME_H
#define TW_CODEC_RECORD_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include <tumble/engine.h>
#include <tumble/kpl.h>
#include <tumble/lambda.h>

#include "engine/codec/arrival.h"
#include "engine/codec/layout_frame.h"

/* Frames (layout_frame.h) of a Kinesis event's records. */

/* Where the values of a layout of records stand: as in struct tumble_kinesis_record. */
enum tw_record_member {
    TW_RECORD_DATA,
    TW_RECORD_PARTITION_KEY,
    TW_RECORD_SEQUENCE_NUMBER,
    TW_RECORD_EXPLICIT_HASH_KEY,
    TW_RECORD_EVENT_ID,
    TW_RECORD_EVENT_SOURCE_ARN,
    TW_RECORD_ARRIVAL,
    TW_RECORD_MEMBERS
};

/* A frame of records that there is nothing to find wrong with but their sequence numbers: of that shard, and with all
 * that a record needs. False: there is none. */
bool tw_record_frame(const struct tumble_layout *layout, struct tumble_bytes shard, struct tw_layout_frame *frame);

/* A text of the frame as a record. False: its arrival is written in another way, or it may be an aggregate. */
static inline bool tw_record_framed(const struct tw_layout_frame *frame, const struct tw_framed *text,
                                    struct tw_arrival *last, struct tumble_record *out) {
    const struct tumble_bytes data = {text->data, text->length},
                              arrival = tw_framed_text(text, &frame->values[TW_RECORD_ARRIVAL]);
    const struct tumble_value value = {arrival.data, (uint32_t)arrival.length, TUMBLE_TYPE_NUMBER, 0, 0};
    int64_t arrival_ms;
    if (TW_RARELY(!tw_arrival_usual(last, &value, &arrival_ms)) || TW_RARELY(tumble_kpl_suspect(data))) {
        return false;
    }
    out->data = data;
    out->sequence_number = tw_framed_text(text, &frame->values[TW_RECORD_SEQUENCE_NUMBER]);
    out->partition_key = frame->values[TW_RECORD_PARTITION_KEY].type == TUMBLE_TYPE_MISSING
                             ? (struct tumble_bytes){NULL, 0}
                             : tw_framed_text(text, &frame->values[TW_RECORD_PARTITION_KEY]);
    out->sub_sequence_number = 0;
    out->arrival_ms = arrival_ms;
    out->values = NULL;
    out->bad = NULL;
    return true;
}

#endif
