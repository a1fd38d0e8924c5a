#include "adapters/metrics/prices.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/fail.h"
#include "engine/base/number.h"
#include "engine/codec/json.h"

/* Made of share/prices.json by the build (cmake/embed.cmake). */
extern const unsigned char tw_prices_json[];
extern const size_t tw_prices_json_length;

enum {
    FILE_BYTES = 64 * 1024,
    PUT_PAYLOAD_UNIT_BYTES = 25 * 1024, /* "25 KB payload chunks" */
    ON_DEMAND_STEP_BYTES = 1024,        /* "rounded up to the nearest 1 KB (1,024 bytes)" */
    PRICE_MOST = 1000000000,
    GB_BYTES = 1 << 30 /* as AWS's own examples reckon: 1,048,576 kB of 1,024 bytes */
};

struct member {
    const char *group; /* "": at the top */
    const char *key;
    size_t offset;
    size_t text_bytes; /* 0: a number */
    int is_optional;
};

#define AT(name) offsetof(struct tw_prices, name)

static const struct member members[] = {
    {"", "date", AT(date), TW_PRICES_TEXT, 0},
    {"", "region", AT(region), TW_PRICES_TEXT, 0},
    {"", "currency", AT(currency), TW_PRICES_TEXT, 0},
    {"", "note", AT(note), TW_PRICES_NOTE, 1},
    {"lambda", "million_requests", AT(lambda_million_requests), 0, 0},
    {"lambda", "gb_second_x86_64", AT(lambda_gb_second[TW_ARCHITECTURE_X86_64]), 0, 0},
    {"lambda", "gb_second_arm64", AT(lambda_gb_second[TW_ARCHITECTURE_ARM64]), 0, 0},
    {"kinesis", "shard_hour", AT(kinesis_shard_hour), 0, 0},
    {"kinesis", "million_put_payload_units", AT(kinesis_million_put_payload_units), 0, 0},
    {"kinesis", "consumer_shard_hour", AT(kinesis_consumer_shard_hour), 0, 0},
    {"kinesis", "consumer_gb", AT(kinesis_consumer_gb), 0, 0},
    {"kinesis", "on_demand_stream_hour", AT(kinesis_on_demand_stream_hour), 0, 0},
    {"kinesis", "on_demand_gb_in", AT(kinesis_on_demand_gb_in), 0, 0},
    {"kinesis", "on_demand_gb_out", AT(kinesis_on_demand_gb_out), 0, 0},
    {"kinesis", "on_demand_consumer_gb", AT(kinesis_on_demand_consumer_gb), 0, 0},
};
enum { MEMBERS = sizeof members / sizeof *members };

static const char *const groups[] = {"lambda", "kinesis"};
enum { GROUPS = sizeof groups / sizeof *groups };

/* ---- reading ---- */

static int is_text(const struct tumble_value *key, const char *text) {
    return tw_json_string_equal(key, tumble_bytes_of(text));
}

static enum tumble_code unknown_key(const char *group, const struct tumble_value *key, struct tumble_error *err) {
    const char *names[MEMBERS + GROUPS];
    size_t count = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(members[i].group, group) == 0) {
            names[count++] = members[i].key;
        }
    }
    for (size_t i = 0; i < GROUPS && !group[0]; i++) {
        names[count++] = groups[i];
    }
    struct tumble_bytes text = {key->text, key->length};
    const char *near = tw_name_nearest(text, names, count);
    return tw_fail(err, TUMBLE_EUSAGE, "unknown key \"%s%s%.*s\"%s%s%s", group, group[0] ? "." : "",
                   key->length < 60 ? (int)key->length : 60, key->text, near ? ": did you mean \"" : "",
                   near ? near : "", near ? "\"?" : "");
}

static enum tumble_code take(const struct member *member, const struct tumble_value *value, struct tw_prices *out,
                             struct tumble_error *err) {
    const char *dot = member->group[0] ? "." : "";
    char *at = (char *)out + member->offset;
    if (member->text_bytes) {
        if (value->type != TUMBLE_TYPE_STRING || value->length >= member->text_bytes) {
            return tw_fail(err, TUMBLE_EUSAGE, "\"%s\" is to be a string of at most %zu bytes", member->key,
                           member->text_bytes - 1);
        }
        at[tumble_value_text(value, at, member->text_bytes)] = '\0';
        return TUMBLE_OK;
    }
    struct tw_decimal number = {0};
    if (value->type != TUMBLE_TYPE_NUMBER || tw_decimal_parse(&number, value->text, value->length, NULL) != TUMBLE_OK ||
        number.high < 0) {
        return tw_fail(err, TUMBLE_EUSAGE, "\"%s%s%s\" is to be a number of 0 or more", member->group, dot,
                       member->key);
    }
    double price = tw_decimal_double(&number);
    if (!(price <= PRICE_MOST)) { /* sums stay numbers */
        return tw_fail(err, TUMBLE_EUSAGE, "\"%s%s%s\" is no price: more than a billion", member->group, dot,
                       member->key);
    }
    memcpy(at, &price, sizeof price);
    return TUMBLE_OK;
}

static enum tumble_code read_group(const char *group, const struct tumble_value *object, struct tw_prices *out,
                                   int seen[MEMBERS], struct tumble_error *err) {
    struct tw_json_walk walk;
    struct tumble_value key, value;
    tw_json_walk_begin(&walk, object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        size_t at = 0, inner = 0;
        while (at < MEMBERS && (strcmp(members[at].group, group) != 0 || !is_text(&key, members[at].key))) {
            at++;
        }
        while (inner < GROUPS && !is_text(&key, groups[inner])) {
            inner++;
        }
        if (at < MEMBERS) {
            TW_TRY(take(&members[at], &value, out, err));
            seen[at] = 1;
        } else if (!group[0] && inner < GROUPS) {
            if (value.type != TUMBLE_TYPE_OBJECT) {
                return tw_fail(err, TUMBLE_EUSAGE, "\"%s\" is to be an object", groups[inner]);
            }
            TW_TRY(read_group(groups[inner], &value, out, seen, err));
        } else {
            return unknown_key(group, &key, err);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_prices_read(struct tumble_bytes json, struct tw_prices *out, struct tumble_error *err) {
    struct tumble_value document;
    int seen[MEMBERS] = {0};
    memset(out, 0, sizeof *out);
    TW_TRY(tw_json_document(json, TUMBLE_TYPE_OBJECT, &document, err));
    TW_TRY(read_group("", &document, out, seen, err));
    for (size_t i = 0; i < MEMBERS; i++) {
        if (!seen[i] && !members[i].is_optional) {
            return tw_fail(err, TUMBLE_EUSAGE, "\"%s%s%s\" is missing", members[i].group,
                           members[i].group[0] ? "." : "", members[i].key);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tw_prices_default(struct tw_prices *out, struct tumble_error *err) {
    return tw_prices_read((struct tumble_bytes){(const char *)tw_prices_json, tw_prices_json_length}, out, err);
}

enum tumble_code tw_prices_load(const char *path, struct tw_prices *out, struct tumble_error *err) {
    char text[FILE_BYTES];
    if (!path) {
        return tw_prices_default(out, err);
    }
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return tw_fail(err, TUMBLE_EUSAGE, "prices %.200s: %s", path, strerror(errno));
    }
    size_t length = fread(text, 1, sizeof text, file);
    int failed = ferror(file);
    fclose(file);
    if (failed || length == sizeof text) {
        return tw_fail(err, TUMBLE_EUSAGE, "prices %.200s: cannot be read, or is larger than a list of prices", path);
    }
    enum tumble_code code = tw_prices_read((struct tumble_bytes){text, length}, out, err);
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "prices %.200s", path);
        if (err) {
            err->code = TUMBLE_EUSAGE;
        }
        return TUMBLE_EUSAGE;
    }
    return TUMBLE_OK;
}

/* ---- reckoning ---- */

uint64_t tw_put_payload_units(uint64_t bytes) {
    return bytes ? (bytes + PUT_PAYLOAD_UNIT_BYTES - 1) / PUT_PAYLOAD_UNIT_BYTES : 1;
}

uint64_t tw_on_demand_bytes(uint64_t bytes) {
    return bytes ? (bytes + ON_DEMAND_STEP_BYTES - 1) / ON_DEMAND_STEP_BYTES * ON_DEMAND_STEP_BYTES
                 : ON_DEMAND_STEP_BYTES;
}

void tw_cost_of(const struct tw_prices *prices, const struct tw_usage *usage, struct tw_cost *out) {
    double gb_out = usage->bytes_out / GB_BYTES;
    memset(out, 0, sizeof *out);
    out->requests = usage->invocations / 1e6 * prices->lambda_million_requests;
    out->duration = usage->gb_seconds * prices->lambda_gb_second[usage->architecture];
    if (usage->mode == TW_STREAM_ON_DEMAND) {
        out->stream = usage->stream_hours * prices->kinesis_on_demand_stream_hour;
        out->ingest = usage->bytes_in / GB_BYTES * prices->kinesis_on_demand_gb_in;
        out->retrieval =
            gb_out * (usage->is_consumer ? prices->kinesis_on_demand_consumer_gb : prices->kinesis_on_demand_gb_out);
    } else {
        out->stream = usage->shard_hours * prices->kinesis_shard_hour;
        out->ingest = usage->put_payload_units / 1e6 * prices->kinesis_million_put_payload_units;
        if (usage->is_consumer) {
            out->retrieval =
                usage->shard_hours * prices->kinesis_consumer_shard_hour + gb_out * prices->kinesis_consumer_gb;
        }
    }
    out->lambda = out->requests + out->duration;
    out->kinesis = out->stream + out->ingest + out->retrieval;
    out->total = out->lambda + out->kinesis;
}
