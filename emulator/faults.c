#include "emulator/faults.h"

#include <stdlib.h>
#include <string.h>

#include "emulator/seeded.h"
#include "engine/base/alloc.h"
#include "engine/base/fail.h"
#include "engine/codec/json.h"

/* Every call draws the same number of random numbers, whatever happens in it: so a fault that is made more likely does
 * not shift the others. */

static const char *const names[TUMBLE_FAULT_COUNT] = {"error", "crash",     "timeout",   "lost",    "throttle",
                                                      "slow",  "duplicate", "redeliver", "recycle", "skew"};

const char *tumble_fault_name(enum tumble_fault fault) { return names[fault]; }

static enum tumble_code read_number(const char **at, double *out, struct tumble_error *err) {
    char *end;
    double value = strtod(*at, &end);
    if (end == *at || !(value >= 0)) {
        return tw_fail(err, TUMBLE_EUSAGE, "--fault: a number from 0 on, please, at '%.40s'", *at);
    }
    *out = value;
    *at = end;
    return TUMBLE_OK;
}

static enum tumble_code read_one(struct tumble_faults *faults, const char **at, double *all, struct tumble_error *err) {
    size_t length = strcspn(*at, "=,:");
    struct tumble_bytes name = {*at, length};
    int index = tw_name_find(name, names, TUMBLE_FAULT_COUNT);
    int is_all = tumble_bytes_equal(name, tumble_bytes_of("all"));
    double probability = 0, parameter = 0;
    if (index < 0 && !is_all) {
        const char *nearest = tw_name_nearest(name, names, TUMBLE_FAULT_COUNT);
        return tw_fail(err, TUMBLE_EUSAGE, "--fault: there is no fault '%.*s'%s%s%s", (int)(length < 40 ? length : 40),
                       *at, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    *at += length;
    if (**at != '=') {
        return tw_fail(err, TUMBLE_EUSAGE, "--fault: %s needs a probability: %s=0.05", is_all ? "all" : names[index],
                       is_all ? "all" : names[index]);
    }
    ++*at;
    TW_TRY(read_number(at, &probability, err));
    if (probability > 1) {
        return tw_fail(err, TUMBLE_EUSAGE, "--fault: %s: a probability is at most 1", is_all ? "all" : names[index]);
    }
    if (is_all) {
        *all = probability;
        return TUMBLE_OK;
    }
    faults->probability[index] = probability;
    if (**at == ':') {
        ++*at;
        TW_TRY(read_number(at, &parameter, err));
        if (parameter > 86400000) {
            return tw_fail(err, TUMBLE_EUSAGE, "--fault: %s: at most 86400000", names[index]);
        }
        faults->parameter[index] = (int64_t)parameter;
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_faults_init(struct tumble_faults *faults, const char *text, uint64_t seed,
                                    struct tumble_alloc alloc, struct tumble_error *err) {
    double all = 0;
    memset(faults, 0, sizeof *faults);
    faults->alloc = tw_alloc_or_default(alloc);
    faults->random = seed ^ UINT64_C(0x6a09e667f3bcc908); /* not the request ids' numbers */
    faults->parameter[TUMBLE_FAULT_SLOW] = 1000;
    faults->parameter[TUMBLE_FAULT_REDELIVER] = 10;
    faults->parameter[TUMBLE_FAULT_SKEW] = 5000;
    for (int i = 0; i < TUMBLE_FAULT_COUNT; i++) {
        faults->probability[i] = -1;
    }
    for (const char *at = text; at && *at;) {
        TW_TRY(read_one(faults, &at, &all, err));
        if (*at && *at != ',') {
            return tw_fail(err, TUMBLE_EUSAGE, "--fault: a comma, please, at '%.40s'", at);
        }
        at += *at == ',';
    }
    for (int i = 0; i < TUMBLE_FAULT_COUNT; i++) {
        if (faults->probability[i] < 0) {
            faults->probability[i] = all;
        }
    }
    return TUMBLE_OK;
}

void tumble_faults_clean_up(struct tumble_faults *faults) {
    tw_free(&faults->alloc, faults->records);
    faults->records = NULL;
    faults->record_capacity = 0;
}

/* ---- one invocation ---- */

struct drawn {
    int happens[TUMBLE_FAULT_COUNT];
    uint64_t number[TUMBLE_FAULT_COUNT];
};

static enum tumble_code recycle(struct tumble_faults *faults, uint32_t slot, struct tumble_error *err) {
    const struct tumble_emulated_function *inner = faults->inner;
    return inner->recycle ? inner->recycle(inner->ctx, slot, err) : TUMBLE_OK;
}

static int happens(struct tumble_faults *faults, const struct drawn *drawn, enum tumble_fault fault) {
    faults->happened[fault] += (uint64_t)drawn->happens[fault];
    return drawn->happens[fault];
}

/* Positions that were answered come once more, with the new ones: in front of them (they lie there), or behind. */
static enum tumble_code redeliver(struct tumble_faults *faults, const struct drawn *drawn,
                                  struct tumble_function_request *request, struct tumble_error *err) {
    uint64_t number = drawn->number[TUMBLE_FAULT_REDELIVER];
    size_t most = request->answered_count;
    if (most > (uint64_t)faults->parameter[TUMBLE_FAULT_REDELIVER]) {
        most = (size_t)faults->parameter[TUMBLE_FAULT_REDELIVER];
    }
    if (most == 0 || request->is_final || !happens(faults, drawn, TUMBLE_FAULT_REDELIVER)) {
        return TUMBLE_OK;
    }
    size_t again = 1 + number % most;
    size_t count = request->record_count;
    if (number >> 63) {
        request->records -= again;
    } else {
        if (faults->record_capacity < count + again) {
            size_t capacity = 2 * (count + again);
            struct tumble_stream_record *records = tw_resize(
                &faults->alloc, faults->records, faults->record_capacity * sizeof *records, capacity * sizeof *records);
            if (!records) {
                return tw_no_memory(err);
            }
            faults->records = records;
            faults->record_capacity = capacity;
        }
        memcpy(faults->records, request->records, count * sizeof *faults->records);
        memcpy(faults->records + count, request->records - again, again * sizeof *faults->records);
        request->records = faults->records;
    }
    request->record_count += again;
    request->answered_count = 0;
    return TUMBLE_OK;
}

static void skew(struct tumble_faults *faults, const struct drawn *drawn, struct tumble_function_request *request) {
    int64_t most = faults->parameter[TUMBLE_FAULT_SKEW];
    if (happens(faults, drawn, TUMBLE_FAULT_SKEW)) {
        int64_t by = (int64_t)(drawn->number[TUMBLE_FAULT_SKEW] % (uint64_t)(2 * most + 1)) - most;
        request->sent_ms += by;
        request->deadline_ms += by;
    }
}

static enum tumble_code run_inner(struct tumble_faults *faults, const struct drawn *drawn,
                                  const struct tumble_function_request *request, struct tumble_function_answer *answer,
                                  struct tumble_error *err) {
    const struct tumble_emulated_function *inner = faults->inner;
    if (happens(faults, drawn, TUMBLE_FAULT_DUPLICATE)) {
        TW_TRY(inner->invoke(inner->ctx, request, answer, err));
    }
    return inner->invoke(inner->ctx, request, answer, err);
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *original,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct tumble_faults *faults = ctx;
    struct tumble_function_request request = *original;
    struct drawn drawn;
    for (int i = 0; i < TUMBLE_FAULT_COUNT; i++) {
        drawn.happens[i] = tw_seeded_fraction(&faults->random) < faults->probability[i];
        drawn.number[i] = tw_seeded_next(&faults->random);
    }
    answer->response = tumble_bytes_of(NULL);
    answer->duration_us = 0;
    if (happens(faults, &drawn, TUMBLE_FAULT_THROTTLE)) {
        answer->kind = TUMBLE_ANSWER_THROTTLED;
        return TUMBLE_OK;
    }
    if (happens(faults, &drawn, TUMBLE_FAULT_RECYCLE)) {
        TW_TRY(recycle(faults, request.slot, err));
    }
    if (happens(faults, &drawn, TUMBLE_FAULT_ERROR)) {
        answer->kind = TUMBLE_ANSWER_ERROR;
        return TUMBLE_OK;
    }
    int crashes = happens(faults, &drawn, TUMBLE_FAULT_CRASH);
    int crashes_first = crashes && drawn.number[TUMBLE_FAULT_CRASH] >> 63;
    if (!crashes_first) {
        skew(faults, &drawn, &request);
        TW_TRY(redeliver(faults, &drawn, &request, err));
        TW_TRY(run_inner(faults, &drawn, &request, answer, err));
    }
    if (crashes) {
        answer->kind = TUMBLE_ANSWER_CRASHED;
        return recycle(faults, request.slot, err);
    }
    if (happens(faults, &drawn, TUMBLE_FAULT_TIMEOUT)) {
        answer->kind = TUMBLE_ANSWER_TIMED_OUT;
        answer->duration_us = (original->deadline_ms - original->sent_ms) * 1000;
        return recycle(faults, request.slot, err);
    }
    if (happens(faults, &drawn, TUMBLE_FAULT_LOST)) {
        answer->kind = TUMBLE_ANSWER_LOST;
    }
    if (happens(faults, &drawn, TUMBLE_FAULT_SLOW)) {
        answer->duration_us += faults->parameter[TUMBLE_FAULT_SLOW] * 1000;
    }
    return TUMBLE_OK;
}

static enum tumble_code recycle_slot(void *ctx, uint32_t slot, struct tumble_error *err) {
    return recycle(ctx, slot, err);
}

void tumble_faults_wrap(struct tumble_faults *faults, const struct tumble_emulated_function *inner,
                        struct tumble_emulated_function *out) {
    faults->inner = inner;
    out->ctx = faults;
    out->invoke = invoke;
    out->recycle = recycle_slot;
}
