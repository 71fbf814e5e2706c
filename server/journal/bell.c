/* bell.c - a futex that says whether somebody sleeps, and how soundly. */
#include "server/journal/bell.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "protocol/assert.h"

void bell_ring(struct bell *bell) {
    bell_ring_aloud(bell, BELL_LOUDEST);
}

void bell_ring_aloud(struct bell *bell, uint32_t loud) {
    assert(loud > 0 && loud <= BELL_LOUDEST);
    atomic_thread_fence(memory_order_seq_cst);
    uint32_t parked = atomic_load_explicit(&bell->parked, memory_order_relaxed);
    if (!parked || parked > loud) return;
    if (atomic_exchange(&bell->parked, 0))
        syscall(SYS_futex, &bell->parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void bell_park(struct bell *bell) {
    bell_park_for(bell, 1);
}

void bell_park_for(struct bell *bell, uint32_t loud) {
    assert(loud > 0 && loud <= BELL_LOUDEST);
    atomic_store(&bell->parked, loud);
    atomic_thread_fence(memory_order_seq_cst);
}

/* Others only make it 0. */
void bell_sleep(struct bell *bell, int64_t timeout_us) {
    struct timespec limit = {.tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000};
    uint32_t parked = atomic_load_explicit(&bell->parked, memory_order_relaxed);
    if (parked)
        syscall(SYS_futex, &bell->parked, FUTEX_WAIT_PRIVATE, parked, timeout_us < 0 ? NULL : &limit, NULL,
                0);
    bell_leave(bell);
}

void bell_leave(struct bell *bell) {
    atomic_store(&bell->parked, 0);
}
