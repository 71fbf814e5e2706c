/* help.h - what HELP subcommands reply. */
#ifndef KEVY_SERVER_HELP_H
#define KEVY_SERVER_HELP_H

#include "server/call.h"

/* An array of lines, with "HELP" and its own line added behind them. */
void help_reply(struct call *call, const char *const *lines, size_t count);
#define HELP_REPLY(call, lines) help_reply((call), (lines), sizeof(lines) / sizeof(*(lines)))

/* "ERR unknown subcommand or wrong number of arguments for 'x'. Try NAME HELP.": argv[1] is not what this
 * command, or the container of this subcommand, can do with these arguments. */
void help_syntax_error(struct call *call);

#endif
