/* Lists: what commands say and tell of, and what is left where memory runs out. */
#include "server/commands/collection.h"
#include "tests/unit/failing_commands.h"

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static void elements_are_pushed_and_popped(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l a b", ":2\r\n"},
        {"lpush l c d", ":4\r\n"},
        {"lrange l 0 -1", "*4\r\n$1\r\nd\r\n$1\r\nc\r\n$1\r\na\r\n$1\r\nb\r\n"},
        {"lpushx l e", ":5\r\n"},
        {"rpushx l \"\"", ":6\r\n"},
        {"rpushx none x", ":0\r\n"},
        {"exists none", ":0\r\n"},
        {"lpop l", "$1\r\ne\r\n"},
        {"rpop l", "$0\r\n\r\n"},
        {"rpop l 3", "*3\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nc\r\n"},
        {"lpop l 0", "*0\r\n"},
        {"lpop l 9", "*1\r\n$1\r\nd\r\n"},
        {"exists l", ":0\r\n"},
        {"lpop l", NIL},
        {"lpop l 1", "*-1\r\n"},
        {"lpop l -1", "-ERR value is out of range, must be positive\r\n"},
        {"rpop l 1 2", "-ERR wrong number of arguments for 'rpop' command\r\n"},
        {"llen l", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void elements_are_read_and_changed_by_place(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l a b c b", ":4\r\n"},
        {"lindex l 1", "$1\r\nb\r\n"},
        {"lindex l -4", "$1\r\na\r\n"},
        {"lindex l 4", NIL},
        {"lindex l -5", NIL},
        {"lindex l x", NOT_AN_INTEGER},
        {"lindex none x", NIL},
        {"lset l -1 e", OK},
        {"lset l 4 e", "-ERR index out of range\r\n"},
        {"lset none x e", "-ERR no such key\r\n"},
        {"linsert l before b x", ":5\r\n"},
        {"linsert l AFTER e y", ":6\r\n"},
        {"linsert l after none y", ":-1\r\n"},
        {"linsert none after e y", ":0\r\n"},
        {"linsert l beside e y", SYNTAX_ERROR},
        {"lrange l -100 100", "*6\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\ne\r\n$1\r\ny\r\n"},
        {"lrange l 1 2", "*2\r\n$1\r\nx\r\n$1\r\nb\r\n"},
        {"lrange l 4 1", "*0\r\n"},
        {"lrange l 6 9", "*0\r\n"},
        {"lrange l -9223372036854775808 9223372036854775807",
         "*6\r\n$1\r\na\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\ne\r\n$1\r\ny\r\n"},
        {"lrange none x 1", NOT_AN_INTEGER},
        {"ltrim l 1 -2", OK},
        {"lrange l 0 -1", "*4\r\n$1\r\nx\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\ne\r\n"},
        {"ltrim l 3 1", OK},
        {"exists l", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void equal_elements_are_found_and_removed(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l a b a c a b", ":6\r\n"},
        {"lpos l a", ":0\r\n"},
        {"lpos l a rank 2", ":2\r\n"},
        {"lpos l a rank -1", ":4\r\n"},
        {"lpos l a rank 4", NIL},
        {"lpos l x", NIL},
        {"lpos l a count 0", "*3\r\n:0\r\n:2\r\n:4\r\n"},
        {"lpos l a count 2 rank -1", "*2\r\n:4\r\n:2\r\n"},
        {"lpos l a count 2 rank 3", "*1\r\n:4\r\n"},
        {"lpos l a count 0 maxlen 3", "*2\r\n:0\r\n:2\r\n"},
        {"lpos l a count 0 maxlen 2 rank -1", "*1\r\n:4\r\n"},
        {"lpos l c maxlen 3", NIL},
        {"lpos l c maxlen 4", ":3\r\n"},
        {"lpos l x count 1", "*0\r\n"},
        {"lpos none x count 1", "*0\r\n"},
        {"lpos none x", NIL},
        {"lpos l a rank -9223372036854775808", ":4\r\n"},
        {"lpos l a count", SYNTAX_ERROR},
        {"lpos l a count -1", "-ERR COUNT can't be negative\r\n"},
        {"lpos l a maxlen -1", "-ERR MAXLEN can't be negative\r\n"},
        {"lrem l -2 a", ":2\r\n"},
        {"lrange l 0 -1", "*4\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nb\r\n"},
        {"lrem l 1 b", ":1\r\n"},
        {"lrem l 0 x", ":0\r\n"},
        {"lrem none 0 x", ":0\r\n"},
        {"lrange l 0 -1", "*3\r\n$1\r\na\r\n$1\r\nc\r\n$1\r\nb\r\n"},
        {"lrem l -9223372036854775808 b", ":1\r\n"},
        {"lrem l 0 c", ":1\r\n"},
        {"lrem l 9 a", ":1\r\n"},
        {"exists l", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void elements_move_from_list_to_list(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l a b c", ":3\r\n"},
        {"lmove l m left right", "$1\r\na\r\n"},
        {"rpoplpush l m", "$1\r\nc\r\n"},
        {"lrange m 0 -1", "*2\r\n$1\r\nc\r\n$1\r\na\r\n"},
        {"lmove m m left right", "$1\r\nc\r\n"},
        {"lmove m m right right", "$1\r\nc\r\n"},
        {"lrange m 0 -1", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"},
        {"rpoplpush m m", "$1\r\nc\r\n"},
        {"rpoplpush l l", "$1\r\nb\r\n"},
        {"rpoplpush l m", "$1\r\nb\r\n"},
        {"exists l", ":0\r\n"},
        {"rpoplpush l m", NIL},
        {"lmove l m up left", SYNTAX_ERROR},
        {"lmpop 2 l m left", "*2\r\n$1\r\nm\r\n*1\r\n$1\r\nb\r\n"},
        {"lmpop 2 m l right count 5", "*2\r\n$1\r\nm\r\n*2\r\n$1\r\na\r\n$1\r\nc\r\n"},
        {"lmpop 2 m l right count 5", "*-1\r\n"},
        {"lmpop 0 m left", "-ERR numkeys should be greater than 0\r\n"},
        {"lmpop 2 m left", SYNTAX_ERROR},
        {"lmpop 1 m left count 0", "-ERR count should be greater than 0\r\n"},
        {"lmpop 1 m left count 1 count 1", SYNTAX_ERROR},
        {"lmpop 1 m left count 0 count 1", "-ERR count should be greater than 0\r\n"},
        {"lmpop 1 m left count", SYNTAX_ERROR},
        {"lmpop 4294967297 m left", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    end();
}

static void other_types_are_refused(void) {
    static const char *const refused[] = {
        "lpush s a",
        "rpushx s a",
        "lpop s",
        "rpop s 0",
        "llen s",
        "lrange s 0 1",
        "lindex s x",
        "lset s x a",
        "lrem s 1 a",
        "linsert s before a b",
        "ltrim s 0 1",
        "lpos s a",
        "lpos s a count 0",
        "rpoplpush s l",
        "rpoplpush l s",
        "rpoplpush s s",
        "lmove l s left left",
        "lmpop 2 x s left",
    };
    begin();
    EXPECT("set s v\nrpush l a\n", OK ":1\r\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", refused[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(WRONG_TYPE));
    }
    EXPECT("llen l\nget s\nget l\nhget l a\ntype l\n", ":1\r\n$1\r\nv\r\n" WRONG_TYPE WRONG_TYPE "+list\r\n");
    end();
}

static void changes_are_counted_as_in_redis(void) {
    begin();
    EXPECT_CHANGES(5, "rpush l a b c\nlpush l d e\n", ":3\r\n:5\r\n");
    EXPECT_CHANGES(0, "lset l 9 x\nlrem l 0 x\nlinsert l before x y\nlpop l 0\nlpushx m x\nltrim l 0 -1\n",
                   "-ERR index out of range\r\n:0\r\n:-1\r\n*0\r\n:0\r\n" OK);
    EXPECT_CHANGES(2, "lset l 0 e\nlinsert l before e e\n", OK ":6\r\n");
    EXPECT_CHANGES(2, "lrem l 0 e\n", ":2\r\n");
    EXPECT_CHANGES(2, "lmove l m left left\nlmove l l left right\n", "$1\r\nd\r\n$1\r\na\r\n");
    EXPECT_CHANGES(1, "rpoplpush m l\n", "$1\r\nd\r\n"); /* that m is gone is no change more */
    EXPECT_CHANGES(2, "lmpop 1 l left count 2\n", "*2\r\n$1\r\nl\r\n*2\r\n$1\r\nd\r\n$1\r\nb\r\n");
    EXPECT_CHANGES(1, "ltrim l 0 0\n", OK);
    EXPECT_CHANGES(1, "ltrim l 1 0\n", OK);
    end();
}

/* ---- Many elements -------------------------------------------------------------------------------- */

enum { MANY = 6000 };

static void fill(void) {
    for (unsigned i = 0; i < MANY; i++) {
        char line[64], expected[32];
        snprintf(line, sizeof line, "rpush l element:%06u\n", i);
        snprintf(expected, sizeof expected, ":%u\r\n", i + 1);
        CHECK_BYTES(run(bytes_of(line)), bytes_of(expected));
    }
}

/* The reply is so many elements, from this one on, upwards or downwards. */
static void check_elements(struct bytes reply, unsigned first, unsigned count, bool backwards) {
    char text[64];
    size_t at = (size_t)snprintf(text, sizeof text, "*%u\r\n", count);
    CHECK(reply.len == at + count * 21ul && memcmp(reply.data, text, at) == 0);
    for (unsigned i = 0; i < count; i++, at += 21) {
        snprintf(text, sizeof text, "$14\r\nelement:%06u\r\n", backwards ? first - i : first + i);
        CHECK(memcmp(reply.data + at, text, 21) == 0);
    }
}

static void many_elements_are_replied_in_parts(void) {
    begin();
    fill();
    check_elements(run(BYTES("lrange l 0 -1\n")), 0, MANY, false);
    check_elements(run(BYTES("lrange l 5 4004\n")), 5, 4000, false);
    check_elements(run(BYTES("lrange l 5700 5799\n")), 5700, 100, false);
    EXPECT("lindex l 3000\nlpos l element:005999\nlpos l element:000001 rank -1\n",
           "$14\r\nelement:003000\r\n:5999\r\n:1\r\n");
    end();
}

/* What is popped is replied as it was, at once or when there is room, and is given back then. */
static void many_elements_are_popped(void) {
    begin();
    fill();
    check_elements(run(BYTES("lpop l 10\n")), 0, 10, false);
    check_elements(run(BYTES("rpop l 10\n")), MANY - 1, 10, true);
    EXPECT("llen l\nlindex l 0\nlindex l -1\n",
           ":5980\r\n$14\r\nelement:000010\r\n$14\r\nelement:005989\r\n");
    check_elements(run(BYTES("rpop l 4000\n")), MANY - 11, 4000, true);
    check_elements(run(BYTES("lpop l 5000\n")), 10, 1980, false);
    EXPECT("exists l\n", ":0\r\n");
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 10)) {
        }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

static void large_lists_are_trimmed_and_turned(void) {
    begin();
    fill();
    EXPECT("ltrim l 1000 -1001\nllen l\n", OK ":4000\r\n");
    check_elements(run(BYTES("lrange l 0 -1\n")), 1000, 4000, false);
    EXPECT("rpoplpush l l\nlindex l 0\nlmove l l left right\nlindex l -1\n",
           "$14\r\nelement:004999\r\n$14\r\nelement:004999\r\n$14\r\nelement:004999\r\n"
           "$14\r\nelement:004999\r\n");
    check_elements(run(BYTES("lrange l 0 -1\n")), 1000, 4000, false);
    EXPECT("linsert l before element:003000 x\nlindex l 2000\nlrem l -1 x\n", ":4001\r\n$1\r\nx\r\n:1\r\n");
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* An element of this length is a block. */
enum { LONG = 3000 };

static void without_memory_nothing_is_half_done(void) {
    char line[2 * LONG + 64], element[LONG + 1];
    memset(element, 'v', LONG);
    element[LONG] = 0;
    begin();
    EXPECT("rpush l a b\n", ":2\r\n");
    uint64_t before = changes();
    snprintf(line, sizeof line, "lpush l c %s %s\n", element, element);
    CHECK_BYTES(run_with(1, bytes_of(line)), BYTES(NO_MEMORY)); /* for the first block */
    CHECK_INT(changes() - before, 2); /* what was pushed before memory ran out stays */
    EXPECT("llen l\nlindex l 1\n", ":4\r\n$1\r\nc\r\n");
    end();
}

static void without_memory_a_list_stays_as_it_was(void) {
    static const char *const lines[] = {"lpush none %s\n", "lset l 0 %s\n", "linsert l before a %s\n",
                                        "rpushx l %s\n"};
    char line[LONG + 64], element[LONG + 1];
    memset(element, 'v', LONG);
    element[LONG] = 0;
    begin();
    EXPECT("rpush l a b\n", ":2\r\n");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        uint64_t before = changes();
        size_t at = strcspn(lines[i], "%");
        snprintf(line, sizeof line, "%.*s%s\n", (int)at, lines[i], element);
        CHECK_BYTES(run_with(0, bytes_of(line)), BYTES(NO_MEMORY));
        CHECK_INT(changes() - before, 0);
    }
    EXPECT("exists none\nlrange l 0 -1\n", ":0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    end();
}

int main(void) {
    RUN(elements_are_pushed_and_popped);
    RUN(elements_are_read_and_changed_by_place);
    RUN(equal_elements_are_found_and_removed);
    RUN(elements_move_from_list_to_list);
    RUN(other_types_are_refused);
    RUN(changes_are_counted_as_in_redis);
    RUN(many_elements_are_replied_in_parts);
    RUN(many_elements_are_popped);
    RUN(large_lists_are_trimmed_and_turned);
    RUN(without_memory_nothing_is_half_done);
    RUN(without_memory_a_list_stays_as_it_was);
    return 0;
}
