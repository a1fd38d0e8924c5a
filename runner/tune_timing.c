#include <string.h>
#include <time.h>

#include <tumble/invoke.h>

#include "runner/memory.h"
#include "runner/tune_internal.h"

/* The function, timed with batches of the capture in every size, as JSON events: the engine in this process, or a
 * program. Every other one follows at once, as where records wait; before the others there is a pause, for a mapping
 * polls once a second and what idles is slower when it begins again: caches are cold, processors asleep. After 100 ms
 * nearly all of that is there (docs/tune.md has the measurement). Round by round over all sizes, for a machine that
 * others use too is quick for some seconds and slow for some: that is to fall on all sizes alike. */

enum {
    IN_A_ROUND = 8, /* invocations of a size */
    PAUSE_MS = 100,
    SIZES = 6 /* at most: as they come; 10, 100, ... 10,000 */
};

struct timing {
    const struct tumble_tune_options *options;
    const struct tumble_emulated_function *foreign; /* NULL: the engine */
    struct tumble_engine *engine;
    struct tumble_event_writer *writer;
    struct tumble_duration_sample *samples; /* of all sizes */
    size_t count, capacity;
    struct tumble_duration_sandbox *sandboxes; /* by slot */
    size_t slots;
    size_t at, from;       /* invocation in this run; the first one that is timed, those before only bring the state */
    size_t reached[SIZES]; /* by earlier rounds */
    double began_us;
    int is_first_round; /* which is never cut short */
    int is_over;
    int has_failed;
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

static int64_t spent_ms(const struct timing *timing) { return (int64_t)((now_us() - timing->began_us) / 1000); }

static int64_t most_ms(const struct timing *timing) {
    return timing->options->timing_ms ? timing->options->timing_ms : TUMBLE_TUNE_TIMING_MS;
}

static int is_interrupted(const struct timing *timing) {
    const struct tumble_tune_options *options = timing->options;
    return options->interrupted && options->interrupted(options->interrupted_ctx);
}

static int pauses(const struct timing *timing) {
    return timing->at >= timing->from && (timing->at - timing->from) % 2 == 0;
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
    tumble_duration_in_sandbox(&timing->sandboxes[request->slot], pauses(timing) ? PAUSE_MS : 0, &sample.load);
    if (timing->at < timing->from) {
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
    if (pauses(timing)) {
        take_a_pause();
    }
    if (timing->foreign) {
        code = timing->foreign->invoke(timing->foreign->ctx, request, answer, err);
        us = (double)answer->duration_us;
    } else {
        code = invoke_engine(timing, request, answer, &us, err);
    }
    if (code == TUMBLE_OK && answer->kind == TUMBLE_ANSWER_RESPONSE) {
        code = keep(timing, request, answer->response.length, us, err);
    } else {
        timing->has_failed = 1; /* it would go on failing */
    }
    timing->at++;
    timing->is_over = timing->has_failed || timing->at >= timing->from + IN_A_ROUND ||
                      (!timing->is_first_round && spent_ms(timing) >= most_ms(timing));
    if (timing->options->timing) {
        int64_t spent = spent_ms(timing), most = most_ms(timing);
        timing->options->timing(timing->options->timing_ctx, spent, spent > most ? spent : most);
    }
    answer->duration_us = 1000; /* so that the same batches are made however fast this machine is */
    return code;
}

static int pace(void *ctx, int64_t now_ms) {
    const struct timing *timing = ctx;
    (void)now_ms;
    return timing->is_over || is_interrupted(timing);
}

/* Goes on where the last round ended, or begins again at the end of the capture. */
static enum tumble_code time_size(struct timing *timing, const struct tumble_tune_shards *shards, uint32_t size,
                                  uint32_t batch_size, enum tumble_arrival_mode arrival, int64_t start_ms,
                                  struct tumble_error *err) {
    struct tumble_mapping_parameters parameters = tw_tune_parameters(timing->options, batch_size, 0);
    struct tumble_mapping_options how = {
        .arrival = arrival, .start_ms = start_ms, .retention_ms = -1, .pace = pace, .pace_ctx = timing};
    struct tumble_emulated_function function = {.ctx = timing, .invoke = invoke};
    struct tumble_tune_reader *reader = NULL;
    struct tumble_mapping *mapping = NULL;
    timing->at = 0;
    timing->from = timing->reached[size];
    timing->is_over = 0;
    enum tumble_code code = tumble_tune_reader_new(shards, &reader, err);
    if (code == TUMBLE_OK) {
        code = tumble_mapping_new(&parameters, &how, tumble_tune_reader_view(reader), &function, &mapping, err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_mapping_run(mapping, err);
    }
    timing->reached[size] = timing->is_over ? timing->at : 0;
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
        if (timing->foreign && timing->sandboxes[i].is_warm && timing->foreign->recycle) {
            code = timing->foreign->recycle(timing->foreign->ctx, (uint32_t)i, err);
        }
        timing->sandboxes[i] = (struct tumble_duration_sandbox){.is_warm = 0};
    }
    return code;
}

/* As they come and as large as they get; then full ones of every size. */
static enum tumble_code time_round(struct timing *timing, const struct tumble_tune_shards *shards,
                                   uint32_t batch_size_most, int64_t start_ms, struct tumble_error *err) {
    enum tumble_code code = timing->is_first_round ? begin_anew(timing, err) : TUMBLE_OK;
    if (code == TUMBLE_OK) {
        code = time_size(timing, shards, 0, batch_size_most, TUMBLE_ARRIVAL_LIVE, start_ms, err);
    }
    uint32_t number = 1;
    for (uint32_t size = 10; code == TUMBLE_OK && size / 10 < batch_size_most && number < SIZES; size *= 10, number++) {
        code = timing->is_first_round ? begin_anew(timing, err) : TUMBLE_OK;
        if (code == TUMBLE_OK) {
            code = time_size(timing, shards, number, size < batch_size_most ? size : batch_size_most,
                             TUMBLE_ARRIVAL_BACKLOG, start_ms, err);
        }
    }
    return code;
}

static enum tumble_code time_all(struct timing *timing, const struct tumble_tune_shards *shards,
                                 uint32_t batch_size_most, int64_t start_ms, struct tumble_error *err) {
    struct tumble_alloc alloc = {0};
    struct tumble_event_form form = {.arrival = TUMBLE_ARRIVAL_JAVA};
    timing->slots =
        (size_t)tumble_tune_shards_load(shards)->shards * timing->options->parameters->parallelization_factor;
    timing->sandboxes = tumble_runner_alloc(timing->slots * sizeof *timing->sandboxes);
    if (!timing->sandboxes) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    enum tumble_code code = tumble_event_writer_new(&form, alloc, &timing->writer, err);
    timing->began_us = now_us();
    timing->is_first_round = 1;
    while (code == TUMBLE_OK && !timing->has_failed && !is_interrupted(timing) &&
           (timing->is_first_round || spent_ms(timing) < most_ms(timing))) {
        code = time_round(timing, shards, batch_size_most, start_ms, err);
        timing->is_first_round = 0;
    }
    return code;
}

enum tumble_code tw_tune_time_function(const struct tumble_tune_options *options,
                                       const struct tumble_emulated_function *foreign,
                                       const struct tumble_tune_shards *shards, uint32_t batch_size_most,
                                       int64_t start_ms, struct tumble_duration_model *out, struct tumble_error *err) {
    struct timing timing = {.options = options, .foreign = foreign, .why = {.text = ""}};
    enum tumble_code code = time_all(&timing, shards, batch_size_most, start_ms, err);
    if (code == TUMBLE_OK && timing.count) {
        code = tumble_duration_fit(timing.samples, timing.count, out, err);
    } else if (code == TUMBLE_OK && !is_interrupted(&timing)) {
        code = tumble_runner_fail(err, TUMBLE_ERECORD, "the function fails: %.300s",
                                  timing.why.text[0] ? timing.why.text : "no invocation of it could be timed");
    }
    tumble_engine_destroy(timing.engine);
    tumble_event_writer_destroy(timing.writer);
    tumble_runner_free(timing.samples);
    tumble_runner_free(timing.sandboxes);
    return code;
}
