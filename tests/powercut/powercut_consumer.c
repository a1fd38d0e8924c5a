/* A consumer of events that goes on where it was: state in a directory, its place in the input a note of that state,
 * rows in a file whose length is the output's checkpoint, and how many events it has acknowledged in another file.
 * It ends with 3 when something acknowledged is not there any more.
 *
 *     consumer SPEC STATE ROWS ACKNOWLEDGED WINDOW-SECONDS commit|none EVENTS-A-COMMIT plain|pipelined EVENTS */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tumble/event.h>

enum { SHARDS_MAX = 64, PIECE_BYTES = 64 << 10, SPEC_BYTES = 64 << 10, LOST = 3 };

struct rows {
    const char *path;
    int fd, is_durable;
    uint64_t length; /* of the file, as of the last flush */
    char *waiting;
    size_t waits, room;
};

struct open_window {
    struct tumble_shard *shard;
    int64_t start_ms;
};

struct place {
    uint64_t events, bytes; /* behind which the next event stands */
};

static struct rows the_rows;
static struct open_window windows[SHARDS_MAX];
static size_t window_count;

static void die(const char *what, const char *why, int code) {
    fprintf(stderr, "consumer: %s: %s\n", what, why);
    exit(code);
}

static void must(enum tumble_code code, const char *what, const struct tumble_error *error) {
    if (code != TUMBLE_OK) {
        die(what, error->text, 1);
    }
}

/* ---- rows ---- */

static enum tumble_code rows_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    struct rows *rows = &the_rows;
    struct stat status;
    (void)err;
    rows->fd = open(rows->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    rows->is_durable = how->durable;
    if (how->checkpoint.length == sizeof rows->length) {
        memcpy(&rows->length, how->checkpoint.data, sizeof rows->length);
    }
    if (rows->fd < 0 || fstat(rows->fd, &status) != 0) {
        die(rows->path, strerror(errno), 1);
    }
    if ((uint64_t)status.st_size < rows->length) {
        die(rows->path, "rows that were acknowledged are lost", LOST);
    }
    if (ftruncate(rows->fd, (off_t)rows->length) != 0) {
        die(rows->path, strerror(errno), 1);
    }
    *self = rows;
    return TUMBLE_OK;
}

static enum tumble_code rows_write(void *self, const struct tumble_row *given, size_t count,
                                   struct tumble_delivery *out, struct tumble_error *err) {
    struct rows *rows = self;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        size_t length = given[i].json.length;
        if (rows->waits + length + 1 > rows->room) {
            rows->room = 2 * (rows->waits + length + 1);
            rows->waiting = realloc(rows->waiting, rows->room);
            if (!rows->waiting) {
                die("rows", "no memory", 1);
            }
        }
        memcpy(rows->waiting + rows->waits, given[i].json.data, length);
        rows->waiting[rows->waits + length] = '\n';
        rows->waits += length + 1;
        out[i] = (struct tumble_delivery){TUMBLE_DELIVERED, 0, NULL};
    }
    return TUMBLE_OK;
}

static enum tumble_code rows_flush(void *self, int pending_done, struct tumble_error *err) {
    struct rows *rows = self;
    (void)pending_done;
    (void)err;
    for (size_t done = 0; done < rows->waits;) {
        ssize_t some = pwrite(rows->fd, rows->waiting + done, rows->waits - done, (off_t)(rows->length + done));
        if (some < 0) {
            die(rows->path, strerror(errno), 1);
        }
        done += (size_t)some;
    }
    rows->length += rows->waits;
    rows->waits = 0;
    if (rows->is_durable && fdatasync(rows->fd) != 0) {
        die(rows->path, strerror(errno), 1);
    }
    return TUMBLE_OK;
}

static size_t rows_checkpoint(void *self, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]) {
    memcpy(out, &((struct rows *)self)->length, sizeof the_rows.length);
    return sizeof the_rows.length;
}

static void rows_close(void *self) {
    struct rows *rows = self;
    if (rows) {
        close(rows->fd);
        free(rows->waiting);
        rows->waiting = NULL;
        rows->waits = rows->room = 0;
    }
}

static const struct tumble_output_api rows_output = {.struct_size = sizeof rows_output,
                                                     .abi_version = TUMBLE_OUTPUT_ABI,
                                                     .name = "rows",
                                                     .open = rows_open,
                                                     .write = rows_write,
                                                     .flush = rows_flush,
                                                     .checkpoint = rows_checkpoint,
                                                     .close = rows_close};

/* ---- events ---- */

static struct open_window *window_of(struct tumble_engine *engine, struct tumble_bytes id) {
    struct tumble_error error;
    struct tumble_shard *shard;
    must(tumble_engine_shard(engine, id, &shard, &error), "a shard", &error);
    for (size_t i = 0; i < window_count; i++) {
        if (windows[i].shard == shard) {
            return &windows[i];
        }
    }
    if (window_count == SHARDS_MAX) {
        die("a shard", "too many of them", 1);
    }
    windows[window_count] = (struct open_window){shard, -1};
    return &windows[window_count++];
}

static enum tumble_code found_open(void *ctx, struct tumble_shard *shard, int64_t start_ms) {
    struct open_window *window = window_of(ctx, tumble_shard_id(shard));
    if (window->start_ms >= 0) {
        die("the state", "two windows of a shard are open", LOST);
    }
    window->start_ms = start_ms;
    return TUMBLE_OK;
}

/* Whether a window is over with it: events are cut at windows. */
static int apply(struct tumble_engine *engine, struct tumble_bytes event) {
    struct tumble_error error;
    struct tumble_bytes id;
    struct tumble_event_result result = {0};
    must(tumble_event_shard_id(event, &id, &error), "an event's shard", &error);
    struct open_window *window = window_of(engine, id);
    must(tumble_shard_event_begin(window->shard, &error), "an event", &error);
    for (size_t at = 0, some; at < event.length; at += some) {
        some = event.length - at < PIECE_BYTES ? event.length - at : PIECE_BYTES;
        struct tumble_bytes piece = {event.data + at, some};
        must(tumble_shard_event_feed(window->shard, piece, at + some == event.length, NULL, &result, &error),
             "an event", &error);
    }
    if (result.fates[TUMBLE_FATE_APPLIED] != result.records) {
        die("an event", "not every record was applied", LOST);
    }
    int64_t window_ms = tumble_engine_window_ms(engine);
    int64_t start_ms = result.last_arrival_ms / window_ms * window_ms, before_ms = window->start_ms;
    if (start_ms == before_ms) {
        return 0;
    }
    if (before_ms >= 0) {
        must(tumble_shard_close(window->shard, before_ms, &error), "closing a window", &error);
    }
    window->start_ms = start_ms;
    return before_ms >= 0;
}

/* Rows of windows that a pipelined commit closes go out in front of the next one. */
static void commit(struct tumble_engine *engine, int pipelined, int closes) {
    static int closed;
    struct tumble_error error;
    if (closed) {
        must(tumble_engine_drain(engine, &error), "rows", &error);
    }
    must((pipelined ? tumble_engine_commit_start : tumble_engine_commit)(engine, &error), "a commit", &error);
    closed = pipelined && closes;
    if (closes && !closed) {
        must(tumble_engine_drain(engine, &error), "rows", &error);
    }
}

static struct tumble_bytes contents(const char *path) {
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        die(path, strerror(errno), 1);
    }
    char *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        die(path, strerror(errno), 1);
    }
    close(fd);
    return (struct tumble_bytes){bytes, (size_t)status.st_size};
}

static void acknowledge(int fd, uint64_t events) {
    if (pwrite(fd, &events, sizeof events, 0) != (ssize_t)sizeof events) {
        die("acknowledging", strerror(errno), 1);
    }
}

/* The place of the state, which is not in front of what was acknowledged. */
static struct place resume(struct tumble_engine *engine, int acknowledged_fd) {
    struct place place = {0, 0};
    uint64_t acknowledged = 0;
    struct tumble_bytes note = tumble_engine_note(engine, "place");
    if (note.length == sizeof place) {
        memcpy(&place, note.data, sizeof place);
    }
    if (pread(acknowledged_fd, &acknowledged, sizeof acknowledged, 0) == (ssize_t)sizeof acknowledged &&
        acknowledged > place.events) {
        die("the state", "an event that was acknowledged is lost", LOST);
    }
    if (tumble_engine_windows(engine, found_open, engine) != TUMBLE_OK) {
        die("the state", "its windows cannot be told", 1);
    }
    return place;
}

static void consume(struct tumble_engine *engine, struct tumble_bytes input, int acknowledged_fd, uint64_t every,
                    int pipelined) {
    struct tumble_error error;
    struct place place = resume(engine, acknowledged_fd);
    uint64_t committed = place.events;
    int closes = 0;
    while (place.bytes < input.length) {
        const char *at = input.data + place.bytes, *end = memchr(at, '\n', input.length - place.bytes);
        if (!end) {
            die("the input", "it ends within an event", 1);
        }
        closes |= apply(engine, (struct tumble_bytes){at, (size_t)(end - at)});
        place.events++;
        place.bytes += (uint64_t)(end - at) + 1;
        struct tumble_bytes note = {(const char *)&place, sizeof place};
        must(tumble_engine_set_note(engine, "place", note, &error), "a note", &error);
        if (place.events % every == 0) {
            commit(engine, pipelined, closes);
            /* Where one commit was started the one before it is durable. */
            acknowledge(acknowledged_fd, pipelined ? committed : place.events);
            committed = place.events;
            closes = 0;
        }
    }
    for (size_t i = 0; i < window_count; i++) {
        must(tumble_shard_close(windows[i].shard, windows[i].start_ms, &error), "closing a window", &error);
    }
    commit(engine, 0, 1);
    commit(engine, 0, 0);
    acknowledge(acknowledged_fd, place.events);
}

int main(int argc, char **argv) {
    struct tumble_error error;
    struct tumble_alloc alloc = {0};
    struct tumble_spec *spec;
    struct tumble_engine *engine;
    static char text[SPEC_BYTES];
    if (argc != 10) {
        die("usage", "SPEC STATE ROWS ACKNOWLEDGED WINDOW commit|none EVERY plain|pipelined EVENTS", 2);
    }
    FILE *file = fopen(argv[1], "re");
    if (!file || fread(text, 1, sizeof text - 1, file) == 0) {
        die(argv[1], "cannot be read", 2);
    }
    fclose(file);
    the_rows.path = argv[3];
    must(tumble_spec_parse(tumble_bytes_of(text), NULL, alloc, &spec, &error), "the spec", &error);
    int durable = strcmp(argv[6], "commit") == 0;
    struct tumble_engine_options options = {.spec = spec,
                                            .source = tumble_bytes_of("events"),
                                            .window_seconds = strtol(argv[5], NULL, 10),
                                            .state_directory = argv[2],
                                            .durability = durable ? TUMBLE_DURABILITY_COMMIT : TUMBLE_DURABILITY_NONE,
                                            .verify = 1};
    must(tumble_engine_open(&options, &engine, &error), "the state", &error);
    struct tumble_output_open how = {
        .struct_size = sizeof how, .kind = TUMBLE_ROW_WINDOW, .spec = spec, .durable = durable};
    must(tumble_engine_attach(engine, "rows:", &rows_output, &how, &error), "the rows", &error);
    int acknowledged_fd = open(argv[4], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (acknowledged_fd < 0) {
        die(argv[4], strerror(errno), 1);
    }
    consume(engine, contents(argv[9]), acknowledged_fd, strtoul(argv[7], NULL, 10), strcmp(argv[8], "pipelined") == 0);
    close(acknowledged_fd);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    return 0;
}
