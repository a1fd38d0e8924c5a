#include "adapters/spill/spill_name.h"

#include <stdbool.h>
#include <string.h>

#include "engine/base/fail.h"

enum tumble_code tw_spill_name_check(const char *name, struct tumble_error *err) {
    size_t length = strlen(name);
    bool ok = length > 0 && length <= TW_SPILL_NAME_MAX && name[0] != '/' && name[length - 1] != '/' &&
              !strstr(name, "//") && strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz/-") == length;
    return ok ? TUMBLE_OK : tw_fail(err, TUMBLE_EINVAL, "spill store: \"%.100s\" is no name of an object", name);
}
