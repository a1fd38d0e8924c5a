#include "cli/run_summary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/terminal_text.h"

enum { TEMPORARY_BYTES = 4096 };

static const char *format_name(enum tumble_capture_format format) {
    switch (format) {
    case TUMBLE_CAPTURE_NDJSON: return "ndjson";
    case TUMBLE_CAPTURE_ARRAY: return "array";
    case TUMBLE_CAPTURE_LAMBDA: return "lambda";
    case TUMBLE_CAPTURE_GET_RECORDS: return "get-records";
    case TUMBLE_CAPTURE_AUTO: break;
    }
    return "";
}

static uint64_t peak_rss_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void print_instant(FILE *to, const char *name, int64_t ms) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    if (ms < 0) {
        fprintf(to, "  \"%s\": null,\n", name);
        return;
    }
    tumble_timestamp_text_ms(ms, text);
    fprintf(to, "  \"%s\": \"%s\",\n", name, text);
}

static void print_count(FILE *to, const char *name, uint64_t value) {
    fprintf(to, "  \"%s\": %" PRIu64 ",\n", name, value);
}

static void print(FILE *to, const struct tumble_replay_summary *s, enum tumble_code code) {
    const struct tumble_counters *c = &s->counters;
    bool seen = s->records_read > 0;
    fprintf(to, "{\n  \"tumble\": \"%s\",\n  \"result\": \"%s\",\n", TUMBLE_VERSION_STRING, tumble_code_name(code));
    fprintf(to, "  \"resumed\": %s,\n  \"complete_before\": %s,\n  \"stopped\": %s,\n", s->resumed ? "true" : "false",
            s->complete_before ? "true" : "false", s->stopped ? "true" : "false");
    fprintf(to, "  \"input_format\": \"%s\",\n", format_name(s->format));
    print_count(to, "shards", s->shards);
    print_count(to, "records", c->records);
    print_count(to, "applied", c->fates[TUMBLE_FATE_APPLIED]);
    print_count(to, "late", c->fates[TUMBLE_FATE_LATE]);
    print_count(to, "duplicate", c->fates[TUMBLE_FATE_DUPLICATE]);
    print_count(to, "filtered", c->fates[TUMBLE_FATE_FILTERED]);
    print_count(to, "bad", c->fates[TUMBLE_FATE_BAD]);
    print_count(to, "fields_skipped", c->skipped);
    print_count(to, "windows_opened", c->windows_opened);
    print_count(to, "windows_closed", c->windows_closed);
    print_count(to, "rows", c->rows);
    print_count(to, "rows_rejected", c->rows_rejected);
    print_count(to, "failures", c->failures);
    print_count(to, "groups_open", c->groups_open);
    print_count(to, "groups_peak", c->groups_peak);
    print_instant(to, "first_arrival", seen ? s->first_arrival_ms : -1);
    print_instant(to, "last_arrival", seen ? s->last_arrival_ms : -1);
    print_count(to, "batches", s->batches);
    print_count(to, "records_read", s->records_read);
    print_count(to, "bytes_read", s->bytes_read);
    double seconds = s->seconds > 0 ? s->seconds : 0;
    fprintf(to, "  \"seconds\": %.6f,\n", seconds);
    fprintf(to, "  \"records_per_second\": %.1f,\n", seconds > 0 ? (double)s->records_read / seconds : 0);
    fprintf(to, "  \"mb_per_second\": %.3f,\n", seconds > 0 ? (double)s->bytes_read / 1e6 / seconds : 0);
    fprintf(to,
            "  \"batch_latency_us\": {\"count\": %" PRIu64
            ", \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n",
            s->latency_count, s->latency_p50_us, s->latency_p90_us, s->latency_p99_us, s->latency_max_us);
    print_count(to, "commits", c->commits);
    print_count(to, "state_bytes_written", c->bytes_committed);
    print_count(to, "state_bytes_peak", c->state_bytes_peak);
    print_count(to, "table_bytes", c->memory_bytes);
    fprintf(to, "  \"peak_rss_bytes\": %" PRIu64 "\n}\n", peak_rss_bytes());
}

static enum tumble_code refuse(const char *path, int error, struct tumble_error *err) {
    err->code = TUMBLE_EOUTPUT;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, "summary %.200s: cannot write: %s", path, strerror(error));
    return TUMBLE_EOUTPUT;
}

static bool is_device(const char *path) { /* /dev/null must not be renamed over */
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

/* Opens what the summary is written to: a file beside it, that takes its place when it is whole, or the device. */
static FILE *open_to_write(const char *path, bool device, char temporary[TEMPORARY_BYTES], struct tumble_error *err) {
    int length = snprintf(temporary, TEMPORARY_BYTES, "%s.%ld.tmp", path, (long)getpid());
    if (length < 0 || length >= TEMPORARY_BYTES) {
        refuse(path, ENAMETOOLONG, err);
        return NULL;
    }
    FILE *file = fopen(device ? path : temporary, "wb");
    if (!file) {
        refuse(path, errno, err);
    }
    return file;
}

enum tumble_code tw_run_summary_probe(const char *path, const char *state, struct tumble_error *err) {
    char temporary[TEMPORARY_BYTES];
    size_t length = state ? strlen(state) : 0;
    bool in_state = length > 0 && strncmp(path, state, length) == 0 && path[length] == '/' && access(state, F_OK) != 0;
    if (strcmp(path, "-") == 0 || in_state) {
        return TUMBLE_OK;
    }
    if (is_device(path)) { /* opening one may wait for who reads it */
        struct stat info;
        bool directory = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
        return directory ? refuse(path, EISDIR, err) : access(path, W_OK) != 0 ? refuse(path, errno, err) : TUMBLE_OK;
    }
    FILE *file = open_to_write(path, false, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    fclose(file);
    unlink(temporary);
    return TUMBLE_OK;
}

enum tumble_code tw_run_summary_write_by(const char *path, void (*print_to)(FILE *to, const void *what),
                                         const void *what, struct tumble_error *err) {
    if (strcmp(path, "-") == 0) {
        print_to(stderr, what);
        return TUMBLE_OK;
    }
    char temporary[TEMPORARY_BYTES];
    bool device = is_device(path);
    FILE *file = open_to_write(path, device, temporary, err);
    if (!file) {
        return TUMBLE_EOUTPUT;
    }
    print_to(file, what);
    int error = fflush(file) != 0 || ferror(file) ? errno : 0;
    if (fclose(file) != 0 && !error) {
        error = errno;
    }
    if (!error && !device && rename(temporary, path) != 0) {
        error = errno;
    }
    if (error) {
        if (!device) {
            unlink(temporary);
        }
        return refuse(path, error, err);
    }
    return TUMBLE_OK;
}

void tw_run_summary_print(FILE *to, const void *what) {
    const struct tw_run_outcome *outcome = what;
    print(to, outcome->summary, outcome->code);
}

enum tumble_code tw_run_summary_write(const char *path, const struct tumble_replay_summary *summary,
                                      enum tumble_code code, struct tumble_error *err) {
    struct tw_run_outcome outcome = {summary, code};
    return tw_run_summary_write_by(path, tw_run_summary_print, &outcome, err);
}

static const char *plural(uint64_t count) { return count == 1 ? "" : "s"; }

void tw_run_summary_say(const struct tumble_replay_summary *summary) {
    const struct tumble_counters *c = &summary->counters;
    char records[TW_NUMBER_TEXT], rows[TW_NUMBER_TEXT], windows[TW_NUMBER_TEXT], late[TW_NUMBER_TEXT];
    char rest[256] = "";
    size_t length = 0;
    static const struct {
        enum tumble_fate fate;
        const char *name;
    } others[] = {{TUMBLE_FATE_FILTERED, "filtered"}, {TUMBLE_FATE_DUPLICATE, "duplicate"}, {TUMBLE_FATE_BAD, "bad"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t count = c->fates[others[i].fate];
        char number[TW_NUMBER_TEXT];
        if (count > 0) {
            int n =
                snprintf(rest + length, sizeof rest - length, ", %s %s", tw_number_text(count, number), others[i].name);
            length += n > 0 ? (size_t)n : 0;
        }
    }
    tw_say("%s record%s \xe2\x86\x92 %s row%s in %s window%s, %s late%s, %.2f s", tw_number_text(c->records, records),
           plural(c->records), tw_number_text(c->rows, rows), plural(c->rows),
           tw_number_text(c->windows_closed, windows), plural(c->windows_closed),
           tw_number_text(c->fates[TUMBLE_FATE_LATE], late), rest, summary->seconds);
}
