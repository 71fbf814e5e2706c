/* blocking.c - waits: they begin, are served, and end.
 *
 * A wait is one allocation: who waits, his request, a link for each key, and the post that tells of the end, so that this
 * cannot fail for memory. */
#include "server/exec/blocking.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/exec/dispatch.h"
#include "server/exec/nested.h"
#include "server/exec/parcel.h"
#include "server/exec/saved.h"
#include "server/exec/slowlog.h"
#include "server/report/errorstats.h"
#include "server/stripes/waiters.h"
#include "store/values/element.h"

struct blocked {
    struct waiter waiter; /* first: what stands in lists leads here */
    struct post post;
    struct deadline deadline;
    struct saved *saved; /* its request */
    struct wait wait;    /* what the handler asked for */
    struct parcel reply; /* written by whoever serves it */
    uint64_t spent_ns;   /* in its command, before and behind the wait */
    uint64_t client_id;
    unsigned db; /* its session, as it was: it may not change while it waits */
    uint32_t flags;
    uint8_t resp;
    struct blocked *disk_prev, *disk_next; /* among disk_waits, if it has wait.passed */
    uint32_t link_count;
    struct waiter_link links[];
};
_Static_assert(offsetof(struct blocked, waiter) == 0, "a waiter is found at its wait's address");

static struct blocked *blocked_of(struct waiter *waiter) {
    return (struct blocked *)(void *)waiter;
}

/* ---- For the disk --------------------------------------------------------------------------------- */

/* It counts itself before it looks how far the log has come; the log's thread says so first, and then looks who is counted:
 * one of the two sees the other. */
static void await_disk(struct executor *executor, struct blocked *blocked) {
    struct disk_waits *waits = &executor->disk_waits;
    assert(!blocked->disk_prev && !blocked->disk_next);
    appender_await();
    blocked->disk_prev = waits->last;
    if (waits->last)
        waits->last->disk_next = blocked;
    else
        waits->first = blocked;
    waits->last = blocked;
    waits->seen = 0; /* it was not looked at */
}

static void leave_disk(struct executor *executor, struct blocked *blocked) {
    struct disk_waits *waits = &executor->disk_waits;
    appender_await_no_more();
    if (waits->next == blocked) waits->next = blocked->disk_next;
    if (blocked->disk_next)
        blocked->disk_next->disk_prev = blocked->disk_prev;
    else
        waits->last = blocked->disk_prev;
    if (blocked->disk_prev)
        blocked->disk_prev->disk_next = blocked->disk_next;
    else
        waits->first = blocked->disk_next;
}

struct client *blocking_passed(struct executor *executor) {
    struct disk_waits *waits = &executor->disk_waits;
    if (!waits->next && blocking_has_news(executor)) {
        waits->seen = appender_news();
        waits->next = waits->first;
    }
    while (waits->next) {
        struct blocked *blocked = waits->next;
        waits->next = blocked->disk_next;
        bool over = blocked->wait.passed(&blocked->wait);
        if (over && wait_claim(blocked->waiter.client, WAIT_ENDED)) return blocked->waiter.client;
    }
    return NULL;
}

/* ---- Beginning ------------------------------------------------------------------------------------ */

static struct blocked *blocked_new(const struct call *call) {
    const struct wait *wait = call->wait;
    struct client *client = call->client;
    struct blocked *blocked = calloc(1, sizeof *blocked + wait->key_count * sizeof *blocked->links);
    if (!blocked) return NULL;
    blocked->saved = saved_copy(call, SIZE_MAX / 2);
    if (!blocked->saved) {
        free(blocked);
        return NULL;
    }
    unsigned target = wait->target ? stripe_index(call->hash[wait->target]) : STRIPE_NONE;
    blocked->waiter = (struct waiter){client, wait->type, target};
    blocked->post = (struct post){.kind = POST_WAIT, .client = client};
    blocked->wait = *wait;
    blocked->client_id = client->id;
    blocked->db = call->db;
    blocked->flags = client->flags;
    blocked->resp = call->reply->resp;
    blocked->link_count = wait->key_count;
    blocked->spent_ns = wait->spent_ns;
    return blocked;
}

static void blocked_free(struct blocked *blocked) {
    assert(blocked->deadline.place == 0);
    parcel_close(&blocked->reply);
    saved_free(blocked->saved);
    free(blocked->wait.noted);
    free(blocked);
}

static bool link_all(struct blocked *blocked, const struct call *call) {
    for (uint32_t i = 0; i < blocked->link_count; i++) {
        struct waiter_link *link = &blocked->links[i];
        link->waiter = &blocked->waiter;
        link->arg = blocked->wait.first_key + i;
        struct stripe *stripe = stripe_of(call->hash[link->arg]);
        assert(call_holds(call, (unsigned)(stripe - stripes.all)));
        if (!waiters_link(stripe, blocked->db, call_key(call, link->arg), link)) return false;
    }
    return true;
}

static void unlink_held(struct blocked *blocked, const struct call *call) {
    for (uint32_t i = 0; i < blocked->link_count; i++) {
        struct waiter_link *link = &blocked->links[i];
        if (link->key && call_holds(call, stripe_index(waiters_key(link->key).hash))) waiters_unlink(link);
    }
}

static bool set_deadline(struct blocked *blocked, struct executor *executor) {
    uint64_t span_us;
    if (blocked->wait.timeout_ms == 0) return true;
    if (__builtin_mul_overflow((uint64_t)blocked->wait.timeout_ms, 1000, &span_us) ||
        __builtin_add_overflow(clock_monotonic_us(), span_us, &blocked->deadline.at_us))
        return true; /* beyond the end of time */
    return deadlines_add(&executor->deadlines, &blocked->deadline);
}

void blocking_begin(struct call *call) {
    struct client *client = call->client;
    struct executor *executor = executor_of(call);
    assert(call->waits && !client->waiter && wait_state_of(client) == WAIT_NONE);
    call->waits = false;
    struct blocked *blocked = blocked_new(call);
    if (!blocked) free(call->wait->noted);
    if (!blocked || !link_all(blocked, call) || !set_deadline(blocked, executor)) {
        if (blocked) unlink_held(blocked, call), blocked_free(blocked);
        call_out_of_memory(call);
        return;
    }
    client_set(client->flags, client->flags | CLIENT_BLOCKED);
    client->waiter = &blocked->waiter;
    waiters_begun(blocked->waiter.type);
    if (blocked->wait.timeout_ms) metric_add(&executor->metrics.timed_waits, 1);
    if (blocked->wait.passed) await_disk(executor, blocked);
    wait_open(client);
    /* It was named before it began to wait: what is pushed from now on is not for it. */
    if (__atomic_load_n(&client->killed, __ATOMIC_SEQ_CST)) (void)!wait_claim(client, WAIT_KILLED);
}

/* ---- Serving -------------------------------------------------------------------------------------- */

enum { REPLY_OVERHEAD = 192 }; /* bytes of headers, and of a score */

/* What it has read itself and changes as it is served, it is told behind its reply. */
static void tell_own(struct blocked *blocked, struct invalidator *tracking) {
    bool muted = blocked->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
    invalidation_tell_own(tracking, NULL, muted ? NULL : &blocked->reply.reply);
    buffer_free(&tracking->own.keys);
}

/* A call of its request, within one that holds all that it takes. */
static struct call call_of(const struct call *outer, const struct blocked *blocked, struct client *as,
                           struct reply *reply) {
    *as = (struct client){.id = blocked->client_id,
                          .flags = blocked->flags,
                          .db = (uint16_t)blocked->db,
                          .resp = blocked->resp};
    struct call call = nested_call(outer, blocked->saved, as, reply);
    call.noted = blocked->wait.noted;
    return call;
}

/* Is there something for it in this key, which holds a value of its type? */
static bool is_due(const struct call *outer, const struct blocked *blocked, uint32_t arg) {
    struct client as;
    if (!blocked->wait.due) return true;
    struct call call = call_of(outer, blocked, &as, outer->reply);
    return blocked->wait.due(&call, arg);
}

/* Runs its request for this key alone, or, where that is lost, says so. */
static void run_served(struct call *outer, struct blocked *blocked, uint32_t arg, bool lost) {
    const struct saved *saved = blocked->saved;
    struct client as;
    struct call call = call_of(outer, blocked, &as, &blocked->reply.reply);
    call.logged = false;
    uint64_t recorded = call.effects->recorded, start_ns = clock_monotonic_ns();
    struct invalidator *tracking = &call.effects->tracking;
    struct own outer_own = tracking->own;
    tracking->own = (struct own){.client_id = blocked->client_id};
    if (lost)
        blocked->wait.lost(call.reply);
    else
        blocked->wait.serve(&call, arg);
    if (invalidation_has_own(tracking)) tell_own(blocked, tracking);
    tracking->own = outer_own;
    uint64_t taken_ns = clock_monotonic_ns() - start_ns;
    assert(call.logged || !call.effects->journal || call.effects->recorded == recorded);
    blocked->spent_ns += taken_ns;
    metric_add(&call.effects->metrics->commands[saved->command->id].nanoseconds, taken_ns);
    executor_of(outer)->clock.timed_ns += taken_ns; /* what is timed already is no part of the batch's time */
    if (call.reply->errors) dispatch_note_errors(&call);
}

/* Claims, and only then pops: of those who end the same wait one does it. The post goes last. */
static void serve(struct call *call, struct waiter_link *link, bool lost) {
    struct blocked *blocked = blocked_of(link->waiter);
    struct client *client = link->waiter->client;
    struct parcel reply;
    unsigned shard = client->shard;
    size_t room = REPLY_OVERHEAD + ELEMENT_INLINE_MAX + blocked->saved->argv[link->arg].len;
    if (!parcel_open(&reply, blocked->resp, room)) return; /* who waits, waits on */
    if (!wait_claim(client, WAIT_SERVED)) {
        parcel_close(&reply);
        return;
    }
    blocked->reply = reply;
    run_served(call, blocked, link->arg, lost);
    unlink_held(blocked, call);
    assert(shard < mailbox_count);
    effects_number(call->effects); /* its client may ask at once whether it is on the disk */
    blocked->post.ticket = call->effects->wakes->shows;
    post_push(&mailboxes[shard], &blocked->post);
    wakes_add(call->effects->wakes, shard);
}

/* Serves one of those who wait for the key, whose entry is this one, or who is told that there is none for him any more. */
static void serve_link(struct call *call, struct waiter_link *link, const struct entry *e) {
    const struct blocked *blocked = blocked_of(link->waiter);
    if (e && link->waiter->type == entry_type(e)) {
        if (is_due(call, blocked, link->arg)) serve(call, link, false);
    } else if (blocked->wait.lost) {
        serve(call, link, true);
    }
}

/* While it has what somebody waits for; of a key that has gone some are told. */
static void serve_key(struct call *call, const struct waiting_key *waiting) {
    struct key key = waiters_key(waiting);
    unsigned db = waiters_db(waiting);
    assert(call_holds(call, stripe_index(key.hash)));
    for (struct waiter_link *link = waiters_first(waiting), *next; link; link = next) {
        const struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, db, key);
        if (e && entry_expired(e, call->effects->now_ms)) e = NULL;
        if (!e && !waiters_any(TYPE_STREAM)) return;
        next = link->next;
        serve_link(call, link, e);
    }
}

/* What serving creates becomes ready behind what is ready already, as in Redis. */
void blocking_serve(struct call *call) {
    for (struct waiting_key *waiting; (waiting = waiters_take(&call->effects->ready));) {
        serve_key(call, waiting);
        waiters_taken(waiting);
    }
}

/* ---- Ending --------------------------------------------------------------------------------------- */

/* Nobody else touches it any more. Where it was served for its only key, there is nothing to lock. */
static void release(struct executor *executor, struct blocked *blocked) {
    struct client *client = blocked->waiter.client;
    struct stripe_set set = {{0}};
    assert(client->waiter == &blocked->waiter && wait_state_of(client) != WAIT_WAITING);
    for (uint32_t i = 0; i < blocked->link_count; i++)
        if (blocked->links[i].key)
            stripe_set_add(&set, stripe_index(waiters_key(blocked->links[i].key).hash));
    stripe_set_lock(&set);
    for (uint32_t i = 0; i < blocked->link_count; i++)
        if (blocked->links[i].key) waiters_unlink(&blocked->links[i]);
    stripe_set_unlock(&set);
    deadlines_remove(&executor->deadlines, &blocked->deadline);
    if (blocked->wait.passed) leave_disk(executor, blocked);
    if (blocked->wait.timeout_ms) metric_take(&executor->metrics.timed_waits, 1);
    waiters_over(blocked->waiter.type);
    client->waiter = NULL;
    wait_close(client);
    blocked_free(blocked);
}

struct client *blocking_expired(struct executor *executor) {
    for (struct deadline *first; (first = deadlines_first(&executor->deadlines));) {
        struct blocked *blocked =
            (struct blocked *)(void *)((char *)first - offsetof(struct blocked, deadline));
        if (first->at_us > executor->clock.now_us) return NULL;
        deadlines_remove(&executor->deadlines, first);
        if (wait_claim(blocked->waiter.client, WAIT_ENDED)) return blocked->waiter.client;
    }
    return NULL;
}

/* Who is unblocked counts as having failed, as in Redis; whose time is over does not. */
static void count_end(struct executor *executor, struct client *client, struct blocked *blocked,
                      enum wait_state state) {
    const struct saved *saved = blocked->saved;
    struct call call = {.command = saved->command,
                        .argv = saved->argv,
                        .argc = saved->argc,
                        .client = client,
                        .effects = &executor->effects};
    if (state == WAIT_REFUSED) metric_add(&executor->metrics.error_replies, 1);
    if (state == WAIT_REFUSED) errorstats_note(BYTES("UNBLOCKED"));
    if (state == WAIT_REFUSED || state == WAIT_TIMED_OUT)
        metric_add(&executor->metrics.commands[saved->command->id].failed, 1);
    effects_set_time(&executor->effects, executor->clock.now_ms);
    if (state != WAIT_ENDED && config.latency_tracking)
        histogram_note(&executor->histograms, saved->command->id, blocked->spent_ns, 1);
    if (state != WAIT_ENDED) slowlog_add(&call, blocked->spent_ns);
}

static void write_end(struct blocked *blocked, enum wait_state state, struct reply *reply) {
    if (state == WAIT_SERVED)
        parcel_send(&blocked->reply, reply);
    else if (state == WAIT_REFUSED)
        reply_error(reply, "UNBLOCKED client unblocked via CLIENT UNBLOCK");
    else if (blocked->wait.ended)
        blocked->wait.ended(reply, &blocked->wait);
    else
        blocked->wait.over(reply);
}

uint64_t blocking_shows(const struct client *client) {
    bool served = wait_state_of(client) == WAIT_SERVED;
    if (blocked_of(client->waiter)->wait.ended) return 0; /* it shows no data */
    return served ? blocked_of(client->waiter)->post.ticket : journal_next();
}

void blocking_answer(struct executor *executor, struct client *client, struct reply *reply) {
    struct blocked *blocked = blocked_of(client->waiter);
    enum wait_state state = wait_state_of(client);
    bool muted = client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP);
    assert(state == WAIT_SERVED || state == WAIT_TIMED_OUT || state == WAIT_REFUSED || state == WAIT_ENDED);
    count_end(executor, client, blocked, state);
    if (!muted) write_end(blocked, state, reply);
    release(executor, blocked);
    client_set(client->flags, client->flags & ~(uint32_t)(CLIENT_BLOCKED | CLIENT_REPLY_SKIP));
}

bool blocking_leave(struct executor *executor, struct client *client) {
    if (!client->waiter) return true;
    if (!wait_claim(client, WAIT_ENDED) && wait_state_of(client) != WAIT_KILLED) return false;
    blocking_drop(executor, client);
    return true;
}

void blocking_drop(struct executor *executor, struct client *client) {
    release(executor, blocked_of(client->waiter));
    client_set(client->flags, client->flags & ~(uint32_t)CLIENT_BLOCKED);
}

bool blocking_unblock(struct wakes *wakes, struct client *client, bool error) {
    if (!wait_claim(client, error ? WAIT_REFUSED : WAIT_TIMED_OUT)) return false;
    /* It stays until the post has come. */
    struct post *post = &blocked_of(client->waiter)->post;
    unsigned shard = client->shard;
    post_push(&mailboxes[shard], post);
    wakes_add(wakes, shard);
    return true;
}
