/* Saving on a disk that forgets: whenever the power is cut, the old file or the new one is there, whole; and the new one,
 * once snapshot_save_run has said that it is.
 *
 *     save [--seed N] [--seeds N]     so many runs, from this seed on
 *
 * What goes wrong is told with the seed that shows it. Then the disk lies (sim_disk.h): each lie must be found. */
#include <errno.h>

#include "server/journal/snapshot_load.h"
#include "server/journal/snapshot_save.h"
#include "tests/sim/seeds.h"
#include "tests/sim/sim_disk.h"
#include "tests/unit/snapshot_fixture.h"

static struct sim_disk disk, after;
static struct buffer old_file, new_file;
static unsigned cut_at; /* the call before which the power goes */
static bool cut_done, saved_at_cut, saved;

static void yield(void *context) {
    if (cut_done || disk.calls < cut_at) return;
    cut_done = true;
    saved_at_cut = saved;
    sim_disk_cut(&disk, &after);
}

static int save_to(struct sim_disk *where) {
    struct snapshot_save save = {
        .disk = &where->disk, .name = "dump.rdb", .compressed = true, .summed = true, .now_ms = now_ms};
    return snapshot_save_run(&save);
}

static void keep_file(struct buffer *into) {
    static struct sim_disk scratch;
    sim_disk_new(&scratch, 1);
    CHECK_INT(save_to(&scratch), 0);
    buffer_free(into);
    CHECK(buffer_append(into, sim_disk_contents(&scratch, "dump.rdb"), FIXTURE_SENT_MAX));
    sim_disk_free(&scratch);
}

static bool holds(const struct buffer *expected) {
    return bytes_equal(sim_disk_contents(&after, "dump.rdb"), buffer_bytes(expected));
}

static struct sim_faults draw_faults(unsigned long long *dice) {
    struct sim_faults faults = {.room = SIZE_MAX};
    if (check_random(dice) % 2) faults.piece = 1 + check_random(dice) % 3000;
    switch (check_random(dice) % 8) {
    case 0: faults.sync_in = 3; break;
    case 1: faults.write_in = 4; break;
    case 2: faults.directory_in = 2; break;
    case 3: faults.open_in = 4; break;
    case 4: faults.room = check_random(dice) % (new_file.len + 100); break;
    default: break;
    }
    return faults;
}

/* What is wrong with this seed, or NULL. */
static const char *run_seed(unsigned long long seed, int lie) {
    unsigned long long dice = seed * 2654435761u + 1;
    sim_disk_new(&disk, check_random(&dice));
    sim_disk_put(&disk, "dump.rdb", buffer_bytes(&old_file));
    disk.faults = draw_faults(&dice);
    disk.lie = (enum sim_lie)lie;
    disk.yield = yield;
    sim_disk_new(&after, check_random(&dice));
    cut_at = 1 + (unsigned)(check_random(&dice) % (check_random(&dice) % 2 ? 12 : 40));
    cut_done = saved = false;
    int error = save_to(&disk);
    saved = error == 0;
    cut_at = 0;
    yield(NULL);
    if (!saved_at_cut && error == 0 && holds(&old_file)) return NULL;
    if (holds(&new_file)) return NULL;
    if (saved_at_cut) return "it was saved, and is not there";
    return holds(&old_file) ? NULL : "neither the old nor the new file is there";
}

static void the_old_or_the_new_file_is_there(void) {
    open_shards(2);
    make_values();
    keep_file(&old_file);
    run_format("set one:more 1\ndel key:17\nrpush list %0600d\n", 7);
    keep_file(&new_file);
    CHECK(old_file.len > 20 * SIM_SECTOR && !bytes_equal(buffer_bytes(&old_file), buffer_bytes(&new_file)));
    seeds_run("save", run_seed);
}

static void what_the_disk_does_wrong_is_found(void) {
    seeds_find("a sync of the file is left out", run_seed, LIE_SYNC);
    seeds_find("a sync of the directory is left out", run_seed, LIE_SYNC_DIRECTORY);
    seeds_find("the file is synced behind its renaming", run_seed, LIE_SYNC_LATE);
    buffer_free(&old_file);
    buffer_free(&new_file);
    sim_disk_free(&disk);
    sim_disk_free(&after);
    end();
}

int main(int argc, char **argv) {
    seeds_open(argc, argv, 3000);
    RUN(the_old_or_the_new_file_is_there);
    if (!seeds.alone) RUN(what_the_disk_does_wrong_is_found);
    return 0;
}
