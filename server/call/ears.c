/* ears.c - who listens to changes, and what each of them hears. */
#include "server/call/effect.h"

#include "protocol/text.h"
#include "server/call/gate.h"
#include "server/clients/pubsub.h"
#include "server/config/config.h"
#include "server/stripes/tracking.h"
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

/* Which marks of the stripe get the request's ticket. Who listens to more than the journal hears of it at once. What time
 * alone has done shows what was changed before: that it had a time. */
static void note_marks(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (e->kind == EFFECT_MISSED || e->due) {
        effects_show_key(x, e->key.hash);
        return;
    }
    if (e->kind == EFFECT_FLUSHED || e->kind == EFFECT_SWAPPED)
        effects_mark_stripe(x, stripe);
    else
        effects_mark(x, e->key.hash);
    if (stripe->ears & (EAR_EVENTS | EAR_TRACKED | EAR_BROADCAST)) effects_claim(x);
}

/* What has expired is recorded as DEL or HDEL, in its place: by whoever has noticed, and before what that does. Of other
 * changes the command that made them is recorded, when it has run (server/exec/dispatch.c). */
static void tell_journal(struct effects *x, struct stripe *stripe, const struct effect *e) {
    assert(x->journal);
    x->recorded += e->count;
    if (journal_holds()) note_marks(x, stripe, e);
    if (e->kind != EFFECT_EXPIRED && e->kind != EFFECT_ELEMENT_EXPIRED) return;
    bool key = e->kind == EFFECT_EXPIRED;
    struct bytes argv[] = {key ? BYTES("DEL") : BYTES("HDEL"), e->key.name, e->name};
    struct record_command del = {.argv = argv, .argc = key ? 2 : 3};
    queue_add(x->journal, e->db, &del);
    x->overdue++;
}

/* May this end the wait of somebody who waits for a stream? That one was there for him: what adds to it is told of, and
 * what it takes away. */
static bool concerns_streams(const struct effects *x, const struct stripe *stripe, const struct effect *e) {
    switch (e->kind) {
    case EFFECT_DELETED:
    case EFFECT_MOVED:
    case EFFECT_EXPIRED: assert(!x->walks); return true;
    case EFFECT_EVENT: return e->event == EVENT_XGROUP_DESTROY;
    case EFFECT_CHANGED: break;
    default: return false;
    }
    if (e->event == EVENT_XADD) return true;
    const struct entry *changed = keyspace_find(stripe->keyspace, e->db, e->key);
    return changed && entry_type(changed) != TYPE_STREAM;
}

/* A key that is created as a list, a sorted set or a stream may be what somebody waits for. As in Redis, it is looked at
 * when the command has ended, whatever it is by then, and not at all if nobody waits for any key of the type with
 * which it begins. */
static bool begins_what_is_waited_for(const struct stripe *stripe, const struct effect *e) {
    const struct entry *created = keyspace_find(stripe->keyspace, e->db, e->key);
    enum entry_type type = created ? entry_type(created) : TYPE_STRING;
    bool kind = type == TYPE_LIST || type == TYPE_ZSET || type == TYPE_STREAM;
    return kind && waiters_any((uint8_t)type);
}

static void tell_waiters(struct effects *x, struct stripe *stripe, const struct effect *e) {
    bool streams = waiters_any(TYPE_STREAM);
    if (e->kind == EFFECT_SWAPPED) waiters_ready_all(stripe, &x->ready, e->db, e->other_db);
    if (e->kind == EFFECT_FLUSHED && streams) waiters_ready_all(stripe, &x->ready, e->db, e->db);
    bool ready = e->kind == EFFECT_CREATED ? begins_what_is_waited_for(stripe, e)
                                           : streams && concerns_streams(x, stripe, e);
    if (ready) waiters_ready(stripe, &x->ready, e->db, e->key);
}

/* ---- Events --------------------------------------------------------------------------------------- */

static const struct {
    char class;
    const char *name;
} events[] = {
    {0, NULL},
#define EVENT(id, class, name) {class, name},
#include "server/call/events.def"
#undef EVENT
};

enum {
    CHANNEL_SHORT = 256,     /* bytes of names that most do with */
    CHANNEL_PREFIX_MAX = 64, /* of what stands before the key or the event */
};

/* "__keyspace@0__:key" is told the event, "__keyevent@0__:event" the key. Without memory nobody is told. */
static void publish(const struct effects *x, const char *kind, const struct effect *e, struct bytes about,
                    struct bytes payload) {
    char memory[CHANNEL_SHORT];
    struct text name = text_growing(memory, sizeof memory, CHANNEL_PREFIX_MAX + about.len);
    text_format(&name, "__%s@%u__:", kind, e->db);
    text_add(&name, about);
    if (!name.cut) {
        struct channel_name channel = {text_bytes(&name), hash_bytes(&stripes.seed, text_bytes(&name))};
        (void)pubsub_publish(x->wakes, CHANNEL_PLAIN, &channel, payload);
    }
    text_free(&name);
}

static void tell_subscribers(const struct effects *x, const struct effect *e) {
    int64_t asked = config.notify_keyspace_events;
    if (e->event == EVENT_NONE || !channels_any()) return;
    struct bytes event = bytes_of(events[e->event].name);
    const char *letter = strchr(NOTIFY_LETTERS, events[e->event].class);
    assert(letter && *letter);
    if (!(asked >> (letter - NOTIFY_LETTERS) & 1)) return;
    if (asked & NOTIFY_KEYSPACE) publish(x, "keyspace", e, e->key.name, event);
    if (asked & NOTIFY_KEYEVENT) publish(x, "keyevent", e, event, e->key.name);
    if (pubsub_is_full()) gate_raise(GATE_MESSAGES);
}

void effects_publish(void) {
    bool on = config.notify_keyspace_events & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT);
    for (unsigned i = 0; i < stripes.count; i++) {
        uint32_t *ears = &stripes.all[i].ears;
        *ears = on ? *ears | EAR_EVENTS : *ears & ~(uint32_t)EAR_EVENTS;
    }
}

/* ---- What clients have read ----------------------------------------------------------------------- */

static bool is_other_now(const struct effect *e) {
    return e->kind == EFFECT_CHANGED || e->kind == EFFECT_DELETED || e->kind == EFFECT_MOVED ||
           e->kind == EFFECT_EXPIRED;
}

void effects_invalidate(struct effects *x, struct stripe *stripe, struct tracked *tracked) {
    struct readers readers = tracked_readers(tracked);
    invalidation_key(&x->tracking, tracked_name(tracked), &readers);
    tracking_free(stripe, tracked);
    if (invalidation_is_full()) gate_raise(GATE_MESSAGES);
}

/* That everything is gone is said once for all stripes: call_emptied_databases. */
static void tell_readers(struct effects *x, struct stripe *stripe, const struct effect *e) {
    struct tracked *tracked = is_other_now(e) ? tracking_take(stripe, e->key) : NULL;
    if (tracked) effects_invalidate(x, stripe, tracked);
    if (e->kind == EFFECT_FLUSHED) tracking_clear(stripe);
}

/* Who wanted to know may have left since the stripe was told that somebody does. */
static void tell_of_prefixes(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (!trackers_prefix_count()) {
        stripe->ears &= ~(uint32_t)EAR_BROADCAST;
    } else if (is_other_now(e)) {
        /* That its time has come is nobody's doing, whoever noticed it. */
        invalidation_note(&x->tracking, e->key.name,
                          e->kind == EFFECT_EXPIRED ? 0 : x->tracking.own.client_id);
        if (invalidation_is_full()) gate_raise(GATE_MESSAGES);
    }
}

void effects_broadcast(void) {
    for (unsigned i = 0; trackers_prefix_count() && i < stripes.count; i++)
        stripes.all[i].ears |= EAR_BROADCAST;
}

void effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (stripe->ears & EAR_WATCH) tell_watchers(x, stripe, e);
    if (stripe->ears & EAR_JOURNAL) tell_journal(x, stripe, e);
    if (stripe->ears & EAR_WAITERS) tell_waiters(x, stripe, e);
    if (stripe->ears & EAR_EVENTS && !x->replay_ms) tell_subscribers(x, e);
    if (stripe->ears & EAR_TRACKED) tell_readers(x, stripe, e);
    if (stripe->ears & EAR_BROADCAST && !x->replay_ms) tell_of_prefixes(x, stripe, e);
}
