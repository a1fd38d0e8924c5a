#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/exact_copy.h"
#include "engine/codec/elements.h"
#include "engine/codec/json_scan.h"

enum { EACH = 1, AT_POINTER = 0 };

/* Where a stream's elements lie, found as a reader finds them that gets the stream in pieces. */
struct found {
    enum tumble_code code;
    int64_t byte; /* of the failure, in the whole stream */
    char text[TUMBLE_ERROR_TEXT];
    size_t count;
    char elements[1024]; /* their texts, each followed by a bar */
};

static struct tw_elements *reader_of(const char *pointer, int each) {
    struct tw_elements *reader = NULL;
    struct tumble_bytes view = tumble_bytes_of(pointer);
    assert_int_equal(tw_elements_new(view, each, tw_alloc_default(), &reader, NULL), TUMBLE_OK);
    return reader;
}

/* piece: how many bytes more the reader gets each time it asks. restart: the state goes through save and restore into
 * another reader before every call. */
static struct found read_stream(const char *pointer, int each, struct tumble_bytes stream, size_t piece, bool restart) {
    struct found found = {.byte = -1};
    struct tw_elements *reader = reader_of(pointer, each);
    size_t at = 0; /* dropped so far */
    size_t have = piece < stream.length ? piece : stream.length;
    bool want_element = false;
    for (;;) {
        if (restart) {
            char bytes[TW_ELEMENTS_STATE];
            struct tumble_bytes saved = {bytes, tw_elements_save(reader, bytes)};
            assert_true(saved.length <= TW_ELEMENTS_STATE);
            struct tw_elements *other = reader_of(pointer, each);
            assert_true(tw_elements_restore(other, saved));
            tw_elements_destroy(reader);
            reader = other;
        }
        char *copy = exact_copy(stream.data + at, have - at);
        struct tumble_bytes bytes = {copy, have - at};
        struct tumble_error err = {.byte = -1, .text = ""};
        int last = have == stream.length;
        size_t used = 0;
        int at_element = 0;
        if (want_element) {
            struct tumble_value value;
            found.code = tw_json_value(bytes, last, &value, &used, &err);
            if (found.code == TUMBLE_OK) {
                size_t length = strlen(found.elements);
                snprintf(found.elements + length, sizeof found.elements - length, "%.*s|", (int)used, copy);
                found.count++;
                tw_elements_taken(reader);
                want_element = false;
            }
        } else {
            found.code = tw_elements_next(reader, bytes, last, &at_element, &used, &err);
            want_element = found.code == TUMBLE_OK && at_element;
        }
        free(copy);
        bool more = found.code == TUMBLE_EMORE && !last;
        if (found.code != TUMBLE_OK && !more) {
            found.byte = err.byte + (int64_t)at;
            memcpy(found.text, err.text, sizeof found.text);
            break;
        }
        at += used;
        if (more) {
            have = stream.length - have > piece ? have + piece : stream.length;
        } else if (!want_element && !at_element && used == bytes.length && at == stream.length && last &&
                   found.code == TUMBLE_OK) {
            struct tumble_bytes none = {NULL, 0};
            int again = 1;
            found.code = tw_elements_next(reader, none, 1, &again, &used, &err);
            assert_true(found.code != TUMBLE_OK || !again);
            if (found.code != TUMBLE_OK) {
                found.byte = err.byte + (int64_t)at;
                memcpy(found.text, err.text, sizeof found.text);
            }
            break;
        }
    }
    tw_elements_destroy(reader);
    return found;
}

static const struct {
    const char *pointer;
    int each;
    const char *stream;
    const char *elements;
} streams[] = {
    {"", EACH, "", ""},
    {"", EACH, " \n ", ""},
    {"", EACH, "{}", "{}|"},
    {"", EACH, "{}{\"a\":1}\n\n[2] \"x\" 5 6\n", "{}|{\"a\":1}|[2]|\"x\"|5|6|"},
    {"", EACH, "{\"a\":1}\r\n{\"a\":2}\r\n", "{\"a\":1}|{\"a\":2}|"},
    {"", AT_POINTER, "", ""},
    {"", AT_POINTER, "[]", ""},
    {"", AT_POINTER, "[1,{\"a\":[]} , [3]\n]", "1|{\"a\":[]}|[3]|"},
    {"", AT_POINTER, "[1][2][][3]", "1|2|3|"},
    {"/Records", AT_POINTER, "{\"Records\":[]}", ""},
    {"/Records", AT_POINTER, "{\"Records\":[{\"a\":1},{\"a\":2}]}", "{\"a\":1}|{\"a\":2}|"},
    {"/Records", AT_POINTER, "{ \"window\" : { \"Records\" : [9] } ,\n \"Records\" : [ 1 , 2 ] , \"state\" : {} }\n",
     "1|2|"},
    {"/Records", AT_POINTER, "{\"x\":1,\"Records\":[1]}{\"Records\":[2],\"y\":[[]]}\n{\"Records\":[]}", "1|2|"},
    {"/Records", AT_POINTER, "{\"\\u0052ecords\":[1]}", "1|"},
    {"/a/b", AT_POINTER, "{\"b\":[9],\"a\":{\"a\":[8],\"b\":[1,2],\"c\":0},\"c\":[7]}", "1|2|"},
    {"/1/r", AT_POINTER, "[{\"r\":[9]},{\"r\":[1,2]},{\"r\":[8]}]", "1|2|"},
    {"/0", AT_POINTER, "{\"0\":[1]}[[2],[3]]", "1|2|"},
    {"/a~1b/~0", AT_POINTER, "{\"a/b\":{\"~\":[\"x\"]}}", "\"x\"|"},
    {"/", AT_POINTER, "{\"\":[1]}", "1|"},
    {"/features", AT_POINTER,
     "{\n  \"type\": \"FeatureCollection\",\n  \"features\": [\n    {\n      \"id\": 1\n    },\n    {}\n  ]\n}\n",
     "{\n      \"id\": 1\n    }|{}|"},
};

static void elements_are_found_however_the_stream_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        struct tumble_bytes stream = tumble_bytes_of(streams[i].stream);
        for (size_t piece = 1; piece <= stream.length + 1; piece++) {
            for (int restart = 0; restart < 2; restart++) {
                struct found found = read_stream(streams[i].pointer, streams[i].each, stream, piece, restart);
                if (found.code != TUMBLE_OK || strcmp(found.elements, streams[i].elements) != 0) {
                    fail_msg("%s at \"%s\" in pieces of %zu: %s %s, elements %s", streams[i].stream, streams[i].pointer,
                             piece, tumble_code_name(found.code), found.text, found.elements);
                }
            }
        }
    }
}

static void a_broken_stream_is_refused_at_the_same_place_however_it_is_cut(void **state) {
    (void)state;
    static const struct {
        const char *pointer;
        int each;
        const char *stream;
        enum tumble_code code;
        int byte;
        const char *text;
        size_t elements;
    } cases[] = {
        {"", EACH, "{}}", TUMBLE_EJSON, 2, "expected a value but found '}'", 1},
        {"", EACH, "\xef\xbb\xbf{}", TUMBLE_ECAPTURE, 0, "byte order mark", 0},
        {"/r", AT_POINTER, "\xef\xbb\xbf{\"r\":[]}", TUMBLE_ECAPTURE, 0, "byte order mark", 0},
        {"", EACH, "\xef\xbb", TUMBLE_EJSON, 2, "expected a value but the input ends", 0},
        {"", AT_POINTER, "[1,2", TUMBLE_EJSON, 4, "expected ',' or ']' but the input ends", 2},
        {"", AT_POINTER, "[1,", TUMBLE_EJSON, 3, "expected a value but the input ends", 1},
        {"", AT_POINTER, "[1,]", TUMBLE_EJSON, 3, "expected a value but found ']'", 1},
        {"", AT_POINTER, "[,1]", TUMBLE_EJSON, 1, "expected a value or ']' but found ','", 0},
        {"", AT_POINTER, "[1 2]", TUMBLE_EJSON, 3, "expected ',' or ']' but found '2'", 1},
        {"", AT_POINTER, "[1}", TUMBLE_EJSON, 2, "expected ',' or ']' but found '}'", 1},
        {"", AT_POINTER, "[\"\xff\"]", TUMBLE_EUTF8, 2, "UTF-8", 0},
        {"", AT_POINTER, "{}", TUMBLE_ECAPTURE, 0, "what stands there is an object, not the array", 0},
        {"", AT_POINTER, "7 ", TUMBLE_ECAPTURE, 0, "what stands there is a number, not the array", 0},
        {"", AT_POINTER, "x", TUMBLE_EJSON, 0, "expected a value but found 'x'", 0},
        {"/r", AT_POINTER, "[]", TUMBLE_ECAPTURE, 0, "at \"/r\", but what stands on the way is an array", 0},
        {"/r", AT_POINTER, "{}", TUMBLE_ECAPTURE, 1, "this value ends without it", 0},
        {"/r", AT_POINTER, "{\"q\":[1]}", TUMBLE_ECAPTURE, 8, "this value ends without it", 0},
        {"/r", AT_POINTER, "{\"r\":{}}", TUMBLE_ECAPTURE, 5, "what stands there is an object", 0},
        {"/r", AT_POINTER, "{\"r\":\"[]\"}", TUMBLE_ECAPTURE, 5, "what stands there is a string", 0},
        {"/r", AT_POINTER, "{\"r\":null}", TUMBLE_ECAPTURE, 5, "what stands there is null", 0},
        {"/r", AT_POINTER, "{\"r\":nul}", TUMBLE_EJSON, 8, "expected \"null\" but found '}'", 0},
        {"/r", AT_POINTER, "{\"r\":[1],\"r\":[2]}", TUMBLE_ECAPTURE, 9, "its key occurs twice", 1},
        {"/r", AT_POINTER, "{\"r\":[1],}", TUMBLE_EJSON, 9, "expected a key but found '}'", 1},
        {"/r", AT_POINTER, "{\"r\":[1] \"x\"", TUMBLE_EJSON, 9, "expected ',' or '}' but found '\"'", 1},
        {"/r", AT_POINTER, "{\"r\" [1]}", TUMBLE_EJSON, 5, "expected ':' but found '['", 0},
        {"/r", AT_POINTER, "{\"x\":[1,],\"r\":[]}", TUMBLE_EJSON, 8, "expected a value but found ']'", 0},
        {"/r", AT_POINTER, "{\"x\":\"\\ud800\",\"r\":[]}", TUMBLE_EUTF8, 6, "surrogate", 0},
        {"/r", AT_POINTER, "{\"r\":[1]", TUMBLE_EJSON, 8, "expected ',' or '}' but the input ends", 1},
        {"/r", AT_POINTER, "{", TUMBLE_EJSON, 1, "expected a key or '}' but the input ends", 0},
        {"/0", AT_POINTER, "[]", TUMBLE_ECAPTURE, 1, "this value ends without it", 0},
        {"/0", AT_POINTER, "[", TUMBLE_EJSON, 1, "expected a value or ']' but the input ends", 0},
        {"/2", AT_POINTER, "[[1],[2]]", TUMBLE_ECAPTURE, 8, "this value ends without it", 0},
        {"/1", AT_POINTER, "[[1],]", TUMBLE_EJSON, 5, "expected a value but found ']'", 0},
        {"/a/b", AT_POINTER, "{\"a\":[]}", TUMBLE_ECAPTURE, 5, "what stands on the way is an array", 0},
        {"/a/b", AT_POINTER, "{\"a\":{\"c\":1}}", TUMBLE_ECAPTURE, 11, "this value ends without it", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tumble_bytes stream = tumble_bytes_of(cases[i].stream);
        for (size_t piece = 1; piece <= stream.length; piece++) {
            struct found found = read_stream(cases[i].pointer, cases[i].each, stream, piece, piece % 2);
            if (found.code != cases[i].code || found.byte != cases[i].byte || !strstr(found.text, cases[i].text) ||
                found.count != cases[i].elements) {
                fail_msg("%s at \"%s\" in pieces of %zu: %s at %d: %s", cases[i].stream, cases[i].pointer, piece,
                         tumble_code_name(found.code), (int)found.byte, found.text);
            }
        }
    }
}

static void members_beside_the_way_may_not_be_nested_too_deeply(void **state) {
    (void)state;
    char stream[4096] = "{\"x\":";
    memset(stream + 5, '[', 2000);
    struct found found = read_stream("/r", AT_POINTER, tumble_bytes_of(stream), 4096, false);
    assert_int_equal(found.code, TUMBLE_EDEPTH);
    assert_int_equal(found.byte, 5 + 999);
}

static void malformed_pointers_are_refused(void **state) {
    (void)state;
    static const char *const pointers[] = {"Records", "/a~", "/a~2b"};
    struct tw_elements *reader;
    struct tumble_error err;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tw_elements_new(tumble_bytes_of(pointers[i]), 0, tw_alloc_default(), &reader, &err),
                         TUMBLE_EPATH);
        assert_null(reader);
    }
    char deep[67] = "";
    for (int i = 0; i < 33; i++) {
        strcat(deep, "/a");
    }
    assert_int_equal(tw_elements_new(tumble_bytes_of(deep), 0, tw_alloc_default(), &reader, &err), TUMBLE_EPATH);
    deep[64] = '\0';
    assert_int_equal(tw_elements_new(tumble_bytes_of(deep), 0, tw_alloc_default(), &reader, &err), TUMBLE_OK);
    tw_elements_destroy(reader);
    tw_elements_destroy(NULL);
}

static void a_state_that_does_not_belong_is_not_restored(void **state) {
    (void)state;
    char saved[TW_ELEMENTS_STATE];
    char damaged[TW_ELEMENTS_STATE];
    struct tw_elements *reader = reader_of("/Records", 0);
    struct tw_elements *other = reader_of("/records", 0);
    struct tw_elements *each = reader_of("", 1);
    size_t length = tw_elements_save(reader, saved);
    assert_true(tw_elements_restore(reader, (struct tumble_bytes){saved, length}));
    assert_false(tw_elements_restore(other, (struct tumble_bytes){saved, length}));
    assert_false(tw_elements_restore(each, (struct tumble_bytes){saved, length}));
    assert_false(tw_elements_restore(reader, (struct tumble_bytes){saved, length - 1}));
    assert_false(tw_elements_restore(reader, (struct tumble_bytes){NULL, 0}));
    memcpy(damaged, saved, length);
    damaged[0]++; /* version */
    assert_false(tw_elements_restore(reader, (struct tumble_bytes){damaged, length}));
    memcpy(damaged, saved, length);
    damaged[1] = 99; /* phase */
    assert_false(tw_elements_restore(reader, (struct tumble_bytes){damaged, length}));
    memcpy(damaged, saved, length);
    damaged[2] = 2; /* level */
    assert_false(tw_elements_restore(reader, (struct tumble_bytes){damaged, length}));
    tw_elements_destroy(reader);
    tw_elements_destroy(other);
    tw_elements_destroy(each);
}

static void *no_memory(void *ctx, size_t size) {
    (void)ctx;
    (void)size;
    return NULL;
}
static void *no_more_memory(void *ctx, void *pointer, size_t old_size, size_t new_size) {
    (void)ctx;
    (void)pointer;
    (void)old_size;
    (void)new_size;
    return NULL;
}
static void nothing_to_release(void *ctx, void *pointer) {
    (void)ctx;
    (void)pointer;
}

static void without_memory_there_is_no_reader(void **state) {
    (void)state;
    struct tumble_alloc alloc = {no_memory, no_more_memory, nothing_to_release, NULL};
    struct tw_elements *reader;
    struct tumble_error err;
    assert_int_equal(tw_elements_new(tumble_bytes_of("/a"), 0, alloc, &reader, &err), TUMBLE_ENOMEM);
    assert_null(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_found_however_the_stream_is_cut),
        cmocka_unit_test(a_broken_stream_is_refused_at_the_same_place_however_it_is_cut),
        cmocka_unit_test(members_beside_the_way_may_not_be_nested_too_deeply),
        cmocka_unit_test(malformed_pointers_are_refused),
        cmocka_unit_test(a_state_that_does_not_belong_is_not_restored),
        cmocka_unit_test(without_memory_there_is_no_reader),
    };
    return cmocka_run_group_tests_name("elements", tests, NULL, NULL);
}
