/* Plain libuv's pipes: connections, and handles that are passed. */
#include <stdlib.h>

#include <uv.h>

#include "common.h"

enum { READ_SIZE = 65536, BACKLOG = 511, UNDER_WAY = 64 };

static struct task task;
static struct tally tally;
static uv_loop_t *loop;
static uv_pipe_t listener;
static uv_pipe_t passed;
static uv_pipe_t stream;
static unsigned char *bytes;
static uint64_t sent;
static int under_way;
static int ending;
static double started;
static double ended;

static void check(int result, const char *what) {
    if (result < 0) {
        die(what, uv_strerror(result));
    }
}

static void on_closed(uv_handle_t *handle) {
    free(handle);
}

static void end(uv_stream_t *handle) {
    uv_close((uv_handle_t *)handle, on_closed);
}

static uv_pipe_t *new_pipe(int ipc) {
    uv_pipe_t *made = take_memory(sizeof *made);

    check(uv_pipe_init(loop, made, ipc), "pipe");
    return made;
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    static char room[READ_SIZE];

    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(room, sizeof room);
}

static void on_written(uv_write_t *request, int status) {
    check(status, "write");
    free(request);
}

static void write_number(uv_stream_t *to, uint64_t number) {
    uv_write_t *request = take_memory(sizeof *request);
    uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)task.size);

    stamp(bytes, number);
    check(uv_write(request, to, &buffer, 1, on_written), "write");
}

/* Connections: on each the server says its number, and both close. When time is up, it listens no more. */

static void greet(uv_stream_t *client) {
    if (sent == 0) {
        tally.started = now();
    }
    write_number(client, sent++);
    end(client);
    if (sent % CLOCK_EVERY == 0 && now() - tally.started >= task.seconds) {
        ended = now();
        uv_close((uv_handle_t *)&listener, NULL);
    }
}

static void connect_next(void);

static void on_greeting(uv_stream_t *client, ssize_t got, const uv_buf_t *buffer) {
    end(client);
    if (got >= 0) {
        tally_add(&tally, &task, buffer->base, (size_t)got);
        connect_next();
        return;
    }
    if (got != UV_EOF && got != UV_ECONNRESET) {
        check((int)got, "read");
    }
    ended = now();
}

static void on_connected(uv_connect_t *request, int status) {
    uv_stream_t *client = request->handle;

    free(request);
    if (status == UV_ECONNREFUSED || status == UV_ECONNRESET || status == UV_ENOENT) {
        ended = now();
        end(client);
        return;
    }
    check(status, "connect");
    check(uv_read_start(client, give_buffer, on_greeting), "read");
}

static void connect_next(void) {
    uv_pipe_connect(take_memory(sizeof(uv_connect_t)), new_pipe(0), task.path, on_connected);
}

/* Handles: each rides on a message of its own, and becomes an object of its own. libuv before 1.52 may
 * lose the last ones of a stream that ends behind them: a message without a handle tells the end. */

static void on_parcel(uv_stream_t *from, ssize_t got, const uv_buf_t *buffer) {
    uv_pipe_t *taken;

    check((int)got, "read");
    if (uv_pipe_pending_count((uv_pipe_t *)from) == 0) {
        ended = now();
        end(from);
        return;
    }
    if (uv_pipe_pending_type((uv_pipe_t *)from) != UV_NAMED_PIPE) {
        die("check", "a message without a handle");
    }
    tally_add(&tally, &task, buffer->base, (size_t)got);
    taken = new_pipe(0);
    check(uv_accept(from, (uv_stream_t *)taken), "accept");
    end((uv_stream_t *)taken);
}

static void feed(void);

static void on_passed(uv_write_t *request, int status) {
    check(status, "pass");
    free(request);
    under_way--;
    feed();
}

static void on_end(uv_stream_t *from, ssize_t got, const uv_buf_t *buffer) {
    (void)buffer;
    if (got != UV_EOF) {
        die("check", "something came back");
    }
    uv_close((uv_handle_t *)from, NULL);
    uv_close((uv_handle_t *)&passed, NULL);
}

static void feed(void) {
    while (!ending && under_way < UNDER_WAY &&
           uv_stream_get_write_queue_size((uv_stream_t *)&stream) == 0) {
        unsigned char *slot = bytes + task.size * (sent % UNDER_WAY);
        uv_buf_t buffer = uv_buf_init((char *)slot, (unsigned)task.size);

        stamp(slot, sent);
        check(uv_write2(take_memory(sizeof(uv_write_t)), (uv_stream_t *)&stream, &buffer, 1,
                        (uv_stream_t *)&passed, on_passed),
              "pass");
        sent++;
        under_way++;
        if (sent % CLOCK_EVERY == 0 && now() - started >= task.seconds) {
            ending = 1;
        }
    }
    if (under_way == 0) {
        ended = now();
        check(uv_read_start((uv_stream_t *)&stream, give_buffer, on_end), "read");
        write_number((uv_stream_t *)&stream, sent);
    }
}

static void on_stream_connected(uv_connect_t *request, int status) {
    uv_file pair[2];

    check(status, "connect");
    free(request);
    check(uv_socketpair(SOCK_STREAM, 0, pair, 0, 0), "pair");
    check(uv_pipe_init(loop, &passed, 0), "pipe");
    check(uv_pipe_open(&passed, pair[0]), "open");
    started = now();
    feed();
}

/* Both. */

static void on_connection(uv_stream_t *from, int status) {
    uv_pipe_t *client = new_pipe(task.streams);

    check(status, "connection");
    check(uv_accept(from, (uv_stream_t *)client), "accept");
    if (!task.streams) {
        greet((uv_stream_t *)client);
        return;
    }
    check(uv_read_start((uv_stream_t *)client, give_buffer, on_parcel), "read");
    uv_close((uv_handle_t *)&listener, NULL);
}

int main(int argc, char **argv) {
    task_parse(&task, argc, argv, "connect", "pass");
    loop = uv_default_loop();
    bytes = take_memory(task.size * UNDER_WAY);
    started = now();
    if (task.serves) {
        check(uv_pipe_init(loop, &listener, 0), "pipe");
        check(uv_pipe_bind(&listener, task.path), "bind");
        check(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "listen");
        print_ready();
    } else if (task.streams) {
        check(uv_pipe_init(loop, &stream, 1), "pipe");
        uv_pipe_connect(take_memory(sizeof(uv_connect_t)), &stream, task.path, on_stream_connected);
    } else {
        connect_next();
    }
    uv_run(loop, UV_RUN_DEFAULT);
    print_result(&task, task.streams != task.serves ? sent : tally.count,
                 ended - (task.serves ? tally.started : started));
    check(uv_loop_close(loop), "loop");
    return 0;
}
