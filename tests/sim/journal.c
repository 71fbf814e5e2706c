/* The journal on a disk that forgets: several executors and the writer of the journal run as a seed has it, and at some
 * moment the power is cut, or the process killed. What is loaded then is what there was behind one of the tickets: not
 * before the last one that could be shown, or, under `everysec`, before those of a second ago; and never half of one.
 *
 *     journal [--seed N] [--seeds N]
 *
 * Then the disk lies, and the code is changed (enum mutation): each of these must be found. */
#include <errno.h>
#include <limits.h>

#include "server/exec/replay.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/aof_switch.h"
#include "server/journal/appender.h"
#include "server/journal/snapshot_walk.h"
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
    SAFE_TOO_HIGH, /* by one, in what a batch says of those before */
    SAFE_TOO_LOW,
    FILE_UNLISTED, /* where there is no room for the manifest that would list it, it is written to all the same */
    TAIL_LEFT,     /* of a batch that could not be written, in front of the next one */
};
static enum mutation mutation;

static const struct manifest_place place = {"appendonlydir", "appendonly.aof"};
static struct sim_disk disk, after, again;
enum { TURN_MS = 100, LOSES_MS = 1000 + 6 * TURN_MS };
static int64_t turn_begun_ms; /* or ended */
static bool in_turn;
static uint64_t synced;             /* a ticket that is said to be on the disk */
static bool always, failing, ended; /* the writer */
static bool
    loses_pages; /* what could not be synced once, the kernel takes for synced: from then on nobody can tell */
static unsigned full_turns;     /* of the writer, in which the disk has no room, from the start on */
static struct sim_faults later; /* what fails behind these */
static unsigned full_starts;

/* ---- Mutations ------------------------------------------------------------------------------------ */

int __real_batch_write(struct batch *batch, struct batch_out *out, struct bytes lines,
                       struct batch_sayings says);
int __wrap_batch_write(struct batch *batch, struct batch_out *out, struct bytes lines,
                       struct batch_sayings says);
int __wrap_batch_write(struct batch *batch, struct batch_out *out, struct bytes lines,
                       struct batch_sayings says) {
    if (mutation == SAFE_TOO_HIGH && says.safe + 1 < batch->first) says.safe++;
    if (mutation == SAFE_TOO_LOW && says.safe > 0) says.safe--;
    return __real_batch_write(batch, out, lines, says);
}

int __real_manifest_write(const struct manifest *manifest, struct disk *on, const struct manifest_place *at,
                          const char **failed);
int __wrap_manifest_write(const struct manifest *manifest, struct disk *on, const struct manifest_place *at,
                          const char **failed);
int __wrap_manifest_write(const struct manifest *manifest, struct disk *on, const struct manifest_place *at,
                          const char **failed) {
    int error = __real_manifest_write(manifest, on, at, failed);
    return mutation == FILE_UNLISTED && error == -ENOSPC ? 0 : error;
}

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

/* The directory is in memory, and nobody else's. */
bool __wrap_claim_directory(char why[]);
bool __wrap_claim_directory(char why[]) {
    return true;
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
static void wake(void) {
}
static const struct writer_padding padding = {.from = 300, .least = 100, .most = 3000};
static const struct aof_log_server server = {.look_again = look_again,
                                             .refuse = refuse,
                                             .wake = wake,
                                             .holds = end_holding,
                                             .by_hand = true,
                                             .padding = &padding};

/* A step of a walk, where there is one: any executor does it for any stripe. */
static void walk(struct executor *executor, unsigned i) {
    struct stripe *stripe = &stripes.all[i];
    stripe_lock(stripe);
    (void)snapshot_walk(stripe);
    stripe_leave(stripe, &executor->wakes, now_ms);
}

static void between_requests(struct executor *executor) {
    struct stripe_set all = {{0}};
    if (!pick(6)) (void)aof_rewrite_ask();
    if (pick(2)) walk(executor, pick(stripes.count));
    if (!aof_rewrite_wants_cut()) return;
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    cuts = true;
    (void)aof_rewrite_cut(executor->effects.journal, now_ms);
    cuts = false;
    stripe_set_leave(&all, &executor->wakes, now_ms);
}

/* The thread of snapshots, and what shards do of them in their upkeep. */
static void run_snapshots(void *context) {
    struct executor *executor = &shards[EXECUTORS - 1].exec;
    for (unsigned i = 0; !ended; i++) {
        if (snapshot_is_under_way()) {
            walk(executor, i % stripes.count);
            (void)snapshot_writer_turn();
        }
        if (i % 8 == 0) fibers_yield();
    }
}

static bool gives_up(void) {
    return ended;
}

/* Where the disk goes on to fail it ends, as the server would be ended. */
static void run_writer(void *context) {
    for (unsigned turns = 0; turns < 300 && !appender_fatal(); turns += !working) {
        if (full_turns && --full_turns == 0) disk.faults = later;
        if (!working && turns > 30) disk.faults = (struct sim_faults){.room = SIZE_MAX};
        in_turn = true;
        appender_turn(now_ms);
        in_turn = false;
        turn_begun_ms = now_ms;
        fibers_yield();
        if (!appender_figures().unsynced) synced = journal_next();
        if (!working && synced == journal_next() && !appender_figures().rewriting) break;
    }
    ended = true;
}

/* ---- When the power goes -------------------------------------------------------------------------- */

static struct {
    unsigned steps, at;      /* of the scheduler */
    bool done, killed;       /* killed: the kernel writes what it has */
    uint64_t least, most;    /* tickets */
    uint64_t least_of_power; /* where the power goes at once after the process was killed */
} cut;

/* What must be there now: all that could be shown; or what came a second before the last change, for none is taken on
 * while an older one waits; or, where a disk fails so that a second is not enough, what is said to be synced. */
static uint64_t least_now(bool power) {
    if (always || !power || mutation == PUBLISHED_EARLY) return journal_safe();
    if (failing) return synced;
    uint64_t ticket = journal_next();
    int64_t last_ms = 0;
    for (uint64_t i = 0; i <= ticket; i++) last_ms = taken_ms[i] > last_ms ? taken_ms[i] : last_ms;
    while (ticket > 0 && times_ms[ticket] > last_ms - LOSES_MS) ticket--;
    return ticket;
}

static void cut_now(void) {
    cut.done = true;
    if (seeds.alone)
        printf("---- now, at %lld, with ticket %llu shown\n", (long long)now_ms % 1000000,
               (unsigned long long)journal_safe());
    cut.least = least_now(!cut.killed);
    cut.least_of_power = least_now(true);
    cut.most = journal_next();
    if (cut.killed)
        sim_disk_copy(&disk, &after);
    else
        sim_disk_cut(&disk, &after);
}

/* Time goes on while the writer is at its turn, however slow the disk is, and between two turns as long as a thread of
 * its own would let others go on. */
static void step(void *context) {
    if (ended && !cut.done) cut_now();
    if (!cut.done && ++cut.steps == cut.at) cut_now();
    if (ended || in_turn || now_ms - turn_begun_ms < TURN_MS) now_ms += pick(30);
}

/* ---- Loading -------------------------------------------------------------------------------------- */

static const char *load_files(struct sim_disk *from) {
    static char why[AOF_FAULT_SIZE];
    struct aof_load load = {.disk = &from->disk,
                            .place = place,
                            .runner = replay_new(now_ms, false),
                            .now_ms = now_ms,
                            .truncates = true,
                            .summed = true};
    CHECK(load.runner);
    enum aof_loaded loaded = aof_load(&load);
    replay_free(load.runner);
    manifest_free(&load.manifest);
    memcpy(why, load.why, sizeof why);
    return loaded == AOF_LOADED ? NULL : loaded == AOF_ABSENT ? "there is nothing to load" : why;
}

static const char *judge(uint64_t state) {
    uint64_t ticket = cut.least;
    while (ticket < cut.most && states[ticket] != state) ticket++;
    if (seeds.alone)
        for (uint64_t i = 0; i <= cut.most; i++)
            printf("%llu, at %lld: %016llx%s%s\n", (unsigned long long)i, (long long)times_ms[i] % 1000000,
                   (unsigned long long)states[i], i == cut.least ? " from here on" : "",
                   states[i] == state ? " is loaded" : "");
    if (states[ticket] == state) return NULL;
    for (ticket = 0; ticket < cut.least; ticket++)
        if (states[ticket] == state) return "what was shown is lost";
    return "what is loaded is no state that may be";
}

/* What could not be synced is lost to its last byte where the power goes then, and with it the line that would have said so:
 * then nobody can tell what was lost from what was safe and was damaged, and a start is refused. */
static unsigned refused;
static bool may_be_refused(const char *wrong) {
    if (!loses_pages || !strstr(wrong, "the truncated file is not the last file")) return false;
    for (int i = 0; i < SIM_NAMES; i++) {
        struct bytes found = sim_disk_contents(&after, after.names[i].path);
        if (found.len && memmem(found.data, found.len, " doubt=", 7)) return false;
    }
    refused++;
    return true;
}

/* The power may go while files are loaded, too. */
static unsigned load_cut_at;
static void cut_load(void *context) {
    struct sim_disk *from = context;
    if (from->calls == load_cut_at) sim_disk_cut(from, &again);
}

/* Into a keyspace that is left for the next generation. */
static const char *check_loaded(void) {
    sim_disk_new(&again, check_random(&dice));
    load_cut_at = pick(4) ? 0 : after.calls + 1 + pick(8);
    after.yield = cut_load;
    after.context = &after;
    const char *wrong = load_files(&after);
    after.yield = NULL;
    if (wrong && may_be_refused(wrong)) return NULL;
    if (!wrong) wrong = judge(state_now());
    if (wrong || !again.file_count) return wrong;
    stripes_close();
    CHECK_INT(stripes_open(SHARDS, DATABASES_USED), 0);
    cut.least = cut.least_of_power;
    wrong = load_files(&again);
    if (!wrong) wrong = judge(state_now());
    sim_disk_new(&after, check_random(&dice));
    sim_disk_copy(&again, &after);
    return wrong;
}

/* ---- One run -------------------------------------------------------------------------------------- */

static struct sim_faults draw_faults(void) {
    struct sim_faults faults = {.room = SIZE_MAX};
    unsigned kind = pick(8);
    if (pick(2)) faults.piece = 1 + pick(1000);
    failing = kind < 6;
    loses_pages = kind == 5;
    switch (kind) {
    case 0: faults.write_in = 4; break;
    case 1: faults.write_in = 4, faults.truncate_in = 2; break;
    case 2: faults.directory_in = 3; break;
    case 3: faults.open_in = 4; break;
    case 4: faults.room = pick(4000); break;
    case 5: faults.sync_in = 6; break;
    default: break;
    }
    return faults;
}

/* A start needs room where there is no log yet. */
static bool may_be_full(void) {
    struct bytes list = sim_disk_contents(&disk, "appendonlydir/appendonly.aof.manifest");
    return list.len && memmem(list.data, list.len, "type b", 6);
}

static void open_files(void) {
    always = pick(2) && mutation != PUBLISHED_EARLY && mutation != SAFE_TOO_HIGH;
    options_set(always ? "appendonly yes\nappendfsync always\n" : "appendonly yes\nappendfsync everysec\n");
    full_turns = may_be_full() && !pick(4) ? 1 + pick(40) : 0;
    disk.faults = (struct sim_faults){.room = full_turns ? 0 : SIZE_MAX};
    CHECK(aof_switch_begin(true));
    full_starts += !appender_figures().write_ok && !mutation;
    later = draw_faults();
    failing |= full_turns > 0;
    if (!full_turns) disk.faults = later;
    disk.yield = fibers_yield_in;
    disk.traced = seeds.alone;
    mutate_disk();
}

static void tell_alone(void) {
    if (!seeds.alone) return;
    printf("%s, faults: write %u truncate %u sync %u directory %u open %u room %zu\n",
           always ? "always" : "everysec", disk.faults.write_in, disk.faults.truncate_in, disk.faults.sync_in,
           disk.faults.directory_in, disk.faults.open_in, disk.faults.room);
    printf("tickets %llu to %llu of %llu, %s\n", (unsigned long long)cut.least, (unsigned long long)cut.most,
           (unsigned long long)journal_next(), cut.killed ? "killed" : "power cut");
    sim_disk_show(&after, stdout);
}

/* On `disk`; `after` is what it holds then. With `whole` nothing fails, and it comes to its end. */
static void run_generation(bool whole) {
    CHECK(appender_open(&disk.disk, &server, EXECUTORS));
    world_open();
    open_files();
    if (whole) disk.faults = later = (struct sim_faults){.room = SIZE_MAX};
    memset(&cut, 0, sizeof cut);
    cut.killed = !pick(3) && mutation != SAFE_TOO_HIGH;
    cut.at = whole ? UINT_MAX : 1 + pick(pick(2) ? 60 : 400);
    ended = false;
    synced = 0;
    turn_begun_ms = now_ms;
    in_turn = false;
    seals_late = mutation == TICKET_AFTER_UNLOCK;
    sim_disk_new(&after, check_random(&dice));
    fibers_add(run_writer, NULL);
    fibers_add(run_snapshots, NULL);
    world_run(step);
    seals_late = false;
    if (!cut.done) cut_now();
    tell_alone();
    if (fixture_raised(GATE_MISCONF)) gate_lower(GATE_MISCONF);
    (void)end_holding();
    snapshot_give_up();
    for (unsigned i = 0; i < stripes.count; i++)
        keyspace_take_news(stripes.all[i].keyspace, now_ms); /* of what was cut short */
    journal_ignore();
    journal_hold(false);
    world_close();
    appender_close();
    stripes_close();
    CHECK_INT(stripes_open(SHARDS, DATABASES_USED), 0);
}

/* The next generation runs on what this one has left. */
static void change_disks(void) {
    struct sim_disk used = disk;
    disk = after;
    after = used;
}

static const char *run_seed(unsigned long long seed, int mutated) {
    const char *wrong = NULL;
    mutation = (enum mutation)mutated;
    world_dice(seed);
    sim_disk_new(&disk, check_random(&dice));
    CHECK_INT(stripes_open(SHARDS, DATABASES_USED), 0);
    for (unsigned left = 1 + pick(3); left > 0 && !wrong; left--) {
        run_generation(false);
        wrong = check_loaded();
        change_disks();
        if (loses_pages) break;
    }
    stripes_close();
    return wrong;
}

/* ---- Every byte ----------------------------------------------------------------------------------- */

enum { BATCHES_MAX = 200 };

static struct {
    char path[MANIFEST_PATH_SIZE];
    struct buffer bytes;
    unsigned count;
    struct {
        size_t at, end;
        unsigned long long first, last;
    } batches[BATCHES_MAX];
} file;

/* The last incremental file of a whole run. */
static bool find_file(void) {
    file.count = 0;
    buffer_free(&file.bytes);
    for (int i = 0; i < SIM_NAMES; i++) {
        struct bytes found = sim_disk_contents(&disk, disk.names[i].path);
        if (!strstr(disk.names[i].path, ".incr.") || !found.len) continue;
        if (file.count++ && strcmp(disk.names[i].path, file.path) < 0) continue;
        snprintf(file.path, sizeof file.path, "%s", disk.names[i].path);
        buffer_free(&file.bytes);
        append(&file.bytes, found);
    }
    append(&file.bytes, BYTES("\0")); /* sscanf reads to it */
    file.bytes.len--;
    file.count = 0;
    for (size_t at = 0; at < file.bytes.len; file.count++) {
        size_t len;
        CHECK(file.count < BATCHES_MAX);
        const char *end = memchr(file.bytes.data + at, '\n', file.bytes.len - at);
        CHECK(end && sscanf(file.bytes.data + at, "#kevy seq=%llu-%llu len=%zu",
                            &file.batches[file.count].first, &file.batches[file.count].last, &len) == 3);
        file.batches[file.count].at = at;
        at = file.batches[file.count].end = (size_t)(end + 1 - file.bytes.data) + len;
    }
    return file.count > 1;
}

/* What is loaded where the file holds these bytes: the state in *state, or false: it is refused. */
static bool load_bytes(struct bytes bytes, uint64_t *state) {
    sim_disk_new(&after, 1);
    sim_disk_copy(&disk, &after);
    sim_disk_put(&after, file.path, bytes);
    stripes_close();
    CHECK_INT(stripes_open(1, DATABASES_USED), 0);
    const char *wrong = load_files(&after);
    *state = state_now();
    return !wrong;
}

/* The log of a run that came to its end, all of it synced. False: there is too little of it. */
static bool make_log(unsigned long long seed) {
    world_dice(seed);
    sim_disk_new(&disk, check_random(&dice));
    CHECK_INT(stripes_open(SHARDS, DATABASES_USED), 0);
    run_generation(true);
    cut.killed = true;
    bool made = find_file();
    if (!made) stripes_close();
    return made;
}

static const char *cut_everywhere(unsigned long long seed, int mutated) {
    const char *wrong = NULL;
    uint64_t state;
    mutation = (enum mutation)mutated;
    if (!make_log(seed)) return NULL;
    for (size_t len = 0; len <= file.bytes.len && !wrong; len++) {
        uint64_t last = file.batches[0].first - 1;
        for (unsigned i = 0; i < file.count && file.batches[i].end <= len; i++) last = file.batches[i].last;
        if (!load_bytes((struct bytes){file.bytes.data, len}, &state))
            wrong = "a torn file is refused";
        else if (state != states[last])
            wrong = "a torn file is not what its whole batches say";
    }
    stripes_close();
    return wrong;
}

/* Under `always` each batch is synced before the next one is begun, and says so. */
static const char *flip_everywhere(unsigned long long seed, int mutated) {
    const char *wrong = NULL;
    uint64_t state;
    unsigned damaged = 0;
    mutation = (enum mutation)mutated;
    if (!make_log(seed)) return NULL;
    for (size_t at = 0; at < file.bytes.len && !wrong; at++) {
        while (file.batches[damaged].end <= at) damaged++;
        char flip = (char)(1 << pick(8));
        file.bytes.data[at] ^= flip;
        bool loaded = load_bytes(buffer_bytes(&file.bytes), &state);
        file.bytes.data[at] ^= flip;
        if (!loaded || state == states[file.batches[file.count - 1].last]) continue;
        bool last = damaged == file.count - 1;
        if (state != states[file.batches[damaged].first - 1])
            wrong = "a flipped byte makes other data";
        else if (always && !last)
            wrong = "what was safe is taken for a torn end";
    }
    stripes_close();
    return wrong;
}

static void what_is_loaded_is_a_state_that_was(void) {
    worlds_open();
    seeds_run("journal", run_seed);
    printf("%u of them were refused, with what could not be synced lost whole\n", refused);
    printf("%u starts found no room on the disk\n", full_starts);
    CHECK(seeds.count < 1000 || full_starts > seeds.count / 100);
    CHECK(seeds.count < 1000 || refused * 500ULL < seeds.count);
}

static void a_file_may_end_anywhere(void) {
    seeds_run_some("journal: cuts", cut_everywhere, 200);
}

static void a_flipped_byte_is_noticed(void) {
    seeds_run_some("journal: flips", flip_everywhere, 200);
}

static void what_is_done_wrong_is_found(void) {
    seeds_find("the file is not synced", run_seed, SYNC_LEFT_OUT);
    seeds_find("the old file is not synced before the next one", run_seed, SYNC_OF_OLD_FILE_LEFT_OUT);
    seeds_find("the directory is not synced", run_seed, SYNC_OF_DIRECTORY_LEFT_OUT);
    seeds_find("the manifest is synced behind its renaming", run_seed, SYNC_AFTER_RENAMING);
    seeds_find("what is not synced is shown", run_seed, PUBLISHED_EARLY);
    seeds_find("tickets are taken behind the locks", run_seed, TICKET_AFTER_UNLOCK);
    seeds_find("what is safe is said to be one more", run_seed, SAFE_TOO_HIGH);
    seeds_find("what is safe is said to be one less", flip_everywhere, SAFE_TOO_LOW);
    seeds_find("half a batch is left in front of the next", run_seed, TAIL_LEFT);
    seeds_find("a file is written to that no manifest lists", run_seed, FILE_UNLISTED);
}

int main(int argc, char **argv) {
    seeds_open(argc, argv, 1000);
    RUN(what_is_loaded_is_a_state_that_was);
    RUN(a_file_may_end_anywhere);
    RUN(a_flipped_byte_is_noticed);
    if (!seeds.alone) RUN(what_is_done_wrong_is_found);
    worlds_close();
    sim_disk_free(&disk);
    sim_disk_free(&after);
    sim_disk_free(&again);
    return 0;
}
