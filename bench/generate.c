/* tumble-generate: the seeded click stream that tests and measurements use, in every form that `tumble replay` reads.
 * The same seed gives the same payloads whatever the format; nothing reads a clock. */

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/timestamp.h>

#include "bench/click_payload.h"
#include "bench/command_line.h"
#include "emulator/emulator.h"

enum format { FORMAT_NDJSON, FORMAT_ARRAY, FORMAT_LAMBDA, FORMAT_GET_RECORDS };

enum {
    RECORD_ENVELOPE_BYTES = 1024, /* more than any record takes around its data */
    EVENT_BYTES = 6000000,        /* an event is cut before it passes this: Lambda's limit is 6 MiB */
    SHARDS_MAX = 10000,
    PADDED_BYTES_MIN = 200 /* a payload as it comes, and the member that pads it */
};

struct shard_event { /* the event a shard is filling */
    char *bytes;
    size_t length, capacity;
    uint64_t records;
    int64_t window_start_ms;
};

struct generator {
    struct click_options clicks;
    uint64_t first, records;
    int64_t window_ms; /* lambda: events are cut at windows of this length and carry them; 0: no windows */
    enum format format;
    uint64_t batch;
    uint32_t shard_count;
    struct tumble_sharder *sharder;
    struct shard_event *shards;
    size_t event_count;
};

static const char program[] = "tumble-generate";

static void die(const char *what, const char *argument) {
    fprintf(stderr, "tumble-generate: %s%s%s\n", what, argument ? ": " : "", argument ? argument : "");
    exit(2);
}

static void put(const char *bytes, size_t length) {
    if (fwrite(bytes, 1, length, stdout) != length) {
        fprintf(stderr, "tumble-generate: cannot write: %s\n", strerror(errno));
        exit(4);
    }
}

static char *literal(char *at, const char *text) {
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static char *base64(char *at, const char *data, size_t length) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)data;
    size_t i = 0;
    for (; i + 3 <= length; i += 3) {
        unsigned bits = ((unsigned)in[i] << 16) | ((unsigned)in[i + 1] << 8) | in[i + 2];
        *at++ = alphabet[bits >> 18];
        *at++ = alphabet[(bits >> 12) & 63];
        *at++ = alphabet[(bits >> 6) & 63];
        *at++ = alphabet[bits & 63];
    }
    if (i < length) {
        unsigned bits = (unsigned)in[i] << 16 | (i + 1 < length ? (unsigned)in[i + 1] << 8 : 0);
        *at++ = alphabet[bits >> 18];
        *at++ = alphabet[(bits >> 12) & 63];
        *at++ = i + 1 < length ? alphabet[(bits >> 6) & 63] : '=';
        *at++ = '=';
    }
    return at;
}

/* 56 digits like Kinesis gives, above all that went before: the shard stands in the middle, the index behind it. */
static char *sequence(char *at, uint32_t shard, uint64_t index, uint64_t random) {
    at = literal(at, "495903382714902566085596925");
    at = click_digits(at, shard, 5);
    return click_digits(at, (index + 1) * 1000003 + random % 1000003, 24);
}

static char *seconds(char *at, int64_t ms) {
    at = click_digits(at, (uint64_t)ms / 1000, 0);
    *at++ = '.';
    return click_digits(at, (uint64_t)ms % 1000, 3);
}

static const char stream_arn[] = "arn:aws:kinesis:us-east-1:123456789012:stream/clicks";

static char *lambda_record(char *at, const struct click *click, uint32_t shard, uint64_t index, uint64_t random) {
    char shard_id[TUMBLE_SHARD_ID_TEXT];
    tumble_shard_id_text(shard, shard_id);
    at = literal(at, "{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"");
    at = literal(at, click->user);
    at = literal(at, "\",\"sequenceNumber\":\"");
    at = sequence(at, shard, index, random);
    at = literal(at, "\",\"data\":\"");
    at = base64(at, click->payload, click->length);
    at = literal(at, "\",\"approximateArrivalTimestamp\":");
    at = seconds(at, click->arrival_ms);
    at = literal(at, "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"");
    at = literal(at, shard_id);
    *at++ = ':';
    at = sequence(at, shard, index, random);
    at = literal(at, "\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":"
                     "\"arn:aws:iam::123456789012:role/clicks\",\"awsRegion\":\"us-east-1\",\"eventSourceARN\":\"");
    at = literal(at, stream_arn);
    return literal(at, "\"}");
}

/* As `aws kinesis get-records` prints a record. */
static char *get_records_record(char *at, const struct click *click, uint32_t shard, uint64_t index, uint64_t random) {
    at = literal(at, "{\"SequenceNumber\":\"");
    at = sequence(at, shard, index, random);
    at = literal(at, "\",\"ApproximateArrivalTimestamp\":");
    at = seconds(at, click->arrival_ms);
    at = literal(at, ",\"Data\":\"");
    at = base64(at, click->payload, click->length);
    at = literal(at, "\",\"PartitionKey\":\"");
    at = literal(at, click->user);
    return literal(at, "\"}");
}

/* What a tumbling window adds to an event, state last: whoever plays Lambda puts the one of the last answer there. */
static void put_window(const struct generator *generator, const struct shard_event *event) {
    char text[512], shard_id[TUMBLE_SHARD_ID_TEXT], start[TUMBLE_TIMESTAMP_TEXT], end[TUMBLE_TIMESTAMP_TEXT];
    tumble_shard_id_text((uint32_t)(event - generator->shards), shard_id);
    tumble_timestamp_text(event->window_start_ms, start);
    tumble_timestamp_text(event->window_start_ms + generator->window_ms, end);
    int length = snprintf(text, sizeof text,
                          "],\"window\":{\"start\":\"%s\",\"end\":\"%s\"},\"shardId\":\"%s\",\"eventSourceARN\":\"%s\","
                          "\"isFinalInvokeForWindow\":false,\"isWindowTerminatedEarly\":false,\"state\":{}}\n",
                          start, end, shard_id, stream_arn);
    put(text, (size_t)length);
}

static void flush_event(const struct generator *generator, struct shard_event *event) {
    if (!event->records) {
        return;
    }
    put("{\"Records\":[", 12);
    put(event->bytes, event->length);
    if (generator->window_ms) {
        put_window(generator, event);
    } else if (generator->format == FORMAT_LAMBDA) {
        put("]}\n", 3);
    } else {
        static const char end[] = "],\"NextShardIterator\":\"AAAAAAAAAAE=\",\"MillisBehindLatest\":0}\n";
        put(end, sizeof end - 1);
    }
    event->length = 0;
    event->records = 0;
}

static void add_to_event(struct generator *generator, const struct click *click, uint64_t index) {
    uint32_t shard = 0;
    struct tumble_bytes key = {click->user, click->user_length}, none = {NULL, 0};
    if (generator->shard_count > 1 && tumble_sharder_shard(generator->sharder, key, none, &shard, NULL) != TUMBLE_OK) {
        die("cannot find the shard of", click->user);
    }
    struct shard_event *event = &generator->shards[shard];
    size_t most = RECORD_ENVELOPE_BYTES + click->length * 4 / 3 + 4;
    int64_t window_start_ms =
        generator->window_ms ? click->arrival_ms - click->arrival_ms % generator->window_ms : event->window_start_ms;
    if (event->records == generator->batch || window_start_ms != event->window_start_ms ||
        (event->records && event->length + most > EVENT_BYTES)) {
        flush_event(generator, event);
        event->window_start_ms = window_start_ms;
    }
    if (event->length + most > event->capacity) {
        event->capacity = (event->length + most) * 2;
        event->bytes = realloc(event->bytes, event->capacity);
        if (!event->bytes) {
            die("out of memory", NULL);
        }
    }
    char *at = event->bytes + event->length;
    if (event->records) {
        *at++ = ',';
    }
    uint64_t random = click_random(generator->clicks.seed, index, 31);
    at = generator->format == FORMAT_LAMBDA ? lambda_record(at, click, shard, index, random)
                                            : get_records_record(at, click, shard, index, random);
    event->length = (size_t)(at - event->bytes);
    event->records++;
}

static void generate(struct generator *generator) {
    struct click click = {0};
    click.payload = malloc(CLICK_PAYLOAD_BYTES + generator->clicks.payload_bytes + 2);
    if (!click.payload) {
        die("out of memory", NULL);
    }
    if (generator->format == FORMAT_ARRAY) {
        put("[", 1);
    }
    for (uint64_t i = generator->first; i < generator->first + generator->records; i++) {
        click_make(&generator->clicks, i, &click);
        click.user[click.user_length] = '\0';
        if (generator->format == FORMAT_NDJSON) {
            click.payload[click.length] = '\n';
            put(click.payload, click.length + 1);
        } else if (generator->format == FORMAT_ARRAY) {
            if (i > generator->first) {
                put(",\n", 2);
            }
            put(click.payload, click.length);
        } else {
            add_to_event(generator, &click, i);
        }
    }
    if (generator->format == FORMAT_ARRAY) {
        put("]\n", 2);
    }
    for (size_t i = 0; i < generator->event_count; i++) {
        flush_event(generator, &generator->shards[i]);
        free(generator->shards[i].bytes);
    }
    free(click.payload);
}

static const char usage[] =
    "Usage: tumble-generate [option]…\n"
    "A click stream made from a seed, on standard output.\n\n"
    "  --records N         how many (1000000)\n"
    "  --first N           index of the first one: the same records as of one long run (0)\n"
    "  --seed N            same seed, same payloads, in every format (1)\n"
    "  --format FORMAT     ndjson (default), array, lambda, get-records\n"
    "  --batch N           records an event, lambda and get-records (1000)\n"
    "  --window SECONDS    lambda: events are cut at windows, and carry them\n"
    "  --shards N          lambda, and no other format: shards the users are spread over (1)\n"
    "  --groups N          event types, unevenly frequent (12)\n"
    "  --users N           users, evenly frequent (100000)\n"
    "  --users-in-turn     user 0, 1, 2 … again and again\n"
    "  --rate N            records a second of event time (1000)\n"
    "  --start MS          time of the first record (1762732800000)\n"
    "  --timestamp FORM    ms (default), s, iso\n"
    "  --out-of-order MS   timestamps lie up to this far back (0)\n"
    "  --payload-bytes N   pads payloads to this length, 200 at least (0: no padding, some 140)\n"
    "  --null-rate P       part of the amounts that are null (0)\n"
    "  --escapes P         part of the records with backslash escapes (0)\n"
    "  --non-ascii P       part of the records with text beyond ASCII (0)\n"
    "  --mixed P           part of the records with other members beside the five (0)\n"
    "  --shuffle-keys      members in random order\n";

enum {
    OPT_RECORDS = 256,
    OPT_FIRST,
    OPT_WINDOW,
    OPT_SEED,
    OPT_FORMAT,
    OPT_BATCH,
    OPT_SHARDS,
    OPT_GROUPS,
    OPT_USERS,
    OPT_IN_TURN,
    OPT_RATE,
    OPT_START,
    OPT_TIMESTAMP,
    OPT_OUT_OF_ORDER,
    OPT_PAYLOAD,
    OPT_NULLS,
    OPT_ESCAPES,
    OPT_NON_ASCII,
    OPT_MIXED,
    OPT_SHUFFLE
};

static const struct option options[] = {{"records", required_argument, NULL, OPT_RECORDS},
                                        {"first", required_argument, NULL, OPT_FIRST},
                                        {"window", required_argument, NULL, OPT_WINDOW},
                                        {"seed", required_argument, NULL, OPT_SEED},
                                        {"format", required_argument, NULL, OPT_FORMAT},
                                        {"batch", required_argument, NULL, OPT_BATCH},
                                        {"shards", required_argument, NULL, OPT_SHARDS},
                                        {"groups", required_argument, NULL, OPT_GROUPS},
                                        {"users", required_argument, NULL, OPT_USERS},
                                        {"users-in-turn", no_argument, NULL, OPT_IN_TURN},
                                        {"rate", required_argument, NULL, OPT_RATE},
                                        {"start", required_argument, NULL, OPT_START},
                                        {"timestamp", required_argument, NULL, OPT_TIMESTAMP},
                                        {"out-of-order", required_argument, NULL, OPT_OUT_OF_ORDER},
                                        {"payload-bytes", required_argument, NULL, OPT_PAYLOAD},
                                        {"null-rate", required_argument, NULL, OPT_NULLS},
                                        {"escapes", required_argument, NULL, OPT_ESCAPES},
                                        {"non-ascii", required_argument, NULL, OPT_NON_ASCII},
                                        {"mixed", required_argument, NULL, OPT_MIXED},
                                        {"shuffle-keys", no_argument, NULL, OPT_SHUFFLE},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};

static void read_options(struct generator *generator, int argc, char **argv) {
    static const char *const formats[] = {"ndjson", "array", "lambda", "get-records", NULL};
    static const char *const times[] = {"ms", "s", "iso", NULL};
    struct click_options *clicks = &generator->clicks;
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
        char name[32];
        snprintf(name, sizeof name, "--%s", option < 256 ? "" : options[option - OPT_RECORDS].name);
        switch (option) {
        case OPT_RECORDS: generator->records = command_whole(program, name, optarg, 0, UINT64_C(1) << 40); break;
        case OPT_FIRST: generator->first = command_whole(program, name, optarg, 0, UINT64_C(1) << 40); break;
        case OPT_WINDOW: generator->window_ms = (int64_t)command_whole(program, name, optarg, 1, 86400) * 1000; break;
        case OPT_SEED:
            clicks->seed = command_whole(program, name, optarg, 0, UINT64_MAX) * UINT64_C(0xd1342543de82ef95);
            break;
        case OPT_FORMAT: generator->format = (enum format)command_choice(program, name, optarg, formats); break;
        case OPT_BATCH: generator->batch = command_whole(program, name, optarg, 1, 1000000); break;
        case OPT_SHARDS: generator->shard_count = (uint32_t)command_whole(program, name, optarg, 1, SHARDS_MAX); break;
        case OPT_GROUPS: clicks->groups = command_whole(program, name, optarg, 1, UINT32_MAX); break;
        case OPT_USERS: clicks->users = command_whole(program, name, optarg, 1, UINT32_MAX); break;
        case OPT_IN_TURN: clicks->users_in_turn = 1; break;
        case OPT_RATE: clicks->rate = command_number(program, name, optarg, 1e-6, 1e9); break;
        case OPT_START:
            clicks->start_ms = (int64_t)command_whole(program, name, optarg, 0, UINT64_C(253402300799999));
            break;
        case OPT_TIMESTAMP: clicks->time = (enum click_time)command_choice(program, name, optarg, times); break;
        case OPT_OUT_OF_ORDER: clicks->out_of_order_ms = command_whole(program, name, optarg, 0, UINT32_MAX - 1); break;
        case OPT_PAYLOAD: clicks->payload_bytes = command_whole(program, name, optarg, 0, 10 * 1024 * 1024); break;
        case OPT_NULLS: clicks->null_rate = command_number(program, name, optarg, 0, 1); break;
        case OPT_ESCAPES: clicks->escape_rate = command_number(program, name, optarg, 0, 1); break;
        case OPT_NON_ASCII: clicks->non_ascii_rate = command_number(program, name, optarg, 0, 1); break;
        case OPT_MIXED: clicks->mixed_rate = command_number(program, name, optarg, 0, 1); break;
        case OPT_SHUFFLE: clicks->shuffle_keys = 1; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: command_refuse(program, "wrong options");
        }
    }
    if (optind != argc) {
        die("does not take files, but got", argv[optind]);
    }
    if (generator->window_ms && generator->format != FORMAT_LAMBDA) {
        die("only events have windows: --window needs --format lambda", NULL);
    }
    if (generator->format != FORMAT_LAMBDA && generator->shard_count > 1) {
        die("only events have shards: --shards needs --format lambda", NULL);
    }
    if (clicks->payload_bytes && clicks->payload_bytes < PADDED_BYTES_MIN) {
        fprintf(stderr, "tumble-generate: --payload-bytes is 0 (no padding) or %d at least, not %zu\n",
                PADDED_BYTES_MIN, clicks->payload_bytes);
        exit(2);
    }
}

int main(int argc, char **argv) {
    struct generator generator = {.records = 1000000, .batch = 1000, .shard_count = 1};
    generator.clicks = (struct click_options){.seed = UINT64_C(0xd1342543de82ef95),
                                              .groups = 12,
                                              .users = 100000,
                                              .rate = 1000,
                                              .start_ms = INT64_C(1762732800000)};
    read_options(&generator, argc, argv);
    if (generator.format == FORMAT_LAMBDA || generator.format == FORMAT_GET_RECORDS) {
        struct tumble_alloc default_alloc = {0};
        struct tumble_error err;
        if (tumble_sharder_new(generator.shard_count, default_alloc, &generator.sharder, &err) != TUMBLE_OK) {
            die(err.text, NULL);
        }
        generator.event_count = generator.shard_count;
        generator.shards = calloc(generator.event_count, sizeof *generator.shards);
        if (!generator.shards) {
            die("out of memory", NULL);
        }
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    generate(&generator);
    free(generator.shards);
    tumble_sharder_destroy(generator.sharder);
    if (fflush(stdout)) {
        fprintf(stderr, "tumble-generate: cannot write: %s\n", strerror(errno));
        return 4;
    }
    return 0;
}
