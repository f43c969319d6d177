/* Blocking channels for the tests. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "fixture.h"

/** Connects while another thread accepts. */
typedef struct connector {
    const char *address;
    const fer_channel_options *options;
    fer_channel *channel;
    fer_status status;
} connector;

static void *connect_blocking(void *user) {
    connector *one = user;
    one->status = fer_sync_connect(one->address, one->options, HARNESS_PATIENCE_MS, &one->channel);
    return NULL;
}

static pthread_t start(connector *one, const fer_channel_options *options) {
    pthread_t thread;
    one->address = address_of(FIXTURE_SOCKET);
    one->options = options;
    one->channel = NULL;
    assert_int_equal(pthread_create(&thread, NULL, connect_blocking, one), 0);
    return thread;
}

static void finish(connector *one, pthread_t thread) {
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(one->status, FER_OK);
    assert_non_null(one->channel);
}

void sync_pair(fer_channel *channels[2], const fer_channel_options *options) {
    connector one;
    fer_server *server = NULL;
    assert_int_equal(fer_sync_listen(address_of(FIXTURE_SOCKET), options, &server), FER_OK);
    pthread_t thread = start(&one, options);
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channels[1]), FER_OK);
    finish(&one, thread);
    channels[0] = one.channel;
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_server_unref(server);
}

int sync_and_raw(fer_channel **channel, const fer_channel_options *options) {
    connector one;
    uint8_t hello[HELLO_SIZE];
    int listener = raw_listen(harness_path(FIXTURE_SOCKET));
    pthread_t thread = start(&one, options);
    int fd = raw_accept(listener);
    raw_close(listener);
    assert_int_equal(remove(harness_path(FIXTURE_SOCKET)), 0);
    if (options == NULL || options->wire == FER_WIRE_NATIVE) {
        raw_receive(fd, hello, sizeof hello);
        raw_send(fd, hello_bytes, HELLO_SIZE);
    }
    finish(&one, thread);
    *channel = one.channel;
    return fd;
}
