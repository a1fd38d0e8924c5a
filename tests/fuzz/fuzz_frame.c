#include "engine/store/store.h"
#include "fuzz_target.h"

/* Any bytes as a stored frame, under every kind. What opens must be exactly what sealing its payload writes. The bytes
 * are tried a second time with their checksum put right, so that the fuzzer gets past it. */
static void try_frame(const char *data, size_t size) {
    struct tumble_bytes bytes = {data, size}, payload;
    for (int kind = TW_FRAME_SNAPSHOT; kind <= TW_FRAME_SHARD; kind++) {
        struct tumble_error err;
        if (tw_frame_open(bytes, (enum tw_frame_kind)kind, 0, "input", &payload, &err) != TUMBLE_OK) {
            continue;
        }
        uint64_t digest = 0;
        struct tw_cursor cursor = tw_cursor_of(bytes);
        struct tumble_bytes head;
        struct tw_buf buf;
        size_t mark;
        tw_buf_init(&buf, tw_alloc_default(), size);
        FUZZ_CHECK(tw_take_bytes(&cursor, 8, &head) && tw_take_u64(&cursor, &digest));
        FUZZ_CHECK(tw_frame_begin(&buf, (enum tw_frame_kind)kind, digest, &mark) == TUMBLE_OK);
        FUZZ_CHECK(tw_buf_append(&buf, payload.data, payload.length) == TUMBLE_OK);
        FUZZ_CHECK(tw_frame_seal(&buf, mark) == TUMBLE_OK);
        FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&buf), bytes));
        tw_buf_clean_up(&buf);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    try_frame((const char *)data, size);
    if (size < 24) {
        return 0;
    }
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), size + 8);
    if (tw_buf_append(&buf, data, size) == TUMBLE_OK && tw_frame_seal(&buf, 0) == TUMBLE_OK) {
        try_frame(buf.data, buf.length);
    }
    tw_buf_clean_up(&buf);
    return 0;
}
