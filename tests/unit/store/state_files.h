#ifndef STATE_FILES_H
#define STATE_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <fcntl.h>

#include <cmocka.h>

#include "store/state_fixture.h"

/* The files of a state directory, read and written from outside. */

static const char *in_state(const char *name) {
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", fixture_directory(), name);
    return path;
}

static inline char *read_file(const char *name, size_t *length) {
    int fd = open(in_state(name), O_RDONLY);
    assert_true(fd >= 0);
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    char *bytes = malloc((size_t)status.st_size + 1);
    *length = (size_t)status.st_size;
    assert_int_equal(read(fd, bytes, *length), status.st_size);
    close(fd);
    return bytes;
}

static inline void write_file(const char *name, const char *bytes, size_t length) {
    int fd = open(in_state(name), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    close(fd);
}

static inline size_t size_of(const char *name) {
    struct stat status;
    return stat(in_state(name), &status) == 0 ? (size_t)status.st_size : 0;
}

static inline int remove_all(void **state) {
    (void)state;
    fixture_remove();
    return 0;
}

#endif
