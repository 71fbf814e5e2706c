/* CLIENT TRACKING and what belongs to it as commands: modes, errors, who is told, the limit, and memory that runs out. */
#include "server/stripes/tracking.h"
#include "server/clients/invalidation.h"
#include "tests/unit/failing_commands.h"

static struct conn *first, *other;

static void begin_tracking(void) {
    begin();
    first = conn;
    other = fixture_conn(&shards[1]);
    conn = other;
    EXPECT("client reply skip\nhello 3\n", "");
    conn = first;
}
static void end_tracking(void) {
    conn = first;
    trackers_leave(&first->client);
    trackers_leave(&other->client);
    fixture_conn_close(other);
    for (unsigned i = 0; i < 4; i++) deliver_posts(&shards[i]);
    for (unsigned i = 0; i < stripes.count; i++) tracking_clear(&stripes.all[i]);
    end();
}

/* What the other client is sent when its shard has looked at its mail. */
static struct bytes heard(void) {
    buffer_free(&sent);
    deliver_posts(&shards[1]);
    fixture_take(&other->output, &sent);
    return buffer_bytes(&sent);
}
#define CHECK_HEARD(text) CHECK_BYTES(heard(), BYTES(text))
#define INVALID(key)      ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\n" key "\r\n"
#define ALL               ">2\r\n$10\r\ninvalidate\r\n_\r\n"

static void options_are_checked(void) {
    static const struct exchange table[] = {
        {"client getredir", ":-1\r\n"},
        {"client caching yes",
         "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
         "OPTOUT mode enabled\r\n"},
        {"client tracking maybe", "-ERR syntax error\r\n"},
        {"client tracking on nonsense", "-ERR syntax error\r\n"},
        {"client tracking on redirect", "-ERR syntax error\r\n"},
        {"client tracking on prefix", "-ERR syntax error\r\n"},
        {"client tracking on redirect x", "-ERR value is not an integer or out of range\r\n"},
        {"client tracking on redirect 123456", "-ERR The client ID you want redirect to does not exist\r\n"},
        {"client tracking on prefix a", "-ERR PREFIX option requires BCAST mode to be enabled\r\n"},
        {"client tracking on bcast optin", "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n"},
        {"client tracking on optin optout", "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n"},
        {"client tracking on bcast prefix ab prefix a",
         "-ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not "
         "overlap.\r\n"},
        {"client tracking on bcast prefix b prefix a", "+OK\r\n"},
        {"client tracking on bcast prefix bb", "-ERR Prefix 'bb' overlaps with an existing prefix 'b'. "
                                               "Prefixes for a single client must not overlap.\r\n"},
        {"client tracking on",
         "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
         "then re-enabling it with a different mode.\r\n"},
        {"client trackinginfo",
         "*6\r\n$5\r\nflags\r\n*2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n$8\r\n"
         "prefixes\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"client tracking off", "+OK\r\n"},
        {"client tracking on optin noloop", "+OK\r\n"},
        {"client tracking on optout",
         "-ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
         "and then re-enabling it with a different mode.\r\n"},
        {"client caching no",
         "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n"},
        {"client caching perhaps", "-ERR syntax error\r\n"},
        {"client caching yes", "+OK\r\n"},
        {"client trackinginfo",
         "*6\r\n$5\r\nflags\r\n*4\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$6\r\nnoloop"
         "\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n"},
        {"client getredir", ":0\r\n"},
        {"reset", "+RESET\r\n"},
        {"client getredir", ":-1\r\n"},
    };
    begin_tracking();
    EXPECT_ALL(table);
    end_tracking();
}

static void what_is_read_is_noted_and_told(void) {
    begin_tracking();
    conn = other;
    EXPECT("client tracking on\nget k\nmget a b\nget k\n", "+OK\r\n_\r\n*2\r\n_\r\n_\r\n_\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    conn = first;
    EXPECT("set k 1\nset k 2\nset c 1\n", "+OK\r\n+OK\r\n+OK\r\n");
    CHECK_HEARD(INVALID("k"));
    EXPECT("multi\nset a 1\nset b 1\nexec\n", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n+OK\r\n");
    CHECK_HEARD(INVALID("a") INVALID("b"));
    EXPECT("flushall\n", "+OK\r\n");
    CHECK_HEARD(ALL);
    end_tracking();
}

static void ones_own_changes_follow_the_reply(void) {
    begin_tracking();
    conn = other;
    EXPECT("client tracking on\nget k\nset k 1\n", "+OK\r\n_\r\n+OK\r\n" INVALID("k"));
    EXPECT("multi\nget k\nset k 2\nget k\nflushdb\nexec\n",
           "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n+"
           "OK\r\n" INVALID("k") ALL);
    EXPECT("get k\nclient reply skip\nset k 1\n", "_\r\n" INVALID("k"));
    EXPECT("client tracking on noloop\nget k\nset k 1\n", "+OK\r\n$1\r\n1\r\n+OK\r\n");
    end_tracking();
}

static void caching_is_for_one_command(void) {
    begin_tracking();
    conn = other;
    EXPECT("client tracking on optin\nget k\n", "+OK\r\n_\r\n");
    CHECK_INT(tracking_totals().keys, 0);
    EXPECT("client caching yes\nclient getredir\nget k\nget l\n", "+OK\r\n:0\r\n_\r\n_\r\n");
    CHECK_INT(tracking_totals().keys, 1);
    EXPECT("client caching yes\nmulti\nget m\nget n\nexec\nget o\n",
           "+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n_\r\n_\r\n_\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    EXPECT("client tracking off\nclient tracking on optout\nclient caching no\nget p\nget q\n",
           "+OK\r\n+OK\r\n+OK\r\n_\r\n_\r\n");
    CHECK_INT(tracking_totals().keys, 4);
    end_tracking();
}

static void a_limit_invalidates_what_is_beyond(void) {
    begin_tracking();
    conn = other;
    EXPECT("client tracking on\nmget a b c d e f g h\n",
           "+OK\r\n*8\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n_\r\n");
    conn = first;
    EXPECT("config set tracking-table-max-keys 3\n", "+OK\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    CHECK(heard().len == 5 * (sizeof INVALID("a") - 1));
    conn = other;
    EXPECT("get z\n", "_\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    CHECK(heard().len == sizeof INVALID("a") - 1);
    end_tracking();
}

/* A read that cannot be noted leaves no copy that nobody would be told of. */
static void without_memory_everything_is_invalid(void) {
    bool noted = false;
    begin_tracking();
    conn = other;
    EXPECT("client tracking on\n", "+OK\r\n");
    for (unsigned left = 0; !noted; left++) {
        struct bytes reply = run_with(left, BYTES("get k\n"));
        noted = bytes_equal(reply, BYTES("_\r\n"));
        if (!noted) CHECK_BYTES(reply, BYTES("_\r\n" ALL));
        CHECK_INT(tracking_totals().keys, noted);
    }
    CHECK_BYTES(run_with(0, BYTES("client tracking on\n")), BYTES("+OK\r\n"));
    conn = first;
    conn = fixture_conn(&shards[2]);
    CHECK(!bytes_equal(run_with(0, BYTES("client tracking on\n")), BYTES("+OK\r\n")));
    CHECK(!(conn->client.flags & CLIENT_TRACKING));
    fixture_conn_close(conn);
    end_tracking();
}

int main(void) {
    RUN(options_are_checked);
    RUN(what_is_read_is_noted_and_told);
    RUN(ones_own_changes_follow_the_reply);
    RUN(caching_is_for_one_command);
    RUN(a_limit_invalidates_what_is_beyond);
    RUN(without_memory_everything_is_invalid);
    return 0;
}
