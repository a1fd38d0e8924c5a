#include "cli/input_hint.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tumble/bytes.h>

enum { LOOKED_AT = 64 * 1024, DEPTH_MAX = 4, POINTER_BYTES = 160 };

struct scan {
    const char *at;
    const char *end;
    struct tumble_bytes keys[DEPTH_MAX]; /* of the objects that are open, outermost first */
    size_t depth;
};

static void skip_space(struct scan *scan) {
    while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at) {
        scan->at++;
    }
}

/* at stands on a quote. Escapes stay as they are written. */
static struct tumble_bytes take_string(struct scan *scan) {
    struct tumble_bytes text = {++scan->at, 0};
    while (scan->at < scan->end && *scan->at != '"') {
        scan->at += *scan->at == '\\' && scan->at + 1 < scan->end ? 2 : 1;
    }
    text.length = (size_t)(scan->at - text.data);
    scan->at += scan->at < scan->end;
    return text;
}

/* Walks objects inside objects, and passes over everything else, until an array begins whose first element is an
 * object: true, with the keys that lead there. */
static bool find_array_of_objects(struct scan *scan) {
    size_t skipped = 0; /* brackets open that are not looked into */
    while (scan->at < scan->end) {
        char c = *scan->at;
        if (c == '"') {
            struct tumble_bytes text = take_string(scan);
            skip_space(scan);
            if (skipped == 0 && scan->depth > 0 && scan->at < scan->end && *scan->at == ':') {
                scan->keys[scan->depth - 1] = text;
            }
            continue;
        }
        scan->at++;
        if (c == '[' && skipped == 0) {
            skip_space(scan);
            if (scan->depth > 0 && scan->at < scan->end && *scan->at == '{') {
                return true;
            }
        }
        if (c == '{' && skipped == 0 && scan->depth < DEPTH_MAX) {
            scan->depth++;
        } else if (c == '{' || c == '[') {
            skipped++;
        } else if ((c == '}' || c == ']') && skipped > 0) {
            skipped--;
        } else if (c == '}' && scan->depth > 0 && --scan->depth == 0) {
            return false; /* the first value ended */
        }
    }
    return false;
}

/* Keys with escapes of their own are left alone: this is only a hint. */
static bool write_pointer(const struct scan *scan, char out[POINTER_BYTES]) {
    size_t length = 0;
    for (size_t i = 0; i < scan->depth; i++) {
        struct tumble_bytes key = scan->keys[i];
        bool plain = key.data && length + key.length + 2 <= POINTER_BYTES;
        for (size_t k = 0; k < key.length && plain; k++) {
            plain = key.data[k] > ' ' && key.data[k] < 0x7f && !strchr("\\/~'", key.data[k]);
        }
        if (!plain) {
            return false;
        }
        out[length++] = '/';
        memcpy(out + length, key.data, key.length);
        length += key.length;
    }
    out[length] = '\0';
    return length > 0;
}

/* The service that an event says it comes from, when it is not Kinesis; the element is in front of the scan. */
static bool find_service(const struct scan *scan, char out[32]) {
    static const char key[] = "\"eventsource\"";
    size_t length = strlen(key);
    for (const char *at = scan->at; at + length < scan->end; at++) {
        size_t same = 0;
        while (same < length && (at[same] == key[same] || (at[same] == 'E' && key[same] == 'e') ||
                                 (at[same] == 'S' && key[same] == 's'))) {
            same++;
        }
        if (same == length) {
            struct scan value = {.at = at + length, .end = scan->end};
            skip_space(&value);
            value.at += value.at < value.end && *value.at == ':';
            skip_space(&value);
            if (value.at < value.end && *value.at == '"') {
                struct tumble_bytes name = take_string(&value);
                snprintf(out, 32, "%.*s", (int)(name.length < 31 ? name.length : 31), name.data);
                return strncmp(out, "aws:", 4) == 0 && strcmp(out, "aws:kinesis") != 0;
            }
        }
    }
    return false;
}

bool tw_input_hint(const char *path, char *out, size_t size) {
    static char text[LOOKED_AT];
    char pointer[POINTER_BYTES], service[32];
    struct stat info;
    FILE *file = strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rb") : NULL;
    if (!file) {
        return false;
    }
    struct scan scan = {.at = text, .end = text + fread(text, 1, sizeof text, file)};
    fclose(file);
    skip_space(&scan);
    if (scan.at == scan.end || *scan.at != '{' || !find_array_of_objects(&scan) || !write_pointer(&scan, pointer)) {
        return false;
    }
    if (strcmp(pointer, "/Records") == 0 && find_service(&scan, service)) {
        snprintf(out, size, "note: %s holds an event of %s; of events only those of aws:kinesis are read", path,
                 service);
    } else {
        snprintf(
            out, size,
            "note: %s begins with a document that holds an array: if its elements are the records, add --records-at %s",
            path, pointer);
    }
    return true;
}
