#include "adapters/inputs/capture/capture_reader.h"

#include <stdio.h>
#include <string.h>

#include "adapters/inputs/capture/capture_ahead.h"
#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_scan.h"

enum { PIECE_BYTES = 128 * 1024, PATIENCE_BYTES = 64 * 1024 };

void tw_capture_reader_init(struct tw_capture_reader *reader, const struct tumble_capture_options *options,
                            struct tw_block_pool *pool, uint32_t input) {
    memset(reader, 0, sizeof *reader);
    reader->options = options;
    reader->pool = pool;
    reader->path = options->paths[input];
    reader->input = input;
    reader->file_size = -1;
    reader->source.fd = -1;
    tw_buf_init(&reader->shard_text, pool->alloc, TW_LIMIT_RECORD_BYTES);
    tw_buf_init(&reader->sequence_text, pool->alloc, TW_LIMIT_RECORD_BYTES);
}

void tw_capture_reader_clean_up(struct tw_capture_reader *reader) {
    tw_byte_source_close(&reader->source);
    tw_elements_destroy(reader->elements);
    reader->elements = NULL;
    tw_free(&reader->pool->alloc, reader->lines);
    reader->lines = NULL;
    tw_free(&reader->pool->alloc, reader->alike);
    reader->alike = NULL;
    tw_digest_destroy(reader->digest);
    reader->digest = NULL;
    tw_block_pool_give(reader->pool, reader->block);
    reader->block = NULL;
    tw_buf_clean_up(&reader->shard_text);
    tw_buf_clean_up(&reader->sequence_text);
}

/* ---- lines and digests ---- */

static const char *byte_at(const struct tw_capture_reader *reader, uint64_t offset) {
    return reader->block->data + (offset - reader->block_offset);
}

static __attribute__((noinline)) void count_to(struct tw_capture_reader *reader, uint64_t offset) {
    if (offset <= reader->counted) {
        return;
    }
    const char *at = byte_at(reader, reader->counted);
    const char *end = byte_at(reader, offset);
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        reader->newlines++;
        if (++at == end) {
            break;
        }
    }
    reader->counted = offset;
}

static void hash_to(struct tw_capture_reader *reader, uint64_t offset) {
    if (reader->digest && offset > reader->hashed) {
        tw_digest_update(reader->digest, byte_at(reader, reader->hashed), (size_t)(offset - reader->hashed));
        reader->hashed = offset;
    }
}

/* The bytes before begin are about to go. Those behind the last record given out go into the digest too, but what it
 * was before them is kept: a position may still be asked for there. */
static void settle(struct tw_capture_reader *reader) {
    uint64_t offset = reader->block_offset + reader->begin;
    count_to(reader, offset);
    if (reader->digest) {
        hash_to(reader, reader->committed < offset ? reader->committed : offset);
        if (offset > reader->hashed && reader->hashed == reader->committed) {
            reader->digest_at_commit = tw_digest_value(reader->digest);
        }
        hash_to(reader, offset);
    }
}

enum tumble_code tw_capture_reader_fail(struct tw_capture_reader *reader, enum tumble_code code, int64_t at,
                                        struct tumble_error *err) {
    uint64_t offset = reader->block_offset + reader->begin;
    size_t ahead = at > 0 ? (size_t)at : 0;
    if (ahead > reader->filled - reader->begin) {
        ahead = reader->filled - reader->begin;
    }
    count_to(reader, offset + ahead);
    offset += ahead;
    tw_error_prefix(err, "%s: line %llu, record %llu, byte %llu", reader->path,
                    (unsigned long long)reader->newlines + 1, (unsigned long long)reader->records + 1,
                    (unsigned long long)offset);
    if (err) {
        err->code = code;
        err->byte = (int64_t)offset;
    }
    return code;
}

/* ---- blocks ---- */

size_t tw_capture_reader_want(size_t available) { return available < PATIENCE_BYTES ? available + 1 : available * 2; }

void tw_capture_reader_take_block(struct tw_capture_reader *reader, struct tw_block *block) {
    settle(reader);
    if (reader->block_lent) {
        tw_block_pool_retire(reader->pool, reader->block);
    } else {
        tw_block_pool_give(reader->pool, reader->block); /* nobody holds a record of it: long gaps cost no memory */
    }
    reader->block_lent = false;
    reader->block = block;
    reader->block_offset += reader->begin;
    reader->begin = 0;
    reader->filled = 0;
}

enum tumble_code tw_capture_reader_move_on(struct tw_capture_reader *reader, size_t want, struct tumble_error *err) {
    struct tw_block *block = tw_block_pool_take(reader->pool, want);
    if (!block) {
        return tw_no_memory(err);
    }
    struct tumble_bytes tail = tw_capture_reader_unread(reader);
    if (tail.length) {
        memcpy(block->data, tail.data, tail.length);
    }
    tw_capture_reader_take_block(reader, block);
    reader->filled = tail.length;
    return TUMBLE_OK;
}

enum tumble_code tw_capture_reader_fill(struct tw_capture_reader *reader, size_t want, struct tumble_error *err) {
    if (reader->filled - reader->begin >= TW_LIMIT_RECORD_BYTES) {
        tw_fail(err, TUMBLE_ELIMIT, "a JSON value longer than %d bytes: Kinesis takes records of at most 10 MiB",
                TW_LIMIT_RECORD_BYTES);
        return tw_capture_reader_fail(reader, TUMBLE_ELIMIT, 0, err);
    }
    if (want > TW_LIMIT_RECORD_BYTES) {
        want = TW_LIMIT_RECORD_BYTES;
    }
    if (reader->bounded) {
        return TUMBLE_EMORE;
    }
    if (reader->ahead_wanted && reader->between_length && !reader->ahead && !reader->at_end) {
        reader->raw_bytes = reader->source.raw_bytes;
        reader->bytes = reader->source.bytes;
        reader->ahead_wanted = tw_ahead_begin(reader->ahead_wanted, reader) ? reader->ahead_wanted : NULL;
    }
    if (reader->ahead) {
        return tw_ahead_fill(reader, want, err);
    }
    /* Not for a few bytes of room: a read of each would cost more than moving the tail. */
    size_t room = reader->block->capacity - reader->filled;
    if (!reader->at_end && (reader->begin + want > reader->block->capacity || room < reader->pool->block_bytes / 64)) {
        TW_TRY(tw_capture_reader_move_on(reader, want + reader->pool->block_bytes / 64, err));
    }
    while (!reader->at_end && reader->filled - reader->begin < want) {
        room = reader->block->capacity - reader->filled;
        size_t got;
        TW_TRY(tw_byte_source_read(&reader->source, reader->block->data + reader->filled,
                                   room < PIECE_BYTES ? room : PIECE_BYTES, &got, err));
        reader->filled += got;
        reader->at_end = got == 0;
    }
    return TUMBLE_OK;
}

/* ---- opening ---- */

static enum tumble_code refuse_first_byte(struct tw_capture_reader *reader, struct tumble_error *err) {
    struct tumble_bytes unread = tw_capture_reader_unread(reader);
    unsigned char first = (unsigned char)unread.data[0];
    unsigned char second = unread.length > 1 ? (unsigned char)unread.data[1] : 1;
    if ((first == 0xff && second == 0xfe) || (first == 0xfe && second == 0xff) || first == 0 || second == 0) {
        return tw_fail_at(err, TUMBLE_ECAPTURE, 0,
                          "%s: is UTF-16 or UTF-32 text; JSON is UTF-8: convert it with iconv -t UTF-8", reader->path);
    }
    if (first == 0xef && second == 0xbb) {
        return tw_fail_at(err, TUMBLE_ECAPTURE, 0,
                          "%s: begins with a byte order mark, which JSON does not have: remove its first 3 bytes",
                          reader->path);
    }
    if (memchr("{[\"-0123456789tfn", first, 16)) {
        return TUMBLE_OK;
    }
    uint64_t offset = reader->block_offset + reader->begin;
    return tw_fail_at(err, TUMBLE_ECAPTURE, (int64_t)offset,
                      "%s: byte %llu is 0x%02x, which begins no JSON value: expected Lambda events, the output of aws "
                      "kinesis get-records, or payloads, as JSON, plain or in gzip or zstd",
                      reader->path, (unsigned long long)offset, first);
}

/* Reads until a byte that is not white space; at the end there is none. */
static enum tumble_code skip_white_space(struct tw_capture_reader *reader, struct tumble_error *err) {
    for (;;) {
        struct tumble_bytes unread = tw_capture_reader_unread(reader);
        const char *at = tw_json_space(unread.data, unread.data + unread.length);
        reader->begin += (size_t)(at - unread.data);
        size_t left = reader->filled - reader->begin;
        if (left >= 2 || reader->at_end) {
            return TUMBLE_OK;
        }
        TW_TRY(tw_capture_reader_fill(reader, left + 1, err));
    }
}

static struct tumble_bytes pointer_of(const struct tw_capture_reader *reader) {
    switch (reader->format) {
    case TUMBLE_CAPTURE_ARRAY: return tumble_bytes_of(reader->options->records_at);
    case TUMBLE_CAPTURE_LAMBDA:
    case TUMBLE_CAPTURE_GET_RECORDS: return tumble_bytes_of("/Records");
    default: return tumble_bytes_of("");
    }
}

enum tumble_code tw_capture_reader_elements(struct tw_capture_reader *reader, struct tumble_error *err) {
    return tw_elements_new(pointer_of(reader), reader->format == TUMBLE_CAPTURE_NDJSON, reader->pool->alloc,
                           &reader->elements, err);
}

enum tumble_code tw_capture_reader_open(struct tw_capture_reader *reader, enum tumble_capture_format format,
                                        struct tumble_error *err) {
    reader->opened = true;
    reader->source.stopping = reader->options->stopping;
    reader->source.stopping_ctx = reader->options->stopping_ctx;
    TW_TRY(tw_byte_source_open(&reader->source, reader->path, reader->pool->alloc, err));
    reader->block = tw_block_pool_take(reader->pool, 0);
    if (!reader->block) {
        return tw_no_memory(err);
    }
    if (reader->options->digest) {
        reader->digest = tw_digest_new();
        if (!reader->digest) {
            return tw_no_memory(err);
        }
    }
    TW_TRY(tw_capture_reader_fill(reader, 2, err));
    TW_TRY(skip_white_space(reader, err));
    if (reader->begin == reader->filled) {
        reader->blank = reader->done = true;
        reader->committed = reader->block_offset + reader->begin;
        return TUMBLE_OK;
    }
    TW_TRY(refuse_first_byte(reader, err));
    reader->format = format;
    if (format == TUMBLE_CAPTURE_AUTO) {
        TW_TRY(tw_capture_detect(reader, &reader->format, err));
    }
    return tw_capture_reader_elements(reader, err);
}

void tw_capture_reader_finish(struct tw_capture_reader *reader) {
    /* The digest of the whole input is part of every later position; the block may still hold records. */
    if (reader->block) {
        settle(reader);
        hash_to(reader, reader->committed);
        reader->block_offset += reader->begin;
        reader->begin = reader->filled = 0;
        tw_block_pool_retire(reader->pool, reader->block);
        reader->block = NULL;
    }
    if (reader->ahead) {
        tw_ahead_end(reader->ahead);
        reader->ahead = reader->ahead_wanted = NULL;
    }
    tw_byte_source_close(&reader->source);
}

/* ---- places ---- */

uint64_t tw_capture_reader_line(struct tw_capture_reader *reader) {
    uint64_t offset = reader->block_offset + reader->begin;
    if (offset == reader->counted + 1) { /* the comma between two records */
        reader->newlines += reader->block->data[reader->begin - 1] == '\n';
        reader->counted = offset;
    } else {
        count_to(reader, offset);
    }
    return reader->newlines + 1;
}

void tw_capture_reader_count(struct tw_capture_reader *reader, size_t length, uint64_t newlines) {
    uint64_t end = reader->block_offset + reader->begin;
    if (reader->counted == end - length) {
        reader->newlines += newlines;
        reader->counted = end;
    }
}

void tw_capture_reader_mark(struct tw_capture_reader *reader) {
    reader->block_lent = true;
    reader->marked = true;
    reader->marked_records = reader->records;
    reader->marked_elements_length = tw_elements_save(reader->elements, reader->marked_elements);
}

void tw_capture_reader_commit(struct tw_capture_reader *reader) {
    reader->block_lent = true;
    reader->committed = reader->block_offset + reader->begin;
    reader->marked = false;
}

void tw_capture_reader_place(struct tw_capture_reader *reader, struct tw_capture_place *place) {
    memset(place, 0, sizeof *place);
    place->done = reader->done;
    place->offset = reader->committed;
    place->records = reader->marked ? reader->marked_records : reader->records;
    if (place->offset == 0) {
        return; /* not begun: the same place whether the input is open already or not */
    }
    if (reader->marked) {
        place->elements_length = reader->marked_elements_length;
        memcpy(place->elements, reader->marked_elements, reader->marked_elements_length);
    } else if (reader->elements) {
        place->elements_length = tw_elements_save(reader->elements, place->elements);
    }
    if (reader->digest) {
        hash_to(reader, reader->committed);
        place->digest = reader->hashed > reader->committed ? reader->digest_at_commit : tw_digest_value(reader->digest);
    }
}

static enum tumble_code other_bytes(const struct tw_capture_reader *reader, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EMISMATCH,
                   "%s: does not begin with the bytes this state was made from: give the same input, or another state",
                   reader->path);
}

enum tumble_code tw_capture_reader_seek(struct tw_capture_reader *reader, const struct tw_capture_place *place,
                                        struct tumble_error *err) {
    uint64_t at = reader->block_offset + reader->begin;
    if (at > place->offset && place->offset > 0) {
        return other_bytes(reader, err); /* more white space in front than there was */
    }
    if (place->offset > 0) {
        reader->committed = place->offset;
    }
    while (at < place->offset) {
        size_t unread = reader->filled - reader->begin;
        if (unread == 0) {
            if (reader->at_end) {
                return other_bytes(reader, err);
            }
            TW_TRY(tw_capture_reader_fill(reader, 1, err));
            tw_block_pool_release(reader->pool); /* nothing was given out yet */
            continue;
        }
        size_t step = unread < place->offset - at ? unread : (size_t)(place->offset - at);
        reader->begin += step;
        at += step;
    }
    hash_to(reader, reader->committed);
    if (place->offset > 0 && tw_digest_value(reader->digest) != place->digest) {
        return other_bytes(reader, err);
    }
    reader->records = place->records;
    struct tumble_bytes saved = {place->elements, place->elements_length};
    if (reader->elements && !tw_elements_restore(reader->elements, saved)) {
        return tw_fail(err, TUMBLE_ECORRUPT, "%s: the recorded place cannot be read: begin with a new state",
                       reader->path);
    }
    if (place->done) {
        if (reader->begin == reader->filled && !reader->at_end) {
            TW_TRY(tw_capture_reader_fill(reader, 1, err));
        }
        if (reader->begin < reader->filled) {
            return tw_fail(err, TUMBLE_EMISMATCH, "%s: is longer than the input this state was made from",
                           reader->path);
        }
        reader->done = true;
        tw_capture_reader_finish(reader);
    }
    return TUMBLE_OK;
}
