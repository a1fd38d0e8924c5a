#include "engine/aggregate/space_saving.h"

#include "engine/aggregate/kept.h"
#include "engine/aggregate/pointer_sort.h"
#include "engine/base/fail.h"
#include "engine/codec/hash.h"

/* ---- counters ---- */

void tw_counter_key(const struct tw_counter *counter, struct tw_value *key) {
    tw_kept_get(key, counter->type, counter->key, counter->text_length);
}

int tw_counter_compare_keys(const void *a, const void *b) {
    struct tw_value left;
    struct tw_value right;
    tw_counter_key(a, &left);
    tw_counter_key(b, &right);
    return tw_kept_compare(&left, &right);
}

int tw_counter_rank(const void *a, const void *b) {
    int order = tw_total_compare(&((const struct tw_counter *)b)->count, &((const struct tw_counter *)a)->count);
    return order ? order : tw_counter_compare_keys(a, b);
}

static size_t counter_size(size_t key_length) { return offsetof(struct tw_counter, key) + key_length; }

static size_t key_length_of(const struct tw_counter *counter) {
    return counter->type == TUMBLE_TYPE_NUMBER ? sizeof(struct tw_decimal) : counter->text_length;
}

static void give_counter(struct tw_counter *counter, struct tw_heap *heap) {
    tw_total_clear(&counter->count, heap);
    tw_total_clear(&counter->error, heap);
    tw_heap_give(heap, counter, counter_size(key_length_of(counter)));
}

/* ---- trie ---- */

static uint64_t hash_key(const struct tw_value *key) {
    uint64_t seed = tw_hash_process_seed() + key->type;
    bool number = key->type == TUMBLE_TYPE_NUMBER;
    return tw_hash_seeded(number ? (const void *)&key->number : key->text.data, tw_kept_length(key), seed);
}

static bool has_key(const struct tw_counter *counter, uint64_t hash, const struct tw_value *key) {
    if (counter->hash != hash || counter->type != key->type) {
        return false;
    }
    struct tw_value own;
    tw_counter_key(counter, &own);
    return tw_kept_compare(&own, key) == 0;
}

/* Two bits of the hash a level, highest first. Behind the last of them counters of one hash hang in a chain. */
static struct tw_counter *find(const struct tw_space_saving *summary, uint64_t hash, const struct tw_value *key) {
    struct tw_counter *at = summary->root;
    for (uint64_t left = hash; at && !has_key(at, hash, key); left <<= 2) {
        at = at->branches[left >> 62];
    }
    return at;
}

static void hang(struct tw_space_saving *summary, struct tw_counter *counter) {
    struct tw_counter **slot = &summary->root;
    for (uint64_t left = counter->hash; *slot; left <<= 2) {
        slot = &(*slot)->branches[left >> 62];
    }
    *slot = counter;
}

static struct tw_counter **first_branch(struct tw_counter *counter) {
    for (int i = 0; i < 4; i++) {
        if (counter->branches[i]) {
            return &counter->branches[i];
        }
    }
    return NULL;
}

/* Any leaf below a counter may take its place: it shares the bits that lead there. */
static void unhang(struct tw_space_saving *summary, struct tw_counter *counter) {
    struct tw_counter **slot = &summary->root;
    for (uint64_t left = counter->hash; *slot != counter; left <<= 2) {
        slot = &(*slot)->branches[left >> 62];
    }
    struct tw_counter **leaf_slot = slot;
    for (struct tw_counter **next = first_branch(counter); next; next = first_branch(*next)) {
        leaf_slot = next;
    }
    struct tw_counter *leaf = *leaf_slot;
    *leaf_slot = NULL;
    if (leaf != counter) {
        memcpy(leaf->branches, counter->branches, sizeof leaf->branches);
        *slot = leaf;
    }
}

/* ---- heap ---- */

/* The counter that ranks last comes out first. A count that rises is only marked: where the mark stands the subtree is
 * taken apart when it reaches the top, because all below it still rank no later than the counter did when marked. */

static void push_tree(struct tw_space_saving *summary, struct tw_counter *counter) {
    counter->sibling = summary->trees;
    summary->trees = counter;
}

static struct tw_counter *link_trees(struct tw_counter *a, struct tw_counter *b) {
    bool a_above = tw_counter_rank(a, b) > 0;
    struct tw_counter *above = a_above ? a : b;
    struct tw_counter *below = a_above ? b : a;
    below->sibling = above->child;
    above->child = below;
    return above;
}

/* The first tree of a list; when its root has risen, the root alone, with its children put in front of the list. */
static struct tw_counter *pop_tree(struct tw_counter **list) {
    struct tw_counter *tree = *list;
    *list = tree->sibling;
    if (tree->risen) {
        for (struct tw_counter *child = tree->child; child;) {
            struct tw_counter *next = child->sibling;
            child->sibling = *list;
            *list = child;
            child = next;
        }
        tree->child = NULL;
        tree->risen = false;
    }
    return tree;
}

/* The counter that ranks last; the heap is then one tree with it on top. There must be one. */
static struct tw_counter *find_last(struct tw_space_saving *summary) {
    if (!summary->trees->sibling && !summary->trees->risen) {
        return summary->trees;
    }
    struct tw_counter *list = summary->trees;
    struct tw_counter *pairs = NULL;
    while (list) {
        struct tw_counter *tree = pop_tree(&list);
        if (list) {
            tree = link_trees(tree, pop_tree(&list));
        }
        tree->sibling = pairs;
        pairs = tree;
    }
    struct tw_counter *top = NULL;
    while (pairs) {
        struct tw_counter *next = pairs->sibling;
        pairs->sibling = NULL;
        top = top ? link_trees(top, pairs) : pairs;
        pairs = next;
    }
    summary->trees = top;
    return top;
}

/* ---- adding ---- */

size_t tw_space_saving_growth(const struct tw_value *key) {
    return tw_heap_size(counter_size(tw_kept_length(key))) + 2 * tw_total_growth();
}

/* A counter that hangs nowhere yet. */
static struct tw_counter *make_counter(uint64_t hash, const struct tw_value *key, struct tw_heap *heap) {
    struct tw_counter *counter = tw_heap_take(heap, counter_size(tw_kept_length(key)));
    if (counter) {
        memset(counter, 0, sizeof *counter);
        counter->hash = hash;
        counter->type = key->type;
        counter->text_length = key->type == TUMBLE_TYPE_STRING ? (uint32_t)key->text.length : 0;
        tw_kept_put(counter->key, key);
    }
    return counter;
}

static struct tw_counter *insert(struct tw_space_saving *summary, uint64_t hash, const struct tw_value *key,
                                 struct tw_heap *heap) {
    struct tw_counter *counter = make_counter(hash, key, heap);
    if (counter) {
        hang(summary, counter);
        push_tree(summary, counter);
        summary->count++;
    }
    return counter;
}

struct tw_counter *tw_space_saving_insert(struct tw_space_saving *summary, const struct tw_value *key,
                                          struct tw_heap *heap) {
    return insert(summary, hash_key(key), key, heap);
}

/* The lowest counter goes to another key, which starts from its count. */
static struct tw_counter *take_over(struct tw_space_saving *summary, uint64_t hash, const struct tw_value *key,
                                    struct tw_heap *heap) {
    struct tw_counter *last = find_last(summary);
    struct tw_counter *counter = make_counter(hash, key, heap);
    if (!counter) {
        return NULL;
    }
    if (tw_total_merge(&counter->error, &last->count, heap) != TUMBLE_OK) {
        give_counter(counter, heap);
        return NULL;
    }
    counter->count = last->count;
    memset(&last->count, 0, sizeof last->count);
    summary->trees = last->child;
    unhang(summary, last);
    give_counter(last, heap);
    hang(summary, counter);
    push_tree(summary, counter);
    summary->overflowed = 1;
    return counter;
}

bool tw_space_saving_add(struct tw_space_saving *summary, uint32_t capacity, const struct tw_value *key,
                         const struct tw_decimal *weight, struct tw_heap *heap) {
    if (weight->low == 0 && weight->high == 0) {
        return true;
    }
    uint64_t hash = hash_key(key);
    struct tw_counter *counter = find(summary, hash, key);
    if (!counter) {
        counter = summary->count < capacity ? insert(summary, hash, key, heap) : take_over(summary, hash, key, heap);
    } else {
        counter->risen = true;
    }
    if (!counter) {
        return false;
    }
    tw_total_add(&counter->count, weight, heap);
    return true;
}

/* ---- merging ---- */

struct tw_counter **tw_space_saving_list(const struct tw_space_saving *summary, const struct tumble_alloc *alloc) {
    struct tw_counter **list = tw_alloc_array(alloc, summary->count, sizeof *list);
    size_t length = 0;
    if (list && summary->root) {
        list[length++] = summary->root;
        for (size_t i = 0; i < length; i++) {
            for (int k = 0; k < 4; k++) {
                if (list[i]->branches[k]) {
                    list[length++] = list[i]->branches[k];
                }
            }
        }
    }
    return list;
}

/* What a key without a counter may have had: nothing, or the lowest count. Appended to an empty total. */
static enum tumble_code copy_floor(const struct tw_space_saving *summary, struct tw_counter *const *list,
                                   struct tw_total *out, struct tw_heap *heap) {
    if (!summary->overflowed) {
        return TUMBLE_OK;
    }
    const struct tw_total *lowest = &list[0]->count;
    for (uint32_t i = 1; i < summary->count; i++) {
        if (tw_total_compare(&list[i]->count, lowest) < 0) {
            lowest = &list[i]->count;
        }
    }
    return tw_total_merge(out, lowest, heap);
}

static enum tumble_code raise_counter(struct tw_counter *counter, const struct tw_total *count,
                                      const struct tw_total *error, struct tw_heap *heap) {
    counter->risen = true;
    TW_TRY(tw_total_merge(&counter->count, count, heap));
    return tw_total_merge(&counter->error, error, heap);
}

/* Drops what ranks behind the capacity, and builds the heap anew. */
static enum tumble_code prune(struct tw_space_saving *summary, uint32_t capacity, struct tw_heap *heap) {
    struct tw_counter **list = tw_space_saving_list(summary, &heap->alloc);
    if (!list) {
        return TUMBLE_ENOMEM;
    }
    uint32_t count = summary->count;
    tw_sort_last_pointers((void **)list, count, count - capacity, tw_counter_rank);
    summary->trees = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (i < capacity) {
            list[i]->child = NULL;
            list[i]->risen = false;
            push_tree(summary, list[i]);
        } else {
            unhang(summary, list[i]);
            give_counter(list[i], heap);
        }
    }
    summary->count = capacity;
    summary->overflowed = 1;
    tw_free(&heap->alloc, list);
    return TUMBLE_OK;
}

/* A key of one side alone gets the other's floor, as count and as error. */
static enum tumble_code add_up(struct tw_space_saving *summary, const struct tw_space_saving *other,
                               struct tw_counter *const *own, struct tw_counter *const *theirs,
                               struct tw_total floors[2], struct tw_heap *heap) {
    struct tw_value key;
    uint32_t own_count = summary->count;
    TW_TRY(copy_floor(summary, own, &floors[0], heap));
    TW_TRY(copy_floor(other, theirs, &floors[1], heap));
    for (uint32_t i = 0; other->overflowed && i < own_count; i++) {
        tw_counter_key(own[i], &key);
        if (!find(other, own[i]->hash, &key)) {
            TW_TRY(raise_counter(own[i], &floors[1], &floors[1], heap));
        }
    }
    for (uint32_t i = 0; i < other->count; i++) {
        tw_counter_key(theirs[i], &key);
        struct tw_counter *counter = find(summary, theirs[i]->hash, &key);
        if (!counter) {
            counter = insert(summary, theirs[i]->hash, &key, heap);
            if (!counter) {
                return TUMBLE_ENOMEM;
            }
            TW_TRY(raise_counter(counter, &floors[0], &floors[0], heap));
        }
        TW_TRY(raise_counter(counter, &theirs[i]->count, &theirs[i]->error, heap));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_space_saving_merge(struct tw_space_saving *summary, uint32_t capacity,
                                       const struct tw_space_saving *other, struct tw_heap *heap) {
    struct tw_total floors[2] = {0};
    if (other->count == 0) {
        return TUMBLE_OK;
    }
    struct tw_counter **own = tw_space_saving_list(summary, &heap->alloc);
    struct tw_counter **theirs = tw_space_saving_list(other, &heap->alloc);
    enum tumble_code code = own && theirs ? add_up(summary, other, own, theirs, floors, heap) : TUMBLE_ENOMEM;
    tw_free(&heap->alloc, own);
    tw_free(&heap->alloc, theirs);
    tw_total_clear(&floors[0], heap);
    tw_total_clear(&floors[1], heap);
    if (code == TUMBLE_OK) {
        summary->overflowed |= other->overflowed;
        code = summary->count > capacity ? prune(summary, capacity, heap) : TUMBLE_OK;
    }
    return code;
}
