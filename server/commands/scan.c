/* scan.c - commands that look for keys: KEYS, SCAN, RANDOMKEY. KEYS runs with every stripe locked, the others go
 * from stripe to stripe and stop nobody who works on another one.
 *
 * A SCAN cursor is the position within a stripe and the stripe's number, the latter in the low bits:
 *
 *      63                        log2(stripes) - 1            0
 *     +---------------------------------+----------------------+
 *     | cursor of keyspace_scan         | stripe               |
 *     +---------------------------------+----------------------+
 *
 * keyspace_scan's cursors stay below the number of buckets, so the decimals stay short. Stripes are gone
 * through in ascending order; a stripe's end is the next one's beginning, (0, stripe + 1), and the last
 * one's is 0. Expired keys are passed over and left for upkeep to delete: nothing may change while
 * keyspace_scan calls back. */
#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>

#include "protocol/buffer.h"
#include "protocol/glob.h"
#include "server/commands/keys.h"

/* Keys found so far, and what they have to be like. What is found is kept as entries by who holds all locks until the reply,
 * and as copies of the names by who goes from stripe to stripe. */
struct search {
    struct glob glob;
    bool any;          /* every key: "*" also matches the empty one, which no glob but the empty one does */
    struct bytes type; /* its name in any case; no data: all types */
    int64_t now_ms;
    bool copies;          /* names are kept, in `names`; else entries, in `found` */
    struct entry **found; /* malloc'd */
    struct buffer names;  /* each behind its length, a size_t */
    size_t count, capacity;
    uint64_t seen;                   /* entries looked at */
    const struct type *const *types; /* those of any stripe */
    bool failed;                     /* no memory */
};

/* A search for every key. */
static struct search search_of(const struct call *call) {
    return (struct search){
        .any = true, .now_ms = call->effects->now_ms, .types = stripes.all->keyspace->types};
}

/* Keys have to match the pattern, too. False without memory. */
static bool search_only(struct search *search, struct bytes pattern) {
    search->any = bytes_equal(pattern, BYTES("*"));
    return search->any || glob_compile(&search->glob, pattern, false);
}

static bool search_matches(const struct search *search, const struct entry *e) {
    if (keyspace_is_over(e, search->now_ms)) return false;
    if (!search->any && !glob_matches(&search->glob, entry_key(e))) return false;
    return !search->type.data ||
           bytes_equal_nocase(search->type, bytes_of(search->types[entry_type(e)]->name));
}

static bool search_copy(struct search *search, struct bytes name) {
    struct bytes len = {(const char *)&name.len, sizeof name.len};
    return buffer_append(&search->names, len, SIZE_MAX) && buffer_append(&search->names, name, SIZE_MAX);
}

static bool search_keep(struct search *search, struct entry *e) {
    if (search->copies) return search_copy(search, entry_key(e));
    if (search->count == search->capacity) {
        size_t capacity = search->capacity ? search->capacity * 2 : 64;
        struct entry **found = realloc(search->found, capacity * sizeof(struct entry *));
        if (!found) return false;
        search->found = found;
        search->capacity = capacity;
    }
    search->found[search->count] = e;
    return true;
}

static void search_each(void *context, struct entry *e) {
    struct search *search = context;
    search->seen++;
    if (search->failed || !search_matches(search, e)) return;
    if (search_keep(search, e))
        search->count++;
    else
        search->failed = true;
}

static void search_reply(const struct search *search, struct reply *reply) {
    const char *at = search->names.data;
    reply_array(reply, search->count);
    for (size_t i = 0; i < search->count && !search->copies; i++)
        reply_bulk(reply, entry_key(search->found[i]));
    for (size_t i = 0; i < search->count && search->copies; i++) {
        struct bytes name;
        memcpy(&name.len, at, sizeof name.len);
        name.data = at + sizeof name.len;
        reply_bulk(reply, name);
        at = name.data + name.len;
    }
}

static void search_free(struct search *search) {
    free(search->found);
    glob_free(&search->glob);
    buffer_free(&search->names);
}

/* ---- KEYS ----------------------------------------------------------------------------------------- */

static void search_stripe(struct search *search, const struct keyspace *ks, unsigned db) {
    uint64_t cursor = 0;
    do cursor = keyspace_scan(ks, db, cursor, search_each, search);
    while (cursor && !search->failed);
}

static void search_all(struct search *search, struct bytes pattern, unsigned db) {
    search->failed = !search_only(search, pattern);
    for (unsigned i = 0; i < stripes.count && !search->failed; i++)
        search_stripe(search, stripes.all[i].keyspace, db);
}

static void keys_(struct call *call) {
    struct bytes pattern = call->argv[1];
    struct search search = search_of(call);
    if (glob_is_literal(pattern)) {
        struct key key = {pattern, hash_bytes(&stripes.seed, pattern)};
        struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, call->db, key);
        if (e) search_each(&search, e);
    } else {
        search_all(&search, pattern, call->db);
    }
    if (search.failed)
        call_out_of_memory(call);
    else
        search_reply(&search, call->reply);
    search_free(&search);
}
COMMAND(keys_) = {
    .name = "keys",
    .arity = 2,
    .flags = CMD_READONLY | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
    .run = keys_,
    .group = GROUP_GENERIC,
    .since = "1.0.0",
    .complexity = "O(N) with N being the number of keys in the database, under the assumption that the key "
                  "names in the database and the given pattern have limited length.",
    .summary = "Find all keys matching the given pattern",
    .acl = "keyspace dangerous",
    .tips = "request_policy:all_shards,nondeterministic_output_order",
    .syntax = "<pattern:pattern>"};

/* ---- SCAN ----------------------------------------------------------------------------------------- */

enum { SCAN_COUNT_DEFAULT = 10, SCAN_BUCKETS_PER_COUNT = 10 };

bool keys_cursor(struct bytes text, uint64_t *cursor) {
    size_t i = 0;
    text.len = strnlen(text.data, text.len); /* strtoul stops there */
    bool negative = text.len && text.data[0] == '-';
    uint64_t value = 0;
    if (text.len > 1 && (negative || text.data[0] == '+')) i++;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *cursor = negative ? 0 - value : value;
    return true;
}

void keys_no_such_option(struct call *call, struct bytes option) {
    if (bytes_is(option, "novalues"))
        reply_error(call->reply, "ERR NOVALUES option can only be used in HSCAN");
    else if (bytes_is(option, "noscores"))
        reply_error(call->reply, "ERR NOSCORES option can only be used in ZSCAN");
    else
        call_syntax_error(call);
}

static bool scan_options_or_reply(struct call *call, struct search *search, uint64_t *count) {
    struct bytes pattern = BYTES("*");
    for (uint32_t i = 2; i < call->argc; i += 2) {
        struct bytes option = call->argv[i];
        int64_t number;
        bool last = i + 1 == call->argc;
        if (!last && bytes_is(option, "count")) {
            if (!call_int_or_reply(call, i + 1, &number)) return false;
            if (number < 1) {
                call_syntax_error(call);
                return false;
            }
            *count = (uint64_t)number;
        } else if (!last && bytes_is(option, "match")) {
            pattern = call->argv[i + 1];
        } else if (!last && bytes_is(option, "type")) {
            search->type = call->argv[i + 1];
        } else {
            keys_no_such_option(call, option);
            return false;
        }
    }
    if (search_only(search, pattern)) return true;
    call_out_of_memory(call);
    return false;
}

/* Goes on from the cursor until COUNT keys were looked at, or ten times as many buckets: an almost empty
 * table must not make one call last. A stripe without keys costs nothing. Returns the next cursor. */
static uint64_t scan_step(struct call *call, struct search *search, uint64_t cursor, uint64_t count) {
    unsigned bits = (unsigned)__builtin_ctz(stripes.count), stripe = (unsigned)cursor & (stripes.count - 1);
    uint64_t inner = cursor >> bits;
    uint64_t buckets = count > UINT64_MAX / SCAN_BUCKETS_PER_COUNT ? UINT64_MAX
                                                                   : count * SCAN_BUCKETS_PER_COUNT;
    while (search->seen < count && buckets && !search->failed) {
        call_walk(call, stripe);
        const struct keyspace *ks = stripes.all[stripe].keyspace;
        bool empty = keyspace_count(ks, call->db) == 0;
        inner = empty ? 0 : keyspace_scan(ks, call->db, inner, search_each, search);
        if (!inner && ++stripe == stripes.count) return 0;
        buckets -= !empty;
    }
    return inner << bits | stripe;
}

static void scan(struct call *call) {
    struct search search = search_of(call);
    uint64_t cursor, count = SCAN_COUNT_DEFAULT;
    if (!keys_cursor(call->argv[1], &cursor)) {
        reply_error(call->reply, "ERR invalid cursor");
        return;
    }
    if (!scan_options_or_reply(call, &search, &count)) return;
    search.copies = true;
    cursor = scan_step(call, &search, cursor, count);
    if (search.failed) {
        call_out_of_memory(call);
    } else {
        char digits[NUMBER_I64_MAX_LEN];
        reply_array(call->reply, 2);
        reply_bulk(call->reply, (struct bytes){digits, number_format_u64(digits, cursor)});
        search_reply(&search, call->reply);
    }
    search_free(&search);
}
COMMAND(scan) = {
    .name = "scan",
    .arity = -2,
    .flags = CMD_READONLY | CMD_MORE_STRIPES,
    .run = scan,
    .group = GROUP_GENERIC,
    .since = "2.8.0",
    .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for "
                  "the cursor to return back to 0. N is the number of elements inside the collection.",
    .summary = "Incrementally iterate the keys space",
    .acl = "keyspace",
    .tips = "nondeterministic_output,request_policy:special",
    .history = "6.0.0: Added the `TYPE` subcommand.",
    .syntax = "<cursor:integer> [{MATCH <pattern:pattern>}] [{COUNT <count:integer>}] "
              "[{TYPE <type:string>}@6.0.0]"};

/* ---- RANDOMKEY ------------------------------------------------------------------------------------ */

enum { RANDOMKEY_TRIES = 100 };

uint64_t keys_random(const struct call *call) {
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) == (ssize_t)sizeof bits) return bits;
    return (uint64_t)call->effects->now_ms * 0x9e3779b97f4a7c15ull; /* early at boot: any key will do */
}

/* The first key of the stripe that has not expired. */
static struct entry *first_live(const struct call *call, const struct keyspace *ks) {
    struct search search = search_of(call);
    uint64_t cursor = 0;
    do cursor = keyspace_scan(ks, call->db, cursor, search_each, &search);
    while (cursor && !search.count && !search.failed);
    struct entry *e = search.count ? search.found[0] : NULL;
    search_free(&search);
    return e;
}

/* How many keys each stripe has, counted one after the other. Returns their sum. */
static uint64_t count_stripes(struct call *call, uint64_t counts[MAX_STRIPES]) {
    uint64_t total = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        call_walk(call, i);
        total += counts[i] = keyspace_count(stripes.all[i].keyspace, call->db);
    }
    return total;
}

/* A stripe with the odds of its keys. */
static unsigned random_stripe(const struct call *call, const uint64_t counts[MAX_STRIPES], uint64_t total) {
    unsigned stripe = 0;
    for (uint64_t nth = keys_random(call) % total; nth >= counts[stripe]; stripe++) nth -= counts[stripe];
    return stripe;
}

/* Where almost everything has expired and upkeep is yet to come, the first key that has not will have to do. */
static struct entry *random_entry(struct call *call) {
    uint64_t counts[MAX_STRIPES], total = count_stripes(call, counts);
    for (int tries = 0; total && tries < RANDOMKEY_TRIES; tries++) {
        unsigned stripe = random_stripe(call, counts, total);
        call_walk(call, stripe);
        struct entry *e = keyspace_random(stripes.all[stripe].keyspace, call->db, keys_random(call));
        if (e && !keyspace_is_over(e, call->effects->now_ms)) return e;
    }
    for (unsigned i = 0; total && i < stripes.count; i++) {
        call_walk(call, i);
        struct entry *e = first_live(call, stripes.all[i].keyspace);
        if (e) return e;
    }
    return NULL;
}

/* A key that others keep renaming may be missed in each stripe: that there is none is certain with all of them locked. */
static void randomkey(struct call *call) {
    struct stripe_set all = {{0}};
    struct entry *e = random_entry(call);
    stripe_set_add_all(&all);
    if (e)
        reply_bulk(call->reply, entry_key(e));
    else if (call_want(call, &all))
        reply_null(call->reply);
}
COMMAND(randomkey) = {.name = "randomkey",
                      .arity = 1,
                      .flags = CMD_READONLY | CMD_MORE_STRIPES,
                      .run = randomkey,
                      .group = GROUP_GENERIC,
                      .since = "1.0.0",
                      .complexity = "O(1)",
                      .summary = "Return a random key from the keyspace",
                      .acl = "keyspace",
                      .tips = "request_policy:all_shards,nondeterministic_output"};
