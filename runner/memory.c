#include "runner/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *tumble_runner_alloc(size_t size) { return calloc(1, size ? size : 1); }

void *tumble_runner_alloc_raw(size_t size) { return malloc(size ? size : 1); }

void *tumble_runner_enlarge(void *array, size_t *capacity, size_t item) {
    size_t wanted = *capacity ? *capacity * 2 : 16;
    if (wanted > (size_t)-1 / item) {
        return NULL;
    }
    void *grown = realloc(array, wanted * item);
    if (grown) {
        *capacity = wanted;
    }
    return grown;
}

void tumble_runner_free(void *pointer) { free(pointer); }

char *tumble_runner_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (text) {
        vsnprintf(text, (size_t)length + 1, format, again);
    }
    va_end(again);
    return text;
}

enum tumble_code tumble_runner_fail(struct tumble_error *err, enum tumble_code code, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        memset(err, 0, sizeof *err);
        err->code = code;
        err->byte = err->record = -1;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return code;
}
