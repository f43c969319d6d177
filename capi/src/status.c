#include "ferrule/status.h"

#include "impl/status.h"

const char *fer_status_name(fer_status status) {
    return fer__status_name(status);
}

const char *fer_status_text(fer_status status) {
    return fer__status_text(status);
}

int fer_status_errno(fer_status status) {
    return fer__status_errno(status);
}

const char *fer_status_detail(void) {
    return fer__status_detail();
}
