#include "runner/tune_internal.h"

/* Which points are worth having. Smaller is better in all that is compared: iterator age and wait (99 of 100
 * invocations), price, and windows that ended early. */

static double price_of(const struct tumble_tune_point *point, enum tw_stream_mode mode) {
    return point->cost[mode].total;
}

/* Where no number of shards takes the capture, those that do not have to do. */
static enum tumble_tune_problem worst_allowed(const struct tumble_tune_point *points, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (points[i].was_run && points[i].problem == TUMBLE_TUNE_FINE) {
            return TUMBLE_TUNE_FINE;
        }
    }
    return TUMBLE_TUNE_OVERLOADED;
}

static int can_be_had(const struct tumble_tune_point *point, enum tumble_tune_problem worst) {
    return point->was_run && point->problem <= worst;
}

/* a is as good as b in all, and better in something; of equals the first one listed is better. */
static int dominates(const struct tumble_tune_point *a, const struct tumble_tune_point *b, enum tw_stream_mode mode) {
    double of_a[] = {(double)a->age_p99_ms, (double)a->wait_p99_ms, price_of(a, mode), (double)a->early_terminations};
    double of_b[] = {(double)b->age_p99_ms, (double)b->wait_p99_ms, price_of(b, mode), (double)b->early_terminations};
    int is_better = a < b;
    for (size_t i = 0; i < sizeof of_a / sizeof *of_a; i++) {
        if (of_a[i] > of_b[i]) {
            return 0;
        }
        is_better |= of_a[i] < of_b[i];
    }
    return is_better;
}

void tumble_tune_pareto(struct tumble_tune_point *points, uint32_t count, enum tw_stream_mode mode) {
    enum tumble_tune_problem worst = worst_allowed(points, count);
    for (uint32_t i = 0; i < count; i++) {
        points[i].is_pareto = can_be_had(&points[i], worst);
        for (uint32_t k = 0; k < count && points[i].is_pareto; k++) {
            points[i].is_pareto = k == i || !can_be_had(&points[k], worst) || !dominates(&points[k], &points[i], mode);
        }
    }
}

/* What is to be small. Latency is the wait: the iterator age is of a batch's last record, which a batching window keeps
 * young while the others wait. Balanced: the product, so that half the price is worth twice the wait (and a millisecond
 * more, that a wait of none is not worth everything). */
static double badness(const struct tumble_tune_point *point, enum tw_stream_mode mode,
                      enum tumble_tune_objective objective) {
    double wait = (double)point->wait_p99_ms, price = price_of(point, mode);
    return objective == TUMBLE_TUNE_PRICE ? price : objective == TUMBLE_TUNE_LATENCY ? wait : price * (wait + 1);
}

static int is_better(const struct tumble_tune_point *a, const struct tumble_tune_point *b, enum tw_stream_mode mode,
                     enum tumble_tune_objective objective) {
    if ((a->early_terminations > 0) != (b->early_terminations > 0)) {
        return a->early_terminations == 0;
    }
    double x = badness(a, mode, objective), y = badness(b, mode, objective);
    if (x < y || x > y) {
        return x < y;
    }
    enum tumble_tune_objective other = objective == TUMBLE_TUNE_PRICE ? TUMBLE_TUNE_LATENCY : TUMBLE_TUNE_PRICE;
    return badness(a, mode, other) < badness(b, mode, other);
}

int64_t tumble_tune_choose(const struct tumble_tune_point *points, uint32_t count, enum tw_stream_mode mode,
                           enum tumble_tune_objective objective, int64_t max_iterator_age_ms) {
    enum tumble_tune_problem worst = worst_allowed(points, count);
    int64_t chosen = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (can_be_had(&points[i], worst) &&
            (max_iterator_age_ms == 0 || points[i].age_most_ms <= max_iterator_age_ms) &&
            (chosen < 0 || is_better(&points[i], &points[chosen], mode, objective))) {
            chosen = i;
        }
    }
    return chosen;
}

int64_t tw_tune_least_age(const struct tumble_tune_point *points, uint32_t count) {
    enum tumble_tune_problem worst = worst_allowed(points, count);
    int64_t least = -1;
    for (uint32_t i = 0; i < count; i++) {
        if (can_be_had(&points[i], worst) && (least < 0 || points[i].age_most_ms < points[least].age_most_ms)) {
            least = i;
        }
    }
    return least;
}
