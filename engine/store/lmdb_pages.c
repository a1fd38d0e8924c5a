#include "engine/store/lmdb_pages.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/alloc.h"

/* The file of LMDB 0.9 on a 64-bit machine, integers in the machine's order:
 *
 *   page   number u64, pad u16, flags u16, then lower u16 and upper u16, or for an overflow run its pages u32; after
 *          these 16 bytes a branch or leaf has (lower - 16) / 2 offsets u16 of its nodes, which lie from upper on
 *   node   low u16, high u16, flags u16, key length u16, key; in a leaf low and high are the value's length, and the
 *          value follows (or, flag 1, the number of its overflow run); in a branch they and flags are a page number
 *   meta   pages 0 and 1, after the page's head: magic u32, version u32, address u64, map size u64, two tables of 48
 *          bytes (free list, then ours), last page u64, transaction u64; the higher transaction counts
 *   table  pad u32 (page size, in the first), flags u16, depth u16, four counts u64, root u64 (all ones: empty) */
enum { HEAD = 16, NODE_HEAD = 8, META_BYTES = 152, DEEPEST = 32, BRANCH = 1, LEAF = 2, OVERFLOW = 4, BIG_VALUE = 1 };
#define KIND_FLAGS 0x6fu /* branch, leaf, overflow, meta and the two of sorted duplicates; others are of no account */
#define NO_ROOT    UINT64_MAX

struct table {
    uint64_t root;
    unsigned depth;
    bool free_list;
};

struct walk {
    int fd;
    size_t page_bytes;
    uint64_t file_pages;
    uint64_t last_page;
    unsigned char *seen;  /* a bit for each page of the file */
    char *pages;          /* one for each level of a tree */
    unsigned char *taken; /* a flag for each byte of a page */
    uint64_t last_freed_in;
};

static uint64_t number(const char *at, size_t width) {
    uint64_t value = 0;
    memcpy(&value, at, width);
    return value;
}

static bool read_at(const struct walk *walk, char *to, size_t length, uint64_t offset) {
    while (length > 0) {
        ssize_t got = pread(walk->fd, to, length, (off_t)offset);
        if (got <= 0) {
            return false;
        }
        to += got;
        length -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* false: the page is claimed already. */
static bool claim(struct walk *walk, uint64_t page) {
    if (page < 2 || page > walk->last_page) {
        return false;
    }
    if (page >= walk->file_pages) {
        return true; /* free, and never written: beyond the end of the file */
    }
    unsigned char bit = (unsigned char)(1u << page % 8);
    bool first = !(walk->seen[page / 8] & bit);
    walk->seen[page / 8] |= bit;
    return first;
}

static bool claim_used(struct walk *walk, uint64_t page) { return page < walk->file_pages && claim(walk, page); }

/* One value of the free list: a count, then numbers that descend. at: where in the file. */
static bool check_free_value(struct walk *walk, uint64_t at, uint64_t length) {
    char bytes[4096];
    uint64_t count, last = UINT64_MAX;
    if (length < 8 || !read_at(walk, bytes, 8, at)) {
        return false;
    }
    count = number(bytes, 8);
    if (count > length / 8 - 1) {
        return false;
    }
    for (uint64_t done = 0; done < count;) {
        uint64_t chunk = count - done < sizeof bytes / 8 ? count - done : sizeof bytes / 8;
        if (!read_at(walk, bytes, (size_t)chunk * 8, at + 8 + done * 8)) {
            return false;
        }
        for (uint64_t i = 0; i < chunk; i++) {
            uint64_t page = number(bytes + 8 * i, 8);
            if (page >= last || !claim(walk, page)) {
                return false;
            }
            last = page;
        }
        done += chunk;
    }
    return true;
}

static bool claim_overflow(struct walk *walk, uint64_t page, uint64_t value_bytes) {
    char head[HEAD];
    if (page >= walk->file_pages || !read_at(walk, head, HEAD, page * walk->page_bytes)) {
        return false;
    }
    uint64_t pages = number(head + 12, 4); /* may be more than it needs: a shorter value took over the run */
    if (number(head, 8) != page || (number(head + 10, 2) & KIND_FLAGS) != OVERFLOW ||
        pages < (HEAD - 1 + value_bytes) / walk->page_bytes + 1) {
        return false;
    }
    for (uint64_t i = 0; i < pages; i++) {
        if (!claim_used(walk, page + i)) {
            return false;
        }
    }
    return true;
}

static bool check_leaf_node(struct walk *walk, const struct table *table, uint64_t page, size_t offset,
                            const char *node) {
    uint64_t length = number(node, 4), at = page * walk->page_bytes + offset + NODE_HEAD + number(node + 6, 2);
    size_t key_length = (size_t)number(node + 6, 2);
    if (number(node + 4, 2) == BIG_VALUE) {
        uint64_t run = number(node + NODE_HEAD + key_length, 8);
        if (!claim_overflow(walk, run, length)) {
            return false;
        }
        at = run * walk->page_bytes + HEAD;
    }
    if (!table->free_list) {
        return true;
    }
    uint64_t freed_in = key_length == 8 ? number(node + NODE_HEAD, 8) : 0;
    if (freed_in <= walk->last_freed_in) {
        return false;
    }
    walk->last_freed_in = freed_in;
    return check_free_value(walk, at, length);
}

/* Bytes of a node, 0 when it does not lie within the page and apart from the others. */
static size_t node_bytes(struct walk *walk, const char *bytes, bool leaf, size_t offset, size_t upper) {
    if (offset < upper || offset % 2 != 0 || offset + NODE_HEAD > walk->page_bytes) {
        return 0;
    }
    const char *node = bytes + offset;
    size_t size = NODE_HEAD + (size_t)number(node + 6, 2);
    if (leaf) {
        uint64_t flags = number(node + 4, 2);
        if (flags > BIG_VALUE) {
            return 0;
        }
        size += flags == BIG_VALUE ? 8 : (size_t)number(node, 4);
    }
    if (size > walk->page_bytes - offset || memchr(walk->taken + offset, 1, size)) {
        return 0;
    }
    memset(walk->taken + offset, 1, size);
    return size;
}

static bool check_page(struct walk *walk, const struct table *table, uint64_t page, unsigned level) {
    char *bytes = walk->pages + level * walk->page_bytes;
    if (level >= table->depth || !claim_used(walk, page) ||
        !read_at(walk, bytes, walk->page_bytes, page * walk->page_bytes) || number(bytes, 8) != page) {
        return false;
    }
    uint64_t kind = number(bytes + 10, 2) & KIND_FLAGS;
    size_t lower = (size_t)number(bytes + 12, 2), upper = (size_t)number(bytes + 14, 2);
    bool leaf = level + 1 == table->depth; /* every leaf is equally deep */
    size_t fewest = leaf ? 1 : 2;
    if (kind != (leaf ? LEAF : BRANCH) || lower % 2 != 0 || lower < HEAD + 2 * fewest || lower > upper ||
        upper > walk->page_bytes) {
        return false;
    }
    memset(walk->taken, 0, walk->page_bytes);
    size_t count = (lower - HEAD) / 2;
    for (size_t i = 0; i < count; i++) {
        if (node_bytes(walk, bytes, leaf, (size_t)number(bytes + HEAD + 2 * i, 2), upper) == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t offset = (size_t)number(bytes + HEAD + 2 * i, 2);
        const char *node = bytes + offset;
        bool sound = leaf ? check_leaf_node(walk, table, page, offset, node)
                          : check_page(walk, table, number(node, 6), level + 1);
        if (!sound) {
            return false;
        }
    }
    return true;
}

static bool check_table(struct walk *walk, const char *record, bool free_list) {
    struct table table = {number(record + 40, 8), (unsigned)number(record + 6, 2), free_list};
    if (table.root == NO_ROOT) {
        return table.depth == 0;
    }
    return table.depth >= 1 && table.depth <= DEEPEST && check_page(walk, &table, table.root, 0);
}

static enum tw_lmdb_pages check_tables(struct walk *walk, const char *meta) {
    struct tumble_alloc alloc = tw_alloc_default();
    walk->seen = tw_alloc_zero(&alloc, (size_t)(walk->file_pages / 8 + 1));
    walk->pages = tw_alloc(&alloc, DEEPEST * walk->page_bytes);
    walk->taken = tw_alloc(&alloc, walk->page_bytes);
    enum tw_lmdb_pages result = TW_PAGES_NO_MEMORY;
    if (walk->seen && walk->pages && walk->taken) {
        bool sound = check_table(walk, meta + 24, true) && check_table(walk, meta + 72, false);
        result = sound ? TW_PAGES_SOUND : TW_PAGES_DAMAGED;
    }
    tw_free(&alloc, walk->seen);
    tw_free(&alloc, walk->pages);
    tw_free(&alloc, walk->taken);
    return result;
}

enum tw_lmdb_pages tw_lmdb_check_pages(int fd, uint64_t transaction) {
    struct walk walk = {.fd = fd};
    struct stat file;
    char metas[2][META_BYTES];
    if (!read_at(&walk, metas[0], META_BYTES, HEAD)) {
        return TW_PAGES_DAMAGED;
    }
    walk.page_bytes = (size_t)number(metas[0] + 24, 4);
    bool power_of_two = walk.page_bytes && (walk.page_bytes & (walk.page_bytes - 1)) == 0;
    if (!power_of_two || walk.page_bytes < 512 || walk.page_bytes > 65536 || fstat(fd, &file) != 0 ||
        !read_at(&walk, metas[1], META_BYTES, walk.page_bytes + HEAD)) {
        return TW_PAGES_DAMAGED;
    }
    for (int i = 0; i < 2; i++) {
        if (number(metas[i] + 128, 8) != transaction) {
            continue;
        }
        walk.last_page = number(metas[i] + 120, 8);
        walk.file_pages = (uint64_t)file.st_size / walk.page_bytes;
        bool sane = number(metas[i] + 24, 4) == walk.page_bytes && walk.last_page >= 1 &&
                    walk.last_page < ((uint64_t)1 << 46) / walk.page_bytes;
        return sane ? check_tables(&walk, metas[i]) : TW_PAGES_DAMAGED;
    }
    return TW_PAGES_MOVED_ON;
}
