#ifndef TW_CLI_EXIT_CODE_H
#define TW_CLI_EXIT_CODE_H

#include <tumble/error.h>

/* What the process ends with (design section 10, docs/man/tumble.1.scd). A run stopped by a signal ends with 128 + its
 * number, as a shell reports it. */
enum tw_exit {
    TW_EXIT_OK = 0,
    TW_EXIT_RECORD = 1, /* a record or a row failed the run, or tumble itself did */
    TW_EXIT_USAGE = 2,  /* usage or spec */
    TW_EXIT_INPUT = 3,
    TW_EXIT_OUTPUT = 4,
    TW_EXIT_STATE = 5
};

/* The one place that knows which code of the library is which exit status. */
enum tw_exit tw_exit_of(enum tumble_code code);

/* Prints the error as "tumble: text" and returns its exit status. */
int tw_exit_with(const struct tumble_error *err);

#endif
