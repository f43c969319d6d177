/* Pipes: bad arguments, bad order, bad places, bad peers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#include <sys/mount.h>
#endif

#include "fixture.h"

static fer_loop *loop;

static fer_handle *new_pipe(void) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    return pipe;
}

static void flags_and_sizes_of_structures_are_checked(void **state) {
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = new_pipe();
    const char *path = harness_path("p");
    fer_handle *other = pipe;
    for (unsigned bit = 1; bit < 32; bit++) {
        other = pipe;
        assert_int_equal(fer_pipe_new(loop, 1u << bit, &other), FER_EINVAL);
        assert_null(other);
    }
    assert_int_equal(fer_pipe_new(loop, 0, NULL), FER_EINVAL);
    for (int i = 0; i < 7; i++) {
        fer_bind_options bad = FER_BIND_OPTIONS_INIT;
        switch (i) {
        case 0: bad.struct_size = 0; break;
        case 1: bad.struct_size = sizeof bad - 1; break;
        case 2: bad.struct_size = UINT32_MAX; break;
        case 3: bad.flags = 2; break;
        case 4: bad.flags = 0x80000000u | FER_BIND_KEEP_FILE; break;
        case 5: bad.mode = 01600; break;
        default: bad.mode = 010600; break;
        }
        assert_int_equal(fer_pipe_bind(pipe, path, FER_ZSTRING, &bad), FER_EINVAL);
        assert_string_not_equal(fer_status_detail(), "");
    }
    /* From a program built with a later version: what it does not use is 0, what it uses is not known. */
    struct {
        fer_bind_options known;
        uint32_t later[4];
    } longer = {FER_BIND_OPTIONS_INIT, {0, 0, 0, 0}};
    longer.known.struct_size = sizeof longer;
    longer.known.mode = 0640;
    longer.later[3] = 1;
    assert_int_equal(fer_pipe_bind(pipe, path, FER_ZSTRING, &longer.known), FER_EINVAL);
    longer.later[3] = 0;
    assert_int_equal(fer_pipe_bind(pipe, path, FER_ZSTRING, &longer.known), FER_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    fer_handle_unref(pipe);
    end_loop(loop);
}

static void names_are_checked(void **state) {
    (void)state;
    char component[300];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = new_pipe();
    noted connected = {0};
    memset(component, 'n', sizeof component - 1);
    component[sizeof component - 1] = '\0';
    const struct {
        const char *name;
        size_t size;
        fer_status status;
    } examples[] = {
        {NULL, 0, FER_EINVAL}, {NULL, FER_ZSTRING, FER_EINVAL}, {"", FER_ZSTRING, FER_EINVAL},
        {"x", 0, FER_EINVAL},  {"a\0b", 3, FER_EINVAL},         {"a\0", 2, FER_EINVAL},
        {"\0", 1, FER_EINVAL},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        assert_int_equal(fer_pipe_bind(pipe, examples[i].name, examples[i].size, NULL),
                         examples[i].status);
        assert_int_equal(
            fer_pipe_connect(pipe, examples[i].name, examples[i].size, note_stream, &connected),
            examples[i].status);
    }
    assert_int_equal(fer_pipe_bind(pipe, harness_path(component), FER_ZSTRING, NULL),
                     FER_ENAMETOOLONG);
    assert_int_equal(
        fer_pipe_connect(pipe, "/nowhere", FER_ZSTRING, (fer_stream_cb)NULL, &connected),
        FER_EINVAL);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(connected.calls, 0);
}

/* Run without the rights that root has. */
static fer_status bind_as_nobody(fer_handle *pipe, const char *path) {
    const uid_t user = geteuid();
    assert_int_equal(user == 0 ? seteuid(65534) : chmod(harness_directory(), 0500), 0);
    fer_status status = fer_pipe_bind(pipe, path, FER_ZSTRING, NULL);
    assert_int_equal(user == 0 ? seteuid(0) : chmod(harness_directory(), 0700), 0);
    return status;
}

static void places_that_cannot_be_bound_say_why(void **state) {
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = new_pipe();
    int live = raw_listen(harness_path("live"));
    FILE *file = fopen(harness_path("file"), "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("none/p"), FER_ZSTRING, NULL), FER_ENOENT);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("file/p"), FER_ZSTRING, NULL), FER_ENOTDIR);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("file"), FER_ZSTRING, NULL), FER_EADDRINUSE);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("live"), FER_ZSTRING, NULL), FER_EADDRINUSE);
    assert_non_null(strstr(fer_status_detail(), "live"));
    assert_int_equal(fer_pipe_bind(pipe, harness_path("."), FER_ZSTRING, NULL), FER_EADDRINUSE);
    assert_int_equal(bind_as_nobody(pipe, harness_path("p")), FER_EACCES);
    /* After all that the pipe can still be bound. */
    assert_int_equal(fer_pipe_bind(pipe, harness_path("p"), FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("q"), FER_ZSTRING, NULL), FER_EINVAL);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(access(harness_path("live"), F_OK), 0);
    raw_close(live);
    assert_int_equal(unlink(harness_path("live")), 0);
    assert_int_equal(unlink(harness_path("file")), 0);
}

static void places_that_cannot_be_connected_to_say_why(void **state) {
    (void)state;
    const uid_t user = geteuid();
    char component[300];
    noted connected = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = new_pipe();
    memset(component, 'n', sizeof component - 1);
    component[sizeof component - 1] = '\0';
    assert_int_equal(
        fer_pipe_connect(pipe, harness_path(component), FER_ZSTRING, note_stream, &connected),
        FER_ENAMETOOLONG);
    assert_int_equal(connected.calls, 0);
    /* A mode of nothing, and none of the rights that root has. */
    int live = raw_listen(harness_path("live"));
    assert_int_equal(chmod(harness_path("live"), 0), 0);
    assert_int_equal(user == 0 ? seteuid(65534) : 0, 0);
    fer_status status =
        fer_pipe_connect(pipe, harness_path("live"), FER_ZSTRING, note_stream, &connected);
    if (status == FER_OK)
        harness_run_until(loop, &connected.calls);
    assert_int_equal(user == 0 ? seteuid(0) : 0, 0);
    assert_int_equal(status, FER_OK);
    assert_int_equal(connected.status, FER_EACCES);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(live);
    assert_int_equal(unlink(harness_path("live")), 0);
}

/* Bad order: every function in every state in which it has no sense. */

static void calls_out_of_order_are_refused(void **state) {
    (void)state;
    const fer_bytes bytes = {"bytes", 5};
    size_t count;
    char name[64];
    size_t size = sizeof name;
    fer_fd fd;
    noted finalized = {0};
    noted done = {0};
    inbox box = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);

    fer_handle *fresh = new_pipe();
    assert_int_equal(fer_handle_fileno(fresh, &fd), FER_EBADF);
    assert_int_equal(fer_handle_fileno(fresh, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_getsockname(fresh, name, &size), FER_EBADF);
    assert_int_equal(fer_pipe_getpeername(fresh, name, &size), FER_EBADF);
    assert_int_equal(fer_stream_listen(fresh, 0, note_connection, &finalized, note_finalized),
                     FER_EDESTADDRREQ);
    assert_int_equal(fer_stream_accept(fresh, fresh), FER_EINVAL);
    assert_int_equal(fer_stream_read_start(fresh, inbox_read, &finalized, note_finalized),
                     FER_ENOTCONN);
    assert_int_equal(fer_stream_read_stop(fresh), FER_OK);
    assert_int_equal(fer_stream_write(fresh, &bytes, 1, note_stream, &done), FER_ENOTCONN);
    assert_int_equal(fer_stream_try_write(fresh, &bytes, 1, &count), FER_ENOTCONN);
    assert_int_equal(fer_stream_shutdown(fresh, note_stream, &done), FER_ENOTCONN);
    assert_int_equal(finalized.calls, 2);

    fer_handle *bound = new_pipe();
    assert_int_equal(fer_pipe_bind(bound, harness_path("p"), FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(bound, -1, note_connection, &finalized, note_finalized),
                     FER_EINVAL);
    assert_int_equal(fer_stream_listen(bound, 0, NULL, &finalized, note_finalized), FER_EINVAL);
    assert_int_equal(fer_stream_accept(bound, fresh), FER_EINVAL);
    assert_int_equal(fer_stream_listen(bound, 0, note_connection, &done, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(bound, 0, note_connection, &finalized, note_finalized),
                     FER_EALREADY);
    assert_int_equal(fer_stream_accept(bound, NULL), FER_EINVAL);
    assert_int_equal(fer_stream_accept(bound, fresh), FER_EAGAIN);
    assert_int_equal(fer_stream_write(bound, &bytes, 1, note_stream, &done), FER_ENOTCONN);
    assert_int_equal(fer_stream_read_start(bound, inbox_read, &finalized, note_finalized),
                     FER_ENOTCONN);
    assert_int_equal(fer_pipe_connect(bound, "/nowhere", FER_ZSTRING, note_stream, &done),
                     FER_EINVAL);
    assert_int_equal(fer_pipe_getpeername(bound, name, &size), FER_ENOTCONN);
    assert_int_equal(finalized.calls, 6);

    noted connected = {0};
    fer_handle *connecting = new_pipe();
    assert_int_equal(
        fer_pipe_connect(connecting, harness_path("p"), FER_ZSTRING, note_stream, &connected),
        FER_OK);
    assert_int_equal(
        fer_pipe_connect(connecting, harness_path("p"), FER_ZSTRING, note_stream, &done),
        FER_EALREADY);
    assert_int_equal(fer_stream_write(connecting, &bytes, 1, note_stream, &done), FER_ENOTCONN);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(
        fer_pipe_connect(connecting, harness_path("p"), FER_ZSTRING, note_stream, &done),
        FER_EISCONN);
    assert_int_equal(fer_pipe_bind(connecting, harness_path("q"), FER_ZSTRING, NULL), FER_EISCONN);
    assert_int_equal(fer_stream_listen(connecting, 0, note_connection, &finalized, note_finalized),
                     FER_EISCONN);
    assert_int_equal(fer_stream_read_start(connecting, NULL, &finalized, note_finalized),
                     FER_EINVAL);
    assert_int_equal(fer_stream_read_start(connecting, inbox_read, &box, inbox_finalized), FER_OK);
    assert_int_equal(fer_stream_read_start(connecting, inbox_read, &finalized, note_finalized),
                     FER_EALREADY);
    assert_int_equal(finalized.calls, 9);

    done.calls = 0;
    fer_handle_unref(fresh);
    fer_handle_unref(bound);
    fer_handle_unref(connecting);
    end_loop(loop);
    assert_int_equal(done.calls, 0);
    assert_int_equal(box.finalized.calls, 1);
}

static void pieces_and_buffers_are_checked(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    noted done = {0};
    size_t count = 1;
    char name[4];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    const fer_bytes no_data[2] = {{"x", 1}, {NULL, 1}};
    const fer_bytes too_large[2] = {{"x", SIZE_MAX}, {"x", 1}};
    assert_int_equal(fer_stream_write(pipe, NULL, 1, note_stream, &done), FER_EINVAL);
    assert_int_equal(fer_stream_write(pipe, no_data, 2, note_stream, &done), FER_EINVAL);
    assert_int_equal(fer_stream_write(pipe, too_large, 2, note_stream, &done), FER_EINVAL);
    assert_int_equal(fer_stream_try_write(pipe, NULL, 1, &count), FER_EINVAL);
    assert_int_equal(count, 0);
    assert_int_equal(fer_stream_try_write(pipe, no_data, 2, &count), FER_EINVAL);
    assert_int_equal(fer_stream_try_write(pipe, no_data, 1, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_getsockname(pipe, name, NULL), FER_EINVAL);
    assert_int_equal(fer_pipe_getsockname(pipe, NULL, &(size_t){4}), FER_EINVAL);
    size_t size = 0;
    assert_int_equal(fer_pipe_getsockname(pipe, NULL, &size), FER_ENOBUFS);
    assert_int_equal(size, 1);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(raw_drain(raw), 0);
    raw_close(raw);
    assert_int_equal(done.calls, 0);
}

static void only_sockets_of_the_right_sort_are_opened(void **state) {
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = new_pipe();
    int fds[2];
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int datagrams = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int closed = fcntl(file, F_DUPFD_CLOEXEC, 100);
    assert_true(file >= 0 && tcp >= 0 && datagrams >= 0 && closed >= 0);
    raw_close(closed);
    assert_int_equal(fer_pipe_open(pipe, -1), FER_EBADF);
    assert_int_equal(fer_pipe_open(pipe, (fer_fd)INT64_MAX), FER_EBADF);
    assert_int_equal(fer_pipe_open(pipe, closed), FER_EBADF);
    assert_int_equal(fer_pipe_open(pipe, file), FER_ENOTSOCK);
    assert_int_equal(fer_pipe_open(pipe, tcp), FER_EPROTOTYPE);
    assert_int_equal(fer_pipe_open(pipe, datagrams), FER_EPROTOTYPE);
    /* They are still the caller's. */
    raw_close(file);
    raw_close(tcp);
    raw_close(datagrams);
    raw_pair(fds);
    assert_int_equal(fer_pipe_open(pipe, fds[0]), FER_OK);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(fds[1]);
}

/* Bad peers. */

static void descriptors_that_nobody_asked_for_are_closed(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    inbox box = {0};
    int handles[200];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &pipe);
    for (int i = 0; i < 200; i++)
        handles[i] = STDERR_FILENO;
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    const size_t before = harness_count_descriptors();
    for (size_t i = 1; i <= 200; i++) {
        raw_send_handles(raw, "byte", 4, handles, i);
        run_until_count(loop, &box.size, 4 * i);
        assert_int_equal(harness_count_descriptors(), before);
    }
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
    inbox_free(&box);
}

static int flood(int argc, char **argv) {
    static char bytes[65536];
    (void)argc;
    (void)argv;
    if (fcntl(3, F_SETFL, 0) != 0)
        return 2;
    while (send(3, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
    }
    return 0;
}

static void count_bytes(fer_handle *stream, fer_status status, const void *data, size_t size,
                        void *user) {
    assert_non_null(stream);
    assert_true(data != NULL || status != FER_OK);
    *(size_t *)user += size;
}

static void a_flood_leaves_room_for_others(void **state) {
    (void)state;
    fer_handle *flooded = NULL;
    fer_handle *pipe = NULL;
    harness_child child;
    inbox box = {0};
    size_t got = 0;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    int raw = pipe_and_raw(loop, &flooded);
    harness_spawn(&child, "flood", raw, NULL);
    raw_close(raw);
    raw = pipe_and_raw(loop, &pipe);
    assert_int_equal(fer_stream_read_start(flooded, count_bytes, &got, NULL), FER_OK);
    assert_int_equal(fer_stream_read_start(pipe, inbox_read, &box, inbox_finalized), FER_OK);
    run_until_count(loop, &got, 1 << 20);
    const size_t memory = harness_memory_now().bytes;
    for (size_t i = 1; i <= 50; i++) {
        noted posted = {0};
        raw_send(raw, "x", 1);
        assert_int_equal(fer_loop_post(loop, note_posted, &posted), FER_OK);
        /* One turn serves everybody. */
        assert_int_equal(fer_loop_step(loop, -1), FER_OK);
        if (box.size < i)
            assert_int_equal(fer_loop_step(loop, -1), FER_OK);
        assert_int_equal(box.size, i);
        assert_int_equal(posted.calls, 1);
    }
    assert_true(harness_memory_now().bytes <= memory);
    fer_handle_unref(flooded);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(harness_wait(&child), 0);
    raw_close(raw);
    inbox_free(&box);
}

/* Out of descriptors. */

static void without_descriptors_a_status_says_so(void **state) {
    (void)state;
    noted connection = {0};
    fer_loop *another = NULL;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *listener = new_pipe();
    fer_handle *pipe = new_pipe();
    assert_int_equal(fer_pipe_bind(listener, harness_path("p"), FER_ZSTRING, NULL), FER_OK);
    assert_int_equal(fer_stream_listen(listener, 0, note_connection, &connection, NULL), FER_OK);
    int raw = raw_connect(harness_path("p"));
    take_descriptors_away();
    assert_int_equal(fer_loop_new(&another), FER_EMFILE);
    assert_null(another);
    assert_int_equal(fer_pipe_connect(pipe, harness_path("p"), FER_ZSTRING, note_stream, NULL),
                     FER_EMFILE);
    assert_int_equal(fer_pipe_bind(pipe, harness_path("q"), FER_ZSTRING, NULL), FER_EMFILE);
    harness_run_until(loop, &connection.calls);
    assert_int_equal(connection.status, FER_EMFILE);
    assert_int_equal(fer_stream_accept(listener, pipe), FER_EMFILE);
    give_descriptors_back();
    /* The listener tries again by itself. */
    while (connection.status != FER_OK)
        assert_int_equal(fer_loop_step(loop, 1000), FER_OK);
    assert_int_equal(fer_stream_accept(listener, pipe), FER_OK);
    fer_handle_unref(listener);
    fer_handle_unref(pipe);
    end_loop(loop);
    raw_close(raw);
}

/* A helper: bind in a directory that is read-only for this process. */
static int bind_read_only(int argc, char **argv) {
#ifdef __linux__
    const char *directory = argc > 1 ? argv[1] : "";
    char path[256];
    fer_handle *pipe = NULL;
    fer_status status;
    snprintf(path, sizeof path, "%s/s", directory);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(directory, directory, NULL, MS_BIND, NULL) != 0 ||
        mount(NULL, directory, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0) {
        harness_say("may not mount");
        return 0;
    }
    if (fer_loop_new(&loop) != FER_OK || fer_pipe_new(loop, 0, &pipe) != FER_OK)
        return 2;
    status = fer_pipe_bind(pipe, path, FER_ZSTRING, NULL);
    harness_say(fer_status_name(status));
    /* The pipe is as it was. */
    status = fer_pipe_bind(pipe, "\0no file", 8, NULL);
    harness_say(status == FER_OK || status == FER_EADDRINUSE ? "still new" : "spoiled");
    fer_handle_unref(pipe);
    fer_loop_run(loop);
    fer_loop_close(loop);
    fer_loop_unref(loop);
    return 0;
#else
    (void)argc;
    (void)argv;
    harness_say("may not mount");
    return 0;
#endif
}

static void a_read_only_place_is_refused(void **state) {
    (void)state;
    harness_child child;
    char line[64];
    const char *arguments[] = {harness_directory(), NULL};
    if (geteuid() != 0) {
        print_message("only root can make a directory read-only for one process\n");
        skip();
    }
    harness_spawn(&child, "read_only", -1, arguments);
    harness_read_line(&child, line, sizeof line);
    if (strcmp(line, "may not mount") == 0) {
        assert_int_equal(harness_wait(&child), 0);
        print_message("this process may not mount\n");
        skip();
    }
    assert_string_equal(line, "FER_EROFS");
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, "still new");
    assert_int_equal(harness_wait(&child), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_read_only_place_is_refused),
        HARNESS_TEST(flags_and_sizes_of_structures_are_checked),
        HARNESS_TEST(names_are_checked),
        HARNESS_TEST(places_that_cannot_be_bound_say_why),
        HARNESS_TEST(places_that_cannot_be_connected_to_say_why),
        HARNESS_TEST(calls_out_of_order_are_refused),
        HARNESS_TEST(pieces_and_buffers_are_checked),
        HARNESS_TEST(only_sockets_of_the_right_sort_are_opened),
        HARNESS_TEST(descriptors_that_nobody_asked_for_are_closed),
        HARNESS_TEST(a_flood_leaves_room_for_others),
        HARNESS_TEST(without_descriptors_a_status_says_so),
    };
    const harness_helper helpers[] = {
        {"flood", flood}, {"read_only", bind_read_only}, {NULL, NULL}};
    return HARNESS_MAIN("pipe_bad", tests, helpers, argc, argv);
}
