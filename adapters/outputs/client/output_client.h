#ifndef TW_OUTPUT_CLIENT_H
#define TW_OUTPUT_CLIENT_H

#include <tumble/output.h>

#include "adapters/aws/aws_client.h"

/* What the outputs that speak to AWS share: a client opened from their options, deadlines and waits that the host can
 * end, and texts for rows that have to wait. One thread per object. */

/* First in the options table of each of them. */
#define TW_OUTPUT_CLIENT_OPTIONS                                                                                       \
    {.name = "region", .help = "AWS region (default: AWS_REGION, then the profile's)"},                                \
        {.name = "profile", .help = "profile of the AWS configuration files"}, {                                       \
        .name = "endpoint-url", .help = "another server than AWS's own, as http://127.0.0.1:8000"                      \
    }

struct tw_output_client {
    struct tw_aws_client *aws;
    const struct tw_aws_host *system;
    const struct tumble_output_host *host; /* may be NULL */
    struct tw_aws_answer answer;           /* to the last call */
    char reason[TUMBLE_ERROR_TEXT];        /* why rows were told to come again */
};

/* Zeroed is valid for close. client must stay where it is until then: the transport asks it whether to stop. Errors: as
 * tw_aws_client_open. */
enum tumble_code tw_output_client_open(struct tw_output_client *client, enum tw_aws_service service,
                                       const struct tumble_output_open *how, struct tumble_error *err);
/* The same without an output's options; host may be NULL. */
enum tumble_code tw_output_client_open_plain(struct tw_output_client *client, enum tw_aws_service service,
                                             const struct tumble_output_host *host, struct tumble_error *err);
void tw_output_client_close(struct tw_output_client *client);

/* For the calls: on the steady clock. */
int64_t tw_output_client_deadline(const struct tw_output_client *client);
/* Sleeps; false when the host wants what is under way to end first (after less than a fifth of a second). */
bool tw_output_client_wait(struct tw_output_client *client, int64_t ms);

/* The option of that name, NULL when it was not given and has no default. */
const struct tumble_option_value *tw_output_option(const struct tumble_output_open *how, const char *name);

/* Says the error to the rows out[from … count-1]: they wait, when trying again may help and something was taken before
 * them; otherwise the error is the call's. */
enum tumble_code tw_output_hold(struct tw_output_client *client, struct tumble_delivery *out, size_t from, size_t count,
                                enum tumble_code code, const struct tumble_error *failure, struct tumble_error *err);

void tw_output_delivered(struct tumble_delivery *delivery);

#endif
