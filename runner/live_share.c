#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runner/live_share.h"

enum {
    PATIENCE_MS = 30000, /* at the start */
    RELEASE_MS = 5000,   /* for telling what was delivered, after a signal and the outputs' time */
    MARGIN = 6           /* a lease is taken for over this part of its time before it is */
};

#define LAST_MS INT64_C(253402300799999) /* of the year 9999 */

/* ---- opening ---- */

static uint64_t random_bits(void) {
    uint64_t bits = 0;
    if (getentropy(&bits, sizeof bits) != 0) {
        bits = (uint64_t)tumble_live_boot_ms() << 20 ^ (uint64_t)getpid();
    }
    return bits;
}

/* For people, and of no other process ever. */
static void name_owner(const char *worker_id, char out[TUMBLE_LEASE_OWNER]) {
    char host[80] = "";
    if (!worker_id && gethostname(host, sizeof host - 1) != 0) {
        host[0] = '\0';
    }
    int length = snprintf(out, TUMBLE_LEASE_OWNER, "%.100s-%ld-%016" PRIx64, worker_id ? worker_id : host,
                          (long)getpid(), random_bits());
    for (int i = 0; i < length; i++) { /* a word of ASCII: the state and the table keep it as it is */
        out[i] = out[i] > ' ' && out[i] < 0x7f ? out[i] : '_';
    }
}

/* A signal came, and outputs have had their time; before anything is read, at once. */
static int ends(void *ctx) {
    struct live *live = ctx;
    int64_t until = tumble_live_grace_until(live);
    return until != INT64_MAX && (!live->share->is_started || tumble_live_steady_ms() > until + RELEASE_MS);
}

static enum tumble_code join(struct live *live, struct live_share *share, struct tumble_error *err) {
    const struct tumble_live_options *options = live->options;
    struct tumble_lease_group group = {.source = options->source ? options->source : live->facts.arn,
                                       .spec_digest = tumble_spec_digest(options->spec),
                                       .window_ms = live->window_ms,
                                       .created_ms = live->facts.created_ms,
                                       .start = (int)live->start,
                                       .start_ms = live->start_ms};
    char *application =
        options->application ? NULL : tumble_runner_format("%s %016" PRIx64, group.source, group.spec_digest);
    if (!options->application && !application) {
        return tumble_live_no_memory(err);
    }
    struct tumble_leases_options leases = {.table = options->lease_table,
                                           .application = application ? application : options->application,
                                           .owner = share->owner,
                                           .region = options->stream.region,
                                           .profile = options->stream.profile,
                                           .call_ms = share->lease_ms / 3 > 500 ? share->lease_ms / 3 : 500,
                                           .interrupted = ends,
                                           .interrupted_ctx = live};
    snprintf(group.id, sizeof group.id, "%016" PRIx64, random_bits());
    enum tumble_code code = tumble_leases_open(&leases, &share->leases, err);
    code = code == TUMBLE_OK ? tumble_leases_join(share->leases, &group, err) : code;
    tumble_runner_free(application);
    int is_start = group.start == TUMBLE_KINESIS_TRIM_HORIZON ||
                   (group.start == TUMBLE_KINESIS_AT_TIMESTAMP && group.start_ms >= 0 && group.start_ms <= LAST_MS);
    if (code == TUMBLE_OK && !is_start) {
        return tumble_runner_fail(err, TUMBLE_EINPUT,
                                  "lease table %.60s: what its item #group says of the start is not tumble's: mend it, "
                                  "or use another --application",
                                  options->lease_table);
    }
    if (code == TUMBLE_OK && live->summary->resumed && strcmp(live->lease_group, group.id) != 0) {
        return tumble_runner_fail(err, TUMBLE_EMISMATCH,
                                  "lease table %.60s was deleted and made anew since this state was made, or the items "
                                  "of this application were: its leases begin again there; use another --state",
                                  options->lease_table);
    }
    memcpy(live->lease_group, group.id, sizeof group.id);
    live->start = (enum tumble_kinesis_start)group.start;
    live->start_ms = group.start_ms;
    live->begins_latest = 0;
    return code;
}

enum tumble_code tumble_live_share_open(struct live *live, struct tumble_error *err) {
    if (!live->options->lease_table) {
        return TUMBLE_OK;
    }
    struct live_share *share = tumble_runner_alloc(sizeof *share);
    if (!share) {
        return tumble_live_no_memory(err);
    }
    pthread_condattr_t steady;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&share->lock, NULL);
    pthread_cond_init(&share->wake, &steady);
    pthread_condattr_destroy(&steady);
    share->live = live;
    share->lease_ms = live->options->lease_ms;
    atomic_store(&share->valid_until_ms, INT64_MAX);
    name_owner(live->options->worker_id, share->owner);
    live->share = share;
    return join(live, share, err);
}

void tumble_live_share_close(struct live *live) {
    struct live_share *share = live->share;
    if (!share) {
        return;
    }
    tumble_live_keeper_stop(share);
    for (size_t i = 0; i < share->own_count; i++) {
        tumble_lease_clean_up(&share->own[i]->lease);
        tumble_runner_free(share->own[i]);
    }
    tumble_leases_close(share->leases);
    pthread_cond_destroy(&share->wake);
    pthread_mutex_destroy(&share->lock);
    tumble_runner_free(share->own);
    tumble_runner_free(share->seen);
    tumble_runner_free(share->known);
    tumble_runner_free(share);
    live->share = NULL;
}

void tumble_live_share_listed(struct live *live) {
    struct live_share *share = live->share;
    if (!share) {
        return;
    }
    tumble_live_share_lock(share);
    struct live_known *known = tumble_runner_alloc((live->shard_count + 1) * sizeof *known);
    size_t count = 0;
    for (size_t i = 0; known && i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        if (shard->is_listed) {
            memcpy(known[count].id, shard->id, sizeof shard->id);
            memcpy(known[count++].parents, shard->parents, sizeof shard->parents);
        }
    }
    if (known) { /* else the next listing */
        tumble_runner_free(share->known);
        share->known = known;
        share->known_count = count;
    }
    pthread_cond_signal(&share->wake);
    pthread_mutex_unlock(&share->lock);
}

/* ---- a shard comes and goes ---- */

static void remove_own(struct live_share *share, const struct live_lease *own) {
    for (size_t i = 0; i < share->own_count; i++) {
        if (share->own[i] == own) {
            tumble_lease_clean_up(&share->own[i]->lease);
            tumble_runner_free(share->own[i]);
            share->own[i] = share->own[--share->own_count];
            break;
        }
    }
    tumble_live_share_set_valid(share);
}

/* What this process has of it neither goes on nor leaves. The caller commits. */
static enum tumble_code drop(struct live *live, struct live_shard *shard, struct tumble_error *err) {
    tumble_live_stop_reading(live, shard);
    shard->open_count = shard->closing_count = shard->fragment_count = 0;
    shard->sequence[0] = shard->begin_sequence[0] = shard->local_owner[0] = '\0';
    shard->arrival_ms = -1;
    shard->begins_at = 0;
    shard->phase = LIVE_WAITING;
    shard->lease = NULL;
    live->is_dirty = 1;
    tumble_watch_shard_gone(live->options->watch, shard->watch);
    return shard->engine_shard ? tumble_shard_forget(shard->engine_shard, err) : TUMBLE_OK;
}

static void say_taken(const struct live *live, const struct live_lease *own) {
    const char *id = own->lease.shard;
    if (own->is_local) {
        tumble_live_say(live, "shard %s: taken, and the state goes on from where it stands", id);
    } else if (own->silent[0]) {
        tumble_live_say(live, "shard %s: taken over from %s, whose lease ran out", id, own->silent);
    } else {
        tumble_live_say(live, "shard %s: taken%s", id, own->was_asked_for ? " from who had more, as asked for" : "");
    }
}

static enum tumble_code begin(struct live *live, struct live_shard *shard, struct live_lease *own,
                              struct tumble_error *err) {
    const struct tumble_lease *lease = &own->lease;
    shard->lease = own;
    own->is_new = 0;
    snprintf(shard->local_owner, sizeof shard->local_owner, "%s", live->share->owner);
    shard->local_term = lease->term;
    live->is_dirty = 1;
    if (!own->is_local) {
        shard->begins_at = lease->position == TUMBLE_LEASE_AT;
        if (lease->position == TUMBLE_LEASE_AT) {
            memcpy(shard->begin_sequence, lease->sequence, sizeof lease->sequence);
        } else if (lease->position == TUMBLE_LEASE_AFTER) {
            memcpy(shard->sequence, lease->sequence, sizeof lease->sequence);
        }
        shard->arrival_ms = lease->arrival_ms;
        for (uint32_t i = 0; i < lease->cut_count; i++) {
            struct live_fragment *fragment = tumble_live_add_fragment(shard);
            if (!fragment) {
                return tumble_live_no_memory(err);
            }
            *fragment = (struct live_fragment){.cut = lease->cuts[i], .is_recorded = 1};
        }
    }
    say_taken(live, own);
    enum tumble_code code = tumble_live_start_reading(live, shard, err);
    tumble_watch_event(live->options->watch, TUMBLE_WATCH_LEASE_TAKEN, shard->watch, tumble_watch_now_us());
    return code;
}

/* Gives the lease up, or says that the shard is done. */
static enum tumble_code give_up(struct live *live, struct live_shard *shard, int is_done, int *done,
                                struct tumble_error *err) {
    int changed;
    struct tumble_lease *lease = &shard->lease->lease;
    enum tumble_code code = tumble_live_fill_lease(shard, lease, &changed, err);
    lease->is_done = is_done;
    return code == TUMBLE_OK ? tumble_leases_write(live->share->leases, lease, 1, done, err) : code;
}

/* ---- every turn ---- */

static void tell_trouble(struct live *live, struct live_share *share) {
    if (share->trouble[0] && !share->trouble_told) {
        share->trouble_told = 1;
        tumble_live_say(live, "leases cannot be kept (%s): rows wait, it is tried again until it works",
                        share->trouble);
    }
    if (share->trouble_is_over) {
        share->trouble_told = share->trouble_is_over = 0;
        tumble_live_say(live, "leases are kept again");
    }
    share->trouble[0] = '\0';
    for (; share->renewals_failed; share->renewals_failed--) {
        tumble_watch_event(live->options->watch, TUMBLE_WATCH_LEASE_RENEWAL_FAILED, 0, tumble_watch_now_us());
    }
    live->summary->leases_taken = share->taken;
}

static enum tumble_code drop_lost(struct live *live, int *dropped, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        struct live_lease *own = shard->lease;
        if (own && own->is_lost) {
            tumble_live_say(live, "shard %s: lost%s%s: what was not delivered of it is dropped", shard->id,
                            own->lease.owner[0] ? " to " : ", its lease is nobody's", own->lease.owner);
            code = drop(live, shard, err);
            remove_own(live->share, own);
            live->summary->leases_lost++;
            *dropped = 1;
            tumble_watch_event(live->options->watch, TUMBLE_WATCH_LEASE_LOST, shard->watch, tumble_watch_now_us());
        }
    }
    for (size_t i = 0; i < live->share->own_count;) { /* lost before it was begun */
        struct live_lease *own = live->share->own[i];
        if (own->is_new && own->is_lost) {
            remove_own(live->share, own);
        } else {
            i++;
        }
    }
    atomic_store(&live->share->has_lost, 0);
    tumble_live_share_set_valid(live->share);
    return code;
}

static void say_let_go(struct live *live, const struct live_shard *shard, int is_drained) {
    if (is_drained) {
        tumble_live_tell_drained(live, shard);
        return;
    }
    tumble_live_say(live, "shard %s: given up to %s, who asked for it", shard->id, shard->lease->lease.wanted_by);
    live->summary->leases_given_up++;
    tumble_watch_event(live->options->watch, TUMBLE_WATCH_LEASE_GIVEN_UP, shard->watch, tumble_watch_now_us());
}

/* Shards that others asked for, and those read to their end, once nothing of them waits. */
static enum tumble_code let_go(struct live *live, int *dropped, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        struct live_lease *own = shard->lease;
        int done = 0;
        if (!own || own->is_lost || own->is_new) {
            continue;
        }
        int is_drained = shard->phase == LIVE_DRAINED;
        if (own->lease.wanted_by[0] && shard->phase == LIVE_READING && shard->feed) {
            tumble_live_stop_reading(live, shard); /* what is applied may still leave */
        }
        int is_asked_for = own->lease.wanted_by[0] && !shard->feed && shard->phase == LIVE_READING;
        if ((!is_drained && !is_asked_for) || !tumble_live_is_all_delivered(shard)) {
            continue;
        }
        code = give_up(live, shard, is_drained, &done, err);
        if (code == TUMBLE_EOUTPUT) { /* later */
            own->lease.is_done = 0;
            return TUMBLE_OK;
        }
        if (code == TUMBLE_OK && !done) {
            own->is_lost = 1;
            atomic_store(&live->share->has_lost, 1);
        } else if (code == TUMBLE_OK) {
            say_let_go(live, shard, is_drained);
            code = drop(live, shard, err);
            remove_own(live->share, own);
            shard->phase = is_drained ? LIVE_DONE : LIVE_WAITING;
            live->list_at_ms = is_drained ? 0 : live->list_at_ms; /* its children */
            *dropped = 1;
        }
    }
    return code;
}

/* Shards that others have read to their end. */
static void note_done(struct live *live) {
    for (size_t i = 0; i < live->share->seen_count; i++) {
        const struct live_seen *seen = &live->share->seen[i];
        struct live_shard *shard = seen->lease.is_done ? tumble_live_shard(live, seen->lease.shard) : NULL;
        if (shard && shard->phase == LIVE_WAITING && !shard->lease) {
            shard->phase = LIVE_DONE;
        }
    }
}

static enum tumble_code begin_taken(struct live *live, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < live->share->own_count && code == TUMBLE_OK; i++) {
        struct live_lease *own = live->share->own[i];
        struct live_shard *shard = own->is_new ? tumble_live_shard(live, own->lease.shard) : NULL;
        if (shard) {
            code = begin(live, shard, own, err);
        }
    }
    return code;
}

enum tumble_code tumble_live_share_begin(struct live *live, struct tumble_error *err) {
    if (!live->share) {
        return TUMBLE_OK;
    }
    tumble_live_share_lock(live->share);
    enum tumble_code code = begin_taken(live, err);
    pthread_mutex_unlock(&live->share->lock);
    return code;
}

enum tumble_code tumble_live_share_drop_lost(struct live *live, struct tumble_error *err) {
    int dropped = 0;
    if (!live->share) {
        return TUMBLE_OK;
    }
    tumble_live_share_lock(live->share);
    enum tumble_code code = drop_lost(live, &dropped, err);
    pthread_mutex_unlock(&live->share->lock);
    return code == TUMBLE_OK && dropped ? tumble_live_commit(live, err) : code;
}

void tumble_live_share_quiet(struct live *live) {
    if (live->share) {
        tumble_live_share_lock(live->share);
        live->share->is_quiet = 1;
        pthread_mutex_unlock(&live->share->lock);
    }
}

enum tumble_code tumble_live_share_turn(struct live *live, struct tumble_error *err) {
    struct live_share *share = live->share;
    if (!share) {
        return TUMBLE_OK;
    }
    int dropped = 0;
    tumble_live_share_lock(share);
    tell_trouble(live, share);
    enum tumble_code code = share->failed;
    if (code != TUMBLE_OK) {
        *err = share->error;
        err->code = code;
    }
    note_done(live);
    code = code == TUMBLE_OK ? drop_lost(live, &dropped, err) : code;
    code = code == TUMBLE_OK ? let_go(live, &dropped, err) : code;
    pthread_mutex_unlock(&share->lock);
    if (code == TUMBLE_OK && dropped) { /* before anything else happens to the engine */
        code = tumble_live_commit(live, err);
    }
    return code == TUMBLE_OK ? tumble_live_share_begin(live, err) : code;
}

/* ---- the end ---- */

int64_t tumble_live_share_remaining_ms(const struct live *live) {
    const struct live_share *share = live->share;
    if (!share) {
        return INT64_MAX;
    }
    if (atomic_load(&share->has_lost)) {
        return 0;
    }
    int64_t until = atomic_load(&share->valid_until_ms);
    return until == INT64_MAX ? INT64_MAX : until - share->lease_ms / MARGIN - tumble_live_boot_ms();
}

int tumble_live_share_has_lost(const struct live *live) { return live->share && atomic_load(&live->share->has_lost); }

void tumble_live_share_release(struct live *live) {
    struct live_share *share = live->share;
    if (!share) {
        return;
    }
    tumble_live_keeper_stop(share);
    int failed = 0;
    for (size_t i = 0; i < live->shard_count && failed < LIVE_LEASE_FAILURES; i++) {
        struct live_shard *shard = live->shards[i];
        struct tumble_error ignored = {.byte = -1, .record = -1};
        int done = 0, is_done = shard->phase == LIVE_DRAINED && tumble_live_is_all_delivered(shard);
        if (!shard->lease || shard->lease->is_lost) {
            continue;
        }
        if (give_up(live, shard, is_done, &done, &ignored) != TUMBLE_OK) {
            failed++;
        } else if (done && is_done) {
            tumble_live_tell_drained(live, shard);
        }
    }
    if (failed) {
        tumble_live_say(live, "leases could not be given up: others take the shards when they run out, in %.3g s",
                        (double)share->lease_ms / 1000);
    }
}

/* ---- the start ---- */

/* The first look at the table decides what the state may keep: it is waited for. */
static enum tumble_code look_first(struct live *live, struct tumble_error *err) {
    int64_t until = tumble_live_steady_ms() + PATIENCE_MS;
    for (;;) {
        enum tumble_code code = tumble_live_keep(live->share, err);
        if (code != TUMBLE_EOUTPUT || tumble_live_steady_ms() > until) {
            return code;
        }
        if (live->options->interrupted && live->options->interrupted(live->options->interrupted_ctx)) {
            return tumble_runner_fail(err, TUMBLE_EINTERRUPTED, "stopped while the lease table was waited for");
        }
        struct timespec nap = {0, 200 * 1000000};
        nanosleep(&nap, NULL);
    }
}

enum tumble_code tumble_live_share_start(struct live *live, struct tumble_error *err) {
    struct live_share *share = live->share;
    if (!share) {
        return TUMBLE_OK;
    }
    tumble_live_share_listed(live);
    tumble_live_share_lock(share);
    enum tumble_code code = look_first(live, err);
    for (size_t i = 0; i < live->shard_count && code == TUMBLE_OK; i++) {
        struct live_shard *shard = live->shards[i];
        int is_kept = 0;
        for (size_t n = 0; n < share->own_count; n++) {
            is_kept |= share->own[n]->is_local && strcmp(share->own[n]->lease.shard, shard->id) == 0;
        }
        /* One that was drained, and killed before its lease said so, is done by another by now: nor may that leave. */
        int is_known =
            shard->local_owner[0] || shard->fragment_count || (shard->sequence[0] && shard->phase != LIVE_DONE);
        if (!is_kept && is_known) {
            code = tumble_live_open_shard(live, shard, err);
            code = code == TUMBLE_OK ? drop(live, shard, err) : code;
        } else if (is_kept) {
            code = tumble_live_open_shard(live, shard, err);
        }
    }
    pthread_mutex_unlock(&share->lock);
    return code;
}
