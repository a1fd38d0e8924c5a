#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/endpoint.h"
#include "fake_host.h"

static void load(struct tw_aws_profile *profile, struct fake_host *fake, struct tw_aws_host *host) {
    *host = fake_host_of(fake);
    assert_int_equal(tw_aws_profile_load(profile, host, NULL, (struct tumble_alloc){0}, NULL), TUMBLE_OK);
}

static void region_comes_from_argument_variables_profile(void **state) {
    (void)state;
    static const struct {
        const char *argument, *region, *default_region, *profile, *expected;
    } cases[] = {
        {"a-1", "b-1", "c-1", "d-1", "a-1"}, {NULL, "b-1", "c-1", "d-1", "b-1"},      {"", "b-1", "c-1", "d-1", "b-1"},
        {NULL, "", "c-1", "d-1", "c-1"},     {NULL, NULL, "c-1", "d-1", "c-1"},       {NULL, NULL, NULL, "d-1", "d-1"},
        {NULL, NULL, NULL, NULL, NULL},      {"a.evil.com/", NULL, NULL, NULL, NULL}, {"-a", NULL, NULL, NULL, NULL},
        {"a b", NULL, NULL, NULL, NULL},     {"a@b", NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char config[100] = "[default]\n";
        if (cases[i].profile) {
            strcat(strcat(config, "region="), cases[i].profile);
        }
        struct fake_host fake = {.variables = {{"HOME", "/h"},
                                               {"AWS_REGION", cases[i].region},
                                               {"AWS_DEFAULT_REGION", cases[i].default_region}},
                                 .files = {{"/h/.aws/config", config}}};
        struct tw_aws_host host;
        struct tw_aws_profile profile;
        const char *region = NULL;
        load(&profile, &fake, &host);
        enum tumble_code code = tw_aws_region(&host, &profile, cases[i].argument, &region, NULL);
        assert_int_equal(code, cases[i].expected ? TUMBLE_OK : TUMBLE_EUSAGE);
        if (cases[i].expected) {
            assert_string_equal(region, cases[i].expected);
        }
        tw_aws_profile_clean_up(&profile);
    }
}

static const char config[] = "[default]\nendpoint_url = http://profile:1\nservices = s\n"
                             "[services s]\nsqs =\n  endpoint_url = http://section:2/\n";

static void endpoint_comes_from_the_nearest_word(void **state) {
    (void)state;
    static const struct {
        enum tw_aws_service service;
        const char *region;
        const char *argument;
        struct fake_pair first, second;
        const char *config;
        const char *expected; /* NULL: refused */
        bool own;
    } cases[] = {
        {TW_AWS_DYNAMODB, "us-east-1", NULL, {0}, {0}, "", "https://dynamodb.us-east-1.amazonaws.com", true},
        {TW_AWS_S3, "eu-west-1", NULL, {0}, {0}, "", "https://s3.eu-west-1.amazonaws.com", true},
        {TW_AWS_SQS, "cn-north-1", NULL, {0}, {0}, "", "https://sqs.cn-north-1.amazonaws.com.cn", true},
        {TW_AWS_STS, "us-isob-east-1", NULL, {0}, {0}, "", "https://sts.us-isob-east-1.sc2s.sgov.gov", true},
        {TW_AWS_KINESIS, "us-gov-west-1", NULL, {0}, {0}, "", "https://kinesis.us-gov-west-1.amazonaws.com", true},
        {TW_AWS_S3,
         "us-east-1",
         NULL,
         {"AWS_USE_FIPS_ENDPOINT", "true"},
         {0},
         "",
         "https://s3-fips.us-east-1.amazonaws.com",
         true},
        {TW_AWS_S3, "a", NULL, {0}, {0}, config, "http://profile:1", false},
        {TW_AWS_SQS, "a", NULL, {0}, {0}, config, "http://section:2", false},
        {TW_AWS_SQS, "a", NULL, {"AWS_ENDPOINT_URL", "https://all//"}, {0}, config, "https://all", false},
        {TW_AWS_SQS,
         "a",
         NULL,
         {"AWS_ENDPOINT_URL", "https://all"},
         {"AWS_ENDPOINT_URL_SQS", "http://one/base/"},
         config,
         "http://one/base",
         false},
        {TW_AWS_S3,
         "a",
         NULL,
         {"AWS_ENDPOINT_URL", "https://all"},
         {"AWS_ENDPOINT_URL_SQS", "http://one"},
         config,
         "https://all",
         false},
        {TW_AWS_SQS,
         "a",
         "http://[::1]:3",
         {"AWS_ENDPOINT_URL_SQS", "http://one"},
         {0},
         config,
         "http://[::1]:3",
         false},
        {TW_AWS_SQS,
         "a",
         NULL,
         {"AWS_ENDPOINT_URL_SQS", "http://one"},
         {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True"},
         config,
         "https://sqs.a.amazonaws.com",
         true},
        {TW_AWS_SQS,
         "a",
         "http://arg",
         {"AWS_ENDPOINT_URL_SQS", "http://one"},
         {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"},
         config,
         "http://arg",
         false},
        {TW_AWS_SQS, "a", NULL, {"AWS_ENDPOINT_URL", ""}, {0}, "", "https://sqs.a.amazonaws.com", true},
        {TW_AWS_SQS, "a", "localhost:8000", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "ftp://x", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http://", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http:///x", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http://:80", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http://x?y", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http://user:hunter2@x", {0}, {0}, "", NULL, false},
        {TW_AWS_SQS, "a", "http://x y", {0}, {0}, "", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host fake = {.variables = {{"HOME", "/h"}, cases[i].first, cases[i].second},
                                 .files = {{"/h/.aws/config", cases[i].config}}};
        struct tw_aws_host host;
        struct tw_aws_profile profile;
        struct tw_aws_endpoint endpoint;
        struct tumble_error err;
        load(&profile, &fake, &host);
        enum tumble_code code = tw_aws_endpoint_init(&endpoint, &host, &profile, cases[i].service, cases[i].region,
                                                     cases[i].argument, (struct tumble_alloc){0}, &err);
        assert_int_equal(code, cases[i].expected ? TUMBLE_OK : TUMBLE_EUSAGE);
        if (cases[i].expected) {
            assert_string_equal(endpoint.url.data, cases[i].expected);
            assert_int_equal(endpoint.overridden, !cases[i].own);
        } else {
            assert_null(strstr(err.text, "hunter2"));
        }
        tw_aws_endpoint_clean_up(&endpoint);
        tw_aws_profile_clean_up(&profile);
    }
}

static void bucket_stands_in_the_host_only_where_a_certificate_would_fit(void **state) {
    (void)state;
    assert_true(tw_s3_bucket_as_host("my-bucket"));
    assert_false(tw_s3_bucket_as_host("my.bucket"));
    assert_false(tw_s3_bucket_as_host("My-bucket"));
    assert_false(tw_s3_bucket_as_host("ab"));
    assert_false(tw_s3_bucket_as_host("-abc"));
    assert_false(tw_s3_bucket_as_host("a/b"));
    assert_false(tw_s3_bucket_as_host(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(region_comes_from_argument_variables_profile),
        cmocka_unit_test(endpoint_comes_from_the_nearest_word),
        cmocka_unit_test(bucket_stands_in_the_host_only_where_a_certificate_would_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
