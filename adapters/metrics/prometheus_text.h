#ifndef TUMBLE_PROMETHEUS_TEXT_H
#define TUMBLE_PROMETHEUS_TEXT_H

/* Prometheus's text exposition format, version 0.0.4. One thread. */

#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

#define TW_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum { TW_PROMETHEUS_BYTES = 16 * 1024 * 1024 }; /* most of a page */

enum tw_prometheus_type { TW_PROMETHEUS_COUNTER, TW_PROMETHEUS_GAUGE, TW_PROMETHEUS_HISTOGRAM };

struct tw_prometheus_label {
    const char *name;
    const char *value; /* any bytes: what is not UTF-8 is replaced */
};

struct tw_prometheus_text; /* errors stick: they show at the end, in view */

/* NULL: no memory. */
struct tw_prometheus_text *tw_prometheus_text_new(struct tumble_alloc alloc);
void tw_prometheus_text_destroy(struct tw_prometheus_text *text); /* NULL allowed */
void tw_prometheus_text_clear(struct tw_prometheus_text *text);

/* Begins a metric: what follows, up to the next, is its samples. name: [a-zA-Z_:][a-zA-Z0-9_:]*, once a page. */
void tw_prometheus_metric(struct tw_prometheus_text *text, const char *name, enum tw_prometheus_type type,
                          const char *help);
void tw_prometheus_sample(struct tw_prometheus_text *text, const struct tw_prometheus_label *labels, size_t count,
                          double value);
/* A histogram with its buckets: counts[i] values are at most bounds[i] and above the one before; total, of all. */
void tw_prometheus_buckets(struct tw_prometheus_text *text, const double *bounds, const uint64_t *counts, size_t count,
                           uint64_t total, double sum);

/* The page, borrowed until the next call. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_prometheus_text_view(const struct tw_prometheus_text *text, struct tumble_bytes *out,
                                         struct tumble_error *err);

#endif
