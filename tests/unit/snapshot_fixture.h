/* snapshot_fixture.h - what tests of saving and loading share: a keyspace with values of every type and encoding, made by
 * commands, and its digest. */
#ifndef KEVY_TESTS_SNAPSHOT_FIXTURE_H
#define KEVY_TESTS_SNAPSHOT_FIXTURE_H

#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_disk.h"

static inline void open_shards(unsigned count) {
    fixture_open(count);
    metrics_reset();
    now_ms = 1700000000000;
    conn = fixture_conn(shards);
}

static inline void run_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void run_format(const char *format, ...) {
    char line[8192];
    va_list values;
    va_start(values, format);
    int len = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    CHECK(len > 0 && len < (int)sizeof line);
    struct bytes reply = run((struct bytes){line, (size_t)len});
    CHECK(reply.len > 0 && reply.data[0] != '-');
}

/* Small and large values of every type, in several databases, some of which expire. */
static inline void make_values(void) {
    char long_text[5001];
    memset(long_text, 'x', 5000);
    long_text[5000] = '\0';
    run_format("set text hello\nset number -123456\nset empty \"\"\nset long %s\n", long_text);
    run_format(
        "select 3\nset soon 1 px 5000\nset later v pxat 1800000000000\nset \"k\\x00\\n\" \"\\xff\\x00\"\n");
    run_format("select 15\nset last 1\nselect 0\n");
    run_format("rpush list a 1 -1 \"\" 99999999999\nsadd ints 1 2 70000\nsadd words a b\n");
    run_format("hset hash a b c \"\"\nzadd scores 1 a 2.5 b -inf c\npfadd hll a b c\nsetbit bits 100 1\n");
    run_format("hset fields a 1 b 2\nhpexpireat fields 1800000000000 fields 1 a\n");
    for (unsigned i = 0; i < 700; i++) {
        run_format("rpush biglist element:%u\nsadd bigset member:%u\nhset bighash field:%u %u\n", i, i, i, i);
        run_format("zadd bigscores %u.5 m:%u\nsadd bigints %u\nset key:%u value\n", i, i, i * 1000, i);
    }
}

static inline struct digest digest_now(void) {
    struct digest digest = {{0}};
    for (unsigned db = 0; db < FIXTURE_DATABASES; db++) {
        uint64_t keys = 0;
        for (unsigned i = 0; i < stripes.count; i++) keys += keyspace_count(stripes.all[i].keyspace, db);
        if (!keys) continue;
        digest_mix_number(&digest, db);
        for (unsigned i = 0; i < stripes.count; i++) keyspace_digest(&digest, stripes.all[i].keyspace, db);
    }
    return digest;
}

static inline uint64_t keys_now(void) {
    uint64_t keys = 0;
    for (unsigned i = 0; i < stripes.count; i++)
        for (unsigned db = 0; db < FIXTURE_DATABASES; db++)
            keys += keyspace_count(stripes.all[i].keyspace, db);
    return keys;
}

static inline void check_digest(const struct digest *expected) {
    struct digest digest = digest_now();
    CHECK_BYTES(digest_bytes(&digest), digest_bytes(expected));
}

/* Nothing is there any more. */
static inline void empty_all(void) {
    for (unsigned i = 0; i < stripes.count; i++) {
        for (unsigned db = 0; db < FIXTURE_DATABASES; db++) keyspace_flush(stripes.all[i].keyspace, db);
        while (keyspace_upkeep(stripes.all[i].keyspace, 100000)) {
        }
    }
}

#endif
