#include "engine/codec/record_frame.h"

_Static_assert(TW_RECORD_MEMBERS * sizeof(struct tumble_value) == sizeof(struct tumble_kinesis_record) &&
                   TW_RECORD_ARRIVAL * sizeof(struct tumble_value) == offsetof(struct tumble_kinesis_record, arrival) &&
                   TW_RECORD_EVENT_ID * sizeof(struct tumble_value) == offsetof(struct tumble_kinesis_record, event_id),
               "a record's members in their order");

bool tw_record_frame(const struct tumble_layout *layout, struct tumble_bytes shard, struct tw_layout_frame *frame) {
    const struct tw_frame_value *const of = frame->values;
    const struct tumble_bytes colon = {":", 1};
    if (!tw_layout_frame(layout, TW_RECORD_MEMBERS, TW_RECORD_DATA, frame)) {
        return false;
    }
    struct tw_frame_value behind_shard = of[TW_RECORD_EVENT_ID];
    const unsigned optional = 1u << of[TW_RECORD_PARTITION_KEY].type | 1u << of[TW_RECORD_EXPLICIT_HASH_KEY].type |
                              1u << of[TW_RECORD_EVENT_SOURCE_ARN].type;
    if (of[TW_RECORD_SEQUENCE_NUMBER].type != TUMBLE_TYPE_STRING || of[TW_RECORD_EVENT_ID].type != TUMBLE_TYPE_STRING ||
        of[TW_RECORD_ARRIVAL].type != TUMBLE_TYPE_NUMBER ||
        (optional & ~(1u << TUMBLE_TYPE_STRING | 1u << TUMBLE_TYPE_MISSING)) != 0 ||
        behind_shard.length <= shard.length) {
        return false;
    }
    behind_shard.offset = (uint16_t)(behind_shard.offset + shard.length);
    behind_shard.length = (uint16_t)(behind_shard.length - shard.length);
    return tw_frame_begins(frame, &of[TW_RECORD_EVENT_ID], shard) && tw_frame_begins(frame, &behind_shard, colon);
}
