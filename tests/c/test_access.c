/* Who is served: this user and root, unless somebody decides otherwise; and whose server is believed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crowd.h"

enum { STRANGER = 65534, OTHER_STRANGER = 65533 };

/* Processes of another user. */

static int become(const char *user) {
    const uid_t number = (uid_t)strtoul(user, NULL, 10);
    return setgroups(0, NULL) == 0 && setgid(number) == 0 && setuid(number) == 0 &&
           getuid() == number && seteuid(0) != 0;
}

static fer_channel_options helper_options(char **argv) {
    fer_channel_options options = options_of((fer_wire)strtoul(argv[3], NULL, 10));
    options.flags = (uint32_t)strtoul(argv[4], NULL, 10);
    return options;
}

/* USER ADDRESS WIRE FLAGS: connect, say how that ended, and what came then; stay until a line comes. */
static int connect_as(int argc, char **argv) {
    fer_channel_options options;
    fer_channel *channel = NULL;
    char line[160];
    fer_message message;
    fer_status status;
    if (argc != 5 || !become(argv[1]))
        return 1;
    options = helper_options(argv);
    status = fer_sync_connect(argv[2], &options, HARNESS_PATIENCE_MS, &channel);
    if (status == FER_OK)
        status = fer_sync_receive(channel, HARNESS_PATIENCE_MS, &message);
    if (status == FER_OK)
        snprintf(line, sizeof line, "%.*s", (int)message.size, (const char *)message.data);
    else
        snprintf(line, sizeof line, "%s", fer_status_name(status));
    harness_say(line);
    (void)harness_hear(line, sizeof line);
    fer_channel_unref(channel);
    return 0;
}

/* USER ADDRESS WIRE FLAGS [N]: listen, say where, take a client if there is an N, stay until a line comes. */
static int listen_as(int argc, char **argv) {
    fer_channel_options options;
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    char line[160];
    size_t size = sizeof line;
    int failed;
    if (argc < 5 || !become(argv[1]))
        return 1;
    options = helper_options(argv);
    failed = fer_sync_listen(argv[2], &options, &server) != FER_OK ||
             fer_server_address(server, line, &size) != FER_OK;
    if (!failed)
        harness_say(line);
    if (!failed && argc > 5)
        failed = fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel) != FER_OK;
    if (channel != NULL)
        harness_say("taken");
    (void)harness_hear(line, sizeof line);
    fer_channel_unref(channel);
    fer_server_unref(server);
    return failed ? 2 : 0;
}

static const harness_helper helpers[] = {
    {"connect", connect_as},
    {"listen", listen_as},
    {NULL, NULL},
};

static void spawn_as(harness_child *child, const char *name, int user, const char *address,
                     fer_wire wire, uint32_t flags, const char *more) {
    char user_text[16];
    char wire_text[16];
    char flags_text[16];
    const char *arguments[] = {user_text, address, wire_text, flags_text, more, NULL};
    snprintf(user_text, sizeof user_text, "%d", user);
    snprintf(wire_text, sizeof wire_text, "%d", (int)wire);
    snprintf(flags_text, sizeof flags_text, "%u", (unsigned)flags);
    harness_spawn(child, name, -1, arguments);
}

/* Read the line that a helper will say, while the loop runs. */
static void hear_beside(fer_loop *loop, const harness_child *child, char *line, size_t room) {
    while (poll(&(struct pollfd){child->output, POLLIN, 0}, 1, 0) == 0)
        run_beside(loop, child->output, POLLIN);
    harness_read_line(child, line, room);
}

static int needs_root(void) {
    if (geteuid() == 0)
        return 1;
    print_message("skipped: only root can be somebody else for a while\n");
    return 0;
}

/* Everybody can reach the socket file, so that only the server keeps them away. */
static void open_the_doors(const char *address) {
    assert_int_equal(chmod(harness_directory(), 0711), 0);
    if (strncmp(address, "pipe:/", 6) == 0)
        assert_int_equal(chmod(address + 5, 0666), 0);
}

static const char *abstract_name(void) {
    static char address[64];
    snprintf(address, sizeof address, "pipe:@fer-access-%ld", (long)getpid());
    return address;
}

static const char *place(int number) {
    switch (number) {
    case 0: return address_of("s");
    case 1: return abstract_name();
    default: return "tcp:127.0.0.1:0";
    }
}

enum { PLACES = 3 };

static void strangers_are_not_served(void **state) {
    (void)state;
    if (!needs_root())
        skip();
    for (int i = 0; i < 2 * PLACES; i++) {
        const fer_wire wire = i % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE;
        const fer_channel_options options = options_of(wire);
        crowd all;
        harness_child child;
        char line[160];
        crowd_open(&all, place(i / 2), &options);
        open_the_doors(all.address);
        spawn_as(&child, "connect", STRANGER, all.address, wire, 0, NULL);
        crowd_await_failures(&all, 1);
        assert_int_equal(all.failure, FER_EACCES);
        assert_string_equal(all.detail, "a client of user 65534 is not served");
        hear_beside(all.loop, &child, line, sizeof line);
        /* On the plain wire nobody says hello: the end is all there is. */
        assert_string_equal(line, wire == FER_WIRE_PLAIN ? "FER_EOF" : "FER_ECONNRESET");
        harness_tell(&child, "\n");
        assert_int_equal(harness_wait(&child), 0);
        /* Others are served all the same. */
        fer_channel *client = crowd_join(&all, &options);
        assert_int_equal(all.failures, 1);
        assert_int_equal(fer_server_count(all.server), 1);
        fer_channel_unref(client);
        crowd_close(&all);
    }
}

/** What was asked, and what is answered. */
typedef struct porter {
    int answer;
    int calls;
    fer_credentials who;
    noted finalized;
} porter;

static int decide(fer_server *server, const fer_credentials *who, void *user) {
    porter *one = user;
    assert_non_null(server);
    assert_int_equal(one->finalized.calls, 0);
    one->calls++;
    one->who = *who;
    return one->answer;
}

static void porter_finalized(void *user) {
    porter *one = user;
    note(&one->finalized, FER_OK);
}

static void greet(crowd *all, fer_channel *channel) {
    (void)all;
    assert_int_equal(send_text(channel, "welcome"), FER_OK);
}

static void who_decides_may_serve_strangers(void **state) {
    (void)state;
    if (!needs_root())
        skip();
    for (int i = 0; i < 2 * PLACES; i++) {
        const fer_wire wire = i % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE;
        const fer_channel_options options = options_of(wire);
        const int is_tcp = i / 2 == 2;
        porter one = {1, 0, FER_CREDENTIALS_INIT, {0}};
        fer_credentials who = FER_CREDENTIALS_INIT;
        crowd all;
        harness_child child;
        char line[160];
        crowd_open(&all, place(i / 2), &options);
        all.greet = greet;
        assert_int_equal(fer_server_on_allow(all.server, decide, &one, porter_finalized), FER_OK);
        open_the_doors(all.address);
        spawn_as(&child, "connect", STRANGER, all.address, wire, 0, NULL);
        run_until_count(all.loop, &all.count, 1);
        hear_beside(all.loop, &child, line, sizeof line);
        assert_string_equal(line, "welcome");
        assert_int_equal(one.calls, 1);
        assert_int_equal(one.who.uid, STRANGER);
        assert_int_equal(one.who.pid, is_tcp ? -1 : child.pid);
        assert_int_equal(one.who.gid, is_tcp ? UINT32_MAX : STRANGER);
        assert_int_equal(fer_channel_peer_credentials(all.served[0], &who), FER_OK);
        assert_int_equal(who.uid, STRANGER);
        assert_int_equal(who.pid, one.who.pid);
        harness_tell(&child, "\n");
        assert_int_equal(harness_wait(&child), 0);
        /* The same for this user, whom it keeps away. */
        one.answer = 0;
        assert_int_equal(crowd_refuse(&all, &options, FER_EACCES),
                         wire == FER_WIRE_PLAIN ? FER_EOF : FER_ECONNRESET);
        assert_int_equal(one.who.uid, 0);
        assert_string_equal(all.detail, "the client was not allowed");
        /* Without it, it is as before. */
        assert_int_equal(one.finalized.calls, 0);
        assert_int_equal(fer_server_on_allow(all.server, NULL, NULL, NULL), FER_OK);
        assert_int_equal(one.finalized.calls, 1);
        fer_channel_unref(crowd_join(&all, &options));
        assert_int_equal(one.calls, 2);
        crowd_close(&all);
    }
}

static void a_blocking_server_keeps_strangers_away(void **state) {
    (void)state;
    if (!needs_root())
        skip();
    porter one = {1, 0, FER_CREDENTIALS_INIT, {0}};
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    harness_child child;
    char line[160];
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    open_the_doors(address_of("s"));
    spawn_as(&child, "connect", STRANGER, address_of("s"), FER_WIRE_NATIVE, 0, NULL);
    /* It is closed inside of the wait for others. */
    while (poll(&(struct pollfd){child.output, POLLIN, 0}, 1, 0) == 0)
        assert_int_equal(fer_sync_accept(server, 20, &channel), FER_ETIMEDOUT);
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, "FER_ECONNRESET");
    harness_tell(&child, "\n");
    assert_int_equal(harness_wait(&child), 0);
    assert_int_equal(fer_server_on_allow(server, decide, &one, porter_finalized), FER_OK);
    spawn_as(&child, "connect", STRANGER, address_of("s"), FER_WIRE_NATIVE, 0, NULL);
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_OK);
    assert_int_equal(one.who.uid, STRANGER);
    assert_int_equal(fer_sync_send(channel, &(fer_bytes){"hi", 2}, 1, 1000), FER_OK);
    harness_read_line(&child, line, sizeof line);
    assert_string_equal(line, "hi");
    harness_tell(&child, "\n");
    assert_int_equal(harness_wait(&child), 0);
    fer_channel_unref(channel);
    fer_server_unref(server);
    assert_int_equal(one.finalized.calls, 1);
}

/* Servers of somebody else. */

static fer_status connect_with(const char *address, fer_wire wire, uint32_t flags,
                               fer_channel **channel) {
    fer_channel_options options = options_of(wire);
    options.flags = flags;
    return fer_sync_connect(address, &options, HARNESS_PATIENCE_MS, channel);
}

/* Who cannot decide has nobody served, and tells at once. */
static void a_decision_that_fails(void **state) {
    (void)state;
    const fer_channel_options options = options_of(FER_WIRE_NATIVE);
    porter one = {FER_ECALLBACK, 0, FER_CREDENTIALS_INIT, {0}};
    fer_server *server = NULL;
    fer_channel *channel = NULL;
    crowd all;
    crowd_open(&all, place(0), &options);
    assert_int_equal(fer_server_on_allow(all.server, decide, &one, NULL), FER_OK);
    assert_int_equal(crowd_refuse(&all, &options, FER_ECALLBACK), FER_ECONNRESET);
    one.answer = 1;
    fer_channel_unref(crowd_join(&all, &options));
    crowd_close(&all);
    one.answer = FER_ECALLBACK;
    assert_int_equal(fer_sync_listen(address_of("s"), NULL, &server), FER_OK);
    assert_int_equal(fer_server_on_allow(server, decide, &one, NULL), FER_OK);
    const int raw = raw_connect(harness_path("s"));
    assert_int_equal(fer_sync_accept(server, HARNESS_PATIENCE_MS, &channel), FER_ECALLBACK);
    assert_null(channel);
    raw_close(raw);
    assert_int_equal(fer_server_close(server, NULL, NULL), FER_OK);
    fer_server_unref(server);
    assert_int_equal(one.calls, 3);
}

static void a_server_of_another_user_on_tcp_is_not_believed(void **state) {
    (void)state;
    if (!needs_root())
        skip();
    for (int i = 0; i < 2; i++) {
        const fer_wire wire = i == 0 ? FER_WIRE_NATIVE : FER_WIRE_PLAIN;
        fer_channel *channel = NULL;
        fer_credentials who = FER_CREDENTIALS_INIT;
        harness_child child;
        char address[160];
        /* It has not accepted, and never will. */
        spawn_as(&child, "listen", STRANGER, "tcp:127.0.0.1:0", wire, 0, NULL);
        harness_read_line(&child, address, sizeof address);
        assert_int_equal(connect_with(address, wire, 0, &channel), FER_EACCES);
        assert_string_equal(fer_status_detail(), "the server belongs to user 65534");
        assert_null(channel);
        harness_tell(&child, "\n");
        assert_int_equal(harness_wait(&child), 0);
        /* It accepts. */
        spawn_as(&child, "listen", STRANGER, "tcp:127.0.0.1:0", wire, 0, "1");
        harness_read_line(&child, address, sizeof address);
        assert_int_equal(connect_with(address, wire, FER_CHANNEL_ANY_USER, &channel), FER_OK);
        harness_read_line(&child, address, sizeof address);
        assert_string_equal(address, "taken");
        assert_int_equal(fer_channel_peer_credentials(channel, &who), FER_OK);
        assert_int_equal(who.uid, STRANGER);
        fer_channel_unref(channel);
        harness_tell(&child, "\n");
        assert_int_equal(harness_wait(&child), 0);
    }
}

/* Neither is root: the server of one, the client of another. Root may talk to both. */
static void strangers_do_not_believe_each_other(void **state) {
    (void)state;
    if (!needs_root())
        skip();
    harness_child server;
    harness_child client;
    char address[160];
    char line[160];
    spawn_as(&server, "listen", STRANGER, "tcp:127.0.0.1:0", FER_WIRE_NATIVE, 0, NULL);
    harness_read_line(&server, address, sizeof address);
    spawn_as(&client, "connect", OTHER_STRANGER, address, FER_WIRE_NATIVE, 0, NULL);
    harness_read_line(&client, line, sizeof line);
    assert_string_equal(line, "FER_EACCES");
    harness_tell(&client, "\n");
    assert_int_equal(harness_wait(&client), 0);
    harness_tell(&server, "\n");
    assert_int_equal(harness_wait(&server), 0);
    /* A server of root, on the other hand. */
    crowd all;
    crowd_open(&all, "tcp:127.0.0.1:0", NULL);
    all.greet = greet;
    porter one = {1, 0, FER_CREDENTIALS_INIT, {0}};
    assert_int_equal(fer_server_on_allow(all.server, decide, &one, NULL), FER_OK);
    spawn_as(&client, "connect", OTHER_STRANGER, all.address, FER_WIRE_NATIVE, 0, NULL);
    hear_beside(all.loop, &client, line, sizeof line);
    assert_string_equal(line, "welcome");
    harness_tell(&client, "\n");
    assert_int_equal(harness_wait(&client), 0);
    crowd_close(&all);
}

/* Without root: this user. */

static void the_same_user_is_known_on_tcp(void **state) {
    (void)state;
    static const char *const addresses[] = {"tcp:127.0.0.1:0", "tcp:[::1]:0", "tcp:localhost:0"};
    for (int i = 0; i < 6; i++) {
        const fer_channel_options options = options_of(i % 2 ? FER_WIRE_PLAIN : FER_WIRE_NATIVE);
        fer_credentials who = FER_CREDENTIALS_INIT;
        fer_server *probe = NULL;
        crowd all;
        if (fer_sync_listen(addresses[i / 2], NULL, &probe) == FER_EADDRNOTAVAIL)
            continue;
        fer_server_unref(probe);
        crowd_open(&all, addresses[i / 2], &options);
        fer_channel *client = crowd_join(&all, &options);
        for (int side = 0; side < 2; side++) {
            fer_status status = fer_channel_peer_credentials(side ? client : all.served[0], &who);
            if (status == FER_ENOTSUP)
                continue;
            assert_int_equal(status, FER_OK);
            assert_int_equal(who.uid, geteuid());
            assert_int_equal(who.pid, -1);
            assert_int_equal(who.gid, UINT32_MAX);
        }
        fer_channel_unref(client);
        crowd_close(&all);
    }
}

/* Whoever listens will be the peer. */
static void a_server_that_has_not_accepted_is_known(void **state) {
    (void)state;
    const fer_channel_options options = options_of(FER_WIRE_PLAIN);
    fer_credentials who = FER_CREDENTIALS_INIT;
    fer_server *server = NULL;
    fer_channel *client = NULL;
    char address[64];
    size_t size = sizeof address;
    assert_int_equal(fer_sync_listen("tcp:127.0.0.1:0", &options, &server), FER_OK);
    assert_int_equal(fer_server_address(server, address, &size), FER_OK);
    assert_int_equal(fer_sync_connect(address, &options, 1000, &client), FER_OK);
    fer_status status = fer_channel_peer_credentials(client, &who);
    assert_true(status == FER_OK || status == FER_ENOTSUP);
    if (status == FER_OK)
        assert_int_equal(who.uid, geteuid());
    fer_server_unref(server);
    fer_channel_unref(client);
}

static void a_peer_that_is_gone_is_nobody(void **state) {
    (void)state;
    fer_credentials who = FER_CREDENTIALS_INIT;
    crowd all;
    crowd_open(&all, "tcp:127.0.0.1:0", NULL);
    raw_close(raw_connect_tcp(all.address));
    crowd_await_failures(&all, 1);
    if (all.failure != FER_ECONNRESET) {
        assert_int_equal(all.failure, FER_EACCES);
        assert_non_null(strstr(all.detail, "nobody can tell who it was"));
    }
    /* Nor is one that ended with a reset. */
    const struct linger at_once = {1, 0};
    int fd = raw_connect_tcp(all.address);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    raw_close(fd);
    crowd_await_failures(&all, 2);
    assert_true(all.failure == FER_EACCES || all.failure == FER_ECONNRESET);
    fer_channel *client = crowd_join(&all, NULL);
    assert_int_equal(fer_channel_abort(client), FER_OK);
    fer_channel_unref(client);
    assert_int_equal(fer_loop_step(all.loop, 0), FER_OK);
    fer_status status = fer_channel_peer_credentials(all.served[0], &who);
    assert_true(status == FER_EACCES || status == FER_ENOTSUP);
    crowd_close(&all);
}

static void credentials_are_not_there_before_and_after(void **state) {
    (void)state;
    fer_loop *loop = NULL;
    fer_channel *client = NULL;
    fer_credentials who = FER_CREDENTIALS_INIT;
    noted connected = {0};
    assert_int_equal(fer_loop_new(&loop), FER_OK);
    assert_int_equal(
        fer_channel_connect(loop, address_of("nobody"), NULL, note_connected, &connected, &client),
        FER_OK);
    assert_int_equal(fer_channel_peer_credentials(client, &who), FER_ENOTCONN);
    who.struct_size = 1;
    assert_int_equal(fer_channel_peer_credentials(client, &who), FER_EINVAL);
    who.struct_size = sizeof who;
    assert_int_equal(fer_channel_abort(client), FER_OK);
    assert_int_equal(fer_channel_peer_credentials(client, &who), FER_ECLOSED);
    fer_channel_unref(client);
    end_loop(loop);
    assert_int_equal(connected.status, FER_ECANCELED);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(strangers_are_not_served),
        HARNESS_TEST(who_decides_may_serve_strangers),
        HARNESS_TEST(a_blocking_server_keeps_strangers_away),
        HARNESS_TEST(a_decision_that_fails),
        HARNESS_TEST(a_server_of_another_user_on_tcp_is_not_believed),
        HARNESS_TEST(strangers_do_not_believe_each_other),
        HARNESS_TEST(the_same_user_is_known_on_tcp),
        HARNESS_TEST(a_server_that_has_not_accepted_is_known),
        HARNESS_TEST(a_peer_that_is_gone_is_nobody),
        HARNESS_TEST(credentials_are_not_there_before_and_after),
    };
    return HARNESS_MAIN("access", tests, helpers, argc, argv);
}
