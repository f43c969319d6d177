/* When it pays to look for an answer: what a channel learns from the times that answers take. */
#include "busy.h"
#include "harness.h"

enum { WINDOW = 50000, IN_TIME = WINDOW, LATE = WINDOW + 1 };
enum { SOON = WINDOW * FER__BUSY_SOON, NOT_SOON = SOON + 1 };

static void answer(fer__busy *busy, int64_t ns, size_t times) {
    for (size_t i = 0; i < times; i++)
        fer__busy_answered(busy, ns);
}

/* How many late answers turn it off. */
static size_t late_until_off(fer__busy *busy) {
    size_t n = 0;
    for (; fer__busy_is_on(busy); n++) {
        assert_true(n <= FER__BUSY_MOST_SCORE);
        fer__busy_answered(busy, LATE);
    }
    return n;
}

/* How many answers that come soon turn it on. */
static size_t soon_until_on(fer__busy *busy) {
    size_t n = 0;
    for (; !fer__busy_is_on(busy); n++) {
        assert_true(n <= FER__BUSY_MOST_EVIDENCE);
        fer__busy_answered(busy, SOON);
    }
    return n;
}

static void answers_that_come_soon_turn_it_on(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    assert_false(fer__busy_is_on(&busy));
    assert_int_equal(busy.asked_ns, 0);
    answer(&busy, SOON, FER__BUSY_EVIDENCE - 1);
    assert_false(fer__busy_is_on(&busy));
    answer(&busy, SOON, 1);
    assert_true(fer__busy_is_on(&busy));
}

static void they_must_come_in_a_row(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    for (int i = 0; i < 100; i++) {
        answer(&busy, SOON, FER__BUSY_EVIDENCE - 1);
        if (i % 2 == 0)
            answer(&busy, NOT_SOON, 1);
        else
            fer__busy_spoiled(&busy);
        assert_false(fer__busy_is_on(&busy));
    }
    assert_int_equal(soon_until_on(&busy), FER__BUSY_EVIDENCE);
}

static void late_answers_turn_it_off(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    soon_until_on(&busy);
    assert_int_equal(late_until_off(&busy), FER__BUSY_SCORE / 2);
    /* As long as it had done well for a while, it takes some more. */
    soon_until_on(&busy);
    answer(&busy, IN_TIME, FER__BUSY_MOST_SCORE);
    assert_int_equal(late_until_off(&busy), FER__BUSY_MOST_SCORE / 2);
}

static void one_late_answer_in_three_is_the_most_that_it_bears(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    soon_until_on(&busy);
    for (int i = 0; i < 1000; i++) {
        answer(&busy, IN_TIME, 2);
        answer(&busy, LATE, 1);
    }
    assert_true(fer__busy_is_on(&busy));
    for (int i = 0; i < FER__BUSY_MOST_SCORE && fer__busy_is_on(&busy); i++) {
        answer(&busy, IN_TIME, 1);
        answer(&busy, LATE, 1);
    }
    assert_false(fer__busy_is_on(&busy));
}

static void each_time_in_vain_more_evidence_is_asked_for(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    size_t least = FER__BUSY_EVIDENCE;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(soon_until_on(&busy), least);
        late_until_off(&busy);
        least = least * 2 < FER__BUSY_MOST_EVIDENCE ? least * 2 : FER__BUSY_MOST_EVIDENCE;
    }
    assert_int_equal(least, FER__BUSY_MOST_EVIDENCE);
    /* Not quite as good as proven. */
    soon_until_on(&busy);
    answer(&busy, IN_TIME, FER__BUSY_PROVEN - 1);
    late_until_off(&busy);
    assert_int_equal(soon_until_on(&busy), FER__BUSY_MOST_EVIDENCE);
    answer(&busy, IN_TIME, FER__BUSY_PROVEN);
    late_until_off(&busy);
    assert_int_equal(soon_until_on(&busy), FER__BUSY_EVIDENCE * 2);
}

static void a_crowd_turns_it_off_at_once(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    fer__busy_crowded(&busy);
    assert_int_equal(soon_until_on(&busy), FER__BUSY_EVIDENCE);
    answer(&busy, IN_TIME, FER__BUSY_MOST_SCORE);
    fer__busy_crowded(&busy);
    assert_false(fer__busy_is_on(&busy));
    assert_int_equal(soon_until_on(&busy), FER__BUSY_EVIDENCE * 8);
    for (int i = 0; i < 20; i++) {
        fer__busy_crowded(&busy);
        soon_until_on(&busy);
    }
    fer__busy_crowded(&busy);
    assert_int_equal(soon_until_on(&busy), FER__BUSY_MOST_EVIDENCE);
}

static void what_is_no_answer_does_not_turn_it_off(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy, WINDOW);
    soon_until_on(&busy);
    for (int i = 0; i < 100; i++)
        fer__busy_spoiled(&busy);
    assert_true(fer__busy_is_on(&busy));
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        HARNESS_TEST(answers_that_come_soon_turn_it_on),
        HARNESS_TEST(they_must_come_in_a_row),
        HARNESS_TEST(late_answers_turn_it_off),
        HARNESS_TEST(one_late_answer_in_three_is_the_most_that_it_bears),
        HARNESS_TEST(each_time_in_vain_more_evidence_is_asked_for),
        HARNESS_TEST(a_crowd_turns_it_off_at_once),
        HARNESS_TEST(what_is_no_answer_does_not_turn_it_off),
    };
    return HARNESS_MAIN("busy", tests, NULL, argc, argv);
}
