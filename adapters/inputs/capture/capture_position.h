#ifndef TW_CAPTURE_POSITION_H
#define TW_CAPTURE_POSITION_H

#include "adapters/inputs/capture/capture_reader.h"

/* The text of a position (docs/captures.md):
 *
 *     {"format":"lambda","inputs":[{"path":"a.json","size":123,"done":0,"offset":120,"records":7,
 *      "digest":"0123456789abcdef","elements":"hex"}]}
 *
 * A path stands with every byte but printable ASCII percent-encoded, so that any file name can be kept. */

/* Writes the text into out (cap bytes, as snprintf) and returns the length of the whole. */
size_t tw_capture_position_write(struct tw_capture_reader *const *readers, size_t count,
                                 enum tumble_capture_format format, char *out, size_t cap);

/* Reads the text into places[count]. Errors: EMISMATCH (other inputs or another format, names the first difference),
 * ECORRUPT (not such a text). */
enum tumble_code tw_capture_position_read(struct tumble_bytes text, struct tw_capture_reader *const *readers,
                                          size_t count, enum tumble_capture_format format,
                                          struct tw_capture_place *places, struct tumble_error *err);

#endif
