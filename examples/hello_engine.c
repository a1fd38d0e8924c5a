/* The engine in one file: a spec, three records into one window, its rows out through an output of our own. */
#include <stdio.h>

#include <tumble/engine.h>

static enum tumble_code output_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    (void)how, (void)err;
    *self = stdout;
    return TUMBLE_OK;
}

static enum tumble_code output_write(void *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    (void)err;
    for (size_t i = 0; i < count; i++) {
        fprintf(self, "%.*s\n", (int)rows[i].json.length, rows[i].json.data);
        out[i] = (struct tumble_delivery){TUMBLE_DELIVERED, 0, NULL};
    }
    return TUMBLE_OK;
}

static enum tumble_code output_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)pending_done, (void)err;
    return fflush(self) == 0 ? TUMBLE_OK : TUMBLE_EOUTPUT;
}

static void output_close(void *self) { (void)self; }
static const struct tumble_output_api output = {.struct_size = sizeof output,
                                                .abi_version = TUMBLE_OUTPUT_ABI,
                                                .name = "hello",
                                                .open = output_open,
                                                .write = output_write,
                                                .flush = output_flush,
                                                .close = output_close};

int main(void) {
    struct tumble_error err = {0};
    struct tumble_spec *spec = NULL;
    struct tumble_engine_options options = {.source = tumble_bytes_of("hello")};
    struct tumble_engine *engine = NULL;
    struct tumble_shard *shard = NULL;
    struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW};
    const struct tumble_record records[] = {
        {.data = tumble_bytes_of("{\"type\":\"buy\",\"amount\":19.99}"), .sequence_number = tumble_bytes_of("1")},
        {.data = tumble_bytes_of("{\"type\":\"buy\",\"amount\":0.01}"), .sequence_number = tumble_bytes_of("2")},
        {.data = tumble_bytes_of("{\"type\":\"refund\",\"amount\":-5}"), .sequence_number = tumble_bytes_of("3")}};
    int failed =
        tumble_spec_parse(tumble_bytes_of("{\"window\":{\"seconds\":60},\"group_by\":[\"type\"],\"aggregates\":"
                                          "[{\"name\":\"revenue\",\"function\":\"sum\",\"field\":\"amount\"}]}"),
                          NULL, options.alloc, &spec, &err) ||
        (options.spec = how.spec = spec, tumble_engine_open(&options, &engine, &err)) ||
        tumble_engine_attach(engine, "hello:", &output, &how, &err) ||
        tumble_engine_shard(engine, tumble_bytes_of("shardId-000000000000"), &shard, &err) ||
        tumble_shard_apply(shard, 0, records, 3, NULL, &err) || tumble_shard_close(shard, 0, &err) ||
        tumble_engine_commit(engine, &err) || tumble_engine_drain(engine, &err) || tumble_engine_commit(engine, &err);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    return failed ? fprintf(stderr, "hello_engine: %s\n", err.text), 1 : 0;
}
