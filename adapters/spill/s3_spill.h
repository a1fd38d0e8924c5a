#ifndef TUMBLE_S3_SPILL_H
#define TUMBLE_S3_SPILL_H

#include <tumble/alloc.h>
#include <tumble/invoke.h>

/* "s3://BUCKET/PREFIX" as a spill store: an object is an object of the bucket, under PREFIX/. Threads: one at a time.
 */
struct tw_s3_spill;

struct tw_s3_spill_options {
    struct tumble_alloc alloc;
    const char *target;      /* "BUCKET/PREFIX", or "BUCKET"; copied */
    struct tumble_host host; /* remaining_ms bounds every call; borrowed */
    int warm;                /* 1: connect and load certificates now; a failure of that is not one of open */
};

/* Errors: EUSAGE (bucket, region, credentials that cannot be read), ENOMEM. */
enum tumble_code tw_s3_spill_open(const struct tw_s3_spill_options *options, struct tw_s3_spill **out,
                                  struct tumble_error *err);

/* Lives as long as the spill. Errors of its functions: EINVAL (a name that no engine gives), EOUTPUT (worth another
 * invocation), EREJECTED, EUSAGE (credentials), ELIMIT, ENOMEM. */
const struct tumble_spill_store *tw_s3_spill_store(const struct tw_s3_spill *spill);

void tw_s3_spill_close(struct tw_s3_spill *spill); /* NULL allowed */

#endif
