#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tumble/invoke.h>

#include "bench/command_line.h"

/* What an invocation costs in the process: the bytes of an event in, those of its response out. "hit": each event
 * carries the state that the last answer gave; "miss": the same event again and again, so that its state is decoded
 * each time, as in another sandbox. The difference to a window of one group is what carrying the groups costs.
 *
 *     build/release/bin/tumble-invocations [GROUPS [RECORDS [ROUNDS]]] */

static const char program[] = "tumble-invocations";
static const char usage[] =
    "Usage: tumble-invocations [GROUPS [RECORDS [ROUNDS]]]\n"
    "Microseconds of processor time of an invocation of RECORDS (100) whose state holds one group, and\n"
    "GROUPS (10000): \"hit\" where the state is the last answer's, \"miss\" where it is decoded each time.\n"
    "Medians of ROUNDS (51).\n";

struct text {
    char *data;
    size_t length;
    size_t capacity;
};

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-invocations: %s\n", what);
        exit(1);
    }
}

static void add(struct text *text, const char *bytes, size_t length) {
    if (text->length + length + 1 > text->capacity) {
        text->capacity = 2 * (text->length + length + 1);
        text->data = realloc(text->data, text->capacity);
        must(text->data != NULL, "out of memory");
    }
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

static void add_text(struct text *text, const char *bytes) { add(text, bytes, strlen(bytes)); }

static void add_base64(struct text *text, const char *bytes, size_t length) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = (unsigned)(unsigned char)bytes[i] << 16;
        group |= i + 1 < length ? (unsigned)(unsigned char)bytes[i + 1] << 8 : 0;
        group |= i + 2 < length ? (unsigned char)bytes[i + 2] : 0;
        char four[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], alphabet[group >> 6 & 63],
                        alphabet[group & 63]};
        if (i + 1 >= length) {
            four[2] = '=';
        }
        if (i + 2 >= length) {
            four[3] = '=';
        }
        add(text, four, 4);
    }
}

static unsigned long sequence;

static void make_event(struct text *event, const struct text *state, unsigned long records, unsigned long groups) {
    char line[1024], payload[160];
    event->length = 0;
    add_text(event, "{\"Records\":[");
    for (unsigned long i = 0; i < records; i++) {
        sequence++;
        unsigned long random = (unsigned long)(sequence * 0x9e3779b97f4a7c15u >> 33);
        int length = snprintf(payload, sizeof payload,
                              "{\"eventId\":\"6f9619ff-8b86-d011-b42d-%012lx\",\"userId\":\"user-%06lu\",\"eventType\":"
                              "\"view\",\"timestamp\":1762732800123,\"amount\":%lu.%02lu}",
                              sequence, sequence * 7919 % groups, random % 100, random / 128 % 100);
        snprintf(line, sizeof line,
                 "%s{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"user-%06lu\",\"sequenceNumber\":"
                 "\"4959033827149025660855969253836157%022lu\",\"data\":\"",
                 i ? "," : "", sequence * 7919 % groups, sequence);
        add_text(event, line);
        add_base64(event, payload, (size_t)length);
        snprintf(line, sizeof line,
                 "\",\"approximateArrivalTimestamp\":1762732800.123},\"eventSource\":\"aws:kinesis\",\"eventVersion\":"
                 "\"1.0\",\"eventID\":\"shardId-000000000000:4959033827149025660855969253836157%022lu\",\"eventName\":"
                 "\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::123456789012:role/lambda-role\","
                 "\"awsRegion\":\"us-east-1\",\"eventSourceARN\":"
                 "\"arn:aws:kinesis:us-east-1:123456789012:stream/lambda-stream\"}",
                 sequence);
        add_text(event, line);
    }
    add_text(event, "],\"shardId\":\"shardId-000000000000\",\"eventSourceARN\":"
                    "\"arn:aws:kinesis:us-east-1:123456789012:stream/lambda-stream\",\"window\":{\"start\":"
                    "\"2025-11-10T00:00:00Z\",\"end\":\"2025-11-10T00:15:00Z\"},\"state\":");
    if (state->length) {
        add(event, state->data, state->length);
    } else {
        add_text(event, "{}");
    }
    add_text(event, ",\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}");
}

static double now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at); /* nothing here waits; neighbours do not count */
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return values[count / 2];
}

static double invoke(struct tumble_engine *engine, const struct text *event, struct text *state, size_t *state_bytes) {
    static const char before[] = "{\"state\":", behind[] = ",\"batchItemFailures\":[";
    struct tumble_invoked out;
    struct tumble_error error;
    struct tumble_bytes bytes = {event->data, event->length};
    double from = now_us();
    enum tumble_code code = tumble_engine_invoke(engine, bytes, &out, &error);
    double took = now_us() - from;
    must(code == TUMBLE_OK, code == TUMBLE_OK ? "" : error.text);
    state->length = 0;
    size_t length = out.response.length - (sizeof before - 1) - (sizeof behind + 1);
    add(state, out.response.data + sizeof before - 1, length);
    *state_bytes = length;
    return took;
}

static void measure(const struct tumble_spec *spec, unsigned long groups, unsigned long records, size_t rounds) {
    struct tumble_engine_options options = {.spec = spec};
    struct tumble_carried_options carried = {.inline_state_limit = 4000000};
    struct tumble_engine *engine;
    struct tumble_error error;
    must(tumble_engine_open_carried(&options, &carried, &engine, &error) == TUMBLE_OK, "the engine cannot be opened");
    struct text event = {0}, state = {0}, other = {0};
    size_t state_bytes = 0;
    double *took = calloc(2 * rounds, sizeof *took);
    must(took != NULL, "out of memory");
    for (unsigned long left = groups < records ? records : groups; left;) {
        unsigned long now = left < 5000 ? left : 5000;
        make_event(&event, &state, now, groups);
        invoke(engine, &event, &state, &state_bytes);
        left -= now;
    }
    for (size_t i = 0; i < rounds; i++) {
        make_event(&event, &state, records, groups);
        took[i] = invoke(engine, &event, &state, &state_bytes);          /* the state it has itself */
        took[rounds + i] = invoke(engine, &event, &other, &state_bytes); /* one that it has left behind */
    }
    printf("%9lu %9lu %12zu %12.0f %12.0f\n", groups, records, state_bytes, median(took, rounds),
           median(took + rounds, rounds));
    tumble_engine_destroy(engine);
    free(event.data);
    free(state.data);
    free(other.data);
    free(took);
}

int main(int argc, char **argv) {
    static const char text[] = "{\"group_by\":[\"userId\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
                               "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"amount\"},"
                               "{\"name\":\"lo\",\"function\":\"min\",\"field\":\"amount\"},"
                               "{\"name\":\"hi\",\"function\":\"max\",\"field\":\"amount\"}]}";
    command_words(program, argc, argv, 3, usage);
    unsigned long groups = argc > 1 ? command_whole(program, "GROUPS", argv[1], 1, 1000000) : 10000;
    unsigned long records = argc > 2 ? command_whole(program, "RECORDS", argv[2], 1, 10000) : 100;
    size_t rounds = argc > 3 ? command_whole(program, "ROUNDS", argv[3], 1, 1000000) : 51;
    struct tumble_spec *spec;
    struct tumble_error error;
    struct tumble_bytes json = {text, sizeof text - 1};
    struct tumble_alloc alloc = {0};
    must(tumble_spec_parse(json, NULL, alloc, &spec, &error) == TUMBLE_OK, "the spec cannot be read");
    printf("%9s %9s %12s %12s %12s\n", "groups", "records", "state bytes", "hit us", "miss us");
    measure(spec, 1, records, rounds);
    measure(spec, groups, records, rounds);
    tumble_spec_destroy(spec);
    return command_end(program);
}
