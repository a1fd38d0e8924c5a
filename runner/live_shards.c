#include <stdio.h>
#include <string.h>

#include "runner/live_internal.h"

/* Which shards there are and which may be read: children when every parent that Kinesis still has is drained. */

struct live_shard *tumble_live_shard(const struct live *live, const char *id) {
    for (size_t i = 0; i < live->shard_count; i++) {
        if (strcmp(live->shards[i]->id, id) == 0) {
            return live->shards[i];
        }
    }
    return NULL;
}

enum tumble_code tumble_live_add_shard(struct live *live, const char *id, struct live_shard **out,
                                       struct tumble_error *err) {
    struct live_shard **shards =
        tumble_runner_grow(live->shards, live->shard_count, &live->shard_capacity, sizeof(struct live_shard *));
    if (!shards) {
        return tumble_live_no_memory(err);
    }
    live->shards = shards;
    struct live_shard *shard = tumble_runner_alloc(sizeof *shard);
    if (!shard) {
        return tumble_live_no_memory(err);
    }
    snprintf(shard->id, sizeof shard->id, "%s", id);
    memset(shard->range.last, 0xff, sizeof shard->range.last);
    shard->arrival_ms = shard->tip_since_ms = shard->behind_ms = -1;
    shard->held_last = &shard->held;
    live->shards[live->shard_count++] = shard;
    *out = shard;
    return TUMBLE_OK;
}

static void drop_held(struct live_shard *shard) {
    while (shard->held) {
        struct tumble_live_batch *next = shard->held->next;
        tumble_live_batch_free(shard->held);
        shard->held = next;
    }
    shard->held_last = &shard->held;
    shard->held_records = 0;
}

void tumble_live_stop_reading(struct live *live, struct live_shard *shard) {
    if (shard->feed && live->feeds) {
        tumble_live_feeds_remove(live->feeds, shard->feed);
    }
    shard->feed = 0;
    drop_held(shard);
    shard->tip_since_ms = shard->behind_ms = -1;
    live->troubled_shards -= shard->is_in_trouble != 0;
    shard->is_in_trouble = 0;
}

void tumble_live_free_shards(struct live *live) {
    for (size_t i = 0; i < live->shard_count; i++) {
        struct live_shard *shard = live->shards[i];
        drop_held(shard);
        tumble_runner_free(shard->fragments);
        tumble_runner_free(shard->open);
        tumble_runner_free(shard->closing);
        tumble_runner_free(shard);
    }
    tumble_runner_free(live->shards);
}

int tumble_live_push_start(int64_t **starts, size_t *count, size_t *capacity, int64_t start_ms) {
    int64_t *grown = tumble_runner_grow(*starts, *count, capacity, sizeof **starts);
    if (!grown) {
        return 0;
    }
    *starts = grown;
    size_t at = *count;
    for (; at > 0 && grown[at - 1] > start_ms; at--) {
        grown[at] = grown[at - 1];
    }
    grown[at] = start_ms;
    ++*count;
    return 1;
}

static void lay_hash(const struct tumble_kinesis_hash *hash, uint8_t out[16]) {
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(hash->high >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(hash->low >> (56 - 8 * i));
    }
}

enum tumble_code tumble_live_listed(struct live *live, const struct tumble_kinesis_shard *shards, size_t count,
                                    struct tumble_error *err) {
    for (size_t i = 0; i < live->shard_count; i++) {
        live->shards[i]->is_listed = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct live_shard *shard = tumble_live_shard(live, shards[i].id);
        if (!shard) {
            enum tumble_code code = tumble_live_add_shard(live, shards[i].id, &shard, err);
            if (code != TUMBLE_OK) {
                return code;
            }
        }
        shard->is_listed = 1;
        snprintf(shard->parents[0], sizeof shard->parents[0], "%s", shards[i].parent_id);
        snprintf(shard->parents[1], sizeof shard->parents[1], "%s", shards[i].adjacent_id);
        lay_hash(&shards[i].begin, shard->range.first);
        lay_hash(&shards[i].end, shard->range.last);
    }
    return TUMBLE_OK;
}

static int parents_are_drained(const struct live *live, const struct live_shard *shard) {
    for (int i = 0; i < 2; i++) {
        const struct live_shard *parent = shard->parents[i][0] ? tumble_live_shard(live, shard->parents[i]) : NULL;
        if (parent && parent->is_listed && parent->phase != LIVE_DONE) {
            return 0;
        }
    }
    return 1;
}

static enum tumble_code add_open(void *ctx, struct tumble_shard *shard, int64_t window_start_ms) {
    struct live_shard *into = ctx;
    if (into->engine_shard != shard) {
        return TUMBLE_OK;
    }
    return tumble_live_push_start(&into->open, &into->open_count, &into->open_capacity, window_start_ms)
               ? TUMBLE_OK
               : TUMBLE_ENOMEM;
}

enum tumble_code tumble_live_open_shard(struct live *live, struct live_shard *shard, struct tumble_error *err) {
    if (shard->engine_shard) {
        return TUMBLE_OK;
    }
    enum tumble_code code = tumble_engine_shard(live->engine, tumble_bytes_of(shard->id), &shard->engine_shard, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    shard->watch = tumble_watch_shard(live->options->watch, tumble_bytes_of(shard->id));
    return tumble_engine_windows(live->engine, add_open, shard) == TUMBLE_OK ? TUMBLE_OK : tumble_live_no_memory(err);
}

enum tumble_code tumble_live_start_reading(struct live *live, struct live_shard *shard, struct tumble_error *err) {
    struct tumble_kinesis_position position = {.start = live->start, .timestamp_ms = live->start_ms, .arrival_ms = -1};
    if (shard->sequence[0]) {
        position.start = TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER;
        position.sequence = tumble_bytes_of(shard->sequence);
        position.arrival_ms = shard->arrival_ms;
    } else if (shard->begins_at) {
        position.start = TUMBLE_KINESIS_AT_SEQUENCE_NUMBER;
        position.sequence = tumble_bytes_of(shard->begin_sequence);
    } else if (live->begins_latest) {
        position.start = TUMBLE_KINESIS_LATEST;
    }
    enum tumble_code code = tumble_live_open_shard(live, shard, err);
    if (code == TUMBLE_OK) {
        code = tumble_live_feeds_add(live->feeds, shard, shard->id, &position, &shard->feed, err);
    }
    if (code == TUMBLE_OK) {
        shard->phase = LIVE_READING;
        shard->tip_since_ms = -1;
        live->summary->shards++;
    }
    return code;
}

enum tumble_code tumble_live_start_shards(struct live *live, struct tumble_error *err) {
    if (live->share) { /* leases say which */
        return TUMBLE_OK;
    }
    for (size_t i = 0; i < live->shard_count; i++) {
        struct live_shard *shard = live->shards[i];
        if (shard->phase == LIVE_WAITING && shard->is_listed && parents_are_drained(live, shard)) {
            enum tumble_code code = tumble_live_start_reading(live, shard, err);
            if (code != TUMBLE_OK) {
                return code;
            }
        }
    }
    live->begins_latest = 0;
    return TUMBLE_OK;
}

void tumble_live_tell_drained(struct live *live, const struct live_shard *shard) {
    tumble_live_say(live, "shard %s: read to its end%s", shard->id, live->share ? " and delivered" : "");
    live->summary->shards_drained++;
    tumble_watch_event(live->options->watch, TUMBLE_WATCH_SHARD_DRAINED, shard->watch, tumble_watch_now_us());
    tumble_watch_shard_gone(live->options->watch, shard->watch);
}

void tumble_live_settle_shards(struct live *live) {
    for (size_t i = 0; i < live->shard_count; i++) {
        struct live_shard *shard = live->shards[i];
        shard->closing_count = 0;
        if (shard->phase == LIVE_DRAINED && !live->share) {
            shard->phase = LIVE_DONE;
            tumble_live_tell_drained(live, shard);
            live->list_at_ms = 0; /* its children */
        }
    }
}
