#include "cli/function_setup.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "adapters/spill/file_spill.h"
#include "adapters/spill/s3_spill.h"
#include "runner/output_registry.h"

enum { OUTPUT_MAX = 16 };

/* What outputs were opened with: too large for a stack, and pointed to by the engine. */
static struct tumble_output_uri uris[OUTPUT_MAX + 1];
static struct tumble_output_host output_host;

static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum tumble_code refuse(struct tumble_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    return TUMBLE_EUSAGE;
}

static enum tumble_code read_spec(const struct tw_function_settings *settings, struct tw_function *out,
                                  struct tumble_error *err) {
    struct tumble_spec_overrides overrides = {
        .outputs = settings->output_count ? settings->outputs : NULL,
        .output_count = settings->output_count,
        .failures = settings->failures,
    };
    if (!settings->spec_text) {
        return tw_spec_read(settings->spec, &overrides, &out->spec, &out->place, err);
    }
    struct tumble_alloc alloc = {0};
    enum tumble_code code = tumble_spec_parse(tumble_bytes_of(settings->spec_text), &overrides, alloc, &out->spec, err);
    if (code != TUMBLE_OK && code != TUMBLE_ENOMEM) {
        snprintf(out->place.text, sizeof out->place.text,
                 err->byte >= 0 ? "TUMBLE_SPEC: byte %lld: " : "TUMBLE_SPEC: ", (long long)err->byte + 1);
        code = err->code = TUMBLE_ESPEC; /* malformed JSON is the spec's fault here */
    }
    return code;
}

/* mkdir -p. What is wrong with it shows when the cache is opened, and is no error: without a cache every invocation
 * decodes the event's state. */
static void make_directory(const char *directory) {
    char path[PATH_MAX];
    size_t length = strlen(directory);
    if (length == 0 || length >= sizeof path) {
        return;
    }
    memcpy(path, directory, length + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return;
        }
        *slash = '/';
    }
    if (mkdir(path, 0777) != 0) {
        return;
    }
}

static enum tumble_code open_spill(const struct tw_function_settings *settings, struct tw_function *out,
                                   const struct tumble_spill_store **store, struct tumble_error *err) {
    static const char file[] = "file:", s3[] = "s3://";
    const char *text = settings->spill;
    enum tumble_code code = TUMBLE_OK;
    if (!text) {
        return TUMBLE_OK;
    }
    if (strncmp(text, file, sizeof file - 1) == 0) {
        code = tw_file_spill_open(text + sizeof file - 1, (struct tumble_alloc){0}, &out->file_spill, err);
        *store = code == TUMBLE_OK ? tw_file_spill_store(out->file_spill) : NULL;
        return code;
    }
    if (strncmp(text, s3, sizeof s3 - 1) == 0) {
        struct tw_s3_spill_options options = {
            .target = text + sizeof s3 - 1, .host = settings->host, .warm = settings->warm};
        code = tw_s3_spill_open(&options, &out->s3_spill, err);
        *store = code == TUMBLE_OK ? tw_s3_spill_store(out->s3_spill) : NULL;
        return code;
    }
    return refuse(err, "spill store \"%.100s\": write file:DIRECTORY or s3://BUCKET/PREFIX", text);
}

static enum tumble_code attach(const struct tw_function_settings *settings, struct tw_function *out, size_t index,
                               struct tumble_bytes text, enum tumble_row_kind kind, struct tumble_error *err) {
    struct tumble_output_uri *uri = &uris[index];
    bool of_spec = kind == TUMBLE_ROW_WINDOW ? settings->output_count == 0 : !settings->failures;
    enum tumble_code code = tumble_output_uri_parse(out->registry, uri, text, kind, "ndjson", err);
    if (code != TUMBLE_OK) {
        if (of_spec) {
            tumble_output_uri_name_key(err, kind == TUMBLE_ROW_WINDOW ? "outputs" : "failures",
                                       kind == TUMBLE_ROW_WINDOW ? (int)index : -1);
        }
        return code;
    }
    struct tumble_output_open how = {
        .struct_size = sizeof how,
        .kind = kind,
        .target = uri->output.target,
        .options = uri->output.options,
        .option_count = uri->output.option_count,
        .uri = uri->output.uri,
        .spec = out->spec,
        .durable = 1,
        .host = &output_host,
    };
    return tumble_engine_attach(out->engine, uri->output.uri, uri->output.api, &how, err);
}

static enum tumble_code attach_all(const struct tw_function_settings *settings, struct tw_function *out,
                                   struct tumble_error *err) {
    size_t count = tumble_spec_output_count(out->spec);
    enum tumble_code code = TUMBLE_OK;
    if (count > OUTPUT_MAX) {
        return refuse(err, "%zu outputs: at most %d are allowed", count, OUTPUT_MAX);
    }
    out->to_stdout = count == 0;
    out->output_count = count ? count : 1;
    for (size_t i = 0; i < out->output_count && code == TUMBLE_OK; i++) {
        struct tumble_bytes text = count ? tumble_spec_output(out->spec, i) : tumble_bytes_of("-");
        code = attach(settings, out, i, text, TUMBLE_ROW_WINDOW, err);
    }
    struct tumble_bytes failures = tumble_spec_failures(out->spec);
    return code == TUMBLE_OK && failures.length > 0
               ? attach(settings, out, out->output_count, failures, TUMBLE_ROW_FAILURE, err)
               : code;
}

static enum tumble_code load_plugins(const struct tw_function_settings *settings, struct tw_function *out,
                                     struct tumble_error *err) {
    enum tumble_code code = tumble_output_registry_new(&out->registry, err);
    for (size_t i = 0; i < settings->plugin_count && code == TUMBLE_OK; i++) {
        code = tumble_output_registry_load(out->registry, settings->plugins[i], err);
    }
    return code;
}

enum tumble_code tw_function_open(const struct tw_function_settings *settings, struct tw_function *out,
                                  struct tumble_error *err) {
    memset(out, 0, sizeof *out);
    output_host =
        (struct tumble_output_host){sizeof output_host, settings->host.ctx, settings->host.remaining_ms, settings->say};
    enum tumble_code code = read_spec(settings, out, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    memset(&out->place, 0, sizeof out->place);
    code = load_plugins(settings, out, err);
    const struct tumble_spill_store *spill = NULL;
    if (code == TUMBLE_OK) {
        code = open_spill(settings, out, &spill, err);
    }
    if (code != TUMBLE_OK) {
        return code;
    }
    if (settings->state_directory) {
        make_directory(settings->state_directory);
    }
    struct tumble_engine_options options = {
        .spec = out->spec,
        .source = tumble_bytes_of(settings->source),
        .memory_limit_bytes = settings->memory_limit_bytes,
    };
    struct tumble_carried_options carried = {
        .inline_state_limit = settings->inline_state_limit,
        .spill = spill,
        .cache_directory = settings->state_directory,
        .report_batch_item_failures = settings->report_batch_item_failures,
        .host = settings->host,
    };
    code = tumble_engine_open_carried(&options, &carried, &out->engine, err);
    return code == TUMBLE_OK ? attach_all(settings, out, err) : code;
}

void tw_function_close(struct tw_function *function) {
    tumble_engine_destroy(function->engine);
    tw_file_spill_close(function->file_spill);
    tw_s3_spill_close(function->s3_spill);
    tumble_output_registry_destroy(function->registry);
    tumble_spec_destroy(function->spec);
    memset(function, 0, sizeof *function);
}
