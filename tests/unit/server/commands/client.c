/* CLIENT: what is told of clients, who is killed, and the modes of a session. */
#include <inttypes.h>

#include "server/exec/pause.h"
#include "tests/unit/commands_fixture.h"

/* A client besides the one that asks, at an address of its own. */
static struct conn *other(unsigned shard, const char *peer) {
    struct conn *c = fixture_conn(&shards[shard]);
    c->client.created_ms = now_ms;
    fixture_text(c, CLIENT_PEER, peer);
    fixture_text(c, CLIENT_LOCAL, "10.0.0.9:6379");
    return c;
}

/* Runs a line that ends in a client's id. */
static struct bytes run_id(const char *words, const struct conn *c) {
    char line[128];
    int len = snprintf(line, sizeof line, "%s %" PRIu64 "\n", words, c->client.id);
    return run((struct bytes){line, (size_t)len});
}

/* What stands behind `field` in a line of CLIENT LIST. */
static struct bytes field_of(struct bytes text, const char *field) {
    const char *at = memmem(text.data, text.len, field, strlen(field));
    CHECK(at);
    at += strlen(field);
    return (struct bytes){at, strcspn(at, " \n")};
}

/* Drops what shards were asked for, but for closing. */
static bool closes(struct conn *c) {
    deliver_posts(c->shard);
    return c->flags & CONN_CLOSING;
}

static void names_are_printable_words(void) {
    begin();
    static const struct exchange table[] = {
        {"client getname", NIL},
        {"client setname me", OK},
        {"client getname", "$2\r\nme\r\n"},
        {"client setname \"a b\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"client setname \"a\\n\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"client setname \"\\x7f\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"client setname \"\\xc3\"",
         "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
        {"client getname", "$2\r\nme\r\n"},
        {"client setname \"\"", OK},
        {"client getname", NIL},
        {"client setinfo lib-name redis-py", OK},
        {"client setinfo LIB-VER 1.2", OK},
        {"client setinfo lib-name \"a b\"",
         "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n"},
        {"client setinfo colour red", "-ERR Unrecognized option 'colour'\r\n"},
    };
    EXPECT_ALL(table);
    struct bytes line = run(BYTES("client info\n"));
    CHECK_BYTES(field_of(line, " lib-name="), BYTES("redis-py"));
    CHECK_BYTES(field_of(line, " lib-ver="), BYTES("1.2"));
    end();
}

static void a_line_tells_of_the_session(void) {
    char id[24];
    begin();
    conn->client.created_ms = conn->client.active_ms = now_ms;
    EXPECT("select 3\nclient setname me\nmulti\nping\nping\n", OK OK OK "+QUEUED\r\n+QUEUED\r\n");
    run(BYTES("discard\n"));
    now_ms += 4321;
    struct bytes line = run(BYTES("client info\n"));
    static const struct {
        const char *field, *value;
    } fields[] = {{" addr=", "?:0"}, {" name=", "me"},      {" age=", "4"},          {" idle=", "4"},
                  {" flags=", "N"},  {" db=", "3"},         {" sub=", "0"},          {" multi=", "-1"},
                  {" resp=", "2"},   {" user=", "default"}, {" cmd=", "client|info"}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        CHECK_BYTES(field_of(line, fields[i].field), bytes_of(fields[i].value));
    snprintf(id, sizeof id, "%" PRIu64, conn->client.id);
    CHECK_BYTES(field_of(line, "id="), bytes_of(id));
    end();
}

static void letters_tell_of_the_state(void) {
    begin();
    struct conn *watched = other(1, "10.0.0.1:1");
    static const struct {
        uint32_t flags;
        const char *letters;
    } cases[] = {{0, "N"},
                 {CLIENT_MONITOR, "O"},
                 {CLIENT_MULTI, "x"},
                 {CLIENT_UNIX_SOCKET | CLIENT_NO_EVICT | CLIENT_NO_TOUCH, "UeT"},
                 {CLIENT_CLOSE_AFTER_REPLY, "c"},
                 {CLIENT_CLOSE_NOW, "A"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        watched->client.flags = cases[i].flags;
        struct bytes line = run_id("client list id", watched);
        CHECK_BYTES(field_of(line, " flags="), bytes_of(cases[i].letters));
    }
    watched->client.flags = CLIENT_MULTI;
    watched->client.queued = 7;
    CHECK_BYTES(field_of(run_id("client list id", watched), " multi="), BYTES("7"));
    watched->client.flags = 0;
    fixture_conn_close(watched);
    end();
}

static unsigned count_lines(struct bytes text) {
    unsigned count = 0;
    for (size_t i = 0; i + 3 < text.len; i++)
        count += memcmp(text.data + i, "id=", 3) == 0 && (i == 0 || text.data[i - 1] == '\n');
    return count;
}

static void list_filters_by_id_and_type(void) {
    begin();
    struct conn *a = other(1, "10.0.0.1:1"), *b = other(2, "10.0.0.2:2");
    CHECK_INT(count_lines(run(BYTES("client list\n"))), 3);
    CHECK_INT(count_lines(run(BYTES("client list type NORMAL\n"))), 3);
    EXPECT("client list type pubsub\nclient list type replica\nclient list type master\n",
           "$0\r\n\r\n$0\r\n\r\n$0\r\n\r\n");
    CHECK_INT(count_lines(run_id("client list id 999999999", b)), 1);
    EXPECT("client list id 999999999\n", "$0\r\n\r\n");
    static const struct exchange table[] = {
        {"client list id x", "-ERR Invalid client ID\r\n"},
        {"client list id", SYNTAX_ERROR},
        {"client list type", SYNTAX_ERROR},
        {"client list type odd", "-ERR Unknown client type 'odd'\r\n"},
        {"client list all", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    fixture_conn_close(a);
    fixture_conn_close(b);
    end();
}

static void kill_takes_exactly_those_that_match(void) {
    begin();
    struct conn *a = other(1, "10.0.0.1:1"), *b = other(2, "10.0.0.2:2"), *c = other(3, "10.0.0.3:3");
    EXPECT("client kill addr 10.0.0.1:9\n", ":0\r\n");
    EXPECT("client kill 10.0.0.1:9\n", "-ERR No such client\r\n");
    EXPECT("client kill addr 10.0.0.1:1 laddr 10.0.0.9:1\n", ":0\r\n");
    EXPECT("client kill addr 10.0.0.1:1 laddr 10.0.0.9:6379\n", ":1\r\n");
    EXPECT("client kill addr 10.0.0.1:1\n", ":0\r\n"); /* its end is on its way, and it is no longer shown */
    CHECK_INT(count_lines(run(BYTES("client list\n"))), 3);
    CHECK(closes(a) && !closes(b) && !closes(c));
    CHECK_BYTES(run_id("client kill id", b), BYTES(":1\r\n"));
    CHECK(closes(b) && !closes(c));
    EXPECT("client kill type pubsub\n", ":0\r\n");
    c->client.created_ms = now_ms - 9999;
    EXPECT("client kill maxage 10\n", ":0\r\n");
    EXPECT("client kill 10.0.0.3:3\n", OK);
    CHECK(closes(c));
    fixture_conn_close(a);
    fixture_conn_close(b);
    fixture_conn_close(c);
    end();
}

static void kill_spares_whoever_asks_unless_told(void) {
    begin();
    struct conn *a = other(1, "10.0.0.1:1");
    a->client.created_ms = conn->client.created_ms = now_ms - 10000;
    EXPECT("client kill maxage 10\n", ":1\r\n");
    CHECK(closes(a) && !(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY));
    EXPECT("client kill maxage 10 skipme no\n", ":1\r\n");
    CHECK(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY);
    EXPECT("ping\n", ""); /* and nothing runs behind it */
    CHECK(held);
    conn->client.flags &= ~(uint32_t)CLIENT_CLOSE_AFTER_REPLY;
    fixture_conn_close(a);
    end();
}

static void kill_s_arguments_are_checked(void) {
    begin();
    static const struct exchange table[] = {
        {"client kill id 0", "-ERR client-id should be greater than 0\r\n"},
        {"client kill id x", "-ERR client-id should be greater than 0\r\n"},
        {"client kill maxage 0", "-ERR maxage should be greater than 0\r\n"},
        {"client kill user nobody", "-ERR No such user 'nobody'\r\n"},
        {"client kill skipme maybe", SYNTAX_ERROR},
        {"client kill addr a laddr", SYNTAX_ERROR},
        {"client kill colour red", SYNTAX_ERROR},
        {"client kill type odd", "-ERR Unknown client type 'odd'\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void modes_are_switched(void) {
    begin();
    EXPECT("set k v\nclient no-touch on\n", OK OK);
    now_ms += 10000;
    EXPECT("get k\nobject idletime k\nclient no-touch OFF\nget k\nobject idletime k\n",
           "$1\r\nv\r\n:10\r\n" OK "$1\r\nv\r\n:0\r\n");
    /* What it makes is new all the same, and TOUCH is asked for. */
    EXPECT("client no-touch on\nset new v\nobject idletime new\nrpush list v\nobject idletime list\n",
           OK OK ":0\r\n:1\r\n:0\r\n");
    now_ms += 20000;
    EXPECT("append new w\nobject idletime new\ntouch new none\nobject idletime new\nobject idletime list\n",
           ":2\r\n:20\r\n:1\r\n:0\r\n:20\r\n");
    EXPECT("client no-touch off\n", OK);
    EXPECT("client no-evict on\n", OK);
    CHECK(conn->client.flags & CLIENT_NO_EVICT);
    EXPECT("client no-evict off\nclient no-evict maybe\nclient no-touch maybe\nclient reply maybe\n",
           OK SYNTAX_ERROR SYNTAX_ERROR SYNTAX_ERROR);
    CHECK(!(conn->client.flags & CLIENT_NO_EVICT));
    EXPECT("client reply skip\nping\nping\nclient reply off\nping\nclient reply skip\nping\nclient reply "
           "on\nping\n",
           "+PONG\r\n" OK "+PONG\r\n");
    end();
}

static void a_pause_is_checked_and_ended(void) {
    begin();
    static const struct exchange table[] = {
        {"client pause -1", "-ERR timeout is negative\r\n"},
        {"client pause x", "-ERR timeout is not an integer or out of range\r\n"},
        {"client pause 9223372036854775807", OK}, /* as in Redis it wraps, and holds nobody */
        {"set k v", OK},
        {"del k", ":1\r\n"},
        {"client pause 9223372036854775", OK},
        {"del k", ""},
        {"client unpause", OK},
        {"client pause 10 reads", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"},
        {"client pause 10 all now",
         "-ERR unknown subcommand or wrong number of arguments for 'pause'. Try CLIENT HELP.\r\n"},
        {"ping", "+PONG\r\n"},
        {"client pause 100 write", OK},
        {"get k", NIL},
        {"set k v", ""},
        {"client unpause", OK},
        {"set k v", OK},
        {"client pause 100", OK},
        {"get k", ""},
    };
    EXPECT_ALL(table);
    now_ms += 100;
    EXPECT("get k\n", "$1\r\nv\r\n");
    CHECK_INT(pause_until_ms(), 0);
    for (unsigned i = 0; i < shard_count; i++) deliver_posts(&shards[i]);
    end();
}

static void nobody_is_blocked(void) {
    begin();
    static const struct exchange table[] = {
        {"client unblock 1", ":0\r\n"},
        {"client unblock x", NOT_AN_INTEGER},
        {"client unblock 1 TIMEOUT", ":0\r\n"},
        {"client unblock 1 error", ":0\r\n"},
        {"client unblock 1 odd", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n"},
        {"client unblock 1 error x",
         "-ERR unknown subcommand or wrong number of arguments for 'unblock'. Try CLIENT HELP.\r\n"},
    };
    EXPECT_ALL(table);
    char expected[32];
    snprintf(expected, sizeof expected, ":%" PRIu64 "\r\n", conn->client.id);
    CHECK_BYTES(run(BYTES("client id\n")), bytes_of(expected));
    end();
}

int main(void) {
    RUN(names_are_printable_words);
    RUN(a_line_tells_of_the_session);
    RUN(letters_tell_of_the_state);
    RUN(list_filters_by_id_and_type);
    RUN(kill_takes_exactly_those_that_match);
    RUN(kill_spares_whoever_asks_unless_told);
    RUN(kill_s_arguments_are_checked);
    RUN(modes_are_switched);
    RUN(a_pause_is_checked_and_ended);
    RUN(nobody_is_blocked);
    return 0;
}
