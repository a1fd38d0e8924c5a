#include "engine/spec_draft.h"

#include "engine/base/fail.h"
#include "engine/base/limits.h"

/* The columns of a spec's rows, in order, each with a sentence for people (tumble check). */

enum { BOUND_BYTES = 256, WHERE_SHOWN = 160 };
static const char exact[] = "exact";

static const char *explain_group(struct tw_draft *draft, const struct tw_spec_field *field) {
    switch (field->source) {
    case TW_FIELD_PARTITION_KEY: return "group: the record's partition key";
    case TW_FIELD_SHARD_ID: return "group: the record's shard";
    case TW_FIELD_SEQUENCE: return "group: the record's sequence number";
    case TW_FIELD_ARRIVAL: return "group: the record's arrival time, milliseconds since 1970";
    case TW_FIELD_PAYLOAD: break;
    }
    return tw_draft_print(draft, "group: the value of %.*s", (int)field->path.length, field->path.data);
}

/* "of a, where {…}", or, where the pattern is long, that there is one. */
static const char *explain_where(struct tw_draft *draft, const char *before, const struct tw_filter_pattern *where) {
    struct tw_buf text;
    tw_buf_init(&text, draft->spec->alloc, TW_LIMIT_SPEC_BYTES);
    const char *explanation = NULL;
    if (tw_filter_pattern_canonical(where, &text) == TUMBLE_OK) {
        explanation = text.length <= WHERE_SHOWN
                          ? tw_draft_print(draft, "%s, where %.*s", before, (int)text.length, text.data)
                          : tw_draft_print(draft, "%s, of the records that match its where", before);
    }
    tw_buf_clean_up(&text);
    return explanation;
}

static const char *explain_aggregate(struct tw_draft *draft, const struct tw_spec_aggregate *aggregate) {
    const struct tumble_spec *spec = draft->spec;
    const struct tw_aggregate *function = aggregate->function;
    const char *second = aggregate->second_field < 0 ? "" : spec->fields[aggregate->second_field].path.data;
    const char *text = aggregate->field < 0 ? tw_draft_print(draft, "%s of records", function->name)
                                            : tw_draft_print(draft, function->explanation,
                                                             spec->fields[aggregate->field].path.data, second);
    const char *named = strstr(function->explanation, "%s");
    if (text && *second && (aggregate->field < 0 || !named || !strstr(named + 2, "%s"))) {
        text = tw_draft_print(draft, "%s, %s %s", text, function->second, second);
    }
    return text && aggregate->where ? explain_where(draft, text, aggregate->where) : text;
}

static const char *explain_bound(struct tw_draft *draft, const struct tw_spec_aggregate *aggregate, uint32_t column) {
    const struct tw_aggregate *function = aggregate->function;
    if (!function->describe_bound) {
        return function->bound ? function->bound : exact;
    }
    struct tw_buf text;
    tw_buf_init(&text, draft->spec->alloc, BOUND_BYTES);
    const char *bound = NULL;
    if (function->describe_bound(&aggregate->params, column, &text) == TUMBLE_OK) {
        bound = text.length ? tw_draft_print(draft, "%.*s", (int)text.length, text.data) : exact;
    }
    tw_buf_clean_up(&text);
    return bound;
}

/* An empty state's bytes, counted. */
static enum tumble_code measure_empty(const struct tumble_spec *spec, const struct tw_spec_aggregate *aggregate,
                                      uint64_t *bytes) {
    const struct tw_aggregate *function = aggregate->function;
    struct tw_buf encoded;
    void *state = tw_alloc(&spec->alloc, function->state_size);
    if (!state) {
        return TUMBLE_ENOMEM;
    }
    tw_buf_init(&encoded, spec->alloc, SIZE_MAX / 4);
    function->init(state, &aggregate->params);
    enum tumble_code code = function->encode(state, &aggregate->params, &encoded);
    *bytes = encoded.length;
    tw_buf_clean_up(&encoded);
    tw_free(&spec->alloc, state);
    return code == TUMBLE_ENOMEM ? code : TUMBLE_OK; /* an embedder's own may have nothing to say yet */
}

static enum tumble_code put_stored(const struct tumble_spec *spec, const struct tw_spec_aggregate *aggregate,
                                   struct tumble_column *column) {
    column->stored_most = aggregate->function->stored_most(&aggregate->params);
    column->stored_rule = aggregate->function->stored_rule;
    return measure_empty(spec, aggregate, &column->stored_empty);
}

/* NULL: no memory. */
static struct tumble_column *put_aggregates(struct tw_draft *draft, struct tumble_column *column) {
    const struct tumble_spec *spec = draft->spec;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        const struct tw_spec_aggregate *aggregate = &spec->aggregates[i];
        const char *explanation = explain_aggregate(draft, aggregate);
        for (uint32_t part = 0; part < aggregate->column_count; part++, column++) {
            column->name = aggregate->columns[part];
            column->explanation = explanation;
            column->kind = TUMBLE_COLUMN_AGGREGATE;
            column->state_bytes = part == 0 ? aggregate->function->state_size : 0;
            column->bound = explain_bound(draft, aggregate, part);
            if (part == 0 && put_stored(spec, aggregate, column) != TUMBLE_OK) {
                return NULL;
            }
            column->additive = aggregate->function->additive;
        }
    }
    return column;
}

enum tumble_code tw_spec_explain(struct tw_draft *draft) {
    static const struct tumble_column before[] = {
        {"window_start", "start of the window, UTC", TUMBLE_COLUMN_WINDOW, 0, exact, 0, 0, NULL, 0},
        {"window_end", "end of the window, UTC, not part of it", TUMBLE_COLUMN_WINDOW, 0, exact, 0, 0, NULL, 0},
        {"shard_id", "shard the records came through", TUMBLE_COLUMN_WINDOW, 0, exact, 0, 0, NULL, 0},
        {"fragment", "sequence number of the first record: a window has several fragments if it ended early",
         TUMBLE_COLUMN_WINDOW, 0, exact, 0, 0, NULL, 0},
        {"last_sequence", "sequence number of the last record", TUMBLE_COLUMN_WINDOW, 0, exact, 0, 0, NULL, 0}};
    static const struct tumble_column partials = {
        "_partials", "state of the aggregates: rows merge by it", TUMBLE_COLUMN_PARTIALS, 0, exact, 0, 0, NULL, 0};
    static const struct tumble_column records = {"records",
                                                 "count of records in the group",
                                                 TUMBLE_COLUMN_RECORDS,
                                                 (uint32_t)sizeof(uint64_t),
                                                 exact,
                                                 1,
                                                 10,
                                                 "as a varint",
                                                 1};
    struct tumble_spec *spec = draft->spec;
    size_t fixed = sizeof before / sizeof *before;
    size_t count = fixed + spec->group_count + spec->partials + 1;
    for (size_t i = 0; i < spec->aggregate_count; i++) {
        count += spec->aggregates[i].column_count;
    }
    spec->columns = tw_draft_take(draft, count, sizeof *spec->columns);
    if (!spec->columns) {
        return tw_no_memory(draft->err);
    }
    struct tumble_column *column = spec->columns;
    memcpy(column, before, sizeof before);
    column += fixed;
    for (size_t i = 0; i < spec->group_count; i++, column++) {
        column->name = spec->groups[i].name;
        column->explanation = explain_group(draft, &spec->fields[spec->groups[i].field]);
        column->kind = TUMBLE_COLUMN_GROUP;
        column->bound = exact;
    }
    column = put_aggregates(draft, column);
    if (!column) {
        return tw_no_memory(draft->err);
    }
    if (spec->partials) {
        *column++ = partials;
    }
    *column = records;
    for (size_t i = 0; i < count; i++) {
        if (!spec->columns[i].explanation || !spec->columns[i].bound) {
            return tw_no_memory(draft->err);
        }
    }
    spec->column_count = count;
    return TUMBLE_OK;
}
