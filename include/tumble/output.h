#ifndef TUMBLE_OUTPUT_H
#define TUMBLE_OUTPUT_H

/* The output ABI, version 1. An output takes rows and says what became of each one. It is a static const table of
 * functions, linked into a program (tumble_engine_attach) or loaded from a shared object (--plugin /abs/path.so) that
 * exports tumble_output_plugin; the same source does for both.
 *
 * How rows reach an output: they enter the outbox in the transaction that closes their window; after that commit the
 * engine calls write with them, in order, then flush; what was flushed is acknowledged in the engine's next commit,
 * together with the output's checkpoint. After a crash between flush and that commit the same rows come again, first
 * and in the same order: write must be idempotent on row.key, or use the checkpoint to find what it wrote already.
 *
 * When something fails: a row answered TUMBLE_RETRY comes again, with every row behind it, on the same self. After a
 * write or flush that did not return OK the host closes the output and opens it again with the checkpoint of its last
 * good flush; every row since then comes again. Meanwhile other outputs go on.
 *
 * Growth: structs passed by pointer begin with struct_size and grow at their end; a reader looks no further than that.
 * Structs in arrays (rows, deliveries, options) do not grow: they have reserved members, zero until they mean
 * something. Threads: calls into one output never overlap. */

#include <stddef.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUMBLE_OUTPUT_ABI              1u
#define TUMBLE_OUTPUT_CHECKPOINT_BYTES 64

enum tumble_row_kind {
    TUMBLE_ROW_WINDOW = 0, /* a group's result in a fragment */
    TUMBLE_ROW_FAILURE = 1 /* a record (or row) that could not be applied, with its reason */
};

/* One run of a shard's window that ended in a final: what its rows have in common. The same records give the same
 * fragment, bytes and all, whatever was retried. */
struct tumble_fragment {
    uint32_t struct_size;
    struct tumble_bytes shard_id;
    struct tumble_bytes first_sequence; /* 1–128 decimal digits */
    struct tumble_bytes last_sequence;
    int64_t window_start_ms;
    int64_t window_end_ms;
    uint64_t row_count;
    uint64_t record_count; /* that its rows count together */
    uint8_t digest[16];    /* of its rows: d = 16 zero bytes; for each row d = XXH3-128(d, XXH3-128(its JSON
                              behind last_sequence, which all begin alike with)) */
};

/* Borrowed for the call it is passed to. */
struct tumble_row {
    uint8_t key[16];          /* same key: same row. XXH3-128 of (XXH3-128 of (source, spec digest, window, shard,
                                 fragment), group) */
    struct tumble_bytes json; /* the row as one flat JSON object, no newline */
    const struct tumble_bytes *values; /* JSON text of each column, in the order of the spec's columns;
                                          NULL unless the output asked for it, and for failures */
    size_t value_count;
    int64_t window_start_ms;
    int64_t window_end_ms;
    const struct tumble_fragment *fragment; /* NULL for failures; equal pointers within a call: the same fragment */
    uint64_t fragment_row; /* which of its rows: 0 … fragment->row_count - 1, in that order; 0 for failures */
    uint64_t line_bytes;   /* so many bytes from json.data on are this row and those behind it in the call, a newline
                              behind each, to be written at once; 0: they lie apart */
    uint64_t reserved[3];
};

enum tumble_outcome { TUMBLE_DELIVERED = 0, TUMBLE_RETRY = 1, TUMBLE_REJECTED = 2 };

/* What became of one row. */
struct tumble_delivery {
    enum tumble_outcome outcome;
    int64_t retry_after_ms; /* RETRY: not before this; 0: as the host sees fit */
    const char *reason;     /* RETRY, REJECTED: why, not NULL; static or owned by the output until its next call */
};

enum tumble_option_type {
    TUMBLE_OPTION_STRING = 0,
    TUMBLE_OPTION_INTEGER = 1,
    TUMBLE_OPTION_BOOLEAN = 2, /* true, false, 1, 0 */
    TUMBLE_OPTION_ENUM = 3,    /* one of words */
    TUMBLE_OPTION_SIZE = 4,    /* bytes: 65536, 64KiB, 8MiB, 1GiB, 10kB, 5MB */
    TUMBLE_OPTION_DURATION = 5 /* 250ms, 30s, 5m, 2h, 1d; a bare number is seconds */
};

/* An option that URIs may carry: "name:target?a=b&c=d". The host checks what was given against the table, so an output
 * is never opened with an unknown option or a value of the wrong type. */
struct tumble_output_option {
    const char *name; /* [a-z0-9_-]+ */
    enum tumble_option_type type;
    int required;
    const char *default_value; /* NULL: none */
    const char *help;          /* one line, for people */
    const char *const *words;  /* ENUM: what it may be, NULL at the end */
    int64_t minimum;           /* INTEGER, SIZE, DURATION (ms): bounds; both 0: none */
    int64_t maximum;
    uint64_t reserved[2];
};

/* One option as an output gets it. */
struct tumble_option_value {
    const char *name;
    const char *value; /* text (percent-decoded), or the default; NULL: neither */
    int64_t number;    /* INTEGER; BOOLEAN 0 or 1; ENUM: index of the word; SIZE: bytes; DURATION: ms; else 0 */
    int given;         /* 1: stands in the URI */
};

/* Time, which an output need not read by itself. Every function may be called from any thread while a call into the
 * output is under way. */
struct tumble_output_host {
    uint32_t struct_size;
    void *ctx;
    /* Before what is under way must have returned: ask before anything that blocks, and again in every wait. 0 or less:
     * stop now (a deadline, a signal), answer TUMBLE_RETRY or EOUTPUT. INT64_MAX: no end. NULL: no end. */
    int64_t (*remaining_ms)(void *ctx);
    /* A line for people ("table orders: throttled, slowing down"). NULL: nobody listens. */
    void (*say)(void *ctx, const char *line);
};

/* What an output is opened with; borrowed for the call, but spec, host and source live until close. */
struct tumble_output_open {
    uint32_t struct_size;
    enum tumble_row_kind kind;
    const char *target;                        /* what stands behind "NAME:" in the URI, before the '?' */
    const struct tumble_option_value *options; /* those of the table, in its order, each once; behind them the others
                                                  (TUMBLE_OUTPUT_OTHER_OPTIONS), as text */
    size_t option_count;
    const char *uri;                       /* the whole of it, as the state knows the output; for messages */
    const struct tumble_spec *spec;        /* for its columns */
    struct tumble_bytes source;            /* the stream: part of every row's key */
    uint64_t spec_digest;                  /* of what decides rows */
    struct tumble_bytes checkpoint;        /* as last committed; empty: the first time */
    int durable;                           /* 1: flush must survive a power cut */
    const struct tumble_output_host *host; /* NULL: no deadline, nobody listens */
    int rows_may_vanish; /* 1: rows behind the checkpoint may never come again, as another process has their shard now:
                            what is there of them may be taken away */
};

enum {
    TUMBLE_OUTPUT_WANTS_VALUES = 1u,    /* fill row.values */
    TUMBLE_OUTPUT_WHOLE_FRAGMENTS = 2u, /* acknowledge fragments whole: flush is called behind a fragment's last row
                                           (of one or many), never inside one, and fragments whose flush was not
                                           reached come again from their first row (save after RETRY, where they
                                           go on) */
    TUMBLE_OUTPUT_NO_ROWS = 4u,         /* for --failures only */
    TUMBLE_OUTPUT_NO_FAILURES = 8u,     /* for --output only */
    TUMBLE_OUTPUT_OTHER_OPTIONS = 16u,  /* names beside the table's are the output's to check */
    TUMBLE_OUTPUT_AT_LEAST_ONCE = 32u,  /* has no keys: after a crash rows may stand there twice */
    TUMBLE_OUTPUT_NO_RETRY = 64u,       /* its trouble is none that waiting mends (a local file): it ends the run */
    TUMBLE_OUTPUT_NO_KEYS = 128u        /* does not look at the keys of windows' rows, which may be zeros */
};

struct tumble_output_api { /* static const in the output */
    uint32_t struct_size;  /* sizeof as built; the host reads no further */
    uint32_t abi_version;  /* TUMBLE_OUTPUT_ABI */
    const char *name;      /* "file": the URI's scheme, [a-z][a-z0-9+-]* */
    uint32_t flags;        /* TUMBLE_OUTPUT_… */
    const char *target;    /* what stands behind the colon, for people: "PATH", "//BUCKET/PREFIX" */
    const char *summary;   /* one line for people: what it is and does */
    const struct tumble_output_option *options; /* NULL when there are none */
    size_t option_count;
    enum tumble_code (*open)(const struct tumble_output_open *how, void **self, struct tumble_error *err);
    /* Fills out[i] for every row i. A non-OK result means that no row of the call was taken. EOUTPUT is tried again
     * (and EBUSY, EFULL, ENOMEM: what tumble_code_retryable says); any other code ends the run. EREFUSED is for what
     * the other side refuses altogether; EREJECTED, ELIMIT and ECORRUPT, said of a whole call, are taken for it. */
    enum tumble_code (*write)(void *self, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                              struct tumble_error *err);
    /* Everything written and delivered so far is safe (durable, if opened so) when this returns OK. pending_done is 1
     * at the first flush after every row left over from an earlier run was offered. */
    enum tumble_code (*flush)(void *self, int pending_done, struct tumble_error *err);
    /* Bytes the host commits together with the acknowledgement; returns their length (0: none). May be NULL. */
    size_t (*checkpoint)(void *self, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]);
    void (*close)(void *self); /* NULL and half-open allowed */
    /* Tells, without touching anything outside, whether open could take this (tumble check); may be NULL. how has
     * target, options, kind and spec. Errors: EUSAGE. */
    enum tumble_code (*check)(const struct tumble_output_open *how, struct tumble_error *err);
    /* ABI 1 ends here; append only */
};

/* What a shared object exports: its table, for a host that speaks host_abi (and every version below it). NULL: none for
 * that host. A table with more functions than the host knows is fine; the host reads what it knows. */
typedef const struct tumble_output_api *tumble_output_plugin_fn(uint32_t host_abi);
#define TUMBLE_OUTPUT_SYMBOL "tumble_output_plugin"

/* At the end of a plug-in's source. A source that is linked into a program instead, perhaps beside others, is compiled
 * with TUMBLE_OUTPUT_STATIC: then this is nothing, and the program names the table itself. */
#ifdef TUMBLE_OUTPUT_STATIC
#define TUMBLE_OUTPUT_PLUGIN(api) struct tumble_output_api /* allows the semicolon */
#else
#define TUMBLE_OUTPUT_PLUGIN(api)                                                                                      \
    __attribute__((visibility("default"))) const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi);    \
    const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi) {                                          \
        return host_abi >= TUMBLE_OUTPUT_ABI ? &(api) : NULL;                                                          \
    }                                                                                                                  \
    struct tumble_output_api /* allows the semicolon */
#endif

#ifdef __cplusplus
}
#endif

#endif
