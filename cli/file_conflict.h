#ifndef TW_CLI_FILE_CONFLICT_H
#define TW_CLI_FILE_CONFLICT_H

#include <stdbool.h>
#include <stddef.h>

#include <tumble/error.h>

/* Files that a run must not mix up, found before any of them is opened or made: nothing may be written to a file that
 * the run reads, or that it writes to under another name. Files are compared by device and inode, behind symbolic
 * links; one that does not exist yet by the directory that it would stand in and its name. */

enum { TW_FILE_USES = 32 };

struct tw_file_use {
    const char *role; /* "output", "failures", "input": for the message */
    const char *name; /* as the user wrote it; borrowed */
    const char *path; /* "-": standard input or output, which may be a file too; borrowed */
    bool is_stdout;   /* what goes there goes through one descriptor: two of these do not disturb each other */
};

struct tw_file_uses {
    struct tw_file_use items[TW_FILE_USES];
    size_t count;
};

/* Remembers a file that will be written. Beyond TW_FILE_USES they are ignored: the command has fewer. */
void tw_file_uses_add(struct tw_file_uses *written, const char *role, const char *name, const char *path,
                      bool is_stdout);

/* Errors: EUSAGE, naming both. */
enum tumble_code tw_file_uses_check(const struct tw_file_uses *written, struct tumble_error *err);
/* The same for a file that is read. */
enum tumble_code tw_file_uses_check_read(const struct tw_file_uses *written, const char *role, const char *path,
                                         struct tumble_error *err);

#endif
