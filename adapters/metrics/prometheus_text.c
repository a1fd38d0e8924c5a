#include "adapters/metrics/prometheus_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/metrics/shown_text.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum { NUMBER_BYTES = 40, NAME_BYTES = 128 };

struct tw_prometheus_text {
    struct tumble_alloc alloc;
    struct tw_buf page;
    enum tumble_code code; /* the first error */
    char name[NAME_BYTES]; /* of the metric at hand */
};

struct tw_prometheus_text *tw_prometheus_text_new(struct tumble_alloc alloc) {
    alloc = tw_alloc_or_default(alloc);
    struct tw_prometheus_text *text = tw_alloc_zero(&alloc, sizeof *text);
    if (text) {
        text->alloc = alloc;
        tw_buf_init(&text->page, alloc, TW_PROMETHEUS_BYTES);
    }
    return text;
}

void tw_prometheus_text_destroy(struct tw_prometheus_text *text) {
    if (text) {
        struct tumble_alloc alloc = text->alloc;
        tw_buf_clean_up(&text->page);
        tw_free(&alloc, text);
    }
}

void tw_prometheus_text_clear(struct tw_prometheus_text *text) {
    tw_buf_clear(&text->page);
    text->code = TUMBLE_OK;
}

static void put_bytes(struct tw_prometheus_text *text, const char *bytes, size_t length) {
    if (text->code == TUMBLE_OK) {
        text->code = tw_buf_append(&text->page, bytes, length);
    }
}

static void put(struct tw_prometheus_text *text, const char *words) { put_bytes(text, words, strlen(words)); }

/* A backslash and a newline are escaped; in a label's value a quote too. */
static void put_escaped(struct tw_prometheus_text *text, const char *words, bool is_label) {
    size_t length = strlen(words);
    for (size_t at = 0; at < length;) {
        size_t character = tw_character_length(words + at, length - at);
        const char *escaped = character == 0                 ? TW_REPLACEMENT_CHARACTER
                              : words[at] == '\\'            ? "\\\\"
                              : words[at] == '\n'            ? "\\n"
                              : words[at] == '"' && is_label ? "\\\""
                                                             : NULL;
        if (escaped) {
            put(text, escaped);
        } else {
            put_bytes(text, words + at, character);
        }
        at += character ? character : 1;
    }
}

static void put_number(struct tw_prometheus_text *text, double value) {
    char number[NUMBER_BYTES];
    bool is_whole = fabs(value) < 9007199254740992.0 && floor(value) == value;
    snprintf(number, sizeof number, is_whole ? "%.0f" : "%.17g", value);
    if (!is_whole && isfinite(value)) { /* the shortest that is the same number */
        for (int digits = 6; digits < 17; digits++) {
            char shorter[NUMBER_BYTES];
            double back = 0;
            snprintf(shorter, sizeof shorter, "%.*g", digits, value);
            back = strtod(shorter, NULL);
            if (!(back < value) && !(back > value)) {
                memcpy(number, shorter, sizeof number);
                break;
            }
        }
    }
    put(text, isnan(value) ? "NaN" : isinf(value) ? value > 0 ? "+Inf" : "-Inf" : number);
}

static void put_label(struct tw_prometheus_text *text, const struct tw_prometheus_label *label, bool is_first) {
    put(text, is_first ? "{" : ",");
    put(text, label->name);
    put(text, "=\"");
    put_escaped(text, label->value, true);
    put(text, "\"");
}

static void put_end(struct tw_prometheus_text *text, double value) {
    put(text, " ");
    put_number(text, value);
    put(text, "\n");
}

void tw_prometheus_metric(struct tw_prometheus_text *text, const char *name, enum tw_prometheus_type type,
                          const char *help) {
    static const char *const types[] = {
        [TW_PROMETHEUS_COUNTER] = "counter", [TW_PROMETHEUS_GAUGE] = "gauge", [TW_PROMETHEUS_HISTOGRAM] = "histogram"};
    snprintf(text->name, sizeof text->name, "%s", name);
    put(text, "# HELP ");
    put(text, text->name);
    put(text, " ");
    put_escaped(text, help, false);
    put(text, "\n# TYPE ");
    put(text, text->name);
    put(text, " ");
    put(text, types[type]);
    put(text, "\n");
}

void tw_prometheus_sample(struct tw_prometheus_text *text, const struct tw_prometheus_label *labels, size_t count,
                          double value) {
    put(text, text->name);
    for (size_t i = 0; i < count; i++) {
        put_label(text, &labels[i], i == 0);
    }
    put(text, count ? "}" : "");
    put_end(text, value);
}

static void put_bucket(struct tw_prometheus_text *text, double bound, uint64_t count) {
    put(text, text->name);
    put(text, "_bucket{le=\"");
    put_number(text, bound);
    put(text, "\"}");
    put_end(text, (double)count);
}

void tw_prometheus_buckets(struct tw_prometheus_text *text, const double *bounds, const uint64_t *counts, size_t count,
                           uint64_t total, double sum) {
    uint64_t upto = 0;
    for (size_t i = 0; i < count; i++) {
        upto += counts[i];
        put_bucket(text, bounds[i], upto);
    }
    put_bucket(text, INFINITY, total);
    put(text, text->name);
    put(text, "_sum");
    put_end(text, sum);
    put(text, text->name);
    put(text, "_count");
    put_end(text, (double)total);
}

enum tumble_code tw_prometheus_text_view(const struct tw_prometheus_text *text, struct tumble_bytes *out,
                                         struct tumble_error *err) {
    *out = tw_buf_view(&text->page);
    return text->code == TUMBLE_OK       ? TUMBLE_OK
           : text->code == TUMBLE_ENOMEM ? tw_no_memory(err)
                                         : tw_fail(err, text->code, "a page of metrics is too long");
}
