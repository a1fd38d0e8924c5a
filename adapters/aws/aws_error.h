#ifndef TW_AWS_ERROR_H
#define TW_AWS_ERROR_H

#include "adapters/aws/aws_client.h"

/* Fills code, message, request_id and retry_after_ms of answer from a response: JSON's __type (or code) and message (or
 * Message), XML's <Code> and <Message>, the headers x-amzn-errortype, x-amzn-query-error (SQS's older codes, which
 * win), x-amzn-requestid, x-amz-request-id, x-amz-retry-after, Retry-After. A failure without any of them gets a code
 * of its status ("NotFound"). Pure. */
void tw_aws_error_read(const struct tw_http_response *response, bool error_in_200, struct tw_aws_answer *answer);

#endif
