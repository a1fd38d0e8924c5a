#ifndef TUMBLE_SHOWN_TEXT_H
#define TUMBLE_SHOWN_TEXT_H

#include <stddef.h>

/* Names that come from strangers (shards, keys, arguments) and go where only UTF-8 may stand. */

/* Bytes of the character that text begins with, 1 to 4; 0: it begins with none. length > 0. */
size_t tw_character_length(const char *text, size_t length);

#define TW_REPLACEMENT_CHARACTER "\xef\xbf\xbd" /* for each byte that is in none */

#endif
