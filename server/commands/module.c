/* module.c - MODULE: there are none, and none can be loaded. */
#include "server/call/call.h"
#include "server/call/help.h"
#include "server/missing.h"

static void module_list(struct call *call) {
    reply_array(call->reply, 0);
}

/* Behind a gate that nothing opens: enable-module-command can only be `no`. */
static void module_none(struct call *call) {
    reply_error(call->reply, "ERR kevy " MISSING_MODULES);
}

static void module_help_(struct call *call) {
    static const char *const lines[] = {
        "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST",
        "    Return a list of loaded modules.",
        "LOAD <path> [<arg> ...]",
        "    Load a module library from <path>, passing to it any optional arguments.",
        "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
        ("    Load a module library from <path>, while passing it module configurations and optional "
         "arguments."),
        "UNLOAD <name>",
        "    Unload a module.",
    };
    HELP_REPLY(call, lines);
}

COMMAND(module) = {.name = "module",
                   .arity = -2,
                   .group = GROUP_SERVER,
                   .since = "4.0.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for module commands"};
COMMAND(module_help) = {.container = "module",
                        .name = "help",
                        HELP_ROW,
                        .run = module_help_,
                        .group = GROUP_SERVER,
                        .since = "5.0.0"};
COMMAND(module_list) = {.container = "module",
                        .name = "list",
                        .arity = 2,
                        .flags = CMD_ADMIN | CMD_NOSCRIPT,
                        .run = module_list,
                        .group = GROUP_SERVER,
                        .since = "4.0.0",
                        .complexity = "O(N) where N is the number of loaded modules.",
                        .summary = "List all modules loaded by the server",
                        .tips = "nondeterministic_output_order"};
COMMAND(module_load) = {.container = "module",
                        .name = "load",
                        .arity = -3,
                        .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_PROTECTED,
                        .run = module_none,
                        .group = GROUP_SERVER,
                        .since = "4.0.0",
                        .complexity = "O(1)",
                        .summary = "Load a module",
                        .syntax = "<path> [<arg> ...]"};
COMMAND(module_loadex) = {
    .container = "module",
    .name = "loadex",
    .arity = -3,
    .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_PROTECTED,
    .run = module_none,
    .group = GROUP_SERVER,
    .since = "7.0.0",
    .complexity = "O(1)",
    .summary = "Load a module with extended parameters",
    .syntax = "<path> [{CONFIG configs:{<name> <value>}} ...+] [{ARGS args:{<arg>}} ...]"};
COMMAND(module_unload) = {.container = "module",
                          .name = "unload",
                          .arity = 3,
                          .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_PROTECTED,
                          .run = module_none,
                          .group = GROUP_SERVER,
                          .since = "4.0.0",
                          .complexity = "O(1)",
                          .summary = "Unload a module",
                          .syntax = "<name>"};
