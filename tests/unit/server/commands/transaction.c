/* MULTI, EXEC, DISCARD, WATCH, UNWATCH as a client meets them; the queue itself is tested in ../exec/transaction.c. */
#include "tests/unit/commands_fixture.h"

#define QUEUED  "+QUEUED\r\n"
#define ABORTED "-EXECABORT Transaction discarded because of previous errors.\r\n"

/* Somebody else's commands. */
static void elsewhere(struct bytes lines) {
    struct conn *first = conn;
    conn = fixture_conn(shards);
    (void)run(lines);
    fixture_conn_close(conn);
    conn = first;
}

static void what_is_not_begun_cannot_end(void) {
    begin();
    EXPECT("exec\ndiscard\nunwatch\n", "-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n" OK);
    end();
}

/* These two are refused and the transaction goes on, as in Redis. */
static void multi_does_not_nest_and_watch_comes_before_it(void) {
    begin();
    EXPECT("multi\nset k v\nmulti\nwatch k\nexec\n",
           OK QUEUED "-ERR MULTI calls can not be nested\r\n"
                     "-ERR WATCH inside MULTI is not allowed\r\n*1\r\n" OK);
    end();
}

static void a_queue_runs_in_order_and_once(void) {
    begin();
    EXPECT("multi\nset k 1\nincr k\nget k\n", OK QUEUED QUEUED QUEUED);
    EXPECT_CHANGES(2, "exec\n", "*3\r\n" OK ":2\r\n$1\r\n2\r\n");
    EXPECT("exec\nget k\nmulti\nexec\n", "-ERR EXEC without MULTI\r\n$1\r\n2\r\n" OK "*0\r\n");
    end();
}

static void discard_forgets_queue_and_watches(void) {
    begin();
    EXPECT("watch k\nmulti\nset k v\ndiscard\nget k\n", OK OK QUEUED OK NIL);
    elsewhere(BYTES("set k other\n"));
    EXPECT("multi\nget k\nexec\n", OK QUEUED "*1\r\n$5\r\nother\r\n");
    end();
}

static void what_others_do_to_a_watched_key_is_felt(void) {
    static const struct {
        const char *before, *elsewhere;
        bool felt;
    } cases[] = {
        {"set k v\n", "set k v\n", true}, /* the same value: written is written */
        {"set k v\n", "get k\ntouch k\nttl k\n", false},
        {"set k v\n", "set other v\n", false},
        {"set k v\n", "select 1\nset k v\n", false},
        {"set k v\n", "del k\n", true},
        {"set k v\n", "expire k 100\n", true},
        {"set k v\n", "persist k\n", false},
        {"set k v\n", "rename k l\n", true},
        {"set l v\n", "rename l k\n", true},
        {"set k v\n", "multi\nset k w\nexec\n", true},
        {"ping\n", "del k\n", false},
        {"ping\n", "set k v\ndel k\n", true},
        {"set k v\n", "flushdb\n", true},
        {"ping\n", "flushdb\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        (void)run(bytes_of(cases[i].before));
        EXPECT("watch k\n", OK);
        elsewhere(bytes_of(cases[i].elsewhere));
        struct bytes reply = run(BYTES("multi\nping\nexec\n"));
        if (!bytes_equal(reply,
                         cases[i].felt ? BYTES(OK QUEUED "*-1\r\n") : BYTES(OK QUEUED "*1\r\n+PONG\r\n"))) {
            fprintf(stderr, "after %s and %s: %.*s\n", cases[i].before, cases[i].elsewhere, (int)reply.len,
                    reply.data);
            exit(1);
        }
        /* EXEC has ended the watch, whatever came of it. */
        elsewhere(BYTES("set k again\n"));
        EXPECT("multi\nping\nexec\n", OK QUEUED "*1\r\n+PONG\r\n");
        end();
    }
}

static void one_s_own_change_before_multi_counts_too(void) {
    begin();
    EXPECT("watch k\nset k v\nmulti\nexec\n", OK OK OK "*-1\r\n");
    EXPECT("watch k\nmulti\nset k v\nexec\n", OK OK QUEUED "*1\r\n" OK);
    end();
}

static void a_watched_key_that_expires_is_a_change(void) {
    begin();
    EXPECT("set k v px 10\nwatch k\n", OK OK);
    now_ms += 10;
    EXPECT("multi\nping\nexec\n", OK QUEUED "*-1\r\n");
    /* One that had expired when it was watched is not. */
    EXPECT("set k v px 10\n", OK);
    now_ms += 10;
    EXPECT("watch k\nmulti\nping\nexec\n", OK OK QUEUED "*1\r\n+PONG\r\n");
    end();
}

static void unwatch_ends_watches_but_not_from_within(void) {
    begin();
    EXPECT("watch k\n", OK);
    elsewhere(BYTES("set k v\n"));
    EXPECT("unwatch\nmulti\nping\nexec\n", OK OK QUEUED "*1\r\n+PONG\r\n");
    EXPECT("watch k\n", OK);
    elsewhere(BYTES("set k v\n"));
    EXPECT("multi\nunwatch\nexec\n", OK QUEUED "*-1\r\n");
    end();
}

static void errors_while_queueing_abort_and_errors_while_running_do_not(void) {
    begin();
    EXPECT("multi\nset k v\nnosuch\nexec\nexists k\n",
           OK QUEUED "-ERR unknown command 'nosuch', with args beginning with: \r\n" ABORTED ":0\r\n");
    EXPECT("multi\nset k\nexec\n", OK "-ERR wrong number of arguments for 'set' command\r\n" ABORTED);
    EXPECT("multi\nset k v\nincr k\nset l w\nexec\nget l\n",
           OK QUEUED QUEUED QUEUED "*3\r\n" OK NOT_AN_INTEGER OK "$1\r\nw\r\n");
    EXPECT("multi\nexec now\nget k\n", OK "-EXECABORT Transaction discarded because of: wrong number of "
                                          "arguments for 'exec' command\r\n$1\r\nv\r\n");
    end();
}

static void select_in_a_queue_holds_for_what_follows(void) {
    begin();
    EXPECT("multi\nselect 2\nset k two\nexec\nget k\nselect 0\nget k\n",
           OK QUEUED QUEUED "*2\r\n" OK OK "$3\r\ntwo\r\n" OK NIL);
    end();
}

int main(void) {
    RUN(what_is_not_begun_cannot_end);
    RUN(multi_does_not_nest_and_watch_comes_before_it);
    RUN(a_queue_runs_in_order_and_once);
    RUN(discard_forgets_queue_and_watches);
    RUN(what_others_do_to_a_watched_key_is_felt);
    RUN(one_s_own_change_before_multi_counts_too);
    RUN(a_watched_key_that_expires_is_a_change);
    RUN(unwatch_ends_watches_but_not_from_within);
    RUN(errors_while_queueing_abort_and_errors_while_running_do_not);
    RUN(select_in_a_queue_holds_for_what_follows);
    return 0;
}
