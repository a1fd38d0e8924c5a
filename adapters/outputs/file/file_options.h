#ifndef TW_FILE_OPTIONS_H
#define TW_FILE_OPTIONS_H

#include <tumble/output.h>

enum tw_file_format { TW_FILE_NDJSON, TW_FILE_CSV, TW_FILE_TABLE };

enum { TW_FILE_OPTIONS = 2 };
extern const struct tumble_output_option tw_file_option_table[TW_FILE_OPTIONS];

/* What a file output is told behind the question mark of its URI. */
struct tw_file_options {
    enum tw_file_format format;
    uint32_t width; /* columns of the terminal that a table is for; 0: not known */
};

/* Reads the options; of one given twice the last counts. name is the output's, for messages. Errors: EUSAGE, naming
 * what is known. */
enum tumble_code tw_file_options_read(const struct tumble_option_value *options, size_t count, const char *name,
                                      struct tw_file_options *out, struct tumble_error *err);

#endif
