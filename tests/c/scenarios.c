/* Whole uses of the library, for the tests of failures: loops and pipes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include "scenarios.h"

#include <stdlib.h>
#include <string.h>

#include "scenarios_channel.h"
#include "scenarios_sync.h"

#define MIB ((size_t)1 << 20)

int failed(outcome *to, fer_status status) {
    if (status != FER_OK && to->status == FER_OK)
        to->status = status;
    assert_int_not_equal(status, FER_EUNKNOWN);
    return status != FER_OK;
}

void wait_for(fer_loop *loop, const int *one, const int *other) {
    const int64_t end = now_ms() + HARNESS_PATIENCE_MS;
    while (!*one && !*other) {
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
        if (now_ms() > end)
            fail_msg("neither an end nor a failure came");
    }
}

/* Posts, and pipes. */

static void use_a_loop(outcome *to) {
    fer_loop *loop = NULL;
    noted posted[3] = {{0}, {0}, {0}};
    int accepted[3];
    if (failed(to, fer_loop_new(&loop))) {
        assert_null(loop);
        return;
    }
    for (int i = 0; i < 3; i++)
        accepted[i] = !failed(to, fer_loop_post(loop, note_posted, &posted[i]));
    assert_int_equal(fer_loop_run(loop), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(posted[i].calls, accepted[i]);
    end_loop(loop);
    to->complete = to->status == FER_OK;
}

typedef struct talk {
    outcome *to;
    fer_loop *loop;
    fer_handle *listener;
    fer_handle *client;
    fer_handle *taken;
    int came; /* a client was taken, or will not be */
    noted connected;
    noted written[4];
    int accepted[4];
    noted shut;
    int shut_accepted;
    noted closed;
    inbox box;
} talk;

static void take(fer_handle *listener, fer_status status, void *user) {
    talk *all = user;
    if (!failed(all->to, status))
        status = fer_pipe_new(all->loop, 0, &all->taken);
    if (status == FER_OK)
        status = fer_stream_accept(listener, all->taken);
    (void)failed(all->to, status);
    all->came = 1;
}

static void connect_pipes(talk *all) {
    fer_bind_options options = FER_BIND_OPTIONS_INIT;
    if (failed(all->to, fer_pipe_new(all->loop, 0, &all->listener)) ||
        failed(all->to, fer_pipe_bind(all->listener, harness_path("p"), FER_ZSTRING, &options)) ||
        failed(all->to, fer_stream_listen(all->listener, 0, take, all, NULL)) ||
        failed(all->to, fer_pipe_new(all->loop, 0, &all->client)) ||
        failed(all->to, fer_pipe_connect(all->client, harness_path("p"), FER_ZSTRING, note_stream,
                                         &all->connected)))
        return;
    wait_for(all->loop, &all->connected.calls, &all->connected.calls);
    if (!failed(all->to, all->connected.status))
        wait_for(all->loop, &all->came, &all->came);
}

/* Four writes: small and large, copied and not. Those that were refused must not arrive. */
static void write_all(talk *all, const uint8_t *data) {
    static const size_t sizes[4] = {10, 2 * MIB, 2 * MIB, 70000};
    uint8_t *expected = malloc(5 * MIB);
    size_t size = 0;
    if (failed(all->to, fer_stream_read_start(all->taken, inbox_read, &all->box, NULL))) {
        free(expected);
        return;
    }
    for (int i = 0; i < 4; i++) {
        const fer_bytes parts[2] = {{data + i, 1}, {data + i + 1, sizes[i] - 1}};
        const int wants = i == 0 || i == 2;
        fer_status status = fer_stream_write(all->client, parts, 2, wants ? note_stream : NULL,
                                             wants ? &all->written[i] : NULL);
        all->accepted[i] = wants && status == FER_OK;
        if (failed(all->to, status))
            continue;
        memcpy(expected + size, data + i, sizes[i]);
        size += sizes[i];
    }
    all->shut_accepted =
        !failed(all->to, fer_stream_shutdown(all->client, note_stream, &all->shut));
    if (all->shut_accepted) {
        /* A reader that fails lets the writer wait for ever. */
        wait_for(all->loop, &all->shut.calls, &all->box.end.calls);
        (void)failed(all->to, all->shut.status);
    }
    /* Without a shutdown the end comes with the close. */
    if (all->shut.calls == 0 || all->shut.status != FER_OK) {
        fer_handle_unref(all->client);
        all->client = NULL;
    }
    wait_for(all->loop, &all->box.end.calls, &all->box.end.calls);
    if (all->box.end.status != FER_EOF)
        (void)failed(all->to, all->box.end.status);
    else if (all->to->status == FER_OK)
        assert_int_equal(all->box.size, size);
    assert_true(all->box.size <= size);
    assert_true(all->box.size == 0 || memcmp(all->box.bytes, expected, all->box.size) == 0);
    free(expected);
}

static void use_pipes(outcome *to) {
    talk all;
    uint8_t *data = filled(2 * MIB + 4, 1);
    memset(&all, 0, sizeof all);
    all.to = to;
    if (!failed(to, fer_loop_new(&all.loop))) {
        connect_pipes(&all);
        if (all.taken != NULL && to->status == FER_OK)
            write_all(&all, data);
        /* A close without memory for its callback is done without one. */
        if (all.taken != NULL &&
            failed(to, fer_handle_close(all.taken, note_handle_closed, &all.closed)))
            assert_int_equal(fer_handle_close(all.taken, NULL, NULL), FER_OK);
        fer_handle_unref(all.listener);
        fer_handle_unref(all.client);
        fer_handle_unref(all.taken);
        end_loop(all.loop);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(all.written[i].calls, all.accepted[i]);
    assert_int_equal(all.shut.calls, all.shut_accepted);
    to->complete = to->status == FER_OK && all.closed.calls == 1;
    inbox_free(&all.box);
    free(data);
}

const scenario scenarios[] = {
    {"a loop", use_a_loop},
    {"pipes", use_pipes},
    {"native channels", use_native_channels},
    {"plain channels", use_plain_channels},
    {"native channels on FIFOs", use_native_channels_on_fifos},
    {"plain channels on FIFOs", use_plain_channels_on_fifos},
    {"a server with FIFOs of its own", use_own_fifos},
    {"native channels on TCP", use_native_channels_on_tcp},
    {"plain channels on TCP", use_plain_channels_on_tcp},
    {"channels with a secret", use_a_secret},
    {"channels on descriptors", use_descriptors},
    {"a channel to the parent", use_a_parent},
    {"a pair of channels", use_a_pair},
    {"messages with handles", use_handles},
    {"a blocking client", use_a_blocking_client},
    {"a blocking server", use_a_blocking_server},
    {"a blocking client on FIFOs", use_a_blocking_client_on_fifos},
    {"blocking messages with handles", use_blocking_handles},
    {NULL, NULL},
};
