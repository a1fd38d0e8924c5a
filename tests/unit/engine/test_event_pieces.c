#include "event_fixture.h"
#include "event_pieces.h"

/* An event in pieces, cut anywhere, is the event in one piece: in what it leaves, and in what is told of it. */

#define DIVERT_SPEC                                                                                                    \
    "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\","    \
    "\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"pk\",\"function\":"     \
    "\"last\",\"field\":\"$partitionKey\"}]}"

enum { T0 = 1607497440 }; /* seconds: a window begins */

static struct tumble_spec *specs[2]; /* bad records fail; are diverted */

static struct tumble_engine *new_engine(int spec) {
    struct tumble_engine *engine = engine_of(specs[spec], NULL, 0);
    attach_kept(engine, TUMBLE_ROW_FAILURE);
    return engine;
}

/* What an event left in an engine, and what was said. */
struct outcome {
    enum tumble_code code;
    struct tumble_event_result result;
    struct tumble_error error;
    char *left;
};

static struct outcome outcome_of(int spec, struct tumble_bytes event, const struct cuts *cuts) {
    struct outcome outcome = {.error = {.byte = -7, .record = -7, .text = "as it was"}};
    struct tumble_engine *engine = new_engine(spec);
    struct tumble_shard *shard = shard_of(engine, SHARD);
    outcome.code = cuts ? apply_in_pieces(shard, event, cuts, &outcome.result, &outcome.error)
                        : tumble_shard_apply_event(shard, event, &outcome.result, &outcome.error);
    outcome.left = all_of(engine, true);
    tumble_engine_destroy(engine);
    return outcome;
}

static void assert_same_outcome(const struct outcome *got, const struct outcome *wanted, const char *how) {
    char texts[2][1024];
    const struct outcome *const both[2] = {got, wanted};
    for (int i = 0; i < 2; i++) {
        const struct outcome *o = both[i];
        snprintf(texts[i], sizeof texts[i],
                 "%s: %s, byte %lld, record %lld; %zu records, fates %llu %llu %llu %llu, "
                 "%lld to %lld, whole %d",
                 tumble_code_name(o->code), o->error.text, (long long)o->error.byte, (long long)o->error.record,
                 o->result.records, (unsigned long long)o->result.fates[0], (unsigned long long)o->result.fates[1],
                 (unsigned long long)o->result.fates[2], (unsigned long long)o->result.fates[3],
                 (long long)o->result.first_arrival_ms, (long long)o->result.last_arrival_ms, o->result.is_whole);
    }
    if (strcmp(texts[0], texts[1]) != 0 || got->error.code != wanted->error.code ||
        memcmp(got->result.fates, wanted->result.fates, sizeof got->result.fates) != 0) {
        fail_msg("%s\n%s\n-- wanted:\n%s", how, texts[0], texts[1]);
    }
    if (strcmp(got->left, wanted->left) != 0) {
        fail_msg("%s leaves\n%s\n-- wanted:\n%s", how, got->left, wanted->left);
    }
}

static void compare(int spec, struct tumble_bytes event, const struct outcome *whole, const struct cuts *cuts) {
    char how[256];
    struct outcome outcome = outcome_of(spec, event, cuts);
    snprintf(how, sizeof how, "first %zu, then up to %zu (%llu), of %.120s", cuts->first, cuts->at_most,
             (unsigned long long)cuts->random, event.data);
    assert_same_outcome(&outcome, whole, how);
    free(outcome.left);
}

/* In two pieces, cut at every step-th byte; byte by byte; and in a few other ways. */
static void compare_all(int spec, struct tumble_bytes event, size_t step) {
    struct outcome whole = outcome_of(spec, event, NULL);
    for (size_t cut = 0; cut <= event.length; cut += step) {
        compare(spec, event, &whole, &(struct cuts){.first = cut, .at_most = SIZE_MAX});
    }
    for (size_t most = 1; most < 600; most *= 3) {
        compare(spec, event, &whole, &(struct cuts){.at_most = most});
        compare(spec, event, &whole, &(struct cuts){.at_most = most, .random = most});
    }
    free(whole.left);
}

static void put_payload(struct writer *w, uint64_t sequence, int64_t arrival_ms, struct tumble_bytes payload) {
    put_item(w, &(struct item){.sequence = sequence, .arrival_ms = arrival_ms, .payload = payload});
}

static void put_some(struct writer *w, uint64_t sequence, int64_t arrival_ms) {
    char payload[128];
    struct kpl_message message = {.length = 0};
    struct item item = {.sequence = sequence, .arrival_ms = arrival_ms};
    size_t parts = random_below(&w->random, 40);
    switch (random_below(&w->random, 24)) {
    case 0: /* an aggregate, of none perhaps */
        put_text(&message, 1, "one");
        put_text(&message, 1, "two");
        for (size_t i = 0; i < parts % 34; i++) {
            snprintf(payload, sizeof payload, "{\"k\":\"p%u\",\"v\":%u}", (unsigned)(i % 3), (unsigned)i);
            put_record(&message, parts == 30 && i == 20 ? 7 : i % 2, -1, payload);
        }
        message = sealed(&message);
        message.bytes[5] ^= parts == 31;
        item.payload = (struct tumble_bytes){message.bytes, message.length};
        break;
    case 1: item.data = parts < 8 ? "e30-" : "e30="; break;
    case 2: item.payload = tumble_bytes_of("{\"k\":\"gr\xc3\xbc\xc3\x9f\xe2\x82\xac\xf0\x9f\x98\x80\",\"v\":1}"); break;
    default: {
        int length = snprintf(payload, sizeof payload, "{\"k\":\"%c%u\",\"v\":%d.%02u}", (char)('a' + sequence % 7),
                              (unsigned)(parts % 5), (int)(sequence % 100) - 50, (unsigned)(sequence % 100));
        item.payload = (struct tumble_bytes){payload, (size_t)length};
    }
    }
    put_item(w, &item);
}

static void make_event(struct writer *w, unsigned spelling, size_t records) {
    begin_records(w, spelling);
    int64_t arrival_ms = T0 * INT64_C(1000);
    for (size_t i = 0; i < records; i++) {
        arrival_ms += (int64_t)random_below(&w->random, 1200) - (i % 50 == 49 ? 70000 : 0);
        put_some(w, 1000 + i, arrival_ms);
    }
    end_records(w);
}

static void events_of_every_spelling_in_random_pieces(void **state) {
    (void)state;
    struct writer w = {.out = new_buf(), .random = 11};
    for (unsigned spelling = 0; spelling < SPELLINGS; spelling++) {
        for (int spec = 0; spec < 2; spec++) {
            make_event(&w, spelling, 1 + random_below(&w.random, 150));
            struct outcome whole = outcome_of(spec, tw_buf_view(&w.out), NULL);
            static const size_t most[] = {1, 7, 100, 900, 5000, 20000};
            for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
                compare(spec, tw_buf_view(&w.out), &whole,
                        &(struct cuts){.at_most = most[i], .random = w.random, .exact = i == 3});
            }
            free(whole.left);
        }
    }
    tw_buf_clean_up(&w.out);
}

static void small_events_cut_at_every_byte(void **state) {
    (void)state;
    static const unsigned spellings[] = {0, WINDOWED | RECORDS_LAST,
                                         WINDOWED | SPACED | ESCAPED | SHUFFLED | UNKNOWN_MEMBERS};
    struct writer w = {.out = new_buf(), .random = 5};
    for (size_t s = 0; s < 3; s++) {
        for (size_t records = 0; records < 4; records += 1 + records) {
            make_event(&w, spellings[s], records);
            compare_all((int)(s % 2), tw_buf_view(&w.out), 1);
        }
    }
    tw_buf_clean_up(&w.out);
}

static void malformed_events_are_refused_alike(void **state) {
    (void)state;
    static const uint8_t masks[] = {0x01, 0x04, 0x20, 0x80};
    struct writer w = {.out = new_buf(), .random = 5};
    for (unsigned spelling = 0; spelling < SPELLINGS; spelling += 21) {
        make_event(&w, spelling, 3);
        for (size_t at = 0; at < w.out.length; at++) {
            char *copy = exact_copy(w.out.data, w.out.length);
            struct tumble_bytes event = {copy, w.out.length};
            switch (at % 4) {
            case 0: copy[at] = '"'; break;
            case 1: event.length = at; break;
            default: copy[at] = (char)((uint8_t)copy[at] ^ masks[next_random(&w.random) % 4]);
            }
            int spec = (int)(at % 2);
            struct outcome whole = outcome_of(spec, event, NULL);
            compare(spec, event, &whole, &(struct cuts){.at_most = 1});
            compare(spec, event, &whole, &(struct cuts){.at_most = 200, .random = at + 1});
            compare(spec, event, &whole, &(struct cuts){.first = at, .at_most = SIZE_MAX});
            free(whole.left);
            free(copy);
        }
    }
    tw_buf_clean_up(&w.out);
}

#define OURS(sequence)                                                                                                 \
    "{\"kinesis\":{\"sequenceNumber\":\"" sequence "\",\"data\":\"eyJrIjoiYSIsInYiOjF9\","                             \
    "\"approximateArrivalTimestamp\":1607497440.5},\"eventID\":\"" SHARD ":" sequence "\"}"
#define OTHER(sequence)                                                                                                \
    "{\"kinesis\":{\"sequenceNumber\":\"" sequence "\",\"data\":\"eyJrIjoiYSIsInYiOjF9\","                             \
    "\"approximateArrivalTimestamp\":1607497440.5},\"eventID\":\"shardId-000000000007:" sequence "\"}"

static const char *const odd_events[] = {
    "",
    " \n",
    "[]",
    " null",
    "{}",
    "{\"records\":[]}",
    "{\"Records\":{}}",
    "{\"Records\": null}",
    "{\"Records\":12 }",
    "{\"Records\":[1,{\"a\":2}] ",
    "{\"Records\":\"x",
    "{\"Records\":[1]}",
    "{\"Records\":[{}]}",
    "{\"Records\":[],\"Records\":[]}",
    "{\"Records\":[],\"Records\":",
    "{\"Records\":[" OURS("1") "],\"Rec\\u006frds\":[" OURS("2") "]}",
    "{\"Records\":[" OURS("1") "]}}",
    "{\"Records\":[" OURS("1") "]} \n x",
    "{\"Records\":[" OURS("1") "],}",
    "{\"Records\":[" OURS("1") "] \"a\":1}",
    "{\"Records\":[" OURS("1") ",]}",
    "{\"Records\":[" OURS("1") " " OURS("2") "]}",
    "{\"Records\":[" OURS("1") "],\"x\":\"\xff\"}",
    "{\"Records\":[" OURS("1") "],\"x\":\"\xe2\x82\"}",
    "{\"Records\":[" OURS("1") "],\"x\":\"\\ud83d\\u0020\"}",
    "{\"Records\":[" OURS("1") "],\"x\":\"\\ud83d\\ude00\\\"\\\\\",\"y\" : -1.5e3 , \"z\":12}",
    "{\"x\":truth,\"Records\":[]}",
    "{\"x\":1.,\"Records\":[]}",
    "{\"x\":12",
    "{\"x\"",
    "{\"x\" 1}",
    "{\"x\":,}",
    "{\"x\":[1,2}}",
    "{\"x\":{\"}\":\"\\\"]}\"},\"Records\":[" OURS("1") "]}",
    "{\"Records\":[" OURS("1") "," OTHER("2") "," OURS("3") "]}",
    "{\"Records\":[" OURS("1") "," OURS("2") ",{\"kinesis\":7}]}",
    "{\"Records\":[" OURS("1") ",7," OURS("2") "]}",
    "{\"Records\":[" OURS("1") ",\"a\"]}",
    "{\"Records\":[" OURS("1") "," OURS("x") "," OURS("2") "]}",
};

static void odd_events_are_refused_alike(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof odd_events / sizeof *odd_events; i++) {
        compare_all((int)(i % 2), tumble_bytes_of(odd_events[i]), 1);
    }
}

static void the_shard_is_told_as_soon_as_it_is_known(void **state) {
    (void)state;
    struct writer w = {.out = new_buf(), .random = 5};
    for (unsigned i = 0; i < sizeof odd_events / sizeof *odd_events + SPELLINGS; i++) {
        struct tumble_bytes event = i < SPELLINGS ? (make_event(&w, i, i % 3), tw_buf_view(&w.out))
                                                  : tumble_bytes_of(odd_events[i - SPELLINGS]);
        struct tumble_bytes whole = {NULL, 0}, id = {NULL, 0};
        struct tumble_error error = {0}, wanted_error = {0};
        enum tumble_code wanted = tumble_event_peek_shard_id(event, 1, &whole, &wanted_error);
        bool known = false;
        for (size_t length = 0; length <= event.length; length++) {
            char *copy = exact_copy(event.data, length);
            enum tumble_code code = tumble_event_peek_shard_id((struct tumble_bytes){copy, length}, 0, &id, &error);
            if (code != TUMBLE_EMORE) {
                known = true;
                assert_int_equal(code, wanted);
                if (code == TUMBLE_OK) {
                    assert_true(tumble_bytes_equal(id, whole));
                } else {
                    assert_string_equal(error.text, wanted_error.text);
                    assert_int_equal(error.byte, wanted_error.byte);
                }
            } else {
                assert_false(known);
                assert_true(error.text[0] && error.code == TUMBLE_EMORE);
            }
            assert_int_equal(tumble_event_peek_shard_id((struct tumble_bytes){copy, length}, 0, &id, NULL), code);
            free(copy);
        }
        enum tumble_code code = tumble_event_shard_id(event, &id, NULL);
        assert_true(code == wanted || code == TUMBLE_EJSON); /* which also looks behind an event without records */
    }
    tw_buf_clean_up(&w.out);
}

static void events_in_a_row_end_where_they_end(void **state) {
    (void)state;
    enum { EVENTS = 7 };
    struct tumble_error error;
    struct writer w = {.out = new_buf(), .random = 5};
    struct tw_buf all = new_buf();
    size_t ends[EVENTS], counts[EVENTS];
    for (size_t i = 0; i < EVENTS; i++) {
        counts[i] = i == 2 ? 0 : 1 + i * i * 3;
        make_event(&w, i % 2 ? WINDOWED : 0, counts[i]);
        append(&all, w.out.data, w.out.length);
        ends[i] = all.length;
        append(&all, "\n", i < 5); /* the last two with nothing between them */
    }
    for (size_t most = 1; most < 300000; most = most * 3 + 1) {
        struct tumble_engine *engine = new_engine(1);
        struct tumble_shard *shard = shard_of(engine, SHARD);
        size_t at = 0;
        for (size_t i = 0; i < EVENTS; i++) {
            struct tumble_event_result result = {0};
            at += all.data[at] == '\n';
            ok(tumble_shard_event_begin(shard, &error));
            while (!result.is_whole) {
                size_t length = all.length - at < most ? all.length - at : most, consumed = SIZE_MAX;
                char *copy = exact_copy(all.data + at, length);
                ok(tumble_shard_event_feed(shard, (struct tumble_bytes){copy, length}, 0, &consumed, &result, &error));
                free(copy);
                assert_true(consumed <= length && (result.is_whole || consumed == length));
                assert_true(length > 0);
                at += consumed;
            }
            assert_int_equal(at, ends[i]);
            assert_int_equal(result.records, counts[i]);
        }
        tumble_engine_destroy(engine);
    }
    tw_buf_clean_up(&all);
    tw_buf_clean_up(&w.out);
}

static void a_long_record_may_come_byte_by_byte(void **state) {
    (void)state;
    struct writer w = {.out = new_buf(), .random = 5};
    const size_t size = 1 << 18;
    char *big = malloc(size);
    assert_non_null(big);
    memset(big, ' ', size);
    memcpy(big, "{\"k\":\"a\",\"v\":1}", 15);
    begin_records(&w, 0);
    put_payload(&w, 1, T0 * INT64_C(1000), tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    put_payload(&w, 2, T0 * INT64_C(1000), (struct tumble_bytes){big, size});
    put_payload(&w, 3, T0 * INT64_C(1000), tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    end_records(&w);
    struct outcome whole = outcome_of(0, tw_buf_view(&w.out), NULL);
    assert_int_equal(whole.code, TUMBLE_OK);
    compare(0, tw_buf_view(&w.out), &whole, &(struct cuts){.at_most = 1});
    compare(0, tw_buf_view(&w.out), &whole, &(struct cuts){.at_most = 65536});
    free(whole.left);
    free(big);
    tw_buf_clean_up(&w.out);
}

/* 16 MiB of text a record or member, however it comes. */
static void what_never_ends_is_refused_at_its_limit(void **state) {
    (void)state;
    enum { BEFORE, MEMBER, RECORD, NOT_ARRAY, ENDLESS, KINDS };
    const size_t limit = 16 << 20;
    static const char ours[] = OURS("2");
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t extra = 0; extra < 2; extra++) {
            struct tw_buf out = new_buf();
            const char *front = kind == BEFORE      ? "{\"x\":\""
                                : kind == NOT_ARRAY ? "{\"Records\":\""
                                : kind == RECORD    ? "{\"Records\":[" OURS("1") ",{\"x\":\""
                                                    : "{\"Records\":[" OURS("1") "],\"x\":\"";
            const char *back = kind == BEFORE ? "\",\"Records\":[" OURS("1") "]}" : "\"}";
            append_text(&out, front);
            const char *at = kind == NOT_ARRAY ? strrchr(front, '"')
                             : kind == RECORD  ? strrchr(front, '{')
                                               : strstr(front, "\"x\"");
            size_t text = limit + extra - strlen(at) - (kind != ENDLESS); /* the closing quote */
            if (kind == RECORD) {
                text -= strlen(ours); /* its other members, a comma in place of their brace */
            }
            assert_int_equal(tw_buf_reserve(&out, text), TUMBLE_OK);
            memset(out.data + out.length, 'y', text);
            out.length += text;
            if (kind == RECORD) {
                append_text(&out, "\",");
                append_text(&out, &ours[1]);
                append_text(&out, "]}");
            } else if (kind != ENDLESS) {
                append_text(&out, back);
            }
            struct outcome whole = outcome_of(0, tw_buf_view(&out), NULL);
            if (extra) {
                assert_int_equal(whole.code, TUMBLE_ELIMIT);
            } else {
                assert_int_equal(whole.code, kind == NOT_ARRAY ? TUMBLE_EEVENT
                                             : kind == ENDLESS ? TUMBLE_EJSON
                                                               : TUMBLE_OK);
            }
            compare(0, tw_buf_view(&out), &whole, &(struct cuts){.first = 100, .at_most = SIZE_MAX});
            compare(0, tw_buf_view(&out), &whole, &(struct cuts){.at_most = 1 << 20, .random = 5});
            free(whole.left);
            tw_buf_clean_up(&out);
        }
    }
}

static void pieces_survive_every_failure_of_memory(void **state) {
    (void)state;
    struct tumble_error error;
    struct writer w = {.out = new_buf(), .random = 4};
    make_event(&w, SHUFFLED | ESCAPED | WINDOWED, 60);
    char *wanted = NULL;
    for (size_t fail_at = 0;; fail_at++) { /* 0: none does */
        struct counting_alloc count = {0};
        struct tumble_engine *engine;
        struct tumble_engine_options options = {
            .spec = specs[1], .source = tumble_bytes_of("test"), .alloc = counting_alloc_of(&count)};
        ok(tumble_engine_open(&options, &engine, &error));
        attach_kept(engine, TUMBLE_ROW_FAILURE);
        struct tumble_shard *shard = shard_of(engine, SHARD);
        struct tumble_event_result result;
        const struct cuts cuts = {.at_most = 700, .random = 3};
        count.fail_at = fail_at ? count.calls + fail_at : 0;
        enum tumble_code code = apply_in_pieces(shard, tw_buf_view(&w.out), &cuts, &result, &error);
        bool failed = count.failed > 0;
        assert_int_equal(code, failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        count.fail_at = 0;
        if (failed) {
            ok(apply_in_pieces(shard, tw_buf_view(&w.out), &cuts, &result, &error));
        }
        char *got = windows_of(engine, false);
        if (fail_at == 0) {
            wanted = got;
        } else {
            assert_string_equal(got, wanted);
            free(got);
        }
        tumble_engine_destroy(engine);
        assert_int_equal(count.live, 0);
        if (fail_at && !failed) {
            assert_true(fail_at > 5);
            break;
        }
    }
    free(wanted);
    tw_buf_clean_up(&w.out);
}

static void an_event_is_begun_before_it_is_fed(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_event_result result;
    struct writer w = {.out = new_buf(), .random = 4};
    struct tumble_engine *engine = new_engine(0);
    struct tumble_shard *shard = shard_of(engine, SHARD);
    const struct tumble_bytes bad = tumble_bytes_of("]"), none = {NULL, 0};
    begin_records(&w, 0);
    for (uint64_t i = 0; i < 4; i++) {
        put_payload(&w, 10 + i, T0 * INT64_C(1000), tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
    }
    end_records(&w);
    const struct tumble_bytes event = tw_buf_view(&w.out);
    const struct tumble_bytes half = {event.data, event.length / 2};
    const struct tumble_bytes rest = {event.data + half.length, event.length - half.length};
    assert_int_equal(tumble_shard_event_feed(shard, event, 1, NULL, &result, &error), TUMBLE_EINVAL);
    assert_int_equal(result.records, 0);
    ok(tumble_shard_event_begin(shard, &error));
    assert_int_equal(tumble_shard_event_feed(shard, bad, 0, NULL, NULL, NULL), TUMBLE_EEVENT);
    assert_int_equal(tumble_shard_event_feed(shard, event, 1, NULL, &result, &error), TUMBLE_EINVAL);
    /* One that is not whole is dropped with the next: its whole records were applied. */
    ok(tumble_shard_event_begin(shard, &error));
    ok(tumble_shard_event_feed(shard, half, 0, NULL, &result, &error));
    assert_false(result.is_whole);
    const uint64_t before = result.fates[TUMBLE_FATE_APPLIED];
    assert_int_equal(result.records, before);
    assert_true(before > 0 && before < 4);
    ok(tumble_engine_commit(engine, &error)); /* between pieces, too */
    ok(tumble_shard_apply_event(shard, event, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_DUPLICATE], before);
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], 4 - before);
    assert_int_equal(result.is_whole, 1);
    assert_int_equal(tumble_shard_event_feed(shard, rest, 1, NULL, &result, &error), TUMBLE_EINVAL);
    /* The end may be told behind it. */
    ok(tumble_shard_event_begin(shard, &error));
    ok(tumble_shard_event_feed(shard, event, 0, NULL, &result, &error));
    assert_int_equal(result.records, 4);
    assert_false(result.is_whole);
    ok(tumble_shard_event_feed(shard, none, 0, NULL, &result, &error));
    ok(tumble_shard_event_feed(shard, none, 1, NULL, &result, &error));
    assert_int_equal(result.fates[TUMBLE_FATE_DUPLICATE], 4);
    assert_true(result.is_whole);
    engine->read_only = true;
    assert_int_equal(tumble_shard_event_begin(shard, &error), TUMBLE_EINVAL);
    engine->read_only = false;
    tumble_engine_destroy(engine);
    tw_buf_clean_up(&w.out);
}

static int make_specs(void **state) {
    (void)state;
    specs[0] = spec_of(SPEC);
    specs[1] = spec_of(DIVERT_SPEC);
    return 0;
}

static int free_specs(void **state) {
    (void)state;
    tumble_spec_destroy(specs[0]);
    tumble_spec_destroy(specs[1]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_every_spelling_in_random_pieces),
        cmocka_unit_test(small_events_cut_at_every_byte),
        cmocka_unit_test(malformed_events_are_refused_alike),
        cmocka_unit_test(odd_events_are_refused_alike),
        cmocka_unit_test(the_shard_is_told_as_soon_as_it_is_known),
        cmocka_unit_test(events_in_a_row_end_where_they_end),
        cmocka_unit_test(a_long_record_may_come_byte_by_byte),
        cmocka_unit_test(what_never_ends_is_refused_at_its_limit),
        cmocka_unit_test(pieces_survive_every_failure_of_memory),
        cmocka_unit_test(an_event_is_begun_before_it_is_fed),
    };
    return cmocka_run_group_tests_name("event_pieces", tests, make_specs, free_specs);
}
