#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/kpl.h>

#include "engine/base/buf.h"
#include "engine/codec/base64.h"

/* kpl_print: base64 of a Kinesis record's data, one a line, to what is in it, one JSON array a line:
 * [{"partitionKey":…,"explicitHashKey":…,"data":base64}], or null for what is no aggregate. */

enum { CAP = 64 * 1024 * 1024 };

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "kpl_print: %s\n", what);
        exit(1);
    }
}

static void put_base64(struct tw_buf *out, struct tumble_bytes bytes) {
    must(tw_buf_append_byte(out, '"') == TUMBLE_OK &&
             tw_buf_reserve(out, tw_base64_encoded_length(bytes.length)) == TUMBLE_OK,
         "out of memory");
    tw_base64_encode(bytes, out->data + out->length);
    out->length += tw_base64_encoded_length(bytes.length);
    must(tw_buf_append_byte(out, '"') == TUMBLE_OK, "out of memory");
}

static void put_member(struct tw_buf *out, const char *name, struct tumble_bytes text) {
    must(tw_buf_append_text(out, name) == TUMBLE_OK && tw_buf_append_json_string(out, text) == TUMBLE_OK &&
             tw_buf_append_byte(out, ',') == TUMBLE_OK,
         "out of memory");
}

static void print(struct tumble_kpl *kpl, struct tumble_bytes data, struct tw_buf *out) {
    struct tumble_kpl_record record;
    enum tumble_kpl_kind kind;
    uint64_t count, given = 0;
    must(tumble_kpl_open(kpl, data, NULL, &kind, &count, NULL) == TUMBLE_OK, "open failed");
    if (kind == TUMBLE_KPL_PLAIN) {
        must(tw_buf_append_text(out, "null\n") == TUMBLE_OK, "out of memory");
        return;
    }
    must(tw_buf_append_byte(out, '[') == TUMBLE_OK, "out of memory");
    while (tumble_kpl_next(kpl, &record)) {
        must(!record.bad, record.bad);
        must(record.sub_sequence_number == given, "the records are not numbered from 0");
        must(tw_buf_append_text(out, given++ ? ",{" : "{") == TUMBLE_OK, "out of memory");
        put_member(out, "\"partitionKey\":", record.partition_key);
        if (record.explicit_hash_key.length) {
            put_member(out, "\"explicitHashKey\":", record.explicit_hash_key);
        }
        must(tw_buf_append_text(out, "\"data\":") == TUMBLE_OK, "out of memory");
        put_base64(out, record.data);
        must(tw_buf_append_byte(out, '}') == TUMBLE_OK, "out of memory");
    }
    must(given == count, "not as many records as open said");
    must(tw_buf_append_text(out, "]\n") == TUMBLE_OK, "out of memory");
}

int main(void) {
    struct tumble_kpl *kpl;
    struct tw_buf out;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    must(tumble_kpl_new((struct tumble_alloc){0}, &kpl, NULL) == TUMBLE_OK, "out of memory");
    tw_buf_init(&out, tw_alloc_default(), CAP);
    while ((length = getline(&line, &capacity, stdin)) > 0) {
        struct tumble_bytes text = {line, (size_t)length - (line[length - 1] == '\n')};
        size_t bytes;
        must(tw_base64_decode(text, line, &bytes, NULL) == TUMBLE_OK, "this is not base64");
        tw_buf_clear(&out);
        print(kpl, (struct tumble_bytes){line, bytes}, &out);
        fwrite(out.data, 1, out.length, stdout);
    }
    free(line);
    tw_buf_clean_up(&out);
    tumble_kpl_destroy(kpl);
    return fflush(stdout) ? 1 : 0;
}
