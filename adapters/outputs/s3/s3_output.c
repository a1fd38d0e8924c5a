#include "adapters/outputs/s3/s3_output.h"

#include <stdio.h>
#include <string.h>

#include "adapters/outputs/s3/s3_key.h"
#include "adapters/outputs/s3/s3_manifest.h"
#include "adapters/outputs/s3/s3_upload.h"
#include "engine/base/fail.h"

enum { MANIFEST_BYTES = 64 * 1024 };

/* What becomes of the rows of the fragment at hand. */
enum course { NO_FRAGMENT, WRITING, SKIPPING, REJECTING };

struct s3_output {
    struct tumble_alloc alloc;
    struct tw_output_client client;
    char *target;
    struct tw_s3_place place;
    char identity[TW_S3_IDENTITY];
    enum tw_compression compression;
    struct tumble_bytes source; /* borrowed from the host */
    uint64_t spec_digest;
    struct tw_s3_upload_state upload;
    struct tw_buf manifest_key;
    struct tw_buf manifest;
    enum course course;
    struct tumble_fragment fragment; /* at hand; its texts stand in names */
    struct tw_buf names;
    uint64_t next_row;
    char replaced[1025]; /* key of an object that the one at hand supersedes under another name, or "" */
    bool spoilt;         /* a row may be in by half: only opening anew helps */
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
    tw_s3_upload_clean_up(&self->upload);
    tw_buf_clean_up(&self->manifest_key);
    tw_buf_clean_up(&self->manifest);
    tw_buf_clean_up(&self->names);
    tw_output_client_close(&self->client);
    struct tumble_alloc alloc = self->alloc;
    tw_free(&alloc, self->target);
    tw_free(&alloc, self);
}

static enum tumble_code prepare(struct s3_output *self, const struct tumble_output_open *how,
                                struct tumble_error *err) {
    static const enum tw_compression kinds[] = {TW_COMPRESSION_GZIP, TW_COMPRESSION_ZSTD, TW_COMPRESSION_NONE};
    const struct tumble_option_value *compression = tw_output_option(how, "compression");
    const struct tumble_option_value *if_none_match = tw_output_option(how, "if_none_match");
    self->compression =
        kinds[compression && compression->number > 0 && compression->number < 3 ? (size_t)compression->number : 0];
    self->source = how->source;
    self->spec_digest = how->spec_digest;
    tw_buf_init(&self->manifest_key, self->alloc, TW_S3_KEY_BYTES);
    tw_buf_init(&self->manifest, self->alloc, MANIFEST_BYTES);
    tw_buf_init(&self->names, self->alloc, MANIFEST_BYTES);
    self->target = tw_copy_text(&self->alloc, how->target, strlen(how->target));
    if (!self->target || tw_s3_identity(how->source, how->spec_digest, self->alloc, self->identity) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_s3_place_read(self->target, how->uri ? how->uri : "s3", &self->place, err));
    TW_TRY(tw_output_client_open(&self->client, TW_AWS_S3, how, err));
    return tw_s3_upload_init(&self->upload, &self->client, self->place.bucket, self->compression,
                             if_none_match && if_none_match->number, self->alloc, err);
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

/* ---- one fragment ---- */

static enum tumble_code keep_text(struct s3_output *self, struct tumble_bytes *text) {
    size_t at = self->names.length;
    TW_TRY(tw_buf_append(&self->names, text->data, text->length));
    text->data = self->names.data + at; /* room was made before: it does not move */
    return TUMBLE_OK;
}

static enum tumble_code keep_fragment(struct s3_output *self, const struct tumble_fragment *fragment) {
    self->fragment = *fragment;
    tw_buf_clear(&self->names);
    TW_TRY(tw_buf_reserve(&self->names, fragment->shard_id.length + fragment->first_sequence.length +
                                            fragment->last_sequence.length));
    TW_TRY(keep_text(self, &self->fragment.shard_id));
    TW_TRY(keep_text(self, &self->fragment.first_sequence));
    return keep_text(self, &self->fragment.last_sequence);
}

static bool is_at_hand(const struct s3_output *self, const struct tumble_fragment *fragment) {
    const struct tumble_fragment *mine = &self->fragment;
    return self->course != NO_FRAGMENT && mine->window_start_ms == fragment->window_start_ms &&
           mine->window_end_ms == fragment->window_end_ms && tumble_bytes_equal(mine->shard_id, fragment->shard_id) &&
           tumble_bytes_equal(mine->first_sequence, fragment->first_sequence) &&
           tumble_bytes_equal(mine->last_sequence, fragment->last_sequence) && mine->row_count == fragment->row_count &&
           memcmp(mine->digest, fragment->digest, sizeof mine->digest) == 0;
}

static void say(const struct s3_output *self, const char *what) {
    const struct tumble_output_host *host = self->client.host;
    char line[TUMBLE_ERROR_TEXT];
    if (host && host->say) {
        snprintf(line, sizeof line, "s3://%s/%.*s: %s", self->place.bucket,
                 (int)(self->upload.key.length < 160 ? self->upload.key.length : 160), self->upload.key.data, what);
        host->say(host->ctx, line);
    }
}

/* The manifest that is there; *found false: none. */
static enum tumble_code look(struct s3_output *self, struct tw_s3_manifest_seen *seen, bool *found,
                             struct tumble_error *err) {
    struct tw_output_client *client = &self->client;
    struct tw_s3_object there;
    struct tumble_bytes key = tw_buf_view(&self->manifest_key);
    /* Mostly there is none, which a HEAD tells in fewer bytes; a refusal it tells without words, so GET asks again. */
    enum tumble_code code = tw_s3_head(client->aws, self->place.bucket, key, tw_output_client_deadline(client), &there,
                                       &client->answer, err);
    if (code == TUMBLE_EREJECTED || (code == TUMBLE_OK && there.found)) {
        code = tw_s3_get(client->aws, self->place.bucket, key, MANIFEST_BYTES, tw_output_client_deadline(client),
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
                        self->place.bucket, (int)(self->manifest_key.length < 120 ? self->manifest_key.length : 120),
                        self->manifest_key.data);
    }
    return code;
}

/* The manifest says that the rows are there: is the object? */
static enum tumble_code is_whole(struct s3_output *self, const struct tw_s3_manifest_seen *seen, bool *whole,
                                 struct tumble_error *err) {
    struct tw_output_client *client = &self->client;
    struct tw_s3_object there;
    TW_TRY(tw_s3_head(client->aws, self->place.bucket, tumble_bytes_of(seen->object), tw_output_client_deadline(client),
                      &there, &client->answer, err));
    *whole = there.found && there.size == seen->bytes;
    return TUMBLE_OK;
}

static enum tumble_code begin(struct s3_output *self, const struct tumble_fragment *fragment,
                              struct tumble_error *err) {
    struct tw_s3_manifest_seen seen;
    bool found = false, whole = false;
    self->course = NO_FRAGMENT;
    self->next_row = 0;
    self->replaced[0] = '\0';
    tw_s3_upload_begin(&self->upload);
    enum tumble_code code = keep_fragment(self, fragment);
    code = code == TUMBLE_OK
               ? tw_s3_object_key(&self->upload.key, self->place.prefix, fragment, self->identity, self->compression)
               : code;
    code = code == TUMBLE_OK ? tw_s3_manifest_key(&self->manifest_key, self->place.prefix, fragment, self->identity)
                             : code;
    if (code == TUMBLE_ELIMIT) {
        return tw_fail(err, TUMBLE_EUSAGE, "s3://%s: with this prefix the names of objects have more than %d bytes",
                       self->place.bucket, TW_S3_KEY_BYTES);
    }
    if (code != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(look(self, &seen, &found, err));
    switch (tw_s3_judge(found ? &seen : NULL, fragment)) {
    case TW_S3_THERE: TW_TRY(is_whole(self, &seen, &whole, err)); break;
    case TW_S3_SUPERSEDED:
        whole = true;
        say(self, "a longer fragment of the same beginning is there: nothing to write");
        break;
    case TW_S3_OVERLAP:
        say(self, "other rows of the same records are there: rejected");
        self->course = REJECTING;
        return TUMBLE_OK;
    case TW_S3_WRITE: break;
    }
    if (found && !whole && !tumble_bytes_equal(tumble_bytes_of(seen.object), tw_buf_view(&self->upload.key))) {
        memcpy(self->replaced, seen.object, sizeof self->replaced);
    }
    self->course = whole ? SKIPPING : WRITING;
    return TUMBLE_OK;
}

/* Makes the fragment at hand safe, when all of it is here. Repeats what failed. */
static enum tumble_code finish(struct s3_output *self, struct tumble_error *err) {
    struct tw_output_client *client = &self->client;
    if (self->course != WRITING || !self->upload.ended) {
        return TUMBLE_OK;
    }
    TW_TRY(tw_s3_upload_send(&self->upload, err));
    struct tw_s3_manifest manifest = {.object = tw_buf_view(&self->upload.key),
                                      .compression = self->compression == TW_COMPRESSION_GZIP   ? "gzip"
                                                     : self->compression == TW_COMPRESSION_ZSTD ? "zstd"
                                                                                                : "none",
                                      .bytes = self->upload.bytes,
                                      .source = self->source,
                                      .spec_digest = self->spec_digest,
                                      .fragment = self->fragment};
    enum tumble_code code = tw_s3_manifest_write(&self->manifest, &manifest);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    struct tw_s3_put put = {.bucket = self->place.bucket,
                            .key = tw_buf_view(&self->manifest_key),
                            .body = tw_buf_view(&self->manifest),
                            .content_type = "application/json"};
    TW_TRY(tw_s3_put(client->aws, &put, tw_output_client_deadline(client), NULL, &client->answer, err));
    if (self->replaced[0]) {
        TW_TRY(tw_s3_delete(client->aws, self->place.bucket, tumble_bytes_of(self->replaced),
                            tw_output_client_deadline(client), &client->answer, err));
        self->replaced[0] = '\0';
    }
    self->course = NO_FRAGMENT;
    return TUMBLE_OK;
}

/* ---- rows ---- */

static enum tumble_code append(struct s3_output *self, const struct tumble_row *row, struct tumble_error *err) {
    static const struct tumble_bytes newline = {"\n", 1};
    TW_TRY(tw_s3_upload_parts(&self->upload, err)); /* before anything is taken: the row can come again */
    enum tumble_code code = tw_s3_upload_take(&self->upload, row->json, err);
    code = code == TUMBLE_OK ? tw_s3_upload_take(&self->upload, newline, err) : code;
    if (code == TUMBLE_OK && row->fragment_row + 1 == row->fragment->row_count) {
        code = tw_s3_upload_end(&self->upload, err);
    }
    if (code != TUMBLE_OK) {
        self->spoilt = true;
    }
    return code;
}

static enum tumble_code take_row(struct s3_output *self, const struct tumble_row *row, struct tumble_delivery *out,
                                 struct tumble_error *err) {
    if (!row->fragment) {
        return tw_fail(err, TUMBLE_EINVAL, "s3 takes rows of windows only");
    }
    if (row->fragment_row == 0 && !(is_at_hand(self, row->fragment) && self->next_row == 0)) {
        TW_TRY(finish(self, err));
        TW_TRY(begin(self, row->fragment, err));
    } else if (!is_at_hand(self, row->fragment) || row->fragment_row != self->next_row) {
        return tw_fail(err, TUMBLE_EINVAL, "s3 was given a fragment that does not begin with its first row");
    }
    if (self->course == WRITING) {
        TW_TRY(append(self, row, err));
    }
    self->next_row = row->fragment_row + 1;
    tw_output_delivered(out);
    if (self->course == REJECTING) {
        out->outcome = TUMBLE_REJECTED;
        out->reason = "overlap: the bucket holds other rows of the same records";
    }
    return TUMBLE_OK;
}

static enum tumble_code s3_write(void *ptr, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                 struct tumble_error *err) {
    struct s3_output *self = ptr;
    struct tumble_error failure = {.byte = -1, .record = -1};
    for (size_t i = 0; i < count; i++) {
        enum tumble_code code = take_row(self, &rows[i], &out[i], &failure);
        if (code != TUMBLE_OK && self->spoilt) { /* not held: the host opens anew and gives the fragment whole */
            if (err) {
                *err = failure;
            }
            return code;
        }
        if (code != TUMBLE_OK) {
            return tw_output_hold(&self->client, out, i, count, code, &failure, err);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code s3_flush(void *ptr, int pending_done, struct tumble_error *err) {
    (void)pending_done;
    return finish(ptr, err);
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
