/* Sends back what its parent sends, which is a program that started it with spawn(): child */
#include <stdio.h>

#include <ferrule.h>

int main(int argc, char **argv) {
    fer_channel *channel = NULL;
    fer_message message;

    (void)argv;
    if (argc > 1) {
        fprintf(stderr, "usage: child\n");
        return 2;
    }
    fer_status status = fer_sync_parent(NULL, 5000, &channel);
    while (status == FER_OK) {
        status = fer_sync_receive(channel, -1, &message);
        if (status == FER_OK) {
            fer_bytes part = {message.data, message.size};
            status = fer_sync_send(channel, &part, 1, -1);
        }
    }
    if (status == FER_EOF) {
        /* The parent has said goodbye. */
        status = fer_sync_close(channel, 5000);
    }
    if (status != FER_OK) {
        fprintf(stderr, "child: %s %s\n", fer_status_text(status), fer_status_detail());
    }
    fer_channel_unref(channel);
    return status == FER_OK ? 0 : 1;
}
