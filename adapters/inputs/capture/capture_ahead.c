#include "adapters/inputs/capture/capture_ahead.h"

#include <pthread.h>
#include <string.h>

#include <tumble/kpl.h>

#include "engine/base/fail.h"

enum {
    DEPTH = 8,              /* pieces that may be ahead of the reader */
    FEW = 4,                /* lines for which taking them at once did not pay */
    REST = 64,              /* records then looked at one by one */
    READ_BYTES = 128 * 1024 /* at once */
};

/* Who looks at a piece: a reader that has no input, but the piece. */
struct looker {
    struct looker *next;
    struct tw_capture_reader reader;
};

struct tw_ahead {
    struct tumble_alloc alloc;
    struct tw_block_pool *pool; /* the reader's thread's */
    struct tumble_ahead_options options;
    struct tw_ahead_piece *current; /* whose records the reader gives out */
    struct tw_ahead_piece *used;    /* records of these were given out */
    struct tw_ahead_piece *sealed;
    struct tw_ahead_piece *free;
    /* Where no value is open. */
    char top[TW_ELEMENTS_STATE];
    size_t top_length;

    pthread_mutex_t lock; /* of what follows, and of every queued piece's state */
    pthread_cond_t changed;
    struct tw_ahead_piece *first; /* queued, in the order of the input */
    struct tw_ahead_piece *last;
    size_t queued;
    bool reading; /* somebody does: source, carry and begins are that one's */
    bool ended;   /* the last piece was read, or there is no input */
    struct looker *lookers;

    struct tw_capture_reader *reader; /* of the input at hand: its source */
    struct tumble_bytes begins;       /* of the next piece */
    size_t carried;
    char carry[]; /* what the piece before was cut in front of: at most half a block */
};

/* ---- making one ---- */

struct tw_ahead *tw_ahead_new(struct tumble_alloc alloc, struct tw_block_pool *pool,
                              const struct tumble_ahead_options *options) {
    struct tw_ahead *ahead = tw_alloc_zero(&alloc, sizeof *ahead + pool->block_bytes / 2);
    if (!ahead) {
        return NULL;
    }
    ahead->alloc = alloc;
    ahead->pool = pool;
    ahead->options = *options;
    ahead->ended = true;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    return ahead;
}

static void destroy_pieces(const struct tw_ahead *ahead, struct tw_ahead_piece *list) {
    while (list) {
        struct tw_ahead_piece *next = list->next;
        tw_block_pool_give(ahead->pool, list->block);
        tw_block_pool_clean_up(&list->pool);
        tw_free(&ahead->alloc, list->records);
        tw_free(&ahead->alloc, list->shorts);
        tw_free(&ahead->alloc, list->lines);
        tw_free(&ahead->alloc, list->alike);
        tw_free(&ahead->alloc, list->alike_begins);
        tw_free(&ahead->alloc, list->runs);
        tw_free(&ahead->alloc, list);
        list = next;
    }
}

static void destroy_lookers(struct tw_ahead *ahead) {
    while (ahead->lookers) {
        struct looker *looker = ahead->lookers;
        ahead->lookers = looker->next;
        tw_capture_reader_clean_up(&looker->reader);
        tw_free(&ahead->alloc, looker);
    }
}

void tw_ahead_destroy(struct tw_ahead *ahead) {
    if (!ahead) {
        return;
    }
    destroy_pieces(ahead, ahead->current);
    destroy_pieces(ahead, ahead->first);
    destroy_pieces(ahead, ahead->used);
    destroy_pieces(ahead, ahead->sealed);
    destroy_pieces(ahead, ahead->free);
    destroy_lookers(ahead);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    struct tumble_alloc alloc = ahead->alloc;
    tw_free(&alloc, ahead);
}

static struct looker *new_looker(struct tw_ahead *ahead) {
    const struct tw_capture_reader *reader = ahead->reader;
    struct looker *looker = tw_alloc_zero(&ahead->alloc, sizeof *looker);
    if (!looker) {
        return NULL;
    }
    tw_capture_reader_init(&looker->reader, reader->options, ahead->pool, reader->input);
    looker->reader.opened = true;
    looker->reader.bounded = true;
    looker->reader.format = reader->format;
    if (tw_capture_reader_elements(&looker->reader, NULL) != TUMBLE_OK) {
        tw_capture_reader_clean_up(&looker->reader);
        tw_free(&ahead->alloc, looker);
        return NULL;
    }
    return looker;
}

bool tw_ahead_begin(struct tw_ahead *ahead, struct tw_capture_reader *reader) {
    pthread_mutex_lock(&ahead->lock);
    destroy_lookers(ahead); /* of another input, perhaps of another format */
    ahead->reader = reader;
    struct looker *looker = new_looker(ahead);
    if (looker) {
        ahead->lookers = looker;
        ahead->top_length = tw_elements_save(looker->reader.elements, ahead->top);
        ahead->begins.data = NULL;
        ahead->begins.length = 0;
        ahead->carried = 0;
        ahead->ended = false;
        reader->source.stopping = NULL; /* that is not for any thread */
        reader->ahead = ahead;
    }
    pthread_mutex_unlock(&ahead->lock);
    return looker != NULL;
}

void tw_ahead_end(struct tw_ahead *ahead) {
    if (ahead->current) {
        ahead->current->next = ahead->used;
        ahead->used = ahead->current;
        ahead->current = NULL;
    }
}

/* ---- looking at a piece ---- */

/* Room for one more. */
static bool grow(const struct tumble_alloc *alloc, void **array, size_t count, size_t *capacity, size_t item,
                 size_t more) {
    if (count + more <= *capacity) {
        return true;
    }
    size_t wanted = *capacity ? *capacity * 2 : 256;
    while (wanted < count + more) {
        wanted *= 2;
    }
    void *grown = tw_resize(alloc, *array, *capacity * item, wanted * item);
    if (!grown) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* Payloads laid out alike. Returns how many were found. */
static size_t look_at_lines(struct tw_ahead *ahead, struct tw_capture_reader *reader, struct tw_ahead_piece *piece) {
    struct tumble_captured_lines lines;
    void *shorts = piece->shorts, *runs = piece->lines;
    lines.count = 0;
    const size_t begin = reader->begin;
    tw_capture_reader_lines(reader, &ahead->options.wish, &lines);
    const bool grown = lines.count && grow(&ahead->alloc, &shorts, piece->short_count, &piece->short_capacity,
                                           sizeof *piece->shorts, lines.count);
    piece->shorts = shorts;
    const bool room =
        grown && grow(&ahead->alloc, &runs, piece->line_count, &piece->line_capacity, sizeof *piece->lines, 1);
    piece->lines = runs;
    if (!room) {
        return 0;
    }
    memcpy(piece->shorts + piece->short_count, lines.records, lines.count * sizeof *lines.records);
    struct tw_ahead_lines *run = &piece->lines[piece->line_count++];
    run->begin = begin;
    run->first = piece->short_count;
    run->count = lines.count;
    run->newlines = tw_layout_newlines(&reader->payload_layout);
    piece->short_count += lines.count;
    tw_capture_reader_lines_taken(reader, lines.count);
    return lines.count;
}

/* Captured records laid out alike. False: there are none. */
static bool look_at_alike(struct tw_ahead *ahead, struct tw_capture_reader *reader, struct tw_ahead_piece *piece) {
    struct tumble_captured_alike found;
    void *alike = piece->alike, *begins = piece->alike_begins, *runs = piece->runs;
    tw_capture_reader_alike(reader, TUMBLE_ALIKE_MOST, &found);
    if (found.count == 0) {
        return false;
    }
    const bool room =
        grow(&ahead->alloc, &alike, piece->alike_count, &piece->alike_capacity, sizeof *piece->alike, found.count) &&
        grow(&ahead->alloc, &begins, piece->alike_count, &piece->alike_begins_capacity, sizeof *piece->alike_begins,
             found.count) &&
        grow(&ahead->alloc, &runs, piece->run_count, &piece->run_capacity, sizeof *piece->runs, 1);
    piece->alike = alike;
    piece->alike_begins = begins;
    piece->runs = runs;
    if (!room) {
        return false;
    }
    memcpy(piece->alike + piece->alike_count, found.records, found.count * sizeof *found.records);
    memcpy(piece->alike_begins + piece->alike_count, found.begins, found.count * sizeof *found.begins);
    tw_capture_reader_alike_taken(reader, found.count);
    piece->runs[piece->run_count++] =
        (struct tw_ahead_run){piece->alike_count, found.count, reader->begin, found.shard_id, found.newlines};
    piece->alike_count += found.count;
    return true;
}

static bool look_at_record(struct tw_ahead *ahead, struct tw_capture_reader *reader, struct tw_ahead_piece *piece) {
    struct tumble_error error;
    void *records = piece->records;
    const bool room =
        grow(&ahead->alloc, &records, piece->record_count, &piece->record_capacity, sizeof *piece->records, 1);
    piece->records = records;
    if (!room) {
        return false;
    }
    struct tw_ahead_record *found = &piece->records[piece->record_count];
    if (tw_capture_reader_find(reader, &found->record, &error) != TUMBLE_OK || reader->done) {
        return false;
    }
    found->begin = (size_t)found->record.offset;
    found->length = reader->begin - found->begin;
    if (tw_capture_reader_give(reader, &found->record, &error) != TUMBLE_OK) {
        return false;
    }
    found->newlines = tw_capture_reader_line(reader) - found->record.line;
    /* What may be an aggregate is for the reader, who takes it apart. */
    piece->record_count += !tumble_kpl_suspect(found->record.data);
    return true;
}

static void look_at(struct tw_ahead *ahead, struct looker *looker, struct tw_ahead_piece *piece) {
    struct tw_capture_reader *reader = &looker->reader;
    struct tw_block block = {.capacity = piece->length, .data = piece->text};
    reader->pool = &piece->pool;
    reader->block = &block;
    reader->begin = 0;
    reader->filled = piece->length;
    reader->counted = reader->newlines = reader->committed = 0;
    reader->records = 0;
    const bool lines = ahead->options.wish.most && reader->format == TUMBLE_CAPTURE_NDJSON;
    bool more = tw_elements_restore(reader->elements, piece->begins);
    for (size_t rest = 0, failures = 0; more; rest -= rest > 0) {
        if (lines && rest == 0) {
            failures++;
            while (look_at_lines(ahead, reader, piece) >= FEW) {
                failures = 0;
            }
            rest = failures < FEW ? 1 : REST;
        }
        while (look_at_alike(ahead, reader, piece)) {
        }
        more = reader->begin < reader->filled && look_at_record(ahead, reader, piece);
    }
    reader->block = NULL;
    reader->pool = ahead->pool;
}

/* ---- reading a piece ---- */

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* Is the byte at one that stands between two records, as they are mostly written? */
static bool is_between(const char *text, size_t at, size_t length, char *what) {
    *what = text[at];
    if (text[at] != ',' && text[at] != '\n') {
        return false;
    }
    size_t before = at, behind = at + 1;
    while (before > 0 && is_space(text[before - 1])) {
        before--;
    }
    while (behind < length && is_space(text[behind])) {
        behind++;
    }
    return before > 0 && text[before - 1] == '}' && behind < length && text[behind] == '{';
}

/* Where to cut: the rest goes to the next piece, of which *begins tells how it begins. */
static size_t cut(struct tw_ahead *ahead, const char *text, size_t length, struct tumble_bytes *begins) {
    const size_t most = ahead->pool->block_bytes / 2;
    const size_t low = length > most ? length - most : 1;
    const bool payloads = ahead->reader->format == TUMBLE_CAPTURE_NDJSON;
    for (size_t at = length; at-- > low;) {
        char what = text[at];
        if (payloads ? what == '\n' : is_between(text, at, length, &what)) {
            begins->data = what == '\n' ? ahead->top : ahead->reader->between;
            begins->length = what == '\n' ? ahead->top_length : ahead->reader->between_length;
            return at;
        }
    }
    begins->data = NULL;
    begins->length = 0;
    return length;
}

/* Fills the piece; nobody else is reading. */
static void read_piece(struct tw_ahead *ahead, struct tw_ahead_piece *piece) {
    struct tw_byte_source *source = &ahead->reader->source;
    char *const text = piece->block->data;
    const size_t capacity = ahead->pool->block_bytes;
    size_t length = ahead->carried;
    if (length) {
        memcpy(text, ahead->carry, length);
    }
    piece->begins = ahead->begins;
    while (length < capacity && !piece->last) {
        const size_t room = capacity - length;
        size_t got = 0;
        piece->code =
            tw_byte_source_read(source, text + length, room < READ_BYTES ? room : READ_BYTES, &got, &piece->error);
        piece->last = piece->code != TUMBLE_OK || got == 0;
        length += got;
    }
    piece->text = text;
    piece->length = piece->last ? length : cut(ahead, text, length, &ahead->begins);
    piece->raw_bytes = source->raw_bytes;
    piece->bytes = source->bytes;
    ahead->carried = length - piece->length;
    if (ahead->carried) {
        memcpy(ahead->carry, text + piece->length, ahead->carried);
    }
}

/* ---- work ---- */

/* The lock is held, but for the work. */
static bool work(struct tw_ahead *ahead) {
    struct tw_ahead_piece *piece = ahead->first;
    while (piece && piece->state != TW_AHEAD_EMPTY) {
        piece = piece->next;
    }
    if (!piece || ahead->ended || ahead->reading) {
        return false;
    }
    struct looker *looker = ahead->lookers;
    if (looker) {
        ahead->lookers = looker->next;
    }
    ahead->reading = true;
    piece->state = TW_AHEAD_TAKEN;
    pthread_mutex_unlock(&ahead->lock);
    read_piece(ahead, piece);
    if (!looker) {
        looker = new_looker(ahead);
    }
    pthread_mutex_lock(&ahead->lock);
    ahead->reading = false;
    ahead->ended = piece->last;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    if (looker && piece->begins.length) {
        look_at(ahead, looker, piece);
    }
    pthread_mutex_lock(&ahead->lock);
    if (looker) {
        looker->next = ahead->lookers;
        ahead->lookers = looker;
    }
    piece->state = TW_AHEAD_DONE;
    pthread_cond_broadcast(&ahead->changed);
    return true;
}

static bool has_empty(const struct tw_ahead *ahead) { return ahead->last && ahead->last->state == TW_AHEAD_EMPTY; }

bool tw_ahead_work(struct tw_ahead *ahead) {
    pthread_mutex_lock(&ahead->lock);
    while (ahead->reading && has_empty(ahead)) {
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    }
    const bool did = work(ahead);
    pthread_mutex_unlock(&ahead->lock);
    return did;
}

/* ---- the reader's side ---- */

static struct tw_ahead_piece *new_piece(struct tw_ahead *ahead) {
    struct tw_ahead_piece *piece = ahead->free;
    if (piece) {
        ahead->free = piece->next;
    } else {
        piece = tw_alloc_zero(&ahead->alloc, sizeof *piece);
        if (!piece) {
            return NULL;
        }
        tw_block_pool_init(&piece->pool, ahead->alloc, ahead->pool->block_bytes);
    }
    if (!piece->block) {
        piece->block = tw_block_pool_take(ahead->pool, ahead->pool->block_bytes);
    }
    if (!piece->block) {
        piece->next = ahead->free;
        ahead->free = piece;
        return NULL;
    }
    piece->next = NULL;
    piece->state = TW_AHEAD_EMPTY;
    piece->last = false;
    piece->record_count = piece->short_count = piece->line_count = piece->alike_count = piece->run_count = 0;
    piece->record_next = piece->line_next = piece->line_short = piece->run_next = piece->run_alike = 0;
    return piece;
}

static void queue(struct tw_ahead *ahead, struct tw_ahead_piece *piece) {
    if (ahead->last) {
        ahead->last->next = piece;
    } else {
        ahead->first = piece;
    }
    ahead->last = piece;
    ahead->queued++;
}

/* Sees to it that others have what to do. False: there is no memory for a single piece. */
static bool fill_queue(struct tw_ahead *ahead) {
    bool more = false;
    for (bool room = !ahead->ended && ahead->queued <= DEPTH / 2; room && ahead->queued < DEPTH;) {
        struct tw_ahead_piece *piece = new_piece(ahead);
        if (piece) {
            queue(ahead, piece);
        }
        more |= piece != NULL;
        room = piece != NULL;
    }
    if (more && ahead->options.more) {
        ahead->options.more(ahead->options.more_ctx);
    }
    return ahead->queued > 0;
}

/* The next piece of the input, looked at. */
static enum tumble_code next_piece(struct tw_ahead *ahead, struct tw_ahead_piece **out, struct tumble_error *err) {
    pthread_mutex_lock(&ahead->lock);
    if (!fill_queue(ahead)) {
        pthread_mutex_unlock(&ahead->lock);
        return tw_no_memory(err);
    }
    while (ahead->first->state != TW_AHEAD_DONE) {
        if (!work(ahead)) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
        }
    }
    struct tw_ahead_piece *piece = ahead->first;
    ahead->first = piece->next;
    ahead->queued--;
    if (!ahead->first) {
        ahead->last = NULL;
    }
    while (piece->last && ahead->first) { /* nothing came of them */
        struct tw_ahead_piece *empty = ahead->first;
        ahead->first = empty->next;
        empty->next = ahead->free;
        ahead->free = empty;
        ahead->queued--;
        ahead->last = ahead->first ? ahead->last : NULL;
    }
    pthread_mutex_unlock(&ahead->lock);
    *out = piece;
    return TUMBLE_OK;
}

/* Its text goes behind the reader's unread bytes: with none, as it is. */
static enum tumble_code append(struct tw_capture_reader *reader, struct tw_ahead_piece *piece, size_t want,
                               struct tumble_error *err) {
    const size_t unread = reader->filled - reader->begin;
    if (unread == 0) {
        tw_capture_reader_take_block(reader, piece->block);
        piece->block = NULL;
    } else if (reader->block->capacity - reader->filled < piece->length) {
        size_t room;
        if (!tw_add_ok(want > unread ? want : unread, piece->length, &room)) {
            return tw_no_memory(err);
        }
        TW_TRY(tw_capture_reader_move_on(reader, room, err));
    }
    piece->at = reader->filled;
    if (piece->block && piece->length) {
        memcpy(reader->block->data + reader->filled, piece->text, piece->length);
    }
    reader->filled += piece->length;
    return TUMBLE_OK;
}

enum tumble_code tw_ahead_fill(struct tw_capture_reader *reader, size_t want, struct tumble_error *err) {
    struct tw_ahead *const ahead = reader->ahead;
    while (!reader->at_end && reader->filled - reader->begin < want) {
        struct tw_ahead_piece *piece = ahead->current;
        if (piece && piece->code != TUMBLE_OK) { /* what was read before is not enough */
            if (err) {
                *err = piece->error;
            }
            return piece->code;
        }
        TW_TRY(next_piece(ahead, &piece, err));
        tw_ahead_end(ahead);
        ahead->current = piece;
        piece->next = NULL;
        TW_TRY(append(reader, piece, want, err));
        reader->raw_bytes = piece->raw_bytes;
        reader->bytes = piece->bytes;
        reader->at_end = piece->last && piece->code == TUMBLE_OK;
    }
    return TUMBLE_OK;
}

struct tw_ahead_piece *tw_ahead_current(const struct tw_capture_reader *reader, size_t *begin) {
    struct tw_ahead_piece *piece = reader->ahead->current;
    if (!piece || reader->begin < piece->at) {
        return NULL;
    }
    *begin = reader->begin - piece->at;
    return piece;
}

/* ---- memory ---- */

static void give_all(struct tw_ahead *ahead, struct tw_ahead_piece **list) {
    while (*list) {
        struct tw_ahead_piece *piece = *list;
        *list = piece->next;
        tw_block_pool_release(&piece->pool);
        piece->next = ahead->free;
        ahead->free = piece;
    }
}

void tw_ahead_release(struct tw_ahead *ahead) { give_all(ahead, &ahead->used); }

void tw_ahead_seal(struct tw_ahead *ahead) {
    give_all(ahead, &ahead->sealed);
    ahead->sealed = ahead->used;
    ahead->used = NULL;
}

void tw_ahead_release_sealed(struct tw_ahead *ahead) { give_all(ahead, &ahead->sealed); }
