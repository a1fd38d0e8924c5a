#ifndef TW_STORE_STATE_DIRECTORY_H
#define TW_STORE_STATE_DIRECTORY_H

#include <stdbool.h>

#include <tumble/error.h>

#include "engine/base/alloc.h"

/* A state directory on disk: made when missing, locked by one process at a time, with the files data.mdb, lock.mdb
 * (LMDB's), tumble.lock (ours: who holds it, and whether data.mdb was ever completed) and, while it is written to with
 * every commit synced, redo.log (redo_log.h). */
struct tw_state_directory {
    struct tumble_alloc alloc;
    char *path;    /* owned */
    int fd;        /* the directory */
    int lock_fd;   /* -1 when opened to read only, unless lockless */
    bool lockless; /* read only, and lock.mdb may not be written: our own lock, shared, keeps every writer out */
    bool made;     /* an earlier open completed data.mdb: it must be there */
    bool logged;   /* a writer's: redo.log may hold what data.mdb lacks, so it must be there. Earlier releases refuse
                    * such a state */
    bool has_data; /* data.mdb is there and not empty */
};

/* Opens, or makes with its parents, the directory at path; takes the lock unless read_only. Who reads but may not write
 * lock.mdb, where LMDB's readers announce themselves, takes the lock too, shared with others like it. A leftover of a
 * creation that was cut off is cleared. Errors: EBUSY (names the pid), ECORRUPT (data.mdb is gone or empty), EVERSION,
 * EFULL, ESTORE, ENOMEM. On an error *directory needs no closing. */
enum tumble_code tw_state_directory_open(struct tw_state_directory *directory, const char *path, bool read_only,
                                         struct tumble_alloc alloc, struct tumble_error *err);
/* Remembers that data.mdb is complete, which the disk has by now; makes its name durable before. */
enum tumble_code tw_state_directory_set_made(struct tw_state_directory *directory, struct tumble_error *err);
/* Remembers, durably, whether redo.log may hold what data.mdb lacks. */
enum tumble_code tw_state_directory_set_logged(struct tw_state_directory *directory, bool logged,
                                               struct tumble_error *err);
/* What the directory's writer says of that at this moment. */
bool tw_state_directory_is_logged_now(const struct tw_state_directory *directory);
void tw_state_directory_close(struct tw_state_directory *directory); /* gives the lock back */

/* Turns an errno, or a code of LMDB, into code and text. doing: "opening it", "writing to it"… */
enum tumble_code tw_state_trouble(const struct tw_state_directory *directory, int number, const char *doing,
                                  struct tumble_error *err);
enum tumble_code tw_state_damaged(const struct tw_state_directory *directory, const char *why,
                                  struct tumble_error *err);

#endif
