#include "runner/output_registry.h"

#include "adapters/outputs/file/file_output.h"

/* What is linked in. The build leaves out what it was told to (TUMBLE_AWS=OFF), and so does a program that has a table
 * of its own: this file is a member of a static library, taken only where the table is still wanted. */

#ifdef TUMBLE_WITH_DYNAMODB
#include "adapters/outputs/dynamodb/dynamodb_output.h"
#endif
#ifdef TUMBLE_WITH_S3
#include "adapters/outputs/s3/s3_output.h"
#endif
#ifdef TUMBLE_WITH_SQS
#include "adapters/outputs/sqs/sqs_output.h"
#endif

const struct tumble_output_api *const tumble_builtin_outputs[] = {
    &tumble_file_output,
#ifdef TUMBLE_WITH_DYNAMODB
    &tumble_dynamodb_output,
#endif
#ifdef TUMBLE_WITH_S3
    &tumble_s3_output,
#endif
#ifdef TUMBLE_WITH_SQS
    &tumble_sqs_output,
#endif
    NULL,
};
