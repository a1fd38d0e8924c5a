#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tumble/invoke.h>

#include "runner/memory.h"
#include "runner/tune_internal.h"

/* The function, timed with batches of the capture in every size, as JSON events: the engine in this process, or a
 * program. A pause before each one, for in Lambda too an invocation finds the processor busy with others before. */

enum { INVOCATIONS = 24 /* of a size */, PAUSE_MS = 10, FIRSTS = 32 };

struct timing {
    const struct tumble_tune_options *options;
    const struct tumble_emulated_function *foreign; /* NULL: the engine */
    struct tumble_engine *engine;
    struct tumble_event_writer *writer;
    struct tumble_duration_sample *samples; /* of all sizes */
    size_t count, capacity;
    struct tumble_duration_sample firsts[FIRSTS]; /* of sandboxes, which are not among the samples */
    size_t first_count;
    uint8_t *is_warm; /* by slot */
    size_t slots;
    size_t at; /* invocation in this run */
    int is_over;
    struct tumble_error why; /* of the engine's last error */
};

static const double LEAST_US = 0.1; /* what a clock may show as nothing */

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void take_a_pause(void) {
    struct timespec time = {0, PAUSE_MS * 1000000};
    nanosleep(&time, NULL);
}

static enum tumble_code keep(struct timing *timing, const struct tumble_function_request *request,
                             size_t response_bytes, double us, struct tumble_error *err) {
    uint64_t payload = 0;
    for (size_t i = 0; i < request->record_count; i++) {
        payload += request->records[i].data.length;
    }
    struct tumble_duration_sample sample = {tumble_duration_load_of(request->record_count, payload,
                                                                    request->state.length, response_bytes,
                                                                    request->is_final),
                                            us > LEAST_US ? us : LEAST_US};
    if (!timing->is_warm[request->slot]) {
        timing->is_warm[request->slot] = 1;
        if (timing->first_count < FIRSTS) {
            timing->firsts[timing->first_count++] = sample;
        }
        return TUMBLE_OK;
    }
    struct tumble_duration_sample *grown =
        tumble_runner_grow(timing->samples, timing->count, &timing->capacity, sizeof *grown);
    if (!grown) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    timing->samples = grown;
    timing->samples[timing->count++] = sample;
    return TUMBLE_OK;
}

static enum tumble_code invoke_engine(struct timing *timing, const struct tumble_function_request *request,
                                      struct tumble_function_answer *answer, double *us, struct tumble_error *err) {
    struct tumble_bytes event;
    struct tumble_invoked invoked;
    memset(answer, 0, sizeof *answer);
    answer->kind = TUMBLE_ANSWER_ERROR;
    enum tumble_code code = tumble_event_write(timing->writer, request, &event, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    double began = now_us();
    code = tumble_engine_invoke(timing->engine, event, &invoked, &timing->why);
    *us = now_us() - began;
    if (code == TUMBLE_ENOMEM) {
        return tumble_runner_fail(err, code, "out of memory");
    }
    if (code == TUMBLE_OK) {
        answer->kind = TUMBLE_ANSWER_RESPONSE;
        answer->response = invoked.response;
    }
    return TUMBLE_OK;
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct timing *timing = ctx;
    double us = 0;
    enum tumble_code code;
    take_a_pause();
    if (timing->foreign) {
        code = timing->foreign->invoke(timing->foreign->ctx, request, answer, err);
        us = (double)answer->duration_us;
    } else {
        code = invoke_engine(timing, request, answer, &us, err);
    }
    timing->at++;
    if (code == TUMBLE_OK && answer->kind == TUMBLE_ANSWER_RESPONSE) {
        code = keep(timing, request, answer->response.length, us, err);
    } else {
        timing->is_over = 1; /* it would go on failing */
    }
    timing->is_over |= timing->at > INVOCATIONS;
    answer->duration_us = 1000; /* so that the same batches are made however fast this machine is */
    return code;
}

static int pace(void *ctx, int64_t now_ms) {
    const struct timing *timing = ctx;
    const struct tumble_tune_options *options = timing->options;
    (void)now_ms;
    return timing->is_over || (options->interrupted && options->interrupted(options->interrupted_ctx));
}

static enum tumble_code time_size(struct timing *timing, const struct tumble_tune_shards *shards, uint32_t batch_size,
                                  enum tumble_arrival_mode arrival, int64_t start_ms, struct tumble_error *err) {
    struct tumble_mapping_parameters parameters = tw_tune_parameters(timing->options, batch_size, 0);
    struct tumble_mapping_options how = {
        .arrival = arrival, .start_ms = start_ms, .retention_ms = -1, .pace = pace, .pace_ctx = timing};
    struct tumble_emulated_function function = {.ctx = timing, .invoke = invoke};
    struct tumble_tune_reader *reader = NULL;
    struct tumble_mapping *mapping = NULL;
    timing->at = 0;
    timing->is_over = 0;
    enum tumble_code code = tumble_tune_reader_new(shards, &reader, err);
    if (code == TUMBLE_OK) {
        code = tumble_mapping_new(&parameters, &how, tumble_tune_reader_view(reader), &function, &mapping, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_mapping_run(mapping, err);
    }
    tumble_mapping_destroy(mapping);
    tumble_tune_reader_free(reader);
    return code;
}

static enum tumble_code open_engine(struct timing *timing, struct tumble_error *err) {
    const struct tumble_tune_options *options = timing->options;
    struct tumble_engine_options own = {.spec = options->spec};
    struct tumble_carried_options carried = {.report_batch_item_failures =
                                                 options->parameters->report_batch_item_failures};
    return tumble_engine_open_carried(&own, &carried, &timing->engine, err);
}

/* New sandboxes: their first invocations are to be seen more than once. */
static enum tumble_code begin_anew(struct timing *timing, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    if (!timing->foreign) {
        tumble_engine_destroy(timing->engine);
        timing->engine = NULL;
        code = open_engine(timing, err);
    }
    for (size_t i = 0; i < timing->slots && code == TUMBLE_OK; i++) {
        if (timing->foreign && timing->is_warm[i] && timing->foreign->recycle) {
            code = timing->foreign->recycle(timing->foreign->ctx, (uint32_t)i, err);
        }
        timing->is_warm[i] = 0;
    }
    return code;
}

static enum tumble_code time_all(struct timing *timing, const struct tumble_tune_shards *shards,
                                 uint32_t batch_size_most, int64_t start_ms, struct tumble_error *err) {
    struct tumble_alloc alloc = {0};
    struct tumble_event_form form = {.arrival = TUMBLE_ARRIVAL_JAVA};
    timing->slots =
        (size_t)tumble_tune_shards_load(shards)->shards * timing->options->parameters->parallelization_factor;
    timing->is_warm = tumble_runner_alloc(timing->slots);
    if (!timing->is_warm) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    enum tumble_code code = tumble_event_writer_new(&form, alloc, &timing->writer, err);
    if (code == TUMBLE_OK) {
        code = begin_anew(timing, err);
    }
    if (code == TUMBLE_OK) { /* as they come, and as large as they get */
        code = time_size(timing, shards, batch_size_most, TUMBLE_ARRIVAL_LIVE, start_ms, err);
    }
    for (uint32_t size = 10; code == TUMBLE_OK && size / 10 < batch_size_most; size *= 10) {
        code = begin_anew(timing, err);
        if (code == TUMBLE_OK) {
            code = time_size(timing, shards, size < batch_size_most ? size : batch_size_most, TUMBLE_ARRIVAL_BACKLOG,
                             start_ms, err);
        }
    }
    return code;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What a first invocation takes beyond what the model says of it: the middle one. */
static double first_us(const struct timing *timing, const struct tumble_duration_model *model) {
    double beyond[FIRSTS];
    for (size_t i = 0; i < timing->first_count; i++) {
        double more = timing->firsts[i].us - tumble_duration_us(model, &timing->firsts[i].load);
        beyond[i] = more > 0 ? more : 0;
    }
    if (timing->first_count == 0) {
        return 0;
    }
    qsort(beyond, timing->first_count, sizeof *beyond, ascending);
    return beyond[timing->first_count / 2];
}

enum tumble_code tw_tune_time_function(const struct tumble_tune_options *options,
                                       const struct tumble_emulated_function *foreign,
                                       const struct tumble_tune_shards *shards, uint32_t batch_size_most,
                                       int64_t start_ms, struct tumble_duration_model *out, struct tumble_error *err) {
    struct timing timing = {.options = options, .foreign = foreign, .why = {.text = ""}};
    enum tumble_code code = time_all(&timing, shards, batch_size_most, start_ms, err);
    if (code == TUMBLE_OK && timing.count) {
        code = tumble_duration_fit(timing.samples, timing.count, out, err);
        out->us[TUMBLE_DURATION_FIRST] = code == TUMBLE_OK ? first_us(&timing, out) : 0;
    } else if (code == TUMBLE_OK && !(options->interrupted && options->interrupted(options->interrupted_ctx))) {
        code = tumble_runner_fail(err, TUMBLE_ERECORD, "the function fails: %.300s",
                                  timing.why.text[0] ? timing.why.text : "no invocation of it could be timed");
    }
    tumble_engine_destroy(timing.engine);
    tumble_event_writer_destroy(timing.writer);
    tumble_runner_free(timing.samples);
    tumble_runner_free(timing.is_warm);
    return code;
}
