/* fibers.c - by swapcontext, each with a stack that is used again. */
#include "tests/sim/fibers.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "tests/check.h"

enum { STACK_BYTES = 1 << 20, TURNS_MAX = 1 << 20 };

static struct fiber {
    ucontext_t context;
    char *stack;
    void (*run)(void *context);
    void *argument;
    bool done;
} fibers[FIBERS_MAX];

static unsigned count;
static struct fiber *running; /* NULL: the scheduler */
static ucontext_t scheduler;

static void begin(void) {
    running->run(running->argument);
    running->done = true;
    fibers_yield();
}

void fibers_add(void (*run)(void *context), void *context) {
    CHECK(count < FIBERS_MAX && !running);
    struct fiber *fiber = &fibers[count++];
    if (!fiber->stack) {
        fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(fiber->stack != MAP_FAILED);
    }
    fiber->run = run;
    fiber->argument = context;
    fiber->done = false;
    CHECK(getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, begin, 0);
}

static struct fiber *draw(unsigned long long *dice) {
    unsigned left = 0;
    for (unsigned i = 0; i < count; i++) left += !fibers[i].done;
    if (!left) return NULL;
    unsigned nth = (unsigned)(check_random(dice) >> 33) % left;
    for (unsigned i = 0;; i++)
        if (!fibers[i].done && nth-- == 0) return &fibers[i];
}

void fibers_run(unsigned long long *dice, void (*step)(void *context), void *context) {
    unsigned turns = 0;
    for (;;) {
        struct fiber *next = draw(dice);
        if (!next) break;
        if (step) step(context);
        CHECK(++turns < TURNS_MAX); /* they wait for each other, or for something that nobody does */
        running = next;
        CHECK(swapcontext(&scheduler, &next->context) == 0);
        running = NULL;
    }
    count = 0;
}

void fibers_yield(void) {
    struct fiber *fiber = running;
    if (fiber) CHECK(swapcontext(&fiber->context, &scheduler) == 0);
}

void fibers_close(void) {
    for (unsigned i = 0; i < FIBERS_MAX; i++) {
        if (fibers[i].stack) munmap(fibers[i].stack, STACK_BYTES);
        fibers[i].stack = NULL;
    }
}

/* ---- What stands in for waiting ------------------------------------------------------------------- */

/* Who waits for a lock looks again when others have run. One thread runs them all, so it has no other CPU to wait for. */
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...) {
    CHECK(number == SYS_futex || number == SYS_membarrier);
    if (number == SYS_futex) fibers_yield(); /* there is one thread, and no barrier to pass */
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
    while (pthread_mutex_trylock(mutex)) {
        CHECK(running);
        fibers_yield();
    }
    return 0;
}

void __wrap_lock_order_take(unsigned rank);
void __wrap_lock_order_take(unsigned rank) {
}
void __wrap_lock_order_give(unsigned rank);
void __wrap_lock_order_give(unsigned rank) {
}
bool __wrap_lock_order_holds(unsigned rank);
bool __wrap_lock_order_holds(unsigned rank) {
    return true;
}
