#include "event_pair.h"

/* An event applied in one pass leaves what its records leave when each is read and applied by itself. */

static void events_of_every_spelling_leave_what_their_records_leave(void **state) {
    (void)state;
    for (unsigned spelling = 0; spelling < SPELLINGS; spelling++) {
        struct pair pair = new_pair(spelling & 1 ? SPEC : DIVERT_SPEC);
        struct writer w = {.out = new_buf(), .random = spelling + 1};
        uint64_t sequence = 1000;
        int64_t arrival_ms = T0 * INT64_C(1000);
        for (int events = 0; events < 8; events++) {
            size_t records = events == 5 ? 0 : 1 + random_below(&w.random, events == 7 ? 300 : 100);
            begin_records(&w, spelling);
            uint64_t again = random_below(&w.random, 3) == 0 ? 5 : 0; /* some of them a second time */
            sequence -= again;
            for (size_t i = 0; i < records; i++) {
                char payload[96];
                arrival_ms += (int64_t)random_below(&w.random, 900) - (i % 50 == 49 ? 70000 : 0);
                struct item item = {.sequence = sequence++, .arrival_ms = arrival_ms};
                item.payload = payload_of(&w, payload, sizeof payload, sequence);
                put_item(&w, &item);
            }
            end_records(&w);
            assert_int_equal(give(&pair, &w), TUMBLE_OK);
            if (events % 4 == 3) { /* the whole event again */
                assert_int_equal(give(&pair, &w), TUMBLE_OK);
            }
        }
        assert_pair_same(&pair);
        free_pair(&pair);
        tw_buf_clean_up(&w.out);
    }
}

/* Enough records laid out alike to be read many at once, and among them what cannot be: whatever is odd about one, it
 * and those around it leave what they would. */
static void odd_records_among_many_alike(void **state) {
    (void)state;
    struct writer w = {.out = new_buf(), .random = 9};
    for (int odd = 0; odd < 11; odd++) {
        struct pair pair = new_pair(odd % 2 ? SPEC : DIVERT_SPEC);
        uint64_t sequence = 100000;
        int64_t arrival_ms = T0 * INT64_C(1000);
        for (int events = 0; events < 3; events++) {
            begin_records(&w, events == 2 ? WINDOWED : 0);
            for (size_t i = 0; i < 1500; i++) {
                char payload[96];
                struct kpl_message message = {.length = 0};
                struct item item = {.sequence = sequence++, .arrival_ms = arrival_ms += 20};
                const bool now = random_below(&w.random, 60) == 0;
                item.payload = payload_of(&w, payload, sizeof payload, sequence);
                w.spelling = now && odd == 1 ? SPACED : now && odd == 2 ? ESCAPED : now && odd == 3 ? SHUFFLED : 0;
                if (now && odd == 4) {
                    item.sequence -= random_below(&w.random, 3);
                } else if (now && odd == 5) {
                    item.arrival_ms = arrival_ms += 61000;
                } else if (now && odd == 6) {
                    item.data = random_below(&w.random, 2) ? "e30-" : "e30";
                } else if (now && odd == 7) {
                    put_text(&message, 1, "one");
                    for (size_t k = 0; k < 5; k++) {
                        put_record(&message, 0, -1, "{\"k\":\"part\",\"v\":2}");
                    }
                    message = sealed(&message);
                    item.payload = (struct tumble_bytes){message.bytes, message.length};
                } else if (now && odd == 8) {
                    item.arrival_ms -=
                        (int64_t)random_below(&w.random, 100000); /* another window, and too late perhaps */
                } else if (now && odd == 9) {
                    item.payload.length = 0;
                } else if (now && odd == 10) {
                    item.sequence = random_below(&w.random, 1000) * UINT64_C(10000000000000000);
                }
                put_item(&w, &item);
            }
            w.spelling = 0;
            end_records(&w);
            give(&pair, &w);
        }
        assert_pair_same(&pair);
        free_pair(&pair);
    }
    tw_buf_clean_up(&w.out);
}

static void a_record_of_another_shard_among_many_alike_is_refused(void **state) {
    (void)state;
    struct writer w = {.out = new_buf(), .random = 3};
    struct pair pair = new_pair(SPEC);
    struct tumble_event_result result;
    struct tumble_error error;
    for (uint64_t events = 0; events < 2; events++) {
        begin_records(&w, 0);
        for (uint64_t i = 0; i < 1000; i++) {
            put_item(&w, &(struct item){.sequence = 1000 * events + i,
                                        .arrival_ms = T0 * INT64_C(1000) + (int64_t)i,
                                        .shard = events && i == 777 ? "shardId-000000000007" : NULL,
                                        .payload = tumble_bytes_of("{\"k\":\"a\",\"v\":1}")});
        }
        end_records(&w);
        assert_int_equal(tumble_shard_apply_event(pair.shard[0], tw_buf_view(&w.out), &result, &error),
                         events ? TUMBLE_EEVENT : TUMBLE_OK);
    }
    assert_int_equal(error.record, 777);
    assert_int_equal(result.records, 777);
    free_pair(&pair);
    tw_buf_clean_up(&w.out);
}

static void what_an_event_says_of_itself_is_told(void **state) {
    (void)state;
    struct tumble_error error;
    struct pair pair = new_pair(SPEC);
    struct writer w = {.out = new_buf(), .random = 1};
    struct tumble_event_result result;
    struct tumble_bytes id;
    begin_records(&w, 0);
    for (uint64_t i = 0; i < 5; i++) {
        put_item(&w, &(struct item){.sequence = i,
                                    .arrival_ms = T0 * INT64_C(1000) + 70000 * (int64_t)(i % 3),
                                    .payload = tumble_bytes_of("{}")});
    }
    end_records(&w);
    ok(tumble_event_shard_id(tw_buf_view(&w.out), &id, &error));
    assert_true(tumble_bytes_equal(id, tumble_bytes_of(SHARD)));
    ok(tumble_shard_apply_event(pair.shard[0], tw_buf_view(&w.out), &result, &error));
    assert_int_equal(result.first_arrival_ms, T0 * INT64_C(1000));
    assert_int_equal(result.last_arrival_ms, T0 * INT64_C(1000) + 70000);
    assert_int_equal(result.fates[TUMBLE_FATE_APPLIED], 5);
    ok(tumble_shard_apply_event(pair.shard[0], tw_buf_view(&w.out), NULL, &error));
    assert_int_equal(tumble_shard_apply_event(pair.shard[0], tw_buf_view(&w.out), NULL, NULL), TUMBLE_OK);
    begin_records(&w, WINDOWED);
    end_records(&w);
    ok(tumble_event_shard_id(tw_buf_view(&w.out), &id, &error));
    assert_true(tumble_bytes_equal(id, tumble_bytes_of(SHARD)));
    ok(tumble_shard_apply_event(pair.shard[0], tw_buf_view(&w.out), &result, &error));
    assert_int_equal(result.records, 0);
    assert_int_equal(result.first_arrival_ms, -1);
    assert_int_equal(result.last_arrival_ms, -1);
    free_pair(&pair);
    tw_buf_clean_up(&w.out);
}

/* ---- aggregates ---- */

/* Slices end in the middle of them, before them and behind them; records that follow are decoded into the same
 * memory. */
static void aggregates_leave_what_their_records_leave(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (size_t before = 0; before < 70; before += before < 2 ? 1 : 17) {
        for (size_t size = 0; size < SIZES; size++) {
            struct pair pair = new_pair(DIVERT_SPEC);
            struct writer w = {.out = new_buf(), .random = before + 1};
            for (uint64_t event = 0; event < 3; event++) {
                uint64_t sequence = 1000 * event;
                begin_records(&w, event == 2 ? ESCAPED | SHUFFLED : 0);
                for (size_t i = 0; i < before + 5; i++) {
                    char payload[96];
                    struct kpl_message message;
                    struct item item = {.sequence = ++sequence};
                    item.arrival_ms = T0 * INT64_C(1000) + (int64_t)sequence;
                    item.payload = payload_of(&w, payload, sizeof payload, sequence);
                    if (i == before || i == before + 2 || i == before + 3) {
                        message = aggregate_of(sizes[size], sequence, SIZE_MAX);
                        item.payload = (struct tumble_bytes){message.bytes, message.length};
                    }
                    put_item(&w, &item);
                }
                end_records(&w);
                assert_int_equal(give(&pair, &w), TUMBLE_OK);
                assert_int_equal(give(&pair, &w), TUMBLE_OK);
            }
            assert_pair_same(&pair);
            free_pair(&pair);
            tw_buf_clean_up(&w.out);
        }
    }
}

static void what_only_looks_like_an_aggregate_is_a_record(void **state) {
    (void)state;
    for (int divert = 0; divert < 2; divert++) {
        for (int kind = 0; kind < 4; kind++) {
            struct pair pair = new_pair(divert ? DIVERT_SPEC : SPEC);
            struct writer w = {.out = new_buf(), .random = 7};
            begin_records(&w, 0);
            for (uint64_t i = 0; i < 30; i++) {
                char payload[96];
                struct kpl_message message = aggregate_of(20, i, kind == 0 ? 11 : SIZE_MAX);
                struct item item = {.sequence = i, .arrival_ms = T0 * INT64_C(1000)};
                if (kind == 1) {
                    message.bytes[message.length - 1] ^= 1; /* its digest */
                } else if (kind == 2) {
                    message.bytes[5] ^= 1;
                } else if (kind == 3) {
                    message.length = 21;
                }
                item.payload = i % 10 == 5 ? (struct tumble_bytes){message.bytes, message.length}
                                           : payload_of(&w, payload, sizeof payload, i);
                put_item(&w, &item);
            }
            end_records(&w);
            assert_int_equal(give(&pair, &w), divert ? TUMBLE_OK : TUMBLE_ERECORD);
            assert_pair_same(&pair);
            free_pair(&pair);
            tw_buf_clean_up(&w.out);
        }
    }
}

/* ---- payloads ---- */

static void put_plain(struct writer *w, uint64_t sequence, const char *data) {
    char payload[96];
    struct item item = {.sequence = sequence, .arrival_ms = T0 * INT64_C(1000) + (int64_t)sequence, .data = data};
    item.payload = payload_of(w, payload, sizeof payload, sequence);
    put_item(w, &item);
}

static void bad_base64_is_a_bad_record_in_its_place(void **state) {
    (void)state;
    static const char *const bad[] = {"A",
                                      "A===",
                                      "eyJrIjoi*iJ9",
                                      "e30",
                                      "e30-",
                                      "e31=",
                                      "e3\\u0001\\u0002",
                                      "====",
                                      "eyJrIjoiYSIsInYiOjEuNX0eyJrIjoiYSIsInYiOjEuNX0eyJrIjoiYSIsInYiOjEuNX0=e30="};
    for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
        for (size_t place = 0; place < 80; place += 1 + place / 2) {
            for (int divert = 0; divert < 2; divert++) {
                struct pair pair = new_pair(divert ? DIVERT_SPEC : SPEC);
                struct writer w = {.out = new_buf(), .random = 3};
                for (int corrected = 0; corrected < 2; corrected++) {
                    begin_records(&w, 0);
                    for (uint64_t i = 0; i < 80; i++) {
                        put_plain(&w, i, i == place && !corrected ? bad[b] : NULL);
                    }
                    end_records(&w);
                    assert_int_equal(give(&pair, &w), divert || corrected ? TUMBLE_OK : TUMBLE_ERECORD);
                }
                assert_pair_same(&pair);
                free_pair(&pair);
                tw_buf_clean_up(&w.out);
            }
        }
    }
}

static void payloads_of_every_size_are_taken(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 20, 21, 46, 47, 48, 64, 10 << 10, 24575, 24576, 24577, 32768, 1 << 20};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    struct pair pair = new_pair(DIVERT_SPEC);
    struct writer w = {.out = new_buf(), .random = 9};
    char *big = malloc((1 << 20) + 1);
    uint64_t sequence = 0;
    assert_non_null(big);
    memset(big, ' ', 1 << 20);
    for (unsigned spelling = 0; spelling < SPELLINGS; spelling += 21) {
        begin_records(&w, spelling);
        for (size_t i = 0; i < 3 * SIZES; i++) {
            size_t size = sizes[i % SIZES];
            struct item item = {.sequence = ++sequence, .arrival_ms = T0 * INT64_C(1000), .payload = {big, size}};
            char first[32];
            int length = snprintf(first, sizeof first, "{\"k\":\"%u\",\"v\":%u}", (unsigned)(i % 4), (unsigned)i);
            memcpy(big, first, (size_t)length); /* cut in the short ones: bad records */
            put_item(&w, &item);
            put_plain(&w, ++sequence, NULL);
        }
        end_records(&w);
        assert_int_equal(give(&pair, &w), TUMBLE_OK);
    }
    assert_pair_same(&pair);
    free(big);
    free_pair(&pair);
    tw_buf_clean_up(&w.out);
}

/* Payloads stand one behind the other with newlines between them while they are read: what looks like two of them, or
 * has white space of its own, is one record still. */
static void payloads_with_newlines_are_one_record_each(void **state) {
    (void)state;
    static const char *const odd[] = {
        "{\"k\":\"a\",\"v\":1}\n{\"k\":\"b\",\"v\":2}",
        "{\"k\":\"a\",\"v\":1}\n",
        "\n{\"k\":\"a\",\"v\":1}",
        "{\"k\":\"a\",\"v\":1}\r",
        "{\"k\":\"a\"\n,\"v\":1}",
        "{\"k\":\"a\",\"v\":1",
        "\"v\":1}",
        "",
        "{\"k\":\"a\",\"v\":1}\n{\"k\":\"b\",\"v\":2}\n",
    };
    for (size_t o = 0; o < sizeof odd / sizeof *odd; o++) {
        for (uint64_t place = 64; place < 98; place += 1 + place % 3) {
            struct pair pair = new_pair(DIVERT_SPEC);
            struct writer w = {.out = new_buf(), .random = 3};
            begin_records(&w, 0);
            for (uint64_t i = 0; i < 140; i++) {
                char payload[48];
                snprintf(payload, sizeof payload, "{\"k\":\"%c\",\"v\":%u}", (char)('a' + i % 5), (unsigned)(i % 10));
                struct item item = {.sequence = i, .arrival_ms = T0 * INT64_C(1000)};
                item.payload = tumble_bytes_of(i == place || i == place + 2 ? odd[o] : payload);
                put_item(&w, &item);
            }
            end_records(&w);
            assert_int_equal(give(&pair, &w), TUMBLE_OK);
            assert_pair_same(&pair);
            free_pair(&pair);
            tw_buf_clean_up(&w.out);
        }
    }
}

static void an_event_may_have_a_hundred_thousand_records(void **state) {
    (void)state;
    struct pair pair = new_pair(SPEC);
    struct writer w = {.out = new_buf(), .random = 9};
    begin_records(&w, WINDOWED);
    for (uint64_t i = 0; i < 100000; i++) {
        put_plain(&w, i, NULL);
    }
    end_records(&w);
    assert_int_equal(give(&pair, &w), TUMBLE_OK);
    assert_pair_same(&pair);
    free_pair(&pair);
    tw_buf_clean_up(&w.out);
}

/* ---- state ---- */

static void the_state_is_the_same_byte_for_byte(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(DIVERT_SPEC);
    char directory[2][64];
    char *texts[2];
    for (int i = 0; i < 2; i++) {
        struct writer w = {.out = new_buf(), .random = 4};
        snprintf(directory[i], sizeof directory[i], "/tmp/tumble-event-%d-%d", (int)getpid(), i);
        remove_state(directory[i]);
        struct tumble_engine *engine = engine_of(spec, directory[i], 1); /* tables leave memory at each commit */
        attach_kept(engine, TUMBLE_ROW_FAILURE);
        struct tumble_shard *shard = shard_of(engine, SHARD);
        for (uint64_t event = 0; event < 20; event++) {
            uint64_t fates[TUMBLE_FATE_COUNT] = {0};
            begin_records(&w, (unsigned)event % SPELLINGS);
            for (uint64_t r = 0; r < 40; r++) {
                char payload[96];
                struct item item = {.sequence = 40 * event + r,
                                    .arrival_ms = T0 * INT64_C(1000) + (int64_t)(event * 17000 + r)};
                item.payload = payload_of(&w, payload, sizeof payload, item.sequence);
                put_item(&w, &item);
            }
            end_records(&w);
            struct tumble_bytes rest = {w.out.data + w.array, w.out.length - w.array};
            ok(i == 0 ? tumble_shard_apply_event(shard, tw_buf_view(&w.out), NULL, &error)
                      : slow_records(shard, rest, w.records, fates, &error));
            ok(tumble_engine_commit(engine, &error));
        }
        texts[i] = all_of(engine, true);
        tumble_engine_destroy(engine);
        tw_buf_clean_up(&w.out);
        remove_state(directory[i]);
    }
    assert_same_text(texts[0], texts[1]);
    tumble_spec_destroy(spec);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_of_every_spelling_leave_what_their_records_leave),
        cmocka_unit_test(odd_records_among_many_alike),
        cmocka_unit_test(a_record_of_another_shard_among_many_alike_is_refused),
        cmocka_unit_test(what_an_event_says_of_itself_is_told),
        cmocka_unit_test(aggregates_leave_what_their_records_leave),
        cmocka_unit_test(what_only_looks_like_an_aggregate_is_a_record),
        cmocka_unit_test(bad_base64_is_a_bad_record_in_its_place),
        cmocka_unit_test(payloads_of_every_size_are_taken),
        cmocka_unit_test(payloads_with_newlines_are_one_record_each),
        cmocka_unit_test(an_event_may_have_a_hundred_thousand_records),
        cmocka_unit_test(the_state_is_the_same_byte_for_byte),
    };
    return cmocka_run_group_tests_name("event_apply", tests, NULL, NULL);
}
