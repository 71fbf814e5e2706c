/* help.h - what HELP subcommands reply. */
#ifndef KEVY_SERVER_CALL_HELP_H
#define KEVY_SERVER_CALL_HELP_H

#include "server/call/call.h"

/* An array of lines, with "HELP" and its own line added behind them. The first word is the command's name,
 * and shown as it was called. */
void help_reply(struct call *call, const char *const *lines, size_t count);
#define HELP_REPLY(call, lines) help_reply((call), (lines), sizeof(lines) / sizeof(*(lines)))

/* What the rows of all HELP subcommands say. */
#define HELP_ROW                                                                                             \
    .arity = 2, .flags = CMD_LOADING | CMD_STALE | CMD_BOUNDED, .complexity = "O(1)",                        \
    .summary = "Show helpful text about the different subcommands"

/* "ERR unknown subcommand or wrong number of arguments for 'x'. Try NAME HELP.": argv[1] is not what this
 * command, or the container of this subcommand, can do with these arguments. */
void help_syntax_error(struct call *call);

#endif
