#include "adapters/aws/endpoint.h"

#include <stdio.h>
#include <strings.h>

#include "engine/base/fail.h"

static const char *const names[TW_AWS_SERVICE_COUNT] = {"dynamodb", "kinesis", "s3", "sqs", "sts"};
static const char *const variables[TW_AWS_SERVICE_COUNT] = {"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_KINESIS",
                                                            "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS",
                                                            "AWS_ENDPOINT_URL_STS"};

/* Partitions whose names do not end in amazonaws.com, by how their regions begin; the longer one first. */
static const struct {
    const char *prefix;
    const char *suffix;
} partitions[] = {{"cn-", "amazonaws.com.cn"}, {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
                  {"us-iso-", "c2s.ic.gov"},   {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"}};

const char *tw_aws_service_name(enum tw_aws_service service) { return names[service]; }

static bool is_label(const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && i > 0 && i + 1 < length))) {
            return false;
        }
    }
    return length > 0 && length < 64;
}

enum tumble_code tw_aws_region(const struct tw_aws_host *host, const struct tw_aws_profile *profile,
                               const char *argument, const char **region, struct tumble_error *err) {
    const char *found = argument && *argument ? argument : tw_aws_variable(host, "AWS_REGION");
    found = found ? found : tw_aws_variable(host, "AWS_DEFAULT_REGION");
    found = found ? found : tw_aws_profile_get(profile, "region");
    if (!found) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "no AWS region: name one (--region, or ?region= of an output), set AWS_REGION, or region in the "
                       "profile \"%s\" of ~/.aws/config",
                       profile->name ? profile->name : "default");
    }
    if (!is_label(found)) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%.80s\" is no AWS region", found);
    }
    *region = found;
    return TUMBLE_OK;
}

/* The URL that configuration gives, NULL: AWS's own. */
static const char *configured(const struct tw_aws_host *host, const struct tw_aws_profile *profile,
                              enum tw_aws_service service) {
    const char *ignore = tw_aws_variable(host, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    ignore = ignore ? ignore : tw_aws_profile_get(profile, "ignore_configured_endpoint_urls");
    if (ignore && strcasecmp(ignore, "true") == 0) {
        return NULL;
    }
    const char *url = tw_aws_variable(host, variables[service]);
    url = url ? url : tw_aws_variable(host, "AWS_ENDPOINT_URL");
    url = url ? url : tw_aws_profile_service(profile, names[service], "endpoint_url");
    return url ? url : tw_aws_profile_get(profile, "endpoint_url");
}

static enum tumble_code use_configured(struct tw_aws_endpoint *endpoint, enum tw_aws_service service, const char *url,
                                       struct tumble_error *err) {
    size_t scheme = strncasecmp(url, "http://", 7) == 0 ? 7 : strncasecmp(url, "https://", 8) == 0 ? 8 : 0;
    if (scheme == 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "the endpoint of %s must be an http:// or https:// URL", names[service]);
    }
    size_t length = strlen(url);
    for (size_t i = 0; i < length; i++) {
        /* A name and password may stand before the @, so the URL is not shown. */
        if ((unsigned char)url[i] <= ' ' || (unsigned char)url[i] >= 0x7f || strchr("?#@\\\"<>", url[i])) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "the endpoint of %s must be scheme, host, port and path only, percent-encoded",
                           names[service]);
        }
    }
    while (length > scheme && url[length - 1] == '/') {
        length--;
    }
    if (length == scheme || url[scheme] == '/' || url[scheme] == ':') {
        return tw_fail(err, TUMBLE_EUSAGE, "the endpoint of %s has no host", names[service]);
    }
    endpoint->overridden = true;
    TW_TRY(tw_buf_append(&endpoint->url, url, length));
    return tw_buf_append_byte(&endpoint->url, '\0');
}

static enum tumble_code use_own(struct tw_aws_endpoint *endpoint, const struct tw_aws_host *host,
                                const struct tw_aws_profile *profile, enum tw_aws_service service, const char *region) {
    const char *suffix = "amazonaws.com";
    for (size_t i = 0; i < sizeof partitions / sizeof *partitions; i++) {
        if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0) {
            suffix = partitions[i].suffix;
            break;
        }
    }
    const char *fips = tw_aws_variable(host, "AWS_USE_FIPS_ENDPOINT");
    fips = fips ? fips : tw_aws_profile_get(profile, "use_fips_endpoint");
    char url[200];
    snprintf(url, sizeof url, "https://%s%s.%s.%s", names[service],
             fips && strcasecmp(fips, "true") == 0 ? "-fips" : "", region, suffix);
    return tw_buf_append(&endpoint->url, url, strlen(url) + 1);
}

enum tumble_code tw_aws_endpoint_init(struct tw_aws_endpoint *endpoint, const struct tw_aws_host *host,
                                      const struct tw_aws_profile *profile, enum tw_aws_service service,
                                      const char *region, const char *argument, struct tumble_alloc alloc,
                                      struct tumble_error *err) {
    memset(endpoint, 0, sizeof *endpoint);
    tw_buf_init(&endpoint->url, tw_alloc_or_default(alloc), 8192);
    const char *url = argument && *argument ? argument : configured(host, profile, service);
    enum tumble_code code =
        url ? use_configured(endpoint, service, url, err) : use_own(endpoint, host, profile, service, region);
    if (code != TUMBLE_OK) {
        tw_aws_endpoint_clean_up(endpoint);
    }
    switch (code) {
    case TUMBLE_ENOMEM: return tw_no_memory(err);
    case TUMBLE_ELIMIT: return tw_fail(err, TUMBLE_EUSAGE, "the endpoint of %s is too long", names[service]);
    default: return code;
    }
}

void tw_aws_endpoint_clean_up(struct tw_aws_endpoint *endpoint) { tw_buf_clean_up(&endpoint->url); }

bool tw_s3_bucket_as_host(const char *bucket) { return strlen(bucket) >= 3 && is_label(bucket); }
