/* MODULE: an empty list, and nothing that can be loaded. */
#include "tests/unit/commands_fixture.h"

#define NOT_ALLOWED                                                                                          \
    "-ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run " \
    "it from a local connection, otherwise you need to set this option in the configuration file, and then " \
    "restart the server.\r\n"

static void there_are_none_and_none_is_loaded(void) {
    begin();
    config.enable_debug_command = CONFIG_YES; /* of DEBUG alone */
    static const struct exchange table[] = {
        {"module list", "*0\r\n"},
        {"module load /x.so", NOT_ALLOWED},
        {"module loadex /x.so", NOT_ALLOWED},
        {"module unload x", NOT_ALLOWED},
        {"module", "-ERR wrong number of arguments for 'module' command\r\n"},
        {"module Fly", "-ERR unknown subcommand 'Fly'. Try MODULE HELP.\r\n"},
    };
    EXPECT_ALL(table);
    CHECK(strstr(run(BYTES("module help\n")).data,
                 "+MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    end();
}

int main(void) {
    RUN(there_are_none_and_none_is_loaded);
    return 0;
}
