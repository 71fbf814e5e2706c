/* help.c - what HELP subcommands reply. */
#include "server/call/help.h"

void help_reply(struct call *call, const char *const *lines, size_t count) {
    reply_array(call->reply, count + 2);
    for (size_t i = 0; i < count; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

enum { SUBCOMMAND_SHOWN = 128 };

void help_syntax_error(struct call *call) {
    const char *name = call->command->container ? call->command->container : call->command->name;
    struct bytes sub = call->argv[1];
    char upper[COMMAND_NAME_MAX + 1] = "";
    for (size_t i = 0; i < COMMAND_NAME_MAX && name[i]; i++)
        upper[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
    reply_errorf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                 (int)(sub.len < SUBCOMMAND_SHOWN ? sub.len : SUBCOMMAND_SHOWN), sub.data, upper);
}
