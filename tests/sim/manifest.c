/* The manifest on a disk that forgets: whenever the power is cut, one is there and whole: the last that manifest_write has said
 * to be there, or one that it was asked for since.
 *
 *     manifest [--seed N] [--seeds N] */
#include "server/journal/manifest.h"
#include "tests/sim/seeds.h"
#include "tests/sim/sim_disk.h"

enum { WRITES = 6 };

static const struct manifest_place place = {"dir", "a.aof"};
static struct sim_disk disk, after;
static struct buffer texts[WRITES + 1]; /* [0]: the first one, which is durable */
static unsigned asked, written; /* numbers of those: the last that was begun, and that is said to be there */
static unsigned asked_at_cut, written_at_cut, cut_at;
static bool cut_done;

static void yield(void *context) {
    if (cut_done || disk.calls < cut_at) return;
    cut_done = true;
    asked_at_cut = asked;
    written_at_cut = written;
    sim_disk_cut(&disk, &after);
}

static struct sim_faults draw_faults(unsigned long long *dice) {
    struct sim_faults faults = {.room = SIZE_MAX};
    if (check_random(dice) % 2) faults.piece = 1 + check_random(dice) % 100;
    switch (check_random(dice) % 8) {
    case 0: faults.sync_in = 4; break;
    case 1: faults.write_in = 4; break;
    case 2: faults.directory_in = 3; break;
    case 3: faults.open_in = 5; break;
    case 4: faults.room = check_random(dice) % 1000; break;
    default: break;
    }
    return faults;
}

static void change(struct manifest *manifest, unsigned long long *dice) {
    char name[MANIFEST_NAME_MAX + 1];
    int error;
    switch (check_random(dice) % 3) {
    case 0:
        CHECK(manifest_next_base(name, manifest, &place, true));
        CHECK_INT(manifest_add_base(manifest, name, manifest->incr_seq), 0);
        break;
    case 1:
        if (manifest_delete_history(manifest, &disk.disk, &place, &error)) break;
        /* fall through */
    default: CHECK_INT(manifest_add_incr(manifest, &place), 0);
    }
}

static void write_some(struct manifest *manifest, unsigned long long *dice) {
    const char *failed;
    for (unsigned i = 1; i <= WRITES; i++) {
        change(manifest, dice);
        buffer_free(&texts[i]);
        CHECK_INT(manifest_print(manifest, &texts[i]), 0);
        asked = i;
        if (manifest_write(manifest, &disk.disk, &place, &failed) == 0) written = i;
    }
}

static const char *check_manifest(void) {
    struct manifest found = {0};
    struct buffer text = {0};
    char why[MANIFEST_WHY_SIZE];
    if (manifest_read(&found, &after.disk, &place, why) != 0) return "what is there cannot be read";
    CHECK_INT(manifest_print(&found, &text), 0);
    const char *wrong = "what is there is none that was wanted, or an old one";
    for (unsigned i = written_at_cut; i <= asked_at_cut; i++)
        if (bytes_equal(buffer_bytes(&text), buffer_bytes(&texts[i]))) wrong = NULL;
    manifest_free(&found);
    buffer_free(&text);
    return wrong;
}

static const char *run_seed(unsigned long long seed, int lie) {
    unsigned long long dice = seed * 2654435761u + 1;
    struct manifest manifest = {0};
    const char *failed;
    sim_disk_new(&disk, check_random(&dice));
    sim_disk_new(&after, check_random(&dice));
    sim_disk_make_directory(&disk, place.directory);
    CHECK_INT(manifest_add_incr(&manifest, &place), 0);
    CHECK_INT(manifest_write(&manifest, &disk.disk, &place, &failed), 0);
    buffer_free(&texts[0]);
    CHECK_INT(manifest_print(&manifest, &texts[0]), 0);
    asked = written = 0;
    disk.faults = draw_faults(&dice);
    disk.lie = (enum sim_lie)lie;
    disk.yield = yield;
    cut_at = disk.calls + 1 + (unsigned)(check_random(&dice) % 50);
    cut_done = false;
    write_some(&manifest, &dice);
    cut_at = 0;
    yield(NULL);
    manifest_free(&manifest);
    return check_manifest();
}

static void a_whole_manifest_is_there(void) {
    seeds_run("manifest", run_seed);
}

static void what_the_disk_does_wrong_is_found(void) {
    seeds_find("a sync of the file is left out", run_seed, LIE_SYNC);
    seeds_find("a sync of the directory is left out", run_seed, LIE_SYNC_DIRECTORY);
    seeds_find("the file is synced behind its renaming", run_seed, LIE_SYNC_LATE);
}

int main(int argc, char **argv) {
    seeds_open(argc, argv, 5000);
    RUN(a_whole_manifest_is_there);
    if (!seeds.alone) RUN(what_the_disk_does_wrong_is_found);
    for (unsigned i = 0; i <= WRITES; i++) buffer_free(&texts[i]);
    sim_disk_free(&disk);
    sim_disk_free(&after);
    return 0;
}
