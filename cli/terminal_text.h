#ifndef TW_CLI_TERMINAL_TEXT_H
#define TW_CLI_TERMINAL_TEXT_H

#include <stdint.h>
#include <stdio.h>

#include <tumble/bytes.h>

/* Text for people and for programs that read it. One thread. */

/* A line on stderr: "tumble: …". Control characters are shown as '?'. */
void tw_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "1,234,567" into out; returns out. */
#define TW_NUMBER_TEXT 28
const char *tw_number_text(uint64_t value, char out[TW_NUMBER_TEXT]);

/* "" or "s". */
static inline const char *tw_plural(uint64_t count) { return count == 1 ? "" : "s"; }

/* "1.5 MB" and the like, powers of 1000, into out; returns out. */
const char *tw_bytes_text(uint64_t bytes, char out[TW_NUMBER_TEXT]);

/* "6 hours", "90 seconds": the largest unit that divides it. */
const char *tw_duration_text(int64_t seconds, char out[TW_NUMBER_TEXT]);

/* Writes text as a JSON string; malformed UTF-8 becomes U+FFFD. */
void tw_print_json_string(FILE *to, struct tumble_bytes text);

/* Writes text with control characters as '?': safe on a terminal. */
void tw_print_plain(FILE *to, struct tumble_bytes text);

#endif
