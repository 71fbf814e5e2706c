/* journal.c - the counter of tickets, and the queues. */
#include "server/journal/journal.h"

#include <stdlib.h>

#include "server/stripes/stripes.h"

static struct {
    struct record_queue *queues; /* NULL: not open */
    unsigned count;
    _Atomic uint64_t tickets; /* handed out so far; the first one is 1 */
} journal;

bool journal_open(unsigned executors) {
    assert(!journal.queues && executors > 0 && executors <= MAX_SHARDS);
    journal.queues = aligned_alloc(_Alignof(struct record_queue), executors * sizeof *journal.queues);
    if (!journal.queues) return false;
    memset(journal.queues, 0, executors * sizeof *journal.queues);
    journal.count = executors;
    atomic_store(&journal.tickets, 0);
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

static void set_ears(bool on) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    for (unsigned i = 0; i < stripes.count; i++) {
        struct stripe *stripe = &stripes.all[i];
        assert(!(stripe->ears & EAR_JOURNAL) == on);
        stripe->ears ^= EAR_JOURNAL;
    }
    stripe_set_unlock(&all);
}

void journal_listen(void) {
    assert(journal.queues);
    set_ears(true);
}

void journal_ignore(void) {
    set_ears(false);
}

/* ---- Tickets -------------------------------------------------------------------------------------- */

/* The locks order what the counter need not. With a lone shard there are neither locks nor a second thread. */
static uint64_t next_ticket(void) {
    if (stripes.locking) return atomic_fetch_add_explicit(&journal.tickets, 1, memory_order_relaxed) + 1;
    uint64_t ticket = atomic_load_explicit(&journal.tickets, memory_order_relaxed) + 1;
    atomic_store_explicit(&journal.tickets, ticket, memory_order_relaxed);
    return ticket;
}

void journal_seal(struct record_queue *queue) {
    assert(queue >= journal.queues && queue < journal.queues + journal.count);
    assert(queue_is_open(queue));
    queue_seal(queue, next_ticket());
}
