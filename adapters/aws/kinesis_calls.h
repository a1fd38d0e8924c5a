#ifndef TW_KINESIS_CALLS_H
#define TW_KINESIS_CALLS_H

#include <tumble/projection.h>

#include "adapters/aws/aws_client.h"
#include "engine/base/buf.h"

/* The calls of Kinesis Data Streams that a reader makes, JSON 1.1. client was opened for TW_AWS_KINESIS. Answers are
 * views into the client's last response, valid until its next call. Every function takes deadline_ms as struct
 * tw_aws_call does and gives its errors, and EOUTPUT for an answer that is not what was asked for (answer->kind
 * TRANSIENT). Members that are null in an answer are members that are not there. */

enum { TW_KINESIS_NAME = 129, TW_KINESIS_ARN = 2049 };

/* Which stream: exactly one of them is sent, the ARN if there is one. */
struct tw_kinesis_stream {
    const char *name;
    const char *arn; /* NULL: by name */
};

struct tw_kinesis_summary {
    char name[TW_KINESIS_NAME];
    char arn[TW_KINESIS_ARN];
    char status[16]; /* "CREATING", "DELETING", "ACTIVE", "UPDATING" */
    char encryption[8];
    int64_t retention_hours; /* 24 when it is not told */
    int64_t created_ms;      /* -1: not told */
    int64_t open_shards;     /* -1: not told */
};
enum tumble_code tw_kinesis_describe(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                     int64_t deadline_ms, struct tw_kinesis_summary *out, struct tw_aws_answer *answer,
                                     struct tumble_error *err);

/* A page. next_token: that of the page before, as text, copied by the caller; empty: the first page. *shards is an
 * ARRAY, *next a STRING or MISSING (the last page). */
enum tumble_code tw_kinesis_list_shards(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                        struct tumble_bytes next_token, int64_t deadline_ms,
                                        struct tumble_value *shards, struct tumble_value *next,
                                        struct tw_aws_answer *answer, struct tumble_error *err);

struct tw_kinesis_iterator {
    const char *shard_id;
    const char *type;             /* "TRIM_HORIZON", … */
    struct tumble_bytes sequence; /* empty: none is sent */
    int64_t timestamp_ms;         /* -1: none is sent */
};
/* Sets iterator to the text. once: as in struct tw_aws_call. */
enum tumble_code tw_kinesis_get_iterator(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                         const struct tw_kinesis_iterator *from, bool once, int64_t deadline_ms,
                                         struct tw_buf *iterator, struct tw_aws_answer *answer,
                                         struct tumble_error *err);

/* One attempt. The answer is the body, unread. */
enum tumble_code tw_kinesis_get_records(struct tw_aws_client *client, const struct tw_kinesis_stream *stream,
                                        struct tumble_bytes iterator, int limit, size_t max_response_bytes,
                                        int64_t deadline_ms, struct tumble_bytes *body, struct tw_aws_answer *answer,
                                        struct tumble_error *err);

#endif
