/* watchdog.c - a shard that sleeps and a shard that hangs look the same from outside, so each is woken and
 * must be seen to have gone around by the next look. */
#include "server/process/watchdog.h"

#include "server/loop/shard.h"
#include "server/op.h"
#include "uring/prep.h"

static uint64_t seen[MAX_SHARDS]; /* turns at the last look */
static bool looked;

/* Best effort: a shard that could not be woken is asked about again the next time. */
static void wake_all(struct ring *ring) {
    for (unsigned i = 0; i < shard_count; i++) {
        struct io_uring_sqe *sqe;
        if (ring_sqe_room(ring) == 0) ring_submit(ring);
        sqe = ring_sqe(ring);
        if (!sqe) break;
        prep_msg_ring(sqe, shards[i].ring.fd, 0, op_pack(OP_WAKE, 0, 0), op_pack(OP_NONE, 0, 0));
    }
    unsigned done;
    do { /* more shards than completions have room at once: the kernel keeps the others back until these are read */
        ring_wait(ring, 0, 0, UINT64_MAX);
        done = ring_ready(ring);
        ring_advance(ring, done);
    } while (done);
}

bool watchdog_shards_turn(struct ring *ring) {
    bool turned = true;
    for (unsigned i = 0; i < shard_count; i++) {
        uint64_t turns = metric_get(&shards[i].exec.metrics.ring_turns);
        turned &= !looked || turns != seen[i];
        seen[i] = turns;
    }
    looked = true;
    wake_all(ring);
    return turned;
}
