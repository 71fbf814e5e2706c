/* prepare.c - hashes keys once for all who need them: locks, lookups and prefetches. */
#include "server/exec/prepare.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/exec/transaction.h"

enum {
    HASH_MIN = 16,    /* places of request.hash and request.keys at first, ... */
    HASH_KEEP = 4096, /* ... and how many are kept from batch to batch */
};

static __attribute__((noinline)) bool reserve_hashes(struct request *request) {
    uint32_t argc = request->args.argc < HASH_MIN ? HASH_MIN : request->args.argc;
    uint64_t *grown = realloc(request->hash, (size_t)argc * sizeof *grown);
    if (!grown) return false;
    request->hash = grown;
    request->hash_capacity = argc;
    return true;
}

/* Only a request of several stripes needs the set. */
static void add_stripe(struct request *request, struct stripe_set *set, unsigned stripe) {
    if (request->stripe == STRIPE_NONE || request->stripe == stripe) {
        request->stripe = stripe;
        return;
    }
    if (request->stripe != STRIPE_MANY) {
        *set = (struct stripe_set){{0}};
        stripe_set_add(set, request->stripe);
        request->stripe = STRIPE_MANY;
    }
    stripe_set_add(set, stripe);
}

static bool reserve_keys(struct request *request, uint32_t count) {
    uint32_t capacity = count < HASH_MIN ? HASH_MIN : count;
    struct command_key *keys = realloc(request->keys, capacity * sizeof *keys);
    if (!keys) return false;
    request->keys = keys;
    request->key_capacity = capacity;
    return true;
}

/* Finds, hashes and notes the key arguments of a request that has no lone one. Where key extraction cannot make sense of the
 * arguments, the handler will say what is wrong: whatever it looks at is hashed, and every stripe is locked. */
static __attribute__((noinline)) bool find_keys(struct request *request, struct stripe_set *set,
                                                unsigned db) {
    const struct request_args *args = &request->args;
    int count = command_keys(request->command, args->argv, args->argc, request->keys, request->key_capacity);
    if (count > (int)request->key_capacity) {
        if (!reserve_keys(request, (uint32_t)count)) return false;
        count = command_keys(request->command, args->argv, args->argc, request->keys, request->key_capacity);
    }
    request->key_count = count > 0 ? (uint32_t)count : 0;
    assert(request->key_count <= request->key_capacity && args->argc <= request->hash_capacity);
    for (uint32_t i = 0; i < request->key_count; i++) {
        debug_assert(request->keys[i].arg > 0 && request->keys[i].arg < args->argc);
        add_stripe(request, set, prepare_key(request, db, request->keys[i].arg));
    }
    for (uint32_t i = 0; count < 0 && i < args->argc; i++) prepare_key(request, db, i);
    if (count < 0) request->stripe = STRIPE_ALL;
    return true;
}

/* False for a request that will be refused. */
static __attribute__((noinline)) bool find_row(struct request *request) {
    const struct command *command =
        command_find(request->args.argv, request->args.argc, &request->bad_subcommand);
    request->command = command;
    if (!command || request->bad_subcommand) return false;
    request->bad_arity = !command_arity_ok(command, request->args.argc);
    return !request->bad_arity;
}

/* Notes what follows from its row and its stripes. */
static inline void settle(struct request *request, const struct command *command) {
    if (command->flags & CMD_ALL_STRIPES) request->stripe = STRIPE_ALL;
    request->untimed = prepare_quick(command, request->args.argc);
    request->plain = request->untimed && request->stripe < STRIPE_NONE;
    debug_assert(request->stripe >= STRIPE_NONE || request->stripe < stripes.count);
}

/* The request alone is quick, not its command. */
static void settle_quick(struct request *request) {
    request->untimed = request->args.argc <= LARGE_REQUEST_ARGS;
    request->plain = request->untimed && request->stripe < STRIPE_NONE;
    if (request->key_count == 1) request->lone_key = request->keys[0].arg;
}

static __attribute__((noinline)) bool prepare_any(struct executor *executor, const struct client *client,
                                                  struct request *request, const struct command *known) {
    uint32_t argc = request->args.argc;
    request->command = known;
    request->stripe = STRIPE_NONE;
    request->lone_key = request->key_count = 0;
    request->plain = request->untimed = request->bad_arity = request->bad_subcommand = false;
    if (!known && !find_row(request)) return true;
    const struct command *command = request->command;
    if (argc > request->hash_capacity && !reserve_hashes(request)) return false;
    if (command->lone_key) {
        request->lone_key = command->lone_key;
        request->stripe = prepare_key(request, client->db, command->lone_key);
    } else if ((command->keys[0].flags || command->find_keys) &&
               !find_keys(request, &executor->sets[request - executor->batch], client->db)) {
        return false;
    }
    settle(request, command);
    if (command->is_quick && command->is_quick(request->args.argv, argc))
        settle_quick(request);
    else if (command->flags & CMD_BLOCKING)
        request->plain = false; /* it may have to wait, which takes its request */
    return true;
}

bool prepare_request(struct executor *executor, const struct client *client, struct request *request,
                     const struct command *known) {
    debug_assert(request < executor->batch + BATCH_REQUESTS && request->args.argc > 0);
    debug_assert(!known || (known->run && command_arity_ok(known, request->args.argc)));
    if (known && prepare_is_lone(known, request->args.argc) &&
        prepare_lone(request, client->db, known, known->lone_key))
        return true;
    return prepare_any(executor, client, request, known);
}

/* One huge request must not leave its arrays behind. */
void prepare_trim(struct request *request) {
    if (request->hash_capacity > HASH_KEEP || request->key_capacity > HASH_KEEP ||
        request->args.capacity > HASH_KEEP)
        request_free(request);
}

static void key_stripes(const struct call *call, const struct request *request, struct stripe_set *set) {
    const struct executor *executor = executor_of(call);
    assert(request >= executor->batch && request < executor->batch + BATCH_REQUESTS);
    if (request->stripe == STRIPE_MANY)
        *set = executor->sets[request - executor->batch];
    else if (request->stripe == STRIPE_ALL)
        stripe_set_add_all(set);
    else if (request->stripe != STRIPE_NONE)
        stripe_set_add(set, request->stripe);
}

void prepare_stripes(const struct call *call, const struct request *request, struct stripe_set *set) {
    key_stripes(call, request, set);
    if (call->command->flags & CMD_LOCKS_QUEUE) transaction_stripes(call->client, set);
}

/* Nothing can be added to what EXEC holds. */
void prepare_saved_stripes(const struct call *call, const struct request *request, struct stripe_set *set) {
    key_stripes(call, request, set);
    if (call->command->flags & CMD_MORE_STRIPES) stripe_set_add_all(set);
}
