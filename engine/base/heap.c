#include "engine/base/heap.h"

#include <string.h>

enum {
    SMALLEST = 16, /* also the alignment of blocks */
    CLASSES = 18,
    SLAB_MIN = 4 * 1024, /* the first slab; each next one as large as all before, up to the greatest */
    SLAB_MAX = 256 * 1024
};

struct tw_heap_slab {
    struct tw_heap_slab *next;
    size_t size; /* this header included; a multiple of SMALLEST */
};
_Static_assert(sizeof(struct tw_heap_slab) <= SMALLEST, "blocks begin behind one smallest block");

struct free_block {
    struct free_block *next;
};

static int class_of(size_t size) {
    return size <= SMALLEST ? 0 : 64 - __builtin_clzll((unsigned long long)(size - 1)) - 4;
}

static size_t class_size(int class) { return (size_t)SMALLEST << class; }

size_t tw_heap_size(size_t size) { return class_size(class_of(size)); }

void tw_heap_init(struct tw_heap *heap, struct tumble_alloc alloc) {
    memset(heap, 0, sizeof *heap);
    heap->alloc = alloc;
}

static void release(struct tw_heap *heap, struct tw_heap_slab *slab) {
    while (slab) {
        struct tw_heap_slab *next = slab->next;
        heap->bytes -= slab->size;
        tw_free(&heap->alloc, slab);
        slab = next;
    }
}

void tw_heap_clean_up(struct tw_heap *heap) {
    release(heap, heap->slabs);
    heap->slabs = NULL;
    heap->slab_left = 0;
    memset(heap->free_lists, 0, sizeof heap->free_lists);
}

void tw_heap_reset(struct tw_heap *heap) {
    struct tw_heap_slab *kept = heap->slabs;
    memset(heap->free_lists, 0, sizeof heap->free_lists);
    if (kept) {
        release(heap, kept->next);
        kept->next = NULL;
        heap->slab_left = kept->size - SMALLEST;
    }
}

static void put_free(struct tw_heap *heap, void *block, int class) {
    struct free_block *freed = block;
    freed->next = heap->free_lists[class];
    heap->free_lists[class] = freed;
}

static char *slab_front(const struct tw_heap *heap) {
    return (char *)heap->slabs + (heap->slabs->size - heap->slab_left);
}

/* What is left of the slab that a larger one replaces: the greatest blocks that fit, into the free lists. */
static void cut_up_rest(struct tw_heap *heap) {
    for (int class = CLASSES - 1; class >= 0; class --) {
        while (heap->slab_left >= class_size(class)) {
            char *block = slab_front(heap);
            heap->slab_left -= class_size(class);
            put_free(heap, block, class);
        }
    }
}

bool tw_heap_reserve(struct tw_heap *heap, size_t total) {
    if (heap->slab_left >= total) {
        return true;
    }
    size_t size = heap->bytes < SLAB_MIN ? SLAB_MIN : heap->bytes > SLAB_MAX ? SLAB_MAX : heap->bytes;
    size_t need;
    if (!tw_add_ok(total, 2 * SMALLEST, &need)) {
        return false;
    }
    size = (size < need ? need : size) & ~(size_t)(SMALLEST - 1);
    struct tw_heap_slab *slab = tw_alloc(&heap->alloc, size);
    if (!slab) {
        return false;
    }
    cut_up_rest(heap);
    slab->next = heap->slabs;
    slab->size = size;
    heap->slabs = slab;
    heap->slab_left = size - SMALLEST;
    heap->bytes += size;
    return true;
}

void *tw_heap_take(struct tw_heap *heap, size_t size) {
    int class = class_of(size);
    if (class >= CLASSES) {
        return NULL;
    }
    struct free_block *block = heap->free_lists[class];
    if (block) {
        heap->free_lists[class] = block->next;
        return block;
    }
    if (!tw_heap_reserve(heap, class_size(class))) {
        return NULL;
    }
    void *cut = slab_front(heap);
    heap->slab_left -= class_size(class);
    return cut;
}

void tw_heap_give(struct tw_heap *heap, void *block, size_t size) {
    if (block) {
        put_free(heap, block, class_of(size));
    }
}
