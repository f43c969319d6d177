/* What idle connections of pipes cost in memory: as ferrule_idle, with pipes. */
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "usage.h"

static fer_loop *loop;
static fer_handle **pipes;
static size_t wanted;
static size_t opened;
static struct usage before;
static const char *path;
static int serves;

static void connect_next(void);

/* All are open and have been used: print what they cost, then let go of them. */
static void finish(void) {
    usage_print(&before, wanted - FIRST);
    check(fer_loop_close_objects(loop), "close");
}

static void on_read(fer_handle *pipe, fer_status status, const void *data, size_t size,
                    void *user) {
    fer_bytes part = {data, size};

    (void)user;
    if (status != FER_OK) {
        /* At the end either side may see the other's go first. */
        return;
    }
    if (serves) {
        check(fer_stream_write(pipe, &part, 1, NULL, NULL), "write");
    }
    if (opened == FIRST) {
        before = usage_now();
    }
    if (opened == wanted) {
        finish();
    } else if (!serves) {
        connect_next();
    }
}

static void on_connection(fer_handle *listener, fer_status status, void *user) {
    (void)user;
    check(status, "connection");
    check(fer_pipe_new(loop, 0, &pipes[opened]), "pipe");
    check(fer_stream_accept(listener, pipes[opened]), "accept");
    check(fer_stream_read_start(pipes[opened], on_read, NULL, NULL), "read");
    opened++;
}

static void on_connected(fer_handle *pipe, fer_status status, void *user) {
    fer_bytes part = {"hello", 5};

    (void)user;
    check(status, "connect");
    opened++;
    check(fer_stream_read_start(pipe, on_read, NULL, NULL), "read");
    check(fer_stream_write(pipe, &part, 1, NULL, NULL), "write");
}

static void connect_next(void) {
    check(fer_pipe_new(loop, 0, &pipes[opened]), "pipe");
    check(fer_pipe_connect(pipes[opened], path, FER_ZSTRING, on_connected, NULL), "connect");
}

int main(int argc, char **argv) {
    fer_handle *listener = NULL;

    if (argc != 4) {
        die("usage", "ferrule_idle_pipe serve|drive PATH COUNT");
    }
    serves = strcmp(argv[1], "serve") == 0;
    path = argv[2];
    wanted = FIRST + (size_t)strtoull(argv[3], NULL, 10);
    pipes = take_memory(wanted * sizeof *pipes);
    usage_start();
    check(fer_loop_new(&loop), "loop");
    if (serves) {
        check(fer_pipe_new(loop, 0, &listener), "pipe");
        check(fer_pipe_bind(listener, path, FER_ZSTRING, NULL), "bind");
        check(fer_stream_listen(listener, 0, on_connection, NULL, NULL), "listen");
        print_ready();
    } else {
        connect_next();
    }
    check(fer_loop_run(loop), "run");
    for (size_t i = 0; i < wanted; i++) {
        fer_handle_unref(pipes[i]);
    }
    fer_handle_unref(listener);
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    usage_end();
    free(pipes);
    return 0;
}
