/* Rows through an output against a bare libcurl loop that sends the same bytes to the same server, unsigned, with one
 * kept connection and nothing else. Rounds are interleaved.
 *
 *     tumble-deliver dynamodb URL TABLE ROUNDS BATCHES     batches of 25 items a round
 *     tumble-deliver s3 URL BUCKET ROUNDS OBJECTS          objects of 1 MB a round (BUCKET may be written by anybody)
 *
 * Prints one line of JSON. bench/outputs.py starts the servers. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include <tumble/output.h>

#include "adapters/outputs/dynamodb/dynamodb_form.h"
#include "adapters/outputs/dynamodb/dynamodb_output.h"
#include "adapters/outputs/s3/s3_output.h"
#include "engine/base/buf.h"
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
        double began = now();
        for (size_t b = 0; b < batches; b++) {
            send_raw(curl, "POST", url, tw_buf_view(&bodies[b]));
        }
        double took = now() - began;
        double took_ours = deliver(&tumble_dynamodb_output, self, &rows);
        raw[round < 0 ? 0 : round] = took;
        ours[round < 0 ? 0 : round] = took_ours;
    }
    double items = (double)(batches * BATCH);
    printf("{\"output\":\"dynamodb\",\"rounds\":%d,\"batches\":%zu,\"raw_items_per_s\":%.0f,\"items_per_s\":%.0f,"
           "\"ratio\":%.3f}\n",
           rounds, batches, items / median(raw, rounds), items / median(ours, rounds), median_ratio(raw, ours, rounds));
    tumble_dynamodb_output.close(self);
    return 0;
}

/* ---- S3 ---- */

static int measure_s3(const char *url, const char *bucket, int rounds, size_t objects) {
    const struct tumble_option_value options[] = {{.name = "endpoint-url", .value = url},
                                                  {.name = "compression", .value = "none", .number = 2}};
    double raw[ROUNDS_MAX], same[ROUNDS_MAX], ours[ROUNDS_MAX];
    char target[256], address[512];
    struct rows rows = {0};
    make_rows(&rows, 1, 1);
    size_t rows_an_object = OBJECT_BYTES / (rows.rows[0].json.length + 1);
    make_rows(&rows, objects * rows_an_object, rows_an_object);
    char(*texts)[TEXT] = calloc(objects, sizeof *texts);
    struct tw_buf body, manifest;
    tw_buf_init(&body, tw_alloc_default(), SIZE_MAX / 4);
    tw_buf_init(&manifest, tw_alloc_default(), SIZE_MAX / 4);
    for (size_t i = 0; i < rows_an_object; i++) {
        tw_buf_append(&body, rows.rows[i].json.data, rows.rows[i].json.length);
        tw_buf_append_byte(&body, '\n');
    }
    for (size_t i = 0; i < 600; i++) {
        tw_buf_append_byte(&manifest, 'm');
    }
    snprintf(target, sizeof target, "//%s/rows", bucket);
    void *self = open_output(&tumble_s3_output, target, &rows, options, 2);
    CURL *curl = open_raw(curl_slist_append(NULL, "Expect:"));
    for (int round = -1; round < rounds; round++) {
        double times[3];
        for (int way = 0; way < 2; way++) { /* the objects only; and with a HEAD before and a small object after each */
            double began = now();
            for (size_t i = 0; i < objects; i++) {
                if (way == 1) {
                    snprintf(address, sizeof address, "%s/%s/raw/m-%d-%zu", url, bucket, round + 1, i);
                    send_raw(curl, "HEAD", address, (struct tumble_bytes){NULL, 0});
                }
                snprintf(address, sizeof address, "%s/%s/raw/%d-%d-%zu", url, bucket, way, round + 1, i);
                send_raw(curl, "PUT", address, tw_buf_view(&body));
                if (way == 1) {
                    snprintf(address, sizeof address, "%s/%s/raw/m-%d-%zu", url, bucket, round + 1, i);
                    send_raw(curl, "PUT", address, tw_buf_view(&manifest));
                }
            }
            times[way] = now() - began;
        }
        name_fragments(&rows, rows_an_object, round + 1, texts);
        times[2] = deliver(&tumble_s3_output, self, &rows);
        raw[round < 0 ? 0 : round] = times[0];
        same[round < 0 ? 0 : round] = times[1];
        ours[round < 0 ? 0 : round] = times[2];
    }
    double megabytes = (double)objects * (double)body.length / 1e6;
    printf("{\"output\":\"s3\",\"rounds\":%d,\"objects\":%zu,\"object_bytes\":%zu,\"raw_mb_per_s\":%.1f,"
           "\"raw_with_manifest_mb_per_s\":%.1f,\"mb_per_s\":%.1f,\"ratio\":%.3f,\"ratio_with_manifest\":%.3f}\n",
           rounds, objects, body.length, megabytes / median(raw, rounds), megabytes / median(same, rounds),
           megabytes / median(ours, rounds), median_ratio(raw, ours, rounds), median_ratio(same, ours, rounds));
    tumble_s3_output.close(self);
    return 0;
}

int main(int argc, char **argv) {
    int rounds = argc == 6 ? (int)strtol(argv[4], NULL, 10) : 0;
    long count = argc == 6 ? strtol(argv[5], NULL, 10) : 0;
    if (rounds < 1 || rounds > ROUNDS_MAX || count < 1) {
        stop_with("usage: tumble-deliver dynamodb|s3 URL TABLE|BUCKET ROUNDS COUNT");
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return strcmp(argv[1], "s3") == 0 ? measure_s3(argv[2], argv[3], rounds, (size_t)count)
                                      : measure_dynamodb(argv[2], argv[3], rounds, (size_t)count);
}
