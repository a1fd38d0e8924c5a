#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/carried.h"
#include "engine/codec/hash.h"

/* What lies outside the event: objects in the spill store, which is the truth, and copies of them in an LMDB of the
 * sandbox. Objects are named by their content and checked against it, wherever they come from, so a stale or damaged
 * cache can only be a miss. Whatever goes wrong with the cache, it is given up. */

enum { CACHE_KEY_BYTES = 8 + TW_STATE_DIGEST_BYTES };

void tw_object_name(const struct tumble_engine *engine, const struct tumble_shard *shard, int64_t start_ms,
                    const char *prefix, const uint8_t *digest, char out[TW_OBJECT_NAME_BYTES]) {
    uint64_t stream = tw_hash64(engine->source, engine->source_length);
    uint64_t id = tw_hash64(shard->id, shard->id_length);
    int length = snprintf(out, TW_OBJECT_NAME_BYTES, "%016llx/%016llx/%lld/%s", (unsigned long long)stream,
                          (unsigned long long)id, (long long)(start_ms / 1000), prefix);
    for (size_t i = 0; digest && i < TW_STATE_DIGEST_BYTES; i++) {
        length += snprintf(out + length, TW_OBJECT_NAME_BYTES - (size_t)length, "%02x", digest[i]);
    }
}

/* ---- cache ---- */

static void give_up(struct tw_carried *carried) {
    tw_store_close(carried->cache);
    carried->cache = NULL;
}

static struct tumble_bytes cache_key(int64_t start_ms, const uint8_t digest[TW_STATE_DIGEST_BYTES],
                                     char key[CACHE_KEY_BYTES]) {
    for (int i = 0; i < 8; i++) {
        key[i] = (char)((uint64_t)start_ms >> (56 - 8 * i));
    }
    memcpy(key + 8, digest, TW_STATE_DIGEST_BYTES);
    struct tumble_bytes view = {key, CACHE_KEY_BYTES};
    return view;
}

static enum tumble_code add_bytes(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    (void)stop;
    (void)err;
    *(uint64_t *)ctx += key.length + value.length;
    return TUMBLE_OK;
}

void tw_cache_open(struct tw_carried *carried) {
    struct tw_store_options options = {.directory = carried->cache_directory, .verify = true, .alloc = carried->alloc};
    struct tumble_bytes all = {NULL, 0};
    if (!carried->cache_directory || tw_store_open(&options, &carried->cache, NULL) != TUMBLE_OK) {
        carried->cache = NULL;
        return;
    }
    carried->cache_bytes = 0;
    enum tumble_code code = tw_store_begin(carried->cache, NULL);
    if (code == TUMBLE_OK) {
        code = tw_store_scan(carried->cache, all, all, add_bytes, &carried->cache_bytes, NULL);
        tw_store_abort(carried->cache);
    }
    if (code != TUMBLE_OK) {
        give_up(carried);
    }
}

/* The oldest windows go first: their keys begin with their start. */
struct eviction {
    struct tw_carried *carried;
    uint64_t needed;
    uint64_t freed;
    char key[CACHE_KEY_BYTES];
    bool found;
};

static enum tumble_code first_key(void *ctx, struct tumble_bytes key, struct tumble_bytes value, bool *stop,
                                  struct tumble_error *err) {
    struct eviction *eviction = ctx;
    (void)err;
    *stop = true;
    eviction->found = key.length == CACHE_KEY_BYTES;
    if (eviction->found) {
        memcpy(eviction->key, key.data, CACHE_KEY_BYTES);
        eviction->freed += key.length + value.length;
    }
    return TUMBLE_OK;
}

struct cache_write {
    struct tw_carried *carried;
    struct tumble_bytes key;
    struct tumble_bytes value;
    uint64_t bytes; /* in the cache afterwards */
};

static enum tumble_code write_cache(void *ctx, struct tw_store *store, struct tumble_error *err) {
    struct cache_write *write = ctx;
    struct tumble_bytes all = {NULL, 0};
    uint64_t size = write->key.length + write->value.length;
    write->bytes = write->carried->cache_bytes;
    while (write->bytes + size > TW_CACHE_BYTES_MAX) {
        struct eviction eviction = {.carried = write->carried};
        TW_TRY(tw_store_scan(store, all, all, first_key, &eviction, err));
        if (!eviction.found) {
            break;
        }
        struct tumble_bytes key = {eviction.key, CACHE_KEY_BYTES};
        TW_TRY(tw_store_delete(store, key, err));
        write->bytes -= eviction.freed < write->bytes ? eviction.freed : write->bytes;
    }
    bool found;
    struct tumble_bytes old;
    TW_TRY(tw_store_get(store, write->key, &found, &old, err));
    write->bytes += found ? write->value.length - old.length : size;
    return tw_store_put(store, write->key, write->value, err);
}

static void cache_put(struct tw_carried *carried, int64_t start_ms, const uint8_t digest[TW_STATE_DIGEST_BYTES],
                      struct tumble_bytes bytes) {
    char key[CACHE_KEY_BYTES];
    if (!carried->cache || bytes.length > TW_CACHE_BYTES_MAX / 4) {
        return;
    }
    struct cache_write write = {carried, cache_key(start_ms, digest, key), bytes, 0};
    if (tw_store_write(carried->cache, write_cache, &write, NULL) == TUMBLE_OK) {
        carried->cache_bytes = write.bytes;
    } else {
        give_up(carried);
    }
}

/* Into packed. */
static bool cache_get(struct tw_carried *carried, int64_t start_ms, const uint8_t digest[TW_STATE_DIGEST_BYTES]) {
    char key[CACHE_KEY_BYTES];
    bool found = false;
    struct tumble_bytes value;
    if (!carried->cache) {
        return false;
    }
    enum tumble_code code = tw_store_begin(carried->cache, NULL);
    if (code == TUMBLE_OK) {
        code = tw_store_get(carried->cache, cache_key(start_ms, digest, key), &found, &value, NULL);
        tw_buf_clear(&carried->packed);
        if (code == TUMBLE_OK && found) {
            code = tw_buf_append(&carried->packed, value.data, value.length);
        }
        tw_store_abort(carried->cache);
    }
    if (code != TUMBLE_OK) {
        give_up(carried);
    }
    return code == TUMBLE_OK && found;
}

static enum tumble_code delete_key(void *ctx, struct tw_store *store, struct tumble_error *err) {
    struct cache_write *write = ctx;
    struct tumble_bytes old;
    bool found;
    TW_TRY(tw_store_get(store, write->key, &found, &old, err));
    uint64_t bytes = found ? write->key.length + old.length : 0;
    write->bytes =
        write->carried->cache_bytes - (bytes < write->carried->cache_bytes ? bytes : write->carried->cache_bytes);
    return found ? tw_store_delete(store, write->key, err) : TUMBLE_OK;
}

static void cache_remove(struct tw_carried *carried, int64_t start_ms, const struct tw_spill_object *object) {
    char key[CACHE_KEY_BYTES];
    if (!carried->cache) {
        return;
    }
    struct cache_write write = {.carried = carried, .key = cache_key(start_ms, object->digest, key)};
    if (tw_store_write(carried->cache, delete_key, &write, NULL) == TUMBLE_OK) {
        carried->cache_bytes = write.bytes;
    } else {
        give_up(carried);
    }
}

/* ---- objects ---- */

enum tumble_code tw_object_put(struct tw_carried *carried, const struct tumble_engine *engine,
                               const struct tumble_shard *shard, int64_t start_ms, struct tumble_bytes bytes,
                               struct tw_spill_object *object, struct tumble_error *err) {
    const struct tumble_spill_store *store = carried->options.spill;
    char name[TW_OBJECT_NAME_BYTES];
    tw_hash128(bytes.data, bytes.length, object->digest);
    object->bytes = bytes.length;
    tw_object_name(engine, shard, start_ms, "", object->digest, name);
    enum tumble_code code = store->put(store->ctx, name, bytes, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "spilling the state");
        carried->out->error_type = "Tumble.SpillFailed";
        return code;
    }
    carried->out->spilled_bytes += bytes.length;
    cache_put(carried, start_ms, object->digest, bytes);
    return TUMBLE_OK;
}

static bool is_object(const struct tw_spill_object *object, struct tumble_bytes bytes) {
    uint8_t digest[TW_STATE_DIGEST_BYTES];
    tw_hash128(bytes.data, bytes.length, digest);
    return bytes.length == object->bytes && memcmp(digest, object->digest, sizeof digest) == 0;
}

enum tumble_code tw_object_get(struct tw_carried *carried, const struct tumble_engine *engine,
                               const struct tumble_shard *shard, int64_t start_ms, const struct tw_spill_object *object,
                               struct tumble_bytes *bytes, struct tumble_error *err) {
    const struct tumble_spill_store *store = carried->options.spill;
    if (cache_get(carried, start_ms, object->digest)) {
        *bytes = tw_buf_view(&carried->packed);
        if (is_object(object, *bytes)) {
            return TUMBLE_OK;
        }
        cache_remove(carried, start_ms, object);
    }
    carried->out->cache_hit = 0;
    char name[TW_OBJECT_NAME_BYTES];
    tw_object_name(engine, shard, start_ms, "", object->digest, name);
    if (!store) {
        carried->out->error_type = "Tumble.SpillMissing";
        return tw_fail(err, TUMBLE_ECORRUPT,
                       "the state lies in a spill store, and none is configured: set TUMBLE_SPILL (object %s)", name);
    }
    enum tumble_code code = store->get(store->ctx, name, TW_STATE_BYTES_MAX, bytes, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "fetching the spilled state");
        carried->out->error_type = "Tumble.SpillFailed";
        return code;
    }
    if (!bytes->data) {
        carried->out->error_type = "Tumble.SpillMissing";
        return tw_fail(
            err, TUMBLE_ECORRUPT,
            "object %s of the spilled state is missing: was it removed by hand or by a lifecycle rule shorter "
            "than the stream's retention?",
            name);
    }
    if (!is_object(object, *bytes)) {
        carried->out->error_type = "Tumble.SpillAltered";
        return tw_fail(err, TUMBLE_ECORRUPT, "object %s of the spilled state was altered: restore it", name);
    }
    carried->out->fetched_bytes += bytes->length;
    cache_put(carried, start_ms, object->digest, *bytes);
    return TUMBLE_OK;
}

bool tw_name_remove(struct tw_carried *carried, const char *name) {
    const struct tumble_spill_store *store = carried->options.spill;
    return tw_carried_remaining(carried) >= TW_SWEEP_MARGIN_MS && store->remove(store->ctx, name, NULL) == TUMBLE_OK;
}

bool tw_object_remove(struct tw_carried *carried, const struct tumble_engine *engine, const struct tumble_shard *shard,
                      int64_t start_ms, const struct tw_spill_object *object) {
    char name[TW_OBJECT_NAME_BYTES];
    tw_object_name(engine, shard, start_ms, "", object->digest, name);
    cache_remove(carried, start_ms, object);
    return tw_name_remove(carried, name);
}

/* ---- marks ---- */

/* A mark's place in the cache is a digest of what it is about. */
static void mark_digest(const char *output, const uint8_t digest[TW_STATE_DIGEST_BYTES],
                        uint8_t out[TW_STATE_DIGEST_BYTES]) {
    uint64_t about[3] = {tw_hash64(output, strlen(output))};
    memcpy(&about[1], digest, TW_STATE_DIGEST_BYTES);
    tw_hash128(about, sizeof about, out);
}

void tw_mark_name(const struct tumble_engine *engine, const struct tumble_shard *shard, int64_t start_ms,
                  const char *output, const uint8_t digest[TW_STATE_DIGEST_BYTES], char out[TW_OBJECT_NAME_BYTES]) {
    uint8_t id[TW_STATE_DIGEST_BYTES];
    mark_digest(output, digest, id);
    tw_object_name(engine, shard, start_ms, "mark-", id, out);
}

enum tumble_code tw_mark_put(struct tw_carried *carried, const struct tumble_engine *engine,
                             const struct tumble_shard *shard, int64_t start_ms, const char *output,
                             const uint8_t digest[TW_STATE_DIGEST_BYTES], uint64_t row, struct tumble_error *err) {
    const struct tumble_spill_store *store = carried->options.spill;
    char name[TW_OBJECT_NAME_BYTES], text[32];
    uint8_t id[TW_STATE_DIGEST_BYTES];
    int length = snprintf(text, sizeof text, "row %llu\n", (unsigned long long)row);
    struct tumble_bytes bytes = {text, (size_t)length};
    mark_digest(output, digest, id);
    cache_put(carried, start_ms, id, bytes);
    if (!store) {
        return TUMBLE_OK;
    }
    tw_object_name(engine, shard, start_ms, "mark-", id, name);
    return store->put(store->ctx, name, bytes, err);
}

static bool read_mark(struct tumble_bytes bytes, uint64_t *row) {
    uint64_t value = 0;
    if (bytes.length < 6 || bytes.length > 26 || memcmp(bytes.data, "row ", 4) != 0 ||
        bytes.data[bytes.length - 1] != '\n') {
        return false;
    }
    for (size_t i = 4; i + 1 < bytes.length; i++) {
        if (bytes.data[i] < '0' || bytes.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(bytes.data[i] - '0');
    }
    if (value > *row) {
        *row = value;
    }
    return true;
}

enum tumble_code tw_mark_get(struct tw_carried *carried, const struct tumble_engine *engine,
                             const struct tumble_shard *shard, int64_t start_ms, const char *output,
                             const uint8_t digest[TW_STATE_DIGEST_BYTES], uint64_t *row, struct tumble_error *err) {
    const struct tumble_spill_store *store = carried->options.spill;
    char name[TW_OBJECT_NAME_BYTES];
    uint8_t id[TW_STATE_DIGEST_BYTES];
    struct tumble_bytes bytes;
    mark_digest(output, digest, id);
    *row = 0;
    if (cache_get(carried, start_ms, id)) {
        read_mark(tw_buf_view(&carried->packed), row);
    }
    if (!store) {
        return TUMBLE_OK;
    }
    tw_object_name(engine, shard, start_ms, "mark-", id, name);
    TW_TRY(store->get(store->ctx, name, 64, &bytes, err));
    if (bytes.data) {
        read_mark(bytes, row);
    }
    return TUMBLE_OK;
}
