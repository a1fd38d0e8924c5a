#ifndef TESTS_EVENT_PAIR_H
#define TESTS_EVENT_PAIR_H

#include "event_fixture.h"

/* Two engines of one spec: what an event applied in one pass leaves has to be what its records leave when each is read
 * and applied by itself. */

#define DIVERT_SPEC                                                                                                    \
    "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\","    \
    "\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"pk\",\"function\":"     \
    "\"last\",\"field\":\"$partitionKey\"}]}"

enum { T0 = 1607497440 }; /* seconds: a window begins */

struct pair { /* one engine takes events as they are, the other record by record */
    struct tumble_spec *spec;
    struct tumble_engine *engine[2];
    struct tumble_shard *shard[2];
};

static inline struct pair new_pair(const char *spec) {
    struct pair pair = {.spec = spec_of(spec)};
    for (int i = 0; i < 2; i++) {
        pair.engine[i] = engine_of(pair.spec, NULL, 0);
        attach_kept(pair.engine[i], TUMBLE_ROW_FAILURE);
        pair.shard[i] = shard_of(pair.engine[i], SHARD);
    }
    return pair;
}

static inline void free_pair(struct pair *pair) {
    tumble_engine_destroy(pair->engine[0]);
    tumble_engine_destroy(pair->engine[1]);
    tumble_spec_destroy(pair->spec);
}

static inline void assert_pair_same(const struct pair *pair) {
    assert_same_text(all_of(pair->engine[0], false), all_of(pair->engine[1], false));
}

/* The event to one engine, its records to the other: same code, same record, same fates. Bytes come from a copy of
 * exactly their size. */
static inline enum tumble_code give(const struct pair *pair, const struct writer *w) {
    struct tumble_event_result result;
    struct tumble_error quick = {0}, slow = {0};
    uint64_t fates[TUMBLE_FATE_COUNT] = {0};
    char *copy = exact_copy(w->out.data, w->out.length);
    struct tumble_bytes event = {copy, w->out.length}, rest = {copy + w->array, w->out.length - w->array};
    enum tumble_code code = tumble_shard_apply_event(pair->shard[0], event, &result, &quick);
    enum tumble_code wanted = slow_records(pair->shard[1], rest, w->records, fates, &slow);
    if (code != wanted) {
        fail_msg("%s (%s), not %s (%s)", tumble_code_name(code), quick.text, tumble_code_name(wanted), slow.text);
    }
    if (code == TUMBLE_OK) {
        assert_int_equal(result.records, w->records);
    } else {
        assert_int_equal(quick.record, slow.record);
        assert_int_equal(result.records, slow.record);
        assert_int_equal(quick.byte, slow.byte);
    }
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        assert_int_equal(result.fates[fate], fates[fate]);
    }
    free(copy);
    return code;
}

/* ---- what is in events ---- */

static inline struct tumble_bytes payload_of(struct writer *w, char *out, size_t size, uint64_t number) {
    const unsigned small = (unsigned)random_below(&w->random, 9);
    const char letter = (char)('a' + number % 7);
    int length;
    switch (random_below(&w->random, 8)) {
    case 0: length = snprintf(out, size, "{\"v\":%u.5,\"k\":\"group %c\"}", small, letter); break;
    case 1: length = snprintf(out, size, "{\"k\":\"x/?>%u\",\"v\":-%u}", small, small); break;
    case 2: length = snprintf(out, size, "{\"k\":%u,\"v\":1e%u}", small, small); break;
    default:
        length = snprintf(out, size, "{\"k\":\"%c%u\",\"v\":%d.%02u}", letter, small, (int)(number % 100) - 50, small);
    }
    assert_true(length > 0 && (size_t)length < size);
    return (struct tumble_bytes){out, (size_t)length};
}

static inline struct kpl_message aggregate_of(size_t parts, uint64_t number, uint64_t bad_from) {
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "one");
    put_text(&message, 1, "two");
    for (size_t i = 0; i < parts; i++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"k\":\"p%u\",\"v\":%u}", (unsigned)(i % 3), (unsigned)(number % 10 + i));
        put_record(&message, i >= bad_from ? 7 : i % 2, -1, payload);
    }
    return sealed(&message);
}

static inline void small_event(struct writer *w, unsigned spelling) {
    begin_records(w, spelling);
    for (uint64_t i = 0; i < 4; i++) {
        static const char *const payloads[] = {"{\"k\":\"a\",\"v\":1}", "{\"k\":\"bbbb\",\"v\":2.5}",
                                               "{\"k\":\"cccccccccccccccccccc\",\"v\":-3,\"more\":[1,2,3,4,5,6]}"};
        struct item item = {.sequence = 10 + i,
                            .arrival_ms = T0 * INT64_C(1000) + 35000 * (int64_t)i,
                            .payload = tumble_bytes_of(payloads[i % 3])};
        put_item(w, &item);
    }
    end_records(w);
}

#endif
