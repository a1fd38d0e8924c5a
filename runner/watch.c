#include "runner/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tumble/delivery.h>

#include "runner/memory.h"
#include "runner/watch_internal.h"

/* 1, 2 and 5 times powers of ten: 10 µs to 100 s. */
static const uint64_t nanoseconds[TUMBLE_WATCH_BOUNDS] = {
    10000,      20000,      50000,       100000,      200000,      500000,      1000000,   2000000,
    5000000,    10000000,   20000000,    50000000,    100000000,   200000000,   500000000, 1000000000,
    2000000000, 5000000000, 10000000000, 20000000000, 50000000000, 100000000000};

static const uint64_t record_counts[TUMBLE_WATCH_BOUNDS] = {
    0, 1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 7500, 10000};

static void add_value(struct tumble_watch_histogram *histogram, uint64_t value) {
    tumble_latency_add(&histogram->fine, value);
    histogram->sum += value;
    for (int i = 0; i < TUMBLE_WATCH_BOUNDS; i++) {
        if (value <= histogram->bounds[i]) {
            histogram->upto[i]++;
            return;
        }
    }
}

static const struct tumble_watch_peaks no_peaks = {-1, -1, -1};

/* ---- making ---- */

struct tumble_watch *tumble_watch_new(enum tumble_watch_kind kind) {
    struct tumble_watch *watch = tumble_runner_alloc(sizeof *watch);
    if (!watch) {
        return NULL;
    }
    if (pthread_mutex_init(&watch->lock, NULL) != 0) {
        tumble_runner_free(watch);
        return NULL;
    }
    watch->view.kind = kind;
    watch->view.total_bytes = watch->view.iterator_age_ms = watch->view.iterator_age_most_ms = -1;
    watch->view.flow_began_us = watch->view.flow_ended_us = -1;
    for (int i = 0; i < TUMBLE_WATCH_WORKS; i++) {
        watch->took[i].bounds = nanoseconds;
    }
    watch->batch_records.bounds = record_counts;
    watch->peaks = no_peaks;
    tumble_watch_series_init(&watch->series);
    tumble_watch_fragments_init(&watch->fragments);
    return watch;
}

void tumble_watch_destroy(struct tumble_watch *watch) {
    if (watch) {
        pthread_mutex_destroy(&watch->lock);
        tumble_runner_free(watch);
    }
}

static int64_t clock_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t between_us; /* real time less monotonic */
static pthread_once_t between_once = PTHREAD_ONCE_INIT;
static void set_between(void) { between_us = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_MONOTONIC); }

int64_t tumble_watch_now_us(void) {
    pthread_once(&between_once, set_between);
    return clock_us(CLOCK_MONOTONIC) + between_us;
}

/* ---- shards ---- */

static uint32_t shard_hash(struct tumble_bytes id) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < id.length; i++) {
        hash = (hash ^ (uint8_t)id.data[i]) * 16777619u;
    }
    return hash % TUMBLE_WATCH_SHARD_SLOTS;
}

static struct tumble_watch_shard *new_shard(struct tumble_watch *watch, struct tumble_bytes id) {
    struct tumble_watch_shard *shard = &watch->shards[watch->view.shard_count++];
    size_t length = id.length < sizeof shard->id ? id.length : sizeof shard->id - 1;
    memcpy(shard->id, id.data, length);
    shard->id[length] = '\0';
    shard->iterator_age_ms = shard->iterator_age_most_ms = shard->last_arrival_ms = -1;
    return shard;
}

static uint32_t find_shard(struct tumble_watch *watch, struct tumble_bytes id) {
    id.length = id.length < TUMBLE_WATCH_NAME ? id.length : TUMBLE_WATCH_NAME - 1;
    uint32_t at = shard_hash(id);
    for (;; at = (at + 1) % TUMBLE_WATCH_SHARD_SLOTS) {
        uint16_t index = watch->shard_slots[at];
        if (!index) {
            break;
        }
        if (tumble_bytes_equal(tumble_bytes_of(watch->shards[index - 1].id), id)) {
            return index - 1u;
        }
    }
    if (watch->view.shard_count < TUMBLE_WATCH_SHARDS) {
        new_shard(watch, id);
        watch->shard_slots[at] = (uint16_t)watch->view.shard_count;
        return watch->view.shard_count - 1;
    }
    if (watch->view.shard_count == TUMBLE_WATCH_SHARDS) {
        new_shard(watch, tumble_bytes_of("other"));
    }
    return TUMBLE_WATCH_SHARDS;
}

uint32_t tumble_watch_shard(struct tumble_watch *watch, struct tumble_bytes id) {
    if (!watch) {
        return 0;
    }
    pthread_mutex_lock(&watch->lock);
    uint32_t index = find_shard(watch, id);
    pthread_mutex_unlock(&watch->lock);
    return index;
}

void tumble_watch_shard_gone(struct tumble_watch *watch, uint32_t shard) {
    if (!watch || shard >= TUMBLE_WATCH_SHARDS) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->shards[shard].is_gone = shard < watch->view.shard_count;
    pthread_mutex_unlock(&watch->lock);
}

/* ---- telling ---- */

static void take_age(struct tumble_watch *watch, const struct tumble_watch_batch *batch,
                     struct tumble_watch_point *point, struct tumble_watch_shard *shard) {
    struct tumble_watch_view *view = &watch->view;
    int64_t age = batch->iterator_age_ms;
    if (age < 0) {
        return;
    }
    view->iterator_age_ms = shard->iterator_age_ms = age;
    view->iterator_ages++;
    view->iterator_age_sum_ms += (double)age;
    view->iterator_age_most_ms = age > view->iterator_age_most_ms ? age : view->iterator_age_most_ms;
    shard->iterator_age_most_ms = age > shard->iterator_age_most_ms ? age : shard->iterator_age_most_ms;
    point->ages++;
    point->age_sum_ms += age;
    point->age_most_ms = age > point->age_most_ms ? age : point->age_most_ms;
    if (batch->shard < TUMBLE_WATCH_SHARD_SERIES) {
        int64_t *most = &watch->series.ages[batch->shard][point - watch->series.points];
        *most = age > *most ? age : *most;
    }
}

static void take_flow(struct tumble_watch *watch, const struct tumble_watch_batch *batch) {
    struct tumble_watch_view *view = &watch->view;
    int64_t arrived = batch->at_us - (batch->iterator_age_ms > 0 ? batch->iterator_age_ms * 1000 : 0);
    arrived =
        arrived > watch->series.began_us ? arrived : watch->series.began_us; /* what waited for the run to begin */
    int64_t over = batch->at_us + (int64_t)(batch->duration_ns / 1000);
    if (batch->records == 0) {
        return;
    }
    view->flow_began_us = view->flow_began_us < 0 || arrived < view->flow_began_us ? arrived : view->flow_began_us;
    view->flow_ended_us = over > view->flow_ended_us ? over : view->flow_ended_us;
}

static void take_peaks(struct tumble_watch_peaks *peaks, const struct tumble_watch_batch *batch) {
    int64_t duration = (int64_t)batch->duration_ns, records = (int64_t)batch->records;
    peaks->iterator_age_ms =
        batch->iterator_age_ms > peaks->iterator_age_ms ? batch->iterator_age_ms : peaks->iterator_age_ms;
    peaks->duration_ns = duration > peaks->duration_ns ? duration : peaks->duration_ns;
    peaks->batch_records = records > peaks->batch_records ? records : peaks->batch_records;
}

static void take_window(struct tumble_watch *watch, const struct tumble_watch_batch *batch) {
    if (batch->window_start_ms < 0 || batch->outcome == TUMBLE_WATCH_THROTTLED) {
        return;
    }
    if (batch->shard >= TUMBLE_WATCH_SHARD_SERIES) {
        return;
    }
    struct tumble_watch_fragment *fragment = tumble_watch_fragments_open(
        &watch->fragments, batch->shard, batch->lane, batch->window_start_ms, batch->window_end_ms, batch->at_us);
    if (fragment) {
        fragment->records += batch->new_records;
        fragment->batches++;
        fragment->errors += batch->outcome == TUMBLE_WATCH_ERROR;
    }
}

void tumble_watch_batch(struct tumble_watch *watch, const struct tumble_watch_batch *batch) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_view *view = &watch->view;
    struct tumble_watch_shard *shard = &watch->shards[batch->shard];
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, batch->at_us);
    point->retries += batch->is_retry != 0;
    view->retries += batch->is_retry != 0;
    shard->retries += batch->is_retry != 0;
    if (batch->outcome == TUMBLE_WATCH_THROTTLED) {
        point->throttles++;
        view->throttles++;
        shard->throttles++;
    } else {
        int failed = batch->outcome == TUMBLE_WATCH_ERROR;
        point->batches++;
        point->errors += (uint32_t)failed;
        point->records += batch->records;
        point->bytes += batch->bytes;
        view->batches++;
        view->errors += (uint64_t)failed;
        view->records += batch->records;
        view->new_records += batch->new_records;
        view->bytes += batch->bytes;
        view->put_units += batch->put_units;
        shard->batches++;
        shard->errors += (uint64_t)failed;
        shard->records += batch->records;
        shard->bytes += batch->bytes;
        add_value(&watch->took[TUMBLE_WATCH_INVOCATION], batch->duration_ns);
        add_value(&watch->batch_records, batch->records);
        tumble_watch_point_add_latency(point, batch->duration_ns);
        take_age(watch, batch, point, shard);
        take_flow(watch, batch);
        take_peaks(&watch->peaks, batch);
        if (batch->shard < TUMBLE_WATCH_SHARD_SERIES) {
            watch->series.records[batch->shard][point - watch->series.points] += (uint32_t)batch->records;
        }
    }
    if (batch->last_arrival_ms > shard->last_arrival_ms) {
        shard->last_arrival_ms = batch->last_arrival_ms;
    }
    if (batch->last_arrival_ms > point->arrival_most_ms) {
        point->arrival_most_ms = batch->last_arrival_ms;
    }
    take_window(watch, batch);
    pthread_mutex_unlock(&watch->lock);
}

static void close_fragment(struct tumble_watch *watch, const struct tumble_watch_closing *closing) {
    struct tumble_watch_fragment *fragment =
        tumble_watch_fragments_open(&watch->fragments, closing->shard, closing->lane, closing->window_start_ms,
                                    closing->window_end_ms, closing->at_us);
    if (!fragment) {
        return;
    }
    fragment->closed_us = closing->at_us > fragment->opened_us ? closing->at_us : fragment->opened_us;
    fragment->is_early = closing->is_early;
    fragment->is_lost = closing->is_lost;
    fragment->groups = closing->groups;
    fragment->state_bytes = closing->state_bytes;
    if (closing->records >= 0) {
        fragment->records = (uint64_t)closing->records;
    }
}

void tumble_watch_window_closed(struct tumble_watch *watch, const struct tumble_watch_closing *closing) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_view *view = &watch->view;
    struct tumble_watch_shard *shard = &watch->shards[closing->shard];
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, closing->at_us);
    int early = closing->is_early && !closing->is_lost, whole = !closing->is_early && !closing->is_lost;
    view->fragments_early += (uint64_t)early;
    view->fragments_lost += closing->is_lost != 0;
    view->windows_closed += (uint64_t)whole;
    shard->fragments_early += (uint64_t)early;
    shard->windows_closed += (uint64_t)whole;
    point->fragments_early += (uint32_t)early;
    point->windows_closed += (uint32_t)whole;
    if (closing->shard < TUMBLE_WATCH_SHARD_SERIES) {
        close_fragment(watch, closing);
    } else {
        watch->fragments.left_out_shards++;
    }
    pthread_mutex_unlock(&watch->lock);
}

void tumble_watch_read(struct tumble_watch *watch, int64_t at_us, uint64_t records, uint64_t bytes,
                       int64_t total_bytes) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_view *view = &watch->view;
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, at_us);
    point->read_records += records > view->read_records ? records - view->read_records : 0;
    point->read_bytes += bytes > view->read_bytes ? bytes - view->read_bytes : 0;
    view->read_records = records;
    view->read_bytes = bytes;
    view->total_bytes = total_bytes;
    pthread_mutex_unlock(&watch->lock);
}

void tumble_watch_took(struct tumble_watch *watch, enum tumble_watch_work work, int64_t at_us, uint64_t duration_ns) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, at_us);
    add_value(&watch->took[work], duration_ns);
    if (work == TUMBLE_WATCH_COMMIT) {
        point->commits++;
        point->commit_ns += duration_ns;
        point->commit_most_ns = duration_ns > point->commit_most_ns ? duration_ns : point->commit_most_ns;
    } else if (work == TUMBLE_WATCH_DELIVERY) {
        point->deliveries++;
        point->delivery_ns += duration_ns;
        point->delivery_most_ns = duration_ns > point->delivery_most_ns ? duration_ns : point->delivery_most_ns;
    }
    pthread_mutex_unlock(&watch->lock);
}

void tumble_watch_event(struct tumble_watch *watch, enum tumble_watch_event event, uint32_t shard, int64_t at_us) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, at_us);
    watch->view.events[event]++;
    if (event == TUMBLE_WATCH_READ_THROTTLED) {
        point->throttles++;
        watch->shards[shard].throttles++;
    }
    pthread_mutex_unlock(&watch->lock);
}

/* Who signs in by URI does not do it on a page that goes from hand to hand: what stands between // and @ is left out.
 */
static void name_output(char out[256], const char *uri) {
    const char *authority = strstr(uri, "://");
    const char *rest = authority ? authority + 3 : uri;
    size_t host = authority ? strcspn(rest, "/?#") : 0;
    const char *at = NULL;
    for (size_t i = 0; i < host; i++) {
        at = rest[i] == '@' ? rest + i : at;
    }
    snprintf(out, 256, "%.*s%.200s", at ? (int)(rest - uri) : 0, uri, at ? at + 1 : uri);
}

static void take_outputs(struct tumble_watch *watch, const struct tumble_engine *engine,
                         struct tumble_watch_point *point) {
    struct tumble_output_status status;
    uint64_t waiting = 0;
    uint32_t count = 0;
    for (size_t i = 0; count < TUMBLE_WATCH_OUTPUTS && tumble_engine_output_status(engine, i, &status); i++) {
        struct tumble_watch_output *output = &watch->outputs[count++];
        if (!output->name[0]) {
            name_output(output->name, status.name);
        }
        output->is_failures = status.kind == TUMBLE_ROW_FAILURE;
        output->is_held = status.attempts > 0;
        output->attempts = status.attempts;
        output->waiting_bytes = status.is_waiting ? status.waiting_bytes : 0;
        waiting += output->waiting_bytes;
    }
    watch->view.output_count = count;
    point->waiting_bytes = waiting > point->waiting_bytes ? waiting : point->waiting_bytes;
}

void tumble_watch_engine(struct tumble_watch *watch, const struct tumble_engine *engine, int64_t at_us) {
    if (!watch) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_point *point = tumble_watch_series_at(&watch->series, at_us);
    struct tumble_counters *counters = &watch->view.counters;
    tumble_engine_counters(engine, counters);
    if (!watch->view.has_counters) {
        watch->view.counters_before = *counters;
        watch->view.has_counters = 1;
    }
    uint64_t open = counters->windows_opened - counters->windows_closed;
    point->open_windows = open > point->open_windows ? open : point->open_windows;
    point->memory_bytes = counters->memory_bytes > point->memory_bytes ? counters->memory_bytes : point->memory_bytes;
    take_outputs(watch, engine, point);
    pthread_mutex_unlock(&watch->lock);
}

void tumble_watch_counters(struct tumble_watch *watch, const struct tumble_counters *counters) {
    if (watch) {
        pthread_mutex_lock(&watch->lock);
        watch->view.counters = *counters;
        watch->view.has_counters = 1;
        pthread_mutex_unlock(&watch->lock);
    }
}

void tumble_watch_mapping(struct tumble_watch *watch, const struct tumble_mapping_metrics *metrics) {
    if (watch) {
        pthread_mutex_lock(&watch->lock);
        struct tumble_watch_view *view = &watch->view;
        view->mapping = *metrics;
        view->has_mapping = 1;
        if (metrics->throttles > view->throttles) { /* those by the account's limit, of which no function hears */
            uint64_t more = metrics->throttles - view->throttles;
            tumble_watch_series_at(&watch->series, watch->series.now_us)->throttles += (uint32_t)more;
            view->throttles += more;
        }
        pthread_mutex_unlock(&watch->lock);
    }
}

/* ---- looking ---- */

void tumble_watch_take_peaks(struct tumble_watch *watch, struct tumble_watch_peaks *out) {
    pthread_mutex_lock(&watch->lock);
    *out = watch->peaks;
    watch->peaks = no_peaks;
    pthread_mutex_unlock(&watch->lock);
}

int64_t tumble_watch_latest_us(struct tumble_watch *watch) {
    pthread_mutex_lock(&watch->lock);
    int64_t latest_us = watch->series.now_us;
    pthread_mutex_unlock(&watch->lock);
    return latest_us;
}

void tumble_watch_look(struct tumble_watch *watch, void (*look)(void *ctx, const struct tumble_watch_view *view),
                       void *ctx) {
    pthread_mutex_lock(&watch->lock);
    struct tumble_watch_view *view = &watch->view;
    const struct tumble_watch_series *series = &watch->series;
    view->began_us = series->began_us;
    view->now_us = series->now_us;
    view->step_us = series->step_us;
    view->points = series->points;
    view->point_count = series->count;
    view->shard_ages = &series->ages[0][0];
    view->shard_records = &series->records[0][0];
    view->shard_series = view->shard_count < TUMBLE_WATCH_SHARD_SERIES ? view->shard_count : TUMBLE_WATCH_SHARD_SERIES;
    view->took = watch->took;
    view->batch_records = &watch->batch_records;
    view->shards = watch->shards;
    view->outputs = watch->outputs;
    view->timeline = (struct tumble_watch_timeline){.fragments = watch->fragments.list,
                                                    .count = watch->fragments.count,
                                                    .every = watch->fragments.every,
                                                    .left_out_shards = watch->fragments.left_out_shards};
    look(ctx, view);
    pthread_mutex_unlock(&watch->lock);
}
