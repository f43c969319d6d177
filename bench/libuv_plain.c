/* Plain libuv, as a program that uses it without further thought does: one uv_write a message. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "common.h"

enum { HEADER = 4, READ_SIZE = 65536, QUEUE_BYTES = 1 << 20 };

static struct task task;
static struct tally tally;
static uv_loop_t *loop;
static uv_pipe_t listener;
static uv_pipe_t stream;
static uv_connect_t connecting;
static uint64_t sent;
static double started;
static int ending;

/* The message that is being put together from what reads bring. */
static unsigned char *inbox;
static size_t inbox_used;

/* A message on its way. Those that are done are kept for the next ones. */
struct letter {
    uv_write_t request;
    struct letter *next;
    unsigned char frame[];
};
static struct letter *spare;

static void check(int result, const char *what) {
    if (result < 0) {
        die(what, uv_strerror(result));
    }
}

static void feed(void);

static void on_written(uv_write_t *request, int status) {
    struct letter *letter = request->data;

    check(status, "write");
    letter->next = spare;
    spare = letter;
    if (!task.serves && task.streams) {
        feed();
    }
}

static void send_message(uint64_t number) {
    struct letter *letter = spare;
    uint32_t length = (uint32_t)task.size;
    uv_buf_t buffer;

    if (letter != NULL) {
        spare = letter->next;
    } else {
        letter = take_memory(sizeof *letter + HEADER + task.size);
        letter->request.data = letter;
    }
    memcpy(letter->frame, &length, HEADER);
    stamp(letter->frame + HEADER, number);
    buffer = uv_buf_init((char *)letter->frame, (unsigned)(HEADER + task.size));
    check(uv_write(&letter->request, (uv_stream_t *)&stream, &buffer, 1, on_written), "write");
}

static void finish(uv_shutdown_t *request, int status) {
    (void)request;
    check(status, "shutdown");
    print_result(&task, sent, now() - started);
    uv_close((uv_handle_t *)&stream, NULL);
}

/* Keep the queue filled until time is up. */
static void feed(void) {
    static uv_shutdown_t shutdown;

    while (!ending && uv_stream_get_write_queue_size((uv_stream_t *)&stream) < QUEUE_BYTES) {
        send_message(sent++);
        if (sent % CLOCK_EVERY == 0 && now() - started >= task.seconds) {
            ending = 1;
            check(uv_shutdown(&shutdown, (uv_stream_t *)&stream, finish), "shutdown");
        }
    }
}

static void on_message(const unsigned char *payload, size_t size) {
    tally_add(&tally, &task, payload, size);
    if (task.streams) {
        return;
    }
    if (task.serves) {
        send_message(tally.count - 1);
    } else if (tally.count % CLOCK_EVERY == 0 && now() - started >= task.seconds) {
        print_result(&task, tally.count, now() - started);
        uv_close((uv_handle_t *)&stream, NULL);
    } else {
        send_message(tally.count);
    }
}

/* Gather bytes until a message is complete. */
static void take_bytes(const unsigned char *bytes, size_t size) {
    while (size > 0) {
        size_t wanted = HEADER;
        size_t part;
        uint32_t length = 0;

        if (inbox_used >= HEADER) {
            memcpy(&length, inbox, HEADER);
            if (length != task.size) {
                die("read", "a broken message");
            }
            wanted += length;
        }
        part = wanted - inbox_used < size ? wanted - inbox_used : size;
        memcpy(inbox + inbox_used, bytes, part);
        inbox_used += part;
        bytes += part;
        size -= part;
        if (inbox_used == HEADER + task.size) {
            inbox_used = 0;
            on_message(inbox + HEADER, task.size);
        }
    }
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    static char bytes[READ_SIZE];

    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *from, ssize_t got, const uv_buf_t *buffer) {
    if (got == UV_EOF) {
        if (task.serves) {
            print_result(&task, tally.count, now() - tally.started);
        }
        if (!uv_is_closing((uv_handle_t *)from)) {
            uv_close((uv_handle_t *)from, NULL);
        }
        return;
    }
    check((int)got, "read");
    take_bytes((const unsigned char *)buffer->base, (size_t)got);
}

static void on_client(uv_stream_t *server, int status) {
    check(status, "listen");
    check(uv_pipe_init(loop, &stream, 0), "pipe");
    check(uv_accept(server, (uv_stream_t *)&stream), "accept");
    uv_close((uv_handle_t *)server, NULL);
    check(uv_read_start((uv_stream_t *)&stream, give_buffer, on_read), "read");
}

static void on_connected(uv_connect_t *request, int status) {
    (void)request;
    check(status, "connect");
    started = now();
    check(uv_read_start((uv_stream_t *)&stream, give_buffer, on_read), "read");
    if (task.streams) {
        feed();
    } else {
        send_message(0);
    }
}

int main(int argc, char **argv) {
    task_parse(&task, argc, argv, "rtt", "stream");
    loop = uv_default_loop();
    inbox = take_memory(HEADER + task.size);
    if (task.serves) {
        check(uv_pipe_init(loop, &listener, 0), "pipe");
        check(uv_pipe_bind(&listener, task.path), "bind");
        check(uv_listen((uv_stream_t *)&listener, 1, on_client), "listen");
        print_ready();
    } else {
        check(uv_pipe_init(loop, &stream, 0), "pipe");
        uv_pipe_connect(&connecting, &stream, task.path, on_connected);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    check(uv_loop_close(loop), "loop");
    return 0;
}
