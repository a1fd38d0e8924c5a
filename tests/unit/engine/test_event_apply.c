#include <pthread.h>

#include "event_fixture.h"

/* An event applied in one pass leaves what its records leave when each is read and applied by itself. */

#define DIVERT_SPEC                                                                                                    \
    "{\"window\":{\"seconds\":60},\"bad_records\":\"divert\",\"group_by\":[\"k\"],\"aggregates\":[{\"name\":\"n\","    \
    "\"function\":\"count\"},{\"name\":\"s\",\"function\":\"sum\",\"field\":\"v\"},{\"name\":\"pk\",\"function\":"     \
    "\"last\",\"field\":\"$partitionKey\"}]}"

enum { T0 = 1607497440 }; /* seconds: a window begins */

struct pair { /* one engine takes events as they are, the other record by record */
    struct tumble_spec *spec;
    struct tumble_engine *engine[2];
    struct tumble_shard *shard[2];
};

static struct pair new_pair(const char *spec) {
    struct pair pair = {.spec = spec_of(spec)};
    for (int i = 0; i < 2; i++) {
        pair.engine[i] = engine_of(pair.spec, NULL, 0);
        attach_kept(pair.engine[i], TUMBLE_ROW_FAILURE);
        pair.shard[i] = shard_of(pair.engine[i], SHARD);
    }
    return pair;
}

static void free_pair(struct pair *pair) {
    tumble_engine_destroy(pair->engine[0]);
    tumble_engine_destroy(pair->engine[1]);
    tumble_spec_destroy(pair->spec);
}

static void assert_pair_same(const struct pair *pair) {
    assert_same_text(all_of(pair->engine[0], false), all_of(pair->engine[1], false));
}

/* The event to one engine, its records to the other: same code, same record, same fates. Bytes come from a copy of
 * exactly their size. */
static enum tumble_code give(const struct pair *pair, const struct writer *w) {
    struct tumble_event_result result;
    struct tumble_error quick = {0}, slow = {0};
    uint64_t fates[TUMBLE_FATE_COUNT] = {0};
    char *copy = exact_copy(w->out.data, w->out.length);
    struct tumble_bytes event = {copy, w->out.length}, rest = {copy + w->array, w->out.length - w->array};
    enum tumble_code code = tumble_shard_apply_event(pair->shard[0], event, &result, &quick);
    enum tumble_code wanted = slow_records(pair->shard[1], rest, w->records, fates, &slow);
    if (code != wanted) {
        fail_msg("%s (%s), not %s (%s)", tumble_code_name(code), quick.text, tumble_code_name(wanted), slow.text);
    }
    if (code == TUMBLE_OK) {
        assert_int_equal(result.records, w->records);
    } else {
        assert_int_equal(quick.record, slow.record);
        assert_int_equal(result.records, slow.record);
        assert_int_equal(quick.byte, slow.byte);
    }
    for (int fate = 0; fate < TUMBLE_FATE_COUNT; fate++) {
        assert_int_equal(result.fates[fate], fates[fate]);
    }
    free(copy);
    return code;
}

static struct tumble_bytes payload_of(struct writer *w, char *out, size_t size, uint64_t number) {
    const unsigned small = (unsigned)random_below(&w->random, 9);
    const char letter = (char)('a' + number % 7);
    int length;
    switch (random_below(&w->random, 8)) {
    case 0: length = snprintf(out, size, "{\"v\":%u.5,\"k\":\"group %c\"}", small, letter); break;
    case 1: length = snprintf(out, size, "{\"k\":\"x/?>%u\",\"v\":-%u}", small, small); break;
    case 2: length = snprintf(out, size, "{\"k\":%u,\"v\":1e%u}", small, small); break;
    default:
        length = snprintf(out, size, "{\"k\":\"%c%u\",\"v\":%d.%02u}", letter, small, (int)(number % 100) - 50, small);
    }
    assert_true(length > 0 && (size_t)length < size);
    return (struct tumble_bytes){out, (size_t)length};
}

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

static struct kpl_message aggregate_of(size_t parts, uint64_t number, uint64_t bad_from) {
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "one");
    put_text(&message, 1, "two");
    for (size_t i = 0; i < parts; i++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"k\":\"p%u\",\"v\":%u}", (unsigned)(i % 3), (unsigned)(number % 10 + i));
        put_record(&message, i >= bad_from ? 7 : i % 2, -1, payload);
    }
    return sealed(&message);
}

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

/* ---- records that are bad ---- */

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

/* ---- events that are cut or changed ---- */

static void small_event(struct writer *w, unsigned spelling) {
    begin_records(w, spelling);
    for (uint64_t i = 0; i < 4; i++) {
        static const char *const payloads[] = {"{\"k\":\"a\",\"v\":1}", "{\"k\":\"bbbb\",\"v\":2.5}",
                                               "{\"k\":\"cccccccccccccccccccc\",\"v\":-3,\"more\":[1,2,3,4,5,6]}"};
        struct item item = {.sequence = 10 + i,
                            .arrival_ms = T0 * INT64_C(1000) + 35000 * (int64_t)i,
                            .payload = tumble_bytes_of(payloads[i % 3])};
        put_item(w, &item);
    }
    end_records(w);
}

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

/* ---- memory, state, threads ---- */

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

struct worker {
    struct tumble_shard *shard;
    const char *id;
    int failed;
};

static void *work(void *ctx) {
    struct worker *worker = ctx;
    struct writer w = {.out = new_buf(), .random = 77};
    for (uint64_t event = 0; event < 60; event++) {
        begin_records(&w, (unsigned)event % SPELLINGS);
        for (uint64_t r = 0; r < 50; r++) {
            static const char payload[] = "{\"k\":\"some group\",\"v\":1.25}";
            struct item item = {.shard = worker->id,
                                .sequence = 50 * event + r,
                                .arrival_ms = T0 * INT64_C(1000) + (int64_t)(event * 7000 + r),
                                .payload = {payload, sizeof payload - 1}};
            put_item(&w, &item);
        }
        end_records(&w);
        struct tumble_bytes id;
        worker->failed |= tumble_event_shard_id(tw_buf_view(&w.out), &id, NULL) != TUMBLE_OK && event % SPELLINGS < 8;
        worker->failed |= tumble_shard_apply_event(worker->shard, tw_buf_view(&w.out), NULL, NULL) != TUMBLE_OK;
    }
    tw_buf_clean_up(&w.out);
    return NULL;
}

static void events_of_two_shards_may_be_applied_at_once(void **state) {
    (void)state;
    struct tumble_error error;
    struct tumble_spec *spec = spec_of(SPEC);
    struct tumble_engine *engine = engine_of(spec, NULL, 0);
    struct worker workers[2] = {{.id = SHARD}, {.id = "shardId-000000000007"}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i].shard = shard_of(engine, workers[i].id);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failed, 0);
    }
    struct tumble_counters counters;
    ok(tumble_engine_commit(engine, &error));
    tumble_engine_counters(engine, &counters);
    assert_int_equal(counters.fates[TUMBLE_FATE_APPLIED], 2 * 60 * 50);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
}

#if defined(__SANITIZE_THREAD__)
#define UNDER_THREAD_SANITIZER 1
#elif defined(__has_feature)
#define UNDER_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define UNDER_THREAD_SANITIZER 0
#endif

int main(void) {
    const struct CMUnitTest threads[] = {cmocka_unit_test(events_of_two_shards_may_be_applied_at_once)};
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
        cmocka_unit_test(an_event_cut_anywhere_can_be_given_again),
        cmocka_unit_test(an_event_with_a_changed_byte_applies_what_it_says),
        cmocka_unit_test(what_is_no_kinesis_event_is_refused),
        cmocka_unit_test(the_shard_of_an_event_is_found_or_refused),
        cmocka_unit_test(an_event_survives_every_failure_of_memory),
        cmocka_unit_test(the_state_is_the_same_byte_for_byte),
        cmocka_unit_test(an_engine_that_may_not_be_written_refuses_events),
    };
    int failed = cmocka_run_group_tests_name("event_apply: threads", threads, NULL, NULL);
    if (!UNDER_THREAD_SANITIZER) { /* the rest has one thread, and takes long there */
        failed += cmocka_run_group_tests_name("event_apply", tests, NULL, NULL);
    }
    return failed;
}
