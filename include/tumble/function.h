#ifndef TUMBLE_FUNCTION_H
#define TUMBLE_FUNCTION_H

/* The engine of a Lambda handler in four functions, for languages that call C through an FFI: pointers, sizes and ints
 * are all that crosses, so that nobody mirrors a struct. From C the same is there with more to choose from:
 * tumble/invoke.h.
 *
 * Threads: one function is used by one thread at a time; callbacks come from within tumble_function_invoke. */

#include <stddef.h>
#include <stdint.h>

#include <tumble/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tumble_function;

/* Takes one row of a final, or one diverted record: JSON, not NUL-terminated, borrowed for the call. key: 32 hex digits
 * and a NUL; a row that comes again, because its invocation failed behind it, has the same one. Returns 0: it is
 * delivered; anything else: it is not, the invocation fails, and Lambda tries again. */
typedef int tumble_function_row_fn(void *ctx, const char *json, size_t length, const char *key);

/* How long until the invocation must have been answered, in milliseconds. */
typedef int64_t tumble_function_remaining_fn(void *ctx);

/* spec: JSON text of spec_length bytes; its outputs are not looked at, rows go to on_row. report_batch_item_failures: 1
 * where the mapping lists ReportBatchItemFailures. inline_state_limit: bytes, 0: TUMBLE_INLINE_STATE_LIMIT. on_failure
 * NULL: diverted records are only counted. remaining NULL: no end. On failure *out is NULL and message (may be NULL)
 * says why, NUL-terminated. Result: an enum tumble_code, 0 is OK. Errors: as tumble_spec_parse; ENOMEM, EINVAL. */
TUMBLE_EXPORT int tumble_function_open(const char *spec, size_t spec_length, int report_batch_item_failures,
                                       size_t inline_state_limit, tumble_function_row_fn *on_row,
                                       tumble_function_row_fn *on_failure, tumble_function_remaining_fn *remaining,
                                       void *ctx, struct tumble_function **out, char *message, size_t message_size);

/* Handles one event. *answer: the response (result 0) or the document {"errorMessage":…,"errorType":…,"stackTrace":[]}
 * (any other result); it lives until the function's next call. Result: as tumble_engine_invoke. */
TUMBLE_EXPORT int tumble_function_invoke(struct tumble_function *function, const char *event, size_t length,
                                         const char **answer, size_t *answer_length);

/* Of the last invocation: "Tumble.BadRecord" and its text, "" when it was answered with a response. */
TUMBLE_EXPORT const char *tumble_function_error_type(const struct tumble_function *function);
TUMBLE_EXPORT const char *tumble_function_error_text(const struct tumble_function *function);

TUMBLE_EXPORT void tumble_function_close(struct tumble_function *function); /* NULL allowed */

#ifdef __cplusplus
}
#endif

#endif
