/* help.c - what HELP subcommands reply. */
#include "server/call/help.h"

#include "protocol/text.h"
#include "server/missing.h"

enum { TITLE_MAX = 256 }; /* bytes of the first line */

/* The command's name, in capitals, as it was called: it may have been renamed. */
static void add_name(struct text *text, const struct call *call) {
    text_upper(text, (struct bytes){call->argv[0].data, (size_t)reply_name(call->argv[0])});
}

void help_reply(struct call *call, const char *const *lines, size_t count) {
    char memory[TITLE_MAX];
    struct text title = text_fixed(memory, sizeof memory);
    add_name(&title, call);
    text_string(&title, strchr(lines[0], ' '));
    reply_array(call->reply, count + 2);
    reply_simple(call->reply, memory);
    for (size_t i = 1; i < count; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
}

void help_syntax_error(struct call *call) {
    char memory[TITLE_MAX];
    struct text upper = text_fixed(memory, sizeof memory);
    add_name(&upper, call);
    const char *why = missing_subcommand(bytes_of(call->command->name), call->argv[1]);
    reply_errorf(call->reply,
                 "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.%s%s%s",
                 reply_name(call->argv[1]), call->argv[1].data, memory, why ? " (kevy " : "", why ? why : "",
                 why ? ")" : "");
}
