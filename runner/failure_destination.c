#include "runner/failure_destination.h"

#include <stdio.h>
#include <string.h>

#include "runner/memory.h"

#ifdef TUMBLE_WITH_S3
#include "adapters/outputs/s3/s3_failures.h"
#endif

/* arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE */
enum { PARTITION = 1, SERVICE, REGION, ACCOUNT, RESOURCE, PARTS };

static int cut_arn(const char *text, struct tumble_bytes parts[PARTS]) {
    for (int i = 0; i < RESOURCE; i++) {
        const char *colon = strchr(text, ':');
        if (!colon) {
            return 0;
        }
        parts[i] = (struct tumble_bytes){text, (size_t)(colon - text)};
        text = colon + 1;
    }
    parts[RESOURCE] = tumble_bytes_of(text);
    return 1;
}

static int is(struct tumble_bytes part, const char *text) { return tumble_bytes_equal(part, tumble_bytes_of(text)); }

/* Only characters that need no escape in a URL, and at least one. */
static int is_plain(struct tumble_bytes part) {
    for (size_t i = 0; i < part.length; i++) {
        char c = part.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
              c == '.')) {
            return 0;
        }
    }
    return part.length > 0;
}

#define PART(part) (int)(part).length, (part).data

/* Who may send to a queue need not be allowed to ask for its URL, least of all in another account: it is written. */
static enum tumble_code uri_of_queue(const struct tumble_bytes parts[PARTS], const char *text, char *out, size_t size,
                                     struct tumble_error *err) {
    if (!is_plain(parts[REGION]) || !is_plain(parts[ACCOUNT]) || !is_plain(parts[RESOURCE])) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                  "destination %.150s: the ARN of a queue is arn:aws:sqs:REGION:ACCOUNT:NAME", text);
    }
    snprintf(out, size, "sqs:https://sqs.%.*s.amazonaws.com%s/%.*s/%.*s?region=%.*s", PART(parts[REGION]),
             is(parts[PARTITION], "aws-cn") ? ".cn" : "", PART(parts[ACCOUNT]), PART(parts[RESOURCE]),
             PART(parts[REGION]));
    return TUMBLE_OK;
}

static enum tumble_code uri_of_arn(const char *text, char *out, size_t size, struct tumble_error *err) {
    struct tumble_bytes parts[PARTS];
    if (!cut_arn(text, parts)) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                  "destination %.150s: an ARN is arn:aws:SERVICE:REGION:ACCOUNT:NAME", text);
    }
    if (is(parts[SERVICE], "sqs")) {
        return uri_of_queue(parts, text, out, size, err);
    }
    if (is(parts[SERVICE], "s3") && is_plain(parts[RESOURCE])) {
        snprintf(out, size, "s3://%.*s", PART(parts[RESOURCE]));
        return TUMBLE_OK;
    }
    if (is(parts[SERVICE], "sns")) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                  "destination %.150s: topics of SNS are not published to here; give a queue that is "
                                  "subscribed to it (the document is the same), s3://BUCKET or file:PATH",
                                  text);
    }
    return tumble_runner_fail(err, TUMBLE_EUSAGE,
                              "destination %.150s: the ARN of an SQS queue or of an S3 bucket, please, or file:PATH, "
                              "sqs:QUEUE, s3://BUCKET",
                              text);
}

enum tumble_code tumble_failure_destination_parse(const struct tumble_output_registry *registry, const char *text,
                                                  struct tumble_output_uri *out, struct tumble_error *err) {
    char uri[TUMBLE_URI_BYTES];
    if (strncmp(text, "arn:", 4) == 0) {
        enum tumble_code code = uri_of_arn(text, uri, sizeof uri, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        text = uri;
    }
#ifdef TUMBLE_WITH_S3
    if (strncmp(text, "s3:", 3) == 0) {
        enum tumble_code code =
            tumble_output_uri_parse_as(&tumble_s3_failures, out, tumble_bytes_of(text), TUMBLE_ROW_FAILURE, err);
        return code == TUMBLE_OK ? tumble_output_uri_check(out, NULL, err) : code;
    }
#endif
    return tumble_output_uri_parse(registry, out, tumble_bytes_of(text), TUMBLE_ROW_FAILURE, "ndjson", err);
}
