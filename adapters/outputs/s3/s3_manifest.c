#include "adapters/outputs/s3/s3_manifest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/codec/json.h"

enum { VERSION = 1 };

static void put_hex(const uint8_t digest[16], char out[33]) {
    for (size_t i = 0; i < 16; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

static enum tumble_code put_text(struct tw_buf *out, const char *name, struct tumble_bytes text) {
    TW_TRY(tw_buf_append_text(out, ",\""));
    TW_TRY(tw_buf_append_text(out, name));
    TW_TRY(tw_buf_append_text(out, "\":"));
    return tw_buf_append_json_string(out, text);
}

static enum tumble_code put_count(struct tw_buf *out, const char *name, uint64_t count) {
    char text[64];
    snprintf(text, sizeof text, ",\"%s\":%" PRIu64, name, count);
    return tw_buf_append_text(out, text);
}

static enum tumble_code put_time(struct tw_buf *out, const char *name, int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    tumble_timestamp_text(ms, text);
    return put_text(out, name, tumble_bytes_of(text));
}

enum tumble_code tw_s3_manifest_write(struct tw_buf *out, const struct tw_s3_manifest *manifest) {
    const struct tumble_fragment *fragment = &manifest->fragment;
    char digest[33], spec[17];
    put_hex(fragment->digest, digest);
    snprintf(spec, sizeof spec, "%016" PRIx64, manifest->spec_digest);
    tw_buf_clear(out);
    TW_TRY(tw_buf_append_text(out, "{\"version\":1"));
    TW_TRY(put_text(out, "object", manifest->object));
    TW_TRY(put_text(out, "format", tumble_bytes_of("ndjson")));
    TW_TRY(put_text(out, "compression", tumble_bytes_of(manifest->compression)));
    TW_TRY(put_count(out, "bytes", manifest->bytes));
    TW_TRY(put_count(out, "rows", fragment->row_count));
    TW_TRY(put_count(out, "records", fragment->record_count));
    TW_TRY(put_text(out, "digest", tumble_bytes_of(digest)));
    TW_TRY(put_text(out, "source", manifest->source));
    TW_TRY(put_text(out, "spec", tumble_bytes_of(spec)));
    TW_TRY(put_time(out, "window_start", fragment->window_start_ms));
    TW_TRY(put_time(out, "window_end", fragment->window_end_ms));
    TW_TRY(put_text(out, "shard_id", fragment->shard_id));
    TW_TRY(put_text(out, "first_sequence", fragment->first_sequence));
    TW_TRY(put_text(out, "last_sequence", fragment->last_sequence));
    return tw_buf_append_text(out, "}\n");
}

/* ---- reading ---- */

static bool take_text(const struct tumble_value *value, char *out, size_t size) {
    if (value->type != TUMBLE_TYPE_STRING || value->length >= size) {
        return false;
    }
    out[tumble_value_text(value, out, size - 1)] = '\0';
    return true;
}

static bool take_count(const struct tumble_value *value, uint64_t *out) {
    int64_t number;
    if (value->type != TUMBLE_TYPE_NUMBER || !tw_json_integer(value, &number) || number < 0) {
        return false;
    }
    *out = (uint64_t)number;
    return true;
}

enum tumble_code tw_s3_manifest_read(struct tumble_bytes json, struct tw_s3_manifest_seen *out,
                                     struct tumble_error *err) {
    struct tumble_value object, key, value;
    struct tw_json_walk walk;
    uint64_t version = 0;
    bool sound = true;
    int seen = 0;
    memset(out, 0, sizeof *out);
    if (tw_json_document(json, TUMBLE_TYPE_OBJECT, &object, NULL) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_ECORRUPT, "it is not a JSON object");
    }
    tw_json_walk_begin(&walk, &object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        bool named = true;
        if (tw_json_string_equal(&key, tumble_bytes_of("version"))) {
            sound = sound && take_count(&value, &version);
        } else if (tw_json_string_equal(&key, tumble_bytes_of("object"))) {
            sound = sound && take_text(&value, out->object, sizeof out->object);
        } else if (tw_json_string_equal(&key, tumble_bytes_of("bytes"))) {
            sound = sound && take_count(&value, &out->bytes);
        } else if (tw_json_string_equal(&key, tumble_bytes_of("rows"))) {
            sound = sound && take_count(&value, &out->rows);
        } else if (tw_json_string_equal(&key, tumble_bytes_of("last_sequence"))) {
            sound = sound && take_text(&value, out->last_sequence, sizeof out->last_sequence);
        } else if (tw_json_string_equal(&key, tumble_bytes_of("digest"))) {
            sound = sound && take_text(&value, out->digest, sizeof out->digest);
        } else {
            named = false;
        }
        seen += named;
    }
    struct tumble_bytes digits;
    sound = sound && seen == 6 && tw_sequence_check(tumble_bytes_of(out->last_sequence), &digits, NULL) == TUMBLE_OK;
    if (version != VERSION) {
        return tw_fail(err, TUMBLE_ECORRUPT, "it is of another version");
    }
    return sound ? TUMBLE_OK : tw_fail(err, TUMBLE_ECORRUPT, "a member is missing or of a wrong type");
}

enum tw_s3_verdict tw_s3_judge(const struct tw_s3_manifest_seen *there, const struct tumble_fragment *fragment) {
    struct tumble_bytes ours, theirs;
    char digest[33];
    if (!there) {
        return TW_S3_WRITE;
    }
    if (tw_sequence_check(fragment->last_sequence, &ours, NULL) != TUMBLE_OK ||
        tw_sequence_check(tumble_bytes_of(there->last_sequence), &theirs, NULL) != TUMBLE_OK) {
        return TW_S3_OVERLAP;
    }
    int order = tw_sequence_compare(theirs, ours);
    if (order != 0) {
        return order > 0 ? TW_S3_SUPERSEDED : TW_S3_WRITE;
    }
    put_hex(fragment->digest, digest);
    return there->rows == fragment->row_count && strcmp(there->digest, digest) == 0 ? TW_S3_THERE : TW_S3_OVERLAP;
}
