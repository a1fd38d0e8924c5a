#include "fuzz_target.h"

#include <string.h>

#include <tumble/projection.h>

#include "engine/codec/json_scan.h"
#include "engine/event/dynamodb_record.h"

/* Whatever is accepted is well-formed as plain JSON too and not longer than it was; whatever is refused names a byte
 * of the record; and the parser agrees with the general scanner about what is JSON. */

enum { CAP = 1 << 24 };

typedef enum tumble_code writer(const struct tw_dynamodb_record *record, struct tw_buf *out, struct tumble_error *err);

static void check(writer *write, const struct tw_dynamodb_record *record, struct tumble_bytes json) {
    struct tw_buf out;
    struct tumble_error err = {.byte = -1};
    struct tumble_value plain;
    tw_buf_init(&out, tw_alloc_default(), CAP);
    enum tumble_code code = write(record, &out, &err);
    if (code == TUMBLE_OK) {
        FUZZ_CHECK(out.length <= json.length);
        FUZZ_CHECK(tw_json_value(tw_buf_view(&out), 1, &plain, NULL, NULL) == TUMBLE_OK);
        FUZZ_CHECK(plain.type == TUMBLE_TYPE_OBJECT && plain.length == out.length);
    } else {
        FUZZ_CHECK(code == TUMBLE_EEVENT && out.length == 0);
        FUZZ_CHECK(err.byte >= 0 && (size_t)err.byte < json.length);
    }
    tw_buf_clean_up(&out);
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
        check(tw_dynamodb_record_payload, &record, json);
        check(tw_dynamodb_record_key, &record, json);
    }
    return 0;
}
