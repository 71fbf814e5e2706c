/* help.c - what HELP subcommands reply. */
#include "server/call/help.h"

#include "protocol/text.h"

void help_reply(struct call *call, const char *const *lines, size_t count) {
    reply_array(call->reply, count + 2);
    for (size_t i = 0; i < count; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

void help_syntax_error(struct call *call) {
    const char *name = call->command->container ? call->command->container : call->command->name;
    char memory[COMMAND_NAME_MAX + 1];
    struct text upper = text_fixed(memory, sizeof memory);
    text_upper(&upper, bytes_of(name));
    reply_errorf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
                 reply_name(call->argv[1]), call->argv[1].data, memory);
}
