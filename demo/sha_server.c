/* Answers every message with its SHA-256: sha_server ADDRESS MAX_MESSAGE. README.md has the rest. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ferrule.h>
#include <openssl/evp.h>

static int failed(const char *what, fer_status status) {
    printf("failed %s: %s %s (%s)\n", what, fer_status_text(status), fer_status_detail(),
           fer_status_name(status));
    return 1;
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)status;
    (void)user;
    fer_channel_unref(channel);
}

static void on_drain(fer_channel *channel, void *user) {
    (void)user;
    fer_channel_resume(channel);
}

static fer_status answer(fer_channel *channel, const fer_message *message) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    fer_bytes part = {digest, 0};

    if (EVP_Digest(message->data, message->size, digest, &size, EVP_sha256(), NULL) != 1) {
        return FER_EUNKNOWN;
    }
    part.size = size;
    return fer_channel_send(channel, &part, 1, NULL, 0, NULL, NULL);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    fer_status answered = FER_OK;

    (void)user;
    for (size_t i = 0; i < count && answered == FER_OK; i++) {
        answered = answer(channel, &messages[i]);
    }
    if (answered != FER_OK) {
        /* The client, which waits for the answer, sees that there will be none. */
        fprintf(stderr, "sha_server: %s\n", fer_status_text(answered));
        fer_channel_abort(channel);
    }
    if (status != FER_OK) {
        /* The client said goodbye or died. When there is no memory to close, dropping it will do. */
        if (fer_channel_close(channel, on_closed, NULL) != FER_OK) {
            fer_channel_unref(channel);
        }
    } else if (!fer_channel_is_writable(channel)) {
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
        fprintf(stderr, "sha_server: client: %s\n", fer_status_text(status));
        fer_channel_unref(channel);
    }
}

static void on_input_end(fer_loop *loop, fer_status status, void *user) {
    (void)user;
    if (status == FER_OK) {
        fer_loop_close_objects(loop);
    }
}

/* Posting is one of the things that another thread may do with a loop. */
static void *watch_input(void *loop) {
    char buffer[256];

    while (read(STDIN_FILENO, buffer, sizeof buffer) > 0) {
    }
    fer_loop_post(loop, on_input_end, NULL);
    return NULL;
}

int main(int argc, char **argv) {
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    fer_loop *loop = NULL;
    fer_server *server = NULL;
    pthread_t thread;
    fer_status status;

    if (argc != 3) {
        fprintf(stderr, "usage: sha_server ADDRESS MAX_MESSAGE\n");
        return 2;
    }
    options.max_message = strtoull(argv[2], NULL, 10);
    status = fer_loop_new(&loop);
    if (status != FER_OK) {
        return failed("loop", status);
    }
    status = fer_server_listen(loop, argv[1], &options, on_client, NULL, NULL, &server);
    if (status != FER_OK) {
        return failed("listen", status);
    }
    if (pthread_create(&thread, NULL, watch_input, loop) != 0) {
        return failed("thread", FER_EUNKNOWN);
    }
    printf("ready\n");
    fflush(stdout);

    status = fer_loop_run(loop);
    if (status != FER_OK) {
        return failed("run", status);
    }
    pthread_join(thread, NULL);
    fer_server_unref(server);
    status = fer_loop_close(loop);
    fer_loop_unref(loop);
    return status == FER_OK ? 0 : failed("close", status);
}
