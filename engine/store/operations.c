#include "engine/store/operations.h"

#include "engine/base/fail.h"
#include "engine/store/store_internal.h"

enum { HEAD_BYTES = 9, SUM_BYTES = 8 };

enum tumble_code tw_operation_append(struct tw_buf *buf, enum tw_operation_kind kind, struct tumble_bytes key,
                                     struct tumble_bytes value, const uint64_t *sum, struct tumble_error *err) {
    size_t value_bytes = value.length + (sum ? SUM_BYTES : 0);
    enum tumble_code code = tw_buf_reserve(buf, HEAD_BYTES + key.length + value_bytes);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    tw_buf_append_byte(buf, (char)kind); /* these cannot fail: there is room */
    tw_buf_append_u32(buf, (uint32_t)key.length);
    tw_buf_append_u32(buf, (uint32_t)value_bytes);
    tw_buf_append(buf, key.data, key.length);
    tw_buf_append(buf, value.data, value.length);
    if (sum) {
        tw_buf_append_u64(buf, *sum);
    }
    return TUMBLE_OK;
}

bool tw_operation_take(struct tw_cursor *in, struct tw_operation *out) {
    uint8_t kind = 0;
    uint32_t key = 0, value = 0;
    if (!tw_take_u8(in, &kind) || !tw_take_u32(in, &key) || !tw_take_u32(in, &value) ||
        !tw_take_bytes(in, key, &out->key) || !tw_take_bytes(in, value, &out->value)) {
        return false;
    }
    out->kind = (enum tw_operation_kind)kind;
    bool is_prefix = kind == TW_OPERATION_DELETE_PREFIX;
    return kind >= TW_OPERATION_PUT && (is_prefix || (kind <= TW_OPERATION_DELETE && key > 0)) &&
           key <= TW_STORE_KEY_MAX && (kind == TW_OPERATION_PUT || value == 0);
}

enum tumble_code tw_operation_apply(struct tw_store *store, const struct tw_operation *one, struct tumble_error *err) {
    return one->kind == TW_OPERATION_PUT      ? store->backend->put(store, one->key, one->value, err)
           : one->kind == TW_OPERATION_DELETE ? store->backend->erase(store, one->key, err)
                                              : store->backend->erase_prefix(store, one->key, err);
}
