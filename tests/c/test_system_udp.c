/* UDP sockets when the kernel has no room for a datagram. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "fixture.h"
#include "system_calls.h"

static const fault refused_once = {CALL_sendmsg, EAGAIN, 1, 0, 0};
static const fault refused_always = {CALL_sendmsg, EAGAIN, 1, 1, 0};

/** A socket here, and a raw one that it is connected to. */
typedef struct line {
    fer_loop *loop;
    fer_handle *udp;
    int far;
} line;

static int raw_udp(uint16_t *port, const char **host) {
    static char text[FER_HOST_MAX];
    fer_loop *loop = NULL;
    fer_handle *udp = NULL;
    fer_fd fd = -1;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_udp_new(loop, 0, &udp), FER_OK);
    assert_int_equal(fer_udp_bind(udp, "127.0.0.1", 0, 0), FER_OK);
    assert_int_equal(fer_inet_getsockname(udp, text, port), FER_OK);
    assert_int_equal(fer_handle_detach(udp, &fd), FER_OK);
    fer_handle_unref(udp);
    end_loop(loop);
    *host = text;
    return (int)fd;
}

static void line_open(line *one) {
    uint16_t port;
    const char *host;
    one->far = raw_udp(&port, &host);
    assert_int_equal(fer_loop_new(&one->loop), FER_OK);
    assert_int_equal(fer_udp_new(one->loop, 0, &one->udp), FER_OK);
    assert_int_equal(fer_udp_connect(one->udp, host, port), FER_OK);
}

static void line_end(line *one) {
    fer_handle_unref(one->udp);
    end_loop(one->loop);
    raw_close(one->far);
}

static void note_udp(fer_handle *udp, fer_status status, void *user) {
    (void)udp;
    note(user, status);
}

static void expect_datagram(const line *one, const void *data, size_t size) {
    char got[4096];
    raw_wait(one->far, POLLIN);
    assert_int_equal(recv(one->far, got, sizeof got, 0), size);
    assert_memory_equal(got, data, size);
}

static void what_waits_with_a_callback_stays_where_it_is(void **state) {
    static char head[100] = "head";
    static char rest[1000] = "rest";
    fer_bytes parts[2];
    char both[1100];
    line one;
    noted sent = {0};
    (void)state;
    line_open(&one);
    memcpy(both, head, sizeof head);
    memcpy(both + sizeof head, rest, sizeof rest);
    parts[0] = piece(head, sizeof head);
    parts[1] = piece(rest, sizeof rest);
    system_watch(&refused_once);
    assert_int_equal(fer_udp_send(one.udp, parts, 2, NULL, 0, note_udp, &sent), FER_OK);
    assert_int_equal(fer_udp_send_queue_size(one.udp), sizeof both);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 1);
    /* The pieces are the caller's again; the bytes are not. */
    memset(parts, 0, sizeof parts);
    harness_run_until(one.loop, &sent.calls);
    assert_int_equal(system_count(CALL_sendmsg), 2);
    assert_true(system_sent_from(head));
    assert_true(system_sent_from(rest));
    assert_int_equal(system_unwatch(), 1);
    assert_int_equal(sent.status, FER_OK);
    assert_int_equal(fer_udp_send_queue_size(one.udp), 0);
    expect_datagram(&one, both, sizeof both);
    line_end(&one);
}

static void what_waits_without_a_callback_is_copied(void **state) {
    static const char text[100] = "first";
    char first[sizeof text];
    char second[100] = "second";
    const char empty = 0;
    fer_bytes part;
    line one;
    noted sent = {0};
    (void)state;
    line_open(&one);
    memcpy(first, text, sizeof first);
    system_watch(&refused_once);
    part = piece(first, sizeof first);
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, NULL, NULL), FER_OK);
    memset(first, 'x', sizeof first);
    /* Behind it others wait, also empty ones: nobody overtakes. */
    assert_int_equal(fer_udp_send(one.udp, NULL, 0, NULL, 0, NULL, NULL), FER_OK);
    part = piece(second, sizeof second);
    assert_int_equal(fer_udp_try_send(one.udp, &part, 1, NULL, 0), FER_EAGAIN);
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, note_udp, &sent), FER_OK);
    assert_int_equal(system_count(CALL_sendmsg), 1);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 3);
    assert_int_equal(fer_udp_send_queue_size(one.udp), sizeof first + sizeof second);
    harness_run_until(one.loop, &sent.calls);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 0);
    assert_int_equal(system_count(CALL_sendmsg), 4);
    assert_int_equal(system_unwatch(), 1);
    expect_datagram(&one, text, sizeof text);
    expect_datagram(&one, &empty, 0);
    expect_datagram(&one, second, sizeof second);
    line_end(&one);
}

/* What cannot be waited for is not kept either: an error means that no callback comes. */
static void what_cannot_wait_is_refused(void **state) {
    fer_bytes part = piece("x", 1);
    fer_handle *other = NULL;
    fer_fd fd = -1;
    line one;
    noted never = {0};
    noted sent = {0};
    (void)state;
    line_open(&one);
    assert_int_equal(fer_handle_fileno(one.udp, &fd), FER_OK);
    assert_int_equal(fer_udp_new(one.loop, 0, &other), FER_OK);
    assert_int_equal(fer_udp_open(other, fd), FER_OK);
    /* One descriptor, and two that want to watch it. */
    system_watch(&refused_always);
    assert_int_equal(fer_udp_send(other, &part, 1, NULL, 0, note_udp, &sent), FER_OK);
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, note_udp, &never), FER_EBUSY);
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, NULL, NULL), FER_EBUSY);
    assert_int_equal(fer_udp_send_queue_size(one.udp), 0);
    assert_true(system_unwatch() >= 3);
    harness_run_until(one.loop, &sent.calls);
    expect_datagram(&one, "x", 1);
    /* It still works when there is room. */
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, NULL, NULL), FER_OK);
    expect_datagram(&one, "x", 1);
    assert_int_equal(fer_handle_detach(one.udp, &fd), FER_OK);
    fer_handle_unref(other);
    line_end(&one);
    assert_int_equal(never.calls, 0);
}

static void closing_cancels_what_waits(void **state) {
    fer_bytes part = piece("x", 1);
    fer_fd fd = -1;
    line one;
    noted sent = {0};
    noted closed = {0};
    (void)state;
    line_open(&one);
    system_watch(&refused_always);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, note_udp, &sent), FER_OK);
    assert_int_equal(fer_udp_send(one.udp, &part, 1, NULL, 0, NULL, NULL), FER_OK);
    assert_int_equal(fer_udp_send_queue_size(one.udp), 4);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 4);
    assert_int_equal(fer_stream_write_queue_size(one.udp), 0);
    assert_int_equal(fer_handle_detach(one.udp, &fd), FER_EBUSY);
    assert_int_equal(fer_handle_close(one.udp, note_handle_closed, &closed), FER_OK);
    assert_int_equal(fer_udp_send_queue_size(one.udp), 0);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 0);
    harness_run_until(one.loop, &closed.calls);
    system_unwatch();
    assert_int_equal(sent.calls, 3);
    assert_int_equal(sent.status, FER_ECANCELED);
    assert_true(sent.when < closed.when);
    line_end(&one);
}

/* Nothing is in it, and it waits all the same. */
static void an_empty_datagram_that_waits_keeps_the_descriptor(void **state) {
    fer_fd fd = -1;
    line one;
    noted sent = {0};
    (void)state;
    line_open(&one);
    system_watch(&refused_once);
    assert_int_equal(fer_udp_send(one.udp, NULL, 0, NULL, 0, note_udp, &sent), FER_OK);
    assert_int_equal(fer_udp_send_queue_size(one.udp), 0);
    assert_int_equal(fer_udp_send_queue_count(one.udp), 1);
    assert_int_equal(fer_handle_detach(one.udp, &fd), FER_EBUSY);
    harness_run_until(one.loop, &sent.calls);
    assert_int_equal(sent.status, FER_OK);
    system_unwatch();
    line_end(&one);
}

static void send_and_wait(void *context) {
    static const char data[2000] = "data";
    fer_bytes part = piece(data, sizeof data);
    line *one = context;
    noted sent = {0};
    fer_status with;
    fer_status without;
    system_watch(&refused_once);
    with = fer_udp_send(one->udp, &part, 1, NULL, 0, note_udp, &sent);
    without = fer_udp_send(one->udp, &part, 1, NULL, 0, NULL, NULL);
    system_unwatch();
    assert_true(with == FER_OK || with == FER_ENOMEM);
    assert_true(without == FER_OK || without == FER_ENOMEM);
    if (with == FER_OK)
        harness_run_until(one->loop, &sent.calls);
    else
        assert_int_equal(fer_loop_step(one->loop, 0), FER_OK);
    assert_int_equal(sent.calls, with == FER_OK);
    if (with == FER_OK)
        expect_datagram(one, data, sizeof data);
    if (without == FER_OK)
        expect_datagram(one, data, sizeof data);
}

static void waiting_survives_a_lack_of_memory(void **state) {
    line one;
    (void)state;
    line_open(&one);
    send_and_wait(&one);
    assert_in_range(harness_each_allocation(send_and_wait, &one), 2, 10);
    line_end(&one);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(what_waits_with_a_callback_stays_where_it_is),
        HARNESS_TEST(what_waits_without_a_callback_is_copied),
        HARNESS_TEST(what_cannot_wait_is_refused),
        HARNESS_TEST(closing_cancels_what_waits),
        HARNESS_TEST(an_empty_datagram_that_waits_keeps_the_descriptor),
        HARNESS_TEST(waiting_survives_a_lack_of_memory),
    };
    return HARNESS_MAIN("system_udp", tests, NULL, argc, argv);
}
