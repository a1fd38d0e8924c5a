#ifndef TW_BASE_UTF8_H
#define TW_BASE_UTF8_H

#include <stdbool.h>

#include <tumble/bytes.h>

/* Well-formed UTF-8 (Unicode table 3-7: no over-long forms, no surrogates, nothing above U+10FFFF)? For stored text
 * that is to become JSON again; not a fast path. */
bool tw_utf8_valid(struct tumble_bytes text);

#endif
