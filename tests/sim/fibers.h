/* fibers.h - several flows of control in one thread: who runs next is the scheduler's dice's to say, so that a seed makes the same run
 * again.
 *
 * A fiber runs until it yields. It yields where the code under test waits for a lock (the futex of server/stripes goes by way of
 * syscall(), which fibers.c stands in for, as for pthread_mutex_lock), at each call of a simulated disk, and wherever else a test has it yield. The record of locks
 * (server/lock_order.h), which is one a thread, is not kept meanwhile. CMakeLists.txt links with --wrap of these. */
#ifndef KEVY_TESTS_FIBERS_H
#define KEVY_TESTS_FIBERS_H

#include <stdbool.h>

/* A fiber that runs when fibers_run is called. At most FIBERS_MAX. */
enum { FIBERS_MAX = 8 };
void fibers_add(void (*run)(void *context), void *context);

/* Runs all until all have returned; `step`, where there is one, is called before each turn of one of them. */
void fibers_run(unsigned long long *dice, void (*step)(void *context), void *context);

/* Others run. Outside of fibers_run: nothing happens. */
void fibers_yield(void);
/* The same, for who calls with a context. */
static inline void fibers_yield_in(void *context) {
    (void)context;
    fibers_yield();
}

/* Gives memory back that stacks have. */
void fibers_close(void);

#endif
