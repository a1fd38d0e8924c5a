#ifndef TUMBLE_EVENT_H
#define TUMBLE_EVENT_H

/* Lambda's Kinesis events into windows that are held: for a long-lived process that is handed events and keeps its
 * state in an engine of its own (tumble/engine.h), not in the event. Inside Lambda use tumble/invoke.h, which carries
 * the state from event to event.
 *
 *     tumble_event_shard_id(event, &id, &err);
 *     tumble_engine_shard(engine, id, &shard, &err);
 *     tumble_shard_apply_event(shard, event, &result, &err);
 *     …                                      other events, of any shards
 *     tumble_engine_commit(engine, &err);    now they are durable, and may be answered
 *
 * Threads: as tumble_shard_apply: events of different shards may be applied at the same time. */

#include <tumble/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The shard an event comes from: in front of the colon of its first record's eventID, or its member shardId when there
 * is no record. A view into event. Errors: EJSON, EUTF8, EDEPTH; EEVENT: neither is there, or it is written with
 * escapes, which nobody does. */
TUMBLE_EXPORT enum tumble_code tumble_event_shard_id(struct tumble_bytes event, struct tumble_bytes *shard_id,
                                                     struct tumble_error *err);

struct tumble_event_result {
    size_t records;                    /* of the event: those before it have their fate */
    uint64_t fates[TUMBLE_FATE_COUNT]; /* of records, each of an aggregate counted */
    int64_t first_arrival_ms;          /* -1: the event has no records */
    int64_t last_arrival_ms;           /* of the last record; what is to be closed is the caller's to decide */
};

/* Applies an event's records, each to the window it arrived in, opened when it is not there:
 * approximateArrivalTimestamp decides, and what the event says of a window or a state does not. What the Kinesis
 * Producer Library aggregated is taken apart. A record whose sequence number is not above its window's last is a
 * duplicate, so an event may be delivered again.
 *
 * One pass over the event's bytes, nothing is allocated once buffers have grown; the event is borrowed for the call.
 * Records before result->records are applied also when the call fails, whatever the error: the event can be given
 * again. result may be NULL. Errors: EJSON, EUTF8, EDEPTH; EEVENT (no Kinesis event, or a record of another shard);
 * ERECORD under bad_records "fail"; those of tumble_shard_apply. err->record is the record's index in the event, or
 * -1; err->byte is the place in the event, with ERECORD the one in the record's data. */
TUMBLE_EXPORT enum tumble_code tumble_shard_apply_event(struct tumble_shard *shard, struct tumble_bytes event,
                                                        struct tumble_event_result *result, struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
