/* watchdog.c - a shard that sleeps and a shard that hangs look the same from outside, so each is woken and
 * must be seen to have gone around by the next look. While one of them saves or loads, the others may wait for it. */
#include "server/process/watchdog.h"

#include "server/journal/snapshot.h"
#include "server/loop/shard.h"

static uint64_t seen[MAX_SHARDS]; /* turns at the last look */
static uint64_t worked;           /* what saving and loading had done then */
static bool looked;

/* Best effort: a shard that could not be woken is asked about again the next time. */
static void wake_all(void) {
    for (unsigned i = 0; i < shard_count; i++) (void)io_wake_fd(mailboxes[i].wake_fd);
}

bool watchdog_shards_turn(void) {
    bool turned = true;
    for (unsigned i = 0; i < shard_count; i++) {
        uint64_t turns = metric_get(&shards[i].exec.metrics.ring_turns);
        turned &= !looked || turns != seen[i];
        seen[i] = turns;
    }
    turned |= snapshot_work() != worked;
    worked = snapshot_work();
    looked = true;
    wake_all();
    return turned;
}
