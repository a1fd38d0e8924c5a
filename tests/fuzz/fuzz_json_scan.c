#include "fuzz_target.h"

#include <stdbool.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "engine/codec/json_scan.h"

/* The scanner and the projection against cJSON, and against themselves.
 *
 * What we accept cJSON has to accept, with the same tree, but for:
 *  - a number of more than 63 characters, which cJSON cuts;
 *  - 1000 levels: cJSON counts its limit of 1000 one earlier.
 * What cJSON accepts we have to accept, but for where cJSON is more lenient than RFC 8259:
 *  - malformed UTF-8 (it does not look);
 *  - control characters inside strings, and any byte up to 0x20 as white space;
 *  - numbers that strtod takes but the grammar does not: 01, 1., .5e, 1.e5;
 *  - \u with what is not hexadecimal behind it (it reads 0);
 *  - a byte order mark in front;
 *  - anything behind the value (not asked here: the end it reports is compared).
 * Of duplicate keys cJSON keeps all; a look-up through cJSON would find the first, ours takes the last. */

static struct tumble_projection *projection;

static const char *const paths[] = {"a", "a.b", "/a/0", "/0", "/0/a", "kinesis.data", "b", "/a"};
enum { PATHS = sizeof paths / sizeof *paths };

static bool longer_number_or_deep(const char *data, size_t size) {
    size_t run = 0;
    size_t open = 0;
    for (size_t i = 0; i < size; i++) {
        run = data[i] && strchr("0123456789+-.eE", data[i]) ? run + 1 : 0;
        open += data[i] == '[' || data[i] == '{';
        if (run > 62 || open > 998) {
            return true;
        }
    }
    return false;
}

static bool known_leniency(const char *data, size_t size, const struct tumble_error *err) {
    if (err->code == TUMBLE_EUTF8 || (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)) {
        return true;
    }
    if ((size_t)err->byte < size && (unsigned char)data[err->byte] <= 0x20) {
        return true;
    }
    return strstr(err->text, "digit") || strstr(err->text, "leading 0") || strstr(err->text, "end of the number");
}

/* The same string? cJSON's ends at the first \u0000. */
static void same_string(const struct tumble_value *ours, const char *theirs) {
    struct tw_buf buf;
    tw_buf_init(&buf, tw_alloc_default(), (size_t)ours->length + 1);
    FUZZ_CHECK(tw_json_unescape(ours, &buf) == TUMBLE_OK);
    FUZZ_CHECK(tw_json_string_equal(ours, tw_buf_view(&buf)));
    FUZZ_CHECK(tw_buf_append_byte(&buf, '\0') == TUMBLE_OK);
    FUZZ_CHECK(strcmp(buf.data, theirs) == 0);
    tw_buf_clean_up(&buf);
}

static void same_tree(const struct tumble_value *ours, const cJSON *theirs) {
    char number[64];
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    const cJSON *child = theirs->child;
    switch (ours->type) {
    case TUMBLE_TYPE_NULL: FUZZ_CHECK(cJSON_IsNull(theirs)); break;
    case TUMBLE_TYPE_TRUE: FUZZ_CHECK(cJSON_IsTrue(theirs)); break;
    case TUMBLE_TYPE_FALSE: FUZZ_CHECK(cJSON_IsFalse(theirs)); break;
    case TUMBLE_TYPE_NUMBER:
        FUZZ_CHECK(cJSON_IsNumber(theirs) && ours->length < sizeof number);
        memcpy(number, ours->text, ours->length);
        number[ours->length] = '\0';
        double want = strtod(number, NULL);
        FUZZ_CHECK(memcmp(&want, &theirs->valuedouble, sizeof want) == 0);
        break;
    case TUMBLE_TYPE_STRING:
        FUZZ_CHECK(cJSON_IsString(theirs));
        same_string(ours, theirs->valuestring);
        break;
    default:
        FUZZ_CHECK(ours->type == TUMBLE_TYPE_OBJECT ? cJSON_IsObject(theirs) : cJSON_IsArray(theirs));
        for (tw_json_walk_begin(&walk, ours); tw_json_walk_next(&walk, &key, &value); child = child->next) {
            FUZZ_CHECK(child != NULL);
            if (ours->type == TUMBLE_TYPE_OBJECT) {
                same_string(&key, child->string);
            }
            same_tree(&value, child);
        }
        FUZZ_CHECK(child == NULL);
    }
}

static void against_cjson(const char *data, size_t size, enum tumble_code code, const struct tumble_value *value,
                          const struct tumble_error *err) {
    const char *end = NULL;
    cJSON *tree = cJSON_ParseWithLengthOpts(data, size, &end, 0);
    if (code == TUMBLE_OK) {
        FUZZ_CHECK(tree || longer_number_or_deep(data, size));
        if (tree && !longer_number_or_deep(data, size)) {
            same_tree(value, tree);
        }
    } else if (tree && tw_json_space(end, data + size) == data + size) {
        FUZZ_CHECK(known_leniency(data, size, err));
    }
    cJSON_Delete(tree);
}

/* What path leads to, step by step, last of duplicates. */
static struct tumble_value find(struct tumble_value value, const char *path) {
    static const struct tumble_value missing;
    bool pointer = path[0] == '/';
    while (*path) {
        path += pointer;
        size_t length = strcspn(path, pointer ? "/" : ".");
        struct tumble_bytes segment = {path, length};
        struct tumble_value found = missing;
        struct tumble_value key;
        struct tumble_value member;
        struct tw_json_walk walk;
        if (value.type != TUMBLE_TYPE_OBJECT && !(pointer && value.type == TUMBLE_TYPE_ARRAY)) {
            return missing;
        }
        tw_json_walk_begin(&walk, &value);
        for (size_t i = 0; tw_json_walk_next(&walk, &key, &member); i++) {
            if (value.type == TUMBLE_TYPE_OBJECT ? tw_json_string_equal(&key, segment) : i == 0 && *path == '0') {
                found = member;
            }
        }
        value = found;
        path += length;
        path += !pointer && *path == '.';
    }
    return value;
}

static void project(struct tumble_bytes json, enum tumble_code code, const struct tumble_value *whole,
                    const struct tumble_error *err) {
    struct tumble_value values[PATHS];
    struct tumble_error other = {.byte = -1};
    FUZZ_CHECK(tumble_project(projection, json, 1, values, NULL, &other) == code);
    if (code != TUMBLE_OK) {
        FUZZ_CHECK(other.byte == err->byte && strcmp(other.text, err->text) == 0);
        return;
    }
    for (size_t i = 0; i < PATHS; i++) {
        struct tumble_value want = find(*whole, paths[i]);
        FUZZ_CHECK(want.type == values[i].type && want.text == values[i].text && want.length == values[i].length);
    }
}

/* Bytes that may go on never look different from the same bytes with more behind them. */
static void cut(struct tumble_bytes json, enum tumble_code code, const struct tumble_error *err) {
    struct tumble_value value;
    for (size_t length = 0; length < json.length; length += 1 + length / 8) {
        char *copy = malloc(length ? length : 1);
        if (!copy) {
            abort();
        }
        memcpy(copy, json.data, length);
        struct tumble_error early = {.byte = -1};
        size_t consumed = 0;
        enum tumble_code got = tw_json_value((struct tumble_bytes){copy, length}, 0, &value, &consumed, &early);
        struct tumble_value values[PATHS];
        FUZZ_CHECK(tumble_project(projection, (struct tumble_bytes){copy, length}, 0, values, &consumed, NULL) == got);
        if (got == TUMBLE_OK) {
            FUZZ_CHECK(consumed <= length);
            FUZZ_CHECK(code == TUMBLE_OK || err->byte >= (int64_t)consumed);
        } else if (got != TUMBLE_EMORE) {
            FUZZ_CHECK(got == code && early.byte == err->byte);
        }
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_bytes json = {(const char *)data, size};
    struct tumble_value value;
    struct tumble_error err = {.byte = -1};
    if (!projection) {
        struct tumble_bytes views[PATHS];
        for (size_t i = 0; i < PATHS; i++) {
            views[i] = tumble_bytes_of(paths[i]);
        }
        FUZZ_CHECK(tw_projection_new(views, PATHS, tw_alloc_default(), &projection, NULL) == TUMBLE_OK);
    }
    enum tumble_code code = tw_json_value(json, 1, &value, NULL, &err);
    FUZZ_CHECK(code == TUMBLE_OK || code == TUMBLE_EJSON || code == TUMBLE_EUTF8 || code == TUMBLE_EDEPTH);
    FUZZ_CHECK(code == TUMBLE_OK || (err.byte >= 0 && (size_t)err.byte <= size && err.text[0]));
    against_cjson(json.data, size, code, &value, &err);
    project(json, code, &value, &err);
    cut(json, code, &err);
    return 0;
}
