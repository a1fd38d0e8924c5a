/* Rows through an output against a bare libcurl loop that sends the same bytes to the same server over one kept
 * connection, and does nothing else: what goes to S3 was hashed and signed beforehand. Rounds are interleaved.
 *
 *     tumble-deliver dynamodb URL TABLE ROUNDS BATCHES     batches of 25 items a round
 *     tumble-deliver s3 URL BUCKET ROUNDS OBJECTS          objects of 1 MB a round
 *
 * Prints one line of JSON. bench/outputs.py starts the servers. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include <tumble/output.h>

#include "adapters/aws/sigv4.h"
#include "adapters/outputs/dynamodb/dynamodb_form.h"
#include "adapters/outputs/dynamodb/dynamodb_output.h"
#include "adapters/outputs/s3/s3_output.h"
#include "bench/command_line.h"
#include "engine/base/buf.h"
#include "engine/codec/base64.h"
#include "engine/codec/hash.h"

enum { ROUNDS_MAX = 101, BATCH = 25, ROWS_A_CALL = 500, COLUMNS = 11, OBJECT_BYTES = 1000000, TEXT = 48 };

static void stop_with(const char *what) {
    fprintf(stderr, "tumble-deliver: %s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- rows ---- */

struct rows {
    struct tumble_spec *spec;
    size_t count;
    struct tumble_row *rows;
    struct tumble_bytes *values;
    struct tw_buf text; /* of all values and rows */
    struct tumble_delivery *deliveries;
    struct tumble_fragment *fragments;
};

static const char spec_text[] =
    "{\"window\":{\"seconds\":60},\"group_by\":[\"eventType\",{\"field\":\"c\",\"as\":\"country\"}],\"aggregates\":["
    "{\"name\":\"orders\",\"function\":\"count\"},{\"name\":\"revenue\",\"function\":\"sum\",\"field\":\"v\"},"
    "{\"name\":\"lowest\",\"function\":\"min\",\"field\":\"v\"}],\"partials\":false}";

static const char *const names[] = {"window_start", "window_end", "shard_id", "fragment", "last_sequence", "eventType",
                                    "country",      "orders",     "revenue",  "lowest",   "records"};

/* The column's JSON text of row i. */
static void put_value(struct tw_buf *out, size_t column, size_t i) {
    char text[160];
    switch (column) {
    case 0: snprintf(text, sizeof text, "\"2026-01-01T00:00:00Z\""); break;
    case 1: snprintf(text, sizeof text, "\"2026-01-01T00:01:00Z\""); break;
    case 2: snprintf(text, sizeof text, "\"shardId-000000000000\""); break;
    case 3:
    case 4: snprintf(text, sizeof text, "\"4959033827149025660855969250000100000000000000000%07zu\"", column); break;
    case 5: snprintf(text, sizeof text, "\"event-%08zu\"", i); break;
    case 6: snprintf(text, sizeof text, "\"country-%03zu\"", i % 250); break;
    default: snprintf(text, sizeof text, "%zu.%02zu", i * 7919 % 100000, 1 + i % 99); break;
    }
    if (tw_buf_append_text(out, text) != TUMBLE_OK) {
        stop_with("out of memory");
    }
}

static void make_rows(struct rows *rows, size_t count, size_t rows_a_fragment) {
    struct tumble_error err;
    size_t fragments = (count + rows_a_fragment - 1) / rows_a_fragment;
    if (tumble_spec_parse(tumble_bytes_of(spec_text), NULL, (struct tumble_alloc){0}, &rows->spec, &err)) {
        stop_with(err.text);
    }
    rows->count = count;
    rows->rows = calloc(count, sizeof *rows->rows);
    rows->values = calloc(count * COLUMNS, sizeof *rows->values);
    rows->deliveries = calloc(count, sizeof *rows->deliveries);
    rows->fragments = calloc(fragments, sizeof *rows->fragments);
    tw_buf_init(&rows->text, tw_alloc_default(), SIZE_MAX / 4);
    if (!rows->rows || !rows->values || !rows->deliveries || !rows->fragments ||
        tw_buf_reserve(&rows->text, count * 1000) != TUMBLE_OK) { /* room for all: texts must not move */
        stop_with("out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        struct tumble_row *row = &rows->rows[i];
        size_t begin = rows->text.length;
        for (size_t c = 0; c < COLUMNS; c++) {
            char name[64];
            snprintf(name, sizeof name, "%s\"%s\":", c ? "," : "{", names[c]);
            tw_buf_append_text(&rows->text, name);
            size_t at = rows->text.length;
            put_value(&rows->text, c, i);
            rows->values[i * COLUMNS + c] = (struct tumble_bytes){rows->text.data + at, rows->text.length - at};
        }
        tw_buf_append_byte(&rows->text, '}');
        row->json = (struct tumble_bytes){rows->text.data + begin, rows->text.length - begin};
        row->values = &rows->values[i * COLUMNS];
        row->value_count = COLUMNS;
        row->window_start_ms = INT64_C(1767225600000);
        row->window_end_ms = row->window_start_ms + 60000;
        row->fragment = &rows->fragments[i / rows_a_fragment];
        row->fragment_row = i % rows_a_fragment;
        tw_hash128(&i, sizeof i, row->key);
    }
}

/* Every round delivers other fragments: none of them was there before. */
static void name_fragments(struct rows *rows, size_t rows_a_fragment, int round, char (*texts)[TEXT]) {
    for (size_t f = 0; f * rows_a_fragment < rows->count; f++) {
        struct tumble_fragment *fragment = &rows->fragments[f];
        size_t left = rows->count - f * rows_a_fragment;
        snprintf(texts[f], TEXT, "%d%09zu", round + 1, f);
        fragment->struct_size = sizeof *fragment;
        fragment->shard_id = tumble_bytes_of("shardId-000000000000");
        fragment->first_sequence = fragment->last_sequence = tumble_bytes_of(texts[f]);
        fragment->window_start_ms = rows->rows[0].window_start_ms;
        fragment->window_end_ms = rows->rows[0].window_end_ms;
        fragment->row_count = left < rows_a_fragment ? left : rows_a_fragment;
        fragment->record_count = fragment->row_count;
    }
}

static double deliver(const struct tumble_output_api *api, void *self, struct rows *rows) {
    struct tumble_error err = {.text = ""};
    double began = now();
    for (size_t at = 0; at < rows->count; at += ROWS_A_CALL) {
        size_t count = rows->count - at < ROWS_A_CALL ? rows->count - at : ROWS_A_CALL;
        if (api->write(self, rows->rows + at, count, rows->deliveries + at, &err) != TUMBLE_OK) {
            stop_with(err.text);
        }
        for (size_t i = at; i < at + count; i++) {
            if (rows->deliveries[i].outcome != TUMBLE_DELIVERED) {
                stop_with(rows->deliveries[i].reason);
            }
        }
    }
    if (api->flush(self, 0, &err) != TUMBLE_OK) {
        stop_with(err.text);
    }
    return now() - began;
}

static void *open_output(const struct tumble_output_api *api, const char *target, const struct rows *rows,
                         const struct tumble_option_value *options, size_t count) {
    struct tumble_output_open how = {.struct_size = sizeof how,
                                     .kind = TUMBLE_ROW_WINDOW,
                                     .target = target,
                                     .options = options,
                                     .option_count = count,
                                     .uri = target,
                                     .spec = rows->spec,
                                     .source = tumble_bytes_of("bench")};
    struct tumble_error err;
    void *self;
    if (api->open(&how, &self, &err) != TUMBLE_OK) {
        stop_with(err.text);
    }
    return self;
}

/* ---- the bare loop ---- */

static size_t drop(char *data, size_t size, size_t count, void *ctx) {
    (void)data;
    (void)ctx;
    return size * count;
}

static void send_raw(CURL *curl, const char *method, const char *url, struct tumble_bytes body) {
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
    if (strcmp(method, "HEAD") != 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
    }
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
        stop_with(curl_easy_strerror(code));
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && strcmp(method, "HEAD") != 0) {
        fprintf(stderr, "status %ld for %s %s\n", status, method, url);
        exit(1);
    }
}

static CURL *open_raw(struct curl_slist *headers) {
    CURL *curl = curl_easy_init();
    if (!curl) {
        stop_with("libcurl does not start");
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    return curl;
}

/* ---- figures ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *figures, int count) {
    double sorted[ROUNDS_MAX];
    memcpy(sorted, figures, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, ascending);
    return sorted[count / 2];
}

static double median_ratio(const double *raw, const double *ours, int count) {
    double ratios[ROUNDS_MAX];
    for (int i = 0; i < count; i++) {
        ratios[i] = raw[i] / ours[i];
    }
    return median(ratios, count);
}

/* ---- DynamoDB ---- */

static struct tw_buf *make_batches(struct rows *rows, const char *table, const struct tumble_option_value *options,
                                   size_t known, size_t count) {
    struct tumble_output_open how = {.target = table,
                                     .options = options,
                                     .option_count = count,
                                     .spec = rows->spec,
                                     .source = tumble_bytes_of("bench")};
    struct tw_dynamodb_table schema = {{"pk", 'S'}, {"sk", 'S'}, "ACTIVE"};
    struct tw_dynamodb_form form;
    struct tumble_error err;
    if (tw_dynamodb_form_init(&form, &how, known, &schema, false, NULL, tw_alloc_default(), &err) != TUMBLE_OK) {
        stop_with(err.text);
    }
    struct tw_buf *batches = calloc(rows->count / BATCH, sizeof *batches);
    for (size_t b = 0; batches && b < rows->count / BATCH; b++) {
        char head[160];
        snprintf(head, sizeof head, "{\"RequestItems\":{\"%.100s\":[", table);
        tw_buf_init(&batches[b], tw_alloc_default(), SIZE_MAX / 4);
        tw_buf_append_text(&batches[b], head);
        for (size_t i = 0; i < BATCH; i++) {
            tw_buf_append_text(&batches[b], i ? ",{\"PutRequest\":{\"Item\":" : "{\"PutRequest\":{\"Item\":");
            if (tw_dynamodb_form_item(&form, &rows->rows[b * BATCH + i], &batches[b]) != TUMBLE_OK) {
                stop_with("no item");
            }
            tw_buf_append_text(&batches[b], "}}");
        }
        tw_buf_append_text(&batches[b], "]}}");
    }
    tw_dynamodb_form_clean_up(&form);
    return batches;
}

static double send_batches(CURL *curl, const char *url, const struct tw_buf *bodies, size_t batches) {
    double began = now();
    for (size_t b = 0; b < batches; b++) {
        send_raw(curl, "POST", url, tw_buf_view(&bodies[b]));
    }
    return now() - began;
}

static int measure_dynamodb(const char *url, const char *table, int rounds, size_t batches) {
    const struct tumble_option_value options[] = {{.name = "endpoint-url", .value = url},
                                                  {.name = "pk", .value = "{eventType}|{country}"},
                                                  {.name = "sk", .value = "{window_start}/{shard_id}/{fragment}"}};
    /* As the output sees them: its own options first, those it does not know behind. */
    struct tumble_option_value given[16];
    size_t known = tumble_dynamodb_output.option_count, count = known;
    double raw[ROUNDS_MAX], ours[ROUNDS_MAX];
    struct rows rows = {0};
    for (size_t i = 0; i < known; i++) {
        given[i] = (struct tumble_option_value){.name = tumble_dynamodb_output.options[i].name};
        given[i].value = strcmp(given[i].name, "endpoint-url") == 0 ? url : NULL;
    }
    given[count++] = options[1];
    given[count++] = options[2];
    make_rows(&rows, batches * BATCH, batches * BATCH);
    struct tw_buf *bodies = make_batches(&rows, table, given, known, count);
    void *self = open_output(&tumble_dynamodb_output, table, &rows, given, count);
    struct curl_slist *headers = curl_slist_append(NULL, "X-Amz-Target: DynamoDB_20120810.BatchWriteItem");
    headers = curl_slist_append(headers, "Content-Type: application/x-amz-json-1.0");
    headers = curl_slist_append(headers, "X-Amz-Date: 20260101T000000Z");
    headers = curl_slist_append(headers, "Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/dynamodb/"
                                         "aws4_request, SignedHeaders=host, Signature=0");
    CURL *curl = open_raw(headers);
    for (int round = -1; round < rounds; round++) { /* one more, to warm up */
        int at = round < 0 ? 0 : round;
        for (int turn = 0; turn < 2; turn++) { /* who goes first changes: the server tidies up behind */
            if ((turn + round) % 2 == 0) {
                ours[at] = deliver(&tumble_dynamodb_output, self, &rows);
            } else {
                raw[at] = send_batches(curl, url, bodies, batches);
            }
        }
    }
    double items = (double)(batches * BATCH);
    printf("{\"output\":\"dynamodb\",\"rounds\":%d,\"batches\":%zu,\"raw_items_per_s\":%.0f,\"items_per_s\":%.0f,"
           "\"ratio\":%.3f}\n",
           rounds, batches, items / median(raw, rounds), items / median(ours, rounds), median_ratio(raw, ours, rounds));
    tumble_dynamodb_output.close(self);
    return 0;
}

/* ---- S3 ---- */

/* A request as the output sends it, made before the clock runs. */
struct prepared {
    const char *method;
    char address[512];
    struct curl_slist *headers;
    struct tumble_bytes body;
};

struct hashes {
    char sha256_hex[TW_SHA256_HEX];
    char sha256[48];
};

static struct hashes hashes_of(struct tumble_bytes body) {
    struct hashes hashes = {.sha256 = ""};
    uint8_t sha256[TW_SHA256_BYTES];
    if (tw_sha256(body, sha256) != TUMBLE_OK) {
        stop_with("out of memory");
    }
    tw_hex(sha256, sizeof sha256, hashes.sha256_hex);
    tw_base64_encode((struct tumble_bytes){(const char *)sha256, sizeof sha256}, hashes.sha256);
    return hashes;
}

static void prepare_request(struct prepared *out, const char *method, const char *url, const char *path,
                            struct tumble_bytes body, const struct hashes *hashes) {
    struct tw_http_header headers[] = {{"host", url + strlen("http://")},
                                       {"x-amz-checksum-sha256", hashes->sha256},
                                       {"content-type", "application/x-ndjson"}};
    const struct tw_sigv4_request request = {
        .method = method,
        .path = tumble_bytes_of(path),
        .headers = headers,
        .header_count = body.length ? 3 : 1,
        .payload_sha256 = hashes->sha256_hex,
        .s3 = true,
        .region = getenv("AWS_REGION"),
        .service = "s3",
        .time_s = (int64_t)time(NULL),
        .keys = {getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), NULL}};
    struct tw_sigv4 signer;
    struct tumble_error err;
    char line[1200];
    tw_sigv4_init(&signer, tw_alloc_default());
    if (!request.region || !request.keys.access_key_id || tw_sigv4_sign(&signer, &request, &err) != TUMBLE_OK) {
        stop_with("cannot sign: AWS_REGION and the keys are wanted");
    }
    out->method = method;
    out->body = body;
    snprintf(out->address, sizeof out->address, "%s%s", url, path);
    out->headers = curl_slist_append(NULL, "Expect:");
    for (size_t i = 1; i < request.header_count; i++) {
        snprintf(line, sizeof line, "%s: %s", headers[i].name, headers[i].value);
        out->headers = curl_slist_append(out->headers, line);
    }
    for (size_t i = 0; i < signer.header_count; i++) {
        snprintf(line, sizeof line, "%s: %s", signer.headers[i].name, signer.headers[i].value);
        out->headers = curl_slist_append(out->headers, line);
    }
    tw_sigv4_clean_up(&signer);
}

/* The objects only (way 0), or with a look before and a small object after each (way 1), as the output does it. */
static double send_objects(CURL *curl, const char *url, const char *bucket, int way, int round, size_t objects,
                           struct tumble_bytes body, struct tumble_bytes manifest) {
    struct tumble_bytes nothing = {"", 0};
    struct hashes of_body = hashes_of(body), of_manifest = hashes_of(manifest), of_nothing = hashes_of(nothing);
    size_t each = way ? 3 : 1, count = 0;
    char path[256];
    struct prepared *requests = calloc(objects * each, sizeof *requests);
    if (!requests) {
        stop_with("out of memory");
    }
    for (size_t i = 0; i < objects; i++) {
        if (way) {
            snprintf(path, sizeof path, "/%s/raw/m-%d-%zu", bucket, round, i);
            prepare_request(&requests[count++], "HEAD", url, path, nothing, &of_nothing);
        }
        snprintf(path, sizeof path, "/%s/raw/%d-%d-%zu", bucket, way, round, i);
        prepare_request(&requests[count++], "PUT", url, path, body, &of_body);
        if (way) {
            snprintf(path, sizeof path, "/%s/raw/m-%d-%zu", bucket, round, i);
            prepare_request(&requests[count++], "PUT", url, path, manifest, &of_manifest);
        }
    }
    double began = now();
    for (size_t i = 0; i < count; i++) {
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, requests[i].headers);
        send_raw(curl, requests[i].method, requests[i].address, requests[i].body);
    }
    double took = now() - began;
    for (size_t i = 0; i < count; i++) {
        curl_slist_free_all(requests[i].headers);
    }
    free(requests);
    return took;
}

static int measure_s3(const char *url, const char *bucket, int rounds, size_t objects) {
    const struct tumble_option_value options[] = {{.name = "endpoint-url", .value = url},
                                                  {.name = "compression", .value = "none", .number = 2}};
    double raw[ROUNDS_MAX], same[ROUNDS_MAX], ours[ROUNDS_MAX];
    char target[256];
    struct rows rows = {0};
    make_rows(&rows, 1, 1);
    size_t rows_an_object = OBJECT_BYTES / (rows.rows[0].json.length + 1);
    make_rows(&rows, objects * rows_an_object, rows_an_object);
    char(*texts)[TEXT] = calloc(objects, sizeof *texts);
    struct tw_buf body;
    char manifest[600];
    memset(manifest, 'm', sizeof manifest);
    tw_buf_init(&body, tw_alloc_default(), SIZE_MAX / 4);
    for (size_t i = 0; i < rows_an_object; i++) {
        tw_buf_append(&body, rows.rows[i].json.data, rows.rows[i].json.length);
        tw_buf_append_byte(&body, '\n');
    }
    snprintf(target, sizeof target, "//%s/rows", bucket);
    void *self = open_output(&tumble_s3_output, target, &rows, options, 2);
    CURL *curl = open_raw(NULL);
    for (int round = -1; round < rounds; round++) { /* one more, to warm up */
        int at = round < 0 ? 0 : round;
        struct tumble_bytes small = {manifest, sizeof manifest};
        name_fragments(&rows, rows_an_object, round + 1, texts);
        for (int turn = 0; turn < 3; turn++) { /* who goes first changes: the server tidies up behind */
            switch ((turn + round + 1) % 3) {
            case 0: raw[at] = send_objects(curl, url, bucket, 0, round + 1, objects, tw_buf_view(&body), small); break;
            case 1: same[at] = send_objects(curl, url, bucket, 1, round + 1, objects, tw_buf_view(&body), small); break;
            default: ours[at] = deliver(&tumble_s3_output, self, &rows); break;
            }
        }
    }
    double megabytes = (double)objects * (double)body.length / 1e6;
    printf("{\"output\":\"s3\",\"rounds\":%d,\"objects\":%zu,\"object_bytes\":%zu,\"raw_mb_per_s\":%.1f,"
           "\"raw_with_manifest_mb_per_s\":%.1f,\"mb_per_s\":%.1f,\"ratio\":%.3f,\"ratio_with_manifest\":%.3f}\n",
           rounds, objects, body.length, megabytes / median(raw, rounds), megabytes / median(same, rounds),
           megabytes / median(ours, rounds), median_ratio(raw, ours, rounds), median_ratio(same, ours, rounds));
    tumble_s3_output.close(self);
    return 0;
}

static const char program[] = "tumble-deliver";
static const char usage[] =
    "Usage: tumble-deliver dynamodb URL TABLE ROUNDS BATCHES | s3 URL BUCKET ROUNDS OBJECTS\n"
    "Rows through an output against a bare libcurl loop that sends the same bytes: batches of 25 items,\n"
    "objects of 1 MB. One line of JSON: rates of the loop and of ours, in items and MB a second, and the\n"
    "median of the rounds' ratios. ROUNDS is 1 to 101; bench/outputs.py starts the servers.\n";

int main(int argc, char **argv) {
    static const char *const outputs[] = {"dynamodb", "s3", NULL};
    command_words(program, argc, argv, 5, usage);
    if (argc != 6) {
        command_refuse(program, "takes dynamodb or s3, URL, TABLE or BUCKET, ROUNDS, BATCHES or OBJECTS");
    }
    int to_s3 = command_choice(program, "the first argument", argv[1], outputs);
    int rounds = (int)command_whole(program, "ROUNDS", argv[4], 1, ROUNDS_MAX);
    size_t count = command_whole(program, to_s3 ? "OBJECTS" : "BATCHES", argv[5], 1, 1000000);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = (to_s3 ? measure_s3 : measure_dynamodb)(argv[2], argv[3], rounds, count);
    return failed ? failed : command_end(program);
}
