/* The rendezvous program in C. ../README.md describes it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ferrule.h"

enum { PRIME = 251, STEP = 31, TIMEOUT_MS = 20000 };

static void check(fer_status status, const char *what) {
    if (status != FER_OK) {
        fprintf(stderr, "%s: %s %s\n", what, fer_status_name(status), fer_status_detail());
        exit(1);
    }
}

static unsigned char byte_of(size_t number, size_t k) {
    return (unsigned char)((STEP * number + k) % PRIME);
}

static size_t echo(fer_ipc *ipc) {
    fer_message message;
    size_t count = 0;

    for (;;) {
        fer_status status = fer_ipc_read(ipc, TIMEOUT_MS, &message);

        if (status == FER_EOF) {
            return count;
        }
        check(status, "read");
        check(fer_ipc_write(ipc, message.data, message.size, TIMEOUT_MS), "write");
        count++;
    }
}

static void ping_one(fer_ipc *ipc, size_t number, size_t size) {
    unsigned char *bytes = malloc(size);
    fer_message message;

    if (bytes == NULL) {
        exit(1);
    }
    for (size_t k = 0; k < size; k++) {
        bytes[k] = byte_of(number, k);
    }
    check(fer_ipc_write(ipc, bytes, size, TIMEOUT_MS), "write");
    check(fer_ipc_read(ipc, TIMEOUT_MS, &message), "read");
    if (message.size != size || memcmp(message.data, bytes, size) != 0) {
        fprintf(stderr, "message %zu of %zu bytes came back otherwise\n", number, size);
        exit(1);
    }
    free(bytes);
}

static size_t ping(fer_ipc *ipc, const char *sizes) {
    size_t number = 0;

    while (*sizes != '\0') {
        char *end = NULL;
        size_t first = strtoul(sizes, &end, 10);
        size_t last = first;

        if (*end == '-') {
            last = strtoul(end + 1, &end, 10);
        }
        for (size_t size = first; size <= last; size++) {
            ping_one(ipc, number++, size);
        }
        sizes = *end == ',' ? end + 1 : end;
    }
    return number;
}

int main(int argc, char **argv) {
    fer_ipc *ipc = NULL;
    int makes = argc > 3 && strcmp(argv[1], "make") == 0;
    char **rest = makes ? argv + 3 : argv + 4;
    size_t count;

    if (argc < (makes ? 4 : 5)) {
        fprintf(stderr, "usage: ferrule_rendezvous make fifo|tcp ACTION | client IN OUT ACTION\n");
        return 2;
    }
    if (makes) {
        int32_t transport = strcmp(argv[2], "tcp") == 0 ? FER_IPC_TCP : FER_IPC_FIFO;

        check(fer_ipc_channel_new(transport, &ipc), "make");
        printf("at %s %s\n", fer_ipc_in_path(ipc), fer_ipc_out_path(ipc));
        fflush(stdout);
    } else {
        check(fer_ipc_client_new(argv[2], argv[3], &ipc), "make");
    }
    check(fer_ipc_connect(ipc, TIMEOUT_MS), "connect");
    count = strcmp(rest[0], "echo") == 0 ? echo(ipc) : ping(ipc, rest[1]);
    check(fer_ipc_close(ipc), "close");
    fer_ipc_free(ipc);
    printf("ok %zu\n", count);
    return 0;
}
