/* prepare.h - what is found out about a request before it runs: its row, the hashes and stripes of its keys. */
#ifndef KEVY_SERVER_EXEC_PREPARE_H
#define KEVY_SERVER_EXEC_PREPARE_H

#include "server/exec/executor.h"

enum { LARGE_REQUEST_ARGS = 256 };

/* Commands that need not be timed one by one: their time is bounded by the size of the request. */
static inline bool prepare_quick(const struct command *command, uint32_t argc) {
    return command->flags & (CMD_FAST | CMD_BOUNDED) && argc <= LARGE_REQUEST_ARGS;
}

/* A row without a handler is a container whose subcommand is missing. */
static inline bool prepare_runnable(const struct request *request) {
    return request->command && request->command->run && !request->bad_subcommand && !request->bad_arity;
}

/* Prepares a request of the batch, which is parsed: finds the row, unless it is `known` (and then its arity is right),
 * and the key arguments, hashes them, notes their stripes and prefetches their buckets. False without memory. */
bool prepare_request(struct executor *executor, const struct client *client, struct request *request,
                     const struct command *known) __attribute__((warn_unused_result));
/* Adds to an empty set the stripes that the call of this request of its executor's batch must hold. */
void prepare_stripes(const struct call *call, const struct request *request, struct stripe_set *set);
/* The same for a request that is saved, to be run within another command, whose set this is to be part of. */
void prepare_saved_stripes(const struct call *call, const struct request *request, struct stripe_set *set);
/* When it has run: one huge request must not leave its arrays behind. */
void prepare_trim(struct request *request);

#endif
