/* collection.c - keys, replies, scans and samples for the commands of hashes, sets, sorted sets and lists. */
#include "server/commands/collection.h"

#include <stdlib.h>

#include "protocol/glob.h"
#include "server/commands/keys.h"

/* ---- Keys ----------------------------------------------------------------------------------------- */

bool collection_read(struct call *call, uint32_t arg, enum entry_type type, struct value *value,
                     bool *there) {
    const struct entry *e = call_read(call, arg);
    *there = e;
    if (e == NULL) return true;
    *value = entry_value(e);
    if (value->type == type) return true;
    call_wrong_type(call);
    return false;
}

bool collection_open(struct call *call, uint32_t arg, enum entry_type type, bool create, struct edit *edit) {
    *edit = (struct edit){.keyspace = call_keyspace(call, arg),
                          .db = call->db,
                          .key = call_key(call, arg),
                          .entry = call_claim(call, arg),
                          .type = type,
                          .guesses = call->guesses};
    switch (edit_open(edit, create)) {
    case EDIT_WRONG_TYPE: call_wrong_type(call); return false;
    case EDIT_NO_MEMORY: call_out_of_memory(call); return false;
    default: break;
    }
    if (edit->created) call_touch(call, edit->entry);
    return true;
}

void collection_close(struct call *call, uint32_t arg, struct edit *edit, enum event event, uint64_t count) {
    bool created = edit->created && count > 0;
    bool emptied = edit_close(edit);
    assert(!emptied || count > 0);
    if (created) call_created(call, arg);
    if (count) call_changed_times(call, arg, event, count);
    if (emptied) call_emptied(call, arg);
}

/* ---- Ahead ---------------------------------------------------------------------------------------- */

void collection_ask_ahead(const struct command_ahead *ahead, const struct tree *tree,
                          const struct bytes *members) {
    struct tree_found found[COMMAND_AHEAD_MOST];
    if (!collection_ahead(ahead->keyspace, tree, members, found, ahead->count)) return;
    for (unsigned i = 0; i < ahead->count; i++) ahead->guesses[i * COMMAND_GUESSES] = found[i].guess;
}

/* ---- Replies -------------------------------------------------------------------------------------- */

void collection_reply_element(struct reply *reply, struct metrics *metrics, const struct element *element) {
    if (element->block && element->bytes.len >= PIN_MIN)
        call_reply_pinned(reply, metrics, element->block, element->bytes);
    else
        reply_bulk(reply, element->bytes);
}

enum {
    WRITTEN_AT_ONCE =
        65536, /* bytes of elements, about, up to which they are written into the reply at once */
    WRITTEN_AT_ONCE_MOST =
        4 * WRITTEN_AT_ONCE, /* where these have blocks beside the tree, which nobody has counted */
    ITEM_OVERHEAD = 16,      /* of a reply, in bytes */
    DUG_AT_ONCE = 256,       /* nodes that the end of a reply may free */
    DRAWN_AT_ONCE = 64,      /* elements that are written into the reply at once */
};

/* Items of a tree that are yet to be written: the cursor is at the first of them. */
struct shown {
    struct tree_cursor cursor;
    uint64_t left;
    bool backwards;
    struct collection_show show;
};

/* A reply that holds a version of a tree, and writes it when there is room. */
struct items {
    struct reply_source source;
    struct effects *effects; /* of the executor that the connection belongs to */
    unsigned stripe;         /* one that the command held: there, dead nodes are looked after */
    struct tree tree;
    struct shown shown;
};

/* Writes short items that lie side by side, at most so many; the bytes written, about, 0 if there were none. */
static size_t write_run(struct shown *shown, struct reply *reply, size_t most) {
    struct leaf_run run;
    tree_run(&shown->cursor, (unsigned)(most < shown->left ? most : shown->left), &run);
    if (run.count == 0) return 0;
    struct reply_strings strings = {run.data, run.end, run.lens, (size_t)run.count * run.parts};
    reply_bulks(reply, strings, shown->show.which);
    shown->left -= run.count;
    tree_pass(&shown->cursor, &run);
    return run.bytes + (size_t)run.count * ITEM_OVERHEAD;
}

static void write_strings(const struct shown *shown, struct reply *reply, struct metrics *metrics,
                          const struct tree_item *item) {
    unsigned parts = shown->cursor.tree->kind == TREE_HASH ? 2 : 1;
    for (unsigned i = 0; i < parts; i++) {
        struct element element = {item->parts[i], item->blocks[i]};
        bool left_out = shown->show.which == (i == 0 ? REPLY_SECONDS : REPLY_FIRSTS);
        if (!left_out) collection_reply_element(reply, metrics, &element);
    }
}

/* The same of one item, whatever it is. */
static size_t write_item(struct shown *shown, struct reply *reply, struct metrics *metrics) {
    struct tree_item item;
    assert(shown->cursor.leaf);
    tree_get(&shown->cursor, &item);
    if (shown->show.write)
        shown->show.write(reply, metrics, &item, shown->show.how);
    else
        write_strings(shown, reply, metrics, &item);
    shown->left--;
    if (shown->backwards)
        tree_previous(&shown->cursor);
    else
        tree_next(&shown->cursor);
    return item.parts[0].len + item.parts[1].len + ITEM_OVERHEAD;
}

/* Writes items up to so many bytes, about. */
static void write_shown(struct shown *shown, struct reply *reply, struct metrics *metrics, size_t budget) {
    bool runs = !shown->show.write && !shown->backwards;
    for (size_t written = 0; shown->left > 0 && written < budget;) {
        size_t bytes = runs ? write_run(shown, reply, (budget - written) / ITEM_OVERHEAD + 1) : 0;
        written += bytes ? bytes : write_item(shown, reply, metrics);
    }
}

static bool items_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct items *items = (struct items *)source;
    write_shown(&items->shown, reply, items->effects->metrics, budget);
    return items->shown.left > 0;
}

/* What the last reference leaves behind, and is more than a little, goes to a keyspace's dead. Where locks are held somebody
 * else has the tree, too. */
static void items_drop(struct reply_source *source) {
    struct items *items = (struct items *)source;
    struct graves graves = {0};
    unsigned budget = DUG_AT_ONCE;
    tree_release(&items->tree, &graves);
    if (graves.first && graves_dig(&graves, &budget)) {
        struct stripe *stripe = &stripes.all[items->stripe];
        stripe_lock(stripe);
        graves_join(&stripe->keyspace->dead.nodes, &graves);
        keyspace_note_garbage(stripe->keyspace);
        stripe_leave(stripe, items->effects->wakes, items->effects->now_ms);
    }
    free(items);
}
_Static_assert(offsetof(struct items, source) == 0, "a source is found at its items' address");

void collection_reply_items(struct call *call, const struct tree *tree, struct collection_range range,
                            struct collection_show show) {
    struct shown shown = {.left = range.count, .backwards = range.backwards, .show = show};
    if (range.count == 0) return;
    assert(range.position < tree->count && range.count <= tree->count);
    tree_select(&shown.cursor, tree, range.position);
    if (tree->bytes / tree->count * range.count < WRITTEN_AT_ONCE)
        write_shown(&shown, call->reply, call->effects->metrics, WRITTEN_AT_ONCE_MOST);
    if (shown.left == 0) return;
    struct items *items = malloc(sizeof *items);
    if (items == NULL) { /* the header has been written: the rest follows, or the connection ends */
        call->reply->failed = true;
        call->reply->end = call->reply->at;
        return;
    }
    *items = (struct items){.source = {.more = items_more, .drop = items_drop},
                            .effects = call->effects,
                            .stripe = call->stripe != STRIPE_NONE ? call->stripe : 0,
                            .shown = shown};
    tree_fork(&items->tree, (struct tree *)(uintptr_t)tree);
    items->shown.cursor.tree = &items->tree; /* whose nodes are the same */
    reply_source(call->reply, &items->source);
}

/* A reply that draws from a value, and goes on when there is room. */
struct draws {
    struct reply_source source;
    struct effects *effects; /* as of struct items */
    unsigned stripe;
    struct value value; /* holds its object, or lies in `pack` */
    struct collection_places places;
    uint64_t left, state;
    bool in_turn; /* nothing is drawn: all come, from the first on */
    struct collection_writer writer;
    char pack[]; /* of a value that is no object */
};

/* Writes the next so many, or those that are left. */
static void write_draws(struct draws *draws, struct reply *reply, struct metrics *metrics,
                        const struct value *value, size_t count) {
    const struct collection_places *places = &draws->places;
    for (; draws->left > 0 && count > 0; draws->left--, count--) {
        uint64_t i = draws->in_turn ? places->count - draws->left
                                    : collection_random(&draws->state, places->count);
        draws->writer.write(reply, metrics, value, places->list ? places->list[i] : i, draws->writer.how);
    }
}

static bool draws_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct draws *draws = (struct draws *)source;
    /* Elements have up to 1 KiB, or are sent from where they lie; so the sum of their bytes need not be known. */
    write_draws(draws, reply, draws->effects->metrics, &draws->value, budget / ELEMENT_INLINE_MAX + 1);
    return draws->left > 0;
}

/* As items_drop. */
void collection_let_go(const struct value *value, struct effects *effects, unsigned stripe_number) {
    struct dead dead = {0};
    unsigned budget = DUG_AT_ONCE;
    value_release(value, &dead);
    if (!dead_bury(&dead, &budget)) return;
    struct stripe *stripe = &stripes.all[stripe_number];
    stripe_lock(stripe);
    dead_join(&stripe->keyspace->dead, &dead);
    keyspace_note_garbage(stripe->keyspace);
    stripe_leave(stripe, effects->wakes, effects->now_ms);
}

static void draws_drop(struct reply_source *source) {
    struct draws *draws = (struct draws *)source;
    collection_let_go(&draws->value, draws->effects, draws->stripe);
    free(draws->places.list);
    free(draws);
}
_Static_assert(offsetof(struct draws, source) == 0, "a source is found at its draws' address");

static void draw_later(struct call *call, const struct value *value, const struct draws *what) {
    struct bytes bytes = value->kind == VALUE_OBJECT ? BYTES("") : value_bytes(value);
    struct draws *draws = malloc(sizeof *draws + bytes.len);
    if (draws == NULL) { /* as of collection_reply_items */
        free(what->places.list);
        call->reply->failed = true;
        call->reply->end = call->reply->at;
        return;
    }
    *draws = *what;
    draws->source = (struct reply_source){.more = draws_more, .drop = draws_drop};
    draws->effects = call->effects;
    draws->stripe = call->stripe != STRIPE_NONE ? call->stripe : 0;
    draws->value = *value;
    if (value->kind == VALUE_OBJECT) {
        object_retain(value->object);
    } else {
        memcpy(draws->pack, bytes.data, bytes.len);
        draws->value.kind = VALUE_INLINE;
        draws->value.bytes = (struct bytes){draws->pack, bytes.len};
    }
    reply_source(call->reply, &draws->source);
}

static void draw(struct call *call, const struct value *value, struct draws *what) {
    if (what->left > DRAWN_AT_ONCE) {
        draw_later(call, value, what);
        return;
    }
    write_draws(what, call->reply, call->effects->metrics, value, DRAWN_AT_ONCE);
    free(what->places.list);
}

void collection_reply_draws(struct call *call, const struct value *value, struct collection_places places,
                            uint64_t count, struct collection_writer writer) {
    assert(places.count > 0);
    draw(call, value,
         &(struct draws){.places = places, .left = count, .state = keys_random(call), .writer = writer});
}

void collection_reply_each(struct call *call, const struct value *value, struct collection_places places,
                           struct collection_writer writer) {
    draw(call, value,
         &(struct draws){.places = places, .left = places.count, .in_turn = true, .writer = writer});
}

/* ---- Scans ---------------------------------------------------------------------------------------- */

enum { SCAN_COUNT_DEFAULT = 10, SCAN_FOUND_MIN = 64 };

static bool scan_options(struct call *call, enum entry_type type, struct collection_scan *scan) {
    struct bytes pattern = BYTES("*");
    scan->count = SCAN_COUNT_DEFAULT;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        int64_t number;
        bool last = i + 1 == call->argc;
        if (!last && bytes_is(call->argv[i], "count")) {
            if (!call_int_or_reply(call, i + 1, &number)) return false;
            if (number < 1) {
                call_syntax_error(call);
                return false;
            }
            scan->count = (uint64_t)number;
        } else if (!last && bytes_is(call->argv[i], "match")) {
            pattern = call->argv[i + 1];
        } else if ((type == TYPE_HASH && bytes_is(call->argv[i], "novalues")) ||
                   (type == TYPE_ZSET && bytes_is(call->argv[i], "noscores"))) {
            scan->names = true;
            i--;
        } else {
            keys_no_such_option(call, call->argv[i]);
            return false;
        }
    }
    scan->any = bytes_equal(pattern, BYTES("*"));
    if (scan->any) return true;
    scan->glob = calloc(1, sizeof *scan->glob);
    if (scan->glob && glob_compile(scan->glob, pattern, false)) return true;
    free(scan->glob);
    call_out_of_memory(call);
    return false;
}

bool collection_scan_begin(struct call *call, enum entry_type type, struct collection_scan *scan,
                           struct value *value) {
    bool there;
    *scan = (struct collection_scan){0};
    if (!keys_cursor(call->argv[2], &scan->cursor)) {
        reply_error(call->reply, "ERR invalid cursor");
        return false;
    }
    if (!collection_read(call, 1, type, value, &there)) return false;
    if (there) return scan_options(call, type, scan);
    reply_literal(call->reply, "*2\r\n$1\r\n0\r\n*0\r\n");
    return false;
}

bool collection_scan_matches(const struct collection_scan *scan, struct bytes name) {
    return scan->any || glob_matches(scan->glob, name);
}

void collection_scan_keep(struct collection_scan *scan, struct element element) {
    if (scan->failed) return;
    if (scan->len == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : SCAN_FOUND_MIN;
        struct element *found = realloc(scan->found, capacity * sizeof *found);
        scan->failed = !found;
        if (!found) return;
        scan->found = found;
        scan->capacity = capacity;
    }
    scan->found[scan->len++] = element;
}

/* Counts what goes to whom it is for. */
struct scan_step {
    uint64_t seen;
    void (*each)(void *context, const struct tree_item *item);
    void *context;
};

static void scan_item(void *context, const struct tree_item *item) {
    struct scan_step *step = context;
    step->seen++;
    step->each(step->context, item);
}

void collection_scan_tree(struct collection_scan *scan, const struct value *value,
                          const struct hash_seed *seed,
                          void (*each)(void *context, const struct tree_item *item), void *context) {
    struct scan_step step = {0, each, context};
    uint64_t cursor = value->edited ? scan->cursor : 0;
    do cursor = tree_scan(collection_tree(value), seed, cursor, scan_item, &step);
    while (cursor && (!value->edited || step.seen < scan->count) && !scan->failed);
    scan->cursor = cursor;
}

void collection_scan_end(struct call *call, struct collection_scan *scan) {
    char digits[NUMBER_I64_MAX_LEN];
    if (scan->failed) {
        call_out_of_memory(call);
    } else {
        reply_array(call->reply, 2);
        reply_bulk(call->reply, (struct bytes){digits, number_format_u64(digits, scan->cursor)});
        size_t step = scan->names ? 2 : 1; /* every second one is a value, or a score */
        assert(scan->len % step == 0);
        reply_array(call->reply, scan->len / step);
        for (size_t i = 0; i < scan->len; i += step)
            collection_reply_element(call->reply, call->effects->metrics, &scan->found[i]);
    }
    free(scan->found);
    if (scan->glob) glob_free(scan->glob);
    free(scan->glob);
}

/* ---- Chance --------------------------------------------------------------------------------------- */

bool collection_random_count(struct call *call, uint32_t arg, int64_t *count) {
    if (!call_int_or_reply(call, arg, count)) return false;
    if (*count >= -INT64_MAX) return true;
    reply_error(call->reply, "ERR value is out of range, value must between -9223372036854775807 and "
                             "9223372036854775807");
    return false;
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

uint64_t collection_random(uint64_t *state, uint64_t bound) {
    assert(bound > 0);
    return (uint64_t)((unsigned __int128)next_random(state) * bound >> 64);
}

/* Every number has the same odds while one goes from the least on: Knuth's algorithm S (TAOCP, 3.4.2). */
static void sample_many(uint64_t *state, uint64_t *sample, uint64_t count, uint64_t bound) {
    uint64_t taken = 0;
    for (uint64_t i = 0; taken < count; i++)
        if (collection_random(state, bound - i) < count - taken) sample[taken++] = i;
}

/* Puts a number that is not there yet into an open table of numbers above 0. False if it was there. */
static bool note(uint64_t *table, uint64_t mask, uint64_t number) {
    uint64_t at = (number * 0x9e3779b97f4a7c15) >> 32 & mask;
    while (table[at] && table[at] != number) at = (at + 1) & mask;
    if (table[at]) return false;
    table[at] = number;
    return true;
}

/* Floyd's algorithm (Bentley and Floyd, 1987). False without memory. */
static bool sample_few(uint64_t *state, uint64_t *sample, uint64_t count, uint64_t bound) {
    uint64_t mask = 15;
    while (mask < count * 2) mask = mask * 2 + 1;
    uint64_t *table = calloc(mask + 1, sizeof *table);
    if (table == NULL) return false;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t last = bound - count + i, drawn = collection_random(state, last + 1);
        sample[i] = note(table, mask, drawn + 1) ? drawn : last;
        if (sample[i] == last && drawn != last) note(table, mask, last + 1);
    }
    free(table);
    return true;
}

uint64_t *collection_sample(uint64_t *state, uint64_t count, uint64_t bound) {
    enum { MANY = 4 };
    assert(count > 0 && count <= bound);
    if (count > SIZE_MAX / 64) return NULL;
    uint64_t *sample = malloc(count * sizeof *sample);
    if (sample == NULL) return NULL;
    if (count > bound / MANY) {
        sample_many(state, sample, count, bound);
        return sample;
    }
    if (sample_few(state, sample, count, bound)) return sample;
    free(sample);
    return NULL;
}

void collection_store_nothing(struct call *call, uint32_t arg) {
    /* Also one whose time has come: as in Redis it is deleted, and does not expire. */
    struct entry *e = keyspace_find(call_keyspace(call, arg), call->db, call_key(call, arg));
    if (e) {
        keyspace_delete_entry(call_keyspace(call, arg), call->db, call_key(call, arg), e);
        call_deleted(call, arg);
    }
    reply_int(call->reply, 0);
}
