/* stripes.c - making stripes and locking sets of them.
 *
 * A lock is taken by an exchange and given back by a plain store, for a second exchange would be a fiftieth of what a
 * request costs. A short spin stands in front of sleeping: a holder keeps a lock for well under a microsecond, unless its
 * CPU was taken from it, and then only sleeping helps. `waited` says that somebody may sleep:
 *
 *      who gives back:   lock = 0;  is it waited for?  -> it is not any more; wake one
 *      who waits:        waited = 1;  all CPUs pass a barrier;  is the lock free?  no -> sleep while waited is 1
 *
 * A CPU may look at `waited` before others see its store to `lock`, for nothing keeps a load behind a store. So who waits
 * makes all CPUs that run this process pass a barrier (membarrier(2)) in between: whoever looked before it has stored
 * before it too, and the lock is found free; whoever looks behind it finds that somebody waits. Where there is no such
 * call a sleep is short instead. Who was woken says again that the lock is waited for, before he tries it: others may
 * sleep, of whom nobody knows any more. tests/models/lock.pml is this protocol. */
#include "server/stripes/stripes.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "server/clients/post.h"
#include "server/config/config.h"
#include "server/stripes/tracking.h"
#include "store/memory/memory.h"

struct stripes stripes;
_Atomic int stripes_active_expire = 1;

enum {
    LOCK_FREE,
    LOCK_HELD,
    LOCK_SPINS = 64,
    LOCK_SLEEP_NS = 100 * 1000, /* at most, where CPUs cannot be made to pass a barrier */
};

static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static bool stripe_try_lock(struct stripe *stripe) {
    uint32_t free = LOCK_FREE;
    return !stripes.locking || __atomic_compare_exchange_n(&stripe->lock, &free, LOCK_HELD, false,
                                                           __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void stripe_lock_slow(struct stripe *stripe) {
    for (int i = 0; i < LOCK_SPINS; i++) {
        cpu_relax();
        if (__atomic_load_n(&stripe->lock, __ATOMIC_RELAXED) == LOCK_FREE && stripe_try_lock(stripe)) return;
    }
    for (;;) {
        __atomic_store_n(&stripe->waited, 1, __ATOMIC_SEQ_CST);
        bool passed = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
        if (stripe_try_lock(stripe)) return;
        struct timespec most = {.tv_nsec = LOCK_SLEEP_NS};
        syscall(SYS_futex, &stripe->waited, FUTEX_WAIT_PRIVATE, 1, passed ? NULL : &most, NULL, 0);
    }
}

void stripe_unlock_slow(struct stripe *stripe) {
    __atomic_store_n(&stripe->waited, 0, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &stripe->waited, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void stripe_set_add_all(struct stripe_set *set) {
    for (unsigned i = 0; i < stripes.count; i++) stripe_set_add(set, i);
}

/* Each lock waits for the one before; their lines can come together. */
static void prefetch_locks(const struct stripe_set *set) {
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++)
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1)
            memory_prefetch_write(&stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)].lock);
}

/* Every lock of a set is taken by ascending index: that is what keeps two commands from waiting for each other. */
void stripe_set_lock(const struct stripe_set *set) {
    if (!stripes.locking) return;
    prefetch_locks(set);
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++)
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1)
            stripe_lock(&stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)]);
}

void stripe_set_unlock(const struct stripe_set *set) {
    if (!stripes.locking) return;
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++)
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1)
            stripe_unlock(&stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)]);
}

void stripe_announce(struct stripe *stripe, struct wakes *wakes, int64_t now_ms) {
    int64_t due_ms = keyspace_take_news(stripe->keyspace, now_ms + TIDY_DELAY_MS);
    assert(!keyspace_news(stripe->keyspace));
    if (due_ms <= DUE_ALL)
        due_ms = DUE_ALL + 1; /* keys are overdue: at once, but only the stripes are to be looked at */
    if (due_ms < DUE_NEVER) post_due(wakes, stripe->owner, due_ms); /* what was due may be gone again */
}

void stripe_mark_all(struct stripe *stripe, uint64_t ticket) {
    struct stripe_marks *marks = stripe->marks;
    assert(marks->newest <= ticket); /* tickets are taken under the lock */
    marks->newest = ticket;
    for (unsigned i = 0; i < STRIPE_MARKS; i++) marks->last[i] = ticket;
}

void stripe_set_leave(const struct stripe_set *set, struct wakes *wakes, int64_t now_ms) {
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++)
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1)
            stripe_leave(&stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)], wakes, now_ms);
}

_Static_assert((int)HEAPS_MAX >= (int)MAX_SHARDS, "each shard has a heap");

/* Address space for all stripes together: a terabyte of small keys and values. Not more, because sanitizers leave less
 * than the machine has. */
#define ARENAS_BYTES ((size_t)1 << 40)
/* Where as many are not to be had (valgrind has 128 GiB), the heaps need room too. */
#define ARENAS_BYTES_FEW ((size_t)1 << 34)

/* Addresses that the process has taken, in bytes. */
static size_t taken_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%llu", &pages) != 1) pages = 0;
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool addresses_are_limited(rlim_t *most) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return false;
    *most = limit.rlim_cur;
    return true;
}

/* Where addresses are limited (ulimit -v), stripes share half of what is left: large values, the heaps of those with
 * elements, threads, rings and whatever else is allocated need the other half, and take of it when they need it. A keyspace
 * may get less than its share, for it takes a power of two. */
static size_t share_bytes(unsigned count) {
    rlim_t limit;
    size_t share = ARENAS_BYTES / count, taken = taken_bytes();
    if (!addresses_are_limited(&limit))
        return heaps_reserved(stripes.heaps) ? share : ARENAS_BYTES_FEW / count;
    size_t left = limit > taken ? (size_t)limit - taken : 0;
    size_t limited = left / 2 / count;
    if (limited == 0) limited = 1; /* 0 would be as much as can be had */
    return limited < share ? limited : share;
}

_Static_assert((int)KEYSPACE_MAPPED_BLOCKS >= (int)MAX_STRIPES, "each stripe may have one");
_Static_assert(MAX_STRIPES % 64 == 0, "a set of stripes is whole words");

static unsigned stripe_count(unsigned shards) {
    unsigned count = 1;
    if (shards == 1) return 1;
    while (count < shards * STRIPES_PER_SHARD && count < MAX_STRIPES) count *= 2;
    assert(count >= shards && (count & (count - 1)) == 0); /* each shard has some, and stripe_index masks */
    return count;
}

uint64_t stripes_room(void) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < stripes.count; i++)
        bytes += (uint64_t)stripes.all[i].keyspace->slab.arena.capacity * ARENA_CHUNK_BYTES;
    return bytes;
}

int stripes_open(unsigned shards, unsigned databases) {
    assert(shards >= 1 && shards <= MAX_SHARDS && databases >= 1);
    if (getrandom(&stripes.seed, sizeof stripes.seed, 0) != sizeof stripes.seed) return -errno;
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0); /* refused: as later */
    stripes.count = stripe_count(shards);
    stripes.locking = shards > 1;
    stripes.all = aligned_alloc(_Alignof(struct stripe), stripes.count * sizeof *stripes.all);
    if (!stripes.all) {
        stripes.count = 0; /* there are none to close */
        return -ENOMEM;
    }
    memset(stripes.all, 0, stripes.count * sizeof *stripes.all);
    rlim_t limit;
    stripes.heaps = heaps_new(shards, addresses_are_limited(&limit));
    stripes.marks = calloc(stripes.count, sizeof *stripes.marks);
    if (!stripes.heaps || !stripes.marks) {
        stripes_close();
        return -ENOMEM;
    }
    struct keyspace_options options = {.seed = &stripes.seed,
                                       .databases = databases,
                                       .arena_bytes = share_bytes(stripes.count),
                                       .mapped_blocks = KEYSPACE_MAPPED_BLOCKS / stripes.count};
    for (unsigned i = 0; i < stripes.count; i++) {
        stripes.all[i].owner = i % shards;
        stripes.all[i].marks = &stripes.marks[i];
        options.heap = heaps_at(stripes.heaps, i % shards);
        stripes.all[i].keyspace = keyspace_new(&options);
        if (!stripes.all[i].keyspace) {
            stripes_close();
            return -ENOMEM;
        }
    }
    return 0;
}

void stripes_share(void) {
    stripes.locking = true;
}

void stripes_settle(void) {
    if (stripes.count == 1) stripes.locking = false;
}

void stripes_close(void) {
    for (unsigned i = 0; i < stripes.count; i++) tracking_end(&stripes.all[i]);
    for (unsigned i = 0; i < stripes.count; i++) keyspace_free(stripes.all[i].keyspace);
    heaps_free(stripes.heaps);
    free(stripes.marks);
    stripes.heaps = NULL;
    stripes.marks = NULL;
    free(stripes.all);
    stripes.all = NULL;
    stripes.count = 0;
}

struct load_options stripes_load_options(struct keyspace *ks, uint64_t max_bytes) {
    return (struct load_options){
        .types = ks->types,
        .context = {.heap = ks->heap, .seed = ks->seed, .graves = &ks->dead.nodes},
        .dead = &ks->dead,
        .thresholds = {[TYPE_HASH] = {(uint64_t)config.hash_max_listpack_entries,
                                      (uint64_t)config.hash_max_listpack_value},
                       [TYPE_ZSET] = {(uint64_t)config.zset_max_listpack_entries,
                                      (uint64_t)config.zset_max_listpack_value},
                       [TYPE_SET] = {.elements = (uint64_t)config.set_max_intset_entries}},
        .max_bytes = max_bytes};
}
