#include "engine/spec_draft.h"

#include <stdio.h>

#include "engine/base/fail.h"
#include "engine/codec/json.h"

/* The options of an aggregate, as the table of its function says what they may be. */

enum { KEYS_MOST = 8 + TW_OPTIONS_MOST };

static size_t option_count(const struct tw_aggregate *function) {
    size_t count = 0;
    while (function->options && count < TW_OPTIONS_MOST && function->options[count].name) {
        count++;
    }
    return count;
}

/* ---- messages ---- */

/* "must be a whole number from 1 to 1000", "must be a number from 0 to 1, or a list of up to 32 of them, ascending" */
struct wanted {
    char text[128];
};

static struct wanted wanted_of(const struct tw_option *option) {
    struct wanted wanted;
    char list[56] = "";
    if (option->kind == TW_OPTION_NUMBERS) {
        snprintf(list, sizeof list, ", or a list of up to %u%s", option->most, option->ascending ? ", ascending" : "");
    }
    snprintf(wanted.text, sizeof wanted.text, "%s%s%.16s%s%.16s%s",
             option->kind == TW_OPTION_INTEGER ? "a whole number" : "a number", option->lowest ? " from " : "",
             option->lowest ? option->lowest : "", option->highest ? " to " : "",
             option->highest ? option->highest : "", list);
    return wanted;
}

static enum tumble_code refuse(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                               const struct tw_option *option, int64_t byte, const char *found,
                               struct tumble_bytes text) {
    struct wanted wanted = wanted_of(option);
    return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s.%s must be %s, not %s%.*s", from->place, option->name,
                      wanted.text, found, text.length < 24 ? (int)text.length : 24, text.length ? text.data : "");
}

/* ---- numbers ---- */

static bool within(const struct tw_option *option, const struct tw_decimal *number) {
    struct tw_decimal bound;
    if (option->lowest && (tw_decimal_parse(&bound, option->lowest, strlen(option->lowest), NULL) != TUMBLE_OK ||
                           tw_decimal_compare(number, &bound) < 0)) {
        return false;
    }
    return !option->highest || (tw_decimal_parse(&bound, option->highest, strlen(option->highest), NULL) == TUMBLE_OK &&
                                tw_decimal_compare(number, &bound) <= 0);
}

/* Numbers on their way into an option. */
struct taker {
    const struct tw_option *option;
    struct tw_decimal *numbers;
    uint32_t room;
    uint32_t count;
};

enum taken { TAKEN, NOT_A_NUMBER, OUT_OF_BOUNDS, NOT_ASCENDING, TOO_MANY };

static enum taken take_number(struct taker *taker, const struct tumble_value *value) {
    struct tw_decimal number;
    if (value->type != TUMBLE_TYPE_NUMBER) {
        return NOT_A_NUMBER;
    }
    if (taker->count == taker->room) {
        return TOO_MANY;
    }
    if (tw_decimal_parse(&number, value->text, value->length, NULL) != TUMBLE_OK || !within(taker->option, &number) ||
        (taker->option->kind == TW_OPTION_INTEGER && number.exponent < 0)) {
        return OUT_OF_BOUNDS;
    }
    if (taker->count && taker->option->ascending &&
        tw_decimal_compare(&number, &taker->numbers[taker->count - 1]) <= 0) {
        return NOT_ASCENDING;
    }
    taker->numbers[taker->count++] = number;
    return TAKEN;
}

static enum taken take_value(struct taker *taker, const struct tumble_value *value, struct tumble_value *culprit) {
    struct tw_json_walk walk;
    struct tumble_value key;
    *culprit = *value;
    if (value->type != TUMBLE_TYPE_ARRAY || taker->option->kind != TW_OPTION_NUMBERS) {
        return take_number(taker, value);
    }
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &key, culprit)) {
        enum taken taken = take_number(taker, culprit);
        if (taken != TAKEN) {
            return taken;
        }
    }
    return TAKEN;
}

static bool taker_init(struct taker *taker, struct tw_arena *arena, const struct tw_option *option) {
    taker->option = option;
    taker->room = option->kind == TW_OPTION_NUMBERS ? option->most : 1;
    taker->count = 0;
    taker->numbers = tw_arena_take(arena, (size_t)taker->room * sizeof *taker->numbers);
    return taker->numbers != NULL;
}

bool tw_spec_fallback(struct tw_arena *arena, const struct tw_option *option, struct tw_param *out) {
    struct taker taker;
    struct tumble_value value;
    struct tumble_value culprit;
    enum tumble_type type = option->fallback[0] == '[' ? TUMBLE_TYPE_ARRAY : TUMBLE_TYPE_NUMBER;
    if (!taker_init(&taker, arena, option) ||
        tw_json_document(tumble_bytes_of(option->fallback), type, &value, NULL) != TUMBLE_OK ||
        take_value(&taker, &value, &culprit) != TAKEN) {
        return false;
    }
    *out = (struct tw_param){taker.numbers, taker.count};
    return true;
}

static struct tumble_bytes text_of(const struct tumble_value *value) {
    struct tumble_bytes text = {value->text, value->type == TUMBLE_TYPE_NUMBER ? value->length : 0};
    return text;
}

static enum tumble_code take_member(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                    const struct tw_draft_member *member, struct taker *taker) {
    struct tumble_value value = member->value;
    struct tumble_value culprit = value;
    enum taken taken;
    if (!member->text.data) {
        taken = take_value(taker, &value, &culprit);
    } else if (tw_json_document(member->text, TUMBLE_TYPE_NUMBER, &value, NULL) == TUMBLE_OK) {
        taken = take_value(taker, &value, &culprit);
    } else {
        return refuse(draft, from, taker->option, -1, "", member->text);
    }
    int64_t byte = member->text.data || !culprit.text ? member->byte : culprit.text - draft->json.data;
    switch (taken) {
    case TAKEN: return TUMBLE_OK;
    case NOT_A_NUMBER:
        return refuse(draft, from, taker->option, byte, tw_json_type_name(culprit.type),
                      (struct tumble_bytes){NULL, 0});
    case OUT_OF_BOUNDS: return refuse(draft, from, taker->option, byte, "", text_of(&culprit));
    case NOT_ASCENDING:
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte,
                          "%s.%s must ascend: each number above the one before, which %.*s is not", from->place,
                          taker->option->name, culprit.length < 24 ? (int)culprit.length : 24, culprit.text);
    case TOO_MANY: break;
    }
    if (taker->option->kind != TW_OPTION_NUMBERS) {
        return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s.%s is given twice: keep one of them", from->place,
                          taker->option->name);
    }
    return tw_fail_at(draft->err, TUMBLE_ESPEC, byte, "%s.%s has more than the %u numbers that are allowed",
                      from->place, taker->option->name, taker->option->most);
}

static enum tumble_code make_option(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                    const struct tw_option *option, struct tw_param *out) {
    struct taker taker;
    bool given = false;
    int64_t byte = from->byte;
    if (!taker_init(&taker, draft->arena, option)) {
        return tw_no_memory(draft->err);
    }
    for (size_t i = 0; i < from->member_count; i++) {
        if (tumble_bytes_equal(from->members[i].name, tumble_bytes_of(option->name))) {
            given = true;
            byte = from->members[i].byte;
            TW_TRY(take_member(draft, from, &from->members[i], &taker));
        }
    }
    if (given && taker.count == 0) {
        return refuse(draft, from, option, byte, "an empty list", (struct tumble_bytes){NULL, 0});
    }
    if (given) {
        *out = (struct tw_param){taker.numbers, taker.count};
        return TUMBLE_OK;
    }
    if (!option->fallback) {
        struct wanted wanted = wanted_of(option);
        return tw_fail_at(draft->err, TUMBLE_ESPEC, from->byte, "%s.%s is missing: %s%s%s%s", from->place, option->name,
                          wanted.text, from->byte < 0 ? ", behind the field as " : "",
                          from->byte < 0 ? option->name : "", from->byte < 0 ? "=…" : "");
    }
    return tw_spec_fallback(draft->arena, option, out) ? TUMBLE_OK : tw_no_memory(draft->err);
}

/* ---- keys ---- */

const char *tw_spec_nearest_key(struct tumble_bytes word, const char *const *keys, size_t count) {
    static const struct {
        const char *word;
        const char *key;
    } synonyms[] = {
        {"as", "name"},
        {"alias", "name"},
        {"column", "field"},
        {"path", "field"},
        {"of", "field"},
        {"fn", "function"},
        {"agg", "function"},
        {"op", "function"},
        {"aggregate", "function"},
        {"filter", "where"},
        {"percentile", "q"},
        {"percentiles", "q"},
        {"quantile", "q"},
        {"quantiles", "q"},
        {"p", "q"},
        {"accuracy", "relative_error"},
        {"bins", "bounds"},
        {"buckets", "bounds"},
        {"edges", "bounds"},
        {"limit", "k"},
        {"n", "k"},
        {"limit", "cap"},
        {"n", "cap"},
        {"k", "cap"},
        {"order_by", "by"},
        {"weight_by", "weight"},
        {"by", "weight"},
    };
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (tumble_bytes_equal(word, tumble_bytes_of(synonyms[i].word)) &&
            tw_name_find(tumble_bytes_of(synonyms[i].key), keys, count) >= 0) {
            return synonyms[i].key;
        }
    }
    return tw_name_nearest(word, keys, count);
}

static enum tumble_code check_keys(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                   const struct tw_aggregate *function) {
    const char *keys[KEYS_MOST] = {"name", "function", "field", "type", "where"};
    size_t fixed = 5;
    size_t count = fixed;
    if (function->second) {
        keys[count++] = function->second;
    }
    for (size_t i = 0; i < option_count(function); i++) {
        keys[count++] = function->options[i].name;
    }
    for (size_t i = 0; i < from->member_count; i++) {
        const struct tw_draft_member *member = &from->members[i];
        if (tw_name_find(member->name, keys + fixed, count - fixed) < 0) {
            const char *nearest = tw_spec_nearest_key(member->name, keys, count);
            return tw_fail_at(draft->err, TUMBLE_ESPEC, member->byte, "unknown key %s.%.*s%s%s%s", from->place,
                              tw_shown(member->name), member->name.data, nearest ? ": did you mean \"" : "",
                              nearest ? nearest : "", nearest ? "\"?" : "");
        }
        for (size_t j = 0; j < i && !member->text.data; j++) {
            if (tumble_bytes_equal(member->name, from->members[j].name)) {
                return tw_fail_at(draft->err, TUMBLE_ESPEC, member->byte, "%s.%.*s is given twice: keep one of them",
                                  from->place, tw_shown(member->name), member->name.data);
            }
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_spec_make_options(struct tw_draft *draft, const struct tw_draft_aggregate *from,
                                      struct tw_spec_aggregate *out) {
    const struct tw_aggregate *function = out->function;
    TW_TRY(check_keys(draft, from, function));
    for (size_t i = 0; i < option_count(function); i++) {
        TW_TRY(make_option(draft, from, &function->options[i], &out->params.options[i]));
    }
    if (!function->prepare) {
        return TUMBLE_OK;
    }
    enum tumble_code code = function->prepare(&out->params, draft->err);
    if (code != TUMBLE_OK && draft->err) {
        tw_error_prefix(draft->err, "%s", from->place);
        draft->err->byte = from->byte;
    }
    return code;
}
