#ifndef TW_CODEC_LAYOUT_H
#define TW_CODEC_LAYOUT_H

#include <stdbool.h>

#include <tumble/projection.h>

#include "engine/codec/json_lex.h"

/* A bet that a JSON text is laid out like the one before it: the bytes between the values are the same, byte for byte,
 * and where a value was is a value again. Then the keys are known without being looked at, and only the values are
 * read, by the very lexer that the general parsers use. What the general parser would say of such a text it said of the
 * one that was learned: keys, nesting and white space are its own bytes, and every slot holds one complete scalar. So a
 * text that fits is well-formed, and its values lie where those of the learned text lay; whatever does not fit proves
 * nothing and goes to the general parser.
 *
 *     {"a":  1  ,"b":  "x"  }        parts: literal, slot; literal, slot; literal
 *
 * Used as follows; values are the same array in both calls, all MISSING before tw_layout_match:
 *
 *     at = tw_layout_match(layout, &lex, at, values);      the place behind the value, or NULL: lex is spoilt
 *     if (!at) { parse the usual way; when it succeeded: tw_layout_learn(layout, begin, end, values, count, …); } */

/* Reads the value at at (white space already skipped). Slots that nobody wants are checked and dropped. */
const char *tw_layout_match(struct tumble_layout *layout, struct tw_lex *lex, const char *at,
                            struct tumble_value *values);

/* The text in [begin, end), one value that a validating parser accepted, was not read by tw_layout_match; values[0 …
 * count-1] are what was found in it. Learns its layout, unless the one at hand deserves another chance or learning has
 * not paid lately. all_slots: every scalar may vary; otherwise those of values may, and the rest only once texts were
 * met that differ there. What is too large for a layout is not learned. */
void tw_layout_learn(struct tumble_layout *layout, const char *begin, const char *end,
                     const struct tumble_value *values, size_t count, bool all_slots);

/* Reads texts one behind the other, each behind a newline but perhaps the first, as long as they fit and there are
 * fewer than most: values gets count values for each, lines where each begins and ends. Returns how many were read;
 * what is behind them may be anything. */
struct tw_layout_line {
    const char *begin;
    const char *end;
};
/* layout_lines.c */
size_t tw_layout_match_lines(struct tumble_layout *layout, const char *at, const char *end, struct tumble_value *values,
                             size_t count, struct tw_layout_line *lines, size_t most);
/* The same where it is known where each begins and ends, which is in lines; up to end, where none
 * ends later, memory may be read. A text that fits and ends elsewhere counts as one that does not fit. */
size_t tw_layout_match_texts(struct tumble_layout *layout, const char *end, struct tumble_value *values, size_t count,
                             struct tw_layout_line *lines, size_t most);

/* Learning has not paid lately, so that a text may as well be read in some other way that is quick, if there is one. */
static inline bool tw_layout_rests(const struct tumble_layout *layout) { return layout->rest > 0; }
/* So many texts were. */
static inline void tw_layout_rested(struct tumble_layout *layout, size_t texts) {
    layout->rest -= texts < layout->rest ? (uint32_t)texts : layout->rest;
}

/* Did the last text fit? Then it has as many newlines as tw_layout_newlines tells: a string has none. */
static inline bool tw_layout_fitted(const struct tumble_layout *layout) { return layout->fitted; }
static inline uint32_t tw_layout_newlines(const struct tumble_layout *layout) { return layout->newlines; }

#endif
