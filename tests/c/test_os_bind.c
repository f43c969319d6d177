/* Binding pipes: what may be replaced, what may not, and what goes at the end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"
#include "impl/os.h"

/** A pipe that is bound and listens. */
struct server {
    fer__fd fd;
    fer__bound bound;
};

static fer_status serve_with(struct server *server, const char *path, uint32_t mode, int keep) {
    assert_int_equal(fer__os_socket_pipe(&server->fd), FER_OK);
    fer_status status =
        fer__os_bind_pipe(server->fd, path, FER_ZSTRING, mode, keep, 8, &server->bound);
    if (status != FER_OK) {
        assert_null(server->bound.path);
        assert_null(server->bound.file);
        fer__os_close(server->fd);
    }
    return status;
}

static fer_status serve(struct server *server, const char *path) {
    return serve_with(server, path, 0600, 0);
}

static void stop(struct server *server) {
    fer__os_unbind_pipe(&server->bound);
    fer__os_close(server->fd);
}

/* As a process that was killed: its socket goes, the file stays. */
static void die(struct server *server) {
    server->bound.keep = 1;
    stop(server);
}

static fer_status try_connect(const char *path) {
    fer__fd fd;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    fer_status status = fer__os_connect_pipe(fd, path, FER_ZSTRING);
    fer__os_close(fd);
    return status;
}

static int exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0;
}

static void assert_in_the_way(const char *path, const char *word) {
    struct stat before;
    struct stat after;
    struct server server;
    assert_int_equal(lstat(path, &before), 0);
    assert_int_equal(serve(&server, path), FER_EADDRINUSE);
    if (strstr(fer_status_detail(), word) == NULL || strstr(fer_status_detail(), path) == NULL)
        fail_msg("\"%s\" does not say \"%s\" of %s", fer_status_detail(), word, path);
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_mode, after.st_mode);
}

static void a_bound_pipe_listens_until_it_is_unbound(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct server server;
    assert_int_equal(serve(&server, path), FER_OK);
    assert_string_equal(server.bound.path, path);
    assert_string_equal(server.bound.file, path);
    assert_true(fer__os_is_listening(server.fd));
    assert_int_equal(try_connect(path), FER_OK);
    fer__os_unbind_pipe(&server.bound);
    assert_null(server.bound.path);
    assert_null(server.bound.file);
    assert_false(exists(path));
    /* Once more changes nothing. */
    fer__os_unbind_pipe(&server.bound);
    fer__os_close(server.fd);
    assert_int_equal(serve_with(&server, path, 0600, 1), FER_OK);
    stop(&server);
    assert_true(exists(path));
    assert_int_equal(unlink(path), 0);
}

static void the_name_can_be_counted_or_ended(void **state) {
    (void)state;
    struct server server;
    const char *path = harness_path("sXXX");
    assert_int_equal(fer__os_socket_pipe(&server.fd), FER_OK);
    assert_int_equal(
        fer__os_bind_pipe(server.fd, path, strlen(path) - 3, 0600, 0, 8, &server.bound), FER_OK);
    assert_string_equal(server.bound.path, harness_path("s"));
    assert_int_equal(try_connect(harness_path("s")), FER_OK);
    stop(&server);
}

static void a_stale_socket_is_replaced(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct server server;
    raw_close(raw_listen(path));
    assert_int_equal(try_connect(path), FER_ECONNREFUSED);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(serve(&server, path), FER_OK);
        assert_int_equal(try_connect(path), FER_OK);
        die(&server);
        assert_true(exists(path));
    }
    assert_int_equal(serve(&server, path), FER_OK);
    stop(&server);
}

static void a_live_socket_is_not(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct server server;
    assert_int_equal(serve(&server, path), FER_OK);
    assert_in_the_way(path, "somebody listens");
    assert_int_equal(try_connect(path), FER_OK);
    stop(&server);

    /* One whose queue is full gives no answer, but it lives. */
    int listener = raw_listen(path);
    int clients[64];
    int count = 0;
    fer_status status = FER_OK;
    while (status == FER_OK && count < 64) {
        assert_int_equal(fer__os_socket_pipe(&clients[count]), FER_OK);
        status = fer__os_connect_pipe(clients[count++], path, FER_ZSTRING);
    }
    assert_int_equal(status, FER_EAGAIN);
    assert_in_the_way(path, "somebody listens");
    while (count > 0)
        fer__os_close(clients[--count]);
    raw_close(listener);
    assert_int_equal(unlink(path), 0);

    /* A socket of another type refuses streams, but it lives. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(datagram, (struct sockaddr *)&address, sizeof address), 0);
    assert_in_the_way(path, "somebody listens");
    raw_close(datagram);
    assert_int_equal(unlink(path), 0);
}

static void other_files_are_not(void **state) {
    (void)state;
    const char *path = harness_path("s");
    const char *target = harness_path("target");
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    raw_close(fd);
    assert_in_the_way(path, "not a socket");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_in_the_way(path, "not a socket");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_in_the_way(path, "not a socket");
    assert_int_equal(unlink(path), 0);

    /* A link is not followed, whatever it leads to. */
    assert_int_equal(symlink("target", path), 0);
    assert_in_the_way(path, "symbolic link");
    assert_false(exists(target));
    raw_close(raw_listen(target));
    assert_in_the_way(path, "symbolic link");
    assert_true(exists(target));
    assert_int_equal(unlink(target), 0);
    assert_int_equal(unlink(path), 0);

    if (geteuid() == 0) {
        raw_close(raw_listen(path));
        assert_int_equal(lchown(path, 65534, 65534), 0);
        assert_in_the_way(path, "another user");
        assert_int_equal(unlink(path), 0);
    }
}

static void only_the_own_file_is_removed(void **state) {
    (void)state;
    const char *path = harness_path("s");
    const char *other = harness_path("other");
    struct server server;
    struct server second;
    assert_int_equal(serve(&server, path), FER_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(serve(&second, path), FER_OK);
    stop(&server);
    assert_int_equal(try_connect(path), FER_OK);
    stop(&second);
    assert_false(exists(path));

    assert_int_equal(serve(&server, path), FER_OK);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink("other", path), 0);
    stop(&server);
    assert_true(exists(path));
    assert_true(exists(other));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other), 0);

    assert_int_equal(serve(&server, path), FER_OK);
    assert_int_equal(unlink(path), 0);
    stop(&server);
}

static void a_vanished_directory_does_no_harm(void **state) {
    (void)state;
    const char *folder = harness_path("d");
    struct server server;
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(serve(&server, harness_path("d/s")), FER_OK);
    assert_int_equal(unlink(harness_path("d/s")), 0);
    assert_int_equal(rmdir(folder), 0);
    stop(&server);
}

static void a_relative_name_is_meant_where_it_was_said(void **state) {
    (void)state;
    char before[PATH_MAX];
    struct server server;
    struct server deep;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(mkdir(harness_path("d"), 0700), 0);
    assert_int_equal(chdir(harness_directory()), 0);
    assert_int_equal(serve(&server, "s"), FER_OK);
    assert_string_equal(server.bound.path, "s");
    assert_int_equal(serve(&deep, "./d//s"), FER_OK);
    assert_int_equal(try_connect("s"), FER_OK);
    assert_int_equal(try_connect("d/s"), FER_OK);
    assert_int_equal(chdir(before), 0);
    assert_true(exists(harness_path("s")));
    stop(&server);
    stop(&deep);
    assert_false(exists(harness_path("s")));
    assert_false(exists(harness_path("d/s")));
    assert_int_equal(rmdir(harness_path("d")), 0);
}

static void what_cannot_be_bound_says_why(void **state) {
    (void)state;
    char longest[300];
    struct server server;
    assert_int_equal(serve(&server, harness_path("none/s")), FER_ENOENT);
    assert_non_null(strstr(fer_status_detail(), "none/s"));
    int fd = open(harness_path("file"), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    raw_close(fd);
    assert_int_equal(serve(&server, harness_path("file/s")), FER_ENOTDIR);
    assert_int_equal(unlink(harness_path("file")), 0);
    assert_int_equal(serve(&server, harness_path("d/")), FER_EISDIR);
    assert_int_equal(serve(&server, "/"), FER_EISDIR);
    assert_int_equal(serve(&server, harness_path(".")), FER_EADDRINUSE);
    assert_int_equal(serve(&server, ""), FER_EINVAL);
    assert_int_equal(serve_with(&server, harness_path("s"), 01777, 0), FER_EINVAL);
    assert_non_null(strstr(fer_status_detail(), "01777"));
    memset(longest, 'x', 256);
    longest[256] = '\0';
    assert_int_equal(serve(&server, harness_path(longest)), FER_ENAMETOOLONG);
    char *endless = malloc(70000);
    assert_non_null(endless);
    memset(endless, 'x', 69999);
    endless[69999] = '\0';
    endless[0] = '/';
    for (size_t i = 100; i < 69000; i += 100)
        endless[i] = '/';
    assert_int_equal(serve(&server, endless), FER_ENAMETOOLONG);
    free(endless);

    /* A socket that has a name already. */
    int listener = raw_listen(harness_path("first"));
    assert_int_equal(
        fer__os_bind_pipe(listener, harness_path("second"), FER_ZSTRING, 0600, 0, 8, &server.bound),
        FER_EINVAL);
    assert_false(exists(harness_path("second")));
    raw_close(listener);
    assert_int_equal(unlink(harness_path("first")), 0);
    errno = EDOM;
    assert_int_equal(serve(&server, harness_path("none/s")), FER_ENOENT);
    assert_int_equal(serve(&server, harness_path("s")), FER_OK);
    stop(&server);
    assert_int_equal(errno, EDOM);
}

#ifdef __linux__
static void paths_of_any_length_can_be_bound(void **state) {
    (void)state;
    char base[256];
    char folder[512];
    char path[1024];
    struct server server;
    memset(base, 'b', 255);
    base[255] = '\0';
    snprintf(folder, sizeof folder, "%s/%s", harness_directory(), base);
    assert_int_equal(mkdir(folder, 0700), 0);
    /* A short name in a deep directory, a long name, and both. */
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", i == 1 ? harness_directory() : folder,
                 i == 0   ? "s"
                 : i == 1 ? base + 1
                          : base);
        mode_t mask = umask(022);
        assert_int_equal(serve_with(&server, path, 0666, 0), FER_OK);
        umask(mask);
        struct stat info;
        assert_int_equal(lstat(path, &info), 0);
        assert_int_equal(info.st_mode & 07777, 0666);
        assert_string_equal(server.bound.path, path);
        assert_int_equal(try_connect(path), FER_OK);
        struct server second;
        assert_int_equal(serve(&second, path), FER_EADDRINUSE);
        die(&server);
        assert_int_equal(serve(&server, path), FER_OK);
        assert_int_equal(try_connect(path), FER_OK);
        stop(&server);
        assert_false(exists(path));
    }
    assert_int_equal(rmdir(folder), 0);
}

static void abstract_names_can_be_bound(void **state) {
    (void)state;
    char name[64];
    char told[64];
    size_t told_size = sizeof told;
    struct server server;
    struct server second;
    size_t size = (size_t)snprintf(name, sizeof name, "%cfer-test-%d%c!", 0, (int)getpid(), 0);
    assert_int_equal(fer__os_socket_pipe(&server.fd), FER_OK);
    assert_int_equal(fer__os_socket_pipe(&second.fd), FER_OK);
    assert_int_equal(fer__os_bind_pipe(server.fd, name, size, 0600, 0, 8, &server.bound), FER_OK);
    assert_null(server.bound.path);
    assert_int_equal(fer__os_pipe_name(server.fd, 0, told, &told_size), FER_OK);
    assert_int_equal(told_size, size);
    assert_memory_equal(told, name, size);
    assert_int_equal(fer__os_bind_pipe(second.fd, name, size, 0600, 0, 8, &second.bound),
                     FER_EADDRINUSE);
    assert_string_not_equal(fer_status_detail(), "");
    stop(&server);
    assert_int_equal(fer__os_bind_pipe(second.fd, name, size, 0600, 0, 8, &second.bound), FER_OK);
    stop(&second);
}
#endif

static void serve_once(void *context) {
    struct server server;
    fer_status status = serve(&server, context);
    if (status == FER_OK)
        stop(&server);
    else
        assert_int_equal(status, FER_ENOMEM);
    /* Nothing half done is left, under any name. */
    assert_int_equal(rmdir(harness_path("d")), 0);
    assert_int_equal(mkdir(harness_path("d"), 0700), 0);
}

static void binding_survives_a_lack_of_memory(void **state) {
    (void)state;
    char path[512];
    assert_int_equal(mkdir(harness_path("d"), 0700), 0);
    snprintf(path, sizeof path, "%s/s", harness_path("d"));
    assert_in_range(harness_each_allocation(serve_once, path), 3, 20);
#ifdef __linux__
    snprintf(path, sizeof path, "%s/%0200d", harness_path("d"), 0);
    assert_in_range(harness_each_allocation(serve_once, path), 3, 20);
#endif
    assert_int_equal(rmdir(harness_path("d")), 0);
}

/* With so many descriptors left, binding fails cleanly or works; a stale socket is not taken for a live one. */
static void binding_survives_a_lack_of_descriptors(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct rlimit before;
    int worked = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t spare = 0; !worked; spare++) {
        struct server server;
        raw_close(raw_listen(path));
        assert_int_equal(fer__os_socket_pipe(&server.fd), FER_OK);
        struct rlimit few = {(rlim_t)server.fd + 1 + spare, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        fer_status status =
            fer__os_bind_pipe(server.fd, path, FER_ZSTRING, 0600, 0, 8, &server.bound);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        worked = status == FER_OK;
        if (!worked)
            assert_int_equal(status, FER_EMFILE);
        assert_true(exists(path));
        die(&server);
        assert_int_equal(unlink(path), 0);
        assert_in_range(spare, 0, 8);
    }
}

static void unbinding_needs_no_descriptor(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct server server;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(serve(&server, path), FER_OK);
    struct rlimit none = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    fer__os_unbind_pipe(&server.bound);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(exists(path));
    fer__os_close(server.fd);
}

/* Who holds the lock for ever, or does not let us have it, cannot keep us from binding a new name. */
static void a_directory_that_cannot_be_locked_still_serves(void **state) {
    (void)state;
    const char *path = harness_path("s");
    struct server server;
    struct stat info;
    int holder = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(holder >= 0);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    assert_int_equal(serve_with(&server, path, 0640, 0), FER_OK);
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_int_equal(info.st_nlink, 1);
    assert_int_equal(try_connect(path), FER_OK);
    assert_in_the_way(path, "somebody listens");
    die(&server);
    assert_in_the_way(path, "cannot be locked");
    assert_int_equal(flock(holder, LOCK_UN), 0);
    assert_int_equal(serve(&server, path), FER_OK);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    stop(&server);
    assert_false(exists(path));
    raw_close(holder);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(a_bound_pipe_listens_until_it_is_unbound),
        HARNESS_TEST(the_name_can_be_counted_or_ended),
        HARNESS_TEST(a_stale_socket_is_replaced),
        HARNESS_TEST(a_live_socket_is_not),
        HARNESS_TEST(other_files_are_not),
        HARNESS_TEST(only_the_own_file_is_removed),
        HARNESS_TEST(a_vanished_directory_does_no_harm),
        HARNESS_TEST(a_relative_name_is_meant_where_it_was_said),
        HARNESS_TEST(what_cannot_be_bound_says_why),
#ifdef __linux__
        HARNESS_TEST(paths_of_any_length_can_be_bound),
        HARNESS_TEST(abstract_names_can_be_bound),
#endif
        HARNESS_TEST(binding_survives_a_lack_of_memory),
        HARNESS_TEST(binding_survives_a_lack_of_descriptors),
        HARNESS_TEST(unbinding_needs_no_descriptor),
        HARNESS_TEST(a_directory_that_cannot_be_locked_still_serves),
    };
    return HARNESS_MAIN("os_bind", tests, NULL, argc, argv);
}
