#ifndef TUMBLE_MAPPING_PARAMETERS_H
#define TUMBLE_MAPPING_PARAMETERS_H

/* The parameters of create-event-source-mapping for Kinesis: AWS's names, ranges, defaults and messages
 * (lambda-semantics 3.2 and 4.2). */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

enum tumble_starting_position {
    TUMBLE_STARTING_POSITION_NONE, /* not given */
    TUMBLE_TRIM_HORIZON,
    TUMBLE_LATEST,
    TUMBLE_AT_TIMESTAMP
};

#define TUMBLE_FILTERS_MAX      10 /* 5, and 10 on request */
#define TUMBLE_ARN_BYTES        1024
#define TUMBLE_DESTINATION_TEXT (TUMBLE_ARN_BYTES + 1)

struct tumble_mapping_parameters {
    enum tumble_starting_position starting_position;
    int64_t starting_position_timestamp_ms; /* -1: not given */
    uint32_t batch_size;
    int32_t maximum_batching_window_in_seconds;
    uint32_t parallelization_factor;
    int32_t maximum_retry_attempts;        /* -1: until the record expires */
    int32_t maximum_record_age_in_seconds; /* -1: no limit */
    int32_t tumbling_window_in_seconds;    /* 0: none */
    int bisect_batch_on_function_error;
    int report_batch_item_failures;
    int event_count_metrics; /* MetricsConfig: Metrics=EventCount */
    int enabled;
    size_t filter_count;
    char *filters[TUMBLE_FILTERS_MAX];              /* JSON text of each pattern; owned */
    char on_failure[TUMBLE_DESTINATION_TEXT];       /* an ARN, or a URI of our own; "": none */
    char event_source_arn[TUMBLE_DESTINATION_TEXT]; /* "": not given, like the two that follow */
    char function_arn[TUMBLE_DESTINATION_TEXT];
    char uuid[TUMBLE_DESTINATION_TEXT];
    struct tumble_alloc alloc;
};

/* AWS's defaults. */
void tumble_mapping_parameters_init(struct tumble_mapping_parameters *parameters, struct tumble_alloc alloc);
void tumble_mapping_parameters_clean_up(struct tumble_mapping_parameters *parameters);

/* Takes over what a JSON object says: what get-event-source-mapping prints, or what create-event-source-mapping takes.
 * What it does not name stays. Unknown keys are errors that name the nearest right one. Errors: EUSAGE (text names key
 * and place, AWS's message where AWS has one), EJSON, EUTF8, EDEPTH, EPATTERN, ENOMEM. */
enum tumble_code tumble_mapping_parameters_read(struct tumble_mapping_parameters *parameters, struct tumble_bytes json,
                                                struct tumble_error *err);

/* Sets one by its flag's name without dashes in front ("batch-size"), value as text: numbers, true or false (NULL:
 * true), a name, JSON for destination-config, filter-criteria and metrics-config; an instant is epoch seconds or ISO
 * 8601. Errors: the same. */
enum tumble_code tumble_mapping_parameters_set(struct tumble_mapping_parameters *parameters, const char *flag,
                                               const char *value, struct tumble_error *err);
/* Flags that set knows, in the order of a help page; NULL behind the last. */
const char *tumble_mapping_parameters_flag(size_t index);
int tumble_mapping_parameters_is_boolean(const char *flag);

/* What AWS refuses about all of them together. now_ms: StartingPositionTimestamp may not lie behind it; INT64_MAX: not
 * checked. Errors: EUSAGE with AWS's message. */
enum tumble_code tumble_mapping_parameters_check(const struct tumble_mapping_parameters *parameters, int64_t now_ms,
                                                 struct tumble_error *err);

#endif
