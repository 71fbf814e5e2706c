/* MULTI's queue and WATCH's keys, without a socket. */
#include "server/exec/transaction.h"

#include "server/exec/prepare.h"
#include "server/exec/saved.h"
#include "server/limits.h"
#include "server/stripes/watch.h"
#include "tests/check.h"

enum { NOW = 1000000, DATABASES = 4 };

static struct client client;
static struct executor executor;

static struct key key_of(struct bytes name) {
    return (struct key){name, hash_bytes(&stripes.seed, name)};
}

static void begin(void) {
    client = (struct client){.id = 1};
    CHECK_INT(stripes_open(4, DATABASES), 0);
    CHECK(stripes.count > 1);
}

/* A client that neither queues nor watches owns nothing, and no stripe remembers it. */
static void end(void) {
    transaction_close(&client);
    request_free(&executor.batch[0]);
    CHECK(!client.transaction && !client.queued && !client.queued_bytes);
    CHECK(!(client.flags & CLIENT_MULTI));
    for (unsigned i = 0; i < stripes.count; i++) CHECK(!stripes.all[i].watches);
    stripes_close();
}

static const struct command *row(const char *name) {
    const struct command *command = command_find_name(bytes_of(name));
    CHECK(command);
    return command;
}

/* As dispatch does with what it has prepared. */
static bool queue_all(struct bytes *argv, uint32_t argc) {
    struct request *request = &executor.batch[0];
    request->args = (struct request_args){.argv = argv, .argc = argc};
    CHECK(prepare_request(&executor, &client, &executor.batch[0], NULL));
    struct call call = {.argv = argv,
                        .argc = argc,
                        .hash = request->hash,
                        .command = request->command,
                        .client = &client,
                        .effects = &executor.effects};
    bool queued = transaction_queue(&call, request);
    request->args = (struct request_args){0};
    return queued;
}

static bool queue(const char *name, struct bytes a, struct bytes b) {
    struct bytes argv[] = {bytes_of(name), a, b};
    return queue_all(argv, 3);
}

static void set(struct bytes name, int64_t expiry_ms) {
    struct value value = value_of_bytes(BYTES("value"));
    struct key key = key_of(name);
    struct keyspace *ks = stripe_of(key.hash)->keyspace;
    CHECK(keyspace_set(ks, 0, key, &value, expiry_ms));
    keyspace_take_news(ks, 1); /* there is nobody to be told */
}

static void touch(struct bytes name) {
    struct key key = key_of(name);
    watch_touch(stripe_of(key.hash), 0, key);
}

static void watch(struct bytes name, bool exists) {
    CHECK(transaction_watch(&client, 0, key_of(name), exists));
}

static bool in_set(const struct stripe_set *set, unsigned index) {
    return set->words[index / 64] >> (index % 64) & 1;
}

static void queued_arguments_are_copies_in_order(void) {
    begin();
    CHECK(transaction_begin(&client));
    CHECK(client.flags & CLIENT_MULTI);
    char volatile_name[] = "one";
    CHECK(queue("rename", (struct bytes){volatile_name, 3}, (struct bytes){"\0\r\n", 3}));
    memset(volatile_name, 'x', 3);
    CHECK(queue("rename", BYTES("two"), BYTES("")));
    CHECK_INT(transaction_count(&client), 2);
    CHECK_INT(client.queued, 2);
    struct saved *first = transaction_take(&client, 0), *second = transaction_take(&client, 1);
    CHECK(first->command == row("rename"));
    CHECK_INT(first->argc, 3);
    CHECK_BYTES(first->argv[1], BYTES("one"));
    CHECK_BYTES(first->argv[2], ((struct bytes){"\0\r\n", 3}));
    CHECK_BYTES(second->argv[1], BYTES("two"));
    CHECK_BYTES(second->argv[2], BYTES(""));
    CHECK_INT(client.queued_bytes, first->size + second->size); /* as they were queued: EXEC shows no less */
    CHECK_INT(transaction_count(&client), 2);                   /* until the end */
    saved_free(first);
    saved_free(second);
    end();
}

static void keys_are_hashed_and_their_stripes_locked(void) {
    begin();
    CHECK(transaction_begin(&client));
    CHECK(queue("rename", BYTES("a"), BYTES("b")));
    struct saved *saved = transaction_take(&client, 0);
    CHECK(saved->hash[1] == key_of(BYTES("a")).hash);
    CHECK(saved->hash[2] == key_of(BYTES("b")).hash);
    saved_free(saved);
    watch(BYTES("c"), false);
    struct stripe_set locked = {{0}};
    transaction_stripes(&client, &locked);
    for (unsigned i = 0; i < stripes.count; i++)
        CHECK(in_set(&locked, i) ==
              (i == stripe_index(key_of(BYTES("a")).hash) || i == stripe_index(key_of(BYTES("b")).hash) ||
               i == stripe_index(key_of(BYTES("c")).hash)));
    end();
}

static void commands_with_many_keys_hash_them_all(void) {
    enum { KEYS = 1000 };
    static struct bytes argv[KEYS + 1];
    static char names[KEYS][12];
    argv[0] = BYTES("del");
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        argv[i + 1] = bytes_of(names[i]);
    }
    begin();
    CHECK(transaction_begin(&client));
    CHECK(queue_all(argv, KEYS + 1));
    struct saved *saved = transaction_take(&client, 0);
    for (int i = 1; i <= KEYS; i++) {
        CHECK(saved->hash[i] == key_of(argv[i]).hash);
        CHECK(stripe_set_has(&saved->stripes, stripe_index(saved->hash[i])));
    }
    saved_free(saved);
    end();
}

static void a_row_that_wants_every_stripe_locks_every_stripe(void) {
    struct bytes argv[] = {BYTES("flushall")};
    struct stripe_set locked = {{0}};
    begin();
    CHECK(transaction_begin(&client));
    CHECK(queue_all(argv, 1));
    transaction_stripes(&client, &locked);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(in_set(&locked, i));
    transaction_end(&client);
    CHECK(transaction_begin(&client));
    locked = (struct stripe_set){{0}};
    transaction_stripes(&client, &locked);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(!in_set(&locked, i));
    end();
}

/* The length alone decides: nothing of that size is read. */
static void a_queue_beyond_its_maximum_fails_the_transaction(void) {
    char byte = 'x';
    begin();
    CHECK(transaction_begin(&client));
    CHECK(queue("rename", BYTES("a"), BYTES("b")));
    CHECK(!transaction_failed(&client));
    CHECK(!queue("set", BYTES("a"), (struct bytes){&byte, MAX_TRANSACTION_BYTES}));
    CHECK(transaction_failed(&client));
    CHECK_INT(transaction_count(&client), 1);
    transaction_end(&client);
    CHECK(!client.transaction);
    end();
}

static void a_queue_knows_what_its_rows_would_do(void) {
    begin();
    CHECK_INT(transaction_flags(&client), 0);
    CHECK(transaction_begin(&client));
    CHECK_INT(transaction_flags(&client), 0);
    CHECK(queue("set", BYTES("a"), BYTES("b")));
    CHECK(queue("echo", BYTES("a"), BYTES("b")));
    CHECK_INT(transaction_flags(&client), row("set")->flags | row("echo")->flags);
    transaction_end(&client);
    CHECK_INT(transaction_flags(&client), 0);
    end();
}

static void refused_commands_fail_only_an_open_transaction(void) {
    begin();
    transaction_fail(&client);
    CHECK(!transaction_failed(&client));
    CHECK(transaction_begin(&client));
    transaction_fail(&client);
    CHECK(transaction_failed(&client));
    transaction_end(&client);
    CHECK(!transaction_failed(&client));
    end();
}

static void a_touched_key_is_dirty_whenever_it_was_watched_again(void) {
    begin();
    watch(BYTES("k"), false);
    watch(BYTES("other"), false);
    CHECK(!transaction_dirty(&client, NOW));
    touch(BYTES("k"));
    CHECK(transaction_dirty(&client, NOW));
    watch(BYTES("k"), false);
    CHECK(transaction_dirty(&client, NOW));
    transaction_unwatch(&client);
    CHECK(!client.transaction);
    watch(BYTES("k"), false);
    CHECK(!transaction_dirty(&client, NOW));
    end();
}

static void a_key_that_expires_while_watched_is_dirty(void) {
    begin();
    set(BYTES("k"), NOW + 10);
    watch(BYTES("k"), true);
    CHECK(!transaction_dirty(&client, NOW + 9));
    CHECK(transaction_dirty(&client, NOW + 10));
    end();
}

static void an_expired_key_that_a_swap_brought_is_not(void) {
    begin();
    watch(BYTES("k"), false);
    set(BYTES("k"), NOW - 1);
    CHECK(!transaction_dirty(&client, NOW));
    end();
}

static void many_keys_can_be_watched_many_times(void) {
    enum { KEYS = 2000 };
    char name[16];
    begin();
    for (int i = 0; i < 3 * KEYS; i++) {
        snprintf(name, sizeof name, "%d", i % KEYS);
        watch(bytes_of(name), false);
    }
    CHECK(!transaction_dirty(&client, NOW));
    touch(BYTES("1999"));
    CHECK(transaction_dirty(&client, NOW));
    end();
}

static void watches_outlive_the_queue(void) {
    begin();
    watch(BYTES("k"), false);
    CHECK(transaction_begin(&client));
    CHECK(queue("rename", BYTES("a"), BYTES("b")));
    transaction_end(&client);
    touch(BYTES("k"));
    CHECK(transaction_dirty(&client, NOW));
    end();
}

int main(void) {
    const char *error = command_table_open();
    if (error) fprintf(stderr, "%s\n", error);
    CHECK(!error);
    RUN(queued_arguments_are_copies_in_order);
    RUN(keys_are_hashed_and_their_stripes_locked);
    RUN(commands_with_many_keys_hash_them_all);
    RUN(a_row_that_wants_every_stripe_locks_every_stripe);
    RUN(a_queue_beyond_its_maximum_fails_the_transaction);
    RUN(a_queue_knows_what_its_rows_would_do);
    RUN(refused_commands_fail_only_an_open_transaction);
    RUN(a_touched_key_is_dirty_whenever_it_was_watched_again);
    RUN(a_key_that_expires_while_watched_is_dirty);
    RUN(an_expired_key_that_a_swap_brought_is_not);
    RUN(many_keys_can_be_watched_many_times);
    RUN(watches_outlive_the_queue);
    return 0;
}
