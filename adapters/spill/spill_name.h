#ifndef TW_SPILL_NAME_H
#define TW_SPILL_NAME_H

#include <tumble/error.h>

enum { TW_SPILL_NAME_MAX = 512 };

/* An engine's name keeps to [0-9a-z/-]; anything else could leave the directory or the prefix. Errors: EINVAL. */
enum tumble_code tw_spill_name_check(const char *name, struct tumble_error *err);

#endif
