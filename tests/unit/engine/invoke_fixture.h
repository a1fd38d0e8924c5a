#ifndef TESTS_INVOKE_FIXTURE_H
#define TESTS_INVOKE_FIXTURE_H

#include <stdarg.h>
#include <stdlib.h>

#include <tumble/invoke.h>

#include "engine/codec/base64.h"
#include "engine_fixture.h"

/* Events as Lambda makes them, and a spill store in memory. */

struct text {
    char *data;
    size_t length;
    size_t capacity;
};

/* Not inline: the compiler would follow assertions it does not know to end the test. */
static __attribute__((noinline, unused)) void add_bytes(struct text *text, const char *bytes, size_t length) {
    if (text->length + length + 1 > text->capacity) {
        text->capacity = 2 * (text->length + length + 1);
        text->data = realloc(text->data, text->capacity);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->length, bytes, length);
    text->length += length;
    text->data[text->length] = '\0';
}

static inline void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void add(struct text *text, const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < sizeof line);
    add_bytes(text, line, length > 0 ? (size_t)length : 0);
}

static inline struct tumble_bytes view(const struct text *text) {
    struct tumble_bytes bytes = {text->data, text->length};
    return bytes;
}

#define ARN "arn:aws:kinesis:us-east-1:123456789012:stream/lambda-stream"

/* Sequence numbers have 56 digits, so that nothing takes them for machine numbers. */
static inline const char *digits(uint64_t number) {
    static char text[4][64];
    static unsigned at;
    snprintf(text[++at % 4], sizeof text[0], "495903382714902566085596925383615710%020llu", (unsigned long long)number);
    return text[at % 4];
}

struct event_parts {
    const char *shard;
    const char *arn;
    int64_t start;  /* seconds */
    int64_t length; /* seconds; 0: 60 */
    struct tumble_bytes state;
    int final;
    int early;
    int final_key_first; /* keys in another order */
};

static inline void begin_event(struct text *event, const struct event_parts *parts) {
    event->length = 0;
    add(event, "%s", "{");
    if (parts->final_key_first) {
        add(event, "\"isFinalInvokeForWindow\":%s,\"new\":{\"a\":[1,{}]},", parts->final ? "true" : "false");
    }
    add(event, "%s", "\"Records\":[");
}

static inline void add_raw_record(struct text *event, const char *shard, const char *sequence, const char *arrival,
                                  struct tumble_bytes data) {
    char *encoded = malloc(tw_base64_encoded_length(data.length) + 1);
    tw_base64_encode(data, encoded);
    if (event->data[event->length - 1] != '[') {
        add(event, "%s", ",");
    }
    add(event,
        "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"pk\",\"sequenceNumber\":\"%s\",\"data\":\"",
        sequence);
    add_bytes(event, encoded, tw_base64_encoded_length(data.length));
    add(event,
        "\",\"approximateArrivalTimestamp\":%s},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\","
        "\"eventID\":\"%s:%s\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::1:role/r\","
        "\"awsRegion\":\"us-east-1\",\"eventSourceARN\":\"" ARN "\"}",
        arrival, shard, sequence);
    free(encoded);
}

static inline void add_record(struct text *event, const char *shard, uint64_t sequence, int64_t arrival_s,
                              const char *json) {
    char arrival[32];
    snprintf(arrival, sizeof arrival, "%lld.%03d", (long long)arrival_s, (int)(sequence % 1000));
    add_raw_record(event, shard, digits(sequence), arrival, tumble_bytes_of(json));
}

static inline void end_event(struct text *event, const struct event_parts *parts) {
    char start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    int64_t length = parts->length ? parts->length : 60;
    tumble_timestamp_text(parts->start * 1000, start);
    tumble_timestamp_text((parts->start + length) * 1000, end);
    add(event, "],\"shardId\":\"%s\",\"eventSourceARN\":\"%s\",\"window\":{\"start\":\"%s\",\"end\":\"%s\"},\"state\":",
        parts->shard, parts->arn ? parts->arn : ARN, start, end);
    if (parts->state.data) {
        add_bytes(event, parts->state.data, parts->state.length);
    } else {
        add(event, "%s", "{}");
    }
    if (!parts->final_key_first) {
        add(event, ",\"isFinalInvokeForWindow\":%s", parts->final ? "true" : "false");
    }
    add(event, ",\"isWindowTerminatedEarly\":%s}", parts->early ? "true" : "false");
}

/* The `state` of a response. */
static inline struct tumble_bytes state_in(struct tumble_bytes response) {
    static const char before[] = "{\"state\":", behind[] = ",\"batchItemFailures\":[";
    assert_true(response.length > sizeof before + sizeof behind);
    assert_memory_equal(response.data, before, sizeof before - 1);
    const char *begin = response.data + sizeof before - 1;
    const char *end = strstr(begin, behind);
    struct tumble_bytes state = {begin, end ? (size_t)(end - begin) : 0};
    assert_non_null(end);
    return state;
}

static inline void keep_state(struct text *kept_state, struct tumble_bytes response) {
    struct text copy = {0};
    add_bytes(&copy, response.data, response.length);
    struct tumble_bytes state = state_in(view(&copy));
    kept_state->length = 0;
    add_bytes(kept_state, state.data, state.length);
    free(copy.data);
}

/* ---- spill store ---- */

struct stored_object {
    char name[160];
    char *data;
    size_t length;
};
struct memory_store {
    struct stored_object objects[2048];
    size_t count;
    size_t puts;
    size_t gets;
    uint64_t put_bytes;
    int down;
};

static inline struct stored_object *find_object(struct memory_store *store, const char *name) {
    for (size_t i = 0; i < store->count; i++) {
        if (store->objects[i].data && strcmp(store->objects[i].name, name) == 0) {
            return &store->objects[i];
        }
    }
    return NULL;
}

static inline enum tumble_code store_down(struct tumble_error *err) {
    snprintf(err->text, sizeof err->text, "the bucket is away");
    err->code = TUMBLE_EOUTPUT;
    return TUMBLE_EOUTPUT;
}

static inline enum tumble_code memory_put(void *ctx, const char *name, struct tumble_bytes bytes,
                                          struct tumble_error *err) {
    struct memory_store *store = ctx;
    if (store->down) {
        return store_down(err);
    }
    assert_int_equal(strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz/-"), strlen(name));
    struct stored_object *object = find_object(store, name);
    if (!object) {
        assert_true(store->count < 2048 && strlen(name) < 160);
        object = &store->objects[store->count++];
        snprintf(object->name, sizeof object->name, "%s", name);
    }
    free(object->data);
    object->data = malloc(bytes.length + 1);
    memcpy(object->data, bytes.data, bytes.length);
    object->length = bytes.length;
    store->puts++;
    store->put_bytes += bytes.length;
    return TUMBLE_OK;
}

static inline enum tumble_code memory_get(void *ctx, const char *name, size_t max_bytes, struct tumble_bytes *out,
                                          struct tumble_error *err) {
    struct memory_store *store = ctx;
    if (store->down) {
        return store_down(err);
    }
    struct stored_object *object = find_object(store, name);
    *out = tumble_bytes_of(NULL);
    store->gets++;
    if (object) {
        assert_true(object->length <= max_bytes);
        out->data = object->data;
        out->length = object->length;
    }
    return TUMBLE_OK;
}

static inline enum tumble_code memory_remove(void *ctx, const char *name, struct tumble_error *err) {
    struct stored_object *object = find_object(ctx, name);
    (void)err;
    if (object) {
        free(object->data);
        object->data = NULL;
    }
    return TUMBLE_OK;
}

static inline size_t live_objects(const struct memory_store *store) {
    size_t live = 0;
    for (size_t i = 0; i < store->count; i++) {
        live += store->objects[i].data != NULL;
    }
    return live;
}

static inline struct memory_store *new_store(struct tumble_spill_store *spill) {
    struct memory_store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    spill->ctx = store;
    spill->put = memory_put;
    spill->get = memory_get;
    spill->remove = memory_remove;
    return store;
}

static inline void free_store(struct memory_store *store) {
    for (size_t i = 0; i < store->count; i++) {
        free(store->objects[i].data);
    }
    free(store);
}

/* ---- engines ---- */

static inline struct tumble_engine *sandbox(const struct tumble_spec *spec,
                                            const struct tumble_carried_options *carried) {
    struct tumble_error error;
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec};
    ok(tumble_engine_open_carried(&options, carried, &engine, &error));
    attach_kept(engine, TUMBLE_ROW_WINDOW);
    return engine;
}

#endif
