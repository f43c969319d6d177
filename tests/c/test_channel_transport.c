/* Channels over FIFOs, TCP and descriptors: what the transport adds to what holds for all of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fixture.h"

#ifndef PIPE_BUF
#define PIPE_BUF 4096
#endif

enum { MIB = 1 << 20 };

/** A server and its clients, on one loop. */
typedef struct party {
    fer_loop *loop;
    fer_server *server;
    char address[256]; /**< for clients */
    fer_channel *served;
    fer_status status; /**< of the last call */
    int calls;
    noted finalized;
} party;

static void on_channel(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    party *all = user;
    (void)server;
    all->calls++;
    all->status = status;
    if (status == FER_OK) {
        assert_null(all->served);
        all->served = channel;
    }
}

static void party_open(party *all, const char *address, const fer_channel_options *options) {
    size_t size = sizeof all->address;
    memset(all, 0, sizeof *all);
    assert_int_equal(fer_loop_new(&all->loop), FER_OK);
    assert_int_equal(
        fer_server_listen(all->loop, address, options, on_channel, all, NULL, &all->server),
        FER_OK);
    assert_int_equal(fer_server_address(all->server, all->address, &size), FER_OK);
}

static fer_channel *party_join(party *all, const fer_channel_options *options) {
    noted connected = {0};
    fer_channel *channel = NULL;
    int calls = all->calls;
    assert_int_equal(
        fer_channel_connect(all->loop, all->address, options, note_connected, &connected, &channel),
        FER_OK);
    harness_run_until(all->loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    while (all->calls == calls)
        assert_int_equal(fer_loop_step(all->loop, 1000), FER_OK);
    assert_int_equal(all->status, FER_OK);
    assert_non_null(all->served);
    return channel;
}

static void party_close(party *all) {
    fer_channel_unref(all->served);
    fer_server_unref(all->server);
    end_loop(all->loop);
}

static void close_both(party *all, fer_channel *client) {
    noted closed[2] = {{0}, {0}};
    assert_int_equal(fer_channel_close(client, note_closed, &closed[0]), FER_OK);
    assert_int_equal(fer_channel_close(all->served, note_closed, &closed[1]), FER_OK);
    harness_run_until(all->loop, &closed[0].calls);
    harness_run_until(all->loop, &closed[1].calls);
    assert_int_equal(closed[0].status, FER_OK);
    assert_int_equal(closed[1].status, FER_OK);
    fer_channel_unref(client);
    fer_channel_unref(all->served);
    all->served = NULL;
}

static const char *const anywhere[] = {"fifo:", "tcp:127.0.0.1:0", "tcp:[::1]:0",
                                       "tcp:localhost:0"};
enum { ANYWHERE = sizeof anywhere / sizeof anywhere[0] };

static const size_t sizes[] = {1,     4,     PIPE_BUF - 5, PIPE_BUF - 1, PIPE_BUF, PIPE_BUF + 1,
                               65531, 65532, 65533,        65534,        65535,    65536,
                               65537, MIB,   4 * MIB + 1};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static int is_served(const char *address) {
    party all;
    fer_status status;
    fer_server *server = NULL;
    memset(&all, 0, sizeof all);
    assert_int_equal(fer_loop_new(&all.loop), FER_OK);
    status = fer_server_listen(all.loop, address, NULL, on_channel, &all, NULL, &server);
    fer_server_unref(server);
    end_loop(all.loop);
    /* A machine may have no IPv6. */
    if (status != FER_OK)
        assert_true(status == FER_EADDRNOTAVAIL || status == FER_EAFNOSUPPORT);
    return status == FER_OK;
}

static void every_size_goes_both_ways(void **state) {
    (void)state;
    for (int i = 0; i < ANYWHERE * 2; i++) {
        const fer_channel_options options = options_of((fer_wire)(i % 2));
        party all;
        inbox boxes[2] = {{0}, {0}};
        fer_channel *client;
        size_t total = 0;
        if (!is_served(anywhere[i / 2]))
            continue;
        party_open(&all, anywhere[i / 2], &options);
        client = party_join(&all, &options);
        assert_int_equal(fer_channel_receive(client, inbox_messages, &boxes[0], inbox_finalized),
                         FER_OK);
        assert_int_equal(
            fer_channel_receive(all.served, inbox_messages, &boxes[1], inbox_finalized), FER_OK);
        /* All at once: nothing is cut, spliced or refused. */
        for (int n = 0; n < SIZES; n++) {
            uint8_t *data = filled(sizes[n], (unsigned)n);
            assert_int_equal(send_bytes(client, data, sizes[n]), FER_OK);
            assert_int_equal(send_bytes(all.served, data, sizes[n]), FER_OK);
            free(data);
        }
        run_until_count(all.loop, &boxes[0].count, SIZES);
        run_until_count(all.loop, &boxes[1].count, SIZES);
        for (int n = 0; n < SIZES; n++) {
            for (int side = 0; side < 2; side++) {
                assert_int_equal(boxes[side].sizes[n], sizes[n]);
                assert_filled(boxes[side].bytes + total, sizes[n], (unsigned)n);
            }
            total += sizes[n];
        }
        close_both(&all, client);
        party_close(&all);
        inbox_free(&boxes[0]);
        inbox_free(&boxes[1]);
    }
}

static void clients_come_one_after_the_other(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        party all;
        party_open(&all, anywhere[i], NULL);
        for (int n = 0; n < 20; n++) {
            fer_channel *client = party_join(&all, NULL);
            inbox box = {0};
            assert_int_equal(fer_channel_receive(all.served, inbox_messages, &box, inbox_finalized),
                             FER_OK);
            assert_int_equal(send_text(client, "hello"), FER_OK);
            run_until_count(all.loop, &box.count, 1);
            assert_memory_equal(box.bytes, "hello", 5);
            close_both(&all, client);
            inbox_free(&box);
        }
        party_close(&all);
    }
}

static void a_death_is_seen(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int wire = 0; wire < 2; wire++) {
            const fer_channel_options options = options_of((fer_wire)wire);
            const fer_status end = wire == FER_WIRE_PLAIN ? FER_EOF : FER_ECONNRESET;
            party all;
            inbox box = {0};
            fer_channel *client;
            party_open(&all, anywhere[i], &options);
            client = party_join(&all, &options);
            assert_int_equal(fer_channel_receive(all.served, inbox_messages, &box, inbox_finalized),
                             FER_OK);
            assert_int_equal(fer_channel_abort(client), FER_OK);
            harness_run_until(all.loop, &box.end.calls);
            assert_int_equal(box.end.status, end);
            fer_channel_unref(client);
            party_close(&all);
            inbox_free(&box);
        }
    }
}

static void nobody_listens_on_tcp(void **state) {
    (void)state;
    party all;
    fer_channel *channel = NULL;
    noted connected = {0};
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.connect_timeout_ms = 30;
    party_open(&all, "tcp:127.0.0.1:0", NULL);
    fer_server_unref(all.server);
    all.server = NULL;
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    assert_int_equal(
        fer_channel_connect(all.loop, all.address, &options, note_connected, &connected, &channel),
        FER_OK);
    harness_run_until(all.loop, &connected.calls);
    assert_int_equal(connected.status, FER_ECONNREFUSED);
    fer_channel_unref(channel);
    party_close(&all);
}

static void a_client_waits_for_the_server(void **state) {
    (void)state;
    party all;
    char address[256];
    fer_channel *channel = NULL;
    noted connected = {0};
    party_open(&all, "tcp:127.0.0.1:0", NULL);
    fer_server_unref(all.server);
    all.server = NULL;
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    snprintf(address, sizeof address, "%s", all.address);
    assert_int_equal(
        fer_channel_connect(all.loop, address, NULL, note_connected, &connected, &channel), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(all.loop, 1), FER_OK);
    assert_int_equal(
        fer_server_listen(all.loop, address, NULL, on_channel, &all, NULL, &all.server), FER_OK);
    harness_run_until(all.loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    fer_channel_unref(channel);
    party_close(&all);
}

static void a_descriptor_becomes_a_channel(void **state) {
    (void)state;
    int fds[2];
    char addresses[2][32];
    fer_loop *loop = NULL;
    fer_channel *channels[2];
    noted connected[2] = {{0}, {0}};
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(addresses[i], sizeof addresses[i], "fd:%d", fds[i]);
        assert_int_equal(fer_channel_connect(loop, addresses[i], NULL, note_connected,
                                             &connected[i], &channels[i]),
                         FER_OK);
        assert_int_equal(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    for (int i = 0; i < 2; i++) {
        harness_run_until(loop, &connected[i].calls);
        assert_int_equal(connected[i].status, FER_OK);
    }
    assert_int_equal(fer_channel_receive(channels[1], inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(send_text(channels[0], "inherited"), FER_OK);
    run_until_count(loop, &box.count, 1);
    assert_memory_equal(box.bytes, "inherited", 9);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    end_loop(loop);
    inbox_free(&box);
}

static void not_every_descriptor_will_do(void **state) {
    (void)state;
    int pipe_fds[2];
    int lone = socket(AF_UNIX, SOCK_STREAM, 0);
    int datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    fer_loop *loop = NULL;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    const struct {
        int fd;
        fer_status as_client;
        fer_status as_server;
    } examples[] = {{pipe_fds[0], FER_ENOTSOCK, FER_ENOTSOCK},
                    {datagram, FER_EPROTOTYPE, FER_EPROTOTYPE},
                    {lone, FER_ENOTCONN, FER_EPROTOTYPE},
                    {10000, FER_EBADF, FER_EBADF}};
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        char address[32];
        fer_channel *channel = NULL;
        fer_server *server = NULL;
        noted unexpected = {0};
        snprintf(address, sizeof address, "fd:%d", examples[i].fd);
        assert_int_equal(
            fer_channel_connect(loop, address, NULL, note_connected, &unexpected, &channel),
            examples[i].as_client);
        assert_int_equal(
            fer_server_listen(loop, address, NULL, on_channel, &unexpected, NULL, &server),
            examples[i].as_server);
        assert_int_equal(unexpected.calls, 0);
    }
    /* They stay the caller's. */
    assert_int_equal(close(pipe_fds[0]), 0);
    assert_int_equal(close(pipe_fds[1]), 0);
    assert_int_equal(close(lone), 0);
    assert_int_equal(close(datagram), 0);
    end_loop(loop);
}

static void a_listening_descriptor_becomes_a_server(void **state) {
    (void)state;
    party all;
    char address[32];
    int fd = raw_listen(harness_path("s"));
    snprintf(address, sizeof address, "fd:%d", fd);
    party_open(&all, address, NULL);
    snprintf(all.address, sizeof all.address, "pipe:%s", harness_path("s"));
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close_both(&all, party_join(&all, NULL));
    /* What watches it already stays. */
    fer_server *second = NULL;
    assert_int_equal(fer_server_listen(all.loop, address, NULL, on_channel, &all, NULL, &second),
                     FER_EBUSY);
    assert_null(second);
    close_both(&all, party_join(&all, NULL));
    party_close(&all);
    assert_int_equal(unlink(harness_path("s")), 0);
}

/* A descriptor goes to the server when that listens, and not before. */
static void a_descriptor_stays_with_the_caller(void **state) {
    (void)state;
    char address[32];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    fer_server *server = NULL;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", harness_path("s"));
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 1), 0);
    snprintf(address, sizeof address, "fd:%d", fd);
    for (size_t n = 1;; n++) {
        harness_fail_allocation(n);
        fer_status status = fer_sync_listen(address, NULL, &server);
        int failed = harness_allocation_failed();
        harness_fail_allocation(0);
        assert_true(fcntl(fd, F_GETFD) >= 0);
        assert_int_equal(status, failed ? FER_ENOMEM : FER_OK);
        if (!failed)
            break;
    }
    /* It may have been a blocking one: nobody there is not waited for. */
    fer_channel *channel = NULL;
    assert_int_equal(fer_sync_accept(server, 0, &channel), FER_ETIMEDOUT);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_server_unref(server);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(unlink(harness_path("s")), 0);
}

static void a_pair_is_connected(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel *channels[2] = {NULL, NULL};
    noted connected = {0};
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_channel_pair(loop, NULL, note_connected, &connected, channels), FER_OK);
    while (connected.calls < 2)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    assert_int_equal(connected.status, FER_OK);
    assert_int_equal(fer_channel_receive(channels[1], inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(send_text(channels[0], "both here"), FER_OK);
    run_until_count(loop, &box.count, 1);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    assert_int_equal(fer_channel_pair(loop, NULL, NULL, NULL, channels), FER_EINVAL);
    assert_null(channels[0]);
    end_loop(loop);
    inbox_free(&box);
}

static void blocking_channels_use_every_transport(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int wire = 0; wire < 2; wire++) {
            const fer_channel_options options = options_of((fer_wire)wire);
            char address[256];
            char number[2] = {(char)('0' + wire), '\0'};
            size_t size = sizeof address;
            fer_server *server = NULL;
            fer_channel *channel = NULL;
            fer_message message;
            assert_int_equal(fer_sync_listen(anywhere[i], &options, &server), FER_OK);
            assert_int_equal(fer_server_address(server, address, &size), FER_OK);
            for (int n = 0; n < 3; n++) {
                const char *const arguments[] = {address, number, NULL};
                harness_child child;
                harness_spawn(&child, "echo", -1, arguments);
                assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_OK);
                for (int k = 0; k < SIZES; k++) {
                    uint8_t *data = filled(sizes[k], (unsigned)k);
                    const fer_bytes whole = {data, sizes[k]};
                    assert_int_equal(fer_sync_send(channel, &whole, 1, -1), FER_OK);
                    assert_int_equal(fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message),
                                     FER_OK);
                    assert_int_equal(message.size, sizes[k]);
                    assert_filled(message.data, sizes[k], (unsigned)k);
                    free(data);
                }
                assert_int_equal(fer_sync_receive(channel, 0, &message), FER_ETIMEDOUT);
                assert_int_equal(fer_sync_close(channel, -1), FER_OK);
                fer_channel_unref(channel);
                assert_int_equal(harness_wait(&child), 0);
            }
            assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
            fer_server_unref(server);
        }
    }
}

/* Send back what comes, until the other side says goodbye. */
static int echo(int argc, char **argv) {
    fer_channel *channel = NULL;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_message message;
    fer_status status;
    if (argc < 3)
        return 2;
    options.wire = argv[2][0] - '0';
    status = fer_sync_connect(argv[1], &options, HARNESS_PATIENCE_MS, &channel);
    while (status == FER_OK) {
        status = fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message);
        if (status == FER_OK) {
            const fer_bytes whole = {message.data, message.size};
            status = fer_sync_send(channel, &whole, 1, -1);
        }
    }
    if (channel != NULL && fer_sync_close(channel, -1) != FER_OK)
        status = FER_EPROTO;
    fer_channel_unref(channel);
    return status == FER_EOF ? 0 : 1;
}

static void a_cork_gathers(void **state) {
    (void)state;
    duo ends;
    inbox box = {0};
    fer_channel_info info = FER_CHANNEL_INFO_INIT;
    uint64_t unsent = 0;
    duo_open(&ends, NULL, NULL);
    assert_int_equal(fer_channel_receive(ends.served, inbox_messages, &box, inbox_finalized),
                     FER_OK);
    assert_int_equal(fer_channel_cork(ends.client), FER_OK);
    assert_int_equal(send_text(ends.client, "a"), FER_OK);
    assert_int_equal(send_text(ends.client, "b"), FER_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(ends.loop, 0), FER_OK);
    assert_int_equal(box.count, 0);
    assert_int_equal(fer_channel_get_info(ends.client, &info), FER_OK);
    assert_int_equal(info.queued, 2 * 9);
    assert_int_equal(fer_channel_unsent(ends.client, &unsent), FER_OK);
    assert_int_equal(unsent, 2 * 9);
    assert_int_equal(fer_channel_uncork(ends.client), FER_OK);
    assert_int_equal(fer_channel_get_info(ends.client, &info), FER_OK);
    assert_int_equal(info.queued, 0);
    run_until_count(ends.loop, &box.count, 2);
    assert_int_equal(box.batches, 1);
    /* An abort says how much was lost. */
    assert_int_equal(fer_channel_cork(ends.client), FER_OK);
    assert_int_equal(send_text(ends.client, "lost"), FER_OK);
    assert_int_equal(fer_channel_abort(ends.client), FER_OK);
    assert_int_equal(fer_channel_unsent(ends.client, &unsent), FER_OK);
    assert_int_equal(unsent, 8 + 4);
    duo_close(&ends);
    inbox_free(&box);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(every_size_goes_both_ways),
        HARNESS_TEST(clients_come_one_after_the_other),
        HARNESS_TEST(a_death_is_seen),
        HARNESS_TEST(nobody_listens_on_tcp),
        HARNESS_TEST(a_client_waits_for_the_server),
        HARNESS_TEST(a_descriptor_becomes_a_channel),
        HARNESS_TEST(not_every_descriptor_will_do),
        HARNESS_TEST(a_listening_descriptor_becomes_a_server),
        HARNESS_TEST(a_descriptor_stays_with_the_caller),
        HARNESS_TEST(a_pair_is_connected),
        HARNESS_TEST(blocking_channels_use_every_transport),
        HARNESS_TEST(a_cork_gathers),
    };
    const harness_helper helpers[] = {{"echo", echo}, {NULL, NULL}};
    return HARNESS_MAIN("channel_transport", tests, helpers, argc, argv);
}
