/* load_keys.c - each key is read, and its value made and put in its place, while its stripe is held.
 *
 * What takes longest is waiting for memory: so the buckets of several keys are asked for before any of these is
 * read from the file. */
#include "server/journal/load_keys.h"

#include <inttypes.h>

#include "protocol/text.h"
#include "server/journal/intake.h"

enum { KEY_SHOWN_MAX = 128, KEYS_AHEAD = 16, BURY_STEP = 4096 };

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

bool load_fail(struct load_keys *keys, uint64_t offset, bool key, const char *why) {
    if (keys->why[0]) return false;
    struct text out = text_fixed(keys->why, sizeof keys->why);
    keys->fault_at = offset;
    text_format(&out, "%s: offset %" PRIu64 ": ", keys->load->name, offset);
    if (key) {
        text_format(&out, "database %" PRIu64 ", ", keys->reader.db);
        add_key(&out, keys->reader.name.bytes);
    }
    text_format(&out, "%s", why);
    return false;
}

/* ---- Stripes -------------------------------------------------------------------------------------- */

static void enter_stripe(const struct load_keys *keys) {
    if (keys->load->shared) stripe_lock(keys->stripe);
}

/* The owner looks at all of them when all is loaded. */
static void leave_stripe(const struct load_keys *keys) {
    assert(keys->stripe);
    if (!keys->load->shared) return;
    keyspace_take_news(keys->stripe->keyspace, keys->load->now_ms);
    stripe_unlock(keys->stripe);
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

static const char *load_why(const struct loading *loading, enum loaded loaded) {
    if (loading->opened != LOAD_DONE || loaded == LOAD_UNKNOWN)
        return "the value is of a type that kevy does not read";
    return loaded == LOAD_NO_MEMORY ? "out of memory" : "no value is like this";
}

static enum loaded load_piece(struct load_keys *keys) {
    size_t left = keys->input->len;
    enum loaded loaded = load_more(&keys->loading, keys->input);
    keys->reader.taken += left - keys->input->len;
    return loaded;
}

/* True also where nothing came of it: *whole says whether there is a value. */
static bool read_value(struct load_keys *keys, const struct load_options *options, bool *whole) {
    struct loading *loading = &keys->loading;
    struct rdb_file_reader *reader = &keys->reader;
    uint64_t begin = reader->taken;
    load_begin(loading, options, reader->type, reader->version);
    enum loaded loaded = load_piece(keys);
    while (loaded == LOAD_MORE) {
        leave_stripe(keys);
        bool got = keys->more && keys->more(keys, begin, true);
        enter_stripe(keys);
        if (!got) return load_fail(keys, begin, true, "the file ends in the middle of this");
        loaded = load_piece(keys);
    }
    *whole = loaded == LOAD_DONE;
    if (loaded == LOAD_EMPTY) keys->empty++;
    return *whole || loaded == LOAD_EMPTY || load_fail(keys, begin, true, load_why(loading, loaded));
}

static bool keep_value(struct load_keys *keys, struct keyspace *ks, struct key key) {
    const struct snapshot_load *load = keys->load;
    const struct rdb_file_reader *reader = &keys->reader;
    if (reader->expires && reader->expiry_ms <= load->now_ms && !load->keeps_expired) {
        keys->expired++;
        return true;
    }
    keys->keys++;
    if (load->only_looks) return true;
    unsigned db = (unsigned)reader->db;
    if (!load->replaces && keyspace_find(ks, db, key))
        return load_fail(keys, reader->item_begin, true, "the key is there already");
    struct entry *e =
        keyspace_set(ks, db, key, &keys->loading.value, reader->expires ? reader->expiry_ms : EXPIRY_NONE);
    if (e == NULL) return load_fail(keys, reader->item_begin, true, "out of memory");
    uint64_t idle_s = reader->idle ? reader->idle_s : 0;
    entry_set_access(e, (uint32_t)((uint64_t)load->now_ms / 1000 - idle_s) & 0xffffff);
    return true;
}

/* A value that was not kept is freed now: who frees in steps while commands run does not come before all is loaded, and
 * then there would be room for every value that was only looked at, or whose time has come. */
static void bury(const struct load_keys *keys, struct dead *dead) {
    unsigned budget = BURY_STEP;
    if (!dead->first) return;
    while (dead_bury(dead, &budget)) {
        leave_stripe(keys);
        budget = BURY_STEP;
        enter_stripe(keys);
    }
}

bool load_key(struct load_keys *keys) {
    struct bytes name = keys->reader.name.bytes;
    uint64_t hash = hash_bytes(&stripes.seed, name);
    struct keyspace *ks = stripe_of(hash)->keyspace;
    bool whole;
    keys->stripe = stripe_of(hash);
    enter_stripe(keys);
    bool read = read_value(keys, &keys->options[stripe_index(hash)], &whole);
    /* Its bytes may have moved. */
    if (read && whole) read = keep_value(keys, ks, (struct key){keys->reader.name.bytes, hash});
    load_end(&keys->loading);
    bury(keys, &ks->dead);
    keyspace_note_nodes(ks);
    keyspace_note_garbage(ks);
    leave_stripe(keys);
    intake_delay();
    return read;
}

/* ---- Many ----------------------------------------------------------------------------------------- */

/* Asks for the buckets of the next keys, of those whose bytes stand there as they are; returns how many keys these are. */
static unsigned ask_ahead(const struct load_keys *keys, struct bytes *ahead) {
    unsigned db = (unsigned)keys->reader.db, count;
    struct bytes name;
    for (count = 0; count < KEYS_AHEAD && ahead->len; count++) {
        if (!rdb_file_skip(keys->reader.version, *ahead, &name, ahead)) break;
        if (name.data == NULL) continue;
        uint64_t hash = hash_bytes(&stripes.seed, name);
        (void)keyspace_prefetch_bucket(stripe_of(hash)->keyspace, db, hash);
    }
    return count;
}

static bool read_and_load(struct load_keys *keys) {
    switch (rdb_file_read(&keys->reader, keys->input)) {
    case RDB_FILE_KEY: return load_key(keys);
    case RDB_FILE_BAD: return load_fail(keys, keys->reader.item_begin, false, keys->reader.why);
    case RDB_FILE_NO_MEMORY: return load_fail(keys, keys->reader.item_begin, false, "out of memory");
    default: return load_fail(keys, keys->reader.item_begin, false, "the file ends in the middle of this");
    }
}

bool load_all_keys(struct load_keys *keys, struct bytes bytes) {
    struct bytes ahead = bytes, *before = keys->input;
    unsigned asked = 0;
    bool loaded = true;
    assert(rdb_file_between(&keys->reader) && keys->reader.version > 0);
    keys->input = &bytes;
    for (; loaded && bytes.len; asked -= asked > 0) {
        if (asked == 0) asked = ask_ahead(keys, &ahead);
        loaded = read_and_load(keys);
        assert(bytes.data <= ahead.data || !loaded);
    }
    keys->input = before;
    return loaded;
}
