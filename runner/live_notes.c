#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/live_internal.h"

/* What the state keeps beside the windows: what it was made for ("live"), and where every shard stands ("shards"), a
 * line each: id, "reading" or "done", the sequence number of the last record applied or "-", its arrival. */

static enum tumble_code set_note(struct live *live, const char *name, const char *text, struct tumble_error *err) {
    return text ? tumble_engine_set_note(live->engine, name, tumble_bytes_of(text), err) : tumble_live_no_memory(err);
}

enum tumble_code tumble_live_note_positions(struct live *live, struct tumble_error *err) {
    enum { LINE = TUMBLE_KINESIS_ID + TUMBLE_KINESIS_SEQUENCE + 48 };
    char *text = tumble_runner_alloc_raw(live->shard_count * LINE + 1);
    if (!text) {
        return tumble_live_no_memory(err);
    }
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        int is_done = shard->phase == LIVE_DRAINED || shard->phase == LIVE_DONE;
        if (is_done ? shard->is_listed : shard->sequence[0] != '\0') {
            length +=
                (size_t)snprintf(text + length, LINE, "%s %s %s %" PRId64 "\n", shard->id, is_done ? "done" : "reading",
                                 shard->sequence[0] ? shard->sequence : "-", shard->arrival_ms);
        }
    }
    enum tumble_code code = set_note(live, "shards", text, err);
    tumble_runner_free(text);
    return code == TUMBLE_OK ? tumble_live_share_note(live, err) : code;
}

static enum tumble_code damaged(struct tumble_error *err) {
    return tumble_runner_fail(err, TUMBLE_ECORRUPT,
                              "the state's positions are damaged: restore it, or use another --state");
}

static size_t take_word(const char **at, const char *end, char *out, size_t size) {
    size_t length = 0;
    while (*at < end && **at != ' ' && **at != '\n') {
        if (length + 1 == size) {
            return 0;
        }
        out[length++] = *(*at)++;
    }
    out[length] = '\0';
    *at += *at < end;
    return length;
}

static enum tumble_code resume_shards(struct live *live, struct tumble_error *err) {
    struct tumble_bytes note = tumble_engine_note(live->engine, "shards");
    const char *at = note.data, *end = at + note.length;
    while (at < end) {
        char id[TUMBLE_KINESIS_ID], phase[16], sequence[TUMBLE_KINESIS_SEQUENCE], arrival[24];
        struct live_shard *shard;
        if (!take_word(&at, end, id, sizeof id) || !take_word(&at, end, phase, sizeof phase) ||
            !take_word(&at, end, sequence, sizeof sequence) || !take_word(&at, end, arrival, sizeof arrival)) {
            return damaged(err);
        }
        enum tumble_code code = tumble_live_add_shard(live, id, &shard, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        shard->phase = strcmp(phase, "done") == 0 ? LIVE_DONE : LIVE_WAITING;
        shard->arrival_ms = strtoll(arrival, NULL, 10);
        if (strcmp(sequence, "-") != 0) {
            memcpy(shard->sequence, sequence, sizeof sequence);
        }
    }
    return TUMBLE_OK;
}

/* The lines that must be the same when the same command goes on; behind them where unknown shards begin. */
static char *settings_text(const struct live *live) {
    const struct tumble_live_options *options = live->options;
    size_t size = 4096;
    for (size_t i = 0; i < options->output_count; i++) {
        size += strlen(options->outputs[i].uri) + 16;
    }
    size += options->failures ? strlen(options->failures->uri) + 16 : 0;
    char *text = tumble_runner_alloc(size);
    if (!text) {
        return NULL;
    }
    size_t length =
        (size_t)snprintf(text, size, "command=run\nstream=%.2048s\ncreated_ms=%" PRId64 "\n--deaggregate=%s\n",
                         live->facts.arn, live->facts.created_ms, options->keep_aggregates ? "false" : "true");
    for (size_t i = 0; i < options->output_count; i++) {
        length += (size_t)snprintf(text + length, size - length, "--output=%s\n", options->outputs[i].uri);
    }
    if (options->lease_table) {
        length += (size_t)snprintf(text + length, size - length, "--lease-table=%.500s\n--application=%.1000s\n",
                                   options->lease_table, options->application ? options->application : "");
    }
    if (options->failures) {
        snprintf(text + length, size - length, "--failures=%s\n", options->failures->uri);
    }
    return text;
}

static size_t line_length(const char *at, const char *end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return stop ? (size_t)(stop - at) : (size_t)(end - at);
}

/* Compares lines; *rest is what the stored text has behind those of now. */
static enum tumble_code compare(struct tumble_bytes stored, const char *now, struct tumble_bytes *rest,
                                struct tumble_error *err) {
    const char *a = stored.data, *a_end = a + stored.length, *b = now, *b_end = b + strlen(now);
    while (b < b_end) {
        size_t a_length = a < a_end ? line_length(a, a_end) : 0, b_length = line_length(b, b_end);
        if (a_length != b_length || memcmp(a, b, a_length) != 0) {
            int is_new_stream = strncmp(b, "created_ms=", 11) == 0;
            return is_new_stream
                       ? tumble_runner_fail(err, TUMBLE_EMISMATCH,
                                            "the stream was deleted and made anew since this state was made: its "
                                            "positions mean nothing there; use another --state")
                       : tumble_runner_fail(err, TUMBLE_EMISMATCH,
                                            "the state was made with \"%.*s\", this run has \"%.*s\": use what it was "
                                            "made with, or another --state",
                                            (int)(a_length < 120 ? a_length : 120), a_length ? a : "",
                                            (int)(b_length < 120 ? b_length : 120), b);
        }
        a += a_length + (a < a_end);
        b += b_length + (b < b_end);
    }
    rest->data = a;
    rest->length = (size_t)(a_end - a);
    return TUMBLE_OK;
}

/* "start=0 1700000000000": enum tumble_kinesis_start, ms. */
static enum tumble_code read_start(struct live *live, struct tumble_bytes rest, struct tumble_error *err) {
    char text[64];
    if (rest.length < 8 || rest.length >= sizeof text || memcmp(rest.data, "start=", 6) != 0) {
        return tumble_runner_fail(err, TUMBLE_EMISMATCH,
                                  "the state was made with more outputs than this run has: use what it was made with, "
                                  "or another --state");
    }
    memcpy(text, rest.data, rest.length);
    text[rest.length] = '\0';
    char *end;
    long start = strtol(text + 6, &end, 10);
    if (start != TUMBLE_KINESIS_TRIM_HORIZON && start != TUMBLE_KINESIS_AT_TIMESTAMP) {
        return damaged(err);
    }
    live->start = (enum tumble_kinesis_start)start;
    live->start_ms = strtoll(end, NULL, 10);
    return TUMBLE_OK;
}

/* What is known of no shard begins where the first run began, whenever that shard is found: LATEST is the instant at
 * which that run began. */
static void choose_start(struct live *live) {
    live->start = live->options->start;
    live->start_ms = live->options->start_ms;
    if (live->start == TUMBLE_KINESIS_LATEST) {
        live->start = TUMBLE_KINESIS_AT_TIMESTAMP;
        live->start_ms = tumble_kinesis_now_ms(live->stream);
        live->begins_latest = 1;
    }
}

enum tumble_code tumble_live_resume(struct live *live, struct tumble_error *err) {
    struct tumble_bytes stored = tumble_engine_note(live->engine, "live");
    char *settings = settings_text(live);
    if (!settings) {
        return tumble_live_no_memory(err);
    }
    enum tumble_code code;
    if (stored.length == 0) {
        choose_start(live);
        char *text = tumble_runner_format("%sstart=%d %" PRId64 "\n", settings, (int)live->start, live->start_ms);
        code = set_note(live, "live", text, err);
        tumble_runner_free(text);
    } else {
        struct tumble_bytes rest = {NULL, 0};
        live->summary->resumed = 1;
        code = compare(stored, settings, &rest, err);
        code = code == TUMBLE_OK ? read_start(live, rest, err) : code;
        code = code == TUMBLE_OK ? resume_shards(live, err) : code;
        code = code == TUMBLE_OK ? tumble_live_share_resume(live, err) : code;
    }
    tumble_runner_free(settings);
    return code;
}
