/* zset_algebra.c - one sorted set of several: unions, intersections and differences. */
#include <math.h>
#include <stdlib.h>

#include "server/commands/zset.h"
#include "store/types/set.h"

enum algebra { UNION, INTERSECTION, DIFFERENCE };

/* What was asked for. */
struct request {
    enum algebra algebra;
    uint32_t numkeys_at; /* argument number of the count of keys, which they follow */
    bool stores;         /* argv[1] is the destination */
    bool counts;         /* only how many there are is wanted */
    bool scores;
    enum { SUM, MIN, MAX, COUNT } aggregate; /* COUNT: the sum of the weights */
    int64_t limit;                           /* 0: none */
};

/* A sorted set, or a set, each of whose members has the score 1. */
struct input {
    struct value value;
    bool there;
    uint64_t count;
    double weight;
    uint32_t nth;  /* it was given */
    bool is_first; /* it is the same value as the first one */
    char *texts;   /* of an intset, which has none: room for each member's, of NUMBER_I64_MAX_LEN bytes */
};

/* ---- Requests ------------------------------------------------------------------------------------- */

static bool is_set(const struct input *input) {
    return input->value.type == TYPE_SET;
}

static bool read_input(struct call *call, uint32_t arg, struct input *input) {
    const struct entry *e = call_read(call, arg);
    input->weight = 1;
    input->nth = arg;
    if (e == NULL) return true;
    input->value = entry_value(e);
    if (!is_set(input) && input->value.type != TYPE_ZSET) {
        call_wrong_type(call);
        return false;
    }
    input->there = true;
    input->count = is_set(input) ? set_count(&input->value) : zset_count(&input->value);
    if (!is_set(input) || input->value.kind == VALUE_OBJECT || input->value.edited) return true;
    input->texts = calloc(input->count, NUMBER_I64_MAX_LEN);
    if (input->texts == NULL) call_out_of_memory(call);
    return input->texts;
}

static void free_inputs(struct input *inputs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) free(inputs[i].texts);
    free(inputs);
}

/* Reads the keys. NULL after replying. */
static struct input *inputs_or_reply(struct call *call, const struct request *request, uint32_t *count) {
    uint32_t at = request->numkeys_at;
    int64_t number;
    if (!call_int_or_reply(call, at, &number)) return NULL;
    if (number < 1) {
        char name[COMMAND_FULL_NAME_MAX];
        size_t len = command_full_name(call->command, name);
        reply_errorf(call->reply, "ERR at least 1 input key is needed for '%.*s' command", (int)len, name);
        return NULL;
    }
    if (number > (int64_t)call->argc - (at + 1)) {
        call_syntax_error(call);
        return NULL;
    }
    *count = (uint32_t)number;
    struct input *inputs = calloc(*count, sizeof *inputs);
    if (inputs == NULL) call_out_of_memory(call);
    for (uint32_t i = 0; inputs && i < *count; i++) {
        if (!read_input(call, at + 1 + i, &inputs[i])) {
            free_inputs(inputs, *count);
            return NULL;
        }
    }
    return inputs;
}

/* A walk over the members of an input that is there. */
struct input_walk {
    const struct input *input;
    struct zset_walk scored;
    struct set_walk members;
    uint64_t at; /* members that were read */
};
static void input_walk(struct input_walk *walk, const struct input *input) {
    walk->input = input;
    walk->at = 0;
    if (is_set(input))
        set_walk(&walk->members, &input->value, 0);
    else
        zset_walk(&walk->scored, &input->value, 0, false);
}
/* The next one, which stays valid as long as the input is. */
static bool input_next(struct input_walk *walk, struct zset_item *item) {
    struct element member;
    if (!is_set(walk->input)) return zset_next(&walk->scored, item);
    if (!set_next(&walk->members, &member)) return false;
    if (walk->input->texts) {
        char *text = walk->input->texts + walk->at * NUMBER_I64_MAX_LEN;
        memcpy(text, member.bytes.data, member.bytes.len);
        member.bytes.data = text;
    }
    walk->at++;
    *item = (struct zset_item){.member = member, .score = 1};
    return true;
}
/* Are they one value? */
static bool is_same(const struct input *a, const struct input *b) {
    const struct value *x = &a->value, *y = &b->value;
    if (!a->there || !b->there || x->kind != y->kind) return false;
    return x->kind == VALUE_OBJECT ? x->object == y->object : value_bytes(x).data == value_bytes(y).data;
}
/* The score of a member. False if there is no such one. */
static bool input_find(const struct keyspace *ks, const struct input *input, struct bytes member,
                       double *score) {
    if (!input->there) return false;
    if (!is_set(input)) return zset_find(ks, &input->value, member, score);
    *score = 1;
    return set_has(ks, &input->value, member);
}

/* A number behind WEIGHTS for each key. */
static bool take_weights(struct call *call, struct input *inputs, uint32_t count, uint32_t *arg) {
    for (uint32_t i = 0; i < count; i++)
        if (!zset_score_or_reply(call, ++*arg, "ERR weight value is not a float", &inputs[i].weight))
            return false;
    return true;
}

static bool take_aggregate(struct call *call, struct request *request, uint32_t *arg) {
    struct bytes word = call->argv[++*arg];
    if (bytes_is(word, "sum"))
        request->aggregate = SUM;
    else if (bytes_is(word, "min"))
        request->aggregate = MIN;
    else if (bytes_is(word, "max"))
        request->aggregate = MAX;
    else if (bytes_is(word, "count"))
        request->aggregate = COUNT;
    else
        return false;
    return true;
}

/* What follows the keys. False after replying. */
static bool options_or_reply(struct call *call, struct request *request, struct input *inputs,
                             uint32_t count) {
    bool weighs = request->algebra != DIFFERENCE && !request->counts;
    const struct call_range limits = {0, INT64_MAX, "ERR LIMIT can't be negative"};
    for (uint32_t i = request->numkeys_at + 1 + count; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        uint32_t left = call->argc - i;
        if (weighs && left >= (uint64_t)count + 1 && bytes_is(word, "weights")) {
            if (!take_weights(call, inputs, count, &i)) return false;
        } else if (weighs && left >= 2 && bytes_is(word, "aggregate") && take_aggregate(call, request, &i)) {
            continue;
        } else if (!request->stores && !request->counts && bytes_is(word, "withscores")) {
            request->scores = true;
        } else if (request->counts && left >= 2 && bytes_is(word, "limit")) {
            if (!call_int_range_or_reply(call, ++i, limits, &request->limit)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* ---- Results -------------------------------------------------------------------------------------- */

struct result {
    struct zset_item *items;
    uint64_t count;
    size_t capacity;
};

static bool result_add(struct result *result, const struct zset_item *item) {
    enum { LEAST = 16 };
    if (result->count == result->capacity) {
        size_t capacity = result->capacity ? result->capacity * 2 : LEAST;
        if (capacity > SIZE_MAX / 2 / sizeof *result->items) return false;
        struct zset_item *items = realloc(result->items, capacity * sizeof *items);
        if (items == NULL) return false;
        result->items = items;
        result->capacity = capacity;
    }
    result->items[result->count++] = *item;
    return true;
}

static int compare_ranks(const void *a, const void *b) {
    const struct zset_item *left = a, *right = b;
    if (left->score != right->score) return left->score < right->score ? -1 : 1;
    return bytes_compare(left->member.bytes, right->member.bytes);
}

/* What is no number is 0, as in Redis. */
static double number_or_0(double score) {
    return isnan(score) ? 0 : score;
}

/* What is weighed of a score: each counts once where they are counted. */
static double counted(const struct request *request, double score) {
    return request->aggregate == COUNT ? 1 : score;
}
static double weighed(const struct request *request, const struct input *input, double score) {
    return number_or_0(counted(request, score) * input->weight);
}

static void aggregate(const struct request *request, double *score, double other) {
    switch (request->aggregate) {
    case SUM:
    case COUNT: *score = number_or_0(*score + other); break;
    case MIN: *score = other < *score ? other : *score; break;
    case MAX: *score = other > *score ? other : *score; break;
    }
}

/* The order in which Redis takes them, on which sums depend: the smallest first, equal ones as they were given. */
static int compare_inputs(const void *a, const void *b) {
    const struct input *left = a, *right = b;
    if (left->count != right->count) return left->count < right->count ? -1 : 1;
    return (left->nth > right->nth) - (left->nth < right->nth);
}
static void sort_inputs(struct input *inputs, uint32_t count) {
    qsort(inputs, count, sizeof *inputs, compare_inputs);
}

/* ---- Members by hash ------------------------------------------------------------------------------ */

/* Where a result has a member: an open table, half of which is empty at least. */
struct slot {
    uint32_t hash; /* the upper half of it */
    uint32_t item; /* one more than the item's index; 0: nothing is here */
};
struct members {
    const struct hash_seed *seed;
    struct slot *slots;
    uint64_t mask;
};

/* For so many members. False without memory. */
static bool make_members(struct members *members, const struct call *call, const struct request *request,
                         uint64_t count) {
    uint64_t slots = 16;
    *members = (struct members){.seed = call_keyspace(call, request->numkeys_at + 1)->seed};
    if (count > UINT32_MAX / 2) return false;
    while (slots < count * 2) slots *= 2;
    members->mask = slots - 1;
    members->slots = calloc(slots, sizeof *members->slots);
    return members->slots;
}

/* The slot of a member; an empty one, which has its hash from now on, where it is not there. */
static struct slot *find_slot(const struct members *members, const struct result *result,
                              struct bytes member) {
    uint64_t hash = hash_bytes(members->seed, member), at = hash & members->mask;
    uint32_t upper = (uint32_t)(hash >> 32);
    for (;; at = (at + 1) & members->mask) {
        struct slot *slot = &members->slots[at];
        if (slot->item == 0) {
            slot->hash = upper;
            return slot;
        }
        if (slot->hash == upper && bytes_equal(result->items[slot->item - 1].member.bytes, member))
            return slot;
    }
}

static uint64_t count_all(const struct input *inputs, uint32_t count) {
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++) all += inputs[i].count;
    return all;
}

/* ---- Unions --------------------------------------------------------------------------------------- */

/* Adds the members of an input to the result. False without memory. */
static bool unite_input(const struct request *request, const struct input *input,
                        const struct members *members, struct result *result) {
    struct input_walk walk;
    struct zset_item item;
    if (!input->there) return true;
    input_walk(&walk, input);
    while (input_next(&walk, &item)) {
        struct slot *slot = find_slot(members, result, item.member.bytes);
        item.score = weighed(request, input, item.score);
        if (slot->item) {
            aggregate(request, &result->items[slot->item - 1].score, item.score);
            continue;
        }
        if (!result_add(result, &item)) return false;
        slot->item = (uint32_t)result->count;
    }
    return true;
}

static bool unite(struct call *call, const struct request *request, struct input *inputs, uint32_t count,
                  struct result *result) {
    struct members members;
    bool done = make_members(&members, call, request, count_all(inputs, count));
    sort_inputs(inputs, count);
    for (uint32_t i = 0; i < count && done; i++) done = unite_input(request, &inputs[i], &members, result);
    free(members.slots);
    return done;
}

/* ---- Intersections and differences ---------------------------------------------------------------- */

/* The score of a member of the first input that all others have too. False if one has not. */
static bool in_all(const struct keyspace *ks, const struct request *request, const struct input *inputs,
                   uint32_t count, struct zset_item *item) {
    double score = weighed(request, &inputs[0], item->score), other;
    for (uint32_t i = 1; i < count; i++) {
        if (inputs[i].is_first)
            other = item->score;
        else if (!input_find(ks, &inputs[i], item->member.bytes, &other))
            return false;
        aggregate(request, &score, counted(request, other) * inputs[i].weight);
    }
    item->score = score;
    return true;
}

static bool in_none(const struct keyspace *ks, const struct input *inputs, uint32_t count,
                    const struct zset_item *item) {
    double score;
    for (uint32_t i = 1; i < count; i++)
        if (input_find(ks, &inputs[i], item->member.bytes, &score)) return false;
    return true;
}

/* Is it less work to look all members of the others up among those of the first than the other way round? */
static bool others_are_few(const struct input *inputs, uint32_t count) {
    enum { QUESTIONS_FOR_SLOT = 4 }; /* which take as long as to find one slot of a table */
    uint64_t all = count_all(inputs, count);
    return all < inputs[0].count / QUESTIONS_FOR_SLOT * (count - 1);
}

/* Takes the members of an input out of the result: what has no number as its score is gone. */
static void take_out(const struct input *input, const struct members *members, struct result *result) {
    struct input_walk walk;
    struct zset_item item;
    if (!input->there) return;
    input_walk(&walk, input);
    while (input_next(&walk, &item)) {
        const struct slot *slot = find_slot(members, result, item.member.bytes);
        if (slot->item) result->items[slot->item - 1].score = NAN;
    }
}

/* Members of the first input, without those of each of the others. */
static bool subtract(struct call *call, const struct request *request, const struct input *inputs,
                     uint32_t count, struct result *result) {
    struct members members;
    uint64_t kept = 0;
    bool done = make_members(&members, call, request, inputs[0].count) &&
                unite_input(request, &inputs[0], &members, result);
    for (uint32_t i = 1; i < count && done; i++) take_out(&inputs[i], &members, result);
    for (uint64_t i = 0; i < result->count; i++)
        if (!isnan(result->items[i].score)) result->items[kept++] = result->items[i];
    result->count = kept;
    free(members.slots);
    return done;
}

/* Members of the first input that all others have, or none. */
static bool select_members(struct call *call, const struct request *request, struct input *inputs,
                           uint32_t count, struct result *result) {
    const struct keyspace *ks = call_keyspace(call, request->numkeys_at + 1);
    bool intersects = request->algebra == INTERSECTION;
    struct input_walk walk;
    struct zset_item item;
    if (intersects) sort_inputs(inputs, count);
    if (!inputs[0].there) return true;
    for (uint32_t i = 1; i < count; i++) inputs[i].is_first = is_same(&inputs[i], &inputs[0]);
    if (!intersects && others_are_few(inputs, count)) return subtract(call, request, inputs, count, result);
    input_walk(&walk, &inputs[0]);
    while (input_next(&walk, &item)) {
        bool in = intersects ? in_all(ks, request, inputs, count, &item) : in_none(ks, inputs, count, &item);
        if (in && request->counts)
            result->count++;
        else if (in && !result_add(result, &item))
            return false;
        if (request->counts && request->limit && result->count == (uint64_t)request->limit) return true;
    }
    return true;
}

/* ---- Commands ------------------------------------------------------------------------------------- */

static void reply_result(struct call *call, const struct request *request, const struct result *result) {
    static const enum event events[] = {EVENT_ZUNIONSTORE, EVENT_ZINTERSTORE, EVENT_ZDIFFSTORE};
    unsigned show = zset_show(call, request->scores);
    if (request->counts) {
        reply_int(call->reply, (int64_t)result->count);
        return;
    }
    if (result->count) qsort(result->items, result->count, sizeof *result->items, compare_ranks);
    if (request->stores) {
        struct zset_items items = {result->items, result->count};
        zset_store(call, 1, items, events[request->algebra], 1);
        return;
    }
    zset_reply_header(call, result->count, show);
    for (uint64_t i = 0; i < result->count; i++)
        zset_reply_item(call->reply, call->effects->metrics, &result->items[i], show);
}

static void combine(struct call *call, struct request request) {
    struct result result = {0};
    uint32_t count;
    request.numkeys_at = request.stores ? 2 : 1;
    struct input *inputs = inputs_or_reply(call, &request, &count);
    if (inputs == NULL) return;
    if (options_or_reply(call, &request, inputs, count)) {
        bool done = request.algebra == UNION ? unite(call, &request, inputs, count, &result)
                                             : select_members(call, &request, inputs, count, &result);
        if (done)
            reply_result(call, &request, &result);
        else
            call_out_of_memory(call);
    }
    free(result.items);
    free_inputs(inputs, count);
}

static void zunion(struct call *call) {
    combine(call, (struct request){.algebra = UNION});
}
COMMAND(zunion) = {.name = "zunion",
                   .arity = -3,
                   .flags = CMD_READONLY,
                   .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
                   .run = zunion,
                   .group = GROUP_SORTED_SET,
                   .since = "6.2.0",
                   .complexity = "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted "
                                 "sets, and M being the number of elements in the resulting sorted set.",
                   .summary = "Add multiple sorted sets",
                   .syntax = "<numkeys:integer> <key:key> ... [{WEIGHTS <weight:integer> ...}] [{AGGREGATE "
                             "aggregate:( SUM | MIN | MAX | COUNT@8.8.0 )}] [WITHSCORES]"};

static void zunionstore(struct call *call) {
    combine(call, (struct request){.algebra = UNION, .stores = true});
}
COMMAND(zunionstore) = {
    .name = "zunionstore",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)},
    .run = zunionstore,
    .group = GROUP_SORTED_SET,
    .since = "2.0.0",
    .complexity = "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being "
                  "the number of elements in the resulting sorted set.",
    .summary = "Add multiple sorted sets and store the resulting sorted set in a new key",
    .syntax = "<destination:key> <numkeys:integer> <key:key> ... [{WEIGHTS <weight:integer> ...}] "
              "[{AGGREGATE aggregate:( SUM | MIN | MAX | COUNT@8.8.0 )}]"};

static void zinter(struct call *call) {
    combine(call, (struct request){.algebra = INTERSECTION});
}
COMMAND(zinter) = {
    .name = "zinter",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
    .run = zinter,
    .group = GROUP_SORTED_SET,
    .since = "6.2.0",
    .complexity =
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
        "input sorted sets and M being the number of elements in the resulting sorted set.",
    .summary = "Intersect multiple sorted sets",
    .syntax = "<numkeys:integer> <key:key> ... [{WEIGHTS <weight:integer> ...}] [{AGGREGATE aggregate:( SUM "
              "| MIN | MAX | COUNT@8.8.0 )}] [WITHSCORES]"};

static void zinterstore(struct call *call) {
    combine(call, (struct request){.algebra = INTERSECTION, .stores = true});
}
COMMAND(zinterstore) = {
    .name = "zinterstore",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)},
    .run = zinterstore,
    .group = GROUP_SORTED_SET,
    .since = "2.0.0",
    .complexity =
        "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of "
        "input sorted sets and M being the number of elements in the resulting sorted set.",
    .summary = "Intersect multiple sorted sets and store the resulting sorted set in a new key",
    .syntax = "<destination:key> <numkeys:integer> <key:key> ... [{WEIGHTS <weight:integer> ...}] "
              "[{AGGREGATE aggregate:( SUM | MIN | MAX | COUNT@8.8.0 )}]"};

static void zintercard(struct call *call) {
    combine(call, (struct request){.algebra = INTERSECTION, .counts = true});
}
COMMAND(zintercard) = {.name = "zintercard",
                       .arity = -3,
                       .flags = CMD_READONLY,
                       .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
                       .run = zintercard,
                       .group = GROUP_SORTED_SET,
                       .since = "7.0.0",
                       .complexity = "O(N*K) worst case with N being the smallest input sorted set, K being "
                                     "the number of input sorted sets.",
                       .summary = "Intersect multiple sorted sets and return the cardinality of the result",
                       .syntax = "<numkeys:integer> <key:key> ... [{LIMIT <limit:integer>}]"};

static void zdiff(struct call *call) {
    combine(call, (struct request){.algebra = DIFFERENCE});
}
COMMAND(zdiff) = {
    .name = "zdiff",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)},
    .run = zdiff,
    .group = GROUP_SORTED_SET,
    .since = "6.2.0",
    .complexity = "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N "
                  "is the size of the first set, and K is the size of the result set.",
    .summary = "Subtract multiple sorted sets",
    .syntax = "<numkeys:integer> <key:key> ... [WITHSCORES]"};

static void zdiffstore(struct call *call) {
    combine(call, (struct request){.algebra = DIFFERENCE, .stores = true});
}
COMMAND(zdiffstore) = {
    .name = "zdiffstore",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_OW | KEY_UPDATE), KEYS_COUNTED(2, 1, KEY_RO | KEY_ACCESS)},
    .run = zdiffstore,
    .group = GROUP_SORTED_SET,
    .since = "6.2.0",
    .complexity = "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N "
                  "is the size of the first set, and K is the size of the result set.",
    .summary = "Subtract multiple sorted sets and store the resulting sorted set in a new key",
    .syntax = "<destination:key> <numkeys:integer> <key:key> ..."};
