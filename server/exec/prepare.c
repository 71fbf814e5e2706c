/* prepare.c - hashes keys once for all who need them: locks, lookups and prefetches. */
#include "server/exec/prepare.h"

#include <stdlib.h>

#include "server/exec/transaction.h"

enum {
    HASH_MIN = 16,    /* places of request.hash at first, ... */
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

static inline __attribute__((always_inline)) void add_key(struct request *request, unsigned db,
                                                          uint32_t arg) {
    uint64_t hash = hash_bytes(&stripes.seed, request->args.argv[arg]);
    unsigned stripe = stripe_index(hash);
    request->hash[arg] = hash;
    /* The lock's line was last written by another CPU as likely as not. */
    if (stripes.locking) __builtin_prefetch(&stripes.all[stripe].lock, 1);
    request->bucket = keyspace_prefetch_bucket(stripes.all[stripe].keyspace, db, hash);
    if (request->stripe == STRIPE_NONE)
        request->stripe = stripe;
    else if (request->stripe != stripe)
        request->stripe = STRIPE_MANY;
}

/* Arguments that key extraction cannot make sense of: the handler will say what is wrong. Whatever it looks
 * at is hashed and locked. */
static void add_all(struct request *request, unsigned db) {
    for (uint32_t i = 0; i < request->args.argc; i++) add_key(request, db, i);
    request->stripe = STRIPE_ALL;
}

static __attribute__((noinline)) bool add_keys(struct request *request, unsigned db) {
    struct command_key few[COMMAND_FEW_KEYS];
    int count;
    struct command_key *keys =
        command_keys_all(request->command, request->args.argv, request->args.argc, few, &count);
    if (!keys) return false;
    for (int i = 0; i < count; i++) add_key(request, db, keys[i].arg);
    if (count < 0) add_all(request, db);
    command_keys_free(keys, few);
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

bool prepare_request(const struct client *client, struct request *request, const struct command *known) {
    uint32_t argc = request->args.argc;
    request->command = known;
    request->stripe = STRIPE_NONE;
    request->lone_key = 0;
    request->plain = request->untimed = request->bad_arity = request->bad_subcommand = false;
    if (!known && !find_row(request)) return true;
    const struct command *command = request->command;
    if (argc > request->hash_capacity && !reserve_hashes(request)) return false;
    if (__builtin_expect(command->lone_key != 0, 1)) {
        request->lone_key = command->lone_key;
        add_key(request, client->db, command->lone_key);
    } else if ((command->keys[0].flags || command->find_keys) && !add_keys(request, client->db)) {
        return false;
    }
    if (command->flags & CMD_ALL_STRIPES) request->stripe = STRIPE_ALL;
    request->untimed = prepare_quick(command, argc);
    request->plain = request->untimed && request->stripe < STRIPE_NONE;
    return true;
}

/* One huge request must not leave its arrays behind. */
void prepare_trim(struct request *request) {
    if (request->hash_capacity > HASH_KEEP || request->args.capacity > HASH_KEEP) request_free(request);
}

void prepare_stripes(const struct call *call, const struct request *request, struct stripe_set *set) {
    if (call->command->flags & CMD_LOCKS_QUEUE) transaction_stripes(call->client, set);
    if (request->stripe == STRIPE_ALL) {
        stripe_set_add_all(set);
        return;
    }
    struct command_key keys[COMMAND_FEW_KEYS];
    int count = command_keys(call->command, call->argv, call->argc, keys, COMMAND_FEW_KEYS);
    if (count > COMMAND_FEW_KEYS) {
        stripe_set_add_all(set); /* more keys than this would lock most stripes anyway */
        return;
    }
    for (int i = 0; i < count; i++) stripe_set_add(set, stripe_index(call->hash[keys[i].arg]));
}
