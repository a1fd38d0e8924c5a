#include "adapters/inputs/lambda/lambda_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <tumble/timestamp.h>

#include "engine/base/buf.h"
#include "engine/base/utf8.h"

enum { MESSAGE_BYTES = 4096, LINE_BYTES = 65536 };

struct tw_lambda_log {
    struct tumble_alloc alloc;
    struct tw_buf line;
    int fd;
    enum tw_log_level level;
};

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

bool tw_log_level_of(const char *text, enum tw_log_level *out) {
    static const struct {
        const char *name;
        enum tw_log_level level;
    } names[] = {{"debug", TW_LOG_DEBUG}, {"info", TW_LOG_INFO},   {"warn", TW_LOG_WARN},   {"error", TW_LOG_ERROR},
                 {"off", TW_LOG_OFF},     {"trace", TW_LOG_DEBUG}, {"fatal", TW_LOG_ERROR}, {"warning", TW_LOG_WARN}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(text, names[i].name) == 0) {
            *out = names[i].level;
            return true;
        }
    }
    return false;
}

enum tumble_code tw_lambda_log_open(int fd, enum tw_log_level level, struct tumble_alloc alloc,
                                    struct tw_lambda_log **out, struct tumble_error *err) {
    alloc = tw_alloc_or_default(alloc);
    struct tw_lambda_log *log = tw_alloc_zero(&alloc, sizeof *log);
    *out = log;
    if (!log) {
        if (err) {
            err->code = TUMBLE_ENOMEM;
        }
        return TUMBLE_ENOMEM;
    }
    log->alloc = alloc;
    log->fd = fd;
    log->level = level;
    tw_buf_init(&log->line, alloc, LINE_BYTES);
    return TUMBLE_OK;
}

void tw_lambda_log_close(struct tw_lambda_log *log) {
    if (log) {
        struct tumble_alloc alloc = log->alloc;
        tw_buf_clean_up(&log->line);
        tw_free(&alloc, log);
    }
}

bool tw_lambda_log_takes(const struct tw_lambda_log *log, enum tw_log_level level) {
    return log && level >= log->level && level < TW_LOG_OFF;
}

static enum tumble_code put_string(struct tw_buf *line, const char *name, char *text) {
    struct tumble_bytes view = tumble_bytes_of(text);
    if (!tw_utf8_valid(view)) {
        for (char *at = text; *at; at++) {
            *at = (unsigned char)*at < 0x80 ? *at : '?';
        }
    }
    enum tumble_code code = tw_buf_append_text(line, name);
    return code == TUMBLE_OK ? tw_buf_append_json_string(line, view) : code;
}

static enum tumble_code put_optional(struct tw_buf *line, const char *name, const char *text) {
    char copy[512];
    if (!text || !text[0]) {
        return TUMBLE_OK;
    }
    snprintf(copy, sizeof copy, "%s", text);
    return put_string(line, name, copy);
}

static void write_all(int fd, const char *data, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno != EINTR) {
            return;
        }
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
}

void tw_lambda_log_write(struct tw_lambda_log *log, enum tw_log_level level, int64_t now_ms, const char *request_id,
                         const char *error_type, const char *format, ...) {
    char time[TUMBLE_TIMESTAMP_TEXT], message[MESSAGE_BYTES];
    if (!tw_lambda_log_takes(log, level)) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    tumble_timestamp_text_ms(now_ms, time);
    struct tw_buf *line = &log->line;
    tw_buf_clear(line);
    if (tw_buf_append_text(line, "{\"timestamp\":\"") == TUMBLE_OK && tw_buf_append_text(line, time) == TUMBLE_OK &&
        tw_buf_append_text(line, "\",\"level\":\"") == TUMBLE_OK &&
        tw_buf_append_text(line, level_names[level]) == TUMBLE_OK && tw_buf_append_byte(line, '"') == TUMBLE_OK &&
        put_optional(line, ",\"requestId\":", request_id) == TUMBLE_OK &&
        put_optional(line, ",\"errorType\":", error_type) == TUMBLE_OK &&
        put_string(line, ",\"message\":", message) == TUMBLE_OK && tw_buf_append_text(line, "}\n") == TUMBLE_OK) {
        write_all(log->fd, line->data, line->length);
    }
}
