#ifndef TW_CLI_MAPPING_JSON_H
#define TW_CLI_MAPPING_JSON_H

#include <stdio.h>

#include "emulator/mapping_parameters.h"

/* What a mapping of nobody's account is called where AWS wants a name. */
#define TW_ASSUMED_STREAM_ARN    "arn:aws:kinesis:us-east-1:123456789012:stream/tumble"
#define TW_ASSUMED_FUNCTION_NAME "tumble"

/* A mapping as `aws lambda create-event-source-mapping --cli-input-json` takes it and --mapping reads it, over several
 * lines, each but the first begun with indent. */
void tw_mapping_json_print(FILE *to, const struct tumble_mapping_parameters *parameters, const char *indent);

#endif
