#ifndef TESTS_EVENT_FIXTURE_H
#define TESTS_EVENT_FIXTURE_H

#include <stdlib.h>

#include <tumble/event.h>

#include "codec/exact_copy.h"
#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/codec/base64.h"
#include "engine_fixture.h"
#include "event/kpl_message.h"
#include "event_slow.h"

/* Lambda's Kinesis events in every spelling, and what an engine holds as text. */

#define SHARD "shardId-000000000006"

static inline void append(struct tw_buf *buf, const char *bytes, size_t length) {
    if (tw_buf_append(buf, bytes, length) != TUMBLE_OK) {
        abort();
    }
}
static inline void append_text(struct tw_buf *buf, const char *text) { append(buf, text, strlen(text)); }

/* ---- events ---- */

enum spelling {
    WINDOWED = 1,
    SHUFFLED = 2,
    SPACED = 4,
    ESCAPED = 8,
    UNKNOWN_MEMBERS = 16,
    RECORDS_LAST = 32,
    SPELLINGS = 64
};

struct writer {
    struct tw_buf out;
    uint64_t random;
    unsigned spelling;
    size_t records;
    size_t array; /* offset behind the bracket that opens Records */
};

struct item {
    const char *shard; /* NULL: SHARD */
    uint64_t sequence;
    int64_t arrival_ms;
    struct tumble_bytes payload;
    const char *data; /* NULL: the payload in base64 */
};

static inline void space(struct writer *w) {
    static const char *const spaces[] = {"", " ", "\n", "\t\r\n    ", "  "};
    if (w->spelling & SPACED) {
        append_text(&w->out, spaces[random_below(&w->random, 5)]);
    }
}

static inline void put_quoted(struct writer *w, const char *text, size_t length, unsigned spelling) {
    append(&w->out, "\"", 1);
    if (!(spelling & ESCAPED)) {
        append(&w->out, text, length);
    }
    for (size_t i = 0; spelling & ESCAPED && i < length; i++) {
        char escape[8];
        size_t dice = random_below(&w->random, 16);
        if (text[i] == '/' && dice < 8) {
            append_text(&w->out, "\\/");
        } else if (dice == 0) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)text[i]);
            append_text(&w->out, escape);
        } else {
            append(&w->out, text + i, 1);
        }
    }
    append(&w->out, "\"", 1);
}

static inline void put_key(struct writer *w, const char *key, bool *first) {
    if (!*first) {
        append(&w->out, ",", 1);
    }
    *first = false;
    space(w);
    put_quoted(w, key, strlen(key), w->spelling);
    space(w);
    append(&w->out, ":", 1);
    space(w);
}

static inline void put_string(struct writer *w, const char *text) { put_quoted(w, text, strlen(text), w->spelling); }

/* Sequence numbers have 56 digits, so that nothing takes them for machine numbers. */
static inline void sequence_text(uint64_t sequence, char out[64]) {
    snprintf(out, 64, "495903382714902566085596925383615710%020llu", (unsigned long long)sequence);
}

static inline void put_data(struct writer *w, const struct item *item) {
    if (item->data) {
        put_string(w, item->data);
        return;
    }
    size_t length = tw_base64_encoded_length(item->payload.length);
    char *text = malloc(length + 1);
    if (!text) {
        abort();
    }
    tw_base64_encode(item->payload, text);
    put_quoted(w, text, length, w->spelling);
    free(text);
}

static inline void order_of(struct writer *w, size_t *order, size_t count) {
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t i = count - 1; w->spelling & SHUFFLED && i > 0; i--) {
        size_t other = random_below(&w->random, i + 1), kept_one = order[i];
        order[i] = order[other];
        order[other] = kept_one;
    }
}

static inline void put_kinesis(struct writer *w, const struct item *item, const char *sequence) {
    size_t order[7];
    bool first = true;
    order_of(w, order, 7);
    append(&w->out, "{", 1);
    for (size_t i = 0; i < 7; i++) {
        char arrival[32];
        switch (order[i]) {
        case 0: put_key(w, "kinesisSchemaVersion", &first), put_string(w, "1.0"); break;
        case 1: put_key(w, "partitionKey", &first), put_string(w, "key/1"); break;
        case 2: put_key(w, "sequenceNumber", &first), put_string(w, sequence); break;
        case 3: put_key(w, "data", &first), put_data(w, item); break;
        case 4:
            put_key(w, "approximateArrivalTimestamp", &first);
            snprintf(arrival, sizeof arrival, "%lld.%03d", (long long)(item->arrival_ms / 1000),
                     (int)(item->arrival_ms % 1000));
            append_text(&w->out, arrival);
            break;
        default:
            if (w->spelling & UNKNOWN_MEMBERS) {
                put_key(w, order[i] == 5 ? "encryptionType" : "more", &first);
                append_text(&w->out, order[i] == 5 ? "null" : "{\"data\":[1,-2.5e3,{\"Records\":[{}]}],\"b\":\"]}\"}");
            }
        }
        space(w);
    }
    append(&w->out, "}", 1);
}

static inline void put_item(struct writer *w, const struct item *item) {
    char sequence[64], id[128];
    size_t order[8];
    bool first = true;
    sequence_text(item->sequence, sequence);
    snprintf(id, sizeof id, "%s:%s", item->shard ? item->shard : SHARD, sequence);
    if (w->records++) {
        append(&w->out, ",", 1);
    }
    space(w);
    append(&w->out, "{", 1);
    order_of(w, order, 8);
    for (size_t i = 0; i < 8; i++) {
        switch (order[i]) {
        case 0: put_key(w, "kinesis", &first), put_kinesis(w, item, sequence); break;
        case 1: put_key(w, "eventSource", &first), put_string(w, "aws:kinesis"); break;
        case 2: put_key(w, "eventVersion", &first), put_string(w, "1.0"); break;
        case 3: put_key(w, "eventID", &first), put_string(w, id); break;
        case 4: put_key(w, "eventName", &first), put_string(w, "aws:kinesis:record"); break;
        case 5: put_key(w, "awsRegion", &first), put_string(w, "us-east-2"); break;
        case 6: put_key(w, "eventSourceARN", &first), put_string(w, "arn:aws:kinesis:us-east-2:1:stream/s"); break;
        default:
            if (w->spelling & UNKNOWN_MEMBERS) {
                put_key(w, "unheard", &first);
                append_text(&w->out, "[true,\"\\u005d\",{\"kinesis\":{}}]");
            }
        }
        space(w);
    }
    append(&w->out, "}", 1);
    space(w);
}

static inline void put_rest(struct writer *w, bool *first) {
    if (w->spelling & WINDOWED) {
        put_key(w, "window", first);
        append_text(&w->out, "{\"start\":\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"}");
        put_key(w, "state", first);
        append_text(&w->out, "{\"Records\":[{\"a\":1}],\"1\":\"282\"}");
        put_key(w, "shardId", first);
        put_string(w, SHARD);
        put_key(w, "isFinalInvokeForWindow", first);
        append_text(&w->out, "false");
    }
    if (w->spelling & UNKNOWN_MEMBERS) {
        put_key(w, "what else", first);
        append_text(&w->out, "[[],{},[{\"Records\":null}],1E2,\"\"]");
    }
}

/* begin_records, put_item, …, end_records: an event. */
static inline void begin_records(struct writer *w, unsigned spelling) {
    bool first = true;
    tw_buf_clear(&w->out);
    w->spelling = spelling;
    w->records = 0;
    space(w);
    append(&w->out, "{", 1);
    if (spelling & RECORDS_LAST) {
        put_rest(w, &first);
    }
    put_key(w, "Records", &first);
    append(&w->out, "[", 1);
    w->array = w->out.length;
}

static inline void end_records(struct writer *w) {
    bool first = false;
    space(w);
    append(&w->out, "]", 1);
    if (!(w->spelling & RECORDS_LAST)) {
        put_rest(w, &first);
    }
    space(w);
    append(&w->out, "}", 1);
    space(w);
}

/* ---- what an engine holds ---- */

struct held {
    struct tw_buf text;
    bool states; /* with what is stored of each window */
};

static inline enum tumble_code add_row(void *ctx, const struct tumble_row *row) {
    append(ctx, row->json.data, row->json.length);
    append(ctx, "\n", 1);
    return TUMBLE_OK;
}

static inline enum tumble_code add_window(void *ctx, struct tumble_shard *shard, int64_t start_ms) {
    struct held *held = ctx;
    struct tumble_error error = {0};
    struct tumble_window_info info;
    char line[512];
    ok(tumble_shard_window_info(shard, start_ms, &info, &error));
    if (info.records == 0) { /* opened for a record that was refused */
        return TUMBLE_OK;
    }
    snprintf(line, sizeof line, "window %lld: %llu records, %.*s to %.*s, %llu bytes\n", (long long)start_ms,
             (unsigned long long)info.records, (int)info.first_sequence.length, info.first_sequence.data,
             (int)info.last_sequence.length, info.last_sequence.data,
             held->states ? (unsigned long long)info.stored_bytes : 0);
    append_text(&held->text, line);
    ok(tumble_shard_rows(shard, start_ms, add_row, &held->text, &error));
    return TUMBLE_OK;
}

/* Windows and rows; the caller frees it. */
static inline char *windows_of(struct tumble_engine *engine, bool states) {
    struct held held = {.text = new_buf(), .states = states};
    assert_int_equal(tumble_engine_windows(engine, add_window, &held), TUMBLE_OK);
    append(&held.text, "", 1);
    return held.text.data;
}

/* Commits, and adds failures and figures. */
static inline char *all_of(struct tumble_engine *engine, bool states) {
    struct tumble_error error;
    struct held held = {.text = new_buf(), .states = states};
    struct tumble_counters counters;
    char line[512];
    ok(tumble_engine_commit(engine, &error));
    assert_int_equal(tumble_engine_windows(engine, add_window, &held), TUMBLE_OK);
    ok(tumble_engine_outbox(engine, TUMBLE_ROW_FAILURE, add_row, &held.text, &error));
    tumble_engine_counters(engine, &counters);
    int length = snprintf(line, sizeof line, "%llu records, %llu windows, %llu failures, %llu skipped, fates",
                          (unsigned long long)counters.records, (unsigned long long)counters.windows_opened,
                          (unsigned long long)counters.failures, (unsigned long long)counters.skipped);
    append(&held.text, line, (size_t)length);
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        length = snprintf(line, sizeof line, " %llu", (unsigned long long)counters.fates[fate]);
        append(&held.text, line, (size_t)length);
    }
    append(&held.text, "\n", 2);
    return held.text.data;
}

static inline void assert_same_text(char *got, char *wanted) {
    if (strcmp(got, wanted) != 0) {
        size_t at = 0;
        while (got[at] == wanted[at]) {
            at++;
        }
        at -= at < 60 ? at : 60;
        fail_msg("at %zu:\n%.300s\n-- wanted:\n%.300s", at, got + at, wanted + at);
    }
    free(got);
    free(wanted);
}

#endif
