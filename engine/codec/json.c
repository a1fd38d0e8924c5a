#include "engine/codec/json.h"

#include "engine/base/fail.h"
#include "engine/base/number.h"
#include "engine/codec/json_text.h"

enum { NEAREST_BYTES = 48 }; /* longer words are not compared */

const char *tw_json_type_name(uint8_t type) {
    static const char *const names[] = {"nothing",  "null",     "false",    "true",
                                        "a number", "a string", "an array", "an object"};
    return type < sizeof names / sizeof *names ? names[type] : "nothing";
}

enum tumble_code tw_json_document(struct tumble_bytes text, enum tumble_type wanted, struct tumble_value *out,
                                  struct tumble_error *err) {
    size_t consumed = 0;
    const char *begin = text.length ? tw_json_space(text.data, text.data + text.length) : NULL;
    if (!begin || begin == text.data + text.length) {
        return tw_fail_at(err, TUMBLE_EJSON, 0, "the text is empty: expected %s", tw_json_type_name((uint8_t)wanted));
    }
    TW_TRY(tw_json_value(text, 1, out, &consumed, err));
    const char *end = text.data + text.length;
    const char *behind = tw_json_space(text.data + consumed, end);
    if (behind < end) {
        return tw_fail_at(err, TUMBLE_EJSON, behind - text.data, "more text behind the end of the JSON value");
    }
    if (out->type != wanted) {
        return tw_fail_at(err, TUMBLE_EJSON, begin - text.data, "expected %s, found %s",
                          tw_json_type_name((uint8_t)wanted), tw_json_type_name(out->type));
    }
    return TUMBLE_OK;
}

bool tw_json_string_take(const struct tumble_value *string, struct tw_arena *arena, struct tumble_bytes *out) {
    char *text = tw_arena_take(arena, (size_t)string->length + 1);
    if (!text) {
        return false;
    }
    size_t length = tw_json_text_copy(string, text, string->length);
    text[length] = '\0';
    out->data = text;
    out->length = length;
    return true;
}

bool tw_json_integer(const struct tumble_value *number, int64_t *out) {
    struct tw_decimal decimal;
    if (tw_decimal_parse(&decimal, number->text, number->length, NULL) != TUMBLE_OK || decimal.exponent < 0 ||
        decimal.exponent > 18) {
        return false;
    }
    tw_int128 value = tw_decimal_coefficient(&decimal);
    if (value > INT64_MAX || value < INT64_MIN) {
        return false;
    }
    for (int32_t i = 0; i < decimal.exponent; i++) {
        value *= 10;
    }
    if (value > INT64_MAX || value < INT64_MIN) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

int tw_name_find(struct tumble_bytes text, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (tumble_bytes_equal(text, tumble_bytes_of(names[i]))) {
            return (int)i;
        }
    }
    return -1;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

/* Optimal string alignment distance in three rows. */
static size_t distance(struct tumble_bytes a, struct tumble_bytes b) {
    size_t rows[3][NEAREST_BYTES + 1];
    for (size_t j = 0; j <= b.length; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            bool same = lower(a.data[i - 1]) == lower(b.data[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1]) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a.length % 3][b.length];
}

const char *tw_name_nearest(struct tumble_bytes text, const char *const *names, size_t count) {
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < count && text.length <= NEAREST_BYTES; i++) {
        struct tumble_bytes name = tumble_bytes_of(names[i]);
        if (name.length > NEAREST_BYTES) {
            continue;
        }
        size_t d = distance(text, name);
        size_t longer = name.length > text.length ? name.length : text.length;
        if (d < best && d <= longer / 2) { /* more than half of the letters wrong is another word */
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
