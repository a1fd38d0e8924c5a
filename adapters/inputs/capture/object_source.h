#ifndef TW_CAPTURE_OBJECT_SOURCE_H
#define TW_CAPTURE_OBJECT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

/* The bytes of an object in S3, "s3://BUCKET/KEY", read by pieces. It must stay the same object while it is read: each
 * piece is asked for under the ETag of the first. */
struct tw_object_source;

bool tw_object_source_takes(const char *path);

/* Its size. Errors: EINPUT (no such object, not to be reached, malformed), EUSAGE (credentials, region), ENOMEM. */
enum tumble_code tw_object_source_check(const char *path, int64_t *size, struct tumble_error *err);

/* path is borrowed. stopping is asked while a piece is on its way, and ends that with EINTERRUPTED; may be NULL. */
enum tumble_code tw_object_source_open(const char *path, struct tumble_alloc alloc, int (*stopping)(void *ctx),
                                       void *stopping_ctx, struct tw_object_source **out, struct tumble_error *err);
void tw_object_source_close(struct tw_object_source *source); /* NULL allowed */
/* Some bytes, at most capacity; *got 0 at the end. */
enum tumble_code tw_object_source_read(struct tw_object_source *source, char *out, size_t capacity, size_t *got,
                                       struct tumble_error *err);

/* Calls each with "s3://BUCKET/KEY" of every object whose key begins with path's, in the order of the keys, or of that
 * one alone where path names an object. Objects without bytes, and those of which a part of the key begins with "_" or
 * ".", as what belongs to other tools does, are passed over. Errors: as check; EINPUT when there is none; what each
 * returns. */
enum tumble_code tw_object_source_list(const char *path, struct tumble_alloc alloc,
                                       enum tumble_code (*each)(void *ctx, const char *path, struct tumble_error *err),
                                       void *ctx, struct tumble_error *err);

#endif
