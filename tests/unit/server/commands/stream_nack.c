/* XNACK: what it answers and counts as changes, and that memory which runs out leaves a group whole. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

/* Three entries; the first two have been delivered, the second one twice. */
static void add_three(void) {
    EXPECT("xadd s 1-0 a b\nxadd s 2-0 a b\nxadd s 3-0 a b\n", "$3\r\n1-0\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n");
    EXPECT("xgroup create s g 0\n", OK);
    EXPECT("xclaim s g c 0 1-0 force justid lastid 2-0\n", "*1\r\n$3\r\n1-0\r\n");
    EXPECT("xclaim s g c 0 2-0 force justid retrycount 2\n", "*1\r\n$3\r\n2-0\r\n");
}

#define FREE(id, count) "*4\r\n$3\r\n" id "\r\n$0\r\n\r\n:-1\r\n:" count "\r\n"
#define MOST            "9223372036854775807"

static void what_is_given_back_is_pending_for_nobody(void) {
    begin();
    add_three();
    EXPECT_CHANGES(2, "xnack s g silent ids 3 1-0 2-0 3-0\n", ":2\r\n");
    EXPECT("xpending s g - + 9\n", "*2\r\n" FREE("1-0", "0") FREE("2-0", "1"));
    EXPECT("xpending s g\n", "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*0\r\n");
    EXPECT_CHANGES(2, "xnack s g silent ids 2 1-0 2-0\n", ":2\r\n");
    EXPECT("xpending s g - + 9\n", "*2\r\n" FREE("1-0", "0") FREE("2-0", "0"));
    EXPECT_CHANGES(1, "xnack s g fail ids 1 2-0 retrycount 5\n", ":1\r\n");
    EXPECT_CHANGES(1, "xnack s g fatal ids 1 1-0\n", ":1\r\n");
    EXPECT("xpending s g - + 9\n", "*2\r\n" FREE("1-0", MOST) FREE("2-0", "5"));
    EXPECT_CHANGES(1, "xnack s g fail ids 2 3-0 4-0 force\n", ":1\r\n");
    EXPECT("xpending s g - + 9\n", "*3\r\n" FREE("1-0", MOST) FREE("2-0", "5") FREE("3-0", "0"));
    EXPECT("xgroup delconsumer s g c\n", ":0\r\n");
    EXPECT_CHANGES(1, "xack s g 2-0\n", ":1\r\n");
    EXPECT("xautoclaim s g d 3600000 0 justid\n",
           "*3\r\n$3\r\n0-0\r\n*2\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*0\r\n");
    EXPECT("xclaim s g e 0 1-0\nxnack s g fail ids 1 1-0\n",
           "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n");
    EXPECT("xpending s g 1-0 1-0 9\n", "*1\r\n" FREE("1-0", MOST)); /* no more than that */
    end();
}

static void what_is_gone_is_given_to_nobody(void) {
    begin();
    add_three();
    EXPECT("xnack s g fail ids 2 1-0 2-0\nxdel s 1-0\n", ":2\r\n:1\r\n");
    EXPECT_CHANGES(3, "xautoclaim s g d 0 0 justid\n",
                   "*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n2-0\r\n*1\r\n$3\r\n1-0\r\n");
    EXPECT("xgroup delconsumer s g d\nxpending s g\n", ":1\r\n*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    end();
}

/* Every other entry was pending for a consumer who is deleted. That takes more than a moment; but whoever gives such an
 * entry back does not hear of him. */
static void what_was_of_a_deleted_consumer_begins_anew(void) {
    enum { ENTRIES = 300 };
    char line[128];
    begin();
    EXPECT("xgroup create s g 0 mkstream\n", OK);
    for (int i = 1; i <= ENTRIES; i++) {
        int len = snprintf(line, sizeof line,
                           "xadd s %d-0 a b\nxclaim s g %c 0 %d-0 force justid retrycount 7\n", i,
                           i % 2 ? 'c' : 'd', i);
        (void)run((struct bytes){line, (size_t)len});
    }
    EXPECT("xgroup delconsumer s g c\n", ":150\r\n");
    EXPECT("xnack s g fail ids 2 1-0 299-0\n", ":0\r\n");
    EXPECT("xnack s g fail ids 2 1-0 299-0 force\n", ":2\r\n");
    EXPECT("xpending s g 1-0 1-0 9\n", "*1\r\n" FREE("1-0", "0"));
    EXPECT("xpending s g 299-0 299-0 9\n", "*1\r\n*4\r\n$5\r\n299-0\r\n$0\r\n\r\n:-1\r\n:0\r\n");
    end();
}

static void memory_that_runs_out_leaves_a_group_whole(void) {
    for (unsigned left = 0; left < 30; left++) {
        begin();
        add_three();
        EXPECT("copy s copied\n", ":1\r\n");
        (void)run_with(left, BYTES("xnack s g fail ids 3 1-0 2-0 3-0 force\n"));
        EXPECT("xnack s g fail ids 3 1-0 2-0 3-0 force\n", ":3\r\n");
        EXPECT("xgroup delconsumer s g c\nxack s g 1-0 2-0 3-0\n", ":0\r\n:3\r\n");
        EXPECT("xgroup delconsumer copied g c\n", ":2\r\n");
        end();
    }
}

int main(void) {
    RUN(what_is_given_back_is_pending_for_nobody);
    RUN(what_is_gone_is_given_to_nobody);
    RUN(what_was_of_a_deleted_consumer_begins_anew);
    RUN(memory_that_runs_out_leaves_a_group_whole);
    return 0;
}
