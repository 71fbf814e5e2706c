/* keys.c - keys as such, whatever they hold: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, MOVE, COPY. */
#include "server/commands/keys.h"

#include "server/config/config.h"

struct entry *keys_inspect(struct call *call, uint32_t arg) {
    struct entry *e = call_peek(call, arg);
    metric_add(e ? &call->effects->metrics->keyspace_hits : &call->effects->metrics->keyspace_misses, 1);
    return e;
}

struct entry *keys_question(struct call *call, uint32_t arg) {
    struct entry *e = keys_inspect(call, arg);
    if (!e) call_missed(call, arg);
    return e;
}

uint64_t keys_count(unsigned db) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stripes.count; i++) count += keyspace_count(stripes.all[i].keyspace, db);
    return count;
}

/* ---- DEL, UNLINK, EXISTS, TOUCH, TYPE ------------------------------------------------------------- */

static void del(struct call *call) {
    int64_t deleted = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct entry *e = call_peek(call, i);
        if (!e) continue;
        keyspace_delete_entry(call_keyspace(call, i), call->db, call_key(call, i), e);
        call_deleted(call, i);
        deleted++;
    }
    reply_int(call->reply, deleted);
}
COMMAND(del) = {
    .name = "del",
    .arity = -2,
    .flags = CMD_WRITE | CMD_BOUNDED,
    .keys = {KEYS(1, -1, 1, KEY_RM | KEY_DELETE)},
    .run = del,
    .group = GROUP_GENERIC,
    .since = "1.0.0",
    .complexity = "O(N) where N is the number of keys that will be removed. When a key to remove holds a "
                  "value other than a string, the individual complexity for this key is O(M) where M is "
                  "the number of elements in the list, set, sorted set or hash. Removing a single key that "
                  "holds a string value is O(1).",
    .summary = "Delete a key",
    .acl = "keyspace",
    .tips = "request_policy:multi_shard,response_policy:agg_sum",
    .syntax = "<key:key> ..."};

/* The same: large values are always freed where that holds nobody up (store/memory/block.h). */
COMMAND(unlink) = {
    .name = "unlink",
    .arity = -2,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEYS(1, -1, 1, KEY_RM | KEY_DELETE)},
    .run = del,
    .group = GROUP_GENERIC,
    .since = "4.0.0",
    .complexity = "O(1) for each key removed regardless of its size. Then the command does O(N) work in "
                  "a different thread in order to reclaim memory, where N is the number of allocations "
                  "the deleted objects where composed of.",
    .summary = "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non "
               "blocking.",
    .acl = "keyspace",
    .tips = "request_policy:multi_shard,response_policy:agg_sum",
    .syntax = "<key:key> ..."};

static void exists(struct call *call) {
    int64_t found = 0;
    for (uint32_t i = 1; i < call->argc; i++) found += keys_question(call, i) != NULL;
    reply_int(call->reply, found);
}
COMMAND(exists) = {.name = "exists",
                   .arity = -2,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEYS(1, -1, 1, KEY_RO)},
                   .run = exists,
                   .group = GROUP_GENERIC,
                   .since = "1.0.0",
                   .complexity = "O(N) where N is the number of keys to check.",
                   .summary = "Determine if a key exists",
                   .acl = "keyspace",
                   .tips = "request_policy:multi_shard,response_policy:agg_sum",
                   .history = "3.0.3: Accepts multiple `key` arguments.",
                   .syntax = "<key:key> ..."};

/* An access even of who has asked that his commands are none. */
static void touch(struct call *call) {
    int64_t found = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        struct entry *e = call_read(call, i);
        if (e) entry_set_access(e, call->effects->access);
        found += e != NULL;
    }
    reply_int(call->reply, found);
}
COMMAND(touch) = {
    .name = "touch",
    .arity = -2,
    .flags = CMD_READONLY | CMD_FAST,
    .keys = {KEYS(1, -1, 1, KEY_RO)},
    .run = touch,
    .group = GROUP_GENERIC,
    .since = "3.2.1",
    .complexity = "O(N) where N is the number of keys that will be touched.",
    .summary = "Alters the last access time of a key(s). Returns the number of existing keys specified.",
    .acl = "keyspace",
    .tips = "request_policy:multi_shard,response_policy:agg_sum",
    .syntax = "<key:key> ..."};

static void type(struct call *call) {
    struct entry *e = keys_question(call, 1);
    reply_simple(call->reply, e ? keyspace_type(call_keyspace(call, 1), e)->name : "none");
}
COMMAND(type) = {.name = "type",
                 .arity = 2,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEY(1, KEY_RO)},
                 .run = type,
                 .group = GROUP_GENERIC,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Determine the type stored at key",
                 .acl = "keyspace",
                 .syntax = "<key:key>"};

/* ---- RENAME, RENAMENX ----------------------------------------------------------------------------- */

static struct keyspace_place place_of(const struct call *call, uint32_t arg, unsigned db) {
    return (struct keyspace_place){call_keyspace(call, arg), db, call_key(call, arg)};
}

/* False after replying that there is no such key, or that there is no memory. */
static bool rename_or_reply(struct call *call, bool replace, bool *renamed) {
    *renamed = false;
    if (!call_claim(call, 1)) {
        reply_error(call->reply, "ERR no such key");
        return false;
    }
    if (bytes_equal(call->argv[1], call->argv[2])) return true;
    if (call_claim(call, 2) && !replace) return true;
    struct keyspace_place from = place_of(call, 1, call->db), to = place_of(call, 2, call->db);
    if (!keyspace_move(&from, &to)) {
        call_out_of_memory(call);
        return false;
    }
    call_created(call, 2);
    call_moved(call, 1, EVENT_RENAME_FROM);
    call_changed(call, 2, EVENT_RENAME_TO);
    *renamed = true;
    return true;
}

static void rename_(struct call *call) {
    bool renamed;
    if (rename_or_reply(call, true, &renamed)) reply_ok(call->reply);
}
COMMAND(rename) = {.name = "rename",
                   .arity = 3,
                   .flags = CMD_WRITE | CMD_BOUNDED,
                   .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY(2, KEY_OW | KEY_UPDATE)},
                   .run = rename_,
                   .group = GROUP_GENERIC,
                   .since = "1.0.0",
                   .complexity = "O(1)",
                   .summary = "Rename a key",
                   .acl = "keyspace",
                   .syntax = "<key:key> <newkey:key>"};

static void renamenx(struct call *call) {
    bool renamed;
    if (rename_or_reply(call, false, &renamed)) reply_int(call->reply, renamed);
}
COMMAND(renamenx) = {
    .name = "renamenx",
    .arity = 3,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY(2, KEY_OW | KEY_INSERT)},
    .run = renamenx,
    .group = GROUP_GENERIC,
    .since = "1.0.0",
    .complexity = "O(1)",
    .summary = "Rename a key, only if the new key does not exist",
    .acl = "keyspace",
    .history = "3.2.0: The command no longer returns an error when source and destination names are "
               "the same.",
    .syntax = "<key:key> <newkey:key>"};

/* ---- MOVE, COPY ----------------------------------------------------------------------------------- */

static void same_object_error(struct call *call) {
    reply_error(call->reply, "ERR source and destination objects are the same");
}

static void move(struct call *call) {
    unsigned db;
    if (config.cluster_enabled) {
        reply_error(call->reply, "ERR MOVE is not allowed in cluster mode");
        return;
    }
    if (!call_database_or_reply(call, 2, &db)) return;
    if (db == call->db) {
        same_object_error(call);
        return;
    }
    if (!call_claim(call, 1) || call_claim_db(call, db, 1)) {
        reply_int(call->reply, 0);
        return;
    }
    struct keyspace_place from = place_of(call, 1, call->db), to = place_of(call, 1, db);
    if (!keyspace_move(&from, &to)) {
        call_out_of_memory(call);
        return;
    }
    call_created_db(call, db, 1);
    call_moved(call, 1, EVENT_MOVE_FROM);
    call_changed_db(call, db, 1, EVENT_MOVE_TO);
    reply_int(call->reply, 1);
}
COMMAND(move) = {.name = "move",
                 .arity = 3,
                 .flags = CMD_WRITE | CMD_FAST,
                 .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)},
                 .run = move,
                 .group = GROUP_GENERIC,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Move a key to another database",
                 .acl = "keyspace",
                 .syntax = "<key:key> <db:integer>"};

static bool copy_options_or_reply(struct call *call, unsigned *db, bool *replace) {
    *db = call->db;
    *replace = false;
    for (uint32_t i = 3; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "replace")) {
            *replace = true;
        } else if (bytes_is(call->argv[i], "db") && i + 1 < call->argc) {
            if (!call_database_or_reply(call, ++i, db)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void copy(struct call *call) {
    unsigned db;
    bool replace;
    if (!copy_options_or_reply(call, &db, &replace)) return;
    if (config.cluster_enabled && db != 0) {
        reply_error(call->reply, "ERR Copying to another database is not allowed in cluster mode");
        return;
    }
    if (db == call->db && bytes_equal(call->argv[1], call->argv[2])) {
        same_object_error(call);
        return;
    }
    if (!call_read(call, 1) || (call_claim_db(call, db, 2) && !replace)) {
        reply_int(call->reply, 0);
        return;
    }
    struct keyspace_place from = place_of(call, 1, call->db), to = place_of(call, 2, db);
    if (!keyspace_copy(&from, &to)) {
        call_out_of_memory(call);
        return;
    }
    call_created_db(call, db, 2);
    call_changed_db(call, db, 2, EVENT_COPY_TO);
    reply_int(call->reply, 1);
}
COMMAND(copy) = {
    .name = "copy",
    .arity = -3,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS), KEY(2, KEY_OW | KEY_UPDATE)},
    .run = copy,
    .group = GROUP_GENERIC,
    .since = "6.2.0",
    .complexity = "O(N) worst case for collections, where N is the number of nested items. O(1) for string "
                  "values.",
    .summary = "Copy a key",
    .acl = "keyspace",
    .syntax = "<source:key> <destination:key> [{DB <destination-db:integer>}] [REPLACE]"};
