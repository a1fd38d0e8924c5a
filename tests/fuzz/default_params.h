#ifndef TESTS_FUZZ_DEFAULT_PARAMS_H
#define TESTS_FUZZ_DEFAULT_PARAMS_H

#include <stdlib.h>
#include <string.h>

#include "engine/aggregate/aggregate.h"

/* An aggregate's options as the spec's reader would hand them over, for tests that go without a spec. */
enum { PARAM_NUMBERS_MOST = 64 };
struct param_numbers {
    struct tw_decimal of[TW_OPTIONS_MOST][PARAM_NUMBERS_MOST];
};

/* Every option at its fallback, else its lowest value, else 1. out points into numbers. */
static inline enum tumble_code params_fill(struct tw_params *out, struct param_numbers *numbers,
                                           const struct tw_aggregate *aggregate) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; aggregate->options && i < TW_OPTIONS_MOST && aggregate->options[i].name; i++) {
        const struct tw_option *option = &aggregate->options[i];
        const char *text = option->fallback ? option->fallback : option->lowest ? option->lowest : "1";
        uint32_t count = 0;
        for (text += strspn(text, "[], "); *text; text += strspn(text, "[], ")) {
            size_t length = strcspn(text, "[], ");
            if (count == PARAM_NUMBERS_MOST ||
                tw_decimal_parse(&numbers->of[i][count++], text, length, NULL) != TUMBLE_OK) {
                abort();
            }
            text += length;
        }
        out->options[i].numbers = numbers->of[i];
        out->options[i].count = count;
    }
    return aggregate->prepare ? aggregate->prepare(out, NULL) : TUMBLE_OK;
}

#endif
