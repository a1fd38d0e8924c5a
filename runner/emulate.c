#include "runner/emulate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runner/memory.h"
#include "runner/watched_function.h"

enum { NAP_MS = 100, PROGRESS_MS = 100, TRIES = 6 };

struct emulation {
    const struct tumble_emulate_options *options;
    struct tumble_emulate_summary *summary;
    struct tumble_capture_stream *stream;
    struct tumble_mapping *mapping;
    struct tumble_mapping_options mapping_options;
    struct tumble_emulated_function faulty;
    struct tumble_watched_function watched;
    struct tumble_emulated_function watching;
    void *destination; /* open output; NULL: none */
    uint64_t documents;
    struct timespec began;
    int64_t progress_at_ms;
};

static int64_t since_ms(const struct timespec *began) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)(now.tv_sec - began->tv_sec) * 1000 + (now.tv_nsec - began->tv_nsec) / 1000000;
}

static int interrupted(void *ctx) {
    struct emulation *emulation = ctx;
    const struct tumble_emulate_options *options = emulation->options;
    if (options->interrupted && options->interrupted(options->interrupted_ctx)) {
        emulation->summary->stopped = 1;
    }
    return emulation->summary->stopped;
}

static void nap(int64_t ms) {
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* ---- the pace ---- */

static int draw_progress(struct emulation *emulation) {
    const struct tumble_emulate_options *options = emulation->options;
    int64_t now = since_ms(&emulation->began);
    if (!options->progress || now < emulation->progress_at_ms + PROGRESS_MS) {
        return 0;
    }
    struct tumble_capture_stream_facts facts;
    emulation->progress_at_ms = now;
    tumble_capture_stream_facts(emulation->stream, &facts);
    return options->progress(options->progress_ctx, facts.done_bytes, facts.total_bytes, facts.records);
}

static void tell_watch(struct emulation *emulation, int64_t now_ms) {
    struct tumble_watch *watch = emulation->options->watch;
    struct tumble_capture_stream_facts facts;
    if (watch) {
        tumble_capture_stream_facts(emulation->stream, &facts);
        tumble_watch_read(watch, now_ms * 1000, facts.records, facts.bytes, facts.total_bytes);
        tumble_watch_mapping(watch, tumble_mapping_metrics(emulation->mapping));
    }
}

static int pace(void *ctx, int64_t now_ms) {
    struct emulation *emulation = ctx;
    const struct tumble_emulate_options *options = emulation->options;
    tell_watch(emulation, now_ms);
    if (interrupted(emulation) || draw_progress(emulation)) {
        emulation->summary->stopped = 1;
        return 1;
    }
    while (options->speed > 0) {
        int64_t due = (int64_t)((double)(now_ms - emulation->mapping_options.start_ms) / options->speed);
        int64_t left = due - since_ms(&emulation->began);
        if (left <= 0) {
            break;
        }
        nap(left < NAP_MS ? left : NAP_MS);
        if (interrupted(emulation) || draw_progress(emulation)) {
            emulation->summary->stopped = 1;
            return 1;
        }
    }
    return 0;
}

/* ---- the destination ---- */

static int64_t remaining_ms(void *ctx) { return interrupted(ctx) ? 0 : INT64_MAX; }

static const struct tumble_output_host *host_of(struct emulation *emulation) {
    static struct tumble_output_host host; /* one emulation at a time opens a destination */
    host = (struct tumble_output_host){.struct_size = sizeof host, .ctx = emulation, .remaining_ms = remaining_ms};
    return &host;
}

static enum tumble_code open_destination(struct emulation *emulation, struct tumble_error *err) {
    const struct tumble_replay_output *output = emulation->options->destination;
    if (!output) {
        return TUMBLE_OK;
    }
    struct tumble_output_open how = {.struct_size = sizeof how,
                                     .kind = TUMBLE_ROW_FAILURE,
                                     .target = output->target,
                                     .options = output->options,
                                     .option_count = output->option_count,
                                     .uri = output->uri,
                                     .source = tumble_bytes_of(emulation->options->parameters->event_source_arn),
                                     .host = host_of(emulation)};
    return output->api->open(&how, &emulation->destination, err);
}

/* The same document has the same key: its request's id, and which of that request's it is. */
static void key_of(const struct tumble_failure *failure, uint64_t number, uint8_t key[16]) {
    unsigned digits = 0;
    memset(key, 0, 16);
    for (const char *at = failure->request_id; *at && digits < 32; at++) {
        unsigned value = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                                                    : 16;
        if (value < 16) {
            key[digits / 2] = (uint8_t)((unsigned)key[digits / 2] << 4 | value);
            digits++;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        key[8 + i] ^= (uint8_t)(number >> (8 * i));
    }
}

static enum tumble_code deliver(struct emulation *emulation, const struct tumble_row *row,
                                struct tumble_delivery *delivery, struct tumble_error *err) {
    const struct tumble_output_api *api = emulation->options->destination->api;
    enum tumble_code code = emulation->destination ? TUMBLE_OK : open_destination(emulation, err);
    if (code == TUMBLE_OK) {
        code = api->write(emulation->destination, row, 1, delivery, err);
    }
    if (code == TUMBLE_OK && delivery->outcome == TUMBLE_DELIVERED) {
        code = api->flush(emulation->destination, 1, err);
    }
    if (code != TUMBLE_OK) { /* opened anew before it is tried again: the contract of outputs */
        api->close(emulation->destination);
        emulation->destination = NULL;
    }
    return code;
}

/* Said of a whole call, these are refusals; the text tells of which output. */
static enum tumble_code refused(const struct emulation *emulation, enum tumble_code code, struct tumble_error *err) {
    int is_refusal = code == TUMBLE_EREJECTED || code == TUMBLE_ELIMIT || code == TUMBLE_ECORRUPT;
    char told[TUMBLE_ERROR_TEXT];
    if (code == TUMBLE_ENOMEM || !err) {
        return code;
    }
    snprintf(told, sizeof told, "%s", err->text);
    return tumble_runner_fail(err, is_refusal ? TUMBLE_EREFUSED : code, "on-failure destination %.100s: %.180s",
                              emulation->options->destination->uri, told);
}

static void say_rejected(struct emulation *emulation, const char *reason) {
    const struct tumble_emulate_options *options = emulation->options;
    char line[TUMBLE_ERROR_TEXT];
    snprintf(line, sizeof line, "the on-failure destination does not take a document, which is dropped: %.200s",
             reason ? reason : "it does not say why");
    if (options->say) {
        options->say(options->say_ctx, line);
    }
}

/* Lambda counts what its destination does not take and goes on; so does this for a document by itself. A destination
 * that takes nothing at all ends the run: nothing is lost without a word. */
static enum tumble_code on_failure(void *ctx, const struct tumble_failure *failure, int *delivered,
                                   struct tumble_error *err) {
    struct emulation *emulation = ctx;
    const struct tumble_replay_output *output = emulation->options->destination;
    struct tumble_bytes key = tumble_bytes_of(failure->s3_key ? failure->s3_key : "");
    struct tumble_row row = {.json = failure->document,
                             .values = failure->s3_key ? &key : NULL,
                             .value_count = failure->s3_key ? 1 : 0,
                             .window_start_ms = failure->window_start_ms,
                             .window_end_ms = failure->window_end_ms};
    key_of(failure, emulation->documents++, row.key);
    *delivered = 0;
    for (int i = 0;; i++) {
        struct tumble_delivery delivery = {.outcome = TUMBLE_RETRY};
        enum tumble_code code = deliver(emulation, &row, &delivery, err);
        if (code == TUMBLE_OK && delivery.outcome != TUMBLE_RETRY) {
            *delivered = delivery.outcome == TUMBLE_DELIVERED;
            if (!*delivered) {
                say_rejected(emulation, delivery.reason);
            }
            return TUMBLE_OK;
        }
        int is_over =
            code != TUMBLE_OK && (!tumble_code_retryable(code) || output->api->flags & TUMBLE_OUTPUT_NO_RETRY);
        if (is_over || i == TRIES || interrupted(emulation)) {
            return code != TUMBLE_OK
                       ? refused(emulation, code, err)
                       : tumble_runner_fail(err, TUMBLE_EOUTPUT, "on-failure destination %.100s: takes nothing: %.180s",
                                            output->uri, delivery.reason ? delivery.reason : "it does not say why");
        }
        nap(delivery.retry_after_ms > 0 ? delivery.retry_after_ms : (int64_t)NAP_MS << i);
    }
}

/* ---- the run ---- */

/* The stream keeps a day, and what it holds when the mapping begins. */
static void set_times(struct emulation *emulation, const struct tumble_capture_stream_facts *facts) {
    struct tumble_mapping_options *options = &emulation->mapping_options;
    int holds_all = options->arrival == TUMBLE_ARRIVAL_BACKLOG;
    int64_t first = facts->least_arrival_ms < 0 ? 0 : facts->least_arrival_ms;
    options->start_ms = holds_all && facts->last_arrival_ms > first ? facts->last_arrival_ms : first;
    if (!options->retention_ms) {
        options->retention_ms = TUMBLE_RETENTION_MS + (options->start_ms - first);
    }
}

static enum tumble_code open_mapping(struct emulation *emulation, struct tumble_error *err) {
    const struct tumble_emulate_options *options = emulation->options;
    struct tumble_mapping_parameters *parameters = options->parameters;
    struct tumble_capture_stream_facts facts;
    tumble_capture_stream_facts(emulation->stream, &facts);
    if (!parameters->event_source_arn[0] && facts.event_source_arn) {
        snprintf(parameters->event_source_arn, sizeof parameters->event_source_arn, "%s", facts.event_source_arn);
    }
    set_times(emulation, &facts);
    emulation->mapping_options.pace = pace;
    emulation->mapping_options.pace_ctx = emulation;
    if (options->destination) {
        emulation->mapping_options.on_failure = on_failure;
        emulation->mapping_options.failure_ctx = emulation;
    }
    const struct tumble_emulated_function *function = options->function;
    if (options->faults) {
        tumble_faults_wrap(options->faults, function, &emulation->faulty);
        function = &emulation->faulty;
    }
    if (options->watch) {
        tumble_watched_function_init(&emulation->watched, options->watch, function, parameters->parallelization_factor,
                                     &emulation->watching);
        function = &emulation->watching;
    }
    const struct tumble_stream *stream = tumble_capture_stream_view(emulation->stream);
    emulation->summary->shards = stream->shard_count;
    return tumble_mapping_new(parameters, &emulation->mapping_options, stream, function, &emulation->mapping, err);
}

static enum tumble_code run(struct emulation *emulation, struct tumble_error *err) {
    struct tumble_capture_stream_options source = emulation->options->source;
    source.holds_all = emulation->mapping_options.arrival == TUMBLE_ARRIVAL_BACKLOG;
    source.splits_aggregates = strstr(emulation->options->parameters->event_source_arn, "/consumer/") != NULL;
    source.stopping = interrupted;
    source.stopping_ctx = emulation;
    enum tumble_code code = tumble_mapping_parameters_check(emulation->options->parameters, INT64_MAX, err);
    if (code == TUMBLE_OK) {
        code = tumble_capture_stream_open(&source, &emulation->stream, err);
    }
    if (code == TUMBLE_OK) {
        code = open_mapping(emulation, err);
    }
    if (code == TUMBLE_OK) {
        code = open_destination(emulation, err);
        code = code == TUMBLE_OK ? code : refused(emulation, code, err);
    }
    return code == TUMBLE_OK ? tumble_mapping_run(emulation->mapping, err) : code;
}

enum tumble_code tumble_emulate(const struct tumble_emulate_options *options, struct tumble_emulate_summary *summary,
                                struct tumble_error *err) {
    struct emulation emulation = {.options = options, .summary = summary, .mapping_options = options->mapping};
    memset(summary, 0, sizeof *summary);
    clock_gettime(CLOCK_MONOTONIC, &emulation.began);
    enum tumble_code code = run(&emulation, err);
    if ((code == TUMBLE_EINTERRUPTED || code == TUMBLE_EOUTPUT) && interrupted(&emulation)) {
        code = TUMBLE_OK; /* said by who asked for it */
    }
    summary->seconds = (double)since_ms(&emulation.began) / 1000.0;
    if (emulation.mapping) {
        summary->metrics = *tumble_mapping_metrics(emulation.mapping);
        if (options->watch && summary->metrics.end_ms > 0) {
            tumble_watched_function_end(&emulation.watched, summary->metrics.end_ms * 1000,
                                        code == TUMBLE_OK && !summary->stopped);
            tell_watch(&emulation, summary->metrics.end_ms);
        }
    }
    if (emulation.stream) {
        tumble_capture_stream_facts(emulation.stream, &summary->source);
        summary->source.event_source_arn = NULL;
    }
    if (emulation.destination) {
        options->destination->api->close(emulation.destination);
    }
    tumble_mapping_destroy(emulation.mapping);
    tumble_watched_function_clean_up(&emulation.watched);
    tumble_capture_stream_close(emulation.stream);
    return code;
}
