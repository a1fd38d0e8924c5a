#include "adapters/metrics/report/report_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "adapters/metrics/shown_text.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum { NUMBER_BYTES = 40 };

struct tw_report_json {
    struct tumble_alloc alloc;
    struct tw_buf text;
    enum tumble_code code; /* the first error */
    int depth;
    char ends[TW_REPORT_DEPTH];
    bool has_members[TW_REPORT_DEPTH + 1];
};

struct tw_report_json *tw_report_json_new(struct tumble_alloc alloc) {
    alloc = tw_alloc_or_default(alloc);
    struct tw_report_json *json = tw_alloc_zero(&alloc, sizeof *json);
    if (json) {
        json->alloc = alloc;
        tw_buf_init(&json->text, alloc, TW_REPORT_JSON_BYTES);
    }
    return json;
}

void tw_report_json_destroy(struct tw_report_json *json) {
    if (json) {
        struct tumble_alloc alloc = json->alloc;
        tw_buf_clean_up(&json->text);
        tw_free(&alloc, json);
    }
}

static void put_bytes(struct tw_report_json *json, const char *bytes, size_t length) {
    if (json->code == TUMBLE_OK) {
        json->code = tw_buf_append(&json->text, bytes, length);
    }
}

static void put(struct tw_report_json *json, const char *text) { put_bytes(json, text, strlen(text)); }

/* What a character is written as where it must not stand as itself; NULL: it may. */
static const char *escape_of(const char *at, size_t length, char room[8]) {
    unsigned char first = (unsigned char)*at;
    if (first < 0x20 || first == '<' || first == '>' || first == '&' || first == 0x7f) {
        snprintf(room, 8, "\\u%04x", first);
        return room;
    }
    if (length == 3 && memcmp(at, "\xe2\x80", 2) == 0 && (at[2] == '\xa8' || at[2] == '\xa9')) {
        return at[2] == '\xa8' ? "\\u2028" : "\\u2029";
    }
    return NULL;
}

static void put_characters(struct tw_report_json *json, struct tumble_bytes text, bool is_string) {
    for (size_t at = 0; at < text.length;) {
        char room[8];
        size_t length = tw_character_length(text.data + at, text.length - at);
        const char *escaped = length == 0 ? TW_REPLACEMENT_CHARACTER : escape_of(text.data + at, length, room);
        if (is_string && length == 1 && (text.data[at] == '"' || text.data[at] == '\\')) {
            put(json, "\\");
        }
        if (!is_string && length == 1 && (unsigned char)text.data[at] < 0x20) {
            put(json, " "); /* between tokens: in a string it would not stand as itself */
        } else if (escaped) {
            put(json, escaped);
        } else {
            put_bytes(json, text.data + at, length);
        }
        at += length ? length : 1;
    }
}

static void put_string(struct tw_report_json *json, struct tumble_bytes text) {
    put(json, "\"");
    put_characters(json, text, true);
    put(json, "\"");
}

static void begin(struct tw_report_json *json, const char *name) {
    put(json, json->has_members[json->depth] ? "," : "");
    json->has_members[json->depth] = true;
    if (name) {
        put_string(json, tumble_bytes_of(name));
        put(json, ":");
    }
}

static void begin_group(struct tw_report_json *json, const char *name, const char *bracket, char end) {
    begin(json, name);
    put(json, bracket);
    if (json->depth == TW_REPORT_DEPTH) {
        json->code = json->code == TUMBLE_OK ? TUMBLE_ELIMIT : json->code;
        return;
    }
    json->ends[json->depth++] = end;
    json->has_members[json->depth] = false;
}

void tw_report_object(struct tw_report_json *json, const char *name) { begin_group(json, name, "{", '}'); }
void tw_report_array(struct tw_report_json *json, const char *name) { begin_group(json, name, "[", ']'); }

void tw_report_end(struct tw_report_json *json) {
    if (json->depth > 0) {
        put_bytes(json, &json->ends[--json->depth], 1);
    }
}

void tw_report_bytes(struct tw_report_json *json, const char *name, struct tumble_bytes text) {
    begin(json, name);
    put_string(json, text);
}

void tw_report_text(struct tw_report_json *json, const char *name, const char *text) {
    if (text) {
        tw_report_bytes(json, name, tumble_bytes_of(text));
    } else {
        tw_report_null(json, name);
    }
}

void tw_report_count(struct tw_report_json *json, const char *name, uint64_t value) {
    char number[NUMBER_BYTES];
    snprintf(number, sizeof number, "%" PRIu64, value);
    begin(json, name);
    put(json, number);
}

void tw_report_integer(struct tw_report_json *json, const char *name, int64_t value) {
    if (value < 0) {
        tw_report_null(json, name);
    } else {
        tw_report_count(json, name, (uint64_t)value);
    }
}

void tw_report_number(struct tw_report_json *json, const char *name, double value) {
    char number[NUMBER_BYTES];
    snprintf(number, sizeof number, "%.6g", value);
    begin(json, name);
    put(json, isfinite(value) ? number : "null");
}

void tw_report_boolean(struct tw_report_json *json, const char *name, int value) {
    begin(json, name);
    put(json, value ? "true" : "false");
}

void tw_report_null(struct tw_report_json *json, const char *name) {
    begin(json, name);
    put(json, "null");
}

void tw_report_raw(struct tw_report_json *json, const char *name, struct tumble_bytes text) {
    begin(json, name);
    put_characters(json, text, false);
}

enum tumble_code tw_report_json_view(const struct tw_report_json *json, struct tumble_bytes *out,
                                     struct tumble_error *err) {
    *out = tw_buf_view(&json->text);
    return json->code == TUMBLE_OK       ? TUMBLE_OK
           : json->code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                         : tw_fail(err, json->code, "a report's data are too large");
}
