#include "emulator/runtime_api/process_function.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "emulator/runtime_api/sandbox.h"
#include "engine/base/alloc.h"
#include "engine/base/buf.h"
#include "engine/base/fail.h"

enum {
    SETTLE_MS = 1000,      /* to fetch the 202 for an answer */
    ERROR_LINGER_MS = 500, /* to write down why it cannot begin */
    DOCUMENT_SHOWN = 300,  /* bytes of an error's document */
    ARN_BYTES = 512
};

struct slot {
    struct tw_sandbox sandbox;
    bool begins_again; /* after a crash, a time-out or a failed beginning: inside the invocation */
    uint64_t served;   /* by this sandbox */
    int64_t since_ms;  /* virtual; of its first invocation */
};

struct tumble_process_function {
    struct tumble_process_options options;
    struct tumble_alloc alloc;
    struct tw_sandbox_kind kind;
    struct tumble_event_writer *writer;
    struct tw_buf answer; /* the last one: it outlives its sandbox */
    struct slot **slots;
    size_t slot_count;
    bool ever_ready;
    int failed_beginnings; /* invocations, while none ever was ready */
    char init_error[200];  /* the last one's document */
    struct tumble_process_figures figures;
    char arn[ARN_BYTES];
};

/* One invocation, on its way. */
struct attempt {
    struct tumble_process_function *function;
    struct slot *slot;
    const struct tumble_function_request *request;
    struct tumble_bytes event;
    struct tumble_function_answer *answer;
    int64_t began_us;    /* of what Lambda counts as its duration */
    int64_t deadline_us; /* of the function's time-out */
};

/* ---- words ---- */

static void say(const struct tumble_process_function *function, const char *line) {
    if (function->options.say) {
        function->options.say(function->options.ctx, line);
    }
}

static void say_of(const struct attempt *attempt, const char *what) {
    char line[640];
    snprintf(line, sizeof line, "RequestId: %.64s %s", attempt->request->request_id, what);
    say(attempt->function, line);
}

static void say_document(const struct attempt *attempt, const char *what, struct tumble_bytes document) {
    char text[DOCUMENT_SHOWN + 64];
    size_t length = (size_t)snprintf(text, 64, "%s", what);
    for (size_t i = 0; i < document.length && i < DOCUMENT_SHOWN; i++) {
        char c = document.data[i];
        text[length++] = c < ' ' || c > '~' ? ' ' : c;
    }
    text[length] = '\0';
    say_of(attempt, text);
}

/* ---- slots ---- */

static enum tumble_code find_slot(struct tumble_process_function *function, uint32_t number, struct slot **out,
                                  struct tumble_error *err) {
    if (number >= TUMBLE_PROCESS_SLOTS_MAX) {
        return tw_fail(err, TUMBLE_ELIMIT, "function: more than %d sandboxes", TUMBLE_PROCESS_SLOTS_MAX);
    }
    if (number >= function->slot_count) {
        size_t count = (size_t)number + 1;
        struct slot **slots =
            tw_resize(&function->alloc, function->slots, function->slot_count * sizeof *slots, count * sizeof *slots);
        if (!slots) {
            return tw_no_memory(err);
        }
        memset(slots + function->slot_count, 0, (count - function->slot_count) * sizeof *slots);
        function->slots = slots;
        function->slot_count = count;
    }
    struct slot **slot = &function->slots[number];
    if (!*slot && (*slot = tw_alloc_zero(&function->alloc, sizeof **slot)) != NULL) {
        (*slot)->sandbox = (struct tw_sandbox){.kind = &function->kind, .slot = number};
    }
    *out = *slot;
    return *slot ? TUMBLE_OK : tw_no_memory(err);
}

static void retire(struct slot *slot) {
    int64_t ms = tw_sandbox_ask_to_end(&slot->sandbox, "SPINDOWN");
    if (ms > 0) {
        tw_sandbox_wait_for_end(&slot->sandbox, tw_monotonic_us() + ms * 1000);
    }
    tw_sandbox_kill(&slot->sandbox);
    slot->begins_again = false;
    slot->served = 0;
}

static bool is_worn_out(const struct tumble_process_function *function, const struct slot *slot, int64_t now_ms) {
    const struct tumble_process_options *options = &function->options;
    return slot->served > 0 && ((options->lifetime_invocations > 0 && slot->served >= options->lifetime_invocations) ||
                                (options->lifetime_ms > 0 && now_ms - slot->since_ms >= options->lifetime_ms));
}

static enum tumble_code recycle(void *ctx, uint32_t number, struct tumble_error *err) {
    struct tumble_process_function *function = ctx;
    (void)err;
    if (number < function->slot_count && function->slots[number]) {
        function->figures.recycled += tw_sandbox_runs(&function->slots[number]->sandbox) ? 1 : 0;
        retire(function->slots[number]);
    }
    return TUMBLE_OK;
}

/* ---- how an attempt ends ---- */

static enum tumble_code finish(const struct attempt *attempt, enum tumble_answer_kind kind, int64_t ended_us) {
    const struct tumble_process_options *options = &attempt->function->options;
    int64_t took = ended_us > attempt->began_us ? ended_us - attempt->began_us : 0;
    attempt->answer->kind = kind;
    attempt->answer->duration_us = kind == TUMBLE_ANSWER_TIMED_OUT ? options->timeout_ms * 1000
                                   : options->duration_us > 0      ? options->duration_us
                                                                   : took;
    return TUMBLE_OK;
}

/* The sandbox is gone with all it held; the next invocation begins a process. */
static void reset(const struct attempt *attempt) {
    tw_sandbox_kill(&attempt->slot->sandbox);
    attempt->slot->begins_again = true;
}

static enum tumble_code time_out(const struct attempt *attempt) {
    char text[96];
    attempt->function->figures.timeouts++;
    snprintf(text, sizeof text, "Task timed out after %.2f seconds",
             (double)attempt->function->options.timeout_ms / 1000.0);
    say_of(attempt, text);
    reset(attempt);
    return finish(attempt, TUMBLE_ANSWER_TIMED_OUT, 0);
}

static enum tumble_code crash(const struct attempt *attempt) {
    char status[TW_SANDBOX_STATUS_TEXT], text[160];
    attempt->function->figures.crashes++;
    tw_sandbox_status_text(attempt->slot->sandbox.status, status);
    snprintf(text, sizeof text, "Error: Runtime exited with error: %s Runtime.ExitError", status);
    say_of(attempt, text);
    reset(attempt);
    return finish(attempt, TUMBLE_ANSWER_CRASHED, tw_monotonic_us());
}

static void note_init_error(const struct attempt *attempt) {
    struct tumble_bytes document;
    tw_sandbox_server_outcome(attempt->slot->sandbox.server, &document);
    attempt->function->figures.init_errors++;
    say_document(attempt, "Init error: ", document);
    snprintf(attempt->function->init_error, sizeof attempt->function->init_error, "%.*s",
             (int)(document.length < 190 ? document.length : 190), document.data ? document.data : "");
    tw_sandbox_wait_for_end(&attempt->slot->sandbox, tw_monotonic_us() + ERROR_LINGER_MS * 1000);
}

/* ---- how it begins ---- */

static enum tumble_code start(const struct attempt *attempt, int64_t deadline_us, enum tw_sandbox_event *event,
                              struct tumble_error *err) {
    struct tumble_process_function *function = attempt->function;
    struct tw_sandbox *sandbox = &attempt->slot->sandbox;
    attempt->slot->served = 0;
    attempt->slot->since_ms = attempt->request->sent_ms;
    function->figures.starts++;
    TW_TRY(tw_sandbox_start(sandbox, err));
    TW_TRY(tw_sandbox_wait(sandbox, false, deadline_us, event, err));
    if (*event == TW_SANDBOX_IS_READY) {
        function->ever_ready = true;
        function->figures.init_us += (uint64_t)(tw_monotonic_us() - sandbox->started_us);
    } else if (*event == TW_SANDBOX_HAS_ANSWER) {
        note_init_error(attempt);
    }
    return TUMBLE_OK;
}

/* Lambda would say Runtime.ExitError or Sandbox.Timedout for ever. */
static enum tumble_code no_function(const struct attempt *attempt, enum tw_sandbox_event event,
                                    struct tumble_error *err) {
    char status[TW_SANDBOX_STATUS_TEXT];
    tw_sandbox_status_text(attempt->slot->sandbox.status, status);
    return tw_fail(err, TUMBLE_EUSAGE,
                   "function `%.120s` %s%s: it has to ask http://$AWS_LAMBDA_RUNTIME_API for events, as Lambda's "
                   "runtimes do",
                   attempt->function->options.command,
                   event == TW_SANDBOX_HAS_ENDED ? "ended without asking for an event, with " : "asked for no event",
                   event == TW_SANDBOX_HAS_ENDED ? status : " in all the time it had");
}

static void begin_clock(struct attempt *attempt) {
    attempt->began_us = tw_monotonic_us();
    attempt->deadline_us = attempt->began_us + attempt->function->options.timeout_ms * 1000;
}

/* A process that asks for an event; *done: the attempt ended in the trying. */
static enum tumble_code make_ready(struct attempt *attempt, bool *done, struct tumble_error *err) {
    struct tumble_process_function *function = attempt->function;
    struct slot *slot = attempt->slot;
    enum tw_sandbox_event event = TW_SANDBOX_HAS_ENDED;
    *done = false;
    if (tw_sandbox_runs(&slot->sandbox)) { /* what it does after an answer takes of the next one's time */
        TW_TRY(tw_sandbox_wait(&slot->sandbox, false, attempt->deadline_us, &event, err));
        if (event == TW_SANDBOX_IS_READY) {
            return TUMBLE_OK;
        }
        if (event == TW_SANDBOX_IS_LATE) {
            *done = true;
            return time_out(attempt);
        }
        reset(attempt); /* it ended between two invocations: nobody's failure */
    } else if (!slot->begins_again) {
        TW_TRY(start(attempt, tw_monotonic_us() + function->options.init_timeout_ms * 1000, &event, err));
        begin_clock(attempt);
        if (event == TW_SANDBOX_IS_READY) {
            return TUMBLE_OK;
        }
        function->figures.init_timeouts += event == TW_SANDBOX_IS_LATE ? 1 : 0;
        reset(attempt);
    }
    begin_clock(attempt);
    TW_TRY(start(attempt, attempt->deadline_us, &event, err));
    if (event == TW_SANDBOX_IS_READY) {
        return TUMBLE_OK;
    }
    *done = true;
    if (!function->ever_ready && !tw_sandbox_server_heard(slot->sandbox.server)) {
        return no_function(attempt, event, err);
    }
    if (!function->ever_ready && ++function->failed_beginnings >= TUMBLE_PROCESS_BEGINNINGS) {
        return tw_fail(err, TUMBLE_EUSAGE, "function `%.80s` does not begin, tried %d times: %s",
                       function->options.command, TUMBLE_PROCESS_BEGINNINGS + 1,
                       function->init_error[0] ? function->init_error : "it ends, or takes too long");
    }
    if (event == TW_SANDBOX_HAS_ANSWER) {
        reset(attempt);
        return finish(attempt, TUMBLE_ANSWER_ERROR, tw_monotonic_us());
    }
    return event == TW_SANDBOX_IS_LATE ? time_out(attempt) : crash(attempt);
}

/* ---- the event and its answer ---- */

static enum tumble_code take_answer(const struct attempt *attempt) {
    struct tumble_process_function *function = attempt->function;
    struct tw_sandbox_server *server = attempt->slot->sandbox.server;
    struct tumble_bytes body;
    enum tw_sandbox_outcome outcome = tw_sandbox_server_outcome(server, &body);
    int64_t answered_us = tw_sandbox_server_answered_us(server);
    function->figures.too_large += tw_sandbox_server_was_too_large(server) ? 1 : 0;
    tw_sandbox_server_take_answer(server, &function->answer);
    body = tw_buf_view(&function->answer);
    /* The event's bytes are written over by the next one: who does not read it whole loses its sandbox. */
    if (!tw_sandbox_settle(&attempt->slot->sandbox, SETTLE_MS)) {
        reset(attempt);
    }
    if (outcome == TW_SANDBOX_RESPONSE) {
        attempt->answer->response = body;
    } else {
        function->figures.errors++;
        say_document(attempt, "Function error: ", body);
    }
    return finish(attempt, outcome == TW_SANDBOX_RESPONSE ? TUMBLE_ANSWER_RESPONSE : TUMBLE_ANSWER_ERROR, answered_us);
}

static enum tumble_code run(struct attempt *attempt, struct tumble_error *err) {
    const struct tumble_function_request *request = attempt->request;
    struct tw_sandbox *sandbox = &attempt->slot->sandbox;
    enum tw_sandbox_event event;
    bool done;
    TW_TRY(make_ready(attempt, &done, err));
    if (done) {
        return TUMBLE_OK;
    }
    /* Its own clock is the machine's; virtual time counts only where it was put off. */
    int64_t left_ms = (attempt->deadline_us - tw_monotonic_us()) / 1000;
    int64_t skew_ms = request->deadline_ms - request->sent_ms - attempt->function->options.timeout_ms;
    struct tw_sandbox_invocation invocation = {.request_id = request->request_id,
                                               .invocation_id = request->invocation_id,
                                               .deadline_ms = tw_wall_clock_ms() + left_ms + skew_ms,
                                               .event = attempt->event};
    tw_sandbox_server_offer(sandbox->server, &invocation);
    attempt->slot->served++;
    TW_TRY(tw_sandbox_wait(sandbox, true, attempt->deadline_us, &event, err));
    switch (event) {
    case TW_SANDBOX_HAS_ENDED: return crash(attempt);
    case TW_SANDBOX_IS_LATE: return time_out(attempt);
    case TW_SANDBOX_IS_READY:
    case TW_SANDBOX_HAS_ANSWER: break;
    }
    return take_answer(attempt);
}

static enum tumble_code invoke(void *ctx, const struct tumble_function_request *request,
                               struct tumble_function_answer *answer, struct tumble_error *err) {
    struct tumble_process_function *function = ctx;
    struct attempt attempt = {.function = function, .request = request, .answer = answer};
    memset(answer, 0, sizeof *answer);
    TW_TRY(find_slot(function, request->slot, &attempt.slot, err));
    if (is_worn_out(function, attempt.slot, request->sent_ms)) {
        TW_TRY(recycle(function, request->slot, err));
    }
    TW_TRY(tumble_event_write(function->writer, request, &attempt.event, err));
    function->figures.invocations++;
    begin_clock(&attempt);
    enum tumble_code code = run(&attempt, err);
    if (code != TUMBLE_OK) {
        tw_sandbox_kill(&attempt.slot->sandbox);
    }
    return code;
}

/* ---- open and close ---- */

static enum tumble_code check(const struct tumble_process_options *options, struct tumble_error *err) {
    const char *name = options->function_name ? options->function_name : "function";
    if (!options->command || !*options->command) {
        return tw_fail(err, TUMBLE_EUSAGE, "function: no command to run");
    }
    if (strlen(options->command) > 100000) {
        return tw_fail(err, TUMBLE_EUSAGE, "function: the command is longer than 100,000 bytes");
    }
    if (!*name || strlen(name) > 140 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != strlen(name)) {
        return tw_fail(err, TUMBLE_EUSAGE, "function name \"%.100s\": 1 to 140 letters, digits, - and _", name);
    }
    return TUMBLE_OK;
}

static void set_defaults(struct tumble_process_function *function, const struct tumble_process_options *options) {
    struct tumble_process_options *own = &function->options;
    *own = *options;
    own->timeout_ms = own->timeout_ms > 0 ? own->timeout_ms : TUMBLE_PROCESS_TIMEOUT_MS;
    own->init_timeout_ms = own->init_timeout_ms > 0 ? own->init_timeout_ms : TUMBLE_PROCESS_INIT_TIMEOUT_MS;
    const char *name = own->function_name ? own->function_name : "function";
    snprintf(function->arn, sizeof function->arn, "arn:aws:lambda:us-east-1:123456789012:function:%.140s", name);
    function->kind = (struct tw_sandbox_kind){
        .alloc = function->alloc,
        .command = own->command,
        .identity = {.function_name = name,
                     .function_version = own->function_version ? own->function_version : "$LATEST",
                     .function_arn = own->function_arn ? own->function_arn : function->arn,
                     .handler = own->handler ? own->handler : "bootstrap"},
        .memory_mb = own->memory_mb ? own->memory_mb : TUMBLE_PROCESS_MEMORY_MB,
        .log_fd = own->log_fd > 0 ? own->log_fd : STDERR_FILENO,
        .ctx = own->ctx,
        .stopping = own->stopping};
}

enum tumble_code tumble_process_open(const struct tumble_process_options *options, struct tumble_process_function **out,
                                     struct tumble_error *err) {
    struct tumble_alloc alloc = tw_alloc_or_default(options->alloc);
    *out = NULL;
    TW_TRY(check(options, err));
    struct tumble_process_function *function = tw_alloc_zero(&alloc, sizeof *function);
    if (!function) {
        return tw_no_memory(err);
    }
    function->alloc = alloc;
    set_defaults(function, options);
    tw_buf_init(&function->answer, alloc, TW_RESPONSE_LIMIT);
    enum tumble_code code = tumble_event_writer_new(&options->form, alloc, &function->writer, err);
    if (code == TUMBLE_OK) {
        code = tw_sandbox_guard_open(&function->kind.guard, err);
    }
    if (code != TUMBLE_OK) {
        tumble_process_close(function);
        return code;
    }
    *out = function;
    return TUMBLE_OK;
}

void tumble_process_close(struct tumble_process_function *function) {
    if (!function) {
        return;
    }
    int64_t longest = 0;
    for (size_t i = 0; i < function->slot_count; i++) {
        int64_t ms = function->slots[i] ? tw_sandbox_ask_to_end(&function->slots[i]->sandbox, "SPINDOWN") : 0;
        longest = ms > longest ? ms : longest;
    }
    int64_t deadline_us = tw_monotonic_us() + longest * 1000;
    for (size_t i = 0; i < function->slot_count; i++) {
        struct slot *slot = function->slots[i];
        if (slot) {
            if (tw_sandbox_runs(&slot->sandbox) && tw_sandbox_server_shutdown_ms(slot->sandbox.server) > 0) {
                tw_sandbox_wait_for_end(&slot->sandbox, deadline_us);
            }
            tw_sandbox_kill(&slot->sandbox);
            tw_free(&function->alloc, slot);
        }
    }
    tw_sandbox_guard_close(&function->kind.guard);
    tumble_event_writer_destroy(function->writer);
    tw_buf_clean_up(&function->answer);
    struct tumble_alloc alloc = function->alloc;
    tw_free(&alloc, function->slots);
    tw_free(&alloc, function);
}

void tumble_process_wrap(struct tumble_process_function *function, struct tumble_emulated_function *out) {
    *out = (struct tumble_emulated_function){.ctx = function, .invoke = invoke, .recycle = recycle};
}

const struct tumble_process_figures *tumble_process_figures(const struct tumble_process_function *function) {
    return &function->figures;
}
