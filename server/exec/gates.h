/* gates.h - which gates are raised, and the asking of them (server/call/gate.h). */
#ifndef KEVY_SERVER_EXEC_GATES_H
#define KEVY_SERVER_EXEC_GATES_H

#include "server/call/gate.h"
#include "server/config/config.h"
#include "server/exec/executor.h"

/* A slowlog threshold below this times every command, not only those that may take long. */
enum { TIMING_MAX_US = 1000 };

/* Gates and modes that are raised for this client now. */
static inline uint32_t gates_raised(const struct client *client) {
    int64_t threshold_us = config.slowlog_log_slower_than;
    uint32_t raised = atomic_load_explicit(&gates_up, memory_order_relaxed);
    if (threshold_us >= 0 && threshold_us < TIMING_MAX_US) raised |= GATE_MASK(MODE_TIMED);
    if (__builtin_expect(client->flags & gates_client_flags, 0)) raised |= gates_of_flags(client->flags);
    return raised;
}

/* Asks, in Redis's order, all that a request must pass before it is run or queued, and refuses what names no command.
 * executor->gates are the raised ones; no lock is held. */
enum verdict gates_ask(struct call *call, const struct request *request);
/* Asks what a command must pass that runs within another one: PASS, or REFUSED. The outer one's locks are held. */
enum verdict gates_ask_nested(struct call *call);

#endif
