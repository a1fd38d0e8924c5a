#ifndef TW_CLI_EMULATED_REPLAY_H
#define TW_CLI_EMULATED_REPLAY_H

#include <stdbool.h>

#include "cli/option_table.h"
#include "cli/watching.h"
#include "runner/emulate.h"

/* `tumble replay` through an emulated event source mapping: its options, and the run. */

/* As given; NULL and 0: not. */
struct tw_emulation_settings {
    const char *function; /* a command; NULL: the built-in engine */
    const char *function_log;
    const char *function_duration;
    const char *sandbox_lifetime;
    int64_t timeout;
    int64_t memory_size;
    int64_t concurrency;
    const char *mapping; /* a file */
    const char *starting_position, *starting_position_timestamp;
    const char *batching_window, *parallelization_factor, *retry_attempts, *record_age;
    const char *response_types, *destination, *filters, *event_source_arn, *function_arn;
    int bisect, enabled; /* 1, -1 */
    int arrival, invoke;
    const char *disable_at, *enable_at;
    const char *speed;
    const char *fault;
    int64_t seed;
    bool failures_with_records;
};

extern const char *const tw_emulation_arrivals[]; /* "", backlog, live */
extern const char *const tw_emulation_invokes[];  /* "", direct, event */

/* The options, for a table; at(member): the offset of a member of the settings. */
#define TW_EMULATION_OPTIONS(at)                                                                                         \
    {                                                                                                                    \
        "function", 0,   TW_OPTION_TEXT, at(function), "COMMAND", "invoke this program by Lambda's Runtime API", 0,      \
        0,          NULL},                                                                                               \
        {"timeout", 0, TW_OPTION_DURATION, at(timeout), "SECONDS", "the function's time-out (3)", 1, 900, NULL},         \
        {"memory-size", 0, TW_OPTION_NUMBER, at(memory_size), "MB", "told to the function (128)", 128, 10240, NULL},     \
        {"reserved-concurrent-executions",                                                                               \
         0,                                                                                                              \
         TW_OPTION_NUMBER,                                                                                               \
         at(concurrency),                                                                                                \
         "N",                                                                                                            \
         "more at a time are throttled (1000)",                                                                          \
         1,                                                                                                              \
         100000,                                                                                                         \
         NULL},                                                                                                          \
        {"sandbox-lifetime",                                                                                             \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(sandbox_lifetime),                                                                                           \
         "N|DURATION",                                                                                                   \
         "a new sandbox after N invocations, or after 90s of the stream's time",                                         \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"function-log",                                                                                                 \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(function_log),                                                                                               \
         "FILE",                                                                                                         \
         "what the function prints (standard error)",                                                                    \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"function-duration",                                                                                            \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(function_duration),                                                                                          \
         "MS",                                                                                                           \
         "what an invocation takes of the stream's time (--function: as measured; else 1)",                              \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"mapping", 0,   TW_OPTION_TEXT, at(mapping), "FILE", "what `aws lambda get-event-source-mapping` prints", 0,    \
         0,         NULL},                                                                                               \
        {"starting-position",                                                                                            \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(starting_position),                                                                                          \
         "POSITION",                                                                                                     \
         "TRIM_HORIZON, LATEST or AT_TIMESTAMP (TRIM_HORIZON)",                                                          \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"starting-position-timestamp",                                                                                  \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(starting_position_timestamp),                                                                                \
         "TIME",                                                                                                         \
         "epoch seconds or ISO 8601",                                                                                    \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"maximum-batching-window-in-seconds", 0, TW_OPTION_TEXT, at(batching_window), "N", "0 to 300 (0)", 0, 0, NULL}, \
        {"parallelization-factor", 0, TW_OPTION_TEXT, at(parallelization_factor), "N", "1 to 10 (1)", 0, 0, NULL},       \
        {"maximum-retry-attempts",                                                                                       \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(retry_attempts),                                                                                             \
         "N",                                                                                                            \
         "-1 to 10000 (-1: no limit)",                                                                                   \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"maximum-record-age-in-seconds",                                                                                \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(record_age),                                                                                                 \
         "N",                                                                                                            \
         "-1, or 60 to 604800 (-1)",                                                                                     \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"bisect-batch-on-function-error",                                                                               \
         0,                                                                                                              \
         TW_OPTION_SWITCH,                                                                                               \
         at(bisect),                                                                                                     \
         "[true|false]",                                                                                                 \
         "halve a batch that fails (false)",                                                                             \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"function-response-types",                                                                                      \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(response_types),                                                                                             \
         "TYPES",                                                                                                        \
         "ReportBatchItemFailures",                                                                                      \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"destination-config",                                                                                           \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(destination),                                                                                                \
         "JSON",                                                                                                         \
         "{\"OnFailure\":{\"Destination\":\"file:PATH\"}}",                                                              \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"failures-with-records",                                                                                        \
         0,                                                                                                              \
         TW_OPTION_FLAG,                                                                                                 \
         at(failures_with_records),                                                                                      \
         "[true|false]",                                                                                                 \
         "the destination's documents hold the records themselves",                                                      \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"filter-criteria",                                                                                              \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(filters),                                                                                                    \
         "JSON",                                                                                                         \
         "{\"Filters\":[{\"Pattern\":\"...\"}]}",                                                                        \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"enabled", 0, TW_OPTION_SWITCH, at(enabled), "[true|false]", "whether the mapping runs (true)", 0, 0, NULL},    \
        {"disable-at",                                                                                                   \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(disable_at),                                                                                                 \
         "TIME",                                                                                                         \
         "of the stream: from then on nothing is invoked",                                                               \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"enable-at", 0,   TW_OPTION_TEXT, at(enable_at), "TIME", "and from then on again, from where it stood", 0,      \
         0,           NULL},                                                                                             \
        {"event-source-arn",                                                                                             \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(event_source_arn),                                                                                           \
         "ARN",                                                                                                          \
         "the stream's, or its consumer's",                                                                              \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"function-arn", 0, TW_OPTION_TEXT, at(function_arn), "ARN", "in documents and headers", 0, 0, NULL},            \
        {"arrival",                                                                                                      \
         0,                                                                                                              \
         TW_OPTION_CHOICE,                                                                                               \
         at(arrival),                                                                                                    \
         "backlog|live",                                                                                                 \
         "the stream holds all from the start, or records appear as they came (backlog)",                                \
         0,                                                                                                              \
         0,                                                                                                              \
         tw_emulation_arrivals},                                                                                         \
        {"speed", 0,   TW_OPTION_TEXT, at(speed), "1|10|max", "the stream's time, as a multiple of ours (max)", 0,       \
         0,       NULL},                                                                                                 \
        {"invoke",                                                                                                       \
         0,                                                                                                              \
         TW_OPTION_CHOICE,                                                                                               \
         at(invoke),                                                                                                     \
         "direct|event",                                                                                                 \
         "the built-in engine through the mapping, by structs (direct) or by real JSON events",                          \
         0,                                                                                                              \
         0,                                                                                                              \
         tw_emulation_invokes},                                                                                          \
        {"fault",                                                                                                        \
         0,                                                                                                              \
         TW_OPTION_TEXT,                                                                                                 \
         at(fault),                                                                                                      \
         "FAULT=P[:N],...",                                                                                              \
         "error crash timeout lost throttle slow duplicate redeliver recycle skew all, with probability",                \
         0,                                                                                                              \
         0,                                                                                                              \
         NULL},                                                                                                          \
        {"seed", 0, TW_OPTION_NUMBER, at(seed), "N", "of faults and request ids (0)", 0, INT64_MAX, NULL},

/* Something is asked for that the plain replay does not have. */
bool tw_emulation_is_asked_for(const struct tw_emulation_settings *settings);

/* What replay knows already. */
struct tw_emulation {
    const struct tw_emulation_settings *settings;
    const struct tumble_spec *spec;
    int64_t window_seconds; /* --window; 0: not given */
    bool has_no_window;     /* --tumbling-window-in-seconds 0 */
    int64_t batch_size;     /* 0: not given */
    const struct tw_list *plugins;
    struct tumble_capture_stream_options source;
    const char *source_name;
    const struct tumble_replay_output *outputs; /* of the built-in engine */
    size_t output_count;
    const struct tumble_replay_output *failures;
    int64_t output_timeout_ms;
    size_t memory_limit_bytes;
    const char *summary;          /* a file, "-", or NULL */
    struct tw_watching *watching; /* open */
    bool quiet;
    int (*progress)(void *ctx, int64_t done_bytes, int64_t total_bytes, uint64_t records);
    void (*done)(void *ctx); /* with progress_ctx: nothing is drawn any more; may be NULL */
    void *progress_ctx;
    int (*interrupted)(void *ctx);
    void (*say)(void *ctx, const char *line);
    void *say_ctx;
    struct tumble_emulate_summary result; /* filled by the run */
};

/* The run, its closing line and its summary. Returns the exit status; a run that a signal stopped has result.stopped
 * and 0. */
int tw_emulation_run(struct tw_emulation *emulation);

#endif
