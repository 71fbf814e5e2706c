/* gates.h - what a command must pass before it runs. */
#ifndef KEVY_SERVER_EXEC_GATES_H
#define KEVY_SERVER_EXEC_GATES_H

#include "server/exec/executor.h"

/* Why commands of a batch may have to leave the fast path. */
enum gate { GATE_AUTH = 1 << 0, GATE_PAUSE = 1 << 1, GATE_MONITOR = 1 << 2, GATE_TIMING = 1 << 3 };

enum verdict {
    PASS,
    REFUSED, /* with an error, and counted */
    HELD,    /* unanswered: it waits, or its client is to be closed */
};

/* Those that are up for this client: bits of enum gate. */
uint32_t gates_now(const struct client *client);
/* Asks, in Redis's order, all that a request must pass before it is run or queued. Refuses what names no command, too. */
enum verdict gates_ask(struct call *call, const struct request *request);

#endif
