#ifndef TUMBLE_BENCH_COMMAND_LINE_H
#define TUMBLE_BENCH_COMMAND_LINE_H

/* What the programs here share: values of the command line are read or refused (exit 2, by name), --help is printed,
 * and figures that could not be written are not taken for written ones. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn static inline void command_refuse(const char *program, const char *why) {
    fprintf(stderr, "%s: %s; --help tells more\n", program, why);
    exit(2);
}

/* name: as the user wrote it ("--rate") or as the usage calls it ("ROUNDS"). */
static inline uint64_t command_whole(const char *program, const char *name, const char *value, uint64_t least,
                                     uint64_t most) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (errno || *value < '0' || *value > '9' || *end || number < least || number > most) {
        fprintf(stderr, "%s: %s takes a whole number from %llu to %llu, not '%s'\n", program, name,
                (unsigned long long)least, (unsigned long long)most, value);
        exit(2);
    }
    return number;
}

static inline double command_number(const char *program, const char *name, const char *value, double least,
                                    double most) {
    char *end = NULL;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= least && number <= most)) { /* nor what is not a number */
        fprintf(stderr, "%s: %s takes a number from %g to %g, not '%s'\n", program, name, least, most, value);
        exit(2);
    }
    return number;
}

/* The place of value in names, which end with NULL. */
static inline int command_choice(const char *program, const char *name, const char *value, const char *const *names) {
    for (int i = 0; names[i]; i++) {
        if (strcmp(value, names[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "%s: %s takes ", program, name);
    for (int i = 0; names[i]; i++) {
        fprintf(stderr, "%s%s", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    }
    fprintf(stderr, ", not '%s'\n", value);
    exit(2);
}

/* For programs that take words only: prints the usage where it is asked for, and refuses more words than there may be.
 */
static inline void command_words(const char *program, int argc, char **argv, int most, const char *usage) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
    }
    if (argc - 1 > most) {
        fprintf(stderr, "%s: takes no argument '%s' behind the others\n%s", program, argv[most + 1], usage);
        exit(2);
    }
}

/* The exit code of a program that has printed what it had to: 1, where not all of it was taken. */
static inline int command_end(const char *program) {
    errno = 0;
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s: cannot write to standard output%s%s\n", program, errno ? ": " : "",
                errno ? strerror(errno) : "");
        return 1;
    }
    return 0;
}

#endif
