#ifndef TEST_FAKE_SPEC_H
#define TEST_FAKE_SPEC_H

#include <tumble/spec.h>

/* This layer stands beside the engine, so its tests bring their own columns. */
struct tumble_spec {
    const struct tumble_column *columns;
    size_t count;
};

size_t tumble_spec_column_count(const struct tumble_spec *spec) { return spec->count; }
const struct tumble_column *tumble_spec_column(const struct tumble_spec *spec, size_t index) {
    return &spec->columns[index];
}

static const struct tumble_column fake_columns[] = {
    {.name = "window_start", .kind = TUMBLE_COLUMN_WINDOW}, {.name = "fragment", .kind = TUMBLE_COLUMN_WINDOW},
    {.name = "city, \"x\"", .kind = TUMBLE_COLUMN_GROUP},   {.name = "n", .kind = TUMBLE_COLUMN_AGGREGATE},
    {.name = "records", .kind = TUMBLE_COLUMN_RECORDS},
};
static const struct tumble_spec fake_spec = {fake_columns, 5};

#endif
