#include "engine/aggregate/aggregate.h"

#include "engine/aggregate/functions.h"

static const struct tw_aggregate *const all[] = {
    &tw_aggregate_count,
    &tw_aggregate_sum,
    &tw_aggregate_mean,
    &tw_aggregate_min,
    &tw_aggregate_max,
    &tw_aggregate_min_string,
    &tw_aggregate_max_string,
    &tw_aggregate_first,
    &tw_aggregate_last,
    &tw_aggregate_distinct,
    &tw_aggregate_variance,
    &tw_aggregate_variance_sample,
    &tw_aggregate_variance_population,
    &tw_aggregate_stddev,
    &tw_aggregate_stddev_sample,
    &tw_aggregate_stddev_population,
    &tw_aggregate_histogram,
    &tw_aggregate_quantile,
    &tw_aggregate_arg_min,
    &tw_aggregate_arg_max,
    &tw_aggregate_collect,
    &tw_aggregate_top,
    NULL,
};

const struct tw_aggregate *const *tw_aggregate_all(void) { return all; }

const struct tw_aggregate *tw_aggregate_find(struct tumble_bytes name, struct tumble_bytes type_name) {
    for (size_t i = 0; all[i]; i++) {
        if (tumble_bytes_equal(name, tumble_bytes_of(all[i]->name)) &&
            tumble_bytes_equal(type_name, tumble_bytes_of(all[i]->type_name))) {
            return all[i];
        }
    }
    return NULL;
}
