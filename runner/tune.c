#include "runner/tune.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "runner/memory.h"
#include "runner/tune_internal.h"
#include "runner/workers.h"

static const double DAY_MS = 86400000.0;

enum { DEFAULT_MEMORY_LIMIT = 2000000000, SHARDS_MOST = 5000 };

struct tuning {
    const struct tumble_tune_options *options;
    struct tumble_tune_result *result;
    struct tumble_tune_grid grid;
    struct tumble_tune_shards *shards[TUMBLE_TUNE_VALUES_MAX]; /* one for each number of them */
    pthread_mutex_t lock;                                      /* of what follows */
    uint32_t done;
    enum tumble_code code; /* the first error */
    struct tumble_error err;
    atomic_int is_over;
};

double tumble_tune_per_day(const struct tumble_tune_capture *capture, double count) {
    return count * DAY_MS / (double)(capture->last_arrival_ms - capture->first_arrival_ms);
}

/* ---- the grid ---- */

struct parameter {
    const char *flag;
    size_t offset;
    uint32_t least, most;
    struct tumble_tune_values standard;
};

#define AT(name) offsetof(struct tumble_tune_grid, name)

static const struct parameter parameters[] = {
    {"batch-size", AT(batch_sizes), 1, 10000, {{100, 1000, 10000}, 3}},
    {"maximum-batching-window-in-seconds", AT(batching_windows), 0, 300, {{0, 1, 5}, 3}},
    {"memory", AT(memory_mb), 128, 10240, {{128, 256, 512, 1769}, 4}},
    {"shards", AT(shards), 1, 10000, {{0}, 0}},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

static enum tumble_code check_values(const struct parameter *parameter, const struct tumble_tune_values *values,
                                     struct tumble_error *err) {
    for (size_t i = 0; i < values->count; i++) {
        uint32_t value = values->items[i];
        if (value < parameter->least || value > parameter->most) {
            return tumble_runner_fail(err, TUMBLE_EUSAGE, "--%s %u: from %u to %u", parameter->flag, value,
                                      parameter->least, parameter->most);
        }
        for (size_t k = 0; k < i; k++) {
            if (values->items[k] == value) {
                return tumble_runner_fail(err, TUMBLE_EUSAGE, "--%s: %u stands there twice", parameter->flag, value);
            }
        }
    }
    return TUMBLE_OK;
}

static enum tumble_code fill_grid(struct tuning *tuning, struct tumble_error *err) {
    tuning->grid = *tuning->options->grid;
    size_t points = 1;
    for (size_t i = 0; i < PARAMETERS; i++) {
        struct tumble_tune_values *values = (void *)((char *)&tuning->grid + parameters[i].offset);
        enum tumble_code code = check_values(&parameters[i], values, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        if (values->count == 0) {
            *values = parameters[i].standard;
        }
        points *= values->count ? values->count : 2; /* of shards: as many as it takes, and twice as many */
    }
    if (points > TUMBLE_TUNE_POINTS_MAX) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "%zu points: at most %d are allowed; name fewer values", points,
                                  TUMBLE_TUNE_POINTS_MAX);
    }
    return TUMBLE_OK;
}

static uint32_t parts(uint64_t what, uint64_t part) { return (uint32_t)((what + part - 1) / part); }

/* As few as take the busiest second of every shard; more than four times as many as an even spread would need are not
 * looked at: then it is a few keys that are too busy. */
static enum tumble_code find_least(const struct tuning *tuning, uint32_t *out, struct tumble_error *err) {
    const struct tumble_tune_capture *capture = &tuning->result->capture;
    uint32_t by_records = parts(capture->busiest_second_records, TUMBLE_SHARD_RECORDS_PER_SECOND);
    uint32_t by_bytes = parts(capture->busiest_second_bytes, TUMBLE_SHARD_BYTES_PER_SECOND);
    uint32_t least = by_records > by_bytes ? by_records : by_bytes;
    least = least < 1 ? 1 : least > SHARDS_MOST ? SHARDS_MOST : least;
    for (uint32_t count = least; count <= 4 * least && count <= SHARDS_MOST; count += (count + 3) / 4) {
        struct tumble_tune_shards *shards = NULL;
        enum tumble_code code = tumble_tune_shards_new(tuning->result->records, count, &shards, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        int is_enough = tumble_tune_shards_load(shards)->crowded_seconds == 0;
        tumble_tune_shards_free(shards);
        if (is_enough) {
            least = count;
            break;
        }
    }
    *out = least;
    return TUMBLE_OK;
}

/* As the capture names them; else as few as it takes, and twice as many. */
static enum tumble_code choose_shards(struct tuning *tuning, struct tumble_error *err) {
    struct tumble_tune_values *values = &tuning->grid.shards;
    if (values->count) {
        return TUMBLE_OK;
    }
    values->count = 1;
    if (tuning->result->capture.named_shards) {
        return TUMBLE_OK;
    }
    enum tumble_code code = find_least(tuning, &values->items[0], err);
    values->items[values->count++] = 2 * values->items[0];
    return code;
}

static enum tumble_code spread(struct tuning *tuning, struct tumble_error *err) {
    enum tumble_code code = choose_shards(tuning, err);
    for (size_t i = 0; i < tuning->grid.shards.count && code == TUMBLE_OK; i++) {
        code = tumble_tune_shards_new(tuning->result->records, tuning->grid.shards.items[i], &tuning->shards[i], err);
    }
    return code;
}

static enum tumble_code list_points(struct tuning *tuning, struct tumble_error *err) {
    const struct tumble_tune_grid *grid = &tuning->grid;
    struct tumble_tune_result *result = tuning->result;
    uint32_t at = 0;
    result->point_count =
        (uint32_t)(grid->shards.count * grid->memory_mb.count * grid->batch_sizes.count * grid->batching_windows.count);
    result->points = tumble_runner_alloc(result->point_count * sizeof *result->points);
    if (!result->points) {
        result->point_count = 0;
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    for (size_t s = 0; s < grid->shards.count; s++) {
        for (size_t m = 0; m < grid->memory_mb.count; m++) {
            for (size_t b = 0; b < grid->batch_sizes.count; b++) {
                for (size_t w = 0; w < grid->batching_windows.count; w++) {
                    result->points[at++] =
                        (struct tumble_tune_point){.shards = grid->shards.items[s],
                                                   .memory_mb = grid->memory_mb.items[m],
                                                   .batch_size = grid->batch_sizes.items[b],
                                                   .batching_window = grid->batching_windows.items[w]};
                }
            }
        }
    }
    return TUMBLE_OK;
}

/* ---- running ---- */

static int is_interrupted(const struct tuning *tuning) {
    const struct tumble_tune_options *options = tuning->options;
    return options->interrupted && options->interrupted(options->interrupted_ctx);
}

static void end_point(struct tuning *tuning, enum tumble_code code, const struct tumble_error *err) {
    const struct tumble_tune_options *options = tuning->options;
    pthread_mutex_lock(&tuning->lock);
    if (code != TUMBLE_OK && tuning->code == TUMBLE_OK) {
        tuning->code = code;
        tuning->err = *err;
        atomic_store(&tuning->is_over, 1);
    }
    tuning->done++;
    if (options->progress) {
        options->progress(options->progress_ctx, tuning->done, tuning->result->point_count);
    }
    pthread_mutex_unlock(&tuning->lock);
}

static const struct tumble_tune_shards *shards_of(const struct tuning *tuning, uint32_t item) {
    return tuning->shards[item / (tuning->result->point_count / tuning->grid.shards.count)];
}

static void run_point(void *ctx, uint32_t item) {
    struct tuning *tuning = ctx;
    struct tumble_error err = {.byte = -1, .record = -1};
    if (atomic_load(&tuning->is_over) || is_interrupted(tuning)) {
        return;
    }
    struct tumble_tune_point *point = &tuning->result->points[item];
    end_point(tuning, tw_tune_point_run(tuning->options, tuning->result, shards_of(tuning, item), NULL, point, &err),
              &err);
}

static void run_foreign_point(struct tuning *tuning, uint32_t item) {
    const struct tumble_tune_options *options = tuning->options;
    struct tumble_tune_point *point = &tuning->result->points[item];
    struct tumble_error err = {.byte = -1, .record = -1};
    struct tumble_emulated_function function;
    enum tumble_code code = options->function_open(options->function_ctx, point->memory_mb, &function, &err);
    if (code == TUMBLE_OK) {
        code = tw_tune_point_run(options, tuning->result, shards_of(tuning, item), &function, point, &err);
        options->function_close(options->function_ctx);
    }
    if (code == TUMBLE_EINTERRUPTED && is_interrupted(tuning)) {
        code = TUMBLE_OK;
        point->was_run = 0;
    }
    end_point(tuning, code, &err);
}

static enum tumble_code run_all(struct tuning *tuning, struct tumble_error *err) {
    const struct tumble_tune_options *options = tuning->options;
    uint32_t count = tuning->result->point_count;
    if (options->function_open) {
        for (uint32_t i = 0; i < count && tuning->code == TUMBLE_OK && !is_interrupted(tuning); i++) {
            run_foreign_point(tuning, i);
        }
    } else {
        struct tumble_workers *workers = NULL;
        enum tumble_code code = tumble_workers_new(options->threads ? options->threads : 1, &workers, err);
        if (code != TUMBLE_OK) {
            return code;
        }
        tumble_workers_run(workers, count, run_point, tuning);
        tumble_workers_destroy(workers);
    }
    if (tuning->code != TUMBLE_OK && err) {
        *err = tuning->err;
    }
    return tuning->code;
}

static enum tumble_code read_capture(struct tuning *tuning, struct tumble_error *err) {
    const struct tumble_tune_options *options = tuning->options;
    struct tumble_tune_result *result = tuning->result;
    struct tumble_capture_stream_options source = options->source;
    size_t limit = options->memory_limit_bytes ? options->memory_limit_bytes : DEFAULT_MEMORY_LIMIT;
    source.shards = 0;
    source.holds_all = 0;
    source.stopping = options->interrupted;
    source.stopping_ctx = options->interrupted_ctx;
    enum tumble_code code = tumble_tune_records_read(&source, limit, &result->records, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    result->capture = *tumble_tune_records_capture(result->records);
    if (result->capture.last_arrival_ms == result->capture.first_arrival_ms) {
        return tumble_runner_fail(err, TUMBLE_ECAPTURE,
                                  "all records of the capture came at the same time: that says nothing about a day");
    }
    return TUMBLE_OK;
}

static enum tumble_code time_function(struct tuning *tuning, uint32_t batch_size_most, struct tumble_error *err) {
    const struct tumble_tune_options *options = tuning->options;
    struct tumble_tune_result *result = tuning->result;
    struct tumble_emulated_function function;
    enum tumble_code code = TUMBLE_OK;
    result->is_timed = 1;
    if (options->function_open) {
        code = options->function_open(options->function_ctx, TUMBLE_TUNE_VCPU_MB, &function, err);
    }
    if (code == TUMBLE_OK) {
        code = tw_tune_time_function(options, options->function_open ? &function : NULL, tuning->shards[0],
                                     batch_size_most, result->capture.start_ms, &result->model, err);
        if (options->function_open) {
            options->function_close(options->function_ctx);
        }
    }
    return code;
}

static enum tumble_code reckon_durations(struct tuning *tuning, struct tumble_error *err) {
    const struct tumble_tune_options *options = tuning->options;
    uint32_t most = 0;
    if (options->model) {
        tuning->result->model = *options->model;
        return TUMBLE_OK;
    }
    if (options->duration_us > 0) {
        return TUMBLE_OK;
    }
    for (size_t i = 0; i < tuning->grid.batch_sizes.count; i++) {
        most = tuning->grid.batch_sizes.items[i] > most ? tuning->grid.batch_sizes.items[i] : most;
    }
    return time_function(tuning, most, err);
}

static enum tumble_code tune(struct tuning *tuning, struct tumble_error *err) {
    enum tumble_code code = fill_grid(tuning, err);
    if (code == TUMBLE_OK) {
        code = read_capture(tuning, err);
    }
    if (code == TUMBLE_OK) {
        code = spread(tuning, err);
    }
    if (code == TUMBLE_OK) {
        code = list_points(tuning, err);
    }
    if (code == TUMBLE_OK) {
        code = reckon_durations(tuning, err);
    }
    return code == TUMBLE_OK ? run_all(tuning, err) : code;
}

enum tumble_code tumble_tune(const struct tumble_tune_options *options, struct tumble_tune_result *result,
                             struct tumble_error *err) {
    struct tuning tuning = {.options = options, .result = result, .lock = PTHREAD_MUTEX_INITIALIZER};
    memset(result, 0, sizeof *result);
    result->chosen = result->least_age = -1;
    enum tumble_code code = tune(&tuning, err);
    if (is_interrupted(&tuning)) {
        result->stopped = 1;
        code = code == TUMBLE_EINTERRUPTED ? TUMBLE_OK : code;
    }
    if (code == TUMBLE_OK && !result->stopped) {
        tumble_tune_pareto(result->points, result->point_count, options->mode);
        result->chosen = tumble_tune_choose(result->points, result->point_count, options->mode, options->objective,
                                            options->max_iterator_age_ms);
        result->least_age = tw_tune_least_age(result->points, result->point_count);
    }
    for (size_t i = 0; i < tuning.grid.shards.count; i++) {
        tumble_tune_shards_free(tuning.shards[i]);
    }
    pthread_mutex_destroy(&tuning.lock);
    return code;
}

void tumble_tune_result_clean_up(struct tumble_tune_result *result) {
    tumble_runner_free(result->points);
    tumble_tune_records_free(result->records);
    memset(result, 0, sizeof *result);
}
