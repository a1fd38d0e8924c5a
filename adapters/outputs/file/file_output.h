#ifndef TUMBLE_FILE_OUTPUT_H
#define TUMBLE_FILE_OUTPUT_H

#include <tumble/output.h>

/* "file:PATH" and "-": rows appended as lines. Options: format = ndjson (default) | csv | table; width = columns of the
 * terminal (table). Devices, pipes and FIFOs are only written; a regular file is locked, appended to atomically per
 * flush, and after a crash holds exactly the rows that were committed (design R14). The checkpoint is the committed
 * length. */
extern const struct tumble_output_api tumble_file_output;

#endif
