/* op.h - what a completion's user_data says: operation, generation and slot; never a pointer.
 *
 *      63      56 55            32 31                               0
 *      +---------+----------------+---------------------------------+
 *      |   op    |   generation   |              slot               |
 *      +---------+----------------+---------------------------------+
 *
 * A slot is reused with the next generation, so a stale completion is recognised and dropped. */
#ifndef KEVY_SERVER_OP_H
#define KEVY_SERVER_OP_H

#include <stdint.h>

enum op {
    OP_NONE,       /* nobody waits for this completion */
    OP_ACCEPT,     /* slot: number of the listener */
    OP_RECEIVE,    /* multishot or single, into a provided buffer */
    OP_READ,       /* straight into a large argument */
    OP_SEND,       /* polls until the socket takes it all */
    OP_SEND_QUICK, /* never waits; completes only if it fell short */
    OP_CANCEL,
    OP_WAKE,      /* a post is waiting, or something is due */
    OP_WAKE_SENT, /* on the sending ring, if it failed; slot: the shard that is to be woken */
};

enum { OP_GENERATION_MASK = 0xffffff };

static inline uint64_t op_pack(enum op op, uint32_t generation, uint32_t slot) {
    return (uint64_t)op << 56 | (uint64_t)(generation & OP_GENERATION_MASK) << 32 | slot;
}
static inline enum op op_of(uint64_t user_data) {
    return (enum op)(user_data >> 56);
}
static inline uint32_t op_generation(uint64_t user_data) {
    return (uint32_t)(user_data >> 32) & OP_GENERATION_MASK;
}
static inline uint32_t op_slot(uint64_t user_data) {
    return (uint32_t)user_data;
}

#endif
