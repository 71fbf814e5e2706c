/* DEL, EXISTS, TOUCH, TYPE, RENAME, MOVE, COPY: which keys there are afterwards, with which expiry. */
#include "tests/unit/commands_fixture.h"

#define NO_SUCH_KEY "-ERR no such key\r\n"
#define SAME        "-ERR source and destination objects are the same\r\n"
#define DB_RANGE    "-ERR DB index is out of range\r\n"
#define INT_RANGE   "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"

static void keys_are_counted_as_often_as_they_are_named(void) {
    begin();
    EXPECT("mset a 1 b 2 c 3\n", OK);
    EXPECT("exists a a none b\ntouch a a none\n", ":3\r\n:2\r\n");
    EXPECT_CHANGES(2, "del a a none b\n", ":2\r\n");
    EXPECT_CHANGES(1, "unlink c c\n", ":1\r\n");
    EXPECT("exists a b c\n", ":0\r\n");
    end();
}

static void expired_keys_are_not_there(void) {
    begin();
    EXPECT("set k v px 10\n", OK);
    now_ms += 10;
    EXPECT_CHANGES(0, "exists k\ndel k\ntouch k\ntype k\nrename k l\nmove k 1\ncopy k l\n",
                   ":0\r\n:0\r\n:0\r\n+none\r\n" NO_SUCH_KEY ":0\r\n:0\r\n");
    end();
}

static void an_expired_key_is_no_obstacle(void) {
    begin();
    EXPECT("set a 1\nset b 2 px 10\n", OK OK);
    now_ms += 10;
    EXPECT("renamenx a b\nget b\nttl b\n", ":1\r\n$1\r\n1\r\n:-1\r\n");
    EXPECT("set a 1\nset c 2 px 10\n", OK OK);
    now_ms += 10;
    EXPECT("copy a c\nget c\nttl c\n", ":1\r\n$1\r\n1\r\n:-1\r\n");
    EXPECT("select 1\nset a 2 px 10\nselect 0\n", OK OK OK);
    now_ms += 10;
    EXPECT("move a 1\nselect 1\nget a\nttl a\n", ":1\r\n" OK "$1\r\n1\r\n:-1\r\n");
    end();
}

static void rename_takes_the_expiry_along_and_replaces_the_other_s(void) {
    begin();
    EXPECT("set a 1 ex 10\nset b 2 ex 99\n", OK OK);
    EXPECT_CHANGES(1, "rename a b\n", OK);
    EXPECT("get b\nttl b\nexists a\n", "$1\r\n1\r\n:10\r\n:0\r\n");
    EXPECT("set c 3\nrename c b\nttl b\n", OK OK ":-1\r\n");
    end();
}

static void rename_to_itself_is_nothing(void) {
    begin();
    EXPECT("set a 1\n", OK);
    EXPECT_CHANGES(0, "rename a a\nrenamenx a a\nget a\n", OK ":0\r\n$1\r\n1\r\n");
    EXPECT("rename none none\nrenamenx none a\n", NO_SUCH_KEY NO_SUCH_KEY);
    EXPECT("set b 2\nrenamenx a b\nget b\n", OK ":0\r\n$1\r\n2\r\n");
    end();
}

static void move_goes_to_another_database_where_there_is_room(void) {
    begin();
    EXPECT("set k v ex 10\n", OK);
    static const struct exchange table[] = {
        {"move k 0", SAME},
        {"move k 16", DB_RANGE},
        {"move k -1", DB_RANGE},
        {"move k 2147483648", INT_RANGE},
        {"move k x", NOT_AN_INTEGER},
        {"move none 1", ":0\r\n"},
        {"move k 15", ":1\r\n"},
        {"exists k", ":0\r\n"},
        {"set k w", OK},
        {"move k 15", ":0\r\n"},
        {"get k", "$1\r\nw\r\n"},
        {"select 15", OK},
        {"get k", "$1\r\nv\r\n"},
        {"ttl k", ":10\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void copies_stand_on_their_own(void) {
    begin();
    static const struct exchange table[] = {
        {"set a 1 ex 10", OK},
        {"copy a b", ":1\r\n"},
        {"incr b", ":2\r\n"},
        {"ttl b", ":10\r\n"},
        {"get a", "$1\r\n1\r\n"},
        {"copy a b", ":0\r\n"},
        {"copy a b replace", ":1\r\n"},
        {"get b", "$1\r\n1\r\n"},
        {"copy a a", SAME},
        {"copy a a db 0", SAME},
        {"copy a a db 1", ":1\r\n"},
        {"copy a a db 1", ":0\r\n"},
        {"copy a a DB 1 REPLACE", ":1\r\n"},
        {"copy none b replace", ":0\r\n"},
        {"exists b", ":1\r\n"},
        {"copy a b db", SYNTAX_ERROR},
        {"copy a b db x", NOT_AN_INTEGER},
        {"copy a b db 16", DB_RANGE},
        {"copy a b db -2147483649", INT_RANGE},
        {"copy a b twice", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    end();
}

static const struct block *block_at(struct bytes name) {
    struct key key = {name, hash_bytes(&stripes.seed, name)};
    const struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, 0, key);
    CHECK(e && entry_block(e));
    return entry_block(e);
}

/* A large value is shared between copies until one of them is written to. */
static void a_copy_of_a_large_value_is_written_to_alone(void) {
    begin();
    EXPECT("setrange a 99999 x\ncopy a b\n", ":100000\r\n:1\r\n");
    CHECK(block_at(BYTES("a")) == block_at(BYTES("b")));
    EXPECT("setrange b 99999 y\ngetrange a 99999 -1\ngetrange b 99999 -1\n",
           ":100000\r\n$1\r\nx\r\n$1\r\ny\r\n");
    CHECK(!block_shared(block_at(BYTES("a"))) && !block_shared(block_at(BYTES("b"))));
    end();
}

static void questions_count_and_do_not_touch(void) {
    begin();
    EXPECT("set k v\n", OK);
    now_ms += 5000;
    EXPECT("exists k none\ntype k\ntype none\nttl k\nobject idletime k\n",
           ":1\r\n+string\r\n+none\r\n:-1\r\n:5\r\n");
    CHECK_INT(shards->exec.metrics.keyspace_hits, 4);
    CHECK_INT(shards->exec.metrics.keyspace_misses, 2);
    EXPECT("touch k\nobject idletime k\n", ":1\r\n:0\r\n");
    end();
}

int main(void) {
    RUN(keys_are_counted_as_often_as_they_are_named);
    RUN(expired_keys_are_not_there);
    RUN(an_expired_key_is_no_obstacle);
    RUN(rename_takes_the_expiry_along_and_replaces_the_other_s);
    RUN(rename_to_itself_is_nothing);
    RUN(move_goes_to_another_database_where_there_is_room);
    RUN(copies_stand_on_their_own);
    RUN(a_copy_of_a_large_value_is_written_to_alone);
    RUN(questions_count_and_do_not_touch);
    return 0;
}
