/* Intersections, unions and differences of sets of all shapes, beside a model of bits. */
#include <stdlib.h>

#include "server/commands/set.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

static void operands_of_each_shape(void) {
    begin();
    static const struct exchange table[] = {
        {"sadd a 1 2 3", ":3\r\n"},
        {"sadd b 2 3 x", ":3\r\n"},
        {"sinter a b", "*2\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"sinter a none b", "*0\r\n"},
        {"sinter a", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"sdiff a b", "*1\r\n$1\r\n1\r\n"},
        {"sdiff b a", "*1\r\n$1\r\nx\r\n"},
        {"sdiff a none none", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
        {"sdiff none a", "*0\r\n"},
        {"sdiff a a", "*0\r\n"},
        {"sunion a b a", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nx\r\n"},
        {"sunion none none", "*0\r\n"},
        {"sintercard 2 a b", ":2\r\n"},
        {"sintercard 2 a b limit 1", ":1\r\n"},
        {"sintercard 2 a b limit 0", ":2\r\n"},
        {"sintercard 2 a none limit 1", ":0\r\n"},
        {"sintercard 0 a", "-ERR numkeys should be greater than 0\r\n"},
        {"sintercard 3 a b", "-ERR Number of keys can't be greater than number of args\r\n"},
        {"sintercard 1 a limit -1", "-ERR LIMIT can't be negative\r\n"},
        {"sintercard 1 a limit", SYNTAX_ERROR},
        {"sintercard 1 a b", SYNTAX_ERROR},
        {"sunioncard 2 a b", ":4\r\n"},
        {"sunioncard 2 a b limit 2", ":2\r\n"},
        {"sunioncard 3 a b none approx", ":4\r\n"},
        {"sdiffcard 2 a b", ":1\r\n"},
        {"sdiffcard 2 a none limit 2", ":2\r\n"},
        {"sdiffcard 2 a b approx", SYNTAX_ERROR},
        {"sunion a a a a a a a a b", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\nx\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void results_are_stored(void) {
    begin();
    EXPECT("sadd a 1 2 3\nsadd b 2 3 x\nset d v ex 100\n", ":3\r\n:3\r\n" OK);
    EXPECT_CHANGES(1, "sinterstore d a b\n", ":2\r\n");
    EXPECT("ttl d\ntype d\nobject encoding d\n", ":-1\r\n+set\r\n$6\r\nintset\r\n");
    EXPECT_CHANGES(1, "sunionstore d a b\n", ":4\r\n");
    EXPECT("object encoding d\n", "$9\r\nhashtable\r\n");
    EXPECT_CHANGES(1, "sdiffstore d a b\n", ":1\r\n");
    EXPECT("smembers d\n", "*1\r\n$1\r\n1\r\n");
    EXPECT_CHANGES(1, "sdiffstore d a a\n", ":0\r\n");
    EXPECT_CHANGES(0, "sdiffstore d a a\nsinterstore d none a\nsunionstore d none\n", ":0\r\n:0\r\n:0\r\n");
    EXPECT("exists d\n", ":0\r\n");
    EXPECT_CHANGES(1, "sunionstore a a b\n", ":4\r\n");
    EXPECT_CHANGES(1, "sinterstore a a b\n", ":3\r\n");
    EXPECT("scard a\n", ":3\r\n");
    end();
}

/* Redis subtracts from a copy of the first set where that is less work; then the result is what the copy was. */
static void a_difference_is_called_what_redis_makes_of_it(void) {
    begin();
    static const struct exchange table[] = {
        {"sadd a 1 2 3 4 5 6 x", ":7\r\n"},
        {"sadd x x", ":1\r\n"},
        {"sdiffstore d a x", ":6\r\n"},
        {"object encoding d", "$6\r\nintset\r\n"},
        {"sdiffstore d a x x x", ":6\r\n"},
        {"object encoding d", "$9\r\nhashtable\r\n"},
        {"sadd y x 7 8 9 10 11 12", ":7\r\n"},
        {"sdiffstore d a y", ":6\r\n"},
        {"object encoding d", "$6\r\nintset\r\n"},
        {"srem a x", ":1\r\n"},
        {"sdiffstore d a x x x", ":6\r\n"},
        {"object encoding d", "$6\r\nintset\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* ---- Beside a model ------------------------------------------------------------------------------- */

enum { SETS = 5, NUMBERS = 2000, ROUNDS = 60 };

static unsigned long long seed;
static bool model[SETS][NUMBERS];

static unsigned random_below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

/* Of some sets all members are integers. */
static void member_of(unsigned number, char text[16]) {
    snprintf(text, 16, number % 2 ? "%u" : "m%u", number);
}

static void make_set(unsigned i) {
    char line[64], text[16];
    unsigned size = (unsigned[]){0, 5, 60, 400, 1500}[random_below(5)], integers = random_below(2);
    snprintf(line, sizeof line, "del s%u\n", i);
    run(bytes_of(line));
    memset(model[i], 0, sizeof model[i]);
    while (size-- > 0) {
        unsigned number = random_below(NUMBERS) | integers;
        member_of(number, text);
        snprintf(line, sizeof line, "sadd s%u %s\n", i, text);
        CHECK_BYTES(run(bytes_of(line)), model[i][number] ? BYTES(":0\r\n") : BYTES(":1\r\n"));
        model[i][number] = true;
    }
}

/* The reply's members are those of the result, each once. */
static void check_reply(struct bytes reply, const bool result[NUMBERS]) {
    bool seen[NUMBERS] = {false};
    unsigned count = 0, expected = 0;
    CHECK(reply.data[0] == '*');
    unsigned said = (unsigned)strtoul(reply.data + 1, NULL, 10);
    for (const char *at = reply.data, *end = at + reply.len; (at = memchr(at, '$', (size_t)(end - at)));
         count++) {
        at = strchr(at, '\n') + 1;
        unsigned number = (unsigned)strtoul(at + (*at == 'm'), NULL, 10);
        CHECK(number < NUMBERS && result[number] && !seen[number]);
        CHECK((*at == 'm') == (number % 2 == 0));
        seen[number] = true;
    }
    for (unsigned i = 0; i < NUMBERS; i++) expected += result[i];
    CHECK_INT(count, expected);
    CHECK_INT(said, expected);
}

static void one_round(void) {
    static const char *const names[] = {"sinter", "sunion", "sdiff"};
    unsigned operation = random_below(3), count = 1 + random_below(SETS), operands[SETS], at = 0;
    bool result[NUMBERS];
    char line[128], keys[64];
    make_set(random_below(SETS));
    for (unsigned i = 0; i < count; i++) {
        operands[i] = random_below(SETS);
        at += (unsigned)snprintf(keys + at, sizeof keys - at, " s%u", operands[i]);
    }
    for (unsigned n = 0; n < NUMBERS; n++) {
        result[n] = model[operands[0]][n];
        for (unsigned i = 1; i < count; i++) {
            bool in = model[operands[i]][n];
            result[n] = operation == 0   ? result[n] && in
                        : operation == 1 ? result[n] || in
                                         : result[n] && !in;
        }
    }
    snprintf(line, sizeof line, "%s%s\n", names[operation], keys);
    check_reply(run(bytes_of(line)), result);
    unsigned to = random_below(SETS);
    snprintf(line, sizeof line, "%sstore s%u%s\n", names[operation], to, keys);
    run(bytes_of(line));
    memcpy(model[to], result, sizeof result);
    snprintf(line, sizeof line, "smembers s%u\n", to);
    check_reply(run(bytes_of(line)), result);
}

static void results_are_those_of_a_model(void) {
    begin();
    memset(model, 0, sizeof model);
    for (unsigned i = 0; i < ROUNDS; i++) one_round();
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static void nothing_is_stored_without_memory(void) {
    enum { LONG = 3000 };
    char line[LONG + 64], member[LONG + 1];
    memset(member, 'm', LONG);
    member[LONG] = 0;
    begin();
    snprintf(line, sizeof line, "sadd a %s\n", member);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    EXPECT("set d v\n", OK);
    parse(BYTES("sunionstore d a a a a a a a a a\n"));
    CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
    memory_left = 0; /* for the operands */
    CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
    memory_left = UINT_MAX;
    buffer_free(&sent);
    fixture_take(&conn->output, &sent);
    CHECK_BYTES(buffer_bytes(&sent), BYTES(NO_MEMORY));
    EXPECT("get d\nsunionstore d a a a a a a a a a\nscard d\n", "$1\r\nv\r\n:1\r\n:1\r\n");
    end();
}

int main(void) {
    seed = check_seed();
    RUN(operands_of_each_shape);
    RUN(results_are_stored);
    RUN(a_difference_is_called_what_redis_makes_of_it);
    RUN(results_are_those_of_a_model);
    RUN(nothing_is_stored_without_memory);
    return 0;
}
