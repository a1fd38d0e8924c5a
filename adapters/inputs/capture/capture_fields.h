#ifndef TUMBLE_CAPTURE_FIELDS_H
#define TUMBLE_CAPTURE_FIELDS_H

#include <tumble/alloc.h>
#include <tumble/error.h>
#include <tumble/projection.h>

/* A projection of a few fields, for who reads a capture without an engine: tumble_capture_set_projection takes it,
 * values[i] of a record is then the field paths[i]. Errors: EPATH, ELIMIT, ENOMEM. */
enum tumble_code tumble_capture_fields_new(const char *const *paths, size_t count, struct tumble_alloc alloc,
                                           struct tumble_projection **out, struct tumble_error *err);
void tumble_capture_fields_destroy(struct tumble_projection *projection); /* NULL allowed */

#endif
