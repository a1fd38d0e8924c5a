#include "adapters/inputs/kinesis/kinesis_merge.h"

#include <stdio.h>
#include <string.h>

#include "adapters/inputs/kinesis/kinesis_internal.h"
#include "engine/base/fail.h"

/* The record of the earliest arrival may go once no shard can still bring an earlier one: each has a record waiting, or
 * is done, or was asked after that record had come and had nothing, twice: some servers tell one answer late that a
 * shard is closed, whose children may hold earlier ones. Only our own steady clock is compared with itself. */

enum {
    RELIST_MS = 1000,
    LOOK_MS = 10000,
    CHILDREN_MS = 60000, /* that all shards wait for the children of one to be listed */
    PATIENCE_MS = 5 * 60 * 1000,
    RECORDS_HELD = 20000, /* of all shards together, about */
    FEWEST_RECORDS = 100,
    CLOCKS_APART_MS = 2000 /* the service's and ours, at the end of a time */
};

enum state { WAITING, READING, DONE }; /* WAITING: for its parents */

struct lane {
    char id[TUMBLE_KINESIS_ID];
    char parents[2][TUMBLE_KINESIS_ID];
    enum state state;
    bool from_begin;     /* made while we read: no record of it is older than that */
    bool has_children;   /* that were listed */
    bool wants_children; /* it ended, and none were */
    struct tumble_kinesis_reader *reader;
    const struct tumble_kinesis_read *records; /* of the last poll, from next on */
    size_t count;
    size_t next;
    bool ending;          /* done, once these are given */
    int64_t received;     /* steady: when these came */
    int64_t empty_asked;  /* steady: since a poll that began then nothing came, as another one found; -1: none */
    int64_t empty_before; /* the latest such poll */
    int64_t next_poll;    /* steady */
    int64_t behind_ms;    /* -1: not told */
    int64_t failing_ms;
    const char *trouble;
    struct tumble_kinesis_reader_facts facts; /* of a reader that is closed */
};

struct tumble_kinesis_merge {
    struct tumble_alloc alloc;
    struct tumble_kinesis_merge_options options;
    char (*wanted)[TUMBLE_KINESIS_ID];
    struct lane *lanes;
    size_t count;
    size_t capacity;
    size_t turn;            /* who was polled last: shards take turns */
    struct lane *run;       /* gives the next records too, while they are before that of runner_up; NULL: look anew */
    struct lane *runner_up; /* NULL: no other has one */
    int limit;
    bool relist;
    int64_t relist_at;
    int64_t relist_since; /* steady */
    int64_t look_at;      /* steady: when the stream is looked at next, whether it is the same still */
    struct tumble_kinesis_merge_facts facts;
};

static int64_t steady_ms(const struct tumble_kinesis_merge *merge) {
    return tumble_kinesis_steady_ms(merge->options.stream);
}

static bool is_wanted(const struct tumble_kinesis_merge *merge, const char *id) {
    for (size_t i = 0; i < merge->options.shard_id_count; i++) {
        if (strcmp(merge->wanted[i], id) == 0) {
            return true;
        }
    }
    return merge->options.shard_id_count == 0;
}

static struct lane *lane_of(const struct tumble_kinesis_merge *merge, const char *id) {
    for (size_t i = 0; i < merge->count && *id; i++) {
        if (strcmp(merge->lanes[i].id, id) == 0) {
            return &merge->lanes[i];
        }
    }
    return NULL;
}

/* ---- shards ---- */

static enum tumble_code add_lane(struct tumble_kinesis_merge *merge, const struct tumble_kinesis_shard *shard,
                                 bool from_begin, struct tumble_error *err) {
    if (merge->count == merge->capacity) {
        size_t capacity = merge->capacity ? merge->capacity * 2 : 16;
        void *lanes = tw_resize(&merge->alloc, merge->lanes, merge->capacity * sizeof *merge->lanes,
                                capacity * sizeof *merge->lanes);
        if (!lanes) {
            return tw_no_memory(err);
        }
        merge->lanes = lanes;
        merge->capacity = capacity;
    }
    struct lane *lane = memset(&merge->lanes[merge->count++], 0, sizeof *lane);
    memcpy(lane->id, shard->id, sizeof lane->id);
    memcpy(lane->parents[0], shard->parent_id, sizeof lane->parents[0]);
    memcpy(lane->parents[1], shard->adjacent_id, sizeof lane->parents[1]);
    lane->from_begin = from_begin;
    lane->empty_asked = lane->empty_before = -1;
    lane->behind_ms = -1;
    return TUMBLE_OK;
}

/* A LATEST of a closed shard is its end. */
static bool is_of_use(const struct tumble_kinesis_merge *merge, const struct tumble_kinesis_shard *shard, bool first) {
    return is_wanted(merge, shard->id) && !(first && shard->is_closed && merge->options.start == TUMBLE_KINESIS_LATEST);
}

static void note_child(struct tumble_kinesis_merge *merge, const char *parent_id) {
    struct lane *parent = lane_of(merge, parent_id);
    if (parent) {
        parent->has_children = true;
        parent->wants_children = false;
    }
}

static enum tumble_code list(struct tumble_kinesis_merge *merge, bool first, int *may_pass, struct tumble_error *err) {
    const struct tumble_kinesis_shard *shards;
    size_t count;
    TW_TRY(tumble_kinesis_shards(merge->options.stream, &shards, &count, may_pass, err));
    merge->relist = false;
    for (size_t i = 0; i < count; i++) {
        if (!lane_of(merge, shards[i].id) && is_of_use(merge, &shards[i], first)) {
            TW_TRY(add_lane(merge, &shards[i], !first, err));
        }
    }
    for (size_t i = 0; i < count; i++) {
        note_child(merge, shards[i].parent_id);
        note_child(merge, shards[i].adjacent_id);
    }
    for (size_t i = 0; i < merge->count; i++) {
        merge->relist = merge->relist || merge->lanes[i].wants_children;
    }
    int share = RECORDS_HELD / (int)(merge->count ? merge->count : 1);
    merge->limit = share < FEWEST_RECORDS ? FEWEST_RECORDS : share;
    merge->limit = merge->limit > TUMBLE_KINESIS_RECORDS ? TUMBLE_KINESIS_RECORDS : merge->limit;
    merge->limit = merge->options.limit ? merge->options.limit : merge->limit;
    return TUMBLE_OK;
}

static enum tumble_code all_wanted_are_there(const struct tumble_kinesis_merge *merge, struct tumble_error *err) {
    const struct tumble_kinesis_shard *shards;
    size_t count;
    for (size_t i = 0; i < merge->options.shard_id_count; i++) {
        if (!lane_of(merge, merge->wanted[i]) && merge->options.start != TUMBLE_KINESIS_LATEST) {
            TW_TRY(tumble_kinesis_shards(merge->options.stream, &shards, &count, NULL, err));
            return tw_fail(err, TUMBLE_EUSAGE, "the stream has no shard %s: it has %zu, from %s to %s",
                           merge->wanted[i], count, count ? shards[0].id : "", count ? shards[count - 1].id : "");
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code copy_wanted(struct tumble_kinesis_merge *merge, struct tumble_error *err) {
    size_t count = merge->options.shard_id_count;
    if (count == 0) {
        return TUMBLE_OK;
    }
    merge->wanted = tw_alloc_array(&merge->alloc, count, sizeof *merge->wanted);
    if (!merge->wanted) {
        return tw_no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        const char *id = merge->options.shard_ids[i];
        if (!tw_kinesis_is_name(tumble_bytes_of(id))) {
            return tw_fail(err, TUMBLE_EUSAGE, "\"%.80s\" is no id of a shard", id);
        }
        memcpy(merge->wanted[i], id, strlen(id) + 1);
    }
    return TUMBLE_OK;
}

static enum tumble_code set_up(struct tumble_kinesis_merge *merge, struct tumble_error *err) {
    merge->facts.first_arrival_ms = merge->facts.last_arrival_ms = -1;
    TW_TRY(copy_wanted(merge, err));
    merge->look_at = steady_ms(merge) + LOOK_MS;
    TW_TRY(list(merge, true, NULL, err));
    return all_wanted_are_there(merge, err);
}

enum tumble_code tumble_kinesis_merge_open(const struct tumble_kinesis_merge_options *options,
                                           struct tumble_kinesis_merge **out, struct tumble_error *err) {
    struct tumble_alloc alloc = tw_kinesis_stream_base(options->stream)->alloc;
    struct tumble_kinesis_merge *merge = tw_alloc_zero(&alloc, sizeof *merge);
    *out = NULL;
    if (!merge) {
        return tw_no_memory(err);
    }
    merge->alloc = alloc;
    merge->options = *options;
    enum tumble_code code = set_up(merge, err);
    if (code != TUMBLE_OK) {
        tumble_kinesis_merge_close(merge);
        return code;
    }
    *out = merge;
    return TUMBLE_OK;
}

static void add_facts(struct tumble_kinesis_reader_facts *to, const struct tumble_kinesis_reader_facts *from) {
    to->get_records += from->get_records;
    to->get_iterators += from->get_iterators;
    to->records += from->records;
    to->bytes += from->bytes;
    to->throttles += from->throttles;
    to->failures += from->failures;
    to->renewals += from->renewals;
    to->gaps += from->gaps;
}

static void close_reader(struct lane *lane) {
    if (lane->reader) {
        tumble_kinesis_reader_facts(lane->reader, &lane->facts);
        tumble_kinesis_reader_close(lane->reader);
        lane->reader = NULL;
    }
}

void tumble_kinesis_merge_close(struct tumble_kinesis_merge *merge) {
    if (!merge) {
        return;
    }
    struct tumble_alloc alloc = merge->alloc;
    for (size_t i = 0; i < merge->count; i++) {
        close_reader(&merge->lanes[i]);
    }
    tw_free(&alloc, merge->lanes);
    tw_free(&alloc, merge->wanted);
    tw_free(&alloc, merge);
}

/* ---- reading ---- */

static bool is_parent_open(const struct tumble_kinesis_merge *merge, const char *id) {
    const struct lane *parent = lane_of(merge, id);
    return parent && parent->state != DONE;
}

static enum tumble_code begin_reading(struct tumble_kinesis_merge *merge, struct lane *lane, struct tumble_error *err) {
    struct tumble_kinesis_position position = {.start = merge->options.start,
                                               .timestamp_ms = merge->options.timestamp_ms};
    if (lane->from_begin) {
        position.start = TUMBLE_KINESIS_TRIM_HORIZON;
    }
    lane->state = READING;
    return tumble_kinesis_reader_open(merge->options.stream, lane->id, &position, merge->limit, &lane->reader, err);
}

/* Parents first: what they still hold is older than any record of a child. */
static enum tumble_code start_ready(struct tumble_kinesis_merge *merge, struct tumble_error *err) {
    for (size_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->state == WAITING && !is_parent_open(merge, lane->parents[0]) &&
            !is_parent_open(merge, lane->parents[1])) {
            TW_TRY(begin_reading(merge, lane, err));
        }
    }
    return TUMBLE_OK;
}

static void finish(struct lane *lane, bool closed) {
    lane->state = DONE;
    lane->records = NULL;
    lane->trouble = NULL;
    lane->behind_ms = closed ? -1 : lane->behind_ms;
    close_reader(lane);
}

/* The records that arrived in time, and whether the shard is through. */
static void cut(const struct tumble_kinesis_merge *merge, struct lane *lane, const struct tumble_kinesis_batch *batch,
                int64_t asked_wall) {
    int64_t until = merge->options.until_ms;
    switch (merge->options.until) {
    case TUMBLE_KINESIS_UNTIL_STOPPED: return;
    case TUMBLE_KINESIS_UNTIL_TIP: lane->ending = lane->ending || batch->at_tip; return;
    case TUMBLE_KINESIS_UNTIL_TIME: break;
    default: return;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->records[i].arrival_ms >= until) {
            lane->count = i;
            lane->ending = true;
            return;
        }
    }
    lane->ending = lane->ending || (batch->at_tip && batch->count == 0 && asked_wall >= until + CLOCKS_APART_MS);
}

static enum tumble_code poll(struct tumble_kinesis_merge *merge, struct lane *lane, struct tumble_error *err) {
    struct tumble_kinesis_batch batch;
    int64_t asked = steady_ms(merge);
    int64_t asked_wall = tumble_kinesis_now_ms(merge->options.stream);
    TW_TRY(tumble_kinesis_reader_poll(lane->reader, &batch, err));
    lane->next_poll = batch.next_poll_steady_ms;
    lane->trouble = batch.trouble;
    lane->failing_ms = batch.failing_for_ms;
    int64_t patience = merge->options.patience_ms > 0 ? merge->options.patience_ms : PATIENCE_MS;
    if (batch.trouble && batch.failing_for_ms > patience) {
        return tw_fail(err, TUMBLE_EINPUT, "%s: failing for %lld s: %.200s", lane->id,
                       (long long)(batch.failing_for_ms / 1000), batch.trouble);
    }
    if (batch.gap) {
        merge->facts.gap = batch.gap;
        merge->facts.gap_shard = lane->id;
    }
    if (!batch.asked) {
        return TUMBLE_OK;
    }
    lane->records = batch.records;
    lane->count = batch.count;
    lane->next = 0;
    lane->received = steady_ms(merge);
    lane->behind_ms = batch.millis_behind_latest;
    bool empty = batch.count == 0 && batch.at_tip;
    lane->empty_asked = empty ? lane->empty_before : -1;
    lane->empty_before = empty ? asked : -1;
    lane->ending = batch.is_end != 0;
    if (batch.is_end && !lane->has_children && merge->options.until != TUMBLE_KINESIS_UNTIL_TIP) {
        lane->wants_children = true;
        if (!merge->relist) {
            merge->relist_since = lane->received;
        }
        merge->relist = true;
    }
    cut(merge, lane, &batch, asked_wall);
    if (lane->ending && lane->count == 0) {
        finish(lane, batch.is_end != 0);
    }
    return TUMBLE_OK;
}

/* Children show up in the list some time after their parent's end. */
static enum tumble_code look_for_children(struct tumble_kinesis_merge *merge, int64_t now, struct tumble_error *err) {
    int may_pass;
    struct tumble_error reason;
    if (!merge->relist || now < merge->relist_at) {
        return TUMBLE_OK;
    }
    merge->relist_at = now + RELIST_MS;
    merge->look_at = now + LOOK_MS;
    merge->run = NULL;
    enum tumble_code code = list(merge, false, &may_pass, &reason);
    if (code != TUMBLE_OK && !may_pass) {
        if (err) {
            *err = reason;
        }
        return code;
    }
    return TUMBLE_OK;
}

/* Of one that was deleted and made anew some servers go on giving records as if nothing had been. */
static enum tumble_code look_at_stream(struct tumble_kinesis_merge *merge, int64_t now, struct tumble_error *err) {
    const struct tumble_kinesis_shard *shards;
    struct tumble_error reason;
    size_t count;
    int may_pass;
    if (now < merge->look_at) {
        return TUMBLE_OK;
    }
    merge->look_at = now + LOOK_MS;
    enum tumble_code code = tumble_kinesis_shards(merge->options.stream, &shards, &count, &may_pass, &reason);
    if (code != TUMBLE_OK && !may_pass) {
        if (err) {
            *err = reason;
        }
        return code;
    }
    return TUMBLE_OK;
}

static bool is_before(const struct lane *a, const struct lane *b) {
    int64_t x = a->records[a->next].arrival_ms, y = b->records[b->next].arrival_ms;
    return x < y || (x == y && strcmp(a->id, b->id) < 0);
}

static bool has_record(const struct lane *lane) { return lane->state == READING && lane->next < lane->count; }

static struct lane *earliest(const struct tumble_kinesis_merge *merge, const struct lane *but) {
    struct lane *found = NULL;
    for (size_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane != but && has_record(lane) && (!found || is_before(lane, found))) {
            found = lane;
        }
    }
    return found;
}

/* A shard that has to be asked before the candidate may go; the one after the last asked comes first. *wait: when the
 * first of them may be; *blocked: there is one. */
static struct lane *to_poll(struct tumble_kinesis_merge *merge, const struct lane *candidate, int64_t now,
                            bool *blocked, int64_t *wait) {
    *blocked = false;
    *wait = INT64_MAX;
    for (size_t i = 1; i <= merge->count; i++) {
        size_t at = (merge->turn + i) % merge->count;
        struct lane *lane = &merge->lanes[at];
        if (lane->state != READING || has_record(lane) || (candidate && lane->empty_asked > candidate->received)) {
            continue;
        }
        *blocked = true;
        if (lane->next_poll <= now) {
            merge->turn = at;
            return lane;
        }
        *wait = lane->next_poll < *wait ? lane->next_poll : *wait;
    }
    return NULL;
}

static bool all_done(const struct tumble_kinesis_merge *merge) {
    for (size_t i = 0; i < merge->count; i++) {
        if (merge->lanes[i].state != DONE) {
            return false;
        }
    }
    return merge->options.until != TUMBLE_KINESIS_UNTIL_STOPPED && !merge->relist;
}

/* The end of a time is the end of looking for children too: those that come later hold later records. */
static void give_up_children(struct tumble_kinesis_merge *merge) {
    if (merge->options.until == TUMBLE_KINESIS_UNTIL_TIME &&
        tumble_kinesis_now_ms(merge->options.stream) > merge->options.until_ms + CLOCKS_APART_MS) {
        bool reading = false;
        for (size_t i = 0; i < merge->count; i++) {
            reading = reading || merge->lanes[i].state != DONE;
        }
        merge->relist = merge->relist && reading;
    }
}

static void give(struct tumble_kinesis_merge *merge, struct lane *lane, struct tumble_kinesis_merged *out) {
    out->step = TUMBLE_KINESIS_STEP_RECORD;
    out->record = &lane->records[lane->next++];
    out->shard_id = lane->id;
    int64_t arrival = out->record->arrival_ms;
    struct tumble_kinesis_merge_facts *facts = &merge->facts;
    facts->records++;
    facts->bytes += out->record->data.length + out->record->partition_key.length;
    if (facts->first_arrival_ms < 0 || arrival < facts->first_arrival_ms) {
        facts->first_arrival_ms = arrival;
    }
    if (arrival > facts->last_arrival_ms) {
        facts->last_arrival_ms = arrival;
    }
}

/* Shards whose last record was given by the call before: its views lived until now. */
static void close_ended(struct tumble_kinesis_merge *merge) {
    for (size_t i = 0; i < merge->count; i++) {
        struct lane *lane = &merge->lanes[i];
        if (lane->state == READING && lane->ending && lane->next == lane->count) {
            finish(lane, true);
        }
    }
}

enum tumble_code tumble_kinesis_merge_next(struct tumble_kinesis_merge *merge, struct tumble_kinesis_merged *out,
                                           struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    merge->facts.gap = NULL;
    struct lane *run = merge->run;
    if (run && has_record(run) && (!merge->runner_up || is_before(run, merge->runner_up))) {
        give(merge, run, out);
        return TUMBLE_OK;
    }
    struct lane *candidate;
    bool blocked;
    int64_t now, wait;
    merge->run = NULL;
    for (bool polled = false;; polled = true) {
        now = steady_ms(merge);
        close_ended(merge);
        TW_TRY(look_for_children(merge, now, err));
        TW_TRY(look_at_stream(merge, now, err));
        TW_TRY(start_ready(merge, err)); /* before any record may pass a child's */
        candidate = earliest(merge, NULL);
        struct lane *lane = to_poll(merge, candidate, polled ? INT64_MIN : now, &blocked, &wait);
        if (!lane) {
            break;
        }
        TW_TRY(poll(merge, lane, err));
    }
    if (merge->relist && now - merge->relist_since < CHILDREN_MS) { /* unknown ones, of a shard that ended */
        wait = blocked && wait < merge->relist_at ? wait : merge->relist_at;
        blocked = true;
    }
    if (candidate && !blocked) {
        merge->run = candidate; /* nothing changes for the others until somebody is polled */
        merge->runner_up = earliest(merge, candidate);
        give(merge, candidate, out);
        return TUMBLE_OK;
    }
    give_up_children(merge);
    if (!candidate && all_done(merge)) {
        out->step = TUMBLE_KINESIS_STEP_END;
        return TUMBLE_OK;
    }
    out->step = TUMBLE_KINESIS_STEP_WAIT;
    out->wait_until_steady_ms = blocked ? wait : now;
    if (merge->relist && !blocked) {
        out->wait_until_steady_ms = merge->relist_at;
    }
    return TUMBLE_OK;
}

void tumble_kinesis_merge_facts(const struct tumble_kinesis_merge *merge, struct tumble_kinesis_merge_facts *out) {
    *out = merge->facts;
    out->shards = (uint32_t)merge->count;
    out->behind_ms = -1;
    for (size_t i = 0; i < merge->count; i++) {
        const struct lane *lane = &merge->lanes[i];
        struct tumble_kinesis_reader_facts reads = lane->facts;
        if (lane->reader) {
            tumble_kinesis_reader_facts(lane->reader, &reads);
        }
        add_facts(&out->reads, &reads);
        out->shards_done += lane->state == DONE;
        out->behind_ms = lane->behind_ms > out->behind_ms ? lane->behind_ms : out->behind_ms;
        if (lane->trouble && (!out->trouble || lane->failing_ms > out->failing_for_ms)) {
            out->trouble = lane->trouble;
            out->trouble_shard = lane->id;
            out->failing_for_ms = lane->failing_ms;
        }
    }
}
