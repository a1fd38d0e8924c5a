#include "engine/store/state_directory.h"

#include <errno.h>
#include <lmdb.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "engine/base/fail.h"

enum tumble_code tw_state_damaged(const struct tw_state_directory *directory, const char *why,
                                  struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "state directory %s is damaged: %s; restore it or remove it and run again",
                   directory->path, why);
}

/* LMDB reports a short write as EIO, and a short write is what a disk gives that is about to be full. */
static bool nearly_full(const struct tw_state_directory *directory) {
    struct statvfs fs;
    struct rlimit file_size;
    if (directory->fd >= 0 && fstatvfs(directory->fd, &fs) == 0 && fs.f_bavail < 1024) {
        return true;
    }
    return getrlimit(RLIMIT_FSIZE, &file_size) == 0 && file_size.rlim_cur != RLIM_INFINITY;
}

enum tumble_code tw_state_trouble(const struct tw_state_directory *directory, int number, const char *doing,
                                  struct tumble_error *err) {
    const char *path = directory->path;
    switch (number) {
    case ENOMEM: return tw_fail(err, TUMBLE_ENOMEM, "state directory %s: out of memory %s", path, doing);
    case EACCES:
    case EPERM:
        return tw_fail(err, TUMBLE_ESTORE,
                       "state directory %s: no permission (%s): allow this user to write there or name another --state",
                       path, doing);
    case EROFS:
        return tw_fail(err, TUMBLE_ESTORE,
                       "state directory %s is on a read-only file system (%s): name another --state", path, doing);
    case ENOTDIR:
    case EEXIST:
        return tw_fail(err, TUMBLE_ESTORE,
                       "state directory %s: there is a file in its place: remove it or name another --state", path);
    case ENAMETOOLONG:
    case ELOOP:
        return tw_fail(err, TUMBLE_ESTORE, "state directory %s: %s: name another --state", path, strerror(number));
    case ENOENT: return tw_fail(err, TUMBLE_ESTORE, "state directory %s: there is no state there (%s)", path, doing);
    case MDB_INVALID: return tw_state_damaged(directory, "data.mdb is not a file of LMDB", err);
    case MDB_VERSION_MISMATCH:
        return tw_fail(err, TUMBLE_EVERSION,
                       "state directory %s was written by another version of LMDB: use the tumble that wrote it or a "
                       "fresh --state",
                       path);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_INCOMPATIBLE:
    case MDB_PAGE_FULL:
    case MDB_BAD_VALSIZE:
    case MDB_PANIC: return tw_state_damaged(directory, "its pages do not fit together", err);
    case MDB_TXN_FULL:
        return tw_fail(err, TUMBLE_ELIMIT, "state directory %s: one commit is too large: use smaller batches", path);
    case MDB_READERS_FULL:
        return tw_fail(err, TUMBLE_EBUSY, "state directory %s is being read by too many processes: run again", path);
    default: break;
    }
    bool full = number == ENOSPC || number == EDQUOT || number == EFBIG || number == MDB_MAP_FULL ||
                (number == EIO && nearly_full(directory));
    if (full) {
        return tw_fail(err, TUMBLE_EFULL,
                       "state directory %s: no space left %s: free some or name another --state, then run again", path,
                       doing);
    }
    return tw_fail(err, TUMBLE_ESTORE, "state directory %s: %s failed: %s", path, doing, mdb_strerror(number));
}
