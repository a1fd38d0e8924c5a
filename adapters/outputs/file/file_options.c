#include "adapters/outputs/file/file_options.h"

#include <string.h>

#include "engine/base/fail.h"

static const char *const formats[] = {
    [TW_FILE_NDJSON] = "ndjson", [TW_FILE_CSV] = "csv", [TW_FILE_TABLE] = "table", NULL};

const struct tumble_output_option tw_file_option_table[TW_FILE_OPTIONS] = {
    {.name = "format",
     .type = TUMBLE_OPTION_ENUM,
     .default_value = "ndjson",
     .help = "how rows are written (table on a terminal, csv where the name ends in .csv)",
     .words = formats},
    {.name = "width",
     .type = TUMBLE_OPTION_INTEGER,
     .default_value = "0",
     .help = "columns of the terminal that a table is for (0: not known)",
     .maximum = 100000},
};

enum tumble_code tw_file_options_read(const struct tumble_option_value *options, size_t count, const char *name,
                                      struct tw_file_options *out, struct tumble_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (!options[i].value) {
            continue;
        }
        if (strcmp(options[i].name, "format") == 0) {
            size_t format = 0;
            while (formats[format] && strcmp(formats[format], options[i].value) != 0) {
                format++;
            }
            if (!formats[format]) {
                return tw_fail(err, TUMBLE_EUSAGE, "%s: unknown format \"%s\": it is ndjson, csv or table", name,
                               options[i].value);
            }
            out->format = (enum tw_file_format)format;
        } else if (strcmp(options[i].name, "width") == 0) {
            out->width = options[i].number > 0 ? (uint32_t)options[i].number : 0;
        } else {
            return tw_fail(err, TUMBLE_EUSAGE, "%s: unknown option \"%s\": a file takes format and width", name,
                           options[i].name);
        }
    }
    return TUMBLE_OK;
}
