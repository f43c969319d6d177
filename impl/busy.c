#include "busy.h"

enum { LATE = 2 };

void fer__busy_init(fer__busy *busy) {
    busy->asked_ns = 0;
    busy->window_ns = 0;
    busy->switches = 0;
    busy->evidence = 0;
    busy->needed = FER__BUSY_EVIDENCE;
    busy->score = 0;
    busy->judged = 0;
    busy->counted = 0;
}

static void turn_on(fer__busy *busy) {
    busy->evidence = 0;
    busy->score = FER__BUSY_SCORE;
    busy->judged = 0;
    busy->counted = 0;
}

static void turn_off(fer__busy *busy) {
    busy->evidence = 0;
    busy->score = 0;
    if (busy->needed < FER__BUSY_MOST_EVIDENCE)
        busy->needed = (uint16_t)(busy->needed * 2u);
}

static void note_sleeper(fer__busy *busy, int64_t ns) {
    if (ns > (int64_t)busy->window_ns * FER__BUSY_SOON) {
        busy->evidence = 0;
        return;
    }
    busy->evidence++;
    if (busy->evidence == busy->needed)
        turn_on(busy);
}

static void note_looker(fer__busy *busy, int64_t ns) {
    busy->judged = (uint8_t)((busy->judged + 1) % FER__BUSY_JUDGED);
    if (ns <= busy->window_ns)
        busy->score = (uint8_t)(busy->score + (busy->score < FER__BUSY_MOST_SCORE));
    else if (busy->score > LATE)
        busy->score = (uint8_t)(busy->score - LATE);
    else
        turn_off(busy);
}

void fer__busy_answer(fer__busy *busy, int64_t now_ns) {
    int64_t ns = now_ns - busy->asked_ns;
    if (busy->asked_ns == 0)
        return;
    busy->asked_ns = 0;
    if (fer__busy_is_on(busy))
        note_looker(busy, ns);
    else
        note_sleeper(busy, ns);
}

void fer__busy_judge(fer__busy *busy, uint32_t switches) {
    uint32_t since = switches - busy->switches;
    int is_first = !busy->counted;
    busy->counted = 1;
    busy->switches = switches;
    if (is_first)
        return;
    if (since > FER__BUSY_SWITCHES) {
        turn_off(busy);
        return;
    }
    if (busy->evidence < FER__BUSY_PROVEN)
        busy->evidence++;
    if (busy->evidence == FER__BUSY_PROVEN)
        busy->needed = FER__BUSY_EVIDENCE;
}

void fer__busy_spoiled(fer__busy *busy) {
    busy->asked_ns = 0;
    if (!fer__busy_is_on(busy))
        busy->evidence = 0;
}
