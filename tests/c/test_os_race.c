/* Binding pipes while others look, bind and connect at the same moment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "impl/os.h"

struct server {
    fer__fd fd;
    fer__bound bound;
};

/* No assertions: for threads and helpers. */
static fer_status serve(struct server *server, const char *path, uint32_t mode) {
    fer_status status = fer__os_socket_pipe(&server->fd);
    if (status != FER_OK)
        return status;
    status = fer__os_bind_pipe(server->fd, path, FER_ZSTRING, mode, 0, 64, &server->bound);
    if (status != FER_OK)
        fer__os_close(server->fd);
    return status;
}

static void stop(struct server *server) {
    fer__os_unbind_pipe(&server->bound);
    fer__os_close(server->fd);
}

static fer_status try_connect(const char *path) {
    fer__fd fd;
    fer_status status = fer__os_socket_pipe(&fd);
    if (status == FER_OK)
        status = fer__os_connect_pipe(fd, path, FER_ZSTRING);
    fer__os_close(fd);
    return status;
}

/* The mode of the file, looked at all the time. */

struct watch {
    const char *path;
    atomic_int stop;
    atomic_int seen;
    atomic_uint bits;  /**< all that were seen */
    atomic_uint least; /**< what was seen every time */
};

static void *watch_mode(void *user) {
    struct watch *watch = user;
    while (!atomic_load(&watch->stop)) {
        struct stat info;
        if (lstat(watch->path, &info) != 0)
            continue;
        atomic_fetch_or(&watch->bits, info.st_mode & 07777);
        atomic_fetch_and(&watch->least, info.st_mode & 07777);
        atomic_fetch_add(&watch->seen, 1);
    }
    return NULL;
}

static void watch_binding(uint32_t mode, mode_t mask, int hidden) {
    struct watch watch = {.path = harness_path("s")};
    struct stat info;
    pthread_t thread;
    int holder = -1;
    int rounds = hidden ? 4 : 200;
    atomic_store(&watch.least, 07777);
    if (hidden) {
        holder = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(holder, LOCK_EX), 0);
    }
    mode_t before = umask(mask);
    assert_int_equal(pthread_create(&thread, NULL, watch_mode, &watch), 0);
    int bad = 0;
    for (int i = 0; i < rounds || (atomic_load(&watch.seen) < 50 && i < 100000); i++) {
        struct server server;
        int seen = atomic_load(&watch.seen);
        if (serve(&server, watch.path, mode) != FER_OK) {
            bad++;
            break;
        }
        if (lstat(watch.path, &info) != 0 || (info.st_mode & 07777) != mode)
            bad++;
        /* Now and then until the watcher has seen it. */
        while (i % 50 == 0 && atomic_load(&watch.seen) < seen + 2) {
        }
        stop(&server);
    }
    atomic_store(&watch.stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    umask(before);
    if (holder >= 0)
        raw_close(holder);
    assert_int_equal(bad, 0);
    assert_true(atomic_load(&watch.seen) >= 2);
    /* Never more than was asked for; never less either, unless the mask took it away at first. */
    assert_int_equal(atomic_load(&watch.bits) & ~mode, 0);
    assert_int_equal(atomic_load(&watch.least) & ~mask & 07777, mode & ~mask & 07777);
}

static void the_mode_is_right_from_the_first_instant(void **state) {
    (void)state;
    watch_binding(0600, 0, 0);
    watch_binding(0600, 022, 0);
    watch_binding(0640, 0, 0);
    watch_binding(0666, 0, 0);
    watch_binding(0666, 077, 0);
    watch_binding(0600, 0777, 0);
    watch_binding(0600, 0, 1);
    watch_binding(0666, 077, 1);
}

/* Racing threads. */

enum { RACERS = 4 };

struct race {
    const char *path;
    pthread_barrier_t start;
    pthread_barrier_t judge;
    int rounds;
    int leave_stale; /**< the winner leaves its file for the next round */
    atomic_int won;
    atomic_int lost;
    atomic_int bad;
};

static void *race_to_bind(void *user) {
    struct race *race = user;
    for (int i = 0; i < race->rounds; i++) {
        struct server server;
        pthread_barrier_wait(&race->start);
        fer_status status = serve(&server, race->path, 0600);
        if (status == FER_OK)
            atomic_fetch_add(&race->won, 1);
        else if (status == FER_EADDRINUSE)
            atomic_fetch_add(&race->lost, 1);
        else
            atomic_fetch_add(&race->bad, 1);
        /* All have tried: who won must still be there, under the name. */
        pthread_barrier_wait(&race->judge);
        if (status == FER_OK) {
            if (try_connect(race->path) != FER_OK)
                atomic_fetch_add(&race->bad, 1);
            fer__fd client;
            if (fer__os_accept(server.fd, &client) == FER_OK)
                fer__os_close(client);
            else
                atomic_fetch_add(&race->bad, 1);
            server.bound.keep = race->leave_stale;
            stop(&server);
        }
    }
    return NULL;
}

static void run_race(const char *path, int rounds, int leave_stale) {
    struct race race = {.path = path, .rounds = rounds, .leave_stale = leave_stale};
    pthread_t threads[RACERS];
    assert_int_equal(pthread_barrier_init(&race.start, NULL, RACERS), 0);
    assert_int_equal(pthread_barrier_init(&race.judge, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_to_bind, &race), 0);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&race.start);
    pthread_barrier_destroy(&race.judge);
    assert_int_equal(race.bad, 0);
    assert_int_equal(race.won, rounds);
    assert_int_equal(race.lost, rounds * (RACERS - 1));
    if (leave_stale)
        assert_int_equal(unlink(path), 0);
}

static void one_of_many_threads_wins(void **state) {
    (void)state;
    run_race(harness_path("s"), 200, 0);
    run_race(harness_path("s"), 200, 1);
}

/* Names that do not fit, and a directory that somebody keeps locked: the socket is made out of sight. */
static void one_of_many_wins_out_of_sight(void **state) {
    (void)state;
#ifdef __linux__
    char name[256];
    snprintf(name, sizeof name, "%0240d", 0);
    run_race(harness_path(name), 50, 0);
    run_race(harness_path(name), 50, 1);
#endif
    int holder = open(harness_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(holder, LOCK_EX), 0);
    run_race(harness_path("s"), 4, 0);
    raw_close(holder);
}

/* Racing processes, some of which are killed while they hold the name. */

static int bind_helper(int argc, char **argv) {
    char line[16];
    if (argc != 2)
        return 1;
    harness_say("ready");
    while (harness_hear(line, sizeof line)) {
        struct server server;
        fer_status status = serve(&server, argv[1], 0600);
        harness_say(fer_status_name(status));
        if (!harness_hear(line, sizeof line))
            return 2;
        if (status == FER_OK)
            stop(&server);
        harness_say("stopped");
    }
    return 0;
}

static void start_helper(harness_child *child, const char *path) {
    const char *arguments[] = {path, NULL};
    char line[64];
    harness_spawn(child, "bind", -1, arguments);
    harness_read_line(child, line, sizeof line);
    assert_string_equal(line, "ready");
}

static void one_of_many_processes_wins(void **state) {
    (void)state;
    const char *path = harness_path("s");
    harness_child children[RACERS];
    char line[64];
    for (int i = 0; i < RACERS; i++)
        start_helper(&children[i], path);
    for (int round = 0; round < 40; round++) {
        int winner = -1;
        for (int i = 0; i < RACERS; i++)
            harness_tell(&children[i], "go\n");
        for (int i = 0; i < RACERS; i++) {
            harness_read_line(&children[i], line, sizeof line);
            if (strcmp(line, "FER_OK") == 0) {
                assert_int_equal(winner, -1);
                winner = i;
            } else {
                assert_string_equal(line, "FER_EADDRINUSE");
            }
        }
        assert_true(winner >= 0);
        assert_int_equal(try_connect(path), FER_OK);
        if (round % 4 == 3) {
            /* Its file stays, and is stale. */
            assert_int_equal(kill(children[winner].pid, SIGKILL), 0);
            assert_int_equal(harness_wait(&children[winner]), -SIGKILL);
            assert_int_equal(try_connect(path), FER_ECONNREFUSED);
            start_helper(&children[winner], path);
        }
        for (int i = 0; i < RACERS; i++) {
            if (round % 4 == 3 && i == winner)
                continue;
            harness_tell(&children[i], "stop\n");
            harness_read_line(&children[i], line, sizeof line);
            assert_string_equal(line, "stopped");
        }
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(harness_wait(&children[i]), 0);
    (void)unlink(path);
}

/* A server that is there stays there, whoever tries to take its name. */

static void *keep_trying(void *user) {
    struct race *race = user;
    for (int i = 0; i < race->rounds; i++) {
        struct server server;
        fer_status status = serve(&server, race->path, 0600);
        if (status != FER_EADDRINUSE)
            atomic_fetch_add(&race->bad, 1);
        if (status == FER_OK)
            stop(&server);
    }
    return NULL;
}

static void accept_all(fer__fd listener) {
    fer__fd client;
    while (fer__os_accept(listener, &client) == FER_OK)
        fer__os_close(client);
}

static void a_live_server_is_always_reached(void **state) {
    (void)state;
    struct race race = {.path = harness_path("s"), .rounds = 200};
    struct server server;
    pthread_t threads[RACERS];
    int reached = 0;
    int refused = 0;
    assert_int_equal(serve(&server, race.path, 0600), FER_OK);
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, keep_trying, &race), 0);
    for (int i = 0; i < 400; i++) {
        fer_status status = try_connect(race.path);
        if (status == FER_OK)
            reached++;
        else if (status != FER_EAGAIN)
            refused++;
        accept_all(server.fd);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    accept_all(server.fd);
    assert_int_equal(race.bad, 0);
    assert_int_equal(refused, 0);
    assert_true(reached > 0);
    assert_int_equal(try_connect(race.path), FER_OK);
    stop(&server);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(the_mode_is_right_from_the_first_instant),
        HARNESS_TEST(one_of_many_threads_wins),
        HARNESS_TEST(one_of_many_wins_out_of_sight),
        HARNESS_TEST(one_of_many_processes_wins),
        HARNESS_TEST(a_live_server_is_always_reached),
    };
    const harness_helper helpers[] = {{"bind", bind_helper}, {NULL, NULL}};
    return HARNESS_MAIN("os_race", tests, helpers, argc, argv);
}
