#ifndef TW_SQS_CALLS_H
#define TW_SQS_CALLS_H

#include "adapters/aws/aws_client.h"

/* SQS's JSON protocol. client was opened for TW_AWS_SQS. */

enum { TW_SQS_BATCH = 10, TW_SQS_URL = 1024, TW_SQS_BYTES = 1024 * 1024, TW_SQS_ATTRIBUTES = 8 };

/* name "orders-rejected" → its URL; a name that begins with http:// or https:// is copied. Only the URL's text is sent,
 * the connection goes to the endpoint. Errors: as tw_aws_call (QueueDoesNotExist: EREJECTED), EUSAGE (too long). */
enum tumble_code tw_sqs_queue_url(struct tw_aws_client *client, const char *name, int64_t deadline_ms,
                                  char url[TW_SQS_URL], struct tw_aws_answer *answer, struct tumble_error *err);

struct tw_sqs_attribute {
    const char *name;
    struct tumble_bytes value; /* UTF-8, sent as String */
};

/* All borrowed for the call. */
struct tw_sqs_message {
    struct tumble_bytes body; /* UTF-8 and only characters SQS takes (tw_sqs_characters_allowed) */
    struct tw_sqs_attribute attributes[TW_SQS_ATTRIBUTES];
    size_t attribute_count;
    const char *group_id;         /* FIFO queues; NULL: none */
    const char *deduplication_id; /* FIFO queues; NULL: none */
};

struct tw_sqs_result {
    bool sent;
    bool again;     /* not sent, and the fault was not the message's: send it again */
    char code[128]; /* not sent: why */
    char message[256];
    char message_id[128];
};

/* At most TW_SQS_BATCH messages and TW_SQS_BYTES in all (bodies and attributes); result i is message i's. OK: the call
 * went through; look at every result. The MD5 of each body that came back is checked; a wrong one counts as not sent.
 */
enum tumble_code tw_sqs_send_batch(struct tw_aws_client *client, const char *queue_url,
                                   const struct tw_sqs_message *messages, size_t count, int64_t deadline_ms,
                                   struct tw_sqs_result *results, struct tw_aws_answer *answer,
                                   struct tumble_error *err);

/* #x9 #xA #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF, well-formed. */
bool tw_sqs_characters_allowed(struct tumble_bytes text);
/* What a message counts against the limit: body, and name, type and value of attributes. */
size_t tw_sqs_message_bytes(const struct tw_sqs_message *message);

#endif
