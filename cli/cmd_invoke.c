#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/function_setup.h"
#include "cli/option_table.h"
#include "cli/terminal_text.h"

struct settings {
    const char *spec;
    const char *state;
    struct tw_list response_types;
    struct tw_list outputs;
    struct tw_list plugins;
    const char *failures;
    const char *spill;
    int64_t inline_state_limit;
    int64_t timeout_ms;
    const char *source;
    bool quiet;
};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    {"spec", 's', TW_OPTION_TEXT, AT(spec), "FILE", "what to aggregate, as JSON", 0, 0, NULL},
    {"state", 0, TW_OPTION_TEXT, AT(state), "DIR", "keep spilled state here, as a cache; made when missing", 0, 0,
     NULL},
    {"function-response-types", 0, TW_OPTION_COMMAS, AT(response_types), "ReportBatchItemFailures",
     "what the mapping lists: a bad record is then reported, not an error", 0, 0, NULL},
    {"output", 'o', TW_OPTION_LIST, AT(outputs), "URI", "where the rows of a final go (-); repeatable", 0, 0, NULL},
    {"plugin", 0, TW_OPTION_LIST, AT(plugins), "FILE", "load an output from a shared object, by its absolute path", 0,
     0, NULL},
    {"failures", 0, TW_OPTION_TEXT, AT(failures), "URI", "where diverted records go", 0, 0, NULL},
    {"spill", 0, TW_OPTION_TEXT, AT(spill), "URI", "file:DIR or s3://BUCKET/PREFIX, for a state over the limit", 0, 0,
     NULL},
    {"inline-state-limit", 0, TW_OPTION_NUMBER, AT(inline_state_limit), "BYTES",
     "of state in the response, as JSON (900000)", 1000, 4194304, NULL},
    {"timeout-ms", 0, TW_OPTION_NUMBER, AT(timeout_ms), "MS", "answer within this time, as Lambda would ask for", 1,
     INT64_C(1000000000), NULL},
    {"source", 0, TW_OPTION_TEXT, AT(source), "NAME", "part of every row's key (the event's stream)", 0, 0, NULL},
    {"quiet", 'q', TW_OPTION_FLAG, AT(quiet), "[true|false]", "no closing line", 0, 0, NULL},
};

static const struct tw_option_table table = {
    .command = "invoke",
    .usage = "Usage: tumble invoke --spec FILE [OPTION]... < event.json > response.json\n"
             "Handles one Lambda event with a time window, as the function in the zip would.\n"
             "\n"
             "  tumble invoke --spec orders.json --output file:rows.ndjson < event.json\n"
             "\n"
             "The event is standard input. The response, or the error document, is the last\n"
             "line of standard output; rows of a final go there too unless --output says\n"
             "where. Ends with 0 whenever there was a response.\n"
             "\n"
             "  -s, --spec FILE        what to aggregate, as JSON\n"
             "      --function-response-types ReportBatchItemFailures\n"
             "                         what the mapping lists: a bad record is reported\n"
             "  -o, --output URI       where the rows of a final go; repeatable\n"
             "      --failures URI     where diverted records go\n"
             "      --spill URI        file:DIR or s3://BUCKET/PREFIX, for a large state\n"
             "      --state DIR        keep spilled state here too, as a cache\n"
             "      --help             every option\n",
    .operands = "",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

/* ---- time ---- */

static int64_t end_ms; /* on the steady clock */

static int64_t steady_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t remaining_ms(void *ctx) {
    (void)ctx;
    return end_ms - steady_ms();
}

static void sleep_ms(void *ctx, int64_t how_long) {
    (void)ctx;
    struct timespec time = {how_long / 1000, how_long % 1000 * 1000000};
    while (how_long > 0 && nanosleep(&time, &time) != 0) {
    }
}

static void say(void *ctx, const char *line) {
    (void)ctx;
    tw_say("%s", line);
}

/* ---- event and response ---- */

static char event_bytes[TUMBLE_EVENT_LIMIT + 1];

static enum tumble_code read_event(struct tumble_bytes *event, struct tumble_error *err) {
    event->data = event_bytes;
    event->length = fread(event_bytes, 1, sizeof event_bytes, stdin);
    err->code = TUMBLE_EINPUT;
    if (ferror(stdin)) {
        snprintf(err->text, sizeof err->text, "standard input: %s", strerror(errno));
        return TUMBLE_EINPUT;
    }
    if (event->length == 0) {
        snprintf(err->text, sizeof err->text, "there is no event: standard input is empty (write < event.json)");
        return TUMBLE_EINPUT;
    }
    if (event->length > TUMBLE_EVENT_LIMIT) {
        snprintf(err->text, sizeof err->text, "the event has more than %u bytes, Lambda's limit", TUMBLE_EVENT_LIMIT);
        return TUMBLE_EINPUT;
    }
    return TUMBLE_OK;
}

static void tell(const struct tumble_invoked *invoked) {
    char records[TW_NUMBER_TEXT], groups[TW_NUMBER_TEXT], rows[TW_NUMBER_TEXT], state[TW_NUMBER_TEXT];
    tw_say(
        "%s record%s (%llu applied, %llu late, %llu duplicate, %llu filtered, %llu bad) \xe2\x86\x92 %s group%s, %s of "
        "state, %s row%s%s",
        tw_number_text(invoked->records, records), tw_plural(invoked->records),
        (unsigned long long)invoked->fates[TUMBLE_FATE_APPLIED], (unsigned long long)invoked->fates[TUMBLE_FATE_LATE],
        (unsigned long long)invoked->fates[TUMBLE_FATE_DUPLICATE],
        (unsigned long long)invoked->fates[TUMBLE_FATE_FILTERED], (unsigned long long)invoked->fates[TUMBLE_FATE_BAD],
        tw_number_text(invoked->groups, groups), tw_plural(invoked->groups), tw_bytes_text(invoked->state_bytes, state),
        tw_number_text(invoked->rows, rows), tw_plural(invoked->rows),
        invoked->reported ? "; a record is reported, Lambda would try again from it" : "");
}

static int handle(const struct settings *settings, struct tw_function *function, struct tumble_bytes event) {
    struct tumble_invoked invoked;
    struct tumble_error err = {.byte = -1, .record = -1};
    memset(&invoked, 0, sizeof invoked);
    if (settings->timeout_ms) {
        end_ms = steady_ms() + settings->timeout_ms;
    }
    err.code = tumble_engine_invoke(function->engine, event, &invoked, &err);
    fwrite(invoked.response.data, 1, invoked.response.length, stdout);
    putchar('\n');
    if (err.code != TUMBLE_OK) {
        const char *type = invoked.error_type ? invoked.error_type : "error";
        tw_say("%s: %s", type, err.text);
        if (strcmp(type, "Tumble.StateCorrupt") == 0) {
            tw_say("a sample event holds a state of another function: begin the window with \"state\": {}");
        }
        return (int)tw_exit_of(err.code);
    }
    if (!settings->quiet) {
        tell(&invoked);
    }
    return TW_EXIT_OK;
}

static int usage_error(const char *text, const char *what) {
    tw_say("invoke: %s%s", text, what);
    tw_say("see tumble invoke -h");
    return TW_EXIT_USAGE;
}

int tw_cmd_invoke(int argc, char **argv) {
    struct settings settings = {0};
    int operands = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &operands);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    if (operands > 0) {
        return usage_error("the event is standard input: write < ", argv[1]);
    }
    if (!settings.spec) {
        return usage_error("name the spec with --spec FILE", "");
    }
    if (strcmp(settings.spec, "-") == 0) {
        return usage_error("standard input is the event: --spec takes a file", "");
    }
    for (size_t i = 0; i < settings.response_types.count; i++) {
        if (strcmp(settings.response_types.items[i], "ReportBatchItemFailures") != 0) {
            return usage_error("--function-response-types takes ReportBatchItemFailures, not ",
                               settings.response_types.items[i]);
        }
    }
    struct tw_function_settings how = {
        .spec = settings.spec,
        .outputs = settings.outputs.items,
        .output_count = settings.outputs.count,
        .plugins = settings.plugins.items,
        .plugin_count = settings.plugins.count,
        .failures = settings.failures,
        .state_directory = settings.state,
        .spill = settings.spill,
        .source = settings.source,
        .inline_state_limit = (size_t)settings.inline_state_limit,
        .report_batch_item_failures = settings.response_types.count > 0,
        .host = {NULL, settings.timeout_ms ? remaining_ms : NULL, sleep_ms},
        .say = settings.quiet ? NULL : say,
    };
    static struct tw_function function;
    struct tumble_error err = {.byte = -1, .record = -1};
    struct tumble_bytes event;
    end_ms = steady_ms() + settings.timeout_ms;
    err.code = tw_function_open(&how, &function, &err);
    if (err.code == TUMBLE_OK) {
        err.code = read_event(&event, &err);
    }
    int status;
    if (err.code != TUMBLE_OK) {
        tw_say("%s%s", function.place.text, err.text[0] ? err.text : tumble_code_text(err.code));
        status = (int)tw_exit_of(err.code);
    } else {
        status = handle(&settings, &function, event);
    }
    tw_function_close(&function);
    return status;
}
