#ifndef TUMBLE_RUNNER_REPLAY_INTERNAL_H
#define TUMBLE_RUNNER_REPLAY_INTERNAL_H

#include <time.h>

#include "emulator/emulator.h"
#include "runner/delivery.h"
#include "runner/memory.h"
#include "runner/replay.h"
#include "runner/round.h"
#include "runner/seen.h"
#include "runner/settings.h"
#include "runner/sorter.h"
#include "runner/workers.h"

/* One replay, as its files share it. replay.c: setting up, resuming, the summary · replay_intake.c: a record into the
 * round · replay_lines.c: many payloads at once · replay_alike.c: many captured records · replay_rounds.c: rounds,
 * their commits, and the two ways through the input. */

enum {
    ROUND_RECORDS = 65536,         /* most records of a round, whatever the number of shards */
    SPAN_BYTES = 64 * 1024 * 1024, /* or of input, whatever it is */
    PROGRESS_MS = 100,
    LAMBDA_WINDOW_MS = 900000, /* lambda-semantics 3.2 */
    KEY_TEXT = 24
};

struct replay {
    const struct tumble_replay_options *options;
    struct tumble_replay_summary *summary;
    struct tumble_engine *engine;
    struct tumble_deliverer deliverer;
    struct tumble_output_host host;
    struct tumble_capture *capture;
    struct tumble_sharder *sharder; /* several shards are asked for */
    struct tumble_workers *workers;
    struct tumble_round round;
    struct tumble_virtual_clock clock;
    int64_t none_closes_before_ms; /* no window closes while the watermark is below this */
    struct tumble_seen *seen;      /* captures with sequence numbers */
    struct tumble_sorter sorter;
    struct tumble_lane **shard_lanes; /* by shard index, payload input */
    struct tumble_lane *last_lane;    /* of the record before: the next is mostly of the same shard */
    struct tumble_progress progress;
    int timestamp_index; /* among the extra fields, -1: not projected */
    int key_index;
    int carries_sequences; /* 1: the capture has sequence numbers, 0: payload input, -1: no record yet */
    int takes_timestamp;   /* arrival comes from the field */
    int names_shards;      /* each record says its shard: which there are shows only at the end */
    int keeps_position;    /* a state directory is named */
    int closes;            /* a window is over behind what the round holds */
    uint32_t span_input;   /* how much input the round covers */
    uint64_t span_offset;
    uint64_t span_bytes;
    uint64_t lag_ms;       /* of the latest late record behind the watermark, for the advice */
    char number[KEY_TEXT]; /* a record's, its partition key when it has no other: the last one that was written */
    size_t number_length;
    uint64_t number_value;
    int reads_lines;   /* payloads are taken many at once, where they allow it */
    int reads_alike;   /* captured records are */
    int applies_early; /* and applied before their round is over */
    size_t early;      /* records of the round that were */
    size_t lines_most; /* how many to ask for: fewer where something often stands in between */
    size_t lines_rest; /* records to take one by one first */
    /* Keys and sequence numbers made for the records of a round, in memory that stays where it is until the round ends.
     * While one round is applied the next one is filled: texts[text_side] is of that. */
    struct {
        char **blocks;
        size_t count;
        size_t capacity;
        size_t used;
    } texts[2];
    int text_side;
    int overlaps;                           /* rounds are applied while the next one is read */
    int under_way;                          /* one is */
    struct tumble_virtual_clock clock_then; /* behind its last record */
    struct tumble_progress progress_then;
    struct timespec progress_at;
    char *temporary; /* state directory to remove */
};

/* replay_intake.c */
enum tumble_code tumble_replay_no_memory(struct tumble_error *err);
/* Lane of a shard of payload input, made when it is new. */
enum tumble_code tumble_replay_lane_of_shard(struct replay *replay, uint32_t shard, struct tumble_lane **out,
                                             struct tumble_error *err);
/* Puts the place of a record in front of err. */
void tumble_replay_locate(const struct replay *replay, const struct tumble_captured *captured, struct tumble_error *err,
                          enum tumble_code code);
/* Arrival time in ms; -1 and *why when the record has none that can be used. */
int64_t tumble_replay_arrival(const struct replay *replay, const struct tumble_captured *captured,
                              struct tumble_error *why);
/* The shard of a partition key. */
enum tumble_code tumble_replay_lane_of_key(struct replay *replay, struct tumble_bytes key, struct tumble_lane **lane,
                                           struct tumble_error *err);
/* A payload's partition key: its field, or else its number, which is the next record's. */
/* A string or number of the field asked for; empty: it is no key. */
static inline struct tumble_bytes tumble_replay_key_value(const struct replay *replay,
                                                          const struct tumble_value *values) {
    struct tumble_bytes key = {NULL, 0};
    if (replay->key_index >= 0 && values) {
        const struct tumble_value *value = &values[replay->key_index];
        key.data = value->text;
        key.length = value->type == TUMBLE_TYPE_STRING || value->type == TUMBLE_TYPE_NUMBER ? value->length : 0;
    }
    return key;
}
struct tumble_bytes tumble_replay_payload_key(struct replay *replay, const struct tumble_value *values);
/* Behind a record that moved the watermark from before: may a window be over? */
int tumble_replay_may_close(struct replay *replay, int64_t before);
/* What the first record tells of the whole capture. */
enum tumble_code tumble_replay_first_record(struct replay *replay, const struct tumble_captured *captured,
                                            struct tumble_error *err);
/* Puts one record into the round. *closes: behind it some window is over. */
enum tumble_code tumble_replay_take_record(struct replay *replay, const struct tumble_captured *captured,
                                           int64_t arrival_ms, struct tumble_error *why, int *closes,
                                           struct tumble_error *err);

/* replay_lines.c */
enum { LINES_MOST = 1024 };
/* What is at hand and can be taken at once, until the round is over; *taken 0: the next record is one for
 * tumble_capture_next. */
enum tumble_code tumble_replay_take_lines(struct replay *replay, size_t *taken, int *ends, struct tumble_error *err);
void tumble_replay_lengthen(void *ctx, const struct tumble_short_record *record, char text[TUMBLE_SHORT_TEXT],
                            struct tumble_record *out);

/* Records of one window, none of them late, behind none but perhaps the last of which a window may be over. */
struct tumble_stretch {
    size_t count; /* 0: the first is late */
    int64_t window_start_ms;
    int64_t first_arrival_ms;
    int64_t last_arrival_ms;
};
/* What is taken next of so many records, whose arrival times stand every step bytes. */
struct tumble_stretch tumble_replay_stretch(const struct replay *replay, const int64_t *arrivals_ms, size_t step,
                                            size_t count);
/* They have arrived. */
void tumble_replay_arrive(struct replay *replay, const struct tumble_stretch *stretch);

/* replay_alike.c: tumble_replay_take_lines for captured records */
enum tumble_code tumble_replay_take_alike(struct replay *replay, size_t *taken, int *ends, struct tumble_error *err);

/* replay_rounds.c */
/* A record that begins at that place of an input was put into the round: is the round over? */
size_t tumble_replay_round_room(const struct replay *replay);   /* records until it is, at most */
size_t tumble_replay_records_room(const struct replay *replay); /* or until captured ones are applied early */
int tumble_replay_round_is_full(struct replay *replay, uint32_t input, uint64_t offset);
/* Would it be over because of how much of the input it covers? */
int tumble_replay_spans(const struct replay *replay, uint32_t input, uint64_t offset);
enum tumble_code tumble_replay_set_note(struct replay *replay, const char *name, const char *text,
                                        struct tumble_error *err);
/* The input as it comes, or ordered first. */
enum tumble_code tumble_replay_stream(struct replay *replay, struct tumble_error *err);
enum tumble_code tumble_replay_sorted(struct replay *replay, struct tumble_error *err);

#endif
