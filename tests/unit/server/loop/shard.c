/* What a shard opens and gives back. */
#include "server/loop/shard.h"

#include <dirent.h>

#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

static unsigned descriptors(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir);
    while (readdir(dir)) count++;
    closedir(dir);
    return count;
}

static void a_shard_that_was_never_opened_runs_requests_and_closes(void) {
    fixture_open(3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_INT(shards[i].index, i);
        CHECK_INT(shards[i].exec.index, i);
        CHECK(shards[i].mailbox == &mailboxes[i] && mailboxes[i].wake_fd == -1);
        CHECK(!shards[i].io.open && !shards[i].stop);
    }
    struct conn *conn = fixture_conn(&shards[2]);
    fixture_conn_close(conn);
    fixture_close();
}

static void opening_takes_what_closing_gives_back(void) {
    fixture_open(2);
    unsigned before = descriptors();
    for (unsigned i = 0; i < 2; i++) must(shard_open(&shards[i], &fixture_place), "shard_open");
    CHECK(descriptors() > before);
    CHECK(shards[1].io.open && mailboxes[1].wake_fd == shards[1].io.wake_fd);
    CHECK(shards[1].stop && shards[1].io.buffers.count == RECEIVE_BUFFERS);
    for (unsigned i = 0; i < 2; i++) shard_close(&shards[i]);
    CHECK_INT(descriptors(), before);
    fixture_close();
}

/* Before AUTH a request may be small, and none is read in its own way. */
static void limits_are_tighter_before_authentication(void) {
    fixture_open(1);
    options_set("proto-max-bulk-len 2mb\n");
    struct shard shard;
    shard_init(&shard, 0);
    CHECK_INT(shard.limits.max_bulk, 2 << 20);
    CHECK_INT(shard.limits.bulk_min, DIRECT_READ_MIN);
    CHECK_INT(shard.limits_unauthenticated.max_bulk, MAX_BULK_UNAUTHENTICATED);
    CHECK_INT(shard.limits_unauthenticated.max_args, MAX_REQUEST_ARGS_UNAUTHENTICATED);
    CHECK(shard.limits_unauthenticated.max_bulk < shard.limits_unauthenticated.bulk_min);
    CHECK(shard.limits.authenticated && !shard.limits_unauthenticated.authenticated);
    shard_close(&shard);
    fixture_close();
}

int main(void) {
    RUN(a_shard_that_was_never_opened_runs_requests_and_closes);
    RUN(opening_takes_what_closing_gives_back);
    RUN(limits_are_tighter_before_authentication);
    return 0;
}
