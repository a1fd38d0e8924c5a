#include <string.h>
#include <time.h>

#include <tumble/invoke.h>

#include "runner/memory.h"
#include "runner/tune_internal.h"

/* The function, timed with batches of the capture in every size, as JSON events: the engine in this process, or a
 * program. A pause before each one, for in Lambda too an invocation finds the processor busy with others before. */

enum { INVOCATIONS = 24 /* of a size */, PAUSE_MS = 10 };

struct timing {
    const struct tumble_tune_options *options;
    const struct tumble_emulated_function *foreign; /* NULL: the engine */
    struct tumble_engine *engine;
    struct tumble_event_writer *writer;
    struct tumble_duration_sample *samples; /* of all sizes */
    size_t count, capacity;
    size_t at; /* invocation in this run */
    int is_over;
    struct tumble_error why; /* of the engine's last error */
};

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
    struct tumble_duration_sample *grown =
        tumble_runner_grow(timing->samples, timing->count, &timing->capacity, sizeof *grown);
    if (!grown) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    timing->samples = grown;
    for (size_t i = 0; i < request->record_count; i++) {
        payload += request->records[i].data.length;
    }
    timing->samples[timing->count++] =
        (struct tumble_duration_sample){tumble_duration_load_of(request->record_count, payload, request->state.length,
                                                                response_bytes, request->is_final),
                                        us > 0.1 ? us : 0.1};
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
        code =
            timing->at > 1 ? keep(timing, request, answer->response.length, us, err) : TUMBLE_OK; /* the first warms */
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
    struct tumble_alloc alloc = {0};
    struct tumble_event_form form = {.arrival = TUMBLE_ARRIVAL_JAVA};
    struct tumble_engine_options own = {.spec = options->spec};
    struct tumble_carried_options carried = {.report_batch_item_failures =
                                                 options->parameters->report_batch_item_failures};
    enum tumble_code code = tumble_event_writer_new(&form, alloc, &timing->writer, err);
    return code == TUMBLE_OK ? tumble_engine_open_carried(&own, &carried, &timing->engine, err) : code;
}

static enum tumble_code time_all(struct timing *timing, const struct tumble_tune_shards *shards,
                                 uint32_t batch_size_most, int64_t start_ms, struct tumble_error *err) {
    /* as they come, and as large as they get */
    enum tumble_code code = time_size(timing, shards, batch_size_most, TUMBLE_ARRIVAL_LIVE, start_ms, err);
    for (uint32_t size = 10; code == TUMBLE_OK && size / 10 < batch_size_most; size *= 10) {
        code = time_size(timing, shards, size < batch_size_most ? size : batch_size_most, TUMBLE_ARRIVAL_BACKLOG,
                         start_ms, err);
    }
    return code;
}

enum tumble_code tw_tune_time_function(const struct tumble_tune_options *options,
                                       const struct tumble_emulated_function *foreign,
                                       const struct tumble_tune_shards *shards, uint32_t batch_size_most,
                                       int64_t start_ms, struct tumble_duration_model *out, struct tumble_error *err) {
    struct timing timing = {.options = options, .foreign = foreign, .why = {.text = ""}};
    enum tumble_code code = foreign ? TUMBLE_OK : open_engine(&timing, err);
    if (code == TUMBLE_OK) {
        code = time_all(&timing, shards, batch_size_most, start_ms, err);
    }
    if (code == TUMBLE_OK && timing.count) {
        code = tumble_duration_fit(timing.samples, timing.count, out, err);
    } else if (code == TUMBLE_OK && !(options->interrupted && options->interrupted(options->interrupted_ctx))) {
        code = tumble_runner_fail(err, TUMBLE_ERECORD, "the function fails: %.300s",
                                  timing.why.text[0] ? timing.why.text : "no invocation of it could be timed");
    }
    tumble_engine_destroy(timing.engine);
    tumble_event_writer_destroy(timing.writer);
    tumble_runner_free(timing.samples);
    return code;
}
