#ifndef TW_DYNAMODB_SHARES_H
#define TW_DYNAMODB_SHARES_H

#include <tumble/output.h>
#include <tumble/spec.h>

#include "engine/base/buf.h"
#include "engine/codec/compress.h"

/* What a merged item holds of each (shard, fragment) that is in it: its share, which is the row with its partial states
 * and without its values. From its shares an item's values are computed anew whenever one is added, so every total is
 * exact, a share is in once however often it is delivered, and a longer fragment can replace a shorter one (design R8).
 * Pure.
 *
 * As bytes: one line a share, 32 hex digits of the row's digest, a space, the row; by shard, then first sequence
 * number. */

/* What became of a share that was offered. */
enum tw_share_fate {
    TW_SHARE_ADDED,      /* new, or in place of a shorter fragment of the same beginning */
    TW_SHARE_THERE,      /* the same is in already */
    TW_SHARE_SUPERSEDED, /* a longer fragment of the same beginning is in */
    TW_SHARE_OVERLAP     /* it shares records with one that is in: never summed */
};

/* Appends the row's share, without a newline. Errors: ENOMEM, ELIMIT, EINVAL (a row without values). */
enum tumble_code tw_share_append(struct tw_buf *out, const struct tumble_spec *spec, const struct tumble_row *row);

/* Puts share among shares and appends all of them to out; for any other fate than ADDED out stays as it
 * was. Errors: ENOMEM, ELIMIT, ECORRUPT (shares cannot be read). */
enum tumble_code tw_shares_add(struct tumble_bytes shares, struct tumble_bytes share, struct tw_buf *out,
                               enum tw_share_fate *fate, struct tumble_error *err);

/* The merged row of shares, as tumble_merge gives it; appended to out. EREJECTED: they overlap. */
enum tumble_code tw_shares_merge(struct tumble_bytes shares, struct tumble_alloc alloc, struct tw_buf *out,
                                 struct tumble_error *err);

/* Appends "SHARD FIRST LAST" of every share as JSON strings with commas between. */
enum tumble_code tw_shares_names(struct tumble_bytes shares, struct tw_buf *out, struct tumble_error *err);

#endif
