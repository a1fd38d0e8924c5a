/* Plug-ins that a host must refuse by name: one source, BROKEN says how. */
#include <string.h>

#include <tumble/output.h>

#define WRONG_VERSION   1
#define NO_TABLE        2
#define NO_WRITE        3
#define SMALL_TABLE     4
#define NAME_TAKEN      5
#define BAD_NAME        6
#define NO_HELP         7
#define BAD_DEFAULT     8
#define NO_OPTIONS      9
#define BAD_OUTCOME     10
#define NO_ANSWER       11
#define BAD_CODE        12
#define LONG_CHECKPOINT 13
#define NO_REASON       14
#define NO_WORDS        15
#define TWICE           16

static enum tumble_code broken_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    static int open;
    (void)how, (void)err;
    *self = &open;
    return TUMBLE_OK;
}

static enum tumble_code broken_write(void *self, const struct tumble_row *rows, size_t count,
                                     struct tumble_delivery *out, struct tumble_error *err) {
    (void)self, (void)rows, (void)err;
    for (size_t i = 0; i < count && BROKEN != NO_ANSWER; i++) {
        out[i].outcome = BROKEN == BAD_OUTCOME ? (enum tumble_outcome)77
                         : BROKEN == NO_REASON ? TUMBLE_REJECTED
                                               : TUMBLE_DELIVERED;
    }
    return BROKEN == BAD_CODE ? (enum tumble_code)4242 : TUMBLE_OK;
}

static enum tumble_code broken_flush(void *self, int pending_done, struct tumble_error *err) {
    (void)self, (void)pending_done, (void)err;
    return TUMBLE_OK;
}

static size_t broken_checkpoint(void *self, char out[TUMBLE_OUTPUT_CHECKPOINT_BYTES]) {
    (void)self;
    memset(out, 'x', TUMBLE_OUTPUT_CHECKPOINT_BYTES);
    return BROKEN == LONG_CHECKPOINT ? TUMBLE_OUTPUT_CHECKPOINT_BYTES + 1u : 0;
}

static void broken_close(void *self) { (void)self; }

static const struct tumble_output_option options[] = {
    {.name = "level",
     .type = BROKEN == NO_WORDS ? TUMBLE_OPTION_ENUM : TUMBLE_OPTION_INTEGER,
     .help = BROKEN == NO_HELP ? NULL : "how broken",
     .default_value = BROKEN == BAD_DEFAULT ? "very" : "1"},
    {.name = BROKEN == TWICE ? "level" : "other", .help = "nothing"},
};

static const struct tumble_output_api broken = {
    .struct_size = BROKEN == SMALL_TABLE ? 24 : sizeof broken,
    .abi_version = BROKEN == WRONG_VERSION ? 99 : TUMBLE_OUTPUT_ABI,
    .name = BROKEN == NAME_TAKEN ? "file"
            : BROKEN == BAD_NAME ? "Bro:ken"
                                 : "broken",
    .options = BROKEN == NO_OPTIONS ? NULL : options,
    .option_count = 2,
    .open = broken_open,
    .write = BROKEN == NO_WRITE ? NULL : broken_write,
    .flush = broken_flush,
    .checkpoint = broken_checkpoint,
    .close = broken_close,
};

#if BROKEN == NO_TABLE
__attribute__((visibility("default"))) const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi);
const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi) {
    (void)host_abi, (void)broken;
    return NULL;
}
#else
TUMBLE_OUTPUT_PLUGIN(broken);
#endif
