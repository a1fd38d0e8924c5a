#include "engine/apply_tally_internal.h"

static bool plan_fields(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    tallies->number_count = tallies->other_count = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        const uint32_t projected = shard->usual_fields[i].projected, type = shard->usual_fields[i].type;
        if (i == spec->groups[0].field) {
            tallies->group = projected;
            if (type != TUMBLE_TYPE_STRING) {
                return false;
            }
        } else if (type != TUMBLE_TYPE_NUMBER) {
            tallies->others[tallies->other_count].projected = projected;
            tallies->others[tallies->other_count++].type = type;
        } else if (tallies->number_count < TW_TALLY_NUMBERS) {
            tallies->numbers[tallies->number_count++] =
                (struct tw_tally_number){.projected = projected, .field = (uint32_t)i};
        } else {
            return false;
        }
    }
    return true;
}

/* An aggregate that asks for every value: false, if it cannot be given them here. */
static bool plan_column(const struct tumble_shard *shard, struct tw_tallies *tallies, size_t aggregate) {
    const struct tw_spec_aggregate *const of = &shard->engine->spec->aggregates[aggregate];
    const struct tw_aggregate *const function = of->function;
    if (of->field < 0 || of->second_field >= 0 || tallies->column_count == TW_TALLY_COLUMNS || !function->growth_all) {
        return false;
    }
    struct tw_tally_column *const column = &tallies->columns[tallies->column_count++];
    *column = (struct tw_tally_column){.aggregate = (uint32_t)aggregate,
                                       .projected = shard->usual_fields[of->field].projected};
    const uint8_t type = (uint8_t)shard->usual_fields[of->field].type;
    for (size_t k = 0; k < tallies->number_count; k++) {
        column->number += tallies->numbers[k].field < (uint32_t)of->field;
    }
    if (type == TUMBLE_TYPE_STRING) {
        column->number = TW_TALLY_NUMBERS;
    }
    return type == TUMBLE_TYPE_STRING ? function->step_hashes != NULL
                                      : type == TUMBLE_TYPE_NUMBER && function->step_scaled != NULL;
}

static size_t growth_of_tallies(const struct tumble_shard *shard) {
    const struct tumble_spec *spec = shard->engine->spec;
    size_t growth = 0;
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_aggregate *function = spec->aggregates[a].function;
        if (tw_shard_takes(shard, a) && function->step_tally && function->growth) {
            growth += function->growth(NULL, &spec->aggregates[a].params, NULL);
        }
    }
    return growth;
}

/* Which columns need no blocks: one of numbers, one of texts, or one of each, and no other. */
static void find_ways(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    tallies->counted = tallies->run = NULL;
    for (size_t c = 0; c < tallies->column_count && tallies->possible; c++) {
        const struct tw_tally_column *const column = &tallies->columns[c];
        const struct tw_aggregate *const function = shard->engine->spec->aggregates[column->aggregate].function;
        const bool is_text = column->number == TW_TALLY_NUMBERS;
        const struct tw_tally_column **const way = is_text ? &tallies->run : &tallies->counted;
        if (*way || !(is_text ? function->step_run != NULL : function->counting != NULL)) {
            tallies->counted = tallies->run = NULL;
            return;
        }
        *way = column;
    }
}

static bool plan(const struct tumble_shard *shard, struct tw_tallies *tallies) {
    const struct tumble_spec *spec = shard->engine->spec;
    tallies->planned = true;
    tallies->types = shard->types;
    tallies->possible = plan_fields(shard, tallies);
    tallies->column_count = 0;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        tallies->possible =
            tallies->possible &&
            (!tw_shard_takes(shard, i) || spec->aggregates[i].function->step_tally || plan_column(shard, tallies, i));
    }
    tallies->growth = growth_of_tallies(shard);
    tallies->in_place.digits = TW_TALLY_DIGITS + 1; /* what was kept may be another aggregate's */
    tallies->in_place.places = 0;
    find_ways(shard, tallies);
    return tallies->possible;
}

struct tw_tallies *tw_tallies_of(struct tumble_shard *shard, const struct tw_window *window) {
    if (!shard->usual || !shard->types_decide || !shard->takes_memo || !window->groups.memo) {
        return NULL;
    }
    if (!shard->tallies) {
        shard->tallies = tw_alloc_zero(&shard->engine->alloc, sizeof *shard->tallies);
    }
    struct tw_tallies *tallies = shard->tallies;
    if (!tallies) {
        return NULL;
    }
    const bool planned = tallies->planned && tallies->types == shard->types;
    return (planned ? tallies->possible : plan(shard, tallies)) ? tallies : NULL;
}

void tw_shard_tallies_free(struct tumble_shard *shard) {
    if (shard->tallies) {
        tw_free(&shard->engine->alloc, shard->tallies->in_place.known);
        tw_free(&shard->engine->alloc, shard->tallies->runs);
        tw_free(&shard->engine->alloc, shard->tallies);
    }
}
