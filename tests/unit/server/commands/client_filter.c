/* The filters of CLIENT LIST and CLIENT KILL: who passes which. (Beside a valkey-server: tests/oracle/client_filters.py.) */
#include "server/commands/client_filter.h"

#include "server/clients/clients.h"
#include "tests/unit/commands_fixture.h"

/* Who asks is `conn`; the others are a, at an address of its own, with a name, and b with flags and a database. */
static struct conn *a, *b;

static void begin_with_others(void) {
    begin();
    a = fixture_conn(&shards[1]);
    b = fixture_conn(&shards[2]);
    fixture_text(a, CLIENT_PEER, "[2001:db8::1]:50");
    fixture_text(a, CLIENT_LOCAL, "[::1]:6379");
    fixture_text(a, CLIENT_NAME, "first");
    fixture_text(a, CLIENT_LIB_NAME, "lib");
    fixture_text(b, CLIENT_PEER, "10.0.0.2:50");
    b->client.db = 3;
    b->client.flags = CLIENT_NO_EVICT | CLIENT_MULTI | CLIENT_CAN_REDIRECT;
    a->client.created_ms = a->client.active_ms = now_ms - 10000;
    b->client.created_ms = b->client.active_ms = conn->client.created_ms = conn->client.active_ms = now_ms;
}

static void end_with_others(void) {
    fixture_conn_close(a);
    fixture_conn_close(b);
    end();
}

/* Is the line "id=N ..." of this client there? */
static bool shows(struct bytes text, const struct conn *c) {
    char line[32];
    int len = snprintf(line, sizeof line, "id=%llu addr=", (unsigned long long)c->client.id);
    return memmem(text.data, text.len, line, (size_t)len);
}

static void each_filter_lets_pass_what_it_says(void) {
    static const struct {
        const char *filters;
        bool asking, first, second;
    } cases[] = {
        {"name first", 0, 1, 0},
        {"not-name first", 1, 0, 1},
        {"name \"\"", 0, 0, 0},
        {"lib-name lib", 0, 1, 0},
        {"not-lib-name lib", 1, 0, 1},
        {"lib-ver 1", 0, 0, 0},
        {"not-lib-ver 1", 1, 1, 1},
        {"db 3", 0, 0, 1},
        {"not-db 3", 1, 1, 0},
        {"flags N", 1, 1, 0},
        {"flags ex", 0, 0, 1},
        {"flags eP", 0, 0, 0},
        {"not-flags e", 1, 1, 0},
        {"flags \"\"", 1, 1, 1},
        {"capa r", 0, 0, 1},
        {"not-capa r", 1, 1, 0},
        {"ip 2001:db8::1", 0, 1, 0},
        {"not-ip 10.0.0.2", 1, 1, 0},
        {"addr 10.0.0.2:50", 0, 0, 1},
        {"not-addr 10.0.0.2:50", 1, 1, 0},
        {"laddr [::1]:6379", 0, 1, 0},
        {"not-laddr [::1]:6379", 1, 0, 1},
        {"maxage 10", 0, 1, 0},
        {"idle 10", 0, 1, 0},
        {"idle 11", 0, 0, 0},
        {"skipme yes", 0, 1, 1},
        {"skipme no", 1, 1, 1},
        {"type normal", 1, 1, 1},
        {"type primary", 0, 0, 0},
        {"not-type pubsub", 1, 1, 1},
        {"user default", 1, 1, 1},
        {"not-user default", 0, 0, 0},
        {"not-id 99999999", 1, 1, 1},
        {"name first db 3", 0, 0, 0},
        {"name none name first", 0, 1, 0},
    };
    begin_with_others();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "client list %s\n", cases[i].filters);
        struct bytes text = run((struct bytes){line, (size_t)len});
        CHECK(text.data[0] == '$');
        CHECK(shows(text, conn) == cases[i].asking);
        CHECK(shows(text, a) == cases[i].first);
        CHECK(shows(text, b) == cases[i].second);
    }
    end_with_others();
}

static void ids_may_be_several(void) {
    char line[128];
    begin_with_others();
    unsigned long long first = a->client.id, second = b->client.id;
    snprintf(line, sizeof line, "client list skipme yes id %llu 99999999 id %llu\n", second, first);
    struct bytes text = run(bytes_of(line));
    CHECK(shows(text, a) && shows(text, b));
    snprintf(line, sizeof line, "client list id %llu %llu not-id %llu 7777777\n", first, second, first);
    text = run(bytes_of(line));
    CHECK(!shows(text, a) && shows(text, b));
    snprintf(line, sizeof line, "client kill id %llu %llu name first\n", first, second);
    CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    EXPECT("client list name first\n", "$0\r\n\r\n");
    end_with_others();
}

static void what_is_wrong_is_said(void) {
    static const struct exchange table[] = {
        {"client list name", SYNTAX_ERROR},
        {"client list name first id x", "-ERR Invalid client ID\r\n"},
        {"client list not-id x", SYNTAX_ERROR},
        {"client list name first id 0", "-ERR client-id should be greater than 0\r\n"},
        {"client list not-skipme yes", SYNTAX_ERROR},
        {"client list not-", SYNTAX_ERROR},
        {"client list idle 0", "-ERR idle should be greater than 0\r\n"},
        {"client kill maxage x", "-ERR maxage is not an integer or out of range\r\n"},
        {"client list db 99", "-ERR DB number should be between 0 and 15\r\n"},
        {"client list not-db x", "-ERR NOT-DB is not an integer or out of range\r\n"},
        {"client list flags z", "-ERR Unknown flags found in the provided filter: z\r\n"},
        {"client list not-capa x", "-ERR Unknown capa found in the NOT-CAPA filter: x\r\n"},
        {"client kill id 1 2 id 3 name first colour red", SYNTAX_ERROR},
    };
    begin_with_others();
    EXPECT_ALL(table);
    end_with_others();
}

int main(void) {
    RUN(each_filter_lets_pass_what_it_says);
    RUN(ids_may_be_several);
    RUN(what_is_wrong_is_said);
    return 0;
}
