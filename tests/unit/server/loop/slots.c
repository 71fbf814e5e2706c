/* A shard's slots for connections. */
#include "server/loop/slots.h"

#include "tests/unit/server_fixture.h"

enum { SLOTS = 200 }; /* several pages of them */

static struct conn *conns[SLOTS];

static void open_slots(void) {
    fixture_open(2);
    for (unsigned i = 0; i < SLOTS; i++) {
        conns[i] = slots_take(&shards->slots);
        CHECK(conns[i]);
        conns[i]->flags = CONN_OPEN;
        conns[i]->client.id = 1000 + i;
    }
}

static void every_slot_is_found_where_it_was_made(void) {
    open_slots();
    for (unsigned i = 0; i < SLOTS; i++) { /* pages that came later moved none of them */
        CHECK(slots_find(&shards->slots, slots_name(conns[i])) == conns[i]);
        CHECK(slots_find_client(&shards->slots, conns[i]->client.slot, 1000 + i) == conns[i]);
        CHECK(!slots_find_client(&shards->slots, conns[i]->client.slot, 999 + i));
        for (unsigned j = 0; j < i; j++) CHECK(conns[j]->client.slot != conns[i]->client.slot);
    }
    CHECK(!slots_find(&shards->slots, UINT64_C(1) << 32 | shards->slots.page_count * 64));
    CHECK(!slots_find(&shards->slots, UINT64_C(1) << 32 | SLOT_NONE) &&
          !slots_find_client(&shards->slots, SLOT_NONE, 1000));
    fixture_close();
}

static void a_slot_that_is_used_again_is_not_taken_for_what_it_was(void) {
    open_slots();
    unsigned pages = shards->slots.page_count;
    for (unsigned i = 0; i < SLOTS; i += 3) {
        uint64_t name = slots_name(conns[i]);
        uint32_t slot = conns[i]->client.slot;
        slots_give(&shards->slots, conns[i]);
        CHECK(!slots_find(&shards->slots, name) && !slots_find_client(&shards->slots, slot, 1000 + i));
        struct conn *next = slots_take(&shards->slots);
        CHECK(next == conns[i] && slots_name(next) != name); /* the last one freed is warm */
        CHECK(!next->flags && !next->client.id && !next->socket.owed && !next->output.queued.iov);
        CHECK(!slots_find(&shards->slots, slots_name(next))); /* not open yet */
        next->flags = CONN_OPEN;
        CHECK(slots_find(&shards->slots, slots_name(next)) == next && !slots_find(&shards->slots, name));
    }
    CHECK_INT(shards->slots.page_count, pages);
    fixture_close();
}

/* A name has no more bits for the generation. */
static void generations_wrap_where_names_cut_them(void) {
    fixture_open(1);
    struct conn *conn = slots_take(&shards->slots);
    CHECK(conn);
    conn->generation = SLOT_GENERATION_MASK;
    slots_give(&shards->slots, conn);
    CHECK(slots_take(&shards->slots) == conn);
    CHECK_INT(conn->generation, 0);
    conn->flags = CONN_OPEN;
    CHECK(slots_find(&shards->slots, slots_name(conn)) == conn);
    fixture_close();
}

static void a_connection_that_is_closing_has_events_but_no_posts(void) {
    open_slots();
    conns[5]->flags |= CONN_CLOSING;
    CHECK(slots_find(&shards->slots, slots_name(conns[5])) == conns[5]);
    CHECK(!slots_find_client(&shards->slots, conns[5]->client.slot, conns[5]->client.id));
    fixture_close();
}

static unsigned visited;
static void visit(struct conn *conn) {
    CHECK(conn->flags & CONN_OPEN);
    visited++;
}

static void each_open_connection_is_visited_once(void) {
    open_slots();
    for (unsigned i = 0; i < SLOTS; i += 4) slots_give(&shards->slots, conns[i]);
    visited = 0;
    slots_each(&shards->slots, visit);
    CHECK_INT(visited, SLOTS - SLOTS / 4);
    fixture_close();
}

int main(void) {
    RUN(every_slot_is_found_where_it_was_made);
    RUN(a_slot_that_is_used_again_is_not_taken_for_what_it_was);
    RUN(generations_wrap_where_names_cut_them);
    RUN(a_connection_that_is_closing_has_events_but_no_posts);
    RUN(each_open_connection_is_visited_once);
    return 0;
}
