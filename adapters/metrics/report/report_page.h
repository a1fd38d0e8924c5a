#ifndef TUMBLE_REPORT_PAGE_H
#define TUMBLE_REPORT_PAGE_H

/* The page that shows a run: one file, that asks nobody for anything. It is put together by the build, of page.html and
 * its companions here and of uPlot from npm; without that package there is none. */

#include <tumble/bytes.h>
#include <tumble/error.h>

int tw_report_page_is_there(void);

/* Whether a report can be written to path at a run's end. Errors: EUSAGE (this program has no page), EOUTPUT. */
enum tumble_code tw_report_page_probe(const char *path, struct tumble_error *err);

/* Writes the page with data in it, as tw_report_json gives it: whole or not at all. Errors: EUSAGE, EOUTPUT. */
enum tumble_code tw_report_page_write(const char *path, struct tumble_bytes data, struct tumble_error *err);

#endif
