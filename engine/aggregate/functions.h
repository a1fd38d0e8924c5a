#ifndef TW_AGGREGATE_FUNCTIONS_H
#define TW_AGGREGATE_FUNCTIONS_H

#include "engine/aggregate/aggregate.h"

/* Every table, for the registry in aggregate.c alone. */
extern const struct tw_aggregate tw_aggregate_count;
extern const struct tw_aggregate tw_aggregate_sum;
extern const struct tw_aggregate tw_aggregate_mean;
extern const struct tw_aggregate tw_aggregate_min;
extern const struct tw_aggregate tw_aggregate_max;
extern const struct tw_aggregate tw_aggregate_min_string;
extern const struct tw_aggregate tw_aggregate_max_string;
extern const struct tw_aggregate tw_aggregate_first;
extern const struct tw_aggregate tw_aggregate_last;
extern const struct tw_aggregate tw_aggregate_quantile;
extern const struct tw_aggregate tw_aggregate_arg_min;
extern const struct tw_aggregate tw_aggregate_arg_max;
extern const struct tw_aggregate tw_aggregate_distinct;
extern const struct tw_aggregate tw_aggregate_variance;
extern const struct tw_aggregate tw_aggregate_variance_sample;
extern const struct tw_aggregate tw_aggregate_variance_population;
extern const struct tw_aggregate tw_aggregate_stddev;
extern const struct tw_aggregate tw_aggregate_stddev_sample;
extern const struct tw_aggregate tw_aggregate_stddev_population;
extern const struct tw_aggregate tw_aggregate_histogram;
extern const struct tw_aggregate tw_aggregate_collect;
extern const struct tw_aggregate tw_aggregate_top;

#endif
