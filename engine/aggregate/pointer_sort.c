#include "engine/aggregate/pointer_sort.h"

/* Heapsort. */
static void sift_down(void **items, size_t at, size_t count, int (*compare)(const void *a, const void *b)) {
    void *moved = items[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && compare(items[child], items[child + 1]) < 0) {
            child++;
        }
        if (compare(moved, items[child]) >= 0) {
            break;
        }
        items[at] = items[child];
        at = child;
    }
    items[at] = moved;
}

void tw_sort_last_pointers(void **items, size_t count, size_t last, int (*compare)(const void *a, const void *b)) {
    for (size_t at = count / 2; at-- > 0;) {
        sift_down(items, at, count, compare);
    }
    for (size_t left = count; left > count - last; left--) {
        void *greatest = items[0];
        items[0] = items[left - 1];
        items[left - 1] = greatest;
        sift_down(items, 0, left - 1, compare);
    }
}

void tw_sort_pointers(void **items, size_t count, int (*compare)(const void *a, const void *b)) {
    tw_sort_last_pointers(items, count, count, compare);
}
