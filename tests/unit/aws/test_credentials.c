#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/aws/credentials_internal.h"
#include "canned_server.h"
#include "counting_alloc.h"
#include "fake_host.h"

/* Each source against a server, and the order of all of them: tests/aws/credentials.py. Here: what needs a clock of the
 * test's own, and what no server says. */

#define START     INT64_C(1795420800000) /* 2026-11-23T08:00:00Z */
#define ONE_HOUR  "\"Expiration\":\"2026-11-23T09:00:00Z\""
#define TWO_HOURS "\"Expiration\":\"2026-11-23T10:00:00Z\""
#define MINUTES   INT64_C(60000)

struct setting {
    struct fake_host fake;
    struct tw_aws_host host;
    struct tw_aws_profile profile;
    struct tw_aws_credentials *credentials;
    struct tw_aws_keys keys;
    struct tumble_error err;
};

static void open_in(struct setting *setting, const char *explicit_profile) {
    struct tw_aws_credentials_options options = {
        .host = &setting->host, .profile = &setting->profile, .explicit_profile = explicit_profile != NULL};
    setting->host = fake_host_of(&setting->fake);
    setting->fake.now_ms = setting->fake.now_ms ? setting->fake.now_ms : START;
    setting->err.text[0] = '\0';
    assert_int_equal(tw_aws_profile_load(&setting->profile, &setting->host, explicit_profile, (struct tumble_alloc){0},
                                         &setting->err),
                     TUMBLE_OK);
    assert_int_equal(tw_aws_credentials_open(&options, &setting->credentials, NULL), TUMBLE_OK);
    assert_string_equal(tw_aws_credentials_source(setting->credentials), "none");
}

static enum tumble_code get(struct setting *setting) {
    return tw_aws_credentials_get(setting->credentials, TW_NO_DEADLINE, &setting->keys, &setting->err);
}

static void close_setting(struct setting *setting) {
    tw_aws_credentials_destroy(setting->credentials);
    tw_aws_profile_clean_up(&setting->profile);
}

static void pass_minutes(struct setting *setting, int64_t minutes) {
    setting->fake.now_ms += minutes * MINUTES;
    setting->fake.steady_ms += minutes * MINUTES;
}

static void credentials_of_the_environment(void **state) {
    (void)state;
    struct setting s = {.fake = {.variables = {{"AWS_ACCESS_KEY_ID", "AKIDENV"},
                                               {"AWS_SECRET_ACCESS_KEY", "SECRETENV"},
                                               {"AWS_SESSION_TOKEN", "TOKENENV"}}}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDENV");
    assert_string_equal(s.keys.secret_access_key, "SECRETENV");
    assert_string_equal(s.keys.session_token, "TOKENENV");
    assert_string_equal(tw_aws_credentials_source(s.credentials), "environment");
    s.fake.variables[2].value = NULL; /* Lambda never changes them, but another host may */
    s.fake.variables[0].value = "AKIDNEW";
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDENV");
    tw_aws_credentials_forget(s.credentials);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDNEW");
    assert_null(s.keys.session_token);
    close_setting(&s);
}

#define KEYS_OF_P "[p]\naws_access_key_id = AKIDP\naws_secret_access_key = SECRETP\n"

static void credentials_of_a_named_profile_come_before_the_environment_only_when_named_by_argument(void **state) {
    (void)state;
    struct setting s = {.fake = {.variables = {{"HOME", "/h"},
                                               {"AWS_ACCESS_KEY_ID", "AKIDENV"},
                                               {"AWS_SECRET_ACCESS_KEY", "SECRETENV"},
                                               {"AWS_PROFILE", "p"}},
                                 .files = {{"/h/.aws/credentials", KEYS_OF_P}}}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDENV");
    close_setting(&s);
    open_in(&s, "p");
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDP");
    assert_string_equal(tw_aws_credentials_source(s.credentials), "shared files");
    s.fake.files[0].value = "[p]\naws_access_key_id = AKIDTWO\naws_secret_access_key = SECRETTWO\n";
    tw_aws_credentials_forget(s.credentials);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKIDTWO");
    close_setting(&s);
}

#define PROCESS "[default]\ncredential_process = /opt/my\\ tool --name \"a b\" 'c\"$(rm)' ; |x\n"

static void credentials_of_a_process_without_any_shell(void **state) {
    (void)state;
    struct setting s = {
        .fake = {.variables = {{"HOME", "/h"}},
                 .files = {{"/h/.aws/config", PROCESS}},
                 .output = "{\"Version\":1,\"AccessKeyId\":\"AKIDPROC\",\"SecretAccessKey\":\"SE\\/CRET\"}"}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.fake.ran, "/opt/my tool|--name|a b|c\"$(rm)|;||x");
    assert_string_equal(s.keys.access_key_id, "AKIDPROC");
    assert_string_equal(s.keys.secret_access_key, "SE/CRET");
    assert_null(s.keys.session_token);
    pass_minutes(&s, 100000);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_int_equal(s.fake.runs, 1); /* they have no end */
    close_setting(&s);
}

static void credentials_keys_of_the_credentials_file_come_before_a_process_and_of_config_behind(void **state) {
    (void)state;
    static const struct {
        const char *config, *credentials, *source;
    } cases[] = {
        {"[default]\ncredential_process = x\naws_access_key_id = A\naws_secret_access_key = S", "",
         "credential_process"},
        {"[default]\ncredential_process = x\n", "[default]\naws_access_key_id = A\naws_secret_access_key = S",
         "shared files"},
        {"[default]\naws_access_key_id = A\naws_secret_access_key = S", "", "shared files"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct setting s = {
            .fake = {.variables = {{"HOME", "/h"}},
                     .files = {{"/h/.aws/config", cases[i].config}, {"/h/.aws/credentials", cases[i].credentials}},
                     .output = "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}"}};
        open_in(&s, NULL);
        assert_int_equal(get(&s), TUMBLE_OK);
        assert_string_equal(tw_aws_credentials_source(s.credentials), cases[i].source);
        close_setting(&s);
    }
}

#define KEYS_UNTIL(id, end)                                                                                            \
    "{\"Version\":1,\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"S\",\"SessionToken\":\"T\"," end "}"

static void credentials_are_fetched_anew_ahead_of_their_end(void **state) {
    (void)state;
    struct setting s = {.fake = {.variables = {{"HOME", "/h"}},
                                 .files = {{"/h/.aws/config", "[default]\ncredential_process = x\n"}},
                                 .output = KEYS_UNTIL("AKID1", ONE_HOUR)}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_OK);
    s.fake.output = KEYS_UNTIL("AKID2", TWO_HOURS);
    pass_minutes(&s, 44);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKID1");
    assert_int_equal(s.fake.runs, 1);
    pass_minutes(&s, 2);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKID2");
    assert_int_equal(s.fake.runs, 2);
    close_setting(&s);
}

static void credentials_that_still_hold_outlive_a_failing_source(void **state) {
    (void)state;
    struct setting s = {.fake = {.variables = {{"HOME", "/h"}},
                                 .files = {{"/h/.aws/config", "[default]\ncredential_process = x\n"}},
                                 .output = KEYS_UNTIL("AKID1", ONE_HOUR)}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_OK);
    s.fake.output = NULL;
    pass_minutes(&s, 50);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_int_equal(s.fake.runs, 2); /* not at every call */
    pass_minutes(&s, 2);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_int_equal(s.fake.runs, 3);
    assert_string_equal(s.keys.access_key_id, "AKID1");
    pass_minutes(&s, 9); /* over */
    assert_int_equal(get(&s), TUMBLE_EOUTPUT);
    s.fake.output = KEYS_UNTIL("AKID2", ONE_HOUR); /* stale itself */
    assert_int_equal(get(&s), TUMBLE_EOUTPUT);
    assert_non_null(strstr(s.err.text, "expired"));
    s.fake.output = KEYS_UNTIL("AKID2", TWO_HOURS);
    assert_int_equal(get(&s), TUMBLE_OK);
    assert_string_equal(s.keys.access_key_id, "AKID2");
    close_setting(&s);
}

static void credentials_refuses_what_is_set_up_wrongly_without_showing_it(void **state) {
    (void)state;
#define HIDDEN "wJalrXUtnFEMI"
    static const struct {
        struct fake_pair a, b;
        const char *config;
        const char *output;
        enum tumble_code code;
        const char *says;
    } cases[] = {
        {{"AWS_ACCESS_KEY_ID", HIDDEN}, {0}, "", NULL, TUMBLE_EUSAGE, "secret access key is missing"},
        {{"AWS_ACCESS_KEY_ID", "A"}, {"AWS_SECRET_ACCESS_KEY", HIDDEN "\r"}, "", NULL, TUMBLE_EUSAGE, "no key has"},
        {{0}, {0}, "[default]\naws_access_key_id = A\n", NULL, TUMBLE_EUSAGE, "default (AWS profile): the secret"},
        {{0}, {0}, "[default]\nrole_arn = arn:x\nsource_profile = y\n", NULL, TUMBLE_EUSAGE, "assumes a role"},
        {{0}, {0}, "[default]\nsso_session = y\n", NULL, TUMBLE_EUSAGE, "SSO"},
        {{0}, {0}, "[default]\ncredential_process = x 'y\n", NULL, TUMBLE_EUSAGE, "quote"},
        {{0}, {0}, "[default]\ncredential_process = x y\\\n", NULL, TUMBLE_EUSAGE, "quote"},
        {{0}, {0}, "[default]\ncredential_process = x\n", NULL, TUMBLE_EOUTPUT, "credential_process: x ended"},
        {{0}, {0}, "[default]\ncredential_process = x\n", "", TUMBLE_EUSAGE, "no JSON object"},
        {{0},
         {0},
         "[default]\ncredential_process = x\n",
         "{\"SecretAccessKey\":\"" HIDDEN "\"",
         TUMBLE_EUSAGE,
         "no JSON object"},
        {{0},
         {0},
         "[default]\ncredential_process = x\n",
         "{\"Version\":2,\"SecretAccessKey\":\"" HIDDEN "\"}",
         TUMBLE_EUSAGE,
         "Version"},
        {{0},
         {0},
         "[default]\ncredential_process = x\n",
         "{\"Version\":1,\"SecretAccessKey\":\"" HIDDEN "\"}",
         TUMBLE_EUSAGE,
         "access key id is missing"},
        {{0},
         {0},
         "[default]\ncredential_process = x\n",
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" HIDDEN "\\u0000\"}",
         TUMBLE_EUSAGE,
         "no key has"},
        {{0},
         {0},
         "[default]\ncredential_process = x\n",
         "{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"" HIDDEN "\",\"Expiration\":\"soon\"}",
         TUMBLE_EUSAGE,
         "Expiration"},
        {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/" HIDDEN},
         {0},
         "",
         NULL,
         TUMBLE_EUSAGE,
         "must be https"},
        {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"},
         {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/none"},
         "",
         NULL,
         TUMBLE_EUSAGE,
         "/none"},
        {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"},
         {"AWS_CONTAINER_AUTHORIZATION_TOKEN", HIDDEN "\r\nx: y"},
         "",
         NULL,
         TUMBLE_EUSAGE,
         "control character"},
        {{"AWS_ROLE_ARN", "arn:x"}, {"AWS_WEB_IDENTITY_TOKEN_FILE", "/none"}, "", NULL, TUMBLE_EUSAGE, "/none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct setting s = {
            .fake = {.variables = {{"HOME", "/h"}, {"AWS_EC2_METADATA_DISABLED", "true"}, cases[i].a, cases[i].b},
                     .files = {{"/h/.aws/config", cases[i].config}},
                     .output = cases[i].output}};
        open_in(&s, NULL);
        enum tumble_code code = get(&s);
        if (code != cases[i].code || !strstr(s.err.text, cases[i].says)) {
            fail_msg("case %zu: %d %s", i, (int)code, s.err.text);
        }
        assert_null(strstr(s.err.text, HIDDEN));
        close_setting(&s);
    }
}

static void credentials_that_are_nowhere_says_what_was_asked(void **state) {
    (void)state;
    struct setting s = {.fake = {.variables = {{"AWS_EC2_METADATA_DISABLED", "TRUE"}}}};
    open_in(&s, NULL);
    assert_int_equal(get(&s), TUMBLE_EUSAGE);
    assert_non_null(strstr(s.err.text, "AWS_ACCESS_KEY_ID"));
    close_setting(&s);
}

static void container_uri_may_lead_to_this_machine_only(void **state) {
    (void)state;
    static const struct {
        const char *uri;
        bool allowed;
    } cases[] = {
        {"http://169.254.170.2/v2/x", true},
        {"http://169.254.170.23/v1/credentials", true},
        {"http://[fd00:ec2::23]/v1/credentials", true},
        {"http://[FD00:EC2:0::23]:80/v1", true},
        {"http://127.0.0.1:8080/x", true},
        {"http://127.9.9.9/x", true},
        {"http://[::1]/x", true},
        {"http://localhost:1/x", true},
        {"HTTP://LOCALHOST", true},
        {"https://anywhere.example/x", true},
        {"http://anywhere.example/x", false},
        {"http://169.254.169.254/x", false},
        {"http://10.0.0.1/x", false},
        {"http://127.0.0.1.evil.example/x", false},
        {"http://127.0.0.1@evil.example/x", false},
        {"http://localhost@evil.example/x", false},
        {"http://evil.example#@127.0.0.1/", false},
        {"http://evil.example\\@127.0.0.1/", false},
        {"http://127.evil/x", false},
        {"http://127.1/x", false},
        {"http://[::1].evil.example/x", false},
        {"http://[::1", false},
        {"http://localhost:80x/", false},
        {"http:///x", false},
        {"ftp://127.0.0.1/", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (tw_container_uri_allowed(cases[i].uri) != cases[i].allowed) {
            fail_msg("%s", cases[i].uri);
        }
    }
}

static void commands_are_split_as_shells_words(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words; /* joined by |, NULL: refused */
    } cases[] = {
        {"a b  c", "a|b|c"},
        {"  a\t\nb ", "a|b"},
        {"'a b' \"c d\"e", "a b|c de"},
        {"a\\ b \\\"c", "a b|\"c"},
        {"\"a\\\"b\\$\"", "a\"b\\$"},
        {"'a\\b'", "a\\b"},
        {"a '' b", "a||b"},
        {"$HOME `x` $(y) ;", "$HOME|`x`|$(y)|;"},
        {"'a", NULL},
        {"\"a", NULL},
        {"a\\", NULL},
        {"   ", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[100];
        char joined[100] = "";
        char *argv[8];
        strcpy(text, cases[i].text);
        enum tumble_code code = tw_split_command(text, argv, 8, NULL);
        assert_int_equal(code, cases[i].words ? TUMBLE_OK : TUMBLE_EUSAGE);
        for (size_t j = 0; code == TUMBLE_OK && argv[j]; j++) {
            strcat(strcat(joined, j ? "|" : ""), argv[j]);
        }
        if (cases[i].words) {
            assert_string_equal(joined, cases[i].words);
        }
    }
    char many[] = "1 2 3 4";
    char *argv[4];
    assert_int_equal(tw_split_command(many, argv, 4, NULL), TUMBLE_EUSAGE);
}

static void credentials_keep_to_the_deadline(void **state) {
    (void)state;
    static const struct canned stall = {NULL, CANNED_STALL};
    struct canned_server server;
    assert_true(canned_start(&server, &stall, 1));
    struct setting s = {.fake = {.variables = {{"AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url}}, .steady_ms = 1000}};
    open_in(&s, NULL);
    assert_int_equal(tw_aws_credentials_get(s.credentials, 1200, &s.keys, &s.err), TUMBLE_EOUTPUT);
    assert_int_equal(tw_aws_credentials_get(s.credentials, 1000, &s.keys, &s.err), TUMBLE_EOUTPUT);
    assert_non_null(strstr(s.err.text, "no time left"));
    close_setting(&s);
    canned_stop(&server);
    canned_forget(&server);
}

static void credentials_without_memory_says_so(void **state) {
    (void)state;
    for (size_t fail_at = 1; fail_at < 12; fail_at++) {
        struct counting_alloc count = {.fail_at = fail_at};
        struct fake_host fake = {.variables = {{"HOME", "/h"}},
                                 .files = {{"/h/.aws/config", "[default]\ncredential_process = x y\n"}},
                                 .output = KEYS_UNTIL("A", TWO_HOURS),
                                 .now_ms = START};
        struct tw_aws_host host = fake_host_of(&fake);
        struct tw_aws_profile profile;
        struct tw_aws_credentials *credentials;
        struct tw_aws_keys keys;
        assert_int_equal(tw_aws_profile_load(&profile, &host, NULL, (struct tumble_alloc){0}, NULL), TUMBLE_OK);
        struct tw_aws_credentials_options options = {
            .alloc = counting_alloc_of(&count), .host = &host, .profile = &profile};
        enum tumble_code code = tw_aws_credentials_open(&options, &credentials, NULL);
        if (code == TUMBLE_OK) {
            code = tw_aws_credentials_get(credentials, TW_NO_DEADLINE, &keys, NULL);
        }
        assert_int_equal(code, count.failed ? TUMBLE_ENOMEM : TUMBLE_OK);
        tw_aws_credentials_destroy(credentials);
        tw_aws_profile_clean_up(&profile);
        assert_int_equal(count.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credentials_of_the_environment),
        cmocka_unit_test(credentials_of_a_named_profile_come_before_the_environment_only_when_named_by_argument),
        cmocka_unit_test(credentials_of_a_process_without_any_shell),
        cmocka_unit_test(credentials_keys_of_the_credentials_file_come_before_a_process_and_of_config_behind),
        cmocka_unit_test(credentials_are_fetched_anew_ahead_of_their_end),
        cmocka_unit_test(credentials_that_still_hold_outlive_a_failing_source),
        cmocka_unit_test(credentials_refuses_what_is_set_up_wrongly_without_showing_it),
        cmocka_unit_test(credentials_that_are_nowhere_says_what_was_asked),
        cmocka_unit_test(container_uri_may_lead_to_this_machine_only),
        cmocka_unit_test(commands_are_split_as_shells_words),
        cmocka_unit_test(credentials_keep_to_the_deadline),
        cmocka_unit_test(credentials_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
