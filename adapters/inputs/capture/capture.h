#ifndef TUMBLE_CAPTURE_H
#define TUMBLE_CAPTURE_H

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/engine.h>
#include <tumble/error.h>
#include <tumble/projection.h>
#include <tumble/timestamp.h>

/* Reads captures: recorded records in files (or standard input, "-"), plain, gzip or zstd. One thread.
 * Formats, detection, merging and positions are described in docs/captures.md. */

enum tumble_capture_format {
    TUMBLE_CAPTURE_AUTO = 0,
    TUMBLE_CAPTURE_NDJSON,     /* payloads: JSON values one after the other, with or without newlines between */
    TUMBLE_CAPTURE_ARRAY,      /* payloads: elements of a JSON array (records_at) */
    TUMBLE_CAPTURE_LAMBDA,     /* Lambda Kinesis events, one or many, with or without window */
    TUMBLE_CAPTURE_GET_RECORDS /* what `aws kinesis get-records` prints, one or many */
};

/* What a command line names as inputs, one by one: files and "-" as they are; "s3://BUCKET/KEY" an object; and
 * "s3://BUCKET/PREFIX" every object whose key begins so, in the order of the keys, hidden ones ("_…", ".…") apart.
 * Errors: EINPUT (nothing there, not to be reached), EUSAGE (credentials, region), ENOMEM. */
struct tumble_input_list;
enum tumble_code tumble_input_list_new(const char *const *names, size_t count, struct tumble_alloc alloc,
                                       struct tumble_input_list **out, struct tumble_error *err);
const char *const *tumble_input_list_paths(const struct tumble_input_list *list); /* live as long as the list */
size_t tumble_input_list_count(const struct tumble_input_list *list);
void tumble_input_list_destroy(struct tumble_input_list *list); /* NULL allowed */

struct tumble_capture_options {
    const char *const *paths; /* files, "-", or objects "s3://BUCKET/KEY"; borrowed until close */
    size_t path_count;
    enum tumble_capture_format format;
    const char *records_at;                     /* JSON Pointer to the array of payloads; NULL: none. Implies ARRAY */
    const struct tumble_projection *projection; /* payload formats: values are projected while reading; borrowed */
    int project_encoded; /* LAMBDA and GET_RECORDS too: project the decoded data here (a timestamp is needed) */
    int (*stopping)(
        void *ctx); /* asked when a signal interrupts a read: non-zero ends it with EINTERRUPTED; may be NULL */
    void *stopping_ctx;
    int keep_aggregates; /* what the Kinesis Producer Library aggregated stays one record; else it is split */
    int allow_empty;     /* inputs without any record are no error */
    int digest;          /* keep a running digest of each input's (decompressed) bytes, for positions */
    struct tumble_alloc alloc;
};

/* One record as captured. Views live until tumble_capture_release. */
struct tumble_captured {
    struct tumble_bytes data;          /* payload, decoded */
    struct tumble_bytes partition_key; /* empty: the capture has none */
    struct tumble_bytes explicit_hash_key;
    struct tumble_bytes sequence_number;  /* empty: payload input; otherwise checked decimal digits, no leading zeros */
    struct tumble_bytes shard_id;         /* empty: not told (payload input, get-records) */
    struct tumble_bytes event_source_arn; /* empty: not told */
    int64_t arrival_ms;                   /* -1: payload input */
    struct tumble_value *values;          /* projected, or NULL */
    enum tumble_code bad; /* OK, or why the payload cannot be used: EBASE64, EJSON, EUTF8, EDEPTH (encoded
                             formats: the record is bad, the capture goes on; data is then the raw text) */
    int64_t bad_byte;     /* -1: no byte of it */
    const char *bad_text; /* NULL: what the code says is all there is to say. Static text */
    int more;             /* the next record is of the same aggregate: neither release nor position until then */
    uint32_t part;        /* 1-based place in the aggregate it was in; 0: it came alone */
    int begins_event;     /* the record before it, if any, stood in another array */
    uint32_t input;       /* index into paths */
    uint64_t number;      /* 1-based number of the record in its input */
    uint64_t line;        /* 1-based line it begins on */
    uint64_t offset;      /* byte offset in the (decompressed) input where it begins */
};

struct tumble_capture;

/* Opens the first input and tells its format. Errors: EINPUT (names the path and errno's text; a directory is one),
 * ECAPTURE (not a format we know, or inputs of different kinds), ECOMPRESS, ENOMEM. An empty input has no records and
 * is ECAPTURE unless another input has some. */
enum tumble_code tumble_capture_open(const struct tumble_capture_options *options, struct tumble_capture **out,
                                     struct tumble_error *err);
void tumble_capture_close(struct tumble_capture *capture); /* NULL allowed */

enum tumble_capture_format tumble_capture_detected(const struct tumble_capture *capture); /* of the first input */

/* Another projection than that of the options, for a caller who makes it once the format is known; borrowed. Before
 * the first next. */
void tumble_capture_set_projection(struct tumble_capture *capture, const struct tumble_projection *projection);

/* The next record. *got 0: end of every input. Inputs of payloads are read one after the other. Inputs that carry
 * sequence numbers are merged: the next record is that of the lowest arrival time, and within a shard of the lowest
 * sequence number, among the heads of all inputs.
 * Errors name the input, line, record and byte: EINPUT, ECAPTURE, ECOMPRESS, EJSON, EUTF8, EDEPTH, EEVENT, ESEQUENCE,
 * ETIMESTAMP, ELIMIT (a record over TW_LIMIT_RECORD_BYTES), ENOMEM. For payload formats a payload that is malformed is
 * an error here, since the next record cannot be found behind it. After an error a capture can only be closed. ELIMIT
 * also at open: more than 1,000 inputs to merge (payload inputs: any number). */
enum tumble_code tumble_capture_next(struct tumble_capture *capture, struct tumble_captured *record, int *got,
                                     struct tumble_error *err);

/* What a caller wants to know of payloads that are laid out alike. */
struct tumble_lines_wish {
    size_t most;   /* records: at most TUMBLE_LINES_MOST */
    int timestamp; /* which of the projected values has the arrival time */
    const struct tumble_timestamp_format *format;
};
enum { TUMBLE_LINES_MOST = 1024 };

/* Payloads in NDJSON, one behind the other: those behind the last record taken, as far as they are in memory and
 * nothing about them needs a look. Every one has an arrival time; numbers are the caller's. */
struct tumble_captured_lines {
    struct tumble_short_record *records;
    size_t count;    /* 0: tumble_capture_next knows more */
    uint32_t input;  /* of all of them */
    uint64_t number; /* of the first, in its input */
    uint64_t line;
    uint64_t offset;
};
/* Shows them; nothing is taken by that. records are valid until the next call, what they point to until release. */
void tumble_capture_lines(struct tumble_capture *capture, const struct tumble_lines_wish *wish,
                          struct tumble_captured_lines *out);
/* Takes the first count of those shown last, as if tumble_capture_next had given each. */
void tumble_capture_lines_taken(struct tumble_capture *capture, size_t count);

/* Captured records of one shard, laid out alike, one behind the other in one Lambda event: those behind the last record
 * taken, as far as they are in memory and nothing about them needs a look. Every one has an arrival time, a sequence
 * number that is checked and above that of the one before it, and data that is no aggregate; values, where the options'
 * projection could be made of them (one that cannot be is not projected, and is perhaps bad). */
struct tumble_captured_alike {
    const struct tumble_record *records;
    const char *const *begins; /* of the text of each: all in one stretch of the input */
    size_t count;              /* 0: tumble_capture_next knows more */
    struct tumble_bytes shard_id;
    uint32_t input;    /* of all of them */
    uint64_t number;   /* of the first, in its input */
    uint64_t line;     /* likewise */
    uint64_t offset;   /* likewise */
    uint64_t newlines; /* in each */
};
enum { TUMBLE_ALIKE_MOST = 256 };
/* Shows most of them, at most; nothing is taken by that. The arrays are valid until the next call, what they point to
 * until release. */
void tumble_capture_alike(struct tumble_capture *capture, size_t most, struct tumble_captured_alike *out);
/* Takes the first count of those shown last, as if tumble_capture_next had given each. */
void tumble_capture_alike_taken(struct tumble_capture *capture, size_t count);

/* Files, one behind the other, can be read ahead by other threads, which also make out what the records in them look
 * like: between next and the capture's end any thread may call tumble_capture_work. Records, places and errors stay
 * what they are. Inputs that one may have to wait for (pipes, objects), and several that are merged, are read as
 * always. */
struct tumble_ahead_options {
    struct tumble_lines_wish wish; /* what tumble_capture_lines will be asked for; most 0: nothing */
    void (*more)(void *ctx); /* called, by the capture's thread, when there is something to do again; may be NULL */
    void *more_ctx;
};
/* Before the first next. Errors: ENOMEM. */
enum tumble_code tumble_capture_read_ahead(struct tumble_capture *capture, const struct tumble_ahead_options *options,
                                           struct tumble_error *err);
int tumble_capture_reads_ahead(const struct tumble_capture *capture); /* some input of it will be */
/* Does a part of it, some 100 µs; 0: there is nothing to do at the moment. */
int tumble_capture_work(struct tumble_capture *capture);

/* Everything returned so far may be overwritten. Not while the last record has more set. */
void tumble_capture_release(struct tumble_capture *capture);

/* release in two steps, for a caller who goes on reading while somebody else still works on the records: those given
 * before seal live until release_sealed (or the next seal), whatever is read in between. */
void tumble_capture_seal(struct tumble_capture *capture);
void tumble_capture_release_sealed(struct tumble_capture *capture);

/* Where every input stands, as bytes (a JSON object text): sizes, offsets, record numbers and digests of the prefixes,
 * so that the same inputs can be read on from here. seek verifies that each input begins with the bytes it began with
 * (EMISMATCH names the first that does not) and continues there; pipes are read and discarded up to the offset.
 * position copies into buf (cap bytes), returns the length needed. seek must come before the first next and needs
 * digest. */
size_t tumble_capture_position(const struct tumble_capture *capture, char *buf, size_t cap);
enum tumble_code tumble_capture_seek(struct tumble_capture *capture, struct tumble_bytes position,
                                     struct tumble_error *err);

/* Progress: bytes read so far of the files as they lie on disk, and their total (-1 when some size is not known). */
void tumble_capture_progress(const struct tumble_capture *capture, int64_t *done_bytes, int64_t *total_bytes);
/* Decompressed bytes read so far. */
uint64_t tumble_capture_bytes(const struct tumble_capture *capture);

/* "FILE: line 3, record 3, byte 120" of a record, for messages. */
void tumble_capture_where(const struct tumble_capture *capture, const struct tumble_captured *record, char *out,
                          size_t cap);

#endif
