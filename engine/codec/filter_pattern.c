#include "engine/codec/filter_compiled.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/fail.h"
#include "engine/codec/field_path.h"
#include "engine/codec/json.h"
#include "engine/codec/json_text.h"

/* The rules and messages of a pattern are those of AWS's matcher (github.com/aws/event-ruler, JsonRuleCompiler) for the
 * operators that Lambda's guide lists under "Filter rule syntax". */

enum {
    PATTERN_CHARACTERS = 4096, /* Lambda's limit of a pattern */
    PATTERN_BYTES = 4 * PATTERN_CHARACTERS,
    SOURCE_BYTES = 64 * 1024 /* with white space; bounds the work of looking for duplicate keys */
};

struct compiler {
    struct tw_filter_pattern *pattern;
    struct tw_arena *arena;
    struct tumble_bytes source;
    struct tw_buf pointer; /* of the object being read */
    struct tumble_error *err;
};

/* ---- failing ---- */

static enum tumble_code refuse(struct compiler *c, const struct tumble_value *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum tumble_code refuse(struct compiler *c, const struct tumble_value *at, const char *format, ...) {
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

static enum tumble_code no_memory(struct compiler *c) { return tw_no_memory(c->err); }

/* ---- canonical text ---- */

static enum tumble_code keep(struct compiler *c, const struct tw_buf *text, struct tumble_bytes *out) {
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
static enum tumble_code finish(struct compiler *c, struct tw_buf *text, enum tumble_code code,
                               struct tumble_bytes *out) {
    if (code == TUMBLE_OK) {
        code = keep(c, text, out);
    } else if (code == TUMBLE_ELIMIT) {
        code = refuse(c, NULL, "Member must have length less than or equal to %d", PATTERN_CHARACTERS);
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

static int compare_texts(const void *a, const void *b) {
    return compare_bytes(*(const struct tumble_bytes *)a, *(const struct tumble_bytes *)b);
}

static int compare_numbers(const void *a, const void *b) { return tw_decimal_compare(a, b); }

static int compare_tests(const void *a, const void *b) {
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

static size_t count_of(const struct tumble_value *container) {
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

static void *take_array(struct compiler *c, size_t count, size_t size) {
    size_t total;
    void *array = tw_mul_ok(count, size, &total) ? tw_arena_take(c->arena, total) : NULL;
    if (array) {
        memset(array, 0, total);
    }
    return array;
}

static enum tumble_code take_text(struct compiler *c, const struct tumble_value *string, struct tumble_bytes *out) {
    return tw_json_string_take(string, c->arena, out) ? TUMBLE_OK : no_memory(c);
}

static enum tumble_code take_folded(struct compiler *c, const struct tumble_value *string, struct tumble_bytes *out) {
    char *folded =
        take_array(c, (size_t)string->length + 1, 2); /* folding may turn a 2-byte letter into another, no longer */
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

static enum tumble_code one_text(struct compiler *c, const struct tumble_value *string, struct tw_filter_test *test) {
    test->count = 1;
    test->texts = take_array(c, 1, sizeof *test->texts);
    if (!test->texts) {
        return no_memory(c);
    }
    bool folded = test->kind == TW_FILTER_FOLDED || test->kind == TW_FILTER_NOT_FOLDED;
    return folded ? take_folded(c, string, test->texts) : take_text(c, string, test->texts);
}

static enum tumble_code take_number(struct compiler *c, const struct tumble_value *value, struct tw_decimal *out) {
    if (tw_decimal_parse(out, value->text, value->length, NULL) != TUMBLE_OK) {
        return refuse(c, value, "Value must have at most 34 digits and lie within 1e308");
    }
    return TUMBLE_OK;
}

/* Numbers of "numeric" and "anything-but" are limited to five billion either way. */
static enum tumble_code take_limited(struct compiler *c, const struct tumble_value *value, struct tw_decimal *out) {
    static const struct tw_decimal most = {5, 0, 9, 0};
    static const struct tw_decimal least = {(uint64_t)-5, -1, 9, 0};
    TW_TRY(take_number(c, value, out));
    if (tw_decimal_compare(out, &most) > 0 || tw_decimal_compare(out, &least) < 0) {
        return refuse(c, value, "Value must be between -5.0E9 and 5.0E9, inclusive");
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

static enum tumble_code numeric(struct compiler *c, const struct tumble_value *value, struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_ARRAY) {
        return refuse(c, value, "Value of numeric must be an array.");
    }
    struct elements e = first_elements(value);
    if (e.count == 0 || e.at[0].type != TUMBLE_TYPE_STRING) {
        return refuse(c, e.count ? &e.at[0] : value, "Invalid member in numeric match: %.*s",
                      e.count ? shown(&e.at[0]) : 1, e.count ? e.at[0].text : "]");
    }
    bool equals = is(&e.at[0], "=");
    bool low = is(&e.at[0], ">") || is(&e.at[0], ">=");
    if (!equals && !low && !is(&e.at[0], "<") && !is(&e.at[0], "<=")) {
        return refuse(c, &e.at[0], "Unrecognized numeric range operator: %.*s", shown(&e.at[0]), e.at[0].text);
    }
    if (e.count < 2 || e.at[1].type != TUMBLE_TYPE_NUMBER) {
        return refuse(c, &e.at[0], "Value of %s must be numeric",
                      equals                ? "equals"
                      : e.at[0].length == 2 ? (low ? ">=" : "<=")
                      : low                 ? ">"
                                            : "<");
    }
    test->numbers = take_array(c, 2, sizeof *test->numbers);
    if (!test->numbers) {
        return no_memory(c);
    }
    TW_TRY(take_limited(c, &e.at[1], &test->numbers[low || equals ? 0 : 1]));
    if (equals) {
        test->kind = TW_FILTER_NUMBER;
        test->count = 1;
        return e.count == 2 ? TUMBLE_OK : refuse(c, &e.at[2], "Too many elements in numeric expression");
    }
    test->kind = TW_FILTER_RANGE;
    enum tw_filter_bound bound = e.at[0].length == 2 ? TW_FILTER_CLOSED : TW_FILTER_OPEN;
    if (!low) {
        test->high = (uint8_t)bound;
        return e.count == 2 ? TUMBLE_OK : refuse(c, &e.at[2], "Too many elements in numeric expression");
    }
    test->low = (uint8_t)bound;
    if (e.count == 2) {
        return TUMBLE_OK;
    }
    if (e.at[2].type != TUMBLE_TYPE_STRING) {
        return refuse(c, &e.at[2], "Bad value in numeric range: %.*s", shown(&e.at[2]),
                      e.at[2].text ? e.at[2].text : "");
    }
    if (!is(&e.at[2], "<") && !is(&e.at[2], "<=")) {
        return refuse(c, &e.at[2], "Bad numeric range operator: %.*s", shown(&e.at[2]), e.at[2].text);
    }
    test->high = is(&e.at[2], "<") ? TW_FILTER_OPEN : TW_FILTER_CLOSED;
    if (e.count < 4 || e.at[3].type != TUMBLE_TYPE_NUMBER) {
        return refuse(c, &e.at[2], "Value of %s must be numeric", test->high == TW_FILTER_OPEN ? "<" : "<=");
    }
    TW_TRY(take_limited(c, &e.at[3], &test->numbers[1]));
    if (e.count > 4) {
        return refuse(c, &e.at[4], "Too many terms in numeric range expression");
    }
    if (tw_decimal_compare(&test->numbers[0], &test->numbers[1]) >= 0) {
        return refuse(c, &e.at[1], "Bottom must be less than top");
    }
    return TUMBLE_OK;
}

static size_t drop_equal(void *items, size_t count, size_t size, int (*compare)(const void *, const void *)) {
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
static enum tumble_code exceptions(struct compiler *c, const struct tumble_value *value, bool folded,
                                   struct tw_filter_test *test) {
    const char *no_other =
        folded ? "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
               : "Inside anything but list, start|null|boolean is not supported.";
    bool list = value->type == TUMBLE_TYPE_ARRAY;
    size_t count = list ? count_of(value) : 1;
    size_t strings = 0;
    size_t at = 0;
    test->texts = take_array(c, count, sizeof *test->texts);
    test->numbers = take_array(c, count, sizeof *test->numbers);
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
            return refuse(c, &element, "%s", no_other);
        }
        at++;
    }
    if (count == 0 && folded) {
        return refuse(c, value, "Empty arrays are not allowed");
    }
    if (count == 0 || (strings != 0 && strings != count)) {
        return refuse(c, value,
                      "Inside anything but list, either all values are number or string, mixed type is not supported");
    }
    if (strings) {
        test->numbers = NULL;
        test->kind = folded ? TW_FILTER_NOT_FOLDED : TW_FILTER_NOT_STRINGS;
        test->count = (uint32_t)drop_equal(test->texts, count, sizeof *test->texts, compare_texts);
    } else {
        test->texts = NULL;
        test->kind = TW_FILTER_NOT_NUMBERS;
        test->count = (uint32_t)drop_equal(test->numbers, count, sizeof *test->numbers, compare_numbers);
    }
    return TUMBLE_OK;
}

static enum tumble_code anything_but(struct compiler *c, const struct tumble_value *value,
                                     struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_OBJECT) {
        if (value->type != TUMBLE_TYPE_ARRAY && value->type != TUMBLE_TYPE_STRING &&
            value->type != TUMBLE_TYPE_NUMBER) {
            return refuse(c, value, "Value of anything-but must be an array or single string/number value.");
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
        return refuse(c, value, "Anything-But expression name not found");
    }
    bool folded = is(&name, "equals-ignore-case");
    bool prefix = is(&name, "prefix");
    if (!folded && !prefix && !is(&name, "suffix")) {
        return refuse(c, &name, "Unsupported anything-but pattern: %.*s", shown(&name), name.text);
    }
    if (tw_json_walk_next(&walk, &more_name, &more)) {
        return refuse(c, &more_name, "Only one key allowed in match expression");
    }
    if (folded) {
        return exceptions(c, &operand, true, test);
    }
    if (operand.type != TUMBLE_TYPE_STRING) {
        return refuse(c, &operand, "prefix/suffix match pattern must be a string");
    }
    if (operand.length == 0) {
        return refuse(c, &operand, "Null prefix/suffix not allowed");
    }
    test->kind = prefix ? TW_FILTER_NOT_PREFIX : TW_FILTER_NOT_SUFFIX;
    return one_text(c, &operand, test);
}

static enum tumble_code exists(struct compiler *c, const struct tumble_value *value, struct tw_filter_test *test) {
    if (value->type != TUMBLE_TYPE_TRUE && value->type != TUMBLE_TYPE_FALSE) {
        return refuse(c, value, "exists match pattern must be either true or false.");
    }
    test->kind = TW_FILTER_EXISTS;
    test->type = value->type == TUMBLE_TYPE_TRUE;
    return TUMBLE_OK;
}

static enum tumble_code expression(struct compiler *c, const struct tumble_value *object, struct tw_filter_test *test) {
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
        return refuse(c, object, "Match expression name not found");
    }
    if (tw_json_walk_next(&walk, &more_name, &more)) {
        return refuse(c, &more_name, "Only one key allowed in match expression");
    }
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        if (is(&name, strings[i].name)) {
            if (value.type != TUMBLE_TYPE_STRING) {
                return refuse(c, &value, "%s match pattern must be a string", strings[i].name);
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
    return refuse(c, &name, "Unrecognized match type %.*s", shown(&name), name.text);
}

static enum tumble_code read_test(struct compiler *c, const struct tumble_value *value, struct tw_filter_test *test) {
    switch (value->type) {
    case TUMBLE_TYPE_OBJECT: TW_TRY(expression(c, value, test)); break;
    case TUMBLE_TYPE_STRING:
        test->kind = TW_FILTER_STRING;
        TW_TRY(one_text(c, value, test));
        break;
    case TUMBLE_TYPE_NUMBER:
        test->kind = TW_FILTER_NUMBER;
        test->count = 1;
        test->numbers = take_array(c, 1, sizeof *test->numbers);
        if (!test->numbers) {
            return no_memory(c);
        }
        TW_TRY(take_number(c, value, test->numbers));
        break;
    case TUMBLE_TYPE_ARRAY: return refuse(c, value, "Match value must be String, number, true, false, or null");
    default:
        test->kind = TW_FILTER_TYPE;
        test->type = value->type;
        break;
    }
    struct tw_buf text;
    tw_buf_init(&text, c->pattern->alloc, PATTERN_BYTES);
    return finish(c, &text, append_test(&text, test), &test->canonical);
}

/* ---- objects ---- */

static enum tumble_code path_index(struct compiler *c, const struct tumble_value *at, uint32_t *out) {
    struct tw_filter_pattern *pattern = c->pattern;
    struct tumble_bytes path = tw_buf_view(&c->pointer);
    for (size_t i = 0; i < pattern->path_count; i++) {
        if (tumble_bytes_equal(pattern->paths[i], path)) {
            *out = (uint32_t)i;
            return TUMBLE_OK;
        }
    }
    if (pattern->path_count == TW_LIMIT_FIELDS || path.length > TW_LIMIT_PATH_BYTES) {
        return refuse(c, at, "A pattern may look at %d fields of at most %d bytes of path", TW_LIMIT_FIELDS,
                      TW_LIMIT_PATH_BYTES);
    }
    TW_TRY(keep(c, &c->pointer, &pattern->paths[pattern->path_count]));
    *out = (uint32_t)pattern->path_count++;
    return TUMBLE_OK;
}

static enum tumble_code read_leaf(struct compiler *c, const struct tumble_value *array, struct tw_filter_member *leaf,
                                  struct tw_buf *text) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    leaf->kind = TW_FILTER_LEAF;
    TW_TRY(path_index(c, array, &leaf->path));
    size_t count = count_of(array);
    if (count == 0) {
        return refuse(c, array, "Empty arrays are not allowed");
    }
    leaf->tests = take_array(c, count, sizeof *leaf->tests);
    if (!leaf->tests) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, array);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &key, &value); i++) {
        TW_TRY(read_test(c, &value, &leaf->tests[i]));
    }
    count = drop_equal(leaf->tests, count, sizeof *leaf->tests, compare_tests);
    TW_TRY(tw_buf_append_byte(text, '['));
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct tw_filter_test *test = &leaf->tests[i];
        if (i) {
            TW_TRY(tw_buf_append_byte(text, ','));
        }
        TW_TRY(tw_buf_append(text, test->canonical.data, test->canonical.length));
        leaf->numeric |=
            test->kind == TW_FILTER_NUMBER || test->kind == TW_FILTER_RANGE || test->kind == TW_FILTER_NOT_NUMBERS;
        if (test->kind == TW_FILTER_EXISTS && !test->type) {
            leaf->absent = true; /* no test of a value */
        } else {
            leaf->tests[kept++] = *test;
        }
    }
    leaf->count = (uint32_t)kept;
    return tw_buf_append_byte(text, ']');
}

static enum tumble_code read_object(struct compiler *c, const struct tumble_value *object, bool inside_or,
                                    struct tw_filter_node *node, struct tumble_bytes *canonical);

static enum tumble_code read_or(struct compiler *c, const struct tumble_value *array, const struct tw_filter_node *node,
                                struct tw_filter_member *member, struct tw_buf *text) {
    if (array->type != TUMBLE_TYPE_ARRAY) {
        return refuse(c, array, "It must be an Array followed with $or.");
    }
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    size_t count = count_of(array);
    member->kind = TW_FILTER_OR;
    member->nodes = take_array(c, count, sizeof(struct tw_filter_node *));
    struct tumble_bytes *texts = take_array(c, count, sizeof *texts);
    if (!member->nodes || !texts) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, array);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &key, &value); i++) {
        if (value.type != TUMBLE_TYPE_OBJECT) {
            return refuse(c, &value, "Only JSON object is allowed in array of $or relationship.");
        }
        struct tw_filter_node *branch = take_array(c, 1, sizeof *branch);
        if (!branch) {
            return no_memory(c);
        }
        branch->parent = node->parent; /* a branch is about the object that $or stands in */
        branch->key = node->key;
        branch->path = node->path;
        member->nodes[i] = branch;
        TW_TRY(read_object(c, &value, true, branch, &texts[i]));
    }
    if (count < 2) {
        return refuse(c, array, "There must have at least 2 Objects in $or relationship.");
    }
    member->count = (uint32_t)count;
    qsort(texts, count, sizeof *texts, compare_texts);
    TW_TRY(tw_buf_append_byte(text, '['));
    for (size_t i = 0; i < count; i++) {
        if (i) {
            TW_TRY(tw_buf_append_byte(text, ','));
        }
        TW_TRY(tw_buf_append(text, texts[i].data, texts[i].length));
    }
    return tw_buf_append_byte(text, ']');
}

static bool reserved_in_or(struct tumble_bytes key) {
    static const char *const names[] = {"exactly",
                                        "equals-ignore-case",
                                        "prefix",
                                        "suffix",
                                        "anything-but",
                                        "exists",
                                        "wildcard",
                                        "numeric",
                                        "cidr",
                                        "=",
                                        "<",
                                        "<=",
                                        ">",
                                        ">=",
                                        "regex",
                                        "not-wildcard",
                                        "not-equals-ignore-case",
                                        "date-after",
                                        "date-on-or-after",
                                        "date-before",
                                        "date-on-or-before",
                                        "in-date-range",
                                        "ip-address-in-range",
                                        "ip-address-not-in-range"};
    return tw_name_find(key, names, sizeof names / sizeof *names) >= 0;
}

static enum tumble_code read_member(struct compiler *c, const struct tumble_value *name,
                                    const struct tumble_value *value, bool inside_or, const struct tw_filter_node *node,
                                    struct tw_filter_member *member, struct tw_buf *text) {
    struct tumble_bytes inner;
    member->owner = node;
    if (tumble_bytes_equal(member->key, tumble_bytes_of("$or"))) {
        return read_or(c, value, node, member, text);
    }
    if (inside_or && reserved_in_or(member->key)) {
        return refuse(c, name, "%.*s is Ruler reserved fieldName which cannot be used inside $or.",
                      (int)member->key.length, member->key.data);
    }
    TW_TRY(tw_field_path_append(&c->pointer, member->key));
    if (value->type == TUMBLE_TYPE_ARRAY) {
        return read_leaf(c, value, member, text);
    }
    if (value->type != TUMBLE_TYPE_OBJECT) {
        return refuse(c, value, "\"%.*s\" must be an object or an array",
                      (int)(member->key.length < 64 ? member->key.length : 64), member->key.data);
    }
    struct tw_filter_node *child = take_array(c, 1, sizeof *child);
    member->kind = TW_FILTER_OBJECT;
    member->count = 1;
    member->nodes = take_array(c, 1, sizeof(struct tw_filter_node *));
    if (!child || !member->nodes) {
        return no_memory(c);
    }
    member->nodes[0] = child;
    child->parent = node;
    child->key = member->key;
    TW_TRY(path_index(c, value, &child->path));
    TW_TRY(read_object(c, value, inside_or, child, &inner));
    return tw_buf_append(text, inner.data, inner.length);
}

static enum tumble_code read_members(struct compiler *c, const struct tumble_value *object, bool inside_or,
                                     struct tw_filter_node *node, struct tw_buf *text) {
    size_t count = count_of(object);
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value value;
    if (count == 0) {
        return refuse(c, object, "Empty objects are not allowed");
    }
    struct sort_item {
        struct tumble_bytes key;
        struct tumble_value name;
        struct tumble_value value;
    } *items = take_array(c, count, sizeof *items);
    node->members = take_array(c, count, sizeof *node->members);
    if (!items || !node->members) {
        return no_memory(c);
    }
    tw_json_walk_begin(&walk, object);
    for (size_t i = 0; i < count && tw_json_walk_next(&walk, &name, &value); i++) {
        TW_TRY(take_text(c, &name, &items[i].key));
        items[i].name = name;
        items[i].value = value;
    }
    qsort(items, count, sizeof *items, compare_texts); /* key stands first */
    node->count = (uint32_t)count;
    size_t base = c->pointer.length;
    for (size_t i = 0; i < count; i++) {
        if (i && tumble_bytes_equal(items[i].key, items[i - 1].key)) {
            return refuse(c, &items[i].name, "Path `%.*s` cannot be allowed multiple times",
                          (int)(items[i].key.length < 64 ? items[i].key.length : 64), items[i].key.data);
        }
        node->members[i].key = items[i].key;
        TW_TRY(tw_buf_append_byte(text, i ? ',' : '{'));
        TW_TRY(tw_buf_append_json_string(text, items[i].key));
        TW_TRY(tw_buf_append_byte(text, ':'));
        TW_TRY(read_member(c, &items[i].name, &items[i].value, inside_or, node, &node->members[i], text));
        c->pointer.length = base;
    }
    return tw_buf_append_byte(text, '}');
}

static enum tumble_code read_object(struct compiler *c, const struct tumble_value *object, bool inside_or,
                                    struct tw_filter_node *node, struct tumble_bytes *canonical) {
    struct tw_buf text;
    tw_buf_init(&text, c->pattern->alloc, PATTERN_BYTES);
    return finish(c, &text, read_members(c, object, inside_or, node, &text), canonical);
}

/* ---- the whole pattern ---- */

/* A pointer's decimal segment would also name a position, should the record be an array: the dotted form does not. Only
 * the first segment needs it, the match itself looks at what the others stand in. */
static enum tumble_code plain_root(struct compiler *c, struct tumble_bytes *path) {
    size_t digits = 1;
    while (digits < path->length && path->data[digits] >= '0' && path->data[digits] <= '9') {
        digits++;
    }
    if (digits == 1 || (digits < path->length && path->data[digits] != '/')) {
        return TUMBLE_OK;
    }
    for (size_t i = 1; i < path->length; i++) {
        bool empty = path->data[i] == '/' && (i + 1 == path->length || path->data[i + 1] == '/');
        if (empty || path->data[i] == '.' || path->data[i] == '~') {
            return TUMBLE_OK;
        }
    }
    char *dotted = tw_arena_take(c->arena, path->length);
    if (!dotted) {
        return no_memory(c);
    }
    for (size_t i = 1; i < path->length; i++) {
        dotted[i - 1] = path->data[i] == '/' ? '.' : path->data[i];
    }
    path->data = dotted;
    path->length--;
    return TUMBLE_OK;
}

static enum tumble_code compile(struct compiler *c) {
    struct tw_filter_pattern *pattern = c->pattern;
    struct tumble_value root;
    struct tumble_error json;
    if (c->source.length > SOURCE_BYTES) {
        return refuse(c, NULL, "Member must have length less than or equal to %d", PATTERN_CHARACTERS);
    }
    enum tumble_code code = tw_json_document(c->source, TUMBLE_TYPE_OBJECT, &root, &json);
    if (code != TUMBLE_OK) {
        return tw_fail_at(c->err, TUMBLE_EPATTERN, json.byte, "Invalid filter pattern definition. %s", json.text);
    }
    pattern->root = take_array(c, 1, sizeof *pattern->root);
    if (!pattern->root) {
        return no_memory(c);
    }
    code = read_object(c, &root, false, pattern->root, &pattern->canonical);
    if (code != TUMBLE_OK) {
        return code;
    }
    size_t characters = 0;
    for (size_t i = 0; i < pattern->canonical.length; i++) {
        characters += ((unsigned char)pattern->canonical.data[i] & 0xc0) != 0x80;
    }
    if (characters > PATTERN_CHARACTERS) {
        return refuse(c, NULL, "Member must have length less than or equal to %d", PATTERN_CHARACTERS);
    }
    for (size_t i = 0; i < pattern->path_count; i++) {
        TW_TRY(plain_root(c, &pattern->paths[i]));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_filter_pattern_new(struct tumble_bytes pattern, struct tumble_alloc alloc,
                                       struct tw_filter_pattern **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    *out = NULL;
    struct tw_filter_pattern *made = tw_alloc_zero(&alloc, sizeof *made);
    if (!made) {
        return tw_no_memory(err);
    }
    made->alloc = alloc;
    tw_arena_init(&made->arena, alloc);
    struct compiler compiler = {.pattern = made, .arena = &made->arena, .source = pattern, .err = err};
    tw_buf_init(&compiler.pointer, alloc, 2 * SOURCE_BYTES);
    enum tumble_code code = compile(&compiler);
    tw_buf_clean_up(&compiler.pointer);
    if (code != TUMBLE_OK) {
        tw_filter_pattern_destroy(made);
        return code == TUMBLE_ENOMEM ? tw_no_memory(err) : code;
    }
    *out = made;
    return TUMBLE_OK;
}

void tw_filter_pattern_destroy(struct tw_filter_pattern *pattern) {
    if (pattern) {
        struct tumble_alloc alloc = pattern->alloc;
        tw_arena_clean_up(&pattern->arena);
        tw_free(&alloc, pattern);
    }
}

size_t tw_filter_pattern_path_count(const struct tw_filter_pattern *pattern) { return pattern->path_count; }

struct tumble_bytes tw_filter_pattern_path(const struct tw_filter_pattern *pattern, size_t index) {
    return pattern->paths[index];
}

enum tumble_code tw_filter_pattern_canonical(const struct tw_filter_pattern *pattern, struct tw_buf *out) {
    return tw_buf_append(out, pattern->canonical.data, pattern->canonical.length);
}
