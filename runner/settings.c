#include "runner/settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/memory.h"

struct text {
    char *data;
    size_t length;
    size_t capacity;
    int failed;
};

static void put(struct text *text, const char *data, size_t length) {
    while (!text->failed && text->capacity - text->length <= length) {
        char *grown = tumble_runner_grow(text->data, text->capacity, &text->capacity, 1);
        if (!grown) {
            text->failed = 1;
        } else {
            text->data = grown;
        }
    }
    if (!text->failed) {
        memcpy(text->data + text->length, data, length);
        text->length += length;
        text->data[text->length] = '\0';
    }
}

/* A value never holds a line break, so that lines stay lines. */
static void line(struct text *text, const char *name, const char *value) {
    put(text, name, strlen(name));
    put(text, "=", 1);
    for (; value && *value; value++) {
        char c = *value == '\n' || *value == '\r' ? ' ' : *value;
        put(text, &c, 1);
    }
    put(text, "\n", 1);
}

static void number_line(struct text *text, const char *name, int64_t value) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, value);
    line(text, name, digits);
}

static void input_lines(struct text *text, const struct tumble_replay_options *options) {
    number_line(text, "inputs", (int64_t)options->path_count);
    for (size_t i = 0; i < options->path_count; i++) {
        line(text, "input", options->paths[i]);
        struct stat status;
        if (strcmp(options->paths[i], "-") != 0 && stat(options->paths[i], &status) == 0 && S_ISREG(status.st_mode)) {
            number_line(text, "bytes of that input", (int64_t)status.st_size);
        }
    }
}

static const char *timestamp_format_name(const struct tumble_timestamp_format *format) {
    static const char *const names[] = {"auto", "epoch_s", "epoch_ms", "iso8601"};
    return format->kind == TUMBLE_TIMESTAMP_STRPTIME ? format->pattern : names[format->kind];
}

static const char *input_format_name(enum tumble_capture_format format) {
    static const char *const names[] = {"auto", "ndjson", "array", "lambda", "get-records"};
    return names[format];
}

/* A file goes on in the format it began in; what was printed is gone, so there the format may change. */
static void output_lines(struct text *text, const char *name, const struct tumble_replay_output *output) {
    line(text, name, output->uri);
    for (size_t i = 0; i < output->option_count && strcmp(output->target, "-") != 0; i++) {
        if (strcmp(output->options[i].name, "format") == 0) {
            line(text, "its format", output->options[i].value);
        }
    }
}

char *tumble_settings_text(const struct tumble_replay_options *options) {
    struct text text = {0};
    line(&text, "command", "replay");
    number_line(&text, "--shards", options->shards ? options->shards : 1);
    line(&text, "--partition-key", options->partition_key_field);
    line(&text, "--timestamp", options->timestamp_field);
    line(&text, "--timestamp-format", timestamp_format_name(&options->timestamp_format));
    line(&text, "arrival times",
         options->timestamp_overrides ? "of the field, always" : "of the capture, if it has them");
    number_line(&text, "--allowed-lateness", options->allowed_lateness_seconds);
    line(&text, "--sort", options->sort ? "true" : "false");
    if (options->keep_aggregates) { /* states of earlier versions have no such line */
        line(&text, "--deaggregate", "false");
    }
    line(&text, "--input-format", input_format_name(options->format));
    line(&text, "--records-at", options->records_at);
    for (size_t i = 0; i < options->output_count; i++) {
        output_lines(&text, "--output", &options->outputs[i]);
    }
    if (options->failures) {
        output_lines(&text, "--failures", options->failures);
    }
    input_lines(&text, options);
    if (text.failed) {
        tumble_runner_free(text.data);
        return NULL;
    }
    return text.data;
}

static size_t line_length(const char *at, const char *end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return stop ? (size_t)(stop - at) : (size_t)(end - at);
}

enum tumble_code tumble_settings_compare(struct tumble_bytes stored, const char *now, struct tumble_error *err) {
    const char *a = stored.data, *a_end = a + stored.length, *b = now, *b_end = b + strlen(now);
    while (a < a_end || b < b_end) {
        size_t a_length = a < a_end ? line_length(a, a_end) : 0, b_length = b < b_end ? line_length(b, b_end) : 0;
        if (a_length != b_length || memcmp(a, b, a_length) != 0) {
            return tumble_runner_fail(err, TUMBLE_EMISMATCH,
                                      "the state was made with \"%.*s\", this run has \"%.*s\": use what it was made "
                                      "with, or another --state",
                                      (int)a_length, a_length ? a : "", (int)b_length, b_length ? b : "");
        }
        a += a_length + (a < a_end);
        b += b_length + (b < b_end);
    }
    return TUMBLE_OK;
}

char *tumble_progress_text(const struct tumble_progress *progress) {
    return tumble_runner_format("records=%" PRIu64 "\nwatermark_ms=%" PRId64 "\nfirst_arrival_ms=%" PRId64
                                "\nlast_arrival_ms=%" PRId64 "\nbatches=%" PRIu64 "\ncomplete=%d\n",
                                progress->records, progress->watermark_ms, progress->first_arrival_ms,
                                progress->last_arrival_ms, progress->batches, progress->complete);
}

enum tumble_code tumble_progress_read(struct tumble_bytes text, struct tumble_progress *progress,
                                      struct tumble_error *err) {
    static const char *const names[] = {
        "records=", "watermark_ms=", "first_arrival_ms=", "last_arrival_ms=", "batches=", "complete="};
    int64_t values[6];
    const char *at = text.data, *end = at + text.length;
    for (size_t i = 0; i < 6; i++) {
        size_t length = line_length(at, end), name = strlen(names[i]);
        char digits[24] = {0};
        if (length <= name || length - name >= sizeof digits || memcmp(at, names[i], name) != 0) {
            return tumble_runner_fail(err, TUMBLE_ECORRUPT,
                                      "the state's progress is damaged at \"%.*s\": restore it, or use another --state",
                                      (int)length, at);
        }
        memcpy(digits, at + name, length - name);
        values[i] = strtoll(digits, NULL, 10);
        at += length + (at + length < end);
    }
    progress->records = (uint64_t)values[0];
    progress->watermark_ms = values[1];
    progress->first_arrival_ms = values[2];
    progress->last_arrival_ms = values[3];
    progress->batches = (uint64_t)values[4];
    progress->complete = values[5] != 0;
    return TUMBLE_OK;
}
