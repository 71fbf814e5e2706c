/* journal.c - the counter of tickets, and the queues. */
#include "server/journal/journal.h"

#include <stdlib.h>

#include "server/clients/post.h"
#include "server/stripes/stripes.h"

static struct {
    struct record_queue *queues; /* NULL: not open */
    unsigned count;
} journal;

struct journal_progress journal_progress;

bool journal_open(unsigned executors) {
    assert(!journal.queues && executors > 0 && executors <= MAX_SHARDS);
    journal.queues = aligned_alloc(_Alignof(struct record_queue), executors * sizeof *journal.queues);
    if (!journal.queues) return false;
    memset(journal.queues, 0, executors * sizeof *journal.queues);
    journal.count = executors;
    atomic_store(&journal_progress.next, 0);
    atomic_store(&journal_progress.safe, 0);
    bool ok = true;
    for (unsigned i = 0; i < executors; i++) ok = queue_open(&journal.queues[i]) && ok;
    if (!ok) journal_close();
    return ok;
}

void journal_close(void) {
    for (unsigned i = 0; i < journal.count; i++) queue_close(&journal.queues[i]);
    free(journal.queues);
    journal.queues = NULL;
    journal.count = 0;
}

struct record_queue *journal_queue(unsigned executor) {
    assert(!journal.queues || executor < journal.count);
    return journal.queues ? &journal.queues[executor] : NULL;
}

unsigned journal_queue_count(void) {
    return journal.count;
}

/* ---- Listening ------------------------------------------------------------------------------------ */

static void lock_all(struct stripe_set *all) {
    *all = (struct stripe_set){{0}};
    stripe_set_add_all(all);
    stripe_set_lock(all);
}

void journal_switch(bool on) {
    assert(journal.queues);
    for (unsigned i = 0; i < stripes.count; i++) {
        struct stripe *stripe = &stripes.all[i];
        assert(!(stripe->ears & EAR_JOURNAL) == on);
        stripe->ears ^= EAR_JOURNAL;
    }
    atomic_store_explicit(&journal_progress.listens, on, memory_order_relaxed);
}

void journal_listen(void) {
    struct stripe_set all;
    lock_all(&all);
    journal_switch(true);
    stripe_set_unlock(&all);
}

void journal_ignore(void) {
    struct stripe_set all;
    lock_all(&all);
    journal_switch(false);
    stripe_set_unlock(&all);
}

/* ---- Tickets -------------------------------------------------------------------------------------- */

/* The locks order what the counter need not. With a lone shard there are neither locks nor a second thread. */
static inline uint64_t take(void) {
    _Atomic uint64_t *next = &journal_progress.next;
    if (stripes.locking) return atomic_fetch_add_explicit(next, 1, memory_order_relaxed) + 1;
    uint64_t ticket = atomic_load_explicit(next, memory_order_relaxed) + 1;
    atomic_store_explicit(next, ticket, memory_order_relaxed);
    return ticket;
}

uint64_t journal_take(void) {
    return take();
}

uint64_t journal_seal(struct record_queue *queue, uint64_t ticket) {
    debug_assert(queue >= journal.queues && queue < journal.queues + journal.count);
    debug_assert(queue_is_open(queue) && ticket <= journal_next());
    if (!ticket) ticket = take();
    queue_seal(queue, ticket);
    return ticket;
}

/* ---- What may be shown ---------------------------------------------------------------------------- */

void journal_switch_hold(bool on) {
    uint64_t last = journal_next();
    for (unsigned i = 0; on && i < stripes.count; i++) stripe_mark_all(&stripes.all[i], last);
    atomic_store_explicit(&journal_progress.holds, on, memory_order_relaxed);
}

void journal_hold(bool on) {
    struct stripe_set all;
    lock_all(&all);
    journal_switch_hold(on);
    stripe_set_unlock(&all);
}

/* Stored before it is looked who is parked, as a shard that parks looks at it behind its own store: one sees the other. */
void journal_publish(uint64_t ticket) {
    assert(ticket >= journal_safe() && ticket <= journal_next());
    atomic_store_explicit(&journal_progress.safe, ticket, memory_order_seq_cst);
    post_wake_awaiting(ticket);
}
