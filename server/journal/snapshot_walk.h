/* snapshot_walk.h - a snapshot in the background: the cut through all stripes, and the walk of each.
 *
 *     snapshot_start(&order, now_ms)      all stripes are locked: this is the moment that the file shows
 *     snapshot_walk(stripe)               whoever owns the stripe, again and again, its lock held
 *     order.ended(...)                    the file is there, or it failed
 *
 * Commands go on meanwhile: what they change is shown before (store/snapshot.h). */
#ifndef KEVY_SERVER_JOURNAL_SNAPSHOT_WALK_H
#define KEVY_SERVER_JOURNAL_SNAPSHOT_WALK_H

#include "server/journal/snapshot_writer.h"

/* All stripes are locked, or there are no threads to use them. Whoever calls it then sees to it that all owners look (
 * post_look_again). 0, or a negative errno: -EBUSY where one is under way, -ENOMEM, or there is no thread to be had. */
int snapshot_start(const struct snapshot_order *order, int64_t now_ms);
/* Is one under way, from its cut to its end? Any thread. */
bool snapshot_is_under_way(void);

enum snapshot_walked {
    SNAPSHOT_WALK_DONE,  /* nothing is to be done for this stripe */
    SNAPSHOT_WALK_MORE,  /* at once */
    SNAPSHOT_WALK_WAITS, /* when the writer has caught up */
};
/* A bounded step of a stripe's walk; its lock is held. */
enum snapshot_walked snapshot_walk(struct stripe *stripe);

/* What this stripe has shown goes to the writer, though it fills no part: for when copies take too much (snapshot_is_full),
 * and this stripe's walk may be far away. Its lock is held. */
void snapshot_hand_over(struct stripe *stripe);

/* Ends it at once, without a file, and waits for the writer. All stripes are locked, or there are no threads to use them. */
void snapshot_give_up(void);

/* Do copies take more than snapshot-memory-limit? Then those who change something are to wait. Any thread. */
bool snapshot_is_full(void);

#endif
