/* dump.c - DUMP and RESTORE: values as text that other servers understand (store/rdb/payload.h). */
#include <stdlib.h>

#include "server/commands/keys.h"
#include "server/config/config.h"
#include "server/journal/snapshot.h"
#include "store/rdb/crc64.h"
#include "store/rdb/payload.h"
#include "store/values/load.h"

/* ---- DUMP ----------------------------------------------------------------------------------------- */

enum { PAYLOAD_MIN = 256, DUMPED_AT_ONCE = 1 << 20 };

/* A payload that grows. */
struct paper {
    struct sink sink;
    struct block *block; /* NULL without memory */
};

static bool make_room(struct paper *paper, size_t more) {
    struct block *block = paper->block;
    if (block == NULL) return false;
    if (block->capacity - block->len >= more) return true;
    size_t capacity = block->capacity * 2 > block->len + more ? block->capacity * 2 : block->len + more;
    struct block *grown = block_grow(block, capacity);
    if (grown == NULL) block_release(block);
    paper->block = grown;
    return grown;
}

static bool write_down(struct sink *sink, struct bytes bytes) {
    struct paper *paper = (struct paper *)(void *)sink;
    if (!make_room(paper, bytes.len)) return false;
    size_t at = paper->block->len;
    block_set_len(paper->block, at + bytes.len);
    if (bytes.len) memcpy(paper->block->data + at, bytes.data, bytes.len);
    return true;
}

/* The payload of a value, or NULL without memory. */
static struct block *payload_of(const struct type *type, const struct value *value) {
    struct paper paper = {.sink = {.write = write_down}, .block = block_new(0, PAYLOAD_MIN)};
    struct cursor cursor = {{0}};
    char head = (char)type->form(value), footer[PAYLOAD_FOOTER];
    enum dumped dumped = write_down(&paper.sink, (struct bytes){&head, 1}) ? DUMP_MORE : DUMP_FAILED;
    while (dumped == DUMP_MORE) dumped = type->dump(value, &cursor, &paper.sink, DUMPED_AT_ONCE);
    if (dumped == DUMP_DONE) {
        payload_close(footer, crc64(0, block_bytes(paper.block)), RDB_VERSION_WRITTEN);
        write_down(&paper.sink, (struct bytes){footer, sizeof footer});
    } else if (paper.block) {
        block_release(paper.block);
        paper.block = NULL;
    }
    return paper.block;
}

static void dump(struct call *call) {
    struct entry *e = call_read(call, 1);
    if (e == NULL) {
        reply_null(call->reply);
        return;
    }
    struct value value = entry_value(e);
    struct block *payload = payload_of(keyspace_type(call_keyspace(call, 1), e), &value);
    if (payload == NULL) {
        call_out_of_memory(call);
        return;
    }
    if (payload->len >= PIN_MIN)
        call_reply_pinned(call->reply, call->effects->metrics, payload, block_bytes(payload));
    else
        reply_bulk(call->reply, block_bytes(payload));
    block_release(payload);
}
COMMAND(dump) = {
    .name = "dump",
    .arity = 2,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = dump,
    .group = GROUP_GENERIC,
    .since = "2.6.0",
    .complexity = "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of "
                  "Redis objects composing the value and M their average size. For small string values the "
                  "time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
    .summary = "Return a serialized version of the value stored at the specified key.",
    .acl = "keyspace",
    .tips = "nondeterministic_output",
    .syntax = "<key:key>"};

/* ---- RESTORE -------------------------------------------------------------------------------------- */

enum { ACCESS_UNSET = -1, FREQUENCY_MAX = 255 };

struct restore {
    bool replace, absolute;
    int64_t idle_s,
        frequency;     /* or ACCESS_UNSET; the frequency is kept by LFU policies alone, and there is none */
    int64_t expiry_ms; /* EXPIRY_NONE, or absolute milliseconds */
};

/* A number that an option has, from 0 on. */
static bool option_number(struct call *call, uint32_t arg, int64_t max, const char *error, int64_t *number) {
    if (!call_int_or_reply(call, arg, number)) return false;
    if (*number >= 0 && *number <= max) return true;
    reply_error(call->reply, error);
    return false;
}

static bool restore_options(struct call *call, struct restore *restore) {
    *restore = (struct restore){.idle_s = ACCESS_UNSET, .frequency = ACCESS_UNSET};
    for (uint32_t i = 4; i < call->argc; i++) {
        bool last = i + 1 == call->argc;
        if (bytes_is(call->argv[i], "replace")) {
            restore->replace = true;
        } else if (bytes_is(call->argv[i], "absttl")) {
            restore->absolute = true;
        } else if (bytes_is(call->argv[i], "idletime") && !last && restore->frequency == ACCESS_UNSET) {
            if (!option_number(call, ++i, INT64_MAX, "ERR Invalid IDLETIME value, must be >= 0",
                               &restore->idle_s))
                return false;
        } else if (bytes_is(call->argv[i], "freq") && !last && restore->idle_s == ACCESS_UNSET) {
            if (!option_number(call, ++i, FREQUENCY_MAX, "ERR Invalid FREQ value, must be >= 0 and <= 255",
                               &restore->frequency))
                return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static bool time_or_reply(struct call *call, struct restore *restore) {
    int64_t ttl;
    if (!option_number(call, 2, INT64_MAX, "ERR Invalid TTL value, must be >= 0", &ttl)) return false;
    if (ttl > 0 && !restore->absolute && __builtin_add_overflow(ttl, call_clock_ms(call), &ttl))
        ttl = INT64_MAX; /* which nobody will live to see */
    restore->expiry_ms = ttl;
    return true;
}

static struct load_options load_options_of(const struct call *call, struct keyspace *ks) {
    uint64_t len = call->argv[3].len, max = (uint64_t)config.proto_max_bulk_len;
    struct load_options options = stripes_load_options(ks, len > max ? len : max);
    options.whole = true;
    return options;
}

/* Reads the value. False after replying. */
static bool load_or_reply(struct call *call, struct loading *loading, const struct load_options *options) {
    struct payload payload;
    bool skips = snapshot_skips_checksums();
    if (!payload_open(call->argv[3], skips ? PAYLOAD_UNCHECKED : PAYLOAD_CHECKED, &payload)) {
        reply_error(call->reply, "ERR DUMP payload version or checksum are wrong");
        return false;
    }
    load_begin(loading, options, payload.type, payload.version);
    enum loaded loaded = load_more(loading, &payload.value);
    if (loaded == LOAD_DONE) return true;
    load_end(loading);
    if (loaded == LOAD_NO_MEMORY)
        call_out_of_memory(call);
    else
        reply_error(call->reply, "ERR Bad data format");
    return false;
}

/* The request with the moment of expiry instead of the time until then. */
static void log_restore(struct call *call, const struct restore *restore) {
    char digits[NUMBER_I64_MAX_LEN];
    if (restore->expiry_ms == EXPIRY_NONE || restore->absolute || !call->effects->journal) return;
    struct bytes *argv = malloc((call->argc + 1) * sizeof *argv);
    if (argv == NULL) { /* the options that make a difference */
        CALL_LOG(call, BYTES("RESTORE"), call->argv[1],
                 (struct bytes){digits, number_format_i64(digits, restore->expiry_ms)}, call->argv[3],
                 BYTES("REPLACE"), BYTES("ABSTTL"));
        return;
    }
    memcpy(argv, call->argv, call->argc * sizeof *argv);
    argv[2] = (struct bytes){digits, number_format_i64(digits, restore->expiry_ms)};
    argv[call->argc] = BYTES("ABSTTL");
    call_log(call, argv, call->argc + 1);
    free(argv);
}

/* Its time has passed already: what it was to replace goes. */
static void restore_nothing(struct call *call, struct entry *e) {
    if (e) {
        keyspace_delete_entry(call_keyspace(call, 1), call->db, call_key(call, 1), e);
        call_deleted(call, 1);
        call_log_deleted(call, 1);
    }
    reply_ok(call->reply);
}

static void restore_value(struct call *call, const struct restore *restore, const struct value *value) {
    struct keyspace *ks = call_keyspace(call, 1);
    struct entry *e = call_find(call, call->db, 1);
    if (restore->expiry_ms && restore->expiry_ms <= call->effects->now_ms) {
        restore_nothing(call, e);
        return;
    }
    e = keyspace_set(ks, call->db, call_key(call, 1), value, restore->expiry_ms);
    if (e == NULL) {
        call_out_of_memory(call);
        return;
    }
    uint64_t idle_s = restore->idle_s == ACCESS_UNSET ? 0 : (uint64_t)restore->idle_s;
    entry_set_access(e, (uint32_t)((uint64_t)call_clock_ms(call) / 1000 - idle_s));
    call_created(call, 1);
    call_changed(call, 1, EVENT_RESTORE);
    log_restore(call, restore);
    reply_ok(call->reply);
}

static void restore(struct call *call) {
    struct restore restore;
    struct loading loading;
    if (!restore_options(call, &restore)) return;
    if (!restore.replace && call_claim(call, 1)) {
        reply_error(call->reply, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!time_or_reply(call, &restore)) return;
    struct keyspace *ks = call_keyspace(call, 1);
    struct load_options options = load_options_of(call, ks);
    if (load_or_reply(call, &loading, &options)) {
        restore_value(call, &restore, &loading.value);
        load_end(&loading);
    }
    keyspace_note_nodes(ks);
    keyspace_note_garbage(ks);
}

COMMAND(restore) = {
    .name = "restore",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_OW | KEY_UPDATE)},
    .run = restore,
    .group = GROUP_GENERIC,
    .since = "2.6.0",
    .complexity = "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, "
                  "where N is the number of Redis objects composing the value and M their average size. "
                  "For small string values the time complexity is thus O(1)+O(1*M) where M is small, so "
                  "simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because "
                  "inserting values into sorted sets is O(log(N)).",
    .summary = "Create a key using the provided serialized value, previously obtained using DUMP.",
    .acl = "keyspace dangerous",
    .history = "3.0.0: Added the `REPLACE` modifier.\n5.0.0: Added the `ABSTTL` modifier.\n5.0.0: Added "
               "the `IDLETIME` and `FREQ` options.",
    .syntax = "<key:key> <ttl:integer> <serialized-value> [replace:REPLACE@3.0.0] [absttl:ABSTTL@5.0.0] "
              "[{IDLETIME <seconds:integer>}@5.0.0] [{FREQ <frequency:integer>}@5.0.0]"};
