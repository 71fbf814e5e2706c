/* command.h - the rows of the command table.
 *
 * A command is one row, written right below its handler:
 *
 *     static void get(struct call *call) { ... }
 *     COMMAND(get) = {
 *         .name = "get",
 *         .arity = 2,
 *         .flags = CMD_READONLY | CMD_FAST,
 *         .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
 *         .run = get,
 *         .group = GROUP_STRING,
 *         .since = "1.0.0",
 *         .complexity = "O(1)",
 *         .summary = "...",
 *         .syntax = "<key>",
 *     };
 *
 * The macro puts the row into a linker section, so a new command touches one file. command_table_open
 * verifies every row at start (and in a test): names, arity against syntax, key specs, flags. Everything that
 * COMMAND, ACLs, lock sets and redis-cli's hints say comes from these rows and from command_keys. */
#ifndef KEVY_SERVER_CALL_COMMAND_H
#define KEVY_SERVER_CALL_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "server/limits.h"

struct call;
struct keyspace;
struct value;

/* What dispatch must know. The first group carries Redis's names in COMMAND INFO. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READONLY = 1 << 1,
    CMD_DENYOOM = 1 << 2,
    CMD_ADMIN = 1 << 3,
    CMD_NOSCRIPT = 1 << 4,
    CMD_BLOCKING = 1 << 5,
    CMD_LOADING = 1 << 6,
    CMD_STALE = 1 << 7,
    CMD_SKIP_MONITOR = 1 << 8,
    CMD_SKIP_SLOWLOG = 1 << 9,
    CMD_FAST = 1 << 10,
    CMD_NO_AUTH = 1 << 11, /* allowed before AUTH */
    CMD_MAY_REPLICATE = 1 << 12,
    CMD_NO_MULTI = 1 << 13, /* refused inside MULTI */
    CMD_NO_MANDATORY_KEYS = 1 << 14,
    CMD_ALLOW_BUSY = 1 << 15,
    CMD_PUBSUB = 1 << 16,
    CMD_NO_ASYNC_LOADING = 1 << 17,
    CMD_MOVABLE_KEYS = 1 << 18, /* keys are found by .find_keys, not by the specs alone */
    /* kevy's own. */
    CMD_FEEDS = 1 << 19, /* may create what somebody waits for; set by command_table_open, never by a row */
    CMD_ALL_STRIPES = 1 << 20, /* runs with every stripe locked: FLUSHALL, KEYS, DBSIZE, SWAPDB ... */
    CMD_IMMEDIATE = 1 << 21,   /* runs at once inside MULTI: EXEC, DISCARD, MULTI, WATCH, QUIT, RESET */
    CMD_NO_PAUSE = 1 << 22,    /* runs also while CLIENT PAUSE holds everything back: CLIENT itself */
    CMD_SLOW_CLOCK = 1 << 23,  /* may take long or sleep: the cached clock is read again afterwards */
    CMD_LOCKS_QUEUE = 1 << 24, /* runs with the stripes of the client's queued and watched keys locked: EXEC,
                                  DISCARD, UNWATCH ... */
    CMD_BOUNDED = 1 << 25, /* its time is bounded by the request's size, as with CMD_FAST: not timed alone */
    CMD_SYSCMD = 1 << 26,  /* COMMAND DOCS calls it "syscmd" */
    CMD_RUNS_QUEUE = 1 << 27,   /* ends the transaction also when it is refused: EXEC */
    CMD_MORE_STRIPES = 1 << 29, /* looks at stripes that its arguments do not name, by call_walk or call_want;
                                   in a transaction it finds all of them locked: SCAN, RANDOMKEY */
    CMD_PROTECTED = 1 << 30,    /* only where the configuration enables it: DEBUG */
    CMD_CONTAINER = 1 << 28,    /* has subcommands; set by command_table_open, never by a row */
};

enum command_group {
    GROUP_STRING,
    GROUP_BITMAP,
    GROUP_LIST,
    GROUP_HASH,
    GROUP_SET,
    GROUP_SORTED_SET,
    GROUP_GEO,
    GROUP_HYPERLOGLOG,
    GROUP_STREAM,
    GROUP_GENERIC,
    GROUP_GENERIC_PLAIN, /* generic, for COMMAND DOCS; but not in the category keyspace */
    GROUP_TRANSACTIONS,
    GROUP_CONNECTION,
    GROUP_SERVER,
    GROUP_CLUSTER,
    GROUP_PUBSUB,
    GROUP_COUNT
};

/* Key specs, as COMMAND DOCS and COMMAND INFO describe them (Redis 7 "key specifications"). */
enum key_flag {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3, /* one of these */
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};
struct key_spec {
    uint32_t flags; /* 0: no spec */
    int16_t first;  /* argument number of the first key */
    int16_t last;   /* of the last, or negative: counted from the end (-1 = the last argument), relative to no
                       one */
    int16_t step;   /* arguments from key to key */
    int16_t numkeys; /* keynum specs: argument that holds the number of keys; `first` follows it. 0: a range
                        spec */
    /* The key stands behind this word, which comes as argument `first` or later; "": nobody knows where, or which keys these
     * are. NULL: one of the specs above. A row with such a spec has .find_keys. */
    const char *keyword;
    const char *note;
    uint32_t limit; /* behind a keyword: 2 where the first half of what stands there is keys */
};
#define KEY(first_, flags_)                                                                                  \
    { .flags = (flags_), .first = (first_), .last = (first_), .step = 1 }
#define KEYS(first_, last_, step_, flags_)                                                                   \
    { .flags = (flags_), .first = (first_), .last = (last_), .step = (step_) }
#define KEYS_COUNTED(count_at, step_, flags_)                                                                \
    { .flags = (flags_), .first = (count_at) + 1, .last = -1, .step = (step_), .numkeys = (count_at) }

#define KEY_BEHIND(keyword_, first_, flags_)                                                                 \
    { .flags = (flags_), .first = (first_), .last = (first_), .step = 1, .keyword = (keyword_) }
#define KEYS_BEHIND_BY_HALF(keyword_, first_, flags_)                                                        \
    { .flags = (flags_), .first = (first_), .last = -1, .step = 1, .keyword = (keyword_), .limit = 2 }
#define KEY_SOMEWHERE(flags_, note_)                                                                         \
    { .flags = (flags_), .keyword = "", .note = (note_) }

enum { COMMAND_MAX_KEY_SPECS = 3 };

struct command_key { /* one key argument, as command_keys finds it */
    uint32_t arg;
    uint32_t flags;
};

/* Requests of one command that are about to run one behind the other, all of one key, whose value is an object. */
enum { COMMAND_AHEAD_MOST = 16, COMMAND_GUESSES = 3 };
struct command_ahead {
    const struct keyspace *keyspace;
    const struct value *value;
    const struct bytes *argvs[COMMAND_AHEAD_MOST]; /* of as many arguments as the row's arity says, or more */
    unsigned count;
    /* COMMAND_GUESSES a request, which finds them at call->guesses; none is known yet. */
    struct tree_guess *guesses;
};

struct command {
    const char *name; /* lower case */
    int arity;        /* arguments with the name; negative: at least that many */
    uint32_t flags;
    struct key_spec keys[COMMAND_MAX_KEY_SPECS];
    /* Movable keys: writes at most `max` of them, returns how many there are, or -1 for a syntax error. */
    int (*find_keys)(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max);
    /* Of a command that is neither fast nor bounded, or that may wait: is this request of it bounded, and waits for
     * nothing? Then it may take the quick way. NULL: no. */
    bool (*is_quick)(const struct bytes *argv, uint32_t argc);
    /* An argument that is no key, but is hashed and has its stripe locked as if it were: so a channel costs what a key
     * does. Such a row has no keys. */
    uint32_t hashed;
    void (*run)(struct call *call); /* NULL for a container whose subcommands do the work */
    /* Asks the memory for what these requests will look at, so that they wait for it together and not one by one. The
     * lock of the stripe is held. NULL: nothing of that can be known. */
    void (*ahead)(const struct command_ahead *ahead);
    /* A subcommand of this container row: "client" in COMMAND(client_id); its .name is "id". */
    const char *container;
    enum command_group group;
    const char *since, *complexity, *summary;
    const char *acl;     /* categories beyond those that flags and group imply: "dangerous connection" */
    const char *tips;    /* of COMMAND INFO: "nondeterministic_output,request_policy:all_shards" */
    const char *history; /* "6.2.0: Added the GET option.\n7.0.0: ..." or NULL */
    const char *deprecated_since, *replaced_by; /* "6.2.0", "`SET` with the `!GET` argument"; or both NULL */
    /* Arguments for COMMAND DOCS and hints; grammar in server/call/syntax.h. */
    const char *syntax;

    /* Given by command_table_open. */
    uint32_t id; /* index into per-command counters */
    uint32_t
        lone_key; /* the one argument that is a key or .hashed, where that is fixed (GET: 1); 0: ask command_keys */
    uint32_t gates; /* bits of those that concern it: server/call/gate.h */

    /* Written by command_set_name. */
    bool renamed;  /* not found by its own name */
    bool disabled; /* found by no name; so are the subcommands of such a container */
};

#define COMMAND(ident)                                                                                       \
    static struct command command_##ident;                                                                   \
    static struct command *const command_row_##ident                                                         \
        __attribute__((section("commands"), used)) = &command_##ident;                                       \
    static struct command command_##ident

/* Checks and numbers the rows and builds the lookup table. NULL, or an error text naming the row. Call
 * once, before threads. */
const char *command_table_open(void);
/* What is wrong with this row alone, or NULL: the part of command_table_open that tests feed with bad rows. */
const char *command_check_row(const struct command *command);

/* From now on the command that `from` finds is found by the name `to`, which may be any bytes, and no longer by `from`;
 * by no name at all where `to` is empty. What rows say of themselves stays: errors, COMMAND and INFO show the first name,
 * as in Redis. NULL, or an error text, and then the table may have changed: before threads, and fatal. */
const char *command_set_name(struct bytes from, struct bytes to);

unsigned command_count(void); /* rows, subcommands and disabled ones included */
/* Rows in order of their names, a container right before its subcommands. */
const struct command *command_at(unsigned id);
/* Writes at most `max` of the container's subcommands, returns how many there are. */
unsigned command_subcommands(const struct command *container, const struct command **list, unsigned max);

/* ACL categories, in Redis's order. */
enum command_category {
    CATEGORY_KEYSPACE,
    CATEGORY_READ,
    CATEGORY_WRITE,
    CATEGORY_SET,
    CATEGORY_SORTEDSET,
    CATEGORY_LIST,
    CATEGORY_HASH,
    CATEGORY_STRING,
    CATEGORY_BITMAP,
    CATEGORY_HYPERLOGLOG,
    CATEGORY_GEO,
    CATEGORY_STREAM,
    CATEGORY_PUBSUB,
    CATEGORY_ADMIN,
    CATEGORY_FAST,
    CATEGORY_SLOW,
    CATEGORY_BLOCKING,
    CATEGORY_DANGEROUS,
    CATEGORY_CONNECTION,
    CATEGORY_TRANSACTION,
    CATEGORY_SCRIPTING,
    CATEGORY_COUNT
};
extern const char *const command_category_names[CATEGORY_COUNT];
/* The categories that flags and group imply and those of .acl: bits 1 << CATEGORY_*. */
uint32_t command_categories(const struct command *command);

/* The row for a request: the name is argv[0], and argv[1] where the row is a container. NULL: no such
 * command. A container row itself comes back when argv[1] is missing, or names no subcommand: *bad_subcommand
 * (which is written in every case) tells the latter. */
const struct command *command_find(const struct bytes *argv, uint32_t argc, bool *bad_subcommand);
/* The same by the names that rows have where none was renamed: as the server itself records what a command has done. */
const struct command *command_find_own(const struct bytes *argv, uint32_t argc, bool *bad_subcommand);
/* "get", "config" or "config|get", in any case. NULL: no such command. */
const struct command *command_find_name(struct bytes name);
/* "config|get" for subcommands; dst: COMMAND_FULL_NAME_MAX bytes, no NUL is written. Returns the length. */
enum { COMMAND_NAME_MAX = 31, COMMAND_FULL_NAME_MAX = 64 };
size_t command_full_name(const struct command *command, char *dst);

static inline bool command_arity_ok(const struct command *command, uint32_t argc) {
    return command->arity >= 0 ? argc == (uint32_t)command->arity : argc >= (uint32_t)-command->arity;
}

/* The one key-extraction function: locks, ACLs, COMMAND GETKEYS and cluster slots all ask here. Writes at most
 * `max` keys, returns how many there are (which may be more than max), or -1 if the arguments make no sense. */
int command_keys(const struct command *command, const struct bytes *argv, uint32_t argc,
                 struct command_key *keys, uint32_t max);
/* All of them, in `few` if these suffice: *count says how many, or -1 as above. NULL without memory. */
enum { COMMAND_FEW_KEYS = 16 };
struct command_key *command_keys_all(const struct command *command, const struct bytes *argv, uint32_t argc,
                                     struct command_key few[COMMAND_FEW_KEYS], int *count);
void command_keys_free(struct command_key *keys, const struct command_key *few);
/* The spec that the syntax's key number `key` (from 0) belongs to. */
int command_spec_of_key(const struct command *command, int key);

#endif
