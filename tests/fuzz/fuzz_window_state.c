#include "default_params.h"
#include "engine/base/limits.h"
#include "engine/codec/hash.h"
#include "engine/window/group_key.h"
#include "engine/window/window.h"
#include "fuzz_target.h"

/* Any bytes as the stored groups of a window with every aggregate in it, as a window's header and as a group's key.
 * What decodes encodes to canonical bytes: decoding those and encoding again changes nothing. And any bytes as a delta
 * of such groups: what it gives does the same. */

static uint32_t key_hash(const void *ctx, struct tumble_bytes key) {
    (void)ctx;
    return (uint32_t)tw_hash64(key.data, key.length);
}

static struct tw_params params[64];
static struct param_numbers numbers[64];

static struct tw_layout layout_of_all(struct tw_layout_item items[64]) {
    struct tw_layout layout = {.items = items};
    for (const struct tw_aggregate *const *all = tw_aggregate_all(); *all && layout.count < 64; all++) {
        items[layout.count].function = *all;
        FUZZ_CHECK(params_fill(&params[layout.count], &numbers[layout.count], *all) == TUMBLE_OK);
        items[layout.count].params = &params[layout.count];
        items[layout.count++].offset = layout.bytes;
        layout.bytes += (*all)->state_size;
    }
    return layout;
}

static int decode(struct tw_window *window, struct tumble_bytes bytes, const struct tw_layout *layout) {
    tw_window_init(window, 0, tw_alloc_default(), layout);
    return tw_window_decode_groups(window, bytes, key_hash, NULL, NULL) == TUMBLE_OK;
}

static void encode(struct tw_window *window, struct tw_buf *out) {
    struct tw_group_rank *order = calloc(window->groups.count + 1, sizeof *order);
    FUZZ_CHECK(order != NULL);
    tw_group_order(&window->groups, order);
    FUZZ_CHECK(tw_window_encode_groups(window, order, window->groups.count, out) == TUMBLE_OK);
    for (uint32_t i = 0; i < window->groups.count; i++) {
        struct tw_group *group = tw_group_at(&window->groups, order[i].reference);
        struct tw_buf text;
        tw_buf_init(&text, tw_alloc_default(), 1 << 22);
        for (size_t a = 0; a < window->groups.layout->count; a++) {
            const struct tw_layout_item *item = &window->groups.layout->items[a];
            enum tumble_code code = item->function->value(tw_group_state(group, item->offset), item->params, 0, &text);
            FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_ELIMIT);
        }
        tw_buf_clean_up(&text);
    }
    free(order);
}

static void try_groups(struct tumble_bytes bytes) {
    struct tw_layout_item items[64];
    struct tw_layout layout = layout_of_all(items);
    struct tw_window first, second;
    struct tw_buf once, twice;
    tw_buf_init(&once, tw_alloc_default(), SIZE_MAX / 4);
    tw_buf_init(&twice, tw_alloc_default(), SIZE_MAX / 4);
    if (decode(&first, bytes, &layout)) {
        encode(&first, &once);
        FUZZ_CHECK(decode(&second, tw_buf_view(&once), &layout));
        FUZZ_CHECK(second.groups.count == first.groups.count);
        encode(&second, &twice);
        FUZZ_CHECK(tumble_bytes_equal(tw_buf_view(&once), tw_buf_view(&twice)));
        tw_window_clean_up(&second);
    }
    tw_window_clean_up(&first);
    tw_buf_clean_up(&once);
    tw_buf_clean_up(&twice);
}

/* The first byte says how long the groups before the delta are. brief: as it is written today. */
static void try_delta(struct tumble_bytes bytes, bool brief) {
    struct tw_layout_item items[64];
    struct tw_layout layout = layout_of_all(items);
    struct tw_window window, again;
    struct tw_group_places places = {0};
    struct tw_buf once;
    if (bytes.length == 0) {
        return;
    }
    size_t before = (unsigned char)bytes.data[0] < bytes.length ? (unsigned char)bytes.data[0] : bytes.length - 1;
    struct tumble_bytes groups = {bytes.data + 1, before}, delta = {bytes.data + 1 + before, bytes.length - 1 - before};
    tw_buf_init(&once, tw_alloc_default(), SIZE_MAX / 4);
    if (decode(&window, groups, &layout) &&
        tw_window_decode_touched(&window, delta, brief, &places, key_hash, NULL, NULL) == TUMBLE_OK) {
        bool done;
        struct tw_group_walk walk = {0};
        FUZZ_CHECK(tw_window_encode_more(&window, &walk, SIZE_MAX, &done, &once) == TUMBLE_OK && done);
        FUZZ_CHECK(decode(&again, tw_buf_view(&once), &layout));
        FUZZ_CHECK(again.groups.count == window.groups.count);
        tw_window_clean_up(&again);
    }
    tw_group_places_clean_up(&places, &window);
    tw_window_clean_up(&window);
    tw_buf_clean_up(&once);
}

static void try_header(struct tumble_bytes bytes) {
    struct tw_layout layout = {0};
    struct tw_window window;
    struct tw_buf again;
    tw_window_init(&window, 0, tw_alloc_default(), &layout);
    tw_buf_init(&again, tw_alloc_default(), 4096);
    if (tw_window_decode_header(&window, bytes, NULL) == TUMBLE_OK) {
        FUZZ_CHECK(tw_window_encode_header(&window, &again) == TUMBLE_OK);
        FUZZ_CHECK(tw_window_decode_header(&window, tw_buf_view(&again), NULL) == TUMBLE_OK);
    }
    tw_buf_clean_up(&again);
    tw_window_clean_up(&window);
}

static void try_key(struct tumble_bytes bytes) {
    struct tw_cursor in = tw_cursor_of(bytes);
    struct tw_buf text;
    tw_buf_init(&text, tw_alloc_default(), 1 << 22);
    while (tw_cursor_left(&in) && tw_group_key_json(&in, &text) == TUMBLE_OK) {
    }
    tw_buf_clean_up(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct tumble_bytes bytes = {(const char *)data + 1, size - 1};
    if (data[0] >= 0xf0) { /* leaves what is in the corpus what it was */
        try_delta(bytes, data[0] >= 0xf8);
        return 0;
    }
    switch (data[0] % 3) {
    case 0: try_groups(bytes); break;
    case 1: try_header(bytes); break;
    default: try_key(bytes); break;
    }
    return 0;
}
