#define _GNU_SOURCE /* mkdtemp */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/codec/hash.h"
#include "engine/store/pending.h"
#include "engine/store/redo_log.h"
#include "engine/store/store_internal.h"
#include "fuzz_target.h"

/* Any bytes as operations, and as what follows the first block of a redo log; the checksum of the entry that they begin
 * with, if it is one by its length, is put right. Whatever is accepted lies within what was read. */

enum { BASE = 1, SEED = 7 };

struct taken {
    struct tw_pending *pending;
    size_t file_bytes;
};

static enum tumble_code take(void *ctx, struct tumble_bytes operations, uint64_t at, struct tumble_error *err) {
    struct taken *taken = ctx;
    (void)err;
    FUZZ_CHECK(at % TW_REDO_BLOCK == TW_REDO_HEAD_BYTES && at + operations.length + 8 <= taken->file_bytes);
    tw_pending_begin(taken->pending);
    enum tumble_code code = tw_pending_take(taken->pending, operations, at);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_ECORRUPT);
    if (code != TUMBLE_OK) {
        tw_pending_abort(taken->pending);
        return code;
    }
    tw_pending_commit(taken->pending);
    struct tumble_bytes all = tumble_bytes_of(NULL), key = all;
    struct tw_pending_value value, again;
    for (bool more = tw_pending_next(taken->pending, all, all, false, &key, &value); more;
         more = tw_pending_next(taken->pending, all, key, true, &key, &value)) {
        FUZZ_CHECK(key.length > 0 && key.length <= TW_STORE_KEY_MAX);
        FUZZ_CHECK(tw_pending_find(taken->pending, key, &again) && again.at == value.at);
        FUZZ_CHECK(value.at + value.length <= taken->file_bytes);
        tw_pending_hides(taken->pending, key);
    }
    return TUMBLE_OK;
}

static void put_u64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void replay(const uint8_t *file, size_t size) {
    char name[256], path[300];
    const char *base = getenv("TMPDIR");
    snprintf(name, sizeof name, "%s/tumble-fuzz-XXXXXX", base && *base ? base : "/tmp");
    FUZZ_CHECK(mkdtemp(name));
    struct tw_state_directory directory = {.path = name, .lock_fd = -1};
    snprintf(path, sizeof path, "%s/redo.log", name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    directory.fd = open(directory.path, O_RDONLY | O_DIRECTORY);
    FUZZ_CHECK(fd >= 0 && directory.fd >= 0 && write(fd, file, size) == (ssize_t)size);
    close(fd);
    struct tw_redo_log log;
    struct tumble_error err;
    struct taken taken = {tw_pending_new(tw_alloc_default()), size};
    bool present;
    FUZZ_CHECK(taken.pending && tw_redo_log_open(&log, &directory, tw_alloc_default(), &present, &err) == TUMBLE_OK);
    enum tumble_code code = tw_redo_log_replay(&log, BASE, take, &taken, &err);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_ECORRUPT);
    tw_redo_log_close(&log);
    tw_pending_destroy(taken.pending);
    unlink(path);
    rmdir(name);
    close(directory.fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct taken taken = {tw_pending_new(tw_alloc_default()), TW_REDO_HEAD_BYTES + size + 8};
    struct tumble_bytes operations = {(const char *)data, size};
    FUZZ_CHECK(taken.pending);
    take(&taken, operations, TW_REDO_HEAD_BYTES, NULL);
    tw_pending_destroy(taken.pending);

    size_t length = TW_REDO_BLOCK + size;
    uint8_t *file = calloc(1, length);
    FUZZ_CHECK(file);
    memcpy(file, "TMBR\1", 5);
    put_u64(file + 16, SEED);
    put_u64(file + 24, tw_hash64(file, 24));
    if (size) {
        memcpy(file + TW_REDO_BLOCK, data, size);
    }
    if (size >= TW_REDO_HEAD_BYTES + 8 && data[0] % 2) { /* as one entry to the end */
        uint8_t *entry = file + TW_REDO_BLOCK;
        put_u64(entry, BASE);
        put_u64(entry + 8, 0);
        put_u64(entry + 16, size - TW_REDO_HEAD_BYTES - 8);
        put_u64(entry + size - 8, tw_hash_seeded(entry, size - 8, SEED));
    }
    replay(file, length);
    free(file);
    return 0;
}
