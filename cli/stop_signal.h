#ifndef TW_CLI_STOP_SIGNAL_H
#define TW_CLI_STOP_SIGNAL_H

#include <stdbool.h>

/* SIGINT and SIGTERM, for commands that end what they are at before they go. Any thread may ask. */

/* Waits for them from now on. The second one ends the process at once: what it keeps stays whole. A file that reached
 * its limit (SIGXFSZ) is an output error with its text from now on, not a silent death. */
void tw_stop_signal_watch(void);

/* A pipe that nobody reads any more ends the process, as any filter (`tumble … | head`), or is an error of writing. */
void tw_broken_pipe_ends(bool ends);

/* The signal that came; 0: none did. */
int tw_stop_signal(void);

/* The same as a callback: whether one came. */
int tw_stop_signal_came(void *unused);

#endif
