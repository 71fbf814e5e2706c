/* MONITOR's lines: what they look like, who gets them, and what is cut or hidden. */
#include "server/exec/monitor.h"

#include "tests/unit/commands_fixture.h"

static struct buffer lines;

/* Another client that watches, on a shard of its own. */
static struct conn *watcher(unsigned shard) {
    struct conn *c = fixture_conn(&shards[shard]);
    CHECK(monitor_add(&c->client));
    return c;
}

static void unwatch(struct conn *c) {
    monitor_remove(&c->client);
    fixture_conn_close(c);
}

/* What it has been sent. */
static struct bytes seen(struct conn *c) {
    deliver_posts(c->shard);
    buffer_free(&lines);
    fixture_take(&c->output, &lines);
    return buffer_bytes(&lines);
}

/* The line behind "+seconds.microseconds [": six digits of microseconds, and the time of day. */
static struct bytes behind_time(struct bytes line) {
    char *end;
    CHECK(line.len > 20 && line.data[0] == '+');
    long long seconds = strtoll(line.data + 1, &end, 10);
    CHECK(seconds > 1700000000 && *end == '.');
    CHECK(strspn(end + 1, "0123456789") == 6 && memcmp(end + 7, " [", 2) == 0);
    end += 9;
    return (struct bytes){end, (size_t)(line.data + line.len - end)};
}
#define CHECK_SEEN(c, expected) CHECK_BYTES(behind_time(seen(c)), BYTES(expected))

static void come_from(const char *peer) {
    fixture_text(conn, CLIENT_PEER, peer);
}

static void a_line_tells_time_database_client_and_words(void) {
    begin();
    struct conn *w = watcher(2);
    EXPECT("get k\n", NIL);
    CHECK_SEEN(w, "0 ?:0] \"get\" \"k\"\r\n");
    EXPECT("select 3\n", OK);
    CHECK_SEEN(w, "3 ?:0] \"select\" \"3\"\r\n"); /* the database that it went to */
    come_from("10.0.0.1:5000");
    EXPECT("SeT k \"\"\n", OK);
    CHECK_SEEN(w, "3 10.0.0.1:5000] \"SeT\" \"k\" \"\"\r\n");
    come_from("/run/kevy.sock:0");
    conn->client.flags |= CLIENT_UNIX_SOCKET;
    EXPECT("get k\n", "$0\r\n\r\n");
    CHECK_SEEN(w, "3 unix:/run/kevy.sock] \"get\" \"k\"\r\n");
    unwatch(w);
    end();
}

static void bytes_are_quoted_as_redis_cli_reads_them(void) {
    begin();
    struct conn *w = watcher(1);
    run(BYTES("echo \"a\\\"b\\\\\\n\\r\\t\\a\\b\\x00\\x1f ~\\x7f\\xff'\"\n"));
    CHECK_SEEN(w, "0 ?:0] \"echo\" \"a\\\"b\\\\\\n\\r\\t\\a\\b\\x00\\x1f ~\\x7f\\xff'\"\r\n");
    unwatch(w);
    end();
}

static void every_monitor_is_told_until_it_is_none(void) {
    begin();
    struct conn *a = watcher(0), *b = watcher(3);
    CHECK(fixture_raised(MODE_MONITORED));
    EXPECT("ping\n", "+PONG\r\n");
    CHECK_SEEN(a, "0 ?:0] \"ping\"\r\n");
    CHECK_SEEN(b, "0 ?:0] \"ping\"\r\n");
    EXPECT("ping late\n", "$4\r\nlate\r\n");
    monitor_remove(&a->client);
    CHECK(fixture_raised(MODE_MONITORED));
    CHECK_INT(seen(a).len, 0); /* the line was on its way, and is none of its business now */
    CHECK_SEEN(b, "0 ?:0] \"ping\" \"late\"\r\n");
    monitor_remove(&a->client); /* twice is once */
    CHECK(fixture_raised(MODE_MONITORED));
    unwatch(b);
    CHECK(!fixture_raised(MODE_MONITORED));
    fixture_conn_close(a);
    end();
}

static void many_may_watch(void) {
    enum { MANY = 37 };
    struct conn *watchers[MANY];
    begin();
    for (unsigned i = 0; i < MANY; i++) watchers[i] = watcher(i % 4);
    EXPECT("ping\n", "+PONG\r\n");
    for (unsigned i = 0; i < MANY; i++) deliver_posts(watchers[i]->shard);
    for (unsigned i = 0; i < MANY; i++) {
        CHECK_SEEN(watchers[i], "0 ?:0] \"ping\"\r\n");
        unwatch(watchers[i]);
    }
    end();
}

/* Administration, what says so of itself, and what was refused. */
static void some_commands_are_nobody_s_business(void) {
    begin();
    struct conn *w = watcher(1);
    run(BYTES("config get timeout\nclient list\nnosuch\nget\nmulti\nget k\n"));
    CHECK_SEEN(w, "0 ?:0] \"multi\"\r\n");
    EXPECT("exec\n", "*1\r\n" NIL);
    struct bytes both = behind_time(seen(w)); /* EXEC behind what it ran */
    static const char first[] = "0 ?:0] \"get\" \"k\"\r\n+";
    CHECK(both.len > sizeof first && memcmp(both.data, first, sizeof first - 1) == 0);
    CHECK_BYTES(behind_time((struct bytes){both.data + sizeof first - 2, both.len - sizeof first + 2}),
                BYTES("0 ?:0] \"exec\"\r\n"));
    unwatch(w);
    end();
}

static void passwords_are_not_shown(void) {
    begin();
    struct conn *w = watcher(1);
    run(BYTES("hello 3 auth default secret\n"));
    struct bytes line = seen(w);
    CHECK(line.len > 20 && !memmem(line.data, line.len, "secret", 6) &&
          memmem(line.data, line.len, "\"auth\"", 6));
    unwatch(w);
    end();
}

static void a_huge_line_is_cut_and_says_so(void) {
    enum { LONG = MONITOR_LINE_MAX + 5000 };
    static char line[LONG + 64];
    begin();
    shards->limits.max_inline = LONG + 64;
    struct conn *w = watcher(1);
    int head = snprintf(line, sizeof line, "echo ");
    memset(line + head, 'x', LONG);
    line[head + LONG] = '\n';
    run((struct bytes){line, (size_t)head + LONG + 1});
    struct bytes shown = seen(w);
    CHECK(shown.len > MONITOR_LINE_MAX && shown.len < MONITOR_LINE_MAX + 100);
    size_t more;
    const char *tail = memmem(shown.data, shown.len, "\"... (", 6);
    CHECK(tail && sscanf(tail, "\"... (%zu more bytes)\r\n", &more) == 1);
    const char *text = memmem(shown.data, shown.len, " \"xxx", 5);
    CHECK(text && (size_t)(tail - text) - 2 + more == LONG);
    /* Many arguments, likewise. */
    head = snprintf(line, sizeof line, "del");
    for (; head + 6 < LONG; head += 6) memcpy(line + head, " keyed", 6);
    line[head] = '\n';
    run((struct bytes){line, (size_t)head + 1});
    shown = seen(w);
    CHECK(shown.len > MONITOR_LINE_MAX && shown.len < MONITOR_LINE_MAX + 100);
    tail = memmem(shown.data, shown.len, " ... (", 6);
    CHECK(tail && sscanf(tail, " ... (%zu more arguments)\r\n", &more) == 1 && more > 0);
    unwatch(w);
    end();
}

/* A monitor that does not read is no place to keep everybody's commands. */
static void a_monitor_that_reads_nothing_is_closed(void) {
    begin();
    struct conn *w = watcher(1);
    w->client.output_bytes = MONITOR_UNREAD_MAX;
    EXPECT("ping\n", "+PONG\r\n");
    deliver_posts(w->shard);
    CHECK(!(w->flags & CONN_CLOSING));
    w->client.output_bytes++;
    EXPECT("ping\n", "+PONG\r\n");
    deliver_posts(w->shard);
    CHECK(w->flags & CONN_CLOSING);
    fixture_conn_close(w);
    CHECK(!fixture_raised(MODE_MONITORED));
    end();
}

/* The line's time aside: "+T [" and what is behind it, of each line that is one of a monitor's. */
static struct bytes timeless(struct bytes text) {
    static char out[1024];
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        CHECK(len + 2 < sizeof out);
        out[len++] = text.data[i];
        bool begins = text.data[i] == '+' && i + 1 < text.len && text.data[i + 1] >= '0' &&
                      text.data[i + 1] <= '9';
        if (!begins) continue;
        while (text.data[i + 1] != ' ') i++;
        out[len++] = 'T';
    }
    return (struct bytes){out, len};
}
#define EXPECT_OWN(lines, expected)                                                                          \
    do {                                                                                                     \
        CHECK_BYTES(timeless(run(BYTES(lines))), BYTES(expected));                                           \
    } while (0)

static void its_own_commands_are_shown_behind_their_replies(void) {
    begin();
    EXPECT("monitor\n", OK);
    EXPECT_OWN("ping\necho a\n", "+PONG\r\n+T [0 ?:0] \"ping\"\r\n$1\r\na\r\n+T [0 ?:0] \"echo\" \"a\"\r\n");
    EXPECT_OWN("get k\nreset\nping\n",
               "-ERR Replica can't interact with the keyspace\r\n+RESET\r\n+PONG\r\n");
    CHECK_INT(seen(conn).len, 0); /* and by no post a second time */
    EXPECT("monitor\n", OK);
    EXPECT_OWN("ping\nquit\n", "+PONG\r\n+T [0 ?:0] \"ping\"\r\n" OK);
    end();
}

static void what_is_muted_is_not_shown_later(void) {
    begin();
    EXPECT("monitor\n", OK);
    EXPECT_OWN("client reply off\nping\nclient reply on\nping\n",
               OK "+T [0 ?:0] \"client\" \"reply\" \"on\"\r\n+PONG\r\n+T [0 ?:0] \"ping\"\r\n");
    EXPECT_OWN("client reply skip\nping\nping\n",
               "+T [0 ?:0] \"client\" \"reply\" \"skip\"\r\n+PONG\r\n+T [0 ?:0] \"ping\"\r\n");
    CHECK_INT(seen(conn).len, 0);
    end();
}

/* Redis writes them into EXEC's reply, whose elements are then miscounted. */
static void within_exec_its_lines_wait_for_the_end_of_the_reply(void) {
    begin();
    EXPECT("monitor\n", OK);
    EXPECT_OWN("multi\nping\necho x\nexec\n",
               OK "+T [0 ?:0] \"multi\"\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+PONG\r\n$1\r\nx\r\n"
                  "+T [0 ?:0] \"ping\"\r\n+T [0 ?:0] \"echo\" \"x\"\r\n+T [0 ?:0] \"exec\"\r\n");
    struct conn *w = watcher(1);
    EXPECT_OWN("ping\n", "+PONG\r\n+T [0 ?:0] \"ping\"\r\n");
    CHECK_SEEN(w, "0 ?:0] \"ping\"\r\n");
    unwatch(w);
    end();
}

int main(void) {
    RUN(its_own_commands_are_shown_behind_their_replies);
    RUN(what_is_muted_is_not_shown_later);
    RUN(within_exec_its_lines_wait_for_the_end_of_the_reply);
    RUN(a_line_tells_time_database_client_and_words);
    RUN(bytes_are_quoted_as_redis_cli_reads_them);
    RUN(every_monitor_is_told_until_it_is_none);
    RUN(many_may_watch);
    RUN(some_commands_are_nobody_s_business);
    RUN(passwords_are_not_shown);
    RUN(a_huge_line_is_cut_and_says_so);
    RUN(a_monitor_that_reads_nothing_is_closed);
    buffer_free(&lines);
    return 0;
}
