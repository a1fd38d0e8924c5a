#include "runner/live.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/live_share.h"

void tumble_live_say(const struct live *live, const char *format, ...) {
    char line[1024];
    va_list args;
    if (!live->options->say) {
        return;
    }
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    live->options->say(live->options->say_ctx, line);
}

enum tumble_code tumble_live_no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- commits ---- */

static enum tumble_code deliver(struct live *live, struct tumble_error *err) {
    uint64_t began = now_ns(), written, before, acknowledged;
    if (!tumble_live_share_may_deliver(live)) {
        live->deliver_at_ms = tumble_live_steady_ms() + LIVE_PROGRESS_MS;
        return TUMBLE_OK;
    }
    tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_WINDOW, &written, &before);
    enum tumble_code code = tumble_deliver_due(&live->deliverer, err);
    struct tumble_output_status status;
    live->deliver_at_ms = INT64_MAX;
    for (size_t i = 0; tumble_engine_output_status(live->engine, i, &status); i++) {
        if (status.attempts && status.is_waiting && status.next_ms < live->deliver_at_ms) {
            live->deliver_at_ms = status.next_ms;
        }
    }
    tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
    live->is_dirty |= acknowledged != before; /* that enters the next commit */
    tumble_watch_took(live->options->watch, TUMBLE_WATCH_DELIVERY, tumble_watch_now_us(), now_ns() - began);
    return code;
}

enum tumble_code tumble_live_commit(struct live *live, struct tumble_error *err) {
    uint64_t began = now_ns();
    tumble_live_share_before_commit(live);
    enum tumble_code code = tumble_live_note_positions(live, err);
    if (code == TUMBLE_OK) {
        code = tumble_engine_commit(live->engine, err);
    }
    uint64_t took = now_ns() - began;
    live->committed_at_ms = tumble_live_steady_ms();
    if (code != TUMBLE_OK) {
        return code;
    }
    live->is_dirty = 0;
    live->uncommitted_bytes = 0;
    tumble_latency_add(live->commit_latency, took);
    tumble_watch_took(live->options->watch, TUMBLE_WATCH_COMMIT, tumble_watch_now_us() - (int64_t)(took / 1000), took);
    tumble_watch_engine(live->options->watch, live->engine, tumble_watch_now_us());
    tumble_watch_read(live->options->watch, tumble_watch_now_us(), live->summary->records_read,
                      live->summary->bytes_read, -1);
    tumble_live_settle_shards(live);
    code = tumble_live_share_committed(live, err);
    return code == TUMBLE_OK ? deliver(live, err) : code;
}

/* ---- setting up ---- */

static enum tumble_code make_temporary(struct live *live, struct tumble_error *err) {
    const char *parent = getenv("TMPDIR");
    live->temporary = tumble_runner_format("%s/tumble-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!live->temporary) {
        return tumble_live_no_memory(err);
    }
    if (!mkdtemp(live->temporary)) {
        int error = errno;
        enum tumble_code code = tumble_runner_fail(
            err, TUMBLE_ESTORE, "cannot make a temporary directory %s: %s; set TMPDIR or name one with --state",
            live->temporary, strerror(error));
        tumble_runner_free(live->temporary);
        live->temporary = NULL;
        return code;
    }
    return TUMBLE_OK;
}

/* The files stay open but lose their names at once: whatever happens, nothing is left behind. */
static void unlink_temporary(struct live *live) {
    static const char *const files[] = {"data.mdb", "lock.mdb", "tumble.lock", "redo.log"};
    for (size_t i = 0; live->temporary && i < sizeof files / sizeof *files; i++) {
        char *path = tumble_runner_format("%s/%s", live->temporary, files[i]);
        if (path) {
            unlink(path);
        }
        tumble_runner_free(path);
    }
    if (live->temporary) {
        rmdir(live->temporary);
    }
}

static enum tumble_code open_engine(struct live *live, struct tumble_error *err) {
    const struct tumble_live_options *options = live->options;
    enum tumble_code code = options->state_directory ? TUMBLE_OK : make_temporary(live, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_engine_options engine = {
        .spec = options->spec,
        .source = tumble_bytes_of(options->source ? options->source : live->facts.arn),
        .window_seconds = options->window_seconds,
        .state_directory = options->state_directory ? options->state_directory : live->temporary,
        .durability = options->state_directory ? options->durability : TUMBLE_DURABILITY_NONE,
        .sync_every = options->sync_every,
        .verify = options->state_directory != NULL,
        .memory_limit_bytes = options->memory_limit_bytes,
        .fragments_possible = 1,
    };
    code = tumble_engine_open(&engine, &live->engine, err);
    unlink_temporary(live);
    if (code == TUMBLE_OK) {
        live->window_ms = tumble_engine_window_ms(live->engine);
        code = tumble_kpl_new((struct tumble_alloc){0}, &live->kpl, err);
    }
    return code;
}

static int is_interrupted(void *ctx) {
    const struct live *live = ctx;
    return live->options->interrupted && live->options->interrupted(live->options->interrupted_ctx);
}

/* Outputs get a little time to take what is due when a signal came. */
int64_t tumble_live_grace_until(struct live *live) {
    if (!is_interrupted(live)) {
        return INT64_MAX;
    }
    int64_t none = 0;
    atomic_compare_exchange_strong(&live->grace_until_ms, &none, tumble_live_steady_ms() + LIVE_GRACE_MS);
    return atomic_load(&live->grace_until_ms);
}

static int64_t remaining_ms(void *ctx) {
    struct live *live = ctx;
    int64_t leased = tumble_live_share_remaining_ms(live), until = tumble_live_grace_until(live);
    if (until == INT64_MAX) {
        return leased;
    }
    int64_t now = tumble_live_steady_ms(), left = until > now ? until - now : 0;
    return left < leased ? left : leased;
}

/* Waiting for an output is over: a signal came, or rows that wait are another process's now. */
static int waiting_ends(void *ctx) { return is_interrupted(ctx) || tumble_live_share_has_lost(ctx); }

/* Asked by readers, from any thread. */
static int reading_ends(void *ctx) {
    struct live *live = ctx;
    return atomic_load(&live->reading_ends) || is_interrupted(live);
}

static void say_of_output(void *ctx, const char *line) { tumble_live_say(ctx, "%s", line); }

static enum tumble_code attach(struct live *live, const struct tumble_replay_output *output, enum tumble_row_kind kind,
                               struct tumble_error *err) {
    struct tumble_output_open how = {.target = output->target,
                                     .options = output->options,
                                     .option_count = output->option_count,
                                     .uri = output->uri,
                                     .kind = kind,
                                     .host = &live->host,
                                     .rows_may_vanish = live->share != NULL};
    return tumble_engine_attach(live->engine, output->uri, output->api, &how, err);
}

static enum tumble_code attach_outputs(struct live *live, struct tumble_error *err) {
    const struct tumble_live_options *options = live->options;
    enum tumble_code code = TUMBLE_OK;
    live->host = (struct tumble_output_host){
        .struct_size = sizeof live->host, .ctx = live, .remaining_ms = remaining_ms, .say = say_of_output};
    live->deliverer = (struct tumble_deliverer){.engine = live->engine,
                                                .timeout_ms = options->output_timeout_ms,
                                                .outbox_limit_bytes = options->outbox_limit_bytes,
                                                .state_directory = options->state_directory,
                                                .stopping = waiting_ends,
                                                .stopping_ctx = live,
                                                .say = options->say,
                                                .say_ctx = options->say_ctx};
    for (size_t i = 0; i < options->output_count && code == TUMBLE_OK; i++) {
        code = attach(live, &options->outputs[i], TUMBLE_ROW_WINDOW, err);
    }
    if (code == TUMBLE_OK && options->failures) {
        code = attach(live, options->failures, TUMBLE_ROW_FAILURE, err);
    }
    return code;
}

/* Shards that the state stands in and that the stream no longer has: nothing more can come of them. */
static enum tumble_code end_unlisted(struct live *live, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        if (shard->is_listed || shard->phase != LIVE_WAITING) {
            continue;
        }
        code = tumble_live_open_shard(live, shard, err);
        if (code == TUMBLE_OK) {
            tumble_live_say(live, "warning: shard %s is gone from the stream: what was not read of it is lost",
                            shard->id);
            code = tumble_live_close_windows(live, shard, INT64_MAX, err);
            shard->phase = LIVE_DRAINED;
            live->is_dirty = 1;
        }
    }
    return code;
}

static enum tumble_code first_listing(struct live *live, struct tumble_error *err) {
    const struct tumble_kinesis_shard *shards;
    size_t count;
    enum tumble_code code = tumble_kinesis_shards(live->stream, &shards, &count, NULL, err);
    if (code == TUMBLE_OK) {
        code = tumble_live_listed(live, shards, count, err);
    }
    live->list_at_ms = tumble_live_steady_ms() + LIVE_LIST_MS;
    return code == TUMBLE_OK && !live->share ? end_unlisted(live, err) : code;
}

static enum tumble_code set_up(struct live *live, struct tumble_error *err) {
    const struct tumble_live_options *options = live->options;
    struct tumble_kinesis_options stream = options->stream;
    stream.interrupted = reading_ends;
    stream.interrupted_ctx = live;
    enum tumble_code code = tumble_kinesis_open(&stream, &live->stream, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    tumble_kinesis_facts(live->stream, &live->facts);
    snprintf(live->summary->arn, sizeof live->summary->arn, "%s", live->facts.arn);
    live->latency = tumble_runner_alloc(sizeof *live->latency);
    live->commit_latency = tumble_runner_alloc(sizeof *live->commit_latency);
    if (!live->latency || !live->commit_latency) {
        return tumble_live_no_memory(err);
    }
    code = open_engine(live, err);
    code = code == TUMBLE_OK ? tumble_live_resume(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_share_open(live, err) : code;
    code = code == TUMBLE_OK ? attach_outputs(live, err) : code;
    code = code == TUMBLE_OK ? first_listing(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_share_start(live, err) : code;
    code = code == TUMBLE_OK
               ? tumble_live_feeds_new(live->stream, options->threads, LIVE_QUEUE_BYTES, &live->feeds, err)
               : code;
    code = code == TUMBLE_OK ? tumble_live_share_begin(live, err) : code;
    /* Where outputs begin is committed before they are written to; then rows left over from an earlier run go out. */
    code = code == TUMBLE_OK ? tumble_live_commit(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_start_shards(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_lister_new(live->stream, live->feeds, &live->lister, err) : code;
    return code == TUMBLE_OK && live->share ? tumble_live_keeper_start(live->share, err) : code;
}

/* ---- the loop ---- */

static enum tumble_code take_listing(struct live *live, struct tumble_error *err) {
    struct live_listing listing;
    if (!tumble_live_lister_take(live->lister, &listing)) {
        return TUMBLE_OK;
    }
    enum tumble_code code = TUMBLE_OK;
    if (listing.code == TUMBLE_OK) {
        live->listings_done = listing.number;
        code = tumble_live_listed(live, listing.shards, listing.count, err);
        tumble_live_share_listed(live);
        if (live->list_trouble_told) {
            live->list_trouble_told = 0;
            tumble_live_say(live, "listing the stream's shards works again");
        }
    } else if (listing.may_pass) {
        if (!live->list_trouble_told) {
            live->list_trouble_told = 1;
            tumble_live_say(live, "the stream's shards cannot be listed (%.300s): tried again until it works",
                            listing.error.text);
        }
        live->list_at_ms = tumble_live_steady_ms() + 1000;
        live->listings_asked = live->listings_done;
    } else if (listing.code != TUMBLE_EINTERRUPTED) {
        *err = listing.error;
        code = listing.code == TUMBLE_EUSAGE ? TUMBLE_EINPUT : listing.code;
        err->code = code;
    }
    tumble_runner_free(listing.shards);
    return code;
}

static void ask_for_listing(struct live *live, int64_t now) {
    if (now >= live->list_at_ms && live->listings_asked == live->listings_done) {
        tumble_live_lister_ask(live->lister, ++live->listings_asked);
        live->list_at_ms = now + LIVE_LIST_MS;
    }
}

static void tell_progress(struct live *live, int64_t now) {
    if (now - live->progress_at_ms < LIVE_PROGRESS_MS || !live->options->progress) {
        return;
    }
    live->progress_at_ms = now;
    struct tumble_live_progress progress = {
        .records = live->summary->records_read, .bytes = live->summary->bytes_read, .behind_ms = -1};
    for (size_t i = 0; i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        progress.shards += shard->phase == LIVE_READING;
        progress.waiting += shard->phase == LIVE_WAITING && shard->is_listed;
        if (shard->phase == LIVE_READING && shard->behind_ms > progress.behind_ms) {
            progress.behind_ms = shard->behind_ms;
        }
    }
    if (live->options->progress(live->options->progress_ctx, &progress)) {
        live->stopping = live->summary->stopped = 1;
    }
}

/* Nothing is left to read: every shard is at its tip or done, and the stream has no others. */
static int is_at_tip(const struct live *live) {
    for (size_t i = 0; i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        int waits = shard->phase == LIVE_WAITING && shard->is_listed;
        int reads = shard->phase == LIVE_READING && (shard->tip_since_ms < 0 || shard->held);
        if (waits || reads || shard->phase == LIVE_DRAINED) {
            return 0;
        }
    }
    return live->listings_asked == live->listings_done && live->list_at_ms > tumble_live_steady_ms();
}

static int wants_commit(const struct live *live, int64_t now) {
    int is_drained = 0;
    for (size_t i = 0; i < live->shard_count; i++) {
        is_drained |= live->shards[i]->phase == LIVE_DRAINED && live->is_dirty;
    }
    return is_drained || live->uncommitted_bytes >= LIVE_COMMIT_BYTES ||
           (live->is_dirty && now - live->committed_at_ms >= live->options->commit_ms);
}

static int64_t nap_ms(const struct live *live, int64_t now) {
    int64_t nap = LIVE_PROGRESS_MS;
    int64_t until_commit = live->committed_at_ms + live->options->commit_ms - now;
    int64_t until_delivery = live->deliver_at_ms - now;
    if (live->is_dirty && until_commit < nap) {
        nap = until_commit;
    }
    if (live->deliver_at_ms != INT64_MAX && until_delivery < nap) {
        nap = until_delivery;
    }
    return nap > 0 ? nap : 0;
}

static enum tumble_code apply_taken(struct live *live, struct tumble_live_batch *batch, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    while (batch) {
        struct tumble_live_batch *next = batch->next;
        if (code == TUMBLE_OK) {
            code = tumble_live_apply(live, batch, err);
        } else {
            tumble_live_batch_free(batch);
        }
        if (code == TUMBLE_OK && wants_commit(live, tumble_live_steady_ms())) {
            code = tumble_live_commit(live, err);
        }
        batch = next;
    }
    return code;
}

static enum tumble_code turn(struct live *live, struct tumble_error *err) {
    enum tumble_code code =
        apply_taken(live, tumble_live_feeds_take(live->feeds, nap_ms(live, tumble_live_steady_ms())), err);
    code = code == TUMBLE_OK ? tumble_live_apply_held(live, 0, err) : code;
    code = code == TUMBLE_OK ? tumble_live_close_idle(live, err) : code;
    int64_t now = tumble_live_steady_ms();
    if (code == TUMBLE_OK && wants_commit(live, now)) {
        code = tumble_live_commit(live, err);
    } else if (code == TUMBLE_OK && now >= live->deliver_at_ms) {
        live->is_dirty = 1; /* acknowledgements */
        code = deliver(live, err);
    }
    ask_for_listing(live, now);
    code = code == TUMBLE_OK ? take_listing(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_share_turn(live, err) : code;
    code = code == TUMBLE_OK ? tumble_live_start_shards(live, err) : code;
    tell_progress(live, now);
    int is_over = live->options->duration_ms > 0 && now - live->began_ms >= live->options->duration_ms;
    if (is_over || is_interrupted(live)) {
        live->stopping = 1;
        live->summary->stopped |= !is_over;
    }
    return code;
}

static enum tumble_code close_all(struct live *live, struct tumble_error *err) {
    enum tumble_code code = tumble_live_apply_held(live, 1, err);
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        if (live->shards[i]->open_count) {
            code = tumble_live_close_windows(live, live->shards[i], INT64_MAX, err);
        }
    }
    return code;
}

static void stop_reading(struct live *live) {
    tumble_live_share_quiet(live);
    atomic_store(&live->reading_ends, 1);
    tumble_live_lister_destroy(live->lister);
    tumble_live_feeds_destroy(live->feeds);
    live->lister = NULL;
    live->feeds = NULL;
}

/* Until every row is out; shared: as far as they are still this process's. */
static enum tumble_code deliver_to_the_end(struct live *live, struct tumble_error *err) {
    int64_t until = tumble_live_steady_ms() + live->options->output_timeout_ms;
    for (;;) {
        uint64_t written, acknowledged;
        enum tumble_code code = tumble_live_share_drop_lost(live, err);
        if (code == TUMBLE_OK && tumble_live_share_may_deliver(live)) {
            code = tumble_deliver_all(&live->deliverer, err);
        }
        code = code == TUMBLE_OK ? tumble_live_commit(live, err) : code;
        tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
        if (code != TUMBLE_OK || acknowledged == written || is_interrupted(live)) {
            return code;
        }
        if (tumble_live_steady_ms() > until) {
            return tumble_runner_fail(err, TUMBLE_EINPUT,
                                      "rows wait, since their leases could not be written for %lld s",
                                      (long long)(live->options->output_timeout_ms / 1000));
        }
        struct timespec nap = {0, 50 * 1000000};
        nanosleep(&nap, NULL);
    }
}

/* Windows that are open stay open in the state; nothing keeps them without one. */
static enum tumble_code end(struct live *live, int at_tip, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    stop_reading(live);
    if (at_tip) {
        code = close_all(live, err);
    }
    code = code == TUMBLE_OK ? tumble_live_commit(live, err) : code;
    if (code == TUMBLE_OK && !live->summary->stopped) {
        code = deliver_to_the_end(live, err);
    }
    code = code == TUMBLE_OK ? tumble_live_commit(live, err) : code; /* acknowledgements */
    tumble_live_share_release(live);
    return code;
}

/* A stream that was deleted and made anew lets its readers fail in several ways; then it is asked what became of it. */
static void look_for_the_cause(struct live *live, struct tumble_error *err) {
    struct tumble_error cause = {.byte = -1, .record = -1};
    atomic_store(&live->reading_ends, 1);
    tumble_live_lister_destroy(live->lister); /* the stream is this thread's again */
    live->lister = NULL;
    atomic_store(&live->reading_ends, 0);
    int may_pass = 0;
    if (tumble_kinesis_refresh(live->stream, &may_pass, &cause) == TUMBLE_EINPUT && !may_pass) {
        *err = cause;
    }
}

/* What was applied before the failure is kept, and whole windows of it leave. */
static void keep_what_there_is(struct live *live) {
    struct tumble_error ignored = {.byte = -1, .record = -1};
    stop_reading(live);
    if (tumble_live_commit(live, &ignored) == TUMBLE_OK) {
        tumble_live_commit(live, &ignored);
    }
    tumble_live_share_release(live);
}

static enum tumble_code run(struct live *live, struct tumble_error *err) {
    enum tumble_code code = set_up(live, err);
    int at_tip = 0;
    if (code != TUMBLE_OK) {
        return code;
    }
    while (code == TUMBLE_OK && !live->stopping && !at_tip) {
        code = turn(live, err);
        at_tip = live->options->until_idle && is_at_tip(live);
    }
    if (code == TUMBLE_OK) {
        return end(live, at_tip, err);
    }
    if (code == TUMBLE_EINPUT && !is_interrupted(live)) {
        look_for_the_cause(live, err);
    }
    if (code == TUMBLE_ERECORD || code == TUMBLE_EINPUT || code == TUMBLE_EORDER) {
        keep_what_there_is(live);
    }
    return code;
}

/* ---- the summary ---- */

static void fill_summary(struct live *live) {
    struct tumble_live_summary *summary = live->summary;
    summary->seconds = (double)(tumble_live_steady_ms() - live->began_ms) / 1000;
    if (live->engine) {
        tumble_engine_counters(live->engine, &summary->counters);
    }
    if (live->latency && live->commit_latency) {
        summary->latency_count = live->latency->count;
        summary->latency_p50_us = tumble_latency_quantile_us(live->latency, 0.5);
        summary->latency_p90_us = tumble_latency_quantile_us(live->latency, 0.9);
        summary->latency_p99_us = tumble_latency_quantile_us(live->latency, 0.99);
        summary->latency_max_us = (double)live->latency->max_ns / 1000;
        summary->commit_p50_us = tumble_latency_quantile_us(live->commit_latency, 0.5);
        summary->commit_p99_us = tumble_latency_quantile_us(live->commit_latency, 0.99);
        summary->commit_max_us = (double)live->commit_latency->max_ns / 1000;
    }
}

enum tumble_code tumble_live_run(const struct tumble_live_options *options, struct tumble_live_summary *summary,
                                 struct tumble_error *err) {
    struct live live = {
        .options = options, .summary = summary, .began_ms = tumble_live_steady_ms(), .deliver_at_ms = INT64_MAX};
    memset(summary, 0, sizeof *summary);
    summary->first_arrival_ms = summary->last_arrival_ms = summary->iterator_age_least_ms =
        summary->iterator_age_most_ms = -1;
    enum tumble_code code = run(&live, err);
    if (code == TUMBLE_EINTERRUPTED && is_interrupted(&live)) { /* while it was set up */
        summary->stopped = 1;
        code = TUMBLE_OK;
    }
    fill_summary(&live);
    stop_reading(&live);
    tumble_live_share_close(&live);
    tumble_live_free_shards(&live);
    tumble_engine_destroy(live.engine);
    tumble_kinesis_close(live.stream);
    tumble_kpl_destroy(live.kpl);
    tumble_runner_free(live.run);
    tumble_runner_free(live.run_index);
    tumble_runner_free(live.latency);
    tumble_runner_free(live.commit_latency);
    tumble_runner_free(live.temporary);
    return code;
}
