/* Looking for an answer before going to sleep: when that is done, and that nothing else is different. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#include <uv.h>

#include "channel.h"
#include "ferrule/uv.h"
#include "fixture.h"
#include "system_calls.h"

enum { FRAME = 5, WINDOW_US = FER_BUSY_POLL_MAX_US, TRIES = 200000 };

static const uint8_t frame[FRAME] = {0, 0, 0, 1, 'x'};

/** A channel on the plain wire, and a raw socket that answers. */
typedef struct talk {
    fer_loop *loop; /**< NULL for a blocking channel */
    uv_loop_t *uv;  /**< where a borrowed one runs */
    fer_channel *channel;
    int peer;
    inbox box;
} talk;

static fer_channel_options options_for(int64_t busy_poll_us) {
    fer_channel_options options = options_of(FER_WIRE_PLAIN);
    options.busy_poll_us = busy_poll_us;
    return options;
}

static const char *make_ends(int *peer) {
    static char address[32];
    int fds[2];
    raw_pair(fds);
    *peer = fds[1];
    snprintf(address, sizeof address, "fd:%d", fds[0]);
    return address;
}

/* Let the loop do what there is to do, without waiting. */
static void turn(const talk *one) {
    if (one->uv != NULL)
        uv_run(one->uv, UV_RUN_NOWAIT);
    else
        assert_int_equal(fer_loop_step(one->loop, 0), FER_OK);
}

static void talk_on(talk *one, fer_loop *loop, uv_loop_t *uv, int64_t busy_poll_us) {
    fer_channel_options options = options_for(busy_poll_us);
    noted connected = {0};
    memset(one, 0, sizeof *one);
    one->loop = loop;
    one->uv = uv;
    assert_int_equal(fer_channel_connect(loop, make_ends(&one->peer), &options, note_connected,
                                         &connected, &one->channel),
                     FER_OK);
    while (connected.calls == 0)
        turn(one);
    assert_int_equal(connected.status, FER_OK);
    assert_int_equal(fer_channel_receive(one->channel, inbox_messages, &one->box, inbox_finalized),
                     FER_OK);
}

static void talk_open(talk *one, int64_t busy_poll_us) {
    fer_loop *loop = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    talk_on(one, loop, NULL, busy_poll_us);
}

static void talk_close(talk *one) {
    fer_channel_unref(one->channel);
    end_loop(one->loop);
    raw_close(one->peer);
    inbox_free(&one->box);
}

static void ask(const talk *one) {
    assert_int_equal(send_bytes(one->channel, "x", 1), FER_OK);
}

/* The raw side takes the question. */
static void hear(const talk *one) {
    uint8_t bytes[FRAME];
    raw_receive(one->peer, bytes, sizeof bytes);
    assert_memory_equal(bytes, frame, FRAME);
}

static void get(talk *one, size_t messages) {
    const size_t least = one->box.count + messages;
    while (one->box.count < least)
        turn(one);
}

static void exchange(talk *one) {
    ask(one);
    hear(one);
    raw_send(one->peer, frame, FRAME);
    get(one, 1);
}

/* Until the channel knows that answers come soon. Something was heard last. */
static void learn(talk *one) {
    raw_send(one->peer, frame, FRAME);
    get(one, 1);
    for (int i = 0; !fer__busy_is_on(&one->loop->look.answers); i++) {
        assert_true(i < TRIES);
        exchange(one);
    }
}

/* Who looks asks for the time, again and again; nobody else does. */
static size_t looks(void) {
    return system_count(CALL_clock_gettime);
}

/*
 * Ask, and let it look, which it has no time for when this process did not run just then: again. In the end the question
 * is not answered, and the calls since it are counted.
 */
static void ask_and_look(talk *one, void (*wait)(const talk *one)) {
    for (int i = 0; i < TRIES; i++) {
        learn(one);
        ask(one);
        system_watch(NULL);
        wait(one);
        if (looks() > 1)
            return;
        system_unwatch();
        hear(one);
    }
    fail_msg("it does not look");
}

static void wait_for_a_step(const talk *one) {
    assert_int_equal(fer_loop_step(one->loop, 5), FER_OK);
}

static void wait_for_some_turns(const talk *one) {
    for (int i = 0; i < 3; i++)
        turn(one);
}

static void linger_in_vain(const talk *one) {
    int ready = -1;
    assert_int_equal(fer_loop_linger(one->loop, &ready), FER_OK);
    assert_int_equal(ready, 0);
}

static void a_loop_looks_once_it_has_learned(void **state) {
    (void)state;
    talk one;
    talk_open(&one, WINDOW_US);
    raw_send(one.peer, frame, FRAME);
    get(&one, 1);
    ask(&one);
    system_watch(NULL);
    wait_for_a_step(&one);
    assert_int_equal(looks(), 0);
    system_unwatch();
    hear(&one);
    ask_and_look(&one, wait_for_a_step);
    /* The answer does not come: from now on the loop sleeps. */
    system_watch(NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(one.loop, 2), FER_OK);
    assert_int_equal(looks(), 0);
    system_unwatch();
    talk_close(&one);
}

static void stop(fer_timer *timer, void *user) {
    (void)user;
    assert_int_equal(fer_loop_stop(fer_timer_loop(timer)), FER_OK);
}

/* Run the loop until a timer on it stops it. How many turns that took. */
static uint64_t run_until_a_timer(const talk *one) {
    const uint64_t before = one->loop->turn;
    fer_timer *timer = NULL;
    assert_int_equal(fer_timer_new(one->loop, &timer), FER_OK);
    assert_int_equal(fer_timer_start(timer, 5, 0, stop, NULL, NULL), FER_OK);
    assert_int_equal(fer_loop_run(one->loop), FER_OK);
    assert_int_equal(fer_timer_close(timer, NULL, NULL), FER_OK);
    fer_timer_unref(timer);
    return one->loop->turn - before;
}

static void a_running_loop_looks_in_turns(void **state) {
    (void)state;
    enum { FEW = 4 };
    talk one;
    uint64_t turns = 0;
    talk_open(&one, WINDOW_US);
    /* Each look is a turn of the loop, in which all else on it is served. */
    for (int i = 0; turns <= FEW; i++) {
        assert_true(i < TRIES);
        learn(&one);
        ask(&one);
        turns = run_until_a_timer(&one);
        hear(&one);
    }
    assert_in_range(run_until_a_timer(&one), 0, FEW);
    talk_close(&one);
}

static void stop_while_it_looks(fer_loop *loop, fer_status status, void *user) {
    (void)user;
    assert_int_equal(status, FER_OK);
    assert_int_equal(fer_loop_stop(loop), FER_OK);
}

/* Who steps a loop after it ran decides about waiting: what was looked for when it was stopped is no reason not to. */
static void a_loop_that_was_stopped_while_it_looked_waits_in_steps(void **state) {
    (void)state;
    talk one;
    int64_t timeout_ms = 0;
    talk_open(&one, WINDOW_US);
    for (int i = 0; !one.loop->look.active; i++) {
        assert_true(i < TRIES);
        learn(&one);
        ask(&one);
        assert_int_equal(fer_loop_post(one.loop, stop_while_it_looks, NULL), FER_OK);
        assert_int_equal(fer_loop_run(one.loop), FER_OK);
        hear(&one);
    }
    turn(&one);
    assert_int_equal(fer_loop_timeout(one.loop, &timeout_ms), FER_OK);
    assert_int_equal(timeout_ms, -1);
    talk_close(&one);
}

static void whatever_comes_ends_a_look(void **state) {
    (void)state;
    talk one;
    talk other;
    int ready = 0;
    talk_open(&one, WINDOW_US);
    talk_on(&other, one.loop, NULL, -1);
    for (int i = 0; !ready; i++) {
        assert_true(i < TRIES);
        learn(&one);
        ask(&one);
        raw_send(other.peer, frame, FRAME);
        assert_int_equal(fer_loop_linger(one.loop, &ready), FER_OK);
        get(&other, 1);
        hear(&one);
    }
    /* So does the answer. */
    ready = 0;
    for (int i = 0; !ready; i++) {
        assert_true(i < TRIES);
        learn(&one);
        ask(&one);
        hear(&one);
        raw_send(one.peer, frame, FRAME);
        assert_int_equal(fer_loop_linger(one.loop, &ready), FER_OK);
        get(&one, 1);
    }
    fer_channel_unref(other.channel);
    raw_close(other.peer);
    talk_close(&one);
    inbox_free(&other.box);
}

static void a_host_lingers_only_for_an_answer(void **state) {
    (void)state;
    talk one;
    talk_open(&one, WINDOW_US);
    assert_int_equal(fer_loop_linger(one.loop, NULL), FER_EINVAL);
    for (int i = 0; i < 2; i++) {
        system_watch(NULL);
        linger_in_vain(&one);
        assert_int_equal(looks() + system_count(CALL_poll), 0);
        system_unwatch();
        ask_and_look(&one, linger_in_vain);
        assert_true(system_count(CALL_poll) > 0);
        system_unwatch();
    }
    talk_close(&one);
}

/* Who has many channels is asked by one after the other: each has its next question late, and all of them soon. */
static void channels_learn_together(void **state) {
    (void)state;
    enum { COUNT = 50 };
    talk all[COUNT];
    noted closed = {0};
    talk_open(&all[0], WINDOW_US);
    for (int i = 1; i < COUNT; i++)
        talk_on(&all[i], all[0].loop, NULL, WINDOW_US);
    for (int i = 0; !fer__busy_is_on(&all[0].loop->look.answers); i++) {
        talk *one = &all[i % COUNT];
        assert_true(i < TRIES);
        raw_send(one->peer, frame, FRAME);
        get(one, 1);
        ask(one);
        hear(one);
    }
    for (int i = 1; i < COUNT; i++) {
        assert_int_equal(fer_channel_abort(all[i].channel), FER_OK);
        assert_int_equal(fer_channel_close(all[i].channel, note_closed, &closed), FER_OK);
        while (closed.calls < i)
            turn(&all[0]);
        fer_channel_unref(all[i].channel);
        raw_close(all[i].peer);
        inbox_free(&all[i].box);
    }
    talk_close(&all[0]);
}

static void a_borrowed_loop_looks_by_itself(void **state) {
    (void)state;
    uv_loop_t uv;
    fer_loop *loop = NULL;
    talk one;
    int ready = -1;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(fer_loop_attach(&uv, &loop), FER_OK);
    talk_on(&one, loop, &uv, WINDOW_US);
    assert_int_equal(fer_loop_linger(loop, &ready), FER_ENOTSUP);
    assert_int_equal(ready, 0);
    ask_and_look(&one, wait_for_some_turns);
    system_unwatch();
    /* Looking does not keep the host alive. */
    assert_int_equal(fer_channel_hold_loop(one.channel, FER_CHANNEL_HOLD_NEVER), FER_OK);
    assert_int_equal(uv_loop_alive(&uv), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    /* Nor is it done for a channel that is gone. */
    system_watch(NULL);
    fer_channel_unref(one.channel);
    assert_int_equal(fer_loop_detach(loop, NULL, NULL), FER_OK);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(looks(), 0);
    system_unwatch();
    fer_loop_unref(loop);
    assert_int_equal(uv_loop_close(&uv), 0);
    raw_close(one.peer);
    inbox_free(&one.box);
}

static void a_channel_that_is_told_so_never_looks(void **state) {
    (void)state;
    talk one;
    talk_open(&one, -1);
    raw_send(one.peer, frame, FRAME);
    get(&one, 1);
    system_watch(NULL);
    for (int i = 0; i < 4 * FER__BUSY_EVIDENCE; i++)
        exchange(&one);
    ask(&one);
    wait_for_a_step(&one);
    assert_int_equal(looks(), 0);
    system_unwatch();
    talk_close(&one);
}

/* Streams in one direction ask for no time at all. */
static void streams_do_not_look(void **state) {
    (void)state;
    enum { MANY = 200 };
    static uint8_t frames[MANY][FRAME];
    talk one;
    for (int i = 0; i < MANY; i++)
        memcpy(frames[i], frame, FRAME);
    talk_open(&one, WINDOW_US);
    for (int round = 0; round < 2; round++) {
        system_watch(NULL);
        for (int i = 0; i < 50; i++) {
            raw_send(one.peer, frames, sizeof frames);
            get(&one, MANY);
        }
        for (int i = 0; i < 50; i++) {
            for (int j = 0; j < MANY; j++)
                ask(&one);
            turn(&one);
            for (int j = 0; j < MANY; j++)
                hear(&one);
        }
        assert_int_equal(looks(), 0);
        system_unwatch();
        /* Nor once the channel has learned that answers may come soon: this is no question. */
        learn(&one);
        for (int j = 0; j <= FER__BUSY_MESSAGES + 1; j++)
            ask(&one);
        system_watch(NULL);
        wait_for_a_step(&one);
        assert_int_equal(looks(), 0);
        system_unwatch();
        for (int j = 0; j <= FER__BUSY_MESSAGES + 1; j++)
            hear(&one);
        raw_send(one.peer, frames, sizeof frames);
        get(&one, MANY);
    }
    talk_close(&one);
}

static void who_does_not_receive_does_not_look(void **state) {
    (void)state;
    talk one;
    noted closed = {0};
    talk_open(&one, WINDOW_US);
    learn(&one);
    ask(&one);
    system_watch(NULL);
    assert_int_equal(fer_channel_pause(one.channel), FER_OK);
    wait_for_a_step(&one);
    assert_int_equal(looks(), 0);
    system_unwatch();
    hear(&one);
    assert_int_equal(fer_channel_resume(one.channel), FER_OK);
    learn(&one);
    ask(&one);
    system_watch(NULL);
    assert_int_equal(fer_channel_abort(one.channel), FER_OK);
    assert_int_equal(fer_channel_close(one.channel, note_closed, &closed), FER_OK);
    while (closed.calls == 0)
        wait_for_a_step(&one);
    assert_int_equal(looks(), 0);
    system_unwatch();
    talk_close(&one);
}

static void receive(fer_channel *channel) {
    fer_message message;
    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message), FER_OK);
    assert_int_equal(message.size, 1);
}

static void ask_blocking(fer_channel *channel, int peer) {
    const fer_bytes bytes = {"x", 1};
    uint8_t got[FRAME];
    assert_int_equal(fer_sync_send(channel, &bytes, 1, HARNESS_PATIENCE_MS), FER_OK);
    raw_receive(peer, got, sizeof got);
}

/* How often it is read until the time is up. */
static size_t reads_in_vain(fer_channel *channel, int64_t timeout_ms) {
    fer_message message;
    system_watch(NULL);
    assert_int_equal(fer_sync_receive(channel, timeout_ms, &message), FER_ETIMEDOUT);
    system_unwatch();
    return system_count(CALL_recvmsg);
}

static void a_blocking_channel_looks_before_it_blocks(void **state) {
    (void)state;
    enum { FEW = 4 }; /* reads of who does not look */
    const int64_t windows[2] = {WINDOW_US, -1};
    for (int i = 0; i < 2; i++) {
        const fer_channel_options options = options_for(windows[i]);
        fer_channel *channel = NULL;
        int peer = -1;
        size_t most = 0;
        assert_int_equal(
            fer_sync_connect(make_ends(&peer), &options, HARNESS_PATIENCE_MS, &channel), FER_OK);
        raw_send(peer, frame, FRAME);
        receive(channel);
        for (int n = 0; n < 100 || (i == 0 && most <= FEW); n++) {
            assert_true(n < TRIES);
            ask_blocking(channel, peer);
            if (n % 20 == 19) {
                const size_t reads = reads_in_vain(channel, 3);
                most = reads > most ? reads : most;
            }
            raw_send(peer, frame, FRAME);
            receive(channel);
        }
        assert_int_equal(most > FEW, i == 0);
        /* Not a second time for the same answer, nor without time. */
        ask_blocking(channel, peer);
        assert_in_range(reads_in_vain(channel, 0), 0, FEW);
        reads_in_vain(channel, 3);
        assert_in_range(reads_in_vain(channel, 3), 0, FEW);
        raw_send(peer, frame, FRAME);
        receive(channel);
        fer_channel_unref(channel);
        raw_close(peer);
    }
}

static void on_alarm(int number) {
    (void)number;
}

/* A handler that ran while it looked ends the call as one does that ran while it slept. */
static void a_signal_ends_a_look(void **state) {
    (void)state;
    enum { ROUNDS = 10, QUICK = 20, OFTEN = ROUNDS - 2 };
    const fer_channel_options options = options_for(WINDOW_US);
    const struct itimerval in_the_look = {{0, 0}, {0, WINDOW_US / 3}};
    struct sigaction action;
    struct sigaction before;
    fer_channel *channel = NULL;
    int peer = -1;
    int interrupted = 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(fer_sync_connect(make_ends(&peer), &options, HARNESS_PATIENCE_MS, &channel),
                     FER_OK);
    raw_send(peer, frame, FRAME);
    receive(channel);
    for (int i = 0; i < ROUNDS; i++) {
        fer_message message;
        fer_status status;
        for (int n = 0; n < QUICK; n++) {
            ask_blocking(channel, peer);
            raw_send(peer, frame, FRAME);
            receive(channel);
        }
        ask_blocking(channel, peer);
        assert_int_equal(setitimer(ITIMER_REAL, &in_the_look, NULL), 0);
        status = fer_sync_receive(channel, 50, &message);
        interrupted += status == FER_EINTR;
        assert_true(status == FER_EINTR || status == FER_ETIMEDOUT);
        raw_send(peer, frame, FRAME);
        receive(channel);
    }
    /* It may come just before the call begins. */
    assert_in_range(interrupted, OFTEN, ROUNDS);
    fer_channel_unref(channel);
    raw_close(peer);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_loop_looks_once_it_has_learned),
        HARNESS_TEST(a_running_loop_looks_in_turns),
        HARNESS_TEST(a_loop_that_was_stopped_while_it_looked_waits_in_steps),
        HARNESS_TEST(whatever_comes_ends_a_look),
        HARNESS_TEST(a_host_lingers_only_for_an_answer),
        HARNESS_TEST(channels_learn_together),
        HARNESS_TEST(a_borrowed_loop_looks_by_itself),
        HARNESS_TEST(a_channel_that_is_told_so_never_looks),
        HARNESS_TEST(streams_do_not_look),
        HARNESS_TEST(who_does_not_receive_does_not_look),
        HARNESS_TEST(a_blocking_channel_looks_before_it_blocks),
        HARNESS_TEST(a_signal_ends_a_look),
    };
    return HARNESS_MAIN("system_look", tests, NULL, argc, argv);
}
