#include "runner/duration_model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <tumble/projection.h>

#include "adapters/inputs/capture/capture_fields.h"
#include "runner/memory.h"

enum { ROUNDS = 20000, FILE_BYTES = 4096 };

static const double LONGEST_US = 900e6; /* Lambda's longest time-out: no part is more */
static const double ENOUGH = 1e-12;     /* change of a part, of its weight, at which the fit ends */
static const double FAR = 3;            /* times what is foretold: a sample that was disturbed */
static const double LEAST_US = 0.1;     /* foretold, where it divides */

static const char *const names[TUMBLE_DURATION_PARTS] = {"invocation_us", "record_us",   "payload_kb_us",
                                                         "state_kb_us",   "final_kb_us", "first_us",
                                                         "growth_kb_us",  "idle_us",     "idle_record_us"};

struct tumble_duration_load tumble_duration_load_of(uint64_t records, uint64_t payload_bytes, uint64_t state_in_bytes,
                                                    uint64_t state_out_bytes, int is_final) {
    return (struct tumble_duration_load){{1, (double)records, (double)payload_bytes / 1000,
                                          (double)(state_in_bytes + state_out_bytes) / 1000,
                                          is_final ? (double)state_in_bytes / 1000 : 0}};
}

void tumble_duration_in_sandbox(struct tumble_duration_sandbox *sandbox, int64_t idle_ms,
                                struct tumble_duration_load *load) {
    int idled = !sandbox->is_warm || idle_ms >= TUMBLE_DURATION_IDLE_MS;
    load->of[TUMBLE_DURATION_IDLE] = idled;
    load->of[TUMBLE_DURATION_IDLE_RECORD] = idled ? load->of[TUMBLE_DURATION_RECORD] : 0;
    double payload_kb = load->of[TUMBLE_DURATION_PAYLOAD_KB], growth_kb = payload_kb - sandbox->most_payload_kb;
    load->of[TUMBLE_DURATION_FIRST] = !sandbox->is_warm;
    load->of[TUMBLE_DURATION_GROWTH_KB] = growth_kb > 0 ? growth_kb : 0;
    sandbox->is_warm = 1;
    sandbox->most_payload_kb = growth_kb > 0 ? payload_kb : sandbox->most_payload_kb;
}

double tumble_duration_us(const struct tumble_duration_model *model, const struct tumble_duration_load *load) {
    double sum = 0;
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        sum += model->us[i] * load->of[i];
    }
    return sum;
}

/* ---- fitting ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double miss_of(const struct tumble_duration_sample *sample, const struct tumble_duration_model *model) {
    return fabs(tumble_duration_us(model, &sample->load) - sample->us) / sample->us;
}

static double median_miss(const struct tumble_duration_sample *samples, size_t count,
                          const struct tumble_duration_model *model, double *misses) {
    for (size_t i = 0; i < count; i++) {
        misses[i] = miss_of(&samples[i], model);
    }
    qsort(misses, count, sizeof *misses, ascending);
    return misses[count / 2];
}

/* Least squares of relative misses under "no part below zero", by going round the parts (coordinate descent: the sum is
 * convex, so it gets there). Parts are scaled to the same length first, or it would take long.
 * Without before, misses are relative to what each sample took, so that disturbed ones hardly count; with it, to
 * what that foretells, which has the mean of like samples as its best fit and not less; those far beyond are left out.
 */
static void fit(const struct tumble_duration_sample *samples, size_t count, const struct tumble_duration_model *before,
                struct tumble_duration_model *out) {
    double gram[TUMBLE_DURATION_PARTS][TUMBLE_DURATION_PARTS] = {{0}};
    double right[TUMBLE_DURATION_PARTS] = {0}, length[TUMBLE_DURATION_PARTS], x[TUMBLE_DURATION_PARTS] = {0};
    for (size_t s = 0; s < count; s++) {
        double foretold = before ? fmax(tumble_duration_us(before, &samples[s].load), LEAST_US) : samples[s].us;
        double weight = samples[s].us > FAR * foretold ? 0 : 1 / foretold;
        for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
            double a = samples[s].load.of[i] * weight;
            right[i] += a * samples[s].us * weight;
            for (int k = 0; k < TUMBLE_DURATION_PARTS; k++) {
                gram[i][k] += a * samples[s].load.of[k] * weight;
            }
        }
    }
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        length[i] = sqrt(gram[i][i]);
    }
    double moved = 1;
    for (int round = 0; round < ROUNDS && moved > ENOUGH; round++) {
        moved = 0;
        for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
            if (!(length[i] > 0)) {
                continue; /* no sample has it */
            }
            double rest = right[i] / length[i];
            for (int k = 0; k < TUMBLE_DURATION_PARTS; k++) {
                rest -= k != i && length[k] > 0 ? gram[i][k] / (length[i] * length[k]) * x[k] : 0;
            }
            double next = rest > 0 ? rest : 0;
            moved = fmax(moved, fabs(next - x[i]));
            x[i] = next;
        }
    }
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        out->us[i] = length[i] > 0 ? x[i] / length[i] : 0;
    }
}

/* Twice: what disturbed an invocation altogether does not count the second time. */
enum tumble_code tumble_duration_fit(const struct tumble_duration_sample *samples, size_t count,
                                     struct tumble_duration_model *out, struct tumble_error *err) {
    struct tumble_duration_model first;
    memset(out, 0, sizeof *out);
    memset(&first, 0, sizeof first);
    double *misses = tumble_runner_alloc((count + 1) * sizeof *misses);
    if (count == 0 || !misses) {
        tumble_runner_free(misses);
        return count ? tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory")
                     : tumble_runner_fail(err, TUMBLE_EINVAL, "no invocation was timed");
    }
    fit(samples, count, NULL, &first);
    fit(samples, count, &first, out);
    out->samples = count;
    out->median_miss = median_miss(samples, count, out, misses);
    tumble_runner_free(misses);
    return TUMBLE_OK;
}

/* ---- as a file ---- */

void tumble_duration_model_print(FILE *to, const struct tumble_duration_model *model) {
    fputc('{', to);
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        fprintf(to, "%s\"%s\": %.6g", i ? ", " : "", names[i], model->us[i]);
    }
    fputc('}', to);
}

static enum tumble_code read_parts(const char *path, struct tumble_bytes json, struct tumble_duration_model *out,
                                   struct tumble_error *err) {
    struct tumble_projection *projection = NULL;
    struct tumble_value values[TUMBLE_DURATION_PARTS];
    struct tumble_error why = {.text = ""};
    struct tumble_alloc alloc = {0};
    enum tumble_code code = tumble_capture_fields_new(names, TUMBLE_DURATION_PARTS, alloc, &projection, err);
    if (code != TUMBLE_OK) {
        return code;
    }
    code = tumble_project(projection, json, 1, values, NULL, &why);
    tumble_capture_fields_destroy(projection);
    if (code != TUMBLE_OK) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "duration model %.200s: %.200s", path, why.text);
    }
    for (int i = 0; i < TUMBLE_DURATION_PARTS; i++) {
        char text[64] = "";
        if (values[i].type == TUMBLE_TYPE_NUMBER && values[i].length < sizeof text) {
            memcpy(text, values[i].text, values[i].length);
        }
        out->us[i] = text[0] ? strtod(text, NULL) : -1;
        if (!(out->us[i] >= 0) || !(out->us[i] <= LONGEST_US)) {
            return tumble_runner_fail(
                err, TUMBLE_EUSAGE, "duration model %.200s: \"%s\" is to be a number of microseconds", path, names[i]);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_duration_model_load(const char *path, struct tumble_duration_model *out,
                                            struct tumble_error *err) {
    char text[FILE_BYTES];
    memset(out, 0, sizeof *out);
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "duration model %.200s: %s", path, strerror(errno));
    }
    size_t length = fread(text, 1, sizeof text, file);
    int failed = ferror(file);
    fclose(file);
    if (failed || length == sizeof text) {
        return tumble_runner_fail(err, TUMBLE_EUSAGE, "duration model %.200s: cannot be read, or is too large", path);
    }
    return read_parts(path, (struct tumble_bytes){text, length}, out, err);
}
