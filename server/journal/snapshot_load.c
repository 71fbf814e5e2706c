/* snapshot_load.c - what store/rdb/file.h reads goes key by key to its stripe. */
#include "server/journal/snapshot_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/text.h"
#include "server/config/config.h"
#include "server/journal/file_in.h"
#include "server/journal/intake.h"
#include "server/stripes/stripes.h"
#include "store/rdb/file.h"
#include "store/rdb/lzf.h"

enum {
    KEY_SHOWN_MAX = 128,
};
#define STRING_BYTES_MAX ((uint64_t)1 << 40) /* whatever the file's length pays for */

struct opened {
    struct snapshot_load *load;
    struct file_in in;
    struct rdb_file_reader reader;
    struct load_options options[MAX_STRIPES];
    struct loading loading;
    struct stripe *stripe; /* of the key that is being loaded */
};

/* ---- What is wrong -------------------------------------------------------------------------------- */

/* As the log may show it: other bytes than printable ones as \x00. */
static void add_key(struct text *out, struct bytes key) {
    text_format(out, "key \"");
    for (size_t i = 0; i < key.len && i < KEY_SHOWN_MAX; i++) {
        unsigned char byte = (unsigned char)key.data[i];
        bool plain = byte >= ' ' && byte < 127 && byte != '"' && byte != '\\';
        text_format(out, plain ? "%c" : "\\x%02x", byte);
    }
    text_format(out, key.len > KEY_SHOWN_MAX ? "...\": " : "\": ");
}

/* Always false. `key`: the fault is that of a key, which was read. */
static bool fail(struct opened *opened, uint64_t offset, bool key, const char *why) {
    struct snapshot_load *load = opened->load;
    struct text out = text_fixed(load->why, sizeof load->why);
    if (load->why[0]) return false; /* the first is told */
    text_format(&out, "%s: offset %" PRIu64 ": ", load->name, offset);
    if (key) {
        text_format(&out, "database %" PRIu64 ", ", opened->reader.db);
        add_key(&out, opened->reader.name.bytes);
    }
    text_format(&out, "%s", why);
    return false;
}

static bool fail_errno(struct opened *opened, int error) {
    char why[128];
    snprintf(why, sizeof why, "reading: %s", strerror(-error));
    return fail(opened, file_in_at(&opened->in), false, why);
}

/* ---- Input ---------------------------------------------------------------------------------------- */

static void tell_progress(struct opened *opened) {
    struct snapshot_load *load = opened->load;
    load->taken = file_in_at(&opened->in);
    if (load->progress) load->progress(load);
}

/* `begin` and `key`: of what is being read, where the file ends in the middle of it. */
static bool more(struct opened *opened, uint64_t begin, bool key) {
    struct snapshot_load *load = opened->load;
    if (!rdb_file_keep(&opened->reader)) return fail(opened, begin, key, "out of memory");
    int got = file_in_more(&opened->in);
    if (load->work) __atomic_fetch_add(load->work, 1, __ATOMIC_RELAXED);
    tell_progress(opened);
    if (got > 0) return true;
    if (got < 0) return fail_errno(opened, got);
    return fail(opened, begin, key, "the file ends in the middle of this");
}

/* ---- Stripes -------------------------------------------------------------------------------------- */

static void enter_stripe(const struct opened *opened) {
    if (opened->load->shared) stripe_lock(opened->stripe);
}

/* The owner looks at all of them when all is loaded. */
static void leave_stripe(const struct opened *opened) {
    if (!opened->load->shared) return;
    keyspace_take_news(opened->stripe->keyspace, opened->load->now_ms);
    stripe_unlock(opened->stripe);
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

static const char *load_why(const struct loading *loading, enum loaded loaded) {
    if (loading->opened != LOAD_DONE || loaded == LOAD_UNKNOWN)
        return "the value is of a type that kevy does not read";
    return loaded == LOAD_NO_MEMORY ? "out of memory" : "no value is like this";
}

/* True also where nothing came of it: *whole says whether there is a value. */
static bool read_value(struct opened *opened, struct load_options *options, bool *whole) {
    struct loading *loading = &opened->loading;
    struct rdb_file_reader *reader = &opened->reader;
    uint64_t begin = file_in_at(&opened->in);
    load_begin(loading, options, reader->type, reader->version);
    enum loaded loaded = load_more(loading, &opened->in.input);
    while (loaded == LOAD_MORE) {
        leave_stripe(opened);
        bool got = more(opened, begin, true);
        enter_stripe(opened);
        if (!got) return false;
        loaded = load_more(loading, &opened->in.input);
    }
    reader->taken += file_in_at(&opened->in) - begin;
    *whole = loaded == LOAD_DONE;
    if (loaded == LOAD_EMPTY) opened->load->empty++;
    return *whole || loaded == LOAD_EMPTY || fail(opened, begin, true, load_why(loading, loaded));
}

static bool keep_value(struct opened *opened, struct keyspace *ks, struct key key) {
    struct snapshot_load *load = opened->load;
    const struct rdb_file_reader *reader = &opened->reader;
    if (reader->expires && reader->expiry_ms <= load->now_ms && !load->keeps_expired) {
        load->expired++;
        return true;
    }
    load->keys++;
    if (load->only_looks) return true;
    unsigned db = (unsigned)reader->db;
    if (!load->replaces && keyspace_find(ks, db, key))
        return fail(opened, reader->item_begin, true, "the key is there already");
    struct entry *e =
        keyspace_set(ks, db, key, &opened->loading.value, reader->expires ? reader->expiry_ms : EXPIRY_NONE);
    if (e == NULL) return fail(opened, reader->item_begin, true, "out of memory");
    uint64_t idle_s = reader->idle ? reader->idle_s : 0;
    entry_set_access(e, (uint32_t)((uint64_t)load->now_ms / 1000 - idle_s) & 0xffffff);
    return true;
}

static bool load_key(struct opened *opened) {
    struct bytes name = opened->reader.name.bytes;
    uint64_t hash = hash_bytes(&stripes.seed, name);
    struct keyspace *ks = stripe_of(hash)->keyspace;
    bool whole;
    opened->stripe = stripe_of(hash);
    enter_stripe(opened);
    bool read = read_value(opened, &opened->options[stripe_index(hash)], &whole);
    /* Its bytes may have moved. */
    if (read && whole) read = keep_value(opened, ks, (struct key){opened->reader.name.bytes, hash});
    load_end(&opened->loading);
    keyspace_note_nodes(ks);
    keyspace_note_garbage(ks);
    leave_stripe(opened);
    if (intake_delays()) tell_progress(opened);
    intake_delay();
    return read;
}

/* ---- What is no key ------------------------------------------------------------------------------- */

static bool note_database(struct opened *opened) {
    char why[96];
    if (opened->reader.db < (uint64_t)config.databases) return true;
    snprintf(why, sizeof why, "database %" PRIu64 ", where the option `databases` is %lld", opened->reader.db,
             (long long)config.databases);
    return fail(opened, opened->reader.item_begin, false, why);
}

static void note_about(struct opened *opened) {
    struct snapshot_load *load = opened->load;
    struct bytes name = opened->reader.name.bytes, value = opened->reader.value.bytes;
    if (bytes_equal(name, BYTES("ctime"))) {
        if (!number_parse_i64(value, &load->created_s) || load->created_s < 0) load->created_s = 0;
    } else if (bytes_equal(name, BYTES("used-mem"))) {
        int64_t used = 0;
        load->used_memory = number_parse_i64(value, &used) && used > 0 ? (uint64_t)used : 0;
    } else if (bytes_equal(name, BYTES("redis-ver")) || bytes_equal(name, BYTES("valkey-ver"))) {
        struct text out = text_fixed(load->version, sizeof load->version);
        for (size_t i = 0; i < value.len && i < sizeof load->version; i++)
            if (value.data[i] > ' ' && value.data[i] < 127) text_format(&out, "%c", value.data[i]);
    }
}

/* What is behind the end is left alone, as Redis does. */
static bool check_footer(struct opened *opened) {
    struct file_in *in = &opened->in;
    if (opened->reader.version < RDB_FOOTER_SINCE) return true;
    uint64_t begin = file_in_at(in), checksum = file_in_checksum(in);
    while (in->input.len < RDB_FOOTER_LEN)
        if (!more(opened, begin, false)) return false;
    uint64_t said = rdb_file_footer(in->input.data);
    in->input = (struct bytes){in->input.data + RDB_FOOTER_LEN, in->input.len - RDB_FOOTER_LEN};
    if (said == 0 || said == checksum || !opened->load->summed) return true;
    return fail(opened, begin, false, "the checksum is another: what is before it is not what was written");
}

/* ---- The file ------------------------------------------------------------------------------------- */

static bool load_items(struct opened *opened) {
    for (;;) {
        if (opened->load->shared && intake_cancelled())
            return fail(opened, opened->reader.item_begin, false, "the server was told to end");
        struct rdb_file_reader *reader = &opened->reader;
        bool ok = true;
        switch (rdb_file_read(reader, &opened->in.input)) {
        case RDB_FILE_MORE: ok = more(opened, reader->item_begin, false); break;
        case RDB_FILE_AUX: note_about(opened); break;
        case RDB_FILE_DATABASE: ok = note_database(opened); break;
        case RDB_FILE_SIZE: break;
        case RDB_FILE_KEY: ok = load_key(opened); break;
        case RDB_FILE_END: return check_footer(opened);
        case RDB_FILE_BAD: return fail(opened, reader->item_begin, false, reader->why);
        default: return fail(opened, reader->item_begin, false, "out of memory");
        }
        if (!ok) return false;
    }
}

/* Timers are counted from a moment that a keyspace knows, and nothing may be due before that. */
static void tell_time(struct opened *opened) {
    for (unsigned i = 0; i < stripes.count; i++) {
        opened->stripe = &stripes.all[i];
        enter_stripe(opened);
        keyspace_expire(opened->stripe->keyspace, opened->load->now_ms, 0, NULL, NULL);
        leave_stripe(opened);
    }
}

static void prepare(struct opened *opened, struct snapshot_load *load) {
    opened->load = load;
    uint64_t paid = load->size < STRING_BYTES_MAX / LZF_GAIN_MAX ? load->size * LZF_GAIN_MAX
                                                                 : STRING_BYTES_MAX;
    opened->reader = (struct rdb_file_reader){.max_bytes = paid};
    for (unsigned i = 0; i < stripes.count; i++)
        opened->options[i] = stripes_load_options(stripes.all[i].keyspace, paid);
    if (!load->only_looks) tell_time(opened);
}

enum snapshot_loaded snapshot_load_run(struct snapshot_load *load) {
    struct opened *opened = malloc(sizeof *opened);
    load->keys = load->expired = load->empty = load->taken = load->size = 0;
    load->created_s = 0;
    load->used_memory = 0;
    load->version[0] = load->why[0] = '\0';
    int error = opened ? file_in_open(&opened->in, load->disk, load->name) : -ENOMEM;
    if (error) {
        snprintf(load->why, sizeof load->why, "%s: %s", load->name, strerror(-error));
        free(opened);
        return error == -ENOENT ? SNAPSHOT_ABSENT : SNAPSHOT_FAILED;
    }
    load->size = opened->in.size;
    prepare(opened, load);
    bool loaded = load_items(opened);
    load->taken = file_in_at(&opened->in);
    rdb_file_close(&opened->reader);
    file_in_close(&opened->in);
    free(opened);
    return loaded ? SNAPSHOT_LOADED : SNAPSHOT_FAILED;
}
