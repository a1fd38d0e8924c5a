#ifndef TW_CLI_WATCH_METRICS_H
#define TW_CLI_WATCH_METRICS_H

#include "adapters/metrics/emf.h"
#include "adapters/metrics/prometheus_text.h"
#include "runner/watch.h"

/* A run's figures as metrics: for Prometheus, and as CloudWatch's lines. docs/metrics.md lists them; a test compares.
 */

/* Everything there is, as a page. source names what is read. */
void tw_watch_metrics_page(const struct tumble_watch_view *view, const char *source, struct tw_prometheus_text *page);

enum { TW_WATCH_METRICS_MAX = 64 };

/* What was told since the last line. Zeroed is the beginning of a run. */
struct tw_watch_since {
    int is_begun;
    double values[TW_WATCH_METRICS_MAX];
    uint64_t iterator_ages, durations;
    double iterator_age_sum_ms, duration_sum_ns;
};

/* Fills list, at most TW_EMF_METRICS_MAX of them; counters as what was added since. Returns how many. */
size_t tw_watch_metrics_line(const struct tumble_watch_view *view, const struct tumble_watch_peaks *peaks,
                             struct tw_watch_since *since, struct tw_emf_metric list[TW_EMF_METRICS_MAX]);

#endif
