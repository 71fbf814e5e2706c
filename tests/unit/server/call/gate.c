/* The table of gates: whom each concerns, and for whom it is raised. */
#include "server/call/gate.h"

#include "server/call/command.h"
#include "server/clients/client.h"
#include "tests/check.h"

static uint32_t gates(const char *name) {
    const struct command *command = command_find_name(bytes_of(name));
    CHECK(command);
    CHECK_INT(command->gates, gates_of_command(command));
    return command->gates;
}

static bool concerns(enum gate_bit bit, const char *name) {
    return gates(name) & GATE_MASK(bit);
}

static void every_bit_has_its_row(void) {
    for (unsigned bit = 0; bit < GATE_BITS; bit++) {
        const struct gate *gate = gate_at(bit);
        bool used = bit < GATE_COUNT || bit >= MODE_FIRST;
        CHECK_INT(gate != NULL, used);
        if (!used) continue;
        CHECK_INT(gate->bit, bit);
        CHECK_INT(gate->ask != NULL, bit < MODE_FIRST);
    }
    CHECK(gate_at(GATE_BITS) == NULL);
    CHECK(gate_table_open() == NULL); /* twice is once */
}

static void a_row_knows_which_gates_concern_it(void) {
    CHECK(concerns(GATE_NOAUTH, "get") && !concerns(GATE_NOAUTH, "auth"));
    CHECK(concerns(GATE_PROTECTED, "debug") && !concerns(GATE_PROTECTED, "get"));
    CHECK(concerns(GATE_KEYSPACE, "get") && concerns(GATE_KEYSPACE, "set") &&
          !concerns(GATE_KEYSPACE, "ping"));
    CHECK(concerns(GATE_PAUSE_WRITE, "set") && concerns(GATE_PAUSE_WRITE, "exec"));
    CHECK(!concerns(GATE_PAUSE_WRITE, "get") && !concerns(GATE_PAUSE_WRITE, "discard"));
    CHECK(concerns(GATE_PAUSE_ALL, "get") && !concerns(GATE_PAUSE_ALL, "client|unpause"));
    CHECK(concerns(MODE_QUEUE, "get") && !concerns(MODE_QUEUE, "exec") && !concerns(MODE_QUEUE, "reset"));
    CHECK(concerns(MODE_MONITORED, "get") && !concerns(MODE_MONITORED, "monitor"));
    for (unsigned i = 0; i < command_count(); i++) {
        const uint32_t all = GATE_MASK(MODE_CLOSING) | GATE_MASK(MODE_MUTED) | GATE_MASK(MODE_TIMED);
        CHECK((command_at(i)->gates & all) == all);
    }
}

static void flags_of_a_client_raise_gates_for_it(void) {
    const struct {
        uint32_t flags, gates;
    } cases[] = {
        {0, 0},
        {CLIENT_NO_TOUCH | CLIENT_NO_EVICT | CLIENT_UNIX_SOCKET | CLIENT_IN_EXEC, 0},
        {CLIENT_UNAUTHENTICATED, GATE_MASK(GATE_NOAUTH)},
        {CLIENT_MULTI, GATE_MASK(GATE_NO_MULTI) | GATE_MASK(MODE_QUEUE)},
        {CLIENT_MONITOR, GATE_MASK(GATE_KEYSPACE)},
        {CLIENT_CLOSE_NOW, GATE_MASK(MODE_CLOSING)},
        {CLIENT_CLOSE_AFTER_REPLY | CLIENT_REPLY_OFF, GATE_MASK(MODE_CLOSING) | GATE_MASK(MODE_MUTED)},
        {CLIENT_REPLY_SKIP_NEXT, GATE_MASK(MODE_MUTED)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(gates_of_flags(cases[i].flags), cases[i].gates);
        CHECK_INT((cases[i].flags & gates_client_flags) != 0, cases[i].gates != 0);
    }
}

static void what_is_raised_for_all_is_lowered_again(void) {
    uint32_t before = gates_up;
    CHECK(before & GATE_MASK(GATE_PROTECTED)); /* always */
    gate_raise(GATE_PAUSE_ALL);
    gate_raise(MODE_MONITORED);
    CHECK_INT(gates_up, before | GATE_MASK(GATE_PAUSE_ALL) | GATE_MASK(MODE_MONITORED));
    gate_lower(GATE_PAUSE_ALL);
    gate_lower(GATE_PAUSE_ALL);
    gate_lower(MODE_MONITORED);
    CHECK_INT(gates_up, before);
}

int main(void) {
    CHECK(command_table_open() == NULL);
    RUN(every_bit_has_its_row);
    RUN(a_row_knows_which_gates_concern_it);
    RUN(flags_of_a_client_raise_gates_for_it);
    RUN(what_is_raised_for_all_is_lowered_again);
    return 0;
}
