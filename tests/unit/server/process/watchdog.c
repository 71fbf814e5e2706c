/* The look at whether shards turn: by turns that a test counts itself. */
#include "server/process/watchdog.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "server/journal/snapshot.h"
#include "tests/unit/server_fixture.h"

enum { SHARDS = 20 };

static void open_shards(void) {
    fixture_open(SHARDS);
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK((mailboxes[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0);
}

static void close_shards(void) {
    for (unsigned i = 0; i < SHARDS; i++) close(mailboxes[i].wake_fd);
    fixture_close();
}

static void turn(unsigned first, unsigned end) {
    for (unsigned i = first; i < end; i++) metric_add(&shards[i].exec.metrics.ring_turns, 1);
}

/* Every shard is asked to turn once. */
static void take_wakes(void) {
    for (unsigned i = 0; i < SHARDS; i++) {
        uint64_t count;
        CHECK(read(mailboxes[i].wake_fd, &count, sizeof count) == (ssize_t)sizeof count && count == 1);
    }
}

static void shards_that_have_turned_since_the_last_look_are_well(void) {
    open_shards();
    CHECK(watchdog_shards_turn()); /* there was no look before */
    take_wakes();
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn());
    take_wakes();
    turn(0, SHARDS);
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn());
    take_wakes();
    /* A look in which nobody has turned, and then each but one. */
    CHECK(!watchdog_shards_turn());
    take_wakes();
    static const unsigned hanging[] = {0, 7, SHARDS - 1};
    for (size_t i = 0; i < sizeof hanging / sizeof *hanging; i++) {
        turn(0, hanging[i]);
        turn(hanging[i] + 1, SHARDS);
        CHECK(!watchdog_shards_turn());
        take_wakes();
    }
    /* It comes back: that it hung is forgotten. */
    turn(0, SHARDS);
    CHECK(watchdog_shards_turn());
    take_wakes();
    close_shards();
}

/* Who saves holds all stripes, and others may wait for them. */
static void who_saves_is_at_work(void) {
    open_shards();
    CHECK(watchdog_shards_turn() || true); /* what was seen before is forgotten */
    take_wakes();
    CHECK(!watchdog_shards_turn());
    take_wakes();
    CHECK(chdir("/tmp") == 0);
    struct snapshot_load load = {.only_looks = true, .now_ms = 1700000000000};
    char name[] = "kevy-watchdog-XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0 && write(file, "REDIS0003\xff", 10) == 10);
    char option[64];
    snprintf(option, sizeof option, "dbfilename %s\n", name);
    options_set(option);
    CHECK(snapshot_load(&load) == SNAPSHOT_LOADED);
    CHECK(unlink(name) == 0 && close(file) == 0);
    CHECK(watchdog_shards_turn());
    take_wakes();
    CHECK(!watchdog_shards_turn());
    close_shards();
}

int main(void) {
    RUN(shards_that_have_turned_since_the_last_look_are_well);
    RUN(who_saves_is_at_work);
    return 0;
}
