#include "adapters/outputs/dynamodb/dynamodb_shares.h"

#include <stdio.h>
#include <string.h>

#include <tumble/merge.h>

#include "engine/base/fail.h"
#include "engine/base/sequence.h"
#include "engine/codec/hash.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

enum { DIGEST = 32 };

static bool belongs(const struct tumble_column *column) { return column->kind != TUMBLE_COLUMN_AGGREGATE; }

enum tumble_code tw_share_append(struct tw_buf *out, const struct tumble_spec *spec, const struct tumble_row *row) {
    size_t count = tumble_spec_column_count(spec);
    uint8_t digest[16];
    char hex[DIGEST + 1];
    if (!row->values || row->value_count != count) {
        return TUMBLE_EINVAL;
    }
    tw_hash128(row->json.data, row->json.length, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    TW_TRY(tw_buf_append_text(out, hex));
    TW_TRY(tw_buf_append_byte(out, ' '));
    char before = '{';
    for (size_t i = 0; i < count; i++) {
        const struct tumble_column *column = tumble_spec_column(spec, i);
        if (belongs(column)) {
            TW_TRY(tw_buf_append_byte(out, before));
            TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(column->name)));
            TW_TRY(tw_buf_append_byte(out, ':'));
            TW_TRY(tw_buf_append(out, row->values[i].data, row->values[i].length));
            before = ',';
        }
    }
    return tw_buf_append_byte(out, '}');
}

/* ---- reading ---- */

struct share {
    struct tumble_bytes line; /* without its newline */
    struct tumble_bytes row;
    struct tumble_value shard;
    struct tumble_bytes first, last;
};

static enum tumble_code damaged(struct tumble_error *err) {
    return tw_fail(err, TUMBLE_ECORRUPT, "the item's partial states are damaged");
}

/* Takes the next line of *in. */
static enum tumble_code take_share(struct tumble_bytes *in, struct share *out, struct tumble_error *err) {
    const char *end = memchr(in->data, '\n', in->length);
    struct tumble_value object, key, value;
    struct tw_json_walk walk;
    size_t length = end ? (size_t)(end - in->data) : in->length;
    memset(out, 0, sizeof *out);
    out->line.data = in->data;
    out->line.length = length;
    in->data += end ? length + 1 : length;
    in->length -= end ? length + 1 : length;
    if (length <= DIGEST + 1 || out->line.data[DIGEST] != ' ') {
        return damaged(err);
    }
    out->row.data = out->line.data + DIGEST + 1;
    out->row.length = length - DIGEST - 1;
    if (tw_json_value(out->row, 1, &object, NULL, NULL) != TUMBLE_OK || object.type != TUMBLE_TYPE_OBJECT) {
        return damaged(err);
    }
    bool first = false, last = false;
    tw_json_walk_begin(&walk, &object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        struct tumble_bytes text = {value.text, value.length};
        if (value.type != TUMBLE_TYPE_STRING) {
            continue;
        }
        if (tw_json_string_equal(&key, tumble_bytes_of("shard_id"))) {
            out->shard = value;
        } else if (tw_json_string_equal(&key, tumble_bytes_of("fragment"))) {
            first = tw_sequence_check(text, &out->first, NULL) == TUMBLE_OK;
        } else if (tw_json_string_equal(&key, tumble_bytes_of("last_sequence"))) {
            last = tw_sequence_check(text, &out->last, NULL) == TUMBLE_OK;
        }
    }
    return first && last && out->shard.type == TUMBLE_TYPE_STRING ? TUMBLE_OK : damaged(err);
}

/* By the bytes of the ids, escapes undone. */
static int compare_shards(const struct tumble_value *a, const struct tumble_value *b) {
    struct tw_json_text x = tw_json_text_of(a), y = tw_json_text_of(b);
    uint32_t p, q;
    for (;;) {
        bool more_x = tw_json_text_next(&x, &p), more_y = tw_json_text_next(&y, &q);
        if (!more_x || !more_y) {
            return more_x - more_y;
        }
        if (p != q) {
            return p < q ? -1 : 1;
        }
    }
}

static enum tw_share_fate judge(const struct share *there, const struct share *offered) {
    int first = tw_sequence_compare(there->first, offered->first);
    int last = tw_sequence_compare(there->last, offered->last);
    if (first == 0 && last == 0) {
        return memcmp(there->line.data, offered->line.data, DIGEST) == 0 ? TW_SHARE_THERE : TW_SHARE_OVERLAP;
    }
    if (first == 0) {
        return last < 0 ? TW_SHARE_ADDED : TW_SHARE_SUPERSEDED;
    }
    bool apart =
        tw_sequence_compare(there->last, offered->first) < 0 || tw_sequence_compare(offered->last, there->first) < 0;
    return apart ? TW_SHARE_ADDED : TW_SHARE_OVERLAP;
}

static enum tumble_code put_line(struct tw_buf *out, struct tumble_bytes line, struct tumble_error *err) {
    enum tumble_code code = tw_buf_append(out, line.data, line.length);
    code = code == TUMBLE_OK ? tw_buf_append_byte(out, '\n') : code;
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

enum tumble_code tw_shares_add(struct tumble_bytes shares, struct tumble_bytes share, struct tw_buf *out,
                               enum tw_share_fate *fate, struct tumble_error *err) {
    struct share offered, there;
    size_t before = out->length;
    bool placed = false;
    TW_TRY(take_share(&share, &offered, err));
    *fate = TW_SHARE_ADDED;
    while (shares.length > 0) {
        TW_TRY(take_share(&shares, &there, err));
        int shard = compare_shards(&there.shard, &offered.shard);
        int order = shard ? shard : tw_sequence_compare(there.first, offered.first);
        if (shard == 0) {
            *fate = judge(&there, &offered);
            if (*fate != TW_SHARE_ADDED) {
                out->length = before;
                return TUMBLE_OK;
            }
        }
        if (order >= 0 && !placed) {
            TW_TRY(put_line(out, offered.line, err));
            placed = true;
        }
        if (order != 0) { /* one of the same beginning is replaced */
            TW_TRY(put_line(out, there.line, err));
        }
    }
    return placed ? TUMBLE_OK : put_line(out, offered.line, err);
}

/* ---- merging ---- */

static enum tumble_code keep_row(void *ctx, struct tumble_bytes json) {
    return tw_buf_append(ctx, json.data, json.length);
}

enum tumble_code tw_shares_merge(struct tumble_bytes shares, struct tumble_alloc alloc, struct tw_buf *out,
                                 struct tumble_error *err) {
    const struct tumble_merge_options options = {.alloc = alloc};
    struct tumble_merge *merge;
    struct tumble_merge_figures figures;
    struct share share;
    TW_TRY(tumble_merge_new(&options, &merge, err));
    enum tumble_code code = TUMBLE_OK;
    while (shares.length > 0 && code == TUMBLE_OK) {
        code = take_share(&shares, &share, err);
        code = code == TUMBLE_OK ? tumble_merge_add(merge, share.row, err) : code;
    }
    code = code == TUMBLE_OK ? tumble_merge_finish(merge, keep_row, NULL, out, &figures, err) : code;
    tumble_merge_destroy(merge);
    if (code == TUMBLE_OK && figures.merged != 1) { /* shares of another window or group: not what we write */
        return damaged(err);
    }
    return code;
}

enum tumble_code tw_shares_names(struct tumble_bytes shares, struct tw_buf *out, struct tumble_error *err) {
    struct share share;
    char numbers[2 * TW_LIMIT_SEQUENCE_DIGITS + 8];
    for (bool first = true; shares.length > 0; first = false) {
        TW_TRY(take_share(&shares, &share, err));
        int length = snprintf(numbers, sizeof numbers, " %.*s %.*s\"", (int)share.first.length, share.first.data,
                              (int)share.last.length, share.last.data);
        enum tumble_code code = tw_buf_append_text(out, first ? "\"" : ",\"");
        code = code == TUMBLE_OK ? tw_buf_append(out, share.shard.text, share.shard.length) : code;
        code = code == TUMBLE_OK ? tw_buf_append(out, numbers, (size_t)length) : code;
        if (code != TUMBLE_OK) {
            return tw_fail(err, code, "%s", tumble_code_text(code));
        }
    }
    return TUMBLE_OK;
}
