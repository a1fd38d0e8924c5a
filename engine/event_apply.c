#include "engine/event_apply.h"

#include <tumble/lambda.h>

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"
#include "engine/engine_internal.h"
#include "engine/record_slices.h"

/* An event may come in pieces. What a piece ends within is kept in a buffer (tail) until enough bytes have come for it
 * to be whole, and read there; everything else is read where it lies. No slice outlives the piece it points into. */

enum { PROJECTED_MAX = 32 };

static const struct tumble_event_result no_result = {.first_arrival_ms = -1, .last_arrival_ms = -1};

void tw_event_scratch_destroy(struct tw_event_scratch *scratch, const struct tumble_alloc *alloc) {
    if (scratch) {
        tumble_kpl_destroy(scratch->kpl);
        tw_buf_clean_up(&scratch->tail);
        tw_free(alloc, scratch);
    }
}

static enum tumble_code get_scratch(struct tumble_shard *shard, struct tumble_error *err) {
    const struct tumble_alloc alloc = shard->engine->alloc;
    struct tw_event_scratch *scratch = tw_alloc_zero(&alloc, sizeof *scratch);
    if (!scratch) {
        return tw_no_memory(err);
    }
    scratch->shard = shard;
    tw_buf_init(&scratch->tail, alloc, (size_t)TW_LIMIT_RECORD_BYTES + 1);
    enum tumble_code code = tumble_kpl_new(alloc, &scratch->kpl, err);
    if (code != TUMBLE_OK) {
        tw_event_scratch_destroy(scratch, &alloc);
        return code;
    }
    shard->event = scratch;
    return TUMBLE_OK;
}

static void destroy_desk(struct tw_event_desk *desk, const struct tumble_alloc *alloc) {
    tw_buf_clean_up(&desk->payloads);
    tw_free(alloc, desk->values);
    tw_free(alloc, desk);
}

static struct tw_event_desk *make_desk(const struct tumble_engine *engine) {
    const struct tumble_alloc *const alloc = &engine->alloc;
    const size_t count = engine->projected_count;
    struct tw_event_desk *desk = tw_alloc_zero(alloc, sizeof *desk);
    if (!desk) {
        return NULL;
    }
    tw_buf_init(&desk->payloads, *alloc, SIZE_MAX / 4);
    if (count <= PROJECTED_MAX) {
        desk->values = tw_alloc_zero(alloc, (count ? count : 1) * TW_EVENT_SLICE * sizeof *desk->values);
    }
    if ((count <= PROJECTED_MAX && !desk->values) ||
        tw_buf_reserve(&desk->payloads, TW_EVENT_FIRST_ROOM) != TUMBLE_OK) {
        destroy_desk(desk, alloc);
        return NULL;
    }
    return desk;
}

static enum tumble_code take_desk(struct tw_event_scratch *scratch) {
    struct tumble_engine *const engine = scratch->shard->engine;
    pthread_mutex_lock(&engine->desk_lock);
    struct tw_event_desk *desk = engine->desks;
    if (desk) {
        engine->desks = desk->next;
    }
    pthread_mutex_unlock(&engine->desk_lock);
    scratch->desk = desk ? desk : make_desk(engine);
    return scratch->desk ? TUMBLE_OK : tw_no_memory(&scratch->error);
}

static void give_desk(struct tw_event_scratch *scratch) {
    struct tumble_engine *const engine = scratch->shard->engine;
    if (scratch->desk) {
        pthread_mutex_lock(&engine->desk_lock);
        scratch->desk->next = engine->desks;
        engine->desks = scratch->desk;
        pthread_mutex_unlock(&engine->desk_lock);
        scratch->desk = NULL;
    }
}

void tw_event_desks_destroy(struct tumble_engine *engine) {
    while (engine->desks) {
        struct tw_event_desk *desk = engine->desks;
        engine->desks = desk->next;
        destroy_desk(desk, &engine->alloc);
    }
}

/* ---- the event ---- */

#define NO_EVENT_TEXT "this is no Kinesis event"

static __attribute__((cold, noinline)) enum tumble_code records_twice(struct tw_event_walk *walk) {
    return tw_fail_at(walk->err, TUMBLE_EEVENT, walk->before + (walk->at - walk->begin), "the event has Records twice");
}

static __attribute__((cold, noinline)) enum tumble_code no_records(struct tw_event_walk *walk) {
    return tw_fail(walk->err, TUMBLE_EEVENT, NO_EVENT_TEXT ": it has no Records");
}

/* What is in the bytes at hand. EMORE: the event goes on behind them. */
static enum tumble_code read_event(struct tw_event_scratch *scratch) {
    struct tw_event_walk *const walk = &scratch->walk;
    for (;;) {
        enum tw_event_found found = TW_EVENT_OVER;
        TW_TRY(tw_event_walk(walk, &found));
        if (found == TW_EVENT_RECORD) {
            TW_TRY(tw_event_records(scratch));
        } else if (found == TW_EVENT_RECORDS) {
            if (scratch->has_records) {
                return records_twice(walk);
            }
            scratch->has_records = true;
        } else if (found == TW_EVENT_OVER) {
            return scratch->has_records ? TUMBLE_OK : no_records(walk);
        }
    }
}

static void see(struct tw_event_scratch *scratch, struct tumble_bytes bytes, bool is_last) {
    tw_event_walk_see(&scratch->walk, bytes, is_last);
    scratch->fetched = scratch->walk.begin;
    scratch->is_skipped = false;
}

static size_t left(const struct tw_event_scratch *scratch) { return (size_t)(scratch->walk.end - scratch->walk.at); }

/* ---- pieces ---- */

/* Keeps what the bytes at hand end within, which may lie in the tail itself. */
static enum tumble_code keep_tail(struct tw_event_scratch *scratch) {
    struct tw_buf *tail = &scratch->tail;
    struct tumble_bytes rest = {scratch->walk.at, left(scratch)};
    bool may_end;
    TW_TRY(tw_event_apply_slice(scratch)); /* which may point there */
    tw_buf_clear(tail);
    if (tw_buf_reserve(tail, rest.length) != TUMBLE_OK) {
        return tw_no_memory(&scratch->error);
    }
    if (rest.length) {
        memmove(tail->data, rest.data, rest.length);
        tail->length = rest.length;
    }
    if (!scratch->is_skipped) {
        memset(&scratch->skip, 0, sizeof scratch->skip);
        for (size_t skipped = 0; skipped < rest.length;) {
            struct tumble_bytes bytes = {tail->data + skipped, rest.length - skipped};
            skipped += tw_event_skip(&scratch->skip, bytes, &may_end);
        }
    }
    return TUMBLE_EMORE;
}

/* Reads the tail with as many bytes of the piece as make it whole. OK: the event is over; EMORE: it goes on, with what
 * is left of the piece when the tail is empty. */
static enum tumble_code read_tail(struct tw_event_scratch *scratch, struct tumble_bytes *piece, bool is_last) {
    struct tw_buf *tail = &scratch->tail;
    do {
        bool may_end = false;
        const size_t room = tail->cap - tail->length;
        size_t taken = tw_event_skip(
            &scratch->skip, (struct tumble_bytes){piece->data, piece->length < room ? piece->length : room}, &may_end);
        if (tw_buf_append(tail, piece->data, taken) != TUMBLE_OK) {
            return tw_no_memory(&scratch->error);
        }
        piece->data += taken;
        piece->length -= taken;
        const bool whole = is_last && piece->length == 0;
        if (!may_end && !whole && tail->length < tail->cap) {
            return TUMBLE_EMORE;
        }
        see(scratch, tw_buf_view(tail), whole);
        enum tumble_code code = read_event(scratch);
        if (code != TUMBLE_EMORE) {
            return code;
        }
        if (left(scratch) == 0) {
            tw_buf_clear(tail); /* the slice may still point there */
        } else if (left(scratch) < tail->length) {
            TW_TRY(keep_tail(scratch));
        }
    } while (tail->length);
    return TUMBLE_EMORE;
}

static enum tumble_code read_piece(struct tw_event_scratch *scratch, struct tumble_bytes *piece, bool is_last) {
    if (scratch->tail.length) {
        enum tumble_code code = read_tail(scratch, piece, is_last);
        if (code != TUMBLE_EMORE || scratch->tail.length) {
            return code;
        }
    }
    see(scratch, *piece, is_last);
    enum tumble_code code = read_event(scratch);
    piece->data = scratch->walk.at;
    piece->length = left(scratch);
    if (code == TUMBLE_EMORE) {
        code = keep_tail(scratch);
        piece->length = 0;
    }
    return code;
}

enum tumble_code tumble_shard_event_begin(struct tumble_shard *shard, struct tumble_error *err) {
    if (shard->engine->read_only || shard->engine->carried) {
        return tw_fail(err, TUMBLE_EINVAL, "the engine was opened read-only, or carries its state in events");
    }
    if (!shard->event) {
        TW_TRY(get_scratch(shard, err));
    }
    struct tw_event_scratch *scratch = shard->event;
    scratch->walk =
        (struct tw_event_walk){.element_max = TW_LIMIT_RECORD_BYTES, .no_event = NO_EVENT_TEXT, .err = &scratch->error};
    scratch->records = scratch->count = 0;
    scratch->start_ms = INT64_MIN / 2;
    scratch->window_ms = (uint64_t)shard->engine->window_ms;
    scratch->has_records = false;
    scratch->result = no_result;
    scratch->within = true;
    tw_buf_clear(&scratch->tail);
    return TUMBLE_OK;
}

/* The slice first: what an error is told of comes behind it. */
static __attribute__((cold, noinline)) enum tumble_code behind_slice(struct tw_event_scratch *scratch,
                                                                     enum tumble_code code) {
    struct tumble_error told = scratch->error;
    TW_TRY(tw_event_apply_slice(scratch));
    scratch->error = told;
    return code;
}

enum tumble_code tumble_shard_event_feed(struct tumble_shard *shard, struct tumble_bytes piece, int is_last,
                                         size_t *consumed, struct tumble_event_result *result,
                                         struct tumble_error *err) {
    struct tw_event_scratch *scratch = shard->event;
    if (!scratch || !scratch->within) {
        if (result) {
            *result = no_result;
        }
        return tw_fail(err, TUMBLE_EINVAL, "no event was begun, or the last one is over or was refused");
    }
    const size_t length = piece.length;
    scratch->walk.in_a_row = consumed != NULL;
    enum tumble_code code = take_desk(scratch);
    if (code == TUMBLE_OK) {
        tw_buf_clear(&scratch->desk->payloads);
        code = read_piece(scratch, &piece, is_last != 0);
    }
    if (code != TUMBLE_EMORE) { /* whatever ended it, records in front of that are whole */
        code = code == TUMBLE_OK ? tw_event_apply_slice(scratch) : behind_slice(scratch, code);
        scratch->within = false;
        scratch->result.is_whole = code == TUMBLE_OK;
    }
    give_desk(scratch);
    if (consumed) {
        *consumed = length - piece.length;
    }
    if (result) {
        *result = scratch->result;
    }
    if (code != TUMBLE_OK && code != TUMBLE_EMORE && err) {
        *err = scratch->error;
    }
    return code == TUMBLE_EMORE ? TUMBLE_OK : code;
}

enum tumble_code tumble_shard_apply_event(struct tumble_shard *shard, struct tumble_bytes event,
                                          struct tumble_event_result *result, struct tumble_error *err) {
    if (result) {
        *result = no_result;
    }
    TW_TRY(tumble_shard_event_begin(shard, err));
    return tumble_shard_event_feed(shard, event, 1, NULL, result, err);
}

/* ---- whose it is ---- */

static enum tumble_code shard_of_record(struct tw_event_walk *walk, struct tumble_bytes *shard_id) {
    struct tumble_kinesis_record record;
    size_t consumed;
    int end_of_input;
    const struct tumble_bytes rest = tw_event_walk_rest(walk, &end_of_input);
    enum tumble_code code = tumble_kinesis_record_parse(rest, end_of_input, &record, &consumed, walk->err);
    if (code != TUMBLE_OK) {
        code = tw_event_walk_failed(walk, code);
        return code == TUMBLE_EMORE ? code : tw_event_of_record(walk->err, code, 0);
    }
    const struct tumble_value *id = &record.event_id;
    const char *colon = id->length ? memchr(id->text, ':', id->length) : NULL;
    shard_id->data = id->text; /* and not what the member shardId says */
    shard_id->length = colon ? (size_t)(colon - id->text) : 0;
    if (shard_id->length && memchr(shard_id->data, '\\', shard_id->length)) {
        shard_id->length = 0; /* a view cannot undo escapes */
    }
    return TUMBLE_OK;
}

static enum tumble_code find_shard(struct tw_event_walk *walk, struct tumble_bytes *shard_id) {
    enum tw_event_found found = TW_EVENT_MEMBER;
    bool has_records = false;
    while (found != TW_EVENT_OVER) {
        TW_TRY(tw_event_walk(walk, &found));
        if (found == TW_EVENT_RECORD) {
            return shard_of_record(walk, shard_id);
        }
        if (found == TW_EVENT_RECORDS) {
            if (has_records) {
                return records_twice(walk);
            }
            has_records = true;
        } else if (found == TW_EVENT_MEMBER && walk->value.type == TUMBLE_TYPE_STRING &&
                   !(walk->value.flags & TUMBLE_VALUE_ESCAPED) &&
                   tw_json_string_equal(&walk->key, tumble_bytes_of("shardId"))) {
            shard_id->data = walk->value.text;
            shard_id->length = walk->value.length;
        }
    }
    return has_records ? TUMBLE_OK : no_records(walk);
}

static enum tumble_code shard_id_of(struct tumble_bytes bytes, bool is_last, bool in_a_row,
                                    struct tumble_bytes *shard_id, struct tumble_error *err) {
    struct tw_event_walk walk = {
        .element_max = TW_LIMIT_RECORD_BYTES, .no_event = NO_EVENT_TEXT, .in_a_row = in_a_row, .err = err};
    struct tumble_bytes id = {NULL, 0};
    tw_event_walk_see(&walk, bytes, is_last);
    enum tumble_code code = find_shard(&walk, &id);
    if (code == TUMBLE_EMORE) {
        return tw_fail_at(err, TUMBLE_EMORE, (int64_t)bytes.length,
                          "the event's first record does not end within its first %zu bytes: more are needed",
                          bytes.length);
    }
    TW_TRY(code);
    if (id.length == 0) {
        return tw_fail(err, TUMBLE_EEVENT,
                       "the event names no shard: neither its first record's eventID nor its shardId does");
    }
    *shard_id = id;
    return TUMBLE_OK;
}

enum tumble_code tumble_event_shard_id(struct tumble_bytes event, struct tumble_bytes *shard_id,
                                       struct tumble_error *err) {
    return shard_id_of(event, true, false, shard_id, err);
}

enum tumble_code tumble_event_peek_shard_id(struct tumble_bytes bytes, int is_last, struct tumble_bytes *shard_id,
                                            struct tumble_error *err) {
    return shard_id_of(bytes, is_last != 0, true, shard_id, err);
}
