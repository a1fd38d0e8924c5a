/* An output of one's own in forty lines: rows as lines of a log. Build it as a plug-in with
 *   cc -shared -fPIC -o minimal.so output_minimal.c
 * and run: tumble replay … --plugin "$PWD/minimal.so" --output minimal:rows.log?prefix=row%20
 * Or link it: compile with -DTUMBLE_OUTPUT_STATIC and hand tumble_minimal_output to tumble_engine_attach. */
#include <stdio.h>

#include <tumble/output.h>

extern const struct tumble_output_api tumble_minimal_output;

static const char *prefix; /* one output of this name at a time; with several, allocate what open gives as self */

static enum tumble_code minimal_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    prefix = how->options[0].value;
    *self = fopen(how->target, "a");
    if (!*self && err) {
        err->code = TUMBLE_EOUTPUT;
        snprintf(err->text, sizeof err->text, "%.100s: cannot open the log", how->target);
    }
    return *self ? TUMBLE_OK : TUMBLE_EOUTPUT; /* EOUTPUT: tried again later */
}

static enum tumble_code minimal_write(void *self, const struct tumble_row *rows, size_t count,
                                      struct tumble_delivery *out, struct tumble_error *err) {
    (void)err;
    for (size_t i = 0; i < count; i++) { /* every row gets an answer */
        int wrote = fprintf(self, "%s%.*s\n", prefix, (int)rows[i].json.length, rows[i].json.data);
        out[i].outcome = wrote > 0 ? TUMBLE_DELIVERED : TUMBLE_RETRY;
        out[i].reason = "the log takes nothing";
    }
    return TUMBLE_OK;
}

static enum tumble_code minimal_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)pending_done, (void)err;
    return fflush(self) == 0 ? TUMBLE_OK : TUMBLE_EOUTPUT;
}

static void minimal_close(void *self) { fclose(self); }

static const struct tumble_output_option options[] = {
    {.name = "prefix", .type = TUMBLE_OPTION_STRING, .default_value = "", .help = "stands before every row"}};

const struct tumble_output_api tumble_minimal_output = {.struct_size = sizeof tumble_minimal_output,
                                                        .abi_version = TUMBLE_OUTPUT_ABI,
                                                        .name = "minimal",
                                                        .flags = TUMBLE_OUTPUT_AT_LEAST_ONCE, /* a log has no keys */
                                                        .target = "PATH",
                                                        .summary = "lines at the end of a log",
                                                        .options = options,
                                                        .option_count = 1,
                                                        .open = minimal_open,
                                                        .write = minimal_write,
                                                        .flush = minimal_flush,
                                                        .close = minimal_close};
TUMBLE_OUTPUT_PLUGIN(tumble_minimal_output);
