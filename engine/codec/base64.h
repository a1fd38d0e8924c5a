#ifndef TW_CODEC_BASE64_H
#define TW_CODEC_BASE64_H

#include <stdint.h>

#include <tumble/bytes.h>
#include <tumble/error.h>

/* Standard alphabet, padded (RFC 4648 section 4), strict: padding where it belongs, unused bits zero, no white space.
 * decode writes at most length/4*3 bytes; out may be the bytes of text themselves (decoding in place). Errors: EBASE64
 * with byte. encode writes tw_base64_encoded_length bytes. */
enum tumble_code tw_base64_decode(struct tumble_bytes text, char *out, size_t *out_length, struct tumble_error *err);
/* The same on any machine, whatever it can do. */
enum tumble_code tw_base64_decode_portable(struct tumble_bytes text, char *out, size_t *out_length,
                                           struct tumble_error *err);
/* Decodes the string whose first character (behind its quote) is at text, up to the closing quote, in the pass that
 * finds it: left bytes may be read, room written, of which what lies behind *length is of no use. Returns how many
 * characters stand in front of the quote; TW_BASE64_UNQUOTED: this is no place for it (the string is near the end of
 * either, has something in it that is no base64, or the machine has no vectors), and nothing is said of the string. */
#define TW_BASE64_UNQUOTED SIZE_MAX
size_t tw_base64_decode_quoted(const char *text, size_t left, char *out, size_t room, size_t *length);
size_t tw_base64_encoded_length(size_t length);
void tw_base64_encode(struct tumble_bytes bytes, char *out);

#endif
