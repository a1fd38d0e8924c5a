#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/kpl.h>

#include "codec/exact_copy.h"
#include "counting_alloc.h"
#include "engine/codec/base64.h"
#include "event/kpl_message.h"

/* Captured from AWS (lambda-semantics 7.2). */
static const char golden[] = "84mawgoJb3duZWQta2V5EgEwGjYIABAAGjB7InBoYXNlIjogImhhc2hfc3RhbmRhcmQiLCAib3JkaW5hbCI6ICJj"
                             "b250cm9sIn3aoSx6/aLF5nT6cLXWhKcS";
static const char golden_data[] = "{\"phase\": \"hash_standard\", \"ordinal\": \"control\"}";

#define HASH_KEY_LAST "340282366920938463463374607431768211455"

static struct tumble_kpl *new_kpl(void) {
    struct tumble_kpl *kpl;
    assert_int_equal(tumble_kpl_new((struct tumble_alloc){0}, &kpl, NULL), TUMBLE_OK);
    return kpl;
}

/* What open says of these bytes, on a heap copy that the sanitizer watches, and of the records next then gives: all of
 * them as one text "key/hash key/sub-sequence number=data;", or "!reason;". */
struct outcome {
    enum tumble_kpl_kind kind;
    uint64_t count;
    char records[2048];
};

static struct outcome outcome_of(struct tumble_bytes data, const struct tumble_hash_range *range) {
    struct outcome outcome = {TUMBLE_KPL_PLAIN, 0, ""};
    struct tumble_kpl *kpl = new_kpl();
    struct tumble_kpl_record record;
    size_t length = 0;
    uint64_t given = 0;
    char *bytes = exact_copy(data.data, data.length);
    struct tumble_bytes copy = {bytes, data.length};
    assert_int_equal(tumble_kpl_open(kpl, copy, range, &outcome.kind, &outcome.count, NULL), TUMBLE_OK);
    for (; tumble_kpl_next(kpl, &record); given++) {
        assert_int_equal(record.sub_sequence_number, given);
        if (record.bad) {
            assert_ptr_equal(record.data.data, copy.data);
            assert_int_equal(record.data.length, copy.length);
            length += (size_t)snprintf(outcome.records + length, sizeof outcome.records - length, "!%s;", record.bad);
        } else {
            length += (size_t)snprintf(
                outcome.records + length, sizeof outcome.records - length, "%.*s/%.*s/%llu=%.*s;",
                (int)record.partition_key.length, record.partition_key.data, (int)record.explicit_hash_key.length,
                record.explicit_hash_key.data ? record.explicit_hash_key.data : "",
                (unsigned long long)record.sub_sequence_number, (int)record.data.length, record.data.data);
        }
    }
    assert_int_equal(given, outcome.kind == TUMBLE_KPL_AGGREGATE ? outcome.count : 0);
    assert_int_equal(tumble_kpl_next(kpl, &record), 0);
    free(bytes);
    tumble_kpl_destroy(kpl);
    return outcome;
}

static struct outcome outcome_of_message(const struct kpl_message *message, const struct tumble_hash_range *range) {
    struct kpl_message whole = sealed(message);
    struct tumble_bytes data = {whole.bytes, whole.length};
    return outcome_of(data, range);
}

static void assert_plain(struct tumble_bytes data) {
    struct outcome outcome = outcome_of(data, NULL);
    assert_int_equal(outcome.kind, TUMBLE_KPL_PLAIN);
    assert_int_equal(outcome.count, 0);
    assert_string_equal(outcome.records, "");
}

static void assert_message_is_plain(const struct kpl_message *message) {
    assert_int_equal(outcome_of_message(message, NULL).kind, TUMBLE_KPL_PLAIN);
}

static void assert_records(const struct kpl_message *message, uint64_t count, const char *records) {
    struct outcome outcome = outcome_of_message(message, NULL);
    assert_int_equal(outcome.kind, TUMBLE_KPL_AGGREGATE);
    assert_int_equal(outcome.count, count);
    assert_string_equal(outcome.records, records);
}

static size_t decode_golden(char out[96]) {
    size_t length;
    assert_int_equal(tw_base64_decode(tumble_bytes_of(golden), out, &length, NULL), TUMBLE_OK);
    assert_int_equal(length, 90);
    return length;
}

/* Two keys, one hash key, three records. */
static struct kpl_message usual(void) {
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "a");
    put_text(&message, 1, "b");
    put_text(&message, 2, "12");
    put_record(&message, 0, -1, "one");
    put_record(&message, 1, 0, "two");
    put_record(&message, 0, -1, "");
    return message;
}

static void the_aggregate_captured_from_aws_is_read(void **state) {
    (void)state;
    char bytes[96], want[96];
    struct tumble_bytes data = {bytes, decode_golden(bytes)};
    assert_true(tumble_kpl_suspect(data));
    struct outcome outcome = outcome_of(data, NULL);
    assert_int_equal(outcome.kind, TUMBLE_KPL_AGGREGATE);
    assert_int_equal(outcome.count, 1);
    snprintf(want, sizeof want, "owned-key/0/0=%s;", golden_data);
    assert_string_equal(outcome.records, want);
}

/* Point 41, and the same of every byte changed: the digest, the magic or the message then differ. */
static void cut_anywhere_or_changed_it_is_a_plain_record(void **state) {
    (void)state;
    char bytes[96];
    size_t length = decode_golden(bytes);
    for (size_t cut = 0; cut < length; cut++) {
        assert_plain((struct tumble_bytes){bytes, cut});
        bytes[cut] ^= 1;
        assert_plain((struct tumble_bytes){bytes, length});
        bytes[cut] ^= 1;
    }
    bytes[length] = 'x';
    assert_plain((struct tumble_bytes){bytes, length + 1});
    assert_plain((struct tumble_bytes){NULL, 0});
}

/* Point 41: a message cut short is no message, even with the right digest behind it; one that ends between two fields
 * is a shorter one. */
static void a_message_cut_short_under_a_right_digest_is_a_plain_record(void **state) {
    (void)state;
    struct kpl_message message = usual();
    size_t whole = message.length, shorter = 0;
    for (size_t cut = 1; cut < whole; cut++) {
        message.length = cut;
        struct outcome outcome = outcome_of_message(&message, NULL);
        if (outcome.kind == TUMBLE_KPL_PLAIN) {
            continue;
        }
        static const uint64_t counts[] = {0, 0, 0, 1, 2};
        assert_true(shorter < 5);
        assert_int_equal(outcome.count, counts[shorter++]);
    }
    assert_int_equal(shorter, 5);
}

static void sixteen_bytes_behind_the_magic_are_a_plain_record(void **state) {
    (void)state;
    struct kpl_message nothing = {.length = 0};
    assert_message_is_plain(&nothing); /* magic and the MD5 of no bytes */
}

static void records_carry_their_keys_and_count_from_zero(void **state) {
    (void)state;
    struct kpl_message message = usual();
    assert_records(&message, 3, "a//0=one;b/12/1=two;a//2=;");
}

static void fields_may_stand_in_any_order_and_unknown_ones_are_skipped(void **state) {
    (void)state;
    struct kpl_message message = {.length = 0}, record = {.length = 0}, tag = {.length = 0};
    put_text(&tag, 1, "name");
    put_text(&tag, 2, "value");
    put_inner(&record, 4, &tag);
    put_text(&record, 3, "overwritten");
    put_text(&record, 3, "data");
    put_text(&record, 9, "unknown");
    put_number(&record, 1, 7);
    put_number(&record, 1, 1);
    put_inner(&message, 3, &record);
    put_number(&message, 15, 1);
    put_varint(&message, 4 << 3 | 3); /* a group of field 4 */
    put_varint(&message, 4 << 3 | 4);
    put_text(&message, 1, "same");
    put_text(&message, 1, "same"); /* tables need not be deduplicated */
    assert_records(&message, 1, "same//0=data;");
}

static void tables_without_records_give_nothing(void **state) {
    (void)state;
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "a");
    assert_records(&message, 0, "");
}

static void a_record_without_what_is_required_makes_it_plain(void **state) {
    (void)state;
    for (int which = 0; which < 4; which++) {
        struct kpl_message message = {.length = 0}, record = {.length = 0}, tag = {.length = 0};
        put_text(&message, 1, "a");
        if (which != 0) {
            put_number(&record, 1, 0);
        }
        if (which != 1) {
            put_text(&record, 3, "data");
        }
        if (which == 2) {
            put_text(&tag, 2, "a tag has a key");
            put_inner(&record, 4, &tag);
        }
        put_inner(&message, 3, &record);
        if (which < 3) {
            assert_message_is_plain(&message);
        } else {
            assert_records(&message, 1, "a//0=data;");
        }
    }
}

static void a_known_field_of_another_wire_type_makes_it_plain(void **state) {
    (void)state;
    for (uint32_t field = 1; field <= 3; field++) {
        struct kpl_message message = usual();
        put_number(&message, field, 0);
        assert_message_is_plain(&message);
    }
    for (uint32_t field = 1; field <= 4; field++) {
        struct kpl_message message = usual(), record = {.length = 0};
        put_number(&record, 1, 0);
        put_text(&record, 3, "data");
        if (field <= 2) {
            put_text(&record, field, "\1"); /* packed */
        } else {
            put_number(&record, field, 1);
        }
        put_inner(&message, 3, &record);
        assert_message_is_plain(&message);
    }
}

static void a_key_that_is_not_utf_8_makes_it_plain(void **state) {
    (void)state;
    for (uint32_t field = 1; field <= 2; field++) {
        struct kpl_message message = usual();
        put_text(&message, field, "\xc3(");
        assert_message_is_plain(&message);
    }
}

/* Point 43, but nothing is lost in silence: a bad record stands for the rest. */
static void an_index_beyond_its_table_keeps_the_records_before_it(void **state) {
    (void)state;
    struct kpl_message message = usual();
    put_record(&message, 2, -1, "bad");
    put_record(&message, 0, -1, "behind it");
    assert_records(&message, 4,
                   "a//0=one;b/12/1=two;a//2=;!aggregated record: the index of its partition key is beyond the table;");
    message = usual();
    put_record(&message, UINT64_MAX, -1, "bad");
    assert_int_equal(outcome_of_message(&message, NULL).count, 4);
    message = usual();
    put_record(&message, 0, 1, "bad");
    assert_records(
        &message, 4,
        "a//0=one;b/12/1=two;a//2=;!aggregated record: the index of its explicit hash key is beyond the table;");
    struct kpl_message first = {.length = 0};
    put_record(&first, 0, -1, "no table at all");
    assert_records(&first, 1, "!aggregated record: the index of its partition key is beyond the table;");
}

static void an_explicit_hash_key_that_is_no_number_is_bad(void **state) {
    (void)state;
    static const char *const wrong[] = {"-1", "1.5", "x", "340282366920938463463374607431768211456"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct kpl_message message = {.length = 0};
        put_text(&message, 1, "a");
        put_text(&message, 2, wrong[i]);
        put_text(&message, 2, HASH_KEY_LAST);
        put_record(&message, 0, 1, "good");
        put_record(&message, 0, 0, "bad");
        assert_records(&message, 2,
                       "a/" HASH_KEY_LAST
                       "/0=good;!aggregated record: its explicit hash key is not a number from 0 to 2^128-1;");
    }
}

static struct tumble_hash_range range_of(const char *first, const char *last) {
    struct tumble_hash_range range;
    assert_int_equal(tumble_hash_key_parse(tumble_bytes_of(first), range.first, NULL), TUMBLE_OK);
    assert_int_equal(tumble_hash_key_parse(tumble_bytes_of(last), range.last, NULL), TUMBLE_OK);
    return range;
}

static void a_hash_key_is_sixteen_bytes_big_endian(void **state) {
    (void)state;
    struct tumble_hash_range range = range_of("258", HASH_KEY_LAST);
    static const uint8_t first[16] = {[14] = 1, [15] = 2};
    uint8_t last[16];
    memset(last, 0xff, sizeof last);
    assert_memory_equal(range.first, first, 16);
    assert_memory_equal(range.last, last, 16);
    assert_int_equal(tumble_hash_key_parse(tumble_bytes_of(""), last, NULL), TUMBLE_EINVAL);
    assert_int_equal(tumble_hash_key_parse(tumble_bytes_of("12a"), last, NULL), TUMBLE_EINVAL);
}

/* Points 42 and 44. MD5("a") begins with 0c: below 2^127; "b" with 92: above. */
static void one_record_outside_the_range_drops_the_whole_aggregate(void **state) {
    (void)state;
    struct tumble_hash_range low = range_of("0", "170141183460469231731687303715884105727");
    struct tumble_hash_range high = range_of("170141183460469231731687303715884105728", HASH_KEY_LAST);
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "a");
    put_text(&message, 1, "b");
    put_record(&message, 0, -1, "one");
    put_record(&message, 0, -1, "two");
    assert_int_equal(outcome_of_message(&message, &low).kind, TUMBLE_KPL_AGGREGATE);
    assert_int_equal(outcome_of_message(&message, &high).kind, TUMBLE_KPL_FOREIGN);
    put_record(&message, 1, -1, "elsewhere");
    struct outcome outcome = outcome_of_message(&message, &low);
    assert_int_equal(outcome.kind, TUMBLE_KPL_FOREIGN);
    assert_int_equal(outcome.count, 3);
    assert_string_equal(outcome.records, "");
}

static void an_explicit_hash_key_decides_before_the_partition_key(void **state) {
    (void)state;
    struct tumble_hash_range range = range_of("100", "200");
    static const struct {
        const char *hash_key;
        enum tumble_kpl_kind kind;
    } cases[] = {{"99", TUMBLE_KPL_FOREIGN},
                 {"100", TUMBLE_KPL_AGGREGATE},
                 {"200", TUMBLE_KPL_AGGREGATE},
                 {"201", TUMBLE_KPL_FOREIGN},
                 {"", TUMBLE_KPL_FOREIGN}}; /* as good as none */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct kpl_message message = {.length = 0};
        put_text(&message, 1, "a");
        put_text(&message, 2, cases[i].hash_key);
        put_record(&message, 0, 0, "x");
        assert_int_equal(outcome_of_message(&message, &range).kind, cases[i].kind);
    }
}

static void what_cannot_be_read_comes_before_what_is_outside_behind_it(void **state) {
    (void)state;
    struct tumble_hash_range range = range_of("0", "10");
    struct kpl_message message = {.length = 0};
    put_text(&message, 1, "a");
    put_text(&message, 2, "5");
    put_record(&message, 0, 0, "one");
    put_record(&message, 9, 0, "bad");
    put_record(&message, 0, -1, "outside");
    struct outcome outcome = outcome_of_message(&message, &range);
    assert_int_equal(outcome.kind, TUMBLE_KPL_AGGREGATE);
    assert_int_equal(outcome.count, 2);
}

static void open_forgets_the_aggregate_before(void **state) {
    (void)state;
    struct tumble_kpl *kpl = new_kpl();
    struct tumble_kpl_record record;
    enum tumble_kpl_kind kind;
    uint64_t count;
    struct kpl_message message = usual(), empty = {.length = 0};
    put_record(&message, 9, -1, "bad");
    put_text(&empty, 2, "1");
    struct kpl_message first = sealed(&message), second = sealed(&empty);
    struct tumble_bytes data = {first.bytes, first.length};
    assert_int_equal(tumble_kpl_open(kpl, data, NULL, &kind, &count, NULL), TUMBLE_OK);
    assert_int_equal(tumble_kpl_next(kpl, &record), 1);
    assert_int_equal(tumble_kpl_open(kpl, tumble_bytes_of("plain"), NULL, &kind, &count, NULL), TUMBLE_OK);
    assert_int_equal(kind, TUMBLE_KPL_PLAIN);
    assert_int_equal(tumble_kpl_next(kpl, &record), 0);
    struct tumble_bytes other = {second.bytes, second.length};
    assert_int_equal(tumble_kpl_open(kpl, other, NULL, &kind, &count, NULL), TUMBLE_OK);
    assert_int_equal(kind, TUMBLE_KPL_AGGREGATE);
    assert_int_equal(tumble_kpl_next(kpl, &record), 0);
    tumble_kpl_destroy(kpl);
    tumble_kpl_destroy(NULL);
}

static void running_out_of_memory_is_an_error_that_passes(void **state) {
    (void)state;
    struct counting_alloc count = {.fail_at = 1};
    struct tumble_kpl *kpl;
    assert_int_equal(tumble_kpl_new(counting_alloc_of(&count), &kpl, NULL), TUMBLE_ENOMEM);
    struct kpl_message message = usual();
    struct kpl_message whole = sealed(&message);
    struct tumble_bytes data = {whole.bytes, whole.length};
    count = (struct counting_alloc){0};
    assert_int_equal(tumble_kpl_new(counting_alloc_of(&count), &kpl, NULL), TUMBLE_OK);
    enum tumble_kpl_kind kind;
    uint64_t records;
    for (size_t nth = 1; nth <= 2; nth++) { /* one call a table */
        count.calls = 0;
        count.fail_at = nth;
        struct tumble_kpl_record record;
        enum tumble_code code = tumble_kpl_open(kpl, data, NULL, &kind, &records, NULL);
        assert_int_equal(code, nth == 1 || count.failed == 2 ? TUMBLE_ENOMEM : TUMBLE_OK);
        assert_int_equal(tumble_kpl_next(kpl, &record), code == TUMBLE_OK);
    }
    count.fail_at = 0;
    assert_int_equal(tumble_kpl_open(kpl, data, NULL, &kind, &records, NULL), TUMBLE_OK);
    assert_int_equal(records, 3);
    size_t calls = count.calls;
    assert_int_equal(tumble_kpl_open(kpl, data, NULL, &kind, &records, NULL), TUMBLE_OK);
    assert_int_equal(count.calls, calls); /* the tables are used again */
    tumble_kpl_destroy(kpl);
    assert_int_equal(count.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_aggregate_captured_from_aws_is_read),
        cmocka_unit_test(cut_anywhere_or_changed_it_is_a_plain_record),
        cmocka_unit_test(a_message_cut_short_under_a_right_digest_is_a_plain_record),
        cmocka_unit_test(sixteen_bytes_behind_the_magic_are_a_plain_record),
        cmocka_unit_test(records_carry_their_keys_and_count_from_zero),
        cmocka_unit_test(fields_may_stand_in_any_order_and_unknown_ones_are_skipped),
        cmocka_unit_test(tables_without_records_give_nothing),
        cmocka_unit_test(a_record_without_what_is_required_makes_it_plain),
        cmocka_unit_test(a_known_field_of_another_wire_type_makes_it_plain),
        cmocka_unit_test(a_key_that_is_not_utf_8_makes_it_plain),
        cmocka_unit_test(an_index_beyond_its_table_keeps_the_records_before_it),
        cmocka_unit_test(an_explicit_hash_key_that_is_no_number_is_bad),
        cmocka_unit_test(a_hash_key_is_sixteen_bytes_big_endian),
        cmocka_unit_test(one_record_outside_the_range_drops_the_whole_aggregate),
        cmocka_unit_test(an_explicit_hash_key_decides_before_the_partition_key),
        cmocka_unit_test(what_cannot_be_read_comes_before_what_is_outside_behind_it),
        cmocka_unit_test(open_forgets_the_aggregate_before),
        cmocka_unit_test(running_out_of_memory_is_an_error_that_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
