/* A server that forms no cluster says so, to every subcommand. */
#include "server/call/command.h"

#include "tests/unit/commands_fixture.h"

#define DISABLED "-ERR This instance has cluster support disabled\r\n"

static void every_subcommand_says_that_there_is_no_cluster(void) {
    begin();
    static const struct exchange table[] = {
        {"cluster info", DISABLED},
        {"cluster keyslot k", DISABLED},
        {"cluster help", DISABLED},
        {"asking", DISABLED},
        {"readonly", DISABLED},
        {"readwrite", DISABLED},
        {"cluster keyslot", "-ERR wrong number of arguments for 'cluster|keyslot' command\r\n"},
        {"cluster", "-ERR wrong number of arguments for 'cluster' command\r\n"},
    };
    EXPECT_ALL(table);
    const struct command *list[64];
    const struct command *container = command_find_name(BYTES("cluster"));
    unsigned count = command_subcommands(container, list, 64);
    CHECK_INT(count, 27);
    for (unsigned i = 0; i < count; i++) CHECK(list[i]->run == list[0]->run);
    end();
}

int main(void) {
    RUN(every_subcommand_says_that_there_is_no_cluster);
    return 0;
}
