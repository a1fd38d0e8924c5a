#ifndef TW_CLI_EMULATION_SUMMARY_H
#define TW_CLI_EMULATION_SUMMARY_H

#include <stdio.h>

#include "emulator/faults.h"
#include "emulator/runtime_api/process_function.h"
#include "runner/emulate.h"
#include "runner/engine_function.h"

/* What is to be told of a run; NULL: there was none. */
struct tw_emulation_figures {
    const struct tumble_emulate_summary *run;
    const struct tumble_process_figures *process;
    const struct tumble_engine_function_figures *engine;
    const struct tumble_faults *faults;
    enum tumble_code code;
};

/* Prints the figures (a struct tw_emulation_figures) as one JSON object. */
void tw_emulation_summary_print(FILE *to, const void *figures);

/* As one JSON object: metrics by AWS's names, then figures of our own. Errors: EOUTPUT. */
enum tumble_code tw_emulation_summary_write(const char *path, const struct tw_emulation_figures *figures,
                                            struct tumble_error *err);
/* "3,600 records → 61 invocations, 2 errors, 60 windows, 0.12 s" on stderr. */
void tw_emulation_summary_say(const struct tw_emulation_figures *figures);

#endif
