/* The look at whether shards turn: over real rings, by turns that a test counts itself. */
#include "server/process/watchdog.h"

#include "server/op.h"
#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

enum { SHARDS = 20 };

static struct ring caller;

/* More shards than the caller's submission queue has room for. */
static void open_rings(void) {
    fixture_open(SHARDS);
    open_ring(&caller,
              (struct ring_options){
                  .sq_entries = 4, .cq_entries = 8, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1});
    for (unsigned i = 0; i < SHARDS; i++) open_ring(&shards[i].ring, small_ring);
}

static void close_rings(void) {
    for (unsigned i = 0; i < SHARDS; i++) ring_close(&shards[i].ring);
    ring_close(&caller);
    fixture_close();
}

static void turn(unsigned first, unsigned end) {
    for (unsigned i = first; i < end; i++) metric_add(&shards[i].exec.metrics.ring_turns, 1);
}

/* Every shard is asked to turn once, and nobody is by accident not. */
static void take_wakes(void) {
    for (unsigned i = 0; i < SHARDS; i++) {
        CHECK_INT(op_of(next_completion(&shards[i].ring).user_data), OP_WAKE);
        CHECK(quiet(&shards[i].ring));
    }
    CHECK(quiet(&caller)); /* and the caller is left no completions */
}

static void shards_that_have_turned_since_the_last_look_are_well(void) {
    open_rings();
    CHECK(watchdog_shards_turn(&caller)); /* there was no look before */
    take_wakes();
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn(&caller));
    take_wakes();
    turn(0, SHARDS);
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn(&caller));
    take_wakes();
    /* A look in which nobody has turned, and then each but one. */
    CHECK(!watchdog_shards_turn(&caller));
    take_wakes();
    static const unsigned hanging[] = {0, 7, SHARDS - 1};
    for (size_t i = 0; i < sizeof hanging / sizeof *hanging; i++) {
        turn(0, hanging[i]);
        turn(hanging[i] + 1, SHARDS);
        CHECK(!watchdog_shards_turn(&caller));
        take_wakes();
    }
    /* It comes back: that it hung is forgotten. */
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn(&caller));
    take_wakes();
    close_rings();
}

int main(void) {
    RUN(shards_that_have_turned_since_the_last_look_are_well);
    return 0;
}
