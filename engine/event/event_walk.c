#include "engine/event/event_walk.h"

#include "engine/base/fail.h"
#include "engine/codec/json_scan.h"

enum {
    OPEN,
    FIRST_MEMBER,
    MEMBER,
    RECORDS_KEY,
    FIRST_RECORD,
    RECORD = TW_EVENT_AT_RECORD,
    BEHIND_RECORD,
    BEHIND_MEMBER,
    CLOSED,
    RECORDS
};
_Static_assert((int)BEHIND_RECORD == (int)TW_EVENT_BEHIND_RECORD, "the same stages");

void tw_event_walk_see(struct tw_event_walk *walk, struct tumble_bytes bytes, bool is_last) {
    walk->before += walk->at - walk->begin;
    walk->begin = walk->at = bytes.length ? bytes.data : "";
    walk->end = walk->begin + bytes.length;
    walk->is_last = is_last;
}

static int64_t place(const struct tw_event_walk *walk, const char *at) { return walk->before + (at - walk->begin); }

enum tumble_code tw_event_walk_not_json(struct tw_event_walk *walk, const char *expected) {
    return tw_fail_at(walk->err, TUMBLE_EJSON, place(walk, walk->at),
                      walk->at == walk->end ? "the event ends where %s must stand" : "expected %s", expected);
}

static enum tumble_code no_event(struct tw_event_walk *walk, const char *at, const char *why) {
    return tw_fail_at(walk->err, TUMBLE_EEVENT, place(walk, at), "%s: %s", walk->no_event, why);
}

static enum tumble_code too_long(struct tw_event_walk *walk, const char *from) {
    return tw_fail_at(walk->err, TUMBLE_ELIMIT, place(walk, from), "a record or a member of more than %zu bytes",
                      walk->element_max);
}

enum tumble_code tw_event_walk_failed(struct tw_event_walk *walk, enum tumble_code code) {
    if (code == TUMBLE_EMORE && (size_t)(walk->end - walk->at) > walk->element_max) {
        return too_long(walk, walk->at);
    }
    if (walk->err && walk->err->byte >= 0) {
        walk->err->byte += place(walk, walk->at);
    }
    return code;
}

/* A value at at that ends in front of end. */
static enum tumble_code value(struct tw_event_walk *walk, const char *end, struct tumble_value *out) {
    struct tumble_bytes rest = {walk->at, (size_t)(end - walk->at)};
    size_t consumed;
    enum tumble_code code = tw_json_value(rest, walk->is_last && end == walk->end, out, &consumed, walk->err);
    if (code != TUMBLE_OK) {
        if (walk->err && walk->err->byte >= 0) {
            walk->err->byte += place(walk, walk->at);
        }
        return code;
    }
    walk->at += consumed;
    return TUMBLE_OK;
}

/* A key, and its value unless that is the records'. EMORE leaves at anywhere. */
static enum tumble_code read_member(struct tw_event_walk *walk, const char *end, enum tw_event_found *found) {
    if (walk->at == walk->end || *walk->at != '"') {
        return tw_event_walk_not_json(walk, "the name of a member");
    }
    TW_TRY(value(walk, end, &walk->key));
    walk->at = tw_lex_space(walk->at, end);
    if (walk->at == end && (end < walk->end || !walk->is_last)) {
        return TUMBLE_EMORE;
    }
    if (walk->at == end || *walk->at != ':') {
        return tw_event_walk_not_json(walk, "a colon");
    }
    walk->at++;
    *found = TW_EVENT_RECORDS;
    if (!tw_json_string_equal(&walk->key, tumble_bytes_of("Records"))) {
        walk->at = tw_lex_space(walk->at, end);
        *found = TW_EVENT_MEMBER;
        TW_TRY(value(walk, end, &walk->value));
    }
    return TUMBLE_OK;
}

static const char *element_end(const struct tw_event_walk *walk) {
    return (size_t)(walk->end - walk->at) > walk->element_max ? walk->at + walk->element_max : walk->end;
}

static enum tumble_code member(struct tw_event_walk *walk, enum tw_event_found *found) {
    const char *const from = walk->at, *const end = element_end(walk);
    enum tumble_code code = read_member(walk, end, found);
    if (code == TUMBLE_EMORE) {
        walk->at = from;
        return end < walk->end ? too_long(walk, from) : TUMBLE_EMORE;
    }
    walk->stage = *found == TW_EVENT_RECORDS ? RECORDS_KEY : BEHIND_MEMBER;
    return code;
}

static enum tumble_code no_array(struct tw_event_walk *walk) {
    struct tumble_value other; /* malformed JSON is told first */
    const char *const from = walk->at, *const end = element_end(walk);
    enum tumble_code code = value(walk, end, &other);
    walk->at = from;
    if (code == TUMBLE_EMORE && end < walk->end) {
        return too_long(walk, from);
    }
    return code == TUMBLE_OK ? no_event(walk, from, "Records is no array") : code;
}

static bool take(struct tw_event_walk *walk, char byte) {
    if (walk->at == walk->end || *walk->at != byte) {
        return false;
    }
    walk->at++;
    return true;
}

enum tumble_code tw_event_walk(struct tw_event_walk *walk, enum tw_event_found *found) {
    for (;;) {
        if (walk->stage == CLOSED && walk->in_a_row) {
            *found = TW_EVENT_OVER;
            return TUMBLE_OK;
        }
        walk->at = tw_lex_space(walk->at, walk->end);
        if (walk->at == walk->end && !walk->is_last) {
            return TUMBLE_EMORE;
        }
        switch (walk->stage) {
        case OPEN:
            if (!take(walk, '{')) {
                return walk->at == walk->end ? tw_event_walk_not_json(walk, "an object")
                                             : no_event(walk, walk->at, "it is no object with Records");
            }
            walk->stage = FIRST_MEMBER;
            break;
        case FIRST_MEMBER:
            if (take(walk, '}')) {
                walk->stage = CLOSED;
                break;
            }
            walk->stage = MEMBER;
            break;
        case MEMBER:
            TW_TRY(member(walk, found));
            if (walk->stage == BEHIND_MEMBER) {
                return TUMBLE_OK;
            }
            break;
        case RECORDS_KEY: /* where its value begins */
            walk->stage = RECORDS;
            *found = TW_EVENT_RECORDS;
            return TUMBLE_OK;
        case RECORDS:
            if (!take(walk, '[')) {
                return no_array(walk);
            }
            walk->stage = FIRST_RECORD;
            break;
        case FIRST_RECORD: walk->stage = take(walk, ']') ? BEHIND_MEMBER : RECORD; break;
        case RECORD: *found = TW_EVENT_RECORD; return TUMBLE_OK;
        case BEHIND_RECORD:
            if (take(walk, ',')) {
                walk->stage = RECORD;
            } else if (take(walk, ']')) {
                walk->stage = BEHIND_MEMBER;
            } else {
                return tw_event_walk_not_json(walk, "a comma or the end of Records");
            }
            break;
        case BEHIND_MEMBER:
            if (take(walk, ',')) {
                walk->stage = MEMBER;
            } else if (take(walk, '}')) {
                walk->stage = CLOSED;
            } else {
                return tw_event_walk_not_json(walk, "a comma or the end of the event");
            }
            break;
        default:
            if (walk->at != walk->end) {
                return tw_event_walk_not_json(walk, "nothing behind the event");
            }
            *found = TW_EVENT_OVER;
            return TUMBLE_OK;
        }
    }
}

size_t tw_event_skip(struct tw_event_skip *skip, struct tumble_bytes bytes, bool *may_end) {
    const char *const begin = bytes.data, *const end = bytes.length ? begin + bytes.length : begin;
    *may_end = false;
    for (const char *at = begin; at < end; at++) {
        if (skip->escaped) {
            skip->escaped = false;
        } else if (skip->in_string) {
            at = tw_scan_string(at, end);
            if (at == end) {
                break;
            }
            skip->escaped = *at == '\\';
            skip->in_string = *at != '"';
        } else {
            const bool opens = *at == '{' || *at == '[', closes = *at == '}' || *at == ']';
            skip->in_string = *at == '"';
            skip->depth += opens;
            skip->depth -= closes && skip->depth;
            if (skip->depth == 0 && (closes || *at == ',' || *at == ':')) {
                *may_end = true;
                return (size_t)(at - begin) + 1;
            }
        }
    }
    return bytes.length;
}
