#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/replay_internal.h"

static void say(const struct replay *replay, const char *line) {
    if (replay->options->say) {
        replay->options->say(replay->options->say_ctx, line);
    }
}

/* ---- setting up ---- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Rows that an output takes at once, or the run ends, need not wait anywhere; and without a limit every open window
 * stays in memory. Then a state that nobody named is not written either. */
static int needs_directory(const struct tumble_replay_options *options) {
    int waits = options->failures && !(options->failures->api->flags & TUMBLE_OUTPUT_NO_RETRY);
    for (size_t i = 0; i < options->output_count; i++) {
        waits = waits || !(options->outputs[i].api->flags & TUMBLE_OUTPUT_NO_RETRY);
    }
    return waits || options->memory_limit_bytes;
}

static enum tumble_code open_engine(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    struct tumble_bytes extra[2];
    size_t extra_count = 0;
    replay->timestamp_index = replay->key_index = -1;
    if (options->timestamp_field) {
        replay->timestamp_index = (int)extra_count;
        extra[extra_count++] = tumble_bytes_of(options->timestamp_field);
    }
    if (options->partition_key_field) {
        replay->key_index = (int)extra_count;
        extra[extra_count++] = tumble_bytes_of(options->partition_key_field);
    }
    const char *directory = options->state_directory;
    if (!directory && needs_directory(options)) {
        const char *parent = getenv("TMPDIR");
        replay->temporary = tumble_runner_format("%s/tumble-XXXXXX", parent && *parent ? parent : "/tmp");
        if (!replay->temporary) {
            return tumble_replay_no_memory(err);
        }
        directory = mkdtemp(replay->temporary);
        if (!directory) {
            return tumble_runner_fail(err, TUMBLE_ESTORE,
                                      "cannot make a temporary directory %s: %s; set TMPDIR or name one with --state",
                                      replay->temporary, strerror(errno));
        }
    }
    const char *source = options->source                       ? options->source
                         : strcmp(options->paths[0], "-") == 0 ? "stdin"
                                                               : base_name(options->paths[0]);
    struct tumble_engine_options engine = {
        .spec = options->spec,
        .source = tumble_bytes_of(source),
        .window_seconds = options->window_seconds,
        .state_directory = directory,
        .durability = options->state_directory ? options->durability : TUMBLE_DURABILITY_NONE,
        .sync_every = options->sync_every,
        .verify = options->state_directory != NULL,
        .memory_limit_bytes = options->memory_limit_bytes,
        .fragments_possible = options->shards > 1 || replay->names_shards,
        .extra_fields = extra,
        .extra_field_count = extra_count,
    };
    return tumble_engine_open(&engine, &replay->engine, err);
}

/* The files of a temporary state stay open but lose their names at once: whatever happens, nothing is left behind. */
static void unlink_temporary(struct replay *replay) {
    static const char *const files[] = {"data.mdb", "lock.mdb", "tumble.lock", "redo.log"};
    for (size_t i = 0; replay->temporary && i < sizeof files / sizeof *files; i++) {
        char *path = tumble_runner_format("%s/%s", replay->temporary, files[i]);
        if (path) {
            unlink(path);
        }
        tumble_runner_free(path);
    }
    if (replay->temporary) {
        rmdir(replay->temporary);
    }
}

static enum tumble_code attach(struct replay *replay, const struct tumble_replay_output *output,
                               enum tumble_row_kind kind, struct tumble_error *err) {
    struct tumble_output_open how = {.target = output->target,
                                     .options = output->options,
                                     .option_count = output->option_count,
                                     .uri = output->uri,
                                     .kind = kind,
                                     .host = &replay->host};
    return tumble_engine_attach(replay->engine, output->uri, output->api, &how, err);
}

static enum tumble_code attach_outputs(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < replay->options->output_count && code == TUMBLE_OK; i++) {
        code = attach(replay, &replay->options->outputs[i], TUMBLE_ROW_WINDOW, err);
    }
    if (code == TUMBLE_OK && replay->options->failures) {
        code = attach(replay, replay->options->failures, TUMBLE_ROW_FAILURE, err);
    }
    return code;
}

/* A signal came while a read waited for input. */
static int stopping(void *ctx) {
    struct replay *replay = ctx;
    if (replay->engine && replay->options->watch) { /* an output is waited for: what waits is to be seen */
        tumble_watch_engine(replay->options->watch, replay->engine, tumble_watch_now_us());
    }
    if (replay->options->progress &&
        replay->options->progress(replay->options->progress_ctx, 0, -1, replay->progress.records)) {
        replay->summary->stopped = 1;
    }
    return replay->summary->stopped;
}

static enum tumble_code open_capture(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    struct tumble_capture_options capture = {
        .paths = options->paths,
        .path_count = options->path_count,
        .format = options->format,
        .records_at = options->records_at,
        .project_encoded = options->timestamp_overrides || options->partition_key_field != NULL,
        .keep_aggregates = options->keep_aggregates,
        .digest = replay->keeps_position,
        .stopping = stopping,
        .stopping_ctx = replay,
    };
    enum tumble_code code = tumble_capture_open(&capture, &replay->capture, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    replay->summary->format = tumble_capture_detected(replay->capture);
    replay->names_shards = replay->summary->format == TUMBLE_CAPTURE_LAMBDA;
    int payload = replay->summary->format == TUMBLE_CAPTURE_NDJSON || replay->summary->format == TUMBLE_CAPTURE_ARRAY;
    replay->takes_timestamp = payload || options->timestamp_overrides;
    return TUMBLE_OK;
}

/* What stands behind a mark; nothing in states that know no aggregates. */
static void resume_parts(struct tumble_lane *lane, const char *at, const char *end) {
    uint64_t numbers[4] = {0};
    for (size_t i = 0; at && i < 4; i++) {
        for (at++; at < end && *at >= '0' && *at <= '9'; at++) {
            numbers[i] = numbers[i] * 10 + (uint64_t)(*at - '0');
        }
        at = at < end ? at : NULL;
    }
    lane->mark_part = (uint32_t)numbers[0];
    lane->run = (uint32_t)numbers[1];
    lane->run_input = (uint32_t)numbers[2];
    lane->run_number = numbers[3];
}

static enum tumble_code resume_marks(struct replay *replay, struct tumble_error *err) {
    struct tumble_bytes note = tumble_engine_note(replay->engine, "marks");
    const char *at = note.length ? note.data : "", *end = at + note.length;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *space = stop ? memchr(at, ' ', (size_t)(stop - at)) : NULL;
        const char *parts = space ? memchr(space + 1, ' ', (size_t)(stop - space - 1)) : NULL;
        size_t length = space ? (size_t)((parts ? parts : stop) - space - 1) : 0;
        struct tumble_lane *lane;
        if (!space || length > sizeof lane->mark) {
            return tumble_runner_fail(err, TUMBLE_ECORRUPT,
                                      "the state's marks are damaged: restore it, or use another --state");
        }
        struct tumble_bytes id = {at, (size_t)(space - at)};
        enum tumble_code code = tumble_round_lane(&replay->round, id, &lane, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        lane->mark_length = (uint32_t)length;
        memcpy(lane->mark, space + 1, lane->mark_length);
        resume_parts(lane, parts, stop);
        at = stop + 1;
    }
    if (note.length) {
        replay->seen = tumble_seen_new();
        return replay->seen ? tumble_seen_load(replay->seen, replay->engine, err) : tumble_replay_no_memory(err);
    }
    return TUMBLE_OK;
}

/* Goes on where the state stands, or writes down what a new state is for. */
static enum tumble_code resume(struct replay *replay, struct tumble_error *err) {
    char *settings = tumble_settings_text(replay->options);
    if (!settings) {
        return tumble_replay_no_memory(err);
    }
    struct tumble_bytes stored = tumble_engine_note(replay->engine, "replay");
    enum tumble_code code;
    if (stored.length == 0) {
        code = tumble_replay_set_note(replay, "replay", settings, err);
    } else {
        replay->summary->resumed = 1;
        code = tumble_settings_compare(stored, settings, err);
        struct tumble_bytes progress = tumble_engine_note(replay->engine, "progress");
        if (code == TUMBLE_OK && progress.length) { /* none yet: the run ended before its first round */
            code = tumble_progress_read(progress, &replay->progress, err);
        }
        replay->clock.watermark_ms = replay->progress.watermark_ms;
        replay->sorter.next = replay->progress.records;
    }
    tumble_runner_free(settings);
    return code;
}

static enum tumble_code resume_inputs(struct replay *replay, struct tumble_error *err) {
    struct tumble_bytes position = tumble_engine_note(replay->engine, "capture");
    enum tumble_code code = resume_marks(replay, err);
    if (code == TUMBLE_OK && position.length && (!replay->options->sort || replay->progress.complete)) {
        code = tumble_capture_seek(replay->capture, position, err);
    }
    return code;
}

static void tell_late(const struct replay *replay) {
    struct tumble_counters counters;
    tumble_engine_counters(replay->engine, &counters);
    uint64_t late = counters.fates[TUMBLE_FATE_LATE];
    if (late == 0) {
        return;
    }
    char line[320];
    uint64_t needed = replay->lag_ms / 1000 + 1;
    snprintf(line, sizeof line,
             "warning: %llu late record%s left out (their windows were closed)%s; to include %s, run with --sort or "
             "--allowed-lateness %llu",
             (unsigned long long)late, late == 1 ? " was" : "s were",
             replay->options->failures ? " and written to failures" : "", late == 1 ? "it" : "them",
             (unsigned long long)needed);
    say(replay, line);
}

/* What is most likely a misspelling gives no error: a missing field is null. */
static void tell_unfound(const struct replay *replay) {
    struct tumble_counters counters;
    struct tumble_bytes path;
    uint64_t found;
    tumble_engine_counters(replay->engine, &counters);
    if (counters.fates[TUMBLE_FATE_APPLIED] == 0 || replay->summary->resumed) {
        return;
    }
    for (size_t i = 0; tumble_engine_field(replay->engine, i, &path, &found); i++) {
        char line[320];
        if (found == 0) {
            snprintf(line, sizeof line, "note: no record has the field %.*s: is that its name?",
                     (int)(path.length < 200 ? path.length : 200), path.data);
            say(replay, line);
        }
    }
}

static void fill_summary(struct replay *replay, const struct timespec *start) {
    struct tumble_replay_summary *summary = replay->summary;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    summary->seconds = (double)(end.tv_sec - start->tv_sec) + (double)(end.tv_nsec - start->tv_nsec) / 1e9;
    if (replay->engine) {
        tumble_engine_counters(replay->engine, &summary->counters);
    }
    if (replay->capture) {
        summary->bytes_read = tumble_capture_bytes(replay->capture);
    }
    summary->shards = (uint32_t)replay->round.lane_count;
    summary->batches = replay->progress.batches;
    summary->first_arrival_ms = replay->progress.first_arrival_ms;
    summary->last_arrival_ms = replay->progress.last_arrival_ms;
    struct tumble_latency *all = tumble_runner_alloc(sizeof *all);
    for (size_t i = 0; all && i < replay->round.lane_count; i++) {
        tumble_latency_merge(all, replay->round.lanes[i]->latency);
    }
    if (all) {
        summary->latency_count = all->count;
        summary->latency_p50_us = tumble_latency_quantile_us(all, 0.5);
        summary->latency_p90_us = tumble_latency_quantile_us(all, 0.9);
        summary->latency_p99_us = tumble_latency_quantile_us(all, 0.99);
        summary->latency_max_us = (double)all->max_ns / 1000.0;
    }
    tumble_runner_free(all);
}

/* Asked by outputs, from any thread. */
static int64_t remaining_ms(void *ctx) {
    const struct replay *replay = ctx;
    return replay->options->interrupted && replay->options->interrupted(replay->options->interrupted_ctx) ? 0
                                                                                                          : INT64_MAX;
}

static void say_of_output(void *ctx, const char *line) { say(ctx, line); }

static void set_up_delivery(struct replay *replay) {
    const struct tumble_replay_options *options = replay->options;
    replay->host = (struct tumble_output_host){
        .struct_size = sizeof replay->host, .ctx = replay, .remaining_ms = remaining_ms, .say = say_of_output};
    replay->deliverer = (struct tumble_deliverer){.engine = replay->engine,
                                                  .timeout_ms = options->output_timeout_ms,
                                                  .outbox_limit_bytes = options->outbox_limit_bytes,
                                                  .state_directory = options->state_directory,
                                                  .stopping = stopping,
                                                  .stopping_ctx = replay,
                                                  .say = options->say,
                                                  .say_ctx = options->say_ctx};
}

static enum tumble_code set_up(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    uint32_t shards = options->shards ? options->shards : 1;
    enum tumble_code code = open_engine(replay, err);
    unlink_temporary(replay);
    if (code != TUMBLE_OK) {
        return code;
    }
    set_up_delivery(replay);
    replay->clock.window_ms = tumble_engine_window_ms(replay->engine);
    replay->clock.allowed_lateness_ms = options->allowed_lateness_seconds * 1000;
    replay->clock.watermark_ms = -1;
    replay->progress.watermark_ms = replay->progress.first_arrival_ms = replay->progress.last_arrival_ms = -1;
    struct tumble_batch_limits limits = {.batch_size = options->batch_size,
                                         .event_limit_bytes = TUMBLE_EVENT_LIMIT_BYTES};
    tumble_round_init(&replay->round, replay->engine, limits);
    replay->round.watch = options->watch;
    replay->shard_lanes = tumble_runner_alloc(shards * sizeof(struct tumble_lane *));
    if (!replay->shard_lanes) {
        return tumble_replay_no_memory(err);
    }
    code = shards > 1 ? tumble_sharder_new(shards, (struct tumble_alloc){0}, &replay->sharder, err) : TUMBLE_OK;
    if (code == TUMBLE_OK) {
        code = tumble_workers_new(options->threads, &replay->workers, err);
    }
    if (code == TUMBLE_OK) {
        code = resume(replay, err);
    }
    if (code == TUMBLE_OK) {
        code = attach_outputs(replay, err);
    }
    return code;
}

static void wake(void *ctx) { tumble_workers_wake(ctx); }

static int read_on(void *ctx) { return tumble_capture_work(ctx); }

/* Who does what. With several threads files are read ahead, and rounds of what cannot be overlap. */
static enum tumble_code share_out(struct replay *replay, struct tumble_error *err) {
    const struct tumble_replay_options *options = replay->options;
    const int several = options->threads > 1 && !options->sort;
    if (several) {
        struct tumble_ahead_options ahead = {
            .wish = {replay->reads_lines ? LINES_MOST : 0, replay->timestamp_index, &options->timestamp_format},
            .more = wake,
            .more_ctx = replay->workers};
        enum tumble_code code = tumble_capture_read_ahead(replay->capture, &ahead, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        tumble_workers_set_spare(replay->workers, read_on, replay->capture);
    }
    /* Failures of a round stand in an order of their own, and who watches is told of whole batches. */
    replay->applies_early = (options->threads == 1 || tumble_capture_reads_ahead(replay->capture)) && !options->watch &&
                            !(options->failures && tumble_spec_diverts_bad_records(options->spec));
    replay->overlaps = several && !options->watch && !replay->applies_early;
    return TUMBLE_OK;
}

static enum tumble_code run(struct replay *replay, struct tumble_error *err) {
    enum tumble_code code = open_capture(replay, err); /* first: its format decides the columns of rows */
    if (code == TUMBLE_OK) {
        code = set_up(replay, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    tumble_capture_set_projection(replay->capture, tumble_engine_projection(replay->engine));
    /* Where outputs begin is committed before they are written to; then rows left over from an earlier run go out. */
    code = tumble_engine_commit(replay->engine, err);
    tumble_watch_engine(replay->options->watch, replay->engine, tumble_watch_now_us());
    if (code == TUMBLE_OK) {
        code = tumble_deliver_due(&replay->deliverer, err);
    }
    if (code == TUMBLE_OK) {
        code = resume_inputs(replay, err);
    }
    if (code == TUMBLE_OK && replay->progress.complete) { /* of these very inputs */
        replay->summary->complete_before = 1;
        return tumble_deliver_all(&replay->deliverer, err);
    }
    /* Every shard of a stream exists from the start, in order: rows of a window come by shard. */
    for (uint32_t shard = 0; code == TUMBLE_OK && shard < replay->options->shards && replay->options->shards > 1;
         shard++) {
        struct tumble_lane *lane;
        code = tumble_replay_lane_of_shard(replay, shard, &lane, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (replay->clock.window_ms > LAMBDA_WINDOW_MS) {
        say(replay, "note: the windows are longer than 900 s, the most a Lambda event source mapping takes");
    }
    replay->reads_lines = replay->takes_timestamp && replay->timestamp_index >= 0;
    replay->reads_alike = replay->names_shards && !replay->takes_timestamp && replay->key_index < 0;
    replay->lines_most = LINES_MOST;
    code = share_out(replay, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    code = replay->options->sort ? tumble_replay_sorted(replay, err) : tumble_replay_stream(replay, err);
    if (code == TUMBLE_OK) {
        tell_late(replay);
        tell_unfound(replay);
    }
    return code;
}

enum tumble_code tumble_replay_run(const struct tumble_replay_options *options, struct tumble_replay_summary *summary,
                                   struct tumble_error *err) {
    struct replay replay = {.options = options,
                            .summary = summary,
                            .carries_sequences = -1,
                            .keeps_position = options->state_directory != NULL};
    struct timespec start;
    memset(summary, 0, sizeof *summary);
    clock_gettime(CLOCK_MONOTONIC, &start);
    replay.progress_at = start;
    enum tumble_code code = run(&replay, err);
    if (replay.engine) { /* what was begun is durable, or told, before anybody hears that it went well */
        enum tumble_code finished = tumble_engine_commit_finish(replay.engine, code == TUMBLE_OK ? err : NULL);
        code = code == TUMBLE_OK ? finished : code;
    }
    fill_summary(&replay, &start);
    tumble_workers_destroy(replay.workers);
    tumble_round_clean_up(&replay.round);
    tumble_sorter_clean_up(&replay.sorter);
    tumble_seen_destroy(replay.seen);
    tumble_sharder_destroy(replay.sharder);
    tumble_capture_close(replay.capture);
    tumble_engine_destroy(replay.engine);
    tumble_runner_free(replay.shard_lanes);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < replay.texts[side].count; i++) {
            tumble_runner_free(replay.texts[side].blocks[i]);
        }
        tumble_runner_free(replay.texts[side].blocks);
    }
    tumble_runner_free(replay.temporary);
    return code;
}
