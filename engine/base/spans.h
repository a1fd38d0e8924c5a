#ifndef TW_BASE_SPANS_H
#define TW_BASE_SPANS_H

#include <pthread.h>

#include "engine/base/alloc.h"

/* Spans of TW_LARGE_PAGE bytes, some of which are kept when they are given back: a large page that is new has to be
 * found and zeroed by the system, and what one window gives back the next one wants. Any thread. */
enum { TW_SPANS_KEPT = 16 };

struct tw_spans {
    struct tumble_alloc alloc;
    pthread_mutex_t lock;
    unsigned most; /* that are kept: TW_SPANS_KEPT at most */
    unsigned count;
    void *kept[TW_SPANS_KEPT];
};

void tw_spans_init(struct tw_spans *spans, struct tumble_alloc alloc);
void tw_spans_clean_up(struct tw_spans *spans);
void *tw_span_take(struct tw_spans *spans); /* not zeroed; NULL: no memory */
void tw_span_give(struct tw_spans *spans, void *span);

#endif
