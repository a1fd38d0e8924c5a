#include "engine/codec/elements.h"

#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/codec/json_lex.h"
#include "engine/codec/json_scan.h"

/* A state machine over the tokens between elements. What it has read of the stream is all in struct position, so that
 * it can stop after any token, for want of bytes or because an element begins, and can be saved there. Containers on
 * the way to the elements are read token by token; members beside the way are read as whole values. */
enum {
    MAX_SEGMENTS = 32, /* of a pointer */
    STATE_VERSION = 1
};

enum phase {
    BETWEEN,    /* top-level values: the next one or the end of the stream */
    VALUE,      /* the value at the pointer's first `level` segments */
    FIRST,      /* behind the bracket that opens a container on the way */
    NEXT,       /* behind a comma in one */
    BEHIND,     /* behind a member of one */
    FIRST_TAKE, /* behind the bracket that opens the array of elements */
    NEXT_TAKE,  /* behind a comma in it */
    ELEMENT,    /* an element begins: waiting for tw_elements_taken */
    BEHIND_TAKE /* behind an element */
};

struct position {
    uint8_t phase;
    uint8_t level;    /* containers open on the way, that is pointer segments gone through */
    uint8_t found;    /* the container open at this level has shown the pointer's next segment */
    uint32_t objects; /* bit i: the container at level i is an object */
    uint64_t index;   /* where that container is an array: which member comes next */
};

struct segment {
    struct tumble_bytes name;
    uint64_t index; /* UINT64_MAX: cannot be an array position */
};

struct tw_elements {
    struct tumble_alloc alloc;
    bool each_top_level_value;
    unsigned segment_count;
    uint32_t digest; /* of the pointer, so that a state is not restored into another reader */
    struct tumble_bytes pointer;
    struct position position;
    struct segment segments[MAX_SEGMENTS];
    char text[]; /* the pointer, then the unescaped segments */
};

/* --- making one --- */

static uint64_t index_of(struct tumble_bytes name) {
    if (name.length == 0 || name.length > 18 || (name.length > 1 && name.data[0] == '0')) {
        return UINT64_MAX;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return UINT64_MAX;
        }
        value = value * 10 + (uint64_t)(name.data[i] - '0');
    }
    return value;
}

/* RFC 6901. out has room for the pointer's length. */
static enum tumble_code split_pointer(struct tw_elements *e, char *out, struct tumble_error *err) {
    struct tumble_bytes pointer = e->pointer;
    for (size_t i = 0; i < pointer.length;) {
        if (pointer.data[i] != '/') {
            return tw_fail_at(err, TUMBLE_EPATH, 0,
                              "\"%.*s\" is not a JSON Pointer: it should be empty or begin with '/'",
                              (int)pointer.length, pointer.data);
        }
        if (e->segment_count == MAX_SEGMENTS) {
            return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i, "a JSON Pointer of more than %d segments", MAX_SEGMENTS);
        }
        struct segment *segment = &e->segments[e->segment_count++];
        segment->name.data = out;
        for (i++; i < pointer.length && pointer.data[i] != '/'; i++) {
            char c = pointer.data[i];
            if (c == '~') {
                char escape = i + 1 < pointer.length ? pointer.data[i + 1] : '\0';
                if (escape != '0' && escape != '1') {
                    return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i,
                                      "JSON Pointer \"%.*s\": '~' is written ~0 and '/' in a key ~1",
                                      (int)pointer.length, pointer.data);
                }
                c = escape == '0' ? '~' : '/';
                i++;
            }
            *out++ = c;
        }
        segment->name.length = (size_t)(out - segment->name.data);
        segment->index = index_of(segment->name);
    }
    return TUMBLE_OK;
}

/* FNV-1a. */
static uint32_t digest_of(struct tumble_bytes pointer, bool each_top_level_value) {
    uint32_t digest = UINT32_C(2166136261) ^ each_top_level_value;
    for (size_t i = 0; i < pointer.length; i++) {
        digest = (digest ^ (unsigned char)pointer.data[i]) * UINT32_C(16777619);
    }
    return digest;
}

enum tumble_code tw_elements_new(struct tumble_bytes pointer, int each_top_level_value, struct tumble_alloc alloc,
                                 struct tw_elements **out, struct tumble_error *err) {
    *out = NULL;
    if (each_top_level_value) {
        pointer.length = 0;
    }
    if (pointer.length > TW_LIMIT_PATH_BYTES) {
        return tw_fail(err, TUMBLE_EPATH, "a JSON Pointer of %zu bytes: at most %d are allowed", pointer.length,
                       TW_LIMIT_PATH_BYTES);
    }
    alloc = tw_alloc_or_default(alloc);
    struct tw_elements *e = tw_alloc_zero(&alloc, sizeof *e + 2 * pointer.length);
    if (!e) {
        return tw_no_memory(err);
    }
    e->alloc = alloc;
    e->each_top_level_value = each_top_level_value != 0;
    if (pointer.length > 0) {
        memcpy(e->text, pointer.data, pointer.length);
    }
    e->pointer.data = e->text;
    e->pointer.length = pointer.length;
    e->digest = digest_of(pointer, e->each_top_level_value);
    enum tumble_code code = split_pointer(e, e->text + pointer.length, err);
    if (code != TUMBLE_OK) {
        tw_elements_destroy(e);
        return code;
    }
    *out = e;
    return TUMBLE_OK;
}

void tw_elements_destroy(struct tw_elements *elements) {
    if (elements) {
        struct tumble_alloc alloc = elements->alloc;
        tw_free(&alloc, elements);
    }
}

/* --- reading --- */

/* One call of tw_elements_next. at is where it stands; everything in front of it is in e->position. */
struct step {
    struct tw_elements *e;
    struct tw_lex lex;
    const char *at;
    struct tumble_error *err;
};

static enum tumble_code refuse(struct step *s, const char *expected) {
    tw_lex_note(&s->lex, s->at, TUMBLE_EJSON, expected);
    return tw_lex_report(&s->lex, s->err);
}

static enum tumble_code no_array(struct step *s, const char *at, const char *why) {
    const struct tw_elements *e = s->e;
    return tw_fail_at(s->err, TUMBLE_ECAPTURE, at - s->lex.begin,
                      "the records should be the elements of the array at \"%.*s\", but %s", (int)e->pointer.length,
                      e->pointer.data, why);
}

static inline bool in_object(const struct tw_elements *e) { return e->position.objects >> (e->position.level - 1) & 1; }

/* The value that the first level segments of the pointer lead to is complete. */
static void leave(struct tw_elements *e) {
    struct position *position = &e->position;
    if (position->level == 0) {
        position->phase = BETWEEN;
    } else {
        position->phase = BEHIND;
        position->found = 1;
        position->index = e->segments[position->level - 1].index; /* what it was when the way led through here */
    }
}

static enum tumble_code top_level(struct step *s, bool *stop) {
    static const char bom[3] = {'\xef', '\xbb', '\xbf'};
    struct tw_elements *e = s->e;
    size_t left = (size_t)(s->lex.end - s->at);
    if (left == 0 && s->lex.end_of_input) {
        *stop = true;
        return TUMBLE_OK;
    }
    if (left == 0) {
        return refuse(s, "a value or the end of the input");
    }
    size_t same = 0;
    while (same < sizeof bom && same < left && s->at[same] == bom[same]) {
        same++;
    }
    if (same == sizeof bom) {
        return tw_fail_at(s->err, TUMBLE_ECAPTURE, s->at - s->lex.begin,
                          "a UTF-8 byte order mark in front of the JSON: take its three bytes away (tail -c +4)");
    }
    if (same > 0 && same == left) {
        tw_lex_note(&s->lex, s->lex.end, TUMBLE_EJSON, "a value");
        return tw_lex_report(&s->lex, s->err);
    }
    e->position.phase = e->each_top_level_value ? ELEMENT : VALUE;
    return TUMBLE_OK;
}

static const char *kind_of(char c) {
    return c == '{'               ? "an object"
           : c == '"'             ? "a string"
           : c == 't' || c == 'f' ? "a boolean"
           : c == 'n'             ? "null"
           : c == '['             ? "an array"
                                  : "a number";
}

/* A value on the way: it has to be the container that the pointer's next segment goes into. */
static enum tumble_code enter(struct step *s) {
    struct tw_elements *e = s->e;
    struct position *position = &e->position;
    if (s->at == s->lex.end) {
        return refuse(s, "a value");
    }
    bool last = position->level == e->segment_count;
    bool right = *s->at == '[' ? last || e->segments[position->level].index != UINT64_MAX : *s->at == '{' && !last;
    if (!right) {
        struct tumble_value value; /* malformed JSON is told first, and an array or object must not be parsed whole */
        if (*s->at != '{' && *s->at != '[' && !tw_lex_value(&s->lex, s->at, position->level, &value)) {
            return tw_lex_report(&s->lex, s->err);
        }
        char why[64];
        const char *wanted = last ? "array" : "container";
        snprintf(why, sizeof why, "what stands %s is %s, not the %s", last ? "there" : "on the way", kind_of(*s->at),
                 wanted);
        return no_array(s, s->at, why);
    }
    if (last) {
        position->phase = FIRST_TAKE;
    } else {
        uint32_t bit = UINT32_C(1) << position->level;
        position->objects = *s->at == '{' ? position->objects | bit : position->objects & ~bit;
        position->level++;
        position->found = 0;
        position->index = 0;
        position->phase = FIRST;
    }
    s->at++;
    return TUMBLE_OK;
}

/* The closing bracket of a container on the way. */
static enum tumble_code close_container(struct step *s) {
    struct position *position = &s->e->position;
    if (!position->found) {
        return no_array(s, s->at, "this value ends without it");
    }
    position->level--;
    leave(s->e);
    s->at++;
    return TUMBLE_OK;
}

/* A member of a container on the way: either the pointer goes through it, or it is read whole and dropped. */
static enum tumble_code member(struct step *s) {
    struct tw_elements *e = s->e;
    struct position *position = &e->position;
    const struct segment *segment = &e->segments[position->level - 1];
    const char *at = s->at;
    bool ours;
    if (in_object(e)) {
        struct tumble_value key;
        const char *text;
        uint32_t length;
        uint8_t flags;
        at = tw_lex_key(&s->lex, at, position->phase == FIRST ? TW_LEX_KEY_OR_CLOSE : TW_LEX_KEY, &text, &length,
                        &flags);
        if (!at) {
            return tw_lex_report(&s->lex, s->err);
        }
        tw_lex_describe(&key, text, text + length, TUMBLE_TYPE_STRING, flags);
        ours = tw_json_string_equal(&key, segment->name);
    } else if (at == s->lex.end) {
        return refuse(s, position->phase == FIRST ? "a value or ']'" : "a value"); /* it may yet be the bracket */
    } else {
        ours = position->index == segment->index;
    }
    if (ours && position->found) {
        return no_array(s, s->at, "its key occurs twice: take one of the two away");
    }
    if (ours) {
        s->at = at;
        position->phase = VALUE;
        return TUMBLE_OK;
    }
    struct tumble_value ignored;
    at = tw_lex_value(&s->lex, at, position->level, &ignored);
    if (!at) {
        return tw_lex_report(&s->lex, s->err);
    }
    s->at = at;
    position->phase = BEHIND;
    return TUMBLE_OK;
}

static enum tumble_code on_the_way(struct step *s) {
    struct position *position = &s->e->position;
    bool object = in_object(s->e);
    char closing = object ? '}' : ']';
    if (position->phase == BEHIND) {
        if (s->at < s->lex.end && *s->at == ',') {
            s->at++;
            position->index++;
            position->phase = NEXT;
            return TUMBLE_OK;
        }
        if (s->at < s->lex.end && *s->at == closing) {
            return close_container(s);
        }
        return refuse(s, object ? TW_LEX_COMMA_OR_BRACE : TW_LEX_COMMA_OR_SQUARE);
    }
    if (position->phase == FIRST && s->at < s->lex.end && *s->at == closing) {
        return close_container(s);
    }
    return member(s);
}

static enum tumble_code in_the_array(struct step *s) {
    struct position *position = &s->e->position;
    char c = s->at < s->lex.end ? *s->at : '\0';
    bool between = position->phase == BEHIND_TAKE;
    if (c == ']' && position->phase != NEXT_TAKE) {
        s->at++;
        leave(s->e);
    } else if (between && c == ',') {
        s->at++;
        position->phase = NEXT_TAKE;
    } else if (between) {
        return refuse(s, TW_LEX_COMMA_OR_SQUARE);
    } else if (s->at == s->lex.end || c == ']' || c == ',') {
        return refuse(s, position->phase == FIRST_TAKE ? "a value or ']'" : "a value");
    } else {
        position->phase = ELEMENT;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_elements_next(struct tw_elements *elements, struct tumble_bytes bytes, int end_of_input,
                                  int *at_element, size_t *skipped, struct tumble_error *err) {
    if (TW_OFTEN(elements->position.phase == BEHIND_TAKE && bytes.length >= 2 && bytes.data[0] == ',' &&
                 (unsigned char)bytes.data[1] > ' ' && bytes.data[1] != ',' && bytes.data[1] != ']')) {
        elements->position.phase = ELEMENT; /* by way of NEXT_TAKE */
        *at_element = 1;
        *skipped = 1;
        return TUMBLE_OK;
    }
    struct step s = {.e = elements, .err = err};
    enum tumble_code code = TUMBLE_OK;
    bool stop = false;
    tw_lex_init(&s.lex, bytes, end_of_input);
    s.at = s.lex.begin;
    *at_element = 0;
    while (code == TUMBLE_OK && !stop) {
        s.at = tw_lex_space(s.at, s.lex.end);
        switch ((enum phase)elements->position.phase) {
        case BETWEEN: code = top_level(&s, &stop); break;
        case VALUE: code = enter(&s); break;
        case FIRST:
        case NEXT:
        case BEHIND: code = on_the_way(&s); break;
        case FIRST_TAKE:
        case NEXT_TAKE:
        case BEHIND_TAKE: code = in_the_array(&s); break;
        case ELEMENT:
            *at_element = 1;
            stop = true;
            break;
        }
    }
    *skipped = (size_t)(s.at - s.lex.begin);
    return code;
}

void tw_elements_taken(struct tw_elements *elements) {
    if (elements->position.phase == ELEMENT) {
        elements->position.phase = elements->each_top_level_value ? BETWEEN : BEHIND_TAKE;
    }
}

bool tw_elements_is_behind(const struct tw_elements *elements) { return elements->position.phase == BEHIND_TAKE; }

/* --- saving: version, phase, level, found, then little-endian objects (4), index (8), digest (4) --- */

enum { STATE_LENGTH = 20 };

static void put(char *out, uint64_t value, size_t width) {
    for (size_t i = 0; i < width; i++) {
        out[i] = (char)(value >> (8 * i));
    }
}

static uint64_t get(const char *from, size_t width) {
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) {
        value |= (uint64_t)(unsigned char)from[i] << (8 * i);
    }
    return value;
}

size_t tw_elements_save(const struct tw_elements *elements, char out[TW_ELEMENTS_STATE]) {
    const struct position *position = &elements->position;
    out[0] = STATE_VERSION;
    out[1] = (char)position->phase;
    out[2] = (char)position->level;
    out[3] = (char)position->found;
    put(out + 4, position->objects, 4);
    put(out + 8, position->index, 8);
    put(out + 16, elements->digest, 4);
    return STATE_LENGTH;
}

/* Is this a place where a reader with this pointer can stand? */
static bool possible(const struct tw_elements *e, const struct position *position) {
    if (position->level > e->segment_count || position->found > 1 || position->phase > BEHIND_TAKE) {
        return false;
    }
    switch ((enum phase)position->phase) {
    case BETWEEN: return position->level == 0;
    case VALUE: return !e->each_top_level_value;
    case FIRST:
    case NEXT:
    case BEHIND: return position->level > 0;
    case FIRST_TAKE:
    case NEXT_TAKE:
    case BEHIND_TAKE: return !e->each_top_level_value && position->level == e->segment_count;
    case ELEMENT: return position->level == e->segment_count;
    }
    return false;
}

bool tw_elements_restore(struct tw_elements *elements, struct tumble_bytes state) {
    if (state.length != STATE_LENGTH || state.data[0] != STATE_VERSION || get(state.data + 16, 4) != elements->digest) {
        return false;
    }
    struct position position = {.phase = (uint8_t)state.data[1],
                                .level = (uint8_t)state.data[2],
                                .found = (uint8_t)state.data[3],
                                .objects = (uint32_t)get(state.data + 4, 4),
                                .index = get(state.data + 8, 8)};
    if (!possible(elements, &position)) {
        return false;
    }
    elements->position = position;
    return true;
}
