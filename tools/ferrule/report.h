/**
 * What the command says to the person who runs it, and how it ends.
 */
#ifndef FERRULE_TOOL_REPORT_H
#define FERRULE_TOOL_REPORT_H

#include "ferrule/status.h"

/** The exit codes of the command; docs/command.md lists them. RESULT_INTERRUPTED is none: the process
 * ends by the signal that interrupted it. */
enum { RESULT_OK = 0, RESULT_FAILED = 1, RESULT_USAGE = 2, RESULT_INTERRUPTED = 3 };

#if defined(__GNUC__)
#define REPORT_FORMAT(text, first) __attribute__((format(printf, text, first)))
#else
#define REPORT_FORMAT(format, first)
#endif

/** Do not print what report_note() says. */
void report_set_quiet(int quiet);

/** Something worth knowing that is no failure: "ferrule: …" on standard error. */
void report_note(const char *format, ...) REPORT_FORMAT(1, 2);

/** A failure: "ferrule: …" on standard error. */
void report(const char *format, ...) REPORT_FORMAT(1, 2);

/** A failure of the library: "ferrule: WHAT: text: detail (FER_NAME)". Call it before any other call
 * of the library, which would replace the detail. */
void report_status(fer_status status, const char *format, ...) REPORT_FORMAT(2, 3);

/** A failure of the system: "ferrule: WHAT: strerror(number)". */
void report_errno(int number, const char *format, ...) REPORT_FORMAT(2, 3);

#endif
