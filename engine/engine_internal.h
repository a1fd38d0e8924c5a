#ifndef TW_ENGINE_ENGINE_INTERNAL_H
#define TW_ENGINE_ENGINE_INTERNAL_H

#include <pthread.h>

#include <tumble/engine.h>

#include "engine/base/arena.h"
#include "engine/base/buf.h"
#include "engine/event_apply.h"
#include "engine/outbox.h"
#include "engine/spec_compiled.h"
#include "engine/store/store.h"
#include "engine/window/window.h"

/* What the files of the engine share. engine.c: open, shards, notes · apply.c: records → accumulators, by way of
 * apply_chunk.h · commit.c: one transaction · recover.c: what open and a dropped window read back · row.c: a group as a
 * row · forget.c: a shard that another process has now · outbox.h: what waits for outputs · failure.c: the failures
 * stream. */

enum { TW_CHUNK_RECORDS = TW_STEPS_AT_ONCE }; /* records hashed and prefetched together: apply_chunk.h */

struct tw_pending { /* one record of a chunk on its way to its group */
    const struct tumble_record *record;
    struct tumble_bytes sequence;
    uint32_t key_offset;
    uint32_t key_length;
    uint32_t hash;
    uint32_t reference;
    uint64_t steps[(TW_LIMIT_AGGREGATES + 63) / 64]; /* bit a: aggregate a takes this record */
    bool recalled;                                   /* reference is known: there is no key and no hash */
};

/* A short record at length. */
struct tw_lengthened {
    struct tumble_record record;
    char text[TUMBLE_SHORT_TEXT];
};

enum { TW_PREFIX_SLACK = 16 }; /* so that a short prefix is copied with what stands behind it */

enum { TW_USUAL_FIELDS = 21 }; /* as many as there is room for the types of in a word */

struct tumble_shard {
    struct tumble_engine *engine;
    uint32_t index;
    char id[TW_LIMIT_SHARD_ID_BYTES + 1];
    uint32_t id_length;
    bool stored;
    bool forgotten;             /* its rows leave the outbox with the next commit */
    struct tw_window **windows; /* ascending by start */
    size_t window_count;
    size_t window_capacity;
    int64_t latest_closed_ms; /* start of the latest window that ever waited with its rows */
    uint32_t groups_before;   /* of the window that closed last */
    uint64_t records;
    uint64_t fates[TUMBLE_FATE_COUNT];
    uint64_t skipped;
    uint64_t windows_opened;
    uint64_t *found;        /* per field of the spec: records that had it */
    struct tw_buf failures; /* documents since the last commit, each varint length + bytes */
    /* scratch of apply */
    struct tw_pending pending[TW_CHUNK_RECORDS];
    struct tumble_layout layout;    /* of the payloads */
    struct tumble_value *projected; /* one record's */
    /* What choose_steps said of the last record whose fields had these types, while types alone decide it. */
    bool types_decide;
    bool takes_memo; /* groups are told by one field of the payload */
    bool types_known;
    uint64_t types;
    uint64_t types_skipped;
    bool usual; /* records of those types can take the short way of gather_usual */
    struct {
        uint32_t projected;
        uint32_t type;
    } usual_fields[TW_USUAL_FIELDS];
    uint64_t types_steps[(TW_LIMIT_AGGREGATES + 63) / 64];
    bool steps_alone; /* every aggregate looks at values alone: no record of a chunk has to be told at length */
    struct tw_lengthened *lengthened; /* TW_CHUNK_RECORDS of them; NULL: no short record came yet */
    struct tw_value *values;          /* TW_CHUNK_RECORDS × field_count */
    struct tw_tallies *tallies;       /* apply_tally.h; NULL: none were made yet */
    uint32_t tally_rest;              /* chunks of records to be taken one by one, for there were */
    uint32_t tally_misses;            /* so many that one after the other stopped a tally */
    struct tw_buf keys;
    struct tw_arena text;           /* unescaped strings of a chunk */
    struct tw_event_scratch *event; /* event_apply.h; NULL: no event was applied */
};

/* Does an aggregate take records of the types that are remembered? */
static inline bool tw_shard_takes(const struct tumble_shard *shard, size_t aggregate) {
    return shard->types_steps[aggregate / 64] >> aggregate % 64 & 1;
}

struct tw_note {
    char name[TW_LIMIT_NOTE_NAME_BYTES + 1];
    struct tw_buf value;
    bool changed;
};

struct tumble_engine {
    struct tumble_alloc alloc;
    const struct tumble_spec *spec;
    char *source;
    size_t source_length;
    int64_t window_ms;
    bool read_only;
    bool persist; /* windows are kept in the store, not only the outbox */
    enum tumble_durability durability;
    uint32_t sync_every;
    size_t memory_limit;
    struct tw_store *store;
    pthread_mutex_t store_lock; /* shards applied in parallel may each read a dropped window back */
    pthread_mutex_t desk_lock;
    struct tw_event_desk *desks; /* event_apply.h; those that no shard uses right now */
    struct tumble_projection *projection;
    size_t projected_count;  /* all of it */
    size_t first_spec_field; /* where the spec's fields begin among the projected */
    size_t first_where_field;
    uint32_t *aggregate_where; /* where the filter fields of each aggregate begin among the projected */
    struct tw_spans spans;     /* of windows' groups; with a memory limit none are kept */
    struct tw_layout layout;
    struct tw_layout_item *layout_items;
    void *fresh_group; /* layout.fresh */
    uint64_t hash_seed;
    struct tumble_shard **shards;
    size_t shard_count;
    size_t shard_capacity;
    struct tw_note *notes;
    size_t note_count;
    struct tw_output outputs[TW_LIMIT_OUTPUTS];
    size_t output_count;
    bool meta_stored;
    bool forgets;           /* until the next commit */
    bool broken;            /* a commit failed: memory and store may differ */
    uint64_t next_chunk[2]; /* of the outbox, by kind */
    uint64_t first_chunk[2];
    struct tw_outbox_figures outbox;
    struct tumble_counters counters; /* stored figures; those of shards are added when committed */
    uint64_t commits_since_sync;
    struct tw_buf scratch;
    struct tw_buf frame;
    struct tw_buf rejected; /* failures of rows since the last commit: varint length + document each */
    uint64_t rejected_count;
    struct tw_group_rank *order;
    size_t order_capacity;
    char *column_prefix; /* ,"name": of each group and aggregate column, one behind the other; TW_PREFIX_SLACK behind */
    uint32_t *column_prefix_end;
    struct tw_buf
        partial_prefix; /* "sum#…:" and the like of each aggregate, one behind the other; spec with partials */
    uint32_t *partial_prefix_end;
    struct tw_buf partial;      /* scratch */
    struct tw_carried *carried; /* NULL: windows are held; see carried.h */
};

/* engine.c */
struct tw_window *tw_shard_find_window(const struct tumble_shard *shard, int64_t start_ms);
enum tumble_code tw_shard_window(struct tumble_shard *shard, int64_t start_ms, struct tw_window **out,
                                 struct tumble_error *err); /* finds, loads or opens */
enum tumble_code tw_shard_add(struct tumble_engine *engine, struct tumble_bytes id, struct tumble_shard **out,
                              struct tumble_error *err);
enum tumble_code tw_shard_insert_window(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err);
enum tumble_code tw_engine_order(struct tumble_engine *engine, size_t n,
                                 struct tumble_error *err); /* scratch for ranks */
uint32_t tw_engine_key_hash(const void *engine, struct tumble_bytes key);
void tw_engine_total(const struct tumble_engine *engine, struct tumble_counters *out); /* stored figures + shards' */
enum tumble_code tw_note_set(struct tumble_engine *engine, struct tumble_bytes name, struct tumble_bytes value,
                             struct tw_note **out, struct tumble_error *err);

/* apply.c: tumble_shard_apply for a window that somebody else has chosen, aligned or not */
enum tumble_code tw_shard_apply_at(struct tumble_shard *shard, int64_t window_start_ms,
                                   const struct tumble_record *records, size_t count,
                                   struct tumble_apply_result *result, struct tumble_error *err);

/* recover.c */
enum tumble_code tw_engine_recover(struct tumble_engine *engine, struct tumble_error *err);
enum tumble_code tw_window_load(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err);
/* The same inside a transaction of the store. */
enum tumble_code tw_window_read_groups(struct tumble_shard *shard, struct tw_window *window, struct tumble_error *err);
struct tw_cursor_text { /* views into the store */
    struct tumble_bytes name;
    enum tumble_row_kind kind;
    uint64_t chunk;
    uint64_t row;
    struct tumble_bytes checkpoint;
    uint32_t attempts;
    struct tumble_bytes last_error;
};
enum tumble_code tw_cursor_read(const struct tumble_engine *engine, struct tumble_bytes value,
                                struct tw_cursor_text *out, struct tumble_error *err);
enum tumble_code tw_engine_read_cursor(struct tumble_engine *engine, struct tw_output *output,
                                       struct tumble_error *err);

/* row.c */
struct tw_row_writer {  /* what the rows of one window share */
    struct tw_buf head; /* {"window_start":… up to the first group column */
    struct tw_buf key;  /* identity of the window; the group's key is appended to it */
    size_t key_base;
    bool no_keys;        /* tw_row_append_kept writes zeros in their places */
    size_t room;         /* that a row is given at least, and where it goes on behind a value that needed more */
    size_t length_bytes; /* of the varint of the last row's length; 0: none yet */
};
enum tumble_code tw_row_writer_init(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                    const struct tw_window *window, struct tumble_error *err);
void tw_row_writer_clean_up(struct tw_row_writer *writer);
/* Appends a group's row as JSON and gives its key. */
enum tumble_code tw_row_append(struct tw_row_writer *writer, const struct tumble_shard *shard,
                               const struct tw_window *window, uint32_t reference, struct tw_buf *out, uint8_t key[16]);
/* The same without the head. */
enum tumble_code tw_row_append_own(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                   const struct tw_window *window, uint32_t reference, struct tw_buf *out,
                                   uint8_t key[16]);
/* The same as chunks of text have it: key, varint length, JSON, of which *own is a view until out grows. */
enum tumble_code tw_row_append_kept(struct tw_row_writer *writer, const struct tumble_shard *shard,
                                    const struct tw_window *window, uint32_t reference, struct tw_buf *out,
                                    struct tumble_bytes *own);

/* failure.c */
enum tumble_code tw_failure_record(struct tumble_shard *shard, const struct tumble_record *record,
                                   enum tumble_fate fate, const char *reason, struct tumble_error *err);
bool tw_engine_has_failures(const struct tumble_engine *engine);

/* Keys of the store: one letter for the kind, then big-endian numbers, so that order is meaning. */
enum { TW_KEY_BYTES = 80 };
struct tw_key {
    char bytes[TW_KEY_BYTES];
    size_t length;
};
struct tw_key tw_key_meta(void);
struct tw_key tw_key_counters(void);
struct tw_key tw_key_note(struct tumble_bytes name);
struct tw_key tw_key_shard(uint32_t shard);
struct tw_key tw_key_window(uint32_t shard, int64_t start_ms);
struct tw_key tw_key_groups(uint32_t shard, int64_t start_ms, uint32_t generation, char part, uint32_t number);
struct tw_key tw_key_generation(uint32_t shard, int64_t start_ms, uint32_t generation);
struct tw_key tw_key_outbox(enum tumble_row_kind kind, uint64_t chunk);
struct tw_key tw_key_outbox_all(enum tumble_row_kind kind);
/* Beside the last chunk of a fragment that has several. */
enum { TW_KEY_FRAGMENT = 'F' };
struct tw_key tw_key_fragment(uint64_t chunk);
struct tw_key tw_key_cursor(const char *name, enum tumble_row_kind kind);
struct tw_key tw_key_prefix(char letter);
static inline struct tumble_bytes tw_key_view(const struct tw_key *key) {
    struct tumble_bytes view = {key->bytes, key->length};
    return view;
}
bool tw_key_read_window(struct tumble_bytes key, uint32_t *shard, int64_t *start_ms);
bool tw_key_read_outbox(struct tumble_bytes key, uint64_t *chunk);
bool tw_key_read_fragment(struct tumble_bytes key, uint64_t *chunk);

#endif
