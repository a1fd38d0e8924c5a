#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <tumble/lambda.h>

#include "codec/exact_copy.h"
#include "codec/guarded.h"
#include "engine/codec/base64.h"
#include "engine/codec/layout.h"
#include "engine/codec/layout_frame.h"

/* Records read many at once against the same records parsed one by one. Where a machine reads no runs there are no
 * frames, which every test here takes for an answer. */

enum { MEMBERS = 7, DATA = 0, EVENT_ID = 4, ROOM = 4096 };

static size_t write_record(char *out, unsigned number, unsigned data_bytes) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char data[256], sequence[64];
    uint64_t random = number + 7;
    const size_t digits = (data_bytes * 4 + 2) / 3;
    for (size_t i = 0; i < digits; i++) {
        data[i] = alphabet[random_below(&random, 64)];
    }
    if (digits % 4) { /* bits that are of no use are 0 */
        data[digits - 1] = 'A';
    }
    snprintf(data + digits, 4, "%s", digits % 4 == 2 ? "==" : digits % 4 == 3 ? "=" : "");
    snprintf(sequence, sizeof sequence, "4959033827149025660855969250000000000000000000%010u", number);
    return (size_t)sprintf(
        out,
        "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"user-%06u\","
        "\"sequenceNumber\":\"%s\",\"data\":\"%s\",\"approximateArrivalTimestamp\":17627328%02u.%03u},"
        "\"eventSource\":\"aws:kinesis\",\"eventID\":\"shardId-000000000000:%s\",\"awsRegion\":"
        "\"us-east-1\",\"eventSourceARN\":\"arn:aws:kinesis:us-east-1:123456789012:stream/clicks\"}",
        number % 1000000, sequence, data, number % 100, number % 1000, sequence);
}

static void learn(struct tumble_layout *layout) {
    char text[1024], out[1024];
    memset(layout, 0, sizeof *layout);
    for (unsigned i = 0; i < 600; i++) {
        struct tumble_kinesis_record record;
        size_t consumed, decoded;
        const struct tumble_bytes json = {text, write_record(text, i * 7919, i % 90)};
        assert_int_equal(
            tumble_kinesis_record_decode_like(layout, json, 1, &record, &consumed, out, sizeof out, &decoded, NULL),
            TUMBLE_OK);
    }
}

static void assert_same(const struct tw_framed *framed, const struct tw_layout_frame *frame, struct tumble_bytes json) {
    struct tumble_kinesis_record record;
    const struct tumble_value *const values = &record.data;
    char wanted[1024];
    size_t consumed, length = 0;
    assert_int_equal(tumble_kinesis_record_parse(json, 0, &record, &consumed, NULL), TUMBLE_OK);
    assert_ptr_equal(framed->begin, json.data);
    assert_ptr_equal(framed->behind + frame->back_length, json.data + consumed);
    const struct tumble_bytes data = {record.data.text, record.data.length};
    assert_int_equal(tw_base64_decode_portable(data, wanted, &length, NULL), TUMBLE_OK);
    assert_int_equal(framed->length, length);
    assert_memory_equal(framed->data, wanted, length);
    assert_int_equal(framed->data[-1], '\n');
    for (size_t i = 0; i < MEMBERS; i++) {
        if (i == DATA) {
            continue;
        }
        const struct tumble_bytes value = tw_framed_text(framed, &frame->values[i]);
        assert_int_equal(frame->values[i].type, values[i].type);
        if (values[i].type != TUMBLE_TYPE_MISSING) {
            assert_int_equal(values[i].flags, 0);
            assert_ptr_equal(value.data, values[i].text);
            assert_int_equal(value.length, values[i].length);
        }
    }
}

static void records_in_a_row_are_read_as_one_by_one(void **state) {
    (void)state;
    struct guarded memory = guarded_new(), out = guarded_new();
    struct tumble_layout layout;
    struct tw_layout_frame frame;
    learn(&layout);
    assert_int_equal(tw_layout_frame(&layout, MEMBERS, DATA, &frame), tw_layout_reads_runs());
    uint64_t random = 5;
    for (int round = 0; round < 300 && tw_layout_reads_runs(); round++) {
        char text[ROOM];
        size_t length = 0, count = 0, read_count = 0;
        while (length < ROOM - 700) {
            length += write_record(text + length, (unsigned)random_below(&random, 1u << 30),
                                   (unsigned)random_below(&random, 100));
            text[length++] = ',';
            count++;
        }
        const char *const at = at_its_end(&memory, text, length);
        struct tw_framed framed[16];
        const size_t room = random_below(&random, ROOM);
        struct tw_frame_read read = {at, memory.end, at, out.end - room, room, 1000};
        read_count = tw_layout_frame_read(&layout, &frame, &read, framed, 16);
        assert_true(read_count < count || room > 500);
        assert_true(read_count + 2 >= count || room < 1000 || layout.fits % 256 == 255);
        const char *behind = at;
        for (size_t i = 0; i < read_count; i++) {
            assert_same(&framed[i], &frame, (struct tumble_bytes){behind, (size_t)(memory.end - behind)});
            behind = framed[i].behind + frame.back_length + 1;
        }
        assert_ptr_equal(read.at, read_count ? behind - 1 : at);
        assert_true(read.out + read.room == out.end);
        layout.fits = round % 200 ? layout.fits : 4096;
        layout.fits += layout.fits % 256 == 255;
    }
    guarded_free(&memory);
    guarded_free(&out);
}

/* A frame, and two texts of it with a comma between them. */
struct two {
    struct tumble_layout layout;
    struct tw_layout_frame frame;
    char text[2048];
    size_t first, length;
};

/* False: there are no frames here. */
static bool write_two_records(struct two *two) {
    learn(&two->layout);
    two->first = write_record(two->text, 77, 50);
    two->text[two->first] = ',';
    two->length = two->first + 1 + write_record(two->text + two->first + 1, 78, 50);
    return tw_layout_frame(&two->layout, MEMBERS, DATA, &two->frame);
}

static size_t reads(struct two *two, size_t longest) {
    char out[1024];
    struct tw_framed framed;
    struct tw_frame_read read = {two->text, two->text + two->length, two->text, out, sizeof out, longest};
    return tw_layout_frame_read(&two->layout, &two->frame, &read, &framed, 1);
}

static void what_is_no_record_is_not_read(void **state) {
    (void)state;
    static const char bytes[] = "\"\\ \n\x01\x7f\x80\xff=A0:9/-,.}{x";
    struct two two;
    struct tw_framed framed;
    char out[1024];
    if (!write_two_records(&two)) {
        return;
    }
    size_t fitted = 0;
    for (size_t i = 0; i < two.first; i++) {
        for (size_t k = 0; k < sizeof bytes; k++) {
            const char was = two.text[i];
            two.text[i] = bytes[k];
            struct tw_frame_read read = {two.text, two.text + two.length, two.text, out, sizeof out, 1000};
            if (tw_layout_frame_read(&two.layout, &two.frame, &read, &framed, 1)) {
                assert_same(&framed, &two.frame, (struct tumble_bytes){two.text, two.length});
                fitted++;
            }
            two.text[i] = was;
            two.layout.fits -= two.layout.fits % 256;
        }
    }
    assert_true(fitted > two.first);
}

static void a_text_is_no_longer_than_it_may_be(void **state) {
    (void)state;
    struct two two;
    if (!write_two_records(&two)) {
        return;
    }
    for (size_t longest = two.first - 1; longest <= two.first; longest++) {
        assert_int_equal(reads(&two, longest), longest == two.first);
    }
}

static void a_frame_can_be_made_narrower(void **state) {
    (void)state;
    struct two two;
    if (!write_two_records(&two)) {
        return;
    }
    char *const shard = strstr(two.text, "shardId-");
    const struct tw_frame_value *const id = &two.frame.values[EVENT_ID];
    shard[15] = '7';
    assert_int_equal(reads(&two, 1000), 1);
    assert_false(tw_frame_begins(&two.frame, id, tumble_bytes_of("shardId\"")));
    assert_false(tw_frame_begins(&two.frame, id, tumble_bytes_of("\xc3\xa4")));
    assert_int_equal(reads(&two, 1000), 1);
    assert_true(tw_frame_begins(&two.frame, id, tumble_bytes_of("shardId-000000000000:")));
    assert_int_equal(reads(&two, 1000), 0);
    shard[15] = '0';
    assert_int_equal(reads(&two, 1000), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_in_a_row_are_read_as_one_by_one),
        cmocka_unit_test(what_is_no_record_is_not_read),
        cmocka_unit_test(a_text_is_no_longer_than_it_may_be),
        cmocka_unit_test(a_frame_can_be_made_narrower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
