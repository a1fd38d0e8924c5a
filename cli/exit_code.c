#include "cli/exit_code.h"

#include "cli/terminal_text.h"

enum tw_exit tw_exit_of(enum tumble_code code) {
    switch (code) {
    case TUMBLE_OK: return TW_EXIT_OK;
    case TUMBLE_EUSAGE:
    case TUMBLE_ESPEC:
    case TUMBLE_EPATTERN:
    case TUMBLE_EPATH: return TW_EXIT_USAGE;
    case TUMBLE_EINPUT:
    case TUMBLE_ECAPTURE:
    case TUMBLE_EORDER:
    case TUMBLE_ECOMPRESS:
    case TUMBLE_EMORE:
    case TUMBLE_EJSON: /* malformed input whose records cannot be found; a record that is bad by itself is ERECORD */
    case TUMBLE_EUTF8:
    case TUMBLE_EDEPTH:
    case TUMBLE_EEVENT:
    case TUMBLE_ESEQUENCE: return TW_EXIT_INPUT;
    case TUMBLE_EOUTPUT:
    case TUMBLE_EREFUSED: return TW_EXIT_OUTPUT;
    case TUMBLE_ESTORE:
    case TUMBLE_EBUSY:
    case TUMBLE_EFULL:
    case TUMBLE_ECORRUPT:
    case TUMBLE_EVERSION:
    case TUMBLE_EMISMATCH: return TW_EXIT_STATE;
    default: return TW_EXIT_RECORD;
    }
}

int tw_exit_with(const struct tumble_error *err) {
    tw_say("%s", err->text[0] ? err->text : tumble_code_text(err->code));
    return (int)tw_exit_of(err->code);
}
