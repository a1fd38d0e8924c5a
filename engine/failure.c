#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/base64.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/window_span.h"
#include "engine/engine_internal.h"

/* A failure is a document with the record itself, so that it can be mended and sent again (docs/failures.md). */

bool tw_engine_has_failures(const struct tumble_engine *engine) {
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].kind == TUMBLE_ROW_FAILURE) {
            return true;
        }
    }
    return false;
}

static enum tumble_code member(struct tw_buf *out, const char *name, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_text(out, name));
    return tw_buf_append_json_string(out, text);
}

static bool is_json(struct tumble_bytes data) {
    struct tumble_value value;
    return tw_json_value(data, 1, &value, NULL, NULL) == TUMBLE_OK;
}

/* The payload as text when it is JSON (so valid UTF-8), otherwise as base64. */
static enum tumble_code put_data(struct tw_buf *out, struct tumble_bytes data) {
    if (is_json(data)) {
        return member(out, ",\"data\":", data);
    }
    TW_TRY(tw_buf_append_text(out, ",\"data_base64\":\""));
    size_t length = tw_base64_encoded_length(data.length);
    TW_TRY(tw_buf_reserve(out, length));
    tw_base64_encode(data, out->data + out->length);
    out->length += length;
    return tw_buf_append_byte(out, '"');
}

static bool is_text(struct tumble_bytes bytes) {
    for (size_t i = 0; i < bytes.length; i++) {
        if ((unsigned char)bytes.data[i] < 0x20 || (unsigned char)bytes.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

static enum tumble_code put_document(struct tw_buf *out, const struct tumble_shard *shard,
                                     const struct tumble_record *record, enum tumble_fate fate, const char *reason) {
    const struct tumble_engine *engine = shard->engine;
    char arrival[TUMBLE_TIMESTAMP_TEXT], start[TUMBLE_TIMESTAMP_TEXT];
    struct tumble_bytes source = {engine->source, engine->source_length};
    TW_TRY(tw_buf_append_text(out, fate == TUMBLE_FATE_LATE ? "{\"fate\":\"late\"" : "{\"fate\":\"bad\""));
    if (reason) {
        struct tumble_bytes text = tumble_bytes_of(reason);
        TW_TRY(member(out, ",\"reason\":", tw_utf8_valid(text) ? text : tumble_bytes_of("a reason that is not UTF-8")));
    }
    TW_TRY(member(out, ",\"source\":", source));
    TW_TRY(member(out, ",\"shard_id\":", tumble_shard_id(shard)));
    if (is_text(record->sequence_number)) {
        TW_TRY(member(out, ",\"sequence_number\":", record->sequence_number));
    }
    if (is_text(record->partition_key)) {
        TW_TRY(member(out, ",\"partition_key\":", record->partition_key));
    }
    if (record->arrival_ms >= 0) {
        tumble_timestamp_text_ms(record->arrival_ms, arrival);
        TW_TRY(member(out, ",\"arrival\":", tumble_bytes_of(arrival)));
        tumble_timestamp_text(tw_window_start(record->arrival_ms, engine->window_ms), start);
        TW_TRY(member(out, ",\"window_start\":", tumble_bytes_of(start)));
    }
    TW_TRY(put_data(out, record->data));
    return tw_buf_append_byte(out, '}');
}

enum tumble_code tw_failure_record(struct tumble_shard *shard, const struct tumble_record *record,
                                   enum tumble_fate fate, const char *reason, struct tumble_error *err) {
    if (!tw_engine_has_failures(shard->engine)) {
        return TUMBLE_OK;
    }
    struct tw_buf document;
    tw_buf_init(&document, shard->engine->alloc, SIZE_MAX / 4);
    size_t mark = shard->failures.length;
    enum tumble_code code = put_document(&document, shard, record, fate, reason);
    if (code == TUMBLE_OK) {
        code = tw_buf_append_varint(&shard->failures, document.length);
    }
    if (code == TUMBLE_OK) {
        code = tw_buf_append(&shard->failures, document.data, document.length);
    }
    tw_buf_clean_up(&document);
    if (code != TUMBLE_OK) {
        shard->failures.length = mark;
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    return TUMBLE_OK;
}
