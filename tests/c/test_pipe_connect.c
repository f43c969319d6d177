/* Pipes: connecting to a listener whose queue is full. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"

/* A listener that nobody accepts from yet, and a queue in which there is no room. */
typedef struct crowd {
    fer_loop *loop;
    char path[128];
    int listener;
    int clients[8];
    size_t count;
} crowd;

static int join(crowd *all) {
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, all->path, strlen(all->path) + 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        all->clients[all->count++] = fd;
        return 1;
    }
    assert_int_equal(close(fd), 0);
    return 0;
}

static void crowd_open(crowd *all) {
    memset(all, 0, sizeof *all);
    snprintf(all->path, sizeof all->path, "%s", harness_path("s"));
    all->listener = raw_listen(all->path);
    assert_int_equal(listen(all->listener, 1), 0);
    while (join(all))
        assert_true(all->count < 8);
    assert_true(all->count > 0);
    assert_int_equal(fer_loop_new(&all->loop), FER_OK);
}

static void crowd_end(crowd *all) {
    end_loop(all->loop);
    while (all->count > 0)
        raw_close(all->clients[--all->count]);
    if (all->listener >= 0)
        raw_close(all->listener);
    assert_int_equal(unlink(all->path), 0);
}

static fer_handle *connecting_pipe(crowd *all, noted *connected) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(all->loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_connect(pipe, all->path, FER_ZSTRING, note_stream, connected),
                     FER_OK);
    return pipe;
}

/* The loop runs for as long as it takes to try some more times. */
static void let_it_try(crowd *all, const noted *connected) {
    int64_t until = now_ms() + 30;
    while (now_ms() < until)
        assert_int_equal(fer_loop_step(all->loop, 5), FER_OK);
    assert_int_equal(connected->calls, 0);
}

static void a_full_queue_is_waited_for(void **state) {
    crowd all;
    noted connected = {0};
    noted second = {0};
    fer_handle *pipe;
    (void)state;
    crowd_open(&all);
    pipe = connecting_pipe(&all, &connected);
    let_it_try(&all, &connected);
    assert_int_equal(fer_pipe_connect(pipe, all.path, FER_ZSTRING, note_stream, &second),
                     FER_EALREADY);
    assert_int_equal(fer_stream_write(pipe, NULL, 0, NULL, NULL), FER_ENOTCONN);
    /* Nothing of the stream is under way yet, so this changes nothing. */
    assert_int_equal(fer_stream_read_stop(pipe), FER_OK);
    let_it_try(&all, &connected);
    raw_close(raw_accept(all.listener));
    harness_run_until(all.loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    assert_true(fer_stream_is_writable(pipe));
    fer_handle_unref(pipe);
    crowd_end(&all);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(second.calls, 0);
}

static void closing_ends_the_wait(void **state) {
    crowd all;
    noted connected = {0};
    noted closed = {0};
    fer_fd fd = -1;
    fer_handle *pipe;
    (void)state;
    crowd_open(&all);
    pipe = connecting_pipe(&all, &connected);
    let_it_try(&all, &connected);
    assert_int_equal(fer_handle_detach(pipe, &fd), FER_EBUSY);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed), FER_OK);
    harness_run_until(all.loop, &closed.calls);
    assert_int_equal(connected.calls, 1);
    assert_int_equal(connected.status, FER_ECANCELED);
    assert_true(connected.when < closed.when);
    fer_handle_unref(pipe);
    crowd_end(&all);
}

static void a_listener_that_goes_away_ends_the_wait(void **state) {
    crowd all;
    noted connected = {0};
    fer_handle *pipe;
    (void)state;
    crowd_open(&all);
    pipe = connecting_pipe(&all, &connected);
    raw_close(all.listener);
    all.listener = -1;
    harness_run_until(all.loop, &connected.calls);
    assert_int_equal(connected.status, FER_ECONNREFUSED);
    /* The pipe may try again. */
    assert_int_equal(fer_pipe_connect(pipe, all.path, FER_ZSTRING, note_stream, &connected),
                     FER_OK);
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    assert_int_equal(connected.calls, 2);
    fer_handle_unref(pipe);
    crowd_end(&all);
}

static void waiting_holds_the_loop_unless_told_otherwise(void **state) {
    crowd all;
    noted connected = {0};
    fer_handle *pipe;
    (void)state;
    crowd_open(&all);
    pipe = connecting_pipe(&all, &connected);
    assert_true(fer_loop_is_alive(all.loop));
    assert_int_equal(fer_handle_hold_loop(pipe, 0), FER_OK);
    assert_int_equal(fer_loop_run(all.loop), FER_OK);
    assert_int_equal(connected.calls, 0);
    assert_int_equal(fer_handle_hold_loop(pipe, 1), FER_OK);
    assert_true(fer_loop_is_alive(all.loop));
    fer_handle_unref(pipe);
    crowd_end(&all);
    assert_int_equal(connected.status, FER_ECANCELED);

    /* Also when it was told before. */
    crowd_open(&all);
    assert_int_equal(fer_pipe_new(all.loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_handle_hold_loop(pipe, 0), FER_OK);
    assert_int_equal(fer_pipe_connect(pipe, all.path, FER_ZSTRING, note_stream, &connected),
                     FER_OK);
    assert_int_equal(fer_loop_run(all.loop), FER_OK);
    assert_int_equal(connected.calls, 1);
    fer_handle_unref(pipe);
    crowd_end(&all);
    assert_int_equal(connected.calls, 2);
}

static void wait_once(void *context) {
    crowd *all = context;
    noted connected = {0};
    fer_handle *pipe = NULL;
    fer_status status = fer_pipe_new(all->loop, 0, &pipe);
    if (status == FER_OK)
        status = fer_pipe_connect(pipe, all->path, FER_ZSTRING, note_stream, &connected);
    assert_true(status == FER_OK || status == FER_ENOMEM);
    fer_handle_unref(pipe);
    assert_int_equal(fer_loop_step(all->loop, 0), FER_OK);
    assert_int_equal(connected.calls, status == FER_OK);
}

static void waiting_survives_a_lack_of_memory(void **state) {
    crowd all;
    (void)state;
    crowd_open(&all);
    wait_once(&all);
    assert_in_range(harness_each_allocation(wait_once, &all), 2, 10);
    crowd_end(&all);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_full_queue_is_waited_for),
        HARNESS_TEST(closing_ends_the_wait),
        HARNESS_TEST(a_listener_that_goes_away_ends_the_wait),
        HARNESS_TEST(waiting_holds_the_loop_unless_told_otherwise),
        HARNESS_TEST(waiting_survives_a_lack_of_memory),
    };
    return HARNESS_MAIN("pipe_connect", tests, NULL, argc, argv);
}
