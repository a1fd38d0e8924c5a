#include "engine/base/sequence.h"
#include "engine/codec/json.h"

#include "emulator/mapping_internal.h"

/* The grammar of lambda-semantics 2.6. What AWS does not say: a response that is neither JSON nor one of the forms
 * named there fails the batch where the mapping looks at responses at all. */

static const struct tw_outcome success = {.kind = TW_OUTCOME_SUCCESS};
static const struct tw_outcome failure = {.kind = TW_OUTCOME_FAILURE};

/* Index of the first record with this number; count: none has it. Numbers ascend. */
static size_t find(struct tumble_bytes sequence, const struct tumble_stream_record *records, size_t count) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tw_sequence_compare(records[middle].sequence, sequence) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && tumble_bytes_equal(records[low].sequence, sequence) ? low : count;
}

/* Where the item says to retry from; count: it says nothing valid. */
static size_t item_index(const struct tumble_value *item, const struct tumble_stream_record *records, size_t count) {
    struct tw_json_walk walk;
    struct tumble_value key, value;
    size_t index = count;
    if (item->type != TUMBLE_TYPE_OBJECT) {
        return count;
    }
    tw_json_walk_begin(&walk, item);
    while (tw_json_walk_next(&walk, &key, &value)) {
        char text[TW_LIMIT_SEQUENCE_DIGITS];
        struct tumble_bytes sequence;
        if (!tw_json_string_equal(&key, tumble_bytes_of("itemIdentifier"))) {
            continue;
        }
        if (value.type != TUMBLE_TYPE_STRING) {
            index = count;
            continue;
        }
        sequence.data = text;
        sequence.length = tumble_value_text(&value, text, sizeof text);
        index = tw_sequence_check(sequence, &sequence, NULL) == TUMBLE_OK ? find(sequence, records, count) : count;
    }
    return index;
}

static struct tw_outcome of_items(const struct tumble_value *list, const struct tumble_stream_record *records,
                                  size_t count) {
    struct tw_json_walk walk;
    struct tumble_value none, item;
    size_t lowest = SIZE_MAX;
    if (list->type == TUMBLE_TYPE_MISSING || list->type == TUMBLE_TYPE_NULL) {
        return success;
    }
    if (list->type != TUMBLE_TYPE_ARRAY) {
        return failure;
    }
    tw_json_walk_begin(&walk, list);
    while (tw_json_walk_next(&walk, &none, &item)) {
        size_t index = item_index(&item, records, count);
        if (index == count) {
            return failure; /* one that is not valid spoils the others */
        }
        lowest = index < lowest ? index : lowest;
    }
    if (lowest == SIZE_MAX) {
        return success;
    }
    struct tw_outcome outcome = failure; /* nothing can be acknowledged before the first record (point 33) */
    if (lowest > 0) {
        outcome.kind = TW_OUTCOME_PARTIAL;
        outcome.acknowledged = (uint32_t)lowest;
    }
    return outcome;
}

struct tw_outcome tw_batch_response(struct tumble_bytes response, bool needs_state, bool reports,
                                    const struct tumble_stream_record *records, size_t count) {
    struct tumble_value value, key, member, items = {.type = TUMBLE_TYPE_MISSING}, state = items;
    struct tw_json_walk walk;
    if (!needs_state && !reports) {
        return success;
    }
    if (response.length == 0) {
        return needs_state ? failure : success;
    }
    if (tw_json_value(response, 1, &value, NULL, NULL) != TUMBLE_OK) {
        return failure;
    }
    if (value.type != TUMBLE_TYPE_OBJECT) {
        /* null, "" and [] are an answer that names no failure */
        bool names_none = value.type == TUMBLE_TYPE_NULL || (value.type == TUMBLE_TYPE_STRING && value.length == 0) ||
                          (value.type == TUMBLE_TYPE_ARRAY &&
                           (tw_json_walk_begin(&walk, &value), !tw_json_walk_next(&walk, &key, &member)));
        return names_none && !needs_state ? success : failure;
    }
    tw_json_walk_begin(&walk, &value);
    while (tw_json_walk_next(&walk, &key, &member)) {
        if (tw_json_string_equal(&key, tumble_bytes_of("state"))) {
            state = member;
        } else if (tw_json_string_equal(&key, tumble_bytes_of("batchItemFailures"))) {
            items = member;
        }
    }
    if (needs_state && state.type != TUMBLE_TYPE_OBJECT) {
        return failure; /* point 14 */
    }
    struct tw_outcome outcome = reports ? of_items(&items, records, count) : success; /* point 27 */
    if (state.type == TUMBLE_TYPE_OBJECT) {
        outcome.state.data = state.text;
        outcome.state.length = state.length;
    }
    return outcome;
}
