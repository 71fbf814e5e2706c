/* command.c - the command table: checked at start, looked up for every request.
 *
 * DESIGN. The rows lie scattered over server/commands; pointers to them lie side by side in the linker
 * section `commands`. At start they are checked, sorted by name (subcommands behind their container) and
 * numbered.
 *
 * Lookup packs a name, lower-cased, into one word, or from eight bytes on into its first eight and its last
 * eight, which overlap up to 16 bytes; together with the length they then say everything. They are hashed by
 * one multiplication into an open-addressing table, whose multiplier is searched for at start until every
 * name lies within one slot of its place. So a hit costs two loads, one multiplication and one slot of half a
 * cache line; no byte of the row's own name is read. A subcommand is a name in the same table, told apart by
 * its container's number.
 *
 * Names that rename-command gives are a list, which is searched where nothing else was found: they are few, and may
 * be longer than any name of ours. */
#include "server/call/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "protocol/load.h"
#include "protocol/number.h"
#include "server/call/gate.h"
#include "server/call/syntax.h"
#include "server/missing.h"

enum { SLOT_BITS = 10, SLOTS = 1 << SLOT_BITS, ERROR_SIZE = 256 };
_Static_assert(SLOTS >= 2 * MAX_COMMANDS,
               "the lookup table is at most half full, so that a search ends soon");
_Static_assert(2 * COMMAND_NAME_MAX + 1 < COMMAND_FULL_NAME_MAX, "container, bar and name fit");

extern struct command *const __start_commands[];
extern struct command *const __stop_commands[];

/* A name as the lookup sees it. */
struct name {
    uint64_t head, tail; /* lower-cased bytes */
    uint64_t tag;        /* length, and above it 1 + the container's id, or 0 */
};
struct slot {
    struct name name;
    const struct command *command; /* NULL: free */
};

/* Names of one to SHORT_NAME_MAX letters, which is what busy traffic consists of: one word says it all. */
enum { SHORT_NAME_MAX = 7, SHORT_BITS = 10, SHORT_SLOTS = 1 << SHORT_BITS };
_Static_assert(SHORT_SLOTS >= 2 * MAX_COMMANDS, "as above");
struct short_slot {
    uint64_t word; /* 0: free */
    const struct command *command;
};

static struct {
    struct short_slot shorts[SHORT_SLOTS] __attribute__((aligned(64)));
    struct command *rows[MAX_COMMANDS];
    unsigned count;
    uint64_t multiplier;
    struct slot slots[SLOTS] __attribute__((aligned(64)));
} table;

struct new_name {
    struct bytes text; /* malloc'd */
    const struct command *command;
};
static struct {
    struct new_name *list; /* malloc'd */
    unsigned count;
} new_names;

static char error_text[ERROR_SIZE];

/* ---- Lookup --------------------------------------------------------------------------------------- */

/* Lower-cases the eight ASCII letters of a word at once: the high bit of `from_a` is set in bytes from 'A'
 * on, that of `above_z` in bytes above 'Z', and bytes that have a high bit of their own are no letters. */
static inline uint64_t lower8(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t low = word & ~high;
    uint64_t from_a = low + (0x80 - 'A') * ones, above_z = low + (0x7f - 'Z') * ones;
    return word | ((from_a ^ above_z) & ~word & high) >> 2;
}

/* False for names that no row can have. */
static inline bool name_pack(struct bytes text, uint64_t container, struct name *name) {
    const char *at = text.data;
    size_t len = text.len;
    if (len - 1 >= COMMAND_NAME_MAX) return false; /* none, or too long */
    name->tail = 0;
    if (len >= 8) {
        name->head = load_u64(at), name->tail = lower8(load_u64(at + len - 8));
    } else if (len >= 4) {
        name->head = load_u32(at) | (uint64_t)load_u32(at + len - 4) << 32;
    } else {
        name->head = (uint64_t)(uint8_t)at[0] | (uint64_t)(uint8_t)at[len / 2] << 8 |
                     (uint64_t)(uint8_t)at[len - 1] << 16;
    }
    name->head = lower8(name->head);
    name->tag = container << 8 | len;
    return true;
}

/* Any mixture would do that does not lay the same bytes of head and tail over each other, for names repeat
 * themselves: so the tail is turned by 23 bits, which is no multiple of 8. The tag is small and goes high up. */
static inline uint32_t name_place(const struct name *name, uint64_t multiplier) {
    uint64_t mixed = name->head ^ (name->tail << 23 | name->tail >> 41) ^ name->tag << 45;
    return (uint32_t)(mixed * multiplier >> (64 - SLOT_BITS));
}

static inline bool name_equal(const struct name *a, const struct name *b) {
    return ((a->head ^ b->head) | (a->tail ^ b->tail) | (a->tag ^ b->tag)) == 0;
}

static inline const struct command *table_find(struct bytes text, uint64_t container) {
    struct name name;
    if (!name_pack(text, container, &name)) return NULL;
    for (uint32_t i = name_place(&name, table.multiplier);; i = (i + 1) & (SLOTS - 1)) {
        const struct slot *slot = &table.slots[i];
        if (name_equal(&slot->name, &name) &&
            (text.len <= 16 || bytes_equal_nocase(text, bytes_of(slot->command->name))))
            return slot->command;
        if (!slot->command) return NULL;
    }
}

static struct new_name *new_name_find(struct bytes text) {
    for (unsigned i = 0; i < new_names.count; i++)
        if (bytes_equal_nocase(text, new_names.list[i].text)) return &new_names.list[i];
    return NULL;
}

/* A command, by the name that it has now. */
static const struct command *top_find(struct bytes text) {
    const struct command *command = table_find(text, 0);
    const struct new_name *renamed = command ? NULL : new_name_find(text);
    return renamed ? renamed->command : command;
}

/* The letters in lower case, and the length above them. Setting bit 5 makes a lower-case letter out of letters alone, so
 * no other name gets the word of a row whose name is all letters. */
static inline uint64_t short_word(struct bytes text) {
    const char *at = text.data;
    size_t len = text.len;
    uint64_t word = len >= 4 ? load_u32(at) | (uint64_t)load_u32(at + len - 4) << (8 * (len - 4))
                             : (uint64_t)(uint8_t)at[0] | (uint64_t)(uint8_t)at[len / 2] << 8 |
                                   (uint64_t)(uint8_t)at[len - 1] << 16;
    return word | 0x20202020202020 | (uint64_t)len << 56;
}

static inline uint32_t short_place(uint64_t word) {
    return (uint32_t)(word * 0x9e3779b97f4a7c15u >> (64 - SHORT_BITS));
}

static inline const struct command *short_find(struct bytes text) {
    if (text.len - 1 >= SHORT_NAME_MAX) return NULL;
    uint64_t word = short_word(text);
    const struct short_slot *slot = &table.shorts[short_place(word)];
    for (; slot->word; slot = slot == &table.shorts[SHORT_SLOTS - 1] ? table.shorts : slot + 1)
        if (slot->word == word) return slot->command;
    return NULL;
}

static void short_add(const struct command *command) {
    struct bytes name = bytes_of(command->name);
    if (name.len > SHORT_NAME_MAX || command->container || command->flags & CMD_CONTAINER || command->renamed)
        return;
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < 'a' || name.data[i] > 'z') return;
    uint64_t word = short_word(name);
    uint32_t i = short_place(word);
    while (table.shorts[i].word) i = (i + 1) % SHORT_SLOTS;
    table.shorts[i] = (struct short_slot){word, command};
}

/* That of a container, if it is one; else the command itself. */
static const struct command *with_subcommand(const struct command *command, const struct bytes *argv,
                                             uint32_t argc, bool *bad_subcommand) {
    if (!(command->flags & CMD_CONTAINER) || argc == 1) return command;
    const struct command *sub = table_find(argv[1], command->id + 1);
    *bad_subcommand = !sub;
    return sub ? sub : command;
}

static __attribute__((noinline)) const struct command *long_find(const struct bytes *argv, uint32_t argc,
                                                                 bool *bad_subcommand) {
    const struct command *command = top_find(argv[0]);
    return command ? with_subcommand(command, argv, argc, bad_subcommand) : NULL;
}

const struct command *command_find(const struct bytes *argv, uint32_t argc, bool *bad_subcommand) {
    const struct command *command = short_find(argv[0]);
    *bad_subcommand = false;
    return __builtin_expect(command != NULL, 1) ? command : long_find(argv, argc, bad_subcommand);
}

const struct command *command_find_own(const struct bytes *argv, uint32_t argc, bool *bad_subcommand) {
    *bad_subcommand = false;
    for (unsigned i = 0; i < table.count; i++) {
        const struct command *command = table.rows[i];
        if (command->container || !bytes_equal_nocase(argv[0], bytes_of(command->name))) continue;
        return with_subcommand(command, argv, argc, bad_subcommand);
    }
    return NULL;
}

const struct command *command_find_name(struct bytes name) {
    const char *bar = name.len ? memchr(name.data, '|', name.len) : NULL;
    const struct command *container;
    if (!bar) return top_find(name);
    size_t len = (size_t)(bar - name.data);
    container = top_find((struct bytes){name.data, len});
    return container ? table_find((struct bytes){bar + 1, name.len - len - 1}, container->id + 1) : NULL;
}

size_t command_full_name(const struct command *command, char *dst) {
    size_t len = 0;
    if (command->container) {
        len = strlen(command->container);
        memcpy(dst, command->container, len);
        dst[len++] = '|';
    }
    memcpy(dst + len, command->name, strlen(command->name));
    return len + strlen(command->name);
}

unsigned command_count(void) {
    return table.count;
}

const struct command *command_at(unsigned id) {
    return table.rows[id];
}

unsigned command_subcommands(const struct command *container, const struct command **list, unsigned max) {
    unsigned n = 0;
    if (!(container->flags & CMD_CONTAINER)) return 0;
    for (unsigned i = container->id + 1; i < table.count && table.rows[i]->container; i++, n++)
        if (n < max) list[n] = table.rows[i];
    return n;
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* The arguments first, first + step, ... last of one spec. False if the request has no such arguments. */
struct key_range {
    uint32_t first, last, step;
    bool empty;
};
static bool spec_range(const struct key_spec *spec, const struct bytes *argv, uint32_t argc,
                       struct key_range *range) {
    *range = (struct key_range){(uint32_t)spec->first, 0, (uint32_t)spec->step, false};
    if (spec->numkeys) {
        int64_t count;
        if ((uint32_t)spec->numkeys >= argc || !number_parse_i64(argv[spec->numkeys], &count) || count < 0)
            return false;
        range->empty = count == 0;
        if (range->empty) return true;
        if (range->first >= argc || (uint64_t)count - 1 > (argc - 1 - range->first) / range->step)
            return false;
        range->last = range->first + (uint32_t)(count - 1) * range->step;
        return true;
    }
    if (spec->last < 0 && (uint32_t)-spec->last > argc) return false;
    range->last = spec->last < 0 ? argc - (uint32_t)-spec->last : (uint32_t)spec->last;
    return range->last < argc && range->first <= range->last;
}

static int keys_by_specs(const struct command *command, const struct bytes *argv, uint32_t argc,
                         struct command_key *keys, uint32_t max) {
    uint32_t n = 0;
    for (int s = 0; s < COMMAND_MAX_KEY_SPECS && command->keys[s].flags; s++) {
        const struct key_spec *spec = &command->keys[s];
        struct key_range range;
        if (spec->flags & KEY_NOT_KEY) continue;
        if (!spec_range(spec, argv, argc, &range)) return -1;
        if (range.empty && !(command->flags & CMD_NO_MANDATORY_KEYS)) return -1;
        for (uint32_t arg = range.first; !range.empty && arg <= range.last; arg += range.step, n++)
            if (n < max) keys[n] = (struct command_key){arg, spec->flags};
        if (spec->flags & KEY_INCOMPLETE) return -1;
    }
    return (int)n;
}

int command_keys(const struct command *command, const struct bytes *argv, uint32_t argc,
                 struct command_key *keys, uint32_t max) {
    bool doubtful = false; /* specs that do not say everything give way to find_keys */
    for (int s = 0; s < COMMAND_MAX_KEY_SPECS; s++)
        doubtful |= command->keys[s].flags & (KEY_INCOMPLETE | KEY_VARIABLE_FLAGS) ||
                    command->keys[s].keyword;
    if (command->find_keys && (doubtful || !command->keys[0].flags))
        return command->find_keys(argv, argc, keys, max);
    int n = keys_by_specs(command, argv, argc, keys, max);
    return n < 0 && command->find_keys ? command->find_keys(argv, argc, keys, max) : n;
}

struct command_key *command_keys_all(const struct command *command, const struct bytes *argv, uint32_t argc,
                                     struct command_key few[COMMAND_FEW_KEYS], int *count) {
    *count = command_keys(command, argv, argc, few, COMMAND_FEW_KEYS);
    if (*count <= COMMAND_FEW_KEYS) return few;
    struct command_key *keys = malloc((size_t)*count * sizeof *keys);
    if (keys) command_keys(command, argv, argc, keys, (uint32_t)*count);
    return keys;
}

void command_keys_free(struct command_key *keys, const struct command_key *few) {
    if (keys != few) free(keys);
}

/* How many arguments of a syntax may be keys of this spec: each one of LCS's fixed two, one for all of MGET's. */
static int named_keys(const struct key_spec *spec) {
    return spec->numkeys || spec->keyword || spec->last < spec->first
               ? 1
               : (spec->last - spec->first) / spec->step + 1;
}

int command_spec_of_key(const struct command *command, int key) {
    int s = 0;
    while (s < COMMAND_MAX_KEY_SPECS && command->keys[s].flags && key >= named_keys(&command->keys[s]))
        key -= named_keys(&command->keys[s++]);
    return s;
}

/* ---- ACL categories ------------------------------------------------------------------------------- */

const char *const command_category_names[CATEGORY_COUNT] = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};

enum { CATEGORY_UNKNOWN = 1 << CATEGORY_COUNT };

static uint32_t acl_word(struct bytes word) {
    uint32_t i = 0;
    while (i < CATEGORY_COUNT && !bytes_equal(word, bytes_of(command_category_names[i]))) i++;
    return 1u << i;
}

static uint32_t acl_words(const char *words) {
    uint32_t categories = 0;
    while (words && *words) {
        size_t len = strcspn(words, " ");
        categories |= acl_word((struct bytes){words, len});
        words += len + (words[len] == ' ');
    }
    return categories;
}

uint32_t command_categories(const struct command *command) {
    static const struct {
        uint32_t flag, categories;
    } implied[] = {{CMD_WRITE, 1 << CATEGORY_WRITE},
                   {CMD_READONLY, 1 << CATEGORY_READ},
                   {CMD_ADMIN, 1 << CATEGORY_ADMIN | 1 << CATEGORY_DANGEROUS},
                   {CMD_PUBSUB, 1 << CATEGORY_PUBSUB},
                   {CMD_BLOCKING, 1 << CATEGORY_BLOCKING}};
    static const uint32_t of_group[] = {[GROUP_STRING] = 1 << CATEGORY_STRING,
                                        [GROUP_BITMAP] = 1 << CATEGORY_BITMAP,
                                        [GROUP_LIST] = 1 << CATEGORY_LIST,
                                        [GROUP_HASH] = 1 << CATEGORY_HASH,
                                        [GROUP_SET] = 1 << CATEGORY_SET,
                                        [GROUP_SORTED_SET] = 1 << CATEGORY_SORTEDSET,
                                        [GROUP_GEO] = 1 << CATEGORY_GEO,
                                        [GROUP_HYPERLOGLOG] = 1 << CATEGORY_HYPERLOGLOG,
                                        [GROUP_STREAM] = 1 << CATEGORY_STREAM,
                                        [GROUP_GENERIC] = 1 << CATEGORY_KEYSPACE,
                                        [GROUP_GENERIC_PLAIN] = 0,
                                        [GROUP_TRANSACTIONS] = 1 << CATEGORY_TRANSACTION,
                                        [GROUP_CONNECTION] = 1 << CATEGORY_CONNECTION,
                                        [GROUP_SERVER] = 0,
                                        [GROUP_CLUSTER] = 0,
                                        [GROUP_PUBSUB] = 0};
    uint32_t categories = acl_words(command->acl);
    for (size_t i = 0; i < sizeof(implied) / sizeof(*implied); i++)
        if (command->flags & implied[i].flag) categories |= implied[i].categories;
    categories |= command->flags & CMD_FAST ? 1 << CATEGORY_FAST : 1 << CATEGORY_SLOW;
    return command->run ? categories | of_group[command->group]
                        : categories; /* a mere container does nothing */
}

/* ---- Checks --------------------------------------------------------------------------------------- */

static const char *bad_row(const struct command *command, const char *what) {
    snprintf(error_text, sizeof(error_text), "command row '%s%s%s': %s",
             command->container ? command->container : "", command->container ? "|" : "",
             command->name ? command->name : "?", what);
    return error_text;
}

static bool is_name(const char *name) {
    size_t len = strlen(name);
    return len > 0 && len <= COMMAND_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == len;
}

static bool is_version(const char *text) {
    return text && *text && strspn(text, "0123456789.") == strlen(text);
}

static bool is_text(const char *text) {
    return text && *text && !strpbrk(text, "\r\n");
}

/* Keys up to the end that may all be left out, with which Redis's own documentation does not agree: PFMERGE's sources. */
static bool is_optional(const struct command *command, const struct key_spec *spec) {
    return !spec->numkeys && !spec->keyword && spec->last < 0 && spec->first == -command->arity;
}

static const char *check_spec(const struct command *command, const struct key_spec *spec) {
    int least = abs(command->arity), own = command->container ? 2 : 1;
    uint32_t access = spec->flags & (KEY_RO | KEY_RW | KEY_OW | KEY_RM);
    if (spec->flags == KEY_NOT_KEY)
        return spec->first < own || spec->step < 1 ? "a spec begins at the name or has no step" : NULL;
    if (!access || (access & (access - 1))) return "a key spec needs exactly one of RO, RW, OW, RM";
    if (access != KEY_RO && !(command->flags & CMD_WRITE) && !spec->note)
        return "a key spec that writes needs CMD_WRITE, or a note";
    if (spec->keyword) return command->find_keys ? NULL : "a key spec with a keyword needs find_keys";
    if (spec->first < own || spec->step < 1) return "a key spec begins at the name or has no step";
    if (spec->numkeys) {
        if (spec->numkeys < own || spec->first <= spec->numkeys)
            return "a counted key spec begins at its count";
        return spec->numkeys < least ? NULL : "a key count lies beyond the arity";
    }
    if (spec->first >= least && !is_optional(command, spec)) return "a key lies beyond the arity";
    if (spec->last >= 0 && (spec->last < spec->first || spec->last >= least))
        return "a last key is out of place";
    return NULL;
}

static const char *check_specs(const struct command *command) {
    bool ended = false;
    if (command->hashed && (command->find_keys || command->keys[0].flags & ~(uint32_t)KEY_NOT_KEY))
        return "a row with .hashed has no keys";
    if (command->hashed >= (uint32_t)abs(command->arity)) return ".hashed lies beyond the arity";
    for (int s = 0; s < COMMAND_MAX_KEY_SPECS; s++) {
        const struct key_spec *spec = &command->keys[s];
        const char *error = NULL;
        if (ended && spec->flags) return "key specs have a gap";
        ended = !spec->flags;
        if (!ended && (error = check_spec(command, spec))) return error;
        if ((spec->flags & KEY_INCOMPLETE) && !command->find_keys)
            return "an incomplete key spec needs find_keys";
    }
    return NULL;
}

static const char *check_syntax(const struct command *command) {
    struct syntax syntax;
    const char *error = syntax_parse(command->syntax, &syntax);
    bool fixed;
    if (error) return error;
    int least = (int)syntax_least(&syntax, &fixed) + (command->container ? 2 : 1), specs = 0;
    if (command->arity > 0 && command->syntax && (!fixed || least != command->arity))
        return "syntax and arity disagree";
    for (int s = 0; s < COMMAND_MAX_KEY_SPECS && command->keys[s].flags; s++) {
        specs += named_keys(&command->keys[s]);
        least -= is_optional(command, &command->keys[s]);
    }
    if (command->arity < 0 && least > -command->arity) return "syntax asks for more arguments than arity";
    return syntax.keys <= specs || command->find_keys ? NULL
                                                      : "syntax has more keys than there are key specs";
}

static const char *check_docs(const struct command *command) {
    if (!is_version(command->since)) return "no version in .since";
    if (!is_text(command->summary)) return "no .summary, or with a line break";
    /* Redis itself states none for LOLWUT and MONITOR. */
    if (command->complexity ? !is_text(command->complexity) : command->run && command->group != GROUP_SERVER)
        return "no .complexity, or with a line break";
    if (!command->deprecated_since != !command->replaced_by)
        return ".deprecated_since and .replaced_by go together";
    if (acl_words(command->acl) & CATEGORY_UNKNOWN) return "unknown category in .acl";
    return NULL;
}

const char *command_check_row(const struct command *command) {
    const uint32_t both = CMD_WRITE | CMD_READONLY;
    const char *error;
    if (!command->name || !is_name(command->name)) return bad_row(command, "bad name");
    if (command->container && !is_name(command->container)) return bad_row(command, "bad container");
    if (command->container ? abs(command->arity) < 2 : command->arity == 0)
        return bad_row(command, "bad arity");
    if (command->container && !command->run) return bad_row(command, "a subcommand without .run");
    if (command->group >= GROUP_COUNT) return bad_row(command, "unknown group");
    if ((command->flags & both) == both) return bad_row(command, "both CMD_WRITE and CMD_READONLY");
    if ((error = check_specs(command)) || (error = check_docs(command)) || (error = check_syntax(command)))
        return bad_row(command, error);
    return NULL;
}

/* ---- Opening -------------------------------------------------------------------------------------- */

/* By command, then its subcommands: "client" < "client|id" < "client-x". */
static int row_order(const void *a, const void *b) {
    const struct command *x = *(struct command *const *)a, *y = *(struct command *const *)b;
    int order = strcmp(x->container ? x->container : x->name, y->container ? y->container : y->name);
    if (order) return order;
    return strcmp(x->container ? x->name : "", y->container ? y->name : "");
}

/* Whether COMMAND INFO's first, last and step miss keys, as Redis decides it: anything but plain ranges
 * side by side. */
static bool has_movable_keys(const struct command *command) {
    const struct key_spec *specs = command->keys;
    int previous = 0;
    bool alone = specs[0].flags && !specs[1].flags;
    if (command->find_keys && !specs[0].flags) return true;
    for (int s = 0; s < COMMAND_MAX_KEY_SPECS && specs[s].flags; s++) {
        if (specs[s].numkeys || specs[s].keyword || (specs[s].flags & KEY_INCOMPLETE)) return true;
        if (!alone && (specs[s].step != 1 || (previous && previous != specs[s].first - 1))) return true;
        previous = specs[s].last;
    }
    return false;
}

/* May it create keys of types that clients wait for? What makes strings, hashes and sets alone does not; who is in doubt is
 * taken for one that does. */
static bool may_feed(const struct command *row) {
    static const uint32_t others = 1u << GROUP_STRING | 1u << GROUP_BITMAP | 1u << GROUP_HASH |
                                   1u << GROUP_SET;
    return row->flags & CMD_RUNS_QUEUE || (row->flags & CMD_WRITE && !(others >> row->group & 1));
}

/* Numbers row i and derives what follows from it. `container` is the last top-level row before it. */
static const char *row_open(struct command *row, unsigned i, struct command *container) {
    const struct key_spec *spec = row->keys;
    const char *error = command_check_row(row);
    if (error) return error;
    if (i > 0 && row_order(&row, &table.rows[i - 1]) == 0) return bad_row(row, "there twice");
    row->id = i;
    if (row->container) {
        if (!container || strcmp(container->name, row->container) != 0)
            return bad_row(row, "no such container");
        container->flags |= CMD_CONTAINER;
    }
    if (has_movable_keys(row)) row->flags |= CMD_MOVABLE_KEYS;
    bool lone = spec->flags && !spec[1].flags && !spec->numkeys && spec->last == spec->first &&
                !(spec->flags & (KEY_INCOMPLETE | KEY_NOT_KEY)) && !(row->flags & CMD_ALL_STRIPES);
    row->lone_key = lone ? (uint32_t)spec->first : row->hashed;
    if (may_feed(row)) row->flags |= CMD_FEEDS;
    row->gates = gates_of_command(row);
    return NULL;
}

/* Fills the slots with this multiplier. The longest way from a name's place to its slot. */
static unsigned fill_slots(uint64_t multiplier) {
    unsigned longest = 0;
    uint64_t container = 0;
    memset(table.slots, 0, sizeof(table.slots));
    for (unsigned i = 0; i < table.count; i++) {
        const struct command *row = table.rows[i];
        struct name name;
        unsigned way = 0;
        if (!row->container) container = i + 1;
        if (row->renamed) continue;
        name_pack(bytes_of(row->name), row->container ? container : 0, &name);
        uint32_t at = name_place(&name, multiplier);
        for (; table.slots[at].command; way++) at = (at + 1) & (SLOTS - 1);
        table.slots[at] = (struct slot){name, row};
        if (way > longest) longest = way;
    }
    return longest;
}

/* Takes the first multiplier that keeps every name within `near` slots of its place; `near` grows while none does. */
static void build_slots(void) {
    uint64_t candidate = 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio (Knuth, volume 3, 6.4) ... */
    for (unsigned tries = 0;; tries++) {
        if (fill_slots(candidate) <= 1 + tries / 64) break;
        /* ... and then those of Knuth's MMIX generator that are odd. */
        candidate = candidate * 0x5851f42d4c957f2du + 0x14057b7ef767814fu;
        candidate |= 1;
    }
    table.multiplier = candidate;
}

static void build_lookup(void) {
    build_slots();
    memset(table.shorts, 0, sizeof(table.shorts));
    for (unsigned i = 0; i < table.count; i++) short_add(table.rows[i]);
}

const char *command_table_open(void) {
    struct command *container = NULL;
    size_t count = (size_t)(__stop_commands - __start_commands);
    if (table.count) return NULL; /* it is open: the lookup tables have room for the rows once */
    if (count > MAX_COMMANDS) return "more command rows than MAX_COMMANDS";
    const char *bad_gate = gate_table_open();
    if (bad_gate) return bad_gate;
    memcpy(table.rows, __start_commands, count * sizeof(*table.rows));
    table.count = (unsigned)count;
    for (unsigned i = 0; i < table.count; i++)
        if (!table.rows[i]->name) return "a command row without a name";
    qsort(table.rows, table.count, sizeof(*table.rows), row_order);
    for (unsigned i = 0; i < table.count; i++) {
        if (!table.rows[i]->container) container = table.rows[i];
        const char *error = row_open(table.rows[i], i, container);
        if (error) return error;
        if (!table.rows[i]->container && !table.rows[i]->run) {
            bool has_some = i + 1 < table.count && table.rows[i + 1]->container;
            if (!has_some) return bad_row(table.rows[i], "neither .run nor subcommands");
        }
    }
    build_lookup();
    return NULL;
}

/* ---- Renaming ------------------------------------------------------------------------------------- */

static bool is_own_name(const struct command *command, struct bytes text) {
    return bytes_equal_nocase(text, bytes_of(command->name));
}

/* Takes the name away by which the command is found. */
static void name_take(struct command *command, struct bytes text) {
    struct new_name *name = new_name_find(text);
    if (!name) {
        command->renamed = true;
        return;
    }
    free((char *)name->text.data);
    *name = new_names.list[--new_names.count];
}

static bool name_give(struct command *command, struct bytes text) {
    if (is_own_name(command, text)) {
        command->renamed = false;
        return true;
    }
    struct new_name *list = realloc(new_names.list, (new_names.count + 1) * sizeof(*list));
    if (list) new_names.list = list;
    char *copy = malloc(text.len);
    if (!list || !copy) {
        free(copy);
        return false;
    }
    memcpy(copy, text.data, text.len);
    list[new_names.count++] = (struct new_name){{copy, text.len}, command};
    return true;
}

/* Redis knows it, and we do not have it. */
static bool is_missing(struct bytes name) {
    return !memchr(name.data, '|', name.len) && missing_command(name);
}

const char *command_set_name(struct bytes from, struct bytes to) {
    const struct command *found = from.len ? top_find(from) : NULL;
    if (!found && (!from.len || !is_missing(from))) return "No such command in rename-command";
    struct command *command = found ? table.rows[found->id] : NULL;
    if (command) name_take(command, from);
    build_lookup();
    if (to.len && (top_find(to) || is_missing(to)) && !(!command && bytes_equal_nocase(from, to)))
        return "Target command name already exists";
    if (!command) return NULL;
    if (to.len && !name_give(command, to)) return "out of memory";
    command->disabled = !to.len;
    for (unsigned i = command->id + 1; i < table.count && table.rows[i]->container; i++)
        table.rows[i]->disabled = command->disabled;
    build_lookup();
    return NULL;
}
