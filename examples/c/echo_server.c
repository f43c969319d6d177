/* Sends every message back to the client it came from: echo_server [ADDRESS] */
#include <stdio.h>

#include <ferrule.h>

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)status;
    (void)user;
    fer_channel_unref(channel);
}

/* The queue has room again: read on. */
static void on_drain(fer_channel *channel, void *user) {
    (void)user;
    fer_channel_resume(channel);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)user;
    for (size_t i = 0; i < count; i++) {
        fer_bytes part = {messages[i].data, messages[i].size};

        /* Should the client be gone, this callback is told so, with its last call. */
        (void)fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL);
    }
    if (status != FER_OK) {
        /* The client said goodbye or died. When there is no memory to close, dropping it will do. */
        if (fer_channel_close(channel, on_closed, NULL) != FER_OK) {
            fer_channel_unref(channel);
        }
    } else if (!fer_channel_is_writable(channel)) {
        /* A client that does not read is not read either. */
        fer_channel_pause(channel);
    }
}

static void on_client(fer_server *server, fer_status status, fer_channel *channel, void *user) {
    (void)server;
    (void)user;
    if (status == FER_OK) {
        status = fer_channel_on_drain(channel, on_drain, NULL, NULL);
    }
    if (status == FER_OK) {
        status = fer_channel_receive(channel, on_messages, NULL, NULL);
    }
    if (status != FER_OK) {
        fprintf(stderr, "client: %s %s\n", fer_status_text(status), fer_status_detail());
        fer_channel_unref(channel);
    }
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "pipe:echo";
    fer_loop *loop = NULL;
    fer_server *server = NULL;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: echo_server [ADDRESS]\n");
        return 2;
    }
    fer_status status = fer_loop_new(&loop);
    if (status == FER_OK) {
        status = fer_server_listen(loop, address, NULL, on_client, NULL, NULL, &server);
    }
    if (status == FER_OK) {
        status = fer_loop_run(loop);
    }
    fprintf(stderr, "%s: %s %s\n", address, fer_status_text(status), fer_status_detail());
    return 1;
}
