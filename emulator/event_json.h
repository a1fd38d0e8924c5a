#ifndef TUMBLE_EVENT_JSON_H
#define TUMBLE_EVENT_JSON_H

/* An invocation's event as Lambda writes it, in the order of keys seen on AWS (lambda-semantics 1.1, 1.9, 1.10). */

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

#include "emulator/emulated_function.h"

enum tumble_arrival_form {
    TUMBLE_ARRIVAL_JAVA, /* 1.69106871717E9, as Java's Double.toString: what AWS sends (point 24) */
    TUMBLE_ARRIVAL_PLAIN /* 1691068717.170, as AWS documents it */
};

struct tumble_event_form {
    enum tumble_arrival_form arrival;
    const char *role_arn; /* invokeIdentityArn; NULL: TUMBLE_ASSUMED_ROLE_ARN */
};
#define TUMBLE_ASSUMED_ROLE_ARN "arn:aws:iam::123456789012:role/lambda-kinesis-role"

/* Holds the buffer of the event. One thread at a time. */
struct tumble_event_writer;
enum tumble_code tumble_event_writer_new(const struct tumble_event_form *form, struct tumble_alloc alloc,
                                         struct tumble_event_writer **out, struct tumble_error *err);
void tumble_event_writer_destroy(struct tumble_event_writer *writer); /* NULL allowed */
/* *out lives until the writer's next call. Errors: ENOMEM, ELIMIT. */
enum tumble_code tumble_event_write(struct tumble_event_writer *writer, const struct tumble_function_request *request,
                                    struct tumble_bytes *out, struct tumble_error *err);

/* Bytes of a record in the event, with the comma that parts it from its neighbour, and of what stands around all
 * records, the state's own excepted: with the longest arrival, so at most a few bytes a record too many. */
size_t tumble_event_record_size(const struct tumble_event_form *form, struct tumble_bytes event_source_arn,
                                size_t shard_id_bytes, const struct tumble_stream_record *record);
size_t tumble_event_envelope_size(struct tumble_bytes event_source_arn, size_t shard_id_bytes, int has_window);

/* arrival as the number stands in the event; returns its length, at most TUMBLE_ARRIVAL_TEXT - 1, and adds a NUL. */
#define TUMBLE_ARRIVAL_TEXT 24
size_t tumble_arrival_text(enum tumble_arrival_form form, int64_t arrival_ms, char out[TUMBLE_ARRIVAL_TEXT]);

#endif
