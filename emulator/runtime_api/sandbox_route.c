#include "emulator/runtime_api/sandbox_route.h"

static const struct {
    const char *path;
    const char *method;
    enum tw_route route;
} fixed[] = {
    {"/2018-06-01/runtime/invocation/next", "GET", TW_ROUTE_NEXT},
    {"/2018-06-01/runtime/init/error", "POST", TW_ROUTE_INIT_ERROR},
    {"/2020-01-01/extension/register", "POST", TW_ROUTE_EXTENSION_REGISTER},
    {"/2020-01-01/extension/event/next", "GET", TW_ROUTE_EXTENSION_NEXT},
    {"/2020-01-01/extension/init/error", "POST", TW_ROUTE_EXTENSION_ERROR},
    {"/2020-01-01/extension/exit/error", "POST", TW_ROUTE_EXTENSION_ERROR},
    {"/2022-07-01/telemetry", "PUT", TW_ROUTE_TELEMETRY},
    {"/2020-08-15/logs", "PUT", TW_ROUTE_LOGS},
};

static const char invocation[] = "/2018-06-01/runtime/invocation/";

enum tw_route tw_route_of(const char *method, const char *path, struct tumble_bytes *request_id) {
    *request_id = (struct tumble_bytes){0};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(path, fixed[i].path) == 0) {
            return strcmp(method, fixed[i].method) == 0 ? fixed[i].route : TW_ROUTE_WRONG_METHOD;
        }
    }
    if (strncmp(path, invocation, sizeof invocation - 1) != 0) {
        return TW_ROUTE_UNKNOWN;
    }
    const char *id = path + sizeof invocation - 1;
    const char *slash = strchr(id, '/');
    if (!slash || slash == id) {
        return TW_ROUTE_UNKNOWN;
    }
    enum tw_route route = strcmp(slash, "/response") == 0 ? TW_ROUTE_RESPONSE
                          : strcmp(slash, "/error") == 0  ? TW_ROUTE_ERROR
                                                          : TW_ROUTE_UNKNOWN;
    if (route == TW_ROUTE_UNKNOWN) {
        return route;
    }
    if (strcmp(method, "POST") != 0) {
        return TW_ROUTE_WRONG_METHOD;
    }
    *request_id = (struct tumble_bytes){id, (size_t)(slash - id)};
    return route;
}
