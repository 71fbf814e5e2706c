/* conn_list.h - the lists of a shard that its connections stand on.
 *
 * A list is a ring of links that its head is part of, so whoever stands on one can leave it at once, in the middle of
 * a walk too. A connection has a few links of its own, and each is of the lists that exclude each other: it stands on
 * one of them at a time, or on none. That it does is said by the link itself, and nowhere else:
 *
 *     link      lists                what it waits for
 *     turn      ready | held | waiting
 *                                    its turn to run requests; the end of CLIENT PAUSE; keys
 *     flush     flush | pushed | awaiting
 *                                    its replies to be sent; what it did not ask for to be sent, a slice a turn; that what
 *                                    they show is durable
 *     receive   rearm | closing | leaving
 *                                    a receive to be armed; to be freed; to have come to rest, and to move to another shard
 */
#ifndef KEVY_SERVER_LOOP_CONN_LIST_H
#define KEVY_SERVER_LOOP_CONN_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/assert.h"

struct conn;

/* Both NULL: on no list. */
struct conn_link {
    struct conn_link *next, *prev;
};

struct conn_list {
    struct conn_link head;
    size_t at; /* where in a connection the link lies that this list goes by */
};

/* An empty list; it may not be moved. */
static inline void conn_list_open(struct conn_list *list, size_t at) {
    list->head.next = list->head.prev = &list->head;
    list->at = at;
}

static inline bool conn_list_empty(const struct conn_list *list) {
    return list->head.next == &list->head;
}

/* Is it on any list that goes by this link? */
static inline bool conn_link_in(const struct conn_link *link) {
    return link->next != NULL;
}

/* Takes it off the list that it is on, if it is on one. */
static inline void conn_link_out(struct conn_link *link) {
    if (!link->next) return;
    debug_assert(link->next->prev == link && link->prev->next == link);
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}

/* To the end of a list; it is on none that goes by the same link. */
static inline void conn_list_add(struct conn_list *list, struct conn *conn) {
    struct conn_link *link = (struct conn_link *)(void *)((char *)conn + list->at), *last = list->head.prev;
    assert(!link->next && !link->prev);
    link->next = &list->head;
    link->prev = last;
    last->next = list->head.prev = link;
}

/* The one that has been on it longest; NULL if there is none. */
static inline struct conn *conn_list_first(const struct conn_list *list) {
    return conn_list_empty(list) ? NULL : (struct conn *)(void *)((char *)list->head.next - list->at);
}

/* Moves all that are on a list to another one, which is opened for them; they pass for being on the first. */
static inline void conn_list_take(struct conn_list *taken, struct conn_list *list) {
    *taken = *list;
    if (conn_list_empty(list)) {
        conn_list_open(taken, list->at);
        return;
    }
    taken->head.next->prev = taken->head.prev->next = &taken->head;
    conn_list_open(list, list->at);
}

/* Takes all that are on the list now off it, one by one from the first, and runs each. Whom this puts on it again stays
 * for the next time. */
static inline void conn_list_run(struct conn_list *list, void (*run)(struct conn *conn)) {
    struct conn_list taken;
    conn_list_take(&taken, list);
    for (struct conn *conn; (conn = conn_list_first(&taken));) {
        conn_link_out(taken.head.next);
        run(conn);
    }
}

#endif
