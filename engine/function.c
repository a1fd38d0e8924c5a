#include <tumble/function.h>

#include <stdio.h>
#include <string.h>

#include <tumble/invoke.h>

#include "engine/base/alloc.h"
#include "engine/base/fail.h"

/* An output opens itself with what the host hands it, so the host's ctx is the way to the callbacks. */
struct tumble_function {
    struct tumble_alloc alloc;
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    tumble_function_row_fn *on_row;
    tumble_function_row_fn *on_failure;
    tumble_function_remaining_fn *remaining;
    void *ctx;
    struct tumble_output_host host;
    struct tumble_invoked invoked;
    struct tumble_error error;
};

/* One of the two outputs. */
struct callback {
    struct tumble_function *function;
    tumble_function_row_fn *take;
};

static enum tumble_code callback_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    struct tumble_function *function = how->host->ctx;
    struct callback *made = tw_alloc(&function->alloc, sizeof *made);
    if (!made) {
        return tw_no_memory(err);
    }
    made->function = function;
    made->take = how->kind == TUMBLE_ROW_WINDOW ? function->on_row : function->on_failure;
    *self = made;
    return TUMBLE_OK;
}

static enum tumble_code callback_write(void *self, const struct tumble_row *rows, size_t count,
                                       struct tumble_delivery *out, struct tumble_error *err) {
    static const char digits[] = "0123456789abcdef";
    const struct callback *callback = self;
    bool refused = false;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        char key[2 * sizeof rows[i].key + 1];
        for (size_t k = 0; k < sizeof rows[i].key; k++) {
            key[2 * k] = digits[rows[i].key[k] >> 4];
            key[2 * k + 1] = digits[rows[i].key[k] & 15];
        }
        key[sizeof key - 1] = '\0';
        /* those behind one that was refused come again with it */
        refused = refused || callback->take(callback->function->ctx, rows[i].json.data, rows[i].json.length, key) != 0;
        out[i] = (struct tumble_delivery){.outcome = refused ? TUMBLE_RETRY : TUMBLE_DELIVERED,
                                          .reason = refused ? "the handler's callback did not take it" : NULL};
    }
    return TUMBLE_OK;
}

static enum tumble_code callback_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self;
    (void)pending_done;
    (void)err;
    return TUMBLE_OK;
}

static void callback_close(void *self) {
    struct callback *callback = self;
    if (callback) {
        tw_free(&callback->function->alloc, callback);
    }
}

static const struct tumble_output_api callback_output = {
    .struct_size = sizeof callback_output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "callback",
    .flags = TUMBLE_OUTPUT_AT_LEAST_ONCE,
    .target = "",
    .summary = "a function of the program's own",
    .open = callback_open,
    .write = callback_write,
    .flush = callback_flush,
    .close = callback_close,
};

static int64_t remaining_ms(void *ctx) {
    struct tumble_function *function = ctx;
    return function->remaining ? function->remaining(function->ctx) : INT64_MAX;
}

static enum tumble_code attach(struct tumble_function *function, enum tumble_row_kind kind, const char *name,
                               struct tumble_error *err) {
    struct tumble_output_open how = {.struct_size = sizeof how,
                                     .kind = kind,
                                     .target = "",
                                     .uri = name,
                                     .spec = function->spec,
                                     .host = &function->host};
    return tumble_engine_attach(function->engine, name, &callback_output, &how, err);
}

static enum tumble_code open_engine(struct tumble_function *function, struct tumble_bytes spec,
                                    const struct tumble_carried_options *carried, struct tumble_error *err) {
    enum tumble_code code = tumble_spec_parse(spec, NULL, function->alloc, &function->spec, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    struct tumble_engine_options options = {.spec = function->spec, .alloc = function->alloc};
    TW_TRY(tumble_engine_open_carried(&options, carried, &function->engine, err));
    TW_TRY(attach(function, TUMBLE_ROW_WINDOW, "callback:rows", err));
    return function->on_failure ? attach(function, TUMBLE_ROW_FAILURE, "callback:failures", err) : TUMBLE_OK;
}

int tumble_function_open(const char *spec, size_t spec_length, int report_batch_item_failures,
                         size_t inline_state_limit, tumble_function_row_fn *on_row, tumble_function_row_fn *on_failure,
                         tumble_function_remaining_fn *remaining, void *ctx, struct tumble_function **out,
                         char *message, size_t message_size) {
    struct tumble_error err = {.byte = -1, .record = -1};
    struct tumble_alloc alloc = tw_alloc_default();
    struct tumble_function *function = NULL;
    enum tumble_code code = on_row ? TUMBLE_OK : tw_fail(&err, TUMBLE_EINVAL, "on_row must not be NULL");
    *out = NULL;
    if (code == TUMBLE_OK) {
        function = tw_alloc_zero(&alloc, sizeof *function);
        code = function ? TUMBLE_OK : tw_no_memory(&err);
    }
    if (code == TUMBLE_OK) {
        function->alloc = alloc;
        function->on_row = on_row;
        function->on_failure = on_failure;
        function->remaining = remaining;
        function->ctx = ctx;
        function->host = (struct tumble_output_host){
            .struct_size = sizeof function->host, .ctx = function, .remaining_ms = remaining_ms};
        struct tumble_carried_options carried = {
            .inline_state_limit = inline_state_limit,
            .report_batch_item_failures = report_batch_item_failures != 0,
            .host = {.ctx = function, .remaining_ms = remaining ? remaining_ms : NULL},
        };
        code = open_engine(function, (struct tumble_bytes){spec, spec_length}, &carried, &err);
    }
    if (code != TUMBLE_OK) {
        tumble_function_close(function);
        if (message && message_size > 0) {
            snprintf(message, message_size, "%s", err.text[0] ? err.text : tumble_code_text(code));
        }
        return (int)code;
    }
    *out = function;
    return 0;
}

int tumble_function_invoke(struct tumble_function *function, const char *event, size_t length, const char **answer,
                           size_t *answer_length) {
    memset(&function->error, 0, sizeof function->error);
    memset(&function->invoked, 0, sizeof function->invoked);
    enum tumble_code code = tumble_engine_invoke(function->engine, (struct tumble_bytes){event, length},
                                                 &function->invoked, &function->error);
    *answer = function->invoked.response.data;
    *answer_length = function->invoked.response.length;
    return (int)code;
}

const char *tumble_function_error_type(const struct tumble_function *function) {
    return function->invoked.error_type ? function->invoked.error_type : "";
}

const char *tumble_function_error_text(const struct tumble_function *function) { return function->error.text; }

void tumble_function_close(struct tumble_function *function) {
    if (function) {
        struct tumble_alloc alloc = function->alloc;
        tumble_engine_destroy(function->engine);
        tumble_spec_destroy(function->spec);
        tw_free(&alloc, function);
    }
}
