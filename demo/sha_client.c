/* Sends files and checks the SHA-256 that comes back: sha_client ADDRESS MAX_MESSAGE LIST.
 * README.md has the rest. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ferrule.h>
#include <openssl/evp.h>

enum { WINDOW = 64, WINDOW_BYTES = 16 << 20, DIGEST_SIZE = 32 };

/* A file that was sent and not answered yet. */
struct question {
    const char *name;
    size_t size;
    unsigned char digest[DIGEST_SIZE];
};

struct client {
    fer_channel *channel;
    const char *next; /* name of the next file */
    const char *end;  /* of the names */
    struct question window[WINDOW];
    size_t oldest; /* position of the oldest question in `window` */
    size_t waiting;
    size_t waiting_bytes;
    size_t messages;
    size_t bytes;
    double started;
    double shown;
    int ending;
    int failed;
};

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void fail(struct client *client, const char *format, ...) {
    va_list arguments;

    if (client->failed) {
        return;
    }
    client->failed = 1;
    va_start(arguments, format);
    printf("failed ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static void fail_status(struct client *client, const char *what, fer_status status) {
    fail(client, "%s: %s %s (%s)", what, fer_status_text(status), fer_status_detail(),
         fer_status_name(status));
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    struct client *client = user;

    if (status != FER_OK) {
        fail_status(client, "close", status);
    }
    if (!client->failed) {
        printf("done %zu %zu %.6f\n", client->messages, client->bytes, now() - client->started);
    }
    fer_channel_unref(channel);
}

static void end(struct client *client) {
    if (client->ending) {
        return;
    }
    client->ending = 1;
    if (client->failed) {
        fer_channel_abort(client->channel);
    }
    if (fer_channel_close(client->channel, on_closed, client) != FER_OK) {
        fail_status(client, "close", FER_ENOMEM);
        fer_channel_unref(client->channel);
    }
}

static void show_progress(struct client *client) {
    double time = now();

    if (time - client->shown >= 0.1) {
        client->shown = time;
        printf("progress %zu %zu\n", client->messages, client->bytes);
        fflush(stdout);
    }
}

/* The bytes of a file, to be freed; NULL after a complaint. */
static unsigned char *load(struct client *client, const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    unsigned char *data = NULL;
    size_t room = 65536;
    size_t used = 0;

    if (file == NULL) {
        fail(client, "cannot read %s: %s", name, strerror(errno));
        return NULL;
    }
    for (;;) {
        unsigned char *grown = used < room && data != NULL ? data : realloc(data, room *= 2);
        size_t got;

        if (grown == NULL) {
            fail(client, "cannot read %s: out of memory", name);
            break;
        }
        data = grown;
        got = fread(data + used, 1, room - used, file);
        used += got;
        if (got == 0 && ferror(file)) {
            fail(client, "cannot read %s: %s", name, strerror(errno));
            break;
        }
        if (got == 0) {
            fclose(file);
            *size = used;
            return data;
        }
    }
    free(data);
    fclose(file);
    return NULL;
}

static void on_sent(fer_channel *channel, fer_status status, void *data) {
    /* A failure ends the channel, and the receiver is told. */
    (void)channel;
    (void)status;
    free(data);
}

static void send_file(struct client *client, const char *name) {
    struct question *question = &client->window[(client->oldest + client->waiting) % WINDOW];
    unsigned char *data = load(client, name, &question->size);
    fer_bytes part = {data, 0};
    fer_status status;

    if (data == NULL) {
        return;
    }
    question->name = name;
    part.size = question->size;
    if (EVP_Digest(data, part.size, question->digest, NULL, EVP_sha256(), NULL) != 1) {
        fail(client, "cannot compute SHA-256");
        free(data);
        return;
    }
    status = fer_channel_send(client->channel, &part, 1, NULL, 0, on_sent, data);
    if (status != FER_OK) {
        fail_status(client, name, status);
        free(data);
        return;
    }
    client->waiting++;
    client->waiting_bytes += question->size;
}

static void feed(struct client *client) {
    while (client->next < client->end && !client->failed && client->waiting < WINDOW &&
           client->waiting_bytes < WINDOW_BYTES) {
        send_file(client, client->next);
        client->next += strlen(client->next) + 1;
    }
    if (client->failed || (client->next == client->end && client->waiting == 0)) {
        end(client);
    }
}

static void check(struct client *client, const fer_message *message) {
    struct question *question = &client->window[client->oldest];

    if (client->waiting == 0) {
        fail(client, "an answer came that nobody asked for");
        return;
    }
    if (message->size != DIGEST_SIZE || memcmp(message->data, question->digest, DIGEST_SIZE) != 0) {
        fail(client, "wrong SHA-256 for %s", question->name);
        return;
    }
    client->oldest = (client->oldest + 1) % WINDOW;
    client->waiting--;
    client->waiting_bytes -= question->size;
    client->messages++;
    client->bytes += question->size;
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    struct client *client = user;

    (void)channel;
    for (size_t i = 0; i < count && !client->failed; i++) {
        check(client, &messages[i]);
    }
    if (status == FER_ECANCELED) {
        return;
    }
    if (status != FER_OK) {
        fail_status(client, "receive", status);
        end(client);
        return;
    }
    show_progress(client);
    feed(client);
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    struct client *client = user;

    if (status == FER_OK) {
        client->started = now();
        status = fer_channel_receive(channel, on_messages, client, NULL);
    }
    if (status != FER_OK) {
        fail_status(client, "connect", status);
        end(client);
        return;
    }
    feed(client);
}

int main(int argc, char **argv) {
    static struct client client;
    fer_channel_options options = FER_CHANNEL_OPTIONS_INIT;
    unsigned char *names;
    size_t size = 0;
    fer_loop *loop = NULL;
    fer_status status;

    if (argc != 4) {
        fprintf(stderr, "usage: sha_client ADDRESS MAX_MESSAGE LIST\n");
        return 2;
    }
    options.max_message = strtoull(argv[2], NULL, 10);
    names = load(&client, argv[3], &size);
    if (names == NULL) {
        return 1;
    }
    client.next = (const char *)names;
    client.end = client.next + size;
    status = fer_loop_new(&loop);
    if (status == FER_OK) {
        status =
            fer_channel_connect(loop, argv[1], &options, on_connected, &client, &client.channel);
    }
    if (status == FER_OK) {
        status = fer_loop_run(loop);
    }
    if (status == FER_OK) {
        status = fer_loop_close(loop);
    }
    if (status != FER_OK) {
        fail_status(&client, "loop", status);
    }
    fer_loop_unref(loop);
    free(names);
    return client.failed;
}
