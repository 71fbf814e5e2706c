/* WAIT: there are no replicas, so only its time ends it. */
#include "tests/unit/waiting_fixture.h"

static void none_is_there_at_once(void) {
    begin();
    EXPECT(0, "wait 0 0", ":0\r\n");
    EXPECT(0, "wait -1 0", ":0\r\n");
    EXPECT(0, "wait x 0", "-ERR value is not an integer or out of range\r\n");
    EXPECT(0, "wait 1 x", "-ERR timeout is not an integer or out of range\r\n");
    EXPECT(0, "wait 0 -1", "-ERR timeout is negative\r\n");
    end();
}

static void more_are_waited_for(void) {
    begin();
    WAITS(0, "wait 1 1");
    WAITS(4, "wait 1 0");
    shards[0].exec.clock.now_us = UINT64_MAX;
    CHECK(blocking_expired(&shards[0].exec) == &peers[0].client && !blocking_expired(&shards[0].exec));
    blocking_answer(&shards[0].exec, &peers[0].client, &peers[0].output.reply);
    CHECK_BYTES(take_sent(&peers[0]), BYTES(":0\r\n"));
    STILL(4);
    struct wakes wakes = {0};
    CHECK(blocking_unblock(&wakes, &peers[4].client, false));
    TOLD(4, ":0\r\n");
    end();
}

static void within_exec_nobody_waits(void) {
    begin();
    EXPECT(0, "multi", "+OK\r\n");
    EXPECT(0, "wait 1 0", "+QUEUED\r\n");
    EXPECT(0, "exec", "*1\r\n:0\r\n");
    end();
}

int main(void) {
    RUN(none_is_there_at_once);
    RUN(more_are_waited_for);
    RUN(within_exec_nobody_waits);
    return 0;
}
