#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "engine/codec/protobuf_wire.h"

#define BYTES(literal) ((struct tumble_bytes){literal, sizeof(literal) - 1})

/* The first field of a heap copy, so that a read past its end is seen; how many bytes it took. */
static enum tw_protobuf_next first(struct tumble_bytes message, struct tw_protobuf_field *field, size_t *taken) {
    char *copy = exact_copy(message.data, message.length);
    struct tumble_bytes view = {copy, message.length};
    struct tw_protobuf reader = tw_protobuf_of(view);
    enum tw_protobuf_next next = tw_protobuf_next(&reader, field);
    *taken = (size_t)(reader.at - copy);
    if (field->bytes.data) { /* of the literal again: the copy goes */
        field->bytes.data = message.data + (field->bytes.data - copy);
    }
    free(copy);
    return next;
}

static void assert_field(struct tumble_bytes message, uint32_t number, enum tw_protobuf_wire wire, uint64_t value,
                         const char *bytes) {
    struct tw_protobuf_field field = {0};
    size_t taken;
    assert_int_equal(first(message, &field, &taken), TW_PROTOBUF_FIELD);
    assert_int_equal(taken, message.length);
    assert_int_equal(field.number, number);
    assert_int_equal(field.wire, wire);
    assert_int_equal(field.value, value);
    if (bytes) {
        assert_true(tumble_bytes_equal(field.bytes, tumble_bytes_of(bytes)));
    }
}

static void assert_malformed(struct tumble_bytes message) {
    struct tw_protobuf_field field = {0};
    size_t taken;
    assert_int_equal(first(message, &field, &taken), TW_PROTOBUF_MALFORMED);
}

static void the_examples_of_the_specification_are_read(void **state) {
    (void)state;
    assert_field(BYTES("\x08\x96\x01"), 1, TW_PROTOBUF_VARINT, 150, NULL);
    assert_field(BYTES("\x12\x07testing"), 2, TW_PROTOBUF_LENGTH, 0, "testing");
    assert_field(BYTES("\x1d\x01\x02\x03\x04"), 3, TW_PROTOBUF_FIXED32, 0, "\x01\x02\x03\x04");
    assert_field(BYTES("\x19\x01\x02\x03\x04\x05\x06\x07\x08"), 3, TW_PROTOBUF_FIXED64, 0,
                 "\x01\x02\x03\x04\x05\x06\x07\x08");
    assert_field(BYTES("\x12\x00"), 2, TW_PROTOBUF_LENGTH, 0, "");
}

static void an_empty_message_ends_at_once(void **state) {
    (void)state;
    struct tw_protobuf reader = tw_protobuf_of((struct tumble_bytes){NULL, 0});
    struct tw_protobuf_field field;
    assert_int_equal(tw_protobuf_next(&reader, &field), TW_PROTOBUF_END);
}

static void a_varint_has_at_most_64_bits_in_ten_bytes(void **state) {
    (void)state;
    assert_field(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 1, TW_PROTOBUF_VARINT, UINT64_MAX, NULL);
    assert_malformed(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    assert_malformed(BYTES("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"));
    /* longer than it need be */
    assert_field(BYTES("\x08\x85\x80\x00"), 1, TW_PROTOBUF_VARINT, 5, NULL);
    assert_field(BYTES("\x92\x80\x80\x80\x00\x01x"), 2, TW_PROTOBUF_LENGTH, 0, "x");
}

static void a_tag_has_a_field_number_a_known_wire_type_and_32_bits(void **state) {
    (void)state;
    assert_malformed(BYTES("\x00\x01"));
    assert_malformed(BYTES("\x0e\x01"));
    assert_malformed(BYTES("\x0f\x01"));
    assert_field(BYTES("\xf8\xff\xff\xff\x0f\x01"), 0x1fffffff, TW_PROTOBUF_VARINT, 1, NULL);
    assert_malformed(BYTES("\xf8\xff\xff\xff\x1f\x01"));
}

static void nothing_reaches_beyond_the_end(void **state) {
    (void)state;
    assert_malformed(BYTES("\x08"));
    assert_malformed(BYTES("\x08\x80"));
    assert_malformed(BYTES("\x12\x08testing"));
    assert_malformed(BYTES("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"));
    assert_malformed(BYTES("\x1d\x01\x02\x03"));
    assert_malformed(BYTES("\x19\x01\x02\x03\x04\x05\x06\x07"));
}

static void a_group_is_one_field_however_it_nests(void **state) {
    (void)state;
    assert_field(BYTES("\x0b\x0c"), 1, TW_PROTOBUF_GROUP, 0, "");
    assert_field(BYTES("\x0b\x10\x05\x1b\x1c\x0c"), 1, TW_PROTOBUF_GROUP, 0, "\x10\x05\x1b\x1c");
    assert_malformed(BYTES("\x0c"));
    assert_malformed(BYTES("\x0b\x14"));
    assert_malformed(BYTES("\x0b\x10\x05"));
    char deep[202];
    memset(deep, 0x0b, 101);
    memset(deep + 101, 0x0c, 101);
    struct tumble_bytes hundred = {deep + 1, 200};
    struct tumble_bytes more = {deep, 202};
    struct tw_protobuf_field field = {0};
    size_t taken;
    assert_int_equal(first(hundred, &field, &taken), TW_PROTOBUF_FIELD);
    assert_int_equal(taken, 200);
    assert_malformed(more);
}

static void fields_follow_each_other_to_the_end(void **state) {
    (void)state;
    struct tw_protobuf reader = tw_protobuf_of(BYTES("\x08\x01\x12\x01x\x0b\x0c\x08\x02"));
    static const uint32_t numbers[] = {1, 2, 1, 1};
    struct tw_protobuf_field field;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(tw_protobuf_next(&reader, &field), TW_PROTOBUF_FIELD);
        assert_int_equal(field.number, numbers[i]);
    }
    assert_int_equal(field.value, 2);
    assert_int_equal(tw_protobuf_next(&reader, &field), TW_PROTOBUF_END);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_specification_are_read),
        cmocka_unit_test(an_empty_message_ends_at_once),
        cmocka_unit_test(a_varint_has_at_most_64_bits_in_ten_bytes),
        cmocka_unit_test(a_tag_has_a_field_number_a_known_wire_type_and_32_bits),
        cmocka_unit_test(nothing_reaches_beyond_the_end),
        cmocka_unit_test(a_group_is_one_field_however_it_nests),
        cmocka_unit_test(fields_follow_each_other_to_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
