/* Muted replies, of single commands and in the middle of EXEC. What is expected is what redis-server sends. */
#include "server/exec/mute.h"

#include "tests/unit/batch_fixture.h"

#define QUEUED3 "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n"

static void off_lasts_until_on(void) {
    begin(4);
    EXPECT("client reply off\nset k 1\nnosuch\nget\nincr k\nclient reply on\nget k\n", "+OK\r\n$1\r\n2\r\n");
    EXPECT("client reply off\nset k 1\n", "");
    EXPECT("get k\n", ""); /* over batches */
    EXPECT("client reply on\n", "+OK\r\n");
    EXPECT("client reply off\nreset\nping\n", "+RESET\r\n+PONG\r\n");
    end();
}

static void skip_is_for_one_command(void) {
    begin(4);
    EXPECT("set k 1\nclient reply skip\nget k\nget k\nclient reply skip\nincr k\nincr k\n",
           "+OK\r\n$1\r\n1\r\n:3\r\n");
    EXPECT("client reply skip\nnosuch\nping\n", "+PONG\r\n");
    EXPECT("client reply skip\nclient reply on\nping\n", "+OK\r\n+PONG\r\n");
    EXPECT("client reply skip\nclient reply off\nping\nclient reply on\nping\n", "+OK\r\n+PONG\r\n");
    EXPECT("client reply off\nclient reply skip\nping\nclient reply on\nping\n", "+OK\r\n+PONG\r\n");
    EXPECT("client reply skip\nreset\nping\n", "+PONG\r\n");
    end();
}

static void within_exec_it_begins_and_ends_at_once(void) {
    begin(4);
    EXPECT("set a 1\nclient reply off\nmulti\nget a\nclient reply on\nget a\nexec\nping\n",
           "+OK\r\n+OK\r\n$1\r\n1\r\n+PONG\r\n");
    EXPECT("multi\nget a\nclient reply off\nget a\nexec\nping\n", QUEUED3 "*3\r\n$1\r\n1\r\n");
    EXPECT("client reply on\nping\n", "+OK\r\n+PONG\r\n");
    EXPECT("multi\nclient reply off\nget a\nclient reply on\nget a\nexec\nping\n",
           QUEUED3 "+QUEUED\r\n*4\r\n+OK\r\n$1\r\n1\r\n+PONG\r\n");
    EXPECT("multi\nget a\nclient reply skip\nget a\nexec\nping\nping\n",
           QUEUED3 "*3\r\n$1\r\n1\r\n$1\r\n1\r\n+PONG\r\n");
    EXPECT("client reply skip\nmulti\nclient reply skip\nget a\nexec\nping\nping\n",
           "+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n1\r\n+PONG\r\n");
    EXPECT("multi\nclient reply skip\nclient reply on\nget a\nexec\nping\nping\n",
           QUEUED3 "*3\r\n+OK\r\n$1\r\n1\r\n+PONG\r\n");
    EXPECT("client reply off\nmulti\nget a\nclient reply on\nexec\nping\n", "+OK\r\n+PONG\r\n");
    end();
}

/* Nothing is heard behind one's own end, but everything runs. */
static void who_kills_itself_within_exec_hears_no_more(void) {
    char lines[128];
    begin(4);
    int len = snprintf(lines, sizeof lines,
                       "multi\nget a\nclient kill id %llu skipme no\nset a 2\nget a\nexec\nping\n",
                       (unsigned long long)client.id);
    CHECK_BYTES(batch((struct bytes){lines, (size_t)len}), BYTES(QUEUED3 "+QUEUED\r\n*4\r\n$-1\r\n:1\r\n"));
    CHECK_INT(done, 6);
    CHECK(client.flags & CLIENT_CLOSE_AFTER_REPLY);
    client.flags = 0;
    EXPECT("get a\n", "$1\r\n2\r\n");
    end();
}

static void a_muted_error_is_counted_as_any_other(void) {
    begin(4);
    EXPECT("set k x\nclient reply off\nincr k\nmulti\nincr k\nexec\nclient reply on\n", "+OK\r\n+OK\r\n");
    CHECK_INT(counted("incr")->failed, 2);
    CHECK_INT(counted("exec")->failed, 0);
    CHECK_INT(shards->exec.metrics.error_replies, 2);
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

/* More than the scratch takes, and more than a chunk: it is written over, and the reply goes on where it was. */
static void many_muted_replies_need_no_room(void) {
    begin(4);
    EXPECT("setrange k 5000 x\n", ":5001\r\n");
    EXPECT("ping\nclient reply off\nget k\nget k\nget k\nget k\nclient reply on\nping\n",
           "+PONG\r\n+OK\r\n+PONG\r\n");
    end();
}

int main(void) {
    RUN(off_lasts_until_on);
    RUN(skip_is_for_one_command);
    RUN(within_exec_it_begins_and_ends_at_once);
    RUN(who_kills_itself_within_exec_hears_no_more);
    RUN(a_muted_error_is_counted_as_any_other);
    RUN(large_replies_into_the_void_give_their_pins_back);
    RUN(many_muted_replies_need_no_room);
    return 0;
}
