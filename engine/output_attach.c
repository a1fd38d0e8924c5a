#include <string.h>

#include "engine/base/fail.h"
#include "engine/engine_internal.h"

/* Outputs: which tables are taken, how they are opened, closed after trouble and opened again. */

bool tw_outputs_want_keys(const struct tumble_engine *engine) {
    for (size_t i = 0; i < engine->output_count; i++) {
        const struct tw_output *output = &engine->outputs[i];
        if (output->kind == TUMBLE_ROW_WINDOW && output->api && !(output->api->flags & TUMBLE_OUTPUT_NO_KEYS)) {
            return true;
        }
    }
    return false;
}

/* ---- what an output answers ---- */

void tw_output_expect_answer(struct tumble_error *err) {
    if (err) {
        err->code = TUMBLE_OK;
        err->text[0] = '\0';
    }
}

/* What these mean elsewhere (a row, the state) they do not mean of a whole call: a table that is not there, a right
 * that is wanting, an answer that makes no sense. */
static enum tumble_code as_refusal(enum tumble_code code, struct tumble_error *err) {
    if (code != TUMBLE_EREJECTED && code != TUMBLE_ELIMIT && code != TUMBLE_ECORRUPT) {
        return code;
    }
    if (err && err->code == code) {
        err->code = TUMBLE_EREFUSED;
    }
    return TUMBLE_EREFUSED;
}

/* Whether a text says by itself which output it is about: it names the URI, or begins with what stands behind the
 * scheme. */
static bool is_named(const struct tw_output *output, const char *text) {
    const char *target = strchr(output->name, ':');
    size_t length = target ? strcspn(target + 1, "?") : 0;
    return strstr(text, output->name) || (length && strncmp(text, target + 1, length) == 0);
}

enum tumble_code tw_output_answer(const struct tw_output *output, const char *call, enum tumble_code code, bool *mends,
                                  struct tumble_error *err) {
    *mends = false;
    if (code == TUMBLE_OK) {
        return TUMBLE_OK;
    }
    code = as_refusal(code, err);
    if (strcmp(tumble_code_name(code), "UNKNOWN") == 0) {
        return tw_fail(err, TUMBLE_EOUTPUT, "output %s answered %d to %s, which is no code of tumble", output->name,
                       (int)code, call);
    }
    *mends = tumble_code_retryable(code) && !(output->api->flags & TUMBLE_OUTPUT_NO_RETRY);
    if (err) {
        err->text[sizeof err->text - 1] = '\0';
    }
    bool explained = err && err->code == code && err->text[0];
    if (!explained) {
        return tw_fail(err, code, "output %s failed in %s: %s", output->name, call, tumble_code_text(code));
    }
    if (!*mends && !is_named(output, err->text)) {
        tw_error_prefix(err, "output %.100s", output->name);
    }
    return code;
}

enum tumble_code tw_output_take_checkpoint(struct tw_output *output, struct tumble_error *err) {
    if (!output->api->checkpoint) {
        return TUMBLE_OK;
    }
    char bytes[TUMBLE_OUTPUT_CHECKPOINT_BYTES];
    size_t length = output->api->checkpoint(output->self, bytes);
    if (length > sizeof bytes) {
        return tw_fail(err, TUMBLE_EOUTPUT, "output %s gave a checkpoint of %zu bytes: at most %d", output->name,
                       length, TUMBLE_OUTPUT_CHECKPOINT_BYTES);
    }
    memcpy(output->checkpoint, bytes, length);
    output->checkpoint_length = length;
    return TUMBLE_OK;
}

/* ---- tables ---- */

static bool is_name(const char *name, const char *others) {
    size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    return letters > 0 && strlen(name) <= 30 && name[strspn(name, others)] == '\0';
}

static enum tumble_code check_option(const struct tumble_output_api *api, size_t index, struct tumble_error *err) {
    const struct tumble_output_option *option = &api->options[index];
    if (!option->name || !is_name(option->name, "abcdefghijklmnopqrstuvwxyz0123456789_-")) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s: option %zu of its table has no name of letters, digits, - and _",
                       api->name, index);
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(api->options[i].name, option->name) == 0) {
            return tw_fail(err, TUMBLE_EINVAL, "output %s: option \"%s\" stands in its table twice", api->name,
                           option->name);
        }
    }
    if ((int)option->type < 0 || option->type > TUMBLE_OPTION_DURATION) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s: option \"%s\" is of type %d, which is none", api->name,
                       option->name, (int)option->type);
    }
    if (!option->help || (option->type == TUMBLE_OPTION_ENUM && (!option->words || !option->words[0]))) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s: option \"%s\" has no %s", api->name, option->name,
                       option->help ? "words to choose from" : "help");
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_output_check(const struct tumble_output_api *api, struct tumble_error *err) {
    size_t needed = offsetof(struct tumble_output_api, check) + sizeof api->check;
    if (api->abi_version != TUMBLE_OUTPUT_ABI || api->struct_size < needed) {
        return tw_fail(err, TUMBLE_EINVAL,
                       "the output speaks version %u of the output ABI (a table of %u bytes), this tumble speaks %u "
                       "(%zu bytes): build it against this tumble's headers",
                       api->abi_version, api->struct_size, TUMBLE_OUTPUT_ABI, needed);
    }
    if (!api->name || !is_name(api->name, "abcdefghijklmnopqrstuvwxyz0123456789+-")) {
        return tw_fail(err, TUMBLE_EINVAL,
                       "the output has no name that could begin a URI: small letters, digits, + and -");
    }
    const char *missing = !api->open ? "open" : !api->write ? "write" : !api->flush ? "flush" : NULL;
    missing = !missing && !api->close ? "close" : missing;
    if (missing) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s has no function \"%s\"", api->name, missing);
    }
    if (api->option_count > TW_LIMIT_OUTPUT_OPTIONS || (api->option_count > 0 && !api->options)) {
        return tw_fail(err, TUMBLE_EINVAL, "output %s says it has %zu options: %s", api->name, api->option_count,
                       api->options ? "at most 32 are allowed" : "there is no table of them");
    }
    for (size_t i = 0; i < api->option_count; i++) {
        TW_TRY(check_option(api, i, err));
    }
    return TUMBLE_OK;
}

/* ---- attaching ---- */

void tw_output_clean_up(struct tumble_engine *engine, struct tw_output *output) {
    if (output->is_open) {
        output->api->close(output->self);
        output->is_open = false;
    }
    tw_buf_clean_up(&output->rejected);
    tw_free(&engine->alloc, output->options);
    tw_free(&engine->alloc, output->texts);
    tw_free(&engine->alloc, output->name);
}

static size_t text_bytes(const char *text) { return text ? strlen(text) + 1 : 0; }

static const char *lay_text(char **at, const char *text) {
    size_t bytes = text_bytes(text);
    const char *laid = text ? *at : NULL;
    if (text) {
        memcpy(*at, text, bytes);
    }
    *at += bytes;
    return laid;
}

/* What the output is opened with outlives the call of attach: it may be opened again. */
static enum tumble_code keep_how(struct tumble_engine *engine, struct tw_output *output,
                                 const struct tumble_output_open *how, struct tumble_error *err) {
    size_t bytes = text_bytes(how->target) + text_bytes(how->uri) + 1;
    for (size_t i = 0; i < how->option_count; i++) {
        bytes += text_bytes(how->options[i].name) + text_bytes(how->options[i].value);
    }
    output->texts = tw_alloc(&engine->alloc, bytes);
    output->options = tw_alloc_array(&engine->alloc, how->option_count, sizeof *output->options);
    if (!output->texts || !output->options) {
        return tw_no_memory(err);
    }
    char *at = output->texts;
    output->how = *how;
    output->how.struct_size = sizeof output->how;
    output->how.target = lay_text(&at, how->target ? how->target : "");
    output->how.uri = how->uri ? lay_text(&at, how->uri) : output->name;
    for (size_t i = 0; i < how->option_count; i++) {
        output->options[i] = how->options[i];
        output->options[i].name = lay_text(&at, how->options[i].name);
        output->options[i].value = lay_text(&at, how->options[i].value);
    }
    output->how.options = output->options;
    output->how.spec = engine->spec;
    output->how.source.data = engine->source;
    output->how.source.length = engine->source_length;
    output->how.spec_digest = engine->spec->digest;
    output->how.durable = engine->durability != TUMBLE_DURABILITY_NONE;
    return TUMBLE_OK;
}

enum tumble_code tw_output_open(struct tw_output *output, bool *mends, struct tumble_error *err) {
    output->how.checkpoint.data = output->checkpoint;
    output->how.checkpoint.length = output->checkpoint_length;
    output->self = NULL;
    tw_output_expect_answer(err);
    enum tumble_code code =
        tw_output_answer(output, "open", output->api->open(&output->how, &output->self, err), mends, err);
    output->is_open = code == TUMBLE_OK;
    if (code == TUMBLE_OK && output->starts) {
        code = tw_output_take_checkpoint(output, err);
        output->changed = true;
    }
    return code;
}

static enum tumble_code find_place(struct tumble_engine *engine, const char *name, enum tumble_row_kind kind,
                                   struct tw_output **out, struct tumble_error *err) {
    if (engine->output_count == TW_LIMIT_OUTPUTS) {
        return tw_fail(err, TUMBLE_ELIMIT, "more than %d outputs", TW_LIMIT_OUTPUTS);
    }
    for (size_t i = 0; i < engine->output_count; i++) {
        if (strcmp(engine->outputs[i].name, name) == 0 && engine->outputs[i].kind == kind) {
            return tw_fail(err, TUMBLE_EINVAL, "output %s is named twice", name);
        }
        if (engine->outputs[i].kind == TUMBLE_ROW_FAILURE && kind == TUMBLE_ROW_FAILURE) {
            return tw_fail(err, TUMBLE_EINVAL, "there can be one failures output only");
        }
    }
    struct tw_output *output = &engine->outputs[engine->output_count];
    memset(output, 0, sizeof *output);
    tw_buf_init(&output->rejected, engine->alloc, SIZE_MAX / 4);
    output->kind = kind;
    output->name = tw_copy_text(&engine->alloc, name, strlen(name));
    if (!output->name) {
        return tw_no_memory(err);
    }
    enum tumble_code code = tw_engine_read_cursor(engine, output, err);
    if (code == TUMBLE_OK) {
        code = tw_outbox_bytes(engine, kind, output->chunk, &output->backlog, err);
    }
    output->caught_up = engine->outbox.added[kind];
    if (code != TUMBLE_OK) {
        tw_output_clean_up(engine, output);
        return code;
    }
    output->at_chunk = output->chunk;
    output->at_row = output->row;
    *out = output;
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_attach_absent(struct tumble_engine *engine, const char *name, enum tumble_row_kind kind,
                                             struct tumble_error *err) {
    struct tw_output *output;
    TW_TRY(find_place(engine, name, kind, &output, err));
    engine->output_count++;
    return TUMBLE_OK;
}

enum tumble_code tumble_engine_attach(struct tumble_engine *engine, const char *name,
                                      const struct tumble_output_api *api, const struct tumble_output_open *how,
                                      struct tumble_error *err) {
    struct tw_output *output;
    struct tumble_error why = {.byte = -1, .record = -1};
    enum tumble_code code = tumble_output_check(api, &why);
    if (code != TUMBLE_OK) {
        return tw_fail(err, code, "%.100s: %.200s", name, why.text);
    }
    TW_TRY(find_place(engine, name, how->kind, &output, err));
    output->api = api;
    bool mends = false;
    code = keep_how(engine, output, how, err);
    output->starts = output->changed;
    if (code == TUMBLE_OK && engine->carried && !engine->source_length) { /* which stream it is, events will tell */
        code = api->check ? api->check(&output->how, err) : TUMBLE_OK;
    } else if (code == TUMBLE_OK) {
        code = tw_output_open(output, &mends, err);
    }
    if (code == TUMBLE_OK) {
        output->starts = false; /* the caller's first commit comes before anything is written */
    } else if (mends) {         /* it is down now: its rows wait, and the others' do not */
        tw_output_defer(engine, output, NULL, 0, err ? err->text : "it could not be opened");
        code = TUMBLE_OK;
    }
    if (code != TUMBLE_OK) {
        tw_output_clean_up(engine, output);
        return code;
    }
    engine->output_count++;
    return TUMBLE_OK;
}

/* ---- again ---- */

void tw_output_rewind(struct tw_output *output) {
    if (output->is_open) {
        output->api->close(output->self);
        output->is_open = false;
    }
    output->at_chunk = output->chunk;
    output->at_row = output->row;
    output->unflushed = 0;
    output->rejected_count = 0;
    tw_buf_clear(&output->rejected);
}

/* ---- held ---- */

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

void tw_output_defer(struct tumble_engine *engine, struct tw_output *output,
                     const struct tumble_delivery_options *options, int64_t retry_after_ms, const char *why) {
    enum { FIRST_DELAY_MS = 100, LONGEST_DELAY_MS = 20000, RETRY_AFTER_MAX_MS = 3600000 };
    int64_t now = options && options->now_ms ? options->now_ms(options->ctx) : 0;
    int64_t delay = options && options->first_delay_ms > 0 ? options->first_delay_ms : FIRST_DELAY_MS;
    int64_t longest = options && options->longest_delay_ms > 0 ? options->longest_delay_ms : LONGEST_DELAY_MS;
    for (uint32_t i = 0; i < output->attempts && delay < longest; i++) {
        delay *= 2;
    }
    delay = delay < longest ? delay : longest;
    if (!engine->outbox.random) {
        engine->outbox.random = engine->hash_seed | 1;
    }
    int64_t jitter = (int64_t)(next_random(&engine->outbox.random) % ((uint64_t)delay + 1));
    int64_t asked = retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms : RETRY_AFTER_MAX_MS;
    if (output->attempts == 0) {
        output->held_since_ms = options ? now : -1;
    }
    output->attempts++;
    output->is_careful = true;
    output->due_ms = now + (jitter > asked ? jitter : asked);
    output->changed = true; /* the state tells how often, and why */
    size_t length = strnlen(why, sizeof output->last_error - 1);
    memcpy(output->last_error, why, length);
    output->last_error[length] = '\0';
}
