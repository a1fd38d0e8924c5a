#include "adapters/outputs/s3/s3_lane.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "adapters/outputs/s3/s3_manifest.h"
#include "engine/base/fail.h"

enum { MANIFEST_BYTES = 64 * 1024, ASK_MS = 100 };

/* ---- time ---- */

static int64_t own_remaining_ms(void *ctx) {
    struct tw_s3_lane *lane = ctx;
    if (!lane->sending) {
        tw_s3_lane_tell_end(lane);
    }
    int64_t end_ms = atomic_load(&lane->end_ms);
    return end_ms == INT64_MAX ? INT64_MAX : end_ms - tw_aws_host_real.steady_ms(tw_aws_host_real.ctx);
}

void tw_s3_lane_tell_end(struct tw_s3_lane *lane) {
    int64_t left = lane->host && lane->host->remaining_ms ? lane->host->remaining_ms(lane->host->ctx) : INT64_MAX;
    int64_t end_ms;
    if (__builtin_add_overflow(tw_aws_host_real.steady_ms(tw_aws_host_real.ctx), left, &end_ms)) {
        end_ms = INT64_MAX;
    }
    atomic_store(&lane->end_ms, end_ms);
}

/* ---- making ---- */

enum tumble_code tw_s3_lane_init(struct tw_s3_lane *lane, const struct tw_s3_lane_options *options,
                                 struct tumble_error *err) {
    struct tumble_output_open how = *options->how;
    memset(lane, 0, sizeof *lane);
    lane->alloc = options->alloc;
    lane->place = options->place;
    lane->identity = options->identity;
    lane->compression = options->compression;
    lane->source = how.source;
    lane->spec_digest = how.spec_digest;
    lane->host = how.host;
    lane->own_host.struct_size = sizeof lane->own_host;
    lane->own_host.ctx = lane;
    lane->own_host.remaining_ms = own_remaining_ms;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->done_changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    tw_buf_init(&lane->manifest_key, lane->alloc, TW_S3_KEY_BYTES);
    tw_buf_init(&lane->manifest, lane->alloc, MANIFEST_BYTES);
    tw_buf_init(&lane->names, lane->alloc, MANIFEST_BYTES);
    tw_s3_lane_tell_end(lane);
    how.host = &lane->own_host;
    TW_TRY(tw_output_client_open(&lane->client, TW_AWS_S3, &how, err));
    return tw_s3_upload_init(&lane->upload, &lane->client, lane->place->bucket, lane->compression,
                             options->if_none_match, lane->alloc, err);
}

void tw_s3_lane_clean_up(struct tw_s3_lane *lane) {
    if (!lane->alloc.release) {
        return;
    }
    if (lane->running) {
        atomic_store(&lane->end_ms, 0);
        pthread_join(lane->thread, NULL);
        lane->running = lane->sending = false;
    }
    tw_s3_lane_tell_end(lane); /* giving up an upload wants time too, if there is any */
    tw_s3_upload_clean_up(&lane->upload);
    tw_buf_clean_up(&lane->manifest_key);
    tw_buf_clean_up(&lane->manifest);
    tw_buf_clean_up(&lane->names);
    tw_output_client_close(&lane->client);
    pthread_cond_destroy(&lane->done_changed);
    pthread_mutex_destroy(&lane->mutex);
    memset(lane, 0, sizeof *lane);
}

/* ---- one fragment ---- */

static enum tumble_code keep_text(struct tw_s3_lane *lane, struct tumble_bytes *text) {
    size_t at = lane->names.length;
    TW_TRY(tw_buf_append(&lane->names, text->data, text->length));
    text->data = lane->names.data + at; /* room was made before: it does not move */
    return TUMBLE_OK;
}

static enum tumble_code keep_fragment(struct tw_s3_lane *lane, const struct tumble_fragment *fragment) {
    lane->fragment = *fragment;
    tw_buf_clear(&lane->names);
    TW_TRY(tw_buf_reserve(&lane->names, fragment->shard_id.length + fragment->first_sequence.length +
                                            fragment->last_sequence.length));
    TW_TRY(keep_text(lane, &lane->fragment.shard_id));
    TW_TRY(keep_text(lane, &lane->fragment.first_sequence));
    return keep_text(lane, &lane->fragment.last_sequence);
}

bool tw_s3_lane_holds(const struct tw_s3_lane *lane, const struct tumble_fragment *fragment) {
    const struct tumble_fragment *mine = &lane->fragment;
    return lane->course != TW_S3_NO_FRAGMENT && mine->window_start_ms == fragment->window_start_ms &&
           mine->window_end_ms == fragment->window_end_ms && tumble_bytes_equal(mine->shard_id, fragment->shard_id) &&
           tumble_bytes_equal(mine->first_sequence, fragment->first_sequence) &&
           tumble_bytes_equal(mine->last_sequence, fragment->last_sequence) && mine->row_count == fragment->row_count &&
           memcmp(mine->digest, fragment->digest, sizeof mine->digest) == 0;
}

/* The manifest that is there; *found false: none. */
static enum tumble_code look(struct tw_s3_lane *lane, struct tw_s3_manifest_seen *seen, bool *found,
                             struct tumble_error *err) {
    struct tw_output_client *client = &lane->client;
    struct tw_s3_object there;
    struct tumble_bytes key = tw_buf_view(&lane->manifest_key);
    /* Mostly there is none, which a HEAD tells in fewer bytes; a refusal it tells without words, so GET asks again. */
    enum tumble_code code = tw_s3_head(client->aws, lane->place->bucket, key, tw_output_client_deadline(client), &there,
                                       &client->answer, err);
    if (code == TUMBLE_EREJECTED || (code == TUMBLE_OK && there.found)) {
        code = tw_s3_get(client->aws, lane->place->bucket, key, MANIFEST_BYTES, tw_output_client_deadline(client),
                         &there, &client->answer, err);
    }
    TW_TRY(code);
    *found = there.found;
    if (!there.found) {
        return TUMBLE_OK;
    }
    code = tw_s3_manifest_read(there.body, seen, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err,
                        "s3://%s/%.*s is not a manifest that this version writes (remove it, or name another "
                        "prefix)",
                        lane->place->bucket, (int)(lane->manifest_key.length < 120 ? lane->manifest_key.length : 120),
                        lane->manifest_key.data);
    }
    return code;
}

/* The manifest says that the rows are there: is the object? */
static enum tumble_code is_whole(struct tw_s3_lane *lane, const struct tw_s3_manifest_seen *seen, bool *whole,
                                 struct tumble_error *err) {
    struct tw_output_client *client = &lane->client;
    struct tw_s3_object there;
    TW_TRY(tw_s3_head(client->aws, lane->place->bucket, tumble_bytes_of(seen->object),
                      tw_output_client_deadline(client), &there, &client->answer, err));
    *whole = there.found && there.size == seen->bytes;
    return TUMBLE_OK;
}

enum tumble_code tw_s3_lane_begin(struct tw_s3_lane *lane, const struct tumble_fragment *fragment, const char **note,
                                  struct tumble_error *err) {
    struct tw_s3_manifest_seen seen;
    bool found = false, whole = false;
    *note = NULL;
    lane->course = TW_S3_NO_FRAGMENT;
    lane->next_row = 0;
    lane->replaced[0] = '\0';
    tw_s3_upload_begin(&lane->upload);
    enum tumble_code code = keep_fragment(lane, fragment);
    code = code == TUMBLE_OK
               ? tw_s3_object_key(&lane->upload.key, lane->place->prefix, fragment, lane->identity, lane->compression)
               : code;
    code = code == TUMBLE_OK ? tw_s3_manifest_key(&lane->manifest_key, lane->place->prefix, fragment, lane->identity)
                             : code;
    if (code == TUMBLE_ELIMIT) {
        return tw_fail(err, TUMBLE_EUSAGE, "s3://%s: with this prefix the names of objects have more than %d bytes",
                       lane->place->bucket, TW_S3_KEY_BYTES);
    }
    if (code != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(look(lane, &seen, &found, err));
    switch (tw_s3_judge(found ? &seen : NULL, fragment)) {
    case TW_S3_THERE: TW_TRY(is_whole(lane, &seen, &whole, err)); break;
    case TW_S3_SUPERSEDED:
        whole = true;
        *note = "a longer fragment of the same beginning is there: nothing to write";
        break;
    case TW_S3_OVERLAP:
        *note = "other rows of the same records are there: rejected";
        lane->course = TW_S3_REJECTING;
        return TUMBLE_OK;
    case TW_S3_WRITE: break;
    }
    if (found && !whole && !tumble_bytes_equal(tumble_bytes_of(seen.object), tw_buf_view(&lane->upload.key))) {
        memcpy(lane->replaced, seen.object, sizeof lane->replaced);
    }
    lane->course = whole ? TW_S3_SKIPPING : TW_S3_WRITING;
    return TUMBLE_OK;
}

/* ---- sending ---- */

/* Makes the fragment at hand safe, when all of it is here. Repeats what failed. */
static enum tumble_code finish(struct tw_s3_lane *lane, struct tumble_error *err) {
    struct tw_output_client *client = &lane->client;
    if (lane->course != TW_S3_WRITING || !lane->upload.ended) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_s3_upload_send(&lane->upload, err));
    struct tw_s3_manifest manifest = {.object = tw_buf_view(&lane->upload.key),
                                      .compression = lane->compression == TW_COMPRESSION_GZIP   ? "gzip"
                                                     : lane->compression == TW_COMPRESSION_ZSTD ? "zstd"
                                                                                                : "none",
                                      .bytes = lane->upload.bytes,
                                      .source = lane->source,
                                      .spec_digest = lane->spec_digest,
                                      .fragment = lane->fragment};
    enum tumble_code code = tw_s3_manifest_write(&lane->manifest, &manifest);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    struct tw_s3_put put = {.bucket = lane->place->bucket,
                            .key = tw_buf_view(&lane->manifest_key),
                            .body = tw_buf_view(&lane->manifest),
                            .content_type = "application/json"};
    TW_TRY(tw_s3_put(client->aws, &put, tw_output_client_deadline(client), NULL, &client->answer, err));
    if (lane->replaced[0]) {
        TW_TRY(tw_s3_delete(client->aws, lane->place->bucket, tumble_bytes_of(lane->replaced),
                            tw_output_client_deadline(client), &client->answer, err));
        lane->replaced[0] = '\0';
    }
    lane->course = TW_S3_NO_FRAGMENT;
    return TUMBLE_OK;
}

static void *send_in_background(void *ctx) {
    struct tw_s3_lane *lane = ctx;
    enum tumble_code code = finish(lane, &lane->failure);
    pthread_mutex_lock(&lane->mutex);
    lane->code = code;
    lane->done = true;
    pthread_cond_signal(&lane->done_changed);
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

/* Without a thread to be had, settle sends. */
static void submit(struct tw_s3_lane *lane) {
    lane->done = false;
    lane->sending = true;
    lane->running = pthread_create(&lane->thread, NULL, send_in_background, lane) == 0;
    if (!lane->running) {
        lane->sending = false;
    }
}

static void wait_for_thread(struct tw_s3_lane *lane) {
    pthread_mutex_lock(&lane->mutex);
    while (!lane->done) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += ASK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (pthread_cond_timedwait(&lane->done_changed, &lane->mutex, &until) == ETIMEDOUT) {
            tw_s3_lane_tell_end(lane);
        }
    }
    pthread_mutex_unlock(&lane->mutex);
    pthread_join(lane->thread, NULL);
    lane->running = lane->sending = false;
}

enum tumble_code tw_s3_lane_settle(struct tw_s3_lane *lane, struct tumble_error *err) {
    if (lane->running) {
        wait_for_thread(lane);
        if (lane->code != TUMBLE_OK) { /* said once; the next settle sends again */
            if (err) {
                *err = lane->failure;
            }
            return lane->code;
        }
    }
    return finish(lane, err);
}

static enum tumble_code append(struct tw_s3_lane *lane, const struct tumble_row *row, struct tumble_error *err) {
    static const struct tumble_bytes newline = {"\n", 1};
    TW_TRY(tw_s3_upload_parts(&lane->upload, err)); /* before anything is taken: the row can come again */
    enum tumble_code code = tw_s3_upload_take(&lane->upload, row->json, err);
    code = code == TUMBLE_OK ? tw_s3_upload_take(&lane->upload, newline, err) : code;
    if (code == TUMBLE_OK && row->fragment_row + 1 == row->fragment->row_count) {
        code = tw_s3_upload_end(&lane->upload, err);
    }
    if (code != TUMBLE_OK) {
        lane->spoilt = true;
    }
    return code;
}

enum tumble_code tw_s3_lane_take(struct tw_s3_lane *lane, const struct tumble_row *row, struct tumble_error *err) {
    if (lane->course == TW_S3_WRITING) {
        TW_TRY(append(lane, row, err));
    }
    lane->next_row = row->fragment_row + 1;
    if (lane->course == TW_S3_WRITING && lane->upload.ended) {
        submit(lane);
    }
    return TUMBLE_OK;
}
