#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* Windows that are closed and whose rows wait. The store keeps their groups as it kept them while they were open; a row
 * is text only on its way out. What a window closed with makes its rows byte for byte: digest and number of rows are
 * found when it closes, by making them once, and what was made is kept for the delivery that mostly follows at once. */

enum { KEPT_BYTES_MAX = 16 * 1024 * 1024 };

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* ---- in memory ---- */

struct tw_closed *tw_closed_find(const struct tumble_engine *engine, uint64_t chunk) {
    const struct tw_outbox_figures *outbox = &engine->outbox;
    size_t low = outbox->closed_first, high = outbox->closed_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (outbox->closed[middle]->chunk < chunk) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < outbox->closed_count && outbox->closed[low]->chunk == chunk ? outbox->closed[low] : NULL;
}

static void forget_rows(struct tumble_engine *engine, struct tw_closed *closed) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    outbox->kept_bytes -= closed->rows.length;
    if (closed->rows.capacity > outbox->spare.capacity && closed->rows.capacity <= 2 * KEPT_BYTES_MAX) {
        struct tw_buf spare = outbox->spare;
        outbox->spare = closed->rows;
        closed->rows = spare;
    }
    tw_buf_clean_up(&closed->rows);
    closed->rows.length = 0;
    tw_buf_clear(&outbox->spare);
}

static void destroy(struct tumble_engine *engine, struct tw_closed *closed) {
    forget_rows(engine, closed);
    engine->outbox.held_bytes -= closed->held_bytes;
    if (closed->is_owned) {
        tw_window_clean_up(closed->window);
        tw_free(&engine->alloc, closed->window);
    }
    tw_free(&engine->alloc, closed);
}

static enum tumble_code add(struct tumble_engine *engine, uint64_t chunk, struct tumble_shard *shard,
                            struct tw_window *window, struct tw_closed **out, struct tumble_error *err) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    if (outbox->closed_count == outbox->closed_capacity) {
        size_t capacity = outbox->closed_capacity ? outbox->closed_capacity * 2 : 16;
        struct tw_closed **list =
            tw_resize(&engine->alloc, outbox->closed, outbox->closed_capacity * sizeof(struct tw_closed *),
                      capacity * sizeof(struct tw_closed *));
        if (!list) {
            return tw_no_memory(err);
        }
        outbox->closed = list;
        outbox->closed_capacity = capacity;
    }
    struct tw_closed *closed = tw_alloc_zero(&engine->alloc, sizeof *closed);
    if (!closed) {
        return tw_no_memory(err);
    }
    closed->chunk = chunk;
    closed->shard = shard;
    closed->window = window;
    tw_buf_init(&closed->rows, engine->alloc, SIZE_MAX / 4);
    outbox->closed[outbox->closed_count++] = closed;
    *out = closed;
    return TUMBLE_OK;
}

void tw_closed_forget(struct tumble_engine *engine, struct tw_closed *closed) {
    closed->is_forgotten = true;
    engine->outbox.forgets = true;
}

static void remove_last(struct tw_outbox_figures *outbox) {
    outbox->closed_count--;
    outbox->closed_fresh = outbox->closed_fresh < outbox->closed_count ? outbox->closed_fresh : outbox->closed_count;
    outbox->closed_kept = outbox->closed_kept < outbox->closed_count ? outbox->closed_kept : outbox->closed_count;
}

void tw_closed_begin(struct tumble_engine *engine) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    while (outbox->closed_count > outbox->closed_first && !outbox->closed[outbox->closed_count - 1]->is_owned) {
        destroy(engine, outbox->closed[outbox->closed_count - 1]);
        remove_last(outbox);
    }
    for (size_t i = outbox->closed_first; i < outbox->closed_count && outbox->forgets; i++) {
        outbox->closed[i]->is_forgotten = false;
    }
    outbox->forgets = false;
}

/* The first ones go; their places are used again now and then. */
static void drop_acknowledged(struct tumble_engine *engine) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    size_t *first = &outbox->closed_first;
    while (*first < outbox->closed_count && outbox->closed[*first]->chunk < engine->first_chunk[TUMBLE_ROW_WINDOW]) {
        struct tw_closed *closed = outbox->closed[(*first)++];
        closed->is_owned = true; /* it is committed; the shard has let go of it */
        destroy(engine, closed);
    }
    outbox->closed_fresh = outbox->closed_fresh > *first ? outbox->closed_fresh : *first;
    outbox->closed_kept = outbox->closed_kept > *first ? outbox->closed_kept : *first;
    if (*first > outbox->closed_count / 2) {
        outbox->closed_count -= *first;
        outbox->closed_fresh -= *first;
        outbox->closed_kept -= *first;
        memmove(outbox->closed, outbox->closed + *first, outbox->closed_count * sizeof *outbox->closed);
        *first = 0;
    }
}

static void drop_forgotten(struct tumble_engine *engine) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    size_t left = outbox->closed_first;
    for (size_t i = left; i < outbox->closed_count; i++) {
        if (outbox->closed[i]->is_forgotten) {
            destroy(engine, outbox->closed[i]);
        } else {
            outbox->closed[left++] = outbox->closed[i];
        }
    }
    outbox->closed_count = left;
    outbox->closed_fresh = outbox->closed_kept = outbox->closed_first; /* all are looked at once more */
    outbox->forgets = false;
}

void tw_closed_settle(struct tumble_engine *engine) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    drop_acknowledged(engine);
    if (outbox->forgets) {
        drop_forgotten(engine);
    }
    size_t fresh = outbox->closed_count;
    for (size_t i = outbox->closed_fresh; i < outbox->closed_count; i++) {
        struct tw_closed *closed = outbox->closed[i];
        const bool is_new = !closed->is_owned;
        closed->is_owned = true;
        fresh = is_new && i < fresh ? i : fresh;
        /* The store has the groups. They stay for the next delivery where the rows were too many to be kept. */
        if (engine->persist && closed->window->loaded && (!is_new || closed->rows.length || engine->memory_limit)) {
            tw_window_unload(closed->window);
        }
        outbox->held_bytes -= closed->held_bytes;
        closed->held_bytes = tw_window_memory(closed->window);
        outbox->held_bytes += closed->held_bytes;
        struct tumble_shard *shard = closed->shard;
        if (closed->window->start_ms > shard->latest_closed_ms) {
            shard->latest_closed_ms = closed->window->start_ms;
        }
    }
    outbox->closed_fresh = fresh;
}

void tw_closed_clean_up(struct tumble_engine *engine) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    for (size_t i = outbox->closed_first; i < outbox->closed_count; i++) {
        destroy(engine, outbox->closed[i]);
    }
    tw_free(&engine->alloc, outbox->closed);
    tw_buf_clean_up(&outbox->spare);
    outbox->closed = NULL;
    outbox->closed_first = outbox->closed_count = outbox->closed_capacity = 0;
}

uint32_t tw_closed_next_generation(const struct tumble_engine *engine, const struct tumble_shard *shard,
                                   int64_t start_ms) {
    const struct tw_outbox_figures *outbox = &engine->outbox;
    uint32_t next = 0;
    if (start_ms > shard->latest_closed_ms) {
        return 0; /* as nearly every window */
    }
    for (size_t i = outbox->closed_first; i < outbox->closed_count; i++) {
        const struct tw_closed *closed = outbox->closed[i];
        if (closed->shard == shard && closed->window->start_ms == start_ms && closed->window->generation >= next) {
            next = closed->window->generation + 1;
        }
    }
    return next;
}

size_t tw_closed_memory(const struct tumble_engine *engine) {
    return engine->outbox.kept_bytes + engine->outbox.held_bytes;
}

/* ---- rows, once ---- */

/* Makes room among the rows kept; false: there is none. */
static bool may_keep(struct tumble_engine *engine, size_t bytes) {
    struct tw_outbox_figures *outbox = &engine->outbox;
    size_t most = KEPT_BYTES_MAX;
    if (engine->memory_limit && engine->memory_limit / 4 < most) {
        most = engine->memory_limit / 4;
    }
    /* Those that are not owned are the last ones. */
    while (outbox->kept_bytes + bytes > most && outbox->closed_kept < outbox->closed_count &&
           outbox->closed[outbox->closed_kept]->is_owned) { /* nobody asked for it for a commit or longer */
        forget_rows(engine, outbox->closed[outbox->closed_kept++]);
    }
    return outbox->kept_bytes + bytes <= most;
}

static enum tumble_code make_rows(struct tumble_engine *engine, struct tw_closed *closed, struct tw_row_writer *writer,
                                  struct tumble_error *err) {
    struct tumble_fragment *fragment = &closed->fragment;
    struct tw_outbox_figures *outbox = &engine->outbox;
    const struct tw_window *window = closed->window;
    bool keeps = may_keep(engine, 0);
    if (keeps) {
        struct tw_buf own = closed->rows;
        closed->rows = outbox->spare;
        outbox->spare = own;
    }
    for (uint32_t i = 0; i < window->groups.count; i++) {
        uint32_t reference = engine->order[i].reference;
        if (i + TW_GROUPS_AHEAD < window->groups.count) {
            tw_group_fetch(&window->groups, engine->order[i + TW_GROUPS_AHEAD].reference);
        }
        uint64_t records = tw_group_at(&window->groups, reference)->records;
        if (records == 0) {
            continue; /* made for a record that memory then ran out for */
        }
        struct tw_buf *const text = keeps ? &closed->rows : &engine->scratch;
        struct tumble_bytes own;
        if (!keeps) {
            tw_buf_clear(text);
        }
        const size_t before = text->length;
        const enum tumble_code code = tw_row_append_kept(writer, closed->shard, window, reference, text, &own);
        if (code != TUMBLE_OK) {
            text->length = before;
            return text_of(err, code);
        }
        tw_fragment_digest_add(fragment->digest, own);
        fragment->row_count++;
        fragment->record_count += records;
        closed->row_bytes += writer->head.length + own.length;
        if (keeps) {
            outbox->kept_bytes += text->length - before;
            keeps = may_keep(engine, 0);
            if (!keeps) {
                forget_rows(engine, closed);
            }
        }
    }
    return TUMBLE_OK;
}

/* ---- into the store, and back ---- */

/* first and last sequence number lie in the window: it stays where it is. */
static void describe(const struct tumble_engine *engine, struct tw_closed *closed) {
    struct tumble_fragment *fragment = &closed->fragment;
    fragment->struct_size = sizeof *fragment;
    fragment->shard_id = tumble_shard_id(closed->shard);
    fragment->first_sequence = tw_window_first(closed->window);
    fragment->last_sequence = tw_window_last(closed->window);
    fragment->window_start_ms = closed->window->start_ms;
    fragment->window_end_ms = closed->window->start_ms + engine->window_ms;
}

static enum tumble_code append_closed(struct tw_buf *frame, const struct tw_closed *closed,
                                      const struct tw_window *as_stored) {
    const struct tumble_fragment *fragment = &closed->fragment;
    TW_TRY(tw_buf_append_u64(frame, (uint64_t)fragment->window_start_ms));
    TW_TRY(tw_buf_append_u64(frame, (uint64_t)fragment->window_end_ms));
    TW_TRY(tw_buf_append_varint(frame, fragment->shard_id.length));
    TW_TRY(tw_buf_append(frame, fragment->shard_id.data, fragment->shard_id.length));
    TW_TRY(tw_buf_append_u64(frame, fragment->row_count));
    TW_TRY(tw_buf_append_u64(frame, fragment->record_count));
    TW_TRY(tw_buf_append(frame, fragment->digest, sizeof fragment->digest));
    TW_TRY(tw_buf_append_varint(frame, closed->row_bytes));
    return tw_window_encode_header(as_stored, frame);
}

enum tumble_code tw_closed_put(struct tw_outbox_put *put, struct tumble_shard *shard, struct tw_window *window,
                               const struct tw_window *as_stored, bool *waits, struct tumble_error *err) {
    struct tumble_engine *engine = put->engine;
    uint64_t *next = &put->next_chunk[TUMBLE_ROW_WINDOW];
    struct tw_closed *closed;
    struct tw_row_writer writer;
    size_t mark;
    *waits = false;
    TW_TRY(tw_engine_order(engine, window->groups.count, err));
    tw_group_order(&window->groups, engine->order);
    TW_TRY(add(engine, *next, shard, window, &closed, err));
    describe(engine, closed);
    enum tumble_code code = tw_row_writer_init(&writer, shard, window, err);
    closed->has_no_keys = writer.no_keys = !tw_outputs_want_keys(engine);
    code = code == TUMBLE_OK ? make_rows(engine, closed, &writer, err) : code;
    tw_row_writer_clean_up(&writer);
    TW_TRY(code);
    if (closed->fragment.row_count == 0) {
        destroy(engine, closed);
        remove_last(&engine->outbox);
        return TUMBLE_OK;
    }
    tw_buf_clear(&engine->frame);
    TW_TRY(text_of(err, tw_frame_begin(&engine->frame, TW_FRAME_CLOSED, engine->spec->digest, &mark)));
    TW_TRY(text_of(err, append_closed(&engine->frame, closed, as_stored)));
    TW_TRY(text_of(err, tw_frame_seal(&engine->frame, mark)));
    struct tw_key key = tw_key_outbox(TUMBLE_ROW_WINDOW, *next);
    TW_TRY(tw_store_put(engine->store, tw_key_view(&key), tw_buf_view(&engine->frame), err));
    ++*next;
    put->bytes += engine->frame.length;
    put->added[TUMBLE_ROW_WINDOW] += closed->row_bytes;
    put->rows += closed->fragment.row_count;
    *waits = true;
    return TUMBLE_OK;
}

enum tumble_code tw_closed_erase_groups(const struct tumble_engine *engine, const struct tw_closed *closed,
                                        struct tumble_error *err) {
    if (!engine->persist) {
        return TUMBLE_OK;
    }
    struct tw_key groups =
        tw_key_generation(closed->shard->index, closed->window->start_ms, closed->window->generation);
    return tw_store_delete_prefix(engine->store, tw_key_view(&groups), err);
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "a closed window in the outbox is damaged: restore the state directory or start anew");
}

static struct tumble_shard *find_shard(struct tumble_engine *engine, struct tumble_bytes id) {
    for (size_t i = 0; i < engine->shard_count; i++) {
        if (tumble_bytes_equal(tumble_shard_id(engine->shards[i]), id)) {
            return engine->shards[i];
        }
    }
    return NULL;
}

enum tumble_code tw_closed_read(struct tumble_engine *engine, uint64_t chunk, struct tumble_bytes value,
                                struct tumble_error *err) {
    struct tumble_bytes payload, id, digest;
    uint64_t start, end, length, rows, records, row_bytes;
    TW_TRY(tw_frame_open(value, TW_FRAME_CLOSED, engine->spec->digest, "a closed window in the outbox", &payload, err));
    struct tw_cursor in = tw_cursor_of(payload);
    if (!tw_take_u64(&in, &start) || !tw_take_u64(&in, &end) || !tw_take_varint(&in, &length) ||
        length > tw_cursor_left(&in) || !tw_take_bytes(&in, (size_t)length, &id) || !tw_take_u64(&in, &rows) ||
        !tw_take_u64(&in, &records) || !tw_take_bytes(&in, 16, &digest) || !tw_take_varint(&in, &row_bytes) ||
        rows == 0) {
        return damaged(err);
    }
    struct tumble_shard *shard = find_shard(engine, id);
    size_t before = engine->outbox.closed_count; /* none has gone yet */
    if (!shard || (before && engine->outbox.closed[before - 1]->chunk >= chunk)) {
        return damaged(err);
    }
    struct tw_window *window = tw_alloc(&engine->alloc, sizeof *window);
    if (!window) {
        return tw_no_memory(err);
    }
    struct tw_closed *closed;
    struct tumble_bytes header = {in.at, tw_cursor_left(&in)};
    tw_window_init(window, (int64_t)start, engine->alloc, &engine->layout);
    enum tumble_code code = tw_window_decode_header(window, header, err);
    code = code == TUMBLE_OK ? add(engine, chunk, shard, window, &closed, err) : code;
    if (code != TUMBLE_OK) {
        tw_window_clean_up(window);
        tw_free(&engine->alloc, window);
        return code;
    }
    closed->is_owned = true;
    closed->row_bytes = row_bytes;
    if (window->start_ms > shard->latest_closed_ms) {
        shard->latest_closed_ms = window->start_ms;
    }
    describe(engine, closed);
    closed->fragment.window_end_ms = (int64_t)end;
    closed->fragment.row_count = rows;
    closed->fragment.record_count = records;
    memcpy(closed->fragment.digest, digest.data, digest.length);
    return TUMBLE_OK;
}
