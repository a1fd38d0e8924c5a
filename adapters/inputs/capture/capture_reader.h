#ifndef TW_CAPTURE_READER_H
#define TW_CAPTURE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/lambda.h>

#include "adapters/inputs/capture/block_pool.h"
#include "adapters/inputs/capture/byte_source.h"
#include "adapters/inputs/capture/capture.h"
#include "engine/base/buf.h"
#include "engine/base/limits.h"
#include "engine/codec/arrival.h"
#include "engine/codec/elements.h"
#include "engine/codec/hash.h"
#include "engine/codec/layout.h"

/* One input: bytes → blocks → elements → records. Offsets are those of the decompressed input.
 *
 *     0 ......... committed ........ begin ............ filled
 *     records given out | between elements | not looked at yet
 *
 * The text of a block is never written to once it is read, so lines are counted and the digest is made whenever it
 * suits: when a block is left, when a record is found, when somebody asks for a position. */
struct tw_ahead;
struct tw_capture_reader {
    const struct tumble_capture_options *options; /* borrowed, as are pool and path */
    struct tw_block_pool *pool;
    const char *path;
    uint32_t input;
    bool opened;
    bool done;  /* no more records: the end was reached */
    bool blank; /* done, and nothing but white space was there */
    enum tumble_capture_format format;
    int64_t file_size; /* -1: not a regular file */

    struct tw_byte_source source;
    bool at_end; /* the source has no more bytes than the block holds */
    struct tw_block *block;
    /* Records are looked at before they are asked for (capture_ahead.h). */
    struct tw_ahead *ahead_wanted; /* NULL: not of this input */
    struct tw_ahead *ahead;        /* NULL: not yet, or no more; else source is its, and raw_bytes and bytes count */
    uint64_t raw_bytes;
    uint64_t bytes;
    char between[TW_ELEMENTS_STATE]; /* of elements, behind a record */
    size_t between_length;
    bool given;      /* the record found last needs nothing else */
    bool bounded;    /* there is no more of this input than the block holds: EMORE */
    bool block_lent; /* records given out or found may lie in it */
    size_t begin;
    size_t filled;
    uint64_t block_offset; /* of the block's first byte */
    struct tw_elements *elements;

    uint64_t counted; /* offset up to which newlines were counted */
    uint64_t newlines;

    uint64_t committed; /* end of the last record given out; at the end of the input its length */
    uint64_t records;   /* given out or found */
    struct tw_digest *digest;
    uint64_t hashed;           /* the digest holds the bytes before this offset */
    uint64_t digest_at_commit; /* valid when hashed > committed */
    /* Set by mark, for inputs that are read ahead of what is given out. */
    bool crossed; /* an array ended between the record before and the one looked for */
    bool marked;
    uint64_t marked_records;
    size_t marked_elements_length;
    char marked_elements[TW_ELEMENTS_STATE];

    struct tumble_layout record_layout;  /* of the records, encoded formats */
    struct tumble_layout payload_layout; /* of what the projection reads */
    struct tumble_kinesis_record found;  /* the record found last, encoded formats */
    struct tw_arrival arrival;
    struct tw_lines *lines;                 /* NULL: none were asked for */
    struct tw_alike *alike;                 /* likewise */
    size_t last_length;                     /* of the text of the record found last */
    struct tumble_bytes decoded;            /* its data, when it was decoded while it was found; NULL: not yet */
    char shard_id[TW_LIMIT_SHARD_ID_BYTES]; /* the last one, which was checked */
    size_t shard_id_length;
    struct tw_buf shard_text; /* its shard id and sequence number, when they were written with escapes */
    struct tw_buf sequence_text;
};

/* Payloads shown and not taken yet. */
struct tw_lines {
    struct tumble_short_record records[TUMBLE_LINES_MOST];
    struct tw_layout_line texts[TUMBLE_LINES_MOST];
    size_t count;
    bool after_newline; /* the first: a newline stands in front of it */
    /* The whole seconds that the last number of 13 digits had for an arrival time: mostly they are the next one's. */
    uint64_t head; /* its bytes 0–7 and 2–9 */
    uint64_t middle;
    int64_t second_ms;
};

/* Captured records shown and not taken yet. */
struct tw_alike {
    struct tumble_record records[TUMBLE_ALIKE_MOST];
    const char *begins[TUMBLE_ALIKE_MOST]; /* of their texts */
    const char *end;                       /* of the last one's */
    struct tumble_bytes shard_id;
    size_t count;
    size_t memory;     /* bytes that are in use for them where the next piece of the pool is cut from */
    uint32_t unframed; /* records that are still to be taken one by one */
    uint32_t pause;    /* how many the next time that a frame does not pay */
};

/* What a reader stands at, as a position records it. */
struct tw_capture_place {
    bool done;
    uint64_t offset;
    uint64_t records;
    uint64_t digest;
    size_t elements_length;
    char elements[TW_ELEMENTS_STATE];
};

void tw_capture_reader_init(struct tw_capture_reader *reader, const struct tumble_capture_options *options,
                            struct tw_block_pool *pool, uint32_t input);
void tw_capture_reader_clean_up(struct tw_capture_reader *reader); /* idempotent */

/* Opens the input, reads its first bytes and tells (AUTO) or takes its format; a blank input is done at once. */
enum tumble_code tw_capture_reader_open(struct tw_capture_reader *reader, enum tumble_capture_format format,
                                        struct tumble_error *err);
/* Closes the file of an input that is done; its place stays known. */
void tw_capture_reader_finish(struct tw_capture_reader *reader);

/* Remembers the place between the last record given out and the one that find will look for. */
void tw_capture_reader_mark(struct tw_capture_reader *reader);
/* Finds the next record and fills what needs no memory; reader->done when there is none. */
enum tumble_code tw_capture_reader_find(struct tw_capture_reader *reader, struct tumble_captured *record,
                                        struct tumble_error *err);
/* Decodes the record that find found last and gives it out. Its data is not yet projected when it might be an
 * aggregate.
 */
enum tumble_code tw_capture_reader_give(struct tw_capture_reader *reader, struct tumble_captured *record,
                                        struct tumble_error *err);

/* capture_lines.c: see tumble_capture_lines */
void tw_capture_reader_lines(struct tw_capture_reader *reader, const struct tumble_lines_wish *wish,
                             struct tumble_captured_lines *out);
void tw_capture_reader_lines_taken(struct tw_capture_reader *reader, size_t count);

/* capture_alike.c: see tumble_capture_alike */
void tw_capture_reader_alike(struct tw_capture_reader *reader, size_t most, struct tumble_captured_alike *out);
void tw_capture_reader_alike_taken(struct tw_capture_reader *reader, size_t count);
/* So many records up to begin, with so many newlines, are given out; all before them were counted. */
void tw_capture_reader_pass(struct tw_capture_reader *reader, size_t begin, size_t count, uint64_t newlines);

/* Line of the first unread byte. */
uint64_t tw_capture_reader_line(struct tw_capture_reader *reader);
/* The length bytes in front of the unread ones, behind whatever is counted, hold so many newlines. */
void tw_capture_reader_count(struct tw_capture_reader *reader, size_t length, uint64_t newlines);
/* Everything before the unread bytes was given out. */
void tw_capture_reader_commit(struct tw_capture_reader *reader);

void tw_capture_reader_place(struct tw_capture_reader *reader, struct tw_capture_place *place);
/* Reads and discards up to the place. EMISMATCH when the bytes before it are not those it was made from. */
enum tumble_code tw_capture_reader_seek(struct tw_capture_reader *reader, const struct tw_capture_place *place,
                                        struct tumble_error *err);

/* Makes at least want unread bytes available, or all there are. ELIMIT when TW_LIMIT_RECORD_BYTES were not enough. */
enum tumble_code tw_capture_reader_fill(struct tw_capture_reader *reader, size_t want, struct tumble_error *err);
static inline struct tumble_bytes tw_capture_reader_unread(const struct tw_capture_reader *reader) {
    struct tumble_bytes unread = {reader->block->data + reader->begin, reader->filled - reader->begin};
    return unread;
}
/* Goes on in a new block with room for want bytes: the unread tail moves, records given out stay where they are. */
enum tumble_code tw_capture_reader_move_on(struct tw_capture_reader *reader, size_t want, struct tumble_error *err);
/* Goes on in that block, which holds nothing yet; no byte is unread. */
void tw_capture_reader_take_block(struct tw_capture_reader *reader, struct tw_block *block);
/* Makes the elements of its format. */
enum tumble_code tw_capture_reader_elements(struct tw_capture_reader *reader, struct tumble_error *err);
/* How many bytes to ask for after these were not enough: more and more, so that a large record is not parsed anew for
 * every piece that a pipe delivers. */
size_t tw_capture_reader_want(size_t available);
/* Puts "PATH: line L, record N, byte B: " in front of err's text; B = reader's begin + at. */
enum tumble_code tw_capture_reader_fail(struct tw_capture_reader *reader, enum tumble_code code, int64_t at,
                                        struct tumble_error *err);

/* Tells the format of the unread bytes from their beginning (docs/captures.md). */
enum tumble_code tw_capture_detect(struct tw_capture_reader *reader, enum tumble_capture_format *format,
                                   struct tumble_error *err);
/* Projects the record's data where the options want that of encoded records; data that is not JSON makes it bad. */
enum tumble_code tw_capture_project(struct tw_capture_reader *reader, struct tumble_captured *record,
                                    struct tumble_error *err);

const char *tw_capture_format_name(enum tumble_capture_format format);

/* tumble_capture_open with blocks of another size, so that tests meet their boundaries. */
enum tumble_code tw_capture_open_with(const struct tumble_capture_options *options, size_t block_bytes,
                                      struct tumble_capture **out, struct tumble_error *err);

#endif
