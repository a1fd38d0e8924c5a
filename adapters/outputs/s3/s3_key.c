#include "adapters/outputs/s3/s3_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tumble/timestamp.h>

#include "engine/base/fail.h"
#include "engine/codec/hash.h"

enum tumble_code tw_s3_place_read(const char *target, const char *name, struct tw_s3_place *out,
                                  struct tumble_error *err) {
    const char *bucket = strncmp(target, "//", 2) == 0 ? target + 2 : "";
    size_t length = strcspn(bucket, "/");
    if (length == 0 || length >= sizeof out->bucket) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: write s3://BUCKET/PREFIX", name);
    }
    memcpy(out->bucket, bucket, length);
    out->bucket[length] = '\0';
    out->prefix = tumble_bytes_of(bucket + length);
    while (out->prefix.length > 0 && out->prefix.data[0] == '/') {
        out->prefix.data++;
        out->prefix.length--;
    }
    while (out->prefix.length > 0 && out->prefix.data[out->prefix.length - 1] == '/') {
        out->prefix.length--;
    }
    return TUMBLE_OK;
}

enum tumble_code tw_s3_identity(struct tumble_bytes source, uint64_t spec_digest, struct tumble_alloc alloc,
                                char out[TW_S3_IDENTITY]) {
    struct tw_buf text;
    tw_buf_init(&text, alloc, SIZE_MAX / 4);
    enum tumble_code code = tw_buf_append_u64(&text, spec_digest);
    code = code == TUMBLE_OK ? tw_buf_append(&text, source.data, source.length) : code;
    if (code == TUMBLE_OK) {
        snprintf(out, TW_S3_IDENTITY, "%016" PRIx64, tw_hash64(text.data, text.length));
    }
    tw_buf_clean_up(&text);
    return code;
}

/* Shard ids of a capture are anybody's: what is not plain becomes ~XX, so that a name has no further slash and reads
 * the same in every tool. */
static enum tumble_code put_plain(struct tw_buf *out, struct tumble_bytes text) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.';
        char escape[3] = {'~', hex[c >> 4], hex[c & 15]};
        TW_TRY(plain ? tw_buf_append_byte(out, (char)c) : tw_buf_append(out, escape, sizeof escape));
    }
    return TUMBLE_OK;
}

static enum tumble_code put_key(struct tw_buf *out, struct tumble_bytes prefix, const char *directory,
                                const struct tumble_fragment *fragment, const char *identity, const char *ending) {
    char start[TUMBLE_TIMESTAMP_TEXT], text[128]; /* start: "YYYY-MM-DDTHH:MM:SSZ" */
    tumble_timestamp_text(fragment->window_start_ms, start);
    tw_buf_clear(out);
    if (prefix.length > 0) {
        TW_TRY(tw_buf_append(out, prefix.data, prefix.length));
        TW_TRY(tw_buf_append_byte(out, '/'));
    }
    snprintf(text, sizeof text, "%sdate=%.10s/hour=%.2s/%.4s%.2s%.2sT%.2s%.2s%.2sZ-%" PRId64 "s-", directory, start,
             start + 11, start, start + 5, start + 8, start + 11, start + 14, start + 17,
             (fragment->window_end_ms - fragment->window_start_ms) / 1000);
    TW_TRY(tw_buf_append_text(out, text));
    TW_TRY(put_plain(out, fragment->shard_id));
    TW_TRY(tw_buf_append_byte(out, '-'));
    TW_TRY(put_plain(out, fragment->first_sequence));
    TW_TRY(tw_buf_append_byte(out, '-'));
    TW_TRY(tw_buf_append_text(out, identity));
    return tw_buf_append_text(out, ending);
}

enum tumble_code tw_s3_object_key(struct tw_buf *out, struct tumble_bytes prefix,
                                  const struct tumble_fragment *fragment, const char *identity,
                                  enum tw_compression compression) {
    return put_key(out, prefix, "", fragment, identity,
                   compression == TW_COMPRESSION_GZIP   ? ".ndjson.gz"
                   : compression == TW_COMPRESSION_ZSTD ? ".ndjson.zst"
                                                        : ".ndjson");
}

enum tumble_code tw_s3_manifest_key(struct tw_buf *out, struct tumble_bytes prefix,
                                    const struct tumble_fragment *fragment, const char *identity) {
    return put_key(out, prefix, "_manifests/", fragment, identity, ".json");
}
