#ifndef TUMBLE_RUNNER_CAPTURE_STREAM_H
#define TUMBLE_RUNNER_CAPTURE_STREAM_H

#include <stdint.h>

#include <tumble/timestamp.h>

#include "adapters/inputs/capture/capture.h"
#include "emulator/stream.h"

/* A capture as the stream that an emulated mapping reads. Records wait here, copied, until the mapping is done with
 * them: how many depends on how far its shards drift apart. What the Kinesis Producer Library aggregated is one record,
 * as it is to Lambda, unless the mapping reads through enhanced fan-out. A record that a shard had before (a capture of
 * retries) is left out and counted. One thread. */

struct tumble_capture_stream_options {
    const char *const *paths;
    size_t path_count;
    enum tumble_capture_format format;
    const char *records_at;          /* NULL: none */
    const char *partition_key_field; /* NULL: the capture's own, or the record's number */
    const char *timestamp_field;     /* of payloads; NULL: not given */
    int timestamp_overrides;         /* take it for captures that carry arrival times too */
    struct tumble_timestamp_format timestamp_format;
    uint32_t shards; /* 0: not asked for (1) */
    int holds_all;   /* the stream holds the whole capture when the mapping begins: its last arrival is to be known */
    /* As Lambda does where the mapping's ARN is a consumer's: the records of an aggregate share number and arrival
     * time, what cannot be read of it is lost, and one with a record of another shard is dropped whole (points 40, 42
     * and 43; the shards' ranges are known for those that --shards makes). */
    int splits_aggregates;
    int (*stopping)(void *ctx); /* may be NULL */
    void *stopping_ctx;
};

struct tumble_capture_stream_facts {
    enum tumble_capture_format format;
    uint64_t records;  /* read so far */
    uint64_t repeated; /* left out */
    uint64_t bytes;
    uint64_t aggregates;      /* that were split */
    uint64_t foreign_records; /* of aggregates that were dropped whole */
    uint64_t cut_aggregates;  /* that could be read up to some record only */
    int64_t first_arrival_ms; /* of the first record; -1: there is none */
    int64_t least_arrival_ms; /* of all that were read so far, or with holds_all of all there are */
    int64_t last_arrival_ms;
    int64_t done_bytes, total_bytes; /* for a progress bar; total -1: not known */
    const char *event_source_arn;    /* that the capture names; NULL: it does not */
};

struct tumble_capture_stream;

/* Reads a capture that names its shards, or that is to be held whole, once before (pipes: into memory). Errors: those
 * of a capture; EUSAGE; ERECORD (a payload without a usable arrival time); EINTERRUPTED. */
enum tumble_code tumble_capture_stream_open(const struct tumble_capture_stream_options *options,
                                            struct tumble_capture_stream **out, struct tumble_error *err);
void tumble_capture_stream_close(struct tumble_capture_stream *stream); /* NULL allowed */
/* What a mapping takes; lives as long as the stream. */
const struct tumble_stream *tumble_capture_stream_view(struct tumble_capture_stream *stream);
void tumble_capture_stream_facts(const struct tumble_capture_stream *stream, struct tumble_capture_stream_facts *out);

#endif
