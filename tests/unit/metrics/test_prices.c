#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapters/metrics/prices.h"

static struct tumble_error err;

static const char whole[] =
    "{\"date\":\"2031-02-03\",\"region\":\"eu-west-1\",\"currency\":\"EUR\","
    "\"lambda\":{\"million_requests\":2,\"gb_second_x86_64\":1e-3,\"gb_second_arm64\":0.5},"
    "\"kinesis\":{\"shard_hour\":3,\"million_put_payload_units\":4,\"consumer_shard_hour\":5,\"consumer_gb\":6,"
    "\"on_demand_stream_hour\":7,\"on_demand_gb_in\":8,\"on_demand_gb_out\":9,\"on_demand_consumer_gb\":10}}";

static enum tumble_code read_with(const char *from, const char *to, struct tw_prices *out) {
    static char text[2048];
    const char *at = strstr(whole, from);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    memset(&err, 0, sizeof err);
    return tw_prices_read(tumble_bytes_of(text), out, &err);
}

static void the_prices_built_in_are_those_of_the_file(void **state) {
    (void)state;
    struct tw_prices built_in, file;
    assert_int_equal(tw_prices_load(NULL, &built_in, &err), TUMBLE_OK);
    assert_int_equal(tw_prices_load("../share/prices.json", &file, &err), TUMBLE_OK);
    assert_memory_equal(&built_in, &file, sizeof file);
    assert_string_equal(built_in.region, "us-east-1");
    assert_int_equal(strlen(built_in.date), strlen("2025-06-01"));
    assert_true(built_in.lambda_gb_second[TW_ARCHITECTURE_ARM64] < built_in.lambda_gb_second[TW_ARCHITECTURE_X86_64]);
}

static void every_member_goes_where_it_belongs(void **state) {
    (void)state;
    struct tw_prices prices;
    assert_int_equal(read_with("EUR", "EUR", &prices), TUMBLE_OK);
    assert_string_equal(prices.date, "2031-02-03");
    assert_string_equal(prices.currency, "EUR");
    assert_string_equal(prices.note, "");
    assert_true(prices.lambda_million_requests == 2 && prices.lambda_gb_second[0] == 1e-3 &&
                prices.lambda_gb_second[1] == 0.5);
    assert_true(prices.kinesis_shard_hour == 3 && prices.kinesis_million_put_payload_units == 4 &&
                prices.kinesis_consumer_shard_hour == 5 && prices.kinesis_consumer_gb == 6);
    assert_true(prices.kinesis_on_demand_stream_hour == 7 && prices.kinesis_on_demand_gb_in == 8 &&
                prices.kinesis_on_demand_gb_out == 9 && prices.kinesis_on_demand_consumer_gb == 10);
}

static void what_is_wrong_is_named(void **state) {
    (void)state;
    struct tw_prices prices;
    assert_int_equal(read_with("\"shard_hour\":3,", "", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "\"kinesis.shard_hour\" is missing");
    assert_int_equal(read_with("\"shard_hour\"", "\"shard_hours\"", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "unknown key \"kinesis.shard_hours\": did you mean \"shard_hour\"?");
    assert_int_equal(read_with("\"region\"", "\"regoin\"", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "unknown key \"regoin\": did you mean \"region\"?");
    assert_int_equal(read_with(":3,", ":-3,", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "\"kinesis.shard_hour\" is to be a number of 0 or more");
    assert_int_equal(read_with(":3,", ":1e308,", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "\"kinesis.shard_hour\" is no price: more than a billion");
    assert_int_equal(read_with(":3,", ":1e9,", &prices), TUMBLE_OK);
    assert_int_equal(read_with(":3,", ":\"3\",", &prices), TUMBLE_EUSAGE);
    assert_int_equal(read_with("\"EUR\"", "1", &prices), TUMBLE_EUSAGE);
    assert_string_equal(err.text, "\"currency\" is to be a string of at most 63 bytes");
    assert_int_equal(
        read_with("{\"million_requests\":2,\"gb_second_x86_64\":1e-3,\"gb_second_arm64\":0.5}", "2", &prices),
        TUMBLE_EUSAGE);
    assert_string_equal(err.text, "\"lambda\" is to be an object");
    assert_int_equal(tw_prices_read(tumble_bytes_of("{\"date\":"), &prices, &err), TUMBLE_EJSON);
}

static void a_file_is_named(void **state) {
    (void)state;
    struct tw_prices prices;
    assert_int_equal(tw_prices_load("no/such.json", &prices, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "no/such.json: No such file"));
    char path[] = "/tmp/prices_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "{}", 2) == 2);
    close(fd);
    assert_int_equal(tw_prices_load(path, &prices, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "\"date\" is missing"));
    unlink(path);
}

static void records_count_in_pieces_as_kinesis_counts_them(void **state) {
    (void)state;
    assert_int_equal(tw_put_payload_units(0), 1);
    assert_int_equal(tw_put_payload_units(25 * 1024), 1);
    assert_int_equal(tw_put_payload_units(25 * 1024 + 1), 2);
    assert_int_equal(tw_put_payload_units(45 * 1024), 2); /* AWS's own example: 45 kB are two */
    assert_int_equal(tw_on_demand_bytes(1), 1024);
    assert_int_equal(tw_on_demand_bytes(4608), 5 * 1024); /* and 4.5 kB count as 5 */
}

static void a_sum_is_the_sum_of_its_parts(void **state) {
    (void)state;
    struct tw_prices prices;
    struct tw_cost cost;
    assert_int_equal(read_with("EUR", "EUR", &prices), TUMBLE_OK);
    struct tw_usage usage = {.invocations = 3e6,
                             .gb_seconds = 1000,
                             .shard_hours = 48,
                             .stream_hours = 24,
                             .put_payload_units = 5e6,
                             .bytes_in = 2147483648.0,
                             .bytes_out = 1073741824.0};
    tw_cost_of(&prices, &usage, &cost);
    assert_true(cost.requests == 6 && cost.duration == 1 && cost.lambda == 7);
    assert_true(cost.stream == 144 && cost.ingest == 20 && cost.retrieval == 0 && cost.total == 171);
    usage.is_consumer = 1;
    usage.architecture = TW_ARCHITECTURE_ARM64;
    tw_cost_of(&prices, &usage, &cost);
    assert_true(cost.duration == 500 && cost.retrieval == 48 * 5 + 6);
    usage.mode = TW_STREAM_ON_DEMAND;
    tw_cost_of(&prices, &usage, &cost);
    assert_true(cost.stream == 168 && cost.ingest == 16 && cost.retrieval == 10);
    usage.is_consumer = 0;
    tw_cost_of(&prices, &usage, &cost);
    assert_true(cost.retrieval == 9 && cost.kinesis == 193 && cost.total == cost.lambda + cost.kinesis);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prices_built_in_are_those_of_the_file),
        cmocka_unit_test(every_member_goes_where_it_belongs),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_file_is_named),
        cmocka_unit_test(records_count_in_pieces_as_kinesis_counts_them),
        cmocka_unit_test(a_sum_is_the_sum_of_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
