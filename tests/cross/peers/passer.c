/* The peer program in C that passes handles. ../README.md describes its arguments and its output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ferrule.h"

static const char host[] = "127.0.0.1";

enum kind { TCP_CONNECTION, TCP_BOUND, TCP_LISTENING, UDP, PIPE_CONNECTION, PIPE_LISTENER, KINDS };

static const char *const kind_names[KINDS] = {
    "tcp-connection", "tcp-bound", "tcp-listening", "udp", "pipe-connection", "pipe-listener",
};

/** The state of either side. What comes is put together in `text`. */
struct passer {
    fer_loop *loop;
    fer_handle *listener;
    fer_handle *pipe;  /**< over which the handle goes */
    fer_handle *first; /**< the handle */
    fer_handle *far;   /**< the other end of it, or what connects to it */
    enum kind kind;
    char path[4096]; /**< of a passed listener */
    uint16_t port;
    char text[16];
    size_t size;
    const char *served; /**< the word for the kind that arrived */
    int relays;         /**< the handle is passed on, not served with */
    int done;
};

static void give_up(fer_status status, const char *what) {
    fprintf(stderr, "passer: %s: %s: %s (%s)\n", what, fer_status_text(status), fer_status_detail(),
            fer_status_name(status));
    exit(1);
}

static void need(fer_status status, const char *what) {
    if (status != FER_OK) {
        give_up(status, what);
    }
}

static void say(const char *line) {
    printf("%s\n", line);
    fflush(stdout);
}

static fer_bytes text(const char *word) {
    fer_bytes bytes;

    bytes.data = word;
    bytes.size = strlen(word);
    return bytes;
}

/** Close a handle, and drop it. */
static void drop(fer_handle **handle) {
    if (*handle != NULL) {
        fer_handle_close(*handle, NULL, NULL);
        fer_handle_unref(*handle);
        *handle = NULL;
    }
}

static void run_until(struct passer *passer, const int *done) {
    while (!*done) {
        need(fer_loop_step(passer->loop, -1), "step");
    }
}

/* Proving, on the side that gives. */

static void add(struct passer *passer, const void *data, size_t size) {
    if (passer->size + size >= sizeof passer->text) {
        give_up(FER_EPROTO, "too much came");
    }
    memcpy(passer->text + passer->size, data, size);
    passer->size += size;
}

static void expect(const struct passer *passer, const char *wanted) {
    if (passer->size != strlen(wanted) || memcmp(passer->text, wanted, passer->size) != 0) {
        give_up(FER_EPROTO, "something else came");
    }
}

static void on_served(fer_handle *stream, fer_status status, const void *data, size_t size,
                      void *user) {
    struct passer *passer = user;

    (void)stream;
    if (status == FER_OK) {
        add(passer, data, size);
        return;
    }
    if (status != FER_EOF) {
        give_up(status, "read");
    }
    expect(passer, "served\n");
    passer->done = 1;
}

static void connect_far(struct passer *passer);

static void on_far_connected(fer_handle *stream, fer_status status, void *user) {
    struct passer *passer = user;

    if (status == FER_ECONNREFUSED && passer->kind == TCP_BOUND) {
        /* A socket that is bound only refuses, until who got it listens. */
        connect_far(passer);
        return;
    }
    need(status, "connect to the passed listener");
    need(fer_stream_read_start(stream, on_served, passer, NULL), "read");
}

static void connect_far(struct passer *passer) {
    drop(&passer->far);
    if (passer->kind == PIPE_LISTENER) {
        need(fer_pipe_new(passer->loop, 0, &passer->far), "pipe");
        need(fer_pipe_connect(passer->far, passer->path, FER_ZSTRING, on_far_connected, passer),
             "connect");
    } else {
        need(fer_tcp_new(passer->loop, 0, &passer->far), "tcp");
        need(fer_tcp_connect(passer->far, host, passer->port, on_far_connected, passer), "connect");
    }
}

static void on_pong(fer_handle *udp, fer_status status, const fer_datagram *datagram, void *user) {
    struct passer *passer = user;

    (void)udp;
    need(status, "receive");
    add(passer, datagram->data, datagram->size);
    expect(passer, "pong");
    passer->done = 1;
}

static void send_ping(struct passer *passer) {
    fer_bytes ping = text("ping");

    need(fer_udp_new(passer->loop, 0, &passer->far), "udp");
    need(fer_udp_bind(passer->far, host, 0, 0), "bind");
    need(fer_udp_receive_start(passer->far, on_pong, passer, NULL), "receive");
    need(fer_udp_send(passer->far, &ping, 1, host, passer->port, NULL, NULL), "send");
}

static void prove(struct passer *passer) {
    if (passer->kind == UDP) {
        send_ping(passer);
    } else if (passer->far != NULL) {
        need(fer_stream_read_start(passer->far, on_served, passer, NULL), "read");
    } else {
        connect_far(passer);
    }
    run_until(passer, &passer->done);
}

/* Giving. */

static void on_flag(fer_handle *stream, fer_status status, void *user) {
    (void)stream;
    need(status, "connect or pass");
    *(int *)user = 1;
}

static void on_far_waits(fer_handle *listener, fer_status status, void *user) {
    struct passer *passer = user;

    need(status, "listen");
    need(fer_tcp_new(passer->loop, 0, &passer->far), "tcp");
    need(fer_stream_accept(listener, passer->far), "accept");
}

static void on_nobody(fer_handle *listener, fer_status status, void *user) {
    (void)listener;
    (void)status;
    (void)user;
}

static void make_tcp(struct passer *passer) {
    char bound[FER_HOST_MAX];
    fer_handle *listener = NULL;
    int connected = 0;

    need(fer_tcp_new(passer->loop, 0, &listener), "tcp");
    need(fer_tcp_bind(listener, host, 0, 0), "bind");
    need(fer_inet_getsockname(listener, bound, &passer->port), "getsockname");
    if (passer->kind == TCP_LISTENING) {
        need(fer_stream_listen(listener, 0, on_nobody, NULL, NULL), "listen");
    }
    if (passer->kind != TCP_CONNECTION) {
        passer->first = listener;
        return;
    }
    need(fer_stream_listen(listener, 0, on_far_waits, passer, NULL), "listen");
    need(fer_tcp_new(passer->loop, 0, &passer->first), "tcp");
    need(fer_tcp_connect(passer->first, host, passer->port, on_flag, &connected), "connect");
    while (!connected || passer->far == NULL) {
        need(fer_loop_step(passer->loop, -1), "step");
    }
    drop(&listener);
}

static void make_first(struct passer *passer, const char *path) {
    static const fer_bind_options defaults = FER_BIND_OPTIONS_INIT;
    char bound[FER_HOST_MAX];
    fer_bind_options options = defaults;

    switch (passer->kind) {
    case UDP:
        need(fer_udp_new(passer->loop, 0, &passer->first), "udp");
        need(fer_udp_bind(passer->first, host, 0, 0), "bind");
        need(fer_inet_getsockname(passer->first, bound, &passer->port), "getsockname");
        break;
    case PIPE_CONNECTION:
        need(fer_pipe_pair(passer->loop, 0, &passer->first, &passer->far), "pair");
        break;
    case PIPE_LISTENER:
        if (strlen(path) + sizeof ".passed" > sizeof passer->path) {
            give_up(FER_ENAMETOOLONG, path);
        }
        sprintf(passer->path, "%s.passed", path);
        options.flags = FER_BIND_KEEP_FILE;
        need(fer_pipe_new(passer->loop, 0, &passer->first), "pipe");
        need(fer_pipe_bind(passer->first, passer->path, FER_ZSTRING, &options), "bind");
        break;
    default: make_tcp(passer);
    }
}

static void connect_pipe(struct passer *passer, const char *path) {
    int connected = 0;

    need(fer_pipe_new(passer->loop, FER_PIPE_IPC, &passer->pipe), "pipe");
    need(fer_pipe_connect(passer->pipe, path, FER_ZSTRING, on_flag, &connected), "connect");
    run_until(passer, &connected);
}

static void pass_first(struct passer *passer) {
    fer_bytes byte = text("h");
    int passed = 0;

    need(fer_pipe_pass(passer->pipe, &byte, 1, passer->first, on_flag, &passed), "pass");
    run_until(passer, &passed);
    /* The receiver alone has it from now on. */
    drop(&passer->first);
}

static void give(struct passer *passer, const char *path) {
    connect_pipe(passer, path);
    make_first(passer, path);
    pass_first(passer);
    prove(passer);
    say("ok");
}

/* Taking. */

static void on_answered(fer_handle *handle, fer_status status, void *user) {
    struct passer *passer = user;

    (void)handle;
    need(status, "answer");
    passer->done = 1;
}

static void answer(struct passer *passer, fer_handle *stream) {
    fer_bytes served = text("served\n");

    need(fer_stream_write(stream, &served, 1, NULL, NULL), "write");
    need(fer_stream_shutdown(stream, on_answered, passer), "shutdown");
}

static void on_client(fer_handle *listener, fer_status status, void *user) {
    struct passer *passer = user;

    need(status, "listen");
    if (fer_handle_kind(listener) == FER_KIND_TCP) {
        need(fer_tcp_new(passer->loop, 0, &passer->far), "tcp");
    } else {
        need(fer_pipe_new(passer->loop, 0, &passer->far), "pipe");
    }
    need(fer_stream_accept(listener, passer->far), "accept");
    answer(passer, passer->far);
}

static void on_ping(fer_handle *udp, fer_status status, const fer_datagram *datagram, void *user) {
    struct passer *passer = user;
    fer_bytes pong = text("pong");

    need(status, "receive");
    add(passer, datagram->data, datagram->size);
    expect(passer, "ping");
    need(fer_udp_send(udp, &pong, 1, datagram->host, datagram->port, on_answered, passer), "send");
}

static int is_connection(const fer_handle *stream, fer_kind kind) {
    char name[FER_HOST_MAX];
    char path[4096];
    size_t size = sizeof path;
    uint16_t port = 0;

    return (kind == FER_KIND_TCP ? fer_inet_getpeername(stream, name, &port)
                                 : fer_pipe_getpeername(stream, path, &size)) == FER_OK;
}

static const char *word_for(fer_kind kind) {
    if (kind == FER_KIND_UDP) {
        return "ok udp";
    }
    return kind == FER_KIND_TCP ? "ok tcp" : "ok pipe";
}

static void serve(struct passer *passer, fer_kind kind) {
    if (kind == FER_KIND_UDP) {
        need(fer_udp_receive_start(passer->first, on_ping, passer, NULL), "receive");
    } else if (is_connection(passer->first, kind)) {
        answer(passer, passer->first);
    } else {
        need(fer_stream_listen(passer->first, 0, on_client, passer, NULL), "listen");
    }
}

static void on_read2(fer_handle *pipe, fer_status status, const void *data, size_t size,
                     fer_kind pending, void *user) {
    struct passer *passer = user;

    (void)data;
    (void)size;
    if (passer->first != NULL) {
        /* The giver may end before the answer is told to be out. */
        return;
    }
    need(status, "read");
    if (pending == FER_KIND_TCP) {
        need(fer_tcp_new(passer->loop, 0, &passer->first), "tcp");
    } else if (pending == FER_KIND_UDP) {
        need(fer_udp_new(passer->loop, 0, &passer->first), "udp");
    } else {
        need(fer_pipe_new(passer->loop, 0, &passer->first), "pipe");
    }
    need(fer_stream_accept(pipe, passer->first), "accept the handle");
    passer->served = word_for(pending);
    if (passer->relays) {
        need(fer_stream_read_stop(pipe), "stop");
        passer->done = 1;
        return;
    }
    serve(passer, pending);
}

static void on_giver(fer_handle *listener, fer_status status, void *user) {
    struct passer *passer = user;

    need(status, "listen");
    if (passer->pipe != NULL) {
        return;
    }
    need(fer_pipe_new(passer->loop, FER_PIPE_IPC, &passer->pipe), "pipe");
    need(fer_stream_accept(listener, passer->pipe), "accept");
    need(fer_pipe_read_start2(passer->pipe, on_read2, passer, NULL), "read");
}

static void take(struct passer *passer, const char *path) {
    need(fer_pipe_new(passer->loop, 0, &passer->listener), "pipe");
    need(fer_pipe_bind(passer->listener, path, FER_ZSTRING, NULL), "bind");
    need(fer_stream_listen(passer->listener, 0, on_giver, passer, NULL), "listen");
    say("ready");
    run_until(passer, &passer->done);
}

/* Taking, and passing on. */

static void relay(struct passer *passer, const char *path, const char *onward) {
    passer->relays = 1;
    take(passer, path);
    drop(&passer->pipe);
    connect_pipe(passer, onward);
    pass_first(passer);
}

static int usage(void) {
    fprintf(stderr, "usage: ferrule_passer give PATH KIND\n       ferrule_passer take PATH\n"
                    "       ferrule_passer relay PATH ONWARD\n");
    return 2;
}

static int find_kind(const char *name, enum kind *kind) {
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(name, kind_names[i]) == 0) {
            *kind = (enum kind)i;
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    struct passer passer;
    int gives = argc == 4 && strcmp(argv[1], "give") == 0;
    int relays = argc == 4 && strcmp(argv[1], "relay") == 0;
    int takes = argc == 3 && strcmp(argv[1], "take") == 0;

    memset(&passer, 0, sizeof passer);
    if (gives ? !find_kind(argv[3], &passer.kind) : !takes && !relays) {
        return usage();
    }
    need(fer_loop_new(&passer.loop), "loop");
    if (gives) {
        give(&passer, argv[2]);
    } else {
        if (relays) {
            relay(&passer, argv[2], argv[3]);
        } else {
            take(&passer, argv[2]);
        }
        say(passer.served);
    }
    drop(&passer.first);
    drop(&passer.far);
    drop(&passer.pipe);
    drop(&passer.listener);
    need(fer_loop_run(passer.loop), "run");
    need(fer_loop_close(passer.loop), "close the loop");
    fer_loop_unref(passer.loop);
    return 0;
}
