/* saved.h - a request that is kept, to be run later than it came: what MULTI queues, and what waits for keys.
 *
 * All that was found out about it is kept with it, so that running it (server/exec/nested.h) looks nothing up again: its
 * row, the hashes of its keys and their stripes. Small arguments are copied; a large one that has memory of its own is
 * shared, so that the value which it becomes is never copied. */
#ifndef KEVY_SERVER_EXEC_SAVED_H
#define KEVY_SERVER_EXEC_SAVED_H

#include "server/exec/executor.h"

struct saved {
    const struct command *command;
    struct bytes
        *argv;      /* it, the bytes, hashes and blocks lie in the one allocation that this struct begins */
    uint64_t *hash; /* as in struct call */
    struct block **blocks; /* arguments by reference; the references are this struct's */
    uint32_t argc, block_count;
    struct stripe_set stripes; /* that must be held when it runs */
    size_t size;               /* bytes that it keeps: of the allocation, and of the blocks */
};

/* A copy of this call's request; its stripes are none. NULL without memory, or if it were larger than `room` bytes. */
struct saved *saved_copy(const struct call *call, size_t room);
/* Keeps the request of this call, which is of its executor's batch. NULL without memory, or if it were
 * larger than `room` bytes. */
struct saved *saved_new(const struct call *call, const struct request *request, size_t room);
void saved_free(struct saved *saved);

#endif
