/* sort.c - SORT and SORT_RO: the elements of a list, a set or a sorted set in an order of their own or of other keys, shown,
 * replaced by what other keys hold, or stored as a list.
 *
 *     elements    where they lie in the value, which does not change meanwhile
 *     ranks       for each a number in whose order it comes, and its place among the elements
 *
 * The numbers are made of weights, so that most comparisons look at nothing else. Where they are equal the weights'
 * texts, then the elements, and at last the places decide: the order is one and the same whenever it is made.
 *
 * Which other keys BY and GET name only the elements tell. So a request with such patterns runs with the key's own
 * stripe first, asks for the others (call_want), and runs anew: for the stripes of a few elements' keys, or for all. */
#include <math.h>
#include <stdlib.h>

#include "protocol/buffer.h"
#include "server/commands/collection.h"
#include "server/commands/hash.h"
#include "store/types/list.h"
#include "store/types/set.h"
#include "store/types/zset.h"

enum {
    PARTS_FROM = 8,        /* such a part of the elements, or a smaller one, is sorted without the others */
    FEW_ELEMENTS = 32,     /* up to which the stripes of their patterns' keys are found out, each one */
    REPLY_AT_ONCE = 65536, /* bytes of elements up to which they are written into the reply at once */
    REPLY_OVERHEAD = 16,   /* of an element in a reply, in bytes */
};

/* ---- Patterns ------------------------------------------------------------------------------------- */

/* What stands behind BY or GET: the first * is replaced by an element. */
struct pattern {
    enum { PATTERN_ELEMENT, PATTERN_NOTHING, PATTERN_KEY } kind; /* "#"; without a *; the name of a key */
    struct bytes before, behind;
    bool has_field; /* the key is a hash, and this is a field of it */
    struct bytes field;
};

/* As Redis, which reads patterns up to a NUL where it looks for their parts. */
static struct pattern pattern_of(struct bytes text) {
    size_t len = strnlen(text.data, text.len);
    const char *star = len ? memchr(text.data, '*', len) : NULL;
    struct pattern pattern = {.kind = PATTERN_NOTHING};
    if (len == 1 && text.data[0] == '#') pattern.kind = PATTERN_ELEMENT;
    if (star == NULL) return pattern;
    const char *end = text.data + text.len;
    const char *arrow = memmem(star + 1, (size_t)(text.data + len - star - 1), "->", 2);
    pattern.kind = PATTERN_KEY;
    pattern.has_field = arrow && arrow + 2 < text.data + len;
    if (pattern.has_field) pattern.field = (struct bytes){arrow + 2, (size_t)(end - arrow - 2)};
    pattern.before = (struct bytes){text.data, (size_t)(star - text.data)};
    pattern.behind = (struct bytes){star + 1, (size_t)((pattern.has_field ? arrow : end) - star - 1)};
    return pattern;
}

/* ---- Requests ------------------------------------------------------------------------------------- */

struct sorting {
    struct call *call;
    bool may_store, descending, alpha, unsorted;
    bool weighed; /* by a pattern */
    struct pattern by;
    uint32_t gets;       /* how many; they are found in the arguments again */
    bool has_patterns;   /* some of them or `by` name keys */
    uint32_t store;      /* argument number of the destination, or 0 */
    int64_t first, most; /* LIMIT; `most` below 0: all */

    struct value value; /* what is sorted; of type TYPE_STRING: nothing is there */
    uint64_t from, to;  /* of the elements in their order, which are the result */
    struct block *memory[4];
    struct element *elements;
    struct bytes *weights; /* of ALPHA by a pattern: their texts; without data: there is none */
    char *digits;          /* of those that are numbers */
    struct rank *ranks;
    uint64_t count;     /* of all these */
    struct buffer name; /* of the key that is looked up */
    bool failed;        /* no memory for that */
};

struct rank {
    uint64_t number;
    uint64_t place;
};

/* Memory for the elements of one of the four arrays. Large ones are freed by a thread that nobody waits for. NULL: none. */
static void *sorting_memory(struct sorting *sorting, unsigned array, uint64_t count, size_t size) {
    if (count > SIZE_MAX / 4 / size) return NULL;
    sorting->memory[array] = block_new((size_t)count * size, (size_t)count * size);
    return sorting->memory[array] ? sorting->memory[array]->data : NULL;
}

static void sorting_end(struct sorting *sorting) {
    for (unsigned i = 0; i < sizeof sorting->memory / sizeof *sorting->memory; i++)
        if (sorting->memory[i]) block_release(sorting->memory[i]);
    buffer_free(&sorting->name);
}

static bool take_limit(struct sorting *sorting, uint32_t arg) {
    return call_int_or_reply(sorting->call, arg, &sorting->first) &&
           call_int_or_reply(sorting->call, arg + 1, &sorting->most);
}

static void take_by(struct sorting *sorting, uint32_t arg) {
    sorting->by = pattern_of(sorting->call->argv[arg]);
    sorting->weighed = true;
    /* Redis has it so: a pattern without a * means no order at all, whatever other BY there is. */
    if (sorting->by.kind == PATTERN_KEY)
        sorting->has_patterns = true;
    else
        sorting->unsorted = true;
}

static void take_get(struct sorting *sorting, uint32_t arg) {
    sorting->gets++;
    if (pattern_of(sorting->call->argv[arg]).kind == PATTERN_KEY) sorting->has_patterns = true;
}

/* How many arguments follow this word; -1 where it is none. */
static int words_behind(struct bytes word) {
    if (bytes_is(word, "limit")) return 2;
    if (bytes_is(word, "by") || bytes_is(word, "get") || bytes_is(word, "store")) return 1;
    return bytes_is(word, "asc") || bytes_is(word, "desc") || bytes_is(word, "alpha") ? 0 : -1;
}

static bool take_word(struct sorting *sorting, uint32_t arg) {
    struct bytes word = sorting->call->argv[arg];
    if (bytes_is(word, "limit")) return take_limit(sorting, arg + 1);
    if (bytes_is(word, "by")) take_by(sorting, arg + 1);
    if (bytes_is(word, "get")) take_get(sorting, arg + 1);
    if (bytes_is(word, "store")) sorting->store = arg + 1;
    if (bytes_is(word, "asc")) sorting->descending = false;
    if (bytes_is(word, "desc")) sorting->descending = true;
    if (bytes_is(word, "alpha")) sorting->alpha = true;
    return true;
}

/* False after replying. */
static bool options_or_reply(struct sorting *sorting) {
    struct call *call = sorting->call;
    for (uint32_t i = 2; i < call->argc;) {
        int behind = words_behind(call->argv[i]);
        bool stores = bytes_is(call->argv[i], "store") && !sorting->may_store;
        if (behind < 0 || (uint32_t)behind > call->argc - i - 1 || stores) {
            call_syntax_error(call);
            return false;
        }
        if (!take_word(sorting, i)) return false;
        i += 1 + (uint32_t)behind;
    }
    return true;
}

/* The key, and the destination: that of the last STORE. */
static int sort_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    uint32_t store = 0;
    for (uint32_t i = 2; i < argc; i++) {
        int behind = words_behind(argv[i]);
        if (bytes_is(argv[i], "store") && i + 1 < argc) store = i + 1;
        if (behind > 0) i += (uint32_t)behind;
    }
    if (max > 0) keys[0] = (struct command_key){1, KEY_RO | KEY_ACCESS};
    if (store && max > 1) keys[1] = (struct command_key){store, KEY_OW | KEY_UPDATE};
    return store ? 2 : 1;
}

static int sort_ro_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    (void)argv, (void)argc;
    if (max > 0) keys[0] = (struct command_key){1, KEY_RO | KEY_ACCESS};
    return 1;
}

/* ---- Elements ------------------------------------------------------------------------------------- */

static uint64_t count_of(const struct value *value) {
    switch (value->type) {
    case TYPE_LIST: return list_count(value);
    case TYPE_SET: return set_count(value);
    case TYPE_ZSET: return zset_count(value);
    default: return 0;
    }
}

static bool is_sortable(const struct value *value) {
    return value->type == TYPE_LIST || value->type == TYPE_SET || value->type == TYPE_ZSET;
}

static void load_list(struct sorting *sorting, uint64_t from, bool backwards) {
    struct list_walk walk;
    struct element element;
    list_walk(&walk, &sorting->value, backwards ? list_count(&sorting->value) - from : from, backwards);
    for (uint64_t i = 0; i < sorting->count && list_next(&walk, &element); i++)
        sorting->elements[i] = element;
}

static void load_zset(struct sorting *sorting, uint64_t from, bool backwards) {
    struct zset_walk walk;
    struct zset_item item;
    zset_walk(&walk, &sorting->value, backwards ? zset_count(&sorting->value) - 1 - from : from, backwards);
    for (uint64_t i = 0; i < sorting->count && zset_next(&walk, &item); i++)
        sorting->elements[i] = item.member;
}

/* Members of an intset have no text but that of the walk. */
static void load_set(struct sorting *sorting, uint64_t from, char *texts) {
    struct set_walk walk;
    struct element member;
    set_walk(&walk, &sorting->value, from);
    for (uint64_t i = 0; i < sorting->count && set_next(&walk, &member); i++) {
        if (texts) {
            char *text = texts + i * NUMBER_I64_MAX_LEN;
            memcpy(text, member.bytes.data, member.bytes.len);
            member.bytes.data = text;
        }
        sorting->elements[i] = member;
    }
}

/* Notes where `count` elements lie, from this one on; backwards it is counted from the last. False without memory. */
static bool load(struct sorting *sorting, uint64_t from, uint64_t count, bool backwards) {
    const struct value *value = &sorting->value;
    bool integers = value->type == TYPE_SET && value->kind != VALUE_OBJECT && !value->edited;
    size_t size = sizeof *sorting->elements + (integers ? NUMBER_I64_MAX_LEN : 0);
    assert(from + count <= count_of(value));
    sorting->count = count;
    sorting->elements = sorting_memory(sorting, 0, count, size);
    if (sorting->elements == NULL) return false;
    if (value->type == TYPE_LIST)
        load_list(sorting, from, backwards);
    else if (value->type == TYPE_ZSET)
        load_zset(sorting, from, backwards);
    else
        load_set(sorting, from, integers ? (char *)(sorting->elements + count) : NULL);
    return true;
}

/* ---- Other keys ----------------------------------------------------------------------------------- */

/* The key that a pattern makes of an element; its name is good until the next one. False without memory. */
static bool key_of(struct sorting *sorting, const struct pattern *pattern, struct bytes element,
                   struct key *key) {
    struct buffer *name = &sorting->name;
    assert(pattern->kind == PATTERN_KEY);
    name->len = 0;
    if (!buffer_append(name, pattern->before, SIZE_MAX) || !buffer_append(name, element, SIZE_MAX) ||
        !buffer_append(name, pattern->behind, SIZE_MAX))
        return false;
    *key = (struct key){buffer_bytes(name), hash_bytes(&stripes.seed, buffer_bytes(name))};
    return true;
}

/* What an element leads to; a number is written to `digits` (NUMBER_I64_MAX_LEN bytes). False if there is nothing. */
static bool look_up(struct sorting *sorting, const struct pattern *pattern, const struct element *element,
                    char *digits, struct element *found) {
    struct key key;
    *found = *element;
    if (pattern->kind != PATTERN_KEY) return pattern->kind == PATTERN_ELEMENT;
    if (!key_of(sorting, pattern, element->bytes, &key)) {
        sorting->failed = true;
        return false;
    }
    const struct entry *e = call_read_key(sorting->call, key);
    if (e == NULL || entry_type(e) != (pattern->has_field ? TYPE_HASH : TYPE_STRING)) return false;
    struct value value = entry_value(e);
    if (pattern->has_field) return hash_find(sorting->call, &value, pattern->field, found);
    *found = (struct element){value_text(&value, digits), value.kind == VALUE_BLOCK ? value.block : NULL};
    return true;
}

/* Adds the stripe of the key that a pattern makes of an element. */
static bool add_stripe(struct sorting *sorting, const struct pattern *pattern, struct bytes element,
                       struct stripe_set *set) {
    struct key key;
    if (pattern->kind != PATTERN_KEY) return true;
    if (!key_of(sorting, pattern, element, &key)) return false;
    stripe_set_add(set, stripe_index(key.hash));
    return true;
}

/* The pattern of the next GET behind this argument, which moves on. */
static struct pattern next_get(const struct call *call, uint32_t *arg) {
    assert(*arg < call->argc);
    while (!bytes_is(call->argv[*arg], "get")) *arg += 1 + (uint32_t)words_behind(call->argv[*arg]);
    *arg += 2;
    return pattern_of(call->argv[*arg - 1]);
}

/* The stripes of all keys that the patterns make of the elements. False without memory. */
static bool add_stripes(struct sorting *sorting, struct stripe_set *set) {
    for (uint64_t i = 0; i < sorting->count; i++) {
        uint32_t arg = 2;
        struct bytes element = sorting->elements[i].bytes;
        if (sorting->weighed && !add_stripe(sorting, &sorting->by, element, set)) return false;
        for (uint32_t get = 0; get < sorting->gets; get++) {
            struct pattern pattern = next_get(sorting->call, &arg);
            if (!add_stripe(sorting, &pattern, element, set)) return false;
        }
    }
    return true;
}

/* Holds what the patterns lead to. False if the command is to run anew, or after replying. */
static bool hold_keys(struct sorting *sorting) {
    struct call *call = sorting->call;
    const struct entry *e = call_peek(call, 1);
    struct stripe_set set = {{0}};
    if (!e || !sorting->has_patterns) return true;
    sorting->value = entry_value(e);
    uint64_t count = count_of(&sorting->value);
    if (count > FEW_ELEMENTS) {
        stripe_set_add_all(&set);
    } else if (count > 0 && (!load(sorting, 0, count, false) || !add_stripes(sorting, &set))) {
        call_out_of_memory(call);
        return false;
    }
    if (sorting->memory[0]) block_release(sorting->memory[0]);
    sorting->memory[0] = NULL;
    return call_want(call, &set);
}

/* ---- Order ---------------------------------------------------------------------------------------- */

/* As strtod reads it: spaces may stand before the number, a NUL behind it, and nothing at all is 0. */
static bool weight_of(struct bytes text, double *weight) {
    text.len = strnlen(text.data, text.len);
    *weight = 0;
    if (text.len == 0) return true;
    while (text.len && byte_is_space(text.data[0])) text.data++, text.len--;
    return number_parse_double(text, weight) && (*weight == 0 || isnormal(*weight) || isinf(*weight));
}

/* A number in the order of doubles. */
static uint64_t number_of_double(double weight) {
    const uint64_t sign = 1ull << 63;
    uint64_t bits;
    if (weight == 0) weight = 0; /* -0 is 0 */
    memcpy(&bits, &weight, sizeof bits);
    return bits & sign ? ~bits : bits | sign;
}

/* One in the order of texts, as far as their first eight bytes tell. */
static uint64_t number_of_text(struct bytes text) {
    uint64_t number = 0;
    for (size_t i = 0; i < 8; i++) number = number << 8 | (i < text.len ? (unsigned char)text.data[i] : 0);
    return number;
}

/* What ALPHA compares: what is only shown goes by the locale in Redis, that is, up to a NUL. */
static struct bytes text_of(const struct sorting *sorting, uint64_t place) {
    struct bytes text = sorting->weights ? sorting->weights[place] : sorting->elements[place].bytes;
    if (!sorting->store && text.data) text.len = strnlen(text.data, text.len);
    return text;
}

static int compare_texts(struct bytes a, struct bytes b) {
    if (!a.data || !b.data) return (a.data != NULL) - (b.data != NULL);
    return bytes_compare(a, b);
}

/* As sorts ask for it. */
static int compare_ranks(const void *a, const void *b, void *context) {
    const struct rank *left = a, *right = b;
    const struct sorting *sorting = context;
    if (left->number != right->number) return left->number < right->number ? -1 : 1;
    const struct element *elements = sorting->elements;
    int order = sorting->alpha ? compare_texts(text_of(sorting, left->place), text_of(sorting, right->place))
                               : bytes_compare(elements[left->place].bytes, elements[right->place].bytes);
    if (order) return sorting->descending ? -order : order;
    if (sorting->value.type != TYPE_LIST)
        order = bytes_compare(elements[left->place].bytes, elements[right->place].bytes);
    return order ? order : (left->place > right->place) - (left->place < right->place);
}

/* The number of an element by its weight. False if that is no number. */
static bool rank_by_weight(struct sorting *sorting, uint64_t place, uint64_t *number) {
    char digits[NUMBER_I64_MAX_LEN];
    struct element found = sorting->elements[place];
    double weight = 0;
    bool there = !sorting->weighed || look_up(sorting, &sorting->by, &found, digits, &found);
    bool is_number = !there || weight_of(found.bytes, &weight);
    *number = number_of_double(weight);
    return is_number;
}

static uint64_t rank_by_text(struct sorting *sorting, uint64_t place) {
    struct element found;
    if (sorting->weighed) {
        char *digits = sorting->digits + place * NUMBER_I64_MAX_LEN;
        bool there = look_up(sorting, &sorting->by, &sorting->elements[place], digits, &found);
        if (there && found.bytes.len == 0) found.bytes = BYTES("");
        sorting->weights[place] = there ? found.bytes : (struct bytes){0};
    }
    return number_of_text(text_of(sorting, place));
}

/* Fills the ranks. False after replying. */
static bool rank(struct sorting *sorting) {
    bool numbers = true;
    for (uint64_t i = 0; i < sorting->count && !sorting->failed; i++) {
        struct rank *rank = &sorting->ranks[i];
        rank->place = i;
        if (sorting->alpha)
            rank->number = rank_by_text(sorting, i);
        else
            numbers = rank_by_weight(sorting, i, &rank->number) && numbers;
        if (sorting->descending) rank->number = ~rank->number;
    }
    if (sorting->failed)
        call_out_of_memory(sorting->call);
    else if (!numbers)
        reply_error(sorting->call->reply, "ERR One or more scores can't be converted into double");
    return numbers && !sorting->failed;
}

/* Lets the first of a heap of ranks, in which none comes before those below it, sink to where it belongs. */
static void sink(struct sorting *sorting, uint64_t at, uint64_t count) {
    struct rank *heap = sorting->ranks, sinking = heap[at];
    for (uint64_t below = at * 2 + 1; below < count; at = below, below = at * 2 + 1) {
        if (below + 1 < count && compare_ranks(&heap[below + 1], &heap[below], sorting) > 0) below++;
        if (compare_ranks(&heap[below], &sinking, sorting) <= 0) break;
        heap[at] = heap[below];
    }
    heap[at] = sinking;
}

/* Puts the first so many in front, in any order. They are a heap, whose first is the last of them: with that one all
 * others are compared. */
static void select_first(struct sorting *sorting, uint64_t first) {
    struct rank *ranks = sorting->ranks;
    for (uint64_t i = first / 2; i-- > 0;) sink(sorting, i, first);
    for (uint64_t i = first; i < sorting->count; i++) {
        struct rank rank = ranks[i];
        if (compare_ranks(&rank, &ranks[0], sorting) >= 0) continue;
        ranks[i] = ranks[0];
        ranks[0] = rank;
        sink(sorting, 0, first);
    }
}

/* Puts the ranks in order, up to where the result ends. */
static void order_ranks(struct sorting *sorting) {
    uint64_t count = sorting->count;
    if (sorting->to <= count / PARTS_FROM) {
        count = sorting->to;
        if (count > 0) select_first(sorting, count);
    }
    qsort_r(sorting->ranks, count, sizeof *sorting->ranks, compare_ranks, sorting);
}

/* False after replying. */
static bool sort_elements(struct sorting *sorting) {
    bool texts = sorting->alpha && sorting->weighed;
    sorting->ranks = sorting_memory(sorting, 1, sorting->count, sizeof *sorting->ranks);
    if (texts) sorting->weights = sorting_memory(sorting, 2, sorting->count, sizeof *sorting->weights);
    if (texts) sorting->digits = sorting_memory(sorting, 3, sorting->count, NUMBER_I64_MAX_LEN);
    if (!sorting->ranks || (texts && (!sorting->weights || !sorting->digits))) {
        call_out_of_memory(sorting->call);
        return false;
    }
    if (!rank(sorting)) return false;
    order_ranks(sorting);
    return true;
}

/* ---- Results -------------------------------------------------------------------------------------- */

/* One of the result. */
static const struct element *result_at(const struct sorting *sorting, uint64_t index) {
    assert(index < sorting->count);
    return &sorting->elements[sorting->ranks ? sorting->ranks[index].place : index];
}

/* A reply that holds a version of the value, and writes its elements when there is room. */
struct reply_rest {
    struct reply_source source;
    struct sorting sorting; /* arrays and value are held */
    struct effects *effects;
    unsigned stripe;
};

static bool rest_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct reply_rest *rest = (struct reply_rest *)source;
    struct sorting *sorting = &rest->sorting;
    for (size_t written = 0; sorting->from < sorting->to && written < budget; sorting->from++) {
        const struct element *element = result_at(sorting, sorting->from);
        collection_reply_element(reply, rest->effects->metrics, element);
        written += element->bytes.len + REPLY_OVERHEAD;
    }
    return sorting->from < sorting->to;
}

static void rest_drop(struct reply_source *source) {
    struct reply_rest *rest = (struct reply_rest *)source;
    collection_let_go(&rest->sorting.value, rest->effects, rest->stripe);
    sorting_end(&rest->sorting);
    free(rest);
}
_Static_assert(offsetof(struct reply_rest, source) == 0, "a source is found at its rest's address");

/* The elements themselves are shown, and are many: later. What was sorted goes over to the source. */
static void reply_later(struct sorting *sorting) {
    struct call *call = sorting->call;
    struct reply_rest *rest = malloc(sizeof *rest);
    if (rest == NULL) { /* the header has been written: the rest follows, or the connection ends */
        call->reply->failed = true;
        call->reply->end = call->reply->at;
        return;
    }
    *rest = (struct reply_rest){.source = {.more = rest_more, .drop = rest_drop},
                                .sorting = *sorting,
                                .effects = call->effects,
                                .stripe = stripe_index(call->hash[1])};
    object_retain(sorting->value.object);
    memset(sorting->memory, 0, sizeof sorting->memory);
    sorting->name = (struct buffer){0};
    reply_source(call->reply, &rest->source);
}

static void reply_gets(struct sorting *sorting, const struct element *element) {
    struct call *call = sorting->call;
    char digits[NUMBER_I64_MAX_LEN];
    uint32_t arg = 2;
    for (uint32_t i = 0; i < sorting->gets; i++) {
        struct pattern pattern = next_get(call, &arg);
        struct element found;
        if (look_up(sorting, &pattern, element, digits, &found))
            collection_reply_element(call->reply, call->effects->metrics, &found);
        else
            reply_null(call->reply);
    }
}

/* Are there more bytes than are written at once? A small value has not as many. */
static bool is_long(const struct sorting *sorting) {
    size_t bytes = 0;
    if (sorting->value.kind != VALUE_OBJECT || sorting->gets) return false;
    for (uint64_t i = sorting->from; i < sorting->to && bytes < REPLY_AT_ONCE; i++)
        bytes += result_at(sorting, i)->bytes.len + REPLY_OVERHEAD;
    return bytes >= REPLY_AT_ONCE;
}

static void reply_result(struct sorting *sorting) {
    struct call *call = sorting->call;
    uint64_t count = sorting->to - sorting->from;
    reply_array(call->reply, sorting->gets ? count * sorting->gets : count);
    if (is_long(sorting)) {
        reply_later(sorting);
        return;
    }
    for (uint64_t i = sorting->from; i < sorting->to; i++) {
        const struct element *element = result_at(sorting, i);
        if (sorting->gets)
            reply_gets(sorting, element);
        else
            collection_reply_element(call->reply, call->effects->metrics, element);
    }
}

/* Adds what the GETs make of an element; of what is not there, an element without bytes. */
static bool push_gets(struct sorting *sorting, struct list_draft *draft, const struct element *element) {
    char digits[NUMBER_I64_MAX_LEN];
    uint32_t arg = 2;
    for (uint32_t i = 0; i < sorting->gets; i++) {
        struct pattern pattern = next_get(sorting->call, &arg);
        struct element found;
        if (!look_up(sorting, &pattern, element, digits, &found)) found = element_of(BYTES(""));
        if (sorting->failed || !list_draft_push(draft, found.bytes, found.block)) return false;
    }
    return true;
}

static bool fill(struct sorting *sorting, struct list_draft *draft) {
    for (uint64_t i = sorting->from; i < sorting->to; i++) {
        const struct element *element = result_at(sorting, i);
        bool done = sorting->gets ? push_gets(sorting, draft, element)
                                  : list_draft_push(draft, element->bytes, element->block);
        if (!done) return false;
    }
    return true;
}

static void store_result(struct sorting *sorting) {
    struct call *call = sorting->call;
    uint32_t arg = sorting->store;
    uint64_t count = (sorting->to - sorting->from) * (sorting->gets ? sorting->gets : 1);
    if (count == 0) {
        collection_store_nothing(call, arg);
        return;
    }
    struct keyspace *ks = call_keyspace(call, arg);
    struct list_draft draft;
    struct entry *e = NULL;
    list_draft(&draft, ks);
    bool done = fill(sorting, &draft), creates = !call_peek(call, arg);
    struct value value = list_draft_value(&draft);
    if (done) e = keyspace_set(ks, call->db, call_key(call, arg), &value, EXPIRY_NONE);
    list_draft_end(&draft);
    if (e == NULL) {
        call_out_of_memory(call);
        return;
    }
    call_touch(call, e);
    if (creates) call_created(call, arg);
    call_changed_times(call, arg, EVENT_SORTSTORE, count);
    reply_int(call->reply, (int64_t)count);
}

/* ---- Commands ------------------------------------------------------------------------------------- */

static uint64_t within(int64_t number, int64_t least, uint64_t most) {
    if (number < least) number = least;
    return number > 0 && (uint64_t)number > most ? most : (uint64_t)number;
}

/* Which of so many elements LIMIT asks for. */
static void limit(struct sorting *sorting, uint64_t count) {
    uint64_t first = within(sorting->first, 0, count);
    uint64_t most = sorting->most < 0 ? count : within(sorting->most, 0, count);
    sorting->from = first;
    sorting->to = most < count - first ? first + most : count;
}

/* Loads the elements, and sorts them if they are to be sorted; else loads the result alone. False after replying. */
static bool prepare(struct sorting *sorting) {
    uint64_t count = count_of(&sorting->value);
    bool unsorted = sorting->unsorted, backwards = sorting->descending && unsorted;
    limit(sorting, count);
    uint64_t from = unsorted ? sorting->from : 0, loaded = unsorted ? sorting->to - from : count;
    if (loaded == 0) {
        sorting->from = sorting->to;
        return true;
    }
    if (!load(sorting, from, loaded, backwards)) {
        call_out_of_memory(sorting->call);
        return false;
    }
    if (!unsorted) return sort_elements(sorting);
    sorting->to -= from;
    sorting->from = 0;
    return true;
}

static void sort_or_fail(struct sorting *sorting) {
    struct call *call = sorting->call;
    if (!options_or_reply(sorting) || !hold_keys(sorting)) return;
    struct entry *e = call_read(call, 1);
    sorting->value = e ? entry_value(e) : (struct value){.type = TYPE_STRING};
    if (e && !is_sortable(&sorting->value)) {
        call_wrong_type(call);
        return;
    }
    /* Redis makes a skiplist of it, to sort that. */
    if (e && sorting->value.type == TYPE_ZSET) e->edited = true;
    /* Members of a set have no order that would be the same elsewhere: a list of them is sorted as texts. */
    if (sorting->unsorted && sorting->store && sorting->value.type == TYPE_SET) {
        sorting->unsorted = sorting->weighed = false;
        sorting->alpha = true;
    }
    if (!prepare(sorting)) return;
    if (sorting->store)
        store_result(sorting);
    else
        reply_result(sorting);
}

static void run(struct call *call, bool may_store) {
    struct sorting sorting = {.call = call, .may_store = may_store, .most = -1};
    sort_or_fail(&sorting);
    sorting_end(&sorting);
}

static void sort(struct call *call) {
    run(call, true);
}

#define PATTERNS_NOTE                                                                                        \
    "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content " \
    "of the key we sort"
#define SORT_COMPLEXITY                                                                                      \
    "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of "       \
    "returned elements. When the elements are not sorted, complexity is O(N)."
#define SORT_SYNTAX                                                                                          \
    "<key:key> [{BY <pattern:key-pattern>}] [{LIMIT offset_count:{ <offset:integer> <count:integer> }}] "    \
    "[{GET <pattern:key-pattern>} ...+] [order:( ASC | DESC )] [sorting:ALPHA]"

COMMAND(sort) = {
    .name = "sort",
    .arity = -2,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_MORE_STRIPES,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS), KEY_SOMEWHERE(KEY_RO | KEY_ACCESS, PATTERNS_NOTE),
             KEY_SOMEWHERE(KEY_OW | KEY_UPDATE,
                           "For the optional STORE keyword. It is marked 'unknown' because the keyword can "
                           "appear anywhere in the argument array")},
    .find_keys = sort_keys,
    .run = sort,
    .group = GROUP_GENERIC_PLAIN,
    .since = "1.0.0",
    .complexity = SORT_COMPLEXITY,
    .summary = "Sort the elements in a list, set or sorted set",
    .acl = "set sortedset list dangerous",
    .syntax = SORT_SYNTAX " [{STORE <destination:key>}]"};

static void sort_ro(struct call *call) {
    run(call, false);
}
COMMAND(sort_ro) = {.name = "sort_ro",
                    .arity = -2,
                    .flags = CMD_READONLY | CMD_MORE_STRIPES,
                    .keys = {KEY(1, KEY_RO | KEY_ACCESS), KEY_SOMEWHERE(KEY_RO | KEY_ACCESS, PATTERNS_NOTE)},
                    .find_keys = sort_ro_keys,
                    .run = sort_ro,
                    .group = GROUP_GENERIC_PLAIN,
                    .since = "7.0.0",
                    .complexity = SORT_COMPLEXITY,
                    .summary = "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
                    .acl = "set sortedset list dangerous",
                    .syntax = SORT_SYNTAX};
