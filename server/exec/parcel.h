/* parcel.h - a reply that one thread writes and another sends: to a client that waited, by whoever served it.
 *
 * Small parts are copied, blocks of large values are held by reference and sent from where they lie. What it takes for a
 * reply of the usual size is there before the client's wait is ended, so that nothing is
 * popped that could not be told. */
#ifndef KEVY_SERVER_EXEC_PARCEL_H
#define KEVY_SERVER_EXEC_PARCEL_H

#include "protocol/reply.h"
#include "store/memory/block.h"

/* Bytes that are sent from a block, behind so many of those that were copied. */
struct parcel_part {
    size_t at;
    struct bytes bytes;
    struct block *block;
};

struct parcel {
    struct reply reply; /* what is written to; first, so that its sink finds the parcel */
    char *copied;       /* malloc'd */
    size_t capacity;
    struct parcel_part *parts; /* malloc'd, but for the first */
    unsigned count, parts_capacity;
    struct parcel_part first;
};

/* An empty one, with room for `room` bytes that are copied and one block. False without memory. It may be moved, until
 * something is written to it. */
bool parcel_open(struct parcel *parcel, uint8_t resp, size_t room) __attribute__((warn_unused_result));
/* Writes it all to another reply, which fails if this one has; it is empty then. */
void parcel_send(struct parcel *parcel, struct reply *reply);
/* Frees it, and what it holds. Nothing if it is zeroed. */
void parcel_close(struct parcel *parcel);

#endif
