#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/live_share.h"

/* What the state keeps of leases, a line each: which table's group they are of, under which one it has a shard, and the
 * shard's fragments. */

enum { LINE = TUMBLE_KINESIS_ID + TUMBLE_LEASE_OWNER + 2 * TUMBLE_LEASE_NAME + 96 };

enum tumble_code tumble_live_share_note(struct live *live, struct tumble_error *err) {
    if (!live->share) {
        return TUMBLE_OK;
    }
    size_t lines = 2;
    for (size_t i = 0; i < live->shard_count; i++) {
        lines += 1 + live->shards[i]->fragment_count;
    }
    char *text = tumble_runner_alloc_raw(lines * LINE);
    if (!text) {
        return tumble_live_no_memory(err);
    }
    size_t length = 0;
    length += (size_t)snprintf(text, LINE, "group %s\n", live->lease_group);
    for (size_t i = 0; i < live->shard_count; i++) {
        const struct live_shard *shard = live->shards[i];
        if (!shard->lease || !shard->local_owner[0]) {
            continue;
        }
        length += (size_t)snprintf(text + length, LINE, "lease %s %" PRIu64 " %s\n", shard->id, shard->local_term,
                                   shard->local_owner);
        for (size_t f = 0; f < shard->fragment_count; f++) {
            const struct live_fragment *fragment = &shard->fragments[f];
            length += (size_t)snprintf(text + length, LINE, "%s %s %" PRId64 " %s %s\n",
                                       fragment->cut.is_delivered ? "delivered"
                                       : fragment->is_closed      ? "closed"
                                                                  : "expected",
                                       shard->id, fragment->cut.start_ms, fragment->cut.first, fragment->cut.last);
        }
    }
    enum tumble_code code = tumble_engine_set_note(live->engine, "leases", tumble_bytes_of(text), err);
    tumble_runner_free(text);
    return code;
}

/* Up to five words of a line that ends at *stop; the fifth takes the rest. */
static int split_line(char *line, char *words[5]) {
    int count = 0;
    for (char *at = line; *at && count < 5;) {
        words[count++] = at;
        char *space = count < 5 ? strchr(at, ' ') : NULL;
        if (!space) {
            break;
        }
        *space = '\0';
        at = space + 1;
    }
    return count;
}

static enum tumble_code resume_line(struct live *live, char *line, struct tumble_error *err) {
    char *words[5];
    int count = split_line(line, words);
    if (count == 2 && strcmp(words[0], "group") == 0) {
        snprintf(live->lease_group, sizeof live->lease_group, "%s", words[1]);
        return TUMBLE_OK;
    }
    struct live_shard *shard = count >= 4 ? tumble_live_shard(live, words[1]) : NULL;
    if (count < 4) {
        return tumble_runner_fail(err, TUMBLE_ECORRUPT,
                                  "the state's leases are damaged: restore it, or use another --state");
    }
    if (!shard) { /* nothing of it was read */
        enum tumble_code code = tumble_live_add_shard(live, words[1], &shard, err);
        if (code != TUMBLE_OK) {
            return code;
        }
    }
    if (strcmp(words[0], "lease") == 0) {
        shard->local_term = strtoull(words[2], NULL, 10);
        if (count == 5) { /* a name with blanks */
            words[4][-1] = ' ';
        }
        snprintf(shard->local_owner, sizeof shard->local_owner, "%s", words[3]);
        return TUMBLE_OK;
    }
    struct live_fragment *fragment = count == 5 ? tumble_live_add_fragment(shard) : NULL;
    if (!fragment) {
        return tumble_live_no_memory(err);
    }
    fragment->cut.start_ms = strtoll(words[2], NULL, 10);
    snprintf(fragment->cut.first, sizeof fragment->cut.first, "%s", words[3]);
    snprintf(fragment->cut.last, sizeof fragment->cut.last, "%s", words[4]);
    fragment->cut.is_delivered = strcmp(words[0], "delivered") == 0;
    fragment->is_closed = strcmp(words[0], "expected") != 0;
    return TUMBLE_OK;
}

enum tumble_code tumble_live_share_resume(struct live *live, struct tumble_error *err) {
    struct tumble_bytes note = tumble_engine_note(live->engine, "leases");
    const char *at = note.data, *end = at + note.length;
    enum tumble_code code = TUMBLE_OK;
    while (at < end && code == TUMBLE_OK) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = stop ? (size_t)(stop - at) : (size_t)(end - at);
        char line[LINE];
        if (length >= sizeof line) {
            length = sizeof line - 1;
        }
        memcpy(line, at, length);
        line[length] = '\0';
        code = resume_line(live, line, err);
        at += length + 1;
    }
    return code;
}
