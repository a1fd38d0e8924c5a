#ifndef TW_SANDBOX_EXTENSION_H
#define TW_SANDBOX_EXTENSION_H

/* The extensions that registered in a sandbox, and the events they are owed. */

#include <stdbool.h>
#include <stdint.h>

#include <tumble/bytes.h>

enum { TW_EXTENSIONS_MAX = 10, TW_EXTENSION_ID_BYTES = 37, TW_EXTENSION_EVENT_BYTES = 1024 };

struct tw_sandbox_extension {
    char id[TW_EXTENSION_ID_BYTES];
    bool wants_invoke;
    bool wants_shutdown;
    bool is_owed;                         /* event is there and was not fetched */
    void *waiting;                        /* the request that waits for it; NULL: none */
    char event[TW_EXTENSION_EVENT_BYTES]; /* JSON */
    bool is_owed_shutdown;                /* behind what else it is owed */
    char shutdown[TW_EXTENSION_EVENT_BYTES];
};

struct tw_sandbox_extensions {
    struct tw_sandbox_extension list[TW_EXTENSIONS_MAX];
    size_t count;
};

/* body: {"events":["INVOKE","SHUTDOWN"]}; unique: a number that no other sandbox gives. NULL: there are as many as
 * Lambda allows. */
struct tw_sandbox_extension *tw_sandbox_extension_register(struct tw_sandbox_extensions *extensions,
                                                           struct tumble_bytes body, uint64_t unique);
struct tw_sandbox_extension *tw_sandbox_extension_find(struct tw_sandbox_extensions *extensions, const char *id);

/* Each that asked for it is owed the event. */
void tw_sandbox_extensions_owe_invoke(struct tw_sandbox_extensions *extensions, const char *request_id,
                                      const char *function_arn, const char *trace_id, int64_t deadline_ms);
void tw_sandbox_extensions_owe_shutdown(struct tw_sandbox_extensions *extensions, const char *reason,
                                        int64_t deadline_ms);

/* The next event that it is owed, which it then has; NULL: none. */
const char *tw_sandbox_extension_take(struct tw_sandbox_extension *extension);

/* 0, 500 or 2000: design and lambda-semantics 6.6. Which extension is a process of its own cannot be told from its
 * requests; only one that is may ask for SHUTDOWN. */
int64_t tw_sandbox_extensions_shutdown_ms(const struct tw_sandbox_extensions *extensions);

#endif
