#include <string.h>

#include <tumble/invoke.h>

#include "engine/codec/base64.h"
#include "engine/codec/compress.h"
#include "engine/codec/hash.h"
#include "engine/store/store.h"
#include "fuzz_target.h"

/* Any bytes as a Lambda event (bit 0 of the first byte clear), as the state of one that is right otherwise (set), or as
 * what such a state holds once it is unpacked and found whole (bit 2 set too): never a crash, always a response, and
 * the next invocation works. */

static const char spec_text[] =
    "{\"group_by\":[\"k\"],\"bad_records\":\"divert\",\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
    "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}]}";

static enum tumble_code output_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    static char any;
    (void)how;
    (void)err;
    *self = &any;
    return TUMBLE_OK;
}
static enum tumble_code output_write(void *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    (void)self;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(rows[i].json.length > 2);
        out[i].outcome = TUMBLE_DELIVERED;
    }
    return TUMBLE_OK;
}
static enum tumble_code output_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}
static void output_close(void *self) { (void)self; }

static const struct tumble_output_api output = {
    .struct_size = sizeof output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "sink",
    .open = output_open,
    .write = output_write,
    .flush = output_flush,
    .close = output_close,
};

static const char good_event[] =
    "{\"Records\":[{\"kinesis\":{\"partitionKey\":\"1\",\"sequenceNumber\":\"7\",\"data\":\"eyJrIjoiYSIsInYiOjEuNX0=\","
    "\"approximateArrivalTimestamp\":1607497475.000},\"eventID\":\"s:7\"}],\"window\":{\"start\":"
    "\"2020-12-09T07:04:00Z\",\"end\":\"2020-12-09T07:06:00Z\"},\"state\":{},\"shardId\":\"s\",\"eventSourceARN\":"
    "\"a\","
    "\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false}";

/* A state whose frame, digests and packing are right, whatever the payload. */
static size_t wrap(const struct tumble_spec *spec, const uint8_t *data, size_t size, char *out) {
    struct tw_buf frame, packed;
    size_t mark;
    uint8_t digest[16];
    struct tw_zstd *zstd = tw_zstd_new(tw_alloc_default());
    tw_buf_init(&frame, tw_alloc_default(), 1 << 20);
    tw_buf_init(&packed, tw_alloc_default(), 1 << 20);
    FUZZ_CHECK(zstd && tw_frame_begin(&frame, TW_FRAME_STATE, tumble_spec_digest(spec), &mark) == TUMBLE_OK);
    FUZZ_CHECK(tw_buf_append(&frame, data, size) == TUMBLE_OK && tw_frame_seal(&frame, mark) == TUMBLE_OK);
    FUZZ_CHECK(tw_zstd_pack(zstd, tw_buf_view(&frame), &packed) == TUMBLE_OK);
    tw_hash128(data, size, digest);
    int length =
        sprintf(out, "{\"v\":\"1\",\"spec\":\"%016llx\",\"digest\":\"", (unsigned long long)tumble_spec_digest(spec));
    for (size_t i = 0; i < sizeof digest; i++) {
        length += sprintf(out + length, "%02x", digest[i]);
    }
    length += sprintf(out + length, "\",\"data\":\"");
    tw_base64_encode(tw_buf_view(&packed), out + length);
    length += (int)tw_base64_encoded_length(packed.length);
    length += sprintf(out + length, "\"}");
    tw_buf_clean_up(&frame);
    tw_buf_clean_up(&packed);
    tw_zstd_destroy(zstd);
    return (size_t)length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct tumble_spec *spec;
    if (!spec) {
        struct tumble_bytes json = {spec_text, sizeof spec_text - 1};
        struct tumble_alloc alloc = {0};
        FUZZ_CHECK(tumble_spec_parse(json, NULL, alloc, &spec, NULL) == TUMBLE_OK);
    }
    if (size == 0 || size > 1 << 16) {
        return 0;
    }
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec};
    struct tumble_carried_options carried = {.report_batch_item_failures = data[0] & 2};
    struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW};
    FUZZ_CHECK(tumble_engine_open_carried(&options, &carried, &engine, NULL) == TUMBLE_OK);
    FUZZ_CHECK(tumble_engine_attach(engine, "sink:", &output, &how, NULL) == TUMBLE_OK);
    char *event = malloc(3 * size + 1024 + sizeof good_event), *state = malloc(3 * size + 1024);
    FUZZ_CHECK(event != NULL && state != NULL);
    size_t length = size - 1;
    memcpy(state, data + 1, length);
    if ((data[0] & 5) == 5) {
        length = wrap(tumble_spec_for_fragments(spec), data + 1, length, state);
    }
    memcpy(event, state, length);
    if (data[0] & 1) {
        static const char at[] = "\"state\":{}";
        const char *hole = strstr(good_event, at) + sizeof at - 3;
        size_t before = (size_t)(hole - good_event), after = sizeof good_event - 1 - before - 2;
        memcpy(event + before, state, length);
        memcpy(event, good_event, before);
        memcpy(event + before + length, hole + 2, after);
        length += before + after;
    }
    struct tumble_bytes bytes = {event, length};
    struct tumble_invoked out;
    for (int twice = 0; twice < 2; twice++) {
        enum tumble_code code = tumble_engine_invoke(engine, bytes, &out, NULL);
        FUZZ_CHECK(out.response.length > 2 && out.response.data[0] == '{');
        FUZZ_CHECK((code == TUMBLE_OK) == (out.error_type == NULL));
        uint64_t fates = 0;
        for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
            fates += out.fates[fate];
        }
        FUZZ_CHECK(fates == out.records);
    }
    struct tumble_bytes good = {good_event, sizeof good_event - 1};
    FUZZ_CHECK(tumble_engine_invoke(engine, good, &out, NULL) == TUMBLE_OK);
    FUZZ_CHECK(out.fates[TUMBLE_FATE_APPLIED] == 1);
    tumble_engine_destroy(engine);
    free(event);
    free(state);
    return 0;
}
