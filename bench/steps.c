#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/command_line.h"
#include "bench/timing.h"
#include "engine/aggregate/aggregate.h"

/* Time of one step of each aggregate: values of a click stream (two decimals, 100,000 users) into 64 groups, as the
 * engine gives them: memory reserved, then stepped. Rounds are interleaved over the aggregates; the table shows
 * medians.
 *
 *     build/release/bin/tumble-steps [ROUNDS] */

static const char program[] = "tumble-steps";
static const char usage[] =
    "Usage: tumble-steps [ROUNDS]\n"
    "Nanoseconds of one step of each aggregate, values of a click stream into 64 groups: median,\n"
    "least and most of ROUNDS (11; 1 to 1000) of 131,072 steps each.\n";

enum { VALUES = 8192, GROUPS = 64, STEPS_A_ROUND = 1 << 17, MOST = 64, STATE_BYTES = 512 };

struct subject {
    const struct tw_aggregate *function;
    struct tw_params params;
    struct tw_decimal numbers[TW_OPTIONS_MOST][8];
    double *ns; /* a round each */
};

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-steps: %s\n", what);
        exit(1);
    }
}

/* Fallbacks; where there is none, what a user would write. */
static const char *given(const struct tw_option *option) {
    return strcmp(option->name, "k") == 0        ? "10"
           : strcmp(option->name, "bounds") == 0 ? "1,5,10,15,20,25"
           : strcmp(option->name, "q") == 0      ? "0.5,0.99"
           : option->fallback                    ? option->fallback
                                                 : "1";
}

static void set_options(struct subject *subject) {
    for (size_t i = 0; subject->function->options && subject->function->options[i].name; i++) {
        const char *text = given(&subject->function->options[i]);
        struct tw_param *param = &subject->params.options[i];
        param->numbers = subject->numbers[i];
        for (int more = 1; more; param->count++) {
            size_t length = strcspn(text, ",");
            must(param->count < 8 &&
                     tw_decimal_parse(&subject->numbers[i][param->count], text, length, NULL) == TUMBLE_OK,
                 "an option cannot be read");
            more = text[length] == ',';
            text += length + 1;
        }
    }
    must(!subject->function->prepare || subject->function->prepare(&subject->params, NULL) == TUMBLE_OK,
         "options are refused");
}

static void make_values(struct tw_value *numbers, struct tw_value *strings, char text[][16], char sequence[][57]) {
    for (size_t i = 0; i < VALUES; i++) {
        char digits[16];
        int length = snprintf(digits, sizeof digits, "%u.%02u", (unsigned)draw(30), (unsigned)draw(100));
        numbers[i].type = TUMBLE_TYPE_NUMBER;
        must(tw_decimal_parse(&numbers[i].number, digits, (size_t)length, NULL) == TUMBLE_OK,
             "a number cannot be read");
        length = snprintf(text[i], 16, "user-%06u", (unsigned)draw(100000));
        strings[i].type = TUMBLE_TYPE_STRING;
        strings[i].text.data = text[i];
        strings[i].text.length = (size_t)length;
        snprintf(sequence[i], 57, "49590338271490256608559692%030zu", i);
    }
}

/* One round: fresh groups, then steps in blocks of what the engine takes at once. */
static double run(const struct subject *subject, const struct tw_value *numbers, const struct tw_value *strings,
                  char sequence[][57]) {
    static uint64_t states[GROUPS][STATE_BYTES / 8];
    const struct tw_aggregate *function = subject->function;
    const struct tw_value *values = function->takes & TW_TAKES_NUMBER ? numbers : strings;
    if (strcmp(function->name, "distinct") == 0 || strcmp(function->name, "top") == 0) {
        values = strings;
    }
    struct tw_heap heap;
    tw_heap_init(&heap, tw_alloc_default());
    must(function->state_size <= STATE_BYTES, "a state is larger than expected");
    for (size_t g = 0; g < GROUPS; g++) {
        function->init(states[g], &subject->params);
    }
    double began = now_ns();
    for (size_t i = 0; i < STEPS_A_ROUND; i += TW_STEPS_AT_ONCE) {
        struct tw_input inputs[TW_STEPS_AT_ONCE];
        size_t groups[TW_STEPS_AT_ONCE], growth = 0;
        for (size_t j = 0; j < TW_STEPS_AT_ONCE; j++) {
            size_t v = (i + j) % VALUES;
            groups[j] = (v * 2654435761u >> 7) % GROUPS;
            inputs[j].value = &values[v];
            inputs[j].second = function->second && !function->second_optional ? &numbers[v] : NULL;
            inputs[j].position.arrival_ms = (int64_t)(i + j);
            inputs[j].position.sequence.data = sequence[v];
            inputs[j].position.sequence.length = 56;
            inputs[j].position.sub_sequence = 0;
            growth += function->growth ? function->growth(states[groups[j]], &subject->params, &inputs[j]) : 0;
        }
        must(tw_heap_reserve(&heap, growth), "out of memory");
        for (size_t j = 0; j < TW_STEPS_AT_ONCE; j++) {
            function->step(states[groups[j]], &subject->params, &inputs[j], &heap);
        }
    }
    double ns = (now_ns() - began) / STEPS_A_ROUND;
    tw_heap_clean_up(&heap);
    return ns;
}

int main(int argc, char **argv) {
    static struct subject subjects[MOST];
    static struct tw_value numbers[VALUES], strings[VALUES];
    static char text[VALUES][16], sequence[VALUES][57];
    command_words(program, argc, argv, 1, usage);
    long rounds = argc > 1 ? (long)command_whole(program, "ROUNDS", argv[1], 1, 1000) : 11;
    size_t count = 0;
    make_values(numbers, strings, text, sequence);
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all && count < MOST; all++, count++) {
        subjects[count].function = *all;
        subjects[count].ns = calloc((size_t)rounds, sizeof(double));
        must(subjects[count].ns != NULL, "out of memory");
        set_options(&subjects[count]);
    }
    for (long round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) {
            subjects[i].ns[round] = run(&subjects[i], numbers, strings, sequence);
        }
    }
    printf("%-24s %10s %10s %10s   ns a step, %ld rounds of %d steps over %d groups\n", "aggregate", "median", "min",
           "max", rounds, STEPS_A_ROUND, GROUPS);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        const struct tw_aggregate *function = subjects[i].function;
        snprintf(name, sizeof name, "%s%s%s", function->name, function->type_name ? "." : "",
                 function->type_name ? function->type_name : "");
        qsort(subjects[i].ns, (size_t)rounds, sizeof(double), ascending);
        printf("%-24s %10.1f %10.1f %10.1f\n", name, subjects[i].ns[rounds / 2], subjects[i].ns[0],
               subjects[i].ns[rounds - 1]);
        free(subjects[i].ns);
    }
    return command_end(program);
}
