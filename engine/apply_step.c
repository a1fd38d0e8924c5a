#include <string.h>

#include "engine/aggregate/in_place.h"
#include "engine/apply_chunk.h"
#include "engine/base/fail.h"

static struct tw_value *values_of(struct tumble_shard *shard, size_t pending) {
    return shard->values + pending * shard->engine->spec->field_count;
}

static bool takes_step(const struct tw_pending *pending, size_t aggregate) {
    return pending->steps[aggregate / 64] >> aggregate % 64 & 1;
}

enum tumble_code tw_chunk_touch(struct tumble_shard *shard, struct tw_window *window, struct tw_chunk *chunk,
                                char **states, struct tumble_error *err) {
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t count = chunk->pending;
    uint32_t growing[TW_LIMIT_AGGREGATES];
    size_t growing_count = 0, growth = 0;
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_aggregate *function = spec->aggregates[a].function;
        if (function->growth_fixed) {
            growth += count * function->growth(NULL, &spec->aggregates[a].params, NULL);
        } else if (function->growth && !(chunk->alike && function->growth_all)) {
            growing[growing_count++] = (uint32_t)a;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct tw_pending *pending = &shard->pending[i];
        const uint32_t groups_before = window->groups.count;
        enum tumble_code code;
        if (pending->recalled) {
            code = tw_group_touch_known(&window->groups, pending->reference);
        } else {
            struct tumble_bytes key = {shard->keys.data + pending->key_offset, pending->key_length};
            struct tw_memo_text text;
            code = tw_group_touch(&window->groups, key, pending->hash, &pending->reference);
            if (code == TUMBLE_OK && window->groups.memo && shard->takes_memo &&
                tw_values_memo_text(spec, values_of(shard, i), (struct tumble_bytes){NULL, 0}, &text)) {
                tw_memo_keep(&window->groups, &text, pending->reference);
            }
        }
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s: %u groups are open in this window", tumble_code_text(code),
                           window->groups.count);
        }
        const bool is_first = window->groups.count != groups_before;
        chunk->first[chunk->firsts] = (uint8_t)i;
        chunk->other[i - chunk->firsts] = (uint8_t)i;
        chunk->firsts += is_first;
        if (growing_count == 0) {
            continue;
        }
        struct tw_input input = tw_pending_input(pending);
        const struct tw_value *values = values_of(shard, i);
        const char *state = (const char *)tw_group_at(&window->groups, pending->reference)->state;
        for (size_t g = 0; g < growing_count; g++) {
            const struct tw_spec_aggregate *aggregate = &spec->aggregates[growing[g]];
            if (takes_step(pending, growing[g])) {
                tw_input_values(&input, aggregate, values);
                growth += aggregate->function->growth(state + aggregate->state_offset, &aggregate->params, &input);
            }
        }
    }
    for (size_t i = 0; i < count; i++) { /* where they stay until the next group is added */
        states[i] = (char *)tw_group_at(&window->groups, shard->pending[i].reference)->state;
    }
    for (size_t a = 0; a < spec->aggregate_count && chunk->alike; a++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[a];
        if (aggregate->function->growth_all && tw_shard_takes(shard, a)) {
            growth += aggregate->function->growth_all(states, aggregate->state_offset, &aggregate->params, count);
        }
    }
    if (growth && !tw_heap_reserve(&window->heap, growth)) {
        return tw_no_memory(err);
    }
    return TUMBLE_OK;
}

/* The states and values of the records that are not the first of their groups. */
struct others {
    size_t count;
    int32_t field; /* whose values they are */
    char *states[TW_CHUNK_RECORDS];
    struct tw_value values[TW_CHUNK_RECORDS];
};

static void gather_values(const struct tumble_shard *shard, const struct tw_chunk *chunk, int32_t field,
                          struct others *others) {
    const size_t stride = shard->engine->spec->field_count;
    for (size_t i = 0; i < others->count; i++) {
        others->values[i] = shard->values[chunk->other[i] * stride + (size_t)field];
    }
    others->field = field;
}

/* Some records are the first of their groups, others are not, and nobody can guess which: each kind by itself. What the
 * first of a group makes of it is known without a look at the group. */
static void step_apart(const struct tumble_shard *shard, struct tw_window *window, const struct tw_chunk *chunk,
                       const struct tw_spec_aggregate *aggregate, char *const *states, struct others *others) {
    const enum tw_form form = aggregate->function->form;
    const uint32_t offset = aggregate->state_offset;
    const size_t stride = shard->engine->spec->field_count;
    const struct tw_value *const values = shard->values + (aggregate->field >= 0 ? aggregate->field : 0);
    for (size_t i = 0; i < chunk->firsts; i++) {
        const size_t at = chunk->first[i];
        tw_begin_in_place(form, states[at] + offset, &values[at * stride].number);
    }
    if (aggregate->field >= 0 && aggregate->field != others->field) {
        gather_values(shard, chunk, aggregate->field, others);
    }
    aggregate->function->step_all(others->states, offset, &aggregate->params, others->values, 1, others->count,
                                  &window->heap);
}

/* Aggregate by aggregate: what is the same for a whole chunk is looked up once, and a call through a pointer that was
 * just called costs little. A group's records are stepped in their order all the same. */
void tw_chunk_step(struct tumble_shard *shard, struct tw_window *window, const struct tw_chunk *chunk,
                   char *const *states) {
    const struct tumble_spec *spec = shard->engine->spec;
    const size_t stride = spec->field_count, count = chunk->pending;
    struct tw_input inputs[TW_CHUNK_RECORDS];
    struct others others;
    bool have_inputs = false;
    others.count = count - chunk->firsts;
    others.field = -1;
    for (size_t i = 0; i < count; i++) {
        struct tw_group *const group = (struct tw_group *)(void *)(states[i] - offsetof(struct tw_group, state));
        group->records++;
    }
    for (size_t i = 0; i < others.count && chunk->firsts; i++) {
        others.states[i] = states[chunk->other[i]];
    }
    for (size_t a = 0; a < spec->aggregate_count; a++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[a];
        const uint32_t offset = aggregate->state_offset;
        if (chunk->alike && aggregate->function->step_all) {
            if (!tw_shard_takes(shard, a)) {
                continue;
            }
            if (chunk->firsts && aggregate->function->form != TW_FORM_OTHER) {
                step_apart(shard, window, chunk, aggregate, states, &others);
            } else {
                aggregate->function->step_all(states, offset, &aggregate->params,
                                              aggregate->field >= 0 ? shard->values + aggregate->field : shard->values,
                                              stride, count, &window->heap);
            }
            continue;
        }
        if (!have_inputs) {
            have_inputs = true;
            for (size_t i = 0; i < count; i++) {
                inputs[i] = tw_pending_input(&shard->pending[i]);
            }
        }
        void (*const step)(void *, const struct tw_params *, const struct tw_input *, struct tw_heap *) =
            aggregate->function->step;
        const struct tw_params *const params = &aggregate->params;
        const struct tw_value *value = aggregate->field >= 0 ? shard->values + aggregate->field : NULL;
        const struct tw_value *second = aggregate->second_field >= 0 ? shard->values + aggregate->second_field : NULL;
        for (size_t i = 0; i < count; i++) {
            if (takes_step(&shard->pending[i], a)) {
                inputs[i].value = value;
                inputs[i].second = second;
                step(states[i] + offset, params, &inputs[i], &window->heap);
            }
            value = value ? value + stride : NULL;
            second = second ? second + stride : NULL;
        }
    }
}
