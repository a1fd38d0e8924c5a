#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/profile.h"
#include "counting_alloc.h"
#include "fake_host.h"

static const char config[] = "\xef\xbb\xbf# a comment\n"
                             "; another\n"
                             "[default]\n"
                             "region = eu-central-1   # Frankfurt\n"
                             "output=json\r\n"
                             "\n"
                             "[profile prod]\n"
                             "region=us-west-2\n"
                             "REGION = us-west-1\n"
                             "services = local\n"
                             "s3 =\n"
                             "  addressing_style = path\n"
                             "  max_concurrent_requests = 5 ; five\n"
                             "color = a#b\n"
                             "credential_process = /bin/tool --arg \"#1\" # not a comment\n"
                             "   --more\n"
                             "empty =\n"
                             "[ profile \"with space\" ]\n"
                             "region = ap-south-1\n"
                             "[prod]\n"
                             "region = ignored, it lacks the word profile\n"
                             "[services local]\n"
                             "dynamodb =\n"
                             "\tendpoint_url = http://127.0.0.1:8000\n"
                             "s3 =\n"
                             "  endpoint_url = http://127.0.0.1:9000\n"
                             "[services other]\n"
                             "dynamodb =\n"
                             "  endpoint_url = http://wrong\n"
                             "[sso-session x]\n"
                             "what is this\n";

static const char credentials[] = "[default]\n"
                                  "aws_access_key_id = AKIDDEFAULT\n"
                                  "aws_secret_access_key = secret/default\n"
                                  "[prod]\n"
                                  "aws_access_key_id=AKIDPROD\n"
                                  "aws_secret_access_key=secret=prod\n"
                                  "region = from-credentials\n";

static const struct fake_host usual = {
    .variables = {{"HOME", "/home/u"}},
    .files = {{"/home/u/.aws/config", config}, {"/home/u/.aws/credentials", credentials}},
};

static void profile_reads_what_the_aws_cli_reads(void **state) {
    (void)state;
    struct fake_host fake = usual;
    struct tw_aws_host host = fake_host_of(&fake);
    struct tw_aws_profile profile;
    struct tumble_error err;
    assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, &err), TUMBLE_OK);
    assert_string_equal(profile.name, "default");
    assert_false(profile.named);
    assert_string_equal(tw_aws_profile_get(&profile, "region"), "eu-central-1");
    assert_string_equal(tw_aws_profile_get(&profile, "output"), "json");
    assert_string_equal(tw_aws_profile_get(&profile, "aws_secret_access_key"), "secret/default");
    assert_null(tw_aws_profile_get(&profile, "services"));
    assert_null(tw_aws_profile_service(&profile, "dynamodb", "endpoint_url"));
    tw_aws_profile_clean_up(&profile);
    tw_aws_profile_clean_up(&profile);

    assert_int_equal(tw_aws_profile_load(&profile, &host, "prod", (struct tumble_alloc){0}, &err), TUMBLE_OK);
    assert_true(profile.named);
    assert_string_equal(tw_aws_profile_get(&profile, "region"), "from-credentials");
    assert_true(tw_aws_profile_from_credentials(&profile, "aws_access_key_id"));
    assert_false(tw_aws_profile_from_credentials(&profile, "color"));
    assert_false(tw_aws_profile_from_credentials(&profile, "absent"));
    assert_string_equal(tw_aws_profile_get(&profile, "aws_secret_access_key"), "secret=prod");
    assert_string_equal(tw_aws_profile_get(&profile, "Color"), "a#b");
    assert_string_equal(tw_aws_profile_get(&profile, "credential_process"),
                        "/bin/tool --arg \"#1\" # not a comment\n--more");
    assert_null(tw_aws_profile_get(&profile, "empty"));
    assert_null(tw_aws_profile_get(&profile, "s3"));
    assert_null(tw_aws_profile_get(&profile, "addressing_style"));
    assert_string_equal(tw_aws_profile_get_in(&profile, "s3", "addressing_style"), "path");
    assert_string_equal(tw_aws_profile_get_in(&profile, "s3", "max_concurrent_requests"), "5");
    assert_string_equal(tw_aws_profile_service(&profile, "dynamodb", "endpoint_url"), "http://127.0.0.1:8000");
    assert_string_equal(tw_aws_profile_service(&profile, "s3", "endpoint_url"), "http://127.0.0.1:9000");
    assert_null(tw_aws_profile_service(&profile, "sqs", "endpoint_url"));
    tw_aws_profile_clean_up(&profile);

    assert_int_equal(tw_aws_profile_load(&profile, &host, "with space", (struct tumble_alloc){0}, &err), TUMBLE_OK);
    assert_string_equal(tw_aws_profile_get(&profile, "region"), "ap-south-1");
    tw_aws_profile_clean_up(&profile);
}

static void profile_is_chosen_by_argument_then_variable(void **state) {
    (void)state;
    static const struct {
        const char *argument;
        const char *variable;
        const char *old_variable;
        const char *chosen;
    } cases[] = {{NULL, NULL, NULL, "default"},        {NULL, "prod", NULL, "prod"},
                 {NULL, NULL, "prod", "prod"},         {NULL, "with space", "prod", "with space"},
                 {"prod", "with space", NULL, "prod"}, {NULL, "", "prod", "prod"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host fake = usual;
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_profile profile;
        fake.variables[1] = (struct fake_pair){"AWS_PROFILE", cases[i].variable};
        fake.variables[2] = (struct fake_pair){"AWS_DEFAULT_PROFILE", cases[i].old_variable};
        assert_int_equal(tw_aws_profile_load(&profile, &host, cases[i].argument, (struct tumble_alloc){0}, NULL),
                         TUMBLE_OK);
        assert_string_equal(profile.name, cases[i].chosen);
        tw_aws_profile_clean_up(&profile);
    }
}

static void profile_files_may_be_elsewhere_or_nowhere(void **state) {
    (void)state;
    struct fake_host fake = {
        .variables = {{"HOME", "/home/u"}, {"AWS_CONFIG_FILE", "~/c"}, {"AWS_SHARED_CREDENTIALS_FILE", "/x"}},
        .files = {{"/home/u/c", "[default]\nregion=a\n"}, {"/x", "[default]\nregion=b\nkey=c"}}};
    struct tw_aws_host host = fake_host_of(&fake);
    struct tw_aws_profile profile;
    assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, NULL), TUMBLE_OK);
    assert_string_equal(tw_aws_profile_get(&profile, "region"), "b");
    assert_string_equal(tw_aws_profile_get(&profile, "key"), "c");
    tw_aws_profile_clean_up(&profile);
    struct fake_host nothing = {0};
    host = fake_host_of(&nothing);
    assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, NULL), TUMBLE_OK);
    assert_false(profile.found);
    assert_null(tw_aws_profile_get(&profile, "region"));
    tw_aws_profile_clean_up(&profile);
    struct tumble_error err;
    assert_int_equal(tw_aws_profile_load(&profile, &host, "absent", (struct tumble_alloc){0}, &err), TUMBLE_EUSAGE);
    assert_non_null(strstr(err.text, "\"absent\""));
}

static void profile_refuses_malformed_files_by_line_without_showing_it(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {{"[default\n", "line 1"},
                 {"[default]\nwJalrXUtnFEMI\n", "line 2"},
                 {"[default]\n= wJalrXUtnFEMI\n", "line 2"},
                 {"[default]\n  indented = wJalrXUtnFEMI\n", "line 2"},
                 {"[default]\ns3 =\n  wJalrXUtnFEMI\n", "line 3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fake_host fake = {.variables = {{"HOME", "/h"}}, .files = {{"/h/.aws/credentials", cases[i].text}}};
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_profile profile;
        struct tumble_error err;
        assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, &err), TUMBLE_EUSAGE);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_non_null(strstr(err.text, "/h/.aws/credentials"));
        assert_null(strstr(err.text, "wJalr"));
    }
}

static void profile_without_memory_says_so(void **state) {
    (void)state;
    struct fake_host fake = usual;
    struct tw_aws_host host = fake_host_of(&fake);
    int failures = 0;
    for (size_t fail_at = 1; fail_at < 40; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct tw_aws_profile profile;
        enum tumble_code code = tw_aws_profile_load(&profile, &host, "prod", counting_alloc_of(&count), NULL);
        assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        failures += count.failed != 0;
        tw_aws_profile_clean_up(&profile);
        assert_int_equal(count.live, 0);
    }
    assert_true(failures >= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profile_reads_what_the_aws_cli_reads),
        cmocka_unit_test(profile_is_chosen_by_argument_then_variable),
        cmocka_unit_test(profile_files_may_be_elsewhere_or_nowhere),
        cmocka_unit_test(profile_refuses_malformed_files_by_line_without_showing_it),
        cmocka_unit_test(profile_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
