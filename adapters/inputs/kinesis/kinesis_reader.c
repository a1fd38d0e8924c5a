#include "adapters/inputs/kinesis/kinesis_stream.h"

#include <stdio.h>
#include <string.h>

#include <tumble/timestamp.h>

#include "adapters/aws/aws_text.h"
#include "adapters/inputs/kinesis/get_records_body.h"
#include "adapters/inputs/kinesis/kinesis_internal.h"
#include "engine/base/fail.h"
#include "engine/base/sequence.h"

/* One shard, read by polling. Where it stands is the sequence number of the last record given; the iterator is only a
 * shortcut to what follows, and another is got whenever it is in doubt.
 *
 * An iterator behind a record is asked for AT that record, which then comes once more and is dropped: so it shows when
 * the record, and what followed it, has aged out. */

enum {
    CALLS_PER_SECOND = 5,
    BYTES_PER_SECOND = 2 * 1024 * 1024,
    IDLE_MS = 1000,
    RESPONSE_BYTES = 64 * 1024 * 1024,
    ITERATOR_BYTES = 16 * 1024,
    BACKOFF_MS = 200,
    THROTTLED_MS = 500,
    BACKOFF_MOST_MS = 10000,
    DOUBTFUL_FAILURES = 2, /* in a row, of one iterator: a bad one is a 500 to some */
    LIMIT_STEPS = 16,
    RENEWALS_MOST = 3, /* in a row, without an answer to any */
    CLOCKS_APART_MS = 60000
};

struct tumble_kinesis_reader {
    struct tw_kinesis_base base;
    char shard_id[TUMBLE_KINESIS_ID];
    int most;  /* records of one answer; less than was asked for, once one was too large */
    int limit; /* less for a while after an answer that took too long: a slow line has to get on too */
    int64_t retention_ms;
    enum tumble_kinesis_start start;
    int64_t timestamp_ms;               /* of AT_TIMESTAMP, and of LATEST once it is known when that was; -1: none */
    char last[TUMBLE_KINESIS_SEQUENCE]; /* the record that the next ones follow, or (at_last) begin with */
    size_t last_length;
    bool at_last;           /* the record itself is wanted: it was asked for and not given yet */
    int64_t last_ms;        /* its arrival; -1: not known */
    int64_t read_until;     /* everything that arrived before has been read; wall clock, -1: not known */
    bool proving;           /* the next record should be last */
    struct tw_buf iterator; /* empty: to be got */
    struct tw_get_records found;
    bool ended;
    int64_t next_poll; /* steady */
    uint32_t failures; /* in a row */
    uint32_t renewals; /* in a row */
    int64_t failing_since;
    char trouble[TUMBLE_ERROR_TEXT];
    struct tumble_kinesis_gap gap;
    char gap_after[TUMBLE_KINESIS_SEQUENCE];
    struct tumble_kinesis_child children[TW_SHARD_CHILDREN];
    struct tumble_kinesis_reader_facts facts;
};

/* ---- opening ---- */

static enum tumble_code take_position(struct tumble_kinesis_reader *reader,
                                      const struct tumble_kinesis_position *position, struct tumble_error *err) {
    struct tumble_bytes digits;
    reader->start = position->start;
    reader->timestamp_ms = reader->last_ms = reader->read_until = -1;
    switch (position->start) {
    case TUMBLE_KINESIS_TRIM_HORIZON:
    case TUMBLE_KINESIS_LATEST: return TUMBLE_OK;
    case TUMBLE_KINESIS_AT_TIMESTAMP:
        if (position->timestamp_ms < 0 || position->timestamp_ms > TUMBLE_TIMESTAMP_MAX_MS) {
            return tw_fail(err, TUMBLE_ETIMESTAMP, "AT_TIMESTAMP: the time is before 1970 or after 9999");
        }
        reader->timestamp_ms = position->timestamp_ms;
        return TUMBLE_OK;
    case TUMBLE_KINESIS_AT_SEQUENCE_NUMBER:
    case TUMBLE_KINESIS_AFTER_SEQUENCE_NUMBER: break;
    default: return tw_fail(err, TUMBLE_EINVAL, "no such position");
    }
    TW_TRY(tw_sequence_check(position->sequence, &digits, err));
    memcpy(reader->last, digits.data, digits.length);
    reader->last_length = digits.length;
    reader->at_last = position->start == TUMBLE_KINESIS_AT_SEQUENCE_NUMBER;
    reader->last_ms = position->arrival_ms > 0 ? position->arrival_ms : -1;
    return TUMBLE_OK;
}

static enum tumble_code set_up(struct tumble_kinesis_reader *reader, const struct tumble_kinesis_stream *stream,
                               const char *shard_id, const struct tumble_kinesis_position *position, int limit,
                               struct tumble_error *err) {
    const struct tw_kinesis_base *of = tw_kinesis_stream_base(stream);
    if (!shard_id || !tw_kinesis_is_name(tumble_bytes_of(shard_id))) {
        return tw_fail(err, TUMBLE_EINVAL, "\"%.80s\" is no id of a shard", shard_id ? shard_id : "");
    }
    if (limit < 0 || limit > TUMBLE_KINESIS_RECORDS) {
        return tw_fail(err, TUMBLE_EINVAL, "a limit of %d records: 1 to %d are allowed", limit, TUMBLE_KINESIS_RECORDS);
    }
    memcpy(reader->shard_id, shard_id, strlen(shard_id) + 1);
    reader->limit = reader->most = limit ? limit : TUMBLE_KINESIS_RECORDS;
    reader->retention_ms = tw_kinesis_stream_retention_ms(stream);
    TW_TRY(take_position(reader, position, err));
    TW_TRY(tw_kinesis_base_init(&reader->base, &of->options, err));
    memcpy(reader->base.arn, of->arn, sizeof of->arn);
    reader->base.by_arn = of->by_arn;
    return TUMBLE_OK;
}

enum tumble_code tumble_kinesis_reader_open(const struct tumble_kinesis_stream *stream, const char *shard_id,
                                            const struct tumble_kinesis_position *position, int limit,
                                            struct tumble_kinesis_reader **out, struct tumble_error *err) {
    struct tumble_alloc alloc = tw_kinesis_stream_base(stream)->alloc;
    struct tumble_kinesis_reader *reader = tw_alloc_zero(&alloc, sizeof *reader);
    *out = NULL;
    if (!reader) {
        return tw_no_memory(err);
    }
    reader->base.alloc = alloc;
    tw_buf_init(&reader->iterator, alloc, ITERATOR_BYTES);
    tw_get_records_init(&reader->found, alloc);
    enum tumble_code code = set_up(reader, stream, shard_id, position, limit, err);
    if (code != TUMBLE_OK) {
        tumble_kinesis_reader_close(reader);
        return code;
    }
    *out = reader;
    return TUMBLE_OK;
}

void tumble_kinesis_reader_close(struct tumble_kinesis_reader *reader) {
    if (!reader) {
        return;
    }
    struct tumble_alloc alloc = reader->base.alloc;
    tw_kinesis_base_clean_up(&reader->base);
    tw_buf_clean_up(&reader->iterator);
    tw_get_records_clean_up(&reader->found);
    tw_free(&alloc, reader);
}

const char *tumble_kinesis_reader_shard(const struct tumble_kinesis_reader *reader) { return reader->shard_id; }

void tumble_kinesis_reader_facts(const struct tumble_kinesis_reader *reader, struct tumble_kinesis_reader_facts *out) {
    *out = reader->facts;
}

/* ---- failures ---- */

static struct tumble_bytes last_of(const struct tumble_kinesis_reader *reader) {
    return (struct tumble_bytes){reader->last, reader->last_length};
}

/* Nothing came, and may come later. */
static enum tumble_code trouble(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                                const struct tumble_error *why) {
    struct tw_kinesis_base *base = &reader->base;
    int64_t now = tw_kinesis_base_steady_ms(base);
    bool throttled = base->answer.kind == TW_AWS_THROTTLED;
    if (reader->failures++ == 0) {
        reader->failing_since = now;
    }
    int64_t wait_ms = tw_backoff_ms(throttled ? THROTTLED_MS : BACKOFF_MS, BACKOFF_MOST_MS, (int)reader->failures,
                                    base->host.random(base->host.ctx));
    wait_ms = wait_ms < BACKOFF_MS ? BACKOFF_MS : wait_ms;
    if (base->answer.retry_after_ms > wait_ms) {
        wait_ms = base->answer.retry_after_ms < BACKOFF_MOST_MS ? base->answer.retry_after_ms : BACKOFF_MOST_MS;
    }
    if (throttled) {
        reader->facts.throttles++;
    } else {
        reader->facts.failures++;
        if (reader->failures % DOUBTFUL_FAILURES == 0) {
            tw_buf_clear(&reader->iterator);
        }
    }
    reader->next_poll = now + wait_ms;
    snprintf(reader->trouble, sizeof reader->trouble, "%s", why->text);
    batch->trouble = reader->trouble;
    batch->throttled = throttled;
    batch->failures = reader->failures;
    batch->failing_for_ms = now - reader->failing_since;
    batch->next_poll_steady_ms = reader->next_poll;
    return TUMBLE_OK;
}

static enum tumble_code tell(const struct tumble_kinesis_reader *reader, enum tumble_code code,
                             struct tumble_error *err) {
    if (err) {
        tw_error_prefix(err, "%.40s", reader->shard_id);
    }
    return tw_kinesis_explain(&reader->base, code, err);
}

static enum tumble_code wrong_position(const struct tumble_kinesis_reader *reader, struct tumble_error *err) {
    struct tumble_error inner = *err;
    if (reader->last_length) {
        tw_fail(err, TUMBLE_EINPUT, "the position %.60s is none of this stream (was it deleted and made anew?): %.120s",
                reader->last, inner.text);
        return tell(reader, TUMBLE_EINPUT, err);
    }
    tw_fail(err, TUMBLE_EUSAGE, "%s: %.200s",
            reader->start == TUMBLE_KINESIS_AT_TIMESTAMP ? "the timestamp was refused (is it in the future?)"
                                                         : "the position was refused",
            inner.text);
    return tell(reader, TUMBLE_EUSAGE, err);
}

/* A call failed for good, or for now. err is filled. */
static enum tumble_code failed(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                               enum tumble_code code, struct tumble_error *err) {
    const struct tw_aws_answer *answer = &reader->base.answer;
    if (tw_kinesis_may_pass(&reader->base, code)) {
        return trouble(reader, batch, err);
    }
    if (code == TUMBLE_EREJECTED && tw_aws_answer_is(answer, "ResourceNotFoundException")) {
        tw_fail(err, TUMBLE_EINPUT, "the stream or its shard is gone: %.200s", answer->message);
        return tell(reader, TUMBLE_EINPUT, err);
    }
    return tell(reader, code, err);
}

/* ---- the iterator ---- */

/* The service's clock, not ours: what arrived since shall not be passed over. */
static int64_t service_time_ms(const struct tumble_kinesis_reader *reader) {
    struct tumble_bytes date;
    int64_t ms;
    return tw_aws_header(reader->base.client, "date", &date) && tw_http_date(date, &ms)
               ? ms
               : tw_kinesis_base_now_ms(&reader->base) - CLOCKS_APART_MS;
}

static struct tw_kinesis_iterator where(const struct tumble_kinesis_reader *reader) {
    struct tw_kinesis_iterator from = {.shard_id = reader->shard_id, .timestamp_ms = -1};
    if (reader->last_length) {
        from.type = "AT_SEQUENCE_NUMBER";
        from.sequence = last_of(reader);
    } else if (reader->timestamp_ms >= 0) {
        from.type = "AT_TIMESTAMP";
        from.timestamp_ms = reader->timestamp_ms;
    } else {
        from.type = reader->start == TUMBLE_KINESIS_LATEST ? "LATEST" : "TRIM_HORIZON";
    }
    return from;
}

static enum tumble_code get_iterator(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                                     struct tumble_error *err) {
    struct tw_kinesis_base *base = &reader->base;
    struct tw_kinesis_stream stream = tw_kinesis_base_stream(base);
    struct tw_kinesis_iterator from = where(reader);
    enum tumble_code code =
        tw_kinesis_get_iterator(base->client, &stream, &from, true, 0, &reader->iterator, &base->answer, err);
    if (code == TUMBLE_EREJECTED && (tw_aws_answer_is(&base->answer, "InvalidArgumentException") ||
                                     tw_aws_answer_is(&base->answer, "ValidationException"))) {
        return wrong_position(reader, err);
    }
    if (code != TUMBLE_OK) {
        return failed(reader, batch, code, err);
    }
    reader->facts.get_iterators++;
    reader->proving = reader->last_length > 0;
    if (reader->start == TUMBLE_KINESIS_LATEST && reader->timestamp_ms < 0 && !reader->last_length) {
        reader->timestamp_ms = service_time_ms(reader);
    }
    return TUMBLE_OK;
}

/* It expired, or is none that the service knows: another, unless that happens over and over. */
static bool renew(struct tumble_kinesis_reader *reader, enum tumble_code code) {
    const struct tw_aws_answer *answer = &reader->base.answer;
    if (code != TUMBLE_EREJECTED ||
        !(tw_aws_answer_is(answer, "ExpiredIteratorException") ||
          tw_aws_answer_is(answer, "InvalidArgumentException")) ||
        reader->renewals == RENEWALS_MOST) {
        return false;
    }
    reader->renewals++;
    reader->facts.renewals++;
    tw_buf_clear(&reader->iterator);
    return true;
}

/* ---- what came ---- */

/* What stands between the record that was to come and the one that came has aged out, unless nothing can have: all that
 * arrived until lately had been read. */
static void look_for_gap(struct tumble_kinesis_reader *reader, const struct tumble_kinesis_read *first, int64_t now,
                         struct tumble_kinesis_batch *batch) {
    int64_t until = reader->read_until > reader->last_ms ? reader->read_until : reader->last_ms;
    if (!reader->at_last && until >= 0 && until + reader->retention_ms - CLOCKS_APART_MS > now) {
        return;
    }
    memcpy(reader->gap_after, reader->last, reader->last_length);
    reader->gap = (struct tumble_kinesis_gap){
        .after = {reader->gap_after, reader->last_length},
        .before = first ? first->sequence_number : (struct tumble_bytes){NULL, 0},
        .after_ms = reader->last_ms,
        .before_ms = first ? first->arrival_ms : -1,
    };
    batch->gap = &reader->gap;
    reader->facts.gaps++;
}

/* Leaves out what was given before, and looks whether the record that proves the place is there. Returns the first of
 * the new ones. */
static size_t first_new(struct tumble_kinesis_reader *reader, int64_t now, struct tumble_kinesis_batch *batch) {
    const struct tw_get_records *found = &reader->found;
    struct tumble_bytes last = last_of(reader);
    size_t first = 0;
    bool met = false;
    while (first < found->count && last.length) {
        int order = tw_sequence_compare(found->records[first].sequence_number, last);
        met = met || order == 0;
        if (order > 0 || (order == 0 && reader->at_last)) {
            break;
        }
        first++;
    }
    bool over = found->next_iterator.length == 0;
    if (reader->proving && (met || first < found->count || over)) {
        reader->proving = false;
        if (!met) {
            look_for_gap(reader, first < found->count ? &found->records[first] : NULL, now, batch);
        }
    }
    return first;
}

static void tell_children(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch) {
    struct tw_get_records *found = &reader->found;
    for (size_t i = 0; i < found->child_count; i++) {
        const struct tw_shard_child *child = &found->children[i];
        reader->children[i] = (struct tumble_kinesis_child){
            .id = child->id,
            .parents = {child->parents[0], child->parents[1][0] ? child->parents[1] : NULL},
            .begin = child->begin,
            .end = child->end,
        };
    }
    batch->children = reader->children;
    batch->child_count = found->child_count;
}

static bool is_tip(const struct tumble_kinesis_reader *reader) {
    const struct tw_get_records *found = &reader->found;
    return found->next_iterator.length == 0 ||
           (found->millis_behind_latest == 0 && found->count < (size_t)reader->limit);
}

/* When the shard may be asked again: its limits of calls and of bytes, and patience where there is nothing to hurry
 * for. */
static int64_t next_poll(const struct tumble_kinesis_reader *reader, int64_t asked_at, int64_t answered_at) {
    const struct tumble_kinesis_options *options = &reader->base.options;
    const struct tw_get_records *found = &reader->found;
    int per_second = options->calls_per_second > 0 ? options->calls_per_second : CALLS_PER_SECOND;
    int64_t bytes_per_second = options->bytes_per_second ? options->bytes_per_second : BYTES_PER_SECOND;
    int64_t next = asked_at + (1000 + per_second - 1) / per_second;
    if (bytes_per_second > 0 && found->bytes) {
        int64_t until = asked_at + (int64_t)(found->bytes * 1000 / (uint64_t)bytes_per_second) + 1;
        next = until > next ? until : next;
    }
    if (is_tip(reader)) {
        int64_t idle = answered_at + (options->idle_ms > 0 ? options->idle_ms : IDLE_MS);
        next = idle > next ? idle : next;
    }
    return next;
}

static void remember(struct tumble_kinesis_reader *reader, int64_t now) {
    const struct tw_get_records *found = &reader->found;
    if (found->count) {
        const struct tumble_kinesis_read *last = &found->records[found->count - 1];
        int order = tw_sequence_compare(last->sequence_number, last_of(reader));
        if (order > 0 || (order == 0 && reader->at_last)) {
            memcpy(reader->last, last->sequence_number.data, last->sequence_number.length);
            reader->last_length = last->sequence_number.length;
            reader->last_ms = last->arrival_ms;
            reader->at_last = false;
        }
    } else if (found->millis_behind_latest == 0) {
        reader->read_until = now;
    }
}

static enum tumble_code take(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                             struct tumble_bytes body, struct tumble_error *err) {
    struct tw_get_records *found = &reader->found;
    int64_t now = tw_kinesis_base_now_ms(&reader->base);
    enum tumble_code code = tw_get_records_read(found, body, err);
    if (code == TUMBLE_ENOMEM) {
        return code;
    }
    if (code != TUMBLE_OK) {
        tw_error_prefix(err, "kinesis GetRecords: the answer is damaged");
        if (code == TUMBLE_EORDER) {
            return tell(reader, code, err);
        }
        reader->base.answer.kind = TW_AWS_TRANSIENT;
        return trouble(reader, batch, err);
    }
    tw_buf_clear(&reader->iterator);
    if (tw_buf_append(&reader->iterator, found->next_iterator.data, found->next_iterator.length) != TUMBLE_OK) {
        tw_buf_clear(&reader->iterator); /* got anew behind these records */
        if (found->next_iterator.length < ITERATOR_BYTES) {
            return tw_no_memory(err);
        }
    }
    size_t first = first_new(reader, now, batch);
    batch->records = found->count > first ? found->records + first : NULL;
    batch->count = found->count - first;
    batch->bytes = found->bytes;
    for (size_t i = 0; i < first; i++) {
        batch->bytes -= found->records[i].data.length + found->records[i].partition_key.length;
    }
    batch->asked = 1;
    batch->answered_ms = now;
    batch->at_tip = is_tip(reader);
    batch->millis_behind_latest = found->millis_behind_latest;
    remember(reader, now);
    reader->ended = found->next_iterator.length == 0;
    reader->facts.get_records++;
    reader->facts.records += batch->count;
    reader->facts.bytes += batch->bytes;
    reader->failures = 0;
    reader->renewals = 0;
    return TUMBLE_OK;
}

/* An answer too large: the same again with fewer records. */
static bool ask_for_less(struct tumble_kinesis_reader *reader) {
    if (reader->base.answer.failure != TW_HTTP_TOO_LARGE || reader->limit == 1) {
        return false;
    }
    reader->most = reader->limit /= 2;
    return true;
}

static void adapt_limit(struct tumble_kinesis_reader *reader, bool answered) {
    if (!answered && reader->base.answer.failure == TW_HTTP_TIMEOUT) {
        reader->limit = reader->limit / 2 > 0 ? reader->limit / 2 : 1;
    } else if (answered && reader->limit < reader->most) {
        reader->limit += reader->most / LIMIT_STEPS + 1;
        reader->limit = reader->limit < reader->most ? reader->limit : reader->most;
    }
}

static enum tumble_code get_records(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                                    struct tumble_error *err) {
    struct tw_kinesis_base *base = &reader->base;
    struct tw_kinesis_stream stream = tw_kinesis_base_stream(base);
    struct tumble_bytes body;
    int64_t most = base->options.max_response_bytes > 0 ? base->options.max_response_bytes : RESPONSE_BYTES;
    int64_t asked_at = tw_kinesis_base_steady_ms(base);
    enum tumble_code code = tw_kinesis_get_records(base->client, &stream, tw_buf_view(&reader->iterator), reader->limit,
                                                   (size_t)most, 0, &body, &base->answer, err);
    int64_t answered_at = tw_kinesis_base_steady_ms(base);
    batch->get_records_ms = answered_at - asked_at;
    if (renew(reader, code)) {
        batch->iterator_renewed = 1;
        reader->next_poll = answered_at;
        return TUMBLE_OK;
    }
    if (code == TUMBLE_ELIMIT && ask_for_less(reader)) {
        reader->next_poll = answered_at + BACKOFF_MS;
        return TUMBLE_OK;
    }
    if (code != TUMBLE_OK) {
        adapt_limit(reader, false);
        return failed(reader, batch, code, err);
    }
    TW_TRY(take(reader, batch, body, err));
    if (batch->asked) {
        reader->next_poll = next_poll(reader, asked_at, answered_at);
        adapt_limit(reader, true);
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_kinesis_reader_poll(struct tumble_kinesis_reader *reader, struct tumble_kinesis_batch *batch,
                                            struct tumble_error *err) {
    struct tumble_error local;
    memset(batch, 0, sizeof *batch);
    batch->millis_behind_latest = -1;
    batch->next_poll_steady_ms = reader->next_poll;
    err = err ? err : &local;
    if (reader->ended) {
        batch->is_end = 1;
        batch->millis_behind_latest = 0;
        tell_children(reader, batch);
        return TUMBLE_OK;
    }
    if (tw_kinesis_base_steady_ms(&reader->base) < reader->next_poll) {
        return TUMBLE_OK;
    }
    if (reader->iterator.length == 0) {
        TW_TRY(get_iterator(reader, batch, err));
        if (batch->trouble) {
            return TUMBLE_OK;
        }
    }
    TW_TRY(get_records(reader, batch, err));
    batch->next_poll_steady_ms = reader->next_poll;
    batch->is_end = reader->ended;
    if (reader->ended) {
        tell_children(reader, batch);
    }
    return TUMBLE_OK;
}
