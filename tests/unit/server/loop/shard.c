/* A shard's slots for connections, and the upkeep of its stripes. */
#include "server/loop/shard.h"

#include "server/op.h"
#include "server/process/server.h"
#include "tests/unit/server_fixture.h"

enum { SLOTS = 200 }; /* several pages of them */

static struct conn *conns[SLOTS];

static void open_slots(void) {
    fixture_open(2);
    for (unsigned i = 0; i < SLOTS; i++) {
        conns[i] = shard_conn_new(shards);
        CHECK(conns[i]);
        conns[i]->flags = CONN_OPEN;
        conns[i]->client.id = 1000 + i;
    }
}

static void every_slot_is_found_where_it_was_made(void) {
    open_slots();
    for (unsigned i = 0; i < SLOTS; i++) { /* pages that came later moved none of them */
        CHECK(shard_conn(shards, conns[i]->slot, conns[i]->generation) == conns[i]);
        CHECK(shard_conn_by_id(shards, conns[i]->slot, 1000 + i) == conns[i]);
        CHECK(!shard_conn_by_id(shards, conns[i]->slot, 999 + i));
        for (unsigned j = 0; j < i; j++) CHECK(conns[j]->slot != conns[i]->slot);
    }
    CHECK(!shard_conn(shards, shards->page_count * 64, 1));
    CHECK(!shard_conn(shards, SLOT_NONE, 1) && !shard_conn_by_id(shards, SLOT_NONE, 1000));
    fixture_close();
}

static void a_slot_that_is_used_again_is_not_taken_for_what_it_was(void) {
    open_slots();
    unsigned pages = shards->page_count;
    for (unsigned i = 0; i < SLOTS; i += 3) {
        uint32_t slot = conns[i]->slot, generation = conns[i]->generation;
        shard_conn_free(shards, conns[i]);
        CHECK(!shard_conn(shards, slot, generation) && !shard_conn_by_id(shards, slot, 1000 + i));
        struct conn *next = shard_conn_new(shards);
        CHECK(next == conns[i] && next->generation != generation); /* the last one freed is warm */
        CHECK(!next->flags && !next->client.id && !next->pending_ops && !next->output.queued.iov);
        CHECK(!shard_conn(shards, slot, next->generation)); /* not open yet */
        next->flags = CONN_OPEN;
        CHECK(shard_conn(shards, slot, next->generation) == next && !shard_conn(shards, slot, generation));
    }
    CHECK_INT(shards->page_count, pages);
    fixture_close();
}

/* A completion carries no more bits of the generation than these. */
static void generations_wrap_where_completions_cut_them(void) {
    fixture_open(1);
    struct conn *conn = shard_conn_new(shards);
    CHECK(conn);
    conn->generation = OP_GENERATION_MASK;
    shard_conn_free(shards, conn);
    CHECK(shard_conn_new(shards) == conn);
    CHECK_INT(conn->generation, 0);
    conn->flags = CONN_OPEN;
    uint64_t name = op_pack(OP_RECEIVE, conn->generation, conn->slot);
    CHECK(shard_conn(shards, op_slot(name), op_generation(name)) == conn);
    fixture_close();
}

static void a_connection_that_is_closing_has_completions_but_no_posts(void) {
    open_slots();
    conns[5]->flags |= CONN_CLOSING;
    CHECK(shard_conn(shards, conns[5]->slot, conns[5]->generation) == conns[5]);
    CHECK(!shard_conn_by_id(shards, conns[5]->slot, conns[5]->client.id));
    fixture_close();
}

static unsigned visited;
static void visit(struct conn *conn) {
    CHECK(conn->flags & CONN_OPEN);
    visited++;
}

static void each_open_connection_is_visited_once(void) {
    open_slots();
    for (unsigned i = 0; i < SLOTS; i += 4) shard_conn_free(shards, conns[i]);
    visited = 0;
    shard_each_conn(shards, visit);
    CHECK_INT(visited, SLOTS - SLOTS / 4);
    fixture_close();
}

static void put(unsigned number, int64_t expiry_ms) {
    char name[16];
    struct bytes bytes = {name, (size_t)snprintf(name, sizeof name, "key%u", number)};
    struct key key = {bytes, hash_bytes(&stripes.seed, bytes)};
    struct value value = value_of_bytes(BYTES("v"));
    CHECK(keyspace_set(stripe_of(key.hash)->keyspace, 0, key, &value, expiry_ms));
}

static uint64_t keys_of(unsigned owner) {
    uint64_t keys = 0;
    for (unsigned i = owner; i < stripes.count; i += shard_count) {
        CHECK_INT(stripes.all[i].owner, owner);
        keys += keyspace_count(stripes.all[i].keyspace, 0);
    }
    return keys;
}

static void upkeep_expires_the_shard_s_own_keys_a_bounded_number_at_a_time(void) {
    enum { KEYS = 20000 };
    fixture_open(2);
    for (unsigned i = 0; i < KEYS; i++) put(i, shards->exec.clock.now_ms - (int64_t)(i % 7));
    uint64_t own = keys_of(0), others = keys_of(1), left = own;
    CHECK(own > KEYS / 4 && others > KEYS / 4);
    unsigned rounds = 0;
    do {
        shard_upkeep(shards);
        uint64_t now = keys_of(0);
        CHECK(left - now <= (uint64_t)EXPIRE_BUDGET * stripes.count / 2);
        left = now;
        CHECK(++rounds < KEYS);
    } while (shards->upkeep_left || shards->next_expiry_ms <= shards->exec.clock.now_ms);
    CHECK(rounds > 1 && left == 0);
    CHECK_INT(keys_of(1), others);
    CHECK_INT(shards->exec.metrics.expired_keys, own);
    CHECK_INT(shards->next_expiry_ms, INT64_MAX);
    fixture_close();
}

static void upkeep_knows_when_the_next_key_expires(void) {
    fixture_open(1);
    int64_t at_ms = shards->exec.clock.now_ms + 5000;
    put(1, at_ms);
    put(2, at_ms + 1000);
    shard_upkeep(shards);
    CHECK(shards->next_expiry_ms <= at_ms && shards->next_expiry_ms > shards->exec.clock.now_ms);
    shards->exec.clock.now_ms = at_ms;
    while (keys_of(0) == 2) shard_upkeep(shards);
    CHECK_INT(keys_of(0), 1);
    CHECK(shards->next_expiry_ms > at_ms && shards->next_expiry_ms <= at_ms + 1000);
    fixture_close();
}

int main(void) {
    RUN(every_slot_is_found_where_it_was_made);
    RUN(a_slot_that_is_used_again_is_not_taken_for_what_it_was);
    RUN(generations_wrap_where_completions_cut_them);
    RUN(a_connection_that_is_closing_has_completions_but_no_posts);
    RUN(each_open_connection_is_visited_once);
    RUN(upkeep_expires_the_shard_s_own_keys_a_bounded_number_at_a_time);
    RUN(upkeep_knows_when_the_next_key_expires);
    return 0;
}
