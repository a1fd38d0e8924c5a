#ifndef GUARDED_H
#define GUARDED_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Memory between two pages that nobody may touch, so that a vector that reads or writes one byte too many, at either
 * end, ends the test: on any machine, under any emulator, with no sanitizer. */
struct guarded {
    char *begin, *end;
};

static inline struct guarded guarded_new(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_READ | PROT_WRITE)) {
        abort();
    }
    return (struct guarded){pages + page, pages + 2 * page};
}

static inline void guarded_free(struct guarded *memory) {
    const size_t page = (size_t)(memory->end - memory->begin);
    munmap(memory->begin - page, 3 * page);
}

/* A copy of these bytes at either end of it. */
static inline char *at_its_end(const struct guarded *memory, const char *bytes, size_t length) {
    return memcpy(memory->end - length, bytes, length);
}

static inline char *at_its_begin(const struct guarded *memory, const char *bytes, size_t length) {
    return memcpy(memory->begin, bytes, length);
}

#endif
