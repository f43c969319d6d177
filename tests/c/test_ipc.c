/* The rendezvous: two processes that find each other. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static const size_t sizes[] = {1, 4, 4091, 4092, 4093, 65531, 65532, 65533, 65537, 219263, 1 << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* Send back what comes. */
static int client(int argc, char **argv) {
    fer_ipc *ipc = NULL;
    fer_message message;
    fer_status status;
    if (argc < 3 || fer_ipc_client_new(argv[1], argv[2], &ipc) != FER_OK)
        return 2;
    status = fer_ipc_connect(ipc, HARNESS_PATIENCE_MS);
    while (status == FER_OK) {
        status = fer_ipc_read(ipc, HARNESS_PATIENCE_MS, &message);
        if (status == FER_OK)
            status = fer_ipc_write(ipc, message.data, message.size, -1);
    }
    if (fer_ipc_close(ipc) != FER_OK)
        status = FER_EPROTO;
    fer_ipc_free(ipc);
    return status == FER_EOF ? 0 : 1;
}

static void two_processes_meet(void **state) {
    (void)state;
    for (int32_t transport = FER_IPC_DEFAULT; transport <= FER_IPC_TCP; transport++) {
        fer_ipc *ipc = NULL;
        fer_message message;
        harness_child child;
        assert_int_equal(fer_ipc_channel_new(transport, &ipc), FER_OK);
        /* Its way in is the other's way out. */
        const char *const arguments[] = {fer_ipc_out_path(ipc), fer_ipc_in_path(ipc), NULL};
        harness_spawn(&child, "client", -1, arguments);
        assert_int_equal(fer_ipc_connect(ipc, HARNESS_PATIENCE_MS), FER_OK);
        assert_int_equal(fer_ipc_connect(ipc, 0), FER_EISCONN);
        assert_non_null(fer_ipc_channel(ipc));
        for (int i = 0; i < SIZES; i++) {
            uint8_t *data = filled(sizes[i], (unsigned)i);
            assert_int_equal(fer_ipc_write(ipc, data, sizes[i], -1), FER_OK);
            assert_int_equal(fer_ipc_read(ipc, HARNESS_PATIENCE_MS, &message), FER_OK);
            assert_int_equal(message.size, sizes[i]);
            assert_filled(message.data, sizes[i], (unsigned)i);
            free(data);
        }
        assert_int_equal(fer_ipc_write(ipc, "", 0, -1), FER_EINVAL);
        assert_int_equal(fer_ipc_read(ipc, 0, &message), FER_ETIMEDOUT);
        assert_int_equal(fer_ipc_close(ipc), FER_OK);
        assert_int_equal(harness_wait(&child), 0);
        assert_int_equal(fer_ipc_close(ipc), FER_OK);
        assert_int_equal(fer_ipc_connect(ipc, 0), FER_ECLOSED);
        fer_ipc_free(ipc);
    }
}

static void nobody_comes(void **state) {
    (void)state;
    for (int32_t transport = FER_IPC_FIFO; transport <= FER_IPC_TCP; transport++) {
        fer_ipc *ipc = NULL;
        fer_ipc *other = NULL;
        struct stat info;
        fer_message message;
        char path[256];
        assert_int_equal(fer_ipc_channel_new(transport, &ipc), FER_OK);
        assert_int_equal(fer_ipc_connect(ipc, 0), FER_ETIMEDOUT);
        assert_int_equal(fer_ipc_connect(ipc, 20), FER_ETIMEDOUT);
        assert_int_equal(fer_ipc_write(ipc, "x", 1, 0), FER_ENOTCONN);
        assert_int_equal(fer_ipc_read(ipc, 0, &message), FER_ENOTCONN);
        assert_int_equal(fer_ipc_client_new(fer_ipc_out_path(ipc), fer_ipc_in_path(ipc), &other),
                         FER_OK);
        snprintf(path, sizeof path, "%s", fer_ipc_in_path(ipc));
        if (transport == FER_IPC_FIFO) {
            assert_int_equal(stat(path, &info), 0);
            assert_int_equal(info.st_mode & 0777, 0600);
        }
        /* Nothing is left of it. */
        assert_int_equal(fer_ipc_close(ipc), FER_OK);
        assert_int_not_equal(stat(path, &info), 0);
        assert_int_equal(fer_ipc_connect(other, 20), FER_ETIMEDOUT);
        fer_ipc_free(ipc);
        fer_ipc_free(other);
    }
}

static void a_port_serves_one(void **state) {
    (void)state;
    fer_ipc *ipc = NULL;
    fer_ipc *late = NULL;
    harness_child child;
    assert_int_equal(fer_ipc_channel_new(FER_IPC_TCP, &ipc), FER_OK);
    const char *const arguments[] = {fer_ipc_out_path(ipc), fer_ipc_in_path(ipc), NULL};
    harness_spawn(&child, "client", -1, arguments);
    assert_int_equal(fer_ipc_connect(ipc, HARNESS_PATIENCE_MS), FER_OK);
    assert_int_equal(fer_ipc_client_new(fer_ipc_out_path(ipc), fer_ipc_in_path(ipc), &late),
                     FER_OK);
    assert_int_equal(fer_ipc_connect(late, 20), FER_ETIMEDOUT);
    fer_ipc_free(late);
    assert_int_equal(fer_ipc_close(ipc), FER_OK);
    fer_ipc_free(ipc);
    assert_int_equal(harness_wait(&child), 0);
}

/* A peer of another make that says nothing more, and does not go away. */
static void a_peer_need_not_answer(void **state) {
    (void)state;
    fer_ipc *ipc = NULL;
    assert_int_equal(fer_ipc_channel_new(FER_IPC_FIFO, &ipc), FER_OK);
    int in = open(fer_ipc_out_path(ipc), O_RDONLY | O_NONBLOCK);
    assert_true(in >= 0);
    assert_int_equal(fer_ipc_connect(ipc, HARNESS_PATIENCE_MS), FER_OK);
    int out = open(fer_ipc_in_path(ipc), O_WRONLY | O_NONBLOCK);
    assert_true(out >= 0);
    assert_int_equal(fer_ipc_write(ipc, "x", 1, -1), FER_OK);
    assert_int_equal(fer_ipc_close(ipc), FER_OK);
    fer_ipc_free(ipc);
    char bytes[10];
    assert_int_equal(read(in, bytes, sizeof bytes), 9);
    assert_memory_equal(bytes, "\0\0\0\1x\0\0\0\0", 9);
    assert_int_equal(close(in), 0);
    assert_int_equal(close(out), 0);
}

static void arguments_are_checked(void **state) {
    (void)state;
    fer_ipc *ipc = NULL;
    fer_message message;
    assert_int_equal(fer_ipc_channel_new(-1, &ipc), FER_EINVAL);
    assert_int_equal(fer_ipc_channel_new(3, &ipc), FER_EINVAL);
    assert_int_equal(fer_ipc_channel_new(FER_IPC_FIFO, NULL), FER_EINVAL);
    assert_int_equal(fer_ipc_client_new(NULL, "/b", &ipc), FER_EINVAL);
    assert_int_equal(fer_ipc_client_new("/a", NULL, &ipc), FER_EINVAL);
    assert_int_equal(fer_ipc_client_new("/a", "/b", NULL), FER_EINVAL);
    assert_int_equal(fer_ipc_client_new("port", "port", &ipc), FER_EADDRESS);
    assert_int_equal(fer_ipc_client_new("", "", &ipc), FER_EADDRESS);
    assert_int_equal(fer_ipc_client_new("/a,b", "/c", &ipc), FER_EADDRESS);
    assert_null(ipc);
    assert_int_equal(fer_ipc_client_new("127.0.0.1:80", "127.0.0.1:80", &ipc), FER_OK);
    assert_string_equal(fer_ipc_in_path(ipc), "127.0.0.1:80");
    fer_ipc_free(ipc);
    assert_int_equal(fer_ipc_connect(NULL, 0), FER_EINVAL);
    assert_int_equal(fer_ipc_write(NULL, "x", 1, 0), FER_EINVAL);
    assert_int_equal(fer_ipc_read(NULL, 0, &message), FER_EINVAL);
    assert_int_equal(fer_ipc_close(NULL), FER_EINVAL);
    assert_null(fer_ipc_in_path(NULL));
    assert_null(fer_ipc_out_path(NULL));
    assert_null(fer_ipc_channel(NULL));
    fer_ipc_free(NULL);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(two_processes_meet),    HARNESS_TEST(nobody_comes),
        HARNESS_TEST(a_port_serves_one),     HARNESS_TEST(a_peer_need_not_answer),
        HARNESS_TEST(arguments_are_checked),
    };
    const harness_helper helpers[] = {{"client", client}, {NULL, NULL}};
    return HARNESS_MAIN("ipc", tests, helpers, argc, argv);
}
