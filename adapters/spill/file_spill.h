#ifndef TUMBLE_FILE_SPILL_H
#define TUMBLE_FILE_SPILL_H

#include <tumble/alloc.h>
#include <tumble/invoke.h>

/* "file:DIRECTORY" as a spill store: an object is a file below it, whole or not there. For one machine and for shared
 * file systems. Threads: one at a time. */
struct tw_file_spill;

/* Makes the directory when it is missing. Errors: ESTORE, EINVAL (no path), ENOMEM. */
enum tumble_code tw_file_spill_open(const char *directory, struct tumble_alloc alloc, struct tw_file_spill **out,
                                    struct tumble_error *err);

/* Lives as long as the spill. Errors of its functions: EINVAL (a name that no engine gives), ESTORE, EFULL, ELIMIT,
 * ENOMEM. */
const struct tumble_spill_store *tw_file_spill_store(const struct tw_file_spill *spill);

void tw_file_spill_close(struct tw_file_spill *spill); /* NULL allowed */

#endif
