#include "engine/codec/md5.h"
#include "invoke_fixture.h"

/* A mapping that cuts, retries, bisects and at last gives up, over a stream in which some records are bad, plain ones,
 * aggregates and aggregates that were split on the way: in the end the rows are those of the records that were not
 * given up, each once, whatever sandbox had which event and whichever answers were lost. */

enum { START = 1607497440, ITEMS = 60, PARTS = 6, RETRIES = 1, SANDBOXES = 2 };

static const char shard0[] = "shardId-000000000001";
static const char spec_text[] = "{\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\",\"function\":\"count\"},"
                                "{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},"
                                "{\"name\":\"f\",\"function\":\"first\",\"field\":\"v\"},"
                                "{\"name\":\"c\",\"function\":\"collect\",\"field\":\"v\",\"cap\":50}]}";

static uint64_t next(uint64_t *random) {
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* What Lambda delivers as one record. */
struct item {
    uint64_t sequence;
    int part_count; /* 0: plain */
    char parts[PARTS + 1][64];
    int bad; /* which part, -1: none */
    int given_up;
};

struct world {
    uint64_t random;
    int fans_out; /* aggregates come split: their records share a number */
    struct item items[ITEMS * PARTS];
    size_t count;
    struct tumble_spec *spec;
    struct tumble_carried_options carried;
    struct tumble_engine *sandboxes[SANDBOXES];
    struct text state;
    uint64_t skipped, dropped, partial;
};

static void make_part(struct world *world, char out[64], int bad) {
    snprintf(out, 64, bad ? "{\"k\":\"a\",\"v\":[]}" : "{\"k\":\"%c\",\"v\":%llu}",
             (int)('a' + next(&world->random) % 3), (unsigned long long)(next(&world->random) % 1000));
}

static void make_stream(struct world *world) {
    for (uint64_t sequence = 1; sequence <= ITEMS; sequence++) {
        int parts = next(&world->random) % 3 ? 0 : 1 + (int)(next(&world->random) % PARTS);
        int bad = next(&world->random) % 6 ? -1 : (int)(next(&world->random) % (uint64_t)(parts ? parts : 1));
        int records = world->fans_out && parts ? parts : 1;
        for (int r = 0; r < records; r++) {
            struct item *item = &world->items[world->count++];
            item->sequence = sequence;
            item->part_count = world->fans_out ? 0 : parts;
            item->bad = records > 1 ? (bad == r ? 0 : -1) : bad;
            for (int p = 0; p == 0 || p < item->part_count; p++) {
                make_part(world, item->parts[p], item->bad == p);
            }
        }
    }
}

/* The producer library's format: magic, protobuf (a table of one key, the records), digest. */
static size_t aggregate(const struct item *item, char out[1024]) {
    size_t at = 4;
    memcpy(out, "\xf3\x89\x9a\xc2\x0a\x01p", 7);
    at = 7;
    for (int p = 0; p < item->part_count; p++) {
        size_t length = strlen(item->parts[p]);
        out[at++] = 0x1a;
        out[at++] = (char)(length + 4);
        memcpy(out + at, "\x08\x00\x1a", 3);
        out[at + 3] = (char)length;
        memcpy(out + at + 4, item->parts[p], length);
        at += 4 + length;
    }
    tw_md5(out + 4, at - 4, (uint8_t *)out + at);
    return at + 16;
}

static void make_event(struct world *world, struct text *event, size_t from, size_t to, int final, int all) {
    struct event_parts parts = {.shard = shard0, .start = START, .final = final, .state = view(&world->state)};
    parts.arn = world->fans_out ? ARN "/consumer/c:1700000000" : ARN;
    if (!world->state.length) {
        parts.state.data = NULL;
    }
    begin_event(event, &parts);
    for (size_t i = from; i < to; i++) {
        const struct item *item = &world->items[i];
        char bytes[1024];
        struct tumble_bytes data = tumble_bytes_of(item->parts[0]);
        if (item->part_count) {
            data.data = bytes;
            data.length = aggregate(item, bytes);
        }
        if (!(all && item->given_up)) {
            add_raw_record(event, shard0, digits(item->sequence), "1607497441.5", data);
        }
    }
    end_event(event, &parts);
}

/* Where Lambda goes on: the first record with the number that was reported; to: no number was. */
static size_t reported_at(const struct world *world, struct tumble_bytes response, size_t from, size_t to) {
    struct text copy = {0};
    add_bytes(&copy, response.data, response.length);
    const char *id = strstr(copy.data, "\"itemIdentifier\":\"");
    size_t at = to;
    if (id) {
        id += sizeof "\"itemIdentifier\":\"" - 1;
        for (at = from; at < to && strncmp(id, digits(world->items[at].sequence), 56) != 0; at++) {
        }
        assert_true(at > from && at < to); /* a partial answer has applied one at least */
    }
    free(copy.data);
    return at;
}

static struct tumble_engine *any_sandbox(struct world *world) {
    size_t which = next(&world->random) % SANDBOXES;
    if (next(&world->random) % 8 == 0) {
        tumble_engine_destroy(world->sandboxes[which]);
        world->sandboxes[which] = sandbox(world->spec, &world->carried);
    }
    return world->sandboxes[which];
}

/* Delivers [from, to) as Lambda does, until it is acknowledged or given up; where: how far that is. */
static size_t deliver(struct world *world, size_t from, size_t to, int final) {
    struct text event = {0};
    size_t where = to;
    for (int tries = 0;; tries++) {
        struct tumble_invoked out;
        make_event(world, &event, from, to, final, 0);
        enum tumble_code code = tumble_engine_invoke(any_sandbox(world), view(&event), &out, NULL);
        uint64_t fates = 0;
        for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
            fates += out.fates[fate];
        }
        assert_int_equal(fates, out.records);
        if (code == TUMBLE_OK && next(&world->random) % 6 == 0 && !final) {
            tries--; /* the answer is lost */
            continue;
        }
        if (code == TUMBLE_OK) {
            where = reported_at(world, out.response, from, to);
            world->partial += where < to;
            world->skipped += out.skipped;
            keep_state(&world->state, out.response);
            break;
        }
        assert_int_equal(code, TUMBLE_ERECORD);
        if (tries == RETRIES) {
            if (to - from == 1) { /* to the destination for failures */
                world->items[from].given_up = 1;
                world->dropped++;
            } else { /* bisect */
                where = deliver(world, from, from + (to - from) / 2, 0);
            }
            break;
        }
    }
    free(event.data);
    return where;
}

static void run_world(uint64_t seed, int fans_out, int spills) {
    struct world *world = calloc(1, sizeof *world);
    struct tumble_spill_store spill;
    struct memory_store *store = new_store(&spill);
    assert_non_null(world);
    world->random = seed;
    world->fans_out = fans_out;
    world->spec = spec_of(spec_text);
    world->carried.report_batch_item_failures = seed % 4 != 0;
    world->carried.spill = spills ? &spill : NULL;
    world->carried.inline_state_limit = spills ? 1 : 0;
    for (int i = 0; i < SANDBOXES; i++) {
        world->sandboxes[i] = sandbox(world->spec, &world->carried);
    }
    make_stream(world);
    for (size_t at = 0; at < world->count;) {
        size_t count = 1 + next(&world->random) % 20;
        at = deliver(world, at, at + count < world->count ? at + count : world->count, 0);
    }
    kept_reset();
    deliver(world, world->count, world->count, 1);
    struct text got = {0}, event = {0};
    add_bytes(&got, kept[0].text, kept[0].length);
    assert_true(world->dropped > 0 && world->skipped <= world->dropped);
    assert_true(!world->carried.report_batch_item_failures || world->partial > 0);
    /* the same without what was given up, in one event */
    struct tumble_carried_options plain = {0};
    struct tumble_engine *engine = sandbox(world->spec, &plain);
    struct tumble_invoked out;
    world->state.length = 0;
    kept_reset();
    make_event(world, &event, 0, world->count, 1, 1);
    assert_int_equal(tumble_engine_invoke(engine, view(&event), &out, NULL), TUMBLE_OK);
    if (strcmp(got.data, kept[0].text) != 0) {
        fail_msg("seed %llu%s%s: got\n%s\nwanted\n%s", (unsigned long long)seed, fans_out ? ", fanned out" : "",
                 spills ? ", spilled" : "", got.data, kept[0].text);
    }
    tumble_engine_destroy(engine);
    for (int i = 0; i < SANDBOXES; i++) {
        tumble_engine_destroy(world->sandboxes[i]);
    }
    tumble_spec_destroy(world->spec);
    free(world->state.data);
    free(got.data);
    free(event.data);
    free(world);
    free_store(store);
}

static void plain_records_and_aggregates(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, 0, seed % 3 == 0);
    }
}

static void aggregates_that_were_split_on_the_way(void **unused) {
    (void)unused;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_world(seed, 1, seed % 3 == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_records_and_aggregates),
        cmocka_unit_test(aggregates_that_were_split_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
