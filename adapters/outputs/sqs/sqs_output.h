#ifndef TUMBLE_SQS_OUTPUT_H
#define TUMBLE_SQS_OUTPUT_H

#include <tumble/output.h>

/* "sqs:QUEUE" (name or URL): a message for each row or failure, its JSON as body. Message attributes: tumble_key, which
 * is the same whenever the row or the record is sent again (and the deduplication id on a FIFO queue); tumble_kind, row
 * or failure; tumble_encoding, base64, on a body that is not plain JSON. At least once. */
extern const struct tumble_output_api tumble_sqs_output;

#endif
