/* transaction.c - MULTI's queue and WATCH's keys.
 *
 * The queue is an array of saved requests. The stripes of their keys are gathered while queueing, so EXEC knows its
 * locks without looking at the queue again. Watched keys live in an open-addressing table keyed by the address of the
 * stripe's record (server/stripes/watch.h): watching a key twice notes its version once, however many are watched. */
#include "server/exec/transaction.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/call/gate.h"
#include "server/exec/saved.h"
#include "server/limits.h"
#include "server/stripes/watch.h"

enum {
    QUEUE_MIN = 4,
    WATCHED_MIN = 8,
};

struct watched {
    struct watch *watch; /* NULL: an empty slot */
    uint64_t version;    /* as it was when the key was watched */
    bool exists;         /* as it was then */
};

struct transaction {
    struct saved **queue;
    size_t count, capacity;
    size_t bytes;              /* of all that is queued, at most MAX_TRANSACTION_BYTES */
    struct stripe_set stripes; /* of the queued commands */
    bool failed;
    uint32_t flags; /* of all queued rows */
    struct watched *watched;
    size_t watched_count, watched_slots; /* slots: 0 or a power of two, at least a quarter of them empty */
};

static struct transaction *transaction_of(struct client *client) {
    if (!client->transaction) client->transaction = calloc(1, sizeof *client->transaction);
    return client->transaction;
}

/* An idle client pays for nothing. */
static void drop_if_idle(struct client *client) {
    struct transaction *t = client->transaction;
    if (!t || t->watched_count || (client->flags & CLIENT_MULTI)) return;
    assert(t->count == 0);
    free(t->queue);
    free(t->watched);
    free(t);
    client->transaction = NULL;
}

/* ---- The queue ------------------------------------------------------------------------------------ */

bool transaction_begin(struct client *client) {
    assert(!(client->flags & CLIENT_MULTI) && transaction_count(client) == 0);
    if (!transaction_of(client)) return false;
    client_set(client->flags, client->flags | CLIENT_MULTI);
    return true;
}

void transaction_fail(struct client *client) {
    assert(!(client->flags & CLIENT_MULTI) || client->transaction);
    if (client->flags & CLIENT_MULTI) client->transaction->failed = true;
}

bool transaction_failed(const struct client *client) {
    return client->transaction && client->transaction->failed;
}

uint32_t transaction_flags(const struct client *client) {
    return client->transaction ? client->transaction->flags : 0;
}

size_t transaction_count(const struct client *client) {
    return client->transaction ? client->transaction->count : 0;
}

struct saved *transaction_take(struct client *client, size_t index) {
    struct transaction *t = client->transaction;
    assert(index < t->count && t->queue[index]);
    struct saved *saved = t->queue[index];
    assert(t->bytes >= saved->size);
    t->queue[index] = NULL;
    t->bytes -= saved->size;
    return saved;
}

void transaction_end(struct client *client) {
    struct transaction *t = client->transaction;
    client_set(client->flags, client->flags & ~(uint32_t)CLIENT_MULTI);
    if (!t) return;
    for (size_t i = 0; i < t->count; i++)
        if (t->queue[i]) saved_free(transaction_take(client, i));
    assert(t->bytes == 0);
    free(t->queue);
    t->queue = NULL;
    t->count = t->capacity = 0;
    client_set(client->queued, 0);
    client_set(client->queued_bytes, 0);
    t->stripes = (struct stripe_set){{0}};
    t->failed = false;
    t->flags = 0;
    drop_if_idle(client);
}

static bool queue_room(struct transaction *t) {
    if (t->count < t->capacity) return true;
    size_t capacity = t->capacity ? t->capacity * 2 : QUEUE_MIN;
    struct saved **queue = realloc(t->queue, capacity * sizeof(struct saved *));
    if (!queue) return false;
    t->queue = queue;
    t->capacity = capacity;
    return true;
}

bool transaction_queue(const struct call *call, const struct request *request) {
    struct client *client = call->client;
    struct transaction *t = client->transaction;
    assert(t && (client->flags & CLIENT_MULTI) && t->bytes <= MAX_TRANSACTION_BYTES);
    struct saved *saved = queue_room(t) ? saved_new(call, request, MAX_TRANSACTION_BYTES - t->bytes) : NULL;
    if (!saved) {
        t->failed = true;
        return false;
    }
    t->queue[t->count++] = saved;
    client_set(client->queued, (uint32_t)t->count);
    t->bytes += saved->size;
    client_set(client->queued_bytes, t->bytes);
    assert(t->bytes <= MAX_TRANSACTION_BYTES && t->count <= t->capacity);
    t->flags |= saved->command->flags;
    stripe_set_join(&t->stripes, &saved->stripes);
    return true;
}

/* ---- Watched keys --------------------------------------------------------------------------------- */

static struct watched *watched_slot(struct watched *table, size_t slots, const struct watch *watch) {
    debug_assert(slots && (slots & (slots - 1)) == 0);
    size_t i = (((uintptr_t)watch >> 4) * 0x9e3779b97f4a7c15ull >> 32) & (slots - 1);
    while (table[i].watch && table[i].watch != watch) i = (i + 1) & (slots - 1);
    return &table[i];
}

static bool watched_room(struct transaction *t) {
    if (t->watched_count + 1 <= t->watched_slots / 4 * 3) return true;
    size_t slots = t->watched_slots ? t->watched_slots * 2 : WATCHED_MIN;
    struct watched *table = calloc(slots, sizeof *table);
    if (!table) return false;
    for (size_t i = 0; i < t->watched_slots; i++)
        if (t->watched[i].watch) *watched_slot(table, slots, t->watched[i].watch) = t->watched[i];
    free(t->watched);
    t->watched = table;
    t->watched_slots = slots;
    return true;
}

bool transaction_watch(struct client *client, unsigned db, struct key key, bool exists) {
    struct transaction *t = transaction_of(client);
    struct stripe *stripe = stripe_of(key.hash);
    struct watch *watch = t && watched_room(t) ? watch_acquire(stripe, db, key) : NULL;
    if (!watch) {
        drop_if_idle(client);
        return false;
    }
    struct watched *slot = watched_slot(t->watched, t->watched_slots, watch);
    if (slot->watch) {
        watch_release(stripe, watch); /* watched before: that version counts */
    } else {
        *slot = (struct watched){watch, watch_version(watch), exists};
        t->watched_count++;
        assert(t->watched_count < t->watched_slots); /* a search ends at an empty slot */
    }
    return true;
}

/* A key that existed counts as changed where it has expired, or elements of its value have, whether these are deleted yet
 * or not. One that did not exist, and is an expired entry now, came by SWAPDB: nobody could ever read it. */
static bool is_dirty(const struct watched *watched, int64_t now_ms) {
    if (watch_version(watched->watch) != watched->version) return true;
    if (!watched->exists) return false;
    struct key key = watch_key(watched->watch);
    const struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, watch_db(watched->watch), key);
    return !e || entry_is_due(e, now_ms);
}

bool transaction_dirty(const struct client *client, int64_t now_ms) {
    const struct transaction *t = client->transaction;
    for (size_t i = 0; t && i < t->watched_slots; i++)
        if (t->watched[i].watch && is_dirty(&t->watched[i], now_ms)) return true;
    return false;
}

void transaction_unwatch(struct client *client) {
    struct transaction *t = client->transaction;
    if (!t) return;
    size_t released = 0;
    for (size_t i = 0; i < t->watched_slots; i++) {
        struct watch *watch = t->watched[i].watch;
        if (watch) watch_release(stripe_of(watch_key(watch).hash), watch), released++;
    }
    assert(released == t->watched_count);
    free(t->watched);
    t->watched = NULL;
    t->watched_count = t->watched_slots = 0;
    drop_if_idle(client);
}

static void watched_stripes(const struct transaction *t, struct stripe_set *set) {
    for (size_t i = 0; i < t->watched_slots; i++)
        if (t->watched[i].watch) stripe_set_add(set, stripe_index(watch_key(t->watched[i].watch).hash));
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

static bool is_for_outside(const struct command *command) {
    return command->flags & CMD_NO_MULTI;
}
static enum verdict ask_outside(const struct call *call, struct text *why) {
    if (!(call->client->flags & CLIENT_MULTI)) return PASS;
    text_string(why, "ERR Command not allowed inside a transaction");
    return REFUSED;
}
GATE(outside) = {.bit = GATE_NO_MULTI, .flags = CLIENT_MULTI, .concerns = is_for_outside, .ask = ask_outside};

static bool is_queued(const struct command *command) {
    return !(command->flags & CMD_IMMEDIATE);
}
GATE(queued) = {.bit = MODE_QUEUE, .flags = CLIENT_MULTI, .concerns = is_queued};

/* ---- Both ----------------------------------------------------------------------------------------- */

void transaction_stripes(const struct client *client, struct stripe_set *set) {
    const struct transaction *t = client->transaction;
    if (!t) return;
    stripe_set_join(set, &t->stripes);
    watched_stripes(t, set);
}

void transaction_close(struct client *client) {
    struct stripe_set set = {{0}};
    if (client->transaction) watched_stripes(client->transaction, &set);
    stripe_set_lock(&set);
    transaction_unwatch(client);
    stripe_set_unlock(&set);
    transaction_end(client);
}
