/* Reads a stream from its first shards on to wherever the answers' ChildShards lead; where a server tells of none, the
 * list of shards is looked into. Prints what it met, for reshard.py.
 *
 * usage: children_driver STREAM */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "adapters/inputs/kinesis/kinesis_stream.h"

enum { SHARDS = 64 };

static struct {
    char id[TUMBLE_KINESIS_ID];
    char parents[2][TUMBLE_KINESIS_ID];
    bool done;
} known[SHARDS];
static size_t known_count;

static size_t find(const char *id) {
    size_t at = 0;
    while (at < known_count && strcmp(known[at].id, id) != 0) {
        at++;
    }
    return at;
}

static void add(const char *id, const char *a, const char *b) {
    if (find(id) < known_count || known_count == SHARDS) {
        return;
    }
    snprintf(known[known_count].id, TUMBLE_KINESIS_ID, "%s", id);
    snprintf(known[known_count].parents[0], TUMBLE_KINESIS_ID, "%s", a ? a : "");
    snprintf(known[known_count].parents[1], TUMBLE_KINESIS_ID, "%s", b ? b : "");
    known_count++;
}

static bool is_done(const char *id) {
    size_t at = find(id);
    return !*id || at == known_count || known[at].done;
}

static int fail(const struct tumble_error *err) {
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static int list(struct tumble_kinesis_stream *stream, bool roots, struct tumble_error *err) {
    const struct tumble_kinesis_shard *shards;
    size_t count;
    if (tumble_kinesis_shards(stream, &shards, &count, NULL, err) != TUMBLE_OK) {
        return fail(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (!roots || !shards[i].parent_id[0]) {
            add(shards[i].id, shards[i].parent_id, shards[i].adjacent_id);
        }
    }
    return 0;
}

/* Reads a shard until it ends, or to its tip. */
static int read_shard(struct tumble_kinesis_stream *stream, size_t at, struct tumble_error *err) {
    static const struct tumble_kinesis_position begin = {.start = TUMBLE_KINESIS_TRIM_HORIZON};
    struct tumble_kinesis_reader *reader;
    struct tumble_kinesis_batch batch = {0};
    uint64_t records = 0;
    if (tumble_kinesis_reader_open(stream, known[at].id, &begin, 500, &reader, err) != TUMBLE_OK) {
        return fail(err);
    }
    int tips = 0;
    while (!batch.is_end && tips < 2) { /* some servers tell of the end one answer late */
        int64_t wait_ms = batch.next_poll_steady_ms - tumble_kinesis_steady_ms(stream);
        if (wait_ms > 0) {
            usleep((useconds_t)wait_ms * 1000);
        }
        if (tumble_kinesis_reader_poll(reader, &batch, err) != TUMBLE_OK) {
            tumble_kinesis_reader_close(reader);
            return fail(err);
        }
        records += batch.count;
        tips += batch.at_tip;
    }
    printf("{\"shard\":\"%s\",\"records\":%" PRIu64 ",\"end\":%s,\"children\":[", known[at].id, records,
           batch.is_end ? "true" : "false");
    for (size_t i = 0; i < batch.child_count; i++) {
        const struct tumble_kinesis_child *child = &batch.children[i];
        printf("%s{\"id\":\"%s\",\"parents\":%d,\"begin\":[%" PRIu64 ",%" PRIu64 "]}", i ? "," : "", child->id,
               child->parents[1] ? 2 : 1, child->begin.high, child->begin.low);
        add(child->id, child->parents[0], child->parents[1]);
    }
    puts("]}");
    known[at].done = true;
    int status = batch.is_end && batch.child_count == 0 ? list(stream, false, err) : 0;
    tumble_kinesis_reader_close(reader);
    return status;
}

int main(int argc, char **argv) {
    struct tumble_kinesis_options options = {.stream = argc > 1 ? argv[1] : NULL, .idle_ms = 50};
    struct tumble_kinesis_stream *stream;
    struct tumble_error err;
    if (tumble_kinesis_open(&options, &stream, &err) != TUMBLE_OK) {
        return fail(&err);
    }
    struct tumble_kinesis_facts facts;
    tumble_kinesis_facts(stream, &facts);
    printf("{\"arn\":\"%s\",\"status\":\"%s\",\"open\":%u}\n", facts.arn, facts.status, (unsigned)facts.open_shards);
    int status = list(stream, true, &err);
    bool more = true;
    while (more && status == 0) {
        more = false;
        for (size_t at = 0; at < known_count && status == 0; at++) {
            if (!known[at].done && is_done(known[at].parents[0]) && is_done(known[at].parents[1])) {
                status = read_shard(stream, at, &err);
                more = true;
            }
        }
    }
    tumble_kinesis_close(stream);
    return status;
}
