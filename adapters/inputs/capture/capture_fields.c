#include "adapters/inputs/capture/capture_fields.h"

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

enum { FIELDS_MAX = 16 };

enum tumble_code tumble_capture_fields_new(const char *const *paths, size_t count, struct tumble_alloc alloc,
                                           struct tumble_projection **out, struct tumble_error *err) {
    struct tumble_bytes views[FIELDS_MAX];
    *out = NULL;
    if (count > FIELDS_MAX) {
        return tw_fail(err, TUMBLE_ELIMIT, "%zu fields: at most %d are allowed", count, FIELDS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        views[i] = tumble_bytes_of(paths[i]);
    }
    return tw_projection_new(views, count, alloc, out, err);
}

void tumble_capture_fields_destroy(struct tumble_projection *projection) { tw_projection_destroy(projection); }
