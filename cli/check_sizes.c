#include "cli/check_sizes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/terminal_text.h"

struct tw_group_bytes tw_group_bytes_of(const struct tumble_spec *spec) {
    struct tw_group_bytes bytes = {0, 0, 0};
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        bytes.memory += column->state_bytes;
        bytes.stored_empty += column->stored_empty;
        bytes.stored_most += column->stored_most;
    }
    return bytes;
}

void tw_explain_stored(const struct tumble_spec *spec) {
    char most[TW_NUMBER_TEXT];
    struct tw_group_bytes bytes = tw_group_bytes_of(spec);
    size_t widest = 0;
    printf("%-12s %" PRIu64 " bytes a new group, %s at most, and its key (1 to 3 for its length):\n", "stored",
           bytes.stored_empty, tw_number_text(bytes.stored_most, most));
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        size_t length = strlen(column->name);
        widest = column->stored_rule && length > widest ? length : widest;
    }
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        if (column->stored_rule) {
            fputs("  ", stdout);
            tw_print_plain(stdout, tumble_bytes_of(column->name));
            printf("%*s  %" PRIu64 " to %s: ", (int)(widest - strlen(column->name)), "", column->stored_empty,
                   tw_number_text(column->stored_most, most));
            tw_print_plain(stdout, tumble_bytes_of(column->stored_rule));
            putchar('\n');
        }
    }
}

/* The first column whose values are no use to whoever has several rows; NULL: every one adds up. */
static const struct tumble_column *first_not_additive(const struct tumble_spec *spec) {
    for (size_t i = 0; i < tumble_spec_column_count(spec); i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        if (column->kind == TUMBLE_COLUMN_AGGREGATE && !column->additive) {
            return column;
        }
    }
    return NULL;
}

enum when { ALWAYS, WHERE_NEEDED, NEVER };

static enum when when_partials(const struct tumble_spec *spec) {
    return tumble_spec_has_partials(spec)                              ? ALWAYS
           : tumble_spec_has_partials(tumble_spec_for_fragments(spec)) ? WHERE_NEEDED
                                                                       : NEVER;
}

void tw_explain_partials(const struct tumble_spec *spec) {
    const struct tumble_column *column = first_not_additive(spec);
    printf("%-12s ", "partials");
    switch (when_partials(spec)) {
    case ALWAYS: puts("in every row: `tumble merge` folds rows by them"); return;
    case WHERE_NEEDED: fputs("in rows of several shards or fragments, and in Lambda: ", stdout); break;
    case NEVER: fputs(column ? "never, as the spec says: " : "none are needed: ", stdout); break;
    }
    if (!column) {
        puts("rows of several shards can be added up");
        return;
    }
    tw_print_plain(stdout, tumble_bytes_of(column->name));
    puts(" of several rows cannot be added up without");
    if (when_partials(spec) == WHERE_NEEDED) {
        printf("%-12s digest of those rows %016" PRIx64 "\n", "", tumble_spec_digest(tumble_spec_for_fragments(spec)));
    }
}

void tw_print_column_sizes(const struct tumble_column *column) {
    if (column->stored_rule) {
        printf(",\"stored_bytes\":{\"empty\":%" PRIu64 ",\"most\":%" PRIu64 ",\"rule\":", column->stored_empty,
               column->stored_most);
        tw_print_json_string(stdout, tumble_bytes_of(column->stored_rule));
        putchar('}');
    }
    if (column->kind == TUMBLE_COLUMN_AGGREGATE) {
        printf(",\"additive\":%s", column->additive ? "true" : "false");
    }
}

void tw_print_partials(const struct tumble_spec *spec) {
    static const char *const words[] = {[ALWAYS] = "always", [WHERE_NEEDED] = "where needed", [NEVER] = "never"};
    printf(",\"partials\":\"%s\"", words[when_partials(spec)]);
}
