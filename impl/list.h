/**
 * Doubly linked lists whose links live in the members.
 */
#ifndef FER_IMPL_LIST_H
#define FER_IMPL_LIST_H

#include <stddef.h>

/** A link in a list, or the head of one. */
typedef struct fer__link {
    struct fer__link *prev;
    struct fer__link *next;
} fer__link;

/** From a link to the structure that it is the member `field` of. */
#define FER__CONTAINER(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void fer__link_init(fer__link *link) {
    link->prev = link;
    link->next = link;
}

/** Whether a head has no members, or a link is in no list. */
static inline int fer__link_alone(const fer__link *link) {
    return link->next == link;
}

/** Put `link` behind `after`. Behind the head's prev is the end of the list. */
static inline void fer__link_insert(fer__link *link, fer__link *after) {
    link->prev = after;
    link->next = after->next;
    after->next->prev = link;
    after->next = link;
}

static inline void fer__link_append(fer__link *head, fer__link *link) {
    fer__link_insert(link, head->prev);
}

/** Take a link out of its list. One that is in no list stays so. */
static inline void fer__link_remove(fer__link *link) {
    link->prev->next = link->next;
    link->next->prev = link->prev;
    fer__link_init(link);
}

/** Move all members of `from` to the empty list `to`. */
static inline void fer__link_move_all(fer__link *from, fer__link *to) {
    fer__link_init(to);
    if (fer__link_alone(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    fer__link_init(from);
}

#endif
