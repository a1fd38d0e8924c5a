#ifndef TW_S3_LANE_H
#define TW_S3_LANE_H

#include <pthread.h>
#include <stdatomic.h>

#include "adapters/outputs/client/output_client.h"
#include "adapters/outputs/s3/s3_key.h"
#include "adapters/outputs/s3/s3_upload.h"

/* One fragment on its way: looked up (is it there already?), taken row by row, then sent in the background with its
 * manifest, while the next fragment is taken by another lane. All functions are called from one thread; between submit
 * and settle the lane belongs to its own. */

/* What becomes of the rows of the fragment at hand. */
enum tw_s3_course { TW_S3_NO_FRAGMENT, TW_S3_WRITING, TW_S3_SKIPPING, TW_S3_REJECTING };

struct tw_s3_lane {
    struct tumble_alloc alloc;
    struct tw_output_client client;
    const struct tw_s3_place *place;
    const char *identity;
    enum tw_compression compression;
    struct tumble_bytes source;
    uint64_t spec_digest;
    struct tw_s3_upload_state upload;
    struct tw_buf manifest_key;
    struct tw_buf manifest;
    enum tw_s3_course course;
    struct tumble_fragment fragment; /* at hand; its texts stand in names */
    struct tw_buf names;
    uint64_t next_row;
    char replaced[1025]; /* key of an object that the one at hand supersedes under another name, or "" */
    bool spoilt;         /* a row may be in by half: only opening anew helps */
    /* The thread that sends. The host is asked only inside a call of its own, so the lane's client asks this one: while
     * the thread runs, the end it was last told of, on the steady clock. */
    struct tumble_output_host own_host;
    const struct tumble_output_host *host;
    _Atomic int64_t end_ms;
    pthread_t thread;
    bool running;
    bool sending; /* the thread has the lane: set before it starts, unset after it was joined */
    pthread_mutex_t mutex;
    pthread_cond_t done_changed;
    bool done;
    enum tumble_code code;
    struct tumble_error failure;
};

struct tw_s3_lane_options {
    const struct tumble_output_open *how;
    const struct tw_s3_place *place; /* borrowed, as identity */
    const char *identity;
    enum tw_compression compression;
    bool if_none_match;
    struct tumble_alloc alloc;
};

/* The lane must stay where it is. clean_up ends what is under way, is idempotent, and takes a zeroed lane. */
enum tumble_code tw_s3_lane_init(struct tw_s3_lane *lane, const struct tw_s3_lane_options *options,
                                 struct tumble_error *err);
void tw_s3_lane_clean_up(struct tw_s3_lane *lane);

/* Asks the host how long there is; at the beginning of every call from it. */
void tw_s3_lane_tell_end(struct tw_s3_lane *lane);

/* Is it this fragment that is being taken? */
bool tw_s3_lane_holds(const struct tw_s3_lane *lane, const struct tumble_fragment *fragment);
/* Begins a fragment; the one before must be settled. *note: a line for people, or NULL. */
enum tumble_code tw_s3_lane_begin(struct tw_s3_lane *lane, const struct tumble_fragment *fragment, const char **note,
                                  struct tumble_error *err);
/* Takes the next row of the fragment; the last one begins the sending. */
enum tumble_code tw_s3_lane_take(struct tw_s3_lane *lane, const struct tumble_row *row, struct tumble_error *err);
/* Waits until a whole fragment is safe, and sends again what failed. A fragment that is not whole yet, or none: OK. */
enum tumble_code tw_s3_lane_settle(struct tw_s3_lane *lane, struct tumble_error *err);

#endif
