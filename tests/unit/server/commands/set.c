/* Sets: what commands say and tell of, and what is left where memory runs out. */
#include "server/commands/set.h"

#include "tests/unit/failing_commands.h"

#define WRONG_TYPE   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NOT_POSITIVE "-ERR value is out of range, must be positive\r\n"

static void members_are_added_asked_for_and_removed(void) {
    begin();
    static const struct exchange table[] = {
        {"sadd s a b a", ":2\r\n"},
        {"sadd s b c", ":1\r\n"},
        {"scard s", ":3\r\n"},
        {"scard none", ":0\r\n"},
        {"sismember s a", ":1\r\n"},
        {"sismember s x", ":0\r\n"},
        {"sismember none a", ":0\r\n"},
        {"smismember s a x c", "*3\r\n:1\r\n:0\r\n:1\r\n"},
        {"smismember none a b", "*2\r\n:0\r\n:0\r\n"},
        {"srem s b x", ":1\r\n"},
        {"srem none x", ":0\r\n"},
        {"smembers s", "*2\r\n$1\r\na\r\n$1\r\nc\r\n"},
        {"smembers none", "*0\r\n"},
        {"srem s a c a", ":2\r\n"},
        {"exists s", ":0\r\n"},
        {"sadd i 3 1 2", ":3\r\n"},
        {"smembers i", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"sismember i 2", ":1\r\n"},
        {"sismember i 02", ":0\r\n"},
        {"hello 3", NULL},
        {"smembers i", "~3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"smembers none", "~0\r\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", table[i].line);
        struct bytes reply = run((struct bytes){line, (size_t)len});
        if (table[i].reply) CHECK_BYTES(reply, bytes_of(table[i].reply));
    }
    end();
}

static void other_types_are_refused(void) {
    static const char *const refused[] = {
        "sadd s a",        "srem s a",      "scard s",         "sismember s a",   "smismember s a",
        "smembers s",      "spop s",        "spop s 1",        "spop s 0",        "smove s n a",
        "smove n2 s a",    "srandmember s", "srandmember s 1", "sscan s 0",       "sinter s",
        "sunion s",        "sdiff n s",     "sinter n s",      "sunionstore d s", "sintercard 1 s",
        "smove n2 s none",
    };
    begin();
    EXPECT("set s v\nsadd n2 a\n", OK ":1\r\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", refused[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(WRONG_TYPE));
    }
    EXPECT("get s\nsmove n s a\nexists n d\nget n2\n", "$1\r\nv\r\n:0\r\n:0\r\n" WRONG_TYPE);
    end();
}

static void changes_are_counted_as_in_redis(void) {
    begin();
    EXPECT_CHANGES(3, "sadd s a b c a\n", ":3\r\n");
    EXPECT_CHANGES(
        0, "sadd s a\nsrem s x\nsrem none x\nspop s 0\nspop none\nspop none 3\nsmove s s a\nsmove s t x\n",
        ":0\r\n:0\r\n:0\r\n*0\r\n" NIL "*0\r\n:1\r\n:0\r\n");
    EXPECT_CHANGES(2, "smove s t a\n", ":1\r\n");
    EXPECT_CHANGES(1, "sadd s a\n", ":1\r\n");
    EXPECT_CHANGES(1, "smove s t a\n", ":1\r\n");  /* it was there already */
    EXPECT_CHANGES(2, "srem s b c d\n", ":2\r\n"); /* that the key is gone is no change more */
    EXPECT_CHANGES(1, "spop t\n", "$1\r\na\r\n");
    EXPECT_CHANGES(2, "sadd s 1 2\n", ":2\r\n");
    EXPECT_CHANGES(2, "spop s 10\n", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    EXPECT_CHANGES(3, "sadd s 1 2 3\n", ":3\r\n");
    uint64_t before = changes();
    CHECK_INT(run(BYTES("spop s 2\n")).len, 4 + 2 * 7);
    CHECK_INT(changes() - before, 2);
    EXPECT("exists s t\nscard s\n", ":1\r\n:1\r\n");
    end();
}

static void a_member_moves(void) {
    begin();
    static const struct exchange table[] = {
        {"sadd a 1 2 x", ":3\r\n"},
        {"smove a b 1", ":1\r\n"},
        {"object encoding b", "$6\r\nintset\r\n"},
        {"smove a b x", ":1\r\n"},
        {"object encoding b", "$9\r\nhashtable\r\n"},
        {"smove a b 2", ":1\r\n"},
        {"exists a", ":0\r\n"},
        {"scard b", ":3\r\n"},
        {"smove b b x", ":1\r\n"},
        {"smove b b y", ":0\r\n"},
        {"smove none b x", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void what_redis_calls_it_goes_by_its_threshold(void) {
    begin();
    static const struct exchange table[] = {
        {"sadd s 1 2", ":2\r\n"},
        {"object encoding s", "$6\r\nintset\r\n"},
        {"sadd s a", ":1\r\n"},
        {"object encoding s", "$9\r\nhashtable\r\n"},
        {"srem s a", ":1\r\n"},
        {"object encoding s", "$9\r\nhashtable\r\n"},
        {"copy s s2", ":1\r\n"},
        {"object encoding s2", "$9\r\nhashtable\r\n"},
        {"sunionstore s s", ":2\r\n"},
        {"object encoding s", "$6\r\nintset\r\n"},
        {"config set set-max-intset-entries 2", "+OK\r\n"},
        {"sadd s 2", ":0\r\n"},
        {"object encoding s", "$6\r\nintset\r\n"},
        {"sadd s 3", ":1\r\n"},
        {"object encoding s", "$9\r\nhashtable\r\n"},
        {"sadd r 1 2 3 4 5 x", ":6\r\n"},
        {"srem r x", ":1\r\n"},
        {"expire r 100", ":1\r\n"},
        {"object encoding r", "$9\r\nhashtable\r\n"},
        {"config get set-max-i*", "*2\r\n$22\r\nset-max-intset-entries\r\n$1\r\n2\r\n"},
        {"config set set-max-intset-entries 512", "+OK\r\n"},
    };
    EXPECT_ALL(table);
    /* Four of five leave the set as it was; where five of six go, Redis makes a new one of the rest. */
    run(BYTES("spop r 4\n"));
    EXPECT("object encoding r\n", "$9\r\nhashtable\r\n");
    EXPECT("del r\nsadd r 1 2 3 4 5 6 x\nsrem r x\nexpire r 100\n", ":1\r\n:7\r\n:1\r\n:1\r\n");
    run(BYTES("spop r 5\n"));
    EXPECT("object encoding r\nttl r\nscard r\n", "$6\r\nintset\r\n:100\r\n:1\r\n");
    end();
}

/* ---- Many members --------------------------------------------------------------------------------- */

enum { MANY = 5000 };

static void fill(const char *key, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof line, "sadd %s member:%06u\n", key, i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
}

/* Counts how often each of the first `count` members is in the reply. */
static void count_all(struct bytes reply, unsigned count, unsigned *seen) {
    for (const char *at = reply.data, *end = at + reply.len;
         (at = memmem(at, (size_t)(end - at), "member:", 7));) {
        unsigned number = (unsigned)strtoul(at + 7, NULL, 10);
        CHECK(number < count);
        seen[number]++;
        at += 13;
    }
}
/* Each is in it as often as `times`. */
static void check_all(struct bytes reply, unsigned count, unsigned times) {
    unsigned *seen = calloc(count, sizeof *seen);
    CHECK(seen);
    count_all(reply, count, seen);
    for (unsigned i = 0; i < count; i++) CHECK_INT(seen[i], times);
    free(seen);
}

enum { BULK = 5 + 13 + 2 }; /* bytes of a member in a reply */

static void many_members_are_replied_in_parts(void) {
    begin();
    fill("s", MANY);
    struct bytes reply = run(BYTES("smembers s\n"));
    CHECK(memcmp(reply.data, "*5000\r\n", 7) == 0);
    CHECK_INT(reply.len, 7 + MANY * BULK);
    check_all(reply, MANY, 1);
    /* What is written later is from before the deletion. */
    reply = run(BYTES("multi\nsmembers s\nsrem s member:000000\nspop s 100000\nexec\n"));
    const char *second = memmem(reply.data, reply.len, ":1\r\n*4999", 9);
    CHECK(second);
    check_all((struct bytes){reply.data, (size_t)(second - reply.data)}, MANY, 1);
    EXPECT("exists s\n", ":0\r\n");
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 10)) {
        }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

static void scans_find_every_member(void) {
    begin();
    fill("s", MANY);
    unsigned *seen = calloc(MANY, sizeof *seen);
    char line[128] = "sscan s 0\n";
    unsigned steps = 0;
    CHECK(seen);
    for (bool more = true; more; steps++) {
        struct bytes reply = run(bytes_of(line));
        unsigned long long cursor = strtoull(strchr(reply.data + 4, '\n') + 1, NULL, 10);
        CHECK(reply.len < 300 * BULK && (!cursor || reply.len > 10 * BULK));
        count_all(reply, MANY, seen);
        snprintf(line, sizeof line, "sscan s %llu\n", cursor);
        more = cursor;
    }
    for (unsigned i = 0; i < MANY; i++) CHECK_INT(seen[i], 1);
    CHECK(steps > 10 && steps < MANY / 10 + 2);
    free(seen);
    static const struct exchange table[] = {
        {"sscan s 0 count 10000 match *:000123", "*2\r\n$1\r\n0\r\n*1\r\n$13\r\nmember:000123\r\n"},
        {"sscan none 0 count 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"sscan s x", "-ERR invalid cursor\r\n"},
        {"sscan s 0 count 0", SYNTAX_ERROR},
        {"sscan s 0 count x", NOT_AN_INTEGER},
        {"sadd i 2 1", ":2\r\n"},
        {"sscan i 77 count 1", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n"},
        {"sscan i 0 match 2", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\n2\r\n"},
        {"sadd i x", ":1\r\n"},
        {"sscan i 0 match x", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nx\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* More integers than a string of bytes holds are a tree: an intset to Redis, which gives all of it at once. */
static void a_large_intset_is_scanned_at_once(void) {
    begin();
    EXPECT("config set set-max-intset-entries 100000\n", OK);
    for (int i = 0; i < 3000; i++) {
        char line[64];
        snprintf(line, sizeof line, "sadd i %d\n", 1000000 + i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
    EXPECT("object encoding i\n", "$6\r\nintset\r\n");
    struct bytes reply = run(BYTES("sscan i 5 count 1\n"));
    CHECK(memcmp(reply.data, "*2\r\n$1\r\n0\r\n*3000\r\n", 18) == 0);
    CHECK_INT(reply.len, 18 + 3000 * (4 + 7 + 2));
    EXPECT("config set set-max-intset-entries 512\n", OK);
    end();
}

/* ---- Chance --------------------------------------------------------------------------------------- */

static void random_members_are_members(void) {
    begin();
    fill("s", 300);
    static const struct exchange table[] = {
        {"srandmember none", NIL},
        {"srandmember none 5", "*0\r\n"},
        {"srandmember s 0", "*0\r\n"},
        {"srandmember s x", NOT_AN_INTEGER},
        {"srandmember s 1 2", SYNTAX_ERROR},
        {"srandmember s -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"},
        {"spop none", NIL},
        {"spop none 5", "*0\r\n"},
        {"spop s 0", "*0\r\n"},
        {"spop s -1", NOT_POSITIVE},
        {"spop s x", NOT_POSITIVE},
        {"spop s 1 2", SYNTAX_ERROR},
        {"scard s", ":300\r\n"},
    };
    EXPECT_ALL(table);
    check_all(run(BYTES("srandmember s 1000\n")), 300, 1);
    CHECK_INT(run(BYTES("srandmember s\n")).len, BULK);
    CHECK_INT(run(BYTES("srandmember s 7\n")).len, 4 + 7 * BULK);
    CHECK_INT(run(BYTES("srandmember s -700\n")).len, 6 + 700 * BULK);
    CHECK_INT(run(BYTES("srandmember s 299\n")).len, 6 + 299 * BULK);
    EXPECT("scard s\n", ":300\r\n");
    end();
}

/* Whatever is popped, in whatever numbers, each member comes once. */
static void each_member_is_popped_once(const char *key) {
    unsigned seen[300] = {0};
    for (unsigned left = 300, count = 0; left > 0; count = (count + 1) % 50) {
        char line[64];
        snprintf(line, sizeof line, count ? "spop %s %u\n" : "spop %s\n", key, count);
        count_all(run(bytes_of(line)), 300, seen);
        unsigned popped = count ? count : 1;
        left -= popped < left ? popped : left;
        snprintf(line, sizeof line, "scard %s\n", key);
        CHECK_INT(strtoul(run(bytes_of(line)).data + 1, NULL, 10), left);
    }
    for (unsigned i = 0; i < 300; i++) CHECK_INT(seen[i], 1);
}
static void pops_give_each_member_once(void) {
    begin();
    fill("s", 300);
    EXPECT("copy s t\n", ":1\r\n");
    each_member_is_popped_once("s");
    each_member_is_popped_once("t");
    EXPECT("exists s t\n", ":0\r\n");
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* A member of this length is a block in a tree. */
enum { LONG = 3000 };

static void long_member(char member[LONG + 1]) {
    memset(member, 'm', LONG);
    member[LONG] = 0;
}

static void what_was_added_before_memory_ran_out_stays(void) {
    char line[LONG + 64], member[LONG + 1];
    long_member(member);
    snprintf(line, sizeof line, "sadd s a b %s c\n", member);
    begin();
    EXPECT("sadd s z\n", ":1\r\n");
    uint64_t before = changes();
    CHECK_BYTES(run_with(0, bytes_of(line)), BYTES(NO_MEMORY)); /* for the block */
    CHECK_INT(changes() - before, 2);
    EXPECT("smembers s\n", "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n");
    end();
}

static void a_set_that_cannot_be_begun_is_not_there(void) {
    char line[LONG + 64], member[LONG + 1];
    long_member(member);
    snprintf(line, sizeof line, "sadd s %s\n", member);
    begin();
    EXPECT("ping\n", "+PONG\r\n");
    CHECK_BYTES(run_with(0, bytes_of(line)), BYTES(NO_MEMORY));
    CHECK_INT(changes(), 0);
    EXPECT("exists s\n", ":0\r\n");
    end();
}

static void who_cannot_pop_leaves_the_members(void) {
    begin();
    fill("s", 20);
    for (unsigned left = 0; left < 3; left++)
        CHECK_BYTES(run_with(left, BYTES("spop s 5\n")), BYTES(NO_MEMORY)); /* places, texts, members */
    EXPECT("scard s\n", ":20\r\n");
    CHECK_BYTES(run_with(0, BYTES("srandmember s 5\n")), BYTES(NO_MEMORY));
    EXPECT("sadd i 1 2\n", ":2\r\n");
    CHECK_BYTES(run_with(0, BYTES("sscan i 0\n")), BYTES(NO_MEMORY)); /* texts of the integers */
    end();
}

static void a_member_that_cannot_move_stays(void) {
    char line[LONG + 64], member[LONG + 1];
    long_member(member);
    begin();
    snprintf(line, sizeof line, "sadd s %s\n", member);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    snprintf(line, sizeof line, "smove s t %s\n", member);
    uint64_t before = changes();
    CHECK_BYTES(run_with(0, bytes_of(line)), BYTES(NO_MEMORY)); /* for the block of the other one */
    CHECK_INT(changes() - before, 0);
    EXPECT("exists t\nscard s\n", ":0\r\n:1\r\n");
    CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    EXPECT("exists s\nscard t\n", ":0\r\n:1\r\n");
    end();
}

static void long_members_are_popped(void) {
    char line[LONG + 64], member[LONG + 1];
    long_member(member);
    begin();
    for (unsigned i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "sadd s %c%s\n", 'a' + i, member);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
    CHECK_INT(run(BYTES("spop s 2\n")).len, 4 + 2 * (7 + LONG + 1 + 2));
    CHECK_INT(run(BYTES("spop s\n")).len, 7 + LONG + 1 + 2);
    EXPECT("exists s\n", ":0\r\n");
    end();
}

int main(void) {
    RUN(members_are_added_asked_for_and_removed);
    RUN(other_types_are_refused);
    RUN(changes_are_counted_as_in_redis);
    RUN(a_member_moves);
    RUN(what_redis_calls_it_goes_by_its_threshold);
    RUN(many_members_are_replied_in_parts);
    RUN(scans_find_every_member);
    RUN(a_large_intset_is_scanned_at_once);
    RUN(random_members_are_members);
    RUN(pops_give_each_member_once);
    RUN(what_was_added_before_memory_ran_out_stays);
    RUN(a_set_that_cannot_be_begun_is_not_there);
    RUN(who_cannot_pop_leaves_the_members);
    RUN(a_member_that_cannot_move_stays);
    RUN(long_members_are_popped);
    return 0;
}
