#include "engine/apply_tally_internal.h"

#include <string.h>

enum {
    LEARNED = 64,  /* numbers whose buckets are kept at once */
    REST_MOST = 63 /* calls without counting in place, after some where that was not worth it */
};

/* All that was reserved must still be there after it. */
static bool reserve_more(struct tw_window *window, const struct tw_tallies *tallies, size_t growth) {
    growth += tallies->growth * tallies->used_count + tallies->run_growth;
    return !growth || tw_heap_reserve(&window->heap, growth);
}

/* ---- counting in place ---- */

bool tw_tally_begin_in_place(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    struct tw_tally_in_place *const in_place = &tallies->in_place;
    if (in_place->rest) {
        in_place->rest--;
        return false;
    }
    const struct tw_tally_column *const column = tallies->counted;
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[column->aggregate];
    const unsigned digits = tallies->numbers[column->number].digits;
    const bool was_there = in_place->known != NULL;
    if (!was_there) {
        in_place->known = tw_alloc_zero(&shard->engine->alloc, TW_TALLY_KNOWN * sizeof *in_place->known);
    }
    if (in_place->known && (!was_there || in_place->digits != digits)) {
        const int64_t least = 1;
        if (was_there) {
            memset(in_place->known, 0, TW_TALLY_KNOWN * sizeof *in_place->known);
        }
        aggregate->function->buckets(&aggregate->params, &least, -(int)digits, 1, &in_place->base);
        in_place->base--;
        in_place->digits = digits;
    }
    in_place->stepped = 0;
    return in_place->known != NULL;
}

/* How a place's state counts now. */
static void look(const struct tw_spec_aggregate *aggregate, const struct tw_tally_in_place *in_place,
                 struct tw_tally_place *place) {
    struct tw_counting *const counting = &place->counting;
    aggregate->function->counting(place->states + aggregate->state_offset, &aggregate->params, counting);
    if (counting->places) {
        const int64_t first = (int64_t)counting->first - in_place->base, below = first < 1 ? 1 - first : 0;
        counting->first = (int32_t)(first + below);
        counting->counts += below < counting->places ? below : counting->places;
        counting->places -= below < counting->places ? (uint32_t)below : counting->places;
    }
}

/* The buckets of a number and of those beside it: where it is they will be. */
static void learn(struct tw_tally_in_place *in_place, const struct tw_spec_aggregate *aggregate, int64_t number) {
    int64_t numbers[LEARNED];
    int32_t buckets[LEARNED];
    for (size_t i = 0; i < LEARNED; i++) {
        numbers[i] = number / LEARNED * LEARNED + (int64_t)i;
    }
    aggregate->function->buckets(&aggregate->params, numbers, -(int)in_place->digits, LEARNED, buckets);
    for (size_t i = 0; i < LEARNED; i++) {
        const int64_t distance = (int64_t)buckets[i] - in_place->base;
        in_place->known[numbers[i]] = distance > 0 && distance <= UINT16_MAX ? (uint16_t)distance : 0;
    }
}

bool tw_tally_step_in_place(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                            struct tw_tally_place *place, int64_t number) {
    struct tw_tally_in_place *const in_place = &tallies->in_place;
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[tallies->counted->aggregate];
    const struct tw_aggregate *const function = aggregate->function;
    const int exponent = -(int)in_place->digits;
    char *const state = place->states + aggregate->state_offset;
    const bool narrow = place->counting.places < in_place->places;
    const int32_t high = in_place->low + (int32_t)in_place->places - 1;
    const size_t wider = narrow ? function->widen_growth(in_place->low, high) : 0;
    if (wider && reserve_more(window, tallies, wider)) {
        function->widen(state, &aggregate->params, in_place->low, high, &window->heap);
    }
    const size_t growth = function->growth_all(&place->states, aggregate->state_offset, &aggregate->params, 1);
    if (growth && !reserve_more(window, tallies, growth)) {
        return false;
    }
    if ((uint64_t)number < TW_TALLY_KNOWN && in_place->known[number] == 0) {
        learn(in_place, aggregate, number);
    }
    function->step_scaled(&place->states, aggregate->state_offset, &aggregate->params, &number, exponent, 1,
                          &window->heap);
    look(aggregate, in_place, place);
    in_place->stepped++;
    return true;
}

/* Not where they are two buckets away from those it has: ddsketch_index.h. */
bool tw_tally_has_ends(const struct tw_tally_in_place *in_place, const struct tw_tally_place *place, size_t number) {
    const struct tw_counting *const counting = &place->counting;
    const struct tw_tally_sum *const sum = &place->of[number];
    if (!counting->places || sum->least < 0 || sum->greatest >= TW_TALLY_KNOWN) {
        return true;
    }
    const uint16_t least = in_place->known[sum->least], greatest = in_place->known[sum->greatest];
    return !least || in_place->base + least < counting->low + 2 || !greatest ||
           in_place->base + greatest > counting->high - 2;
}

void tw_tally_end_in_place(struct tw_tallies *tallies, size_t taken) {
    struct tw_tally_in_place *const in_place = &tallies->in_place;
    const unsigned longer = 2 * in_place->rested + 1;
    in_place->rested = in_place->stepped <= taken / 4 ? 0 : longer < REST_MOST ? longer : REST_MOST;
    in_place->rest = in_place->rested;
}

/* Remembers how wide a state has become: the next may as well be so at once. All it has, if that is little more. */
static void expect(struct tw_tally_in_place *in_place, const struct tw_counting *counting) {
    const uint32_t all = (uint32_t)(counting->high - counting->low) + 1;
    const bool little_more = all / 2 <= counting->places;
    const uint32_t places = little_more ? all : counting->places;
    if (counting->places && places > in_place->places) {
        in_place->low = little_more ? counting->low : in_place->base + counting->first;
        in_place->places = places;
    }
}

/* ---- runs of texts ---- */

bool tw_tally_begin_runs(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    if (!tallies->runs) {
        tallies->runs = tw_alloc_array(&shard->engine->alloc, TW_MEMO_TEXTS, sizeof *tallies->runs);
    }
    return tallies->runs != NULL;
}

/* False: no memory for as many steps as it holds. */
static bool begin_run(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                      struct tw_tally_run *run, const char *states) {
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[tallies->run->aggregate];
    const size_t growth = aggregate->function->growth_run(states + aggregate->state_offset, &aggregate->params);
    run->count = run->growth = 0;
    if (growth && !reserve_more(window, tallies, growth)) {
        return false;
    }
    run->growth = growth;
    tallies->run_growth += growth;
    return true;
}

void tw_tally_end_run(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                      const struct tw_tally_place *place) {
    struct tw_tally_run *const run = place->run;
    const struct tw_spec_aggregate *const aggregate = &shard->engine->spec->aggregates[tallies->run->aggregate];
    aggregate->function->step_run(place->states + aggregate->state_offset, &aggregate->params, run->hashes, run->count,
                                  &window->heap);
    tallies->run_growth -= run->growth;
    run->count = run->growth = 0;
}

bool tw_tally_next_run(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                       const struct tw_tally_place *place) {
    tw_tally_end_run(shard, window, tallies, place);
    return begin_run(shard, window, tallies, place->run, place->states);
}

/* ---- either ---- */

bool tw_tally_use(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies,
                  struct tw_tally_place *place, bool in_place, bool in_runs) {
    const size_t i = (size_t)(place - tallies->places);
    const uint32_t reference = window->groups.memo->places[i].reference;
    if ((in_place || in_runs) && !reserve_more(window, tallies, tallies->growth)) {
        return false;
    }
    if (tw_group_touch_known(&window->groups, reference) != TUMBLE_OK) {
        return false;
    }
    char *const states = (char *)tw_group_at(&window->groups, reference)->state;
    tallies->used[tallies->used_count++] = (uint16_t)i;
    if (in_runs) {
        place->run = &tallies->runs[tallies->used_count - 1];
        if (!begin_run(shard, window, tallies, place->run, states)) {
            tallies->used_count--;
            return false;
        }
    }
    place->count = 0;
    place->states = states;
    if (in_place) {
        look(&shard->engine->spec->aggregates[tallies->counted->aggregate], &tallies->in_place, place);
        expect(&tallies->in_place, &place->counting);
    }
    return true;
}

/* ---- blocks ---- */

/* All memory that a block needs, and that what was added up before it does; false: there is not so much. */
static bool reserve(const struct tumble_shard *shard, struct tw_window *window, const struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    const struct tw_tally_block *const block = &tallies->block;
    size_t growth = tallies->growth * tallies->used_count;
    for (size_t c = 0; c < tallies->column_count; c++) {
        const struct tw_spec_aggregate *const aggregate = &spec->aggregates[tallies->columns[c].aggregate];
        growth +=
            aggregate->function->growth_all(block->states, aggregate->state_offset, &aggregate->params, block->count);
    }
    return !growth || tw_heap_reserve(&window->heap, growth);
}

bool tw_tally_step_block(const struct tumble_shard *shard, struct tw_window *window, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    struct tw_tally_block *const block = &tallies->block;
    const bool added = reserve(shard, window, tallies);
    for (size_t c = 0; c < tallies->column_count && added; c++) {
        const struct tw_tally_column *const column = &tallies->columns[c];
        const struct tw_spec_aggregate *const aggregate = &spec->aggregates[column->aggregate];
        const uint32_t offset = aggregate->state_offset;
        if (column->number < TW_TALLY_NUMBERS) {
            aggregate->function->step_scaled(block->states, offset, &aggregate->params, block->numbers[column->number],
                                             -(int)tallies->numbers[column->number].digits, block->count,
                                             &window->heap);
        } else {
            aggregate->function->step_hashes(block->states, offset, &aggregate->params, block->hashes[c], block->count,
                                             &window->heap);
        }
    }
    block->count = 0;
    return added;
}
