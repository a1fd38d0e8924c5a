#include "adapters/outputs/s3/s3_output.h"

#include <stdio.h>
#include <string.h>

#include "adapters/outputs/s3/s3_lane.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"

/* All lanes but one send while it is filled. A lane holds a part of an object (s3_upload.h), so they are few. */
enum { LANES = 4 };

struct s3_output {
    struct tumble_alloc alloc;
    char *target;
    struct tw_s3_place place;
    char identity[TW_S3_IDENTITY];
    const struct tumble_output_host *host;
    struct tw_s3_lane lanes[LANES];
    size_t at;                       /* the lane that takes rows */
    struct tw_output_client holding; /* for the reason of rows that wait: a lane's own may be in use */
};

static const char *const compressions[] = {"gzip", "zstd", "none", NULL};
static const struct tumble_output_option options[] = {
    TW_OUTPUT_CLIENT_OPTIONS,
    {.name = "compression",
     .type = TUMBLE_OPTION_ENUM,
     .default_value = "gzip",
     .help = "of the objects: gzip, zstd or none",
     .words = compressions},
    {.name = "if_none_match",
     .type = TUMBLE_OPTION_BOOLEAN,
     .default_value = "false",
     .help = "never replace an object of other content (a conditional write)"},
};

/* ---- open ---- */

static enum tumble_code s3_check(const struct tumble_output_open *how, struct tumble_error *err) {
    struct tw_s3_place place;
    return tw_s3_place_read(how->target, how->uri ? how->uri : "s3", &place, err);
}

static void s3_close(void *ptr) {
    struct s3_output *self = ptr;
    if (!self) {
        return;
    }
    for (size_t i = 0; i < LANES; i++) {
        tw_s3_lane_clean_up(&self->lanes[i]);
    }
    struct tumble_alloc alloc = self->alloc;
    tw_free(&alloc, self->target);
    tw_free(&alloc, self);
}

static enum tumble_code prepare(struct s3_output *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    static const enum tw_compression kinds[] = {TW_COMPRESSION_GZIP, TW_COMPRESSION_ZSTD, TW_COMPRESSION_NONE};
    const struct tumble_option_value *compression = tw_output_option(how, "compression");
    const struct tumble_option_value *if_none_match = tw_output_option(how, "if_none_match");
    bool known = compression && compression->number > 0 && compression->number < 3;
    struct tw_s3_lane_options lane = {.how = how,
                                      .place = &self->place,
                                      .identity = self->identity,
                                      .compression = kinds[known ? (size_t)compression->number : 0],
                                      .if_none_match = if_none_match && if_none_match->number,
                                      .alloc = self->alloc};
    self->host = how->host;
    if (!tw_utf8_valid(how->source)) { /* it stands in manifests */
        return tw_fail(err, TUMBLE_EUSAGE, "s3: the name of the source is not UTF-8: give another by --source");
    }
    self->target = tw_copy_text(&self->alloc, how->target, strlen(how->target));
    if (!self->target || tw_s3_identity(how->source, how->spec_digest, self->alloc, self->identity) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_s3_place_read(self->target, how->uri ? how->uri : "s3", &self->place, err));
    for (size_t i = 0; i < LANES; i++) {
        TW_TRY(tw_s3_lane_init(&self->lanes[i], &lane, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code s3_open(const struct tumble_output_open *how, void **out, struct tumble_error *err) {
    *out = NULL;
    struct tumble_alloc alloc = tw_alloc_default();
    struct s3_output *self = tw_alloc_zero(&alloc, sizeof *self);
    if (!self) {
        return tw_no_memory(err);
    }
    self->alloc = alloc;
    enum tumble_code code = prepare(self, how, err);
    if (code != TUMBLE_OK) {
        s3_close(self);
        return code;
    }
    *out = self;
    return TUMBLE_OK;
}

/* ---- rows ---- */

static void say(const struct s3_output *self, const struct tw_s3_lane *lane, const char *what) {
    char line[TUMBLE_ERROR_TEXT];
    if (self->host && self->host->say) {
        snprintf(line, sizeof line, "s3://%s/%.*s: %s", self->place.bucket,
                 (int)(lane->upload.key.length < 160 ? lane->upload.key.length : 160), lane->upload.key.data, what);
        self->host->say(self->host->ctx, line);
    }
}

/* The next lane takes a fragment, once what it took before is safe. One of the same beginning goes strictly before. */
static enum tumble_code begin(struct s3_output *self, const struct tumble_fragment *fragment,
                              struct tumble_error *err) {
    const char *note;
    size_t next = (self->at + 1) % LANES;
    for (size_t i = 0; i < LANES; i++) {
        const struct tumble_fragment *other = &self->lanes[i].fragment;
        if (i == next || (tumble_bytes_equal(other->first_sequence, fragment->first_sequence) &&
                          tumble_bytes_equal(other->shard_id, fragment->shard_id))) {
            TW_TRY(tw_s3_lane_settle(&self->lanes[i], err));
        }
    }
    TW_TRY(tw_s3_lane_begin(&self->lanes[next], fragment, &note, err));
    self->at = next;
    if (note) {
        say(self, &self->lanes[next], note);
    }
    return TUMBLE_OK;
}

static enum tumble_code take_row(struct s3_output *self, const struct tumble_row *row, struct tumble_delivery *out,
                                 struct tumble_error *err) {
    struct tw_s3_lane *lane = &self->lanes[self->at];
    if (!row->fragment) {
        return tw_fail(err, TUMBLE_EINVAL, "s3 takes rows of windows only");
    }
    bool at_hand = !lane->running && tw_s3_lane_holds(lane, row->fragment);
    if (row->fragment_row == 0 && !(at_hand && lane->next_row == 0)) {
        TW_TRY(begin(self, row->fragment, err));
        lane = &self->lanes[self->at];
    } else if (!at_hand || row->fragment_row != lane->next_row) {
        return tw_fail(err, TUMBLE_EINVAL, "s3 was given a fragment that does not begin with its first row");
    }
    bool rejected = lane->course == TW_S3_REJECTING; /* when the last row is taken the lane is not ours any more */
    TW_TRY(tw_s3_lane_take(lane, row, err));
    tw_output_delivered(out);
    if (rejected) {
        out->outcome = TUMBLE_REJECTED;
        out->reason = "overlap: the bucket holds other rows of the same records";
    }
    return TUMBLE_OK;
}

static void tell_end(struct s3_output *self) {
    for (size_t i = 0; i < LANES; i++) {
        tw_s3_lane_tell_end(&self->lanes[i]);
    }
}

static enum tumble_code s3_write(void *ptr, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                 struct tumble_error *err) {
    struct s3_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    tell_end(self);
    for (size_t i = 0; i < count; i++) {
        enum tumble_code code = take_row(self, &rows[i], &out[i], &failure);
        struct tw_s3_lane *lane = &self->lanes[self->at];
        if (code != TUMBLE_OK && lane->spoilt) { /* not held: the host opens anew and gives the fragment whole */
            if (err) {
                *err = failure;
            }
            return code;
        }
        if (code != TUMBLE_OK) {
            return tw_output_hold(&self->holding, out, i, count, code, &failure, err);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code s3_flush(void *ptr, int pending_done, struct tumble_error *err) {
    struct s3_output *self = ptr;
    (void)pending_done;
    tell_end(self);
    for (size_t i = 0; i < LANES; i++) {
        TW_TRY(tw_s3_lane_settle(&self->lanes[i], err));
    }
    return TUMBLE_OK;
}

const struct tumble_output_api tumble_s3_output = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "s3",
    .flags = TUMBLE_OUTPUT_WHOLE_FRAGMENTS | TUMBLE_OUTPUT_NO_FAILURES,
    .target = "//BUCKET/PREFIX",
    .summary = "an object of NDJSON for each shard and window, with a manifest; written again, it replaces itself",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .open = s3_open,
    .write = s3_write,
    .flush = s3_flush,
    .close = s3_close,
    .check = s3_check,
};
