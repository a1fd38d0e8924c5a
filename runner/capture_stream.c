#include "runner/capture_stream.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tumble/kpl.h>

#include "adapters/inputs/capture/capture_fields.h"
#include "emulator/emulator.h"
#include "runner/memory.h"

enum {
    BLOCK_BYTES = 256 * 1024,
    AT_LEAST = 1024, /* records of a shard that a read looks for, if it may give as many */
    SEQUENCE_BYTES = 128,
    SHARDS_MAX = 10000,
    ASK_EVERY = 4096 /* records, whether to stop */
};

/* Bytes of records, in order. */
struct block {
    struct block *next;
    size_t used, capacity;
    uint64_t last; /* position in its shard of the last record that lies in it */
    char bytes[];
};

struct queue {
    struct tumble_stream_record *records; /* that were not given yet */
    size_t front, end, capacity;
    uint64_t appended; /* records in all */
    struct block *first, *last;
    char mark[SEQUENCE_BYTES]; /* sequence number of the last record */
    size_t mark_length;
};

struct tumble_capture_stream {
    struct tumble_capture_stream_options options;
    struct tumble_capture_stream_facts facts;
    struct tumble_capture *capture;
    struct tumble_projection *projection;
    int timestamp_index, key_index; /* among the projected fields; -1: not projected */
    int takes_timestamp;
    int names_shards;
    int at_end;
    int is_open;
    struct tumble_sharder *sharder;
    struct tumble_kpl *kpl; /* NULL: aggregates stay whole */
    struct tumble_stream_shard *shards;
    struct queue *queues;
    uint32_t shard_count;
    size_t shard_capacity, queue_capacity;
    uint32_t last_shard;
    struct block *spare;
    char sequence[TUMBLE_SEQUENCE_TEXT];
    char *arn;
    struct tumble_stream view;
};

static enum tumble_code no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

/* ---- blocks ---- */

static struct block *new_block(struct tumble_capture_stream *stream, size_t least) {
    struct block *block = stream->spare;
    if (block && block->capacity >= least) {
        stream->spare = block->next;
    } else {
        size_t capacity = least > BLOCK_BYTES ? least : BLOCK_BYTES;
        block = tumble_runner_alloc(sizeof *block + capacity);
        if (!block) {
            return NULL;
        }
        block->capacity = capacity;
    }
    block->next = NULL;
    block->used = 0;
    return block;
}

static char *room_for(struct tumble_capture_stream *stream, struct queue *queue, size_t length) {
    if (!queue->last || queue->last->capacity - queue->last->used < length) {
        struct block *block = new_block(stream, length);
        if (!block) {
            return NULL;
        }
        *(queue->last ? &queue->last->next : &queue->first) = block;
        queue->last = block;
    }
    char *at = queue->last->bytes + queue->last->used;
    queue->last->used += length;
    queue->last->last = queue->appended;
    return at;
}

static void free_blocks(struct block *block) {
    while (block) {
        struct block *next = block->next;
        tumble_runner_free(block);
        block = next;
    }
}

static struct tumble_bytes copy_to(char **at, struct tumble_bytes bytes) {
    struct tumble_bytes copy = {*at, bytes.length};
    if (bytes.length) {
        memcpy(*at, bytes.data, bytes.length);
    }
    *at += bytes.length;
    return copy;
}

static enum tumble_code append(struct tumble_capture_stream *stream, uint32_t shard,
                               const struct tumble_stream_record *record, struct tumble_error *err) {
    struct queue *queue = &stream->queues[shard];
    if (queue->end == queue->capacity && queue->front > queue->capacity / 2) {
        memmove(queue->records, queue->records + queue->front, (queue->end - queue->front) * sizeof *queue->records);
        queue->end -= queue->front;
        queue->front = 0;
    }
    struct tumble_stream_record *records =
        tumble_runner_grow(queue->records, queue->end, &queue->capacity, sizeof *records);
    if (!records) {
        return no_memory(err);
    }
    queue->records = records;
    char *at = room_for(stream, queue, record->data.length + record->partition_key.length + record->sequence.length);
    if (!at) {
        return no_memory(err);
    }
    queue->records[queue->end++] = (struct tumble_stream_record){.data = copy_to(&at, record->data),
                                                                 .partition_key = copy_to(&at, record->partition_key),
                                                                 .sequence = copy_to(&at, record->sequence),
                                                                 .arrival_ms = record->arrival_ms};
    queue->appended++;
    return TUMBLE_OK;
}

/* ---- shards ---- */

static enum tumble_code add_shard(struct tumble_capture_stream *stream, struct tumble_bytes id,
                                  struct tumble_error *err) {
    if (stream->is_open) { /* whoever reads holds pointers to those there are */
        return tumble_runner_fail(err, TUMBLE_EINPUT, "shard %.*s: the input changed while it was read",
                                  (int)(id.length < 100 ? id.length : 100), id.data);
    }
    if (stream->shard_count == SHARDS_MAX || id.length >= sizeof stream->shards->id) {
        return tumble_runner_fail(err, TUMBLE_ELIMIT, "shard %.*s: more than %d shards, or a name too long",
                                  (int)(id.length < 100 ? id.length : 100), id.data, SHARDS_MAX);
    }
    void *shards =
        tumble_runner_grow(stream->shards, stream->shard_count, &stream->shard_capacity, sizeof *stream->shards);
    stream->shards = shards ? shards : stream->shards;
    void *queues =
        tumble_runner_grow(stream->queues, stream->shard_count, &stream->queue_capacity, sizeof *stream->queues);
    stream->queues = queues ? queues : stream->queues;
    if (!shards || !queues) {
        return no_memory(err);
    }
    struct tumble_stream_shard *shard = &stream->shards[stream->shard_count];
    memset(shard, 0, sizeof *shard);
    memset(&stream->queues[stream->shard_count], 0, sizeof *stream->queues);
    memcpy(shard->id, id.data, id.length);
    shard->parents[0] = shard->parents[1] = TUMBLE_NO_SHARD;
    stream->shard_count++;
    return TUMBLE_OK;
}

static int is_shard(const struct tumble_capture_stream *stream, uint32_t index, struct tumble_bytes id) {
    return index < stream->shard_count && tumble_bytes_equal(tumble_bytes_of(stream->shards[index].id), id);
}

/* The shard of that name, made when it is new. */
static enum tumble_code find_shard(struct tumble_capture_stream *stream, struct tumble_bytes id, uint32_t *out,
                                   struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    if (!is_shard(stream, stream->last_shard, id)) {
        uint32_t i = 0;
        while (i < stream->shard_count && !is_shard(stream, i, id)) {
            i++;
        }
        if (i == stream->shard_count) {
            code = add_shard(stream, id, err);
        }
        stream->last_shard = i;
    }
    *out = stream->last_shard;
    return code;
}

static enum tumble_code make_shards(struct tumble_capture_stream *stream, struct tumble_error *err) {
    uint32_t count = stream->options.shards ? stream->options.shards : 1;
    enum tumble_code code = TUMBLE_OK;
    for (uint32_t i = 0; i < count && code == TUMBLE_OK; i++) {
        char id[TUMBLE_SHARD_ID_TEXT];
        tumble_shard_id_text(i, id);
        code = add_shard(stream, tumble_bytes_of(id), err);
    }
    struct tumble_alloc alloc = {0};
    return code == TUMBLE_OK && count > 1 ? tumble_sharder_new(count, alloc, &stream->sharder, err) : code;
}

/* ---- one record ---- */

static enum tumble_code locate(const struct tumble_capture_stream *stream, const struct tumble_captured *captured,
                               enum tumble_code code, const char *what, struct tumble_error *err) {
    char where[512], text[TUMBLE_ERROR_TEXT];
    tumble_capture_where(stream->capture, captured, where, sizeof where);
    snprintf(text, sizeof text, "%s", what);
    return tumble_runner_fail(err, code, "%s: %s", where, text);
}

static enum tumble_code arrival_of(const struct tumble_capture_stream *stream, const struct tumble_captured *captured,
                                   int64_t *out, struct tumble_error *err) {
    *out = captured->arrival_ms;
    if (!stream->takes_timestamp) {
        return TUMBLE_OK;
    }
    if (stream->timestamp_index < 0) {
        return tumble_runner_fail(
            err, TUMBLE_EUSAGE,
            "%s holds payloads without an arrival time: name the field that has it, as in --timestamp ts",
            stream->options.paths[captured->input]);
    }
    struct tumble_error why = {.text = ""};
    if (captured->bad != TUMBLE_OK || !captured->values) {
        return locate(stream, captured, TUMBLE_ERECORD,
                      captured->bad_text ? captured->bad_text : tumble_code_text(captured->bad), err);
    }
    if (tumble_timestamp_ms(&stream->options.timestamp_format, &captured->values[stream->timestamp_index], out, &why) !=
        TUMBLE_OK) {
        return locate(stream, captured, TUMBLE_ERECORD, why.text, err);
    }
    return TUMBLE_OK;
}

/* text: room for a key with escapes, or made of the record's number. */
static struct tumble_bytes key_of(const struct tumble_capture_stream *stream, const struct tumble_captured *captured,
                                  char text[1024]) {
    struct tumble_bytes key = captured->partition_key;
    if (stream->key_index >= 0 && captured->values) {
        const struct tumble_value *value = &captured->values[stream->key_index];
        int scalar = value->type == TUMBLE_TYPE_STRING || value->type == TUMBLE_TYPE_NUMBER;
        key = (struct tumble_bytes){value->text, scalar ? value->length : 0};
        if (value->flags & TUMBLE_VALUE_ESCAPED) {
            key = (struct tumble_bytes){text, tumble_value_text(value, text, 1024)};
        }
    }
    if (key.length == 0) {
        char *at = text + 24;
        for (uint64_t number = stream->facts.records + 1; number; number /= 10) {
            *--at = (char)('0' + number % 10);
        }
        key = (struct tumble_bytes){at, (size_t)(text + 24 - at)};
    }
    return key;
}

static int is_consumer(struct tumble_bytes arn) {
    static const char part[] = "/consumer/";
    for (size_t i = 0; i + sizeof part - 1 <= arn.length; i++) {
        if (memcmp(arn.data + i, part, sizeof part - 1) == 0) {
            return 1;
        }
    }
    return 0;
}

/* The shard had it before; what Lambda split shares its number (point 40). */
static int is_repeated(struct queue *queue, const struct tumble_captured *captured) {
    struct tumble_bytes sequence = captured->sequence_number;
    int order = 1;
    if (queue->mark_length) {
        order = sequence.length != queue->mark_length ? (sequence.length > queue->mark_length ? 1 : -1)
                                                      : memcmp(sequence.data, queue->mark, sequence.length);
    }
    if (order > 0 && sequence.length <= sizeof queue->mark) {
        memcpy(queue->mark, sequence.data, sequence.length);
        queue->mark_length = sequence.length;
    }
    return order < 0 || (order == 0 && (captured->begins_event || !is_consumer(captured->event_source_arn)));
}

/* What enhanced fan-out makes of a record: its parts, nothing, or the record itself. */
static enum tumble_code append_parts(struct tumble_capture_stream *stream, uint32_t shard,
                                     const struct tumble_stream_record *record, struct tumble_error *err) {
    struct tumble_hash_range range;
    enum tumble_kpl_kind kind;
    uint64_t count;
    if (stream->sharder) {
        tumble_sharder_range(stream->sharder, shard, &range);
    }
    enum tumble_code code =
        tumble_kpl_open(stream->kpl, record->data, stream->sharder ? &range : NULL, &kind, &count, err);
    if (code != TUMBLE_OK || kind == TUMBLE_KPL_PLAIN) {
        return code == TUMBLE_OK ? append(stream, shard, record, err) : code;
    }
    if (kind == TUMBLE_KPL_FOREIGN) {
        stream->facts.foreign_records += count;
        return TUMBLE_OK;
    }
    struct tumble_stream_record part = *record;
    struct tumble_kpl_record split;
    stream->facts.aggregates++;
    while (code == TUMBLE_OK && tumble_kpl_next(stream->kpl, &split)) {
        if (split.bad) {
            stream->facts.cut_aggregates++;
            break;
        }
        part.data = split.data;
        part.partition_key = split.partition_key;
        code = append(stream, shard, &part, err);
    }
    return code;
}

static enum tumble_code take(struct tumble_capture_stream *stream, const struct tumble_captured *captured,
                             int64_t arrival_ms, struct tumble_error *err) {
    char text[1024];
    struct tumble_stream_record record = {
        .data = captured->data, .sequence = captured->sequence_number, .arrival_ms = arrival_ms};
    uint32_t shard = 0;
    int repeated = 0;
    enum tumble_code code = TUMBLE_OK;
    record.partition_key = key_of(stream, captured, text);
    stream->facts.records++;
    if (captured->shard_id.length) {
        code = find_shard(stream, captured->shard_id, &shard, err);
    } else if (stream->sharder) {
        code = tumble_sharder_shard(stream->sharder, record.partition_key, captured->explicit_hash_key, &shard, err);
    }
    if (code == TUMBLE_OK && record.sequence.length) {
        repeated = is_repeated(&stream->queues[shard], captured);
    } else {
        tumble_synthetic_sequence_next(stream->sequence);
        record.sequence = (struct tumble_bytes){stream->sequence, TUMBLE_SEQUENCE_TEXT - 1};
    }
    stream->facts.repeated += repeated ? 1 : 0;
    if (code != TUMBLE_OK || repeated) {
        return code;
    }
    return stream->kpl && tumble_kpl_suspect(record.data) ? append_parts(stream, shard, &record, err)
                                                          : append(stream, shard, &record, err);
}

static void note(struct tumble_capture_stream *stream, const struct tumble_captured *captured, int64_t arrival_ms) {
    struct tumble_capture_stream_facts *facts = &stream->facts;
    facts->first_arrival_ms = facts->first_arrival_ms < 0 ? arrival_ms : facts->first_arrival_ms;
    if (facts->least_arrival_ms < 0 || arrival_ms < facts->least_arrival_ms) {
        facts->least_arrival_ms = arrival_ms;
    }
    facts->last_arrival_ms = arrival_ms > facts->last_arrival_ms ? arrival_ms : facts->last_arrival_ms;
    if (!stream->arn && captured->event_source_arn.length) {
        stream->arn =
            tumble_runner_format("%.*s", (int)captured->event_source_arn.length, captured->event_source_arn.data);
    }
}

/* ---- through the capture ---- */

static enum tumble_code begin(struct tumble_capture_stream *stream, struct tumble_error *err) {
    const struct tumble_capture_stream_options *options = &stream->options;
    struct tumble_capture_options how = {.paths = options->paths,
                                         .path_count = options->path_count,
                                         .format = options->format,
                                         .records_at = options->records_at,
                                         .project_encoded =
                                             options->timestamp_overrides || options->partition_key_field != NULL,
                                         .keep_aggregates = 1,
                                         .stopping = options->stopping,
                                         .stopping_ctx = options->stopping_ctx};
    enum tumble_code code = tumble_capture_open(&how, &stream->capture, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    tumble_capture_set_projection(stream->capture, stream->projection);
    stream->facts.format = tumble_capture_detected(stream->capture);
    int payload = stream->facts.format == TUMBLE_CAPTURE_NDJSON || stream->facts.format == TUMBLE_CAPTURE_ARRAY;
    stream->takes_timestamp = payload || options->timestamp_overrides;
    stream->names_shards = stream->facts.format == TUMBLE_CAPTURE_LAMBDA;
    stream->at_end = 0;
    return TUMBLE_OK;
}

static enum tumble_code step(struct tumble_capture_stream *stream, int keep, struct tumble_error *err) {
    const struct tumble_capture_stream_options *options = &stream->options;
    struct tumble_captured captured;
    int64_t arrival_ms;
    int got;
    enum tumble_code code = tumble_capture_next(stream->capture, &captured, &got, err);
    if (code != TUMBLE_OK || !got) {
        stream->at_end = 1;
        return code;
    }
    code = arrival_of(stream, &captured, &arrival_ms, err);
    if (code == TUMBLE_OK) {
        note(stream, &captured, arrival_ms);
        uint32_t shard;
        code = keep                       ? take(stream, &captured, arrival_ms, err)
               : captured.shard_id.length ? find_shard(stream, captured.shard_id, &shard, err)
                                          : TUMBLE_OK;
    }
    tumble_capture_release(stream->capture);
    if (code == TUMBLE_OK && captured.number % ASK_EVERY == 0 && options->stopping &&
        options->stopping(options->stopping_ctx)) {
        code = tumble_runner_fail(err, TUMBLE_EINTERRUPTED, "stopped while reading the capture");
    }
    return code;
}

static int can_be_read_again(const struct tumble_capture_stream_options *options) {
    for (size_t i = 0; i < options->path_count; i++) {
        struct stat info;
        if (strncmp(options->paths[i], "s3://", 5) != 0 &&
            (stat(options->paths[i], &info) != 0 || !S_ISREG(info.st_mode))) {
            return 0;
        }
    }
    return 1;
}

/* Which shards there are, and when the last record came. */
static enum tumble_code look_ahead(struct tumble_capture_stream *stream, struct tumble_error *err) {
    int again = can_be_read_again(&stream->options);
    enum tumble_code code = TUMBLE_OK;
    while (code == TUMBLE_OK && !stream->at_end) {
        code = step(stream, !again, err);
    }
    if (code == TUMBLE_OK && again) {
        tumble_capture_close(stream->capture);
        stream->capture = NULL;
        code = begin(stream, err);
    }
    return code;
}

/* In the order of their names, whatever came first: an ordinary insertion sort, there are few. */
static void order_shards(struct tumble_capture_stream *stream) {
    for (uint32_t i = 1; i < stream->shard_count; i++) {
        struct tumble_stream_shard shard = stream->shards[i];
        struct queue queue = stream->queues[i];
        uint32_t at = i;
        for (; at > 0 && strcmp(stream->shards[at - 1].id, shard.id) > 0; at--) {
            stream->shards[at] = stream->shards[at - 1];
            stream->queues[at] = stream->queues[at - 1];
        }
        stream->shards[at] = shard;
        stream->queues[at] = queue;
    }
    stream->last_shard = 0;
}

static enum tumble_code read_shard(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                   size_t *count, struct tumble_error *err) {
    struct tumble_capture_stream *stream = ctx;
    struct queue *queue = &stream->queues[shard];
    size_t wanted = capacity < AT_LEAST ? capacity : AT_LEAST;
    while (queue->end - queue->front < wanted && !stream->at_end) {
        enum tumble_code code = step(stream, 1, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    size_t there = queue->end - queue->front;
    *count = there < capacity ? there : capacity;
    if (*count) {
        memcpy(out, queue->records + queue->front, *count * sizeof *out);
        queue->front += *count;
    }
    if (queue->front == queue->end) {
        queue->front = queue->end = 0;
    }
    return TUMBLE_OK;
}

static void done(void *ctx, uint32_t shard, uint64_t position) {
    struct tumble_capture_stream *stream = ctx;
    struct queue *queue = &stream->queues[shard];
    while (queue->first && queue->first != queue->last && queue->first->last < position) {
        struct block *block = queue->first;
        queue->first = block->next;
        block->next = stream->spare;
        stream->spare = block;
    }
}

/* ---- open and close ---- */

static enum tumble_code project(struct tumble_capture_stream *stream, struct tumble_error *err) {
    const char *paths[2];
    size_t count = 0;
    struct tumble_alloc alloc = {0};
    stream->timestamp_index = stream->key_index = -1;
    if (stream->options.timestamp_field) {
        stream->timestamp_index = (int)count;
        paths[count++] = stream->options.timestamp_field;
    }
    if (stream->options.partition_key_field) {
        stream->key_index = (int)count;
        paths[count++] = stream->options.partition_key_field;
    }
    return tumble_capture_fields_new(paths, count, alloc, &stream->projection, err);
}

static enum tumble_code open_all(struct tumble_capture_stream *stream, struct tumble_error *err) {
    struct tumble_alloc alloc = {0};
    enum tumble_code code = project(stream, err);
    if (code == TUMBLE_OK && stream->options.splits_aggregates) {
        code = tumble_kpl_new(alloc, &stream->kpl, err);
    }
    if (code == TUMBLE_OK) {
        code = begin(stream, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (stream->names_shards && stream->options.shards > 1) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                  "this capture names the shard of each record: leave --shards out");
    }
    if (!stream->names_shards) {
        code = make_shards(stream, err);
    }
    if (code == TUMBLE_OK && (stream->names_shards || stream->options.holds_all)) {
        code = look_ahead(stream, err);
        order_shards(stream);
    } else if (code == TUMBLE_OK) { /* when the first record came is to be known */
        code = step(stream, 1, err);
    }
    return code;
}

enum tumble_code tumble_capture_stream_open(const struct tumble_capture_stream_options *options,
                                            struct tumble_capture_stream **out, struct tumble_error *err) {
    struct tumble_capture_stream *stream = tumble_runner_alloc(sizeof *stream);
    *out = NULL;
    if (!stream) {
        return no_memory(err);
    }
    stream->options = *options;
    stream->facts.first_arrival_ms = stream->facts.least_arrival_ms = stream->facts.last_arrival_ms = -1;
    tumble_synthetic_sequence(0, stream->sequence);
    enum tumble_code code = open_all(stream, err);
    if (code != TUMBLE_OK) {
        tumble_capture_stream_close(stream);
        return code;
    }
    stream->is_open = 1;
    stream->view = (struct tumble_stream){
        .ctx = stream, .shards = stream->shards, .shard_count = stream->shard_count, .read = read_shard, .done = done};
    *out = stream;
    return TUMBLE_OK;
}

void tumble_capture_stream_close(struct tumble_capture_stream *stream) {
    if (!stream) {
        return;
    }
    for (uint32_t i = 0; i < stream->shard_count; i++) {
        free_blocks(stream->queues[i].first);
        tumble_runner_free(stream->queues[i].records);
    }
    free_blocks(stream->spare);
    tumble_capture_close(stream->capture);
    tumble_capture_fields_destroy(stream->projection);
    tumble_sharder_destroy(stream->sharder);
    tumble_kpl_destroy(stream->kpl);
    tumble_runner_free(stream->shards);
    tumble_runner_free(stream->queues);
    tumble_runner_free(stream->arn);
    tumble_runner_free(stream);
}

const struct tumble_stream *tumble_capture_stream_view(struct tumble_capture_stream *stream) { return &stream->view; }

void tumble_capture_stream_facts(const struct tumble_capture_stream *stream, struct tumble_capture_stream_facts *out) {
    *out = stream->facts;
    out->event_source_arn = stream->arn;
    out->bytes = tumble_capture_bytes(stream->capture);
    tumble_capture_progress(stream->capture, &out->done_bytes, &out->total_bytes);
}
