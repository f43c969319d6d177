/* Loops inside a host: embedded by descriptor, timeout and notification, or borrowed from libuv. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif

#include <uv.h>

#include "ferrule/uv.h"
#include "fixture.h"

/*
 * A host that trusts what it is told: it asks for the timeout only after a step, and steps again when
 * the descriptor is readable, the time is up, or it was notified.
 */
typedef struct host {
    fer_loop *loop;
    int fd; /* to wait for: the loop's, or an epoll set that the loop's is in */
    int64_t timeout;
    int notified;     /* since the last step */
    int notify_calls; /* in all */
    noted finalized;
} host;

static void on_notify(fer_loop *loop, void *user) {
    host *at = user;
    assert_ptr_equal(loop, at->loop);
    assert_int_equal(at->notified, 0);
    at->notified = 1;
    at->notify_calls++;
}

static void host_finalized(void *user) {
    host *at = user;
    note(&at->finalized, FER_OK);
}

static void host_step(host *at) {
    at->notified = 0;
    assert_int_equal(fer_loop_step(at->loop, 0), FER_OK);
    assert_int_equal(at->notified, 0);
    assert_int_equal(fer_loop_timeout(at->loop, &at->timeout), FER_OK);
    assert_true(at->timeout >= -1);
}

static void host_turn(host *at) {
    struct pollfd poll_fd = {at->fd, POLLIN, 0};
    int64_t wait = at->notified ? 0 : at->timeout;
    if (wait < 0 || wait > HARNESS_PATIENCE_MS)
        wait = HARNESS_PATIENCE_MS;
    int ready = poll(&poll_fd, 1, (int)wait);
    assert_true(ready >= 0);
    if (ready == 0 && wait == HARNESS_PATIENCE_MS)
        fail_msg("the host was not told of work");
    host_step(at);
}

static void host_run_until(host *at, const int *flag) {
    while (!*flag)
        host_turn(at);
}

static void host_open(host *at) {
    memset(at, 0, sizeof *at);
    assert_int_equal(fer_loop_new(&at->loop), FER_OK);
    assert_int_equal(fer_loop_fd(at->loop, &at->fd), FER_OK);
    assert_int_equal(fer_loop_set_notify(at->loop, on_notify, at, host_finalized), FER_OK);
    host_step(at);
}

static void host_close(host *at) {
    assert_int_equal(fer_loop_close_objects(at->loop), FER_OK);
    while (fer_loop_is_alive(at->loop))
        host_turn(at);
    assert_int_equal(fer_loop_close(at->loop), FER_OK);
    fer_loop_unref(at->loop);
    assert_int_equal(at->finalized.calls, 1);
}

typedef struct guest {
    fer_channel *served;
    int came;
} guest;

static void take_guest(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    guest *one = user;
    assert_non_null(server);
    assert_int_equal(status, FER_OK);
    one->served = channel;
    one->came = 1;
}

/* A whole life of a channel, every call made outside of a step. */
static void use_channel(host *at) {
    guest one = {NULL, 0};
    fer_server *server = NULL;
    fer_channel *client = NULL;
    noted connected = {0};
    noted sent = {0};
    noted posted = {0};
    noted closed[2] = {{0}, {0}};
    noted server_closed = {0};
    inbox box = {0};
    const fer_bytes bytes = {"over", 4};
    assert_int_equal(
        fer_server_listen(at->loop, address_of("e"), NULL, take_guest, &one, NULL, &server),
        FER_OK);
    assert_int_equal(at->notified, 1);
    host_step(at);
    assert_int_equal(at->timeout, -1);

    assert_int_equal(
        fer_channel_connect(at->loop, address_of("e"), NULL, note_connected, &connected, &client),
        FER_OK);
    host_run_until(at, &connected.calls);
    host_run_until(at, &one.came);
    assert_int_equal(connected.status, FER_OK);

    /* Two in a row: the second waits to be coalesced, which the host must hear of. */
    assert_int_equal(fer_channel_receive(one.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    host_step(at);
    assert_int_equal(send_text(client, "first"), FER_OK);
    assert_int_equal(fer_channel_send(client, &bytes, 1, NULL, 0, note_sent, &sent), FER_OK);
    assert_int_equal(at->notified, 1);
    host_run_until(at, &sent.calls);
    while (box.count < 2)
        host_turn(at);

    assert_int_equal(fer_channel_pause(one.served), FER_OK);
    assert_int_equal(send_text(client, "third"), FER_OK);
    host_step(at);
    assert_int_equal(box.count, 2);
    assert_int_equal(fer_channel_resume(one.served), FER_OK);
    while (box.count < 3)
        host_turn(at);

    assert_int_equal(fer_loop_post(at->loop, note_posted, &posted), FER_OK);
    host_run_until(at, &posted.calls);

    assert_int_equal(fer_channel_close(client, note_closed, &closed[0]), FER_OK);
    assert_int_equal(fer_channel_close(one.served, note_closed, &closed[1]), FER_OK);
    host_run_until(at, &closed[0].calls);
    host_run_until(at, &closed[1].calls);
    assert_int_equal(closed[0].status, FER_OK);
    assert_int_equal(closed[1].status, FER_OK);
    /* Closing what is closed calls back, too. */
    assert_int_equal(fer_channel_close(client, note_closed, &closed[0]), FER_OK);
    host_run_until(at, &at->notified);
    while (closed[0].calls < 2)
        host_turn(at);
    assert_int_equal(fer_server_close(server, note_server_closed, &server_closed), FER_OK);
    host_run_until(at, &server_closed.calls);
    fer_channel_unref(client);
    fer_channel_unref(one.served);
    fer_server_unref(server);
    inbox_free(&box);
}

static void a_host_with_poll(void **state) {
    (void)state;
    host at;
    host_open(&at);
    use_channel(&at);
    host_close(&at);
}

static void a_host_with_epoll(void **state) {
    (void)state;
#ifdef __linux__
    host at;
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    host_open(&at);
    int set = epoll_create1(EPOLL_CLOEXEC);
    assert_true(set >= 0);
    assert_int_equal(epoll_ctl(set, EPOLL_CTL_ADD, at.fd, &event), 0);
    at.fd = set;
    use_channel(&at);
    host_close(&at);
    raw_close(set);
#else
    skip();
#endif
}

/* A host would turn in circles if an idle loop had a timeout. */
static void the_timeout_says_how_long_nothing_happens(void **state) {
    (void)state;
    host at;
    noted connected = {0};
    fer_channel *channel = NULL;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    host_open(&at);
    assert_int_equal(at.timeout, -1);
    options.connect_timeout_ms = 30;
    assert_int_equal(fer_channel_connect(at.loop, address_of("none"), &options, note_connected,
                                         &connected, &channel),
                     FER_OK);
    assert_int_equal(at.notified, 1);
    host_step(&at);
    assert_true(at.timeout >= 0 && at.timeout <= 60);
    host_run_until(&at, &connected.calls);
    assert_int_equal(connected.status, FER_ENOENT);
    host_step(&at);
    assert_int_equal(at.timeout, -1);
    fer_channel_unref(channel);
    assert_int_equal(at.notified, 1);
    host_close(&at);
}

static void a_handle_that_does_not_hold_the_loop_is_served(void **state) {
    (void)state;
    host at;
    int fds[2];
    fer_handle *pipe = NULL;
    inbox box = {0};
    host_open(&at);
    raw_pair(fds);
    assert_int_equal(fer_pipe_new(at.loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
    assert_int_equal(fer_handle_hold_loop(pipe, 0), FER_OK);
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    assert_false(fer_loop_is_alive(at.loop));
    assert_int_equal(fer_loop_run(at.loop), FER_OK);
    host_step(&at);
    assert_int_equal(at.timeout, -1);
    raw_send(fds[1], "news", 4);
    host_run_until(&at, &box.batches);
    assert_int_equal(box.size, 4);
    fer_handle_unref(pipe);
    host_close(&at);
    raw_close(fds[1]);
    inbox_free(&box);
}

static void a_notification_is_replaced_and_finalized_once(void **state) {
    (void)state;
    host first;
    host second = {0};
    fer_handle *pipe = NULL;
    host_open(&first);
    second.loop = first.loop;
    assert_int_equal(fer_loop_set_notify(first.loop, on_notify, &second, host_finalized), FER_OK);
    assert_int_equal(first.finalized.calls, 1);
    assert_int_equal(fer_pipe_new(first.loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_close(pipe, NULL, NULL), FER_OK);
    fer_handle_unref(pipe);
    assert_int_equal(first.notify_calls, 0);
    assert_int_equal(second.notify_calls, 1);
    assert_int_equal(fer_loop_set_notify(first.loop, NULL, NULL, NULL), FER_OK);
    assert_int_equal(second.finalized.calls, 1);
    assert_int_equal(fer_loop_set_notify(NULL, on_notify, &second, host_finalized), FER_EINVAL);
    assert_int_equal(second.finalized.calls, 2);
    end_loop(first.loop);
    assert_int_equal(first.finalized.calls, 1);
}

/* Borrowed loops. */

static void a_borrowed_loop_is_not_the_callers_to_run(void **state) {
    (void)state;
    uv_loop_t uv;
    fer_loop *loop = NULL;
    noted detached = {0};
    noted finalized = {0};
    int64_t timeout;
    int fd;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(fer_loop_attach(NULL, &loop), FER_EINVAL);
    assert_int_equal(fer_loop_attach(&uv, NULL), FER_EINVAL);
    assert_int_equal(fer_loop_attach(&uv, &loop), FER_OK);
    assert_int_equal(fer_loop_run(loop), FER_ENOTSUP);
    assert_int_equal(fer_loop_step(loop, 0), FER_ENOTSUP);
    assert_int_equal(fer_loop_fd(loop, &fd), FER_ENOTSUP);
    assert_int_equal(fer_loop_timeout(loop, &timeout), FER_ENOTSUP);
    assert_int_equal(fer_loop_set_notify(loop, on_notify, &finalized, note_finalized), FER_ENOTSUP);
    assert_int_equal(finalized.calls, 1);
    assert_int_equal(fer_loop_adopt(loop), FER_ENOTSUP);
    assert_int_equal(fer_loop_close(loop), FER_ENOTSUP);
    assert_int_equal(fer_loop_stop(loop), FER_OK);
    assert_int_equal(fer_loop_fail(loop, FER_ECALLBACK), FER_OK);
    /* It does not keep its host from ending. */
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(fer_loop_detach(loop, (fer_detached_cb)NULL, NULL), FER_OK);
    assert_int_equal(fer_loop_detach(loop, NULL, NULL), FER_ECLOSED);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(fer_loop_post(loop, note_posted, &detached), FER_ECLOSED);
    assert_false(fer_loop_is_alive(loop));
    fer_loop_unref(loop);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_loop_detach(loop, NULL, NULL), FER_ENOTSUP);
    end_loop(loop);
}

static void note_detached(fer_loop *loop, void *user) {
    assert_non_null(loop);
    note(user, FER_OK);
}

static void greet(fer_channel *channel, fer_status status, void *user) {
    note(user, status);
    assert_int_equal(send_text(channel, "hello"), FER_OK);
}

/* What a program on a host's loop has, everything open at the moment of leaving. */
typedef struct lodger {
    uv_loop_t uv;
    fer_loop *loop;
    fer_server *server;
    guest one;
    fer_channel *client;
    fer_handle *pipe;
    noted connected;
    noted read_end;
    noted pipe_closed;
    noted server_closed;
    noted posted;
    noted finalized;
    noted detached;
    int messages;
} lodger;

static void leave(fer_channel *channel, fer_status status, const fer_message *messages,
                  size_t count, void *user) {
    lodger *all = user;
    if (status != FER_OK) {
        note(&all->read_end, status);
        return;
    }
    all->messages += (int)count;
    assert_memory_equal(messages[0].data, "hello", 5);
    assert_int_equal(fer_loop_post(all->loop, note_posted, &all->posted), FER_OK);
    assert_int_equal(fer_loop_detach(all->loop, note_detached, &all->detached), FER_OK);
    assert_int_equal(send_text(channel, "too late"), FER_ECLOSED);
    assert_int_equal(all->detached.calls, 0);
    assert_int_equal(fer_handle_close(all->pipe, note_handle_closed, &all->pipe_closed), FER_OK);
}

static void finalize_lodger(void *user) {
    lodger *all = user;
    note(&all->finalized, FER_OK);
}

static void receive_and_leave(fer_server *server, fer_status status, fer_channel *channel,
                              void *user) {
    lodger *all = user;
    take_guest(server, status, channel, &all->one);
    assert_int_equal(fer_channel_receive(channel, leave, all, finalize_lodger), FER_OK);
}

static void everything_ends_before_a_loop_is_detached(void **state) {
    (void)state;
    static lodger all;
    memset(&all, 0, sizeof all);
    assert_int_equal(uv_loop_init(&all.uv), 0);
    assert_int_equal(fer_loop_attach(&all.uv, &all.loop), FER_OK);
    assert_int_equal(fer_pipe_new(all.loop, 0, &all.pipe), FER_OK);
    assert_int_equal(fer_pipe_bind(all.pipe, harness_path("p"), FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(all.pipe, 0, note_connection, &all.posted, NULL), FER_OK);
    assert_int_equal(fer_server_listen(all.loop, address_of("b"), NULL, receive_and_leave, &all,
                                       NULL, &all.server),
                     FER_OK);
    assert_int_equal(
        fer_channel_connect(all.loop, address_of("b"), NULL, greet, &all.connected, &all.client),
        FER_OK);
    assert_int_equal(uv_run(&all.uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(all.messages, 1);
    assert_int_equal(all.read_end.calls, 1);
    assert_int_equal(all.read_end.status, FER_ECANCELED);
    assert_int_equal(all.finalized.calls, 1);
    assert_int_equal(all.pipe_closed.calls, 1);
    assert_int_equal(all.posted.calls, 1);
    assert_int_equal(all.detached.calls, 1);
    assert_true(all.read_end.when < all.detached.when);
    assert_true(all.pipe_closed.when < all.detached.when);
    assert_true(all.posted.when < all.detached.when);
    fer_handle_unref(all.pipe);
    fer_channel_unref(all.client);
    fer_channel_unref(all.one.served);
    fer_server_unref(all.server);
    fer_loop_unref(all.loop);
    assert_int_equal(uv_loop_close(&all.uv), 0);
}

static void detach_from_post(fer_loop *loop, fer_status status, void *user) {
    note(user, status);
    assert_int_equal(fer_loop_detach(loop, NULL, NULL), FER_OK);
}

static void *post_to(void *user) {
    lodger *all = user;
    return fer_loop_post(all->loop, detach_from_post, &all->posted) == FER_OK ? NULL : user;
}

static void on_hold(uv_timer_t *timer) {
    (void)timer;
}

static void another_thread_posts_to_a_borrowed_loop(void **state) {
    (void)state;
    static lodger all;
    uv_timer_t hold;
    pthread_t thread;
    void *failed = NULL;
    memset(&all, 0, sizeof all);
    assert_int_equal(uv_loop_init(&all.uv), 0);
    assert_int_equal(fer_loop_attach(&all.uv, &all.loop), FER_OK);
    /* The loop's owner has work of its own. */
    assert_int_equal(uv_timer_init(&all.uv, &hold), 0);
    assert_int_equal(uv_timer_start(&hold, on_hold, HARNESS_PATIENCE_MS, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, post_to, &all), 0);
    while (all.posted.calls == 0)
        uv_run(&all.uv, UV_RUN_ONCE);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_int_equal(all.posted.status, FER_OK);
    uv_close((uv_handle_t *)&hold, NULL);
    assert_int_equal(uv_run(&all.uv, UV_RUN_DEFAULT), 0);
    fer_loop_unref(all.loop);
    assert_int_equal(uv_loop_close(&all.uv), 0);
}

static void several_loops_share_a_libuv_loop(void **state) {
    (void)state;
    uv_loop_t uv;
    fer_loop *loops[3] = {NULL, NULL, NULL};
    noted detached[3] = {{0}, {0}, {0}};
    assert_int_equal(uv_loop_init(&uv), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_attach(&uv, &loops[i]), FER_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fer_loop_detach(loops[i], note_detached, &detached[i]), FER_OK);
        assert_int_equal(detached[i].calls, 0);
        assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
        assert_int_equal(detached[i].calls, 1);
        fer_loop_unref(loops[i]);
    }
    assert_int_equal(uv_loop_close(&uv), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_host_with_poll),
        HARNESS_TEST(a_host_with_epoll),
        HARNESS_TEST(the_timeout_says_how_long_nothing_happens),
        HARNESS_TEST(a_handle_that_does_not_hold_the_loop_is_served),
        HARNESS_TEST(a_notification_is_replaced_and_finalized_once),
        HARNESS_TEST(a_borrowed_loop_is_not_the_callers_to_run),
        HARNESS_TEST(everything_ends_before_a_loop_is_detached),
        HARNESS_TEST(another_thread_posts_to_a_borrowed_loop),
        HARNESS_TEST(several_loops_share_a_libuv_loop),
    };
    return HARNESS_MAIN("loop_host", tests, NULL, argc, argv);
}
