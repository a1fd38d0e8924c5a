#ifndef TW_CLI_SCREEN_TABLE_H
#define TW_CLI_SCREEN_TABLE_H

#include <tumble/output.h>

/* The file output for a table that somebody reads while nothing is kept for a next run: flush holds rows back until
 * enough were seen to choose the widths of columns, or until close. One at a time, since close cannot return an error:
 * it is left for tw_screen_table_failure. Not for runs with a state, where what was flushed must be out. */
extern const struct tumble_output_api tw_screen_table;

/* Calls before(ctx) ahead of anything that is written, so that a progress bar can leave the line. */
void tw_screen_table_announce(void (*before)(void *ctx), void *ctx);

/* What went wrong in close; code is TUMBLE_OK when nothing did. */
const struct tumble_error *tw_screen_table_failure(void);

#endif
