/* Samples, and the end of a reply that nobody reads: what hash.c and its like do not show by themselves. */
#include "server/commands/collection.h"

#include "tests/unit/commands_fixture.h"

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void samples_are_of_different_numbers(void) {
    uint64_t state = 1;
    for (uint64_t bound = 1; bound < 300; bound += 13)
        for (uint64_t count = 1; count <= bound; count += 1 + bound / 17) {
            uint64_t *sample = collection_sample(&state, count, bound);
            CHECK(sample);
            qsort(sample, count, sizeof *sample, compare);
            for (uint64_t i = 0; i < count; i++)
                CHECK(sample[i] < bound && (i == 0 || sample[i] != sample[i - 1]));
            free(sample);
        }
    CHECK(!collection_sample(&state, UINT64_MAX, UINT64_MAX));
}

/* Each number is drawn as often as any other, within six deviations. */
static void every_number_has_the_same_odds(void) {
    enum { BOUND = 20, ROUNDS = 20000 };
    uint64_t state = 2;
    for (unsigned count = 2; count <= 10; count += 8) { /* few, and many */
        unsigned drawn[BOUND] = {0}, expected = ROUNDS * count / BOUND;
        for (unsigned i = 0; i < ROUNDS; i++) {
            uint64_t *sample = collection_sample(&state, count, BOUND);
            CHECK(sample);
            for (unsigned j = 0; j < count; j++) drawn[sample[j]]++;
            free(sample);
        }
        for (unsigned i = 0; i < BOUND; i++)
            CHECK(drawn[i] > expected - 6 * 100 && drawn[i] < expected + 6 * 100);
    }
    unsigned drawn[3] = {0};
    for (unsigned i = 0; i < 3 * ROUNDS; i++) drawn[collection_random(&state, 3)]++;
    for (unsigned i = 0; i < 3; i++) CHECK(drawn[i] > ROUNDS - 900 && drawn[i] < ROUNDS + 900);
}

enum { MANY = 60000 };

static struct key key_h(void) {
    return (struct key){BYTES("h"), hash_bytes(&stripes.seed, BYTES("h"))};
}

static void fill(void) {
    for (unsigned i = 0; i < MANY; i++) {
        char line[64];
        snprintf(line, sizeof line, "hset h field:%06u 0123456789abcdef\n", i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
}

/* Runs a request and leaves its reply unsent. */
static void ask(struct bytes line) {
    parse(line);
    CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
    shards->exec.clock.now_ms = now_ms;
    CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
}

/* The connection ends before its replies are written, and the key is gone meanwhile: what the last of them held is freed in
 * bounded parts, which the owner of the stripe hears of. */
static void nobody_reads(struct bytes request) {
    begin();
    fill();
    struct keyspace *ks = stripe_of(key_h().hash)->keyspace;
    for (unsigned i = 0; i < 3; i++) ask(request);
    CHECK_INT(conn->output.sources, 3);
    CHECK(output_unsent(&conn->output) < 200);
    CHECK(keyspace_delete(ks, 0, key_h()));
    while (keyspace_upkeep(ks, 100)) {
    }
    uint64_t whole = heaps_used(stripes.heaps);
    CHECK(whole > MANY * 20);
    output_close(&conn->output);
    output_open(&conn->output, &shards->chunks);
    uint64_t left = heaps_used(stripes.heaps);
    CHECK(left > whole / 2 && left < whole);
    while (keyspace_upkeep(ks, 100)) {
    }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    CHECK_INT(ks->dead.count, 0);
    end();
}

static void replies_that_nobody_reads_leave_their_tree_to_upkeep(void) {
    nobody_reads(BYTES("hgetall h\n"));
}

static void draws_that_nobody_reads_leave_their_object_to_upkeep(void) {
    nobody_reads(BYTES("hrandfield h -9000000000 withvalues\n"));
}

/* Elements in blocks, of which the tree knows no size, are not all copied into the reply at once either; nor are they where
 * they come backwards. */
static void long_elements_are_written_when_there_is_room(void) {
    enum { ELEMENTS = 400, LEN = 4000 };
    static char request[LEN + 16] = "rpush l ";
    begin();
    for (unsigned i = 0; i < ELEMENTS; i++) {
        memset(request + 8, (int)('a' + i % 26), LEN);
        request[8 + LEN] = '\n';
        run((struct bytes){request, 8 + LEN + 1});
    }
    ask(BYTES("lrange l 0 -1\n"));
    CHECK_INT(conn->output.sources, 1);
    CHECK(output_unsent(&conn->output) > 4 * 65536 && output_unsent(&conn->output) < 5 * 65536);
    buffer_free(&sent);
    fixture_take(&conn->output, &sent);
    CHECK(sent.len == 6 + ELEMENTS * (7 + LEN + 2) && memcmp(sent.data, "*400\r\n$4000\r\na", 14) == 0);
    for (size_t i = 0; i < ELEMENTS; i++)
        CHECK_INT(sent.data[6 + i * (7 + LEN + 2) + 7 + LEN - 1], 'a' + (int)(i % 26));
    end();
}

/* A muted client's replies are not even begun. */
static void muted_replies_hold_nothing(void) {
    begin();
    fill();
    ask(BYTES("client reply off\n"));
    ask(BYTES("hgetall h\n"));
    CHECK_INT(conn->output.sources, 0);
    CHECK_INT(output_unsent(&conn->output), 0);
    struct entry *e = keyspace_find(stripe_of(key_h().hash)->keyspace, 0, key_h());
    CHECK(!node_shared(collection_of(entry_object(e))->tree.root));
    end();
}

int main(void) {
    RUN(samples_are_of_different_numbers);
    RUN(every_number_has_the_same_odds);
    RUN(replies_that_nobody_reads_leave_their_tree_to_upkeep);
    RUN(draws_that_nobody_reads_leave_their_object_to_upkeep);
    RUN(long_elements_are_written_when_there_is_room);
    RUN(muted_replies_hold_nothing);
    return 0;
}
