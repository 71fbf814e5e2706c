/* XINFO: both forms of what it tells of a stream, and what it refuses. */
#include "tests/unit/commands_fixture.h"

static void a_stream_is_described(void) {
    begin();
    EXPECT("xadd s 1-1 a b\nxadd s 2-1 a c\nxdel s 2-1\n", "$3\r\n1-1\r\n$3\r\n2-1\r\n:1\r\n");
    EXPECT(
        "xinfo stream s\n",
        "*20\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n"
        "$17\r\nlast-generated-id\r\n$3\r\n2-1\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-1\r\n"
        "$13\r\nentries-added\r\n:2\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-1\r\n$6\r\ngroups\r\n:0\r\n"
        "$11\r\nfirst-entry\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"
        "$10\r\nlast-entry\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    EXPECT("xinfo stream s full\n",
           "*18\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n"
           "$17\r\nlast-generated-id\r\n$3\r\n2-1\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-1\r\n"
           "$13\r\nentries-added\r\n:2\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-1\r\n"
           "$7\r\nentries\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$6\r\ngroups\r\n*0\r\n");
    end();
}

/* Behind the text at which a reply goes on with it; NULL where it does not, or `at` is NULL already. */
static const char *behind(const char *at, struct bytes reply, const char *text) {
    const char *found = at ? memmem(at, (size_t)(reply.data + reply.len - at), text, strlen(text)) : NULL;
    return found ? found + strlen(text) : NULL;
}

/* Of groups with more pending entries and consumers than fit the reply at once. */
static void all_of_large_groups_is_told(void) {
    enum { COUNT = 3000, CONSUMERS = 1000 };
    char text[200];
    begin();
    EXPECT("xgroup create s g 0 mkstream\nxgroup create s h 0\n", OK OK);
    for (unsigned i = 1; i <= COUNT; i++) {
        snprintf(text, sizeof text, "xadd s %u-1 a b\nxreadgroup group g c%03u count 1 streams s >\n", i,
                 i % CONSUMERS);
        run(bytes_of(text));
    }
    struct bytes reply = run(BYTES("xinfo stream s full count 0\n"));
    const char *at = reply.data;
    for (unsigned i = 1; i <= COUNT; i++) {
        snprintf(text, sizeof text, "\r\n%u-1\r\n$4\r\nc%03u\r\n:", i, i % CONSUMERS);
        at = behind(at, reply, text);
    }
    at = behind(at, reply, "$9\r\nconsumers\r\n*1000\r\n");
    for (unsigned i = 0; i < CONSUMERS; i++) {
        snprintf(text, sizeof text, "\r\nc%03u\r\n$9\r\nseen-time\r\n", i);
        at = behind(at, reply, text);
    }
    at = behind(at, reply, "$1\r\nh\r\n");
    CHECK(behind(at, reply, "$7\r\npending\r\n*0\r\n$9\r\nconsumers\r\n*0\r\n"));
    reply = run(BYTES("xinfo consumers s g\n"));
    CHECK(behind(reply.data, reply, "\r\nc999\r\n$7\r\npending\r\n:3\r\n"));
    end();
}

/* Of a stream with more groups than fit the reply at once, of which the last has as many consumers. */
static void many_groups_and_busy_consumers_are_told(void) {
    enum { COUNT = 4000 };
    char text[200];
    begin();
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "xgroup create s g%04u 0 mkstream\nxadd s %u-1 a b\n", i, i + 1);
        run(bytes_of(text));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "xreadgroup group g3999 c%04u count 1 streams s >\n", i);
        run(bytes_of(text));
    }
    run(BYTES("xgroup createconsumer s g3999 idle\nxack s g3999 1-1\n"));
    struct bytes reply = run(BYTES("xinfo groups s\n"));
    const char *at = behind(reply.data, reply, "*4000\r\n");
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "$4\r\nname\r\n$5\r\ng%04u\r\n$9\r\nconsumers\r\n:%u\r\n", i,
                 i + 1 == COUNT ? COUNT + 1 : 0);
        at = behind(at, reply, text);
    }
    CHECK(behind(at, reply, "\r\n$3\r\nlag\r\n:0\r\n"));
    reply = run(BYTES("xpending s g3999\n"));
    at = behind(reply.data, reply, "*4\r\n:3999\r\n$3\r\n2-1\r\n$6\r\n4000-1\r\n*3999\r\n");
    for (unsigned i = 1; i < COUNT; i++) {
        snprintf(text, sizeof text, "*2\r\n$5\r\nc%04u\r\n$1\r\n1\r\n", i);
        at = behind(at, reply, text);
    }
    CHECK(at == reply.data + reply.len);
    end();
}

static void what_is_wrong_is_told(void) {
    begin();
    EXPECT("xadd s 1-1 a b\nset k v\n", "$3\r\n1-1\r\n" OK);
    static const struct exchange table[] = {
        {"xinfo stream none full x", "-ERR no such key\r\n"},
        {"xinfo stream k", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"xinfo stream s long",
         "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.\r\n"},
        {"xinfo stream s full count",
         "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.\r\n"},
        {"xinfo stream s full count x", NOT_AN_INTEGER},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(a_stream_is_described);
    RUN(all_of_large_groups_is_told);
    RUN(many_groups_and_busy_consumers_are_told);
    RUN(what_is_wrong_is_told);
    return 0;
}
