/* aggregate_values FUNCTION[:TYPE]…: each line of stdin is a set of numbers, separated by spaces; writes a line with
 * the value each function gives for it, separated by tabs. For the comparisons beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/aggregate/aggregate.h"

enum { LINE_BYTES = 1 << 20, STATE_WORDS = 8 };

static void fail(const char *what, const char *of) {
    fprintf(stderr, "aggregate_values: %s: %s\n", what, of);
    exit(2);
}

static const struct tw_aggregate *find(char *argument) {
    char *colon = strchr(argument, ':');
    if (colon) {
        *colon = '\0';
    }
    const struct tw_aggregate *found =
        tw_aggregate_find(tumble_bytes_of(argument), tumble_bytes_of(colon ? colon + 1 : NULL));
    if (!found || found->options || found->state_size > STATE_WORDS * sizeof(uint64_t)) {
        fail("no such function, or one with options", argument);
    }
    return found;
}

static void step_all(const struct tw_aggregate *aggregate, void *state, const char *at, struct tw_heap *heap) {
    static const struct tw_params params;
    while (at += strspn(at, " \n"), *at) {
        size_t length = strcspn(at, " \n");
        struct tw_value value = {.type = TUMBLE_TYPE_NUMBER};
        if (tw_decimal_parse(&value.number, at, length, NULL) != TUMBLE_OK) {
            fail("not a number", at);
        }
        struct tw_input input = {.value = &value, .position = {0, tumble_bytes_of("1"), 0}};
        if (!tw_heap_reserve(heap, aggregate->growth ? aggregate->growth(state, &params, &input) : 0)) {
            fail("no memory", aggregate->name);
        }
        aggregate->step(state, &params, &input, heap);
        at += length;
    }
}

int main(int count, char **arguments) {
    static const struct tw_params params;
    static char line[LINE_BYTES];
    const struct tw_aggregate *functions[16];
    if (count > 16) {
        fail("too many functions", arguments[16]);
    }
    for (int i = 1; i < count; i++) {
        functions[i] = find(arguments[i]);
    }
    struct tw_heap heap;
    struct tw_buf out;
    tw_heap_init(&heap, tw_alloc_default());
    tw_buf_init(&out, tw_alloc_default(), LINE_BYTES);
    while (fgets(line, sizeof line, stdin)) {
        tw_buf_clear(&out);
        for (int i = 1; i < count; i++) {
            uint64_t state[STATE_WORDS];
            tw_heap_reset(&heap);
            functions[i]->init(state, &params);
            step_all(functions[i], state, line, &heap);
            if (functions[i]->value(state, &params, 0, &out) != TUMBLE_OK ||
                tw_buf_append_byte(&out, i + 1 < count ? '\t' : '\n') != TUMBLE_OK) {
                fail("no value", functions[i]->name);
            }
        }
        fwrite(out.data, 1, out.length, stdout);
    }
    tw_heap_clean_up(&heap);
    tw_buf_clean_up(&out);
    return fflush(stdout) == 0 ? 0 : 2;
}
