#ifndef TUMBLE_OUTPUT_H
#define TUMBLE_OUTPUT_H

/* The output ABI (draft: version 0, may still change). An output takes rows and says what became of each one.
 *
 * How rows reach an output: they enter the outbox in the transaction that closes their window; after that commit the
 * engine calls write with them, in order, then flush; what was flushed is acknowledged in the engine's next commit,
 * together with the output's checkpoint. After a crash between flush and that commit the same rows come again, first
 * and in the same order: write must be idempotent on row.key, or use the checkpoint to find what it wrote already. */

#include <stddef.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TUMBLE_OUTPUT_ABI              0u
#define TUMBLE_OUTPUT_CHECKPOINT_BYTES 64

enum tumble_row_kind {
    TUMBLE_ROW_WINDOW = 0, /* a group's result in a fragment */
    TUMBLE_ROW_FAILURE = 1 /* a record (or row) that could not be applied, with its reason */
};

/* Borrowed for the call it is passed to. */
struct tumble_row {
    uint8_t key[16]; /* same key: same row. XXH3-128 of (source, spec digest, window, shard, fragment, group) */
    struct tumble_bytes json;          /* the row as one flat JSON object, no newline */
    const struct tumble_bytes *values; /* JSON text of each column, in the order of the spec's columns;
                                          NULL unless the output asked for it, and for failures */
    size_t value_count;
    int64_t window_start_ms;
    int64_t window_end_ms;
};

enum tumble_outcome { TUMBLE_DELIVERED = 0, TUMBLE_RETRY = 1, TUMBLE_REJECTED = 2 };

/* What became of one row. */
struct tumble_delivery {
    enum tumble_outcome outcome;
    int64_t retry_after_ms; /* RETRY: not before this; 0: as the host sees fit */
    const char *reason;     /* RETRY, REJECTED: static or owned by the output until its next call */
};

struct tumble_option_value {
    const char *name;
    const char *value;
};

/* What an output is opened with; borrowed for the call. */
struct tumble_output_open {
    const char *target;                        /* what stands behind "NAME:" in the URI */
    const struct tumble_option_value *options; /* from ?a=b&c=d, and defaults */
    size_t option_count;
    enum tumble_row_kind kind;
    const struct tumble_spec *spec; /* for its columns */
    struct tumble_bytes checkpoint; /* as last committed; empty: the first time */
    int durable;                    /* 1: flush must survive a power cut */
};

enum { TUMBLE_OUTPUT_WANTS_VALUES = 1u };

struct tumble_output_api { /* static const in the output */
    uint32_t struct_size;  /* sizeof as built; the host reads no further */
    uint32_t abi_version;  /* TUMBLE_OUTPUT_ABI */
    const char *name;      /* "file" */
    uint32_t flags;        /* TUMBLE_OUTPUT_WANTS_… */
    enum tumble_code (*open)(const struct tumble_output_open *how, void **self, struct tumble_error *err);
    /* Fills out[i] for every row i. A non-OK result means that no row of the call was taken. */
    enum tumble_code (*write)(void *self, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                              struct tumble_error *err);
    /* Everything written and delivered so far is safe (durable, if opened so) when this returns OK. pending_done is 1
     * at the first flush after every row left over from an earlier run was offered. */
    enum tumble_code (*flush)(void *self, int pending_done, struct tumble_error *err);
    /* Bytes the host commits together with the acknowledgement; returns their length (0: none). May be NULL. */
    size_t (*checkpoint)(void *self, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]);
    void (*close)(void *self); /* NULL and half-open allowed */
    /* ABI 0 ends here; append only */
};

#ifdef __cplusplus
}
#endif

#endif
