#ifndef TW_CLI_PLUGIN_LIST_H
#define TW_CLI_PLUGIN_LIST_H

#include "cli/option_table.h"
#include "runner/output_registry.h"

/* The outputs built in and those of --plugin. Plug-ins stay loaded until the process ends: their outputs may live that
 * long. Errors: EUSAGE, ENOMEM. */
enum tumble_code tw_outputs_load(const struct tw_list *plugins, struct tumble_output_registry **out,
                                 struct tumble_error *err);

#define TW_PLUGIN_OPTION(offset)                                                                                       \
    {                                                                                                                  \
        "plugin", 0, TW_OPTION_LIST, offset, "FILE",                                                                   \
            "load an output from a shared object, by its absolute path; repeatable", 0, 0, NULL                        \
    }

#endif
