#ifndef TW_BASE_NUMBER_TEXT_H
#define TW_BASE_NUMBER_TEXT_H

#include "engine/base/buf.h"
#include "engine/base/number.h"
#include "engine/base/ratio.h"
#include "engine/base/wide.h"

/* Decimal digits on their way to text: digits × 10^exponent, first digit not 0, at least one digit. */
struct tw_digits {
    const char *digits; /* '0' … '9', borrowed */
    size_t length;
    int exponent;
    bool negative;
};

/* tw_decimal_format for digits of any origin; at most 34 of them, the last one not 0. */
size_t tw_digits_format(const struct tw_digits *d, char out[TW_DECIMAL_TEXT]);

/* Appends the text of tw_decimal_format; of a count. Errors: ENOMEM, ELIMIT. */
enum tumble_code tw_buf_append_decimal(struct tw_buf *out, const struct tw_decimal *d);
enum tumble_code tw_buf_append_count(struct tw_buf *out, uint64_t count);

/* The text of a ratio, the one rounding an exact result ever sees:
 *   a value that ends within 34 significant digits: in full, as tw_decimal_format writes it;
 *   else the shortest digits that read back as the nearest double (of several the nearest to it), written likewise;
 *   else, where that double would be infinite or 0, 17 significant digits, half to even.
 * Independent of locale. Returns the length; not NUL-terminated. */
size_t tw_ratio_format(const struct tw_ratio *ratio, char out[TW_DECIMAL_TEXT]);
/* The same of wide / divisor (divisor > 0), which may be 0. */
size_t tw_wide_format(const struct tw_wide *wide, uint64_t divisor, char out[TW_DECIMAL_TEXT]);

#endif
