#include "cli/run_flags.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

bool tw_read_durability(const char *text, const char *state, enum tumble_durability *durability, uint32_t *sync_every) {
    *sync_every = 1;
    if (!text) {
        *durability = state ? TUMBLE_DURABILITY_COMMIT : TUMBLE_DURABILITY_NONE;
        return true;
    }
    if (strcmp(text, "none") == 0 || strcmp(text, "commit") == 0) {
        *durability = text[0] == 'n' ? TUMBLE_DURABILITY_NONE : TUMBLE_DURABILITY_COMMIT;
        return true;
    }
    if (strncmp(text, "every=", 6) != 0) {
        return false;
    }
    uint64_t every = 0;
    const char *at = text + 6;
    for (; *at >= '0' && *at <= '9' && every <= UINT32_MAX; at++) {
        every = every * 10 + (uint64_t)(*at - '0');
    }
    *durability = TUMBLE_DURABILITY_EVERY;
    *sync_every = (uint32_t)every;
    return at > text + 6 && *at == '\0' && every >= 1 && every <= UINT32_MAX;
}

void tw_complete_counts(struct tw_list *aggregates) {
    static char texts[4096];
    size_t used = 0;
    for (size_t i = 0; i < aggregates->count; i++) {
        const char *text = aggregates->items[i];
        size_t length = strlen(text), name = length >= 5 ? length - 5 : 0;
        bool alone = length >= 5 && strcmp(text + name, "count") == 0 && (name == 0 || text[name - 1] == '=');
        if (alone && sizeof texts - used > length + 2) {
            aggregates->items[i] = texts + used;
            used += (size_t)snprintf(texts + used, sizeof texts - used, "%s()", text) + 1;
        }
    }
}
