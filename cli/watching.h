#ifndef TW_CLI_WATCHING_H
#define TW_CLI_WATCHING_H

#include <stdbool.h>

#include "cli/option_table.h"
#include "cli/run_report.h"
#include "cli/watch_metrics.h"
#include "runner/watch.h"

/* What shows how a run goes: --metrics, --emf and --report, of every command that has a run. */

struct tw_watching_settings {
    const char *metrics; /* an address; NULL: none */
    const char *emf;     /* a file, or - */
    const char *report;  /* a file */
};

#define TW_WATCHING_OPTIONS(at)                                                                                        \
    {"metrics",                                                                                                        \
     0,                                                                                                                \
     TW_OPTION_TEXT,                                                                                                   \
     at(metrics),                                                                                                      \
     "ADDRESS:PORT",                                                                                                   \
     "serve live figures to Prometheus, as 127.0.0.1:9464 (port 0: a free one)",                                       \
     0,                                                                                                                \
     0,                                                                                                                \
     NULL},                                                                                                            \
        {"emf", 0,   TW_OPTION_TEXT, at(emf), "FILE", "a line for CloudWatch every minute (- : standard error)", 0,    \
         0,     NULL},                                                                                                 \
    {                                                                                                                  \
        "report", 0, TW_OPTION_TEXT, at(report), "FILE.html",                                                          \
            "one page with charts of the run, to be looked at offline", 0, 0, NULL                                     \
    }

struct tw_prometheus_server;

/* Zeroed, it is not open. */
struct tw_watching {
    const struct tw_watching_settings *settings;
    struct tumble_watch *watch; /* for whoever runs; NULL: nobody looks */
    const char *source;
    struct tw_prometheus_server *server;
    struct tw_emf_writer *emf;
    int emf_fd;
    uint64_t emf_lines, emf_lost;
    struct tumble_error emf_error; /* of the last one lost */
    bool is_quiet;
    int64_t minute; /* of the run's clock, up to which lines were written */
    struct tw_watch_since since;
    struct tw_run_facts facts;
};

/* The command line, for the report: before options are parsed, which writes to it. */
void tw_watching_command(int argc, char *const *argv);

/* Opens what is asked for, so that what cannot be is known before the run; says where metrics are unless quiet.
 * source: what is read, by the name that rows bear. Everything is borrowed.
 * Errors: EUSAGE, EOUTPUT, ENOMEM. */
enum tumble_code tw_watching_open(struct tw_watching *watching, const struct tw_watching_settings *settings,
                                  enum tumble_watch_kind kind, const char *source, bool is_quiet,
                                  struct tumble_error *err);

/* Now and then, from the thread that runs: lines that are due. */
void tw_watching_tick(struct tw_watching *watching);

/* The last line, and the report: of a run that failed before it read a record only where no file is yet. Errors:
 * EOUTPUT (lines of --emf that were lost, too), ENOMEM. Then, whatever happened, tw_watching_close. */
enum tumble_code tw_watching_finish(struct tw_watching *watching, struct tumble_error *err);
void tw_watching_close(struct tw_watching *watching);

#endif
