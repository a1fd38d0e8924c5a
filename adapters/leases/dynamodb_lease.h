#ifndef TUMBLE_DYNAMODB_LEASE_H
#define TUMBLE_DYNAMODB_LEASE_H

/* Leases on shards in a DynamoDB table, so that several processes share a stream: one item for each shard, owned by one
 * process at a time (design R5; docs/streams.md shows the item). Every write is conditional. A process that owns a
 * shard moves the item's counter; who has seen a counter stand still for as long as a lease lasts, on a clock of its
 * own, may take the shard. `term` changes with every taking, and with nothing else.
 *
 * One thread at a time. Texts are UTF-8. */

#include <stdint.h>

#include <tumble/error.h>

enum {
    TUMBLE_LEASE_NAME = 129, /* of a shard or sequence number, with its NUL */
    TUMBLE_LEASE_OWNER = 161,
    TUMBLE_LEASE_GROUP_ID = 17
};

/* Where reading begins: what stands before is delivered. */
enum tumble_lease_position {
    TUMBLE_LEASE_FROM_START = 0, /* where the group of processes began */
    TUMBLE_LEASE_AT = 1,         /* with the record of that number */
    TUMBLE_LEASE_AFTER = 2       /* behind it */
};

/* A fragment of a window that was closed: whoever reads its records again closes it there. */
struct tumble_lease_cut {
    int64_t start_ms; /* of the window */
    char first[TUMBLE_LEASE_NAME];
    char last[TUMBLE_LEASE_NAME];
    int is_delivered; /* its rows are at every output: its records are passed over */
};

struct tumble_lease {
    char shard[TUMBLE_LEASE_NAME];
    char owner[TUMBLE_LEASE_OWNER];     /* "": nobody */
    char wanted_by[TUMBLE_LEASE_OWNER]; /* asks the owner to give it up; "": nobody */
    uint64_t counter;
    uint64_t term;
    enum tumble_lease_position position;
    char sequence[TUMBLE_LEASE_NAME];
    int64_t arrival_ms;            /* of that record; -1: not known */
    int is_done;                   /* read to its end and delivered */
    struct tumble_lease_cut *cuts; /* ascending as they were closed; freed by tumble_lease_clean_up */
    uint32_t cut_count;
    uint32_t cut_capacity;
};
void tumble_lease_clean_up(struct tumble_lease *lease);
/* NULL: no memory. */
struct tumble_lease_cut *tumble_lease_add_cut(struct tumble_lease *lease);
/* What an owner keeps of it: position, cuts, done. Errors: ENOMEM. */
enum tumble_code tumble_lease_copy(struct tumble_lease *to, const struct tumble_lease *from);

struct tumble_leases;

/* What every process of a group must have in common. */
struct tumble_lease_group {
    const char *source;
    uint64_t spec_digest;
    int64_t window_ms;
    int64_t created_ms; /* of the stream */
    int start;          /* enum tumble_kinesis_start, where unknown shards begin; out: the group's */
    int64_t start_ms;
    /* Of this table's group alone, drawn at random when it was founded; out: the group's. Another one under the same
     * name is one of a table, or items, deleted and made anew: terms begin there again. */
    char id[TUMBLE_LEASE_GROUP_ID];
};

struct tumble_leases_options {
    const char *table;
    const char *application; /* names the group */
    const char *owner;       /* of this process alone, ever */
    const char *region;
    const char *profile;
    const char *endpoint_url; /* all NULL: as AWS's tools find them */
    int64_t call_ms;          /* limit of a call with its retries */
    int (*interrupted)(void *ctx);
    void *interrupted_ctx;
};

/* Errors: ENOMEM, EUSAGE. Sends nothing. */
enum tumble_code tumble_leases_open(const struct tumble_leases_options *options, struct tumble_leases **out,
                                    struct tumble_error *err);
void tumble_leases_close(struct tumble_leases *leases); /* NULL allowed */

/* Makes the table when it is missing (on-demand) and joins the group, or founds it; group->start and start_ms are then
 * those it was founded with. Errors: EMISMATCH (another spec, window or stream under that name), EUSAGE (a table of
 * another key), EINPUT (refused), EOUTPUT (not to be reached), EINTERRUPTED, ENOMEM. */
enum tumble_code tumble_leases_join(struct tumble_leases *leases, struct tumble_lease_group *group,
                                    struct tumble_error *err);

/* Every shard's lease. visit borrows. Errors: EOUTPUT (may pass), EMISMATCH (the group that was joined is there no
 * more), EINPUT, EINTERRUPTED, ENOMEM, what visit returns. */
typedef enum tumble_code tumble_lease_fn(void *ctx, const struct tumble_lease *lease);
enum tumble_code tumble_leases_list(struct tumble_leases *leases, tumble_lease_fn *visit, void *ctx,
                                    struct tumble_error *err);

/* Each of these writes under a condition. *done 0: it no longer holds, the lease is another's (whose, lease->owner says
 * then; or, of take, it was not as described any more). Errors: as of list; after EOUTPUT the write may have happened,
 * and the next call finds out. */

/* For a shard that has none yet; *done is always 1: somebody made it. */
enum tumble_code tumble_leases_make(struct tumble_leases *leases, const char *shard, struct tumble_error *err);
/* As seen by list: that owner (or none), counter and term. lease becomes what is there. */
enum tumble_code tumble_leases_take(struct tumble_leases *leases, struct tumble_lease *lease, int *done,
                                    struct tumble_error *err);
/* Moves the counter; lease->wanted_by is then what is there. */
enum tumble_code tumble_leases_renew(struct tumble_leases *leases, struct tumble_lease *lease, int *done,
                                     struct tumble_error *err);
/* Writes position, cuts and is_done as they stand in lease, and moves the counter; gives_up: it is nobody's afterwards.
 */
enum tumble_code tumble_leases_write(struct tumble_leases *leases, struct tumble_lease *lease, int gives_up, int *done,
                                     struct tumble_error *err);
/* Asks the owner for it. */
enum tumble_code tumble_leases_want(struct tumble_leases *leases, const struct tumble_lease *lease, int *done,
                                    struct tumble_error *err);
/* Of a shard that is done and that the stream no longer has. */
enum tumble_code tumble_leases_remove(struct tumble_leases *leases, const char *shard, struct tumble_error *err);

#endif
