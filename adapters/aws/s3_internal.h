#ifndef TW_S3_INTERNAL_H
#define TW_S3_INTERNAL_H

#include "adapters/aws/s3_calls.h"

/* What s3_calls.c and s3_multipart.c share. */

enum { TW_S3_MD5 = 25 };

void tw_s3_md5(struct tumble_bytes body, char out[TW_S3_MD5]);              /* as Content-MD5 wants it */
void tw_s3_etag(const struct tw_aws_client *client, char etag[TW_S3_ETAG]); /* of the last response; NULL allowed */
const char *tw_s3_content_type(const char *content_type);                   /* or the default */
/* Adds the put's conditions behind count headers (room for two more); returns how many there are then. */
size_t tw_s3_conditions(struct tw_http_header *headers, size_t count, const struct tw_s3_put *put);

#endif
