#include "cli/watching.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/metrics/server/prometheus_server.h"
#include "cli/terminal_text.h"

enum { MINUTE_US = 60 * 1000000 };

static enum tumble_code refuse(struct tumble_error *err, enum tumble_code code, const char *what, const char *path,
                               const char *why) {
    err->code = code;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, "%.20s %.180s: %.100s", what, path, why);
    return code;
}

/* ---- Prometheus ---- */

struct page {
    const struct tw_watching *watching;
    struct tw_prometheus_text *text;
};

static void put_page(void *ctx, const struct tumble_watch_view *view) {
    const struct page *page = ctx;
    tw_watch_metrics_page(view, page->watching->source, page->text);
}

static void fill_page(void *ctx, struct tw_prometheus_text *text) {
    const struct tw_watching *watching = ctx;
    struct page page = {watching, text};
    tumble_watch_look(watching->watch, put_page, &page);
}

static enum tumble_code open_server(struct tw_watching *watching, struct tumble_error *err) {
    struct tumble_alloc alloc = {0};
    enum tumble_code code =
        tw_prometheus_server_open(watching->settings->metrics, fill_page, watching, alloc, &watching->server, err);
    if (code == TUMBLE_OK && !watching->is_quiet) {
        tw_say("metrics: http://%s/metrics", tw_prometheus_server_address(watching->server));
    }
    return code;
}

/* ---- CloudWatch ---- */

static enum tumble_code open_emf(struct tw_watching *watching, struct tumble_error *err) {
    const char *path = watching->settings->emf;
    struct tumble_alloc alloc = {0};
    bool is_stderr = strcmp(path, "-") == 0;
    watching->emf_fd = is_stderr ? STDERR_FILENO : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (watching->emf_fd < 0) {
        return refuse(err, TUMBLE_EOUTPUT, "emf", path, strerror(errno));
    }
    return tw_emf_writer_open(watching->emf_fd, alloc, &watching->emf, err);
}

struct line {
    struct tw_watching *watching;
    struct tumble_watch_peaks peaks;
    struct tw_emf_metric metrics[TW_EMF_METRICS_MAX];
    size_t count;
    int64_t at_us;
};

static void fill_line(void *ctx, const struct tumble_watch_view *view) {
    struct line *line = ctx;
    line->at_us = view->now_us;
    line->count = tw_watch_metrics_line(view, &line->peaks, &line->watching->since, line->metrics);
}

static void write_line(struct tw_watching *watching) {
    static const char *const kinds[] = {
        [TUMBLE_WATCH_HELD] = "replay", [TUMBLE_WATCH_MAPPING] = "mapping", [TUMBLE_WATCH_LIVE] = "run"};
    struct line line = {.watching = watching};
    struct tumble_error err = {.text = ""};
    tumble_watch_take_peaks(watching->watch, &line.peaks);
    tumble_watch_look(watching->watch, fill_line, &line);
    struct tw_emf_text dimension = {"Source", watching->source};
    struct tw_emf_text property = {"kind", kinds[watching->facts.kind]};
    struct tw_emf emf = {.name_space = "tumble",
                         .timestamp_ms = line.at_us > 0 ? line.at_us / 1000 : 0,
                         .dimensions = &dimension,
                         .dimension_count = 1,
                         .metrics = line.metrics,
                         .metric_count = line.count,
                         .properties = &property,
                         .property_count = 1};
    watching->emf_lines++;
    if (tw_emf_write(watching->emf, &emf, &err) != TUMBLE_OK) {
        if (watching->emf_lost++ == 0) { /* the run goes on, and ends with 4 */
            tw_say("emf %.180s: %s; the run goes on", watching->settings->emf, err.text);
        }
        watching->emf_error = err;
    }
}

void tw_watching_tick(struct tw_watching *watching) {
    if (!watching->emf) {
        return;
    }
    int64_t now_us = tumble_watch_latest_us(watching->watch);
    int64_t minute = now_us / MINUTE_US;
    if (now_us < 0 || minute <= watching->minute) {
        return;
    }
    if (watching->minute > 0) {
        write_line(watching);
    }
    watching->minute = minute;
}

/* ---- opening and closing ---- */

enum { ARGUMENTS_MAX = 256, COMMAND_BYTES = 16384 };

static char command_text[COMMAND_BYTES];
static const char *command[ARGUMENTS_MAX + 2];

void tw_watching_command(int argc, char *const *argv) {
    size_t used = 0;
    int count = 0;
    command[count++] = "tumble";
    for (int i = 0; i < argc && count < ARGUMENTS_MAX && used < sizeof command_text; i++) {
        int length = snprintf(command_text + used, sizeof command_text - used, "%s", argv[i]);
        command[count++] = command_text + used;
        used += length > 0 ? (size_t)length + 1 : 1;
    }
    command[count] = NULL;
}

enum tumble_code tw_watching_open(struct tw_watching *watching, const struct tw_watching_settings *settings,
                                  enum tumble_watch_kind kind, const char *source, bool is_quiet,
                                  struct tumble_error *err) {
    watching->settings = settings;
    watching->source = source;
    watching->is_quiet = is_quiet;
    watching->facts.kind = kind;
    watching->facts.source = source;
    watching->facts.arguments = command;
    watching->emf_fd = -1;
    if (!settings->metrics && !settings->emf && !settings->report) {
        return TUMBLE_OK;
    }
    watching->watch = tumble_watch_new(kind);
    if (!watching->watch) {
        return refuse(err, TUMBLE_ENOMEM, "out of memory", "", "");
    }
    enum tumble_code code = settings->report ? tw_run_report_probe(settings->report, err) : TUMBLE_OK;
    if (code == TUMBLE_OK && settings->emf) {
        code = open_emf(watching, err);
    }
    if (code == TUMBLE_OK && settings->metrics) {
        code = open_server(watching, err);
    }
    return code;
}

/* A report that has nothing to show but an error replaces none that has. */
static enum tumble_code write_report(struct tw_watching *watching, struct tumble_error *err) {
    const char *path = watching->settings->report;
    struct stat info;
    if (!watching->watch || !path) {
        return TUMBLE_OK;
    }
    if (watching->facts.code != TUMBLE_OK && watching->facts.records_read == 0 && stat(path, &info) == 0 &&
        S_ISREG(info.st_mode)) {
        if (!watching->is_quiet) {
            tw_say("report: %s stays that of an earlier run: this one read nothing", path);
        }
        return TUMBLE_OK;
    }
    return tw_run_report_write(path, watching->watch, &watching->facts, err);
}

enum tumble_code tw_watching_finish(struct tw_watching *watching, struct tumble_error *err) {
    if (watching->emf) {
        write_line(watching);
    }
    enum tumble_code code = write_report(watching, err);
    if (code == TUMBLE_OK && watching->emf_lost) {
        err->code = TUMBLE_EOUTPUT;
        snprintf(err->text, sizeof err->text, "emf %.100s: %" PRIu64 " of %" PRIu64 " lines are missing: %.100s",
                 watching->settings->emf, watching->emf_lost, watching->emf_lines, watching->emf_error.text);
        return err->code;
    }
    return code;
}

void tw_watching_close(struct tw_watching *watching) {
    tw_prometheus_server_close(watching->server);
    tw_emf_writer_close(watching->emf);
    if (watching->emf_fd > STDERR_FILENO) {
        close(watching->emf_fd);
    }
    tumble_watch_destroy(watching->watch);
    watching->server = NULL;
    watching->emf = NULL;
    watching->emf_fd = -1;
    watching->watch = NULL;
}
