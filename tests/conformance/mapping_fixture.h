#ifndef TESTS_MAPPING_FIXTURE_H
#define TESTS_MAPPING_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "emulator/mapping.h"

/* A stream in memory, a function that a test scripts, a destination that keeps its documents; and a log of what was
 * delivered, as text: "[1,2]" for a batch, in front of it "start state " in a window (seconds), behind it " final" or
 * " early". */

#define STREAM_ARN "arn:aws:kinesis:us-east-1:123456789012:stream/lambda-stream"

enum { WORLD_SHARDS = 4, WORLD_RECORDS = 64 };

struct log {
    char text[1 << 16];
    size_t length;
};

static inline void log_add(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void log_add(struct log *log, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(log->text + log->length, sizeof log->text - log->length, format, args);
    va_end(args);
    assert_true(length >= 0 && log->length + (size_t)length < sizeof log->text);
    log->length += (size_t)length;
}

struct world_shard {
    struct tumble_stream_record records[WORLD_RECORDS];
    char data[WORLD_RECORDS][16];
    char sequence[WORLD_RECORDS][64];
    char key[WORLD_RECORDS][16];
    size_t count;
    size_t read;
    uint64_t done;
};

struct world;
/* What the function does: appends its response to answer and returns how that ends. */
typedef enum tumble_answer_kind (*world_handler)(struct world *world, const struct tumble_function_request *request,
                                                 struct log *answer);

struct world {
    struct tumble_mapping_parameters parameters;
    struct tumble_mapping_options options;
    struct tumble_stream_shard shards[WORLD_SHARDS];
    struct world_shard held[WORLD_SHARDS];
    struct tumble_stream stream;
    world_handler handler;
    int poison; /* what handlers stumble over */
    int64_t duration_us;
    int invocations;
    struct log deliveries;
    struct log times;       /* virtual, of each delivery */
    struct log request_ids; /* as letters, in the order of their appearance */
    char ids_seen[64][TUMBLE_REQUEST_ID_TEXT];
    size_t id_count;
    struct log answer;
    struct log documents;
    struct log keys;
    int destination_refuses;
    struct tumble_mapping_metrics metrics;
    struct tumble_error error;
};

static inline int number_of(const struct tumble_stream_record *record) {
    return (int)strtol(record->data.data, NULL, 10);
}

/* N of the state {"n":N}; 0: it has none. */
static inline int count_in(struct tumble_bytes state) {
    return state.length > 5 && memcmp(state.data, "{\"n\":", 5) == 0 ? (int)strtol(state.data + 5, NULL, 10) : 0;
}

static inline const char *sequence_of(int number) {
    static char text[4][64];
    static unsigned at;
    snprintf(text[++at % 4], sizeof text[0], "49590338271490256608559692538361571095921575989136%06d", number);
    return text[at % 4];
}

static inline int contains(const struct tumble_function_request *request, int number) {
    for (size_t i = 0; i < request->record_count; i++) {
        if (number_of(&request->records[i]) == number) {
            return 1;
        }
    }
    return 0;
}

static inline void log_request(struct log *log, const struct tumble_function_request *request) {
    if (request->has_window) {
        log_add(log, "%lld %.*s ", (long long)(request->window_start_ms / 1000), (int)request->state.length,
                request->state.data);
    }
    log_add(log, "%s", "[");
    for (size_t i = 0; i < request->record_count; i++) {
        log_add(log, "%s%d", i ? "," : "", number_of(&request->records[i]));
    }
    log_add(log, "]%s\n", request->is_terminated_early ? " early" : request->is_final ? " final" : "");
}

static enum tumble_code world_invoke(void *ctx, const struct tumble_function_request *request,
                                     struct tumble_function_answer *answer, struct tumble_error *err) {
    struct world *world = ctx;
    (void)err;
    size_t id = 0;
    while (id < world->id_count && strcmp(world->ids_seen[id], request->request_id) != 0) {
        id++;
    }
    if (id == world->id_count && id < 64) {
        snprintf(world->ids_seen[world->id_count++], TUMBLE_REQUEST_ID_TEXT, "%s", request->request_id);
    }
    log_add(&world->request_ids, "%c", (int)('a' + id));
    log_request(&world->deliveries, request);
    log_add(&world->times, "%lld ", (long long)request->sent_ms);
    world->answer.length = 0;
    world->answer.text[0] = '\0';
    world->invocations++;
    assert_true(world->invocations < 5000);
    answer->kind = world->handler(world, request, &world->answer);
    answer->response.data = world->answer.text;
    answer->response.length = world->answer.length;
    answer->duration_us = world->duration_us;
    return TUMBLE_OK;
}

static enum tumble_code world_read(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                   size_t *count, struct tumble_error *err) {
    struct world *world = ctx;
    struct world_shard *held = &world->held[shard];
    (void)err;
    *count = 0;
    for (; held->read < held->count && *count < capacity && *count < 3; held->read++) {
        out[(*count)++] = held->records[held->read];
    }
    return TUMBLE_OK;
}

static void world_done(void *ctx, uint32_t shard, uint64_t position) {
    struct world *world = ctx;
    assert_true(position >= world->held[shard].done && position <= world->held[shard].count);
    world->held[shard].done = position;
}

static enum tumble_code world_on_failure(void *ctx, const struct tumble_failure *failure, int *delivered,
                                         struct tumble_error *err) {
    struct world *world = ctx;
    (void)err;
    if (!world->destination_refuses) {
        log_add(&world->documents, "%.*s\n", (int)failure->document.length, failure->document.data);
        log_add(&world->keys, "%s\n", failure->s3_key ? failure->s3_key : "-");
    }
    *delivered = !world->destination_refuses;
    return TUMBLE_OK;
}

static inline enum tumble_answer_kind succeed(struct world *world, const struct tumble_function_request *request,
                                              struct log *answer) {
    (void)world;
    (void)request;
    log_add(answer, "%s", "{\"state\":{},\"batchItemFailures\":[]}");
    return TUMBLE_ANSWER_RESPONSE;
}

static inline struct world *world_new(world_handler handler) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    tumble_mapping_parameters_init(&world->parameters, (struct tumble_alloc){0});
    world->parameters.starting_position = TUMBLE_TRIM_HORIZON;
    snprintf(world->parameters.event_source_arn, sizeof world->parameters.event_source_arn, "%s", STREAM_ARN);
    world->handler = handler;
    world->options.on_failure = world_on_failure;
    world->options.failure_ctx = world;
    world->options.start_ms = 1000000;
    for (int i = 0; i < WORLD_SHARDS; i++) {
        snprintf(world->shards[i].id, sizeof world->shards[i].id, "shardId-%012d", i);
        world->shards[i].parents[0] = TUMBLE_NO_SHARD;
        world->shards[i].parents[1] = TUMBLE_NO_SHARD;
    }
    world->stream.ctx = world;
    world->stream.shards = world->shards;
    world->stream.shard_count = 1;
    world->stream.read = world_read;
    world->stream.done = world_done;
    return world;
}

/* A record whose data and sequence number are the number. */
static inline struct tumble_stream_record *put_key(struct world *world, uint32_t shard, int number, int64_t arrival_ms,
                                                   const char *key) {
    struct world_shard *held = &world->held[shard];
    size_t i = held->count++;
    assert_true(i < WORLD_RECORDS);
    snprintf(held->data[i], sizeof held->data[i], "%d", number);
    snprintf(held->sequence[i], sizeof held->sequence[i], "%s", sequence_of(number));
    snprintf(held->key[i], sizeof held->key[i], "%s", key);
    struct tumble_stream_record record = {tumble_bytes_of(held->data[i]), tumble_bytes_of(held->key[i]),
                                          tumble_bytes_of(held->sequence[i]), arrival_ms};
    held->records[i] = record;
    return &held->records[i];
}
static inline struct tumble_stream_record *put(struct world *world, int number, int64_t arrival_ms) {
    return put_key(world, 0, number, arrival_ms, "pk");
}
static inline void put_range(struct world *world, int first, int last, int64_t arrival_ms) {
    for (int i = first; i <= last; i++) {
        put(world, i, arrival_ms);
    }
}

static inline void run(struct world *world) {
    struct tumble_mapping *mapping;
    struct tumble_emulated_function function = {.ctx = world, .invoke = world_invoke};
    memset(&world->error, 0, sizeof world->error);
    if (tumble_mapping_new(&world->parameters, &world->options, &world->stream, &function, &mapping, &world->error) !=
            TUMBLE_OK ||
        tumble_mapping_run(mapping, &world->error) != TUMBLE_OK) {
        fail_msg("%s", world->error.text);
    }
    world->metrics = *tumble_mapping_metrics(mapping);
    tumble_mapping_destroy(mapping);
    for (uint32_t i = 0; i < world->stream.shard_count && world->parameters.enabled && !world->options.has_pause; i++) {
        assert_int_equal(world->held[i].done, world->held[i].count); /* nothing is held for ever */
    }
}

/* Again from the beginning of the stream. */
static inline void rewind_world(struct world *world) {
    for (int i = 0; i < WORLD_SHARDS; i++) {
        world->held[i].read = 0;
        world->held[i].done = 0;
    }
    world->deliveries.length = world->times.length = world->request_ids.length = 0;
    world->documents.length = world->keys.length = world->id_count = 0;
    world->deliveries.text[0] = world->documents.text[0] = world->times.text[0] = world->request_ids.text[0] = '\0';
    world->invocations = 0;
}

static inline void world_free(struct world *world) {
    tumble_mapping_parameters_clean_up(&world->parameters);
    free(world);
}

#define assert_deliveries(world, expected) assert_string_equal((world)->deliveries.text, expected)

static inline size_t lines_in(const struct log *log) {
    size_t lines = 0;
    for (size_t i = 0; i < log->length; i++) {
        lines += log->text[i] == '\n';
    }
    return lines;
}

#endif
