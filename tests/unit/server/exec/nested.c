/* Commands within EXEC: they pass the gates, are counted, and see one time. */
#include "server/exec/nested.h"

#include "server/exec/pause.h"
#include "tests/unit/batch_fixture.h"

static unsigned asked;
static enum verdict answer;

static bool reads(const struct command *command) {
    return command->flags & CMD_READONLY;
}
static enum verdict ask(const struct call *call, struct text *why) {
    (void)call;
    asked++;
    text_string(why, "PLANTED not today");
    return answer;
}
GATE(planted) = {.bit = GATE_COUNT, .concerns = reads, .ask = ask};

static void gates_are_asked_within_exec_too(void) {
    begin(4);
    EXPECT("multi\nset k 1\nget k\nincr k\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n");
    gate_raise(GATE_COUNT); /* since then */
    asked = 0, answer = REFUSED;
    EXPECT("exec\n", "*3\r\n+OK\r\n-PLANTED not today\r\n:2\r\n");
    CHECK_INT(asked, 1);
    CHECK_INT(counted("get")->rejected, 1);
    CHECK_INT(counted("get")->calls, 0);
    CHECK_INT(counted("exec")->failed, 0);
    CHECK_INT(errors_of(BYTES("PLANTED")), 1);
    answer = PASS;
    EXPECT("multi\nget k\nexec\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n");
    CHECK_INT(asked, 3); /* when it was queued, and when it ran */
    gate_lower(GATE_COUNT);
    EXPECT("multi\nget k\nexec\n", "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n2\r\n");
    CHECK_INT(asked, 3);
    end();
}

/* EXEC has passed it for all of its queue. */
static void a_pause_that_begins_within_exec_holds_nothing_of_it(void) {
    begin(4);
    EXPECT("multi\nset k 1\nclient pause 100000 all\nget k\nexec\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n$1\r\n1\r\n");
    CHECK_BYTES(batch(BYTES("get k\n")), BYTES(""));
    CHECK_INT(done, 0);
    pause_end();
    end();
}

/* A key that was there when EXEC began is there until it ends, whatever takes long in it. */
static void time_stands_still_within_exec(void) {
    static const char *const slow[] = {"debug sleep 0.03", "keys *", "info"};
    begin(4);
    config.enable_debug_command = CONFIG_YES;
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        char lines[256];
        EXPECT("set k v px 20\n", "+OK\r\n");
        int64_t began_ms = shards->exec.effects.now_ms;
        int len = snprintf(lines, sizeof lines, "multi\n%s\ndebug sleep 0.03\n%s\nexists k\npttl k\nexec\n",
                           slow[i], slow[i]);
        struct bytes replies = batch((struct bytes){lines, (size_t)len});
        CHECK_INT(done, prepared);
        CHECK_BYTES(((struct bytes){replies.data + replies.len - 9, 9}), BYTES(":1\r\n:20\r\n"));
        CHECK(shards->exec.effects.now_ms >= began_ms + 30); /* it has gone on since */
        EXPECT("exists k\n", ":0\r\n");
    }
    EXPECT("multi\nset k v px 20\nflushall\ndebug sleep 0.03\nset k v px 20\npttl k\nexec\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
           "*5\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n:20\r\n");
    end();
}

/* An argument that has memory of its own becomes a value without being copied, and is that value's alone then. */
static void a_large_argument_is_never_copied(void) {
    begin(4);
    struct block *large = block_new_zeroed(DIRECT_READ_MIN, DIRECT_READ_MIN);
    struct request *request = &shards->exec.batch[1];
    struct request_parser parser = {0};
    size_t used;
    struct bytes first = BYTES("multi\n"), second = BYTES("set k v\n");
    CHECK(request_parse(&parser, &shards->limits, first, &shards->exec.batch[0].args, &used) ==
          REQUEST_READY);
    CHECK(request_parse(&parser, &shards->limits, second, &request->args, &used) == REQUEST_READY);
    CHECK(prepare_request(&shards->exec, &client, &shards->exec.batch[0], NULL) &&
          prepare_request(&shards->exec, &client, &shards->exec.batch[1], NULL));
    request->args.argv[2] = block_bytes(large);
    shards->exec.call.arg_blocks = &large;
    shards->exec.call.arg_block_count = 1;
    CHECK_INT(dispatch_batch(&shards->exec, &client, &output.reply, 2), 2);
    fixture_take(&output, &sent);
    CHECK_BYTES(buffer_bytes(&sent), BYTES("+OK\r\n+QUEUED\r\n"));
    CHECK(block_shared(large));
    block_release(large); /* as the connection does behind the batch */
    CHECK(!block_shared(large));
    EXPECT("exec\n", "*1\r\n+OK\r\n");
    uint64_t hash = hash_bytes(&stripes.seed, BYTES("k"));
    struct entry *e = keyspace_find(stripe_of(hash)->keyspace, 0, (struct key){BYTES("k"), hash});
    CHECK(e && entry_block(e) == large && !block_shared(large));
    end();
}

static void commands_within_exec_are_counted(void) {
    begin(4);
    EXPECT("set t x\nmulti\nincr n\nincr t\nselect 3\nset k 3\nexec\nget k\nselect 0\n",
           "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n:1\r\n"
           "-ERR value is not an integer or out of range\r\n+OK\r\n+OK\r\n$1\r\n3\r\n+OK\r\n");
    CHECK_INT(counted("incr")->calls, 2);
    CHECK_INT(counted("incr")->failed, 1);
    CHECK_INT(counted("exec")->calls, 1);
    CHECK_INT(counted("exec")->failed, 0);
    CHECK_INT(shards->exec.metrics.commands_processed, 5 + 4);
    end();
}

int main(void) {
    RUN(gates_are_asked_within_exec_too);
    RUN(a_pause_that_begins_within_exec_holds_nothing_of_it);
    RUN(time_stands_still_within_exec);
    RUN(a_large_argument_is_never_copied);
    RUN(commands_within_exec_are_counted);
    return 0;
}
