#include "adapters/metrics/emf.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum {
    NAMES_MAX = TW_EMF_METRICS_MAX + TW_EMF_DIMENSIONS_MAX + TW_EMF_PROPERTIES_MAX,
    NUMBER_BYTES = 40,
    LINE_BYTES = 1024 * 1024
};

struct tw_emf_writer {
    struct tumble_alloc alloc;
    struct tw_buf line;
    int fd;
    bool is_torn; /* a part of the last line is there: what follows begins a line of its own */
};

bool tw_emf_namespace_ok(const char *name_space) {
    size_t length = name_space ? strlen(name_space) : 0;
    return length >= 1 && length <= TW_EMF_NAMESPACE_MAX && strncmp(name_space, "AWS/", 4) != 0 &&
           strspn(name_space, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/#:") == length;
}

/* Whose value is left out: no name of it may stand in the line. */
static bool is_empty(const struct tw_emf_text *text) { return !text->value || !text->value[0]; }

static enum tumble_code check_name(const char *name, const char **seen, size_t *count, struct tumble_error *err) {
    size_t length = name ? strlen(name) : 0;
    if (length < 1 || length > TW_EMF_NAME_MAX || strcmp(name, "_aws") == 0) {
        return tw_fail(err, TUMBLE_EINVAL, "\"%s\" cannot be the name of a metric or dimension", name ? name : "");
    }
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(seen[i], name) == 0) {
            return tw_fail(err, TUMBLE_EINVAL, "the name \"%s\" stands twice in a metrics line", name);
        }
    }
    seen[(*count)++] = name;
    return TUMBLE_OK;
}

static enum tumble_code check(const struct tw_emf *line, struct tumble_error *err) {
    const char *seen[NAMES_MAX];
    size_t count = 0;
    if (!tw_emf_namespace_ok(line->name_space)) {
        return tw_fail(err, TUMBLE_EINVAL, "\"%s\" is no CloudWatch namespace",
                       line->name_space ? line->name_space : "");
    }
    if (line->metric_count < 1 || line->metric_count > TW_EMF_METRICS_MAX ||
        line->dimension_count > TW_EMF_DIMENSIONS_MAX || line->property_count > TW_EMF_PROPERTIES_MAX ||
        line->timestamp_ms < 0) {
        return tw_fail(err, TUMBLE_EINVAL, "a metrics line takes 1 to %d metrics and at most %d dimensions",
                       TW_EMF_METRICS_MAX, TW_EMF_DIMENSIONS_MAX);
    }
    for (size_t i = 0; i < line->dimension_count; i++) {
        TW_TRY(check_name(line->dimensions[i].name, seen, &count, err));
        if (line->dimensions[i].value && strlen(line->dimensions[i].value) > TW_EMF_VALUE_MAX) {
            return tw_fail(err, TUMBLE_EINVAL, "dimension \"%s\" is longer than %d bytes", line->dimensions[i].name,
                           TW_EMF_VALUE_MAX);
        }
    }
    for (size_t i = 0; i < line->metric_count; i++) {
        TW_TRY(check_name(line->metrics[i].name, seen, &count, err));
        if (!isfinite(line->metrics[i].value)) {
            return tw_fail(err, TUMBLE_EINVAL, "metric \"%s\" is not a finite number", line->metrics[i].name);
        }
    }
    for (size_t i = 0; i < line->property_count; i++) {
        TW_TRY(check_name(line->properties[i].name, seen, &count, err));
    }
    return TUMBLE_OK;
}

static enum tumble_code put_string(struct tw_buf *out, const char *text) {
    return tw_buf_append_json_string(out, tumble_bytes_of(text));
}

static enum tumble_code put_member(struct tw_buf *out, const char *name) {
    TW_TRY(tw_buf_append_byte(out, ','));
    TW_TRY(put_string(out, name));
    return tw_buf_append_byte(out, ':');
}

static enum tumble_code put_number(struct tw_buf *out, double value) {
    char text[NUMBER_BYTES];
    bool whole = fabs(value) < 9007199254740992.0 && floor(value) == value;
    snprintf(text, sizeof text, whole ? "%.0f" : fabs(value) < 1e15 ? "%.3f" : "%.17g", value);
    return tw_buf_append_text(out, text);
}

static enum tumble_code put_definition(struct tw_buf *out, const struct tw_emf *line) {
    char text[NUMBER_BYTES];
    snprintf(text, sizeof text, "%" PRId64, line->timestamp_ms);
    TW_TRY(tw_buf_append_text(out, "{\"_aws\":{\"Timestamp\":"));
    TW_TRY(tw_buf_append_text(out, text));
    TW_TRY(tw_buf_append_text(out, ",\"CloudWatchMetrics\":[{\"Namespace\":"));
    TW_TRY(put_string(out, line->name_space));
    TW_TRY(tw_buf_append_text(out, ",\"Dimensions\":[["));
    bool first = true;
    for (size_t i = 0; i < line->dimension_count; i++) {
        if (is_empty(&line->dimensions[i])) {
            continue;
        }
        TW_TRY(first ? TUMBLE_OK : tw_buf_append_byte(out, ','));
        TW_TRY(put_string(out, line->dimensions[i].name));
        first = false;
    }
    TW_TRY(tw_buf_append_text(out, "]],\"Metrics\":["));
    for (size_t i = 0; i < line->metric_count; i++) {
        TW_TRY(tw_buf_append_text(out, i ? ",{\"Name\":" : "{\"Name\":"));
        TW_TRY(put_string(out, line->metrics[i].name));
        if (line->metrics[i].unit) {
            TW_TRY(tw_buf_append_text(out, ",\"Unit\":"));
            TW_TRY(put_string(out, line->metrics[i].unit));
        }
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    return tw_buf_append_text(out, "]}]}");
}

static enum tumble_code put_texts(struct tw_buf *out, const struct tw_emf_text *texts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!is_empty(&texts[i])) {
            TW_TRY(put_member(out, texts[i].name));
            TW_TRY(put_string(out, texts[i].value));
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code put_line(struct tw_buf *out, const struct tw_emf *line) {
    TW_TRY(put_definition(out, line));
    TW_TRY(put_texts(out, line->dimensions, line->dimension_count));
    TW_TRY(put_texts(out, line->properties, line->property_count));
    for (size_t i = 0; i < line->metric_count; i++) {
        TW_TRY(put_member(out, line->metrics[i].name));
        TW_TRY(put_number(out, line->metrics[i].value));
    }
    return tw_buf_append_text(out, "}\n");
}

enum tumble_code tw_emf_append(const struct tw_emf *line, struct tw_buf *out, struct tumble_error *err) {
    TW_TRY(check(line, err));
    size_t before = out->length;
    enum tumble_code code = put_line(out, line);
    if (code != TUMBLE_OK) {
        out->length = before;
        return code == TUMBLE_ENOMEM ? tw_no_memory(err) : tw_fail(err, code, "a metrics line is too long");
    }
    return TUMBLE_OK;
}

enum tumble_code tw_emf_writer_open(int fd, struct tumble_alloc alloc, struct tw_emf_writer **out,
                                    struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    struct tw_emf_writer *writer = tw_alloc_zero(&alloc, sizeof *writer);
    *out = writer;
    if (!writer) {
        return tw_no_memory(err);
    }
    writer->alloc = alloc;
    writer->fd = fd;
    tw_buf_init(&writer->line, alloc, LINE_BYTES);
    return TUMBLE_OK;
}

enum tumble_code tw_emf_write(struct tw_emf_writer *writer, const struct tw_emf *line, struct tumble_error *err) {
    tw_buf_clear(&writer->line);
    if (writer->is_torn && tw_buf_append_byte(&writer->line, '\n') != TUMBLE_OK) {
        return tw_no_memory(err);
    }
    TW_TRY(tw_emf_append(line, &writer->line, err));
    for (size_t at = 0; at < writer->line.length;) {
        ssize_t n = write(writer->fd, writer->line.data + at, writer->line.length - at);
        if (n < 0 && errno != EINTR) {
            return tw_fail(err, TUMBLE_EOUTPUT, "metrics cannot be written: %s", strerror(errno));
        }
        at += n > 0 ? (size_t)n : 0;
        writer->is_torn = at < writer->line.length && (writer->is_torn || at > 0);
    }
    return TUMBLE_OK;
}

void tw_emf_writer_close(struct tw_emf_writer *writer) {
    if (writer) {
        struct tumble_alloc alloc = writer->alloc;
        tw_buf_clean_up(&writer->line);
        tw_free(&alloc, writer);
    }
}
