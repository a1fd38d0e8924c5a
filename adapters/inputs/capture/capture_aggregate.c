#include "adapters/inputs/capture/capture_aggregate.h"

#include <string.h>

#include "engine/base/fail.h"

void tw_capture_aggregate_init(struct tw_capture_aggregate *aggregate, struct tumble_alloc alloc) {
    memset(aggregate, 0, sizeof *aggregate);
    aggregate->alloc = alloc;
}

void tw_capture_aggregate_clean_up(struct tw_capture_aggregate *aggregate) {
    tumble_kpl_destroy(aggregate->kpl);
    aggregate->kpl = NULL;
}

enum tumble_code tw_capture_aggregate_begin(struct tw_capture_aggregate *aggregate, struct tw_capture_reader *reader,
                                            struct tumble_captured *record, bool *is_one, struct tumble_error *err) {
    enum tumble_kpl_kind kind = TUMBLE_KPL_PLAIN;
    *is_one = false;
    if (record->bad != TUMBLE_OK) {
        return TUMBLE_OK; /* data is the text that is no base64 */
    }
    if (!reader->options->keep_aggregates) {
        if (!aggregate->kpl) {
            TW_TRY(tumble_kpl_new(aggregate->alloc, &aggregate->kpl, err));
        }
        TW_TRY(tumble_kpl_open(aggregate->kpl, record->data, NULL, &kind, &aggregate->left, err));
    }
    if (kind == TUMBLE_KPL_PLAIN) {
        return tw_capture_project(reader, record, err);
    }
    aggregate->reader = reader;
    aggregate->shared = *record;
    *is_one = true;
    return TUMBLE_OK;
}

enum tumble_code tw_capture_aggregate_next(struct tw_capture_aggregate *aggregate, struct tumble_captured *record,
                                           struct tumble_error *err) {
    struct tumble_kpl_record found;
    if (!tumble_kpl_next(aggregate->kpl, &found)) {
        return tw_fail(err, TUMBLE_EINTERNAL, "an aggregate has fewer records than were counted");
    }
    *record = aggregate->shared;
    record->data = found.data;
    record->partition_key = found.partition_key;
    record->explicit_hash_key = found.explicit_hash_key;
    record->part = (uint32_t)found.sub_sequence_number + 1;
    record->more = --aggregate->left > 0;
    if (found.bad) {
        record->partition_key = aggregate->shared.partition_key;
        record->bad = TUMBLE_EEVENT;
        record->bad_text = found.bad;
        return TUMBLE_OK;
    }
    return tw_capture_project(aggregate->reader, record, err);
}
