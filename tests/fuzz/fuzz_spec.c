#include <string.h>

#include <tumble/spec.h>

#include "fuzz_target.h"

/* Any bytes as a spec; up to the first NUL also as an aggregate, a group and a time format of the command line. What is
 * taken has a canonical text that is taken too and stays the same. */
static void check(struct tumble_bytes json, const struct tumble_spec_overrides *overrides) {
    static const struct tumble_alloc libc;
    struct tumble_error err;
    struct tumble_spec *spec;
    struct tumble_spec *again;
    if (tumble_spec_parse(json, overrides, libc, &spec, &err) != TUMBLE_OK) {
        FUZZ_CHECK(spec == NULL);
        FUZZ_CHECK(memchr(err.text, '\0', sizeof err.text) != NULL && err.text[0] != '\0');
        FUZZ_CHECK(strlen(err.text) < sizeof err.text - 1); /* not cut */
        FUZZ_CHECK(err.byte >= -1 && err.byte <= (int64_t)json.length);
        return;
    }
    struct tumble_bytes canonical = tumble_spec_canonical(spec);
    FUZZ_CHECK(tumble_spec_parse(canonical, NULL, libc, &again, &err) == TUMBLE_OK);
    FUZZ_CHECK(tumble_bytes_equal(canonical, tumble_spec_canonical(again)));
    FUZZ_CHECK(tumble_spec_digest(spec) == tumble_spec_digest(again));
    FUZZ_CHECK(tumble_spec_column_count(spec) == tumble_spec_column_count(again));
    FUZZ_CHECK(tumble_spec_has_partials(spec) == tumble_spec_has_partials(again));
    FUZZ_CHECK(tumble_spec_digest(tumble_spec_for_fragments(spec)) ==
               tumble_spec_digest(tumble_spec_for_fragments(again)));
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        FUZZ_CHECK(column->name[0] != '\0' && column->explanation[0] != '\0' && column->bound[0] != '\0');
        FUZZ_CHECK(strcmp(column->name, tumble_spec_column(again, i)->name) == 0);
        for (size_t j = 0; j < i; j++) {
            FUZZ_CHECK(strcmp(column->name, tumble_spec_column(spec, j)->name) != 0);
        }
    }
    tumble_spec_destroy(again);
    tumble_spec_destroy(spec);
}

/* Command lines are text: what is not valid UTF-8 cannot stand in canonical JSON, so only ASCII is tried. */
static int ascii(const char *text) {
    while (*text > 0) {
        text++;
    }
    return *text == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_bytes json = {(const char *)data, size};
    check(json, NULL);
    char text[2048];
    if (size < sizeof text) {
        memcpy(text, data, size);
        text[size] = '\0';
        const char *shorthand = text;
        const char *count = "count()";
        struct tumble_spec_overrides aggregate = {.aggregates = &shorthand, .aggregate_count = 1, .partials = 1};
        struct tumble_spec_overrides group = {
            .group_by = &shorthand, .group_by_count = 1, .aggregates = &count, .aggregate_count = 1};
        struct tumble_spec_overrides format = {
            .timestamp_field = "t", .timestamp_format = text, .aggregates = &count, .aggregate_count = 1};
        struct tumble_bytes empty = {NULL, 0};
        if (ascii(text)) {
            check(empty, &aggregate);
            check(empty, &group);
            check(empty, &format);
        }
    }
    return 0;
}
