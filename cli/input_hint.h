#ifndef TW_CLI_INPUT_HINT_H
#define TW_CLI_INPUT_HINT_H

#include <stdbool.h>
#include <stddef.h>

/* Looks at the beginning of an input that was read as payloads and gave no record, for what it may be instead: an event
 * of another service, or one document around the array of the records. Writes a line for people into out and returns
 * true; false: nothing to tell (also for compressed files, pipes and standard input). */
bool tw_input_hint(const char *path, char *out, size_t size);

#endif
