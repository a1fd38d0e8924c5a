#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapters/inputs/kinesis/get_records_body.h"
#include "bench/command_line.h"
#include "engine/codec/base64.h"

/* Time of reading what GetRecords answers: 10,000 records, data decoded. AWS gives a shard's reader 2 MiB a second, so
 * this says how many shards one core keeps up with. Medians over rounds.
 *
 *     build/release/bin/tumble-get-records [ROUNDS] */

static const char program[] = "tumble-get-records";
static const char usage[] =
    "Usage: tumble-get-records [ROUNDS]\n"
    "Nanoseconds a record, and megabytes a second, of reading what GetRecords answers, data decoded: medians\n"
    "of ROUNDS (101; 1 to 1001) of 10,000 records each.\n";

enum { RECORDS = 10000, MOST_ROUNDS = 1001, HEAD = 400 };

static const struct subject {
    const char *name;
    size_t data_bytes;
    bool exponent; /* arrival times as the service writes them: 1.795435558636E9 */
} subjects[] = {
    {"20 bytes", 20, false}, {"135 bytes", 135, false}, {"135 bytes, E9", 135, true}, {"1,024 bytes", 1024, false}};

static double now_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void must(bool condition) {
    if (!condition) {
        fputs("tumble-get-records: no memory\n", stderr);
        exit(1);
    }
}

static void print_head(char out[HEAD], int record, bool exponent) {
    const char *comma = record ? "," : "";
    if (exponent) {
        snprintf(out, HEAD, "%s{\"ApproximateArrivalTimestamp\":1.795435%06d1E9,\"Data\":\"", comma, record + 100000);
    } else {
        snprintf(out, HEAD, "%s{\"ApproximateArrivalTimestamp\":1795435%03d.%03d,\"Data\":\"", comma, record / 1000,
                 record % 1000);
    }
}

static void make_body(const struct subject *subject, struct tw_buf *body) {
    size_t encoded = tw_base64_encoded_length(subject->data_bytes);
    char *data = malloc(subject->data_bytes);
    char text[HEAD];
    unsigned state = 1;
    must(data && tw_buf_reserve(body, RECORDS * (encoded + HEAD)) == TUMBLE_OK);
    for (size_t i = 0; i < subject->data_bytes; i++) {
        state = state * 1664525 + 1013904223;
        data[i] = (char)(state >> 24);
    }
    tw_buf_clear(body);
    must(tw_buf_append_text(body, "{\"MillisBehindLatest\":0,\"NextShardIterator\":\"AAAA\",\"Records\":[") ==
         TUMBLE_OK);
    for (int i = 0; i < RECORDS; i++) {
        print_head(text, i, subject->exponent);
        must(tw_buf_append_text(body, text) == TUMBLE_OK && tw_buf_reserve(body, encoded) == TUMBLE_OK);
        tw_base64_encode((struct tumble_bytes){data, subject->data_bytes}, body->data + body->length);
        body->length += encoded;
        snprintf(text, sizeof text,
                 "\",\"PartitionKey\":\"user-%d\",\"SequenceNumber\":\"4968049012142885551375456049958435376425400382"
                 "%010d\"}",
                 i % 100, i);
        must(tw_buf_append_text(body, text) == TUMBLE_OK);
    }
    must(tw_buf_append_text(body, "]}") == TUMBLE_OK);
    free(data);
}

int main(int argc, char **argv) {
    static double times[MOST_ROUNDS];
    command_words(program, argc, argv, 1, usage);
    int rounds = argc > 1 ? (int)command_whole(program, "ROUNDS", argv[1], 1, MOST_ROUNDS) : 101;
    struct tw_get_records answer;
    struct tw_buf text;
    struct tumble_error err;
    tw_get_records_init(&answer, (struct tumble_alloc){0});
    tw_buf_init(&text, tw_alloc_default(), SIZE_MAX / 4);
    printf("%-16s %10s %12s %14s %14s\n", "data", "body MB", "ns a record", "MB of body/s", "MB of data/s");
    for (size_t s = 0; s < sizeof subjects / sizeof *subjects; s++) {
        make_body(&subjects[s], &text);
        struct tumble_bytes body = tw_buf_view(&text);
        for (int round = 0; round < rounds; round++) {
            double began = now_us();
            if (tw_get_records_read(&answer, body, &err) != TUMBLE_OK || answer.count != RECORDS) {
                fprintf(stderr, "tumble-get-records: %s\n", err.text);
                return 1;
            }
            times[round] = now_us() - began;
        }
        qsort(times, (size_t)rounds, sizeof *times, by_value);
        double us = times[rounds / 2];
        printf("%-16s %10.1f %12.1f %14.0f %14.0f\n", subjects[s].name, (double)body.length / 1e6, us * 1000 / RECORDS,
               (double)body.length / us, (double)answer.bytes / us);
    }
    tw_buf_clean_up(&text);
    tw_get_records_clean_up(&answer);
    return command_end(program);
}
