#include "cli/plugin_list.h"

#include <stdlib.h>

static struct tumble_output_registry *loaded;

static void unload(void) {
    tumble_output_registry_destroy(loaded);
    loaded = NULL;
}

enum tumble_code tw_outputs_load(const struct tw_list *plugins, struct tumble_output_registry **out,
                                 struct tumble_error *err) {
    if (loaded) { /* of this command, and so of the same list: a mapping's destination asks after its outputs */
        *out = loaded;
        return TUMBLE_OK;
    }
    enum tumble_code code = tumble_output_registry_new(&loaded, err);
    if (code == TUMBLE_OK) {
        atexit(unload);
    }
    for (size_t i = 0; code == TUMBLE_OK && plugins && i < plugins->count; i++) {
        code = tumble_output_registry_load(loaded, plugins->items[i], err);
    }
    *out = loaded;
    return code;
}
