#ifndef TUMBLE_DYNAMODB_OUTPUT_H
#define TUMBLE_DYNAMODB_OUTPUT_H

#include <tumble/output.h>

/* "dynamodb:TABLE": an item for each row, its attributes named as the row's columns, or with merge=1 an item for each
 * window and group over all shards. The table's key attributes, whatever their names, are columns of the same name or
 * get a template of their name: ?pk={eventType}&sk={window_start}/{shard_id}/{fragment} (dynamodb_template.h).
 *
 * Identity. A row's key holds source and spec; an item's key holds what the table's key attributes say. They must tell
 * apart window, group, shard and fragment; whoever lets two sources or two specs write to one table puts {source} and
 * {spec}, or {key}, into them. Items bear the row's key as "_key", so that a mistake can be seen. */
extern const struct tumble_output_api tumble_dynamodb_output;

#endif
