#include <stdlib.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"
#include "engine/window/group_memo.h"

/* One transaction. Everything is worked out from memory that the writing does not change, so that it can be written
 * again from the start when the store's map had to grow; memory follows only after the store has committed. */

enum { SLACK_BYTES = 64 * 1024 }; /* deltas may outweigh a small window by this much before a new snapshot is written */

struct window_plan {
    struct tumble_shard *shard;
    struct tw_window *window;
    bool waits; /* closed, with rows in the outbox */
    /* as they will be in the store */
    uint32_t generation;
    uint32_t snapshot_chunks;
    uint32_t deltas;
    uint64_t snapshot_bytes;
    uint64_t delta_bytes;
};

struct commit {
    struct tumble_engine *engine;
    struct window_plan *plans;
    size_t plan_count;
    struct tw_outbox_put outbox;
    uint64_t bytes;
    uint64_t windows_closed;
    uint64_t largest_state;
};

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

static enum tumble_code frame_begin(struct commit *commit, enum tw_frame_kind kind, size_t *mark,
                                    struct tumble_error *err) {
    tw_buf_clear(&commit->engine->frame);
    return text_of(err, tw_frame_begin(&commit->engine->frame, kind, commit->engine->spec->digest, mark));
}

static enum tumble_code frame_put(struct commit *commit, struct tw_key key, size_t mark, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    TW_TRY(text_of(err, tw_frame_seal(&engine->frame, mark)));
    commit->bytes += engine->frame.length;
    return tw_store_put(engine->store, tw_key_view(&key), tw_buf_view(&engine->frame), err);
}

/* ---- accumulators ---- */

static void set_stored(const struct window_plan *plan, struct tw_window *window) {
    window->generation = plan->generation;
    window->snapshot_chunks = plan->snapshot_chunks;
    window->deltas = plan->deltas;
    window->snapshot_bytes = plan->snapshot_bytes;
    window->delta_bytes = plan->delta_bytes;
}

static enum tumble_code write_header(struct commit *commit, const struct window_plan *plan, struct tumble_error *err) {
    struct tw_window as_stored = *plan->window;
    set_stored(plan, &as_stored);
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_WINDOW, &mark, err));
    TW_TRY(text_of(err, tw_window_encode_header(&as_stored, &commit->engine->frame)));
    return frame_put(commit, tw_key_window(plan->shard->index, plan->window->start_ms), mark, err);
}

static enum tumble_code put_groups(struct commit *commit, const struct window_plan *plan, char part, uint32_t number,
                                   size_t mark, uint64_t *bytes, struct tumble_error *err) {
    struct tw_key key = tw_key_groups(plan->shard->index, plan->window->start_ms, plan->generation, part, number);
    TW_TRY(frame_put(commit, key, mark, err));
    *bytes += commit->engine->frame.length;
    return TUMBLE_OK;
}

static enum tumble_code write_snapshot(struct commit *commit, struct window_plan *plan, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    struct tw_window *window = plan->window;
    bool in_place = window->stored && window->snapshot_chunks == 1 && window->deltas == 0;
    plan->generation = !window->stored || in_place ? window->generation : window->generation + 1;
    if (window->stored && !in_place) {
        struct tw_key old = tw_key_generation(plan->shard->index, window->start_ms, window->generation);
        TW_TRY(tw_store_delete_prefix(engine->store, tw_key_view(&old), err));
    }
    plan->deltas = plan->snapshot_chunks = 0;
    plan->delta_bytes = plan->snapshot_bytes = 0;
    struct tw_group_walk walk = {0};
    for (bool done = false; !done; plan->snapshot_chunks++) {
        size_t mark;
        TW_TRY(frame_begin(commit, TW_FRAME_SNAPSHOT, &mark, err));
        TW_TRY(text_of(err, tw_window_encode_more(window, &walk, TW_LIMIT_OUTBOX_CHUNK_BYTES, &done, &engine->frame)));
        TW_TRY(put_groups(commit, plan, 'S', plan->snapshot_chunks, mark, &plan->snapshot_bytes, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code write_delta(struct commit *commit, struct window_plan *plan, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    struct tw_window *window = plan->window;
    plan->generation = window->generation;
    plan->snapshot_chunks = window->snapshot_chunks;
    plan->snapshot_bytes = window->snapshot_bytes;
    plan->deltas = window->deltas;
    plan->delta_bytes = window->delta_bytes;
    if (window->groups.touched_count == 0) {
        return TUMBLE_OK; /* only filtered or bad records: the header alone changes */
    }
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_BRIEF, &mark, err));
    TW_TRY(text_of(err, tw_window_encode_touched(window, &engine->frame)));
    return put_groups(commit, plan, 'D', plan->deltas++, mark, &plan->delta_bytes, err);
}

/* Of a small window whenever most groups changed anyway; of any when the deltas since outweigh what it is. */
static bool wants_snapshot(const struct tw_window *window) {
    if (!window->stored) {
        return true;
    }
    return (window->snapshot_bytes <= SLACK_BYTES &&
            (uint64_t)window->groups.touched_count * 2 >= window->groups.count) ||
           window->delta_bytes > tw_window_memory(window) + SLACK_BYTES;
}

static enum tumble_code write_window(struct commit *commit, struct window_plan *plan, struct tumble_error *err) {
    TW_TRY(wants_snapshot(plan->window) && plan->window->loaded ? write_snapshot(commit, plan, err)
                                                                : write_delta(commit, plan, err));
    uint64_t state = plan->snapshot_bytes + plan->delta_bytes;
    if (state > commit->largest_state) {
        commit->largest_state = state;
    }
    return write_header(commit, plan, err);
}

/* Its groups stay in the store until its rows have left. */
static enum tumble_code close_window(struct commit *commit, struct window_plan *plan, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    struct tw_window *window = plan->window;
    plan->generation = window->generation;
    plan->waits = false;
    if (!window->forgotten) {
        if (engine->persist) {
            TW_TRY(window->stored ? write_delta(commit, plan, err) : write_snapshot(commit, plan, err));
        }
        struct tw_window as_stored = *window;
        set_stored(plan, &as_stored);
        TW_TRY(tw_closed_put(&commit->outbox, plan->shard, window, &as_stored, &plan->waits, err));
        commit->windows_closed++;
    }
    if (window->stored) {
        struct tw_key header = tw_key_window(plan->shard->index, window->start_ms);
        TW_TRY(tw_store_delete(engine->store, tw_key_view(&header), err));
    }
    if (engine->persist && !plan->waits) {
        struct tw_key groups = tw_key_generation(plan->shard->index, window->start_ms, plan->generation);
        TW_TRY(tw_store_delete_prefix(engine->store, tw_key_view(&groups), err));
    }
    return TUMBLE_OK;
}

/* ---- the rest ---- */

static enum tumble_code write_meta(struct commit *commit, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    struct tw_buf *frame = &engine->frame;
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_META, &mark, err));
    enum tumble_code code = tw_buf_append_varint(frame, engine->spec->canonical_length);
    code = code == TUMBLE_OK ? tw_buf_append(frame, engine->spec->canonical, engine->spec->canonical_length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, engine->source_length) : code;
    code = code == TUMBLE_OK ? tw_buf_append(frame, engine->source, engine->source_length) : code;
    code = code == TUMBLE_OK ? tw_buf_append_varint(frame, (uint64_t)engine->window_ms) : code;
    TW_TRY(text_of(err, code));
    return frame_put(commit, tw_key_meta(), mark, err);
}

static enum tumble_code write_counters(struct commit *commit, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    struct tumble_counters total;
    tw_engine_total(engine, &total);
    total.windows_closed += commit->windows_closed;
    total.rows += commit->outbox.rows;
    total.failures += commit->outbox.failures;
    uint64_t values[] = {total.records,
                         total.fates[0],
                         total.fates[1],
                         total.fates[2],
                         total.fates[3],
                         total.fates[4],
                         total.windows_opened,
                         total.windows_closed,
                         total.rows,
                         total.rows_rejected,
                         total.failures,
                         total.skipped,
                         total.groups_peak,
                         total.state_bytes_peak,
                         commit->outbox.next_chunk[0],
                         commit->outbox.next_chunk[1],
                         commit->outbox.first_chunk[0],
                         commit->outbox.first_chunk[1]};
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_COUNTERS, &mark, err));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        TW_TRY(text_of(err, tw_buf_append_varint(&engine->frame, values[i])));
    }
    return frame_put(commit, tw_key_counters(), mark, err);
}

static enum tumble_code write_shard(struct commit *commit, const struct tumble_shard *shard, struct tumble_error *err) {
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_SHARD, &mark, err));
    TW_TRY(text_of(err, tw_buf_append(&commit->engine->frame, shard->id, shard->id_length)));
    return frame_put(commit, tw_key_shard(shard->index), mark, err);
}

static enum tumble_code write_note(struct commit *commit, const struct tw_note *note, struct tumble_error *err) {
    size_t mark;
    TW_TRY(frame_begin(commit, TW_FRAME_NOTE, &mark, err));
    TW_TRY(text_of(err, tw_buf_append(&commit->engine->frame, note->value.data, note->value.length)));
    return frame_put(commit, tw_key_note(tumble_bytes_of(note->name)), mark, err);
}

static enum tumble_code write_all(void *ctx, struct tw_store *store, struct tumble_error *err) {
    struct commit *commit = ctx;
    struct tumble_engine *engine = commit->engine;
    (void)store;
    commit->bytes = commit->windows_closed = 0;
    tw_outbox_put_begin(&commit->outbox, engine);
    if (!engine->meta_stored) {
        TW_TRY(write_meta(commit, err));
    }
    for (size_t i = 0; i < engine->shard_count; i++) {
        if (!engine->shards[i]->stored) {
            TW_TRY(write_shard(commit, engine->shards[i], err));
        }
    }
    if (engine->forgets) {
        TW_TRY(tw_outbox_put_forgotten(&commit->outbox, err));
    }
    for (size_t i = 0; i < commit->plan_count; i++) {
        struct window_plan *plan = &commit->plans[i];
        if (plan->window->phase == TW_WINDOW_CLOSING) {
            TW_TRY(close_window(commit, plan, err));
        } else if (engine->persist) {
            TW_TRY(write_window(commit, plan, err));
        }
    }
    for (size_t i = 0; i < engine->shard_count; i++) {
        TW_TRY(tw_outbox_put_failures(&commit->outbox, &engine->shards[i]->failures, err));
    }
    TW_TRY(tw_outbox_put_failures(&commit->outbox, &engine->rejected, err));
    TW_TRY(tw_outbox_drop(&commit->outbox, TUMBLE_ROW_WINDOW, err));
    TW_TRY(tw_outbox_drop(&commit->outbox, TUMBLE_ROW_FAILURE, err));
    for (size_t i = 0; i < engine->output_count; i++) {
        if (engine->outputs[i].changed) {
            TW_TRY(tw_outbox_put_cursor(&commit->outbox, &engine->outputs[i], err));
        }
    }
    for (size_t i = 0; i < engine->note_count; i++) {
        if (engine->notes[i].changed) {
            TW_TRY(write_note(commit, &engine->notes[i], err));
        }
    }
    return write_counters(commit, err);
}

/* Changed windows, by start and then by shard: the order in which rows leave. */
static enum tumble_code plan(struct commit *commit, struct tumble_error *err) {
    struct tumble_engine *engine = commit->engine;
    size_t count = 0;
    for (size_t i = 0; i < engine->shard_count; i++) {
        for (size_t w = 0; w < engine->shards[i]->window_count; w++) {
            count += engine->shards[i]->windows[w]->changed;
        }
    }
    commit->plans = tw_alloc_array(&engine->alloc, count, sizeof *commit->plans);
    if (!commit->plans) {
        return tw_no_memory(err);
    }
    size_t next = 0;
    for (size_t i = 0; i < engine->shard_count; i++) {
        struct tumble_shard *shard = engine->shards[i];
        for (size_t w = 0; w < shard->window_count; w++) {
            struct tw_window *window = shard->windows[w];
            if (!window->changed) {
                continue;
            }
            if (window->phase == TW_WINDOW_CLOSING && !window->loaded && !window->forgotten) {
                TW_TRY(tw_window_load(shard, window, err));
            }
            memset(&commit->plans[next], 0, sizeof *commit->plans);
            commit->plans[next].shard = shard;
            commit->plans[next++].window = window;
        }
    }
    commit->plan_count = count;
    return TUMBLE_OK;
}

static int by_start_then_shard(const void *a, const void *b) {
    const struct window_plan *x = a, *y = b;
    if (x->window->start_ms != y->window->start_ms) {
        return x->window->start_ms < y->window->start_ms ? -1 : 1;
    }
    return x->shard->index < y->shard->index ? -1 : x->shard->index > y->shard->index;
}

static void take_out(struct tumble_shard *shard, const struct tw_window *window) {
    size_t at = 0;
    while (shard->windows[at] != window) {
        at++;
    }
    shard->window_count--;
    memmove(&shard->windows[at], &shard->windows[at + 1], (shard->window_count - at) * sizeof(struct tw_window *));
}

/* Memory follows the store. */
static void settle(struct commit *commit) {
    struct tumble_engine *engine = commit->engine;
    for (size_t i = 0; i < commit->plan_count; i++) {
        struct window_plan *plan = &commit->plans[i];
        struct tw_window *window = plan->window;
        if (window->phase == TW_WINDOW_CLOSING) {
            take_out(plan->shard, window);
            plan->shard->groups_before = window->groups.count;
            tw_memo_drop(&window->groups);
        }
        if (window->phase == TW_WINDOW_CLOSING && !plan->waits) {
            tw_window_clean_up(window);
            tw_free(&engine->alloc, window);
            continue;
        }
        window->changed = false;
        if (engine->persist) {
            tw_group_touched_stored(&window->groups);
            window->stored = true;
            set_stored(plan, window);
        } else {
            tw_group_untouch_all(&window->groups);
        }
        window->group_count = window->groups.count;
    }
    for (size_t i = 0; i < engine->shard_count; i++) {
        engine->shards[i]->stored = true;
        engine->shards[i]->forgotten = false;
        tw_buf_clear(&engine->shards[i]->failures);
    }
    tw_buf_clear(&engine->rejected);
    for (size_t i = 0; i < engine->note_count; i++) {
        engine->notes[i].changed = false;
    }
    engine->meta_stored = true;
    engine->forgets = false;
    tw_outbox_settle(&commit->outbox);
    engine->counters.windows_closed += commit->windows_closed;
    engine->counters.commits++;
    engine->counters.bytes_committed += commit->bytes + commit->outbox.bytes;
    if (engine->counters.state_bytes_peak < commit->largest_state) {
        engine->counters.state_bytes_peak = commit->largest_state;
    }
}

/* Past the memory limit, the windows used longest ago leave memory: the store has them. */
static void drop_from_memory(struct tumble_engine *engine) {
    if (!engine->memory_limit || !engine->persist) {
        return;
    }
    for (;;) {
        size_t held = 0;
        struct tw_window *oldest = NULL;
        for (size_t i = 0; i < engine->shard_count; i++) {
            for (size_t w = 0; w < engine->shards[i]->window_count; w++) {
                struct tw_window *window = engine->shards[i]->windows[w];
                held += tw_window_memory(window);
                if (window->loaded && (!oldest || window->used_at < oldest->used_at)) {
                    oldest = window;
                }
            }
        }
        if (held <= engine->memory_limit || !oldest) {
            return;
        }
        tw_window_unload(oldest);
    }
}

static enum tumble_code check_conservation(const struct tumble_engine *engine, struct tumble_error *err) {
    struct tumble_counters total;
    tw_engine_total(engine, &total);
    uint64_t fates = 0;
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        fates += total.fates[fate];
    }
    if (fates != total.records) {
        return tw_fail(err, TUMBLE_ECONSERVATION,
                       "%llu records were read but %llu have a fate: nothing was committed; please report this",
                       (unsigned long long)total.records, (unsigned long long)fates);
    }
    return TUMBLE_OK;
}

static void note_peak(struct tumble_engine *engine) {
    struct tumble_counters now;
    tumble_engine_counters(engine, &now);
    engine->counters.groups_peak = now.groups_peak;
}

/* Behind the caller's back when he has to wait for a disk otherwise. But to forget reads the store. */
static enum tumble_code run_commit(struct tumble_engine *engine, bool behind, struct tumble_error *err) {
    if (engine->read_only || engine->broken) {
        return tw_fail(err, TUMBLE_EINVAL,
                       engine->read_only ? "the engine was opened read-only"
                                         : "an earlier commit failed: open the engine again");
    }
    struct commit commit = {.engine = engine};
    TW_TRY(check_conservation(engine, err));
    note_peak(engine);
    enum tumble_code code = plan(&commit, err);
    if (code == TUMBLE_OK) {
        qsort(commit.plans, commit.plan_count, sizeof *commit.plans, by_start_then_shard);
        bool sync =
            engine->durability == TUMBLE_DURABILITY_EVERY && engine->commits_since_sync + 1 >= engine->sync_every;
        bool waits = engine->durability == TUMBLE_DURABILITY_COMMIT || sync;
        if (behind && waits && !engine->forgets) {
            code = tw_store_write_behind(engine->store, write_all, &commit, sync, err);
        } else {
            code = tw_store_write(engine->store, write_all, &commit, err);
            code = code == TUMBLE_OK && sync ? tw_store_sync(engine->store, err) : code;
        }
        engine->commits_since_sync = sync ? 0 : engine->commits_since_sync + 1;
    }
    if (code == TUMBLE_OK) {
        settle(&commit);
        drop_from_memory(engine);
    } else {
        engine->broken = true;
    }
    tw_free(&engine->alloc, commit.plans);
    return code;
}

enum tumble_code tumble_engine_commit(struct tumble_engine *engine, struct tumble_error *err) {
    return run_commit(engine, false, err);
}

enum tumble_code tumble_engine_commit_start(struct tumble_engine *engine, struct tumble_error *err) {
    return run_commit(engine, true, err);
}

enum tumble_code tumble_engine_commit_finish(struct tumble_engine *engine, struct tumble_error *err) {
    enum tumble_code code = tw_store_settle(engine->store, err);
    engine->broken = engine->broken || code != TUMBLE_OK;
    return code;
}
