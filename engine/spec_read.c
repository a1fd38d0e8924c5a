#include "engine/spec_draft.h"

#include "engine/base/fail.h"
#include "engine/base/limits.h"
#include "engine/codec/json.h"

/* The keys of an object of the spec, as a table: what they are called and who reads them. */
typedef enum tumble_code read_fn(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                 void *into);

struct key {
    const char *name;
    read_fn *read;
    size_t offset; /* of what it fills, in the struct given to read_object */
};

enum { KEYS_MAX = 12 };

static int64_t byte_of(const struct tw_draft *draft, const struct tumble_value *value) {
    return value->text ? value->text - draft->json.data : -1;
}

static enum tumble_code wrong_type(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                   const char *wanted) {
    return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, value), "%s must be %s, not %s", place, wanted,
                      tw_json_type_name(value->type));
}

/* What happens to a key that is not in the table. */
typedef enum tumble_code other_fn(struct tw_draft *draft, struct tumble_bytes name, int64_t byte,
                                  const struct tumble_value *value, void *into);

/* What would be right, for a value of another type: {"field": "ts"}. */
static const char *shape_of(struct tw_draft *draft, const char *place, const struct tumble_value *value) {
    static const struct {
        const char *place;
        const char *before;
        const char *after;
        const char *otherwise;
        uint8_t type; /* the one that can stand between before and after */
    } shapes[] = {
        {"window", "an object such as {\"seconds\": ", "}", "an object such as {\"seconds\": 60}", TUMBLE_TYPE_NUMBER},
        {"timestamp", "an object such as {\"field\": ", "}", "an object such as {\"field\": \"ts\"}",
         TUMBLE_TYPE_STRING},
        {"group_by", "an array such as [", "]", "an array such as [\"eventType\"]", TUMBLE_TYPE_STRING},
        {"outputs", "an array such as [", "]", "an array such as [\"file:rows.ndjson\"]", TUMBLE_TYPE_STRING},
        {"aggregates", "an array such as [", "]", "an array such as [{\"name\": \"orders\", \"function\": \"count\"}]",
         TUMBLE_TYPE_OBJECT},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        if (strcmp(place, shapes[i].place) == 0) {
            const char *quote = value->type == TUMBLE_TYPE_STRING ? "\"" : "";
            return value->type == shapes[i].type && value->length <= 80
                       ? tw_draft_print(draft, "%s%s%.*s%s%s", shapes[i].before, quote, (int)value->length, value->text,
                                        quote, shapes[i].after)
                       : shapes[i].otherwise;
        }
    }
    if (value->type == TUMBLE_TYPE_STRING && strncmp(place, "aggregates[", 11) == 0) {
        return "an object such as {\"name\": \"orders\", \"function\": \"count\"}";
    }
    return NULL;
}

static enum tumble_code wrong_shape(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                    const char *wanted) {
    const char *shape = shape_of(draft, place, value);
    return wrong_type(draft, value, place, shape ? shape : wanted);
}

static enum tumble_code read_open_object(struct tw_draft *draft, const struct tumble_value *object, const char *place,
                                         const struct key *keys, size_t key_count, other_fn *other, void *into) {
    const char *names[KEYS_MAX];
    bool seen[KEYS_MAX] = {false};
    struct tw_json_walk walk;
    struct tumble_value name;
    struct tumble_value value;
    if (object->type != TUMBLE_TYPE_OBJECT) {
        return wrong_shape(draft, object, place, "an object");
    }
    for (size_t i = 0; i < key_count; i++) {
        names[i] = keys[i].name;
    }
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &name, &value)) {
        struct tumble_bytes text;
        if (!tw_json_string_take(&name, draft->arena, &text)) {
            return tw_no_memory(draft->err);
        }
        const char *dot = *place ? "." : "";
        int known = tw_name_find(text, names, key_count);
        if (known < 0 && other) {
            TW_TRY(other(draft, text, byte_of(draft, &name), &value, into));
            continue;
        }
        if (known < 0) {
            const char *nearest = tw_name_nearest(text, names, key_count);
            return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, &name), "unknown key %s%s%.*s%s%s%s", place, dot,
                              tw_shown(text), text.data, nearest ? ": did you mean \"" : "", nearest ? nearest : "",
                              nearest ? "\"?" : "");
        }
        if (seen[known]) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, &name),
                              "%s%s%s is given twice: keep one of them", place, dot, names[known]);
        }
        seen[known] = true;
        const char *inner = tw_draft_print(draft, "%s%s%s", place, dot, names[known]);
        if (!inner) {
            return tw_no_memory(draft->err);
        }
        TW_TRY(keys[known].read(draft, &value, inner, (char *)into + keys[known].offset));
    }
    return TUMBLE_OK;
}

static enum tumble_code read_object(struct tw_draft *draft, const struct tumble_value *object, const char *place,
                                    const struct key *keys, size_t key_count, void *into) {
    return read_open_object(draft, object, place, keys, key_count, NULL, into);
}

/* ---- values ---- */

static enum tumble_code read_text(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                  void *into) {
    struct tw_draft_text *text = into;
    if (value->type != TUMBLE_TYPE_STRING) {
        return wrong_type(draft, value, place, "a string");
    }
    if (!tw_json_string_take(value, draft->arena, &text->text)) {
        return tw_no_memory(draft->err);
    }
    text->place = place;
    text->byte = byte_of(draft, value);
    text->given = true;
    return TUMBLE_OK;
}

static enum tumble_code read_bytes(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                   void *into) {
    struct tw_draft_text text;
    TW_TRY(read_text(draft, value, place, &text));
    if (text.text.length == 0) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, text.byte, "%s is empty: leave the key out or name something",
                          place);
    }
    *(struct tumble_bytes *)into = text.text;
    return TUMBLE_OK;
}

static enum tumble_code read_seconds(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                     void *into) {
    int64_t seconds;
    if (value->type != TUMBLE_TYPE_NUMBER) {
        return wrong_type(draft, value, place, "a number of seconds");
    }
    if (!tw_json_integer(value, &seconds) || seconds < 1) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, value),
                          "%s must be a whole number of seconds from 1, not %.*s", place,
                          value->length < 40 ? (int)value->length : 40, value->text);
    }
    *(int64_t *)into = seconds;
    draft->window_byte = byte_of(draft, value);
    return TUMBLE_OK;
}

static enum tumble_code read_partials(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                      void *into) {
    if (value->type != TUMBLE_TYPE_TRUE && value->type != TUMBLE_TYPE_FALSE) {
        return wrong_type(draft, value, place, "true or false");
    }
    *(enum tw_partials *)into = value->type == TUMBLE_TYPE_TRUE ? TW_PARTIALS_ON : TW_PARTIALS_OFF;
    return TUMBLE_OK;
}

static enum tumble_code read_where(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                   void *into) {
    struct tw_draft_text *where = into;
    if (value->type != TUMBLE_TYPE_OBJECT) {
        return wrong_type(draft, value, place, "an object (a filter pattern)");
    }
    where->text.data = value->text;
    where->text.length = value->length;
    where->place = place;
    where->byte = byte_of(draft, value);
    where->given = true;
    return TUMBLE_OK;
}

/* ---- lists ---- */

static enum tumble_code list_size(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                  size_t most, size_t *count) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element;
    if (value->type != TUMBLE_TYPE_ARRAY) {
        return wrong_shape(draft, value, place, "an array");
    }
    *count = 0;
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &key, &element)) {
        ++*count;
    }
    if (*count > most) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, value),
                          "%s has %zu elements: at most %zu are allowed", place, *count, most);
    }
    return TUMBLE_OK;
}

static enum tumble_code read_window(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                    void *into) {
    static const struct key keys[] = {{"seconds", read_seconds, offsetof(struct tw_draft, window_seconds)}};
    TW_TRY(read_object(draft, value, place, keys, 1, into));
    if (draft->window_seconds == 0) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte_of(draft, value),
                          "window.seconds is missing: how long is a window?");
    }
    return TUMBLE_OK;
}

static enum tumble_code read_timestamp(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                       void *into) {
    static const struct key keys[] = {{"field", read_text, offsetof(struct tw_draft, timestamp_field)},
                                      {"format", read_text, offsetof(struct tw_draft, timestamp_format)}};
    return read_object(draft, value, place, keys, 2, into);
}

static enum tumble_code read_groups(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                    void *into) {
    static const struct key keys[] = {{"field", read_bytes, offsetof(struct tw_draft_group, path)},
                                      {"as", read_bytes, offsetof(struct tw_draft_group, name)}};
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element;
    (void)into;
    TW_TRY(list_size(draft, value, place, TW_LIMIT_GROUP_FIELDS, &draft->group_count));
    draft->groups = tw_draft_take(draft, draft->group_count, sizeof *draft->groups);
    if (!draft->groups) {
        return tw_no_memory(draft->err);
    }
    tw_json_walk_begin(&walk, value);
    for (size_t i = 0; i < draft->group_count && tw_json_walk_next(&walk, &key, &element); i++) {
        struct tw_draft_group *group = &draft->groups[i];
        group->byte = byte_of(draft, &element);
        group->place = tw_draft_print(draft, "%s[%zu]", place, i);
        if (!group->place) {
            return tw_no_memory(draft->err);
        }
        if (element.type == TUMBLE_TYPE_STRING) {
            TW_TRY(read_bytes(draft, &element, group->place, &group->path));
        } else if (element.type == TUMBLE_TYPE_OBJECT) {
            TW_TRY(read_object(draft, &element, group->place, keys, 2, group));
            if (group->path.length == 0) {
                return tw_fail_at(draft->err, TUMBLE_ESPEC, group->byte, "%s.field is missing", group->place);
            }
        } else {
            return wrong_type(draft, &element, group->place, "a field, or an object with field and as");
        }
    }
    return TUMBLE_OK;
}

/* Room for the keys that only the function knows. */
static enum tumble_code make_room(struct tw_draft *draft, const struct tumble_value *object,
                                  struct tw_draft_aggregate *aggregate) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value value;
    size_t count = 0;
    if (object->type == TUMBLE_TYPE_OBJECT) {
        tw_json_walk_begin(&walk, object);
        while (tw_json_walk_next(&walk, &key, &value)) {
            count++;
        }
    }
    aggregate->members = tw_draft_take(draft, count, sizeof *aggregate->members);
    return aggregate->members ? TUMBLE_OK : tw_no_memory(draft->err);
}

static enum tumble_code read_member(struct tw_draft *draft, struct tumble_bytes name, int64_t byte,
                                    const struct tumble_value *value, void *into) {
    struct tw_draft_aggregate *aggregate = into;
    (void)draft;
    struct tw_draft_member *member = &aggregate->members[aggregate->member_count++];
    member->name = name;
    member->value = *value;
    member->byte = byte;
    return TUMBLE_OK;
}

/* Without key; perhaps another one was meant to be it. */
static enum tumble_code missing_key(struct tw_draft *draft, const struct tw_draft_aggregate *aggregate,
                                    const char *key) {
    for (size_t i = 0; i < aggregate->member_count; i++) {
        struct tumble_bytes name = aggregate->members[i].name;
        if (tw_spec_nearest_key(name, &key, 1)) {
            return tw_fail_at(draft->err, TUMBLE_ESPEC, aggregate->members[i].byte,
                              "unknown key %s.%.*s: did you mean \"%s\"?", aggregate->place, tw_shown(name), name.data,
                              key);
        }
    }
    return tw_fail_at(draft->err, TUMBLE_ESPEC, aggregate->byte, "%s.%s is missing", aggregate->place, key);
}

static enum tumble_code read_aggregates(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                        void *into) {
    static const struct key keys[] = {{"name", read_bytes, offsetof(struct tw_draft_aggregate, name)},
                                      {"function", read_bytes, offsetof(struct tw_draft_aggregate, function)},
                                      {"field", read_bytes, offsetof(struct tw_draft_aggregate, field)},
                                      {"type", read_bytes, offsetof(struct tw_draft_aggregate, type)},
                                      {"where", read_where, offsetof(struct tw_draft_aggregate, where)}};
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element;
    (void)into;
    TW_TRY(list_size(draft, value, place, TW_LIMIT_AGGREGATES, &draft->aggregate_count));
    draft->aggregates = tw_draft_take(draft, draft->aggregate_count, sizeof *draft->aggregates);
    if (!draft->aggregates) {
        return tw_no_memory(draft->err);
    }
    tw_json_walk_begin(&walk, value);
    for (size_t i = 0; i < draft->aggregate_count && tw_json_walk_next(&walk, &key, &element); i++) {
        struct tw_draft_aggregate *aggregate = &draft->aggregates[i];
        aggregate->byte = byte_of(draft, &element);
        aggregate->place = tw_draft_print(draft, "%s[%zu]", place, i);
        if (!aggregate->place) {
            return tw_no_memory(draft->err);
        }
        TW_TRY(make_room(draft, &element, aggregate));
        TW_TRY(read_open_object(draft, &element, aggregate->place, keys, 5, read_member, aggregate));
        if (aggregate->name.length == 0 || aggregate->function.length == 0) {
            return missing_key(draft, aggregate, aggregate->function.length == 0 ? "function" : "name");
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code read_outputs(struct tw_draft *draft, const struct tumble_value *value, const char *place,
                                     void *into) {
    struct tw_json_walk walk;
    struct tumble_value key;
    struct tumble_value element;
    (void)into;
    TW_TRY(list_size(draft, value, place, TW_LIMIT_OUTPUTS, &draft->output_count));
    draft->outputs = tw_draft_take(draft, draft->output_count, sizeof *draft->outputs);
    if (!draft->outputs) {
        return tw_no_memory(draft->err);
    }
    tw_json_walk_begin(&walk, value);
    for (size_t i = 0; i < draft->output_count && tw_json_walk_next(&walk, &key, &element); i++) {
        const char *inner = tw_draft_print(draft, "%s[%zu]", place, i);
        if (!inner) {
            return tw_no_memory(draft->err);
        }
        TW_TRY(read_text(draft, &element, inner, &draft->outputs[i]));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_draft_read(struct tw_draft *draft) {
    static const struct key keys[] = {{"window", read_window, 0},
                                      {"timestamp", read_timestamp, 0},
                                      {"where", read_where, offsetof(struct tw_draft, where)},
                                      {"group_by", read_groups, 0},
                                      {"aggregates", read_aggregates, 0},
                                      {"outputs", read_outputs, 0},
                                      {"failures", read_text, offsetof(struct tw_draft, failures)},
                                      {"bad_records", read_text, offsetof(struct tw_draft, bad_records)},
                                      {"partials", read_partials, offsetof(struct tw_draft, partials)}};
    struct tumble_value root;
    if (draft->json.length == 0) {
        return TUMBLE_OK;
    }
    if (draft->json.length > TW_LIMIT_SPEC_BYTES) {
        return tw_fail(draft->err, TUMBLE_ESPEC, "the spec has %zu bytes: at most %d are allowed", draft->json.length,
                       TW_LIMIT_SPEC_BYTES);
    }
    TW_TRY(tw_json_document(draft->json, TUMBLE_TYPE_OBJECT, &root, draft->err));
    return read_object(draft, &root, "", keys, sizeof keys / sizeof *keys, draft);
}
