#ifndef TW_ENGINE_OUTBOX_H
#define TW_ENGINE_OUTBOX_H

#include <tumble/delivery.h>

#include "engine/base/buf.h"

/* The outbox: rows between the transaction that closed their window and the acknowledgement of every output. A chunk is
 * one value of the store: failures as text, or a closed window, whose rows its groups make when they leave; chunks of a
 * kind are numbered without gaps and leave in that order. outbox_write.c: into the transaction · outbox_closed.c:
 * closed windows · outbox_read.c: chunks as rows · output_attach.c: opening outputs · emit.c: rows to outputs ·
 * outbox_look.c: what waits. */

struct tumble_engine;
struct tumble_shard;
struct tw_window;

struct tw_output {
    char *name;
    const struct tumble_output_api *api; /* NULL: not here in this process; its rows are kept */
    void *self;
    bool is_open;
    enum tumble_row_kind kind;
    uint64_t chunk; /* acknowledged before here */
    uint64_t row;
    uint64_t at_chunk; /* offered before here */
    uint64_t at_row;
    uint64_t unflushed;                              /* rows between the two that were offered */
    bool at_end_of_fragment;                         /* the last of them was its fragment's last */
    char checkpoint[TUMBLE_OUTPUT_CHECKPOINT_BYTES]; /* of the last good flush */
    size_t checkpoint_length;
    bool changed; /* what stands in the store is older */
    bool starts;  /* new to the state: its first checkpoint is committed before it is written to */
    bool drained_once;
    bool is_careful;        /* was in trouble: every batch is flushed until it has caught up, so that each counts */
    struct tw_buf rejected; /* failures of rows between the two: varint length + document each */
    uint64_t rejected_count;
    struct tumble_output_open how; /* as it was attached; text below */
    struct tumble_option_value *options;
    char *texts;
    uint32_t attempts;     /* see struct tumble_output_status */
    int64_t held_since_ms; /* -1: since it was attached, when there was no clock */
    int64_t due_ms;
    uint64_t caught_up; /* figures.added when nothing waited last */
    uint64_t backlog;   /* bytes that waited when it was attached, until it has caught up */
    char last_error[TUMBLE_ERROR_TEXT];
};

struct tw_outbox_figures {
    uint64_t added[2]; /* bytes of chunks written since open, by kind */
    uint64_t random;
    struct tw_delivery *delivery; /* made when first needed */
    struct tw_closed **closed;    /* from closed_first on every closed window that waits, ascending by chunk */
    /* There may be a hundred thousand of them: a commit looks at none but those it adds, ends or changes. */
    size_t closed_first;
    size_t closed_count; /* those before closed_first, too */
    size_t closed_capacity;
    size_t closed_fresh; /* before here none is in memory, where the store has it */
    size_t closed_kept;  /* before here none has rows */
    bool forgets;        /* some are */
    size_t kept_bytes;   /* of rows in all of them */
    size_t held_bytes;   /* of groups in all of them */
    struct tw_buf spare; /* room for the next one's */
};

struct tw_closed {
    uint64_t chunk;
    struct tumble_shard *shard;
    struct tw_window *window; /* its groups are in memory, in the store, or both */
    bool is_owned;            /* committed: window belongs to this */
    bool is_forgotten;        /* goes with the transaction at hand */
    size_t held_bytes;        /* of groups in memory, as of the last commit */
    struct tumble_fragment fragment;
    uint64_t row_bytes; /* of the JSON of all rows */
    struct tw_buf rows; /* all of them as a chunk of text has them; empty: to be made from the groups */
    bool has_no_keys;   /* zeros stand in the rows where keys would */
};

/* ---- outbox_write.c ---- */

struct tw_outbox_put { /* one transaction's part; begun anew when the transaction is */
    struct tumble_engine *engine;
    uint64_t next_chunk[2];
    uint64_t first_chunk[2];
    uint64_t added[2];
    uint64_t rows;
    uint64_t failures;
    uint64_t bytes; /* of every frame put */
};
void tw_outbox_put_begin(struct tw_outbox_put *put, struct tumble_engine *engine);
/* What shards to be forgotten have in the outbox becomes chunks without rows. */
enum tumble_code tw_outbox_put_forgotten(struct tw_outbox_put *put, struct tumble_error *err);
/* Documents, each varint length + bytes. */
enum tumble_code tw_outbox_put_failures(struct tw_outbox_put *put, const struct tw_buf *documents,
                                        struct tumble_error *err);
/* Deletes chunks that every output of their kind has acknowledged. */
enum tumble_code tw_outbox_drop(struct tw_outbox_put *put, enum tumble_row_kind kind, struct tumble_error *err);
enum tumble_code tw_outbox_put_cursor(struct tw_outbox_put *put, const struct tw_output *output,
                                      struct tumble_error *err);
/* Memory follows the store. */
void tw_outbox_settle(const struct tw_outbox_put *put);
/* A row as chunks of text have it; json: what stands behind the chunk's head. */
enum tumble_code tw_outbox_append_row(struct tw_buf *out, const uint8_t key[16], struct tumble_bytes json);

/* tumble_fragment.digest, begun with zeros: a row of the fragment more, its JSON without the head. */
void tw_fragment_digest_add(uint8_t digest[16], struct tumble_bytes own);

/* ---- outbox_closed.c ---- */

/* NULL: the chunk holds no closed window. */
struct tw_closed *tw_closed_find(const struct tumble_engine *engine, uint64_t chunk);
/* A window that closes becomes a chunk; its groups are in the store already, as as_stored says. *waits: it has rows,
 * and the window is the outbox's once the transaction is committed. */
enum tumble_code tw_closed_put(struct tw_outbox_put *put, struct tumble_shard *shard, struct tw_window *window,
                               const struct tw_window *as_stored, bool *waits, struct tumble_error *err);
enum tumble_code tw_closed_erase_groups(const struct tumble_engine *engine, const struct tw_closed *closed,
                                        struct tumble_error *err);
void tw_closed_forget(struct tumble_engine *engine, struct tw_closed *closed);
/* A transaction begins, again perhaps; it is committed. */
void tw_closed_begin(struct tumble_engine *engine);
void tw_closed_settle(struct tumble_engine *engine);
/* At open: a chunk that holds one, in their order. Errors: as tw_frame_open. */
enum tumble_code tw_closed_read(struct tumble_engine *engine, uint64_t chunk, struct tumble_bytes value,
                                struct tumble_error *err);
void tw_closed_clean_up(struct tumble_engine *engine);
/* What a window that opens again begins with: closed ones of the same start are still in the store. */
uint32_t tw_closed_next_generation(const struct tumble_engine *engine, const struct tumble_shard *shard,
                                   int64_t start_ms);
size_t tw_closed_memory(const struct tumble_engine *engine);

/* ---- outbox_read.c ---- */

struct tw_fragment_text {
    struct tumble_fragment fragment;
    char shard_id[128]; /* TW_LIMIT_SHARD_ID_BYTES */
    char sequences[2][128];
};

struct tw_chunk_reader { /* rows of chunks, one after the other, inside one store transaction */
    struct tumble_engine *engine;
    enum tumble_row_kind kind;
    bool is_open;
    uint64_t chunk;
    uint64_t row;          /* next */
    uint64_t fragment_row; /* of the next row */
    struct tw_cursor in;
    struct tumble_bytes head;         /* what the JSON of every row of the chunk begins with */
    struct tw_fragment_text fragment; /* of the chunk; kind WINDOW */
    uint64_t summary_chunk;           /* the fragment summary read last belongs to this chunk; UINT64_MAX: none */
    uint64_t summary[2];
    uint8_t summary_digest[16];
    /* Of a closed window: */
    struct tw_closed *closed;
    struct tw_row_writer *writer;
    bool has_loaded;
    struct tw_group_rank *order; /* NULL: its rows were kept */
    size_t order_capacity;
    size_t group; /* next of order */
    struct tw_buf text;
};
void tw_chunk_reader_init(struct tw_chunk_reader *reader, struct tumble_engine *engine, enum tumble_row_kind kind,
                          uint64_t chunk, uint64_t row);
void tw_chunk_reader_clean_up(struct tw_chunk_reader *reader);
/* *got false: the end of the outbox. row->fragment points into the reader, row->json is what stands behind
 * reader->head; views live until the next call. */
enum tumble_code tw_chunk_reader_next(struct tw_chunk_reader *reader, struct tumble_row *row, bool *got,
                                      struct tumble_error *err);
/* Bytes of the chunks from this one on. */
enum tumble_code tw_outbox_bytes(struct tumble_engine *engine, enum tumble_row_kind kind, uint64_t chunk,
                                 uint64_t *bytes, struct tumble_error *err);
/* Where the row behind the last one stands. */
void tw_chunk_reader_position(const struct tw_chunk_reader *reader, uint64_t *chunk, uint64_t *row);

/* ---- output_attach.c ---- */

/* Does one of those of windows' rows, as far as they are attached by now? */
bool tw_outputs_want_keys(const struct tumble_engine *engine);

/* The engine owns the output afterwards. */
void tw_output_clean_up(struct tumble_engine *engine, struct tw_output *output);
/* Opens what attach could not, or what was closed after trouble, at its last good flush; *mends: see below. */
enum tumble_code tw_output_open(struct tw_output *output, bool *mends, struct tumble_error *err);
/* Closes it; everything since its last good flush will be offered again. */
void tw_output_rewind(struct tw_output *output);
enum tumble_code tw_output_take_checkpoint(struct tw_output *output, struct tumble_error *err);
/* What an output answers comes from outside: a code that is none of ours, or one without a text, gets both; *mends:
 * trying again later may help. */
enum tumble_code tw_output_answer(const struct tw_output *output, const char *call, enum tumble_code code, bool *mends,
                                  struct tumble_error *err);
void tw_output_expect_answer(struct tumble_error *err);
void tw_output_defer(struct tumble_engine *engine, struct tw_output *output,
                     const struct tumble_delivery_options *options, int64_t retry_after_ms, const char *why);

/* ---- emit.c ---- */

/* Before rows are written: no answer is told from any other. Afterwards each is looked at: EOUTPUT, it is none. */
void tw_output_expect_outcomes(struct tumble_delivery *outcomes, size_t count);
enum tumble_code tw_output_check_outcome(const struct tw_output *output, const struct tumble_delivery *outcome,
                                         struct tumble_error *err);
/* A rejected row becomes a failure (in output->rejected). Errors: EREJECTED, there is nowhere to put it. */
enum tumble_code tw_output_reject(struct tumble_engine *engine, struct tw_output *output, const struct tumble_row *row,
                                  const char *reason, struct tumble_error *err);
void tw_delivery_destroy(struct tumble_engine *engine);

#endif
