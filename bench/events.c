/* tumble-events: the engine as a long-lived process has it. Events of a time window, one a line, come in through
 * read(); after each one (or each N) the state is committed and a response made; rows of windows that are over are
 * written. Prints its figures as one line of JSON.
 *
 * A consumer that keeps its own state ("apply"): an event goes to tumble_shard_event_feed in pieces, and the engine
 * keeps windows in memory or in a state directory. A Lambda handler ("invoke"): the whole event with its state goes in,
 * the response with the next state comes out, and the state travels on in the next event. */

#define _GNU_SOURCE /* memmem, sched_getaffinity */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tumble/event.h>
#include <tumble/invoke.h>

#include "adapters/outputs/file/file_output.h"
#include "bench/command_line.h"

enum {
    PIECE_BYTES = 256 << 10, /* read at a time: with what is made of it, less than half of an L2 cache */
    EVENT_BYTES_MAX = 16 << 20,
    SHARDS_MAX = 1024,
    SPEC_BYTES_MAX = 1 << 20
};

struct open_window {
    struct tumble_shard *shard;
    struct tumble_bytes id; /* the shard's */
    int64_t start_ms;       /* -1: none yet */
};

struct run {
    const char *path, *state_directory, *rows_path, *spec_text;
    enum tumble_durability durability;
    int invokes, preloads, pipelines, shares_processor;
    int64_t window_ms;
    double events_per_second; /* 0: one after the other */
    unsigned long commit_every, skip_events;

    struct tumble_spec *spec;
    struct tumble_engine *engine;
    struct open_window windows[SHARDS_MAX];
    size_t window_count;

    int in;
    char *buffer; /* unread bytes: begin … end */
    size_t begin, end, capacity;
    int at_end;
    size_t *line_ends, line_count; /* of a preloaded input */
    char *text;

    char response[64]; /* goes nowhere */
    int response_length;

    int awaits; /* the event before this one: it was applied and is being committed */
    double awaits_since;

    uint64_t record_total, events, commits, skipped_committed;
    double *event_us, *commit_us, *commit_bytes;
    size_t event_capacity, commit_capacity, bytes_capacity;
    uint64_t committed_before;
    int closing; /* the next commit closes windows */
    int closed;  /* the last one did, and their rows wait */
    double began, began_cpu;
};

static const char program[] = "tumble-events";
static struct run the_run = {.rows_path = "/dev/null", .window_ms = 60000, .commit_every = 1};

/* Ends what cannot go on. Rows of windows that the last commit closed wait for the next one, which does not come. */
static void give_up(void) {
    struct tumble_error error;
    if (the_run.closed) {
        the_run.closed = 0;
        if (tumble_engine_commit_finish(the_run.engine, &error) != TUMBLE_OK ||
            tumble_engine_drain(the_run.engine, &error) != TUMBLE_OK) {
            fprintf(stderr, "tumble-events: rows of windows that were closed are not delivered: %s\n", error.text);
        }
    }
    exit(1);
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "tumble-events: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    give_up();
}

static void must(enum tumble_code code, const char *what, const struct tumble_error *error) {
    if (code != TUMBLE_OK) {
        die(what, error->text);
    }
}

static void *memory(size_t bytes) {
    void *made = malloc(bytes);
    if (!made) {
        die("out of memory", NULL);
    }
    return made;
}

static double now_us(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static void note(double **list, size_t *capacity, uint64_t count, double value) {
    if (count >= *capacity) {
        *capacity = *capacity ? *capacity * 2 : 1024;
        *list = realloc(*list, *capacity * sizeof **list);
        if (!*list) {
            die("out of memory", NULL);
        }
    }
    (*list)[count] = value;
}

/* ---- rows ---- */

/* The output of tumble replay, but that rows get no further than the page cache, as those of handlers do. */
static enum tumble_code rows_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    struct tumble_output_open own = *how;
    own.durable = 0;
    return tumble_file_output.open(&own, self, err);
}

static void attach(struct run *run) {
    static struct tumble_output_api rows_output;
    struct tumble_error error;
    int fd = open(run->rows_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666); /* it begins anew */
    if (fd < 0) {
        die(run->rows_path, strerror(errno));
    }
    close(fd);
    rows_output = tumble_file_output;
    rows_output.open = rows_open;
    struct tumble_output_open how = {
        .struct_size = sizeof how, .kind = TUMBLE_ROW_WINDOW, .spec = run->spec, .target = run->rows_path};
    must(tumble_engine_attach(run->engine, "rows:", &rows_output, &how, &error), "cannot attach the rows", &error);
}

/* ---- input ---- */

/* More unread bytes, at least one; 0: the end. Views into the buffer do not survive. */
static int more(struct run *run, size_t at_most) {
    if (run->at_end) {
        return 0;
    }
    if (run->begin) {
        memmove(run->buffer, run->buffer + run->begin, run->end - run->begin);
        run->end -= run->begin;
        run->begin = 0;
    }
    if (run->end + at_most > run->capacity) {
        die("an event's text goes on and on", run->path);
    }
    ssize_t got = read(run->in, run->buffer + run->end, at_most);
    if (got < 0) {
        die(run->path, strerror(errno));
    }
    run->end += (size_t)got;
    run->at_end = got == 0;
    return got > 0;
}

static void open_input(struct run *run) {
    struct stat status;
    run->in = strcmp(run->path, "-") == 0 ? 0 : open(run->path, O_RDONLY | O_CLOEXEC);
    if (run->in < 0 || fstat(run->in, &status) != 0) {
        die(run->path, strerror(errno));
    }
    run->capacity = EVENT_BYTES_MAX + PIECE_BYTES;
    run->text = memory(EVENT_BYTES_MAX + PIECE_BYTES);
    if (!run->preloads) {
        /* Few pages: a record's bytes lie wherever read() left off. */
        if (posix_memalign((void **)&run->buffer, 2 << 20, run->capacity) != 0) {
            die("out of memory", NULL);
        }
        madvise(run->buffer, run->capacity, MADV_HUGEPAGE);
        return;
    }
    run->capacity = (size_t)status.st_size + 1;
    run->buffer = mmap(NULL, run->capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (run->buffer == MAP_FAILED) {
        die("out of memory", NULL);
    }
    madvise(run->buffer, run->capacity, MADV_HUGEPAGE);
    for (ssize_t got; (got = read(run->in, run->buffer + run->end, run->capacity - run->end)) > 0;) {
        run->end += (size_t)got;
    }
    run->at_end = 1;
    for (char *at = run->buffer, *end; (end = memchr(at, '\n', run->end - (size_t)(at - run->buffer))); at = end + 1) {
        if (run->line_count % 1024 == 0) {
            run->line_ends = realloc(run->line_ends, (run->line_count + 1024) * sizeof *run->line_ends);
            if (!run->line_ends) {
                die("out of memory", NULL);
            }
        }
        run->line_ends[run->line_count++] = (size_t)(end - run->buffer);
    }
}

/* ---- apply: a consumer with a state of its own ---- */

static struct open_window *window_of(struct run *run, struct tumble_bytes shard_id) {
    static size_t last;
    if (last < run->window_count && tumble_bytes_equal(run->windows[last].id, shard_id)) {
        return &run->windows[last];
    }
    for (last = 0; last < run->window_count; last++) {
        if (tumble_bytes_equal(run->windows[last].id, shard_id)) {
            return &run->windows[last];
        }
    }
    if (run->window_count == SHARDS_MAX) {
        die("too many shards", NULL);
    }
    struct tumble_error error;
    struct open_window *made = &run->windows[run->window_count++];
    must(tumble_engine_shard(run->engine, shard_id, &made->shard, &error), "no shard", &error);
    made->id = tumble_shard_id(made->shard);
    made->start_ms = -1;
    return made;
}

/* When the next event was to come: under open load its latency counts from there, not from when this came to it. */
static double intended(struct run *run) {
    double now = now_us(CLOCK_MONOTONIC);
    if (run->events_per_second <= 0 || run->events < run->skip_events) {
        return now;
    }
    double at = run->began + (double)(run->events - run->skip_events) / run->events_per_second * 1e6;
    while (now < at) {
        if (at - now > 200) { /* sleep, and turn the rest of the time */
            long ns = (long)((at - now - 100) * 1e3);
            struct timespec pause = {ns / 1000000000, ns % 1000000000};
            nanosleep(&pause, NULL);
        }
        now = now_us(CLOCK_MONOTONIC);
    }
    return at;
}

/* Rows of windows that the last commit closed; where that was only started, in front of the next one. */
static void deliver(struct run *run) {
    struct tumble_error error;
    if (run->closed) {
        run->closed = 0;
        must(tumble_engine_drain(run->engine, &error), "cannot deliver rows", &error);
    }
}

static void commit(struct run *run) {
    struct tumble_error error;
    deliver(run);
    double began = now_us(CLOCK_MONOTONIC);
    must((run->pipelines ? tumble_engine_commit_start : tumble_engine_commit)(run->engine, &error), "cannot commit",
         &error);
    note(&run->commit_us, &run->commit_capacity, run->commits, now_us(CLOCK_MONOTONIC) - began);
    struct tumble_counters counters;
    tumble_engine_counters(run->engine, &counters);
    note(&run->commit_bytes, &run->bytes_capacity, run->commits++,
         (double)(counters.bytes_committed - run->committed_before));
    run->committed_before = counters.bytes_committed;
    run->closed = run->closing;
    run->closing = 0;
    if (!run->pipelines) {
        deliver(run);
    }
}

/* A window that is over: the next commit closes it, and its rows go out when that is durable. */
static void turn_window(struct run *run, struct open_window *window, int64_t start_ms) {
    struct tumble_error error;
    if (window->start_ms >= 0) {
        must(tumble_shard_close(window->shard, window->start_ms, &error), "cannot close a window", &error);
        run->closing = 1;
    }
    window->start_ms = start_ms;
}

/* The next line; no data: there is none. Where everything was read before, lines were found before, too. */
static struct tumble_bytes next_line(struct run *run) {
    size_t looked = 0;
    char *end = NULL;
    if (run->preloads) {
        end = run->events < run->line_count ? run->buffer + run->line_ends[run->events] : NULL;
    } else {
        while (!(end = memchr(run->buffer + run->begin + looked, '\n', run->end - run->begin - looked))) {
            looked = run->end - run->begin;
            if (!more(run, PIECE_BYTES)) {
                break;
            }
        }
    }
    if (!end) {
        if (run->begin < run->end) {
            die("the input ends within an event", run->path);
        }
        return tumble_bytes_of(NULL);
    }
    struct tumble_bytes event = {run->buffer + run->begin, (size_t)(end - run->buffer) - run->begin};
    run->begin = (size_t)(end - run->buffer) + 1;
    return event;
}

/* Is there another event? */
static int find_event(struct run *run) {
    for (;; run->begin++) {
        if (run->begin == run->end && !more(run, PIECE_BYTES)) {
            return 0;
        }
        if (run->buffer[run->begin] != '\n') {
            return 1;
        }
    }
}

static struct tumble_bytes unread(const struct run *run) {
    return (struct tumble_bytes){run->buffer + run->begin, run->end - run->begin};
}

/* Pieces go to the engine as read() brings them, always into the same few pages. */
static int apply_event(struct run *run) {
    struct tumble_error error;
    struct tumble_bytes id;
    struct tumble_event_result result;
    enum tumble_code code;
    if (!find_event(run)) {
        return 0;
    }
    while ((code = tumble_event_peek_shard_id(unread(run), run->at_end, &id, &error)) == TUMBLE_EMORE) {
        more(run, PIECE_BYTES);
    }
    must(code, "an event's shard", &error);
    struct open_window *window = window_of(run, id);
    must(tumble_shard_event_begin(window->shard, &error), "an event cannot be applied", &error);
    for (;; more(run, PIECE_BYTES)) {
        size_t consumed;
        must(tumble_shard_event_feed(window->shard, unread(run), run->at_end, &consumed, &result, &error),
             "an event cannot be applied", &error);
        run->begin += consumed;
        if (result.is_whole) {
            break;
        }
    }
    if (result.fates[TUMBLE_FATE_APPLIED] != result.records) {
        die("not every record was applied", NULL);
    }
    run->record_total += result.records;
    /* Events are cut at windows: the one before this event's is over. */
    int64_t start_ms = result.last_arrival_ms - result.last_arrival_ms % run->window_ms;
    if (start_ms != window->start_ms) {
        turn_window(run, window, start_ms);
    }
    return 1;
}

static void respond(struct run *run, uint64_t event, double began) {
    run->response_length = snprintf(run->response, sizeof run->response, "{\"batchItemFailures\":[]}");
    note(&run->event_us, &run->event_capacity, event, now_us(CLOCK_MONOTONIC) - began);
}

/* The commit of an event ends before that of the next one begins: by then the one before is durable. */
static void respond_before(struct run *run) {
    if (run->awaits) {
        run->awaits = 0;
        respond(run, run->events - 2, run->awaits_since);
    }
}

static void begin_figures(struct run *run) {
    struct tumble_error error;
    struct tumble_counters counters;
    commit(run);
    must(tumble_engine_commit_finish(run->engine, &error), "cannot commit", &error);
    tumble_engine_counters(run->engine, &counters);
    run->skipped_committed = counters.bytes_committed;
    run->commits = run->record_total = 0;
    run->began = now_us(CLOCK_MONOTONIC);
    run->began_cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
}

/* The thread that commits waits for the disk several times a commit, and is to go on as soon as it answers. It is done
 * by the time half of the next events are applied. */
static int has_one_processor(void) {
    cpu_set_t processors;
    return sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) == 1;
}

static void apply_all(struct run *run) {
    struct tumble_error error;
    for (double began = intended(run); apply_event(run); began = intended(run)) {
        if (run->shares_processor && run->events % run->commit_every * 2 < run->commit_every) {
            sched_yield();
        }
        run->events++;
        if (run->events % run->commit_every == 0) {
            commit(run);
        }
        if (run->pipelines) {
            respond_before(run);
            run->awaits = 1;
            run->awaits_since = began;
        } else {
            respond(run, run->events - 1, began);
        }
        if (run->events == run->skip_events) { /* what the figures are of begins here */
            begin_figures(run);
        }
    }
    if (run->skip_events && run->events <= run->skip_events) {
        fprintf(stderr, "tumble-events: --skip-events %lu leaves nothing to measure: only %llu events in %s\n",
                run->skip_events, (unsigned long long)run->events, run->path);
        give_up();
    }
    for (size_t i = 0; i < run->window_count; i++) {
        turn_window(run, &run->windows[i], -1);
    }
    commit(run);
    must(tumble_engine_commit_finish(run->engine, &error), "cannot commit", &error);
    if (run->awaits) {
        respond(run, run->events - 1, run->awaits_since);
    }
    commit(run); /* and what was acknowledged */
    must(tumble_engine_commit_finish(run->engine, &error), "cannot commit", &error);
}

/* ---- invoke: Lambda's handler; this plays Lambda ---- */

struct carried {
    char *state;
    size_t length, capacity;
    char window[256]; /* the text from "window" to before isFinalInvokeForWindow, of the event before */
    size_t window_length;
    char shard[64]; /* whose state it is: the text from "shardId" to the comma behind it */
    size_t shard_length;
};

static void keep_state(struct carried *carried, struct tumble_bytes response) {
    static const char before[] = "{\"state\":", behind[] = ",\"batchItemFailures\":[";
    size_t length = response.length - (sizeof before - 1) - (sizeof behind + 1);
    if (length > carried->capacity) {
        carried->capacity = 2 * length;
        carried->state = realloc(carried->state, carried->capacity);
        if (!carried->state) {
            die("out of memory", NULL);
        }
    }
    memcpy(carried->state, response.data + sizeof before - 1, length);
    carried->length = length;
}

static void invoke(struct run *run, const char *event, size_t length, struct carried *carried) {
    struct tumble_invoked out;
    struct tumble_error error;
    must(tumble_engine_invoke(run->engine, (struct tumble_bytes){event, length}, &out, &error), "invocation", &error);
    run->record_total += out.records;
    if (!out.is_final) {
        keep_state(carried, out.response);
    }
}

static void final(struct run *run, struct carried *carried) {
    if (!carried->window_length) {
        return;
    }
    size_t room = carried->length + carried->window_length + 256;
    char *text = memory(room), *at = text;
    at += snprintf(text, room,
                   "{\"Records\":[],%.*s\"isFinalInvokeForWindow\":true,\"isWindowTerminatedEarly\":false,\"state\":",
                   (int)carried->window_length, carried->window);
    memcpy(at, carried->state, carried->length);
    at += carried->length;
    *at++ = '}';
    invoke(run, text, (size_t)(at - text), carried);
    free(text);
}

/* The event of the next line, `"state":{}}` at its end left out; NULL: no more. */
static char *next_event(struct run *run, size_t *length) {
    struct tumble_bytes line = next_line(run);
    if (!line.data) {
        return NULL;
    }
    if (line.length < 11 || memcmp(line.data + line.length - 3, "{}}", 3) != 0) {
        die("an event without a window: generate with --window", run->path);
    }
    *length = line.length - 3;
    return run->buffer + (line.data - run->buffer);
}

/* One state is carried, so there may be one shard only. window: the text from "window" to before
 * isFinalInvokeForWindow. */
static void check_shard(struct run *run, struct carried *carried, const char *window, size_t length) {
    const char *shard = memmem(window, length, "\"shardId\":", 10);
    const char *behind = shard ? memchr(shard, ',', length - (size_t)(shard - window)) : NULL;
    size_t shard_length = behind ? (size_t)(behind - shard) : 0;
    if (!shard_length || shard_length > sizeof carried->shard) {
        die("an event without a shardId", run->path);
    }
    if (!carried->shard_length) {
        memcpy(carried->shard, shard, shard_length);
        carried->shard_length = shard_length;
    }
    if (shard_length != carried->shard_length || memcmp(shard, carried->shard, shard_length) != 0) {
        die("one shard at a time with --invoke: its state goes from event to event, and here are events of several",
            run->path);
    }
}

static void invoke_all(struct run *run) {
    struct carried carried = {0};
    char *event;
    size_t length;
    for (double began = now_us(CLOCK_MONOTONIC); (event = next_event(run, &length)); began = now_us(CLOCK_MONOTONIC)) {
        char *window = event + length - (length < 400 ? length : 400);
        window = memmem(window, (size_t)(event + length - window), "\"window\":", 9);
        char *behind = window ? memmem(window, (size_t)(event + length - window), "\"isFinal", 8) : NULL;
        if (!behind || (size_t)(behind - window) > sizeof carried.window) {
            die("an event without a window", run->path);
        }
        size_t window_length = (size_t)(behind - window);
        if (window_length != carried.window_length || memcmp(window, carried.window, window_length) != 0) {
            check_shard(run, &carried, window, window_length);
            final(run, &carried);
            memcpy(carried.window, window, window_length);
            carried.window_length = window_length;
            carried.length = 0;
        }
        if (run->preloads) { /* the line behind it lies there already */
            memcpy(run->text, event, length);
            event = run->text;
        }
        size_t room = carried.length ? carried.length : 2;
        if (!run->preloads && event + length + room + 1 > run->buffer + run->begin) {
            memcpy(run->text, event, length); /* where the next event has been read already */
            event = run->text;
        }
        memcpy(event + length, carried.length ? carried.state : "{}", room);
        event[length + room] = '}';
        invoke(run, event, length + room + 1, &carried);
        note(&run->event_us, &run->event_capacity, run->events++, now_us(CLOCK_MONOTONIC) - began);
    }
    final(run, &carried);
    free(carried.state);
}

/* ---- the whole ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_percentiles(const char *name, double *values, uint64_t count) {
    printf(",\"%s\":{", name);
    if (count) {
        qsort(values, count, sizeof *values, by_value);
        printf("\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f", values[count / 2],
               values[count * 9 / 10], values[count * 99 / 100], values[count * 999 / 1000], values[count - 1]);
    }
    printf("}");
}

static const char usage[] =
    "Usage: tumble-events [option]… EVENTS\n"
    "Time-window events, one a line (tumble-generate --format lambda --window SECONDS), through the engine.\n\n"
    "  --spec JSON|FILE     what to aggregate (needed)\n"
    "  --window SECONDS     as the generator had it (60)\n"
    "  --state DIR          keep the state there; else in memory\n"
    "  --durability D       commit (default) or none\n"
    "  --commit-every N     events a commit (1)\n"
    "  --pipelined          an event is read and applied while the one before it is being committed; its response\n"
    "                       goes out when its own commit is durable; where there is one processor, the thread that\n"
    "                       commits gets it between two events\n"
    "  --rows FILE          where rows go (/dev/null)\n"
    "  --preload            the whole input is in memory before time is taken\n"
    "  --invoke             as a Lambda handler: state comes with the event and goes with the response; one shard\n"
    "  --rate N             open load: an event each 1/N s; latencies count from when it was to come\n"
    "  --skip-events N      figures without the first N events\n\n"
    "Prints one line of JSON: seconds and processor seconds of the whole, percentiles in microseconds of an event\n"
    "(event_us) and a commit (commit_us), bytes of a commit. What is wrong with the options ends with exit code 2, "
    "all\n"
    "else that goes wrong with 1.\n";

/* What was given: JSON, or the name of a file of it. */
static const char *spec_of(const char *given) {
    FILE *file = given[strspn(given, " \t\r\n")] == '{' ? NULL : fopen(given, "re");
    if (!file) {
        if (given[strspn(given, " \t\r\n")] != '{') {
            fprintf(stderr, "tumble-events: --spec takes JSON or a file of it, not '%s'\n", given);
            exit(2);
        }
        return given;
    }
    char *text = memory(SPEC_BYTES_MAX + 1);
    size_t length = fread(text, 1, SPEC_BYTES_MAX + 1, file);
    if (ferror(file) || length > SPEC_BYTES_MAX) {
        die(length > SPEC_BYTES_MAX ? "--spec: more than a spec's bytes" : "--spec: cannot be read", given);
    }
    fclose(file);
    text[length] = '\0';
    return text;
}

static void read_options(struct run *run, int argc, char **argv) {
    static const struct option options[] = {{"spec", required_argument, NULL, 's'},
                                            {"window", required_argument, NULL, 'w'},
                                            {"state", required_argument, NULL, 'd'},
                                            {"durability", required_argument, NULL, 'D'},
                                            {"commit-every", required_argument, NULL, 'c'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"preload", no_argument, NULL, 'p'},
                                            {"invoke", no_argument, NULL, 'i'},
                                            {"pipelined", no_argument, NULL, 'P'},
                                            {"skip-events", required_argument, NULL, 'k'},
                                            {"rate", required_argument, NULL, 'R'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static const char *const durabilities[] = {"commit", "none", NULL};
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (option) {
        case 's': run->spec_text = optarg; break;
        case 'w': run->window_ms = (int64_t)command_whole(program, "--window", optarg, 1, 86400) * 1000; break;
        case 'd': run->state_directory = optarg; break;
        case 'D':
            run->durability = command_choice(program, "--durability", optarg, durabilities) ? TUMBLE_DURABILITY_NONE
                                                                                            : TUMBLE_DURABILITY_COMMIT;
            break;
        case 'c': run->commit_every = command_whole(program, "--commit-every", optarg, 1, UINT32_MAX); break;
        case 'r': run->rows_path = optarg; break;
        case 'p': run->preloads = 1; break;
        case 'i': run->invokes = 1; break;
        case 'P': run->pipelines = 1; break;
        case 'R': run->events_per_second = command_number(program, "--rate", optarg, 1e-3, 1e9); break;
        case 'k': run->skip_events = command_whole(program, "--skip-events", optarg, 0, UINT32_MAX); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: command_refuse(program, "wrong options");
        }
    }
    if (!run->spec_text) {
        command_refuse(program, "--spec is missing: what to aggregate");
    }
    if (optind + 1 != argc) {
        command_refuse(program, optind == argc ? "EVENTS is missing: a file, or - for standard input"
                                               : "takes one file of events, not several");
    }
    if (run->invokes && (run->skip_events || run->events_per_second > 0 || run->pipelines || run->state_directory)) {
        command_refuse(program, "--invoke goes without --state, --pipelined, --rate and --skip-events");
    }
    run->spec_text = spec_of(run->spec_text);
    run->path = argv[optind];
}

static void open_engine(struct run *run) {
    struct tumble_error error;
    struct tumble_alloc alloc = {0};
    must(tumble_spec_parse(tumble_bytes_of(run->spec_text), NULL, alloc, &run->spec, &error), "--spec", &error);
    struct tumble_engine_options options = {.spec = run->spec,
                                            .source = tumble_bytes_of("events"),
                                            .window_seconds = run->window_ms / 1000,
                                            .state_directory = run->state_directory,
                                            .durability = run->durability};
    struct tumble_carried_options carried = {.inline_state_limit = 4 << 20};
    must(run->invokes ? tumble_engine_open_carried(&options, &carried, &run->engine, &error)
                      : tumble_engine_open(&options, &run->engine, &error),
         "cannot open the engine", &error);
    run->shares_processor = run->pipelines && run->state_directory && has_one_processor();
    attach(run);
}

int main(int argc, char **argv) {
    struct run *run = &the_run;
    read_options(run, argc, argv);
    open_engine(run);
    open_input(run);
    run->began = now_us(CLOCK_MONOTONIC);
    run->began_cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
    (run->invokes ? invoke_all : apply_all)(run);
    double seconds = (now_us(CLOCK_MONOTONIC) - run->began) / 1e6;
    double cpu = (now_us(CLOCK_PROCESS_CPUTIME_ID) - run->began_cpu) / 1e6;
    struct tumble_counters counters;
    tumble_engine_counters(run->engine, &counters);
    printf("{\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"records\":%llu,\"events\":%llu,\"commits\":%llu,\"rows\":%llu,"
           "\"groups_peak\":%llu,\"bytes_committed\":%llu",
           seconds, cpu, (unsigned long long)run->record_total, (unsigned long long)run->events,
           (unsigned long long)run->commits, (unsigned long long)counters.rows,
           (unsigned long long)counters.groups_peak,
           (unsigned long long)(counters.bytes_committed - run->skipped_committed));
    print_percentiles("event_us", run->event_us + run->skip_events, run->events - run->skip_events);
    print_percentiles("commit_us", run->commit_us, run->commits);
    print_percentiles("commit_bytes", run->commit_bytes, run->commits);
    printf("}\n");
    tumble_engine_destroy(run->engine);
    tumble_spec_destroy(run->spec);
    return command_end(program);
}
