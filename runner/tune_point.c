#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/engine_function.h"
#include "runner/memory.h"
#include "runner/tune_internal.h"

/* One point of the grid: the mapping in virtual time around the function, whose time is reckoned rather than taken. */

enum { TEXT = 200 };

struct slot {
    struct tumble_duration_sandbox sandbox;
    int64_t free_us; /* its last invocation's end */
};

struct point_run {
    const struct tumble_tune_options *options;
    const struct tumble_duration_model *model;
    struct tumble_tune_point *point;
    struct tumble_emulated_function inner;
    struct tumble_engine_function *engine; /* NULL: a foreign function */
    int64_t *ages;                         /* of the last records, as CloudWatch's IteratorAge */
    int64_t *waits;                        /* of the first ones */
    size_t age_count, age_capacity, wait_count, wait_capacity;
    int64_t *durations; /* us */
    size_t duration_count, duration_capacity;
    struct slot *slots;
    size_t slot_count;
    int is_over;
    int is_interrupted;
};

double tumble_tune_at_memory_us(double cpu_us, uint32_t memory_mb) {
    return memory_mb < TUMBLE_TUNE_VCPU_MB ? cpu_us * TUMBLE_TUNE_VCPU_MB / memory_mb : cpu_us;
}

struct tumble_mapping_parameters tw_tune_parameters(const struct tumble_tune_options *options, uint32_t batch_size,
                                                    uint32_t batching_window) {
    struct tumble_mapping_parameters parameters = *options->parameters; /* what it points to is only looked at */
    parameters.batch_size = batch_size;
    parameters.maximum_batching_window_in_seconds = (int32_t)batching_window;
    return parameters;
}

static int64_t or_default(int64_t value, int64_t standard) { return value < 0 ? 0 : value ? value : standard; }

/* ---- how long it takes ---- */

static int64_t duration_of(const struct point_run *run, const struct tumble_function_request *request,
                           const struct tumble_function_answer *answer, struct slot *slot) {
    const struct tumble_tune_options *options = run->options;
    uint64_t payload = 0;
    if (options->duration_us > 0) {
        return options->duration_us;
    }
    for (size_t i = 0; i < request->record_count; i++) {
        payload += request->records[i].data.length;
    }
    struct tumble_duration_load load = tumble_duration_load_of(request->record_count, payload, request->state.length,
                                                               answer->response.length, request->is_final);
    if (slot) {
        tumble_duration_in_sandbox(&slot->sandbox, request->sent_ms - slot->free_us / 1000, &load);
    }
    double us = tumble_duration_us(run->model, &load);
    double computing = us * (options->waiting > 0 ? 1 - options->waiting : 1);
    us +=
        tumble_tune_at_memory_us(computing / (options->cpu_speed > 0 ? options->cpu_speed : 1), run->point->memory_mb) -
        computing;
    us += run->engine ? (double)or_default(options->runtime_api_us, TUMBLE_TUNE_RUNTIME_API_US) : 0;
    us += request->is_final ? (double)options->delivery_us : 0;
    return us < 9e14 ? (int64_t)(us + 0.5) : INT64_MAX / 2;
}

/* ---- an invocation ---- */

static enum tumble_code add(int64_t **list, size_t *count, size_t *capacity, int64_t value, struct tumble_error *err) {
    int64_t *grown = tumble_runner_grow(*list, *count, capacity, sizeof *grown);
    if (!grown) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    *list = grown;
    grown[(*count)++] = value;
    return TUMBLE_OK;
}

static void ends_badly(struct point_run *run, enum tumble_tune_problem problem, const char *text) {
    run->is_over = 1;
    run->point->problem = problem;
    snprintf(run->point->error, sizeof run->point->error, "%s", text);
}

static enum tumble_code note(struct point_run *run, const struct tumble_function_request *request, int64_t us,
                             struct tumble_error *err) {
    struct tumble_tune_point *point = run->point;
    point->billed_ms += (uint64_t)(us + 999) / 1000; /* by the millisecond begun */
    point->duration_sum_us += (double)us;
    point->state_bytes_most =
        request->state.length > point->state_bytes_most ? request->state.length : point->state_bytes_most;
    enum tumble_code code = add(&run->durations, &run->duration_count, &run->duration_capacity, us, err);
    if (code != TUMBLE_OK || request->record_count == 0) { /* CloudWatch has no age of a final without records */
        return code;
    }
    int64_t wait = request->sent_ms - request->records[0].arrival_ms;
    int64_t age = request->sent_ms - request->records[request->record_count - 1].arrival_ms;
    age = age > 0 ? age : 0;
    point->age_sum_ms += (double)age;
    code = add(&run->waits, &run->wait_count, &run->wait_capacity, wait > 0 ? wait : 0, err);
    return code == TUMBLE_OK ? add(&run->ages, &run->age_count, &run->age_capacity, age, err) : code;
}

static const char *last_error(const struct point_run *run) {
    const char *text = run->engine ? tumble_engine_function_figures(run->engine)->last_error : "";
    return text[0] ? text : "the function answers a batch with a failure, again and again";
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct point_run *run = ctx;
    const struct tumble_tune_options *options = run->options;
    struct slot *slot = request->slot < run->slot_count ? &run->slots[request->slot] : NULL;
    int is_first = slot && !slot->sandbox.is_warm;
    enum tumble_code code = run->inner.invoke(run->inner.ctx, request, answer, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    int64_t us =
        answer->kind == TUMBLE_ANSWER_TIMED_OUT ? options->timeout_ms * 1000 : duration_of(run, request, answer, slot);
    if (us >= options->timeout_ms * 1000) {
        char text[TEXT];
        snprintf(text, sizeof text, "%zu record%s take%s %.1f s, and the function's time-out is %.1f s",
                 request->record_count, request->record_count == 1 ? "" : "s", request->record_count == 1 ? "s" : "",
                 (double)us / 1e6, (double)options->timeout_ms / 1e3);
        ends_badly(run, TUMBLE_TUNE_TIMED_OUT, text); /* every retry would be the same */
        us = options->timeout_ms * 1000;
        answer->kind = TUMBLE_ANSWER_TIMED_OUT;
    } else if (request->attempt >= TUMBLE_TUNE_ATTEMPTS && options->parameters->maximum_retry_attempts < 0 &&
               (answer->kind == TUMBLE_ANSWER_ERROR || answer->kind == TUMBLE_ANSWER_CRASHED)) {
        ends_badly(run, TUMBLE_TUNE_FAILED, last_error(run));
    } else if (request->attempt > TUMBLE_TUNE_ATTEMPTS && options->parameters->maximum_retry_attempts < 0) {
        ends_badly(run, TUMBLE_TUNE_FAILED, last_error(run));
    }
    code = note(run, request, us, err);
    answer->duration_us = us;
    if (is_first) {
        answer->duration_us += or_default(options->cold_start_us, TUMBLE_TUNE_COLD_START_US);
    }
    if (slot) {
        slot->sandbox.is_warm = 1;
        slot->free_us = request->sent_ms * 1000 + answer->duration_us;
    }
    return code;
}

static int pace(void *ctx, int64_t now_ms) {
    struct point_run *run = ctx;
    const struct tumble_tune_options *options = run->options;
    (void)now_ms;
    run->is_interrupted = options->interrupted && options->interrupted(options->interrupted_ctx);
    return run->is_over || run->is_interrupted;
}

/* ---- figures ---- */

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The smallest value that so many parts of a hundred do not exceed. */
static int64_t percentile(const int64_t *sorted, size_t count, size_t of_hundred) {
    return count ? sorted[(count * of_hundred + 99) / 100 - 1] : 0;
}

static void sort(int64_t *values, size_t count) {
    if (count) {
        qsort(values, count, sizeof *values, ascending);
    }
}

static void reckon_cost(const struct point_run *run, const struct tumble_tune_capture *capture) {
    struct tumble_tune_point *point = run->point;
    const struct tumble_tune_options *options = run->options;
    struct tw_usage usage = {.architecture = options->architecture,
                             .invocations = tumble_tune_per_day(capture, (double)point->invocations),
                             .gb_seconds = tumble_tune_per_day(capture, point->gb_seconds),
                             .shard_hours = 24.0 * point->load.shards,
                             .stream_hours = 24,
                             .put_payload_units = tumble_tune_per_day(capture, (double)capture->put_payload_units),
                             .bytes_in = tumble_tune_per_day(capture, (double)capture->on_demand_bytes),
                             .bytes_out = tumble_tune_per_day(capture, (double)capture->bytes)};
    usage.is_consumer = strstr(options->parameters->event_source_arn, "/consumer/") != NULL;
    for (int mode = TW_STREAM_PROVISIONED; mode <= TW_STREAM_ON_DEMAND; mode++) {
        usage.mode = (enum tw_stream_mode)mode;
        tw_cost_of(options->prices, &usage, &point->cost[mode]);
    }
}

static void take_figures(struct point_run *run, const struct tumble_mapping_metrics *metrics,
                         const struct tumble_tune_capture *capture) {
    struct tumble_tune_point *point = run->point;
    point->was_run = !run->is_interrupted;
    point->invocations = metrics->invocations;
    point->errors = metrics->errors;
    point->throttles = metrics->throttles;
    point->early_terminations = metrics->early_terminations;
    point->windows = metrics->windows;
    point->reopened_windows = metrics->reopened_by_late_records;
    point->concurrent_executions = metrics->concurrent_executions;
    point->gb_seconds = (double)point->billed_ms / 1000 * point->memory_mb / 1024;
    sort(run->durations, run->duration_count);
    sort(run->ages, run->age_count);
    sort(run->waits, run->wait_count);
    point->duration_p99_us = (uint64_t)percentile(run->durations, run->duration_count, 99);
    point->duration_most_us = (uint64_t)percentile(run->durations, run->duration_count, 100);
    point->ages = run->age_count;
    point->age_p50_ms = percentile(run->ages, run->age_count, 50);
    point->age_p99_ms = percentile(run->ages, run->age_count, 99);
    point->age_most_ms = percentile(run->ages, run->age_count, 100);
    point->wait_p50_ms = percentile(run->waits, run->wait_count, 50);
    point->wait_p99_ms = percentile(run->waits, run->wait_count, 99);
    point->wait_most_ms = percentile(run->waits, run->wait_count, 100);
    if (point->problem == TUMBLE_TUNE_FINE && point->load.crowded_seconds) {
        point->problem = TUMBLE_TUNE_OVERLOADED;
        snprintf(point->error, sizeof point->error,
                 "%u shard%s: in %llu second%s one gets more than it takes (1,000 records or 1 MB a second)",
                 point->shards, point->shards == 1 ? "" : "s", (unsigned long long)point->load.crowded_seconds,
                 point->load.crowded_seconds == 1 ? "" : "s");
    }
    reckon_cost(run, capture);
}

/* ---- the run ---- */

static enum tumble_code open_function(struct point_run *run, const struct tumble_emulated_function *function,
                                      struct tumble_error *err) {
    if (function) {
        run->inner = *function;
        return TUMBLE_OK;
    }
    struct tumble_engine_function_options options = {.spec = run->options->spec,
                                                     .report_batch_item_failures =
                                                         run->options->parameters->report_batch_item_failures,
                                                     .by_struct = 1};
    enum tumble_code code = tumble_engine_function_open(&options, &run->engine, err);
    if (code == TUMBLE_OK) {
        tumble_engine_function_wrap(run->engine, &run->inner);
    }
    return code;
}

static enum tumble_code run_mapping(struct point_run *run, const struct tumble_tune_capture *capture,
                                    const struct tumble_tune_shards *shards, struct tumble_error *err) {
    const struct tumble_tune_options *options = run->options;
    struct tumble_mapping_parameters parameters =
        tw_tune_parameters(options, run->point->batch_size, run->point->batching_window);
    struct tumble_mapping_options how = {.arrival = TUMBLE_ARRIVAL_LIVE,
                                         .start_ms = capture->start_ms,
                                         .function_timeout_ms =
                                             options->timeout_ms +
                                             or_default(options->cold_start_us, TUMBLE_TUNE_COLD_START_US) / 1000 + 1,
                                         .pace = pace,
                                         .pace_ctx = run};
    struct tumble_emulated_function function = {.ctx = run, .invoke = invoke};
    struct tumble_tune_reader *reader = NULL;
    struct tumble_mapping *mapping = NULL;
    enum tumble_code code = tumble_tune_reader_new(shards, &reader, err);
    if (code == TUMBLE_OK) {
        run->slot_count = (size_t)run->point->load.shards * parameters.parallelization_factor;
        run->slots = tumble_runner_alloc(run->slot_count * sizeof *run->slots);
        code = run->slots
                   ? tumble_mapping_new(&parameters, &how, tumble_tune_reader_view(reader), &function, &mapping, err)
                   : tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    if (code == TUMBLE_OK) {
        code = tumble_mapping_run(mapping, err);
        take_figures(run, tumble_mapping_metrics(mapping), capture);
    }
    tumble_mapping_destroy(mapping);
    tumble_tune_reader_free(reader);
    return code;
}

enum tumble_code tw_tune_point_run(const struct tumble_tune_options *options, const struct tumble_tune_result *result,
                                   const struct tumble_tune_shards *shards,
                                   const struct tumble_emulated_function *function, struct tumble_tune_point *point,
                                   struct tumble_error *err) {
    struct point_run run = {.options = options, .model = &result->model, .point = point};
    point->load = *tumble_tune_shards_load(shards);
    point->shards = point->load.shards;
    enum tumble_code code = open_function(&run, function, err);
    if (code == TUMBLE_OK) {
        code = run_mapping(&run, &result->capture, shards, err);
    }
    tumble_engine_function_close(run.engine);
    tumble_runner_free(run.ages);
    tumble_runner_free(run.waits);
    tumble_runner_free(run.durations);
    tumble_runner_free(run.slots);
    return code;
}
