/* bell.c - a futex of two states. */
#include "server/journal/bell.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void bell_ring(struct bell *bell) {
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(&bell->parked, memory_order_relaxed)) return;
    if (atomic_exchange(&bell->parked, 0))
        syscall(SYS_futex, &bell->parked, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void bell_park(struct bell *bell) {
    atomic_store(&bell->parked, 1);
    atomic_thread_fence(memory_order_seq_cst);
}

void bell_sleep(struct bell *bell, int64_t timeout_ms) {
    struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    syscall(SYS_futex, &bell->parked, FUTEX_WAIT_PRIVATE, 1, timeout_ms < 0 ? NULL : &limit, NULL, 0);
    bell_leave(bell);
}

void bell_leave(struct bell *bell) {
    atomic_store(&bell->parked, 0);
}
