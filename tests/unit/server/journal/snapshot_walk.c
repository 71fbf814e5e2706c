/* Snapshots in the background, with the writer's steps, the walk's and random commands in any order: the file shows the
 * moment of the cut, and no other; whatever fails leaves the old file. */
#include "server/journal/snapshot_walk.h"

#include "server/config/config.h"
#include "server/journal/snapshot_load.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;
static unsigned long long seed;
static struct snapshot_written last;
static unsigned cuts, ends;
static struct digest cut_digest;
static uint64_t cut_keys;

static unsigned below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

static void cut(void *context) {
    CHECK(context == &last);
    cut_digest = digest_now();
    cut_keys = keys_now();
    cuts++;
}
static void ended(void *context, const struct snapshot_written *written) {
    CHECK(context == &last);
    last = *written;
    ends++;
}

static const struct snapshot_order by_hand = {.disk = &disk.disk,
                                              .names = {"temp.rdb", "dump.rdb", "."},
                                              .form = {.compressed = true, .summed = true, .gradual = true},
                                              .by_hand = true,
                                              .cut = cut,
                                              .ended = ended,
                                              .context = &last};

static void begin_on_disk(unsigned count) {
    open_shards(count);
    make_values();
    disk_new(&disk);
    disk_put(&disk, "dump.rdb", BYTES("the old one"));
    disk_mend(&disk);
}
static void end_on_disk(void) {
    snapshot_give_up();
    disk_free(&disk);
    end();
}

static void random_command(void) {
    unsigned key = below(700);
    switch (below(12)) {
    case 0: run_format("set key:%u other:%u\n", key, below(1000)); break;
    case 1: run_format("del key:%u\n", key); break;
    case 2: run_format("hset bighash field:%u x new:%u 1\n", key, key); break;
    case 3: run_format("rpush biglist x\nlpop biglist\n"); break;
    case 4: run_format("set new:%u 1\ncopy new:%u key:%u replace\n", key, key, key); break;
    case 5: run_format("set k:%u 1\nrename k:%u key:%u\n", key, key, key); break;
    case 6: run_format("zadd bigscores %u m:%u\nsrem bigset member:%u\n", key, key, key); break;
    case 7: run_format("append text x\nsetrange long 3 abc\nincr number\n"); break;
    case 8: run_format("pexpire key:%u 100000\npersist fields\nhdel fields b\n", key); break;
    case 9: run_format("swapdb %u %u\n", below(16), below(16)); break;
    case 10: run_format("select %u\nset key:%u x\nselect 0\n", below(16), key); break;
    default:
        if (below(20) == 0) run_format(below(2) ? "flushdb\n" : "flushall\n");
    }
}

/* One step of somebody. */
static void step(void) {
    unsigned who = below(10);
    if (below(20) == 0) snapshot_hand_over(&stripes.all[below(stripes.count)]);
    if (who < 4)
        random_command();
    else if (who < 7)
        (void)snapshot_walk(&stripes.all[below(stripes.count)]);
    else if (snapshot_is_under_way())
        (void)snapshot_writer_turn();
}

static void walk_to_the_end(void) {
    for (unsigned i = 0; i < stripes.count; i++)
        while (snapshot_walk(&stripes.all[i]) != SNAPSHOT_WALK_DONE) (void)snapshot_writer_turn();
    while (snapshot_is_under_way()) (void)snapshot_writer_turn();
}

/* The file is loaded into nothing. */
static void check_file(void) {
    struct snapshot_load load = {.disk = &disk.disk, .name = "dump.rdb", .summed = true, .now_ms = now_ms};
    empty_all();
    if (snapshot_load_run(&load) != SNAPSHOT_LOADED) {
        fprintf(stderr, "%s\n", load.why);
        exit(1);
    }
    CHECK_INT(load.keys, cut_keys);
    check_digest(&cut_digest);
}

static void the_file_shows_the_cut(void) {
    for (unsigned round = 0; round < 40; round++) {
        begin_on_disk(round % 2 ? 3 : 1);
        cuts = ends = 0;
        CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
        CHECK_INT(cuts, 1);
        CHECK_INT(snapshot_start(&by_hand, now_ms), -EBUSY);
        for (unsigned steps = below(400); steps > 0; steps--) step();
        walk_to_the_end();
        CHECK(ends == 1 && !last.error && !last.given_up && last.keys == cut_keys);
        CHECK(disk_files(&disk) == 1 && disk.named);
        CHECK_INT(snapshot_progress().bytes, 0);
        check_file();
        end_on_disk();
    }
}

/* The same with a thread that writes; two in a row. */
static void a_thread_writes_it_too(void) {
    struct snapshot_order order = by_hand;
    order.by_hand = false;
    begin_on_disk(3);
    for (unsigned round = 0; round < 2; round++) {
        CHECK_INT(snapshot_start(&order, now_ms), 0);
        for (unsigned i = 0; i < stripes.count; i++) {
            random_command();
            while (snapshot_walk(&stripes.all[i]) != SNAPSHOT_WALK_DONE) random_command();
        }
        snapshot_writer_join();
        CHECK(!last.error && !snapshot_is_under_way());
    }
    check_file();
    end_on_disk();
}

static void an_error_leaves_the_old_file(void) {
    static const enum disk_call calls[] = {DISK_OPENS, DISK_WRITES, DISK_SYNCS, DISK_CLOSES, DISK_RENAMES};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        begin_on_disk(3);
        disk.fails = calls[i];
        disk.fails_at = 1;
        disk.piece = 3000;
        CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
        for (unsigned steps = 0; steps < 50; steps++) step();
        walk_to_the_end();
        CHECK(last.error == -EIO && last.failed && !last.given_up);
        CHECK_INT(disk_files(&disk), 1);
        CHECK_BYTES(disk_contents(&disk, "dump.rdb"), BYTES("the old one"));
        disk_mend(&disk);
        CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
        walk_to_the_end();
        CHECK_INT(last.error, 0);
        check_file();
        end_on_disk();
    }
}

static void given_up_at_any_time_it_leaves_nothing(void) {
    for (unsigned round = 0; round < 30; round++) {
        begin_on_disk(round % 2 ? 3 : 1);
        CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
        for (unsigned steps = below(60); steps > 0; steps--) step();
        bool over = !snapshot_is_under_way();
        snapshot_give_up();
        CHECK(!snapshot_is_under_way() && last.given_up == !over && !last.error);
        CHECK_INT(disk_files(&disk), 1);
        if (!over) CHECK_BYTES(disk_contents(&disk, "dump.rdb"), BYTES("the old one"));
        CHECK_INT(snapshot_progress().bytes, 0);
        end_on_disk();
    }
}

/* At its beginning, and later for a copy of what is about to be changed. */
static void without_memory_it_fails_and_commands_go_on(void) {
    begin_on_disk(3);
    for (unsigned left = 0; left < stripes.count + 2; left++) {
        memory_left = left;
        int error = snapshot_start(&by_hand, now_ms);
        memory_left = UINT_MAX;
        CHECK_INT(error, -ENOMEM);
        CHECK(!snapshot_is_under_way());
    }
    CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
    memory_left = 0;
    struct entry *e = NULL;
    for (unsigned i = 0; i < stripes.count && !e; i++) e = keyspace_random(stripes.all[i].keyspace, 0, 1);
    CHECK(e && !snapshot_part_take() && snapshot_writer_failed());
    memory_left = UINT_MAX;
    run_format("set key:1 other\n");
    walk_to_the_end();
    CHECK(last.error == -ENOMEM && disk_files(&disk) == 1);
    end_on_disk();
}

/* Who changes a lot while nobody writes is to wait; the walk waits, too. */
static void copies_are_counted(void) {
    char long_text[20001];
    memset(long_text, 'x', 20000);
    long_text[20000] = '\0';
    begin_on_disk(1);
    config.snapshot_memory_limit = 1 << 20;
    for (unsigned i = 0; i < 100; i++) run_format("set first:%u 1\nsetrange first:%u 20000 x\n", i, i);
    CHECK(!snapshot_is_full());
    CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
    for (unsigned i = 0; i < 100; i++) run_format("del first:%u\n", i);
    CHECK(snapshot_is_full() && snapshot_progress().bytes > 100 * 20000);
    while (snapshot_writer_turn() == SNAPSHOT_WROTE) {
    }
    CHECK(!snapshot_is_full());
    config.snapshot_memory_limit = 0;
    for (unsigned i = 0; i < 300; i++) run_format("set many:%u 1\nsetrange many:%u 20000 x\n", i, i);
    walk_to_the_end();
    CHECK_INT(snapshot_start(&by_hand, now_ms), 0);
    for (unsigned i = 0; i < 300; i++) run_format("del many:%u\n", i);
    CHECK(!snapshot_is_full());
    CHECK_INT(snapshot_walk(stripes.all), SNAPSHOT_WALK_WAITS);
    walk_to_the_end();
    CHECK_INT(last.error, 0);
    CHECK(snapshot_progress().peak > 300 * 20000);
    check_file();
    end_on_disk();
}

int main(void) {
    seed = check_seed();
    RUN(the_file_shows_the_cut);
    RUN(a_thread_writes_it_too);
    RUN(an_error_leaves_the_old_file);
    RUN(given_up_at_any_time_it_leaves_nothing);
    RUN(without_memory_it_fails_and_commands_go_on);
    RUN(copies_are_counted);
    return 0;
}
