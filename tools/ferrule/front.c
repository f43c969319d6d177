#include "front.h"

#include "report.h"

void announce(const fer_server *server, const char *address) {
    char found[4096];
    size_t size = sizeof found;

    if (fer_server_address(server, found, &size) == FER_OK) {
        report_note("listening at %s", found);
    } else {
        report_note("listening at %s", address);
    }
}

static int serve_any(fer_server *server, const fer_credentials *who, void *user) {
    (void)server;
    (void)who;
    (void)user;
    return 1;
}

int serve_all(fer_server *server) {
    fer_status status = fer_server_on_allow(server, serve_any, NULL, NULL);

    if (status != FER_OK) {
        report_status(status, "serve all users");
    }
    return status == FER_OK;
}
