/* Every change is recorded: what the records make of an empty keyspace is what the commands made of theirs.
 *
 *     replay                     all of it must hold
 *     replay --plant arguments   some commands are recorded as they came, instead of what they did
 *     replay --plant order       tickets are taken when the locks are free again
 *
 * Random commands of all families run through dispatch, on two executors whose keys lie in many stripes; some clients
 * wait for elements, and are served. After every hundred the records are merged and run, through dispatch too, on a
 * second keyspace; keys, values and expiry times must be the same. CMakeLists.txt links this with --wrap of malloc and
 * its kin, of call_log_set and of journal_seal. */
#include <pthread.h>
#include <sched.h>

#include "server/exec/blocking.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/journal/journal.h"
#include "server/journal/merge.h"
#include "server/loop/upkeep.h"
#include "store/types/hash.h"
#include "store/types/stream.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/server_fixture.h"

enum {
    EXECUTORS = 2,
    CLIENTS = 2, /* of each executor */
    WAITERS = 3, /* of each executor, who do nothing but wait for elements */
    DATABASES_USED = 3,
    KEYS = 12,
    ROUNDS = 60, /* of COMMANDS each, between two comparisons */
    COMMANDS = 100,
    THREAD_COMMANDS = 4000,
    STREAM_MAX = 256 << 20,
    LARGE = DIRECT_READ_MIN,
};

static enum { PLANT_NOTHING, PLANT_ARGUMENTS, PLANT_ORDER } planted;
static unsigned long long seed;

void __real_call_log_set(struct call *call, uint32_t arg, struct bytes value, int64_t expiry_ms);
void __wrap_call_log_set(struct call *call, uint32_t arg, struct bytes value, int64_t expiry_ms);
void __wrap_call_log_set(struct call *call, uint32_t arg, struct bytes value, int64_t expiry_ms) {
    if (planted != PLANT_ARGUMENTS) __real_call_log_set(call, arg, value, expiry_ms);
}

static __thread struct record_queue *late; /* its records are to be sealed when the locks are free */

uint64_t __real_journal_seal(struct record_queue *queue, uint64_t ticket);
uint64_t __wrap_journal_seal(struct record_queue *queue, uint64_t ticket);
uint64_t __wrap_journal_seal(struct record_queue *queue, uint64_t ticket) {
    if (planted != PLANT_ORDER) return __real_journal_seal(queue, ticket);
    late = queue;
    return 0;
}

/* ---- Two keyspaces -------------------------------------------------------------------------------- */

static struct stripes other;     /* the one that records are run on, or, meanwhile, that commands run on */
static struct executor replayer; /* without a journal */
static struct client replaying;
static struct output replayed;
static struct merge merge;
static struct client asking[EXECUTORS][CLIENTS];
static struct client waiting[EXECUTORS][WAITERS];
static struct output answers[EXECUTORS];
static int64_t now_ms;

static void change_keyspaces(void) {
    struct stripes now = stripes;
    stripes = other;
    other = now;
}

static void open_all(void) {
    CHECK(journal_open(EXECUTORS));
    fixture_open(EXECUTORS);
    now_ms = 1700000000000;
    journal_listen();
    merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
    for (unsigned i = 0; i < EXECUTORS; i++) {
        output_open(&answers[i], &shards[i].chunks);
        for (unsigned j = 0; j < CLIENTS; j++) {
            asking[i][j] = (struct client){.resp = 2, .shard = (uint8_t)i};
            CHECK(clients_add(&asking[i][j]));
        }
        for (unsigned j = 0; j < WAITERS; j++) {
            waiting[i][j] = (struct client){.resp = 2, .shard = (uint8_t)i};
            CHECK(clients_add(&waiting[i][j]));
        }
    }
    executor_open(&replayer, 0);
    replayer.effects.journal = NULL;
    replaying = (struct client){.resp = 2};
    CHECK(clients_add(&replaying));
    output_open(&replayed, &shards->chunks);
    change_keyspaces();
    CHECK_INT(stripes_open(1, FIXTURE_DATABASES), 0); /* another number of stripes, and another seed */
    change_keyspaces();
}

static void close_all(void) {
    for (unsigned i = 0; i < EXECUTORS; i++) {
        output_close(&answers[i]);
        for (unsigned j = 0; j < WAITERS; j++) {
            CHECK(blocking_leave(&shards[i].exec, &waiting[i][j]));
            transaction_close(&waiting[i][j]);
            clients_remove(&waiting[i][j]);
        }
        for (unsigned j = 0; j < CLIENTS; j++) {
            transaction_close(&asking[i][j]);
            clients_remove(&asking[i][j]);
        }
    }
    change_keyspaces();
    transaction_close(&replaying);
    clients_remove(&replaying);
    output_close(&replayed);
    executor_close(&replayer);
    stripes_close();
    change_keyspaces();
    journal_ignore();
    fixture_close();
    journal_close();
}

/* Does one of them say that memory ran out? */
static bool take_answers(struct output *output) {
    struct buffer sent = {0};
    fixture_take(output, &sent);
    bool found = sent.len && memmem(sent.data, sent.len, "Out of memory", 13);
    buffer_free(&sent);
    return found;
}

/* ---- Comparing ------------------------------------------------------------------------------------ */

struct sum {
    uint64_t keys, sum;
    unsigned db;
    struct keyspace *keyspace;
};

/* A digest says that fields expire, and not when. */
static uint64_t sum_of_expiries(const struct entry *e) {
    struct value value = entry_value(e);
    struct hash_walk walk;
    struct element field, found;
    uint64_t sum = 0;
    if (entry_type(e) != TYPE_HASH) return 0;
    hash_walk(&walk, &value, 0);
    while (hash_next(&walk, &field, &found)) sum += (uint64_t)hash_walk_expiry(&walk, field.bytes);
    return sum;
}

static uint64_t sum_of_id(struct stream_id id) {
    return id.ms * 31 + id.sequence;
}

static uint64_t sum_of_name(const struct stream_named *named) {
    static const struct hash_seed fixed = {{3, 4}};
    return hash_bytes(&fixed, stream_name_of(named));
}

static uint64_t pending_seen;

static uint64_t sum_of_group(const struct stream_group *group) {
    uint64_t sum = sum_of_name(&group->head) + 7 * sum_of_id(group->last), number = 0;
    struct stream_pending_walk walk;
    struct stream_pending pending;
    const struct stream_consumer *consumer;
    for (uint64_t place = 0; (consumer = stream_consumer_next(group, &place));)
        sum += 3 * sum_of_name(&consumer->head);
    stream_pending_walk(&walk, group, NULL, (struct stream_id){0, 0});
    pending_seen += group->pending.count;
    while (stream_pending_next(&walk, &pending))
        sum += ++number * (sum_of_id(pending.id) ^ sum_of_name(&stream_consumer_of(group, &pending)->head));
    return sum;
}

static uint64_t ids_seen, repeated_seen;

/* Of producers: all that is known, and not over. */
static uint64_t sum_of_producers(const struct stream_producers *producers) {
    static const struct hash_seed fixed = {{5, 6}};
    const struct stream_producer *producer;
    struct stream_id entry;
    if (!stream_producers_matter(producers)) return 0;
    uint64_t sum = producers->seconds + 3 * producers->most + 7 * producers->added + 13 * producers->repeated;
    for (uint64_t place = 0; (producer = stream_producer_next(producers, &place));)
        for (uint64_t i = 0, left = 0; i < producer->list.count; i++) {
            uint64_t id = hash_bytes(&fixed, stream_producer_id(producer, i, &entry));
            if ((uint64_t)now_ms - entry.ms < producers->seconds * 1000ull)
                sum += ++left * (id ^ sum_of_id(entry) ^ sum_of_name(&producer->head));
        }
    ids_seen += producers->ids;
    repeated_seen += producers->repeated;
    return sum;
}

/* Of what stands beside the entries, as far as Redis records it: not when something was read again, and how often. */
static uint64_t sum_of_stream(const struct entry *e) {
    struct value value = entry_value(e);
    uint64_t sum = 0;
    if (entry_type(e) != TYPE_STREAM) return 0;
    const struct stream *stream = stream_at(&value);
    const struct stream_group *group;
    for (uint64_t place = 0; (group = stream_group_next(&stream->groups, &place));)
        sum += sum_of_group(group);
    sum += 17 * sum_of_producers(stream->producers);
    return sum * 5 + sum_of_id(stream->last) + 11 * sum_of_id(stream->max_deleted);
}

static void add_entry(void *context, struct entry *e) {
    static const struct hash_seed fixed = {{1, 2}};
    struct sum *sum = context;
    struct digest digest = {{0}};
    keyspace_digest_entry(&digest, sum->keyspace, e);
    uint64_t parts[6] = {sum->db,
                         hash_bytes(&fixed, entry_key(e)),
                         hash_bytes(&fixed, digest_bytes(&digest)),
                         (uint64_t)entry_expiry(e),
                         sum_of_expiries(e),
                         sum_of_stream(e)};
    sum->keys++;
    sum->sum += hash_bytes(&fixed, (struct bytes){(char *)parts, sizeof parts});
}

static struct sum sum_of_all(void) {
    struct sum sum = {0};
    for (sum.db = 0; sum.db < FIXTURE_DATABASES; sum.db++) {
        for (unsigned i = 0; i < stripes.count; i++) {
            uint64_t cursor = 0;
            sum.keyspace = stripes.all[i].keyspace;
            do cursor = keyspace_scan(stripes.all[i].keyspace, sum.db, cursor, add_entry, &sum);
            while (cursor);
        }
    }
    return sum;
}

static void append_piece(void *context, struct bytes bytes) {
    CHECK(buffer_append(context, bytes, STREAM_MAX));
}

/* As where a file is run the time stands at 0: no key expires by itself. */
static void run_stream(struct bytes stream) {
    struct request_parser parser = {0};
    while (stream.len) {
        struct request *request = &replayer.batch[0];
        size_t used;
        CHECK(request_parse(&parser, &shards->limits, stream, &request->args, &used) == REQUEST_READY);
        CHECK(prepare_request(&replayer, &replaying, &replayer.batch[0], NULL));
        replayer.clock.now_ms = 0;
        replayer.effects.replay_ms = now_ms;
        CHECK_INT(dispatch_batch(&replayer, &replaying, &replayed.reply, 1), 1);
        if (replayed.reply.errors) {
            fprintf(stderr, "DIFFERENT: an error for %.*s\n", (int)(used < 400 ? used : 400), stream.data);
            exit(1);
        }
        (void)take_answers(&replayed);
        stream.data += used, stream.len -= used;
    }
}

/* Runs all records that are there; returns how many bytes they were. */
static size_t replay(void) {
    struct buffer stream = {0};
    while (merge_next(&merge, append_piece, &stream)) merge_release(&merge);
    for (unsigned i = 0; i < EXECUTORS; i++) CHECK(!queue_first(journal_queue(i)));
    change_keyspaces();
    run_stream(buffer_bytes(&stream));
    change_keyspaces();
    size_t len = stream.len;
    buffer_free(&stream);
    return len;
}

static void compare(void) {
    struct sum ours = sum_of_all();
    change_keyspaces();
    struct sum theirs = sum_of_all();
    change_keyspaces();
    if (ours.sum == theirs.sum && ours.keys == theirs.keys) return;
    fprintf(stderr, "DIFFERENT: %llu keys, %llu after the replay\n", (unsigned long long)ours.keys,
            (unsigned long long)theirs.keys);
    exit(1);
}

/* ---- Random commands ------------------------------------------------------------------------------ */

static unsigned pick(unsigned count) {
    return (unsigned)(check_random(&seed) % count);
}

/* What stands in a command for an argument: k a key, h one that a hash may have, z one of a sorted set, l one of a list,
 * s one of a set, y one of a HyperLogLog, t one of a stream, i a number of its entries, v a value, n a number, f a
 * float, b a bit's place, p a time to live in milliseconds, P a point in time, d a database. Any other word stands for
 * itself, letter by letter. */
static const char *const commands[] = {
    "SET k v",
    "SET k v",
    "SET k n",
    "SET k v PX p",
    "SET k v PXAT P",
    "SET k v EX 1",
    "SET k v KEEPTTL",
    "SET k v NX",
    "SET k v XX",
    "SET k v GET",
    "SET k v NX GET KEEPTTL",
    "SET k v XX GET",
    "SET k v PX p NX",
    "SET k v PX p XX GET",
    "SET k n IFEQ n",
    "SET k n IFNE n PX p",
    "SET k n IFNE n KEEPTTL",
    "SETNX k v",
    "SETEX k 1 v",
    "PSETEX k p v",
    "GETSET k v",
    "GETDEL k",
    "GETEX k PX p",
    "GETEX k PXAT P",
    "GETEX k PERSIST",
    "GETEX k",
    "APPEND k v",
    "SETRANGE k b v",
    "MSET k v k v",
    "MSETNX k v k v k v",
    "MSETEX 2 k v k v PX p",
    "MSETEX 2 k v k v NX",
    "MSETEX 1 k v XX KEEPTTL",
    "DELIFEQ k n",
    "INCR k",
    "DECR k",
    "INCRBY k n",
    "DECRBY k n",
    "INCRBYFLOAT k f",
    "INCREX k PX p",
    "INCREX k BYFLOAT f PXAT P",
    "INCREX k UBOUND 9 SATURATE",
    "INCREX k PERSIST",
    "INCREX k ENX PX p BYINT n",
    "SETBIT k b 1",
    "SETBIT k b 0",
    "BITOP AND k k k",
    "BITOP XOR k k k k",
    "BITOP NOT k k",
    "PFADD k v v",
    "PFADD y v n f",
    "PFADD y",
    "PFCOUNT y",
    "PFCOUNT y y",
    "PFMERGE y y",
    "PFDEBUG TODENSE y",
    "BITFIELD k SET u8 b n",
    "BITFIELD k INCRBY i5 b n GET u4 b OVERFLOW FAIL INCRBY u2 b n",
    "DEL k",
    "DEL k k",
    "UNLINK k k k",
    "RENAME k k",
    "RENAMENX k k",
    "COPY k k",
    "COPY k k REPLACE",
    "COPY k k DB d REPLACE",
    "MOVE k d",
    "EXPIRE k 1",
    "PEXPIRE k p",
    "PEXPIRE k p NX",
    "PEXPIRE k p GT",
    "PEXPIRE k p XX LT",
    "EXPIRE k -1",
    "PEXPIREAT k P",
    "EXPIREAT k 1",
    "PERSIST k",
    "GET k",
    "MGET k k k",
    "EXISTS k",
    "TOUCH k",
    "STRLEN k",
    "SCAN 0",
    "RANDOMKEY",
    "DBSIZE",
    "WATCH k",
    "UNWATCH",
    "INCRBY k x",
    "SET k",
    "NOSUCH k",
    "SWAPDB d d",
    "ZADD z n n n n n n",
    "ZADD z n v f v",
    "ZADD z XX CH f n f n",
    "ZADD z GT INCR f n",
    "ZINCRBY z f n",
    "ZINCRBY z f v",
    "ZREM z n n",
    "ZPOPMIN z",
    "ZPOPMAX z 2",
    "ZMPOP 2 z z MAX COUNT 3",
    "ZREMRANGEBYRANK z 0 n",
    "ZREMRANGEBYSCORE z n n",
    "ZREMRANGEBYLEX z [1 +",
    "ZRANGESTORE z z 0 n",
    "ZUNIONSTORE z 2 z z WEIGHTS f f",
    "ZINTERSTORE z 2 z z",
    "ZDIFFSTORE z 2 z z",
    "COPY z z REPLACE",
    "PEXPIRE z p",
    "HSET h n v n v n v",
    "HSET h n v",
    "HSETNX h n v",
    "HDEL h n n",
    "HINCRBY h n n",
    "HINCRBYFLOAT h n f",
    "HEXPIRE h 1 FIELDS 2 n n",
    "HPEXPIRE h p FIELDS 2 n n",
    "HPEXPIRE h p GT FIELDS 3 n n n",
    "HPEXPIRE h p NX FIELDS 1 n",
    "HPEXPIREAT h P XX FIELDS 3 n n n",
    "HEXPIREAT h 1 LT FIELDS 1 n",
    "HPERSIST h FIELDS 2 n n",
    "HGETEX h PX p FIELDS 2 n n",
    "HGETEX h PXAT P FIELDS 1 n",
    "HGETEX h PERSIST FIELDS 1 n",
    "HGETDEL h FIELDS 2 n n",
    "HSETEX h PX p FIELDS 2 n v n v",
    "HSETEX h FNX PXAT P FIELDS 1 n v",
    "HSETEX h FXX KEEPTTL FIELDS 1 n n",
    "HSETEX h FIELDS 1 n v",
    "HGETALL h",
    "COPY h h REPLACE",
    "RENAME h h",
    "PEXPIRE h p",
    "SET z v",
    "ZADD k n n",
    "RPUSH l v n v",
    "RPUSH l v n v",
    "RPUSH l n",
    "LPUSH l n",
    "ZADD z n n",
    "LPUSH l n",
    "RPUSHX l v",
    "LPOP l",
    "RPOP l 2",
    "LMPOP 2 l l LEFT COUNT 3",
    "LSET l 0 v",
    "LINSERT l BEFORE n v",
    "LREM l 0 n",
    "LTRIM l 0 2",
    "LMOVE l l LEFT RIGHT",
    "RPOPLPUSH l l",
    "RENAME l l",
    "COPY l l REPLACE",
    "COPY l l DB d",
    "MOVE l d",
    "DEL l l l l l l",
    "DEL l l l l l l",
    "DEL z z z z",
    "SORT l BY nosort STORE l",
    "SADD s n v n",
    "SREM s n n",
    "SPOP s",
    "SPOP s 2",
    "SMOVE s s n",
    "SINTERSTORE s s s",
    "SUNIONSTORE s s s",
    "SDIFFSTORE s s s",
    "SORT s ALPHA STORE l",
    "GEOADD z n n v",
    "GEOSEARCHSTORE z z FROMLONLAT 1 1 BYRADIUS 1000 km",
};
static const char *const stream_commands[] = {
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v",
    "XADD t * n v v n",
    "XADD t NOMKSTREAM MAXLEN 20 * n v",
    "XADD t MAXLEN ~ 30 * n v",
    "XADD t i n v",
    "XADD t MINID i * n n",
    "XDEL t i i i",
    "XTRIM t MAXLEN 15",
    "XTRIM t MINID ~ i",
    "XSETID t 2000000000000-1",
    "XGROUP CREATE t g 0 MKSTREAM",
    "XGROUP CREATE t g 0",
    "XGROUP CREATE t g 0",
    "XGROUP CREATE t g 0",
    "XGROUP CREATE t g 0",
    "XGROUP CREATE t g $",
    "XGROUP SETID t g i",
    "XGROUP CREATECONSUMER t g c",
    "XGROUP DELCONSUMER t g e",
    "XGROUP DESTROY t g",
    "XREADGROUP GROUP g c COUNT 2 STREAMS t >",
    "XREADGROUP GROUP g c COUNT 2 STREAMS t >",
    "XREADGROUP GROUP g e STREAMS t >",
    "XREADGROUP GROUP g e STREAMS t >",
    "XREADGROUP GROUP g e STREAMS t >",
    "XREADGROUP GROUP g e STREAMS t t > >",
    "XREADGROUP GROUP g c NOACK COUNT 1 STREAMS t >",
    "XREADGROUP GROUP g e STREAMS t 0",
    "XACK t g i i i",
    "XACKDEL t g IDS 2 i i",
    "XNACK t g SILENT IDS 2 i i",
    "XNACK t g FATAL IDS 1 i FORCE",
    "XCLAIM t g e 0 i i",
    "XAUTOCLAIM t g c 0 i COUNT 3",
    "XACKDEL t g ACKED IDS 3 i i i",
    "XACKDEL t g DELREF IDS 2 i i",
    "XDELEX t IDS 2 i i",
    "XDELEX t DELREF IDS 2 i i",
    "XDELEX t ACKED IDS 3 i i i",
    "XTRIM t MINID i DELREF",
    "XTRIM t MAXLEN 20 ACKED",
    "XTRIM t MAXLEN ~ 20 ACKED",
    "XTRIM t MAXLEN 30 KEEPREF",
    "XADD t MAXLEN 20 ACKED * n v",
    "XADD t DELREF MINID ~ i * n v",
    "XADD t MINID i ACKED * n v",
    "XADD t MAXLEN 30 DELREF i n v",
    "XADD t IDMP n n * n v",
    "XADD t IDMP Q J * n v",
    "XADD t IDMP Q J * n v",
    "XADD t IDMP n n MAXLEN 20 * n v",
    "XADD t NOMKSTREAM IDMPAUTO n * n n",
    "XADD t IDMP n n ACKED MAXLEN 0 * n n",
    "XCFGSET t IDMP-DURATION 1 IDMP-MAXSIZE 3",
    "XCFGSET t IDMP-MAXSIZE 5",
    "XIDMPRECORD t n n i",
    "XCLAIM t g c 0 i i",
    "XCLAIM t g e 0 i FORCE IDLE p RETRYCOUNT 3",
    "XAUTOCLAIM t g e 0 0 COUNT 3",
    "COPY t t REPLACE",
    "RENAME t t",
    "DEL t",
};

static bool streams_alone; /* no other command is drawn */

static const char *draw_command(void) {
    enum {
        ALL = sizeof commands / sizeof *commands,
        OF_STREAMS = sizeof stream_commands / sizeof *stream_commands
    };
    unsigned i = streams_alone ? ALL + pick(OF_STREAMS) : pick(ALL + OF_STREAMS);
    return i < ALL ? commands[i] : stream_commands[i - ALL];
}

/* Their clients wait, if there is nothing. */
static const char *const waits[] = {"BLPOP l l 0",
                                    "BRPOP l 0",
                                    "BLMOVE l l LEFT RIGHT 0",
                                    "BLMOVE l l RIGHT RIGHT 0",
                                    "BRPOPLPUSH l l 0",
                                    "BLMPOP 0 2 l l RIGHT COUNT 3",
                                    "BZPOPMIN z z 0",
                                    "BZPOPMAX z 0",
                                    "BZMPOP 0 2 z z MIN COUNT 2",
                                    "XREAD BLOCK 0 STREAMS t $",
                                    "XREADGROUP GROUP g c COUNT 2 BLOCK 0 STREAMS t t > >",
                                    "SELECT d"};
/* These end a batch: the clock is read again behind them. */
static const char *const ends[] = {"EXEC",    "EXEC",     "DISCARD", "SELECT d", "SELECT d",
                                   "FLUSHDB", "FLUSHALL", "MULTI",   "MULTI"};

static size_t write_word(char *dst, size_t size, char letter) {
    static const char letters[] = "abcdefgh";
    switch (letter) {
    case 'k': return (size_t)snprintf(dst, size, "key%u", pick(KEYS));
    case 'z': return (size_t)snprintf(dst, size, "zset%u", pick(4));
    case 'h': return (size_t)snprintf(dst, size, "hash%u", pick(4));
    case 'l': return (size_t)snprintf(dst, size, "list%u", pick(5));
    case 's': return (size_t)snprintf(dst, size, "set%u", pick(4));
    case 'y': return (size_t)snprintf(dst, size, "hll%u", pick(4));
    case 't': return (size_t)snprintf(dst, size, "stream%u", pick(2));
    case 'i': return (size_t)snprintf(dst, size, "%lld-%u", (long long)now_ms - pick(400), pick(3));
    case 'n': return (size_t)snprintf(dst, size, "%d", (int)pick(12) - 4);
    case 'f': return (size_t)snprintf(dst, size, "%d.%u", (int)pick(9) - 4, pick(100));
    case 'b': return (size_t)snprintf(dst, size, "%u", pick(200));
    case 'p': return (size_t)snprintf(dst, size, "%u", 1 + pick(2000));
    case 'P': return (size_t)snprintf(dst, size, "%lld", (long long)now_ms - 200 + pick(2000));
    case 'd': return (size_t)snprintf(dst, size, "%u", pick(DATABASES_USED));
    default: break;
    }
    size_t len = pick(8) ? pick(20) : pick((unsigned)size);
    for (size_t i = 0; i < len; i++) dst[i] = letters[pick(sizeof letters - 1)];
    return len;
}

/* Appends a command as RESP, or now and then, if it has no value, as a line. */
static void append_command(struct buffer *out, const char *form) {
    char word[300], head[64];
    unsigned argc = 1;
    bool line = !strchr(form, 'v') && !pick(8);
    for (const char *at = form; *at; at++) argc += *at == ' ';
    if (!line) append_piece(out, (struct bytes){head, (size_t)snprintf(head, sizeof head, "*%u\r\n", argc)});
    for (const char *at = form; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        struct bytes arg = {at, len};
        if (len == 1 && strchr("khzlsytivnfbpPd", *at))
            arg = (struct bytes){word, write_word(word, sizeof word, *at)};
        if (!line)
            append_piece(out, (struct bytes){head, (size_t)snprintf(head, sizeof head, "$%zu\r\n", arg.len)});
        append_piece(out, arg);
        append_piece(out, line ? BYTES(" ") : BYTES("\r\n"));
        at += len;
    }
    if (line) append_piece(out, BYTES("\r\n"));
}

/* ---- Running -------------------------------------------------------------------------------------- */

/* Did a command say that memory ran out? */
static bool run_prepared(unsigned i, struct client *client, unsigned count) {
    struct executor *executor = &shards[i].exec;
    CHECK_INT(dispatch_batch(executor, client, &answers[i].reply, count), count);
    if (memory_left != UINT_MAX) memory_left = UINT_MAX; /* threads do not write it */
    answers[i].reply.failed = false; /* no memory for a second reply: the connection would be closed */
    answers[i].reply.end = answers[i].reply.at;
    return take_answers(&answers[i]);
}

/* One batch of these requests, by one of the executor's clients; so many allocations succeed while it runs, or with UINT_MAX
 * all. Did a command say that memory ran out? */
static bool run_batch(unsigned i, struct client *client, struct bytes requests, unsigned memory) {
    struct executor *executor = &shards[i].exec;
    struct request_parser parser = {0};
    unsigned count = 0;
    size_t at = 0;
    while (at < requests.len) {
        struct request *request = &executor->batch[count];
        size_t used;
        CHECK(count < BATCH_REQUESTS);
        CHECK(request_parse(&parser, &shards->limits, (struct bytes){requests.data + at, requests.len - at},
                            &request->args, &used) == REQUEST_READY);
        CHECK(prepare_request(executor, client, &executor->batch[count], NULL));
        request->begin = at;
        at += used;
        request->end = at;
        count++;
    }
    executor->bytes = requests.data;
    executor->clock.now_ms = now_ms;
    if (memory != UINT_MAX) memory_left = memory;
    return run_prepared(i, client, count);
}

/* SET, APPEND and GETSET of a value that has memory of its own: the record refers to it. */
static void run_large(unsigned i, struct client *client) {
    static const char *const names[] = {"SET", "APPEND", "GETSET", "PSETEX"};
    struct executor *executor = &shards[i].exec;
    struct block *block = block_new_zeroed(LARGE + pick(1000), LARGE + 1000);
    char key[16];
    const char *name = names[pick(4)];
    CHECK(block);
    memset(block->data, 'a' + (int)pick(26), block->len);
    struct bytes words[4] = {bytes_of(name), {key, write_word(key, sizeof key, 'k')}, BYTES("700")};
    unsigned argc = bytes_equal(words[0], BYTES("PSETEX")) ? 4 : 3;
    words[argc - 1] = block_bytes(block);
    struct request_args *args = &executor->batch[0].args;
    if (args->capacity < argc) {
        args->argv = realloc(args->argv, argc * sizeof *args->argv);
        args->capacity = argc;
    }
    memcpy(args->argv, words, argc * sizeof *words);
    args->argc = argc;
    CHECK(prepare_request(executor, client, &executor->batch[0], NULL));
    executor->bytes = NULL;
    executor->call.arg_blocks = &block;
    executor->call.arg_block_count = 1;
    executor->clock.now_ms = now_ms;
    (void)run_prepared(i, client, 1);
    block_release(block);
}

/* Those whose waits were ended get their replies. How many were there? */
static unsigned answer_who_waited(void) {
    unsigned served = 0;
    for (unsigned i = 0; i < EXECUTORS; i++) {
        for (struct post *post = post_take_all(&mailboxes[i]), *next; post; post = next) {
            next = post->next;
            CHECK(post->kind == POST_WAIT);
            blocking_answer(&shards[i].exec, post->client, &answers[i].reply);
            (void)take_answers(&answers[i]);
            served++;
        }
    }
    return served;
}

/* Did it say that memory ran out? */
static bool run_waiting(unsigned i) {
    struct buffer request = {0};
    struct client *client = &waiting[i][pick(WAITERS)];
    if (client->waiter) return false;
    append_command(&request, waits[pick(sizeof waits / sizeof *waits)]);
    bool ran_out = run_batch(i, client, buffer_bytes(&request), pick(4) ? UINT_MAX : pick(8));
    buffer_free(&request);
    return ran_out;
}

/* Did a command say that memory ran out? */
static bool run_some(unsigned i) {
    struct buffer requests = {0};
    struct client *client = &asking[i][pick(CLIENTS)];
    unsigned count = 1 + pick(6);
    now_ms += pick(4) ? 0 : pick(2000);
    for (unsigned n = 0; n < count; n++) append_command(&requests, draw_command());
    if (!streams_alone && !pick(2)) append_command(&requests, "SET k v PX p"); /* many keys are to expire */
    if (!streams_alone && !pick(3)) append_command(&requests, ends[pick(sizeof ends / sizeof *ends)]);
    bool ran_out = run_batch(i, client, buffer_bytes(&requests), pick(4) ? UINT_MAX : pick(6));
    buffer_free(&requests);
    if (!pick(10)) run_large(i, client);
    if (!pick(20)) {
        shards[i].exec.clock.now_ms = now_ms;
        shards[i].want_ms = 0;
        upkeep_run(&shards[i]);
    }
    return ran_out;
}

static void records_make_what_the_commands_made(void) {
    size_t bytes = 0;
    unsigned ran_out = 0, served = 0;
    open_all();
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned n = 0; n < COMMANDS / 4; n++) {
            ran_out += run_waiting(pick(EXECUTORS));
            ran_out += run_some(pick(EXECUTORS));
            served += answer_who_waited();
        }
        bytes += replay();
        compare();
    }
    CHECK(bytes > ROUNDS * COMMANDS * 10);
    CHECK(merge.merged > ROUNDS * COMMANDS / 10);
    uint64_t expired = 0;
    for (unsigned i = 0; i < EXECUTORS; i++) expired += shards[i].exec.metrics.expired_keys;
    CHECK(expired > ROUNDS);
    CHECK(ran_out > ROUNDS);
    CHECK(served > 5);
    close_all();
}

/* ---- Those who wait ------------------------------------------------------------------------------- */

static void run_line(unsigned i, struct client *client, const char *line) {
    struct buffer request = {0};
    append_piece(&request, bytes_of(line));
    append_piece(&request, BYTES("\r\n"));
    CHECK(!run_batch(i, client, buffer_bytes(&request), UINT_MAX));
    buffer_free(&request);
}

static void wait_in(unsigned i, unsigned j, const char *line) {
    run_line(i, &waiting[i][j], line);
    CHECK(waiting[i][j].waiter);
}

/* These are the records since the last time, in lines instead of RESP. */
static void check_records(const char *lines) {
    struct buffer stream = {0}, found = {0};
    struct request_parser parser = {0};
    struct request_args args = {0};
    size_t used;
    while (merge_next(&merge, append_piece, &stream)) merge_release(&merge);
    for (struct bytes left = buffer_bytes(&stream); left.len; left.data += used, left.len -= used) {
        CHECK(request_parse(&parser, &shards->limits, left, &args, &used) == REQUEST_READY);
        for (uint32_t i = 0; i < args.argc; i++) {
            append_piece(&found, args.argv[i]);
            append_piece(&found, i + 1 < args.argc ? BYTES(" ") : BYTES("\n"));
        }
    }
    CHECK_BYTES(buffer_bytes(&found), bytes_of(lines));
    request_args_free(&args);
    buffer_free(&stream);
    buffer_free(&found);
}

/* At once with what served them, behind it, in the order in which they were served, and as commands that do not wait. */
static void who_is_served_is_recorded_behind_what_served_him(void) {
    struct client *client = &asking[1][0];
    open_all();
    wait_in(0, 0, "BLPOP nothing list 0");
    wait_in(1, 1, "BRPOP list 0");
    check_records("");
    run_line(1, client, "RPUSH list a b c");
    CHECK_INT(answer_who_waited(), 2);
    check_records("MULTI\nSELECT 0\nRPUSH list a b c\nLPOP list\nRPOP list\nEXEC\n");
    run_line(1, client, "RPUSH list d"); /* the key is there: nobody waits for it */
    check_records("RPUSH list d\n");
    run_line(1, client, "DEL list");
    check_records("DEL list\n");

    wait_in(0, 0, "BLMOVE a b LEFT RIGHT 0");
    wait_in(1, 1, "BRPOPLPUSH b c 0");
    wait_in(0, 2, "BLMPOP 0 2 d c LEFT COUNT 7");
    run_line(1, client, "LPUSH a x");
    CHECK_INT(answer_who_waited(), 3);
    check_records("MULTI\nLPUSH a x\nLMOVE a b LEFT RIGHT\nRPOPLPUSH b c\nLPOP c 1\nEXEC\n");

    wait_in(0, 0, "BZPOPMAX z 0");
    wait_in(0, 1, "BZMPOP 0 1 z MIN COUNT 2");
    run_line(1, client, "MULTI");
    run_line(1, client, "ZADD z 1 m 2 n");
    run_line(1, client, "SET k v");
    run_line(1, client, "ZADD z 3 o");
    run_line(1, client, "EXEC");
    CHECK_INT(answer_who_waited(), 2);
    check_records("MULTI\nZADD z 1 m 2 n\nSET k v\nZADD z 3 o\nZPOPMAX z\nZPOPMIN z 2\nEXEC\n");

    wait_in(0, 0, "BLPOP a 0"); /* in another database than who moves it there */
    run_line(1, client, "SELECT 1");
    run_line(1, client, "RPUSH a y");
    check_records("SELECT 1\nRPUSH a y\n");
    run_line(1, client, "MOVE a 0");
    CHECK_INT(answer_who_waited(), 1);
    check_records("MULTI\nMOVE a 0\nSELECT 0\nLPOP a\nEXEC\n");

    wait_in(0, 0, "BLMOVE a k LEFT LEFT 0"); /* it gets an error, and nothing is recorded */
    wait_in(1, 0, "BLPOP a 0");
    run_line(1, client, "SELECT 0");
    run_line(1, client, "RPUSH a y");
    CHECK_INT(answer_who_waited(), 2);
    check_records("MULTI\nRPUSH a y\nLPOP a\nEXEC\n");
    close_all();
}

/* MSET of values that are allocated one by one: those before the one that finds no memory are set. */
static void half_an_mset_is_recorded_as_far_as_it_came(void) {
    static char value[2 * PIN_MIN];
    memset(value, 'v', sizeof value);
    open_all();
    unsigned ran_out = 0;
    for (unsigned memory = 0; memory < 8; memory++) {
        struct buffer request = {0};
        char head[64];
        append_piece(&request, BYTES("*9\r\n$4\r\nMSET\r\n"));
        for (unsigned i = 0; i < 4; i++) {
            int len = snprintf(head, sizeof head, "$5\r\nkey%u%u\r\n$%zu\r\n", memory, i, sizeof value);
            append_piece(&request, (struct bytes){head, (size_t)len});
            append_piece(&request, (struct bytes){value, sizeof value});
            append_piece(&request, BYTES("\r\n"));
        }
        ran_out += run_batch(0, &asking[0][0], buffer_bytes(&request), memory);
        buffer_free(&request);
        replay();
        compare();
    }
    CHECK(ran_out > 1);
    close_all();
}

/* ---- Threads -------------------------------------------------------------------------------------- */

static pthread_barrier_t start;

static void *run_thread(void *context) {
    static const char *const forms[] = {"INCR key0",      "APPEND key1 v",      "SET key0 n",
                                        "DEL key1",       "RENAME key1 key2",   "SET key1 v",
                                        "COPY key2 key1", "MSET key1 v key2 v", "APPEND key2 v"};
    unsigned i = (unsigned)(size_t)context;
    unsigned long long state = seed + i;
    pthread_barrier_wait(&start);
    for (unsigned n = 0; n < THREAD_COMMANDS; n++) {
        char text[80], value[2] = {(char)('a' + i), 0};
        int len = snprintf(text, sizeof text, "%s\r\n",
                           forms[check_random(&state) % (sizeof forms / sizeof *forms)]);
        for (char *at = text; *at; at++) {
            if (*at == 'v') *at = *value;
            if (*at == 'n') *at = (char)('0' + i);
        }
        run_batch(i, &asking[i][0], (struct bytes){text, (size_t)len}, UINT_MAX);
        if (late) {
            for (unsigned long long more = check_random(&state) % 4; more > 0; more--) sched_yield();
            __real_journal_seal(late, 0);
            late = NULL;
        }
    }
    return NULL;
}

static void tickets_are_in_the_order_of_the_locks(void) {
    pthread_t threads[EXECUTORS];
    open_all();
    CHECK(pthread_barrier_init(&start, NULL, EXECUTORS) == 0);
    for (unsigned i = 0; i < EXECUTORS; i++)
        CHECK(pthread_create(&threads[i], NULL, run_thread, (void *)(size_t)i) == 0);
    for (unsigned i = 0; i < EXECUTORS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_barrier_destroy(&start) == 0);
    CHECK(replay() > 0);
    CHECK(merge.merged >= THREAD_COMMANDS);
    compare();
    close_all();
}

/* By themselves they grow old, and what is pending in them is much. */
static void streams_are_replayed_with_their_groups(void) {
    open_all();
    streams_alone = true;
    pending_seen = ids_seen = repeated_seen = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned n = 0; n < COMMANDS / 4; n++) {
            run_waiting(pick(EXECUTORS));
            run_some(pick(EXECUTORS));
            answer_who_waited();
        }
        (void)replay();
        compare();
    }
    CHECK(pending_seen > ROUNDS && ids_seen > ROUNDS && repeated_seen > ROUNDS);
    streams_alone = false;
    close_all();
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--plant") == 0)
        planted = strcmp(argv[2], "order") == 0 ? PLANT_ORDER : PLANT_ARGUMENTS;
    seed = check_seed();
    if (planted != PLANT_ORDER) RUN(records_make_what_the_commands_made);
    if (planted == PLANT_NOTHING) RUN(streams_are_replayed_with_their_groups);
    if (planted == PLANT_NOTHING) RUN(who_is_served_is_recorded_behind_what_served_him);
    if (planted == PLANT_NOTHING) RUN(half_an_mset_is_recorded_as_far_as_it_came);
    for (unsigned times = planted == PLANT_ORDER ? 20 : 1; times > 0; times--) /* it takes some luck */
        RUN(tickets_are_in_the_order_of_the_locks);
    return 0;
}
