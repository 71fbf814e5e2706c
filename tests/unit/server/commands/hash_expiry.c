/* Fields that expire: what commands say, and what is there when their time has come, whether upkeep has been
 * there or not. */
#include "server/commands/hash.h"

#include <limits.h>

#include "tests/unit/commands_fixture.h"

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define FAR        "4102444800000" /* the year 2100 */

static void expiries_are_set_told_and_taken_away(void) {
    begin();
    static const struct exchange table[] = {
        {"hset h a 1 b 2 c 3", ":3\r\n"},
        {"hpexpireat h " FAR " fields 3 a x b", "*3\r\n:1\r\n:-2\r\n:1\r\n"},
        {"hpexpiretime h fields 4 a b c x", "*4\r\n:" FAR "\r\n:" FAR "\r\n:-1\r\n:-2\r\n"},
        {"hexpiretime h fields 1 a", "*1\r\n:4102444800\r\n"},
        {"hpexpire h 1500 xx fields 2 a c", "*2\r\n:1\r\n:0\r\n"},
        {"hpttl h fields 1 a", "*1\r\n:1500\r\n"},
        {"httl h fields 1 a", "*1\r\n:2\r\n"},
        {"hpexpire h 1500 gt fields 3 a b c", "*3\r\n:0\r\n:0\r\n:0\r\n"},
        {"hpexpire h 1600 lt fields 3 a b c", "*3\r\n:0\r\n:1\r\n:1\r\n"},
        {"hpexpire h 1700 nx fields 3 a b c", "*3\r\n:0\r\n:0\r\n:0\r\n"},
        {"object encoding h", "$10\r\nlistpackex\r\n"},
        {"hset h a 5", ":0\r\n"},
        {"hincrby h b 5", ":7\r\n"},
        {"hincrbyfloat h c 0.5", "$3\r\n3.5\r\n"},
        {"hpttl h fields 3 a b c", "*3\r\n:-1\r\n:1600\r\n:1600\r\n"},
        {"hpersist h fields 4 a b x c", "*4\r\n:-1\r\n:1\r\n:-2\r\n:1\r\n"},
        {"object encoding h", "$8\r\nlistpack\r\n"},
        {"hexpire h 0 fields 2 a x", "*2\r\n:2\r\n:-2\r\n"},
        {"hpexpireat h 1 nx fields 2 b c", "*2\r\n:2\r\n:2\r\n"},
        {"exists h", ":0\r\n"},
        {"hexpire h 1 fields 1 a", "*1\r\n:-2\r\n"},
        {"hpersist h fields 1 a", "*1\r\n:-2\r\n"},
        {"httl h fields 1 a", "*1\r\n:-2\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void values_come_with_what_becomes_of_them(void) {
    begin();
    static const struct exchange table[] = {
        {"hsetex h px 500 fields 2 a 1 b 2", ":1\r\n"},
        {"hsetex h fnx fields 2 x 1 a 1", ":0\r\n"},
        {"hsetex h fxx fields 2 x 1 a 1", ":0\r\n"},
        {"hsetex none fxx fields 1 a 1", ":0\r\n"},
        {"exists none", ":0\r\n"},
        {"hsetex h keepttl fxx fields 1 a 7", ":1\r\n"},
        {"hsetex h fields 1 b 8", ":1\r\n"},
        {"hpttl h fields 2 a b", "*2\r\n:500\r\n:-1\r\n"},
        {"hgetex h fields 3 a b x", "*3\r\n$1\r\n7\r\n$1\r\n8\r\n" NIL},
        {"hgetex h ex 2 fields 2 b x", "*2\r\n$1\r\n8\r\n" NIL},
        {"hgetex h persist fields 1 a", "*1\r\n$1\r\n7\r\n"},
        {"hpttl h fields 2 a b", "*2\r\n:-1\r\n:2000\r\n"},
        {"hgetex h pxat 1 fields 2 a a", "*2\r\n$1\r\n7\r\n" NIL},
        {"hgetdel h fields 3 a b b", "*3\r\n" NIL "$1\r\n8\r\n" NIL},
        {"exists h", ":0\r\n"},
        {"hgetdel h fields 1 a", "*1\r\n" NIL},
        {"hgetex h ex 5 fields 1 a", "*1\r\n" NIL},
        {"hsetex h pxat 1 fields 1 a 1", ":1\r\n"},
        {"exists h", ":0\r\n"},
        {"hset h a 1 b 2", ":2\r\n"},
        {"hsetex h exat 1 fields 2 a 1 c 1", ":1\r\n"},
        {"hgetall h", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void what_is_wrong_is_said_as_in_redis(void) {
#define NO_FIELDS "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n"
#define COUNT     "-ERR The `numfields` parameter must match the number of arguments\r\n"
    begin();
    static const struct exchange table[] = {
        {"hexpire h -1 fields 1 a", "-ERR invalid expire time, must be >= 0\r\n"},
        {"hexpire h x fields 1 a", NOT_AN_INTEGER},
        {"hpexpireat h 70368744177664 fields 1 a", "-ERR invalid expire time in 'hpexpireat' command\r\n"},
        {"hexpireat h 70368744178 fields 1 a", "-ERR invalid expire time in 'hexpireat' command\r\n"},
        {"hpexpire h 70368744177663 fields 1 a", "-ERR invalid expire time in 'hpexpire' command\r\n"},
        {"hexpire h 9223372036854775807 fields 1 a", "-ERR invalid expire time in 'hexpire' command\r\n"},
        {"hpexpireat h 70368744177663 fields 1 a", "*1\r\n:-2\r\n"},
        {"hexpire h 1 never fields 1 a", NO_FIELDS},
        {"hexpire h 1 fields 0 a", "-ERR Parameter `numFields` should be greater than 0\r\n"},
        {"hexpire h 1 fields 2 a", COUNT},
        {"httl h fields 0 a", "-ERR Number of fields must be a positive integer\r\n"},
        {"httl h field 1 a", NO_FIELDS},
        {"hgetdel h fields 3 a", COUNT},
        {"hgetex h ex 10 fields", "-ERR wrong number of arguments for 'hgetex' command\r\n"},
        {"hsetex h fields x a 1", "-ERR invalid number of fields\r\n"},
        {"hsetex h fields 2 a 1", "-ERR wrong number of arguments for 'hsetex' command\r\n"},
        {"hsetex h fnx fxx fields 1 a 1", "-ERR Only one of FXX or FNX arguments can be specified\r\n"},
        {"hsetex h ex 1 keepttl fields 1 a 1",
         "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n"},
        {"hsetex h now fields 1 a 1", "-ERR unknown argument: now\r\n"},
        {"set s v", OK},
        {"hexpire s -1 fields 0 a", WRONG_TYPE},
        {"hpersist s fields 0 a", WRONG_TYPE},
        {"hpttl s fields 0 a", WRONG_TYPE},
        {"hgetex s fields 0 a", WRONG_TYPE},
        {"hgetdel s fields 0 a", WRONG_TYPE},
        {"hsetex s fields 1 a 1", WRONG_TYPE},
    };
    EXPECT_ALL(table);
    end();
}

/* ---- Time ----------------------------------------------------------------------------------------- */

enum { SHORT_LIVED = 200, LASTING = 3 };

/* A hash of LASTING fields that stay, and so many that expire in a second: small, or a tree. */
static void fill(const char *key, unsigned count) {
    char line[128];
    for (unsigned i = 0; i < count; i++) {
        int len = snprintf(line, sizeof line, "hsetex %s px 1000 fields 1 s%03u 1\n", key, i);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(":1\r\n"));
    }
    for (unsigned i = 0; i < LASTING; i++) {
        int len = snprintf(line, sizeof line, "hset %s l%u %u\n", key, i, i);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(":1\r\n"));
    }
}

/* No command sees the fields that are overdue, however many there are, and each looks before anybody else has. */
static void what_is_overdue_is_not_there(void) {
    static const struct exchange table[] = {
        {"hlen h", ":3\r\n"},
        {"hget h s007", NIL},
        {"hmget h s007 l1", "*2\r\n" NIL "$1\r\n1\r\n"},
        {"hexists h s007", ":0\r\n"},
        {"hstrlen h s007", ":0\r\n"},
        {"hrandfield h -1 withvalues", NULL},
        {"sort l by nosort get *->s007 get *->l1", "*2\r\n" NIL "$1\r\n1\r\n"},
        {"hset h s007 1", ":1\r\n"},
        {"hsetnx h s007 1", ":1\r\n"},
        {"hincrby h s007 5", ":5\r\n"},
        {"hincrbyfloat h s007 5", "$1\r\n5\r\n"},
        {"hdel h s007", ":0\r\n"},
        {"hpttl h fields 1 s007", "*1\r\n:-2\r\n"},
        {"hpersist h fields 1 s007", "*1\r\n:-2\r\n"},
        {"hpexpireat h " FAR " fields 1 s007", "*1\r\n:-2\r\n"},
        {"hgetex h persist fields 2 s007 l2", "*2\r\n" NIL "$1\r\n2\r\n"},
        {"hgetdel h fields 1 s007", "*1\r\n" NIL},
        {"hsetex h fxx fields 1 s007 1", ":0\r\n"},
        {"hsetex h fnx fields 1 s007 1", ":1\r\n"},
        {"exists h", ":1\r\n"},
    };
    for (unsigned many = 20; many <= SHORT_LIVED; many += SHORT_LIVED - 20) {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            begin();
            fill("h", many);
            EXPECT("rpush l h\n", ":1\r\n");
            now_ms += 1000;
            if (table[i].reply) expect_all(&table[i], 1);
            if (!table[i].reply) {
                struct bytes reply = run(BYTES("hrandfield h -1\n"));
                CHECK(memmem(reply.data, reply.len, "$2\r\nl", 5));
            }
            run(BYTES("hdel h s007\n"));
            EXPECT("hlen h\n", ":3\r\n");
            end();
        }
    }
}

/* Of these the order is not known. */
static void check_names(struct bytes reply, size_t parts, unsigned with_values) {
    CHECK_INT(reply.len, 4 + LASTING * parts + with_values);
    for (unsigned i = 0; i < LASTING; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "$2\r\nl%u\r\n", i);
        CHECK(memmem(reply.data, reply.len, name, (size_t)len));
    }
}

static void whole_replies_leave_it_out(void) {
    for (unsigned many = 20; many <= SHORT_LIVED; many += SHORT_LIVED - 20) {
        static const struct {
            const char *line;
            size_t parts, more;
        } table[] = {{"hkeys h\n", 8, 0},
                     {"hgetall h\n", 15, 0},
                     {"hrandfield h 100\n", 8, 0},
                     {"hrandfield h 100 withvalues\n", 15, 0},
                     {"hscan h 0 count 1000\n", 15, 11}};
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            begin();
            fill("h", many);
            now_ms += 1000;
            check_names(run(bytes_of(table[i].line)), table[i].parts, (unsigned)table[i].more);
            CHECK_INT(run(BYTES("hrandfield h 2\n")).len, 4 + 2 * 8);
            CHECK_INT(run(BYTES("hrandfield h -90\n")).len, 5 + 90 * 8);
            CHECK_INT(run(BYTES("hvals h\n")).len, 4 + LASTING * 7);
            end();
        }
    }
}

static unsigned walked; /* fields that commands have looked at one after the other */
bool __real_hash_next(struct hash_walk *walk, struct element *field, struct element *found);
bool __wrap_hash_next(struct hash_walk *walk, struct element *field, struct element *found);
bool __wrap_hash_next(struct hash_walk *walk, struct element *field, struct element *found) {
    walked++;
    return __real_hash_next(walk, field, found);
}

/* The same where many are left, and come in parts. */
static void many_of_many_are_left(void) {
    enum { MANY = 100 };
    char line[64];
    begin();
    fill("h", SHORT_LIVED);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(line, sizeof line, "hset h n%03u 1\n", i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
    now_ms += 1000;
    struct bytes reply = run(BYTES("hkeys h\n"));
    CHECK_INT(reply.len, 6 + MANY * 10 + LASTING * 8);
    CHECK(memmem(reply.data, reply.len, "n000", 4) && memmem(reply.data, reply.len, "n099", 4));
    CHECK(!memmem(reply.data, reply.len, "$4\r\ns", 5));
    end();
}

/* Who draws often from a hash of which little is left looks through it once. */
static void draws_look_through_it_once(void) {
    enum { TIMES = 900 };
    begin();
    fill("h", SHORT_LIVED);
    now_ms += 1000;
    walked = 0;
    CHECK_INT(run(BYTES("hrandfield h -900 withvalues\n")).len, 7 + TIMES * (8 + 7));
    CHECK(walked > TIMES && walked <= TIMES + SHORT_LIVED + LASTING + 1);
    end();
}

/* The key goes with its last field, and what comes then is a new one. */
static void a_key_goes_with_its_last_field(void) {
    begin();
    EXPECT("hset h a 1 b 2\npexpireat h " FAR "\nhpexpire h 1000 fields 1 a\nhpexpire h 2000 fields 1 b\n",
           ":2\r\n:1\r\n*1\r\n:1\r\n*1\r\n:1\r\n");
    EXPECT("copy h other\nrename h k\nmove other 1\n", ":1\r\n" OK ":1\r\n");
    now_ms += 1500;
    EXPECT("hgetall k\npexpiretime k\ntype k\n", "*2\r\n$1\r\nb\r\n$1\r\n2\r\n:" FAR "\r\n+hash\r\n");
    now_ms += 500;
    EXPECT("keys *\nexists k\nttl k\nhlen k\nhset k a 1\nttl k\n", "*0\r\n:0\r\n:-2\r\n:0\r\n:1\r\n:-1\r\n");
    EXPECT("select 1\nkeys *\nhgetall other\ndbsize\n", OK "*0\r\n*0\r\n:0\r\n");
    end();
}

/* While everything is held, nothing is deleted, and still nothing is shown. */
static void a_pause_deletes_nothing(void) {
    begin();
    fill("h", 5);
    EXPECT("hsetex gone px 10 fields 1 a 1\n", ":1\r\n");
    EXPECT("client pause 100000 write\n", OK);
    now_ms += 1000;
    EXPECT("hlen h\nhget h s001\nhlen gone\nexists gone\nhttl h fields 1 s001\n",
           ":3\r\n" NIL ":0\r\n:0\r\n*1\r\n:-2\r\n");
    check_names(run(BYTES("hkeys h\n")), 8, 0);
    struct bytes name = BYTES("h");
    struct key key = {name, hash_bytes(&stripes.seed, name)};
    struct value value = entry_value(keyspace_find(stripe_of(key.hash)->keyspace, 0, key));
    CHECK_INT(hash_count(&value), LASTING + 5);
    EXPECT("client unpause\nhlen h\n", OK ":3\r\n");
    value = entry_value(keyspace_find(stripe_of(key.hash)->keyspace, 0, key));
    CHECK_INT(hash_count(&value), LASTING);
    end();
}

/* A watched hash of which a field has gone is another one. */
static void watchers_feel_it(void) {
    begin();
    fill("h", 2);
    EXPECT("watch h\nmulti\nping\n", OK OK "+QUEUED\r\n");
    now_ms += 1000;
    EXPECT("exec\n", "*-1\r\n");
    EXPECT("watch h\nmulti\nhlen h\nexec\n", OK OK "+QUEUED\r\n*1\r\n:3\r\n");
    end();
}

static void changes_are_counted(void) {
    begin();
    EXPECT_CHANGES(2, "hset h a 1 b 2\n", ":2\r\n");
    EXPECT_CHANGES(2, "hpexpireat h " FAR " fields 3 a b x\n", "*3\r\n:1\r\n:1\r\n:-2\r\n");
    EXPECT_CHANGES(0, "hpexpireat h " FAR " nx fields 1 a\n", "*1\r\n:0\r\n");
    EXPECT_CHANGES(1, "hpersist h fields 1 a\n", "*1\r\n:1\r\n");
    EXPECT_CHANGES(0, "hpersist h fields 1 a\n", "*1\r\n:-1\r\n");
    EXPECT_CHANGES(0, "hgetex h fields 1 a\n", "*1\r\n$1\r\n1\r\n");
    EXPECT_CHANGES(1, "hgetex h ex 10 fields 1 a\n", "*1\r\n$1\r\n1\r\n");
    EXPECT_CHANGES(2, "hsetex h fields 2 a 1 c 1\n", ":1\r\n");
    EXPECT_CHANGES(1, "hgetdel h fields 2 a x\n", "*2\r\n$1\r\n1\r\n" NIL);
    end();
}

/* What DUMP gives of fields that expire RESTORE takes, in a small hash and in a large one. */
static void dumps_have_expiries(void) {
    for (unsigned many = 3; many <= 400; many += 397) {
        char line[8192];
        begin();
        fill("h", many);
        struct bytes dump = run(BYTES("dump h\n"));
        char *payload = memchr(dump.data, '\n', dump.len);
        size_t len = dump.len - (size_t)(payload + 1 - dump.data) - 2;
        int head = snprintf(line, sizeof line, "*4\r\n$7\r\nrestore\r\n$1\r\nk\r\n$1\r\n0\r\n$%zu\r\n", len);
        CHECK(len + (size_t)head + 2 < sizeof line);
        memcpy(line + head, payload + 1, len);
        memcpy(line + (size_t)head + len, "\r\n", 2);
        CHECK_BYTES(run((struct bytes){line, (size_t)head + len + 2}), BYTES(OK));
        EXPECT("hpttl k fields 2 s001 l1\n", "*2\r\n:1000\r\n:-1\r\n");
        now_ms += 1000;
        EXPECT("hlen k\n", ":3\r\n");
        end();
    }
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static unsigned changes_left = UINT_MAX; /* that there is memory for; UINT_MAX: for all */

static bool memory_there(void) {
    if (changes_left == UINT_MAX) return true;
    return changes_left ? changes_left-- > 0 : false;
}

enum hash_changed __real_hash_expire(struct edit *edit, struct bytes field, int64_t expiry_ms);
enum hash_changed __wrap_hash_expire(struct edit *edit, struct bytes field, int64_t expiry_ms);
enum hash_changed __wrap_hash_expire(struct edit *edit, struct bytes field, int64_t expiry_ms) {
    return memory_there() ? __real_hash_expire(edit, field, expiry_ms) : HASH_NO_MEMORY;
}
enum hash_changed __real_hash_delete(struct edit *edit, struct bytes field);
enum hash_changed __wrap_hash_delete(struct edit *edit, struct bytes field);
enum hash_changed __wrap_hash_delete(struct edit *edit, struct bytes field) {
    return memory_there() ? __real_hash_delete(edit, field) : HASH_NO_MEMORY;
}

/* Each field says what has become of it: those behind the one that memory ran out at are as they were. */
static void without_memory_a_field_is_as_it_was(void) {
#define LOST "*4\r\n$1\r\n1\r\n" NO_MEMORY NIL NO_MEMORY
    static const struct {
        struct exchange request, then;
        unsigned changes;
    } table[] = {
        {{"hpexpireat h " FAR " fields 4 a b x c\n", "*4\r\n:1\r\n" NO_MEMORY ":-2\r\n" NO_MEMORY},
         {"hpexpiretime h fields 3 a b c\n", "*3\r\n:" FAR "\r\n:-1\r\n:-1\r\n"},
         1},
        {{"hexpire h 0 fields 4 a b x c\n", "*4\r\n:2\r\n" NO_MEMORY ":-2\r\n" NO_MEMORY},
         {"hmget h a b c\n", "*3\r\n" NIL "$1\r\n2\r\n$1\r\n3\r\n"},
         1},
        {{"hgetex h pxat " FAR " fields 4 a b x c\n", LOST},
         {"hpexpiretime h fields 3 a b c\n", "*3\r\n:" FAR "\r\n:-1\r\n:-1\r\n"},
         1},
        {{"hgetdel h fields 4 a b x c\n", LOST},
         {"hmget h a b c\n", "*3\r\n" NIL "$1\r\n2\r\n$1\r\n3\r\n"},
         1},
        {{"hpersist h fields 4 a b x c\n", "*4\r\n:-1\r\n:-1\r\n:-2\r\n:-1\r\n"}, {"hlen h\n", ":3\r\n"}, 0},
        {{"hsetex h pxat " FAR " fields 2 a 5 b 6\n", NO_MEMORY}, /* the value of b is a change, too */
         {"hmget h a b\nhpexpiretime h fields 2 a b\n",
          "*2\r\n$1\r\n5\r\n$1\r\n6\r\n*2\r\n:" FAR "\r\n:-1\r\n"},
         2},
        {{"hsetex h pxat 1 fields 2 a 5 b 6\n", NO_MEMORY}, {"hmget h a b\n", "*2\r\n" NIL "$1\r\n2\r\n"}, 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin();
        EXPECT("hset h a 1 b 2 c 3\n", ":3\r\n");
        uint64_t before = changes();
        changes_left = 1;
        CHECK_BYTES(run(bytes_of(table[i].request.line)), bytes_of(table[i].request.reply));
        changes_left = UINT_MAX;
        CHECK_INT(changes() - before, table[i].changes);
        CHECK_BYTES(run(bytes_of(table[i].then.line)), bytes_of(table[i].then.reply));
        end();
    }
}

/* A field that cannot go though its time is over is not there, and nothing is set that would have its expiry. Some of many
 * go with the lookup: of the others it takes one. */
static void what_is_overdue_and_stays_is_not_there(void) {
    bool stays = false;
    for (unsigned i = 0; !stays; i++) {
        char line[64];
        CHECK(i < SHORT_LIVED);
        begin();
        fill("h", SHORT_LIVED);
        now_ms += 1000;
        changes_left = 0;
        snprintf(line, sizeof line, "hincrby h s%03u 1\n", i);
        stays = bytes_equal(run(bytes_of(line)), BYTES(NO_MEMORY));
        snprintf(line, sizeof line, "hget h s%03u\n", i);
        if (stays) CHECK_BYTES(run(bytes_of(line)), BYTES(NIL));
        snprintf(line, sizeof line, "hpexpireat h " FAR " fields 1 s%03u\n", i);
        if (stays) CHECK_BYTES(run(bytes_of(line)), BYTES("*1\r\n:-2\r\n"));
        changes_left = UINT_MAX;
        end();
    }
}

int main(void) {
    RUN(expiries_are_set_told_and_taken_away);
    RUN(values_come_with_what_becomes_of_them);
    RUN(what_is_wrong_is_said_as_in_redis);
    RUN(what_is_overdue_is_not_there);
    RUN(whole_replies_leave_it_out);
    RUN(many_of_many_are_left);
    RUN(draws_look_through_it_once);
    RUN(a_key_goes_with_its_last_field);
    RUN(a_pause_deletes_nothing);
    RUN(watchers_feel_it);
    RUN(changes_are_counted);
    RUN(dumps_have_expiries);
    RUN(without_memory_a_field_is_as_it_was);
    RUN(what_is_overdue_and_stays_is_not_there);
    return 0;
}
