#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/aws/aws_text.h"
#include "adapters/leases/lease_internal.h"
#include "engine/base/fail.h"
#include "engine/base/sequence.h"

/* A lease in memory and as the table's item. What others may have changed is not guessed: it is an error. */

enum { NUMBER_TEXT = 24 };

/* ---- a lease in memory ---- */

void tumble_lease_clean_up(struct tumble_lease *lease) {
    struct tumble_alloc alloc = tw_alloc_default();
    tw_free(&alloc, lease->cuts);
    lease->cuts = NULL;
    lease->cut_count = lease->cut_capacity = 0;
}

struct tumble_lease_cut *tumble_lease_add_cut(struct tumble_lease *lease) {
    struct tumble_alloc alloc = tw_alloc_default();
    if (lease->cut_count == lease->cut_capacity) {
        uint32_t capacity = lease->cut_capacity ? lease->cut_capacity * 2 : 4;
        struct tumble_lease_cut *cuts =
            tw_resize(&alloc, lease->cuts, lease->cut_capacity * sizeof *cuts, capacity * sizeof *cuts);
        if (!cuts) {
            return NULL;
        }
        lease->cuts = cuts;
        lease->cut_capacity = capacity;
    }
    struct tumble_lease_cut *cut = &lease->cuts[lease->cut_count++];
    memset(cut, 0, sizeof *cut);
    return cut;
}

enum tumble_code tumble_lease_copy(struct tumble_lease *to, const struct tumble_lease *from) {
    struct tumble_lease copy = *from;
    copy.cuts = NULL;
    copy.cut_count = copy.cut_capacity = 0;
    for (uint32_t i = 0; i < from->cut_count; i++) {
        struct tumble_lease_cut *cut = tumble_lease_add_cut(&copy);
        if (!cut) {
            tumble_lease_clean_up(&copy);
            return TUMBLE_ENOMEM;
        }
        *cut = from->cuts[i];
    }
    tumble_lease_clean_up(to);
    *to = copy;
    return TUMBLE_OK;
}

/* ---- reading items ---- */

/* The value inside {"S": …} or {"N": …} of an attribute. */
bool tw_lease_attribute(const struct tumble_value *item, const char *name, const char *type, char *out, size_t size) {
    struct tumble_value typed;
    out[0] = '\0';
    return tw_json_member(item, name, &typed) && typed.type == TUMBLE_TYPE_OBJECT &&
           tw_json_member_text(&typed, type, out, size);
}

static uint64_t number(const struct tumble_value *item, const char *name) {
    char text[NUMBER_TEXT];
    return tw_lease_attribute(item, name, "N", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
}

/* One that conditions compare with: read as anything else than it is, it would never be met. */
static bool counting_number(const struct tumble_value *item, const char *name, uint64_t *out) {
    char text[NUMBER_TEXT];
    bool good = tw_lease_attribute(item, name, "N", text, sizeof text) && text[0] && strlen(text) <= 18 &&
                strspn(text, "0123456789") == strlen(text);
    *out = good ? strtoull(text, NULL, 10) : 0;
    return good;
}

/* A text that fits; one that is missing is empty. */
static bool optional_text(const struct tumble_value *item, const char *name, char *out, size_t size) {
    struct tumble_value typed;
    return tw_lease_attribute(item, name, "S", out, size) || !tw_json_member(item, name, &typed);
}

int64_t tw_lease_signed_number(const struct tumble_value *item, const char *name) {
    char text[NUMBER_TEXT];
    return tw_lease_attribute(item, name, "N", text, sizeof text) ? strtoll(text, NULL, 10) : -1;
}

static bool is_sequence(const char *text) {
    struct tumble_bytes digits;
    return tw_sequence_check(tumble_bytes_of(text), &digits, NULL) == TUMBLE_OK;
}

static bool read_cut(const struct tumble_value *each, struct tumble_lease_cut *cut) {
    char text[400], state[16] = "";
    long long start;
    int used = 0;
    char *word[4], *at = text;
    if (each->type != TUMBLE_TYPE_OBJECT || !tw_json_member_text(each, "S", text, sizeof text)) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        word[i] = at;
        at += strcspn(at, " ");
        if (*at) {
            *at++ = '\0';
        }
        used += word[i][0] != '\0';
    }
    start = strtoll(word[0], NULL, 10);
    if (used != 4 || *at || !is_sequence(word[1]) || !is_sequence(word[2])) {
        return false;
    }
    snprintf(state, sizeof state, "%s", word[3]);
    cut->start_ms = start;
    snprintf(cut->first, sizeof cut->first, "%s", word[1]);
    snprintf(cut->last, sizeof cut->last, "%s", word[2]);
    cut->is_delivered = strcmp(state, "delivered") == 0;
    return cut->is_delivered || strcmp(state, "closed") == 0;
}

enum tumble_code tw_lease_damaged(const struct tumble_leases *leases, const char *shard, struct tumble_error *err) {
    return tw_fail(err, TUMBLE_EINPUT,
                   "lease table %.60s: the item of shard %.60s (application %.60s) is not one of tumble's: mend it, or "
                   "use another --application",
                   leases->table, shard, leases->application);
}

enum tumble_code tw_lease_read_item(const struct tumble_leases *leases, const struct tumble_value *item,
                                    struct tumble_lease *lease, struct tumble_error *err) {
    static const char *const positions[] = {"START", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"};
    char position[32];
    struct tumble_value cuts, list, key, each;
    struct tw_json_walk walk;
    tumble_lease_clean_up(lease);
    memset(lease, 0, sizeof *lease);
    tw_lease_attribute(item, "shard", "S", lease->shard, sizeof lease->shard);
    bool good = optional_text(item, "owner", lease->owner, sizeof lease->owner) &&
                optional_text(item, "wanted_by", lease->wanted_by, sizeof lease->wanted_by) &&
                counting_number(item, "counter", &lease->counter) && counting_number(item, "term", &lease->term);
    lease->arrival_ms = tw_lease_signed_number(item, "arrival");
    lease->is_done = number(item, "done") != 0;
    tw_lease_attribute(item, "sequence", "S", lease->sequence, sizeof lease->sequence);
    tw_lease_attribute(item, "position", "S", position, sizeof position);
    int found = -1;
    for (int i = 0; i < 3; i++) {
        found = strcmp(position, positions[i]) == 0 ? i : found;
    }
    if (!good || found < 0 || (found > 0 && !is_sequence(lease->sequence)) || !lease->shard[0]) {
        return tw_lease_damaged(leases, lease->shard, err);
    }
    lease->position = (enum tumble_lease_position)found;
    if (!tw_json_member(item, "cuts", &cuts)) {
        return TUMBLE_OK;
    }
    if (cuts.type != TUMBLE_TYPE_OBJECT || !tw_json_member(&cuts, "L", &list) || list.type != TUMBLE_TYPE_ARRAY) {
        return tw_lease_damaged(leases, lease->shard, err);
    }
    tw_json_walk_begin(&walk, &list);
    while (tw_json_walk_next(&walk, &key, &each)) {
        struct tumble_lease_cut *cut = tumble_lease_add_cut(lease);
        if (!cut) {
            return tw_no_memory(err);
        }
        if (!read_cut(&each, cut)) {
            return tw_lease_damaged(leases, lease->shard, err);
        }
    }
    return TUMBLE_OK;
}

/* ---- writing ---- */

enum tumble_code tw_lease_put_state(struct tumble_leases *leases, enum tumble_code code,
                                    const struct tumble_lease *lease) {
    static const char *const positions[] = {"START", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"};
    struct tw_buf *out = &leases->request;
    char text[360];
    code = tw_lease_put(out, code, ",\":p\":{\"S\":");
    code = tw_lease_put_string(out, code, positions[lease->position]);
    code = tw_lease_put(out, code, "},\":s\":{\"S\":");
    code = tw_lease_put_string(out, code, lease->sequence[0] ? lease->sequence : "-");
    code = tw_lease_put_number(out, code, "},\":a\":{\"N\":\"%" PRId64 "\"}", lease->arrival_ms);
    code = tw_lease_put_number(out, code, ",\":d\":{\"N\":\"%" PRId64 "\"},\":k\":{\"L\":[", lease->is_done != 0);
    for (uint32_t i = 0; i < lease->cut_count; i++) {
        const struct tumble_lease_cut *cut = &lease->cuts[i];
        snprintf(text, sizeof text, "%s{\"S\":\"%" PRId64 " %s %s %s\"}", i ? "," : "", cut->start_ms, cut->first,
                 cut->last, cut->is_delivered ? "delivered" : "closed");
        code = tw_lease_put(out, code, text);
    }
    return tw_lease_put(out, code, "]}");
}
