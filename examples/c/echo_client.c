/* Sends a message to an echo server and prints what comes back: echo_client [ADDRESS] */
#include <stdio.h>

#include <ferrule.h>

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "pipe:echo";
    fer_bytes hello = {"hello", 5};
    fer_channel *channel = NULL;
    fer_message reply;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: echo_client [ADDRESS]\n");
        return 2;
    }
    fer_status status = fer_sync_connect(address, NULL, 5000, &channel);
    if (status == FER_OK) {
        status = fer_sync_send(channel, &hello, 1, 5000);
    }
    if (status == FER_OK) {
        status = fer_sync_receive(channel, 5000, &reply);
    }
    if (status == FER_OK) {
        printf("%.*s\n", (int)reply.size, (const char *)reply.data);
        status = fer_sync_close(channel, 5000);
    }
    if (status != FER_OK) {
        fprintf(stderr, "%s: %s %s\n", address, fer_status_text(status), fer_status_detail());
    }
    fer_channel_unref(channel);
    return status == FER_OK ? 0 : 1;
}
