#ifndef TW_CODEC_FILTER_PATTERN_H
#define TW_CODEC_FILTER_PATTERN_H

#include <stdbool.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/alloc.h"
#include "engine/base/buf.h"

/* Lambda's event-filter pattern, compiled. Immutable: any number of threads. */
struct tw_filter_pattern;

/* Compiles pattern (JSON text of an object). Errors: EPATTERN (AWS's message first, then what and where), ENOMEM. */
enum tumble_code tw_filter_pattern_new(struct tumble_bytes pattern, struct tumble_alloc alloc,
                                       struct tw_filter_pattern **out, struct tumble_error *err);
void tw_filter_pattern_destroy(struct tw_filter_pattern *pattern);

/* JSON Pointers of the fields the pattern looks at; match wants their values in this order. */
size_t tw_filter_pattern_path_count(const struct tw_filter_pattern *pattern);
struct tumble_bytes tw_filter_pattern_path(const struct tw_filter_pattern *pattern, size_t index);

/* Does a record with these values match? Does not allocate. */
bool tw_filter_pattern_match(const struct tw_filter_pattern *pattern, const struct tumble_value *values);

/* Appends the pattern as canonical JSON (keys sorted, no white space, numbers canonical). */
enum tumble_code tw_filter_pattern_canonical(const struct tw_filter_pattern *pattern, struct tw_buf *out);

#endif
