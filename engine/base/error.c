#include <tumble/error.h>

#include <stddef.h>

static const struct {
    enum tumble_code code;
    int retryable;
    const char *name;
    const char *text;
} codes[] = {
#define XX(name, value, retry, text) {TUMBLE_##name, retry, #name, text},
    TUMBLE_ERROR_MAP(XX)
#undef XX
};

static size_t find(enum tumble_code code) {
    size_t i = 0;
    while (i < sizeof codes / sizeof *codes && codes[i].code != code) {
        i++;
    }
    return i;
}

const char *tumble_code_name(enum tumble_code code) {
    size_t i = find(code);
    return i < sizeof codes / sizeof *codes ? codes[i].name : "UNKNOWN";
}

const char *tumble_code_text(enum tumble_code code) {
    size_t i = find(code);
    return i < sizeof codes / sizeof *codes ? codes[i].text : "unknown error";
}

int tumble_code_retryable(enum tumble_code code) {
    size_t i = find(code);
    return i < sizeof codes / sizeof *codes && codes[i].retryable;
}
