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

/* Hashes a key argument, notes the hash and prefetches its bucket. Returns its stripe. */
static inline __attribute__((always_inline)) unsigned prepare_key(struct request *request, unsigned db,
                                                                  uint32_t arg) {
    uint64_t hash = hash_bytes(&stripes.seed, request->args.argv[arg]);
    unsigned stripe = stripe_index(hash);
    request->hash[arg] = hash;
    request->bucket = keyspace_prefetch_bucket(stripes.all[stripe].keyspace, db, hash);
    return stripe;
}

/* Is a request of this row with so many arguments plain whatever these are, and has it one key? */
static inline bool prepare_is_lone(const struct command *command, uint32_t argc) {
    return command->lone_key && prepare_quick(command, argc) && !(command->flags & CMD_ALL_STRIPES);
}

/* prepare_request for a row that prepare_is_lone, whose arity is right: most requests are such. False, and nothing is done,
 * if prepare_request must be asked. */
static inline __attribute__((always_inline)) bool
prepare_lone(struct request *request, unsigned db, const struct command *known, uint32_t lone_key) {
    debug_assert(known->run && lone_key == known->lone_key && command_arity_ok(known, request->args.argc));
    if (__builtin_expect(request->args.argc > request->hash_capacity, 0)) return false;
    request->command = known;
    request->lone_key = lone_key;
    request->key_count = 0;
    request->plain = request->untimed = true;
    request->bad_subcommand = request->bad_arity = false;
    request->stripe = prepare_key(request, db, lone_key);
    debug_assert(request->stripe < stripes.count);
    return true;
}

/* The same for a request that has the command, the number of arguments and the key of another, which was prepared so: its
 * bucket was asked for then. */
static inline __attribute__((always_inline)) bool prepare_same(struct request *request,
                                                               const struct request *other) {
    uint32_t lone_key = other->lone_key;
    debug_assert(other->plain && bytes_equal(request->args.argv[lone_key], other->args.argv[lone_key]));
    if (__builtin_expect(request->args.argc > request->hash_capacity, 0)) return false;
    request->command = other->command;
    request->lone_key = lone_key;
    request->key_count = 0;
    request->plain = request->untimed = true;
    request->bad_subcommand = request->bad_arity = false;
    request->stripe = other->stripe;
    request->hash[lone_key] = other->hash[lone_key];
    request->bucket = NULL;
    return true;
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
