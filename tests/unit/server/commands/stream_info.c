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
    RUN(what_is_wrong_is_told);
    return 0;
}
