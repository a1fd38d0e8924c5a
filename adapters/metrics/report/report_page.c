#include "adapters/metrics/report/report_page.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "adapters/metrics/whole_file.h"
#include "engine/base/fail.h"

#define DATA_MARK "{{data}}"

extern const unsigned char tw_report_page[]; /* length 0: built without */
extern const size_t tw_report_page_length;

int tw_report_page_is_there(void) { return tw_report_page_length > 0; }

enum tumble_code tw_report_page_probe(const char *path, struct tumble_error *err) {
    if (!tw_report_page_is_there()) {
        return tw_fail(err, TUMBLE_EUSAGE,
                       "this tumble was built without its report page: build it with ./dev build, or with "
                       "cmake -DTUMBLE_REPORT_DIR=DIR where DIR/node_modules/uplot is (docs/report.md)");
    }
    return tw_whole_file_probe("report", path, err);
}

static void print(FILE *file, const void *what) {
    const struct tumble_bytes data = *(const struct tumble_bytes *)what;
    const char *page = (const char *)tw_report_page, *mark = strstr(page, DATA_MARK); /* a zero ends it */
    size_t before = mark ? (size_t)(mark - page) : tw_report_page_length;
    fwrite(page, 1, before, file);
    if (mark) {
        size_t behind = before + strlen(DATA_MARK);
        fwrite(data.data, 1, data.length, file);
        fwrite(page + behind, 1, tw_report_page_length - behind, file);
    }
}

enum tumble_code tw_report_page_write(const char *path, struct tumble_bytes data, struct tumble_error *err) {
    return tw_whole_file_write("report", path, print, &data, err);
}
