#include "adapters/outputs/file/file_options.h"

#include <stdlib.h>
#include <string.h>

#include "adapters/outputs/file/file_output.h"
#include "engine/base/fail.h"

enum { WIDTH_MAX = 100000 };

static enum tumble_code read_format(const char *value, const char *name, struct tw_file_options *out,
                                    struct tumble_error *err) {
    static const char *const formats[] = {
        [TW_FILE_NDJSON] = "ndjson", [TW_FILE_CSV] = "csv", [TW_FILE_TABLE] = "table"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(value, formats[i]) == 0) {
            out->format = (enum tw_file_format)i;
            return TUMBLE_OK;
        }
    }
    return tw_fail(err, TUMBLE_EUSAGE, "%s: unknown format \"%s\": it is ndjson, csv or table", name, value);
}

static enum tumble_code read_width(const char *value, const char *name, struct tw_file_options *out,
                                   struct tumble_error *err) {
    char *end = NULL;
    unsigned long columns = value[0] >= '0' && value[0] <= '9' ? strtoul(value, &end, 10) : 0;
    if (!end || *end != '\0' || columns > WIDTH_MAX) {
        return tw_fail(err, TUMBLE_EUSAGE, "%s: width \"%s\" is not a number of columns (0 to %d)", name, value,
                       WIDTH_MAX);
    }
    out->width = (uint32_t)columns;
    return TUMBLE_OK;
}

enum tumble_code tw_file_options_read(const struct tumble_option_value *options, size_t count, const char *name,
                                      struct tw_file_options *out, struct tumble_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, "format") == 0) {
            TW_TRY(read_format(options[i].value, name, out, err));
        } else if (strcmp(options[i].name, "width") == 0) {
            TW_TRY(read_width(options[i].value, name, out, err));
        } else {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: unknown option \"%s\": a file takes format and width", name,
                           options[i].name);
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_file_output_check(const struct tumble_option_value *options, size_t count, const char *name,
                                          struct tumble_error *err) {
    struct tw_file_options unused = {TW_FILE_NDJSON, 0};
    return tw_file_options_read(options, count, name, &unused, err);
}
