#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ferrule.h"

static int is_quiet;

void report_set_quiet(int quiet) {
    is_quiet = quiet;
}

/* One write a line, so that lines of several programs on one terminal do not mix. */
static void print_line(const char *format, va_list arguments, const char *tail) {
    char line[4096];
    int size = snprintf(line, sizeof line, "ferrule: ");
    size_t used = (size_t)size;

    size = vsnprintf(line + used, sizeof line - used, format, arguments);
    if (size > 0) {
        used += (size_t)size;
        if (used >= sizeof line) {
            used = sizeof line - 1;
        }
    }
    snprintf(line + used, sizeof line - used, "%s", tail);
    fprintf(stderr, "%s\n", line);
}

void report_note(const char *format, ...) {
    va_list arguments;

    if (is_quiet) {
        return;
    }
    va_start(arguments, format);
    print_line(format, arguments, "");
    va_end(arguments);
}

void report(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments, "");
    va_end(arguments);
}

/* Whether the detail says no more than the status and the path that `what` names already. */
static int repeats(const char *detail, const char *text, const char *what) {
    const char *path = strchr(what, '/');

    return strstr(detail, text) != NULL && path != NULL && strstr(detail, path) != NULL;
}

void report_status(fer_status status, const char *format, ...) {
    char tail[1024];
    char what[2048];
    const char *detail = fer_status_detail();
    const char *text = fer_status_text(status);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (detail[0] == '\0' || repeats(detail, text, what)) {
        snprintf(tail, sizeof tail, "%s", text);
    } else if (strstr(detail, text) != NULL) {
        snprintf(tail, sizeof tail, "%s", detail);
    } else {
        snprintf(tail, sizeof tail, "%s: %s", text, detail);
    }
    report("%s: %s (%s)", what, tail, fer_status_name(status));
}

void report_errno(int number, const char *format, ...) {
    char tail[256];
    va_list arguments;

    snprintf(tail, sizeof tail, ": %s", strerror(number));
    va_start(arguments, format);
    print_line(format, arguments, tail);
    va_end(arguments);
}
