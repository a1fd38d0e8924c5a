#include <stdbool.h>
#include <string.h>

#include <tumble/event.h>

#include "fuzz_target.h"
#include "tests/unit/engine/event_pieces.h"
#include "tests/unit/engine/event_slow.h"

/* Any bytes as an event: what is told to be applied is what the same records leave when each is parsed and applied by
 * itself, nothing else is, the event can be given again, and cut into pieces it is the same to the letter. */

#define SPEC(bad)                                                                                                      \
    "{\"window\":{\"seconds\":60},\"bad_records\":\"" bad "\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\","   \
    "\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"last\","                \
    "\"function\":\"last\",\"field\":\"$partitionKey\"}]}"

/* Behind the bracket of the first Records that is an array; nothing: the bytes in front of it are no such event. */
static struct tumble_bytes find_records(struct tumble_bytes event) {
    static const struct tumble_bytes nothing = {NULL, 0};
    const char *const end = event.data + event.length;
    const char *at = event.length ? tw_json_space(event.data, end) : NULL;
    if (!at || at == end || *at != '{') {
        return nothing;
    }
    do {
        struct tumble_value key, value;
        size_t consumed;
        at = tw_json_space(at + 1, end);
        if (at == end || *at != '"' ||
            tw_json_value((struct tumble_bytes){at, (size_t)(end - at)}, 1, &key, &consumed, NULL) != TUMBLE_OK) {
            return nothing;
        }
        at = tw_json_space(at + consumed, end);
        if (at == end || *at != ':') {
            return nothing;
        }
        at = tw_json_space(at + 1, end);
        if (tw_json_string_equal(&key, tumble_bytes_of("Records"))) {
            return at < end && *at == '[' ? (struct tumble_bytes){at + 1, (size_t)(end - at - 1)} : nothing;
        }
        if (tw_json_value((struct tumble_bytes){at, (size_t)(end - at)}, 1, &value, &consumed, NULL) != TUMBLE_OK) {
            return nothing;
        }
        at = tw_json_space(at + consumed, end);
    } while (at < end && *at == ',');
    return nothing;
}

static enum tumble_code add_row(void *ctx, const struct tumble_row *row) {
    return tw_buf_append(ctx, row->json.data, row->json.length);
}

static enum tumble_code add_window(void *ctx, struct tumble_shard *shard, int64_t start_ms) {
    return tumble_shard_rows(shard, start_ms, add_row, ctx, NULL);
}

static struct tw_buf rows_of(struct tumble_engine *engine) {
    struct tw_buf rows = new_buf();
    FUZZ_CHECK(tumble_engine_windows(engine, add_window, &rows) == TUMBLE_OK);
    return rows;
}

/* In pieces that the event's own bytes decide. */
static struct cuts cuts_of(struct tumble_bytes event) {
    uint64_t random = 88172645463325252u + event.length;
    for (size_t i = 0; i < event.length; i++) {
        random = (random ^ (unsigned char)event.data[i]) * UINT64_C(0x100000001b3);
    }
    const size_t at_most = (size_t)1 << (random >> 8) % 12;
    return (struct cuts){.first = event.length ? random % event.length : 0,
                         .at_most = random & 2 ? at_most : SIZE_MAX,
                         .random = random & 4 && random & 2 ? random : 0,
                         .exact = random & 1};
}

static void check_pieces(struct tumble_shard *shard, struct tumble_bytes event, enum tumble_code wanted_code,
                         const struct tumble_event_result *wanted, const struct tumble_error *wanted_error) {
    struct tumble_event_result result;
    struct tumble_error err = {.byte = -1, .record = -1};
    const struct cuts cuts = cuts_of(event);
    FUZZ_CHECK(apply_in_pieces(shard, event, &cuts, &result, &err) == wanted_code);
    FUZZ_CHECK(memcmp(result.fates, wanted->fates, sizeof result.fates) == 0);
    FUZZ_CHECK(result.records == wanted->records && result.first_arrival_ms == wanted->first_arrival_ms);
    FUZZ_CHECK(result.last_arrival_ms == wanted->last_arrival_ms && result.is_whole == wanted->is_whole);
    FUZZ_CHECK(result.is_whole == (wanted_code == TUMBLE_OK));
    FUZZ_CHECK(err.byte == wanted_error->byte && err.record == wanted_error->record);
    FUZZ_CHECK(strcmp(err.text, wanted_error->text) == 0);
}

/* Whose an event is does not change with what comes behind its first record. */
static void check_peek(struct tumble_bytes event) {
    struct tumble_bytes whole, id;
    const enum tumble_code wanted = tumble_event_peek_shard_id(event, 1, &whole, NULL);
    const struct cuts cuts = cuts_of(event);
    const enum tumble_code code =
        tumble_event_peek_shard_id((struct tumble_bytes){event.data, cuts.first}, 0, &id, NULL);
    FUZZ_CHECK(code == TUMBLE_EMORE || (code == wanted && (code != TUMBLE_OK || tumble_bytes_equal(id, whole))));
}

static void apply(const struct tumble_spec *spec, struct tumble_bytes event) {
    enum { QUICK, SLOW, PIECES, ENGINES };
    struct tumble_engine *engines[ENGINES];
    struct tumble_shard *shards[ENGINES];
    struct tumble_engine_options options = {.spec = spec};
    struct tumble_bytes id;
    if (tumble_event_shard_id(event, &id, NULL) != TUMBLE_OK || id.length > 128) {
        id = tumble_bytes_of("s");
    }
    for (int i = 0; i < ENGINES; i++) {
        FUZZ_CHECK(tumble_engine_open(&options, &engines[i], NULL) == TUMBLE_OK);
        FUZZ_CHECK(tumble_engine_shard(engines[i], id, &shards[i], NULL) == TUMBLE_OK);
    }
    struct tumble_event_result result;
    struct tumble_error err = {.byte = -1, .record = -1}, slow = {.byte = -1};
    enum tumble_code code = tumble_shard_apply_event(shards[QUICK], event, &result, &err);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_EJSON || code == TUMBLE_EUTF8 || code == TUMBLE_EDEPTH ||
               code == TUMBLE_EEVENT || code == TUMBLE_ERECORD);
    uint64_t fates[TUMBLE_FATE_COUNT] = {0};
    struct tumble_bytes rest = find_records(event);
    FUZZ_CHECK(rest.data || result.records == 0);
    if (code == TUMBLE_ERECORD) {
        FUZZ_CHECK(err.record == (int64_t)result.records);
        FUZZ_CHECK(slow_records(shards[SLOW], rest, result.records + 1, fates, &slow) == code);
        FUZZ_CHECK(slow.record == err.record && slow.byte == err.byte && strcmp(slow.text, err.text) == 0);
    } else {
        FUZZ_CHECK(slow_records(shards[SLOW], rest, result.records, fates, &slow) == TUMBLE_OK);
        FUZZ_CHECK(code == TUMBLE_OK || err.byte <= (int64_t)event.length);
    }
    FUZZ_CHECK(memcmp(fates, result.fates, sizeof fates) == 0);
    check_pieces(shards[PIECES], event, code, &result, &err);
    check_peek(event);
    struct tw_buf quick_rows = rows_of(engines[QUICK]), slow_rows = rows_of(engines[SLOW]);
    FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&quick_rows), tw_buf_view(&slow_rows)));
    tw_buf_clean_up(&slow_rows);
    slow_rows = rows_of(engines[PIECES]);
    FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&quick_rows), tw_buf_view(&slow_rows)));
    FUZZ_CHECK(tumble_shard_apply_event(shards[QUICK], event, &result, NULL) == code);
    FUZZ_CHECK(result.fates[TUMBLE_FATE_APPLIED] == 0 && result.fates[TUMBLE_FATE_FILTERED] == 0);
    tw_buf_clean_up(&slow_rows);
    slow_rows = rows_of(engines[QUICK]);
    FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&quick_rows), tw_buf_view(&slow_rows)));
    tw_buf_clean_up(&quick_rows);
    tw_buf_clean_up(&slow_rows);
    for (int i = 0; i < ENGINES; i++) {
        tumble_engine_destroy(engines[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const texts[] = {SPEC("fail"), SPEC("divert")};
    static struct tumble_spec *specs[2];
    for (int i = 0; i < 2; i++) {
        if (!specs[i]) {
            FUZZ_CHECK(tumble_spec_parse(tumble_bytes_of(texts[i]), NULL, tw_alloc_default(), &specs[i], NULL) ==
                       TUMBLE_OK);
        }
        apply(specs[i], (struct tumble_bytes){(const char *)data, size});
    }
    return 0;
}
