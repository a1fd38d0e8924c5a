/* A plug-in for tests: "environment:PATH" appends, for each row, the trace id that the process has at that moment. */
#include <stdio.h>
#include <stdlib.h>

#include <tumble/output.h>

static enum tumble_code environment_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    *self = fopen(how->target, "a");
    if (!*self) {
        snprintf(err->text, sizeof err->text, "%s: cannot be opened", how->target);
        err->code = TUMBLE_EOUTPUT;
    }
    return *self ? TUMBLE_OK : TUMBLE_EOUTPUT;
}

static enum tumble_code environment_write(void *self, const struct tumble_row *rows, size_t count,
                                          struct tumble_delivery *out, struct tumble_error *err) {
    const char *id = getenv("_X_AMZN_TRACE_ID");
    (void)err;
    (void)rows;
    for (size_t i = 0; i < count; i++) {
        fprintf(self, "%s\n", id ? id : "none");
        out[i] = (struct tumble_delivery){.outcome = TUMBLE_DELIVERED};
    }
    return TUMBLE_OK;
}

static enum tumble_code environment_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)pending_done;
    (void)err;
    return fflush(self) == 0 ? TUMBLE_OK : TUMBLE_EOUTPUT;
}

static void environment_close(void *self) {
    if (self) {
        fclose(self);
    }
}

static const struct tumble_output_api environment_output = {
    .struct_size = sizeof environment_output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "environment",
    .flags = TUMBLE_OUTPUT_AT_LEAST_ONCE,
    .target = "PATH",
    .summary = "the trace id at each row",
    .open = environment_open,
    .write = environment_write,
    .flush = environment_flush,
    .close = environment_close,
};

TUMBLE_OUTPUT_PLUGIN(environment_output);
