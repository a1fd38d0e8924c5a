#include <string.h>

#include <tumble/merge.h>

#include "fuzz_target.h"

/* Any lines as rows with partials. Merged forwards and backwards they give the same rows, if both are taken. */

enum { LINES_MOST = 64 };

struct output {
    uint64_t hash; /* FNV-1a of the merged rows and the lines of their windows */
    uint64_t rows;
};

static void add(struct output *output, struct tumble_bytes json) {
    for (size_t i = 0; i < json.length; i++) {
        output->hash = (output->hash ^ (uint8_t)json.data[i]) * UINT64_C(0x100000001b3);
    }
}

static enum tumble_code on_row(void *ctx, struct tumble_bytes json) {
    struct output *output = ctx;
    output->rows++;
    FUZZ_CHECK(json.length > 2 && json.data[0] == '{' && json.data[json.length - 1] == '}');
    add(output, json);
    return TUMBLE_OK;
}

static enum tumble_code on_window(void *ctx, struct tumble_bytes json) {
    add(ctx, json);
    return TUMBLE_OK;
}

static void check_text(const struct tumble_error *err) {
    FUZZ_CHECK(memchr(err->text, '\0', sizeof err->text) != NULL && err->text[0] != '\0');
}

static int merge_lines(const struct tumble_bytes *lines, size_t count, int backwards, int64_t window,
                       struct output *output) {
    struct tumble_merge_options options = {.window_seconds = window};
    struct tumble_merge_figures figures;
    struct tumble_error err = {.byte = -1};
    struct tumble_merge *merge;
    size_t taken = 0;
    memset(output, 0, sizeof *output);
    FUZZ_CHECK(tumble_merge_new(&options, &merge, &err) == TUMBLE_OK);
    for (size_t i = 0; i < count; i++) {
        if (tumble_merge_add(merge, lines[backwards ? count - 1 - i : i], &err) == TUMBLE_OK) {
            taken++;
        } else {
            check_text(&err);
        }
    }
    enum tumble_code code = tumble_merge_finish(merge, on_row, on_window, output, &figures, &err);
    if (code == TUMBLE_OK) {
        FUZZ_CHECK(figures.rows == taken && figures.merged == output->rows && figures.merged <= taken);
    } else {
        check_text(&err);
    }
    tumble_merge_destroy(merge);
    return code == TUMBLE_OK && taken == count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_bytes lines[LINES_MOST];
    struct output forwards, backwards;
    size_t count = 0;
    for (size_t at = 0; at < size && count < LINES_MOST;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t length = end ? (size_t)(end - data) - at : size - at;
        lines[count].data = (const char *)data + at;
        lines[count++].length = length;
        at += length + 1;
    }
    for (int64_t window = 0; window <= 7200; window += 3600) {
        if (merge_lines(lines, count, 0, window, &forwards) && merge_lines(lines, count, 1, window, &backwards)) {
            FUZZ_CHECK(forwards.hash == backwards.hash && forwards.rows == backwards.rows);
        }
    }
    return 0;
}
