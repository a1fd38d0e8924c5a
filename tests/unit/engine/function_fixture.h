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

struct clock {
    int64_t left;
};
static inline int64_t remaining(void *ctx) { return ((struct clock *)ctx)->left; }
static inline void sleep_ms(void *ctx, int64_t how_long) { ((struct clock *)ctx)->left -= how_long; }

#endif
