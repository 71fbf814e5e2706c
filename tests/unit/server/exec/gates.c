/* What is refused and held back before it runs. */
#include "server/exec/gates.h"

#include "server/exec/pause.h"
#include "tests/unit/batch_fixture.h"

/* A gate of this test's own. Its row is all that it takes to be asked everywhere. */
static unsigned asked;
static enum verdict answer;

static bool reads(const struct command *command) {
    return command->flags & CMD_READONLY;
}
static enum verdict ask(const struct call *call, struct text *why) {
    asked++;
    text_format(why, "PLANTED no %.*s today", (int)call->argv[0].len, call->argv[0].data);
    return answer;
}
GATE(planted) = {.bit = GATE_COUNT, .concerns = reads, .ask = ask};

static void plant(enum verdict verdict) {
    asked = 0;
    answer = verdict;
    gate_raise(GATE_COUNT);
}

static void a_gate_is_asked_of_those_that_it_concerns_while_it_is_raised(void) {
    begin(4);
    asked = 0;
    EXPECT("set k 1\nget k\n", "+OK\r\n$1\r\n1\r\n");
    CHECK_INT(asked, 0);
    plant(REFUSED);
    EXPECT("set k 2\nget k\nincr k\nping\n", "+OK\r\n-PLANTED no get today\r\n:3\r\n+PONG\r\n");
    CHECK_INT(asked, 1);
    CHECK_INT(counted("get")->rejected, 1);
    CHECK_INT(counted("get")->calls, 1);
    CHECK_INT(shards->exec.metrics.error_replies, 1);
    CHECK_INT(errors_of(BYTES("PLANTED")), 1);
    answer = PASS;
    EXPECT("get k\n", "$1\r\n3\r\n");
    CHECK_INT(asked, 2);
    answer = HELD;
    CHECK_BYTES(batch(BYTES("set k 4\nget k\nset k 5\n")), BYTES("+OK\r\n"));
    CHECK_INT(done, 1);
    gate_lower(GATE_COUNT);
    EXPECT("get k\n", "$1\r\n4\r\n");
    CHECK_INT(asked, 3);
    end();
}

static void what_a_gate_refuses_is_not_queued(void) {
    begin(4);
    plant(REFUSED);
    EXPECT("multi\nset k 1\nget k\nexec\n",
           "+OK\r\n+QUEUED\r\n-PLANTED no get today\r\n"
           "-EXECABORT Transaction discarded because of previous errors.\r\n");
    CHECK_INT(asked, 1);
    gate_lower(GATE_COUNT);
    EXPECT("get k\n", "$-1\r\n");
    end();
}

/* Redis's order: no such command, not enabled, password, transaction. */
static void gates_are_asked_in_order(void) {
    begin(4);
    options_set("requirepass secret\n");
    client.flags |= CLIENT_UNAUTHENTICATED;
    plant(REFUSED);
    EXPECT("debug\n", "-ERR wrong number of arguments for 'debug' command\r\n");
    CHECK_INT(batch(BYTES("debug sleep 0\n")).data[5], 'D'); /* DEBUG command not allowed */
    EXPECT("get k\nexec\nexec x\n",
           "-NOAUTH Authentication required.\r\n"
           "-EXECABORT Transaction discarded because of: NOAUTH Authentication required.\r\n"
           "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n");
    CHECK_INT(asked, 0);
    gate_lower(GATE_COUNT);
    end();
}

static void what_is_not_enabled_is_refused_before_it_is_queued(void) {
    begin(4);
    EXPECT("multi\nset k 1\n", "+OK\r\n+QUEUED\r\n");
    CHECK_INT(batch(BYTES("debug sleep 0\n")).data[5], 'D');
    EXPECT("exec\nget k\n", "-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n");
    CHECK_INT(counted("debug")->rejected, 1);
    CHECK_INT(counted("debug")->calls, 0);
    config.enable_debug_command = CONFIG_YES;
    EXPECT("multi\ndebug sleep 0\nexec\n", "+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
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

static void what_redis_has_and_kevy_lacks_is_told_with_the_reason(void) {
    begin(1);
    EXPECT("eval s 0\nEVAL\nmemory doctor\n",
           "-ERR unknown command 'eval', with args beginning with: 's' '0' (kevy has no scripts yet)\r\n"
           "-ERR unknown command 'EVAL', with args beginning with: (kevy has no scripts yet)\r\n"
           "-ERR unknown subcommand 'doctor'. Try MEMORY HELP. (kevy has no MEMORY DOCTOR yet)\r\n");
    CHECK_INT(errors_of(BYTES("ERR")), 3);
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

static void without_its_password_a_client_may_little(void) {
    begin(4);
    options_set("requirepass secret\n");
    client.flags |= CLIENT_UNAUTHENTICATED; /* it came before there was a password */
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

int main(void) {
    RUN(a_gate_is_asked_of_those_that_it_concerns_while_it_is_raised);
    RUN(what_a_gate_refuses_is_not_queued);
    RUN(gates_are_asked_in_order);
    RUN(what_is_not_enabled_is_refused_before_it_is_queued);
    RUN(a_wrong_number_of_arguments_is_refused_and_the_rest_goes_on);
    RUN(a_container_needs_a_subcommand_that_it_knows);
    RUN(what_redis_has_and_kevy_lacks_is_told_with_the_reason);
    RUN(an_unknown_command_is_named_with_what_follows_it);
    RUN(what_is_shown_of_an_unknown_command_is_bounded);
    RUN(a_browser_is_hung_up_on_at_once);
    RUN(a_pause_holds_the_rest_of_the_batch_back);
    RUN(client_pause_holds_what_follows_it);
    RUN(without_its_password_a_client_may_little);
    return 0;
}
