/* A program that knows nothing but what was installed. */
#include <stdio.h>
#include <string.h>

#include <tumble/engine.h>
#include <tumble/lambda.h>

int main(void) {
    struct tumble_error err = {0};
    struct tumble_alloc alloc = {0};
    struct tumble_spec *spec = NULL;
    const char *json = "{\"window\":{\"seconds\":60},\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}";
    if (tumble_spec_parse(tumble_bytes_of(json), NULL, alloc, &spec, &err) != TUMBLE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct tumble_engine_options options = {.spec = spec, .source = tumble_bytes_of("consumer")};
    struct tumble_engine *engine = NULL;
    enum tumble_code code = tumble_engine_open(&options, &engine, &err);
    struct tumble_shard *shard = NULL;
    struct tumble_record record = {.data = tumble_bytes_of("{}"), .sequence_number = tumble_bytes_of("1")};
    struct tumble_apply_result result = {0};
    if (code == TUMBLE_OK) {
        code = tumble_engine_shard(engine, tumble_bytes_of("shardId-000000000000"), &shard, &err);
    }
    if (code == TUMBLE_OK) {
        code = tumble_shard_apply(shard, 0, &record, 1, &result, &err);
    }
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    if (code != TUMBLE_OK || result.fates[TUMBLE_FATE_APPLIED] != 1) {
        fprintf(stderr, "%s: %s\n", tumble_code_name(code), err.text);
        return 1;
    }
    puts("tumble " TUMBLE_VERSION_STRING " works from here");
    return 0;
}
