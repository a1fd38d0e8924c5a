#ifndef TW_FILE_ROOM_H
#define TW_FILE_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* Blocks of a disk, asked for ahead of the bytes: a filesystem that gives them one write after the other, or as they
 * leave for the disk, takes twice the time. They lie behind the file's end, where nobody sees them but du, and what is
 * left of them is given back; a crash leaves no more than a few megabytes until the next run that writes there. Nothing
 * depends on it: where it cannot be had (another filesystem, a full disk, a quota) writing goes on without. */

enum { TW_FILE_ROOM_STEP = 4 * 1024 * 1024 };

struct tw_file_room {
    int64_t end;  /* there are blocks up to here, as far as we know; INT64_MAX: more are not to be had */
    bool is_held; /* there may be blocks behind the file's end */
};

/* fd is a regular file open for writing. Of a file that was written to before: blocks behind its end count as ours. */
void tw_file_room_begin(struct tw_file_room *room, int fd);
/* Before from … to is written. */
void tw_file_room_ask(struct tw_file_room *room, int fd, int64_t from, int64_t to);
/* length bytes were written, the last of the file. */
void tw_file_room_give_back(struct tw_file_room *room, int fd, int64_t length);

#endif
