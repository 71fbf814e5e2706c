/* XREAD and XREADGROUP that wait: whom an entry serves, and who is told that his stream or group has gone. */
#include "tests/unit/waiting_fixture.h"

#define ENTRY(id) "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
#define GONE      "-UNBLOCKED the stream key no longer exists\r\n"

static void an_entry_serves_all_who_read_and_one_of_a_group(void) {
    begin();
    EXPECT(3, "xadd s 1-1 a b", "$3\r\n1-1\r\n");
    EXPECT(3, "xgroup create s g $", "+OK\r\n");
    WAITS(0, "xread block 0 streams s $");
    WAITS(1, "xreadgroup group g c block 0 streams s >");
    WAITS(2, "xreadgroup group g d block 0 streams s >");
    EXPECT(3, "xadd s 2-1 a b", "$3\r\n2-1\r\n");
    TOLD(0, ENTRY("2-1"));
    TOLD(1, ENTRY("2-1"));
    EXPECT(3, "xadd s 3-1 a b", "$3\r\n3-1\r\n");
    TOLD(2, ENTRY("3-1"));
    end();
}

static void who_waits_for_a_group_is_told_that_it_has_gone(void) {
    static const char *const lines[] = {"del s", "set s x", "rename s t", "flushall"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        begin();
        EXPECT(3, "xgroup create s g $ mkstream", "+OK\r\n");
        WAITS(0, "xreadgroup group g c block 0 streams s >");
        ask(&peers[3], lines[i]);
        TOLD(0, GONE);
        end();
    }
    begin();
    EXPECT(3, "xgroup create s g $ mkstream", "+OK\r\n");
    WAITS(0, "xreadgroup group g c block 0 streams s >");
    EXPECT(3, "xgroup destroy s g", ":1\r\n");
    TOLD(0, "-NOGROUP the consumer group this client was blocked on no longer exists\r\n");
    end();
}

/* A command that holds one stripe after the other serves nobody: whoever looks next does. */
static void what_a_walk_finds_overdue_is_left(void) {
    begin();
    EXPECT(3, "rpush l 1", ":1\r\n");
    EXPECT(3, "xgroup create s1 g $ mkstream", "+OK\r\n");
    WAITS(0, "xreadgroup group g c block 0 streams s1 >");
    EXPECT(3, "pexpire s1 10", ":1\r\n");
    for (unsigned i = 0; i < PEER_SHARDS; i++) shards[i].exec.clock.now_ms += 10;
    EXPECT(3, "sort l by nosort get s*", "*1\r\n$-1\r\n");
    CHECK_INT(take_sent(&peers[0]).len, 0);
    EXPECT(3, "exists s1", ":0\r\n");
    TOLD(0, GONE);
    end();
}

int main(void) {
    RUN(an_entry_serves_all_who_read_and_one_of_a_group);
    RUN(what_a_walk_finds_overdue_is_left);
    RUN(who_waits_for_a_group_is_told_that_it_has_gone);
    return 0;
}
