/* trackers.c - a hash table by the low halves of client ids, and a list of prefixes. */
#include "server/clients/trackers.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/lock_order.h"
#include "server/report/info.h"

enum { BUCKETS_MIN = 16 };

static struct {
    struct mutex mutex;
    struct tracker **buckets;
    uint32_t bucket_count; /* a power of two, or 0 */
    uint32_t count;        /* atomic for who has not the lock, as are: */
    struct prefix *prefixes;
    uint32_t tracking, prefix_count;
} trackers = {.mutex = MUTEX(LOCK_TRACKERS)};

void trackers_lock(void) {
    mutex_lock(&trackers.mutex);
}

void trackers_unlock(void) {
    mutex_unlock(&trackers.mutex);
}

uint32_t trackers_count(void) {
    return __atomic_load_n(&trackers.tracking, __ATOMIC_SEQ_CST);
}

uint32_t trackers_prefix_count(void) {
    return __atomic_load_n(&trackers.prefix_count, __ATOMIC_SEQ_CST);
}

static void change(uint32_t *field, uint32_t by) {
    __atomic_store_n(field, *field + by, __ATOMIC_SEQ_CST);
}

/* ---- The table ------------------------------------------------------------------------------------ */

static struct tracker **bucket_of(uint32_t number) {
    return &trackers.buckets[number & (trackers.bucket_count - 1)];
}

struct tracker *trackers_of(uint64_t id) {
    struct tracker *tracker = trackers.count ? *bucket_of((uint32_t)id) : NULL;
    while (tracker && tracker->id != id) tracker = tracker->next;
    return tracker;
}

struct tracker *trackers_find(uint32_t number) {
    struct tracker *tracker = trackers.count ? *bucket_of(number) : NULL;
    while (tracker && ((uint32_t)tracker->id != number || !tracker->tracks)) tracker = tracker->next;
    return tracker;
}

void trackers_each(void (*each)(void *context, struct tracker *tracker), void *context) {
    for (uint32_t i = 0; i < trackers.bucket_count; i++)
        for (struct tracker *tracker = trackers.buckets[i]; tracker; tracker = tracker->next)
            if (tracker->tracks) each(context, tracker);
}

struct prefix *trackers_prefixes(void) {
    return trackers.prefixes;
}

static bool grow(void) {
    if (trackers.count < trackers.bucket_count) return true;
    struct tracker **old = trackers.buckets;
    uint32_t old_count = trackers.bucket_count, grown_count = old_count ? 2 * old_count : BUCKETS_MIN;
    struct tracker **grown = calloc(grown_count, sizeof(struct tracker *));
    if (!grown) return false;
    trackers.buckets = grown;
    trackers.bucket_count = grown_count;
    for (uint32_t i = 0; i < old_count; i++) {
        for (struct tracker *tracker = old[i], *next; tracker; tracker = next) {
            struct tracker **bucket = bucket_of((uint32_t)tracker->id);
            next = tracker->next;
            tracker->next = *bucket;
            *bucket = tracker;
        }
    }
    free(old);
    return true;
}

/* The client's, made at need. NULL without memory. */
static struct tracker *acquire(const struct client *client) {
    struct tracker *tracker = trackers_of(client->id);
    if (tracker) return tracker;
    if (!grow() || !(tracker = calloc(1, sizeof *tracker))) return NULL;
    tracker->client = client;
    tracker->id = client->id;
    tracker->slot = client->slot;
    tracker->shard = client->shard;
    struct tracker **bucket = bucket_of((uint32_t)client->id);
    tracker->next = *bucket;
    *bucket = tracker;
    change(&trackers.count, 1);
    return tracker;
}

void trackers_settle(struct tracker *tracker) {
    if (tracker->tracks || tracker->redirected || tracker->owed) return;
    assert(!tracker->target && !tracker->prefixes);
    struct tracker **link = bucket_of((uint32_t)tracker->id);
    while (*link != tracker) link = &(*link)->next;
    *link = tracker->next;
    free(tracker);
    change(&trackers.count, UINT32_MAX);
    if (trackers.count) return;
    free(trackers.buckets);
    trackers.buckets = NULL;
    trackers.bucket_count = 0;
}

static void set_target(struct tracker *tracker, struct tracker *target) {
    struct tracker *old = tracker->target;
    if (target) target->redirected++;
    tracker->target = target;
    if (!old) return;
    assert(old->redirected > 0);
    old->redirected--;
    trackers_settle(old);
}

/* ---- Prefixes ------------------------------------------------------------------------------------- */

static struct prefix *prefix_find(struct bytes name) {
    struct prefix *prefix = trackers.prefixes;
    while (prefix && !bytes_equal(prefix->name, name)) prefix = prefix->next;
    return prefix;
}

static struct prefix *prefix_new(struct bytes name) {
    struct prefix *prefix = malloc(sizeof *prefix + name.len);
    if (!prefix) return NULL;
    *prefix = (struct prefix){.next = trackers.prefixes, .name = {prefix->text, name.len}};
    if (name.len) memcpy(prefix->text, name.data, name.len);
    if (trackers.prefixes) trackers.prefixes->prev = prefix;
    trackers.prefixes = prefix;
    change(&trackers.prefix_count, 1);
    return prefix;
}

static void prefix_settle(struct prefix *prefix) {
    if (prefix->members) return;
    if (prefix->next) prefix->next->prev = prefix->prev;
    if (prefix->prev)
        prefix->prev->next = prefix->next;
    else
        trackers.prefixes = prefix->next;
    free(prefix);
    change(&trackers.prefix_count, UINT32_MAX);
}

/* True too if it is one of its members already. */
static bool join(struct tracker *tracker, struct bytes name) {
    struct membership **link = &tracker->prefixes;
    while (*link && bytes_compare((*link)->prefix->name, name) < 0) link = &(*link)->next_of_tracker;
    if (*link && bytes_equal((*link)->prefix->name, name)) return true;
    struct membership *member = malloc(sizeof *member);
    struct prefix *prefix = member ? prefix_find(name) : NULL;
    if (member && !prefix) prefix = prefix_new(name);
    if (!prefix) {
        free(member);
        return false;
    }
    *member = (struct membership){
        .tracker = tracker, .prefix = prefix, .next = prefix->members, .next_of_tracker = *link};
    if (prefix->members) prefix->members->prev = member;
    prefix->members = member;
    *link = member;
    return true;
}

/* Ends a membership; the link is one of the tracker's. */
static void part(struct membership **link) {
    struct membership *member = *link;
    struct prefix *prefix = member->prefix;
    *link = member->next_of_tracker;
    if (member->next) member->next->prev = member->prev;
    if (member->prev)
        member->prev->next = member->next;
    else
        prefix->members = member->next;
    free(member);
    prefix_settle(prefix);
}

static bool is_member(const struct tracker *tracker, struct bytes name) {
    const struct membership *member = tracker->prefixes;
    while (member && !bytes_equal(member->prefix->name, name)) member = member->next_of_tracker;
    return member != NULL;
}

static void part_from(struct tracker *tracker, struct bytes name) {
    struct membership **link = &tracker->prefixes;
    while (*link && !bytes_equal((*link)->prefix->name, name)) link = &(*link)->next_of_tracker;
    if (*link) part(link);
}

/* All of these or none; `name` is "" where none is given. */
static bool join_all(struct tracker *tracker, const struct tracking_mode *mode) {
    static const struct bytes everything = {"", 0};
    const struct bytes *names = mode->prefix_count ? mode->prefixes : &everything;
    uint32_t joined = 0, total = mode->prefix_count ? mode->prefix_count : 1;
    if (!(mode->flags & CLIENT_BCAST)) return true;
    if (total == 1 && is_member(tracker, names[0])) return true;
    while (joined < total && join(tracker, names[joined])) joined++;
    if (joined == total) return true;
    while (joined > 0)
        part_from(tracker, names[--joined]); /* they are new: a client's prefixes do not overlap */
    return false;
}

/* ---- Beginning and ending ------------------------------------------------------------------------- */

bool trackers_begin(struct client *client, const struct tracking_mode *mode) {
    trackers_lock();
    struct tracker *tracker = acquire(client), *target = NULL;
    bool ok = tracker && (!mode->target || (target = acquire(mode->target))) && join_all(tracker, mode);
    if (ok) {
        if (!tracker->tracks) change(&trackers.tracking, 1);
        tracker->tracks = true;
        tracker->flags = mode->flags;
        set_target(tracker, target);
    } else {
        if (target) trackers_settle(target);
        if (tracker && tracker != target) trackers_settle(tracker);
    }
    trackers_unlock();
    return ok;
}

static void end(struct tracker *tracker) {
    while (tracker->prefixes) part(&tracker->prefixes);
    set_target(tracker, NULL);
    if (tracker->tracks) change(&trackers.tracking, UINT32_MAX);
    tracker->tracks = false;
}

void trackers_end(struct client *client) {
    trackers_lock();
    struct tracker *tracker = trackers_of(client->id);
    if (tracker) {
        end(tracker);
        trackers_settle(tracker);
    }
    trackers_unlock();
}

bool trackers_know(uint64_t id) {
    if (!__atomic_load_n(&trackers.count, __ATOMIC_SEQ_CST)) return false;
    trackers_lock();
    bool known = trackers_of(id) != NULL;
    trackers_unlock();
    return known;
}

void trackers_leave(struct client *client) {
    if (!__atomic_load_n(&trackers.count, __ATOMIC_SEQ_CST)) return;
    trackers_lock();
    struct tracker *tracker = trackers_of(client->id);
    if (tracker) {
        end(tracker);
        tracker->client = NULL;
        trackers_settle(tracker);
    }
    trackers_unlock();
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void measure_trackers(struct info *info) {
    info->figures.tracking_clients = trackers_count();
}
INFO_MEASURE(CLIENTS, measure_trackers);

static void measure_prefixes(struct info *info) {
    info->figures.tracking_total_prefixes = trackers_prefix_count();
}
INFO_MEASURE(STATS, measure_prefixes);
