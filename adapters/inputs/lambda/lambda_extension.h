#ifndef TW_LAMBDA_EXTENSION_H
#define TW_LAMBDA_EXTENSION_H

#include "adapters/aws/http.h"

/* Registers through client and leaves a thread waiting for the event that never comes, for as long as the process
 * lives. response is used for the registration only. Errors: EINPUT, ENOMEM. */
enum tumble_code tw_lambda_extension_start(struct tw_http_client *client, struct tw_http_response *response,
                                           const char *address, const char *name, struct tumble_alloc alloc,
                                           struct tumble_error *err);

#endif
