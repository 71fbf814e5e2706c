/* AUTH, HELLO, PING, SELECT, RESET, QUIT: what a session is told and what it forgets. */
#include <inttypes.h>

#include "server/exec/monitor.h"
#include "tests/unit/commands_fixture.h"

#define WRONG    "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
#define NO_AUTH  "-NOAUTH Authentication required.\r\n"
#define DB_RANGE "-ERR DB index is out of range\r\n"

/* A session that came when there was a password, and has not given it. */
static void begin_locked(void) {
    begin();
    options_set("requirepass secret\n");
    conn->client.flags |= CLIENT_UNAUTHENTICATED;
}

static void auth_asks_for_user_and_password(void) {
    begin_locked();
    static const struct exchange table[] = {
        {"get k", NO_AUTH},
        {"auth", "-ERR wrong number of arguments for 'auth' command\r\n"},
        {"auth a b c", SYNTAX_ERROR},
        {"auth \"\"", WRONG},
        {"auth secre", WRONG},
        {"auth secrets", WRONG},
        {"auth Secret", WRONG},
        {"auth nobody secret", WRONG},
        {"auth Default secret", WRONG},
        {"get k", NO_AUTH},
        {"auth default secret", OK},
        {"get k", NIL},
        {"auth wrong", WRONG}, /* and is still who it was */
        {"get k", NIL},
    };
    EXPECT_ALL(table);
    end();
}

static void without_a_password_there_is_nothing_to_prove(void) {
    begin();
    static const struct exchange table[] = {
        {"auth any",
         "-ERR AUTH <password> called without any password configured for the default user. Are you sure "
         "your configuration is correct?\r\n"},
        {"auth default any", OK},
        {"auth nobody any", WRONG},
    };
    EXPECT_ALL(table);
    end();
}

#define HELLO_NOAUTH                                                                                         \
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> "   \
    "<pass> option can be used to authenticate the client and select the RESP protocol version at the same " \
    "time\r\n"

static void check_hello(const char *line, const char *head, int resp) {
    char expected[512];
    snprintf(expected, sizeof expected,
             "%s$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:%d\r\n"
             "$2\r\nid\r\n:%" PRIu64 "\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
             "$7\r\nmodules\r\n*0\r\n",
             head, resp, conn->client.id);
    CHECK_BYTES(run(bytes_of(line)), bytes_of(expected));
    CHECK(conn->client.resp == resp && conn->output.reply.resp == resp);
}

static void hello_chooses_the_protocol(void) {
    begin();
    check_hello("hello\n", "*14\r\n", 2);
    check_hello("hello 3\n", "%7\r\n", 3);
    check_hello("hello\n", "%7\r\n", 3);
    EXPECT("get none\n", "_\r\n");
    static const struct exchange table[] = {
        {"hello 4", "-NOPROTO unsupported protocol version\r\n"},
        {"hello 1", "-NOPROTO unsupported protocol version\r\n"},
        {"hello x", "-ERR Protocol version is not an integer or out of range\r\n"},
        {"hello 2 colour", "-ERR Syntax error in HELLO option 'colour'\r\n"},
        {"hello 2 auth a", "-ERR Syntax error in HELLO option 'auth'\r\n"},
        {"hello 2 setname", "-ERR Syntax error in HELLO option 'setname'\r\n"},
        {"hello 2 setname \"a b\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"hello 2 setname \"\\x7f\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"get none", "_\r\n"}, /* a refused HELLO changes no protocol */
    };
    EXPECT_ALL(table);
    check_hello("hello 2 setname me auth default any\n", "*14\r\n", 2);
    EXPECT("client getname\n", "$2\r\nme\r\n");
    end();
}

static void hello_lets_in_who_knows_the_password(void) {
    begin_locked();
    EXPECT("hello\nhello 3\nhello 3 auth default wrong\nget k\n", HELLO_NOAUTH HELLO_NOAUTH WRONG NO_AUTH);
    check_hello("hello 3 auth default secret\n", "%7\r\n", 3);
    EXPECT("get k\n", "_\r\n");
    end();
}

static void select_takes_the_databases_there_are(void) {
    begin();
    static const struct exchange table[] = {
        {"select 15", OK},
        {"set k here", OK},
        {"select 16", DB_RANGE},
        {"select -1", DB_RANGE},
        {"select 2147483648",
         "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
        {"select x", NOT_AN_INTEGER},
        {"select \"\"", NOT_AN_INTEGER},
        {"get k", "$4\r\nhere\r\n"},
        {"select 0", OK},
        {"get k", NIL},
    };
    EXPECT_ALL(table);
    end();
}

static void ping_and_echo_give_back_what_they_get(void) {
    begin();
    static const struct exchange table[] = {
        {"ping", "+PONG\r\n"},
        {"ping \"\"", "$0\r\n\r\n"},
        {"ping hello", "$5\r\nhello\r\n"},
        {"ping a b", "-ERR wrong number of arguments for 'ping' command\r\n"},
        {"echo hi", "$2\r\nhi\r\n"},
        {"echo", "-ERR wrong number of arguments for 'echo' command\r\n"},
    };
    EXPECT_ALL(table);
    EXPECT("echo \"\\x00\\r\\n\"\n", "$3\r\n\0\r\n\r\n");
    end();
}

static void reset_forgets_all_but_the_modes_of_eviction_and_touch(void) {
    begin();
    run(BYTES("hello 3 setname me\n"));
    EXPECT("client no-evict on\nclient no-touch on\nselect 5\nset k v\nwatch k\nmulti\nset k w\n",
           OK OK OK OK OK OK "+QUEUED\r\n");
    EXPECT("reset\nexec\nget k\nclient getname\n", "+RESET\r\n-ERR EXEC without MULTI\r\n" NIL NIL);
    CHECK(conn->client.resp == 2 && conn->client.db == 0);
    CHECK((conn->client.flags & CLIENT_NO_EVICT) && (conn->client.flags & CLIENT_NO_TOUCH));
    EXPECT("monitor\n", OK);
    CHECK(fixture_raised(MODE_MONITORED));
    EXPECT("reset\nget k\n", "+RESET\r\n" NIL);
    CHECK(!fixture_raised(MODE_MONITORED));
    EXPECT("client reply off\nreset\nping\n", "+RESET\r\n+PONG\r\n");
    end();
}

static void reset_forgets_the_password_that_was_given(void) {
    begin_locked();
    EXPECT("auth secret\nget k\nreset\nget k\n", OK NIL "+RESET\r\n" NO_AUTH);
    end();
}

static void quit_is_the_last_that_is_answered(void) {
    begin_locked(); /* also before AUTH */
    EXPECT("quit now\nping\n", OK);
    CHECK(held && conn->client.flags & CLIENT_CLOSE_AFTER_REPLY);
    end();
}

int main(void) {
    RUN(auth_asks_for_user_and_password);
    RUN(without_a_password_there_is_nothing_to_prove);
    RUN(hello_chooses_the_protocol);
    RUN(hello_lets_in_who_knows_the_password);
    RUN(select_takes_the_databases_there_are);
    RUN(ping_and_echo_give_back_what_they_get);
    RUN(reset_forgets_all_but_the_modes_of_eviction_and_touch);
    RUN(reset_forgets_the_password_that_was_given);
    RUN(quit_is_the_last_that_is_answered);
    return 0;
}
