#include "engine/base/spans.h"

#include <string.h>

void tw_spans_init(struct tw_spans *spans, struct tumble_alloc alloc) {
    memset(spans, 0, sizeof *spans);
    spans->alloc = alloc;
    spans->most = TW_SPANS_KEPT;
    pthread_mutex_init(&spans->lock, NULL);
}

void tw_spans_clean_up(struct tw_spans *spans) {
    while (spans->count) {
        tw_free(&spans->alloc, spans->kept[--spans->count]);
    }
    pthread_mutex_destroy(&spans->lock);
}

void *tw_span_take(struct tw_spans *spans) {
    pthread_mutex_lock(&spans->lock);
    void *span = spans->count ? spans->kept[--spans->count] : NULL;
    pthread_mutex_unlock(&spans->lock);
    return span ? span : tw_alloc_scattered(&spans->alloc, TW_LARGE_PAGE);
}

void tw_span_give(struct tw_spans *spans, void *span) {
    pthread_mutex_lock(&spans->lock);
    if (spans->count < spans->most) {
        spans->kept[spans->count++] = span;
        span = NULL;
    }
    pthread_mutex_unlock(&spans->lock);
    tw_free(&spans->alloc, span);
}
