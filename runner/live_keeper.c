#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runner/live_share.h"

/* The thread that keeps leases: renews its own, looks at the others', takes what is free or what its owner has let
 * stand still for as long as a lease lasts, and asks those who have more for one at a time. */

enum { GONE_MS = 600000 /* every process has listed the stream since */ };

int64_t tumble_live_boot_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_BOOTTIME, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

void tumble_live_share_set_valid(struct live_share *share) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < share->own_count; i++) {
        int64_t until = share->own[i]->is_lost ? 0 : atomic_load(&share->own[i]->valid_until_ms);
        first = until < first ? until : first;
    }
    atomic_store(&share->valid_until_ms, first);
}

/* ---- renewing ---- */

void tumble_live_share_lock(struct live_share *share) {
    atomic_fetch_add(&share->waiting, 1);
    pthread_mutex_lock(&share->lock);
    atomic_fetch_sub(&share->waiting, 1);
}

/* Commits wait for the lock too. What moves in the list meanwhile is renewed the next time. */
static void make_way(struct live_share *share) {
    struct timespec nap = {0, 1000000};
    pthread_mutex_unlock(&share->lock);
    while (atomic_load(&share->waiting)) {
        nanosleep(&nap, NULL);
    }
    pthread_mutex_lock(&share->lock);
}

static enum tumble_code renew(struct live_share *share, struct live_lease *own, struct tumble_error *err) {
    int done = 0;
    int64_t before = tumble_live_boot_ms(); /* others count from when they see it, which is later */
    enum tumble_code code = tumble_leases_renew(share->leases, &own->lease, &done, err);
    if (code != TUMBLE_OK) {
        share->renewals_failed++;
    } else if (done) {
        atomic_store(&own->valid_until_ms, before + share->lease_ms);
    } else {
        own->is_lost = 1;
        atomic_store(&share->has_lost, 1);
    }
    tumble_live_share_set_valid(share);
    return code;
}

/* A table that answers nobody is not asked once for every lease: that would last, and tell nothing meanwhile. */
static enum tumble_code renew_all(struct live_share *share, struct tumble_error *err) {
    enum tumble_code result = TUMBLE_OK;
    size_t from = share->renew_from, failed = 0;
    for (size_t i = 0; i < share->own_count && failed < LIVE_LEASE_FAILURES && !atomic_load(&share->ending); i++) {
        size_t at = (from + i) % share->own_count;
        if (share->own[at]->is_lost) {
            continue;
        }
        enum tumble_code code = renew(share, share->own[at], err);
        if (code != TUMBLE_OK) {
            result = code;
            failed++;
            share->renew_from = at + 1;
        }
        make_way(share);
    }
    return result;
}

/* ---- looking ---- */

static struct live_lease *own_of(const struct live_share *share, const char *shard) {
    for (size_t i = 0; i < share->own_count; i++) {
        if (strcmp(share->own[i]->lease.shard, shard) == 0) {
            return share->own[i];
        }
    }
    return NULL;
}

static struct live_seen *seen_of(const struct live_share *share, const char *shard) {
    for (size_t i = 0; i < share->seen_count; i++) {
        if (strcmp(share->seen[i].lease.shard, shard) == 0) {
            return &share->seen[i];
        }
    }
    return NULL;
}

static const struct live_known *known_of(const struct live_share *share, const char *shard) {
    for (size_t i = 0; i < share->known_count; i++) {
        if (strcmp(share->known[i].id, shard) == 0) {
            return &share->known[i];
        }
    }
    return NULL;
}

static enum tumble_code see(void *ctx, const struct tumble_lease *lease) {
    struct live_share *share = ctx;
    struct live_seen *seen = seen_of(share, lease->shard);
    if (!seen) {
        struct live_seen *grown =
            tumble_runner_grow(share->seen, share->seen_count, &share->seen_capacity, sizeof *grown);
        if (!grown) {
            return TUMBLE_ENOMEM;
        }
        share->seen = grown;
        seen = &grown[share->seen_count++];
        memset(seen, 0, sizeof *seen);
        seen->since_ms = -1;
    }
    if (seen->since_ms < 0 || seen->lease.counter != lease->counter || seen->lease.term != lease->term ||
        strcmp(seen->lease.owner, lease->owner) != 0) {
        seen->since_ms = tumble_live_boot_ms();
    }
    seen->lease = *lease;
    seen->lease.cuts = NULL;
    seen->lease.cut_count = seen->lease.cut_capacity = 0;
    seen->is_there = 1;
    return TUMBLE_OK;
}

/* Items of shards that have none yet; those of shards long gone are removed. */
static enum tumble_code tend_items(struct live_share *share, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < share->known_count && code == TUMBLE_OK; i++) {
        const struct live_seen *seen = seen_of(share, share->known[i].id);
        if (!seen || !seen->is_there) {
            code = tumble_leases_make(share->leases, share->known[i].id, err);
            if (code == TUMBLE_OK) {
                struct tumble_lease made = {.arrival_ms = -1};
                snprintf(made.shard, sizeof made.shard, "%s", share->known[i].id);
                code = see(share, &made); /* if it was made by another, taking it will tell */
            }
        }
    }
    for (size_t i = 0; i < share->seen_count && share->known_count && code == TUMBLE_OK; i++) {
        struct live_seen *seen = &share->seen[i];
        int is_known = known_of(share, seen->lease.shard) != NULL;
        seen->was_known |= is_known;
        if (is_known || !seen->was_known) {
            seen->gone_ms = 0;
        } else if (seen->gone_ms == 0) {
            seen->gone_ms = tumble_live_boot_ms();
        } else if (seen->is_there && seen->lease.is_done && tumble_live_boot_ms() - seen->gone_ms > GONE_MS) {
            code = tumble_leases_remove(share->leases, seen->lease.shard, err);
            seen->is_there = 0;
        }
    }
    return code;
}

/* ---- what may be read, and by whom ---- */

static int parents_are_done(const struct live_share *share, const struct live_known *known) {
    for (int i = 0; i < 2; i++) {
        const struct live_seen *parent = known->parents[i][0] ? seen_of(share, known->parents[i]) : NULL;
        int is_listed = known->parents[i][0] && known_of(share, known->parents[i]) != NULL;
        int is_done = parent && parent->is_there ? parent->lease.is_done : !is_listed;
        if (known->parents[i][0] && !is_done) {
            return 0;
        }
    }
    return 1;
}

static int is_readable(const struct live_share *share, const struct live_seen *seen) {
    const struct live_known *known = known_of(share, seen->lease.shard);
    return seen->is_there && !seen->lease.is_done && known && parents_are_done(share, known);
}

static int stands_still(const struct live_share *share, const struct live_seen *seen) {
    return tumble_live_boot_ms() - seen->since_ms > share->lease_ms;
}

static int is_free(const struct live_share *share, const struct live_seen *seen) {
    if (!is_readable(share, seen) || own_of(share, seen->lease.shard)) {
        return 0;
    }
    int is_kept_for_another = seen->lease.wanted_by[0] && strcmp(seen->lease.wanted_by, share->owner) != 0;
    return stands_still(share, seen) || (!seen->lease.owner[0] && !is_kept_for_another);
}

static int has_word(const struct live_share *share, size_t upto, const char *owner) {
    for (size_t i = 0; i < upto; i++) {
        const struct live_seen *seen = &share->seen[i];
        if (is_readable(share, seen) && !stands_still(share, seen) &&
            (strcmp(seen->lease.owner, owner) == 0 || strcmp(seen->lease.wanted_by, owner) == 0)) {
            return 1;
        }
    }
    return 0;
}

/* Processes that live: who has a lease that moves, who asked for one, and this one. */
static size_t count_workers(const struct live_share *share, size_t *readable) {
    size_t workers = 1;
    *readable = 0;
    for (size_t i = 0; i < share->seen_count; i++) {
        const struct live_seen *seen = &share->seen[i];
        if (!is_readable(share, seen)) {
            continue;
        }
        ++*readable;
        const char *names[] = {seen->lease.owner, seen->lease.wanted_by};
        for (int n = 0; n < 2; n++) {
            int is_new = names[n][0] && strcmp(names[n], share->owner) != 0 && !has_word(share, i, names[n]) &&
                         !(n == 1 && strcmp(names[0], names[1]) == 0);
            workers += is_new && !stands_still(share, seen);
        }
    }
    return workers;
}

static size_t count_own(const struct live_share *share) {
    size_t count = 0;
    for (size_t i = 0; i < share->own_count; i++) {
        count += !share->own[i]->is_lost && !share->own[i]->lease.is_done;
    }
    return count;
}

static const struct live_shard *local_of(const struct live_share *share, const char *shard) {
    return share->has_thread ? NULL : tumble_live_shard(share->live, shard); /* only before the keeper runs */
}

/* Did this very state have the shard under the lease as it stands? Its former process is dead: the state is locked. */
static int is_own_from_before(const struct live_share *share, const struct tumble_lease *lease) {
    const struct live_shard *local = local_of(share, lease->shard);
    return local && local->local_owner[0] && local->local_term == lease->term &&
           (!lease->owner[0] || strcmp(lease->owner, local->local_owner) == 0);
}

static enum tumble_code take(struct live_share *share, struct live_seen *seen, int is_local, struct tumble_error *err) {
    struct live_lease **grown =
        tumble_runner_grow(share->own, share->own_count, &share->own_capacity, sizeof(struct live_lease *));
    if (!grown) {
        return tumble_live_no_memory(err);
    }
    share->own = grown;
    struct live_lease *own = tumble_runner_alloc(sizeof *own);
    if (!own) {
        return tumble_live_no_memory(err);
    }
    int done = 0;
    int64_t before = tumble_live_boot_ms();
    own->lease = seen->lease;
    own->was_asked_for = strcmp(seen->lease.wanted_by, share->owner) == 0;
    memcpy(own->silent, seen->lease.owner, sizeof own->silent);
    enum tumble_code code = tumble_leases_take(share->leases, &own->lease, &done, err);
    if (code != TUMBLE_OK || !done) {
        tumble_lease_clean_up(&own->lease);
        tumble_runner_free(own);
        seen->since_ms = tumble_live_boot_ms(); /* somebody was quicker, or nobody knows */
        return code;
    }
    atomic_store(&own->valid_until_ms, before + share->lease_ms);
    own->is_new = 1;
    own->is_local = is_local;
    share->own[share->own_count++] = own;
    share->taken++;
    share->is_asking = 0;
    seen->lease = own->lease;
    seen->lease.cuts = NULL;
    seen->lease.cut_count = seen->lease.cut_capacity = 0;
    seen->since_ms = before;
    tumble_live_share_set_valid(share);
    return TUMBLE_OK;
}

/* One lease of whoever has most, when that would make it more even. */
static enum tumble_code ask(struct live_share *share, size_t mine, struct tumble_error *err) {
    const struct live_seen *best = NULL;
    size_t most = mine + 1;
    for (size_t i = 0; i < share->seen_count; i++) {
        const struct live_seen *seen = &share->seen[i];
        if (!is_readable(share, seen) || own_of(share, seen->lease.shard) || !seen->lease.owner[0]) {
            continue;
        }
        size_t count = 0;
        for (size_t n = 0; n < share->seen_count; n++) {
            count += is_readable(share, &share->seen[n]) &&
                     strcmp(share->seen[n].lease.owner, seen->lease.owner) == 0 && !share->seen[n].lease.wanted_by[0];
        }
        if (count > most && !seen->lease.wanted_by[0]) {
            most = count;
            best = seen;
        }
    }
    if (!best) {
        return TUMBLE_OK;
    }
    int done;
    share->is_asking = 1;
    share->asked_at_ms = tumble_live_boot_ms();
    return tumble_leases_want(share->leases, &best->lease, &done, err);
}

/* After a time in which nobody could look, the others could not write either: they get time to move their counters. */
static void doubt_what_is_old(struct live_share *share) {
    int64_t now = tumble_live_boot_ms();
    for (size_t i = 0; i < share->seen_count && now - share->listed_ms > share->lease_ms / 2; i++) {
        share->seen[i].since_ms = now;
    }
    share->listed_ms = now;
}

enum tumble_code tumble_live_keep(struct live_share *share, struct tumble_error *err) {
    for (size_t i = 0; i < share->seen_count; i++) {
        share->seen[i].is_there = 0;
    }
    enum tumble_code code = tumble_leases_list(share->leases, see, share, err);
    if (code == TUMBLE_OK) {
        doubt_what_is_old(share);
    }
    code = code == TUMBLE_OK ? tend_items(share, err) : code;
    for (size_t i = 0; i < share->seen_count && code == TUMBLE_OK; i++) {
        struct live_seen *seen = &share->seen[i];
        if (is_readable(share, seen) && !own_of(share, seen->lease.shard) && is_own_from_before(share, &seen->lease)) {
            code = take(share, seen, 1, err);
        }
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    size_t readable, workers = count_workers(share, &readable), mine = count_own(share);
    size_t target = (readable + workers - 1) / workers;
    for (size_t i = 0; i < share->seen_count && mine < target && code == TUMBLE_OK; i++) {
        if (is_free(share, &share->seen[i])) {
            code = take(share, &share->seen[i], 0, err);
            mine = count_own(share);
        }
    }
    int may_ask = !share->is_asking || tumble_live_boot_ms() - share->asked_at_ms > 2 * share->lease_ms;
    return code == TUMBLE_OK && mine < readable / workers && may_ask ? ask(share, mine, err) : code;
}

/* ---- the thread ---- */

static void note_trouble(struct live_share *share, enum tumble_code code, const struct tumble_error *error) {
    if (code == TUMBLE_OK) {
        share->trouble_is_over = share->trouble_told;
        return;
    }
    if (code == TUMBLE_EINTERRUPTED) {
        return;
    }
    if (code != TUMBLE_EOUTPUT && code != TUMBLE_ENOMEM) {
        share->failed = code;
        share->error = *error;
    }
    snprintf(share->trouble, sizeof share->trouble, "%s", error->text);
}

static void *keeper_main(void *arg) {
    struct live_share *share = arg;
    pthread_mutex_lock(&share->lock);
    while (!atomic_load(&share->ending)) {
        struct tumble_error error = {.byte = -1, .record = -1};
        enum tumble_code code = renew_all(share, &error);
        if (code == TUMBLE_OK || code == TUMBLE_EOUTPUT) {
            enum tumble_code kept = tumble_live_keep(share, &error);
            code = code == TUMBLE_OK ? kept : code;
        }
        note_trouble(share, code, &error);
        if (!share->is_quiet) {
            tumble_live_feeds_wake(share->live->feeds);
        }
        int64_t until = tumble_live_steady_ms() + share->lease_ms / 4;
        struct timespec at = {until / 1000, (long)(until % 1000) * 1000000};
        while (!atomic_load(&share->ending) && tumble_live_steady_ms() < until) {
            pthread_cond_timedwait(&share->wake, &share->lock, &at);
        }
    }
    pthread_mutex_unlock(&share->lock);
    return NULL;
}

enum tumble_code tumble_live_keeper_start(struct live_share *share, struct tumble_error *err) {
    share->has_thread = share->is_started = 1;
    int error = pthread_create(&share->thread, NULL, keeper_main, share);
    if (error) {
        share->has_thread = 0;
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "cannot start a thread: %s", strerror(error));
    }
    return TUMBLE_OK;
}

void tumble_live_keeper_stop(struct live_share *share) {
    if (!share->has_thread) {
        return;
    }
    atomic_store(&share->ending, 1);
    tumble_live_share_lock(share);
    pthread_cond_signal(&share->wake);
    pthread_mutex_unlock(&share->lock);
    pthread_join(share->thread, NULL);
    share->has_thread = 0;
}
