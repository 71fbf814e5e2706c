/* set.c - sets: SADD, SPOP and their kin. What a set is, and how it is kept, is in store/types/set.h. */
#include "server/commands/set.h"

#include <stdlib.h>

#include "server/commands/keys.h"

/* ---- Reading -------------------------------------------------------------------------------------- */

static bool has(struct call *call, const struct value *value, struct bytes member) {
    return set_has(call_keyspace(call, 1), value, member);
}

static void scard(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    reply_int(call->reply, there ? (int64_t)set_count(&value) : 0);
}
COMMAND(scard) = {.name = "scard",
                  .arity = 2,
                  .flags = CMD_READONLY | CMD_FAST,
                  .keys = {KEY(1, KEY_RO)},
                  .run = scard,
                  .group = GROUP_SET,
                  .since = "1.0.0",
                  .complexity = "O(1)",
                  .summary = "Get the number of members in a set",
                  .syntax = "<key:key>"};

/* Of a large set, as a rule. */
static inline bool ask_at_hand(struct call *call) {
    const struct collection *set = collection_read_at_hand(call, 1, TYPE_SET);
    struct bytes member = call->argv[2];
    struct tree_item item;
    if (set == NULL) return false;
    uint64_t hash = hash_bytes(&stripes.seed, member);
    reply_int(call->reply, tree_look_up_guessed(&set->tree, hash, member, call->guesses, &item));
    return true;
}

static void sismember(struct call *call) {
    struct value value;
    bool there;
    if (ask_at_hand(call)) return;
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    reply_int(call->reply, there && has(call, &value, call->argv[2]));
}
static void members_ahead(const struct command_ahead *ahead) {
    struct bytes members[COMMAND_AHEAD_MOST];
    for (unsigned i = 0; i < ahead->count; i++) members[i] = ahead->argvs[i][2];
    if (ahead->value->type == TYPE_SET) collection_ask_ahead(ahead, collection_tree(ahead->value), members);
}

COMMAND(sismember) = {.name = "sismember",
                      .arity = 3,
                      .flags = CMD_READONLY | CMD_FAST,
                      .keys = {KEY(1, KEY_RO)},
                      .run = sismember,
                      .ahead = members_ahead,
                      .group = GROUP_SET,
                      .since = "1.0.0",
                      .complexity = "O(1)",
                      .summary = "Determine if a given value is a member of a set",
                      .syntax = "<key:key> <member>"};

static void smismember(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++)
        reply_int(call->reply, there && has(call, &value, call->argv[i]));
}
COMMAND(smismember) = {.name = "smismember",
                       .arity = -3,
                       .flags = CMD_READONLY | CMD_FAST,
                       .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                       .run = smismember,
                       .group = GROUP_SET,
                       .since = "6.2.0",
                       .complexity = "O(N) where N is the number of elements being checked for membership",
                       .summary = "Returns the membership associated with the given elements for a set",
                       .syntax = "<key:key> <member> ..."};

void set_reply_members(struct call *call, const struct value *value) {
    if (value->kind == VALUE_OBJECT) {
        struct collection_range all = {.count = set_count(value)};
        collection_reply_items(call, collection_tree(value), all, (struct collection_show){.write = NULL});
        return;
    }
    struct set_walk walk;
    struct element member;
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member)) set_reply_member(call, &member);
}

static void smembers(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    reply_set(call->reply, there ? set_count(&value) : 0);
    if (there) set_reply_members(call, &value);
}
COMMAND(smembers) = {.name = "smembers",
                     .arity = 2,
                     .flags = CMD_READONLY,
                     .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                     .run = smembers,
                     .group = GROUP_SET,
                     .since = "1.0.0",
                     .complexity = "O(N) where N is the set cardinality.",
                     .summary = "Get all the members in a set",
                     .tips = "nondeterministic_output_order",
                     .syntax = "<key:key>"};

/* ---- Scanning ------------------------------------------------------------------------------------- */

static void scan_member(struct collection_scan *scan, struct element member) {
    if (collection_scan_matches(scan, member.bytes)) collection_scan_keep(scan, member);
}

static void scan_item(void *context, const struct tree_item *item) {
    scan_member(context, (struct element){item->parts[0], item->blocks[0]});
}

/* Keeps the members of a small set. Where it is an intset they are written to `texts`, and stay there. */
static void scan_small(const struct value *value, struct collection_scan *scan,
                       char (*texts)[NUMBER_I64_MAX_LEN]) {
    struct set_walk walk;
    struct element member;
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member)) {
        if (texts) {
            memcpy(texts[0], member.bytes.data, member.bytes.len);
            member.bytes.data = *texts++;
        }
        scan_member(scan, member);
    }
    scan->cursor = 0;
}

static void sscan(struct call *call) {
    struct collection_scan scan;
    struct value value;
    char(*texts)[NUMBER_I64_MAX_LEN] = NULL;
    if (!collection_scan_begin(call, TYPE_SET, &scan, &value)) return;
    bool intset = value.kind != VALUE_OBJECT && !value.edited;
    if (intset) texts = malloc(set_count(&value) * sizeof *texts);
    scan.failed = intset && !texts;
    if (value.kind == VALUE_OBJECT)
        collection_scan_tree(&scan, &value, call_keyspace(call, 1)->seed, scan_item, &scan);
    else if (!scan.failed)
        scan_small(&value, &scan, texts);
    collection_scan_end(call, &scan);
    free(texts);
}
COMMAND(sscan) = {
    .name = "sscan",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = sscan,
    .group = GROUP_SET,
    .since = "2.8.0",
    .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
                  "the cursor to return back to 0. N is the number of elements inside the collection..",
    .summary = "Incrementally iterate Set elements",
    .tips = "nondeterministic_output",
    .syntax = "<key:key> <cursor:integer> [{MATCH <pattern:pattern>}] [{COUNT <count:integer>}]"};

/* ---- Writing -------------------------------------------------------------------------------------- */

/* One short member to a set that is known to be large, as a rule. */
static inline bool add_at_hand(struct call *call) {
    const struct entry *e = call->argc == 3 ? collection_open_at_hand(call, 1, TYPE_SET) : NULL;
    if (!e || !e->edited) return false;
    enum set_changed changed = set_put(call_keyspace(call, 1), entry_object(e), call->argv[2], call->guesses);
    if (changed == SET_NO_MEMORY) return false;
    if (changed == SET_ADDED) call_changed(call, 1, EVENT_SADD);
    reply_int(call->reply, changed == SET_ADDED);
    return true;
}

static void sadd(struct call *call) {
    struct edit edit;
    uint64_t added = 0;
    uint32_t i = 2;
    enum set_changed changed = SET_ADDED;
    if (add_at_hand(call)) return;
    if (!collection_open(call, 1, TYPE_SET, true, &edit)) return;
    for (; i < call->argc && changed != SET_NO_MEMORY; i++) {
        changed = set_add(&edit, call->argv[i], call_block(call, i), set_integers_allowed());
        added += changed == SET_ADDED;
    }
    collection_close(call, 1, &edit, EVENT_SADD, added);
    if (changed != SET_NO_MEMORY) {
        reply_int(call->reply, (int64_t)added);
        return;
    }
    if (added) call_log(call, call->argv, i - 1);
    call_out_of_memory(call);
}
COMMAND(sadd) = {.name = "sadd",
                 .arity = -3,
                 .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_INSERT)},
                 .run = sadd,
                 .ahead = members_ahead,
                 .group = GROUP_SET,
                 .since = "1.0.0",
                 .complexity = "O(1) for each element added, so O(N) to add N elements when the command is "
                               "called with multiple arguments.",
                 .summary = "Add one or more members to a set",
                 .history = "2.4.0: Accepts multiple `member` arguments.",
                 .syntax = "<key:key> <member> ..."};

static bool is_empty(const struct edit *edit) {
    struct value value = entry_value(edit->entry);
    return set_count(&value) == 0;
}

static void srem(struct call *call) {
    struct edit edit;
    uint64_t removed = 0;
    uint32_t i = 2;
    enum set_changed changed = SET_UNCHANGED;
    if (!collection_open(call, 1, TYPE_SET, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    for (; i < call->argc && changed != SET_NO_MEMORY; i++) {
        changed = set_remove(&edit, call->argv[i]);
        removed += changed == SET_REMOVED;
        if (changed == SET_REMOVED && is_empty(&edit)) break;
    }
    collection_close(call, 1, &edit, EVENT_SREM, removed);
    if (changed != SET_NO_MEMORY) {
        reply_int(call->reply, (int64_t)removed);
        return;
    }
    if (removed) call_log(call, call->argv, i - 1);
    call_out_of_memory(call);
}
COMMAND(srem) = {.name = "srem",
                 .arity = -3,
                 .flags = CMD_WRITE | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                 .run = srem,
                 .ahead = members_ahead,
                 .group = GROUP_SET,
                 .since = "1.0.0",
                 .complexity = "O(N) where N is the number of members to be removed.",
                 .summary = "Remove one or more members from a set",
                 .history = "2.4.0: Accepts multiple `member` arguments.",
                 .syntax = "<key:key> <member> ..."};

/* Adds argv[3] to argv[2] without a word of it. False without memory. */
static bool move_to(struct call *call, struct entry *to, bool *created, bool *added) {
    struct edit edit = {.keyspace = call_keyspace(call, 2),
                        .db = call->db,
                        .key = call_key(call, 2),
                        .entry = to,
                        .type = TYPE_SET};
    if (edit_open(&edit, true) != EDIT_OPENED) return false;
    enum set_changed changed = set_add(&edit, call->argv[3], call_block(call, 3), set_integers_allowed());
    *created = edit.created;
    *added = changed == SET_ADDED;
    if (*added && *created) call_touch(call, edit.entry);
    edit_close(&edit);
    return changed != SET_NO_MEMORY;
}

static void tell_moved(struct call *call, bool created) {
    if (created) call_created(call, 2);
    call_changed(call, 2, EVENT_SADD);
}

/* Moves argv[3] from one key to the other. Where memory ends in between it is in both of them. */
static void move_member(struct call *call, struct entry *to) {
    struct edit edit;
    bool created, added;
    if (!move_to(call, to, &created, &added)) {
        call_out_of_memory(call);
        return;
    }
    bool open = collection_open(call, 1, TYPE_SET, false, &edit);
    assert(open && edit.entry);
    bool removed = set_remove(&edit, call->argv[3]) == SET_REMOVED;
    collection_close(call, 1, &edit, EVENT_SREM, removed);
    if (added) tell_moved(call, created);
    if (removed) {
        reply_int(call->reply, 1);
        return;
    }
    if (added) CALL_LOG(call, BYTES("SADD"), call->argv[2], call->argv[3]);
    call_out_of_memory(call);
}

static void smove(struct call *call) {
    struct entry *from = call_claim(call, 1), *to = call_claim(call, 2);
    if (from == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    if (entry_type(from) != TYPE_SET || (to && entry_type(to) != TYPE_SET)) {
        call_wrong_type(call);
        return;
    }
    struct value value = entry_value(from);
    bool there = has(call, &value, call->argv[3]);
    if (there && from != to)
        move_member(call, to);
    else
        reply_int(call->reply, there);
}
COMMAND(smove) = {.name = "smove",
                  .arity = 4,
                  .flags = CMD_WRITE | CMD_FAST,
                  .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY(2, KEY_RW | KEY_INSERT)},
                  .run = smove,
                  .group = GROUP_SET,
                  .since = "1.0.0",
                  .complexity = "O(1)",
                  .summary = "Move a member from one set to another",
                  .syntax = "<source:key> <destination:key> <member>"};

/* ---- Chance --------------------------------------------------------------------------------------- */

/* The member at this place, which is there. Valid as long as the walk is. */
static struct element member_at(const struct value *value, uint64_t place, struct set_walk *walk) {
    struct element member;
    set_walk(walk, value, place);
    bool any = set_next(walk, &member);
    assert(any);
    return member;
}

static void write_at(struct reply *reply, struct metrics *metrics, const struct value *value, uint64_t place,
                     uint64_t how) {
    struct set_walk walk;
    struct element member = member_at(value, place, &walk);
    (void)how;
    collection_reply_element(reply, metrics, &member);
}
static void reply_at(struct call *call, const struct value *value, uint64_t place) {
    write_at(call->reply, call->effects->metrics, value, place, 0);
}

/* So many different members, fewer than there are. */
static void reply_sample(struct call *call, const struct value *value, uint64_t count) {
    uint64_t state = keys_random(call);
    uint64_t *places = collection_sample(&state, count, set_count(value));
    if (places == NULL) {
        call_out_of_memory(call);
        return;
    }
    reply_array(call->reply, count);
    for (uint64_t i = 0; i < count; i++) reply_at(call, value, places[i]);
    free(places);
}

static void random_members(struct call *call, int64_t count) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    uint64_t all = there ? set_count(&value) : 0;
    if (!there || count == 0) {
        reply_array(call->reply, 0);
    } else if (count < 0) {
        uint64_t times = 0 - (uint64_t)count;
        reply_array(call->reply, times);
        struct collection_writer writer = {write_at, 0};
        collection_reply_draws(call, &value, (struct collection_places){.count = all}, times, writer);
    } else if ((uint64_t)count < all) {
        reply_sample(call, &value, (uint64_t)count);
    } else {
        reply_array(call->reply, all);
        set_reply_members(call, &value);
    }
}

static void srandmember(struct call *call) {
    struct value value;
    int64_t count;
    bool there;
    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->argc == 3) {
        if (collection_random_count(call, 2, &count)) random_members(call, count);
        return;
    }
    if (!collection_read(call, 1, TYPE_SET, &value, &there)) return;
    uint64_t state = keys_random(call);
    if (there)
        reply_at(call, &value, collection_random(&state, set_count(&value)));
    else
        reply_null(call->reply);
}
COMMAND(srandmember) = {.name = "srandmember",
                        .arity = -2,
                        .flags = CMD_READONLY,
                        .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                        .run = srandmember,
                        .group = GROUP_SET,
                        .since = "1.0.0",
                        .complexity = "Without the count argument O(1), otherwise O(N) where N is the "
                                      "absolute value of the passed count.",
                        .summary = "Get one or multiple random members from a set",
                        .tips = "nondeterministic_output",
                        .history = "2.6.0: Added the optional `count` argument.",
                        .syntax = "<key:key> [<count:integer>@2.6.0]"};

/* ---- SPOP ----------------------------------------------------------------------------------------- */

/* Members that are popped, or about to be. */
struct popped {
    uint64_t *places; /* descending: taking one out leaves the others where they are */
    struct element *members;
    char *text; /* the bytes of those that are in no block; of the others there is a reference */
    uint64_t count;
};

static int descending(const void *a, const void *b) {
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? 1 : -(x > y);
}

/* Copies the members at the places; `text` has room. */
static void gather(struct popped *popped, const struct value *value) {
    struct set_walk walk;
    char *text = popped->text;
    for (uint64_t i = 0; i < popped->count; i++) {
        struct element member = member_at(value, popped->places[i], &walk);
        if (member.block) {
            block_retain(member.block);
        } else {
            memcpy(text, member.bytes.data, member.bytes.len);
            member.bytes.data = text;
            text += member.bytes.len;
        }
        popped->members[i] = member;
    }
}

/* Bytes of the members at the places, those apart that are in blocks. */
static size_t text_len(const struct popped *popped, const struct value *value) {
    struct set_walk walk;
    size_t len = 0;
    for (uint64_t i = 0; i < popped->count; i++) {
        struct element member = member_at(value, popped->places[i], &walk);
        len += member.block ? 0 : member.bytes.len;
    }
    return len;
}

/* Draws so many members, fewer than there are. False without memory; to be given back in any case. */
static bool draw(struct call *call, struct popped *popped, const struct value *value, uint64_t count) {
    uint64_t state = keys_random(call);
    *popped = (struct popped){.count = count};
    popped->places = collection_sample(&state, count, set_count(value));
    if (popped->places == NULL) return false;
    qsort(popped->places, count, sizeof *popped->places, descending);
    popped->text = malloc(text_len(popped, value) + 1);
    struct element *members = malloc(count * sizeof *members); /* as many words as places, and more, fit */
    if (popped->text == NULL || members == NULL) {
        free(members);
        return false;
    }
    popped->members = members;
    gather(popped, value);
    return true;
}

static void give_back(struct popped *popped) {
    for (uint64_t i = 0; popped->members && i < popped->count; i++)
        if (popped->members[i].block) block_release(popped->members[i].block);
    free(popped->members);
    free(popped->text);
    free(popped->places);
}

/* Records that the first `count` are gone. */
static void log_popped(struct call *call, const struct popped *popped, uint64_t count) {
    enum { AT_ONCE = 256, HEAD = 2 };
    struct bytes argv[HEAD + AT_ONCE] = {BYTES("SREM"), call->argv[1]};
    for (uint64_t from = 0; from < count;) {
        uint32_t argc = HEAD;
        while (from < count && argc < HEAD + AT_ONCE) argv[argc++] = popped->members[from++].bytes;
        call_log(call, argv, argc);
    }
}

/* Takes members out of the edit, and closes it. How many memory has sufficed for. */
static uint64_t take_out(struct call *call, struct edit *edit, const struct popped *popped) {
    uint64_t done = 0;
    while (done < popped->count && set_remove_at(edit, popped->places[done])) done++;
    collection_close(call, 1, edit, EVENT_SPOP, done);
    if (done) log_popped(call, popped, done);
    if (done == 0) call_out_of_memory(call);
    return done;
}

static void pop_one(struct call *call, struct edit *edit, const struct value *value) {
    char text[ELEMENT_INLINE_MAX];
    struct element member;
    uint64_t state = keys_random(call), place = collection_random(&state, set_count(value));
    struct popped popped = {.places = &place, .members = &member, .text = text, .count = 1};
    gather(&popped, value);
    if (take_out(call, edit, &popped)) set_reply_member(call, &member);
    if (member.block) block_release(member.block);
}

static void pop_all(struct call *call, const struct value *value) {
    uint64_t count = set_count(value);
    struct entry *e = call_peek(call, 1);
    reply_set(call->reply, count);
    set_reply_members(call, value);
    call_changed_times(call, 1, EVENT_SPOP, count);
    call_log_deleted(call, 1);
    keyspace_delete_entry(call_keyspace(call, 1), call->db, call_key(call, 1), e);
    call_emptied(call, 1);
}

/* Where few members are left of many, Redis makes a new set of them, which may be an intset again. Where there is no
 * memory for that it stays as it is. */
static void make_anew(struct call *call) {
    struct keyspace *ks = call_keyspace(call, 1);
    struct value value = entry_value(call_peek(call, 1));
    struct set_draft draft;
    struct set_walk walk;
    struct element member;
    bool done = true;
    set_draft(&draft, ks, set_integers_allowed());
    set_walk(&walk, &value, 0);
    while (done && set_next(&walk, &member))
        done = set_draft_add(&draft, member.bytes, member.block) == SET_ADDED;
    struct value made = set_draft_value(&draft);
    if (done) keyspace_set(ks, call->db, call_key(call, 1), &made, EXPIRY_KEEP);
    set_draft_end(&draft);
}

static void pop_some(struct call *call, struct edit *edit, const struct value *value, uint64_t count) {
    struct popped popped;
    if (!draw(call, &popped, value, count)) {
        collection_close(call, 1, edit, EVENT_NONE, 0);
        call_out_of_memory(call);
    } else {
        enum { FEW_OF = 5 };
        uint64_t left = set_count(value) - count, done = take_out(call, edit, &popped);
        if (done == count && left <= count / FEW_OF) make_anew(call);
        if (done) reply_set(call->reply, done);
        for (uint64_t i = 0; i < done; i++) set_reply_member(call, &popped.members[i]);
    }
    give_back(&popped);
}

static void spop(struct call *call) {
    static const struct call_range counts = {0, INT64_MAX, "ERR value is out of range, must be positive"};
    struct edit edit;
    bool one = call->argc == 2;
    int64_t count = 1;
    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (!one && !call_int_range_or_reply(call, 2, counts, &count)) return;
    if (!collection_open(call, 1, TYPE_SET, false, &edit)) return;
    if (edit.entry == NULL || count == 0) {
        if (one)
            reply_null(call->reply);
        else
            reply_set(call->reply, 0);
        return;
    }
    struct value value = entry_value(edit.entry);
    if (one)
        pop_one(call, &edit, &value);
    else if ((uint64_t)count < set_count(&value))
        pop_some(call, &edit, &value, (uint64_t)count);
    else
        pop_all(call, &value);
}
COMMAND(spop) = {.name = "spop",
                 .arity = -2,
                 .flags = CMD_WRITE | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
                 .run = spop,
                 .group = GROUP_SET,
                 .since = "1.0.0",
                 .complexity = "Without the count argument O(1), otherwise O(N) where N is the value of the "
                               "passed count.",
                 .summary = "Remove and return one or multiple random members from a set",
                 .tips = "nondeterministic_output",
                 .history = "3.2.0: Added the `count` argument.",
                 .syntax = "<key:key> [<count:integer>@3.2.0]"};
