/* world.h - what is simulated around the journal: executors that run commands of many kinds as fibers, the clients that ask
 * for them, and the state of all keys behind each ticket. For programs that CMakeLists.txt links with --wrap of getrandom,
 * clock_gettime, queue_seal and journal_seal. */
#ifndef KEVY_TESTS_WORLD_H
#define KEVY_TESTS_WORLD_H

#include "server/exec/blocking.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/journal/journal.h"
#include "tests/sim/fibers.h"
#include "tests/sim/seeds.h"
#include "tests/unit/server_fixture.h"

enum {
    EXECUTORS = 4, /* at most */
    SHARDS = 2,    /* that stripes are made for */
    DATABASES_USED = 3,
    BATCHES = 6, /* of each executor, at most */
    TICKETS = 1000,
    STREAM_MAX = 1 << 20,
};

static unsigned long long dice;
static unsigned pick(unsigned count) {
    return (unsigned)(check_random(&dice) >> 33) % count;
}

/* ---- A lone seed makes the same run again --------------------------------------------------------- */

static unsigned long long seeds_of_hashes;
static int64_t now_ms; /* of all clocks */
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now) {
    *now = (struct timespec){now_ms / 1000, now_ms % 1000 * 1000000};
    return 0;
}
ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t len, unsigned flags) {
    for (size_t i = 0; i < len; i++) ((char *)bytes)[i] = (char)(check_random(&seeds_of_hashes) >> 40);
    return (ssize_t)len;
}

/* ---- States --------------------------------------------------------------------------------------- */

/* All names that commands use, so that the keyspace need not be walked. */
static const char *const names[] = {"key0",   "key1",   "key2",  "key3",  "key4",  "key5",
                                    "count0", "count1", "list0", "list1", "list2", "hash0",
                                    "hash1",  "set0",   "set1",  "zset0", "zset1", "stream0"};
enum { NAMES = sizeof names / sizeof *names };

/* The name of this kind: k key, c count, l list... */
static const char *draw_name(char kind) {
    for (;;) {
        const char *name = names[pick(NAMES)];
        if (*name == kind) return name;
    }
}

static uint64_t state_of_key(unsigned db, const char *name, uint64_t *count) {
    static const struct hash_seed fixed = {{1, 2}};
    struct key key = {bytes_of(name), hash_bytes(&stripes.seed, bytes_of(name))};
    const struct keyspace *ks = stripe_of(key.hash)->keyspace;
    struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, db, key);
    if (!e) return 0;
    struct digest digest = {{0}};
    keyspace_digest_entry(&digest, ks, e);
    uint64_t parts[4] = {db, hash_bytes(&fixed, key.name), hash_bytes(&fixed, digest_bytes(&digest)),
                         (uint64_t)entry_expiry(e)};
    ++*count;
    return hash_bytes(&fixed, (struct bytes){(char *)parts, sizeof parts});
}

/* Of all that is there. Two states with the same number are the same. */
static uint64_t state_now(void) {
    uint64_t sum = 0, found = 0, keys = 0;
    for (unsigned db = 0; db < DATABASES_USED; db++)
        for (unsigned i = 0; i < NAMES; i++) sum += state_of_key(db, names[i], &found);
    for (unsigned i = 0; i < stripes.count; i++)
        for (unsigned db = 0; db < DATABASES_USED; db++) keys += keyspace_count(stripes.all[i].keyspace, db);
    return sum +
           (keys - found) * 0x9e3779b97f4a7c15ull; /* a key that nobody has made is a state of its own */
}

static uint64_t states[TICKETS]; /* behind each ticket; [0]: at the beginning */
static int64_t taken_ms[TICKETS],
    times_ms[TICKETS];              /* when their requests were taken on, and when they got them */
static int64_t begun_ms[EXECUTORS]; /* the batch that runs */
static bool recorded;               /* states are */
static bool cuts;                   /* what is sealed now is no change */
static bool seals_late;             /* a mutation: tickets are taken when the locks are free again */
static struct record_queue *late[EXECUTORS];

void __real_queue_seal(struct record_queue *queue, uint64_t ticket);
void __wrap_queue_seal(struct record_queue *queue, uint64_t ticket);
void __wrap_queue_seal(struct record_queue *queue, uint64_t ticket) {
    CHECK(ticket < TICKETS);
    if (recorded) {
        states[ticket] = state_now();
        times_ms[ticket] = now_ms;
        taken_ms[ticket] = cuts ? 0 : begun_ms[queue - journal_queue(0)];
        cuts = false;
        fibers_yield(); /* it is taken, and in no queue yet */
    }
    __real_queue_seal(queue, ticket);
}

uint64_t __real_journal_seal(struct record_queue *queue, uint64_t ticket);
uint64_t __wrap_journal_seal(struct record_queue *queue, uint64_t ticket);
uint64_t __wrap_journal_seal(struct record_queue *queue, uint64_t ticket) {
    if (!seals_late) return __real_journal_seal(queue, ticket);
    late[queue - journal_queue(0)] = queue;
    return journal_next();
}

static void seal_late(unsigned i) {
    if (!late[i]) return;
    fibers_yield();
    if (queue_is_open(late[i])) __real_journal_seal(late[i], 0);
    late[i] = NULL;
}

/* ---- Commands ------------------------------------------------------------------------------------- */

/* Of one letter: k a key, c a counter, l a list and so on; d a database, v a value, V a long one, n a number, p a time to
 * live in milliseconds. */
static const char *const forms[] = {
    "SET k v",
    "SET k v",
    "SET k V",
    "APPEND k v",
    "SET k v PX p",
    "GETDEL k",
    "INCR c",
    "INCR c",
    "INCRBYFLOAT c n",
    "MSET k v k v k v",
    "RENAME k k",
    "COPY k k REPLACE",
    "DEL k k l",
    "MOVE k d",
    "MOVE l d",
    "PEXPIRE k p",
    "PERSIST k",
    "GET k",
    "RPUSH l v n",
    "RPUSH l n",
    "LPUSH l n",
    "LPOP l",
    "RPOP l 2",
    "LMOVE l l LEFT RIGHT",
    "HSET h n v",
    "HDEL h n",
    "HINCRBY h n n",
    "SADD s n v",
    "SPOP s",
    "SMOVE s s n",
    "SUNIONSTORE s s s",
    "ZADD z n n n v",
    "ZPOPMIN z",
    "ZINCRBY z n n",
    "XADD s * n v",
    "XADD s MAXLEN 3 * n v",
    "SWAPDB d d",
    "FLUSHDB",
    "SELECT d",
    "SELECT d",
};
static const char *const waits[] = {"BLPOP l l 0", "BRPOP l 0", "BLMOVE l l LEFT RIGHT 0", "BZPOPMIN z 0"};

static void append(struct buffer *out, struct bytes bytes) {
    CHECK(buffer_append(out, bytes, STREAM_MAX));
}

static size_t write_word(char *dst, size_t size, char letter) {
    size_t len = 0;
    switch (letter) {
    case 'n': return (size_t)snprintf(dst, size, "%d", (int)pick(12) - 4);
    case 'p': return (size_t)snprintf(dst, size, "%u", 1 + pick(60));
    case 'd': return (size_t)snprintf(dst, size, "%u", pick(DATABASES_USED));
    case 'v': len = 1 + pick(12); break;
    case 'V': len = 200 + pick(1400); break;
    default: return (size_t)snprintf(dst, size, "%s", draw_name(letter));
    }
    for (size_t i = 0; i < len; i++) dst[i] = (char)('a' + pick(26));
    return len;
}

static void append_command(struct buffer *out, const char *form) {
    char word[1700], head[32];
    unsigned argc = 1;
    for (const char *at = form; *at; at++) argc += *at == ' ';
    append(out, (struct bytes){head, (size_t)snprintf(head, sizeof head, "*%u\r\n", argc)});
    for (const char *at = form; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        struct bytes arg = {at, len};
        if (len == 1 && strchr("kclhszvVnpd", *at))
            arg = (struct bytes){word, write_word(word, sizeof word, *at)};
        append(out, (struct bytes){head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", arg.len)});
        append(out, arg);
        append(out, BYTES("\r\n"));
        at += len;
    }
}

static void draw_batch(struct buffer *out) {
    bool whole = !pick(4);
    if (whole) append_command(out, "MULTI");
    for (unsigned n = 1 + pick(4); n > 0; n--) append_command(out, forms[pick(sizeof forms / sizeof *forms)]);
    if (whole) append_command(out, "EXEC");
}

/* ---- Executors ------------------------------------------------------------------------------------ */

static struct client asking[EXECUTORS], waiting[EXECUTORS];
static struct output answers[EXECUTORS];
static unsigned executors, working; /* that have work left */

/* From the beginning of the requests; returns how many bytes were run. What is held at a gate is left. */
static size_t run_requests(struct executor *executor, struct client *client, struct bytes requests) {
    struct request_parser parser = {0};
    unsigned count = 0;
    for (size_t at = 0, used; at < requests.len; at += used, count++) {
        struct request *request = &executor->batch[count];
        CHECK(count < BATCH_REQUESTS);
        CHECK(request_parse(&parser, &shards->limits, (struct bytes){requests.data + at, requests.len - at},
                            &request->args, &used) == REQUEST_READY);
        CHECK(prepare_request(executor, client, &executor->batch[count], NULL));
        request->begin = at;
        request->end = at + used;
    }
    executor->bytes = requests.data;
    executor->clock.now_ms = begun_ms[executor->index] = now_ms;
    executor->clock.now_us = (uint64_t)now_ms * 1000;
    unsigned done = dispatch_batch(executor, client, &answers[executor->index].reply, count);
    return done < count ? executor->batch[done].begin : requests.len;
}

static void drop_answers(unsigned i) {
    struct buffer sent = {0};
    fixture_take(&answers[i], &sent);
    buffer_free(&sent);
}

static void answer_who_waited(unsigned i) {
    for (struct post *post = post_take_all(&mailboxes[i]), *next; post; post = next) {
        next = post->next;
        CHECK(post->kind == POST_WAIT);
        blocking_answer(&shards[i].exec, post->client, &answers[i].reply);
        drop_answers(i);
    }
}

/* What an executor does beside, and whether it is to end although requests are held: for a program to say. */
static void between_requests(struct executor *executor);
static bool gives_up(void);

static void run_executor(void *context) {
    unsigned i = (unsigned)(size_t)context;
    for (unsigned n = 1 + pick(BATCHES); n > 0; n--) {
        struct buffer requests = {0};
        bool waits_now = !pick(5) && !waiting[i].waiter;
        if (waits_now)
            append_command(&requests, waits[pick(sizeof waits / sizeof *waits)]);
        else
            draw_batch(&requests);
        for (size_t at = 0; at < requests.len && !gives_up();) {
            struct bytes left = {requests.data + at, requests.len - at};
            at += run_requests(&shards[i].exec, waits_now ? &waiting[i] : &asking[i], left);
            seal_late(i);
            drop_answers(i);
            answer_who_waited(i);
            fibers_yield();
        }
        buffer_free(&requests);
        between_requests(&shards[i].exec);
    }
    working--;
}

static void open_clients(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) {
        asking[i] = (struct client){.resp = 2, .shard = (uint8_t)i};
        waiting[i] = asking[i];
        CHECK(clients_add(&asking[i]) && clients_add(&waiting[i]));
    }
}

static void close_clients(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) {
        answer_who_waited(i);
        CHECK(blocking_leave(&shards[i].exec, &waiting[i]));
        transaction_close(&waiting[i]);
        transaction_close(&asking[i]);
        clients_remove(&waiting[i]);
        clients_remove(&asking[i]);
    }
}

static void world_dice(unsigned long long seed) {
    dice = seed * 2654435761u + 1;
    seeds_of_hashes = check_random(&dice);
    now_ms = 1700000000000;
}

/* On the keyspace that there is; a journal is open. */
static void world_open(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) shards[i].exec.effects.journal = journal_queue(i);
    open_clients();
    states[0] = state_now();
    times_ms[0] = taken_ms[0] = now_ms;
    recorded = true;
}

static void world_run(void (*step)(void *context)) {
    executors = working = 2 + pick(EXECUTORS - 1);
    for (unsigned i = 0; i < executors; i++) fibers_add(run_executor, (void *)(size_t)i);
    fibers_run(&dice, step, NULL);
    recorded = false;
}

static void world_close(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) shards[i].exec.effects.journal = NULL;
    close_clients();
}

/* Once a program. */
static void worlds_open(void) {
    fixture_open(EXECUTORS);
    stripes_close();
    for (unsigned i = 0; i < EXECUTORS; i++) output_open(&answers[i], &shards[i].chunks);
}

static void worlds_close(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) output_close(&answers[i]);
    for (unsigned i = 0; i < EXECUTORS; i++) shard_close(&shards[i]);
    free(shards);
    fibers_close();
}

#endif
