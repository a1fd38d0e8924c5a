#ifndef TUMBLE_DYNAMODB_ROWS_H
#define TUMBLE_DYNAMODB_ROWS_H

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

/* Rows that the output dynamodb: wrote, read back from their table for `tumble merge`. uri is what the output was
 * given: "dynamodb:TABLE?pk={eventType}&sk=…&ttl=…", so that attributes which are no columns of a row (keys made by a
 * template, the time to live) are known; of an item per window and group (merge=true) the share of each fragment is a
 * row.
 *
 * Calls each with every row, as one flat JSON object whose columns stand in the order of their names; borrowed for the
 * call. Reads are consistent, a page at a time. Errors: EINPUT (no such table, not to be reached), EUSAGE (uri,
 * credentials, region), ECAPTURE (an item that is no row), ECORRUPT (shares that cannot be read), ENOMEM; what each
 * returns. */
enum tumble_code tumble_dynamodb_rows(const char *uri, struct tumble_alloc alloc,
                                      enum tumble_code (*each)(void *ctx, struct tumble_bytes row,
                                                               struct tumble_error *err),
                                      void *ctx, struct tumble_error *err);

#endif
