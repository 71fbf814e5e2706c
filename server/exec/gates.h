/* gates.h - which gates are raised, and the asking of them (server/call/gate.h). */
#ifndef KEVY_SERVER_EXEC_GATES_H
#define KEVY_SERVER_EXEC_GATES_H

#include "server/call/gate.h"
#include "server/exec/executor.h"
#include "server/exec/slowlog.h"

/* Gates and modes that are raised for this client now. */
static inline uint32_t gates_raised(const struct client *client) {
    uint32_t raised = atomic_load_explicit(&gates_up, memory_order_relaxed);
    if (slowlog_times_all()) raised |= GATE_MASK(MODE_TIMED);
    if (__builtin_expect(client->flags & gates_client_flags, 0)) raised |= gates_of_flags(client->flags);
    return raised;
}

/* Asks, in Redis's order, all that a request must pass before it is run or queued, and refuses what names no command.
 * executor->gates are the raised ones; no lock is held. */
enum verdict gates_ask(struct call *call, const struct request *request);
/* Asks what a command must pass that runs within another one: PASS, or REFUSED. The outer one's locks are held. */
enum verdict gates_ask_nested(struct call *call);

#endif
