/* dispatch.c - run a batch.
 *
 *      prepare_request:  row, key hashes, stripe, bucket prefetch          for each request of the batch
 *      dispatch_batch:   entry prefetch; then for each request
 *          fast path:    arity -> lock -> run -> unlock
 *          gates:        auth, MULTI, pause, monitors, CLIENT REPLY, timing: only where a gate is up */
#include "server/exec/dispatch.h"

#include "protocol/assert.h"
#include "server/call/shown.h"
#include "server/call/tracked.h"
#include "server/clients/client.h"
#include "server/config/config.h"
#include "server/exec/blocking.h"
#include "server/exec/durable.h"
#include "server/exec/gates.h"
#include "server/exec/monitor.h"
#include "server/exec/pause.h"
#include "server/exec/prepare.h"
#include "server/exec/slowlog.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"
#include "server/report/latency.h"
#include "store/memory/memory.h"

/* ---- Running ------------------------------------------------------------------------------------- */

/* Or does it run within another command? */
static bool is_outermost(const struct call *call) {
    return call == &executor_of(call)->call;
}

static void set_time(struct executor *executor) {
    struct effects *effects = &executor->effects;
    effects_set_time(effects, effects->replay_ms ? 0 : executor->clock.now_ms);
}

/* The batch's clock goes on behind a command whose time is accounted for. The time that commands see stands still until
 * the outermost one has ended. */
static void spend_time(struct call *call, uint64_t nanoseconds) {
    struct clock *clock = &executor_of(call)->clock;
    clock->timed_ns += nanoseconds;
    if (!(call->command->flags & CMD_SLOW_CLOCK)) return;
    clock_read(clock);
    set_time(executor_of(call));
}

/* Records the request if it changed something, and has not said itself what is to be recorded. */
static inline void run_recorded(struct call *call) {
    uint64_t recorded = call->effects->recorded;
    call->logged = false;
    call->command->run(call);
    if (call->effects->recorded != recorded && !call->logged) call_log_request(call);
    if (journal_holds() && !call->again) shown_note(call);
}

static inline void run_handler(struct call *call) {
    if (call->effects->journal)
        run_recorded(call);
    else
        call->command->run(call);
}

static void note_latency(const struct call *call, uint64_t nanoseconds) {
    int64_t threshold_ms = config.latency_monitor_threshold;
    uint64_t milliseconds = nanoseconds / 1000000;
    if (threshold_ms == 0 || milliseconds < (uint64_t)threshold_ms || call->again) return;
    /* The clock is that of the batch's beginning, or of the last command that took long. */
    int64_t time_s = (call->effects->now_ms + (int64_t)milliseconds) / 1000;
    latency_note(call->command->flags & CMD_FAST ? LATENCY_FAST_COMMAND : LATENCY_COMMAND,
                 (struct latency_sample){time_s, milliseconds});
}

static void run_timed(struct call *call, const struct command *command) {
    uint64_t start = clock_monotonic_ns();
    run_handler(call);
    uint64_t taken = clock_monotonic_ns() - start;
    int64_t threshold_us = config.slowlog_log_slower_than;
    metric_add(&call->effects->metrics->commands[command->id].nanoseconds, taken);
    if (!call->waits && !call->again && config.latency_tracking)
        histogram_note(&executor_of(call)->histograms, command->id, taken, 1);
    if (call->waits)
        call->wait->spent_ns = taken; /* it is logged when its wait is over */
    else if (threshold_us >= 0 && taken / 1000 >= (uint64_t)threshold_us && !call->again &&
             !(command->flags & CMD_SKIP_SLOWLOG))
        slowlog_add(call, taken);
    note_latency(call, taken);
    if (is_outermost(call)) spend_time(call, taken);
}

__attribute__((noinline)) void dispatch_note_errors(const struct call *call) {
    metric_add(&call->effects->metrics->error_replies, 1);
    metric_add(&call->effects->metrics->commands[call->command->id].failed, 1);
    errorstats_note(call->reply->last_error);
}

static bool is_timed(const struct call *call) {
    return !prepare_quick(call->command, call->argc) || executor_of(call)->gates & GATE_MASK(MODE_TIMED);
}

/* Every command that is not plain runs here; plain ones in run_plain. */
void dispatch_run(struct call *call) {
    const struct command *command = call->command;
    uint64_t errors = call->reply->errors, changes = call->effects->changes;
    assert(command->run);
    debug_assert(command_arity_ok(command, call->argc));
    if (!call->effects->replay_ms && is_timed(call))
        run_timed(call, command);
    else
        run_handler(call);
    assert(!call->again || call->effects->changes == changes);
    if (call->again) return; /* it has done nothing yet: see run_wanting */
    if (call->client->flags & CLIENT_TRACKING) tracked_note_all(call);
    if (call->waits) blocking_begin(call);
    metric_add(&call->effects->metrics->commands[command->id].calls, 1);
    if (call->reply->errors != errors) dispatch_note_errors(call);
    if (executor_of(call)->gates & command->gates & GATE_MASK(MODE_MONITORED)) monitor_feed(call);
}

/* Locks these stripes, and where the command may feed clients that wait to push to keys of other stripes, those too: what is
 * missing is added, never dropped, and all are locked anew in their order. So it ends, though waiters come and go. */
static void lock_reach(const struct call *call, struct stripe_set *set) {
    stripe_set_lock(set);
    if (!(call->command->flags & CMD_FEEDS)) return;
    for (;;) {
        struct stripe_set more = *set;
        waiters_reach(set, &more);
        if (stripe_set_within(&more, set)) return;
        stripe_set_unlock(set);
        *set = more;
        stripe_set_lock(set);
    }
}

static void run_holding(struct call *call, struct stripe_set *set) {
    assert(!call->held && call->stripe == STRIPE_NONE);
    call->again = false;
    call->held = set;
    lock_reach(call, set);
    dispatch_run(call);
    if (blocking_is_due(call)) blocking_serve(call);
    assert(call->held == set && call->stripe == STRIPE_NONE);
    effects_end(call->effects);
    stripe_set_leave(set, call->effects->wakes, call->effects->now_ms);
    call->held = NULL;
}

enum { WANT_TRIES = 3 };

/* A command that has asked for more (call_want) is run anew with all that it held and wants; after some tries, with every
 * stripe: it cannot want more then. */
static __attribute__((noinline)) void run_wanting(struct call *call, struct stripe_set *set) {
    for (unsigned tries = 0; call->again; tries++) {
        assert(tries <= WANT_TRIES && !stripe_set_within(call->want, set));
        stripe_set_join(set, call->want);
        if (tries == WANT_TRIES) stripe_set_add_all(set);
        *call->want = (struct stripe_set){{0}};
        run_holding(call, set);
    }
}

static void run_many(struct call *call, const struct request *request) {
    struct stripe_set set = {{0}};
    prepare_stripes(call, request, &set);
    run_holding(call, &set);
    if (call->again) run_wanting(call, &set);
}

/* A walking command holds one stripe after the other, and may still hold the last one. */
static void run_walking(struct call *call) {
    struct stripe_set set = {{0}};
    call->again = false;
    call->effects->walks = true;
    dispatch_run(call);
    call->effects->walks = false;
    if (call->stripe != STRIPE_NONE) call_leave(call, &stripes.all[call->stripe]);
    call->stripe = STRIPE_NONE;
    if (call->again) run_wanting(call, &set);
}

/* Who feeds clients that wait to push to keys of other stripes needs these as well (lock_reach). */
static inline bool needs_more(const struct command *command, const struct stripe *stripe) {
    return command->flags & CMD_FEEDS && stripe->ears & EAR_MOVERS;
}

/* False, and nothing has happened, if one stripe is not enough. */
static bool run_single(struct call *call, const struct request *request) {
    struct stripe *stripe = &stripes.all[request->stripe];
    stripe_lock(stripe);
    if (needs_more(request->command, stripe)) {
        stripe_unlock(stripe);
        return false;
    }
    call->stripe = request->stripe;
    dispatch_run(call);
    if (blocking_is_due(call)) blocking_serve(call);
    assert(call->stripe == request->stripe && !call->again);
    call_leave(call, stripe);
    return true;
}

static void run_locked(struct call *call, const struct request *request) {
    const struct command *command = request->command;
    if (request->stripe < STRIPE_NONE && !(command->flags & (CMD_LOCKS_QUEUE | CMD_MORE_STRIPES))) {
        if (!run_single(call, request)) run_many(call, request);
    } else if (request->stripe != STRIPE_NONE || command->flags & CMD_LOCKS_QUEUE) {
        run_many(call, request);
    } else if (command->flags & CMD_MORE_STRIPES) {
        run_walking(call);
    } else {
        dispatch_run(call);
    }
}

/* Behind the reply of the command, even where that is muted: its client is told of what it has read and changed itself. */
static __attribute__((noinline)) void tell_own(struct call *call) {
    const struct client *client = call->client;
    if (!(client->flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW))) mute_end(call->reply);
    invalidation_tell_own(&call->effects->tracking, call->client, call->reply);
    mute_follow(call);
}

/* ---- Off the fast path --------------------------------------------------------------------------- */

static void queue(struct call *call, const struct request *request) {
    assert(call->client->flags & CLIENT_MULTI && !(call->client->flags & CLIENT_IN_EXEC));
    if (!transaction_queue(call, request))
        call_out_of_memory(call);
    else
        reply_literal(call->reply, "+QUEUED\r\n");
}

static enum verdict run_gated(struct call *call, const struct request *request) {
    struct executor *executor = executor_of(call);
    enum verdict verdict = gates_ask(call, request);
    bool queues = verdict == PASS && executor->gates & request->command->gates & GATE_MASK(MODE_QUEUE);
    executor->set_aside += verdict == REFUSED || queues;
    if (verdict != PASS) return verdict;
    if (queues)
        queue(call, request);
    else
        run_locked(call, request);
    return PASS;
}

static enum verdict run_slow(struct call *call, const struct request *request) {
    struct client *client = call->client;
    if (client->flags & CLIENT_REPLY_SKIP_NEXT)
        client_set(client->flags, (client->flags & ~(uint32_t)CLIENT_REPLY_SKIP_NEXT) | CLIENT_REPLY_SKIP);
    assert(!(client->flags & CLIENT_REPLY_SKIP_NEXT));
    mute_follow(call);
    enum verdict verdict = run_gated(call, request);
    if (verdict != HELD && (client->flags & (CLIENT_REPLY_SKIP | CLIENT_BLOCKED)) == CLIENT_REPLY_SKIP)
        client_set(client->flags, client->flags & ~(uint32_t)CLIENT_REPLY_SKIP);
    return verdict;
}

/* What a file holds has passed all of them. */
static uint32_t gates_for(const struct executor *executor, const struct client *client) {
    return executor->effects.replay_ms ? 0 : gates_raised(client);
}

/* ---- Batches -------------------------------------------------------------------------------------- */

/* All but the command, which plain requests that follow one another have in common, and the stripe. */
static inline void open_arguments(struct call *call, const struct request *request) {
    call->argv = request->args.argv;
    call->argc = request->args.argc;
    call->hash = request->hash;
}
static inline void open_call(struct call *call, const struct request *request) {
    open_arguments(call, request);
    call->command = request->command;
    call->stripe = STRIPE_NONE;
}

/* A journal gets these, where they are one request in RESP and nothing else. */
static inline struct bytes bytes_of_request(const struct executor *executor, const struct request *request) {
    const char *bytes = executor->bytes;
    if (!bytes) return BYTES("");
    assert(request->end > request->begin);
    return (struct bytes){bytes + request->begin, request->end - request->begin};
}

static inline void note_untimed(struct executor *executor, const struct command *command, unsigned requests) {
    assert(executor->share_count < BATCH_REQUESTS && requests > 0);
    executor->shares[executor->share_count++] = (struct time_share){command->id, requests};
}

static __attribute__((noinline)) enum verdict run_request(struct call *call, struct request *request) {
    struct client *client = call->client;
    enum verdict verdict = PASS;
    open_call(call, request);
    call->db = client->db;
    if (call->effects->journal) call->raw = bytes_of_request(executor_of(call), request);
    if (!prepare_runnable(request) || request->command->gates & executor_of(call)->gates)
        verdict = run_slow(call, request);
    else
        run_locked(call, request);
    if (invalidation_has_own(&call->effects->tracking)) tell_own(call);
    mute_end(call->reply);
    assert(!call->held && !call->again && !(client->flags & CLIENT_IN_EXEC));
    if (client->flags & CLIENT_CACHING && verdict != HELD) tracked_command_ended(request->command, client);
    /* Whatever ran may have changed the session, the database, or what all commands have to pass. */
    executor_of(call)->gates = gates_for(executor_of(call), client);
    call->effects->keeps_expired = pause_until_ms() > call->effects->now_ms;
    call->db = client->db;
    if (verdict != HELD && request->untimed) note_untimed(executor_of(call), request->command, 1);
    if (verdict != HELD) prepare_trim(request);
    return verdict;
}

/* Nothing that is raised concerns it. */
static inline bool fast_path(const struct call *call, const struct command *command) {
    return !(command->gates & executor_of(call)->gates);
}

/* A lock's line was last written by another CPU as likely as not. It is asked for a few requests ahead and no more: what is
 * there for longer is taken away again before it is used, for others ask for it too. */
enum { LOCKS_AHEAD = 2 };

static inline void prefetch_lock(const struct request *batch, unsigned at, unsigned count) {
    if (at < count && batch[at].plain) memory_prefetch_write(&stripes.all[batch[at].stripe].lock);
}

/* A plain command has news for whoever looks after the stripe, or has created what somebody waits for. */
static __attribute__((noinline)) void leave_with_news(struct call *call, struct stripe *stripe) {
    if (blocking_is_due(call)) blocking_serve(call);
    call_leave(call, stripe);
}

/* Has the command ask for what this request will look at, and those behind it that are of the same key. Returns for how
 * many: one where there are no others. */
static __attribute__((noinline)) unsigned look_ahead(struct call *call, const struct request *batch,
                                                     unsigned count) {
    const struct command *command = batch->command;
    struct stripe *stripe = &stripes.all[batch->stripe];
    struct key key = {batch->args.argv[command->lone_key], batch->hash[command->lone_key]};
    struct command_ahead ahead = {.keyspace = stripe->keyspace, .guesses = executor_of(call)->guesses};
    call->guesses = NULL;
    for (; ahead.count < COMMAND_AHEAD_MOST && ahead.count < count; ahead.count++) {
        const struct request *request = &batch[ahead.count];
        if (!request->plain || request->command != command || request->hash[command->lone_key] != key.hash)
            break;
        ahead.argvs[ahead.count] = request->args.argv;
    }
    if (ahead.count < 2) return 1;
    stripe_lock(stripe);
    const struct entry *e = keyspace_find(stripe->keyspace, call->db, key);
    if (e && e->kind == VALUE_OBJECT) {
        struct value value = entry_value(e);
        ahead.value = &value;
        memset(ahead.guesses, 0, sizeof executor_of(call)->guesses);
        command->ahead(&ahead);
        call->guesses = ahead.guesses;
    }
    stripe_unlock(stripe);
    return ahead.count;
}

/* Who hears of plain requests: nobody; who waits for what they create; who waits, and a journal; who waits, and the client
 * itself, which tracks what it reads. */
enum plain_way { PLAIN_ALONE, PLAIN_FEEDING, PLAIN_RECORDED, PLAIN_TRACKED };

static inline void note_plain(struct call *call, const struct request *request) {
    if (!request->lone_key) {
        tracked_note_all(call);
        return;
    }
    struct key key = {request->args.argv[request->lone_key], request->hash[request->lone_key]};
    if (!request->tracked_place || !tracking_knows(request->tracked_place, key, (uint32_t)call->client->id))
        tracked_note(call, key);
}

/* Runs plain requests from `done` on, until one is not, or belongs to another command than those before: what is counted is
 * counted once for all of them. Returns how many are done with. `how` is constant in each of those that are made of it:
 * where no journal is open, and for commands that feed nobody who waits, nothing of that is left. */
static inline __attribute__((always_inline)) unsigned
run_plain_as(enum plain_way how, struct call *call, struct request *batch, unsigned done, unsigned count) {
    bool recorded = how == PLAIN_RECORDED;
    const struct command *command = batch[done].command;
    /* The journal began to listen in the middle of the batch; or it needs more stripes (needs_more). */
    uint32_t others = (recorded ? 0 : EAR_JOURNAL) |
                      (how != PLAIN_ALONE && command->flags & CMD_FEEDS ? EAR_MOVERS : 0);
    bool noted = how == PLAIN_TRACKED && command->flags & CMD_READONLY;
    void (*run)(struct call *) = command->run;
    uint64_t errors = call->reply->errors;
    unsigned first = done, ahead = command->ahead ? done : count; /* what is in front of it was looked at */
    call->command = command;
    if (stripes.locking)
        for (unsigned i = 0; i < LOCKS_AHEAD; i++) prefetch_lock(batch, done + i, count);
    for (; done < count && batch[done].plain && batch[done].command == command; done++) {
        struct stripe *stripe = &stripes.all[batch[done].stripe];
        if (done == ahead)
            ahead += look_ahead(call, &batch[done], count - done);
        else if (call->guesses)
            call->guesses += COMMAND_GUESSES;
        debug_assert(batch[done].stripe < stripes.count && prepare_runnable(&batch[done]));
        open_arguments(call, &batch[done]);
        call->stripe = batch[done].stripe;
        debug_assert(call->command == command);
        if (recorded) call->raw = bytes_of_request(executor_of(call), &batch[done]);
        if (stripes.locking) prefetch_lock(batch, done + LOCKS_AHEAD, count);
        stripe_lock(stripe);
        if (__builtin_expect((stripe->ears & others) != 0, 0)) {
            stripe_unlock(stripe);
            batch[done].plain = false; /* it is run by run_locked */
            break;
        }
        if (recorded)
            run_recorded(call);
        else
            run(call);
        if (noted) note_plain(call, &batch[done]);
        if (__builtin_expect(keyspace_news(stripe->keyspace), 0)) {
            leave_with_news(call, stripe);
        } else {
            if (recorded) effects_end(call->effects);
            stripe_unlock(stripe);
        }
        if (how == PLAIN_TRACKED && invalidation_has_own(&call->effects->tracking)) tell_own(call);
        if (__builtin_expect(call->reply->errors != errors, 0)) {
            dispatch_note_errors(call);
            errors = call->reply->errors;
        }
    }
    call->guesses = NULL;
    assert(done <= count && (done > first || !batch[done].plain));
    metric_add(&call->effects->metrics->commands[command->id].calls, done - first);
    if (done > first) note_untimed(executor_of(call), command, done - first);
    return done;
}
static unsigned run_plain(struct call *call, struct request *batch, unsigned done, unsigned count) {
    return run_plain_as(PLAIN_ALONE, call, batch, done, count);
}
static __attribute__((noinline)) unsigned run_plain_feeding(struct call *call, struct request *batch,
                                                            unsigned done, unsigned count) {
    return run_plain_as(PLAIN_FEEDING, call, batch, done, count);
}
static __attribute__((noinline)) unsigned run_plain_recorded(struct call *call, struct request *batch,
                                                             unsigned done, unsigned count) {
    return run_plain_as(PLAIN_RECORDED, call, batch, done, count);
}

/* Of a client that tracks, before the entries of its batch are asked for: when these are on their way, buckets are there. */
static __attribute__((noinline)) void prefetch_tracked(struct request *batch, unsigned count) {
    for (struct request *request = batch; request < batch + count; request++)
        if (request->lone_key)
            request->tracked_bucket =
                tracking_prefetch_bucket(&stripes.all[request->stripe], request->hash[request->lone_key]);
}

static void prefetch_records(struct request *batch, unsigned done, unsigned count) {
    if (!(batch[done].command->flags & CMD_READONLY)) return;
    for (struct request *request = batch + done; request < batch + count; request++) {
        const struct tracked_bucket *bucket = request->lone_key ? request->tracked_bucket : NULL;
        request->tracked_place = bucket ? tracking_prefetch_record(bucket, request->hash[request->lone_key])
                                        : NULL;
    }
}

static __attribute__((noinline)) unsigned run_plain_tracked(struct call *call, struct request *batch,
                                                            unsigned done, unsigned count) {
    prefetch_records(batch, done, count);
    return run_plain_as(PLAIN_TRACKED, call, batch, done, count);
}

/* Nothing that is raised concerns it but that its client tracks whatever it reads, and no journal is open. */
static bool tracked_path(const struct call *call, const struct command *command) {
    return (command->gates & executor_of(call)->gates) == GATE_MASK(MODE_TRACKED) && !journal_listens() &&
           tracked_always(call->client);
}

/* Of a request of several keys, whose buckets prepare_request has asked for: no more than the second cache has room for. */
enum { ENTRIES_AHEAD = 64 };

static __attribute__((noinline)) void prefetch_several(const struct request *request, unsigned db) {
    uint32_t count = request->key_count < ENTRIES_AHEAD ? request->key_count : ENTRIES_AHEAD;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = request->hash[request->keys[i].arg];
        const struct keyspace *keyspace = stripes.all[stripe_index(hash)].keyspace;
        keyspace_prefetch_entry(keyspace, keyspace_prefetch_bucket(keyspace, db, hash), hash);
    }
}

static void prefetch_entries(const struct request *batch, unsigned count, unsigned db) {
    for (const struct request *request = batch; request < batch + count; request++)
        if (request->lone_key)
            keyspace_prefetch_entry(stripes.all[request->stripe].keyspace, request->bucket,
                                    request->hash[request->lone_key]);
        else if (request->key_count > 1)
            prefetch_several(request, db);
}

static void share_part(struct executor *executor, const struct time_share *share, uint64_t nanoseconds) {
    metric_add(&executor->metrics.commands[share->command].nanoseconds, nanoseconds * share->requests);
    if (config.latency_tracking)
        histogram_note(&executor->histograms, share->command, nanoseconds, share->requests);
}

/* Commands that are not timed one by one share the batch's time evenly: they cost about the same. */
static void share_time(struct executor *executor) {
    uint64_t now = clock_monotonic_ns(),
             spent = now > executor->clock.timed_ns ? now - executor->clock.timed_ns : 0;
    const struct time_share *shares = executor->shares, *end = shares + executor->share_count;
    uint32_t requests = 0;
    executor->clock.timed_ns = now;
    if (executor->gates & GATE_MASK(MODE_TIMED)) return;
    for (const struct time_share *share = shares; share < end; share++) requests += share->requests;
    uint64_t each = requests > 1 ? spent / requests : spent;
    for (const struct time_share *share = shares; share < end; share++) share_part(executor, share, each);
}

unsigned dispatch_batch(struct executor *executor, struct client *client, struct reply *reply,
                        unsigned count) {
    struct call *call = &executor->call;
    struct request *batch = executor->batch;
    unsigned done = 0;
    bool held = false, recorded = executor->effects.journal && journal_listens();
    bool looked = tracked_always(client);
    assert(count <= BATCH_REQUESTS && executor_of(call) == executor);
    if (count == 0) return 0;
    if (executor->effects.journal) durable_prepare(executor);
    if (looked) prefetch_tracked(batch, count);
    if (count > 1 || batch->key_count > 1) prefetch_entries(batch, count, client->db);
    call->client = client;
    call->reply = reply;
    debug_assert(!call->held && !call->again && call->want == &executor->want);
    set_time(executor);
    call->db = client->db;
    executor->gates = gates_for(executor, client);
    executor->effects.tracking.own.client_id = client->id;
    executor->share_count = executor->set_aside = 0;
    executor->effects.keeps_expired = pause_until_ms() > executor->effects.now_ms;
    while (done < count && !held) {
        if (batch[done].plain && fast_path(call, batch[done].command)) {
            done = recorded                                 ? run_plain_recorded(call, batch, done, count)
                   : batch[done].command->flags & CMD_FEEDS ? run_plain_feeding(call, batch, done, count)
                                                            : run_plain(call, batch, done, count);
        } else if (batch[done].plain && tracked_path(call, batch[done].command)) {
            if (!looked) prefetch_tracked(batch + done, count - done);
            looked = true;
            done = run_plain_tracked(call, batch, done, count);
        } else {
            held = run_request(call, &batch[done]) == HELD;
            done += !held;
            if (client->flags & CLIENT_BLOCKED) break; /* what stands behind it waits with it */
        }
    }
    debug_assert(!call->effects->ready.first && !call->waits);
    debug_assert(done <= count && call->reply == reply && call->client == client);
    if (done + held) client_set(client->last_command, batch[done + held - 1].command);
    assert(executor->set_aside <= done);
    metric_add(&executor->metrics.commands_processed, done - executor->set_aside);
    metric_add(&executor->requests, done);
    client_set(client->commands, client->commands + done);
    executor->effects.tracking.own.client_id = 0;
    if (!executor->effects.replay_ms) share_time(executor);
    call->arg_blocks = NULL;
    call->arg_block_count = 0;
    return done;
}

void dispatch_held(struct executor *executor, struct client *client, struct reply *reply, unsigned count,
                   const struct stripe_set *held) {
    struct call *call = &executor->call;
    assert(count <= BATCH_REQUESTS && executor->effects.replay_ms && !executor->effects.journal);
    assert(!call->wait && !call->held);
    call->client = client;
    call->reply = reply;
    call->held = held;
    set_time(executor);
    executor->gates = 0;
    for (unsigned i = 0; i < count; i++) {
        open_call(call, &executor->batch[i]);
        call->db = client->db;
        dispatch_run(call);
        mute_end(reply);
        prepare_trim(&executor->batch[i]);
    }
    call->held = NULL;
    call->arg_blocks = NULL;
    call->arg_block_count = 0;
}
