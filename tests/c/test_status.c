/* Statuses: the list, errno both ways, and the detail text. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "impl/status.h"

struct entry {
    fer_status status;
    int value;
    const char *name;
    const char *text;
};

#define ENTRY(name, value, text) {name, value, #name, text},
static const struct entry entries[] = {FER_STATUS_MAP(ENTRY)};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

static void values_are_fixed(void **state) {
    (void)state;
    assert_int_equal(FER_OK, 0);
    assert_int_equal(sizeof(fer_status), 4);
    for (int i = 0; i < ENTRIES; i++) {
        assert_int_equal(entries[i].status, entries[i].value);
        /* 0, -1, -2 and so on without a gap; FER_EUNKNOWN is apart. */
        if (entries[i].status == FER_EUNKNOWN)
            assert_int_equal(i, ENTRIES - 1);
        else
            assert_int_equal(entries[i].value, -i);
    }
}

static void every_status_has_a_name_and_a_text(void **state) {
    (void)state;
    for (int i = 0; i < ENTRIES; i++) {
        assert_string_equal(fer_status_name(entries[i].status), entries[i].name);
        assert_string_equal(fer_status_text(entries[i].status), entries[i].text);
        assert_true(strlen(entries[i].text) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(entries[i].text, entries[j].text);
    }
}

static void other_numbers_are_unknown(void **state) {
    (void)state;
    static const int others[] = {1, 99, -98, -100, -1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_string_equal(fer_status_name((fer_status)others[i]), "FER_EUNKNOWN");
        assert_string_equal(fer_status_text((fer_status)others[i]), "unknown error");
        assert_int_equal(fer_status_errno((fer_status)others[i]), EIO);
    }
}

static void every_error_has_a_number(void **state) {
    (void)state;
    for (int i = 0; i < ENTRIES; i++) {
        int number = fer_status_errno(entries[i].status);
        if (entries[i].status == FER_OK || entries[i].status == FER_EOF)
            assert_int_equal(number, 0);
        else
            assert_true(number > 0);
    }
    assert_int_equal(fer_status_errno(FER_EKIND), EINVAL);
    assert_int_equal(fer_status_errno(FER_EADDRESS), EINVAL);
    assert_int_equal(fer_status_errno(FER_ECLOSED), EBADF);
    assert_int_equal(fer_status_errno(FER_ETHREAD), EPERM);
    assert_int_equal(fer_status_errno(FER_EFORK), EPERM);
    assert_int_equal(fer_status_errno(FER_ECALLBACK), ECANCELED);
    assert_int_equal(fer_status_errno(FER_EVERSION), EPROTO);
    assert_int_equal(fer_status_errno(FER_EUNKNOWN), EIO);
}

static void numbers_come_back(void **state) {
    (void)state;
    /* What a status gives must lead back to it, or to the plain status of that number. */
    for (int i = 0; i < ENTRIES; i++) {
        int number = fer_status_errno(entries[i].status);
        if (number == 0)
            continue;
        fer_status back = fer__status_from_errno(number);
        assert_int_equal(fer_status_errno(back), number);
    }
    assert_int_equal(fer__status_from_errno(ECONNREFUSED), FER_ECONNREFUSED);
    assert_int_equal(fer__status_from_errno(EPERM), FER_EPERM);
    assert_int_equal(fer__status_from_errno(EINVAL), FER_EINVAL);
    assert_int_equal(fer__status_from_errno(EBADF), FER_EBADF);
    assert_int_equal(fer__status_from_errno(EPROTO), FER_EPROTO);
    assert_int_equal(fer__status_from_errno(EIO), FER_EIO);
    assert_int_equal(fer__status_from_errno(EWOULDBLOCK), FER_EAGAIN);
    assert_int_equal(fer__status_from_errno(EOPNOTSUPP), FER_ENOTSUP);
    assert_int_equal(fer__status_from_errno(ENOTSUP), FER_ENOTSUP);
    assert_int_equal(fer__status_from_errno(EDOM), FER_EUNKNOWN);
    assert_int_equal(fer__status_from_errno(123456), FER_EUNKNOWN);
    assert_int_equal(fer__status_from_errno(0), FER_EUNKNOWN);
}

static void errno_is_left_alone(void **state) {
    (void)state;
    errno = EDOM;
    fer_status_name(FER_EPIPE);
    fer_status_text((fer_status)5);
    fer_status_errno(FER_EPIPE);
    fer_status_detail();
    fer__fail(FER_EPIPE, "%s %d", "text", 5);
    fer__fail_plain(FER_EPIPE);
    fer__status_from_errno(EPIPE);
    assert_int_equal(errno, EDOM);
}

static void the_detail_is_that_of_the_last_failure(void **state) {
    (void)state;
    assert_int_equal(fer__fail(FER_EADDRESS, "%s at %d", "wrong", 7), FER_EADDRESS);
    assert_string_equal(fer_status_detail(), "wrong at 7");
    assert_int_equal(fer__fail(FER_EPIPE, "%s", ""), FER_EPIPE);
    assert_string_equal(fer_status_detail(), "");
    fer__fail(FER_EADDRESS, "once more");
    assert_int_equal(fer__fail_plain(FER_EAGAIN), FER_EAGAIN);
    assert_string_equal(fer_status_detail(), "");
}

static void a_long_detail_is_cut_between_characters(void **state) {
    (void)state;
    char text[600];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    fer__fail(FER_EADDRESS, "%s", text);
    assert_int_equal(strlen(fer_status_detail()), 255);
    assert_memory_equal(fer_status_detail() + 251, "a...", 5);

    /* Four-byte characters, at each of the four offsets. */
    for (size_t offset = 0; offset < 4; offset++) {
        memset(text, 'b', offset);
        for (size_t i = offset; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xf0\x9f\x94\xa9", 5);
        fer__fail(FER_EADDRESS, "%s", text);
        size_t size = strlen(fer_status_detail());
        assert_in_range(size, 252, 255);
        assert_string_equal(fer_status_detail() + size - 3, "...");
        assert_int_equal((size - 3 - offset) % 4, 0);
    }

    text[255] = '\0';
    memset(text, 'c', 255);
    fer__fail(FER_EADDRESS, "%s", text);
    assert_string_equal(fer_status_detail(), text);
}

static void *fail_elsewhere(void *user) {
    char *seen = user;
    snprintf(seen, 64, "%s", fer_status_detail());
    fer__fail(FER_EPIPE, "another thread's");
    return NULL;
}

static void each_thread_has_its_own_detail(void **state) {
    (void)state;
    pthread_t thread;
    char seen[64] = "nothing";
    fer__fail(FER_EPIPE, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(seen, "");
    assert_string_equal(fer_status_detail(), "mine");
}

static void versions(void **state) {
    (void)state;
    char text[32];
    assert_int_equal(fer_version(), FER_VERSION_HEX);
    snprintf(text, sizeof text, "%d.%d.%d", FER_VERSION_MAJOR, FER_VERSION_MINOR,
             FER_VERSION_PATCH);
    assert_string_equal(fer_version_string(), text);
    assert_int_equal(fer_version_check(FER_VERSION_HEX), FER_OK);
    assert_int_equal(fer_version_check(FER_VERSION_MAJOR << 16), FER_OK);
    assert_int_equal(fer_version_check(FER_VERSION_HEX + 1), FER_EVERSION);
    assert_non_null(strstr(fer_status_detail(), text));
    assert_int_equal(fer_version_check((FER_VERSION_MAJOR + 1) << 16), FER_EVERSION);
    assert_int_equal(fer_version_check(UINT32_MAX), FER_EVERSION);
    assert_true(fer_version_uv()[0] >= '1' && fer_version_uv()[0] <= '9');
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(values_are_fixed),
        HARNESS_TEST(every_status_has_a_name_and_a_text),
        HARNESS_TEST(other_numbers_are_unknown),
        HARNESS_TEST(every_error_has_a_number),
        HARNESS_TEST(numbers_come_back),
        HARNESS_TEST(errno_is_left_alone),
        HARNESS_TEST(the_detail_is_that_of_the_last_failure),
        HARNESS_TEST(a_long_detail_is_cut_between_characters),
        HARNESS_TEST(each_thread_has_its_own_detail),
        HARNESS_TEST(versions),
    };
    return HARNESS_MAIN("status", tests, NULL, argc, argv);
}
