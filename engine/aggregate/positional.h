#ifndef TW_AGGREGATE_POSITIONAL_H
#define TW_AGGREGATE_POSITIONAL_H

#include "engine/aggregate/kept.h"

/* One value and the position of its record, what first, last, arg_min and arg_max keep. All zero: none yet. */
struct tw_positional {
    int64_t arrival_ms;
    uint64_t sub_sequence;
    char *block;             /* sequence digits, then the value's payload; NULL: no value yet */
    uint32_t text_length;    /* STRING */
    uint8_t type;            /* enum tumble_type */
    uint8_t sequence_length; /* at most TW_LIMIT_SEQUENCE_DIGITS */
    uint8_t capacity_log2;   /* of the block */
    uint8_t reserved;
};
_Static_assert(sizeof(struct tw_positional) == 32, "first and last cost 32 bytes a group in place");

/* Most heap bytes a store of this input can take. */
size_t tw_positional_growth(const struct tw_input *input);
/* Views of what is kept, valid until the next store. There must be something. */
void tw_positional_get(const struct tw_positional *kept, struct tw_position *position, struct tw_value *value);
/* Where a candidate stands against what is kept: by position, then by value. There must be something. */
int tw_positional_compare(const struct tw_positional *kept, const struct tw_value *value,
                          const struct tw_position *position);
/* Replaces what is kept; false: the heap has no memory, nothing changed. */
bool tw_positional_store(struct tw_positional *kept, const struct tw_value *value, const struct tw_position *position,
                         struct tw_heap *heap);
enum tumble_code tw_positional_value(const struct tw_positional *kept, struct tw_buf *out);
/* Byte 0 when there is none, else the type, the position and the value. */
enum tumble_code tw_positional_encode(const struct tw_positional *kept, struct tw_buf *out);
enum tumble_code tw_positional_decode(struct tw_positional *kept, struct tw_cursor *in, struct tw_heap *heap,
                                      struct tumble_error *err);

#endif
