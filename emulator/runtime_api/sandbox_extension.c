#include "emulator/runtime_api/sandbox_extension.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { INTERNAL_SHUTDOWN_MS = 500, EXTERNAL_SHUTDOWN_MS = 2000 };

/* The names of events hold nothing that could be escaped, and the body holds nothing else. */
static bool names(struct tumble_bytes body, const char *quoted) {
    size_t length = strlen(quoted);
    for (size_t at = 0; at + length <= body.length; at++) {
        if (memcmp(body.data + at, quoted, length) == 0) {
            return true;
        }
    }
    return false;
}

struct tw_sandbox_extension *tw_sandbox_extension_register(struct tw_sandbox_extensions *extensions,
                                                           struct tumble_bytes body, uint64_t unique) {
    if (extensions->count == TW_EXTENSIONS_MAX) {
        return NULL;
    }
    struct tw_sandbox_extension *extension = &extensions->list[extensions->count];
    memset(extension, 0, sizeof *extension);
    snprintf(extension->id, sizeof extension->id, "%08x-%04x-4000-8000-%012" PRIx64, (unsigned)(extensions->count + 1),
             (unsigned)(unique >> 48), unique & UINT64_C(0xffffffffffff));
    extension->wants_invoke = names(body, "\"INVOKE\"");
    extension->wants_shutdown = names(body, "\"SHUTDOWN\"");
    extensions->count++;
    return extension;
}

struct tw_sandbox_extension *tw_sandbox_extension_find(struct tw_sandbox_extensions *extensions, const char *id) {
    for (size_t i = 0; i < extensions->count; i++) {
        if (strcmp(extensions->list[i].id, id) == 0) {
            return &extensions->list[i];
        }
    }
    return NULL;
}

void tw_sandbox_extensions_owe_invoke(struct tw_sandbox_extensions *extensions, const char *request_id,
                                      const char *function_arn, const char *trace_id, int64_t deadline_ms) {
    for (size_t i = 0; i < extensions->count; i++) {
        struct tw_sandbox_extension *extension = &extensions->list[i];
        if (extension->wants_invoke) {
            snprintf(
                extension->event, sizeof extension->event,
                "{\"eventType\":\"INVOKE\",\"deadlineMs\":%" PRId64 ",\"requestId\":\"%.100s\","
                "\"invokedFunctionArn\":\"%.300s\",\"tracing\":{\"type\":\"X-Amzn-Trace-Id\",\"value\":\"%.150s\"}}",
                deadline_ms, request_id, function_arn, trace_id);
            extension->is_owed = true;
        }
    }
}

void tw_sandbox_extensions_owe_shutdown(struct tw_sandbox_extensions *extensions, const char *reason,
                                        int64_t deadline_ms) {
    for (size_t i = 0; i < extensions->count; i++) {
        struct tw_sandbox_extension *extension = &extensions->list[i];
        if (extension->wants_shutdown) {
            snprintf(extension->shutdown, sizeof extension->shutdown,
                     "{\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"%.20s\",\"deadlineMs\":%" PRId64 "}", reason,
                     deadline_ms);
            extension->is_owed_shutdown = true;
        }
    }
}

const char *tw_sandbox_extension_take(struct tw_sandbox_extension *extension) {
    if (extension->is_owed) {
        extension->is_owed = false;
        return extension->event;
    }
    if (extension->is_owed_shutdown) {
        extension->is_owed_shutdown = false;
        return extension->shutdown;
    }
    return NULL;
}

int64_t tw_sandbox_extensions_shutdown_ms(const struct tw_sandbox_extensions *extensions) {
    int64_t longest = extensions->count ? INTERNAL_SHUTDOWN_MS : 0;
    for (size_t i = 0; i < extensions->count; i++) {
        longest = extensions->list[i].wants_shutdown ? EXTERNAL_SHUTDOWN_MS : longest;
    }
    return longest;
}
