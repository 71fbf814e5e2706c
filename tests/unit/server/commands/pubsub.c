/* SUBSCRIBE, PUBLISH and their kin as commands: modes, errors, transactions, lists. */
#include "tests/unit/failing_commands.h"

static struct conn *first;

/* The requests that follow are another client's, on its own shard; the same number is the same client. */
static struct conn *others[4];
static void on(unsigned shard) {
    if (!others[shard]) others[shard] = fixture_conn(&shards[shard]);
    conn = others[shard];
}
static void begin_pubsub(void) {
    begin();
    first = others[0] = conn;
}
static void end_pubsub(void) {
    for (unsigned i = 1; i < 4; i++) {
        if (others[i]) fixture_conn_close(others[i]);
        others[i] = NULL;
    }
    conn = first;
    end();
}

/* What the client is sent when its shard has looked at its mail. Requests of all clients are run by the first shard, so what
 * is published waits in the inbox of each until then. */
static struct bytes heard(unsigned shard) {
    buffer_free(&sent);
    deliver_posts(&shards[shard]);
    fixture_take(&others[shard]->output, &sent);
    return buffer_bytes(&sent);
}
#define CHECK_HEARD(shard, text) CHECK_BYTES(heard(shard), BYTES(text))

#define MESSAGE(channel, text)   "*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" text "\r\n"
#define SUBSCRIBED(channel, n)   "*3\r\n$9\r\nsubscribe\r\n$1\r\n" channel "\r\n:" n "\r\n"
#define CANNOT(name)                                                                                         \
    "-ERR Can't execute '" name                                                                              \
    "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n"

static void messages_go_to_subscribers(void) {
    begin_pubsub();
    on(1);
    EXPECT("subscribe a b\n", SUBSCRIBED("a", "1") SUBSCRIBED("b", "2"));
    on(2);
    EXPECT("psubscribe *\n", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    on(3);
    EXPECT("ssubscribe a\n", "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n");
    on(0);
    EXPECT("publish a 1\npublish c 2\nspublish a 3\nspublish b 4\n", ":2\r\n:1\r\n:1\r\n:0\r\n");
    CHECK_HEARD(1, MESSAGE("a", "1"));
    CHECK_HEARD(2, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\n1\r\n"
                   "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\n2\r\n");
    CHECK_HEARD(3, "*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\n3\r\n");
    EXPECT_CHANGES(0, "publish a 1\n", ":2\r\n");
    end_pubsub();
}

static void a_subscriber_of_resp2_may_do_little_else(void) {
    begin_pubsub();
    EXPECT("subscribe a\n", SUBSCRIBED("a", "1"));
    static const struct exchange table[] = {
        {"get k", CANNOT("get")},
        {"client info", CANNOT("client|info")},
        {"multi", CANNOT("multi")},
        {"publish a 1", CANNOT("publish")},
        {"pubsub numpat", CANNOT("pubsub|numpat")},
        {"get", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"ping", "*2\r\n$4\r\npong\r\n$0\r\n\r\n"},
        {"ping x", "*2\r\n$4\r\npong\r\n$1\r\nx\r\n"},
        {"ping x y", "-ERR wrong number of arguments for 'ping' command\r\n"},
        {"unsubscribe", "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"},
        {"ping", "+PONG\r\n"},
        {"get k", NIL},
        {"psubscribe a", "*3\r\n$10\r\npsubscribe\r\n$1\r\na\r\n:1\r\n"},
        {"get k", CANNOT("get")},
        {"reset", "+RESET\r\n"},
        {"get k", NIL},
        {"ssubscribe a", "*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"},
        {"get k", CANNOT("get")},
        {"sunsubscribe x", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nx\r\n:1\r\n"},
        {"sunsubscribe a", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n"},
        {"get k", NIL},
    };
    EXPECT_ALL(table);
    conn->client.resp = conn->output.reply.resp = 3;
    EXPECT("subscribe a\nget k\nping\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n_\r\n+PONG\r\n");
    EXPECT("quit\n", OK);
    end_pubsub();
}

static void who_publishes_to_itself_gets_the_message_first(void) {
    begin_pubsub();
    conn->client.resp = conn->output.reply.resp = 3;
    EXPECT("subscribe a\npublish a 1\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                                         ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n:1\r\n");
    CHECK_HEARD(0, "");
    EXPECT("multi\nping\npublish a 2\nunsubscribe a\npublish a 3\nexec\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"
           "*4\r\n+PONG\r\n:1\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n:0\r\n"
           ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n");
    EXPECT("subscribe a\nclient reply off\npublish a 4\nclient reply on\n",
           ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n4\r\n+OK\r\n");
    end_pubsub();
}

/* What came before EXEC is written before its replies. */
static void what_waits_comes_before_exec(void) {
    begin_pubsub();
    on(1);
    conn->client.resp = conn->output.reply.resp = 3;
    EXPECT("subscribe a\nmulti\nping\n", ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n+OK\r\n+QUEUED\r\n");
    on(0);
    EXPECT("publish a 1\n", ":1\r\n");
    on(1);
    EXPECT("exec\n", ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n*1\r\n+PONG\r\n");
    CHECK_HEARD(1, "");
    end_pubsub();
}

static void transactions_know_subscriptions(void) {
    begin_pubsub();
    EXPECT("multi\nsubscribe a\nssubscribe a\nget k\nping\nunsubscribe\nexec\nget k\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*5\r\n" SUBSCRIBED(
               "a", "1") "-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n" NIL
                         "*2\r\n$4\r\npong\r\n$0\r\n\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n" NIL);
    end_pubsub();
}

static void confirmations_are_not_muted(void) {
    begin_pubsub();
    EXPECT("client reply off\nsubscribe a\nunsubscribe b\nunsubscribe\nping\nclient reply on\n",
           SUBSCRIBED("a", "1") "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n"
                                "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n+OK\r\n");
    EXPECT("client reply skip\nsubscribe a\n", SUBSCRIBED("a", "1"));
    EXPECT("quit\nsubscribe b\n", OK); /* nothing is said to who is to be closed */
    end_pubsub();
}

static void the_register_is_shown(void) {
    begin_pubsub();
    static const struct exchange none[] = {
        {"pubsub channels", "*0\r\n"},
        {"pubsub channels *", "*0\r\n"},
        {"pubsub numsub", "*0\r\n"},
        {"pubsub numsub a", "*2\r\n$1\r\na\r\n:0\r\n"},
        {"pubsub numpat", ":0\r\n"},
        {"pubsub shardchannels", "*0\r\n"},
        {"pubsub shardnumsub a", "*2\r\n$1\r\na\r\n:0\r\n"},
        {"pubsub channels a b",
         "-ERR unknown subcommand or wrong number of arguments for 'channels'. Try PUBSUB "
         "HELP.\r\n"},
        {"pubsub shardchannels a b",
         "-ERR unknown subcommand or wrong number of arguments for 'shardchannels'. "
         "Try PUBSUB HELP.\r\n"},
    };
    EXPECT_ALL(none);
    on(1);
    run(BYTES("subscribe a\npsubscribe b* c*\nssubscribe s\n"));
    on(2);
    run(BYTES("subscribe a\npsubscribe b*\n"));
    on(0);
    static const struct exchange some[] = {
        {"pubsub channels", "*1\r\n$1\r\na\r\n"},
        {"pubsub channels [a-z]", "*1\r\n$1\r\na\r\n"},
        {"pubsub channels b", "*0\r\n"},
        {"pubsub numsub s a", "*4\r\n$1\r\ns\r\n:0\r\n$1\r\na\r\n:2\r\n"},
        {"pubsub numpat", ":2\r\n"},
        {"pubsub shardchannels", "*1\r\n$1\r\ns\r\n"},
        {"pubsub shardnumsub a s", "*4\r\n$1\r\na\r\n:0\r\n$1\r\ns\r\n:1\r\n"},
        {"command getkeys spublish a b", "-ERR The command has no key arguments\r\n"},
    };
    EXPECT_ALL(some);
    struct bytes help = run(BYTES("pubsub help\n"));
    CHECK(help.len > 200 && memcmp(help.data, "*14\r\n+PUBSUB <subcommand> ", 26) == 0);
    end_pubsub();
}

/* Publishers wait while a shard has too much to deliver. */
static void publishers_are_held_while_an_inbox_is_full(void) {
    begin_pubsub();
    on(1);
    run(BYTES("subscribe a\n"));
    on(0);
    struct buffer line = {0};
    CHECK(buffer_reserve(&line, MESSAGES_HIGH + 32, SIZE_MAX));
    CHECK(buffer_append(&line, BYTES("publish a "), SIZE_MAX));
    memset(line.data + line.len, 'x', MESSAGES_HIGH / 2);
    line.len += MESSAGES_HIGH / 2;
    line.data[line.len++] = '\n';
    shards->limits.max_inline = MESSAGES_HIGH;
    for (unsigned i = 0; i < 2; i++) {
        CHECK_BYTES(run(buffer_bytes(&line)), BYTES(":1\r\n"));
        CHECK(!held);
    }
    CHECK(fixture_raised(GATE_MESSAGES));
    EXPECT("publish a 1\n", "");
    CHECK(held);
    EXPECT("get k\nset k 1\n", NIL OK);
    CHECK(!held);
    config.notify_keyspace_events = NOTIFY_KEYSPACE | NOTIFY_ALL; /* now that is published too */
    EXPECT("set k 1\n", "");
    CHECK(held);
    config.notify_keyspace_events = 0;
    (void)heard(1);
    EXPECT("publish a 1\n", ":1\r\n");
    CHECK(!held && !fixture_raised(GATE_MESSAGES));
    buffer_free(&line);
    end_pubsub();
}

static void without_memory_an_error_says_so(void) {
    begin_pubsub();
    EXPECT("ping\n", "+PONG\r\n"); /* there is a chunk for replies */
    for (unsigned allocations = 0;; allocations++) {
        CHECK(allocations < 20);
        struct bytes reply = run_with(allocations, BYTES("subscribe a\n"));
        if (bytes_equal(reply, BYTES(SUBSCRIBED("a", "1")))) break;
        CHECK_BYTES(reply, BYTES(NO_MEMORY));
        CHECK(!(conn->client.flags & CLIENT_SUBSCRIBED));
    }
    on(1);
    EXPECT("ping\n", "+PONG\r\n");
    CHECK_BYTES(run_with(0, BYTES("publish a 1\n")), BYTES(NO_MEMORY));
    CHECK_BYTES(run_with(0, BYTES("pubsub channels\n")), BYTES(NO_MEMORY));
    CHECK_BYTES(run_with(0, BYTES("pubsub channels *\n")), BYTES(NO_MEMORY));
    CHECK_HEARD(0, "");
    end_pubsub();
}

static void events_of_keys_are_messages(void) {
    begin_pubsub();
    on(1);
    run(BYTES("psubscribe __k*\n"));
    on(0);
    EXPECT("set k 1\n", OK); /* nothing was asked for */
    CHECK_HEARD(1, "");
    EXPECT("config set notify-keyspace-events KE$n\n", OK);
    EXPECT("select 12\nset k 1\nexpire k 10\ndel k\nget k\n", OK OK ":1\r\n:1\r\n" NIL);
#define HEAD "*4\r\n$8\r\npmessage\r\n$4\r\n__k*\r\n"
    CHECK_HEARD(1, HEAD "$17\r\n__keyspace@12__:k\r\n$3\r\nnew\r\n" HEAD
                        "$19\r\n__keyevent@12__:new\r\n$1\r\nk\r\n" HEAD
                        "$17\r\n__keyspace@12__:k\r\n$3\r\nset\r\n" HEAD
                        "$19\r\n__keyevent@12__:set\r\n$1\r\nk\r\n");
    EXPECT("config set notify-keyspace-events Kgxm\n", OK);
    EXPECT("set k 1 px 1\n", OK);
    now_ms += 2;
    EXPECT("get k\ndel k\n", NIL ":0\r\n");
    CHECK_HEARD(1, HEAD "$17\r\n__keyspace@12__:k\r\n$6\r\nexpire\r\n" HEAD
                        "$17\r\n__keyspace@12__:k\r\n$7\r\nexpired\r\n" HEAD
                        "$17\r\n__keyspace@12__:k\r\n$7\r\nkeymiss\r\n");
    EXPECT("config set notify-keyspace-events A\nset k 1\ndel k\n", OK OK ":1\r\n");
    CHECK_HEARD(1, "");
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].ears, 0);
    end_pubsub();
}

/* A key may be longer than a channel's name that lies on the stack. */
static void a_long_key_has_a_channel_too(void) {
    static char line[4096], name[1024];
    begin_pubsub();
    on(1);
    run(BYTES("psubscribe *\n"));
    on(0);
    EXPECT("config set notify-keyspace-events Kg\n", OK);
    memset(name, 'x', sizeof name - 1);
    snprintf(line, sizeof line, "set %s 1\ndel %s\n", name, name);
    CHECK_BYTES(run(bytes_of(line)), BYTES(OK ":1\r\n"));
    snprintf(line, sizeof line,
             "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$%zu\r\n__keyspace@0__:%s\r\n$3\r\ndel\r\n",
             strlen("__keyspace@0__:") + strlen(name), name);
    CHECK_BYTES(heard(1), bytes_of(line));
    end_pubsub();
}

int main(void) {
    RUN(messages_go_to_subscribers);
    RUN(a_subscriber_of_resp2_may_do_little_else);
    RUN(who_publishes_to_itself_gets_the_message_first);
    RUN(what_waits_comes_before_exec);
    RUN(transactions_know_subscriptions);
    RUN(confirmations_are_not_muted);
    RUN(the_register_is_shown);
    RUN(publishers_are_held_while_an_inbox_is_full);
    RUN(events_of_keys_are_messages);
    RUN(a_long_key_has_a_channel_too);
    RUN(without_memory_an_error_says_so);
    return 0;
}
