/* What is known of a request before it runs. */
#include "server/exec/prepare.h"

#include "tests/unit/batch_fixture.h"

static void a_huge_request_leaves_no_arrays_behind(void) {
    enum { KEYS = 6000 };
    static char line[2 * KEYS + 8];
    static char expected[5 * KEYS + 16];
    int len = snprintf(line, sizeof line, "mget"),
        expected_len = snprintf(expected, sizeof expected, "*6000\r\n");
    begin(4);
    for (unsigned i = 0; i < KEYS; i++) {
        memcpy(line + len, " k", 2), len += 2;
        memcpy(expected + expected_len, "$-1\r\n", 5), expected_len += 5;
    }
    line[len++] = '\n';
    CHECK_BYTES(batch((struct bytes){line, (size_t)len}), ((struct bytes){expected, (size_t)expected_len}));
    CHECK(!shards->exec.batch[0].hash && !shards->exec.batch[0].args.argv);
    EXPECT("get k\n", "$-1\r\n");
    end();
}

static void a_request_knows_the_stripe_of_its_keys(void) {
    begin(4);
    (void)batch(BYTES("get a\nmget a a\nping\nmget a b c d e f g h\nflushall\n"));
    unsigned stripe = stripe_index(hash_bytes(&stripes.seed, BYTES("a")));
    CHECK(shards->exec.batch[0].stripe == stripe && shards->exec.batch[0].lone_key == 1 &&
          shards->exec.batch[0].plain);
    CHECK(shards->exec.batch[1].stripe == stripe && shards->exec.batch[1].lone_key == 0);
    CHECK(shards->exec.batch[2].stripe == STRIPE_NONE && !shards->exec.batch[2].plain);
    /* Eight keys share one of 64 stripes once in 64^7 seeds. */
    CHECK(shards->exec.batch[3].stripe == STRIPE_MANY && !shards->exec.batch[3].plain);
    CHECK(shards->exec.batch[4].stripe == STRIPE_ALL && !shards->exec.batch[4].plain);
    end();
}

int main(void) {
    RUN(a_huge_request_leaves_no_arrays_behind);
    RUN(a_request_knows_the_stripe_of_its_keys);
    return 0;
}
