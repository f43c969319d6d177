#include "busy.h"

enum { LATE = 2 };

/* How much more evidence is asked for. */
enum { AFTER_LATE = 2, AFTER_CROWD = 8 };

void fer__busy_init(fer__busy *busy, uint32_t window_ns) {
    busy->asked_ns = 0;
    busy->window_ns = window_ns;
    busy->sent = 0;
    busy->evidence = 0;
    busy->needed = FER__BUSY_EVIDENCE;
    busy->score = 0;
    busy->heard = 0;
}

static void turn_off(fer__busy *busy, unsigned times) {
    unsigned needed = busy->needed * times;
    busy->needed = (uint16_t)(needed < FER__BUSY_MOST_EVIDENCE ? needed : FER__BUSY_MOST_EVIDENCE);
    busy->evidence = 0;
    busy->score = 0;
}

static void note_sleeper(fer__busy *busy, int64_t ns) {
    if (ns > (int64_t)busy->window_ns * FER__BUSY_SOON) {
        busy->evidence = 0;
        return;
    }
    busy->evidence++;
    if (busy->evidence < busy->needed)
        return;
    busy->evidence = 0;
    busy->score = FER__BUSY_SCORE;
}

static void note_looker(fer__busy *busy, int64_t ns) {
    if (ns > busy->window_ns) {
        if (busy->score > LATE)
            busy->score -= LATE;
        else
            turn_off(busy, AFTER_LATE);
        return;
    }
    if (busy->score < FER__BUSY_MOST_SCORE)
        busy->score++;
    if (busy->evidence < FER__BUSY_PROVEN)
        busy->evidence++;
    if (busy->evidence == FER__BUSY_PROVEN)
        busy->needed = FER__BUSY_EVIDENCE;
}

void fer__busy_answered(fer__busy *busy, int64_t ns) {
    if (fer__busy_is_on(busy))
        note_looker(busy, ns);
    else
        note_sleeper(busy, ns);
}

void fer__busy_spoiled(fer__busy *busy) {
    if (!fer__busy_is_on(busy))
        busy->evidence = 0;
}

void fer__busy_crowded(fer__busy *busy) {
    if (fer__busy_is_on(busy))
        turn_off(busy, AFTER_CROWD);
}
