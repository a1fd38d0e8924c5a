#include "engine/window/group_memo.h"
#include "event_fixture.h"
#include "invoke_fixture.h"

/* Groups found by what was remembered of them, and records gathered the usual way: rows are those of an engine that
 * remembers nothing, because its groups have two fields, and takes no short way, because its records come projected. */

#define AGGREGATES                                                                                                     \
    "\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},"   \
    "{\"name\":\"lo\",\"function\":\"min\",\"field\":\"v\"},{\"name\":\"hi\",\"function\":\"max\",\"field\":\"v\"},"   \
    "{\"name\":\"u\",\"function\":\"last\",\"field\":\"w\"}]}"
#define ONE_FIELD  "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\"]," AGGREGATES
#define TWO_FIELDS "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\",\"none\"]," AGGREGATES

static const char *const usual_specs[] = {ONE_FIELD, TWO_FIELDS};

enum { BATCH = 700, WIDTH = 200 };

struct stream {
    uint64_t random;
    uint64_t sequence;
    unsigned groups; /* about as many */
    char data[BATCH][WIDTH];
    char digits[BATCH][64];
    struct tumble_record records[BATCH];
};

/* Texts that have much in common: heads, tails, lengths from 0 to 20, NULs, and now and then no text at all. */
static void put_group(struct stream *stream, char *out, size_t size) {
    unsigned which = (unsigned)random_below(&stream->random, stream->groups);
    switch (which % 16) {
    case 0: snprintf(out, size, "\"k\":%u,", which); return;
    case 1: snprintf(out, size, "\"k\":%s,", which < 16 ? "null" : which < 32 ? "true" : "false"); return;
    case 2: snprintf(out, size, "%s", ""); return;
    case 3: snprintf(out, size, "\"k\":\"ab\\u0000%c\\u0000\",", 'a' + (char)(which / 16 % 26)); return;
    case 4: snprintf(out, size, "\"k\":\"abc\\u0000\\u0000\\u0000\\u0000%u\",", which / 16); return;
    case 5: snprintf(out, size, "\"k\":\"%c\",", 'a' + (char)(which / 16 % 26)); return;
    case 6: snprintf(out, size, "\"k\":\"%u\",", which); return;
    default: break;
    }
    /* One of two letters at each place: 4 to 20 of them. */
    const unsigned length = 4 + which / 16 % 17;
    int at = snprintf(out, size, "\"k\":\"");
    for (unsigned i = 0; i < length; i++) {
        out[at++] = i == which % 16 - 7 || i == length - 1 - which % 3 ? 'b' : 'a';
    }
    snprintf(out + at, size - (size_t)at, "\",");
}

static void draw_batch(struct stream *stream, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char group[64];
        put_group(stream, group, sizeof group);
        const size_t dice = random_below(&stream->random, 60);
        const char *more = dice == 0   ? ",\"w\":[1]"
                           : dice == 1 ? ",\"w\":\"a\\u0062\""
                           : dice == 2 ? ",\"v\":\"no number\""
                           : dice < 10 ? ",\"w\":\"text\""
                           : dice < 13 ? ",\"w\":1.5"
                                       : "";
        int length =
            snprintf(stream->data[i], WIDTH, "{%s\"v\":%s%u.%02u%s}", group, dice % 2 ? "-" : "",
                     (unsigned)random_below(&stream->random, 1000), (unsigned)random_below(&stream->random, 100), more);
        assert_true(length > 0 && length < WIDTH);
        stream->sequence += dice < 57;
        sequence_text(stream->sequence, stream->digits[i]); /* a few are duplicates */
        struct tumble_record record = {.data = {stream->data[i], (size_t)length},
                                       .sequence_number = tumble_bytes_of(stream->digits[i]),
                                       .arrival_ms = 1000};
        stream->records[i] = record;
    }
}

static void apply_quick(struct tumble_shard *shard, int64_t start_ms, const struct stream *stream, size_t count) {
    struct tumble_error error;
    ok(tumble_shard_apply(shard, start_ms, stream->records, count, NULL, &error));
}

static void apply_slow(struct tumble_shard *shard, int64_t start_ms, const struct stream *stream, size_t count) {
    struct tumble_error error;
    for (size_t i = 0; i < count; i++) {
        struct tumble_value values[16] = {{0}};
        struct tumble_record record = stream->records[i];
        assert_true(shard->engine->projected_count <= 16);
        ok(tumble_project(tumble_engine_projection(shard->engine), record.data, 1, values, NULL, &error));
        record.values = values;
        ok(tumble_shard_apply(shard, start_ms, &record, 1, NULL, &error));
    }
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Lines in the order of their texts, without the second field of groups. */
static char *sorted_lines(char *text) {
    static const char second[] = ",\"none\":null";
    size_t count = 0, length = strlen(text);
    char **lines = malloc((length + 1) * sizeof *lines), *out = malloc(length + 2), *at = out;
    assert_non_null(lines);
    assert_non_null(out);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char *hole = strstr(line, second);
        if (hole) {
            memmove(hole, hole + sizeof second - 1, strlen(hole + sizeof second - 1) + 1);
        }
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, compare_lines);
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s\n", lines[i]);
    }
    *at = '\0';
    free(lines);
    free(text);
    return out;
}

/* Rows of closed windows too. */
static char *everything(struct tumble_engine *engine) {
    struct tumble_error error;
    struct tw_buf text = new_buf();
    char *open = all_of(engine, false);
    append_text(&text, open);
    free(open);
    ok(tumble_engine_outbox(engine, TUMBLE_ROW_WINDOW, add_row, &text, &error));
    append(&text, "", 1);
    return sorted_lines(text.data);
}

static void assert_found_alike(const struct tumble_engine *one, const struct tumble_engine *other) {
    struct tumble_bytes path, other_path;
    uint64_t found, other_found;
    for (size_t i = 0; tumble_engine_field(one, i, &path, &found); i++) {
        for (size_t j = 0; tumble_engine_field(other, j, &other_path, &other_found); j++) {
            if (tumble_bytes_equal(path, other_path)) {
                assert_int_equal(found, other_found);
            }
        }
    }
}

struct use { /* of the memo, over a run */
    size_t with;
    size_t without;
    size_t given_up;
};

static void note_use(struct use *use, const struct tumble_shard *shard) {
    for (size_t i = 0; i < shard->window_count; i++) {
        const struct tw_group_table *table = &shard->windows[i]->groups;
        use->with += table->memo != NULL;
        use->without += table->memo == NULL;
        use->given_up += table->memo == NULL && table->count > TW_MEMO_GROUPS;
    }
}

/* groups: of each phase; a window for every three phases, the first of which is closed in the middle and opened anew.
 */
static struct use run_phases(uint64_t seed, const char *const *texts, const unsigned *groups, size_t phases,
                             const char *directory, size_t memory_limit) {
    struct tumble_error error;
    struct tumble_spec *specs[2] = {spec_of(texts[0]), spec_of(texts[1])};
    struct tumble_engine *engines[2] = {engine_of(specs[0], directory, memory_limit), engine_of(specs[1], NULL, 0)};
    struct tumble_shard *shards[2];
    struct stream *stream = calloc(1, sizeof *stream);
    struct use use = {0};
    assert_non_null(stream);
    stream->random = seed;
    for (int i = 0; i < 2; i++) {
        attach_kept(engines[i], TUMBLE_ROW_WINDOW);
        attach_kept(engines[i], TUMBLE_ROW_FAILURE);
        shards[i] = shard_of(engines[i], SHARD);
    }
    for (size_t phase = 0; phase < phases; phase++) {
        const int64_t start_ms = 60000 * (int64_t)(phase / 3);
        stream->groups = groups[phase];
        for (size_t given = 0; given < 2600;) {
            size_t count = 1 + random_below(&stream->random, random_below(&stream->random, 3) ? 40 : BATCH);
            draw_batch(stream, count);
            const struct tw_window *window = tw_shard_find_window(shards[0], start_ms);
            const bool crowded = window && window->groups.count > TW_MEMO_GROUPS;
            apply_quick(shards[0], start_ms, stream, count);
            assert_true(!crowded || !tw_shard_find_window(shards[0], start_ms)->groups.memo);
            apply_slow(shards[1], start_ms, stream, count);
            note_use(&use, shards[0]);
            given += count;
            if (random_below(&stream->random, 4) == 0) {
                ok(tumble_engine_commit(engines[0], &error));
                ok(tumble_engine_commit(engines[1], &error));
            }
        }
        if (phase % 3 == 1) {
            for (int i = 0; i < 2; i++) {
                ok(tumble_shard_close(shards[i], start_ms, &error));
                ok(tumble_engine_commit(engines[i], &error));
            }
        }
    }
    assert_found_alike(engines[0], engines[1]);
    assert_same_text(everything(engines[0]), everything(engines[1]));
    for (int i = 0; i < 2; i++) {
        tumble_engine_destroy(engines[i]);
        tumble_spec_destroy(specs[i]);
    }
    free(stream);
    return use;
}

static void rows_are_those_of_an_engine_without_a_memory_for_texts(void **state) {
    (void)state;
    static const unsigned groups[] = {40, 40, 95, 60, 300, 20, 700, 30, 30, 90, 110, 150};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct use use = run_phases(seed, usual_specs, groups, sizeof groups / sizeof *groups, NULL, 0);
        assert_true(use.with > 50 && use.without > 50 && use.given_up > 5);
    }
}

static void tables_that_leave_memory_take_what_was_remembered_with_them(void **state) {
    (void)state;
    static const unsigned groups[] = {40, 40, 80, 500, 60, 60};
    char directory[64];
    snprintf(directory, sizeof directory, "/tmp/tumble-memo-%d", (int)getpid());
    remove_state(directory);
    struct use use = run_phases(11, usual_specs, groups, sizeof groups / sizeof *groups, directory, 1);
    assert_true(use.with > 20 && use.without > 20);
    remove_state(directory);
}

/* Aggregates with and without what steps many at once, filters, fields that are no part of the payload. */
static void every_kind_of_spec_gathers_alike(void **state) {
    (void)state;
#define HEAD(group, more)                                                                                              \
    "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\"," more "\"group_by\":[\"k\"" group "],"
#define BOTH(more, aggregates)                                                                                         \
    { HEAD("", more) "\"aggregates\":[" aggregates "]}", HEAD(",\"none\"", more) "\"aggregates\":[" aggregates "]}" }
#define SUM         "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}"
#define POSITIVE    "\"where\":{\"v\":[{\"numeric\":[\">\",0]}]}"
#define COUNT(more) "{\"name\":\"n\",\"function\":\"count\"" more "}"
    static const char *const specs[][2] = {
        BOTH("", COUNT(",\"field\":\"w\"") "," SUM),
        BOTH("", COUNT("," POSITIVE) "," SUM),
        BOTH(POSITIVE ",", COUNT("") "," SUM),
        BOTH("", SUM ",{\"name\":\"m\",\"function\":\"mean\",\"field\":\"v\"},{\"name\":\"sd\",\"function\":\"stddev\","
                     "\"field\":\"v\"},{\"name\":\"q\",\"function\":\"quantile\",\"field\":\"v\",\"q\":[0.5]}"),
        BOTH("",
             SUM ",{\"name\":\"f\",\"function\":\"first\",\"field\":\"w\"},{\"name\":\"d\",\"function\":\"distinct\","
                 "\"field\":\"w\"},{\"name\":\"a\",\"function\":\"arg_max\",\"field\":\"w\",\"by\":\"v\"}"),
        BOTH("", SUM ",{\"name\":\"l\",\"function\":\"last\",\"field\":\"$sequenceNumber\"}"),
    };
    static const unsigned groups[] = {40, 200, 30};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        run_phases(i + 1, specs[i], groups, 3, NULL, 0);
    }
}

/* The memo is what can go without: where there is no memory for it, nothing is missed. */
static void without_memory_nothing_is_remembered_and_nothing_is_wrong(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(ONE_FIELD);
    struct counting_alloc count = {0};
    struct tumble_engine *engine;
    struct tumble_engine_options options = {.spec = spec, .alloc = counting_alloc_of(&count)};
    ok(tumble_engine_open(&options, &engine, &error));
    struct tumble_shard *shard = shard_of(engine, SHARD);
    struct stream *stream = calloc(1, sizeof *stream);
    assert_non_null(stream);
    stream->random = 5;
    stream->groups = 40;
    for (int i = 0; i < 5; i++) { /* every buffer has grown */
        draw_batch(stream, 40);
        struct tumble_engine *before = engine;
        apply_quick(shard, 0, stream, 40);
        assert_ptr_equal(before, engine);
    }
    assert_null(shard->windows[0]->groups.memo);
    while (shard->windows[0]->records < TW_MEMO_RECORDS) {
        draw_batch(stream, 1);
        apply_quick(shard, 0, stream, 1);
    }
    assert_null(shard->windows[0]->groups.memo);
    count.fail_at = count.calls + 1;
    count.persistent = 1;
    struct made_records made = {0};
    make_record(&made, UINT64_MAX, "{\"k\":\"aaaa\",\"v\":1}");
    tumble_shard_apply(shard, 0, made.records, 1, NULL, &error); /* whether it goes well or not */
    assert_true(count.failed > 0);
    assert_null(shard->windows[0]->groups.memo);
    count.fail_at = 0;
    draw_batch(stream, 1);
    apply_quick(shard, 0, stream, 1);
    assert_non_null(shard->windows[0]->groups.memo);
    tumble_engine_destroy(engine);
    assert_int_equal(count.live, 0);
    free(stream);
    tumble_spec_destroy(spec);
}

/* ---- state that travels ---- */

enum { START = 1607497440 };

static void stream_of(struct text *event, const struct event_parts *parts, uint64_t first, uint64_t count, bool bad) {
    begin_event(event, parts);
    for (uint64_t i = first; i < first + count; i++) {
        char json[96];
        uint64_t random = i * 77 + 1;
        snprintf(json, sizeof json, "{\"k\":\"group %u\",\"v\":%u}", (unsigned)random_below(&random, 40), (unsigned)i);
        add_record(event, parts->shard, i, START + (int64_t)(i % 60), json);
    }
    if (bad) { /* groups that nobody else has, and then the end */
        add_record(event, parts->shard, first + count, START, "{\"k\":\"never seen\",\"v\":1}");
        add_record(event, parts->shard, first + count + 1, START, "{\"k\":\"group 1\",\"v\":\"bad\"}");
    }
    end_event(event, parts);
}

static void an_invocation_that_failed_is_forgotten(void **state) {
    (void)state;
    struct tumble_error error = {0};
    struct tumble_spec *spec = spec_of("{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
                                       "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"}]}");
    char *rows[2];
    size_t remembered = 0;
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        struct tumble_carried_options carried = {0};
        struct tumble_engine *engine = sandbox(spec, &carried);
        struct text event = {0}, kept_state = {0};
        struct tumble_invoked out;
        kept_reset();
        for (uint64_t i = 0; i < 12; i++) {
            struct event_parts parts = {.shard = SHARD, .start = START, .state = view(&kept_state), .final = i == 11};
            if (disturbed && i > 1) {
                stream_of(&event, &parts, 1 + 400 * i, 350, true);
                assert_int_equal(tumble_engine_invoke(engine, view(&event), &out, &error), TUMBLE_ERECORD);
            }
            stream_of(&event, &parts, 1 + 400 * i, 400, false);
            ok(tumble_engine_invoke(engine, view(&event), &out, &error));
            if (i < 11) {
                keep_state(&kept_state, out.response);
            }
        }
        rows[disturbed] = exact_copy(kept[0].text, kept[0].length + 1);
        remembered += kept[0].count;
        tumble_engine_destroy(engine);
        free(event.data);
        free(kept_state.data);
    }
    assert_int_equal(remembered, 80);
    assert_same_text(rows[0], rows[1]);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_an_engine_without_a_memory_for_texts),
        cmocka_unit_test(tables_that_leave_memory_take_what_was_remembered_with_them),
        cmocka_unit_test(every_kind_of_spec_gathers_alike),
        cmocka_unit_test(without_memory_nothing_is_remembered_and_nothing_is_wrong),
        cmocka_unit_test(an_invocation_that_failed_is_forgotten),
    };
    return cmocka_run_group_tests_name("group_memo", tests, NULL, NULL);
}
