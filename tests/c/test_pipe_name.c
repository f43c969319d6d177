/* Pipes: the names that they are bound to, and the files that these are. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

static fer_loop *loop;

static fer_handle *bound_pipe(const char *name, size_t size, const fer_bind_options *options) {
    fer_handle *pipe = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_bind(pipe, name, size, options), FER_OK);
    return pipe;
}

typedef fer_status (*get_name)(const fer_handle *pipe, char *buffer, size_t *size);

static void expect(get_name get, const fer_handle *pipe, const char *name, size_t length) {
    char buffer[512];
    size_t size = 0;
    assert_int_equal(get(pipe, NULL, &size), FER_ENOBUFS);
    assert_int_equal(size, length + 1);
    size = length;
    assert_int_equal(get(pipe, buffer, &size), FER_ENOBUFS);
    assert_int_equal(size, length + 1);
    memset(buffer, 'x', sizeof buffer);
    assert_int_equal(get(pipe, buffer, &size), FER_OK);
    assert_int_equal(size, length);
    assert_memory_equal(buffer, name, length);
    assert_int_equal(buffer[length], '\0');
}

static void expect_name(const fer_handle *pipe, const char *name, size_t length) {
    expect(fer_pipe_getsockname, pipe, name, length);
}

/* A client gets there by the name, and knows whom it talks to; so does who accepts it. */
static void connect_and_expect(fer_handle *listener, const char *name, size_t size,
                               const char *peer) {
    fer_handle *client = NULL;
    fer_handle *served = NULL;
    char bound[512];
    size_t room = sizeof bound;
    noted connection = {0};
    noted connected = {0};
    assert_int_equal(fer_stream_listen(listener, 0, note_connection, &connection, NULL), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &client), FER_OK);
    assert_int_equal(fer_pipe_connect(client, name, size, note_stream, &connected), FER_OK);
    harness_run_until(loop, &connection.calls);
    harness_run_until(loop, &connected.calls);
    assert_int_equal(connected.status, FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &served), FER_OK);
    assert_int_equal(fer_stream_accept(listener, served), FER_OK);
    assert_int_equal(fer_pipe_getsockname(listener, bound, &room), FER_OK);
    expect(fer_pipe_getsockname, served, bound, room);
    expect(fer_pipe_getpeername, served, "", 0);
    expect(fer_pipe_getsockname, client, "", 0);
    if (peer != NULL)
        expect(fer_pipe_getpeername, client, peer, strlen(peer));
    else
        expect(fer_pipe_getpeername, client, bound, room);
    fer_handle_unref(served);
    fer_handle_unref(client);
}

static void expect_connection(fer_handle *listener, const char *name, size_t size) {
    connect_and_expect(listener, name, size, NULL);
}

static void a_name_is_kept_as_it_was_given(void **state) {
    (void)state;
    char long_path[400];
    char with_size[64];
    char relative[32];
    char before[512];
    const char *path = harness_path("p");
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = bound_pipe(path, FER_ZSTRING, NULL);
    expect_name(pipe, path, strlen(path));
    expect_connection(pipe, path, FER_ZSTRING);
    fer_handle_unref(pipe);

    /* By its size, in the middle of something else. */
    snprintf(with_size, sizeof with_size, "%sand more", path);
    pipe = bound_pipe(with_size, strlen(path), NULL);
    expect_name(pipe, path, strlen(path));
    expect_connection(pipe, with_size, strlen(path));
    fer_handle_unref(pipe);

#ifdef __linux__
    /* Longer than a socket address. */
    int used = snprintf(long_path, sizeof long_path, "%s/", harness_directory());
    memset(long_path + used, 'l', 250);
    long_path[used + 250] = '\0';
    pipe = bound_pipe(long_path, FER_ZSTRING, NULL);
    expect_name(pipe, long_path, strlen(long_path));
    expect_connection(pipe, long_path, FER_ZSTRING);
    fer_handle_unref(pipe);

    /* The client goes another way: it has only that. */
    pipe = bound_pipe(long_path, FER_ZSTRING, NULL);
    assert_int_equal(symlink(long_path, harness_path("short")), 0);
    connect_and_expect(pipe, harness_path("short"), FER_ZSTRING, harness_path("short"));
    assert_int_equal(unlink(harness_path("short")), 0);
    fer_handle_unref(pipe);
#else
    (void)long_path;
#endif

    /* One that depends on where the process is: removed all the same. */
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(harness_directory()), 0);
    snprintf(relative, sizeof relative, "./r");
    pipe = bound_pipe(relative, FER_ZSTRING, NULL);
    expect_name(pipe, relative, strlen(relative));
    expect_connection(pipe, "r", FER_ZSTRING);
    assert_int_equal(chdir(before), 0);
    fer_handle_unref(pipe);
    end_loop(loop);
}

/* In a directory that somebody else has locked, the socket is made out of sight. */
static void a_name_is_known_that_was_given_later(void **state) {
    (void)state;
    int directory = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory >= 0);
    assert_int_equal(flock(directory, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = bound_pipe(harness_path("p"), FER_ZSTRING, NULL);
    assert_int_equal(close(directory), 0);
    expect_name(pipe, harness_path("p"), strlen(harness_path("p")));
    expect_connection(pipe, harness_path("p"), FER_ZSTRING);
    fer_handle_unref(pipe);
    end_loop(loop);
}

static void what_was_accepted_keeps_its_name(void **state) {
    (void)state;
    fer_handle *client = NULL;
    fer_handle *served = NULL;
    noted connection = {0};
    noted connected = {0};
    noted closed = {0};
    char path[128];
    snprintf(path, sizeof path, "%s", harness_path("p"));
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = bound_pipe(path, FER_ZSTRING, NULL);
    assert_int_equal(fer_stream_listen(pipe, 0, note_connection, &connection, NULL), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &client), FER_OK);
    assert_int_equal(fer_pipe_connect(client, path, FER_ZSTRING, note_stream, &connected), FER_OK);
    harness_run_until(loop, &connection.calls);
    assert_int_equal(fer_pipe_new(loop, 0, &served), FER_OK);
    assert_int_equal(fer_stream_accept(pipe, served), FER_OK);
    assert_int_equal(fer_handle_close(pipe, note_handle_closed, &closed), FER_OK);
    harness_run_until(loop, &closed.calls);
    fer_handle_unref(pipe);
    expect_name(served, path, strlen(path));
    fer_handle_unref(served);
    fer_handle_unref(client);
    end_loop(loop);
}

typedef struct named {
    fer_handle *listener;
    const char *path;
} named;

static void connect_by_name(void *context) {
    const named *to = context;
    fer_handle *client = NULL;
    noted connected = {0};
    fer_status status = fer_pipe_new(loop, 0, &client);
    if (status == FER_OK) {
        status = fer_pipe_connect(client, to->path, FER_ZSTRING, note_stream, &connected);
        if (status == FER_OK) {
            harness_run_until(loop, &connected.calls);
            expect(fer_pipe_getpeername, client, to->path, strlen(to->path));
        }
    }
    assert_true(status == FER_OK || status == FER_ENOMEM);
    fer_handle_unref(client);
    assert_int_equal(fer_loop_step(loop, 0), FER_OK);
}

static void keeping_a_name_survives_a_lack_of_memory(void **state) {
    (void)state;
#ifdef __linux__
    char path[200];
    named to = {NULL, path};
    noted connection = {0};
    assert_in_range(snprintf(path, sizeof path, "%s/%0100d", harness_directory(), 0), 108, 199);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    to.listener = bound_pipe(path, FER_ZSTRING, NULL);
    assert_int_equal(fer_stream_listen(to.listener, 0, note_connection, &connection, NULL), FER_OK);
    connect_by_name(&to);
    assert_in_range(harness_each_allocation(connect_by_name, &to), 3, 10);
    fer_handle_unref(to.listener);
    end_loop(loop);
#else
    skip();
#endif
}

static void an_abstract_name_is_no_file(void **state) {
    (void)state;
#ifdef __linux__
    char name[64];
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    /* With a NUL byte inside, too. */
    size_t size = 1 + (size_t)snprintf(name + 1, sizeof name - 1, "fer-test-%ld", (long)getpid());
    name[0] = '\0';
    name[size++] = '\0';
    name[size++] = 'x';
    fer_handle *pipe = bound_pipe(name, size, NULL);
    expect_name(pipe, name, size);
    expect_connection(pipe, name, size);
    fer_handle *second = NULL;
    assert_int_equal(fer_pipe_new(loop, 0, &second), FER_OK);
    assert_int_equal(fer_pipe_bind(second, name, size, NULL), FER_EADDRINUSE);
    assert_int_equal(fer_pipe_bind(second, name, size - 1, NULL), FER_OK);
    fer_handle_unref(second);
    fer_handle_unref(pipe);
    char large[200] = {0};
    noted connected = {0};
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_bind(pipe, large, sizeof large, NULL), FER_ENAMETOOLONG);
    assert_int_equal(fer_pipe_connect(pipe, large, sizeof large, note_stream, &connected),
                     FER_ENAMETOOLONG);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(connected.calls, 0);
#else
    skip();
#endif
}

static void the_file_has_its_mode_and_goes_with_the_pipe(void **state) {
    (void)state;
    static const struct {
        uint32_t asked;
        mode_t mode;
    } examples[] = {{0, 0600}, {0600, 0600}, {0666, 0666}, {0640, 0640}, {0777, 0777}};
    const char *path = harness_path("p");
    const mode_t mask = umask(077);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct stat info;
        fer_bind_options options = FER_BIND_OPTIONS_INIT;
        options.mode = examples[i].asked;
        fer_handle *pipe = bound_pipe(path, FER_ZSTRING, &options);
        assert_int_equal(stat(path, &info), 0);
        assert_true(S_ISSOCK(info.st_mode));
        assert_int_equal(info.st_mode & 07777, examples[i].mode);
        assert_int_equal(fer_handle_close(pipe, NULL, NULL), FER_OK);
        assert_int_not_equal(access(path, F_OK), 0);
        fer_handle_unref(pipe);
    }
    umask(mask);
    end_loop(loop);
}

static void a_file_may_be_kept(void **state) {
    (void)state;
    fer_bind_options options = FER_BIND_OPTIONS_INIT;
    options.flags = FER_BIND_KEEP_FILE;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *pipe = bound_pipe(harness_path("p"), FER_ZSTRING, &options);
    fer_handle_unref(pipe);
    assert_int_equal(access(harness_path("p"), F_OK), 0);
    /* It is stale now, so the next may have the name. */
    pipe = bound_pipe(harness_path("p"), FER_ZSTRING, NULL);
    fer_handle_unref(pipe);
    assert_int_not_equal(access(harness_path("p"), F_OK), 0);
    end_loop(loop);
}

static void somebody_elses_file_stays(void **state) {
    (void)state;
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    fer_handle *first = bound_pipe(harness_path("p"), FER_ZSTRING, NULL);
    /* Somebody takes the name away by force. */
    assert_int_equal(unlink(harness_path("p")), 0);
    fer_handle *second = bound_pipe(harness_path("p"), FER_ZSTRING, NULL);
    fer_handle_unref(first);
    assert_int_equal(access(harness_path("p"), F_OK), 0);
    expect_connection(second, harness_path("p"), FER_ZSTRING);
    fer_handle_unref(second);
    end_loop(loop);
}

/* A socket that a service manager made: listening already, and with a file that is not ours. */
static void a_listening_socket_is_opened(void **state) {
    (void)state;
    fer_handle *pipe = NULL;
    const char *path = harness_path("p");
    int fd = raw_listen(path);
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(fer_pipe_new(loop, 0, &pipe), FER_OK);
    assert_int_equal(fer_pipe_open(pipe, fd), FER_OK);
    assert_int_equal(fer_stream_read_stop(pipe), FER_OK);
    expect_name(pipe, path, strlen(path));
    expect_connection(pipe, path, FER_ZSTRING);
    assert_int_equal(fer_stream_read_stop(pipe), FER_OK);
    fer_handle_unref(pipe);
    end_loop(loop);
    assert_int_equal(unlink(path), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_name_is_kept_as_it_was_given),
        HARNESS_TEST(a_name_is_known_that_was_given_later),
        HARNESS_TEST(what_was_accepted_keeps_its_name),
        HARNESS_TEST(keeping_a_name_survives_a_lack_of_memory),
        HARNESS_TEST(an_abstract_name_is_no_file),
        HARNESS_TEST(the_file_has_its_mode_and_goes_with_the_pipe),
        HARNESS_TEST(a_file_may_be_kept),
        HARNESS_TEST(somebody_elses_file_stays),
        HARNESS_TEST(a_listening_socket_is_opened),
    };
    return HARNESS_MAIN("pipe_name", tests, NULL, argc, argv);
}
