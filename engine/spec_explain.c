#include "engine/spec_draft.h"

#include "engine/base/fail.h"

/* The columns of a spec's rows, in order, each with a sentence for people (tumble check). */

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

static const char *explain_aggregate(struct tw_draft *draft, const struct tw_spec_aggregate *aggregate) {
    if (aggregate->field < 0) {
        return tw_draft_print(draft, "%s of records", aggregate->function->name);
    }
    return tw_draft_print(draft, aggregate->function->explanation, draft->spec->fields[aggregate->field].path.data);
}

enum tumble_code tw_spec_explain(struct tw_draft *draft) {
    static const struct tumble_column before[] = {
        {"window_start", "start of the window, UTC", TUMBLE_COLUMN_WINDOW, 0},
        {"window_end", "end of the window, UTC, not part of it", TUMBLE_COLUMN_WINDOW, 0},
        {"shard_id", "shard the records came through", TUMBLE_COLUMN_WINDOW, 0},
        {"fragment", "sequence number of the first record: a window has several fragments if it ended early",
         TUMBLE_COLUMN_WINDOW, 0},
        {"last_sequence", "sequence number of the last record", TUMBLE_COLUMN_WINDOW, 0}};
    static const struct tumble_column records = {"records", "count of records in the group", TUMBLE_COLUMN_RECORDS,
                                                 (uint32_t)sizeof(uint64_t)};
    struct tumble_spec *spec = draft->spec;
    size_t fixed = sizeof before / sizeof *before;
    size_t count = fixed + spec->group_count + spec->aggregate_count + 1;
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
    }
    for (size_t i = 0; i < spec->aggregate_count; i++, column++) {
        column->name = spec->aggregates[i].name;
        column->explanation = explain_aggregate(draft, &spec->aggregates[i]);
        column->kind = TUMBLE_COLUMN_AGGREGATE;
        column->state_bytes = spec->aggregates[i].function->state_size;
    }
    *column = records;
    for (size_t i = 0; i < count; i++) {
        if (!spec->columns[i].explanation) {
            return tw_no_memory(draft->err);
        }
    }
    spec->column_count = count;
    return TUMBLE_OK;
}
