/* A server with many clients. */
#include "crowd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    crowd *all = user;
    assert_non_null(server);
    assert_int_equal(status == FER_OK, channel != NULL);
    assert_int_equal(all->finalized.calls, 0);
    if (status != FER_OK) {
        all->failures++;
        all->failure = status;
        snprintf(all->detail, sizeof all->detail, "%s", fer_status_detail());
        return;
    }
    assert_true(all->count < CROWD_MOST);
    all->served[all->count++] = channel;
    if (all->greet != NULL)
        all->greet(all, channel);
}

static void on_finalized(void *user) {
    crowd *all = user;
    note(&all->finalized, FER_OK);
}

void crowd_open(crowd *all, const char *address, const fer_channel_options *options) {
    size_t size = sizeof all->address;
    memset(all, 0, sizeof *all);
    assert_int_equal(fer_loop_new(&all->loop), FER_OK);
    assert_int_equal(
        fer_server_listen(all->loop, address, options, on_channel, all, on_finalized, &all->server),
        FER_OK);
    assert_int_equal(fer_server_address(all->server, all->address, &size), FER_OK);
}

fer_channel *crowd_call(crowd *all, const fer_channel_options *options, noted *connected) {
    fer_channel *channel = NULL;
    assert_int_equal(
        fer_channel_connect(all->loop, all->address, options, note_connected, connected, &channel),
        FER_OK);
    return channel;
}

fer_channel *crowd_join(crowd *all, const fer_channel_options *options) {
    noted connected = {0};
    const size_t count = all->count;
    fer_channel *channel = crowd_call(all, options, &connected);
    harness_run_until(all->loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    run_until_count(all->loop, &all->count, count + 1);
    return channel;
}

fer_status crowd_refuse(crowd *all, const fer_channel_options *options, fer_status status) {
    noted connected = {0};
    inbox box = {0};
    const size_t failures = all->failures;
    const size_t count = all->count;
    fer_channel *channel = crowd_call(all, options, &connected);
    harness_run_until(all->loop, &connected.calls);
    crowd_await_failures(all, failures + 1);
    assert_int_equal(all->failure, status);
    assert_int_equal(all->failures, failures + 1);
    assert_int_equal(all->count, count);
    /* A client may be connected before it is refused. */
    if (connected.status == FER_OK) {
        assert_int_equal(fer_channel_receive(channel, inbox_messages, &box, inbox_finalized),
                         FER_OK);
        harness_run_until(all->loop, &box.end.calls);
        connected.status = box.end.status;
        assert_int_equal(box.count, 0);
    }
    fer_channel_unref(channel);
    assert_int_equal(fer_loop_step(all->loop, 0), FER_OK);
    inbox_free(&box);
    return connected.status;
}

void crowd_await_failures(crowd *all, size_t failures) {
    run_until_count(all->loop, &all->failures, failures);
}

void crowd_leave(crowd *all) {
    while (all->count > 0)
        fer_channel_unref(all->served[--all->count]);
}

void crowd_close(crowd *all) {
    crowd_leave(all);
    fer_server_unref(all->server);
    end_loop(all->loop);
    assert_int_equal(all->finalized.calls, 1);
    memset(all, 0, sizeof *all);
}

int raw_connect_tcp(const char *address) {
    struct sockaddr_in to;
    const char *port = strrchr(address, ':');
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_non_null(port);
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail_msg("cannot connect to %s: %s", address, strerror(errno));
    return fd;
}
