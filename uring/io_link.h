/* io_link.h - lists of sockets, in rings of links: which a socket is on costs it two pointers, and no memory else. */
#ifndef KEVY_URING_IO_LINK_H
#define KEVY_URING_IO_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/assert.h"

/* A link that is zeroed is on no list. A head is its own only neighbour while its list is empty. */
struct io_link {
    struct io_link *next, *prev;
};

static inline void io_link_open(struct io_link *head) {
    head->next = head->prev = head;
}
static inline bool io_link_alone(const struct io_link *head) {
    return head->next == head;
}
static inline bool io_link_in(const struct io_link *link) {
    return link->next;
}
/* At the end. */
static inline void io_link_add(struct io_link *head, struct io_link *link) {
    assert(!link->next);
    debug_assert(head->prev->next == head);
    link->next = head;
    link->prev = head->prev;
    link->prev->next = head->prev = link;
}
static inline void io_link_out(struct io_link *link) {
    debug_assert(link->next->prev == link && link->prev->next == link);
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->next = link->prev = NULL;
}
/* All of `from` goes before what stands at `at`, which may be the head of another list: then to its end. */
static inline void io_link_move(struct io_link *at, struct io_link *from) {
    if (io_link_alone(from)) return;
    struct io_link *first = from->next, *last = from->prev, *before = at->prev;
    first->prev = before, before->next = first;
    last->next = at, at->prev = last;
    io_link_open(from);
}

#endif
