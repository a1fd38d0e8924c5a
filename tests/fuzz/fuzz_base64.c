#include "fuzz_target.h"

#include <string.h>

#include "engine/codec/base64.h"

/* What is decoded up to its quote is what is decoded once the quote is known. room: of the output, which is exactly
 * that large, as the text is. */
static void check_quoted(const uint8_t *data, size_t size, size_t room) {
    char *text = malloc(size + 1), *out = malloc(room + 1), *again = malloc(size + 1);
    if (!text || !out || !again) {
        abort();
    }
    text = realloc(text, size ? size : 1);
    out = realloc(out, room ? room : 1);
    if (!text || !out) {
        abort();
    }
    if (size) {
        memcpy(text, data, size);
    }
    size_t length = 0, wanted = 0;
    size_t stop = tw_base64_decode_quoted(text, size, out, room, &length);
    if (stop != TW_BASE64_UNQUOTED) {
        FUZZ_CHECK(stop < size && text[stop] == '"' && memchr(text, '"', size) == text + stop);
        FUZZ_CHECK(tw_base64_decode_portable((struct tumble_bytes){text, stop}, again, &wanted, NULL) == TUMBLE_OK);
        FUZZ_CHECK(length == wanted && length <= room && memcmp(again, out, length) == 0);
    }
    free(text);
    free(out);
    free(again);
}

/* Whatever decodes encodes to the very same text (there is one spelling only), in place or not; whatever does not
 * decode says where. Any bytes survive encoding and decoding. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_bytes text = {(const char *)data, size};
    struct tumble_error err = {.byte = -1};
    char *out = malloc(size / 4 * 3 + 1);
    char *in_place = malloc(size + 1);
    char *again = malloc(tw_base64_encoded_length(size) + 1);
    if (!out || !in_place || !again) {
        abort();
    }
    size_t length = 0;
    enum tumble_code code = tw_base64_decode(text, out, &length, &err);
    struct tumble_error portable = {.byte = -1};
    size_t portable_length = length;
    FUZZ_CHECK(tw_base64_decode_portable(text, again, &portable_length, &portable) == code);
    FUZZ_CHECK(portable.byte == err.byte && portable_length == length);
    FUZZ_CHECK(code != TUMBLE_OK || length == 0 || memcmp(again, out, length) == 0);
    if (code == TUMBLE_OK) {
        FUZZ_CHECK(length <= size / 4 * 3 && tw_base64_encoded_length(length) == size);
        tw_base64_encode((struct tumble_bytes){out, length}, again);
        FUZZ_CHECK(size == 0 || memcmp(again, data, size) == 0);
        size_t other = 0;
        if (size) {
            memcpy(in_place, data, size);
        }
        FUZZ_CHECK(tw_base64_decode((struct tumble_bytes){in_place, size}, in_place, &other, NULL) == TUMBLE_OK);
        FUZZ_CHECK(other == length && memcmp(in_place, out, length) == 0);
    } else {
        FUZZ_CHECK(code == TUMBLE_EBASE64 && err.byte >= 0 && (size_t)err.byte <= size && err.text[0]);
    }
    free(out);
    out = malloc(size + 3);
    if (!out) {
        abort();
    }
    tw_base64_encode(text, again);
    struct tumble_bytes encoded = {again, tw_base64_encoded_length(size)};
    FUZZ_CHECK(tw_base64_decode(encoded, out, &length, NULL) == TUMBLE_OK);
    FUZZ_CHECK(length == size && (size == 0 || memcmp(out, data, size) == 0));
    free(out);
    free(in_place);
    free(again);
    check_quoted(data, size, size);
    check_quoted(data, size, size ? data[size - 1] : 0);
    return 0;
}
