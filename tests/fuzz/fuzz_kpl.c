#include "fuzz_target.h"

#include <string.h>

#include <tumble/kpl.h>

#include "engine/base/utf8.h"
#include "engine/codec/md5.h"

/* The bytes as a record's data, and as the message of an aggregate whose digest is right: views stay inside, counts are
 * kept, and a range that holds every hash key changes nothing. */

static bool is_inside(struct tumble_bytes view, struct tumble_bytes whole) {
    return view.length == 0 || (view.data >= whole.data && view.data + view.length <= whole.data + whole.length);
}

static uint64_t walk(struct tumble_kpl *kpl, struct tumble_bytes data, const struct tumble_hash_range *range,
                     enum tumble_kpl_kind *kind) {
    struct tumble_kpl_record record;
    uint64_t count, given = 0;
    FUZZ_CHECK(tumble_kpl_open(kpl, data, range, kind, &count, NULL) == TUMBLE_OK);
    FUZZ_CHECK(*kind != TUMBLE_KPL_PLAIN || count == 0);
    for (; tumble_kpl_next(kpl, &record); given++) {
        FUZZ_CHECK(record.sub_sequence_number == given);
        FUZZ_CHECK(is_inside(record.data, data) && is_inside(record.partition_key, data) &&
                   is_inside(record.explicit_hash_key, data));
        FUZZ_CHECK(!record.bad || (given + 1 == count && record.data.data == data.data));
        FUZZ_CHECK(tw_utf8_valid(record.partition_key));
    }
    FUZZ_CHECK(given == (*kind == TUMBLE_KPL_AGGREGATE ? count : 0));
    return count;
}

static void check(struct tumble_kpl *kpl, struct tumble_bytes data) {
    static const struct tumble_hash_range none = {.first = {0xff}, .last = {0}};
    struct tumble_hash_range all = {.first = {0}};
    enum tumble_kpl_kind kind, same, foreign;
    memset(all.last, 0xff, sizeof all.last);
    uint64_t count = walk(kpl, data, NULL, &kind);
    FUZZ_CHECK(walk(kpl, data, &all, &same) == count && same == kind);
    walk(kpl, data, &none, &foreign);
    FUZZ_CHECK((foreign == TUMBLE_KPL_PLAIN) == (kind == TUMBLE_KPL_PLAIN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tumble_kpl *kpl;
    FUZZ_CHECK(tumble_kpl_new((struct tumble_alloc){0}, &kpl, NULL) == TUMBLE_OK);
    struct tumble_bytes raw = {(const char *)data, size};
    check(kpl, raw);
    char *aggregate = malloc(size + 20);
    FUZZ_CHECK(aggregate);
    memcpy(aggregate, "\xf3\x89\x9a\xc2", 4);
    if (size) {
        memcpy(aggregate + 4, data, size);
    }
    uint8_t digest[16];
    tw_md5(aggregate + 4, size, digest);
    memcpy(aggregate + 4 + size, digest, sizeof digest);
    struct tumble_bytes whole = {aggregate, size + 20};
    check(kpl, whole);
    free(aggregate);
    tumble_kpl_destroy(kpl);
    return 0;
}
