#include "engine/aggregate/functions.h"

#include "engine/aggregate/kept.h"
#include "engine/aggregate/pointer_sort.h"
#include "engine/aggregate/stored.h"
#include "engine/base/fail.h"

/* collect: the values of the records at the lowest positions, up to a cap, and how many there were (design R16). Equal
 * positions are ordered by value, so what is kept is a function of the records alone.
 *
 * Kept values hang in a pairing heap (Fredman, Sedgewick, Sleator and Tarjan, "The pairing heap", 1986) with the
 * highest position on top: adding is one comparison, and records that come in order past the cap cost one, too. It
 * needs no array, so that a step never takes more memory than its own entry. */
struct entry {
    struct entry *child;
    struct entry *sibling;
    int64_t arrival_ms;
    uint64_t sub_sequence;
    uint32_t text_length; /* STRING */
    uint8_t type;
    uint8_t sequence_length;
    uint8_t reserved[2];
    char bytes[]; /* sequence digits, then the value's payload */
};

struct collect {
    uint64_t total; /* values seen, kept or not */
    struct entry *top;
    uint64_t count; /* of entries: the lesser of total and the cap */
};
_Static_assert(sizeof(struct collect) == 24, "collect costs 24 bytes a group in place");

enum { DERIVED_CAP };

static enum tumble_code prepare(struct tw_params *params, struct tumble_error *err) {
    (void)err;
    const struct tw_decimal *cap = params->options[0].numbers; /* 1 … 10000 */
    params->derived[DERIVED_CAP] = cap->low * (uint64_t)tw_power_of_ten[cap->exponent];
    return TUMBLE_OK;
}

static bool column_name(const struct tw_params *params, uint32_t column, struct tw_buf *suffix) {
    (void)params;
    return column == 0 || (column == 1 && tw_buf_append_text(suffix, "_total") == TUMBLE_OK);
}

static void init(void *state, const struct tw_params *params) {
    (void)params;
    memset(state, 0, sizeof(struct collect));
}

static size_t entry_size(size_t sequence_length, size_t payload_length) {
    return offsetof(struct entry, bytes) + sequence_length + payload_length;
}

static void get(const struct entry *entry, struct tw_position *position, struct tw_value *value) {
    position->arrival_ms = entry->arrival_ms;
    position->sequence.data = entry->bytes;
    position->sequence.length = entry->sequence_length;
    position->sub_sequence = entry->sub_sequence;
    tw_kept_get(value, entry->type, entry->bytes + entry->sequence_length, entry->text_length);
}

static int compare_candidate(const struct tw_position *position, const struct tw_value *value,
                             const struct entry *entry) {
    if (position->arrival_ms != entry->arrival_ms) { /* decides nearly always */
        return position->arrival_ms < entry->arrival_ms ? -1 : 1;
    }
    struct tw_position old;
    struct tw_value old_value;
    get(entry, &old, &old_value);
    int order = tw_position_compare(position, &old);
    return order ? order : tw_kept_compare(value, &old_value);
}

static int compare_entries(const void *a, const void *b) {
    struct tw_position position;
    struct tw_value value;
    get(a, &position, &value);
    return compare_candidate(&position, &value, b);
}

static struct entry *link_trees(struct entry *a, struct entry *b) {
    bool a_above = compare_entries(a, b) >= 0;
    struct entry *above = a_above ? a : b;
    struct entry *below = a_above ? b : a;
    below->sibling = above->child;
    above->child = below;
    return above;
}

static struct entry *take_top(struct collect *collect) {
    struct entry *top = collect->top;
    struct entry *list = top->child;
    struct entry *pairs = NULL;
    while (list) {
        struct entry *tree = list;
        struct entry *next = tree->sibling;
        list = NULL;
        if (next) {
            list = next->sibling;
            tree = link_trees(tree, next);
        }
        tree->sibling = pairs;
        pairs = tree;
    }
    struct entry *left = NULL;
    while (pairs) {
        struct entry *next = pairs->sibling;
        pairs->sibling = NULL;
        left = left ? link_trees(left, pairs) : pairs;
        pairs = next;
    }
    collect->top = left;
    collect->count--;
    return top;
}

/* Whether a state that holds cap entries has no place for a candidate; its top only ever falls. */
static bool is_above_all(const struct collect *collect, uint64_t cap, const struct tw_position *position,
                         const struct tw_value *value) {
    return collect->count >= cap && compare_candidate(position, value, collect->top) >= 0;
}

static bool keep(struct collect *collect, uint64_t cap, const struct tw_position *position,
                 const struct tw_value *value, struct tw_heap *heap) {
    if (is_above_all(collect, cap, position, value)) {
        return true;
    }
    size_t sequence = position->sequence.length;
    struct entry *entry = tw_heap_take(heap, entry_size(sequence, tw_kept_length(value)));
    if (!entry) {
        return false;
    }
    memset(entry, 0, sizeof *entry);
    entry->arrival_ms = position->arrival_ms;
    entry->sub_sequence = position->sub_sequence;
    entry->text_length = value->type == TUMBLE_TYPE_STRING ? (uint32_t)value->text.length : 0;
    entry->type = value->type;
    entry->sequence_length = (uint8_t)sequence;
    if (sequence) {
        memcpy(entry->bytes, position->sequence.data, sequence);
    }
    tw_kept_put(entry->bytes + sequence, value);
    if (collect->count >= cap) {
        struct entry *out = take_top(collect);
        size_t payload = out->type == TUMBLE_TYPE_NUMBER ? sizeof(struct tw_decimal) : out->text_length;
        tw_heap_give(heap, out, entry_size(out->sequence_length, payload));
    }
    collect->top = collect->top ? link_trees(collect->top, entry) : entry;
    collect->count++;
    return true;
}

static void count_up(struct collect *collect, uint64_t more) {
    if (__builtin_add_overflow(collect->total, more, &collect->total)) {
        collect->total = UINT64_MAX; /* stored states can claim anything; the total must stay above what is kept */
    }
}

static size_t growth(const void *state, const struct tw_params *params, const struct tw_input *input) {
    if (is_above_all(state, params->derived[DERIVED_CAP], &input->position, input->value)) {
        return 0;
    }
    return tw_heap_size(entry_size(input->position.sequence.length, tw_kept_length(input->value)));
}

static void step(void *state, const struct tw_params *params, const struct tw_input *input, struct tw_heap *heap) {
    count_up(state, 1);
    keep(state, params->derived[DERIVED_CAP], &input->position, input->value, heap);
}

/* The entries in the order of a walk, in memory of alloc; NULL: there is none. */
static struct entry **list_entries(const struct collect *collect, const struct tumble_alloc *alloc) {
    struct entry **list = tw_alloc_array(alloc, (size_t)collect->count, sizeof *list);
    size_t length = 0;
    if (list && collect->top) {
        list[length++] = collect->top;
        for (size_t i = 0; i < length; i++) {
            for (struct entry *at = list[i]->child; at; at = at->sibling) {
                list[length++] = at;
            }
        }
    }
    return list;
}

static struct entry **sort_entries(const struct collect *collect, const struct tumble_alloc *alloc) {
    struct entry **list = list_entries(collect, alloc);
    if (list) {
        tw_sort_pointers((void **)list, (size_t)collect->count, compare_entries);
    }
    return list;
}

static enum tumble_code merge(void *state, const struct tw_params *params, const void *other, struct tw_heap *heap) {
    const struct collect *from = other;
    struct entry **list = list_entries(from, &heap->alloc);
    bool good = list != NULL;
    for (size_t i = 0; good && i < from->count; i++) {
        struct tw_position position;
        struct tw_value value;
        get(list[i], &position, &value);
        good = keep(state, params->derived[DERIVED_CAP], &position, &value, heap);
    }
    tw_free(&heap->alloc, list);
    if (!good) {
        return TUMBLE_ENOMEM;
    }
    count_up(state, from->total);
    return TUMBLE_OK;
}

static enum tumble_code append_values(struct entry *const *list, size_t count, struct tw_buf *out) {
    for (size_t i = 0; i < count; i++) {
        struct tw_position position;
        struct tw_value value;
        get(list[i], &position, &value);
        TW_TRY(tw_buf_append_byte(out, i ? ',' : '['));
        TW_TRY(tw_kept_append_json(&value, out));
    }
    return tw_buf_append_byte(out, ']');
}

static enum tumble_code value_text(const void *state, const struct tw_params *params, uint32_t column,
                                   struct tw_buf *out) {
    (void)params;
    const struct collect *collect = state;
    if (column == 1) {
        struct tw_decimal total = {.low = collect->total};
        char text[TW_DECIMAL_TEXT];
        return tw_buf_append(out, text, tw_decimal_format(&total, text));
    }
    if (collect->count == 0) {
        return tw_buf_append_text(out, "null");
    }
    struct tumble_alloc alloc = out->alloc;
    struct entry **list = sort_entries(collect, &alloc);
    if (!list) {
        return TUMBLE_ENOMEM;
    }
    enum tumble_code code = append_values(list, (size_t)collect->count, out);
    tw_free(&alloc, list);
    return code;
}

static enum tumble_code append_entries(struct entry *const *list, size_t count, struct tw_buf *out) {
    for (size_t i = 0; i < count; i++) {
        struct tw_position position;
        struct tw_value value;
        get(list[i], &position, &value);
        TW_TRY(tw_buf_append_byte(out, (char)value.type));
        TW_TRY(tw_position_append(&position, out));
        TW_TRY(tw_kept_append(&value, out));
    }
    return TUMBLE_OK;
}

/* Varint total, then the kept entries, as many as the total and the cap allow, by position: type, position, value. */
static enum tumble_code encode(const void *state, const struct tw_params *params, struct tw_buf *out) {
    (void)params;
    const struct collect *collect = state;
    TW_TRY(tw_buf_append_varint(out, collect->total));
    struct tumble_alloc alloc = out->alloc;
    struct entry **list = sort_entries(collect, &alloc);
    if (!list) {
        return TUMBLE_ENOMEM;
    }
    enum tumble_code code = append_entries(list, (size_t)collect->count, out);
    tw_free(&alloc, list);
    return code;
}

static enum tumble_code decode(void *state, const struct tw_params *params, struct tw_cursor *in, struct tw_heap *heap,
                               struct tumble_error *err) {
    struct collect *collect = state;
    uint64_t cap = params->derived[DERIVED_CAP];
    bool good = tw_take_varint(in, &collect->total);
    while (good && collect->count < cap && collect->count < collect->total) {
        char digits[TW_LIMIT_SEQUENCE_DIGITS];
        struct tw_position position;
        struct tw_value value = {0};
        good = tw_take_u8(in, &value.type) && tw_position_take(in, digits, &position) && tw_kept_take(in, &value) &&
               (!collect->top || compare_candidate(&position, &value, collect->top) >= 0);
        if (good && !keep(collect, cap, &position, &value, heap)) {
            return tw_no_memory(err);
        }
    }
    return good ? TUMBLE_OK
                : tw_fail(err, TUMBLE_ECORRUPT, "a stored collect is damaged: it is not a form encode writes");
}

static const struct tw_option options[] = {
    {.name = "cap", .kind = TW_OPTION_INTEGER, .fallback = "100", .lowest = "1", .highest = "10000"},
    {0},
};

static uint64_t stored_most(const struct tw_params *params) {
    return TW_STORED_COUNT + 1 + params->derived[DERIVED_CAP] * (TW_STORED_POSITION + TW_STORED_VALUE);
}

const struct tw_aggregate tw_aggregate_collect = {
    .name = "collect",
    .explanation = "values of %s at the lowest positions, up to a cap, and how many there were",
    .state_size = sizeof(struct collect),
    .takes = TW_TAKES_NUMBER | TW_TAKES_STRING | TW_TAKES_BOOLEAN,
    .options = options,
    .prepare = prepare,
    .column = column_name,
    .init = init,
    .growth = growth,
    .step = step,
    .merge = merge,
    .value = value_text,
    .encode = encode,
    .decode = decode,
    .stored_most = stored_most,
    .stored_rule = "the total as a varint, and for each value that is kept what it takes in first",
};
