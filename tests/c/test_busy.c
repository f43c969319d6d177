/* When it pays to look for an answer: what a channel learns from the times that answers take. */
#include "busy.h"
#include "harness.h"

enum { WINDOW = 50000, IN_TIME = WINDOW, LATE = WINDOW + 1, QUICK = WINDOW / 10 };
enum { SOON = WINDOW * FER__BUSY_SOON, NOT_SOON = SOON + 1 };

/* A question now, and its answer so many nanoseconds later. */
static void answer_after(fer__busy *busy, int64_t ns) {
    static int64_t now = 1;
    fer__busy_ask(busy, now, WINDOW);
    now += ns;
    fer__busy_answer(busy, now);
    assert_int_equal(busy->asked_ns, 0);
}

static void answer(fer__busy *busy, int64_t ns, size_t times) {
    for (size_t i = 0; i < times; i++)
        answer_after(busy, ns);
}

/* How many answers of this kind turn it off. */
static size_t until_off(fer__busy *busy, int64_t ns) {
    size_t n = 0;
    for (; fer__busy_is_on(busy); n++) {
        assert_true(n <= FER__BUSY_MOST_SCORE);
        answer_after(busy, ns);
    }
    return n;
}

/* And how many that come soon turn it on. */
static size_t until_on(fer__busy *busy, int64_t ns) {
    size_t n = 0;
    for (; !fer__busy_is_on(busy); n++) {
        assert_true(n <= FER__BUSY_MOST_EVIDENCE);
        answer_after(busy, ns);
    }
    return n;
}

static void answers_that_come_soon_turn_it_on(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    assert_false(fer__busy_is_on(&busy));
    /* Without a question there is no answer. */
    for (int i = 0; i < 2 * FER__BUSY_EVIDENCE; i++)
        fer__busy_answer(&busy, 1);
    assert_false(fer__busy_is_on(&busy));
    answer(&busy, SOON, FER__BUSY_EVIDENCE - 1);
    assert_false(fer__busy_is_on(&busy));
    answer(&busy, SOON, 1);
    assert_true(fer__busy_is_on(&busy));
}

static void they_must_come_in_a_row(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    for (int i = 0; i < 100; i++) {
        answer(&busy, SOON, FER__BUSY_EVIDENCE - 1);
        if (i % 2 == 0)
            answer(&busy, NOT_SOON, 1);
        else
            fer__busy_spoiled(&busy);
        assert_false(fer__busy_is_on(&busy));
    }
    assert_int_equal(until_on(&busy, SOON), FER__BUSY_EVIDENCE);
}

static void late_answers_turn_it_off(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    until_on(&busy, SOON);
    assert_int_equal(until_off(&busy, LATE), FER__BUSY_SCORE / 2);
    /* When it has done well for a while, it bears some more. */
    until_on(&busy, SOON);
    answer(&busy, IN_TIME, FER__BUSY_MOST_SCORE);
    assert_int_equal(until_off(&busy, LATE), FER__BUSY_MOST_SCORE / 2);
}

static void one_late_answer_in_three_is_the_most_that_it_bears(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    until_on(&busy, SOON);
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

static void judge_each_time(fer__busy *busy, uint32_t *switches, uint32_t since, size_t times) {
    for (size_t i = 0; i < times; i++) {
        while (!fer__busy_is_due(busy))
            answer_after(busy, QUICK);
        *switches += since;
        fer__busy_judge(busy, *switches);
        answer_after(busy, QUICK);
    }
}

/* Both on one processor, for one: who looks keeps the other from answering, until the kernel switches to it. */
static void who_is_interrupted_again_and_again_does_not_look(void **state) {
    (void)state;
    fer__busy busy;
    /* It begins anywhere, and may overflow. */
    uint32_t switches = UINT32_MAX - FER__BUSY_SWITCHES;
    fer__busy_init(&busy);
    assert_false(fer__busy_is_due(&busy));
    until_on(&busy, SOON);
    assert_true(fer__busy_is_due(&busy));
    judge_each_time(&busy, &switches, FER__BUSY_SWITCHES, 5);
    assert_true(fer__busy_is_on(&busy));
    answer(&busy, QUICK, FER__BUSY_JUDGED - 2);
    assert_false(fer__busy_is_due(&busy));
    answer(&busy, QUICK, 1);
    assert_true(fer__busy_is_due(&busy));
    fer__busy_judge(&busy, switches + FER__BUSY_SWITCHES + 1);
    assert_false(fer__busy_is_on(&busy));
    assert_false(fer__busy_is_due(&busy));
    /* What was before it is turned on again does not count. */
    assert_int_equal(until_on(&busy, SOON), FER__BUSY_EVIDENCE * 2);
    switches += 1000000;
    fer__busy_judge(&busy, switches);
    assert_true(fer__busy_is_on(&busy));
}

static void each_time_in_vain_more_evidence_is_asked_for(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    size_t least = FER__BUSY_EVIDENCE;
    uint32_t switches = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(until_on(&busy, SOON), least);
        until_off(&busy, LATE);
        least = least * 2 < FER__BUSY_MOST_EVIDENCE ? least * 2 : FER__BUSY_MOST_EVIDENCE;
    }
    assert_int_equal(least, FER__BUSY_MOST_EVIDENCE);
    /* Not quite as good as proven. The first time only tells where to count from. */
    until_on(&busy, SOON);
    judge_each_time(&busy, &switches, 0, FER__BUSY_PROVEN);
    until_off(&busy, LATE);
    assert_int_equal(until_on(&busy, SOON), FER__BUSY_MOST_EVIDENCE);
    judge_each_time(&busy, &switches, 0, FER__BUSY_PROVEN + 1);
    until_off(&busy, LATE);
    assert_int_equal(until_on(&busy, SOON), FER__BUSY_EVIDENCE * 2);
}

static void what_is_no_answer_does_not_turn_it_off(void **state) {
    (void)state;
    fer__busy busy;
    fer__busy_init(&busy);
    until_on(&busy, SOON);
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
        HARNESS_TEST(who_is_interrupted_again_and_again_does_not_look),
        HARNESS_TEST(each_time_in_vain_more_evidence_is_asked_for),
        HARNESS_TEST(what_is_no_answer_does_not_turn_it_off),
    };
    return HARNESS_MAIN("busy", tests, NULL, argc, argv);
}
