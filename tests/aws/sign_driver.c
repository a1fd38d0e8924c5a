/* Signs what the lines of stdin describe, for sign.py to compare with botocore. A line's fields are hex, with a tab
 * between: mode (s3 | other), method, path (s3: the key, encoded here; other: as sent), query, region, service, time,
 * access key, secret, token (empty: none), body, then name and value of each header. Answers: path, canonical request,
 * Authorization, each hex, with a tab between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapters/aws/sigv4.h"

enum { LINE = 1 << 20, FIELDS = 160, FIXED = 11 };

static char line[LINE];
static char decoded[LINE];

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static void put_hex(const char *data, size_t length, char end) {
    for (size_t i = 0; i < length; i++) {
        printf("%02x", (unsigned)(unsigned char)data[i]);
    }
    putchar(end);
}

/* Splits the line and undoes the hex; every field is NUL-terminated in decoded. */
static int split(struct tumble_bytes *fields) {
    int count = 0;
    char *to = decoded;
    const char *at = line;
    while (count < FIELDS) {
        fields[count].data = to;
        while (*at && *at != '\t' && *at != '\n') {
            *to++ = (char)(digit(at[0]) << 4 | digit(at[1]));
            at += 2;
        }
        fields[count].length = (size_t)(to - fields[count].data);
        *to++ = '\0';
        count++;
        if (*at != '\t') {
            return count;
        }
        at++;
    }
    return -1;
}

static int sign(struct tw_sigv4 *signer, struct tw_buf *path, const struct tumble_bytes *f, int count, char *payload) {
    struct tw_http_header headers[FIELDS];
    struct tw_sigv4_request request = {.method = f[1].data,
                                       .query = f[3],
                                       .s3 = strcmp(f[0].data, "s3") == 0,
                                       .region = f[4].data,
                                       .service = f[5].data,
                                       .time_s = strtoll(f[6].data, NULL, 10),
                                       .keys = {f[7].data, f[8].data, f[9].length ? f[9].data : NULL},
                                       .payload_sha256 = payload,
                                       .headers = headers};
    for (int i = FIXED; i + 1 < count; i += 2) {
        headers[request.header_count].name = f[i].data;
        headers[request.header_count++].value = f[i + 1].data;
    }
    tw_buf_clear(path);
    if (tw_sha256_hex(f[10], payload) != TUMBLE_OK) {
        return 1;
    }
    if (request.s3) {
        if (tw_buf_append_byte(path, '/') != TUMBLE_OK || tw_percent_encode(path, f[2], true) != TUMBLE_OK) {
            return 1;
        }
    } else if (tw_buf_append(path, f[2].data, f[2].length) != TUMBLE_OK) {
        return 1;
    }
    request.path = tw_buf_view(path);
    struct tumble_error err;
    if (tw_sigv4_sign(signer, &request, &err) != TUMBLE_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    return 0;
}

int main(void) {
    struct tw_sigv4 signer;
    struct tw_buf path;
    char payload[TW_SHA256_HEX];
    int failed = 0;
    tw_sigv4_init(&signer, tw_alloc_default());
    tw_buf_init(&path, tw_alloc_default(), LINE);
    while (!failed && fgets(line, sizeof line, stdin)) {
        struct tumble_bytes fields[FIELDS];
        int count = split(fields);
        failed = count < FIXED || sign(&signer, &path, fields, count, payload);
        if (!failed) {
            put_hex(path.data, path.length, '\t');
            put_hex(signer.canonical.data, signer.canonical.length, '\t');
            put_hex(signer.authorization.data, strlen(signer.authorization.data), '\n');
        }
    }
    tw_sigv4_clean_up(&signer);
    tw_buf_clean_up(&path);
    return failed;
}
