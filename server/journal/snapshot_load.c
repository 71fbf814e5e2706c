/* snapshot_load.c - the file is read, summed and cut by one thread. What lies whole in its window, key after key, goes to
 * whoever loads it (load_pool.h), or is loaded at once; so is what does not. */
#include "server/journal/snapshot_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/text.h"
#include "server/config/config.h"
#include "server/journal/file_in.h"
#include "server/journal/intake.h"
#include "server/journal/load_keys.h"
#include "server/journal/load_pool.h"
#include "store/rdb/lzf.h"

#define STRING_BYTES_MAX ((uint64_t)1 << 40) /* whatever the file's length pays for */
enum { SHARED_MIN = 1 << 20 };               /* bytes of a file for which threads are worth their while */

struct opened {
    struct snapshot_load *load;
    struct file_in in;
    struct load_options options[MAX_STRIPES];
    struct load_keys keys;
    struct load_pool *pool; /* or NULL */
    struct load_batch batch;
};

/* ---- Input ---------------------------------------------------------------------------------------- */

static void tell_progress(struct opened *opened) {
    struct snapshot_load *load = opened->load;
    load->taken = file_in_at(&opened->in);
    load->keys = opened->keys.keys + (opened->pool ? load_pool_keys(opened->pool) : 0);
    if (load->progress) load->progress(load);
}

static bool fail_errno(struct opened *opened, int error) {
    char why[128];
    snprintf(why, sizeof why, "reading: %s", strerror(-error));
    return load_fail(&opened->keys, file_in_at(&opened->in), false, why);
}

/* `begin` and `key`: of what is being read, where the file ends in the middle of it. */
static bool more(struct load_keys *keys, uint64_t begin, bool key) {
    struct opened *opened = keys->context;
    if (!rdb_file_keep(&keys->reader)) return load_fail(keys, begin, key, "out of memory");
    int got = file_in_more(&opened->in);
    if (opened->load->work) __atomic_fetch_add(opened->load->work, 1, __ATOMIC_RELAXED);
    tell_progress(opened);
    if (got > 0) return true;
    if (got < 0) return fail_errno(opened, got);
    return load_fail(keys, begin, key, "the file ends in the middle of this");
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

/* All that lies whole at the beginning of the input, key after key. */
static struct bytes whole_keys(const struct opened *opened) {
    struct bytes begin = opened->in.input, end = begin, unused;
    if (intake_delays() || !rdb_file_between(&opened->keys.reader) || opened->keys.reader.version == 0)
        return (struct bytes){begin.data, 0};
    while (end.len && rdb_file_skip(opened->keys.reader.version, end, &unused, &end)) {
    }
    assert(end.len <= begin.len);
    return (struct bytes){begin.data, begin.len - end.len};
}

static bool load_whole(struct opened *opened, struct bytes bytes) {
    struct load_keys *keys = &opened->keys;
    if (opened->pool) {
        keys->reader.taken += bytes.len;
        if (!load_pool_put(opened->pool, keys, bytes)) return false;
    } else if (!load_all_keys(keys, bytes)) {
        return false;
    }
    opened->in.input = (struct bytes){bytes.data + bytes.len, opened->in.input.len - bytes.len};
    return true;
}

static bool load_one(struct opened *opened) {
    assert(opened->keys.reader.taken == file_in_at(&opened->in)); /* the value begins there */
    bool loaded = load_key(&opened->keys);
    if (intake_delays()) tell_progress(opened);
    return loaded;
}

/* ---- What is no key ------------------------------------------------------------------------------- */

static bool note_database(struct opened *opened) {
    char why[96];
    if (opened->keys.reader.db < (uint64_t)config.databases) return true;
    snprintf(why, sizeof why, "database %" PRIu64 ", where the option `databases` is %lld",
             opened->keys.reader.db, (long long)config.databases);
    return load_fail(&opened->keys, opened->keys.reader.item_begin, false, why);
}

static void note_about(struct opened *opened) {
    struct snapshot_load *load = opened->load;
    struct bytes name = opened->keys.reader.name.bytes, value = opened->keys.reader.value.bytes;
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
    if (opened->keys.reader.version < RDB_FOOTER_SINCE) return true;
    uint64_t begin = file_in_at(in), checksum = file_in_checksum(in);
    while (in->input.len < RDB_FOOTER_LEN)
        if (!more(&opened->keys, begin, false)) return false;
    uint64_t said = rdb_file_footer(in->input.data);
    in->input = (struct bytes){in->input.data + RDB_FOOTER_LEN, in->input.len - RDB_FOOTER_LEN};
    if (said == 0 || said == checksum || !opened->load->summed) return true;
    return load_fail(&opened->keys, begin, false,
                     "RDB CRC error: what is before the checksum is not what was written");
}

/* ---- The file ------------------------------------------------------------------------------------- */

static bool load_items(struct opened *opened) {
    for (;;) {
        if (opened->load->shared && intake_cancelled())
            return load_fail(&opened->keys, opened->keys.reader.item_begin, false,
                             "the server was told to end");
        struct rdb_file_reader *reader = &opened->keys.reader;
        struct bytes whole = whole_keys(opened);
        bool ok = whole.len == 0 || load_whole(opened, whole);
        if (!ok) return false;
        switch (rdb_file_read(reader, &opened->in.input)) {
        case RDB_FILE_MORE: ok = more(&opened->keys, reader->item_begin, false); break;
        case RDB_FILE_AUX: note_about(opened); break;
        case RDB_FILE_DATABASE: ok = note_database(opened); break;
        case RDB_FILE_SIZE: break;
        case RDB_FILE_KEY: ok = load_one(opened); break;
        case RDB_FILE_END: return check_footer(opened);
        case RDB_FILE_BAD: return load_fail(&opened->keys, reader->item_begin, false, reader->why);
        default: return load_fail(&opened->keys, reader->item_begin, false, "out of memory");
        }
        if (!ok) return false;
    }
}

/* Timers are counted from a moment that a keyspace knows, and nothing may be due before that. */
static void tell_time(const struct snapshot_load *load) {
    for (unsigned i = 0; i < stripes.count; i++) {
        if (load->shared) stripe_lock(&stripes.all[i]);
        keyspace_expire(stripes.all[i].keyspace, load->now_ms, 0, NULL, NULL);
        if (load->shared) keyspace_take_news(stripes.all[i].keyspace, load->now_ms);
        if (load->shared) stripe_unlock(&stripes.all[i]);
    }
}

/* Of keys that come twice the last one stays, or is refused, so then they come in order; and one after another where each
 * is to take its time. */
static bool threads_may_load(const struct snapshot_load *load) {
    return load->shared && !load->only_looks && !load->replaces && !intake_delays() &&
           load->size >= SHARED_MIN;
}

static void prepare(struct opened *opened, struct snapshot_load *load) {
    uint64_t paid = load->size < STRING_BYTES_MAX / LZF_GAIN_MAX ? load->size * LZF_GAIN_MAX
                                                                 : STRING_BYTES_MAX;
    opened->load = load;
    for (unsigned i = 0; i < stripes.count; i++)
        opened->options[i] = stripes_load_options(stripes.all[i].keyspace, paid);
    opened->keys = (struct load_keys){.load = load,
                                      .options = opened->options,
                                      .reader = {.max_bytes = paid},
                                      .input = &opened->in.input,
                                      .more = more,
                                      .context = opened,
                                      .batch = &opened->batch};
    if (!load->only_looks) tell_time(load);
    opened->pool = threads_may_load(load) ? load_pool_open(&opened->keys) : NULL;
}

static void finish(struct opened *opened) {
    struct snapshot_load *load = opened->load;
    struct load_keys *keys = &opened->keys;
    if (opened->pool) load_pool_close(opened->pool, keys);
    load->keys = keys->keys;
    load->expired = keys->expired;
    load->empty = keys->empty;
    load->taken = file_in_at(&opened->in);
    memcpy(load->why, keys->fault.why, sizeof load->why);
    rdb_file_close(&keys->reader);
    file_in_close(&opened->in);
}

enum snapshot_loaded snapshot_load_run(struct snapshot_load *load) {
    struct opened *opened = malloc(sizeof *opened);
    _Static_assert((int)LOAD_POOL_BYTES >= (int)FILE_IN_BUFFER, "a window's keys are one piece");
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
    (void)load_items(opened);
    finish(opened);
    free(opened);
    return load->why[0] ? SNAPSHOT_FAILED : SNAPSHOT_LOADED;
}
