#ifndef TW_AWS_TEXT_H
#define TW_AWS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/buf.h"

/* Small readers of what AWS answers in. Pure; any thread. */

/* The text between <name …> and </name>, the first in document order from *at on; *at moves behind it. Enough for AWS's
 * answers: no name nests in itself, no comments, no CDATA. false: there is none. */
bool tw_xml_next(struct tumble_bytes *at, const char *name, struct tumble_bytes *inner);
/* The first one. */
bool tw_xml_find(struct tumble_bytes xml, const char *name, struct tumble_bytes *inner);
/* Appends text with &amp; &lt; &gt; &quot; &apos; &#1; &#x1; undone. Errors: ENOMEM, ELIMIT, EJSON (an entity that is
 * none of these). */
enum tumble_code tw_xml_text(struct tumble_bytes text, struct tw_buf *out);

/* RFC 9110's preferred form, "Mon, 23 Nov 2026 08:00:00 GMT". */
bool tw_http_date(struct tumble_bytes text, int64_t *ms);
/* "2026-11-23T08:00:00Z", with or without a fraction. */
bool tw_iso_date(struct tumble_bytes text, int64_t *ms);

/* The member of a JSON object whose text was validated. The last of that name wins. */
bool tw_json_member(const struct tumble_value *object, const char *name, struct tumble_value *value);
/* A string member without its escapes into out, NUL-terminated and cut at a code point when it is too long. false:
 * there is none, or it is no string; out is then "". */
bool tw_json_member_text(const struct tumble_value *object, const char *name, char *out, size_t capacity);

/* text into out, NUL-terminated and cut when it is too long. */
void tw_copy_cut(struct tumble_bytes text, char *out, size_t capacity);

#endif
