#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/plugin_list.h"
#include "cli/terminal_text.h"
#include "runner/output_option.h"

enum { FORMAT_TEXT, FORMAT_JSON };

struct settings {
    struct tw_list plugins;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

#define AT(member) offsetof(struct settings, member)

static const struct tw_option options[] = {
    TW_PLUGIN_OPTION(AT(plugins)),
    {"format", 'f', TW_OPTION_CHOICE, AT(format), "text|json", "words, or one JSON array (text)", 0, 0, formats},
};

static const struct tw_option_table table = {
    .command = "outputs",
    .usage = "Usage: tumble outputs [OPTION]...\n"
             "Lists where rows can go, with the options of each.\n"
             "\n"
             "  tumble outputs\n"
             "  tumble outputs --plugin /usr/lib/tumble/sqlite.so --format json\n"
             "\n"
             "An output is named by a URI, NAME:TARGET?option=value&option=value.\n"
             "\n"
             "      --plugin FILE    load an output from a shared object; repeatable\n"
             "  -f, --format FORMAT  text or json\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .operands = NULL,
};

static const struct {
    uint32_t flag;
    const char *name;
    const char *text;
} traits[] = {
    {TUMBLE_OUTPUT_NO_ROWS, "failures_only", "takes failures only"},
    {TUMBLE_OUTPUT_NO_FAILURES, "rows_only", "takes rows of windows only"},
    {TUMBLE_OUTPUT_AT_LEAST_ONCE, "at_least_once", "at least once: after a crash rows may stand there twice"},
    {TUMBLE_OUTPUT_WHOLE_FRAGMENTS, "whole_fragments", "takes fragments whole"},
    {TUMBLE_OUTPUT_OTHER_OPTIONS, "other_options", "takes options of other names too"},
};
enum { TRAIT_COUNT = sizeof traits / sizeof traits[0] };

/* ---- text ---- */

static void print_bounds(const struct tumble_output_option *option) {
    if (option->minimum != 0 || option->maximum != 0) {
        printf(", %" PRId64 " to %" PRId64 "%s", option->minimum, option->maximum,
               option->type == TUMBLE_OPTION_SIZE       ? " bytes"
               : option->type == TUMBLE_OPTION_DURATION ? " ms"
                                                        : "");
    }
}

static void print_option(const struct tumble_output_option *option) {
    printf("    %s=", option->name);
    if (option->type == TUMBLE_OPTION_ENUM) {
        for (size_t i = 0; option->words[i]; i++) {
            printf("%s%s", i ? "|" : "", option->words[i]);
        }
    } else {
        fputs(tumble_output_option_type(option->type), stdout);
    }
    print_bounds(option);
    if (option->required) {
        fputs(" (required)", stdout);
    } else if (option->default_value) {
        printf(" (default %s)", option->default_value[0] ? option->default_value : "\"\"");
    }
    fputs("\n        ", stdout);
    tw_print_plain(stdout, tumble_bytes_of(option->help));
    putchar('\n');
}

static void print_text(const struct tumble_registered_output *output) {
    const struct tumble_output_api *api = output->api;
    printf("%s:", api->name);
    tw_print_plain(stdout, tumble_bytes_of(api->target));
    putchar('\n');
    if (api->summary) {
        fputs("    ", stdout);
        tw_print_plain(stdout, tumble_bytes_of(api->summary));
        putchar('\n');
    }
    for (size_t i = 0; i < TRAIT_COUNT; i++) {
        if (api->flags & traits[i].flag) {
            printf("    %s\n", traits[i].text);
        }
    }
    if (output->plugin) {
        fputs("    from ", stdout);
        tw_print_plain(stdout, tumble_bytes_of(output->plugin));
        putchar('\n');
    }
    for (size_t i = 0; i < api->option_count; i++) {
        print_option(&api->options[i]);
    }
}

/* ---- JSON ---- */

static void print_member(const char *name, const char *text) {
    printf(",\"%s\":", name);
    if (text) {
        tw_print_json_string(stdout, tumble_bytes_of(text));
    } else {
        fputs("null", stdout);
    }
}

static void print_option_json(const struct tumble_output_option *option) {
    printf("{\"name\":\"%s\",\"type\":\"%s\",\"required\":%s", option->name, tumble_output_option_type(option->type),
           option->required ? "true" : "false");
    print_member("default", option->default_value);
    print_member("help", option->help);
    if (option->type == TUMBLE_OPTION_ENUM) {
        fputs(",\"words\":[", stdout);
        for (size_t i = 0; option->words[i]; i++) {
            fputs(i ? "," : "", stdout);
            tw_print_json_string(stdout, tumble_bytes_of(option->words[i]));
        }
        putchar(']');
    }
    if (option->minimum != 0 || option->maximum != 0) {
        printf(",\"minimum\":%" PRId64 ",\"maximum\":%" PRId64, option->minimum, option->maximum);
    }
    putchar('}');
}

static void print_json(const struct tumble_registered_output *output) {
    const struct tumble_output_api *api = output->api;
    printf("{\"name\":\"%s\",\"abi\":%" PRIu32, api->name, api->abi_version);
    print_member("target", api->target);
    print_member("summary", api->summary);
    print_member("plugin", output->plugin);
    for (size_t i = 0; i < TRAIT_COUNT; i++) {
        printf(",\"%s\":%s", traits[i].name, api->flags & traits[i].flag ? "true" : "false");
    }
    fputs(",\"options\":[", stdout);
    for (size_t i = 0; i < api->option_count; i++) {
        fputs(i ? "," : "", stdout);
        print_option_json(&api->options[i]);
    }
    fputs("]}", stdout);
}

int tw_cmd_outputs(int argc, char **argv) {
    static struct settings settings;
    int count = 0;
    enum tw_parsed parsed = tw_options_parse(&table, argc, argv, &settings, &count);
    if (parsed != TW_PARSED_RUN) {
        return parsed == TW_PARSED_HELP ? TW_EXIT_OK : TW_EXIT_USAGE;
    }
    struct tumble_output_registry *registry;
    struct tumble_error err = {.byte = -1, .record = -1};
    err.code = tw_outputs_load(&settings.plugins, &registry, &err);
    if (err.code != TUMBLE_OK) {
        return tw_exit_with(&err);
    }
    struct tumble_registered_output output;
    fputs(settings.format == FORMAT_JSON ? "[" : "", stdout);
    for (size_t i = 0; tumble_output_registry_at(registry, i, &output); i++) {
        fputs(i == 0 ? "" : settings.format == FORMAT_JSON ? ",\n" : "\n", stdout);
        if (settings.format == FORMAT_JSON) {
            print_json(&output);
        } else {
            print_text(&output);
        }
    }
    fputs(settings.format == FORMAT_JSON ? "]\n" : "", stdout);
    return TW_EXIT_OK;
}
