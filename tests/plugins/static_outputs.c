/* The examples' outputs linked into a program instead of loaded: the same sources, and a table of outputs of its own in
 * place of the built-in one. Usage: static_outputs URI… : three rows into each. */
#include <stdio.h>

#include <tumble/delivery.h>

#include "runner/delivery.h"
#include "runner/output_registry.h"

extern const struct tumble_output_api tumble_minimal_output, tumble_sqlite_output;

const struct tumble_output_api *const tumble_builtin_outputs[] = {&tumble_minimal_output, &tumble_sqlite_output, NULL};

static enum tumble_code attach(struct tumble_engine *engine, const struct tumble_output_registry *registry,
                               const char *text, struct tumble_error *err) {
    static struct tumble_output_uri uri;
    enum tumble_code code =
        tumble_output_uri_parse(registry, &uri, tumble_bytes_of(text), TUMBLE_ROW_WINDOW, NULL, err);
    struct tumble_output_open how = {.target = uri.output.target,
                                     .options = uri.output.options,
                                     .option_count = uri.output.option_count,
                                     .uri = uri.uri};
    return code == TUMBLE_OK ? tumble_engine_attach(engine, uri.uri, uri.output.api, &how, err) : code;
}

int main(int argc, char **argv) {
    struct tumble_error err = {0};
    struct tumble_spec *spec = NULL;
    struct tumble_engine *engine = NULL;
    struct tumble_shard *shard;
    struct tumble_output_registry *registry = NULL;
    struct tumble_engine_options options = {.source = tumble_bytes_of("static")};
    const struct tumble_record records[] = {
        {.data = tumble_bytes_of("{\"k\":\"a\",\"v\":1.5}"), .sequence_number = tumble_bytes_of("1")},
        {.data = tumble_bytes_of("{\"k\":\"b\",\"v\":2}"), .sequence_number = tumble_bytes_of("2")},
        {.data = tumble_bytes_of("{\"k\":\"c \\\"quoted\\\"\",\"v\":3}"), .sequence_number = tumble_bytes_of("3")}};
    int failed =
        tumble_output_registry_new(&registry, &err) != TUMBLE_OK ||
        tumble_spec_parse(
            tumble_bytes_of("{\"window\":{\"seconds\":60},\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"s\","
                            "\"function\":\"sum\",\"field\":\"v\"}]}"),
            NULL, options.alloc, &spec, &err) != TUMBLE_OK;
    options.spec = spec;
    failed = failed || tumble_engine_open(&options, &engine, &err) != TUMBLE_OK;
    for (int i = 1; i < argc && !failed; i++) {
        failed = attach(engine, registry, argv[i], &err) != TUMBLE_OK;
    }
    struct tumble_deliverer deliverer = {.engine = engine, .timeout_ms = 1000};
    failed = failed ||
             tumble_engine_shard(engine, tumble_bytes_of("shardId-000000000000"), &shard, &err) != TUMBLE_OK ||
             tumble_shard_apply(shard, 0, records, 3, NULL, &err) != TUMBLE_OK ||
             tumble_shard_close(shard, 0, &err) != TUMBLE_OK || tumble_deliver_all(&deliverer, &err) != TUMBLE_OK;
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    tumble_output_registry_destroy(registry);
    return failed ? fprintf(stderr, "static_outputs: %s\n", err.text), 1 : 0;
}
