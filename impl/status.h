/**
 * Statuses: from the platform's errors, and the text that says what was wrong. Pure: no I/O, no uv.
 */
#ifndef FER_IMPL_STATUS_H
#define FER_IMPL_STATUS_H

#include "ferrule/status.h"

/** The status for a positive errno value; FER_EUNKNOWN for one that has none. */
fer_status fer__status_from_errno(int number);

/** The work of the functions of ferrule/status.h. */
const char *fer__status_name(fer_status status);
const char *fer__status_text(fer_status status);
int fer__status_errno(fer_status status);
const char *fer__status_detail(void);

#if defined(__GNUC__)
#define FER__PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define FER__PRINTF(text, first)
#endif

/** Return `status`, and let fer_status_detail() say the text made of `format`. */
fer_status fer__fail(fer_status status, const char *format, ...) FER__PRINTF(2, 3);

/** Return `status`, and let fer_status_detail() be empty. */
fer_status fer__fail_plain(fer_status status);

/** What fer_status_detail() said, for a status that is told later. */
typedef struct fer__detail {
    char text[256];
} fer__detail;

void fer__detail_keep(fer__detail *kept);

/** Return `status`, and let fer_status_detail() say what was kept. */
fer_status fer__fail_kept(fer_status status, const fer__detail *kept);

#endif
