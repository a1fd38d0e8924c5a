#include "adapters/inputs/capture/capture_ahead.h"

/* What was found in the piece that the reader is in: it goes on where the reader stands, or is of no use. */

const struct tw_ahead_record *tw_ahead_find(struct tw_capture_reader *reader) {
    size_t begin;
    struct tw_ahead_piece *piece = tw_ahead_current(reader, &begin);
    if (!piece) {
        return NULL;
    }
    size_t *const next = &piece->record_next;
    while (*next < piece->record_count && piece->records[*next].begin < begin) {
        (*next)++;
    }
    return *next < piece->record_count && piece->records[*next].begin == begin ? &piece->records[*next] : NULL;
}

static size_t end_of(const struct tw_ahead_piece *piece, const struct tumble_short_record *record) {
    return (size_t)(record->data.data + record->data.length - piece->text);
}

/* The run whose shorts from piece->line_short on begin where the reader stands. */
static const struct tw_ahead_lines *find_lines(struct tw_ahead_piece *piece, size_t begin) {
    for (; piece->line_next < piece->line_count; piece->line_next++, piece->line_short = 0) {
        const struct tw_ahead_lines *run = &piece->lines[piece->line_next];
        const struct tumble_short_record *shorts = piece->shorts + run->first;
        while (piece->line_short < run->count && end_of(piece, &shorts[piece->line_short]) <= begin) {
            piece->line_short++;
        }
        if (piece->line_short < run->count) {
            size_t stood = piece->line_short ? end_of(piece, &shorts[piece->line_short - 1]) : run->begin;
            return stood == begin ? run : NULL;
        }
    }
    return NULL;
}

bool tw_ahead_lines(struct tw_capture_reader *reader, size_t most, struct tumble_captured_lines *out) {
    if (reader->done || reader->format != TUMBLE_CAPTURE_NDJSON) {
        return false;
    }
    if (reader->begin == reader->filled && tw_ahead_fill(reader, 1, NULL) != TUMBLE_OK) {
        return false; /* it is told when a record is looked for */
    }
    size_t begin;
    struct tw_ahead_piece *piece = tw_ahead_current(reader, &begin);
    if (!piece) {
        return false;
    }
    const struct tw_ahead_lines *run = find_lines(piece, begin);
    piece->shown = out->count = 0;
    if (!run) {
        return piece->line_next < piece->line_count; /* what stands in front of them is for tumble_capture_next */
    }
    const size_t left = run->count - piece->line_short;
    out->records = piece->shorts + run->first + piece->line_short;
    out->count = piece->shown = left < most ? left : most;
    out->input = reader->input;
    out->number = reader->records + 1;
    const size_t first = (size_t)(out->records[0].data.data - piece->text);
    out->line = tw_capture_reader_line(reader) + (first > begin);
    out->offset = reader->block_offset + piece->at + first;
    return out->count > 0;
}

bool tw_ahead_lines_taken(struct tw_capture_reader *reader, size_t count) {
    size_t begin;
    struct tw_ahead_piece *piece = tw_ahead_current(reader, &begin);
    if (!piece || piece->shown == 0) {
        return false;
    }
    if (count > 0 && count <= piece->shown) {
        const struct tw_ahead_lines *run = &piece->lines[piece->line_next];
        const struct tumble_short_record *shorts = piece->shorts + run->first + piece->line_short;
        reader->begin = piece->at + end_of(piece, &shorts[count - 1]);
        reader->records += count;
        reader->newlines += count - 1 + (shorts[0].data.data > piece->text + begin) + count * run->newlines;
        reader->counted = reader->block_offset + reader->begin;
        reader->crossed = false;
        tw_capture_reader_commit(reader);
    }
    piece->shown = 0;
    return true;
}

/* A comma stands in front of each. */
static size_t place_of(const struct tw_ahead_piece *piece, size_t alike) {
    return (size_t)(piece->alike_begins[alike] - piece->text) - 1;
}

void tw_ahead_alike(struct tw_capture_reader *reader, size_t most, struct tumble_captured_alike *out) {
    size_t begin;
    struct tw_ahead_piece *piece = tw_ahead_current(reader, &begin);
    if (!piece || reader->done) {
        return;
    }
    while (piece->run_next < piece->run_count && piece->runs[piece->run_next].end <= begin) {
        piece->run_next++;
        piece->run_alike = 0;
    }
    if (piece->run_next == piece->run_count) {
        return;
    }
    const struct tw_ahead_run *const run = &piece->runs[piece->run_next];
    while (piece->run_alike < run->count && place_of(piece, run->first + piece->run_alike) < begin) {
        piece->run_alike++;
    }
    const size_t first = run->first + piece->run_alike, left = run->count - piece->run_alike;
    if (left == 0 || place_of(piece, first) != begin || !tw_elements_is_behind(reader->elements)) {
        return;
    }
    out->records = piece->alike + first;
    out->begins = piece->alike_begins + first;
    out->count = piece->shown = left < most ? left : most;
    out->shard_id = run->shard_id;
    out->input = reader->input;
    out->number = reader->records + 1;
    out->line = tw_capture_reader_line(reader);
    out->newlines = run->newlines;
    out->offset = reader->block_offset + reader->begin + 1;
}

void tw_ahead_alike_taken(struct tw_capture_reader *reader, size_t count) {
    size_t begin;
    struct tw_ahead_piece *piece = tw_ahead_current(reader, &begin);
    if (piece && count && count <= piece->shown) {
        const struct tw_ahead_run *const run = &piece->runs[piece->run_next];
        const size_t behind = piece->run_alike + count;
        const size_t end = behind < run->count ? place_of(piece, run->first + behind) : run->end;
        tw_capture_reader_pass(reader, piece->at + end, count, count * run->newlines);
        piece->shown = 0;
    }
}
