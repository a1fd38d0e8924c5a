#include "event_pair.h"

/* Events that are cut, changed or none at all, and engines that run out of memory or may not be written: what is told
 * to have been applied was, and nothing else. */

/* ---- events that are cut or changed ---- */

/* The first records of an event, and no others, were applied. */
static void assert_applied(const struct pair *pair, const struct writer *w, struct tumble_bytes event, size_t records,
                           const char *what, size_t at) {
    struct tumble_bytes rest = {event.data + w->array, event.length > w->array ? event.length - w->array : 0};
    uint64_t fates[TUMBLE_FATE_COUNT] = {0};
    struct tumble_error error = {0};
    enum tumble_code code = slow_records(pair->shard[1], rest, records, fates, &error);
    if (code != TUMBLE_OK) {
        fail_msg("%s %zu: record %lld of %zu: %s", what, at, (long long)error.record, records, error.text);
    }
    char *got = windows_of(pair->engine[0], false), *wanted = windows_of(pair->engine[1], false);
    if (strcmp(got, wanted) != 0) {
        fail_msg("%s %zu: %zu records leave\n%s-- wanted:\n%s", what, at, records, got, wanted);
    }
    free(got);
    free(wanted);
}

static struct pair again(struct pair pair) {
    for (int i = 0; i < 2; i++) {
        tumble_engine_destroy(pair.engine[i]);
        pair.engine[i] = engine_of(pair.spec, NULL, 0);
        pair.shard[i] = shard_of(pair.engine[i], SHARD);
    }
    return pair;
}

static void an_event_cut_anywhere_can_be_given_again(void **state) {
    (void)state;
    static const unsigned spellings[] = {0, WINDOWED | SPACED | ESCAPED | SHUFFLED | UNKNOWN_MEMBERS};
    for (size_t s = 0; s < 2; s++) {
        struct writer w = {.out = new_buf(), .random = 5};
        small_event(&w, spellings[s]);
        const struct tumble_bytes whole = tw_buf_view(&w.out);
        size_t end = whole.length; /* of the object */
        while (whole.data[end - 1] != '}') {
            end--;
        }
        struct pair pair = new_pair(SPEC);
        for (size_t cut = 0; cut < end; cut += 1 + s) /* the plain spelling at every byte */ {
            struct tumble_event_result result;
            struct tumble_error error = {0};
            pair = again(pair);
            char *copy = exact_copy(whole.data, cut);
            struct tumble_bytes event = {copy, cut}, id;
            enum tumble_code code = tumble_shard_apply_event(pair.shard[0], event, &result, &error);
            if (code != TUMBLE_EJSON || error.byte != (int64_t)cut || !error.text[0]) {
                fail_msg("cut to %zu: %s at %lld: %s", cut, tumble_code_name(code), (long long)error.byte, error.text);
            }
            tumble_event_shard_id(event, &id, &error);
            assert_applied(&pair, &w, event, result.records, "cut to", cut);
            ok(tumble_shard_apply_event(pair.shard[0], whole, &result, &error));
            assert_applied(&pair, &w, whole, w.records, "again after a cut to", cut);
            free(copy);
        }
        free_pair(&pair);
        tw_buf_clean_up(&w.out);
    }
}

static void an_event_with_a_changed_byte_applies_what_it_says(void **state) {
    (void)state;
    static const struct {
        unsigned spelling;
        const char *spec;
    } cases[] = {{0, SPEC}, {0, DIVERT_SPEC}, {WINDOWED | SPACED | ESCAPED | SHUFFLED | UNKNOWN_MEMBERS, SPEC}};
    static const uint8_t masks[] = {0x01, 0x04, 0x20, 0x80};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct writer w = {.out = new_buf(), .random = 5};
        small_event(&w, cases[c].spelling);
        struct pair pair = new_pair(cases[c].spec);
        struct tumble_bytes whole = tw_buf_view(&w.out);
        for (size_t at = 0; at < whole.length; at++) {
            for (size_t m = at % 3; m < sizeof masks + 1; m += 3) {
                struct tumble_event_result result;
                struct tumble_error error = {0};
                pair = again(pair);
                char *copy = exact_copy(whole.data, whole.length);
                struct tumble_bytes event = {copy, whole.length}, id;
                copy[at] = m == sizeof masks ? '"' : (char)((uint8_t)copy[at] ^ masks[m]);
                enum tumble_code code = tumble_shard_apply_event(pair.shard[0], event, &result, &error);
                if ((code != TUMBLE_OK && !error.text[0]) || result.records > w.records) {
                    fail_msg("byte %zu: %s, %zu records", at, tumble_code_name(code), result.records);
                }
                assert_applied(&pair, &w, event, result.records, "byte", at);
                tumble_event_shard_id(event, &id, &error);
                free(copy);
            }
        }
        free_pair(&pair);
        tw_buf_clean_up(&w.out);
    }
}

/* Records in front of where an event turns out to be none are applied. */
static void what_is_no_kinesis_event_is_refused(void **state) {
    (void)state;
#define RECORD(sequence, arrival, id)                                                                                  \
    "{\"kinesis\":{\"sequenceNumber\":\"" sequence "\",\"data\":\"eyJrIjoiYSIsInYiOjF9\","                             \
    "\"approximateArrivalTimestamp\":" arrival "}" id "}"
#define OURS(sequence) RECORD(sequence, "1607497440.5", ",\"eventID\":\"" SHARD ":" sequence "\"")
    static const struct {
        const char *event;
        enum tumble_code code;
        size_t records;
        int64_t record;
        const char *text;
    } cases[] = {
        {"", TUMBLE_EJSON, 0, -1, "the event ends where an object"},
        {" \n", TUMBLE_EJSON, 0, -1, "the event ends where an object"},
        {"[]", TUMBLE_EEVENT, 0, -1, "no object with Records"},
        {"null", TUMBLE_EEVENT, 0, -1, "no object with Records"},
        {"{}", TUMBLE_EEVENT, 0, -1, "no Records"},
        {"{\"records\":[]}", TUMBLE_EEVENT, 0, -1, "no Records"},
        {"{\"Records\":{}}", TUMBLE_EEVENT, 0, -1, "Records is no array"},
        {"{\"Records\":null}", TUMBLE_EEVENT, 0, -1, "Records is no array"},
        {"{\"Records\":\"x", TUMBLE_EJSON, 0, -1, ""},
        {"{\"Records\":[1]}", TUMBLE_EEVENT, 0, 0, "record 0 of the event"},
        {"{\"Records\":[{}]}", TUMBLE_EEVENT, 0, 0, "record 0 of the event"},
        {"{\"Records\":[],\"Records\":[]}", TUMBLE_EEVENT, 0, -1, "Records twice"},
        {"{\"Records\":[" OURS("1") "],\"Rec\\u006frds\":[" OURS("2") "]}", TUMBLE_EEVENT, 1, -1, "Records twice"},
        {"{\"Records\":[" OURS("1") "]}}", TUMBLE_EJSON, 1, -1, "nothing behind the event"},
        {"{\"Records\":[" OURS("1") "],}", TUMBLE_EJSON, 1, -1, "the name of a member"},
        {"{\"Records\":[" OURS("1") "] \"a\":1}", TUMBLE_EJSON, 1, -1, "a comma or the end of the event"},
        {"{\"Records\":[" OURS("1") ",]}", TUMBLE_EJSON, 1, 1, "record 1 of the event"},
        {"{\"Records\":[" OURS("1") " " OURS("2") "]}", TUMBLE_EJSON, 1, -1, "a comma or the end of Records"},
        {"{\"Records\":[" OURS("1") "],\"x\":\"\xff\"}", TUMBLE_EUTF8, 1, -1, ""},
        {"{\"Records\":[" OURS("1") "," OURS("2") ",{\"kinesis\":7}]}", TUMBLE_EEVENT, 2, 2, "record 2 of the event"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1607497440.5", "") "]}", TUMBLE_EEVENT, 1, 1, "names no shard"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1607497440.5", ",\"eventID\":null") "]}", TUMBLE_EEVENT, 1, 1,
         "names no shard"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1607497440.5", ",\"eventID\":\"" SHARD "\"") "]}", TUMBLE_EEVENT,
         1, 1, "names no shard"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1607497440.5", ",\"eventID\":\"shardId-000000000007:2\"") "]}",
         TUMBLE_EEVENT, 1, 1, "shard shardId-000000000007, not " SHARD},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1607497440.5", ",\"eventID\":\"" SHARD "0:2\"") "]}",
         TUMBLE_EEVENT, 1, 1, "not " SHARD},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "-1", ",\"eventID\":\"" SHARD ":2\"") "]}", TUMBLE_EEVENT, 1, 1,
         "record 1 of the event"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "1e300", ",\"eventID\":\"" SHARD ":2\"") "]}", TUMBLE_EEVENT, 1, 1,
         "record 1 of the event"},
        {"{\"Records\":[" OURS("1") "," RECORD("2", "9999999999999", ",\"eventID\":\"" SHARD ":2\"") "]}",
         TUMBLE_EEVENT, 1, 1, "record 1 of the event"},
        {"{\"Records\":[" RECORD("1", "1607497440.5", ",\"eventID\":\"shardId-00000000000\\u0036\\u003a1\"") "]}",
         TUMBLE_OK, 1, -1, NULL}, /* the same name, spelled in another way */
        {"{\"Records\":[" RECORD("1", "1.6074974405E9", ",\"eventID\":\"" SHARD ":1\"") "]}", TUMBLE_OK, 1, -1, NULL},
        {"{\"Records\":[" RECORD("1", "253402300799.999", ",\"eventID\":\"" SHARD ":1\"") "]}", TUMBLE_OK, 1, -1, NULL},
        {"{\"Records\":[" RECORD("1", "0", ",\"eventID\":\"" SHARD ":1\"") "]}", TUMBLE_OK, 1, -1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_spec *spec = spec_of(SPEC);
        struct tumble_engine *engine = engine_of(spec, NULL, 0);
        struct tumble_event_result result;
        struct tumble_error error = {.record = -1};
        struct tumble_counters counters;
        enum tumble_code code =
            tumble_shard_apply_event(shard_of(engine, SHARD), tumble_bytes_of(cases[i].event), &result, &error);
        if (code != cases[i].code || result.records != cases[i].records) {
            fail_msg("%s: %s (%s), %zu records", cases[i].event, tumble_code_name(code), error.text, result.records);
        }
        if (code != TUMBLE_OK && (error.record != cases[i].record || !strstr(error.text, cases[i].text))) {
            fail_msg("%s: record %lld: %s", cases[i].event, (long long)error.record, error.text);
        }
        ok(tumble_engine_commit(engine, &error));
        tumble_engine_counters(engine, &counters);
        assert_int_equal(counters.fates[TUMBLE_FATE_APPLIED], cases[i].records);
        assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], cases[i].records);
        tumble_engine_destroy(engine);
        tumble_spec_destroy(spec);
    }
}

static void the_shard_of_an_event_is_found_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *event;
        enum tumble_code code;
        const char *id;
    } cases[] = {
        {"{\"Records\":[" OURS("1") ", never read", TUMBLE_OK, SHARD},
        {"{\"shardId\":\"other\",\"Records\":[" OURS("1") "]}", TUMBLE_OK, SHARD},
        {"{\"Records\":[],\"shardId\":\"s\"}", TUMBLE_OK, "s"},
        {"{\"shardId\":\"s\",\"Records\":[]}", TUMBLE_OK, "s"},
        {"{\"Records\":[]}", TUMBLE_EEVENT, NULL},
        {"{\"Records\":[],\"shardId\":7}", TUMBLE_EEVENT, NULL},
        {"{\"Records\":[],\"shardId\":\"\"}", TUMBLE_EEVENT, NULL},
        {"{\"Records\":[" RECORD("2", "1", "") "],\"shardId\":\"s\"}", TUMBLE_EEVENT, NULL},
        {"{\"Records\":[" RECORD("2", "1", ",\"eventID\":\":2\"") "]}", TUMBLE_EEVENT, NULL},
        {"{\"Records\":[{]}", TUMBLE_EJSON, NULL},
        {"{\"Records\":7}", TUMBLE_EEVENT, NULL},
        {"", TUMBLE_EJSON, NULL},
        /* A view of the event cannot undo escapes: no shard is better than one of that name. */
        {"{\"Records\":[" RECORD("2", "1", ",\"eventID\":\"shardId-\\u0030:2\"") "]}", TUMBLE_EEVENT, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_error error = {0};
        struct tumble_bytes id = {NULL, 0};
        char *copy = exact_copy(cases[i].event, strlen(cases[i].event));
        struct tumble_bytes event = {copy, strlen(cases[i].event)};
        enum tumble_code code = tumble_event_shard_id(event, &id, &error);
        if (code != cases[i].code || (code == TUMBLE_OK && !tumble_bytes_equal(id, tumble_bytes_of(cases[i].id)))) {
            fail_msg("%s: %s: %.*s%s", cases[i].event, tumble_code_name(code), (int)id.length, id.data, error.text);
        }
        assert_int_equal(tumble_event_shard_id(event, &id, NULL), cases[i].code);
        free(copy);
    }
}

/* ---- engines that cannot take them ---- */

static void an_event_survives_every_failure_of_memory(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(DIVERT_SPEC);
    struct writer w = {.out = new_buf(), .random = 4};
    char *big = malloc(50000);
    memset(big, ' ', 50000);
    begin_records(&w, SHUFFLED | ESCAPED);
    for (uint64_t i = 0; i < 150; i++) {
        char payload[48];
        struct kpl_message message = aggregate_of(70, i, i == 140 ? 30 : SIZE_MAX);
        int length = snprintf(payload, sizeof payload, "{\"k\":\"g%u\",\"v\":1e%d}", (unsigned)i, (int)(i % 40) - 20);
        struct item item = {.sequence = i, .arrival_ms = T0 * INT64_C(1000) + 1000 * (int64_t)i};
        memcpy(big, payload, (size_t)length);
        item.payload = i % 40 == 20 ? (struct tumble_bytes){message.bytes, message.length}
                       : i == 77    ? (struct tumble_bytes){big, 50000}
                                    : (struct tumble_bytes){payload, (size_t)length};
        item.data = i == 100 ? "bad" : NULL;
        put_item(&w, &item);
    }
    end_records(&w);
    char *wanted = NULL;
    size_t failures = 0;
    for (size_t fail_at = 0;; fail_at++) { /* 0: none does */
        struct counting_alloc count = {0};
        struct tumble_engine *engine;
        struct tumble_engine_options options = {
            .spec = spec, .source = tumble_bytes_of("test"), .alloc = counting_alloc_of(&count)};
        ok(tumble_engine_open(&options, &engine, &error));
        attach_kept(engine, TUMBLE_ROW_FAILURE);
        struct tumble_shard *shard = shard_of(engine, SHARD);
        struct tumble_event_result result;
        count.fail_at = fail_at ? count.calls + fail_at : 0;
        enum tumble_code code = tumble_shard_apply_event(shard, tw_buf_view(&w.out), &result, &error);
        bool failed = count.failed > 0;
        if (code != (failed ? TUMBLE_ENOMEM : TUMBLE_OK)) {
            fail_msg("call %zu: %s: %s", fail_at, tumble_code_name(code), error.text);
        }
        failures += failed;
        count.fail_at = 0;
        if (code != TUMBLE_OK) { /* those told of are there, and no others; the rest come with the event again */
            struct tumble_engine *other = engine_of(spec, NULL, 0);
            struct tumble_bytes rest = {w.out.data + w.array, w.out.length - w.array};
            uint64_t fates[TUMBLE_FATE_COUNT] = {0};
            ok(slow_records(shard_of(other, SHARD), rest, result.records, fates, &error));
            if (fail_at % 5 == 0 && result.records % 40 != 20) { /* an aggregate may have been applied in part */
                assert_same_text(windows_of(engine, false), windows_of(other, false));
            }
            tumble_engine_destroy(other);
            ok(tumble_shard_apply_event(shard, tw_buf_view(&w.out), &result, &error));
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
            break;
        }
    }
    assert_true(failures > 20);
    free(wanted);
    free(big);
    tw_buf_clean_up(&w.out);
    tumble_spec_destroy(spec);
}

static void an_engine_that_may_not_be_written_refuses_events(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct tumble_shard *shard = shard_of(engine, SHARD);
    struct tumble_event_result result;
    engine->read_only = true;
    assert_int_equal(tumble_shard_apply_event(shard, tumble_bytes_of("{\"Records\":[]}"), &result, &error),
                     TUMBLE_EINVAL);
    assert_int_equal(result.records, 0);
    engine->read_only = false;
    /* A window that is being closed takes no records until the next commit. */
    struct writer w = {.out = new_buf(), .random = 4};
    small_event(&w, 0);
    ok(tumble_shard_apply_event(shard, tw_buf_view(&w.out), NULL, &error));
    ok(tumble_shard_close(shard, (T0 + 60) * INT64_C(1000), &error));
    assert_int_equal(tumble_shard_apply_event(shard, tw_buf_view(&w.out), &result, &error), TUMBLE_EINVAL);
    assert_int_equal(result.records, 2);
    assert_int_equal(result.fates[TUMBLE_FATE_DUPLICATE], 2);
    assert_int_equal(error.record, 2);
    tw_buf_clean_up(&w.out);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_cut_anywhere_can_be_given_again),
        cmocka_unit_test(an_event_with_a_changed_byte_applies_what_it_says),
        cmocka_unit_test(what_is_no_kinesis_event_is_refused),
        cmocka_unit_test(the_shard_of_an_event_is_found_or_refused),
        cmocka_unit_test(an_event_survives_every_failure_of_memory),
        cmocka_unit_test(an_engine_that_may_not_be_written_refuses_events),
    };
    return cmocka_run_group_tests_name("event_apply_hostile", tests, NULL, NULL);
}
