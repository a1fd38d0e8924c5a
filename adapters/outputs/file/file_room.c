#define _GNU_SOURCE /* fallocate */

#include "adapters/outputs/file/file_room.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

void tw_file_room_begin(struct tw_file_room *room, int fd) {
    struct statfs filesystem;
    struct stat status;
    *room = (struct tw_file_room){0, false};
    if (fstatfs(fd, &filesystem) != 0 || filesystem.f_type == TMPFS_MAGIC || fstat(fd, &status) != 0) {
        room->end = INT64_MAX; /* pages of memory cost the same whenever they are asked for */
    } else if ((int64_t)status.st_blocks * 512 > (int64_t)status.st_size + status.st_blksize) {
        room->is_held = true; /* a crash left them, or they describe the file */
    }
}

void tw_file_room_ask(struct tw_file_room *room, int fd, int64_t from, int64_t to) {
    if (to <= room->end || to > INT64_MAX - TW_FILE_ROOM_STEP) {
        return;
    }
    from = from > room->end ? from : room->end;
    to += TW_FILE_ROOM_STEP - to % TW_FILE_ROOM_STEP;
    int status;
    do {
        status = fallocate(fd, FALLOC_FL_KEEP_SIZE, from, to - from);
    } while (status != 0 && errno == EINTR);
    room->is_held = true;
    room->end = status == 0 ? to : INT64_MAX; /* what a full disk had left may be there: the write decides */
}

void tw_file_room_give_back(struct tw_file_room *room, int fd, int64_t length) {
    struct stat status;
    /* Where somebody else wrote behind our bytes, the end is not ours to set. */
    if (room->is_held && fstat(fd, &status) == 0 && status.st_size == length) {
        int ignored = ftruncate(fd, length);
        (void)ignored;
    }
    room->is_held = false;
}
