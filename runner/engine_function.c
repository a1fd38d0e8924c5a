#include "runner/engine_function.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runner/memory.h"

struct tumble_engine_function {
    struct tumble_engine_function_options options;
    struct tumble_engine *engine;
    struct tumble_event_writer *writer;
    struct tumble_output_host host;
    struct tumble_engine_function_figures figures;
    int64_t until_ms;              /* real: then the invocation at hand gives up on its outputs */
    struct tumble_record *records; /* of a request, by struct */
    size_t record_capacity;
    char *response; /* the last one, which outlives its engine */
    size_t response_capacity;
};

static enum tumble_code no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t remaining_ms(void *ctx) {
    const struct tumble_engine_function *function = ctx;
    const struct tumble_engine_function_options *options = &function->options;
    if (options->interrupted && options->interrupted(options->ctx)) {
        return 0;
    }
    return options->output_timeout_ms ? function->until_ms - now_ms() : INT64_MAX;
}

static void say(void *ctx, const char *line) {
    const struct tumble_engine_function *function = ctx;
    if (function->options.say) {
        function->options.say(function->options.ctx, line);
    }
}

static void sleep_ms(void *ctx, int64_t how_long) {
    struct timespec time = {how_long / 1000, how_long % 1000 * 1000000};
    (void)ctx;
    nanosleep(&time, NULL);
}

static enum tumble_code attach(struct tumble_engine_function *function, const struct tumble_replay_output *output,
                               enum tumble_row_kind kind, struct tumble_error *err) {
    struct tumble_output_open how = {.struct_size = sizeof how,
                                     .kind = kind,
                                     .target = output->target,
                                     .options = output->options,
                                     .option_count = output->option_count,
                                     .uri = output->uri,
                                     .spec = function->options.spec,
                                     .host = &function->host};
    return tumble_engine_attach(function->engine, output->uri, output->api, &how, err);
}

static enum tumble_code open_engine(struct tumble_engine_function *function, struct tumble_error *err) {
    const struct tumble_engine_function_options *options = &function->options;
    struct tumble_engine_options own = {.spec = options->spec,
                                        .source = tumble_bytes_of(options->source),
                                        .durability = TUMBLE_DURABILITY_NONE, /* as of any run without a state */
                                        .memory_limit_bytes = options->memory_limit_bytes};
    struct tumble_carried_options carried = {
        .report_batch_item_failures = options->report_batch_item_failures,
        .host = {.ctx = function, .remaining_ms = remaining_ms, .sleep_ms = sleep_ms}};
    enum tumble_code code = tumble_engine_open_carried(&own, &carried, &function->engine, err);
    for (size_t i = 0; i < options->output_count && code == TUMBLE_OK; i++) {
        code = attach(function, &options->outputs[i], TUMBLE_ROW_WINDOW, err);
    }
    return code == TUMBLE_OK && options->failures ? attach(function, options->failures, TUMBLE_ROW_FAILURE, err) : code;
}

enum tumble_code tumble_engine_function_open(const struct tumble_engine_function_options *options,
                                             struct tumble_engine_function **out, struct tumble_error *err) {
    struct tumble_engine_function *function = tumble_runner_alloc(sizeof *function);
    struct tumble_alloc alloc = {0};
    *out = NULL;
    if (!function) {
        return no_memory(err);
    }
    function->options = *options;
    function->host = (struct tumble_output_host){
        .struct_size = sizeof function->host, .ctx = function, .remaining_ms = remaining_ms, .say = say};
    function->until_ms = options->output_timeout_ms ? now_ms() + options->output_timeout_ms : 0;
    enum tumble_code code = tumble_event_writer_new(&options->form, alloc, &function->writer, err);
    if (code == TUMBLE_OK) {
        code = open_engine(function, err);
    }
    if (code != TUMBLE_OK) {
        tumble_engine_function_close(function);
        return code;
    }
    *out = function;
    return TUMBLE_OK;
}

void tumble_engine_function_close(struct tumble_engine_function *function) {
    if (function) {
        tumble_engine_destroy(function->engine);
        tumble_event_writer_destroy(function->writer);
        tumble_runner_free(function->records);
        tumble_runner_free(function->response);
        tumble_runner_free(function);
    }
}

static enum tumble_code keep(struct tumble_engine_function *function, struct tumble_bytes response,
                             struct tumble_function_answer *answer, struct tumble_error *err) {
    if (response.length > function->response_capacity) {
        tumble_runner_free(function->response);
        function->response_capacity = 2 * response.length;
        function->response = tumble_runner_alloc(function->response_capacity);
    }
    if (!function->response) {
        function->response_capacity = 0;
        return no_memory(err);
    }
    memcpy(function->response, response.data, response.length);
    answer->response = (struct tumble_bytes){function->response, response.length};
    return TUMBLE_OK;
}

static void count(struct tumble_engine_function *function, const struct tumble_invoked *invoked) {
    struct tumble_counters *counters = &function->figures.counters;
    counters->records += invoked->records;
    for (size_t i = 0; i < TUMBLE_FATE_COUNT; i++) {
        counters->fates[i] += invoked->fates[i];
    }
    counters->rows += invoked->rows;
    counters->windows_closed += invoked->is_final ? 1 : 0;
    counters->groups_peak = invoked->groups > counters->groups_peak ? invoked->groups : counters->groups_peak;
}

static enum tumble_code make_batch(struct tumble_engine_function *function,
                                   const struct tumble_function_request *request, struct tumble_window_batch *out,
                                   struct tumble_error *err) {
    if (request->record_count > function->record_capacity) {
        tumble_runner_free(function->records);
        function->record_capacity = 2 * request->record_count;
        function->records = tumble_runner_alloc(function->record_capacity * sizeof *function->records);
    }
    if (request->record_count && !function->records) {
        function->record_capacity = 0;
        return no_memory(err);
    }
    for (size_t i = 0; i < request->record_count; i++) {
        const struct tumble_stream_record *from = &request->records[i];
        function->records[i] = (struct tumble_record){.data = from->data,
                                                      .partition_key = from->partition_key,
                                                      .sequence_number = from->sequence,
                                                      .arrival_ms = from->arrival_ms};
    }
    *out = (struct tumble_window_batch){.shard_id = request->shard_id,
                                        .event_source_arn = request->event_source_arn,
                                        .window_start_ms = request->window_start_ms,
                                        .window_end_ms = request->window_end_ms,
                                        .state = request->state,
                                        .records = function->records,
                                        .record_count = request->record_count,
                                        .is_final = request->is_final,
                                        .is_terminated_early = request->is_terminated_early};
    return TUMBLE_OK;
}

/* *code: what the engine answered; the result: whether it came to be asked. */
static enum tumble_code ask(struct tumble_engine_function *function, const struct tumble_function_request *request,
                            struct tumble_invoked *invoked, enum tumble_code *code, struct tumble_error *why,
                            struct tumble_error *err) {
    if (function->options.by_struct && request->has_window) {
        struct tumble_window_batch batch;
        enum tumble_code made = make_batch(function, request, &batch, err);
        if (made == TUMBLE_OK) {
            *code = tumble_engine_invoke_batch(function->engine, &batch, invoked, why);
        }
        return made;
    }
    struct tumble_bytes event;
    enum tumble_code written = tumble_event_write(function->writer, request, &event, err);
    if (written == TUMBLE_OK) {
        *code = tumble_engine_invoke(function->engine, event, invoked, why);
    }
    return written;
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct tumble_engine_function *function = ctx;
    struct tumble_invoked invoked;
    struct tumble_error why = {.text = ""};
    enum tumble_code code = TUMBLE_OK;
    memset(answer, 0, sizeof *answer);
    answer->duration_us = function->options.duration_us;
    function->until_ms = function->options.output_timeout_ms ? now_ms() + function->options.output_timeout_ms : 0;
    enum tumble_code asked = ask(function, request, &invoked, &code, &why, err);
    if (asked != TUMBLE_OK) {
        return asked;
    }
    if (code == TUMBLE_ENOMEM) {
        return no_memory(err);
    }
    if (code != TUMBLE_OK) {
        if (function->options.interrupted && function->options.interrupted(function->options.ctx)) {
            return tumble_runner_fail(err, TUMBLE_EINTERRUPTED, "stopped while the function ran");
        }
        if (code == TUMBLE_EOUTPUT ||
            code == TUMBLE_EREFUSED) { /* a real disk or service, which no virtual time mends */
            return tumble_runner_fail(err, code, "%s", why.text);
        }
        function->figures.errors++;
        snprintf(function->figures.last_error, sizeof function->figures.last_error, "%s", why.text);
        answer->kind = TUMBLE_ANSWER_ERROR;
        return TUMBLE_OK;
    }
    count(function, &invoked);
    answer->kind = TUMBLE_ANSWER_RESPONSE;
    return keep(function, invoked.response, answer, err);
}

static enum tumble_code recycle(void *ctx, uint32_t slot, struct tumble_error *err) {
    struct tumble_engine_function *function = ctx;
    (void)slot;
    tumble_engine_destroy(function->engine);
    function->engine = NULL;
    return open_engine(function, err);
}

void tumble_engine_function_wrap(struct tumble_engine_function *function, struct tumble_emulated_function *out) {
    *out = (struct tumble_emulated_function){.ctx = function, .invoke = invoke, .recycle = recycle};
}

const struct tumble_engine_function_figures *
tumble_engine_function_figures(const struct tumble_engine_function *function) {
    return &function->figures;
}
