#ifndef TW_SANDBOX_ROUTE_H
#define TW_SANDBOX_ROUTE_H

/* What a request of a function asks for, by its method and path. */

#include <tumble/bytes.h>

enum tw_route {
    TW_ROUTE_UNKNOWN,      /* 404 */
    TW_ROUTE_WRONG_METHOD, /* 405 */
    TW_ROUTE_NEXT,
    TW_ROUTE_RESPONSE,
    TW_ROUTE_ERROR,
    TW_ROUTE_INIT_ERROR,
    TW_ROUTE_EXTENSION_REGISTER,
    TW_ROUTE_EXTENSION_NEXT,
    TW_ROUTE_EXTENSION_ERROR, /* of an extension's beginning or end */
    TW_ROUTE_TELEMETRY,       /* accepted and said not to be there, as AWS's emulator does */
    TW_ROUTE_LOGS
};

/* request_id: a view into path, of TW_ROUTE_RESPONSE and TW_ROUTE_ERROR; empty otherwise. */
enum tw_route tw_route_of(const char *method, const char *path, struct tumble_bytes *request_id);

#endif
