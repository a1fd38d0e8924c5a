#ifndef TUMBLE_RUNNER_OUTPUT_OPTION_H
#define TUMBLE_RUNNER_OUTPUT_OPTION_H

#include <tumble/output.h>

/* Values of output options, by the type that an output's table gives them. */

/* Reads text into out->number and sets out->name and out->value (borrowed). uri is named in messages. Errors: EUSAGE.
 */
enum tumble_code tumble_output_option_read(const struct tumble_output_option *option, const char *text, const char *uri,
                                           struct tumble_option_value *out, struct tumble_error *err);

/* "string", "integer", … */
const char *tumble_output_option_type(enum tumble_option_type type);

/* Replaces %XX in place. 0: a % is not followed by two hexadecimal digits, or they make a NUL. */
int tumble_percent_decode(char *text);

#endif
