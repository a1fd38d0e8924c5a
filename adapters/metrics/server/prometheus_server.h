#ifndef TUMBLE_PROMETHEUS_SERVER_H
#define TUMBLE_PROMETHEUS_SERVER_H

/* An HTTP server with a page of metrics: /metrics, /healthz, and / that names them. It has a thread of its own. */

#include <tumble/alloc.h>
#include <tumble/error.h>

#include "adapters/metrics/prometheus_text.h"

#define TW_METRICS_ADDRESS_TEXT 96

struct tw_prometheus_server;

/* Fills the page; from the server's thread, one call at a time. */
typedef void tw_prometheus_page_fn(void *ctx, struct tw_prometheus_text *page);

/* address: "127.0.0.1:9464", "[::1]:9464", "localhost:9464", or a port alone, which is one of 127.0.0.1. Another
 * address of this machine has to be written as its number (0.0.0.0:9464: all of them): no name is looked up. Port 0:
 * one that is free. Errors: EUSAGE (no such address, or the port is taken), ENOMEM. */
enum tumble_code tw_prometheus_server_open(const char *address, tw_prometheus_page_fn *fill, void *ctx,
                                           struct tumble_alloc alloc, struct tw_prometheus_server **out,
                                           struct tumble_error *err);
/* Where it listens: "127.0.0.1:9464". */
const char *tw_prometheus_server_address(const struct tw_prometheus_server *server);
void tw_prometheus_server_close(struct tw_prometheus_server *server); /* NULL allowed */

#endif
