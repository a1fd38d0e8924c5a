#ifndef TW_CAPTURE_AHEAD_H
#define TW_CAPTURE_AHEAD_H

#include "adapters/inputs/capture/capture_reader.h"

/* An input read ahead of its reader, by whichever thread has time, in pieces that begin where a record most likely
 * does. What the records of a piece look like is made out ahead too, and stands there by place: the reader goes from
 * record to record as it always does, and where it comes to a place that somebody looked at already it takes what was
 * found. Since that follows from the bytes alone, the records, and errors, are those of reading without this; a piece
 * that was cut in the wrong place costs time and nothing else.
 *
 * Threads: tw_ahead_work may be called by any number of them at any time between new and destroy; everything else
 * belongs to the reader's. */
struct tw_ahead;

/* One record. */
struct tw_ahead_record {
    struct tumble_captured record; /* as reader_give leaves it, but for its place */
    size_t begin;                  /* in the piece */
    size_t length;
    uint64_t newlines; /* inside */
};

/* Payloads that capture_lines found one behind the other. */
struct tw_ahead_lines {
    size_t begin; /* where reading stood, in the piece: the first begins here or behind a newline */
    size_t first; /* of the piece's shorts */
    size_t count;
    uint32_t newlines; /* in each */
};

/* Captured records that tw_capture_reader_alike found one behind the other. */
struct tw_ahead_run {
    size_t first; /* of the piece's records alike */
    size_t count;
    size_t end; /* of the last one's text, in the piece */
    struct tumble_bytes shard_id;
    uint64_t newlines; /* in each */
};

struct tw_ahead_piece {
    struct tw_ahead_piece *next;
    enum { TW_AHEAD_EMPTY, TW_AHEAD_TAKEN, TW_AHEAD_DONE } state;
    struct tw_block *block; /* NULL: it became the reader's */
    char *text;
    size_t length;
    struct tumble_bytes begins; /* the state of elements at its beginning, if the guess is right; NULL: none */
    bool last;                  /* no bytes come behind it */
    enum tumble_code code;      /* why */
    struct tumble_error error;  /* and in words */
    uint64_t raw_bytes;         /* read of the source up to its end */
    uint64_t bytes;             /* likewise, decompressed */
    struct tw_block_pool pool;  /* what its records point to, beside the text */
    struct tw_ahead_record *records;
    size_t record_count;
    size_t record_capacity;
    struct tumble_short_record *shorts;
    size_t short_count;
    size_t short_capacity;
    struct tw_ahead_lines *lines;
    size_t line_count;
    size_t line_capacity;
    struct tumble_record *alike;
    const char **alike_begins; /* of their texts */
    size_t alike_count;
    size_t alike_capacity;
    size_t alike_begins_capacity;
    struct tw_ahead_run *runs;
    size_t run_count;
    size_t run_capacity;
    /* The reader's: it does not go back. */
    size_t at;          /* of the piece's text in the reader's block */
    size_t record_next; /* records before it are passed */
    size_t line_next;
    size_t line_short; /* of that one's shorts, likewise */
    size_t run_next;
    size_t run_alike; /* of that one's records, likewise */
    size_t shown;     /* payloads by tw_ahead_lines, or records by tw_ahead_alike */
};

/* pool: where text comes from. NULL on no memory. */
struct tw_ahead *tw_ahead_new(struct tumble_alloc alloc, struct tw_block_pool *pool,
                              const struct tumble_ahead_options *options);
/* No thread is in tw_ahead_work, nor comes. NULL allowed. */
void tw_ahead_destroy(struct tw_ahead *ahead);

/* Takes over the reading of an input from where its reader stands, which has found a record. False: no memory, the
 * reader goes on alone. */
bool tw_ahead_begin(struct tw_ahead *ahead, struct tw_capture_reader *reader);
/* What tw_capture_reader_fill does, for a reader whose input is read ahead. */
enum tumble_code tw_ahead_fill(struct tw_capture_reader *reader, size_t want, struct tumble_error *err);
/* The reader has come to the end of its input. */
void tw_ahead_end(struct tw_ahead *ahead);

/* Does one piece of work; false: there is none at the moment. */
bool tw_ahead_work(struct tw_ahead *ahead);

/* The piece that the reader is in, and where; NULL: in none. */
struct tw_ahead_piece *tw_ahead_current(const struct tw_capture_reader *reader, size_t *begin);

/* capture_ahead_found.c */
/* The record that begins at the reader's place. NULL: nobody found it. */
const struct tw_ahead_record *tw_ahead_find(struct tw_capture_reader *reader);
/* tw_capture_reader_lines and …_taken. False: that is for the reader alone. */
bool tw_ahead_lines(struct tw_capture_reader *reader, size_t most, struct tumble_captured_lines *out);
bool tw_ahead_lines_taken(struct tw_capture_reader *reader, size_t count);

/* tw_capture_reader_alike and …_taken. */
void tw_ahead_alike(struct tw_capture_reader *reader, size_t most, struct tumble_captured_alike *out);
void tw_ahead_alike_taken(struct tw_capture_reader *reader, size_t count);

/* As in block_pool.h, of pieces that the reader is done with. */
void tw_ahead_release(struct tw_ahead *ahead);
void tw_ahead_seal(struct tw_ahead *ahead);
void tw_ahead_release_sealed(struct tw_ahead *ahead);

#endif
