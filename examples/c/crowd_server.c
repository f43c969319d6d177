/* Passes every message on to all other clients, of which a hundred may come: crowd_server [ADDRESS] */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include <ferrule.h>

enum { MOST = 100, LARGEST = 64 * 1024 };

static fer_channel *clients[MOST];
static size_t count;
static fer_server *server;

static void forget(fer_channel *channel) {
    for (size_t i = 0; i < count; i++) {
        if (clients[i] == channel) {
            clients[i] = clients[--count];
            fer_channel_unref(channel);
            return;
        }
    }
}

static void on_messages(fer_channel *from, fer_status status, const fer_message *messages,
                        size_t message_count, void *user) {
    (void)user;
    if (status != FER_OK) {
        /* Goodbye, death, or this server drains. What is dropped while it closes goes on to close. */
        (void)fer_channel_close(from, NULL, NULL);
        forget(from);
        return;
    }
    for (size_t m = 0; m < message_count; m++) {
        fer_bytes part = {messages[m].data, messages[m].size};

        for (size_t i = 0; i < count; i++) {
            /* One that does not read misses messages, and holds nobody up. */
            if (clients[i] != from && fer_channel_is_writable(clients[i])) {
                (void)fer_channel_send(clients[i], &part, 1, NULL, 0, NULL, NULL);
            }
        }
    }
}

static void on_client(fer_server *from, fer_status status, fer_channel *channel, void *user) {
    fer_channel_info info = FER_CHANNEL_INFO_INIT;

    (void)from;
    (void)user;
    if (status == FER_OK) {
        status = fer_channel_get_info(channel, &info);
    }
    /* Whoever takes less than others may send has no place here. */
    if (status == FER_OK && info.peer_max_message < LARGEST) {
        status = FER_EMSGSIZE;
    }
    if (status == FER_OK) {
        status = fer_channel_receive(channel, on_messages, NULL, NULL);
    }
    if (status != FER_OK) {
        /* Too many, strangers, and those that break the protocol. */
        fprintf(stderr, "client: %s %s\n", fer_status_text(status), fer_status_detail());
        fer_channel_unref(channel);
        return;
    }
    clients[count++] = channel;
}

static void drain(fer_loop *loop, fer_status status, void *user) {
    (void)loop;
    (void)user;
    if (status == FER_OK) {
        (void)fer_server_drain(server, NULL, NULL);
    }
}

/* A loop does not look at signals: this thread does, and has the loop's thread act on them. */
static void *wait_for_signal(void *user) {
    fer_loop *loop = user;
    sigset_t signals;
    int number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigwait(&signals, &number);
    (void)fer_loop_post(loop, drain, NULL);
    return NULL;
}

static fer_status serve(fer_loop *loop, const char *address) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    char found[4096];
    size_t size = sizeof found;

    options.max_message = LARGEST;
    fer_status status = fer_server_listen(loop, address, &options, on_client, NULL, NULL, &server);
    if (status == FER_OK) {
        status = fer_server_set_limits(server, MOST, 0);
    }
    if (status == FER_OK) {
        status = fer_server_address(server, found, &size);
    }
    if (status == FER_OK) {
        printf("listening at %s\n", found);
        fflush(stdout);
        /* Until the server and all channels are closed. */
        status = fer_loop_run(loop);
    }
    fer_server_unref(server);
    return status;
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "pipe:crowd";
    fer_loop *loop = NULL;
    pthread_t waiter;
    sigset_t signals;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: crowd_server [ADDRESS]\n");
        return 2;
    }
    /* Before there are threads, so that none is interrupted. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    fer_status status = fer_loop_new(&loop);
    if (status == FER_OK && pthread_create(&waiter, NULL, wait_for_signal, loop) != 0) {
        status = FER_EAGAIN;
    }
    if (status == FER_OK) {
        status = serve(loop, address);
    }
    if (status != FER_OK) {
        fprintf(stderr, "%s: %s %s\n", address, fer_status_text(status), fer_status_detail());
        return 1;
    }
    /* Only the signal ended it: the thread is done. */
    pthread_join(waiter, NULL);
    (void)fer_loop_close(loop);
    fer_loop_unref(loop);
    return 0;
}
