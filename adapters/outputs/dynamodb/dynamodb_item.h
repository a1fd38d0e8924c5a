#ifndef TW_DYNAMODB_ITEM_H
#define TW_DYNAMODB_ITEM_H

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/buf.h"

/* JSON values as DynamoDB's attribute values, and what they count against its limits. Pure. */

enum {
    TW_DYNAMODB_ITEM_BYTES = 400 * 1024, /* names and values of an item */
    TW_DYNAMODB_DIGITS = 38,
    TW_DYNAMODB_NESTING = 32,
    TW_DYNAMODB_HASH_BYTES = 2048, /* of a key attribute's value */
    TW_DYNAMODB_RANGE_BYTES = 1024
};

/* Appends {"S":…}, {"N":"…"}, {"BOOL":…}, {"NULL":true}, {"L":[…]} or {"M":{…}} and adds the value's bytes to *size, as
 * DynamoDB counts them: a string by its UTF-8, a number by a byte for two digits and a byte, 3 bytes and one an element
 * for lists and maps. json is valid JSON text.
 * EREJECTED: DynamoDB cannot hold it, *why says it (static). ENOMEM, ELIMIT: of the buffer. EINVAL: not JSON. */
enum tumble_code tw_dynamodb_value(struct tw_buf *out, struct tumble_bytes json, size_t *size, const char **why);
/* The same of a value that a validating function gave. */
enum tumble_code tw_dynamodb_put(struct tw_buf *out, const struct tumble_value *value, size_t *size, const char **why);

/* May the number stand in an item: at most 38 digits, magnitude from 1e-130 below 1e126, or zero? text is a JSON
 * number. *bytes (may be NULL): what it counts. */
bool tw_dynamodb_number(struct tumble_bytes text, size_t *bytes);

/* UTF-8 bytes of a JSON string without its escapes. */
size_t tw_dynamodb_text_bytes(const struct tumble_value *string);

#endif
