#include "fuzz_target.h"

#include <stdbool.h>
#include <string.h>

#include "engine/codec/elements.h"
#include "engine/codec/json_scan.h"

/* The first byte chooses how the elements lie and how the stream is cut; the rest is the stream. Whole, in pieces, and
 * in pieces with the state saved and restored before every call: the same elements, the same end. */

static const char *const pointers[] = {"", "/Records", "/a/0", "/0", "/a/b"};
enum { POINTERS = sizeof pointers / sizeof *pointers };

struct outcome {
    enum tumble_code code;
    int64_t byte;
    size_t count;
    uint64_t digest; /* of where the elements begin and end */
};

static struct tw_elements *reader_of(const char *pointer, bool each) {
    struct tw_elements *reader = NULL;
    FUZZ_CHECK(tw_elements_new(tumble_bytes_of(pointer), each, tw_alloc_default(), &reader, NULL) == TUMBLE_OK);
    return reader;
}

static void note(struct outcome *outcome, size_t place) {
    outcome->digest = (outcome->digest ^ place) * UINT64_C(0x100000001b3);
}

static struct outcome run(const char *pointer, bool each, struct tumble_bytes stream, size_t piece, bool restart) {
    struct outcome outcome = {.byte = -1};
    struct tw_elements *reader = reader_of(pointer, each);
    size_t at = 0;
    size_t have = piece < stream.length ? piece : stream.length;
    bool in_element = false;
    for (;;) {
        if (restart) {
            char state[TW_ELEMENTS_STATE];
            size_t length = tw_elements_save(reader, state);
            struct tw_elements *other = reader_of(pointer, each);
            FUZZ_CHECK(tw_elements_restore(other, (struct tumble_bytes){state, length}));
            tw_elements_destroy(reader);
            reader = other;
        }
        struct tumble_bytes bytes = {stream.data + at, have - at};
        struct tumble_error err = {.byte = -1};
        struct tumble_value value;
        int last = have == stream.length;
        int at_element = 0;
        size_t used = 0;
        enum tumble_code code = in_element ? tw_json_value(bytes, last, &value, &used, &err)
                                           : tw_elements_next(reader, bytes, last, &at_element, &used, &err);
        FUZZ_CHECK(used <= bytes.length);
        if (code == TUMBLE_EMORE) {
            FUZZ_CHECK(!last);
            at += used;
            have = stream.length - have > piece ? have + piece : stream.length;
            continue;
        }
        if (code != TUMBLE_OK) {
            outcome.code = code;
            outcome.byte = (int64_t)at + err.byte;
            FUZZ_CHECK(err.byte >= 0 && (size_t)err.byte <= bytes.length && err.text[0]);
            break;
        }
        at += used;
        if (in_element) {
            note(&outcome, at);
            outcome.count++;
            tw_elements_taken(reader);
            in_element = false;
        } else if (at_element) {
            note(&outcome, at);
            in_element = true;
        } else {
            FUZZ_CHECK(last && at == stream.length);
            break;
        }
    }
    tw_elements_destroy(reader);
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct tumble_bytes stream = {(const char *)data + 1, size - 1};
    unsigned choice = data[0];
    const char *pointer = pointers[choice % POINTERS];
    bool each = choice % POINTERS == 0 && choice & 128;
    size_t piece = 1 + (choice / POINTERS) % 7;
    struct outcome whole = run(pointer, each, stream, size, false);
    for (int restart = 0; restart < 2; restart++) {
        struct outcome pieces = run(pointer, each, stream, piece, restart);
        FUZZ_CHECK(whole.code == pieces.code && whole.byte == pieces.byte && whole.count == pieces.count &&
                   whole.digest == pieces.digest);
    }
    /* A stream of whole values in a row reads as the scanner reads it, value by value. */
    if (each && whole.code == TUMBLE_OK) {
        struct tumble_bytes rest = stream;
        size_t count = 0;
        while (tw_json_space(rest.data, rest.data + rest.length) != rest.data + rest.length) {
            struct tumble_value value;
            size_t used = 0;
            FUZZ_CHECK(tw_json_value(rest, 1, &value, &used, NULL) == TUMBLE_OK);
            rest.data += used;
            rest.length -= used;
            count++;
        }
        FUZZ_CHECK(count == whole.count);
    }
    /* A state that somebody else wrote is refused or stands for a place a reader can go on from. */
    struct tw_elements *reader = reader_of(pointer, each);
    char state[TW_ELEMENTS_STATE];
    size_t length = tw_elements_save(reader, state);
    memcpy(state, data, size < length - 4 ? size : length - 4);
    state[0] = 1;
    if (tw_elements_restore(reader, (struct tumble_bytes){state, length})) {
        int at_element = 0;
        size_t used = 0;
        tw_elements_next(reader, stream, 1, &at_element, &used, NULL);
        FUZZ_CHECK(used <= stream.length);
    }
    tw_elements_destroy(reader);
    return 0;
}
