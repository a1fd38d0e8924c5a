#ifndef TW_DYNAMODB_MERGE_H
#define TW_DYNAMODB_MERGE_H

#include "adapters/aws/dynamodb_calls.h"
#include "adapters/outputs/client/output_client.h"
#include "adapters/outputs/dynamodb/dynamodb_form.h"
#include "engine/base/arena.h"

/* merge=1: an item for each window and group, into which every shard's row is folded. Read, fold, write under the
 * condition that the item is still the one that was read (its "_version"); whoever loses the race reads again. A write
 * whose end is not known is settled the same way: what is read then either holds the share or does not.
 *
 * Beside the merged row's columns ("shards" and "fragments" count what is in) an item bears _version, _source, _spec
 * (another's rows are refused), _fragments (what is in, for people) and _partials (the shares, zstd). One thread. */

struct tw_dynamodb_merge;

/* All but alloc borrowed. */
enum tumble_code tw_dynamodb_merge_new(struct tw_output_client *client, const char *table,
                                       struct tw_dynamodb_form *form, struct tumble_alloc alloc,
                                       struct tw_dynamodb_merge **out, struct tumble_error *err);
void tw_dynamodb_merge_destroy(struct tw_dynamodb_merge *merge); /* NULL allowed */

/* Delivers a row; key is what tw_dynamodb_form_key gave. A row that cannot be added gets its delivery rejected, with a
 * reason in arena. Errors: as tw_aws_call; EOUTPUT also after many lost races. */
enum tumble_code tw_dynamodb_merge_row(struct tw_dynamodb_merge *merge, const struct tumble_row *row,
                                       struct tumble_bytes key, struct tw_arena *arena,
                                       struct tumble_delivery *delivery, struct tumble_error *err);

#endif
