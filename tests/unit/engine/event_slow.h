#ifndef TESTS_EVENT_SLOW_H
#define TESTS_EVENT_SLOW_H

#include <stdlib.h>
#include <string.h>

#include <tumble/kpl.h>
#include <tumble/lambda.h>
#include <tumble/timestamp.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"

/* Events applied the slow way, with nothing of what makes the quick one quick: each record is parsed, decoded,
 * projected and applied by itself. What tumble_shard_apply_event does is held against it. */

static inline struct tw_buf new_buf(void) {
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), SIZE_MAX / 4);
    return buf;
}

static inline struct tumble_bytes text_of_value(const struct tumble_value *value, struct tw_buf *buf) {
    struct tumble_bytes text = {value->text, value->length};
    if (value->flags & TUMBLE_VALUE_ESCAPED) {
        text = tw_json_unescape(value, buf) == TUMBLE_OK ? tw_buf_view(buf) : tumble_bytes_of(NULL);
    }
    return text;
}

/* One record that has been read: decoded, taken apart when it is an aggregate, each applied by itself. */
static inline enum tumble_code slow_record(struct tumble_shard *shard, const struct tumble_kinesis_record *from,
                                           uint64_t *fates, struct tumble_error *err) {
    static const struct tumble_timestamp_format seconds = {.kind = TUMBLE_TIMESTAMP_EPOCH_S};
    const int64_t window_ms = tumble_engine_window_ms(shard->engine);
    struct tw_buf buffers[3] = {new_buf(), new_buf(), new_buf()};
    struct tumble_record record = {.sequence_number = text_of_value(&from->sequence_number, &buffers[0]),
                                   .partition_key = text_of_value(&from->partition_key, &buffers[1])};
    struct tumble_bytes data = text_of_value(&from->data, &buffers[2]);
    char *bytes = malloc(data.length + 1);
    size_t length = 0;
    if (!bytes || tumble_timestamp_ms(&seconds, &from->arrival, &record.arrival_ms, NULL) != TUMBLE_OK) {
        abort();
    }
    if (tw_base64_decode_portable(data, bytes, &length, NULL) == TUMBLE_OK) {
        record.data.data = bytes;
        record.data.length = length;
    } else {
        record.bad = "its data is not base64";
        record.data = data;
    }
    struct tumble_kpl *kpl;
    enum tumble_kpl_kind kind = TUMBLE_KPL_PLAIN;
    struct tumble_kpl_record part;
    struct tumble_apply_result result;
    uint64_t count;
    const int64_t start_ms = record.arrival_ms - record.arrival_ms % window_ms;
    if (tumble_kpl_new(tw_alloc_default(), &kpl, NULL) != TUMBLE_OK ||
        (!record.bad && tumble_kpl_open(kpl, record.data, NULL, &kind, &count, NULL) != TUMBLE_OK)) {
        abort();
    }
    enum tumble_code code = TUMBLE_OK;
    for (bool more = kind == TUMBLE_KPL_PLAIN || tumble_kpl_next(kpl, &part); more && code == TUMBLE_OK;
         more = kind != TUMBLE_KPL_PLAIN && tumble_kpl_next(kpl, &part)) {
        if (kind != TUMBLE_KPL_PLAIN) {
            record.data = part.data;
            record.partition_key = part.partition_key;
            record.sub_sequence_number = part.sub_sequence_number;
            record.bad = part.bad;
        }
        struct tumble_value values[32];
        record.values = shard->engine->projected_count <= 32 && !record.bad &&
                                tumble_project(tumble_engine_projection(shard->engine), record.data, 1, values, NULL,
                                               NULL) == TUMBLE_OK
                            ? values
                            : NULL;
        code = tumble_shard_apply(shard, start_ms, &record, 1, &result, err);
        for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
            fates[fate] += result.fates[fate];
        }
    }
    tumble_kpl_destroy(kpl);
    free(bytes);
    for (size_t i = 0; i < 3; i++) {
        tw_buf_clean_up(&buffers[i]);
    }
    return code;
}

/* The first limit records of what stands behind the bracket of Records, one at a time; err->record of the one that
 * ended it. */
static inline enum tumble_code slow_records(struct tumble_shard *shard, struct tumble_bytes rest, size_t limit,
                                            uint64_t *fates, struct tumble_error *err) {
    for (size_t i = 0; i < limit; i++) {
        struct tumble_kinesis_record record;
        size_t consumed;
        enum tumble_code code = tumble_kinesis_record_parse(rest, 1, &record, &consumed, err);
        if (code == TUMBLE_OK) {
            code = slow_record(shard, &record, fates, err);
        }
        if (code != TUMBLE_OK) {
            err->record = (int64_t)i;
            return code;
        }
        rest.data += consumed;
        rest.length -= consumed;
        while (rest.length && strchr(" \t\r\n,", *rest.data)) {
            rest.data++;
            rest.length--;
        }
    }
    return TUMBLE_OK;
}

#endif
