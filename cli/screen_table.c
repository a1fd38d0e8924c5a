#include "cli/screen_table.h"

#include <string.h>

#include "adapters/outputs/file/file_output.h"

enum { ROWS_HELD = 1000 }; /* as many as the file output measures */

static struct {
    uint64_t rows;
    struct tumble_error failure;
    void (*before)(void *ctx);
    void *before_ctx;
} table;

void tw_screen_table_announce(void (*before)(void *ctx), void *ctx) {
    table.before = before;
    table.before_ctx = ctx;
}

static void announce(void) {
    if (table.before) {
        table.before(table.before_ctx);
    }
}

static enum tumble_code table_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    table.rows = 0;
    memset(&table.failure, 0, sizeof table.failure);
    return tumble_file_output.open(how, self, err);
}

static enum tumble_code table_write(void *self, const struct tumble_row *rows, size_t count,
                                    struct tumble_delivery *out, struct tumble_error *err) {
    table.rows += count;
    if (table.rows >= ROWS_HELD) {
        announce();
    }
    return tumble_file_output.write(self, rows, count, out, err);
}

static enum tumble_code table_flush(void *self, int pending_done, struct tumble_error *err) {
    if (table.rows < ROWS_HELD) {
        return TUMBLE_OK;
    }
    announce();
    enum tumble_code code = tumble_file_output.flush(self, pending_done, err);
    if (code != TUMBLE_OK) {
        table.rows = 0; /* reported now: close need not try again */
    }
    return code;
}

static void table_close(void *self) {
    if (self && table.rows > 0) {
        announce();
        table.failure.code = tumble_file_output.flush(self, 1, &table.failure);
    }
    tumble_file_output.close(self);
}

const struct tumble_error *tw_screen_table_failure(void) { return &table.failure; }

const struct tumble_output_api tw_screen_table = {
    .struct_size = sizeof tw_screen_table,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "file",
    .flags = TUMBLE_OUTPUT_WANTS_VALUES | TUMBLE_OUTPUT_NO_RETRY,
    .open = table_open,
    .write = table_write,
    .flush = table_flush,
    .close = table_close,
};
