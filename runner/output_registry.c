#include "runner/output_registry.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <tumble/delivery.h>

#include "runner/memory.h"
#include "runner/output_option.h"

enum { PLUGINS_MAX = 32 };

struct plugin {
    const struct tumble_output_api *api;
    char *path;
    void *handle;
};

struct tumble_output_registry {
    struct plugin plugins[PLUGINS_MAX];
    size_t plugin_count;
    size_t builtin_count;
};

/* Everything about a table that can be wrong before it is used: its defaults too. */
static enum tumble_code check_table(const struct tumble_output_api *api, struct tumble_error *err) {
    enum tumble_code code = tumble_output_check(api, err);
    for (size_t i = 0; code == TUMBLE_OK && i < api->option_count; i++) {
        struct tumble_option_value unused;
        const struct tumble_output_option *option = &api->options[i];
        if (option->default_value) {
            code = tumble_output_option_read(option, option->default_value, "a default of its table", &unused, err);
        }
    }
    return code;
}

enum tumble_code tumble_output_registry_new(struct tumble_output_registry **out, struct tumble_error *err) {
    struct tumble_output_registry *registry = tumble_runner_alloc(sizeof *registry);
    *out = NULL;
    if (!registry) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    enum tumble_code code = TUMBLE_OK;
    for (; tumble_builtin_outputs[registry->builtin_count] && code == TUMBLE_OK; registry->builtin_count++) {
        code = check_table(tumble_builtin_outputs[registry->builtin_count], err);
    }
    if (code != TUMBLE_OK) {
        tumble_output_registry_destroy(registry);
        return code;
    }
    *out = registry;
    return TUMBLE_OK;
}

void tumble_output_registry_destroy(struct tumble_output_registry *registry) {
    for (size_t i = 0; registry && i < registry->plugin_count; i++) {
        dlclose(registry->plugins[i].handle);
        tumble_runner_free(registry->plugins[i].path);
    }
    tumble_runner_free(registry);
}

int tumble_output_registry_at(const struct tumble_output_registry *registry, size_t index,
                              struct tumble_registered_output *out) {
    if (index < registry->builtin_count) {
        out->api = tumble_builtin_outputs[index];
        out->plugin = NULL;
        return 1;
    }
    index -= registry->builtin_count;
    if (index >= registry->plugin_count) {
        return 0;
    }
    out->api = registry->plugins[index].api;
    out->plugin = registry->plugins[index].path;
    return 1;
}

/* ---- plug-ins ---- */

static enum tumble_code refuse(struct tumble_error *err, const char *path, const char *why) {
    return tumble_runner_fail(err, TUMBLE_EUSAGE, "plug-in %.120s: %.180s", path, why);
}

static enum tumble_code take_table(struct tumble_output_registry *registry, struct plugin *plugin,
                                   struct tumble_error *err) {
    tumble_output_plugin_fn *get;
    void *symbol = dlsym(plugin->handle, TUMBLE_OUTPUT_SYMBOL);
    if (!symbol) {
        return refuse(err, plugin->path, "it does not export " TUMBLE_OUTPUT_SYMBOL ": it is no output of tumble");
    }
    memcpy(&get, &symbol, sizeof get); /* as POSIX has it: a function's address in a void pointer */
    plugin->api = get(TUMBLE_OUTPUT_ABI);
    if (!plugin->api) {
        return refuse(err, plugin->path, "it has no output for this tumble's version of the output ABI");
    }
    struct tumble_error why = {.byte = -1, .record = -1};
    if (check_table(plugin->api, &why) != TUMBLE_OK) {
        return refuse(err, plugin->path, why.text);
    }
    struct tumble_registered_output other;
    for (size_t i = 0; tumble_output_registry_at(registry, i, &other); i++) {
        if (strcmp(other.api->name, plugin->api->name) == 0) {
            return tumble_runner_fail(err, TUMBLE_EUSAGE,
                                      "plug-in %.120s: there is an output called %s already (%.120s)", plugin->path,
                                      other.api->name, other.plugin ? other.plugin : "built in");
        }
    }
    return TUMBLE_OK;
}

enum tumble_code tumble_output_registry_load(struct tumble_output_registry *registry, const char *path,
                                             struct tumble_error *err) {
    if (path[0] != '/') {
        return refuse(err, path, "give its absolute path, so that no other can be found in its place");
    }
    if (registry->plugin_count == PLUGINS_MAX) {
        return refuse(err, path, "there are 32 already, the most there may be");
    }
    struct plugin plugin = {.path = tumble_runner_format("%s", path)};
    if (!plugin.path) {
        return tumble_runner_fail(err, TUMBLE_ENOMEM, "out of memory");
    }
    plugin.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    enum tumble_code code = TUMBLE_OK;
    if (!plugin.handle) {
        const char *why = dlerror();
        size_t length = strlen(path);
        if (why && strncmp(why, path, length) == 0 && strncmp(why + length, ": ", 2) == 0) {
            why += length + 2; /* it names the path itself */
        }
        code = refuse(err, path, why ? why : "it cannot be loaded");
    } else {
        code = take_table(registry, &plugin, err);
    }
    if (code != TUMBLE_OK) {
        if (plugin.handle) {
            dlclose(plugin.handle);
        }
        tumble_runner_free(plugin.path);
        return code;
    }
    registry->plugins[registry->plugin_count++] = plugin;
    return TUMBLE_OK;
}
