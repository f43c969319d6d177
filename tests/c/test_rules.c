/* The rules that hold for every function: NULL, wrong kinds, foreign threads, forks and closed objects. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "calls.h"
#include "impl/handle.h"

/* One of everything, open. */
typedef struct stock {
    objects objects;
    int pipe_peer;
    int channel_peer;
    int blocking_peer;
} stock;

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    assert_non_null(server);
    fer_channel_unref(channel);
    note(user, status);
}

static void stock_open(stock *all) {
    int fds[2];
    noted connected = {0};
    objects *o = &all->objects;
    const fer_channel_options plain = options_of(FER_WIRE_PLAIN);
    memset(all, 0, sizeof *all);
    assert_int_equal(fer_loop_new(&o->loop), FER_OK);
    raw_pair(fds);
    all->pipe_peer = fds[1];
    assert_int_equal(fer_pipe_new(o->loop, 0, &o->pipe), FER_OK);
    assert_int_equal(fer_pipe_open(o->pipe, fds[0]), FER_OK);
    assert_int_equal(fer_tcp_new(o->loop, 0, &o->tcp), FER_OK);
    assert_int_equal(fer_tcp_bind(o->tcp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_udp_new(o->loop, 0, &o->udp), FER_OK);
    assert_int_equal(fer_udp_bind(o->udp, "127.0.0.1", 0, 0), FER_OK);

    int listener = raw_listen(harness_path("r"));
    assert_int_equal(fer_channel_connect(o->loop, address_of("r"), &plain, note_connected,
                                         &connected, &o->channel),
                     FER_OK);
    harness_run_until(o->loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    all->channel_peer = raw_accept(listener);
    assert_int_equal(fer_sync_connect(address_of("r"), &plain, HARNESS_PATIENCE_MS, &o->blocking),
                     FER_OK);
    all->blocking_peer = raw_accept(listener);
    raw_close(listener);
    assert_int_equal(remove(harness_path("r")), 0);

    assert_int_equal(fer_server_listen(o->loop, address_of("server"), NULL, on_client,
                                       &o->unexpected, NULL, &o->server),
                     FER_OK);
    assert_int_equal(fer_sync_listen(address_of("acceptor"), NULL, &o->acceptor), FER_OK);
}

static void stock_unref(objects *o) {
    fer_handle_unref(o->pipe);
    fer_handle_unref(o->tcp);
    fer_handle_unref(o->udp);
    fer_channel_unref(o->channel);
    fer_server_unref(o->server);
    fer_channel_unref(o->blocking);
    fer_server_unref(o->acceptor);
}

static void stock_close_peers(stock *all) {
    raw_close(all->pipe_peer);
    raw_close(all->channel_peer);
    raw_close(all->blocking_peer);
}

static void stock_close(stock *all) {
    stock_unref(&all->objects);
    end_loop(all->objects.loop);
    stock_close_peers(all);
    assert_int_equal(all->objects.unexpected.calls, 0);
}

/* Everything still works, and nothing was sent. */
static void stock_check(stock *all) {
    objects *o = &all->objects;
    char bytes[8];
    assert_int_equal(raw_try_receive(all->pipe_peer, bytes, sizeof bytes), -1);
    assert_int_equal(raw_try_receive(all->channel_peer, bytes, sizeof bytes), -1);
    assert_int_equal(raw_try_receive(all->blocking_peer, bytes, sizeof bytes), -1);
    const fer_bytes good = {"good", 4};
    assert_int_equal(send_text(o->channel, "good"), FER_OK);
    assert_int_equal(fer_stream_write(o->pipe, &good, 1, NULL, NULL), FER_OK);
    assert_int_equal(fer_sync_send(o->blocking, &good, 1, 0), FER_OK);
    raw_receive(all->channel_peer, bytes, 8);
    assert_memory_equal(bytes, "\0\0\0\4good", 8);
    raw_receive(all->pipe_peer, bytes, 4);
    assert_memory_equal(bytes, "good", 4);
    raw_receive(all->blocking_peer, bytes, 8);
    assert_memory_equal(bytes, "\0\0\0\4good", 8);
    noted posted = {0};
    assert_int_equal(fer_loop_post(o->loop, note_posted, &posted), FER_OK);
    harness_run_until(o->loop, &posted.calls);
    fer_message message;
    char host[FER_HOST_MAX];
    uint16_t port = 0;
    assert_int_equal(fer_inet_getsockname(o->tcp, host, &port), FER_OK);
    assert_int_equal(fer_inet_getsockname(o->udp, host, &port), FER_OK);
    assert_int_equal(fer_udp_try_send(o->udp, &good, 1, host, port), FER_OK);
    raw_send(all->blocking_peer, "\0\0\0\2hi", 6);
    assert_int_equal(fer_sync_receive(o->blocking, HARNESS_PATIENCE_MS, &message), FER_OK);
    assert_int_equal(message.size, 2);
}

/* NULL. */

static void null_is_invalid(void **state) {
    (void)state;
    objects none;
    memset(&none, 0, sizeof none);
    assert_int_equal(calls_expect(&none, FER_EINVAL, NULL), 0);
    assert_int_equal(none.unexpected.calls, 0);
    assert_string_not_equal(fer_status_detail(), "");
}

static void questions_about_null_have_answers(void **state) {
    (void)state;
    assert_true(fer_handle_is_closing(NULL));
    assert_true(fer_channel_is_closing(NULL));
    assert_true(fer_server_is_closing(NULL));
    assert_int_equal(fer_handle_kind(NULL), FER_KIND_NONE);
    assert_null(fer_handle_loop(NULL));
    assert_null(fer_channel_loop(NULL));
    assert_null(fer_server_loop(NULL));
    assert_null(fer_handle_data(NULL));
    assert_null(fer_channel_data(NULL));
    assert_false(fer_handle_holds_loop(NULL));
    assert_false(fer_channel_is_writable(NULL));
    assert_false(fer_stream_is_readable(NULL));
    assert_false(fer_stream_is_writable(NULL));
    assert_int_equal(fer_stream_write_queue_size(NULL), 0);
    assert_int_equal(fer_udp_send_queue_size(NULL), 0);
    assert_int_equal(fer_udp_send_queue_count(NULL), 0);
    assert_null(fer_handle_ref(NULL));
    assert_null(fer_channel_ref(NULL));
    assert_null(fer_server_ref(NULL));
    fer_handle_unref(NULL);
    fer_channel_unref(NULL);
    fer_server_unref(NULL);
}

/* Kinds. */

static int is_stream_call(const call *one) {
    return one->object == CALL_PIPE && strncmp(one->name, "fer_handle_", 11) != 0;
}

static int is_inet_call(const call *one) {
    return one->object == CALL_TCP || one->object == CALL_UDP;
}

static void a_handle_of_another_kind_is_refused(void **state) {
    (void)state;
    objects o;
    fer_handle *tcp = NULL;
    memset(&o, 0, sizeof o);
    assert_int_equal(fer_loop_new(&o.loop), FER_OK);
    assert_int_equal(fer__handle_new(o.loop, FER_KIND_UDP, &o.pipe), FER_OK);
    assert_int_equal(fer_handle_kind(o.pipe), FER_KIND_UDP);
    assert_int_equal(calls_expect(&o, FER_EKIND, is_stream_call), 0);
    fer_handle_unref(o.pipe);

    /* A stream, but no pipe. */
    assert_int_equal(fer__handle_new(o.loop, FER_KIND_TCP, &tcp), FER_OK);
    assert_int_equal(fer_pipe_bind(tcp, harness_path("p"), FER_ZSTRING, NULL), FER_EKIND);
    assert_int_equal(fer_pipe_open(tcp, 0), FER_EKIND);
    assert_int_equal(fer_stream_read_stop(tcp), FER_OK);
    assert_int_equal(fer_pipe_new(o.loop, 0, &o.pipe), FER_OK);
    assert_int_equal(fer_stream_accept(o.pipe, tcp), FER_EKIND);
    o.tcp = o.pipe;
    o.udp = tcp;
    assert_int_equal(calls_expect(&o, FER_EKIND, is_inet_call), 0);
    fer_handle_unref(o.pipe);
    fer_handle_unref(tcp);
    end_loop(o.loop);
    assert_int_equal(o.unexpected.calls, 0);
}

static int is_for_blocking(const call *one) {
    return one->object == CALL_BLOCKING || one->object == CALL_ACCEPTOR;
}

static int is_for_loops_only(const call *one) {
    return (one->object == CALL_CHANNEL || one->object == CALL_SERVER) &&
           (one->flags & CALL_EVEN_BLOCKING) == 0;
}

static int is_for_both(const call *one) {
    return (one->flags & CALL_EVEN_BLOCKING) != 0;
}

static void the_two_faces_are_kept_apart(void **state) {
    (void)state;
    stock all;
    stock_open(&all);
    objects swapped = all.objects;
    swapped.channel = all.objects.blocking;
    swapped.server = all.objects.acceptor;
    swapped.blocking = all.objects.channel;
    swapped.acceptor = all.objects.server;
    assert_int_equal(calls_expect(&swapped, FER_ENOTSUP, is_for_blocking), 0);
    assert_int_equal(calls_expect(&swapped, FER_ENOTSUP, is_for_loops_only), 0);
    stock_check(&all);
    assert_null(fer_channel_loop(all.objects.blocking));
    assert_null(fer_server_loop(all.objects.acceptor));
    assert_int_equal(fer_server_close(all.objects.acceptor, note_server_closed, NULL), FER_EINVAL);
    /* They end with abort and close. */
    assert_int_equal(calls_expect(&swapped, FER_OK, is_for_both), 0);
    assert_true(fer_channel_is_closing(all.objects.blocking));
    assert_true(fer_server_is_closing(all.objects.acceptor));
    /* What was attached refers to this frame. */
    assert_int_equal(fer_channel_set_data(all.objects.blocking, NULL, NULL), FER_OK);
    assert_int_equal(swapped.unexpected.calls, 0);
    stock_close(&all);
}

/* Threads. */

static int is_for_one_thread(const call *one) {
    return (one->flags & CALL_ANY_THREAD) == 0;
}

static void *call_from_thread(void *user) {
    stock *all = user;
    size_t wrong = calls_expect(&all->objects, FER_ETHREAD, is_for_one_thread);
    wrong += fer_loop_is_alive(all->objects.loop) != 0;
    return wrong == 0 ? NULL : user;
}

static void another_thread_is_refused(void **state) {
    (void)state;
    stock all;
    pthread_t thread;
    void *wrong = NULL;
    stock_open(&all);
    assert_int_equal(pthread_create(&thread, NULL, call_from_thread, &all), 0);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    stock_check(&all);
    stock_close(&all);
}

static void *ref_and_unref(void *user) {
    objects *o = user;
    for (int i = 0; i < 10000; i++) {
        fer_loop_unref(fer_loop_ref(o->loop));
        fer_handle_unref(fer_handle_ref(o->pipe));
        fer_handle_unref(fer_handle_ref(o->udp));
        fer_channel_unref(fer_channel_ref(o->channel));
        fer_server_unref(fer_server_ref(o->server));
        fer_channel_unref(fer_channel_ref(o->blocking));
    }
    return NULL;
}

static void any_thread_may_hold_references(void **state) {
    (void)state;
    stock all;
    pthread_t threads[3];
    stock_open(&all);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, &all.objects), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fer_loop_step(all.objects.loop, 0), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    stock_check(&all);
    stock_close(&all);
}

static void *unref_all(void *user) {
    stock_unref(user);
    return NULL;
}

static void the_last_reference_may_go_in_another_thread(void **state) {
    (void)state;
    stock all;
    pthread_t thread;
    noted finalized[3] = {{0}, {0}, {0}};
    stock_open(&all);
    objects *o = &all.objects;
    assert_int_equal(fer_handle_set_data(o->pipe, &finalized[0], note_finalized), FER_OK);
    assert_int_equal(fer_channel_set_data(o->channel, &finalized[1], note_finalized), FER_OK);
    assert_int_equal(fer_channel_set_data(o->blocking, &finalized[2], note_finalized), FER_OK);
    assert_int_equal(pthread_create(&thread, NULL, unref_all, o), 0);
    /* The loop closes what it has; then nothing is left to run for. */
    harness_run_until(o->loop, &finalized[0].calls);
    harness_run_until(o->loop, &finalized[1].calls);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(finalized[2].calls, 1);
    assert_int_equal(fer_loop_run(o->loop), FER_OK);
    assert_int_equal(fer_loop_close(o->loop), FER_OK);
    fer_loop_unref(o->loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(finalized[i].calls, 1);
    assert_int_equal(raw_drain(all.pipe_peer), 0);
    assert_int_equal(raw_drain(all.channel_peer), 0);
    assert_int_equal(raw_drain(all.blocking_peer), 0);
    stock_close_peers(&all);
}

/* Forks. */

/* In the child: what is wrong there. */
static size_t use_after_fork(stock *all) {
    fer_loop *loop = NULL;
    fer_handle *pipe = NULL;
    fer_handle *udp = NULL;
    size_t wrong = calls_expect(&all->objects, FER_EFORK, NULL);
    wrong += fer_loop_is_alive(all->objects.loop) != 0;
    stock_unref(&all->objects);
    /* What the child makes itself works. */
    wrong += fer_loop_new(&loop) != FER_OK || fer_pipe_new(loop, 0, &pipe) != FER_OK;
    wrong += fer_udp_new(loop, 0, &udp) != FER_OK || fer_udp_bind(udp, "127.0.0.1", 0, 0) != FER_OK;
    if (wrong == 0) {
        fer_handle_unref(pipe);
        fer_handle_unref(udp);
        wrong += fer_loop_run(loop) != FER_OK || fer_loop_close(loop) != FER_OK;
        fer_loop_unref(loop);
    }
    return wrong;
}

static void the_child_of_a_fork_is_refused(void **state) {
    (void)state;
    stock all;
    int status = 0;
    stock_open(&all);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_after_fork(&all) == 0 ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    stock_check(&all);
    stock_close(&all);
}

/* Closed objects. */

static int is_refused_when_closed(const call *one) {
    return (one->flags & CALL_WHEN_CLOSED) == 0 && one->object != CALL_LOOP;
}

static int works_when_closed(const call *one) {
    return (one->flags & CALL_WHEN_CLOSED) != 0 && one->object != CALL_LOOP;
}

static int is_loop_call(const call *one) {
    return one->object == CALL_LOOP && (one->flags & CALL_WHEN_CLOSED) == 0;
}

static void check_closed(objects *o) {
    assert_int_equal(calls_expect(o, FER_ECLOSED, is_refused_when_closed), 0);
    assert_int_equal(calls_expect(o, FER_OK, works_when_closed), 0);
    assert_true(fer_handle_is_closing(o->pipe));
    assert_true(fer_channel_is_closing(o->channel));
    assert_true(fer_server_is_closing(o->server));
    assert_true(fer_channel_is_closing(o->blocking));
    assert_false(fer_channel_is_writable(o->channel));
    assert_false(fer_stream_is_readable(o->pipe));
    assert_false(fer_stream_is_writable(o->pipe));
    assert_int_equal(fer_stream_write_queue_size(o->pipe), 0);
    assert_int_equal(fer_udp_send_queue_size(o->pipe), 0);
    assert_int_equal(fer_udp_send_queue_count(o->udp), 0);
}

static void closed_objects_refuse(void **state) {
    (void)state;
    stock all;
    stock_open(&all);
    objects *o = &all.objects;
    assert_int_equal(fer_handle_close(o->pipe, NULL, NULL), FER_OK);
    assert_int_equal(fer_handle_close(o->tcp, NULL, NULL), FER_OK);
    assert_int_equal(fer_handle_close(o->udp, NULL, NULL), FER_OK);
    assert_int_equal(fer_channel_close(o->channel, NULL, NULL), FER_OK);
    assert_int_equal(fer_server_close(o->server, NULL, NULL), FER_OK);
    assert_int_equal(fer_channel_abort(o->blocking), FER_OK);
    assert_int_equal(fer_server_close(o->acceptor, NULL, NULL), FER_OK);
    /* First while they close, then when they are closed, then when their loop is. */
    check_closed(o);
    assert_int_equal(fer_loop_run(o->loop), FER_OK);
    check_closed(o);
    assert_int_equal(fer_loop_run(o->loop), FER_OK);
    assert_int_equal(fer_loop_close(o->loop), FER_OK);
    check_closed(o);
    assert_int_equal(calls_expect(o, FER_ECLOSED, is_loop_call), 0);
    assert_int_equal(fer_handle_close(o->pipe, note_handle_closed, &o->unexpected), FER_ECLOSED);
    stock_unref(o);
    fer_loop_unref(o->loop);
    stock_close_peers(&all);
    assert_int_equal(o->unexpected.calls, 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(null_is_invalid),
        HARNESS_TEST(questions_about_null_have_answers),
        HARNESS_TEST(a_handle_of_another_kind_is_refused),
        HARNESS_TEST(the_two_faces_are_kept_apart),
        HARNESS_TEST(another_thread_is_refused),
        HARNESS_TEST(any_thread_may_hold_references),
        HARNESS_TEST(the_last_reference_may_go_in_another_thread),
        HARNESS_TEST(the_child_of_a_fork_is_refused),
        HARNESS_TEST(closed_objects_refuse),
    };
    return HARNESS_MAIN("rules", tests, NULL, argc, argv);
}
