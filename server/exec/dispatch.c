/* dispatch.c - prepare a batch, run it.
 *
 *      dispatch_prepare: row, key hashes, stripe, bucket prefetch          for each request of the batch
 *      dispatch_batch:   entry prefetch; then for each request
 *          fast path:    arity -> lock -> run -> unlock
 *          gates:        auth, MULTI, pause, monitors, CLIENT REPLY, timing: only where a gate is up */
#include "server/exec/dispatch.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/text.h"
#include "server/clients/client.h"
#include "server/clients/clients.h"
#include "server/config/config.h"
#include "server/exec/monitor.h"
#include "server/exec/pause.h"
#include "server/exec/slowlog.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"

/* Why commands of a batch may have to leave the fast path. */
enum gate { GATE_AUTH = 1 << 0, GATE_PAUSE = 1 << 1, GATE_MONITOR = 1 << 2, GATE_TIMING = 1 << 3 };

enum {
    /* A slowlog threshold below this times every command, not only those that may take long. */
    TIMING_MAX_US = 1000,
    LARGE_REQUEST_ARGS = 256,
    HASH_MIN = 16,    /* places of request.hash at first, ... */
    HASH_KEEP = 4096, /* ... and how many are kept from batch to batch */
};

/* ---- Preparing ------------------------------------------------------------------------------------ */

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

/* Commands that need not be timed one by one: their time is bounded by the size of the request. */
static inline bool quick(const struct command *command, uint32_t argc) {
    return command->flags & (CMD_FAST | CMD_BOUNDED) && argc <= LARGE_REQUEST_ARGS;
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

bool dispatch_prepare(const struct client *client, struct request *request, const struct command *known) {
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
    request->untimed = quick(command, argc);
    request->plain = request->untimed && request->stripe < STRIPE_NONE;
    return true;
}

/* One huge request must not leave its arrays behind. */
static void trim(struct request *request) {
    if (request->hash_capacity > HASH_KEEP || request->args.capacity > HASH_KEEP) request_free(request);
}

/* ---- Running -------------------------------------------------------------------------------------- */

static void run_timed(struct call *call, const struct command *command) {
    uint64_t start = clock_monotonic_ns();
    command->run(call);
    uint64_t taken = clock_monotonic_ns() - start;
    int64_t threshold_us = config.slowlog_log_slower_than;
    metric_add(&call->metrics->commands[command->id].nanoseconds, taken);
    if (threshold_us >= 0 && taken / 1000 >= (uint64_t)threshold_us && !(command->flags & CMD_SKIP_SLOWLOG))
        slowlog_add(call, taken);
    /* The batch's clock goes on behind this command: its time is accounted for. */
    struct clock *clock = &executor_of(call)->clock;
    clock->timed_ns += taken;
    if (command->flags & CMD_SLOW_CLOCK) {
        clock_read(clock);
        call->now_ms = clock->now_ms;
    }
}

static __attribute__((noinline)) void note_errors(struct call *call, const struct command *command) {
    metric_add(&call->metrics->error_replies, 1);
    metric_add(&call->metrics->commands[command->id].failed, 1);
    errorstats_note(call->reply->last_error);
}

/* The handler, and what is counted about it. Every command that is not plain runs here; plain ones in run_plain. */
static void run_command(struct call *call, const struct command *command) {
    uint64_t errors = call->reply->errors;
    call->command = command;
    if (!quick(command, call->argc) || executor_of(call)->gates & GATE_TIMING)
        run_timed(call, command);
    else
        command->run(call);
    metric_add(&call->metrics->commands[command->id].calls, 1);
    if (call->reply->errors != errors) note_errors(call, command);
    if (executor_of(call)->gates & GATE_MONITOR) monitor_feed(call);
}

static void add_stripes(struct call *call, struct stripe_set *set, const struct request *request) {
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

static void run_many(struct call *call, const struct request *request) {
    struct stripe_set set = {0};
    add_stripes(call, &set, request);
    stripe_set_lock(&set);
    run_command(call, request->command);
    stripe_set_unlock(&set);
}

static void run_locked(struct call *call, const struct request *request) {
    const struct command *command = request->command;
    if (request->stripe < STRIPE_NONE) {
        struct stripe *stripe = &stripes.all[request->stripe];
        stripe_lock(stripe);
        run_command(call, command);
        stripe_unlock(stripe);
    } else if (request->stripe == STRIPE_NONE && !(command->flags & CMD_LOCKS_QUEUE)) {
        run_command(call, command);
    } else {
        run_many(call, request);
    }
}

void dispatch_queued(struct call *exec, const struct command *command, const struct bytes *argv,
                     uint32_t argc, uint64_t *hash) {
    struct call call = *exec;
    call.argv = argv;
    call.argc = argc;
    call.hash = hash;
    call.db = exec->client->db;
    call.changes = 0;
    call.arg_blocks = NULL;
    call.arg_block_count = 0;
    metric_add(&call.metrics->commands_processed, 1);
    uint64_t errors = exec->reply->errors;
    run_command(&call, command);
    exec->reply->errors = errors; /* they were the queued command's, and are not EXEC's too */
    exec->changes += call.changes;
    exec->now_ms = call.now_ms;
}

/* ---- Refusing ------------------------------------------------------------------------------------- */

/* A refusal of EXEC ends its transaction: queued commands do not stay behind it. */
static void reject(struct call *call, const struct command *command, const char *code, const char *text) {
    if (command && command->flags & CMD_RUNS_QUEUE) {
        transaction_close(call->client);
        reply_errorf(call->reply, "EXECABORT Transaction discarded because of: %s", text);
    } else {
        reply_errorf(call->reply, "%s %s", code, text);
    }
    if (command) metric_add(&call->metrics->commands[command->id].rejected, 1);
    metric_add(&call->metrics->error_replies, 1);
    errorstats_note(call->reply->last_error);
    if (call->client->flags & CLIENT_MULTI) transaction_fail(call->client);
}

enum { REFUSAL_MAX = 512 }; /* bytes; what is shown of a request is cut by reply_name and UNKNOWN_ARGS_MAX */

/* The arguments of an unknown command, up to a NUL each and to UNKNOWN_ARGS_MAX bytes in all, as Redis shows them. */
enum { UNKNOWN_ARGS_MAX = 128 };
static void add_arguments(struct text *text, const struct call *call) {
    size_t begin = text->len;
    for (uint32_t i = 1; i < call->argc && text->len - begin < UNKNOWN_ARGS_MAX; i++) {
        int room = (int)(UNKNOWN_ARGS_MAX - (text->len - begin));
        text_format(text, "'%.*s' ", call->argv[i].len < (size_t)room ? (int)call->argv[i].len : room,
                    call->argv[i].data);
    }
}

static void reject_unknown(struct call *call) {
    char memory[REFUSAL_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    /* A browser or a cross-protocol attack: its next lines are headers and body, and must not be run as
     * commands. */
    if (bytes_is(call->argv[0], "post") || bytes_is(call->argv[0], "host:")) {
        client_set(call->client->flags, call->client->flags | CLIENT_CLOSE_NOW);
        return;
    }
    text_format(&text, "unknown command '%.*s', with args beginning with: ", reply_name(call->argv[0]),
                call->argv[0].data);
    add_arguments(&text, call);
    reject(call, NULL, "ERR", memory);
}

static void reject_subcommand(struct call *call, const struct command *container) {
    char memory[REFUSAL_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    text_format(&text, "unknown subcommand '%.*s'. Try ", reply_name(call->argv[1]), call->argv[1].data);
    text_upper(&text, bytes_of(container->name));
    text_string(&text, " HELP.");
    reject(call, NULL, "ERR", memory);
}

static void reject_arity(struct call *call, const struct command *command) {
    char name[COMMAND_FULL_NAME_MAX], text[128];
    size_t len = command_full_name(command, name);
    snprintf(text, sizeof text, "wrong number of arguments for '%.*s' command", (int)len, name);
    reject(call, command, "ERR", text);
}

/* A row without a handler is a container whose subcommand is missing. */
static bool runnable_row(const struct request *request) {
    return request->command && request->command->run && !request->bad_subcommand && !request->bad_arity;
}

static void reject_request(struct call *call, const struct request *request) {
    const struct command *command = request->command;
    if (!command)
        reject_unknown(call);
    else if (request->bad_subcommand)
        reject_subcommand(call, command);
    else
        reject_arity(call, command);
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

static uint32_t gates_now(const struct client *client) {
    int64_t threshold_us = config.slowlog_log_slower_than;
    uint32_t gates = 0;
    if (client_must_authenticate(client)) gates |= GATE_AUTH;
    if (pause_until_ms()) gates |= GATE_PAUSE;
    if (monitor_count) gates |= GATE_MONITOR;
    if (threshold_us >= 0 && threshold_us < TIMING_MAX_US) gates |= GATE_TIMING;
    return gates;
}

static void queue(struct call *call, const struct command *command) {
    if (!transaction_queue(call->client, command, call->argv, call->argc))
        call_out_of_memory(call);
    else
        reply_literal(call->reply, "+QUEUED\r\n");
}

static bool writes_queued(const struct command *command, const struct client *client) {
    if (!(command->flags & CMD_LOCKS_QUEUE)) return false;
    for (size_t i = 0; i < transaction_count(client); i++)
        if (transaction_at(client, i)->command->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) return true;
    return false;
}

enum verdict { RUN, DONE, HELD };

/* What a command must pass when it is not on the fast path, in Redis's order. */
static enum verdict gate(struct call *call, const struct command *command) {
    struct client *client = call->client;
    if (client_must_authenticate(client) && !(command->flags & CMD_NO_AUTH)) {
        reject(call, command, "NOAUTH", "Authentication required.");
        return DONE;
    }
    if (client->flags & CLIENT_MULTI && command->flags & CMD_NO_MULTI) {
        reject(call, command, "ERR", "Command not allowed inside a transaction");
        return DONE;
    }
    if (client->flags & CLIENT_MONITOR && command->flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_REPLICATE)) {
        /* Monitors are replicas of a kind to Redis. */
        reject(call, command, "ERR", "Replica can't interact with the keyspace");
        return DONE;
    }
    if (pause_until_ms() && pause_holds(command, writes_queued(command, client), call->now_ms)) return HELD;
    if (client->flags & CLIENT_MULTI && !(command->flags & CMD_IMMEDIATE)) {
        queue(call, command);
        return DONE;
    }
    return RUN;
}

/* CLIENT REPLY OFF and SKIP: replies are written over each other and forgotten. */
static bool muted_more(struct reply *reply, size_t need) {
    (void)need;
    reply->at = reply->end - REPLY_CHUNK_MIN;
    return true;
}

static bool muted_attach(struct reply *reply, struct bytes data, void *owner) {
    (void)reply, (void)data;
    block_release(owner);
    return true;
}

static const struct reply_sink muted_sink = {.more = muted_more, .attach = muted_attach};

enum { CLIENT_MUTED = CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP };

static enum verdict run_gated(struct call *call, const struct request *request) {
    if (call->client->flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW))
        return HELD; /* nor is it refused */
    if (!runnable_row(request)) {
        reject_request(call, request);
        return DONE;
    }
    enum verdict verdict = gate(call, request->command);
    if (verdict == RUN) run_locked(call, request);
    return verdict;
}

/* The command that turns replies on again is answered: what it wrote is kept. */
static enum verdict run_muted(struct call *call, const struct request *request) {
    char scratch[REPLY_CHUNK_MIN];
    struct reply *real = call->reply;
    struct reply muted = {
        .at = scratch, .end = scratch + sizeof scratch, .resp = real->resp, .sink = &muted_sink};
    call->reply = &muted;
    enum verdict verdict = run_gated(call, request);
    call->reply = real;
    real->resp = muted.resp;
    if (!(call->client->flags & CLIENT_MUTED))
        reply_raw(real, (struct bytes){scratch, (size_t)(muted.at - scratch)});
    return verdict;
}

static enum verdict run_slow(struct call *call, const struct request *request) {
    struct client *client = call->client;
    if (client->flags & CLIENT_REPLY_SKIP_NEXT)
        client_set(client->flags, (client->flags & ~(uint32_t)CLIENT_REPLY_SKIP_NEXT) | CLIENT_REPLY_SKIP);
    enum verdict verdict = client->flags & CLIENT_MUTED ? run_muted(call, request) : run_gated(call, request);
    if (verdict != HELD && client->flags & CLIENT_REPLY_SKIP)
        client_set(client->flags, client->flags & ~(uint32_t)CLIENT_REPLY_SKIP);
    return verdict;
}

/* ---- Batches -------------------------------------------------------------------------------------- */

static inline void open_call(struct call *call, const struct request *request) {
    call->argv = request->args.argv;
    call->argc = request->args.argc;
    call->hash = request->hash;
    call->command = request->command;
    call->changes = 0;
}

static __attribute__((noinline)) enum verdict run_request(struct call *call, struct request *request) {
    struct client *client = call->client;
    enum verdict verdict = RUN;
    open_call(call, request);
    call->db = client->db;
    if (client->flags & CLIENT_SLOW_FLAGS || executor_of(call)->gates || !runnable_row(request))
        verdict = run_slow(call, request);
    else
        run_locked(call, request);
    /* Whatever ran may have changed the session, the database, or what all commands have to pass. */
    executor_of(call)->gates = gates_now(client);
    call->db = client->db;
    if (verdict != HELD) trim(request);
    return verdict;
}

static bool fast_path(const struct call *call) {
    return !(call->client->flags & CLIENT_SLOW_FLAGS) && !executor_of(call)->gates;
}

/* Runs plain requests from `done` on, until one is not, or belongs to another command than those before: what is counted is
 * counted once for all of them. Returns how many are done with. */
static unsigned run_plain(struct call *call, struct request *batch, unsigned done, unsigned count) {
    const struct command *command = batch[done].command;
    void (*run)(struct call *) = command->run;
    uint64_t errors = call->reply->errors;
    unsigned first = done;
    for (; done < count && batch[done].plain && batch[done].command == command; done++) {
        struct stripe *stripe = &stripes.all[batch[done].stripe];
        open_call(call, &batch[done]);
        stripe_lock(stripe);
        run(call);
        stripe_unlock(stripe);
        if (__builtin_expect(call->reply->errors != errors, 0)) {
            note_errors(call, command);
            errors = call->reply->errors;
        }
    }
    metric_add(&call->metrics->commands[command->id].calls, done - first);
    return done;
}

static void prefetch_entries(const struct request *batch, unsigned count) {
    for (const struct request *request = batch; request < batch + count; request++)
        if (request->lone_key)
            keyspace_prefetch_entry(stripes.all[request->stripe].keyspace, request->bucket,
                                    request->hash[request->lone_key]);
}

/* Commands that are not timed one by one share the batch's time evenly: they cost about the same. */
static void share_time(struct executor *executor, unsigned count) {
    uint64_t now = clock_monotonic_ns(),
             spent = now > executor->clock.timed_ns ? now - executor->clock.timed_ns : 0;
    unsigned untimed = 0, same;
    executor->clock.timed_ns = now;
    if (executor->gates & GATE_TIMING) return;
    for (unsigned i = 0; i < count; i++) untimed += executor->batch[i].untimed;
    for (unsigned i = 0; i < count; i += same) {
        const struct request *request = &executor->batch[i];
        for (same = 1; i + same < count && request[same].command == request->command;) same++;
        if (request->untimed)
            metric_add(&executor->metrics.commands[request->command->id].nanoseconds, spent / untimed * same);
    }
}

unsigned dispatch_batch(struct executor *executor, struct client *client, struct reply *reply,
                        unsigned count) {
    struct call *call = &executor->call;
    struct request *batch = executor->batch;
    unsigned done = 0;
    if (count == 0) return 0;
    if (count > 1) prefetch_entries(batch, count);
    call->client = client;
    call->reply = reply;
    call->effects = &executor->effects;
    call->metrics = &executor->metrics;
    call->now_ms = executor->clock.now_ms;
    call->db = client->db;
    executor->gates = gates_now(client);
    while (done < count) {
        if (batch[done].plain && fast_path(call)) {
            done = run_plain(call, batch, done, count);
        } else {
            if (run_request(call, &batch[done]) == HELD) break;
            done++;
        }
    }
    if (done) client_set(client->last_command, batch[done - 1].command);
    metric_add(&executor->metrics.commands_processed, done);
    client_set(client->commands, client->commands + done);
    share_time(executor, done);
    call->arg_blocks = NULL;
    call->arg_block_count = 0;
    return done;
}
