/* "flaky:PATH?seed=N&rate=P": the SQLite output behind faults chosen by a seed: calls that fail before or after
 * their work was done, rows that are to come again (with the rest of the batch taken or not), rows rejected, opens that
 * fail, a commit whose answer is lost. The seed is mixed with the process, so that an attempt after a crash meets other
 * faults. While the file PATH.down exists, every call fails. */
#define TUMBLE_OUTPUT_STATIC
#include "../../examples/output_sqlite/output_sqlite.c"

#include <unistd.h>

enum { FLAKY_SEED = OPTION_COUNT, FLAKY_RATE, FLAKY_REJECT, FLAKY_OPTIONS };

static struct tumble_output_option flaky_options[FLAKY_OPTIONS];

static struct {
    uint64_t random;
    int64_t rate; /* percent of calls, and of batches, that meet a fault */
    char down[512];
    int64_t reject; /* every so many-th key is rejected, always: by the key */
} flaky;

static int hit(void) {
    flaky.random = flaky.random * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)(flaky.random >> 33) % 100 < flaky.rate;
}

static int is_down(void) { return access(flaky.down, F_OK) == 0; }

static enum tumble_code fault(const char *what, struct tumble_error *err) {
    if (err) {
        err->code = TUMBLE_EOUTPUT;
        snprintf(err->text, sizeof err->text, "flaky: %s", what);
    }
    return TUMBLE_EOUTPUT;
}

static enum tumble_code flaky_open(const struct tumble_output_open *how, void **self, struct tumble_error *err) {
    static int known;
    if (!known++) {
        flaky.random = (uint64_t)how->options[FLAKY_SEED].number * 0x9e3779b97f4a7c15u + (uint64_t)getpid();
        flaky.rate = how->options[FLAKY_RATE].number;
        snprintf(flaky.down, sizeof flaky.down, "%s.down", how->target);
        flaky.reject = how->options[FLAKY_REJECT].number;
    }
    return is_down() ? fault("down", err) : hit() ? fault("cannot open", err) : sqlite_open(how, self, err);
}

static int rejects(const struct tumble_row *row) {
    return flaky.reject > 0 && row->key[3] % (unsigned)flaky.reject == 0;
}

static enum tumble_code flaky_write(void *self, const struct tumble_row *rows, size_t count,
                                    struct tumble_delivery *out, struct tumble_error *err) {
    if (is_down()) {
        return fault("down", err);
    }
    if (hit()) {
        return fault("failed before anything was taken", err);
    }
    size_t taken = hit() ? flaky.random >> 40 : count; /* a partial batch */
    taken = taken < count ? taken : count;
    for (size_t i = 0; i < count; i++) {
        if (i >= taken && (i == taken || hit())) {
            out[i] = (struct tumble_delivery){TUMBLE_RETRY, (int64_t)(flaky.random >> 60), "throttled"};
        } else if (rejects(&rows[i])) {
            out[i] = (struct tumble_delivery){TUMBLE_REJECTED, 0, "its key is not liked"};
        } else {
            enum tumble_code code = sqlite_write(self, &rows[i], 1, &out[i], err);
            if (code != TUMBLE_OK) {
                return code;
            }
        }
    }
    return hit() ? fault("failed after everything was taken", err) : TUMBLE_OK;
}

static enum tumble_code flaky_flush(void *self, int pending_done, struct tumble_error *err) {
    if (is_down() || hit()) {
        return fault("the commit failed", err);
    }
    enum tumble_code code = sqlite_flush(self, pending_done, err);
    return code == TUMBLE_OK && hit() ? fault("the answer to the commit was lost", err) : code;
}

static struct tumble_output_api flaky_output = {
    .struct_size = sizeof flaky_output,
    .abi_version = TUMBLE_OUTPUT_ABI,
    .name = "flaky",
    .flags = TUMBLE_OUTPUT_WANTS_VALUES,
    .target = "PATH",
    .summary = "SQLite behind faults",
    .options = flaky_options,
    .option_count = FLAKY_OPTIONS,
    .open = flaky_open,
    .write = flaky_write,
    .flush = flaky_flush,
    .close = sqlite_close,
};

__attribute__((visibility("default"))) const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi);
const struct tumble_output_api *tumble_output_plugin(uint32_t host_abi) {
    memcpy(flaky_options, options, sizeof options);
    static const char *const names[] = {"seed", "rate", "reject"};
    for (int i = 0; i < 3; i++) {
        flaky_options[OPTION_COUNT + i] = (struct tumble_output_option){
            .name = names[i], .type = TUMBLE_OPTION_INTEGER, .default_value = "0", .help = "of the faults"};
    }
    return host_abi >= TUMBLE_OUTPUT_ABI ? &flaky_output : NULL;
}
