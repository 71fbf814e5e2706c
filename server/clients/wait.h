/* wait.h - who ends the wait of a client that waits for keys.
 *
 * Its time may be over, its connection may end, CLIENT UNBLOCK and CLIENT KILL may name it, and whoever pushes to any of its
 * keys may serve it, all at the same moment and on different threads. One word of the client decides: whoever swaps WAITING
 * for another state ends the wait, and nobody else touches anything of it.
 *
 *                        the client's own shard
 *     WAIT_NONE ------------------------------------> WAIT_WAITING
 *         ^                                               |
 *         |        the same, when it has done with it     v        by compare-and-swap
 *         +---------------------------------- SERVED, TIMED_OUT, REFUSED, KILLED, ENDED
 *
 * tests/models/block.pml is a model of it, and changes with it. */
#ifndef KEVY_SERVER_CLIENTS_WAIT_H
#define KEVY_SERVER_CLIENTS_WAIT_H

#include "server/clients/client.h"

enum wait_state {
    WAIT_NONE,
    WAIT_WAITING,
    WAIT_SERVED,    /* by whoever pushed; a post will come */
    WAIT_TIMED_OUT, /* by CLIENT UNBLOCK, as if its time were over; a post will come */
    WAIT_REFUSED,   /* by CLIENT UNBLOCK, with an error; a post will come */
    WAIT_KILLED, /* by CLIENT KILL: nobody serves it any more, and the end of the connection is posted already */
    WAIT_ENDED, /* by its own shard: its time is over, or its connection has ended */
};

/* From now on it may be served and ended; what belongs to its wait must have been written before. Ordered before what the
 * caller reads next, as CLIENT KILL's mark is ordered before its claim: of the two, one sees the other. */
static inline void wait_open(struct client *client) {
    __atomic_store_n(&client->wait, WAIT_WAITING, __ATOMIC_SEQ_CST);
}
/* True: the caller, and nobody else, ends this wait, and sees all that was written before it began. */
static inline bool wait_claim(struct client *client, enum wait_state state) {
    uint8_t waiting = WAIT_WAITING;
    return __atomic_compare_exchange_n(&client->wait, &waiting, (uint8_t)state, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}
static inline enum wait_state wait_state_of(const struct client *client) {
    return (enum wait_state)__atomic_load_n(&client->wait, __ATOMIC_ACQUIRE);
}
/* Its own shard has done with the wait. */
static inline void wait_close(struct client *client) {
    __atomic_store_n(&client->wait, WAIT_NONE, __ATOMIC_RELEASE);
}

#endif
