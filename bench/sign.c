#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "adapters/aws/sigv4.h"
#include "bench/command_line.h"

/* Time of one signature: what DynamoDB and S3 are sent, its body's SHA-256 included. "whole" makes the signing key
 * each time, "kept" uses the day's, as a client does. Medians over rounds.
 *
 *     build/release/bin/tumble-sign [ROUNDS] */

static const char program[] = "tumble-sign";
static const char usage[] =
    "Usage: tumble-sign [ROUNDS]\n"
    "Microseconds of a signature for AWS, the SHA-256 of its body included; \"whole\" makes the signing\n"
    "key each time, \"kept\" uses the day's. Medians of ROUNDS (21; 1 to 1001) of 2,000 signatures each.\n";

enum { SIGNATURES_A_ROUND = 2000, MOST_ROUNDS = 1001 };

struct subject {
    const char *name;
    const char *service;
    bool s3;
    const char *path;
    size_t body_bytes;
};

static const struct subject subjects[] = {
    {"DynamoDB, 4 KiB", "dynamodb", false, "/", 4096},
    {"DynamoDB, 25 rows, 10 KiB", "dynamodb", false, "/", 10240},
    {"S3, empty body", "s3", true,
     "/bucket/prefix/date%3D2026-11-23/hour%3D08/shard-000000000000-1795420800.ndjson.zst", 0},
};

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

static void must(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "tumble-sign: %s\n", what);
        exit(1);
    }
}

/* Microseconds a signature, of one round. */
static double round_us(const struct subject *subject, const char *body, bool keep) {
    static const struct tw_http_header headers[] = {{"host", "dynamodb.eu-central-1.amazonaws.com"},
                                                    {"content-type", "application/x-amz-json-1.0"},
                                                    {"x-amz-target", "DynamoDB_20120810.BatchWriteItem"}};
    struct tw_sigv4 signer;
    char payload[TW_SHA256_HEX];
    struct tw_sigv4_request request = {.method = subject->s3 ? "PUT" : "POST",
                                       .path = tumble_bytes_of(subject->path),
                                       .headers = headers,
                                       .header_count = 3,
                                       .payload_sha256 = payload,
                                       .s3 = subject->s3,
                                       .region = "eu-central-1",
                                       .service = subject->service,
                                       .time_s = 1795420800,
                                       .keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", NULL}};
    tw_sigv4_init(&signer, tw_alloc_default());
    double began = now_us();
    for (int i = 0; i < SIGNATURES_A_ROUND; i++) {
        signer.has_key = signer.has_key && keep;
        must(tw_sha256_hex((struct tumble_bytes){body, subject->body_bytes}, payload) == TUMBLE_OK, "out of memory");
        must(tw_sigv4_sign(&signer, &request, NULL) == TUMBLE_OK, "cannot sign");
    }
    double took = now_us() - began;
    tw_sigv4_clean_up(&signer);
    return took / SIGNATURES_A_ROUND;
}

int main(int argc, char **argv) {
    static char body[16384];
    static double whole[MOST_ROUNDS];
    static double kept[MOST_ROUNDS];
    command_words(program, argc, argv, 1, usage);
    long rounds = argc > 1 ? (long)command_whole(program, "ROUNDS", argv[1], 1, MOST_ROUNDS) : 21;
    memset(body, 'x', sizeof body);
    printf("%-28s %10s %10s\n", "us a signature", "whole", "kept");
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        for (long r = 0; r < rounds; r++) {
            whole[r] = round_us(&subjects[i], body, false);
            kept[r] = round_us(&subjects[i], body, true);
        }
        qsort(whole, (size_t)rounds, sizeof *whole, by_value);
        qsort(kept, (size_t)rounds, sizeof *kept, by_value);
        printf("%-28s %10.2f %10.2f\n", subjects[i].name, whole[rounds / 2], kept[rounds / 2]);
    }
    return command_end(program);
}
