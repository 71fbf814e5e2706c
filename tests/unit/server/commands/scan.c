/* SCAN, KEYS and RANDOMKEY over many stripes: nothing that stays is missed, nothing expired is shown. */
#include "protocol/response.h"
#include "server/call/call.h"
#include "server/clients/client.h"
#include "server/clients/post.h"
#include "server/limits.h"
#include "tests/check.h"

enum { NOW = 1000000, STABLE = 3000, REPLY_MAX = 1 << 20 };

static char replied[REPLY_MAX];
static struct metrics metrics;
static struct wakes wakes;
static struct effects effects = {.now_ms = NOW, .metrics = &metrics, .wakes = &wakes};
static struct client client;

static bool no_more(struct reply *reply, size_t need) {
    (void)reply, (void)need;
    return false;
}
static const struct reply_sink sink = {.more = no_more};

static void begin(unsigned shards) {
    CHECK_INT(stripes_open(shards, 2), 0);
    mailbox_count = shards;
}

static void run_holding_all(struct call *call, struct stripe_set *held) {
    stripe_set_add_all(held);
    stripe_set_lock(held);
    call->held = held;
    call->command->run(call);
    stripe_set_unlock(held);
}

/* Runs a command without keys and returns the size of its reply. */
static size_t run(const struct bytes *argv, uint32_t argc) {
    bool bad_subcommand;
    struct reply reply = {.at = replied, .end = replied + REPLY_MAX, .resp = 2, .sink = &sink};
    struct call call = {.argv = argv,
                        .argc = argc,
                        .reply = &reply,
                        .command = command_find(argv, argc, &bad_subcommand),
                        .client = &client,
                        .effects = &effects};
    CHECK(call.command && call.command->run);
    struct stripe_set held = {{0}}, want = {{0}};
    call.stripe = STRIPE_NONE;
    call.want = &want;
    if (call.command->flags & CMD_ALL_STRIPES)
        run_holding_all(&call, &held);
    else
        call.command->run(&call);
    if (call.stripe != STRIPE_NONE) stripe_unlock(&stripes.all[call.stripe]);
    call.stripe = STRIPE_NONE;
    if (call.again) run_holding_all(&call, &held);
    CHECK(!reply.failed);
    size_t used;
    CHECK_INT(response_size(replied, (size_t)(reply.at - replied), REPLY_MAX, &used), RESPONSE_READY);
    CHECK_INT(used, reply.at - replied);
    return used;
}

static struct key key_of(struct bytes name) {
    return (struct key){name, hash_bytes(&stripes.seed, name)};
}

static struct bytes name_of(char *buffer, char prefix, unsigned number) {
    return (struct bytes){buffer, (size_t)snprintf(buffer, 16, "%c%u", prefix, number)};
}

static void set(char prefix, unsigned number, int64_t expiry_ms) {
    char buffer[16];
    struct value value = value_of_bytes(BYTES("v"));
    struct key key = key_of(name_of(buffer, prefix, number));
    struct keyspace *ks = stripe_of(key.hash)->keyspace;
    CHECK(keyspace_set(ks, 0, key, &value, expiry_ms));
    keyspace_take_news(ks, 1); /* there is nobody to be told */
}

static void del(char prefix, unsigned number) {
    char buffer[16];
    struct key key = key_of(name_of(buffer, prefix, number));
    keyspace_delete(stripe_of(key.hash)->keyspace, 0, key);
    keyspace_take_news(stripe_of(key.hash)->keyspace, 1);
}

/* What a reply named: keys with prefix 's' are stable ones. */
struct seen {
    unsigned times[STABLE];
    unsigned keys, expired;
    char cursor[24];
};

static void note(void *context, const struct response_item *item) {
    struct seen *seen = context;
    if (item->type != '$' || item->null) return;
    if (item->depth == 1) {
        CHECK(item->text.len < sizeof seen->cursor);
        memcpy(seen->cursor, item->text.data, item->text.len);
        seen->cursor[item->text.len] = 0;
        return;
    }
    seen->keys++;
    if (item->text.data[0] == 'e') seen->expired++;
    if (item->text.data[0] != 's') return;
    char digits[16] = {0};
    memcpy(digits, item->text.data + 1, item->text.len - 1);
    seen->times[strtoul(digits, NULL, 10)]++;
}

static void scan(struct seen *seen, const char *cursor, const char *count) {
    struct bytes argv[] = {BYTES("scan"), bytes_of(cursor), BYTES("count"), bytes_of(count)};
    response_walk(replied, run(argv, 4), note, seen);
}

/* Between the steps other keys come and go, so that tables grow and shrink under the cursor. */
static void a_full_scan_sees_every_key_that_stays(void) {
    static const char *const counts[] = {"1", "10", "100", "9223372036854775807"};
    unsigned long long random = check_seed();
    for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++) {
        static struct seen seen;
        unsigned steps = 0, passing = 0;
        begin(c % 2 ? 4 : 1);
        for (unsigned i = 0; i < STABLE; i++) set('s', i, EXPIRY_NONE);
        for (unsigned i = 0; i < 100; i++) set('e', i, NOW);
        seen = (struct seen){.cursor = "0"};
        do {
            scan(&seen, seen.cursor, counts[c]);
            for (int i = 0; i < 20; i++) {
                if (steps % 400 < 200)
                    set('p', passing++, EXPIRY_NONE);
                else if (passing)
                    del('p', --passing);
            }
            for (unsigned i = 0; check_random(&random) % 4 == 0 && i < stripes.count; i++)
                keyspace_upkeep(stripes.all[i].keyspace, 10);
            CHECK(++steps < 100000);
        } while (strcmp(seen.cursor, "0") != 0);
        for (unsigned i = 0; i < STABLE; i++) CHECK(seen.times[i] >= 1);
        CHECK_INT(seen.expired, 0);
        stripes_close();
    }
}

static void a_scan_step_stays_close_to_its_count(void) {
    static struct seen seen;
    begin(4);
    for (unsigned i = 0; i < STABLE; i++) set('s', i, EXPIRY_NONE);
    unsigned total = 0;
    seen = (struct seen){.cursor = "0"};
    do {
        seen.keys = 0;
        scan(&seen, seen.cursor, "50");
        CHECK(seen.keys < 150);
        CHECK(strlen(seen.cursor) < 10);
        total += seen.keys;
    } while (strcmp(seen.cursor, "0") != 0);
    CHECK(total >= STABLE);
    stripes_close();
}

static void any_number_is_a_cursor(void) {
    unsigned long long random = check_seed();
    static struct seen seen;
    char cursor[24];
    begin(4);
    for (unsigned i = 0; i < STABLE; i++) set('s', i, EXPIRY_NONE);
    for (int i = 0; i < 1000; i++) {
        snprintf(cursor, sizeof cursor, "%llu", check_random(&random) >> check_random(&random) % 64);
        scan(&seen, cursor, "10");
    }
    stripes_close();
}

static void keys_lists_each_key_once(void) {
    static struct seen seen;
    struct bytes argv[] = {BYTES("keys"), BYTES("[s]*")};
    begin(4);
    for (unsigned i = 0; i < STABLE; i++) set('s', i, EXPIRY_NONE);
    for (unsigned i = 0; i < 100; i++) set('e', i, NOW);
    set('x', 1, EXPIRY_NONE);
    size_t size = run(argv, 2);
    char head[16];
    int len = snprintf(head, sizeof head, "*%d\r\n", STABLE);
    CHECK_BYTES(((struct bytes){replied, (size_t)len}), ((struct bytes){head, (size_t)len}));
    CHECK(size > STABLE * 8);
    memset(&seen, 0, sizeof seen);
    /* One array deeper, as in SCAN's reply, for note to tell keys from the cursor. */
    memmove(replied + 4, replied, size);
    memcpy(replied, "*1\r\n", 4);
    response_walk(replied, size + 4, note, &seen);
    for (unsigned i = 0; i < STABLE; i++) CHECK_INT(seen.times[i], 1);
    CHECK_INT(seen.keys, STABLE);
    stripes_close();
}

/* 20 keys, 4,000 draws: 200 of each are to be expected, and 100 is seven standard deviations away. */
static void random_keys_are_drawn_alike_and_never_expired(void) {
    enum { KEYS = 20, DRAWS = 4000 };
    unsigned drawn[KEYS] = {0};
    struct bytes argv[] = {BYTES("randomkey")};
    begin(4);
    for (unsigned i = 0; i < KEYS; i++) set('s', i, EXPIRY_NONE);
    for (unsigned i = 0; i < KEYS; i++) set('e', i, NOW);
    for (int i = 0; i < DRAWS; i++) {
        size_t size = run(argv, 1);
        CHECK(size > 6 && replied[4] == 's');
        replied[size - 2] = 0;
        drawn[strtoul(replied + 5, NULL, 10)]++;
    }
    for (unsigned i = 0; i < KEYS; i++)
        CHECK(drawn[i] >= DRAWS / KEYS / 2 && drawn[i] <= DRAWS / KEYS * 3 / 2);
    stripes_close();
}

static void the_one_live_key_among_expired_ones_is_drawn(void) {
    struct bytes argv[] = {BYTES("randomkey")};
    begin(4);
    for (unsigned i = 0; i < 5000; i++) set('e', i, NOW);
    CHECK_BYTES(((struct bytes){replied, run(argv, 1)}), BYTES("$-1\r\n"));
    set('s', 7, NOW + 1);
    CHECK_BYTES(((struct bytes){replied, run(argv, 1)}), BYTES("$2\r\ns7\r\n"));
    stripes_close();
}

int main(void) {
    const char *error = command_table_open();
    if (error) fprintf(stderr, "%s\n", error);
    CHECK(!error);
    RUN(a_full_scan_sees_every_key_that_stays);
    RUN(a_scan_step_stays_close_to_its_count);
    RUN(any_number_is_a_cursor);
    RUN(keys_lists_each_key_once);
    RUN(random_keys_are_drawn_alike_and_never_expired);
    RUN(the_one_live_key_among_expired_ones_is_drawn);
    return 0;
}
