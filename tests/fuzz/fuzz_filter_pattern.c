#include <string.h>

#include "engine/codec/filter_pattern.h"
#include "engine/codec/json_scan.h"
#include "fuzz_target.h"

/* A pattern, a newline, a record. What is taken as a pattern has a canonical text that is taken too, stays the same and
 * gives the same answer on the record. */
static int answer(const struct tw_filter_pattern *pattern, struct tumble_bytes record) {
    struct tumble_projection *projection;
    struct tumble_bytes paths[256];
    struct tumble_value values[256];
    struct tumble_error err;
    size_t count = tw_filter_pattern_path_count(pattern);
    FUZZ_CHECK(count <= 256);
    for (size_t i = 0; i < count; i++) {
        paths[i] = tw_filter_pattern_path(pattern, i);
    }
    FUZZ_CHECK(tw_projection_new(paths, count, tw_alloc_default(), &projection, &err) == TUMBLE_OK);
    int result = tumble_project(projection, record, 1, values, NULL, &err) == TUMBLE_OK
                     ? tw_filter_pattern_match(pattern, values)
                     : -1;
    tw_projection_destroy(projection);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *newline = size ? memchr(text, '\n', size) : NULL;
    struct tumble_bytes source = {text, newline ? (size_t)(newline - text) : size};
    struct tumble_bytes record = {newline ? newline + 1 : "{}", newline ? size - source.length - 1 : 2};
    struct tw_filter_pattern *pattern;
    struct tw_filter_pattern *again;
    struct tumble_error err;
    if (tw_filter_pattern_new(source, tw_alloc_default(), &pattern, &err) != TUMBLE_OK) {
        FUZZ_CHECK(err.code == TUMBLE_EPATTERN);
        FUZZ_CHECK(err.byte >= -1 && err.byte <= (int64_t)source.length);
        return 0;
    }
    struct tw_buf first;
    struct tw_buf second;
    tw_buf_init(&first, tw_alloc_default(), 1 << 20);
    tw_buf_init(&second, tw_alloc_default(), 1 << 20);
    FUZZ_CHECK(tw_filter_pattern_canonical(pattern, &first) == TUMBLE_OK);
    FUZZ_CHECK(tw_filter_pattern_new(tw_buf_view(&first), tw_alloc_default(), &again, &err) == TUMBLE_OK);
    FUZZ_CHECK(tw_filter_pattern_canonical(again, &second) == TUMBLE_OK);
    FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&first), tw_buf_view(&second)));
    FUZZ_CHECK(answer(pattern, record) == answer(again, record));
    tw_filter_pattern_destroy(again);
    tw_filter_pattern_destroy(pattern);
    tw_buf_clean_up(&first);
    tw_buf_clean_up(&second);
    return 0;
}
