/* load_keys.c - each key is read, and its value made and put in its place, while its stripe is held.
 *
 * What takes longest is waiting for memory: so the buckets of several keys are asked for before any of these is
 * read from the file. And where several threads load, what each insertion into a stripe writes would go from
 * CPU to CPU with nearly every key: so the keys of a stripe come together. */
#include "server/journal/load_keys.h"

#include <inttypes.h>

#include "protocol/text.h"
#include "server/journal/intake.h"

enum { KEY_SHOWN_MAX = 128, KEYS_AHEAD = 16, HELD_MOST = 256, BURY_STEP = 4096 };

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
    if (keys->fault.why[0]) return false;
    struct text out = text_fixed(keys->fault.why, sizeof keys->fault.why);
    keys->fault.at = offset;
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
    keyspace_note_nodes(keys->stripe->keyspace);
    keyspace_note_garbage(keys->stripe->keyspace);
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

/* The value of a key that was read; its stripe is held. */
static bool load_held(struct load_keys *keys, uint64_t hash) {
    struct keyspace *ks = keys->stripe->keyspace;
    bool whole, read = read_value(keys, &keys->options[stripe_index(hash)], &whole);
    /* Its bytes may have moved. */
    if (read && whole) read = keep_value(keys, ks, (struct key){keys->reader.name.bytes, hash});
    load_end(&keys->loading);
    bury(keys, &ks->dead);
    return read;
}

bool load_key(struct load_keys *keys) {
    uint64_t hash = hash_bytes(&stripes.seed, keys->reader.name.bytes);
    keys->stripe = stripe_of(hash);
    enter_stripe(keys);
    bool read = load_held(keys, hash);
    leave_stripe(keys);
    keys->stripe = NULL;
    intake_delay();
    return read;
}

/* ---- Many ----------------------------------------------------------------------------------------- */

static void begin_at(struct load_keys *keys, uint64_t at) {
    struct rdb_file_reader *reader = &keys->reader;
    rdb_file_close(reader);
    rdb_file_begin_at(reader, reader->version, reader->db, at);
}

/* What is at the reader's place, one key as a rule. */
static bool read_one(struct load_keys *keys, struct bytes *input) {
    switch (rdb_file_read(&keys->reader, input)) {
    case RDB_FILE_KEY: return true;
    case RDB_FILE_BAD: return load_fail(keys, keys->reader.item_begin, false, keys->reader.why);
    case RDB_FILE_NO_MEMORY: return load_fail(keys, keys->reader.item_begin, false, "out of memory");
    default: return load_fail(keys, keys->reader.item_begin, false, "the file ends in the middle of this");
    }
}

/* The hash of the key at the beginning of the input, whose bytes are `plain`, or must be read. */
static bool hash_next(struct load_keys *keys, struct bytes input, struct bytes plain, uint64_t *hash) {
    if (plain.data == NULL) {
        uint64_t at = keys->reader.taken;
        bool read = rdb_file_read(&keys->reader, &input) == RDB_FILE_KEY;
        if (read) *hash = hash_bytes(&stripes.seed, keys->reader.name.bytes);
        begin_at(keys, at);
        return read;
    }
    *hash = hash_bytes(&stripes.seed, plain);
    return true;
}

/* Takes keys from the beginning of the bytes; returns how many bytes they are. */
static size_t fill_batch(struct load_keys *keys, struct bytes bytes) {
    struct load_batch *batch = keys->batch;
    struct bytes rest = bytes, next, plain;
    uint64_t hash;
    batch->count = 0;
    memset(batch->ends, 0, sizeof batch->ends);
    while (batch->count < LOAD_BATCH_MOST && rdb_file_skip(keys->reader.version, rest, &plain, &next) &&
           hash_next(keys, rest, plain, &hash)) {
        batch->keys[batch->count].hash = hash;
        batch->keys[batch->count++].at = (uint32_t)(rest.data - bytes.data);
        batch->ends[stripe_index(hash)]++;
        rest = next;
    }
    return (size_t)(rest.data - bytes.data);
}

static void order_batch(struct load_batch *batch) {
    unsigned begin = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        unsigned count = batch->ends[i];
        batch->ends[i] = (uint16_t)begin; /* until its keys are there */
        begin += count;
    }
    assert(begin == batch->count);
    for (unsigned i = 0; i < batch->count; i++) {
        unsigned stripe = stripe_index(batch->keys[i].hash);
        batch->order[batch->ends[stripe]++] = (uint16_t)i;
    }
}

/* Holds this stripe and no other one; NULL: none. */
static void hold(struct load_keys *keys, struct stripe *stripe) {
    if (keys->stripe) leave_stripe(keys);
    keys->stripe = stripe;
    if (stripe) enter_stripe(keys);
}

static void ask_ahead(const struct load_keys *keys, unsigned place) {
    const struct load_batch *batch = keys->batch;
    if (place >= batch->count) return;
    uint64_t hash = batch->keys[batch->order[place]].hash;
    (void)keyspace_prefetch_bucket(stripe_of(hash)->keyspace, (unsigned)keys->reader.db, hash);
}

/* The one nearest to the file's beginning is kept in `first`, and those before it are loaded on: theirs may come earlier. */
static void note_fault(struct load_keys *keys, struct load_fault *first) {
    if (!first->why[0] || keys->fault.at < first->at) *first = keys->fault;
    keys->fault.why[0] = '\0';
}

static void load_batch(struct load_keys *keys, struct bytes bytes) {
    const struct load_batch *batch = keys->batch;
    uint64_t begin = keys->reader.taken;
    struct load_fault first = {.why = ""};
    assert(keys->stripe == NULL && batch->count <= LOAD_BATCH_MOST);
    for (unsigned i = 0; i < KEYS_AHEAD; i++) ask_ahead(keys, i);
    for (unsigned i = 0, held = 0; i < batch->count; i++) {
        uint64_t hash = batch->keys[batch->order[i]].hash, at = batch->keys[batch->order[i]].at;
        struct bytes input = {bytes.data + at, bytes.len - at};
        assert(at < bytes.len);
        ask_ahead(keys, i + KEYS_AHEAD);
        if (first.why[0] && begin + at > first.at) continue;
        if (keys->stripe != stripe_of(hash) || held == HELD_MOST) {
            hold(keys, stripe_of(hash));
            held = 0;
        }
        held++;
        keys->input = &input;
        keys->reader.taken = begin + at;
        if (read_one(keys, &input) && load_held(keys, hash)) continue;
        note_fault(keys, &first);
        begin_at(keys, begin);
    }
    hold(keys, NULL);
    if (first.why[0]) keys->fault = first;
    keys->reader.taken = begin + bytes.len;
}

bool load_all_keys(struct load_keys *keys, struct bytes bytes) {
    struct bytes *before = keys->input;
    assert(rdb_file_between(&keys->reader) && keys->reader.version > 0 && bytes.len <= UINT32_MAX);
    while (bytes.len && !keys->fault.why[0]) {
        size_t len = fill_batch(keys, bytes);
        struct bytes some = {bytes.data, len};
        bytes = (struct bytes){bytes.data + len, bytes.len - len};
        order_batch(keys->batch);
        if (len) load_batch(keys, some);
        keys->input = &bytes;
        if (len == 0 && read_one(keys, &bytes))
            load_key(keys); /* its name cannot be read, or its end is not there */
    }
    keys->input = before;
    return !keys->fault.why[0];
}
