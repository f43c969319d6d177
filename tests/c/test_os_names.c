/* Names of pipes: checking, connecting, asking, and the user's private directory. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "impl/os.h"

enum { PATH_ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };

static void names_are_checked(void **state) {
    (void)state;
    char abstract[PATH_ROOM + 2];
    memset(abstract, 'x', sizeof abstract);
    abstract[0] = '\0';
    assert_int_equal(fer__os_check_name("a", 1), FER_OK);
    assert_int_equal(fer__os_check_name("a", FER_ZSTRING), FER_OK);
    assert_int_equal(fer__os_check_name(NULL, 1), FER_EINVAL);
    assert_int_equal(fer__os_check_name("", 0), FER_EINVAL);
    assert_int_equal(fer__os_check_name("", FER_ZSTRING), FER_EINVAL);
    assert_int_equal(fer__os_check_name("a\0b", 3), FER_EINVAL);
    assert_non_null(strstr(fer_status_detail(), "NUL"));
    assert_int_equal(fer__os_check_name("a\0", 2), FER_EINVAL);
#ifdef __linux__
    assert_int_equal(fer__os_check_name(abstract, 1), FER_EINVAL);
    assert_int_equal(fer__os_check_name(abstract, 2), FER_OK);
    assert_int_equal(fer__os_check_name("\0a\0b", 4), FER_OK);
    assert_int_equal(fer__os_check_name(abstract, PATH_ROOM), FER_OK);
    assert_int_equal(fer__os_check_name(abstract, PATH_ROOM + 1), FER_ENAMETOOLONG);
#else
    assert_int_equal(fer__os_check_name(abstract, 2), FER_ENOTSUP);
#endif
}

static fer_status try_connect(const char *path) {
    fer__fd fd;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    fer_status status = fer__os_connect_pipe(fd, path, FER_ZSTRING);
    fer__os_close(fd);
    return status;
}

static void make_file(const char *path) {
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    raw_close(fd);
}

static void connecting_says_what_is_wrong(void **state) {
    (void)state;
    const char *path = harness_path("s");
    const char *below = harness_path("s/below");
    assert_int_equal(try_connect(path), FER_ENOENT);
    assert_non_null(strstr(fer_status_detail(), path));
    make_file(path);
    assert_int_equal(try_connect(path), FER_ENOTSOCK);
    assert_non_null(strstr(fer_status_detail(), path));
    assert_int_equal(try_connect(below), FER_ENOTDIR);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_connect(harness_directory()), FER_ENOTSOCK);

    assert_int_equal(symlink("s", path), 0);
    assert_int_equal(try_connect(path), FER_ELOOP);
    assert_int_equal(unlink(path), 0);

    int listener = raw_listen(path);
    assert_int_equal(try_connect(path), FER_OK);
    raw_close(listener);
    assert_int_equal(try_connect(path), FER_ECONNREFUSED);
    assert_int_equal(unlink(path), 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int datagram = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(datagram, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(try_connect(path), FER_EPROTOTYPE);
    raw_close(datagram);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(try_connect(""), FER_EINVAL);
}

/* A user without special rights, where the tests run with them. */
static void a_socket_of_others_is_not_for_us(void **state) {
    (void)state;
    const char *path = harness_path("s");
    int listener = raw_listen(path);
    int status;
    assert_int_equal(chmod(path, 0600), 0);
    if (geteuid() != 0)
        assert_int_equal(chmod(path, 0), 0);
    pid_t child = fork();
    if (child == 0) {
        if (geteuid() == 0 && (chmod(harness_directory(), 0711) != 0 || setuid(65534) != 0))
            _exit(2);
        _exit(try_connect(path) == FER_EACCES ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    raw_close(listener);
    assert_int_equal(unlink(path), 0);
}

static void a_full_queue_is_not_waited_for(void **state) {
    (void)state;
    const char *path = harness_path("s");
    int listener = raw_listen(path);
    int clients[64];
    size_t count = 0;
    fer_status status = FER_OK;
    while (status == FER_OK && count < 64) {
        assert_int_equal(fer__os_socket_pipe(&clients[count]), FER_OK);
        /* In both modes; the mode stays. */
        assert_int_equal(fer__os_set_nonblocking(clients[count], count % 2 == 0), FER_OK);
        status = fer__os_connect_pipe(clients[count], path, FER_ZSTRING);
        assert_int_equal(fer__os_get_nonblocking(clients[count]), count % 2 == 0);
        count++;
    }
    assert_int_equal(status, FER_EAGAIN);
    fer__os_set_nonblocking(clients[count - 1], 0);
    assert_int_equal(fer__os_connect_pipe(clients[count - 1], path, FER_ZSTRING), FER_EAGAIN);
    /* The same socket gets in when there is room. */
    raw_close(raw_accept(listener));
    assert_int_equal(fer__os_connect_pipe(clients[count - 1], path, FER_ZSTRING), FER_OK);
    while (count > 0)
        fer__os_close(clients[--count]);
    raw_close(listener);
    assert_int_equal(unlink(path), 0);
}

static void connect_once(void *context) {
    const char *path = context;
    fer__fd fd;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    fer_status status = fer__os_connect_pipe(fd, path, FER_ZSTRING);
    assert_true(status == FER_OK || status == FER_ENOMEM);
    fer__os_close(fd);
}

static void connecting_survives_a_lack_of_memory(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s", harness_path("s"));
    int listener = raw_listen(path);
    assert_in_range(harness_each_allocation(connect_once, path), 1, 10);
    raw_close(listener);
    assert_int_equal(unlink(path), 0);
}

#ifdef __linux__
/* Bound under a short name, then renamed: what has the long name is a real socket. */
static void long_paths_can_be_connected_to(void **state) {
    (void)state;
    char base[256];
    char folder[512];
    char path[1024];
    memset(base, 'b', 255);
    base[255] = '\0';
    snprintf(folder, sizeof folder, "%s/%s", harness_directory(), base);
    assert_int_equal(mkdir(folder, 0700), 0);
    int listener = raw_listen(harness_path("s"));
    snprintf(path, sizeof path, "%s/%s", folder, base);
    assert_int_equal(try_connect(path), FER_ENOENT);
    make_file(path);
    assert_int_equal(try_connect(path), FER_ENOTSOCK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename(harness_path("s"), path), 0);
    assert_int_equal(try_connect(path), FER_OK);
    raw_close(listener);
    assert_int_equal(try_connect(path), FER_ECONNREFUSED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);

    char *endless = malloc(70000);
    assert_non_null(endless);
    memset(endless, 'x', 69999);
    endless[69999] = '\0';
    assert_int_equal(try_connect(endless), FER_ENAMETOOLONG);
    free(endless);
}

static void abstract_names_connect(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    int size = snprintf(name, sizeof name, "%cfer-test-%d%c!", 0, (int)getpid(), 0);
    memcpy(address.sun_path, name, (size_t)size);
    fer__fd fd;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    assert_int_equal(fer__os_connect_pipe(fd, name, (size_t)size), FER_ECONNREFUSED);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(fer__os_connect_pipe(fd, name, (size_t)size), FER_OK);
    char buffer[64];
    size_t room = sizeof buffer;
    assert_int_equal(fer__os_pipe_name(fd, 1, buffer, &room), FER_OK);
    assert_int_equal(room, size);
    assert_memory_equal(buffer, name, (size_t)size);
    fer__os_close(fd);
    raw_close(listener);
}
#endif

static void names_are_told(void **state) {
    (void)state;
    const char *path = harness_path("s");
    const size_t length = strlen(path);
    char buffer[128];
    fer__fd fd;
    size_t size = sizeof buffer;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    assert_int_equal(fer__os_pipe_name(fd, 0, buffer, &size), FER_OK);
    assert_int_equal(size, 0);
    assert_string_equal(buffer, "");
    size = sizeof buffer;
    assert_int_equal(fer__os_pipe_name(fd, 1, buffer, &size), FER_ENOTCONN);

    int listener = raw_listen(path);
    assert_int_equal(fer__os_connect_pipe(fd, path, FER_ZSTRING), FER_OK);
    size = sizeof buffer;
    assert_int_equal(fer__os_pipe_name(listener, 0, buffer, &size), FER_OK);
    assert_int_equal(size, length);
    assert_string_equal(buffer, path);
    size = length + 1;
    assert_int_equal(fer__os_pipe_name(fd, 1, buffer, &size), FER_OK);
    assert_string_equal(buffer, path);
    memset(buffer, 'z', sizeof buffer);
    for (size_t room = 0; room <= length; room++) {
        size = room;
        assert_int_equal(fer__os_pipe_name(fd, 1, buffer, &size), FER_ENOBUFS);
        assert_int_equal(size, length + 1);
        assert_int_equal(buffer[0], 'z');
    }
    size = 0;
    assert_int_equal(fer__os_pipe_name(fd, 1, NULL, &size), FER_ENOBUFS);
    fer__os_close(fd);
    raw_close(listener);
    assert_int_equal(unlink(path), 0);
}

/* The kernel takes a path that leaves no room for the NUL byte. */
static void the_longest_name_is_told(void **state) {
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[PATH_ROOM + 1];
    char buffer[PATH_ROOM + 8];
    size_t size = sizeof buffer;
    int used = snprintf(path, sizeof path, "%s/", harness_directory());
    memset(path + used, 'n', sizeof path - (size_t)used);
    path[PATH_ROOM] = '\0';
    memcpy(address.sun_path, path, PATH_ROOM);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(fer__os_pipe_name(fd, 0, buffer, &size), FER_OK);
    assert_int_equal(size, PATH_ROOM);
    assert_string_equal(buffer, path);
    raw_close(fd);
    assert_int_equal(unlink(path), 0);
}

static fer_status runtime_path(char *path, size_t room) {
    return fer__os_runtime_path("name", 4, path, room);
}

static void short_names_live_in_the_runtime_directory(void **state) {
    (void)state;
    char path[256];
    char expected[256];
    struct stat info;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", harness_directory(), 1), 0);
    snprintf(expected, sizeof expected, "%s/ferrule/name", harness_directory());
    /* The first call makes the directory, the second finds it. */
    for (int i = 0; i < 2; i++) {
        memset(path, 'x', sizeof path);
        assert_int_equal(runtime_path(path, sizeof path), FER_OK);
        assert_string_equal(path, expected);
        assert_int_equal(lstat(harness_path("ferrule"), &info), 0);
        assert_true(S_ISDIR(info.st_mode));
        assert_int_equal(info.st_mode & 07777, 0700);
    }
    assert_int_equal(runtime_path(path, strlen(expected) + 1), FER_OK);
    for (size_t room = 0; room <= strlen(expected); room++)
        assert_int_equal(runtime_path(path, room), FER_ENAMETOOLONG);
    assert_int_equal(fer__os_runtime_path("name", FER_ZSTRING, path, sizeof path), FER_OK);
    assert_string_equal(path, expected);
    static const char *const bad[] = {"", ".", "..", ".x", "a/b", "/a"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fer__os_runtime_path(bad[i], FER_ZSTRING, path, sizeof path), FER_EINVAL);
    assert_int_equal(fer__os_runtime_path("\0a", 2, path, sizeof path), FER_EINVAL);
    assert_int_equal(rmdir(harness_path("ferrule")), 0);
    unsetenv("XDG_RUNTIME_DIR");
}

static void assert_not_private(const char *word) {
    char path[256];
    assert_int_equal(runtime_path(path, sizeof path), FER_EPERM);
    if (strstr(fer_status_detail(), word) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fer_status_detail(), word);
}

static void a_runtime_directory_that_others_can_use_is_refused(void **state) {
    (void)state;
    static const mode_t modes[] = {0755, 0710, 0701, 0770, 01777};
    char path[256];
    const char *own = harness_path("ferrule");
    assert_int_equal(setenv("XDG_RUNTIME_DIR", harness_directory(), 1), 0);
    assert_int_equal(mkdir(own, 0700), 0);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(own, modes[i]), 0);
        assert_not_private("mode");
    }
    assert_int_equal(chmod(own, 0700), 0);
    assert_int_equal(runtime_path(path, sizeof path), FER_OK);
    if (geteuid() == 0) {
        assert_int_equal(chown(own, 65534, 65534), 0);
        assert_not_private("another user");
    }
    assert_int_equal(rmdir(own), 0);

    assert_int_equal(mkdir(harness_path("other"), 0700), 0);
    assert_int_equal(symlink("other", own), 0);
    assert_not_private("not a directory");
    assert_int_equal(unlink(own), 0);
    assert_int_equal(rmdir(harness_path("other")), 0);
    make_file(own);
    assert_not_private("not a directory");
    assert_int_equal(unlink(own), 0);
    unsetenv("XDG_RUNTIME_DIR");
}

/* The directory that is used when the environment names none that will do. It is the user's, and stays. */
static void assert_fallback(const char *value) {
    char path[256];
    char plain[64];
    char system[64];
    struct stat info;
    const unsigned long user = (unsigned long)geteuid();
    snprintf(plain, sizeof plain, "/tmp/ferrule-%lu", user);
    snprintf(system, sizeof system, "/run/user/%lu/ferrule", user);
    if (value == NULL)
        unsetenv("XDG_RUNTIME_DIR");
    else
        assert_int_equal(setenv("XDG_RUNTIME_DIR", value, 1), 0);
    assert_int_equal(runtime_path(path, sizeof path), FER_OK);
    path[strlen(path) - strlen("/name")] = '\0';
    assert_true(strcmp(path, plain) == 0 || strcmp(path, system) == 0);
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void other_runtime_directories_are_passed_over(void **state) {
    (void)state;
    const char *shared = harness_path("shared");
    assert_int_equal(mkdir(shared, 0700), 0);
    assert_int_equal(chmod(shared, 0720), 0);
    make_file(harness_path("file"));
    assert_fallback(NULL);
    assert_fallback("");
    assert_fallback("relative");
    assert_fallback("/nowhere/at/all");
    assert_fallback(harness_path("file"));
    assert_fallback(shared);
    assert_int_equal(chmod(shared, 0702), 0);
    assert_fallback(shared);
    if (geteuid() == 0) {
        assert_int_equal(chmod(shared, 0700), 0);
        assert_int_equal(chown(shared, 65534, 65534), 0);
        assert_fallback(shared);
    }
    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(rmdir(shared), 0);
    assert_int_equal(unlink(harness_path("file")), 0);
}

static void errno_is_left_alone(void **state) {
    (void)state;
    char path[256];
    fer__fd fd;
    size_t size = 0;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", harness_directory(), 1), 0);
    errno = EDOM;
    assert_int_equal(fer__os_socket_pipe(&fd), FER_OK);
    assert_int_equal(fer__os_connect_pipe(fd, harness_path("none"), FER_ZSTRING), FER_ENOENT);
    assert_int_equal(fer__os_connect_pipe(fd, harness_directory(), FER_ZSTRING), FER_ENOTSOCK);
    assert_int_equal(fer__os_pipe_name(fd, 0, path, &size), FER_ENOBUFS);
    assert_int_equal(runtime_path(path, sizeof path), FER_OK);
    assert_int_equal(runtime_path(path, 5), FER_ENAMETOOLONG);
    assert_int_equal(errno, EDOM);
    fer__os_close(fd);
    assert_int_equal(rmdir(harness_path("ferrule")), 0);
    unsetenv("XDG_RUNTIME_DIR");
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(names_are_checked),
        HARNESS_TEST(connecting_says_what_is_wrong),
        HARNESS_TEST(a_socket_of_others_is_not_for_us),
        HARNESS_TEST(a_full_queue_is_not_waited_for),
        HARNESS_TEST(connecting_survives_a_lack_of_memory),
#ifdef __linux__
        HARNESS_TEST(long_paths_can_be_connected_to),
        HARNESS_TEST(abstract_names_connect),
#endif
        HARNESS_TEST(names_are_told),
        HARNESS_TEST(the_longest_name_is_told),
        HARNESS_TEST(short_names_live_in_the_runtime_directory),
        HARNESS_TEST(a_runtime_directory_that_others_can_use_is_refused),
        HARNESS_TEST(other_runtime_directories_are_passed_over),
        HARNESS_TEST(errno_is_left_alone),
    };
    return HARNESS_MAIN("os_names", tests, NULL, argc, argv);
}
