/* Batches of requests through rows, locks and handlers, without a connection. */
#include "server/exec/dispatch.h"

#include "server/exec/slowlog.h"
#include "server/journal/merge.h"
#include "tests/unit/batch_fixture.h"

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

static void select_holds_for_what_follows_it_in_the_batch(void) {
    begin(4);
    EXPECT("set k 0\nselect 3\nget k\nset k 3\nselect 0\nget k\nselect 3\nget k\nselect 16\nget k\n",
           "+OK\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$1\r\n0\r\n+OK\r\n$1\r\n3\r\n"
           "-ERR DB index is out of range\r\n$1\r\n3\r\n");
    end();
}

/* However many keys a request has, only their stripes are locked. */
static void many_keys_lock_their_own_stripes_alone(void) {
    enum { KEYS = 64 };
    char line[1024];
    begin(16);
    int len = snprintf(line, sizeof line, "mget");
    for (int i = 0; i < KEYS; i++) len += snprintf(line + len, sizeof line - (size_t)len, " k%d", i);
    line[len++] = '\n';
    (void)batch((struct bytes){line, (size_t)len});
    const struct request *request = &shards->exec.batch[0];
    struct stripe_set expected = {{0}};
    unsigned count = 0;
    CHECK(request->stripe == STRIPE_MANY && request->key_count == KEYS);
    for (uint32_t i = 0; i < KEYS; i++) {
        CHECK_INT(request->keys[i].arg, i + 1);
        stripe_set_add(&expected, stripe_index(request->hash[i + 1]));
    }
    CHECK(stripe_set_within(&expected, &shards->exec.sets[0]));
    CHECK(stripe_set_within(&shards->exec.sets[0], &expected));
    for (unsigned i = 0; i < stripes.count; i++) count += stripe_set_has(&expected, i);
    CHECK(count > KEYS / 2 && count < stripes.count);
    end();
}

static unsigned runs, wanted_each_time;

/* Asks for one more stripe in each run, as a command does that learns of further keys from what it reads. */
static void wants_more(struct call *call) {
    struct stripe_set more = {{0}};
    for (unsigned i = 0; i <= runs * wanted_each_time; i++) stripe_set_add(&more, 1 + i);
    runs++;
    for (unsigned i = 0; i < stripes.count; i++)
        CHECK_INT(stripes.all[i].lock != 0, call_holds(call, i)); /* just what it holds is locked */
    if (call_want(call, &more)) reply_int(call->reply, runs);
}

static void a_command_is_run_anew_with_what_it_wants(void) {
    begin(4);
    struct command *row = (struct command *)command_find_name(BYTES("randomkey"));
    void (*before)(struct call *) = row->run;
    row->run = wants_more;
    runs = wanted_each_time = 0;
    EXPECT("randomkey\nset a 1\n", ":2\r\n+OK\r\n");
    CHECK_INT(counted("randomkey")->calls, 1);
    runs = 0, wanted_each_time = 1; /* more each time: in the end it has all, and is content */
    EXPECT("randomkey\n", ":5\r\n");
    CHECK_INT(counted("randomkey")->calls, 2);
    runs = 0;
    EXPECT("multi\nrandomkey\nexec\n", "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n"); /* it has all from the start */
    row->run = before;
    EXPECT("flushall\nrandomkey\n", "+OK\r\n$-1\r\n");
    end();
}

/* README.md names those that take longer than 10 ms, which is what slowlog-log-slower-than begins with. */
static void a_long_command_is_in_the_slow_log(void) {
    enum { LEN = 11000 };
    static char lines[2 * LEN + 64];
    unsigned long long state = 1;
    begin(4);
    slowlog_reset();
    for (const char *key = "ab"; *key; key++) {
        int len = snprintf(lines, sizeof lines, "set %c ", *key);
        for (unsigned i = 0; i < LEN; i++) lines[len++] = (char)('a' + check_random(&state) % 26);
        lines[len++] = '\n';
        CHECK_BYTES(batch((struct bytes){lines, (size_t)len}), BYTES("+OK\r\n"));
    }
    batch(BYTES("get a\nlcs a b LEN\nget b\n"));
    CHECK_INT(done, 3);
    EXPECT("slowlog len\n", ":1\r\n");
    slowlog_reset();
    EXPECT("slowlog len\n", ":0\r\n");
    end();
}

static struct merge merge;

static void append_piece(void *context, struct bytes bytes) {
    CHECK(buffer_append(context, bytes, SIZE_MAX));
}

/* These requests are recorded so, behind SELECT 0 of the first ones. */
static void expect_records(struct bytes requests, struct bytes records) {
    struct buffer stream = {0};
    batch(requests);
    CHECK_INT(done, prepared);
    while (merge_next(&merge, append_piece, &stream)) merge_release(&merge);
    CHECK_BYTES(buffer_bytes(&stream), records);
    buffer_free(&stream);
}
#define EXPECT_RECORDS(requests, records) expect_records(BYTES(requests), BYTES(records))

#define SET_A                             "*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\n1\r\n"
#define INCR_A                            "*2\r\n$4\r\nIncr\r\n$1\r\na\r\n"
#define GET_A                             "*2\r\n$3\r\nget\r\n$1\r\na\r\n"
#define MULTI                             "*1\r\n$5\r\nMULTI\r\n"
#define EXEC                              "*1\r\n$4\r\nEXEC\r\n"
#define SELECT0                           "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"

static void what_changes_something_is_recorded_as_it_came(void) {
    for (unsigned shard_total = 1; shard_total <= 4; shard_total *= 2) {
        CHECK(journal_open(shard_total));
        begin(shard_total);
        merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
        EXPECT_RECORDS(SET_A, ""); /* nobody listens yet */
        journal_listen();
        EXPECT_RECORDS(SET_A INCR_A GET_A INCR_A, SELECT0 SET_A INCR_A INCR_A);
        EXPECT_RECORDS("set a 1\nget a\nIncr a\n", SET_A INCR_A); /* lines are no RESP */
        EXPECT_RECORDS("set a x\nIncr a\nnosuch\nget\n" SET_A,
                       "*3\r\n$3\r\nset\r\n$1\r\na\r\n$1\r\nx\r\n" SET_A);
        EXPECT_RECORDS("mset a 1 b 2\n", "*5\r\n$4\r\nmset\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
        EXPECT_RECORDS("multi\nexec\nmulti\n" SET_A GET_A "exec\nmulti\n" INCR_A SET_A "exec\n",
                       SET_A MULTI INCR_A SET_A EXEC);
        config.slowlog_log_slower_than = 0; /* every command is timed by itself */
        EXPECT_RECORDS(SET_A GET_A INCR_A, SET_A INCR_A);
        journal_ignore();
        EXPECT_RECORDS(SET_A "flushall\n", "");
        end();
        journal_close();
    }
}

/* Any bytes may stand where lines should end: what is recorded can be loaded. */
static void lines_without_their_ends_are_recorded_with_them(void) {
    CHECK(journal_open(2));
    begin(2);
    merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
    journal_listen();
    EXPECT_RECORDS(SET_A, SELECT0 SET_A);
    /* All of CR and LF but the CRs behind a count or a length, by which these end. */
    static const uint8_t places[] = {3, 7, 11, 12, 16, 18, 19, 23, 25, 26};
    for (size_t i = 0; i < sizeof places; i++) {
        char request[] = SET_A;
        CHECK(request[places[i]] == '\r' || request[places[i]] == '\n');
        request[places[i]] = 'x';
        expect_records((struct bytes){request, sizeof request - 1}, BYTES(SET_A));
    }
    journal_ignore();
    end();
    journal_close();
}

static void expired_keys_are_recorded_before_what_was_done_to_them(void) {
    CHECK(journal_open(4));
    begin(4);
    merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
    EXPECT("set a 1 pxat 1\nset b 1 pxat 1\nset c 1 pxat 1\n", "+OK\r\n+OK\r\n+OK\r\n");
    journal_listen();
    EXPECT_RECORDS(INCR_A, MULTI SELECT0 "*2\r\n$3\r\nDEL\r\n$1\r\na\r\n" INCR_A EXEC);
    EXPECT_RECORDS("get b\n", "*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n");
    EXPECT_RECORDS("mget a b c\n", "*2\r\n$3\r\nDEL\r\n$1\r\nc\r\n");
    journal_ignore();
    end();
    journal_close();
}

int main(void) {
    RUN(nothing_is_done_with_an_empty_batch);
    RUN(replies_come_in_the_order_of_the_requests);
    RUN(gates_change_no_reply_and_no_count);
    RUN(an_error_within_a_run_of_one_command_is_counted_once);
    RUN(nothing_runs_behind_quit);
    RUN(multi_queues_until_exec_within_one_batch);
    RUN(an_error_while_queueing_discards_the_transaction);
    RUN(an_error_within_exec_leaves_the_others_standing);
    RUN(select_holds_for_what_follows_it_in_the_batch);
    RUN(many_keys_lock_their_own_stripes_alone);
    RUN(a_command_is_run_anew_with_what_it_wants);
    RUN(a_long_command_is_in_the_slow_log);
    RUN(what_changes_something_is_recorded_as_it_came);
    RUN(lines_without_their_ends_are_recorded_with_them);
    RUN(expired_keys_are_recorded_before_what_was_done_to_them);
    return 0;
}
