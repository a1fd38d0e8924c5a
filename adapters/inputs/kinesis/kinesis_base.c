#include "adapters/inputs/kinesis/kinesis_internal.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"

enum { CALL_MS = 30000, REGION_BYTES = 64 };

/* ---- the process ---- */

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return tw_aws_host_real.variable(tw_aws_host_real.ctx, name);
}

static int64_t now_ms(void *ctx) {
    const struct tumble_kinesis_clock *clock = ((const struct tw_kinesis_base *)ctx)->options.clock;
    return clock ? clock->now_ms(clock->ctx) : tw_aws_host_real.now_ms(tw_aws_host_real.ctx);
}

static int64_t steady_ms(void *ctx) {
    const struct tumble_kinesis_clock *clock = ((const struct tw_kinesis_base *)ctx)->options.clock;
    return clock ? clock->steady_ms(clock->ctx) : tw_aws_host_real.steady_ms(tw_aws_host_real.ctx);
}

static void sleep_ms(void *ctx, int64_t how_long) {
    const struct tumble_kinesis_clock *clock = ((const struct tw_kinesis_base *)ctx)->options.clock;
    if (clock) {
        clock->sleep_ms(clock->ctx, how_long);
    } else {
        tw_aws_host_real.sleep_ms(tw_aws_host_real.ctx, how_long);
    }
}

static uint64_t random_bits(void *ctx) {
    const struct tumble_kinesis_clock *clock = ((const struct tw_kinesis_base *)ctx)->options.clock;
    return clock ? clock->random(clock->ctx) : tw_aws_host_real.random(tw_aws_host_real.ctx);
}

static enum tumble_code read_file(void *ctx, const char *path, struct tw_buf *out, bool *found,
                                  struct tumble_error *err) {
    (void)ctx;
    return tw_aws_host_real.read_file(tw_aws_host_real.ctx, path, out, found, err);
}

static enum tumble_code run(void *ctx, char *const *argv, int64_t timeout_ms, struct tw_buf *out,
                            struct tumble_error *err) {
    (void)ctx;
    return tw_aws_host_real.run(tw_aws_host_real.ctx, argv, timeout_ms, out, err);
}

static bool stop(void *ctx) { return tw_kinesis_base_interrupted(ctx); }

int64_t tw_kinesis_base_steady_ms(const struct tw_kinesis_base *base) { return base->host.steady_ms(base->host.ctx); }

int64_t tw_kinesis_base_now_ms(const struct tw_kinesis_base *base) { return base->host.now_ms(base->host.ctx); }

bool tw_kinesis_base_interrupted(const struct tw_kinesis_base *base) {
    return base->options.interrupted && base->options.interrupted(base->options.interrupted_ctx) != 0;
}

/* ---- the name ---- */

bool tw_kinesis_is_name(struct tumble_bytes text) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
              c == '-')) {
            return false;
        }
    }
    return text.length > 0 && text.length < TUMBLE_KINESIS_NAME;
}

/* arn:aws:kinesis:REGION:ACCOUNT:stream/NAME */
static enum tumble_code read_arn(struct tw_kinesis_base *base, char region[REGION_BYTES], struct tumble_error *err) {
    const char *arn = base->options.stream;
    const char *parts[6] = {arn};
    for (size_t i = 1; i < 6; i++) {
        const char *colon = strchr(parts[i - 1], ':');
        if (!colon) {
            return tw_fail(err, TUMBLE_EUSAGE,
                           "\"%.120s\" is no ARN of a stream: arn:aws:kinesis:REGION:ACCOUNT:stream/NAME", arn);
        }
        parts[i] = colon + 1;
    }
    const char *name = parts[5] + strlen("stream/");
    size_t region_length = (size_t)(parts[4] - 1 - parts[3]);
    if (strncmp(parts[2], "kinesis:", 8) != 0 || strncmp(parts[5], "stream/", 7) != 0 ||
        region_length >= REGION_BYTES || strlen(arn) >= TUMBLE_KINESIS_ARN) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "\"%.120s\" is no ARN of a stream: arn:aws:kinesis:REGION:ACCOUNT:stream/NAME", arn);
    }
    const char *slash = strchr(name, '/');
    if (slash) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%.160s\" names a consumer of a stream: name the stream, %.*s", arn,
                       (int)(slash - arn > 120 ? 120 : slash - arn), arn);
    }
    if (!tw_kinesis_is_name(tumble_bytes_of(name))) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%.120s\": a stream's name has 1 to 128 letters, digits, '_', '.' and '-'",
                       arn);
    }
    memcpy(region, parts[3], region_length);
    region[region_length] = '\0';
    if (base->options.region && region[0] && strcmp(base->options.region, region) != 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "the stream is in %s, as its ARN says, not in %.40s: leave the region out",
                       region, base->options.region);
    }
    snprintf(base->name, sizeof base->name, "%s", name);
    if (!base->arn[0]) {
        snprintf(base->arn, sizeof base->arn, "%s", arn);
    }
    base->by_arn = true;
    return TUMBLE_OK;
}

static enum tumble_code read_name(struct tw_kinesis_base *base, char region[REGION_BYTES], struct tumble_error *err) {
    const char *stream = base->options.stream;
    region[0] = '\0';
    if (!stream || !*stream) {
        return tw_fail(err, TUMBLE_EUSAGE, "no stream is named");
    }
    if (strncmp(stream, "arn:", 4) == 0) {
        return read_arn(base, region, err);
    }
    if (!tw_kinesis_is_name(tumble_bytes_of(stream))) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%.120s\": a stream's name has 1 to 128 letters, digits, '_', '.' and '-'",
                       stream);
    }
    memcpy(base->name, stream, strlen(stream) + 1);
    return TUMBLE_OK;
}

/* ---- settings ---- */

static bool copy(const struct tumble_alloc *alloc, const char **text) {
    *text = *text && **text ? tw_copy_text(alloc, *text, strlen(*text)) : NULL;
    return *text != NULL;
}

static bool copy_texts(struct tw_kinesis_base *base) {
    const char **texts[] = {&base->options.stream, &base->options.region, &base->options.endpoint_url,
                            &base->options.profile, &base->options.ca_bundle};
    bool all = true;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bool given = *texts[i] && **texts[i];
        all = (copy(&base->alloc, texts[i]) || !given) && all;
    }
    return all;
}

enum tumble_code tw_kinesis_base_init(struct tw_kinesis_base *base, const struct tumble_kinesis_options *options,
                                      struct tumble_error *err) {
    char region[REGION_BYTES];
    base->alloc = tw_alloc_or_default(options->alloc);
    base->options = *options;
    if (!copy_texts(base)) {
        return tw_no_memory(err);
    }
    base->host = (struct tw_aws_host){base, variable, now_ms, steady_ms, sleep_ms, random_bits, read_file, run};
    TW_TRY(read_name(base, region, err));
    struct tw_aws_options aws = {
        .alloc = base->alloc,
        .host = &base->host,
        .region = region[0] ? region : base->options.region,
        .profile = base->options.profile,
        .endpoint_url = base->options.endpoint_url,
        .ca_bundle = base->options.ca_bundle,
        .max_attempts = options->max_attempts,
        .attempt_timeout_ms = options->call_ms > 0 ? options->call_ms : CALL_MS,
        .stop = options->interrupted ? stop : NULL,
        .stop_ctx = base,
    };
    return tw_aws_client_open(&aws, TW_AWS_KINESIS, &base->client, err);
}

void tw_kinesis_base_clean_up(struct tw_kinesis_base *base) {
    tw_aws_client_destroy(base->client);
    base->client = NULL;
    const char **texts[] = {&base->options.stream, &base->options.region, &base->options.endpoint_url,
                            &base->options.profile, &base->options.ca_bundle};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        tw_free(&base->alloc, (void *)(uintptr_t)*texts[i]);
        *texts[i] = NULL;
    }
}

struct tw_kinesis_stream tw_kinesis_base_stream(const struct tw_kinesis_base *base) {
    return (struct tw_kinesis_stream){base->name, base->by_arn ? base->arn : NULL};
}

/* ---- failures ---- */

bool tw_kinesis_may_pass(const struct tw_kinesis_base *base, enum tumble_code code) {
    return code == TUMBLE_EOUTPUT || (code == TUMBLE_EREJECTED &&
                                      (base->answer.kind == TW_AWS_TRANSIENT || base->answer.kind == TW_AWS_THROTTLED));
}

static const char *what_to_do(const struct tw_aws_answer *answer) {
    if (tw_aws_answer_is(answer, "AccessDeniedException") || tw_aws_answer_is(answer, "AccessDenied")) {
        return "allow the role or user kinesis:DescribeStreamSummary, ListShards, GetShardIterator and GetRecords";
    }
    if (answer->kind == TW_AWS_EXPIRED || tw_aws_answer_is(answer, "UnrecognizedClientException") ||
        tw_aws_answer_is(answer, "InvalidClientTokenId") || answer->kind == TW_AWS_SKEWED) {
        return "look at the credentials";
    }
    if (strncmp(answer->code, "KMS", 3) == 0) {
        return "allow kms:Decrypt with the key of the stream";
    }
    return NULL;
}

enum tumble_code tw_kinesis_explain(const struct tw_kinesis_base *base, enum tumble_code code,
                                    struct tumble_error *err) {
    const char *hint = code == TUMBLE_EREJECTED ? what_to_do(&base->answer) : NULL;
    if (code == TUMBLE_EREJECTED && (base->answer.kind == TW_AWS_EXPIRED || base->answer.kind == TW_AWS_SKEWED)) {
        code = TUMBLE_EUSAGE;
    } else if (code == TUMBLE_EOUTPUT || code == TUMBLE_EREJECTED) {
        code = TUMBLE_EINPUT;
    }
    if (err) {
        if (hint) {
            struct tumble_error inner = *err;
            tw_fail(err, code, "%.80s: %.190s", hint, inner.text);
        }
        err->code = code;
        tw_error_prefix(err, "stream %.60s", base->name);
    }
    return code;
}
