/* hash.c - hashes: HSET, HGET and their kin. What a hash is, and how it is kept, is in store/types/hash.h. */
#include "store/types/hash.h"

#include <math.h>
#include <stdlib.h>

#include "server/commands/hash.h"
#include "server/commands/keys.h"
#include "server/config/config.h"

enum reply_parts { REPLY_FIELDS = 1 << 0, REPLY_VALUES = 1 << 1, REPLY_BOTH = REPLY_FIELDS | REPLY_VALUES };

/* ---- Reading -------------------------------------------------------------------------------------- */

static void reply_value(struct call *call, const struct element *value) {
    collection_reply_element(call->reply, call->effects->metrics, value);
}

/* Is a field overdue that is there? (Its hash may be in another stripe than argv[1]: all have one seed.) */
static bool is_over(const struct call *call, const struct value *value, struct bytes field) {
    int64_t now_ms = call->effects->now_ms;
    if (__builtin_expect(hash_due(value) > now_ms, 1)) return false;
    int64_t expiry_ms = hash_expiry(call_keyspace(call, 1), value, field);
    return expiry_ms > 0 && expiry_ms <= now_ms;
}

bool hash_find(struct call *call, const struct value *value, struct bytes field, struct element *found) {
    return hash_get(call_keyspace(call, 1), value, field, found) && !is_over(call, value, field);
}

bool hash_there(struct call *call, const struct value *value, uint32_t arg, struct element *found) {
    return hash_find(call, value, call->argv[arg], found);
}

/* How many fields there are. */
static uint64_t hash_live(const struct call *call, const struct value *value) {
    uint64_t count = hash_count(value), overdue = hash_overdue(value, call->effects->now_ms);
    assert(overdue <= count);
    return count - overdue;
}

/* The field argv[2] of a large hash, as a rule. */
static inline bool look_at_hand(struct call *call, struct element *found, bool *there) {
    const struct collection *hash = collection_read_at_hand(call, 1, TYPE_HASH);
    struct bytes field = call->argv[2];
    struct leaf_part second;
    if (hash == NULL) return false;
    assert(hash->times == NULL);
    *there =
        tree_look_up_second(&hash->tree, hash_bytes(&stripes.seed, field), field, call->guesses, &second);
    if (*there) *found = (struct element){second.bytes, second.block};
    return true;
}

static inline bool get_at_hand(struct call *call) {
    struct element found;
    bool there;
    if (!look_at_hand(call, &found, &there)) return false;
    if (there)
        reply_value(call, &found);
    else
        reply_null(call->reply);
    return true;
}

static void hget(struct call *call) {
    struct value value;
    struct element found;
    bool there;
    if (get_at_hand(call)) return;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    if (there && hash_there(call, &value, 2, &found))
        reply_value(call, &found);
    else
        reply_null(call->reply);
}
static void fields_ahead(const struct command_ahead *ahead) {
    struct bytes fields[COMMAND_AHEAD_MOST];
    const struct tree *tree = ahead->value->type == TYPE_HASH ? hash_tree(ahead->value) : NULL;
    for (unsigned i = 0; i < ahead->count; i++) fields[i] = ahead->argvs[i][2];
    if (tree) collection_ask_ahead(ahead, tree, fields);
}

COMMAND(hget) = {.name = "hget",
                 .arity = 3,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                 .run = hget,
                 .ahead = fields_ahead,
                 .group = GROUP_HASH,
                 .since = "2.0.0",
                 .complexity = "O(1)",
                 .summary = "Get the value of a hash field",
                 .syntax = "<key:key> <field>"};

static void hmget(struct call *call) {
    struct value value;
    struct element found;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        if (there && hash_there(call, &value, i, &found))
            reply_value(call, &found);
        else
            reply_null(call->reply);
    }
}
COMMAND(hmget) = {.name = "hmget",
                  .arity = -3,
                  .flags = CMD_READONLY | CMD_FAST,
                  .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                  .run = hmget,
                  .group = GROUP_HASH,
                  .since = "2.0.0",
                  .complexity = "O(N) where N is the number of fields being requested.",
                  .summary = "Get the values of all the given hash fields",
                  .syntax = "<key:key> <field> ..."};

static void hexists(struct call *call) {
    struct value value;
    struct element found;
    bool there;
    if (look_at_hand(call, &found, &there)) {
        reply_int(call->reply, there);
        return;
    }
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    reply_int(call->reply, there && hash_there(call, &value, 2, &found));
}
COMMAND(hexists) = {.name = "hexists",
                    .arity = 3,
                    .flags = CMD_READONLY | CMD_FAST,
                    .keys = {KEY(1, KEY_RO)},
                    .run = hexists,
                    .ahead = fields_ahead,
                    .group = GROUP_HASH,
                    .since = "2.0.0",
                    .complexity = "O(1)",
                    .summary = "Determine if a hash field exists",
                    .syntax = "<key:key> <field>"};

static void hstrlen(struct call *call) {
    struct value value;
    struct element found;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    reply_int(call->reply, there && hash_there(call, &value, 2, &found) ? (int64_t)found.bytes.len : 0);
}
COMMAND(hstrlen) = {.name = "hstrlen",
                    .arity = 3,
                    .flags = CMD_READONLY | CMD_FAST,
                    .keys = {KEY(1, KEY_RO)},
                    .run = hstrlen,
                    .group = GROUP_HASH,
                    .since = "3.2.0",
                    .complexity = "O(1)",
                    .summary = "Get the length of the value of a hash field",
                    .syntax = "<key:key> <field>"};

static void hlen(struct call *call) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    reply_int(call->reply, there ? (int64_t)hash_live(call, &value) : 0);
}
COMMAND(hlen) = {.name = "hlen",
                 .arity = 2,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEY(1, KEY_RO)},
                 .run = hlen,
                 .group = GROUP_HASH,
                 .since = "2.0.0",
                 .complexity = "O(1)",
                 .summary = "Get the number of fields in a hash",
                 .syntax = "<key:key>"};

/* ---- All of it ------------------------------------------------------------------------------------ */

static void write_parts(struct reply *reply, struct metrics *metrics, const struct element *field,
                        const struct element *value, uint64_t how) {
    if (how & REPLY_FIELDS) collection_reply_element(reply, metrics, field);
    if (how & REPLY_VALUES) collection_reply_element(reply, metrics, value);
}

static void reply_packed(struct call *call, const struct value *value, enum reply_parts parts) {
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, 0);
    while (hash_next(&walk, &field, &found))
        write_parts(call->reply, call->effects->metrics, &field, &found, parts);
}

/* Where some fields are overdue the time goes with what is to be shown. */
enum { HOW_BITS = 2 };
static uint64_t how_now(const struct call *call, const struct value *value, unsigned how) {
    bool overdue = hash_due(value) <= call->effects->now_ms;
    return how | (overdue ? (uint64_t)call->effects->now_ms << HOW_BITS : 0);
}

/* Was the field overdue at that time, which is 0 where none was? */
static bool was_over(const struct hash_walk *walk, struct bytes field, uint64_t how) {
    int64_t now_ms = (int64_t)(how >> HOW_BITS);
    int64_t expiry_ms = now_ms ? hash_walk_expiry(walk, field) : 0;
    return expiry_ms > 0 && expiry_ms <= now_ms;
}

/* The field at this place, unless it was overdue. */
static void write_live(struct reply *reply, struct metrics *metrics, const struct value *value, uint64_t at,
                       uint64_t how) {
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, at);
    bool any = hash_next(&walk, &field, &found);
    assert(any);
    if (!was_over(&walk, field.bytes, how)) write_parts(reply, metrics, &field, &found, how);
}

/* The places of the fields that are not overdue, so many, malloc'd. NULL without memory. */
static uint64_t *live_places(const struct call *call, const struct value *value, uint64_t live) {
    uint64_t *places = live <= SIZE_MAX / sizeof *places ? malloc(live * sizeof *places) : NULL;
    uint64_t how = how_now(call, value, 0), found = 0;
    struct hash_walk walk;
    struct element field, ignored;
    hash_walk(&walk, value, 0);
    for (uint64_t at = 0; places && hash_next(&walk, &field, &ignored); at++) {
        if (was_over(&walk, field.bytes, how)) continue;
        assert(found < live);
        places[found++] = at;
    }
    assert(!places || found == live);
    return places;
}

/* Are so few left of all that they are to be found first? Nobody is to wait for what a reply leaves out. */
static bool is_few(uint64_t live, uint64_t all) {
    enum { FEW_OF = 8 };
    return live < all / FEW_OF;
}

static void reply_all(struct call *call, enum reply_parts parts) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    uint64_t count = there ? hash_live(call, &value) : 0, all = there ? hash_count(&value) : 0;
    bool few = is_few(count, all);
    uint64_t *places = few ? live_places(call, &value, count) : NULL;
    if (few && places == NULL) {
        call_out_of_memory(call);
        return;
    }
    if (parts == REPLY_BOTH)
        reply_map(call->reply, count);
    else
        reply_array(call->reply, count);
    if (count == 0) return;
    static const enum reply_which which[] = {
        [REPLY_FIELDS] = REPLY_FIRSTS, [REPLY_VALUES] = REPLY_SECONDS, [REPLY_BOTH] = REPLY_ALL};
    const struct tree *tree = hash_tree(&value);
    struct collection_show show = {.which = which[parts]};
    struct collection_places shown = {few ? count : all, places};
    struct collection_writer writer = {write_live, how_now(call, &value, parts)};
    if (count < all)
        collection_reply_each(call, &value, shown, writer);
    else if (tree)
        collection_reply_items(call, tree, (struct collection_range){.count = count}, show);
    else
        reply_packed(call, &value, parts);
}

/* What the rows of HKEYS, HVALS and HGETALL say. */
#define WHOLE                                                                                                \
    .arity = 2, .flags = CMD_READONLY, .keys = {KEY(1, KEY_RO | KEY_ACCESS)}, .group = GROUP_HASH,           \
    .since = "2.0.0", .complexity = "O(N) where N is the size of the hash.",                                 \
    .tips = "nondeterministic_output_order", .syntax = "<key:key>"

static void hgetall(struct call *call) {
    reply_all(call, REPLY_BOTH);
}
COMMAND(hgetall) = {
    .name = "hgetall", WHOLE, .run = hgetall, .summary = "Get all the fields and values in a hash"};

static void hkeys(struct call *call) {
    reply_all(call, REPLY_FIELDS);
}
COMMAND(hkeys) = {.name = "hkeys", WHOLE, .run = hkeys, .summary = "Get all the fields in a hash"};

static void hvals(struct call *call) {
    reply_all(call, REPLY_VALUES);
}
COMMAND(hvals) = {.name = "hvals", WHOLE, .run = hvals, .summary = "Get all the values in a hash"};

/* ---- Scanning ------------------------------------------------------------------------------------- */

/* Where a scan is. */
struct scan_step {
    const struct call *call;
    const struct value *value;
    struct collection_scan *scan;
};

static void scan_pair(const struct scan_step *step, struct element field, struct element value) {
    if (!collection_scan_matches(step->scan, field.bytes) || is_over(step->call, step->value, field.bytes))
        return;
    collection_scan_keep(step->scan, field);
    collection_scan_keep(step->scan, value);
}

static void scan_item(void *context, const struct tree_item *item) {
    scan_pair(context, (struct element){item->parts[0], item->blocks[0]},
              (struct element){item->parts[1], item->blocks[1]});
}

/* What OBJECT ENCODING calls a listpack comes at once, as in Redis, and so does what is a pack. */
static void scan_value(const struct call *call, const struct value *value, struct collection_scan *scan) {
    struct scan_step step = {.call = call, .value = value, .scan = scan};
    if (hash_tree(value)) {
        collection_scan_tree(scan, value, call_keyspace(call, 1)->seed, scan_item, &step);
        return;
    }
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, 0);
    while (hash_next(&walk, &field, &found)) scan_pair(&step, field, found);
    scan->cursor = 0;
}

static void hscan(struct call *call) {
    struct collection_scan scan;
    struct value value;
    if (!collection_scan_begin(call, TYPE_HASH, &scan, &value)) return;
    scan_value(call, &value, &scan);
    collection_scan_end(call, &scan);
}
COMMAND(hscan) = {
    .name = "hscan",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = hscan,
    .group = GROUP_HASH,
    .since = "2.8.0",
    .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
                  "the cursor to return back to 0. N is the number of elements inside the collection..",
    .summary = "Incrementally iterate hash fields and associated values",
    .tips = "nondeterministic_output",
    .syntax = "<key:key> <cursor:integer> [{MATCH <pattern:pattern>}] [{COUNT <count:integer>}] "
              "[novalues:NOVALUES@7.4.0]"};

/* ---- Chance --------------------------------------------------------------------------------------- */

/* The field at this place, or, where that was overdue, the next one that was not; `how`: its value too. */
static void write_pair(struct reply *reply, struct metrics *metrics, const struct value *value, uint64_t at,
                       uint64_t how) {
    struct hash_walk walk;
    struct element field, found;
    bool with_values = how & REPLY_VALUES;
    hash_walk(&walk, value, at);
    do {
        if (hash_next(&walk, &field, &found)) continue;
        hash_walk(&walk, value, 0);
        bool any = hash_next(&walk, &field, &found);
        assert(any);
    } while (was_over(&walk, field.bytes, how));
    if (with_values && reply->resp > 2) reply_array(reply, 2);
    collection_reply_element(reply, metrics, &field);
    if (with_values) collection_reply_element(reply, metrics, &found);
}
static uint64_t how_pair(const struct call *call, const struct value *value, bool with_values) {
    return how_now(call, value, with_values ? REPLY_BOTH : REPLY_FIELDS);
}
static void reply_pair(struct call *call, const struct value *value, uint64_t at, bool with_values) {
    write_pair(call->reply, call->effects->metrics, value, at, how_pair(call, value, with_values));
}

static void random_header(struct call *call, uint64_t count, bool with_values) {
    reply_array(call->reply, with_values && call->reply->resp == 2 ? count * 2 : count);
}

/* So many different fields. */
static void reply_sample(struct call *call, const struct value *value, uint64_t count, bool with_values) {
    uint64_t state = keys_random(call), all = hash_live(call, value);
    bool overdue = all < hash_count(value);
    if (count > all) count = all;
    uint64_t *sample = count < all ? collection_sample(&state, count, all) : NULL;
    uint64_t *places = overdue ? live_places(call, value, all) : NULL;
    if ((count < all && sample == NULL) || (overdue && places == NULL)) {
        call_out_of_memory(call);
    } else {
        random_header(call, count, with_values);
        for (uint64_t i = 0; i < count; i++) {
            uint64_t at = sample ? sample[i] : i;
            reply_pair(call, value, places ? places[at] : at, with_values);
        }
    }
    free(places);
    free(sample);
}

static void random_fields(struct call *call, int64_t count, bool with_values) {
    struct value value;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    if (!there || count == 0) {
        reply_array(call->reply, 0);
        return;
    }
    if (count > 0) {
        reply_sample(call, &value, (uint64_t)count, with_values);
        return;
    }
    uint64_t times = 0 - (uint64_t)count, live = hash_live(call, &value);
    bool overdue = live < hash_count(&value);
    struct collection_places places = {live, overdue ? live_places(call, &value, live) : NULL};
    if (overdue && places.list == NULL) {
        call_out_of_memory(call);
        return;
    }
    random_header(call, times, with_values);
    struct collection_writer writer = {write_pair, how_pair(call, &value, with_values)};
    collection_reply_draws(call, &value, places, times, writer);
}

static void hrandfield(struct call *call) {
    struct value value;
    int64_t count;
    bool there;
    if (call->argc == 2) {
        if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
        uint64_t state = keys_random(call);
        if (there)
            reply_pair(call, &value, collection_random(&state, hash_count(&value)), false);
        else
            reply_null(call->reply);
        return;
    }
    if (!collection_random_count(call, 2, &count)) return;
    if (call->argc > 4 || (call->argc == 4 && !bytes_is(call->argv[3], "withvalues"))) {
        call_syntax_error(call);
        return;
    }
    bool with_values = call->argc == 4;
    if (with_values && (count < -(INT64_MAX / 2) || count > INT64_MAX / 2)) {
        reply_error(call->reply, "ERR value is out of range");
        return;
    }
    random_fields(call, count, with_values);
}
COMMAND(hrandfield) = {.name = "hrandfield",
                       .arity = -2,
                       .flags = CMD_READONLY,
                       .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                       .run = hrandfield,
                       .group = GROUP_HASH,
                       .since = "6.2.0",
                       .complexity = "O(N) where N is the number of fields returned",
                       .summary = "Get one or multiple random fields from a hash",
                       .tips = "nondeterministic_output",
                       .syntax = "<key:key> [options:{<count:integer> [withvalues:WITHVALUES]}]"};

/* ---- Writing -------------------------------------------------------------------------------------- */

bool hash_forget(struct call *call, struct edit *edit, struct bytes field) {
    if (!entry_timed(edit->entry)) return true; /* no field of it expires */
    struct value value = entry_value(edit->entry);
    struct stripe *stripe = stripe_of(edit->key.hash);
    if (!is_over(call, &value, field)) return true;
    if (hash_delete(edit, field) != HASH_DELETED) return false;
    struct expired one = {EXPIRED_ELEMENT, call->db, edit->entry, field};
    struct expired all = {.kind = EXPIRED_ELEMENTS, .db = call->db, .entry = edit->entry};
    effect_expired(call->effects, stripe, &one);
    effect_expired(call->effects, stripe, &all);
    return true;
}

/* Sets a field, which keeps its expiry or loses it. What passes Redis's thresholds marks the hash. */
static enum hash_changed set(struct edit *edit, struct bytes field, struct bytes value, struct block *block,
                             bool kept) {
    size_t longest = field.len > value.len ? field.len : value.len;
    enum hash_changed changed = kept ? hash_update(edit, field, value, block)
                                     : hash_set(edit, field, value, block);
    if (changed == HASH_NO_MEMORY || edit->entry->edited) return changed;
    struct value now = entry_value(edit->entry);
    if (longest > (uint64_t)config.hash_max_listpack_value ||
        hash_count(&now) > (uint64_t)config.hash_max_listpack_entries)
        edit_mark(edit);
    return changed;
}

enum hash_changed hash_set_argument(struct call *call, struct edit *edit, uint32_t arg, bool kept) {
    if (!hash_forget(call, edit, call->argv[arg])) return HASH_NO_MEMORY;
    return set(edit, call->argv[arg], call->argv[arg + 1], call_block(call, arg + 1), kept);
}

/* False after replying that memory ran out. What was set before that stays, and is recorded. */
static bool set_all(struct call *call, uint64_t *added) {
    struct edit edit;
    uint32_t i = 2;
    enum hash_changed changed = HASH_ADDED;
    if (!collection_open(call, 1, TYPE_HASH, true, &edit)) return false;
    for (*added = 0; i < call->argc && changed != HASH_NO_MEMORY; i += 2) {
        changed = hash_set_argument(call, &edit, i, false);
        *added += changed == HASH_ADDED;
    }
    bool whole = changed != HASH_NO_MEMORY;
    if (!whole) i -= 2;
    collection_close(call, 1, &edit, EVENT_HSET, (i - 2) / 2);
    if (whole) return true;
    if (i > 2) call_log(call, call->argv, i);
    call_out_of_memory(call);
    return false;
}

static bool pairs_or_reply(struct call *call) {
    if (call->argc % 2 == 0) return true;
    char name[COMMAND_FULL_NAME_MAX];
    size_t len = command_full_name(call->command, name);
    reply_errorf(call->reply, "ERR wrong number of arguments for '%.*s' command", (int)len, name);
    return false;
}

/* What the rows of HSET, HMSET and HSETNX say. */
#define SETS .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .group = GROUP_HASH, .since = "2.0.0"

/* One short field of a hash that is known to be large, as a rule. */
static inline bool set_at_hand(struct call *call) {
    const struct entry *e = call->argc == 4 ? collection_open_at_hand(call, 1, TYPE_HASH) : NULL;
    if (!e || !e->edited) return false;
    enum hash_changed changed =
        hash_put(call_keyspace(call, 1), entry_object(e), call->argv[2], call->argv[3], call->guesses);
    if (changed == HASH_NO_MEMORY) return false;
    call_changed(call, 1, EVENT_HSET);
    reply_int(call->reply, changed == HASH_ADDED);
    return true;
}

static void hset(struct call *call) {
    uint64_t added;
    if (set_at_hand(call)) return;
    if (pairs_or_reply(call) && set_all(call, &added)) reply_int(call->reply, (int64_t)added);
}
COMMAND(hset) = {.name = "hset",
                 .arity = -4,
                 SETS,
                 .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
                 .run = hset,
                 .ahead = fields_ahead,
                 .complexity = "O(1) for each field/value pair added, so O(N) to add N field/value pairs "
                               "when the command is called with multiple field/value pairs.",
                 .summary = "Set the string value of a hash field",
                 .history = "4.0.0: Accepts multiple `field` and `value` arguments.",
                 .syntax = "<key:key> field_value:{<field> <value>} ..."};

static void hmset(struct call *call) {
    uint64_t added;
    if (pairs_or_reply(call) && set_all(call, &added)) reply_ok(call->reply);
}
COMMAND(hmset) = {.name = "hmset",
                  .arity = -4,
                  SETS,
                  .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
                  .run = hmset,
                  .complexity = "O(N) where N is the number of fields being set.",
                  .summary = "Set multiple hash fields to multiple values",
                  .deprecated_since = "4.0.0",
                  .replaced_by = "`HSET` with multiple field-value pairs",
                  .syntax = "<key:key> field_value:{<field> <value>} ..."};

/* Closes what open_field opened, with nothing changed. */
static void close_field(struct call *call, struct edit *edit) {
    collection_close(call, 1, edit, EVENT_NONE, 0);
}

/* Opens argv[1], and finds its field argv[2]; what is found is valid until the next change. False after replying. */
static bool open_field(struct call *call, struct edit *edit, struct element *found, bool *there) {
    if (!collection_open(call, 1, TYPE_HASH, true, edit)) return false;
    if (!hash_forget(call, edit, call->argv[2])) {
        close_field(call, edit);
        call_out_of_memory(call);
        return false;
    }
    struct value value = entry_value(edit->entry);
    *there = hash_there(call, &value, 2, found);
    return true;
}

static void hsetnx(struct call *call) {
    struct edit edit;
    struct element found;
    bool there;
    if (!open_field(call, &edit, &found, &there)) return;
    bool done = !there && hash_set_argument(call, &edit, 2, false) != HASH_NO_MEMORY;
    collection_close(call, 1, &edit, EVENT_HSET, done);
    if (there || done)
        reply_int(call->reply, done);
    else
        call_out_of_memory(call);
}
COMMAND(hsetnx) = {.name = "hsetnx",
                   .arity = 4,
                   SETS,
                   .keys = {KEY(1, KEY_RW | KEY_INSERT)},
                   .run = hsetnx,
                   .complexity = "O(1)",
                   .summary = "Set the value of a hash field, only if the field does not exist",
                   .syntax = "<key:key> <field> <value>"};

static void hdel(struct call *call) {
    struct edit edit;
    uint64_t deleted = 0;
    enum hash_changed changed = HASH_UNCHANGED;
    uint32_t i = 2;
    if (!collection_open(call, 1, TYPE_HASH, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    for (uint64_t left = UINT64_MAX; i < call->argc && changed != HASH_NO_MEMORY && left > 0; i++) {
        bool forgotten = hash_forget(call, &edit, call->argv[i]);
        changed = forgotten ? hash_delete(&edit, call->argv[i]) : HASH_NO_MEMORY;
        if (changed != HASH_DELETED) continue;
        struct value value = entry_value(edit.entry);
        left = hash_count(&value);
        deleted++;
    }
    collection_close(call, 1, &edit, EVENT_HDEL, deleted);
    if (changed != HASH_NO_MEMORY) {
        reply_int(call->reply, (int64_t)deleted);
        return;
    }
    if (deleted) call_log(call, call->argv, i - 1);
    call_out_of_memory(call);
}
COMMAND(hdel) = {.name = "hdel",
                 .arity = -3,
                 .flags = CMD_WRITE | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                 .run = hdel,
                 .ahead = fields_ahead,
                 .group = GROUP_HASH,
                 .since = "2.0.0",
                 .complexity = "O(N) where N is the number of fields to be removed.",
                 .summary = "Delete one or more hash fields",
                 .history = "2.4.0: Accepts multiple `field` arguments.",
                 .syntax = "<key:key> <field> ..."};

/* ---- Counters ------------------------------------------------------------------------------------- */

/* What the rows of both say. */
#define COUNTS                                                                                               \
    .arity = 4, .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .group = GROUP_HASH, .complexity = "O(1)",      \
    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)}

/* Sets the field argv[2] of the edit to a number. False after replying that memory ran out. */
static bool set_number(struct call *call, struct edit *edit, struct bytes number, enum event event) {
    bool done = set(edit, call->argv[2], number, NULL, true) != HASH_NO_MEMORY;
    collection_close(call, 1, edit, event, done);
    if (!done) call_out_of_memory(call);
    return done;
}

static void hincrby(struct call *call) {
    struct edit edit;
    struct element found;
    char digits[NUMBER_I64_MAX_LEN];
    int64_t increment, number = 0;
    bool there;
    const char *error = NULL;
    if (!call_int_or_reply(call, 3, &increment) || !open_field(call, &edit, &found, &there)) return;
    if (there && !number_parse_i64(found.bytes, &number))
        error = "ERR hash value is not an integer";
    else if (__builtin_add_overflow(number, increment, &number))
        error = "ERR increment or decrement would overflow";
    if (error) {
        close_field(call, &edit);
        reply_error(call->reply, error);
        return;
    }
    struct bytes text = {digits, number_format_i64(digits, number)};
    if (set_number(call, &edit, text, EVENT_HINCRBY)) reply_int(call->reply, number);
}
COMMAND(hincrby) = {.name = "hincrby",
                    COUNTS,
                    .run = hincrby,
                    .ahead = fields_ahead,
                    .since = "2.0.0",
                    .summary = "Increment the integer value of a hash field by the given number",
                    .syntax = "<key:key> <field> <increment:integer>"};

/* Adds to a number that `there` says is there. NULL, or why not. */
static const char *add_float(const struct element *found, bool there, long double *sum) {
    long double number = 0;
    if (there && !number_parse_long_double(found->bytes, &number)) return "ERR hash value is not a float";
    *sum += number;
    return isnan(*sum) || isinf(*sum) ? "ERR increment would produce NaN or Infinity" : NULL;
}

static void hincrbyfloat(struct call *call) {
    struct edit edit;
    struct element found;
    char text[NUMBER_LONG_DOUBLE_MAX_LEN];
    long double sum;
    bool there;
    if (!number_parse_long_double(call->argv[3], &sum)) {
        reply_error(call->reply, "ERR value is not a valid float");
        return;
    }
    if (isinf(sum)) {
        reply_error(call->reply, "ERR value is NaN or Infinity");
        return;
    }
    if (!open_field(call, &edit, &found, &there)) return;
    const char *error = add_float(&found, there, &sum);
    if (error) {
        close_field(call, &edit);
        reply_error(call->reply, error);
        return;
    }
    struct bytes number = {text, number_format_long_double(text, sum)};
    struct value value = entry_value(edit.entry);
    bool expires = hash_expiry(edit.keyspace, &value, call->argv[2]) > 0;
    if (!set_number(call, &edit, number, EVENT_HINCRBYFLOAT)) return;
    if (expires)
        CALL_LOG(call, BYTES("HSETEX"), call->argv[1], BYTES("KEEPTTL"), BYTES("FIELDS"), BYTES("1"),
                 call->argv[2], number);
    else
        CALL_LOG(call, BYTES("HSET"), call->argv[1], call->argv[2], number);
    reply_bulk(call->reply, number);
}
COMMAND(hincrbyfloat) = {.name = "hincrbyfloat",
                         COUNTS,
                         .run = hincrbyfloat,
                         .since = "2.6.0",
                         .summary = "Increment the float value of a hash field by the given amount",
                         .syntax = "<key:key> <field> <increment:double>"};
