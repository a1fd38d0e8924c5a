#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <tumble/engine.h>

#include "counting_alloc.h"

/* What the engine's tests share: a spec, records in their order, an output that keeps what it is given. */

#define SPEC                                                                                                           \
    "{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"       \
    "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"lo\",\"function\":\"min\",\"field\":\"v\"},"    \
    "{\"name\":\"last\",\"function\":\"last\",\"field\":\"v\"}]}"

struct kept_rows {
    char text[1 << 18];
    size_t length;
    size_t count;
    size_t retry_from; /* rows from this one on are asked for again; SIZE_MAX: none */
    size_t reject_row; /* this row is rejected; SIZE_MAX: none */
    size_t offered;
};

static struct kept_rows kept[2]; /* by kind */

static enum tumble_code kept_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    (void)err;
    *self = &kept[how->kind];
    return TUMBLE_OK;
}

static enum tumble_code kept_write(void *self, const struct tumble_row *rows, size_t count, struct tumble_delivery *out,
                                   struct tumble_error *err) {
    struct kept_rows *rows_kept = self;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        size_t number = rows_kept->offered++;
        if (number >= rows_kept->retry_from) {
            out[i].outcome = TUMBLE_RETRY;
            out[i].reason = "busy";
            continue;
        }
        if (number == rows_kept->reject_row) {
            out[i].outcome = TUMBLE_REJECTED;
            out[i].reason = "too ugly";
            continue;
        }
        out[i].outcome = TUMBLE_DELIVERED;
        assert_true(rows_kept->length + rows[i].json.length + 1 < sizeof rows_kept->text);
        memcpy(rows_kept->text + rows_kept->length, rows[i].json.data, rows[i].json.length);
        rows_kept->length += rows[i].json.length;
        rows_kept->text[rows_kept->length++] = '\n';
        rows_kept->text[rows_kept->length] = '\0';
        rows_kept->count++;
    }
    return TUMBLE_OK;
}

static enum tumble_code kept_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

static void kept_close(void *self) { (void)self; }

static const struct tumble_output_api kept_api = {
    .struct_size = sizeof(struct tumble_output_api),
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "kept",
    .open = kept_open,
    .write = kept_write,
    .flush = kept_flush,
    .close = kept_close,
};

static inline void kept_reset(void) {
    memset(kept, 0, sizeof kept);
    for (int i = 0; i < 2; i++) {
        kept[i].retry_from = SIZE_MAX;
        kept[i].reject_row = SIZE_MAX;
    }
}

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        struct tumble_error *shown_ = &error;                                                                          \
        memset(shown_, 0, sizeof *shown_);                                                                             \
        enum tumble_code code_ = (call);                                                                               \
        if (code_ != TUMBLE_OK) {                                                                                      \
            fail_msg("%s: %s", tumble_code_name(code_), shown_->text);                                                 \
        }                                                                                                              \
    } while (0)

static inline struct tumble_spec *spec_of(const char *json) {
    struct tumble_error error;
    struct tumble_spec *spec;
    ok(tumble_spec_parse(tumble_bytes_of(json), NULL, (struct tumble_alloc){0}, &spec, &error));
    return spec;
}

static inline void attach_kept(struct tumble_engine *engine, enum tumble_row_kind kind) {
    struct tumble_error error;
    struct tumble_output_open how = {.kind = kind};
    ok(tumble_engine_attach(engine, kind == TUMBLE_ROW_WINDOW ? "kept:" : "kept:failures", &kept_api, &how, &error));
}

static inline struct tumble_engine *engine_of(const struct tumble_spec *spec, const char *directory,
                                              size_t memory_limit) {
    struct tumble_error error;
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec,
                                            .source = tumble_bytes_of("test"),
                                            .state_directory = directory,
                                            .durability = TUMBLE_DURABILITY_NONE,
                                            .memory_limit_bytes = memory_limit};
    ok(tumble_engine_open(&options, &engine, &error));
    return engine;
}

static inline struct tumble_shard *shard_of(struct tumble_engine *engine, const char *id) {
    struct tumble_error error;
    struct tumble_shard *shard;
    ok(tumble_engine_shard(engine, tumble_bytes_of(id), &shard, &error));
    return shard;
}

/* Records in memory of the test, numbered as they are made. */
struct made_records {
    struct tumble_record records[64];
    char data[64][96];
    char sequence[64][24];
    size_t count;
};

static inline struct tumble_record *make_record(struct made_records *made, uint64_t sequence, const char *json) {
    size_t i = made->count++;
    assert_true(i < 64);
    snprintf(made->data[i], sizeof made->data[i], "%s", json);
    snprintf(made->sequence[i], sizeof made->sequence[i], "%llu", (unsigned long long)sequence);
    struct tumble_record record = {.data = tumble_bytes_of(made->data[i]),
                                   .sequence_number = tumble_bytes_of(made->sequence[i]),
                                   .partition_key = tumble_bytes_of("pk"),
                                   .arrival_ms = 1000};
    made->records[i] = record;
    return &made->records[i];
}

static inline void remove_state(const char *directory) {
    static const char *const files[] = {"data.mdb", "lock.mdb", "tumble.lock", "redo.log"};
    char path[512];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

#endif
