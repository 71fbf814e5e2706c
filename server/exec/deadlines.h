/* deadlines.h - moments that are waited for, the earliest first: a binary heap, of one thread. */
#ifndef KEVY_SERVER_EXEC_DEADLINES_H
#define KEVY_SERVER_EXEC_DEADLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Part of what waits. */
struct deadline {
    uint64_t at_us; /* monotonic */
    size_t place;   /* in the heap, from 1 on; 0: in none */
};

/* Zeroed: there is none. */
struct deadlines {
    struct deadline **heap; /* malloc'd; heap[0] is not used */
    size_t count, capacity; /* places in use, and those that there are, heap[0] not counted */
};

/* False without memory. */
bool deadlines_add(struct deadlines *deadlines, struct deadline *deadline)
    __attribute__((warn_unused_result));
/* Nothing if it is in no heap. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);
/* The earliest; NULL: there is none. */
static inline struct deadline *deadlines_first(const struct deadlines *deadlines) {
    return deadlines->count ? deadlines->heap[1] : NULL;
}
/* None may be in it. */
void deadlines_close(struct deadlines *deadlines);

#endif
