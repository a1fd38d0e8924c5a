#include "engine/codec/json_scan.h"

#include "engine/codec/json_lex.h"

enum tumble_code tw_json_value(struct tumble_bytes json, int end_of_input, struct tumble_value *out, size_t *consumed,
                               struct tumble_error *err) {
    struct tw_lex lex;
    tw_lex_init(&lex, json, end_of_input);
    const char *at = tw_lex_value(&lex, tw_lex_space(lex.begin, lex.end), 0, out);
    if (at && out->type == TUMBLE_TYPE_NUMBER) {
        at = tw_lex_number_end(&lex, at);
    }
    return tw_lex_finish(&lex, at, consumed, err);
}

void tw_json_walk_begin(struct tw_json_walk *walk, const struct tumble_value *container) {
    walk->at = container->text + 1;
    walk->end = container->text + container->length - 1;
    walk->is_object = container->type == TUMBLE_TYPE_OBJECT;
}

bool tw_json_walk_next(struct tw_json_walk *walk, struct tumble_value *key, struct tumble_value *value) {
    struct tumble_bytes rest = {walk->at, (size_t)(walk->end - walk->at)};
    struct tw_lex lex;
    tw_lex_init(&lex, rest, 1);
    const char *at = tw_lex_space(lex.begin, lex.end);
    if (at == lex.end) {
        return false;
    }
    if (walk->is_object) {
        const char *text;
        uint32_t length;
        uint8_t flags;
        at = tw_lex_key(&lex, at, TW_LEX_KEY, &text, &length, &flags);
        if (!at) {
            return false;
        }
        if (key) {
            tw_lex_describe(key, text, text + length, TUMBLE_TYPE_STRING, flags);
        }
    }
    at = tw_lex_value(&lex, at, 0, value);
    if (!at) {
        return false;
    }
    at = tw_lex_space(at, lex.end);
    walk->at = at < lex.end && *at == ',' ? at + 1 : at;
    return true;
}

const char *tw_json_space(const char *at, const char *end) { return tw_lex_space(at, end); }

bool tw_json_split(struct tumble_bytes json, struct tumble_bytes *values, size_t count) {
    if (json.length > UINT32_MAX) {
        return false;
    }
    struct tumble_value object = {.text = json.data, .length = (uint32_t)json.length, .type = TUMBLE_TYPE_OBJECT};
    struct tw_json_walk walk;
    struct tumble_value key, value;
    size_t n = 0;
    tw_json_walk_begin(&walk, &object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        if (n == count) {
            return false;
        }
        static const char *const words[] = {
            [TUMBLE_TYPE_NULL] = "null", [TUMBLE_TYPE_FALSE] = "false", [TUMBLE_TYPE_TRUE] = "true"};
        if (value.type == TUMBLE_TYPE_STRING) { /* with its quotes */
            values[n].data = value.text - 1;
            values[n].length = (size_t)value.length + 2;
        } else if (value.type <= TUMBLE_TYPE_TRUE) {
            values[n] = tumble_bytes_of(words[value.type]);
        } else {
            values[n].data = value.text;
            values[n].length = value.length;
        }
        n++;
    }
    return n == count;
}
