#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "counting_alloc.h"
#include "emulator/mapping.h"

/* How the mapping treats memory; what it delivers is the business of tests/conformance. */

struct source {
    uint64_t left, read, done, held_most;
};

static enum tumble_code read_some(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                  size_t *count, struct tumble_error *err) {
    struct source *source = ctx;
    static const struct tumble_stream_record record = {
        {"{\"a\":1}", 7}, {"pk", 2}, {"49590338271490256608559692538361571095921575989136588898", 56}, 1000};
    (void)shard;
    (void)err;
    *count = 0;
    while (*count < capacity && source->left) {
        out[*count] = record;
        out[(*count)++].arrival_ms = (int64_t)(source->read++ * 10);
        source->left--;
    }
    if (source->read - source->done > source->held_most) {
        source->held_most = source->read - source->done;
    }
    return TUMBLE_OK;
}

static void done_with(void *ctx, uint32_t shard, uint64_t position) {
    struct source *source = ctx;
    (void)shard;
    assert_true(position >= source->done && position <= source->read);
    source->done = position;
}

static enum tumble_code answer_state(void *ctx, const struct tumble_function_request *request,
                                     struct tumble_function_answer *answer, struct tumble_error *err) {
    int *fails_every = ctx;
    static int calls;
    (void)err;
    answer->kind = *fails_every && calls++ % *fails_every == 0 ? TUMBLE_ANSWER_ERROR : TUMBLE_ANSWER_RESPONSE;
    answer->response = tumble_bytes_of(request->is_final ? "{\"state\":{}}" : "{\"state\":{\"n\":1}}");
    return TUMBLE_OK;
}

static enum tumble_code take_document(void *ctx, const struct tumble_failure *failure, int *delivered,
                                      struct tumble_error *err) {
    (void)err;
    *(size_t *)ctx += failure->document.length;
    *delivered = 1;
    return TUMBLE_OK;
}

struct setting {
    struct tumble_mapping_parameters parameters;
    struct tumble_mapping_options options;
    struct tumble_stream_shard shard;
    struct source source;
    struct tumble_stream stream;
    struct tumble_emulated_function function;
    int fails_every;
    size_t documents;
};

static void set(struct setting *setting, uint64_t records, int window) {
    memset(setting, 0, sizeof *setting);
    tumble_mapping_parameters_init(&setting->parameters, (struct tumble_alloc){0});
    setting->parameters.starting_position = TUMBLE_TRIM_HORIZON;
    setting->parameters.tumbling_window_in_seconds = window;
    setting->parameters.maximum_retry_attempts = 0;
    setting->options.on_failure = take_document;
    setting->options.failure_ctx = &setting->documents;
    snprintf(setting->shard.id, sizeof setting->shard.id, "shardId-000000000000");
    setting->shard.parents[0] = setting->shard.parents[1] = TUMBLE_NO_SHARD;
    setting->source.left = records;
    struct tumble_stream stream = {&setting->source, &setting->shard, 1, read_some, done_with};
    struct tumble_emulated_function function = {&setting->fails_every, answer_state, NULL};
    setting->stream = stream;
    setting->function = function;
}

static enum tumble_code run(struct setting *setting, struct tumble_mapping_metrics *metrics) {
    struct tumble_mapping *mapping;
    struct tumble_error error;
    enum tumble_code code = tumble_mapping_new(&setting->parameters, &setting->options, &setting->stream,
                                               &setting->function, &mapping, &error);
    if (code == TUMBLE_OK) {
        code = tumble_mapping_run(mapping, &error);
        *metrics = *tumble_mapping_metrics(mapping);
        tumble_mapping_destroy(mapping);
    }
    return code;
}

static void memory_does_not_grow_with_the_stream(void **state) {
    (void)state;
    struct setting setting;
    struct tumble_mapping_metrics metrics;
    size_t calls[2];
    for (int i = 0; i < 2; i++) {
        struct counting_alloc count = {.fail_at = 0};
        set(&setting, i ? 200000 : 20000, 60);
        setting.options.alloc = counting_alloc_of(&count);
        assert_int_equal(run(&setting, &metrics), TUMBLE_OK);
        assert_int_equal(metrics.succeeded_records, i ? 200000 : 20000);
        assert_int_equal(setting.source.done, setting.source.read);
        assert_true(setting.source.held_most < 1000);
        assert_int_equal(count.live, 0);
        calls[i] = count.calls;
    }
    assert_int_equal(calls[0], calls[1]); /* all of it while the buffers grow */
}

static void what_is_filtered_or_skipped_is_not_held(void **state) {
    (void)state;
    struct setting setting;
    struct tumble_mapping_metrics metrics;
    struct tumble_error error;
    for (int i = 0; i < 2; i++) {
        set(&setting, 20000, 0);
        if (i) {
            setting.parameters.starting_position = TUMBLE_LATEST;
        } else {
            assert_int_equal(tumble_mapping_parameters_set(
                                 &setting.parameters, "filter-criteria",
                                 "{\"Filters\":[{\"Pattern\":\"{\\\"data\\\":{\\\"a\\\":[2]}}\"}]}", &error),
                             TUMBLE_OK);
        }
        assert_int_equal(run(&setting, &metrics), TUMBLE_OK);
        assert_int_equal(metrics.invocations, 0);
        assert_int_equal(setting.source.done, 20000);
        assert_true(setting.source.held_most < 1000);
        tumble_mapping_parameters_clean_up(&setting.parameters);
    }
}

static void running_out_of_memory_anywhere_is_an_error(void **state) {
    (void)state;
    for (size_t fail_at = 1;; fail_at++) {
        struct setting setting;
        struct tumble_mapping_metrics metrics;
        struct counting_alloc count = {.fail_at = fail_at};
        set(&setting, 900, 2);
        setting.fails_every = 3;
        setting.options.alloc = counting_alloc_of(&count);
        snprintf(setting.parameters.on_failure, sizeof setting.parameters.on_failure, "s3://bucket");
        setting.options.failures_with_records = 1;
        enum tumble_code code = run(&setting, &metrics);
        assert_int_equal(count.live, 0);
        if (!count.failed) {
            assert_int_equal(code, TUMBLE_OK);
            assert_true(setting.documents > 0);
            break;
        }
        assert_int_equal(code, TUMBLE_ENOMEM);
    }
}

static enum tumble_code break_down(void *ctx, const struct tumble_function_request *request,
                                   struct tumble_function_answer *answer, struct tumble_error *err) {
    (void)ctx;
    (void)request;
    (void)answer;
    err->code = TUMBLE_EINTERRUPTED;
    return TUMBLE_EINTERRUPTED;
}

static void an_error_of_whoever_runs_the_function_ends_the_run(void **state) {
    (void)state;
    struct setting setting;
    struct tumble_mapping_metrics metrics;
    set(&setting, 10, 0);
    setting.function.invoke = break_down;
    assert_int_equal(run(&setting, &metrics), TUMBLE_EINTERRUPTED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow_with_the_stream),
        cmocka_unit_test(what_is_filtered_or_skipped_is_not_held),
        cmocka_unit_test(running_out_of_memory_anywhere_is_an_error),
        cmocka_unit_test(an_error_of_whoever_runs_the_function_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
