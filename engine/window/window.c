#include "engine/window/window.h"

#include <string.h>

void tw_window_init(struct tw_window *window, int64_t start_ms, struct tumble_alloc alloc,
                    const struct tw_layout *layout) {
    memset(window, 0, sizeof *window);
    window->start_ms = start_ms;
    tw_group_table_init(&window->groups, alloc, layout);
    tw_heap_init(&window->heap, alloc);
}

void tw_window_clean_up(struct tw_window *window) {
    tw_group_table_clean_up(&window->groups);
    tw_heap_clean_up(&window->heap);
}

void tw_window_unload(struct tw_window *window) {
    tw_group_table_clean_up(&window->groups);
    tw_heap_clean_up(&window->heap);
    tw_heap_init(&window->heap, window->groups.alloc);
    window->loaded = false;
}
