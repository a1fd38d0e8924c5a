#ifndef TW_CLI_OPTION_TABLE_H
#define TW_CLI_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Command line options from a table: "--name VALUE", "--name=VALUE", in any order with operands; "--" ends them and "-"
 * is an operand. One table gives the parsing, the messages and the help. */

enum tw_option_kind {
    TW_OPTION_TEXT,     /* const char * */
    TW_OPTION_FLAG,     /* bool; takes an optional true or false */
    TW_OPTION_SWITCH,   /* as FLAG, but int: 1 or -1, so that 0 is "not given" */
    TW_OPTION_NUMBER,   /* int64_t between low and high */
    TW_OPTION_DURATION, /* int64_t seconds between low and high; a number, with an optional s, m, h, d */
    TW_OPTION_SIZE,     /* int64_t bytes with an optional K, M, G (powers of 1024) */
    TW_OPTION_CHOICE,   /* int: index into choices */
    TW_OPTION_LIST,     /* struct tw_list, one value an occurrence */
    TW_OPTION_COMMAS    /* struct tw_list, commas separate values (cut in place) */
};

enum { TW_LIST_MAX = 128 };

struct tw_list {
    const char *items[TW_LIST_MAX];
    size_t count;
};

struct tw_option {
    const char *name;     /* without the dashes */
    char letter;          /* '\0': none */
    uint8_t kind;         /* enum tw_option_kind */
    size_t offset;        /* of the member in the settings struct */
    const char *argument; /* "FILE", for the help */
    const char *help;     /* NULL: another spelling of an option that has one */
    int64_t low, high;
    const char *const *choices; /* NULL-ended; an empty one is a place for "not given" and cannot be typed */
};

struct tw_option_table {
    const char *command; /* "replay" */
    const char *usage;   /* what -h prints: fits a screen, shows an example */
    const struct tw_option *options;
    size_t option_count;
    const char *operands; /* "INPUT", for messages; NULL: takes none */
};

enum tw_parsed {
    TW_PARSED_RUN,  /* go on */
    TW_PARSED_HELP, /* help was printed: exit 0 */
    TW_PARSED_ERROR /* a message was printed: exit 2 */
};

/* Parses argv[1 …]; settings holds the defaults. Operands are moved to argv[1 …] and counted in *operand_count; lists
 * and texts point into argv, which is written to. */
enum tw_parsed tw_options_parse(const struct tw_option_table *table, int argc, char **argv, void *settings,
                                int *operand_count);

/* The candidate that word was most probably meant to be, or NULL. candidates is NULL-ended. */
const char *tw_nearest(const char *word, const char *const *candidates);

#endif
