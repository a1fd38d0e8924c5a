#include "engine/codec/filter_compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/fail.h"
#include "engine/codec/json.h"
#include "engine/codec/json_text.h"

/* The values a field may have: equality and the operators, with the rules and messages of AWS's matcher. */

/* ---- failing ---- */

enum tumble_code tw_filter_refuse(struct tw_filter_compiler *c, const struct tumble_value *at, const char *format,
                                  ...) {
    if (c->err) {
        char what[192];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof what, format, args);
        va_end(args);
        int64_t byte = at && at->text ? at->text - c->source.data : -1;
        if (c->pointer.length) {
            tw_fail_at(c->err, TUMBLE_EPATTERN, byte, "Invalid filter pattern definition. %s (at %.*s)", what,
                       (int)(c->pointer.length < 64 ? c->pointer.length : 64), c->pointer.data);
        } else {
            tw_fail_at(c->err, TUMBLE_EPATTERN, byte, "Invalid filter pattern definition. %s", what);
        }
    }
    return TUMBLE_EPATTERN;
}

static enum tumble_code no_memory(struct tw_filter_compiler *c) { return tw_no_memory(c->err); }

/* ---- canonical text ---- */

enum tumble_code tw_filter_keep(struct tw_filter_compiler *c, const struct tw_buf *text, struct tumble_bytes *out) {
    char *copy = tw_arena_take(c->arena, text->length + 1);
    if (!copy) {
        return no_memory(c);
    }
    if (text->length) {
        memcpy(copy, text->data, text->length);
    }
    copy[text->length] = '\0';
    out->data = copy;
    out->length = text->length;
    return TUMBLE_OK;
}

/* A buffer that is full means a pattern longer than Lambda takes. */
enum tumble_code tw_filter_finish(struct tw_filter_compiler *c, struct tw_buf *text, enum tumble_code code,
                                  struct tumble_bytes *out) {
    if (code == TUMBLE_OK) {
        code = tw_filter_keep(c, text, out);
    } else if (code == TUMBLE_ELIMIT) {
        code = tw_filter_refuse(c, NULL, "Member must have length less than or equal to %d", TW_FILTER_CHARACTERS);
    } else if (code == TUMBLE_ENOMEM) {
        code = no_memory(c);
    }
    tw_buf_clean_up(text);
    return code;
}

static int compare_bytes(struct tumble_bytes a, struct tumble_bytes b) {
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

int tw_filter_compare_texts(const void *a, const void *b) {
    return compare_bytes(*(const struct tumble_bytes *)a, *(const struct tumble_bytes *)b);
}

static int compare_numbers(const void *a, const void *b) { return tw_decimal_compare(a, b); }

int tw_filter_compare_tests(const void *a, const void *b) {
    return compare_bytes(((const struct tw_filter_test *)a)->canonical, ((const struct tw_filter_test *)b)->canonical);
}

static enum tumble_code append_number(struct tw_buf *out, const struct tw_decimal *number) {
    char text[TW_DECIMAL_TEXT];
    return tw_buf_append(out, text, tw_decimal_format(number, text));
}

static enum tumble_code append_list(struct tw_buf *out, const struct tw_filter_test *test) {
    TW_TRY(tw_buf_append_byte(out, '['));
    for (uint32_t i = 0; i < test->count; i++) {
        if (i) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        TW_TRY(test->texts ? tw_buf_append_json_string(out, test->texts[i]) : append_number(out, &test->numbers[i]));
    }
    return tw_buf_append_byte(out, ']');
}

static enum tumble_code append_range(struct tw_buf *out, const struct tw_filter_test *test) {
    TW_TRY(tw_buf_append_text(out, "{\"numeric\":["));
    if (test->low != TW_FILTER_UNBOUNDED) {
        TW_TRY(tw_buf_append_text(out, test->low == TW_FILTER_OPEN ? "\">\"," : "\">=\","));
        TW_TRY(append_number(out, &test->numbers[0]));
    }
    if (test->high != TW_FILTER_UNBOUNDED) {
        if (test->low != TW_FILTER_UNBOUNDED) {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        TW_TRY(tw_buf_append_text(out, test->high == TW_FILTER_OPEN ? "\"<\"," : "\"<=\","));
        TW_TRY(append_number(out, &test->numbers[1]));
    }
    return tw_buf_append_text(out, "]}");
}

static enum tumble_code append_around(struct tw_buf *out, const char *before, const struct tw_filter_test *test,
                                      bool list, const char *behind) {
    TW_TRY(tw_buf_append_text(out, before));
    TW_TRY(list ? append_list(out, test) : tw_buf_append_json_string(out, test->texts[0]));
    return tw_buf_append_text(out, behind);
}

static enum tumble_code append_test(struct tw_buf *out, const struct tw_filter_test *test) {
    switch ((enum tw_filter_kind)test->kind) {
    case TW_FILTER_TYPE:
        return tw_buf_append_text(out, test->type == TUMBLE_TYPE_NULL   ? "null"
                                       : test->type == TUMBLE_TYPE_TRUE ? "true"
                                                                        : "false");
    case TW_FILTER_STRING: return tw_buf_append_json_string(out, test->texts[0]);
    case TW_FILTER_NUMBER: return append_number(out, &test->numbers[0]);
    case TW_FILTER_RANGE: return append_range(out, test);
    case TW_FILTER_EXISTS: return tw_buf_append_text(out, test->type ? "{\"exists\":true}" : "{\"exists\":false}");
    case TW_FILTER_FOLDED: return append_around(out, "{\"equals-ignore-case\":", test, false, "}");
    case TW_FILTER_PREFIX: return append_around(out, "{\"prefix\":", test, false, "}");
    case TW_FILTER_SUFFIX: return append_around(out, "{\"suffix\":", test, false, "}");
    case TW_FILTER_NOT_STRINGS:
    case TW_FILTER_NOT_NUMBERS: return append_around(out, "{\"anything-but\":", test, true, "}");
    case TW_FILTER_NOT_FOLDED:
        return append_around(out, "{\"anything-but\":{\"equals-ignore-case\":", test, true, "}}");
    case TW_FILTER_NOT_PREFIX: return append_around(out, "{\"anything-but\":{\"prefix\":", test, false, "}}");
    case TW_FILTER_NOT_SUFFIX: return append_around(out, "{\"anything-but\":{\"suffix\":", test, false, "}}");
    }
    return TUMBLE_EINTERNAL;
}

/* ---- operands ---- */

size_t tw_filter_count(const struct tumble_value *container) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    size_t count = 0;
    tw_json_walk_begin(&walk, container);
    while (tw_json_walk_next(&walk, &key, &value)) {
        count++;
    }
    return count;
}

void *tw_filter_take(struct tw_filter_compiler *c, size_t count, size_t size) {
    size_t total;
    void *array = tw_mul_ok(count, size, &total) ? tw_arena_take(c->arena, total) : NULL;
    if (array) {
        memset(array, 0, total);
    }
    return array;
}

static enum tumble_code take_text(struct tw_filter_compiler *c, const struct tumble_value *string,
                                  struct tumble_bytes *out) {
    return tw_json_string_take(string, c->arena, out) ? TUMBLE_OK : no_memory(c);
}

static enum tumble_code take_folded(struct tw_filter_compiler *c, const struct tumble_value *string,
                                    struct tumble_bytes *out) {
    char *folded =
        tw_filter_take(c, (size_t)string->length + 1, 2); /* folding may turn a 2-byte letter into another, no longer */
    if (!folded) {
        return no_memory(c);
    }
    struct tw_json_text text = tw_json_text_of(string);
    uint32_t code_point;
    size_t length = 0;
    while (tw_json_text_next(&text, &code_point)) {
        length += tw_json_text_put(tw_filter_fold(code_point), folded + length);
    }
    out->data = folded;
    out->length = length;
    return TUMBLE_OK;
}

static enum tumble_code one_text(struct tw_filter_compiler *c, const struct tumble_value *string,
                                 struct tw_filter_test *test) {
    test->count = 1;
    test->texts = tw_filter_take(c, 1, sizeof *test->texts);
    if (!test->texts) {
        return no_memory(c);
    }
    bool folded = test->kind == TW_FILTER_FOLDED || test->kind == TW_FILTER_NOT_FOLDED;
    return folded ? take_folded(c, string, test->texts) : take_text(c, string, test->texts);
}

static enum tumble_code take_number(struct tw_filter_compiler *c, const struct tumble_value *value,
                                    struct tw_decimal *out) {
    if (tw_decimal_parse(out, value->text, value->length, NULL) != TUMBLE_OK) {
        return tw_filter_refuse(c, value, "Value must have at most 34 digits and lie within 1e308");
    }
    return TUMBLE_OK;
}

/* Numbers of "numeric" and "anything-but" are limited to five billion either way. */
static enum tumble_code take_limited(struct tw_filter_compiler *c, const struct tumble_value *value,
                                     struct tw_decimal *out) {
    static const struct tw_decimal most = {5, 0, 9, 0};
    static const struct tw_decimal least = {(uint64_t)-5, -1, 9, 0};
    TW_TRY(take_number(c, value, out));
    if (tw_decimal_compare(out, &most) > 0 || tw_decimal_compare(out, &least) < 0) {
        return tw_filter_refuse(c, value, "Value must be between -5.0E9 and 5.0E9, inclusive");
    }
    return TUMBLE_OK;
}

/* ---- one operator each ---- */

struct elements { /* a short array, read at once */
    struct tumble_value at[6];
    size_t count;
};

static struct elements first_elements(const struct tumble_value *array) {
    struct elements elements = {.count = 0};
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    tw_json_walk_begin(&walk, array);
    while (elements.count < sizeof elements.at / sizeof *elements.at && tw_json_walk_next(&walk, &key, &value)) {
        elements.at[elements.count++] = value;
    }
    return elements;
}

static bool is(const struct tumble_value *string, const char *text) {
    return string->type == TUMBLE_TYPE_STRING && tw_json_string_equal(string, tumble_bytes_of(text));
}

static int shown(const struct tumble_value *value) { return value->length < 40 ? (int)value->length : 40; }

static enum tumble_code numeric(struct tw_filter_compiler *c, const struct tumble_value *value,
                                struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_ARRAY) {
        return tw_filter_refuse(c, value, "Value of numeric must be an array.");
    }
    struct elements e = first_elements(value);
    if (e.count == 0 || e.at[0].type != TUMBLE_TYPE_STRING) {
        return tw_filter_refuse(c, e.count ? &e.at[0] : value, "Invalid member in numeric match: %.*s",
                                e.count ? shown(&e.at[0]) : 1, e.count ? e.at[0].text : "]");
    }
    bool equals = is(&e.at[0], "=");
    bool low = is(&e.at[0], ">") || is(&e.at[0], ">=");
    if (!equals && !low && !is(&e.at[0], "<") && !is(&e.at[0], "<=")) {
        return tw_filter_refuse(c, &e.at[0], "Unrecognized numeric range operator: %.*s", shown(&e.at[0]),
                                e.at[0].text);
    }
    if (e.count < 2 || e.at[1].type != TUMBLE_TYPE_NUMBER) {
        return tw_filter_refuse(c, &e.at[0], "Value of %s must be numeric",
                                equals                ? "equals"
                                : e.at[0].length == 2 ? (low ? ">=" : "<=")
                                : low                 ? ">"
                                                      : "<");
    }
    test->numbers = tw_filter_take(c, 2, sizeof *test->numbers);
    if (!test->numbers) {
        return no_memory(c);
    }
    TW_TRY(take_limited(c, &e.at[1], &test->numbers[low || equals ? 0 : 1]));
    if (equals) {
        test->kind = TW_FILTER_NUMBER;
        test->count = 1;
        return e.count == 2 ? TUMBLE_OK : tw_filter_refuse(c, &e.at[2], "Too many elements in numeric expression");
    }
    test->kind = TW_FILTER_RANGE;
    enum tw_filter_bound bound = e.at[0].length == 2 ? TW_FILTER_CLOSED : TW_FILTER_OPEN;
    if (!low) {
        test->high = (uint8_t)bound;
        return e.count == 2 ? TUMBLE_OK : tw_filter_refuse(c, &e.at[2], "Too many elements in numeric expression");
    }
    test->low = (uint8_t)bound;
    if (e.count == 2) {
        return TUMBLE_OK;
    }
    if (e.at[2].type != TUMBLE_TYPE_STRING) {
        return tw_filter_refuse(c, &e.at[2], "Bad value in numeric range: %.*s", shown(&e.at[2]),
                                e.at[2].text ? e.at[2].text : "");
    }
    if (!is(&e.at[2], "<") && !is(&e.at[2], "<=")) {
        return tw_filter_refuse(c, &e.at[2], "Bad numeric range operator: %.*s", shown(&e.at[2]), e.at[2].text);
    }
    test->high = is(&e.at[2], "<") ? TW_FILTER_OPEN : TW_FILTER_CLOSED;
    if (e.count < 4 || e.at[3].type != TUMBLE_TYPE_NUMBER) {
        return tw_filter_refuse(c, &e.at[2], "Value of %s must be numeric", test->high == TW_FILTER_OPEN ? "<" : "<=");
    }
    TW_TRY(take_limited(c, &e.at[3], &test->numbers[1]));
    if (e.count > 4) {
        return tw_filter_refuse(c, &e.at[4], "Too many terms in numeric range expression");
    }
    if (tw_decimal_compare(&test->numbers[0], &test->numbers[1]) >= 0) {
        return tw_filter_refuse(c, &e.at[1], "Bottom must be less than top");
    }
    return TUMBLE_OK;
}

size_t tw_filter_drop_equal(void *items, size_t count, size_t size, int (*compare)(const void *, const void *)) {
    char *at = items;
    size_t kept = 0;
    qsort(items, count, size, compare);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || compare(at + (kept - 1) * size, at + i * size) != 0) {
            if (kept != i) {
                memcpy(at + kept * size, at + i * size, size);
            }
            kept++;
        }
    }
    return kept;
}

/* The values of an anything-but: a list, or one value that stands for a list of one. folded: of its equals-ignore-case.
 */
static enum tumble_code exceptions(struct tw_filter_compiler *c, const struct tumble_value *value, bool folded,
                                   struct tw_filter_test *test) {
    const char *no_other =
        folded ? "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
               : "Inside anything but list, start|null|boolean is not supported.";
    bool list = value->type == TUMBLE_TYPE_ARRAY;
    size_t count = list ? tw_filter_count(value) : 1;
    size_t strings = 0;
    size_t at = 0;
    test->texts = tw_filter_take(c, count, sizeof *test->texts);
    test->numbers = tw_filter_take(c, count, sizeof *test->numbers);
    if (!test->texts || !test->numbers) {
        return no_memory(c);
    }
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element = *value;
    if (list) {
        tw_json_walk_begin(&walk, value);
    }
    while (at < count && (!list || tw_json_walk_next(&walk, &key, &element))) {
        if (element.type == TUMBLE_TYPE_STRING) {
            TW_TRY(folded ? take_folded(c, &element, &test->texts[at]) : take_text(c, &element, &test->texts[at]));
            strings++;
        } else if (element.type == TUMBLE_TYPE_NUMBER && !folded) {
            TW_TRY(take_limited(c, &element, &test->numbers[at]));
        } else {
            return tw_filter_refuse(c, &element, "%s", no_other);
        }
        at++;
    }
    if (count == 0 && folded) {
        return tw_filter_refuse(c, value, "Empty arrays are not allowed");
    }
    if (count == 0 || (strings != 0 && strings != count)) {
        return tw_filter_refuse(
            c, value, "Inside anything but list, either all values are number or string, mixed type is not supported");
    }
    if (strings) {
        test->numbers = NULL;
        test->kind = folded ? TW_FILTER_NOT_FOLDED : TW_FILTER_NOT_STRINGS;
        test->count = (uint32_t)tw_filter_drop_equal(test->texts, count, sizeof *test->texts, tw_filter_compare_texts);
    } else {
        test->texts = NULL;
        test->kind = TW_FILTER_NOT_NUMBERS;
        test->count = (uint32_t)tw_filter_drop_equal(test->numbers, count, sizeof *test->numbers, compare_numbers);
    }
    return TUMBLE_OK;
}

static enum tumble_code anything_but(struct tw_filter_compiler *c, const struct tumble_value *value,
                                     struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_OBJECT) {
        if (value->type != TUMBLE_TYPE_ARRAY && value->type != TUMBLE_TYPE_STRING &&
            value->type != TUMBLE_TYPE_NUMBER) {
            return tw_filter_refuse(c, value, "Value of anything-but must be an array or single string/number value.");
        }
        return exceptions(c, value, false, test);
    }
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value operand;
    struct tumble_value more_name;
    struct tumble_value more;
    tw_json_walk_begin(&walk, value);
    if (!tw_json_walk_next(&walk, &name, &operand)) {
        return tw_filter_refuse(c, value, "Anything-But expression name not found");
    }
    bool folded = is(&name, "equals-ignore-case");
    bool prefix = is(&name, "prefix");
    if (!folded && !prefix && !is(&name, "suffix")) {
        return tw_filter_refuse(c, &name, "Unsupported anything-but pattern: %.*s", shown(&name), name.text);
    }
    if (tw_json_walk_next(&walk, &more_name, &more)) {
        return tw_filter_refuse(c, &more_name, "Only one key allowed in match expression");
    }
    if (folded) {
        return exceptions(c, &operand, true, test);
    }
    if (operand.type != TUMBLE_TYPE_STRING) {
        return tw_filter_refuse(c, &operand, "prefix/suffix match pattern must be a string");
    }
    if (operand.length == 0) {
        return tw_filter_refuse(c, &operand, "Null prefix/suffix not allowed");
    }
    test->kind = prefix ? TW_FILTER_NOT_PREFIX : TW_FILTER_NOT_SUFFIX;
    return one_text(c, &operand, test);
}

static enum tumble_code exists(struct tw_filter_compiler *c, const struct tumble_value *value,
                               struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_TRUE && value->type != TUMBLE_TYPE_FALSE) {
        return tw_filter_refuse(c, value, "exists match pattern must be either true or false.");
    }
    test->kind = TW_FILTER_EXISTS;
    test->type = value->type == TUMBLE_TYPE_TRUE;
    return TUMBLE_OK;
}

static enum tumble_code expression(struct tw_filter_compiler *c, const struct tumble_value *object,
                                   struct tw_filter_test *test) {
    static const struct {
        const char *name;
        enum tw_filter_kind kind;
    } strings[] = {
        {"prefix", TW_FILTER_PREFIX}, {"suffix", TW_FILTER_SUFFIX}, {"equals-ignore-case", TW_FILTER_FOLDED}};
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value value;
    struct tumble_value more_name;
    struct tumble_value more;
    tw_json_walk_begin(&walk, object);
    if (!tw_json_walk_next(&walk, &name, &value)) {
        return tw_filter_refuse(c, object, "Match expression name not found");
    }
    if (tw_json_walk_next(&walk, &more_name, &more)) {
        return tw_filter_refuse(c, &more_name, "Only one key allowed in match expression");
    }
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        if (is(&name, strings[i].name)) {
            if (value.type != TUMBLE_TYPE_STRING) {
                return tw_filter_refuse(c, &value, "%s match pattern must be a string", strings[i].name);
            }
            test->kind = (uint8_t)strings[i].kind;
            return one_text(c, &value, test);
        }
    }
    if (is(&name, "numeric")) {
        return numeric(c, &value, test);
    }
    if (is(&name, "anything-but")) {
        return anything_but(c, &value, test);
    }
    if (is(&name, "exists")) {
        return exists(c, &value, test);
    }
    return tw_filter_refuse(c, &name, "Unrecognized match type %.*s", shown(&name), name.text);
}

enum tumble_code tw_filter_read_test(struct tw_filter_compiler *c, const struct tumble_value *value,
                                     struct tw_filter_test *test) {
    switch (value->type) {
    case TUMBLE_TYPE_OBJECT: TW_TRY(expression(c, value, test)); break;
    case TUMBLE_TYPE_STRING:
        test->kind = TW_FILTER_STRING;
        TW_TRY(one_text(c, value, test));
        break;
    case TUMBLE_TYPE_NUMBER:
        test->kind = TW_FILTER_NUMBER;
        test->count = 1;
        test->numbers = tw_filter_take(c, 1, sizeof *test->numbers);
        if (!test->numbers) {
            return no_memory(c);
        }
        TW_TRY(take_number(c, value, test->numbers));
        break;
    case TUMBLE_TYPE_ARRAY:
        return tw_filter_refuse(c, value, "Match value must be String, number, true, false, or null");
    default:
        test->kind = TW_FILTER_TYPE;
        test->type = value->type;
        break;
    }
    struct tw_buf text;
    tw_buf_init(&text, c->pattern->alloc, TW_FILTER_BYTES);
    return tw_filter_finish(c, &text, append_test(&text, test), &test->canonical);
}
