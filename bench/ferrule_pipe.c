/* Ferrule's pipes with a loop on both sides: connections, and handles that are passed. */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "ferrule.h"

enum { UNDER_WAY = 64 }; /* handles whose callback has not come */

static struct task task;
static struct tally tally;
static fer_loop *loop;
static fer_handle *listener;
static fer_handle *stream;
static fer_handle *passed;
static unsigned char *bytes;
static uint64_t sent;
static int under_way;
static double started;
static double ended;

static void check(fer_status status, const char *what) {
    if (status != FER_OK) {
        fprintf(stderr, "bench: %s\n", fer_status_detail());
        die(what, fer_status_text(status));
    }
}

static fer_handle *new_pipe(void) {
    fer_handle *made = NULL;

    check(fer_pipe_new(loop, task.streams ? FER_PIPE_IPC : 0, &made), "pipe");
    return made;
}

static void end(fer_handle *handle) {
    check(fer_handle_close(handle, NULL, NULL), "close");
    fer_handle_unref(handle);
}

static void write_number(fer_handle *to, uint64_t number) {
    fer_bytes part;

    stamp(bytes, number);
    part.data = bytes;
    part.size = task.size;
    check(fer_stream_write(to, &part, 1, NULL, NULL), "write");
}

/* Connections: on each the server says its number, and both close. When time is up, it listens no more. */

static void greet(fer_handle *client) {
    if (sent == 0) {
        tally.started = now();
    }
    write_number(client, sent++);
    end(client);
    if (sent % CLOCK_EVERY == 0 && now() - tally.started >= task.seconds) {
        ended = now();
        end(listener);
    }
}

static void connect_next(void);

static void on_greeting(fer_handle *client, fer_status status, const void *data, size_t size,
                        void *user) {
    (void)user;
    end(client);
    if (status == FER_OK) {
        tally_add(&tally, &task, data, size);
        connect_next();
        return;
    }
    if (status != FER_EOF && status != FER_ECONNRESET) {
        check(status, "read");
    }
    ended = now();
}

static void on_connected(fer_handle *client, fer_status status, void *user) {
    (void)user;
    if (status == FER_ECONNREFUSED || status == FER_ECONNRESET || status == FER_ENOENT) {
        ended = now();
        end(client);
        return;
    }
    check(status, "connect");
    check(fer_stream_read_start(client, on_greeting, NULL, NULL), "read");
}

static void connect_next(void) {
    check(fer_pipe_connect(new_pipe(), task.path, FER_ZSTRING, on_connected, NULL), "connect");
}

/* Handles: each rides on a message of its own, and becomes an object of its own. */

static void on_parcel(fer_handle *from, fer_status status, const void *data, size_t size,
                      fer_kind pending, void *user) {
    fer_handle *taken;

    (void)user;
    if (status != FER_OK) {
        if (status != FER_EOF) {
            check(status, "read");
        }
        ended = now();
        end(from);
        return;
    }
    if (pending != FER_KIND_PIPE) {
        die("check", "a message without a handle");
    }
    tally_add(&tally, &task, data, size);
    check(fer_pipe_new(loop, 0, &taken), "pipe");
    check(fer_stream_accept(from, taken), "accept");
    end(taken);
}

static void feed(void);

static void on_passed(fer_handle *to, fer_status status, void *user) {
    (void)to;
    (void)user;
    check(status, "pass");
    under_way--;
    feed();
}

/* Without a copy, the bytes must stay until they are sent: as many as may be under way. */
static void feed(void) {
    while (passed != NULL && under_way < UNDER_WAY && fer_stream_write_queue_size(stream) == 0) {
        fer_bytes part;

        part.data = bytes + task.size * (sent % UNDER_WAY);
        part.size = task.size;
        stamp(bytes + task.size * (sent % UNDER_WAY), sent);
        check(fer_pipe_pass(stream, &part, 1, passed, on_passed, NULL), "pass");
        sent++;
        under_way++;
        if (sent % CLOCK_EVERY == 0 && now() - started >= task.seconds) {
            end(passed);
            passed = NULL;
        }
    }
    if (under_way == 0) {
        ended = now();
        end(stream);
    }
}

static void on_stream_connected(fer_handle *pipe, fer_status status, void *user) {
    fer_handle *other = NULL;

    (void)user;
    check(status, "connect");
    check(fer_pipe_pair(loop, 0, &passed, &other), "pair");
    end(other);
    stream = pipe;
    started = now();
    feed();
}

/* Both. */

static void on_connection(fer_handle *from, fer_status status, void *user) {
    fer_handle *client = new_pipe();

    (void)user;
    check(status, "connection");
    check(fer_stream_accept(from, client), "accept");
    if (task.streams) {
        check(fer_pipe_read_start2(client, on_parcel, NULL, NULL), "read");
        end(from);
        return;
    }
    greet(client);
}

int main(int argc, char **argv) {
    task_parse(&task, argc, argv, "connect", "pass");
    bytes = take_memory(task.size * UNDER_WAY);
    check(fer_loop_new(&loop), "loop");
    started = now();
    if (task.serves) {
        check(fer_pipe_new(loop, 0, &listener), "pipe");
        check(fer_pipe_bind(listener, task.path, FER_ZSTRING, NULL), "bind");
        check(fer_stream_listen(listener, 0, on_connection, NULL, NULL), "listen");
        print_ready();
    } else {
        check(fer_pipe_connect(new_pipe(), task.path, FER_ZSTRING,
                               task.streams ? on_stream_connected : on_connected, NULL),
              "connect");
    }
    check(fer_loop_run(loop), "run");
    print_result(&task, task.streams != task.serves ? sent : tally.count,
                 ended - (task.serves ? tally.started : started));
    check(fer_loop_close(loop), "loop");
    fer_loop_unref(loop);
    return 0;
}
