#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/delivery.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/plugin_list.h"
#include "cli/stop_signal.h"
#include "cli/terminal_text.h"
#include "runner/delivery.h"

enum { OUTPUT_MAX = TUMBLE_DELIVERY_OUTPUTS };

struct settings {
    const char *state;
    struct tw_list outputs;
    struct tw_list plugins;
    int64_t timeout_seconds;
    bool quiet;
};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"state", 0, TW_OPTION_TEXT, AT(state), "DIR", "the state directory whose rows to deliver", 0, 0, NULL},
    {"output", 'o', TW_OPTION_LIST, AT(outputs), "URI", "only this output of the state; repeatable", 0, 0, NULL},
    TW_PLUGIN_OPTION(AT(plugins)),
    {"output-timeout", 0, TW_OPTION_DURATION, AT(timeout_seconds), "DURATION",
     "how long an output that takes nothing is waited for (300)", 0, 315360000, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no notes, no closing line", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "drain",
    .usage = "Usage: tumble drain --state DIR [OPTION]...\n"
             "Delivers the rows that wait in a state's outbox; reads no input.\n"
             "\n"
             "  tumble drain --state state\n"
             "  tumble drain --state state --output dynamodb:orders\n"
             "\n"
             "      --state DIR         the state directory\n"
             "  -o, --output URI        only this output of the state; repeatable\n"
             "      --plugin FILE       load an output from a shared object; repeatable\n"
             "      --output-timeout D  how long an output that takes nothing is waited for\n"
             "  -q, --quiet             no notes, no closing line\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = NULL,
};

static int64_t remaining_ms(void *ctx) {
    (void)ctx;
    return tw_stop_signal() ? 0 : INT64_MAX;
}

static void on_line(void *ctx, const char *line) {
    const struct settings *settings = ctx;
    if (!settings->quiet) {
        tw_say("%s", line);
    }
}

/* ---- the outputs of the state ---- */

struct stored {
    char name[TUMBLE_URI_BYTES];
    char format[16]; /* that the run gave beside the URI; "": none */
    enum tumble_row_kind kind;
    uint64_t rows;
    bool wanted;
    struct tumble_output_uri uri;
};

struct drain {
    const struct settings *settings;
    struct tumble_engine *engine;
    struct tumble_output_registry *registry;
    struct stored *outputs;
    size_t count;
    struct tumble_output_host host;
    struct tumble_error err;
};

static enum tumble_code note_output(void *ctx, const struct tumble_stored_output *output) {
    struct drain *self = ctx;
    if (self->count == OUTPUT_MAX || output->name.length >= sizeof self->outputs->name) {
        self->err.code = TUMBLE_ELIMIT;
        snprintf(self->err.text, sizeof self->err.text, "the state knows more than %d outputs", OUTPUT_MAX);
        return TUMBLE_ELIMIT;
    }
    struct stored *stored = &self->outputs[self->count++];
    memcpy(stored->name, output->name.data, output->name.length);
    stored->kind = output->kind;
    stored->rows = output->rows;
    return TUMBLE_OK;
}

/* A replay notes its outputs as lines "--output=URI", and behind a file's its format. */
static void read_format(const struct drain *self, struct stored *stored) {
    static const char label[] = "its format=";
    struct tumble_bytes note = tumble_engine_note(self->engine, "replay");
    const char *at = note.data, *end = at ? at + note.length : NULL;
    bool mine = false;
    while (at && at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t length = (size_t)(stop - at), head = strlen(label);
        const char *equals = memchr(at, '=', length);
        if (mine && length > head && memcmp(at, label, head) == 0 && length - head < sizeof stored->format) {
            memcpy(stored->format, at + head, length - head);
            stored->format[length - head] = '\0';
            return;
        }
        size_t name = equals ? (size_t)(stop - equals - 1) : 0;
        mine = equals && name == strlen(stored->name) && memcmp(equals + 1, stored->name, name) == 0;
        at = stop < end ? stop + 1 : end;
    }
}

static enum tumble_code unknown_output(struct drain *self, const char *name) {
    char names[200] = "";
    for (size_t i = 0, used = 0; i < self->count && used < sizeof names; i++) {
        int n = snprintf(names + used, sizeof names - used, "%s%.80s", i ? ", " : "", self->outputs[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    snprintf(self->err.text, sizeof self->err.text, "drain: the state knows no output \"%.80s\": it has %.150s", name,
             self->count ? names : "none");
    return TUMBLE_EUSAGE;
}

static enum tumble_code choose(struct drain *self) {
    const struct tw_list *named = &self->settings->outputs;
    for (size_t i = 0; i < self->count; i++) {
        self->outputs[i].wanted = named->count == 0;
    }
    for (size_t n = 0; n < named->count; n++) {
        bool found = false;
        for (size_t i = 0; i < self->count; i++) {
            const char *name = self->outputs[i].name;
            bool same = strcmp(name, named->items[n]) == 0 ||
                        (strncmp(name, "file:", 5) == 0 && strcmp(name + 5, named->items[n]) == 0);
            self->outputs[i].wanted = self->outputs[i].wanted || same;
            found = found || same;
        }
        if (!found) {
            return unknown_output(self, named->items[n]);
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code attach(struct drain *self, struct stored *stored) {
    if (!stored->wanted) {
        return tumble_engine_attach_absent(self->engine, stored->name, stored->kind, &self->err);
    }
    struct tumble_output_uri *uri = &stored->uri;
    read_format(self, stored);
    enum tumble_code code = tumble_output_uri_parse(self->registry, uri, tumble_bytes_of(stored->name), stored->kind,
                                                    stored->format[0] ? stored->format : NULL, &self->err);
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_output_open how = {.target = uri->output.target,
                                     .options = uri->output.options,
                                     .option_count = uri->output.option_count,
                                     .uri = uri->uri,
                                     .kind = stored->kind,
                                     .host = &self->host};
    return tumble_engine_attach(self->engine, stored->name, uri->output.api, &how, &self->err);
}

static enum tumble_code count_left(void *ctx, const struct tumble_stored_output *output) {
    *(uint64_t *)ctx += output->rows;
    return TUMBLE_OK;
}

static enum tumble_code deliver(struct drain *self) {
    struct tumble_deliverer deliverer = {.engine = self->engine,
                                         .timeout_ms = self->settings->timeout_seconds * 1000,
                                         .state_directory = self->settings->state,
                                         .stopping = tw_stop_signal_came,
                                         .say = on_line,
                                         .say_ctx = (void *)(uintptr_t)self->settings};
    enum tumble_code code = tumble_engine_stored_outputs(self->engine, note_output, self, &self->err);
    uint64_t before = 0, after = 0;
    if (code == TUMBLE_OK) {
        code = choose(self);
    }
    for (size_t i = 0; i < self->count && code == TUMBLE_OK; i++) {
        before += self->outputs[i].rows;
        code = attach(self, &self->outputs[i]);
    }
    if (code == TUMBLE_OK) {
        code = tumble_deliver_all(&deliverer, &self->err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_engine_stored_outputs(self->engine, count_left, &after, &self->err);
    }
    char text[TW_NUMBER_TEXT];
    if (code == TUMBLE_OK && !self->settings->quiet) {
        tw_say("%s row%s delivered", tw_number_text(before > after ? before - after : 0, text),
               before - after == 1 ? "" : "s");
        if (after > 0) {
            tw_say("%s still wait", tw_number_text(after, text));
        }
    }
    return code;
}

/* ---- the command ---- */

static enum tumble_code run(struct drain *self) {
    const struct settings *settings = self->settings;
    struct tumble_alloc alloc = {0};
    struct tumble_spec *spec = NULL;
    static char *json, *source; /* from the C library's memory; live until exit */
    int64_t window_seconds = 0;
    enum tumble_code code = tw_outputs_load(&settings->plugins, &self->registry, &self->err);
    if (code == TUMBLE_OK) {
        code = tumble_engine_peek_spec(settings->state, alloc, &json, &self->err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_engine_peek_source(settings->state, alloc, &source, &window_seconds, &self->err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_spec_parse(tumble_bytes_of(json), NULL, alloc, &spec, &self->err);
    }
    if (code == TUMBLE_OK) {
        struct tumble_engine_options how = {.spec = spec,
                                            .source = tumble_bytes_of(source),
                                            .window_seconds = window_seconds,
                                            .state_directory = settings->state,
                                            .durability = TUMBLE_DURABILITY_COMMIT};
        code = tumble_engine_open(&how, &self->engine, &self->err);
    }
    if (code == TUMBLE_OK) {
        code = deliver(self);
    }
    tumble_engine_destroy(self->engine);
    tumble_spec_destroy(spec);
    return code;
}

int tw_cmd_drain(int argc, char **argv) {
    static struct settings settings = {.timeout_seconds = 300};
    static struct stored outputs[OUTPUT_MAX];
    int count = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    if (!settings.state) {
        tw_say("drain: which state? Give --state DIR");
        tw_say("see tumble drain -h");
        return TW_EXIT_USAGE;
    }
    struct drain self = {
        .settings = &settings,
        .outputs = outputs,
        .host = {.struct_size = sizeof self.host, .ctx = &settings, .remaining_ms = remaining_ms, .say = on_line},
        .err = {.byte = -1, .record = -1}};
    tw_stop_signal_watch();
    tw_broken_pipe_ends(false);
    enum tumble_code code = run(&self);
    if (code != TUMBLE_OK) {
        self.err.code = code;
        return tw_exit_with(&self.err);
    }
    return tw_stop_signal() ? 128 + tw_stop_signal() : TW_EXIT_OK;
}
