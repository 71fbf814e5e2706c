/* BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH: what they wait for, and what they give; tests/wire has their words. */
#include "tests/unit/waiting_fixture.h"

static uint64_t changes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < stripes.count; i++) sum += stripes.all[i].changes;
    return sum;
}

static void what_is_there_is_taken_at_once(void) {
    begin();
    EXPECT(0, "rpush a 1 2 3 4 5 6 7 8", ":8\r\n");
    EXPECT(0, "blpop nothing a 0", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    EXPECT(0, "brpop a 0", "*2\r\n$1\r\na\r\n$1\r\n8\r\n");
    EXPECT(0, "blmpop 0 2 nothing a right count 2", "*2\r\n$1\r\na\r\n*2\r\n$1\r\n7\r\n$1\r\n6\r\n");
    EXPECT(0, "blmove a b left right 0", "$1\r\n2\r\n");
    EXPECT(0, "brpoplpush a b 0", "$1\r\n5\r\n");
    EXPECT(0, "lrange b 0 -1", "*2\r\n$1\r\n5\r\n$1\r\n2\r\n");
    CHECK_INT(changes(), 8 + 1 + 1 + 2 + 1 + 1);
    end();
}

static void both_ends_and_several_elements(void) {
    begin();
    WAITS(0, "brpop k 0");
    WAITS(1, "blmpop 0 2 j k right count 2");
    WAITS(2, "blmpop 0 1 k left count 100");
    EXPECT(3, "rpush k 1 2 3 4 5", ":5\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\n5\r\n");
    TOLD(1, "*2\r\n$1\r\nk\r\n*2\r\n$1\r\n4\r\n$1\r\n3\r\n");
    TOLD(2, "*2\r\n$1\r\nk\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    EXPECT(3, "exists k", ":0\r\n");
    end();
}

/* As in Redis: one element is none, several are what they are. */
static void changes_of_those_who_waited(void) {
    static const struct {
        const char *line;
        uint64_t changes;
    } cases[] = {{"blpop k 0", 2},
                 {"brpop k 0", 2},
                 {"blmove k j left left 0", 2},
                 {"brpoplpush k k 0", 2},
                 {"blmpop 0 1 k left count 2", 4},
                 {"blmpop 0 1 k left", 3}};
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_BYTES(ask(&peers[0], cases[i].line), BYTES(""));
        uint64_t before = changes();
        EXPECT(3, "rpush k 1 2", ":2\r\n");
        CHECK_INT(changes() - before, cases[i].changes);
        take_mail(0);
        (void)take_sent(&peers[0]);
        ask(&peers[3], "del k");
        ask(&peers[3], "del j");
    }
    end();
}

static void a_large_element_is_not_copied(void) {
    begin();
    struct block *block = block_new_zeroed(4 * PIN_MIN, 4 * PIN_MIN);
    WAITS(0, "blpop k 0");
    struct executor *executor = &shards[1].exec;
    struct request_parser parser = {0};
    size_t used;
    struct bytes line = BYTES("rpush k v\n");
    CHECK(request_parse(&parser, &shards->limits, line, &executor->batch[0].args, &used) == REQUEST_READY);
    CHECK(prepare_request(executor, &peers[1].client, &executor->batch[0], NULL));
    executor->batch[0].args.argv[2] = block_bytes(block);
    executor->call.arg_blocks = &block;
    executor->call.arg_block_count = 1;
    CHECK_INT(dispatch_batch(executor, &peers[1].client, &peers[1].output.reply, 1), 1);
    CHECK(block_shared(block)); /* by who is served, alone */
    take_mail(0);
    struct bytes sent = take_sent(&peers[0]);
    CHECK_INT(sent.len, strlen("*2\r\n$1\r\nk\r\n$65536\r\n\r\n") + 4 * PIN_MIN);
    CHECK(!block_shared(block));
    block_release(block);
    end();
}

static void words_that_are_wrong_do_not_wait(void) {
    begin();
    EXPECT(0, "blpop k -1", "-ERR timeout is negative\r\n");
    EXPECT(0, "blpop k 1e300", "-ERR timeout is negative\r\n");
    EXPECT(0, "brpop k x", "-ERR timeout is not a float or out of range\r\n");
    EXPECT(0, "blmove a b up left 0", "-ERR syntax error\r\n");
    EXPECT(0, "blmpop 0 2 k left", "-ERR syntax error\r\n");
    EXPECT(0, "blmpop x 1 k left", "-ERR timeout is not a float or out of range\r\n");
    EXPECT(0, "brpoplpush a b -0.1", "-ERR timeout is negative\r\n");
    CHECK(!waits(&peers[0]));
    WAITS(0, "blpop k -0.0005"); /* rounds up to none: for ever */
    end();
}

int main(void) {
    RUN(what_is_there_is_taken_at_once);
    RUN(both_ends_and_several_elements);
    RUN(changes_of_those_who_waited);
    RUN(a_large_element_is_not_copied);
    RUN(words_that_are_wrong_do_not_wait);
    return 0;
}
