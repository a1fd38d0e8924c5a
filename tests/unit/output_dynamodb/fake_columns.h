#ifndef TESTS_FAKE_COLUMNS_H
#define TESTS_FAKE_COLUMNS_H

#include <tumble/spec.h>

/* A real spec (this layer links the engine): two group columns, one result. */
static inline struct tumble_spec *make_spec(int partials) {
    struct tumble_spec *spec = NULL;
    struct tumble_error err;
    const char *text =
        partials
            ? "{\"window\":{\"seconds\":60},\"group_by\":[\"type\",{\"field\":\"geo.country\",\"as\":\"country\"}],"
              "\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"v\"}],\"partials\":true}"
            : "{\"window\":{\"seconds\":60},\"group_by\":[\"type\",{\"field\":\"geo.country\",\"as\":\"country\"}],"
              "\"aggregates\":[{\"name\":\"n\",\"function\":\"sum\",\"field\":\"v\"}],\"partials\":false}";
    if (tumble_spec_parse(tumble_bytes_of(text), NULL, (struct tumble_alloc){0}, &spec, &err) != TUMBLE_OK) {
        fail_msg("%s", err.text);
    }
    return spec;
}

/* Values of such a row: window_start, window_end, shard_id, fragment, last_sequence, type, country, n, records. */
enum { ROW_VALUES = 9 };
static inline void set_values(struct tumble_bytes values[ROW_VALUES], const char *type, const char *country,
                              const char *n) {
    const char *texts[ROW_VALUES] = {"\"2024-01-01T00:00:00Z\"",
                                     "\"2024-01-01T00:01:00Z\"",
                                     "\"shardId-000000000000\"",
                                     "\"4951\"",
                                     "\"4960\"",
                                     type,
                                     country,
                                     n,
                                     "3"};
    for (int i = 0; i < ROW_VALUES; i++) {
        values[i] = tumble_bytes_of(texts[i]);
    }
}

#endif
