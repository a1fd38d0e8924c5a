#include <string.h>

#include "adapters/inputs/capture/capture.h"
#include "adapters/inputs/capture/object_source.h"
#include "engine/base/alloc.h"
#include "engine/base/fail.h"

/* What the command line names, as inputs one by one: a prefix in S3 stands for every object under it. */

struct tumble_input_list {
    struct tumble_alloc alloc;
    const char **paths;
    size_t count;
    size_t capacity;
};

static enum tumble_code append(void *ctx, const char *path, struct tumble_error *err) {
    struct tumble_input_list *list = ctx;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        const char **paths =
            tw_resize(&list->alloc, (void *)list->paths, list->capacity * sizeof *paths, capacity * sizeof *paths);
        if (!paths) {
            return tw_no_memory(err);
        }
        list->paths = paths;
        list->capacity = capacity;
    }
    list->paths[list->count] = tw_copy_text(&list->alloc, path, strlen(path));
    if (!list->paths[list->count]) {
        return tw_no_memory(err);
    }
    list->count++;
    return TUMBLE_OK;
}

enum tumble_code tumble_input_list_new(const char *const *names, size_t count, struct tumble_alloc alloc,
                                       struct tumble_input_list **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = NULL;
    struct tumble_input_list *list = tw_alloc_zero(&alloc, sizeof *list);
    if (!list) {
        return tw_no_memory(err);
    }
    list->alloc = alloc;
    enum tumble_code code = TUMBLE_OK;
    for (size_t i = 0; i < count && code == TUMBLE_OK; i++) {
        code = tw_object_source_takes(names[i]) ? tw_object_source_list(names[i], alloc, append, list, err)
                                                : append(list, names[i], err);
    }
    if (code != TUMBLE_OK) {
        tumble_input_list_destroy(list);
        return code;
    }
    *out = list;
    return TUMBLE_OK;
}

const char *const *tumble_input_list_paths(const struct tumble_input_list *list) { return list->paths; }

size_t tumble_input_list_count(const struct tumble_input_list *list) { return list->count; }

void tumble_input_list_destroy(struct tumble_input_list *list) {
    if (list) {
        struct tumble_alloc alloc = list->alloc;
        for (size_t i = 0; i < list->count; i++) {
            tw_free(&alloc, (void *)(uintptr_t)list->paths[i]);
        }
        tw_free(&alloc, (void *)list->paths);
        tw_free(&alloc, list);
    }
}
