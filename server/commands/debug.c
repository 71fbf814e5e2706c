/* debug.c - DEBUG: what tests need, gated by enable-debug-command.
 *
 * It runs with every stripe locked: so SLEEP stops all work on keys, on whichever thread, as it stops all of Redis. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "protocol/text.h"
#include "server/call/call.h"
#include "server/call/gate.h"
#include "server/call/help.h"
#include "server/clients/client.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"
#include "server/config/config.h"
#include "server/exec/reload.h"
#include "server/journal/appender.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/process/server.h"

/* ---- Who may -------------------------------------------------------------------------------------- */

static bool is_local(struct client *client) {
    clients_lock();
    const char *peer = client_peer(client);
    bool local = (client->flags & CLIENT_UNIX_SOCKET) || strncmp(peer, "127.0.0.1:", 10) == 0 ||
                 strncmp(peer, "[::1]:", 6) == 0;
    clients_unlock();
    return local;
}

/* DEBUG may be enabled. The other protected command is MODULE, whose option can only be `no`. */
static enum verdict ask_enabled(const struct call *call, struct text *why) {
    bool debug = strcmp(call->command->name, "debug") == 0;
    int64_t enabled = debug ? config.enable_debug_command : CONFIG_NO;
    if (enabled == CONFIG_YES || (enabled == CONFIG_LOCAL && is_local(call->client))) return PASS;
    text_format(why,
                "ERR %s command not allowed. If the enable-%s-command option is set to \"local\", you can "
                "run it from "
                "a local connection, otherwise you need to set this option in the configuration file, and "
                "then restart "
                "the server.",
                debug ? "DEBUG" : "MODULE", debug ? "debug" : "module");
    return REFUSED;
}
static bool is_protected(const struct command *command) {
    return command->flags & CMD_PROTECTED;
}
GATE(protected) = {.bit = GATE_PROTECTED, .concerns = is_protected, .ask = ask_enabled};

/* ---- Subcommands ---------------------------------------------------------------------------------- */

/* For tests that look at what is shown before it is written. */
static void debug_aof_flush_sleep(struct call *call) {
    int64_t sleep_us = 0; /* what is no number is 0, as for Redis */
    if (!number_parse_i64(call->argv[2], &sleep_us)) sleep_us = 0;
    appender_sleep_before_writes(sleep_us);
    reply_ok(call->reply);
}

static void debug_error(struct call *call) {
    reply_error_bytes(call->reply, call->argv[2]);
}

static void debug_log(struct call *call) {
    log_warning("DEBUG LOG: %.*s", (int)(call->argv[2].len < 1024 ? call->argv[2].len : 1024),
                call->argv[2].data);
    reply_ok(call->reply);
}

/* Does not return, but for a test that catches the signal. */
static void debug_segfault(struct call *call) {
    raise(SIGSEGV);
    reply_ok(call->reply);
}

static void debug_set_active_expire(struct call *call) {
    int64_t on = 0; /* what is no number is 0, as for Redis */
    if (!number_parse_i64(call->argv[2], &on)) on = 0;
    stripes_active_expire = on != 0;
    post_look_again(call->effects->wakes);
    reply_ok(call->reply);
}

/* For tests with damaged payloads and files. */
static void debug_skip_checksums(struct call *call) {
    int64_t skip = 0;
    if (!number_parse_i64(call->argv[2], &skip)) skip = 0;
    snapshot_skip_checksums(skip != 0);
    reply_ok(call->reply);
}

/* Nothing here is done at a frequency, so there is nothing to stop. */
static void debug_pause_cron(struct call *call) {
    reply_ok(call->reply);
}

static void debug_stir_connections(struct call *call) {
    int64_t turns;
    /* Who is asked to leave in the turn in which it came, or in the next, may never be served. */
    enum { TURNS_LEAST = 3 };
    static const struct call_range range = {0, UINT32_MAX, "ERR the number of turns must be 0 or at least 3"};
    if (!call_int_range_or_reply(call, 2, range, &turns)) return;
    if (turns && turns < TURNS_LEAST) {
        reply_error(call->reply, range.error);
        return;
    }
    clients_stir_turns = (uint32_t)turns;
    reply_ok(call->reply);
}

static void debug_sleep(struct call *call) {
    double seconds = 0;
    if (!number_parse_double(call->argv[2], &seconds) || !(seconds > 0) || seconds > 1e9) seconds = 0;
    struct timespec left = {.tv_sec = (time_t)seconds};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {
    }
    reply_ok(call->reply);
}

/* ---- POPULATE -------------------------------------------------------------------------------------- */

/* Of a key's name, and of "value:NUMBER", each with a zero behind it: as for Redis. */
enum { POPULATE_TEXT_SIZE = 128 };

/* Keys PREFIX:0, PREFIX:1 ... */
struct population {
    struct bytes prefix;
    int64_t keys, size; /* size: bytes of each value, zeros behind the text; 0: the text alone */
    char *value; /* POPULATE_TEXT_SIZE bytes, or `size` if that is more; zeros where nothing was written */
};

/* As in Redis this counts as no change, and is not recorded: what is made so goes with the process, unless it is saved.
 * False: there is no memory for it. */
static bool populate_key(struct call *call, const struct population *population, int64_t number) {
    char name[POPULATE_TEXT_SIZE];
    struct text text = text_fixed(name, sizeof name);
    text_add(&text, population->prefix);
    text_format(&text, ":%" PRId64, number);
    struct key key = {text_bytes(&text), hash_bytes(&stripes.seed, text_bytes(&text))};
    struct stripe *stripe = stripe_of(key.hash);
    struct entry *e = keyspace_find(stripe->keyspace, call->db, key);
    if (e && entry_is_due(e, call->effects->now_ms)) e = call_expire(call, call->db, e);
    if (e) return true;
    int len = snprintf(population->value, POPULATE_TEXT_SIZE, "value:%" PRId64, number);
    size_t size = population->size ? (size_t)population->size : (size_t)len;
    struct value value = value_of_bytes((struct bytes){population->value, size});
    e = keyspace_set(stripe->keyspace, call->db, key, &value, EXPIRY_NONE);
    if (!e) return false;
    call_touch(call, e);
    effect(call->effects, stripe,
           &(struct effect){.kind = EFFECT_CREATED, .event = EVENT_NEW, .db = call->db, .key = key});
    effect(call->effects, stripe, &(struct effect){.kind = EFFECT_CHANGED, .db = call->db, .key = key});
    return true;
}

static bool population_or_reply(struct call *call, struct population *population) {
    static const struct call_range range = {0, INT64_MAX, "ERR value is out of range, must be positive"};
    *population = (struct population){.prefix = call->argc > 3 ? call->argv[3] : BYTES("key")};
    if (call->argc > 5) {
        help_syntax_error(call);
        return false;
    }
    if (!call_int_range_or_reply(call, 2, range, &population->keys)) return false;
    if (call->argc == 5 && !call_int_range_or_reply(call, 4, range, &population->size)) return false;
    if (population->size <= config.proto_max_bulk_len) return true;
    call_out_of_memory(call);
    return false;
}

static void debug_populate(struct call *call) {
    struct population population;
    if (!population_or_reply(call, &population)) return;
    size_t size = POPULATE_TEXT_SIZE;
    if ((size_t)population.size > size) size = (size_t)population.size;
    population.value = calloc(1, size);
    bool enough = population.value;
    effects_claim(call->effects); /* keys are marked, for which nothing is recorded */
    for (int64_t number = 0; number < population.keys && enough; number++)
        enough = populate_key(call, &population, number);
    free(population.value);
    if (enough)
        reply_ok(call->reply);
    else
        call_out_of_memory(call);
}

/* ---- RELOAD --------------------------------------------------------------------------------------- */

struct reload {
    bool merges, flushes, saves;
};

static bool reload_options(struct call *call, struct reload *reload) {
    *reload = (struct reload){.flushes = true, .saves = true};
    for (uint32_t i = 2; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "merge")) {
            reload->merges = true;
        } else if (bytes_is(call->argv[i], "noflush")) {
            reload->flushes = false;
        } else if (bytes_is(call->argv[i], "nosave")) {
            reload->saves = false;
        } else {
            reply_error(call->reply, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return false;
        }
    }
    return true;
}

/* Redis counts no change for it, though watched keys are touched. */
static void flush_for_reload(struct call *call) {
    for (unsigned i = 0; i < stripes.count; i++)
        for (unsigned db = 0; db < (unsigned)config.databases; db++) {
            effect(call->effects, &stripes.all[i], &(struct effect){.kind = EFFECT_FLUSHED, .db = db});
            keyspace_flush(stripes.all[i].keyspace, db);
        }
    call_emptied_databases(call);
}

/* A file that cannot be loaded ends redis-server. Here it is looked at before anything is flushed for it. */
static void debug_reload(struct call *call) {
    struct reload reload;
    struct snapshot_load load = {.now_ms = call->effects->now_ms, .only_looks = true};
    if (!reload_options(call, &reload)) return;
    if (intake_going()) {
        reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
        return;
    }
    snapshot_stop();
    if (reload.saves && !snapshot_save(call->effects->now_ms)) {
        reply_error(call->reply, "ERR");
        return;
    }
    bool loaded = snapshot_load(&load) == SNAPSHOT_LOADED;
    if (loaded && reload.flushes) flush_for_reload(call);
    load.only_looks = false;
    load.replaces = reload.merges || reload.flushes; /* of a key that comes twice, the last one */
    loaded = loaded && snapshot_load(&load) == SNAPSHOT_LOADED;
    if (!loaded) {
        reply_error(call->reply, "ERR Error trying to load the RDB dump");
        return;
    }
    log_warning("DB reloaded by DEBUG RELOAD");
    reply_ok(call->reply);
}

static void debug_loadaof(struct call *call) {
    if (intake_going()) {
        reply_error(call->reply, "LOADING Redis is loading the dataset in memory");
        return;
    }
    if (!reload_aof(call, flush_for_reload)) {
        reply_error(call->reply, "ERR Error trying to load the AOF files, check server logs.");
        return;
    }
    log_warning("Append Only File loaded by DEBUG LOADAOF");
    reply_ok(call->reply);
}

/* ---- DIGEST --------------------------------------------------------------------------------------- */

static void reply_digest(struct call *call, const struct digest *digest) {
    char hex[2 * SHA1_LEN + 1];
    for (unsigned i = 0; i < SHA1_LEN; i++) snprintf(hex + 2 * i, 3, "%02x", digest->bytes[i]);
    reply_simple(call->reply, hex);
}

static bool database_is_empty(unsigned db) {
    for (unsigned i = 0; i < stripes.count; i++)
        if (keyspace_count(stripes.all[i].keyspace, db)) return false;
    return true;
}

static void debug_digest(struct call *call) {
    struct digest digest = {{0}};
    for (unsigned db = 0; db < (unsigned)config.databases; db++) {
        if (database_is_empty(db)) continue;
        digest_mix_number(&digest, db);
        for (unsigned i = 0; i < stripes.count; i++) keyspace_digest(&digest, stripes.all[i].keyspace, db);
    }
    reply_digest(call, &digest);
}

static void debug_digest_value(struct call *call) {
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        struct key key = {call->argv[i], hash_bytes(&stripes.seed, call->argv[i])};
        const struct keyspace *ks = stripe_of(key.hash)->keyspace;
        const struct entry *e = keyspace_find(ks, call->db, key);
        struct digest digest = {{0}};
        if (e) keyspace_digest_entry(&digest, ks, e); /* expired or not, as in Redis */
        reply_digest(call, &digest);
    }
}

/* ---- OBJECT --------------------------------------------------------------------------------------- */

/* Counts what it is given. */
struct meter {
    struct sink sink;
    size_t bytes;
};

static bool meter_write(struct sink *sink, struct bytes bytes) {
    ((struct meter *)sink)->bytes += bytes.len;
    return true;
}

/* Bytes that the value takes in an RDB file, uncompressed. */
static size_t serialized_len(const struct type *type, const struct value *value) {
    struct meter meter = {.sink = {.write = meter_write}};
    struct cursor cursor = {{0}};
    while (type->dump(value, &cursor, &meter.sink, SIZE_MAX) == DUMP_MORE) {
    }
    return meter.bytes;
}

/* Those who hold the value: its key, copies, and replies in flight. */
static uint32_t references_of(const struct value *value) {
    if (value->kind == VALUE_BLOCK) return __atomic_load_n(&value->block->references, __ATOMIC_RELAXED);
    return value->kind == VALUE_OBJECT ? __atomic_load_n(&value->object->references, __ATOMIC_RELAXED) : 1;
}

static void debug_object(struct call *call) {
    struct key key = {call->argv[2], hash_bytes(&stripes.seed, call->argv[2])};
    const struct keyspace *ks = stripe_of(key.hash)->keyspace;
    const struct entry *e = keyspace_find(ks, call->db, key);
    if (!e || keyspace_is_over(e, call->effects->now_ms)) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    const struct type *type = keyspace_type(ks, e);
    struct value value = entry_value(e);
    uint32_t accessed_s = entry_access(e), now_s = (uint32_t)(call->effects->now_ms / 1000);
    char text[192];
    snprintf(text, sizeof text,
             "Value at:%p refcount:%" PRIu32 " encoding:%s serializedlength:%zu lru:%" PRIu32
             " lru_seconds_idle:%" PRIu32,
             (const void *)e, references_of(&value), type->encoding(&value), serialized_len(type, &value),
             accessed_s, (now_s - accessed_s) & 0xffffff);
    reply_simple(call->reply, text);
}

/* ---- PROTOCOL ------------------------------------------------------------------------------------- */

static void protocol_string(struct reply *reply) {
    reply_bulk(reply, BYTES("Hello World"));
}
static void protocol_integer(struct reply *reply) {
    reply_int(reply, 12345);
}
static void protocol_double(struct reply *reply) {
    reply_raw(reply, reply->resp == 3 ? BYTES(",3.141\r\n") : BYTES("$5\r\n3.141\r\n"));
}
static void protocol_bignum(struct reply *reply) {
    reply_big_number(reply, BYTES("1234567999999999999999999999999999999"));
}
static void protocol_array(struct reply *reply) {
    reply_array(reply, 3);
    for (int i = 0; i < 3; i++) reply_int(reply, i);
}
static void protocol_set(struct reply *reply) {
    reply_set(reply, 3);
    for (int i = 0; i < 3; i++) reply_int(reply, i);
}
static void protocol_map(struct reply *reply) {
    reply_map(reply, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(reply, i);
        reply_bool(reply, i == 1);
    }
}
static void protocol_attrib(struct reply *reply) {
    if (reply->resp == 3) {
        reply_attribute(reply, 1);
        reply_bulk(reply, BYTES("key-popularity"));
        reply_array(reply, 2);
        reply_bulk(reply, BYTES("key:123"));
        reply_int(reply, 90);
    }
    reply_bulk(reply, BYTES("Some real reply following the attribute"));
}
static void protocol_push(struct reply *reply) {
    if (reply->resp == 2) {
        reply_error(reply, "ERR RESP2 is not supported by this command");
        return;
    }
    reply_push(reply, 2);
    reply_bulk(reply, BYTES("server-cpu-usage"));
    reply_int(reply, 42);
    reply_bulk(reply, BYTES("Some real reply following the push reply"));
}
static void protocol_verbatim(struct reply *reply) {
    reply_verbatim(reply, "txt", BYTES("This is a verbatim\nstring"));
}
static void protocol_true(struct reply *reply) {
    reply_bool(reply, true);
}
static void protocol_false(struct reply *reply) {
    reply_bool(reply, false);
}

static const struct {
    const char *name;
    void (*write)(struct reply *reply);
} protocol_types[] = {
    {"string", protocol_string},
    {"integer", protocol_integer},
    {"double", protocol_double},
    {"bignum", protocol_bignum},
    {"null", reply_null},
    {"array", protocol_array},
    {"set", protocol_set},
    {"map", protocol_map},
    {"attrib", protocol_attrib},
    {"push", protocol_push},
    {"verbatim", protocol_verbatim},
    {"true", protocol_true},
    {"false", protocol_false},
};

static void debug_protocol(struct call *call) {
    for (size_t i = 0; i < sizeof protocol_types / sizeof *protocol_types; i++) {
        if (!bytes_equal_nocase(call->argv[2], bytes_of(protocol_types[i].name))) continue;
        protocol_types[i].write(call->reply);
        return;
    }
    reply_error(call->reply,
                "ERR Wrong protocol type name. Please use one of the following: "
                "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

/* ---- DEBUG ---------------------------------------------------------------------------------------- */

static void debug_help(struct call *call) {
    static const char *const lines[] = {
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "AOF-FLUSH-SLEEP <microsec>",
        "    Server will sleep before flushing the AOF, this is used for testing.",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message. Useful for clients",
        "    unit tests to simulate Redis errors.",
        "LOADAOF",
        "    Flush the AOF buffers on disk and reload the AOF in memory.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create <count> string keys named key:<num>. If <prefix> is specified then",
        "    it is used instead of the 'key' prefix.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "RELOAD [option ...]",
        "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
        "    * MERGE: conflicting keys will be loaded from RDB.",
        "    * NOFLUSH: the existing database will not be removed before load, but",
        "      conflicting keys end the load.",
        "    * NOSAVE: the database will be loaded from an existing RDB file.",
        "SEGFAULT",
        "    Crash the server with sigsegv.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background when they are not",
        "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
        "    default.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Enables or disables checksum checks for RDB files and RESTORE's payload.",
        "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.",
        "STIR-CONNECTIONS <turns>",
        "    Each shard gives every connection that can move to the next shard whenever it has",
        "    made so many turns, 3 at least. 0 ends that.",
    };
    HELP_REPLY(call, lines);
}

static const struct {
    const char *name;
    int arity; /* arguments with those two names; below 0: at least so many */
    void (*run)(struct call *call);
} subcommands[] = {
    {"aof-flush-sleep", 3, debug_aof_flush_sleep},
    {"digest", 2, debug_digest},
    {"digest-value", -2, debug_digest_value},
    {"error", 3, debug_error},
    {"help", 2, debug_help},
    {"loadaof", -2, debug_loadaof},
    {"log", 3, debug_log},
    {"object", 3, debug_object},
    {"pause-cron", 3, debug_pause_cron},
    {"populate", -3, debug_populate},
    {"protocol", 3, debug_protocol},
    {"reload", -2, debug_reload},
    {"segfault", 2, debug_segfault},
    {"set-active-expire", 3, debug_set_active_expire},
    {"set-skip-checksum-validation", 3, debug_skip_checksums},
    {"sleep", 3, debug_sleep},
    {"stir-connections", 3, debug_stir_connections},
};

static bool fits(uint32_t argc, int arity) {
    return arity < 0 ? argc >= (uint32_t)-arity : argc == (uint32_t)arity;
}

static void debug(struct call *call) {
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        if (!fits(call->argc, subcommands[i].arity) ||
            !bytes_equal_nocase(call->argv[1], bytes_of(subcommands[i].name)))
            continue;
        subcommands[i].run(call);
        return;
    }
    help_syntax_error(call);
}
COMMAND(debug) = {.name = "debug",
                  .arity = -2,
                  .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_ALL_STRIPES |
                           CMD_SLOW_CLOCK | CMD_SYSCMD | CMD_PROTECTED,
                  .run = debug,
                  .group = GROUP_SERVER,
                  .since = "1.0.0",
                  .complexity = "Depends on subcommand.",
                  .summary = "A container for debugging commands"};
