#include "adapters/inputs/capture/capture_reader.h"

#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

/* What the beginning of an input shows. Only the first top-level value is looked at, as far as it tells. */

const char *tw_capture_format_name(enum tumble_capture_format format) {
    switch (format) {
    case TUMBLE_CAPTURE_NDJSON: return "ndjson";
    case TUMBLE_CAPTURE_ARRAY: return "array";
    case TUMBLE_CAPTURE_LAMBDA: return "lambda";
    case TUMBLE_CAPTURE_GET_RECORDS: return "get-records";
    case TUMBLE_CAPTURE_AUTO: break;
    }
    return "auto";
}

static bool member(const struct tumble_value *object, const char *name, struct tumble_value *out) {
    bool there = false;
    if (object->type == TUMBLE_TYPE_OBJECT) {
        struct tw_json_walk walk;
        struct tumble_value key;
        struct tumble_value value;
        tw_json_walk_begin(&walk, object);
        while (tw_json_walk_next(&walk, &key, &value)) {
            if (tw_json_string_equal(&key, tumble_bytes_of(name))) {
                *out = value; /* the last of duplicate keys wins */
                there = true;
            }
        }
    }
    return there;
}

static bool has(const struct tumble_value *object, const char *name) {
    struct tumble_value ignored;
    return member(object, name, &ignored);
}

static bool first_element(const struct tumble_value *array, struct tumble_value *out) {
    struct tw_json_walk walk;
    struct tumble_value key;
    if (array->type != TUMBLE_TYPE_ARRAY) {
        return false;
    }
    tw_json_walk_begin(&walk, array);
    return tw_json_walk_next(&walk, &key, out);
}

static enum tumble_capture_format of_record(const struct tumble_value *record) {
    return has(record, "kinesis")                                 ? TUMBLE_CAPTURE_LAMBDA
           : has(record, "SequenceNumber") || has(record, "Data") ? TUMBLE_CAPTURE_GET_RECORDS
                                                                  : TUMBLE_CAPTURE_NDJSON;
}

/* Of a whole top-level object. */
static enum tumble_capture_format of_object(const struct tumble_value *object) {
    struct tumble_value records;
    struct tumble_value first;
    if (!member(object, "Records", &records) || records.type != TUMBLE_TYPE_ARRAY) {
        return TUMBLE_CAPTURE_NDJSON;
    }
    if (first_element(&records, &first)) {
        return of_record(&first);
    }
    if (has(object, "window") || has(object, "isFinalInvokeForWindow")) {
        return TUMBLE_CAPTURE_LAMBDA; /* a final that carries no records (point 6) */
    }
    return has(object, "NextShardIterator") || has(object, "MillisBehindLatest") ? TUMBLE_CAPTURE_GET_RECORDS
                                                                                 : TUMBLE_CAPTURE_NDJSON;
}

/* The first element of the array at pointer, when these bytes hold it whole. EMORE when they do not, *there 0 when
 * there is no such element. */
static enum tumble_code peek(struct tw_capture_reader *reader, const char *pointer, struct tumble_value *out,
                             int *there, struct tumble_error *err) {
    struct tumble_bytes unread = tw_capture_reader_unread(reader);
    struct tw_elements *elements;
    *there = 0;
    TW_TRY(tw_elements_new(tumble_bytes_of(pointer), 0, reader->pool->alloc, &elements, err));
    size_t skipped = 0;
    int at_element = 0;
    enum tumble_code code = tw_elements_next(elements, unread, reader->at_end, &at_element, &skipped, err);
    tw_elements_destroy(elements);
    if (code == TUMBLE_OK && at_element) {
        struct tumble_bytes rest = {unread.data + skipped, unread.length - skipped};
        size_t consumed;
        code = tw_json_value(rest, reader->at_end, out, &consumed, err);
        *there = code == TUMBLE_OK;
    }
    /* Whatever else is wrong with the text is for the reader proper to tell, with its place. */
    return code == TUMBLE_EMORE || code == TUMBLE_ENOMEM ? code : TUMBLE_OK;
}

static enum tumble_code look_at_array(struct tw_capture_reader *reader, enum tumble_capture_format *format,
                                      struct tumble_error *err) {
    struct tumble_value first;
    int there;
    *format = TUMBLE_CAPTURE_ARRAY;
    TW_TRY(peek(reader, "", &first, &there, err));
    if (!there) {
        return TUMBLE_OK;
    }
    enum tumble_capture_format inner = of_object(&first);
    if (inner != TUMBLE_CAPTURE_NDJSON) {
        return tw_fail(err, TUMBLE_ECAPTURE,
                       "%s: is a JSON array of %s: write them one after the other (jq -c '.[]'), or say --input-format "
                       "array if they are the payloads",
                       reader->path, inner == TUMBLE_CAPTURE_LAMBDA ? "Lambda events" : "get-records answers");
    }
    struct tumble_value ignored;
    if (member(&first, "kinesis", &ignored) && ignored.type == TUMBLE_TYPE_OBJECT && has(&ignored, "data")) {
        return tw_fail(err, TUMBLE_ECAPTURE,
                       "%s: is a JSON array of Lambda records: give the whole event ({\"Records\": [...]}), or say "
                       "--input-format array if they are the payloads",
                       reader->path);
    }
    return TUMBLE_OK;
}

static enum tumble_code look_at_object(struct tw_capture_reader *reader, enum tumble_capture_format *format,
                                       struct tumble_error *err) {
    struct tumble_value value;
    size_t consumed;
    enum tumble_code code = tw_json_value(tw_capture_reader_unread(reader), reader->at_end, &value, &consumed, err);
    if (code == TUMBLE_OK) {
        *format = of_object(&value);
        return TUMBLE_OK;
    }
    *format = TUMBLE_CAPTURE_NDJSON;
    /* An event is often longer than what was read: its first record is enough. */
    int there;
    TW_TRY(peek(reader, "/Records", &value, &there, err));
    if (there) {
        *format = of_record(&value);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_capture_detect(struct tw_capture_reader *reader, enum tumble_capture_format *format,
                                   struct tumble_error *err) {
    for (;;) {
        struct tumble_bytes unread = tw_capture_reader_unread(reader);
        enum tumble_code code = TUMBLE_OK;
        if (unread.data[0] == '[') {
            code = look_at_array(reader, format, err);
        } else if (unread.data[0] == '{') {
            code = look_at_object(reader, format, err);
        } else {
            *format = TUMBLE_CAPTURE_NDJSON; /* any JSON value may be a payload; it has no fields then */
        }
        if (code != TUMBLE_EMORE) {
            return code;
        }
        if (reader->at_end) {
            return TUMBLE_OK; /* cut off: the reader proper tells where */
        }
        TW_TRY(tw_capture_reader_fill(reader, 2 * unread.length, err));
    }
}
