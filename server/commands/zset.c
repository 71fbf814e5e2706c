/* zset.c - sorted sets, but for ranges and what makes one of several: ZADD, ZSCORE, ZPOPMIN and their kin. What a sorted set
 * is, and how it is kept, is in store/types/zset.h. */
#include "server/commands/zset.h"

#include <math.h>
#include <stdlib.h>

#include "server/commands/keys.h"
#include "server/config/config.h"

/* ---- What all have in common ---------------------------------------------------------------------- */

bool zset_score_or_reply(struct call *call, uint32_t arg, const char *error, double *score) {
    if (number_parse_double(call->argv[arg], score)) return true;
    reply_error(call->reply, error ? error : "ERR value is not a valid float");
    return false;
}

unsigned zset_show(const struct call *call, bool scores) {
    if (!scores) return 0;
    return call->reply->resp > 2 ? ZSET_SCORES | ZSET_PAIRS : ZSET_SCORES;
}

void zset_reply_header(struct call *call, uint64_t count, unsigned show) {
    reply_array(call->reply, show == ZSET_SCORES ? count * 2 : count);
}

void zset_reply_item(struct reply *reply, struct metrics *metrics, const struct zset_item *item,
                     unsigned show) {
    if (show & ZSET_PAIRS) reply_array(reply, 2);
    collection_reply_element(reply, metrics, &item->member);
    if (show & ZSET_SCORES) reply_double(reply, item->score);
}

static void write_item(struct reply *reply, struct metrics *metrics, const struct tree_item *item,
                       unsigned show) {
    struct zset_item shown = {{item->parts[0], item->blocks[0]}, item->score};
    zset_reply_item(reply, metrics, &shown, show);
}

static struct collection_show show_items(unsigned show) {
    return (struct collection_show){.write = show ? write_item : NULL, .how = show};
}

void zset_reply_range(struct call *call, const struct value *value, struct collection_range range,
                      unsigned show) {
    if (range.count == 0) return; /* there may be no value */
    if (value->kind == VALUE_OBJECT) {
        collection_reply_items(call, collection_tree(value), range, show_items(show));
        return;
    }
    struct zset_walk walk;
    struct zset_item item;
    zset_walk(&walk, value, range.position, range.backwards);
    for (uint64_t i = 0; i < range.count && zset_next(&walk, &item); i++)
        zset_reply_item(call->reply, call->effects->metrics, &item, show);
}

bool zset_is_large(uint64_t count, size_t longest) {
    return longest > (uint64_t)config.zset_max_listpack_value ||
           count > (uint64_t)config.zset_max_listpack_entries;
}

/* ---- Storing -------------------------------------------------------------------------------------- */

/* Makes the value of the key argv[arg] and sets it. False without memory. */
static bool set_value(struct call *call, uint32_t arg, struct zset_items items) {
    char pack[COLLECTION_PACK_BYTES];
    struct keyspace *ks = call_keyspace(call, arg);
    struct value value;
    size_t longest = 0;
    for (size_t i = 0; i < items.count; i++)
        if (items.items[i].member.bytes.len > longest) longest = items.items[i].member.bytes.len;
    if (!zset_build(ks, items, zset_is_large(items.count, longest), pack, &value)) return false;
    struct entry *e = keyspace_set(ks, call->db, call_key(call, arg), &value, EXPIRY_NONE);
    value_release(&value, &ks->dead);
    keyspace_note_garbage(ks);
    if (e) call_touch(call, e);
    return e;
}

void zset_store(struct call *call, uint32_t arg, struct zset_items items, enum event event,
                uint64_t changes) {
    if (items.count == 0) {
        collection_store_nothing(call, arg);
        return;
    }
    bool creates = !call_peek(call, arg);
    if (!set_value(call, arg, items)) {
        call_out_of_memory(call);
        return;
    }
    if (creates) call_created(call, arg);
    call_changed_times(call, arg, event, changes);
    reply_int(call->reply, (int64_t)items.count);
}

/* ---- Adding --------------------------------------------------------------------------------------- */

enum add_flag {
    ADD_NX = 1 << 0,
    ADD_XX = 1 << 1,
    ADD_GT = 1 << 2,
    ADD_LT = 1 << 3,
    ADD_CH = 1 << 4,
    ADD_INCR = 1 << 5,
};

/* What ZADD shall do, and has done. */
struct adding {
    unsigned flags;
    uint32_t first; /* argument number of the first score */
    uint32_t count; /* scores and members */
    double few[8], *scores;
    uint64_t added, updated;
    bool processed, out_of_memory;
    double score; /* of the last one that was processed */
};

static unsigned add_flag(struct bytes word) {
    if (bytes_is(word, "nx")) return ADD_NX;
    if (bytes_is(word, "xx")) return ADD_XX;
    if (bytes_is(word, "gt")) return ADD_GT;
    if (bytes_is(word, "lt")) return ADD_LT;
    if (bytes_is(word, "ch")) return ADD_CH;
    return bytes_is(word, "incr") ? ADD_INCR : 0;
}

static const char *incompatible(const struct adding *adding) {
    unsigned flags = adding->flags;
    if ((flags & ADD_NX) && (flags & ADD_XX))
        return "ERR XX and NX options at the same time are not compatible";
    if (((flags & ADD_NX) && (flags & (ADD_GT | ADD_LT))) || ((flags & ADD_GT) && (flags & ADD_LT)))
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if ((flags & ADD_INCR) && adding->count > 1)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

/* Options and numbers of ZADD, and of ZINCRBY, which Redis reads the same way. False after replying. */
static bool add_options(struct call *call, unsigned flags, struct adding *adding) {
    unsigned flag;
    *adding = (struct adding){.flags = flags, .first = 2};
    for (; adding->first < call->argc && (flag = add_flag(call->argv[adding->first])); adding->first++)
        adding->flags |= flag;
    uint32_t left = call->argc - adding->first;
    if (left == 0 || left % 2) {
        call_syntax_error(call);
        return false;
    }
    adding->count = left / 2;
    const char *error = incompatible(adding);
    if (error) reply_error(call->reply, error);
    return error == NULL;
}

/* Reads the scores, all of them before anything is changed. False after replying. */
static bool add_scores(struct call *call, struct adding *adding) {
    bool many = adding->count > sizeof adding->few / sizeof *adding->few;
    adding->scores = many ? malloc(adding->count * sizeof *adding->scores) : adding->few;
    if (adding->scores == NULL) {
        call_out_of_memory(call);
        return false;
    }
    for (uint32_t i = 0; i < adding->count; i++)
        if (!zset_score_or_reply(call, adding->first + i * 2, NULL, &adding->scores[i])) return false;
    return true;
}
static void free_scores(struct adding *adding) {
    if (adding->scores != adding->few) free(adding->scores);
}

/* Gives the member argv[arg] a score, under no condition. What passes Redis's thresholds marks the sorted set. What is
 * called a listpack has no -0, as in Redis. */
static void put(struct call *call, struct edit *edit, struct adding *adding, uint32_t arg,
                const struct zset_place *old) {
    struct element member = {call->argv[arg], call_block(call, arg)};
    struct value before = entry_value(edit->entry);
    bool large = before.edited || (!old && zset_is_large(zset_count(&before) + 1, member.bytes.len));
    double score = adding->score == 0 && !large ? 0 : adding->score;
    enum zset_changed changed = zset_put(edit, member, score, old);
    adding->out_of_memory = changed == ZSET_NO_MEMORY;
    adding->updated += changed == ZSET_REPLACED;
    adding->added += changed == ZSET_ADDED;
    if (changed == ZSET_ADDED && large && !before.edited) edit_mark(edit);
}

/* Adds the member argv[arg], if the flags let it. False if its score would be no number. */
static bool add(struct call *call, struct edit *edit, struct adding *adding, uint32_t arg, double score) {
    struct value value = entry_value(edit->entry);
    struct zset_place old;
    unsigned flags = adding->flags;
    const struct tree_guess *guesses = adding->count == 1 ? call->guesses : NULL;
    bool there = zset_locate(edit->keyspace, &value, call->argv[arg], guesses, &old);
    if (there ? flags & ADD_NX : flags & ADD_XX) return true;
    if (there && (flags & ADD_INCR)) score += old.score;
    if (isnan(score)) return false;
    if (there && (((flags & ADD_LT) && score >= old.score) || ((flags & ADD_GT) && score <= old.score)))
        return true;
    adding->score = score;
    adding->processed = true;
    put(call, edit, adding, arg, there ? &old : NULL);
    return true;
}

static void reply_added(struct call *call, const struct adding *adding) {
    if (!(adding->flags & ADD_INCR))
        reply_int(call->reply,
                  (int64_t)(adding->flags & ADD_CH ? adding->added + adding->updated : adding->added));
    else if (adding->processed)
        reply_double(call->reply, adding->score);
    else
        reply_null(call->reply);
}

/* What the journal gets where that is not the request itself: a sum, or the part that was done. */
static void log_added(struct call *call, const struct adding *adding, uint32_t done) {
    char text[NUMBER_DOUBLE_MAX_LEN];
    if (adding->added + adding->updated == 0) return;
    if (adding->flags & ADD_INCR) {
        struct bytes score = {text, number_format_double(text, adding->score)};
        CALL_LOG(call, BYTES("ZADD"), call->argv[1], score, call->argv[adding->first + 1]);
    } else if (adding->out_of_memory) {
        call_log(call, call->argv, adding->first + done * 2);
    }
}

static void add_all(struct call *call, struct adding *adding) {
    struct edit edit;
    uint32_t done = 0;
    bool number = true;
    if (!collection_open(call, 1, TYPE_ZSET, !(adding->flags & ADD_XX), &edit)) return;
    if (edit.entry == NULL) {
        reply_added(call, adding);
        return;
    }
    while (done < adding->count && number && !adding->out_of_memory) {
        number = add(call, &edit, adding, adding->first + done * 2 + 1, adding->scores[done]);
        done += number && !adding->out_of_memory;
    }
    enum event event = adding->flags & ADD_INCR ? EVENT_ZINCR : EVENT_ZADD;
    collection_close(call, 1, &edit, event, adding->added + adding->updated);
    log_added(call, adding, done);
    if (!number)
        reply_error(call->reply, "ERR resulting score is not a number (NaN)");
    else if (adding->out_of_memory)
        call_out_of_memory(call);
    else
        reply_added(call, adding);
}

static void add_with(struct call *call, unsigned flags) {
    struct adding adding;
    if (!add_options(call, flags, &adding)) return;
    if (add_scores(call, &adding)) add_all(call, &adding);
    free_scores(&adding);
}

void zset_add(struct call *call) {
    add_with(call, 0);
}
_Static_assert((int)ZSET_GUESSES == (int)COMMAND_GUESSES, "a request has all that zset_ahead finds for it");

static void ask_ahead(const struct command_ahead *ahead, const struct bytes *members, const double *scores,
                      unsigned count) {
    struct zset_ahead wanted = {members, scores, count, ahead->guesses};
    if (ahead->value->type == TYPE_ZSET) zset_ahead(ahead->keyspace, ahead->value, &wanted);
}

/* Of those that have one score and one member, and no options, up to the first that has not. */
static void added_ahead(const struct command_ahead *ahead) {
    struct bytes members[COMMAND_AHEAD_MOST];
    double scores[COMMAND_AHEAD_MOST];
    unsigned count = 0;
    for (; count < ahead->count && number_parse_double(ahead->argvs[count][2], &scores[count]); count++)
        members[count] = ahead->argvs[count][3];
    ask_ahead(ahead, members, scores, count);
}

static void members_ahead(const struct command_ahead *ahead) {
    struct bytes members[COMMAND_AHEAD_MOST];
    for (unsigned i = 0; i < ahead->count; i++) members[i] = ahead->argvs[i][2];
    ask_ahead(ahead, members, NULL, ahead->count);
}

COMMAND(zadd) = {
    .name = "zadd",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = zset_add,
    .ahead = added_ahead,
    .group = GROUP_SORTED_SET,
    .since = "1.2.0",
    .complexity = "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    .summary = "Add one or more members to a sorted set, or update its score if it already exists",
    .history = "2.4.0: Accepts multiple elements.\n3.0.2: Added the `XX`, `NX`, `CH` and `INCR` "
               "options.\n6.2.0: Added the `GT` and `LT` options.",
    .syntax = "<key:key> [condition:( NX | XX )@3.0.2] [comparison:( GT | LT )@6.2.0] [change:CH@3.0.2] "
              "[increment:INCR@3.0.2] score_member:{ <score:double> <member> } ..."};

static void zincrby(struct call *call) {
    add_with(call, ADD_INCR);
}
COMMAND(zincrby) = {.name = "zincrby",
                    .arity = 4,
                    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
                    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)},
                    .run = zincrby,
                    .group = GROUP_SORTED_SET,
                    .since = "1.2.0",
                    .complexity = "O(log(N)) where N is the number of elements in the sorted set.",
                    .summary = "Increment the score of a member in a sorted set",
                    .syntax = "<key:key> <increment:integer> <member>"};

/* ---- Asking --------------------------------------------------------------------------------------- */

static void zcard(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    reply_int(call->reply, there ? (int64_t)zset_count(&value) : 0);
}
COMMAND(zcard) = {.name = "zcard",
                  .arity = 2,
                  .flags = CMD_READONLY | CMD_FAST,
                  .keys = {KEY(1, KEY_RO)},
                  .run = zcard,
                  .group = GROUP_SORTED_SET,
                  .since = "1.2.0",
                  .complexity = "O(1)",
                  .summary = "Get the number of members in a sorted set",
                  .syntax = "<key:key>"};

/* The score of the member argv[arg] of what was looked up, or a null. */
static void reply_score(struct call *call, bool there, const struct value *value, uint32_t arg) {
    struct zset_place place;
    if (there && zset_locate(call_keyspace(call, 1), value, call->argv[arg], call->guesses, &place))
        reply_double(call->reply, place.score);
    else
        reply_null(call->reply);
}

static void zscore(struct call *call) {
    struct value value;
    bool there;
    if (collection_read(call, 1, TYPE_ZSET, &value, &there)) reply_score(call, there, &value, 2);
}
COMMAND(zscore) = {.name = "zscore",
                   .arity = 3,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = zscore,
                   .ahead = members_ahead,
                   .group = GROUP_SORTED_SET,
                   .since = "1.2.0",
                   .complexity = "O(1)",
                   .summary = "Get the score associated with the given member in a sorted set",
                   .syntax = "<key:key> <member>"};

static void zmscore(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) reply_score(call, there, &value, i);
}
COMMAND(zmscore) = {.name = "zmscore",
                    .arity = -3,
                    .flags = CMD_READONLY | CMD_FAST,
                    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                    .run = zmscore,
                    .group = GROUP_SORTED_SET,
                    .since = "6.2.0",
                    .complexity = "O(N) where N is the number of members being requested.",
                    .summary = "Get the score associated with the given members in a sorted set",
                    .syntax = "<key:key> <member> ..."};

static void reply_rank(struct call *call, bool backwards) {
    struct value value;
    struct zset_place place;
    bool there, with_score = call->argc == 4;
    if (call->argc > 4) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->name);
        return;
    }
    if (with_score && !bytes_is(call->argv[3], "withscore")) {
        call_syntax_error(call);
        return;
    }
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    if (!there || !zset_locate(call_keyspace(call, 1), &value, call->argv[2], call->guesses, &place)) {
        if (with_score)
            reply_null_array(call->reply);
        else
            reply_null(call->reply);
        return;
    }
    uint64_t rank = zset_rank_of(&value, call->argv[2], &place);
    if (with_score) reply_array(call->reply, 2);
    reply_int(call->reply, (int64_t)(backwards ? zset_count(&value) - 1 - rank : rank));
    if (with_score) reply_double(call->reply, place.score);
}

static void zrank(struct call *call) {
    reply_rank(call, false);
}
COMMAND(zrank) = {.name = "zrank",
                  .arity = -3,
                  .flags = CMD_READONLY | CMD_FAST,
                  .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                  .run = zrank,
                  .ahead = members_ahead,
                  .group = GROUP_SORTED_SET,
                  .since = "2.0.0",
                  .complexity = "O(log(N))",
                  .summary = "Determine the index of a member in a sorted set",
                  .history = "7.2.0: Added the optional `WITHSCORE` argument.",
                  .syntax = "<key:key> <member> [withscore:WITHSCORE@7.2.0]"};

static void zrevrank(struct call *call) {
    reply_rank(call, true);
}
COMMAND(zrevrank) = {
    .name = "zrevrank",
    .arity = -3,
    .flags = CMD_READONLY | CMD_FAST,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrevrank,
    .ahead = members_ahead,
    .group = GROUP_SORTED_SET,
    .since = "2.0.0",
    .complexity = "O(log(N))",
    .summary = "Determine the index of a member in a sorted set, with scores ordered from high to low",
    .history = "7.2.0: Added the optional `WITHSCORE` argument.",
    .syntax = "<key:key> <member> [withscore:WITHSCORE@7.2.0]"};

/* ---- Removing ------------------------------------------------------------------------------------- */

static void zrem(struct call *call) {
    struct edit edit;
    uint64_t deleted = 0;
    enum zset_changed changed = ZSET_UNCHANGED;
    uint32_t i = 2;
    if (!collection_open(call, 1, TYPE_ZSET, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    for (uint64_t left = UINT64_MAX; i < call->argc && changed != ZSET_NO_MEMORY && left > 0; i++) {
        changed = zset_delete(&edit, call->argv[i]);
        if (changed != ZSET_DELETED) continue;
        struct value value = entry_value(edit.entry);
        left = zset_count(&value);
        deleted++;
    }
    collection_close(call, 1, &edit, EVENT_ZREM, deleted);
    if (changed != ZSET_NO_MEMORY) {
        reply_int(call->reply, (int64_t)deleted);
        return;
    }
    if (deleted) call_log(call, call->argv, i - 1);
    call_out_of_memory(call);
}
COMMAND(zrem) = {.name = "zrem",
                 .arity = -3,
                 .flags = CMD_WRITE | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                 .run = zrem,
                 .ahead = members_ahead,
                 .group = GROUP_SORTED_SET,
                 .since = "1.2.0",
                 .complexity = "O(M*log(N)) with N being the number of elements in the sorted set and M the "
                               "number of elements to be removed.",
                 .summary = "Remove one or more members from a sorted set",
                 .history = "2.4.0: Accepts multiple elements.",
                 .syntax = "<key:key> <member> ..."};

/* ---- Popping -------------------------------------------------------------------------------------- */

/* Members that are about to go, as they were: what was a pack is copied, a large value retained. */
struct popped {
    struct value value;
    struct tree tree; /* of a large value */
    char pack[COLLECTION_PACK_BYTES];
};

static void keep_popped(struct popped *popped, const struct value *value) {
    popped->value = *value;
    if (value->kind == VALUE_OBJECT) {
        tree_fork(&popped->tree, &collection_of(value->object)->tree);
        return;
    }
    struct bytes bytes = value_bytes(value);
    memcpy(popped->pack, bytes.data, bytes.len);
    popped->value.kind = VALUE_INLINE;
    popped->value.bytes = (struct bytes){popped->pack, bytes.len};
}

static void reply_popped(struct call *call, const struct popped *popped, struct collection_range range,
                         unsigned show) {
    if (popped->value.kind == VALUE_OBJECT)
        collection_reply_items(call, &popped->tree, range, show_items(show));
    else
        zset_reply_range(call, &popped->value, range, show);
}

static void drop_popped(struct keyspace *ks, struct popped *popped) {
    if (popped->value.kind != VALUE_OBJECT) return;
    tree_release(&popped->tree, &ks->dead.nodes);
    keyspace_note_nodes(ks);
}

/* After `count` members went. */
static void tell_popped(struct call *call, uint32_t arg, struct edit *edit,
                        const struct zset_popping *popping, uint64_t count) {
    char digits[NUMBER_I64_MAX_LEN];
    collection_close(call, arg, edit, popping->max ? EVENT_ZPOPMAX : EVENT_ZPOPMIN, count);
    if (count == 0) {
        call_out_of_memory(call);
        return;
    }
    struct bytes name = popping->max ? BYTES("ZPOPMAX") : BYTES("ZPOPMIN");
    struct bytes number = {digits, number_format_u64(digits, count)};
    if (popping->triple) {
        CALL_LOG(call, name, call->argv[arg]);
        reply_array(call->reply, 3);
        reply_bulk(call->reply, call->argv[arg]);
        return;
    }
    if (popping->other_name || count < popping->count) CALL_LOG(call, name, call->argv[arg], number);
    if (popping->names_key) {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, call->argv[arg]);
    }
    zset_reply_header(call, count, popping->show);
}

/* One member that is in no block: it is copied. False if it is in one. */
static bool pop_one(struct call *call, uint32_t arg, struct edit *edit, const struct zset_popping *popping,
                    struct zset_span span) {
    struct value value = entry_value(edit->entry);
    struct zset_walk walk;
    struct zset_item item;
    char copy[ELEMENT_INLINE_MAX];
    zset_walk(&walk, &value, span.from, false);
    if (!zset_next(&walk, &item) || item.member.block) return false;
    if (item.member.bytes.len) memcpy(copy, item.member.bytes.data, item.member.bytes.len);
    item.member.bytes.data = copy;
    uint64_t count = zset_delete_span(edit, span);
    tell_popped(call, arg, edit, popping, count);
    if (count) zset_reply_item(call->reply, call->effects->metrics, &item, popping->show);
    return true;
}

static void pop_some(struct call *call, uint32_t arg, struct edit *edit, const struct zset_popping *popping,
                     struct zset_span span) {
    struct value value = entry_value(edit->entry);
    struct popped popped;
    keep_popped(&popped, &value);
    uint64_t count = zset_delete_span(edit, span);
    struct collection_range range = {span.from, count, false};
    if (popping->max) range = (struct collection_range){span.from + count - 1, count, true};
    tell_popped(call, arg, edit, popping, count);
    if (count) reply_popped(call, &popped, range, popping->show);
    drop_popped(call_keyspace(call, arg), &popped);
}

/* Pops members of the edit of argv[arg], which has some. */
static void pop(struct call *call, uint32_t arg, struct edit *edit, struct zset_popping *popping) {
    struct value value = entry_value(edit->entry);
    uint64_t all = zset_count(&value);
    if (popping->count > all) popping->count = all;
    struct zset_span span = {popping->max ? all - popping->count : 0, popping->count};
    if (span.count == 1 && pop_one(call, arg, edit, popping, span)) return;
    pop_some(call, arg, edit, popping, span);
}

/* One short member of a large sorted set, as a rule. */
static inline bool pop_at_hand(struct call *call, bool max) {
    const struct entry *e = call->argc == 2 ? collection_open_at_hand(call, 1, TYPE_ZSET) : NULL;
    struct zset_popped popped;
    if (e == NULL || !zset_pop_short(call_keyspace(call, 1), entry_object(e), max ? TREE_BACK : TREE_FRONT,
                                     call->guesses, &popped))
        return false;
    call_changed(call, 1, max ? EVENT_ZPOPMAX : EVENT_ZPOPMIN);
    zset_reply_header(call, 1, ZSET_SCORES);
    zset_reply_item(call->reply, call->effects->metrics, &popped.item, ZSET_SCORES);
    return true;
}

static void pop_end(struct call *call, bool max) {
    const struct call_range counts = {0, INT64_MAX, "ERR value is out of range, must be positive"};
    struct zset_popping popping = {.max = max, .count = 1, .show = ZSET_SCORES};
    struct edit edit;
    int64_t count = 1;
    if (pop_at_hand(call, max)) return;
    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (call->argc == 3) {
        if (!call_int_range_or_reply(call, 2, counts, &count)) return;
        popping.show = zset_show(call, true);
        popping.count = (uint64_t)count;
    }
    if (!collection_open(call, 1, TYPE_ZSET, false, &edit)) return;
    if (edit.entry && count > 0) {
        pop(call, 1, &edit, &popping);
        return;
    }
    if (edit.entry) collection_close(call, 1, &edit, EVENT_NONE, 0);
    reply_array(call->reply, 0);
}

static void ahead_of_end(const struct command_ahead *ahead, enum tree_end end) {
    if (ahead->value->type == TYPE_ZSET)
        zset_ahead_of_end(ahead->keyspace, ahead->value, end, ahead->count, ahead->guesses);
}
static void first_ahead(const struct command_ahead *ahead) {
    ahead_of_end(ahead, TREE_FRONT);
}
static void last_ahead(const struct command_ahead *ahead) {
    ahead_of_end(ahead, TREE_BACK);
}

static void zpopmin(struct call *call) {
    pop_end(call, false);
}
COMMAND(zpopmin) = {.name = "zpopmin",
                    .arity = -2,
                    .flags = CMD_WRITE | CMD_FAST,
                    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
                    .run = zpopmin,
                    .ahead = first_ahead,
                    .group = GROUP_SORTED_SET,
                    .since = "5.0.0",
                    .complexity = "O(log(N)*M) with N being the number of elements in the sorted set, and M "
                                  "being the number of elements popped.",
                    .summary = "Remove and return members with the lowest scores in a sorted set",
                    .syntax = "<key:key> [<count:integer>]"};

static void zpopmax(struct call *call) {
    pop_end(call, true);
}
COMMAND(zpopmax) = {.name = "zpopmax",
                    .arity = -2,
                    .flags = CMD_WRITE | CMD_FAST,
                    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
                    .run = zpopmax,
                    .ahead = last_ahead,
                    .group = GROUP_SORTED_SET,
                    .since = "5.0.0",
                    .complexity = "O(log(N)*M) with N being the number of elements in the sorted set, and M "
                                  "being the number of elements popped.",
                    .summary = "Remove and return members with the highest scores in a sorted set",
                    .syntax = "<key:key> [<count:integer>]"};

bool zset_pop_first(struct call *call, uint32_t first, uint32_t keys, struct zset_popping *popping) {
    for (uint32_t i = first; i < first + keys; i++) {
        struct edit edit;
        if (!collection_open(call, i, TYPE_ZSET, false, &edit)) return true;
        if (edit.entry == NULL) continue;
        pop(call, i, &edit, popping);
        return true;
    }
    return false;
}

/* What follows the keys of ZMPOP. False after replying. */
static bool mpop_options(struct call *call, uint32_t where, struct zset_popping *popping) {
    const struct call_range positive = {1, INT64_MAX, "ERR count should be greater than 0"};
    int64_t count = 1;
    bool counted = false;
    popping->max = bytes_is(call->argv[where], "max");
    if (!popping->max && !bytes_is(call->argv[where], "min")) {
        call_syntax_error(call);
        return false;
    }
    for (uint32_t i = where + 1; i < call->argc; i += 2) {
        if (counted || !bytes_is(call->argv[i], "count") || i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        if (!call_int_range_or_reply(call, i + 1, positive, &count)) return false;
        counted = true;
    }
    popping->count = (uint64_t)count;
    return true;
}

bool zset_mpop_or_reply(struct call *call, uint32_t at, uint32_t *keys, struct zset_popping *popping) {
    const struct call_range positive = {1, INT64_MAX, "ERR numkeys should be greater than 0"};
    int64_t number;
    *popping = (struct zset_popping){.show = ZSET_SCORES | ZSET_PAIRS, .names_key = true, .other_name = true};
    if (!call_int_range_or_reply(call, at, positive, &number)) return false;
    if (number >= (int64_t)call->argc - at - 1) {
        call_syntax_error(call);
        return false;
    }
    *keys = (uint32_t)number;
    return mpop_options(call, at + 1 + *keys, popping);
}

static void zmpop(struct call *call) {
    struct zset_popping popping;
    uint32_t keys;
    if (!zset_mpop_or_reply(call, 1, &keys, &popping)) return;
    if (!zset_pop_first(call, 2, keys, &popping)) reply_null_array(call->reply);
}
COMMAND(zmpop) = {
    .name = "zmpop",
    .arity = -4,
    .flags = CMD_WRITE,
    .keys = {KEYS_COUNTED(1, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
    .run = zmpop,
    .group = GROUP_SORTED_SET,
    .since = "7.0.0",
    .complexity = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements "
                  "in the sorted set, and M being the number of elements popped.",
    .summary = "Remove and return members with scores in a sorted set",
    .syntax = "<numkeys:integer> <key:key> ... where:( MIN | MAX ) [{COUNT <count:integer>}]"};

/* ---- Chance --------------------------------------------------------------------------------------- */

static void write_at(struct reply *reply, struct metrics *metrics, const struct value *value, uint64_t at,
                     uint64_t show) {
    struct zset_walk walk;
    struct zset_item item;
    zset_walk(&walk, value, at, false);
    bool any = zset_next(&walk, &item);
    assert(any);
    zset_reply_item(reply, metrics, &item, (unsigned)show);
}
static void reply_at(struct call *call, const struct value *value, uint64_t at, unsigned show) {
    write_at(call->reply, call->effects->metrics, value, at, show);
}

/* So many different members. */
static void reply_sample(struct call *call, const struct value *value, uint64_t count, unsigned show) {
    uint64_t state = keys_random(call), all = zset_count(value);
    if (count >= all) {
        zset_reply_header(call, all, show);
        zset_reply_range(call, value, (struct collection_range){.count = all}, show);
        return;
    }
    uint64_t *sample = collection_sample(&state, count, all);
    if (sample == NULL) {
        call_out_of_memory(call);
        return;
    }
    zset_reply_header(call, count, show);
    for (uint64_t i = 0; i < count; i++) reply_at(call, value, sample[i], show);
    free(sample);
}

static void random_members(struct call *call, int64_t count, unsigned show) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    if (!there || count == 0) {
        reply_array(call->reply, 0);
        return;
    }
    if (count > 0) {
        reply_sample(call, &value, (uint64_t)count, show);
        return;
    }
    uint64_t times = 0 - (uint64_t)count;
    zset_reply_header(call, times, show);
    struct collection_places all = {.count = zset_count(&value)};
    collection_reply_draws(call, &value, all, times, (struct collection_writer){write_at, show});
}

static void random_member(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    uint64_t state = keys_random(call);
    if (there)
        reply_at(call, &value, collection_random(&state, zset_count(&value)), 0);
    else
        reply_null(call->reply);
}

static void zrandmember(struct call *call) {
    int64_t count;
    if (call->argc == 2) {
        random_member(call);
        return;
    }
    if (!collection_random_count(call, 2, &count)) return;
    if (call->argc > 4 || (call->argc == 4 && !bytes_is(call->argv[3], "withscores"))) {
        call_syntax_error(call);
        return;
    }
    bool scores = call->argc == 4;
    if (scores && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
        reply_error(call->reply, "ERR value is out of range");
        return;
    }
    random_members(call, count, zset_show(call, scores));
}
COMMAND(zrandmember) = {.name = "zrandmember",
                        .arity = -2,
                        .flags = CMD_READONLY,
                        .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                        .run = zrandmember,
                        .group = GROUP_SORTED_SET,
                        .since = "6.2.0",
                        .complexity = "O(N) where N is the number of elements returned",
                        .summary = "Get one or multiple random elements from a sorted set",
                        .tips = "nondeterministic_output",
                        .syntax = "<key:key> [options:{ <count:integer> [WITHSCORES] }]"};

/* ---- Scanning ------------------------------------------------------------------------------------- */

/* Scores as texts, for a reply that is yet to be written. */
struct texts {
    struct texts *next;
    unsigned count;
    char text[32][NUMBER_DOUBLE_MAX_LEN];
};

struct scan_step {
    struct collection_scan *scan;
    struct texts *texts;
    bool listpack;
};

/* The text of a score as Redis has it here: a listpack shows integers as such, of up to half of what 64 bits hold. */
static size_t format_score(char *text, double score, bool listpack) {
    const double most = (double)(INT64_MAX / 2);
    bool integer = listpack && score >= -most && score <= most && (double)(int64_t)score == score;
    return integer ? number_format_i64(text, (int64_t)score) : number_format_double(text, score);
}

/* The text of a score, kept in `texts`. No bytes without memory. */
static struct bytes keep_score(struct scan_step *step, double score) {
    enum { TEXTS = sizeof step->texts->text / sizeof *step->texts->text };
    if (step->texts == NULL || step->texts->count == TEXTS) {
        struct texts *texts = malloc(sizeof *texts);
        step->scan->failed |= texts == NULL;
        if (texts == NULL) return BYTES("");
        texts->next = step->texts;
        texts->count = 0;
        step->texts = texts;
    }
    char *text = step->texts->text[step->texts->count++];
    return (struct bytes){text, format_score(text, score, step->listpack)};
}

static void scan_item(void *context, const struct zset_item *item) {
    struct scan_step *step = context;
    if (!collection_scan_matches(step->scan, item->member.bytes)) return;
    struct element score = {.bytes = keep_score(step, item->score)};
    collection_scan_keep(step->scan, item->member);
    collection_scan_keep(step->scan, score);
}

static void free_texts(struct texts *texts) {
    while (texts) {
        struct texts *next = texts->next;
        free(texts);
        texts = next;
    }
}

/* What OBJECT ENCODING calls a listpack comes at once, as in Redis, and so does what is a pack. */
static void scan_value(const struct keyspace *ks, const struct value *value, struct scan_step *step) {
    struct collection_scan *scan = step->scan;
    if (value->kind == VALUE_OBJECT && value->edited) {
        scan->cursor =
            zset_scan(ks, value, scan->cursor, scan->count, (struct zset_visitor){scan_item, step});
        return;
    }
    struct zset_walk walk;
    struct zset_item item;
    zset_walk(&walk, value, 0, false);
    while (zset_next(&walk, &item)) scan_item(step, &item);
    scan->cursor = 0;
}

static void zscan(struct call *call) {
    struct collection_scan scan;
    struct scan_step step = {.scan = &scan};
    struct value value;
    if (!collection_scan_begin(call, TYPE_ZSET, &scan, &value)) return;
    step.listpack = !value.edited;
    scan_value(call_keyspace(call, 1), &value, &step);
    collection_scan_end(call, &scan);
    free_texts(step.texts);
}
COMMAND(zscan) = {
    .name = "zscan",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zscan,
    .group = GROUP_SORTED_SET,
    .since = "2.8.0",
    .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
                  "the cursor to return back to 0. N is the number of elements inside the collection..",
    .summary = "Incrementally iterate sorted sets elements and associated scores",
    .tips = "nondeterministic_output",
    .syntax = "<key:key> <cursor:integer> [{MATCH <pattern:pattern>}] [{COUNT <count:integer>}] "
              "[noscores:NOSCORES@8.0.0]"};
