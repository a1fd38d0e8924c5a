#ifndef TW_METRICS_PRICES_H
#define TW_METRICS_PRICES_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

/* What AWS asks for, and what a usage costs by it. The prices stand in a file (share/prices.json, docs/tune.md), of
 * which the build puts a copy into the program. Sums leave out free tiers, volume tiers, discounts and tax. Any thread.
 */

enum tw_architecture { TW_ARCHITECTURE_X86_64, TW_ARCHITECTURE_ARM64, TW_ARCHITECTURE_COUNT };
enum tw_stream_mode { TW_STREAM_PROVISIONED, TW_STREAM_ON_DEMAND };

#define TW_PRICES_TEXT 64
#define TW_PRICES_NOTE 256

struct tw_prices {
    char date[TW_PRICES_TEXT]; /* on which they were noted: "2025-06-01" */
    char region[TW_PRICES_TEXT];
    char currency[TW_PRICES_TEXT];
    char note[TW_PRICES_NOTE]; /* "": none */
    double lambda_million_requests;
    double lambda_gb_second[TW_ARCHITECTURE_COUNT]; /* GB: 1024 MB */
    double kinesis_shard_hour;
    double kinesis_million_put_payload_units;
    double kinesis_consumer_shard_hour; /* of enhanced fan-out, a consumer */
    double kinesis_consumer_gb;         /* GB of Kinesis: 2^30 bytes */
    double kinesis_on_demand_stream_hour;
    double kinesis_on_demand_gb_in;
    double kinesis_on_demand_gb_out;
    double kinesis_on_demand_consumer_gb;
};

/* Those that the program was built with. Errors: none that a test would not have found. */
enum tumble_code tw_prices_default(struct tw_prices *out, struct tumble_error *err);
/* Those of a file; NULL: the default. Errors: EUSAGE, the text names the file and what is wrong with it. */
enum tumble_code tw_prices_load(const char *path, struct tw_prices *out, struct tumble_error *err);
/* Every price has to be there and be a number of 0 or more; unknown keys are errors. Errors: EUSAGE, EJSON, EUTF8. */
enum tumble_code tw_prices_read(struct tumble_bytes json, struct tw_prices *out, struct tumble_error *err);

/* What was used in some time. */
struct tw_usage {
    enum tw_architecture architecture;
    enum tw_stream_mode mode;
    int is_consumer; /* read by enhanced fan-out */
    double invocations;
    double gb_seconds;
    double shard_hours;       /* of a provisioned stream */
    double stream_hours;      /* of one on demand */
    double put_payload_units; /* of a provisioned stream: each record in pieces of 25 kB, tw_put_payload_units */
    double bytes_in;          /* of one on demand: each record in whole kB, tw_on_demand_bytes */
    double bytes_out;         /* read from it, by its one reader */
};

struct tw_cost {
    double requests, duration;        /* of Lambda */
    double stream, ingest, retrieval; /* of Kinesis: shards or the stream itself; what goes in; what comes out */
    double lambda, kinesis, total;
};

void tw_cost_of(const struct tw_prices *prices, const struct tw_usage *usage, struct tw_cost *out);

/* Of one record; Kinesis counts its data and its partition key. */
uint64_t tw_put_payload_units(uint64_t bytes);
uint64_t tw_on_demand_bytes(uint64_t bytes);

#endif
