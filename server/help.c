/* help.c - what HELP subcommands reply. */
#include "server/help.h"

void help_reply(struct call *call, const char *const *lines, size_t count) {
    reply_array(call->reply, count + 2);
    for (size_t i = 0; i < count; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}
