#ifndef TUMBLE_LAMBDA_LOG_H
#define TUMBLE_LAMBDA_LOG_H

/* Log lines as JSON objects, one a line, in the members of Lambda's own JSON log format: timestamp, level, requestId,
 * message. What is logged is ours: nobody passes bytes of a record or of a state. One thread. */

#include <stdbool.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

enum tw_log_level { TW_LOG_DEBUG, TW_LOG_INFO, TW_LOG_WARN, TW_LOG_ERROR, TW_LOG_OFF, TW_LOG_LEVEL_COUNT };

struct tw_lambda_log;

/* "debug", "INFO", "Warn", also Lambda's "TRACE" and "FATAL". false: none of them. */
bool tw_log_level_of(const char *text, enum tw_log_level *out);

/* fd is borrowed. Errors: ENOMEM. */
enum tumble_code tw_lambda_log_open(int fd, enum tw_log_level level, struct tumble_alloc alloc,
                                    struct tw_lambda_log **out, struct tumble_error *err);
void tw_lambda_log_close(struct tw_lambda_log *log); /* NULL allowed */

/* Whether a line of that level would be written; log may be NULL (no). */
bool tw_lambda_log_takes(const struct tw_lambda_log *log, enum tw_log_level level);

/* One line, one write. error_type and request_id may be NULL. Malformed UTF-8 becomes '?'. A line that cannot be
 * written is lost: an invocation does not fail for it. now_ms: wall clock. */
void tw_lambda_log_write(struct tw_lambda_log *log, enum tw_log_level level, int64_t now_ms, const char *request_id,
                         const char *error_type, const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
