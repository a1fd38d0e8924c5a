#include "emulator/mapping_parameters.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/filter_pattern.h"
#include "engine/codec/json.h"

/* One table says what there is; a value comes from JSON or from a flag's text, and both end in the same checks. */

enum kind {
    NUMBER,
    BOOLEAN,
    POSITION,
    INSTANT,
    RESPONSE_TYPES,
    DESTINATIONS,
    FILTERS,
    METRICS,
    ARN,
    STATE,
    TOLD,
    FOREIGN
};

struct parameter {
    const char *key;    /* AWS's name */
    const char *member; /* as AWS's messages write it */
    const char *flag;   /* NULL: none */
    enum kind kind;
    size_t offset;
    int64_t least, most;
};

#define AT(member) offsetof(struct tumble_mapping_parameters, member)

/* In the order of create-event-source-mapping's help; what only describes a mapping that exists, or belongs to sources
 * of another kind, stands at the end. */
static const struct parameter parameters_known[] = {
    {"StartingPosition", "startingPosition", "starting-position", POSITION, 0, 0, 0},
    {"StartingPositionTimestamp", "startingPositionTimestamp", "starting-position-timestamp", INSTANT, 0, 0, 0},
    {"BatchSize", "batchSize", "batch-size", NUMBER, AT(batch_size), 1, 10000},
    {"MaximumBatchingWindowInSeconds", "maximumBatchingWindowInSeconds", "maximum-batching-window-in-seconds", NUMBER,
     AT(maximum_batching_window_in_seconds), 0, 300},
    {"ParallelizationFactor", "parallelizationFactor", "parallelization-factor", NUMBER, AT(parallelization_factor), 1,
     10},
    {"TumblingWindowInSeconds", "tumblingWindowInSeconds", "tumbling-window-in-seconds", NUMBER,
     AT(tumbling_window_in_seconds), 0, 900},
    {"MaximumRetryAttempts", "maximumRetryAttempts", "maximum-retry-attempts", NUMBER, AT(maximum_retry_attempts), -1,
     10000},
    {"MaximumRecordAgeInSeconds", "maximumRecordAgeInSeconds", "maximum-record-age-in-seconds", NUMBER,
     AT(maximum_record_age_in_seconds), -1, 604800},
    {"BisectBatchOnFunctionError", "bisectBatchOnFunctionError", "bisect-batch-on-function-error", BOOLEAN,
     AT(bisect_batch_on_function_error), 0, 0},
    {"FunctionResponseTypes", "functionResponseTypes", "function-response-types", RESPONSE_TYPES, 0, 0, 0},
    {"DestinationConfig", "destinationConfig", "destination-config", DESTINATIONS, 0, 0, 0},
    {"FilterCriteria", "filterCriteria", "filter-criteria", FILTERS, 0, 0, 0},
    {"MetricsConfig", "metricsConfig", "metrics-config", METRICS, 0, 0, 0},
    {"Enabled", "enabled", "enabled", BOOLEAN, AT(enabled), 0, 0},
    {"EventSourceArn", "eventSourceArn", "event-source-arn", ARN, AT(event_source_arn), 0, 0},
    {"FunctionArn", "functionArn", "function-arn", ARN, AT(function_arn), 0, 0},
    {"UUID", "uuid", "uuid", ARN, AT(uuid), 0, 0},
    {"State", "state", NULL, STATE, 0, 0, 0},
    {"FunctionName", "", NULL, TOLD, 0, 0, 0},
    {"EventSourceMappingArn", "", NULL, TOLD, 0, 0, 0},
    {"LastModified", "", NULL, TOLD, 0, 0, 0},
    {"LastProcessingResult", "", NULL, TOLD, 0, 0, 0},
    {"StateTransitionReason", "", NULL, TOLD, 0, 0, 0},
    {"FilterCriteriaError", "", NULL, TOLD, 0, 0, 0},
    {"KMSKeyArn", "", NULL, TOLD, 0, 0, 0},
    {"LoggingConfig", "", NULL, TOLD, 0, 0, 0},
    {"Tags", "", NULL, TOLD, 0, 0, 0},
    {"ResponseMetadata", "", NULL, TOLD, 0, 0, 0}, /* around it by SDKs */
    {"$metadata", "", NULL, TOLD, 0, 0, 0},
    {"Topics", "", NULL, FOREIGN, 0, 0, 0},
    {"Queues", "", NULL, FOREIGN, 0, 0, 0},
    {"SourceAccessConfigurations", "", NULL, FOREIGN, 0, 0, 0},
    {"SelfManagedEventSource", "", NULL, FOREIGN, 0, 0, 0},
    {"SelfManagedKafkaEventSourceConfig", "", NULL, FOREIGN, 0, 0, 0},
    {"AmazonManagedKafkaEventSourceConfig", "", NULL, FOREIGN, 0, 0, 0},
    {"DocumentDBEventSourceConfig", "", NULL, FOREIGN, 0, 0, 0},
    {"ScalingConfig", "", NULL, FOREIGN, 0, 0, 0},
    {"ProvisionedPollerConfig", "", NULL, FOREIGN, 0, 0, 0},
};
enum { KNOWN = sizeof parameters_known / sizeof *parameters_known };

/* Where a value comes from: for messages. */
struct place {
    const char *name;   /* of the key or the flag */
    const char *dashes; /* "--" before a flag's */
    const char *text;   /* the JSON document; NULL: a flag */
    struct tumble_error *err;
};

static int64_t byte_in(const struct place *place, const char *at) { return place->text && at ? at - place->text : -1; }

#define REFUSE(place, at, ...) refuse(place, at, TUMBLE_EUSAGE, __VA_ARGS__)
static enum tumble_code refuse(const struct place *place, const char *at, enum tumble_code code, const char *format,
                               ...) __attribute__((format(printf, 4, 5)));
static enum tumble_code refuse(const struct place *place, const char *at, enum tumble_code code, const char *format,
                               ...) {
    char text[TUMBLE_ERROR_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    int64_t byte = byte_in(place, at);
    if (byte < 0) {
        return tw_fail(place->err, code, "%s%s: %s", place->dashes, place->name, text);
    }
    return tw_fail_at(place->err, code, byte, "%s (byte %lld): %s", place->name, (long long)byte, text);
}

void tumble_mapping_parameters_init(struct tumble_mapping_parameters *parameters, struct tumble_alloc alloc) {
    memset(parameters, 0, sizeof *parameters);
    parameters->alloc = tw_alloc_or_default(alloc);
    parameters->starting_position_timestamp_ms = -1;
    parameters->batch_size = 100;
    parameters->parallelization_factor = 1;
    parameters->maximum_retry_attempts = -1;
    parameters->maximum_record_age_in_seconds = -1;
    parameters->enabled = 1;
}

static void forget_filters(struct tumble_mapping_parameters *parameters) {
    for (size_t i = 0; i < parameters->filter_count; i++) {
        tw_free(&parameters->alloc, parameters->filters[i]);
    }
    parameters->filter_count = 0;
}

void tumble_mapping_parameters_clean_up(struct tumble_mapping_parameters *parameters) { forget_filters(parameters); }

/* ---- values ---- */

static enum tumble_code set_number(struct tumble_mapping_parameters *parameters, const struct parameter *what,
                                   const struct place *place, const char *at, int64_t value) {
    static const char invalid[] = "1 validation error detected: Value '%lld' at '%s' failed to satisfy constraint: "
                                  "Member must have value %s than or equal to %lld";
    if (value > what->most || value < what->least) {
        return REFUSE(place, at, invalid, (long long)value, what->member, value > what->most ? "less" : "greater",
                      (long long)(value > what->most ? what->most : what->least));
    }
    if (what->offset == AT(maximum_record_age_in_seconds) && value >= 0 && value < 60) {
        return REFUSE(place, at,
                      "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)");
    }
    int32_t narrow = (int32_t)value; /* as wide as every such member */
    memcpy((char *)parameters + what->offset, &narrow, sizeof narrow);
    return TUMBLE_OK;
}

static enum tumble_code set_position(struct tumble_mapping_parameters *parameters, const struct place *place,
                                     const char *at, struct tumble_bytes text) {
    static const char *const names[] = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"};
    int index = tw_name_find(text, names, 3);
    if (index < 0) {
        return REFUSE(place, at,
                      "1 validation error detected: Value '%.*s' at 'startingPosition' failed to satisfy constraint: "
                      "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]",
                      (int)(text.length < 64 ? text.length : 64), text.data);
    }
    parameters->starting_position = (enum tumble_starting_position)(index + TUMBLE_TRIM_HORIZON);
    return TUMBLE_OK;
}

static enum tumble_code set_instant(struct tumble_mapping_parameters *parameters, const struct place *place,
                                    const struct tumble_value *value) {
    const struct tumble_timestamp_format format = {.kind = TUMBLE_TIMESTAMP_AUTO};
    struct tumble_error inner;
    int64_t ms;
    if (tumble_timestamp_ms(&format, value, &ms, &inner) != TUMBLE_OK) {
        return REFUSE(place, value->text, "%s", inner.text);
    }
    parameters->starting_position_timestamp_ms = ms;
    return TUMBLE_OK;
}

static enum tumble_code set_text(struct tumble_mapping_parameters *parameters, const struct parameter *what,
                                 const struct place *place, const char *at, struct tumble_bytes text) {
    if (text.length > TUMBLE_ARN_BYTES || (text.length && memchr(text.data, '\0', text.length))) {
        return REFUSE(place, at, "a text of at most %d bytes without a NUL, please", TUMBLE_ARN_BYTES);
    }
    char *out = (char *)parameters + what->offset;
    if (text.length) {
        memcpy(out, text.data, text.length);
    }
    out[text.length] = '\0';
    if (what->offset == AT(event_source_arn) && text.length && !strstr(out, ":kinesis:")) {
        return REFUSE(place, at, "'%.200s' is not the ARN of a Kinesis stream or of its consumer", out);
    }
    return TUMBLE_OK;
}

static enum tumble_code set_destination(struct tumble_mapping_parameters *parameters, const struct place *place,
                                        const char *at, struct tumble_bytes text) {
    static const char *const prefixes[] = {"file:", "sqs:", "s3://"};
    static const struct parameter what = {"Destination", "destination", NULL, ARN, AT(on_failure), 0, 0};
    TW_TRY(set_text(parameters, &what, place, at, text));
    const char *destination = parameters->on_failure;
    int known = text.length == 0 ||
                (strncmp(destination, "arn:", 4) == 0 &&
                 (strstr(destination, ":sqs:") || strstr(destination, ":sns:") || strstr(destination, ":s3:")));
    for (size_t i = 0; i < 3; i++) {
        known |= strncmp(destination, prefixes[i], strlen(prefixes[i])) == 0;
    }
    if (!known) {
        return REFUSE(place, at,
                      "'%.120s' is no destination: the ARN of an SQS queue, an SNS topic or an S3 bucket, please, or "
                      "file:PATH, sqs:QUEUE, s3://BUCKET",
                      destination);
    }
    if (text.length > 5 && strcmp(destination + text.length - 5, ".fifo") == 0) {
        return REFUSE(place, at, "'%.200s': FIFO queues and topics are not supported as a destination", destination);
    }
    return TUMBLE_OK;
}

/* ---- JSON ---- */

/* A string member's text, escapes undone, in the arena. */
static enum tumble_code text_of(const struct place *place, const struct tumble_value *value, const char *name,
                                struct tw_arena *arena, struct tumble_bytes *out) {
    if (value->type != TUMBLE_TYPE_STRING) {
        return REFUSE(place, value->text, "%s is %s, not a string", name, tw_json_type_name(value->type));
    }
    return tw_json_string_take(value, arena, out) ? TUMBLE_OK : tw_no_memory(place->err);
}

static enum tumble_code expect(const struct place *place, const struct tumble_value *value, const char *name,
                               enum tumble_type type) {
    if (value->type != type) {
        return REFUSE(place, value->text, "%s is %s, not %s", name, tw_json_type_name(value->type),
                      tw_json_type_name((uint8_t)type));
    }
    return TUMBLE_OK;
}

static enum tumble_code unknown_key(const struct place *place, const struct tumble_value *key, const char *inside,
                                    const char *const *names, size_t count) {
    const char *nearest = tw_name_nearest((struct tumble_bytes){key->text, key->length}, names, count);
    return REFUSE(place, key->text, "unknown key '%.*s' in %s%s%s%s", (int)(key->length < 64 ? key->length : 64),
                  key->text, inside, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static enum tumble_code read_destinations(struct tumble_mapping_parameters *parameters, const struct place *place,
                                          const struct tumble_value *value, struct tw_arena *arena) {
    static const char *const sides[] = {"OnSuccess", "OnFailure"};
    static const char *const members[] = {"Destination"};
    struct tw_json_walk walk;
    struct tumble_value side, config;
    TW_TRY(expect(place, value, "DestinationConfig", TUMBLE_TYPE_OBJECT));
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &side, &config)) {
        int which = tw_name_find((struct tumble_bytes){side.text, side.length}, sides, 2);
        if (which < 0) {
            return unknown_key(place, &side, "DestinationConfig", sides, 2);
        }
        if (config.type == TUMBLE_TYPE_NULL) {
            continue;
        }
        TW_TRY(expect(place, &config, sides[which], TUMBLE_TYPE_OBJECT));
        struct tw_json_walk inner;
        struct tumble_value key, destination;
        tw_json_walk_begin(&inner, &config);
        while (tw_json_walk_next(&inner, &key, &destination)) {
            struct tumble_bytes text;
            if (tw_name_find((struct tumble_bytes){key.text, key.length}, members, 1) < 0) {
                return unknown_key(place, &key, sides[which], members, 1);
            }
            if (which == 0) {
                return REFUSE(place, key.text, "OnSuccess configuration is not supported for event source mappings.");
            }
            if (destination.type == TUMBLE_TYPE_NULL) {
                continue;
            }
            TW_TRY(text_of(place, &destination, "Destination", arena, &text));
            TW_TRY(set_destination(parameters, place, destination.text, text));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code add_filter(struct tumble_mapping_parameters *parameters, const struct place *place,
                                   const char *at, struct tumble_bytes pattern) {
    struct tumble_error inner;
    struct tw_filter_pattern *compiled;
    if (parameters->filter_count == TUMBLE_FILTERS_MAX) {
        return REFUSE(place, at, "a mapping has at most %d filters", TUMBLE_FILTERS_MAX);
    }
    enum tumble_code code = tw_filter_pattern_new(pattern, parameters->alloc, &compiled, &inner);
    if (code != TUMBLE_OK) {
        return refuse(place, at, code, "%s", inner.text);
    }
    tw_filter_pattern_destroy(compiled);
    char *copy = tw_copy_text(&parameters->alloc, pattern.data, pattern.length);
    if (!copy) {
        return tw_no_memory(place->err);
    }
    parameters->filters[parameters->filter_count++] = copy;
    return TUMBLE_OK;
}

static enum tumble_code read_filters(struct tumble_mapping_parameters *parameters, const struct place *place,
                                     const struct tumble_value *value, struct tw_arena *arena) {
    static const char *const members[] = {"Filters"}, *const of_filter[] = {"Pattern"};
    struct tw_json_walk walk, list;
    struct tumble_value key, filters, filter, none;
    TW_TRY(expect(place, value, "FilterCriteria", TUMBLE_TYPE_OBJECT));
    forget_filters(parameters);
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &key, &filters)) {
        if (tw_name_find((struct tumble_bytes){key.text, key.length}, members, 1) < 0) {
            return unknown_key(place, &key, "FilterCriteria", members, 1);
        }
        if (filters.type == TUMBLE_TYPE_NULL) {
            continue;
        }
        TW_TRY(expect(place, &filters, "Filters", TUMBLE_TYPE_ARRAY));
        tw_json_walk_begin(&list, &filters);
        while (tw_json_walk_next(&list, &none, &filter)) {
            struct tw_json_walk inner;
            struct tumble_value name, pattern;
            TW_TRY(expect(place, &filter, "a filter", TUMBLE_TYPE_OBJECT));
            tw_json_walk_begin(&inner, &filter);
            while (tw_json_walk_next(&inner, &name, &pattern)) {
                struct tumble_bytes text;
                if (tw_name_find((struct tumble_bytes){name.text, name.length}, of_filter, 1) < 0) {
                    return unknown_key(place, &name, "a filter", of_filter, 1);
                }
                TW_TRY(text_of(place, &pattern, "Pattern", arena, &text));
                TW_TRY(add_filter(parameters, place, pattern.text, text));
            }
        }
    }
    return TUMBLE_OK;
}

/* The strings of a list that has only one to offer. */
static enum tumble_code read_choice(const struct place *place, const struct tumble_value *list, const char *name,
                                    const char *only, struct tw_arena *arena, int *given) {
    struct tw_json_walk walk;
    struct tumble_value none, value;
    TW_TRY(expect(place, list, name, TUMBLE_TYPE_ARRAY));
    *given = 0;
    tw_json_walk_begin(&walk, list);
    while (tw_json_walk_next(&walk, &none, &value)) {
        struct tumble_bytes text;
        TW_TRY(text_of(place, &value, name, arena, &text));
        if (!tumble_bytes_equal(text, tumble_bytes_of(only))) {
            return REFUSE(place, value.text, "'%.64s' in %s: for Kinesis there is only %s", text.data, name, only);
        }
        *given = 1;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_metrics(struct tumble_mapping_parameters *parameters, const struct place *place,
                                     const struct tumble_value *value, struct tw_arena *arena) {
    static const char *const members[] = {"Metrics"};
    struct tw_json_walk walk;
    struct tumble_value key, list;
    TW_TRY(expect(place, value, "MetricsConfig", TUMBLE_TYPE_OBJECT));
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &key, &list)) {
        if (tw_name_find((struct tumble_bytes){key.text, key.length}, members, 1) < 0) {
            return unknown_key(place, &key, "MetricsConfig", members, 1);
        }
        TW_TRY(read_choice(place, &list, "Metrics", "EventCount", arena, &parameters->event_count_metrics));
    }
    return TUMBLE_OK;
}

static int is_empty(const struct tumble_value *value) {
    struct tw_json_walk walk;
    struct tumble_value key, member;
    if (value->type != TUMBLE_TYPE_ARRAY && value->type != TUMBLE_TYPE_OBJECT) {
        return 0;
    }
    tw_json_walk_begin(&walk, value);
    return !tw_json_walk_next(&walk, &key, &member);
}

static enum tumble_code read_member(struct tumble_mapping_parameters *parameters, const struct parameter *what,
                                    const struct place *place, const struct tumble_value *value,
                                    struct tw_arena *arena) {
    struct tumble_bytes text;
    int64_t number;
    if (value->type == TUMBLE_TYPE_NULL) {
        return TUMBLE_OK; /* as good as not given */
    }
    switch (what->kind) {
    case NUMBER:
        if (value->type != TUMBLE_TYPE_NUMBER) {
            return REFUSE(place, value->text, "a whole number, please, not %s", tw_json_type_name(value->type));
        }
        if (!tw_json_integer(value, &number)) {
            return REFUSE(place, value->text, "a whole number, please, not %.*s",
                          value->length < 64 ? (int)value->length : 64, value->text);
        }
        return set_number(parameters, what, place, value->text, number);
    case BOOLEAN:
        if (value->type != TUMBLE_TYPE_TRUE && value->type != TUMBLE_TYPE_FALSE) {
            return REFUSE(place, value->text, "true or false, please, not %s", tw_json_type_name(value->type));
        }
        *(int *)(void *)((char *)parameters + what->offset) = value->type == TUMBLE_TYPE_TRUE;
        return TUMBLE_OK;
    case POSITION:
        TW_TRY(text_of(place, value, what->key, arena, &text));
        return set_position(parameters, place, value->text, text);
    case INSTANT:
        if (value->type != TUMBLE_TYPE_NUMBER && value->type != TUMBLE_TYPE_STRING) {
            return REFUSE(place, value->text, "epoch seconds or ISO 8601, please, not %s",
                          tw_json_type_name(value->type));
        }
        return set_instant(parameters, place, value);
    case RESPONSE_TYPES:
        return read_choice(place, value, what->key, "ReportBatchItemFailures", arena,
                           &parameters->report_batch_item_failures);
    case DESTINATIONS: return read_destinations(parameters, place, value, arena);
    case FILTERS: return read_filters(parameters, place, value, arena);
    case METRICS: return read_metrics(parameters, place, value, arena);
    case ARN:
        TW_TRY(text_of(place, value, what->key, arena, &text));
        return set_text(parameters, what, place, value->text, text);
    case STATE:
        TW_TRY(text_of(place, value, what->key, arena, &text));
        if (tumble_bytes_equal(text, tumble_bytes_of("Disabled")) ||
            tumble_bytes_equal(text, tumble_bytes_of("Disabling"))) {
            parameters->enabled = 0;
        }
        return TUMBLE_OK;
    case FOREIGN:
        return is_empty(value) ? TUMBLE_OK
                               : REFUSE(place, value->text, "a mapping of a Kinesis stream does not take it");
    case TOLD: break;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_document(struct tumble_mapping_parameters *parameters, struct tumble_bytes json,
                                      struct tw_arena *arena, struct tumble_error *err) {
    const char *names[KNOWN];
    struct tumble_value document, key, value;
    struct tw_json_walk walk;
    unsigned char seen[KNOWN] = {0};
    for (size_t i = 0; i < KNOWN; i++) {
        names[i] = parameters_known[i].key;
    }
    TW_TRY(tw_json_document(json, TUMBLE_TYPE_OBJECT, &document, err));
    tw_json_walk_begin(&walk, &document);
    while (tw_json_walk_next(&walk, &key, &value)) {
        struct place place = {"mapping", "", json.data, err};
        int index = tw_name_find((struct tumble_bytes){key.text, key.length}, names, KNOWN);
        if (index < 0) {
            return unknown_key(&place, &key, "a mapping of a Kinesis stream", names, KNOWN);
        }
        place.name = names[index];
        if (seen[index]++) {
            return REFUSE(&place, key.text, "given twice");
        }
        TW_TRY(read_member(parameters, &parameters_known[index], &place, &value, arena));
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_mapping_parameters_read(struct tumble_mapping_parameters *parameters, struct tumble_bytes json,
                                                struct tumble_error *err) {
    struct tw_arena arena;
    tw_arena_init(&arena, parameters->alloc);
    enum tumble_code code = read_document(parameters, json, &arena, err);
    tw_arena_clean_up(&arena);
    return code;
}

/* ---- flags ---- */

static enum tumble_code set_boolean(struct tumble_mapping_parameters *parameters, const struct parameter *what,
                                    const struct place *place, const char *value) {
    int on = !value || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "false") != 0) {
        return REFUSE(place, NULL, "true or false, please, not '%.64s'", value);
    }
    *(int *)(void *)((char *)parameters + what->offset) = on;
    return TUMBLE_OK;
}

/* What the AWS command line takes beside JSON: names with spaces or commas between them, Metrics=EventCount. */
static enum tumble_code set_choice(const struct place *place, const char *value, const char *only, int *given) {
    *given = 0;
    for (const char *at = value; *at;) {
        size_t length = strcspn(at, " ,");
        if (length && (length != strlen(only) || strncmp(at, only, length) != 0)) {
            return REFUSE(place, NULL, "'%.64s': for Kinesis there is only %s", value, only);
        }
        *given |= length != 0;
        at += length + strspn(at + length, " ,");
    }
    return TUMBLE_OK;
}

static enum tumble_code set_flag(struct tumble_mapping_parameters *parameters, const struct parameter *what,
                                 const struct place *place, const char *value, struct tw_arena *arena) {
    struct tumble_bytes text = tumble_bytes_of(value);
    struct tumble_value parsed = {value, (uint32_t)text.length, TUMBLE_TYPE_STRING, 0, 0};
    int64_t number;
    if (what->kind == BOOLEAN) {
        return set_boolean(parameters, what, place, value);
    }
    if (!value || text.length > TW_LIMIT_SPEC_BYTES) {
        return REFUSE(place, NULL, value ? "the value is too long" : "a value is missing");
    }
    switch (what->kind) {
    case NUMBER:
        if (tw_json_value(text, 1, &parsed, NULL, NULL) != TUMBLE_OK || parsed.type != TUMBLE_TYPE_NUMBER ||
            !tw_json_integer(&parsed, &number)) {
            return REFUSE(place, NULL, "a whole number, please, not '%.64s'", value);
        }
        return set_number(parameters, what, place, NULL, number);
    case POSITION: return set_position(parameters, place, NULL, text);
    case INSTANT: return set_instant(parameters, place, &parsed);
    case ARN: return set_text(parameters, what, place, NULL, text);
    case RESPONSE_TYPES:
        if (value[0] != '[') {
            return set_choice(place, value, "ReportBatchItemFailures", &parameters->report_batch_item_failures);
        }
        break;
    case METRICS:
        if (value[0] != '{') {
            return set_choice(place, value, "Metrics=EventCount", &parameters->event_count_metrics);
        }
        break;
    default: break;
    }
    struct tumble_error inner;
    enum tumble_code code = tw_json_value(text, 1, &parsed, NULL, &inner);
    if (code != TUMBLE_OK) {
        return refuse(place, NULL, code, "%s", inner.text);
    }
    return read_member(parameters, what, place, &parsed, arena);
}

enum tumble_code tumble_mapping_parameters_set(struct tumble_mapping_parameters *parameters, const char *flag,
                                               const char *value, struct tumble_error *err) {
    for (size_t i = 0; i < KNOWN && parameters_known[i].flag; i++) {
        if (strcmp(parameters_known[i].flag, flag) == 0) {
            struct place place = {flag, "--", NULL, err};
            struct tw_arena arena;
            tw_arena_init(&arena, parameters->alloc);
            enum tumble_code code = set_flag(parameters, &parameters_known[i], &place, value, &arena);
            tw_arena_clean_up(&arena);
            return code;
        }
    }
    return tw_fail(err, TUMBLE_EUSAGE, "--%.64s is not a parameter of a mapping", flag);
}

const char *tumble_mapping_parameters_flag(size_t index) { return index < KNOWN ? parameters_known[index].flag : NULL; }

int tumble_mapping_parameters_is_boolean(const char *flag) {
    for (size_t i = 0; i < KNOWN && parameters_known[i].flag; i++) {
        if (strcmp(parameters_known[i].flag, flag) == 0) {
            return parameters_known[i].kind == BOOLEAN;
        }
    }
    return 0;
}

/* ---- all together ---- */

enum tumble_code tumble_mapping_parameters_check(const struct tumble_mapping_parameters *parameters, int64_t now_ms,
                                                 struct tumble_error *err) {
    if (parameters->starting_position == TUMBLE_STARTING_POSITION_NONE) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
                       "Member must not be null.");
    }
    int64_t timestamp_ms = parameters->starting_position_timestamp_ms;
    if (timestamp_ms >= 0 && parameters->starting_position != TUMBLE_AT_TIMESTAMP) {
        return tw_fail(err, TUMBLE_EUSAGE, "Timestamp only valid with StartingPosition AT_TIMESTAMP");
    }
    if (timestamp_ms < 0 && parameters->starting_position == TUMBLE_AT_TIMESTAMP) {
        return tw_fail(err, TUMBLE_EUSAGE, "StartingPosition AT_TIMESTAMP needs a StartingPositionTimestamp");
    }
    if (timestamp_ms > now_ms) {
        return tw_fail(err, TUMBLE_EUSAGE, "StartingPositionTimestamp lies in the future");
    }
    if (parameters->tumbling_window_in_seconds > 0) {
        if (parameters->parallelization_factor > 1) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "Parallelization factor must be equal to 1 when tumbling window period is configured");
        }
        if (parameters->filter_count > 0) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "FilterCriteria and TumblingWindowInSeconds cannot stand together: filter in the function "
                           "(a spec's \"where\"), or leave the window out");
        }
    }
    return TUMBLE_OK;
}
