/* command.c - COMMAND and its subcommands: what the rows of the command table say, in Redis's words and shapes. */
#include "server/call/command.h"

#include "protocol/glob.h"
#include "server/call/call.h"
#include "server/call/help.h"
#include "server/call/syntax.h"

/* A name for a bit. Tables of these are in the order in which Redis lists them. */
struct bit_name {
    uint32_t bit;
    const char *name;
};

static const struct bit_name flag_names[] = {
    {CMD_WRITE, "write"},
    {CMD_READONLY, "readonly"},
    {CMD_DENYOOM, "denyoom"},
    {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"},
    {CMD_NOSCRIPT, "noscript"},
    {CMD_BLOCKING, "blocking"},
    {CMD_LOADING, "loading"},
    {CMD_STALE, "stale"},
    {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"},
    {CMD_FAST, "fast"},
    {CMD_NO_AUTH, "no_auth"},
    {CMD_NO_MANDATORY_KEYS, "no_mandatory_keys"},
    {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"},
    {CMD_MOVABLE_KEYS, "movablekeys"},
    {CMD_ALLOW_BUSY, "allow_busy"},
    {0, NULL},
};

static const struct bit_name key_flag_names[] = {
    {KEY_RO, "RO"},
    {KEY_RW, "RW"},
    {KEY_OW, "OW"},
    {KEY_RM, "RM"},
    {KEY_ACCESS, "access"},
    {KEY_UPDATE, "update"},
    {KEY_INSERT, "insert"},
    {KEY_DELETE, "delete"},
    {KEY_NOT_KEY, "not_key"},
    {KEY_INCOMPLETE, "incomplete"},
    {KEY_VARIABLE_FLAGS, "variable_flags"},
    {0, NULL},
};

static const struct bit_name syntax_flag_names[] = {
    {SYNTAX_OPTIONAL, "optional"},
    {SYNTAX_MULTIPLE, "multiple"},
    {SYNTAX_MULTIPLE_TOKEN, "multiple_token"},
    {0, NULL},
};

static void reply_bits(struct reply *reply, uint32_t bits, const struct bit_name *names) {
    size_t count = 0;
    for (const struct bit_name *n = names; n->name; n++) count += (bits & n->bit) != 0;
    reply_set(reply, count);
    for (const struct bit_name *n = names; n->name; n++)
        if (bits & n->bit) reply_simple(reply, n->name);
}

static void reply_full_name(struct reply *reply, const struct command *command) {
    char name[COMMAND_FULL_NAME_MAX];
    reply_bulk(reply, (struct bytes){name, command_full_name(command, name)});
}

static void reply_field(struct reply *reply, const char *field, const char *text) {
    reply_bulk_text(reply, field);
    reply_bulk_text(reply, text);
}

/* The part of *rest up to `separator`; *rest becomes what is behind it. */
static struct bytes next_part(struct bytes *rest, const char *separator) {
    const char *end = rest->len ? memmem(rest->data, rest->len, separator, strlen(separator)) : NULL;
    struct bytes part = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
    size_t taken = end ? part.len + strlen(separator) : part.len;
    *rest = (struct bytes){rest->data + taken, rest->len - taken};
    return part;
}

static size_t count_parts(const char *text, const char *separator) {
    size_t count = 0;
    for (struct bytes rest = bytes_of(text ? text : ""); rest.len; count++) next_part(&rest, separator);
    return count;
}

static bool is_top_level(const struct command *command) {
    return !command->container && !command->disabled;
}

static unsigned top_level_count(void) {
    unsigned count = 0;
    for (unsigned i = 0; i < command_count(); i++) count += is_top_level(command_at(i));
    return count;
}

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void reply_categories(struct reply *reply, const struct command *command) {
    uint32_t categories = command_categories(command);
    char name[32] = "@";
    reply_set(reply, (size_t)__builtin_popcount(categories));
    for (unsigned i = 0; i < CATEGORY_COUNT; i++) {
        if (!(categories & 1u << i)) continue;
        memcpy(name + 1, command_category_names[i], strlen(command_category_names[i]) + 1);
        reply_simple(reply, name);
    }
}

static void reply_tips(struct reply *reply, const char *tips) {
    struct bytes rest = bytes_of(tips ? tips : "");
    reply_set(reply, count_parts(tips, ","));
    while (rest.len) reply_bulk(reply, next_part(&rest, ","));
}

static void reply_number(struct reply *reply, const char *field, int64_t value) {
    reply_bulk_text(reply, field);
    reply_int(reply, value);
}

static void reply_search(struct reply *reply, const char *step, const char *type, size_t fields) {
    reply_bulk_text(reply, step);
    reply_map(reply, 2);
    reply_field(reply, "type", type);
    reply_bulk_text(reply, "spec");
    reply_map(reply, fields);
}

/* Redis counts from where the search began: here that is the first key, or the number of keys. */
static void reply_key_spec(struct reply *reply, const struct key_spec *spec) {
    int begin = spec->numkeys ? spec->numkeys : spec->first;
    reply_map(reply, spec->note ? 4 : 3);
    if (spec->note) reply_field(reply, "notes", spec->note);
    reply_bulk_text(reply, "flags");
    reply_bits(reply, spec->flags, key_flag_names);
    if (spec->keyword && !*spec->keyword) {
        reply_search(reply, "begin_search", "unknown", 0);
        reply_search(reply, "find_keys", "unknown", 0);
        return;
    }
    if (spec->keyword) {
        reply_search(reply, "begin_search", "keyword", 2);
        reply_field(reply, "keyword", spec->keyword);
        reply_number(reply, "startfrom", spec->first);
    } else {
        reply_search(reply, "begin_search", "index", 1);
        reply_number(reply, "index", begin);
    }
    if (spec->numkeys) {
        reply_search(reply, "find_keys", "keynum", 3);
        reply_number(reply, "keynumidx", 0);
        reply_number(reply, "firstkey", spec->first - begin);
        reply_number(reply, "keystep", spec->step);
    } else {
        reply_search(reply, "find_keys", "range", 3);
        reply_number(reply, "lastkey", spec->last < 0 ? spec->last : spec->last - begin);
        reply_number(reply, "keystep", spec->step);
        reply_number(reply, "limit", spec->limit);
    }
}

static int spec_count(const struct command *command) {
    int count = 0;
    while (count < COMMAND_MAX_KEY_SPECS && command->keys[count].flags) count++;
    return count;
}

/* First, last and step: all that COMMAND said before there were key specs. Of several specs it says what
 * plain ranges side by side cover; movablekeys stands for the rest. */
static void reply_legacy_range(struct reply *reply, const struct command *command) {
    int count = spec_count(command), first = 0, last = 0, step = 0;
    for (int i = 0; i < count; i++) {
        const struct key_spec *spec = &command->keys[i];
        if (spec->numkeys || spec->keyword) continue;
        if (count > 1 && (spec->step != 1 || (last && last != spec->first - 1))) continue;
        if (!first || spec->first < first) first = spec->first;
        if (last >= 0 && (spec->last < 0 || spec->last > last)) last = spec->last;
        step = spec->step;
    }
    reply_int(reply, first);
    reply_int(reply, last);
    reply_int(reply, step);
}

static void reply_info(struct reply *reply, const struct command *command) {
    int specs = spec_count(command);
    unsigned subcommands = command_subcommands(command, NULL, 0);
    reply_array(reply, 10);
    reply_full_name(reply, command);
    reply_int(reply, command->arity);
    reply_bits(reply, command->flags, flag_names);
    reply_legacy_range(reply, command);
    reply_categories(reply, command);
    reply_tips(reply, command->tips);
    reply_set(reply, (size_t)specs);
    for (int i = 0; i < specs; i++) reply_key_spec(reply, &command->keys[i]);
    if (subcommands)
        reply_array(reply, subcommands);
    else
        reply_set(reply, 0);
    for (unsigned i = 1; i <= subcommands; i++) reply_info(reply, command_at(command->id + i));
}

static void command_all(struct call *call) {
    reply_array(call->reply, top_level_count());
    for (unsigned i = 0; i < command_count(); i++)
        if (is_top_level(command_at(i))) reply_info(call->reply, command_at(i));
}
COMMAND(command) = {.name = "command",
                    .arity = -1,
                    .flags = CMD_LOADING | CMD_STALE,
                    .run = command_all,
                    .group = GROUP_SERVER,
                    .since = "2.8.13",
                    .complexity = "O(N) where N is the total number of Redis commands",
                    .summary = "Get array of Redis command details",
                    .acl = "connection",
                    .tips = "nondeterministic_output_order"};

static void command_info(struct call *call) {
    if (call->argc == 2) {
        command_all(call);
        return;
    }
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command *command = command_find_name(call->argv[i]);
        if (command)
            reply_info(call->reply, command);
        else
            reply_null(call->reply);
    }
}
COMMAND(command_info) = {
    .container = "command",
    .name = "info",
    .arity = -2,
    .flags = CMD_LOADING | CMD_STALE,
    .run = command_info,
    .group = GROUP_SERVER,
    .since = "2.8.13",
    .complexity = "O(N) where N is the number of commands to look up",
    .summary = "Get array of specific Redis command details, or all when no argument is given.",
    .acl = "connection",
    .tips = "nondeterministic_output_order",
    .history = "7.0.0: Allowed to be called with no argument to get info on all commands.",
    .syntax = "[<command-name> ...]"};

/* ---- DOCS ----------------------------------------------------------------------------------------- */

static const char *const type_names[] = {[SYNTAX_STRING] = "string",       [SYNTAX_INTEGER] = "integer",
                                         [SYNTAX_DOUBLE] = "double",       [SYNTAX_KEY] = "key",
                                         [SYNTAX_PATTERN] = "pattern",     [SYNTAX_KEY_PATTERN] = "pattern",
                                         [SYNTAX_UNIX_TIME] = "unix-time", [SYNTAX_PURE_TOKEN] = "pure-token",
                                         [SYNTAX_ONEOF] = "oneof",         [SYNTAX_BLOCK] = "block"};

static void reply_argument_name(struct reply *reply, const struct syntax_argument *argument) {
    char lower[64];
    struct bytes name = argument->name;
    if (argument->type == SYNTAX_PURE_TOKEN && name.len <= sizeof(lower)) {
        for (size_t i = 0; i < name.len; i++) lower[i] = byte_lower(name.data[i]);
        name.data = lower;
    }
    reply_bulk_text(reply, "name");
    reply_bulk(reply, name);
}

static void reply_slice(struct reply *reply, const char *field, struct bytes text) {
    if (text.len == 0) return;
    reply_bulk_text(reply, field);
    reply_bulk(reply, text);
}

/* The list of an argument and its siblings, each with its members. */
static void reply_arguments(struct reply *reply, const struct command *command, const struct syntax *syntax,
                            int16_t first) {
    size_t count = 0;
    for (int16_t i = first; i != SYNTAX_NONE; i = syntax->arguments[i].next) count++;
    reply_array(reply, count);
    for (int16_t i = first; i != SYNTAX_NONE; i = syntax->arguments[i].next) {
        const struct syntax_argument *a = &syntax->arguments[i];
        reply_map(reply, 2 + (size_t)(a->key != SYNTAX_NONE) + (a->token.len > 0) + (a->since.len > 0) +
                             (a->deprecated_since.len > 0) + (a->flags != 0) + (a->child != SYNTAX_NONE));
        reply_argument_name(reply, a);
        reply_field(reply, "type", type_names[a->type]);
        if (a->key != SYNTAX_NONE)
            reply_number(reply, "key_spec_index", command_spec_of_key(command, a->key));
        reply_slice(reply, "token", a->token);
        reply_slice(reply, "since", a->since);
        reply_slice(reply, "deprecated_since", a->deprecated_since);
        if (a->flags) {
            reply_bulk_text(reply, "flags");
            reply_bits(reply, a->flags, syntax_flag_names);
        }
        if (a->child != SYNTAX_NONE) {
            reply_bulk_text(reply, "arguments");
            reply_arguments(reply, command, syntax, a->child);
        }
    }
}

static void reply_history(struct reply *reply, const char *history) {
    struct bytes rest = bytes_of(history);
    reply_bulk_text(reply, "history");
    reply_set(reply, count_parts(history, "\n"));
    while (rest.len) {
        struct bytes text = next_part(&rest, "\n");
        reply_array(reply, 2);
        reply_bulk(reply, next_part(&text, ": "));
        reply_bulk(reply, text);
    }
}

static void reply_doc_flags(struct reply *reply, const struct command *command) {
    bool deprecated = command->deprecated_since, syscmd = command->flags & CMD_SYSCMD;
    if (deprecated || syscmd) {
        reply_bulk_text(reply, "doc_flags");
        reply_set(reply, (size_t)deprecated + syscmd);
        if (deprecated) reply_simple(reply, "deprecated");
        if (syscmd) reply_simple(reply, "syscmd");
    }
    if (!deprecated) return;
    reply_field(reply, "deprecated_since", command->deprecated_since);
    reply_field(reply, "replaced_by", command->replaced_by);
}

/* The name and what there is to read about it: two elements of a map. */
static void reply_docs(struct reply *reply, const struct command *command) {
    static const char *const groups[] = {[GROUP_STRING] = "string",
                                         [GROUP_BITMAP] = "bitmap",
                                         [GROUP_LIST] = "list",
                                         [GROUP_HASH] = "hash",
                                         [GROUP_SET] = "set",
                                         [GROUP_SORTED_SET] = "sorted-set",
                                         [GROUP_GEO] = "geo",
                                         [GROUP_HYPERLOGLOG] = "hyperloglog",
                                         [GROUP_STREAM] = "stream",
                                         [GROUP_GENERIC] = "generic",
                                         [GROUP_GENERIC_PLAIN] = "generic",
                                         [GROUP_TRANSACTIONS] = "transactions",
                                         [GROUP_CONNECTION] = "connection",
                                         [GROUP_SERVER] = "server",
                                         [GROUP_CLUSTER] = "cluster",
                                         [GROUP_PUBSUB] = "pubsub"};
    bool deprecated = command->deprecated_since, syscmd = command->flags & CMD_SYSCMD;
    unsigned subcommands = command_subcommands(command, NULL, 0);
    struct syntax syntax;
    syntax_parse(command->syntax, &syntax); /* known to be well-formed since the table was opened */
    reply_full_name(reply, command);
    reply_map(reply, 3 + (size_t)(command->complexity != NULL) + (deprecated || syscmd) +
                         (deprecated ? 2 : 0) + (command->history != NULL) + (syntax.count > 0) +
                         (subcommands > 0));
    reply_field(reply, "summary", command->summary);
    reply_field(reply, "since", command->since);
    reply_field(reply, "group", groups[command->group]);
    if (command->complexity) reply_field(reply, "complexity", command->complexity);
    reply_doc_flags(reply, command);
    if (command->history) reply_history(reply, command->history);
    if (syntax.count) {
        reply_bulk_text(reply, "arguments");
        reply_arguments(reply, command, &syntax, syntax.first);
    }
    if (subcommands) {
        reply_bulk_text(reply, "subcommands");
        reply_map(reply, subcommands);
    }
    for (unsigned i = 1; i <= subcommands; i++) reply_docs(reply, command_at(command->id + i));
}

static void command_docs(struct call *call) {
    size_t count = 0;
    if (call->argc == 2) {
        reply_map(call->reply, top_level_count());
        for (unsigned i = 0; i < command_count(); i++)
            if (is_top_level(command_at(i))) reply_docs(call->reply, command_at(i));
        return;
    }
    for (uint32_t i = 2; i < call->argc; i++) count += command_find_name(call->argv[i]) != NULL;
    reply_map(call->reply, count);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct command *command = command_find_name(call->argv[i]);
        if (command) reply_docs(call->reply, command);
    }
}
COMMAND(command_docs) = {.container = "command",
                         .name = "docs",
                         .arity = -2,
                         .flags = CMD_LOADING | CMD_STALE,
                         .run = command_docs,
                         .group = GROUP_SERVER,
                         .since = "7.0.0",
                         .complexity = "O(N) where N is the number of commands to look up",
                         .summary = "Get array of specific Redis command documentation",
                         .acl = "connection",
                         .tips = "nondeterministic_output_order",
                         .syntax = "[<command-name> ...]"};

/* ---- COUNT, LIST ---------------------------------------------------------------------------------- */

static void command_count_(struct call *call) {
    reply_int(call->reply, top_level_count());
}
COMMAND(command_count_) = {.container = "command",
                           .name = "count",
                           .arity = 2,
                           .flags = CMD_LOADING | CMD_STALE,
                           .run = command_count_,
                           .group = GROUP_SERVER,
                           .since = "2.8.13",
                           .complexity = "O(1)",
                           .summary = "Get total number of Redis commands",
                           .acl = "connection"};

enum list_filter { FILTER_NONE, FILTER_MODULE, FILTER_CATEGORY, FILTER_PATTERN };

/* What COMMAND LIST is to show. */
struct filter {
    enum list_filter kind;
    struct bytes text; /* the category */
    struct glob glob;  /* the pattern */
};

static bool listed(const struct command *command, const struct filter *filter) {
    char name[COMMAND_FULL_NAME_MAX];
    uint32_t categories = command_categories(command);
    if (command->disabled) return false;
    switch (filter->kind) {
    case FILTER_NONE: return true;
    case FILTER_MODULE: return false; /* there are none */
    case FILTER_CATEGORY:
        for (unsigned i = 0; i < CATEGORY_COUNT; i++)
            if (bytes_equal_nocase(filter->text, bytes_of(command_category_names[i])))
                return categories & 1u << i;
        return false;
    case FILTER_PATTERN:
        return glob_matches(&filter->glob, (struct bytes){name, command_full_name(command, name)});
    }
    return false;
}

static bool filter_or_reply(struct call *call, struct filter *filter) {
    if (call->argc == 5 && bytes_is(call->argv[2], "filterby")) {
        if (bytes_is(call->argv[3], "module"))
            filter->kind = FILTER_MODULE;
        else if (bytes_is(call->argv[3], "aclcat"))
            filter->kind = FILTER_CATEGORY;
        else if (bytes_is(call->argv[3], "pattern"))
            filter->kind = FILTER_PATTERN;
        filter->text = call->argv[4];
    }
    if (call->argc > 2 && filter->kind == FILTER_NONE) {
        call_syntax_error(call);
        return false;
    }
    if (filter->kind != FILTER_PATTERN || glob_compile(&filter->glob, filter->text, true)) return true;
    call_out_of_memory(call);
    return false;
}

static void command_list(struct call *call) {
    struct filter filter = {0};
    size_t count = 0;
    if (!filter_or_reply(call, &filter)) return;
    for (unsigned i = 0; i < command_count(); i++) count += listed(command_at(i), &filter);
    reply_array(call->reply, count);
    for (unsigned i = 0; i < command_count(); i++)
        if (listed(command_at(i), &filter)) reply_full_name(call->reply, command_at(i));
    glob_free(&filter.glob);
}
COMMAND(command_list) = {.container = "command",
                         .name = "list",
                         .arity = -2,
                         .flags = CMD_LOADING | CMD_STALE,
                         .run = command_list,
                         .group = GROUP_SERVER,
                         .since = "7.0.0",
                         .complexity = "O(N) where N is the total number of Redis commands",
                         .summary = "Get an array of Redis command names",
                         .acl = "connection",
                         .tips = "nondeterministic_output_order",
                         .syntax = "[{FILTERBY filterby:({MODULE <module-name>} | {ACLCAT <category>} | "
                                   "{PATTERN <pattern:pattern>})}]"};

/* ---- GETKEYS -------------------------------------------------------------------------------------- */

/* The row of the command that argv[2] begins, if it can have keys and has a right number of arguments; or an error. */
static const struct command *keyed_command_or_reply(struct call *call) {
    bool bad_subcommand;
    const struct command *command = command_find(call->argv + 2, call->argc - 2, &bad_subcommand);
    const char *error = NULL;
    if (!command || bad_subcommand)
        error = "ERR Invalid command specified";
    else if ((!command->keys[0].flags || command->keys[0].flags & KEY_NOT_KEY) && !command->find_keys)
        error = "ERR The command has no key arguments";
    else if (!command_arity_ok(command, call->argc - 2))
        error = "ERR Invalid number of arguments specified for command";
    if (error) reply_error(call->reply, error);
    return error ? NULL : command;
}

static void reply_keys(struct call *call, bool with_flags) {
    const struct bytes *argv = call->argv + 2;
    const struct command *command = keyed_command_or_reply(call);
    if (!command) return;
    struct command_key few[COMMAND_FEW_KEYS];
    int count;
    struct command_key *keys = command_keys_all(command, argv, call->argc - 2, few, &count);
    if (!keys) {
        call_out_of_memory(call);
        return;
    }
    if (count <= 0 && !(command->flags & CMD_NO_MANDATORY_KEYS)) {
        reply_error(call->reply, "ERR Invalid arguments specified for command");
        return;
    }
    reply_array(call->reply, count > 0 ? (size_t)count : 0);
    for (int i = 0; i < count; i++) {
        if (with_flags) reply_array(call->reply, 2);
        reply_bulk(call->reply, argv[keys[i].arg]);
        if (with_flags) reply_bits(call->reply, keys[i].flags, key_flag_names);
    }
    command_keys_free(keys, few);
}

static void command_getkeys(struct call *call) {
    reply_keys(call, false);
}
COMMAND(command_getkeys) = {.container = "command",
                            .name = "getkeys",
                            .arity = -4,
                            .flags = CMD_LOADING | CMD_STALE,
                            .run = command_getkeys,
                            .group = GROUP_SERVER,
                            .since = "2.8.13",
                            .complexity = "O(N) where N is the number of arguments to the command",
                            .summary = "Extract keys given a full Redis command",
                            .acl = "connection"};

static void command_getkeysandflags(struct call *call) {
    reply_keys(call, true);
}
COMMAND(command_getkeysandflags) = {.container = "command",
                                    .name = "getkeysandflags",
                                    .arity = -4,
                                    .flags = CMD_LOADING | CMD_STALE,
                                    .run = command_getkeysandflags,
                                    .group = GROUP_SERVER,
                                    .since = "7.0.0",
                                    .complexity = "O(N) where N is the number of arguments to the command",
                                    .summary = "Extract keys and access flags given a full Redis command",
                                    .acl = "connection"};

/* ---- HELP ----------------------------------------------------------------------------------------- */

static void command_help(struct call *call) {
    static const char *const lines[] = {
        "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "(no subcommand)",
        "    Return details about all Redis commands.",
        "COUNT",
        "    Return the total number of commands in this Redis server.",
        "LIST",
        "    Return a list of all commands in this Redis server.",
        "INFO [<command-name> ...]",
        "    Return details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "DOCS [<command-name> ...]",
        "    Return documentation details about multiple Redis commands.",
        "    If no command names are given, documentation details for all",
        "    commands are returned.",
        "GETKEYS <full-command>",
        "    Return the keys from a full Redis command.",
        "GETKEYSANDFLAGS <full-command>",
        "    Return the keys and the access flags from a full Redis command.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(command_help) = {.container = "command",
                         .name = "help",
                         HELP_ROW,
                         .run = command_help,
                         .group = GROUP_SERVER,
                         .since = "5.0.0",
                         .acl = "connection"};
