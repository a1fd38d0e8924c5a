/* A long-lived process that is handed Lambda's Kinesis events and keeps its windows in an engine of its own. Here
 * events come line by line from standard input, and rows go to standard output. With a directory, what was committed is
 * there again after a crash, and an event that was not answered is given again: each of its records counts once.
 *
 *     cc hello_events.c -ltumble && ./a.out spec.json [STATE-DIRECTORY] < events.ndjson
 *
 * The spec says how long a window is (window.seconds), and an event is one line: jq -c . event.json */

#include <stdio.h>
#include <stdlib.h>

#include <tumble/event.h>

static enum tumble_code output_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    (void)how, (void)err;
    *self = stdout;
    return TUMBLE_OK;
}

static enum tumble_code output_write(void *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    (void)err;
    for (size_t i = 0; i < count; i++) {
        fprintf(self, "%.*s\n", (int)rows[i].json.length, rows[i].json.data);
        out[i] = (struct tumble_delivery){TUMBLE_DELIVERED, 0, NULL};
    }
    return TUMBLE_OK;
}

static enum tumble_code output_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)pending_done, (void)err;
    return fflush(self) == 0 ? TUMBLE_OK : TUMBLE_EOUTPUT;
}

static void output_close(void *self) { (void)self; }
static const struct tumble_output_api output = {.struct_size = sizeof output,
                                                .abi_version = TUMBLE_OUTPUT_ABI,
                                                .name = "hello",
                                                .open = output_open,
                                                .write = output_write,
                                                .flush = output_flush,
                                                .close = output_close};

struct over {
    struct tumble_shard *shard;
    int64_t until_ms;
};

static enum tumble_code close_over(void *ctx, struct tumble_shard *shard, int64_t start_ms) {
    const struct over *over = ctx;
    return shard == over->shard && start_ms <= over->until_ms ? tumble_shard_close(shard, start_ms, NULL) : TUMBLE_OK;
}

static enum tumble_code close_all(void *ctx, struct tumble_shard *shard, int64_t start_ms) {
    (void)ctx;
    return tumble_shard_close(shard, start_ms, NULL);
}

/* A window is over when it ends before the first record of an event of its shard. The last one would not do: should
 * this event be given again, its records have to find the windows they were counted in. Behind the commit it is
 * answered. */
static int take_event(struct tumble_engine *engine, struct tumble_bytes event, struct tumble_error *err) {
    struct tumble_bytes id;
    struct tumble_event_result result;
    struct over over;
    return tumble_event_shard_id(event, &id, err) || tumble_engine_shard(engine, id, &over.shard, err) ||
           tumble_shard_apply_event(over.shard, event, &result, err) ||
           (over.until_ms = result.first_arrival_ms - tumble_engine_window_ms(engine),
            tumble_engine_windows(engine, close_over, &over)) ||
           tumble_engine_commit(engine, err) || tumble_engine_drain(engine, err);
}

int main(int argc, char **argv) {
    static char text[1 << 16];
    struct tumble_error err = {.text = "usage: hello_events SPEC [STATE-DIRECTORY] < EVENTS"};
    struct tumble_spec *spec = NULL;
    struct tumble_engine *engine = NULL;
    struct tumble_engine_options options = {.source = tumble_bytes_of("hello")};
    struct tumble_output_open how = {.kind = TUMBLE_ROW_WINDOW};
    FILE *file = argc == 2 || argc == 3 ? fopen(argv[1], "rb") : NULL;
    struct tumble_bytes json = {text, file ? fread(text, 1, sizeof text, file) : 0};
    int failed = !file || tumble_spec_parse(json, NULL, options.alloc, &spec, &err) ||
                 (options.spec = how.spec = spec, options.state_directory = argc == 3 ? argv[2] : NULL,
                  tumble_engine_open(&options, &engine, &err)) ||
                 tumble_engine_attach(engine, "hello:", &output, &how, &err);
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t n; !failed && (n = getline(&line, &capacity, stdin)) > 0;) {
        failed = take_event(engine, (struct tumble_bytes){line, (size_t)n}, &err);
    }
    failed = failed || tumble_engine_windows(engine, close_all, NULL) || tumble_engine_commit(engine, &err) ||
             tumble_engine_drain(engine, &err) || tumble_engine_commit(engine, &err);
    free(line);
    tumble_engine_destroy(engine);
    tumble_spec_destroy(spec);
    if (file) {
        fclose(file);
    }
    return failed ? fprintf(stderr, "hello_events: %s\n", err.text), 1 : 0;
}
