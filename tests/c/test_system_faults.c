/* The n-th system call fails, or does less than it was asked for, for every n. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "impl/mem.h"
#include "scenarios.h"
#include "system_calls.h"

/** What happens to a call. */
typedef struct trouble {
    int call;
    int error;
    int harmless; /**< nobody may notice it */
    int where;    /**< ANYWHERE and so on */
} trouble;

enum {
    ANYWHERE = 0,
    ON_LOOPS = 1, /**< only where the peer is not a raw one, which makes the same call */
    ON_TCP = 2    /**< where the kernel may do it */
};

static const trouble troubles[] = {
    {CALL_sendmsg, EINTR, 1, ANYWHERE},
    {CALL_sendmsg, EAGAIN, 1, ANYWHERE},
    {CALL_sendmsg, ENOBUFS, 1, ANYWHERE},
    {CALL_sendmsg, 0, 1, ANYWHERE},
    {CALL_sendmsg, EPIPE, 0, ANYWHERE},
    {CALL_sendmsg, ECONNRESET, 0, ANYWHERE},
    {CALL_sendmsg, ENOMEM, 0, ANYWHERE},
    {CALL_recvmsg, EINTR, 1, ANYWHERE},
    {CALL_recvmsg, EAGAIN, 1, ANYWHERE},
    {CALL_recvmsg, 0, 1, ANYWHERE},
    {CALL_recvmsg, ECONNRESET, 0, ANYWHERE},
    {CALL_recvmsg, ENOMEM, 0, ANYWHERE},
    {CALL_accept4, EINTR, 1, ANYWHERE},
    {CALL_accept4, EAGAIN, 1, ANYWHERE},
    {CALL_accept4, ECONNABORTED, 1, ANYWHERE},
    {CALL_accept4, EMFILE, 0, ANYWHERE},
    {CALL_accept4, ENFILE, 0, ANYWHERE},
    {CALL_accept4, ENOMEM, 0, ANYWHERE},
    {CALL_accept4, EPERM, 0, ANYWHERE},
    {CALL_connect, EINTR, 1, ON_LOOPS},
    {CALL_connect, EAGAIN, 0, ON_LOOPS},
    {CALL_connect, ECONNREFUSED, 0, ON_LOOPS},
    {CALL_connect, EACCES, 0, ON_LOOPS},
    {CALL_socket, EMFILE, 0, ON_LOOPS},
    {CALL_socket, ENOBUFS, 0, ON_LOOPS},
    {CALL_bind, EACCES, 0, ON_LOOPS},
    {CALL_bind, ENOSPC, 0, ON_LOOPS},
    {CALL_listen, EADDRINUSE, 0, ON_LOOPS},
    {CALL_shutdown, ENOTCONN, 0, ON_LOOPS},
    {CALL_setsockopt, ENOBUFS, 0, ANYWHERE},
    {CALL_poll, EINTR, 1, ANYWHERE},
    {CALL_uv_loop_init, EMFILE, 0, ANYWHERE},
    {CALL_uv_mutex_init, ENOMEM, 0, ANYWHERE},
    {CALL_uv_async_init, EMFILE, 0, ANYWHERE},
    {CALL_uv_poll_init, EEXIST, 0, ANYWHERE},
    {CALL_uv_poll_init, ENOMEM, 0, ANYWHERE},
    {CALL_uv_poll_start, ENOMEM, 0, ANYWHERE},
    {CALL_connect, EINPROGRESS, 1, ON_TCP},
    {CALL_readv, EINTR, 1, ANYWHERE},
    {CALL_readv, EAGAIN, 1, ANYWHERE},
    {CALL_readv, 0, 1, ANYWHERE},
    {CALL_readv, EIO, 0, ANYWHERE},
    {CALL_writev, EINTR, 1, ANYWHERE},
    {CALL_writev, EAGAIN, 1, ANYWHERE},
    {CALL_writev, 0, 1, ANYWHERE},
    {CALL_writev, EPIPE, 0, ANYWHERE},
    {CALL_writev, ENOMEM, 0, ANYWHERE},
    {CALL_open, EMFILE, 0, ON_LOOPS},
    {CALL_open, EACCES, 0, ON_LOOPS},
    {CALL_open, ENXIO, 0, ON_LOOPS},
    {CALL_mkfifo, ENOSPC, 0, ON_LOOPS},
    {CALL_mkfifo, EACCES, 0, ON_LOOPS},
    {CALL_mkdtemp, EACCES, 0, ON_LOOPS},
    {CALL_flock, EWOULDBLOCK, 0, ON_LOOPS},
    {CALL_flock, ENOLCK, 1, ON_LOOPS},
    {CALL_fstat, ENOMEM, 0, ON_LOOPS},
    {CALL_socketpair, EMFILE, 0, ON_LOOPS},
    {CALL_fcntl, EMFILE, 0, ON_LOOPS},
    {CALL_send, ENOBUFS, 0, ANYWHERE},
    {CALL_recv, EINTR, 1, ANYWHERE},
    {CALL_recv, ENOMEM, 0, ANYWHERE},
    {CALL_memfd_create, EMFILE, 1, ANYWHERE},
    {CALL_mmap, ENOMEM, 0, ANYWHERE},
    {CALL_epoll_create1, EMFILE, 0, ANYWHERE},
    {CALL_timerfd_create, EMFILE, 0, ANYWHERE},
    {CALL_epoll_ctl, ENOSPC, 0, ANYWHERE},
};

enum { TROUBLES = sizeof troubles / sizeof troubles[0] };

/** Run a scenario with the fault. Returns how often it happened. */
static size_t run_with(const scenario *one, const fault *wanted, outcome *last) {
    const size_t live = fer__mem_live();
    const size_t open = harness_count_descriptors();
    memset(last, 0, sizeof *last);
    system_watch(wanted);
    one->run(last);
    size_t happened = system_unwatch();
    if (fer__mem_live() != live || harness_count_descriptors() != open)
        fail_msg("%s with error %d in call %d, %lu: something was left", one->name, wanted->error,
                 wanted->call, (unsigned long)wanted->first);
    /* It succeeds, or says that it did not. */
    if (last->status == FER_OK && !last->complete)
        fail_msg("%s with error %d in call %d, %lu: nothing was said of a failure", one->name,
                 wanted->error, wanted->call, (unsigned long)wanted->first);
    return happened;
}

static void expect_success(const scenario *one, const fault *wanted, const outcome *last) {
    if (!last->complete)
        fail_msg("%s with error %d in call %d, %lu: %s", one->name, wanted->error, wanted->call,
                 (unsigned long)wanted->first, fer_status_name(last->status));
}

static int concerns(const trouble *at, const scenario *one) {
    if (at->where == ON_TCP)
        return strstr(one->name, "TCP") != NULL;
    return at->where == ANYWHERE || strstr(one->name, "blocking") == NULL;
}

static void the_nth_call_fails(void **state) {
    (void)state;
    int used[TROUBLES] = {0};
    for (const scenario *one = scenarios; one->name != NULL; one++) {
        for (int i = 0; i < TROUBLES; i++) {
            const trouble *at = &troubles[i];
            size_t happened = concerns(at, one) ? 1 : 0;
            /* The first ones all, later ones less densely. */
            for (size_t n = 1; happened > 0; n += n / 8 + 1) {
                const fault wanted = {at->call, at->error, n, 0, 1};
                outcome last;
                happened = run_with(one, &wanted, &last);
                if (at->harmless || happened == 0)
                    expect_success(one, &wanted, &last);
                used[i] += happened > 0;
            }
        }
    }
    for (int i = 0; i < TROUBLES; i++) {
        if (used[i] == 0)
            fail_msg("error %d never happened to call %d", troubles[i].error, troubles[i].call);
    }
}

/* Again and again: transfers of all sizes, and calls that would block although they would not. */
static void calls_do_less_all_the_time(void **state) {
    (void)state;
    static const fault faults[] = {
        {CALL_sendmsg, 0, 1, 1, 0},       {CALL_recvmsg, 0, 1, 1, 0},
        {CALL_sendmsg, EAGAIN, 1, 2, 0},  {CALL_recvmsg, EAGAIN, 1, 2, 0},
        {CALL_sendmsg, EINTR, 1, 2, 0},   {CALL_recvmsg, EINTR, 2, 2, 0},
        {CALL_sendmsg, ENOBUFS, 2, 3, 0}, {CALL_accept4, EINTR, 1, 2, 0},
        {CALL_poll, EINTR, 1, 2, 0},
    };
    for (const scenario *one = scenarios; one->name != NULL; one++) {
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            outcome last;
            (void)run_with(one, &faults[i], &last);
            expect_success(one, &faults[i], &last);
        }
    }
}

/* A large message is in shared memory when the kernel has no memory for the note on it: accepted, it comes. */
static void a_note_waits_for_memory(void **state) {
    (void)state;
    enum { SIZE = 256 * 1024, MESSAGES = 8 };
    const fault no_memory = {CALL_sendmsg, ENOMEM, 1, 0, 0};
    duo ends;
    inbox box = {0};
    noted sent = {0};
    uint8_t *data = filled(SIZE, 2);
    const fer_bytes whole = piece(data, SIZE);
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    for (size_t i = 1; i <= MESSAGES; i++) {
        if (i == MESSAGES)
            system_watch(&no_memory);
        assert_int_equal(fer_channel_send(ends.client, &whole, 1, NULL, 0, note_sent, &sent),
                         FER_OK);
        if (i == MESSAGES)
            assert_int_equal(system_unwatch(), 1);
        run_until_count(ends.loop, &box.count, i);
    }
    while (sent.calls < MESSAGES)
        assert_int_equal(fer_loop_step(ends.loop, 1000), FER_OK);
    assert_int_equal(sent.status, FER_OK);
    assert_filled(box.bytes + (MESSAGES - 1) * (size_t)SIZE, SIZE, 2);
    duo_close(&ends);
    inbox_free(&box);
    free(data);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(the_nth_call_fails),
        HARNESS_TEST(calls_do_less_all_the_time),
        HARNESS_TEST(a_note_waits_for_memory),
    };
    return HARNESS_MAIN("system_faults", tests, NULL, argc, argv);
}
