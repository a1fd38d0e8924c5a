#include "adapters/inputs/capture/capture.h"

#include <stdio.h>
#include <string.h>

#include <tumble/kpl.h>

#include "adapters/inputs/capture/capture_aggregate.h"
#include "adapters/inputs/capture/capture_ahead.h"
#include "adapters/inputs/capture/capture_position.h"
#include "adapters/inputs/capture/capture_reader.h"
#include "adapters/inputs/capture/object_source.h"
#include "engine/base/fail.h"
#include "engine/base/sequence.h"

enum {
    BLOCK_BYTES = 256 * 1024,
    MANY_INPUTS = 16, /* open at once: smaller blocks then, so that a thousand of them take 64 MiB */
    MANY_BLOCK_BYTES = 64 * 1024,
    MERGED_INPUTS_MAX = 1000
};

struct tumble_capture {
    struct tumble_capture_options options;
    struct tw_block_pool pool;
    struct tw_capture_reader *
        *readers;                      /* one an input; allocated one by one, so that they can be read ahead of const */
    enum tumble_capture_format format; /* of the first input that is not blank */
    bool merged;                       /* records carry sequence numbers: all inputs are open at once */
    bool primed;                       /* next was called */
    size_t current;                    /* not merged: the input at hand */
    struct tumble_captured *heads;     /* merged, more than one input: the next record of each */
    bool *has_head;
    struct tw_capture_aggregate aggregate; /* whose records are being given out */
    struct tw_ahead *ahead;                /* NULL: nobody reads ahead */
};

static bool is_payload(enum tumble_capture_format format) {
    return format == TUMBLE_CAPTURE_NDJSON || format == TUMBLE_CAPTURE_ARRAY;
}

/* ---- opening ---- */

static enum tumble_code open_input(struct tumble_capture *capture, size_t index, struct tumble_error *err) {
    struct tw_capture_reader *reader = capture->readers[index];
    TW_TRY(tw_capture_reader_open(reader, capture->options.format, err));
    if (reader->blank) {
        tw_capture_reader_finish(reader);
        return TUMBLE_OK;
    }
    if (capture->format == TUMBLE_CAPTURE_AUTO) {
        capture->format = reader->format;
        capture->merged = !is_payload(reader->format);
    }
    bool both_payloads = is_payload(capture->format) && is_payload(reader->format);
    if (capture->format != reader->format && !both_payloads) {
        return tw_fail(err, TUMBLE_ECAPTURE,
                       "%s: looks like %s, but the inputs before it are %s: replay one kind at a time", reader->path,
                       tw_capture_format_name(reader->format), tw_capture_format_name(capture->format));
    }
    return TUMBLE_OK;
}

static enum tumble_code allocate(struct tumble_capture *capture, struct tumble_error *err) {
    const struct tumble_alloc *alloc = &capture->options.alloc;
    size_t count = capture->options.path_count;
    size_t total;
    if (!tw_mul_ok(count, sizeof(struct tumble_captured), &total)) {
        return tw_no_memory(err);
    }
    capture->readers = tw_alloc_zero(alloc, count * sizeof *capture->readers);
    capture->heads = tw_alloc_zero(alloc, total);
    capture->has_head = tw_alloc_zero(alloc, count * sizeof *capture->has_head);
    if (!capture->readers || !capture->heads || !capture->has_head) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        struct tw_capture_reader *reader = tw_alloc_zero(alloc, sizeof *reader);
        if (!reader) {
            return tw_no_memory(err);
        }
        capture->readers[i] = reader;
        tw_capture_reader_init(reader, &capture->options, &capture->pool, (uint32_t)i);
    }
    return TUMBLE_OK;
}

static enum tumble_code open_first(struct tumble_capture *capture, struct tumble_error *err) {
    size_t count = capture->options.path_count;
    /* A name with a slip of the pen should not be found out after an hour of replay. */
    for (size_t i = 0; i < count; i++) {
        TW_TRY(tw_byte_source_check(capture->options.paths[i], &capture->readers[i]->file_size, err));
    }
    while (capture->current < count) {
        TW_TRY(open_input(capture, capture->current, err));
        if (!capture->readers[capture->current]->blank) {
            break;
        }
        capture->current++;
    }
    if (capture->current == count && !capture->options.allow_empty) {
        return tw_fail(err, TUMBLE_ECAPTURE, "%s: is empty%s: expected JSON records", capture->options.paths[0],
                       count > 1 ? ", and so are the other inputs" : "");
    }
    if (capture->merged && count > MERGED_INPUTS_MAX) {
        return tw_fail(err, TUMBLE_ELIMIT,
                       "%zu inputs with sequence numbers: at most %d are merged at once; join some with cat", count,
                       MERGED_INPUTS_MAX);
    }
    return TUMBLE_OK;
}

enum tumble_code tw_capture_open_with(const struct tumble_capture_options *options, size_t block_bytes,
                                      struct tumble_capture **out, struct tumble_error *err) {
    *out = NULL;
    if (options->path_count == 0) {
        return tw_fail(err, TUMBLE_EINVAL, "no input was named; - is standard input");
    }
    if (options->records_at && options->format != TUMBLE_CAPTURE_AUTO && options->format != TUMBLE_CAPTURE_ARRAY) {
        return tw_fail(err, TUMBLE_EINVAL, "--records-at names an array of payloads: it does not go with the format %s",
                       tw_capture_format_name(options->format));
    }
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    struct tumble_capture *capture = tw_alloc_zero(&alloc, sizeof *capture);
    if (!capture) {
        return tw_no_memory(err);
    }
    capture->options = *options;
    capture->options.alloc = alloc;
    if (options->records_at) {
        capture->options.format = TUMBLE_CAPTURE_ARRAY;
    }
    tw_block_pool_init(&capture->pool, alloc, block_bytes);
    tw_capture_aggregate_init(&capture->aggregate, alloc);
    struct tumble_error local;
    enum tumble_code code = allocate(capture, err);
    if (code == TUMBLE_OK) {
        code = open_first(capture, err ? err : &local);
    }
    if (code != TUMBLE_OK) {
        tumble_capture_close(capture);
        return code;
    }
    *out = capture;
    return TUMBLE_OK;
}

enum tumble_code tumble_capture_open(const struct tumble_capture_options *options, struct tumble_capture **out,
                                     struct tumble_error *err) {
    return tw_capture_open_with(options, options->path_count > MANY_INPUTS ? MANY_BLOCK_BYTES : BLOCK_BYTES, out, err);
}

void tumble_capture_close(struct tumble_capture *capture) {
    if (!capture) {
        return;
    }
    struct tumble_alloc alloc = capture->options.alloc;
    for (size_t i = 0; capture->readers && i < capture->options.path_count; i++) {
        if (capture->readers[i]) {
            tw_capture_reader_clean_up(capture->readers[i]);
            tw_free(&alloc, capture->readers[i]);
        }
    }
    tw_free(&alloc, capture->readers);
    tw_free(&alloc, capture->heads);
    tw_free(&alloc, capture->has_head);
    tw_capture_aggregate_clean_up(&capture->aggregate);
    tw_ahead_destroy(capture->ahead);
    tw_block_pool_clean_up(&capture->pool);
    tw_free(&alloc, capture);
}

enum tumble_capture_format tumble_capture_detected(const struct tumble_capture *capture) { return capture->format; }

void tumble_capture_set_projection(struct tumble_capture *capture, const struct tumble_projection *projection) {
    capture->options.projection = projection;
}

enum tumble_code tumble_capture_read_ahead(struct tumble_capture *capture, const struct tumble_ahead_options *options,
                                           struct tumble_error *err) {
    if (capture->ahead || (capture->merged && capture->options.path_count > 1)) {
        return TUMBLE_OK;
    }
    for (size_t i = capture->current; i < capture->options.path_count; i++) {
        struct tw_capture_reader *reader = capture->readers[i];
        if (reader->file_size < 0 || tw_object_source_takes(reader->path)) {
            continue; /* one may have to wait for it */
        }
        if (!capture->ahead) {
            capture->ahead = tw_ahead_new(capture->options.alloc, &capture->pool, options);
        }
        if (!capture->ahead) {
            return tw_no_memory(err);
        }
        reader->ahead_wanted = capture->ahead;
    }
    return TUMBLE_OK;
}

int tumble_capture_reads_ahead(const struct tumble_capture *capture) { return capture->ahead != NULL; }

int tumble_capture_work(struct tumble_capture *capture) { return capture->ahead && tw_ahead_work(capture->ahead); }

/* ---- records ---- */

static enum tumble_code next_in_turn(struct tumble_capture *capture, struct tumble_captured *record, int *got,
                                     struct tumble_error *err) {
    while (capture->current < capture->options.path_count) {
        struct tw_capture_reader *reader = capture->readers[capture->current];
        if (!reader->opened) {
            TW_TRY(open_input(capture, capture->current, err));
        }
        if (!reader->done) {
            TW_TRY(tw_capture_reader_find(reader, record, err));
            if (!reader->done) {
                *got = 1;
                return tw_capture_reader_give(reader, record, err);
            }
            tw_capture_reader_finish(reader);
        }
        capture->current++;
    }
    return TUMBLE_OK;
}

/* Every input that may have a record shows its next one. */
static enum tumble_code fill_heads(struct tumble_capture *capture, struct tumble_error *err) {
    for (size_t i = 0; i < capture->options.path_count; i++) {
        struct tw_capture_reader *reader = capture->readers[i];
        if (capture->has_head[i] || reader->done) {
            continue;
        }
        if (capture->options.digest) {
            tw_capture_reader_mark(reader);
        }
        TW_TRY(tw_capture_reader_find(reader, &capture->heads[i], err));
        capture->has_head[i] = !reader->done;
        if (reader->done) {
            tw_capture_reader_finish(reader);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code next_merged(struct tumble_capture *capture, struct tumble_captured *record, int *got,
                                    struct tumble_error *err) {
    TW_TRY(fill_heads(capture, err));
    size_t count = capture->options.path_count;
    size_t best = count;
    for (size_t i = 0; i < count; i++) {
        if (capture->has_head[i] && (best == count || capture->heads[i].arrival_ms < capture->heads[best].arrival_ms)) {
            best = i;
        }
    }
    if (best == count) {
        return TUMBLE_OK;
    }
    /* Arrival times of a shard need not ascend: its sequence numbers decide. Get-records does not tell the shard, its
     * inputs count as one. */
    struct tumble_bytes shard = capture->heads[best].shard_id;
    for (size_t i = 0; i < count; i++) {
        if (capture->has_head[i] && i != best && tumble_bytes_equal(capture->heads[i].shard_id, shard) &&
            tw_sequence_compare(capture->heads[i].sequence_number, capture->heads[best].sequence_number) < 0) {
            best = i;
        }
    }
    capture->has_head[best] = false;
    *record = capture->heads[best];
    *got = 1;
    return tw_capture_reader_give(capture->readers[best], record, err);
}

static enum tumble_code open_all(struct tumble_capture *capture, struct tumble_error *err) {
    for (size_t i = 0; i < capture->options.path_count; i++) {
        if (!capture->readers[i]->opened) {
            TW_TRY(open_input(capture, i, err));
        }
    }
    return TUMBLE_OK;
}

/* As the inputs have it. */
static enum tumble_code next_element(struct tumble_capture *capture, struct tumble_captured *record, int *got,
                                     struct tumble_error *err) {
    if (!capture->merged || capture->options.path_count == 1) {
        capture->primed = true;
        return next_in_turn(capture, record, got, err);
    }
    if (!capture->primed) {
        TW_TRY(open_all(capture, err));
        capture->primed = true;
    }
    return next_merged(capture, record, got, err);
}

enum tumble_code tumble_capture_next(struct tumble_capture *capture, struct tumble_captured *record, int *got,
                                     struct tumble_error *err) {
    struct tumble_error local;
    struct tw_capture_aggregate *aggregate = &capture->aggregate;
    err = err ? err : &local;
    for (;;) {
        *got = 0;
        if (aggregate->left) {
            *got = 1;
            return tw_capture_aggregate_next(aggregate, record, err);
        }
        TW_TRY(next_element(capture, record, got, err));
        bool is_one = false;
        if (*got && tumble_kpl_suspect(record->data)) {
            TW_TRY(tw_capture_aggregate_begin(aggregate, capture->readers[record->input], record, &is_one, err));
        }
        if (!is_one) {
            return TUMBLE_OK;
        }
    }
}

void tumble_capture_lines(struct tumble_capture *capture, const struct tumble_lines_wish *wish,
                          struct tumble_captured_lines *out) {
    out->count = 0;
    if (capture->primed && !capture->merged && capture->current < capture->options.path_count &&
        !capture->aggregate.left) {
        tw_capture_reader_lines(capture->readers[capture->current], wish, out);
    }
}

void tumble_capture_lines_taken(struct tumble_capture *capture, size_t count) {
    tw_capture_reader_lines_taken(capture->readers[capture->current], count);
}

void tumble_capture_alike(struct tumble_capture *capture, size_t most, struct tumble_captured_alike *out) {
    out->count = 0;
    if (capture->primed && capture->options.path_count == 1 && capture->current == 0 && !capture->aggregate.left) {
        tw_capture_reader_alike(capture->readers[0], most, out);
    }
}

void tumble_capture_alike_taken(struct tumble_capture *capture, size_t count) {
    tw_capture_reader_alike_taken(capture->readers[0], count);
}

/* Data decoded for a record that was found and is not given out yet: its text is still there. */
static void forget_decoded(struct tumble_capture *capture) {
    for (size_t i = 0; i < capture->options.path_count; i++) {
        capture->readers[i]->decoded.data = NULL;
    }
}

void tumble_capture_release(struct tumble_capture *capture) {
    tw_block_pool_release(&capture->pool);
    if (capture->ahead) {
        tw_ahead_release(capture->ahead);
    }
    forget_decoded(capture);
}

void tumble_capture_seal(struct tumble_capture *capture) {
    tw_block_pool_seal(&capture->pool);
    if (capture->ahead) {
        tw_ahead_seal(capture->ahead);
    }
    forget_decoded(capture);
}

void tumble_capture_release_sealed(struct tumble_capture *capture) {
    tw_block_pool_release_sealed(&capture->pool);
    if (capture->ahead) {
        tw_ahead_release_sealed(capture->ahead);
    }
}

/* ---- positions ---- */

size_t tumble_capture_position(const struct tumble_capture *capture, char *buf, size_t cap) {
    return tw_capture_position_write(capture->readers, capture->options.path_count, capture->format, buf, cap);
}

static enum tumble_code seek_inputs(struct tumble_capture *capture, const struct tw_capture_place *places,
                                    struct tumble_error *err) {
    size_t count = capture->options.path_count;
    for (size_t i = 0; i < count; i++) {
        struct tw_capture_reader *reader = capture->readers[i];
        if (places[i].offset == 0 && !places[i].done) {
            continue; /* it was not begun */
        }
        if (!reader->opened) {
            TW_TRY(open_input(capture, i, err));
        }
        TW_TRY(tw_capture_reader_seek(reader, &places[i], err));
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_capture_seek(struct tumble_capture *capture, struct tumble_bytes position,
                                     struct tumble_error *err) {
    struct tumble_error local;
    err = err ? err : &local;
    if (capture->primed || !capture->options.digest) {
        return tw_fail(err, TUMBLE_EINVAL, "a capture is moved before its first record is read, and with digests only");
    }
    size_t count = capture->options.path_count;
    const struct tumble_alloc *alloc = &capture->options.alloc;
    struct tw_capture_place *places = tw_alloc_array(alloc, count, sizeof *places);
    if (!places) {
        return tw_no_memory(err);
    }
    enum tumble_code code = tw_capture_position_read(position, capture->readers, count, capture->format, places, err);
    if (code == TUMBLE_OK) {
        code = seek_inputs(capture, places, err);
    }
    tw_free(alloc, places);
    return code;
}

/* ---- figures ---- */

void tumble_capture_progress(const struct tumble_capture *capture, int64_t *done_bytes, int64_t *total_bytes) {
    *done_bytes = 0;
    *total_bytes = 0;
    for (size_t i = 0; i < capture->options.path_count; i++) {
        const struct tw_capture_reader *reader = capture->readers[i];
        *done_bytes += (int64_t)(reader->raw_bytes ? reader->raw_bytes : reader->source.raw_bytes);
        *total_bytes = *total_bytes < 0 || reader->file_size < 0 ? -1 : *total_bytes + reader->file_size;
    }
}

uint64_t tumble_capture_bytes(const struct tumble_capture *capture) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < capture->options.path_count; i++) {
        const struct tw_capture_reader *reader = capture->readers[i];
        bytes += reader->bytes ? reader->bytes : reader->source.bytes;
    }
    return bytes;
}

void tumble_capture_where(const struct tumble_capture *capture, const struct tumble_captured *record, char *out,
                          size_t cap) {
    snprintf(out, cap, "%s: line %llu, record %llu, byte %llu", capture->options.paths[record->input],
             (unsigned long long)record->line, (unsigned long long)record->number, (unsigned long long)record->offset);
    size_t length = strlen(out);
    if (record->part) {
        snprintf(out + length, cap - length, ", aggregated record %u", record->part);
    }
    for (; cap && *out; out++) { /* a file may be named anything, a terminal obeys control characters */
        if ((unsigned char)*out < 0x20 || *out == 0x7f) {
            *out = '?';
        }
    }
}
