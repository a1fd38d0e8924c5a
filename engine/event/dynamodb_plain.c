#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"
#include "engine/event/dynamodb_record.h"

/* DynamoDB's typed values to plain JSON, in one pass over the text and without a tree.
 *
 * The text was validated as JSON: what can still be wrong is its shape. Functions that read take the place where their
 * token begins and return the place behind it, or NULL with code and the error set. */
struct rewrite {
    struct tw_lex lex;
    struct tw_buf *out;
    const char *begin; /* of the record */
    const char *where; /* "NewImage" */
    bool canonical;    /* the same characters are always the same bytes */
    enum tumble_code code;
    struct tumble_error *err;
};

static const char *refuse(struct rewrite *rewrite, const char *at, const char *text) {
    rewrite->code =
        tw_fail_at(rewrite->err, TUMBLE_EEVENT, at - rewrite->begin, "dynamodb.%s: %s", rewrite->where, text);
    return NULL;
}

/* Appends, and returns at. */
static const char *put(struct rewrite *rewrite, const char *at, const char *data, size_t length) {
    enum tumble_code code = tw_buf_append(rewrite->out, data, length);
    if (code != TUMBLE_OK) {
        rewrite->code = tw_fail_at(rewrite->err, code, at - rewrite->begin, "dynamodb.%s: as plain JSON: %s",
                                   rewrite->where, tumble_code_text(code));
        return NULL;
    }
    return at;
}

/* A string written one way only: escaped is what has to be, in the shortest form. */
static enum tumble_code put_canonical(struct tw_buf *out, const struct tumble_value *string) {
    struct tw_json_text text = tw_json_text_of(string);
    uint32_t code_point;
    TW_TRY(tw_buf_append_byte(out, '"'));
    while (tw_json_text_next(&text, &code_point)) {
        char utf8[4];
        struct tumble_bytes character = {utf8, tw_json_text_put(code_point, utf8)};
        if (code_point >= ' ' && code_point != '"' && code_point != '\\') {
            TW_TRY(tw_buf_append(out, character.data, character.length));
            continue;
        }
        size_t at = out->length;
        TW_TRY(tw_buf_append_json_string(out, character)); /* and without its quotes */
        out->length -= 2;
        memmove(out->data + at, out->data + at + 1, out->length - at);
    }
    return tw_buf_append_byte(out, '"');
}

static const char *put_string(struct rewrite *rewrite, const char *at, const struct tumble_value *string) {
    if (!rewrite->canonical || !(string->flags & TUMBLE_VALUE_ESCAPED)) {
        return put(rewrite, at, string->text - 1, (size_t)string->length + 2);
    }
    enum tumble_code code = put_canonical(rewrite->out, string);
    if (code != TUMBLE_OK) {
        rewrite->code = tw_fail_at(rewrite->err, code, at - rewrite->begin, "dynamodb.%s: as plain JSON: %s",
                                   rewrite->where, tumble_code_text(code));
        return NULL;
    }
    return at;
}

#define NO_NUMBER "N and NS are numbers as text, such as \"12.5\""

static bool is_digit(char c) { return (unsigned char)(c - '0') < 10; }

static bool is_json_number(const char *at, const char *end) {
    struct tumble_bytes text = {at, (size_t)(end - at)};
    struct tw_lex lex;
    tw_lex_init(&lex, text, 1);
    return at < end && (*at == '-' || is_digit(*at)) && tw_lex_number(&lex, at) == end;
}

/* An N: as it is written, or without what JSON's numbers have not: a plus sign, zeros in front, a bare point. */
static const char *put_number(struct rewrite *rewrite, const char *at, const struct tumble_value *string) {
    const char *from = string->text, *end = from + string->length;
    if (is_json_number(from, end)) {
        return put(rewrite, at, from, string->length);
    }
    size_t before = rewrite->out->length;
    if (from < end && *from == '-' && !put(rewrite, at, "-", 1)) {
        return NULL;
    }
    from += end - from > 1 && (*from == '-' || (*from == '+' && from[1] != '-'));
    while (end - from > 1 && *from == '0' && is_digit(from[1])) {
        from++;
    }
    if (from < end && *from == '.' && !put(rewrite, at, "0", 1)) {
        return NULL;
    }
    if (!put(rewrite, at, from, (size_t)(end - from))) {
        return NULL;
    }
    return is_json_number(rewrite->out->data + before, rewrite->out->data + rewrite->out->length)
               ? at
               : refuse(rewrite, string->text - 1, NO_NUMBER);
}

enum attribute { STRING, NUMBER, BOOLEAN, NOTHING, LIST, MAP, STRINGS, NUMBERS, UNKNOWN };

static enum attribute attribute_of(const char *type, uint32_t length) {
    if (length == 1) {
        switch (*type) {
        case 'S':
        case 'B': return STRING;
        case 'N': return NUMBER;
        case 'L': return LIST;
        case 'M': return MAP;
        default: return UNKNOWN;
        }
    }
    if (length == 2 && type[1] == 'S') {
        return *type == 'S' || *type == 'B' ? STRINGS : *type == 'N' ? NUMBERS : UNKNOWN;
    }
    if (length == 4) {
        return memcmp(type, "BOOL", 4) == 0 ? BOOLEAN : memcmp(type, "NULL", 4) == 0 ? NOTHING : UNKNOWN;
    }
    return UNKNOWN;
}

static const char *space(const struct rewrite *rewrite, const char *at) { return tw_lex_space(at, rewrite->lex.end); }

/* A scalar of the attribute's type. */
static const char *scalar(struct rewrite *rewrite, const char *at, enum attribute attribute) {
    struct tumble_value value = {0};
    const char *behind = *at == '{' || *at == '[' ? at : tw_lex_scalar(&rewrite->lex, at, &value);
    switch (attribute) {
    case STRING:
        return value.type == TUMBLE_TYPE_STRING ? put_string(rewrite, behind, &value)
                                                : refuse(rewrite, at, "S and B are strings");
    case NUMBER:
        return value.type == TUMBLE_TYPE_STRING ? put_number(rewrite, behind, &value) : refuse(rewrite, at, NO_NUMBER);
    case BOOLEAN:
        return value.type == TUMBLE_TYPE_TRUE || value.type == TUMBLE_TYPE_FALSE
                   ? put(rewrite, behind, value.text, value.length)
                   : refuse(rewrite, at, "BOOL is true or false");
    default:
        return value.type == TUMBLE_TYPE_TRUE ? put(rewrite, behind, "null", 4) : refuse(rewrite, at, "NULL is true");
    }
}

/* The brace that ends a typed value: it holds its type and nothing else. */
static const char *closed(struct rewrite *rewrite, const char *at) {
    at = space(rewrite, at);
    return *at == '}' ? at + 1 : refuse(rewrite, at, "an attribute value has one type, such as {\"S\":\"a\"}");
}

/* SS, NS, BS: at is behind the bracket. */
static const char *set(struct rewrite *rewrite, const char *at, enum attribute attribute) {
    if (!put(rewrite, at, "[", 1)) {
        return NULL;
    }
    at = space(rewrite, at);
    while (at && *at != ']') {
        if (*at == ',') {
            at = put(rewrite, space(rewrite, at + 1), ",", 1);
        }
        at = at ? scalar(rewrite, at, attribute == STRINGS ? STRING : NUMBER) : NULL;
        at = at ? space(rewrite, at) : NULL;
    }
    return at ? put(rewrite, at + 1, "]", 1) : NULL;
}

/* A key of a map and its colon; returns the place of the value. */
static const char *map_key(struct rewrite *rewrite, const char *at) {
    struct tumble_value key;
    const char *text = at; /* the text was validated, so that a key is found; the compiler cannot know */
    uint32_t length = 0;
    uint8_t flags = 0;
    at = tw_lex_key(&rewrite->lex, at, TW_LEX_KEY, &text, &length, &flags);
    tw_lex_describe(&key, text, text + length, TUMBLE_TYPE_STRING, flags);
    return put_string(rewrite, at, &key) ? put(rewrite, at, ":", 1) : NULL;
}

/* The beginning of a typed value, up to what its type is followed by. */
static const char *opened(struct rewrite *rewrite, const char *at, enum attribute *attribute) {
    static const char wanted[] = "an attribute value is an object with its type, such as {\"S\":\"a\"}";
    const char *type = at;
    uint32_t length = 0;
    uint8_t flags = 0;
    if (*at != '{') {
        return refuse(rewrite, at, wanted);
    }
    const char *key = space(rewrite, at + 1);
    if (*key == '}') {
        return refuse(rewrite, at, wanted);
    }
    at = tw_lex_key(&rewrite->lex, key, TW_LEX_KEY, &type, &length, &flags);
    *attribute = flags ? UNKNOWN : attribute_of(type, length);
    return *attribute == UNKNOWN
               ? refuse(rewrite, key, "an attribute's type is S, N, B, BOOL, NULL, L, M, SS, NS or BS")
               : at;
}

/* One typed value, whatever it holds: lists and maps are walked with a stack of the brackets that will close them. */
static const char *attribute_value(struct rewrite *rewrite, const char *at) {
    char open[TW_LIMIT_ATTRIBUTE_DEPTH];
    size_t depth = 0;
    do {
        enum attribute attribute = UNKNOWN;
        at = opened(rewrite, at, &attribute);
        if (!at) {
            return NULL;
        }
        bool is_container = attribute >= LIST;
        if (is_container && *at != (attribute == MAP ? '{' : '[')) {
            return refuse(rewrite, at, attribute == MAP ? "M is an object" : "L, SS, NS and BS are arrays");
        }
        if (attribute == LIST || attribute == MAP) {
            if (depth == TW_LIMIT_ATTRIBUTE_DEPTH) {
                return refuse(rewrite, at, "lists and maps nested too deeply");
            }
            open[depth++] = attribute == MAP ? '}' : ']';
            if (!put(rewrite, at, at, 1)) {
                return NULL;
            }
            at = space(rewrite, at + 1);
            if (*at != open[depth - 1]) {
                at = attribute == MAP ? map_key(rewrite, at) : at;
                continue;
            }
        } else {
            at = is_container ? set(rewrite, at + 1, attribute) : scalar(rewrite, at, attribute);
            at = at ? closed(rewrite, at) : NULL;
        }
        /* A value ended: so do the containers whose last it was. */
        while (at && depth) {
            at = space(rewrite, at);
            if (*at == ',') {
                at = put(rewrite, space(rewrite, at + 1), ",", 1);
                at = at && open[depth - 1] == '}' ? map_key(rewrite, at) : at;
                break;
            }
            at = put(rewrite, at + 1, &open[--depth], 1);
            at = at ? closed(rewrite, at) : NULL;
        }
    } while (at && depth);
    return at;
}

static void begin_rewrite(struct rewrite *rewrite, const struct tw_dynamodb_record *record,
                          const struct tumble_value *object, const char *where, struct tw_buf *out,
                          struct tumble_error *err) {
    struct tumble_bytes text = {object->text, object->length};
    memset(rewrite, 0, sizeof *rewrite);
    tw_lex_init(&rewrite->lex, text, 1);
    rewrite->out = out;
    rewrite->begin = record->begin;
    rewrite->where = where;
    rewrite->err = err;
}

/* An object of typed values, Keys or an image. */
static enum tumble_code put_image(const struct tw_dynamodb_record *record, const struct tumble_value *object,
                                  const char *where, struct tw_buf *out, struct tumble_error *err) {
    struct rewrite rewrite;
    begin_rewrite(&rewrite, record, object, where, out, err);
    const char *at = put(&rewrite, rewrite.lex.begin, "{", 1);
    at = at ? space(&rewrite, at + 1) : NULL;
    while (at && *at != '}') {
        if (*at == ',') {
            at = put(&rewrite, space(&rewrite, at + 1), ",", 1);
        }
        at = at ? map_key(&rewrite, at) : NULL;
        at = at ? attribute_value(&rewrite, at) : NULL;
        at = at ? space(&rewrite, at) : NULL;
    }
    return at && put(&rewrite, at, "}", 1) ? TUMBLE_OK : rewrite.code;
}

static enum tumble_code put_payload(const struct tw_dynamodb_record *record, struct tw_buf *out,
                                    struct tumble_error *err) {
    const struct {
        const char *name;
        const char *text;
        const struct tumble_value *value;
    } members[] = {{"eventName", "\"eventName\":", &record->event_name},
                   {"Keys", "\"Keys\":", &record->keys},
                   {"NewImage", "\"NewImage\":", &record->new_image},
                   {"OldImage", "\"OldImage\":", &record->old_image}};
    char before = '{';
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct tumble_value *value = members[i].value;
        if (value->type == TUMBLE_TYPE_MISSING) {
            continue;
        }
        struct rewrite rewrite;
        begin_rewrite(&rewrite, record, value, members[i].name, out, err);
        const char *at = put(&rewrite, value->text, &before, 1);
        at = at ? put(&rewrite, at, members[i].text, strlen(members[i].text)) : NULL;
        if (at && value->type == TUMBLE_TYPE_STRING) {
            at = put_string(&rewrite, at, value);
        }
        if (!at) {
            return rewrite.code;
        }
        if (value->type == TUMBLE_TYPE_OBJECT) {
            TW_TRY(put_image(record, value, members[i].name, out, err));
        }
        before = ',';
    }
    enum tumble_code code = tw_buf_append_byte(out, '}');
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

enum tumble_code tw_dynamodb_record_payload(const struct tw_dynamodb_record *record, struct tw_buf *out,
                                            struct tumble_error *err) {
    size_t before = out->length;
    enum tumble_code code = put_payload(record, out, err);
    if (code != TUMBLE_OK) {
        out->length = before;
    }
    return code;
}

/* ---- the partition key ---- */

enum { KEYS_MAX = 16 }; /* DynamoDB has at most two */

struct key_member {
    struct tumble_value name;
    struct tumble_value value;
};

/* By code points, which is the order of the UTF-8 bytes. */
static int compare_names(const struct tumble_value *a, const struct tumble_value *b) {
    struct tw_json_text left = tw_json_text_of(a), right = tw_json_text_of(b);
    for (;;) {
        uint32_t x = 0, y = 0;
        bool more_left = tw_json_text_next(&left, &x), more_right = tw_json_text_next(&right, &y);
        if (!more_left || !more_right) {
            return (int)more_left - (int)more_right;
        }
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
}

/* Puts a member where it belongs; of duplicate names the last wins. False: there are too many. */
static bool place_member(struct key_member *members, size_t *count, const struct key_member *member) {
    size_t at = *count;
    while (at > 0) {
        int order = compare_names(&members[at - 1].name, &member->name);
        if (order == 0) {
            members[at - 1].value = member->value;
            return true;
        }
        if (order < 0) {
            break;
        }
        at--;
    }
    if (*count == KEYS_MAX) {
        return false;
    }
    memmove(&members[at + 1], &members[at], (*count - at) * sizeof *members);
    members[at] = *member;
    (*count)++;
    return true;
}

static enum tumble_code put_key(const struct tw_dynamodb_record *record, struct tw_buf *out, struct tumble_error *err) {
    struct key_member members[KEYS_MAX], member;
    size_t count = 0;
    struct rewrite rewrite;
    struct tw_json_walk walk;
    begin_rewrite(&rewrite, record, &record->keys, "Keys", out, err);
    rewrite.canonical = true;
    tw_json_walk_begin(&walk, &record->keys);
    while (tw_json_walk_next(&walk, &member.name, &member.value)) {
        if (!place_member(members, &count, &member)) {
            refuse(&rewrite, member.name.text - 1, "an item has at most two key attributes");
            return rewrite.code;
        }
    }
    const char *at = put(&rewrite, record->keys.text, "{", 1);
    for (size_t i = 0; at && i < count; i++) {
        at = i ? put(&rewrite, at, ",", 1) : at;
        at = at ? put_string(&rewrite, members[i].name.text, &members[i].name) : NULL;
        at = at ? put(&rewrite, at, ":", 1) : NULL;
        const char *value = members[i].value.text - (members[i].value.type == TUMBLE_TYPE_STRING);
        at = at ? attribute_value(&rewrite, value) : NULL;
    }
    return at && put(&rewrite, at, "}", 1) ? TUMBLE_OK : rewrite.code;
}

enum tumble_code tw_dynamodb_record_key(const struct tw_dynamodb_record *record, struct tw_buf *out,
                                        struct tumble_error *err) {
    size_t before = out->length;
    enum tumble_code code = put_key(record, out, err);
    if (code != TUMBLE_OK) {
        out->length = before;
    }
    return code;
}
