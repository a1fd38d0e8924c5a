#include "invoke_fixture.h"

/* State that travels: whatever happens to sandboxes, caches and answers between two invocations, the rows are those of
 * an undisturbed run. */

enum { START = 1607497440, GROUPS = 300 };

struct random {
    uint64_t state;
};
static uint64_t next(struct random *random) {
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

#define WIDE                                                                                                           \
    "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"                                   \
    "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"d\",\"function\":\"distinct\",\"field\":\"u\"}" \
    ","                                                                                                                \
    "{\"name\":\"p\",\"function\":\"quantile\",\"field\":\"v\",\"q\":[0.5]},"                                          \
    "{\"name\":\"last\",\"function\":\"last\",\"field\":\"v\"}]}"

/* Record number i of a shard's stream, always the same. */
static void stream_record(struct text *event, const char *shard, uint64_t i, unsigned groups) {
    char json[128];
    struct random random = {i * 31 + (uint64_t)shard[strlen(shard) - 1]};
    snprintf(json, sizeof json, "{\"k\":\"group %llu\",\"v\":%llu.%02llu,\"u\":%llu}",
             (unsigned long long)(next(&random) % groups), (unsigned long long)(next(&random) % 1000),
             (unsigned long long)(next(&random) % 100), (unsigned long long)(next(&random) % 50));
    add_record(event, shard, i, START + (int64_t)(i % 60), json);
}

static void stream_event(struct text *event, const struct event_parts *parts, uint64_t first, uint64_t count,
                         unsigned groups) {
    begin_event(event, parts);
    for (uint64_t i = first; i < first + count; i++) {
        stream_record(event, parts->shard, i, groups);
    }
    end_event(event, parts);
}

/* One undisturbed sandbox, one event, one final. */
static void reference_rows(const struct tumble_spec *spec, const char *shard, uint64_t records, unsigned groups,
                           struct text *rows) {
    struct tumble_carried_options carried = {0};
    struct tumble_engine *engine = sandbox(spec, &carried);
    struct text event = {0};
    struct event_parts parts = {.shard = shard, .start = START, .final = 1};
    struct tumble_invoked out;
    struct tumble_error error;
    kept_reset();
    stream_event(&event, &parts, 1, records, groups);
    ok(tumble_engine_invoke(engine, view(&event), &out, &error));
    rows->length = 0;
    add_bytes(rows, kept[0].text, kept[0].length);
    tumble_engine_destroy(engine);
    free(event.data);
}

enum { SANDBOXES = 3, SHARDS = 2, STREAM = 240 };

struct world {
    struct tumble_spec *spec;
    struct tumble_carried_options carried;
    struct tumble_engine *sandboxes[SANDBOXES];
    struct text state[SHARDS];
    uint64_t next_record[SHARDS];
    struct random random;
};
static const char *const shards[SHARDS] = {"shardId-000000000001", "shardId-000000000002"};

/* Sends an event to a sandbox of chance, with all that can happen to it. */
static void deliver(struct world *world, int shard, uint64_t count, int final) {
    struct text event = {0};
    struct event_parts parts = {
        .shard = shards[shard], .start = START, .final = final, .state = view(&world->state[shard])};
    if (!world->state[shard].length) {
        parts.state.data = NULL;
    }
    stream_event(&event, &parts, world->next_record[shard], count, GROUPS);
    for (int answered = 0; !answered;) {
        size_t which = next(&world->random) % SANDBOXES;
        struct tumble_invoked out;
        struct tumble_error error;
        uint64_t chance = next(&world->random) % 10;
        if (chance == 0) { /* recycled */
            tumble_engine_destroy(world->sandboxes[which]);
            world->sandboxes[which] = sandbox(world->spec, &world->carried);
        }
        if (final) {
            kept_reset();
        }
        ok(tumble_engine_invoke(world->sandboxes[which], view(&event), &out, &error));
        if (chance != 1) { /* 1: the answer is lost, Lambda sends the event again */
            keep_state(&world->state[shard], out.response);
            answered = 1;
        }
    }
    world->next_record[shard] += count;
    free(event.data);
}

static void run_world(uint64_t seed, const struct tumble_spill_store *spill, size_t limit, const char *cache) {
    struct world world = {.random = {seed}};
    struct text wanted = {0};
    world.spec = spec_of(WIDE);
    world.carried.spill = spill;
    world.carried.inline_state_limit = limit;
    world.carried.cache_directory = cache;
    for (int i = 0; i < SANDBOXES; i++) {
        world.sandboxes[i] = sandbox(world.spec, &world.carried);
    }
    for (int shard = 0; shard < SHARDS; shard++) {
        world.next_record[shard] = 1;
    }
    for (int open = SHARDS; open;) {
        int shard = (int)(next(&world.random) % SHARDS);
        uint64_t done = world.next_record[shard] - 1;
        if (done > STREAM) {
            continue;
        }
        uint64_t count = next(&world.random) % 40;
        if (done + count < STREAM) {
            deliver(&world, shard, count, 0);
            continue;
        }
        deliver(&world, shard, STREAM - done, 1);
        world.next_record[shard] = STREAM + 2;
        struct text rows = {0};
        add_bytes(&rows, kept[0].text, kept[0].length);
        reference_rows(world.spec, shards[shard], STREAM, GROUPS, &wanted);
        if (strcmp(rows.data, wanted.data) != 0) {
            fail_msg("seed %llu: other rows", (unsigned long long)seed);
        }
        free(rows.data);
        open--;
    }
    for (int i = 0; i < SANDBOXES; i++) {
        tumble_engine_destroy(world.sandboxes[i]);
    }
    for (int shard = 0; shard < SHARDS; shard++) {
        free(world.state[shard].data);
    }
    tumble_spec_destroy(world.spec);
    free(wanted.data);
}

static void rows_do_not_change_whatever_happens_between_invocations(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        run_world(seed, NULL, 0, NULL);
    }
}

static void rows_do_not_change_when_the_state_spills(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct tumble_spill_store spill;
        struct memory_store *store = new_store(&spill);
        run_world(seed, &spill, 2000, NULL);
        assert_true(store->puts > 0);
        free_store(store);
    }
}

/* ---- one window, by hand ---- */

struct window {
    struct tumble_spec *spec;
    struct tumble_carried_options carried;
    struct tumble_engine *engine;
    struct text event;
    struct text state;
    struct tumble_invoked out;
    uint64_t next;
};

static const char shard0[] = "shardId-000000000001";

static void open_window(struct window *window, const char *spec) {
    kept_reset();
    window->spec = spec_of(spec);
    window->engine = sandbox(window->spec, &window->carried);
    window->next = 1;
}

static void close_window(struct window *window) {
    tumble_engine_destroy(window->engine);
    tumble_spec_destroy(window->spec);
    free(window->event.data);
    free(window->state.data);
}

static enum tumble_code push(struct window *window, uint64_t count, unsigned groups, int64_t start, int final,
                             struct tumble_error *error) {
    struct event_parts parts = {.shard = shard0, .start = start, .final = final, .state = view(&window->state)};
    if (!window->state.length) {
        parts.state.data = NULL;
    }
    stream_event(&window->event, &parts, window->next, count, groups);
    enum tumble_code code = tumble_engine_invoke(window->engine, view(&window->event), &window->out, error);
    if (code == TUMBLE_OK) {
        keep_state(&window->state, window->out.response);
        window->next += count;
    }
    return code;
}

static void push_ok(struct window *window, uint64_t count, unsigned groups, int final) {
    struct tumble_error error;
    ok(push(window, count, groups, START, final, &error));
}

static void spilled_bytes_follow_the_groups_touched(void **unused) {
    (void)unused;
    struct window window = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    window.carried.spill = &spill;
    window.carried.inline_state_limit = 20000;
    open_window(&window, SPEC);
    for (int i = 0; i < 10; i++) {
        push_ok(&window, 2000, 100000, 0);
    }
    assert_true(window.out.groups > 15000);
    assert_true(window.out.state_bytes < 20000);
    uint64_t all = store->put_bytes;
    store->put_bytes = 0;
    push_ok(&window, 20, 100000, 0);
    assert_true(store->put_bytes < all / 50); /* a delta, not all groups again */
    assert_int_equal(window.out.spilled_bytes, store->put_bytes);
    assert_int_equal(store->gets, 0);
    close_window(&window);
    free_store(store);
}

static void objects_are_removed_when_nothing_can_need_them(void **unused) {
    (void)unused;
    struct window window = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct tumble_error error;
    window.carried.spill = &spill;
    window.carried.inline_state_limit = 1000;
    open_window(&window, SPEC);
    for (int i = 0; i < 30; i++) {
        push_ok(&window, 60, 200, 0); /* a new snapshot every other time or so */
    }
    assert_true(store->puts >= 30);
    assert_true(live_objects(store) < 8);
    push_ok(&window, 0, 200, 1);
    assert_true(live_objects(store) > 0); /* the final may come again */
    kept_reset();
    ok(tumble_engine_invoke(window.engine, view(&window.event), &window.out, &error));
    assert_true(kept[0].count > 100);
    window.state.length = 0;
    ok(push(&window, 5, 200, START + 60, 0, &error)); /* a later window of the shard */
    assert_int_equal(live_objects(store), 0);
    close_window(&window);
    free_store(store);
}

static void a_missing_or_altered_object_is_a_clear_error(void **unused) {
    (void)unused;
    struct window window = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct tumble_error error;
    window.carried.spill = &spill;
    window.carried.inline_state_limit = 1000;
    open_window(&window, SPEC);
    push_ok(&window, 300, 200, 0);
    tumble_engine_destroy(window.engine); /* another sandbox, without a cache */
    window.engine = sandbox(window.spec, &window.carried);
    store->objects[0].data[store->objects[0].length / 2] ^= 1;
    assert_int_equal(push(&window, 5, 200, START, 0, &error), TUMBLE_ECORRUPT);
    assert_string_equal(window.out.error_type, "Tumble.SpillAltered");
    store->objects[0].data[store->objects[0].length / 2] ^= 1;
    char *data = store->objects[0].data;
    store->objects[0].data = NULL;
    assert_int_equal(push(&window, 5, 200, START, 0, &error), TUMBLE_ECORRUPT);
    assert_string_equal(window.out.error_type, "Tumble.SpillMissing");
    store->objects[0].data = data;
    store->down = 1;
    assert_int_equal(push(&window, 5, 200, START, 0, &error), TUMBLE_EOUTPUT);
    assert_string_equal(window.out.error_type, "Tumble.SpillFailed");
    store->down = 0;
    window.carried.spill = NULL;
    struct tumble_engine *without = sandbox(window.spec, &window.carried);
    assert_int_equal(tumble_engine_invoke(without, view(&window.event), &window.out, NULL), TUMBLE_ECORRUPT);
    assert_string_equal(window.out.error_type, "Tumble.SpillMissing");
    tumble_engine_destroy(without);
    push_ok(&window, 5, 200, 0); /* and nothing of all that stayed */
    close_window(&window);
    free_store(store);
}

static void the_cache_directory_spares_the_store_and_a_damaged_one_is_a_miss(void **unused) {
    (void)unused;
    char directory[] = "/tmp/tumble-cache-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct window window = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    window.carried.spill = &spill;
    window.carried.inline_state_limit = 1000;
    window.carried.cache_directory = directory;
    open_window(&window, SPEC);
    push_ok(&window, 300, 200, 0);
    tumble_engine_destroy(window.engine); /* the process died, the sandbox did not */
    window.engine = sandbox(window.spec, &window.carried);
    push_ok(&window, 5, 200, 0);
    assert_int_equal(store->gets, 0);
    assert_int_equal(window.out.cache_hit, 1);
    tumble_engine_destroy(window.engine);
    char path[128];
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long at = 8192; at < 200000; at += 97) { /* behind the meta pages */
        fseek(file, at, SEEK_SET);
        fputc('x', file);
    }
    fclose(file);
    window.engine = sandbox(window.spec, &window.carried);
    push_ok(&window, 5, 200, 0);
    assert_true(store->gets > 0);
    assert_int_equal(window.out.cache_hit, 0);
    push_ok(&window, 0, 200, 1);
    struct text got = {0}, wanted = {0};
    add_bytes(&got, kept[0].text, kept[0].length);
    reference_rows(window.spec, shard0, 310, 200, &wanted);
    assert_string_equal(got.data, wanted.data);
    free(got.data);
    free(wanted.data);
    close_window(&window);
    free_store(store);
    remove_state(directory);
}

static void a_window_finishes_under_the_spec_it_began_with(void **unused) {
    (void)unused;
    struct window window = {0};
    struct text wanted = {0}, got = {0};
    struct tumble_error error;
    open_window(&window, SPEC);
    push_ok(&window, 50, 20, 0);
    struct tumble_spec *old = window.spec; /* a new release of the function, with another spec */
    tumble_engine_destroy(window.engine);
    window.spec = spec_of("{\"group_by\":[\"u\"],\"aggregates\":[{\"name\":\"all\",\"function\":\"count\"}]}");
    window.engine = sandbox(window.spec, &window.carried);
    push_ok(&window, 50, 20, 0);
    push_ok(&window, 0, 20, 1);
    add_bytes(&got, kept[0].text, kept[0].length);
    reference_rows(old, shard0, 100, 20, &wanted);
    assert_string_equal(got.data, wanted.data);
    window.state.length = 0; /* the next window has the new one */
    kept_reset();
    ok(push(&window, 10, 20, START + 60, 1, &error));
    assert_non_null(strstr(kept[0].text, "\"all\":"));
    tumble_spec_destroy(old);
    free(got.data);
    free(wanted.data);
    close_window(&window);
}

static void without_a_spill_store_a_huge_state_is_answered_in_part_or_refused(void **unused) {
    (void)unused;
    struct window window = {0};
    struct tumble_error error;
    static const char long_keys[] = "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"c\",\"function\":\"collect\","
                                    "\"field\":\"k\",\"cap\":10}]}";
    for (int report = 0; report < 2; report++) {
        memset(&window, 0, sizeof window);
        window.carried.report_batch_item_failures = report;
        open_window(&window, long_keys);
        struct event_parts parts = {.shard = shard0, .start = START};
        struct random random = {7};
        char *json = malloc(1 << 16);
        begin_event(&window.event, &parts);
        for (uint64_t i = 1; i <= 300; i++) { /* 4 MB of what zstd cannot pack: each group keeps its key twice */
            size_t length = (size_t)sprintf(json, "{\"k\":\"");
            while (length < 15000) {
                json[length++] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-"[next(&random) % 64];
            }
            sprintf(json + length, "\"}");
            add_record(&window.event, shard0, i, START, json);
        }
        end_event(&window.event, &parts);
        assert_true(window.event.length < TUMBLE_EVENT_LIMIT);
        enum tumble_code code = tumble_engine_invoke(window.engine, view(&window.event), &window.out, &error);
        if (report) {
            assert_int_equal(code, TUMBLE_OK);
            assert_int_equal(window.out.reported, 1);
            assert_true(window.out.state_bytes > 1000000 && window.out.state_bytes <= 4u << 20);
            assert_true(window.out.response.length <= TUMBLE_EVENT_LIMIT);
        } else {
            assert_int_equal(code, TUMBLE_ELIMIT);
            assert_string_equal(window.out.error_type, "Tumble.StateTooLarge");
        }
        free(json);
        close_window(&window);
    }
}

/* ---- a final of several deadlines ---- */

struct clock {
    int64_t left;
};
static int64_t remaining(void *ctx) {
    struct clock *clock = ctx;
    return clock->left -= 10;
}

static void a_final_that_takes_several_deadlines_goes_on_where_it_was(void **unused) {
    (void)unused;
    struct window window = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct clock clock = {100000000};
    struct tumble_error error;
    window.carried.spill = &spill;
    window.carried.inline_state_limit = 1000;
    window.carried.host.ctx = &clock;
    window.carried.host.remaining_ms = remaining;
    open_window(&window, "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"}]}");
    push_ok(&window, 800, 1u << 30, 0);
    unsigned tries = 0;
    for (enum tumble_code code = TUMBLE_EOUTPUT; code != TUMBLE_OK; tries++) {
        assert_true(tries < 20);
        tumble_engine_destroy(window.engine); /* another sandbox each time */
        window.engine = sandbox(window.spec, &window.carried);
        clock.left = 265;
        code = push(&window, 0, 1, START, 1, &error);
        if (code != TUMBLE_OK) {
            assert_string_equal(window.out.error_type, "Tumble.DeadlineExceeded");
        }
    }
    assert_true(tries > 2);
    assert_int_equal(kept[0].count, 800); /* none twice: the output acknowledges part by part */
    struct text got = {0}, wanted = {0};
    add_bytes(&got, kept[0].text, kept[0].length);
    clock.left = 100000000;
    window.carried.spill = NULL;
    reference_rows(window.spec, shard0, 800, 1u << 30, &wanted);
    assert_string_equal(got.data, wanted.data);
    free(got.data);
    free(wanted.data);
    close_window(&window);
    free_store(store);
}

/* ---- memory ---- */

static void an_allocation_that_fails_costs_the_invocation_and_nothing_else(void **unused) {
    (void)unused;
    struct tumble_spec *spec = spec_of(WIDE);
    struct counting_alloc count = {0};
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    struct tumble_carried_options carried = {.spill = &spill, .inline_state_limit = 3000};
    struct tumble_engine_options options = {.spec = spec, .alloc = counting_alloc_of(&count)};
    struct text event = {0}, wanted = {0}, got = {0};
    struct event_parts parts = {.shard = shard0, .start = START};
    struct tumble_invoked out;
    stream_event(&event, &parts, 1, 60, 20);
    struct tumble_engine *quiet = sandbox(spec, &carried);
    assert_int_equal(tumble_engine_invoke(quiet, view(&event), &out, NULL), TUMBLE_OK);
    keep_state(&wanted, out.response);
    tumble_engine_destroy(quiet);
    unsigned failures = 0;
    for (size_t at = 1;; at++) {
        struct tumble_engine *engine = NULL;
        count.calls = count.failed = 0;
        count.fail_at = at;
        enum tumble_code code = tumble_engine_open_carried(&options, &carried, &engine, NULL);
        if (code == TUMBLE_OK) {
            code = tumble_engine_invoke(engine, view(&event), &out, NULL);
        }
        if (code != TUMBLE_OK) {
            assert_int_equal(code, TUMBLE_ENOMEM);
            failures++;
        }
        size_t failed = count.failed;
        count.fail_at = 0;
        if (engine) {
            assert_int_equal(tumble_engine_invoke(engine, view(&event), &out, NULL), TUMBLE_OK);
            keep_state(&got, out.response);
            assert_string_equal(got.data, wanted.data);
        }
        tumble_engine_destroy(engine);
        assert_int_equal(count.live, 0);
        if (!failed) {
            break;
        }
    }
    assert_true(failures > 20);
    free(event.data);
    free(wanted.data);
    free(got.data);
    free_store(store);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_do_not_change_whatever_happens_between_invocations),
        cmocka_unit_test(rows_do_not_change_when_the_state_spills),
        cmocka_unit_test(spilled_bytes_follow_the_groups_touched),
        cmocka_unit_test(objects_are_removed_when_nothing_can_need_them),
        cmocka_unit_test(a_missing_or_altered_object_is_a_clear_error),
        cmocka_unit_test(the_cache_directory_spares_the_store_and_a_damaged_one_is_a_miss),
        cmocka_unit_test(a_window_finishes_under_the_spec_it_began_with),
        cmocka_unit_test(without_a_spill_store_a_huge_state_is_answered_in_part_or_refused),
        cmocka_unit_test(a_final_that_takes_several_deadlines_goes_on_where_it_was),
        cmocka_unit_test(an_allocation_that_fails_costs_the_invocation_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
