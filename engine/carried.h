#ifndef TW_ENGINE_CARRIED_H
#define TW_ENGINE_CARRIED_H

#include <tumble/invoke.h>
#include <tumble/kpl.h>

#include "engine/codec/compress.h"
#include "engine/engine_internal.h"
#include "engine/event/window_event.h"

/* An engine whose windows travel in the event (design section 5, carried). invoke.c: one event from its bytes to the
 * response · carried_shards.c: the shards it remembers · carried_apply.c: its records · carried_state.c: `state` to a
 * window and back · carried_objects.c: what lies in the spill store and its cache · carried_rows.c: a final's rows to
 * the outputs. */

enum {
    TW_STATE_VERSION = 1,
    TW_STATE_DIGEST_BYTES = 16,
    TW_STATE_SPECS = 4,         /* specs of open windows that a process knows at a time, its own included */
    TW_STATE_SHARDS = 1024,     /* shards that an engine remembers; beyond, the one used longest ago is forgotten */
    TW_SPILL_OBJECTS_MAX = 512, /* of one state: snapshot and deltas together */
    TW_SPILL_OBJECT_BYTES = 4 << 20, /* raw bytes of groups in one object, at least one group */
    TW_OBJECT_NAME_BYTES = 112,
    TW_FAILURES_BYTES = 8 << 20, /* of records diverted in one event; more are delivered before the rest is applied */
    TW_DEADLINE_MARGIN_MS = 250, /* left for the response when the records of an event cannot all be applied in time */
    TW_SWEEP_MARGIN_MS = 500     /* left when objects that are over are removed */
};
#define TW_STATE_BYTES_MAX     (64u << 20) /* unpacked state or object: what hostile bytes may make us take */
#define TW_PACKED_BYTES_MAX    (4u << 20)  /* of `state` as JSON without a spill store (rule R17) */
#define TW_CACHE_BYTES_MAX     (128u << 20)
#define TW_EXPECTED_GROUPS_MAX (4u << 20) /* that a state's claim makes us take memory for beforehand */

struct tw_spill_object {
    uint8_t digest[TW_STATE_DIGEST_BYTES]; /* XXH3-128 of its bytes, which is its name */
    uint64_t bytes;
    bool snapshot;
};

/* What a state says beside its groups. */
struct tw_carried_state {
    uint8_t digest[TW_STATE_DIGEST_BYTES]; /* of the payload; see carried_state.c */
    char expect[TW_LIMIT_SEQUENCE_DIGITS]; /* what the last answer reported as failed */
    size_t expect_length;
    struct tw_spill_object *objects; /* snapshot, then deltas, in order; none: the groups are inline */
    size_t object_count;
    struct tw_spill_object *garbage; /* of the state before: may go once this one came back */
    size_t garbage_count;
};

/* The one window of a shard that is in memory, and whether it is what a digest names. Streams number their shards
 * alike: a shard is that of a source. */
struct tw_carried_shard {
    uint64_t source; /* hash of its name */
    uint64_t used_at;
    bool valid;
    int64_t start_ms;
    int64_t end_ms;
    struct tw_carried_state state;
    /* objects and marks of an earlier window, which a later one removes (rule R4) */
    int64_t finished_start_ms;
    char *finished; /* names, each NUL-terminated */
    size_t finished_bytes;
};

/* An engine and the spec its windows began under; the first is the function's own. */
struct tw_carried_engine {
    struct tumble_engine *engine;
    struct tumble_spec *spec; /* NULL: borrowed by the engine's owner */
    struct tw_carried_shard *shards;
    size_t shard_count;
    uint64_t used_at;
};

struct tw_carried {
    struct tumble_engine *owner;
    struct tumble_alloc alloc;
    struct tumble_carried_options options;
    char *cache_directory;
    struct tw_store *cache; /* NULL: none, or given up */
    uint64_t cache_bytes;
    struct tw_carried_engine engines[TW_STATE_SPECS];
    size_t engine_count;
    uint64_t invocations;
    struct tw_zstd *zstd;
    struct tw_window_event event;
    struct tumble_kpl *kpl;
    /* scratch */
    struct tumble_record *slice;
    uint32_t *origin; /* which record of the event each of the slice comes from */
    struct tw_buf payloads;
    struct tw_buf raw;
    struct tw_buf packed;
    struct tw_buf object;
    struct tw_buf text; /* of state members that have escapes */
    struct tw_buf response;
    struct tumble_invoked *out; /* of the invocation at hand */
};

/* The state of an event, its members found but not unpacked. */
struct tw_state_envelope {
    bool is_fresh; /* {}, null or nothing: the window's first event */
    uint64_t spec_digest;
    uint8_t digest[TW_STATE_DIGEST_BYTES];
    struct tumble_bytes data; /* base64 */
};

/* carried_state.c */
enum tumble_code tw_state_envelope_read(struct tw_carried *carried, const struct tumble_value *state,
                                        struct tw_state_envelope *out, struct tumble_error *err);
/* Unpacks data into carried->raw and gives the payload; checks it against the digest. */
enum tumble_code tw_state_open(struct tw_carried *carried, const struct tw_state_envelope *envelope,
                               struct tumble_bytes *payload, struct tumble_error *err);
/* The canonical spec at the front of a payload. */
enum tumble_code tw_state_spec_text(struct tumble_bytes payload, struct tumble_bytes *text, struct tumble_error *err);
/* Payload → the shard's window (made anew) and held->state. */
enum tumble_code tw_state_load(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_shard *shard,
                               struct tw_carried_shard *held, struct tumble_bytes payload, struct tumble_error *err);
/* The window → `state` as JSON, appended to out; held->state follows. Spills when it must. *too_large: it is over what
 * can be carried, and nothing was appended. */
enum tumble_code tw_state_save(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_shard *shard,
                               struct tw_carried_shard *held, struct tumble_bytes expect, struct tw_buf *out,
                               bool *too_large, struct tumble_error *err);
/* Does it need that object? */
bool tw_state_names(const struct tw_carried_state *state, const struct tw_spill_object *object);
void tw_carried_state_clear(struct tw_carried *carried, struct tw_carried_state *state);

/* carried_objects.c */
void tw_cache_open(struct tw_carried *carried);
/* Name of an object or mark of a shard's window; digest NULL: what all of them begin with. */
void tw_object_name(const struct tumble_engine *engine, const struct tumble_shard *shard, int64_t start_ms,
                    const char *prefix, const uint8_t *digest, char out[TW_OBJECT_NAME_BYTES]);
/* Keeps bytes under the name their content gives; fills object. */
enum tumble_code tw_object_put(struct tw_carried *carried, const struct tumble_engine *engine,
                               const struct tumble_shard *shard, int64_t start_ms, struct tumble_bytes bytes,
                               struct tw_spill_object *object, struct tumble_error *err);
/* From the cache, else from the spill store; checked. *bytes lives until the next call. */
enum tumble_code tw_object_get(struct tw_carried *carried, const struct tumble_engine *engine,
                               const struct tumble_shard *shard, int64_t start_ms, const struct tw_spill_object *object,
                               struct tumble_bytes *bytes, struct tumble_error *err);
/* Removes an object that nothing refers to any more. False: there is trouble, or no time for more of them, and what is
 * over is left to the bucket's lifecycle rule. */
bool tw_object_remove(struct tw_carried *carried, const struct tumble_engine *engine, const struct tumble_shard *shard,
                      int64_t start_ms, const struct tw_spill_object *object);
bool tw_name_remove(struct tw_carried *carried, const char *name);
void tw_mark_name(const struct tumble_engine *engine, const struct tumble_shard *shard, int64_t start_ms,
                  const char *output, const uint8_t digest[TW_STATE_DIGEST_BYTES], char out[TW_OBJECT_NAME_BYTES]);
/* How far a final came with an output: written beside the spill and into the cache. */
enum tumble_code tw_mark_put(struct tw_carried *carried, const struct tumble_engine *engine,
                             const struct tumble_shard *shard, int64_t start_ms, const char *output,
                             const uint8_t digest[TW_STATE_DIGEST_BYTES], uint64_t row, struct tumble_error *err);
enum tumble_code tw_mark_get(struct tw_carried *carried, const struct tumble_engine *engine,
                             const struct tumble_shard *shard, int64_t start_ms, const char *output,
                             const uint8_t digest[TW_STATE_DIGEST_BYTES], uint64_t *row, struct tumble_error *err);

/* carried_apply.c */
enum { TW_SLICE_RECORDS = 256 }; /* applied at a time */
struct tw_applied {
    size_t records;  /* of the event, applied whole: [0, records) */
    size_t stopped;  /* at this one (= records unless an earlier part of its number was applied) */
    bool is_bad;     /* because it is bad (err says why) */
    bool is_late;    /* because there is no time left */
    bool is_partial; /* a part of its sequence number was applied already */
};
/* Applies records [0, limit) of the event to the window; a bad record or the deadline end it early, which is no error
 * but told in out. Errors: ENOMEM, EEVENT, ESEQUENCE and what is wrong with the engine. */
enum tumble_code tw_carried_apply(struct tw_carried *carried, struct tw_carried_engine *engine,
                                  struct tumble_shard *shard, int64_t start_ms, size_t limit, struct tw_applied *out,
                                  struct tumble_error *err);
/* The sequence number of a record as the event has it. */
struct tumble_bytes tw_carried_sequence(struct tw_carried *carried, size_t record);

/* carried_rows.c */
/* Gives another engine the outputs of the function's own; they are opened when there is something for them. */
enum tumble_code tw_carried_attach_again(struct tw_carried *carried, struct tumble_engine *engine, size_t output,
                                         struct tumble_error *err);
void tw_carried_close_outputs(struct tumble_engine *engine);
/* Rows rejected in an invocation that failed: its retry meets them again. */
void tw_carried_drop_rejected(struct tumble_engine *engine);
/* Delivers the rows of a window that ends. digest: of the rows, filled in; marks of the final bear it. */
enum tumble_code tw_carried_emit(struct tw_carried *carried, struct tw_carried_engine *engine,
                                 struct tumble_shard *shard, struct tw_window *window,
                                 uint8_t digest[TW_STATE_DIGEST_BYTES], struct tumble_error *err);
/* Delivers failures that the shard and the outputs have gathered. */
enum tumble_code tw_carried_emit_failures(struct tw_carried *carried, struct tw_carried_engine *engine,
                                          struct tumble_shard *shard, struct tumble_error *err);

/* carried_shards.c */
/* Finds the shard of the engine's source, or makes it; of too many the one used longest ago makes place. Errors:
 * ENOMEM, EEVENT (no id of a shard). */
enum tumble_code tw_carried_hold(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_bytes id,
                                 struct tumble_shard **shard, struct tw_carried_shard **held, struct tumble_error *err);
void tw_carried_forget(struct tw_carried *carried, struct tw_carried_shard *held, struct tumble_shard *shard);
void tw_carried_forget_finished(struct tw_carried *carried, struct tw_carried_shard *held);
/* Removes garbage of the state that came back, and what an earlier window of the shard left. */
void tw_carried_sweep(struct tw_carried *carried, const struct tumble_engine *engine, const struct tumble_shard *shard,
                      struct tw_carried_shard *held, const struct tw_carried_state *came_back);
/* The held window has ended, its rows have this digest: a later one removes what it leaves. */
void tw_carried_note_finished(struct tw_carried *carried, const struct tumble_engine *engine,
                              const struct tumble_shard *shard, struct tw_carried_shard *held,
                              const uint8_t rows[TW_STATE_DIGEST_BYTES]);
/* Windows of shards other than keep leave memory once all take more than the limit. */
void tw_carried_make_room(struct tw_carried *carried, const struct tumble_shard *keep);

/* invoke.c */
void tw_carried_destroy(struct tw_carried *carried);            /* NULL allowed */
int64_t tw_carried_remaining(const struct tw_carried *carried); /* ms; INT64_MAX: no end */

#endif
