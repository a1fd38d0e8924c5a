#include "runner/sorter.h"

#include <stdlib.h>
#include <string.h>

#include "runner/memory.h"

enum tumble_code tumble_sorter_add(struct tumble_sorter *sorter, const struct tumble_captured *record,
                                   int64_t arrival_ms, struct tumble_error *err) {
    struct tumble_sorted *records =
        tumble_runner_grow(sorter->records, sorter->count, &sorter->capacity, sizeof *records);
    if (!records) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory: --sort holds the whole input, %zu records so far",
                                  sorter->count);
    }
    sorter->records = records;
    struct tumble_sorted *sorted = &records[sorter->count];
    sorted->record = *record;
    sorted->arrival_ms = arrival_ms;
    sorted->place = sorter->count++;
    return TUMBLE_OK;
}

void tumble_sorter_clean_up(struct tumble_sorter *sorter) {
    tumble_runner_free(sorter->records);
    memset(sorter, 0, sizeof *sorter);
}

static int by_place(const struct tumble_sorted *a, const struct tumble_sorted *b) {
    return a->place < b->place ? -1 : a->place > b->place;
}

static int by_arrival(const void *x, const void *y) {
    const struct tumble_sorted *a = x, *b = y;
    if (a->arrival_ms != b->arrival_ms) {
        return a->arrival_ms < b->arrival_ms ? -1 : 1;
    }
    return by_place(a, b);
}

static int by_shard_and_sequence(const void *x, const void *y) {
    const struct tumble_sorted *a = x, *b = y;
    int order = tumble_compare_by_length(a->record.shard_id, b->record.shard_id);
    order = order ? order : tumble_compare_by_length(a->record.sequence_number, b->record.sequence_number);
    return order ? order : by_place(a, b);
}

/* Merges the shards of an array sorted by shard and sequence: always the head with the lowest arrival. A shard's own
 * order stays, even where an arrival time within it is a little lower than the one before. */
static enum tumble_code merge_shards(struct tumble_sorter *sorter, struct tumble_error *err) {
    struct head {
        size_t at;
        size_t end;
    } *heads = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < sorter->count; i++) {
        if (i == 0 ||
            tumble_compare_by_length(sorter->records[i - 1].record.shard_id, sorter->records[i].record.shard_id) != 0) {
            struct head *grown = tumble_runner_grow(heads, count, &capacity, sizeof *heads);
            if (!grown) {
                tumble_runner_free(heads);
                return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
            }
            heads = grown;
            heads[count].at = i;
            heads[count++].end = i;
        }
        heads[count - 1].end = i + 1;
    }
    struct tumble_sorted *merged = tumble_runner_alloc(sorter->count * sizeof *merged);
    if (!merged) {
        tumble_runner_free(heads);
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory: --sort holds the whole input");
    }
    for (size_t n = 0; n < sorter->count; n++) {
        size_t best = count;
        for (size_t h = 0; h < count; h++) {
            if (heads[h].at < heads[h].end && (best == count || sorter->records[heads[h].at].arrival_ms <
                                                                    sorter->records[heads[best].at].arrival_ms)) {
                best = h;
            }
        }
        merged[n] = sorter->records[heads[best].at++];
    }
    tumble_runner_free(heads);
    tumble_runner_free(sorter->records);
    sorter->records = merged;
    sorter->capacity = sorter->count;
    return TUMBLE_OK;
}

enum tumble_code tumble_sorter_sort(struct tumble_sorter *sorter, struct tumble_error *err) {
    if (sorter->count == 0) {
        return TUMBLE_OK;
    }
    if (sorter->records[0].record.sequence_number.length == 0) {
        qsort(sorter->records, sorter->count, sizeof *sorter->records, by_arrival);
        return TUMBLE_OK;
    }
    qsort(sorter->records, sorter->count, sizeof *sorter->records, by_shard_and_sequence);
    return merge_shards(sorter, err);
}
