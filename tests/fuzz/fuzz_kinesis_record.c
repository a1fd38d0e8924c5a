#include "fuzz_target.h"

#include <string.h>

#include <tumble/lambda.h>

#include "engine/codec/json_scan.h"

/* The hand-written record parsers against the general scanner and projection: the same bytes are malformed at the same
 * place, and what is well-formed has the same members. */

static const char *const lambda_paths[] = {"kinesis.data",
                                           "kinesis.partitionKey",
                                           "kinesis.sequenceNumber",
                                           "kinesis.explicitHashKey",
                                           "kinesis.approximateArrivalTimestamp",
                                           "eventID",
                                           "eventSourceARN"};
static const char *const answer_paths[] = {"Data", "PartitionKey", "SequenceNumber", "ExplicitHashKey",
                                           "ApproximateArrivalTimestamp"};
enum { PATHS = 7, ANSWER_PATHS = 5 };

static struct tumble_projection *projection_of(const char *const *paths, size_t count) {
    struct tumble_projection *projection = NULL;
    struct tumble_bytes views[PATHS];
    for (size_t i = 0; i < count; i++) {
        views[i] = tumble_bytes_of(paths[i]);
    }
    FUZZ_CHECK(tw_projection_new(views, count, tw_alloc_default(), &projection, NULL) == TUMBLE_OK);
    return projection;
}

/* null stands for an absent optional member. */
static void same(const struct tumble_value *record, const struct tumble_value *projected) {
    if (record->type == TUMBLE_TYPE_MISSING) {
        FUZZ_CHECK(projected->type == TUMBLE_TYPE_MISSING || projected->type == TUMBLE_TYPE_NULL);
    } else {
        FUZZ_CHECK(record->type == projected->type && record->flags == projected->flags &&
                   record->text == projected->text && record->length == projected->length);
    }
}

static void check(enum tumble_code (*parse)(struct tumble_bytes, int, struct tumble_kinesis_record *, size_t *,
                                            struct tumble_error *),
                  const struct tumble_projection *projection, struct tumble_bytes json) {
    struct tumble_kinesis_record record;
    struct tumble_value values[PATHS] = {{0}};
    struct tumble_error ours = {.byte = -1};
    struct tumble_error general = {.byte = -1};
    size_t consumed = 0;
    size_t general_consumed = 0;
    for (int end_of_input = 0; end_of_input < 2; end_of_input++) {
        enum tumble_code code = parse(json, end_of_input, &record, &consumed, &ours);
        enum tumble_code want = tumble_project(projection, json, end_of_input, values, &general_consumed, &general);
        if (code == TUMBLE_OK) {
            FUZZ_CHECK(want == TUMBLE_OK && consumed == general_consumed);
            same(&record.data, &values[0]);
            same(&record.partition_key, &values[1]);
            same(&record.sequence_number, &values[2]);
            same(&record.explicit_hash_key, &values[3]);
            same(&record.arrival, &values[4]);
            same(&record.event_id, &values[5]);
            same(&record.event_source_arn, &values[6]);
            FUZZ_CHECK(record.data.type == TUMBLE_TYPE_STRING && record.sequence_number.type == TUMBLE_TYPE_STRING);
        } else if (code == TUMBLE_EEVENT) {
            FUZZ_CHECK(want == TUMBLE_OK && ours.byte >= 0 && (size_t)ours.byte < json.length);
        } else if (want != TUMBLE_OK) {
            FUZZ_CHECK(code == want && ours.byte == general.byte && strcmp(ours.text, general.text) == 0);
        } else {
            FUZZ_CHECK(want != TUMBLE_OK); /* it accepts what the record parser refuses */
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tumble_projection *lambda;
    static struct tumble_projection *answer;
    if (!lambda) {
        lambda = projection_of(lambda_paths, PATHS);
        answer = projection_of(answer_paths, ANSWER_PATHS);
    }
    struct tumble_bytes json = {(const char *)data, size};
    check(tumble_kinesis_record_parse, lambda, json);
    check(tumble_get_records_record_parse, answer, json);
    return 0;
}
