#ifndef TW_CODEC_JSON_LEX_H
#define TW_CODEC_JSON_LEX_H

#include <stdbool.h>

#include <tumble/bytes.h>
#include <tumble/error.h>
#include <tumble/projection.h>

#include "engine/base/limits.h"
#include "engine/codec/string_scan.h"

/* The tokens of RFC 8259, for the parsers that share them (json_scan, projection, elements, kinesis_record). A function
 * here takes the place where its token begins and returns the place behind it, or NULL after noting in the lexer what
 * was wrong; the parser then returns tw_lex_report. What every byte passes is inline, what is rare is in json_lex.c. */
/* A string that is base64 may be decoded while its end is looked for: what a layout does for one of its values. */
struct tw_lex_decode {
    uint32_t value; /* which of the values */
    char *out;
    size_t room;
    size_t length; /* of what was decoded; TW_BASE64_UNQUOTED: it was not */
};

struct tw_lex {
    const char *begin;
    const char *end;
    bool end_of_input;
    bool clamped;                 /* the view was cut to what struct tumble_value can describe */
    enum tumble_code code;        /* of the failure */
    const char *at;               /* the offending byte */
    struct tw_lex_decode *decode; /* NULL: none */
    const char *expected;         /* EJSON: what would have been right there; other codes: the whole text */
};

static inline void tw_lex_init(struct tw_lex *lex, struct tumble_bytes json, int end_of_input) {
    lex->clamped = json.length > UINT32_MAX;
    lex->begin = json.data;
    lex->end = json.length ? json.data + (TW_RARELY(lex->clamped) ? UINT32_MAX : json.length) : json.data;
    lex->end_of_input = end_of_input && !lex->clamped;
    lex->code = TUMBLE_OK;
    lex->at = NULL;
    lex->expected = NULL;
    lex->decode = NULL;
}

/* Notes a failure and returns NULL. EJSON at the end of the view becomes EMORE when more bytes may follow. */
void tw_lex_note(struct tw_lex *lex, const char *at, enum tumble_code code, const char *expected)
    __attribute__((cold, noinline));
static inline const char *tw_lex_refuse(struct tw_lex *lex, const char *at, enum tumble_code code,
                                        const char *expected) {
    tw_lex_note(lex, at, code, expected);
    return NULL;
}
/* Fills err from the failure that was noted and returns its code. */
enum tumble_code tw_lex_report(const struct tw_lex *lex, struct tumble_error *err) __attribute__((cold, noinline));

/* After a whole top-level value that ends at at: consumed, or the check that nothing follows, or the report when at is
 * NULL. */
enum tumble_code tw_lex_finish(struct tw_lex *lex, const char *at, size_t *consumed, struct tumble_error *err);

/* The rare part of a string: begin is behind the opening quote, at is the first special byte or the end. Returns the
 * closing quote. */
const char *tw_lex_string_rest(struct tw_lex *lex, const char *at, uint8_t *flags) __attribute__((noinline));
const char *tw_lex_literal_rest(struct tw_lex *lex, const char *at, const char *literal)
    __attribute__((cold, noinline));
const char *tw_lex_no_value(struct tw_lex *lex, const char *at) __attribute__((cold, noinline));

/* Validates the array or object that begins at at inside depth open containers and returns the place behind it. */
const char *tw_lex_container(struct tw_lex *lex, const char *at, unsigned depth);

const char *tw_lex_space_rest(const char *at, const char *end) __attribute__((noinline));

static inline bool tw_lex_is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static inline const char *tw_lex_space(const char *at, const char *end) {
    if (TW_OFTEN(at < end && (unsigned char)*at > ' ')) {
        return at;
    }
    return tw_lex_space_rest(at, end);
}

/* at is behind the opening quote; returns the closing quote. */
static inline const char *tw_lex_string(struct tw_lex *lex, const char *at, uint8_t *flags) {
    const char *stop = tw_scan_string(at, lex->end);
    if (TW_OFTEN(stop < lex->end && *stop == '"')) {
        *flags = 0;
        return stop;
    }
    return tw_lex_string_rest(lex, stop, flags);
}

static inline const char *tw_lex_digits(struct tw_lex *lex, const char *at) {
    const char *stop = tw_scan_digits(at, lex->end);
    return TW_OFTEN(stop != at) ? stop : tw_lex_refuse(lex, at, TUMBLE_EJSON, "a digit");
}

/* Grammar only: range and precision are the business of whoever needs the number. */
static inline const char *tw_lex_number(struct tw_lex *lex, const char *at) {
    const char *end = lex->end;
    at += *at == '-';
    if (at < end && *at == '0') {
        at++;
        if (TW_RARELY(at < end && (unsigned char)(*at - '0') < 10)) {
            return tw_lex_refuse(lex, at, TUMBLE_EJSON, "'.', 'e' or the end of the number behind a leading 0");
        }
    } else if (!(at = tw_lex_digits(lex, at))) {
        return NULL;
    }
    if (at < end && *at == '.' && !(at = tw_lex_digits(lex, at + 1))) {
        return NULL;
    }
    if (TW_RARELY(at < end && (*at == 'e' || *at == 'E'))) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!(at = tw_lex_digits(lex, at))) {
            return NULL;
        }
    }
    if (TW_RARELY(at == end && !lex->end_of_input)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "the end of the number");
    }
    return at;
}

static inline const char *tw_lex_literal(struct tw_lex *lex, const char *at, const char *literal, size_t length) {
    if (TW_OFTEN((size_t)(lex->end - at) >= length && memcmp(at, literal, length) == 0)) {
        return at + length;
    }
    return tw_lex_literal_rest(lex, at, literal);
}

static inline void tw_lex_describe(struct tumble_value *out, const char *text, const char *end, enum tumble_type type,
                                   uint8_t flags) {
    out->text = text;
    out->length = (uint32_t)(end - text);
    out->type = (uint8_t)type;
    out->flags = flags;
    out->reserved = 0;
}

/* A string, number or literal at at < end (white space already skipped, no bracket there). */
static inline const char *tw_lex_scalar(struct tw_lex *lex, const char *at, struct tumble_value *out) {
    const char *stop;
    uint8_t flags;
    switch (*at) {
    case '"':
        stop = tw_lex_string(lex, at + 1, &flags);
        if (TW_RARELY(!stop)) {
            return NULL;
        }
        tw_lex_describe(out, at + 1, stop, TUMBLE_TYPE_STRING, flags);
        return stop + 1;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        stop = tw_lex_number(lex, at);
        if (TW_OFTEN(stop != NULL)) {
            tw_lex_describe(out, at, stop, TUMBLE_TYPE_NUMBER, 0);
        }
        return stop;
    case 't':
        stop = tw_lex_literal(lex, at, "true", 4);
        tw_lex_describe(out, at, stop ? stop : at, TUMBLE_TYPE_TRUE, 0);
        return stop;
    case 'f':
        stop = tw_lex_literal(lex, at, "false", 5);
        tw_lex_describe(out, at, stop ? stop : at, TUMBLE_TYPE_FALSE, 0);
        return stop;
    case 'n':
        stop = tw_lex_literal(lex, at, "null", 4);
        tw_lex_describe(out, at, stop ? stop : at, TUMBLE_TYPE_NULL, 0);
        return stop;
    default: return tw_lex_no_value(lex, at);
    }
}

/* Any value at at (white space already skipped; at may be the end) inside depth open containers. */
static inline const char *tw_lex_value(struct tw_lex *lex, const char *at, unsigned depth, struct tumble_value *out) {
    if (TW_RARELY(at == lex->end)) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, "a value");
    }
    if (*at == '{' || *at == '[') {
        const char *stop = tw_lex_container(lex, at, depth);
        if (stop) {
            tw_lex_describe(out, at, stop, *at == '{' ? TUMBLE_TYPE_OBJECT : TUMBLE_TYPE_ARRAY, 0);
        }
        return stop;
    }
    return tw_lex_scalar(lex, at, out);
}

/* A key, its colon and the white space behind it: at is where the key's opening quote should be; returns the place of
 * the value. */
static inline const char *tw_lex_key(struct tw_lex *lex, const char *at, const char *expected, const char **text,
                                     uint32_t *length, uint8_t *flags) {
    if (TW_RARELY(at == lex->end || *at != '"')) {
        return tw_lex_refuse(lex, at, TUMBLE_EJSON, expected);
    }
    const char *stop = tw_lex_string(lex, at + 1, flags);
    if (TW_RARELY(!stop)) {
        return NULL;
    }
    *text = at + 1;
    *length = (uint32_t)(stop - (at + 1));
    stop++;
    if (TW_RARELY(stop == lex->end || *stop != ':')) {
        stop = tw_lex_space(stop, lex->end);
        if (stop == lex->end || *stop != ':') {
            return tw_lex_refuse(lex, stop, TUMBLE_EJSON, "':'");
        }
    }
    return tw_lex_space(stop + 1, lex->end);
}

#define TW_LEX_KEY             "a key"
#define TW_LEX_KEY_OR_CLOSE    "a key or '}'"
#define TW_LEX_COMMA_OR_BRACE  "',' or '}'"
#define TW_LEX_COMMA_OR_SQUARE "',' or ']'"

/* A top-level number is over only where something else begins: "12abc" and "1.5.2" are not two values. */
const char *tw_lex_number_end(struct tw_lex *lex, const char *at);

/* Reads one escape at at (a backslash) into *code_point; returns the place behind it. A surrogate pair is one escape.
 */
const char *tw_lex_escape(struct tw_lex *lex, const char *at, uint32_t *code_point);

#endif
