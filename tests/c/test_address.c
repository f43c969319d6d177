/* The address parser. */
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "impl/address.h"

struct good {
    const char *text;
    fer__transport transport;
    const char *name;
    const char *second;
    int port;
    int fd;
};

static const struct good good[] = {
    {"pipe:/run/a.sock", FER__TRANSPORT_PIPE_PATH, "/run/a.sock", "", 0, -1},
    {"pipe:/", FER__TRANSPORT_PIPE_PATH, "/", "", 0, -1},
    {"pipe:/with, comma: and space", FER__TRANSPORT_PIPE_PATH, "/with, comma: and space", "", 0,
     -1},
    {"pipe:/\xc3\xa4\xff", FER__TRANSPORT_PIPE_PATH, "/\xc3\xa4\xff", "", 0, -1},
    {"pipe:@x", FER__TRANSPORT_PIPE_ABSTRACT, "x", "", 0, -1},
    {"pipe:@/a/@b", FER__TRANSPORT_PIPE_ABSTRACT, "/a/@b", "", 0, -1},
    {"pipe:a", FER__TRANSPORT_PIPE_NAME, "a", "", 0, -1},
    {"pipe:My_app-1.2", FER__TRANSPORT_PIPE_NAME, "My_app-1.2", "", 0, -1},
    {"pipe:-.", FER__TRANSPORT_PIPE_NAME, "-.", "", 0, -1},
    {"fifo:/a,/b", FER__TRANSPORT_FIFO, "/a", "/b", 0, -1},
    {"tcp:127.0.0.1:0", FER__TRANSPORT_TCP, "127.0.0.1", "", 0, -1},
    {"tcp:0.0.0.0:65535", FER__TRANSPORT_TCP, "0.0.0.0", "", 65535, -1},
    {"tcp:255.255.255.255:80", FER__TRANSPORT_TCP, "255.255.255.255", "", 80, -1},
    {"tcp:localhost:8080", FER__TRANSPORT_TCP, "localhost", "", 8080, -1},
    {"tcp:[::1]:1", FER__TRANSPORT_TCP, "::1", "", 1, -1},
    {"tcp:[::]:1", FER__TRANSPORT_TCP, "::", "", 1, -1},
    {"tcp:[1::]:1", FER__TRANSPORT_TCP, "1::", "", 1, -1},
    {"tcp:[1:2:3:4:5:6:7:8]:1", FER__TRANSPORT_TCP, "1:2:3:4:5:6:7:8", "", 1, -1},
    {"tcp:[1:2:3:4:5:6:7::]:1", FER__TRANSPORT_TCP, "1:2:3:4:5:6:7::", "", 1, -1},
    {"tcp:[FE80::abcd:0]:1", FER__TRANSPORT_TCP, "FE80::abcd:0", "", 1, -1},
    {"tcp:[::ffff:127.0.0.1]:1", FER__TRANSPORT_TCP, "::ffff:127.0.0.1", "", 1, -1},
    {"tcp:[1:2:3:4:5:6:1.2.3.4]:1", FER__TRANSPORT_TCP, "1:2:3:4:5:6:1.2.3.4", "", 1, -1},
    {"fd:0", FER__TRANSPORT_FD, "", "", 0, 0},
    {"fd:2147483647", FER__TRANSPORT_FD, "", "", 0, 2147483647},
};

/* A text, and a word of what is said about it. */
static const struct {
    const char *text;
    const char *word;
} bad[] = {
    {"", "pipe:"},
    {"pipe", "pipe:"},
    {"Pipe:/x", "pipe:"},
    {" pipe:/x", "pipe:"},
    {"unix:/x", "unix:/x"},
    {"/run/a.sock", "pipe:"},
    {"pipe:", "missing"},
    {"pipe:@", "missing"},
    {"pipe:a/b", "slash"},
    {"pipe:./a", "slash"},
    {"pipe:.a", "dot"},
    {"pipe:..", "dot"},
    {"pipe:a b", "byte 2"},
    {"pipe:\xc3\xa4", "byte 1"},
    {"pipe:a\n", "byte 2"},
    {"fifo:/a", "comma"},
    {"fifo:/a,/b,/c", "more than one"},
    {"fifo:a,/b", "first"},
    {"fifo:,/b", "first"},
    {"fifo:/a,b", "second"},
    {"fifo:/a,", "second"},
    {"tcp:", "colon"},
    {"tcp:80", "colon"},
    {"tcp::80", "host"},
    {"tcp:127.0.0.1", "colon"},
    {"tcp:127.0.0.1:", "port"},
    {"tcp:127.0.0.1:65536", "port"},
    {"tcp:127.0.0.1:99999999999999999999", "port"},
    {"tcp:127.0.0.1:-1", "port"},
    {"tcp:127.0.0.1:+1", "port"},
    {"tcp:127.0.0.1: 1", "port"},
    {"tcp:127.0.0.1:080", "port"},
    {"tcp:127.0.0.1:8o", "port"},
    {"tcp:127.0.0:1", "host"},
    {"tcp:127.0.0.1.1:1", "host"},
    {"tcp:127.0.0.256:1", "host"},
    {"tcp:127.0.0.01:1", "host"},
    {"tcp:127..0.1:1", "host"},
    {"tcp:127.0.0.:1", "host"},
    {"tcp:example.org:1", "host"},
    {"tcp:localhosts:1", "host"},
    {"tcp:::1:80", "brackets"},
    {"tcp:[::1:80", "bracket"},
    {"tcp:[::1]", "colon"},
    {"tcp:[::1]80", "colon"},
    {"tcp:[::1]:", "port"},
    {"tcp:[]:80", "IPv6"},
    {"tcp:[:]:80", "IPv6"},
    {"tcp:[:::]:80", "IPv6"},
    {"tcp:[1]:80", "IPv6"},
    {"tcp:[1:]:80", "IPv6"},
    {"tcp:[:1]:80", "IPv6"},
    {"tcp:[::1::]:80", "IPv6"},
    {"tcp:[1:2:3:4:5:6:7]:80", "IPv6"},
    {"tcp:[1:2:3:4:5:6:7:8:9]:80", "IPv6"},
    {"tcp:[1:2:3:4:5:6:7:8::]:80", "IPv6"},
    {"tcp:[12345::]:80", "IPv6"},
    {"tcp:[g::]:80", "IPv6"},
    {"tcp:[::1.2.3]:80", "IPv6"},
    {"tcp:[::1.2.3.4:5]:80", "IPv6"},
    {"tcp:[1.2.3.4]:80", "IPv6"},
    {"tcp:[::1%lo]:80", "IPv6"},
    {"fd:", "descriptor"},
    {"fd:-1", "descriptor"},
    {"fd:01", "descriptor"},
    {"fd:3x", "descriptor"},
    {"fd: 3", "descriptor"},
    {"fd:2147483648", "descriptor"},
    {"fd:99999999999999999999999", "descriptor"},
};

static void assert_span(fer__span span, const char *text) {
    assert_int_equal(span.size, strlen(text));
    if (span.size > 0)
        assert_memory_equal(span.text, text, span.size);
}

static void good_ones_are_taken_apart(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        fer__address address;
        if (fer__address_parse(good[i].text, &address) != FER_OK)
            fail_msg("%s: %s", good[i].text, fer_status_detail());
        assert_int_equal(address.transport, good[i].transport);
        assert_span(address.name, good[i].name);
        assert_span(address.second, good[i].second);
        assert_int_equal(address.port, good[i].port);
        assert_int_equal(address.fd, good[i].fd);
    }
}

static void bad_ones_are_explained(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fer__address address;
        fer_status status = fer__address_parse(bad[i].text, &address);
        if (status != FER_EADDRESS || strstr(fer_status_detail(), bad[i].word) == NULL)
            fail_msg("\"%s\" gives %s: %s", bad[i].text, fer_status_name(status),
                     fer_status_detail());
    }
}

static void null_is_invalid(void **state) {
    (void)state;
    fer__address address;
    assert_int_equal(fer__address_parse(NULL, &address), FER_EINVAL);
    assert_int_equal(fer__address_parse("pipe:a", NULL), FER_EINVAL);
}

static void short_names_have_a_limit(void **state) {
    (void)state;
    char text[128];
    fer__address address;
    snprintf(text, sizeof text, "pipe:%064d", 0);
    assert_int_equal(fer__address_parse(text, &address), FER_OK);
    snprintf(text, sizeof text, "pipe:%065d", 0);
    assert_int_equal(fer__address_parse(text, &address), FER_EADDRESS);
    assert_non_null(strstr(fer_status_detail(), "65"));
}

static void begin(char *text, const char *start) {
    for (; *start != '\0'; start++)
        *text++ = *start;
}

static void paths_have_none(void **state) {
    (void)state;
    static char text[70000];
    fer__address address;
    memset(text, 'x', sizeof text - 1);
    begin(text, "pipe:/");
    assert_int_equal(fer__address_parse(text, &address), FER_OK);
    assert_int_equal(address.name.size, sizeof text - 1 - 5);
    /* A reason that quotes a long text is still a reason. */
    begin(text, "fifo:/");
    assert_int_equal(fer__address_parse(text, &address), FER_EADDRESS);
    assert_non_null(strstr(fer_status_detail(), "comma"));
    begin(text, "tcp:/x");
    assert_int_equal(fer__address_parse(text, &address), FER_EADDRESS);
    begin(text, "nope:/");
    assert_int_equal(fer__address_parse(text, &address), FER_EADDRESS);
    assert_non_null(strstr(fer_status_detail(), "fd:"));
}

/* Whatever the text, the parser ends, stays inside of it, and says yes or explains. */
static void any_text_gives_an_answer(void **state) {
    (void)state;
    static const char alphabet[] = "pipe:tcpfifofd@/[]:.,0123456789abcdef%- \x01\xff";
    uint32_t seed = 12345;
    for (int round = 0; round < 200000; round++) {
        char text[24];
        size_t size = 0;
        static const char *const starts[] = {"", "pipe:", "fifo:/", "tcp:", "tcp:[", "fd:"};
        seed = seed * 1664525u + 1013904223u;
        const char *start = starts[(seed >> 16) % 6];
        size = strlen(start);
        memcpy(text, start, size);
        for (size_t more = (seed >> 24) % 16; more > 0; more--) {
            seed = seed * 1664525u + 1013904223u;
            text[size++] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
        }
        text[size] = '\0';
        fer__address address;
        fer_status status = fer__address_parse(text, &address);
        if (status == FER_OK) {
            assert_true(address.name.size <= size);
            assert_true(address.name.size == 0 ||
                        (address.name.text >= text &&
                         address.name.text + address.name.size <= text + size));
        } else {
            assert_int_equal(status, FER_EADDRESS);
            assert_true(strlen(fer_status_detail()) > 10);
        }
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(good_ones_are_taken_apart), HARNESS_TEST(bad_ones_are_explained),
        HARNESS_TEST(null_is_invalid),           HARNESS_TEST(short_names_have_a_limit),
        HARNESS_TEST(paths_have_none),           HARNESS_TEST(any_text_gives_an_answer),
    };
    return HARNESS_MAIN("address", tests, NULL, argc, argv);
}
