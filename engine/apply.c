#include <string.h>

#include "engine/apply_chunk.h"
#include "engine/apply_tally.h"
#include "engine/base/fail.h"
#include "engine/engine_internal.h"
#include "engine/window/group_memo.h"

/* Without filters and checks of their own, which aggregates take a record follows from the types of its fields. */
static bool types_decide(const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        if (spec->aggregates[i].where || spec->aggregates[i].function->check) {
            return false;
        }
    }
    return spec->field_count <= TW_USUAL_FIELDS;
}

/* Does no step, and nothing before it, ask where a record stands? */
static bool steps_alone(const struct tumble_spec *spec) {
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_aggregate *function = spec->aggregates[i].function;
        if (!function->step_all || (function->growth && !function->growth_fixed && !function->growth_all)) {
            return false;
        }
    }
    return true;
}

static struct tumble_bytes sequence_of(const struct tw_feed *feed, const struct tumble_short_record *record,
                                       struct tw_lengthened *out) {
    memset(&out->record, 0, sizeof out->record);
    feed->lengthen(feed->ctx, record, out->text, &out->record);
    struct tumble_bytes sequence = {0};
    return tw_sequence_check(out->record.sequence_number, &sequence, NULL) == TUMBLE_OK ? sequence
                                                                                        : out->record.sequence_number;
}

static void set_first(struct tw_window *window, struct tumble_bytes first) {
    if (window->first_length == 0 && first.length) {
        memcpy(window->first_sequence, first.data, first.length);
        window->first_length = (uint8_t)first.length;
    }
}

static void set_mark(struct tw_window *window, const struct tw_chunk *chunk) {
    set_first(window, chunk->first_sequence);
    if (chunk->last_sequence.data != window->last_sequence && chunk->last_sequence.length) {
        memcpy(window->last_sequence, chunk->last_sequence.data, chunk->last_sequence.length);
        window->last_length = (uint8_t)chunk->last_sequence.length;
    }
    window->last_sub_sequence = chunk->last_sub_sequence;
}

/* The same for all short records of a call at once: nobody looks at the mark before. */
static void set_mark_of_shorts(const struct tw_feed *feed, struct tw_window *window) {
    struct tw_lengthened one;
    if (window->first_length == 0 && feed->first) {
        set_first(window, sequence_of(feed, feed->first, &one));
    }
    if (feed->last) {
        struct tumble_bytes last = sequence_of(feed, feed->last, &one);
        memcpy(window->last_sequence, last.data, last.length);
        window->last_length = (uint8_t)last.length;
        window->last_sub_sequence = one.record.sub_sequence_number;
    }
}

/* Takes up to a chunk of records. *bad is set when the record behind those taken ends the call (bad_records "fail"). */
static enum tumble_code apply_chunk(struct tumble_shard *shard, struct tw_window *window, struct tw_feed *feed,
                                    size_t at, size_t count, struct tw_chunk *chunk, enum tumble_code *bad,
                                    struct tumble_error *err) {
    char *states[TW_CHUNK_RECORDS];
    const size_t failures_mark = shard->failures.length;
    enum tumble_code code = tw_chunk_gather(shard, window, feed, at, count, chunk, bad, err);
    if (code == TUMBLE_OK) {
        code = tw_chunk_touch(shard, window, chunk, states, err);
    }
    if (code != TUMBLE_OK) { /* nothing of this chunk happened */
        shard->failures.length = failures_mark;
        *bad = TUMBLE_OK;
        chunk->records = 0;
        return code;
    }
    tw_chunk_step(shard, window, chunk, states);
    tw_chunk_count_usual(shard, chunk);
    if (feed->shorts) {
        feed->first = feed->first ? feed->first : chunk->first_short;
        feed->last = chunk->last_short ? chunk->last_short : feed->last;
    } else {
        set_mark(window, chunk);
    }
    return TUMBLE_OK;
}

enum {
    TALLY_LEAST = 64,   /* records: of fewer, groups are too many for what is saved */
    TALLY_WELL = 128,   /* so many at once were worth it, whatever ended them */
    TALLY_REST_MOST = 4 /* chunks that are taken one by one behind others, as a power of two */
};

/* Takes records whose groups are remembered, many at once. False: the next has to be looked at. Not inline: so it has
 * the registers to itself. */
static __attribute__((noinline)) bool apply_tally(struct tumble_shard *shard, struct tw_window *window,
                                                  struct tw_feed *feed, size_t at, size_t count,
                                                  struct tw_chunk *chunk) {
    if (!window->groups.memo || (feed->shorts && !feed->above)) {
        return false;
    }
    if (shard->tally_rest) {
        shard->tally_rest--;
        return false;
    }
    struct tw_tally_source source = {.records = feed->records ? feed->records + at : NULL,
                                     .shorts = feed->shorts ? feed->shorts + at : NULL,
                                     .count = count,
                                     .number = feed->number,
                                     .last = tw_window_last(window)};
    const size_t taken = tw_shard_tally(shard, window, &source);
    if (taken < count && taken < TALLY_WELL) {
        shard->tally_misses += shard->tally_misses < TALLY_REST_MOST;
        shard->tally_rest = 1u << shard->tally_misses;
    } else {
        shard->tally_misses = 0;
    }
    if (taken == 0) {
        return false;
    }
    memset(chunk, 0, sizeof *chunk);
    chunk->records = chunk->usual = taken;
    tw_chunk_count_usual(shard, chunk);
    if (source.shorts) {
        feed->first = feed->first ? feed->first : &source.shorts[0];
        feed->last = &source.shorts[taken - 1];
        feed->number = feed->last->number;
    } else {
        chunk->last_sequence = source.records[taken - 1].sequence_number;
        chunk->last_sub_sequence = source.records[taken - 1].sub_sequence_number;
        chunk->first_sequence = source.records[0].sequence_number;
        set_mark(window, chunk);
    }
    return true;
}

static enum tumble_code apply_feed(struct tumble_shard *shard, int64_t window_start_ms, struct tw_feed *feed,
                                   size_t count, struct tumble_apply_result *result, struct tumble_error *err) {
    struct tumble_apply_result none;
    if (!result) {
        result = &none;
    }
    memset(result, 0, sizeof *result);
    struct tumble_error own; /* reasons are needed for failures even when the caller wants no text */
    if (!err) {
        err = &own;
    }
    struct tw_window *window;
    TW_TRY(tw_shard_window(shard, window_start_ms, &window, err));
    shard->types_decide = types_decide(shard->engine->spec);
    shard->takes_memo = shard->engine->spec->group_count == 1;
    while (result->processed < count) {
        struct tw_chunk chunk;
        enum tumble_code bad = TUMBLE_OK, code = TUMBLE_OK;
        if (shard->takes_memo) {
            tw_memo_consider(&window->groups, window->records);
        }
        const size_t left = count - result->processed;
        if (left < TALLY_LEAST || !apply_tally(shard, window, feed, result->processed, left, &chunk)) {
            code = apply_chunk(shard, window, feed, result->processed, left, &chunk, &bad, err);
        }
        if (code != TUMBLE_OK || bad != TUMBLE_OK || result->processed + chunk.records >= count) {
            set_mark_of_shorts(feed, window);
        }
        if (code != TUMBLE_OK) {
            err->record = (int64_t)result->processed;
            return code;
        }
        if (chunk.records) {
            uint64_t processed = chunk.records - chunk.fates[TUMBLE_FATE_DUPLICATE];
            window->records += processed;
            window->changed = true;
            window->used_at = shard->engine->counters.commits;
            shard->records += chunk.records;
            shard->skipped += chunk.skipped;
            result->processed += chunk.records;
            for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
                shard->fates[fate] += chunk.fates[fate];
                result->fates[fate] += chunk.fates[fate];
            }
        }
        if (bad != TUMBLE_OK) {
            err->code = TUMBLE_ERECORD;
            err->record = (int64_t)result->processed;
            return TUMBLE_ERECORD;
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_shard_apply_at(struct tumble_shard *shard, int64_t window_start_ms,
                                   const struct tumble_record *records, size_t count,
                                   struct tumble_apply_result *result, struct tumble_error *err) {
    struct tw_feed feed = {.records = records};
    return apply_feed(shard, window_start_ms, &feed, count, result, err);
}

static enum tumble_code check_window(const struct tumble_shard *shard, int64_t window_start_ms,
                                     struct tumble_error *err) {
    if (shard->engine->read_only) {
        return tw_fail(err, TUMBLE_EINVAL, "the engine was opened read-only");
    }
    if (window_start_ms < 0 || window_start_ms > TUMBLE_TIMESTAMP_MAX_MS ||
        window_start_ms % shard->engine->window_ms != 0) {
        return tw_fail(err, TUMBLE_EINVAL, "no window of %lld ms begins at %lld ms",
                       (long long)shard->engine->window_ms, (long long)window_start_ms);
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_shard_apply(struct tumble_shard *shard, int64_t window_start_ms,
                                    const struct tumble_record *records, size_t count,
                                    struct tumble_apply_result *result, struct tumble_error *err) {
    if (result) {
        memset(result, 0, sizeof *result);
    }
    TW_TRY(check_window(shard, window_start_ms, err));
    return tw_shard_apply_at(shard, window_start_ms, records, count, result, err);
}

enum tumble_code tumble_shard_apply_short(struct tumble_shard *shard, int64_t window_start_ms,
                                          const struct tumble_short_record *records, size_t count,
                                          tumble_lengthen_fn *lengthen, void *ctx, struct tumble_apply_result *result,
                                          struct tumble_error *err) {
    struct tw_feed feed = {.shorts = records, .lengthen = lengthen, .ctx = ctx};
    if (result) {
        memset(result, 0, sizeof *result);
    }
    TW_TRY(check_window(shard, window_start_ms, err));
    if (!shard->lengthened) {
        shard->lengthened = tw_alloc_array(&shard->engine->alloc, TW_CHUNK_RECORDS, sizeof *shard->lengthened);
        if (!shard->lengthened) {
            return tw_no_memory(err);
        }
        shard->steps_alone = steps_alone(shard->engine->spec);
    }
    return apply_feed(shard, window_start_ms, &feed, count, result, err);
}

enum tumble_code tumble_shard_reject(struct tumble_shard *shard, const struct tumble_record *record,
                                     enum tumble_fate fate, const char *reason, struct tumble_error *err) {
    if (fate != TUMBLE_FATE_LATE && fate != TUMBLE_FATE_DUPLICATE && fate != TUMBLE_FATE_BAD) {
        return tw_fail(err, TUMBLE_EINVAL, "a record can be rejected as late, duplicate or bad");
    }
    if (fate != TUMBLE_FATE_DUPLICATE) {
        TW_TRY(tw_failure_record(shard, record, fate, reason, err));
    }
    shard->records++;
    shard->fates[fate]++;
    return TUMBLE_OK;
}
