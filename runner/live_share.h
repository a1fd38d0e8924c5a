#ifndef TUMBLE_RUNNER_LIVE_SHARE_H
#define TUMBLE_RUNNER_LIVE_SHARE_H

#include <pthread.h>

#include "runner/live_internal.h"

/* A stream shared by several processes (design R5), as its files share it. live_share.c: which shards come and go, on
 * the engine's thread · live_cuts.c: fragments of windows, around commits · live_share_notes.c: what the state keeps ·
 * live_keeper.c: the thread that renews, takes and asks for leases. Safety rests on conditions in the table alone: rows
 * of a fragment leave only when its end stands in the shard's item, written under this process's term, and whoever
 * takes the shard reads it there; clocks only decide when a silent owner is taken for dead. */

enum { LIVE_LEASE_FAILURES = 2 /* in a row, and no other is asked for: a table that answers nobody takes its time */ };

struct live_lease {
    struct tumble_lease lease;
    _Atomic int64_t valid_until_ms;  /* on the boot clock: nobody takes it before */
    int is_new;                      /* taken, and not begun yet */
    int was_asked_for;               /* by this process, of who had it */
    char silent[TUMBLE_LEASE_OWNER]; /* whose lease it was, that stood still; "": nobody's */
    int is_local;                    /* the state has the shard as this lease stands */
    int is_lost;                     /* another has it */
};

struct live_seen {             /* a lease of somebody else, as it was seen last */
    struct tumble_lease lease; /* without cuts */
    int64_t since_ms;          /* since when counter and owner are these */
    int is_there;              /* in the last listing */
    int was_known;             /* the stream listed the shard */
    int64_t gone_ms;           /* since when it does not; 0: it does, or never did */
};

struct live_known { /* a shard as the stream lists it */
    char id[TUMBLE_KINESIS_ID];
    char parents[2][TUMBLE_KINESIS_ID];
};

struct live_share {
    const struct live *live;
    pthread_mutex_t lock; /* everything here, the client too */
    pthread_cond_t wake;
    pthread_t thread;
    int has_thread;
    int is_quiet;
    int is_started;
    atomic_int ending;
    atomic_int waiting; /* the engine's thread wants the lock */
    size_t renew_from;  /* where the keeper's round begins: behind what failed last */
    struct tumble_leases *leases;
    char owner[TUMBLE_LEASE_OWNER];
    int64_t lease_ms;
    struct live_lease **own;
    size_t own_count;
    size_t own_capacity;
    struct live_seen *seen;
    size_t seen_count;
    size_t seen_capacity;
    struct live_known *known;
    size_t known_count;
    _Atomic int64_t valid_until_ms; /* of the lease that ends first */
    atomic_int has_lost;            /* some lease, and the engine does not know yet */
    int trouble_told;
    char trouble[TUMBLE_ERROR_TEXT]; /* of the table, to be told; "": none */
    int trouble_is_over;
    enum tumble_code failed; /* for good */
    struct tumble_error error;
    int64_t listed_ms; /* when the table was looked at last */
    uint64_t taken;
    uint64_t renewals_failed;
    int is_asking; /* a lease is asked for and did not come yet: until then */
    int64_t asked_at_ms;
};

int64_t tumble_live_boot_ms(void); /* runs on while the machine sleeps */

/* The engine's thread comes before what the keeper has to do next: a call to a table in trouble may take long. */
void tumble_live_share_lock(struct live_share *share);

/* With the lock held. */
void tumble_live_share_set_valid(struct live_share *share);

/* live_cuts.c */
int tumble_live_compare_sequences(const char *a, const char *b);
struct live_fragment *tumble_live_add_fragment(struct live_shard *shard); /* zeroed; NULL: no memory */
/* The shard's position and fragments as its lease is to have them; *changed: it has others. Errors: ENOMEM. */
enum tumble_code tumble_live_fill_lease(struct live_shard *shard, struct tumble_lease *lease, int *changed,
                                        struct tumble_error *err);
int tumble_live_is_all_delivered(const struct live_shard *shard); /* nothing of it waits any more */

/* live_keeper.c: all with the lock held */
/* One look at the table: takes what may be taken. */
enum tumble_code tumble_live_keep(struct live_share *share, struct tumble_error *err);
enum tumble_code tumble_live_keeper_start(struct live_share *share, struct tumble_error *err);
void tumble_live_keeper_stop(struct live_share *share); /* without the lock */

#endif
