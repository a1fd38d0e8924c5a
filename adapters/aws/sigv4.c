#include "adapters/aws/sigv4.h"

#include <stdio.h>
#include <strings.h>

#include <tumble/timestamp.h>

#include "engine/base/fail.h"

enum {
    SIGNED_BYTES = 4 * 1024 * 1024,
    USUAL_BYTES = 2048,
    MAX_PAIRS = 1024
}; /* of the canonical request; of a query */

/* A header to be signed: name as given, compared in lower case. */
struct signed_header {
    const char *name;
    const char *value;
};

/* One name=value of a query, as it was sent. */
struct pair {
    struct tumble_bytes name;
    struct tumble_bytes value;
};

void tw_sigv4_init(struct tw_sigv4 *signer, struct tumble_alloc alloc) {
    memset(signer, 0, sizeof *signer);
    tw_buf_init(&signer->authorization, alloc, SIGNED_BYTES);
    tw_buf_init(&signer->canonical, alloc, SIGNED_BYTES);
    tw_buf_init(&signer->scratch, alloc, SIGNED_BYTES);
}

void tw_sigv4_clean_up(struct tw_sigv4 *signer) {
    tw_wipe(signer->canonical.data, signer->canonical.capacity);
    tw_wipe(signer->scratch.data, signer->scratch.capacity);
    tw_wipe(signer->authorization.data, signer->authorization.capacity);
    tw_buf_clean_up(&signer->canonical);
    tw_buf_clean_up(&signer->scratch);
    tw_buf_clean_up(&signer->authorization);
    tw_wipe(signer->key, sizeof signer->key);
    tw_wipe(signer->key_of, sizeof signer->key_of);
    signer->has_key = false;
    signer->header_count = 0;
}

static bool unreserved(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

enum tumble_code tw_percent_encode(struct tw_buf *out, struct tumble_bytes text, bool keep_slash) {
    static const char digits[] = "0123456789ABCDEF";
    size_t room;
    if (!tw_mul_ok(text.length, 3, &room)) {
        return TUMBLE_ELIMIT;
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (unreserved(c) || (keep_slash && c == '/')) {
            TW_TRY(tw_buf_append_byte(out, (char)c));
        } else {
            char encoded[3] = {'%', digits[c >> 4], digits[c & 15]};
            TW_TRY(tw_buf_append(out, encoded, sizeof encoded));
        }
    }
    return TUMBLE_OK;
}

/* RFC 3986 section 5.2.4, and empty segments go too: "/a//b/../c/." is "/a/c". Appends to scratch. */
static enum tumble_code append_normal_path(struct tw_buf *out, struct tumble_bytes path) {
    const char *at = path.data;
    const char *end = path.data + path.length;
    TW_TRY(tw_buf_append_byte(out, '/'));
    size_t root = out->length;
    while (at < end) {
        const char *stop = memchr(at, '/', (size_t)(end - at));
        stop = stop ? stop : end;
        size_t length = (size_t)(stop - at);
        if (length == 2 && memcmp(at, "..", 2) == 0) {
            /* Behind root the text is "a/b/": drop the last slash, then back to the slash before the segment. */
            size_t keep = out->length > root ? out->length - 1 : root;
            while (keep > root && out->data[keep - 1] != '/') {
                keep--;
            }
            out->length = keep;
        } else if (length && !(length == 1 && *at == '.')) {
            TW_TRY(tw_buf_append(out, at, length));
            TW_TRY(tw_buf_append_byte(out, '/'));
        }
        at = stop < end ? stop + 1 : end;
    }
    if (out->length > root && path.data[path.length - 1] != '/') {
        out->length--; /* the slash behind the last segment, which was not there */
    }
    return TUMBLE_OK;
}

static int compare_bytes(struct tumble_bytes a, struct tumble_bytes b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_pairs(const struct pair *a, const struct pair *b) {
    int order = compare_bytes(a->name, b->name);
    return order ? order : compare_bytes(a->value, b->value);
}

static enum tumble_code append_query(struct tw_buf *out, struct tumble_bytes query, struct tumble_error *err) {
    struct pair pairs[MAX_PAIRS];
    size_t count = 0;
    const char *at = query.data;
    const char *end = query.length ? query.data + query.length : at;
    while (query.length && at <= end) {
        const char *stop = at < end ? memchr(at, '&', (size_t)(end - at)) : NULL;
        stop = stop ? stop : end;
        if (count == MAX_PAIRS) {
            return tw_fail(err, TUMBLE_ELIMIT, "signing: a query of more than %d parameters", MAX_PAIRS);
        }
        const char *equals = stop > at ? memchr(at, '=', (size_t)(stop - at)) : NULL;
        struct pair pair = {{at, (size_t)((equals ? equals : stop) - at)}, {stop, 0}};
        if (equals) {
            pair.value.data = equals + 1;
            pair.value.length = (size_t)(stop - (equals + 1));
        }
        size_t place = count++; /* queries are short and nearly sorted */
        while (place > 0 && compare_pairs(&pair, &pairs[place - 1]) < 0) {
            pairs[place] = pairs[place - 1];
            place--;
        }
        pairs[place] = pair;
        at = stop + 1;
    }
    for (size_t i = 0; i < count; i++) {
        if (i) {
            TW_TRY(tw_buf_append_byte(out, '&'));
        }
        TW_TRY(tw_buf_append(out, pairs[i].name.data, pairs[i].name.length));
        TW_TRY(tw_buf_append_byte(out, '='));
        TW_TRY(tw_buf_append(out, pairs[i].value.data, pairs[i].value.length));
    }
    return TUMBLE_OK;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/* Without white space around it, and one space for each run inside. */
static enum tumble_code append_header_value(struct tw_buf *out, const char *value) {
    bool first = true;
    while (*value) {
        while (is_blank(*value)) {
            value++;
        }
        const char *stop = value;
        while (*stop && !is_blank(*stop)) {
            stop++;
        }
        if (stop == value) {
            break;
        }
        if (!first) {
            TW_TRY(tw_buf_append_byte(out, ' '));
        }
        first = false;
        TW_TRY(tw_buf_append(out, value, (size_t)(stop - value)));
        value = stop;
    }
    return TUMBLE_OK;
}

static enum tumble_code append_lower(struct tw_buf *out, const char *name) {
    for (; *name; name++) {
        TW_TRY(tw_buf_append_byte(out, *name >= 'A' && *name <= 'Z' ? (char)(*name | 0x20) : *name));
    }
    return TUMBLE_OK;
}

static bool header_is_sane(const struct tw_http_header *header) {
    if (!*header->name) {
        return false;
    }
    for (const char *c = header->name; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == ':' || (unsigned char)*c >= 0x7f) {
            return false;
        }
    }
    for (const char *c = header->value; *c; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* Both lists: "name:value\n" each into canonical, and ";"-separated names into names. Same names, in the order given,
 * become one line. */
static enum tumble_code append_headers(struct tw_buf *canonical, struct tw_buf *names,
                                       const struct signed_header *headers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i && strcasecmp(headers[i].name, headers[i - 1].name) == 0) {
            canonical->length--; /* the newline */
            TW_TRY(tw_buf_append_byte(canonical, ','));
        } else {
            if (i) {
                TW_TRY(tw_buf_append_byte(names, ';'));
            }
            TW_TRY(append_lower(names, headers[i].name));
            TW_TRY(append_lower(canonical, headers[i].name));
            TW_TRY(tw_buf_append_byte(canonical, ':'));
        }
        TW_TRY(append_header_value(canonical, headers[i].value));
        TW_TRY(tw_buf_append_byte(canonical, '\n'));
    }
    return TUMBLE_OK;
}

static void insert_header(struct signed_header *headers, size_t *count, const char *name, const char *value) {
    size_t place = (*count)++;
    while (place > 0 && strcasecmp(name, headers[place - 1].name) < 0) {
        headers[place] = headers[place - 1];
        place--;
    }
    headers[place].name = name;
    headers[place].value = value;
}

/* Everything to be signed, in order. strcasecmp compares in lower case, which is the order asked for. */
static enum tumble_code gather_headers(const struct tw_sigv4 *signer, const struct tw_sigv4_request *request,
                                       struct signed_header *headers, size_t *count, struct tumble_error *err) {
    bool host = false;
    if (request->header_count > TW_SIGV4_MAX_HEADERS) {
        return tw_fail(err, TUMBLE_ELIMIT, "signing: more than %d headers", TW_SIGV4_MAX_HEADERS);
    }
    *count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!header_is_sane(&request->headers[i])) {
            return tw_fail(err, TUMBLE_EINVAL, "signing: header %zu has a name or value that cannot be sent", i);
        }
        host = host || strcasecmp(request->headers[i].name, "host") == 0;
        insert_header(headers, count, request->headers[i].name, request->headers[i].value);
    }
    if (!host) {
        return tw_fail(err, TUMBLE_EINVAL, "signing: the Host header is missing");
    }
    for (size_t i = 0; i < signer->header_count; i++) {
        insert_header(headers, count, signer->headers[i].name, signer->headers[i].value);
    }
    return TUMBLE_OK;
}

/* "YYYY-MM-DDTHH:MM:SSZ" without its punctuation. */
static bool write_date(int64_t time_s, char out[17]) {
    char text[TUMBLE_TIMESTAMP_TEXT];
    if (time_s < 0 || time_s > TUMBLE_TIMESTAMP_MAX_MS / 1000) {
        return false;
    }
    tumble_timestamp_text(time_s * 1000, text);
    for (const char *c = text; *c; c++) {
        if (*c != '-' && *c != ':') {
            *out++ = *c;
        }
    }
    *out = '\0';
    return true;
}

/* HMAC over HMAC: secret, day, region, service, "aws4_request". */
static enum tumble_code signing_key(struct tw_sigv4 *signer, const struct tw_sigv4_request *request) {
    struct tw_buf *scratch = &signer->scratch;
    struct tumble_bytes day = {signer->date, 8};
    tw_buf_clear(scratch);
    TW_TRY(tw_buf_append(scratch, day.data, day.length));
    TW_TRY(tw_buf_append(scratch, request->region, strlen(request->region) + 1));
    TW_TRY(tw_buf_append(scratch, request->service, strlen(request->service) + 1));
    TW_TRY(tw_buf_append_text(scratch, request->keys.secret_access_key));
    uint8_t key_of[TW_SHA256_BYTES];
    TW_TRY(tw_sha256(tw_buf_view(scratch), key_of));
    if (signer->has_key && memcmp(key_of, signer->key_of, sizeof key_of) == 0) {
        return TUMBLE_OK;
    }
    signer->has_key = false;
    tw_buf_clear(scratch);
    TW_TRY(tw_buf_append_text(scratch, "AWS4"));
    TW_TRY(tw_buf_append_text(scratch, request->keys.secret_access_key));
    const struct tumble_bytes parts[] = {day, tumble_bytes_of(request->region), tumble_bytes_of(request->service),
                                         tumble_bytes_of("aws4_request")};
    struct tumble_bytes key = tw_buf_view(scratch);
    uint8_t link[TW_SHA256_BYTES];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        TW_TRY(tw_hmac_sha256(key, parts[i], link));
        memcpy(signer->key, link, sizeof link);
        key.data = (const char *)signer->key;
        key.length = sizeof signer->key;
    }
    tw_wipe(link, sizeof link);
    memcpy(signer->key_of, key_of, sizeof key_of);
    signer->has_key = true;
    return TUMBLE_OK;
}

static enum tumble_code append_path(struct tw_sigv4 *signer, const struct tw_sigv4_request *request) {
    if (request->s3) {
        return tw_buf_append(&signer->canonical, request->path.data, request->path.length);
    }
    tw_buf_clear(&signer->scratch);
    TW_TRY(append_normal_path(&signer->scratch, request->path));
    return tw_percent_encode(&signer->canonical, tw_buf_view(&signer->scratch), true);
}

static enum tumble_code append_canonical(struct tw_sigv4 *signer, const struct tw_sigv4_request *request,
                                         const struct signed_header *headers, size_t count, struct tumble_error *err) {
    struct tw_buf *out = &signer->canonical;
    tw_buf_clear(out);
    /* Room for the token and what usually stands beside it, so that growing seldom leaves a copy of it behind. */
    TW_TRY(tw_buf_reserve(out, USUAL_BYTES + (request->keys.session_token ? strlen(request->keys.session_token) : 0)));
    TW_TRY(tw_buf_append_text(out, request->method));
    TW_TRY(tw_buf_append_byte(out, '\n'));
    TW_TRY(append_path(signer, request));
    TW_TRY(tw_buf_append_byte(out, '\n'));
    TW_TRY(append_query(out, request->query, err));
    TW_TRY(tw_buf_append_byte(out, '\n'));
    tw_buf_clear(&signer->scratch);
    TW_TRY(append_headers(out, &signer->scratch, headers, count));
    TW_TRY(tw_buf_append_byte(out, '\n'));
    TW_TRY(tw_buf_append(out, signer->scratch.data, signer->scratch.length));
    TW_TRY(tw_buf_append_byte(out, '\n'));
    return tw_buf_append_text(out, signer->payload);
}

/* day/region/service/aws4_request */
static enum tumble_code append_scope(struct tw_buf *out, const struct tw_sigv4 *signer,
                                     const struct tw_sigv4_request *request) {
    TW_TRY(tw_buf_append(out, signer->date, 8));
    TW_TRY(tw_buf_append_byte(out, '/'));
    TW_TRY(tw_buf_append_text(out, request->region));
    TW_TRY(tw_buf_append_byte(out, '/'));
    TW_TRY(tw_buf_append_text(out, request->service));
    return tw_buf_append_text(out, "/aws4_request");
}

/* After append_canonical, whose list of names is in scratch. */
static enum tumble_code append_authorization(struct tw_sigv4 *signer, const struct tw_sigv4_request *request) {
    struct tw_buf *out = &signer->authorization;
    char hash[TW_SHA256_HEX];
    tw_buf_clear(out);
    TW_TRY(tw_buf_append_text(out, "AWS4-HMAC-SHA256 Credential="));
    TW_TRY(tw_buf_append_text(out, request->keys.access_key_id));
    TW_TRY(tw_buf_append_byte(out, '/'));
    TW_TRY(append_scope(out, signer, request));
    TW_TRY(tw_buf_append_text(out, ", SignedHeaders="));
    TW_TRY(tw_buf_append(out, signer->scratch.data, signer->scratch.length));
    TW_TRY(tw_buf_append_text(out, ", Signature="));

    TW_TRY(tw_sha256_hex(tw_buf_view(&signer->canonical), hash));
    TW_TRY(signing_key(signer, request));
    struct tw_buf *text = &signer->scratch;
    tw_wipe(text->data, text->length); /* held the secret */
    tw_buf_clear(text);
    TW_TRY(tw_buf_append_text(text, "AWS4-HMAC-SHA256\n"));
    TW_TRY(tw_buf_append_text(text, signer->date));
    TW_TRY(tw_buf_append_byte(text, '\n'));
    TW_TRY(append_scope(text, signer, request));
    TW_TRY(tw_buf_append_byte(text, '\n'));
    TW_TRY(tw_buf_append_text(text, hash));
    uint8_t signature[TW_SHA256_BYTES];
    struct tumble_bytes key = {(const char *)signer->key, sizeof signer->key};
    TW_TRY(tw_hmac_sha256(key, tw_buf_view(text), signature));
    tw_hex(signature, sizeof signature, hash);
    return tw_buf_append(out, hash, sizeof hash); /* with its NUL */
}

enum tumble_code tw_sigv4_sign(struct tw_sigv4 *signer, const struct tw_sigv4_request *request,
                               struct tumble_error *err) {
    signer->header_count = 0;
    if (!write_date(request->time_s, signer->date)) {
        return tw_fail(err, TUMBLE_EINVAL, "signing: the clock says neither this millennium nor the last one");
    }
    snprintf(signer->payload, sizeof signer->payload, "%s",
             request->payload_sha256 ? request->payload_sha256 : tw_sha256_of_nothing);
    struct tw_http_header *extra = signer->headers;
    extra[signer->header_count++] = (struct tw_http_header){"x-amz-date", signer->date};
    if (request->s3) {
        extra[signer->header_count++] = (struct tw_http_header){"x-amz-content-sha256", signer->payload};
    }
    if (request->keys.session_token) {
        extra[signer->header_count++] = (struct tw_http_header){"x-amz-security-token", request->keys.session_token};
    }
    struct signed_header headers[TW_SIGV4_MAX_HEADERS + TW_SIGV4_HEADERS];
    size_t count = 0;
    TW_TRY(gather_headers(signer, request, headers, &count, err));
    enum tumble_code code = append_canonical(signer, request, headers, count, err);
    if (code == TUMBLE_OK) {
        code = append_authorization(signer, request);
    }
    if (code == TUMBLE_ENOMEM) {
        return tw_no_memory(err);
    }
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "signing: path, query and headers are longer than any service takes");
    }
    extra[signer->header_count++] = (struct tw_http_header){"authorization", signer->authorization.data};
    return TUMBLE_OK;
}
