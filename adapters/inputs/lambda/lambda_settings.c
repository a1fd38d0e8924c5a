#include "adapters/inputs/lambda/lambda_settings.h"

#include <string.h>

#include "engine/base/arena.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

enum { STATE_LIMIT_LEAST = 1000, STATE_LIMIT_MOST = 4 * 1024 * 1024, MARGIN_MOST = 600000, LIST_BYTES = 64 * 1024 };

struct tw_lambda_settings_memory {
    struct tumble_alloc alloc;
    struct tw_arena arena;
};

/* Every TUMBLE_… there is: another one is a misspelling, and what it was meant to set would silently not be set. */
static const char *const known[] = {
    "TUMBLE_SPEC",
    "TUMBLE_STATE_DIR",
    "TUMBLE_OUTPUTS",
    "TUMBLE_FAILURES",
    "TUMBLE_FUNCTION_RESPONSE_TYPES",
    "TUMBLE_INLINE_STATE_LIMIT",
    "TUMBLE_SPILL",
    "TUMBLE_SOURCE",
    "TUMBLE_LOG_LEVEL",
    "TUMBLE_METRICS_NAMESPACE",
    "TUMBLE_DEADLINE_MARGIN_MS",
    "TUMBLE_PLUGINS",
    "TUMBLE_HASH_SEED",
    "TUMBLE_CPU",
};
enum { KNOWN_COUNT = sizeof known / sizeof *known };

/* The value, or NULL when there is none or an empty one. */
static const char *variable(const char *const *environment, const char *name) {
    size_t length = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
            return (*environment)[length + 1] ? *environment + length + 1 : NULL;
        }
    }
    return NULL;
}

static enum tumble_code check_names(const char *const *environment, struct tumble_error *err) {
    for (; environment && *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        struct tumble_bytes name = {*environment, equals ? (size_t)(equals - *environment) : 0};
        if (name.length <= 7 || memcmp(name.data, "TUMBLE_", 7) != 0 || tw_name_find(name, known, KNOWN_COUNT) >= 0) {
            continue;
        }
        const char *nearest = tw_name_nearest(name, known, KNOWN_COUNT);
        return tw_fail(err, TUMBLE_EUSAGE, "the environment variable %.*s sets nothing%s%s%s",
                       (int)(name.length < 64 ? name.length : 64), name.data, nearest ? ": did you mean " : "",
                       nearest ? nearest : "", nearest ? "?" : "");
    }
    return TUMBLE_OK;
}

static enum tumble_code too_many(const char *name, size_t most, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EUSAGE, "%s: more than %zu values", name, most);
}

/* A JSON array of strings. */
static enum tumble_code read_array(const char *name, struct tumble_bytes text, struct tw_arena *arena,
                                   const char **items, size_t most, size_t *count, struct tumble_error *err) {
    struct tumble_value array, key, value;
    struct tumble_error inner = {0};
    if (tw_json_document(text, TUMBLE_TYPE_ARRAY, &array, &inner) != TUMBLE_OK) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: %.200s", name, inner.text);
    }
    struct tw_json_walk walk;
    tw_json_walk_begin(&walk, &array);
    while (tw_json_walk_next(&walk, &key, &value)) {
        struct tumble_bytes item;
        if (value.type != TUMBLE_TYPE_STRING) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: the array holds %s where a string belongs", name,
                           tw_json_type_name(value.type));
        }
        if (*count == most) {
            return too_many(name, most, err);
        }
        if (!tw_json_string_take(&value, arena, &item)) {
            return tw_no_memory(err);
        }
        if (item.length == 0 || strlen(item.data) != item.length) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: value %zu is empty or holds a NUL", name, *count + 1);
        }
        items[(*count)++] = item.data;
    }
    return TUMBLE_OK;
}

/* A JSON array, or words with commas or white space between them. */
static enum tumble_code read_list(const char *name, const char *text, struct tw_arena *arena, const char **items,
                                  size_t most, size_t *count, struct tumble_error *err) {
    static const char separators[] = ", \t\r\n";
    struct tumble_bytes whole = tumble_bytes_of(text);
    *count = 0;
    if (whole.length > LIST_BYTES) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: longer than %d bytes", name, LIST_BYTES);
    }
    if (text[strspn(text, separators + 1)] == '[') {
        return read_array(name, whole, arena, items, most, count, err);
    }
    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t length = strcspn(text, separators);
        char *item = tw_arena_take(arena, length + 1);
        if (!item) {
            return tw_no_memory(err);
        }
        if (*count == most) {
            return too_many(name, most, err);
        }
        memcpy(item, text, length);
        item[length] = '\0';
        items[(*count)++] = item;
        text += length;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_number(const char *name, const char *text, int64_t least, int64_t most, int64_t *out,
                                    struct tumble_error *err) {
    int64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < digits && digits <= 12; i++) {
        number = number * 10 + (text[i] - '0');
    }
    if (digits < 1 || digits > 12 || text[digits] || number < least || number > most) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: \"%.40s\" is not a whole number from %lld to %lld", name, text,
                       (long long)least, (long long)most);
    }
    *out = number;
    return TUMBLE_OK;
}

static enum tumble_code read_response_types(struct tw_lambda_settings *settings, const char *const *environment,
                                            struct tumble_error *err) {
    static const char name[] = "TUMBLE_FUNCTION_RESPONSE_TYPES";
    const char *text = variable(environment, name);
    const char *items[TW_LAMBDA_OUTPUTS_MAX];
    size_t count = 0;
    if (text) {
        TW_TRY(read_list(name, text, &settings->memory->arena, items, TW_LAMBDA_OUTPUTS_MAX, &count, err));
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i], "ReportBatchItemFailures") != 0) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: \"%.60s\" is none: Lambda knows ReportBatchItemFailures only", name,
                           items[i]);
        }
        settings->report_batch_item_failures = true;
    }
    return TUMBLE_OK;
}

static enum tumble_code read_log_level(struct tw_lambda_settings *settings, const char *const *environment,
                                       struct tumble_error *err) {
    static const char *const names[] = {"TUMBLE_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"};
    for (size_t i = 0; i < 2; i++) {
        const char *text = variable(environment, names[i]);
        if (text && tw_log_level_of(text, &settings->log_level)) {
            return TUMBLE_OK;
        }
        if (text && i == 0) {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: \"%.40s\" is none of debug, info, warn, error, off", names[i],
                           text);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_lambda_settings_read(struct tw_lambda_settings *settings, const char *const *environment,
                                         struct tumble_alloc alloc, struct tumble_error *err) {
    memset(settings, 0, sizeof *settings);
    settings->runtime_api = variable(environment, "AWS_LAMBDA_RUNTIME_API");
    settings->function_name = variable(environment, "AWS_LAMBDA_FUNCTION_NAME");
    settings->log_level = TW_LOG_INFO;
    settings->deadline_margin_ms = TW_LAMBDA_DEADLINE_MARGIN_MS;
    alloc = tw_alloc_or_default(alloc);
    settings->memory = tw_alloc_zero(&alloc, sizeof *settings->memory);
    if (!settings->memory) {
        return tw_no_memory(err);
    }
    settings->memory->alloc = alloc;
    tw_arena_init(&settings->memory->arena, alloc);
    TW_TRY(check_names(environment, err));
    TW_TRY(read_log_level(settings, environment, err));

    const char *text = variable(environment, "LAMBDA_TASK_ROOT");
    settings->task_root = text ? text : ".";
    settings->spec = variable(environment, "TUMBLE_SPEC");
    settings->spec_is_text = settings->spec && settings->spec[strspn(settings->spec, " \t\r\n")] == '{';
    text = variable(environment, "TUMBLE_STATE_DIR");
    settings->state_directory = text ? text : "/tmp/tumble";
    settings->failures = variable(environment, "TUMBLE_FAILURES");
    settings->spill = variable(environment, "TUMBLE_SPILL");
    settings->source = variable(environment, "TUMBLE_SOURCE");
    text = variable(environment, "TUMBLE_METRICS_NAMESPACE");
    settings->metrics_namespace = !text ? "tumble" : strcmp(text, "none") == 0 ? NULL : text;
    text = variable(environment, "TUMBLE_OUTPUTS");
    if (text) {
        TW_TRY(read_list("TUMBLE_OUTPUTS", text, &settings->memory->arena, settings->outputs, TW_LAMBDA_OUTPUTS_MAX,
                         &settings->output_count, err));
    }
    text = variable(environment, "TUMBLE_PLUGINS");
    if (text) {
        TW_TRY(read_list("TUMBLE_PLUGINS", text, &settings->memory->arena, settings->plugins, TW_LAMBDA_OUTPUTS_MAX,
                         &settings->plugin_count, err));
    }
    text = variable(environment, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    int64_t megabytes = 0;
    if (text && read_number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", text, 1, 1 << 20, &megabytes, NULL) == TUMBLE_OK) {
        settings->memory_limit_bytes = (size_t)megabytes * 1024 * 1024 / 4; /* the event, its response and copies too */
    }
    TW_TRY(read_response_types(settings, environment, err));
    text = variable(environment, "TUMBLE_INLINE_STATE_LIMIT");
    if (text) {
        int64_t limit = 0;
        TW_TRY(read_number("TUMBLE_INLINE_STATE_LIMIT", text, STATE_LIMIT_LEAST, STATE_LIMIT_MOST, &limit, err));
        settings->inline_state_limit = (size_t)limit;
    }
    text = variable(environment, "TUMBLE_DEADLINE_MARGIN_MS");
    return text ? read_number("TUMBLE_DEADLINE_MARGIN_MS", text, 0, MARGIN_MOST, &settings->deadline_margin_ms, err)
                : TUMBLE_OK;
}

void tw_lambda_settings_clean_up(struct tw_lambda_settings *settings) {
    struct tw_lambda_settings_memory *memory = settings->memory;
    settings->memory = NULL;
    if (memory) {
        struct tumble_alloc alloc = memory->alloc;
        tw_arena_clean_up(&memory->arena);
        tw_free(&alloc, memory);
    }
}
