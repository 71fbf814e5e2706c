/* Hashes: what commands say and tell of, and what is left where memory runs out. */
#include "server/commands/collection.h"
#include "tests/unit/failing_commands.h"

#define WRONG_TYPE "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"

static void fields_are_set_read_and_deleted(void) {
    begin();
    static const struct exchange table[] = {
        {"hset h a 1 b 2", ":2\r\n"},
        {"hset h a 3 c 4", ":1\r\n"},
        {"hget h a", "$1\r\n3\r\n"},
        {"hget h x", NIL},
        {"hget none a", NIL},
        {"hmget h a x c", "*3\r\n$1\r\n3\r\n" NIL "$1\r\n4\r\n"},
        {"hmget none a b", "*2\r\n" NIL NIL},
        {"hlen h", ":3\r\n"},
        {"hexists h a", ":1\r\n"},
        {"hexists h x", ":0\r\n"},
        {"hstrlen h b", ":1\r\n"},
        {"hstrlen h x", ":0\r\n"},
        {"hmset h d \"\"", OK},
        {"hstrlen h d", ":0\r\n"},
        {"hsetnx h d 1", ":0\r\n"},
        {"hsetnx h e 1", ":1\r\n"},
        {"hgetall none", "*0\r\n"},
        {"hdel h a b x e", ":3\r\n"},
        {"hgetall h", "*4\r\n$1\r\nc\r\n$1\r\n4\r\n$1\r\nd\r\n$0\r\n\r\n"},
        {"hkeys h", "*2\r\n$1\r\nc\r\n$1\r\nd\r\n"},
        {"hvals h", "*2\r\n$1\r\n4\r\n$0\r\n\r\n"},
        {"hdel h c d", ":2\r\n"},
        {"exists h", ":0\r\n"},
        {"hdel h c", ":0\r\n"},
        {"hset h a", "-ERR wrong number of arguments for 'hset' command\r\n"},
        {"hset h a 1 b", "-ERR wrong number of arguments for 'hset' command\r\n"},
        {"hmset h a 1 b", "-ERR wrong number of arguments for 'hmset' command\r\n"},
        {"exists h", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void other_types_are_refused(void) {
    static const char *const refused[] = {
        "hset s a 1",     "hsetnx s a 1",       "hget s a",    "hmget s a",         "hdel s a",
        "hlen s",         "hexists s a",        "hstrlen s a", "hgetall s",         "hkeys s",
        "hvals s",        "hincrby s a 1",      "hscan s 0",   "hscan s 0 count 0", "hrandfield s",
        "hrandfield s 1", "hincrbyfloat s a 1", "hmset s a 1",
    };
    begin();
    EXPECT("set s v\nhset h a 1\n", OK ":1\r\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", refused[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(WRONG_TYPE));
    }
    EXPECT("get s\nget h\nincr h\nappend h x\ntype h\nset h v get\n",
           "$1\r\nv\r\n" WRONG_TYPE WRONG_TYPE WRONG_TYPE "+hash\r\n" WRONG_TYPE);
    EXPECT("set h v\nget h\n", OK "$1\r\nv\r\n");
    end();
}

static void counters_count(void) {
    begin();
    static const struct exchange table[] = {
        {"hincrby h n 5", ":5\r\n"},
        {"hincrby h n -7", ":-2\r\n"},
        {"hincrby h n 9223372036854775807", ":9223372036854775805\r\n"},
        {"hincrby h n 3", "-ERR increment or decrement would overflow\r\n"},
        {"hincrby h n x", NOT_AN_INTEGER},
        {"hset h t text", ":1\r\n"},
        {"hincrby h t 1", "-ERR hash value is not an integer\r\n"},
        {"hincrbyfloat h t 1", "-ERR hash value is not a float\r\n"},
        {"hincrbyfloat h f 0.1", "$3\r\n0.1\r\n"},
        {"hincrbyfloat h f 0.2", "$3\r\n0.3\r\n"},
        {"hincrbyfloat h f 5.0e3", "$22\r\n5000.29999999999999982\r\n"},
        {"hincrbyfloat h f x", "-ERR value is not a valid float\r\n"},
        {"hincrbyfloat h f inf", "-ERR value is NaN or Infinity\r\n"},
        {"hset h big 1e4932", ":1\r\n"},
        {"hincrbyfloat h big 1e4932", "-ERR increment would produce NaN or Infinity\r\n"},
        {"hincrby none n x", NOT_AN_INTEGER},
        {"exists none", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void changes_are_counted_as_in_redis(void) {
    begin();
    EXPECT_CHANGES(3, "hset h a 1 b 2 a 3\n", ":2\r\n");
    EXPECT_CHANGES(1, "hset h a 3\n", ":0\r\n");
    EXPECT_CHANGES(0, "hsetnx h a 4\nhget h a\nhdel h x\nhgetall none\nhincrby h a x\n",
                   ":0\r\n$1\r\n3\r\n:0\r\n*0\r\n" NOT_AN_INTEGER);
    EXPECT_CHANGES(1, "hsetnx h c 4\n", ":1\r\n");
    EXPECT_CHANGES(2, "hincrby h c 4\nhincrbyfloat h c 1\n", ":8\r\n$1\r\n9\r\n");
    EXPECT_CHANGES(3, "hdel h a b c d\n", ":3\r\n"); /* that the key is gone is no change more */
    end();
}

static void what_redis_calls_it_goes_by_its_thresholds(void) {
    char line[256], longest[66];
    begin();
    EXPECT("hset h a 1\nobject encoding h\n", ":1\r\n$8\r\nlistpack\r\n");
    memset(longest, 'x', sizeof longest);
    longest[65] = 0;
    snprintf(line, sizeof line, "hset h a %.64s\nobject encoding h\n", longest);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":0\r\n$8\r\nlistpack\r\n"));
    snprintf(line, sizeof line, "hset h a %s\nobject encoding h\nhset h a 1\nobject encoding h\n", longest);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":0\r\n$9\r\nhashtable\r\n:0\r\n$9\r\nhashtable\r\n"));
    EXPECT("copy h h2\nobject encoding h2\ndel h\nhset h a 1\nobject encoding h\n",
           ":1\r\n$9\r\nhashtable\r\n:1\r\n:1\r\n$8\r\nlistpack\r\n");
    EXPECT("config set hash-max-ziplist-entries 2\nhset h b 1\nobject encoding h\nhset h c 1\nobject "
           "encoding h\n",
           OK ":1\r\n$8\r\nlistpack\r\n:1\r\n$9\r\nhashtable\r\n");
    EXPECT("config get hash-max-listpack-e*\nconfig set hash-max-listpack-entries 512\n",
           "*2\r\n$25\r\nhash-max-listpack-entries\r\n$1\r\n2\r\n" OK);
    end();
}

/* ---- Many fields ---------------------------------------------------------------------------------- */

enum { MANY = 5000 };

static void fill(const char *key, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char line[128], expected[8];
        snprintf(line, sizeof line, "hset %s field:%06u value:%06u\n", key, i, i);
        snprintf(expected, sizeof expected, ":1\r\n");
        CHECK_BYTES(run(bytes_of(line)), bytes_of(expected));
    }
}

/* Every field of the first `count` is in the reply as often as `times`, with its value where these are wanted. */
static void check_all(struct bytes reply, unsigned count, unsigned times, bool values) {
    unsigned *seen = calloc(count, sizeof *seen);
    CHECK(seen);
    for (const char *at = reply.data, *end = at + reply.len;
         (at = memmem(at, (size_t)(end - at), "field:", 6));) {
        unsigned number = (unsigned)strtoul(at + 6, NULL, 10);
        char value[32];
        CHECK(number < count);
        seen[number]++;
        at += 12;
        snprintf(value, sizeof value, "\r\n$12\r\nvalue:%06u\r\n", number);
        if (values) CHECK((size_t)(end - at) >= 21 && memcmp(at, value, 21) == 0);
    }
    for (unsigned i = 0; i < count; i++) CHECK_INT(seen[i], times);
    free(seen);
}

static void many_fields_are_replied_in_parts(void) {
    begin();
    fill("h", MANY);
    struct bytes reply = run(BYTES("hgetall h\n"));
    CHECK(memcmp(reply.data, "*10000\r\n", 8) == 0);
    CHECK_INT(reply.len, 8 + MANY * 2 * 19);
    check_all(reply, MANY, 1, true);
    reply = run(BYTES("hkeys h\nhkeys h\n"));
    check_all(reply, MANY, 2, false);
    CHECK_INT(reply.len, 2 * (7 + MANY * 19));
    reply = run(BYTES("hello 3\nhgetall h\nping\n"));
    CHECK(memmem(reply.data, reply.len, "%5000\r\n", 7));
    CHECK(memcmp(reply.data + reply.len - 7, "+PONG\r\n", 7) == 0);
    check_all(reply, MANY, 1, true);
    end();
}

static void a_reply_is_what_was_there(void) {
    begin();
    fill("h", MANY);
    /* In one batch: what is written later is from before the deletion, in a transaction too. */
    struct bytes reply = run(BYTES("multi\nhgetall h\nhdel h field:000000\ndel h\nexec\n"));
    check_all(reply, MANY, 1, true);
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 10)) {
        }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

static void scans_find_every_field(void) {
    begin();
    fill("h", MANY);
    unsigned *seen = calloc(MANY, sizeof *seen);
    char line[128] = "hscan h 0\n";
    unsigned steps = 0;
    CHECK(seen);
    for (bool more = true; more; steps++) {
        struct bytes reply = run(bytes_of(line));
        const char *at = strchr(reply.data + 4, '\n') + 1, *end = reply.data + reply.len;
        unsigned long long cursor = strtoull(at, NULL, 10);
        unsigned found = 0;
        for (; (at = memmem(at, (size_t)(end - at), "field:", 6)); at += 6, found++)
            seen[strtoul(at + 6, NULL, 10)]++;
        CHECK(!cursor || found >= 10);
        CHECK(found < 200);
        snprintf(line, sizeof line, "hscan h %llu\n", cursor);
        more = cursor;
    }
    for (unsigned i = 0; i < MANY; i++) CHECK_INT(seen[i], 1);
    CHECK(steps > 10 && steps < MANY / 10 + 2);
    free(seen);
    EXPECT("hscan h 0 count 10000 match *:000123\n",
           "*2\r\n$1\r\n0\r\n*2\r\n$12\r\nfield:000123\r\n$12\r\nvalue:000123\r\n");
    static const struct exchange table[] = {
        {"hscan none 0 count 0", "*2\r\n$1\r\n0\r\n*0\r\n"},
        {"hscan h x", "-ERR invalid cursor\r\n"},
        {"hscan h 0 count 0", SYNTAX_ERROR},
        {"hscan h 0 count x", NOT_AN_INTEGER},
        {"hscan h 0 match", SYNTAX_ERROR},
        {"hscan h 0 type hash", SYNTAX_ERROR},
        {"hset small a 1 b 2", ":2\r\n"},
        {"hscan small 77 count 1", "*2\r\n$1\r\n0\r\n*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"},
        {"hscan small 0 match b", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* ---- Chance --------------------------------------------------------------------------------------- */

static void random_fields_are_fields(void) {
    begin();
    fill("h", 300);
    static const struct exchange table[] = {
        {"hrandfield none", NIL},
        {"hrandfield none 5", "*0\r\n"},
        {"hrandfield h 0", "*0\r\n"},
        {"hrandfield h x", NOT_AN_INTEGER},
        {"hrandfield h 1 values", SYNTAX_ERROR},
        {"hrandfield h 1 withvalues x", SYNTAX_ERROR},
        {"hrandfield h -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"},
        {"hrandfield h 9223372036854775807 withvalues", "-ERR value is out of range\r\n"},
    };
    EXPECT_ALL(table);
    check_all(run(BYTES("hrandfield h 1000\n")), 300, 1, false);
    check_all(run(BYTES("hrandfield h 1000 withvalues\n")), 300, 1, true);
    CHECK_INT(run(BYTES("hrandfield h 7\n")).len, 4 + 7 * 19);
    CHECK_INT(run(BYTES("hrandfield h 7 withvalues\n")).len, 5 + 14 * 19);
    CHECK_INT(run(BYTES("hrandfield h -700\n")).len, 6 + 700 * 19);
    CHECK_INT(run(BYTES("hrandfield h 299\n")).len, 6 + 299 * 19);
    run(BYTES("hello 3\n"));
    CHECK_INT(run(BYTES("hrandfield h 7 withvalues\n")).len, 4 + 7 * (4 + 2 * 19));
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* A value of this length is a block in a tree. */
enum { LONG = 3000 };

static void what_was_set_before_memory_ran_out_stays(void) {
    char line[3 * LONG + 64], value[LONG + 1];
    memset(value, 'v', LONG);
    value[LONG] = 0;
    snprintf(line, sizeof line, "hset h a 1 b %s c %s\n", value, value);
    begin();
    EXPECT("hset h z 1\nhmset h y 1\n", ":1\r\n" OK);
    uint64_t before = changes();
    CHECK_BYTES(run_with(1, bytes_of(line)), BYTES(NO_MEMORY)); /* for the block of b */
    CHECK_INT(changes() - before, 2);
    EXPECT("hlen h\nhstrlen h b\nhexists h c\n", ":4\r\n:3000\r\n:0\r\n");
    end();
}

static void a_hash_that_cannot_be_begun_is_not_there(void) {
    char line[LONG + 64], value[LONG + 1];
    memset(value, 'v', LONG);
    value[LONG] = 0;
    snprintf(line, sizeof line, "hset h a %s\n", value);
    begin();
    EXPECT("ping\n", "+PONG\r\n");
    CHECK_BYTES(run_with(0, bytes_of(line)), BYTES(NO_MEMORY));
    CHECK_INT(changes(), 0);
    EXPECT("exists h\n", ":0\r\n");
    end();
}

int main(void) {
    RUN(fields_are_set_read_and_deleted);
    RUN(other_types_are_refused);
    RUN(counters_count);
    RUN(changes_are_counted_as_in_redis);
    RUN(what_redis_calls_it_goes_by_its_thresholds);
    RUN(many_fields_are_replied_in_parts);
    RUN(a_reply_is_what_was_there);
    RUN(scans_find_every_field);
    RUN(random_fields_are_fields);
    RUN(what_was_set_before_memory_ran_out_stays);
    RUN(a_hash_that_cannot_be_begun_is_not_there);
    return 0;
}
