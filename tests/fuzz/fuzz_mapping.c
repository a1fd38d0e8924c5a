#include <stdio.h>
#include <string.h>

#include "emulator/mapping.h"
#include "fuzz_target.h"

/* A mapping as JSON, a newline, and what a function answers, one line an invocation, over and over. Whatever it says,
 * the run ends, and every record was answered for, given up, filtered or lost to the stream. */

enum { RECORDS = 6, LINES = 16 };

struct fuzzed {
    struct tumble_bytes lines[LINES];
    size_t count, next, read;
};

static enum tumble_code read_records(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                     size_t *count, struct tumble_error *err) {
    static const char *const sequences[RECORDS] = {"7", "8", "8", "10", "11", "4959033827149025660855969253836157"};
    static const char *const data[RECORDS] = {"{\"a\":1}", "{\"a\":{\"b\":[1,2]}}", "text", "", "{}", "[1]"};
    struct fuzzed *fuzzed = ctx;
    (void)shard;
    (void)err;
    *count = 0;
    for (; fuzzed->read < RECORDS && *count < capacity; fuzzed->read++) {
        struct tumble_stream_record record = {tumble_bytes_of(data[fuzzed->read]), tumble_bytes_of("key"),
                                              tumble_bytes_of(sequences[fuzzed->read]), (int64_t)fuzzed->read * 700};
        out[(*count)++] = record;
    }
    return TUMBLE_OK;
}

static enum tumble_code answer_line(void *ctx, const struct tumble_function_request *request,
                                    struct tumble_function_answer *answer, struct tumble_error *err) {
    struct fuzzed *fuzzed = ctx;
    struct tumble_bytes line = fuzzed->lines[fuzzed->next++ % fuzzed->count];
    (void)err;
    FUZZ_CHECK(request->record_count <= RECORDS);
    FUZZ_CHECK(request->has_window ? request->state.length >= 2 && request->state.data[0] == '{'
                                   : request->state.length == 0);
    answer->kind = line.length && line.data[0] == '!'   ? TUMBLE_ANSWER_ERROR
                   : line.length && line.data[0] == '~' ? TUMBLE_ANSWER_THROTTLED
                                                        : TUMBLE_ANSWER_RESPONSE;
    answer->response = line;
    return TUMBLE_OK;
}

static enum tumble_code take_document(void *ctx, const struct tumble_failure *failure, int *delivered,
                                      struct tumble_error *err) {
    (void)ctx;
    (void)err;
    FUZZ_CHECK(failure->document.length > 2 && failure->document.data[failure->document.length - 1] == '}');
    *delivered = 1;
    return TUMBLE_OK;
}

static void run(struct fuzzed *fuzzed, const struct tumble_mapping_parameters *parameters) {
    static const struct tumble_stream_shard shard = {.id = "shardId-000000000000",
                                                     .parents = {TUMBLE_NO_SHARD, TUMBLE_NO_SHARD}};
    struct tumble_stream stream = {fuzzed, &shard, 1, read_records, NULL};
    struct tumble_emulated_function function = {fuzzed, answer_line, NULL};
    struct tumble_mapping_options options = {.arrival =
                                                 parameters->enabled ? TUMBLE_ARRIVAL_LIVE : TUMBLE_ARRIVAL_BACKLOG,
                                             .retention_ms = 600000,
                                             .state_limit_bytes = 40,
                                             .event_limit_bytes = 3000,
                                             .failures_with_records = 1,
                                             .on_failure = take_document};
    struct tumble_mapping *mapping;
    struct tumble_error err;
    if (tumble_mapping_new(parameters, &options, &stream, &function, &mapping, &err) != TUMBLE_OK) {
        return;
    }
    FUZZ_CHECK(tumble_mapping_run(mapping, &err) == TUMBLE_OK);
    const struct tumble_mapping_metrics *metrics = tumble_mapping_metrics(mapping);
    FUZZ_CHECK(!parameters->enabled || metrics->polled_event_count + metrics->skipped_by_starting_position == RECORDS);
    FUZZ_CHECK(metrics->polled_event_count == metrics->filtered_out_event_count + metrics->succeeded_records +
                                                  metrics->discarded_records + metrics->lost_to_retention);
    tumble_mapping_destroy(mapping);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *at = (const char *)data, *end = at + size;
    struct tumble_bytes json = {NULL, 0};
    struct fuzzed fuzzed = {.count = 0};
    struct tumble_mapping_parameters parameters;
    struct tumble_error err;
    for (int line = 0; line <= LINES; line++) {
        const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        struct tumble_bytes text = {at, (size_t)((newline ? newline : end) - at)};
        if (line == 0) {
            json = text;
        } else {
            fuzzed.lines[fuzzed.count++] = text;
        }
        if (!newline) {
            break;
        }
        at = newline + 1;
    }
    tumble_mapping_parameters_init(&parameters, (struct tumble_alloc){0});
    parameters.starting_position = TUMBLE_TRIM_HORIZON;
    if (tumble_mapping_parameters_read(&parameters, json, &err) == TUMBLE_OK && fuzzed.count) {
        run(&fuzzed, &parameters);
    }
    tumble_mapping_parameters_clean_up(&parameters);
    return 0;
}
