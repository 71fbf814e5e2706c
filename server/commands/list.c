/* list.c - lists: LPUSH, LRANGE and their kin. What a list is, and how it is kept, is in store/types/list.h. */
#include "server/commands/list.h"

/* ---- Ends ----------------------------------------------------------------------------------------- */

bool list_end_or_reply(struct call *call, uint32_t arg, enum tree_end *end) {
    bool left = bytes_is(call->argv[arg], "left");
    *end = left ? TREE_FRONT : TREE_BACK;
    if (left || bytes_is(call->argv[arg], "right")) return true;
    call_syntax_error(call);
    return false;
}

static enum event pushed_at(enum tree_end end) {
    return end == TREE_FRONT ? EVENT_LPUSH : EVENT_RPUSH;
}
static enum event popped_at(enum tree_end end) {
    return end == TREE_FRONT ? EVENT_LPOP : EVENT_RPOP;
}

static uint64_t count_of(const struct edit *edit) {
    struct value value = entry_value(edit->entry);
    return list_count(&value);
}

static void reply_element(struct call *call, const struct element *element) {
    collection_reply_element(call->reply, call->effects->metrics, element);
}

/* ---- Pushing -------------------------------------------------------------------------------------- */

/* One short element to a large list, as a rule. */
static inline bool push_at_hand(struct call *call, enum tree_end end) {
    const struct entry *e = call->argc == 3 ? collection_open_at_hand(call, 1, TYPE_LIST) : NULL;
    struct tree *tree = e ? &collection_of(entry_object(e))->tree : NULL;
    if (!tree || !tree_push_short(tree, call->argv[2], end)) return false;
    call_changed(call, 1, pushed_at(end));
    reply_int(call->reply, (int64_t)tree->count);
    return true;
}

static void push(struct call *call, enum tree_end end, bool create) {
    struct edit edit;
    bool done = true;
    uint32_t i = 2;
    if (push_at_hand(call, end)) return;
    if (!collection_open(call, 1, TYPE_LIST, create, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    for (; i < call->argc && done; i++) done = list_push(&edit, end, call->argv[i], call_block(call, i));
    if (!done) i--;
    uint64_t count = count_of(&edit);
    collection_close(call, 1, &edit, pushed_at(end), i - 2);
    if (done) {
        reply_int(call->reply, (int64_t)count);
        return;
    }
    if (i > 2) call_log(call, call->argv, i);
    call_out_of_memory(call);
}

/* What the rows of all four say. */
#define PUSHES                                                                                               \
    .arity = -3, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .keys = {KEY(1, KEY_RW | KEY_INSERT)},         \
    .group = GROUP_LIST, .syntax = "<key:key> <element> ...",                                                \
    .complexity = "O(1) for each element added, so O(N) to add N elements when the command is called with "  \
                  "multiple arguments."

static void lpush(struct call *call) {
    push(call, TREE_FRONT, true);
}
COMMAND(lpush) = {.name = "lpush",
                  PUSHES,
                  .run = lpush,
                  .since = "1.0.0",
                  .summary = "Prepend one or multiple elements to a list",
                  .history = "2.4.0: Accepts multiple `element` arguments."};

static void rpush(struct call *call) {
    push(call, TREE_BACK, true);
}
COMMAND(rpush) = {.name = "rpush",
                  PUSHES,
                  .run = rpush,
                  .since = "1.0.0",
                  .summary = "Append one or multiple elements to a list",
                  .history = "2.4.0: Accepts multiple `element` arguments."};

static void lpushx(struct call *call) {
    push(call, TREE_FRONT, false);
}
COMMAND(lpushx) = {.name = "lpushx",
                   PUSHES,
                   .run = lpushx,
                   .since = "2.2.0",
                   .summary = "Prepend an element to a list, only if the list exists",
                   .history = "4.0.0: Accepts multiple `element` arguments."};

static void rpushx(struct call *call) {
    push(call, TREE_BACK, false);
}
COMMAND(rpushx) = {.name = "rpushx",
                   PUSHES,
                   .run = rpushx,
                   .since = "2.2.0",
                   .summary = "Append an element to a list, only if the list exists",
                   .history = "4.0.0: Accepts multiple `element` arguments."};

/* ---- Popping -------------------------------------------------------------------------------------- */

/* An element that outlives its list: a copy, or a reference to its block. */
struct kept {
    struct element element;
    char bytes[ELEMENT_INLINE_MAX];
};

static void keep(struct kept *kept, struct element element) {
    kept->element = element;
    if (element.block) {
        block_retain(element.block);
        return;
    }
    if (element.bytes.len) memcpy(kept->bytes, element.bytes.data, element.bytes.len);
    kept->element.bytes.data = kept->bytes;
}
static void let_go(struct kept *kept) {
    if (kept->element.block) block_release(kept->element.block);
}

static void keep_end(struct kept *kept, const struct edit *edit, enum tree_end end) {
    struct value value = entry_value(edit->entry);
    keep(kept, list_end(&value, end));
}

/* What a list holds, for a reply that is written after the change. */
struct version {
    struct value value; /* a pack, or else */
    struct tree tree;
    char bytes[COLLECTION_PACK_BYTES];
};

/* False without memory. */
static bool keep_all(struct version *version, struct edit *edit) {
    version->value = entry_value(edit->entry);
    if (version->value.kind != VALUE_OBJECT) {
        struct bytes pack = value_bytes(&version->value);
        memcpy(version->bytes, pack.data, pack.len);
        version->value.bytes.data = version->bytes;
        return true;
    }
    struct collection *collection = collection_edit(edit);
    if (collection) tree_fork(&version->tree, &collection->tree);
    return collection;
}
static void let_all_go(struct version *version, struct keyspace *ks) {
    if (version->value.kind != VALUE_OBJECT) return;
    tree_release(&version->tree, &ks->dead.nodes);
    keyspace_note_nodes(ks);
}

/* `count` elements of a pack from the point on. */
static void reply_part_of_pack(struct call *call, const struct value *value, uint64_t point, uint64_t count,
                               bool backwards) {
    struct list_walk walk;
    struct element element;
    list_walk(&walk, value, point, backwards);
    while (count-- > 0 && list_next(&walk, &element)) reply_element(call, &element);
}

static void reply_part_of_tree(struct call *call, const struct tree *tree, uint64_t point, uint64_t count,
                               bool backwards) {
    struct collection_range range = {.position = point - backwards, .count = count, .backwards = backwards};
    collection_reply_items(call, tree, range, (struct collection_show){.write = NULL});
}

/* So many elements at one end of a list: at least one, and no more than there are. */
struct popping {
    enum tree_end end;
    uint64_t count;
};

/* Pops elements of the key argv[arg]. */
static bool pop_some(struct call *call, uint32_t arg, struct edit *edit, struct popping popping,
                     struct version *version) {
    uint64_t index = popping.end == TREE_FRONT ? 0 : count_of(edit) - popping.count;
    bool kept = keep_all(version, edit);
    bool done = kept && list_remove(edit, index, popping.count);
    if (kept && !done) let_all_go(version, edit->keyspace);
    collection_close(call, arg, edit, popped_at(popping.end), done ? popping.count : 0);
    if (!done) call_out_of_memory(call);
    return done;
}

static void reply_popped(struct call *call, struct version *version, struct keyspace *ks,
                         struct popping popping) {
    bool backwards = popping.end == TREE_BACK, packed = version->value.kind != VALUE_OBJECT;
    uint64_t count = popping.count, all = packed ? list_count(&version->value) : version->tree.count;
    reply_array(call->reply, count);
    if (packed)
        reply_part_of_pack(call, &version->value, backwards ? all : 0, count, backwards);
    else
        reply_part_of_tree(call, &version->tree, backwards ? all : 0, count, backwards);
    let_all_go(version, ks);
}

static bool pop_one(struct call *call, uint32_t arg, struct edit *edit, enum tree_end end, bool names_key) {
    struct kept kept;
    keep_end(&kept, edit, end);
    bool done = list_pop(edit, end);
    collection_close(call, arg, edit, popped_at(end), done);
    if (done && names_key) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[arg]);
    }
    if (done)
        reply_element(call, &kept.element);
    else
        call_out_of_memory(call);
    let_go(&kept);
    return done;
}

enum list_popped list_pop_one(struct call *call, uint32_t arg, enum tree_end end, bool names_key) {
    struct edit edit;
    if (!collection_open(call, arg, TYPE_LIST, false, &edit)) return LIST_FAILED;
    if (edit.entry == NULL) return LIST_ABSENT;
    return pop_one(call, arg, &edit, end, names_key) ? LIST_POPPED : LIST_FAILED;
}

static void pop_count(struct call *call, struct edit *edit, enum tree_end end, uint64_t count) {
    struct version version;
    struct keyspace *ks = edit->keyspace;
    uint64_t all = count_of(edit);
    if (count > all) count = all;
    struct popping popping = {end, count};
    if (pop_some(call, 1, edit, popping, &version)) reply_popped(call, &version, ks, popping);
}

/* One short element of a large list, as a rule. */
static inline bool pop_at_hand(struct call *call, enum tree_end end) {
    const struct entry *e = call->argc == 2 ? collection_open_at_hand(call, 1, TYPE_LIST) : NULL;
    struct bytes text;
    if (!e || !tree_pop_short(&collection_of(entry_object(e))->tree, end, &text)) return false;
    call_changed(call, 1, popped_at(end));
    reply_bulk(call->reply, text);
    return true;
}

static void pop(struct call *call, enum tree_end end) {
    struct call_range range = {0, INT64_MAX, "ERR value is out of range, must be positive"};
    struct edit edit;
    int64_t count;
    if (pop_at_hand(call, end)) return;
    if (call->argc > 3) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->name);
        return;
    }
    bool counted = call->argc == 3;
    if (counted && !call_int_range_or_reply(call, 2, range, &count)) return;
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return;
    if (edit.entry == NULL && counted)
        reply_null_array(call->reply);
    else if (edit.entry == NULL)
        reply_null(call->reply);
    else if (!counted)
        (void)pop_one(call, 1, &edit, end, false);
    else if (count == 0)
        reply_array(call->reply, 0);
    else
        pop_count(call, &edit, end, (uint64_t)count);
}

/* What the rows of both say. */
#define POPS                                                                                                 \
    .arity = -2, .flags = CMD_WRITE | CMD_FAST, .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},          \
    .group = GROUP_LIST, .since = "1.0.0", .complexity = "O(N) where N is the number of elements returned",  \
    .history = "6.2.0: Added the `count` argument.", .syntax = "<key:key> [<count:integer>@6.2.0]"

static void lpop(struct call *call) {
    pop(call, TREE_FRONT);
}
COMMAND(lpop) = {.name = "lpop", POPS, .run = lpop, .summary = "Remove and get the first elements in a list"};

static void rpop(struct call *call) {
    pop(call, TREE_BACK);
}
COMMAND(rpop) = {.name = "rpop", POPS, .run = rpop, .summary = "Remove and get the last elements in a list"};

/* As Redis, which says from which of the keys it was. */
static void log_popped(struct call *call, uint32_t arg, enum tree_end end, uint64_t count) {
    char digits[NUMBER_I64_MAX_LEN];
    struct bytes number = {digits, number_format_u64(digits, count)};
    CALL_LOG(call, end == TREE_FRONT ? BYTES("LPOP") : BYTES("RPOP"), call->argv[arg], number);
}

enum list_popped list_pop_first(struct call *call, uint32_t first, uint32_t keys, enum tree_end end,
                                uint64_t count) {
    for (uint32_t i = first; i < first + keys; i++) {
        struct version version;
        struct edit edit;
        if (!collection_open(call, i, TYPE_LIST, false, &edit)) return LIST_FAILED;
        if (edit.entry == NULL) continue;
        struct keyspace *ks = edit.keyspace;
        uint64_t all = count_of(&edit);
        if (count > all) count = all;
        struct popping popping = {end, count};
        if (!pop_some(call, i, &edit, popping, &version)) return LIST_FAILED;
        log_popped(call, i, end, count);
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[i]);
        reply_popped(call, &version, ks, popping);
        return LIST_POPPED;
    }
    return LIST_ABSENT;
}

/* COUNT from argv[arg] on, once at most. */
static bool lmpop_count(struct call *call, uint32_t arg, int64_t *count) {
    struct call_range range = {1, INT64_MAX, "ERR count should be greater than 0"};
    bool counted = arg + 1 < call->argc && bytes_is(call->argv[arg], "count");
    *count = 1;
    if (counted && !call_int_range_or_reply(call, arg + 1, range, count)) return false;
    if (call->argc == (counted ? arg + 2 : arg)) return true;
    call_syntax_error(call);
    return false;
}

bool list_mpop_or_reply(struct call *call, uint32_t at, struct list_mpop *mpop) {
    struct call_range range = {1, INT64_MAX, "ERR numkeys should be greater than 0"};
    int64_t keys;
    if (!call_int_range_or_reply(call, at, range, &keys)) return false;
    if (keys >= call->argc - at - 1) {
        call_syntax_error(call);
        return false;
    }
    uint32_t where = at + 1 + (uint32_t)keys;
    mpop->keys = (uint32_t)keys;
    return list_end_or_reply(call, where, &mpop->end) && lmpop_count(call, where + 1, &mpop->count);
}

static void lmpop(struct call *call) {
    struct list_mpop mpop;
    if (!list_mpop_or_reply(call, 1, &mpop)) return;
    if (list_pop_first(call, 2, mpop.keys, mpop.end, (uint64_t)mpop.count) == LIST_ABSENT)
        reply_null_array(call->reply);
}
COMMAND(lmpop) = {
    .name = "lmpop",
    .arity = -4,
    .flags = CMD_WRITE,
    .keys = {KEYS_COUNTED(1, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
    .run = lmpop,
    .group = GROUP_LIST,
    .since = "7.0.0",
    .complexity = "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    .summary = "Pop elements from a list",
    .syntax = "<numkeys:integer> <key:key> ... where:(LEFT | RIGHT) [{COUNT <count:integer>}]"};

/* ---- Moving --------------------------------------------------------------------------------------- */

/* Tells of an element that went from argv[1] to argv[2], as one change, which the push is. */
static void tell_moved(struct call *call, enum tree_end from) {
    call_changed_times(call, 1, popped_at(from), 0);
}

/* Takes the element from one end of the list argv[1] to an end of the same list. */
static bool move_within(struct call *call, struct edit *edit, enum tree_end from, enum tree_end to,
                        const struct kept *kept) {
    if (from != to && count_of(edit) > 1 && !list_rotate(edit, from)) {
        call_out_of_memory(call);
        return false;
    }
    call_changed(call, 2, pushed_at(to));
    tell_moved(call, from);
    reply_element(call, &kept->element);
    return true;
}

/* Takes it from the list argv[1] to the list argv[2]. If memory runs out between the two, it is taken back; and where even
 * that takes memory, it stays in both. */
static bool move_across(struct call *call, struct edit *source, enum tree_end from, enum tree_end to,
                        const struct kept *kept) {
    struct edit target;
    if (!collection_open(call, 2, TYPE_LIST, true, &target)) return false;
    bool pushed = list_push(&target, to, kept->element.bytes, kept->element.block);
    bool popped = pushed && list_pop(source, from);
    if (pushed && !popped && list_pop(&target, to)) pushed = false;
    collection_close(call, 2, &target, pushed_at(to), pushed);
    if (!popped) {
        struct bytes name = to == TREE_FRONT ? BYTES("LPUSH") : BYTES("RPUSH");
        if (pushed) CALL_LOG(call, name, call->argv[2], kept->element.bytes);
        call_out_of_memory(call);
        return false;
    }
    bool emptied = edit_close(source);
    tell_moved(call, from);
    if (emptied) call_emptied(call, 1);
    reply_element(call, &kept->element);
    return true;
}

enum list_popped list_move(struct call *call, enum tree_end from, enum tree_end to) {
    struct edit edit;
    struct kept kept;
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return LIST_FAILED;
    if (edit.entry == NULL) return LIST_ABSENT;
    keep_end(&kept, &edit, from);
    bool within = bytes_equal(call->argv[1], call->argv[2]);
    bool moved = within ? move_within(call, &edit, from, to, &kept)
                        : move_across(call, &edit, from, to, &kept);
    let_go(&kept);
    return moved ? LIST_POPPED : LIST_FAILED;
}

static void move(struct call *call, enum tree_end from, enum tree_end to) {
    if (list_move(call, from, to) == LIST_ABSENT) reply_null(call->reply);
}

/* What the rows of both say. */
#define MOVES                                                                                                \
    .flags = CMD_WRITE | CMD_DENYOOM, .group = GROUP_LIST, .complexity = "O(1)",                             \
    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY(2, KEY_RW | KEY_INSERT)}

static void lmove(struct call *call) {
    enum tree_end from, to;
    if (list_end_or_reply(call, 3, &from) && list_end_or_reply(call, 4, &to)) move(call, from, to);
}
COMMAND(lmove) = {.name = "lmove",
                  .arity = 5,
                  MOVES,
                  .run = lmove,
                  .since = "6.2.0",
                  .summary = "Pop an element from a list, push it to another list and return it",
                  .syntax = "<source:key> <destination:key> wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT)"};

static void rpoplpush(struct call *call) {
    move(call, TREE_BACK, TREE_FRONT);
}
COMMAND(rpoplpush) = {
    .name = "rpoplpush",
    .arity = 3,
    MOVES,
    .run = rpoplpush,
    .since = "1.2.0",
    .summary = "Remove the last element in a list, prepend it to another list and return it",
    .deprecated_since = "6.2.0",
    .replaced_by = "`LMOVE` with the `RIGHT` and `LEFT` arguments",
    .syntax = "<source:key> <destination:key>"};

/* ---- Reading -------------------------------------------------------------------------------------- */

static void llen(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_LIST, &value, &there)) return;
    reply_int(call->reply, there ? (int64_t)list_count(&value) : 0);
}
COMMAND(llen) = {.name = "llen",
                 .arity = 2,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEY(1, KEY_RO)},
                 .run = llen,
                 .group = GROUP_LIST,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Get the length of a list",
                 .syntax = "<key:key>"};

/* An index that counts from the end where it is negative. False if no element has it. */
static bool find_index(int64_t number, uint64_t count, uint64_t *index) {
    if (number < 0) number += (int64_t)count;
    *index = (uint64_t)number;
    return number >= 0 && *index < count;
}

static void lindex(struct call *call) {
    struct value value;
    bool there;
    int64_t number;
    uint64_t index;
    if (!collection_read(call, 1, TYPE_LIST, &value, &there)) return;
    if (there && !call_int_or_reply(call, 2, &number)) return;
    if (!there || !find_index(number, list_count(&value), &index)) {
        reply_null(call->reply);
        return;
    }
    struct element element = list_at(&value, index);
    reply_element(call, &element);
}
COMMAND(lindex) = {
    .name = "lindex",
    .arity = 3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = lindex,
    .group = GROUP_LIST,
    .since = "1.0.0",
    .complexity = "O(N) where N is the number of elements to traverse to get to the element at index. This "
                  "makes asking for the first or the last element of the list O(1).",
    .summary = "Get an element from a list by its index",
    .syntax = "<key:key> <index:integer>"};

/* Elements [first, end) of a list. */
struct part {
    uint64_t first, end;
};

/* The range argv[2] to argv[3], both included and counted from the end where they are negative. */
static struct part part_of(int64_t start, int64_t stop, uint64_t count) {
    int64_t all = (int64_t)count;
    if (start < 0) start = start + all > 0 ? start + all : 0;
    if (stop < 0) stop += all;
    if (stop >= all) stop = all - 1;
    if (start > stop) return (struct part){0, 0};
    return (struct part){(uint64_t)start, (uint64_t)stop + 1};
}

static void lrange(struct call *call) {
    struct value value;
    bool there;
    int64_t start, stop;
    if (!call_int_or_reply(call, 2, &start) || !call_int_or_reply(call, 3, &stop)) return;
    if (!collection_read(call, 1, TYPE_LIST, &value, &there)) return;
    struct part part = {0, 0};
    if (there) part = part_of(start, stop, list_count(&value));
    uint64_t count = part.end - part.first;
    reply_array(call->reply, count);
    if (count == 0) return;
    if (value.kind == VALUE_OBJECT)
        reply_part_of_tree(call, collection_tree(&value), part.first, count, false);
    else
        reply_part_of_pack(call, &value, part.first, count, false);
}
COMMAND(lrange) = {
    .name = "lrange",
    .arity = 4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = lrange,
    .group = GROUP_LIST,
    .since = "1.0.0",
    .complexity = "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest "
                  "end (HEAD or TAIL) for large lists; and N is the number of elements in the specified "
                  "range.",
    .summary = "Get a range of elements from a list",
    .syntax = "<key:key> <start:integer> <stop:integer>"};

/* ---- Finding -------------------------------------------------------------------------------------- */

struct search {
    bool backwards;
    uint64_t rank;  /* of the first match that counts, from 1 on */
    bool counted;   /* all matches are replied, up to `count`, in an array */
    uint64_t count; /* UINT64_MAX: all */
    uint64_t most;  /* elements that are compared */
};

static bool lpos_rank(struct call *call, uint32_t arg, struct search *search) {
    int64_t rank;
    if (!call_int_or_reply(call, arg, &rank)) return false;
    if (rank == 0) {
        reply_error(call->reply,
                    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or "
                    "use negative to start from the end of the list");
        return false;
    }
    search->backwards = rank < 0;
    search->rank = rank < 0 ? 0 - (uint64_t)rank : (uint64_t)rank;
    if (rank == INT64_MIN) search->rank = 1; /* for Redis its magnitude is below 1 */
    return true;
}

/* A number of which 0 means that there is no limit. */
static bool lpos_limit(struct call *call, uint32_t arg, const char *error, uint64_t *limit) {
    int64_t number;
    if (!call_int_range_or_reply(call, arg, (struct call_range){0, INT64_MAX, error}, &number)) return false;
    *limit = number ? (uint64_t)number : UINT64_MAX;
    return true;
}

static bool lpos_options(struct call *call, struct search *search) {
    *search = (struct search){.rank = 1, .count = 1, .most = UINT64_MAX};
    for (uint32_t i = 3; i < call->argc; i += 2) {
        bool last = i + 1 == call->argc, good;
        if (!last && bytes_is(call->argv[i], "rank")) {
            good = lpos_rank(call, i + 1, search);
        } else if (!last && bytes_is(call->argv[i], "count")) {
            search->counted = true;
            good = lpos_limit(call, i + 1, "ERR COUNT can't be negative", &search->count);
        } else if (!last && bytes_is(call->argv[i], "maxlen")) {
            good = lpos_limit(call, i + 1, "ERR MAXLEN can't be negative", &search->most);
        } else {
            call_syntax_error(call);
            good = false;
        }
        if (!good) return false;
    }
    return true;
}

/* Goes over the matches that count, and replies their indices where they shall be. How many there are. */
static uint64_t walk_matches(struct call *call, const struct value *value, const struct search *search,
                             bool replies) {
    uint64_t count = list_count(value), left = search->most < count ? search->most : count, found = 0, index;
    struct list_walk walk;
    list_walk(&walk, value, search->backwards ? count : 0, search->backwards);
    for (uint64_t passed = 1; found < search->count && list_find(&walk, call->argv[2], left, &index);
         passed++) {
        uint64_t seen = search->backwards ? count - index : index + 1;
        left = (search->most < count ? search->most : count) - seen;
        if (passed < search->rank) continue;
        found++;
        if (replies) reply_int(call->reply, (int64_t)index);
    }
    return found;
}

static void lpos(struct call *call) {
    struct search search;
    struct value value;
    bool there;
    if (!lpos_options(call, &search)) return;
    if (!collection_read(call, 1, TYPE_LIST, &value, &there)) return;
    uint64_t found = 0;
    if (there && search.counted) found = walk_matches(call, &value, &search, false);
    if (search.counted) reply_array(call->reply, found);
    if (search.counted && found == 0) return;
    if (there) found = walk_matches(call, &value, &search, true);
    if (found == 0) reply_null(call->reply);
}
COMMAND(lpos) = {
    .name = "lpos",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = lpos,
    .group = GROUP_LIST,
    .since = "6.0.6",
    .complexity = "O(N) where N is the number of elements in the list, for the average case. When searching "
                  "for elements near the head or the tail of the list, or when the MAXLEN option is "
                  "provided, the command may run in constant time.",
    .summary = "Return the index of matching elements on a list",
    .syntax = "<key:key> <element> [{RANK <rank:integer>}] [{COUNT <num-matches:integer>}] "
              "[{MAXLEN <len:integer>}]"};

/* ---- Changing in the middle ----------------------------------------------------------------------- */

static void lset(struct call *call) {
    struct edit edit;
    int64_t number;
    uint64_t index;
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    if (!call_int_or_reply(call, 2, &number)) return;
    if (!find_index(number, count_of(&edit), &index)) {
        reply_error(call->reply, "ERR index out of range");
        return;
    }
    bool done = list_replace(&edit, index, call->argv[3], call_block(call, 3));
    collection_close(call, 1, &edit, EVENT_LSET, done);
    if (done)
        reply_ok(call->reply);
    else
        call_out_of_memory(call);
}
COMMAND(lset) = {.name = "lset",
                 .arity = 4,
                 .flags = CMD_WRITE | CMD_DENYOOM,
                 .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
                 .run = lset,
                 .group = GROUP_LIST,
                 .since = "1.0.0",
                 .complexity = "O(N) where N is the length of the list. Setting either the first or the last "
                               "element of the list is O(1).",
                 .summary = "Set the value of an element in a list by its index",
                 .syntax = "<key:key> <index:integer> <element>"};

/* Where the pivot argv[3] is. */
static bool find_pivot(struct call *call, const struct edit *edit, uint64_t *index) {
    struct value value = entry_value(edit->entry);
    struct list_walk walk;
    list_walk(&walk, &value, 0, false);
    return list_find(&walk, call->argv[3], UINT64_MAX, index);
}

static void linsert(struct call *call) {
    struct edit edit;
    uint64_t index;
    bool behind = bytes_is(call->argv[2], "after");
    if (!behind && !bytes_is(call->argv[2], "before")) {
        call_syntax_error(call);
        return;
    }
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return;
    if (edit.entry == NULL || !find_pivot(call, &edit, &index)) {
        reply_int(call->reply, edit.entry ? -1 : 0);
        return;
    }
    bool done = list_insert(&edit, index + behind, call->argv[4], call_block(call, 4));
    uint64_t count = count_of(&edit);
    collection_close(call, 1, &edit, EVENT_LINSERT, done);
    if (done)
        reply_int(call->reply, (int64_t)count);
    else
        call_out_of_memory(call);
}
COMMAND(linsert) = {
    .name = "linsert",
    .arity = 5,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_RW | KEY_INSERT)},
    .run = linsert,
    .group = GROUP_LIST,
    .since = "2.2.0",
    .complexity = "O(N) where N is the number of elements to traverse before seeing the value pivot. This "
                  "means that inserting somewhere on the left end on the list (head) can be considered O(1) "
                  "and inserting somewhere on the right end (tail) is O(N).",
    .summary = "Insert an element before or after another element in a list",
    .syntax = "<key:key> where:(BEFORE | AFTER) <pivot> <element>"};

static void lrem(struct call *call) {
    struct edit edit;
    int64_t count;
    uint64_t removed;
    char digits[NUMBER_I64_MAX_LEN];
    if (!call_int_or_reply(call, 2, &count)) return;
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    bool backwards = count < 0;
    uint64_t most = backwards ? 0 - (uint64_t)count : count ? (uint64_t)count : UINT64_MAX;
    bool done = list_remove_equal(&edit, call->argv[3], most, backwards, &removed);
    collection_close(call, 1, &edit, EVENT_LREM, removed);
    if (done) {
        reply_int(call->reply, (int64_t)removed);
        return;
    }
    int64_t part = backwards ? -(int64_t)removed : (int64_t)removed;
    struct bytes text = {digits, number_format_i64(digits, part)};
    if (removed) CALL_LOG(call, call->argv[0], call->argv[1], text, call->argv[3]);
    call_out_of_memory(call);
}
COMMAND(lrem) = {
    .name = "lrem",
    .arity = 4,
    .flags = CMD_WRITE,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = lrem,
    .group = GROUP_LIST,
    .since = "1.0.0",
    .complexity = "O(N+M) where N is the length of the list and M is the number of elements removed.",
    .summary = "Remove elements from a list",
    .syntax = "<key:key> <count:integer> <element>"};

/* Takes out what is behind the part, and then what is before it. False without memory: *removed went until then. */
static bool trim(struct edit *edit, struct part part, uint64_t *removed) {
    uint64_t count = count_of(edit);
    *removed = 0;
    if (!list_remove(edit, part.end, count - part.end)) return false;
    *removed = count - part.end;
    if (!list_remove(edit, 0, part.first)) return false;
    *removed += part.first;
    return true;
}

static void ltrim(struct call *call) {
    struct edit edit;
    int64_t start, stop;
    uint64_t removed;
    char digits[NUMBER_I64_MAX_LEN];
    if (!call_int_or_reply(call, 2, &start) || !call_int_or_reply(call, 3, &stop)) return;
    if (!collection_open(call, 1, TYPE_LIST, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_ok(call->reply);
        return;
    }
    struct part part = part_of(start, stop, count_of(&edit));
    bool done = trim(&edit, part, &removed);
    collection_close(call, 1, &edit, EVENT_LTRIM, removed);
    if (done && removed == 0) call_changed_times(call, 1, EVENT_LTRIM, 0); /* Redis says so, too */
    if (done) {
        reply_ok(call->reply);
        return;
    }
    struct bytes last = {digits, number_format_u64(digits, part.end - 1)};
    if (removed) CALL_LOG(call, call->argv[0], call->argv[1], BYTES("0"), last);
    call_out_of_memory(call);
}
COMMAND(ltrim) = {.name = "ltrim",
                  .arity = 4,
                  .flags = CMD_WRITE,
                  .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                  .run = ltrim,
                  .group = GROUP_LIST,
                  .since = "1.0.0",
                  .complexity = "O(N) where N is the number of elements to be removed by the operation.",
                  .summary = "Trim a list to the specified range",
                  .syntax = "<key:key> <start:integer> <stop:integer>"};
