#include <stdio.h>
#include <string.h>

#include "runner/live_share.h"

/* Fragments of windows, and what is told of them around commits: a cut stands in the shard's item before any of its
 * rows leaves, and the item's position moves when they are delivered. */

int tumble_live_compare_sequences(const char *a, const char *b) {
    size_t x = strlen(a), y = strlen(b);
    return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

/* ---- fragments ---- */

struct live_fragment *tumble_live_add_fragment(struct live_shard *shard) {
    struct live_fragment *grown =
        tumble_runner_grow(shard->fragments, shard->fragment_count, &shard->fragment_capacity, sizeof *grown);
    if (!grown) {
        return NULL;
    }
    shard->fragments = grown;
    memset(&grown[shard->fragment_count], 0, sizeof *grown);
    return &grown[shard->fragment_count++];
}

static void copy_sequence(struct tumble_bytes from, char out[TUMBLE_LEASE_NAME]) {
    size_t length = from.length < TUMBLE_LEASE_NAME ? from.length : TUMBLE_LEASE_NAME - 1;
    memcpy(out, from.data, length);
    out[length] = '\0';
}

enum tumble_code tumble_live_share_closed(struct live *live, struct live_shard *shard,
                                          const struct tumble_window_info *info, struct tumble_error *err) {
    struct tumble_lease_cut cut = {.start_ms = info->start_ms};
    if (!live->share || info->first_sequence.length == 0) {
        return TUMBLE_OK;
    }
    copy_sequence(info->first_sequence, cut.first);
    copy_sequence(info->last_sequence, cut.last);
    struct live_fragment *fragment = NULL;
    for (size_t i = 0; i < shard->fragment_count && !fragment; i++) { /* as it was closed before? */
        struct live_fragment *each = &shard->fragments[i];
        int is_it = !each->is_closed && each->cut.start_ms == cut.start_ms && strcmp(each->cut.first, cut.first) == 0;
        fragment = is_it ? each : NULL;
    }
    if (fragment && strcmp(fragment->cut.last, cut.last) != 0) {
        tumble_live_say(live,
                        "warning: shard %s: a window that ended behind %s ends behind %s now: records are missing",
                        shard->id, fragment->cut.last, cut.last);
        fragment->is_recorded = 0;
    }
    int is_recorded = fragment && fragment->is_recorded;
    fragment = fragment ? fragment : tumble_live_add_fragment(shard);
    if (!fragment) {
        return tumble_live_no_memory(err);
    }
    *fragment = (struct live_fragment){.cut = cut, .is_closed = 1, .is_recorded = is_recorded};
    return TUMBLE_OK;
}

const struct live_fragment *tumble_live_share_cut(const struct live_shard *shard, int64_t start_ms,
                                                  struct tumble_bytes sequence) {
    char text[TUMBLE_LEASE_NAME];
    for (size_t i = 0; i < shard->fragment_count; i++) {
        const struct live_fragment *fragment = &shard->fragments[i];
        if (fragment->cut.start_ms != start_ms || fragment->is_closed) {
            continue;
        }
        copy_sequence(sequence, text);
        if (tumble_live_compare_sequences(fragment->cut.first, text) <= 0 &&
            tumble_live_compare_sequences(text, fragment->cut.last) <= 0) {
            return fragment;
        }
    }
    return NULL;
}

/* The first record that somebody who took the shard now would have to read; false: none, all is delivered. */
static int oldest_needed(const struct live_shard *shard, char out[TUMBLE_LEASE_NAME]) {
    out[0] = '\0';
    for (size_t i = 0; i < shard->fragment_count; i++) {
        const struct tumble_lease_cut *cut = &shard->fragments[i].cut;
        if (!cut->is_delivered && (!out[0] || tumble_live_compare_sequences(cut->first, out) < 0)) {
            memcpy(out, cut->first, TUMBLE_LEASE_NAME);
        }
    }
    for (size_t i = 0; i < shard->open_count; i++) {
        struct tumble_window_info info;
        char first[TUMBLE_LEASE_NAME];
        if (tumble_shard_window_info(shard->engine_shard, shard->open[i], &info, NULL) == TUMBLE_OK &&
            info.first_sequence.length) {
            copy_sequence(info.first_sequence, first);
            if (!out[0] || tumble_live_compare_sequences(first, out) < 0) {
                memcpy(out, first, sizeof first);
            }
        }
    }
    return out[0] != '\0';
}

/* The shard's position and fragments as its lease is to have them; *changed: it has others. */
enum tumble_code tumble_live_fill_lease(struct live_shard *shard, struct tumble_lease *lease, int *changed,
                                        struct tumble_error *err) {
    char needed[TUMBLE_LEASE_NAME];
    enum tumble_lease_position position = lease->position;
    char sequence[TUMBLE_LEASE_NAME];
    memcpy(sequence, lease->sequence, sizeof sequence);
    int64_t arrival_ms = lease->arrival_ms;
    if (oldest_needed(shard, needed)) {
        position = TUMBLE_LEASE_AT;
        memcpy(sequence, needed, sizeof needed);
        arrival_ms = -1;
    } else if (shard->sequence[0]) {
        position = TUMBLE_LEASE_AFTER;
        memcpy(sequence, shard->sequence, sizeof shard->sequence);
        arrival_ms = shard->arrival_ms;
    }
    *changed = position != lease->position || strcmp(sequence, lease->sequence) != 0;
    size_t kept = 0;
    for (size_t i = 0; i < shard->fragment_count; i++) {
        const struct live_fragment *fragment = &shard->fragments[i];
        int order =
            position == TUMBLE_LEASE_FROM_START ? 1 : tumble_live_compare_sequences(fragment->cut.last, sequence);
        int is_behind = fragment->cut.is_delivered && (position == TUMBLE_LEASE_AFTER ? order <= 0 : order < 0);
        if (!is_behind) {
            *changed |= fragment->is_closed && !fragment->is_recorded;
            shard->fragments[kept++] = *fragment;
        }
    }
    shard->fragment_count = kept;
    lease->position = position;
    memcpy(lease->sequence, sequence, sizeof sequence);
    lease->arrival_ms = arrival_ms;
    lease->cut_count = 0;
    for (size_t i = 0; i < shard->fragment_count; i++) {
        struct tumble_lease_cut *cut = tumble_lease_add_cut(lease);
        if (!cut) {
            return tumble_live_no_memory(err);
        }
        *cut = shard->fragments[i].cut;
    }
    return TUMBLE_OK;
}

/* Nothing of it waits any more. */
int tumble_live_is_all_delivered(const struct live_shard *shard) {
    for (size_t i = 0; i < shard->fragment_count; i++) {
        if (shard->fragments[i].is_closed && !shard->fragments[i].cut.is_delivered) {
            return 0;
        }
    }
    return 1;
}

/* ---- around commits ---- */

void tumble_live_share_before_commit(struct live *live) {
    if (live->share) {
        uint64_t written;
        tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_WINDOW, &written, &live->acknowledged);
        tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_FAILURE, &live->failures_written,
                                      &live->failures_acknowledged);
    }
}

/* What this commit acknowledges is delivered: only now may nobody need it any more. */
static void settle_fragments(struct live *live, struct live_shard *shard, uint64_t written) {
    int failures_wait = live->failures_acknowledged != live->failures_written;
    for (size_t i = 0; i < shard->fragment_count; i++) {
        struct live_fragment *fragment = &shard->fragments[i];
        if (!fragment->is_closed) {
            continue;
        }
        if (fragment->written == 0) {
            fragment->written = written + 1; /* so that 0 is none */
        } else if (fragment->written <= live->acknowledged + 1 && !failures_wait && !fragment->cut.is_delivered) {
            fragment->cut.is_delivered = 1;
            shard->lease_behind = 1;
        }
    }
}

/* What is acknowledged already, or had no row, is delivered with the next commit. */
static int waits_for_commit(const struct live *live, const struct live_shard *shard, uint64_t acknowledged) {
    if (live->failures_acknowledged != live->failures_written) {
        return 0;
    }
    for (size_t i = 0; i < shard->fragment_count; i++) {
        const struct live_fragment *fragment = &shard->fragments[i];
        if (fragment->is_closed && !fragment->cut.is_delivered && fragment->written <= acknowledged + 1) {
            return 1;
        }
    }
    return 0;
}

static enum tumble_code record(struct live *live, struct live_shard *shard, int *failed, struct tumble_error *err) {
    struct live_lease *own = shard->lease;
    int changed, done = 0;
    int64_t before = tumble_live_boot_ms();
    enum tumble_code code = tumble_live_fill_lease(shard, &own->lease, &changed, err);
    if (code != TUMBLE_OK || (!changed && !shard->lease_behind)) {
        return code;
    }
    shard->lease_behind = 1;
    code = tumble_leases_write(live->share->leases, &own->lease, 0, &done, err);
    if (code == TUMBLE_EOUTPUT) {
        snprintf(live->share->trouble, sizeof live->share->trouble, "%s", err->text);
        live->is_dirty = 1; /* with the next commit again */
        ++*failed;
        return TUMBLE_OK;
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (!done) {
        own->is_lost = 1;
        atomic_store(&live->share->has_lost, 1);
        tumble_live_share_set_valid(live->share);
        return TUMBLE_OK;
    }
    shard->lease_behind = 0;
    atomic_store(&own->valid_until_ms, before + live->share->lease_ms);
    for (size_t i = 0; i < shard->fragment_count; i++) {
        shard->fragments[i].is_recorded = 1;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_live_share_committed(struct live *live, struct tumble_error *err) {
    struct live_share *share = live->share;
    if (!share) {
        return TUMBLE_OK;
    }
    uint64_t written, acknowledged;
    enum tumble_code code = TUMBLE_OK;
    int failed = 0;
    tumble_engine_outbox_progress(live->engine, TUMBLE_ROW_WINDOW, &written, &acknowledged);
    tumble_live_share_lock(share);
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        if (shard->lease && !shard->lease->is_lost) {
            settle_fragments(live, shard, written);
            if (failed < LIVE_LEASE_FAILURES) {
                code = record(live, shard, &failed, err);
            }
            live->is_dirty |= waits_for_commit(live, shard, acknowledged);
        }
    }
    pthread_mutex_unlock(&share->lock);
    return code;
}

int tumble_live_share_may_deliver(const struct live *live) {
    if (!live->share) {
        return 1;
    }
    if (tumble_live_share_remaining_ms(live) <= 0) {
        return 0;
    }
    for (size_t i = 0; i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        for (size_t f = 0; f < shard->fragment_count; f++) {
            if (shard->fragments[f].is_closed && !shard->fragments[f].is_recorded) {
                return 0;
            }
        }
    }
    return 1;
}
