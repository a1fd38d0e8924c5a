#ifndef TW_AGGREGATE_TOTAL_ORDER_H
#define TW_AGGREGATE_TOTAL_ORDER_H

#include "engine/aggregate/total.h"

/* Totals as quantities beside each other. An empty one is 0. */
int tw_total_compare(const struct tw_total *a, const struct tw_total *b); /* <0, 0, >0 by the exact values */
/* Gives back what a total took from the heap; it is then empty. */
void tw_total_clear(struct tw_total *total, struct tw_heap *heap);

#endif
