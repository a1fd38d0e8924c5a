#ifndef TESTS_FUNCTION_FIXTURE_H
#define TESTS_FUNCTION_FIXTURE_H

#include "invoke_fixture.h"

/* A function and the mapping's side of one window. */

static const char shard0[] = "shardId-000000000001";
enum { START = 1607497440 };

struct function {
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct tumble_carried_options carried;
    struct text event;
    struct text state;
    struct tumble_invoked out;
    struct tumble_error error;
};

static inline void begin(struct function *function, const char *spec) {
    kept_reset();
    function->spec = spec_of(spec);
    function->engine = sandbox(function->spec, &function->carried);
}

static inline void end(struct function *function) {
    tumble_engine_destroy(function->engine);
    tumble_spec_destroy(function->spec);
    free(function->event.data);
    free(function->state.data);
}

static inline struct event_parts parts_of(const struct function *function) {
    struct event_parts parts = {.shard = shard0, .start = START, .state = view(&function->state)};
    if (!function->state.length) {
        parts.state.data = NULL;
    }
    return parts;
}

static inline enum tumble_code send(struct function *function) {
    memset(&function->error, 0, sizeof function->error);
    return tumble_engine_invoke(function->engine, view(&function->event), &function->out, &function->error);
}

static inline void send_ok(struct function *function) {
    if (send(function) != TUMBLE_OK) {
        fail_msg("%s: %s", function->out.error_type, function->error.text);
    }
    keep_state(&function->state, function->out.response);
}

static const char bad_v[] = "{\"k\":\"a\",\"v\":[]}";

static inline void events(struct function *function, const uint64_t *numbers, size_t count, uint64_t bad) {
    struct event_parts parts = parts_of(function);
    begin_event(&function->event, &parts);
    for (size_t i = 0; i < count; i++) {
        add_record(&function->event, shard0, numbers[i], START, numbers[i] == bad ? bad_v : "{\"k\":\"a\",\"v\":1}");
    }
    end_event(&function->event, &parts);
}

#define DIVERTING                                                                                                      \
    "{\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"        \
    "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}]}"

/* Records first … first + count - 1, of group "a" or "b", value = number. */
static inline void batch(struct function *function, const struct event_parts *parts, uint64_t first, uint64_t count) {
    begin_event(&function->event, parts);
    for (uint64_t i = first; i < first + count; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        add_record(&function->event, parts->shard, i, parts->start + (int64_t)(i % 60), json);
    }
    end_event(&function->event, parts);
}

/* What SPEC makes of group "a" in batch 1 … 4. */
static const char row_a[] =
    "{\"window_start\":\"2020-12-09T07:04:00Z\",\"window_end\":\"2020-12-09T07:05:00Z\","
    "\"shard_id\":\"shardId-000000000001\",\"fragment\":"
    "\"49590338271490256608559692538361571000000000000000000001\","
    "\"last_sequence\":\"49590338271490256608559692538361571000000000000000000004\",\"k\":\"a\",\"n\":2,\"s\":5,"
    "\"lo\":1.5,\"last\":3.5,";

static const char word_v[] = "{\"k\":\"a\",\"v\":\"nine\"}";

/* Records 1 … 6, the fourth of them bad. */
static inline void batch_with_a_bad_one(struct function *function, const struct event_parts *parts) {
    begin_event(&function->event, parts);
    for (uint64_t i = 1; i <= 6; i++) {
        char json[64];
        snprintf(json, sizeof json, "{\"k\":\"%s\",\"v\":%llu.5}", i % 2 ? "a" : "b", (unsigned long long)i);
        add_record(&function->event, parts->shard, i, parts->start + (int64_t)i, i == 4 ? word_v : json);
    }
    end_event(&function->event, parts);
}

struct clock {
    int64_t left;
};
static inline int64_t remaining(void *ctx) { return ((struct clock *)ctx)->left; }
static inline void sleep_ms(void *ctx, int64_t how_long) { ((struct clock *)ctx)->left -= how_long; }

#endif
