#ifndef TW_SQS_BODY_H
#define TW_SQS_BODY_H

#include "engine/base/buf.h"

/* A JSON document as a message body. SQS takes the characters XML does: of those that JSON lets stand unescaped it
 * refuses U+FFFE and U+FFFF only, which can but stand in strings, and there become \ufffe and \uffff: the same JSON.
 * What is not UTF-8 goes as base64. Pure. */

enum tw_sqs_encoding { TW_SQS_PLAIN, TW_SQS_BASE64 };

/* Appends the body. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_sqs_body(struct tw_buf *out, struct tumble_bytes json, enum tw_sqs_encoding *encoding);

#endif
