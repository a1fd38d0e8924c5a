#include "adapters/outputs/dynamodb/dynamodb_merge.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "adapters/outputs/dynamodb/dynamodb_batch.h"
#include "adapters/outputs/dynamodb/dynamodb_item.h"
#include "adapters/outputs/dynamodb/dynamodb_shares.h"
#include "engine/base/fail.h"
#include "engine/codec/base64.h"
#include "engine/codec/compress.h"
#include "engine/codec/json.h"
#include "engine/codec/json_scan.h"
#include "engine/codec/json_text.h"

enum {
    RACES = 30, /* lost in a row: then the host waits */
    FIRST_WAIT_MS = 4,
    LONGEST_WAIT_MS = 500,
    SHARES_CAP = 64 * 1024 * 1024,
    REQUEST_CAP = 16 * 1024 * 1024
};

struct tw_dynamodb_merge {
    struct tumble_alloc alloc;
    struct tw_output_client *client;
    const char *table;
    struct tw_dynamodb_form *form;
    struct tw_zstd *zstd;
    struct tw_buf request;
    struct tw_buf share;
    struct tw_buf there; /* shares of the item that was read */
    struct tw_buf after; /* and with the new one */
    struct tw_buf packed;
    struct tw_buf merged; /* the merged row */
};

enum tumble_code tw_dynamodb_merge_new(struct tw_output_client *client, const char *table,
                                       struct tw_dynamodb_form *form, struct tumble_alloc alloc,
                                       struct tw_dynamodb_merge **out, struct tumble_error *err) {
    struct tw_dynamodb_merge *merge = tw_alloc_zero(&alloc, sizeof *merge);
    *out = NULL;
    if (!merge) {
        return tw_no_memory(err);
    }
    merge->alloc = alloc;
    merge->client = client;
    merge->table = table;
    merge->form = form;
    tw_buf_init(&merge->request, alloc, REQUEST_CAP);
    tw_buf_init(&merge->share, alloc, SHARES_CAP);
    tw_buf_init(&merge->there, alloc, SHARES_CAP);
    tw_buf_init(&merge->after, alloc, SHARES_CAP);
    tw_buf_init(&merge->packed, alloc, SHARES_CAP);
    tw_buf_init(&merge->merged, alloc, SHARES_CAP);
    merge->zstd = tw_zstd_new(alloc);
    if (!merge->zstd) {
        tw_dynamodb_merge_destroy(merge);
        return tw_no_memory(err);
    }
    *out = merge;
    return TUMBLE_OK;
}

void tw_dynamodb_merge_destroy(struct tw_dynamodb_merge *merge) {
    if (!merge) {
        return;
    }
    struct tw_buf *bufs[] = {&merge->request, &merge->share,  &merge->there,
                             &merge->after,   &merge->packed, &merge->merged};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
        tw_buf_clean_up(bufs[i]);
    }
    tw_zstd_destroy(merge->zstd);
    struct tumble_alloc alloc = merge->alloc;
    tw_free(&alloc, merge);
}

/* ---- the item that is there ---- */

struct item {
    bool found;
    int64_t version;      /* 0: there is no item */
    const char *conflict; /* why nothing can be added to it, or NULL */
};

/* {"S":"text"} and the like: the value under that one letter. */
static bool attribute_of(const struct tumble_value *attribute, const char *type, struct tumble_value *out) {
    struct tw_json_walk walk;
    struct tumble_value key;
    if (attribute->type != TUMBLE_TYPE_OBJECT) {
        return false;
    }
    tw_json_walk_begin(&walk, attribute);
    return tw_json_walk_next(&walk, &key, out) && tw_json_string_equal(&key, tumble_bytes_of(type));
}

static bool same_text(const struct tumble_value *attribute, struct tumble_bytes text) {
    struct tumble_value value;
    return attribute_of(attribute, "S", &value) && value.type == TUMBLE_TYPE_STRING &&
           tw_json_string_equal(&value, text);
}

static enum tumble_code no_room(enum tumble_code code, struct tumble_error *err) {
    return code == TUMBLE_OK ? code : tw_fail(err, code, "%s", tumble_code_text(code));
}

/* Shares of an item: base64 of a zstd frame. */
static enum tumble_code unpack(struct tw_dynamodb_merge *merge, const struct tumble_value *attribute,
                               const char **conflict, struct tumble_error *err) {
    struct tumble_value value;
    size_t length;
    *conflict = "the item's _partials are damaged: it was not written by merge=true, or changed since";
    if (!attribute_of(attribute, "B", &value) || value.type != TUMBLE_TYPE_STRING) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&merge->packed);
    TW_TRY(no_room(tw_buf_reserve(&merge->packed, value.length + 4), err));
    merge->packed.length = tw_json_text_copy(&value, merge->packed.data, merge->packed.capacity);
    struct tumble_bytes text = tw_buf_view(&merge->packed);
    if (tw_base64_decode(text, merge->packed.data, &length, NULL) != TUMBLE_OK) {
        return TUMBLE_OK;
    }
    struct tumble_bytes frame = {merge->packed.data, length};
    enum tumble_code code = tw_zstd_unpack(merge->zstd, frame, SHARES_CAP, &merge->there, err);
    if (code == TUMBLE_OK) {
        *conflict = NULL;
    }
    return code == TUMBLE_ENOMEM ? code : TUMBLE_OK;
}

/* Reads what was found under the key into merge->there. */
static enum tumble_code read_item(struct tw_dynamodb_merge *merge, const struct tumble_value *value, struct item *item,
                                  struct tumble_error *err) {
    char spec[17];
    struct tw_json_walk walk;
    struct tumble_value name, attribute, number;
    bool same_source = false, same_spec = false, has_shares = false;
    memset(item, 0, sizeof *item);
    tw_buf_clear(&merge->there);
    item->found = value->type == TUMBLE_TYPE_OBJECT;
    if (!item->found) {
        return TUMBLE_OK;
    }
    snprintf(spec, sizeof spec, "%016" PRIx64, merge->form->spec_digest);
    tw_json_walk_begin(&walk, value);
    while (tw_json_walk_next(&walk, &name, &attribute)) {
        if (tw_json_string_equal(&name, tumble_bytes_of("_version"))) {
            if (attribute_of(&attribute, "N", &number) && number.type == TUMBLE_TYPE_STRING) {
                number.type = TUMBLE_TYPE_NUMBER;
                item->version = tw_json_integer(&number, &item->version) ? item->version : 0;
            }
        } else if (tw_json_string_equal(&name, tumble_bytes_of("_source"))) {
            same_source = same_text(&attribute, merge->form->source);
        } else if (tw_json_string_equal(&name, tumble_bytes_of("_spec"))) {
            same_spec = same_text(&attribute, tumble_bytes_of(spec));
        } else if (tw_json_string_equal(&name, tumble_bytes_of("_partials"))) {
            TW_TRY(unpack(merge, &attribute, &item->conflict, err));
            has_shares = true;
        }
    }
    if (item->version < 1 || !has_shares) {
        item->conflict = "an item that merge=true did not write stands under this key";
    } else if (!same_source) {
        item->conflict = "the item under this key is of another source: put {source} into the key";
    } else if (!same_spec) {
        item->conflict = "the item under this key is of another spec: put {spec} into the key, or name another table";
    }
    return TUMBLE_OK;
}

static enum tumble_code get_item(struct tw_dynamodb_merge *merge, struct tumble_bytes key, struct item *item,
                                 struct tumble_error *err) {
    struct tw_output_client *client = merge->client;
    struct tumble_value response, name, value, found = {.type = TUMBLE_TYPE_MISSING};
    struct tw_json_walk walk;
    struct tw_buf *request = &merge->request;
    tw_buf_clear(request);
    enum tumble_code code = tw_buf_append_text(request, "{\"ConsistentRead\":true,\"TableName\":");
    code = code == TUMBLE_OK ? tw_buf_append_json_string(request, tumble_bytes_of(merge->table)) : code;
    code = code == TUMBLE_OK ? tw_buf_append_text(request, ",\"Key\":{") : code;
    code = code == TUMBLE_OK ? tw_buf_append(request, key.data, key.length) : code;
    TW_TRY(no_room(code == TUMBLE_OK ? tw_buf_append_text(request, "}}") : code, err));
    TW_TRY(tw_dynamodb_call(client->aws, "GetItem", tw_buf_view(request), tw_output_client_deadline(client), &response,
                            &client->answer, err));
    tw_json_walk_begin(&walk, &response);
    while (tw_json_walk_next(&walk, &name, &value)) {
        if (tw_json_string_equal(&name, tumble_bytes_of("Item"))) {
            found = value;
        }
    }
    return read_item(merge, &found, item, err);
}

/* ---- the item that shall be there ---- */

static enum tumble_code put_own(struct tw_buf *out, const char *name, const char *type, struct tumble_bytes text,
                                size_t *size) {
    *size += strlen(name) + text.length;
    TW_TRY(tw_buf_append_text(out, ",\""));
    TW_TRY(tw_buf_append_text(out, name));
    TW_TRY(tw_buf_append_text(out, "\":{\""));
    TW_TRY(tw_buf_append_text(out, type));
    TW_TRY(tw_buf_append_text(out, "\":"));
    TW_TRY(tw_buf_append_json_string(out, text));
    return tw_buf_append_byte(out, '}');
}

/* Columns of the merged row; *why: one that DynamoDB cannot hold. */
static enum tumble_code put_merged(struct tw_dynamodb_merge *merge, size_t *size, const char **why) {
    struct tumble_value object, key, value;
    struct tw_json_walk walk;
    struct tw_buf *out = &merge->request;
    if (tw_json_value(tw_buf_view(&merge->merged), 1, &object, NULL, NULL) != TUMBLE_OK ||
        object.type != TUMBLE_TYPE_OBJECT) {
        return TUMBLE_EINTERNAL;
    }
    tw_json_walk_begin(&walk, &object);
    while (tw_json_walk_next(&walk, &key, &value)) {
        if (out->data[out->length - 1] != '{') {
            TW_TRY(tw_buf_append_byte(out, ','));
        }
        *size += tw_dynamodb_text_bytes(&key);
        TW_TRY(tw_buf_append_byte(out, '"'));
        TW_TRY(tw_buf_append(out, key.text, key.length));
        TW_TRY(tw_buf_append_text(out, "\":"));
        TW_TRY(tw_dynamodb_put(out, &value, size, why));
    }
    return TUMBLE_OK;
}

static enum tumble_code put_shares(struct tw_dynamodb_merge *merge, size_t *size, struct tumble_error *err) {
    struct tw_buf *out = &merge->request;
    tw_buf_clear(&merge->packed);
    TW_TRY(tw_zstd_pack(merge->zstd, tw_buf_view(&merge->after), &merge->packed));
    size_t length = tw_base64_encoded_length(merge->packed.length);
    *size += strlen("_partials") + merge->packed.length;
    TW_TRY(tw_buf_append_text(out, ",\"_partials\":{\"B\":\""));
    TW_TRY(tw_buf_reserve(out, length));
    tw_base64_encode(tw_buf_view(&merge->packed), out->data + out->length);
    out->length += length;
    tw_buf_clear(&merge->packed);
    tw_buf_clear(&merge->there); /* read already */
    TW_TRY(tw_buf_append_byte(&merge->there, '['));
    TW_TRY(tw_shares_names(tw_buf_view(&merge->after), &merge->there, err));
    TW_TRY(tw_buf_append_byte(&merge->there, ']'));
    *size += strlen("_fragments");
    const char *why;
    TW_TRY(tw_buf_append_text(out, "\"},\"_fragments\":"));
    return tw_dynamodb_value(out, tw_buf_view(&merge->there), size, &why);
}

/* The PutItem request. EREJECTED: DynamoDB cannot hold the item, err says why. */
static enum tumble_code make_request(struct tw_dynamodb_merge *merge, const struct tumble_row *row,
                                     const struct item *item, struct tumble_error *err) {
    struct tw_buf *out = &merge->request;
    struct tw_dynamodb_form *form = merge->form;
    char text[128], spec[17];
    size_t size = 0;
    const char *why = NULL;
    tw_buf_clear(out);
    TW_TRY(tw_buf_append_text(out, "{\"TableName\":"));
    TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(merge->table)));
    TW_TRY(tw_buf_append_text(out, ",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\""));
    if (item->found) {
        snprintf(text, sizeof text, "{\":v\":{\"N\":\"%" PRId64 "\"}}", item->version);
        TW_TRY(tw_buf_append_text(out, ",\"ConditionExpression\":\"#v = :v\",\"ExpressionAttributeNames\":{\"#v\":"
                                       "\"_version\"},\"ExpressionAttributeValues\":"));
        TW_TRY(tw_buf_append_text(out, text));
    } else {
        TW_TRY(tw_buf_append_text(out, ",\"ConditionExpression\":\"attribute_not_exists(#k)\","
                                       "\"ExpressionAttributeNames\":{\"#k\":"));
        TW_TRY(tw_buf_append_json_string(out, tumble_bytes_of(form->keys[0].attribute.name)));
        TW_TRY(tw_buf_append_byte(out, '}'));
    }
    TW_TRY(tw_buf_append_text(out, ",\"Item\":{"));
    TW_TRY(tw_dynamodb_form_put_keys(form, row, out, &size));
    enum tumble_code code = put_merged(merge, &size, &why);
    if (code == TUMBLE_EREJECTED) {
        return tw_fail(err, code, "%s", why);
    }
    TW_TRY(code);
    snprintf(text, sizeof text, ",\"_version\":{\"N\":\"%" PRId64 "\"}", item->version + 1);
    TW_TRY(tw_buf_append_text(out, text));
    size += strlen("_version") + 12;
    snprintf(spec, sizeof spec, "%016" PRIx64, form->spec_digest);
    TW_TRY(put_own(out, "_source", "S", form->source, &size));
    TW_TRY(put_own(out, "_spec", "S", tumble_bytes_of(spec), &size));
    TW_TRY(put_shares(merge, &size, err));
    TW_TRY(tw_dynamodb_form_put_ttl(form, row->window_end_ms, out, &size));
    if (size > TW_DYNAMODB_ITEM_BYTES) {
        return tw_fail(err, TUMBLE_EREJECTED,
                       "the partial states of all shards make an item of %zu bytes: DynamoDB takes 400 KB at most",
                       size);
    }
    return tw_buf_append_text(out, "}}");
}

/* ---- one row ---- */

/* Folds the row into what was read. *settled: nothing has to be written. */
static enum tumble_code fold(struct tw_dynamodb_merge *merge, const struct tumble_row *row, const struct item *item,
                             struct tw_arena *arena, struct tumble_delivery *delivery, bool *settled,
                             struct tumble_error *err) {
    enum tw_share_fate fate = TW_SHARE_ADDED;
    *settled = true;
    if (item->conflict) {
        return tw_dynamodb_reject(arena, delivery, item->conflict, err);
    }
    tw_buf_clear(&merge->after);
    enum tumble_code code =
        tw_shares_add(tw_buf_view(&merge->there), tw_buf_view(&merge->share), &merge->after, &fate, err);
    if (code == TUMBLE_ECORRUPT) {
        return tw_dynamodb_reject(arena, delivery, "the item's _partials are damaged", err);
    }
    TW_TRY(code);
    if (fate == TW_SHARE_OVERLAP) {
        return tw_dynamodb_reject(arena, delivery, "overlap: the item holds a fragment with some of the same records",
                                  err);
    }
    if (fate != TW_SHARE_ADDED) {
        return TUMBLE_OK;
    }
    tw_buf_clear(&merge->merged);
    code = tw_shares_merge(tw_buf_view(&merge->after), merge->alloc, &merge->merged, err);
    if (code == TUMBLE_OK) {
        code = make_request(merge, row, item, err);
    }
    if (code == TUMBLE_ENOMEM || code == TUMBLE_OK) {
        *settled = code != TUMBLE_OK;
        return code == TUMBLE_OK ? code : tw_no_memory(err);
    }
    return tw_dynamodb_reject(arena, delivery, err && err->code == code ? err->text : tumble_code_text(code), err);
}

enum tumble_code tw_dynamodb_merge_row(struct tw_dynamodb_merge *merge, const struct tumble_row *row,
                                       struct tumble_bytes key, struct tw_arena *arena,
                                       struct tumble_delivery *delivery, struct tumble_error *err) {
    struct tw_output_client *client = merge->client;
    struct item item;
    struct tumble_value response, old;
    tw_buf_clear(&merge->share);
    TW_TRY(no_room(tw_share_append(&merge->share, merge->form->spec, row), err));
    TW_TRY(get_item(merge, key, &item, err));
    for (int race = 1;; race++) {
        bool settled;
        TW_TRY(fold(merge, row, &item, arena, delivery, &settled, err));
        if (settled) {
            return TUMBLE_OK;
        }
        enum tumble_code code = tw_dynamodb_call(client->aws, "PutItem", tw_buf_view(&merge->request),
                                                 tw_output_client_deadline(client), &response, &client->answer, err);
        if (code != TUMBLE_EREJECTED) {
            return code;
        }
        if (tw_aws_answer_is(&client->answer, "ValidationException")) {
            const char *why = client->answer.message;
            return tw_dynamodb_reject(arena, delivery, why[0] ? why : "refused by the table", err);
        }
        if (!tw_aws_answer_is(&client->answer, "ConditionalCheckFailedException")) {
            return code;
        }
        if (race == RACES ||
            (race > 1 && !tw_output_client_wait(client, tw_backoff_ms(FIRST_WAIT_MS, LONGEST_WAIT_MS, race,
                                                                      client->system->random(client->system->ctx))))) {
            return tw_fail(err, TUMBLE_EOUTPUT, "table %s: %d other writers came first at one item", merge->table,
                           race);
        }
        if (race == 1 && tw_dynamodb_old_item(&client->answer, &old)) {
            TW_TRY(read_item(merge, &old, &item, err));
        } else {
            TW_TRY(get_item(merge, key, &item, err));
        }
    }
}
