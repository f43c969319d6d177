/**
 * When it pays to look for an answer instead of going to sleep.
 *
 * To wake up a process that sleeps takes the kernel longer than all else in a round trip. Who knows that the
 * answer comes at once looks for it a few times instead. This is how a loop knows: no I/O and no clock, only times that
 * it is given. look.h does the looking.
 *
 * What counts are exchanges: on a channel little was heard, little was sent, and then little is heard again, on this one
 * or on another where that is so. The time between the two latter is that of an answer. Answers that come soon, several
 * in a row, turn looking on. When too many are late, or who looks is interrupted again and again, that turns it off, and
 * then more evidence is asked for than before. So it does where both sides share a processor, on which who looks only
 * keeps the other from answering. A stream in one direction has no answers.
 */
#ifndef FER_IMPL_BUSY_H
#define FER_IMPL_BUSY_H

#include <stdint.h>

enum {
    FER__BUSY_MESSAGES = 8,  /**< so many are still a question, or an answer */
    FER__BUSY_BYTES = 16384, /**< and so many bytes an answer */
    FER__BUSY_SOON = 3,      /**< windows: who does not sleep might be answered within one */
    FER__BUSY_EVIDENCE = 8,  /**< answers in a row that turn it on, at first */
    FER__BUSY_MOST_EVIDENCE = 16384, /**< and after it was in vain again and again */
    FER__BUSY_SCORE = 16, /**< what it begins with: an answer in time adds 1, a late one takes 2 */
    FER__BUSY_MOST_SCORE = 32,
    FER__BUSY_JUDGED =
        64, /**< answers after which it is asked how often others had the processor */
    FER__BUSY_SWITCHES = 16, /**< so often at most */
    FER__BUSY_PROVEN = 16    /**< times that this went well, which make up for all before */
};

typedef struct fer__busy {
    int64_t asked_ns; /**< when the last question was sent, if nothing was answered since; else 0 */
    uint32_t window_ns; /**< how long after that to look */
    uint32_t switches;  /**< what it was judged by last */
    uint16_t evidence;  /**< off: answers in a row that came soon. On: times that it went well */
    uint16_t needed;    /**< the evidence that turns it on */
    uint8_t score;      /**< above 0 while it is on */
    uint8_t judged;     /**< answers since it was judged */
    uint8_t counted;    /**< `switches` is known since it was turned on */
} fer__busy;

void fer__busy_init(fer__busy *busy);

/** Whether looking pays, by what is known. */
static inline int fer__busy_is_on(const fer__busy *busy) {
    return busy->score > 0;
}

/** A question was sent at this time, whose answer is worth looking for so long. */
static inline void fer__busy_ask(fer__busy *busy, int64_t now_ns, uint32_t window_ns) {
    busy->asked_ns = now_ns;
    busy->window_ns = window_ns;
}

/** An answer came at this time, if there was a question. */
void fer__busy_answer(fer__busy *busy, int64_t now_ns);

/** Whether it is time to judge it. */
static inline int fer__busy_is_due(const fer__busy *busy) {
    return fer__busy_is_on(busy) && busy->judged == 0;
}

/** Judge it by how often others have taken this thread's processor so far, in all. */
void fer__busy_judge(fer__busy *busy, uint32_t switches);

/** Something else came than an answer to the question. */
void fer__busy_spoiled(fer__busy *busy);

#endif
