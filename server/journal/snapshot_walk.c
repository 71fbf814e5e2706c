/* snapshot_walk.c - each stripe has a part that is being filled, by the walk and by whoever changes what was not shown. */
#include "server/journal/snapshot_walk.h"

#include <errno.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "store/snapshot.h"

enum {
    HELD_IN_PART = 1 << 18, /* bytes: a part that holds more goes to the writer, full or not */
    WALK_BUDGET = 512,      /* entries and buckets of a step */
    WALK_AHEAD = 4 << 20,   /* bytes that may wait for the writer, and the walk goes on */
};

/* Under the stripe's lock. */
static struct walk {
    struct snapshot_part *part;
    bool under_way;
    bool steps; /* the walk shows, and nobody changes anything */
} walks[MAX_STRIPES];

static unsigned stripes_left; /* atomic: of which the walk has not come to its end */

bool snapshot_is_under_way(void) {
    return snapshot_writer_works();
}

static void give_part(struct walk *walk) {
    if (walk->part) snapshot_part_give(walk->part);
    walk->part = NULL;
}

/* Without memory the snapshot has failed. */
static void show(void *context, unsigned db, const struct entry *e) {
    struct walk *walk = context;
    if (snapshot_writer_failed()) return;
    if (!walk->part || !snapshot_part_add(walk->part, db, e, !walk->steps)) {
        give_part(walk);
        walk->part = snapshot_part_take();
        if (!walk->part) return;
        bool added = snapshot_part_add(walk->part, db, e, !walk->steps);
        assert(added);
        (void)added;
    }
    if (walk->part->held > HELD_IN_PART) give_part(walk);
}

/* ---- The cut -------------------------------------------------------------------------------------- */

static bool make_all(struct keyspace_snapshot *made[MAX_STRIPES]) {
    for (unsigned i = 0; i < stripes.count; i++) {
        assert(!walks[i].under_way && !walks[i].part);
        made[i] = keyspace_snapshot_new(stripes.all[i].keyspace, show, &walks[i]);
        if (made[i]) continue;
        while (i-- > 0) keyspace_snapshot_free(made[i]);
        return false;
    }
    return true;
}

int snapshot_start(const struct snapshot_order *order, int64_t now_ms) {
    struct keyspace_snapshot *made[MAX_STRIPES];
    if (snapshot_writer_works()) return -EBUSY;
    if (!make_all(made)) return -ENOMEM;
    int error = snapshot_writer_open(order, now_ms);
    for (unsigned i = 0; i < stripes.count && error; i++) keyspace_snapshot_free(made[i]);
    if (error) return error;
    __atomic_store_n(&stripes_left, stripes.count, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < stripes.count; i++) {
        walks[i].under_way = true;
        keyspace_snapshot_begin(stripes.all[i].keyspace, made[i]);
    }
    if (order->cut) order->cut(order->context);
    return 0;
}

/* ---- The walk ------------------------------------------------------------------------------------- */

static void end_walk(struct stripe *stripe, struct walk *walk) {
    assert(walk->under_way);
    keyspace_snapshot_end(stripe->keyspace);
    walk->under_way = false;
    give_part(walk);
    if (__atomic_sub_fetch(&stripes_left, 1, __ATOMIC_ACQ_REL) == 0) snapshot_writer_complete();
}

/* What waits for the writer is copies, too, and leaves room for those that changes need. */
static uint64_t ahead_at_most(void) {
    uint64_t limit = (uint64_t)config.snapshot_memory_limit;
    return limit && limit / 2 < WALK_AHEAD ? limit / 2 : WALK_AHEAD;
}

enum snapshot_walked snapshot_walk(struct stripe *stripe) {
    struct walk *walk = &walks[stripe - stripes.all];
    if (!walk->under_way) return SNAPSHOT_WALK_DONE;
    if (!snapshot_writer_failed()) {
        if (snapshot_progress().queued > ahead_at_most()) return SNAPSHOT_WALK_WAITS;
        walk->steps = true;
        bool more = keyspace_snapshot_walk(stripe->keyspace, WALK_BUDGET);
        walk->steps = false;
        if (more) return SNAPSHOT_WALK_MORE;
    }
    end_walk(stripe, walk);
    return SNAPSHOT_WALK_DONE;
}

void snapshot_hand_over(struct stripe *stripe) {
    give_part(&walks[stripe - stripes.all]);
}

void snapshot_give_up(void) {
    if (snapshot_writer_works()) {
        snapshot_writer_give_up();
        for (unsigned i = 0; i < stripes.count; i++)
            if (walks[i].under_way) end_walk(&stripes.all[i], &walks[i]);
    }
    snapshot_writer_join();
}

bool snapshot_is_full(void) {
    uint64_t limit = (uint64_t)config.snapshot_memory_limit;
    return limit && snapshot_writer_works() && snapshot_progress().bytes > limit;
}
