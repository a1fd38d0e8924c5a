#ifndef TW_KINESIS_INTERNAL_H
#define TW_KINESIS_INTERNAL_H

#include <stdbool.h>

#include "adapters/aws/kinesis_calls.h"
#include "adapters/inputs/kinesis/kinesis_stream.h"

/* What a stream and its readers have in common: settings, the process they run in, a connection. */
struct tw_kinesis_base {
    struct tumble_alloc alloc;
    struct tumble_kinesis_options options; /* its texts are owned; stream is as it was given */
    char name[TUMBLE_KINESIS_NAME];
    char arn[TUMBLE_KINESIS_ARN]; /* "": not known yet */
    bool by_arn;                  /* the user named an ARN, and the service takes ARNs */
    struct tw_aws_host host;
    struct tw_aws_client *client;
    struct tw_aws_answer answer;
};

/* Copies the options and opens a client (which sends nothing). *base is zeroed before; clean up whatever comes of it.
 * base stays where it is until then. Errors: ENOMEM, EUSAGE, EINPUT. */
enum tumble_code tw_kinesis_base_init(struct tw_kinesis_base *base, const struct tumble_kinesis_options *options,
                                      struct tumble_error *err);
void tw_kinesis_base_clean_up(struct tw_kinesis_base *base); /* idempotent */
struct tw_kinesis_stream tw_kinesis_base_stream(const struct tw_kinesis_base *base);
int64_t tw_kinesis_base_steady_ms(const struct tw_kinesis_base *base);
int64_t tw_kinesis_base_now_ms(const struct tw_kinesis_base *base);
bool tw_kinesis_base_interrupted(const struct tw_kinesis_base *base);

/* May the call whose answer is in base do better later? */
bool tw_kinesis_may_pass(const struct tw_kinesis_base *base, enum tumble_code code);
/* What tw_aws_call failed with, in this layer's words and codes: the text says what to do. */
enum tumble_code tw_kinesis_explain(const struct tw_kinesis_base *base, enum tumble_code code,
                                    struct tumble_error *err);

/* For reader_open: what it needs of the stream. */
const struct tw_kinesis_base *tw_kinesis_stream_base(const struct tumble_kinesis_stream *stream);
int64_t tw_kinesis_stream_retention_ms(const struct tumble_kinesis_stream *stream);

/* 1 to 128 letters, digits, '_', '.', '-': a stream's name, a shard's id. */
bool tw_kinesis_is_name(struct tumble_bytes text);

#endif
