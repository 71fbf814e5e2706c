/* set_algebra.c - SINTER, SUNION, SDIFF, and what stores or counts their results.
 *
 * All members that an intersection or a difference can have are in one set, and those of a union come set by set:
 * whether a member is in the result is asked of the other sets. Trees are in the order of one hash (tree.h), so the
 * questions that the walk over one tree asks of another go through it from left to right, and need no descent. */
#include <stdlib.h>

#include "server/commands/set.h"
#include "store/types/set_lookup.h"

enum operation { INTER, UNION, DIFF };

enum { FEW = 8 };

/* Operands. An absent one is an empty set. */
struct sets {
    const struct keyspace *keyspace; /* of any stripe: all have one seed */
    enum operation operation;
    uint32_t count;
    struct value *all;
    struct set_lookup *lookups;
    struct value few[FEW];
    struct set_lookup few_lookups[FEW];
    union set_table tables[FEW]; /* of the first ones */
};

/* ---- Operands ------------------------------------------------------------------------------------- */

static void sets_end(struct sets *sets) {
    if (sets->all == sets->few) return;
    free(sets->all);
    free(sets->lookups);
}

static bool read_all(struct call *call, struct sets *sets, uint32_t first) {
    for (uint32_t i = 0; i < sets->count; i++) {
        bool there;
        if (!collection_read(call, first + i, TYPE_SET, &sets->all[i], &there)) return false;
        if (!there) sets->all[i] = (struct value){.type = TYPE_SET, .kind = VALUE_INLINE, .bytes = BYTES("")};
    }
    return true;
}

static int compare_counts(const void *a, const void *b) {
    uint64_t x = set_count(a), y = set_count(b);
    return x < y ? -1 : x > y;
}
static int compare_counts_backwards(const void *a, const void *b) {
    return compare_counts(b, a);
}

/* Puts them in the order in which least is asked: the smallest first in an intersection, the largest in a union, and in a
 * difference as Redis does behind the first one. */
static void sort_sets(struct sets *sets) {
    switch (sets->operation) {
    case INTER: qsort(sets->all, sets->count, sizeof *sets->all, compare_counts); break;
    case UNION: qsort(sets->all, sets->count, sizeof *sets->all, compare_counts_backwards); break;
    default: qsort(sets->all + 1, sets->count - 1, sizeof *sets->all, compare_counts_backwards); break;
    }
}

static bool make_room(struct sets *sets) {
    sets->all = sets->few;
    sets->lookups = sets->few_lookups;
    if (sets->count <= FEW) return true;
    sets->all = malloc(sets->count * sizeof *sets->all);
    sets->lookups = malloc(sets->count * sizeof *sets->lookups);
    if (sets->all && sets->lookups) return true;
    free(sets->all);
    free(sets->lookups);
    return false;
}

/* Looks the keys up from argv[first] on. False after replying, and then there is nothing to end. */
static bool sets_read(struct call *call, enum operation operation, uint32_t first, uint32_t count,
                      struct sets *sets) {
    enum { PAYS_FROM = 8 }; /* members, from which on a table of them is made */
    sets->keyspace = call_keyspace(call, first);
    sets->operation = operation;
    sets->count = count;
    if (!make_room(sets)) {
        call_out_of_memory(call);
        return false;
    }
    if (!read_all(call, sets, first)) {
        sets_end(sets);
        return false;
    }
    sort_sets(sets);
    for (uint32_t i = 0; i < count; i++) {
        bool pays = i < FEW && set_count(&sets->all[i]) >= PAYS_FROM && count > 1;
        set_lookup(&sets->lookups[i], sets->keyspace, &sets->all[i], pays ? &sets->tables[i] : NULL);
    }
    return true;
}

/* ---- Results -------------------------------------------------------------------------------------- */

/* How many of the sets members of the result come from: the first ones. */
static uint32_t sources(const struct sets *sets) {
    return sets->operation == UNION ? sets->count : 1;
}

/* Is the member to which the walk over the set with this index has come in the result? In a union, it is if no set
 * before has it. */
static inline bool in_result(const struct sets *sets, uint32_t index, const struct set_walk *walk,
                             struct bytes member) {
    uint64_t hash = hash_bytes(sets->keyspace->seed, member);
    bool wanted = sets->operation == INTER;
    uint32_t from = sets->operation == UNION ? 0 : 1, to = sets->operation == UNION ? index : sets->count;
    for (uint32_t i = from; i < to; i++)
        if (set_lookup_has(&sets->lookups[i], walk, member, hash) != wanted) return false;
    return true;
}

/* Notes which of all members that were walked over are in the result, a bit each, where `bits` is not NULL. How many they
 * are, or `limit` where they are at least so many. */
static uint64_t choose(const struct sets *sets, unsigned char *bits, uint64_t limit) {
    uint64_t chosen = 0, place = 0;
    for (uint32_t i = 0; i < sources(sets); i++) {
        struct set_walk walk;
        struct element member;
        set_walk(&walk, &sets->all[i], 0);
        for (; chosen < limit && set_next(&walk, &member); place++) {
            if (!in_result(sets, i, &walk, member.bytes)) continue;
            chosen++;
            if (bits) bits[place / 8] |= (unsigned char)(1 << place % 8);
        }
    }
    return chosen;
}

static uint64_t members_to_walk(const struct sets *sets) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < sources(sets); i++) count += set_count(&sets->all[i]);
    return count;
}

/* The operand that is the result as it is, or NULL. */
static const struct value *sole(const struct sets *sets) {
    if (sets->count == 1) return &sets->all[0];
    if (sets->operation == INTER) return NULL;
    return set_count(&sets->all[1]) == 0 ? &sets->all[0] : NULL; /* so is what comes behind it */
}

static void write_chosen(struct call *call, const struct sets *sets, const unsigned char *bits) {
    uint64_t place = 0;
    for (uint32_t i = 0; i < sources(sets); i++) {
        struct set_walk walk;
        struct element member;
        set_walk(&walk, &sets->all[i], 0);
        for (; set_next(&walk, &member); place++)
            if (bits[place / 8] & 1 << place % 8) set_reply_member(call, &member);
    }
}

static void reply_result(struct call *call, enum operation operation) {
    enum { BITS_NEAR = 4096 };
    unsigned char near[BITS_NEAR / 8];
    struct sets sets;
    if (!sets_read(call, operation, 1, call->argc - 1, &sets)) return;
    const struct value *whole = sole(&sets);
    if (whole) {
        reply_set(call->reply, set_count(whole));
        set_reply_members(call, whole);
        sets_end(&sets);
        return;
    }
    uint64_t walked = members_to_walk(&sets);
    unsigned char *bits = walked > BITS_NEAR ? calloc(1, walked / 8 + 1) : memset(near, 0, sizeof near);
    if (bits) {
        reply_set(call->reply, choose(&sets, bits, UINT64_MAX));
        write_chosen(call, &sets, bits);
    } else {
        call_out_of_memory(call);
    }
    if (bits != near) free(bits);
    sets_end(&sets);
}

/* ---- Storing -------------------------------------------------------------------------------------- */

static bool add_chosen(const struct sets *sets, struct set_draft *draft) {
    struct set_walk walk;
    struct element member;
    bool done = true;
    set_walk(&walk, &sets->all[0], 0);
    while (done && set_next(&walk, &member))
        if (in_result(sets, 0, &walk, member.bytes))
            done = set_draft_add(draft, member.bytes, member.block) == SET_ADDED;
    return done;
}

/* A union begins with the nodes of its largest tree. */
static bool add_all(const struct sets *sets, struct set_draft *draft) {
    bool done = true, copied = sets->all[0].kind == VALUE_OBJECT;
    if (copied) done = set_draft_copy(draft, &sets->all[0]);
    for (uint32_t i = copied; i < sets->count; i++) {
        struct set_walk walk;
        struct element member;
        set_walk(&walk, &sets->all[i], 0);
        while (done && set_next(&walk, &member))
            done = set_draft_add(draft, member.bytes, member.block) != SET_NO_MEMORY;
    }
    return done;
}

/* Where Redis takes members of the other sets out of a copy of the first, and that was a hashtable, the result is one. */
static bool redis_subtracts_from_copy(const struct sets *sets) {
    uint64_t present = 0, all = 0;
    for (uint32_t i = 0; i < sets->count; i++) {
        present += set_count(&sets->all[i]) > 0;
        all += set_count(&sets->all[i]);
    }
    return set_count(&sets->all[0]) * present / 2 > all;
}
static bool is_hashtable(const struct value *value, uint64_t integers) {
    return set_count(value) > integers || !set_is_integers(value);
}

static bool make_result(const struct sets *sets, struct set_draft *draft) {
    bool done = sets->operation == UNION ? add_all(sets, draft) : add_chosen(sets, draft);
    return done && (sets->operation != DIFF || !redis_subtracts_from_copy(sets) ||
                    !is_hashtable(&sets->all[0], draft->integers) || set_draft_mark(draft));
}

/* Makes argv[1] this set. False without memory. */
static bool store(struct call *call, const struct value *value, enum event event) {
    struct keyspace *ks = call_keyspace(call, 1);
    struct entry *target = call_peek(call, 1);
    if (set_count(value) == 0) {
        if (target == NULL) return true;
        keyspace_delete_entry(ks, call->db, call_key(call, 1), target);
        call_deleted(call, 1);
        return true;
    }
    struct entry *e = keyspace_set(ks, call->db, call_key(call, 1), value, EXPIRY_NONE);
    if (e == NULL) return false;
    call_touch(call, e);
    if (target == NULL) call_created(call, 1);
    call_changed(call, 1, event);
    return true;
}

static void store_result(struct call *call, enum operation operation, enum event event) {
    struct sets sets;
    struct set_draft draft;
    if (!sets_read(call, operation, 2, call->argc - 2, &sets)) return;
    set_draft(&draft, call_keyspace(call, 1), set_integers_allowed());
    bool done = make_result(&sets, &draft);
    struct value value = set_draft_value(&draft);
    if (done && store(call, &value, event))
        reply_int(call->reply, (int64_t)set_count(&value));
    else
        call_out_of_memory(call);
    set_draft_end(&draft);
    sets_end(&sets);
}

/* ---- Commands ------------------------------------------------------------------------------------- */

/* What the rows of SINTER, SUNION and SDIFF say; and those of their STORE forms. */
#define REPLIES                                                                                              \
    .arity = -2, .flags = CMD_READONLY, .keys = {KEYS(1, -1, 1, KEY_RO | KEY_ACCESS)}, .group = GROUP_SET,   \
    .since = "1.0.0", .tips = "nondeterministic_output_order", .syntax = "<key:key> ..."
#define STORES(how)                                                                                          \
    .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM,                                                           \
    .keys = {KEY(1, (how) | KEY_UPDATE), KEYS(2, -1, 1, KEY_RO | KEY_ACCESS)}, .group = GROUP_SET,           \
    .since = "1.0.0", .syntax = "<destination:key> <key:key> ..."
#define OF_SMALLEST                                                                                          \
    "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets."
#define OF_ALL "O(N) where N is the total number of elements in all given sets."

static void sinter(struct call *call) {
    reply_result(call, INTER);
}
COMMAND(sinter) = {.name = "sinter",
                   REPLIES,
                   .run = sinter,
                   .complexity = OF_SMALLEST,
                   .summary = "Intersect multiple sets"};

static void sunion(struct call *call) {
    reply_result(call, UNION);
}
COMMAND(sunion) = {
    .name = "sunion", REPLIES, .run = sunion, .complexity = OF_ALL, .summary = "Add multiple sets"};

static void sdiff(struct call *call) {
    reply_result(call, DIFF);
}
COMMAND(sdiff) = {
    .name = "sdiff", REPLIES, .run = sdiff, .complexity = OF_ALL, .summary = "Subtract multiple sets"};

static void sinterstore(struct call *call) {
    store_result(call, INTER, EVENT_SINTERSTORE);
}
COMMAND(sinterstore) = {.name = "sinterstore",
                        STORES(KEY_RW),
                        .run = sinterstore,
                        .complexity = OF_SMALLEST,
                        .summary = "Intersect multiple sets and store the resulting set in a key"};

static void sunionstore(struct call *call) {
    store_result(call, UNION, EVENT_SUNIONSTORE);
}
COMMAND(sunionstore) = {.name = "sunionstore",
                        STORES(KEY_OW),
                        .run = sunionstore,
                        .complexity = OF_ALL,
                        .summary = "Add multiple sets and store the resulting set in a key"};

static void sdiffstore(struct call *call) {
    store_result(call, DIFF, EVENT_SDIFFSTORE);
}
COMMAND(sdiffstore) = {.name = "sdiffstore",
                       STORES(KEY_OW),
                       .run = sdiffstore,
                       .complexity = OF_ALL,
                       .summary = "Subtract multiple sets and store the resulting set in a key"};

/* SINTERCARD numkeys key ... [LIMIT limit]; 0 is no limit. SUNIONCARD may be content with about so many (APPROX), and says
 * exactly how many. False after replying. */
static bool card_arguments(struct call *call, bool approx, uint32_t *keys, int64_t *limit) {
    static const struct call_range counts = {1, INT64_MAX, "ERR numkeys should be greater than 0"};
    static const struct call_range limits = {0, INT64_MAX, "ERR LIMIT can't be negative"};
    int64_t count;
    *limit = 0;
    if (!call_int_range_or_reply(call, 1, counts, &count)) return false;
    if (count > call->argc - 2) {
        reply_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return false;
    }
    *keys = (uint32_t)count;
    for (uint32_t i = 2 + *keys; i < call->argc; i += 2) {
        if (approx && bytes_is(call->argv[i], "approx")) {
            i--;
            continue;
        }
        if (i + 1 == call->argc || !bytes_is(call->argv[i], "limit")) {
            call_syntax_error(call);
            return false;
        }
        if (!call_int_range_or_reply(call, i + 1, limits, limit)) return false;
    }
    return true;
}

static void reply_card(struct call *call, enum operation operation) {
    struct sets sets;
    uint32_t keys;
    int64_t limit;
    if (!card_arguments(call, operation == UNION, &keys, &limit) ||
        !sets_read(call, operation, 2, keys, &sets))
        return;
    reply_int(call->reply, (int64_t)choose(&sets, NULL, limit ? (uint64_t)limit : UINT64_MAX));
    sets_end(&sets);
}
static void sintercard(struct call *call) {
    reply_card(call, INTER);
}
COMMAND(sintercard) = {.name = "sintercard",
                       .arity = -3,
                       .flags = CMD_READONLY,
                       .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
                       .run = sintercard,
                       .group = GROUP_SET,
                       .since = "7.0.0",
                       .complexity = OF_SMALLEST,
                       .summary = "Intersect multiple sets and return the cardinality of the result",
                       .syntax = "<numkeys:integer> <key:key> ... [{LIMIT <limit:integer>}]"};

static void sunioncard(struct call *call) {
    reply_card(call, UNION);
}
COMMAND(sunioncard) = {.name = "sunioncard",
                       .arity = -3,
                       .flags = CMD_READONLY,
                       .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
                       .run = sunioncard,
                       .group = GROUP_SET,
                       .since = "8.10.0",
                       .complexity = OF_ALL,
                       .summary = "Add multiple sets and return the cardinality of the result",
                       .syntax = "<numkeys:integer> <key:key> ... [approx:APPROX] [{LIMIT <limit:integer>}]"};

static void sdiffcard(struct call *call) {
    reply_card(call, DIFF);
}
COMMAND(sdiffcard) = {.name = "sdiffcard",
                      .arity = -3,
                      .flags = CMD_READONLY,
                      .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
                      .run = sdiffcard,
                      .group = GROUP_SET,
                      .since = "8.10.0",
                      .complexity = OF_ALL,
                      .summary = "Subtract multiple sets and return the cardinality of the result",
                      .syntax = "<numkeys:integer> <key:key> ... [{LIMIT <limit:integer>}]"};
