#include "engine/base/fail.h"
#include "engine/carried.h"
#include "engine/codec/hash.h"

/* Shards that an engine remembers, each with the one window of it that is in memory. What is forgotten comes back with
 * the shard's next event. */

void tw_carried_forget_finished(struct tw_carried *carried, struct tw_carried_shard *held) {
    tw_free(&carried->alloc, held->finished);
    held->finished = NULL;
    held->finished_bytes = 0;
}

void tw_carried_forget(struct tw_carried *carried, struct tw_carried_shard *held, struct tumble_shard *shard) {
    for (size_t i = 0; i < shard->window_count; i++) {
        tw_window_clean_up(shard->windows[i]);
        tw_free(&shard->engine->alloc, shard->windows[i]);
    }
    shard->window_count = 0;
    tw_buf_clear(&shard->failures);
    held->valid = false;
    tw_carried_state_clear(carried, &held->state);
}

static enum tumble_code add_shard(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_bytes id,
                                  struct tumble_error *err) {
    struct tumble_shard *shard;
    size_t count = engine->shard_count;
    if (count == engine->engine->shard_count) { /* else it was made before, and memory for the rest was missing */
        TW_TRY(tw_shard_add(engine->engine, id, &shard, err));
    }
    struct tw_carried_shard *shards =
        tw_resize(&carried->alloc, engine->shards, count * sizeof *shards, (count + 1) * sizeof *shards);
    if (!shards) {
        return tw_no_memory(err);
    }
    memset(shards + count, 0, sizeof *shards);
    engine->shards = shards;
    engine->shard_count++;
    return TUMBLE_OK;
}

enum tumble_code tw_carried_hold(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_bytes id,
                                 struct tumble_shard **shard, struct tw_carried_shard **held,
                                 struct tumble_error *err) {
    uint64_t source = tw_hash64(engine->engine->source, engine->engine->source_length);
    size_t at = 0, oldest = 0;
    if (id.length == 0 || id.length > TW_LIMIT_SHARD_ID_BYTES) {
        return tw_fail(err, TUMBLE_EEVENT, "shardId has %zu bytes: expected 1 to %d", id.length,
                       TW_LIMIT_SHARD_ID_BYTES);
    }
    while (at < engine->shard_count && (engine->shards[at].source != source ||
                                        !tumble_bytes_equal(tumble_shard_id(engine->engine->shards[at]), id))) {
        oldest = engine->shards[at].used_at < engine->shards[oldest].used_at ? at : oldest;
        at++;
    }
    if (at == TW_STATE_SHARDS) {
        at = oldest;
        tw_carried_forget(carried, &engine->shards[at], engine->engine->shards[at]);
        tw_carried_forget_finished(carried, &engine->shards[at]);
    } else if (at == engine->shard_count) {
        TW_TRY(add_shard(carried, engine, id, err));
    }
    *shard = engine->engine->shards[at];
    *held = &engine->shards[at];
    memcpy((*shard)->id, id.data, id.length);
    (*shard)->id[id.length] = '\0';
    (*shard)->id_length = (uint32_t)id.length;
    (*held)->source = source;
    (*held)->used_at = carried->invocations;
    return TUMBLE_OK;
}

static size_t shard_memory(const struct tumble_shard *shard) {
    size_t bytes = 0;
    for (size_t i = 0; i < shard->window_count; i++) {
        bytes += tw_window_memory(shard->windows[i]);
    }
    return bytes;
}

/* Windows of other shards leave memory once all take more than the limit: their events bring them back. */
void tw_carried_make_room(struct tw_carried *carried, const struct tumble_shard *keep) {
    size_t limit = carried->owner->memory_limit ? carried->owner->memory_limit : (size_t)256 << 20, held = 0;
    for (size_t e = 0; e < carried->engine_count; e++) {
        for (size_t i = 0; i < carried->engines[e].shard_count; i++) {
            held += shard_memory(carried->engines[e].engine->shards[i]);
        }
    }
    for (size_t e = 0; e < carried->engine_count; e++) {
        const struct tw_carried_engine *engine = &carried->engines[e];
        for (size_t i = 0; i < engine->shard_count && held > limit; i++) {
            if (engine->engine->shards[i] != keep) {
                held -= shard_memory(engine->engine->shards[i]);
                tw_carried_forget(carried, &engine->shards[i], engine->engine->shards[i]);
            }
        }
    }
}

/* ---- removing what is over ---- */

/* Garbage of the state that came back; and what a window that ended left, once a later one has begun (rule R4). */
void tw_carried_sweep(struct tw_carried *carried, const struct tumble_engine *engine, const struct tumble_shard *shard,
                      struct tw_carried_shard *held, const struct tw_carried_state *came_back) {
    if (!carried->options.spill) {
        return;
    }
    bool goes_on = true;
    for (size_t i = 0; i < came_back->garbage_count && goes_on; i++) {
        const struct tw_spill_object *object = &came_back->garbage[i];
        goes_on = tw_state_names(&held->state, object) || /* the same bytes may have been written again */
                  tw_object_remove(carried, engine, shard, held->start_ms, object);
    }
    if (held->finished && held->start_ms > held->finished_start_ms) {
        for (size_t from = 0; from < held->finished_bytes && goes_on; from += strlen(held->finished + from) + 1) {
            goes_on = tw_name_remove(carried, held->finished + from);
        }
        tw_carried_forget_finished(carried, held);
    }
}

/* Names of the objects and marks of the window that ends here, for a later window to remove. */
void tw_carried_note_finished(struct tw_carried *carried, const struct tumble_engine *engine,
                              const struct tumble_shard *shard, struct tw_carried_shard *held,
                              const uint8_t rows[TW_STATE_DIGEST_BYTES]) {
    struct tw_carried_state *state = &held->state;
    if (!carried->options.spill) {
        return;
    }
    if (held->finished && held->finished_start_ms != held->start_ms) {
        return; /* what an earlier one left is older than this: it goes first */
    }
    struct tw_buf names;
    char name[TW_OBJECT_NAME_BYTES];
    tw_buf_init(&names, carried->alloc, SIZE_MAX / 4);
    enum tumble_code code = tw_buf_append(&names, held->finished ? held->finished : "", held->finished_bytes);
    for (size_t i = 0; i < state->object_count + state->garbage_count && code == TUMBLE_OK; i++) {
        const struct tw_spill_object *object =
            i < state->object_count ? &state->objects[i] : &state->garbage[i - state->object_count];
        tw_object_name(engine, shard, held->start_ms, "", object->digest, name);
        code = tw_buf_append(&names, name, strlen(name) + 1);
    }
    for (size_t i = 0; i < engine->output_count && code == TUMBLE_OK; i++) {
        tw_mark_name(engine, shard, held->start_ms, engine->outputs[i].name, rows, name);
        code = tw_buf_append(&names, name, strlen(name) + 1);
    }
    if (code != TUMBLE_OK) { /* the lifecycle rule takes them */
        tw_buf_clean_up(&names);
        return;
    }
    tw_free(&carried->alloc, held->finished);
    held->finished = names.data;
    held->finished_bytes = names.length;
    held->finished_start_ms = held->start_ms;
}
