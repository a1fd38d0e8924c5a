#ifndef TUMBLE_ERROR_H
#define TUMBLE_ERROR_H

#include <stdint.h>

#include <tumble/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every error: name, pinned value (a gap of 100 per layer), whether trying the same call again may succeed, text. */
#define TUMBLE_ERROR_MAP(XX)                                                                                           \
    XX(OK, 0, 0, "no error")                                                                                           \
    XX(ENOMEM, 101, 1, "out of memory")                                                                                \
    XX(ELIMIT, 102, 0, "a documented limit was exceeded")                                                              \
    XX(EINVAL, 103, 0, "a function was called with arguments it does not allow")                                       \
    XX(EINTERNAL, 104, 0, "an invariant of tumble itself does not hold: please report it")                             \
    XX(EMORE, 201, 1, "the input ends inside a value: more bytes are needed")                                          \
    XX(EJSON, 202, 0, "malformed JSON")                                                                                \
    XX(EUTF8, 203, 0, "malformed UTF-8 or a lone surrogate")                                                           \
    XX(EDEPTH, 204, 0, "JSON nested too deeply")                                                                       \
    XX(ENUMBER, 205, 0, "a number of more than 34 digits or beyond 1e308")                                             \
    XX(EBASE64, 206, 0, "malformed base64")                                                                            \
    XX(ETIMESTAMP, 207, 0, "a timestamp is missing, malformed or out of range")                                        \
    XX(ECOMPRESS, 208, 0, "damaged or truncated compressed data")                                                      \
    XX(EPATH, 209, 0, "malformed field path")                                                                          \
    XX(ESPEC, 301, 0, "the spec is not valid")                                                                         \
    XX(EPATTERN, 302, 0, "the filter pattern is not valid")                                                            \
    XX(EEVENT, 401, 0, "the event does not have the shape Lambda documents")                                           \
    XX(ESEQUENCE, 402, 0, "a sequence number is not a decimal string of 1 to 128 digits")                              \
    XX(ETYPE, 403, 0, "a field has a type its aggregate or group does not take")                                       \
    XX(ESTORE, 501, 0, "the state directory cannot be read or written")                                                \
    XX(EBUSY, 502, 1, "another process uses the state directory")                                                      \
    XX(EFULL, 503, 1, "no space left for the state")                                                                   \
    XX(ECORRUPT, 504, 0, "stored bytes are damaged")                                                                   \
    XX(EVERSION, 505, 0, "stored bytes were written by another version")                                               \
    XX(EMISMATCH, 506, 0, "the state directory belongs to another spec or another run")                                \
    XX(ERECORD, 601, 0, "a record cannot be applied")                                                                  \
    XX(ECONSERVATION, 602, 0, "the counts of records do not add up: please report it")                                 \
    XX(EOUTPUT, 701, 1, "an output failed")                                                                            \
    XX(EREJECTED, 702, 0, "an output rejected a row")                                                                  \
    XX(EREFUSED, 703, 0, "an output refused what was asked of it")                                                     \
    XX(EINPUT, 801, 0, "an input cannot be read")                                                                      \
    XX(ECAPTURE, 802, 0, "the input is not a capture of a known format")                                               \
    XX(EORDER, 803, 0, "records of a shard do not ascend by sequence number")                                          \
    XX(EINTERRUPTED, 804, 1, "stopped by a signal while waiting for input")                                            \
    XX(EUSAGE, 901, 0, "wrong usage")

enum tumble_code {
#define XX(name, value, retry, text) TUMBLE_##name = (value),
    TUMBLE_ERROR_MAP(XX)
#undef XX
        TUMBLE_CODE_FORCE_32_BIT =
            0x7fffffff /* fixes the size of the enum across compilers: it crosses the plug-in ABI */
};

#define TUMBLE_ERROR_TEXT 320

/* What went wrong, in place: filled by the function that failed, owned by the caller, never allocated.
 * A function that returns TUMBLE_OK leaves it as it was. Every function takes NULL for "I do not want the text". */
struct tumble_error {
    enum tumble_code code;
    int64_t byte;                 /* offset of the offending byte in the bytes the failing call was given, or -1 */
    int64_t record;               /* index of the offending record in the array the failing call was given, or -1 */
    char text[TUMBLE_ERROR_TEXT]; /* what, where, and what to do; NUL-terminated, no newline */
};

/* Name of a code, "ENOMEM" for TUMBLE_ENOMEM. Never NULL: an unknown code gives "UNKNOWN". Thread-safe. */
TUMBLE_EXPORT const char *tumble_code_name(enum tumble_code code);

/* What a code means, one line. Never NULL. Thread-safe. */
TUMBLE_EXPORT const char *tumble_code_text(enum tumble_code code);

/* 1 when the same call may succeed later (memory, space, a busy peer), else 0. Thread-safe. */
TUMBLE_EXPORT int tumble_code_retryable(enum tumble_code code);

#ifdef __cplusplus
}
#endif

#endif
