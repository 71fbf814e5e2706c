/* Batches of requests through rows, gates, locks and handlers, without a connection. */
#include "server/exec/dispatch.h"

#include "server/exec/monitor.h"
#include "server/exec/pause.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"
#include "tests/unit/server_fixture.h"

static struct client client;
static struct output output;
static struct buffer sent;
static unsigned prepared, done;

static void begin(unsigned shard_total) {
    fixture_open(shard_total);
    metrics_reset();
    client = (struct client){.resp = 2};
    CHECK(clients_add(&client));
    output_open(&output, &shards->chunks);
}

static void end(void) {
    transaction_close(&client);
    clients_remove(&client);
    output_close(&output);
    buffer_free(&sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(stripes.all[i].lock == 0 && !stripes.all[i].watches);
    fixture_close();
}

/* One batch of requests, a line each. Returns what the client is sent. */
static struct bytes batch(struct bytes lines) {
    struct request_parser parser = {0};
    buffer_free(&sent);
    for (prepared = 0; lines.len; prepared++) {
        size_t used;
        CHECK(prepared < BATCH_REQUESTS);
        struct request *request = &shards->exec.batch[prepared];
        CHECK(request_parse(&parser, &shards->limits, lines.data, lines.len, &request->args, &used) ==
              REQUEST_READY);
        CHECK(dispatch_prepare(&client, request, NULL));
        lines.data += used, lines.len -= used;
    }
    done = dispatch_batch(&shards->exec, &client, &output.reply, prepared);
    fixture_take(&output, &sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].lock, 0);
    return buffer_bytes(&sent);
}

#define EXPECT(lines, replies)                                                                               \
    do {                                                                                                     \
        CHECK_BYTES(batch(BYTES(lines)), BYTES(replies));                                                    \
        CHECK_INT(done, prepared);                                                                           \
    } while (0)

static const struct command_metrics *counted(const char *name) {
    const struct command *command = command_find_name(bytes_of(name));
    CHECK(command);
    return &shards->exec.metrics.commands[command->id];
}

/* What an error code was counted. */
static uint64_t errors_of(struct bytes code) {
    static struct errorstat list[ERRORSTATS_MAX];
    unsigned count = errorstats_list(list);
    for (unsigned i = 0; i < count; i++)
        if (bytes_equal((struct bytes){list[i].code, list[i].code_len}, code)) return list[i].count;
    return 0;
}

static void nothing_is_done_with_an_empty_batch(void) {
    begin(1);
    CHECK_INT(dispatch_batch(&shards->exec, &client, &output.reply, 0), 0);
    end();
}

#define MIXED                                                                                                \
    "set a 1\nincr a\nget a\nping\nmset b x c y\nmget a b c\nget nothing\ndel a b c\nget a\nincr b\nincr "   \
    "b\n"
#define MIXED_REPLIES                                                                                        \
    "+OK\r\n:2\r\n$1\r\n2\r\n+PONG\r\n+OK\r\n*3\r\n$1\r\n2\r\n$1\r\nx\r\n$1\r\ny\r\n$-1\r\n:3\r\n$-1\r\n"    \
    ":1\r\n:2\r\n"

static void replies_come_in_the_order_of_the_requests(void) {
    for (unsigned shard_total = 1; shard_total <= 4; shard_total *= 2) {
        begin(shard_total);
        EXPECT(MIXED, MIXED_REPLIES);
        CHECK_INT(shards->exec.metrics.commands_processed, 11);
        CHECK_INT(client.commands, 11);
        CHECK(client.last_command == command_find_name(BYTES("incr")));
        CHECK_INT(counted("get")->calls, 3);
        CHECK_INT(counted("incr")->calls, 3);
        CHECK_INT(counted("mset")->calls, 1);
        end();
    }
}

/* The slow way through dispatch is the fast one with more questions. */
static void gates_change_no_reply_and_no_count(void) {
    begin(4);
    config.slowlog_log_slower_than = 0; /* every command is timed by itself */
    EXPECT(MIXED, MIXED_REPLIES);
    CHECK_INT(counted("get")->calls, 3);
    CHECK_INT(shards->exec.metrics.commands_processed, 11);
    config.slowlog_log_slower_than = 10000;
    EXPECT("del b\n" MIXED, ":1\r\n" MIXED_REPLIES);
    CHECK_INT(counted("get")->calls, 6);
    client.flags |= CLIENT_REPLY_SKIP_NEXT;
    EXPECT("del b\n" MIXED, MIXED_REPLIES);
    CHECK_INT(counted("get")->calls, 9);
    end();
}

static void an_error_within_a_run_of_one_command_is_counted_once(void) {
    begin(4);
    EXPECT("set t x\nincr n\nincr t\nincr n\nincr t\nincr n\n",
           "+OK\r\n:1\r\n-ERR value is not an integer or out of range\r\n:2\r\n"
           "-ERR value is not an integer or out of range\r\n:3\r\n");
    CHECK_INT(counted("incr")->calls, 5);
    CHECK_INT(counted("incr")->failed, 2);
    CHECK_INT(counted("incr")->rejected, 0);
    CHECK_INT(shards->exec.metrics.error_replies, 2);
    CHECK_INT(errors_of(BYTES("ERR")), 2);
    end();
}

static void a_wrong_number_of_arguments_is_refused_and_the_rest_goes_on(void) {
    begin(4);
    EXPECT("set k v\nget\nget k\nget k k\nobject encoding\nconfig get\n",
           "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\nv\r\n"
           "-ERR wrong number of arguments for 'get' command\r\n"
           "-ERR wrong number of arguments for 'object|encoding' command\r\n"
           "-ERR wrong number of arguments for 'config|get' command\r\n");
    CHECK_INT(counted("get")->calls, 1);
    CHECK_INT(counted("get")->rejected, 2);
    CHECK_INT(counted("get")->failed, 0);
    CHECK_INT(shards->exec.metrics.error_replies, 4);
    CHECK_INT(errors_of(BYTES("ERR")), 4);
    end();
}

static void a_container_needs_a_subcommand_that_it_knows(void) {
    begin(4);
    EXPECT("object\nobject nosuch k\nOBJECT Encoding k\nobject refcount k\n",
           "-ERR wrong number of arguments for 'object' command\r\n"
           "-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n$-1\r\n$-1\r\n");
    end();
}

static void an_unknown_command_is_named_with_what_follows_it(void) {
    begin(1);
    EXPECT("nosuch\nNoSuch a 'b c'\n",
           "-ERR unknown command 'nosuch', with args beginning with: \r\n"
           "-ERR unknown command 'NoSuch', with args beginning with: 'a' 'b c' \r\n");
    EXPECT("nosuch \"a\\x00b\" \"c\\r\\nd\"\n",
           "-ERR unknown command 'nosuch', with args beginning with: 'a' 'c  d' \r\n");
    CHECK_INT(shards->exec.metrics.error_replies, 3);
    end();
}

static void what_is_shown_of_an_unknown_command_is_bounded(void) {
    static char line[5000];
    begin(1);
    memset(line, 'x', 1000);
    for (unsigned i = 1000; i < sizeof line; i += 2) memcpy(line + i, " y", 2);
    line[sizeof line - 1] = '\n';
    struct bytes reply = batch((struct bytes){line, sizeof line});
    CHECK(reply.len < 512 && reply.data[0] == '-');
    CHECK_BYTES(((struct bytes){reply.data + reply.len - 2, 2}), BYTES("\r\n"));
    end();
}

static void a_browser_is_hung_up_on_at_once(void) {
    begin(1);
    CHECK_BYTES(batch(BYTES("PING\nPOST / HTTP/1.1\nHost: here\nset k v\n")), BYTES("+PONG\r\n"));
    CHECK(client.flags & CLIENT_CLOSE_NOW);
    CHECK_INT(done, 2);
    client.flags = 0;
    EXPECT("get k\n", "$-1\r\n");
    end();
}

static void nothing_runs_behind_quit(void) {
    begin(1);
    CHECK_BYTES(batch(BYTES("set k 1\nquit\nset k 2\n")), BYTES("+OK\r\n+OK\r\n"));
    CHECK(client.flags & CLIENT_CLOSE_AFTER_REPLY);
    CHECK_INT(done, 2);
    client.flags = 0;
    CHECK_BYTES(batch(BYTES("quit\nnosuch\nget\nobject nosuch k\n")), BYTES("+OK\r\n"));
    CHECK_INT(done, 1);
    client.flags = 0;
    EXPECT("get k\n", "$1\r\n1\r\n");
    end();
}

static void multi_queues_until_exec_within_one_batch(void) {
    begin(4);
    EXPECT("multi\nset a 1\nincr a\nget b\nexec\nget a\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n:2\r\n$-1\r\n$1\r\n2\r\n");
    CHECK_INT(counted("incr")->calls, 1);
    CHECK_INT(counted("exec")->calls, 1);
    EXPECT("multi\nincr a\n", "+OK\r\n+QUEUED\r\n"); /* and over two of them */
    CHECK_INT(counted("incr")->calls, 1);
    EXPECT("get a\nexec\n", "+QUEUED\r\n*2\r\n:3\r\n$1\r\n3\r\n");
    EXPECT("multi\nincr a\ndiscard\nget a\nexec\n",
           "+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n3\r\n-ERR EXEC without MULTI\r\n");
    end();
}

static void an_error_while_queueing_discards_the_transaction(void) {
    static const char *const wrong[] = {"nosuch\n", "get\n", "object nosuch k\n", "watch k\n"};
    begin(4);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT("multi\nset a 1\n", "+OK\r\n+QUEUED\r\n");
        CHECK_INT(batch(bytes_of(wrong[i])).data[0], '-');
        if (i == 3) { /* WATCH alone only says no */
            EXPECT("discard\n", "+OK\r\n");
            continue;
        }
        EXPECT("exec\nget a\n", "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n");
    }
    CHECK_INT(errors_of(BYTES("EXECABORT")), 3);
    end();
}

static void an_error_within_exec_leaves_the_others_standing(void) {
    begin(4);
    EXPECT("set t x\nmulti\nincr n\nincr t\nincr n\nexec\n",
           "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n"
           "-ERR value is not an integer or out of range\r\n:2\r\n");
    CHECK_INT(counted("incr")->failed, 1);
    CHECK_INT(counted("exec")->calls, 1);
    end();
}

static void a_pause_holds_the_rest_of_the_batch_back(void) {
    begin(4);
    EXPECT("set k 1\n", "+OK\r\n");
    pause_begin(PAUSE_WRITE, shards->exec.clock.now_ms + 100000, shards->exec.clock.now_ms);
    CHECK_BYTES(batch(BYTES("get k\nping\nset k 2\nget k\n")), BYTES("$1\r\n1\r\n+PONG\r\n"));
    CHECK_INT(done, 2);
    CHECK_INT(client.commands, 3);
    pause_end();
    EXPECT("set k 2\nget k\n", "+OK\r\n$1\r\n2\r\n");
    end();
}

/* Pauses that begin within a batch hold what stands behind them in it. */
static void client_pause_holds_what_follows_it(void) {
    begin(4);
    CHECK_BYTES(batch(BYTES("set k 1\nclient pause 100000 all\nget k\n")), BYTES("+OK\r\n+OK\r\n"));
    CHECK_INT(done, 2);
    EXPECT("client unpause\nget k\n", "+OK\r\n$1\r\n1\r\n");
    end();
}

static void client_reply_mutes_what_it_says(void) {
    begin(4);
    EXPECT("client reply off\nset k 1\nnosuch\nget\nincr k\nclient reply on\nget k\n", "+OK\r\n$1\r\n2\r\n");
    EXPECT("client reply skip\nget k\nget k\nclient reply skip\nincr k\nincr k\n", "$1\r\n2\r\n:4\r\n");
    end();
}

static void large_replies_into_the_void_give_their_pins_back(void) {
    static char line[PIN_MIN + 32];
    int len = snprintf(line, sizeof line, "set k ");
    begin(4);
    memset(line + len, 'v', PIN_MIN);
    line[len + PIN_MIN] = '\n';
    CHECK_BYTES(batch((struct bytes){line, (size_t)len + PIN_MIN + 1}), BYTES("+OK\r\n"));
    EXPECT("client reply off\nget k\nget k\nclient reply on\nstrlen k\n", "+OK\r\n:16384\r\n");
    uint64_t hash = hash_bytes(&stripes.seed, BYTES("k"));
    struct entry *e = keyspace_find(stripe_of(hash)->keyspace, 0, (struct key){BYTES("k"), hash});
    CHECK(e && entry_block(e) && !block_shared(entry_block(e)));
    CHECK_INT(batch(BYTES("get k\n")).len, PIN_MIN + 10);
    CHECK(!block_shared(entry_block(e)));
    end();
}

static void select_holds_for_what_follows_it_in_the_batch(void) {
    begin(4);
    EXPECT("set k 0\nselect 3\nget k\nset k 3\nselect 0\nget k\nselect 3\nget k\nselect 16\nget k\n",
           "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n+OK\r\n$1\r\n3\r\n"
           "-ERR DB index is out of range\r\n$1\r\n3\r\n");
    end();
}

static void without_its_password_a_client_may_little(void) {
    struct buffer errors = {0};
    begin(4);
    CHECK(config_load_text("test", BYTES("requirepass secret\n"), &errors));
    client.flags &= ~(uint32_t)CLIENT_AUTHENTICATED; /* it came before there was a password */
    EXPECT("get k\nnosuch\nget\nauth wrong\nget k\nauth secret\nget k\n",
           "-NOAUTH Authentication required.\r\n"
           "-ERR unknown command 'nosuch', with args beginning with: \r\n"
           "-ERR wrong number of arguments for 'get' command\r\n"
           "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
           "-NOAUTH Authentication required.\r\n+OK\r\n$-1\r\n");
    CHECK_INT(counted("get")->rejected, 3);
    CHECK_INT(counted("get")->calls, 1);
    end();
}

static void a_huge_request_leaves_no_arrays_behind(void) {
    enum { KEYS = 6000 };
    static char line[2 * KEYS + 8];
    static char expected[5 * KEYS + 16];
    int len = snprintf(line, sizeof line, "mget"),
        expected_len = snprintf(expected, sizeof expected, "*6000\r\n");
    begin(4);
    for (unsigned i = 0; i < KEYS; i++) {
        memcpy(line + len, " k", 2), len += 2;
        memcpy(expected + expected_len, "$-1\r\n", 5), expected_len += 5;
    }
    line[len++] = '\n';
    CHECK_BYTES(batch((struct bytes){line, (size_t)len}), ((struct bytes){expected, (size_t)expected_len}));
    CHECK(!shards->exec.batch[0].hash && !shards->exec.batch[0].args.argv);
    EXPECT("get k\n", "$-1\r\n");
    end();
}

static void a_request_knows_the_stripe_of_its_keys(void) {
    begin(4);
    (void)batch(BYTES("get a\nmget a a\nping\nmget a b c d e f g h\nflushall\n"));
    unsigned stripe = stripe_index(hash_bytes(&stripes.seed, BYTES("a")));
    CHECK(shards->exec.batch[0].stripe == stripe && shards->exec.batch[0].lone_key == 1 &&
          shards->exec.batch[0].plain);
    CHECK(shards->exec.batch[1].stripe == stripe && shards->exec.batch[1].lone_key == 0);
    CHECK(shards->exec.batch[2].stripe == STRIPE_NONE && !shards->exec.batch[2].plain);
    /* Eight keys share one of 64 stripes once in 64^7 seeds. */
    CHECK(shards->exec.batch[3].stripe == STRIPE_MANY && !shards->exec.batch[3].plain);
    CHECK(shards->exec.batch[4].stripe == STRIPE_ALL && !shards->exec.batch[4].plain);
    end();
}

int main(void) {
    RUN(nothing_is_done_with_an_empty_batch);
    RUN(replies_come_in_the_order_of_the_requests);
    RUN(gates_change_no_reply_and_no_count);
    RUN(an_error_within_a_run_of_one_command_is_counted_once);
    RUN(a_wrong_number_of_arguments_is_refused_and_the_rest_goes_on);
    RUN(a_container_needs_a_subcommand_that_it_knows);
    RUN(an_unknown_command_is_named_with_what_follows_it);
    RUN(what_is_shown_of_an_unknown_command_is_bounded);
    RUN(a_browser_is_hung_up_on_at_once);
    RUN(nothing_runs_behind_quit);
    RUN(multi_queues_until_exec_within_one_batch);
    RUN(an_error_while_queueing_discards_the_transaction);
    RUN(an_error_within_exec_leaves_the_others_standing);
    RUN(a_pause_holds_the_rest_of_the_batch_back);
    RUN(client_pause_holds_what_follows_it);
    RUN(client_reply_mutes_what_it_says);
    RUN(large_replies_into_the_void_give_their_pins_back);
    RUN(select_holds_for_what_follows_it_in_the_batch);
    RUN(without_its_password_a_client_may_little);
    RUN(a_huge_request_leaves_no_arrays_behind);
    RUN(a_request_knows_the_stripe_of_its_keys);
    return 0;
}
