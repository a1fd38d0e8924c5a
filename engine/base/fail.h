#ifndef TW_BASE_FAIL_H
#define TW_BASE_FAIL_H

#include <tumble/error.h>

/* Fills err (may be NULL) and returns code, so that a failure is one line: return tw_fail(err, TUMBLE_EJSON, …).
 * byte and record are left -1; tw_fail_at sets the byte offset. The text is cut, never overrun; control characters and
 * malformed UTF-8 that came in through %s are replaced, so an error can always be printed. */
enum tumble_code tw_fail(struct tumble_error *err, enum tumble_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
enum tumble_code tw_fail_at(struct tumble_error *err, enum tumble_code code, int64_t byte, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " in front of err's text. */
void tw_error_prefix(struct tumble_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum tumble_code tw_no_memory(struct tumble_error *err); /* ENOMEM with its text */

/* Runs a call and returns its code unless it is OK. */
#define TW_TRY(call)                                                                                                   \
    do {                                                                                                               \
        enum tumble_code tw_try_code_ = (call);                                                                        \
        if (tw_try_code_ != TUMBLE_OK) {                                                                               \
            return tw_try_code_;                                                                                       \
        }                                                                                                              \
    } while (0)

#endif
