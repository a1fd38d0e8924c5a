/* `bootstrap`: the program that Lambda starts as a function on an OS-only runtime. Takes events from the Runtime API
 * and answers them with the engine; docs/lambda.md tells how it is configured. */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tumble/version.h>

#include "adapters/inputs/lambda/lambda_settings.h"
#include "adapters/inputs/lambda/runtime_api.h"
#include "cli/bootstrap_report.h"
#include "cli/function_setup.h"

extern char **environ;

enum { SPEC_PATH_BYTES = 4096, EXIT_CONFIGURATION = 1, EXIT_RUNTIME_API = 3 };

struct bootstrap {
    struct tw_lambda_settings settings;
    struct tw_runtime_api *api;
    struct tw_lambda_log *log;
    struct tw_emf_writer *metrics;
    struct tw_function function;
    char spec_path[SPEC_PATH_BYTES];
    int64_t deadline_ms; /* of the invocation at hand, on the wall clock; -1: none */
    int64_t margin_ms;
    const char *request_id; /* of the invocation at hand; NULL: none */
};

/* ---- time: read when it is needed, never remembered across a freeze ---- */

static int64_t now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static double steady_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int64_t remaining_ms(void *ctx) {
    const struct bootstrap *self = ctx;
    return self->deadline_ms < 0 ? INT64_MAX : self->deadline_ms - self->margin_ms - now_ms();
}

static void sleep_ms(void *ctx, int64_t how_long) {
    (void)ctx;
    struct timespec time = {how_long / 1000, how_long % 1000 * 1000000};
    while (how_long > 0 && nanosleep(&time, &time) != 0) {
    }
}

static void say(void *ctx, const char *line) {
    const struct bootstrap *self = ctx;
    tw_lambda_log_write(self->log, TW_LOG_WARN, now_ms(), self->request_id, NULL, "%s", line);
}

/* ---- SIGTERM: Lambda shuts the sandbox down ---- */

static volatile sig_atomic_t waiting; /* for an event: nothing is under way */
static volatile sig_atomic_t stopped;

static void on_signal(int number) {
    (void)number;
    if (waiting) {
        _exit(0); /* whatever was answered is durable, and nothing else counts */
    }
    stopped = 1;
}

static void watch_signals(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

/* ---- start ---- */

static void tell_plainly(const char *text) { fprintf(stderr, "bootstrap: %s\n", text); }

static const char *init_error_type(enum tumble_code code) {
    switch (code) {
    case TUMBLE_EUSAGE: return "Tumble.Configuration";
    case TUMBLE_ENOMEM: return "Tumble.OutOfMemory";
    case TUMBLE_ESPEC:
    case TUMBLE_EPATTERN:
    case TUMBLE_EPATH: return "Tumble.InvalidSpec";
    case TUMBLE_EOUTPUT:
    case TUMBLE_EREFUSED: return "Tumble.OutputFailed";
    default: return "Tumble.InitFailed";
    }
}

/* Tells Lambda, and whoever reads the log, why there will be no `next`. */
static int refuse_to_start(struct bootstrap *self, const struct tumble_error *err) {
    const char *type = init_error_type(err->code);
    char text[sizeof self->function.place.text + TUMBLE_ERROR_TEXT];
    enum tw_runtime_answer answer;
    snprintf(text, sizeof text, "%s%s", self->function.place.text,
             err->text[0] ? err->text : tumble_code_text(err->code));
    tw_lambda_log_write(self->log, TW_LOG_ERROR, now_ms(), NULL, type, "%s", text);
    if (!self->api) {
        tell_plainly(text);
        return EXIT_CONFIGURATION;
    }
    struct tumble_bytes document = tw_runtime_api_document(self->api, type, text);
    struct tumble_error post_error = {.text = ""};
    if (tw_runtime_api_fail_init(self->api, type, document, &answer, &post_error) != TUMBLE_OK) {
        tw_lambda_log_write(self->log, TW_LOG_ERROR, now_ms(), NULL, NULL, "%s", post_error.text);
    }
    return EXIT_CONFIGURATION;
}

static enum tumble_code find_spec(struct bootstrap *self, struct tumble_error *err) {
    const struct tw_lambda_settings *settings = &self->settings;
    const char *name = settings->spec ? settings->spec : "spec.json";
    int length = name[0] == '/' ? snprintf(self->spec_path, sizeof self->spec_path, "%s", name)
                                : snprintf(self->spec_path, sizeof self->spec_path, "%s/%s", settings->task_root, name);
    err->code = TUMBLE_EUSAGE;
    if (length < 0 || (size_t)length >= sizeof self->spec_path) {
        snprintf(err->text, sizeof err->text, "TUMBLE_SPEC: the path is too long");
        return TUMBLE_EUSAGE;
    }
    if (!settings->spec && access(self->spec_path, F_OK) != 0) {
        snprintf(
            err->text, sizeof err->text,
            "no spec: set TUMBLE_SPEC to its JSON text or to its path, or put spec.json beside bootstrap (there is "
            "no %.150s)",
            self->spec_path);
        return TUMBLE_EUSAGE;
    }
    return TUMBLE_OK;
}

static enum tumble_code open_metrics(struct bootstrap *self, struct tumble_error *err) {
    const char *name_space = self->settings.metrics_namespace;
    if (!name_space) {
        return TUMBLE_OK;
    }
    if (!tw_emf_namespace_ok(name_space)) {
        err->code = TUMBLE_EUSAGE;
        snprintf(
            err->text, sizeof err->text,
            "TUMBLE_METRICS_NAMESPACE: \"%.100s\" is no namespace that CloudWatch takes (1 to 256 of A-Z a-z 0-9 . "
            "- _ / # :, not beginning with AWS/; none: no metrics)",
            name_space);
        return TUMBLE_EUSAGE;
    }
    return tw_emf_writer_open(STDOUT_FILENO, (struct tumble_alloc){0}, &self->metrics, err);
}

static enum tumble_code open_engine(struct bootstrap *self, struct tumble_error *err) {
    const struct tw_lambda_settings *settings = &self->settings;
    if (!settings->spec_is_text) {
        enum tumble_code code = find_spec(self, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    struct tw_function_settings how = {
        .spec = settings->spec_is_text ? NULL : self->spec_path,
        .spec_text = settings->spec_is_text ? settings->spec : NULL,
        .outputs = settings->outputs,
        .output_count = settings->output_count,
        .failures = settings->failures,
        .plugins = settings->plugins,
        .plugin_count = settings->plugin_count,
        .state_directory = settings->state_directory,
        .spill = settings->spill,
        .source = settings->source,
        .inline_state_limit = settings->inline_state_limit,
        .memory_limit_bytes = settings->memory_limit_bytes,
        .report_batch_item_failures = settings->report_batch_item_failures,
        .warm = true,
        .host = {self, remaining_ms, sleep_ms},
        .say = say,
    };
    return tw_function_open(&how, &self->function, err);
}

static enum tumble_code start(struct bootstrap *self, struct tumble_error *err) {
    const char *const *environment = (const char *const *)environ;
    struct tumble_alloc alloc = {0};
    enum tumble_code settled = tw_lambda_settings_read(&self->settings, environment, alloc, err);
    struct tumble_error other = {.text = ""};
    self->deadline_ms = -1;
    /* A setting that is wrong is told through the Runtime API, so that comes first. */
    enum tumble_code code = tw_lambda_log_open(STDERR_FILENO, self->settings.log_level, alloc, &self->log, &other);
    if (code == TUMBLE_OK) {
        code = tw_runtime_api_open(self->settings.runtime_api, alloc, &self->api, &other);
    }
    if (code != TUMBLE_OK) {
        *err = other;
        return code;
    }
    code = settled;
    if (code == TUMBLE_OK) {
        code = open_metrics(self, err);
    }
    return code == TUMBLE_OK ? open_engine(self, err) : code;
}

static void tell_start(struct bootstrap *self) {
    struct tumble_error err = {.text = ""};
    if (tw_runtime_api_register_extension(self->api, "tumble", &err) != TUMBLE_OK) {
        tw_lambda_log_write(self->log, TW_LOG_DEBUG, now_ms(), NULL, NULL, "no SIGTERM will come: %s", err.text);
    }
    if (self->function.to_stdout) {
        tw_lambda_log_write(
            self->log, TW_LOG_WARN, now_ms(), NULL, NULL,
            "no outputs are named: rows go to this log (set TUMBLE_OUTPUTS, or \"outputs\" in the spec)");
    }
    tw_lambda_log_write(self->log, TW_LOG_INFO, now_ms(), NULL, NULL,
                        "tumble " TUMBLE_VERSION_STRING ", spec %016" PRIx64 ", %zu output%s",
                        tumble_spec_digest(tumble_spec_for_fragments(self->function.spec)), self->function.output_count,
                        self->function.output_count == 1 ? "" : "s");
}

/* ---- one invocation ---- */

static void set_trace_id(const char *trace_id) {
    if (trace_id[0]) {
        setenv("_X_AMZN_TRACE_ID", trace_id, 1);
    } else {
        unsetenv("_X_AMZN_TRACE_ID");
    }
}

/* A quarter of the time is kept to answer in where a short time-out leaves no room for the whole margin. */
static void set_deadline(struct bootstrap *self, int64_t deadline_ms, int64_t received_ms) {
    int64_t quarter = deadline_ms > received_ms ? (deadline_ms - received_ms) / 4 : 0;
    self->deadline_ms = deadline_ms;
    self->margin_ms = self->settings.deadline_margin_ms < quarter ? self->settings.deadline_margin_ms : quarter;
}

/* Posts what the invocation came to; too_large and refused change the report. */
static enum tumble_code answer_with(struct bootstrap *self, const struct tw_runtime_invocation *invocation,
                                    struct tw_bootstrap_report *report, struct tumble_error *err) {
    enum tw_runtime_answer answer = TW_RUNTIME_ACCEPTED;
    enum tumble_code code = TUMBLE_OK;
    struct tumble_bytes document = report->invoked->response;
    if (!report->error_type) {
        code = tw_runtime_api_respond(self->api, invocation, document, &answer, err);
        if (code == TUMBLE_OK && answer == TW_RUNTIME_TOO_LARGE) {
            report->error_type = "Tumble.ResponseTooLarge";
            report->error_text = "the response is over Lambda's 6 MB: set TUMBLE_SPILL, or lower "
                                 "TUMBLE_INLINE_STATE_LIMIT";
            document = tumble_bytes_of(NULL);
        }
    }
    if (report->error_type && code == TUMBLE_OK) {
        if (document.length == 0) {
            document = tw_runtime_api_document(self->api, report->error_type, report->error_text);
        }
        code = tw_runtime_api_fail(self->api, invocation, report->error_type, document, &answer, err);
    }
    if (code == TUMBLE_OK && answer != TW_RUNTIME_ACCEPTED) {
        tw_lambda_log_write(self->log, TW_LOG_WARN, now_ms(), invocation->request_id, NULL,
                            "the Runtime API did not take the answer: the invocation is over already");
    }
    return code;
}

static enum tumble_code handle(struct bootstrap *self, const struct tw_runtime_invocation *invocation,
                               enum tumble_code received, struct tumble_error *err) {
    struct tumble_invoked invoked;
    memset(&invoked, 0, sizeof invoked);
    invoked.last_arrival_ms = -1;
    double began = steady_ms();
    struct tw_bootstrap_report report = {
        .invoked = &invoked, .request_id = invocation->request_id, .received_ms = now_ms(), .error_text = err->text};
    set_trace_id(invocation->trace_id);
    set_deadline(self, invocation->deadline_ms, report.received_ms);
    self->request_id = invocation->request_id;
    if (received == TUMBLE_ELIMIT) {
        report.error_type = "Tumble.EventTooLarge";
    } else if (tumble_engine_invoke(self->function.engine, invocation->event, &invoked, err) != TUMBLE_OK) {
        report.error_type = invoked.error_type ? invoked.error_type : "Tumble.Internal";
    }
    report.duration_ms = steady_ms() - began;
    struct tumble_error post_error = {.text = ""};
    enum tumble_code code = answer_with(self, invocation, &report, &post_error);
    tw_bootstrap_report(self->log, self->metrics, self->settings.metrics_namespace, self->settings.function_name,
                        &report);
    self->request_id = NULL;
    self->deadline_ms = -1;
    if (code != TUMBLE_OK) {
        *err = post_error;
    }
    return code;
}

static int serve(struct bootstrap *self) {
    static struct tw_runtime_invocation invocation;
    struct tumble_error err;
    for (;;) {
        memset(&err, 0, sizeof err);
        waiting = 1;
        enum tumble_code code = stopped ? TUMBLE_EINTERRUPTED : tw_runtime_api_next(self->api, &invocation, &err);
        waiting = 0;
        if (code == TUMBLE_EINTERRUPTED) {
            return 0;
        }
        if (code == TUMBLE_OK || code == TUMBLE_ELIMIT) {
            code = handle(self, &invocation, code, &err);
        }
        if (code != TUMBLE_OK) {
            tw_lambda_log_write(self->log, TW_LOG_ERROR, now_ms(), NULL, "Tumble.RuntimeApi", "%s: ending", err.text);
            return EXIT_RUNTIME_API;
        }
    }
}

int main(void) {
    static struct bootstrap self;
    struct tumble_error err = {.byte = -1, .record = -1};
    int status;
    watch_signals();
    err.code = start(&self, &err);
    if (err.code != TUMBLE_OK) {
        status = refuse_to_start(&self, &err);
    } else {
        tell_start(&self);
        status = serve(&self);
    }
    tw_function_close(&self.function);
    tw_emf_writer_close(self.metrics);
    tw_runtime_api_close(self.api);
    tw_lambda_log_close(self.log);
    tw_lambda_settings_clean_up(&self.settings);
    return status;
}
