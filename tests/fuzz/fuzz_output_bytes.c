#include "fuzz_target.h"

#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_item.h"
#include "adapters/outputs/dynamodb/dynamodb_shares.h"
#include "adapters/outputs/s3/s3_manifest.h"
#include "engine/codec/json_scan.h"

/* What outputs read back from a table or a bucket, and what they make of values. The first byte says which: m a
 * manifest, s shares and (behind a form feed) one to add, v a value for an item. */

static void manifest(struct tumble_bytes bytes) {
    struct tw_s3_manifest_seen seen;
    struct tumble_error err;
    if (tw_s3_manifest_read(bytes, &seen, &err) == TUMBLE_OK) {
        const struct tumble_fragment same = {.row_count = seen.rows,
                                             .last_sequence = tumble_bytes_of(seen.last_sequence)};
        FUZZ_CHECK(tw_s3_judge(&seen, &same) != TW_S3_WRITE);
    }
}

/* What was added is there: offering it again changes nothing. */
static void shares(struct tumble_bytes bytes) {
    const char *cut = memchr(bytes.data, '\f', bytes.length);
    struct tumble_bytes there = {bytes.data, cut ? (size_t)(cut - bytes.data) : 0};
    struct tumble_bytes offered = {cut ? cut + 1 : bytes.data, bytes.length - (cut ? there.length + 1 : 0)};
    struct tumble_error err;
    enum tw_share_fate fate;
    struct tw_buf after, again, names;
    tw_buf_init(&after, tw_alloc_default(), 1 << 20);
    tw_buf_init(&again, tw_alloc_default(), 1 << 20);
    tw_buf_init(&names, tw_alloc_default(), 1 << 20);
    if (!memchr(offered.data, '\n', offered.length) &&
        tw_shares_add(there, offered, &after, &fate, &err) == TUMBLE_OK && fate == TW_SHARE_ADDED) {
        FUZZ_CHECK(after.length >= offered.length);
        FUZZ_CHECK(tw_shares_names(tw_buf_view(&after), &names, &err) == TUMBLE_OK);
        FUZZ_CHECK(tw_shares_add(tw_buf_view(&after), offered, &again, &fate, &err) == TUMBLE_OK);
        FUZZ_CHECK(fate != TW_SHARE_ADDED && again.length == 0);
    }
    tw_buf_clean_up(&after);
    tw_buf_clean_up(&again);
    tw_buf_clean_up(&names);
}

static void value(struct tumble_bytes bytes) {
    struct tw_buf out;
    struct tumble_value item;
    const char *why = NULL;
    size_t size = 0;
    tw_buf_init(&out, tw_alloc_default(), 1 << 24);
    enum tumble_code code = tw_dynamodb_value(&out, bytes, &size, &why);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_EINVAL || (code == TUMBLE_EREJECTED && why));
    FUZZ_CHECK(code != TUMBLE_OK || (tw_json_value(tw_buf_view(&out), 1, &item, NULL, NULL) == TUMBLE_OK &&
                                     item.type == TUMBLE_TYPE_OBJECT && size <= 2 * bytes.length + 8));
    tw_buf_clean_up(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 && size < 65536) {
        struct tumble_bytes rest = {(const char *)data + 1, size - 1};
        switch (data[0]) {
        case 'm': manifest(rest); break;
        case 's': shares(rest); break;
        default: value(rest); break;
        }
    }
    return 0;
}
