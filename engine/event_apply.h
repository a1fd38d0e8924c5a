#ifndef TW_ENGINE_EVENT_APPLY_H
#define TW_ENGINE_EVENT_APPLY_H

#include <tumble/event.h>

/* What tumble_shard_apply_event keeps between events of a shard. */
struct tw_event_scratch;
void tw_event_scratch_destroy(struct tw_event_scratch *scratch, const struct tumble_alloc *alloc); /* NULL allowed */

/* Desks lie with the engine: see record_slices.h. */
struct tumble_engine;
void tw_event_desks_destroy(struct tumble_engine *engine);

#endif
