/* The journal on a disk that forgets: several executors and the writer of the journal run as a seed has it, and at some moment the
 * power is cut, or the process killed. What is loaded then is what there was behind one of the tickets: not before the last one that could
 * be shown, or, under `everysec`, before those of a second ago; and never half of one.
 *
 *     journal [--seed N] [--seeds N]
 *
 * Then the disk lies, and the code is changed (enum mutation): each of these must be found. */
#include "server/journal/appender.h"
#include "server/journal/crc32c.h"
#include "server/journal/manifest.h"
#include "server/journal/snapshot_load.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/world.h"

enum mutation {
    MUTATION_NONE,
    SYNC_LEFT_OUT,             /* of the file that is written to */
    SYNC_OF_OLD_FILE_LEFT_OUT, /* before a cut is taken */
    SYNC_OF_DIRECTORY_LEFT_OUT,
    SYNC_AFTER_RENAMING, /* of the manifest */
    PUBLISHED_EARLY,     /* what is written is shown, and not yet synced */
    TICKET_AFTER_UNLOCK,
    TAIL_LEFT, /* of a batch that could not be written, in front of the next one */
};
static enum mutation mutation;

static const struct manifest_place place = {"appendonlydir", "appendonly.aof"};
static struct sim_disk disk, after;
static int64_t turn_begun_ms;
static uint64_t synced; /* a ticket that is said to be on the disk */
static bool always, failing, ended; /* the writer */

/* ---- Mutations ------------------------------------------------------------------------------------ */

static void mutate_disk(void) {
    static const enum sim_lie lies[] = {[SYNC_LEFT_OUT] = LIE_SYNC,
                                        [SYNC_OF_OLD_FILE_LEFT_OUT] = LIE_SYNC,
                                        [SYNC_OF_DIRECTORY_LEFT_OUT] = LIE_SYNC_DIRECTORY,
                                        [SYNC_AFTER_RENAMING] = LIE_SYNC_LATE,
                                        [TAIL_LEFT] = LIE_TRUNCATE};
    disk.lie = lies[mutation];
    disk.lie_about = mutation == SYNC_LEFT_OUT               ? ".incr."
                     : mutation == SYNC_OF_OLD_FILE_LEFT_OUT ? ".1.incr."
                     : mutation == SYNC_AFTER_RENAMING       ? ".manifest"
                                                             : NULL;
}

/* ---- The writer ----------------------------------------------------------------------------------- */

static void look_again(void) {
}
static void refuse(bool on) {
    if (on)
        gate_raise(GATE_MISCONF);
    else
        gate_lower(GATE_MISCONF);
}
static bool end_holding(void) {
    bool held = fixture_raised(GATE_ROOM);
    if (held) gate_lower(GATE_ROOM);
    return held;
}
static const struct appender_server server = {look_again, refuse, end_holding};

static void between_requests(struct executor *executor) {
    struct stripe_set all = {{0}};
    if (!pick(6)) (void)appender_rewrite();
    if (!appender_wants_cut()) return;
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    appender_cut(executor->effects.journal, now_ms);
    stripe_set_unlock(&all);
}

static bool gives_up(void) {
    return ended;
}

/* Where the disk goes on to fail it ends, as the server would be ended. */
static void run_writer(void *context) {
    for (unsigned turns = 0; turns < 300 && !appender_fatal(); turns += !working) {
        if (!working && turns > 30) disk.faults = (struct sim_faults){.room = SIZE_MAX};
        turn_begun_ms = now_ms;
        appender_turn(now_ms);
        turn_begun_ms = now_ms;
        fibers_yield();
        if (!appender_figures().unsynced) synced = journal_next();
        if (!working && synced == journal_next() && !appender_figures().rewriting) break;
    }
    ended = true;
}

/* ---- When the power goes -------------------------------------------------------------------------- */

static struct {
    unsigned steps, at;   /* of the scheduler */
    bool done, killed;    /* killed: the kernel writes what it has */
    uint64_t least, most; /* tickets */
} cut;

/* What must be there now: all that could be shown; or what came a second ago; or, where a disk fails so that a second is not enough, what is
 * said to be synced. */
static uint64_t least_now(void) {
    if (always || cut.killed || mutation == PUBLISHED_EARLY) return journal_safe();
    if (failing) return synced;
    uint64_t ticket = journal_next();
    while (ticket > 0 && times_ms[ticket] > now_ms - 1000) ticket--;
    return ticket;
}

static void cut_now(void) {
    cut.done = true;
    if (seeds.alone) printf("---- now, with ticket %llu shown\n", (unsigned long long)journal_safe());
    cut.least = least_now();
    cut.most = journal_next();
    if (cut.killed)
        sim_disk_copy(&disk, &after);
    else
        sim_disk_cut(&disk, &after);
}

/* Time goes on as long as the writer is not kept from its turn: a thread of its own would have had it. */
static void step(void *context) {
    if (ended && !cut.done) cut_now();
    if (!cut.done && ++cut.steps == cut.at) cut_now();
    if (ended || now_ms - turn_begun_ms < 100) now_ms += pick(30);
}

/* ---- Loading -------------------------------------------------------------------------------------- */

static struct executor replayer;
static struct client replaying;
static struct output replayed;

static void load_commands(struct bytes bytes) {
    struct request_parser parser = {0};
    while (bytes.len) {
        size_t used;
        CHECK(request_parse(&parser, &shards->limits, bytes, &replayer.batch[0].args, &used) ==
              REQUEST_READY);
        CHECK(prepare_request(&replayer, &replaying, &replayer.batch[0], NULL));
        replayer.clock.now_ms = 0;
        CHECK_INT(dispatch_batch(&replayer, &replaying, &replayed.reply, 1), 1);
        struct buffer sent = {0};
        fixture_take(&replayed, &sent);
        buffer_free(&sent);
        bytes.data += used, bytes.len -= used;
    }
}

/* What was loaded of a file, in bytes. */
static size_t load_file(struct bytes file) {
    struct bytes left = file;
    unsigned long long first, last, safe;
    size_t len, line_len;
    unsigned crc;
    char line[BATCH_HEAD_MAX + 1];
    for (; left.len; left.data += line_len + len, left.len -= line_len + len) {
        const char *end = memchr(left.data, '\n', left.len < BATCH_HEAD_MAX ? left.len : BATCH_HEAD_MAX);
        if (!end) break;
        line_len = (size_t)(end + 1 - left.data);
        memcpy(line, left.data, line_len);
        line[line_len] = '\0';
        if (sscanf(line, "#kevy seq=%llu-%llu len=%zu crc=%x safe=%llu\n", &first, &last, &len, &crc,
                   &safe) != 5)
            break;
        if (len > left.len - line_len || crc32c(0, (struct bytes){left.data + line_len, len}) != crc) break;
        load_commands((struct bytes){left.data + line_len, len});
    }
    return (size_t)(left.data - file.data);
}

static bool load_base(const char *path) {
    struct snapshot_load load = {.disk = &after.disk, .name = path, .summed = true};
    return snapshot_load_run(&load) == SNAPSHOT_LOADED;
}

static const char *load_files(void) {
    struct manifest found = {0};
    char why[MANIFEST_WHY_SIZE], path[MANIFEST_PATH_SIZE];
    bool torn = false;
    if (manifest_read(&found, &after.disk, &place, why) != 0) return "the manifest cannot be read";
    const char *wrong = NULL;
    for (size_t i = 0; i < found.count && !wrong; i++) {
        CHECK(manifest_path(path, &place, found.files[i].name));
        struct bytes file = sim_disk_contents(&after, path);
        if (found.files[i].type == MANIFEST_HISTORY) continue;
        if (found.files[i].type == MANIFEST_BASE && !load_base(path))
            wrong = "the base cannot be loaded";
        else if (found.files[i].type == MANIFEST_BASE)
            continue;
        else if (!file.data)
            wrong = "a file of the manifest is not there";
        else if (torn && file.len)
            wrong = "a file is torn, and is not the last";
        else
            torn |= load_file(file) < file.len;
    }
    manifest_free(&found);
    return wrong;
}

static const char *check_loaded(void) {
    struct stripes before = stripes;
    CHECK_INT(stripes_open(1 + pick(2), DATABASES_USED), 0);
    replaying.db = 0;
    const char *wrong = load_files();
    uint64_t state = state_now(), ticket = cut.least;
    while (ticket < cut.most && states[ticket] != state) ticket++;
    if (!wrong && states[ticket] != state) {
        wrong = "what is loaded is no state that may be";
        for (ticket = 0; ticket < cut.least; ticket++)
            if (states[ticket] == state) wrong = "what was shown is lost";
    }
    if (seeds.alone) {
        for (uint64_t i = 0; i <= cut.most; i++)
            printf("%llu: %016llx%s\n", (unsigned long long)i, (unsigned long long)states[i],
                   states[i] == state ? " loaded" : "");
        printf("loaded %016llx\n", (unsigned long long)state);
    }
    stripes_close();
    stripes = before;
    return wrong;
}

/* ---- One run -------------------------------------------------------------------------------------- */

static struct sim_faults draw_faults(void) {
    struct sim_faults faults = {.room = SIZE_MAX};
    unsigned kind = pick(8);
    if (pick(2)) faults.piece = 1 + pick(1000);
    failing = kind < 6;
    switch (kind) {
    case 0: faults.write_in = 4; break;
    case 1: faults.write_in = 4, faults.truncate_in = 2; break;
    case 2: faults.directory_in = 3; break;
    case 3: faults.open_in = 4; break;
    case 4: faults.room = pick(4000); break;
    case 5: faults.sync_in = always ? 6 : 0; break;
    default: break;
    }
    return faults;
}

static void open_files(void) {
    sim_disk_new(&disk, check_random(&dice));
    sim_disk_new(&after, check_random(&dice));
    always = pick(2) && mutation != PUBLISHED_EARLY;
    options_set(always ? "appendonly yes\nappendfsync always\n" : "appendonly yes\nappendfsync everysec\n");
    CHECK(appender_begin());
    disk.faults = draw_faults();
    disk.yield = fibers_yield_in;
    disk.traced = seeds.alone;
    mutate_disk();
}

static const char *run_seed(unsigned long long seed, int mutated) {
    mutation = (enum mutation)mutated;
    world_dice(seed);
    CHECK(appender_open(&disk.disk, &server, EXECUTORS));
    world_open();
    open_files();
    memset(&cut, 0, sizeof cut);
    cut.killed = !pick(4);
    cut.at = 1 + pick(pick(2) ? 60 : 400);
    ended = false;
    synced = 0;
    turn_begun_ms = now_ms;
    seals_late = mutation == TICKET_AFTER_UNLOCK;
    fibers_add(run_writer, NULL);
    world_run(step);
    seals_late = false;
    if (!cut.done) cut_now();
    if (fixture_raised(GATE_MISCONF)) gate_lower(GATE_MISCONF);
    (void)end_holding();
    const char *wrong = check_loaded();
    if (seeds.alone) {
        printf("%s, faults: write %u truncate %u sync %u directory %u open %u room %zu\n",
               always ? "always" : "everysec", disk.faults.write_in, disk.faults.truncate_in,
               disk.faults.sync_in, disk.faults.directory_in, disk.faults.open_in, disk.faults.room);
        printf("tickets %llu to %llu of %llu, %s\n", (unsigned long long)cut.least,
               (unsigned long long)cut.most, (unsigned long long)journal_next(),
               cut.killed ? "killed" : "power cut");
        sim_disk_show(&after, stdout);
    }
    journal_ignore();
    world_close();
    appender_close();
    return wrong;
}

static void what_is_loaded_is_a_state_that_was(void) {
    worlds_open();
    executor_open(&replayer, 0);
    replaying = (struct client){.resp = 2};
    CHECK(clients_add(&replaying));
    output_open(&replayed, &shards->chunks);
    seeds_run("journal", run_seed, MUTATION_NONE);
}

static void what_is_done_wrong_is_found(void) {
    seeds_find("the file is not synced", run_seed, SYNC_LEFT_OUT);
    seeds_find("the old file is not synced before the next one", run_seed, SYNC_OF_OLD_FILE_LEFT_OUT);
    seeds_find("the directory is not synced", run_seed, SYNC_OF_DIRECTORY_LEFT_OUT);
    seeds_find("the manifest is synced behind its renaming", run_seed, SYNC_AFTER_RENAMING);
    seeds_find("what is not synced is shown", run_seed, PUBLISHED_EARLY);
    seeds_find("tickets are taken behind the locks", run_seed, TICKET_AFTER_UNLOCK);
    seeds_find("half a batch is left in front of the next", run_seed, TAIL_LEFT);
}

int main(int argc, char **argv) {
    seeds_open(argc, argv, 2000);
    RUN(what_is_loaded_is_a_state_that_was);
    if (!seeds.alone) RUN(what_is_done_wrong_is_found);
    output_close(&replayed);
    clients_remove(&replaying);
    executor_close(&replayer);
    worlds_close();
    sim_disk_free(&disk);
    sim_disk_free(&after);
    return 0;
}
