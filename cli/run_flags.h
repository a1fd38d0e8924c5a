#ifndef TW_CLI_RUN_FLAGS_H
#define TW_CLI_RUN_FLAGS_H

#include <stdbool.h>

#include <tumble/engine.h>

#include "cli/option_table.h"

/* What the flags of `replay`, `run` and `tune` mean, where they are the same. */

/* "none", "commit", "every=N"; NULL: commit where a state is kept. False: something else. */
bool tw_read_durability(const char *text, const char *state, enum tumble_durability *durability, uint32_t *sync_every);

/* "count" and "orders=count" are written without their empty parentheses too: they alone take no field. */
void tw_complete_counts(struct tw_list *aggregates);

#endif
