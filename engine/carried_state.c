#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/carried.h"
#include "engine/codec/base64.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"

/* `state` as an event carries it: a flat object of strings (docs/lambda.md). data is base64 of a zstd frame of a stored
 * frame (docs/format-frames.md) whose payload holds everything; v, spec and digest are needed before it is unpacked,
 * and seq, records and groups are there for people. digest is the XXH3-128 of the payload, so it names the
 * accumulators: inline they lie in the payload, spilled the payload holds the digests of their objects. */

void tw_carried_state_clear(struct tw_carried *carried, struct tw_carried_state *state) {
    tw_free(&carried->alloc, state->objects);
    tw_free(&carried->alloc, state->garbage);
    memset(state, 0, sizeof *state);
}

bool tw_state_names(const struct tw_carried_state *state, const struct tw_spill_object *object) {
    for (size_t i = 0; i < state->object_count; i++) {
        if (memcmp(state->objects[i].digest, object->digest, sizeof object->digest) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- reading the object ---- */

static enum tumble_code foreign(struct tumble_error *err, const char *what) {
    return tw_fail(err, TUMBLE_ECORRUPT,
                   "the event's state was not written by tumble, or was changed on its way (%s): it cannot be gone on "
                   "from; the window ends with its retries",
                   what);
}

static bool from_hex(struct tumble_bytes text, uint8_t *out, size_t bytes) {
    if (text.length != 2 * bytes) {
        return false;
    }
    for (size_t i = 0; i < 2 * bytes; i++) {
        char c = text.data[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) {
            return false;
        }
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
    }
    return true;
}

static void to_hex(const uint8_t *bytes, size_t count, char *out) {
    for (size_t i = 0; i < count; i++) {
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

enum tumble_code tw_state_envelope_read(struct tw_carried *carried, const struct tumble_value *state,
                                        struct tw_state_envelope *out, struct tumble_error *err) {
    enum { V, SPEC, DIGEST, DATA, MEMBERS };
    static const char *const names[MEMBERS] = {"v", "spec", "digest", "data"};
    struct tumble_bytes found[MEMBERS] = {{NULL, 0}};
    memset(out, 0, sizeof *out);
    out->is_fresh = true;
    if (state->type != TUMBLE_TYPE_OBJECT) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&carried->text);
    if (tw_buf_reserve(&carried->text, state->length) != TUMBLE_OK) { /* all of it: views into it must stay */
        return tw_no_memory(err);
    }
    struct tw_json_walk walk;
    struct tumble_value key, value;
    tw_json_walk_begin(&walk, state);
    while (tw_json_walk_next(&walk, &key, &value)) {
        out->is_fresh = false;
        for (size_t i = 0; i < MEMBERS; i++) {
            if (tw_json_string_equal(&key, tumble_bytes_of(names[i]))) {
                if (value.type != TUMBLE_TYPE_STRING) {
                    return foreign(err, names[i]);
                }
                size_t from = carried->text.length;
                TW_TRY(tw_json_unescape(&value, &carried->text));
                found[i].data = carried->text.data + from;
                found[i].length = carried->text.length - from;
            }
        }
    }
    if (out->is_fresh) {
        return TUMBLE_OK;
    }
    if (!found[V].length) {
        return foreign(err, "no v");
    }
    if (!tumble_bytes_equal(found[V], tumble_bytes_of("1"))) {
        return tw_fail(err, TUMBLE_EVERSION,
                       "the event's state is of version %.*s, this tumble knows %d: a newer one wrote it; deploy that "
                       "one again until the window has ended",
                       (int)(found[V].length < 20 ? found[V].length : 20), found[V].data, TW_STATE_VERSION);
    }
    uint8_t spec[8];
    if (!from_hex(found[SPEC], spec, sizeof spec)) {
        return foreign(err, "spec");
    }
    for (size_t i = 0; i < sizeof spec; i++) {
        out->spec_digest = out->spec_digest << 8 | spec[i];
    }
    if (!from_hex(found[DIGEST], out->digest, sizeof out->digest)) {
        return foreign(err, "digest");
    }
    out->data = found[DATA];
    return TUMBLE_OK;
}

enum tumble_code tw_state_open(struct tw_carried *carried, const struct tw_state_envelope *envelope,
                               struct tumble_bytes *payload, struct tumble_error *err) {
    size_t packed = 0;
    tw_buf_clear(&carried->packed);
    tw_buf_clear(&carried->raw);
    if (tw_buf_reserve(&carried->packed, envelope->data.length / 4 * 3 + 1) != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    if (tw_base64_decode(envelope->data, carried->packed.data, &packed, NULL) != TUMBLE_OK) {
        return foreign(err, "data is no base64");
    }
    struct tumble_bytes frame = {carried->packed.data, packed};
    enum tumble_code code = tw_zstd_unpack(carried->zstd, frame, TW_STATE_BYTES_MAX, &carried->raw, err);
    if (code != TUMBLE_OK) {
        return code == TUMBLE_ENOMEM ? code : foreign(err, "data cannot be unpacked");
    }
    TW_TRY(tw_frame_open(tw_buf_view(&carried->raw), TW_FRAME_STATE, envelope->spec_digest, "the event's state",
                         payload, err));
    uint8_t digest[TW_STATE_DIGEST_BYTES];
    tw_hash128(payload->data, payload->length, digest);
    return memcmp(digest, envelope->digest, sizeof digest) == 0 ? TUMBLE_OK : foreign(err, "the digest does not fit");
}

enum tumble_code tw_state_spec_text(struct tumble_bytes payload, struct tumble_bytes *text, struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(payload);
    uint64_t length;
    if (!tw_take_varint(&in, &length) || length > tw_cursor_left(&in) || !tw_take_bytes(&in, (size_t)length, text)) {
        return foreign(err, "its spec is cut");
    }
    return TUMBLE_OK;
}

/* ---- payload ---- */

/* Stream and shard: a state given to another shard's event is refused. */
static uint64_t place_of(const struct tumble_engine *engine, const struct tumble_shard *shard) {
    uint64_t stream = tw_hash64(engine->source, engine->source_length);
    return stream ^ (tw_hash64(shard->id, shard->id_length) * UINT64_C(0x9e3779b97f4a7c15));
}

static enum tumble_code put_objects(struct tw_buf *out, const struct tw_spill_object *objects, size_t count) {
    TW_TRY(tw_buf_append_varint(out, count));
    for (size_t i = 0; i < count; i++) {
        TW_TRY(tw_buf_append(out, objects[i].digest, sizeof objects[i].digest));
        TW_TRY(tw_buf_append_varint(out, objects[i].bytes));
        TW_TRY(tw_buf_append_byte(out, objects[i].snapshot ? 'S' : 'D'));
    }
    return TUMBLE_OK;
}

static enum tumble_code take_objects(struct tw_carried *carried, struct tw_cursor *in, struct tw_spill_object **objects,
                                     size_t *count, struct tumble_error *err) {
    uint64_t n;
    if (!tw_take_varint(in, &n) || n > TW_SPILL_OBJECTS_MAX * 4) {
        return foreign(err, "too many objects");
    }
    *objects = NULL;
    *count = 0;
    if (n == 0) {
        return TUMBLE_OK;
    }
    *objects = tw_alloc_array(&carried->alloc, (size_t)n, sizeof **objects);
    if (!*objects) {
        return tw_no_memory(err);
    }
    for (uint64_t i = 0; i < n; i++) {
        struct tw_spill_object *object = &(*objects)[i];
        struct tumble_bytes digest;
        uint8_t kind;
        if (!tw_take_bytes(in, sizeof object->digest, &digest) || !tw_take_varint(in, &object->bytes) ||
            !tw_take_u8(in, &kind) || (kind != 'S' && kind != 'D')) {
            return foreign(err, "its objects are cut");
        }
        memcpy(object->digest, digest.data, sizeof object->digest);
        object->snapshot = kind == 'S';
        ++*count;
    }
    return TUMBLE_OK;
}

static enum tumble_code load_objects(struct tw_carried *carried, struct tw_carried_engine *engine,
                                     struct tumble_shard *shard, const struct tw_carried_shard *held,
                                     struct tw_window *window, struct tumble_error *err) {
    const struct tw_carried_state *state = &held->state;
    for (size_t i = 0; i < state->object_count; i++) {
        struct tumble_bytes bytes, groups;
        TW_TRY(tw_object_get(carried, engine->engine, shard, held->start_ms, &state->objects[i], &bytes, err));
        tw_buf_clear(&carried->object);
        TW_TRY(tw_zstd_unpack(carried->zstd, bytes, TW_STATE_BYTES_MAX, &carried->object, err));
        TW_TRY(tw_frame_open(tw_buf_view(&carried->object), TW_FRAME_SPILL, engine->engine->spec->digest,
                             "a spilled object of the state", &groups, err));
        TW_TRY(tw_window_decode_groups(window, groups, tw_engine_key_hash, engine->engine, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code read_payload(struct tw_carried *carried, struct tw_carried_engine *engine,
                                     struct tumble_shard *shard, struct tw_carried_shard *held,
                                     struct tw_window *window, struct tumble_bytes payload, struct tumble_error *err) {
    struct tw_cursor in = tw_cursor_of(payload);
    struct tumble_bytes spec;
    uint64_t length, place, start, end;
    size_t first, last;
    if (!tw_take_varint(&in, &length) || !tw_take_bytes(&in, (size_t)length, &spec) || !tw_take_u64(&in, &place) ||
        !tw_take_u64(&in, &start) || !tw_take_u64(&in, &end) || !tw_take_varint(&in, &window->records) ||
        !tw_take_varint(&in, &window->group_count) || !tw_sequence_take(&in, window->first_sequence, &first) ||
        !tw_sequence_take(&in, window->last_sequence, &last) || !tw_take_varint(&in, &window->last_sub_sequence) ||
        !tw_sequence_take(&in, held->state.expect, &held->state.expect_length)) {
        return foreign(err, "its header is cut");
    }
    if (place != place_of(engine->engine, shard) || (int64_t)start != held->start_ms || (int64_t)end != held->end_ms) {
        return foreign(err, "it belongs to another shard or window");
    }
    window->first_length = (uint8_t)first;
    window->last_length = (uint8_t)last;
    TW_TRY(take_objects(carried, &in, &held->state.garbage, &held->state.garbage_count, err));
    TW_TRY(take_objects(carried, &in, &held->state.objects, &held->state.object_count, err));
    struct tumble_bytes rest = {in.at, tw_cursor_left(&in)};
    uint64_t most = rest.length; /* a group takes a byte at least: no claim beyond that is believed */
    for (size_t i = 0; i < held->state.object_count; i++) {
        most += held->state.objects[i].bytes < TW_STATE_BYTES_MAX ? held->state.objects[i].bytes : 0;
    }
    most = most < TW_EXPECTED_GROUPS_MAX ? most : TW_EXPECTED_GROUPS_MAX;
    enum tumble_code code =
        tw_group_table_expect(&window->groups, window->group_count < most ? window->group_count : most);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%s", tumble_code_text(code));
    }
    if (held->state.object_count) {
        if (rest.length) {
            return foreign(err, "groups beside objects");
        }
        TW_TRY(load_objects(carried, engine, shard, held, window, err));
    } else {
        TW_TRY(tw_window_decode_groups(window, rest, tw_engine_key_hash, engine->engine, err));
    }
    return window->groups.count == window->group_count ? TUMBLE_OK : foreign(err, "groups are missing");
}

enum tumble_code tw_state_load(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_shard *shard,
                               struct tw_carried_shard *held, struct tumble_bytes payload, struct tumble_error *err) {
    struct tw_window *window;
    tw_carried_state_clear(carried, &held->state);
    TW_TRY(tw_shard_window(shard, held->start_ms, &window, err));
    return read_payload(carried, engine, shard, held, window, payload, err);
}

/* ---- writing ---- */

static enum tumble_code put_header(struct tw_buf *out, const struct tumble_engine *engine,
                                   const struct tumble_shard *shard, const struct tw_carried_shard *held,
                                   const struct tw_window *window, struct tumble_bytes expect) {
    TW_TRY(tw_buf_append_varint(out, engine->spec->canonical_length));
    TW_TRY(tw_buf_append(out, engine->spec->canonical, engine->spec->canonical_length));
    TW_TRY(tw_buf_append_u64(out, place_of(engine, shard)));
    TW_TRY(tw_buf_append_u64(out, (uint64_t)held->start_ms));
    TW_TRY(tw_buf_append_u64(out, (uint64_t)held->end_ms));
    TW_TRY(tw_buf_append_varint(out, window->records));
    TW_TRY(tw_buf_append_varint(out, window->groups.count));
    TW_TRY(tw_sequence_append(out, tw_window_first(window)));
    TW_TRY(tw_sequence_append(out, tw_window_last(window)));
    TW_TRY(tw_buf_append_varint(out, window->last_sub_sequence));
    return tw_sequence_append(out, expect);
}

/* The frame in raw → `state`, appended to out. */
static enum tumble_code put_state(struct tw_carried *carried, const struct tumble_engine *engine,
                                  const struct tw_window *window, const uint8_t digest[TW_STATE_DIGEST_BYTES],
                                  struct tw_buf *out) {
    char head[256 + TW_LIMIT_SEQUENCE_DIGITS], hex[2 * TW_STATE_DIGEST_BYTES + 1];
    to_hex(digest, TW_STATE_DIGEST_BYTES, hex);
    int length = snprintf(head, sizeof head,
                          "{\"v\":\"%d\",\"spec\":\"%016llx\",\"seq\":\"%.*s\",\"records\":\"%llu\",\"groups\":\"%u\","
                          "\"digest\":\"%s\",\"data\":\"",
                          TW_STATE_VERSION, (unsigned long long)engine->spec->digest, (int)window->last_length,
                          window->last_sequence, (unsigned long long)window->records, window->groups.count, hex);
    tw_buf_clear(&carried->packed);
    TW_TRY(tw_zstd_pack(carried->zstd, tw_buf_view(&carried->raw), &carried->packed));
    TW_TRY(tw_buf_append(out, head, (size_t)length));
    size_t encoded = tw_base64_encoded_length(carried->packed.length);
    TW_TRY(tw_buf_reserve(out, encoded));
    tw_base64_encode(tw_buf_view(&carried->packed), out->data + out->length);
    out->length += encoded;
    return tw_buf_append_text(out, "\"}");
}

struct save {
    struct tw_carried *carried;
    struct tw_carried_engine *engine;
    struct tumble_shard *shard;
    struct tw_carried_shard *held;
    struct tw_window *window;
    struct tumble_bytes expect;
    struct tw_carried_state next;
    struct tumble_error *err;
};

static enum tumble_code text_of(struct tumble_error *err, enum tumble_code code) {
    return code == TUMBLE_OK ? TUMBLE_OK : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* Frame of the state with next's objects, or (inline) with the groups themselves. */
static enum tumble_code build(struct save *save, bool inline_groups) {
    struct tw_carried *carried = save->carried;
    struct tumble_engine *engine = save->engine->engine;
    struct tw_buf *raw = &carried->raw;
    size_t mark;
    tw_buf_clear(raw);
    TW_TRY(tw_frame_begin(raw, TW_FRAME_STATE, engine->spec->digest, &mark));
    size_t payload = raw->length;
    TW_TRY(put_header(raw, engine, save->shard, save->held, save->window, save->expect));
    TW_TRY(put_objects(raw, save->next.garbage, save->next.garbage_count));
    TW_TRY(put_objects(raw, save->next.objects, save->next.object_count));
    if (inline_groups) {
        TW_TRY(tw_engine_order(engine, save->window->groups.count, save->err));
        tw_group_order(&save->window->groups, engine->order);
        TW_TRY(tw_window_encode_groups(save->window, engine->order, save->window->groups.count, raw));
    }
    tw_hash128(raw->data + payload, raw->length - payload, save->next.digest);
    return tw_frame_seal(raw, mark);
}

/* Groups in engine->order, as objects appended to next. */
static enum tumble_code spill_groups(struct save *save, size_t count, bool snapshot) {
    struct tw_carried *carried = save->carried;
    struct tumble_engine *engine = save->engine->engine;
    for (size_t written = 0; written < count;) {
        size_t mark;
        tw_buf_clear(&carried->object);
        TW_TRY(text_of(save->err, tw_frame_begin(&carried->object, TW_FRAME_SPILL, engine->spec->digest, &mark)));
        while (written < count && carried->object.length < TW_SPILL_OBJECT_BYTES) {
            TW_TRY(text_of(save->err,
                           tw_window_encode_groups(save->window, engine->order + written, 1, &carried->object)));
            written++;
        }
        TW_TRY(text_of(save->err, tw_frame_seal(&carried->object, mark)));
        if (carried->object.length > TW_STATE_BYTES_MAX) { /* it could not be read again */
            carried->out->error_type = "Tumble.StateTooLarge";
            return tw_fail(save->err, TUMBLE_ELIMIT, "one group of the window has grown over %u bytes",
                           TW_STATE_BYTES_MAX);
        }
        tw_buf_clear(&carried->packed);
        TW_TRY(text_of(save->err, tw_zstd_pack(carried->zstd, tw_buf_view(&carried->object), &carried->packed)));
        struct tw_carried_state *next = &save->next;
        struct tw_spill_object *objects =
            tw_resize(&carried->alloc, next->objects, next->object_count * sizeof *objects,
                      (next->object_count + 1) * sizeof *objects);
        if (!objects) {
            return tw_no_memory(save->err);
        }
        next->objects = objects;
        struct tw_spill_object *object = &objects[next->object_count];
        TW_TRY(tw_object_put(carried, engine, save->shard, save->held->start_ms, tw_buf_view(&carried->packed), object,
                             save->err));
        object->snapshot = snapshot;
        next->object_count++;
    }
    return TUMBLE_OK;
}

static enum tumble_code copy_objects(struct save *save, const struct tw_spill_object *objects, size_t count,
                                     struct tw_spill_object **out, size_t *out_count) {
    *out = NULL;
    *out_count = 0;
    if (count == 0) {
        return TUMBLE_OK;
    }
    *out = tw_alloc_array(&save->carried->alloc, count, sizeof **out);
    if (!*out) {
        return tw_no_memory(save->err);
    }
    memcpy(*out, objects, count * sizeof **out);
    *out_count = count;
    return TUMBLE_OK;
}

static enum tumble_code spill_snapshot(struct save *save) {
    struct tumble_engine *engine = save->engine->engine;
    TW_TRY(tw_engine_order(engine, save->window->groups.count, save->err));
    tw_group_order(&save->window->groups, engine->order);
    TW_TRY(spill_groups(save, save->window->groups.count, true));
    /* What the state before named may go once this one has come back (rule R4), unless it is named again: an object
     * whose groups were not touched is the same in both. */
    TW_TRY(copy_objects(save, save->held->state.objects, save->held->state.object_count, &save->next.garbage,
                        &save->next.garbage_count));
    size_t kept = 0;
    for (size_t i = 0; i < save->next.garbage_count; i++) {
        if (!tw_state_names(&save->next, &save->next.garbage[i])) {
            save->next.garbage[kept++] = save->next.garbage[i];
        }
    }
    save->next.garbage_count = kept;
    return TUMBLE_OK;
}

static enum tumble_code spill_delta(struct save *save) {
    struct tumble_engine *engine = save->engine->engine;
    const struct tw_group_table *groups = &save->window->groups;
    TW_TRY(copy_objects(save, save->held->state.objects, save->held->state.object_count, &save->next.objects,
                        &save->next.object_count));
    TW_TRY(tw_engine_order(engine, groups->touched_count, save->err));
    tw_group_order_of(groups, groups->touched, groups->touched_count, engine->order);
    return spill_groups(save, groups->touched_count, false);
}

/* A new snapshot once the deltas outweigh the last one: so a group's bytes are written again at most once for each time
 * they were written as a delta. Decided by the state alone, so that every sandbox decides alike. */
static bool wants_snapshot(const struct tw_carried_state *state) {
    uint64_t snapshot = 0, deltas = 0;
    for (size_t i = 0; i < state->object_count; i++) {
        *(state->objects[i].snapshot ? &snapshot : &deltas) += state->objects[i].bytes;
    }
    return deltas > snapshot || state->object_count >= TW_SPILL_OBJECTS_MAX;
}

static enum tumble_code spill(struct save *save) {
    TW_TRY(save->held->state.object_count == 0 || wants_snapshot(&save->held->state) ? spill_snapshot(save)
                                                                                     : spill_delta(save));
    return build(save, false);
}

static enum tumble_code write_state(struct save *save, struct tw_buf *out, bool *too_large) {
    struct tw_carried *carried = save->carried;
    struct tumble_engine *engine = save->engine->engine;
    size_t limit = carried->options.inline_state_limit, mark = out->length;
    if (save->held->state.object_count == 0) {
        TW_TRY(text_of(save->err, build(save, true)));
        /* What is this large before packing is not worth trying: zstd at its quickest does not make one of sixteen. */
        bool hopeless = carried->raw.length / 16 > (carried->options.spill ? limit : TW_PACKED_BYTES_MAX) ||
                        carried->raw.length > TW_STATE_BYTES_MAX;
        if (!hopeless) {
            TW_TRY(text_of(save->err, put_state(carried, engine, save->window, save->next.digest, out)));
        }
        size_t length = out->length - mark;
        if (!hopeless && length <= (carried->options.spill ? limit : TW_PACKED_BYTES_MAX)) {
            return TUMBLE_OK;
        }
        out->length = mark;
        if (!carried->options.spill) {
            *too_large = true;
            return TUMBLE_OK;
        }
    }
    TW_TRY(spill(save));
    return text_of(save->err, put_state(carried, engine, save->window, save->next.digest, out));
}

enum tumble_code tw_state_save(struct tw_carried *carried, struct tw_carried_engine *engine, struct tumble_shard *shard,
                               struct tw_carried_shard *held, struct tumble_bytes expect, struct tw_buf *out,
                               bool *too_large, struct tumble_error *err) {
    struct save save = {.carried = carried,
                        .engine = engine,
                        .shard = shard,
                        .held = held,
                        .window = tw_shard_find_window(shard, held->start_ms),
                        .expect = expect,
                        .err = err};
    *too_large = false;
    enum tumble_code code = write_state(&save, out, too_large);
    if (code == TUMBLE_OK && !*too_large) {
        memcpy(save.next.expect, expect.data ? expect.data : "", expect.length);
        save.next.expect_length = expect.length;
        tw_carried_state_clear(carried, &held->state);
        held->state = save.next;
        save.window->group_count = save.window->groups.count;
        tw_group_untouch_all(&save.window->groups);
    } else {
        tw_carried_state_clear(carried, &save.next);
    }
    return code;
}
