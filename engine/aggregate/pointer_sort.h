#ifndef TW_AGGREGATE_POINTER_SORT_H
#define TW_AGGREGATE_POINTER_SORT_H

#include <stddef.h>

/* Sorts pointers in place, ascending, in O(n log n) for any input, without memory of its own. Items that compare as
 * equal end in any order. (The C library's qsort may allocate.) */
void tw_sort_pointers(void **items, size_t count, int (*compare)(const void *a, const void *b));
/* Puts the greatest `last` of them at the end, ascending; what stands in front of them keeps no order. */
void tw_sort_last_pointers(void **items, size_t count, size_t last, int (*compare)(const void *a, const void *b));

#endif
