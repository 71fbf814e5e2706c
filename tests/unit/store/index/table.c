/* table.c - the invariants of linear hashing under random load, scans during growth, and no memory. */
#include "store/index/table.h"

#include "store/memory/memory.h"
#include "tests/check.h"

static unsigned long long seed;
static const struct hash_seed hash_seed = {
    {0x51ed270b, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179}};

static bool no_memory;
void *memory_resize(void *old, size_t size) {
    return no_memory ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return no_memory ? NULL : calloc(1, size);
}

/* An entry whose key is a number of 4 bytes. */
static uint32_t make(struct slab *slab, uint32_t number) {
    uint32_t handle = slab_alloc(slab, sizeof(struct entry) + sizeof number);
    if (handle == 0) return 0;
    struct entry *e = arena_at(&slab->arena, handle);
    *e = (struct entry){.key_len = sizeof number};
    memcpy(e->payload, &number, sizeof number);
    return handle;
}
static uint32_t number_of(const struct entry *e) {
    uint32_t number;
    memcpy(&number, e->payload, sizeof number);
    return number;
}
static struct bytes key_of(const uint32_t *number) {
    return (struct bytes){(const char *)number, sizeof *number};
}
static uint64_t hash_of(uint32_t number) {
    return hash_bytes(&hash_seed, key_of(&number));
}
/* Whatever a short look says is what a whole one finds; and it says something of nearly all. */
static unsigned looks, unsure;
static void check_glimpse(const struct table *table, const struct slab *slab, uint32_t number,
                          struct table_slot found) {
    bool absent;
    struct entry *e = table_glimpse(table, slab, key_of(&number), hash_of(number), &absent);
    CHECK(!e || (!absent && found.bucket && e == table_entry(slab, found)));
    CHECK(!absent || !found.bucket);
    looks++;
    unsure += !e && !absent;
}
static struct table_slot find(const struct table *table, const struct slab *slab, uint32_t number) {
    struct table_slot slot = table_find(table, slab, key_of(&number), hash_of(number));
    check_glimpse(table, slab, number, slot);
    return slot;
}
static bool insert(struct table *table, struct slab *slab, uint32_t number) {
    uint32_t handle = make(slab, number);
    if (handle && table_insert(table, slab, &hash_seed, hash_of(number), handle)) return true;
    if (handle) slab_free(slab, handle);
    return false;
}
static void take(struct table *table, struct slab *slab, uint32_t number) {
    struct table_slot slot = find(table, slab, number);
    CHECK(slot.bucket);
    uint32_t handle = slot.bucket->handles[slot.index];
    table_remove(table, slab, hash_of(number), slot);
    slab_free(slab, handle);
}

static unsigned check_chain(const struct table *table, const struct slab *slab, uint64_t index,
                            unsigned *overflow) {
    unsigned entries = 0;
    for (struct bucket *b = table_bucket_at(table, index), *next; b; b = next) {
        next = table_overflow(slab, b);
        unsigned here = 0;
        for (unsigned i = 0; i < TABLE_SLOTS; i++) {
            CHECK((b->handles[i] == 0) == (b->tags[i] == 0)); /* invariant 3 */
            if (b->handles[i] == 0) continue;
            CHECK_INT(i, here); /* without gaps */
            uint64_t hash = hash_of(number_of(table_entry(slab, (struct table_slot){b, i})));
            CHECK(table_index(table, hash) == index); /* invariant 2 */
            CHECK_INT(b->tags[i], table_tag(hash));
            here++;
        }
        CHECK(!next || here == TABLE_SLOTS); /* invariant 4 */
        CHECK(here > 0 || b == table_bucket_at(table, index));
        entries += here;
        *overflow += next != NULL;
    }
    return entries;
}

static void check_table(const struct table *table, const struct slab *slab) {
    uint64_t entries = 0;
    unsigned overflow = 0;
    CHECK(table->buckets == 0 || (table->mask < table->buckets * 2 && table->mask >= table->buckets - 1));
    CHECK((table->mask & (table->mask + 1)) == 0);
    for (uint64_t i = 0; i < table->buckets; i++) entries += check_chain(table, slab, i, &overflow);
    CHECK_INT(entries, table->entries);
    CHECK_INT(overflow, table->overflow_buckets);
    if (table->buckets % TABLE_SEGMENT_BUCKETS) { /* invariant 3: what lies beyond is clean */
        const struct bucket *beyond = table_bucket_at(table, table->buckets - 1) + 1;
        for (unsigned i = 0; i < TABLE_SLOTS; i++) CHECK(beyond->handles[i] == 0 && beyond->tags[i] == 0);
    }
}

enum { NUMBERS = 30000 };

/* Grows, shrinks and grows: the chance to insert swings. */
static void what_is_in_is_found_and_what_is_out_is_not(void) {
    static bool in[NUMBERS];
    struct slab slab;
    struct table table = {0};
    uint64_t count = 0, largest = 0;
    looks = unsure = 0;
    CHECK(slab_init(&slab, 0));
    for (int step = 0; step < 300000; step++) {
        uint32_t number = (uint32_t)(check_random(&seed) % NUMBERS);
        bool wants = check_random(&seed) % 16 < (step / 50000 % 2 ? 1u : 15u);
        CHECK((find(&table, &slab, number).bucket != NULL) == in[number]);
        if (wants && !in[number]) CHECK(insert(&table, &slab, number));
        if (!wants && in[number]) take(&table, &slab, number);
        count += wants;
        count -= in[number];
        in[number] = wants;
        CHECK_INT(table.entries, count);
        if (table.buckets > largest) largest = table.buckets;
        if (step % 10000 == 0) check_table(&table, &slab);
    }
    CHECK(largest > 3 * TABLE_SEGMENT_BUCKETS);
    for (uint32_t number = 0; number < NUMBERS; number++)
        if (in[number]) take(&table, &slab, number);
    check_table(&table, &slab);
    CHECK_INT(table.buckets, 1);
    unsigned budget = 100;
    void *wheel;
    struct table_directory *grave = table_bury(&table, NULL, NULL);
    CHECK(!table_decompose(grave, &slab, &budget, NULL, NULL));
    CHECK(table_grave_close(grave, &slab, &wheel) == NULL);
    CHECK_INT(slab.used_bytes, 0);
    CHECK_INT(slab.arena.in_use, 0);
    slab_destroy(&slab);
    CHECK(looks > 300000 && unsure < looks / 4);
}

/* ---- Scanning ------------------------------------------------------------------------------------- */

static uint64_t scan_step(const struct table *table, const struct slab *slab, uint64_t cursor,
                          unsigned *seen) {
    for (struct bucket *b = table_bucket(table, cursor); b; b = table_overflow(slab, b))
        for (unsigned i = 0; i < TABLE_SLOTS && b->handles[i]; i++)
            seen[number_of(table_entry(slab, (struct table_slot){b, i}))]++;
    cursor = table_next_cursor(table, cursor);
    CHECK(cursor <= table->mask);
    return cursor;
}

static void a_scan_of_a_still_table_sees_each_entry_once(void) {
    static unsigned seen[NUMBERS];
    struct slab slab;
    struct table table = {0};
    CHECK(slab_init(&slab, 0));
    for (uint32_t number = 0; number < 5000; number++) {
        CHECK(insert(&table, &slab, number));
        if (number > 300 && number % 499) continue;
        memset(seen, 0, sizeof seen);
        uint64_t cursor = 0, steps = 0;
        do cursor = scan_step(&table, &slab, cursor, seen), steps++;
        while (cursor);
        for (uint32_t i = 0; i <= number; i++) CHECK_INT(seen[i], 1);
        CHECK_INT(steps, table.buckets);
    }
    slab_destroy(&slab);
}

/* Entries below `stay` are there throughout; others come and go between the steps of a scan. */
static void scan_while(struct table *table, struct slab *slab, uint32_t stay, uint32_t top, bool grows) {
    static unsigned seen[NUMBERS];
    memset(seen, 0, sizeof seen);
    uint64_t cursor = 0;
    uint32_t next = grows ? stay : top;
    do {
        cursor = scan_step(table, slab, cursor, seen);
        for (unsigned n = (unsigned)(check_random(&seed) % 40); n > 0; n--) {
            if (grows && next < top) CHECK(insert(table, slab, next++));
            if (!grows && next > stay) take(table, slab, --next);
        }
    } while (cursor);
    for (uint32_t i = 0; i < stay; i++) CHECK(seen[i] > 0);
    for (; grows && next < top; next++) CHECK(insert(table, slab, next));
    while (!grows && next > stay) take(table, slab, --next);
}

static void a_scan_misses_nothing_that_stays(void) {
    for (int round = 0; round < 20; round++) {
        struct slab slab;
        struct table table = {0};
        CHECK(slab_init(&slab, 0));
        uint32_t stay = (uint32_t)(check_random(&seed) % 3000 + 1),
                 top = stay + (uint32_t)(check_random(&seed) % 20000);
        for (uint32_t number = 0; number < stay; number++) CHECK(insert(&table, &slab, number));
        scan_while(&table, &slab, stay, top, true);
        scan_while(&table, &slab, stay, top, false);
        slab_destroy(&slab);
    }
}

static void any_cursor_is_harmless(void) {
    static unsigned seen[NUMBERS];
    struct slab slab;
    struct table table = {0};
    CHECK(slab_init(&slab, 0));
    for (uint32_t number = 0; number < 1000; number++) CHECK(insert(&table, &slab, number));
    for (int i = 0; i < 10000; i++) scan_step(&table, &slab, check_random(&seed), seen);
    slab_destroy(&slab);
}

/* ---- No memory ------------------------------------------------------------------------------------ */

static void without_memory_the_table_stays_right(void) {
    struct slab slab;
    struct table table = {0};
    CHECK(slab_init(&slab, 0));
    no_memory = true;
    CHECK(!insert(&table, &slab, 0)); /* no directory */
    no_memory = false;
    CHECK_INT(table.entries, 0);
    slab.arena.limit = 4; /* entries, overflow, and two segments */
    uint32_t number = 0;
    while (insert(&table, &slab, number)) number++;
    check_table(&table, &slab);
    CHECK(number > 4096);
    for (uint32_t i = 0; i < number; i++) CHECK(find(&table, &slab, i).bucket);
    CHECK(!find(&table, &slab, number).bucket);
    while (number > 10) take(&table, &slab, --number);
    check_table(&table, &slab);
    CHECK(table.buckets < 10);
    slab_destroy(&slab);
}

static void a_directory_that_cannot_grow_lengthens_chains(void) {
    struct slab slab;
    struct table table = {0};
    CHECK(slab_init(&slab, 0));
    CHECK(insert(&table, &slab, 0));
    no_memory = true;
    uint32_t number = 1;
    for (; number < 60000; number++) CHECK(insert(&table, &slab, number));
    CHECK(table.buckets == 4 * TABLE_SEGMENT_BUCKETS);
    no_memory = false;
    for (; number < 100000; number++) CHECK(insert(&table, &slab, number));
    CHECK(table.buckets > 12 * TABLE_SEGMENT_BUCKETS); /* a split an insertion until it has caught up */
    check_table(&table, &slab);
    slab_destroy(&slab);
}

/* ---- Burying -------------------------------------------------------------------------------------- */

static unsigned told;
static void tell(void *slab, uint32_t handle) {
    slab_free(slab, handle);
    told++;
}

static void a_buried_table_is_taken_apart_in_small_steps(void) {
    struct slab slab;
    struct table table = {0};
    int wheel, calls = 0;
    void *remembered;
    CHECK(slab_init(&slab, 0));
    for (uint32_t number = 0; number < 20000; number++) CHECK(insert(&table, &slab, number));
    struct table_directory *grave = table_bury(&table, NULL, &wheel);
    CHECK(table.entries == 0 && !find(&table, &slab, 1).bucket);
    CHECK(insert(&table, &slab, 1) && find(&table, &slab, 1).bucket); /* a new table beside the buried one */
    for (bool more = true; more; calls++) {
        unsigned budget = 100, before = told;
        more = table_decompose(grave, &slab, &budget, tell, &slab);
        CHECK(told - before < 200);
    }
    CHECK(calls > 100 && told == 20000);
    CHECK(table_grave_close(grave, &slab, &remembered) == NULL && remembered == &wheel);
    CHECK(find(&table, &slab, 1).bucket);
    slab_destroy(&slab);
}

int main(void) {
    seed = check_seed();
    RUN(what_is_in_is_found_and_what_is_out_is_not);
    RUN(a_scan_of_a_still_table_sees_each_entry_once);
    RUN(a_scan_misses_nothing_that_stays);
    RUN(any_cursor_is_harmless);
    RUN(without_memory_the_table_stays_right);
    RUN(a_directory_that_cannot_grow_lengthens_chains);
    RUN(a_buried_table_is_taken_apart_in_small_steps);
    return 0;
}
