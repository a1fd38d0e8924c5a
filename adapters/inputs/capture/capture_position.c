#include "adapters/inputs/capture/capture_position.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

/* ---- writing ---- */

struct sink {
    char *out;
    size_t cap;
    size_t length; /* of the whole text, also beyond cap */
};

static void put(struct sink *sink, const char *bytes, size_t length) {
    if (sink->length < sink->cap) {
        size_t room = sink->cap - sink->length;
        memcpy(sink->out + sink->length, bytes, length < room ? length : room);
    }
    sink->length += length;
}

static void __attribute__((format(printf, 2, 3))) put_format(struct sink *sink, const char *format, ...) {
    char text[160];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(sink, text, length > 0 ? (size_t)length : 0);
}

static void put_path(struct sink *sink, const char *path) {
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if (c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '%') {
            put(sink, path, 1);
        } else {
            put_format(sink, "%%%02x", c);
        }
    }
}

size_t tw_capture_position_write(struct tw_capture_reader *const *readers, size_t count,
                                 enum tumble_capture_format format, char *out, size_t cap) {
    struct sink sink = {out, cap, 0};
    put_format(&sink, "{\"format\":\"%s\",\"inputs\":[", tw_capture_format_name(format));
    for (size_t i = 0; i < count; i++) {
        struct tw_capture_place place;
        tw_capture_reader_place(readers[i], &place);
        put_format(&sink, "%s{\"path\":\"", i ? "," : "");
        put_path(&sink, readers[i]->path);
        put_format(
            &sink,
            "\",\"size\":%lld,\"done\":%d,\"offset\":%llu,\"records\":%llu,\"digest\":\"%016llx\",\"elements\":\"",
            (long long)readers[i]->file_size, place.done, (unsigned long long)place.offset,
            (unsigned long long)place.records, (unsigned long long)place.digest);
        for (size_t b = 0; b < place.elements_length; b++) {
            put_format(&sink, "%02x", (unsigned)(unsigned char)place.elements[b]);
        }
        put_format(&sink, "\"}");
    }
    put_format(&sink, "]}");
    return sink.length;
}

/* ---- reading ---- */

static bool get(const struct tumble_value *object, const char *name, enum tumble_type type, struct tumble_value *out) {
    struct tw_json_walk walk;
    struct tumble_value key;
    if (object->type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &key, out)) {
        if (tw_json_string_equal(&key, tumble_bytes_of(name))) {
            return out->type == type;
        }
    }
    return false;
}

static bool get_int(const struct tumble_value *object, const char *name, int64_t *out) {
    struct tumble_value value;
    if (!get(object, name, TUMBLE_TYPE_NUMBER, &value)) {
        return false;
    }
    bool negative = value.text[0] == '-';
    int64_t sum = 0;
    for (uint32_t i = negative; i < value.length; i++) {
        int digit = value.text[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, digit, &sum)) {
            return false;
        }
    }
    *out = negative ? -sum : sum;
    return true;
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool get_hex(const struct tumble_value *object, const char *name, char *out, size_t cap, size_t *length) {
    struct tumble_value value;
    if (!get(object, name, TUMBLE_TYPE_STRING, &value) || value.length % 2 || value.length / 2 > cap) {
        return false;
    }
    for (uint32_t i = 0; i < value.length; i += 2) {
        int high = hex_digit(value.text[i]);
        int low = hex_digit(value.text[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i / 2] = (char)(high * 16 + low);
    }
    *length = value.length / 2;
    return true;
}

static bool same_path(const struct tumble_value *text, const char *path) {
    const char *at = text->text;
    const char *end = at + text->length;
    for (; *path; path++) {
        char want[4];
        struct sink sink = {want, sizeof want, 0};
        char one[2] = {*path, '\0'};
        put_path(&sink, one);
        if ((size_t)(end - at) < sink.length || memcmp(at, want, sink.length) != 0) {
            return false;
        }
        at += sink.length;
    }
    return at == end;
}

static bool read_place(const struct tumble_value *input, struct tw_capture_place *place) {
    int64_t done;
    int64_t offset;
    int64_t records;
    unsigned char digest[8];
    size_t digest_length;
    if (!get_int(input, "done", &done) || !get_int(input, "offset", &offset) || offset < 0 ||
        !get_int(input, "records", &records) || records < 0 ||
        !get_hex(input, "digest", (char *)digest, sizeof digest, &digest_length) || digest_length != sizeof digest ||
        !get_hex(input, "elements", place->elements, sizeof place->elements, &place->elements_length)) {
        return false;
    }
    place->done = done != 0;
    place->offset = (uint64_t)offset;
    place->records = (uint64_t)records;
    place->digest = 0;
    for (size_t i = 0; i < sizeof digest; i++) {
        place->digest = place->digest << 8 | digest[i];
    }
    return true;
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "the recorded position of the inputs cannot be read: begin with a new state");
}

enum tumble_code tw_capture_position_read(struct tumble_bytes text, struct tw_capture_reader *const *readers,
                                          size_t count, enum tumble_capture_format format,
                                          struct tw_capture_place *places, struct tumble_error *err) {
    struct tumble_value whole;
    struct tumble_value inputs;
    struct tumble_value name;
    if (tw_json_value(text, 1, &whole, NULL, NULL) != TUMBLE_OK || !get(&whole, "format", TUMBLE_TYPE_STRING, &name) ||
        !get(&whole, "inputs", TUMBLE_TYPE_ARRAY, &inputs)) {
        return damaged(err);
    }
    const char *mine = tw_capture_format_name(format);
    if (!tw_json_string_equal(&name, tumble_bytes_of(mine))) {
        return tw_fail(err, TUMBLE_EMISMATCH, "%s: is read as %s, this state was made from %.*s: say --input-format",
                       readers[0]->path, mine, (int)name.length, name.text);
    }
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value input;
    size_t found = 0;
    tw_json_walk_begin(&walk, &inputs);
    for (; tw_json_walk_next(&walk, &key, &input); found++) {
        struct tumble_value path;
        int64_t size;
        if (!get(&input, "path", TUMBLE_TYPE_STRING, &path) || !get_int(&input, "size", &size)) {
            return damaged(err);
        }
        if (found >= count) {
            return tw_fail(err, TUMBLE_EMISMATCH,
                           "this state was made from more inputs than the %zu given: the next one was %.*s", count,
                           (int)path.length, path.text);
        }
        const struct tw_capture_reader *reader = readers[found];
        if (!same_path(&path, reader->path)) {
            return tw_fail(err, TUMBLE_EMISMATCH, "input %zu is %s, but this state was made from %.*s", found + 1,
                           reader->path, (int)path.length, path.text);
        }
        if (size != reader->file_size) {
            return tw_fail(err, TUMBLE_EMISMATCH,
                           "%s: has %lld bytes, but this state was made from %lld (-1: not a file)", reader->path,
                           (long long)reader->file_size, (long long)size);
        }
        if (!read_place(&input, &places[found])) {
            return damaged(err);
        }
    }
    if (found < count) {
        return tw_fail(err, TUMBLE_EMISMATCH, "%s: this state was made without this input", readers[found]->path);
    }
    return TUMBLE_OK;
}
