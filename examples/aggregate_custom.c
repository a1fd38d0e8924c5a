/* An aggregate of one's own: the hours of the day in which a user was seen, as a set of bits. It obeys the law every
 * aggregate owes (tumble/aggregate.h): sets unite in any order, however the records were split. */
#include <stdio.h>
#include <string.h>

#include <tumble/engine.h>

static void hours_init(void *state) { memset(state, 0, sizeof(uint32_t)); }

static void hours_step(void *state, const struct tumble_aggregate_input *input) {
    *(uint32_t *)state |= 1u << (input->arrival_ms / 3600000 % 24);
}

static void hours_merge(void *state, const void *other) { *(uint32_t *)state |= *(const uint32_t *)other; }

static size_t hours_value(const void *state, char *out, size_t capacity) { /* a JSON array */
    size_t length = 0;
    for (unsigned hour = 0; hour < 24; hour++) {
        if (*(const uint32_t *)state >> hour & 1) {
            length += (size_t)snprintf(out + length, capacity - length, "%c%u", length ? ',' : '[', hour);
        }
    }
    return length ? length + (size_t)snprintf(out + length, capacity - length, "]") : 0;
}

static size_t hours_encode(const void *state, char *out, size_t capacity) {
    uint32_t bits = *(const uint32_t *)state;
    for (size_t i = 0; i < 3 && i < capacity; i++) { /* the same bytes on every machine */
        out[i] = (char)(bits >> (8 * i));
    }
    return 3;
}

static int hours_decode(void *state, const char *bytes, size_t length) {
    if (length != 3) {
        return 0;
    }
    *(uint32_t *)state = (uint32_t)(unsigned char)bytes[0] | (uint32_t)(unsigned char)bytes[1] << 8 |
                         (uint32_t)(unsigned char)bytes[2] << 16;
    return 1;
}

static const struct tumble_aggregate hours = {
    .struct_size = sizeof hours,
    .abi_version = TUMBLE_AGGREGATE_ABI,
    .name = "hours",
    .explanation = "hours of the day (UTC) in which a record has %s",
    .state_bytes = sizeof(uint32_t),
    .takes = TUMBLE_TAKES_STRING,
    .init = hours_init,
    .step = hours_step,
    .merge = hours_merge,
    .value = hours_value,
    .encode = hours_encode,
    .decode = hours_decode,
};

static enum tumble_code print_row(void *ctx, const struct tumble_row *row) {
    (void)ctx;
    printf("%.*s\n", (int)row->json.length, row->json.data);
    return TUMBLE_OK;
}

int main(void) {
    static const char json[] = "{\"window\":{\"seconds\":86400},\"group_by\":[\"user\"],\"aggregates\":["
                               "{\"name\":\"seen\",\"function\":\"hours\",\"field\":\"user\"}]}";
    const struct tumble_aggregate *const own[] = {&hours};
    struct tumble_spec_overrides overrides = {.custom = own, .custom_count = 1};
    struct tumble_error err;
    struct tumble_spec *spec = NULL;
    struct tumble_engine *engine = NULL;
    struct tumble_shard *shard;
    struct tumble_record records[] = {
        {.data = tumble_bytes_of("{\"user\":\"ada\"}"), .sequence_number = tumble_bytes_of("1"), .arrival_ms = 3600000},
        {.data = tumble_bytes_of("{\"user\":\"bob\"}"), .sequence_number = tumble_bytes_of("2"), .arrival_ms = 7200000},
        {.data = tumble_bytes_of("{\"user\":\"ada\"}"),
         .sequence_number = tumble_bytes_of("3"),
         .arrival_ms = 82800000}};
    struct tumble_engine_options options = {.source = tumble_bytes_of("example")};
    int failed = tumble_spec_parse(tumble_bytes_of(json), &overrides, options.alloc, &spec, &err) != TUMBLE_OK;
    options.spec = spec;
    failed = failed || tumble_engine_open(&options, &engine, &err) != TUMBLE_OK ||
             tumble_engine_shard(engine, tumble_bytes_of("shardId-000000000000"), &shard, &err) != TUMBLE_OK ||
             tumble_shard_apply(shard, 0, records, 3, NULL, &err) != TUMBLE_OK ||
             tumble_shard_rows(shard, 0, print_row, NULL, &err) != TUMBLE_OK;
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    return failed ? fprintf(stderr, "aggregate_custom: %s\n", err.text), 1 : 0;
}
