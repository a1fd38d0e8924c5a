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
 * An event that arrives in pieces need not be gathered first:
 *
 *     tumble_event_peek_shard_id(piece, 0, &id, &err);           the first piece mostly suffices
 *     tumble_engine_shard(engine, id, &shard, &err);
 *     tumble_shard_event_begin(shard, &err);
 *     do {
 *         tumble_shard_event_feed(shard, piece, is_last, NULL, &result, &err);
 *     } while (!is_last && there is another piece);
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

/* The same from an event's first bytes. is_last: the event has no others; else EMORE says that they do not suffice: ask
 * again with more of them, from the first on. Each call reads all of them, so a caller to whom they come in small
 * pieces asks when they have doubled. What lies behind the event's closing brace is not looked at. Errors besides:
 * ELIMIT, as tumble_shard_event_feed. */
TUMBLE_EXPORT enum tumble_code tumble_event_peek_shard_id(struct tumble_bytes bytes, int is_last,
                                                          struct tumble_bytes *shard_id, struct tumble_error *err);

struct tumble_event_result {
    size_t records;                    /* of the event: those before it have their fate */
    uint64_t fates[TUMBLE_FATE_COUNT]; /* of records, each of an aggregate counted */
    int64_t first_arrival_ms;          /* -1: the event has no records */
    int64_t last_arrival_ms;           /* of the last record; what is to be closed is the caller's to decide */
    int is_whole;                      /* the event was read to its end, and all of it is applied */
};

/* Applies an event's records, each to the window it arrived in, opened when it is not there:
 * approximateArrivalTimestamp decides, and what the event says of a window or a state does not. What the Kinesis
 * Producer Library aggregated is taken apart. A record whose sequence number is not above its window's last is a
 * duplicate, so an event may be delivered again.
 *
 * One pass over the event's bytes, nothing is allocated once buffers have grown; the event is borrowed for the call.
 * Records before result->records are applied also when the call fails, whatever the error: the event can be given
 * again. result may be NULL. Errors: EJSON, EUTF8, EDEPTH; EEVENT (no Kinesis event, or a record of another shard);
 * ERECORD under bad_records "fail"; ELIMIT: a record, or another member, of more than 16 MiB of text; those of
 * tumble_shard_apply. err->record is the record's index in the event, or
 * -1; err->byte is the place in the event, with ERECORD the one in the record's data. */
TUMBLE_EXPORT enum tumble_code tumble_shard_apply_event(struct tumble_shard *shard, struct tumble_bytes event,
                                                        struct tumble_event_result *result, struct tumble_error *err);

/* The same for an event in pieces, cut anywhere: records, fates, state, and errors to the letter are those of
 * tumble_shard_apply_event, which is one piece that is_last. A shard reads one event at a time; beginning another, or
 * tumble_shard_apply_event, drops one that is not whole, as if it had been cut there. Between pieces the engine may
 * commit: what is applied is that of whole records.
 *
 * begin. Errors: EINVAL (the engine was opened read-only, or carries its state in events), ENOMEM. */
TUMBLE_EXPORT enum tumble_code tumble_shard_event_begin(struct tumble_shard *shard, struct tumble_error *err);

/* feed: the next bytes of the event, any number of them; is_last: no others come. They are borrowed for the call, and
 * all of them are taken: of what they end within (a record, or another member) the shard keeps a copy. result, which
 * may be NULL, counts from the event's first piece, and so do err->record and err->byte.
 *
 * consumed is NULL when the pieces hold this event only. Else other things may follow it, such as the next line:
 * *consumed is how much of the piece belongs to the event, all of it until result->is_whole, and then what stands
 * in front of the place behind the event's closing brace. So no one has to look for an event's end beforehand.
 *
 * OK and not whole: go on with the next piece. After an error, or when the event is whole, another is to be begun: feed
 * alone is EINVAL. A small piece costs no more than its bytes: what is not whole yet is not parsed over and over. */
TUMBLE_EXPORT enum tumble_code tumble_shard_event_feed(struct tumble_shard *shard, struct tumble_bytes piece,
                                                       int is_last, size_t *consumed,
                                                       struct tumble_event_result *result, struct tumble_error *err);

#ifdef __cplusplus
}
#endif

#endif
