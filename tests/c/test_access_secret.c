/* A secret that both sides prove: right, wrong, missing, replayed, reflected, and never finished. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crowd.h"
#include "impl/auth.h"
#include "vectors.h"

enum { HELLO = 8 + 60, PROOF = 8 + 32 };

static const char right[] = "correct horse battery staple";

static fer_channel_options with_secret(const char *secret) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    options.secret = secret;
    options.secret_size = secret == NULL ? 0 : strlen(secret);
    return options;
}

static const char *const addresses[] = {"pipe:", "tcp:127.0.0.1:0", "fifo:"};

static const char *address_number(size_t i) {
    return i == 0 ? address_of("s") : addresses[i];
}

/* Both know it. */

static void echo_once(crowd *all, fer_channel *client) {
    inbox box = {0};
    assert_int_equal(fer_channel_receive(client, inbox_messages, &box, inbox_finalized), FER_OK);
    assert_int_equal(send_text(all->served[all->count - 1], "told in confidence"), FER_OK);
    run_until_count(all->loop, &box.count, 1);
    assert_int_equal(box.size, strlen("told in confidence"));
    fer_channel_unref(client);
    harness_run_until(all->loop, &box.finalized.calls);
    inbox_free(&box);
}

static void both_know_it(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *own = strdup(right);
        fer_channel_options options = with_secret(own);
        crowd all;
        crowd_open(&all, address_number(i), &options);
        /* The server has a copy. */
        memset(own, 'x', strlen(own));
        memcpy(own, right, sizeof right);
        fer_channel *client = crowd_join(&all, &options);
        memset(own, 'x', strlen(own));
        echo_once(&all, client);
        free(own);
        assert_int_equal(all.failures, 0);
        crowd_close(&all);
    }
}

static void a_secret_may_be_any_bytes(void **state) {
    (void)state;
    const struct {
        size_t size;
        int byte;
    } secrets[] = {{1, 'x'}, {1, 0}, {64, 0}, {65, 255}, {100000, 7}};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
        char *bytes = malloc(secrets[i].size);
        crowd all;
        memset(bytes, secrets[i].byte, secrets[i].size);
        options.secret = bytes;
        options.secret_size = secrets[i].size;
        crowd_open(&all, address_of("s"), &options);
        echo_once(&all, crowd_join(&all, &options));
        /* A byte less is another secret, whatever that byte is. */
        if (secrets[i].size > 1) {
            options.secret_size--;
            assert_int_equal(crowd_refuse(&all, &options, FER_EACCES), FER_EACCES);
        }
        free(bytes);
        crowd_close(&all);
    }
}

static void the_blocking_face_proves_it_too(void **state) {
    (void)state;
    const fer_channel_options options = with_secret(right);
    fer_channel *channels[2];
    fer_message message;
    sync_pair(channels, &options);
    assert_int_equal(fer_sync_send(channels[0], &(fer_bytes){"hi", 2}, 1, 1000), FER_OK);
    assert_int_equal(fer_sync_receive(channels[1], 1000, &message), FER_OK);
    assert_int_equal(message.size, 2);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
}

static void handles_and_large_messages_go_as_ever(void **state) {
    (void)state;
    const size_t size = 3u << 20;
    fer_channel_options options = with_secret(right);
    fer_channel *channels[2];
    fer_message message;
    fer_fd taken = -1;
    uint8_t *data = filled(size, 5);
    options.max_handles = 1;
    sync_pair(channels, &options);
    const fer_fd passed = 0;
    assert_int_equal(fer_sync_send_fds(channels[0], &(fer_bytes){"fd", 2}, 1, &passed, 1, 1000),
                     FER_OK);
    assert_int_equal(fer_sync_receive(channels[1], 1000, &message), FER_OK);
    assert_int_equal(fer_message_take_fd(channels[1], &message, 0, &taken), FER_OK);
    raw_close((int)taken);
    fer_status status = fer_sync_send(channels[1], &(fer_bytes){data, size}, 1, 0);
    while (status == FER_ETIMEDOUT) {
        if (fer_sync_receive(channels[0], 0, &message) == FER_OK)
            break;
        status = fer_sync_flush(channels[1], 0);
    }
    if (status == FER_OK)
        assert_int_equal(fer_sync_receive(channels[0], HARNESS_PATIENCE_MS, &message), FER_OK);
    assert_int_equal(message.size, size);
    assert_filled(message.data, size, 5);
    fer_channel_unref(channels[0]);
    fer_channel_unref(channels[1]);
    free(data);
}

/* Not both. */

static void who_does_not_know_it_is_refused(void **state) {
    (void)state;
    const char *const secrets[][2] = {
        {right, "correct horse battery stapl"},
        {right, "Correct horse battery staple"},
        {right, NULL},
        {NULL, right},
    };
    for (size_t i = 0; i < 2; i++) {
        for (size_t n = 0; n < sizeof secrets / sizeof secrets[0]; n++) {
            const fer_channel_options served = with_secret(secrets[n][0]);
            const fer_channel_options client = with_secret(secrets[n][1]);
            crowd all;
            crowd_open(&all, address_number(i), &served);
            assert_int_equal(crowd_refuse(&all, &client, FER_EACCES), FER_EACCES);
            /* And the next one is served. */
            fer_channel_unref(crowd_join(&all, &served));
            assert_int_equal(all.failures, 1);
            crowd_close(&all);
        }
    }
}

static void each_says_what_is_wrong(void **state) {
    (void)state;
    const fer_channel_options knows = with_secret(right);
    const fer_channel_options errs = with_secret("wrong");
    const fer_channel_options none = FER_CHANNEL_OPTIONS_INIT;
    const struct {
        const fer_channel_options *served;
        const fer_channel_options *client;
        const char *at_server;
        const char *at_client;
    } examples[] = {
        {&knows, &errs, "the peer does not know the secret",
         "the peer ended the handshake: the secrets may differ"},
        {&knows, &none, "the peer has no secret", "the peer asks for a secret"},
        {&none, &knows, "the peer asks for a secret", "the peer has no secret"},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        noted connected = {0};
        crowd all;
        crowd_open(&all, address_of("s"), examples[i].served);
        fer_channel *client = crowd_call(&all, examples[i].client, &connected);
        harness_run_until(all.loop, &connected.calls);
        crowd_await_failures(&all, 1);
        assert_int_equal(connected.status, FER_EACCES);
        assert_string_equal(connected.detail, examples[i].at_client);
        assert_string_equal(all.detail, examples[i].at_server);
        fer_channel_unref(client);
        crowd_close(&all);
    }
}

static void options_that_cannot_be_are_refused(void **state) {
    (void)state;
    fer_channel_options options = with_secret(right);
    fer_channel *channel = NULL;
    fer_channel *pair[2];
    fer_loop *loop = NULL;
    noted connected = {0};
    int fds[2];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    raw_pair(fds);
    char address[32];
    snprintf(address, sizeof address, "fd:%d", fds[0]);
    assert_int_equal(fer_sync_connect(address, &options, 0, &channel), FER_ENOTSUP);
    assert_int_equal(
        fer_channel_connect(loop, address, &options, note_connected, &connected, &channel),
        FER_ENOTSUP);
    assert_int_equal(fer_channel_pair(loop, &options, note_connected, &connected, pair),
                     FER_ENOTSUP);
    /* The descriptor is still ours. */
    raw_close(fds[0]);
    raw_close(fds[1]);
    options.wire = FER_WIRE_PLAIN;
    assert_int_equal(fer_sync_connect(address_of("s"), &options, 0, &channel), FER_ENOTSUP);
    options.wire = FER_WIRE_NATIVE;
    options.secret_size = 0;
    assert_int_equal(fer_sync_connect(address_of("s"), &options, 0, &channel), FER_EINVAL);
    assert_string_equal(fer_status_detail(), "the secret is empty");
    options.secret = NULL;
    options.secret_size = 5;
    assert_int_equal(fer_sync_connect(address_of("s"), &options, 0, &channel), FER_EINVAL);
    end_loop(loop);
    assert_int_equal(connected.calls, 0);
}

/* Peers without the library. */

static fer__auth auth_of(const fer__secret *secret, int is_server, const uint8_t *own,
                         const uint8_t *peer) {
    fer__auth auth = {.secret = secret, .is_server = (uint8_t)is_server};
    memcpy(auth.own, own + 8, sizeof auth.own);
    memcpy(auth.peer, peer + 8, sizeof auth.peer);
    return auth;
}

/* The HELLO of a peer with a secret, and random bytes that are all the same. */
static void make_hello(uint8_t hello[HELLO], int byte) {
    memcpy(hello, hello_bytes, HELLO_SIZE);
    hello[7] = 60;
    hello[8 + 15] = FER__FEATURE_SECRET;
    memset(hello + HELLO_SIZE, byte, 32);
}

static void put_proof(uint8_t proof[PROOF], const fer__auth *auth, int of_server) {
    static const uint8_t head[8] = {7, 0, 0, 0, 0, 0, 0, 32};
    memcpy(proof, head, sizeof head);
    fer__auth_prove(auth, of_server, proof + 8);
}

/* What the pages promise: that another implementation fits. */
static void a_peer_without_the_library_can_prove_it(void **state) {
    (void)state;
    const fer_channel_options options = with_secret(right);
    fer__secret *secret = fer__secret_new(right, strlen(right));
    uint8_t own[HELLO];
    uint8_t peer[HELLO];
    uint8_t proof[PROOF];
    uint8_t answer[PROOF];
    crowd all;
    crowd_open(&all, address_of("s"), &options);
    int raw = raw_connect(harness_path("s"));
    make_hello(own, 1);
    raw_send(raw, own, HELLO);
    raw_receive_beside(all.loop, raw, peer, HELLO);
    assert_int_equal(peer[7], 60);
    assert_int_equal(peer[23] & FER__FEATURE_SECRET, FER__FEATURE_SECRET);
    const fer__auth auth = auth_of(secret, 0, own, peer);
    put_proof(proof, &auth, 0);
    /* In two pieces, and with a message right behind. */
    raw_send(raw, proof, 5);
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    raw_send(raw, proof + 5, PROOF - 5);
    raw_send(raw, "\2\0\0\0\0\0\0\2hi", 10);
    raw_receive_beside(all.loop, raw, answer, PROOF);
    put_proof(proof, &auth, 1);
    assert_memory_equal(answer, proof, PROOF);
    run_until_count(all.loop, &all.count, 1);
    inbox box = {0};
    assert_int_equal(fer_channel_receive(all.served[0], inbox_messages, &box, NULL), FER_OK);
    run_until_count(all.loop, &box.count, 1);
    raw_close(raw);
    harness_run_until(all.loop, &box.end.calls);
    inbox_free(&box);
    fer__secret_free(secret);
    crowd_close(&all);
}

/* A client's whole conversation, recorded on its way, and said again to the same server. */
static void what_was_recorded_proves_nothing(void **state) {
    (void)state;
    const fer_channel_options options = with_secret(right);
    fer_channel_options client_options = options;
    uint8_t said[HELLO + PROOF];
    uint8_t heard[HELLO];
    noted connected = {0};
    fer_channel *client = NULL;
    crowd all;
    crowd_open(&all, address_of("s"), &options);
    int listener = raw_listen(harness_path("between"));
    client_options.handshake_timeout_ms = HARNESS_PATIENCE_MS;
    assert_int_equal(fer_channel_connect(all.loop, address_of("between"), &client_options,
                                         note_connected, &connected, &client),
                     FER_OK);
    int front = raw_accept(listener);
    int back = raw_connect(harness_path("s"));
    raw_receive_beside(all.loop, front, said, HELLO);
    raw_send(back, said, HELLO);
    raw_receive_beside(all.loop, back, heard, HELLO);
    raw_send(front, heard, HELLO);
    raw_receive_beside(all.loop, front, said + HELLO, PROOF);
    raw_send(back, said + HELLO, PROOF);
    /* Who passes on every byte is not noticed: the pages say so. */
    run_until_count(all.loop, &all.count, 1);
    raw_close(back);
    raw_close(front);
    harness_run_until(all.loop, &connected.calls);
    assert_int_equal(connected.status, FER_EACCES);
    fer_channel_unref(client);
    /* Later, with the server's new random bytes. */
    for (size_t i = 1; i <= 3; i++) {
        back = raw_connect(harness_path("s"));
        raw_send(back, said, sizeof said);
        crowd_await_failures(&all, i);
        assert_int_equal(all.failure, FER_EACCES);
        raw_receive(back, heard, HELLO);
        assert_int_equal(raw_drain(back), 0);
        raw_close(back);
    }
    assert_int_equal(all.count, 1);
    raw_close(listener);
    assert_int_equal(unlink(harness_path("between")), 0);
    crowd_close(&all);
}

/* The other way: a server's answers, said to a client that asks anew. */
static void what_a_server_said_proves_nothing_to_the_next_client(void **state) {
    (void)state;
    const fer_channel_options options = with_secret(right);
    fer__secret *secret = fer__secret_new(right, strlen(right));
    uint8_t said[HELLO + PROOF];
    uint8_t heard[HELLO];
    fer_loop *loop = NULL;
    int listener = raw_listen(harness_path("s"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (int round = 0; round < 3; round++) {
        noted connected = {0};
        fer_channel *client = NULL;
        uint8_t proof[PROOF];
        assert_int_equal(fer_channel_connect(loop, address_of("s"), &options, note_connected,
                                             &connected, &client),
                         FER_OK);
        int raw = raw_accept(listener);
        raw_receive_beside(loop, raw, heard, HELLO);
        if (round == 0) {
            make_hello(said, 9);
            const fer__auth auth = auth_of(secret, 1, said, heard);
            put_proof(said + HELLO, &auth, 1);
        }
        raw_send(raw, said, HELLO);
        raw_receive_beside(loop, raw, proof, PROOF);
        /* Its own proof, sent back to it, is that of a client. */
        raw_send(raw, round < 2 ? said + HELLO : proof, PROOF);
        harness_run_until(loop, &connected.calls);
        assert_int_equal(connected.status, round == 0 ? FER_OK : FER_EACCES);
        fer_channel_unref(client);
        assert_int_equal(fer_loop_step(loop, 0), FER_OK);
        raw_close(raw);
    }
    raw_close(listener);
    assert_int_equal(unlink(harness_path("s")), 0);
    fer__secret_free(secret);
    end_loop(loop);
}

/* Two connections to one server: what it says on one is said to it on the other. */
static void a_mirror_proves_nothing(void **state) {
    (void)state;
    const fer_channel_options options = with_secret(right);
    uint8_t first[HELLO];
    uint8_t second[HELLO];
    uint8_t nothing[PROOF] = {7, 0, 0, 0, 0, 0, 0, 32};
    int one;
    int other;
    crowd all;
    crowd_open(&all, address_of("s"), &options);
    one = raw_connect(harness_path("s"));
    other = raw_connect(harness_path("s"));
    raw_receive_beside(all.loop, one, first, HELLO);
    raw_receive_beside(all.loop, other, second, HELLO);
    assert_memory_not_equal(first + HELLO_SIZE, second + HELLO_SIZE, 32);
    /* Each server's HELLO goes to the other, and to itself. It proves nothing before it was proved to. */
    raw_send(one, second, HELLO);
    raw_send(other, first, HELLO);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    char byte;
    assert_int_equal(raw_try_receive(one, &byte, 1), -1);
    assert_int_equal(raw_try_receive(other, &byte, 1), -1);
    raw_send(one, nothing, PROOF);
    crowd_await_failures(&all, 1);
    assert_int_equal(all.failure, FER_EACCES);
    assert_int_equal(raw_drain(one), 0);
    raw_send(other, first, PROOF);
    crowd_await_failures(&all, 2);
    assert_int_equal(all.failure, FER_EPROTO);
    raw_close(one);
    raw_close(other);
    assert_int_equal(all.count, 0);
    crowd_close(&all);
}

static void a_handshake_that_stops_is_given_up(void **state) {
    (void)state;
    fer_channel_options options = with_secret(right);
    uint8_t hello[HELLO];
    size_t parts[] = {0, 1, 8, 35, 36, 50, HELLO};
    enum { COUNT = sizeof parts / sizeof parts[0] };
    int raw[COUNT];
    crowd all;
    options.handshake_timeout_ms = 200;
    crowd_open(&all, address_of("s"), &options);
    make_hello(hello, 3);
    for (size_t i = 0; i < COUNT; i++) {
        raw[i] = raw_connect(harness_path("s"));
        raw_send(raw[i], hello, parts[i]);
    }
    crowd_await_failures(&all, COUNT);
    assert_int_equal(all.failure, FER_ETIMEDOUT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(raw_drain(raw[i]), HELLO);
        raw_close(raw[i]);
    }
    /* A bit that promises random bytes, without them. */
    int liar = raw_connect(harness_path("s"));
    hello[7] = 28;
    raw_send(liar, hello, HELLO_SIZE);
    crowd_await_failures(&all, COUNT + 1);
    assert_int_equal(all.failure, FER_EPROTO);
    raw_close(liar);
    crowd_close(&all);
}

static void the_proofs_are_those_of_the_vectors(void **state) {
    (void)state;
    secret_vector vector;
    size_t count = 0;
    for (; vectors_secret(count, &vector); count++) {
        fer__secret *secret = fer__secret_new(vector.secret, vector.secret_size);
        /* Each side, proving itself and looking at the other. */
        for (int is_server = 0; is_server < 2; is_server++) {
            fer__auth auth = {.secret = secret, .is_server = (uint8_t)is_server};
            uint8_t proof[FER__PROOF_SIZE];
            memcpy(auth.own, vector.hello[is_server], sizeof auth.own);
            memcpy(auth.peer, vector.hello[!is_server], sizeof auth.peer);
            fer__auth_prove(&auth, is_server, proof);
            assert_memory_equal(proof, vector.proof[is_server], sizeof proof);
            assert_false(fer__auth_is_right(&auth, proof));
            memcpy(proof, vector.proof[!is_server], sizeof proof);
            assert_true(fer__auth_is_right(&auth, proof));
            for (size_t bit = 0; bit < 8 * sizeof proof; bit++) {
                proof[bit / 8] ^= (uint8_t)(1u << bit % 8);
                assert_false(fer__auth_is_right(&auth, proof));
                proof[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
        }
        fer__secret_free(secret);
        secret_vector_free(&vector);
    }
    assert_true(count >= 3);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(both_know_it),
        HARNESS_TEST(a_secret_may_be_any_bytes),
        HARNESS_TEST(the_blocking_face_proves_it_too),
        HARNESS_TEST(handles_and_large_messages_go_as_ever),
        HARNESS_TEST(who_does_not_know_it_is_refused),
        HARNESS_TEST(each_says_what_is_wrong),
        HARNESS_TEST(options_that_cannot_be_are_refused),
        HARNESS_TEST(a_peer_without_the_library_can_prove_it),
        HARNESS_TEST(what_was_recorded_proves_nothing),
        HARNESS_TEST(what_a_server_said_proves_nothing_to_the_next_client),
        HARNESS_TEST(a_mirror_proves_nothing),
        HARNESS_TEST(a_handshake_that_stops_is_given_up),
        HARNESS_TEST(the_proofs_are_those_of_the_vectors),
    };
    return HARNESS_MAIN("access_secret", tests, NULL, argc, argv);
}
