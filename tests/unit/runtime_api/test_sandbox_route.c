#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "emulator/runtime_api/sandbox_extension.h"
#include "emulator/runtime_api/sandbox_route.h"

static enum tw_route route(const char *method, const char *path) {
    struct tumble_bytes id;
    return tw_route_of(method, path, &id);
}

static void paths_of_the_runtime_api_are_known(void **state) {
    (void)state;
    struct tumble_bytes id;
    assert_int_equal(route("GET", "/2018-06-01/runtime/invocation/next"), TW_ROUTE_NEXT);
    assert_int_equal(route("POST", "/2018-06-01/runtime/init/error"), TW_ROUTE_INIT_ERROR);
    assert_int_equal(tw_route_of("POST", "/2018-06-01/runtime/invocation/a-1/response", &id), TW_ROUTE_RESPONSE);
    assert_int_equal(id.length, 3);
    assert_memory_equal(id.data, "a-1", 3);
    assert_int_equal(tw_route_of("POST", "/2018-06-01/runtime/invocation/b/error", &id), TW_ROUTE_ERROR);
    assert_int_equal(id.length, 1);
    assert_int_equal(route("POST", "/2020-01-01/extension/register"), TW_ROUTE_EXTENSION_REGISTER);
    assert_int_equal(route("GET", "/2020-01-01/extension/event/next"), TW_ROUTE_EXTENSION_NEXT);
    assert_int_equal(route("POST", "/2020-01-01/extension/exit/error"), TW_ROUTE_EXTENSION_ERROR);
    assert_int_equal(route("PUT", "/2022-07-01/telemetry"), TW_ROUTE_TELEMETRY);
    assert_int_equal(route("PUT", "/2020-08-15/logs"), TW_ROUTE_LOGS);
}

static void other_paths_are_unknown_and_other_methods_wrong(void **state) {
    (void)state;
    static const char *const unknown[] = {"",
                                          "/",
                                          "*",
                                          "/2018-06-01/runtime/invocation/",
                                          "/2018-06-01/runtime/invocation/next/",
                                          "/2018-06-01/runtime/invocation//response",
                                          "/2018-06-01/runtime/invocation/a/b/response",
                                          "/2018-06-01/runtime/invocation/a/response/",
                                          "/2018-06-02/runtime/invocation/next",
                                          "/2018-06-01/runtime/invocation/a"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_int_equal(route("GET", unknown[i]), TW_ROUTE_UNKNOWN);
    }
    assert_int_equal(route("POST", "/2018-06-01/runtime/invocation/next"), TW_ROUTE_WRONG_METHOD);
    assert_int_equal(route("GET", "/2018-06-01/runtime/invocation/a/response"), TW_ROUTE_WRONG_METHOD);
    assert_int_equal(route("get", "/2018-06-01/runtime/invocation/next"), TW_ROUTE_WRONG_METHOD);
}

static void extensions_have_as_long_to_end_as_their_kind(void **state) {
    (void)state;
    struct tw_sandbox_extensions extensions = {.count = 0};
    assert_int_equal(tw_sandbox_extensions_shutdown_ms(&extensions), 0);
    assert_non_null(tw_sandbox_extension_register(&extensions, tumble_bytes_of("{\"events\":[]}"), 7));
    assert_int_equal(tw_sandbox_extensions_shutdown_ms(&extensions), 500);
    assert_non_null(tw_sandbox_extension_register(&extensions, tumble_bytes_of("{\"events\":[\"SHUTDOWN\"]}"), 7));
    assert_int_equal(tw_sandbox_extensions_shutdown_ms(&extensions), 2000);
}

static void ten_extensions_register_and_no_more(void **state) {
    (void)state;
    struct tw_sandbox_extensions extensions = {.count = 0};
    for (int i = 0; i < 10; i++) {
        const struct tw_sandbox_extension *one =
            tw_sandbox_extension_register(&extensions, tumble_bytes_of("{\"events\":[\"INVOKE\"]}"), 7);
        assert_non_null(one);
        assert_ptr_equal(tw_sandbox_extension_find(&extensions, one->id), one);
        assert_true(one->wants_invoke && !one->wants_shutdown && !one->is_owed);
    }
    assert_null(tw_sandbox_extension_register(&extensions, tumble_bytes_of(""), 7));
    assert_null(tw_sandbox_extension_find(&extensions, "x"));
    tw_sandbox_extensions_owe_shutdown(&extensions, "SPINDOWN", 1);
    assert_false(extensions.list[0].is_owed);
    tw_sandbox_extensions_owe_invoke(&extensions, "id", "arn", "trace", 12);
    assert_true(extensions.list[9].is_owed);
    assert_string_equal(
        extensions.list[9].event,
        "{\"eventType\":\"INVOKE\",\"deadlineMs\":12,\"requestId\":\"id\",\"invokedFunctionArn\":\"arn\","
        "\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"trace\"}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_of_the_runtime_api_are_known),
        cmocka_unit_test(other_paths_are_unknown_and_other_methods_wrong),
        cmocka_unit_test(extensions_have_as_long_to_end_as_their_kind),
        cmocka_unit_test(ten_extensions_register_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
