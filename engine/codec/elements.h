#ifndef TW_CODEC_ELEMENTS_H
#define TW_CODEC_ELEMENTS_H

#include <tumble/bytes.h>
#include <tumble/error.h>

#include "engine/base/alloc.h"

/* Finds records in a stream of JSON without holding the stream: either every top-level value is an element (values
 * separated by white space or by nothing), or the elements are those of the array at a JSON Pointer inside each
 * top-level value ("/Records", "/features", "" for a top-level array). Sans I/O: the caller owns the buffer, refills
 * it, and parses the element itself, which is how a record is read in one pass.
 *
 *     tw_elements_next(e, bytes, end_of_input, &skipped, err)
 *        → TUMBLE_OK, e->at_element: an element begins at bytes.data[skipped]; the caller parses it and calls
 *          tw_elements_taken, then next again with the bytes behind it
 *        → TUMBLE_OK, !e->at_element: clean end of the stream
 *        → TUMBLE_EMORE: drop the skipped bytes, append more, call again
 * What lies between elements (other members, closing brackets) is validated. A top-level value that does not hold an
 * array at the pointer is ECAPTURE, and so are a byte order mark and a second member of the same name on the way (its
 * elements cannot be taken back). After an error the reader is of no use but to destroy.
 * tw_elements_new: a pointer has at most 32 segments; with each_top_level_value it is ignored. Errors: EPATH, ENOMEM.
 * tw_elements_next: ECAPTURE, EJSON, EUTF8, EDEPTH, EMORE; byte is relative to bytes. A reader belongs to one thread.
 */
struct tw_elements;

enum tumble_code tw_elements_new(struct tumble_bytes pointer, int each_top_level_value, struct tumble_alloc alloc,
                                 struct tw_elements **out, struct tumble_error *err);
void tw_elements_destroy(struct tw_elements *elements);
enum tumble_code tw_elements_next(struct tw_elements *elements, struct tumble_bytes bytes, int end_of_input,
                                  int *at_element, size_t *skipped, struct tumble_error *err);
void tw_elements_taken(struct tw_elements *elements);
/* Is that behind an element of the array, in it? Then others that the caller takes himself, commas and all, leave it
 * there. */
bool tw_elements_is_behind(const struct tw_elements *elements);

/* Saves and restores where it stands between two elements, so that a reader can resume in mid-stream. */
#define TW_ELEMENTS_STATE 64
size_t tw_elements_save(const struct tw_elements *elements, char out[TW_ELEMENTS_STATE]);
bool tw_elements_restore(struct tw_elements *elements, struct tumble_bytes state);

#endif
