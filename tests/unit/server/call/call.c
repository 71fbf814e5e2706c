/* What handlers have in common: lookups, values, arguments and effects, with time as an argument. */
#include "server/call/call.h"

#include "server/exec/transaction.h"
#include "tests/unit/server_fixture.h"

enum { NOW_MS = 1000000000 };

static struct client client;
static struct output output;
static struct buffer sent;
static struct call call;
static struct stripe_set all; /* held by it */
static struct bytes argv[4];
static uint64_t hash[4];

static void begin(void) {
    fixture_open(4);
    client = (struct client){.resp = 2};
    output_open(&output, &shards->chunks);
    argv[0] = BYTES("set");
    stripe_set_add_all(&all);
    call = (struct call){.argv = argv,
                         .argc = 4,
                         .hash = hash,
                         .reply = &output.reply,
                         .command = command_find_name(BYTES("set")),
                         .client = &client,
                         .effects = &shards->exec.effects,
                         .stripe = STRIPE_NONE,
                         .held = &all,
                         .want = &shards->exec.want};
    effects_set_time(&shards->exec.effects, NOW_MS);
}

/* As the loop does it for keyspaces that the test has changed. */
static void take_news(void) {
    for (unsigned i = 0; i < stripes.count; i++) keyspace_take_news(stripes.all[i].keyspace, 1);
}

static void end(void) {
    take_news();
    transaction_close(&client);
    output_close(&output);
    buffer_free(&sent);
    fixture_close();
}

static struct bytes replied(void) {
    buffer_free(&sent);
    fixture_take(&output, &sent);
    return buffer_bytes(&sent);
}

static struct key key(struct bytes name) {
    argv[1] = name;
    hash[1] = hash_bytes(&stripes.seed, name);
    return call_key(&call, 1);
}

static struct entry *put(struct bytes name, struct bytes text, int64_t expiry_ms) {
    struct value value = value_of_bytes(text);
    struct key k = key(name);
    struct entry *e = keyspace_set(stripe_of(k.hash)->keyspace, 0, k, &value, expiry_ms);
    CHECK(e);
    return e;
}

static uint64_t keys(void) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stripes.count; i++) count += keyspace_count(stripes.all[i].keyspace, 0);
    return count;
}

static void a_read_counts_hits_and_misses_and_a_peek_does_not(void) {
    begin();
    struct entry *e = put(BYTES("here"), BYTES("value"), EXPIRY_NONE);
    CHECK(call_read(&call, 1) == e && call_peek(&call, 1) == e);
    key(BYTES("absent"));
    CHECK(!call_read(&call, 1) && !call_peek(&call, 1) && !call_read(&call, 1));
    CHECK_INT(shards->exec.metrics.keyspace_hits, 1);
    CHECK_INT(shards->exec.metrics.keyspace_misses, 2);
    key(BYTES("here"));
    CHECK(call_claim(&call, 1) == e && !call_claim_db(&call, 1, 1));
    end();
}

static void a_key_is_there_until_the_millisecond_of_its_expiry(void) {
    begin();
    put(BYTES("k"), BYTES("v"), NOW_MS + 1);
    CHECK(call_read(&call, 1));
    shards->exec.effects.now_ms++;
    CHECK(!call_read(&call, 1));
    CHECK_INT(keys(), 0);
    CHECK_INT(shards->exec.metrics.expired_keys, 1);
    CHECK_INT(shards->exec.metrics.keyspace_misses, 1);
    CHECK_INT(shards->exec.effects.changes, 0); /* time did it, not the command */
    CHECK(!call_read(&call, 1));
    CHECK_INT(shards->exec.metrics.expired_keys, 1);
    end();
}

static void an_expiry_on_the_way_is_felt_by_watchers(void) {
    begin();
    struct key k = key(BYTES("k"));
    put(BYTES("k"), BYTES("v"), NOW_MS);
    CHECK(transaction_watch(&client, 0, k, true));
    CHECK(!call_peek(&call, 1));
    CHECK(transaction_dirty(&client, NOW_MS));
    end();
}

static void an_access_is_noted_unless_the_client_asked_not_to(void) {
    begin();
    struct entry *e = put(BYTES("k"), BYTES("v"), EXPIRY_NONE);
    CHECK(call_read(&call, 1));
    CHECK_INT(entry_access(e), NOW_MS / 1000);
    effects_set_time(&shards->exec.effects, NOW_MS + 5000);
    CHECK(call_peek(&call, 1));
    CHECK_INT(entry_access(e), NOW_MS / 1000);
    client.flags |= CLIENT_NO_TOUCH;
    CHECK(call_read(&call, 1) && call_claim(&call, 1));
    CHECK_INT(entry_access(e), NOW_MS / 1000);
    client.flags = 0;
    CHECK(call_claim(&call, 1) == e);
    CHECK_INT(entry_access(e), NOW_MS / 1000 + 5);
    effects_set_time(&shards->exec.effects, NOW_MS + 10000);
    CHECK(call_read(&call, 1));
    CHECK_INT(entry_access(e), NOW_MS / 1000 + 10);
    end();
}

static void strings_reply_whatever_they_are_stored_as(void) {
    static char large[PIN_MIN];
    begin();
    call_reply_string(&call, NULL);
    call_reply_string(&call, put(BYTES("a"), BYTES(""), EXPIRY_NONE));
    call_reply_string(&call, put(BYTES("b"), BYTES("-9223372036854775808"), EXPIRY_NONE));
    call_reply_string(&call, put(BYTES("c"), BYTES("\r\n\0x"), EXPIRY_NONE));
    CHECK_BYTES(replied(), BYTES("$-1\r\n$0\r\n\r\n$20\r\n-9223372036854775808\r\n$4\r\n\r\n\0x\r\n"));
    memset(large, 'l', sizeof large);
    for (size_t len = PIN_MIN - 1; len <= PIN_MIN; len++) { /* copied, and sent from where it lies */
        struct entry *e = put(BYTES("l"), (struct bytes){large, len}, EXPIRY_NONE);
        CHECK(!block_shared(entry_block(e)));
        call_reply_string(&call, e);
        CHECK_INT(block_shared(entry_block(e)), len == PIN_MIN);
        CHECK_INT(replied().len, len + 10);
        CHECK(!block_shared(entry_block(e)));
    }
    CHECK_INT(shards->exec.metrics.ring_pinned_sends, 1);
    end();
}

static void a_pinned_value_may_go_before_its_reply_does(void) {
    static char large[PIN_MIN];
    begin();
    memset(large, 'l', sizeof large);
    call_reply_string(&call, put(BYTES("l"), (struct bytes){large, sizeof large}, EXPIRY_NONE));
    CHECK(keyspace_delete(call_keyspace(&call, 1), 0, call_key(&call, 1)));
    struct bytes reply = replied();
    CHECK_BYTES(((struct bytes){reply.data + 8, PIN_MIN}), ((struct bytes){large, PIN_MIN}));
    end();
}

static void a_part_is_pinned_where_it_is_large_and_not_little_of_its_value(void) {
    static char large[PIN_MIN * PIN_PART * 2];
    static const struct {
        size_t value, start, len;
        bool pinned;
    } parts[] = {
        {PIN_MIN, 0, PIN_MIN, true},
        {PIN_MIN, 1, PIN_MIN - 1, false},
        {PIN_MIN * PIN_PART, 5, PIN_MIN, true},
        {sizeof large, sizeof large - 2 * PIN_MIN, 2 * PIN_MIN, true},
        {sizeof large, 7, 2 * PIN_MIN - 1, false},
        {sizeof large, 7, 0, false},
    };
    char scratch[NUMBER_I64_MAX_LEN];
    begin();
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct entry *e = put(BYTES("l"), (struct bytes){large, parts[i].value}, EXPIRY_NONE);
        struct bytes part = {entry_string(e, scratch).data + parts[i].start, parts[i].len};
        call_reply_part(&call, e, part);
        CHECK_INT(block_shared(entry_block(e)), parts[i].pinned);
        CHECK(keyspace_delete(call_keyspace(&call, 1), 0, call_key(&call, 1)));
        struct bytes reply = replied();
        CHECK(reply.len > part.len + 2);
        CHECK_BYTES(((struct bytes){reply.data + reply.len - part.len - 2, part.len}),
                    ((struct bytes){large + parts[i].start, part.len}));
    }
    call_reply_part(&call, put(BYTES("n"), BYTES("12345"), EXPIRY_NONE), BYTES("234"));
    CHECK_BYTES(replied(), BYTES("$3\r\n234\r\n"));
    end();
}

static void a_pin_that_the_output_refuses_is_given_back(void) {
    static char large[PIN_MIN];
    begin();
    output.limit = PIN_MIN - 1;
    struct entry *e = put(BYTES("l"), (struct bytes){large, sizeof large}, EXPIRY_NONE);
    call_reply_string(&call, e);
    CHECK(output.reply.failed && !block_shared(entry_block(e)));
    end();
}

static void an_argument_with_a_block_of_its_own_hands_it_over(void) {
    begin();
    struct block *a = block_new_zeroed(PIN_MIN, PIN_MIN), *b = block_new_zeroed(PIN_MIN, PIN_MIN);
    CHECK(a && b);
    struct block *blocks[] = {a, b};
    call.arg_blocks = blocks;
    call.arg_block_count = 2;
    key(BYTES("k"));
    argv[2] = block_bytes(a);
    CHECK(call_value(&call, 2).block == a && call.arg_block_next == 1); /* MSET finds the next one there */
    argv[2] = block_bytes(b);
    struct value value = call_value(&call, 2);
    CHECK(value.kind == VALUE_BLOCK && value.block == b);
    CHECK(keyspace_set(call_keyspace(&call, 1), 0, call_key(&call, 1), &value, EXPIRY_NONE));
    CHECK(block_shared(b) && !block_shared(a));
    argv[2].len--; /* a part of it is no block */
    CHECK(call_value(&call, 2).kind == VALUE_INLINE);
    argv[2] = BYTES("77");
    CHECK(call_value(&call, 2).kind == VALUE_INT && call_value(&call, 2).number == 77);
    block_release(a);
    block_release(b);
    end();
}

static void integers_are_whole_and_within_their_bounds(void) {
    int64_t value = 0;
    begin();
    argv[1] = BYTES("-9223372036854775808");
    CHECK(call_int_or_reply(&call, 1, &value) && value == INT64_MIN);
    argv[1] = BYTES("5");
    CHECK(call_int_range_or_reply(&call, 1, (struct call_range){5, 5, NULL}, &value) && value == 5);
    CHECK(replied().len == 0);
    CHECK(!call_int_range_or_reply(&call, 1, (struct call_range){6, 9, NULL}, &value));
    CHECK(!call_int_range_or_reply(&call, 1, (struct call_range){0, 4, "ERR out of my range"}, &value));
    argv[1] = BYTES("5 ");
    CHECK(!call_int_or_reply(&call, 1, &value));
    argv[1] = BYTES("9223372036854775808");
    CHECK(!call_int_or_reply(&call, 1, &value));
#define NOT_AN_INTEGER "-ERR value is not an integer or out of range\r\n"
    CHECK_BYTES(replied(), BYTES(NOT_AN_INTEGER "-ERR out of my range\r\n" NOT_AN_INTEGER NOT_AN_INTEGER));
    end();
}

#define INVALID "-ERR invalid expire time in 'set' command\r\n"

static void expiries_become_absolute_or_are_refused(void) {
    static const struct {
        const char *text;
        enum expiry_form form;
        bool positive, ok;
        int64_t at_ms;
    } cases[] = {
        {"1", EXPIRY_SECONDS, true, true, NOW_MS + 1000},
        {"1", EXPIRY_MILLISECONDS, true, true, NOW_MS + 1},
        {"1", EXPIRY_AT_SECONDS, true, true, 1000},
        {"1", EXPIRY_AT_MILLISECONDS, true, true, 1},
        {"0", EXPIRY_SECONDS, true, false, 0},
        {"-1", EXPIRY_AT_MILLISECONDS, true, false, 0},
        {"0", EXPIRY_SECONDS, false, true, NOW_MS},
        {"-1", EXPIRY_SECONDS, false, true, NOW_MS - 1000},
        {"9223372036854775807", EXPIRY_AT_MILLISECONDS, true, true, INT64_MAX},
        {"9223372036854775807", EXPIRY_MILLISECONDS, true, false, 0},
        {"9223372035854775807", EXPIRY_MILLISECONDS, true, true, INT64_MAX},
        {"9223372036854775", EXPIRY_AT_SECONDS, true, true, 9223372036854775000},
        {"9223372036854776", EXPIRY_AT_SECONDS, true, false, 0},
        {"9223372036854775", EXPIRY_SECONDS, true, false, 0},
        {"-9223372036854775808", EXPIRY_SECONDS, false, false, 0},
        {"-9223372036854775808", EXPIRY_MILLISECONDS, false, true, INT64_MIN + NOW_MS},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t at_ms = 0;
        argv[2] = bytes_of(cases[i].text);
        CHECK(call_expiry_or_reply(&call, 2, cases[i].form, cases[i].positive, &at_ms) == cases[i].ok);
        CHECK_INT(at_ms, cases[i].at_ms);
        if (cases[i].ok)
            CHECK_INT(replied().len, 0);
        else
            CHECK_BYTES(replied(), BYTES(INVALID));
    }
    int64_t at_ms;
    argv[2] = BYTES("soon");
    CHECK(!call_expiry_or_reply(&call, 2, EXPIRY_SECONDS, true, &at_ms));
    CHECK_BYTES(replied(), BYTES(NOT_AN_INTEGER));
    end();
}

static void changes_are_counted_and_felt_by_watchers(void) {
    begin();
    struct key k = key(BYTES("k"));
    CHECK(transaction_watch(&client, 0, k, false));
    call_changed_db(&call, 1, 1, EVENT_SET); /* the same name elsewhere */
    CHECK(!transaction_dirty(&client, NOW_MS));
    call_changed(&call, 1, EVENT_SET);
    CHECK(transaction_dirty(&client, NOW_MS));
    call_deleted(&call, 1);
    CHECK_INT(shards->exec.effects.changes, 3);
    call_event(&call, 1, EVENT_EXPIRE); /* of a change that is counted */
    CHECK_INT(shards->exec.effects.changes, 3);
    CHECK_INT(stripe_of(k.hash)->changes, 3);
    end();
}

static void another_database_feels_what_is_told_of_it_alone(void) {
    begin();
    CHECK(transaction_watch(&client, 1, key(BYTES("k")), false));
    call_created(&call, 1);
    call_changed(&call, 1, EVENT_SET);
    call_created_db(&call, 1, 1); /* how is said next */
    CHECK(!transaction_dirty(&client, NOW_MS));
    CHECK_INT(shards->exec.effects.changes, 1);
    call_changed_db(&call, 1, 1, EVENT_MOVE_TO);
    CHECK(transaction_dirty(&client, NOW_MS));
    CHECK_INT(shards->exec.effects.changes, 2);
    end();
}

static void a_key_that_moves_is_felt_where_it_was_and_counted_where_it_arrives(void) {
    begin();
    CHECK(transaction_watch(&client, 0, key(BYTES("k")), true));
    call_moved(&call, 1, EVENT_RENAME_FROM);
    CHECK(transaction_dirty(&client, NOW_MS));
    CHECK_INT(shards->exec.effects.changes, 0);
    end();
}

static void emptying_fails_transactions_on_keys_that_existed(void) {
    begin();
    CHECK(transaction_watch(&client, 0, key(BYTES("absent")), false));
    call_flushed(&call, 0);
    CHECK(!transaction_dirty(&client, NOW_MS));
    put(BYTES("k"), BYTES("v"), EXPIRY_NONE);
    CHECK(transaction_watch(&client, 0, key(BYTES("k")), true));
    put(BYTES("k2"), BYTES("v"), EXPIRY_NONE);
    call_flushed(&call, 1);
    CHECK(!transaction_dirty(&client, NOW_MS));
    call_flushed(&call, 0);
    CHECK(transaction_dirty(&client, NOW_MS));
    CHECK_INT(shards->exec.effects.changes, 2); /* one for each key */
    end();
}

static void swapping_fails_transactions_whose_key_changes(void) {
    begin();
    put(BYTES("k"), BYTES("v"), EXPIRY_NONE);
    CHECK(transaction_watch(&client, 0, key(BYTES("k")), true));
    call_swapped(&call, 2, 3);
    CHECK(!transaction_dirty(&client, NOW_MS));
    call_swapped(&call, 0, 3);
    CHECK(transaction_dirty(&client, NOW_MS));
    CHECK_INT(shards->exec.effects.changes, 2);
    end();
}

/* Else a watcher of the other database would find it, and take its going for a change. */
static void what_has_expired_does_not_change_places(void) {
    struct client other = {.resp = 2};
    begin();
    put(BYTES("k"), BYTES("v"), NOW_MS);
    put(BYTES("unwatched"), BYTES("v"), NOW_MS);
    struct key k = key(BYTES("k"));
    CHECK(transaction_watch(&client, 0, k, true) && transaction_watch(&other, 1, k, false));
    call_swapped(&call, 0, 1);
    CHECK_INT(keys(), 1);
    CHECK_INT(shards->exec.metrics.expired_keys, 1);
    CHECK(transaction_dirty(&client, NOW_MS));
    CHECK(!transaction_dirty(&other, NOW_MS));
    take_news();
    transaction_close(&other);
    end();
}

static void what_is_overwritten_goes_first_if_its_time_has_passed(void) {
    begin();
    put(BYTES("k"), BYTES("v"), NOW_MS + 1);
    call_clear(&call, 1);
    CHECK_INT(keys(), 1);
    shards->exec.effects.now_ms++;
    call_clear(&call, 1);
    CHECK_INT(keys(), 0);
    CHECK_INT(shards->exec.metrics.expired_keys, 1);
    end();
}

/* As dispatch leaves it to a row with CMD_MORE_STRIPES: without a lock. */
static void holds_nothing_yet(void) {
    call.command = command_find_name(BYTES("randomkey"));
    CHECK(call.command->flags & CMD_MORE_STRIPES);
    call.held = NULL;
}

static void a_walk_holds_one_stripe_after_the_other(void) {
    begin();
    holds_nothing_yet();
    for (unsigned i = stripes.count; i-- > 0;) { /* in any order */
        call_walk(&call, i);
        call_walk(&call, i); /* it is there already */
        CHECK(call.stripe == i && call_holds(&call, i) && stripes.all[i].lock == 1);
        CHECK(!call_holds(&call, (i + 1) % stripes.count) && !stripes.all[(i + 1) % stripes.count].lock);
    }
    stripe_unlock(&stripes.all[call.stripe]);
    end();
}

static void who_holds_all_walks_without_a_lock(void) {
    begin();
    call.command = command_find_name(BYTES("scan"));
    for (unsigned i = 0; i < stripes.count; i++) {
        call_walk(&call, i);
        CHECK(call.stripe == STRIPE_NONE && !stripes.all[i].lock);
    }
    CHECK(call_want(&call, &all) && !call.again);
    end();
}

static void what_is_wanted_is_gathered_until_it_is_held(void) {
    struct stripe_set one = {{0}}, two = {{0}};
    begin();
    holds_nothing_yet();
    stripe_set_add(&one, 1);
    stripe_set_add(&two, 63);
    CHECK(!call_want(&call, &one) && call.again && !call_want(&call, &two));
    CHECK(stripe_set_has(call.want, 1) && stripe_set_has(call.want, 63) && !stripe_set_has(call.want, 2));
    CHECK(stripe_set_within(&one, call.want) && !stripe_set_within(call.want, &one));
    call.held = call.want;
    CHECK(call_want(&call, &one) && call_want(&call, &two));
    end();
}

int main(void) {
    RUN(a_read_counts_hits_and_misses_and_a_peek_does_not);
    RUN(a_key_is_there_until_the_millisecond_of_its_expiry);
    RUN(an_expiry_on_the_way_is_felt_by_watchers);
    RUN(an_access_is_noted_unless_the_client_asked_not_to);
    RUN(strings_reply_whatever_they_are_stored_as);
    RUN(a_pinned_value_may_go_before_its_reply_does);
    RUN(a_part_is_pinned_where_it_is_large_and_not_little_of_its_value);
    RUN(a_pin_that_the_output_refuses_is_given_back);
    RUN(an_argument_with_a_block_of_its_own_hands_it_over);
    RUN(integers_are_whole_and_within_their_bounds);
    RUN(expiries_become_absolute_or_are_refused);
    RUN(changes_are_counted_and_felt_by_watchers);
    RUN(another_database_feels_what_is_told_of_it_alone);
    RUN(a_key_that_moves_is_felt_where_it_was_and_counted_where_it_arrives);
    RUN(emptying_fails_transactions_on_keys_that_existed);
    RUN(swapping_fails_transactions_whose_key_changes);
    RUN(what_has_expired_does_not_change_places);
    RUN(what_is_overwritten_goes_first_if_its_time_has_passed);
    RUN(a_walk_holds_one_stripe_after_the_other);
    RUN(who_holds_all_walks_without_a_lock);
    RUN(what_is_wanted_is_gathered_until_it_is_held);
    return 0;
}
