#include "runner/tune_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/metrics/prices.h"
#include "emulator/emulator.h"
#include "runner/memory.h"

enum { AT_A_TIME = 1024 };

/* The records' bytes stay in the blocks of the capture stream, which is never told that it may drop them. */
struct tumble_tune_records {
    struct tumble_capture_stream *stream;
    struct tumble_stream_record *records; /* shard by shard as the capture names them, else in its order */
    size_t count, capacity;
    size_t *named_ends; /* of each named shard in records */
    uint32_t *in_order; /* positions by arrival, of a capture that names shards; NULL: as they are */
    char *sequences;    /* made in that order, for when the named shards are not kept */
    struct tumble_tune_capture capture;
};

struct tumble_tune_shards {
    const struct tumble_tune_records *records;
    uint32_t *positions; /* of records, shard by shard; NULL: as they are */
    size_t *ends;
    struct tumble_stream_shard *names;
    struct tumble_tune_load load;
    int is_made_anew; /* sequence numbers are those made in order of arrival */
};

struct tumble_tune_reader {
    const struct tumble_tune_shards *shards;
    size_t *at;
    struct tumble_stream view;
};

static enum tumble_code no_memory(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
}

/* ---- reading ---- */

static uint64_t size_of(const struct tumble_stream_record *record) {
    return record->data.length + record->partition_key.length;
}

static void count_record(struct tumble_tune_capture *capture, const struct tumble_stream_record *record) {
    uint64_t size = size_of(record);
    if (capture->records == 0 || record->arrival_ms < capture->first_arrival_ms) {
        capture->first_arrival_ms = record->arrival_ms;
    }
    if (capture->records == 0 || record->arrival_ms > capture->last_arrival_ms) {
        capture->last_arrival_ms = record->arrival_ms;
    }
    capture->records++;
    capture->bytes += size;
    capture->put_payload_units += tw_put_payload_units(size);
    capture->on_demand_bytes += tw_on_demand_bytes(size);
}

static enum tumble_code too_large(size_t limit_bytes, struct tumble_error *err) {
    return tumble_runner_fail(
        err, TUMBLE_ELIMIT,
        "the capture takes more than %zu MB of memory: give a shorter one (an hour tells enough), "
        "or --memory-limit",
        limit_bytes / 1000000);
}

static enum tumble_code read_shard(struct tumble_tune_records *records, const struct tumble_stream *view,
                                   uint32_t shard, size_t limit_bytes, struct tumble_error *err) {
    size_t got;
    do {
        struct tumble_stream_record batch[AT_A_TIME];
        enum tumble_code code = view->read(view->ctx, shard, batch, AT_A_TIME, &got, err);
        for (size_t i = 0; i < got && code == TUMBLE_OK; i++) {
            struct tumble_stream_record *grown =
                tumble_runner_grow(records->records, records->count, &records->capacity, sizeof *grown);
            if (!grown) {
                return no_memory(err);
            }
            records->records = grown;
            records->records[records->count++] = batch[i];
            count_record(&records->capture, &batch[i]);
        }
        if (code != TUMBLE_OK) {
            return code;
        }
        if (records->capture.bytes + records->count * (sizeof *batch + 64) > limit_bytes ||
            records->count > UINT32_MAX - AT_A_TIME) {
            return too_large(limit_bytes, err);
        }
    } while (got > 0);
    return TUMBLE_OK;
}

struct order {
    int64_t arrival_ms;
    uint32_t position;
};

static int by_arrival(const void *a, const void *b) {
    const struct order *x = a, *y = b;
    return x->arrival_ms != y->arrival_ms ? (x->arrival_ms > y->arrival_ms ? 1 : -1)
                                          : (x->position > y->position) - (x->position < y->position);
}

/* Other shards than the named ones are filled in order of arrival, and their sequence numbers have to ascend again. */
static enum tumble_code put_in_order(struct tumble_tune_records *records, struct tumble_error *err) {
    size_t count = records->count;
    struct order *order = tumble_runner_alloc(count * sizeof *order);
    records->in_order = tumble_runner_alloc(count * sizeof *records->in_order);
    records->sequences = tumble_runner_alloc(count * TUMBLE_SEQUENCE_TEXT);
    if (!order || !records->in_order || !records->sequences) {
        tumble_runner_free(order);
        return no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (struct order){records->records[i].arrival_ms, (uint32_t)i};
    }
    qsort(order, count, sizeof *order, by_arrival);
    for (size_t i = 0; i < count; i++) {
        records->in_order[i] = order[i].position;
        tumble_synthetic_sequence(i + 1, records->sequences + (size_t)order[i].position * TUMBLE_SEQUENCE_TEXT);
    }
    tumble_runner_free(order);
    return TUMBLE_OK;
}

/* ---- what a shard takes ---- */

struct second {
    int64_t number;
    uint64_t records, bytes;
};

static void end_second(struct tumble_tune_load *load, const struct second *second) {
    load->peak_records = second->records > load->peak_records ? second->records : load->peak_records;
    load->peak_bytes = second->bytes > load->peak_bytes ? second->bytes : load->peak_bytes;
    load->occupied_seconds += second->records > 0;
    load->crowded_seconds +=
        second->records > TUMBLE_SHARD_RECORDS_PER_SECOND || second->bytes > TUMBLE_SHARD_BYTES_PER_SECOND;
}

/* Records come in order, whatever their clocks say: a second is one of the latest arrival so far. */
static void add_to_second(struct tumble_tune_load *load, struct second *second,
                          const struct tumble_stream_record *record) {
    int64_t number = record->arrival_ms / 1000;
    if (number > second->number) {
        end_second(load, second);
        *second = (struct second){.number = number};
    }
    second->records++;
    second->bytes += size_of(record);
}

static const struct tumble_stream_record *nth_in_order(const struct tumble_tune_records *records, size_t index) {
    return &records->records[records->in_order ? records->in_order[index] : index];
}

static void find_busiest_second(struct tumble_tune_records *records) {
    struct tumble_tune_load load = {0};
    struct second second = {.number = -1};
    for (size_t i = 0; i < records->count; i++) {
        add_to_second(&load, &second, nth_in_order(records, i));
    }
    end_second(&load, &second);
    records->capture.busiest_second_records = load.peak_records;
    records->capture.busiest_second_bytes = load.peak_bytes;
}

static enum tumble_code read_all(struct tumble_tune_records *records,
                                 const struct tumble_capture_stream_options *source, size_t limit_bytes,
                                 struct tumble_error *err) {
    struct tumble_capture_stream_facts facts;
    enum tumble_code code = tumble_capture_stream_open(source, &records->stream, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    const struct tumble_stream *view = tumble_capture_stream_view(records->stream);
    tumble_capture_stream_facts(records->stream, &facts);
    records->capture.start_ms = facts.least_arrival_ms < 0 ? 0 : facts.least_arrival_ms;
    int is_named = facts.format == TUMBLE_CAPTURE_LAMBDA;
    records->named_ends = tumble_runner_alloc(view->shard_count * sizeof *records->named_ends);
    if (!records->named_ends) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < view->shard_count && code == TUMBLE_OK; i++) {
        code = read_shard(records, view, i, limit_bytes, err);
        records->named_ends[i] = records->count;
    }
    if (code == TUMBLE_OK && records->count == 0) {
        code = tumble_runner_fail(err, TUMBLE_ECAPTURE, "the capture has no records");
    }
    if (code == TUMBLE_OK && is_named) {
        records->capture.named_shards = view->shard_count;
        code = put_in_order(records, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    tumble_capture_stream_facts(records->stream, &facts);
    records->capture.event_source_arn = facts.event_source_arn;
    find_busiest_second(records);
    return TUMBLE_OK;
}

enum tumble_code tumble_tune_records_read(const struct tumble_capture_stream_options *source, size_t limit_bytes,
                                          struct tumble_tune_records **out, struct tumble_error *err) {
    struct tumble_tune_records *records = tumble_runner_alloc(sizeof *records);
    *out = NULL;
    if (!records) {
        return no_memory(err);
    }
    enum tumble_code code = read_all(records, source, limit_bytes, err);
    if (code != TUMBLE_OK) {
        tumble_tune_records_free(records);
        return code;
    }
    *out = records;
    return TUMBLE_OK;
}

void tumble_tune_records_free(struct tumble_tune_records *records) {
    if (records) {
        tumble_capture_stream_close(records->stream);
        tumble_runner_free(records->records);
        tumble_runner_free(records->named_ends);
        tumble_runner_free(records->in_order);
        tumble_runner_free(records->sequences);
        tumble_runner_free(records);
    }
}

const struct tumble_tune_capture *tumble_tune_records_capture(const struct tumble_tune_records *records) {
    return &records->capture;
}

/* ---- shards ---- */

static void name_shard(struct tumble_stream_shard *shard, uint32_t index, const char *id) {
    shard->parents[0] = shard->parents[1] = TUMBLE_NO_SHARD;
    shard->is_closed = 0;
    if (id) {
        snprintf(shard->id, sizeof shard->id, "%s", id);
    } else {
        tumble_shard_id_text(index, shard->id);
    }
}

static enum tumble_code keep_named(struct tumble_tune_shards *shards, struct tumble_error *err) {
    const struct tumble_tune_records *records = shards->records;
    const struct tumble_stream *view = tumble_capture_stream_view(records->stream);
    uint32_t count = view->shard_count;
    shards->names = tumble_runner_alloc(count * sizeof *shards->names);
    shards->ends = tumble_runner_alloc(count * sizeof *shards->ends);
    if (!shards->names || !shards->ends) {
        return no_memory(err);
    }
    for (uint32_t i = 0; i < count; i++) {
        name_shard(&shards->names[i], i, view->shards[i].id);
        shards->ends[i] = records->named_ends[i];
    }
    shards->load.shards = count;
    return TUMBLE_OK;
}

/* A counting sort: records of a shard stay in their order. */
static void sort_into(struct tumble_tune_shards *shards, const uint32_t *chosen) {
    const struct tumble_tune_records *records = shards->records;
    size_t begin = 0;
    for (size_t i = 0; i < records->count; i++) {
        shards->ends[chosen[i]]++;
    }
    for (uint32_t i = 0; i < shards->load.shards; i++) {
        size_t count = shards->ends[i];
        shards->ends[i] = begin; /* of the shard's records so far */
        begin += count;
    }
    for (size_t i = 0; i < records->count; i++) {
        shards->positions[shards->ends[chosen[i]]++] = records->in_order ? records->in_order[i] : (uint32_t)i;
    }
}

static enum tumble_code choose_shards(const struct tumble_tune_records *records, const struct tumble_sharder *sharder,
                                      uint32_t *chosen, struct tumble_error *err) {
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < records->count && code == TUMBLE_OK; i++) {
        code = tumble_sharder_shard(sharder, nth_in_order(records, i)->partition_key, (struct tumble_bytes){NULL, 0},
                                    &chosen[i], err);
    }
    return code;
}

static enum tumble_code spread(struct tumble_tune_shards *shards, uint32_t count, struct tumble_error *err) {
    const struct tumble_tune_records *records = shards->records;
    struct tumble_sharder *sharder = NULL;
    struct tumble_alloc alloc = {0};
    uint32_t *chosen = tumble_runner_alloc(records->count * sizeof *chosen);
    shards->load.shards = count;
    shards->is_made_anew = records->in_order != NULL;
    shards->names = tumble_runner_alloc(count * sizeof *shards->names);
    shards->ends = tumble_runner_alloc(count * sizeof *shards->ends);
    shards->positions = tumble_runner_alloc(records->count * sizeof *shards->positions);
    enum tumble_code code = chosen && shards->names && shards->ends && shards->positions
                                ? tumble_sharder_new(count, alloc, &sharder, err)
                                : no_memory(err);
    if (code == TUMBLE_OK) {
        code = choose_shards(records, sharder, chosen, err);
    }
    if (code == TUMBLE_OK) {
        for (uint32_t i = 0; i < count; i++) {
            name_shard(&shards->names[i], i, NULL);
        }
        sort_into(shards, chosen);
    }
    tumble_sharder_destroy(sharder);
    tumble_runner_free(chosen);
    return code;
}

static size_t begin_of(const struct tumble_tune_shards *shards, uint32_t shard) {
    return shard ? shards->ends[shard - 1] : 0;
}

static size_t position_of(const struct tumble_tune_shards *shards, size_t index) {
    return shards->positions ? shards->positions[index] : index;
}

static void weigh(struct tumble_tune_shards *shards) {
    struct tumble_tune_load *load = &shards->load;
    for (uint32_t i = 0; i < load->shards; i++) {
        struct second second = {.number = -1};
        size_t begin = begin_of(shards, i), end = shards->ends[i];
        for (size_t k = begin; k < end; k++) {
            add_to_second(load, &second, &shards->records->records[position_of(shards, k)]);
        }
        end_second(load, &second);
        load->hottest_records = end - begin > load->hottest_records ? end - begin : load->hottest_records;
    }
}

enum tumble_code tumble_tune_shards_new(const struct tumble_tune_records *records, uint32_t count,
                                        struct tumble_tune_shards **out, struct tumble_error *err) {
    struct tumble_tune_shards *shards = tumble_runner_alloc(sizeof *shards);
    *out = NULL;
    if (!shards) {
        return no_memory(err);
    }
    shards->records = records;
    enum tumble_code code =
        count == 0 && records->capture.named_shards ? keep_named(shards, err) : spread(shards, count ? count : 1, err);
    if (code != TUMBLE_OK) {
        tumble_tune_shards_free(shards);
        return code;
    }
    weigh(shards);
    *out = shards;
    return TUMBLE_OK;
}

void tumble_tune_shards_free(struct tumble_tune_shards *shards) {
    if (shards) {
        tumble_runner_free(shards->positions);
        tumble_runner_free(shards->ends);
        tumble_runner_free(shards->names);
        tumble_runner_free(shards);
    }
}

const struct tumble_tune_load *tumble_tune_shards_load(const struct tumble_tune_shards *shards) {
    return &shards->load;
}

/* ---- reading a stream ---- */

static enum tumble_code read_next(void *ctx, uint32_t shard, struct tumble_stream_record *out, size_t capacity,
                                  size_t *count, struct tumble_error *err) {
    const struct tumble_tune_reader *reader = ctx;
    const struct tumble_tune_shards *shards = reader->shards;
    const struct tumble_tune_records *records = shards->records;
    size_t left = shards->ends[shard] - reader->at[shard];
    (void)err;
    *count = left < capacity ? left : capacity;
    for (size_t i = 0; i < *count; i++) {
        size_t position = position_of(shards, reader->at[shard]++);
        out[i] = records->records[position];
        if (shards->is_made_anew) {
            out[i].sequence =
                (struct tumble_bytes){records->sequences + position * TUMBLE_SEQUENCE_TEXT, TUMBLE_SEQUENCE_TEXT - 1};
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_tune_reader_new(const struct tumble_tune_shards *shards, struct tumble_tune_reader **out,
                                        struct tumble_error *err) {
    struct tumble_tune_reader *reader = tumble_runner_alloc(sizeof *reader);
    *out = NULL;
    size_t *at = tumble_runner_alloc(shards->load.shards * sizeof *at);
    if (!reader || !at) {
        tumble_runner_free(reader);
        tumble_runner_free(at);
        return no_memory(err);
    }
    for (uint32_t i = 0; i < shards->load.shards; i++) {
        at[i] = begin_of(shards, i);
    }
    reader->shards = shards;
    reader->at = at;
    reader->view = (struct tumble_stream){
        .ctx = reader, .shards = shards->names, .shard_count = shards->load.shards, .read = read_next};
    *out = reader;
    return TUMBLE_OK;
}

void tumble_tune_reader_free(struct tumble_tune_reader *reader) {
    if (reader) {
        tumble_runner_free(reader->at);
        tumble_runner_free(reader);
    }
}

const struct tumble_stream *tumble_tune_reader_view(const struct tumble_tune_reader *reader) { return &reader->view; }
