#include "cli/file_conflict.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

/* What makes a file the same under another name. name is empty when the file exists. */
struct identity {
    bool known;
    bool lost; /* not even its directory exists: only the same text is the same file */
    dev_t device;
    ino_t inode;
    char name[NAME_MAX + 1];
};

static void of_descriptor(int fd, struct identity *out) {
    struct stat info;
    out->known = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    out->device = info.st_dev;
    out->inode = info.st_ino;
}

/* A path that leads nowhere yet: links that hang are followed by hand, then directory and name make it. */
static void of_new_file(const char *path, struct identity *out) {
    char at[PATH_MAX], target[PATH_MAX];
    struct stat info;
    size_t path_length = strlen(path);
    if (path_length >= sizeof at) {
        return;
    }
    memcpy(at, path, path_length + 1);
    for (int links = 0; links < LINKS_MAX; links++) {
        char *slash = strrchr(at, '/');
        size_t directory = slash ? (size_t)(slash - at) + 1 : 0;
        ssize_t length = readlink(at, target, sizeof target - 1);
        if (length < 0) {
            const char *name = at + directory;
            size_t name_length = strlen(name);
            if (name_length > NAME_MAX || name_length == 0) {
                return;
            }
            memcpy(out->name, name, name_length + 1);
            at[directory] = '\0';
            out->known = stat(directory ? at : ".", &info) == 0;
            out->lost = !out->known;
            out->device = info.st_dev;
            out->inode = info.st_ino;
            return;
        }
        target[length] = '\0';
        directory = target[0] == '/' ? 0 : directory;
        if (directory + (size_t)length >= sizeof at) {
            return;
        }
        memcpy(at + directory, target, (size_t)length + 1);
    }
}

/* Devices and pipes are not known: to write there twice, or to read what was written, harms nothing. */
static void identify(const char *path, int descriptor, struct identity *out) {
    struct stat info;
    memset(out, 0, sizeof *out);
    if (strcmp(path, "-") == 0) {
        of_descriptor(descriptor, out);
    } else if (stat(path, &info) == 0) {
        out->known = S_ISREG(info.st_mode) || S_ISBLK(info.st_mode);
        out->device = info.st_dev;
        out->inode = info.st_ino;
    } else if (errno == ENOENT) {
        of_new_file(path, out);
    }
}

static bool same(const struct identity *a, const struct identity *b) {
    return a->known && b->known && a->device == b->device && a->inode == b->inode && strcmp(a->name, b->name) == 0;
}

static enum tumble_code refuse(const struct tw_file_use *a, const struct tw_file_use *b, struct tumble_error *err) {
    err->code = TUMBLE_EUSAGE;
    err->byte = err->record = -1;
    snprintf(err->text, sizeof err->text, "%s %.100s and %s %.100s are the same file: name another for one of them",
             a->role, a->name, b->role, b->name);
    return TUMBLE_EUSAGE;
}

void tw_file_uses_add(struct tw_file_uses *written, const char *role, const char *name, const char *path,
                      bool is_stdout) {
    if (written->count < TW_FILE_USES) {
        struct tw_file_use use = {role, name, is_stdout ? "-" : path, is_stdout};
        written->items[written->count++] = use;
    }
}

enum tumble_code tw_file_uses_check(const struct tw_file_uses *written, struct tumble_error *err) {
    static struct identity ids[TW_FILE_USES];
    for (size_t i = 0; i < written->count; i++) {
        const struct tw_file_use *use = &written->items[i];
        identify(use->path, STDOUT_FILENO, &ids[i]);
        for (size_t k = 0; k < i; k++) {
            const struct tw_file_use *other = &written->items[k];
            bool alike = ids[i].lost && ids[k].lost && strcmp(use->path, other->path) == 0;
            if ((alike || same(&ids[i], &ids[k])) && !(use->is_stdout && other->is_stdout)) {
                return refuse(other, use, err);
            }
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_file_uses_check_read(const struct tw_file_uses *written, const char *role, const char *path,
                                         struct tumble_error *err) {
    struct tw_file_use use = {role, strcmp(path, "-") == 0 ? "standard input" : path, path, false};
    struct identity read, id;
    identify(path, STDIN_FILENO, &read);
    for (size_t i = 0; i < written->count && read.known; i++) {
        identify(written->items[i].path, STDOUT_FILENO, &id);
        if (same(&read, &id)) {
            return refuse(&written->items[i], &use, err);
        }
    }
    return TUMBLE_OK;
}
