#include "fuzz_target.h"

#include <string.h>

#include "adapters/inputs/kinesis/get_records_body.h"
#include "engine/base/sequence.h"
#include "engine/codec/json_scan.h"

/* What a server answers to GetRecords. A body that is taken is JSON to the other reader too, and every view lies in it
 * or in what was made of it. */

static bool lies_in(struct tumble_bytes view, const char *begin, size_t length) {
    return view.data >= begin && view.data + view.length <= begin + length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tw_get_records answer; /* kept from one to the next, as a reader does */
    static bool ready;
    struct tumble_error err;
    struct tumble_bytes body = {(const char *)data, size};
    struct tumble_value value;
    if (!ready) {
        tw_get_records_init(&answer, (struct tumble_alloc){0});
        ready = true;
    }
    enum tumble_code code = tw_get_records_read(&answer, body, &err);
    enum tumble_code other = tw_json_value(body, 1, &value, NULL, NULL);
    if (code != TUMBLE_OK) {
        FUZZ_CHECK(code == err.code && err.text[0] && answer.count == 0 && answer.next_iterator.length == 0);
        FUZZ_CHECK(err.byte <= (int64_t)size);
        return 0;
    }
    FUZZ_CHECK(other == TUMBLE_OK && value.type == TUMBLE_TYPE_OBJECT);
    uint64_t bytes = 0;
    for (size_t i = 0; i < answer.count; i++) {
        const struct tumble_kinesis_read *record = &answer.records[i];
        const struct tumble_bytes views[] = {record->data, record->partition_key, record->sequence_number};
        for (size_t k = 0; k < 3; k++) {
            FUZZ_CHECK(views[k].length == 0 || lies_in(views[k], body.data, size) ||
                       lies_in(views[k], answer.text.data, answer.text.length));
        }
        struct tumble_bytes digits;
        FUZZ_CHECK(tw_sequence_check(record->sequence_number, &digits, NULL) == TUMBLE_OK &&
                   digits.length == record->sequence_number.length);
        FUZZ_CHECK(i == 0 || tw_sequence_compare(record->sequence_number, answer.records[i - 1].sequence_number) > 0);
        FUZZ_CHECK(record->arrival_ms >= 0);
        bytes += record->data.length + record->partition_key.length;
    }
    FUZZ_CHECK(bytes == answer.bytes);
    FUZZ_CHECK(answer.millis_behind_latest >= -1);
    for (size_t i = 0; i < answer.child_count; i++) {
        FUZZ_CHECK(memchr(answer.children[i].id, '\0', TUMBLE_KINESIS_ID) && answer.children[i].id[0]);
        FUZZ_CHECK(memchr(answer.children[i].parents[0], '\0', TUMBLE_KINESIS_ID));
        FUZZ_CHECK(memchr(answer.children[i].parents[1], '\0', TUMBLE_KINESIS_ID));
    }
    return 0;
}
