#include "engine/codec/field_path.h"

#include "engine/base/fail.h"
#include "engine/base/limits.h"

enum tumble_code tw_field_path_check(struct tumble_bytes path, struct tumble_error *err) {
    if (path.length == 0) {
        return tw_fail_at(err, TUMBLE_EPATH, 0, "an empty field path names nothing");
    }
    if (path.length > TW_LIMIT_PATH_BYTES) {
        return tw_fail_at(err, TUMBLE_EPATH, TW_LIMIT_PATH_BYTES,
                          "the field path has %zu bytes: at most %d are allowed", path.length,
                          (int)TW_LIMIT_PATH_BYTES);
    }
    bool pointer = path.data[0] == '/';
    for (size_t i = 0; i < path.length; i++) {
        char c = path.data[i];
        if (c == '\0') {
            return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i, "a field path cannot hold the character U+0000");
        }
        if (pointer && c == '~' && (i + 1 == path.length || (path.data[i + 1] != '0' && path.data[i + 1] != '1'))) {
            return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i,
                              "in the pointer \"%.*s\" a ~ must be written ~0 and a / within a key ~1",
                              (int)path.length, path.data);
        }
        if (!pointer && c == '.' && (i == 0 || i + 1 == path.length || path.data[i - 1] == '.')) {
            return tw_fail_at(err, TUMBLE_EPATH, (int64_t)i,
                              "the path \"%.*s\" has an empty part: write a key that holds a dot as a JSON Pointer, "
                              "such as \"/a.b\"",
                              (int)path.length, path.data);
        }
    }
    return TUMBLE_OK;
}

/* Would these pointer segments, written with dots, name the same field? */
static bool same_dotted(struct tumble_bytes path) {
    bool decimal = true; /* the segment so far; it would also name an array position */
    size_t length = 0;
    for (size_t i = 1; i <= path.length; i++) {
        if (i == path.length || path.data[i] == '/') {
            if (length == 0 || decimal) {
                return false;
            }
            decimal = true;
            length = 0;
            continue;
        }
        char c = path.data[i];
        if (c == '.' || c == '~' || (i == 1 && c == '$')) {
            return false;
        }
        decimal = decimal && c >= '0' && c <= '9';
        length++;
    }
    return true;
}

enum tumble_code tw_field_path_canonical(struct tumble_bytes path, struct tw_buf *out) {
    if (path.data[0] != '/' || !same_dotted(path)) {
        return tw_buf_append(out, path.data, path.length);
    }
    for (size_t i = 1; i < path.length; i++) {
        TW_TRY(tw_buf_append_byte(out, path.data[i] == '/' ? '.' : path.data[i]));
    }
    return TUMBLE_OK;
}

enum tumble_code tw_field_path_append(struct tw_buf *pointer, struct tumble_bytes key) {
    TW_TRY(tw_buf_append_byte(pointer, '/'));
    for (size_t i = 0; i < key.length; i++) {
        if (key.data[i] == '~') {
            TW_TRY(tw_buf_append_text(pointer, "~0"));
        } else if (key.data[i] == '/') {
            TW_TRY(tw_buf_append_text(pointer, "~1"));
        } else {
            TW_TRY(tw_buf_append_byte(pointer, key.data[i]));
        }
    }
    return TUMBLE_OK;
}
