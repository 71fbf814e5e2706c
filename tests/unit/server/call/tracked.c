/* Which commands are noted, and by whom: rows that read, of clients whose mode asks for it. */
#include "server/call/tracked.h"

#include "server/exec/gates.h"
#include "tests/unit/commands_fixture.h"

static void only_default_mode_notes_whatever_is_read(void) {
    struct client client = {.flags = 0};
    CHECK(!tracked_always(&client));
    client.flags = CLIENT_TRACKING | CLIENT_NOLOOP;
    CHECK(tracked_always(&client));
    client.flags = CLIENT_TRACKING | CLIENT_OPTIN;
    CHECK(!tracked_always(&client));
    client.flags = CLIENT_TRACKING | CLIENT_BCAST;
    CHECK(!tracked_always(&client));
}

static void the_gate_concerns_who_reads_or_writes(void) {
    begin();
    CHECK(command_find_name(BYTES("get"))->gates & GATE_MASK(MODE_TRACKED));
    CHECK(command_find_name(BYTES("set"))->gates & GATE_MASK(MODE_TRACKED));
    CHECK(!(command_find_name(BYTES("ping"))->gates & GATE_MASK(MODE_TRACKED)));
    CHECK(!(gates_raised(&conn->client) & GATE_MASK(MODE_TRACKED)));
    end();
}

static void caching_lasts_until_a_command_has_ended(void) {
    begin();
    struct client client = {.flags = CLIENT_TRACKING | CLIENT_OPTIN | CLIENT_CACHING};
    tracked_command_ended(command_find_name(BYTES("client|id")), &client);
    CHECK(client.flags & CLIENT_CACHING);
    client.flags |= CLIENT_MULTI;
    tracked_command_ended(command_find_name(BYTES("multi")), &client);
    CHECK(client.flags & CLIENT_CACHING);
    client.flags &= ~(uint32_t)CLIENT_MULTI;
    tracked_command_ended(NULL, &client);
    CHECK(!(client.flags & CLIENT_CACHING));
    end();
}

static void writes_are_not_noted(void) {
    begin();
    EXPECT("client tracking on\nset k 1\nincr k\nexists a b a\ntype c\nkeys *\nrandomkey\ndbsize\n",
           "+OK\r\n+OK\r\n:2\r\n:0\r\n+none\r\n*1\r\n$1\r\nk\r\n$1\r\nk\r\n:1\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    EXPECT("client tracking off\nget d\n", "+OK\r\n$-1\r\n");
    CHECK_INT(tracking_totals().keys, 3);
    for (unsigned i = 0; i < stripes.count; i++) tracking_clear(&stripes.all[i]);
    CHECK_INT(tracked_evict(&shards->exec.effects, stripes.all, 5), 0);
    end();
}

int main(void) {
    RUN(only_default_mode_notes_whatever_is_read);
    RUN(the_gate_concerns_who_reads_or_writes);
    RUN(caching_lasts_until_a_command_has_ended);
    RUN(writes_are_not_noted);
    return 0;
}
