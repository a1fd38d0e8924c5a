#include "fuzz_target.h"

#include <stdbool.h>
#include <string.h>

#include <tumble/lambda.h>

#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"

/* The hand-written record parsers against the general scanner and projection: the same bytes are malformed at the same
 * place, and what is well-formed has the same members. And the parsers that learn against the one that does not. */

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

static bool same_record(const struct tumble_kinesis_record *a, const struct tumble_kinesis_record *b) {
    enum { MEMBERS = sizeof *a / sizeof(struct tumble_value) };
    const struct tumble_value *one = &a->data, *other = &b->data;
    for (size_t i = 0; i < MEMBERS; i++) {
        if (one[i].type != other[i].type || one[i].flags != other[i].flags || one[i].length != other[i].length ||
            (one[i].type != TUMBLE_TYPE_MISSING && one[i].text != other[i].text)) {
            return false;
        }
    }
    return true;
}

/* With a layout, whatever it has learned, and with decoding on the way or without: the same as parse and decode. */
static void check_like(struct tumble_layout *layout, struct tumble_bytes json, int end_of_input, bool decode,
                       size_t room) {
    struct tumble_kinesis_record wanted, record;
    struct tumble_error want = {.byte = -1}, err = {.byte = -1};
    size_t wanted_consumed = 7, consumed = 7, length = TUMBLE_NOT_DECODED, plain_length = 0;
    char *out = malloc(room ? room : 1);
    enum tumble_code code = tumble_kinesis_record_parse(json, end_of_input, &wanted, &wanted_consumed, &want);
    enum tumble_code like =
        decode ? tumble_kinesis_record_decode_like(layout, json, end_of_input, &record, &consumed, out, room, &length,
                                                   &err)
               : tumble_kinesis_record_parse_like(layout, json, end_of_input, &record, &consumed, &err);
    FUZZ_CHECK(out && like == code);
    if (code != TUMBLE_OK) {
        FUZZ_CHECK(err.byte == want.byte && strcmp(err.text, want.text) == 0);
    } else {
        FUZZ_CHECK(consumed == wanted_consumed && same_record(&record, &wanted));
    }
    if (code == TUMBLE_OK && length != TUMBLE_NOT_DECODED) {
        struct tumble_bytes text = {wanted.data.text, wanted.data.length};
        char *plain = malloc(text.length + 1);
        FUZZ_CHECK(plain && length <= room && wanted.data.flags == 0);
        FUZZ_CHECK(tw_base64_decode_portable(text, plain, &plain_length, NULL) == TUMBLE_OK);
        FUZZ_CHECK(length == plain_length && memcmp(out, plain, length) == 0);
        free(plain);
    }
    free(out);
}

/* Each line of the input as a record, by turns with and without decoding, often enough for runs to be made; then in
 * their order once more. */
static void check_lines(struct tumble_bytes json) {
    struct tumble_layout layout = {0};
    for (unsigned again = 0; again < 2; again++) {
        struct tumble_bytes rest = json;
        for (unsigned lines = 0; lines < 8; lines++) {
            const char *newline = rest.length ? memchr(rest.data, '\n', rest.length) : NULL;
            struct tumble_bytes line = {rest.data, newline ? (size_t)(newline - rest.data) : rest.length};
            char *copy = malloc(line.length ? line.length : 1); /* ends where its memory ends */
            FUZZ_CHECK(copy != NULL);
            if (line.length) {
                memcpy(copy, line.data, line.length);
            }
            struct tumble_bytes view = {copy, line.length};
            unsigned times = lines == 0 && again == 0 && json.length % 8 == 0 ? 300 : 3;
            for (unsigned i = 0; i < times; i++) {
                check_like(&layout, view, i & 1, (i ^ again) & 1 || i > 250,
                           i % 5 == 4 ? line.length / 3 : line.length);
            }
            free(copy);
            if (!newline) {
                break;
            }
            rest.data += line.length + 1;
            rest.length -= line.length + 1;
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
    check_lines(json);
    return 0;
}
