#include "adapters/inputs/kinesis/kinesis_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/aws/aws_text.h"
#include "adapters/inputs/kinesis/get_records_body.h"
#include "adapters/inputs/kinesis/kinesis_internal.h"
#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

enum {
    CREATING_WAIT_MS = 5 * 60 * 1000,
    CREATING_POLL_MS = 1000,
    WAIT_SLICE_MS = 100,
    TOKEN_BYTES = 1024 * 1024,
    PAGES_MOST = TW_LIMIT_SHARDS, /* a page without a shard ends nothing, but no server may go on for ever */
    HOUR_MS = 3600 * 1000
};

struct tumble_kinesis_stream {
    struct tw_kinesis_base base;
    struct tw_kinesis_summary summary;
    char region[64];
    struct tumble_kinesis_shard *shards;
    size_t count;
    size_t capacity;
    struct tumble_kinesis_shard *former; /* as they were listed before, by id */
    size_t former_count;
    size_t former_capacity;
    struct tw_buf token;
};

const struct tw_kinesis_base *tw_kinesis_stream_base(const struct tumble_kinesis_stream *stream) {
    return &stream->base;
}

int64_t tw_kinesis_stream_retention_ms(const struct tumble_kinesis_stream *stream) {
    return stream->summary.retention_hours * HOUR_MS;
}

/* ---- finding ---- */

static bool is_gone(const struct tw_aws_answer *answer) {
    return tw_aws_answer_is(answer, "ResourceNotFoundException");
}

static enum tumble_code describe(struct tumble_kinesis_stream *stream, struct tumble_error *err) {
    struct tw_kinesis_base *base = &stream->base;
    struct tw_kinesis_stream name = tw_kinesis_base_stream(base);
    enum tumble_code code = tw_kinesis_describe(base->client, &name, 0, &stream->summary, &base->answer, err);
    /* Servers that know names only refuse a request without one. */
    if (code == TUMBLE_EREJECTED && base->by_arn && !is_gone(&base->answer) &&
        (tw_aws_answer_is(&base->answer, "ValidationException") ||
         tw_aws_answer_is(&base->answer, "SerializationException"))) {
        base->by_arn = false;
        name = tw_kinesis_base_stream(base);
        code = tw_kinesis_describe(base->client, &name, 0, &stream->summary, &base->answer, err);
    }
    return code;
}

static enum tumble_code no_such_stream(const struct tumble_kinesis_stream *stream, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EINPUT,
                   "no stream %s in %s of this account: look at the name and the region, or name the stream by its ARN",
                   stream->base.name, tw_aws_client_region(stream->base.client));
}

static bool wait_a_while(const struct tw_kinesis_base *base, int64_t until_ms) {
    int64_t now = tw_kinesis_base_steady_ms(base);
    int64_t end = now + CREATING_POLL_MS < until_ms ? now + CREATING_POLL_MS : until_ms;
    while (now < end && !tw_kinesis_base_interrupted(base)) {
        base->host.sleep_ms(base->host.ctx, end - now < WAIT_SLICE_MS ? end - now : WAIT_SLICE_MS);
        now = tw_kinesis_base_steady_ms(base);
    }
    return now < until_ms;
}

static enum tumble_code find(struct tumble_kinesis_stream *stream, struct tumble_error *err) {
    struct tw_kinesis_base *base = &stream->base;
    int64_t wait_ms = base->options.creating_wait_ms;
    int64_t until = tw_kinesis_base_steady_ms(base) + (wait_ms ? wait_ms : CREATING_WAIT_MS);
    for (;;) {
        enum tumble_code code = describe(stream, err);
        if (code == TUMBLE_EREJECTED && is_gone(&base->answer)) {
            return no_such_stream(stream, err);
        }
        if (code != TUMBLE_OK) {
            return tw_kinesis_explain(base, code, err);
        }
        if (strcmp(stream->summary.status, "DELETING") == 0) {
            return tw_fail(err, TUMBLE_EINPUT, "stream %s is being deleted", base->name);
        }
        if (strcmp(stream->summary.status, "CREATING") != 0) {
            return TUMBLE_OK;
        }
        if (!wait_a_while(base, until)) {
            return tw_fail(err, TUMBLE_EINPUT, "stream %s is still being made: try again once it is ACTIVE",
                           base->name);
        }
        if (tw_kinesis_base_interrupted(base)) {
            return tw_fail(err, TUMBLE_EINTERRUPTED, "stopped while waiting for stream %s to be made", base->name);
        }
    }
}

static void take_region(struct tumble_kinesis_stream *stream) {
    const char *at = stream->summary.arn;
    for (int colons = 0; colons < 3 && at; colons++) {
        at = strchr(at, ':');
        at = at ? at + 1 : NULL;
    }
    size_t length = at ? strcspn(at, ":") : 0;
    if (length == 0 || length >= sizeof stream->region) {
        snprintf(stream->region, sizeof stream->region, "%.60s", tw_aws_client_region(stream->base.client));
    } else {
        memcpy(stream->region, at, length);
        stream->region[length] = '\0';
    }
}

enum tumble_code tumble_kinesis_open(const struct tumble_kinesis_options *options, struct tumble_kinesis_stream **out,
                                     struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tumble_kinesis_stream *stream = tw_alloc_zero(&alloc, sizeof *stream);
    *out = NULL;
    if (!stream) {
        return tw_no_memory(err);
    }
    tw_buf_init(&stream->token, alloc, TOKEN_BYTES);
    enum tumble_code code = tw_kinesis_base_init(&stream->base, options, err);
    code = code == TUMBLE_OK ? find(stream, err) : code;
    if (code != TUMBLE_OK) {
        tumble_kinesis_close(stream);
        return code;
    }
    memcpy(stream->base.arn, stream->summary.arn, sizeof stream->base.arn);
    take_region(stream);
    *out = stream;
    return TUMBLE_OK;
}

void tumble_kinesis_close(struct tumble_kinesis_stream *stream) {
    if (!stream) {
        return;
    }
    struct tumble_alloc alloc = stream->base.alloc;
    tw_kinesis_base_clean_up(&stream->base);
    tw_buf_clean_up(&stream->token);
    tw_free(&alloc, stream->shards);
    tw_free(&alloc, stream->former);
    tw_free(&alloc, stream);
}

void tumble_kinesis_facts(const struct tumble_kinesis_stream *stream, struct tumble_kinesis_facts *out) {
    const struct tw_kinesis_summary *summary = &stream->summary;
    *out = (struct tumble_kinesis_facts){
        .name = stream->base.name,
        .arn = stream->base.arn,
        .region = stream->region,
        .status = summary->status,
        .retention_ms = tw_kinesis_stream_retention_ms(stream),
        .created_ms = summary->created_ms,
        .open_shards =
            summary->open_shards > 0 && summary->open_shards < UINT32_MAX ? (uint32_t)summary->open_shards : 0,
        .encrypted = strcmp(summary->encryption, "KMS") == 0,
    };
}

int64_t tumble_kinesis_steady_ms(const struct tumble_kinesis_stream *stream) {
    return tw_kinesis_base_steady_ms(&stream->base);
}

int64_t tumble_kinesis_now_ms(const struct tumble_kinesis_stream *stream) {
    return tw_kinesis_base_now_ms(&stream->base);
}

/* As the failure of a call is told by this layer's functions. */
static enum tumble_code failed(struct tumble_kinesis_stream *stream, enum tumble_code code, int *may_pass,
                               struct tumble_error *err) {
    if (code == TUMBLE_EREJECTED && is_gone(&stream->base.answer)) {
        return tw_fail(err, TUMBLE_EINPUT, "stream %s is gone: it was deleted", stream->base.name);
    }
    if (may_pass) {
        *may_pass = tw_kinesis_may_pass(&stream->base, code);
    }
    return tw_kinesis_explain(&stream->base, code, err);
}

static enum tumble_code made_anew(const struct tumble_kinesis_stream *stream, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EINPUT,
                   "stream %s was deleted and made anew while it was read: what it holds now is another stream's",
                   stream->base.name);
}

enum tumble_code tumble_kinesis_refresh(struct tumble_kinesis_stream *stream, int *may_pass, struct tumble_error *err) {
    struct tw_kinesis_summary before = stream->summary;
    if (may_pass) {
        *may_pass = 0;
    }
    enum tumble_code code = describe(stream, err);
    if (code != TUMBLE_OK) {
        stream->summary = before;
        return failed(stream, code, may_pass, err);
    }
    if (stream->summary.created_ms != before.created_ms) {
        stream->summary = before;
        return made_anew(stream, err);
    }
    return TUMBLE_OK;
}

/* ---- shards ---- */

static struct tumble_kinesis_shard *add_shard(struct tumble_kinesis_stream *stream) {
    if (stream->count == stream->capacity) {
        size_t capacity = stream->capacity ? stream->capacity * 2 : 16;
        void *shards = tw_resize(&stream->base.alloc, stream->shards, stream->capacity * sizeof *stream->shards,
                                 capacity * sizeof *stream->shards);
        if (!shards) {
            return NULL;
        }
        stream->shards = shards;
        stream->capacity = capacity;
    }
    return memset(&stream->shards[stream->count++], 0, sizeof *stream->shards);
}

static bool read_id(const struct tumble_value *shard, const char *name, char out[TUMBLE_KINESIS_ID]) {
    struct tumble_value value;
    return tw_json_member(shard, name, &value) && value.length < TUMBLE_KINESIS_ID &&
           tw_json_member_text(shard, name, out, TUMBLE_KINESIS_ID) && tw_kinesis_is_name(tumble_bytes_of(out));
}

static bool read_shard(const struct tumble_value *value, struct tumble_kinesis_shard *shard) {
    struct tumble_value range;
    struct tumble_value numbers;
    struct tumble_value ending;
    char digits[48];
    if (value->type != TUMBLE_TYPE_OBJECT || !read_id(value, "ShardId", shard->id)) {
        return false;
    }
    if (!read_id(value, "ParentShardId", shard->parent_id)) {
        shard->parent_id[0] = '\0';
    }
    if (!read_id(value, "AdjacentParentShardId", shard->adjacent_id)) {
        shard->adjacent_id[0] = '\0';
    }
    if (!tw_json_member(value, "HashKeyRange", &range) || range.type != TUMBLE_TYPE_OBJECT ||
        !tw_json_member_text(&range, "StartingHashKey", digits, sizeof digits) ||
        !tw_hash_key_read(tumble_bytes_of(digits), &shard->begin) ||
        !tw_json_member_text(&range, "EndingHashKey", digits, sizeof digits) ||
        !tw_hash_key_read(tumble_bytes_of(digits), &shard->end)) {
        return false;
    }
    if (tw_json_member(value, "SequenceNumberRange", &numbers) && numbers.type == TUMBLE_TYPE_OBJECT) {
        tw_json_member_text(&numbers, "StartingSequenceNumber", shard->starting_sequence,
                            sizeof shard->starting_sequence);
        shard->is_closed =
            tw_json_member(&numbers, "EndingSequenceNumber", &ending) && ending.type == TUMBLE_TYPE_STRING;
    }
    return true;
}

static enum tumble_code take_page(struct tumble_kinesis_stream *stream, const struct tumble_value *shards,
                                  struct tumble_error *err) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value each;
    tw_json_walk_begin(&walk, shards);
    while (tw_json_walk_next(&walk, &key, &each)) {
        if (stream->count == TW_LIMIT_SHARDS) {
            return tw_fail(err, TUMBLE_ELIMIT, "stream %s has more than %d shards", stream->base.name, TW_LIMIT_SHARDS);
        }
        struct tumble_kinesis_shard *shard = add_shard(stream);
        if (!shard) {
            return tw_no_memory(err);
        }
        if (!read_shard(&each, shard)) {
            return tw_fail(err, TUMBLE_EINPUT,
                           "stream %s: kinesis ListShards: shard %zu has no ShardId or HashKeyRange", stream->base.name,
                           stream->count);
        }
    }
    return TUMBLE_OK;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct tumble_kinesis_shard *)a)->id, ((const struct tumble_kinesis_shard *)b)->id);
}

static const struct tumble_kinesis_shard *find_shard(const struct tumble_kinesis_stream *stream, const char *id) {
    struct tumble_kinesis_shard wanted;
    memcpy(wanted.id, id, sizeof wanted.id);
    return stream->count ? bsearch(&wanted, stream->shards, stream->count, sizeof *stream->shards, by_id) : NULL;
}

static uint32_t index_of(const struct tumble_kinesis_stream *stream, const char *id) {
    const struct tumble_kinesis_shard *found = *id ? find_shard(stream, id) : NULL;
    return found ? (uint32_t)(found - stream->shards) : UINT32_MAX;
}

/* A server that ignores NextToken gives the same shards again: each counts once. */
static void put_in_order(struct tumble_kinesis_stream *stream) {
    size_t kept = 0;
    if (stream->count) {
        qsort(stream->shards, stream->count, sizeof *stream->shards, by_id);
    }
    for (size_t i = 0; i < stream->count; i++) {
        if (i && by_id(&stream->shards[i], &stream->shards[kept - 1]) == 0) {
            continue;
        }
        if (kept != i) {
            stream->shards[kept] = stream->shards[i];
        }
        kept++;
    }
    stream->count = kept;
    for (size_t i = 0; i < kept; i++) {
        stream->shards[i].parents[0] = index_of(stream, stream->shards[i].parent_id);
        stream->shards[i].parents[1] = index_of(stream, stream->shards[i].adjacent_id);
    }
}

static bool same_token(const struct tw_buf *token, const struct tumble_value *next) {
    return tw_json_string_equal(next, tw_buf_view(token)) && token->length > 0;
}

static enum tumble_code list(struct tumble_kinesis_stream *stream, int *may_pass, struct tumble_error *err) {
    struct tw_kinesis_base *base = &stream->base;
    struct tw_kinesis_stream name = tw_kinesis_base_stream(base);
    struct tumble_value shards;
    struct tumble_value next;
    stream->count = 0;
    tw_buf_clear(&stream->token);
    for (int page = 0; page < PAGES_MOST; page++) {
        enum tumble_code code = tw_kinesis_list_shards(base->client, &name, tw_buf_view(&stream->token), 0, &shards,
                                                       &next, &base->answer, err);
        if (code == TUMBLE_EREJECTED && stream->token.length &&
            tw_aws_answer_is(&base->answer, "ExpiredNextTokenException")) {
            stream->count = 0; /* from the first page on */
            tw_buf_clear(&stream->token);
            continue;
        }
        if (code != TUMBLE_OK) {
            return failed(stream, code, may_pass, err);
        }
        TW_TRY(take_page(stream, &shards, err));
        if (next.type != TUMBLE_TYPE_STRING || same_token(&stream->token, &next)) {
            return TUMBLE_OK;
        }
        tw_buf_clear(&stream->token);
        code = tw_json_unescape(&next, &stream->token);
        if (code != TUMBLE_OK) {
            return code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                         : tw_fail(err, TUMBLE_EINPUT, "kinesis ListShards: NextToken is too long");
        }
    }
    return tw_fail(err, TUMBLE_EINPUT, "stream %s: the list of shards has no end", base->name);
}

/* ---- one that was deleted and made anew ---- */

/* Those that the last good listing gave. */
static void keep_former(struct tumble_kinesis_stream *stream) {
    struct tumble_kinesis_shard *shards = stream->former;
    size_t capacity = stream->former_capacity;
    if (stream->count == 0) {
        return;
    }
    stream->former = stream->shards;
    stream->former_count = stream->count;
    stream->former_capacity = stream->capacity;
    stream->shards = shards;
    stream->capacity = capacity;
    stream->count = 0;
}

/* Its shards bear the same names but begin elsewhere. Where none of the names is left, as after resharding, shards that
 * were open are gone, which happens in no other way: then the stream says when it was made. */
static enum tumble_code compare_with_former(struct tumble_kinesis_stream *stream, int *may_pass,
                                            struct tumble_error *err) {
    bool is_open_one_gone = false;
    for (size_t i = 0; i < stream->former_count; i++) {
        const struct tumble_kinesis_shard *was = &stream->former[i], *is = find_shard(stream, was->id);
        is_open_one_gone |= !is && !was->is_closed;
        if (is && is->starting_sequence[0] && was->starting_sequence[0] &&
            strcmp(is->starting_sequence, was->starting_sequence) != 0) {
            return made_anew(stream, err);
        }
    }
    return is_open_one_gone ? tumble_kinesis_refresh(stream, may_pass, err) : TUMBLE_OK;
}

enum tumble_code tumble_kinesis_shards(struct tumble_kinesis_stream *stream, const struct tumble_kinesis_shard **shards,
                                       size_t *count, int *may_pass, struct tumble_error *err) {
    *shards = NULL;
    *count = 0;
    if (may_pass) {
        *may_pass = 0;
    }
    keep_former(stream);
    enum tumble_code code = list(stream, may_pass, err);
    if (code == TUMBLE_OK) {
        put_in_order(stream);
        code = compare_with_former(stream, may_pass, err);
    }
    if (code != TUMBLE_OK) {
        stream->count = 0; /* the former ones stay */
        return code;
    }
    *shards = stream->shards;
    *count = stream->count;
    return TUMBLE_OK;
}
