#include "adapters/outputs/sqs/sqs_body.h"

#include <string.h>

#include "adapters/aws/sqs_calls.h"
#include "engine/base/fail.h"
#include "engine/base/utf8.h"
#include "engine/codec/base64.h"

static enum tumble_code put_base64(struct tw_buf *out, struct tumble_bytes bytes) {
    size_t length = tw_base64_encoded_length(bytes.length);
    TW_TRY(tw_buf_reserve(out, length));
    tw_base64_encode(bytes, out->data + out->length);
    out->length += length;
    return TUMBLE_OK;
}

/* The two are EF BF BE and EF BF BF. */
static enum tumble_code put_escaped(struct tw_buf *out, struct tumble_bytes json) {
    const char *at = json.data, *end = json.data + json.length;
    while (at < end) {
        const char *lead = memchr(at, 0xef, (size_t)(end - at));
        const char *stop = lead ? lead : end;
        TW_TRY(tw_buf_append(out, at, (size_t)(stop - at)));
        at = stop;
        if (at == end) {
            break;
        }
        unsigned char last = end - at >= 3 ? (unsigned char)at[2] : 0;
        if ((unsigned char)at[1] == 0xbf && (last == 0xbe || last == 0xbf)) {
            TW_TRY(tw_buf_append_text(out, last == 0xbe ? "\\ufffe" : "\\uffff"));
            at += 3;
        } else {
            TW_TRY(tw_buf_append_byte(out, *at++));
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_sqs_body(struct tw_buf *out, struct tumble_bytes json, enum tw_sqs_encoding *encoding) {
    size_t before = out->length;
    *encoding = TW_SQS_PLAIN;
    if (tw_utf8_valid(json)) {
        TW_TRY(put_escaped(out, json));
        struct tumble_bytes body = {out->data + before, out->length - before};
        if (tw_sqs_characters_allowed(body)) {
            return TUMBLE_OK;
        }
        out->length = before;
    }
    *encoding = TW_SQS_BASE64;
    return put_base64(out, json);
}
