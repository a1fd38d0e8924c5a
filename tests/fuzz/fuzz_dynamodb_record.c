#include "fuzz_target.h"

#include <string.h>

#include <tumble/projection.h>

#include "engine/codec/json_scan.h"
#include "engine/event/dynamodb_record.h"

/* Whatever is accepted is well-formed as plain JSON too and not longer than it was; twice its length is room for the
 * key and the payload; whatever is refused names a byte of the record; and the parser agrees with the general scanner
 * about what is JSON. */

typedef enum tumble_code writer(const struct tw_dynamodb_record *record, struct tw_buf *out, struct tumble_error *err);

static void check(writer *write, const struct tw_dynamodb_record *record, struct tumble_bytes json,
                  struct tw_buf *out) {
    struct tumble_error err = {.byte = -1};
    struct tumble_value plain;
    size_t before = out->length;
    enum tumble_code code = write(record, out, &err);
    if (code == TUMBLE_OK) {
        struct tumble_bytes written = {out->data + before, out->length - before};
        FUZZ_CHECK(written.length <= json.length);
        FUZZ_CHECK(tw_json_value(written, 1, &plain, NULL, NULL) == TUMBLE_OK);
        FUZZ_CHECK(plain.type == TUMBLE_TYPE_OBJECT && plain.length == written.length);
    } else {
        FUZZ_CHECK(code == TUMBLE_EEVENT && out->length == before);
        FUZZ_CHECK(err.byte >= 0 && (size_t)err.byte < json.length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_bytes json = {(const char *)data, size};
    struct tw_dynamodb_record record;
    struct tumble_error err = {.byte = -1};
    struct tumble_value value;
    enum tumble_code code = tw_dynamodb_record_parse(json, 1, &record, NULL, &err);
    enum tumble_code general = tw_json_value(json, 1, &value, NULL, NULL);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_EEVENT ? general == TUMBLE_OK : general == code);
    FUZZ_CHECK(code == TUMBLE_OK || (err.byte >= 0 && (size_t)err.byte <= json.length));
    if (code == TUMBLE_OK) {
        struct tw_buf out;
        for (int payload_first = 0; payload_first < 2; payload_first++) {
            tw_buf_init(&out, tw_alloc_default(), 2 * json.length);
            check(payload_first ? tw_dynamodb_record_payload : tw_dynamodb_record_key, &record, json, &out);
            check(payload_first ? tw_dynamodb_record_key : tw_dynamodb_record_payload, &record, json, &out);
            tw_buf_clean_up(&out);
        }
    }
    return 0;
}
