/* ears.c - who listens to changes, and what each of them hears. */
#include "server/call/effect.h"

#include "server/stripes/watch.h"

/* Watchers want to know what is other than it was, not that nobody found a key. That a key has expired EXEC sees itself, if
 * it was there when it was watched; if it was not, nothing is other than it was. */
static void tell_watchers(const struct effects *x, struct stripe *stripe, const struct effect *e) {
    switch (e->kind) {
    case EFFECT_CHANGED:
    case EFFECT_DELETED:
    case EFFECT_MOVED: watch_touch(stripe, e->db, e->key); break;
    case EFFECT_FLUSHED: watch_touch_flush(stripe, e->db, x->now_ms); break;
    case EFFECT_SWAPPED: watch_touch_swap(stripe, e->db, e->other_db, x->now_ms); break;
    case EFFECT_CREATED:
    case EFFECT_EXPIRED:
    case EFFECT_ELEMENT_EXPIRED:
    case EFFECT_EVENT:
    case EFFECT_MISSED: break;
    }
}

/* What has expired is recorded as DEL or HDEL, in its place: by whoever has noticed, and before what that does. Of other
 * changes the command that made them is recorded, when it has run (server/exec/dispatch.c). */
static void tell_journal(struct effects *x, const struct effect *e) {
    assert(x->journal);
    x->recorded += e->count;
    if (e->kind != EFFECT_EXPIRED && e->kind != EFFECT_ELEMENT_EXPIRED) return;
    bool key = e->kind == EFFECT_EXPIRED;
    struct bytes argv[] = {key ? BYTES("DEL") : BYTES("HDEL"), e->key.name, e->name};
    struct record_command del = {.argv = argv, .argc = key ? 2 : 3};
    queue_add(x->journal, e->db, &del);
}

/* A key that is created as a list or a sorted set may be what somebody waits for. As in Redis, it is looked at when the
 * command has ended, whatever it is by then, and not at all if nobody waits for any key of the type that it begins as. */
static void tell_waiters(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (e->kind == EFFECT_SWAPPED) waiters_ready_all(stripe, &x->ready, e->db, e->other_db);
    if (e->kind != EFFECT_CREATED) return;
    const struct entry *created = keyspace_find(stripe->keyspace, e->db, e->key);
    bool kind = created && (entry_type(created) == TYPE_LIST || entry_type(created) == TYPE_ZSET);
    if (kind && waiters_any((uint8_t)entry_type(created))) waiters_ready(stripe, &x->ready, e->db, e->key);
}

void effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (stripe->ears & EAR_WATCH) tell_watchers(x, stripe, e);
    if (stripe->ears & EAR_JOURNAL) tell_journal(x, e);
    if (stripe->ears & EAR_WAITERS) tell_waiters(x, stripe, e);
}
