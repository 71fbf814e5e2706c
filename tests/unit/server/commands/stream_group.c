/* XGROUP, XACK, XPENDING and XREADGROUP: what they answer and count as changes, and that memory which runs out leaves a
 * group whole. (How groups are kept: tests/unit/store/types/stream_groups.c.) */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

#define ENTRY(id)     "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
#define READ(entries) "*1\r\n*2\r\n$1\r\ns\r\n" entries

static void add_three(void) {
    EXPECT("xadd s 1-1 a b\nxadd s 2-1 a b\nxadd s 3-1 a b\n", "$3\r\n1-1\r\n$3\r\n2-1\r\n$3\r\n3-1\r\n");
}

static void entries_are_delivered_once_and_acknowledged(void) {
    begin();
    add_three();
    EXPECT_CHANGES(1, "xgroup create s g 0\n", OK);
    EXPECT_CHANGES(2, "xreadgroup group g c count 2 streams s >\n", READ("*2\r\n" ENTRY("1-1") ENTRY("2-1")));
    EXPECT_CHANGES(2, "xreadgroup group g d streams s >\n", READ("*1\r\n" ENTRY("3-1")));
    EXPECT_CHANGES(0, "xreadgroup group g d streams s >\n", "*-1\r\n");
    EXPECT("xpending s g\n", "*4\r\n:3\r\n$3\r\n1-1\r\n$3\r\n3-1\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n"
                             "*2\r\n$1\r\nd\r\n$1\r\n1\r\n");
    now_ms += 5;
    EXPECT("xpending s g - + 10 d\n", "*1\r\n*4\r\n$3\r\n3-1\r\n$1\r\nd\r\n:5\r\n:1\r\n");
    EXPECT("xpending s g idle 6 - + 10\n", "*0\r\n");
    EXPECT_CHANGES(1, "xreadgroup group g c streams s 1-1\n", READ("*1\r\n" ENTRY("2-1")));
    EXPECT("xpending s g 2-1 2-1 1\n", "*1\r\n*4\r\n$3\r\n2-1\r\n$1\r\nc\r\n:0\r\n:2\r\n");
    EXPECT_CHANGES(2, "xack s g 1-1 3-1 9-9\n", ":2\r\n");
    EXPECT_CHANGES(0, "xack s none 1-1\nxack none g 1-1\n", ":0\r\n:0\r\n");
    EXPECT_CHANGES(1, "xdel s 2-1\n", ":1\r\n");
    EXPECT("xreadgroup group g c streams s 0\n", READ("*1\r\n*2\r\n$3\r\n2-1\r\n*-1\r\n"));
    EXPECT_CHANGES(1, "xgroup delconsumer s g c\n", ":1\r\n");
    EXPECT("xpending s g\n", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    end();
}

static void groups_are_made_and_changed(void) {
    begin();
    EXPECT_CHANGES(1, "xgroup create s g $ mkstream entriesread 7\n", OK);
    static const struct exchange table[] = {
        {"xgroup create s g 0", "-BUSYGROUP Consumer Group name already exists\r\n"},
        {"xgroup create none g 0",
         "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
         "MKSTREAM option to create an empty stream automatically.\r\n"},
        {"xgroup create s h 0 entriesread -2", "-ERR value for ENTRIESREAD must be positive or -1\r\n"},
        {"xgroup create s h x", "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"xgroup create s h 0 more",
         "-ERR unknown subcommand or wrong number of arguments for 'create'. Try XGROUP HELP.\r\n"},
        {"xgroup setid s h 0", "-NOGROUP No such consumer group 'h' for key name 's'\r\n"},
        {"xgroup setid s g 5-5 entriesread 3", OK},
        {"xgroup createconsumer s g c", ":1\r\n"},
        {"xgroup createconsumer s g c", ":0\r\n"},
        {"xinfo groups s",
         "*1\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:1\r\n$7\r\npending\r\n:0\r\n"
         "$17\r\nlast-delivered-id\r\n$3\r\n5-5\r\n$12\r\nentries-read\r\n:3\r\n$3\r\nlag\r\n:0\r\n"},
        {"xreadgroup group g c streams s $",
         "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
         "consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just "
         "return an "
         "empty result set.\r\n"},
        {"xreadgroup group h c streams s >",
         "-NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option\r\n"},
        {"xpending s h", "-NOGROUP No such key 's' or consumer group 'h'\r\n"},
        {"xpending s g - +", SYNTAX_ERROR},
        {"xgroup destroy s g", ":1\r\n"},
        {"xgroup destroy s g", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* Who gets an error has changed nothing, or it was a consumer that came to be. */
static void memory_that_runs_out_leaves_a_group_whole(void) {
    for (unsigned left = 0; left < 40; left++) {
        begin();
        add_three();
        EXPECT("xgroup create s g 0\n", OK);
        struct bytes reply = run_with(left, BYTES("xreadgroup group g c streams s >\n"));
        if (reply.data[0] == '*') {
            EXPECT("xack s g 1-1 2-1 3-1\n", ":3\r\n");
        } else {
            EXPECT("xreadgroup group g d streams s >\n",
                   READ("*3\r\n" ENTRY("1-1") ENTRY("2-1") ENTRY("3-1")));
        }
        end();
    }
}

int main(void) {
    RUN(entries_are_delivered_once_and_acknowledged);
    RUN(groups_are_made_and_changed);
    RUN(memory_that_runs_out_leaves_a_group_whole);
    return 0;
}
