#ifndef TUMBLE_PROJECTION_H
#define TUMBLE_PROJECTION_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The types a JSON value can have, and MISSING for a field that is not there. */
enum tumble_type {
    TUMBLE_TYPE_MISSING = 0,
    TUMBLE_TYPE_NULL,
    TUMBLE_TYPE_FALSE,
    TUMBLE_TYPE_TRUE,
    TUMBLE_TYPE_NUMBER,
    TUMBLE_TYPE_STRING,
    TUMBLE_TYPE_ARRAY,
    TUMBLE_TYPE_OBJECT
};

#define TUMBLE_VALUE_ESCAPED 1u /* a string that holds at least one backslash escape */

/* One JSON value as it stands in its text: a view, valid as long as the bytes it was projected from.
 * STRING: text is what stands between the quotes, escapes not yet undone (see TUMBLE_VALUE_ESCAPED).
 * NUMBER, ARRAY, OBJECT: the whole text of the value. Others: text may be NULL. */
struct tumble_value {
    const char *text;
    uint32_t length;
    uint8_t type;  /* enum tumble_type */
    uint8_t flags; /* TUMBLE_VALUE_… */
    uint16_t reserved;
};

/* A set of field paths compiled so that one pass over a record's JSON both validates it and finds every field.
 * Immutable once made: any number of threads may use one projection at the same time. */
struct tumble_projection;

/* How many values tumble_project writes. */
TUMBLE_EXPORT size_t tumble_projection_count(const struct tumble_projection *projection);

/* Parses exactly one JSON value from the front of json (leading white space allowed), checks it against RFC 8259
 * (UTF-8 included, lone surrogates refused, nesting limited) and writes values[0 … count-1]; a field that does not
 * occur is TUMBLE_TYPE_MISSING; of duplicate keys the last wins, as in Python and JavaScript.
 *
 * consumed (may be NULL): set to the offset just behind the value. With consumed NULL anything but white space behind
 * the value is an error.
 * end_of_input: 0 when more bytes may follow what json holds: a value (or a number that touches the end) that may go
 * on is then TUMBLE_EMORE and nothing is consumed.
 * Errors: EMORE, EJSON, EUTF8, EDEPTH, with byte relative to json. Thread-safe; does not allocate. */
TUMBLE_EXPORT enum tumble_code tumble_project(const struct tumble_projection *projection, struct tumble_bytes json,
                                              int end_of_input, struct tumble_value *values, size_t *consumed,
                                              struct tumble_error *err);

/* What was learned from earlier texts about the layout of the next one. The caller owns it and looks at nothing in it;
 * all zeros: nothing learned. It holds no pointers, may be copied, and belongs to one thread at a time. */
#define TUMBLE_LAYOUT_PARTS     48
#define TUMBLE_LAYOUT_RUNS      6
#define TUMBLE_LAYOUT_RUN_BYTES 1408
#define TUMBLE_LAYOUT_SPANS     32
#define TUMBLE_LAYOUT_BYTES     2048

/* Bytes that every text has, and the value behind them. */
struct tumble_layout_part {
    uint16_t offset; /* in the layout's bytes */
    uint16_t length;
    uint16_t target; /* which of the values it is, or 65535 */
    uint16_t usual;  /* length that the value's text had before, 0: it varies */
    uint16_t trust;  /* how often that may still prove wrong */
    uint16_t run;    /* which of the runs begins with it, and one; 0: none */
};

/* A value inside a run, counted from the run's first byte. */
struct tumble_layout_place {
    uint16_t offset;
    uint16_t target;
    uint16_t looked_at;        /* a number: whether it is one is not told by its bytes' ranges */
    struct tumble_value value; /* its text left out */
};

/* Parts whose values have had the same lengths for long: text that is compared as one. */
struct tumble_layout_run {
    uint16_t length; /* bytes: from the first part's own to those in front of the value that varies */
    uint16_t from;   /* where its bytes stand in least and span */
    uint8_t parts;   /* it takes the place of */
    uint8_t place;   /* the first of its places */
    uint8_t places;
    uint8_t misses;
    uint32_t loose; /* bit i: among its bytes 32 * i and so on are such as a range does not tell */
};

/* A value that begins and ends among such bytes, or (type MISSING) is the same as value begin_offset. */
struct tumble_layout_span {
    uint16_t value;
    uint8_t type;
    uint8_t flags;
    uint16_t begin_part;
    uint16_t begin_offset;
    uint16_t end_part;
    uint16_t end_offset;
};

struct tumble_layout {
    uint32_t part_count; /* 0: nothing learned */
    uint32_t span_count;
    uint32_t newlines; /* in the literals */
    uint32_t fits;     /* texts that fitted since this was learned */
    uint32_t rest;     /* texts to let pass before learning again */
    uint8_t pauses;    /* how often learning did not pay, in a row */
    uint8_t missed;    /* the last text did not fit */
    uint8_t fitted;    /* the last text did */
    uint8_t vary;      /* scalars that nobody asked for vary too */
    uint8_t run_count;
    uint8_t place_count;
    uint16_t run_bytes;
    struct tumble_layout_part parts[TUMBLE_LAYOUT_PARTS];
    struct tumble_layout_span spans[TUMBLE_LAYOUT_SPANS];
    char bytes[TUMBLE_LAYOUT_BYTES + 32];
    struct tumble_layout_run runs[TUMBLE_LAYOUT_RUNS];
    struct tumble_layout_place places[TUMBLE_LAYOUT_PARTS];
    /* What bytes of runs are: from least to least + span. */
    unsigned char least[TUMBLE_LAYOUT_RUN_BYTES];
    unsigned char span[TUMBLE_LAYOUT_RUN_BYTES];
};

/* The same as tumble_project, result for result and error for error, and quicker when json is laid out like earlier
 * texts that were given with this layout: same keys in the same order, same nesting, same white space; values may
 * change, their types too. A layout is for one projection. */
TUMBLE_EXPORT enum tumble_code tumble_project_like(const struct tumble_projection *projection,
                                                   struct tumble_layout *layout, struct tumble_bytes json,
                                                   int end_of_input, struct tumble_value *values, size_t *consumed,
                                                   struct tumble_error *err);

/* Writes the characters of a projected STRING as UTF-8, escapes undone, and returns their length: at most
 * value->length bytes, so a buffer of that size always holds them (capacity below it: 0 is returned, nothing written).
 * Thread-safe. */
TUMBLE_EXPORT size_t tumble_value_text(const struct tumble_value *value, char *out, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
