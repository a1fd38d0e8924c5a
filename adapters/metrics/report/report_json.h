#ifndef TUMBLE_REPORT_JSON_H
#define TUMBLE_REPORT_JSON_H

/* JSON that may stand inside a <script> of a page, whatever the names in it: no '<' and no U+2028 or U+2029 is ever
 * written as itself, and what is not UTF-8 is replaced. Errors stick and show in view. One thread. */

#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/bytes.h>
#include <tumble/error.h>

enum { TW_REPORT_JSON_BYTES = 8 * 1024 * 1024, TW_REPORT_DEPTH = 16 };

struct tw_report_json;

/* NULL: no memory. */
struct tw_report_json *tw_report_json_new(struct tumble_alloc alloc);
void tw_report_json_destroy(struct tw_report_json *json); /* NULL allowed */

/* Members; name NULL: an element of an array, or the whole. */
void tw_report_object(struct tw_report_json *json, const char *name);
void tw_report_array(struct tw_report_json *json, const char *name);
void tw_report_end(struct tw_report_json *json);                                      /* of the innermost */
void tw_report_text(struct tw_report_json *json, const char *name, const char *text); /* NULL: null */
void tw_report_bytes(struct tw_report_json *json, const char *name, struct tumble_bytes text);
void tw_report_count(struct tw_report_json *json, const char *name, uint64_t value);
void tw_report_integer(struct tw_report_json *json, const char *name, int64_t value); /* below 0: null */
void tw_report_number(struct tw_report_json *json, const char *name, double value);   /* six digits; not finite: null */
void tw_report_boolean(struct tw_report_json *json, const char *name, int value);
void tw_report_null(struct tw_report_json *json, const char *name);
/* JSON that is there already. */
void tw_report_raw(struct tw_report_json *json, const char *name, struct tumble_bytes text);

/* Borrowed until the next call. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_report_json_view(const struct tw_report_json *json, struct tumble_bytes *out,
                                     struct tumble_error *err);

#endif
