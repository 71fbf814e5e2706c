/* SORT and SORT_RO: what they read, in which order it comes, what they store, and what they hold meanwhile. */
#include <stdlib.h>

#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

static unsigned long long seed;

static void elements_come_in_their_order(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l 3 1 2 10", ":4\r\n"},
        {"sort l", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$2\r\n10\r\n"},
        {"sort l alpha desc limit 0 2", "*2\r\n$1\r\n3\r\n$1\r\n2\r\n"},
        {"sort_ro l limit 1 1", "*1\r\n$1\r\n2\r\n"},
        {"sort l limit 9 1", "*0\r\n"},
        {"sort l limit -5 1", "*1\r\n$1\r\n1\r\n"},
        {"sort l by nosort limit 1 2", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n"},
        {"sort l by nosort desc limit 0 1", "*1\r\n$2\r\n10\r\n"},
        {"sadd s 3 1 2", ":3\r\n"},
        {"sort s desc", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n"},
        {"zadd z 1 c 2 b 3 a", ":3\r\n"},
        {"sort z limit 1", SYNTAX_ERROR},
        {"object encoding z", "$8\r\nlistpack\r\n"},
        {"sort z alpha", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
        {"object encoding z", "$8\r\nskiplist\r\n"},
        {"sort z by nosort limit 1 2", "*2\r\n$1\r\nb\r\n$1\r\na\r\n"},
        {"sort z by nosort desc limit 1 2", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n"},
        {"sort none", "*0\r\n"},
        {"set text v", OK},
        {"sort text", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"sort z", "-ERR One or more scores can't be converted into double\r\n"},
        {"sort l limit 1", SYNTAX_ERROR},
        {"sort l by", SYNTAX_ERROR},
        {"sort l limit a b", NOT_AN_INTEGER},
        {"sort_ro l store d", SYNTAX_ERROR},
        {"rpush n \"\" -0 0 \" 7\" 0x10 1e3 -inf", ":7\r\n"},
        {"sort n",
         "*7\r\n$4\r\n-inf\r\n$0\r\n\r\n$2\r\n-0\r\n$1\r\n0\r\n$2\r\n 7\r\n$4\r\n0x10\r\n$3\r\n1e3\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void other_keys_are_weights_and_results(void) {
    begin();
    static const struct exchange table[] = {
        {"rpush l 1 2 3", ":3\r\n"},
        {"mset w1 30 w2 20 w3 10 t1 c t2 a", OK},
        {"hset h1 f x g 5", ":2\r\n"},
        {"sort l by w*", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n"},
        {"sort l by w* get # get w*",
         "*6\r\n$1\r\n3\r\n$2\r\n10\r\n$1\r\n2\r\n$2\r\n20\r\n$1\r\n1\r\n$2\r\n30\r\n"},
        {"sort l by t* alpha get t*", "*3\r\n$-1\r\n$1\r\na\r\n$1\r\nc\r\n"},
        {"sort l by h*->g", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n1\r\n"},
        {"sort l get h*->f get h1->f", "*6\r\n$1\r\nx\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"},
        {"sort l get h* limit 0 1", "*1\r\n$-1\r\n"},
        {"sort l by w* get w* store d", ":3\r\n"},
        {"lrange d 0 -1", "*3\r\n$2\r\n10\r\n$2\r\n20\r\n$2\r\n30\r\n"},
        {"sort l get t* store d", ":3\r\n"},
        {"lrange d 0 -1", "*3\r\n$1\r\nc\r\n$1\r\na\r\n$0\r\n\r\n"},
        {"multi", OK},
        {"sort l by w* desc", "+QUEUED\r\n"},
        {"exec", "*1\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void results_are_stored(void) {
    begin();
    EXPECT("rpush l 3 1 2\nset d v ex 100\n", ":3\r\n" OK);
    EXPECT_CHANGES(3, "sort l store d\n", ":3\r\n");
    EXPECT("ttl d\nlrange d 0 -1\n", ":-1\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
    EXPECT_CHANGES(3, "sort l desc store l\n", ":3\r\n");
    EXPECT("lrange l 0 -1\n", "*3\r\n$1\r\n3\r\n$1\r\n2\r\n$1\r\n1\r\n");
    EXPECT_CHANGES(1, "sort l limit 0 0 store d\n", ":0\r\n");
    EXPECT_CHANGES(0, "sort l limit 0 0 store d\nsort none store d\n", ":0\r\n:0\r\n");
    EXPECT("exists d\n", ":0\r\n");
    EXPECT("sadd s c a b\nsort s by nosort store d\nlrange d 0 -1\n",
           ":3\r\n:3\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    end();
}

/* What ALPHA shows goes by the bytes up to a NUL, what it stores by all of them. */
static void equal_texts_stay_in_their_order(void) {
    begin();
    EXPECT("rpush l \"a\\x00z\" b \"a\\x00b\"\n", ":3\r\n");
    CHECK_BYTES(run(BYTES("sort l alpha\n")),
                ((struct bytes){"*3\r\n$3\r\na\0z\r\n$3\r\na\0b\r\n$1\r\nb\r\n", 29}));
    CHECK_BYTES(run(BYTES("sort l alpha desc\n")),
                ((struct bytes){"*3\r\n$1\r\nb\r\n$3\r\na\0z\r\n$3\r\na\0b\r\n", 29}));
    EXPECT("sort l alpha store d\n", ":3\r\n");
    CHECK_BYTES(run(BYTES("lrange d 0 0\n")), ((struct bytes){"*1\r\n$3\r\na\0b\r\n", 13}));
    end();
}

/* ---- Many ----------------------------------------------------------------------------------------- */

enum { MANY = 6000 };

static int compare_longs(const void *a, const void *b) {
    long left = *(const long *)a, right = *(const long *)b;
    return (left > right) - (left < right);
}

static void fill(const char *command, long numbers[MANY]) {
    char line[96];
    for (unsigned i = 0; i < MANY; i++) {
        numbers[i] = (long)(check_random(&seed) % 2000001) - 1000000;
        snprintf(line, sizeof line, "%s %ld\nset w%ld %ld\n", command, numbers[i], numbers[i], -numbers[i]);
        CHECK(run(bytes_of(line)).data[0] != '-');
    }
    qsort(numbers, MANY, sizeof *numbers, compare_longs);
}

/* The numbers of a reply are those of the table from there on, or back from there. */
static void check_numbers(struct bytes reply, const long *numbers, long step, unsigned count) {
    const char *at = reply.data, *end = at + reply.len;
    CHECK(*at == '*' && strtoul(at + 1, NULL, 10) == count);
    at = strchr(at, '\n') + 1;
    for (unsigned i = 0; i < count; i++) {
        CHECK(at < end && *at == '$');
        at = strchr(at, '\n') + 1;
        CHECK_INT(strtol(at, NULL, 10), numbers[step * (long)i]);
        at = strchr(at, '\n') + 1;
    }
    CHECK(at == end);
}

/* A part of the elements is the same whether it is sorted with all others or without them. */
static void parts_are_sorted(void) {
    static long numbers[MANY];
    char line[96];
    begin();
    fill("rpush l", numbers);
    for (unsigned i = 0; i < 60; i++) {
        unsigned most = i < 4 ? i : (unsigned)(check_random(&seed) % (i % 2 ? 20 : 400));
        unsigned first = i < 8 ? 0 : (unsigned)(check_random(&seed) % (i % 3 ? 400 : MANY - 400));
        snprintf(line, sizeof line, "sort l limit %u %u\n", first, most);
        check_numbers(run(bytes_of(line)), numbers + first, 1, most);
        snprintf(line, sizeof line, "sort l desc limit %u %u\n", first, most);
        check_numbers(run(bytes_of(line)), numbers + MANY - 1 - first, -1, most);
    }
    /* In such an order, one way round, every element is among the first ones for a while. */
    EXPECT("sort l store l\n", ":6000\r\n");
    check_numbers(run(BYTES("sort l desc limit 10 600\n")), numbers + MANY - 11, -1, 600);
    check_numbers(run(BYTES("sort l limit 10 600\n")), numbers + 10, 1, 600);
    EXPECT("sort l limit 7 3 store d\n", ":3\r\n");
    check_numbers(run(BYTES("lrange d 0 -1\n")), numbers + 7, 1, 3);
    end();
}

/* More than a pack holds, more than a reply takes at once, and weights in all stripes. */
static void many_elements_are_sorted(void) {
    static long numbers[MANY];
    begin();
    fill("rpush l", numbers);
    check_numbers(run(BYTES("sort l\n")), numbers, 1, MANY);
    check_numbers(run(BYTES("sort l desc\n")), numbers + MANY - 1, -1, MANY);
    check_numbers(run(BYTES("sort l by w*\n")), numbers + MANY - 1, -1, MANY);
    check_numbers(run(BYTES("sort l by w* get #\n")), numbers + MANY - 1, -1, MANY);
    EXPECT("sort l by w* desc store d\n", ":6000\r\n");
    check_numbers(run(BYTES("lrange d 0 -1\n")), numbers, 1, MANY);
    end();
}

static void replies_that_nobody_reads_give_all_back(void) {
    static long numbers[MANY];
    begin();
    fill("rpush l", numbers);
    parse(BYTES("sort l\n"));
    CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
    CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
    CHECK_INT(conn->output.sources, 1);
    struct key key = {BYTES("l"), hash_bytes(&stripes.seed, BYTES("l"))};
    struct keyspace *ks = stripe_of(key.hash)->keyspace;
    CHECK(keyspace_delete(ks, 0, key));
    output_close(&conn->output);
    output_open(&conn->output, &shards->chunks);
    while (keyspace_upkeep(ks, 100)) {
    }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* Runs a line with each allocation failing in turn, until it has enough. The list stays as it is. */
static void fail_each(struct bytes line) {
    bool failed = true;
    for (unsigned left = 0; failed; left++) {
        parse(line);
        CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        memory_left = left;
        CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
        memory_left = UINT_MAX;
        buffer_free(&sent);
        fixture_take(&conn->output, &sent);
        failed = bytes_equal(buffer_bytes(&sent), BYTES(NO_MEMORY));
        CHECK(left < 100 && (failed || sent.data[0] != '-'));
        CHECK(left > 0 || failed);
        EXPECT("llen l\n", ":40\r\n");
    }
}

static void without_memory_nothing_is_stored(void) {
    begin();
    for (unsigned i = 0; i < 40; i++) CHECK(run(BYTES("rpush l 12345678901234567890\n")).data[0] == ':');
    EXPECT("set d v\n", OK);
    fail_each(BYTES("sort l alpha by w* get # get w*\n"));
    EXPECT("get d\n", "$1\r\nv\r\n");
    fail_each(BYTES("sort l get w* get # store d\n"));
    EXPECT("llen d\n", ":80\r\n");
    end();
}

int main(void) {
    seed = check_seed();
    RUN(elements_come_in_their_order);
    RUN(other_keys_are_weights_and_results);
    RUN(results_are_stored);
    RUN(equal_texts_stay_in_their_order);
    RUN(many_elements_are_sorted);
    RUN(parts_are_sorted);
    RUN(replies_that_nobody_reads_give_all_back);
    RUN(without_memory_nothing_is_stored);
    return 0;
}
