#ifndef TUMBLE_EMF_H
#define TUMBLE_EMF_H

#include <stdbool.h>

#include <stddef.h>
#include <stdint.h>

#include <tumble/alloc.h>
#include <tumble/error.h>

/* Metrics as one log line in CloudWatch's Embedded Metric Format: CloudWatch Logs takes it apart, so that metrics cost
 * no call. Every dimension, metric and property is a root member of the line's object, as the format demands. */

enum {
    TW_EMF_METRICS_MAX = 100,
    TW_EMF_DIMENSIONS_MAX = 30,
    TW_EMF_PROPERTIES_MAX = 32,
    TW_EMF_NAMESPACE_MAX = 256, /* CloudWatch's own; the format's document says 1024 */
    TW_EMF_NAME_MAX = 255,
    TW_EMF_VALUE_MAX = 1024 /* of a dimension */
};

struct tw_buf;

struct tw_emf_text {
    const char *name;
    const char *value; /* UTF-8 */
};

struct tw_emf_metric {
    const char *name;
    const char *unit; /* CloudWatch's: "Count", "Milliseconds", "Bytes"; NULL: None */
    double value;
};

struct tw_emf {
    const char *name_space;
    int64_t timestamp_ms;
    const struct tw_emf_text *dimensions; /* one set of them all; none: the metric stands for itself */
    size_t dimension_count;
    const struct tw_emf_metric *metrics;
    size_t metric_count;
    const struct tw_emf_text *properties; /* searchable, no metric and no dimension */
    size_t property_count;
};

/* Appends the line with its newline. A dimension without a value (NULL or "") is left out of the set, for CloudWatch
 * refuses the whole line otherwise. Errors: EINVAL (a name twice, or a limit of CloudWatch exceeded; nothing is
 * appended then), ENOMEM, ELIMIT. */
enum tumble_code tw_emf_append(const struct tw_emf *line, struct tw_buf *out, struct tumble_error *err);

/* Writes lines to a file descriptor (borrowed), one write a line. One thread. Errors: ENOMEM. */
struct tw_emf_writer;
enum tumble_code tw_emf_writer_open(int fd, struct tumble_alloc alloc, struct tw_emf_writer **out,
                                    struct tumble_error *err);
/* Errors: as tw_emf_append; EOUTPUT: not written. */
enum tumble_code tw_emf_write(struct tw_emf_writer *writer, const struct tw_emf *line, struct tumble_error *err);
void tw_emf_writer_close(struct tw_emf_writer *writer); /* NULL allowed */

/* Whether CloudWatch takes it: 1 to 256 of A-Z a-z 0-9 . - _ / # :, not beginning with "AWS/". */
bool tw_emf_namespace_ok(const char *name_space);

#endif
