/* slots.h - where a shard's connections live: pages of slots, so that a slot's address never changes.
 *
 * A slot is used again, under the next generation. Both together are the name of one connection, for as long as an event
 * for it may come:
 *
 *      55            32 31                               0
 *      +----------------+---------------------------------+
 *      |   generation   |              slot               |
 *      +----------------+---------------------------------+ */
#ifndef KEVY_SERVER_LOOP_SLOTS_H
#define KEVY_SERVER_LOOP_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

struct conn;

struct slots {
    struct conn **pages;
    unsigned page_count;
    uint32_t free; /* head of the list of free slots, or SLOT_NONE */
};

enum { SLOT_NONE = UINT32_MAX, SLOT_GENERATION_MASK = 0xffffff };

void slots_open(struct slots *slots);
/* Frees the memory of all, whatever they hold. */
void slots_close(struct slots *slots);

/* A slot for a new connection, zeroed but for slot and generation; NULL without memory. */
struct conn *slots_take(struct slots *slots);
/* The connection has ended. */
void slots_give(struct slots *slots, struct conn *conn);

/* Its name, of 56 bits; the connection that is called so, NULL if it is no longer there. */
uint64_t slots_name(const struct conn *conn);
struct conn *slots_find(const struct slots *slots, uint64_t name);
/* The connection that a post means; NULL if it is no longer there, or is being closed. */
struct conn *slots_find_client(const struct slots *slots, uint32_t slot, uint64_t client_id);
/* Calls `each` for every open connection. */
void slots_each(const struct slots *slots, void (*each)(struct conn *conn));
/* The same for those of one page, 64 at most; pages count from 0. False: there are none behind it. */
bool slots_each_of(const struct slots *slots, unsigned page, void (*each)(struct conn *conn));

#endif
