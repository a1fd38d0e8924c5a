#ifndef TW_CLI_CHECK_SIZES_H
#define TW_CLI_CHECK_SIZES_H

#include <tumble/spec.h>

/* What `tumble check` says about the bytes of a spec's groups and about the partials of its rows. */

/* Bytes of all accumulators of a group in memory, and in the store when they are empty or hold the most. */
struct tw_group_bytes {
    uint64_t memory;
    uint64_t stored_empty;
    uint64_t stored_most;
};
struct tw_group_bytes tw_group_bytes_of(const struct tumble_spec *spec);

/* The lines "stored" and "partials", in words. */
void tw_explain_stored(const struct tumble_spec *spec);
void tw_explain_partials(const struct tumble_spec *spec);

/* ,"stored_bytes":{…},"additive":… of a column; ,"partials":"…" of the spec. */
void tw_print_column_sizes(const struct tumble_column *column);
void tw_print_partials(const struct tumble_spec *spec);

#endif
