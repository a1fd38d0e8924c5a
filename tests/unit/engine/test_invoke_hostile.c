#include "invoke_fixture.h"

/* What nobody sends on a good day: escapes where none are needed, identifiers that are none, more shards than there
 * ever are, outputs that disagree, objects of the spill store that come back. */

static const char shard0[] = "shardId-000000000001";
enum { START = 1607497440 };

struct function {
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct tumble_carried_options carried;
    struct text event;
    struct text state;
    struct tumble_invoked out;
    struct tumble_error error;
};

static void begin(struct function *function, const char *spec) {
    kept_reset();
    function->spec = spec_of(spec);
    function->engine = sandbox(function->spec, &function->carried);
}

static void end(struct function *function) {
    tumble_engine_destroy(function->engine);
    tumble_spec_destroy(function->spec);
    free(function->event.data);
    free(function->state.data);
}

static struct event_parts parts_of(const struct function *function) {
    struct event_parts parts = {.shard = shard0, .start = START, .state = view(&function->state)};
    if (!function->state.length) {
        parts.state.data = NULL;
    }
    return parts;
}

static enum tumble_code send(struct function *function) {
    memset(&function->error, 0, sizeof function->error);
    return tumble_engine_invoke(function->engine, view(&function->event), &function->out, &function->error);
}

static void send_ok(struct function *function) {
    if (send(function) != TUMBLE_OK) {
        fail_msg("%s: %s", function->out.error_type, function->error.text);
    }
    keep_state(&function->state, function->out.response);
}

/* ---- bytes ---- */

/* Some writers of JSON escape every slash, and base64 has slashes. */
static void escaped_data_takes_no_more_room_than_there_is(void **unused) {
    (void)unused;
    struct function function = {0};
    begin(&function, SPEC);
    struct event_parts parts = parts_of(&function);
    begin_event(&function.event, &parts);
    for (uint64_t i = 1; i <= 40; i++) {
        size_t filler = 100u << i % 8;
        char *json = malloc(filler + 64);
        int length = sprintf(json, "{\"k\":\"a\",\"v\":%llu,\"x\":\"", (unsigned long long)i);
        memset(json + length, '?', filler); /* Pz8/ */
        strcpy(json + length + filler, "\"}");
        char *data = malloc(tw_base64_encoded_length(strlen(json)) + 1);
        tw_base64_encode(tumble_bytes_of(json), data);
        data[tw_base64_encoded_length(strlen(json))] = '\0';
        add(&function.event, "%s{\"kinesis\":{\"partitionKey\":\"p\\/%llu\",\"sequenceNumber\":\"%s\",\"data\":\"",
            i > 1 ? "," : "", (unsigned long long)i, digits(i));
        for (const char *at = data; *at; at++) {
            add_bytes(&function.event, *at == '/' ? "\\/" : at, *at == '/' ? 2 : 1);
        }
        add(&function.event, "\",\"approximateArrivalTimestamp\":%d}}", START);
        free(json);
        free(data);
    }
    end_event(&function.event, &parts);
    send_ok(&function);
    assert_int_equal(function.out.fates[TUMBLE_FATE_APPLIED], 40);
    assert_int_equal(function.out.groups, 1);
    end(&function);
}

/* An answer without an identifier would acknowledge the whole batch. */
static void a_bad_record_without_a_number_is_never_acknowledged(void **unused) {
    (void)unused;
    static const char *const numbers[] = {"", "abc", "-5", "12 ", "\\u0031x"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct function function = {.carried.report_batch_item_failures = 1};
        begin(&function, SPEC);
        struct event_parts parts = parts_of(&function);
        begin_event(&function.event, &parts);
        add_record(&function.event, shard0, 1, START, "{\"k\":\"a\",\"v\":1}");
        add_raw_record(&function.event, shard0, numbers[i], "1607497440", tumble_bytes_of("{\"k\":\"a\",\"v\":1}"));
        end_event(&function.event, &parts);
        enum tumble_code code = send(&function);
        if (code == TUMBLE_OK) {
            struct text answer = {0};
            add_bytes(&answer, function.out.response.data, function.out.response.length);
            assert_null(strstr(answer.data, "\"batchItemFailures\":[]"));
            assert_null(strstr(answer.data, "\"itemIdentifier\":\"\""));
            free(answer.data);
        } else {
            assert_string_equal(function.out.error_type, "Tumble.BadRecord");
        }
        end(&function);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escaped_data_takes_no_more_room_than_there_is),
        cmocka_unit_test(a_bad_record_without_a_number_is_never_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
