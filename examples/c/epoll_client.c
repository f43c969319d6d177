/* The client of echo_client.c inside a loop of epoll(7): epoll_client [ADDRESS] */
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <ferrule.h>

static int work_left; /* a call outside of a step left work for the next one */
static int is_done;
static fer_status outcome;

static void on_notify(fer_loop *loop, void *user) {
    (void)loop;
    (void)user;
    work_left = 1;
}

static void on_closed(fer_channel *channel, fer_status status, void *user) {
    (void)user;
    outcome = outcome != FER_OK ? outcome : status;
    is_done = 1;
    fer_channel_unref(channel);
}

static void on_messages(fer_channel *channel, fer_status status, const fer_message *messages,
                        size_t count, void *user) {
    (void)user;
    for (size_t i = 0; i < count; i++) {
        printf("%.*s\n", (int)messages[i].size, (const char *)messages[i].data);
    }
    if (status != FER_ECANCELED) {
        outcome = status;
        fer_channel_close(channel, on_closed, NULL);
    }
}

static void on_connected(fer_channel *channel, fer_status status, void *user) {
    fer_bytes hello = {"hello", 5};

    (void)user;
    if (status == FER_OK) {
        status = fer_channel_receive(channel, on_messages, NULL, NULL);
    }
    if (status == FER_OK) {
        status = fer_channel_send(channel, &hello, 1, NULL, 0, NULL, NULL);
    }
    if (status != FER_OK) {
        outcome = status;
        fer_channel_close(channel, on_closed, NULL);
    }
}

/* One turn of the host: it waits for its own descriptors and for the library's loop. */
static fer_status turn(int epoll, fer_loop *loop) {
    struct epoll_event events[16];
    int64_t timeout = 0;
    int is_due = work_left;
    fer_status status = FER_OK;
    int count;

    if (!is_due) {
        status = fer_loop_linger(loop, &is_due); /* an answer may be about to come */
    }
    if (status == FER_OK && !is_due) {
        status = fer_loop_timeout(loop, &timeout);
    }
    if (status != FER_OK) {
        return status;
    }
    /* epoll takes an int. Waking up early does no harm. */
    count = epoll_wait(epoll, events, 16, timeout > 1000000 ? 1000000 : (int)timeout);
    if (count <= 0) {
        is_due = 1; /* the time has passed, or a signal came */
    }
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == loop) {
            is_due = 1;
        }
        /* Anything else is one of the host's own. */
    }
    if (!is_due) {
        return FER_OK;
    }
    work_left = 0;
    return fer_loop_step(loop, 0);
}

int main(int argc, char **argv) {
    const char *address = argc > 1 ? argv[1] : "pipe:echo";
    struct epoll_event interest = {EPOLLIN, {NULL}};
    fer_channel *channel = NULL;
    fer_loop *loop = NULL;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int fd = -1;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: epoll_client [ADDRESS]\n");
        return 2;
    }
    fer_status status = fer_loop_new(&loop);
    if (status == FER_OK) {
        status = fer_loop_fd(loop, &fd);
    }
    if (status == FER_OK) {
        status = fer_loop_set_notify(loop, on_notify, NULL, NULL);
    }
    interest.data.ptr = loop;
    if (status != FER_OK || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) != 0) {
        perror("epoll");
        return 1;
    }
    status = fer_channel_connect(loop, address, NULL, on_connected, NULL, &channel);
    while (status == FER_OK && !is_done) {
        status = turn(epoll, loop);
    }
    if (status == FER_OK) {
        status = outcome;
    }
    if (status != FER_OK) {
        fprintf(stderr, "%s: %s\n", address, fer_status_text(status));
    }
    close(epoll);
    fer_loop_close_objects(loop); /* whatever is still open */
    fer_loop_run(loop);           /* the callbacks that come of it */
    fer_loop_close(loop);
    fer_loop_unref(loop);
    return status == FER_OK ? 0 : 1;
}
