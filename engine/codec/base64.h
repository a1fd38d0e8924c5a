#ifndef TW_CODEC_BASE64_H
#define TW_CODEC_BASE64_H

#include <tumble/bytes.h>
#include <tumble/error.h>

/* Standard alphabet, padded (RFC 4648 section 4), strict: padding where it belongs, unused bits zero, no white space.
 * decode writes at most length/4*3 bytes; out may be the bytes of text themselves (decoding in place). Errors: EBASE64
 * with byte. encode writes tw_base64_encoded_length bytes. */
enum tumble_code tw_base64_decode(struct tumble_bytes text, char *out, size_t *out_length, struct tumble_error *err);
/* The same on any machine, whatever it can do. */
enum tumble_code tw_base64_decode_portable(struct tumble_bytes text, char *out, size_t *out_length,
                                           struct tumble_error *err);
size_t tw_base64_encoded_length(size_t length);
void tw_base64_encode(struct tumble_bytes bytes, char *out);

#endif
