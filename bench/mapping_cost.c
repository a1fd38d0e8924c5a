#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/command_line.h"
#include "emulator/emulator.h"
#include "emulator/event_json.h"
#include "emulator/mapping.h"

/* What emulating the event source mapping costs by itself, in ns a record: with a function that does nothing but answer
 * a state ("structs"), and with one that writes each event as JSON ("events").
 *
 *     build/release/bin/tumble-emulation [RECORDS [BATCH [FACTOR]]] */

static const char program[] = "tumble-emulation";
static const char usage[] =
    "Usage: tumble-emulation [RECORDS [BATCH [FACTOR]]]\n"
    "Nanoseconds a record of emulating the event source mapping, three times: with a function that only\n"
    "answers a state (structs), and one that writes each event as JSON (events). RECORDS (3600000) in\n"
    "batches of BATCH (10000; 1 to 10000), FACTOR (1; 1 to 10) batches of a shard at once.\n";

enum { RING = 65536 }; /* records at hand: enough for any batch, and for what is read ahead */

struct source {
    struct tumble_stream_record *records;
    uint64_t next, count;
};

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-emulation: %s\n", what);
        exit(1);
    }
}

static enum tumble_code read_records(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                     size_t *count, struct tumble_error *err) {
    struct source *source = ctx;
    size_t taken = 0;
    (void)shard;
    (void)err;
    for (; taken < capacity && source->next < source->count; taken++) {
        out[taken] = source->records[source->next % RING];
        out[taken].arrival_ms = (int64_t)(1762732800000 + source->next++);
    }
    *count = taken;
    return TUMBLE_OK;
}

struct sink {
    struct tumble_event_writer *writer; /* NULL: nothing is written */
    uint64_t bytes;
};

static enum tumble_code answer_state(void *ctx, const struct tumble_function_request *request,
                                     struct tumble_function_answer *answer, struct tumble_error *err) {
    struct sink *sink = ctx;
    struct tumble_bytes event = {NULL, 0};
    answer->kind = TUMBLE_ANSWER_RESPONSE;
    answer->response = tumble_bytes_of("{\"state\":{\"n\":\"1\"},\"batchItemFailures\":[]}");
    enum tumble_code code = sink->writer ? tumble_event_write(sink->writer, request, &event, err) : TUMBLE_OK;
    sink->bytes += event.length;
    return code;
}

static double seconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static struct tumble_stream_record *make_records(void) {
    struct tumble_stream_record *records = calloc(RING, sizeof *records);
    char *text = malloc((size_t)RING * 256);
    must(records && text, "out of memory");
    for (unsigned i = 0; i < RING; i++) {
        char *sequence = text + (size_t)i * 256, *key = sequence + 64, *data = key + 32;
        tumble_synthetic_sequence(i + 1, sequence);
        unsigned user = i * 7919 % 10007;
        snprintf(key, 32, "user-%06u", user);
        snprintf(data, 160,
                 "{\"eventId\":\"6f9619ff-8b86-d011-b42d-%012x\",\"userId\":\"user-%06u\",\"eventType\":\"view\","
                 "\"timestamp\":1762732800123,\"amount\":%u.25}",
                 i, user, i % 1000);
        records[i].sequence = tumble_bytes_of(sequence);
        records[i].partition_key = tumble_bytes_of(key);
        records[i].data = tumble_bytes_of(data);
    }
    return records;
}

static void measure(const char *name, struct tumble_stream_record *records, uint64_t count, uint32_t batch,
                    uint32_t factor, int as_events) {
    struct tumble_mapping_parameters parameters;
    struct tumble_mapping_options options;
    struct tumble_stream_shard shard = {.id = "shardId-000000000000", .parents = {TUMBLE_NO_SHARD, TUMBLE_NO_SHARD}};
    struct source source = {records, 0, count};
    struct sink sink = {NULL, 0};
    struct tumble_stream stream = {&source, &shard, 1, read_records, NULL};
    struct tumble_emulated_function function = {&sink, answer_state, NULL};
    struct tumble_mapping *mapping;
    struct tumble_error error = {.text = ""};
    tumble_mapping_parameters_init(&parameters, (struct tumble_alloc){0});
    memset(&options, 0, sizeof options);
    parameters.starting_position = TUMBLE_TRIM_HORIZON;
    parameters.batch_size = batch;
    parameters.parallelization_factor = factor;
    parameters.tumbling_window_in_seconds = factor == 1 ? 60 : 0;
    must(!as_events || tumble_event_writer_new(NULL, (struct tumble_alloc){0}, &sink.writer, &error) == TUMBLE_OK,
         "out of memory");
    must(tumble_mapping_new(&parameters, &options, &stream, &function, &mapping, &error) == TUMBLE_OK, error.text);
    double begin = seconds();
    must(tumble_mapping_run(mapping, &error) == TUMBLE_OK, error.text);
    double took = seconds() - begin;
    const struct tumble_mapping_metrics *metrics = tumble_mapping_metrics(mapping);
    must(metrics->succeeded_records == count, "records are missing");
    printf("%-8s %8.1f ns a record, %llu invocations", name, took * 1e9 / (double)count,
           (unsigned long long)metrics->invocations);
    printf(as_events ? ", %.0f bytes a record, %.2f GB/s\n" : "\n", (double)sink.bytes / (double)count,
           (double)sink.bytes / took * 1e-9);
    tumble_mapping_destroy(mapping);
    tumble_event_writer_destroy(sink.writer);
}

int main(int argc, char **argv) {
    command_words(program, argc, argv, 3, usage);
    uint64_t count = argc > 1 ? command_whole(program, "RECORDS", argv[1], 1, UINT64_C(1) << 40) : 3600000;
    uint32_t batch = argc > 2 ? (uint32_t)command_whole(program, "BATCH", argv[2], 1, 10000) : 10000;
    uint32_t factor = argc > 3 ? (uint32_t)command_whole(program, "FACTOR", argv[3], 1, 10) : 1;
    struct tumble_stream_record *records = make_records();
    for (int round = 0; round < 3; round++) {
        measure("structs", records, count, batch, factor, 0);
        measure("events", records, count, batch, factor, 1);
    }
    return command_end(program);
}
